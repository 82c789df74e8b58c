/* test_size_edges_cache.c: each call of a shard, a cache and a client of workers that takes a size,
 * with the sizes at which arithmetic goes wrong (size_edges.h).
 *
 * A size that is refused is refused before anything of the caller's is read: what is given with it
 * has one byte. */
#include "race/crew.h"
#include "size_edges.h"
#include "support/require.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB ((size_t)1 << 20)
#define LIMIT (4 * MIB)
#define ITEM_MAX (64u << 10)
#define NEIGHBOURS 500u
#define EXTENTS_MAX 64u
#define CREATED_MAX (64 * MIB)

static char *big; /* as long as an item can be, and some more */
#define BIG_BYTES (2 * MIB)

static int get_big(void **state) {
	(void)state;
	big = malloc(BIG_BYTES);
	if (big != NULL) memset(big, 'b', BIG_BYTES);
	return big == NULL;
}

static int free_big(void **state) {
	(void)state;
	free(big);
	return 0;
}

/* One byte of its own if so many can't be right: a sanitizer sees who reads on. */
static const void *value_of(size_t bytes) {
	static char *one;
	if (bytes <= BIG_BYTES) return big;
	if (one == NULL) one = malloc(1);
	return one;
}

/* ------------------------------------------------------------------ a shard --------- */

static snug_shard *shard;

static snug_key key_of(uint32_t number) {
	static char text[16];
	return snug_shard_key(text, (size_t)snprintf(text, sizeof text, "n%u", number));
}

static void require_neighbours(void) {
	static char found[1000];
	snug_check_result wrong;
	REQUIRE(snug_shard_check(shard, &wrong) == SNUG_OK, "law %s: %s", wrong.law, wrong.message);
	for (uint32_t number = 0; number < NEIGHBOURS; number++) {
		snug_key key = key_of(number);
		snug_item item;
		REQUIRE_OK(snug_shard_find(shard, &key, &item));
		REQUIRE_OK(snug_shard_read(shard, &item, 0, found, item.value_bytes));
		REQUIRE(item.value_bytes == number % 900, "item %u has %zu bytes", number,
				item.value_bytes);
		for (size_t at = 0; at < item.value_bytes; at++)
			REQUIRE(found[at] == (char)number, "byte %zu of item %u is another's", at, number);
	}
}

static void open_shard(void) {
	static char value[1000];
	snug_shard_options options = snug_shard_options_default();
	options.heap.limit_bytes = LIMIT;
	options.item_max_bytes = ITEM_MAX;
	REQUIRE_OK(snug_shard_create(&options, &shard));
	for (uint32_t number = 0; number < 2 * NEIGHBOURS; number++) {
		snug_key key = key_of(number);
		memset(value, (char)number, sizeof value);
		REQUIRE_OK(snug_shard_set(shard, &key, NULL, value, number % 900));
	}
	for (uint32_t number = NEIGHBOURS; number < 2 * NEIGHBOURS; number++) {
		snug_key key = key_of(number);
		REQUIRE_OK(snug_shard_delete(shard, &key));
	}
	snug_key key = snug_shard_key("k", 1);
	for (size_t bytes = 0; bytes < 100; bytes++)
		REQUIRE_OK(snug_shard_set(shard, &key, NULL, big, bytes));
}

static void close_shard(void) {
	require_neighbours();
	REQUIRE_OK(snug_shard_destroy(shard));
}

/* A key of one byte: the rest is the value's. */
static void require_store(snug_error error, size_t bytes, size_t room_bytes) {
	snug_error expected = bytes > room_bytes ? SNUG_ERROR_SIZE_TOO_LARGE : SNUG_OK;
	REQUIRE(error == expected, "%zu bytes, %zu at most: %s, not %s", bytes, room_bytes,
			snug_error_name(error), snug_error_name(expected));
}

static void shard_stores(void **state) {
	(void)state;
	open_shard();
	snug_key key = snug_shard_key("k", 1);
	size_t most = ITEM_MAX - 1;
	struct size_edges edges = size_edges_of(most);
	for (size_t i = 0; i < edges.count; i++) {
		size_t bytes = edges.size[i];
		snug_lease lease = {0};
		snug_item item;
		require_store(snug_shard_set(shard, &key, NULL, value_of(bytes), bytes), bytes, most);
		snug_error error = snug_shard_reserve(shard, &key, bytes, &lease);
		require_store(error, bytes, most);
		if (!error) snug_shard_release(shard, &lease);
		REQUIRE_OK(snug_shard_set(shard, &key, NULL, big, 10));
		for (int in_front = 0; in_front < 2; in_front++) {
			REQUIRE_OK(snug_shard_find(shard, &key, &item));
			error =
				snug_shard_extend(shard, &key, &item, NULL, value_of(bytes), bytes, in_front != 0);
			require_store(error, bytes, most - 10);
			REQUIRE_OK(snug_shard_find(shard, &key, &item));
			REQUIRE(item.value_bytes == (error ? 10 : 10 + bytes), "it has %zu bytes",
					item.value_bytes);
			REQUIRE_OK(snug_shard_set(shard, &key, NULL, big, 10));
		}
		if (i % 64 == 0) require_neighbours();
	}
	close_shard();
}

