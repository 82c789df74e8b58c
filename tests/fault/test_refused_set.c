/* test_refused_set.c: a cache and a shard promise the same about the value that a refused set was
 * to replace.
 *
 * One table of promises, asked of both: what room or size refuses takes the old value with it, for
 * nobody may read it for the new one; what a condition, an addition or a bad argument refuses
 * leaves it. Room is refused by the limit, and by the operating system: the Nth time that memory is
 * asked of it and from there on, for every N until the set succeeds. The other items are what they
 * were. */
#include "support/require.h"
#include "unit/cmocka_all.h"

#include <snug/cache.h>
#include <snug/shard.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define LIMIT_BYTES (8 * MIB)
#define ITEM_MAX_BYTES MIB
#define LARGE_BYTES (900 * KIB)
#define OTHERS 50u
#define RUNS_MAX 5000u

/* ------------------------------------------------------------------ an OS that refuses ----- */

/* Called on the owner's thread, told by the test's. */
struct refusing_os {
	snug_os os;
	atomic_uint_fast64_t calls;   /* of commit, since the refusals were asked for */
	atomic_uint_fast64_t fail_at; /* this one and all later ones; 0: none */
	atomic_uint_fast64_t refused;
};

static bool commit(void *context, void *address, size_t bytes) {
	struct refusing_os *os = context;
	uint64_t call = atomic_fetch_add(&os->calls, 1) + 1, fail_at = atomic_load(&os->fail_at);
	if (fail_at == 0 || call < fail_at) return snug_os_linux()->commit(NULL, address, bytes);
	atomic_fetch_add(&os->refused, 1);
	return false;
}

static void refuse_from(struct refusing_os *os, uint64_t nth) {
	atomic_store(&os->calls, 0);
	atomic_store(&os->fail_at, nth);
}

/* ------------------------------------------------------------------ the two sides ---------- */

struct side {
	struct refusing_os os;
	snug_shard *shard; /* one of the two */
	snug_cache *cache;
	snug_cache_client *client;
};

static void open_side(struct side *side, bool is_cache) {
	*side = (struct side){.os.os = *snug_os_linux()};
	side->os.os.context = &side->os;
	side->os.os.commit = commit;
	if (is_cache) {
		snug_cache_options options = snug_cache_options_default();
		options.limit_bytes = LIMIT_BYTES;
		options.item_max_bytes = ITEM_MAX_BYTES;
		options.no_eviction = true;
		options.os = &side->os.os;
		REQUIRE_OK(snug_cache_create(&options, &side->cache));
		REQUIRE_OK(snug_cache_client_create(side->cache, NULL, &side->client));
		return;
	}
	snug_shard_options options = snug_shard_options_default();
	options.heap.limit_bytes = LIMIT_BYTES;
	options.heap.os = &side->os.os;
	options.item_max_bytes = ITEM_MAX_BYTES;
	options.no_eviction = true;
	REQUIRE_OK(snug_shard_create(&options, &side->shard));
}

static void close_side(struct side *side) {
	if (side->cache == NULL) {
		REQUIRE_OK(snug_shard_destroy(side->shard));
		return;
	}
	REQUIRE_OK(snug_cache_client_destroy(side->client));
	REQUIRE_OK(snug_cache_destroy(side->cache));
}

static snug_error set(struct side *side, const char *name, const void *value, size_t bytes) {
	if (side->cache != NULL)
		return snug_cache_set(side->client, name, strlen(name), value, bytes, NULL);
	snug_key key = snug_shard_key(name, strlen(name));
	return snug_shard_set(side->shard, &key, NULL, value, bytes);
}

static snug_error append(struct side *side, const char *name, const void *value, size_t bytes) {
	if (side->cache != NULL)
		return snug_cache_append(side->client, name, strlen(name), value, bytes);
	snug_key key = snug_shard_key(name, strlen(name));
	snug_item item;
	snug_error error = snug_shard_find(side->shard, &key, &item);
	return error ? error : snug_shard_extend(side->shard, &key, &item, NULL, value, bytes, false);
}

