/* test_idle.c: since when an item has not been used: to the second for what was used last, in a
 * cache whose eviction clock stands. */
#include "unit/cmocka_all.h"

#include <snug/shard.h>
#include <stdio.h>
#include <string.h>

#define BEGIN_S 1700000000

static int64_t wall_s;

static int64_t now_s(void *context) {
	(void)context;
	return wall_s;
}

static snug_shard *begin(void) {
	snug_shard_options options = snug_shard_options_default();
	snug_shard *shard;
	wall_s = BEGIN_S;
	options.heap.limit_bytes = (size_t)16 << 20;
	options.now_s = now_s;
	assert_int_equal(snug_shard_create(&options, &shard), SNUG_OK);
	return shard;
}

static void store(snug_shard *shard, const char *name, size_t length) {
	static const char value[64];
	snug_attributes attributes = {0};
	snug_key key = snug_shard_key(name, strlen(name));
	assert_int_equal(snug_shard_set(shard, &key, &attributes, value, length), SNUG_OK);
}

/* Without using it. */
static uint32_t idle_s(snug_shard *shard, const char *name) {
	snug_item item;
	snug_key key = snug_shard_key(name, strlen(name));
	assert_int_equal(snug_shard_find(shard, &key, &item), SNUG_OK);
	return item.idle_s;
}

/* As it was before it was used now. */
static uint32_t get(snug_shard *shard, const char *name) {
	snug_item item;
	snug_key key = snug_shard_key(name, strlen(name));
	assert_int_equal(snug_shard_get(shard, &key, &item), SNUG_OK);
	return item.idle_s;
}

static void begins_anew_with_each_use(void **state) {
	(void)state;
	snug_shard *shard = begin();
	store(shard, "a", 5);
	store(shard, "b", 5);
	wall_s += 2;
	assert_int_equal(idle_s(shard, "a"), 2);
	assert_int_equal(get(shard, "a"), 2);
	assert_int_equal(get(shard, "a"), 0);
	wall_s += 1000;
	assert_int_equal(idle_s(shard, "a"), 1000);
	assert_int_equal(idle_s(shard, "b"), 1002);
	store(shard, "b", 5); /* in its place */
	assert_int_equal(idle_s(shard, "b"), 0);
	wall_s += 3;
	store(shard, "b", 60);
	assert_int_equal(idle_s(shard, "b"), 0);
	assert_int_equal(idle_s(shard, "a"), 1003);
	wall_s -= 5; /* the clock was set back */
	assert_int_equal(idle_s(shard, "b"), 0);
	assert_int_equal(snug_shard_destroy(shard), SNUG_OK);
}

/* A CAS number is added to an item: that is no use. */
static void what_is_no_use_begins_nothing(void **state) {
	(void)state;
	snug_shard *shard = begin();
	snug_item item;
	snug_key key = snug_shard_key("a", 1);
	uint64_t cas;
	store(shard, "a", 5);
	wall_s += 7;
	assert_int_equal(snug_shard_find(shard, &key, &item), SNUG_OK);
	assert_int_equal(snug_shard_cas(shard, &key, &item, &cas), SNUG_OK);
	assert_int_equal(idle_s(shard, "a"), 7);
	assert_int_equal(snug_shard_destroy(shard), SNUG_OK);
}

/* Whoever is not among the last is told by the eviction's clock: at least as long as it is. */
static void is_never_told_too_short(void **state) {
	(void)state;
	enum { KEYS = 5000 };
	snug_shard *shard = begin();
	static uint8_t used_s[KEYS];
	char name[16];
	uint32_t exact = 0;
	for (uint32_t i = 0; i < KEYS; i++) {
		wall_s = BEGIN_S + i / 50;
		used_s[i] = (uint8_t)(i / 50);
		(void)snprintf(name, sizeof name, "key%u", i);
		store(shard, name, 5);
	}
	wall_s = BEGIN_S + 100;
	for (uint32_t i = 0; i < KEYS; i++) {
		(void)snprintf(name, sizeof name, "key%u", i);
		uint32_t told_s = idle_s(shard, name);
		assert_in_range(told_s, 100u - used_s[i], 100);
		exact += told_s == 100u - used_s[i];
	}
	assert_in_range(exact, 100, KEYS); /* some 512 places, and those of the first second */
	assert_int_equal(snug_shard_destroy(shard), SNUG_OK);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(begins_anew_with_each_use),
		cmocka_unit_test(what_is_no_use_begins_nothing),
		cmocka_unit_test(is_never_told_too_short),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
