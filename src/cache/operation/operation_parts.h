/* cache/operation/operation_parts.h: what the files of cache/operation/operation.h share: times as
 * memcached takes them, CAS numbers, errors as statuses. */
#ifndef SNUG_CACHE_OPERATION_PARTS_H
#define SNUG_CACHE_OPERATION_PARTS_H

#include "cache/operation/operation.h"
#include "cache/shard/shard_state.h"

#define ARITHMETIC_BYTES_MAX 256u /* no number has more, blanks included */

/* The second in which an item with this exptime expires; 0: never; 1: long ago. */
static inline uint32_t operation_expires_at_s(const snug_shard *shard, int64_t exptime) {
	if (exptime == 0) return 0;
	if (exptime < 0) return 1; /* 1970 */
	if (exptime <= EXPTIME_RELATIVE_MAX_S) return shard_now_s(shard) + (uint32_t)exptime;
	if (exptime > UINT32_MAX) return UINT32_MAX;
	int64_t moment_s = shard_moment_s(shard, exptime);
	return moment_s < 1 ? 1 : moment_s > UINT32_MAX ? UINT32_MAX : (uint32_t)moment_s;
}

/* For what is stored now: 0 unless somebody wants to know or has said. */
static inline uint64_t operation_new_cas(snug_shard *shard, const struct operation *operation) {
	if (operation->options & OPERATION_HAS_CAS_NEW && operation->cas_new != 0)
		return operation->cas_new;
	return operation->options & OPERATION_WANTS_CAS ? snug_shard_next_cas(shard) : 0;
}

/* What is there before anything is changed. */
static inline void operation_tell_before(snug_shard *shard, struct operation *operation) {
	snug_item before;
	if (__builtin_expect((operation->options & OPERATION_TELLS_BEFORE) == 0, true)) return;
	bool is_there = snug_shard_find(shard, &operation->key, &before) == SNUG_OK;
	operation->before_bytes = is_there ? before.value_bytes : OPERATION_NOTHING_BEFORE;
}

static inline enum operation_status operation_status_of(snug_error error) {
	switch (error) {
	case SNUG_OK:
		return STATUS_STORED;
	case SNUG_ERROR_SIZE_TOO_LARGE:
		return STATUS_TOO_LARGE;
	case SNUG_ERROR_KEY:
	case SNUG_ERROR_NULL:
		return STATUS_BAD_KEY;
	default:
		return STATUS_NO_MEMORY;
	}
}

/* operation_store.c */
void operation_store(snug_shard *shard, struct operation *operation,
					 struct operation_counts *counts);

/* The same, for which no lease could be had: `error` says why. */
void operation_store_refused(snug_shard *shard, struct operation *operation, snug_error error,
							 struct operation_counts *counts);

#endif
