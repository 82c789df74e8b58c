/* server/figures/figures.h: what the server counts, added up and made sense of. The door of this
 * room:
 *
 *     figures_sum.c      the counters of all workers, added up
 *     figures_past.c     what was counted in the last minutes
 *     figures_memory.c   what the memory is used for: pure
 *     top.h, .c          who has most, in bounded memory: pure
 *     hot_keys.h, .c     which keys are asked for most, from a sample
 *
 *     limit >= used = values + keys + heads + held + waste + holes + page_ends     slabs
 *                   + free_pages                                                   other pages
 *                   + tables + index + ghosts + workers                            no pages
 *
 * Each worker's figures are of one instant. So its parts add up to the byte, and so do their
 * sums. */
#ifndef SNUG_SERVER_FIGURES_H
#define SNUG_SERVER_FIGURES_H

#include "server/server.h"

/* Of all workers: counters since the last reset, and what is held now. */
struct figures {
	struct operation_counts counts;
	struct connection_counts connections;
	snug_shard_stats shard;
};

/* What HTTP's threads have counted is told with the first worker's. */
static inline uint64_t figures_http(const struct server_worker *worker,
									const _Atomic uint64_t *count) {
	return worker->index == 0 ? atomic_load_explicit(count, memory_order_relaxed) : 0;
}

/* Adds what the worker has counted. On its own thread. */
void figures_add(struct figures *sum, const struct server_worker *worker);

/* Once a second, or when it turns: marks what it has counted, if the last mark is PAST_NS old. On its
 * own thread, which has a shard. */
void figures_mark(struct server_worker *worker, uint64_t now_ns);
/* Adds what it has counted in the last 5 to 10 minutes, or since its last mark but one if it slept;
 * and in as long a time before that, of which there may be nothing yet. On its own thread. */
void figures_add_past(const struct server_worker *worker, uint64_t now_ns, struct past *recent,
					  struct past *before);

/* What the memory within the limit is used for. X(name, what it is) */
/* clang-format off */
#define MEMORY_PURPOSES(X) \
	X(values, "the items' values") \
	X(keys, "their keys") \
	X(heads, "their heads: lengths, expiry, flags, CAS number") \
	X(held, "items that nobody finds any more, or not yet: leased, or flushed and not removed") \
	X(waste, "rounding of items up to slots, and what links their pieces") \
	X(holes, "free slots in slabs that are in use") \
	X(page_ends, "ends of slabs that are no whole slot") \
	X(free_pages, "pages without a slab, kept for the next items") \
	X(tables, "the heap's bookkeeping") \
	X(index, "the index of keys") \
	X(ghosts, "what is remembered of evicted items") \
	X(workers, "the workers' own state, and their sockets' buffers")
/* clang-format on */

struct memory_parts {
#define MEMORY_PART(name, what) uint64_t name;
	MEMORY_PURPOSES(MEMORY_PART)
#undef MEMORY_PART
};

/* Pure. */
struct memory_parts memory_parts_of(const snug_shard_stats *shard);
/* All that counts towards the limit, which is what the parts add up to. */
uint64_t memory_used_bytes(const snug_shard_stats *shard);

#endif
