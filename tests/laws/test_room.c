/* test_room.c: a heap that refused an allocation looks for room again as soon as something has
 * changed, whatever that was; and an object that is being resized is followed wherever the room for
 * it puts it.
 *
 * Without the last resort: with it no hole is left beside a refusal (test_pieces.c).
 *
 * A refusal is remembered, so that a program that goes on asking a full heap is refused with one
 * comparison. What forgets it must be complete: each case here is one such change and no other. */
#include "herd.h"
#include "mem/arena/arena.h"
#include "mem/slab/classes.h"
#include "support/require.h"
#include "unit/cmocka_all.h"

#define MIB ((size_t)1 << 20)
#define PAGE_BYTES 4096u

static struct herd herd;

static void open_limited(bool by_reference, size_t limit_bytes, size_t page_bytes) {
	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
								 .limit_bytes = limit_bytes,
								 .page_bytes = page_bytes,
								 .no_last_resort = true};
	herd_init(&herd, by_reference, &options);
}

static int open_herd(void **state) {
	open_limited(*(const bool *)*state, 2 * MIB, PAGE_BYTES);
	return 0;
}

static int close_herd(void **state) {
	(void)state;
	REQUIRE_OK(snug_check(herd.heap, NULL));
	herd_verify(&herd);
	herd_deinit(&herd);
	return 0;
}

static void fill_up(size_t size) {
	herd_fill(&herd, UINT64_MAX, size, size);
}

/* ------------------------------------------------------------------ what is a change --------- */

/* A third of all slots are holes, but each slab has a pin. Half-empty slabs would be merged, which
 * asks for no change. */
static void an_unpin_makes_room(void **state) {
	(void)state;
	herd_fill(&herd, 3 * MIB / 2, 400, 400);
	for (uint32_t number = 0; number < herd.count; number += 3) herd_remove(&herd, number);
	for (uint32_t number = 1; number < herd.count; number += 3) herd_pin(&herd, number);
	fill_up(1500);
	REQUIRE_ERROR(SNUG_ERROR_NO_MEMORY, herd_add(&herd, 1500));
	for (uint32_t number = 0; number < herd.count; number++)
		if (herd.objects[number].pins > 0) herd_unpin(&herd, number);
	/* a merge could make room, too, so that the next line alone would not tell */
	REQUIRE(herd.heap->searched_at != herd.heap->changes + herd.heap->frees, "no change");
	for (uint32_t count = 0; count < 100; count++) REQUIRE_OK(herd_add(&herd, 1500));
}

/* Shrinking frees the last fragment of each object, in slabs of their own: no page becomes free by
 * that, but many can be gained. */
static void a_shrunk_object_makes_room(void **state) {
	(void)state;
	const size_t whole = 2 * (PAGE_BYTES - 16), tail = 200;
	fill_up(whole + tail);
	fill_up(1500);
	REQUIRE_ERROR(SNUG_ERROR_NO_MEMORY, herd_add(&herd, 1500));
	uint64_t slabs = herd_stats(&herd).total.slab_bytes;
	uint32_t shrunk = 0;
	for (uint32_t number = 0; number < herd.count; number++) {
		struct herd_object *object = &herd.objects[number];
		if (object->size != whole + tail || ++shrunk % 3 != 0) continue;
		REQUIRE_OK(herd.by_reference
					   ? snug_ref_resize(herd.heap, &object->name, object->size, whole)
					   : snug_resize(herd.heap, object->name, whole));
		object->size = (uint32_t)whole;
	}
	REQUIRE(herd_stats(&herd).total.slab_bytes == slabs, "a page became free by itself");
	uint64_t gain_pages = herd_estimate(&herd, NULL).reclaimable_bytes / PAGE_BYTES;
	REQUIRE(gain_pages >= 3, "%llu pages to gain", (unsigned long long)gain_pages);
	/* Two of them may go for metadata, a grain of handles and one of cells: what of these was not
	 * needed became room for objects before the refusal. */
	for (uint64_t pages = 0; pages + 2 < gain_pages; pages++) {
		for (uint32_t half = 0; half < 2; half++)
			REQUIRE(herd_add(&herd, 1500) == SNUG_OK, "%llu of %llu pages, %llu",
					(unsigned long long)pages, (unsigned long long)gain_pages,
					(unsigned long long)herd_estimate(&herd, NULL).reclaimable_bytes);
	}
}

