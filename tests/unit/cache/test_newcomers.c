/* What is large and never asked for: it can be read when it has been stored, and does not hold the
 * room of many small items for long. */
#include "cache/shard/shard_state.h"
#include "support/require.h"
#include "support/test_random.h"
#include "unit/cmocka_all.h"

#include <snug/shard.h>
#include <stdio.h>

#define LIMIT_BYTES ((size_t)4 << 20)
#define SMALL_BYTES 100u
#define LARGE_BYTES 16384u
#define SMALL 40000u /* that are asked for: some more than the limit holds */
#define LARGE 600u   /* which together are more than twice the limit */
#define GETS 60u     /* of small ones, for each large one */

static snug_shard *shard;

static snug_key key_of(char kind, uint32_t number) {
	static char name[16];
	return snug_shard_key(name, (size_t)snprintf(name, sizeof name, "%c%u", kind, number));
}

static void set(char kind, uint32_t number, size_t bytes) {
	static const char value[LARGE_BYTES];
	snug_key key = key_of(kind, number);
	REQUIRE_OK(snug_shard_set(shard, &key, NULL, value, bytes));
}

static bool get(char kind, uint32_t number) {
	snug_key key = key_of(kind, number);
	snug_item item;
	return snug_shard_get(shard, &key, &item) == SNUG_OK;
}

/* Without asking for it, as far as the eviction knows. */
static bool is_there(char kind, uint32_t number) {
	snug_key key = key_of(kind, number);
	snug_item item;
	return snug_shard_find(shard, &key, &item) == SNUG_OK;
}

static uint32_t large_ones(void) {
	uint32_t found = 0;
	for (uint32_t number = 0; number < LARGE; number++) found += is_there('l', number);
	return found;
}

/* A cache before small objects that all are asked for again. The small ones that are gone are
 * stored anew, as whoever asks for them would. Their misses. */
static uint32_t ask_for_small_ones(test_random *random, uint32_t gets) {
	uint32_t misses = 0;
	for (uint32_t i = 0; i < gets; i++) {
		uint32_t number = (uint32_t)test_random_below(random, SMALL);
		if (get('s', number)) continue;
		set('s', number, SMALL_BYTES);
		misses++;
	}
	return misses;
}

static void large_newcomers_leave_soon(void **state) {
	(void)state;
	snug_shard_options options = snug_shard_options_default();
	options.heap.limit_bytes = LIMIT_BYTES;
	REQUIRE_OK(snug_shard_create(&options, &shard));
	test_random random = {1};
	uint32_t misses = 0;
	(void)ask_for_small_ones(&random, 10 * SMALL);
	for (uint32_t number = 0; number < LARGE; number++) {
		set('l', number, LARGE_BYTES);
		REQUIRE(is_there('l', number), "%u is not there when it has been stored", number);
		misses += ask_for_small_ones(&random, GETS);
	}
	uint32_t left = large_ones();
	printf("%u large ones left, %u of %u small ones missed\n", left, misses, LARGE * GETS);
	REQUIRE(left < 20, "%u", left);
	REQUIRE_OK(snug_shard_check(shard, NULL));
	REQUIRE_OK(snug_shard_destroy(shard));
}

int main(void) {
	const struct CMUnitTest tests[] = {cmocka_unit_test(large_newcomers_leave_soon)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
