/* cache/operation_parts.h: what the files of cache/operation.h share. */
#ifndef SNUG_CACHE_OPERATION_PARTS_H
#define SNUG_CACHE_OPERATION_PARTS_H

#include "cache/operation.h"
#include "cache/shard_state.h"

#define ARITHMETIC_BYTES_MAX 256u /* no number has more, blanks included */

/* The second in which an item with this exptime expires; 0: never; 1: long ago. */
uint32_t operation_expires_at_s(const snug_shard *shard, int64_t exptime);

/* For what is stored now: 0 unless somebody wants to know or has said. */
uint64_t operation_new_cas(snug_shard *shard, const struct operation *operation);

enum operation_status operation_status_of(snug_error error);

/* operation_store.c */
void operation_store(snug_shard *shard, struct operation *operation, struct operation_counts *counts);

/* The same, for which no lease could be had: `error` says why. */
void operation_store_refused(snug_shard *shard, struct operation *operation, snug_error error,
							 struct operation_counts *counts);

#endif
