/* Memory that nothing uses goes back by itself: an embedded shard whose owner calls maintain, on a
 * clock and an OS of the test's own. A second of the test is one look of the shard. */
#include "cache/shard/shard_read.h"
#include "cache/shard/shard_state.h"
#include "os/fake.h"
#include "support/require.h"
#include "support/test_random.h"
#include "support/test_secret.h"
#include "unit/cmocka_all.h"

#include <snug/shard.h>
#include <stdio.h>

#define MIB ((uint64_t)1 << 20)
#define SECOND_NS UINT64_C(1000000000)
#define LIMIT_BYTES (32 * MIB)
#define BEGIN_S 1000
#define SLICES_MAX 1000000u

struct scene {
	struct fake_os fake;
	snug_shard *shard;
	uint32_t stored; /* names used so far */
	uint32_t slices; /* that a second has */
	uint64_t random;
};

static int64_t now_of(void *context) {
	return BEGIN_S + (int64_t)(((const struct scene *)context)->fake.time_ns / SECOND_NS);
}

static void open_scene(struct scene *scene, uint64_t keep_free_bytes) {
	*scene = (struct scene){.slices = SLICES_MAX, .random = 7};
	fake_os_init(&scene->fake);
	snug_shard_options options = snug_shard_options_default();
	options.heap.limit_bytes = LIMIT_BYTES;
	options.heap.os = &scene->fake.os;
	options.keep_free_bytes = keep_free_bytes;
	options.now_s = now_of;
	options.now_context = scene;
	REQUIRE_OK(snug_shard_create(&options, &scene->shard));
}

static void close_scene(struct scene *scene) {
	REQUIRE_OK(snug_shard_check(scene->shard, NULL));
	REQUIRE_OK(snug_shard_destroy(scene->shard));
	REQUIRE(scene->fake.mistakes == 0, "%s", scene->fake.first_mistake);
	fake_os_deinit(&scene->fake);
}

static snug_key key_of(char *name, uint32_t number) {
	return snug_shard_key(name, (size_t)snprintf(name, 16, "%u", number));
}

/* One more, of 60 to 600 bytes; lives for so many seconds; 0: for ever. */
static void store(struct scene *scene, uint32_t seconds) {
	static const char value[600];
	char name[16];
	snug_key key = key_of(name, scene->stored++);
	snug_attributes attributes = {0};
	if (seconds > 0) attributes.expires_at_s = (uint32_t)now_of(scene) + seconds;
	scene->random = scene->random * 6364136223846793005u + 1442695040888963407u;
	size_t bytes = 60 + (size_t)(scene->random >> 33) % 541;
	REQUIRE_OK(snug_shard_set(scene->shard, &key, &attributes, value, bytes));
}

static void delete (struct scene *scene, uint32_t number) {
	char name[16];
	snug_key key = key_of(name, number);
	REQUIRE_OK(snug_shard_delete(scene->shard, &key));
}

static snug_shard_stats stats_of(const struct scene *scene) {
	snug_shard_stats stats;
	REQUIRE_OK(snug_shard_stats_get(scene->shard, &stats));
	return stats;
}

/* The owner's second: some slices of maintenance. Tells how many had something to do. */
static uint32_t second(struct scene *scene) {
	uint32_t slices = 0;
	scene->fake.time_ns += SECOND_NS;
	while (slices < scene->slices && snug_shard_maintain(scene->shard)) slices++;
	REQUIRE(slices < SLICES_MAX, "maintenance has no end");
	return slices;
}

static void fill(struct scene *scene, uint64_t bytes, uint32_t of_three, uint32_t seconds) {
	while (stats_of(scene).item_bytes < bytes)
		for (uint32_t i = 0; i < 300; i++) store(scene, i % 3 < of_three ? seconds : 0);
}

/* What a process may hold for so much that is alive; less than the 8 MiB that it may have besides,
 * most of which are the program's. */
static void require_bound(const struct scene *scene) {
	uint64_t live_bytes = stats_of(scene).item_bytes;
	REQUIRE(scene->fake.committed_bytes <= live_bytes * 20 / 17 + 2 * MIB,
			"%zu bytes committed for %llu that are alive", scene->fake.committed_bytes,
			(unsigned long long)live_bytes);
}

