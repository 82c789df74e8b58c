/* server/protocol/command.c: the parser: lines, lists of keys, and which command a line is. See
 * server/protocol/command.h.
 *
 *     parser.list   0                    the next line begins
 *                   1 + answer form      in the midst of a list: each call gives its next key
 *
 *           .--- get, gets, gat, gats ---> list --key--> OPERATION --key, line's end--> OPERATION
 *     line -+--- m and a letter ---------> command_meta.c
 *           '--- anything else ----------> command_text.c, or ERROR
 *     a packet ------------------------> command_binary.c
 *
 * A connection's first byte says whether lines or packets come; that holds as long as it lasts.
 *
 * Laws    - What is answered does not depend on how the bytes were cut. A line has LINE_BYTES_MAX,
 *           whether it is there as a whole or comes in pieces.
 *         - A list alone may be longer. Within the bound it is refused as a whole if a key is too
 *           long, as by memcached; beyond it, key by key.
 *         - What is refused is passed over to its end, so that it is never taken for commands: the
 *           rest of a list, and the value of a store (command_text.c).
 *         - Whoever speaks HTTP is cut off. A browser can be made to send anything in a
 *           request's body; the line before it is HTTP's, and ends the connection.
 *
 * Cost    The common lines are one memchr for the end of the line, two for the end of each key, and
 *         a few comparisons: 330 instructions for a get, 180 for each key of a long one. A list is
 *         never split in words, for it may have any number of them. Other lines are: 610 for a set,
 *         700 to 780 for a meta command (callgrind, gcc 12). */
#include "server/protocol/binary.h"
#include "server/protocol/command_parts.h"

#include "base/assert.h"
#include "base/bits.h"

#include <string.h>

/* A line's end included; what is shorter, and no command, has another answer in memcached. */
#define LINE_BYTES_MIN 4u

/* The longest key, and what stands behind it. */
#define KEY_WINDOW_BYTES (SNUG_KEY_BYTES_MAX + 2u)

/* Whatever a form does not set. */
static void command_begin(struct command *command) {
	command->reply.is_quiet = command->reply.is_base64 = false;
	command->reply.wants_value = command->reply.ends_list = false;
	command->is_too_large = command->is_listed = command->ends_list = false;
	command->reply.flag_count = 0;
	command->reply.value_end_bytes = VALUE_END_BYTES;
	command->reply.opaque = NULL;
	command->reply.opaque_bytes = 0;
	command->reply.shown_key = NULL;
	command->reply.shown_key_bytes = 0;
	command->operation.options = 0;
	command->operation.key.bytes = NULL;
	command->operation.key.length = 0;
	command->operation.value = NULL;
	command->operation.value_bytes = 0;
	command->operation.lease.ref = 0;
}

/* ------------------------------------------------------------------ lists of keys ---------- */

static const char *skip_blanks(const char *at, const char *end) {
	while (at < end && *at == ' ') at++;
	return at;
}

static const char *word_end(const char *at, const char *end) {
	const char *blank = memchr(at, ' ', (size_t)(end - at));
	return blank == NULL ? end : blank;
}

static void take_listed(const struct parser *parser, struct command *command) {
	struct operation *operation = &command->operation;
	command->kind = COMMAND_OPERATION;
	command->reply.form = (uint8_t)(parser->list - 1);
	command->reply.wants_value = true;
	operation->kind = OPERATION_GET;
	operation->options = OPERATION_NO_STALE;
	if (command->reply.form == ANSWER_GETS) operation->options |= OPERATION_WANTS_CAS;
	if (!parser->touches) return;
	operation->options |= OPERATION_HAS_EXPTIME;
	operation->exptime = parser->exptime;
}

/* The line's end. A list that was broken off has been answered. */
static void end_list(struct parser *parser, struct command *command) {
	command_begin(command);
	if (parser->is_broken)
		command_say(command, NULL, 0);
	else if (UNLIKELY(parser->is_keyless))
		SAY(command, "ERROR\r\n");
	else
		SAY(command, LIST_END);
	command->is_listed = command->ends_list = true;
	parser->list = 0;
}

/* What is seldom: a line that is passed over, a key that is not there as a whole, and one that is
 * too long. */
