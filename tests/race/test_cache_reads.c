/* test_cache_reads.c: gets by the cache's clients, which read for themselves: that they ask nobody,
 * that they are counted, seen by the eviction and in order, and what is told of a view. That what
 * they read is of one instant is test_shard_read's. */
#include "cache/index/item.h"
#include "crew.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static snug_cache *cache;
static snug_cache_client *client;

static int begin(void **state) {
	snug_cache_options options = snug_cache_options_default();
	(void)state;
	options.workers = 2;
	options.limit_bytes = 8 << 20;
	if (snug_cache_create(&options, &cache) != SNUG_OK) return -1;
	return snug_cache_client_create(cache, NULL, &client) == SNUG_OK ? 0 : -1;
}

static int end(void **state) {
	(void)state;
	if (snug_cache_client_destroy(client) != SNUG_OK) return -1;
	return snug_cache_destroy(cache) == SNUG_OK ? 0 : -1;
}

static size_t name_of(uint32_t number, char name[16]) {
	return (size_t)snprintf(name, 16, "key%u", number);
}

static void set(const char *key, const void *value, size_t bytes) {
	assert_int_equal(snug_cache_set(client, key, strlen(key), value, bytes, NULL), SNUG_OK);
}

static snug_error get(const char *key, void *buffer, size_t room, snug_cache_value *value) {
	return snug_cache_get(client, key, strlen(key), buffer, room, value);
}

/* ------------------------------------------------------------------ nobody is asked -------- */

/* Once both are at rest, which is when they publish. */
static uint64_t messages(void) {
	uint64_t sum = 0;
	for (uint32_t worker = 0; worker < 2; worker++) {
		snug_worker_stats stats, again;
		do {
			assert_int_equal(snug_workers_stats(snug_cache_workers(cache), worker, &stats),
							 SNUG_OK);
			os_thread_sleep(20 * MS);
			assert_int_equal(snug_workers_stats(snug_cache_workers(cache), worker, &again),
							 SNUG_OK);
		} while (stats.messages != again.messages);
		sum += stats.messages;
	}
	return sum;
}

#define KEYS 200u

/* A get may meet a change of its group in two tries, by the index's upkeep: so a few may ask. */
static void gets_ask_nobody(void **state) {
	char name[16], buffer[16];
	snug_cache_value value;
	(void)state;
	for (uint32_t i = 0; i < KEYS; i++) {
		(void)name_of(i, name);
		set(name, name, strlen(name));
	}
	uint64_t before = messages();
	for (uint32_t i = 0; i < 20 * KEYS; i++) {
		(void)name_of(i % (2 * KEYS), name);
		snug_error error = get(name, buffer, sizeof buffer, &value);
		assert_int_equal(error, i % (2 * KEYS) < KEYS ? SNUG_OK : SNUG_ERROR_NOT_FOUND);
		if (!error) assert_memory_equal(buffer, name, value.bytes);
	}
	assert_in_range(messages() - before, 0, KEYS / 10);
	snug_cache_stats stats;
	assert_int_equal(snug_cache_stats_get(client, &stats), SNUG_OK);
	assert_int_equal(stats.hits, 10 * KEYS);
	assert_int_equal(stats.misses, 10 * KEYS);
}

/* What is larger than the room, and what has more than one piece. */
static void sizes_are_told(void **state) {
	static char large[300000], back[300000];
	char small[4] = "abc";
	snug_cache_value value;
	(void)state;
	set("five", "12345", 5);
	assert_int_equal(get("five", small, sizeof small, &value), SNUG_ERROR_BUFFER_TOO_SMALL);
	assert_int_equal(value.bytes, 5);
	assert_string_equal(small, "abc");
	assert_int_equal(get("five", NULL, 0, &value), SNUG_ERROR_BUFFER_TOO_SMALL);
	assert_int_equal(value.bytes, 5);
	memset(large, 'x', sizeof large);
	set("large", large, sizeof large);
	assert_int_equal(get("large", small, sizeof small, &value), SNUG_ERROR_BUFFER_TOO_SMALL);
	assert_int_equal(value.bytes, sizeof large);
	assert_int_equal(get("large", back, sizeof back, &value), SNUG_OK);
	assert_memory_equal(large, back, sizeof large);
	set("empty", "", 0);
	assert_int_equal(get("empty", NULL, 0, &value), SNUG_OK);
	assert_int_equal(value.bytes, 0);
}

