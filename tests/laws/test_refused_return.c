/* test_refused_return.c: an OS that takes no memory back, from some moment on and for good.
 *
 * What is free stays room for objects, nothing is evicted that could not help, and each call ends.
 * What is not a slab (tables, what is charged) has what the limit still allows, and no more: that
 * answers OS_MEMORY. */
#include "herd.h"
#include "os/fake.h"
#include "support/require.h"
#include "unit/cmocka_all.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define HANG_S 60u /* a call that does not end */

static struct fake_os fake;

static void refuse_for_good(void) {
	fake.decommit.calls = 0;
	fake.decommit.fail_at = 1;
	fake.decommit.fail_onwards = true;
}

static void take_again(void) {
	fake.decommit.fail_at = 0;
}

static int open_os(void **state) {
	(void)state;
	alarm(HANG_S);
	fake_os_init(&fake);
	return 0;
}

static int close_os(void **state) {
	(void)state;
	alarm(0);
	REQUIRE(fake.mistakes == 0, "%s", fake.first_mistake);
	fake_os_deinit(&fake);
	return 0;
}

/* ------------------------------------------------------------------ the heap -------- */

static struct herd herd;

static void open_herd(const bool *by_reference) {
	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
								 .limit_bytes = MIB,
								 .page_bytes = 4096,
								 .os = &fake.os};
	herd_init(&herd, *by_reference, &options);
}

static void close_herd(void) {
	REQUIRE_OK(snug_check(herd.heap, NULL));
	herd_verify(&herd);
	herd_deinit(&herd);
}

static void a_charge_ends(void **state) {
	open_herd(*state);
	herd_fill(&herd, UINT64_MAX, 3900, 4000);
	refuse_for_good();
	herd_remove(&herd, 0);
	uint64_t moves = herd_stats(&herd).moves;
	REQUIRE_ERROR(SNUG_ERROR_OS_MEMORY, snug_heap_charge(herd.heap, 4096));
	REQUIRE(herd_stats(&herd).moves == moves, "moved for what moving can't give");
	REQUIRE(herd_stats(&herd).charged_bytes == 0, "charged, though refused");
	REQUIRE(fake.decommit.calls <= 2, "the OS was asked %llu times",
			(unsigned long long)fake.decommit.calls);
	REQUIRE_OK(herd_add(&herd, 3900));
	take_again();
	herd_remove(&herd, 1);
	REQUIRE_OK(snug_heap_charge(herd.heap, 4096));
	REQUIRE_OK(snug_heap_discharge(herd.heap, 4096));
	close_herd();
}

/* As often as one likes, and what was there fits again. */
static void free_pages_stay_room(void **state) {
	open_herd(*state);
	uint64_t first = herd_fill(&herd, UINT64_MAX, 500, 3000);
	refuse_for_good();
	for (int round = 0; round < 5; round++) {
		snug_report report = {0};
		snug_defragment_options options = snug_defragment_options_default();
		options.retain_bytes = 0;
		options.return_bytes = MIB / 2;
		herd_thin_out(&herd, 0, herd.count, 500);
		herd.may_move = true;
		REQUIRE_OK(snug_defragment(herd.heap, &options, &report));
		herd.may_move = false;
		REQUIRE(report.returned_bytes == 0 && report.returns_refused > 0, "it was returned");
		herd_fill(&herd, UINT64_MAX, 500, 3000);
		REQUIRE(herd.live_bytes > first - first / 20, "%llu bytes fit, then %llu",
				(unsigned long long)first, (unsigned long long)herd.live_bytes);
		REQUIRE_OK(snug_check(herd.heap, NULL));
	}
	close_herd();
}

static void ignore_move(void *context, snug_ref from, snug_ref to, size_t size) {
	(void)context;
	(void)from;
	(void)to;
	(void)size;
}

