/* server/errand/errand_snug.c: `snug ..`: the commands that memcached does not have.
 *
 *     snug WORD ..  --> the coordinator knows it:  errand_cleanup.c
 *                   --> a worker can tell or do it: errand_memory.c
 *                   --> help, or a refusal
 *
 * Each of the two files has the table of its own words. The help stands here as a whole, because it
 * is read as a whole. */
#include "server/errand/errand_parts.h"

static const char *const help[] = {
	"snug estimate [coalesce|compact]                          what a defragmentation would gain; touches nothing",
	"snug defrag [coalesce|compact] [bytes N] [ms N] [return]  defragments; budgets per worker; return: memory to OS",
	"snug emergency BYTES [evict]                              returns bytes to the machine; evict: evicts for it",
	"snug schedule HH:MM-HH:MM|every TIME [target PERCENT]     defragments daily in that window, or at intervals",
	"snug schedules                                            the schedules, their runs, and when the next is due",
	"snug cancel ID                                            ends a schedule",
	"snug report [N]                                           the last requests and what they did",
	"snug metrics                                              figures of all pools, worker by worker",
	"snug map                                                  the memory map, worker by worker, as JSON",
	"snug limit [BYTES]                                        the memory limit; another one, from now on",
	"snug check                                                walks all memory and says whether it is sound",
	"snug help",
};

struct errand *errand_snug(struct server *server, const char *what, size_t length, struct text *out) {
	struct line words;
	bool known = false;
	line_split(&words, what, length);
	if (words_is(&words, 0, "help")) {
		for (size_t i = 0; i < sizeof help / sizeof *help; i++) text_say(out, help[i]);
		text_say(out, "END");
		return NULL;
	}
	struct errand *errand = errand_cleanup(server, &words, &known, out);
	if (!known) errand = errand_memory(server, &words, &known, out);
	if (!known) text_say(out, "CLIENT_ERROR no such snug command; snug help lists them");
	return errand;
}
