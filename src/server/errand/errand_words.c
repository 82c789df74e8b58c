/* server/errand/errand_words.c: what follows `snug`, in words, and a word as a number, a size or a time. See errand_parts.h. */
#include "server/errand/errand_parts.h"

#include <string.h>

void words_split(struct words *words, const char *bytes, size_t length) {
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
