/* test_drain.c: regions that are emptied so that they can go back to the OS: what must stay stays,
 * and what somebody needs meanwhile he gets. */
#include "herd.h"
#include "mem/arena/arena.h"
#include "support/require.h"
#include "unit/cmocka_all.h"

#define MIB ((size_t)1 << 20)
#define PAGE_BYTES 16384u
#define WHOLE_PAGE (PAGE_BYTES - HANDLE_TRAILER_BYTES) /* an object that fills a page */
#define REGION_PAGES ((uint32_t)(REGION_BYTES / PAGE_BYTES))

static struct herd herd;

static int open_herd(void **state) {
	(void)state;
	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
								 .limit_bytes = 24 * MIB,
								 .page_bytes = PAGE_BYTES,
								 .no_last_resort = true}; /* lent holes: test_pieces.c */
	herd_init(&herd, false, &options);
	herd.may_move = true;
	return 0;
}

static int close_herd(void **state) {
	(void)state;
	herd_deinit(&herd);
	return 0;
}

static uint32_t region_of_object(uint32_t number) {
	snug_extent first;
	size_t count = 1;
	REQUIRE_OK(snug_view(herd.heap, herd.objects[number].name, 0, 1, &first, &count));
	return (uint32_t)((size_t)((char *)first.data - herd.heap->arena.base) / REGION_BYTES);
}

/* Every second object of many slabs is gone, in each region. */
static void fill_by_halves(void) {
	herd_fill(&herd, UINT64_MAX, 500, 3000);
	herd_thin_out(&herd, 0, herd.count, 500);
}

static snug_defragment_options return_all(void) {
	snug_defragment_options options = snug_defragment_options_default();
	options.retain_bytes = 0;
	return options;
}

/* ------------------------------------------------------------------ pins --------------------- */

/* One pinned object keeps its region, wherever in it it lies; and all of them together end the
 * draining. */
static void pins_keep_their_regions(void **state) {
	(void)state;
	uint32_t last[64] = {0};
	fill_by_halves();
	for (uint32_t number = 0; number < herd.count; number++)
		if (herd.objects[number].name != 0) last[region_of_object(number)] = number + 1;
	for (uint32_t region = 0; region < herd.heap->arena.region_count; region++)
		if (last[region] != 0) herd_pin(&herd, last[region] - 1);
	snug_defragment_options options = return_all();
	snug_report report;
	REQUIRE_OK(snug_defragment(herd.heap, &options, &report));
	REQUIRE(report.relocated_objects == 0, "%llu objects left regions that cannot be emptied",
			(unsigned long long)report.relocated_objects);
	REQUIRE_OK(snug_check(herd.heap, NULL));
	herd_verify(&herd);
	for (uint32_t number = 0; number < herd.count; number++)
		if (herd.objects[number].pins > 0) herd_unpin(&herd, number);
	REQUIRE_OK(snug_defragment(herd.heap, &options, &report));
	REQUIRE(report.relocated_objects > 0, "a region was given up for ever");
	herd_verify(&herd);
}

/* ------------------------------------------------------------------ who needs memory now ----- */

/* A region is set aside, and a slab of it half moved. */
static void drain_half_a_slab(void) {
	snug_defragment_options options = return_all();
	bool done = false;
	fill_by_halves();
	snug_report report;
	REQUIRE_OK(snug_defragment(herd.heap, NULL, &report));
	options.step_bytes = 1;
	REQUIRE_OK(snug_defragment_begin(herd.heap, &options));
	while (!done && herd.heap->target == PAGE_NONE)
		REQUIRE_OK(snug_defragment_step(herd.heap, &done));
	REQUIRE(!done && herd.heap->arena.draining != 0, "nothing is drained");
}

static void end_drain(void) {
	snug_report report;
	herd.may_move = true;
	REQUIRE_OK(snug_defragment_end(herd.heap, &report));
	REQUIRE_OK(snug_check(herd.heap, NULL));
	herd_verify(&herd);
}

/* herd_add holds each refusal against laws B1 to B3. */
static void an_allocation_ends_a_drain(void **state) {
	(void)state;
	drain_half_a_slab();
	herd_fill(&herd, UINT64_MAX, 500, 3000);
	snug_stats stats = herd_stats(&herd);
	REQUIRE(stats.free_page_bytes == 0, "%llu bytes lie free beside a refusal",
			(unsigned long long)stats.free_page_bytes);
	end_drain();
}

/* Metadata and charges take pages one by one: those of the region, too. */
static void a_charge_ends_a_drain(void **state) {
	(void)state;
	drain_half_a_slab();
	size_t bytes = arena_free_pages(&herd.heap->arena) * PAGE_BYTES;
	uint64_t moves = herd_stats(&herd).moves;
	REQUIRE_OK(snug_heap_charge(herd.heap, bytes));
	REQUIRE(herd_stats(&herd).moves == moves, "objects moved, though pages were free");
	REQUIRE_OK(snug_heap_discharge(herd.heap, bytes));
	end_drain();
}

/* ------------------------------------------------------------------ which region ------------- */

/* Of each region but the first some pages are free: of region 2 nearly all, of the others few. */
static void free_some_pages(void) {
	herd_fill(&herd, UINT64_MAX, WHOLE_PAGE, WHOLE_PAGE);
	uint32_t freed[64] = {0};
	for (uint32_t number = 0; number < herd.count; number++) {
		uint32_t region = region_of_object(number);
		uint32_t most = region == 0 ? 0 : region == 2 ? REGION_PAGES - 8 : 8 + region;
		if (freed[region]++ < most) herd_remove(&herd, number);
	}
	snug_defragment_options coalesce = snug_defragment_options_default();
	snug_report report;
	coalesce.mode = SNUG_COALESCE;
	REQUIRE_OK(snug_defragment(herd.heap, &coalesce, &report));
	REQUIRE(herd.heap->arena.stacked_pages == 0, "not coalesced");
}

/* So that others become empty. */
static void the_fullest_region_serves(void **state) {
	(void)state;
	free_some_pages();
	for (uint32_t i = 0; i < 8; i++) {
		REQUIRE_OK(herd_add(&herd, WHOLE_PAGE));
		REQUIRE(region_of_object(herd.count - 1) != 2, "taken from the emptiest region");
	}
}

static void the_emptiest_region_is_returned(void **state) {
	(void)state;
	free_some_pages();
	const struct arena *arena = &herd.heap->arena;
	uint32_t cold = arena_region(arena, 2)->cold_pages;
	snug_defragment_options options = snug_defragment_options_default();
	options.return_bytes = 16 * PAGE_BYTES;
	snug_report report;
	REQUIRE_OK(snug_defragment(herd.heap, &options, &report));
	REQUIRE(report.returned_bytes == options.return_bytes, "%llu bytes were returned",
			(unsigned long long)report.returned_bytes);
	REQUIRE(arena_region(arena, 2)->cold_pages == cold + 16, "returned from other regions");
	herd_verify(&herd);
}

int main(void) {
#define WITH_HERD(function) cmocka_unit_test_setup_teardown(function, open_herd, close_herd)
	const struct CMUnitTest tests[] = {
		WITH_HERD(pins_keep_their_regions),         WITH_HERD(an_allocation_ends_a_drain),
		WITH_HERD(a_charge_ends_a_drain),           WITH_HERD(the_fullest_region_serves),
		WITH_HERD(the_emptiest_region_is_returned),
	};
	return cmocka_run_group_tests_name("drain", tests, NULL, NULL);
}
