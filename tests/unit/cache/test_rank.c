/* test_rank.c: the eviction's parts: bits of an entry, learning, candidates, ghosts. */
#include "cache/rank/candidates.h"
#include "cache/rank/ghosts.h"
#include "cache/rank/rank.h"
#include "support/test_random.h"
#include "unit/cmocka_all.h"

#include <stdio.h>

#define LIMIT_BYTES UINT64_C(1600000)
#define TICK_BYTES (LIMIT_BYTES / RANK_TICKS_PER_TURNOVER)

static void pass_ticks(struct rank *rank, uint32_t ticks) {
	for (uint32_t i = 0; i < ticks; i++) (void)rank_insert(rank, TICK_BYTES, 1000);
}

static void a_meta_keeps_to_its_bits(void **state) {
	(void)state;
	test_random random = {test_environment_number("SNUG_SEED", 1)};
	printf("seed %llu\n", (unsigned long long)random.state);
	struct rank rank;
	rank_init(&rank, LIMIT_BYTES, 1);
	rank_meta meta = rank_insert(&rank, 100, 1);
	for (int i = 0; i < 200000; i++) {
		uint64_t what = test_random_below(&random, 4);
		if (what == 0)
			meta = rank_hit(&rank, meta);
		else if (what == 1)
			meta = rank_readmit(&rank, (uint32_t)test_random_below(&random, RANK_CLASSES),
								TICK_BYTES / 3, 5);
		else if (what == 2)
			(void)rank_insert(&rank, test_random_below(&random, 3 * TICK_BYTES), 5);
		else
			meta = rank_settle(&rank, meta);
		rank_see(&rank, meta);
		assert_true(meta < 1u << RANK_META_BITS);
		assert_true(rank_score(&rank, meta, 1 + test_random_below(&random, 100000)) >= 0);
	}
}

static void age_is_counted_in_sixteenths_of_the_limit(void **state) {
	(void)state;
	struct rank rank;
	rank_init(&rank, LIMIT_BYTES, 1);
	rank_meta meta = rank_insert(&rank, 0, 1);
	for (uint32_t age = 0; age < 128; age++) {
		assert_int_equal(rank_age(&rank, meta), age);
		pass_ticks(&rank, 1);
	}
	assert_int_equal(rank_age(&rank, meta), 0); /* wrapped: nobody settled it */
}

static void a_settled_meta_never_looks_young(void **state) {
	(void)state;
	struct rank rank;
	rank_init(&rank, LIMIT_BYTES, 1);
	rank_meta meta = rank_hit(&rank, rank_insert(&rank, 0, 1));
	uint32_t class = rank_class(meta);
	for (uint32_t tick = 0; tick < 1000; tick += 15) {
		meta = rank_settle(&rank, meta);
		assert_true(rank_age(&rank, meta) == tick || (tick > 112 && rank_age(&rank, meta) == 112));
		assert_int_equal(rank_class(meta), class);
		pass_ticks(&rank, 15);
	}
}

/* Without any experience: the older the less, the more often hit the more, the larger the less. */
static void the_prior_is_sensible(void **state) {
	(void)state;
	struct rank rank;
	rank_init(&rank, LIMIT_BYTES, 1);
	rank_meta new = rank_insert(&rank, 100, 1);
	rank_meta once = rank_hit(&rank, new);
	rank_meta often = once;
	for (int i = 0; i < 50; i++) often = rank_hit(&rank, often);
	float before = 1e9f;
	for (int i = 0; i < 7; i++) {
		assert_true(rank_score(&rank, new, 100) < rank_score(&rank, once, 100));
		assert_true(rank_score(&rank, once, 100) < rank_score(&rank, often, 100));
		assert_true(rank_score(&rank, new, 200) < rank_score(&rank, new, 100));
		assert_true(rank_score(&rank, new, 100) < before);
		before = rank_score(&rank, new, 100);
		rank.tick += 1u << i; /* no period ends */
	}
}

/* Objects that come round every ten ticks and are otherwise not asked for: at nine they are worth
 * more than at two. */
static void a_loop_is_learnt(void **state) {
	(void)state;
	struct rank rank;
	rank_init(&rank, LIMIT_BYTES, 1);
	rank_meta metas[100];
	for (int i = 0; i < 100; i++) metas[i] = rank_insert(&rank, 0, 100);
	for (int tick = 1; tick < 500; tick++) {
		pass_ticks(&rank, 1);
		for (int i = 0; i < 100; i++) {
			rank_see(&rank, metas[i]);
			if (rank_age(&rank, metas[i]) == 10) metas[i] = rank_hit(&rank, metas[i]);
		}
	}
	for (int i = 0; i < 40; i++) (void)rank_insert(&rank, 0, 100); /* the values follow */
	rank_meta young = metas[0];
	while (rank_age(&rank, young) != 2) young = (rank_meta)((young & ~127) | ((young + 1) & 127));
	rank_meta due = (rank_meta)((young & ~127) | ((young - 6) & 127));
	assert_int_equal(rank_age(&rank, due), 8);
	assert_true(rank_score(&rank, due, 100) > 1.5f * rank_score(&rank, young, 100));
}

