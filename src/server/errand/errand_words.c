/* server/errand/errand_words.c: what follows `snug`, in words, and a word as a number, a size or a time. See errand_parts.h. */
#include "server/errand/errand_parts.h"

#include "base/number_text.h"

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

bool words_number(const struct words *words, size_t at, uint64_t *number) {
	return at < words->count && number_read(words->word[at].bytes, words->word[at].length, number);
}

bool words_bytes(const struct words *words, size_t at, uint64_t *bytes) {
	return at < words->count && number_read_size(words->word[at].bytes, words->word[at].length, 1, bytes);
}

bool words_seconds(const struct words *words, size_t at, uint64_t *seconds) {
	return at < words->count && number_read_seconds(words->word[at].bytes, words->word[at].length, seconds);
}

bool words_share(const struct words *words, size_t at, uint64_t *ppm) {
	return at < words->count && number_read_share(words->word[at].bytes, words->word[at].length, ppm);
}