static bool next_key_seldom(struct parser *parser, const char *bytes, const char *at, size_t length,
							struct command *command, size_t *used) {
	const char *end = bytes + length;
	size_t left = (size_t)(end - at);
	if (parser->is_broken) {
		const char *newline = memchr(bytes, '\n', length);
		*used = newline == NULL ? length : (size_t)(newline + 1 - bytes);
		if (newline != NULL) end_list(parser, command);
		return newline != NULL;
	}
	*used = (size_t)(at - bytes);
	if (left < KEY_WINDOW_BYTES) return false;
	const char *newline = memchr(at, '\n', left);
	const char *line_end = newline == NULL ? end : newline;
	if (newline != NULL && line_end[-1] == '\r') line_end--;
	size_t key_bytes = (size_t)(word_end(at, line_end) - at);
	*used += key_bytes;
	command_begin(command);
	command->is_listed = true;
	parser->is_keyless = false;
	parser->is_broken = !command_take_key(command, (struct word){at, key_bytes});
	SNUG_ASSERT(parser->is_broken); /* else its end would have been in the window */
	return true;
}

/* The next key of a list, or its end; a key with the line's end right behind it is both. */
static bool next_key(struct parser *parser, const char *bytes, size_t length,
					 struct command *command, size_t *used) {
	const char *at = skip_blanks(bytes, bytes + length);
	size_t window = smaller((size_t)(bytes + length - at), KEY_WINDOW_BYTES);
	const char *end = memchr(at, ' ', window);
	const char *newline = memchr(at, '\n', end == NULL ? window : (size_t)(end - at));
	if (UNLIKELY(parser->is_broken || (end == NULL && newline == NULL)))
		return next_key_seldom(parser, bytes, at, length, command, used);
	if (newline != NULL) end = newline > at && newline[-1] == '\r' ? newline - 1 : newline;
	*used = (size_t)((newline == NULL ? end : newline + 1) - bytes);
	if (UNLIKELY(end == at)) {
		end_list(parser, command);
		return true;
	}
	command_begin(command);
	command->is_listed = true;
	parser->is_keyless = false;
	parser->is_broken = !command_take_key(command, (struct word){at, (size_t)(end - at)});
	if (UNLIKELY(parser->is_broken)) {
		*used = (size_t)(end - bytes);
		return true;
	}
	take_listed(parser, command);
	if (newline == NULL) return true;
	command->reply.ends_list = true;
	parser->list = 0;
	return true;
}

/* True if each word of the list is short enough for a key: then none is answered before the line is
 * found wrong. Looks at one byte in some hundred. */
static bool keys_are_short(const char *at, const char *end) {
	while (end - at > (ptrdiff_t)SNUG_KEY_BYTES_MAX) {
		const char *blank = memrchr(at, ' ', SNUG_KEY_BYTES_MAX + 1);
		if (blank == NULL) return false;
		at = blank + 1;
	}
	return true;
}

/* What a list's first word says: get, gets, gat, gats. Tells its length; 0: it is none of them. */
static size_t list_word(const char *bytes, size_t length, struct parser *list) {
	if (length < 4 || bytes[0] != 'g' || bytes[2] != 't' || (bytes[1] != 'e' && bytes[1] != 'a'))
		return 0;
	bool with_cas = bytes[3] == 's';
	size_t word = with_cas ? 4 : 3;
	if (length == word || bytes[word] != ' ') return 0;
	*list = (struct parser){.speech = SPEECH_TEXT,
							.list = (uint8_t)(1 + (with_cas ? ANSWER_GETS : ANSWER_GET)),
							.touches = bytes[1] == 'a',
							.verb = (uint8_t)(VERB_LIST + (with_cas ? ANSWER_GETS : ANSWER_GET))};
	return word;
}

static const char *refuse_list(struct command *command, const char *text, size_t text_bytes) {
	command_begin(command);
	command_say(command, text, text_bytes);
	return NULL;
}

#define REFUSE_LIST(command, literal) refuse_list(command, literal, sizeof(literal) - 1)

/* The line of a list, behind its first word. Tells where the keys begin; NULL: the command says
 * what is wrong. Else nothing is written into the command. */
