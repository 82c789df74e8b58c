/* base/text.h: a string that grows: answers that are written piece by piece. */
#ifndef SNUG_BASE_TEXT_H
#define SNUG_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct text {
	char *bytes; /* not ended by a NUL */
	size_t length;
	size_t room;
	bool failed; /* memory was refused: what is there is not the whole */
};

/* Zero is the beginning. */
void text_deinit(struct text *text);
void text_append(struct text *text, const void *bytes, size_t length);
void text_print(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
