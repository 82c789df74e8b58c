/* test_report.c: the report of a defragmentation is exact, in each way in which one can end.
 *
 * The bytes reclaimed are recounted from the map (recount.h), which is written from the page
 * descriptors, and from the bitmaps of pages; not from the counters that the report is made of. */
#include "base/bits.h"
#include "herd.h"
#include "mem/arena/arena.h"
#include "os/fake.h"
#include "support/require.h"
#include "support/twin/recount.h"
#include "unit/cmocka_all.h"

#define MIB ((size_t)1 << 20)

static struct herd herd;
static struct fake_os fake;

static int open_herd(void **state) {
	(void)state;
	fake_os_init(&fake);
	fake.advance_ns = 1000; /* each look at the clock takes a microsecond */
	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
								 .limit_bytes = 2 * MIB,
								 .page_bytes = 4096,
								 .os = &fake.os};
	herd_init(&herd, false, &options);
	return 0;
}

static int close_herd(void **state) {
	(void)state;
	herd_deinit(&herd);
	bool clean = fake.reserved_bytes == 0 && fake.mistakes == 0;
	fake_os_deinit(&fake);
	return !clean;
}

/* Pages of the regions in use that are neither free nor returned, as the bitmaps say, nor on the
 * stack. */
static uint64_t used_pages_in_bitmaps(void) {
	const struct arena *arena = &herd.heap->arena;
	uint64_t used = 0;
	for (uint32_t number = 0; number < arena->region_count; number++) {
		const struct region *region = arena_region(arena, number);
		used += region->page_count;
		for (uint32_t word = 0; word < REGION_WORDS; word++) {
			used -= bit_count(region->free_bits[word]) + bit_count(region->cold_bits[word]);
		}
	}
	for (page_number page = arena->stack; page != PAGE_NONE; page = arena->pages[page].next) used--;
	return used;
}

static uint64_t slab_bytes(void) {
	recount map;
	recount_heap(herd.heap, &map);
	REQUIRE(used_pages_in_bitmaps() == map.slab_pages + map.target_pages,
			"%llu pages are slabs, by the bitmaps %llu", (unsigned long long)map.slab_pages,
			(unsigned long long)used_pages_in_bitmaps());
	return map.slab_pages * map.page_bytes;
}

/* Full of small, medium and large objects, then every second one freed. The first objects of a size
 * sit in slots of a larger class until their own class becomes active, and an estimate is exact
 * only without such, so those are freed. */
static void make_holes(void) {
	static const size_t sizes[] = {100, 1000, 2030, 8500};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		uint32_t first = herd.count;
		herd_fill(&herd, 100 * sizes[i], sizes[i], sizes[i]);
		uint32_t end = herd.count;
		herd_fill(&herd, 300000, sizes[i], sizes[i]);
		herd_thin_out(&herd, first, end, 1000);
	}
	for (uint32_t i = 0; i < herd.count; i += 2) {
		if (herd.objects[i].name != 0) {
			herd_remove(&herd, i);
		}
	}
}

static snug_report defragment(const snug_defragment_options *options) {
	snug_report report;
	REQUIRE_OK(snug_defragment(herd.heap, options, &report));
	REQUIRE_OK(snug_check(herd.heap, NULL));
	herd_verify(&herd);
	return report;
}

static void require_reclaimed(const snug_report *report, uint64_t before) {
	uint64_t gained = before - slab_bytes();
	REQUIRE(report->reclaimed_bytes == gained, "the report says %llu bytes, the map %llu",
			(unsigned long long)report->reclaimed_bytes, (unsigned long long)gained);
}

static void coalesce_only(void **state) {
	(void)state;
	snug_defragment_options options = snug_defragment_options_default();
	options.mode = SNUG_COALESCE;
	/* One object a size, freed again: its slot stays cached, and so its slab stays a slab, until
	 * coalescing takes it back. */
	for (uint32_t size = 50; size < 3000; size += 50) {
		REQUIRE_OK(herd_add(&herd, size));
	}
	herd_remove_all(&herd);
	uint64_t before = slab_bytes();
	snug_estimate_report estimate = herd_estimate(&herd, &options);
	snug_report report = defragment(&options);
	require_reclaimed(&report, before);
	REQUIRE(report.reclaimed_bytes > 0 && slab_bytes() == 0,
			"%llu bytes are slabs without an object", (unsigned long long)slab_bytes());
	REQUIRE(report.coalesce_reclaimed_bytes == report.reclaimed_bytes,
			"not all of it by coalescing");
	REQUIRE(estimate.reclaimable_bytes == report.reclaimed_bytes &&
				estimate.coalesce_bytes == report.reclaimed_bytes,
			"the estimate was %llu", (unsigned long long)estimate.reclaimable_bytes);
	REQUIRE(report.moved_objects == 0 && report.moved_bytes == 0 && !report.compacted &&
				report.complete,
			"it compacted");
	REQUIRE(report.coalesced_bytes >= report.reclaimed_bytes, "%llu bytes were merged",
			(unsigned long long)report.coalesced_bytes);
}

