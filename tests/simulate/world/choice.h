/* simulate/world/choice.h: where a run's decisions come from: a seed. Nothing else in a run is left
 * to chance, so the seed is the whole run. */
#ifndef SIMULATE_CHOICE_H
#define SIMULATE_CHOICE_H

#include "support/test_random.h"

struct choice {
	test_random random;
};

/* In [0, bound). */
static inline uint64_t choose(struct choice *choice, uint64_t bound) {
	return bound <= 1 ? 0 : test_random_next(&choice->random) % bound;
}

/* In [low, high]. */
static inline uint64_t choose_between(struct choice *choice, uint64_t low, uint64_t high) {
	return low + choose(choice, high - low + 1);
}

static inline bool chance(struct choice *choice, uint32_t per_mille) {
	return per_mille > 0 && choose(choice, 1000) >= 1000 - per_mille;
}

#endif
