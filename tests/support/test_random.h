/* test_random.h: the random numbers of all tests: splitmix64 (Steele, Lea and Flood, "Fast
 * splittable pseudorandom number generators", OOPSLA 2014). One 64-bit seed determines everything
 * that a test does, so a printed seed is a reproduction. */
#ifndef SNUG_TEST_RANDOM_H
#define SNUG_TEST_RANDOM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct test_random {
	uint64_t state;
} test_random;

static inline uint64_t test_random_next(test_random *random) {
	uint64_t value = random->state += UINT64_C(0x9e3779b97f4a7c15);
	value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
	return value ^ (value >> 31);
}

/* Uniform in [0, bound); the bias of the modulo does not matter to a test. */
static inline uint64_t test_random_below(test_random *random, uint64_t bound) {
	return bound == 0 ? 0 : test_random_next(random) % bound;
}

/* Uniform in [low, high]. */
static inline uint64_t test_random_between(test_random *random, uint64_t low, uint64_t high) {
	return low + test_random_below(random, high - low + 1);
}

/* True in `per_mille` of 1000 cases. */
static inline bool test_random_chance(test_random *random, uint32_t per_mille) {
	return test_random_below(random, 1000) < per_mille;
}

/* Fills `bytes` with what `pattern` determines. */
static inline void test_random_fill(unsigned char *bytes, size_t length, uint64_t pattern) {
	test_random random = {pattern};
	size_t done = 0;
	for (; done + 8 <= length; done += 8) {
		uint64_t word = test_random_next(&random);
		memcpy(bytes + done, &word, 8);
	}
	if (done < length) {
		uint64_t word = test_random_next(&random);
		memcpy(bytes + done, &word, length - done);
	}
}

/* A number from the environment, such as SNUG_SEED, in decimal or 0x hexadecimal; `otherwise` when
 * it is not set. */
static inline uint64_t test_environment_number(const char *name, uint64_t otherwise) {
	const char *text = getenv(name);
	return text != NULL && *text != '\0' ? strtoull(text, NULL, 0) : otherwise;
}

#endif