static void shard_ranges(void **state) {
	(void)state;
	open_shard();
	static char found[ITEM_MAX];
	static const size_t sizes[] = {0, 1, 300, 40000};
	snug_key key = snug_shard_key("k", 1);
	for (size_t which = 0; which < 4; which++) {
		snug_item item;
		snug_lease lease;
		struct size_edges edges = size_edges_of(sizes[which]);
		REQUIRE_OK(snug_shard_set(shard, &key, NULL, big, sizes[which]));
		REQUIRE_OK(snug_shard_find(shard, &key, &item));
		REQUIRE_OK(snug_shard_pin(shard, &item, &lease));
		for (size_t i = 0; i < edges.count; i++)
			for (size_t j = 0; j < edges.count; j++) {
				snug_extent extents[EXTENTS_MAX];
				size_t offset = edges.size[i], length = edges.size[j], count = EXTENTS_MAX;
				bool inside = offset <= sizes[which] && length <= sizes[which] - offset;
				snug_error expected = inside ? SNUG_OK : SNUG_ERROR_RANGE;
				REQUIRE_ERROR(expected, snug_shard_read(shard, &item, offset, found, length));
				REQUIRE_ERROR(expected,
							  snug_shard_view(shard, &item, offset, length, extents, &count));
				count = EXTENTS_MAX;
				REQUIRE_ERROR(expected, snug_shard_lease_view(shard, &lease, offset, length,
															  extents, &count));
			}
		snug_shard_release(shard, &lease);
	}
	close_shard();
}

/* What can never fit evicts nothing. */
static void shard_account(void **state) {
	(void)state;
	open_shard();
	struct size_edges edges = size_edges_of(LIMIT);
	for (size_t i = 0; i < edges.count; i++) {
		size_t bytes = edges.size[i];
		if (bytes >= LIMIT) REQUIRE_ERROR(SNUG_ERROR_NO_MEMORY, snug_shard_charge(shard, bytes));
		snug_error expected = bytes > LIMIT                  ? SNUG_ERROR_OPTION
							  : bytes < SNUG_LIMIT_MIN_BYTES ? SNUG_ERROR_LIMIT_TOO_SMALL
															 : SNUG_OK;
		REQUIRE_ERROR(expected, snug_shard_set_limit(shard, bytes));
		REQUIRE_OK(snug_shard_set_limit(shard, LIMIT));
	}
	close_shard();
}

static void shard_options(void **state) {
	(void)state;
	struct size_edges edges = size_edges_of(SNUG_VALUE_BYTES_MAX);
	for (size_t i = 0; i < edges.count; i++) {
		snug_shard_options options = snug_shard_options_default();
		options.heap.limit_bytes = LIMIT;
		options.item_max_bytes = edges.size[i];
		snug_error error = snug_shard_create(&options, &shard);
		REQUIRE(!error || error == SNUG_ERROR_OPTION, "items of %zu: %s", edges.size[i],
				snug_error_name(error));
		if (error) continue;
		snug_key key = snug_shard_key("k", 1);
		for (size_t k = 0; k <= NEAR_SIZE_MAX; k++)
			REQUIRE_ERROR(SNUG_ERROR_SIZE_TOO_LARGE,
						  snug_shard_set(shard, &key, NULL, value_of(SIZE_MAX - k), SIZE_MAX - k));
		REQUIRE_OK(snug_shard_destroy(shard));
	}
}

/* ------------------------------------------------------------------ a cache --------- */

struct cached {
	snug_cache *cache;
	snug_cache_client *client;
};

static struct cached open_cache(uint64_t timeout_ns) {
	struct cached cached;
	snug_cache_options options = snug_cache_options_default();
	snug_cache_client_options client_options = snug_cache_client_options_default();
	options.workers = 2;
	options.limit_bytes = 2 * LIMIT;
	options.item_max_bytes = ITEM_MAX;
	client_options.timeout_ns = timeout_ns; /* with one, what is given is copied on its way */
	REQUIRE_OK(snug_cache_create(&options, &cached.cache));
	REQUIRE_OK(snug_cache_client_create(cached.cache, &client_options, &cached.client));
	return cached;
}

