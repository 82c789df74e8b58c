/* herd.c: see herd.h. */
#include "herd.h"

#include "mem/types.h"
#include "support/bound.h"
#include "support/require.h"
#include "support/twin/recount.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ contents ------------------ */

static void contents_of(struct herd *herd, uint32_t number, size_t size) {
	if (size > herd->buffer_bytes) {
		herd->buffer_bytes = 2 * size;
		herd->buffer = realloc(herd->buffer, herd->buffer_bytes);
		REQUIRE(herd->buffer != NULL, "the test ran out of memory");
	}
	test_random_fill(herd->buffer, size, number);
	memcpy(herd->buffer, &number, sizeof number);
}

static bool extent_equals(const snug_extent *extent, const unsigned char *expected) {
	return memcmp(extent->data, expected, extent->length) == 0;
}

static snug_error view(const struct herd *herd, const struct herd_object *object, size_t offset,
					   size_t length, snug_extent *extents, size_t *count) {
	return herd->by_reference ? snug_ref_view(herd->heap, object->name, object->size, offset,
											  length, extents, count)
							  : snug_view(herd->heap, object->name, offset, length, extents, count);
}

/* Compares in pieces of as many extents as fit on the stack; smaller ones where the object lies in
 * more. */
static void verify_object(struct herd *herd, uint32_t number) {
	enum { EXTENTS = 256, PIECE_BYTES = EXTENTS * 2048 };
	const struct herd_object *object = &herd->objects[number];
	contents_of(herd, number, object->size);
	for (size_t offset = 0; offset < object->size;) {
		snug_extent extents[EXTENTS];
		size_t count = EXTENTS;
		size_t length = object->size - offset < PIECE_BYTES ? object->size - offset : PIECE_BYTES;
		snug_error error = view(herd, object, offset, length, extents, &count);
		while (error == SNUG_ERROR_TOO_MANY_EXTENTS) {
			length /= 2;
			error = view(herd, object, offset, length, extents, &count);
		}
		REQUIRE_OK(error);
		REQUIRE(offset > 0 || object->pins == 0 || extents[0].data == object->pinned_at,
				"a pinned object was moved");
		for (size_t i = 0; i < count; i++) {
			REQUIRE(extent_equals(&extents[i], herd->buffer + offset),
					"object %u of %u bytes differs after byte %zu", number, object->size, offset);
			offset += extents[i].length;
		}
	}
}

void herd_verify(struct herd *herd) {
	for (uint32_t i = 0; i < herd->count; i++) {
		if (herd->objects[i].name != 0) {
			verify_object(herd, i);
		}
	}
}

/* ------------------------------------------------------------------ create, destroy ----------- */

static void herd_moved(void *context, snug_ref from, snug_ref to, size_t size) {
	struct herd *herd = context;
	uint32_t number;
	memcpy(&number, snug_ref_at(herd->heap, to), sizeof number);
	REQUIRE(herd->may_move && number < herd->count && herd->objects[number].name == from,
			"`moved` for an unknown object");
	REQUIRE(herd->objects[number].pins == 0, "a pinned object was moved");
	REQUIRE(!snug_ref_is_contiguous(to) || size >= herd->objects[number].size,
			"`moved` with too small a size");
	herd->objects[number].name = to;
	herd->moved_calls++;
}

void herd_init(struct herd *herd, bool by_reference, const snug_heap_options *options) {
	memset(herd, 0, sizeof *herd);
	herd->by_reference = by_reference;
	herd->random.state = 7;
	snug_heap_options with_owner = *options;
	if (by_reference) {
		with_owner.owner.moved = herd_moved;
		with_owner.owner.context = herd;
	}
	REQUIRE_OK(snug_heap_create(&with_owner, &herd->heap));
}

void herd_deinit(struct herd *herd) {
	REQUIRE_OK(snug_heap_destroy(herd->heap));
	free(herd->objects);
	free(herd->buffer);
	memset(herd, 0, sizeof *herd);
}

snug_stats herd_stats(struct herd *herd) {
	snug_stats stats;
	REQUIRE_OK(snug_stats_get(herd->heap, &stats));
	return stats;
}

snug_estimate_report herd_estimate(struct herd *herd, const snug_defragment_options *options) {
	snug_estimate_report estimate;
	REQUIRE_OK(snug_estimate(herd->heap, options, &estimate));
	return estimate;
}

/* ------------------------------------------------------------------ objects ------------------- */

