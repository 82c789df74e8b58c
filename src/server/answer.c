/* server/answer.c: answers in words; those of meta commands are answer_meta.c's. */
#include "server/answer_parts.h"

#include "base/bits.h"

#include <string.h>

/* ------------------------------------------------------------------ parts ------------------ */

char *put_u64(char *at, uint64_t number) {
	char reversed[20];
	size_t length = 0;
	do {
		reversed[length++] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	while (length > 0) *at++ = reversed[--length];
	return at;
}

char *put_bytes(char *at, const char *bytes, size_t length) {
	memcpy(at, bytes, length);
	return at + length;
}

/* ------------------------------------------------------------------ words ------------------ */

#define WORDS(literal)               \
	(struct words) {                 \
		literal, sizeof(literal) - 1 \
	}

struct words {
	const char *text;
	size_t length;
};

static struct words words_of(const struct command *command) {
	switch ((enum operation_status)command->operation.status) {
	case STATUS_FOUND:
		return WORDS("TOUCHED\r\n");
	case STATUS_STORED:
		return WORDS("STORED\r\n");
	case STATUS_DONE:
		return WORDS("DELETED\r\n");
	case STATUS_NOT_FOUND:
		return WORDS("NOT_FOUND\r\n");
	case STATUS_NOT_STORED:
		return WORDS("NOT_STORED\r\n");
	case STATUS_EXISTS:
		return WORDS("EXISTS\r\n");
	case STATUS_NOT_A_NUMBER:
		return WORDS("CLIENT_ERROR cannot increment or decrement non-numeric value\r\n");
	case STATUS_TOO_LARGE:
		return WORDS("SERVER_ERROR object too large for cache\r\n");
	case STATUS_BAD_KEY:
		return WORDS("CLIENT_ERROR bad command line format\r\n");
	case STATUS_NO_MEMORY:
	case STATUS_COUNT:
		break;
	}
	if (command->operation.kind == OPERATION_STORE) return WORDS("SERVER_ERROR out of memory storing object\r\n");
	if (command->operation.kind == OPERATION_GET) return WORDS("SERVER_ERROR out of memory writing get response\r\n");
	return WORDS("SERVER_ERROR out of memory\r\n");
}

size_t answer_words(const struct command *command, char *text) {
	struct words words = words_of(command);
	memcpy(text, words.text, words.length);
	return words.length;
}

/* ------------------------------------------------------------------ forms ------------------ */

static size_t value_head(const struct command *command, char *text) {
	char *at = put_bytes(text, "VALUE ", 6);
	at = put_bytes(at, command->shown_key, command->shown_key_bytes);
	*at++ = ' ';
	at = put_u64(at, command->operation.item.attributes.client_flags);
	*at++ = ' ';
	at = put_u64(at, command->operation.item.value_bytes);
	if (command->answer == ANSWER_GETS) {
		*at++ = ' ';
		at = put_u64(at, command->operation.cas);
	}
	at = put_bytes(at, "\r\n", 2);
	return (size_t)(at - text);
}

static size_t number(const struct command *command, char *text) {
	char *at = put_u64(text, command->operation.number);
	at = put_bytes(at, "\r\n", 2);
	return (size_t)(at - text);
}

size_t answer_head(const struct command *command, char *text, bool *has_value) {
	enum operation_status status = command->operation.status;
	*has_value = false;
	switch ((enum answer_form)command->answer) {
	case ANSWER_GET:
	case ANSWER_GETS:
		if (UNLIKELY(status == STATUS_NO_MEMORY)) return answer_words(command, text);
		*has_value = status == STATUS_FOUND;
		return *has_value ? value_head(command, text) : 0;
	case ANSWER_STORE:
	case ANSWER_DELETE:
	case ANSWER_TOUCH:
		return command->is_quiet ? 0 : answer_words(command, text);
	case ANSWER_NUMBER:
		if (command->is_quiet) return 0;
		return status == STATUS_DONE ? number(command, text) : answer_words(command, text);
	case ANSWER_META_GET:
	case ANSWER_META_STORE:
	case ANSWER_META_DELETE:
	case ANSWER_META_NUMBER:
	case ANSWER_META_DEBUG:
		break;
	}
	return answer_meta(command, text, has_value);
}