static void close_cache(struct cached *cached) {
	REQUIRE_OK(snug_cache_client_destroy(cached->client));
	REQUIRE_OK(snug_cache_destroy(cached->cache));
}

static void try_cache(snug_cache_client *client, size_t bytes) {
	static char found[ITEM_MAX];
	size_t most = ITEM_MAX - 1;
	const void *value = big; /* of what is too large a byte too many is read, to be refused */
	snug_cache_value told;
	require_store(snug_cache_set(client, "k", 1, value, bytes, NULL), bytes, most);
	if (bytes <= most) {
		REQUIRE_OK(snug_cache_get(client, "k", 1, found, sizeof found, &told));
		REQUIRE(told.bytes == bytes && memcmp(found, big, bytes) == 0, "another value");
		require_store(snug_cache_replace(client, "k", 1, value, bytes, NULL), bytes, most);
		REQUIRE_OK(snug_cache_delete(client, "k", 1));
	}
	require_store(snug_cache_add(client, "k", 1, value, bytes, NULL), bytes, most);
	REQUIRE_OK(snug_cache_set(client, "k", 1, big, 10, NULL));
	snug_error behind = snug_cache_append(client, "k", 1, value, bytes);
	REQUIRE(behind == (bytes > most - 10 ? SNUG_ERROR_NOT_STORED : SNUG_OK), "append: %s",
			snug_error_name(behind));
	REQUIRE_OK(snug_cache_set(client, "k", 1, big, 10, NULL));
	snug_error before = snug_cache_prepend(client, "k", 1, value, bytes);
	REQUIRE(before == behind, "prepend: %s", snug_error_name(before));
	REQUIRE_OK(snug_cache_set(client, "k", 1, big, 10, NULL));
	if (bytes == 0 || bytes > SNUG_KEY_BYTES_MAX) {
		REQUIRE_ERROR(SNUG_ERROR_KEY, snug_cache_set(client, value, bytes, "v", 1, NULL));
		REQUIRE_ERROR(SNUG_ERROR_KEY, snug_cache_get(client, value, bytes, found, 1, &told));
		REQUIRE_ERROR(SNUG_ERROR_KEY, snug_cache_delete(client, value, bytes));
		REQUIRE_ERROR(SNUG_ERROR_KEY, snug_cache_touch(client, value, bytes, 0));
		REQUIRE_ERROR(SNUG_ERROR_KEY, snug_cache_increment(client, value, bytes, 1, NULL));
		snug_cache_lookup lookup = {
			.key = value, .key_bytes = bytes, .buffer = found, .room_bytes = sizeof found};
		snug_error error = snug_cache_get_many(client, &lookup, 1);
		REQUIRE(error == SNUG_ERROR_KEY || (!error && lookup.error == SNUG_ERROR_KEY), "%s",
				snug_error_name(error));
	}
	memset(found, 'x', 11);
	snug_error got = snug_cache_get(client, "k", 1, found, bytes, &told);
	REQUIRE(got == (bytes < 10 ? SNUG_ERROR_BUFFER_TOO_SMALL : SNUG_OK), "room for %zu: %s", bytes,
			snug_error_name(got));
	REQUIRE(found[10] == 'x', "more was copied than there is");
}

static void cache_of(uint64_t timeout_ns) {
	struct cached cached = open_cache(timeout_ns);
	struct size_edges edges = size_edges_of(ITEM_MAX - 1);
	for (size_t i = 0; i < edges.count; i++) try_cache(cached.client, edges.size[i]);
	for (size_t i = 0; i < edges.count; i++) {
		snug_error error = snug_cache_set_limit(cached.client, edges.size[i]);
		REQUIRE(!error || error == SNUG_ERROR_OPTION || error == SNUG_ERROR_LIMIT_TOO_SMALL,
				"a limit of %zu: %s", edges.size[i], snug_error_name(error));
		REQUIRE(error || edges.size[i] <= 2 * LIMIT, "a limit of %zu", edges.size[i]);
	}
	close_cache(&cached);
}

static void cache_calls(void **state) {
	(void)state;
	cache_of(SNUG_FOREVER);
}

static void cache_calls_with_a_time_out(void **state) {
	(void)state;
	cache_of(HANG_NS);
}