static bool holds(struct side *side, const char *name, const char *text) {
	char buffer[64] = "";
	size_t bytes = strlen(text);
	if (side->cache != NULL) {
		snug_cache_value value;
		return snug_cache_get(side->client, name, strlen(name), buffer, sizeof buffer, &value) ==
				   SNUG_OK &&
			   value.bytes == bytes && memcmp(buffer, text, bytes) == 0;
	}
	snug_key key = snug_shard_key(name, strlen(name));
	snug_item item;
	if (snug_shard_get(side->shard, &key, &item) != SNUG_OK || item.value_bytes != bytes)
		return false;
	REQUIRE_OK(snug_shard_read(side->shard, &item, 0, buffer, bytes));
	return memcmp(buffer, text, bytes) == 0;
}

static bool is_there(struct side *side, const char *name) {
	if (side->cache != NULL) {
		snug_cache_value value;
		return snug_cache_get(side->client, name, strlen(name), NULL, 0, &value) !=
			   SNUG_ERROR_NOT_FOUND;
	}
	snug_key key = snug_shard_key(name, strlen(name));
	snug_item item;
	return snug_shard_find(side->shard, &key, &item) == SNUG_OK;
}

/* ------------------------------------------------------------------ others ----------------- */

static void set_others(struct side *side) {
	char name[16];
	for (uint32_t i = 0; i < OTHERS; i++) {
		snprintf(name, sizeof name, "other%u", i);
		REQUIRE_OK(set(side, name, name, strlen(name)));
	}
}

static void require_others(struct side *side) {
	char name[16];
	for (uint32_t i = 0; i < OTHERS; i++) {
		snprintf(name, sizeof name, "other%u", i);
		REQUIRE(holds(side, name, name), "%s is not what it was", name);
	}
}

static char large[LARGE_BYTES];

/* Until no large value fits any more; then there is no room for another one, as nothing is
 * evicted. */
static void fill(struct side *side) {
	char name[16];
	for (uint32_t i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "large%u", i);
		snug_error error = set(side, name, large, sizeof large);
		if (error == SNUG_ERROR_NO_MEMORY) return;
		REQUIRE_OK(error);
	}
	REQUIRE(false, "the limit does not hold");
}

/* ------------------------------------------------------------------ promises --------------- */

static void the_limit_takes_the_old_value(void **state) {
	struct side side;
	open_side(&side, *(const bool *)*state);
	set_others(&side);
	REQUIRE_OK(set(&side, "key", "old", 3));
	fill(&side);
	REQUIRE_ERROR(SNUG_ERROR_NO_MEMORY, set(&side, "key", large, sizeof large));
	REQUIRE(!is_there(&side, "key"), "the old value can be read for the new one");
	require_others(&side);
	close_side(&side);
}

static void the_system_takes_the_old_value(void **state) {
	struct side side;
	bool is_cache = *(const bool *)*state, was_refused = true;
	uint64_t refusals = 0;
	for (uint64_t nth = 1; was_refused; nth++) {
		REQUIRE(nth < RUNS_MAX, "the sweep does not end");
		open_side(&side, is_cache);
		set_others(&side);
		REQUIRE_OK(set(&side, "key", "old", 3));
		refuse_from(&side.os, nth);
		snug_error error = set(&side, "key", large, sizeof large);
		refuse_from(&side.os, 0);
		was_refused = error != SNUG_OK;
		if (was_refused) {
			REQUIRE(error == SNUG_ERROR_NO_MEMORY || (error == SNUG_ERROR_OS_MEMORY && !is_cache),
					"a refusal became %s", snug_error_name(error));
			REQUIRE(atomic_load(&side.os.refused) > 0, "the system has refused nothing");
			REQUIRE(!is_there(&side, "key"), "the old value can be read for the new one");
			refusals++;
		}
		require_others(&side);
		REQUIRE_OK(set(&side, "key", "new", 3));
		REQUIRE(holds(&side, "key", "new"), "the key is lost");
		close_side(&side);
	}
	REQUIRE(refusals > 0, "nothing was refused");
}