static void an_expiry_ends_for_readers_too(void **state) {
	snug_cache_store_options options = snug_cache_store_options_default();
	snug_cache_value value;
	char buffer[8];
	(void)state;
	options.expires_at_s = (uint32_t)time(NULL) + 2;
	options.client_flags = 9;
	assert_int_equal(snug_cache_set(client, "k", 1, "v", 1, &options), SNUG_OK);
	assert_int_equal(get("k", buffer, sizeof buffer, &value), SNUG_OK);
	assert_in_range(value.expires_at_s, options.expires_at_s - 1, options.expires_at_s + 1);
	assert_int_equal(value.client_flags, 9);
	uint64_t deadline_ns = os_deadline_ns(HANG_NS);
	while (get("k", buffer, sizeof buffer, &value) == SNUG_OK) {
		assert_true(os_remaining_ns(deadline_ns) > 0);
		os_thread_sleep(50 * MS);
	}
	assert_true((uint32_t)time(NULL) + 1 >= options.expires_at_s);
}

/* ------------------------------------------------------------------ what was used stays ---- */

static void set_later(const char *key, const char *value, size_t bytes) {
	snug_error error;
	while ((error = snug_cache_set_later(client, key, strlen(key), value, bytes, NULL)) ==
		   SNUG_ERROR_QUEUE_FULL)
		assert_int_equal(snug_cache_wait(client, NULL), SNUG_OK);
	assert_int_equal(error, SNUG_OK);
}

#define COHORT 15000u
#define HOT_EVERY 100u
#define HOT (COHORT / HOT_EVERY)

/* Items of one age, of which each hundredth is read while many times the limit is stored beside
 * them: these stay. Without hints they fare as the others do, of which one in six goes. */
static void what_is_read_is_kept(void **state) {
	char name[16], value[400] = "", buffer[400];
	snug_cache_value told;
	uint32_t kept = 0;
	(void)state;
	for (uint32_t i = 0; i < COHORT; i++) {
		(void)name_of(i, name);
		set_later(name, value, sizeof value);
	}
	for (uint32_t i = 0; i < 100000; i++) {
		(void)name_of(COHORT + i, name);
		set_later(name, value, sizeof value);
		if (i % 5 != 0) continue;
		(void)name_of(i / 5 % HOT * HOT_EVERY, name);
		(void)get(name, buffer, sizeof buffer, &told);
	}
	for (uint32_t i = 0; i < HOT; i++) {
		(void)name_of(i * HOT_EVERY, name);
		kept += get(name, buffer, sizeof buffer, &told) == SNUG_OK;
	}
	assert_in_range(kept, HOT - HOT / 50, HOT);
}

/* ------------------------------------------------------------------ views ------------------ */

static snug_error look(const char *key, snug_cache_view *view) {
	return snug_cache_view_begin(client, key, strlen(key), view);
}

static void a_view_holds_until_the_item_changes(void **state) {
	static char large[300000];
	snug_cache_view view;
	(void)state;
	assert_int_equal(look("k", &view), SNUG_ERROR_NOT_FOUND);
	assert_int_equal(snug_cache_view_begin(client, "k", 0, &view), SNUG_ERROR_KEY);
	assert_int_equal(snug_cache_view_begin(client, "k", 1, NULL), SNUG_ERROR_NULL);
	assert_false(snug_cache_view_end(NULL));
	set("k", "value", 5);
	assert_int_equal(look("k", &view), SNUG_OK);
	assert_int_equal(view.value.bytes, 5);
	assert_memory_equal(view.bytes, "value", 5);
	assert_true(snug_cache_view_end(&view));
	set("k", "other", 5); /* in its place */
	assert_false(snug_cache_view_end(&view));
	assert_int_equal(look("k", &view), SNUG_OK);
	assert_memory_equal(view.bytes, "other", 5);
	set("k", "longer than before", 18);
	assert_false(snug_cache_view_end(&view));
	assert_int_equal(look("k", &view), SNUG_OK);
	assert_int_equal(snug_cache_delete(client, "k", 1), SNUG_OK);
	assert_false(snug_cache_view_end(&view));
	set("large", large, sizeof large);
	assert_int_equal(look("large", &view), SNUG_ERROR_NOT_CONTIGUOUS);
}