static void compact(void **state) {
	(void)state;
	make_holes();
	uint64_t before = slab_bytes();
	snug_estimate_report estimate = herd_estimate(&herd, NULL);
	snug_report report = defragment(NULL);
	require_reclaimed(&report, before);
	REQUIRE(report.reclaimed_bytes == estimate.reclaimable_bytes &&
				report.reclaimed_bytes >= before / 4,
			"%llu of %llu bytes were reclaimed, the estimate was %llu",
			(unsigned long long)report.reclaimed_bytes, (unsigned long long)before,
			(unsigned long long)estimate.reclaimable_bytes);
	REQUIRE(report.outcome == SNUG_OUTCOME_DONE && report.complete && report.compacted,
			"the outcome is: %s", snug_outcome_text(report.outcome));
	REQUIRE(report.moved_objects > 0 &&
				report.moved_bytes <= report.reclaimed_bytes - report.coalesce_reclaimed_bytes,
			"%llu bytes copied", (unsigned long long)report.moved_bytes);
	REQUIRE(report.released_slabs * 4096 == report.reclaimed_bytes, "%llu slabs were released",
			(unsigned long long)report.released_slabs);
	REQUIRE(report.before.total.slab_bytes == before &&
				report.after.total.slab_bytes == slab_bytes(),
			"before and after");
	REQUIRE(report.before.total.reclaimable_bytes >=
					report.reclaimed_bytes - report.coalesce_reclaimed_bytes &&
				report.after.total.reclaimable_bytes == 0,
			"reclaimable were %llu bytes and are %llu",
			(unsigned long long)report.before.total.reclaimable_bytes,
			(unsigned long long)report.after.total.reclaimable_bytes);
	REQUIRE(report.steps > 1 && report.longest_step_ns > 0 &&
				report.work_ns >= report.longest_step_ns,
			"no time passed");
}

static void one_pool_only(void **state) {
	(void)state;
	uint64_t moved = 0;
	make_holes();
	for (unsigned pool = 0; pool < SNUG_POOL_COUNT; pool++) {
		recount before;
		recount after;
		snug_defragment_options options = snug_defragment_options_default();
		options.pool_mask = SNUG_POOL_BIT(pool);
		recount_heap(herd.heap, &before);
		snug_report report = defragment(&options);
		recount_heap(herd.heap, &after);
		REQUIRE(report.reclaimed_bytes == (before.pool[pool].slabs - after.pool[pool].slabs) * 4096,
				"pool %u: %llu bytes", pool, (unsigned long long)report.reclaimed_bytes);
		moved += report.moved_objects;
		for (unsigned other = 0; other < SNUG_POOL_COUNT; other++) {
			REQUIRE(other == pool || before.pool[other].slabs == after.pool[other].slabs,
					"pool %u changed pool %u", pool, other);
		}
	}
	REQUIRE(moved > 0, "nothing moved");
}

static void with_pins(void **state) {
	(void)state;
	make_holes();
	for (uint32_t i = 1; i < herd.count; i += 40) {
		if (herd.objects[i].name != 0) {
			herd_pin(&herd, i);
		}
	}
	uint64_t before = slab_bytes();
	snug_estimate_report estimate = herd_estimate(&herd, NULL);
	snug_report report = defragment(NULL);
	require_reclaimed(&report, before);
	snug_stats stats = herd_stats(&herd);
	REQUIRE(report.reclaimed_bytes == estimate.reclaimable_bytes && report.reclaimed_bytes > 0,
			"the estimate was %llu", (unsigned long long)estimate.reclaimable_bytes);
	REQUIRE(report.pinned_objects == stats.pinned_objects &&
				report.pinned_bytes == stats.pinned_bytes,
			"%llu objects pinned", (unsigned long long)report.pinned_objects);
	REQUIRE(report.pinned_slabs == stats.total.pinned_slabs && report.pinned_slabs > 0,
			"%llu slabs pinned", (unsigned long long)report.pinned_slabs);
	REQUIRE(report.unmovable_bytes == estimate.unmovable_bytes && report.unmovable_bytes > 0,
			"nothing was lost to pins");
}

