/* test_adversarial.c: the heaps that memory managers fear, at several sizes, by handle and by
 * reference.
 *
 * Each case brings the heap into its state, defragments (herd_defragment requires the laws), and
 * requires that objects really moved, or really did not, and what was gained. Nothing here looks at
 * a clock. The 4 GiB heap runs in the long suite:
 *
 *     SNUG_HEAP_MIB=4096 build/tests/laws/test_adversarial */
#include "herd.h"
#include "support/require.h"
#include "support/twin/recount.h"
#include "unit/cmocka_all.h"

#include <stdio.h>

#define MIB ((uint64_t)1 << 20)

struct heap {
	uint64_t limit;
	bool by_reference;
	size_t small; /* the size of small objects: larger on large heaps, for the time it takes */
};

static void open_heap(struct herd *herd, const struct heap *heap) {
	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
								 .limit_bytes = (size_t)heap->limit};
	herd_init(herd, heap->by_reference, &options);
}

/* Full of one size, then of another, and back: the share of the limit that is payload must stay
 * high. */
static void size_flip(void **state) {
	const struct heap *heap = *state;
	struct herd herd;
	open_heap(&herd, heap);
	uint64_t first = herd_fill(&herd, UINT64_MAX, heap->small, heap->small);
	for (int round = 0; round < 3; round++) {
		uint32_t end = herd.count;
		size_t size = round % 2 == 0 ? 10 * heap->small : heap->small + 7;
		herd_thin_out(&herd, 0, end, 500);
		uint64_t added = herd_fill(&herd, UINT64_MAX, size, size + size / 8);
		REQUIRE(added > first / 3, "only %llu bytes found room after a flip",
				(unsigned long long)added);
		herd_thin_out(&herd, 0, end, 1000);
		herd_fill(&herd, UINT64_MAX, size, size + size / 8);
		snug_stats stats = herd_stats(&herd);
		double payload_share = (double)stats.total.payload_bytes / (double)stats.committed_bytes;
		REQUIRE(payload_share > (heap->limit > 8 * MIB ? 0.93 : 0.85),
				"%f of the pages are payload after flip %d", payload_share, round);
	}
	snug_stats stats = herd_stats(&herd);
	REQUIRE(stats.moves > 0 && stats.compacting_allocations > 0, "no allocation compacted");
	herd_verify(&herd);
	herd_thin_out(&herd, 0, herd.count, 500);
	snug_report report = herd_defragment(&herd, NULL);
	REQUIRE(report.moved_objects > 0 && report.reclaimed_bytes > 0, "nothing was gained");
	herd_deinit(&herd);
}

static void checkerboard(void **state) {
	const struct heap *heap = *state;
	struct herd herd;
	open_heap(&herd, heap);
	herd_fill(&herd, UINT64_MAX, heap->small, heap->small);
	for (uint32_t i = 0; i < herd.count; i += 2) {
		herd_remove(&herd, i);
	}
	recount before;
	recount_heap(herd.heap, &before);
	snug_report report = herd_defragment(&herd, NULL);
	uint64_t gained_pages = report.reclaimed_bytes / before.page_bytes;
	REQUIRE(gained_pages >= before.slab_pages * 45 / 100,
			"%llu of %llu slabs were gained from a checkerboard", (unsigned long long)gained_pages,
			(unsigned long long)before.slab_pages);
	REQUIRE(report.moved_objects >= herd.live * 45 / 100, "only %llu of %llu objects moved",
			(unsigned long long)report.moved_objects, (unsigned long long)herd.live);
	REQUIRE(report.after.total.external_fragmentation <
				report.before.total.external_fragmentation / 2,
			"external fragmentation was %f and is %f", report.before.total.external_fragmentation,
			report.after.total.external_fragmentation);
	herd_deinit(&herd);
}