static void a_size_takes_the_old_value(void **state) {
	const size_t far_too_large = SNUG_VALUE_BYTES_MAX + 1;
	struct side side;
	void *nothing =
		mmap(NULL, far_too_large, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	REQUIRE(nothing != MAP_FAILED, "no addresses");
	open_side(&side, *(const bool *)*state);
	for (uint32_t i = 0; i < 2; i++) {
		size_t bytes = i == 0 ? ITEM_MAX_BYTES : far_too_large;
		REQUIRE_OK(set(&side, "key", "old", 3));
		REQUIRE_ERROR(SNUG_ERROR_SIZE_TOO_LARGE, set(&side, "key", nothing, bytes));
		REQUIRE(!is_there(&side, "key"), "the old value can be read for one of %zu bytes", bytes);
	}
	munmap(nothing, far_too_large);
	close_side(&side);
}

static void a_bad_argument_leaves_it(void **state) {
	struct side side;
	char long_name[SNUG_KEY_BYTES_MAX + 2];
	memset(long_name, 'k', sizeof long_name - 1);
	long_name[sizeof long_name - 1] = '\0';
	open_side(&side, *(const bool *)*state);
	REQUIRE_OK(set(&side, "key", "old", 3));
	REQUIRE_ERROR(SNUG_ERROR_KEY, set(&side, long_name, "new", 3));
	REQUIRE_ERROR(SNUG_ERROR_KEY, set(&side, "", "new", 3));
	REQUIRE_ERROR(SNUG_ERROR_NULL, set(&side, "key", NULL, 3));
	REQUIRE(holds(&side, "key", "old"), "the old value is gone");
	close_side(&side);
}

static void an_addition_leaves_it(void **state) {
	struct side side;
	open_side(&side, *(const bool *)*state);
	REQUIRE_OK(set(&side, "key", "old", 3));
	fill(&side);
	REQUIRE_ERROR(SNUG_ERROR_NO_MEMORY, append(&side, "key", large, sizeof large));
	REQUIRE(holds(&side, "key", "old"), "the old value is gone");
	close_side(&side);
}

static void a_condition_leaves_it(void **state) {
	struct side side;
	snug_cache_value value;
	char buffer[8];
	(void)state;
	open_side(&side, true);
	REQUIRE_OK(set(&side, "key", "old", 3));
	fill(&side);
	REQUIRE_OK(snug_cache_gets(side.client, "key", 3, buffer, sizeof buffer, &value));
	snug_cache_store_options options = {.struct_bytes = sizeof(snug_cache_store_options),
										.cas = value.cas};
	REQUIRE_ERROR(SNUG_ERROR_NO_MEMORY,
				  snug_cache_set(side.client, "key", 3, large, sizeof large, &options));
	REQUIRE_ERROR(SNUG_ERROR_NO_MEMORY,
				  snug_cache_replace(side.client, "key", 3, large, sizeof large, NULL));
	REQUIRE_ERROR(SNUG_ERROR_NOT_STORED,
				  snug_cache_add(side.client, "key", 3, large, sizeof large, NULL));
	REQUIRE(holds(&side, "key", "old"), "the old value is gone");
	close_side(&side);
}

/* What is found is what holds; a lease's commit is a set. */
static void a_reserve_leaves_it(void **state) {
	struct side side;
	snug_lease lease = {0};
	snug_key key = snug_shard_key("key", 3);
	(void)state;
	open_side(&side, false);
	REQUIRE_OK(set(&side, "key", "old", 3));
	fill(&side);
	REQUIRE_ERROR(SNUG_ERROR_NO_MEMORY, snug_shard_reserve(side.shard, &key, sizeof large, &lease));
	REQUIRE(holds(&side, "key", "old"), "the old value is gone");
	close_side(&side);
}

#define BOTH(promise)                                        \
	{#promise " (shard)", promise, NULL, NULL, &kinds[0]}, { \
#promise " (cache)", promise, NULL, NULL, &kinds[1]  \
	}

int main(void) {
	static bool kinds[] = {false, true};
	const struct CMUnitTest tests[] = {
		BOTH(the_limit_takes_the_old_value),   BOTH(the_system_takes_the_old_value),
		BOTH(a_size_takes_the_old_value),      BOTH(a_bad_argument_leaves_it),
		BOTH(an_addition_leaves_it),           cmocka_unit_test(a_condition_leaves_it),
		cmocka_unit_test(a_reserve_leaves_it),
	};
	return cmocka_run_group_tests_name("refused_set", tests, NULL, NULL);
}