static void partial_bytes(void **state) {
	(void)state;
	make_holes();
	snug_defragment_options options = snug_defragment_options_default();
	options.budget_bytes = 20000;
	uint64_t total = herd_estimate(&herd, NULL).reclaimable_bytes;
	uint64_t sum = 0;
	snug_report report;
	uint32_t parts = 0;
	do {
		uint64_t before = slab_bytes();
		report = defragment(&options);
		require_reclaimed(&report, before);
		REQUIRE(report.moved_bytes < 20000 + 4096, "%llu bytes copied",
				(unsigned long long)report.moved_bytes);
		REQUIRE(report.complete == (report.outcome != SNUG_OUTCOME_BUDGET), "complete is %d: %s",
				report.complete, snug_outcome_text(report.outcome));
		sum += report.reclaimed_bytes;
		REQUIRE(++parts < 1000, "no end");
	} while (!report.complete);
	REQUIRE(parts > 5, "only %u parts", parts);
	REQUIRE(sum == total, "in parts %llu bytes were reclaimed, at once it would have been %llu",
			(unsigned long long)sum, (unsigned long long)total);
}

static void partial_time(void **state) {
	(void)state;
	make_holes();
	snug_defragment_options options = snug_defragment_options_default();
	options.budget_ns = 20000;
	uint64_t before = slab_bytes();
	snug_report report = defragment(&options);
	require_reclaimed(&report, before);
	REQUIRE(report.outcome == SNUG_OUTCOME_BUDGET && !report.complete, "the outcome is: %s",
			snug_outcome_text(report.outcome));
	REQUIRE(report.work_ns >= 20000 && report.work_ns < 100000, "%llu ns of work",
			(unsigned long long)report.work_ns);
}

static void steps_end_in_time(void **state) {
	(void)state;
	make_holes();
	snug_defragment_options options = snug_defragment_options_default();
	options.step_bytes = SNUG_NO_BUDGET;
	options.step_ns = 5000;
	snug_report report = defragment(&options);
	REQUIRE(report.outcome == SNUG_OUTCOME_DONE && report.steps > 10, "%llu steps: %s",
			(unsigned long long)report.steps, snug_outcome_text(report.outcome));
	REQUIRE(report.longest_step_ns < 50000, "the longest step took %llu ns",
			(unsigned long long)report.longest_step_ns);
}

static void target(void **state) {
	(void)state;
	make_holes();
	snug_defragment_options options = snug_defragment_options_default();
	options.target_bytes = 10 * 4096;
	uint64_t before = slab_bytes();
	snug_report report = defragment(&options);
	require_reclaimed(&report, before);
	REQUIRE(report.outcome == SNUG_OUTCOME_TARGET && report.complete, "the outcome is: %s",
			snug_outcome_text(report.outcome));
	REQUIRE(report.reclaimed_bytes >= options.target_bytes, "the target was missed");
	snug_report rest = defragment(NULL);
	REQUIRE(rest.reclaimed_bytes > 0, "the target was everything");
}

/* Ended half-way: what was gained stays gained, and the report is as exact. */
static void cancelled(void **state) {
	(void)state;
	make_holes();
	uint64_t total = herd_estimate(&herd, NULL).reclaimable_bytes;
	uint64_t before = slab_bytes();
	bool done = false;
	snug_report report;
	REQUIRE_OK(snug_defragment_begin(herd.heap, NULL));
	while (before - slab_bytes() < total / 2) {
		REQUIRE_OK(snug_defragment_step(herd.heap, &done));
		REQUIRE(!done, "done before half of it");
	}
	REQUIRE_OK(snug_defragment_end(herd.heap, &report));
	require_reclaimed(&report, before);
	REQUIRE(report.outcome == SNUG_OUTCOME_CANCELLED && !report.complete, "the outcome is: %s",
			snug_outcome_text(report.outcome));
	REQUIRE_OK(snug_check(herd.heap, NULL));
	recount map;
	recount_heap(herd.heap, &map);
	REQUIRE(map.victim_pages == 0, "a victim was left behind");
	herd_verify(&herd);
	snug_report rest = defragment(NULL);
	REQUIRE(report.reclaimed_bytes + rest.reclaimed_bytes == total,
			"%llu and %llu bytes, together it should be %llu",
			(unsigned long long)report.reclaimed_bytes, (unsigned long long)rest.reclaimed_bytes,
			(unsigned long long)total);
}

