/* test_short_way.c: what the short way of allocating and freeing does not look at each time
 * (mem/slab/magazine.h) is found out all the same.
 *
 * Which objects are loose: it only counts them. The waste of a group is estimated from the sizes that
 * find a magazine empty; here those are never the loose ones. What is in use: payload is counted by
 * class, and a class may end. A reference: by the page that it points into and no more.
 *
 * Inline in a program it does the same, to the byte, as when it is called. */
#include "herd.h"
#include "mem/gate.h"
#include "mem/slab/classes.h"
#include "mem/slab/slab.h"
#include "support/require.h"
#include "unit/cmocka_all.h"

#define LIMIT_BYTES ((size_t)4 << 20)
#define PAGE_BYTES 4096u

static struct herd herd;

static int open_heap(void **state) {
	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
								 .limit_bytes = LIMIT_BYTES,
								 .page_bytes = PAGE_BYTES};
	herd_init(&herd, *(const bool *)*state, &options);
	return 0;
}

static int close_heap(void **state) {
	(void)state;
	herd_deinit(&herd);
	return 0;
}

static uint16_t class_of_size(size_t size) {
	return class_find(&herd.heap->classes, FAMILY_BYTES, size + herd.heap->slot_trailer_bytes);
}

/* Tight ones only where a magazine is empty, loose ones from what it was filled with. */
static void fill_behind_its_back(size_t tight, size_t loose, uint32_t count) {
	const struct class_entry *entry = &herd.heap->classes.entry[class_of_size(tight)];
	for (uint32_t i = 0; i < count; i++) {
		const struct size_class *class = entry->serving;
		bool is_refill = class->magazine_count == 0;
		REQUIRE_OK(herd_add(&herd, is_refill ? tight : loose));
	}
}

/* The class of the loose ones is activated, what lies loose is known, and goes home. */
static void a_group_wastes_unseen(void **state) {
	(void)state;
	const struct class_table *table = &herd.heap->classes;
	REQUIRE_OK(herd_add(&herd, 60));
	uint32_t stride = table->entry[class_of_size(60)].serving->stride;
	/* it may lie loose itself, and then all were known */
	herd_remove(&herd, 0);
	table->entry[class_of_size(60)].serving->loose = false;
	size_t tight = stride - herd.heap->slot_trailer_bytes, loose = tight - 12;
	uint16_t id = class_of_size(loose);
	REQUIRE(id != class_of_size(tight) && table->state[id] == NULL, "the class is active");
	for (uint32_t turn = 0; turn < 40 && table->state[id] == NULL; turn++) {
		fill_behind_its_back(tight, loose, 40);
		REQUIRE_OK(snug_check(herd.heap, NULL));
	}
	REQUIRE(table->state[id] != NULL, "%u objects of %zu bytes lie in slots of %u", herd.count,
			loose, stride);
	REQUIRE(table->state[class_of_size(tight)]->loose, "nobody knows that they do");
	REQUIRE_OK(snug_check(herd.heap, NULL));
	herd_thin_out(&herd, 0, herd.count, 500);
	REQUIRE_OK(herd_add(&herd, loose)); /* so that their class has a slab */
	(void)herd_compact(&herd);
}

/* Sizes on both sides of all that is short, and of what a slot of it holds. */
static void payload_is_what_was_asked_for(void **state) {
	(void)state;
	uint64_t sum_bytes = 0;
	for (size_t size = 4; size <= SHORT_BYTES_MAX + 80; size++) {
		REQUIRE_OK(herd_add(&herd, size));
		sum_bytes += size;
		REQUIRE(herd_stats(&herd).total.payload_bytes == sum_bytes, "%llu bytes after %zu",
				(unsigned long long)herd_stats(&herd).total.payload_bytes, size);
	}
	REQUIRE_OK(snug_check(herd.heap, NULL));
	for (uint32_t number = 0; number < herd.count; number++) {
		sum_bytes -= herd.objects[number].size;
		herd_remove(&herd, number);
		REQUIRE(herd_stats(&herd).total.payload_bytes == sum_bytes, "%llu bytes without the %u.",
				(unsigned long long)herd_stats(&herd).total.payload_bytes, number);
	}
}

