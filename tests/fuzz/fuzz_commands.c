/* fuzz_commands.c: bytes of a client into the parser, and its commands into answers.
 *
 * What must hold for any bytes: the parser reads nothing beyond them (they lie in a block of just
 * that size, for AddressSanitizer to watch); it comes to an end; the same bytes in pieces give the
 * same commands as in one; a command's pointers lead into the bytes; no answer is longer than it
 * may be. The first byte says how long the pieces are. */
#include "server/protocol/answer.h"
#include "support/require.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MUST(condition) REQUIRE(condition, "does not hold: %s", #condition)

#define ITEM_BYTES_MAX 1000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a run of the parser has said, folded into one number, and how far it came. */
struct trace {
	uint64_t hash;
	size_t commands;
	size_t at;
	bool is_over; /* quit, or a failure */
};

static void fold(struct trace *trace, const void *bytes, size_t length) {
	const unsigned char *at = bytes;
	for (size_t i = 0; i < length; i++)
		trace->hash = (trace->hash ^ at[i]) * UINT64_C(0x100000001b3);
}

static void fold_number(struct trace *trace, uint64_t number) {
	fold(trace, &number, sizeof number);
}

static bool lies_in(const char *pointer, size_t length, const char *bytes, size_t size) {
	return length == 0 || (pointer >= bytes && pointer + length <= bytes + size);
}

static void try_answers(struct command *command) {
	char *text = malloc(ANSWER_BYTES_MAX);
	bool has_value;
	struct operation *operation = &command->operation;
	MUST(text != NULL);
	memset(&operation->item, 0, sizeof operation->item);
	operation->item.attributes.client_flags = UINT32_MAX;
	operation->cas = operation->number = UINT64_MAX;
	operation->ttl_s = INT32_MAX;
	operation->marks = OPERATION_WON | OPERATION_STALE | OPERATION_WON_BEFORE;
	for (uint8_t status = 0; status < STATUS_COUNT; status++) {
		operation->status = status;
		MUST(answer_head(&command->reply, operation, text, &has_value) <= ANSWER_BYTES_MAX);
	}
	free(text);
}

/* What others have made as lines: whole, and with a line that does not end. */
static void try_lines(const struct reply *reply, const char *lines) {
	char line[ANSWER_LINE_BYTES];
	struct text text = {0};
	text_append(&text, lines, strlen(lines));
	answer_lines(reply, &text);
	MUST(!text.failed);
	text_deinit(&text);
	MUST(answer_line(reply, lines, strlen(lines), line) <= ANSWER_LINE_BYTES);
}

static void fold_operation(struct trace *trace, struct command *command, const char *bytes,
						   size_t size) {
	const struct operation *operation = &command->operation;
	MUST(operation->key.length > 0 && operation->key.length <= SNUG_KEY_BYTES_MAX);
	MUST(command->reply.is_base64 ||
		 lies_in(operation->key.bytes, operation->key.length, bytes, size));
	MUST(lies_in(command->reply.shown_key, command->reply.shown_key_bytes, bytes, size));
	MUST(command->reply.shown_key_bytes <= SHOWN_KEY_BYTES_MAX);
	MUST(command->reply.flag_count <= REPLY_FLAGS_MAX &&
		 command->reply.opaque_bytes <= OPAQUE_BYTES_MAX);
	MUST(command->reply.opaque_bytes == 0 ||
		 lies_in(command->reply.opaque, command->reply.opaque_bytes, bytes, size));
	MUST(operation->value_bytes + operation->key.length <= ITEM_BYTES_MAX);
	fold(trace, operation->key.bytes, operation->key.length);
	fold(trace, command->reply.flag, command->reply.flag_count);
	if (command->reply.opaque_bytes > 0)
		fold(trace, command->reply.opaque, command->reply.opaque_bytes);
	fold_number(trace, operation->kind);
	fold_number(trace, operation->options);
	fold_number(trace, operation->value_bytes);
	fold_number(trace, command->reply.form);
	fold_number(trace, command->reply.ends_list);
	try_answers(command);
}

