/* base/line_text.h: the one place that cuts a line into words: for the protocol's commands, and for
 * what follows `snug`. Words are parted by blanks, one or more. A line of more words than fit loses
 * none: the last word reaches to the line's end, so that no command takes it for fewer.
 *
 * Pure; it is in each command's way, and so inline. No part of libsnug. */
#ifndef SNUG_BASE_LINE_TEXT_H
#define SNUG_BASE_LINE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#define WORDS_MAX 32u

struct word {
	const char *bytes; /* in the line; not ended by a NUL */
	size_t length;
};

struct line {
	struct word word[WORDS_MAX];
	size_t count;
};

#define WORD_SHORT 4u /* bytes: what is shorter is found sooner without a call */

/* The blank behind the word that begins at `at`, or the line's end. */
static inline const char *line_word_end(const char *at, const char *end) {
	for (unsigned i = 0; i < WORD_SHORT && at < end; i++, at++)
		if (*at == ' ') return at;
	const char *blank = __builtin_memchr(at, ' ', (size_t)(end - at));
	return blank == NULL ? end : blank;
}

static inline void line_split(struct line *line, const char *bytes, size_t length) {
	const char *at = bytes, *end = bytes + length;
	line->count = 0;
	while (line->count < WORDS_MAX) {
		while (at < end && *at == ' ') at++;
		if (at == end) return;
		const char *begin = at;
		at = line_word_end(at, end);
		line->word[line->count++] = (struct word){begin, (size_t)(at - begin)};
	}
	struct word *last = &line->word[WORDS_MAX - 1];
	last->length = (size_t)(end - last->bytes);
}

static inline bool word_is(struct word word, const char *text, size_t length) {
	return word.length == length && __builtin_memcmp(word.bytes, text, length) == 0;
}

#define WORD_IS(word, text) word_is(word, text, sizeof(text) - 1)

#endif
