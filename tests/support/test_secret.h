/* test_secret.h: the secret of the hash from a test's seed, so that the seed decides where each key
 * has its place, too. First thing in main. */
#ifndef SNUG_TEST_SECRET_H
#define SNUG_TEST_SECRET_H

#include <snug/shard.h>
#include <stdlib.h>

static inline void test_set_secret(uint64_t seed) {
	const uint64_t secret[SNUG_HASH_SECRET_BYTES / sizeof(uint64_t)] = {seed, ~seed};
	if (snug_hash_secret_set(secret) != SNUG_OK) abort(); /* too late */
}

#endif
