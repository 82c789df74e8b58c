/* All items: walked while the shard changes, and told of when they are evicted, expire or are flushed. */
#include "support/require.h"
#include "support/test_secret.h"
#include "unit/cmocka_all.h"

#include <snug/cache.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEGIN_S 1000000
#define ITEMS 20000u
#define NUMBERS (4 * ITEMS)

static int64_t now_s;

static int64_t now_of(void *context) {
	(void)context;
	return now_s;
}

/* What was told of each number, and of the shard that it was told of. */
struct told {
	snug_shard *shard;
	uint32_t met[NUMBERS];
	uint32_t removed[SNUG_REMOVAL_COUNT];
};

static struct told told;

static snug_key key_of(uint32_t number, char name[static 16]) {
	return snug_shard_key(name, (size_t)snprintf(name, 16, "key%u", number));
}

static void value_of(uint32_t number, char value[static 101]) {
	(void)snprintf(value, 101, "%0100u", number);
}

/* The value is that of its key. */
static uint32_t read_back(snug_shard *shard, const snug_key *key, const snug_item *item) {
	char name[16] = "", expected[101], value[101];
	assert_in_range(key->length, 4, sizeof name - 1);
	memcpy(name, key->bytes, key->length);
	uint32_t number = (uint32_t)strtoul(name + 3, NULL, 10);
	assert_true(number < NUMBERS);
	char again[16];
	assert_true(key_of(number, again).hash == key->hash);
	assert_int_equal(item->value_bytes, 100);
	REQUIRE_OK(snug_shard_read(shard, item, 0, value, 100));
	value_of(number, expected);
	assert_memory_equal(value, expected, 100);
	return number;
}

static void meet(void *context, const snug_key *key, const snug_item *item) {
	struct told *to = context;
	to->met[read_back(to->shard, key, item)]++;
}

static void count_removed(void *context, snug_shard *shard, snug_removal why, const snug_key *key,
						  const snug_item *item) {
	struct told *to = context;
	(void)read_back(shard, key, item);
	assert_int_equal(item->idle_s, 0);
	to->removed[why]++;
}

static snug_shard *open_shard(size_t limit_bytes) {
	snug_shard_options options = snug_shard_options_default();
	options.heap.limit_bytes = limit_bytes;
	options.now_s = now_of;
	options.removed = count_removed;
	options.removed_context = &told;
	now_s = BEGIN_S;
	memset(&told, 0, sizeof told);
	REQUIRE_OK(snug_shard_create(&options, &told.shard));
	return told.shard;
}

static void close_shard(snug_shard *shard) {
	REQUIRE_OK(snug_shard_check(shard, NULL));
	REQUIRE_OK(snug_shard_destroy(shard));
}

static void store(snug_shard *shard, uint32_t number, uint32_t expires_at_s) {
	char name[16], value[101];
	snug_key key = key_of(number, name);
	value_of(number, value);
	snug_attributes attributes = {.expires_at_s = expires_at_s};
	REQUIRE_OK(snug_shard_set(shard, &key, &attributes, value, 100));
}

static void walk_part(snug_shard *shard, uint64_t *cursor) {
	REQUIRE_OK(snug_shard_walk(shard, cursor, meet, &told));
}

static uint32_t removed_in_all(void) {
	return told.removed[SNUG_REMOVAL_EVICTED] + told.removed[SNUG_REMOVAL_EXPIRED] +
		   told.removed[SNUG_REMOVAL_FLUSHED];
}

static void what_stays_is_met_once_while_the_index_grows_and_shrinks(void **state) {
	(void)state;
	snug_shard *shard = open_shard((size_t)32 << 20);
	for (uint32_t i = 0; i < ITEMS; i++) store(shard, i, 0);
	uint64_t cursor = 0;
	uint32_t parts = 0, stored = ITEMS, gone = ITEMS;
	do {
		walk_part(shard, &cursor);
		parts++;
		/* More for the first half, less for the second: the index changes in between. */
		for (uint32_t i = 0; i < 60 && stored < NUMBERS; i++) store(shard, stored++, 0);
		for (uint32_t i = 0; i < 100 && stored == NUMBERS && gone < NUMBERS; i++) {
			char name[16];
			snug_key key = key_of(gone++, name);
			REQUIRE_OK(snug_shard_delete(shard, &key));
		}
		(void)snug_shard_maintain(shard);
	} while (cursor != 0);
	for (uint32_t i = 0; i < ITEMS; i++)
		REQUIRE(told.met[i] == 1, "item %u was met %u times", i, told.met[i]);
	for (uint32_t i = ITEMS; i < NUMBERS; i++)
		REQUIRE(told.met[i] <= 1, "item %u was met %u times", i, told.met[i]);
	assert_true(parts > 500);
	assert_int_equal(removed_in_all(), 0); /* what is deleted is not told */
	close_shard(shard);
}

