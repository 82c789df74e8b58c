/* residents.h: the residents in no order, for policies that look at some of them drawn at random.
 * Adding, removing and drawing are O(1). */
#ifndef REPLAY_RESIDENTS_H
#define REPLAY_RESIDENTS_H

#include "ledger/random.h"
#include "policies/simulation.h"

#define RESIDENTS_LOOKED_AT 64

struct residents {
	struct random random;
	uint32_t count;
	uint32_t *keys;
	uint32_t *places; /* by key */
};

/* What it is worth to keep the key. */
typedef double (*residents_worth)(const struct simulation *simulation, uint32_t key);

static inline void residents_begin(struct residents *residents, struct simulation *simulation,
								   uint64_t stream) {
	random_init(&residents->random, simulation->seed, stream);
	residents->count = 0;
	residents->keys = simulation_take(simulation, simulation->keys, sizeof residents->keys[0]);
	residents->places = simulation_take(simulation, simulation->keys, sizeof residents->places[0]);
}

static inline void residents_add(struct residents *residents, uint32_t key) {
	residents->places[key] = residents->count;
	residents->keys[residents->count++] = key;
}

static inline void residents_remove(struct residents *residents, uint32_t key) {
	uint32_t place = residents->places[key], last = residents->keys[--residents->count];
	residents->keys[place] = last;
	residents->places[last] = place;
}

/* Of RESIDENTS_LOOKED_AT, or of all if there are no more, the one that is worth the least. */
static inline uint32_t residents_least(struct residents *residents,
									   const struct simulation *simulation, residents_worth worth) {
	bool all = residents->count <= RESIDENTS_LOOKED_AT;
	uint32_t looked_at = all ? residents->count : RESIDENTS_LOOKED_AT;
	uint32_t least = residents->keys[all ? 0 : random_below(&residents->random, residents->count)];
	double least_worth = worth(simulation, least);
	for (uint32_t i = 1; i < looked_at; i++) {
		uint32_t key =
			residents->keys[all ? i : random_below(&residents->random, residents->count)];
		double key_worth = worth(simulation, key);
		if (key_worth >= least_worth) continue;
		least = key;
		least_worth = key_worth;
	}
	return least;
}

#endif