static void two_thirds_expire(void **state) {
	(void)state;
	/* all the time there is, and a few slices a second: 5 % of the time, at 10 us each */
	static const uint32_t slices[] = {SLICES_MAX, 5000};
	for (uint32_t round = 0; round < 2; round++) {
		struct scene scene;
		open_scene(&scene, MIB);
		scene.slices = slices[round];
		fill(&scene, 24 * MIB, 2, 60);
		uint64_t items = stats_of(&scene).items;
		for (uint32_t s = 0; s < 58; s++) (void)second(&scene);
		REQUIRE(scene.fake.committed_bytes > 24 * MIB, "given back what is in use");
		for (uint32_t s = 0; s < 32; s++) (void)second(&scene);
		snug_shard_stats stats = stats_of(&scene);
		REQUIRE(stats.items == items / 3 && stats.expired == items - items / 3, "%llu items",
				(unsigned long long)stats.items);
		REQUIRE(stats.evictions == 0, "evicted");
		require_bound(&scene);
		close_scene(&scene);
	}
}

/* At random: no page is empty, each has to be packed. */
static void half_is_deleted(void **state) {
	(void)state;
	struct scene scene;
	open_scene(&scene, MIB);
	fill(&scene, 24 * MIB, 0, 0);
	for (uint32_t number = 0; number < scene.stored; number += 2) delete (&scene, number);
	for (uint32_t s = 0; s < 30; s++) (void)second(&scene);
	REQUIRE(stats_of(&scene).evictions == 0, "evicted");
	require_bound(&scene);
	REQUIRE(snug_shard_rest_ns(scene.shard) == UINT64_MAX, "there is still something to come");
	REQUIRE(second(&scene) == 0, "there is still something to do");
	close_scene(&scene);
}

static void all_is_flushed(void **state) {
	(void)state;
	struct scene scene;
	open_scene(&scene, 0);
	size_t empty_bytes = scene.fake.committed_bytes;
	fill(&scene, 24 * MIB, 0, 0);
	snug_shard_flush(scene.shard, 0);
	for (uint32_t s = 0; s < 30; s++) (void)second(&scene);
	REQUIRE(scene.fake.committed_bytes < empty_bytes + (384u << 10), "%zu bytes stay, %zu at first",
			scene.fake.committed_bytes, empty_bytes);
	close_scene(&scene);
}

/* Nine tenths full; each second a twentieth of the items goes and as many come. */
static void a_busy_cache_gives_nothing(void **state) {
	(void)state;
	struct scene scene;
	open_scene(&scene, MIB);
	fill(&scene, LIMIT_BYTES * 85 / 100, 0, 0);
	(void)second(&scene);
	uint32_t first = 0;
	for (uint32_t s = 0; s < 20; s++) (void)second(&scene);
	uint64_t before_bytes = stats_of(&scene).heap.returned_bytes;
	for (uint32_t s = 0; s < 30; s++) {
		uint32_t churned = (scene.stored - first) / 20;
		for (uint32_t i = 0; i < churned; i++) {
			delete (&scene, first++);
			store(&scene, 0);
		}
		(void)second(&scene);
	}
	uint64_t returned_bytes = stats_of(&scene).heap.returned_bytes - before_bytes;
	REQUIRE(returned_bytes <= LIMIT_BYTES / 32, "%llu bytes given back",
			(unsigned long long)returned_bytes);
	REQUIRE(stats_of(&scene).evictions == 0, "evicted");
	close_scene(&scene);
}

/* A quarter goes and comes back, time and again: once that is known, all of it is kept. */
static void a_cache_that_breathes_gives_nothing(void **state) {
	(void)state;
	struct scene scene;
	open_scene(&scene, MIB);
	fill(&scene, 24 * MIB, 0, 0);
	for (uint32_t s = 0; s < 20; s++) (void)second(&scene);
	uint64_t before_bytes = 0;
	uint32_t quarter = scene.stored / 4, first = 0;
	for (uint32_t breath = 0; breath < 10; breath++) {
		if (breath == 3) before_bytes = stats_of(&scene).heap.returned_bytes;
		for (uint32_t i = 0; i < quarter; i++) delete (&scene, first++);
		(void)second(&scene);
		for (uint32_t i = 0; i < quarter; i++) store(&scene, 0);
		(void)second(&scene);
	}
	uint64_t returned_bytes = stats_of(&scene).heap.returned_bytes - before_bytes;
	REQUIRE(returned_bytes <= LIMIT_BYTES / 32, "%llu bytes given back",
			(unsigned long long)returned_bytes);
	close_scene(&scene);
}

static void what_is_to_be_kept_stays(void **state) {
	(void)state;
	static const uint64_t kept_bytes[] = {SNUG_NO_BUDGET, 12 * MIB};
	for (uint32_t round = 0; round < 2; round++) {
		struct scene scene;
		open_scene(&scene, kept_bytes[round]);
		fill(&scene, 24 * MIB, 0, 0);
		for (uint32_t number = 0; number < scene.stored; number++) delete (&scene, number);
		for (uint32_t s = 0; s < 40; s++) (void)second(&scene);
		uint64_t free_bytes = stats_of(&scene).heap.free_page_bytes;
		REQUIRE(free_bytes >= 11 * MIB, "%llu bytes are kept", (unsigned long long)free_bytes);
		REQUIRE(round == 0 || free_bytes <= 13 * MIB, "%llu bytes are kept",
				(unsigned long long)free_bytes);
		close_scene(&scene);
	}
}

