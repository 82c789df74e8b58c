/* test_bad_input.c: every mistake that the public headers name gets its typed error and changes
 * nothing.
 *
 * "Nothing" is meant strictly: the statistics before and after a refused call are equal in every
 * byte, out-parameters keep their values, and snug_check still passes. */
#include "support/require.h"
#include "unit/cmocka_all.h"

#include <snug/snug.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT ((size_t)1 << 20)

static snug_heap *heap;
static snug_handle object; /* 100 bytes */
static snug_handle chain;  /* several extents */
static const size_t chain_bytes = 20000;

static snug_stats stats_now(void) {
	snug_stats stats;
	memset(&stats, 0, sizeof stats);
	REQUIRE_OK(snug_stats_get(heap, &stats));
	return stats;
}

static void require_equal_stats(const snug_stats *before, const snug_stats *after) {
	snug_stats expected = *before;
	expected.failed_allocations = after->failed_allocations; /* this one may count refusals */
	REQUIRE(memcmp(&expected, after, sizeof expected) == 0,
			"a refused call changed the statistics");
}

/* The call must answer `error` and leave the statistics as they were. */
#define REFUSED(error, call)                              \
	do {                                                  \
		snug_stats stats_before = stats_now();            \
		REQUIRE_ERROR(error, call);                       \
		snug_stats stats_after = stats_now();             \
		require_equal_stats(&stats_before, &stats_after); \
		REQUIRE_OK(snug_check(heap, NULL));               \
	} while (0)

static int open_heap(void **state) {
	(void)state;
	snug_heap_options options = {
		.struct_bytes = sizeof(snug_heap_options), .limit_bytes = LIMIT, .page_bytes = 4096};
	return snug_heap_create(&options, &heap) != SNUG_OK ||
		   snug_alloc(heap, 100, &object) != SNUG_OK ||
		   snug_alloc(heap, chain_bytes, &chain) != SNUG_OK;
}

static int close_heap(void **state) {
	(void)state;
	REQUIRE_OK(snug_heap_destroy(heap));
	return 0;
}

/* ------------------------------------------------------------------ creation ------------------ */

static void ignore_move(void *context, snug_ref from, snug_ref to, size_t size) {
	(void)context;
	(void)from;
	(void)to;
	(void)size;
}

static size_t size_one(void *context, const void *at) {
	(void)context;
	(void)at;
	return 1;
}

static void require_create_refused(snug_error expected, snug_heap_options options) {
	snug_heap *out = NULL;
	REQUIRE_ERROR(expected, snug_heap_create(&options, &out));
	REQUIRE(out == NULL, "a refused create wrote its out-parameter");
}

static void create(void **state) {
	(void)state;
	snug_heap_options good = {.struct_bytes = sizeof(snug_heap_options), .limit_bytes = LIMIT};
	snug_heap *out = NULL;
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_heap_create(NULL, &out));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_heap_create(&good, NULL));
	assert_null(out);
	require_create_refused(
		SNUG_ERROR_LIMIT_TOO_SMALL,
		(snug_heap_options){.struct_bytes = sizeof(snug_heap_options), .limit_bytes = 0});
	require_create_refused(SNUG_ERROR_LIMIT_TOO_SMALL,
						   (snug_heap_options){.struct_bytes = sizeof(snug_heap_options),
											   .limit_bytes = SNUG_LIMIT_MIN_BYTES - 1});
	require_create_refused(SNUG_ERROR_OPTION,
						   (snug_heap_options){.struct_bytes = sizeof(snug_heap_options),
											   .limit_bytes = SNUG_LIMIT_MAX_BYTES + 1});
	require_create_refused(
		SNUG_ERROR_OPTION,
		(snug_heap_options){.struct_bytes = sizeof(snug_heap_options), .limit_bytes = SIZE_MAX});
	static const size_t page_bytes[] = {1, 2048, 4095, 4097, 12288, 131072, SIZE_MAX};
	for (size_t i = 0; i < sizeof page_bytes / sizeof *page_bytes; i++) {
		require_create_refused(SNUG_ERROR_OPTION,
							   (snug_heap_options){.struct_bytes = sizeof(snug_heap_options),
												   .limit_bytes = LIMIT,
												   .page_bytes = page_bytes[i]});
	}
	require_create_refused(SNUG_ERROR_OPTION,
						   (snug_heap_options){.struct_bytes = sizeof(snug_heap_options),
											   .limit_bytes = LIMIT,
											   .owner = {.size_of = size_one}});
	require_create_refused(SNUG_ERROR_OPTION,
						   (snug_heap_options){.struct_bytes = sizeof(snug_heap_options),
											   .limit_bytes = LIMIT,
											   .pace_low_water_bytes = 2 * LIMIT});
	require_create_refused(SNUG_ERROR_OPTION,
						   (snug_heap_options){.struct_bytes = sizeof(snug_heap_options),
											   .limit_bytes = LIMIT,
											   .pace_step_bytes = 4096});
	require_create_refused(SNUG_ERROR_OPTION,
						   (snug_heap_options){.struct_bytes = sizeof(snug_heap_options),
											   .limit_bytes = LIMIT,
											   .pace_low_water_bytes = LIMIT / 8,
											   .no_compaction_in_alloc = true});
	REQUIRE_OK(snug_heap_destroy(NULL));
}

