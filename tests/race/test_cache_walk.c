/* test_cache_walk.c: all items of a cache over workers: what is there all the time is met once, whatever is
 * stored, replaced and removed meanwhile by other threads; each value is one that its key had. */
#include "crew.h"
#include "support/test_random.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_BYTES ((size_t)32 << 20)

static void leave(snug_cache_client *client) {
	assert_int_equal(snug_cache_client_destroy(client), SNUG_OK);
}

/* ------------------------------------------------------------------ numbered items --------- */

#define NUMBERS_MAX 20000u
#define VALUE_BYTES_MAX ((size_t)200000)

/* A value tells its key's number, and its own length. */
static size_t write_value(char *to, uint32_t number, size_t bytes) {
	size_t head = (size_t)snprintf(to, 32, "%u %zu ", number, bytes);
	for (size_t at = head; at < bytes; at++) to[at] = (char)('a' + (number + at) % 26);
	return bytes > head ? bytes : head;
}

static void put(snug_cache_client *client, uint32_t number, size_t bytes) {
	static _Thread_local char value[VALUE_BYTES_MAX], expected[16];
	size_t key_bytes = (size_t)snprintf(expected, sizeof expected, "k%u", number);
	snug_cache_store_options options = snug_cache_store_options_default();
	options.client_flags = number;
	assert_int_equal(snug_cache_set(client, expected, key_bytes, value,
									write_value(value, number, bytes), &options),
					 SNUG_OK);
}

struct met {
	uint8_t times[NUMBERS_MAX];
	uint32_t count;
	uint32_t wrong;
	uint32_t dated;
};

static void meet(void *context, const snug_cache_item *item) {
	struct met *met = context;
	char key[16], *expected = malloc(VALUE_BYTES_MAX);
	const char *head = item->bytes;
	uint32_t number = item->value.client_flags;
	size_t key_bytes = (size_t)snprintf(key, sizeof key, "k%u", number);
	bool is_right = number < NUMBERS_MAX && item->key_bytes == key_bytes &&
					memcmp(item->key, key, key_bytes) == 0 && item->value.bytes > 0 &&
					item->value.cas == 0;
	size_t bytes = write_value(expected, number, item->value.bytes);
	is_right = is_right && bytes == item->value.bytes && memcmp(head, expected, bytes) == 0;
	met->wrong += !is_right;
	met->count++;
	met->dated += item->value.expires_at_s != 0;
	if (is_right) met->times[number]++;
	free(expected);
}

static uint32_t walk(snug_cache_client *client, struct met *met) {
	snug_cache_cursor cursor = {0};
	uint32_t parts = 0;
	memset(met, 0, sizeof *met);
	do {
		assert_int_equal(snug_cache_walk(client, &cursor, meet, met), SNUG_OK);
		parts++;
	} while (!cursor.is_at_end);
	assert_int_equal(snug_cache_walk(client, &cursor, meet, met), SNUG_OK);
	assert_int_equal(met->wrong, 0);
	return parts;
}

static void assert_each_once(const struct met *met, uint32_t count) {
	assert_int_equal(met->count, count);
	for (uint32_t i = 0; i < count; i++) assert_int_equal(met->times[i], 1);
}

/* ------------------------------------------------------------------ at rest ---------------- */

static struct met met;

static void all_are_met_once(void **state) {
	(void)state;
	snug_cache *cache = crew_cache(3, LIMIT_BYTES);
	snug_cache_client *client = crew_client(cache);
	snug_cache_stats before, after;
	assert_int_equal(walk(client, &met), 3);
	assert_int_equal(met.count, 0);
	/* small, in several pieces, as large as a part has room for, and beyond */
	for (uint32_t i = 0; i < 3000; i++) put(client, i, i % 100 == 7 ? 20 + i * 60 : 20 + i % 900);
	assert_int_equal(snug_cache_stats_get(client, &before), SNUG_OK);
	assert_true(walk(client, &met) > 30);
	assert_each_once(&met, 3000);
	assert_int_equal(snug_cache_stats_get(client, &after), SNUG_OK);
	assert_int_equal(after.hits, before.hits);
	assert_int_equal(after.misses, before.misses);
	assert_int_equal(snug_cache_flush(client), SNUG_OK);
	(void)walk(client, &met);
	assert_int_equal(met.count, 0);
	leave(client);
	assert_int_equal(snug_cache_destroy(cache), SNUG_OK);
}

/* Places whose values are more than a part has room for, and such as do not fit behind another. */
static void a_place_that_does_not_fit_is_asked_for_anew(void **state) {
	(void)state;
	snug_cache *cache = crew_cache(1, LIMIT_BYTES);
	snug_cache_client *client = crew_client(cache);
	for (uint32_t i = 0; i < 5000; i++) put(client, i, 4096 - i % 2);
	(void)walk(client, &met);
	assert_each_once(&met, 5000);
	for (uint32_t i = 0; i < 5000; i++) put(client, i, 20 + i * 331 % 4000);
	(void)walk(client, &met);
	assert_each_once(&met, 5000);
	/* some 50 in a place: about half of what a part has room for */
	for (uint32_t i = 0; i < 5000; i++) put(client, i, 20 + i * 331 % 500);
	(void)walk(client, &met);
	assert_each_once(&met, 5000);
	leave(client);
	assert_int_equal(snug_cache_destroy(cache), SNUG_OK);
}