/* What is allocated between two steps counts neither as reclaimed nor against it. */
static void steps_alone_count(void **state) {
	(void)state;
	make_holes();
	uint64_t gained = 0;
	snug_report report;
	REQUIRE_OK(snug_defragment_begin(herd.heap, NULL));
	for (bool done = false; !done;) {
		uint64_t before = slab_bytes();
		REQUIRE_OK(snug_defragment_step(herd.heap, &done));
		gained += before - slab_bytes();
		REQUIRE_OK(herd_add(&herd, 700));
	}
	REQUIRE_OK(snug_defragment_end(herd.heap, &report));
	REQUIRE(report.reclaimed_bytes == gained && gained > 0,
			"the report says %llu bytes, the steps gained %llu",
			(unsigned long long)report.reclaimed_bytes, (unsigned long long)gained);
	herd_verify(&herd);
}

static uintptr_t page_address(uint32_t number) {
	void *address;
	REQUIRE_OK(snug_ptr(herd.heap, herd.objects[number].name, &address));
	return (uintptr_t)address / 4096;
}

/* Pins an object on each page but that of the last object, and frees the others there. */
static void leave_one_unpinned_page(uint32_t first) {
	uintptr_t unpinned = page_address(herd.count - 1);
	for (uint32_t i = first; i < herd.count; i++) {
		bool fresh = page_address(i) != unpinned;
		for (uint32_t other = first; other < i && fresh; other++) {
			fresh = page_address(other) != page_address(i);
		}
		if (fresh) {
			herd_pin(&herd, i);
		}
	}
	for (uint32_t i = first; i < herd.count; i++) {
		if (herd.objects[i].pins == 0 && page_address(i) != unpinned) {
			herd_remove(&herd, i);
		}
	}
}

/* Between two steps the owner frees the last objects of a class's only slab without pins: the slots
 * are cached, and taking them back is what frees the slab. The pinned slabs have holes for more
 * than a slab, but none of them may become a victim. */
static void only_pinned_slabs_left(void **state) {
	(void)state;
	snug_defragment_options slow = snug_defragment_options_default();
	slow.step_bytes = 1;
	make_holes(); /* so that a victim of another class is at work when it happens */
	uint32_t first = herd.count;
	herd_fill(&herd, 45 * 400, 400, 400);
	leave_one_unpinned_page(first);
	bool done = false;
	REQUIRE_OK(snug_defragment_begin(herd.heap, &slow));
	REQUIRE_OK(snug_defragment_step(herd.heap, &done));
	herd_thin_out(&herd, first, herd.count, 1000);
	for (int i = 0; !done; i++) {
		REQUIRE(i < 100000, "no end");
		REQUIRE_OK(snug_defragment_step(herd.heap, &done));
	}
	snug_report report;
	REQUIRE_OK(snug_defragment_end(herd.heap, &report));
	REQUIRE(report.moved_objects > 0 && report.pinned_slabs > 0,
			"nothing moved, or nothing was pinned");
	REQUIRE_OK(snug_check(herd.heap, NULL));
	herd_verify(&herd);
}

/* Two slots that were just freed on a pinned slab are still cached: the estimate must count them as
 * the holes that they become. */
static void cached_slots_on_pinned_slabs_count(void **state) {
	(void)state;
	snug_defragment_options coalesce = snug_defragment_options_default();
	coalesce.mode = SNUG_COALESCE;
	herd_fill(&herd, 45 * 400, 400, 400);
	uintptr_t pinned = page_address(25);
	uintptr_t victim = page_address(herd.count - 1);
	REQUIRE(pinned != victim, "45 objects of 400 bytes are on one page");
	uint32_t kept = 0;
	for (uint32_t i = 0; i < herd.count; i++) {
		if (page_address(i) != pinned && (page_address(i) != victim || kept++ >= 1)) {
			herd_remove(&herd, i);
		}
	}
	herd_pin(&herd, 25);
	defragment(&coalesce);
	for (uint32_t i = 0, freed = 0; freed < 2; i++) {
		if (herd.objects[i].name != 0 && herd.objects[i].pins == 0 && page_address(i) == pinned) {
			herd_remove(&herd, i);
			freed++;
		}
	}
	uint64_t before = slab_bytes();
	snug_estimate_report estimate = herd_estimate(&herd, NULL);
	snug_report report = defragment(NULL);
	require_reclaimed(&report, before);
	REQUIRE(report.reclaimed_bytes == 4096 && estimate.reclaimable_bytes == 4096,
			"%llu bytes, the estimate was %llu", (unsigned long long)report.reclaimed_bytes,
			(unsigned long long)estimate.reclaimable_bytes);
}

