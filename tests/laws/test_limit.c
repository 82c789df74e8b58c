/* test_limit.c: another limit while objects live, and the owner's own memory under it. After each
 * call all invariants are walked. */
#include "herd.h"
#include "support/require.h"
#include "unit/cmocka_all.h"

#define MIB ((size_t)1 << 20)
#define LIMIT (4 * MIB)
#define LIMIT_MAX (16 * MIB)

static struct herd herd;

static int open_heap(void **state) {
	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
								 .limit_bytes = LIMIT,
								 .limit_max_bytes = LIMIT_MAX,
								 .page_bytes = 4096};
	herd_init(&herd, *(const bool *)*state, &options);
	return 0;
}

static int close_heap(void **state) {
	(void)state;
	herd_deinit(&herd);
	return 0;
}

static uint64_t in_use(void) {
	snug_stats stats = herd_stats(&herd);
	REQUIRE_OK(snug_check(herd.heap, NULL));
	return stats.committed_bytes + stats.metadata_bytes + stats.charged_bytes;
}

static void options_make_sense(void **state) {
	(void)state;
	snug_heap *heap = NULL;
	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
								 .limit_bytes = LIMIT,
								 .limit_max_bytes = LIMIT - 1};
	REQUIRE_ERROR(SNUG_ERROR_OPTION, snug_heap_create(&options, &heap));
	options.limit_max_bytes = SNUG_LIMIT_MAX_BYTES + 1;
	REQUIRE_ERROR(SNUG_ERROR_OPTION, snug_heap_create(&options, &heap));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_heap_set_limit(NULL, LIMIT));
	REQUIRE_ERROR(SNUG_ERROR_OPTION, snug_heap_set_limit(herd.heap, LIMIT_MAX + 1));
	REQUIRE_ERROR(SNUG_ERROR_LIMIT_TOO_SMALL,
				  snug_heap_set_limit(herd.heap, SNUG_LIMIT_MIN_BYTES - 1));
	REQUIRE_ERROR(SNUG_ERROR_LIMIT_TOO_SMALL, snug_heap_set_limit(herd.heap, 0));
	REQUIRE(herd_stats(&herd).limit_bytes == LIMIT, "a refused limit was set");
}

static void a_higher_limit_holds_at_once(void **state) {
	(void)state;
	herd_fill(&herd, UINT64_MAX, 100, 20000);
	uint64_t before = herd.live_bytes;
	REQUIRE_OK(snug_heap_set_limit(herd.heap, LIMIT_MAX));
	herd_fill(&herd, UINT64_MAX, 100, 20000);
	REQUIRE(herd.live_bytes > 3 * before, "%llu bytes fit, then %llu", (unsigned long long)before,
			(unsigned long long)herd.live_bytes);
	REQUIRE(in_use() <= LIMIT_MAX, "above the limit");
	herd_verify(&herd);
}

static void a_lower_limit_is_reached_as_objects_go(void **state) {
	(void)state;
	const size_t goal = 2 * MIB;
	herd_fill(&herd, UINT64_MAX, 100, 20000);
	uint64_t used = in_use(), free_bytes = herd_stats(&herd).free_page_bytes;
	REQUIRE_OK(snug_heap_set_limit(herd.heap, goal));
	REQUIRE(herd_stats(&herd).limit_bytes == used && herd_stats(&herd).limit_goal_bytes == goal,
			"not what is in use");
	REQUIRE_ERROR(SNUG_ERROR_SIZE_TOO_LARGE, herd_add(&herd, goal));
	while (herd_stats(&herd).limit_bytes > goal) {
		uint64_t before = in_use();
		REQUIRE(herd.live > 0, "empty, and still above the limit");
		herd_thin_out(&herd, 0, herd.count, 100);
		REQUIRE(in_use() <= before && herd_stats(&herd).limit_bytes >= goal, "it grew");
		snug_stats stats = herd_stats(&herd);
		REQUIRE(stats.free_page_bytes <= free_bytes || stats.limit_bytes == goal,
				"a free page was kept");
	}
	REQUIRE(herd.live_bytes > goal / 4, "too much had to go");
	herd_fill(&herd, UINT64_MAX, 100, 20000);
	REQUIRE(in_use() <= goal && herd.live_bytes > goal / 10 * 8, "%llu bytes fit",
			(unsigned long long)herd.live_bytes);
	herd_verify(&herd);
}

