/* test_spare.c: what a heap keeps free, second after second: after a cliff, in churn, and for a
 * cache that breathes. The heap is figures here. */
#include "unit/cmocka_all.h"
#include "work/policy/spare.h"

#define MIB (UINT64_C(1) << 20)
#define SECOND_NS UINT64_C(1000000000)
#define KEEP_BYTES MIB
#define OBJECT_BYTES 1024u

/* 200 MiB of slabs, of which so much is holes that make pages; and so much free besides. */
static snug_stats heap_of(uint64_t needed_mib, uint64_t holes_mib, uint64_t free_mib) {
	snug_stats stats = {.page_bytes = 16384,
						.return_unit_bytes = 16384,
						.free_page_bytes = free_mib * MIB,
						.committed_bytes = (needed_mib + holes_mib + free_mib) * MIB,
						.objects = needed_mib * MIB / OBJECT_BYTES};
	stats.total.slab_bytes = (needed_mib + holes_mib) * MIB;
	stats.total.reclaimable_bytes = holes_mib * MIB;
	stats.total.payload_bytes = needed_mib * MIB;
	return stats;
}

/* The heap as it is once all that is spare was given back. */
static void give_back(snug_stats *stats, uint64_t bytes) {
	uint64_t holes_bytes = stats->total.reclaimable_bytes;
	stats->total.slab_bytes -= holes_bytes;
	stats->total.reclaimable_bytes = 0;
	stats->free_page_bytes += holes_bytes;
	assert_true(bytes <= stats->free_page_bytes);
	stats->free_page_bytes -= bytes;
	stats->committed_bytes -= bytes;
}

static void a_heap_that_holds_still_gives_nothing(void **state) {
	(void)state;
	struct spare spare = {0};
	snug_stats stats = heap_of(180, 8, 3);
	for (uint64_t second = 1; second < 100; second++) {
		uint64_t kept_bytes = spare_look(&spare, &stats, KEEP_BYTES, second * SECOND_NS);
		assert_false(spare_is_much(&stats, kept_bytes));
	}
	assert_true(spare_is_settled(&spare, &stats));
}

/* Two thirds are gone: little by little, and all of it within half a minute. */
static void a_cliff_is_given_back(void **state) {
	(void)state;
	struct spare spare = {0};
	snug_stats stats = heap_of(180, 0, 0);
	stats.allocations = stats.objects;
	(void)spare_look(&spare, &stats, KEEP_BYTES, SECOND_NS);
	stats = heap_of(60, 120, 0);
	stats.allocations = 180 * MIB / OBJECT_BYTES;
	uint64_t runs = 0, first_bytes = 0;
	for (uint64_t second = 2; second < 32; second++) {
		uint64_t kept_bytes = spare_look(&spare, &stats, KEEP_BYTES, second * SECOND_NS);
		if (!spare_is_much(&stats, kept_bytes)) continue;
		if (runs++ == 0) first_bytes = spare_bytes(&stats, kept_bytes);
		give_back(&stats, spare_bytes(&stats, kept_bytes));
	}
	assert_true(runs > 3 && first_bytes < 60 * MIB); /* not at once */
	assert_true(stats.committed_bytes <= 60 * MIB + 60 * MIB / 16 + KEEP_BYTES);
	assert_true(spare_is_settled(&spare, &stats));
}

/* Used again before it has gone: what was needed lately stays. */
static void a_heap_that_breathes_keeps_what_it_needs(void **state) {
	(void)state;
	struct spare spare = {0};
	for (uint64_t second = 1; second < 100; second++) {
		snug_stats stats = second % 2 == 0 ? heap_of(150, 0, 30) : heap_of(180, 0, 0);
		uint64_t kept_bytes = spare_look(&spare, &stats, KEEP_BYTES, second * SECOND_NS);
		assert_true(spare_bytes(&stats, kept_bytes) <= 30 * MIB / 4);
		assert_false(spare_is_much(&stats, kept_bytes));
	}
}

/* Its holes make pages, and are filled again: what is allocated lately covers them. When it stops,
 * they are spare. */
static void steady_churn_keeps_its_holes(void **state) {
	(void)state;
	struct spare spare = {0};
	snug_stats stats = heap_of(160, 20, 0);
	uint64_t second = 1;
	for (; second < 100; second++) {
		uint64_t kept_bytes = spare_look(&spare, &stats, KEEP_BYTES, second * SECOND_NS);
		if (second > 10) assert_false(spare_is_much(&stats, kept_bytes));
		stats.allocations += 5 * MIB / OBJECT_BYTES;
	}
	for (uint64_t end = second + 20; second < end; second++)
		(void)spare_look(&spare, &stats, KEEP_BYTES, second * SECOND_NS);
	assert_true(spare_is_much(&stats, spare_look(&spare, &stats, KEEP_BYTES, second * SECOND_NS)));
}

/* However often somebody looks, and however late. */
static void looks_change_nothing(void **state) {
	(void)state;
	struct spare often = {0}, seldom = {0};
	snug_stats before = heap_of(180, 0, 0), after = heap_of(20, 0, 160);
	(void)spare_look(&often, &before, 0, SECOND_NS);
	(void)spare_look(&seldom, &before, 0, SECOND_NS);
	uint64_t often_bytes = 0;
	for (uint64_t tenth = 11; tenth <= 80; tenth++)
		often_bytes = spare_look(&often, &after, 0, tenth * SECOND_NS / 10);
	assert_int_equal(often_bytes, spare_look(&seldom, &after, 0, 8 * SECOND_NS));
	assert_int_equal(spare_look(&seldom, &after, 0, UINT64_MAX / 2), 0);
	(void)spare_look(&seldom, &after, 0, 5); /* set back: no more than nothing happens */
	assert_int_equal(spare_look(&seldom, &after, 0, 5 + SECOND_NS), 0);
}

static void what_is_to_be_kept_is_kept(void **state) {
	(void)state;
	struct spare spare = {0};
	snug_stats stats = heap_of(20, 0, 160);
	uint64_t kept_bytes = spare_look(&spare, &stats, SNUG_NO_BUDGET, SECOND_NS);
	assert_int_equal(spare_bytes(&stats, kept_bytes), 0);
	assert_false(spare_is_much(&stats, kept_bytes));
	kept_bytes = spare_look(&spare, &stats, 100 * MIB, 2 * SECOND_NS);
	assert_int_equal(spare_bytes(&stats, kept_bytes), 60 * MIB);
	snug_defragment_options options = snug_defragment_options_default();
	spare_set_return(&options, &stats, kept_bytes);
	assert_int_equal(options.retain_bytes, 100 * MIB);
	assert_int_equal(options.return_bytes, 0);
	spare_set_return(&options, &stats, 157 * MIB); /* by the page: less than two units are left */
	assert_int_equal(options.retain_bytes, SNUG_NO_BUDGET);
	assert_int_equal(options.return_bytes, 3 * MIB);
	stats.return_unit_bytes = 2 * MIB; /* pages are parts of huge ones */
	spare_set_return(&options, &stats, 157 * MIB);
	assert_int_equal(options.retain_bytes, 157 * MIB);
	assert_int_equal(options.return_bytes, 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_heap_that_holds_still_gives_nothing),
		cmocka_unit_test(a_cliff_is_given_back),
		cmocka_unit_test(a_heap_that_breathes_keeps_what_it_needs),
		cmocka_unit_test(steady_churn_keeps_its_holes),
		cmocka_unit_test(looks_change_nothing),
		cmocka_unit_test(what_is_to_be_kept_is_kept),
	};
	return cmocka_run_group_tests_name("spare", tests, NULL, NULL);
}
