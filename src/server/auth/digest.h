/* server/auth/digest.h: secrets as digests of fixed length, which can be compared in a time that
 * tells nothing, and from which nobody reads the secret again.
 *
 * A digest is SipHash-2-4 of 128 bits (Aumasson and Bernstein, "SipHash: a fast short-input PRF",
 * 2012) under a key that is random in each process. So what a client sends chooses no digest, and two
 * digests say no more than whether their secrets are the same. It is no hash for a file: it is fast.
 * Those are libcrypt's (crypt_library.h). */
#ifndef SNUG_SERVER_DIGEST_H
#define SNUG_SERVER_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct digest_key {
	uint64_t word[2];
};

struct digest {
	uint64_t word[2];
};

struct digest digest_of(const struct digest_key *key, const void *bytes, size_t length);

/* Looks at all of both. */
static inline bool digest_equals(const struct digest *left, const struct digest *right) {
	volatile uint64_t differs = (left->word[0] ^ right->word[0]) | (left->word[1] ^ right->word[1]);
	return differs == 0;
}

#endif
