/* server/protocol/command_meta.c: memcached's meta commands: mg ms md ma mn me.
 *
 *     mg <key> <flags>*              ms <key> <bytes> <flags>* \r\n <value>
 *     md, ma <key> <flags>*          mn          me <key> [b]
 *
 * A flag is a letter, perhaps with a token behind it. It says one of three things:
 *
 *     what the answer tells       k O c f h l s t v q        kept in the reply, in its order
 *     what the operation does     C E F T N R D J M I x u    kept in the operation
 *     how the key is written      b
 *
 * Laws    - Each letter once, and FLAGS_MAX of them at most. With the bound on the opaque token
 *           that bounds what is kept of a line (struct reply): it fits any record. Of the line
 *           itself nothing is kept.
 *         - Letters for others (P and L, for proxies) are taken and do nothing. Letters that nobody
 *           has are refused.
 *         - An error is always said: it takes q back. q leaves out only what usually comes
 *           (answer_meta.c).
 *         - T and N take effect where they stand: `t` before them is told the old time, `R` behind
 *           T sees the new one.
 *         - ms reads its length first, as storing lines do (command_text.c). */
#include "server/protocol/command_parts.h"

#include "server/protocol/base64.h"

#include <string.h>

_Static_assert(SHOWN_KEY_BYTES_MAX >= BASE64_BYTES(SNUG_KEY_BYTES_MAX),
			   "a key of the longest in base64");

#define FLAGS_MAX 20u
#define BAD_TOKEN "CLIENT_ERROR bad token in command line format\r\n"

/* ------------------------------------------------------------------ flags ------------------ */

struct flags {
	struct command *command;
	char mode; /* M; 0: none */
};

static bool say_false(struct command *command, const char *text, size_t length) {
	command->reply.is_quiet = false;
	command_say(command, text, length);
	return false;
}

#define WRONG(command, literal) say_false(command, literal, sizeof(literal) - 1)

static bool take_u64(struct command *command, struct word token, uint16_t option,
					 uint64_t *number) {
	if (!word_to_u64(token, number)) return WRONG(command, BAD_TOKEN);
	command->operation.options |= option;
	return true;
}

static bool take_time(struct command *command, struct word token, uint16_t option, int64_t *time) {
	if (!word_to_i32(token, time)) return WRONG(command, BAD_TOKEN);
	command->operation.options |= option;
	return true;
}

static bool take_client_flags(struct command *command, struct word token) {
	uint64_t number;
	if (!word_to_u64(token, &number) || number > UINT32_MAX) return WRONG(command, BAD_FORMAT);
	command->operation.client_flags = (uint32_t)number;
	return true;
}

static bool take_flag(struct flags *flags, struct word word) {
	struct command *command = flags->command;
	struct operation *operation = &command->operation;
	struct word token = {word.bytes + 1, word.length - 1};
	switch (word.bytes[0]) {
	case 'b': /* done before */
	case 'k':
	case 's':
	case 't':
	case 'f':
	case 'h':
	case 'l':
	case 'P': /* for proxies */
	case 'L':
		return true;
	case 'O':
		return word.length <= OPAQUE_BYTES_MAX ||
			   WRONG(command, "CLIENT_ERROR opaque token too long\r\n");
	case 'q':
		command->reply.is_quiet = true;
		return true;
	case 'v':
		command->reply.wants_value = true;
		return true;
	case 'c':
		operation->options |= OPERATION_WANTS_CAS;
		return true;
	case 'u':
		operation->options |= OPERATION_NO_USE;
		return true;
	case 'x':
		operation->options |= OPERATION_CLEARS_VALUE;
		return true;
	case 'I':
		operation->options |= OPERATION_INVALIDATES;
		return true;
	case 'C':
		return take_u64(command, token, OPERATION_HAS_CAS_COMPARE, &operation->cas_compare);
	case 'E':
		return take_u64(command, token, OPERATION_HAS_CAS_NEW, &operation->cas_new);
	case 'T':
		return take_time(command, token, OPERATION_HAS_EXPTIME, &operation->exptime);
	case 'N':
		return take_time(command, token, OPERATION_HAS_VIVIFY, &operation->vivify_exptime);
	case 'R':
		return take_time(command, token, OPERATION_HAS_RECACHE, &operation->recache_s);
	case 'F':
		return take_client_flags(command, token);
	case 'J':
		return word_to_u64(token, &operation->initial) ||
			   WRONG(command, "CLIENT_ERROR invalid numeric initial value\r\n");
	case 'D':
		return word_to_u64(token, &operation->delta) ||
			   WRONG(command, "CLIENT_ERROR invalid numeric delta value\r\n");
	case 'M':
		flags->mode = (char)(token.length > 0 ? token.bytes[0] : '?');
		return true;
	default:
		return WRONG(command, "CLIENT_ERROR invalid flag\r\n");
	}
}

