/* server/errand/errand_door.c: which commands are the operator's.
 *
 *     taken                           on the control socket    elsewhere
 *     snug limit, defrag, emergency,  always                   with --open-commands
 *       schedule, cancel, check,
 *       clients kill
 *     verbosity, cache_memlimit,      always                   with --open-commands
 *       refresh_certs
 *     shutdown                        always                   with --enable-shutdown (-A), as in
 *                                                              memcached
 *     snug items, bigkeys, hotkeys,   always                   unless --disable-dumping (-X)
 *       slow, stats cachedump, stats                           or --control-only
 *       detail, lru_crawler metadump,
 *       mgdump
 *     watch                           never: it takes questions    unless --disable-watch (-W) or
 *                                     and tells answers           --control-only
 *     other snug commands, which tell always                   unless --control-only
 *
 * A user who has the right to operate has them on any connection.
 *
 * What is above changes the server, or has it work for long: whoever can reach a port of a cache
 * may change its items, and shall not be able to stop or shrink it. The refusal names the socket:
 * whoever may use it shall not have to search. That of shutdown does not, because memcached's
 * clients know it. HTTP has rules of its own (http/http_access.h). */
#include "base/assert.h"
#include "server/auth/auth.h"
#include "server/errand/errand_parts.h"

#include <stdio.h>
#include <string.h>

/* What stands behind `snug` begins with that word. */
static bool asks_for(const struct command *command, const char *name) {
	const char *end = memchr(command->text, ' ', command->text_bytes);
	size_t length = end != NULL ? (size_t)(end - command->text) : command->text_bytes;
	return strlen(name) == length && memcmp(name, command->text, length) == 0;
}

bool errand_is_dump(const struct command *command) {
	switch ((enum command_kind)command->kind) {
	case COMMAND_SNUG:
		return asks_for(command, "items") || asks_for(command, "bigkeys") ||
			   asks_for(command, "hotkeys") || asks_for(command, "slow");
	case COMMAND_STATS:
		return asks_for(command, "cachedump");
	case COMMAND_CRAWLER:
		return asks_for(command, "metadump") || asks_for(command, "mgdump");
	default:
		return false;
	}
}

static bool changes_server(const struct command *command) {
	static const char *const names[] = {"limit",    "defrag", "emergency",
										"schedule", "cancel", "check"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (asks_for(command, names[i])) return true;
	struct line words;
	line_split(&words, command->text, command->text_bytes);
	return words_is(&words, 0, "clients") && words_is(&words, 1, "kill");
}

/* memcached's words, and no others: its clients compare them. */
static const char shutdown_sentence[] = "SERVER_ERROR: shutdown not enabled";
static const char watch_sentence[] = "CLIENT_ERROR watch commands not allowed";

/* By the prefixes of its keys. */
static bool is_detail(const struct command *command) {
	return command->kind == COMMAND_STATS && asks_for(command, "detail");
}

static const char *dump_sentence(const struct command *command) {
	if (is_detail(command)) return "CLIENT_ERROR stats detail not allowed";
	if (command->kind == COMMAND_STATS) return "CLIENT_ERROR stats cachedump not allowed";
	return asks_for(command, "mgdump") ? "ERROR key dump not allowed"
									   : "ERROR metadump not allowed";
}

/* The socket that takes it is named behind it. */
static const char sentence[] = "CLIENT_ERROR an operator's command";

/* The sentence that the command is refused with; NULL: it is taken. */
static const char *find_sentence(const struct settings *settings, const struct command *command) {
	switch ((enum command_kind)command->kind) {
	case COMMAND_SHUTDOWN:
		return settings->enable_shutdown ? NULL : shutdown_sentence;
	case COMMAND_MEMLIMIT:
	case COMMAND_REFRESH:
	case COMMAND_VERBOSITY:
		return settings->open_commands ? NULL : sentence;
	case COMMAND_WATCH:
		return settings->no_watch || settings->control_only ? watch_sentence : NULL;
	case COMMAND_CRAWLER:
	case COMMAND_STATS:
		if (!errand_is_dump(command) && !is_detail(command)) return NULL;
		return settings->no_dump || settings->control_only ? dump_sentence(command) : NULL;
	case COMMAND_SNUG:
		if (settings->control_only) return sentence;
		if (settings->no_dump && errand_is_dump(command)) return sentence;
		return settings->open_commands || !changes_server(command) ? NULL : sentence;
	default:
		return NULL;
	}
}

size_t errand_refusal(const struct settings *settings, const struct command *command,
					  char refusal[ERRAND_REFUSAL_ROOM]) {
	const char *begin = find_sentence(settings, command);
	if (begin == NULL) return 0;
	int length =
		begin != sentence ? snprintf(refusal, ERRAND_REFUSAL_ROOM, "%s\r\n", begin)
		: settings_has_control_path(settings)
			? snprintf(refusal, ERRAND_REFUSAL_ROOM, "%s; the control socket takes it: %s\r\n",
					   begin, settings->control_path)
			: snprintf(refusal, ERRAND_REFUSAL_ROOM, "%s; there is no control socket\r\n", begin);
	SNUG_ASSERT(length > 0 && (size_t)length < ERRAND_REFUSAL_ROOM);
	return (size_t)length;
}

/* ------------------------------------------------------------------ rights ----------------- */

/* What tells of an item needs read, what changes one needs write; so a number that is counted up and
 * told needs both. */
static uint8_t operation_rights(const struct operation *operation) {
	const unsigned changes = OPERATION_HAS_EXPTIME | OPERATION_HAS_VIVIFY | OPERATION_HAS_RECACHE;
	switch ((enum operation_kind)operation->kind) {
	case OPERATION_GET:
		return (operation->options & changes) != 0 ? AUTH_READ | AUTH_WRITE : AUTH_READ;
	case OPERATION_INSPECT:
		return AUTH_READ;
	case OPERATION_ARITHMETIC:
		return AUTH_READ | AUTH_WRITE;
	case OPERATION_STORE:
	case OPERATION_DELETE:
	case OPERATION_KIND_COUNT:
		break;
	}
	return AUTH_WRITE;
}

uint8_t errand_rights(const struct command *command) {
	if (command->kind == COMMAND_OPERATION) return operation_rights(&command->operation);
	/* the old item goes with a value that is too large */
	if (command->kind == COMMAND_SAY_SKIP)
		return command->operation.key.length > 0 ? AUTH_WRITE : 0;
	if (errand_is_dump(command) || is_detail(command)) return AUTH_READ;
	if (command->kind == COMMAND_WATCH) return AUTH_OPERATE;
	return command->kind == COMMAND_FLUSH ? AUTH_FLUSH : 0;
}