static snug_error add_to(snug_heap *heap, bool by_reference, size_t bytes, uint64_t *name) {
	snug_error error =
		by_reference ? snug_ref_alloc(heap, bytes, name) : snug_alloc(heap, bytes, name);
	REQUIRE(!error || error == SNUG_ERROR_OS_MEMORY || error == SNUG_ERROR_NO_MEMORY, "%s",
			snug_error_name(error));
	return error;
}

/* Slabs of more than 128 slots have a bitmap beside them. Where there is no memory for it, their
 * objects lie in larger slots, and no page is left over. */
static void pages_serve_without_bitmaps(void **state) {
	(void)state;
	snug_heap_options options = snug_heap_options_default();
	snug_heap *heap;
	uint64_t name;
	options.limit_bytes = 4 * MIB;
	options.page_bytes = 4096;
	options.populate = true;
	options.os = &fake.os;
	options.owner.moved = ignore_move;
	options.no_last_resort = true; /* as a cache's heap is */
	REQUIRE_OK(snug_heap_create(&options, &heap));
	snug_stats stats;
	REQUIRE_OK(snug_stats_get(heap, &stats));
	/* what metadata could grow into */
	REQUIRE_OK(
		snug_heap_charge(heap, stats.limit_bytes - stats.committed_bytes - stats.metadata_bytes));
	refuse_for_good();
	size_t count = 0;
	while (!add_to(heap, true, 8, &name)) count++;
	REQUIRE_OK(snug_stats_get(heap, &stats));
	REQUIRE(stats.free_page_bytes == 0, "%zu objects beside %llu free bytes", count,
			(unsigned long long)stats.free_page_bytes);
	REQUIRE_OK(snug_check(heap, NULL));
	REQUIRE_OK(snug_heap_destroy(heap));
}

/* Until a table can't grow: a typed error, and all of the pages are still room, for as many as
 * there are entries. */
static void tables_end_at_what_is_left(void **state) {
	static uint64_t names[2048], last[500];
	bool by_reference = *(const bool *)*state;
	snug_heap_options options = snug_heap_options_default();
	snug_heap *heap;
	uint64_t name;
	size_t first = 0, tiny = 0, second = 0;
	options.limit_bytes = MIB;
	options.page_bytes = 4096;
	options.os = &fake.os;
	if (by_reference) options.owner.moved = ignore_move;
	REQUIRE_OK(snug_heap_create(&options, &heap));
	while (!add_to(heap, by_reference, 3500, &names[first])) first++;
	snug_stats full, stats;
	REQUIRE_OK(snug_stats_get(heap, &full));
	for (size_t at = 0; at < first; at++) /* all of one size: none was moved */
		REQUIRE_OK(by_reference ? snug_ref_free(heap, names[at], 3500)
								: snug_free(heap, names[at]));
	refuse_for_good();
	while (!add_to(heap, by_reference, 8, &last[tiny % 500])) tiny++;
	for (size_t at = 0; !by_reference && at < 500; at++) REQUIRE_OK(snug_free(heap, last[at]));
	REQUIRE_OK(snug_stats_get(heap, &stats));
	while (!add_to(heap, by_reference, 3500, &name)) second++;
	REQUIRE(second * 3500 + stats.total.slab_bytes > full.total.slab_bytes - MIB / 8,
			"%zu objects, then %zu beside %llu bytes", first, second,
			(unsigned long long)stats.total.slab_bytes);
	REQUIRE_OK(snug_check(heap, NULL));
	REQUIRE_OK(snug_heap_destroy(heap));
}

