/* server/protocol/answer.c: heads of answers to text commands, and which kind a head is.
 *
 *     form                   found, done                       else
 *     GET                    VALUE key flags bytes             nothing: the list's END is enough
 *     GETS                   VALUE key flags bytes cas         the same
 *     STORE, DELETE, TOUCH   STORED, DELETED, TOUCHED          NOT_STORED, NOT_FOUND, ..
 *     NUMBER                 the number                        NOT_FOUND, CLIENT_ERROR ..
 *     META_..                answer_meta.c
 *     BINARY                 answer_binary.c
 *
 * noreply leaves out all of it, errors too. A get that there was no memory for says so: a client
 * that is told nothing takes the key for missing, and may store an older value in its place.
 *
 * A head is written without a look at the room that is left. ANSWER_BYTES_MAX is more than any of
 * them: the parser has bounded the key, the flags and the opaque token, a number has 20 digits. */
#include "server/protocol/answer_parts.h"

#include "base/bits.h"

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

size_t answer_head(const struct reply *reply, const struct operation *operation, char *text,
				   bool *has_value) {
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
	case ANSWER_BINARY:
		return answer_binary(reply, operation, text, has_value);
	case ANSWER_META_GET:
	case ANSWER_META_STORE:
	case ANSWER_META_DELETE:
	case ANSWER_META_NUMBER:
	case ANSWER_META_DEBUG:
		break;
	}
	return answer_meta(reply, operation, text, has_value);
}
