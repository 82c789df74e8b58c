/* server/protocol/command_text.c: memcached's text commands, all but those that get.
 *
 *     line    set k 0 60 5 noreply
 *     words   0   1 2 3  4 5           words_min to words_max of the table; noreply is not counted
 *
 * One table says which commands there are, how many words they have, whether they take noreply, and
 * who reads their words. It is searched from its beginning, so storing commands come first.
 *
 * STORING LINES. The length of the value is read before anything else. A length that is wrong
 * leaves what follows to be read as lines, as in memcached: where the value ends is not known. With
 * a length that is right the value is passed over whatever else is wrong (SAY_SKIP), so that what a
 * client stores is never carried out. A plain set that is too large takes the old value with it:
 * the client must not read what he thinks he has replaced.
 *
 * NUMBERS are read as memcached reads them, for clients depend on it: client flags are the low 32
 * bits of 64; so is an exptime, which is why libmemcached can write -5 as 4294967291. */
#include "server/protocol/command_parts.h"
#include "server/protocol/protocol.h"

typedef void (*parse_function)(const struct line *line, size_t words, uint64_t item_max_bytes,
							   struct command *command);

/* ------------------------------------------------------------------ storing ---------------- */

/* The last month of the 32 bits is no date: libmemcached writes -5 as 4294967291. */
#define DATE_MAX ((uint64_t)UINT32_MAX - 30u * 24 * 3600)

/* As memcached takes it: 64 bits are read, of which the low 32 count, so 4294967295 is -1. A date
 * after 2038 is the one exception: there it would be taken for one long past. */
static bool take_exptime(struct word word, int64_t *exptime) {
	uint64_t value;
	bool is_negative = word.length > 0 && word.bytes[0] == '-';
	if (is_negative) word = (struct word){word.bytes + 1, word.length - 1};
	if (!word_to_u64(word, &value) || value > (uint64_t)INT64_MAX) return false;
	bool is_date = !is_negative && value < DATE_MAX;
	*exptime = is_date ? (int64_t)value : (int32_t)(uint32_t)(is_negative ? 0 - value : value);
	return true;
}

/* The words of a storing line; its length was read before them, so that the value of a line that is
 * refused is not taken for commands. */
static bool take_store_words(const struct line *line, struct command *command) {
	struct operation *operation = &command->operation;
	uint64_t client_flags;
	if (!command_take_key(command, line->word[1])) return false;
	bool is_right = word_to_u64(line->word[2], &client_flags) &&
					take_exptime(line->word[3], &operation->exptime);
	if (is_right && operation->options & OPERATION_HAS_CAS_COMPARE)
		is_right = line->count > 5 && word_to_u64(line->word[5], &operation->cas_compare);
	if (is_right)
		operation->client_flags = (uint32_t)client_flags; /* the low 32 bits, as in memcached */
	else
		SAY(command, BAD_FORMAT);
	return is_right;
}

static void store(const struct line *line, enum store_mode mode, uint64_t item_max_bytes,
				  struct command *command) {
	struct operation *operation = &command->operation;
	uint64_t length;
	operation->kind = OPERATION_STORE;
	operation->mode = (uint8_t)mode;
	command->reply.form = ANSWER_STORE;
	if (!word_to_u64(line->word[4], &length) || length > LENGTH_MAX) {
		SAY(command, BAD_FORMAT);
		return;
	}
	bool is_right = take_store_words(line, command);
	if (is_right && length + operation->key.length <= item_max_bytes) {
		command->kind = COMMAND_OPERATION;
		operation->value_bytes = (uint32_t)length;
		return;
	}
	command->is_too_large = is_right;
	if (is_right) SAY(command, TOO_LARGE);
	bool removes_old = is_right && mode == STORE_SET && operation->options == 0;
	if (!removes_old) operation->key.length = 0;
	command->kind = COMMAND_SAY_SKIP;
	command->skip_bytes = length + 2;
}

static void parse_set(const struct line *line, size_t words, uint64_t item_max_bytes,
					  struct command *command) {
	(void)words;
	store(line, STORE_SET, item_max_bytes, command);
}

static void parse_add(const struct line *line, size_t words, uint64_t item_max_bytes,
					  struct command *command) {
	(void)words;
	store(line, STORE_ADD, item_max_bytes, command);
}

static void parse_replace(const struct line *line, size_t words, uint64_t item_max_bytes,
						  struct command *command) {
	(void)words;
	store(line, STORE_REPLACE, item_max_bytes, command);
}

static void parse_append(const struct line *line, size_t words, uint64_t item_max_bytes,
						 struct command *command) {
	(void)words;
	store(line, STORE_APPEND, item_max_bytes, command);
}