/* Without the last resort: what compaction could gather must not have been enough. */
static void require_compacted(struct herd *herd, size_t size) {
	snug_defragment_options options = snug_defragment_options_default();
	options.merge_classes = true;
	snug_stats stats = herd_stats(herd);
	snug_estimate_report estimate = herd_estimate(herd, &options);
	uint64_t page = stats.page_bytes;
	uint64_t pages = stats.available_bytes / page + estimate.reclaimable_bytes / page;
	uint64_t needed = (size + page - 33) / (page - 32);
	REQUIRE(pages < needed + (page < 8192 ? 2 : 1),
			"%zu bytes were refused, but %llu bytes are available and compaction would gain %llu",
			size, (unsigned long long)stats.available_bytes,
			(unsigned long long)estimate.reclaimable_bytes);
}

static void require_full(struct herd *herd, size_t size) {
	if (herd->heap->options.no_last_resort) {
		require_compacted(herd, size);
		return;
	}
	struct bound_verdict verdict = bound_judge(herd->heap, size, BOUND_PLAIN);
	REQUIRE(verdict.wrong == NULL, "%zu bytes were refused, but %s: room for %llu, needed %llu",
			size, verdict.wrong, (unsigned long long)verdict.room_bytes,
			(unsigned long long)verdict.needed_bytes);
}

snug_error herd_add(struct herd *herd, size_t size) {
	uint64_t name = 0;
	herd->may_move = true;
	snug_error error = herd->by_reference ? snug_ref_alloc(herd->heap, size, &name)
										  : snug_alloc(herd->heap, size, &name);
	herd->may_move = false;
	if (error != SNUG_OK) {
		if (error == SNUG_ERROR_NO_MEMORY) {
			require_full(herd, size);
		}
		return error;
	}
	if (herd->count == herd->room) {
		herd->room = herd->room == 0 ? 1024 : 2 * herd->room;
		herd->objects = realloc(herd->objects, herd->room * sizeof *herd->objects);
		REQUIRE(herd->objects != NULL, "the test ran out of memory");
	}
	uint32_t number = herd->count++;
	herd->objects[number] = (struct herd_object){.name = name, .size = (uint32_t)size};
	contents_of(herd, number, size);
	REQUIRE_OK(herd->by_reference ? snug_ref_write(herd->heap, name, size, 0, herd->buffer, size)
								  : snug_write(herd->heap, name, 0, herd->buffer, size));
	herd->live++;
	herd->live_bytes += size;
	return SNUG_OK;
}

uint64_t herd_fill(struct herd *herd, uint64_t bytes, size_t low, size_t high) {
	uint64_t added = 0;
	while (added < bytes) {
		size_t size = (size_t)test_random_between(&herd->random, low, high);
		snug_error error = herd_add(herd, size);
		if (error != SNUG_OK) {
			REQUIRE(error == SNUG_ERROR_NO_MEMORY, "adding %zu bytes: %s", size,
					snug_error_text(error));
			return added;
		}
		added += size;
	}
	return added;
}

void herd_remove(struct herd *herd, uint32_t number) {
	struct herd_object *object = &herd->objects[number];
	REQUIRE_OK(herd->by_reference ? snug_ref_free(herd->heap, object->name, object->size)
								  : snug_free(herd->heap, object->name));
	herd->live--;
	herd->live_bytes -= object->size;
	object->name = 0;
}

void herd_thin_out(struct herd *herd, uint32_t first, uint32_t end, uint32_t per_mille) {
	for (uint32_t i = first; i < end; i++) {
		if (herd->objects[i].name != 0 && herd->objects[i].pins == 0 &&
			test_random_chance(&herd->random, per_mille)) {
			herd_remove(herd, i);
		}
	}
}

void herd_remove_all(struct herd *herd) {
	herd_thin_out(herd, 0, herd->count, 1000);
	REQUIRE(herd->live == 0, "%llu objects are pinned", (unsigned long long)herd->live);
	herd->count = 0;
}

void herd_pin(struct herd *herd, uint32_t number) {
	struct herd_object *object = &herd->objects[number];
	REQUIRE_OK(herd->by_reference ? snug_ref_pin(herd->heap, object->name, object->size)
								  : snug_pin(herd->heap, object->name));
	if (object->pins++ == 0) {
		snug_extent extent;
		size_t count = 1;
		REQUIRE_OK(herd->by_reference ? snug_ref_view(herd->heap, object->name, object->size, 0, 1,
													  &extent, &count)
									  : snug_view(herd->heap, object->name, 0, 1, &extent, &count));
		object->pinned_at = extent.data;
	}
}

void herd_unpin(struct herd *herd, uint32_t number) {
	struct herd_object *object = &herd->objects[number];
	REQUIRE_OK(herd->by_reference ? snug_ref_unpin(herd->heap, object->name, object->size)
								  : snug_unpin(herd->heap, object->name));
	object->pins--;
}

