/* test_lease.c: what is leased can neither move nor be evicted, so all of it together, with what is
 * promised, is half of the memory at most; a larger one only alone (law K4). */
#include "cache/shard/shard_state.h"
#include "support/require.h"
#include "support/test_secret.h"
#include "unit/cmocka_all.h"

#include <snug/shard.h>
#include <stdio.h>

#define LIMIT ((size_t)8 << 20)
#define LEASES 4096u

static snug_shard *shard;
static snug_lease leases[LEASES];
static uint32_t leased;

static int open_shard(void **state) {
	(void)state;
	snug_shard_options options = snug_shard_options_default();
	options.heap.limit_bytes = LIMIT;
	leased = 0;
	return snug_shard_create(&options, &shard) == SNUG_OK ? 0 : -1;
}

static int close_shard(void **state) {
	(void)state;
	while (leased > 0) snug_shard_release(shard, &leases[--leased]);
	REQUIRE_OK(snug_shard_check(shard, NULL));
	REQUIRE_OK(snug_shard_destroy(shard));
	return 0;
}

static snug_key key_number(uint32_t number) {
	static char name[16];
	return snug_shard_key(name, (size_t)snprintf(name, sizeof name, "%u", number));
}

static uint64_t leased_bytes(void) {
	uint64_t bytes = 0;
	for (uint32_t index = 0; index < leased; index++) bytes += leases[index].item_bytes;
	return bytes;
}

/* The next one was refused, though half of all memory and more is not leased. */
static void require_half(size_t next_bytes) {
	uint64_t bytes = leased_bytes();
	REQUIRE(bytes <= LIMIT / 2 && bytes + next_bytes + 100 > LIMIT / 2, "%llu bytes are leased",
			(unsigned long long)bytes);
}

static void what_comes_in_is_half_at_most(void **state) {
	(void)state;
	const size_t bytes = 20000;
	snug_error error;
	for (;;) {
		snug_key key = key_number(leased);
		error = snug_shard_reserve(shard, &key, bytes, &leases[leased]);
		if (error) break;
		leased++;
	}
	REQUIRE_ERROR(SNUG_ERROR_NO_MEMORY, error);
	require_half(bytes);
	/* and the other half serves */
	for (uint32_t number = 0; number < 1000; number++) {
		snug_key key = key_number(LEASES + number);
		REQUIRE_OK(snug_shard_set(shard, &key, NULL, "value", 5));
	}
	snug_shard_release(shard, &leases[--leased]);
	snug_key key = key_number(leased);
	REQUIRE_OK(snug_shard_reserve(shard, &key, bytes, &leases[leased]));
	leased++;
}

static void what_goes_out_is_half_at_most(void **state) {
	(void)state;
	static char value[20000];
	uint32_t stored = 0;
	for (; stored < LIMIT * 3 / 4 / sizeof value; stored++) {
		snug_key key = key_number(stored);
		REQUIRE_OK(snug_shard_set(shard, &key, NULL, value, sizeof value));
	}
	snug_error error = SNUG_OK;
	for (uint32_t number = 0; number < stored; number++) {
		snug_key key = key_number(number);
		snug_item item;
		if (snug_shard_find(shard, &key, &item) != SNUG_OK) continue;
		error = snug_shard_pin(shard, &item, &leases[leased]);
		if (error) break;
		leased++;
	}
	REQUIRE_ERROR(SNUG_ERROR_NO_MEMORY, error);
	require_half(sizeof value);
}

static void one_alone_may_be_larger(void **state) {
	(void)state;
	const size_t bytes = LIMIT * 5 / 8;
	snug_shard_options options = snug_shard_options_default();
	if (options.item_max_bytes < bytes) {
		REQUIRE_OK(snug_shard_destroy(shard));
		options.heap.limit_bytes = LIMIT;
		options.item_max_bytes = bytes + 1000;
		REQUIRE_OK(snug_shard_create(&options, &shard));
	}
	snug_key key = key_number(0), other = snug_shard_key("other", 5);
	REQUIRE_OK(snug_shard_reserve(shard, &key, bytes, &leases[0]));
	leased = 1;
	REQUIRE_ERROR(SNUG_ERROR_NO_MEMORY, snug_shard_reserve(shard, &other, 100, &leases[1]));
	snug_shard_release(shard, &leases[0]);
	leased = 0;
	REQUIRE_OK(snug_shard_reserve(shard, &other, 100, &leases[0]));
	leased = 1;
}

/* All else goes first, and then nothing more. */
static void what_is_leased_is_not_evicted(void **state) {
	(void)state;
	static char value[1000];
	const uint32_t stored = 2000;
	for (uint32_t number = 0; number < stored; number++) {
		snug_key key = key_number(number);
		snug_item item;
		REQUIRE_OK(snug_shard_set(shard, &key, NULL, value, sizeof value));
		if (number % 4 != 0) continue;
		REQUIRE_OK(snug_shard_find(shard, &key, &item));
		REQUIRE_OK(snug_shard_pin(shard, &item, &leases[leased++]));
	}
	uint64_t evicted_bytes = snug_shard_evict(shard, UINT64_MAX), evictions = stored - stored / 4;
	REQUIRE(shard->stats.evictions == evictions && evicted_bytes == shard->stats.evicted_bytes,
			"%llu evictions", (unsigned long long)shard->stats.evictions);
	for (uint32_t number = 0; number < stored; number++) {
		snug_key key = key_number(number);
		snug_item item;
		REQUIRE_ERROR(number % 4 == 0 ? SNUG_OK : SNUG_ERROR_NOT_FOUND,
					  snug_shard_find(shard, &key, &item));
	}
	while (leased > 0) snug_shard_release(shard, &leases[--leased]);
	REQUIRE(snug_shard_evict(shard, UINT64_MAX) > 0 && shard->linked == 0, "something is left");
}

/* Nobody overtakes a value for which room is being made. */
static void a_promise_counts(void **state) {
	(void)state;
	snug_key key = key_number(0), other = snug_shard_key("other", 5);
	snug_lease lease;
	uint32_t promised = shard_promise_lease(shard, &key, 1000000, SNUG_OK);
	REQUIRE(promised >= 1000000, "not promised");
	uint32_t second = shard_promise_lease(shard, &key, LIMIT / 2 - promised - 1000, SNUG_OK);
	REQUIRE(second > 0, "not promised");
	REQUIRE(shard_promise_lease(shard, &key, 2000, SNUG_OK) == 0, "promised twice");
	REQUIRE_ERROR(SNUG_ERROR_NO_MEMORY, snug_shard_reserve(shard, &other, 2000, &lease));
	shard_end_promise(shard, second);
	REQUIRE_OK(snug_shard_reserve(shard, &other, 2000, &lease));
	snug_shard_release(shard, &lease);
	shard_end_promise(shard, promised);
	REQUIRE(shard->promised_bytes == 0, "something is still promised");
}

int main(void) {
	test_set_secret(1);
#define WITH_SHARD(function) cmocka_unit_test_setup_teardown(function, open_shard, close_shard)
	const struct CMUnitTest tests[] = {
		WITH_SHARD(what_comes_in_is_half_at_most),
		WITH_SHARD(what_goes_out_is_half_at_most),
		WITH_SHARD(one_alone_may_be_larger),
		WITH_SHARD(what_is_leased_is_not_evicted),
		WITH_SHARD(a_promise_counts),
	};
	return cmocka_run_group_tests_name("lease", tests, NULL, NULL);
}
