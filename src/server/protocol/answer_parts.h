/* server/protocol/answer_parts.h: what answer.c and answer_meta.c share. The writers tell where
 * they have ended. They are inline: with a constant text a copy is one or two stores. A call for
 * each took 60 to 110 instructions of the 750 to 1150 of most meta commands. */
#ifndef SNUG_SERVER_ANSWER_PARTS_H
#define SNUG_SERVER_ANSWER_PARTS_H

#include "base/number_text.h"
#include "server/protocol/answer.h"

#include <string.h>

static inline char *put_u64(char *at, uint64_t number) {
	return at + number_write(number, at);
}

static inline char *put_bytes(char *at, const char *bytes, size_t length) {
	memcpy(at, bytes, length);
	return at + length;
}

/* answer_words.c: the status in words. */
size_t answer_words(const struct operation *operation, char *text);

/* answer_meta.c */
size_t answer_meta(const struct reply *reply, const struct operation *operation, char *text,
				   bool *has_value);

/* answer_binary.c */
size_t answer_binary(const struct reply *reply, const struct operation *operation, char *text,
					 bool *has_value);

#endif