static void a_lower_limit_waits_for_the_os(void **state) {
	open_herd(*state);
	herd_fill(&herd, UINT64_MAX, 100, 3000);
	refuse_for_good();
	REQUIRE_OK(snug_heap_set_limit(herd.heap, MIB / 2));
	herd_thin_out(&herd, 0, herd.count, 700);
	snug_report report;
	snug_defragment_options options = snug_defragment_options_default();
	options.retain_bytes = 0;
	herd.may_move = true;
	REQUIRE_OK(snug_defragment(herd.heap, &options, &report));
	herd.may_move = false;
	snug_stats stats = herd_stats(&herd);
	REQUIRE(stats.limit_bytes > stats.limit_goal_bytes, "the goal was met without the OS");
	REQUIRE_OK(herd_add(&herd, 2000)); /* what is resident anyway */
	REQUIRE_ERROR(SNUG_ERROR_OS_MEMORY, snug_heap_charge(herd.heap, MIB / 4));
	take_again();
	for (int round = 0; round < 20; round++) {
		herd.may_move = true;
		REQUIRE_OK(snug_defragment(herd.heap, &options, &report));
		herd.may_move = false;
	}
	stats = herd_stats(&herd);
	REQUIRE(stats.limit_bytes == stats.limit_goal_bytes, "the goal is not met with the OS");
	close_herd();
}

/* ------------------------------------------------------------------ a shard --------- */

#define VALUE_BYTES 300u

static snug_shard *shard;
static uint32_t stored;

static snug_key key_of(uint32_t number) {
	static char text[16];
	return snug_shard_key(text, (size_t)snprintf(text, sizeof text, "k%u", number));
}

static snug_error store(size_t bytes) {
	static char value[MIB / 2];
	snug_key key = key_of(stored);
	snug_error error = snug_shard_set(shard, &key, NULL, value, bytes);
	stored += error == SNUG_OK;
	return error;
}

static snug_shard_stats stats_of(void) {
	snug_shard_stats stats;
	snug_check_result wrong;
	REQUIRE(snug_shard_check(shard, &wrong) == SNUG_OK, "law %s: %s", wrong.law, wrong.message);
	REQUIRE_OK(snug_shard_stats_get(shard, &stats));
	return stats;
}

static void fill_shard(void) {
	for (uint64_t evictions = 0; evictions < 100; evictions = stats_of().evictions)
		for (int i = 0; i < 100; i++) REQUIRE_OK(store(VALUE_BYTES));
}

static void open_shard(size_t limit_bytes) {
	snug_shard_options options = snug_shard_options_default();
	options.heap.limit_bytes = limit_bytes;
	options.heap.page_bytes = 4096;
	options.heap.os = &fake.os;
	REQUIRE_OK(snug_shard_create(&options, &shard));
	stored = 0;
}

static void close_shard(void) {
	(void)stats_of();
	REQUIRE_OK(snug_shard_destroy(shard));
}

static void a_charge_evicts_nothing(void **state) {
	(void)state;
	open_shard(MIB);
	fill_shard();
	REQUIRE(snug_shard_evict(shard, 50 * KIB) > 0, "nothing could be evicted");
	refuse_for_good();
	snug_shard_stats before = stats_of();
	REQUIRE_ERROR(SNUG_ERROR_OS_MEMORY, snug_shard_charge(shard, 200 * KIB));
	REQUIRE(stats_of().items == before.items, "%llu items of %llu",
			(unsigned long long)stats_of().items, (unsigned long long)before.items);
	for (int i = 0; i < 1000; i++) REQUIRE_OK(store(VALUE_BYTES));
	REQUIRE(stats_of().items >= before.items, "fewer items than before");
	close_shard();
}

/* Smaller items than ever, larger ones, and back: they replace each other, and the cache is never
 * emptied. */
static void stores_go_on(void **state) {
	(void)state;
	open_shard(MIB);
	fill_shard();
	refuse_for_good();
	uint64_t items = stats_of().items;
	static const size_t sizes[] = {300, 20, 5000, 60000, 20, 900, 300};
	for (size_t size = 0; size < sizeof sizes / sizeof *sizes; size++) {
		uint32_t refused = 0, count = (uint32_t)(4 * MIB / (sizes[size] + 50));
		for (uint32_t i = 0; i < count; i++) {
			snug_error error = store(sizes[size]);
			REQUIRE(!error || error == SNUG_ERROR_OS_MEMORY || error == SNUG_ERROR_NO_MEMORY, "%s",
					snug_error_name(error));
			refused += error != SNUG_OK;
		}
		snug_shard_stats stats = stats_of();
		printf("  %zu bytes: %u of %u refused, %llu items of %llu bytes\n", sizes[size], refused,
			   count, (unsigned long long)stats.items, (unsigned long long)stats.item_bytes);
		/* Many small ones are about as many as the index had grown for. */
		REQUIRE(stats.item_bytes > MIB / 2 || stats.items >= items * 3 / 4,
				"the cache holds %llu items", (unsigned long long)stats.items);
		REQUIRE(refused <= count / 20, "%u of %u stores of %zu bytes were refused", refused, count,
				sizes[size]);
	}
	close_shard();
}

