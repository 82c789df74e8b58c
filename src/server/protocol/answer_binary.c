/* server/protocol/answer_binary.c: what binary clients are told. See binary.h for the packet.
 *
 *     get, gat       found   flags, the value; with K the key, too
 *     touch          found   flags
 *     incr, decr     done    the number, 8 bytes
 *     others         done    an empty body
 *     all            else    a status, and words for people; a get with K that finds nothing: the key
 *
 * A quiet command leaves out what is expected (command_binary.c); errors are always said.
 *
 * Of a status the code depends on the command: what is not stored exists already for add, and is not
 * there for replace. Codes and words are memcached's. */
#include "server/protocol/answer_parts.h"
#include "server/protocol/binary.h"

#include "base/assert.h"
#include "base/bits.h"

/* ------------------------------------------------------------------ words ------------------ */

struct words {
	const char *text;
	size_t length;
};

#define WORDS(literal)               \
	(struct words) {                 \
		literal, sizeof(literal) - 1 \
	}

static struct words words_of(enum binary_status status) {
	switch (status) {
	case BINARY_OK:
	case BINARY_GO_ON:
		break;
	case BINARY_NOT_FOUND:
		return WORDS("Not found");
	case BINARY_EXISTS:
		return WORDS("Data exists for key.");
	case BINARY_TOO_LARGE:
		return WORDS("Too large.");
	case BINARY_INVALID:
		return WORDS("Invalid arguments");
	case BINARY_NOT_STORED:
		return WORDS("Not stored.");
	case BINARY_NOT_A_NUMBER:
		return WORDS("Non-numeric server-side value for incr or decr");
	case BINARY_NOT_ALLOWED:
		return WORDS("Auth failure.");
	case BINARY_UNKNOWN_COMMAND:
		return WORDS("Unknown command");
	case BINARY_NO_MEMORY:
		return WORDS("Out of memory");
	}
	return WORDS("");
}

size_t binary_say(const struct reply *reply, enum binary_status status, char *packet) {
	struct words words = words_of(status);
	struct binary_head head = {.status = status, .body_bytes = words.length};
	SNUG_ASSERT(BINARY_HEAD_BYTES + words.length <= BINARY_WORDS_BYTES);
	binary_write_head(reply, &head, packet);
	memcpy(packet + BINARY_HEAD_BYTES, words.text, words.length);
	return BINARY_HEAD_BYTES + words.length;
}

size_t binary_say_text(const struct reply *reply, const char *text, size_t length, char *packet) {
	struct binary_head head = {.body_bytes = length};
	SNUG_ASSERT(BINARY_HEAD_BYTES + length <= BINARY_WORDS_BYTES);
	binary_write_head(reply, &head, packet);
	memcpy(packet + BINARY_HEAD_BYTES, text, length);
	return BINARY_HEAD_BYTES + length;
}

/* ------------------------------------------------------------------ operations ------------- */

static enum binary_status not_stored(uint8_t opcode) {
	switch (opcode) {
	case BINARY_ADD:
	case BINARY_ADDQ:
		return BINARY_EXISTS;
	case BINARY_REPLACE:
	case BINARY_REPLACEQ:
		return BINARY_NOT_FOUND;
	default:
		return BINARY_NOT_STORED;
	}
}

static enum binary_status status_of(uint8_t opcode, enum operation_status status) {
	switch (status) {
	case STATUS_FOUND:
	case STATUS_STORED:
	case STATUS_DONE:
		return BINARY_OK;
	case STATUS_NOT_FOUND:
		return BINARY_NOT_FOUND;
	case STATUS_NOT_STORED:
		return not_stored(opcode);
	case STATUS_EXISTS:
		return BINARY_EXISTS;
	case STATUS_NOT_A_NUMBER:
		return BINARY_NOT_A_NUMBER;
	case STATUS_TOO_LARGE:
		return BINARY_TOO_LARGE;
	case STATUS_BAD_KEY:
		return BINARY_INVALID;
	case STATUS_NO_MEMORY:
	case STATUS_COUNT:
		break;
	}
	return BINARY_NO_MEMORY;
}

static bool shows_key(uint8_t opcode) {
	return opcode == BINARY_GETK || opcode == BINARY_GETKQ || opcode == BINARY_GATK ||
		   opcode == BINARY_GATKQ;
}

#define CLIENT_FLAGS_BYTES 4u

static size_t say_found(const struct reply *reply, const struct operation *operation, char *text,
						bool *has_value) {
	uint32_t key_bytes = shows_key(reply->opcode) ? reply->shown_key_bytes : 0;
	uint64_t value_bytes = reply->wants_value ? operation->item.value_bytes : 0;
	struct binary_head head = {.key_bytes = key_bytes,
							   .extras_bytes = CLIENT_FLAGS_BYTES,
							   .body_bytes = CLIENT_FLAGS_BYTES + key_bytes + value_bytes,
							   .cas = operation->cas};
	binary_write_head(reply, &head, text);
	binary_write_u32(text + BINARY_HEAD_BYTES, operation->item.attributes.client_flags);
	if (key_bytes > 0)
		memcpy(text + BINARY_HEAD_BYTES + CLIENT_FLAGS_BYTES, reply->shown_key, key_bytes);
	*has_value = reply->wants_value;
	return BINARY_HEAD_BYTES + CLIENT_FLAGS_BYTES + key_bytes;
}

static size_t say_missing(const struct reply *reply, char *text) {
	if (reply->is_quiet) return 0;
	if (!shows_key(reply->opcode)) return binary_say(reply, BINARY_NOT_FOUND, text);
	struct binary_head head = {.status = BINARY_NOT_FOUND,
							   .key_bytes = reply->shown_key_bytes,
							   .body_bytes = reply->shown_key_bytes};
	binary_write_head(reply, &head, text);
	memcpy(text + BINARY_HEAD_BYTES, reply->shown_key, reply->shown_key_bytes);
	return BINARY_HEAD_BYTES + reply->shown_key_bytes;
}

static size_t say_number(const struct reply *reply, const struct operation *operation, char *text) {
	struct binary_head head = {.body_bytes = sizeof operation->number, .cas = operation->cas};
	binary_write_head(reply, &head, text);
	binary_write_u64(text + BINARY_HEAD_BYTES, operation->number);
	return BINARY_HEAD_BYTES + sizeof operation->number;
}

size_t answer_binary(const struct reply *reply, const struct operation *operation, char *text,
					 bool *has_value) {
	enum operation_status status = (enum operation_status)operation->status;
	bool gets = operation->kind == OPERATION_GET;
	*has_value = false;
	if (gets && status == STATUS_FOUND) return say_found(reply, operation, text, has_value);
	if (gets && status == STATUS_NOT_FOUND) return say_missing(reply, text);
	enum binary_status code = status_of(reply->opcode, status);
	if (code != BINARY_OK) return binary_say(reply, code, text);
	if (reply->is_quiet) return 0;
	if (operation->kind == OPERATION_ARITHMETIC) return say_number(reply, operation, text);
	struct binary_head head = {
		.cas = operation->kind == OPERATION_STORE ? operation->cas : 0,
	};
	binary_write_head(reply, &head, text);
	return BINARY_HEAD_BYTES;
}
