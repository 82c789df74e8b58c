/* embedded.c: the cache over workers, as a program embeds it: each thread has a client. */
#include "bench.h"

#include "readers/contestant.h"

#include <snug/cache.h>

#define LIMIT_BYTES_AN_ITEM 512u /* as a shard of one's own has it */

static void *create(const struct contest *contest) {
	snug_cache_options options = snug_cache_options_default();
	snug_cache *cache = NULL;
	options.workers = contest->workers;
	options.limit_bytes = (size_t)contest->items * LIMIT_BYTES_AN_ITEM + options.workers * 4 * MIB;
	options.huge_pages = contest->huge_pages;
	bench_expect_ok(snug_cache_create(&options, &cache), "snug_cache_create");
	return cache;
}

static void destroy(void *table) {
	bench_expect_ok(snug_cache_destroy(table), "snug_cache_destroy");
}

static void *enter(void *table) {
	snug_cache_client *client = NULL;
	bench_expect_ok(snug_cache_client_create(table, NULL, &client), "snug_cache_client_create");
	return client;
}

static void leave(void *visitor) {
	bench_expect_ok(snug_cache_client_destroy(visitor), "snug_cache_client_destroy");
}

static bool get(void *visitor, const struct reader_key *key, struct reader_value *out) {
	snug_cache_value value;
	snug_error error = snug_cache_get(visitor, key, sizeof *key, out, sizeof *out, &value);
	if (error != SNUG_ERROR_NOT_FOUND) bench_expect_ok(error, "snug_cache_get");
	return error == SNUG_OK && value.bytes == sizeof *out;
}

static void set(void *visitor, const struct reader_key *key, const struct reader_value *value) {
	bench_expect_ok(snug_cache_set(visitor, key, sizeof *key, value, sizeof *value, NULL),
					"snug_cache_set");
}

const struct contestant contestant_embedded = {
	.name = "snug",
	.create = create,
	.destroy = destroy,
	.enter = enter,
	.leave = leave,
	.get = get,
	.set = set,
};
