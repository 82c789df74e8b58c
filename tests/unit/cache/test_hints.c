/* test_hints.c: the board on which readers tell a shard's owner what was used: how much it takes
 * before he looks, and that he finds all of it. */
#include "cache/shard/shard_hints.h"

#include "cache/shard/shard_state.h"
#include "unit/cmocka_all.h"

#include <stdio.h>

#define FIRSTS (HINTS - HINTS_SAMPLED)

struct scene {
	snug_shard *shard;
	struct hint_lots lots;
	snug_key key[HINTS + 1];
	char name[HINTS + 1][8];
};

static struct scene scene;

static void begin(void) {
	snug_shard_options options = snug_shard_options_default();
	snug_attributes attributes = {0};
	options.heap.limit_bytes = (size_t)16 << 20;
	assert_int_equal(snug_shard_create(&options, &scene.shard), SNUG_OK);
	hint_lots_init(&scene.lots, 0);
	for (uint32_t i = 0; i <= HINTS; i++) {
		int length = snprintf(scene.name[i], sizeof scene.name[i], "key %u", i);
		scene.key[i] = snug_shard_key(scene.name[i], (size_t)length);
		assert_int_equal(snug_shard_set(scene.shard, &scene.key[i], &attributes, "value", 5),
						 SNUG_OK);
	}
}

static void end(void) {
	assert_int_equal(snug_shard_destroy(scene.shard), SNUG_OK);
}

static bool post(uint32_t number, bool is_first) {
	struct hint_use use = {.hash = scene.key[number].hash, .is_first = is_first};
	struct hint *hint = hint_claim(scene.shard, 0, &scene.lots, is_first);
	if (hint != NULL) hint_post(scene.shard, hint, 0, &scene.lots, &use);
	return hint != NULL;
}

static bool is_fetched(uint32_t number) {
	snug_item item;
	assert_int_equal(snug_shard_find(scene.shard, &scene.key[number], &item), SNUG_OK);
	return item.was_fetched;
}

static uint32_t fetched_before(uint32_t number) {
	uint32_t count = 0;
	for (uint32_t i = 0; i < number; i++) count += is_fetched(i);
	return count;
}

/* Each place takes one, on whatever line, and nothing is taken twice. */
static void first_fetches_have_all_places_but_some(void **state) {
	(void)state;
	begin();
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < FIRSTS; i++) assert_true(post(i, true));
		assert_false(post(FIRSTS, true));
		shard_take_hints(scene.shard);
		assert_int_equal(fetched_before(FIRSTS), FIRSTS);
		assert_false(is_fetched(FIRSTS));
		assert_int_equal(atomic_load(&scene.shard->hints.posted), 0);
	}
	end();
}

/* What may be left out has the others, and takes none of those: what found no place counts with the
 * next one that does. */
static void what_may_be_left_out_takes_no_place_of_theirs(void **state) {
	(void)state;
	begin();
	uint32_t told = 0;
	for (uint32_t i = 0; i < HINTS; i++) told += post(i, false);
	assert_in_range(told, HINTS_SAMPLED / 2, HINTS_SAMPLED);
	for (uint32_t i = 0; i < FIRSTS; i++) assert_true(post(i, true));
	shard_take_hints(scene.shard); /* all of these, and some of those */
	assert_int_equal(fetched_before(FIRSTS), FIRSTS);
	for (uint32_t turn = 0; turn < HINTS && atomic_load(&scene.shard->hints.posted) != 0; turn++)
		shard_take_hints(scene.shard);
	assert_int_equal(atomic_load(&scene.shard->hints.posted), 0);
	assert_false(is_fetched(HINTS));
	end();
}

/* Whose key is not there any more is passed over. */
static void what_is_gone_is_passed_over(void **state) {
	(void)state;
	begin();
	assert_true(post(1, true));
	assert_true(post(2, true));
	assert_int_equal(snug_shard_delete(scene.shard, &scene.key[1]), SNUG_OK);
	shard_take_hints(scene.shard);
	assert_true(is_fetched(2));
	assert_int_equal(fetched_before(1) + is_fetched(3), 0);
	end();
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_fetches_have_all_places_but_some),
		cmocka_unit_test(what_may_be_left_out_takes_no_place_of_theirs),
		cmocka_unit_test(what_is_gone_is_passed_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