static void cache_limits(void **state) {
	(void)state;
	struct size_edges edges = size_edges_of(2 * LIMIT);
	for (size_t i = 0; i < edges.count; i++) {
		snug_cache_options options = snug_cache_options_default();
		snug_cache *cache = NULL;
		options.workers = 2;
		options.limit_bytes = 2 * LIMIT;
		options.limit_max_bytes = edges.size[i];
		/* A sanitizer has memory for all addresses of a heap. */
		if (edges.size[i] > CREATED_MAX && edges.size[i] / 2 <= SNUG_LIMIT_MAX_BYTES) continue;
		snug_error error = snug_cache_create(&options, &cache);
		bool right = edges.size[i] == 0 ||
					 (edges.size[i] >= 2 * LIMIT && edges.size[i] / 2 <= SNUG_LIMIT_MAX_BYTES);
		REQUIRE(error == (right ? SNUG_OK : SNUG_ERROR_OPTION) || error == SNUG_ERROR_OS_MEMORY,
				"a largest limit of %zu: %s", edges.size[i], snug_error_name(error));
		REQUIRE_OK(snug_cache_destroy(cache));
	}
}

/* ------------------------------------------------------------------ a client -------- */

static void client_calls(void **state) {
	(void)state;
	snug_workers_options options = crew_options(1);
	snug_workers *workers = crew_make(&options);
	snug_client *client;
	snug_object object, used[64];
	char *found = malloc(BIG_BYTES);
	REQUIRE(found != NULL, "no memory");
	REQUIRE_OK(snug_client_create(workers, NULL, &client));
	for (size_t size = 1; size < 64; size++) {
		for (size_t i = 0; i < 64; i++)
			REQUIRE_OK(snug_client_alloc(client, 0, size, big, size, &used[i]));
		for (size_t i = 0; i < 64; i++) REQUIRE_OK(snug_client_free(client, used[i]));
	}
	REQUIRE_OK(snug_client_alloc(client, 0, 100, big, 100, &object));
	struct size_edges edges = size_edges_of(100);
	size_t limit_bytes = options.heap.limit_bytes;
	for (size_t i = 0; i < edges.count; i++) {
		size_t bytes = edges.size[i];
		if (bytes < limit_bytes && bytes > limit_bytes / 2) continue; /* the largest is between */
		snug_object other = {77, 77};
		snug_error error = snug_client_alloc(client, 0, bytes, big, 0, &other);
		REQUIRE(error == (bytes == 0             ? SNUG_ERROR_SIZE_ZERO
						  : bytes >= limit_bytes ? SNUG_ERROR_SIZE_TOO_LARGE
												 : SNUG_OK),
				"%zu bytes: %s", bytes, snug_error_name(error));
		REQUIRE(!error || (other.handle == 77 && other.worker == 77), "written, though refused");
		if (!error) REQUIRE_OK(snug_client_free(client, other));
		error = snug_client_alloc(client, 0, 100, value_of(bytes), bytes, &other);
		REQUIRE(error == (bytes > 100 ? SNUG_ERROR_RANGE : SNUG_OK), "%zu bytes of 100: %s", bytes,
				snug_error_name(error));
		if (!error) REQUIRE_OK(snug_client_free(client, other));
		error = snug_client_resize(client, object, bytes);
		REQUIRE(error == (bytes == 0             ? SNUG_ERROR_SIZE_ZERO
						  : bytes >= limit_bytes ? SNUG_ERROR_SIZE_TOO_LARGE
												 : SNUG_OK),
				"resized to %zu: %s", bytes, snug_error_name(error));
		REQUIRE_OK(snug_client_resize(client, object, 100));
		for (size_t j = 0; j < edges.count; j += 3) {
			bool inside = bytes <= 100 && edges.size[j] <= 100 - bytes;
			snug_error expected = inside ? SNUG_OK : SNUG_ERROR_RANGE;
			REQUIRE_ERROR(expected, snug_client_read(client, object, bytes, found, edges.size[j]));
			REQUIRE_ERROR(expected, snug_client_write(client, object, bytes,
													  value_of(edges.size[j]), edges.size[j]));
		}
	}
	free(found);
	REQUIRE_OK(snug_client_free(client, object));
	REQUIRE_OK(snug_client_destroy(client));
	crew_unmake(workers);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shard_stores),  cmocka_unit_test(shard_ranges),
		cmocka_unit_test(shard_account), cmocka_unit_test(shard_options),
		cmocka_unit_test(cache_calls),   cmocka_unit_test(cache_calls_with_a_time_out),
		cmocka_unit_test(cache_limits),  cmocka_unit_test(client_calls),
	};
	return cmocka_run_group_tests_name("size_edges_cache", tests, get_big, free_big);
}
