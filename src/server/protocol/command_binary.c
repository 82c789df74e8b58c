/* server/protocol/command_binary.c: binary packets to commands. See binary.h for the packet.
 *
 *     head -> is it one? -> which command -> its shape: extras, key, value -> the command
 *             no: the end                    wrong: an error, and the end
 *
 * One table says which commands there are, what each must have, whether it is quiet, and who reads
 * its extras. What is asked of a key is the same struct operation as of a line of text, so nobody
 * behind the parser knows which of the two it was.
 *
 * QUIET    A quiet command says nothing where all went as it usually does: stored, deleted, or, of a
 *          get, not there. Errors are said, and so is a value.
 * CAS      Each answer tells the item's CAS number, so each item that is asked for in this protocol
 *          gets one. A quiet store tells nothing, and its item gets none.
 *          A CAS number with set, add or replace makes it compare and swap, as in memcached.
 *
 * Laws     - The head decides. A key that is too long, or a shape that is wrong, is refused when the
 *            head is there: of a packet no more is kept than head, extras and key of what is right.
 *          - Where a packet ends is known, so what is refused is passed over. What has no such end,
 *            or lies about its lengths, ends the connection: what follows cannot be read.
 *          - memcached passes over too much behind an opcode that nobody has. Here it is the body,
 *            so what follows is answered. */
#include "server/protocol/binary.h"
#include "server/protocol/command_parts.h"
#include "server/protocol/protocol.h"

#include "base/bits.h"

_Static_assert(DECODED_KEY_BYTES >= BINARY_WORDS_BYTES, "a packet is told from there");

struct packet {
	uint8_t opcode;
	uint32_t key_bytes;
	uint32_t extras_bytes;
	uint32_t value_bytes;
	uint64_t cas;
	const char *extras; /* once they are there */
	const char *key;
	char *told; /* DECODED_KEY_BYTES of room for what is said at once */
	uint64_t item_max_bytes;
};

static void say(const struct packet *packet, enum binary_status status, struct command *command) {
	command->kind = COMMAND_SAY;
	command->text = packet->told;
	command->text_bytes = binary_say(&command->reply, status, packet->told);
}

static void fail(const struct packet *packet, enum binary_status status, struct command *command) {
	say(packet, status, command);
	command->kind = COMMAND_FAIL;
}

/* ------------------------------------------------------------------ one key ---------------- */

static void operate(const struct packet *packet, enum operation_kind kind,
					struct command *command) {
	struct operation *operation = &command->operation;
	command->kind = COMMAND_OPERATION;
	command->reply.form = ANSWER_BINARY;
	command->reply.shown_key = operation->key.bytes = packet->key;
	command->reply.shown_key_bytes = packet->key_bytes;
	operation->key.length = packet->key_bytes;
	operation->kind = (uint8_t)kind;
	bool tells_cas = kind == OPERATION_GET || !command->reply.is_quiet;
	operation->options = tells_cas ? OPERATION_WANTS_CAS : 0;
}

static void compare_cas(const struct packet *packet, struct command *command) {
	if (packet->cas == 0) return;
	command->operation.options |= OPERATION_HAS_CAS_COMPARE;
	command->operation.cas_compare = packet->cas;
}

static void parse_get(const struct packet *packet, struct command *command) {
	operate(packet, OPERATION_GET, command);
	command->operation.options |= OPERATION_NO_STALE;
	command->reply.wants_value = true;
}

static void parse_touch(const struct packet *packet, struct command *command) {
	parse_get(packet, command);
	command->operation.options |= OPERATION_HAS_EXPTIME;
	command->operation.exptime = binary_read_u32(packet->extras);
	if (packet->opcode != BINARY_TOUCH) return;
	command->operation.options |= OPERATION_IS_TOUCH;
	command->reply.wants_value = false;
}

/* The value is to come, or is passed over. A plain set that is too large takes the old value with
 * it (command_text.c). */
static void store(const struct packet *packet, enum store_mode mode, struct command *command) {
	struct operation *operation = &command->operation;
	operate(packet, OPERATION_STORE, command);
	operation->mode = (uint8_t)mode;
	operation->client_flags = 0;
	operation->exptime = 0;
	compare_cas(packet, command);
	if ((uint64_t)packet->value_bytes + packet->key_bytes <= packet->item_max_bytes) {
		operation->value_bytes = packet->value_bytes;
		return;
	}
	say(packet, BINARY_TOO_LARGE, command);
	command->kind = COMMAND_SAY_SKIP;
	command->skip_bytes = packet->value_bytes;
	command->is_too_large = true;
	if (mode != STORE_SET) operation->key.length = 0;
}

