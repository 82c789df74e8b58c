/* cache/rank/rank.c: learning, and what is computed from it.
 *
 *     hits_now, seen_now    counted in this period: a quarter of a turnover
 *          | end of the period: seen * ticks * items / sightings = object-ticks: the hand samples
 *          v
 *     hits, exposure        of all periods, fading by a twentieth each
 *          | one class an insertion
 *          v
 *     value[class][age]     the most hits per tick, over all moments at which to stop
 *
 * A rate is hits / exposure; where little was seen, a prior decides, as if 5 objects had been
 * watched: few hits long ago are worth little. An object at rate r is hit within t ticks with the
 * chance r t / (1 + r t), which is taken in place of the exponential: it is cheaper, and kinder to
 * rates that are uncertain. Values of a class are 14 * 14 / 2 steps of that, below 1 us; 32
 * insertions bring all classes up to date.
 *
 * CLASSES. Once hit, an object has a count (1, some, many) and a running mean of its intervals, in
 * eight steps of a power of two. The mean is rounded by lot, and so "many" is reached by lot: there
 * are no bits for fractions, and a mean that is rounded always the same way would never arrive.
 *
 * AWAY. What was evicted and comes back was used again after an interval as well: what its ghost
 * tells, and half a turnover for the time before it was evicted. Intervals of a ghost are those of
 * objects in the cache, so that those which are longer than the cache keeps anything are told apart,
 * too: measured, 0.001 of the misses on average, 0.01 where more is remembered than is there.
 *
 * FADING by a tenth or a fifth in place of a twentieth is 0.001 worse on Twitter's clusters, and
 * wins back half of what a sudden change of sizes costs (docs/design/0004). */
#include "cache/rank/rank.h"

#include "base/assert.h"
#include "base/bits.h"

#include <string.h>

#define PERIOD_TICKS 4
#define FADING 0.95f
#define PRIOR_OBJECTS 5.0f
#define CLASS_NEW 0
#define INTERVALS 8
#define COUNT_MOST 3
/* from its last use to its eviction: nothing tells it */
#define RESIDENCE_TICKS (RANK_TICKS_PER_TURNOVER / 2)

const uint8_t rank_age_classes[RANK_STAMP_MASK + 1] = {
	0,  1,  2,  3,  4,  4,  5,  5,  6,  6,  6,  6,  7,  7,  7,  7,  8,  8,  8,  8,  8,  8,
	8,  8,  9,  9,  9,  9,  9,  9,  9,  9,  10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10,
	10, 10, 10, 10, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 12, 12,
	12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12,
	12, 12, 12, 12, 12, 12, 12, 12, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13,
	13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13};

static float class_ticks(uint32_t age) {
	return age < 4 ? 1.0f : (float)(1u << (age / 2 - 1));
}

static float class_middle(uint32_t age) {
	if (age < 4) return (float)age + 0.5f;
	uint32_t ticks = 1u << (age / 2 - 1);
	return (float)((2 + age % 2) * ticks) + 0.5f * (float)ticks;
}

static rank_meta meta_of(uint32_t class, uint32_t tick) {
	SNUG_ASSERT(class < RANK_CLASSES);
	return (rank_meta)(class << RANK_STAMP_BITS | (tick & RANK_STAMP_MASK));
}

static uint32_t draw(struct rank *rank, uint32_t bits) {
	rank->lots ^= rank->lots << 13;
	rank->lots ^= rank->lots >> 7;
	rank->lots ^= rank->lots << 17;
	return (uint32_t)(rank->lots >> 20) & ((1u << bits) - 1);
}

/* Hits per tick of an object of which nothing is known but class and age. */
static float prior_rate(uint32_t class, uint32_t age) {
	uint32_t count = class / INTERVALS;
	float middle = class_middle(age);
	if (count == 0) return 0.3f / (middle + 0.5f * RANK_TICKS_PER_TURNOVER);
	float interval = (float)(1u << class % INTERVALS) / 16.0f;
	return ((float)count + 0.5f) /
		   (middle + 0.3f * RANK_TICKS_PER_TURNOVER * (float)count * interval);
}

/* The value at each age: over all later ages at which to stop, the most hits per tick. An object at
 * rate r is hit within t ticks with the chance r t / (1 + r t), taken instead of the exponential.
 * The first age class is half over. */
static void compute_values(struct rank *rank, uint32_t class) {
	float rate[RANK_AGES];
	for (uint32_t age = 0; age < RANK_AGES; age++) {
		float weight = PRIOR_OBJECTS * class_ticks(age);
		rate[age] = (rank->hits[class][age] + weight * prior_rate(class, age)) /
					(rank->exposure[class][age] + weight);
	}
	for (uint32_t from = 0; from < RANK_AGES; from++) {
		float alive = 1;
		float hits = 0;
		float time = 0;
		float best = 0;
		for (uint32_t age = from; age < RANK_AGES; age++) {
			float ticks = class_ticks(age) * (age == from ? 0.5f : 1.0f);
			float left = alive / (1 + rate[age] * ticks);
			hits += alive - left;
			time += left * ticks;
			alive = left;
			if (hits > best * time) best = hits / time;
		}
		SNUG_ASSERT(best >= 0 && alive >= 0);
		rank->value[class][from] = best;
	}
}

/* A period without a census says nothing: hits are nothing without those among whom they
 * happened. */
