/* cache_stock.h: what a cache under a load must hold, if it holds anything: for those who play the
 * load through a real one and verify each hit.
 *
 * A key is its number, mixed with the seed, and filled up to the length that the load says; a value
 * is a pattern of its key and of how often that was stored, so that an older value or another key's
 * is not taken for it. Whoever plays a key writes its entry: threads that share a stock share no
 * key. */
#ifndef REPLAY_CACHE_STOCK_H
#define REPLAY_CACHE_STOCK_H

#include "caches/cache_load.h"
#include "ledger/pattern.h"

#include <snug/shard.h>

#define STOCK_NOTHING UINT32_MAX

struct stocked {
	uint32_t stamp;
	uint32_t value_bytes;  /* STOCK_NOTHING: deleted, or never stored */
	uint64_t expires_at_s; /* by the player's clock; 0: never */
};

struct cache_stock {
	const struct cache_load *load;
	uint64_t seed;
	struct stocked *entries;   /* by key */
	uint32_t value_most_bytes; /* of any request */
};

/* False: no memory. */
bool cache_stock_init(struct cache_stock *stock, const struct cache_load *load, uint64_t seed);
void cache_stock_deinit(struct cache_stock *stock);

/* Writes load->key_bytes bytes. */
void cache_stock_key(const struct cache_stock *stock, uint32_t number,
					 unsigned char bytes[SNUG_KEY_BYTES_MAX]);
/* The bytes that the key's value must have. */
struct pattern cache_stock_value(const struct cache_stock *stock, uint32_t number);

static inline uint32_t cache_stock_value_bytes(const struct cache_stock *stock,
											   const struct cache_request *request) {
	return request->bytes - stock->load->key_bytes - stock->load->overhead_bytes;
}

/* Whether nothing is to be found at `now_s`. */
static inline bool stocked_is_gone(const struct stocked *entry, uint64_t now_s) {
	return entry->value_bytes == STOCK_NOTHING ||
		   (entry->expires_at_s != 0 && entry->expires_at_s <= now_s);
}

/* What came of a load in a real cache. */
struct cache_outcome {
	struct misses misses;
	uint64_t refused; /* stores */
	/* hits that were not the bytes last stored, or of what was deleted or had expired */
	uint64_t wrong;
	uint64_t value_bytes;   /* verified */
	snug_shard_stats stats; /* at the end; of workers together without those of their heaps */
	/* of readers; 0 where there are none */
	uint64_t told_hits; /* by the cache's own count */
	uint64_t moves;
	uint64_t play_ns; /* all of the load */
};

#endif
