/* cache/shard/shard_sweep.h: what is dead goes: what was flushed, what has expired.
 *
 * A flush marks everything there is at once, by the index's epoch; the sweep removes it. The sweep
 * walks the index, some places a slice: without a pause while there are flushed items, and for expired
 * ones when enough may have. For those it reads the items, which look-ups do anyway for the popular
 * ones. */
#ifndef SNUG_CACHE_SHARD_SWEEP_H
#define SNUG_CACHE_SHARD_SWEEP_H

#include "cache/shard/shard_state.h"

/* A flush whose time has come. */
static inline void shard_tick(struct snug_shard *shard) {
	if (__builtin_expect(shard->flush_at_s != 0, false) &&
		shard->flush_at_s <= (int64_t)shard_now_s(shard))
		snug_shard_flush(shard, 0);
}

/* Some places, if the sweep is due. False: it is not, or that was the last place of a round. */
bool shard_sweep(struct snug_shard *shard);

/* How long the sweep has nothing to do, in seconds of the shard's clock; UINT64_MAX: until something
 * is stored or flushed. */
uint64_t shard_sweep_rest_s(const struct snug_shard *shard);

/* Removes what is dead in a bounded share of the index; tells its bytes. */
uint64_t shard_remove_dead(struct snug_shard *shard);

#endif