/* Half of each slab is holes: only compaction gives the pages back. */
static void a_lower_limit_is_reached_by_defragmentation(void **state) {
	(void)state;
	const size_t goal = 5 * MIB / 2;
	snug_defragment_options options = snug_defragment_options_default();
	herd_fill(&herd, UINT64_MAX, 100, 400);
	herd_thin_out(&herd, 0, herd.count, 550);
	REQUIRE_OK(snug_heap_set_limit(herd.heap, goal));
	REQUIRE(herd_stats(&herd).limit_bytes > goal, "there was nothing to do");
	options.retain_bytes = 0;
	herd_defragment(&herd, &options);
	REQUIRE(herd_stats(&herd).limit_bytes == goal && in_use() <= goal, "%llu bytes are in use",
			(unsigned long long)in_use());
}

/* What is wanted before the goal is met takes of what becomes free, and does not work for the
 * rest. */
static void who_waits_does_not_pay_for_a_lower_limit(void **state) {
	(void)state;
	const size_t goal = MIB;
	herd_fill(&herd, UINT64_MAX, 100, 400);
	herd_thin_out(&herd, 0, herd.count, 300);
	REQUIRE_OK(snug_heap_set_limit(herd.heap, goal));
	uint64_t limit = herd_stats(&herd).limit_bytes, moved = herd_stats(&herd).moved_bytes;
	REQUIRE(limit > goal + MIB, "there is little to do");
	for (uint32_t turn = 0; turn < 4; turn++) {
		REQUIRE_OK(herd_add(&herd, 3000));
		herd.may_move = true; /* for the charge, too */
		REQUIRE_OK(snug_heap_charge(herd.heap, 100 << 10));
		herd.may_move = false;
		snug_stats stats = herd_stats(&herd);
		REQUIRE(stats.limit_bytes <= limit && stats.limit_bytes > goal + MIB,
				"%llu bytes are in use", (unsigned long long)stats.limit_bytes);
		limit = stats.limit_bytes;
	}
	REQUIRE(herd_stats(&herd).moved_bytes - moved < MIB, "%llu bytes were moved",
			(unsigned long long)(herd_stats(&herd).moved_bytes - moved));
	herd_verify(&herd);
}

/* What somebody waited for is kept no longer than he waits. */
static void a_lower_limit_is_reached_after_a_wait(void **state) {
	(void)state;
	const size_t goal = MIB;
	herd_fill(&herd, UINT64_MAX, 100, 400);
	REQUIRE_OK(snug_heap_set_limit(herd.heap, goal));
	herd_thin_out(&herd, 0, herd.count, 500);
	herd.may_move = true;
	REQUIRE_ERROR(SNUG_ERROR_NO_MEMORY, snug_heap_charge(herd.heap, goal + 1));
	REQUIRE_OK(snug_heap_charge(herd.heap, goal));
	herd.may_move = false;
	REQUIRE_OK(snug_heap_discharge(herd.heap, goal));
	herd_remove_all(&herd);
	snug_stats stats = herd_stats(&herd);
	REQUIRE(stats.limit_bytes == goal, "%llu bytes are still in use",
			(unsigned long long)stats.limit_bytes);
}

/* Who was refused left pages behind that nobody waits for. */
static void what_was_kept_goes_in_the_next_steps(void **state) {
	(void)state;
	const size_t goal = MIB;
	snug_report report;
	herd_fill(&herd, UINT64_MAX, 100, 400);
	REQUIRE_OK(snug_heap_set_limit(herd.heap, goal));
	herd.may_move = true;
	REQUIRE_ERROR(SNUG_ERROR_NO_MEMORY, snug_heap_charge(herd.heap, goal));
	herd.may_move = false;
	herd_remove_all(&herd);
	snug_stats before = herd_stats(&herd);
	REQUIRE(before.limit_bytes > goal, "nothing was kept");
	REQUIRE_OK(snug_defragment(herd.heap, NULL, &report));
	snug_stats stats = herd_stats(&herd);
	REQUIRE(report.returned_bytes == before.committed_bytes - stats.committed_bytes,
			"%llu bytes were reported", (unsigned long long)report.returned_bytes);
	for (uint32_t run = 0; run < 20; run++) REQUIRE_OK(snug_defragment(herd.heap, NULL, &report));
	REQUIRE(herd_stats(&herd).limit_bytes == goal, "%llu bytes are still in use",
			(unsigned long long)herd_stats(&herd).limit_bytes);
}

/* Nor does what is freed afterwards wait for one who was refused before. */
static void what_was_kept_is_kept_once(void **state) {
	(void)state;
	const size_t goal = MIB;
	snug_report report;
	herd_fill(&herd, UINT64_MAX, 100, 400);
	REQUIRE_OK(snug_heap_set_limit(herd.heap, goal));
	herd.may_move = true;
	REQUIRE_ERROR(SNUG_ERROR_NO_MEMORY, snug_heap_charge(herd.heap, goal));
	REQUIRE_OK(snug_defragment(herd.heap, NULL, &report));
	herd.may_move = false;
	herd_remove_all(&herd);
	REQUIRE(herd_stats(&herd).limit_bytes == goal, "%llu bytes are still in use",
			(unsigned long long)herd_stats(&herd).limit_bytes);
}

