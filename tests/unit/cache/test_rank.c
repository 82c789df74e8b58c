/* test_rank.c: the eviction's parts: bits of an entry, learning, candidates, ghosts. */
#include "cache/rank/candidates.h"
#include "cache/rank/ghosts.h"
#include "cache/rank/newcomers.h"
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
								test_random_below(&random, 1000), TICK_BYTES / 3, 5);
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

/* The interval of what comes back is that it was away: after an eighth of a turnover, and later. */
static void who_was_away_longer_comes_back_with_a_longer_interval(void **state) {
	(void)state;
	static const struct {
		uint64_t evictions;
		uint32_t class;
	} cases[] = {{0, 11},    {125, 11},  {500, 12},  {1499, 12}, {1500, 13},
				 {3499, 13}, {3500, 14}, {7499, 14}, {7500, 15}, {UINT32_MAX, 15}};
	struct rank rank;
	rank_init(&rank, LIMIT_BYTES, 1);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		rank_meta meta = rank_readmit(&rank, 0, cases[i].evictions, 1, 1000);
		assert_int_equal(rank_class(meta), cases[i].class);
	}
	(void)rank_readmit(&rank, 31, 1, 1, 0); /* of none: no division by zero */
}

/* Passing is seeing, settling and scoring. */
static void to_pass_is_all_three(void **state) {
	(void)state;
	struct rank rank, twin;
	rank_init(&rank, LIMIT_BYTES, 1);
	pass_ticks(&rank, 200);
	for (uint32_t bits = 0; bits < 1u << RANK_META_BITS; bits++) {
		rank_meta meta = (rank_meta)bits, settled = rank_settle(&rank, meta);
		twin = rank;
		rank_see(&twin, settled);
		float value = rank_pass(&rank, &meta);
		assert_int_equal(meta, settled);
		assert_true(value == rank_score(&twin, settled, 1));
		assert_memory_equal(&rank, &twin, sizeof rank);
	}
}

static void age_classes_are_two_to_a_power_of_two(void **state) {
	(void)state;
	uint32_t class = 0;
	for (uint32_t age = 0; age < 128; age++) {
		uint32_t power = 1;
		while (2 * power <= age) power *= 2;
		bool begins = age < 4 || age == power || 2 * age == 3 * power;
		if (age > 0 && begins) class ++;
		assert_int_equal(rank_age_classes[age], class);
	}
	assert_int_equal(class, RANK_AGES - 1);
}

/* Against a list of all offers. */
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
			candidates_offer(&candidates, (struct candidate){i, i * 3}, score_of_place[i]);
		}
		assert_int_equal(candidates.count, offers < CANDIDATES_MAX ? offers : CANDIDATES_MAX);
		struct candidate taken;
		while (candidates_take(&candidates, &taken)) {
			assert_int_equal(taken.entry, taken.place * 3);
			assert_true(offered[taken.place]);
			offered[taken.place] = false;
			uint32_t less = 0; /* that were offered and not taken */
			for (uint64_t i = 0; i < offers; i++)
				less += offered[i] && score_of_place[i] < score_of_place[taken.place];
			assert_int_equal(less, 0);
		}
	}
}

/* Taking makes room for the next offers, whatever they are worth; so does forgetting. */
static void candidates_are_filled_again(void **state) {
	(void)state;
	struct candidates candidates = {.count = 0};
	struct candidate taken;
	for (uint64_t i = 0; i < 20; i++)
		candidates_offer(&candidates, (struct candidate){i, 1}, (float)i);
	assert_true(candidates_take(&candidates, &taken));
	assert_int_equal(taken.place, 0);
	candidates_offer(&candidates, (struct candidate){99, 1}, 1e30f);
	candidates_offer(&candidates, (struct candidate){98, 1}, 0);
	assert_int_equal(candidates.count, CANDIDATES_MAX);
	assert_true(candidates_take(&candidates, &taken));
	assert_int_equal(taken.place, 98);
	candidates_forget(&candidates);
	assert_false(candidates_take(&candidates, &taken));
	candidates_offer(&candidates, (struct candidate){97, 1}, 1e30f);
	assert_true(candidates_take(&candidates, &taken));
	assert_int_equal(taken.place, 97);
}

static void a_newcomer_is_told_when_sixteen_have_come(void **state) {
	(void)state;
	struct newcomers newcomers = {.next = 0};
	for (uint64_t i = 1; i <= 100; i++) {
		uint64_t oldest = newcomers_oldest(&newcomers);
		assert_int_equal(oldest, i > NEWCOMERS ? i - NEWCOMERS : 0);
		assert_int_equal(newcomers_add(&newcomers, i), oldest);
	}
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
		struct recalled known = {.class = 99};
		if (!ghosts_recall(ghosts, test_random_next(&random), &known)) continue;
		recalled += known.class == i % 32;
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
	struct recalled known;
	uint32_t strangers = 0;
	remember(&ghosts, seed, 16 * GRAIN_GHOSTS);
	for (uint32_t i = 0; i < 4096; i++)
		strangers += ghosts_recall(&ghosts, test_random_next(&random), &known);
	assert_in_range(strangers, 16, 128); /* 64 expected: 32 fingerprints of 2048 */
}