/* What becomes of it for who may not have it, or must say who he is first. */
static void try_refusals(const struct command *command) {
	static const enum command_refusal reasons[] = {REFUSED_STRANGER, REFUSED_NOT_ALLOWED,
												   REFUSED_UNKNOWN,  REFUSED_MECHANISM,
												   REFUSED_TOO_LONG, REFUSED_BAD_END};
	char told[DECODED_KEY_BYTES];
	struct login login;
	bool is_login = command_is_login(command);
	if (command->kind == COMMAND_LOGIN) (void)command_login_step(command);
	for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
		struct command refused = *command;
		command_refuse(&refused, reasons[i], told);
		MUST(refused.kind == COMMAND_SAY || refused.kind == COMMAND_SAY_SKIP ||
			 refused.kind == COMMAND_FAIL);
		MUST(refused.kind != COMMAND_SAY_SKIP || refused.skip_bytes > 0);
		MUST(refused.operation.key.length == 0 && !refused.is_too_large);
		MUST(!is_login || refused.kind == COMMAND_FAIL || refused.kind == COMMAND_SAY_SKIP ||
			 command->operation.value_bytes + command->reply.value_end_bytes == 0);
	}
	(void)command_is_for_strangers(command);
	if (command->kind == COMMAND_LOGIN && command_read_login(command, &login))
		MUST(login.name_bytes > 0 && login.password_bytes > 0 &&
			 lies_in(login.name, login.name_bytes, command->text, command->text_bytes) &&
			 lies_in(login.password, login.password_bytes, command->text, command->text_bytes));
}

static void take(struct trace *trace, struct command *command, const char *bytes, size_t size) {
	trace->commands++;
	fold_number(trace, command->kind);
	try_refusals(command);
	fold_number(trace, command->reply.is_quiet);
	fold_number(trace, command->reply.value_end_bytes);
	if (reply_is_binary(&command->reply)) fold_number(trace, command->reply.token);
	try_lines(&command->reply, "STAT a b c\r\nSTAT d\r\nEND\r\n");
	try_lines(&command->reply, "CLIENT_ERROR no");
	if (command->kind == COMMAND_OPERATION)
		fold_operation(trace, command, bytes, size);
	else if (command->kind == COMMAND_SAY || command->kind == COMMAND_SAY_SKIP ||
			 command->kind == COMMAND_FAIL)
		fold(trace, command->text, command->text_bytes);
	else if (command->kind == COMMAND_STATS || command->kind == COMMAND_SNUG ||
			 command->kind == COMMAND_CRAWLER || command->kind == COMMAND_WATCH ||
			 command->kind == COMMAND_LOGIN)
		MUST(lies_in(command->text, command->text_bytes, bytes, size));
	trace->is_over = command->kind == COMMAND_QUIT || command->kind == COMMAND_FAIL;
	if (command->kind == COMMAND_SAY_SKIP) trace->at += command->skip_bytes;
	if (command->kind == COMMAND_LOGIN) trace->at += command->operation.value_bytes;
	if (command->kind == COMMAND_OPERATION && command->operation.kind == OPERATION_STORE)
		trace->at += command->operation.value_bytes + command->reply.value_end_bytes;
}

/* `piece` bytes more each time. */
static struct trace run(const char *bytes, size_t size, size_t piece) {
	struct trace trace = {.hash = 1};
	struct parser parser = {0};
	char decoded[DECODED_KEY_BYTES];
	for (size_t end = piece < size ? piece : size;; end = end + piece < size ? end + piece : size) {
		while (trace.at < end && !trace.is_over) {
			struct command command;
			size_t used = 0;
			/* Just what has come: what lies behind it is not there yet. */
			char *part = malloc(end - trace.at);
			MUST(part != NULL);
			memcpy(part, bytes + trace.at, end - trace.at);
			bool whole = parser_next(&parser, part, end - trace.at, ITEM_BYTES_MAX, decoded,
									 &command, &used);
			MUST(used <= end - trace.at);
			size_t length = end - trace.at;
			trace.at += used;
			if (whole) take(&trace, &command, part, length);
			free(part);
			if (!whole) break;
			MUST(used > 0);
		}
		if (end == size || trace.is_over) return trace;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	if (size < 2) return 0;
	const char *bytes = (const char *)data + 1;
	size_t piece = 1 + data[0];
	struct trace whole = run(bytes, size - 1, size - 1);
	struct trace pieces = run(bytes, size - 1, piece);
	MUST(whole.commands == pieces.commands);
	MUST(whole.hash == pieces.hash);
	return 0;
}