static void retains_what_was_asked(void **state) {
	(void)state;
	struct herd large;
	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
								 .limit_bytes = 24 * MIB,
								 .page_bytes = 16384,
								 .os = &fake.os};
	herd_init(&large, false, &options);
	herd_fill(&large, UINT64_MAX, 1000, 30000);
	herd_remove_all(&large);
	snug_defragment_options return_most = snug_defragment_options_default();
	return_most.retain_bytes = 4 * MIB;
	snug_report report;
	REQUIRE_OK(snug_defragment(large.heap, &return_most, &report));
	uint64_t free_bytes = herd_stats(&large).free_page_bytes;
	REQUIRE(free_bytes >= 4 * MIB && free_bytes < 6 * MIB, "%llu free bytes were retained of 4 MiB",
			(unsigned long long)free_bytes);
	herd_deinit(&large);
}

/* What is pinned while its slab is half evacuated stays where it is. */
static void pinned_in_the_middle(void **state) {
	(void)state;
	make_holes();
	snug_defragment_options slow = snug_defragment_options_default();
	slow.step_bytes = 1;
	REQUIRE_OK(snug_defragment_begin(herd.heap, &slow));
	bool done = false;
	herd.may_move = true;
	for (uint64_t moves = herd_stats(&herd).moves; !done && herd_stats(&herd).moves < moves + 3;)
		REQUIRE_OK(snug_defragment_step(herd.heap, &done));
	recount map;
	recount_heap(herd.heap, &map);
	REQUIRE(!done && map.victim_pages == 1, "no slab is half evacuated");
	for (uint32_t i = 0; i < herd.count; i++) {
		if (herd.objects[i].name != 0) herd_pin(&herd, i);
	}
	REQUIRE_OK(snug_check(herd.heap, NULL));
	uint64_t moves = herd_stats(&herd).moves;
	while (!done) REQUIRE_OK(snug_defragment_step(herd.heap, &done));
	snug_report report;
	REQUIRE_OK(snug_defragment_end(herd.heap, &report));
	herd.may_move = false;
	REQUIRE(herd_stats(&herd).moves == moves && report.abandoned_slabs == 1,
			"%llu moves after all was pinned, %llu abandoned",
			(unsigned long long)(herd_stats(&herd).moves - moves),
			(unsigned long long)report.abandoned_slabs);
	herd_verify(&herd);
	for (uint32_t i = 0; i < herd.count; i++) {
		if (herd.objects[i].name != 0) herd_unpin(&herd, i);
	}
}

/* The budget ends in the middle of a slab, and before the next step allocations take the holes that
 * it counted on: nothing more can be gained, but what was copied for nothing is told. */
static void holes_taken_at_the_end_of_the_budget(void **state) {
	(void)state;
	herd_fill(&herd, 40 * 400, 400, 400);
	for (uint32_t i = 0; i < herd.count; i += 2) herd_remove(&herd, i);
	snug_defragment_options options = snug_defragment_options_default();
	options.step_bytes = 400;
	options.budget_bytes = 400;
	bool done = false;
	REQUIRE_OK(snug_defragment_begin(herd.heap, &options));
	herd.may_move = true;
	for (uint64_t moves = herd_stats(&herd).moves; !done && herd_stats(&herd).moves == moves;)
		REQUIRE_OK(snug_defragment_step(herd.heap, &done));
	herd.may_move = false;
	REQUIRE(!done && herd_estimate(&herd, NULL).reclaimable_bytes > 0, "no slab is half evacuated");
	while (herd_estimate(&herd, NULL).reclaimable_bytes > 0) REQUIRE_OK(herd_add(&herd, 400));
	while (!done) REQUIRE_OK(snug_defragment_step(herd.heap, &done));
	snug_report report;
	REQUIRE_OK(snug_defragment_end(herd.heap, &report));
	REQUIRE(report.complete && report.moved_bytes > 0 && report.abandoned_slabs == 1,
			"%s: %llu bytes moved, %llu slabs abandoned", snug_outcome_text(report.outcome),
			(unsigned long long)report.moved_bytes, (unsigned long long)report.abandoned_slabs);
	REQUIRE_OK(snug_check(herd.heap, NULL));
	herd_verify(&herd);
}

/* A report on one pool leaves out what is pinned in the others. */
static void pins_of_the_pools_in_scope(void **state) {
	(void)state;
	herd_fill(&herd, 20 * 100, 100, 100);
	herd_fill(&herd, 20 * 2030, 2030, 2030);
	herd_pin(&herd, 0);
	herd_pin(&herd, 1);
	herd_pin(&herd, 30);
	for (int pool = SNUG_POOL_SMALL; pool <= SNUG_POOL_MEDIUM; pool++) {
		snug_defragment_options options = snug_defragment_options_default();
		options.pool_mask = SNUG_POOL_BIT(pool);
		snug_report report = defragment(&options);
		uint64_t expected = pool == SNUG_POOL_SMALL ? 200 : 2030;
		REQUIRE(report.pinned_bytes == expected &&
					report.pinned_objects == (pool == SNUG_POOL_SMALL ? 2 : 1),
				"%llu pinned bytes in pool %d", (unsigned long long)report.pinned_bytes, pool);
		REQUIRE(herd_estimate(&herd, &options).pinned_bytes == expected,
				"the estimate counts others' pins");
	}
	herd_unpin(&herd, 0);
	herd_unpin(&herd, 1);
	herd_unpin(&herd, 30);
}

