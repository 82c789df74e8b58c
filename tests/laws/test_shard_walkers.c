/* test_shard_walkers.c: the laws that snug_shard_check walks beside those of the heap, each proved
 * by breaking it: one field or byte is changed, the check must answer with the law's number, the
 * change is undone, and all is well again. */
#include "cache/shard/shard_find.h"
#include "support/require.h"
#include "support/test_secret.h"
#include "unit/cmocka_all.h"

#include <stdio.h>

#define ITEMS 3000u

static snug_shard *shard;

static snug_key key_of(uint32_t number) {
	static char text[16];
	return snug_shard_key(text, (size_t)snprintf(text, sizeof text, "key%u", number));
}

static int open_shard(void **state) {
	(void)state;
	snug_shard_options options = snug_shard_options_default();
	char value[400] = {0};
	options.heap.limit_bytes = (size_t)4 << 20;
	REQUIRE_OK(snug_shard_create(&options, &shard));
	for (uint32_t i = 0; i < ITEMS; i++) {
		snug_key key = key_of(i);
		snug_attributes attributes = {.client_flags = i % 2,
									  .expires_at_s = i % 3 == 0 ? UINT32_MAX : 0};
		REQUIRE_OK(snug_shard_set(shard, &key, &attributes, value, i % sizeof value));
	}
	REQUIRE_OK(snug_shard_check(shard, NULL));
	return 0;
}

static int close_shard(void **state) {
	(void)state;
	REQUIRE_OK(snug_shard_destroy(shard));
	return 0;
}

static snug_error check_in_slices(snug_check_result *wrong) {
	bool done = false;
	REQUIRE_OK(snug_shard_check_begin(shard));
	while (!done) REQUIRE_OK(snug_shard_check_step(shard, 1, &done));
	return snug_shard_check_end(shard, wrong);
}

static void require_law(const char *law) {
	snug_check_result wrong;
	REQUIRE_ERROR(SNUG_ERROR_CORRUPT, snug_shard_check(shard, &wrong));
	REQUIRE(strcmp(wrong.law, law) == 0, "law %s (%s), not %s", wrong.law, wrong.message, law);
	wrong.law[0] = '\0';
	REQUIRE_ERROR(SNUG_ERROR_CORRUPT, check_in_slices(&wrong));
	REQUIRE(strcmp(wrong.law, law) == 0, "in slices: law %s (%s), not %s", wrong.law, wrong.message,
			law);
}

static void require_well(void) {
	REQUIRE_OK(check_in_slices(NULL));
	REQUIRE_OK(snug_shard_check(shard, NULL));
}

static uint64_t *entry_of(uint32_t number) {
	snug_key key = key_of(number);
	struct probe probe;
	struct item_head head;
	REQUIRE(shard_look_up(shard, &key, &probe, &head), "key %u is lost", number);
	return probe.entry;
}

static void k1_an_entry_names_the_item_of_its_key(void **state) {
	(void)state;
	for (uint32_t i = 0; i < 40; i++) {
		uint64_t *entry = entry_of(i), before = *entry;
		unsigned char *item = snug_ref_at(shard->heap, entry_ref(before));
		struct item_head head = item_read(item);
		unsigned char *key = item + head.head_bytes, length = item[1];
		*entry = before ^ (uint64_t)1 << TAG_SHIFT;
		require_law("K1");
		*entry = before;
		key[0] ^= 1;
		require_law("K1");
		key[0] ^= 1;
		item[1] = 0;
		require_law("K1");
		item[1] = length;
		*entry = entry_with_ref(before, entry_ref(*entry_of(i + 100)));
		require_law("K1");
		*entry = before;
		require_well();
	}
}

static void k1_nothing_expires_before_the_earliest(void **state) {
	(void)state;
	snug_key key = key_of(0);
	snug_attributes attributes = {.expires_at_s = UINT32_MAX - 1};
	REQUIRE_OK(snug_shard_set(shard, &key, &attributes, "x", 1));
	require_well();
	shard->earliest_s++;
	require_law("K1");
	shard->earliest_s--;
	require_well();
}

static void k2_items_are_counted(void **state) {
	(void)state;
	uint64_t *const counts[] = {&shard->live.items, &shard->live.bytes, &shard->linked,
								&shard->expiring};
	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
		++*counts[i];
		require_law("K2");
		--*counts[i];
		require_well();
	}
}