static void parse_store(const struct packet *packet, struct command *command) {
	bool adds = packet->opcode == BINARY_ADD || packet->opcode == BINARY_ADDQ;
	bool replaces = packet->opcode == BINARY_REPLACE || packet->opcode == BINARY_REPLACEQ;
	store(packet, adds ? STORE_ADD : replaces ? STORE_REPLACE : STORE_SET, command);
	command->operation.client_flags = binary_read_u32(packet->extras);
	command->operation.exptime = binary_read_u32(packet->extras + 4);
	if (packet->cas != 0) command->operation.mode = STORE_SET;
}

static void parse_extend(const struct packet *packet, struct command *command) {
	bool appends = packet->opcode == BINARY_APPEND || packet->opcode == BINARY_APPENDQ;
	store(packet, appends ? STORE_APPEND : STORE_PREPEND, command);
}

static void parse_delete(const struct packet *packet, struct command *command) {
	operate(packet, OPERATION_DELETE, command);
	command->operation.options = 0;
	compare_cas(packet, command);
}

#define NO_INITIAL UINT32_C(0xffffffff) /* as an expiry: what is not there is not made */

static void parse_arithmetic(const struct packet *packet, struct command *command) {
	struct operation *operation = &command->operation;
	uint32_t exptime = binary_read_u32(packet->extras + 16);
	operate(packet, OPERATION_ARITHMETIC, command);
	operation->delta = binary_read_u64(packet->extras);
	operation->initial = binary_read_u64(packet->extras + 8);
	operation->vivify_exptime = exptime;
	if (exptime != NO_INITIAL) operation->options |= OPERATION_HAS_VIVIFY;
	if (packet->opcode == BINARY_DECREMENT || packet->opcode == BINARY_DECREMENTQ)
		operation->options |= OPERATION_DECREMENTS;
	compare_cas(packet, command);
}

/* ------------------------------------------------------------------ no key ----------------- */

static void parse_noop(const struct packet *packet, struct command *command) {
	say(packet, BINARY_OK, command);
}

static void parse_quit(const struct packet *packet, struct command *command) {
	fail(packet, BINARY_OK, command);
	if (command->reply.is_quiet) command->text_bytes = 0;
}

static void parse_flush(const struct packet *packet, struct command *command) {
	command->kind = COMMAND_FLUSH;
	command->operation.exptime = packet->extras_bytes > 0 ? binary_read_u32(packet->extras) : 0;
}

static void parse_verbosity(const struct packet *packet, struct command *command) {
	command->kind = COMMAND_VERBOSITY;
	command->operation.delta = binary_read_u32(packet->extras);
}

static void parse_stat(const struct packet *packet, struct command *command) {
	command->kind = COMMAND_STATS;
	command->text = packet->key;
	command->text_bytes = packet->key_bytes;
}

static void parse_version(const struct packet *packet, struct command *command) {
	static const char version[] = PROTOCOL_VERSION_TEXT;
	command->kind = COMMAND_SAY;
	command->text = packet->told;
	command->text_bytes =
		binary_say_text(&command->reply, version, sizeof version - 1, packet->told);
}

static void parse_login(const struct packet *packet, struct command *command) {
	command->kind = COMMAND_LOGIN;
	command->text = packet->key;
	command->text_bytes = packet->key_bytes;
	command->operation.value_bytes = packet->value_bytes;
}

/* ------------------------------------------------------------------ which ------------------ */

enum part { PART_NONE, PART_NEEDED, PART_MAYBE };

struct binary_command {
	void (*parse)(const struct packet *packet, struct command *command); /* NULL: no such command */
	uint8_t key;                                                         /* enum part */
	uint8_t value;                                                       /* enum part */
	uint8_t extras_bytes;
	bool may_lack_extras;
	bool is_quiet;
};

#define GET(quiet) \
	{ parse_get, PART_NEEDED, PART_NONE, 0, false, quiet }
#define TOUCH(quiet) \
	{ parse_touch, PART_NEEDED, PART_NONE, 4, false, quiet }
#define STORE(quiet) \
	{ parse_store, PART_NEEDED, PART_MAYBE, 8, false, quiet }
#define EXTEND(quiet) \
	{ parse_extend, PART_NEEDED, PART_MAYBE, 0, false, quiet }