/* By reference nobody knows the sizes of what is merged into a larger class, and its class ends. */
static void payload_outlives_its_class(void **state) {
	(void)state;
	snug_defragment_options merge = snug_defragment_options_default();
	snug_report report;
	merge.merge_classes = true;
	herd_fill(&herd, LIMIT_BYTES / 2, 40, 1000);
	uint32_t before = herd.heap->classes.active_count;
	herd_thin_out(&herd, 0, herd.count, 985);
	herd.may_move = true;
	REQUIRE_OK(snug_defragment(herd.heap, &merge, &report));
	herd.may_move = false;
	REQUIRE(herd.heap->classes.active_count < before, "all %u classes are left", before);
	REQUIRE(herd_stats(&herd).total.payload_bytes == herd.live_bytes, "%llu bytes, not %llu",
			(unsigned long long)herd_stats(&herd).total.payload_bytes,
			(unsigned long long)herd.live_bytes);
	REQUIRE_OK(snug_check(herd.heap, NULL));
	herd_remove_all(&herd);
	REQUIRE(herd_stats(&herd).total.payload_bytes == 0, "the empty heap holds %llu bytes",
			(unsigned long long)herd_stats(&herd).total.payload_bytes);
}

/* Bits that no reference has, on a page that there is. */
static void bits_beyond_a_reference(void **state) {
	(void)state;
	if (!herd.by_reference) return;
	for (size_t size = 100; size <= 3000; size += 2900) {
		REQUIRE_OK(herd_add(&herd, size));
		snug_ref ref = herd.objects[herd.count - 1].name;
		for (uint32_t bit = SNUG_REF_BITS; bit < 64; bit++) {
			snug_error error = snug_ref_free(herd.heap, ref | UINT64_C(1) << bit, size);
			REQUIRE(error == SNUG_ERROR_REFERENCE, "bit %u: %s", bit, snug_error_text(error));
		}
		REQUIRE_OK(snug_check(herd.heap, NULL));
	}
	herd_verify(&herd);
}

/* ------------------------------------------------------------------ inline -------------------- */

enum caller { INLINE, CALLED, OF_ANOTHER_LAYOUT, CALLER_COUNT };

static void ignore_move(void *context, snug_ref from, snug_ref to, size_t size) {
	(void)context, (void)from, (void)to, (void)size;
}

static snug_heap *open_for(enum caller caller) {
	snug_heap_options options = snug_heap_options_default();
	snug_heap *heap;
	options.limit_bytes = LIMIT_BYTES;
	options.page_bytes = PAGE_BYTES;
	options.no_compaction_in_alloc = true;
	options.owner.moved = ignore_move;
	REQUIRE_OK(snug_heap_create(&options, &heap));
	REQUIRE(heap->gate.inlined == INLINED_BYTES_MAX, "inline up to %llu bytes",
			(unsigned long long)heap->gate.inlined);
	if (caller == OF_ANOTHER_LAYOUT) heap->gate.inlined = 0;
	return heap;
}

static snug_error alloc_by(enum caller caller, snug_heap *heap, size_t size, snug_ref *out) {
	return caller == CALLED ? snug_ref_alloc_called(heap, size, out)
							: snug_ref_alloc(heap, size, out);
}

static snug_error free_by(enum caller caller, snug_heap *heap, snug_ref ref, size_t size) {
	return caller == CALLED ? snug_ref_free_called(heap, ref, size)
							: snug_ref_free(heap, ref, size);
}

static void require_alike(snug_heap *heap, snug_heap *other) {
	snug_stats stats, others;
	REQUIRE_OK(snug_check(heap, NULL));
	REQUIRE_OK(snug_stats_get(heap, &stats));
	REQUIRE_OK(snug_stats_get(other, &others));
	REQUIRE(stats.frees == others.frees && stats.allocations == others.allocations &&
				stats.total.payload_bytes == others.total.payload_bytes &&
				stats.committed_bytes == others.committed_bytes,
			"%llu frees, %llu allocations, %llu bytes", (unsigned long long)stats.frees,
			(unsigned long long)stats.allocations, (unsigned long long)stats.total.payload_bytes);
}