static void a_lower_limit_evicts_what_it_asks(void **state) {
	(void)state;
	open_shard(4 * MIB);
	fill_shard();
	refuse_for_good();
	REQUIRE_OK(snug_shard_set_limit(shard, 3 * MIB));
	uint64_t slices = 0;
	while (snug_shard_maintain(shard)) REQUIRE(slices++ < 1000000, "maintenance does not end");
	snug_shard_stats stats = stats_of();
	REQUIRE(stats.item_bytes > 2 * MIB, "%llu bytes of items are left for a limit of %zu",
			(unsigned long long)stats.item_bytes, 3 * MIB);
	for (int i = 0; i < 1000; i++) REQUIRE_OK(store(VALUE_BYTES));
	uint64_t calls = fake.decommit.calls;
	for (int i = 0; i < 1000; i++) {
		slices = 0;
		while (snug_shard_maintain(shard)) REQUIRE(slices++ < 1000000, "maintenance does not end");
	}
	printf("  a maintenance that finds nothing to do asks the OS %llu times\n",
		   (unsigned long long)(fake.decommit.calls - calls) / 1000);
	take_again();
	for (slices = 0; snug_shard_maintain(shard) || slices < 100; slices++) continue;
	stats = stats_of();
	REQUIRE(stats.heap.limit_bytes == stats.heap.limit_goal_bytes, "the limit was not reached");
	close_shard();
}

/* It keeps what the OS does not take, and grows into it. */
static void the_index_changes_its_size(void **state) {
	(void)state;
	open_shard(8 * MIB);
	for (int round = 0; round < 3; round++) {
		while (stats_of().items < 40000)
			for (int i = 0; i < 1000; i++) REQUIRE_OK(store(20));
		uint64_t index_bytes = stats_of().index_bytes;
		refuse_for_good();
		for (uint32_t number = 0; number < stored; number++) {
			snug_key key = key_of(number);
			if (number % 100 != 0) (void)!snug_shard_delete(shard, &key);
			if (number % 10 == 0) (void)snug_shard_maintain(shard);
		}
		while (snug_shard_maintain(shard)) continue;
		if (round == 1) take_again();
		REQUIRE(stats_of().index_bytes <= index_bytes, "the index grew as items went");
		REQUIRE(round > 0 || stats_of().index_bytes > index_bytes / 2, "it was given back");
	}
	close_shard();
}

int main(void) {
	static bool by_handle = false, by_reference = true;
#define OF_HEAP(test)                                                 \
	{#test " by handle", test, open_os, close_os, &by_handle}, {      \
#test " by reference", test, open_os, close_os, &by_reference \
	}
	const struct CMUnitTest tests[] = {
		OF_HEAP(a_charge_ends),
		OF_HEAP(free_pages_stay_room),
		OF_HEAP(tables_end_at_what_is_left),
		cmocka_unit_test_setup_teardown(pages_serve_without_bitmaps, open_os, close_os),
		OF_HEAP(a_lower_limit_waits_for_the_os),
		cmocka_unit_test_setup_teardown(a_charge_evicts_nothing, open_os, close_os),
		cmocka_unit_test_setup_teardown(stores_go_on, open_os, close_os),
		cmocka_unit_test_setup_teardown(a_lower_limit_evicts_what_it_asks, open_os, close_os),
		cmocka_unit_test_setup_teardown(the_index_changes_its_size, open_os, close_os),
	};
	return cmocka_run_group_tests_name("refused_return", tests, NULL, NULL);
}
