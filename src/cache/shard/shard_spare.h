/* cache/shard/shard_spare.h: memory that nothing uses goes back to the OS, within the slices of
 * snug_shard_maintain. When, and how much, is decided by work/policy/spare.h. */
#ifndef SNUG_CACHE_SHARD_SPARE_H
#define SNUG_CACHE_SHARD_SPARE_H

#include "cache/shard/shard_state.h"

/* A look, once a second at most, or a step of what it has begun. True: there is more to do now. */
bool shard_spare_step(struct snug_shard *shard);

/* Somebody else needs the heap's one defragmentation. */
void shard_spare_end(struct snug_shard *shard);

/* How long a step would do nothing, unless something is called meanwhile; UINT64_MAX: for ever. */
uint64_t shard_spare_rest_ns(const struct snug_shard *shard);

#endif