static void parse_prepend(const struct line *line, size_t words, uint64_t item_max_bytes,
						  struct command *command) {
	(void)words;
	store(line, STORE_PREPEND, item_max_bytes, command);
}

static void parse_cas(const struct line *line, size_t words, uint64_t item_max_bytes,
					  struct command *command) {
	(void)words;
	command->operation.options = OPERATION_HAS_CAS_COMPARE;
	store(line, STORE_SET, item_max_bytes, command);
}

/* ------------------------------------------------------------------ one key ---------------- */

static void parse_delete(const struct line *line, size_t words, uint64_t item_max_bytes,
						 struct command *command) {
	(void)item_max_bytes;
	/* Old clients send a time of 0. */
	if (words > 2 && !WORD_IS(line->word[2], "0")) {
		SAY(command, "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n");
		return;
	}
	if (!command_take_key(command, line->word[1])) return;
	command->kind = COMMAND_OPERATION;
	command->reply.form = ANSWER_DELETE;
	command->operation.kind = OPERATION_DELETE;
}

static void calculate(const struct line *line, uint16_t options, struct command *command) {
	if (!command_take_key(command, line->word[1])) return;
	if (!word_to_u64(line->word[2], &command->operation.delta)) {
		SAY(command, "CLIENT_ERROR invalid numeric delta argument\r\n");
		return;
	}
	command->kind = COMMAND_OPERATION;
	command->reply.form = ANSWER_NUMBER;
	command->operation.kind = OPERATION_ARITHMETIC;
	command->operation.options = options;
}

static void parse_incr(const struct line *line, size_t words, uint64_t item_max_bytes,
					   struct command *command) {
	(void)words;
	(void)item_max_bytes;
	calculate(line, 0, command);
}

static void parse_decr(const struct line *line, size_t words, uint64_t item_max_bytes,
					   struct command *command) {
	(void)words;
	(void)item_max_bytes;
	calculate(line, OPERATION_DECREMENTS, command);
}

static void parse_touch(const struct line *line, size_t words, uint64_t item_max_bytes,
						struct command *command) {
	(void)words;
	(void)item_max_bytes;
	if (!command_take_key(command, line->word[1])) return;
	if (!word_to_i32(line->word[2], &command->operation.exptime)) {
		SAY(command, "CLIENT_ERROR invalid exptime argument\r\n");
		return;
	}
	command->kind = COMMAND_OPERATION;
	command->reply.form = ANSWER_TOUCH;
	command->operation.kind = OPERATION_GET;
	command->operation.options = OPERATION_HAS_EXPTIME | OPERATION_IS_TOUCH | OPERATION_NO_STALE;
}

/* ------------------------------------------------------------------ no key ----------------- */

static void parse_flush_all(const struct line *line, size_t words, uint64_t item_max_bytes,
							struct command *command) {
	(void)item_max_bytes;
	command->operation.exptime = 0;
	if (words > 1 && !word_to_i32(line->word[1], &command->operation.exptime)) {
		SAY(command, "CLIENT_ERROR invalid exptime argument\r\n");
		return;
	}
	if (command->operation.exptime < 0) command->operation.exptime = 0;
	command->kind = COMMAND_FLUSH;
}

static void parse_verbosity(const struct line *line, size_t words, uint64_t item_max_bytes,
							struct command *command) {
	(void)item_max_bytes;
	command->operation.delta = 0;
	if (words > 1 && !word_to_u64(line->word[1], &command->operation.delta)) {
		SAY(command, BAD_FORMAT);
		return;
	}
	command->kind = COMMAND_VERBOSITY;
}

/* What is too little or too much is said by who knows how much there is. */
static void parse_cache_memlimit(const struct line *line, size_t words, uint64_t item_max_bytes,
								 struct command *command) {
	(void)words;
	(void)item_max_bytes;
	if (!word_to_u64(line->word[1], &command->operation.delta) ||
		command->operation.delta > UINT32_MAX) {
		SAY(command, "ERROR\r\n");
		return;
	}
	command->kind = COMMAND_MEMLIMIT;
}

static void parse_version(const struct line *line, size_t words, uint64_t item_max_bytes,
						  struct command *command) {
	(void)line;
	(void)words;
	(void)item_max_bytes;
	SAY(command, "VERSION " PROTOCOL_VERSION_TEXT "\r\n");
}

static void parse_quit(const struct line *line, size_t words, uint64_t item_max_bytes,
					   struct command *command) {
	(void)line;
	(void)words;
	(void)item_max_bytes;
	command->kind = COMMAND_QUIT;
}

static void parse_shutdown(const struct line *line, size_t words, uint64_t item_max_bytes,
						   struct command *command) {
	(void)item_max_bytes;
	bool is_graceful = words == 2 && WORD_IS(line->word[1], "graceful");
	command->kind = COMMAND_SHUTDOWN;
	command->operation.delta = words == 1    ? SHUTDOWN_PLAIN
							   : is_graceful ? SHUTDOWN_GRACEFUL
											 : SHUTDOWN_UNKNOWN;
}

