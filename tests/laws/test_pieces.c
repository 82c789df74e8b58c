/* test_pieces.c: the last resort. What need not be contiguous lies in whatever holes there are, what
 * must be takes any larger one, a pin is recorded in a hole; and a defragmentation puts the pieces
 * back where they belong. */
#include "herd.h"
#include "mem/types.h"
#include "support/require.h"
#include "unit/cmocka_all.h"

#include <string.h>

#define MIB ((size_t)1 << 20)
#define PAGE_BYTES 4096u
#define LARGE_PAGE_BYTES 65536u
#define TRAILER_MAX 16u

static struct herd herd;

static void open_with(bool by_reference, bool no_last_resort, size_t page_bytes) {
	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
								 .limit_bytes = 2 * MIB,
								 .page_bytes = page_bytes,
								 .no_last_resort = no_last_resort};
	herd_init(&herd, by_reference, &options);
}

static int open_herd(void **state) {
	open_with(*(const bool *)*state, false, PAGE_BYTES);
	return 0;
}

static int open_large_pages(void **state) {
	open_with(*(const bool *)*state, false, LARGE_PAGE_BYTES);
	return 0;
}

static int close_herd(void **state) {
	(void)state;
	REQUIRE_OK(snug_check(herd.heap, NULL));
	herd_verify(&herd);
	herd_deinit(&herd);
	return 0;
}

/* Full of objects of `size`, of which so many a page stay and are pinned that no slab can be
 * emptied. Returns the holes in bytes. */
static uint64_t pinned_holes(size_t size) {
	herd_fill(&herd, UINT64_MAX, size, size);
	uint32_t half_a_page = (uint32_t)(herd_stats(&herd).page_bytes / size / 2);
	for (uint32_t number = 0; number < herd.count; number++)
		if (number % half_a_page != 0) herd_remove(&herd, number);
	for (uint32_t number = 0; number < herd.count; number += half_a_page) herd_pin(&herd, number);
	return herd_stats(&herd).total.hole_bytes;
}

static void unpin_all(void) {
	for (uint32_t number = 0; number < herd.count; number++)
		while (herd.objects[number].pins > 0) herd_unpin(&herd, number);
}

/* Full of objects of `size` in pieces, in holes of 100 bytes that no pin holds any more; the objects
 * from herd.objects[the answer] on. */
static uint32_t fill_with_guests(size_t size) {
	pinned_holes(100);
	uint32_t first = herd.count;
	while (herd_add(&herd, size) == SNUG_OK) continue;
	unpin_all();
	return first;
}

static uint64_t lent_slots(void) {
	return herd_stats(&herd).lent_slots;
}

/* ------------------------------------------------------------------ law B1 ------------------- */

/* Holes of 100 bytes beside pins are used to the last one. */
static void small_holes_hold_large_objects(void **state) {
	(void)state;
	uint64_t hole_bytes = pinned_holes(100);
	uint64_t stored_bytes = 0;
	while (herd_add(&herd, 3000) == SNUG_OK) stored_bytes += 3000;
	REQUIRE(lent_slots() > 0, "no hole was lent");
	/* each piece has a trailer, and its slot some slack */
	uint64_t most_bytes = hole_bytes - hole_bytes / 100 * (TRAILER_MAX + 8);
	REQUIRE(stored_bytes + 3000 + 2 * (uint64_t)PAGE_BYTES >= most_bytes,
			"%llu bytes stored, %llu in holes", (unsigned long long)stored_bytes,
			(unsigned long long)hole_bytes);
}

static void one_object_may_take_all_holes(void **state) {
	(void)state;
	uint64_t hole_bytes = pinned_holes(200);
	REQUIRE_OK(herd_add(&herd, (size_t)(hole_bytes / 10 * 8)));
}

/* A defragmentation is under way, and no allocation may move its victim to the end: so the victim's
 * holes are as good as any. */
static void holes_of_the_victim_are_used(void **state) {
	herd_deinit(&herd);
	snug_heap_options heap_options = {.struct_bytes = sizeof(snug_heap_options),
									  .limit_bytes = 2 * MIB,
									  .page_bytes = PAGE_BYTES,
									  .no_compaction_in_alloc = true};
	herd_init(&herd, *(const bool *)*state, &heap_options);
	herd_fill(&herd, UINT64_MAX, 100, 100);
	for (uint32_t number = 0; number < herd.count; number++)
		if (number % 4 != 0) herd_remove(&herd, number);
	snug_defragment_options options = snug_defragment_options_default();
	options.step_bytes = 100;
	bool done = false;
	herd.may_move = true;
	REQUIRE_OK(snug_defragment_begin(herd.heap, &options));
	while (!done && herd.heap->victim == PAGE_NONE)
		REQUIRE_OK(snug_defragment_step(herd.heap, &done));
	REQUIRE(!done, "there is no victim");
	while (herd_add(&herd, 3000) == SNUG_OK) continue;
	REQUIRE(herd.heap->victim == PAGE_NONE, "the victim keeps its holes");
	snug_report report;
	herd.may_move = true;
	REQUIRE_OK(snug_defragment_end(herd.heap, &report));
	herd.may_move = false;
}