/* Another limit while memory is given back, and an end in the middle. */
static void what_comes_in_between(void **state) {
	(void)state;
	for (uint32_t slices = 1; slices < 4000; slices = slices * 4 + 1) {
		struct scene scene;
		open_scene(&scene, 0);
		fill(&scene, 24 * MIB, 0, 0);
		for (uint32_t number = 0; number < scene.stored; number += 2) delete (&scene, number);
		scene.slices = slices;
		for (uint32_t s = 0; s < 8; s++) (void)second(&scene);
		scene.slices = SLICES_MAX;
		if (slices % 3 != 0) {
			REQUIRE_OK(snug_shard_set_limit(scene.shard, 16 * MIB));
			(void)second(&scene);
			snug_shard_stats stats = stats_of(&scene);
			REQUIRE(stats.heap.limit_bytes == 16 * MIB, "the limit is not reached");
			REQUIRE(stats.evictions == 0, "evicted, though packing would have done");
		}
		close_scene(&scene);
	}
}

/* The OS does not take it: tried again, but less and less often. */
static void an_os_that_refuses_is_not_asked_for_ever(void **state) {
	(void)state;
	struct scene scene;
	open_scene(&scene, 0);
	fill(&scene, 24 * MIB, 0, 0);
	for (uint32_t number = 0; number < scene.stored; number++) delete (&scene, number);
	scene.fake.decommit.fail_at = scene.fake.decommit.calls + 1;
	scene.fake.decommit.fail_onwards = true;
	for (uint32_t s = 0; s < 300; s++) (void)second(&scene);
	uint64_t refused = scene.fake.decommit.refused;
	for (uint32_t s = 0; s < 128; s++) (void)second(&scene);
	REQUIRE(scene.fake.decommit.refused - refused <= 16, "asked %llu times in 128 seconds",
			(unsigned long long)(scene.fake.decommit.refused - refused));
	scene.fake.decommit.fail_at = 0;
	scene.fake.decommit.fail_onwards = false;
	for (uint32_t s = 0; s < 100; s++) (void)second(&scene);
	require_bound(&scene);
	close_scene(&scene);
}

#define LARGE_BYTES ((size_t)200000)
#define LARGE_COUNT 100u
#define BLOCKS_FULL ((size_t)8)

static uint32_t blocks_worth_a_huge_page(const struct scene *scene) {
	struct os_range ranges[SHARD_RANGES];
	uint32_t count = 0;
	shard_ranges(scene->shard, ranges);
	assert_null(ranges[1].is_worth); /* the index: all of it */
	for (size_t block = 0; block < BLOCKS_FULL; block++)
		count += ranges[0].is_worth(ranges[0].context,
									(char *)ranges[0].base + block * COLLAPSE_BLOCK_BYTES);
	return count;
}

/* They are read as a whole; what lies there afterwards is worth one again. */
static void blocks_of_large_values_stay_small(void **state) {
	static const char value[LARGE_BYTES];
	struct scene scene;
	snug_attributes attributes = {0};
	(void)state;
	open_scene(&scene, MIB);
	for (uint32_t i = 0; i < LARGE_COUNT; i++) {
		char name[16];
		snug_key key = key_of(name, scene.stored++);
		REQUIRE_OK(snug_shard_set(scene.shard, &key, &attributes, value, sizeof value));
	}
	assert_int_equal(blocks_worth_a_huge_page(&scene), 0);
	REQUIRE_OK(snug_shard_check(scene.shard, NULL));
	for (uint32_t i = 0; i < LARGE_COUNT; i++) delete (&scene, i);
	fill(&scene, 20 * MIB, 0, 0);
	assert_int_equal(blocks_worth_a_huge_page(&scene), BLOCKS_FULL);
	close_scene(&scene);
}

int main(void) {
	test_set_secret(1);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_of_large_values_stay_small),
		cmocka_unit_test(two_thirds_expire),
		cmocka_unit_test(half_is_deleted),
		cmocka_unit_test(all_is_flushed),
		cmocka_unit_test(a_busy_cache_gives_nothing),
		cmocka_unit_test(a_cache_that_breathes_gives_nothing),
		cmocka_unit_test(what_is_to_be_kept_stays),
		cmocka_unit_test(what_comes_in_between),
		cmocka_unit_test(an_os_that_refuses_is_not_asked_for_ever),
	};
	return cmocka_run_group_tests_name("give back", tests, NULL, NULL);
}