static void smallest_limit_works(void **state) {
	(void)state;
	static const size_t page_bytes[] = {0, 4096};
	for (size_t i = 0; i < 2; i++) {
		snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
									 .limit_bytes = SNUG_LIMIT_MIN_BYTES,
									 .page_bytes = page_bytes[i]};
		snug_heap *smallest;
		snug_handle handle;
		REQUIRE_OK(snug_heap_create(&options, &smallest));
		REQUIRE_OK(snug_alloc(smallest, 100, &handle));
		REQUIRE_OK(snug_alloc(smallest, SNUG_LIMIT_MIN_BYTES / 2, &handle));
		REQUIRE_OK(snug_heap_destroy(smallest));
	}
}

/* ------------------------------------------------------------------ NULL ---------------------- */

static void null_heap(void **state) {
	(void)state;
	snug_handle out = 7;
	char byte = 'x';
	size_t number = 7;
	void *address = NULL;
	bool done = false;
	snug_extent extent = {0};
	snug_stats stats;
	snug_report report;
	snug_estimate_report estimate;
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_alloc(NULL, 1, &out));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_alloc_with(NULL, 1, NULL, &out));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_free(NULL, 1));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_free_batch(NULL, &(snug_handle){1}, 1));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_resize(NULL, 1, 1));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_size(NULL, 1, &number));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_ptr(NULL, 1, &address));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_read(NULL, 1, 0, &byte, 1));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_write(NULL, 1, 0, &byte, 1));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_view(NULL, 1, 0, 1, &extent, &number));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_extent_count(NULL, 1, &number));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_pin(NULL, 1));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_unpin(NULL, 1));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_ref_alloc(NULL, 1, &out));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_ref_alloc_with(NULL, 1, NULL, &out));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_ref_free(NULL, 1, 1));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_ref_alloc_batch(NULL, &number, 1, &out));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_ref_free_batch(NULL, &out, &number, 1));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_ref_resize(NULL, &out, 1, 2));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_ref_read(NULL, 1, 1, 0, &byte, 1));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_ref_write(NULL, 1, 1, 0, &byte, 1));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_ref_view(NULL, 1, 1, 0, 1, &extent, &number));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_ref_extent_count(NULL, 1, 1, &number));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_ref_pin(NULL, 1, 1));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_ref_unpin(NULL, 1, 1));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_heap_adopt(NULL));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_stats_get(NULL, &stats));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_check(NULL, NULL));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_defragment(NULL, NULL, &report));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_defragment_begin(NULL, NULL));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_defragment_step(NULL, &done));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_defragment_end(NULL, &report));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_estimate(NULL, NULL, &estimate));
	REQUIRE(out == 7 && byte == 'x' && number == 7 && address == NULL && extent.data == NULL,
			"an out-parameter was written");
}

static void null_out_parameters(void **state) {
	(void)state;
	size_t number = 1;
	snug_extent extent = {0};
	REFUSED(SNUG_ERROR_NULL, snug_alloc(heap, 1, NULL));
	REFUSED(SNUG_ERROR_NULL, snug_alloc_with(heap, 1, NULL, NULL));
	REFUSED(SNUG_ERROR_NULL, snug_size(heap, object, NULL));
	REFUSED(SNUG_ERROR_NULL, snug_ptr(heap, object, NULL));
	REFUSED(SNUG_ERROR_NULL, snug_read(heap, object, 0, NULL, 1));
	REFUSED(SNUG_ERROR_NULL, snug_write(heap, object, 0, NULL, 1));
	REFUSED(SNUG_ERROR_NULL, snug_view(heap, object, 0, 1, NULL, &number));
	REFUSED(SNUG_ERROR_NULL, snug_view(heap, object, 0, 1, &extent, NULL));
	REFUSED(SNUG_ERROR_NULL, snug_extent_count(heap, object, NULL));
	REFUSED(SNUG_ERROR_NULL, snug_dump(heap, NULL, NULL));
	REFUSED(SNUG_ERROR_NULL, snug_defragment(heap, NULL, NULL));
	REFUSED(SNUG_ERROR_NULL, snug_estimate(heap, NULL, NULL));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_stats_get(heap, NULL));
	REQUIRE_OK(snug_defragment_begin(heap, NULL));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_defragment_step(heap, NULL));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_defragment_end(heap, NULL));
	snug_report report;
	REQUIRE_OK(snug_defragment_end(heap, &report));
	REQUIRE(report.outcome == SNUG_OUTCOME_CANCELLED, "ended before it was done, but: %s",
			snug_outcome_text(report.outcome));
}

/* ------------------------------------------------------------------ sizes, alignment, ranges -- */