static snug_error add_contiguous(size_t size, uint64_t *name) {
	snug_alloc_options options = {.contiguous = true};
	return herd.by_reference ? snug_ref_alloc_with(herd.heap, size, &options, name)
							 : snug_alloc_with(herd.heap, size, &options, name);
}

static void contiguous_takes_a_larger_hole(void **state) {
	(void)state;
	pinned_holes(500);
	uint64_t name;
	REQUIRE_OK(add_contiguous(20, &name));
	REQUIRE_OK(herd.by_reference ? snug_ref_free(herd.heap, name, 20) : snug_free(herd.heap, name));
	while (herd_add(&herd, 2000) == SNUG_OK) continue;
	REQUIRE_ERROR(SNUG_ERROR_NO_MEMORY, add_contiguous(600, &name));
}

static void who_asked_for_it_is_refused(void **state) {
	herd_deinit(&herd);
	open_with(*(const bool *)*state, true, PAGE_BYTES);
	pinned_holes(100);
	uint64_t lent = lent_slots(); /* to the records of pins */
	while (herd_add(&herd, 3000) == SNUG_OK) continue;
	REQUIRE(lent_slots() == lent, "a hole was lent");
	REQUIRE(herd_stats(&herd).total.hole_bytes > MIB / 2, "the holes were used");
}

/* ------------------------------------------------------------------ pins --------------------- */

/* Each object of a heap without a free page can be pinned, though the table of pins can't grow. */
static void pins_are_recorded_in_holes(void **state) {
	(void)state;
	herd_fill(&herd, UINT64_MAX, 100, 100);
	for (uint32_t number = 0; number < herd.count; number += 2) herd_remove(&herd, number);
	for (uint32_t number = 1; number < herd.count; number += 2) herd_pin(&herd, number);
	uint64_t lent = lent_slots();
	REQUIRE(lent > 0, "the table of pins had room for all");
	REQUIRE_OK(snug_check(herd.heap, NULL));
	for (uint32_t number = 1; number < herd.count; number += 4) herd_pin(&herd, number);
	REQUIRE(lent_slots() == lent, "a second pin took a hole");
	for (uint32_t number = 1; number < herd.count; number += 4) herd_unpin(&herd, number);
	REQUIRE_OK(snug_check(herd.heap, NULL));
	unpin_all();
	REQUIRE(lent_slots() == 0, "%llu slots are lent", (unsigned long long)lent_slots());
}

static struct page *host_with_stack(void) {
	for (page_number number = 1; number < herd.heap->arena.described; number++) {
		struct page *page = &herd.heap->arena.pages[number];
		if (page->state == PAGE_HOST && page->free_slots > 1) return page;
	}
	REQUIRE(false, "no host has empty slots");
	return NULL;
}

/* Hosts of more slots than a descriptor has bits: their empty slots are a stack. */
static void hundreds_of_slots_are_a_stack(void **state) {
	herd_deinit(&herd);
	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
								 .limit_bytes = 2 * MIB,
								 .page_bytes = 4 * PAGE_BYTES};
	herd_init(&herd, *(const bool *)*state, &options);
	herd_fill(&herd, UINT64_MAX, 28, 28);
	for (uint32_t number = 0; number < herd.count; number += 2) herd_remove(&herd, number);
	for (uint32_t number = 1; number < herd.count; number += 2) {
		herd_pin(&herd, number);
		if (number % 1001 == 0) REQUIRE_OK(snug_check(herd.heap, NULL));
	}
	for (uint32_t number = 1; number < herd.count; number += 6) {
		herd_unpin(&herd, number);
		herd_remove(&herd, number);
	}
	REQUIRE_OK(snug_check(herd.heap, NULL));
	uint64_t *top = &host_with_stack()->free_bits.first_empty, kept = *top;
	*top = 0;
	snug_check_result result;
	REQUIRE_ERROR(SNUG_ERROR_CORRUPT, snug_check(herd.heap, &result));
	REQUIRE(strcmp(result.law, "S10") == 0, "law %s: %s", result.law, result.message);
	*top = kept;
	while (herd_add(&herd, 28) == SNUG_OK) continue;
	REQUIRE_OK(snug_check(herd.heap, NULL));
	unpin_all();
	REQUIRE(lent_slots() == 0, "%llu slots are lent", (unsigned long long)lent_slots());
}

/* ------------------------------------------------------------------ homewards ---------------- */

