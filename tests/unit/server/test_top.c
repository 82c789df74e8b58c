/* test_top.c: who has most, against a naive count of all, and keys that are sampled as they are asked
 * for. */
#include "server/figures/hot_keys.h"
#include "support/test_random.h"
#include "unit/cmocka_all.h"
#include "work/key_hash.h"

#include <stdio.h>
#include <string.h>

#define NAMES 5000u
#define ROOM 64u

static uint64_t naive[NAMES], naive_count[NAMES];
static struct top_slot slots[ROOM];

static size_t name_of(uint32_t number, char name[TOP_NAME_BYTES]) {
	memset(name, 'x', TOP_NAME_BYTES);
	size_t length = number % 7 == 0 ? TOP_NAME_BYTES : 8 + number % 20;
	(void)snprintf(name, 8, "%07u", number);
	name[7] = (char)number; /* binary, and a NUL now and then */
	return length;
}

static void add(struct top *top, uint32_t number, uint64_t weight) {
	char name[TOP_NAME_BYTES];
	size_t length = name_of(number, name);
	naive[number] += weight;
	naive_count[number]++;
	top_add(top, name, length, key_hash(name, length), weight, 0, 1);
}

static uint32_t number_of(const struct top_slot *slot) {
	uint32_t number = 0;
	for (int i = 0; i < 7; i++) number = number * 10 + (uint32_t)(slot->name[i] - '0');
	return number;
}

/* The law, of each name that has a slot and of all that have none. */
static void assert_law(const struct top *top) {
	static bool is_there[NAMES];
	memset(is_there, 0, sizeof is_there);
	for (uint32_t i = 0; i < top->count; i++) {
		const struct top_slot *slot = &top->slot[i];
		uint32_t number = number_of(slot);
		char name[TOP_NAME_BYTES];
		assert_int_equal(slot->length, name_of(number, name));
		assert_memory_equal(slot->name, name, slot->length);
		assert_false(is_there[number]);
		is_there[number] = true;
		assert_true(slot->weight - slot->error <= naive[number] && naive[number] <= slot->weight);
		assert_true(slot->count <= naive_count[number]);
	}
	for (uint32_t number = 0; number < NAMES; number++)
		if (!is_there[number]) assert_true(naive[number] <= top_missing(top));
}

static int begin(void **state) {
	(void)state;
	memset(naive, 0, sizeof naive);
	memset(naive_count, 0, sizeof naive_count);
	return 0;
}

static void test_few_names_are_exact(void **state) {
	struct top top;
	uint16_t order[ROOM];
	(void)state;
	top_init(&top, slots, ROOM);
	assert_int_equal(top_order(&top, order, ROOM), 0);
	for (uint32_t i = 0; i < 10000; i++) add(&top, i * i % ROOM, i);
	assert_int_equal(top_missing(&top), 0);
	for (uint32_t i = 0; i < top.count; i++) {
		assert_int_equal(slots[i].weight, naive[number_of(&slots[i])]);
		assert_int_equal(slots[i].error, 0);
		assert_int_equal(slots[i].count, naive_count[number_of(&slots[i])]);
	}
	uint32_t told = top_order(&top, order, 5);
	assert_int_equal(told, 5);
	for (uint32_t i = 1; i < told; i++)
		assert_true(slots[order[i - 1]].weight >= slots[order[i]].weight);
	assert_int_equal(top_order(&top, order, 0), 0);
}

/* Half of all weight is that of ten names; the rest never come again. */
static void test_many_names_keep_the_law(void **state) {
	struct top top;
	uint16_t order[10];
	test_random random = {7};
	(void)state;
	top_init(&top, slots, ROOM);
	for (uint32_t i = 0; i < 100000; i++) {
		bool is_heavy = test_random_below(&random, 2) == 0;
		uint32_t number = is_heavy ? (uint32_t)test_random_below(&random, 10)
								   : 10 + (uint32_t)test_random_below(&random, NAMES - 10);
		add(&top, number, 1 + test_random_below(&random, 100));
		if (i % 10000 == 0) assert_law(&top);
	}
	assert_law(&top);
	assert_int_equal(top_order(&top, order, 10), 10);
	for (uint32_t i = 0; i < 10; i++) assert_true(number_of(&slots[order[i]]) < 10);
}

static void test_halves(void **state) {
	struct top top;
	(void)state;
	top_init(&top, slots, ROOM);
	for (uint32_t i = 0; i < 3000; i++) add(&top, i % 200, 1 + i % 3);
	uint64_t least = top_missing(&top);
	top_halve(&top);
	assert_int_equal(top_missing(&top), least - least / 2);
	for (uint32_t i = 0; i < 1000; i++)
		add(&top, i % 300, UINT64_MAX / 2); /* it stops at the end */
	for (uint32_t i = 0; i < ROOM; i++) assert_true(slots[i].error <= slots[i].weight);
}

static struct hot_keys hot;

static void test_a_small_worker_keeps_fewer_keys(void **state) {
	(void)state;
	assert_int_equal(hot_keys_slots(64 << 20), HOT_KEYS_SLOTS_MAX);
	assert_int_equal(hot_keys_slots(0), 1);
	for (uint64_t limit_bytes = 256 << 10; limit_bytes <= 64 << 20; limit_bytes += 100 << 10) {
		uint32_t count = hot_keys_slots(limit_bytes);
		assert_true((count & (count - 1)) == 0 && count <= HOT_KEYS_SLOTS_MAX);
		assert_true(count * sizeof(struct top_slot) <= limit_bytes / HOT_KEYS_SHARE);
	}
}

/* One key has a fifth of all commands, in any pattern of the others. */
static void test_hot_keys_are_those_that_are_asked_for(void **state) {
	test_random random = {11};
	uint16_t order[1];
	char name[16];
	(void)state;
	hot_keys_init(&hot, slots, ROOM);
	uint64_t commands = 0;
	for (uint32_t i = 0; i < 2000000; i++) {
		bool is_hot = i % 5 == 0;
		int length = snprintf(name, sizeof name, "%s%u", is_hot ? "hot" : "cold",
							  is_hot ? 0 : (uint32_t)test_random_below(&random, 100000));
		struct operation operation = {.kind = is_hot ? OPERATION_STORE : OPERATION_GET};
		operation.key = (snug_key){name, (size_t)length, key_hash(name, (size_t)length)};
		hot_keys_note(&hot, &operation);
		commands++;
	}
	/* all are measured here: of 33 / 2 one is a sample */
	double expected = (double)commands / ((HOT_KEYS_DRAWN + 1) / 2.0), samples = 0;
	assert_true(hot.samples <= HOT_KEYS_SAMPLES);
	for (uint32_t i = 0; i < hot.top.count; i++) samples += (double)slots[i].weight;
	assert_true(expected > HOT_KEYS_SAMPLES && samples > HOT_KEYS_SAMPLES / 2.0);
	assert_int_equal(top_order(&hot.top, order, 1), 1);
	const struct top_slot *first = &slots[order[0]];
	assert_memory_equal(first->name, "hot0", 4);
	double share = (double)(first->weight - first->error) / (double)hot.samples;
	assert_true(share > .17 && share < .23);
	assert_true(first->count > first->weight - first->error - 20); /* all of them stores */
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_few_names_are_exact, begin),
		cmocka_unit_test_setup(test_many_names_keep_the_law, begin),
		cmocka_unit_test_setup(test_halves, begin),
		cmocka_unit_test(test_a_small_worker_keeps_fewer_keys),
		cmocka_unit_test(test_hot_keys_are_those_that_are_asked_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