static void the_peak_is_what_was_in_use(void **state) {
	(void)state;
	uint64_t most = 0;
	herd_fill(&herd, 3 * MIB, 3000, 20000);
	for (uint32_t turn = 0; turn < 200; turn++) {
		(void)herd_add(&herd, 30);
		(void)herd_add(&herd, 4000);
		if (in_use() > most) most = in_use();
		REQUIRE(herd_stats(&herd).peak_bytes == most, "%llu bytes, not %llu",
				(unsigned long long)herd_stats(&herd).peak_bytes, (unsigned long long)most);
	}
}

/* Small slots have their bitmaps in metadata, and each class has its state there. */
static void metadata_is_used_again(void **state) {
	(void)state;
	uint64_t metadata_bytes = 0;
	for (uint32_t round = 0; round < 8; round++) {
		snug_report report;
		herd_fill(&herd, MIB, 8, 24);
		herd_fill(&herd, MIB, 24, 2000);
		if (round == 1) metadata_bytes = herd_stats(&herd).metadata_bytes;
		herd_remove_all(&herd);
		REQUIRE_OK(snug_defragment(herd.heap, NULL, &report));
	}
	herd_fill(&herd, MIB, 8, 24);
	herd_fill(&herd, MIB, 24, 2000);
	REQUIRE(herd_stats(&herd).metadata_bytes <= metadata_bytes + metadata_bytes / 8,
			"%llu bytes of metadata, and %llu after six more rounds",
			(unsigned long long)metadata_bytes,
			(unsigned long long)herd_stats(&herd).metadata_bytes);
}

static void charges_count(void **state) {
	(void)state;
	REQUIRE_OK(snug_heap_charge(herd.heap, 3 * MIB));
	herd_fill(&herd, UINT64_MAX, 100, 20000);
	REQUIRE(herd.live_bytes < MIB && in_use() <= LIMIT, "%llu bytes fit",
			(unsigned long long)herd.live_bytes);
	REQUIRE(herd_stats(&herd).charged_bytes == 3 * MIB, "not what was charged");
	REQUIRE_ERROR(SNUG_ERROR_NO_MEMORY, snug_heap_charge(herd.heap, MIB));
	REQUIRE_ERROR(SNUG_ERROR_NO_MEMORY, snug_heap_charge(herd.heap, SIZE_MAX));
	REQUIRE_ERROR(SNUG_ERROR_NO_MEMORY, snug_heap_charge(herd.heap, SIZE_MAX - 2 * MIB));
	REQUIRE_ERROR(SNUG_ERROR_RANGE, snug_heap_discharge(herd.heap, 3 * MIB + 1));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_heap_charge(NULL, 1));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_heap_discharge(NULL, 1));
	REQUIRE_OK(snug_heap_discharge(herd.heap, 2 * MIB));
	herd_fill(&herd, UINT64_MAX, 100, 20000);
	REQUIRE(herd.live_bytes > 2 * MIB && in_use() <= LIMIT, "%llu bytes fit",
			(unsigned long long)herd.live_bytes);
	herd_remove_all(&herd);
	/* Free pages make room for it. */
	REQUIRE_OK(snug_heap_charge(herd.heap, 5 * MIB / 2));
	REQUIRE(in_use() <= LIMIT, "above the limit");
}

int main(void) {
	static bool handles = false;
	static bool references = true;
#define BOTH(function)                                                        \
	{#function "_handles", function, open_heap, close_heap, &handles}, {      \
#function "_references", function, open_heap, close_heap, &references \
	}
	const struct CMUnitTest tests[] = {
		BOTH(options_make_sense),
		BOTH(a_higher_limit_holds_at_once),
		BOTH(a_lower_limit_is_reached_as_objects_go),
		BOTH(a_lower_limit_is_reached_by_defragmentation),
		BOTH(who_waits_does_not_pay_for_a_lower_limit),
		BOTH(a_lower_limit_is_reached_after_a_wait),
		BOTH(what_was_kept_goes_in_the_next_steps),
		BOTH(what_was_kept_is_kept_once),
		BOTH(the_peak_is_what_was_in_use),
		BOTH(metadata_is_used_again),
		BOTH(charges_count),
	};
	return cmocka_run_group_tests_name("limit", tests, NULL, NULL);
}