/* returned_bytes is of pages; what the tables gave back is told by the snapshots. */
static uint64_t metadata_returned(const snug_report *report) {
	return report->before.metadata_bytes - report->after.metadata_bytes;
}

/* Every unit of 2 MiB is partly used: compaction alone would return nothing. */
static void drains_scattered_units(void **state) {
	(void)state;
	for (size_t page_bytes = 4096; page_bytes <= 65536; page_bytes *= 4) {
		struct herd large;
		snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
									 .limit_bytes = 24 * MIB,
									 .page_bytes = page_bytes,
									 .no_last_resort = true, /* whose pieces take pages first */
									 .os = &fake.os};
		herd_init(&large, page_bytes == 16384, &options);
		herd_fill(&large, UINT64_MAX, 50, 3000);
		herd_thin_out(&large, 0, large.count, 500);
		uint64_t committed = herd_stats(&large).committed_bytes;
		size_t resident = fake.committed_bytes;
		snug_defragment_options return_all = snug_defragment_options_default();
		return_all.retain_bytes = 0;
		snug_report report = herd_defragment(&large, &return_all);
		snug_stats stats = herd_stats(&large);
		REQUIRE(committed - stats.committed_bytes == report.returned_bytes &&
					resident - fake.committed_bytes ==
						report.returned_bytes + metadata_returned(&report),
				"%llu bytes were returned, the OS got %zu",
				(unsigned long long)report.returned_bytes, resident - fake.committed_bytes);
		REQUIRE(stats.free_page_bytes < 2 * MIB, "%llu bytes are still free",
				(unsigned long long)stats.free_page_bytes);
		REQUIRE(report.returned_bytes >= 8 * MIB && report.relocated_bytes > 0 &&
					report.relocated_objects > 0 && report.relocated_bytes < report.returned_bytes,
				"%llu bytes were copied to return %llu", (unsigned long long)report.relocated_bytes,
				(unsigned long long)report.returned_bytes);
		herd_verify(&large);
		herd_deinit(&large);
	}
}

/* The object in the emptiest unit that is pinned keeps its unit; the other units are drained all
 * the same. */
static void drains_around_pins(void **state) {
	(void)state;
	struct herd large;
	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
								 .limit_bytes = 24 * MIB,
								 .page_bytes = 16384,
								 .os = &fake.os};
	herd_init(&large, false, &options);
	herd_fill(&large, UINT64_MAX, 500, 3000);
	herd_thin_out(&large, 0, large.count, 500);
	uint32_t pinned = 0;
	while (large.objects[pinned].name == 0) pinned++;
	herd_pin(&large, pinned);
	snug_defragment_options return_all = snug_defragment_options_default();
	return_all.retain_bytes = 0;
	snug_report report = herd_defragment(&large, &return_all);
	REQUIRE(report.returned_bytes >= 6 * MIB && report.pinned_objects == 1,
			"%llu bytes were returned", (unsigned long long)report.returned_bytes);
	herd_unpin(&large, pinned);
	herd_verify(&large);
	herd_deinit(&large);
}

/* Cancelled in the middle of a slab: the slab is brought to its new place, so that no page is
 * lost. */
