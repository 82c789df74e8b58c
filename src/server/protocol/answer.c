/* server/protocol/answer.c: answers in words; those of meta commands are answer_meta.c's. */
#include "server/protocol/answer_parts.h"

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

static struct words words_of(const struct operation *operation) {
	switch ((enum operation_status)operation->status) {
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
	if (operation->kind == OPERATION_STORE) return WORDS("SERVER_ERROR out of memory storing object\r\n");
	if (operation->kind == OPERATION_GET) return WORDS("SERVER_ERROR out of memory writing get response\r\n");
	return WORDS("SERVER_ERROR out of memory\r\n");
}

size_t answer_words(const struct operation *operation, char *text) {
	struct words words = words_of(operation);
	memcpy(text, words.text, words.length);
	return words.length;
}

/* ------------------------------------------------------------------ forms ------------------ */

static size_t value_head(const struct reply *reply, const struct operation *operation, char *text) {
	char *at = put_bytes(text, "VALUE ", 6);
	at = put_bytes(at, reply->shown_key, reply->shown_key_bytes);
	*at++ = ' ';
	at = put_u64(at, operation->item.attributes.client_flags);
	*at++ = ' ';
	at = put_u64(at, operation->item.value_bytes);
	if (reply->form == ANSWER_GETS) {
		*at++ = ' ';
		at = put_u64(at, operation->cas);
	}
	at = put_bytes(at, "\r\n", 2);
	return (size_t)(at - text);
}

static size_t number(const struct operation *operation, char *text) {
	char *at = put_u64(text, operation->number);
	at = put_bytes(at, "\r\n", 2);
	return (size_t)(at - text);
}

size_t answer_head(const struct reply *reply, const struct operation *operation, char *text, bool *has_value) {
	enum operation_status status = operation->status;
	*has_value = false;
	switch ((enum answer_form)reply->form) {
	case ANSWER_GET:
	case ANSWER_GETS:
		if (UNLIKELY(status == STATUS_NO_MEMORY)) return answer_words(operation, text);
		*has_value = status == STATUS_FOUND;
		return *has_value ? value_head(reply, operation, text) : 0;
	case ANSWER_STORE:
	case ANSWER_DELETE:
	case ANSWER_TOUCH:
		return reply->is_quiet ? 0 : answer_words(operation, text);
	case ANSWER_NUMBER:
		if (reply->is_quiet) return 0;
		return status == STATUS_DONE ? number(operation, text) : answer_words(operation, text);
	case ANSWER_META_GET:
	case ANSWER_META_STORE:
	case ANSWER_META_DELETE:
	case ANSWER_META_NUMBER:
	case ANSWER_META_DEBUG:
		break;
	}
	return answer_meta(reply, operation, text, has_value);
}