/* What is never hit loses all value, though the prior liked it. */
static void a_scan_is_learnt(void **state) {
	(void)state;
	struct rank rank;
	rank_init(&rank, LIMIT_BYTES, 1);
	rank_meta fresh = rank_insert(&rank, 0, 100);
	float before = rank_score(&rank, fresh, 100);
	for (int tick = 0; tick < 300; tick++) {
		rank_meta meta = rank_insert(&rank, TICK_BYTES, 100);
		for (int age = 0; age < 50; age++) rank_see(&rank, (rank_meta)((meta - age) & 127));
	}
	for (int i = 0; i < 40; i++) fresh = rank_insert(&rank, 0, 100);
	assert_true(rank_score(&rank, fresh, 100) < before / 5);
}

static void a_period_without_a_census_teaches_nothing(void **state) {
	(void)state;
	struct rank rank, untouched;
	rank_init(&rank, LIMIT_BYTES, 1);
	untouched = rank;
	for (int i = 0; i < 200; i++) {
		rank_meta meta = rank_insert(&rank, TICK_BYTES, 100);
		for (int hit = 0; hit < 100; hit++) (void)rank_hit(&rank, meta);
	}
	assert_memory_equal(rank.value, untouched.value, sizeof rank.value);
}

static void a_new_limit_changes_the_clock(void **state) {
	(void)state;
	struct rank rank;
	rank_init(&rank, LIMIT_BYTES, 1);
	rank_set_limit(&rank, LIMIT_BYTES / 2);
	rank_meta meta = rank_insert(&rank, 0, 1);
	pass_ticks(&rank, 1);
	assert_int_equal(rank_age(&rank, meta), 2);
	rank_set_limit(&rank, 0); /* no division by zero */
	(void)rank_insert(&rank, 1, 1);
}

/* Against a sorted list of all offers. */
static void candidates_are_the_worst_offered(void **state) {
	(void)state;
	test_random random = {test_environment_number("SNUG_SEED", 2)};
	printf("seed %llu\n", (unsigned long long)random.state);
	for (int round = 0; round < 500; round++) {
		struct candidates candidates = {.count = 0};
		float score_of_place[200];
		bool offered[200] = {false};
		uint64_t offers = test_random_between(&random, 1, 200);
		for (uint64_t i = 0; i < offers; i++) {
			score_of_place[i] = (float)test_random_below(&random, 1000);
			offered[i] = true;
			candidates_offer(&candidates, (struct candidate){i, i * 3, score_of_place[i]});
		}
		assert_int_equal(candidates.count, offers < CANDIDATES_MAX ? offers : CANDIDATES_MAX);
		struct candidate taken;
		while (candidates_take(&candidates, &taken)) {
			assert_int_equal(taken.entry, taken.place * 3);
			assert_true(offered[taken.place]);
			offered[taken.place] = false;
			uint32_t less = 0; /* that were offered and not taken */
			for (uint64_t i = 0; i < offers; i++)
				less += offered[i] && score_of_place[i] < taken.score;
			assert_int_equal(less, 0);
		}
	}
}

static void a_place_is_a_candidate_once(void **state) {
	(void)state;
	struct candidates candidates = {.count = 0};
	candidates_offer(&candidates, (struct candidate){7, 1, 5});
	candidates_offer(&candidates, (struct candidate){7, 2, 9});
	candidates_offer(&candidates, (struct candidate){8, 3, 6});
	struct candidate taken;
	assert_true(candidates_take(&candidates, &taken));
	assert_int_equal(taken.entry, 3);
	assert_true(candidates_take(&candidates, &taken));
	assert_int_equal(taken.entry, 2);
	assert_false(candidates_take(&candidates, &taken));
}

/* `count` new hashes from a seed. */
static void remember(struct ghosts *ghosts, uint64_t seed, uint32_t count) {
	test_random random = {seed};
	for (uint32_t i = 0; i < count; i++) ghosts_remember(ghosts, test_random_next(&random), i % 32);
}

/* How many of them are remembered, each with its class. */
static uint32_t recall(struct ghosts *ghosts, uint64_t seed, uint32_t count) {
	test_random random = {seed};
	uint32_t recalled = 0;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t class = 99;
		if (!ghosts_recall(ghosts, test_random_next(&random), &class)) continue;
		recalled += class == i % 32;
	}
	return recalled;
}

#define GRAIN_GHOSTS (GHOST_GRAIN_BYTES / sizeof(ghost))
static _Alignas(64) ghost ghost_memory[8 * GRAIN_GHOSTS];

static struct ghosts ghosts_of(uint32_t grains) {
	struct ghosts ghosts;
	memset(ghost_memory, 0xFF, sizeof ghost_memory); /* what lies behind the table is not of it */
	ghosts_init(&ghosts, ghost_memory);
	for (uint32_t i = 0; i < grains; i++) ghosts_grow(&ghosts);
	assert_int_equal(ghosts_bytes(&ghosts), grains * GHOST_GRAIN_BYTES);
	return ghosts;
}