/* Sizes around all edges, more than the limit holds, wrong arguments among them. */
static void inline_and_called_are_alike(void **state) {
	(void)state;
	enum { COUNT = 12000 };
	static snug_ref refs[CALLER_COUNT][COUNT];
	static size_t sizes[COUNT];
	snug_heap *heaps[CALLER_COUNT];
	test_random random = {7};
	for (enum caller by = 0; by < CALLER_COUNT; by++) heaps[by] = open_for(by);
	for (uint32_t step = 0; step < 60000; step++) {
		uint32_t at = (uint32_t)test_random_below(&random, COUNT);
		bool is_free = refs[INLINE][at] != 0;
		size_t size = test_random_below(&random, step % 100 == 0 ? 20000 : 1100);
		snug_error errors[CALLER_COUNT];
		for (enum caller by = 0; by < CALLER_COUNT; by++) {
			snug_ref *ref = &refs[by][at];
			errors[by] = is_free ? free_by(by, heaps[by], *ref, sizes[at])
								 : alloc_by(by, heaps[by], size, ref);
			if (is_free) *ref = 0;
			REQUIRE(errors[by] == errors[INLINE] && *ref == refs[INLINE][at],
					"step %u, %zu bytes: %s, not %s", step, size, snug_error_text(errors[by]),
					snug_error_text(errors[INLINE]));
		}
		if (!is_free) sizes[at] = size;
	}
	for (enum caller by = 0; by < CALLER_COUNT; by++) {
		require_alike(heaps[by], heaps[INLINE]);
		REQUIRE_ERROR(SNUG_ERROR_NULL, alloc_by(by, NULL, 1, &refs[by][0]));
		REQUIRE_ERROR(SNUG_ERROR_NULL, alloc_by(by, heaps[by], 1, NULL));
		REQUIRE_ERROR(SNUG_ERROR_SIZE_ZERO, alloc_by(by, heaps[by], 0, &refs[by][0]));
		REQUIRE_ERROR(SNUG_ERROR_NULL, free_by(by, NULL, refs[by][0], 1));
	}
	for (enum caller by = 0; by < CALLER_COUNT; by++) REQUIRE_OK(snug_heap_destroy(heaps[by]));
}

/* Where inline_bytes is 0 nothing behind it means what the header says: not for any size. */
static void another_layout_is_not_read(void **state) {
	(void)state;
	snug_heap *heap = open_for(OF_ANOTHER_LAYOUT);
	struct class_table *table = &heap->classes;
	snug_ref ref, other;
	REQUIRE_OK(snug_ref_alloc(heap, 100, &ref));
	uint16_t of_nobody = table->shortest[0], of_some = table->shortest[100];
	REQUIRE(entry_at(heap, of_some)->serving->magazine_count > 0, "no slot could be popped");
	table->shortest[0] = of_some;
	snug_error error = snug_ref_alloc(heap, 0, &other);
	table->shortest[0] = of_nobody;
	REQUIRE(error == SNUG_ERROR_SIZE_ZERO, "0 bytes: %s", snug_error_text(error));
	REQUIRE_OK(snug_ref_free(heap, ref, 100));
	REQUIRE_OK(snug_check(heap, NULL));
	REQUIRE_OK(snug_heap_destroy(heap));
}

#define BOTH(test)                                                       \
	{#test " by handle", test, open_heap, close_heap, &(bool){false}}, { \
#test " by reference", test, open_heap, close_heap, &(bool) {    \
			true                                                         \
		}                                                                \
	}

int main(void) {
	const struct CMUnitTest tests[] = {
		BOTH(a_group_wastes_unseen),
		BOTH(payload_is_what_was_asked_for),
		BOTH(payload_outlives_its_class),
		BOTH(bits_beyond_a_reference),
		cmocka_unit_test(inline_and_called_are_alike),
		cmocka_unit_test(another_layout_is_not_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