#define DELETE(quiet) \
	{ parse_delete, PART_NEEDED, PART_NONE, 0, false, quiet }
#define ARITHMETIC(quiet) \
	{ parse_arithmetic, PART_NEEDED, PART_NONE, 20, false, quiet }
#define KEYLESS(function, extras, lacks, quiet) \
	{ function, PART_NONE, PART_NONE, extras, lacks, quiet }

static const struct binary_command binary_commands[BINARY_OPCODE_COUNT] = {
	[BINARY_GET] = GET(false),
	[BINARY_GETQ] = GET(true),
	[BINARY_GETK] = GET(false),
	[BINARY_GETKQ] = GET(true),
	[BINARY_TOUCH] = TOUCH(false),
	[BINARY_GAT] = TOUCH(false),
	[BINARY_GATQ] = TOUCH(true),
	[BINARY_GATK] = TOUCH(false),
	[BINARY_GATKQ] = TOUCH(true),
	[BINARY_SET] = STORE(false),
	[BINARY_SETQ] = STORE(true),
	[BINARY_ADD] = STORE(false),
	[BINARY_ADDQ] = STORE(true),
	[BINARY_REPLACE] = STORE(false),
	[BINARY_REPLACEQ] = STORE(true),
	[BINARY_APPEND] = EXTEND(false),
	[BINARY_APPENDQ] = EXTEND(true),
	[BINARY_PREPEND] = EXTEND(false),
	[BINARY_PREPENDQ] = EXTEND(true),
	[BINARY_DELETE] = DELETE(false),
	[BINARY_DELETEQ] = DELETE(true),
	[BINARY_INCREMENT] = ARITHMETIC(false),
	[BINARY_INCREMENTQ] = ARITHMETIC(true),
	[BINARY_DECREMENT] = ARITHMETIC(false),
	[BINARY_DECREMENTQ] = ARITHMETIC(true),
	[BINARY_NOOP] = KEYLESS(parse_noop, 0, false, false),
	[BINARY_VERSION] = KEYLESS(parse_version, 0, false, false),
	[BINARY_QUIT] = KEYLESS(parse_quit, 0, false, false),
	[BINARY_QUITQ] = KEYLESS(parse_quit, 0, false, true),
	[BINARY_FLUSH] = KEYLESS(parse_flush, 4, true, false),
	[BINARY_FLUSHQ] = KEYLESS(parse_flush, 4, true, true),
	[BINARY_VERBOSITY] = KEYLESS(parse_verbosity, 4, false, false),
	[BINARY_SASL_LIST] = KEYLESS(parse_login, 0, false, false),
	[BINARY_SASL_AUTH] = {parse_login, PART_NEEDED, PART_MAYBE, 0, false, false},
	[BINARY_SASL_STEP] = {parse_login, PART_NEEDED, PART_MAYBE, 0, false, false},
	[BINARY_STAT] = {parse_stat, PART_MAYBE, PART_NONE, 0, false, false},
};

static bool is_there(enum part part, uint32_t bytes) {
	return part == PART_MAYBE || (part == PART_NEEDED) == (bytes > 0);
}

static bool has_shape(const struct packet *packet, const struct binary_command *known) {
	bool has_extras = packet->extras_bytes == known->extras_bytes ||
					  (known->may_lack_extras && packet->extras_bytes == 0);
	return has_extras && packet->key_bytes <= SNUG_KEY_BYTES_MAX &&
		   is_there((enum part)known->key, packet->key_bytes) &&
		   is_there((enum part)known->value, packet->value_bytes);
}

/* False: its lengths are wrong, and the command says so. */
static bool read_head(const char *bytes, struct packet *packet, struct command *command) {
	uint32_t body_bytes = binary_read_u32(bytes + BINARY_BODY_AT);
	packet->opcode = (uint8_t)bytes[1];
	packet->key_bytes = binary_read_u16(bytes + BINARY_KEY_AT);
	packet->extras_bytes = (uint8_t)bytes[BINARY_EXTRAS_AT];
	packet->cas = binary_read_u64(bytes + BINARY_CAS_AT);
	command->reply.opcode = packet->opcode;
	memcpy(&command->reply.token, bytes + BINARY_OPAQUE_AT, sizeof command->reply.token);
	uint32_t named_bytes = packet->key_bytes + packet->extras_bytes;
	if (named_bytes > body_bytes)
		fail(packet, BINARY_UNKNOWN_COMMAND, command);
	else if (body_bytes > BINARY_BODY_MAX)
		fail(packet, BINARY_INVALID, command);
	else
		packet->value_bytes = body_bytes - named_bytes;
	return named_bytes <= body_bytes && body_bytes <= BINARY_BODY_MAX;
}

