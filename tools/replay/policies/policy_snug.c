/* policy_snug.c: what libsnug's cache does, by the cache's own code (cache/rank/rank.h,
 * candidates.h, newcomers.h and ghosts.h) on entries without objects.
 *
 * The index is a table in which each object has a random place, as in a hash table of buckets; the
 * hand goes through it. The ghosts' memory is taken off the limit; the nine KiB of the rank's
 * tables are not, because the simulated caches are small samples of large ones. */
#include "cache/rank/candidates.h"
#include "cache/rank/ghosts.h"
#include "cache/rank/newcomers.h"
#include "cache/rank/rank.h"
#include "ledger/random.h"
#include "policies/simulation.h"

/* A bucket has seven entries, of which a fifth is empty. */
#define LOOKED_AT 6

struct shard {
	struct rank rank;
	struct candidates candidates;
	struct newcomers newcomers; /* a key is its hash here, and one more */
	struct ghosts ghosts;
	struct random random;
	uint32_t items;
	uint32_t hand;
	uint32_t *entries; /* key by place */
	uint32_t *places;  /* by key */
	rank_meta *metas;  /* by key */
};

static void begin(struct simulation *simulation) {
	struct shard *self = simulation->state;
	self->entries = simulation_take(simulation, simulation->keys, sizeof self->entries[0]);
	self->places = simulation_take(simulation, simulation->keys, sizeof self->places[0]);
	self->metas = simulation_take(simulation, simulation->keys, sizeof self->metas[0]);
	ghosts_init(&self->ghosts,
				simulation_take(simulation, ghosts_most_bytes(simulation->limit_bytes) + 1, 1));
	rank_init(&self->rank, simulation->limit_bytes, simulation->seed);
	random_init(&self->random, simulation->seed, 2);
}

static uint64_t overhead(const struct simulation *simulation) {
	const struct shard *self = simulation->state;
	return ghosts_bytes(&self->ghosts);
}

static void hit(struct simulation *simulation, uint32_t key) {
	struct shard *self = simulation->state;
	self->metas[key] = rank_hit(&self->rank, self->metas[key]);
}

static void put(struct shard *self, uint32_t key, uint32_t place) {
	self->entries[place] = key;
	self->places[key] = place;
}

/* What it takes to keep it, by what is wanted (as shard_evict.c). */
static uint32_t cost_of(const struct simulation *simulation, uint32_t key) {
	return simulation->policy == &policy_snug_bytes ? 1 : simulation->bytes[key];
}

/* In the cache the place is that of the entry and its word tells the object; here the key is
 * both. */
static void offer(struct shard *self, const struct simulation *simulation, uint32_t key) {
	rank_meta meta = self->metas[key];
	candidates_offer(&self->candidates, (struct candidate){key, meta},
					 rank_score(&self->rank, meta, cost_of(simulation, key)));
}

static void insert(struct simulation *simulation, uint32_t key) {
	struct shard *self = simulation->state;
	uint32_t bytes = simulation->bytes[key];
	struct recalled known;
	self->metas[key] =
		ghosts_recall(&self->ghosts, mix64(key), &known)
			? rank_readmit(&self->rank, known.class, known.evictions, bytes, self->items)
			: rank_insert(&self->rank, bytes, self->items);
	uint32_t place = random_below(&self->random, (uint64_t)self->items + 1);
	if (place < self->items) put(self, self->entries[place], self->items);
	put(self, key, place);
	self->items++;
	uint64_t oldest = newcomers_add(&self->newcomers, (uint64_t)key + 1);
	if (oldest > 0 && simulation->bytes[oldest - 1] != 0)
		offer(self, simulation, (uint32_t)oldest - 1);
	enum ghosts_fit fit = ghosts_fit(&self->ghosts, simulation->limit_bytes, self->items);
	if (fit == GHOSTS_GROW) ghosts_grow(&self->ghosts);
	if (fit == GHOSTS_SHRINK) ghosts_shrink(&self->ghosts);
}

static void drop(struct simulation *simulation, uint32_t key) {
	struct shard *self = simulation->state;
	put(self, self->entries[--self->items], self->places[key]);
}

static void look(struct shard *self, const struct simulation *simulation) {
	if (self->hand >= self->items) self->hand = 0;
	uint32_t key = self->entries[self->hand++];
	rank_meta meta = self->metas[key] = rank_settle(&self->rank, self->metas[key]);
	rank_see(&self->rank, meta);
	offer(self, simulation, key);
}

static uint32_t evict(struct simulation *simulation) {
	struct shard *self = simulation->state;
	struct candidate candidate;
	uint32_t key;
	for (uint32_t i = 0; i < LOOKED_AT; i++) look(self, simulation);
	do {
		while (!candidates_take(&self->candidates, &candidate)) look(self, simulation);
		key = (uint32_t)candidate.place;
	} while (simulation->bytes[key] == 0 || self->metas[key] != candidate.entry);
	ghosts_remember(&self->ghosts, mix64(key), rank_class(self->metas[key]));
	drop(simulation, key);
	return key;
}

const struct policy policy_snug = {.name = "snug",
								   .summary =
									   "libsnug's: learnt density of hits, sampled, with ghosts",
								   .state_bytes = sizeof(struct shard),
								   .begin = begin,
								   .hit = hit,
								   .insert = insert,
								   .evict = evict,
								   .remove = drop,
								   .overhead = overhead};

const struct policy policy_snug_bytes = {.name = "snug-bytes",
										 .summary =
											 "the same for bytes: snug_shard_options.evict_for",
										 .state_bytes = sizeof(struct shard),
										 .begin = begin,
										 .hit = hit,
										 .insert = insert,
										 .evict = evict,
										 .remove = drop,
										 .overhead = overhead};
