/* test_seek.c: reading on in an object in fragments, from where the last reading of it was, while
 * its fragments move, it is resized, and others take the place of its slots. */
#include "herd.h"
#include "mem/types.h"
#include "support/require.h"
#include "unit/cmocka_all.h"

#include <string.h>

#define PAGE_BYTES 4096u
#define TAIL_BYTES 100u

static struct herd herd;

static int open_heap(void **state) {
	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
								 .limit_bytes = (size_t)4 << 20,
								 .page_bytes = PAGE_BYTES};
	herd_init(&herd, *(const bool *)*state, &options);
	herd_fill(&herd, 3000000, PAGE_BYTES + 800, 3 * PAGE_BYTES);
	herd_thin_out(&herd, 0, herd.count, 500);
	return 0;
}

static int close_heap(void **state) {
	(void)state;
	herd_deinit(&herd);
	return 0;
}

static void read_tail(uint32_t number, unsigned char *to) {
	const struct herd_object *object = &herd.objects[number];
	size_t offset = object->size - TAIL_BYTES;
	REQUIRE_OK(herd.by_reference
				   ? snug_ref_read(herd.heap, object->name, object->size, offset, to, TAIL_BYTES)
				   : snug_read(herd.heap, object->name, offset, to, TAIL_BYTES));
}

static uint32_t next_live(uint32_t number) {
	do number = (number + 1) % herd.count;
	while (herd.objects[number].name == 0);
	return number;
}

static bool ends_in_victim(uint32_t number) {
	const struct herd_object *object = &herd.objects[number];
	snug_extent extent;
	size_t count = 1;
	REQUIRE_OK(herd.by_reference
				   ? snug_ref_view(herd.heap, object->name, object->size, object->size - 1, 1,
								   &extent, &count)
				   : snug_view(herd.heap, object->name, object->size - 1, 1, &extent, &count));
	uint64_t offset = (uintptr_t)extent.data - herd.heap->bias;
	return page_of(&herd.heap->arena, offset) == herd.heap->victim;
}

/* One whose last fragment is about to move, if there is any. */
static uint32_t choose(uint32_t number) {
	for (uint32_t tries = 0; tries < herd.count; tries++) {
		number = next_live(number);
		if (ends_in_victim(number)) break;
	}
	return number;
}

/* Before each step the tail of an object is read, and after the step again. */
static void fragments_move(void **state) {
	(void)state;
	snug_defragment_options options = snug_defragment_options_default();
	snug_report report;
	unsigned char before[TAIL_BYTES], after[TAIL_BYTES];
	uint32_t number = 0;
	bool done = false;
	options.step_bytes = PAGE_BYTES / 2; /* now and then it ends in the middle of a victim */
	REQUIRE_OK(snug_defragment_begin(herd.heap, &options));
	while (!done) {
		number = choose(number);
		read_tail(number, before);
		herd.may_move = true;
		REQUIRE_OK(snug_defragment_step(herd.heap, &done));
		herd.may_move = false;
		REQUIRE_OK(snug_check(herd.heap, NULL));
		read_tail(number, after);
		REQUIRE(memcmp(before, after, TAIL_BYTES) == 0, "the tail of object %u differs", number);
	}
	REQUIRE_OK(snug_defragment_end(herd.heap, &report));
	REQUIRE(report.moved_objects > 50, "only %llu fragments moved",
			(unsigned long long)report.moved_objects);
	herd_verify(&herd);
}

/* An object whose tail was just read is freed; the next one takes its slots, first of all its
 * head's. */
static void slots_are_taken_again(void **state) {
	(void)state;
	unsigned char bytes[TAIL_BYTES];
	for (uint32_t round = 0, number = 0; round < 200; round++) {
		number = next_live(number);
		size_t size = herd.objects[number].size;
		read_tail(number, bytes);
		herd_remove(&herd, number);
		REQUIRE_OK(herd_add(&herd, size - round % 7 * 100));
		REQUIRE_OK(snug_check(herd.heap, NULL));
		read_tail(herd.count - 1, bytes);
	}
	herd_verify(&herd);
}

int main(void) {
	static bool handles = false;
	static bool references = true;
#define CASE(function, naming) \
	{ #function "_" #naming, function, open_heap, close_heap, &(naming) }
	const struct CMUnitTest tests[] = {
		CASE(fragments_move, handles),
		CASE(fragments_move, references),
		CASE(slots_are_taken_again, handles),
		CASE(slots_are_taken_again, references),
	};
	return cmocka_run_group_tests_name("seek", tests, NULL, NULL);
}
