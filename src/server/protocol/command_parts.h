/* server/protocol/command_parts.h: what the files of the parser share. What is short and on the way
 * of each command is inline. A line in words is base/line_text.h's, a number
 * base/number_text.h's. */
#ifndef SNUG_SERVER_COMMAND_PARTS_H
#define SNUG_SERVER_COMMAND_PARTS_H

#include "base/bits.h"
#include "base/line_text.h"
#include "base/number_text.h"
#include "server/protocol/command.h"

/* Of a value, as a line may state it. What is wrong with it makes what follows a line of its own,
 * as in memcached. */
#define LENGTH_MAX ((uint64_t)INT32_MAX - 2)

static inline bool word_to_u64(struct word word, uint64_t *number) {
	return number_read(word.bytes, word.length, number);
}

/* With a sign perhaps, within 32 bits. */
static inline bool word_to_i32(struct word word, int64_t *number) {
	uint64_t value;
	bool is_negative = word.length > 0 && word.bytes[0] == '-';
	if (is_negative) word = (struct word){word.bytes + 1, word.length - 1};
	if (!word_to_u64(word, &value) || value > (uint64_t)INT32_MAX + is_negative) return false;
	*number = is_negative ? -(int64_t)value : (int64_t)value;
	return true;
}

#define BAD_FORMAT "CLIENT_ERROR bad command line format\r\n"
#define TOO_LARGE "SERVER_ERROR object too large for cache\r\n"

static inline void command_say(struct command *command, const char *text, size_t length) {
	command->kind = COMMAND_SAY;
	command->text = text;
	command->text_bytes = command->reply.is_quiet ? 0 : length;
}

/* A command that answers a literal text with its "\r\n". */
#define SAY(command, literal) command_say(command, literal, sizeof(literal) - 1)

/* One key: checked, and kept as it was given. False: the command says what is wrong. */
static inline bool command_take_key(struct command *command, struct word key) {
	if (UNLIKELY(key.length > SNUG_KEY_BYTES_MAX)) {
		SAY(command, BAD_FORMAT);
		return false;
	}
	command->reply.shown_key = key.bytes;
	command->reply.shown_key_bytes = (uint32_t)key.length;
	command->operation.key.bytes = key.bytes;
	command->operation.key.length = key.length;
	return true;
}

/* What parser.verb says of text: lists, then the table of command_text.c, then the letters of meta
 * commands. Of a packet it is 1 + its opcode, and of the last one VERB_UNKNOWN, as of the last but
 * one: neither is a command. */
#define VERB_LIST 1u /* as parser.list; parser.touches stays as it was, too */
#define VERB_TEXT 3u
#define VERB_UNKNOWN 0xffu

/* NULL: there is no such row, or opcode. */
const char *command_text_name(size_t row);
const char *command_binary_name(size_t opcode);

/* command_text.c: commands with words of their own. False: no such command. */
bool command_text(const struct line *line, uint64_t item_max_bytes, struct command *command);
/* command_binary.c: a packet. True: a command is there. Else as parser_next. `told` has
 * DECODED_KEY_BYTES. */
bool command_binary(const char *bytes, size_t length, uint64_t item_max_bytes, char *told,
					struct command *command, size_t *used);
/* command_meta.c: m and a letter. */
bool command_meta(const struct line *line, uint64_t item_max_bytes, char *decoded,
				  struct command *command);

#endif
