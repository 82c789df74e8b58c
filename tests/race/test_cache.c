/* test_cache.c: the cache over workers: each call's meaning, its errors, and crowds of clients
 * whose every byte is checked while a coordinator defragments and the limit changes. */
#include "cache/operation/request.h"
#include "crew.h"
#include "support/test_random.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ meaning ---------------- */

static void assert_holds(snug_cache_client *client, const char *key, const char *text) {
	char buffer[64] = "";
	snug_cache_value value;
	assert_int_equal(snug_cache_get(client, key, strlen(key), buffer, sizeof buffer, &value),
					 SNUG_OK);
	assert_int_equal(value.bytes, strlen(text));
	assert_memory_equal(buffer, text, value.bytes);
}

static void calls_mean_what_they_say(void **state) {
	(void)state;
	snug_cache *cache = crew_cache(2, 4 << 20);
	snug_cache_client *client = crew_client(cache);
	char buffer[64];
	snug_cache_value value;
	uint64_t number = 0;
	assert_int_equal(snug_cache_get(client, "k", 1, buffer, sizeof buffer, &value),
					 SNUG_ERROR_NOT_FOUND);
	assert_int_equal(snug_cache_replace(client, "k", 1, "v", 1, NULL), SNUG_ERROR_NOT_STORED);
	assert_int_equal(snug_cache_append(client, "k", 1, "v", 1), SNUG_ERROR_NOT_STORED);
	assert_int_equal(snug_cache_add(client, "k", 1, "bc", 2, NULL), SNUG_OK);
	assert_int_equal(snug_cache_add(client, "k", 1, "x", 1, NULL), SNUG_ERROR_NOT_STORED);
	assert_int_equal(snug_cache_append(client, "k", 1, "d", 1), SNUG_OK);
	assert_int_equal(snug_cache_prepend(client, "k", 1, "a", 1), SNUG_OK);
	assert_holds(client, "k", "abcd");
	assert_int_equal(snug_cache_increment(client, "k", 1, 1, &number), SNUG_ERROR_NOT_A_NUMBER);
	assert_int_equal(snug_cache_set(client, "n", 1, "7", 1, NULL), SNUG_OK);
	assert_int_equal(snug_cache_increment(client, "n", 1, 5, &number), SNUG_OK);
	assert_int_equal(number, 12);
	assert_int_equal(snug_cache_decrement(client, "n", 1, 50, &number), SNUG_OK);
	assert_int_equal(number, 0);
	assert_int_equal(snug_cache_touch(client, "n", 1, 60), SNUG_OK);
	assert_int_equal(snug_cache_get(client, "n", 1, buffer, sizeof buffer, &value),
					 SNUG_ERROR_NOT_FOUND);
	assert_int_equal(snug_cache_delete(client, "k", 1), SNUG_OK);
	assert_int_equal(snug_cache_delete(client, "k", 1), SNUG_ERROR_NOT_FOUND);
	assert_int_equal(snug_cache_client_destroy(client), SNUG_OK);
	assert_int_equal(snug_cache_destroy(cache), SNUG_OK);
}

static void a_number_decides_who_was_first(void **state) {
	(void)state;
	snug_cache *cache = crew_cache(2, 4 << 20);
	snug_cache_client *client = crew_client(cache);
	char buffer[8];
	snug_cache_value value;
	snug_cache_store_options options = {.struct_bytes = sizeof(snug_cache_store_options),
										.client_flags = 77};
	assert_int_equal(snug_cache_set(client, "k", 1, "v", 1, &options), SNUG_OK);
	assert_int_equal(snug_cache_gets(client, "k", 1, buffer, sizeof buffer, &value), SNUG_OK);
	assert_int_equal(value.client_flags, 77);
	assert_true(value.cas != 0);
	options.cas = value.cas;
	assert_int_equal(snug_cache_set(client, "k", 1, "w", 1, &options), SNUG_OK);
	assert_int_equal(snug_cache_set(client, "k", 1, "x", 1, &options), SNUG_ERROR_EXISTS);
	assert_int_equal(snug_cache_set(client, "other", 5, "x", 1, &options), SNUG_ERROR_NOT_FOUND);
	assert_holds(client, "k", "w");
	assert_int_equal(snug_cache_client_destroy(client), SNUG_OK);
	assert_int_equal(snug_cache_destroy(cache), SNUG_OK);
}

