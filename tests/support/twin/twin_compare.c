/* twin_compare.c: what must be equal between the heap and its twin at any moment; see twin.h. */
#include "support/require.h"
#include "support/twin/twin.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The extents of a range, in twin->extents. */
static size_t view_extents(struct twin *twin, const twin_object *object, size_t offset,
						   size_t length) {
	size_t count = 0;
	REQUIRE_OK(twin->naming == TWIN_HANDLES
				   ? snug_extent_count(twin->heap, object->name, &count)
				   : snug_ref_extent_count(twin->heap, object->name, object->size, &count));
	REQUIRE(count > 0 && count <= object->size, "an object of %zu bytes has %zu extents",
			object->size, count);
	REQUIRE(!object->contiguous || count == 1,
			"an object that was to be contiguous has %zu extents", count);
	if (count > twin->extent_room) {
		twin->extent_room = 2 * count;
		twin->extents = realloc(twin->extents, twin->extent_room * sizeof *twin->extents);
		REQUIRE(twin->extents != NULL, "the test ran out of memory");
	}
	size_t used = twin->extent_room;
	REQUIRE_OK(twin->naming == TWIN_HANDLES
				   ? snug_view(twin->heap, object->name, offset, length, twin->extents, &used)
				   : snug_ref_view(twin->heap, object->name, object->size, offset, length,
								   twin->extents, &used));
	REQUIRE(used <= count, "a view of part of an object has %zu extents, the whole %zu", used,
			count);
	REQUIRE(length < object->size || used == count,
			"a view of the whole object has %zu extents, not %zu", used, count);
	return used;
}

unsigned char *twin_address(struct twin *twin, size_t index) {
	const twin_object *object = &twin->objects[index];
	void *address = NULL;
	if (twin->naming == TWIN_HANDLES) {
		snug_error error = snug_ptr(twin->heap, object->name, &address);
		if (error != SNUG_OK) {
			REQUIRE(error == SNUG_ERROR_NOT_CONTIGUOUS && !object->contiguous && address == NULL,
					"the address of an object of %zu bytes: %s", object->size,
					snug_error_text(error));
			view_extents(twin, object, 0, 1);
			address = twin->extents[0].data;
		}
	} else {
		address = snug_ref_at(twin->heap, object->name);
		REQUIRE(!object->contiguous || snug_ref_is_contiguous(object->name),
				"a contiguous object became a chain");
	}
	REQUIRE((uintptr_t)address % object->alignment == 0, "an object aligned to %u lies at %p",
			object->alignment, address);
	return address;
}

uint64_t twin_places(struct twin *twin, size_t index) {
	const twin_object *object = &twin->objects[index];
	size_t count = view_extents(twin, object, 0, object->size);
	test_random hash = {count};
	for (size_t i = 0; i < count; i++) {
		hash.state ^= (uintptr_t)twin->extents[i].data;
		hash.state = test_random_next(&hash) ^ twin->extents[i].length;
	}
	return test_random_next(&hash);
}

void twin_view(struct twin *twin, size_t index, size_t offset, size_t length) {
	const twin_object *object = &twin->objects[index];
	size_t count = view_extents(twin, object, offset, length);
	size_t done = 0;
	for (size_t i = 0; i < count; i++) {
		size_t piece = twin->extents[i].length;
		REQUIRE(piece > 0 && piece <= length - done,
				"extent %zu of %zu has %zu bytes, %zu are left", i, count, piece, length - done);
		REQUIRE(memcmp(twin->extents[i].data, object->bytes + offset + done, piece) == 0,
				"the content of an object of %zu bytes differs in extent %zu of %zu", object->size,
				i, count);
		done += piece;
	}
	REQUIRE(done == length, "the extents have %zu bytes, %zu were asked for", done, length);
	twin->counters.bytes_compared += length;
}