static void sizes(void **state) {
	(void)state;
	snug_handle out = 7;
	static const size_t too_large[] = {
		LIMIT,        LIMIT + 1, 16 * LIMIT, SNUG_OBJECT_MAX_BYTES, SNUG_OBJECT_MAX_BYTES + 1,
		SIZE_MAX / 2, SIZE_MAX};
	REFUSED(SNUG_ERROR_SIZE_ZERO, snug_alloc(heap, 0, &out));
	REFUSED(SNUG_ERROR_SIZE_ZERO, snug_alloc_with(heap, 0, NULL, &out));
	REFUSED(SNUG_ERROR_SIZE_ZERO, snug_resize(heap, object, 0));
	REFUSED(SNUG_ERROR_SIZE_ZERO, snug_resize(heap, chain, 0));
	for (size_t i = 0; i < sizeof too_large / sizeof *too_large; i++) {
		REFUSED(SNUG_ERROR_SIZE_TOO_LARGE, snug_alloc(heap, too_large[i], &out));
		REFUSED(SNUG_ERROR_SIZE_TOO_LARGE, snug_resize(heap, object, too_large[i]));
		REFUSED(SNUG_ERROR_SIZE_TOO_LARGE, snug_resize(heap, chain, too_large[i]));
	}
	assert_int_equal(out, 7);
}

static void alignment(void **state) {
	(void)state;
	snug_handle out = 7;
	static const uint32_t wrong[] = {2, 3, 4, 5, 7, 9, 12, 15, 17, 24, 32, 64, 4096, UINT32_MAX};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		snug_alloc_options options = {.alignment = wrong[i]};
		REFUSED(SNUG_ERROR_ALIGNMENT, snug_alloc_with(heap, 100, &options, &out));
	}
	snug_alloc_options contiguous = {.contiguous = true};
	size_t most = snug_contiguous_max(heap);
	assert_in_range(most, 4096 - 64, 4096);
	REFUSED(SNUG_ERROR_SIZE_TOO_LARGE, snug_alloc_with(heap, most + 1, &contiguous, &out));
	assert_int_equal(out, 7);
	REQUIRE_OK(snug_alloc_with(heap, most, &contiguous, &out));
	snug_handle other;
	REQUIRE_OK(snug_alloc_with(heap, 100, NULL, &other));
}

static void ranges(void **state) {
	(void)state;
	char buffer[8] = "unread";
	size_t count = 8;
	snug_extent extents[8] = {{0}};
	REFUSED(SNUG_ERROR_RANGE, snug_read(heap, object, 0, buffer, 101));
	REFUSED(SNUG_ERROR_RANGE, snug_read(heap, object, 101, buffer, 0));
	REFUSED(SNUG_ERROR_RANGE, snug_read(heap, object, 98, buffer, 3));
	REFUSED(SNUG_ERROR_RANGE, snug_read(heap, object, SIZE_MAX, buffer, 2));
	REFUSED(SNUG_ERROR_RANGE, snug_read(heap, chain, 2, buffer, SIZE_MAX));
	REFUSED(SNUG_ERROR_RANGE, snug_write(heap, chain, chain_bytes, buffer, 1));
	REFUSED(SNUG_ERROR_RANGE, snug_view(heap, chain, chain_bytes - 1, 2, extents, &count));
	assert_string_equal(buffer, "unread");
	assert_int_equal(count, 8);
	assert_null(extents[0].data);
	REQUIRE_OK(snug_read(heap, object, 100, buffer, 0));
	REQUIRE_OK(snug_write(heap, object, 100, buffer, 0));
}

static void extents(void **state) {
	(void)state;
	size_t count = 0;
	void *address = &count;
	snug_extent pieces[16];
	REFUSED(SNUG_ERROR_NOT_CONTIGUOUS, snug_ptr(heap, chain, &address));
	assert_ptr_equal(address, &count);
	REQUIRE_OK(snug_extent_count(heap, chain, &count));
	assert_in_range(count, 5, 16);
	size_t room = count - 1;
	REFUSED(SNUG_ERROR_TOO_MANY_EXTENTS, snug_view(heap, chain, 0, chain_bytes, pieces, &room));
	assert_int_equal(room, count - 1);
	room = 0;
	REFUSED(SNUG_ERROR_TOO_MANY_EXTENTS, snug_view(heap, chain, 0, 1, pieces, &room));
	room = count;
	REQUIRE_OK(snug_view(heap, chain, 0, chain_bytes, pieces, &room));
	assert_int_equal(room, count);
}

/* ------------------------------------------------------------------ handles ------------------- */

