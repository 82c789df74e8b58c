/* simulate/choice.h: where a run's decisions come from: a seed, or bytes that a fuzzer made. Nothing else in a run is left to chance, so either
 * of them is the whole run.
 *
 * Zero is the quiet answer: the first of several, "no" to a chance. So when the fuzzer's bytes are at an end, the run goes on without
 * adventures and comes to its end. */
#ifndef SIMULATE_CHOICE_H
#define SIMULATE_CHOICE_H

#include "support/test_random.h"

#include <stddef.h>

struct choice {
	test_random random;
	const uint8_t *bytes; /* NULL: from the seed */
	size_t left;
};

static inline uint64_t choice_next(struct choice *choice, uint64_t bound) {
	if (choice->bytes == NULL) return test_random_next(&choice->random);
	uint64_t value = 0;
	for (uint64_t reach = 1; reach < bound && choice->left > 0; reach <<= 8, choice->left--)
		value = value << 8 | *choice->bytes++;
	return value;
}

/* In [0, bound). */
static inline uint64_t choose(struct choice *choice, uint64_t bound) {
	return bound <= 1 ? 0 : choice_next(choice, bound) % bound;
}

/* In [low, high]. */
static inline uint64_t choose_between(struct choice *choice, uint64_t low, uint64_t high) {
	return low + choose(choice, high - low + 1);
}

static inline bool chance(struct choice *choice, uint32_t per_mille) {
	return per_mille > 0 && choose(choice, 1000) >= 1000 - per_mille;
}

#endif
