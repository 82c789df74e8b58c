/* server/errand/errand_admission.c: what a client may say who has not been let in, or who may not do
 * all. See server/auth/auth.h.
 *
 *     a stranger      the command that says who he is; quit, and the binary version; nothing else
 *     a user          what his rights allow
 *     nobody asks     all but the operator's: such a client's commands do not come here, but for SASL
 *
 * A command is looked at when it has been parsed, before anything is done about it. One that says
 * who he is becomes COMMAND_LOGIN, with the value at its `text`: errand_login.c. */
#include "server/auth/auth.h"
#include "server/errand/errand.h"

#include <string.h>

void admission_grant(struct admission *admission, uint8_t rights) {
	admission->rights = rights;
	admission->is_restricted = (rights & AUTH_ITEM_RIGHTS) != AUTH_ITEM_RIGHTS;
}

bool admission_answer(struct admission *admission, uint8_t rights) {
	admission_grant(admission, rights);
	if (rights == 0) admission->refusals++;
	return admission->refusals >= AUTH_TRIES_MAX;
}

/* Its value has come. False: not yet. */
static bool take_value(struct command *command, char *told, const char *bytes, size_t length,
					   size_t *used) {
	size_t value_bytes = command->operation.value_bytes, end_bytes = command->reply.value_end_bytes;
	if (value_bytes > AUTH_BYTES_MAX) {
		command_refuse(command, REFUSED_TOO_LONG, told);
		return true;
	}
	if (length < value_bytes + end_bytes) return false;
	*used = value_bytes + end_bytes;
	if (memcmp(bytes + value_bytes, VALUE_END, end_bytes) != 0) {
		command->operation.value_bytes = 0; /* it has been taken */
		command->reply.is_quiet = false;
		command_refuse(command, REFUSED_BAD_END, told);
		if (command->kind == COMMAND_SAY_SKIP) command->kind = COMMAND_SAY;
		return true;
	}
	command->kind =
		COMMAND_LOGIN; /* what has begun ends when it is carried out: it may be parsed again */
	command->reply.is_quiet = false;
	command->text = bytes;
	command->text_bytes = value_bytes;
	return true;
}

static bool take_login(struct admission *admission, struct command *command, char *told,
					   const char *bytes, size_t length, size_t *used) {
	enum login_step step = command_login_step(command);
	bool is_wrong = false;
	switch (step) {
	case LOGIN_LIST:
		command_say_login(command, step, told);
		return true;
	case LOGIN_FIRST:
		admission->login_begun = true;
		command_say_login(command, step, told);
		return true;
	case LOGIN_LONG_MECHANISM:
		command_refuse(command, REFUSED_MECHANISM, told);
		return true;
	case LOGIN_NEXT:
		is_wrong = !admission->login_begun;
		break;
	case LOGIN_OTHER_MECHANISM:
		is_wrong = true;
		break;
	case LOGIN_VALUE:
		break;
	}
	if (!take_value(command, told, bytes, length, used)) return false;
	if (is_wrong && command->kind == COMMAND_LOGIN)
		command->text_bytes = 0; /* refused as what is wrong is: counted, and late */
	return true;
}

/* An end of a list says nothing that its keys have not. */
static bool is_stranger_allowed(const struct command *command) {
	return command->ends_list || command_is_for_strangers(command);
}

enum admission_verdict admission_look(struct admission *admission, bool has_users,
									  struct command *command, char *told, const char *bytes,
									  size_t length, size_t *used) {
	bool is_stranger = has_users && admission->rights == 0;
	*used = 0;
	if (command->kind == COMMAND_LOGIN && !has_users) {
		command_refuse(command, REFUSED_UNKNOWN, told);
		return ADMISSION_REFUSED;
	}
	if (command->kind == COMMAND_LOGIN || (is_stranger && command_is_login(command)))
		return take_login(admission, command, told, bytes, length, used) ? ADMISSION_TAKEN
																		 : ADMISSION_WAITS;
	bool is_allowed = is_stranger ? is_stranger_allowed(command)
								  : (errand_rights(command) & ~admission->rights) == 0;
	if (is_allowed) return ADMISSION_TAKEN;
	command_refuse(command, is_stranger ? REFUSED_STRANGER : REFUSED_NOT_ALLOWED, told);
	return ADMISSION_REFUSED;
}