/* The letters that are answered; of the others nothing is kept. */
static void note_flag(struct reply *reply, struct word word) {
	static const char answered[REPLY_FLAGS_MAX] = {'O', 'k', 'c', 'f', 'h', 'l', 's', 't'};
	if (memchr(answered, word.bytes[0], sizeof answered) == NULL) return;
	reply->flag[reply->flag_count++] = word.bytes[0];
	if (word.bytes[0] != 'O') return;
	reply->opaque = word.bytes;
	reply->opaque_bytes = (uint8_t)word.length;
}

/* All of them; each letter once. False: the command says what is wrong. */
static bool take_flags(const struct line *line, size_t first, struct flags *flags) {
	struct command *command = flags->command;
	uint64_t seen[2] = {0, 0};
	if (line->count <= first) return true;
	if (line->count - first > FLAGS_MAX)
		return WRONG(command, "CLIENT_ERROR options flags are too long\r\n");
	for (size_t i = first; i < line->count; i++) {
		unsigned char letter = (unsigned char)line->word[i].bytes[0];
		if (letter >= 127 || seen[letter / 64] >> letter % 64 & 1)
			return WRONG(command, "CLIENT_ERROR duplicate flag\r\n");
		seen[letter / 64] |= (uint64_t)1 << letter % 64;
		if (!take_flag(flags, line->word[i])) return false;
		note_flag(&command->reply, line->word[i]);
	}
	return true;
}

static bool has_flag(const struct line *line, size_t first, char letter) {
	for (size_t i = first; i < line->count; i++)
		if (line->word[i].bytes[0] == letter) return true;
	return false;
}

/* ------------------------------------------------------------------ keys ------------------- */

/* In base64 where the flags say so. */
static bool take_meta_key(const struct line *line, size_t first_flag, char *decoded,
						  struct command *command) {
	struct word key = line->word[1];
	if (!has_flag(line, first_flag, 'b')) return command_take_key(command, key);
	size_t length = 0;
	command->reply.is_base64 = true;
	command->reply.shown_key = key.bytes;
	command->reply.shown_key_bytes = (uint32_t)key.length;
	if (key.length > BASE64_BYTES(SNUG_KEY_BYTES_MAX)) return WRONG(command, BAD_FORMAT);
	if (!base64_decode(key.bytes, key.length, decoded, &length) || length == 0 ||
		length > SNUG_KEY_BYTES_MAX)
		return WRONG(command, "CLIENT_ERROR error decoding key\r\n");
	command->operation.key.bytes = decoded;
	command->operation.key.length = length;
	return true;
}

/* What all of them have. False: the command says what is wrong. */
static bool take_all(const struct line *line, size_t first_flag, enum operation_kind kind,
					 enum answer_form answer, char *decoded, struct flags *flags) {
	struct command *command = flags->command;
	struct operation *operation = &command->operation;
	operation->kind = (uint8_t)kind;
	operation->options = OPERATION_IS_META;
	operation->exptime = 0;
	operation->client_flags = 0;
	operation->delta = 1;
	operation->initial = 0;
	command->reply.form = (uint8_t)answer;
	if (!take_meta_key(line, first_flag, decoded, command)) return false;
	command->kind = COMMAND_OPERATION;
	return take_flags(line, first_flag, flags);
}

/* ------------------------------------------------------------------ commands --------------- */

/* T and N take effect where they stand among the flags. */
static void order_touch(const struct line *line, struct operation *operation) {
	size_t touch = 0, tell = 0, recache = 0, vivify = 0;
	if ((operation->options & (OPERATION_HAS_EXPTIME | OPERATION_HAS_VIVIFY)) == 0) return;
	for (size_t i = 2; i < line->count; i++) {
		if (line->word[i].bytes[0] == 'T') touch = i;
		if (line->word[i].bytes[0] == 't') tell = i;
		if (line->word[i].bytes[0] == 'R') recache = i;
		if (line->word[i].bytes[0] == 'N') vivify = i;
	}
	if (tell > 0 && (tell < touch || tell < vivify)) operation->options |= OPERATION_TELLS_OLD_TTL;
	if (touch > 0 && recache > touch) operation->options |= OPERATION_TOUCHES_FIRST;
}

