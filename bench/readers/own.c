/* own.c: a shard that its owner reads and writes. There is no other thread, no lock, no message:
 * what a get of any other table is measured by. */
#include "bench.h"

#include "readers/contestant.h"

#include <snug/shard.h>

/* The items, their index and room for the versions that follow one another: nothing is evicted. */
#define LIMIT_BYTES_AN_ITEM 512u

static void *create(const struct contest *contest) {
	snug_shard_options options = snug_shard_options_default();
	snug_shard *shard = NULL;
	options.heap.limit_bytes = (size_t)contest->items * LIMIT_BYTES_AN_ITEM + 4 * MIB;
	options.heap.huge_pages = contest->huge_pages;
	bench_expect_ok(snug_shard_create(&options, &shard), "snug_shard_create");
	return shard;
}

static void destroy(void *table) {
	bench_expect_ok(snug_shard_destroy(table), "snug_shard_destroy");
}

static void *enter(void *table) {
	return table;
}

static void leave(void *visitor) {
	(void)visitor;
}

static bool get(void *visitor, const struct reader_key *key, struct reader_value *out) {
	snug_key hashed = snug_shard_key(key, sizeof *key);
	snug_item item;
	return snug_shard_get(visitor, &hashed, &item) == SNUG_OK && item.value_bytes == sizeof *out &&
		   snug_shard_read(visitor, &item, 0, out, sizeof *out) == SNUG_OK;
}

static void set(void *visitor, const struct reader_key *key, const struct reader_value *value) {
	snug_key hashed = snug_shard_key(key, sizeof *key);
	bench_expect_ok(snug_shard_set(visitor, &hashed, NULL, value, sizeof *value), "snug_shard_set");
}

/* What a worker does beside serving. */
static void maintain(void *visitor) {
	(void)snug_shard_maintain(visitor);
}

const struct contestant contestant_own = {
	.name = "own",
	.owner_only = true,
	.create = create,
	.destroy = destroy,
	.enter = enter,
	.leave = leave,
	.get = get,
	.set = set,
	.pause = maintain,
};