/* ------------------------------------------------------------------ set later -------------- */

static void its_own_writes_are_seen(void **state) {
	char name[16], text[24], buffer[24];
	snug_cache_value value;
	(void)state;
	for (uint32_t i = 0; i < 5000; i++) {
		(void)name_of(i % 7, name);
		int length = snprintf(text, sizeof text, "value %u", i);
		set_later(name, text, (size_t)length);
		if (i % 3 == 0) continue;
		assert_int_equal(get(name, buffer, sizeof buffer, &value), SNUG_OK);
		assert_int_equal(value.bytes, length);
		assert_memory_equal(buffer, text, value.bytes);
	}
}

static void what_was_set_later_is_counted(void **state) {
	static char huge[2 << 20];
	snug_cache_late late;
	(void)state;
	assert_int_equal(snug_cache_wait(client, &late), SNUG_OK);
	assert_int_equal(late.stored + late.refused, 0);
	set_later("a", "1", 1);
	set_later("b", huge, sizeof huge);
	set_later("c", "3", 1);
	assert_int_equal(snug_cache_wait(client, &late), SNUG_OK);
	assert_int_equal(late.stored, 2);
	assert_int_equal(late.refused, 1);
	assert_int_equal(late.error, SNUG_ERROR_SIZE_TOO_LARGE);
	assert_int_equal(snug_cache_wait(client, &late), SNUG_OK);
	assert_int_equal(late.stored + late.refused + late.error, 0);
	assert_int_equal(snug_cache_set_later(client, "a", 0, "", 0, NULL), SNUG_ERROR_KEY);
	assert_int_equal(snug_cache_set_later(NULL, "a", 1, "", 0, NULL), SNUG_ERROR_NULL);
	assert_int_equal(snug_cache_wait(NULL, &late), SNUG_ERROR_NULL);
	set_later("left", "behind", 6); /* for the client's end */
}

/* ------------------------------------------------------------------ another OS ------------- */

static pthread_t asker;
static _Atomic uint32_t asked_by_clients;

static uint64_t now_for_workers(void *context) {
	(void)context;
	if (pthread_equal(pthread_self(), asker)) atomic_fetch_add(&asked_by_clients, 1);
	return snug_os_linux()->now_ns(NULL);
}

/* Its functions are called by workers alone, so everything is asked. */
static void an_os_of_the_users_is_the_workers(void **state) {
	snug_os os = *snug_os_linux();
	snug_cache_options options = snug_cache_options_default();
	snug_cache_store_options store = snug_cache_store_options_default();
	snug_cache_view view;
	snug_cache_value value;
	char buffer[8];
	(void)state;
	os.now_ns = now_for_workers;
	options.limit_bytes = 4 << 20;
	options.os = &os;
	asker = pthread_self();
	assert_int_equal(snug_cache_create(&options, &cache), SNUG_OK);
	assert_int_equal(snug_cache_client_create(cache, NULL, &client), SNUG_OK);
	atomic_store(&asked_by_clients, 0); /* what creating asked */
	store.expires_at_s = (uint32_t)time(NULL) + 100;
	assert_int_equal(snug_cache_set(client, "k", 1, "v", 1, &store), SNUG_OK);
	assert_int_equal(get("k", buffer, sizeof buffer, &value), SNUG_OK);
	assert_int_equal(look("k", &view), SNUG_ERROR_NOT_CONTIGUOUS);
	assert_int_equal(atomic_load(&asked_by_clients), 0);
	assert_int_equal(end(NULL), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(gets_ask_nobody),
		TEST(sizes_are_told),
		TEST(an_expiry_ends_for_readers_too),
		TEST(what_is_read_is_kept),
		TEST(a_view_holds_until_the_item_changes),
		TEST(its_own_writes_are_seen),
		TEST(what_was_set_later_is_counted),
		cmocka_unit_test(an_os_of_the_users_is_the_workers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
