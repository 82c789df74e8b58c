/* server/visit/visit_words.c: a word of what follows `snug`, as a number, a size, a time or a
 * share. See server/visit/visit.h. How each is written is base/number_text.h's. */
#include "server/visit/visit.h"

#include "base/number_text.h"

#include <string.h>

bool words_is(const struct line *words, size_t at, const char *text) {
	return at < words->count && word_is(words->word[at], text, strlen(text));
}

bool words_number(const struct line *words, size_t at, uint64_t *number) {
	return at < words->count && number_read(words->word[at].bytes, words->word[at].length, number);
}

bool words_bytes(const struct line *words, size_t at, uint64_t *bytes) {
	return at < words->count &&
		   number_read_size(words->word[at].bytes, words->word[at].length, 1, bytes);
}

bool words_seconds(const struct line *words, size_t at, uint64_t *seconds) {
	return at < words->count &&
		   number_read_seconds(words->word[at].bytes, words->word[at].length, seconds);
}

bool words_share(const struct line *words, size_t at, uint64_t *ppm) {
	return at < words->count &&
		   number_read_share(words->word[at].bytes, words->word[at].length, ppm);
}