/* Of a set's ghosts the oldest is forgotten, and each tells how many came after it. */
static void a_ghost_knows_how_long_ago(void **state) {
	(void)state;
	struct ghosts ghosts = ghosts_of(1);
	struct recalled known;
	for (uint64_t i = 0; i < 40; i++) ghosts_remember(&ghosts, (i + 1) << 56, 7);
	for (uint64_t i = 0; i < 8; i++) assert_false(ghosts_recall(&ghosts, (i + 1) << 56, &known));
	/* in the middle first: what lies behind it moves up */
	assert_true(ghosts_recall(&ghosts, UINT64_C(30) << 56, &known));
	assert_int_equal(known.evictions, 10 * ghosts.sets);
	assert_true(ghosts_recall(&ghosts, UINT64_C(9) << 56, &known));
	assert_int_equal(known.evictions, 30 * ghosts.sets);
	assert_true(ghosts_recall(&ghosts, UINT64_C(40) << 56, &known));
	assert_int_equal(known.evictions, 0);
	assert_int_equal(known.class, 7);
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
	assert_int_equal(ghosts_fit(&ghosts, limit_bytes, GRAIN_GHOSTS / 2 / GHOSTS_PER_ITEM_MAX - 1),
					 GHOSTS_FIT);
	assert_int_equal(ghosts_fit(&ghosts, limit_bytes, GRAIN_GHOSTS / 2 / GHOSTS_PER_ITEM_MAX),
					 GHOSTS_GROW);
	assert_int_equal(ghosts_fit(&ghosts, GHOST_GRAIN_BYTES * GHOST_SHARE - 1, GRAIN_GHOSTS),
					 GHOSTS_FIT);
	ghosts = ghosts_of(8);
	assert_int_equal(ghosts_fit(&ghosts, limit_bytes, 100 * GRAIN_GHOSTS),
					 GHOSTS_FIT); /* as many as the limit allows */
	assert_int_equal(ghosts_fit(&ghosts, limit_bytes / 2, 8 * GRAIN_GHOSTS), GHOSTS_SHRINK);
	assert_int_equal(ghosts_fit(&ghosts, limit_bytes, 7 * GRAIN_GHOSTS), GHOSTS_FIT);
	assert_int_equal(ghosts_fit(&ghosts, limit_bytes, 5 * GRAIN_GHOSTS), GHOSTS_SHRINK);
}

/* Four of them for a large object, one for a small one; and what it has shrunk to is known. */
static void large_objects_have_more_ghosts(void **state) {
	(void)state;
	uint64_t limit_bytes = UINT64_C(64) << 20;
	uint64_t spare = limit_bytes / GHOST_SPARE_SHARE / sizeof(ghost);
	assert_int_equal(ghosts_wanted(limit_bytes, 1000), 4000);
	assert_int_equal(ghosts_wanted(limit_bytes, spare / 2), spare);
	assert_int_equal(ghosts_wanted(limit_bytes, 3 * spare), 3 * spare);
	for (uint64_t items = 0; items < 3 * spare; items += 997) {
		struct ghosts ghosts = {.table = ghost_memory, .sets = UINT64_C(1) << 20};
		while (ghosts_fit(&ghosts, limit_bytes, items) == GHOSTS_SHRINK) ghosts_shrink(&ghosts);
		assert_true(ghosts_bytes(&ghosts) <= ghosts_kept_bytes(limit_bytes, items));
	}
}

static void ghosts_of_a_small_cache_are_none(void **state) {
	(void)state;
	struct ghosts ghosts;
	struct recalled known;
	assert_int_equal(ghosts_most_bytes(1000), 0);
	assert_int_equal(ghosts_most_bytes(UINT64_C(64) << 20), 512 << 10);
	ghosts_init(&ghosts, NULL);
	assert_int_equal(ghosts_fit(&ghosts, UINT64_MAX, UINT64_MAX), GHOSTS_FIT);
	ghosts_remember(&ghosts, 1, 1);
	assert_false(ghosts_recall(&ghosts, 1, &known));
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
		cmocka_unit_test(who_was_away_longer_comes_back_with_a_longer_interval),
		cmocka_unit_test(to_pass_is_all_three),
		cmocka_unit_test(age_classes_are_two_to_a_power_of_two),
		cmocka_unit_test(candidates_are_the_worst_offered),
		cmocka_unit_test(candidates_are_filled_again),
		cmocka_unit_test(a_newcomer_is_told_when_sixteen_have_come),
		cmocka_unit_test(a_ghost_knows_how_long_ago),
		cmocka_unit_test(large_objects_have_more_ghosts),
		cmocka_unit_test(ghosts_are_recalled_once),
		cmocka_unit_test(full_ghosts_forget),
		cmocka_unit_test(ghosts_survive_growing),
		cmocka_unit_test(ghosts_follow_the_objects),
		cmocka_unit_test(ghosts_of_a_small_cache_are_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