static void k2_the_heap_holds_nothing_else(void **state) {
	(void)state;
	snug_ref ref;
	REQUIRE_OK(snug_ref_alloc(shard->heap, 20, &ref));
	memset(snug_ref_at(shard->heap, ref), 0, 20);
	((char *)snug_ref_at(shard->heap, ref))[1] = 17; /* so that its size can be told */
	require_law("K2");
	REQUIRE_OK(snug_ref_free(shard->heap, ref, 20));
	require_well();
	snug_key key = key_of(1);
	snug_lease lease;
	REQUIRE_OK(snug_shard_reserve(shard, &key, 20, &lease));
	require_well();
	shard->stats.leases--;
	require_law("K2");
	shard->stats.leases++;
	snug_shard_release(shard, &lease);
	require_well();
}

static void k2_what_the_index_has_taken_is_charged(void **state) {
	(void)state;
	size_t bytes = index_committed_bytes(&shard->index);
	REQUIRE(bytes > 0, "an index without memory");
	REQUIRE_OK(snug_heap_discharge(shard->heap, bytes));
	require_law("K2");
	REQUIRE_OK(snug_heap_charge(shard->heap, bytes));
	require_well();
}

/* The items are counted exactly, though the index grows and shrinks, and items come, go, grow and
 * are flushed between the steps. */
static void a_check_in_slices_counts_what_changes(void **state) {
	(void)state;
	char value[300] = {0};
	uint32_t random = 1, rounds = 0;
	uint64_t checks = 0;
	for (uint32_t target = 1000; rounds < 12; rounds++, target = rounds % 2 == 0 ? 1000 : 9000) {
		bool done = false, is_wrong = rounds >= 9;
		REQUIRE_OK(snug_shard_check_begin(shard));
		for (uint32_t step = 0; !done; step++) {
			REQUIRE_OK(snug_shard_check_step(shard, 1, &done));
			for (uint32_t i = 0; i < 40 && !done; i++) {
				random = random * 1664525 + 1013904223;
				snug_key key = key_of((random >> 8) % 10000);
				snug_attributes attributes = {.expires_at_s = random % 5 == 0 ? UINT32_MAX : 0};
				if ((random >> 8) % 10000 < target)
					REQUIRE_OK(snug_shard_set(shard, &key, &attributes, value,
											  (random >> 16) % sizeof value));
				else
					(void)!snug_shard_delete(shard, &key);
			}
			(void)snug_shard_maintain(shard);
			if (rounds == 5 && step == 40) snug_shard_flush(shard, 0);
			if (is_wrong && step == 50) shard->live.items++;
			checks++;
		}
		snug_check_result wrong = {"", ""};
		snug_error error = snug_shard_check_end(shard, &wrong);
		if (is_wrong) {
			shard->live.items--;
			REQUIRE(error == SNUG_ERROR_CORRUPT && strcmp(wrong.law, "K2") == 0,
					"an item too many was not seen");
		} else {
			REQUIRE(error == SNUG_OK, "round %u: law %s: %s", rounds, wrong.law, wrong.message);
		}
	}
	REQUIRE(checks > 1000, "hardly a slice");
	require_well();
}

/* However often one flushes, with stores in between or without: it takes no longer, for what is
 * dead is removed beside serving. The last case, for nothing is left. */
static void flushing_removes_a_bucket_at_most(void **state) {
	(void)state;
	snug_item item;
	for (uint32_t i = 0; i < 20; i++) {
		snug_key key = key_of(i);
		REQUIRE_OK(snug_shard_set(shard, &key, NULL, "x", 1));
		uint64_t linked = shard->linked;
		snug_shard_flush(shard, 0);
		REQUIRE(linked - shard->linked <= 4 * BUCKET_ENTRIES, "a flush removed items");
		REQUIRE(shard->live.items == 0, "%llu items", (unsigned long long)shard->live.items);
		REQUIRE_ERROR(SNUG_ERROR_NOT_FOUND, snug_shard_find(shard, &key, &item));
		require_well();
	}
	REQUIRE(shard->linked > 100, "nothing was left to be swept");
	while (shard->linked > 0) (void)snug_shard_maintain(shard);
	require_well();
}

int main(void) {
	test_set_secret(1);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(k1_an_entry_names_the_item_of_its_key),
		cmocka_unit_test(k1_nothing_expires_before_the_earliest),
		cmocka_unit_test(k2_items_are_counted),
		cmocka_unit_test(k2_the_heap_holds_nothing_else),
		cmocka_unit_test(k2_what_the_index_has_taken_is_charged),
		cmocka_unit_test(a_check_in_slices_counts_what_changes),
		cmocka_unit_test(flushing_removes_a_bucket_at_most),
	};
	return cmocka_run_group_tests_name("shard_walkers", tests, open_shard, close_shard);
}
