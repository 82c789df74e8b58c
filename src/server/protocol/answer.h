/* server/protocol/answer.h: what a client is told of an operation that was carried out.
 *
 *     text   VALUE <key> <flags> <bytes> [<cas>]   \r\n <value> \r\n
 *     meta   VA <bytes> <flags ..>                 \r\n <value> \r\n         HD <flags ..> \r\n
 *     binary 24 bytes, flags, key                  <value>
 *
 * Pure functions: an answered operation in, bytes out. The value is not looked at: its sender puts
 * it, and the tail, behind the head. So a value is never copied for the sake of its head,
 * and may still lie where it is stored. */
#ifndef SNUG_SERVER_ANSWER_H
#define SNUG_SERVER_ANSWER_H

#include "base/text.h"
#include "server/protocol/command.h"

/* Room for any head: the echo of a key of 250 bytes, in base64 too, of all flags and opaque tokens,
 * numbers. */
#define ANSWER_BYTES_MAX 2032u

/* Writes the head, "\r\n" included, and tells its length, 0: there is none. `*has_value`:
 * item.value_bytes of value follow (for ARITHMETIC the digits of the number stand in the head
 * already, and this is false). Then the tail follows. */
size_t answer_head(const struct reply *reply, const struct operation *operation, char *text,
				   bool *has_value);

#define ANSWER_TAIL VALUE_END LIST_END
#define ANSWER_TAIL_BYTES (VALUE_END_BYTES + LIST_END_BYTES)

struct answer_tail {
	const char *text; /* followed by so many readable bytes: ANSWER_TAIL_BYTES */
	size_t length;
};

/* What stands behind the value, or behind the head where there is none: the value's end, and the
 * END of a list. A list in which an error was said has none. */
static inline struct answer_tail answer_tail(const struct reply *reply,
											 const struct operation *operation, bool has_value) {
	static const char text[] = ANSWER_TAIL ANSWER_TAIL; /* room to read on */
	bool ends_list = reply->ends_list && operation->status != STATUS_NO_MEMORY;
	size_t value_end_bytes = has_value ? reply->value_end_bytes : 0;
	return (struct answer_tail){text + VALUE_END_BYTES - value_end_bytes,
								value_end_bytes + (ends_list ? LIST_END_BYTES : 0)};
}

/* noreply leaves out errors too; meta q and quiet binary commands do not. */
static inline bool answer_hides_errors(const struct reply *reply) {
	return reply->is_quiet && reply->form < ANSWER_META_GET;
}

/* What others have made as lines of text, as the client shall get it; nothing, if he wants to hear
 * nothing of it. */
void answer_lines(const struct reply *reply, struct text *text);

/* The same of one line, which is no statistic; `out` has ANSWER_LINE_BYTES, as the line has at most.
 * Tells how many were written. */
#define ANSWER_LINE_BYTES 192u
size_t answer_line(const struct reply *reply, const char *line, size_t length, char *out);

#endif