static void drain_cancelled(void **state) {
	(void)state;
	struct herd large;
	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
								 .limit_bytes = 24 * MIB,
								 .page_bytes = 16384,
								 .no_last_resort = true, /* whose pieces move first */
								 .os = &fake.os};
	herd_init(&large, false, &options);
	herd_fill(&large, UINT64_MAX, 50, 3000);
	herd_thin_out(&large, 0, large.count, 500);
	snug_report report;
	large.may_move = true;
	REQUIRE_OK(snug_defragment(large.heap, NULL, &report));
	uint64_t before = herd_stats(&large).total.slab_bytes;
	snug_defragment_options slow = snug_defragment_options_default();
	slow.retain_bytes = 0;
	slow.step_bytes = 1;
	REQUIRE_OK(snug_defragment_begin(large.heap, &slow));
	uint64_t moves = herd_stats(&large).moves;
	bool done = false;
	while (!done && herd_stats(&large).moves < moves + 3)
		REQUIRE_OK(snug_defragment_step(large.heap, &done));
	recount map;
	recount_heap(large.heap, &map);
	REQUIRE(!done && map.target_pages == 1 && map.victim_pages == 1, "nothing is being relocated");
	REQUIRE_OK(snug_check(large.heap, NULL));
	REQUIRE_OK(snug_defragment_end(large.heap, &report));
	large.may_move = false;
	REQUIRE(report.outcome == SNUG_OUTCOME_CANCELLED && report.reclaimed_bytes == 0 &&
				report.returned_bytes == 0 && report.relocated_objects > 3,
			"%s, %llu relocated", snug_outcome_text(report.outcome),
			(unsigned long long)report.relocated_objects);
	REQUIRE(herd_stats(&large).total.slab_bytes == before, "a page was lost");
	REQUIRE_OK(snug_check(large.heap, NULL));
	herd_verify(&large);
	herd_deinit(&large);
}

/* ------------------------------------------------------------------ nothing to gain ----------- */

static void require_nothing(snug_outcome why) {
	snug_stats before = herd_stats(&herd);
	snug_estimate_report estimate = herd_estimate(&herd, NULL);
	snug_report report = defragment(NULL);
	snug_stats after = herd_stats(&herd);
	REQUIRE(estimate.outcome == why && estimate.reclaimable_bytes == 0,
			"the estimate is %llu bytes: %s", (unsigned long long)estimate.reclaimable_bytes,
			snug_outcome_text(estimate.outcome));
	REQUIRE(report.outcome == why && report.complete, "the outcome is: %s",
			snug_outcome_text(report.outcome));
	REQUIRE(report.reclaimed_bytes == 0 && report.moved_objects == 0 && report.moved_bytes == 0 &&
				report.released_slabs == 0,
			"something was done");
	REQUIRE(before.moves == after.moves && before.total.slab_bytes == after.total.slab_bytes,
			"something moved");
}

static void nothing_in_a_empty_heap(void **state) {
	(void)state;
	require_nothing(SNUG_OUTCOME_NOTHING);
}

static void nothing_in_a_full_heap(void **state) {
	(void)state;
	herd_fill(&herd, UINT64_MAX, 100, 100);
	require_nothing(SNUG_OUTCOME_NOTHING);
}

static void nothing_twice(void **state) {
	(void)state;
	make_holes();
	defragment(NULL);
	require_nothing(SNUG_OUTCOME_NOTHING);
	require_nothing(SNUG_OUTCOME_NOTHING);
}

static void nothing_but_pinned(void **state) {
	(void)state;
	snug_defragment_options coalesce = snug_defragment_options_default();
	coalesce.mode = SNUG_COALESCE;
	make_holes();
	defragment(&coalesce);
	for (uint32_t i = 0; i < herd.count; i++) {
		if (herd.objects[i].name != 0) {
			herd_pin(&herd, i);
		}
	}
	require_nothing(SNUG_OUTCOME_NOTHING_PINNED);
	REQUIRE(herd_estimate(&herd, NULL).unmovable_bytes > 0, "nothing is lost to the pins");
}

/* ------------------------------------------------------------------ merging, returning -------- */

static void merging_classes_gains_more(void **state) {
	(void)state;
	snug_defragment_options options = snug_defragment_options_default();
	/* enough of everything for many classes to become active */
	herd_fill(&herd, UINT64_MAX, 40, 1000);
	herd_thin_out(&herd, 0, herd.count, 970);
	defragment(NULL);
	uint64_t before = slab_bytes();
	options.merge_classes = true;
	REQUIRE(herd_estimate(&herd, NULL).reclaimable_bytes == 0,
			"there was something to gain without merging");
	snug_report report = defragment(&options);
	require_reclaimed(&report, before);
	REQUIRE(report.reclaimed_bytes > 0 && report.moved_bytes <= report.reclaimed_bytes,
			"%llu bytes by merging", (unsigned long long)report.reclaimed_bytes);
}