static void bad_input_is_refused(void **state) {
	(void)state;
	snug_cache_options options = snug_cache_options_default();
	snug_cache *cache = NULL;
	char key[SNUG_KEY_BYTES_MAX + 1] = {0}, small[2];
	snug_cache_value value;
	assert_int_equal(snug_cache_create(NULL, &cache), SNUG_ERROR_NULL);
	assert_int_equal(snug_cache_create(&options, &cache), SNUG_ERROR_LIMIT_TOO_SMALL);
	options.limit_bytes = 4 << 20;
	options.workers = 0;
	assert_int_equal(snug_cache_create(&options, &cache), SNUG_ERROR_OPTION);
	options.workers = 1;
	options.evict_for = SNUG_EVICT_FOR_COUNT;
	assert_int_equal(snug_cache_create(&options, &cache), SNUG_ERROR_OPTION);
	cache = crew_cache(1, 4 << 20);
	snug_cache_client *client = crew_client(cache);
	assert_int_equal(snug_cache_set(client, key, sizeof key, "", 0, NULL), SNUG_ERROR_KEY);
	assert_int_equal(snug_cache_set(client, key, 0, "", 0, NULL), SNUG_ERROR_KEY);
	assert_int_equal(snug_cache_set(client, NULL, 1, "", 0, NULL), SNUG_ERROR_NULL);
	assert_int_equal(snug_cache_set(client, "k", 1, NULL, 1, NULL), SNUG_ERROR_NULL);
	char *large = calloc(1, (1 << 20) + 1);
	assert_int_equal(snug_cache_set(client, "k", 1, large, 1 << 20, NULL),
					 SNUG_ERROR_SIZE_TOO_LARGE);
	free(large);
	/* What does not fit is told, and not copied. */
	assert_int_equal(snug_cache_set(client, "k", 1, "long", 4, NULL), SNUG_OK);
	memset(small, '-', sizeof small);
	assert_int_equal(snug_cache_get(client, "k", 1, small, sizeof small, &value),
					 SNUG_ERROR_BUFFER_TOO_SMALL);
	assert_int_equal(value.bytes, 4);
	assert_memory_equal(small, "--", 2);
	assert_int_equal(snug_cache_set_limit(client, 64 << 20), SNUG_ERROR_OPTION);
	/* Nobody takes the cache away under a client. */
	assert_int_equal(snug_cache_destroy(cache), SNUG_ERROR_IN_USE);
	assert_int_equal(snug_cache_client_destroy(client), SNUG_OK);
	assert_int_equal(snug_cache_destroy(cache), SNUG_OK);
}

#define MANY 200u

static void many_are_asked_at_once(void **state) {
	(void)state;
	snug_cache *cache = crew_cache(2, 4 << 20);
	snug_cache_client *client = crew_client(cache);
	static char keys[MANY][16], buffers[MANY][16];
	snug_cache_lookup lookups[MANY];
	memset(lookups, 0, sizeof lookups);
	for (uint32_t i = 0; i < MANY; i++) {
		int length = snprintf(keys[i], sizeof keys[i], "key%u", i);
		if (i % 3 > 0)
			assert_int_equal(
				snug_cache_set(client, keys[i], (size_t)length, keys[i], (size_t)length, NULL),
				SNUG_OK);
		lookups[i] = (snug_cache_lookup){.key = keys[i],
										 .key_bytes = (size_t)length,
										 .buffer = buffers[i],
										 .room_bytes = sizeof buffers[i]};
	}
	lookups[7].key_bytes = 0;
	assert_int_equal(snug_cache_get_many(client, lookups, MANY), SNUG_OK);
	for (uint32_t i = 0; i < MANY; i++) {
		snug_error expected = i == 7 ? SNUG_ERROR_KEY : i % 3 > 0 ? SNUG_OK : SNUG_ERROR_NOT_FOUND;
		assert_int_equal(lookups[i].error, expected);
		if (expected == SNUG_OK) assert_memory_equal(buffers[i], keys[i], lookups[i].value.bytes);
	}
	snug_cache_stats stats;
	assert_int_equal(snug_cache_stats_get(client, &stats), SNUG_OK);
	assert_int_equal(stats.items, MANY - (MANY + 2) / 3);
	assert_int_equal(snug_cache_flush(client), SNUG_OK);
	assert_int_equal(snug_cache_get_many(client, lookups + 8, 1), SNUG_OK);
	assert_int_equal(lookups[8].error, SNUG_ERROR_NOT_FOUND);
	assert_int_equal(snug_cache_client_destroy(client), SNUG_OK);
	assert_int_equal(snug_cache_destroy(cache), SNUG_OK);
}