void twin_read(struct twin *twin, size_t index, size_t offset, size_t length) {
	const twin_object *object = &twin->objects[index];
	unsigned char *buffer = malloc(length + 1);
	REQUIRE(buffer != NULL, "the test ran out of memory");
	buffer[length] = 0x5a;
	REQUIRE_OK(twin->naming == TWIN_HANDLES
				   ? snug_read(twin->heap, object->name, offset, buffer, length)
				   : snug_ref_read(twin->heap, object->name, object->size, offset, buffer, length));
	REQUIRE(memcmp(buffer, object->bytes + offset, length) == 0,
			"reading %zu bytes at %zu of %zu gave others", length, offset, object->size);
	REQUIRE(buffer[length] == 0x5a, "reading wrote beyond the buffer");
	twin->counters.bytes_compared += length;
	free(buffer);
}

void twin_refuse_ranges(struct twin *twin, size_t index) {
	const twin_object *object = &twin->objects[index];
	char byte = 'x';
	size_t count = 1;
	snug_extent extent = {0};
	static const size_t beyond[][2] = {{0, 1}, {1, 0}, {SIZE_MAX, 0}, {SIZE_MAX, 2}};
	for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++) {
		/* {size, 1}, {size + 1, 0}, and two that overflow */
		size_t offset = beyond[i][0] == SIZE_MAX ? SIZE_MAX : object->size + beyond[i][0];
		size_t length = beyond[i][1];
		if (twin->naming == TWIN_HANDLES) {
			REQUIRE_ERROR(SNUG_ERROR_RANGE,
						  snug_read(twin->heap, object->name, offset, &byte, length));
			REQUIRE_ERROR(SNUG_ERROR_RANGE,
						  snug_write(twin->heap, object->name, offset, &byte, length));
			REQUIRE_ERROR(SNUG_ERROR_RANGE,
						  snug_view(twin->heap, object->name, offset, length, &extent, &count));
		} else {
			size_t size = object->size;
			REQUIRE_ERROR(SNUG_ERROR_RANGE,
						  snug_ref_read(twin->heap, object->name, size, offset, &byte, length));
			REQUIRE_ERROR(SNUG_ERROR_RANGE,
						  snug_ref_write(twin->heap, object->name, size, offset, &byte, length));
			REQUIRE_ERROR(SNUG_ERROR_RANGE, snug_ref_view(twin->heap, object->name, size, offset,
														  length, &extent, &count));
		}
	}
	if (view_extents(twin, object, 0, object->size) > 1) {
		REQUIRE_ERROR(SNUG_ERROR_TOO_MANY_EXTENTS,
					  twin->naming == TWIN_HANDLES
						  ? snug_view(twin->heap, object->name, 0, object->size, &extent, &count)
						  : snug_ref_view(twin->heap, object->name, object->size, 0, object->size,
										  &extent, &count));
	}
	REQUIRE(byte == 'x' && count == 1 && extent.data == NULL,
			"a refused call wrote its out-parameter");
}

void twin_compare_object(struct twin *twin, size_t index) {
	const twin_object *object = &twin->objects[index];
	if (twin->naming == TWIN_HANDLES) {
		size_t size = 0;
		REQUIRE_OK(snug_size(twin->heap, object->name, &size));
		REQUIRE(size == object->size, "the size is %zu, not %zu", size, object->size);
	}
	twin_address(twin, index);
	twin_view(twin, index, 0, object->size);
	REQUIRE(object->pins == 0 || twin_places(twin, index) == object->pinned_places,
			"a pinned object's addresses changed");
}

void twin_compare_all(struct twin *twin) {
	for (size_t i = 0; i < twin->count; i++) {
		twin_compare_object(twin, i);
	}
}

/* ------------------------------------------------------------------ statistics ---------------- */

