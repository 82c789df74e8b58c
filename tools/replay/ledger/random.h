/* random.h: the tool's own random numbers (xoshiro256**, Blackman and Vigna; seeded by splitmix64),
 * so that a seed gives the same operations on every machine and against every allocator. */
#ifndef REPLAY_RANDOM_H
#define REPLAY_RANDOM_H

#include <stdint.h>

struct random {
	uint64_t state[4];
};

static inline uint64_t mix64(uint64_t value) {
	value += 0x9e3779b97f4a7c15u;
	value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
	value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
	return value ^ (value >> 31);
}

/* Streams of one seed are independent of each other. */
static inline void random_init(struct random *random, uint64_t seed, uint64_t stream) {
	uint64_t value = mix64(seed) ^ mix64(~stream);
	for (int i = 0; i < 4; i++) random->state[i] = value = mix64(value);
}

static inline uint64_t random_next(struct random *random) {
	uint64_t *s = random->state;
	uint64_t product = s[1] * 5;
	uint64_t result = ((product << 7) | (product >> 57)) * 9;
	uint64_t shifted = s[1] << 17;
	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= shifted;
	s[3] = (s[3] << 45) | (s[3] >> 19);
	return result;
}

/* In [0, bound), bound up to 2^32; the bias, below 2^-32, is of no matter here. */
static inline uint32_t random_below(struct random *random, uint64_t bound) {
	return (uint32_t)(((random_next(random) >> 32) * bound) >> 32);
}

/* In [0, 1). */
static inline double random_unit(struct random *random) {
	return (double)(random_next(random) >> 11) * 0x1p-53;
}

#endif