/* ------------------------------------------------------------------ beside serving --------- */

static void fill_cache(snug_cache_client *client, uint32_t items, size_t bytes,
					   uint32_t expires_at_s) {
	char value[2000] = {0}, name[16];
	snug_cache_store_options options = {.struct_bytes = sizeof(snug_cache_store_options),
										.expires_at_s = expires_at_s};
	for (uint32_t i = 0; i < items; i++) {
		int length = snprintf(name, sizeof name, "%u", i);
		assert_int_equal(snug_cache_set(client, name, (size_t)length, value, bytes, &options),
						 SNUG_OK);
	}
}

/* As the workers have published it: nobody wakes them for that. */
static uint64_t used_bytes(snug_cache *cache) {
	snug_workers *workers = snug_cache_workers(cache);
	uint64_t sum = 0;
	for (uint32_t i = 0; i < snug_workers_count(workers); i++) {
		snug_worker_stats stats;
		assert_int_equal(snug_workers_stats(workers, i, &stats), SNUG_OK);
		sum += stats.heap.committed_bytes + stats.heap.metadata_bytes + stats.heap.charged_bytes;
	}
	return sum;
}

static void a_lower_limit_is_reached_while_nobody_asks(void **state) {
	(void)state;
	snug_cache *cache = crew_cache(2, 16 << 20);
	snug_cache_client *client = crew_client(cache);
	fill_cache(client, 12000, 1500, 0);
	assert_int_equal(snug_cache_set_limit(client, 6 << 20), SNUG_OK);
	uint64_t deadline_ns = os_deadline_ns(HANG_NS);
	while (used_bytes(cache) > 6 << 20 && os_remaining_ns(deadline_ns) > 0) os_thread_sleep(MS);
	assert_true(used_bytes(cache) <= 6 << 20);
	/* Then they sleep. */
	snug_worker_stats before, after;
	os_thread_sleep(200 * MS);
	assert_int_equal(snug_workers_stats(snug_cache_workers(cache), 0, &before), SNUG_OK);
	os_thread_sleep(300 * MS);
	assert_int_equal(snug_workers_stats(snug_cache_workers(cache), 0, &after), SNUG_OK);
	assert_true(after.turns - before.turns < 10);
	assert_int_equal(snug_cache_client_destroy(client), SNUG_OK);
	assert_int_equal(snug_cache_destroy(cache), SNUG_OK);
}

/* Linux, but a second takes a fiftieth of one. */
#define HASTE 50u

static uint64_t hasty_now_ns(void *context) {
	(void)context;
	return snug_os_linux()->now_ns(NULL) * HASTE;
}

