/* server/protocol/answer_words.c: what came of an operation, in memcached's words. See
 * answer_parts.h.
 *
 * Clients compare these texts, so they are memcached's to the letter, and commands of both kinds
 * say errors with the same ones. A status has one text; that there was no memory says for what. */
#include "server/protocol/answer_parts.h"

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
	if (operation->kind == OPERATION_STORE)
		return WORDS("SERVER_ERROR out of memory storing object\r\n");
	if (operation->kind == OPERATION_GET)
		return WORDS("SERVER_ERROR out of memory writing get response\r\n");
	return WORDS("SERVER_ERROR out of memory\r\n");
}

size_t answer_words(const struct operation *operation, char *text) {
	struct words words = words_of(operation);
	memcpy(text, words.text, words.length);
	return words.length;
}