static const struct binary_command *find(uint8_t opcode) {
	if (opcode >= BINARY_OPCODE_COUNT || binary_commands[opcode].parse == NULL) return NULL;
	return &binary_commands[opcode];
}

/* An opcode that nobody has: its body is passed over. */
static void refuse(const struct packet *packet, struct command *command) {
	say(packet, BINARY_UNKNOWN_COMMAND, command);
	command->skip_bytes = (uint64_t)packet->extras_bytes + packet->key_bytes + packet->value_bytes;
	if (command->skip_bytes > 0) command->kind = COMMAND_SAY_SKIP;
}

/* What no packet begins with. memcached, too, ends the connection without a word. */
static bool refuse_stranger(size_t length, struct command *command, size_t *used) {
	*used = length;
	command->kind = COMMAND_FAIL;
	command->text = NULL;
	command->text_bytes = 0;
	return true;
}

bool command_binary(const char *bytes, size_t length, uint64_t item_max_bytes, char *told,
					struct command *command, size_t *used) {
	struct packet packet = {.told = told, .item_max_bytes = item_max_bytes};
	*used = 0;
	command->reply.value_end_bytes = 0;
	if (UNLIKELY((unsigned char)bytes[0] != BINARY_ASKED))
		return refuse_stranger(length, command, used);
	if (length < BINARY_HEAD_BYTES) return false;
	if (!read_head(bytes, &packet, command)) {
		*used = length;
		return true;
	}
	const struct binary_command *known = find(packet.opcode);
	if (UNLIKELY(known == NULL)) {
		*used = BINARY_HEAD_BYTES;
		refuse(&packet, command);
		return true;
	}
	if (UNLIKELY(!has_shape(&packet, known))) {
		*used = length;
		fail(&packet, BINARY_INVALID, command);
		return true;
	}
	size_t head_bytes = BINARY_HEAD_BYTES + packet.extras_bytes + packet.key_bytes;
	if (length < head_bytes) return false;
	*used = head_bytes;
	packet.extras = bytes + BINARY_HEAD_BYTES;
	packet.key = packet.extras + packet.extras_bytes;
	command->reply.is_quiet = known->is_quiet;
	known->parse(&packet, command);
	return true;
}

const char *command_binary_name(size_t opcode) {
	static const char *const names[BINARY_OPCODE_COUNT] = {
		[BINARY_GET] = "get",
		[BINARY_SET] = "set",
		[BINARY_ADD] = "add",
		[BINARY_REPLACE] = "replace",
		[BINARY_DELETE] = "delete",
		[BINARY_INCREMENT] = "increment",
		[BINARY_DECREMENT] = "decrement",
		[BINARY_QUIT] = "quit",
		[BINARY_FLUSH] = "flush",
		[BINARY_GETQ] = "getq",
		[BINARY_NOOP] = "noop",
		[BINARY_VERSION] = "version",
		[BINARY_GETK] = "getk",
		[BINARY_GETKQ] = "getkq",
		[BINARY_APPEND] = "append",
		[BINARY_PREPEND] = "prepend",
		[BINARY_STAT] = "stat",
		[BINARY_SETQ] = "setq",
		[BINARY_ADDQ] = "addq",
		[BINARY_REPLACEQ] = "replaceq",
		[BINARY_DELETEQ] = "deleteq",
		[BINARY_INCREMENTQ] = "incrementq",
		[BINARY_DECREMENTQ] = "decrementq",
		[BINARY_QUITQ] = "quitq",
		[BINARY_FLUSHQ] = "flushq",
		[BINARY_APPENDQ] = "appendq",
		[BINARY_PREPENDQ] = "prependq",
		[BINARY_VERBOSITY] = "verbosity",
		[BINARY_TOUCH] = "touch",
		[BINARY_GAT] = "gat",
		[BINARY_GATQ] = "gatq",
		[BINARY_SASL_LIST] = "sasl_list",
		[BINARY_SASL_AUTH] = "sasl_auth",
		[BINARY_SASL_STEP] = "sasl_step",
		[BINARY_GATK] = "gatk",
		[BINARY_GATKQ] = "gatkq",
	};
	return opcode < BINARY_OPCODE_COUNT ? names[opcode] : NULL;
}