/* Pieces go back into slots of their own when there are some, and their hosts are slabs again. */
static void pieces_go_home(void **state) {
	(void)state;
	pinned_holes(100);
	uint32_t first = herd.count;
	while (herd_add(&herd, 500) == SNUG_OK) continue;
	REQUIRE(lent_slots() > 0, "no hole was lent");
	unpin_all();
	for (uint32_t number = first; number < herd.count; number++)
		if (number % 2 == 0) herd_remove(&herd, number);
	for (uint32_t round = 0; round < 50 && lent_slots() > 0; round++) {
		for (uint32_t count = 0; count < 12; count++) REQUIRE_OK(herd_add(&herd, 500));
		snug_report report;
		herd.may_move = true;
		REQUIRE_OK(snug_defragment(herd.heap, NULL, &report));
		herd.may_move = false;
		REQUIRE_OK(snug_check(herd.heap, NULL));
	}
	REQUIRE(lent_slots() == 0, "%llu slots are lent", (unsigned long long)lent_slots());
}

/* Residents and guests go in any order. */
static void hosts_end_with_their_last_guest(void **state) {
	(void)state;
	uint32_t first = fill_with_guests(900);
	for (uint32_t number = 0; number < first; number += 3)
		if (herd.objects[number].name != 0) herd_remove(&herd, number);
	REQUIRE_OK(snug_check(herd.heap, NULL));
	for (uint32_t number = first; number < herd.count; number++) {
		herd_remove(&herd, number);
		if (number % 16 == 0) REQUIRE_OK(snug_check(herd.heap, NULL));
	}
	REQUIRE(lent_slots() == 0, "%llu slots are lent", (unsigned long long)lent_slots());
}

/* A third of all has gone, and there is neither a page nor a hole for what would go home: guests
 * fill the empty slots of some hosts, the other hosts are slabs whose holes make pages, and into
 * these others go home. One defragmentation does all of that. */
static void free_a_third_and_defragment(uint32_t least_percent) {
	for (uint32_t number = 0; number < herd.count; number += 3)
		if (herd.objects[number].name != 0) herd_remove(&herd, number);
	uint64_t free_bytes = herd_stats(&herd).limit_bytes - herd_stats(&herd).total.payload_bytes;
	snug_report report = herd_compact(&herd);
	REQUIRE(report.reclaimed_bytes - report.rehome_slab_bytes >= free_bytes * least_percent / 100,
			"%llu bytes reclaimed, of which %llu were taken, of %llu",
			(unsigned long long)report.reclaimed_bytes,
			(unsigned long long)report.rehome_slab_bytes, (unsigned long long)free_bytes);
	report = herd_compact(&herd);
	REQUIRE(report.reclaimed_bytes == 0, "the second one reclaimed %llu bytes",
			(unsigned long long)report.reclaimed_bytes);
}

/* In pieces and, where they fit one slot tightly, whole. */
static void go_beside_and_home(size_t size) {
	fill_with_guests(size);
	free_a_third_and_defragment(66);
}

static void guests_go_beside(void **state) {
	(void)state;
	go_beside_and_home(3000);
}

static void guests_go_home_whole(void **state) {
	(void)state;
	go_beside_and_home(500);
}

#define LAPS_MAX 8u

/* An owner who frees between all steps, so that each lap gains a page, does not keep it from its
 * end. */
static void laps_have_an_end(void **state) {
	(void)state;
	fill_with_guests(3000);
	snug_defragment_options options = snug_defragment_options_default();
	snug_report report;
	bool done = false;
	options.step_bytes = 1000;
	REQUIRE_OK(snug_defragment_begin(herd.heap, &options));
	for (uint32_t number = 0; !done; number += 7) {
		herd.may_move = true;
		REQUIRE_OK(snug_defragment_step(herd.heap, &done));
		herd.may_move = false;
		if (herd.objects[number % herd.count].name != 0) herd_remove(&herd, number % herd.count);
		REQUIRE(herd.heap->defragment.laps <= LAPS_MAX, "there is one more lap");
	}
	REQUIRE(herd.heap->defragment.laps == LAPS_MAX, "it ended by itself");
	herd.may_move = true;
	REQUIRE_OK(snug_defragment_end(herd.heap, &report));
	herd.may_move = false;
	REQUIRE_OK(snug_check(herd.heap, NULL));
	herd_verify(&herd);
}

/* Each ends after a unit of work, and most guests can't go: the next one goes on behind them. */
static void a_small_budget_goes_on(void **state) {
	(void)state;
	fill_with_guests(3000);
	snug_defragment_options options = snug_defragment_options_default();
	snug_report report;
	uint32_t runs = 0;
	options.budget_ns = 1;
	herd.may_move = true;
	do {
		REQUIRE_OK(snug_defragment(herd.heap, &options, &report));
	} while (herd.heap->defragment.rehome_cursor > 0 && ++runs < 100000);
	herd.may_move = false;
	REQUIRE(runs < 100000, "%llu slots are lent, and not all were looked at",
			(unsigned long long)lent_slots());
	REQUIRE_OK(snug_check(herd.heap, NULL));
	herd_verify(&herd);
}