/* A slab that is relocated is put back half-way: two half slabs, which make one. */
static void a_victim_that_is_put_back_makes_room(void **state) {
	bool by_reference = *(const bool *)*state;
	const size_t page_bytes = 16384;
	herd_deinit(&herd);
	open_limited(by_reference, 24 * MIB, page_bytes);
	herd_fill(&herd, UINT64_MAX, 1000, 1000);
	for (uint32_t number = 0; number < herd.count; number++)
		if (number / 15 % 2 == 0) herd_remove(&herd, number);
	snug_defragment_options options = snug_defragment_options_default();
	snug_report report;
	herd.may_move = true;
	REQUIRE_OK(snug_defragment(herd.heap, NULL, &report));
	/* a search that fails beside free pages: one page more than there are */
	size_t available_pages = herd_stats(&herd).available_bytes / page_bytes;
	REQUIRE_ERROR(SNUG_ERROR_NO_MEMORY, herd_add(&herd, (available_pages + 1) * (page_bytes - 16)));
	herd.may_move = true;
	options.retain_bytes = 0;
	options.step_bytes = 1;
	bool done = false;
	REQUIRE_OK(snug_defragment_begin(herd.heap, &options));
	for (uint64_t moves = herd_stats(&herd).moves;
		 !done && (herd.heap->target == PAGE_NONE || herd_stats(&herd).moves < moves + 3);)
		REQUIRE_OK(snug_defragment_step(herd.heap, &done));
	REQUIRE(!done, "nothing is relocated");
	const size_t whole_page = page_bytes - HANDLE_TRAILER_BYTES;
	while (arena_free_pages(&herd.heap->arena) > 0) REQUIRE_OK(herd_add(&herd, whole_page));
	REQUIRE_OK(herd_add(&herd, whole_page));
	herd.may_move = true;
	REQUIRE_OK(snug_defragment_end(herd.heap, &report));
}

/* ------------------------------------------------------------------ what is no change ------ */

/* A class without a magazine keeps its last slab while objects come and go. */
static void a_class_used_in_turns_keeps_its_slab(void **state) {
	(void)state;
	REQUIRE_OK(herd_add(&herd, 1300));
	herd_remove(&herd, 0);
	uint64_t released = herd.heap->totals.released_slabs;
	for (uint32_t turn = 0; turn < 100; turn++) {
		REQUIRE_OK(herd_add(&herd, 1300));
		herd_remove(&herd, herd.count - 1);
	}
	REQUIRE(herd.heap->totals.released_slabs == released, "its page came and went %llu times",
			(unsigned long long)(herd.heap->totals.released_slabs - released));
}

/* ------------------------------------------------------------------ who is resized ----------- */

/* The object lies alone in the emptiest slab, which is what is emptied to gain a page for it. */
static void a_resized_object_is_followed(void **state) {
	(void)state;
	herd_fill(&herd, 60 * PAGE_BYTES, 400, 400);
	while (herd_stats(&herd).available_bytes >= PAGE_BYTES) REQUIRE_OK(herd_add(&herd, 3000));
	uint32_t kept = 205;
	for (uint32_t number = 0; number < 600; number++)
		if (number != kept && (number / 10 == kept / 10 || number % 10 == 3))
			herd_remove(&herd, number);
	struct herd_object *object = &herd.objects[kept];
	uint64_t moves = herd_stats(&herd).moves;
	herd.may_move = true;
	REQUIRE_OK(herd.by_reference ? snug_ref_resize(herd.heap, &object->name, object->size, 3000)
								 : snug_resize(herd.heap, object->name, 3000));
	herd.may_move = false;
	REQUIRE(herd_stats(&herd).moves > moves, "nothing moved");
	herd_verify(&herd); /* its first 400 bytes: its size in the herd is still that */
	object->size = 3000;
	herd_remove(&herd, kept);
}

/* ------------------------------------------------------------------ what is not there -------- */

static struct size_class *class_without_holes(void) {
	for (uint32_t index = 0; index < herd.heap->classes.active_count; index++) {
		struct size_class *class = class_active(&herd.heap->classes, index);
		if (class->slabs > 1 && class->free_slots + class->magazine_count == 0) return class;
	}
	REQUIRE(false, "each class has holes");
	return NULL;
}

/* A class's count of slabs that was overwritten promises a page that no slab of it has. Nothing looks
 * for it for ever: neither an allocation nor a defragmentation. */
static void a_page_that_was_never_there(void **state) {
	(void)state;
	fill_up(1000);
	struct size_class *class = class_without_holes();
	uint32_t kept = class->slabs;
	class->slabs++;
	herd.heap->changes++;
	REQUIRE_ERROR(SNUG_ERROR_NO_MEMORY, herd_add(&herd, 1000));
	snug_defragment_options options = snug_defragment_options_default();
	REQUIRE_OK(snug_defragment_begin(herd.heap, &options));
	bool done = false;
	for (uint32_t steps = 0; !done; steps++) {
		REQUIRE(steps < 100, "it does not end");
		herd.may_move = true;
		REQUIRE_OK(snug_defragment_step(herd.heap, &done));
		herd.may_move = false;
	}
	snug_report report;
	REQUIRE_OK(snug_defragment_end(herd.heap, &report));
	REQUIRE(report.reclaimed_bytes == 0, "a page was gained");
	class->slabs = kept;
}

int main(void) {
	static bool handles = false;
	static bool references = true;
#define BOTH(function)                                                        \
	{#function "_handles", function, open_herd, close_herd, &handles}, {      \
#function "_references", function, open_herd, close_herd, &references \
	}
	const struct CMUnitTest tests[] = {
		BOTH(an_unpin_makes_room),
		BOTH(a_shrunk_object_makes_room),
		BOTH(a_victim_that_is_put_back_makes_room),
		BOTH(a_class_used_in_turns_keeps_its_slab),
		BOTH(a_resized_object_is_followed),
		BOTH(a_page_that_was_never_there),
	};
	return cmocka_run_group_tests_name("room", tests, NULL, NULL);
}