/* Nobody asks: what was deleted goes back to the system, and then the workers sleep. */
static void memory_that_nothing_uses_comes_back(void **state) {
	(void)state;
	snug_os hasty = *snug_os_linux();
	hasty.now_ns = hasty_now_ns;
	snug_cache_options options = snug_cache_options_default();
	snug_cache *cache = NULL;
	options.workers = 2;
	options.limit_bytes = 32 << 20;
	options.os = &hasty;
	assert_int_equal(snug_cache_create(&options, &cache), SNUG_OK);
	snug_cache_client *client = crew_client(cache);
	fill_cache(client, 12000, 1500, 0);
	snug_cache_stats stats;
	assert_int_equal(snug_cache_stats_get(client, &stats), SNUG_OK);
	uint64_t items = stats.items;
	for (uint32_t i = 0; i < 12000; i += 2) {
		char key[32];
		size_t key_bytes = (size_t)snprintf(key, sizeof key, "%u", i);
		assert_int_equal(snug_cache_delete(client, key, key_bytes), SNUG_OK);
	}
	assert_int_equal(snug_cache_stats_get(client, &stats), SNUG_OK);
	assert_int_equal(stats.items, items / 2);
	uint64_t bound_bytes = stats.item_bytes * 20 / 17 + (2 << 20);
	assert_true(stats.limit_bytes > 2 * bound_bytes);
	uint64_t deadline_ns = os_deadline_ns(HANG_NS);
	while (used_bytes(cache) > bound_bytes && os_remaining_ns(deadline_ns) > 0) os_thread_sleep(MS);
	assert_true(used_bytes(cache) <= bound_bytes);
	assert_int_equal(snug_cache_stats_get(client, &stats), SNUG_OK);
	assert_int_equal(stats.items, items / 2);
	assert_int_equal(stats.evictions, 0);
	assert_int_equal(snug_cache_client_destroy(client), SNUG_OK);
	assert_int_equal(snug_cache_destroy(cache), SNUG_OK);
}

/* ------------------------------------------------------------------ time-outs -------------- */

/* A worker that is held up until it is let go. */
struct hold {
	snug_client *client;
	struct request request;
	snug_ticket ticket;
	_Atomic bool is_held;
	_Atomic bool let_go;
};

static void hold_up(void *context, uint32_t worker, snug_shard *shard,
					struct operation_counts *counts) {
	struct hold *hold = context;
	(void)worker;
	(void)shard;
	(void)counts;
	atomic_store(&hold->is_held, true);
	while (!atomic_load(&hold->let_go)) os_thread_sleep(MS);
}

static void hold_begin(snug_cache *cache, uint32_t worker, struct hold *hold) {
	memset(hold, 0, sizeof *hold);
	hold->request =
		(struct request){.kind = REQUEST_VISIT, .visit = hold_up, .visit_context = hold};
	assert_int_equal(snug_client_create(snug_cache_workers(cache), NULL, &hold->client), SNUG_OK);
	snug_operation operation = {
		.kind = SNUG_OPERATION_RUN, .object.worker = worker, .buffer = &hold->request};
	assert_int_equal(snug_client_submit(hold->client, &operation, 1, &hold->ticket), SNUG_OK);
	while (!atomic_load(&hold->is_held)) os_thread_sleep(MS / 10);
}

static void hold_end(struct hold *hold) {
	snug_result result;
	atomic_store(&hold->let_go, true);
	assert_int_equal(snug_client_wait(hold->client, hold->ticket, HANG_NS, &result), SNUG_OK);
	assert_int_equal(snug_client_destroy(hold->client), SNUG_OK);
}

