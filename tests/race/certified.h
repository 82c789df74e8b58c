/* certified.h: values that say whose they are: key, number, length and a checksum over all bytes. So
 * who reads one knows whether it is whole, of that key, and which of all that were ever stored.
 *
 *     records   | key 4 | bytes 4 | number 8 | before 8 | checksum 8 | bytes | and perhaps more of them
 *     small     fewer bytes than a record's head: all follow from key, number and length; the number
 *               is in the item's client flags
 *     count     decimal digits of number, check and key together: what incr can make of another one
 *
 * An append or prepend adds a record, which names the number of the state before it: so a value of
 * several must be a chain that begins with 0, and its newest number is the value's.
 *
 * The bytes may be anything: whoever parses them where another thread writes believes nothing
 * before the reader's proof. So they are read once, by volatile loads, and bounded. */
#ifndef SNUG_TEST_CERTIFIED_H
#define SNUG_TEST_CERTIFIED_H

#include "support/test_random.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* It is read while the owner changes it, which sanitizers call a race, or freed memory. */
#define CERTIFIED_READER __attribute__((no_sanitize_address, no_sanitize_thread))

#define RECORD_HEAD_BYTES 32u
#define RECORDS_MAX 6u
#define COUNT_KEYS 10000u /* keys' numbers are below */
#define COUNT_CHECKS 1000u

typedef uint64_t __attribute__((may_alias, aligned(1))) certified_word;

CERTIFIED_READER static inline uint64_t certified_load(const unsigned char *at, size_t bytes) {
	if (bytes == 8) return *(const volatile certified_word *)at;
	uint64_t word = 0;
	for (size_t i = 0; i < bytes; i++)
		word |= (uint64_t)(*(const volatile unsigned char *)(at + i)) << (8 * i);
	return word;
}

CERTIFIED_READER static inline uint64_t certified_mix(uint64_t sum, uint64_t word) {
	sum = (sum ^ word) * UINT64_C(0x9FB21C651E98DF25);
	return sum ^ sum >> 29;
}

CERTIFIED_READER static inline uint64_t certified_sum(uint64_t seed, const unsigned char *bytes,
													  size_t length) {
	uint64_t sum = certified_mix(seed, length);
	for (; length >= 8; length -= 8, bytes += 8) sum = certified_mix(sum, certified_load(bytes, 8));
	return certified_mix(sum, certified_load(bytes, length));
}

CERTIFIED_READER static inline uint64_t certified_seed(uint32_t key, uint64_t number,
													   uint64_t before) {
	return certified_mix(certified_mix(key + UINT64_C(0x1234567), number), before);
}

/* ------------------------------------------------------------------ writing ---------------- */

static inline void record_write(unsigned char *to, uint32_t key, uint32_t bytes, uint64_t number,
								uint64_t before) {
	uint32_t rest = bytes - RECORD_HEAD_BYTES;
	test_random_fill(to + RECORD_HEAD_BYTES, rest, certified_seed(key, number, before));
	uint64_t sum = certified_sum(certified_seed(key, number, before), to + RECORD_HEAD_BYTES, rest);
	memcpy(to, &key, 4);
	memcpy(to + 4, &bytes, 4);
	memcpy(to + 8, &number, 8);
	memcpy(to + 16, &before, 8);
	memcpy(to + 24, &sum, 8);
}

CERTIFIED_READER static inline unsigned char small_byte(uint32_t key, uint64_t number,
														uint32_t length, uint32_t at) {
	return (unsigned char)(certified_seed(key, number, length) >> (at % 8 * 8));
}

static inline void small_write(unsigned char *to, uint32_t key, uint32_t bytes, uint64_t number) {
	for (uint32_t at = 0; at < bytes; at++) to[at] = small_byte(key, number, bytes, at);
}

CERTIFIED_READER static inline uint64_t count_of(uint32_t key, uint64_t number) {
	uint64_t check = certified_seed(key, number, 0) % COUNT_CHECKS;
	return (number * COUNT_CHECKS + check) * COUNT_KEYS + key;
}

/* ------------------------------------------------------------------ reading ---------------- */

struct certificate {
	bool is_whole;
	uint32_t records; /* 0: small, or a count */
	uint64_t base;    /* number of the first record */
	uint64_t number;  /* of the newest, or of the whole */
};

struct record {
	uint64_t number, before;
};

/* The record's bytes; 0: it is none of this key's. */
CERTIFIED_READER static inline uint32_t record_read(const unsigned char *at, uint32_t left,
													uint32_t key, struct record *out) {
	if (left < RECORD_HEAD_BYTES) return 0;
	uint32_t bytes = (uint32_t)certified_load(at + 4, 4);
	if (bytes < RECORD_HEAD_BYTES || bytes > left) return 0;
	*out = (struct record){certified_load(at + 8, 8), certified_load(at + 16, 8)};
	if ((uint32_t)certified_load(at, 4) != key) return 0;
	uint64_t sum = certified_sum(certified_seed(key, out->number, out->before),
								 at + RECORD_HEAD_BYTES, bytes - RECORD_HEAD_BYTES);
	return sum == certified_load(at + 24, 8) ? bytes : 0;
}

/* Each record follows another one, and the first none. */
static inline struct certificate chain_read(const struct record *records, uint32_t count) {
	struct certificate found = {.records = count};
	uint64_t number = 0;
	for (uint32_t linked = 0; linked < count; linked++) {
		uint32_t next = 0;
		while (next < count && records[next].before != number) next++;
		if (next == count) return found;
		number = records[next].number;
		if (linked == 0) found.base = number;
	}
	found.number = number;
	found.is_whole = count > 0;
	return found;
}

CERTIFIED_READER static inline struct certificate records_read(const unsigned char *value,
															   uint32_t bytes, uint32_t key) {
	struct record records[RECORDS_MAX];
	uint32_t count = 0;
	for (uint32_t at = 0; at < bytes;) {
		if (count == RECORDS_MAX) return (struct certificate){0};
		uint32_t length = record_read(value + at, bytes - at, key, &records[count++]);
		if (length == 0) return (struct certificate){0};
		at += length;
	}
	return chain_read(records, count);
}

CERTIFIED_READER static inline struct certificate small_read(const unsigned char *value,
															 uint32_t bytes, uint32_t key,
															 uint32_t number) {
	for (uint32_t at = 0; at < bytes; at++)
		if (certified_load(value + at, 1) != small_byte(key, number, bytes, at))
			return (struct certificate){0};
	return (struct certificate){.is_whole = number != 0, .base = number, .number = number};
}

CERTIFIED_READER static inline struct certificate count_read(const unsigned char *value,
															 uint32_t bytes, uint32_t key) {
	uint64_t count = 0;
	if (bytes > 19) return (struct certificate){0};
	for (uint32_t at = 0; at < bytes; at++) {
		uint64_t digit = certified_load(value + at, 1) - '0';
		if (digit > 9) return (struct certificate){0};
		count = count * 10 + digit;
	}
	uint64_t number = count / COUNT_KEYS / COUNT_CHECKS;
	return (struct certificate){
		.is_whole = number > 0 && count == count_of(key, number), .base = number, .number = number};
}

#endif