static void returns_whole_units(void **state) {
	(void)state;
	struct herd large;
	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
								 .limit_bytes = 24 * MIB,
								 .page_bytes = 16384,
								 .os = &fake.os};
	herd_init(&large, false, &options);
	herd_fill(&large, UINT64_MAX, 1000, 30000);
	/* a defragmentation may take some metadata */
	snug_stats before = herd_stats(&large);
	uint64_t committed = before.committed_bytes;
	size_t resident = fake.committed_bytes - before.metadata_bytes;
	/* the oldest: neighbours, so that whole units become free */
	herd_thin_out(&large, 0, large.count * 4 / 5, 1000);
	snug_defragment_options return_all = snug_defragment_options_default();
	return_all.retain_bytes = 4 * MIB;
	snug_report report;
	REQUIRE_OK(snug_defragment(large.heap, &return_all, &report));
	snug_stats stats = herd_stats(&large);
	REQUIRE(report.returned_bytes >= 8 * MIB && report.returned_bytes % (2 * MIB) == 0,
			"%llu bytes were returned", (unsigned long long)report.returned_bytes);
	REQUIRE(committed - stats.committed_bytes == report.returned_bytes,
			"committed were %llu bytes and are %llu", (unsigned long long)committed,
			(unsigned long long)stats.committed_bytes);
	resident -= fake.committed_bytes - stats.metadata_bytes;
	REQUIRE(resident == report.returned_bytes, "the OS got %zu bytes", resident);
	REQUIRE(stats.free_page_bytes >= 4 * MIB, "only %llu free bytes were retained",
			(unsigned long long)stats.free_page_bytes);
	REQUIRE_OK(snug_check(large.heap, NULL));
	herd_verify(&large);
	REQUIRE(herd_fill(&large, UINT64_MAX, 1000, 30000) > 8 * MIB,
			"returned memory cannot be taken again");
	herd_verify(&large);
	herd_deinit(&large);
}

/* Nothing to gain, and much to return: with and without being asked for. */
static void an_estimate_tells_what_returning_gives(void **state) {
	(void)state;
	struct herd large;
	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
								 .limit_bytes = 24 * MIB,
								 .page_bytes = 16384,
								 .os = &fake.os};
	herd_init(&large, false, &options);
	herd_fill(&large, UINT64_MAX, 1000, 30000);
	herd_remove_all(&large);
	snug_defragment_options coalesce = snug_defragment_options_default();
	(void)herd_defragment(&large, &coalesce); /* no slab is left */
	snug_estimate_report plain = herd_estimate(&large, NULL);
	snug_defragment_options return_all = snug_defragment_options_default();
	return_all.retain_bytes = 0;
	snug_estimate_report asked = herd_estimate(&large, &return_all);
	snug_report report = herd_defragment(&large, &return_all);
	REQUIRE(plain.outcome == SNUG_OUTCOME_NOTHING && plain.reclaimable_bytes == 0,
			"there was something to gain");
	REQUIRE(report.returned_bytes >= 20 * MIB, "%llu bytes returned",
			(unsigned long long)report.returned_bytes);
	REQUIRE(plain.returnable_bytes == asked.returnable_bytes, "who asks is told something else");
	REQUIRE(plain.returnable_bytes + 2 * MIB >= report.returned_bytes &&
				plain.returnable_bytes <= report.returned_bytes + 2 * MIB,
			"%llu bytes returned, %llu estimated", (unsigned long long)report.returned_bytes,
			(unsigned long long)plain.returnable_bytes);
	REQUIRE(plain.steps < asked.steps && plain.predicted_ns < asked.predicted_ns,
			"what is not asked for takes no time");
	REQUIRE(herd_estimate(&large, NULL).returnable_bytes == 0, "there is still some");
	herd_deinit(&large);
}

int main(void) {
#define WITH_HERD(function) cmocka_unit_test_setup_teardown(function, open_herd, close_herd)
	const struct CMUnitTest tests[] = {
		WITH_HERD(coalesce_only),
		WITH_HERD(compact),
		WITH_HERD(one_pool_only),
		WITH_HERD(with_pins),
		WITH_HERD(partial_bytes),
		WITH_HERD(partial_time),
		WITH_HERD(steps_end_in_time),
		WITH_HERD(target),
		WITH_HERD(cancelled),
		WITH_HERD(steps_alone_count),
		WITH_HERD(retains_what_was_asked),
		WITH_HERD(pinned_in_the_middle),
		WITH_HERD(holes_taken_at_the_end_of_the_budget),
		WITH_HERD(pins_of_the_pools_in_scope),
		WITH_HERD(drains_scattered_units),
		WITH_HERD(drains_around_pins),
		WITH_HERD(drain_cancelled),
		WITH_HERD(only_pinned_slabs_left),
		WITH_HERD(cached_slots_on_pinned_slabs_count),
		WITH_HERD(nothing_in_a_empty_heap),
		WITH_HERD(nothing_in_a_full_heap),
		WITH_HERD(nothing_twice),
		WITH_HERD(nothing_but_pinned),
		WITH_HERD(merging_classes_gains_more),
		WITH_HERD(returns_whole_units),
		WITH_HERD(an_estimate_tells_what_returning_gives),
	};
	return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