static void handles(void **state) {
	(void)state;
	snug_handle other = object;
	REQUIRE_OK(snug_alloc(heap, 100, &other));
	REQUIRE_OK(snug_free(heap, other));
	REFUSED(SNUG_ERROR_HANDLE, snug_free(heap, other)); /* a second time */
	snug_handle next = 0;
	REQUIRE_OK(snug_alloc(heap, 100, &next)); /* may use the same table entry and the same slot */
	assert_true(next != other);
	REFUSED(SNUG_ERROR_HANDLE, snug_free(heap, other));
	REFUSED(SNUG_ERROR_HANDLE, snug_resize(heap, other, 200));
	REFUSED(SNUG_ERROR_HANDLE, snug_pin(heap, other));
	REFUSED(SNUG_ERROR_HANDLE, snug_unpin(heap, other));
	REFUSED(SNUG_ERROR_HANDLE, snug_free(heap, 0));
	REFUSED(SNUG_ERROR_HANDLE, snug_free(heap, UINT64_MAX));
	for (unsigned bit = 0; bit < 64; bit++) {
		snug_handle forged = object ^ (UINT64_C(1) << bit);
		if (forged != chain && forged != next) {
			REFUSED(SNUG_ERROR_HANDLE, snug_free(heap, forged));
		}
	}
}

/* One that can't be freed, at either end and in between: nothing is. */
static void batches_of_handles(void **state) {
	(void)state;
	static const size_t sizes[] = {10, 1000, 9000, 2000};
	snug_handle handles[SNUG_BATCH_MAX + 1] = {0}, stale;
	for (size_t i = 0; i < 4; i++) REQUIRE_OK(snug_alloc(heap, sizes[i], &handles[i]));
	REQUIRE_OK(snug_alloc(heap, 100, &stale));
	REQUIRE_OK(snug_free(heap, stale));
	for (size_t place = 0; place < 4; place++) {
		snug_handle kept = handles[place];
		const snug_handle wrong[] = {0, UINT64_MAX, stale, handles[(place + 1) % 4]};
		for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
			handles[place] = wrong[i];
			REFUSED(SNUG_ERROR_HANDLE, snug_free_batch(heap, handles, 4));
		}
		handles[place] = kept;
		REQUIRE_OK(snug_pin(heap, kept));
		REFUSED(SNUG_ERROR_PINNED, snug_free_batch(heap, handles, 4));
		REQUIRE_OK(snug_unpin(heap, kept));
	}
	REFUSED(SNUG_ERROR_NULL, snug_free_batch(heap, NULL, 1));
	REFUSED(SNUG_ERROR_RANGE, snug_free_batch(heap, handles, SNUG_BATCH_MAX + 1));
	REQUIRE_OK(snug_free_batch(heap, NULL, 0));
	uint64_t objects = stats_now().objects;
	REQUIRE_OK(snug_free_batch(heap, handles, 4));
	assert_int_equal(stats_now().objects, objects - 4);
	for (size_t i = 0; i < 4; i++) REFUSED(SNUG_ERROR_HANDLE, snug_free(heap, handles[i]));
}

static void handle_of_another_heap(void **state) {
	(void)state;
	snug_heap_options options = {
		.struct_bytes = sizeof(snug_heap_options), .limit_bytes = LIMIT, .page_bytes = 4096};
	/* The first handle of each. One heap of 256 has our tag (mem/slab/handles.h), so there are some:
	 * that all four have it happens once in 2^32 runs. */
	snug_heap *others[4];
	snug_handle theirs[4];
	uint32_t told_apart = 0;
	for (uint32_t i = 0; i < 4; i++) {
		REQUIRE_OK(snug_heap_create(&options, &others[i]));
		REQUIRE_OK(snug_alloc(others[i], 100, &theirs[i]));
		if (theirs[i] == object) continue;
		told_apart++;
		REFUSED(SNUG_ERROR_HANDLE, snug_free(heap, theirs[i]));
		REQUIRE_ERROR(SNUG_ERROR_HANDLE, snug_free(others[i], object));
	}
	REQUIRE(told_apart > 0, "all heaps have the same tag");
	for (uint32_t i = 0; i < 4; i++) REQUIRE_OK(snug_heap_destroy(others[i]));
}