/* Who gives no budget means all of the heap, wherever a small budget ended before. */
static void without_a_budget_all_are_looked_at(void **state) {
	(void)state;
	fill_with_guests(3000);
	const struct defragment *last = &herd.heap->defragment;
	snug_defragment_options options = snug_defragment_options_default();
	snug_report report = {0};
	options.budget_ns = 1;
	herd.may_move = true;
	do {
		REQUIRE_OK(snug_defragment(herd.heap, &options, &report));
	} while (last->rehome_cursor > 1);
	REQUIRE(last->rehome_cursor == 1 && report.outcome == SNUG_OUTCOME_BUDGET,
			"it ended at class %u", last->rehome_cursor);
	free_a_third_and_defragment(66);
}

/* Of some dozen slabs none is free, and each has guests: only if they go beside, there is a page to
 * begin with. What is free in the end is in large part less than a slab in each class. */
static void guests_go_beside_first(void **state) {
	(void)state;
	fill_with_guests(500);
	free_a_third_and_defragment(50);
}

/* Records of pins stay where they are, and the guests beside them go home or stay. */
static void records_hold_their_hosts(void **state) {
	(void)state;
	herd_fill(&herd, UINT64_MAX, 100, 100);
	uint32_t residents = herd.count;
	for (uint32_t number = 0; number < residents; number += 2) herd_remove(&herd, number);
	for (uint32_t number = 1; number < residents; number += 2) herd_pin(&herd, number);
	for (uint32_t number = 1; number < residents; number += 2)
		if (number % 20 != 1) herd_unpin(&herd, number);
	while (herd_add(&herd, 3000) == SNUG_OK) continue;
	for (uint32_t number = 1; number < residents; number += 20)
		if (number % 2000 != 1) herd_unpin(&herd, number);
	uint32_t records = herd.heap->pins.record_count;
	REQUIRE(records > 1 && lent_slots() > records, "%u records in %llu lent slots", records,
			(unsigned long long)lent_slots());
	uint32_t all = herd.count;
	for (uint32_t number = 0; number < all; number++)
		if (number % 16 != 0 && herd.objects[number].name != 0 && herd.objects[number].pins == 0)
			herd_remove(&herd, number);
	(void)herd_compact(&herd);
	REQUIRE(herd.heap->pins.record_count == records, "%u records of %u",
			herd.heap->pins.record_count, records);
	unpin_all();
}

/* What a resident leaves in a host serves its class as any hole does. */
static void a_hole_in_a_host_serves_its_class(void **state) {
	(void)state;
	pinned_holes(100);
	while (herd_add(&herd, 3000) == SNUG_OK) continue;
	while (herd_add(&herd, 90) == SNUG_OK) continue;
	REQUIRE_ERROR(SNUG_ERROR_NO_MEMORY, add_contiguous(100, &(uint64_t){0}));
	herd_unpin(&herd, 0);
	herd_remove(&herd, 0);
	uint64_t name;
	REQUIRE_OK(add_contiguous(100, &name));
	REQUIRE_OK(snug_check(herd.heap, NULL));
	REQUIRE_OK(herd.by_reference ? snug_ref_free(herd.heap, name, 100)
								 : snug_free(herd.heap, name));
	REQUIRE_OK(snug_check(herd.heap, NULL));
}

static bool handles = false;
static bool references = true;

#define OPENED(body, open)                                                      \
	cmocka_unit_test_prestate_setup_teardown(body, open, close_herd, &handles), \
		cmocka_unit_test_prestate_setup_teardown(body, open, close_herd, &references)
#define BOTH(body) OPENED(body, open_herd)

int main(void) {
	const struct CMUnitTest tests[] = {
		BOTH(small_holes_hold_large_objects),
		BOTH(one_object_may_take_all_holes),
		BOTH(contiguous_takes_a_larger_hole),
		BOTH(who_asked_for_it_is_refused),
		BOTH(pins_are_recorded_in_holes),
		BOTH(pieces_go_home),
		BOTH(hosts_end_with_their_last_guest),
		BOTH(holes_of_the_victim_are_used),
		BOTH(a_hole_in_a_host_serves_its_class),
		BOTH(hundreds_of_slots_are_a_stack),
		BOTH(guests_go_beside),
		BOTH(guests_go_home_whole),
		BOTH(laps_have_an_end),
		OPENED(guests_go_beside_first, open_large_pages),
		BOTH(a_small_budget_goes_on),
		BOTH(without_a_budget_all_are_looked_at),
		BOTH(records_hold_their_hosts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