static const char *begin_list(struct parser *list, const char *at, const char *end,
							  struct command *command) {
	at = skip_blanks(at, end);
	if (at == end) return REFUSE_LIST(command, "ERROR\r\n");
	if (list->touches) {
		const char *exptime_end = word_end(at, end);
		if (!word_to_i32((struct word){at, (size_t)(exptime_end - at)}, &list->exptime))
			return REFUSE_LIST(command, "CLIENT_ERROR invalid exptime argument\r\n");
		at = exptime_end;
	}
	return keys_are_short(at, end) ? at : REFUSE_LIST(command, BAD_FORMAT);
}

/* ------------------------------------------------------------------ lines ------------------ */

static bool fail(struct command *command, const char *text, size_t text_bytes, size_t length,
				 size_t *used) {
	command_begin(command);
	command_say(command, text, text_bytes);
	command->kind = COMMAND_FAIL;
	*used = length;
	return true;
}

/* There is no line's end within the bound. Only a list of keys may be longer; it is answered key by
 * key then, also if its end is there. */
static bool unfinished(struct parser *parser, const char *bytes, size_t length,
					   struct command *command, size_t *used) {
	static const char too_long[] = "CLIENT_ERROR line too long\r\n";
	struct parser list;
	*used = 0;
	if (length <= LINE_BYTES_MAX) return false;
	const char *end = bytes + LINE_BYTES_MAX;
	const char *begin = skip_blanks(bytes, end);
	size_t word = list_word(begin, (size_t)(end - begin), &list);
	if (word == 0) return fail(command, too_long, sizeof too_long - 1, length, used);
	list.is_keyless = !list.touches && skip_blanks(begin + word, end) == end;
	const char *keys = list.is_keyless ? end : begin_list(&list, begin + word, end, command);
	/* What stands before the keys has the bound, too: the time of gat might go on behind it. */
	if (keys == end && !list.is_keyless)
		return fail(command, too_long, sizeof too_long - 1, length, used);
	if (keys == NULL) {
		command->kind = COMMAND_FAIL;
		*used = length;
		return true;
	}
	*parser = list;
	bool whole = next_key(parser, keys, (size_t)(bytes + length - keys), command, used);
	*used += (size_t)(keys - bytes);
	return whole;
}

static bool word_begins(struct word word, const char *text, size_t length) {
	return word.length >= length && memcmp(word.bytes, text, length) == 0;
}

/* What a browser sends on behalf of any page: a request line ("POST / HTTP/1.1"), or a header. Its
 * body must not be carried out as commands. */
static bool is_http(const struct line *line) {
	if (line->count == 0) return false;
	struct word first = line->word[0], last = line->word[line->count - 1];
	if (WORD_IS(first, "POST") || WORD_IS(first, "Host:")) return true;
	return line->count > 1 && word_begins(last, "HTTP/", 5);
}

static void parse_line(struct parser *parser, const char *begin, const char *end, size_t line_bytes,
					   uint64_t item_max_bytes, char *decoded, struct command *command) {
	struct line line;
	bool is_known = false;
	line_split(&line, begin, (size_t)(end - begin));
	if (line.count > 0 && line.word[0].length == 2 && line.word[0].bytes[0] == 'm')
		is_known = command_meta(&line, item_max_bytes, decoded, command);
	else if (line.count > 0)
		is_known = command_text(&line, item_max_bytes, command);
	parser->verb = is_known ? command->verb : VERB_UNKNOWN;
	if (is_known) return;
	command->reply.is_quiet = false;
	if (UNLIKELY(is_http(&line))) {
		command_say(command, NULL, 0);
		command->kind = COMMAND_FAIL;
		return;
	}
	if (line_bytes < LINE_BYTES_MIN)
		SAY(command, BAD_FORMAT);
	else
		SAY(command, "ERROR\r\n");
}

/* ------------------------------------------------------------------ which protocol --------- */

/* A binary client where only text is spoken: told so in a packet, once its first head is there. */
static bool refuse_binary(const char *bytes, size_t length, char *told, struct command *command,
						  size_t *used) {
	*used = 0;
	if (length < BINARY_HEAD_BYTES) return false;
	(void)fail(command, told, 0, length, used);
	command->reply.value_end_bytes = 0;
	command->reply.opcode = (uint8_t)bytes[1];
	memcpy(&command->reply.token, bytes + BINARY_OPAQUE_AT, sizeof command->reply.token);
	command->text_bytes = binary_say(&command->reply, BINARY_UNKNOWN_COMMAND, told);
	return true;
}

