/* server/errand/errand_snug.c: `snug ...`: the commands that memcached does not have. Answers are lines of "STAT name value" and END, as those of stats,
 * so that what reads those reads these. */
#include "server/errand/errand_parts.h"

#include <string.h>

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

/* ------------------------------------------------------------------ words ------------------ */

static void split(struct words *words, const char *bytes, size_t length) {
	const char *at = bytes, *end = bytes + length;
	words->count = 0;
	while (words->count < sizeof words->word / sizeof *words->word) {
		while (at < end && *at == ' ') at++;
		if (at == end) return;
		words->word[words->count].bytes = at;
		while (at < end && *at != ' ') at++;
		words->word[words->count].length = (size_t)(at - words->word[words->count].bytes);
		words->count++;
	}
}

bool words_is(const struct words *words, size_t at, const char *text) {
	size_t length = strlen(text);
	return at < words->count && words->word[at].length == length && memcmp(words->word[at].bytes, text, length) == 0;
}

/* The letter that ends the word, small, if it is one of `letters`; else 0. */
static char unit_of(const struct words *words, size_t at, const char *letters) {
	if (at >= words->count || words->word[at].length < 2) return 0;
	char letter = (char)(words->word[at].bytes[words->word[at].length - 1] | 32);
	return strchr(letters, letter) != NULL ? letter : 0;
}

static bool take_number(const struct words *words, size_t at, size_t tail, uint64_t unit, uint64_t *number) {
	if (at >= words->count || words->word[at].length <= tail || words->word[at].length > 19) return false;
	const char *digit = words->word[at].bytes, *end = digit + words->word[at].length - tail;
	uint64_t value = 0;
	for (; digit < end; digit++) {
		if (*digit < '0' || *digit > '9') return false;
		value = value * 10 + (uint64_t)(*digit - '0');
	}
	if (value > UINT64_MAX / unit) return false;
	*number = value * unit;
	return true;
}

bool words_number(const struct words *words, size_t at, uint64_t *number) {
	return take_number(words, at, 0, 1, number);
}

bool words_bytes(const struct words *words, size_t at, uint64_t *bytes) {
	char letter = unit_of(words, at, "kmg");
	uint64_t unit = letter == 'k' ? 1u << 10 : letter == 'm' ? 1u << 20 : letter == 'g' ? 1u << 30 : 1;
	return take_number(words, at, letter != 0, unit, bytes);
}

bool words_seconds(const struct words *words, size_t at, uint64_t *seconds) {
	char letter = unit_of(words, at, "smh");
	return take_number(words, at, letter != 0, letter == 'm' ? 60 : letter == 'h' ? 3600 : 1, seconds);
}

/* ------------------------------------------------------------------ which ------------------ */

struct errand *errand_snug(struct server *server, const char *what, size_t length, struct text *out) {
	struct words words;
	bool known = false;
	split(&words, what, length);
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