static void fold_period(struct rank *rank, uint64_t items) {
	float ticks = (float)(rank->tick - rank->period_begin);
	float each = rank->sightings == 0 ? 0 : ticks * (float)items / (float)rank->sightings;
	for (uint32_t class = 0; class < RANK_CLASSES; class ++)
		for (uint32_t age = 0; age < RANK_AGES && each > 0; age++) {
			rank->hits[class][age] =
				rank->hits[class][age] * FADING + (float)rank->hits_now[class][age];
			rank->exposure[class][age] =
				rank->exposure[class][age] * FADING + (float)rank->seen_now[class][age] * each;
		}
	memset(rank->hits_now, 0, sizeof rank->hits_now);
	memset(rank->seen_now, 0, sizeof rank->seen_now);
	rank->sightings = 0;
	rank->period_begin = rank->tick;
	rank->stale = RANK_CLASSES;
}

static void advance(struct rank *rank, uint64_t bytes, uint64_t items) {
	rank->inserted_bytes += bytes;
	if (UNLIKELY(rank->inserted_bytes >= rank->tick_bytes)) {
		rank->tick += (uint32_t)(rank->inserted_bytes / rank->tick_bytes);
		rank->inserted_bytes %= rank->tick_bytes;
		if (rank->tick - rank->period_begin >= PERIOD_TICKS) fold_period(rank, items);
	}
	SNUG_ASSERT(rank->inserted_bytes < rank->tick_bytes && rank->stale <= RANK_CLASSES);
	if (rank->stale > 0) compute_values(rank, --rank->stale);
}

/* What the class of an object becomes that is used again after `age`. The interval is a running
 * mean, rounded by lot. */
static uint32_t next_class(struct rank *rank, uint32_t class, uint32_t interval) {
	uint32_t count = class / INTERVALS;
	SNUG_ASSERT(count <= COUNT_MOST && interval < INTERVALS);
	if (class == CLASS_NEW) return INTERVALS + interval;
	if (count == 1 || (count < COUNT_MOST && draw(rank, 2) == 0)) count++;
	return count * INTERVALS + (3 * (class % INTERVALS) + interval + draw(rank, 2)) / 4;
}

void rank_init(struct rank *rank, uint64_t limit_bytes, uint64_t seed) {
	*rank = (struct rank){.lots = seed * 2 + 1};
	rank_set_limit(rank, limit_bytes);
	for (uint32_t class = 0; class < RANK_CLASSES; class ++) compute_values(rank, class);
}

static bool are_figures(float (*figures)[RANK_AGES]) {
	for (uint32_t class = 0; class < RANK_CLASSES; class ++)
		for (uint32_t age = 0; age < RANK_AGES; age++)
			if (!(figures[class][age] >= 0 && figures[class][age] < 1e30f)) return false;
	return true;
}

/* Its moments as well: the entries' stamps are by its ticks. */
void rank_learn(struct rank *rank, const struct rank *from) {
	struct rank learnt = *from;
	if (!are_figures(learnt.hits) || !are_figures(learnt.exposure) || !are_figures(learnt.value))
		return;
	learnt.tick_bytes = rank->tick_bytes;
	learnt.inserted_bytes %= rank->tick_bytes;
	learnt.stale = RANK_CLASSES;
	learnt.lots = rank->lots;
	*rank = learnt;
}

void rank_set_limit(struct rank *rank, uint64_t limit_bytes) {
	uint64_t tick_bytes = limit_bytes / RANK_TICKS_PER_TURNOVER;
	rank->tick_bytes = tick_bytes > 0 ? tick_bytes : 1;
}

rank_meta rank_insert(struct rank *rank, uint64_t bytes, uint64_t items) {
	advance(rank, bytes, items);
	return meta_of(CLASS_NEW, rank->tick);
}

/* As many evictions as there are items are a turnover. */
static uint32_t interval_away(uint64_t evictions, uint64_t items) {
	uint64_t ticks =
		RESIDENCE_TICKS + evictions * RANK_TICKS_PER_TURNOVER / (items > 0 ? items : 1);
	uint32_t interval = bit_highest(ticks);
	return interval < INTERVALS ? interval : INTERVALS - 1;
}

rank_meta rank_readmit(struct rank *rank, uint32_t remembered_class, uint64_t evictions,
					   uint64_t bytes, uint64_t items) {
	SNUG_ASSERT(remembered_class < RANK_CLASSES);
	advance(rank, bytes, items);
	uint32_t interval = interval_away(evictions, items);
	return meta_of(next_class(rank, remembered_class, interval), rank->tick);
}

rank_meta rank_hit(struct rank *rank, rank_meta meta) {
	uint32_t age = rank_age_classes[rank_age(rank, meta)];
	uint32_t class = rank_class(meta);
	rank->hits_now[class][age]++;
	return meta_of(next_class(rank, class, age / 2), rank->tick);
}

/* What became of those that were not told of is not known: this one was used once. */
rank_meta rank_hits(struct rank *rank, rank_meta meta, uint32_t uses) {
	SNUG_ASSERT(uses > 0);
	uint32_t *hits = &rank->hits_now[rank_class(meta)][rank_age_classes[rank_age(rank, meta)]];
	/* a period is as long as nothing is inserted */
	*hits += (uint32_t)smaller(uses - 1, UINT32_MAX / 2 - smaller(*hits, UINT32_MAX / 2));
	return rank_hit(rank, meta);
}