static void parse_refresh_certs(const struct line *line, size_t words, uint64_t item_max_bytes,
								struct command *command) {
	(void)line;
	(void)words;
	(void)item_max_bytes;
	command->kind = COMMAND_REFRESH;
}

/* What stands behind the first word, as a whole. */
static void take_rest(const struct line *line, enum command_kind kind, struct command *command) {
	const struct word *last = &line->word[line->count - 1];
	command->kind = (uint8_t)kind;
	command->text = line->count > 1 ? line->word[1].bytes : last->bytes + last->length;
	command->text_bytes = (size_t)(last->bytes + last->length - command->text);
}

static void parse_stats(const struct line *line, size_t words, uint64_t item_max_bytes,
						struct command *command) {
	(void)words;
	(void)item_max_bytes;
	take_rest(line, COMMAND_STATS, command);
}

static void parse_snug(const struct line *line, size_t words, uint64_t item_max_bytes,
					   struct command *command) {
	(void)words;
	(void)item_max_bytes;
	take_rest(line, COMMAND_SNUG, command);
}

static void parse_lru_crawler(const struct line *line, size_t words, uint64_t item_max_bytes,
							  struct command *command) {
	(void)words;
	(void)item_max_bytes;
	take_rest(line, COMMAND_CRAWLER, command);
}

static void parse_watch(const struct line *line, size_t words, uint64_t item_max_bytes,
						struct command *command) {
	(void)words;
	(void)item_max_bytes;
	take_rest(line, COMMAND_WATCH, command);
}

/* ------------------------------------------------------------------ which ------------------ */

struct text_command {
	const char *name;
	size_t name_bytes;
	size_t words_min; /* fewer: ERROR */
	size_t words_max; /* noreply not counted; more: ERROR */
	bool may_be_quiet;
	parse_function parse;
};

#define TEXT_COMMAND(name, min, max, quiet) \
	{ #name, sizeof(#name) - 1, min, max, quiet, parse_##name }

static const struct text_command text_commands[] = {
	TEXT_COMMAND(set, 5, WORDS_MAX, true),
	TEXT_COMMAND(add, 5, WORDS_MAX, true),
	TEXT_COMMAND(replace, 5, WORDS_MAX, true),
	TEXT_COMMAND(append, 5, WORDS_MAX, true),
	TEXT_COMMAND(prepend, 5, WORDS_MAX, true),
	TEXT_COMMAND(cas, 5, WORDS_MAX, true),
	TEXT_COMMAND(delete, 2, 4, true),
	TEXT_COMMAND(incr, 3, 4, true),
	TEXT_COMMAND(decr, 3, 4, true),
	TEXT_COMMAND(touch, 3, 4, true),
	TEXT_COMMAND(flush_all, 1, 3, true),
	TEXT_COMMAND(verbosity, 2, 3, true),
	TEXT_COMMAND(cache_memlimit, 2, WORDS_MAX, true),
	TEXT_COMMAND(version, 1, WORDS_MAX, false),
	TEXT_COMMAND(quit, 1, WORDS_MAX, false),
	TEXT_COMMAND(shutdown, 1, 2, false),
	TEXT_COMMAND(refresh_certs, 1, WORDS_MAX, false),
	TEXT_COMMAND(stats, 1, WORDS_MAX, false),
	TEXT_COMMAND(snug, 1, WORDS_MAX, false),
	TEXT_COMMAND(watch, 1, WORDS_MAX, false),
	TEXT_COMMAND(lru_crawler, 2, WORDS_MAX, false),
};

_Static_assert(VERB_TEXT + sizeof text_commands / sizeof *text_commands < 'a',
			   "no row has the number of a meta command's letter");

const char *command_text_name(size_t row) {
	return row < sizeof text_commands / sizeof *text_commands ? text_commands[row].name : NULL;
}

bool command_text(const struct line *line, uint64_t item_max_bytes, struct command *command) {
	for (size_t i = 0; i < sizeof text_commands / sizeof *text_commands; i++) {
		const struct text_command *known = &text_commands[i];
		if (!word_is(line->word[0], known->name, known->name_bytes)) continue;
		size_t words = line->count;
		if (known->may_be_quiet && WORD_IS(line->word[words - 1], "noreply")) {
			command->reply.is_quiet = true;
			words--;
		}
		if (line->count < known->words_min || words > known->words_max) return false;
		command->verb = (uint8_t)(VERB_TEXT + i);
		known->parse(line, words, item_max_bytes, command);
		return true;
	}
	return false;
}
