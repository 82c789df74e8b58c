/* server/protocol/command_login.c: commands of clients who must say who they are, or who may not do
 * all: which one says it, and what the others are told.
 *
 *     text     set anything 0 0 8\r\nuser pwd\r\n       STORED, or CLIENT_ERROR authentication failure
 *     binary   SASL auth PLAIN \0user\0pwd              Authenticated, or Auth failure.
 *
 * Both are memcached's. In text any key, flags and time will do. In binary a PLAIN without a value
 * is asked to go on, and its next step brings the value.
 *
 * What is refused is passed over with its value, so that a value is never carried out. Nothing of
 * it is done: the old item stays, too. */
#include "server/protocol/binary.h"
#include "server/protocol/command_parts.h"

#define PLAIN "PLAIN"
#define MECHANISM_BYTES_MAX 32u /* as memcached */

bool command_is_for_strangers(const struct command *command) {
	if (command->kind == COMMAND_QUIT || command->kind == COMMAND_FAIL) return true;
	return reply_is_binary(&command->reply) && command->reply.opcode == BINARY_VERSION;
}

bool command_is_login(const struct command *command) {
	const struct operation *operation = &command->operation;
	if (command->kind == COMMAND_LOGIN) return true;
	return command->kind == COMMAND_OPERATION && operation->kind == OPERATION_STORE &&
		   command->reply.form == ANSWER_STORE && operation->mode == STORE_SET &&
		   (operation->options & OPERATION_HAS_CAS_COMPARE) == 0;
}

static enum binary_status status_of(enum command_refusal why) {
	switch (why) {
	case REFUSED_UNKNOWN:
		return BINARY_UNKNOWN_COMMAND;
	case REFUSED_MECHANISM:
	case REFUSED_TOO_LONG:
		return BINARY_INVALID;
	case REFUSED_STRANGER:
	case REFUSED_NOT_ALLOWED:
	case REFUSED_BAD_END:
		break;
	}
	return BINARY_NOT_ALLOWED;
}

static void say_refusal(struct command *command, enum command_refusal why) {
	switch (why) {
	case REFUSED_STRANGER:
		SAY(command, "CLIENT_ERROR unauthenticated\r\n");
		break;
	case REFUSED_TOO_LONG:
		SAY(command, "CLIENT_ERROR auth token too long\r\n");
		break;
	case REFUSED_BAD_END:
		SAY(command, "CLIENT_ERROR bad command line termination\r\n");
		break;
	case REFUSED_NOT_ALLOWED:
		SAY(command, "CLIENT_ERROR not allowed for this user\r\n");
		break;
	case REFUSED_UNKNOWN:
	case REFUSED_MECHANISM:
		SAY(command, "CLIENT_ERROR authentication failure\r\n");
		break;
	}
}

/* Of its value, in the input. */
static uint64_t bytes_to_come(const struct command *command) {
	if (command->kind == COMMAND_SAY_SKIP) return command->skip_bytes;
	bool has_value = command->kind == COMMAND_LOGIN || (command->kind == COMMAND_OPERATION &&
														command->operation.kind == OPERATION_STORE);
	return has_value ? (uint64_t)command->operation.value_bytes + command->reply.value_end_bytes
					 : 0;
}

void command_refuse(struct command *command, enum command_refusal why, char *told) {
	uint64_t skip_bytes = bytes_to_come(command);
	bool is_meta = command->kind == COMMAND_OPERATION && command->reply.form >= ANSWER_META_GET;
	if (why == REFUSED_STRANGER || is_meta) command->reply.is_quiet = false;
	if (reply_is_binary(&command->reply)) {
		command->text = told;
		command->text_bytes = binary_say(&command->reply, status_of(why), told);
		command->kind = why == REFUSED_STRANGER ? COMMAND_FAIL : COMMAND_SAY;
	} else {
		say_refusal(command, why);
	}
	command->is_too_large = false;
	command->operation.key.length = 0; /* nothing is removed */
	command->skip_bytes = skip_bytes;
	if (skip_bytes > 0 && command->kind == COMMAND_SAY) command->kind = COMMAND_SAY_SKIP;
}

enum login_step command_login_step(const struct command *command) {
	if (!reply_is_binary(&command->reply)) return LOGIN_VALUE;
	if (command->reply.opcode == BINARY_SASL_LIST) return LOGIN_LIST;
	if (command->text_bytes > MECHANISM_BYTES_MAX) return LOGIN_LONG_MECHANISM;
	if (command->text_bytes != sizeof PLAIN - 1 ||
		memcmp(command->text, PLAIN, sizeof PLAIN - 1) != 0)
		return LOGIN_OTHER_MECHANISM;
	if (command->reply.opcode == BINARY_SASL_STEP) return LOGIN_NEXT;
	return command->operation.value_bytes == 0 ? LOGIN_FIRST : LOGIN_VALUE;
}

void command_say_login(struct command *command, enum login_step step, char *told) {
	command->kind = COMMAND_SAY;
	command->text = told;
	command->text_bytes = step == LOGIN_LIST
							  ? binary_say_text(&command->reply, PLAIN, sizeof PLAIN - 1, told)
							  : binary_say(&command->reply, BINARY_GO_ON, told);
}

/* "user password": the user has no blank. PLAIN: somebody to act for, whom nobody looks at, and the
 * two, with a zero byte before each. */
bool command_read_login(const struct command *command, struct login *login) {
	const char *at = command->text, *end = at + command->text_bytes;
	const char between = reply_is_binary(&command->reply) ? '\0' : ' ';
	if (at != end && reply_is_binary(&command->reply)) {
		at = memchr(at, '\0', (size_t)(end - at));
		if (at == NULL) return false;
		at++;
	}
	const char *middle = at == end ? NULL : memchr(at, between, (size_t)(end - at));
	if (middle == NULL) return false;
	*login = (struct login){.name = at,
							.name_bytes = (size_t)(middle - at),
							.password = middle + 1,
							.password_bytes = (size_t)(end - middle - 1)};
	return login->name_bytes > 0 && login->password_bytes > 0;
}