static void what_is_dead_is_not_met(void **state) {
	(void)state;
	snug_shard *shard = open_shard((size_t)8 << 20);
	for (uint32_t i = 0; i < 100; i++) store(shard, i, i % 2 ? BEGIN_S + 10 : 0);
	now_s += 10;
	uint64_t cursor = 0;
	do walk_part(shard, &cursor);
	while (cursor != 0);
	for (uint32_t i = 0; i < 100; i++) assert_int_equal(told.met[i], i % 2 ? 0 : 1);
	snug_shard_flush(shard, now_s);
	do walk_part(shard, &cursor);
	while (cursor != 0);
	for (uint32_t i = 0; i < 100; i++) assert_int_equal(told.met[i], i % 2 ? 0 : 1);
	assert_int_equal(snug_shard_walk(shard, NULL, meet, &told), SNUG_ERROR_NULL);
	assert_int_equal(snug_shard_walk(shard, &cursor, NULL, &told), SNUG_ERROR_NULL);
	close_shard(shard);
}

static void each_removal_is_told_with_its_reason(void **state) {
	(void)state;
	snug_shard *shard = open_shard((size_t)1 << 20);
	snug_shard_stats stats;
	for (uint32_t i = 0; i < ITEMS; i++) store(shard, i, i % 3 ? 0 : BEGIN_S + 5);
	REQUIRE_OK(snug_shard_stats_get(shard, &stats));
	assert_true(stats.evictions > 1000);
	assert_int_equal(told.removed[SNUG_REMOVAL_EVICTED], stats.evictions);
	assert_int_equal(removed_in_all(), stats.evictions);
	now_s += 5;
	while (snug_shard_maintain(shard)) {
	}
	REQUIRE_OK(snug_shard_stats_get(shard, &stats));
	assert_true(stats.expired > 100);
	assert_int_equal(told.removed[SNUG_REMOVAL_EXPIRED], stats.expired);
	uint64_t left = stats.items;
	snug_shard_flush(shard, now_s);
	while (snug_shard_maintain(shard)) {
	}
	assert_true(left > 100);
	assert_int_equal(told.removed[SNUG_REMOVAL_FLUSHED], left);
	uint32_t before = removed_in_all();
	store(shard, 1, 0);
	store(shard, 1, 0); /* replaced */
	assert_int_equal(removed_in_all(), before);
	assert_true(snug_shard_evict(shard, 1) > 0);
	assert_int_equal(removed_in_all(), before + 1);
	close_shard(shard);
}

static void count_anywhere(void *context, snug_shard *shard, snug_removal why, const snug_key *key,
						   const snug_item *item) {
	(void)shard;
	(void)item;
	assert_int_equal(why, SNUG_REMOVAL_EVICTED);
	assert_in_range(key->length, 4, 15);
	atomic_fetch_add((_Atomic uint64_t *)context, 1);
}

static void workers_of_a_cache_tell(void **state) {
	(void)state;
	_Atomic uint64_t evicted = 0;
	snug_cache_options options = snug_cache_options_default();
	snug_cache *cache;
	snug_cache_client *client;
	snug_cache_stats stats;
	options.workers = 2;
	options.limit_bytes = (size_t)2 << 20;
	options.removed = count_anywhere;
	options.removed_context = &evicted;
	REQUIRE_OK(snug_cache_create(&options, &cache));
	REQUIRE_OK(snug_cache_client_create(cache, NULL, &client));
	for (uint32_t i = 0; i < ITEMS; i++) {
		char name[16], value[101];
		snug_key key = key_of(i, name);
		value_of(i, value);
		REQUIRE_OK(snug_cache_set(client, key.bytes, key.length, value, 100, NULL));
	}
	REQUIRE_OK(snug_cache_stats_get(client, &stats));
	assert_true(stats.evictions > 1000);
	assert_true(atomic_load(&evicted) == stats.evictions);
	REQUIRE_OK(snug_cache_client_destroy(client));
	REQUIRE_OK(snug_cache_destroy(cache));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_stays_is_met_once_while_the_index_grows_and_shrinks),
		cmocka_unit_test(what_is_dead_is_not_met),
		cmocka_unit_test(each_removal_is_told_with_its_reason),
		cmocka_unit_test(workers_of_a_cache_tell),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