static void ghosts_are_recalled_once(void **state) {
	(void)state;
	uint64_t seed = test_environment_number("SNUG_SEED", 3);
	struct ghosts ghosts = ghosts_of(1);
	remember(&ghosts, seed, 256);
	assert_int_equal(recall(&ghosts, seed, 256), 256);
	assert_int_equal(recall(&ghosts, seed, 256), 0);
}

/* Twice as many as there is room for: half are forgotten, and strangers are rarely taken for one of
 * them. */
static void full_ghosts_forget(void **state) {
	(void)state;
	uint64_t seed = test_environment_number("SNUG_SEED", 4);
	test_random random = {seed + 1};
	struct ghosts ghosts = ghosts_of(8);
	uint32_t class, strangers = 0;
	remember(&ghosts, seed, 16 * GRAIN_GHOSTS);
	for (uint32_t i = 0; i < 4096; i++)
		strangers += ghosts_recall(&ghosts, test_random_next(&random), &class);
	assert_in_range(strangers, 16, 128); /* 64 expected: 32 fingerprints of 2048 */
}

/* At any size, powers of two and others: what was remembered still is after growing; most of it
 * after shrinking and growing again. */
static void ghosts_survive_growing(void **state) {
	(void)state;
	uint64_t seed = test_environment_number("SNUG_SEED", 5);
	for (uint32_t grains = 1; grains < 8; grains++) {
		struct ghosts ghosts = ghosts_of(1);
		remember(&ghosts, seed, 400);
		while (ghosts_bytes(&ghosts) < grains * GHOST_GRAIN_BYTES) ghosts_grow(&ghosts);
		assert_int_equal(recall(&ghosts, seed, 400), 400);
		remember(&ghosts, seed, 400);
		ghosts_grow(&ghosts);
		ghosts_shrink(&ghosts);
		assert_true(recall(&ghosts, seed, 400) >= 400 - 400 / grains);
	}
}

static void ghosts_follow_the_objects(void **state) {
	(void)state;
	uint64_t limit_bytes = (uint64_t)8 * GHOST_GRAIN_BYTES * GHOST_SHARE;
	struct ghosts ghosts = ghosts_of(0);
	assert_int_equal(ghosts_fit(&ghosts, limit_bytes, GRAIN_GHOSTS - 1), GHOSTS_FIT);
	assert_int_equal(ghosts_fit(&ghosts, limit_bytes, GRAIN_GHOSTS), GHOSTS_GROW);
	assert_int_equal(ghosts_fit(&ghosts, GHOST_GRAIN_BYTES * GHOST_SHARE - 1, GRAIN_GHOSTS),
					 GHOSTS_FIT);
	ghosts = ghosts_of(8);
	assert_int_equal(ghosts_fit(&ghosts, limit_bytes, 100 * GRAIN_GHOSTS),
					 GHOSTS_FIT); /* as many as the limit allows */
	assert_int_equal(ghosts_fit(&ghosts, limit_bytes / 2, 8 * GRAIN_GHOSTS), GHOSTS_SHRINK);
	assert_int_equal(ghosts_fit(&ghosts, limit_bytes, 7 * GRAIN_GHOSTS), GHOSTS_FIT);
	assert_int_equal(ghosts_fit(&ghosts, limit_bytes, 5 * GRAIN_GHOSTS), GHOSTS_SHRINK);
}

static void ghosts_of_a_small_cache_are_none(void **state) {
	(void)state;
	struct ghosts ghosts;
	uint32_t class;
	assert_int_equal(ghosts_most_bytes(1000), 0);
	assert_int_equal(ghosts_most_bytes(UINT64_C(64) << 20), 512 << 10);
	ghosts_init(&ghosts, NULL);
	assert_int_equal(ghosts_fit(&ghosts, UINT64_MAX, UINT64_MAX), GHOSTS_FIT);
	ghosts_remember(&ghosts, 1, 1);
	assert_false(ghosts_recall(&ghosts, 1, &class));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_meta_keeps_to_its_bits),
		cmocka_unit_test(age_is_counted_in_sixteenths_of_the_limit),
		cmocka_unit_test(a_settled_meta_never_looks_young),
		cmocka_unit_test(the_prior_is_sensible),
		cmocka_unit_test(a_loop_is_learnt),
		cmocka_unit_test(a_scan_is_learnt),
		cmocka_unit_test(a_period_without_a_census_teaches_nothing),
		cmocka_unit_test(a_new_limit_changes_the_clock),
		cmocka_unit_test(candidates_are_the_worst_offered),
		cmocka_unit_test(a_place_is_a_candidate_once),
		cmocka_unit_test(ghosts_are_recalled_once),
		cmocka_unit_test(full_ghosts_forget),
		cmocka_unit_test(ghosts_survive_growing),
		cmocka_unit_test(ghosts_follow_the_objects),
		cmocka_unit_test(ghosts_of_a_small_cache_are_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