static void mode(void **state) {
	(void)state;
	snug_ref ref = 7;
	size_t size = 10;
	char byte = 'x';
	size_t count = 1;
	snug_extent extent = {0};
	REFUSED(SNUG_ERROR_MODE, snug_ref_alloc(heap, 10, &ref));
	REFUSED(SNUG_ERROR_MODE, snug_ref_alloc_with(heap, 10, NULL, &ref));
	REFUSED(SNUG_ERROR_MODE, snug_ref_alloc_batch(heap, &size, 1, &ref));
	REFUSED(SNUG_ERROR_MODE, snug_ref_free(heap, 4096, 10));
	REFUSED(SNUG_ERROR_MODE, snug_ref_free_batch(heap, &ref, &size, 1));
	REFUSED(SNUG_ERROR_MODE, snug_ref_resize(heap, &ref, 10, 20));
	REFUSED(SNUG_ERROR_MODE, snug_ref_read(heap, 4096, 10, 0, &byte, 1));
	REFUSED(SNUG_ERROR_MODE, snug_ref_write(heap, 4096, 10, 0, &byte, 1));
	REFUSED(SNUG_ERROR_MODE, snug_ref_view(heap, 4096, 10, 0, 1, &extent, &count));
	REFUSED(SNUG_ERROR_MODE, snug_ref_extent_count(heap, 4096, 10, &count));
	REFUSED(SNUG_ERROR_MODE, snug_ref_pin(heap, 4096, 10));
	REFUSED(SNUG_ERROR_MODE, snug_ref_unpin(heap, 4096, 10));
	assert_int_equal(ref, 7);

	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
								 .limit_bytes = LIMIT,
								 .owner = {.moved = ignore_move}};
	snug_heap *by_reference;
	REQUIRE_OK(snug_heap_create(&options, &by_reference));
	snug_handle out = 7;
	void *address = NULL;
	REQUIRE_ERROR(SNUG_ERROR_MODE, snug_alloc(by_reference, 10, &out));
	REQUIRE_ERROR(SNUG_ERROR_MODE, snug_alloc_with(by_reference, 10, NULL, &out));
	REQUIRE_ERROR(SNUG_ERROR_MODE, snug_free(by_reference, 1));
	REQUIRE_ERROR(SNUG_ERROR_MODE, snug_free_batch(by_reference, &(snug_handle){1}, 1));
	REQUIRE_ERROR(SNUG_ERROR_MODE, snug_resize(by_reference, 1, 10));
	REQUIRE_ERROR(SNUG_ERROR_MODE, snug_size(by_reference, 1, &size));
	REQUIRE_ERROR(SNUG_ERROR_MODE, snug_ptr(by_reference, 1, &address));
	REQUIRE_ERROR(SNUG_ERROR_MODE, snug_read(by_reference, 1, 0, &byte, 1));
	REQUIRE_ERROR(SNUG_ERROR_MODE, snug_pin(by_reference, 1));
	REQUIRE_ERROR(SNUG_ERROR_MODE, snug_unpin(by_reference, 1));
	assert_int_equal(out, 7);
	REQUIRE_OK(snug_heap_destroy(by_reference));
}

/* ------------------------------------------------------------------ pins ---------------------- */

static void pins(void **state) {
	(void)state;
	REFUSED(SNUG_ERROR_NOT_PINNED, snug_unpin(heap, object));
	REFUSED(SNUG_ERROR_NOT_PINNED, snug_unpin(heap, chain));
	REQUIRE_OK(snug_pin(heap, object));
	REQUIRE_OK(snug_pin(heap, object));
	REQUIRE_OK(snug_pin(heap, chain));
	REFUSED(SNUG_ERROR_PINNED, snug_free(heap, object));
	REFUSED(SNUG_ERROR_PINNED, snug_free(heap, chain));
	REFUSED(SNUG_ERROR_PINNED, snug_resize(heap, object, 50));
	REFUSED(SNUG_ERROR_PINNED, snug_resize(heap, object, 5000));
	REFUSED(SNUG_ERROR_PINNED, snug_resize(heap, chain, chain_bytes - 1));
	REQUIRE_OK(snug_unpin(heap, object));
	REFUSED(SNUG_ERROR_PINNED, snug_free(heap, object)); /* pins nest */
	REQUIRE_OK(snug_unpin(heap, object));
	REFUSED(SNUG_ERROR_NOT_PINNED, snug_unpin(heap, object));
	REQUIRE_OK(snug_unpin(heap, chain));
	REQUIRE_OK(snug_free(heap, chain));
	REQUIRE_OK(snug_free(heap, object));
}

static void too_many_pins(void **state) {
	(void)state;
	uint64_t count = 0;
	snug_error error;
	while ((error = snug_pin(heap, object)) == SNUG_OK) {
		count++;
		REQUIRE(count < UINT64_C(1) << 33, "pins have no end");
	}
	REQUIRE(error == SNUG_ERROR_TOO_MANY_PINS && count > 1000, "after %llu pins: %s",
			(unsigned long long)count, snug_error_text(error));
	REFUSED(SNUG_ERROR_TOO_MANY_PINS, snug_pin(heap, object));
	for (uint64_t i = 0; i < count; i++) {
		REQUIRE_OK(snug_unpin(heap, object));
	}
	REFUSED(SNUG_ERROR_NOT_PINNED, snug_unpin(heap, object));
	REQUIRE_OK(snug_free(heap, object));
}

/* ------------------------------------------------------------------ references ---------------- */

