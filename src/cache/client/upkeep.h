/* cache/client/upkeep.h: a shard's own maintenance (snug_shard_maintain) beside serving, within a
 * share of the worker's time; and eviction for emergencies. For whoever runs a shard on a worker:
 * the cache, the server (law K8). */
#ifndef SNUG_CACHE_UPKEEP_H
#define SNUG_CACHE_UPKEEP_H

#include "work/policy/duty.h"

#include <snug/shard.h>

#define UPKEEP_DUTY_PPM 50000u
#define UPKEEP_PAUSE_NS UINT64_C(100000000) /* when there was nothing to do */

/* Owner only. */
struct upkeep {
	struct duty duty;
	uint64_t look_ns; /* there was nothing to do: not before then */
	bool has_more;    /* or may have, since there was other work */
};

static inline void upkeep_init(struct upkeep *upkeep) {
	*upkeep = (struct upkeep){.duty = {.ppm = UPKEEP_DUTY_PPM, .idle_ns = 200000}};
}

/* A slice, if it is time for one. `is_serving`: there was other work in this turn. Tells whether
 * there is more to do. */
bool upkeep_turn(struct upkeep *upkeep, snug_shard *shard, uint64_t now_ns, bool is_serving);

/* How long the worker may sleep at most, as far as the shard is concerned; 0: not at all;
 * UINT64_MAX: until it is woken. */
uint64_t upkeep_rest_ns(const struct upkeep *upkeep, const snug_shard *shard, uint64_t now_ns);

/* Evicts about so many bytes, what has expired with them; tells how many it were; 0: there is
 * nothing that could go. */
uint64_t upkeep_evict(snug_shard *shard, uint64_t bytes);

#endif
