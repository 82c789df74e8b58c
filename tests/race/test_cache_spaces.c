/* test_cache_spaces.c: the figures of a cache's namespaces: each beside a recount by hand, or beside those of
 * the whole cache, whoever has read, and while threads read at once. */
#include "crew.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { USER, SESSION, PAGE, SPACES };

static const snug_cache_namespace namespaces[SPACES] = {
	{"user:", 5}, {"user:session:", 13}, {"page:", 5}};

static snug_cache *cache;
static snug_cache_client *client;
static uint64_t removals; /* the user's own callback: of one worker */

static void removed(void *context, snug_shard *shard, snug_removal why, const snug_key *key,
					const snug_item *item) {
	(void)context;
	(void)shard;
	(void)key;
	(void)item;
	removals += why == SNUG_REMOVAL_EVICTED;
}

static snug_cache_options options_of(uint32_t workers) {
	snug_cache_options options = snug_cache_options_default();
	options.workers = workers;
	options.limit_bytes = (size_t)8 << 20;
	options.namespaces = namespaces;
	options.namespace_count = SPACES;
	options.removed = removed;
	return options;
}

static void open_cache(uint32_t workers) {
	snug_cache_options options = options_of(workers);
	removals = 0;
	assert_int_equal(snug_cache_create(&options, &cache), SNUG_OK);
	assert_int_equal(snug_cache_client_create(cache, NULL, &client), SNUG_OK);
}

static void close_cache(void) {
	assert_int_equal(snug_cache_client_destroy(client), SNUG_OK);
	assert_int_equal(snug_cache_destroy(cache), SNUG_OK);
}

static void put(const char *key, size_t value_bytes, uint32_t expires_at_s) {
	char *value = calloc(1, value_bytes + 1);
	snug_cache_store_options options = snug_cache_store_options_default();
	options.expires_at_s = expires_at_s;
	assert_int_equal(snug_cache_set(client, key, strlen(key), value, value_bytes, &options),
					 SNUG_OK);
	free(value);
}

static bool is_there(snug_cache_client *of, const char *key) {
	snug_cache_value value;
	snug_error error = snug_cache_get(of, key, strlen(key), NULL, 0, &value);
	assert_true(error == SNUG_OK || error == SNUG_ERROR_BUFFER_TOO_SMALL ||
				error == SNUG_ERROR_NOT_FOUND);
	return error != SNUG_ERROR_NOT_FOUND;
}

static void figures(bool counts_items, snug_cache_namespace_stats *out) {
	assert_int_equal(snug_cache_namespace_stats_get(client, counts_items, out, SPACES), SNUG_OK);
}

static void assert_asked(const snug_cache_namespace_stats *stats, uint64_t hits, uint64_t misses) {
	assert_int_equal(stats->hits, hits);
	assert_int_equal(stats->misses, misses);
}

static void each_key_counts_for_its_longest_beginning(void **state) {
	snug_cache_namespace_stats stats[SPACES];
	snug_cache_stats all;
	char key[32], buffer[8];
	(void)state;
	open_cache(2);
	for (uint32_t i = 0; i < 300; i++) {
		static const char *const names[] = {"user:", "user:session:", "page:", "other:"};
		for (uint32_t j = 0; j <= i % 4; j++) {
			(void)snprintf(key, sizeof key, "%s%u", names[j], i);
			put(key, 100, 0);
		}
	}
	put("user", 7, 0);
	put("page:", 7, 0);
	figures(true, stats);
	assert_int_equal(stats[USER].items, 300);
	assert_int_equal(stats[SESSION].items, 225);
	assert_int_equal(stats[PAGE].items, 151);
	assert_int_equal(snug_cache_stats_get(client, &all), SNUG_OK);
	assert_int_equal(all.items, 300 + 225 + 151 + 75 + 1);
	/* heads of 3 bytes, and the longest keys have 16 */
	assert_in_range(stats[USER].item_bytes, 300 * (3 + 6 + 100), 300 * (3 + 8 + 100));
	assert_int_equal(snug_cache_client_set_timeout(client, HANG_NS), SNUG_OK);
	figures(true, stats);
	assert_int_equal(stats[SESSION].items, 225);
	assert_int_equal(snug_cache_client_set_timeout(client, SNUG_FOREVER), SNUG_OK);
	/* By whichever way it is read: by the client itself, or by the owner, since it lies in pieces. */
	put("page:large", 100000, 0);
	assert_true(is_there(client, "page:0") == false && is_there(client, "page:2"));
	assert_true(is_there(client, "page:large"));
	snug_cache_lookup lookups[] = {
		{.key = "user:1", .key_bytes = 6, .buffer = buffer, .room_bytes = sizeof buffer},
		{.key = "user:none", .key_bytes = 9},
		{.key = "page:large", .key_bytes = 10, .buffer = buffer, .room_bytes = sizeof buffer},
		{.key = "other:3", .key_bytes = 7}};
	assert_int_equal(snug_cache_get_many(client, lookups, 4), SNUG_OK);
	snug_cache_view view;
	assert_int_equal(snug_cache_view_begin(client, "user:session:1", 14, &view), SNUG_OK);
	assert_int_equal(snug_cache_view_begin(client, "user:session:", 13, &view),
					 SNUG_ERROR_NOT_FOUND);
	figures(false, stats);
	assert_asked(&stats[USER], 1, 1);
	assert_asked(&stats[SESSION], 1, 1);
	assert_asked(&stats[PAGE], 3, 1);
	assert_int_equal(stats[USER].items, 0);
	assert_int_equal(snug_cache_stats_get(client, &all), SNUG_OK);
	assert_int_equal(all.hits, 6);
	assert_int_equal(all.misses, 3);
	assert_int_equal(snug_cache_flush(client), SNUG_OK);
	figures(true, stats);
	assert_int_equal(stats[USER].items + stats[SESSION].items + stats[PAGE].items, 0);
	assert_int_equal(stats[USER].item_bytes, 0);
	close_cache();
}