static void one_per_cent_pinned(void **state) {
	const struct heap *heap = *state;
	struct herd herd;
	open_heap(&herd, heap);
	herd_fill(&herd, heap->limit * 7 / 10, heap->small, 4 * heap->small);
	herd_thin_out(&herd, 0, herd.count, 700);
	uint64_t pinned = 0;
	for (uint32_t i = 0; i < herd.count; i++) {
		if (herd.objects[i].name != 0 && test_random_chance(&herd.random, 10)) {
			herd_pin(&herd, i);
			pinned++;
		}
	}
	snug_estimate_report estimate = herd_estimate(&herd, NULL);
	snug_report report = herd_defragment(&herd, NULL);
	REQUIRE(report.pinned_objects == pinned && pinned > 0,
			"%llu pinned objects were reported, %llu are",
			(unsigned long long)report.pinned_objects, (unsigned long long)pinned);
	REQUIRE(report.pinned_slabs > 0 && report.unmovable_bytes == estimate.unmovable_bytes,
			"unmovable bytes: %llu and %llu", (unsigned long long)report.unmovable_bytes,
			(unsigned long long)estimate.unmovable_bytes);
	REQUIRE(report.moved_objects > 0 && report.reclaimed_bytes > 0, "nothing moved");
	uint64_t unmovable = report.unmovable_bytes;
	for (uint32_t i = 0; i < herd.count; i++) {
		if (herd.objects[i].pins > 0) {
			herd_unpin(&herd, i);
		}
	}
	report = herd_defragment(&herd, NULL);
	REQUIRE(report.reclaimed_bytes == unmovable,
			"%llu bytes were lost to pins; without them %llu were gained",
			(unsigned long long)unmovable, (unsigned long long)report.reclaimed_bytes);
	herd_deinit(&herd);
}

static void all_pinned(void **state) {
	const struct heap *heap = *state;
	struct herd herd;
	open_heap(&herd, heap);
	herd_fill(&herd, heap->limit * 6 / 10, heap->small, 3 * heap->small);
	herd_thin_out(&herd, 0, herd.count, 600);
	snug_defragment_options coalesce = snug_defragment_options_default();
	coalesce.mode = SNUG_COALESCE;
	herd_defragment(&herd, &coalesce);
	for (uint32_t i = 0; i < herd.count; i++) {
		if (herd.objects[i].name != 0) {
			herd_pin(&herd, i);
		}
	}
	snug_report report = herd_defragment(&herd, NULL);
	REQUIRE(report.outcome == SNUG_OUTCOME_NOTHING_PINNED && report.moved_objects == 0 &&
				report.reclaimed_bytes == 0,
			"all is pinned: %s, %llu moved", snug_outcome_text(report.outcome),
			(unsigned long long)report.moved_objects);
	REQUIRE(report.pinned_objects == herd.live && report.pinned_bytes == herd.live_bytes,
			"%llu pinned objects of %llu bytes", (unsigned long long)report.pinned_objects,
			(unsigned long long)report.pinned_bytes);
	REQUIRE(report.unmovable_bytes > 0, "no bytes were lost to the pins");
	uint64_t unmovable = report.unmovable_bytes;
	for (uint32_t i = 0; i < herd.count; i++) {
		if (herd.objects[i].name != 0) {
			herd_unpin(&herd, i);
		}
	}
	report = herd_defragment(&herd, NULL);
	REQUIRE(report.moved_objects > 0 && report.reclaimed_bytes == unmovable,
			"%llu bytes were unmovable, %llu were gained", (unsigned long long)unmovable,
			(unsigned long long)report.reclaimed_bytes);
	herd_deinit(&herd);
}

/* Half-full slabs in every class: no page is free, half of the memory is. */
static void stagnation(void **state) {
	const struct heap *heap = *state;
	struct herd herd;
	open_heap(&herd, heap);
	for (uint64_t added = 1; added > 0;) {
		added = 0;
		for (size_t size = heap->small; size < 3500; size += size / 4) {
			added += herd_fill(&herd, heap->limit / 40, size, size);
		}
	}
	for (uint32_t i = 0; i < herd.count; i += 2) {
		herd_remove(&herd, i);
	}
	uint64_t moves = herd_stats(&herd).moves;
	uint64_t free_bytes = heap->limit - herd.live_bytes;
	uint64_t added = herd_fill(&herd, UINT64_MAX, 777, 777);
	REQUIRE(added > free_bytes * 7 / 10,
			"of %llu bytes that were free in pieces only %llu could be used",
			(unsigned long long)free_bytes, (unsigned long long)added);
	REQUIRE(herd_stats(&herd).moves > moves, "nothing moved");
	herd_verify(&herd);
	herd_thin_out(&herd, 0, herd.count, 300);
	snug_report report = herd_defragment(&herd, NULL);
	REQUIRE(report.moved_objects > 0, "nothing moved");
	herd_deinit(&herd);
}

/* 256 bytes beside 12 MB (on small heaps, a fifth of the heap): the large ones live on what the
 *     small ones leave. */