/* By the first byte. True: the client is refused. */
static bool take_first(struct parser *parser, const char *bytes) {
	bool is_binary = (unsigned char)bytes[0] == BINARY_ASKED;
	bool is_refused = parser->speech == (is_binary ? SPEECH_TEXT_ALONE : SPEECH_BINARY_ALONE);
	if (!is_refused) parser->speech = is_binary ? SPEECH_BINARY : SPEECH_TEXT;
	return is_refused;
}

/* Not in the midst of text. */
static bool next_other(struct parser *parser, const char *bytes, size_t length,
					   uint64_t item_max_bytes, char *decoded, struct command *command,
					   size_t *used) {
	static const char no_text[] = "CLIENT_ERROR only the binary protocol is spoken here\r\n";
	if (parser->speech != SPEECH_BINARY && take_first(parser, bytes))
		return parser->speech == SPEECH_TEXT_ALONE
				   ? refuse_binary(bytes, length, decoded, command, used)
				   : fail(command, no_text, sizeof no_text - 1, length, used);
	if (parser->speech == SPEECH_TEXT)
		return parser_next(parser, bytes, length, item_max_bytes, decoded, command, used);
	command_begin(command);
	if (!command_binary(bytes, length, item_max_bytes, decoded, command, used)) return false;
	uint8_t opcode = command->reply.opcode;
	if (command->kind != COMMAND_FAIL)
		parser->verb = opcode < VERB_UNKNOWN ? (uint8_t)(1 + opcode) : VERB_UNKNOWN;
	return true;
}

/* ------------------------------------------------------------------ the last one ----------- */

static const char *last_text(uint8_t verb, bool touches) {
	static const char *const lists[] = {"get", "gets", "gat", "gats"};
	static const char *const meta[] = {"ma", "md", "me", "mg", "mn", "ms"};
	if (verb == 0) return "none";
	if (verb < VERB_TEXT) return lists[verb - VERB_LIST + (touches ? 2 : 0)];
	for (size_t i = 0; i < sizeof meta / sizeof *meta; i++)
		if (meta[i][1] == (char)verb) return meta[i];
	const char *name = command_text_name(verb - VERB_TEXT);
	return name != NULL ? name : "unknown";
}

const char *parser_last_command(const struct parser *parser) {
	if (parser->speech != SPEECH_BINARY) return last_text(parser->verb, parser->touches);
	const char *name = parser->verb == 0 ? "none" : command_binary_name(parser->verb - 1u);
	return name != NULL ? name : "unknown";
}

/* ------------------------------------------------------------------ which it is ------------ */

bool parser_next(struct parser *parser, const char *bytes, size_t length, uint64_t item_max_bytes,
				 char *decoded, struct command *command, size_t *used) {
	if (parser->list != 0) return next_key(parser, bytes, length, command, used);
	if (UNLIKELY(parser->speech != SPEECH_TEXT))
		return next_other(parser, bytes, length, item_max_bytes, decoded, command, used);
	/* The bound holds for a line that is there as a whole as for one that comes in pieces. */
	const char *newline =
		memchr(bytes, '\n', length <= LINE_BYTES_MAX ? length : LINE_BYTES_MAX + 1);
	if (UNLIKELY(newline == NULL)) return unfinished(parser, bytes, length, command, used);
	const char *end = newline > bytes && newline[-1] == '\r' ? newline - 1 : newline;
	const char *begin = skip_blanks(bytes, end);
	struct parser list;
	size_t word = list_word(begin, (size_t)(end - begin), &list);
	*used = (size_t)(newline + 1 - bytes);
	if (word == 0) {
		command_begin(command);
		parse_line(parser, begin, end, *used, item_max_bytes, decoded, command);
		return true;
	}
	const char *keys = begin_list(&list, begin + word, end, command);
	if (keys == NULL) return true;
	*parser = list;
	bool whole = next_key(parser, keys, (size_t)(bytes + length - keys), command, used);
	*used += (size_t)(keys - bytes);
	return whole;
}
