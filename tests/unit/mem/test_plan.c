/* test_plan.c: the plan of an object in fragments: that it holds the object, and that a heap that
 * keeps its plans stores each size as one that makes each anew. */
#include "mem/object/plan.h"
#include "mem/slab/classes.h"
#include "support/require.h"
#include "unit/cmocka_all.h"

#include <snug/snug.h>

#include <string.h>

static void ignore_move(void *context, snug_ref from, snug_ref to, size_t size) {
	(void)context, (void)from, (void)to, (void)size;
}

static snug_heap *open_heap(size_t limit_bytes, size_t page_bytes, bool by_reference) {
	snug_heap_options options = snug_heap_options_default();
	snug_heap *heap;
	options.limit_bytes = limit_bytes;
	options.page_bytes = page_bytes;
	if (by_reference) options.owner.moved = ignore_move;
	REQUIRE_OK(snug_heap_create(&options, &heap));
	return heap;
}

/* All fragments but the last fill their slots, which are of ever smaller classes. */
static void require_whole(const snug_heap *heap, size_t size, const struct chain_plan *plan) {
	const struct class_table *table = &heap->classes;
	uint64_t bytes = plan->whole * whole_fragment_bytes(heap);
	uint64_t slot_bytes = plan->whole * heap->arena.page_bytes;
	REQUIRE(plan->tails <= TAIL_FRAGMENTS_MAX, "%zu bytes: %u tails", size, plan->tails);
	for (uint32_t tail = 0; tail < plan->tails; tail++) {
		uint32_t stride = table->entry[plan->tail_id[tail]].stride;
		uint32_t filled_bytes = plan->tail_bytes[tail] + table->fragment_trailer_bytes;
		bool is_last = tail + 1 == plan->tails;
		REQUIRE(is_last ? filled_bytes <= stride : filled_bytes == stride,
				"%zu bytes: fragment %u has %u of a slot of %u", size, tail, filled_bytes, stride);
		bytes += plan->tail_bytes[tail];
		slot_bytes += stride;
	}
	REQUIRE(bytes == size, "%zu bytes: the plan holds %llu", size, (unsigned long long)bytes);
	REQUIRE(slot_bytes == plan->slot_bytes, "%zu bytes: slots of %llu", size,
			(unsigned long long)slot_bytes);
}

static bool is_split(const snug_heap *heap, size_t size, struct chain_plan *plan) {
	*plan = (struct chain_plan){0};
	uint16_t id = class_find(&heap->classes, FAMILY_BYTES, size + heap->slot_trailer_bytes);
	return chain_plan_beats_slot(heap, size, id, plan);
}

static void require_alike(const snug_heap *keeps, const snug_heap *makes, size_t size) {
	struct chain_plan kept, made;
	bool split = is_split(makes, size, &made);
	for (int times = 0; times < 2; times++) { /* the second time it is read */
		REQUIRE(is_split(keeps, size, &kept) == split, "%zu bytes: split or not", size);
		if (!split) continue;
		require_whole(keeps, size, &kept);
		REQUIRE(memcmp(&kept, &made, sizeof made) == 0, "%zu bytes: another plan is kept", size);
	}
	struct chain_plan again = {0}, anew = {0};
	chain_plan_make(keeps, size, &again);
	chain_plan_make(makes, size, &anew);
	require_whole(keeps, size, &again);
	REQUIRE(memcmp(&again, &anew, sizeof anew) == 0, "%zu bytes: as a rest, another plan", size);
}

static void a_kept_plan_is_the_one_that_is_made(void **state) {
	(void)state;
	for (size_t page_bytes = PAGE_BYTES_MIN; page_bytes <= PAGE_BYTES_MAX; page_bytes *= 4) {
		for (int by_reference = 0; by_reference < 2; by_reference++) {
			snug_heap *keeps = open_heap(page_bytes * 2048, page_bytes, by_reference);
			snug_heap *makes = open_heap(page_bytes * 2048 - 1, page_bytes, by_reference);
			assert_non_null(keeps->classes.plans);
			assert_null(makes->classes.plans);
			size_t step = page_bytes / PAGE_BYTES_MIN;
			for (size_t size = 1; size < page_bytes * 5 / 2; size += step)
				require_alike(keeps, makes, size);
			REQUIRE_OK(snug_check(keeps, NULL));
			REQUIRE_OK(snug_heap_destroy(keeps));
			REQUIRE_OK(snug_heap_destroy(makes));
		}
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_kept_plan_is_the_one_that_is_made),
	};
	return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
