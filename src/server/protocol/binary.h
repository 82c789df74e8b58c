/* server/protocol/binary.h: memcached's binary protocol as bytes: where a packet's fields are, and
 * its numbers. What the files share that read and write packets.
 *
 *     byte   0      1        2      4        5      6         8        12       16    24
 *     asked  0x80   opcode   key    extras   0      -         body     opaque   CAS   extras, key, value
 *     told   0x81   opcode   key    extras   0      status    body     opaque   CAS   extras, key, value
 *
 * key, extras and body are lengths in bytes; the body is all that follows the head. Numbers are
 * big-endian. Opcode and opaque are told as they were asked. Nothing ends a value: its length is
 * known. */
#ifndef SNUG_SERVER_BINARY_H
#define SNUG_SERVER_BINARY_H

#include "server/protocol/command.h"

#include <string.h>

#define BINARY_ASKED 0x80
#define BINARY_TOLD 0x81

#define BINARY_HEAD_BYTES 24u
#define BINARY_KEY_AT 2u
#define BINARY_EXTRAS_AT 4u
#define BINARY_STATUS_AT 6u
#define BINARY_BODY_AT 8u
#define BINARY_OPAQUE_AT 12u
#define BINARY_CAS_AT 16u
/* As memcached: longer bodies end the connection. */
#define BINARY_BODY_MAX (UINT32_C(1) << 30)

enum binary_opcode {
	BINARY_GET = 0x00,
	BINARY_SET = 0x01,
	BINARY_ADD = 0x02,
	BINARY_REPLACE = 0x03,
	BINARY_DELETE = 0x04,
	BINARY_INCREMENT = 0x05,
	BINARY_DECREMENT = 0x06,
	BINARY_QUIT = 0x07,
	BINARY_FLUSH = 0x08,
	BINARY_GETQ = 0x09,
	BINARY_NOOP = 0x0a,
	BINARY_VERSION = 0x0b,
	BINARY_GETK = 0x0c,
	BINARY_GETKQ = 0x0d,
	BINARY_APPEND = 0x0e,
	BINARY_PREPEND = 0x0f,
	BINARY_STAT = 0x10,
	BINARY_SETQ = 0x11,
	BINARY_ADDQ = 0x12,
	BINARY_REPLACEQ = 0x13,
	BINARY_DELETEQ = 0x14,
	BINARY_INCREMENTQ = 0x15,
	BINARY_DECREMENTQ = 0x16,
	BINARY_QUITQ = 0x17,
	BINARY_FLUSHQ = 0x18,
	BINARY_APPENDQ = 0x19,
	BINARY_PREPENDQ = 0x1a,
	BINARY_VERBOSITY = 0x1b,
	BINARY_TOUCH = 0x1c,
	BINARY_GAT = 0x1d,
	BINARY_GATQ = 0x1e,
	BINARY_SASL_LIST = 0x20,
	BINARY_SASL_AUTH = 0x21,
	BINARY_SASL_STEP = 0x22,
	BINARY_GATK = 0x23,
	BINARY_GATKQ = 0x24,
	BINARY_OPCODE_COUNT
};

enum binary_status {
	BINARY_OK = 0x00,
	BINARY_NOT_FOUND = 0x01,
	BINARY_EXISTS = 0x02,
	BINARY_TOO_LARGE = 0x03,
	BINARY_INVALID = 0x04,
	BINARY_NOT_STORED = 0x05,
	BINARY_NOT_A_NUMBER = 0x06,
	BINARY_NOT_ALLOWED = 0x20,
	BINARY_GO_ON = 0x21,
	BINARY_UNKNOWN_COMMAND = 0x81,
	BINARY_NO_MEMORY = 0x82,
};

/* What is told beside the value. */
struct binary_head {
	enum binary_status status;
	uint32_t key_bytes;
	uint32_t extras_bytes;
	uint64_t body_bytes; /* of extras, key and value */
	uint64_t cas;
};

static inline uint16_t binary_read_u16(const char *at) {
	uint16_t number;
	memcpy(&number, at, sizeof number);
	return __builtin_bswap16(number);
}

static inline uint32_t binary_read_u32(const char *at) {
	uint32_t number;
	memcpy(&number, at, sizeof number);
	return __builtin_bswap32(number);
}

static inline uint64_t binary_read_u64(const char *at) {
	uint64_t number;
	memcpy(&number, at, sizeof number);
	return __builtin_bswap64(number);
}

static inline void binary_write_u16(char *at, uint16_t number) {
	number = __builtin_bswap16(number);
	memcpy(at, &number, sizeof number);
}

static inline void binary_write_u32(char *at, uint32_t number) {
	number = __builtin_bswap32(number);
	memcpy(at, &number, sizeof number);
}

static inline void binary_write_u64(char *at, uint64_t number) {
	number = __builtin_bswap64(number);
	memcpy(at, &number, sizeof number);
}

/* The head, BINARY_HEAD_BYTES of it. */
static inline void binary_write_head(const struct reply *reply, const struct binary_head *head,
									 char *at) {
	at[0] = (char)BINARY_TOLD;
	at[1] = (char)reply->opcode;
	binary_write_u16(at + BINARY_KEY_AT, (uint16_t)head->key_bytes);
	at[BINARY_EXTRAS_AT] = (char)head->extras_bytes;
	at[BINARY_EXTRAS_AT + 1] = 0;
	binary_write_u16(at + BINARY_STATUS_AT, (uint16_t)head->status);
	binary_write_u32(at + BINARY_BODY_AT, (uint32_t)head->body_bytes);
	memcpy(at + BINARY_OPAQUE_AT, &reply->token, sizeof reply->token);
	binary_write_u64(at + BINARY_CAS_AT, head->cas);
}

/* answer_binary.c: a packet that says no more than how it went, in at most BINARY_WORDS_BYTES. Tells
 * its length. */
#define BINARY_WORDS_BYTES 96u
size_t binary_say(const struct reply *reply, enum binary_status status, char *packet);
/* The same: it went well, and `text` says more. */
size_t binary_say_text(const struct reply *reply, const char *text, size_t length, char *packet);

#endif