static void what_is_late_is_not_lost(void **state) {
	(void)state;
	snug_cache *cache = crew_cache(1, 4 << 20);
	snug_cache_client *client = crew_client(cache);
	struct hold hold;
	char key[8] = "k", stored[2000], found[2000];
	snug_cache_value value;
	snug_cache_stats stats;
	uint64_t number = 4711;
	memset(stored, 's', sizeof stored);
	assert_int_equal(snug_cache_set(client, "n", 1, "1", 1, NULL), SNUG_OK);
	assert_int_equal(snug_cache_client_set_timeout(client, 5 * MS), SNUG_OK);
	hold_begin(cache, 0, &hold);
	assert_int_equal(snug_cache_set(client, key, 1, stored, sizeof stored, NULL),
					 SNUG_ERROR_TIMED_OUT);
	memset(stored, '-', sizeof stored);
	key[0] = 'x';
	memset(found, '-', sizeof found);
	assert_int_equal(snug_cache_get(client, "k", 1, found, sizeof found, &value),
					 SNUG_ERROR_TIMED_OUT);
	assert_int_equal(snug_cache_increment(client, "n", 1, 41, &number), SNUG_ERROR_TIMED_OUT);
	assert_int_equal(snug_cache_stats_get(client, &stats), SNUG_ERROR_TIMED_OUT);
	assert_int_equal(snug_cache_set_limit(client, 3 << 20), SNUG_ERROR_TIMED_OUT);
	snug_cache_lookup lookup = {
		.key = "k", .key_bytes = 1, .buffer = found, .room_bytes = sizeof found};
	assert_int_equal(snug_cache_get_many(client, &lookup, 1), SNUG_ERROR_TIMED_OUT);
	hold_end(&hold);
	/* All was done, in its order, and nothing was written where nobody waits any more. */
	assert_int_equal(snug_cache_client_set_timeout(client, HANG_NS), SNUG_OK);
	assert_int_equal(snug_cache_increment(client, "n", 1, 1, &number), SNUG_OK);
	assert_int_equal(number, 43);
	for (size_t i = 0; i < sizeof found; i++) assert_int_equal(found[i], '-');
	assert_int_equal(snug_cache_get(client, "k", 1, found, sizeof found, &value), SNUG_OK);
	assert_int_equal(value.bytes, sizeof found);
	for (size_t i = 0; i < sizeof found; i++) assert_int_equal(found[i], 's');
	assert_int_equal(snug_cache_stats_get(client, &stats), SNUG_OK);
	assert_int_equal(stats.limit_bytes, 3 << 20);
	assert_int_equal(stats.items, 2);
	assert_int_equal(snug_cache_set_limit(client, 64 << 20), SNUG_ERROR_OPTION);
	assert_int_equal(snug_cache_client_destroy(client), SNUG_OK);
	assert_int_equal(snug_cache_destroy(cache), SNUG_OK);
}

static void patience_has_an_end(void **state) {
	(void)state;
	snug_cache *cache = crew_cache(1, 4 << 20);
	snug_cache_client *client = crew_client(cache);
	struct hold hold;
	uint32_t asked = 0;
	snug_error error;
	char key[16];
	assert_int_equal(snug_cache_client_set_timeout(NULL, 1), SNUG_ERROR_NULL);
	assert_int_equal(snug_cache_client_set_timeout(client, 0), SNUG_OK);
	hold_begin(cache, 0, &hold);
	do {
		int length = snprintf(key, sizeof key, "%u", asked);
		error = snug_cache_set(client, key, (size_t)length, "v", 1, NULL);
	} while (error == SNUG_ERROR_TIMED_OUT && ++asked < 10000);
	assert_int_equal(error, SNUG_ERROR_QUEUE_FULL);
	assert_true(asked > 100);
	hold_end(&hold);
	/* Who has time waits for what is late. */
	assert_int_equal(snug_cache_client_set_timeout(client, SNUG_FOREVER), SNUG_OK);
	snug_cache_stats stats;
	assert_int_equal(snug_cache_stats_get(client, &stats), SNUG_OK);
	assert_int_equal(stats.items, asked);
	/* And so does the end. */
	assert_int_equal(snug_cache_client_set_timeout(client, 0), SNUG_OK);
	hold_begin(cache, 0, &hold);
	assert_int_equal(snug_cache_delete(client, "1", 1), SNUG_ERROR_TIMED_OUT);
	hold_end(&hold);
	assert_int_equal(snug_cache_client_destroy(client), SNUG_OK);
	client = crew_client(cache);
	assert_int_equal(snug_cache_delete(client, "1", 1), SNUG_ERROR_NOT_FOUND);
	assert_int_equal(snug_cache_client_destroy(client), SNUG_OK);
	assert_int_equal(snug_cache_destroy(cache), SNUG_OK);
}

/* ------------------------------------------------------------------ crowds ----------------- */

struct member {
	snug_cache *cache;
	uint64_t seed;
	uint32_t number;
	uint32_t rounds;
	uint64_t hits;
	_Atomic uint32_t *left; /* members that are not done */
};

#define KEYS_OF_A_MEMBER 400u
#define VALUE_MAX 3000u