static void what_goes_is_counted_and_told(void **state) {
	snug_cache_namespace_stats stats[SPACES];
	snug_cache_stats all;
	char key[32];
	(void)state;
	open_cache(1);
	put("user:short", 10, (uint32_t)time(NULL) + 1);
	CREW_WAIT_UNTIL(!is_there(client, "user:short"));
	assert_int_equal(snug_cache_delete(client, "user:short", 10), SNUG_ERROR_NOT_FOUND);
	for (uint32_t i = 0; i < 30000; i++) {
		(void)snprintf(key, sizeof key, "%s:%u", i % 3 == 0 ? "user" : "page", i);
		put(key, 500, 0);
	}
	figures(true, stats);
	assert_int_equal(snug_cache_stats_get(client, &all), SNUG_OK);
	assert_int_equal(stats[USER].expired, 1);
	assert_true(stats[USER].evictions > 0 && stats[PAGE].evictions > 0);
	assert_int_equal(stats[USER].evictions + stats[PAGE].evictions, all.evictions);
	assert_int_equal(stats[USER].items + stats[PAGE].items, all.items);
	assert_int_equal(stats[USER].item_bytes + stats[PAGE].item_bytes, all.item_bytes);
	assert_int_equal(removals, all.evictions);
	close_cache();
}

static void *read_many(void *context) {
	snug_cache_client *own = NULL;
	(void)context;
	assert_int_equal(snug_cache_client_create(cache, NULL, &own), SNUG_OK);
	for (uint32_t i = 0; i < 5000; i++) (void)is_there(own, i % 2 == 0 ? "user:1" : "page:none");
	assert_int_equal(snug_cache_client_destroy(own), SNUG_OK);
	return NULL;
}

static void threads_count_together(void **state) {
	snug_cache_namespace_stats stats[SPACES];
	pthread_t threads[4];
	(void)state;
	open_cache(2);
	put("user:1", 10, 0);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_many, NULL), 0);
	for (uint32_t i = 0; i < 4; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
	figures(false, stats);
	assert_asked(&stats[USER], 10000, 0);
	assert_asked(&stats[PAGE], 0, 10000);
	close_cache();
}

static snug_error create_with(const snug_cache_namespace *given, uint32_t count) {
	snug_cache_options options = options_of(1);
	options.namespaces = given;
	options.namespace_count = count;
	snug_error error = snug_cache_create(&options, &cache);
	if (!error) assert_int_equal(snug_cache_destroy(cache), SNUG_OK);
	return error;
}

static void what_makes_no_sense_is_refused(void **state) {
	snug_cache_namespace many[SNUG_CACHE_NAMESPACES_MAX + 1];
	char names[SNUG_CACHE_NAMESPACES_MAX + 1][8];
	snug_cache_namespace_stats stats[SPACES];
	(void)state;
	for (uint32_t i = 0; i <= SNUG_CACHE_NAMESPACES_MAX; i++) {
		(void)snprintf(names[i], sizeof names[i], "%u:", i);
		many[i] = (snug_cache_namespace){names[i], strlen(names[i])};
	}
	assert_int_equal(create_with(many, SNUG_CACHE_NAMESPACES_MAX), SNUG_OK);
	assert_int_equal(create_with(many, SNUG_CACHE_NAMESPACES_MAX + 1), SNUG_ERROR_OPTION);
	assert_int_equal(create_with(NULL, 1), SNUG_ERROR_NULL);
	assert_int_equal(create_with(NULL, 0), SNUG_OK);
	many[1] = many[0];
	assert_int_equal(create_with(many, 2), SNUG_ERROR_EXISTS);
	many[1] = (snug_cache_namespace){"", 0};
	assert_int_equal(create_with(many, 2), SNUG_ERROR_KEY);
	many[1] = (snug_cache_namespace){NULL, 3};
	assert_int_equal(create_with(many, 2), SNUG_ERROR_NULL);
	open_cache(1);
	assert_int_equal(snug_cache_namespace_stats_get(NULL, false, stats, 1), SNUG_ERROR_NULL);
	assert_int_equal(snug_cache_namespace_stats_get(client, false, NULL, 1), SNUG_ERROR_NULL);
	assert_int_equal(snug_cache_namespace_stats_get(client, false, stats, SPACES + 1),
					 SNUG_ERROR_RANGE);
	assert_int_equal(snug_workers_stop(snug_cache_workers(cache), HANG_NS), SNUG_OK);
	assert_int_equal(snug_cache_namespace_stats_get(client, true, stats, 1), SNUG_ERROR_STOPPED);
	assert_int_equal(snug_cache_namespace_stats_get(client, false, stats, 1), SNUG_OK);
	close_cache();
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_key_counts_for_its_longest_beginning),
		cmocka_unit_test(what_goes_is_counted_and_told),
		cmocka_unit_test(threads_count_together),
		cmocka_unit_test(what_makes_no_sense_is_refused),
	};
	return cmocka_run_group_tests_name("cache_spaces", tests, NULL, NULL);
}