static void batches(void **state) {
	(void)state;
	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
								 .limit_bytes = LIMIT,
								 .page_bytes = 4096,
								 .owner = {.moved = ignore_move}};
	snug_heap *handle_heap = heap;
	REQUIRE_OK(snug_heap_create(&options, &heap));
	snug_ref refs[3] = {7, 8, 9};
	static const size_t one_is_zero[] = {10, 0, 30};
	static const size_t one_is_huge[] = {10, 20, SIZE_MAX};
	static const size_t together_too_much[] = {LIMIT / 2, LIMIT / 2, 10};
	static const size_t good[] = {10, 20, 9000};
	REFUSED(SNUG_ERROR_SIZE_ZERO, snug_ref_alloc_batch(heap, one_is_zero, 3, refs));
	REFUSED(SNUG_ERROR_SIZE_TOO_LARGE, snug_ref_alloc_batch(heap, one_is_huge, 3, refs));
	REFUSED(SNUG_ERROR_NULL, snug_ref_alloc_batch(heap, NULL, 3, refs));
	REFUSED(SNUG_ERROR_NULL, snug_ref_alloc_batch(heap, good, 3, NULL));
	REQUIRE_ERROR(SNUG_ERROR_NO_MEMORY, snug_ref_alloc_batch(heap, together_too_much, 3, refs));
	REQUIRE(refs[0] == 7 && refs[1] == 8 && refs[2] == 9,
			"a refused batch wrote its out-parameter");
	REQUIRE(stats_now().objects == 0, "a refused batch left objects");
	REQUIRE_OK(snug_ref_alloc_batch(heap, good, 0, refs));
	REQUIRE_OK(snug_ref_alloc_batch(heap, good, 3, refs));
	REQUIRE_OK(snug_ref_pin(heap, refs[1], good[1]));
	REFUSED(SNUG_ERROR_PINNED, snug_ref_free_batch(heap, refs, good, 3));
	REFUSED(SNUG_ERROR_PINNED, snug_ref_free(heap, refs[1], good[1]));
	snug_ref same = refs[1];
	REFUSED(SNUG_ERROR_PINNED, snug_ref_resize(heap, &same, good[1], 4000));
	assert_int_equal(same, refs[1]);
	REQUIRE_OK(snug_ref_unpin(heap, refs[1], good[1]));
	REQUIRE_OK(snug_ref_free_batch(heap, refs, good, 3));
	assert_int_equal(stats_now().objects, 0);
	REQUIRE_OK(snug_heap_destroy(heap));
	heap = handle_heap;
}

/* Debug builds find wrong references; a release build trusts them. */
static void references(void **state) {
	(void)state;
#ifndef SNUG_DEBUG
	skip();
#else
	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
								 .limit_bytes = LIMIT,
								 .page_bytes = 4096,
								 .owner = {.moved = ignore_move}};
	snug_heap *handle_heap = heap;
	REQUIRE_OK(snug_heap_create(&options, &heap));
	snug_ref ref;
	char byte;
	REQUIRE_OK(snug_ref_alloc(heap, 100, &ref));
	REFUSED(SNUG_ERROR_REFERENCE, snug_ref_free(heap, 0, 100));
	REFUSED(SNUG_ERROR_REFERENCE, snug_ref_free(heap, ref + 1, 100));
	REFUSED(SNUG_ERROR_REFERENCE, snug_ref_free(heap, (UINT64_C(1) << SNUG_REF_BITS) - 1, 100));
	REFUSED(SNUG_ERROR_REFERENCE, snug_ref_read(heap, ref + 8 * LIMIT, 100, 0, &byte, 1));
	REQUIRE_OK(snug_ref_free(heap, ref, 100));
	REFUSED(SNUG_ERROR_REFERENCE, snug_ref_free(heap, ref, 100));
	REQUIRE_OK(snug_heap_destroy(heap));
	heap = handle_heap;
#endif
}

/* ------------------------------------------------------------------ defragmentation ----------- */

static void defragment_options(void **state) {
	(void)state;
	snug_report report;
	snug_estimate_report estimate;
	const snug_defragment_options good = snug_defragment_options_default();
	snug_defragment_options zero[5] = {good, good, good, good, good};
	zero[0].step_bytes = 0;
	zero[1].step_ns = 0;
	zero[2].budget_bytes = 0;
	zero[3].budget_ns = 0;
	zero[4].target_bytes = 0;
	for (size_t i = 0; i < 5; i++) {
		REFUSED(SNUG_ERROR_BUDGET_ZERO, snug_defragment(heap, &zero[i], &report));
		REFUSED(SNUG_ERROR_BUDGET_ZERO, snug_defragment_begin(heap, &zero[i]));
		REFUSED(SNUG_ERROR_BUDGET_ZERO, snug_estimate(heap, &zero[i], &estimate));
	}
	snug_defragment_options wrong[2] = {good, good};
	wrong[0].mode = (snug_defragment_mode)2;
	wrong[1].pool_mask = SNUG_POOL_BIT(SNUG_POOL_COUNT);
	for (size_t i = 0; i < 2; i++) {
		REFUSED(SNUG_ERROR_OPTION, snug_defragment(heap, &wrong[i], &report));
		REFUSED(SNUG_ERROR_OPTION, snug_defragment_begin(heap, &wrong[i]));
		REFUSED(SNUG_ERROR_OPTION, snug_estimate(heap, &wrong[i], &estimate));
	}
	bool done = false;
	REFUSED(SNUG_ERROR_NOT_RUNNING, snug_defragment_step(heap, &done));
	REFUSED(SNUG_ERROR_NOT_RUNNING, snug_defragment_end(heap, &report));
	REQUIRE_OK(snug_defragment_begin(heap, NULL));
	REFUSED(SNUG_ERROR_BUSY, snug_defragment_begin(heap, NULL));
	REFUSED(SNUG_ERROR_BUSY, snug_defragment(heap, NULL, &report));
	REQUIRE_OK(snug_defragment_end(heap, &report));
	REFUSED(SNUG_ERROR_NOT_RUNNING, snug_defragment_end(heap, &report));
}