/* A value says whose it is, in which version, to the last byte. */
static size_t fill(char *value, uint32_t number, uint32_t key, uint32_t version) {
	size_t length = 8 + (key * 2654435761u + version * 40503u) % (VALUE_MAX - 8);
	for (size_t i = 0; i < length; i++) value[i] = (char)(number * 31 + key * 7 + version * 13 + i);
	return length;
}

static void visit_once(struct member *member, snug_cache_client *client, uint32_t *versions,
					   test_random *random) {
	char name[32], expected[VALUE_MAX], found[VALUE_MAX];
	uint32_t key = (uint32_t)(test_random_below(random, KEYS_OF_A_MEMBER));
	int length = snprintf(name, sizeof name, "%u:%u", member->number, key);
	snug_cache_value value;
	if (test_random_below(random, 3) == 0) {
		size_t bytes = fill(expected, member->number, key, versions[key] + 1);
		snug_error error = snug_cache_set(client, name, (size_t)length, expected, bytes, NULL);
		assert_int_equal(error, SNUG_OK);
		versions[key]++;
		return;
	}
	snug_error error = snug_cache_get(client, name, (size_t)length, found, sizeof found, &value);
	if (error == SNUG_ERROR_NOT_FOUND) return; /* never stored, or evicted */
	assert_int_equal(error, SNUG_OK);
	member->hits++;
	assert_int_equal(value.bytes, fill(expected, member->number, key, versions[key]));
	assert_memory_equal(found, expected, value.bytes);
}

static void *visit(void *context) {
	struct member *member = context;
	snug_cache_client *client = crew_client(member->cache);
	if (member->number % 2 == 1)
		assert_int_equal(snug_cache_client_set_timeout(client, HANG_NS), SNUG_OK);
	test_random random = {member->seed};
	uint32_t versions[KEYS_OF_A_MEMBER] = {0};
	for (uint32_t round = 0; round < member->rounds; round++)
		visit_once(member, client, versions, &random);
	assert_int_equal(snug_cache_client_destroy(client), SNUG_OK);
	atomic_fetch_sub(member->left, 1);
	return NULL;
}

/* Meanwhile: defragmentations, emergencies that evict, another limit. */
static uint64_t disturb(snug_cache *cache, _Atomic uint32_t *left) {
	snug_coordinator_options options = snug_coordinator_options_default();
	snug_coordinator *coordinator;
	snug_cache_client *client = crew_client(cache);
	snug_cache_stats stats;
	assert_int_equal(snug_coordinator_create(snug_cache_workers(cache), &options, &coordinator),
					 SNUG_OK);
	for (uint32_t round = 0; atomic_load(left) > 0; round++) {
		snug_request request =
			snug_request_default(round % 4 == 3 ? SNUG_REQUEST_EMERGENCY : SNUG_REQUEST_DEFRAGMENT);
		snug_response response;
		snug_ticket late;
		request.min_bytes = 65536;
		request.may_evict = true;
		assert_int_equal(snug_coordinator_call(coordinator, &request, HANG_NS, &response, &late),
						 SNUG_OK);
		size_t limit_bytes = (size_t)(round % 2 == 0 ? 3 : 4) << 20;
		assert_int_equal(snug_cache_set_limit(client, limit_bytes), SNUG_OK);
		os_thread_sleep(MS);
	}
	assert_int_equal(snug_cache_stats_get(client, &stats), SNUG_OK);
	assert_int_equal(snug_coordinator_destroy(coordinator), SNUG_OK);
	assert_int_equal(snug_cache_client_destroy(client), SNUG_OK);
	return stats.moves;
}

