/* server/auth/digest.c: SipHash-2-4 with 128 bits of result. See server/auth/digest.h. */
#include "server/auth/digest.h"

#include "base/assert.h"

#include <string.h>

static uint64_t rotate(uint64_t word, unsigned bits) {
	return word << bits | word >> (64 - bits);
}

static void round_of(uint64_t v[4]) {
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

static void take_word(uint64_t v[4], uint64_t word) {
	v[3] ^= word;
	round_of(v);
	round_of(v);
	v[0] ^= word;
}

static uint64_t finish(uint64_t v[4]) {
	for (int i = 0; i < 4; i++) round_of(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

struct digest digest_of(const struct digest_key *key, const void *bytes, size_t length) {
	uint64_t v[4] = {UINT64_C(0x736f6d6570736575) ^ key->word[0],
					 UINT64_C(0x646f72616e646f6d) ^ key->word[1] ^ 0xee,
					 UINT64_C(0x6c7967656e657261) ^ key->word[0],
					 UINT64_C(0x7465646279746573) ^ key->word[1]};
	const unsigned char *at = bytes;
	struct digest digest;
	uint64_t word = 0;
	SNUG_ASSERT(bytes != NULL || length == 0);
	for (size_t left = length; left >= sizeof word; left -= sizeof word, at += sizeof word) {
		memcpy(&word, at, sizeof word);
		take_word(v, word);
	}
	word = (uint64_t)length << 56;
	for (size_t i = 0; i < length % sizeof word; i++) word |= (uint64_t)at[i] << 8 * i;
	take_word(v, word);
	v[2] ^= 0xee;
	digest.word[0] = finish(v);
	v[1] ^= 0xdd;
	digest.word[1] = finish(v);
	return digest;
}