static void parse_mg(const struct line *line, char *decoded, struct command *command) {
	struct flags flags = {.command = command};
	if (take_all(line, 2, OPERATION_GET, ANSWER_META_GET, decoded, &flags))
		order_touch(line, &command->operation);
}

static bool take_store_mode(struct flags *flags) {
	struct command *command = flags->command;
	struct operation *operation = &command->operation;
	operation->mode = STORE_SET;
	switch (flags->mode) {
	case 0:
	case 'S':
		return true;
	case 'E':
		operation->mode = STORE_ADD;
		return true;
	case 'A':
		operation->mode = STORE_APPEND;
		return true;
	case 'P':
		operation->mode = STORE_PREPEND;
		return true;
	case 'R':
		operation->mode = STORE_REPLACE;
		return true;
	default:
		return WRONG(command, "CLIENT_ERROR invalid mode for ms M token\r\n");
	}
}

/* The length is looked at first, so that the value behind a line that is wrong otherwise is not
 * taken for commands. */
static void parse_ms(const struct line *line, uint64_t item_max_bytes, char *decoded,
					 struct command *command) {
	struct flags flags = {.command = command};
	uint64_t length;
	if (line->count < 3 || !word_to_u64(line->word[2], &length) || length > LENGTH_MAX) {
		SAY(command, BAD_FORMAT);
		return;
	}
	bool is_right = take_all(line, 3, OPERATION_STORE, ANSWER_META_STORE, decoded, &flags) &&
					take_store_mode(&flags);
	if (is_right && length + command->operation.key.length <= item_max_bytes) {
		command->operation.value_bytes = (uint32_t)length;
		return;
	}
	command->is_too_large = is_right;
	if (is_right)
		(void)WRONG(command, TOO_LARGE);
	else
		command->operation.key.length = 0;
	command->kind = COMMAND_SAY_SKIP;
	command->skip_bytes = length + 2;
}

static void parse_md(const struct line *line, char *decoded, struct command *command) {
	struct flags flags = {.command = command};
	(void)take_all(line, 2, OPERATION_DELETE, ANSWER_META_DELETE, decoded, &flags);
}

static void parse_ma(const struct line *line, char *decoded, struct command *command) {
	struct flags flags = {.command = command};
	if (!take_all(line, 2, OPERATION_ARITHMETIC, ANSWER_META_NUMBER, decoded, &flags)) return;
	order_touch(line, &command->operation);
	if (flags.mode == 'D' || flags.mode == '-')
		command->operation.options |= OPERATION_DECREMENTS;
	else if (flags.mode != 0 && flags.mode != 'I' && flags.mode != '+')
		(void)WRONG(command, "CLIENT_ERROR invalid mode for ma M token\r\n");
}

static void parse_me(const struct line *line, char *decoded, struct command *command) {
	bool in_base64 = line->count > 2 && WORD_IS(line->word[2], "b");
	if (!take_meta_key(line, in_base64 ? 2 : line->count, decoded, command)) {
		SAY(command, BAD_FORMAT);
		return;
	}
	command->kind = COMMAND_OPERATION;
	command->reply.form = ANSWER_META_DEBUG;
	command->operation.kind = OPERATION_INSPECT;
	command->operation.options = OPERATION_IS_META;
}

bool command_meta(const struct line *line, uint64_t item_max_bytes, char *decoded,
				  struct command *command) {
	char letter = line->word[0].bytes[1];
	command->verb = (uint8_t)letter;
	if (letter == 'n') {
		SAY(command, "MN\r\n");
		return true;
	}
	if (letter != 'e' && line->count < 2) return false;
	if (line->count < 2) {
		SAY(command, BAD_FORMAT);
		return true;
	}
	switch (letter) {
	case 'g':
		parse_mg(line, decoded, command);
		return true;
	case 's':
		parse_ms(line, item_max_bytes, decoded, command);
		return true;
	case 'd':
		parse_md(line, decoded, command);
		return true;
	case 'a':
		parse_ma(line, decoded, command);
		return true;
	case 'e':
		parse_me(line, decoded, command);
		return true;
	default:
		return false;
	}
}
