/* server/errand/errand_snug.c: `snug ..`: the commands that memcached does not have.
 *
 *     snug WORD ..  --> the coordinator knows it:  errand_cleanup.c
 *                   --> a worker can tell or do it: errand_memory.c
 *                   --> help, or a refusal
 *
 * Each of the two files has the table of its own words. The help stands here as a whole, because it
 * is read as a whole. */
#include "server/errand/errand_parts.h"

#define HELP_COLUMNS 53 /* of a form, before what it tells */

static const struct {
	const char *form; /* behind "snug " */
	const char *what;
} help[] = {
	{"estimate [coalesce|compact]", "what a defragmentation would gain; touches nothing"},
	{"defrag [coalesce|compact] [bytes N] [ms N] [return]",
	 "defragments; budgets per worker; return: memory to OS"},
	{"emergency BYTES [evict]", "returns bytes to the machine; evict: evicts for it"},
	{"schedule HH:MM-HH:MM|every TIME [target PERCENT]",
	 "defragments daily in that window, or at intervals"},
	{"schedules", "the schedules, their runs, and when the next is due"},
	{"cancel ID", "ends a schedule"},
	{"report [N]", "the last requests and what they did"},
	{"metrics", "figures of all pools, worker by worker"},
	{"doctor", "what is wrong, the figure that says so, and what to do"},
	{"latency", "how long commands took, one in 61 of them, in buckets"},
	{"slow", "the slowest commands of the last minutes, of those that are measured"},
	{"clients [WHICH] [after ID]", "who is connected: ID, HOST:PORT, user NAME or idle SECONDS"},
	{"clients kill WHICH", "closes them, and says how many"},
	{"map", "the memory map, worker by worker, as JSON"},
	{"items [WORKER HASH]", "items as commands that store them, a part at a time; NEXT: the rest"},
	{"bigkeys [N] [delimiter C]", "the largest items, prefixes of keys, sizes and times to live"},
	{"hotkeys [N]", "which keys are asked for most, from a sample"},
	{"limit [BYTES]", "the memory limit; another one, from now on"},
	{"check", "walks all memory and says whether it is sound"},
	{"help", ""},
};

struct errand *errand_snug(struct server *server, const char *what, size_t length,
						   struct text *out) {
	struct line words;
	bool known = false;
	line_split(&words, what, length);
	if (words_is(&words, 0, "help")) {
		for (size_t i = 0; i < sizeof help / sizeof *help; i++)
			text_print(out, "snug %-*s%s\r\n", *help[i].what == '\0' ? 0 : HELP_COLUMNS,
					   help[i].form, help[i].what);
		text_say(out, "END");
		return NULL;
	}
	struct errand *errand = errand_cleanup(server, &words, &known, out);
	if (!known) errand = errand_memory(server, &words, &known, out);
	if (!known) text_say(out, "CLIENT_ERROR no such snug command; snug help lists them");
	return errand;
}