/* ------------------------------------------------------------------ defragmentation ----------- */

/* Steps until done; each copies less than step_bytes and one slot, and there is an end. */
static void step_to_the_end(struct herd *herd, const snug_defragment_options *options,
							uint64_t pages) {
	uint64_t page_bytes = herd_stats(herd).page_bytes;
	uint64_t steps_max = 2000 + pages * (2 + page_bytes / options->step_bytes + 1);
	uint64_t moved_before = herd_stats(herd).moved_bytes;
	bool done = false;
	for (uint64_t steps = 0; !done; steps++) {
		REQUIRE(steps < steps_max, "no end after %llu steps", (unsigned long long)steps);
		herd->may_move = true;
		REQUIRE_OK(snug_defragment_step(herd->heap, &done));
		herd->may_move = false;
		uint64_t moved = herd_stats(herd).moved_bytes;
		REQUIRE(moved - moved_before < options->step_bytes + page_bytes, "a step copied %llu bytes",
				(unsigned long long)(moved - moved_before));
		moved_before = moved;
	}
}

static void require_ok_check(struct herd *herd) {
	snug_check_result result;
	snug_error error = snug_check(herd->heap, &result);
	REQUIRE(error == SNUG_OK, "law %s: %s", result.law, result.message);
}

snug_report herd_compact(struct herd *herd) {
	snug_report report;
	herd->may_move = true;
	REQUIRE_OK(snug_defragment(herd->heap, NULL, &report));
	herd->may_move = false;
	require_ok_check(herd);
	herd_verify(herd);
	return report;
}

snug_report herd_defragment(struct herd *herd, const snug_defragment_options *options) {
	const snug_defragment_options defaults = snug_defragment_options_default();
	if (options == NULL) options = &defaults;
	recount before;
	recount after;
	snug_report report;
	uint64_t moved_calls = herd->moved_calls;
	snug_estimate_report estimate = herd_estimate(herd, options);
	recount_heap(herd->heap, &before);
	herd->may_move = true;
	REQUIRE_OK(snug_defragment_begin(herd->heap, options));
	step_to_the_end(herd, options, before.pages);
	REQUIRE_OK(snug_defragment_end(herd->heap, &report));
	herd->may_move = false;
	recount_heap(herd->heap, &after);
	REQUIRE(report.complete, "not complete: %s", snug_outcome_text(report.outcome));
	uint64_t taken_pages = report.rehome_slab_bytes / after.page_bytes;
	REQUIRE(report.reclaimed_bytes ==
				(before.slab_pages + taken_pages - after.slab_pages) * after.page_bytes,
			"the report says %llu bytes, the map %llu pages",
			(unsigned long long)report.reclaimed_bytes,
			(unsigned long long)(before.slab_pages - after.slab_pages));
	/* With pieces in lent holes it may be more: they are rehomed before anything is counted. */
	bool may_be_more = report.before.lent_slots > 0;
	REQUIRE(options->target_bytes != SNUG_NO_BUDGET ||
				report.reclaimed_bytes == estimate.reclaimable_bytes ||
				(may_be_more && report.reclaimed_bytes > estimate.reclaimable_bytes),
			"%llu bytes were reclaimed, the estimate was %llu",
			(unsigned long long)report.reclaimed_bytes,
			(unsigned long long)estimate.reclaimable_bytes);
	REQUIRE(may_be_more || report.moved_objects <= estimate.moves,
			"%llu moves, at most %llu were estimated", (unsigned long long)report.moved_objects,
			(unsigned long long)estimate.moves);
	REQUIRE(report.moved_bytes <= report.reclaimed_bytes - report.coalesce_reclaimed_bytes,
			"%llu bytes copied to gain %llu", (unsigned long long)report.moved_bytes,
			(unsigned long long)(report.reclaimed_bytes - report.coalesce_reclaimed_bytes));
	REQUIRE(herd->moved_calls - moved_calls <=
				report.moved_objects + report.relocated_objects + report.rehomed_objects,
			"`moved` was called too often");
	REQUIRE(report.abandoned_slabs == 0, "slabs were abandoned");
	if (options->target_bytes == SNUG_NO_BUDGET) {
		estimate = herd_estimate(herd, options);
		REQUIRE(estimate.reclaimable_bytes == 0, "there were %llu bytes left to gain",
				(unsigned long long)estimate.reclaimable_bytes);
	}
	require_ok_check(herd);
	herd_verify(herd);
	return report;
}