static void small_and_huge(void **state) {
	const struct heap *heap = *state;
	struct herd herd;
	open_heap(&herd, heap);
	size_t huge = (size_t)(heap->limit / 5 < 12000000 ? heap->limit / 5 : 12000000);
	herd_fill(&herd, UINT64_MAX, 256, 256);
	for (int round = 0; round < 3; round++) {
		herd_thin_out(&herd, 0, herd.count, 600);
		uint64_t moves = herd_stats(&herd).moves;
		uint64_t expected = (heap->limit - herd.live_bytes) * 8 / 10 / huge;
		uint64_t count = herd_fill(&herd, UINT64_MAX, huge, huge) / huge;
		REQUIRE(count >= expected && count > 0, "%llu objects of %zu bytes found room, %llu should",
				(unsigned long long)count, huge, (unsigned long long)expected);
		/* Later, the huge ones that went may leave room enough. */
		REQUIRE(round > 0 || herd_stats(&herd).moves > moves, "nothing moved");
		herd_verify(&herd);
		herd_fill(&herd, UINT64_MAX, 256, 256);
	}
	herd_thin_out(&herd, 0, herd.count, 500);
	snug_report report = herd_defragment(&herd, NULL);
	REQUIRE(report.moved_objects > 0 && report.reclaimed_bytes > 0, "nothing moved");
	herd_deinit(&herd);
}

/* The largest object that fits, first in an empty heap, then where a full heap of small ones
 * was. */
static void as_large_as_the_heap(void **state) {
	const struct heap *heap = *state;
	struct herd herd;
	open_heap(&herd, heap);
	size_t size =
		(size_t)(heap->limit < SNUG_OBJECT_MAX_BYTES ? heap->limit : SNUG_OBJECT_MAX_BYTES);
	size_t step = size / 400;
	snug_error error;
	while ((error = herd_add(&herd, size)) != SNUG_OK) {
		REQUIRE(error == SNUG_ERROR_NO_MEMORY || error == SNUG_ERROR_SIZE_TOO_LARGE,
				"%zu bytes: %s", size, snug_error_text(error));
		size -= step;
	}
	REQUIRE(size > heap->limit / 100 * (heap->limit > 8 * MIB ? 95 : 80),
			"the largest object has %zu bytes", size);
	uint64_t metadata_bytes = herd_stats(&herd).metadata_bytes;
	herd_verify(&herd);
	herd_remove_all(&herd);
	herd_fill(&herd, UINT64_MAX, heap->small, 2 * heap->small);
	herd_thin_out(&herd, 0, herd.count, 990);
	REQUIRE_OK(herd_add(&herd, size / 2));
	REQUIRE(herd_stats(&herd).moves > 0, "nothing moved");
	herd_verify(&herd);
	herd_remove_all(&herd);
	/* All of it again, but for what the tables of many small objects have taken meanwhile. */
	size -= herd_stats(&herd).metadata_bytes - metadata_bytes + 2 * herd_stats(&herd).page_bytes;
	REQUIRE_OK(herd_add(&herd, size));
	herd_verify(&herd);
	herd_deinit(&herd);
}

#define CASES(X)           \
	X(size_flip)           \
	X(checkerboard)        \
	X(one_per_cent_pinned) \
	X(all_pinned)          \
	X(stagnation)          \
	X(small_and_huge)      \
	X(as_large_as_the_heap)

#define HEAPS_MAX 5
#define CASES_MAX 7

int main(void) {
	static const struct {
		const char *name;
		CMUnitTestFunction function;
	} cases[] = {
#define CASE_ROW(name) {#name, name},
		CASES(CASE_ROW)
#undef CASE_ROW
	};
	static struct heap usual[] = {{1 * MIB, false, 100},
								  {1 * MIB, true, 100},
								  {16 * MIB, false, 100},
								  {16 * MIB, true, 100},
								  {64 * MIB, true, 200}};
	static struct heap only[] = {{0, false, 500}, {0, true, 500}};
	uint64_t only_mib = test_environment_number("SNUG_HEAP_MIB", 0);
	only[0].limit = only[1].limit = only_mib * MIB;
	struct heap *heaps = only_mib != 0 ? only : usual;
	size_t heap_count = only_mib != 0 ? sizeof only / sizeof *only : sizeof usual / sizeof *usual;

	static char names[HEAPS_MAX * CASES_MAX][64];
	struct CMUnitTest tests[HEAPS_MAX * CASES_MAX];
	size_t count = 0;
	for (size_t h = 0; h < heap_count; h++) {
		for (size_t i = 0; i < sizeof cases / sizeof *cases; i++, count++) {
			snprintf(names[count], sizeof names[count], "%s_%lluM_%s", cases[i].name,
					 (unsigned long long)(heaps[h].limit / MIB),
					 heaps[h].by_reference ? "references" : "handles");
			tests[count] =
				(struct CMUnitTest){names[count], cases[i].function, NULL, NULL, &heaps[h]};
		}
	}
	return _cmocka_run_group_tests("adversarial", tests, count, NULL, NULL);
}