static void destroy_while_pinned_and_running(void **state) {
	(void)state;
	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options), .limit_bytes = LIMIT};
	snug_heap *running;
	snug_handle handle;
	REQUIRE_OK(snug_heap_create(&options, &running));
	REQUIRE_OK(snug_alloc(running, 100, &handle));
	REQUIRE_OK(snug_pin(running, handle));
	REQUIRE_OK(snug_defragment_begin(running, NULL));
	REQUIRE_OK(snug_heap_destroy(running));
}

/* ------------------------------------------------------------- the owner's thread and callback  */

static void *call_from_elsewhere(void *context) {
	snug_error *answers = context;
	snug_handle out = 7;
	snug_stats stats;
	snug_report report;
	answers[0] = snug_alloc(heap, 10, &out);
	answers[1] = snug_free(heap, object);
	answers[2] = snug_stats_get(heap, &stats);
	answers[3] = snug_defragment(heap, NULL, &report);
	return NULL;
}

static void wrong_thread(void **state) {
	(void)state;
#ifndef SNUG_DEBUG
	skip();
#else
	snug_error answers[4] = {SNUG_OK, SNUG_OK, SNUG_OK, SNUG_OK};
	pthread_t thread;
	snug_stats before = stats_now();
	assert_int_equal(pthread_create(&thread, NULL, call_from_elsewhere, answers), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	for (size_t i = 0; i < 4; i++) {
		REQUIRE(answers[i] == SNUG_ERROR_WRONG_THREAD, "call %zu from another thread: %s", i,
				snug_error_text(answers[i]));
	}
	snug_stats after = stats_now();
	require_equal_stats(&before, &after);
#endif
	(void)call_from_elsewhere;
}

/* An owner whose callback calls everything that it must not call. */
struct reentering {
	snug_heap *heap;
	uint64_t calls;
	snug_ref refs[3000];
};

static void reenter(void *context, snug_ref from, snug_ref to, size_t size) {
	struct reentering *owner = context;
	uint32_t number;
	memcpy(&number, snug_ref_at(owner->heap, to), sizeof number);
	REQUIRE(owner->refs[number] == from, "`moved` for the wrong object");
	owner->refs[number] = to;
	owner->calls++;
	snug_ref ref = 7;
	size_t count = 1;
	char byte = 'x';
	bool done = false;
	snug_extent extent = {0};
	snug_stats stats;
	snug_report report;
	snug_estimate_report estimate;
	REQUIRE_ERROR(SNUG_ERROR_REENTERED, snug_ref_alloc(owner->heap, 10, &ref));
	REQUIRE_ERROR(SNUG_ERROR_REENTERED, snug_ref_alloc_with(owner->heap, 10, NULL, &ref));
	REQUIRE_ERROR(SNUG_ERROR_REENTERED, snug_ref_alloc_batch(owner->heap, &size, 1, &ref));
	REQUIRE_ERROR(SNUG_ERROR_REENTERED, snug_ref_free(owner->heap, to, 100));
	REQUIRE_ERROR(SNUG_ERROR_REENTERED, snug_ref_free_batch(owner->heap, &to, &size, 1));
	REQUIRE_ERROR(SNUG_ERROR_REENTERED, snug_free_batch(owner->heap, &(snug_handle){1}, 1));
	REQUIRE_ERROR(SNUG_ERROR_REENTERED, snug_ref_resize(owner->heap, &ref, 100, 200));
	REQUIRE_ERROR(SNUG_ERROR_REENTERED, snug_ref_read(owner->heap, to, 100, 0, &byte, 1));
	REQUIRE_ERROR(SNUG_ERROR_REENTERED, snug_ref_write(owner->heap, to, 100, 0, &byte, 1));
	REQUIRE_ERROR(SNUG_ERROR_REENTERED, snug_ref_view(owner->heap, to, 100, 0, 1, &extent, &count));
	REQUIRE_ERROR(SNUG_ERROR_REENTERED, snug_ref_extent_count(owner->heap, to, 100, &count));
	REQUIRE_ERROR(SNUG_ERROR_REENTERED, snug_ref_pin(owner->heap, to, 100));
	REQUIRE_ERROR(SNUG_ERROR_REENTERED, snug_ref_unpin(owner->heap, to, 100));
	REQUIRE_ERROR(SNUG_ERROR_REENTERED, snug_stats_get(owner->heap, &stats));
	REQUIRE_ERROR(SNUG_ERROR_REENTERED, snug_defragment(owner->heap, NULL, &report));
	REQUIRE_ERROR(SNUG_ERROR_REENTERED, snug_defragment_begin(owner->heap, NULL));
	REQUIRE_ERROR(SNUG_ERROR_REENTERED, snug_defragment_step(owner->heap, &done));
	REQUIRE_ERROR(SNUG_ERROR_REENTERED, snug_defragment_end(owner->heap, &report));
	REQUIRE_ERROR(SNUG_ERROR_REENTERED, snug_estimate(owner->heap, NULL, &estimate));
	REQUIRE(ref == 7 && byte == 'x' && count == 1, "a refused call wrote its out-parameter");
}

static void reentry(void **state) {
	(void)state;
	static struct reentering owner;
	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
								 .limit_bytes = LIMIT,
								 .page_bytes = 4096,
								 .owner = {.moved = reenter, .context = &owner}};
	REQUIRE_OK(snug_heap_create(&options, &owner.heap));
	for (uint32_t i = 0; i < 3000; i++) {
		REQUIRE_OK(snug_ref_alloc(owner.heap, 100, &owner.refs[i]));
		REQUIRE_OK(snug_ref_write(owner.heap, owner.refs[i], 100, 0, &i, sizeof i));
	}
	for (uint32_t i = 0; i < 3000; i += 2) {
		REQUIRE_OK(snug_ref_free(owner.heap, owner.refs[i], 100));
	}
	snug_report report;
	REQUIRE_OK(snug_defragment(owner.heap, NULL, &report));
	REQUIRE(owner.calls > 0 && owner.calls == report.moved_objects,
			"%llu calls of `moved`, %llu moves", (unsigned long long)owner.calls,
			(unsigned long long)report.moved_objects);
	REQUIRE_OK(snug_check(owner.heap, NULL));
	REQUIRE_OK(snug_heap_destroy(owner.heap));
}