static void crowd(uint32_t workers, uint32_t clients) {
	uint64_t seed = test_environment_number("SNUG_SEED", os_now_ns());
	printf("test_cache: SNUG_SEED=0x%llx\n", (unsigned long long)seed);
	snug_cache *cache = crew_cache(workers, 4 << 20);
	struct member members[8];
	pthread_t threads[8];
	_Atomic uint32_t left = clients;
	uint64_t hits = 0;
	for (uint32_t i = 0; i < clients; i++) {
		members[i] = (struct member){cache, seed + i, i, 12000 / clients, 0, &left};
		assert_int_equal(pthread_create(&threads[i], NULL, visit, &members[i]), 0);
	}
	uint64_t moves = disturb(cache, &left);
	for (uint32_t i = 0; i < clients; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		hits += members[i].hits;
	}
	assert_true(hits > 1000);
	assert_true(moves > 0);
	assert_int_equal(snug_cache_destroy(cache), SNUG_OK);
}

static void *ask_until_stopped(void *context) {
	struct member *member = context;
	snug_cache_client *client = crew_client(member->cache);
	char name[16], found[16];
	snug_cache_value value;
	snug_error error = SNUG_OK;
	if (member->number % 2 == 1)
		assert_int_equal(snug_cache_client_set_timeout(client, HANG_NS), SNUG_OK);
	for (uint32_t i = 0; error != SNUG_ERROR_STOPPED; i++) {
		int length = snprintf(name, sizeof name, "%u", i % 100);
		error = i % 2 == 0
					? snug_cache_set(client, name, (size_t)length, name, (size_t)length, NULL)
					: snug_cache_get(client, name, (size_t)length, found, sizeof found, &value);
		if (error != SNUG_ERROR_STOPPED && error != SNUG_ERROR_NOT_FOUND)
			assert_int_equal(error, SNUG_OK);
		if (i == 200) atomic_fetch_sub(member->left, 1);
	}
	snug_cache_stats stats;
	snug_cache_lookup lookup = {.key = "k", .key_bytes = 1};
	/* The inboxes are closed one after the other: another worker may still answer. */
	while ((error = snug_cache_get_many(client, &lookup, 1)) != SNUG_ERROR_STOPPED)
		assert_int_equal(error, SNUG_OK);
	assert_int_equal(snug_cache_flush(client), SNUG_ERROR_STOPPED);
	assert_int_equal(snug_cache_stats_get(client, &stats), SNUG_ERROR_STOPPED);
	assert_int_equal(snug_cache_client_destroy(client), SNUG_OK);
	return NULL;
}

static void a_stop_answers_everybody(void **state) {
	(void)state;
	snug_cache *cache = crew_cache(2, 4 << 20);
	struct member members[4];
	pthread_t threads[4];
	_Atomic uint32_t left = 4;
	for (uint32_t i = 0; i < 4; i++) {
		members[i] = (struct member){.cache = cache, .number = i, .left = &left};
		assert_int_equal(pthread_create(&threads[i], NULL, ask_until_stopped, &members[i]), 0);
	}
	while (atomic_load(&left) > 0) os_thread_sleep(MS / 10);
	assert_int_equal(snug_workers_stop(snug_cache_workers(cache), HANG_NS), SNUG_OK);
	for (uint32_t i = 0; i < 4; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
	snug_cache_client *client = NULL;
	assert_int_equal(snug_cache_client_create(cache, NULL, &client), SNUG_ERROR_STOPPED);
	assert_int_equal(snug_cache_destroy(cache), SNUG_OK);
}

static void one_worker_many_clients(void **state) {
	(void)state;
	crowd(1, 8);
}

static void two_workers_three_clients(void **state) {
	(void)state;
	crowd(2, 3);
}

static void eight_workers_eight_clients(void **state) {
	(void)state;
	crowd(8, 8);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_mean_what_they_say),
		cmocka_unit_test(a_number_decides_who_was_first),
		cmocka_unit_test(bad_input_is_refused),
		cmocka_unit_test(many_are_asked_at_once),
		cmocka_unit_test(a_lower_limit_is_reached_while_nobody_asks),
		cmocka_unit_test(memory_that_nothing_uses_comes_back),
		cmocka_unit_test(what_is_late_is_not_lost),
		cmocka_unit_test(patience_has_an_end),
		cmocka_unit_test(a_stop_answers_everybody),
		cmocka_unit_test(one_worker_many_clients),
		cmocka_unit_test(two_workers_three_clients),
		cmocka_unit_test(eight_workers_eight_clients),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
