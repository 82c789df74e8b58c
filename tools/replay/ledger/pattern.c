/* pattern.c: see pattern.h. Words in the middle go 8 bytes at a time; a piece of a word at either
 * end byte by byte. */
#include "ledger/pattern.h"

#include "ledger/random.h"

#include <string.h>

#define WORD_BYTES sizeof(uint64_t)

struct pattern pattern_of(uint64_t header, uint64_t seed) {
	return (struct pattern){.header = header, .seed_word = mix64(header ^ mix64(seed))};
}

static uint64_t word_at(const struct pattern *pattern, size_t word) {
	return word == 0 ? pattern->header : pattern->seed_word + word * 0x9e3779b97f4a7c15u;
}

/* The part of word `offset / 8` that begins at `offset` and has `length` bytes at most; returns its
 * length. */
static size_t piece_at(const struct pattern *pattern, size_t offset, size_t length,
					   unsigned char piece[WORD_BYTES]) {
	uint64_t word = word_at(pattern, offset / WORD_BYTES);
	size_t begin = offset % WORD_BYTES;
	size_t piece_bytes = WORD_BYTES - begin < length ? WORD_BYTES - begin : length;
	memcpy(piece, (const unsigned char *)&word + begin, piece_bytes);
	return piece_bytes;
}

void pattern_write(const struct pattern *pattern, size_t offset, void *data, size_t length) {
	unsigned char *at = data;
	unsigned char piece[WORD_BYTES];
	if (length > 0 && (offset % WORD_BYTES != 0 || offset == 0)) {
		size_t bytes = piece_at(pattern, offset, length, piece);
		memcpy(at, piece, bytes);
		at += bytes, offset += bytes, length -= bytes;
	}
	for (; length >= WORD_BYTES; at += WORD_BYTES, offset += WORD_BYTES, length -= WORD_BYTES) {
		uint64_t word = pattern->seed_word + offset / WORD_BYTES * 0x9e3779b97f4a7c15u;
		memcpy(at, &word, WORD_BYTES);
	}
	if (length > 0) memcpy(at, piece, piece_at(pattern, offset, length, piece));
}

bool pattern_matches(const struct pattern *pattern, size_t offset, const void *data,
					 size_t length) {
	const unsigned char *at = data;
	unsigned char piece[WORD_BYTES];
	uint64_t difference = 0;
	if (length > 0 && (offset % WORD_BYTES != 0 || offset == 0)) {
		size_t bytes = piece_at(pattern, offset, length, piece);
		difference |= (uint64_t)(memcmp(at, piece, bytes) != 0);
		at += bytes, offset += bytes, length -= bytes;
	}
	for (; length >= WORD_BYTES; at += WORD_BYTES, offset += WORD_BYTES, length -= WORD_BYTES) {
		uint64_t word;
		memcpy(&word, at, WORD_BYTES);
		difference |= word ^ (pattern->seed_word + offset / WORD_BYTES * 0x9e3779b97f4a7c15u);
	}
	if (length > 0) {
		size_t bytes = piece_at(pattern, offset, length, piece);
		difference |= (uint64_t)(memcmp(at, piece, bytes) != 0);
	}
	return difference == 0;
}