#define REQUIRE_EQUAL(stored, counted)                                                        \
	REQUIRE((uint64_t)(stored) == (uint64_t)(counted), "%s is %llu, but %s is %llu", #stored, \
			(unsigned long long)(stored), #counted, (unsigned long long)(counted))

static void compare_pool_stats(const snug_pool_stats *pool, uint64_t page_bytes) {
	REQUIRE_EQUAL(pool->slab_bytes, pool->slabs * page_bytes);
	REQUIRE(pool->payload_bytes <= pool->slot_bytes, "more payload than slots");
	REQUIRE(pool->slot_bytes + pool->hole_bytes <= pool->slab_bytes,
			"slots and holes exceed the slabs");
	REQUIRE(pool->reclaimable_bytes <= pool->slab_bytes &&
				pool->reclaimable_bytes % page_bytes == 0,
			"reclaimable are %llu bytes of %llu", (unsigned long long)pool->reclaimable_bytes,
			(unsigned long long)pool->slab_bytes);
	REQUIRE(pool->pinned_slabs <= pool->slabs, "more pinned slabs than slabs");
	double internal =
		pool->slot_bytes == 0 ? 0 : 1 - (double)pool->payload_bytes / (double)pool->slot_bytes;
	double external =
		pool->slab_bytes == 0 ? 0 : (double)pool->hole_bytes / (double)pool->slab_bytes;
	REQUIRE(fabs(internal - pool->internal_fragmentation) < 1e-9,
			"internal fragmentation %f, not %f", pool->internal_fragmentation, internal);
	REQUIRE(fabs(external - pool->external_fragmentation) < 1e-9,
			"external fragmentation %f, not %f", pool->external_fragmentation, external);
}

static void compare_pool_sums(const snug_stats *stats) {
	snug_pool_stats sum = {0};
	for (size_t i = 0; i < SNUG_POOL_COUNT; i++) {
		compare_pool_stats(&stats->pool[i], stats->page_bytes);
		sum.objects += stats->pool[i].objects;
		sum.payload_bytes += stats->pool[i].payload_bytes;
		sum.slot_bytes += stats->pool[i].slot_bytes;
		sum.slab_bytes += stats->pool[i].slab_bytes;
		sum.hole_bytes += stats->pool[i].hole_bytes;
		sum.reclaimable_bytes += stats->pool[i].reclaimable_bytes;
		sum.slabs += stats->pool[i].slabs;
		sum.pinned_slabs += stats->pool[i].pinned_slabs;
		sum.active_classes += stats->pool[i].active_classes;
	}
	REQUIRE_EQUAL(stats->total.objects, sum.objects);
	REQUIRE_EQUAL(stats->total.payload_bytes, sum.payload_bytes);
	REQUIRE_EQUAL(stats->total.slot_bytes, sum.slot_bytes);
	REQUIRE_EQUAL(stats->total.slab_bytes, sum.slab_bytes);
	REQUIRE_EQUAL(stats->total.hole_bytes, sum.hole_bytes);
	REQUIRE_EQUAL(stats->total.reclaimable_bytes, sum.reclaimable_bytes);
	REQUIRE_EQUAL(stats->total.slabs, sum.slabs);
	REQUIRE_EQUAL(stats->total.pinned_slabs, sum.pinned_slabs);
	REQUIRE_EQUAL(stats->total.active_classes, sum.active_classes);
}

void twin_compare_stats(struct twin *twin, const snug_stats *stats) {
	compare_pool_sums(stats);
	compare_pool_stats(&stats->total, stats->page_bytes);
	uint64_t used = stats->committed_bytes + stats->metadata_bytes;
	uint64_t account = used + stats->charged_bytes;
	REQUIRE_EQUAL(stats->limit_bytes, twin->options.limit_bytes);
	REQUIRE(account <= stats->limit_bytes, "%llu bytes are used, the limit is %llu",
			(unsigned long long)account, (unsigned long long)stats->limit_bytes);
	REQUIRE(stats->peak_bytes >= account && stats->peak_bytes <= stats->limit_bytes,
			"the peak is %llu, now %llu are used", (unsigned long long)stats->peak_bytes,
			(unsigned long long)account);
	REQUIRE_EQUAL(stats->committed_bytes, stats->total.slab_bytes + stats->free_page_bytes);
	uint64_t uncommitted_pages = (stats->limit_bytes - account) / stats->page_bytes;
	REQUIRE_EQUAL(stats->available_bytes,
				  stats->free_page_bytes + uncommitted_pages * stats->page_bytes);
	REQUIRE_EQUAL(stats->objects, twin->count);
	REQUIRE_EQUAL(stats->total.payload_bytes, twin->payload_bytes);
	REQUIRE_EQUAL(stats->pinned_objects, twin->pinned_objects);
	REQUIRE_EQUAL(stats->pinned_bytes, twin->pinned_bytes);
	REQUIRE_EQUAL(stats->allocations, twin->counters.allocations);
	REQUIRE_EQUAL(stats->frees, twin->counters.frees);
	REQUIRE(stats->total.objects >= stats->objects, "fewer slots than objects");
	REQUIRE(stats->moves >= twin->counters.moved_calls, "more calls of `moved` than moves");
	double utilisation = used == 0 ? 0 : (double)stats->total.payload_bytes / (double)used;
	REQUIRE(stats->total.payload_bytes == 0 || fabs(utilisation - stats->utilisation) < 1e-9,
			"utilisation is %f, not %f", stats->utilisation, utilisation);
}

void twin_check(struct twin *twin) {
	snug_check_result result = {0};
	snug_error error = snug_check(twin->heap, &result);
	REQUIRE(error == SNUG_OK, "snug_check: %s: law %s: %s", snug_error_text(error), result.law,
			result.message);
	snug_stats stats;
	REQUIRE_OK(snug_stats_get(twin->heap, &stats));
	twin_compare_stats(twin, &stats);
	if (twin->fake != NULL) {
		REQUIRE(twin->fake->mistakes == 0, "mistake in using the OS: %s",
				twin->fake->first_mistake);
		REQUIRE_EQUAL(stats.committed_bytes + stats.metadata_bytes, twin->fake->committed_bytes);
		REQUIRE(twin->fake->peak_committed_bytes <= stats.limit_bytes,
				"%zu bytes were committed at once, the limit is %llu",
				twin->fake->peak_committed_bytes, (unsigned long long)stats.limit_bytes);
	}
}

void twin_compare_recount(struct twin *twin) {
	recount map;
	snug_stats stats;
	recount_heap(twin->heap, &map);
	REQUIRE_OK(snug_stats_get(twin->heap, &stats));
	REQUIRE_EQUAL(map.page_bytes, stats.page_bytes);
	REQUIRE_EQUAL(map.limit_bytes, stats.limit_bytes);
	REQUIRE_EQUAL(map.slab_pages, stats.total.slabs);
	REQUIRE_EQUAL(map.free_pages * map.page_bytes, stats.free_page_bytes);
	REQUIRE(map.victim_pages <= 1, "%llu victims at once", (unsigned long long)map.victim_pages);
	for (size_t i = 0; i < SNUG_POOL_COUNT; i++) {
		REQUIRE_EQUAL(map.pool[i].slabs, stats.pool[i].slabs);
		REQUIRE_EQUAL(map.pool[i].pinned_slabs, stats.pool[i].pinned_slabs);
		/* A cached free slot is live in the bitmap and a hole in the statistics. */
		REQUIRE_EQUAL(map.pool[i].live_bytes + map.pool[i].hole_bytes,
					  stats.pool[i].slot_bytes + stats.pool[i].hole_bytes);
		REQUIRE(map.pool[i].live_slots >= stats.pool[i].objects,
				"the map shows fewer live slots than objects");
	}
}

void twin_require_full(struct twin *twin, size_t size) {
	snug_stats stats;
	REQUIRE_OK(snug_stats_get(twin->heap, &stats));
	snug_defragment_options options = snug_defragment_options_default();
	options.merge_classes = true;
	snug_estimate_report estimate = {0};
	REQUIRE_OK(snug_estimate(twin->heap, &options, &estimate));
	uint64_t page = stats.page_bytes;
	uint64_t gatherable = stats.available_bytes / page;
	if (!twin->options.no_compaction_in_alloc) {
		gatherable += estimate.reclaimable_bytes / page;
	}
	/* A page holds a fragment and its trailer. The tables may have to grow too, by two grains of 4
	 * KiB at most. */
	uint64_t needed = (size + page - 33) / (page - 32);
	uint64_t tables = page < 8192 ? 8192 / page : 1;
	REQUIRE(gatherable < needed + tables,
			"%zu bytes were refused, but %llu bytes are available and compaction would gain %llu",
			size, (unsigned long long)stats.available_bytes,
			(unsigned long long)estimate.reclaimable_bytes);
}