static void a_clients_time_out_changes_nothing_but_that(void **state) {
	(void)state;
	snug_cache *cache = crew_cache(2, LIMIT_BYTES);
	snug_cache_client *client = crew_client(cache);
	for (uint32_t i = 0; i < 2000; i++) put(client, i, i % 50 == 0 ? 9000 : 100);
	assert_int_equal(snug_cache_touch(client, "k3", 2, UINT32_MAX), SNUG_OK);
	assert_int_equal(snug_cache_client_set_timeout(client, HANG_NS), SNUG_OK);
	(void)walk(client, &met);
	assert_each_once(&met, 2000);
	assert_int_equal(met.dated, 1);
	leave(client);
	assert_int_equal(snug_cache_destroy(cache), SNUG_OK);
}

static void remove_met(void *context, const snug_cache_item *item) {
	snug_cache_client *client = context;
	assert_int_equal(snug_cache_delete(client, item->key, item->key_bytes), SNUG_OK);
}

static void a_visit_may_use_the_client(void **state) {
	(void)state;
	snug_cache *cache = crew_cache(2, LIMIT_BYTES);
	snug_cache_client *client = crew_client(cache);
	snug_cache_cursor cursor = {0};
	snug_cache_stats stats;
	for (uint32_t i = 0; i < 1000; i++) put(client, i, 100);
	do assert_int_equal(snug_cache_walk(client, &cursor, remove_met, client), SNUG_OK);
	while (!cursor.is_at_end);
	assert_int_equal(snug_cache_stats_get(client, &stats), SNUG_OK);
	assert_int_equal(stats.items, 0);
	leave(client);
	assert_int_equal(snug_cache_destroy(cache), SNUG_OK);
}

static void what_cannot_be_is_refused(void **state) {
	(void)state;
	snug_cache *cache = crew_cache(2, LIMIT_BYTES);
	snug_cache_client *client = crew_client(cache);
	snug_cache_cursor cursor = {.worker = 2}, start = {0};
	assert_int_equal(snug_cache_walk(NULL, &start, meet, &met), SNUG_ERROR_NULL);
	assert_int_equal(snug_cache_walk(client, NULL, meet, &met), SNUG_ERROR_NULL);
	assert_int_equal(snug_cache_walk(client, &start, NULL, &met), SNUG_ERROR_NULL);
	assert_int_equal(snug_cache_walk(client, &cursor, meet, &met), SNUG_ERROR_WORKER);
	assert_int_equal(snug_workers_stop(snug_cache_workers(cache), HANG_NS), SNUG_OK);
	assert_int_equal(snug_cache_walk(client, &start, meet, &met), SNUG_ERROR_STOPPED);
	assert_int_equal(start.worker, 0);
	assert_false(start.is_at_end);
	leave(client);
	assert_int_equal(snug_cache_destroy(cache), SNUG_OK);
}

/* ------------------------------------------------------------------ while it changes ------- */

#define STAYING 4000u
#define CHURNERS 2

struct churn {
	snug_cache *cache;
	uint32_t number;
	_Atomic bool ends;
	_Atomic uint32_t rounds;
};

/* Those that stay are replaced, also by other sizes; the others come and go, in thousands, so that the
 * index grows and shrinks. */
static void *change(void *context) {
	struct churn *churn = context;
	snug_cache_client *client = crew_client(churn->cache);
	test_random random = {churn->number};
	while (!atomic_load(&churn->ends)) {
		for (uint32_t i = 0; i < 500; i++) {
			uint32_t number = (uint32_t)test_random_below(&random, NUMBERS_MAX);
			if (number < STAYING)
				put(client, number, test_random_chance(&random, 5) ? 30000 : number % 300 + 20);
			else if (atomic_load(&churn->rounds) / 8 % 2 == 0)
				put(client, number, 60);
			else {
				char key[16];
				size_t key_bytes = (size_t)snprintf(key, sizeof key, "k%u", number);
				(void)!snug_cache_delete(client, key, key_bytes);
			}
		}
		atomic_fetch_add(&churn->rounds, 1);
	}
	leave(client);
	return NULL;
}

static void what_stays_is_met_once_while_all_else_changes(void **state) {
	(void)state;
	snug_cache *cache = crew_cache(2, LIMIT_BYTES);
	snug_cache_client *client = crew_client(cache);
	struct churn churns[CHURNERS];
	pthread_t threads[CHURNERS];
	for (uint32_t i = 0; i < STAYING; i++) put(client, i, 100);
	for (uint32_t i = 0; i < CHURNERS; i++) {
		churns[i] = (struct churn){.cache = cache, .number = i + 1};
		assert_int_equal(pthread_create(&threads[i], NULL, change, &churns[i]), 0);
	}
	uint32_t others = 0;
	while (atomic_load(&churns[0].rounds) < 24) {
		(void)walk(client, &met);
		for (uint32_t i = 0; i < STAYING; i++) assert_int_equal(met.times[i], 1);
		for (uint32_t i = STAYING; i < NUMBERS_MAX; i++) assert_true(met.times[i] <= 1);
		others += met.count - STAYING;
	}
	assert_true(others > 0);
	for (uint32_t i = 0; i < CHURNERS; i++) atomic_store(&churns[i].ends, true);
	for (uint32_t i = 0; i < CHURNERS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
	leave(client);
	assert_int_equal(snug_cache_destroy(cache), SNUG_OK);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_are_met_once),
		cmocka_unit_test(a_place_that_does_not_fit_is_asked_for_anew),
		cmocka_unit_test(a_clients_time_out_changes_nothing_but_that),
		cmocka_unit_test(a_visit_may_use_the_client),
		cmocka_unit_test(what_cannot_be_is_refused),
		cmocka_unit_test(what_stays_is_met_once_while_all_else_changes),
	};
	return cmocka_run_group_tests_name("cache_walk", tests, NULL, NULL);
}
