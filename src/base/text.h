/* base/text.h: a string that grows: answers that are written piece by piece.
 *
 *     struct text text = {.account = &account};
 *     text_print(&text, "%llu\n", number);
 *     ...
 *     if (!text.failed) send(text.bytes, text.length);
 *     text_deinit(&text);
 *
 * Who writes looks at `failed` once, at the end, and not after each piece. */
#ifndef SNUG_BASE_TEXT_H
#define SNUG_BASE_TEXT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* A budget that any number of texts draw on, in any thread. It outlives them. */
struct text_account {
	size_t limit_bytes;        /* constant */
	_Atomic size_t used_bytes; /* atomic: the room of all its texts */
};

struct text {
	char *bytes; /* not ended by a NUL */
	size_t length;
	size_t room;
	bool failed;                  /* memory was refused: what is there is not the whole */
	struct text_account *account; /* NULL: it has no limit. Set before anything is written */
};

/* Zero is the beginning. The account stays. */
void text_deinit(struct text *text);
void text_append(struct text *text, const void *bytes, size_t length);
/* So many bytes more, for the caller to write at once; NULL: memory was refused. */
char *text_extend(struct text *text, size_t length);
void text_print(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