/* ------------------------------------------------------------------ sizes at the edges -------- */

/* A heap whose magazines are full and whose handles were used takes the fast path, which must look
 * at a size before it adds to it. */
static void sizes_at_the_edges(void **state) {
	snug_handle used[64], out = 77;
	(void)state;
	for (size_t size = 1; size <= 40; size++) {
		for (size_t i = 0; i < 64; i++) REQUIRE_OK(snug_alloc(heap, size, &used[i]));
		for (size_t i = 0; i < 64; i++) REQUIRE_OK(snug_free(heap, used[i]));
	}
	REFUSED(SNUG_ERROR_SIZE_ZERO, snug_alloc(heap, 0, &out));
	for (size_t below = 0; below <= 4096; below++) {
		REQUIRE_ERROR(SNUG_ERROR_SIZE_TOO_LARGE, snug_alloc(heap, SIZE_MAX - below, &out));
		REQUIRE_ERROR(SNUG_ERROR_SIZE_TOO_LARGE,
					  snug_alloc_with(heap, SIZE_MAX - below, NULL, &out));
		REQUIRE_ERROR(SNUG_ERROR_SIZE_TOO_LARGE, snug_resize(heap, object, SIZE_MAX - below));
		char byte = 0;
		REQUIRE_ERROR(SNUG_ERROR_RANGE, snug_read(heap, object, 1, &byte, SIZE_MAX - below));
		REQUIRE_ERROR(SNUG_ERROR_RANGE, snug_write(heap, object, SIZE_MAX - below, &byte, 1));
		REQUIRE_ERROR(SNUG_ERROR_RANGE,
					  snug_write(heap, chain, SIZE_MAX - below, &byte, below + 1));
	}
	REFUSED(SNUG_ERROR_SIZE_TOO_LARGE, snug_alloc(heap, SIZE_MAX, &out));
	REFUSED(SNUG_ERROR_NO_MEMORY, snug_heap_charge(heap, SIZE_MAX));
	REFUSED(SNUG_ERROR_RANGE, snug_heap_discharge(heap, SIZE_MAX));
	assert_int_equal(out, 77);
}

int main(void) {
#define WITH_HEAP(function) cmocka_unit_test_setup_teardown(function, open_heap, close_heap)
	const struct CMUnitTest tests[] = {
		WITH_HEAP(create),
		WITH_HEAP(smallest_limit_works),
		WITH_HEAP(null_heap),
		WITH_HEAP(null_out_parameters),
		WITH_HEAP(sizes),
		WITH_HEAP(sizes_at_the_edges),
		WITH_HEAP(alignment),
		WITH_HEAP(ranges),
		WITH_HEAP(extents),
		WITH_HEAP(handles),
		WITH_HEAP(handle_of_another_heap),
		WITH_HEAP(batches_of_handles),
		WITH_HEAP(mode),
		WITH_HEAP(pins),
		WITH_HEAP(too_many_pins),
		WITH_HEAP(batches),
		WITH_HEAP(references),
		WITH_HEAP(defragment_options),
		WITH_HEAP(destroy_while_pinned_and_running),
		WITH_HEAP(wrong_thread),
		WITH_HEAP(reentry),
	};
	return cmocka_run_group_tests_name("bad_input", tests, NULL, NULL);
}
