/* server/protocol/answer_lines.c: answers that are made as lines of text, in the client's protocol.
 *
 *     line                text       binary
 *     STAT name value     as it is   a packet: the name is its key
 *     OK, END, RESET      as it is   a packet with nothing in it, which ends a row of statistics
 *     STORED              as it is   "Authenticated": of those who say who they are
 *     PREFIX name ..      as it is   all of them and END are the value of "detailed", as in memcached
 *     any other           as it is   an error, whose status depends on the command
 *
 * What needs all workers, or the operator's right, is answered in lines by those who know no
 * protocol. Here it becomes what the client understands. A quiet command of text is told nothing; a
 * binary one is told errors. */
#include "server/protocol/answer.h"
#include "server/protocol/binary.h"

#include "base/assert.h"
#include "base/text.h"

static bool begins(const char *line, size_t length, const char *word, size_t word_bytes) {
	return length >= word_bytes && memcmp(line, word, word_bytes) == 0;
}

#define BEGINS(line, length, word) begins(line, length, word, sizeof(word) - 1)

/* What is refused is not there for `stat`, is not allowed for a flush, and else no command. */
static enum binary_status status_of_line(const struct reply *reply, const char *line,
										 size_t length) {
	if (BEGINS(line, length, "OK") || BEGINS(line, length, "END") ||
		BEGINS(line, length, "RESET") || BEGINS(line, length, "STORED"))
		return BINARY_OK;
	if (BEGINS(line, length, "SERVER_ERROR")) return BINARY_NO_MEMORY;
	switch (reply->opcode) {
	case BINARY_STAT:
		return BINARY_NOT_FOUND;
	case BINARY_FLUSH:
	case BINARY_FLUSHQ:
	case BINARY_SASL_AUTH:
	case BINARY_SASL_STEP:
		return BINARY_NOT_ALLOWED;
	default:
		return BINARY_UNKNOWN_COMMAND;
	}
}

/* Of one line, which is no statistic. */
static size_t say_line(const struct reply *reply, const char *line, size_t length, char *packet) {
	static const char let_in[] = "Authenticated";
	enum binary_status status = status_of_line(reply, line, length);
	if (BEGINS(line, length, "STORED"))
		return binary_say_text(reply, let_in, sizeof let_in - 1, packet);
	return status == BINARY_OK && reply->is_quiet ? 0 : binary_say(reply, status, packet);
}

size_t answer_line(const struct reply *reply, const char *line, size_t length, char *out) {
	SNUG_ASSERT(length <= ANSWER_LINE_BYTES);
	if (!reply_is_binary(reply)) {
		if (reply->is_quiet) return 0;
		memcpy(out, line, length);
		return length;
	}
	return say_line(reply, line, length, out);
}

static void append_statistic(const struct reply *reply, const char *line, size_t length,
							 struct text *out) {
	const char *blank = memchr(line, ' ', length);
	size_t name_bytes = blank == NULL ? length : (size_t)(blank - line);
	const char *value = blank == NULL ? line + length : blank + 1;
	size_t value_bytes = (size_t)(line + length - value);
	struct binary_head head = {.key_bytes = (uint32_t)name_bytes,
							   .body_bytes = name_bytes + value_bytes};
	char packet[BINARY_HEAD_BYTES];
	binary_write_head(reply, &head, packet);
	text_append(out, packet, sizeof packet);
	text_append(out, line, name_bytes);
	text_append(out, value, value_bytes);
}

/* `stats detail dump` */
static void append_prefixes(const struct reply *reply, const struct text *text, struct text *out) {
	static const char name[] = "detailed";
	struct binary_head head = {.key_bytes = sizeof name - 1,
							   .body_bytes = sizeof name - 1 + text->length};
	char packet[BINARY_WORDS_BYTES];
	binary_write_head(reply, &head, packet);
	text_append(out, packet, BINARY_HEAD_BYTES);
	text_append(out, name, sizeof name - 1);
	text_append(out, text->bytes, text->length);
	text_append(out, packet, binary_say(reply, BINARY_OK, packet));
}

static void append_line(const struct reply *reply, const char *line, size_t length,
						struct text *out) {
	static const char statistic[] = "STAT ";
	char packet[BINARY_WORDS_BYTES];
	if (length > 0 && line[length - 1] == '\r') length--;
	if (BEGINS(line, length, statistic)) {
		append_statistic(reply, line + sizeof statistic - 1, length - (sizeof statistic - 1), out);
		return;
	}
	text_append(out, packet, say_line(reply, line, length, packet));
}

void answer_lines(const struct reply *reply, struct text *text) {
	if (!reply_is_binary(reply)) {
		if (reply->is_quiet) text->length = 0;
		return;
	}
	if (text->length == 0) return;
	struct text packets = {.account = text->account};
	const char *at = text->bytes, *end = at + text->length;
	if (BEGINS(at, text->length, "PREFIX ")) {
		append_prefixes(reply, text, &packets);
		at = end;
	}
	for (const char *newline; at < end; at = newline + 1) {
		newline = memchr(at, '\n', (size_t)(end - at));
		if (newline == NULL) newline = end;
		append_line(reply, at, (size_t)(newline - at), &packets);
		if (newline == end) break;
	}
	packets.failed |= text->failed;
	text_deinit(text);
	*text = packets;
}
