/* test_free_part.c: large objects freed in parts. After each part what is left is an object like any
 * other: its content, its size and all invariants are looked at, and defragmentations move it. */
#include "base/bits.h"
#include "support/require.h"
#include "support/test_random.h"
#include "unit/cmocka_all.h"

#include <snug/snug.h>
#include <stdlib.h>
#include <string.h>

#define MIB ((size_t)1 << 20)
#define PAGE_BYTES 4096u
#define LARGE_BYTES (3 * MIB + 1234)
#define PART_BYTES 100000u

static snug_heap *heap;
static snug_ref known; /* by reference: what the owner knows the object by */
static unsigned char *expected;
static unsigned char *seen;

static void moved(void *context, snug_ref from, snug_ref to, size_t size) {
	(void)context;
	(void)size;
	if (known == from) known = to;
}

static int open(bool by_reference) {
	snug_heap_options options = snug_heap_options_default();
	options.limit_bytes = 8 * MIB;
	options.page_bytes = PAGE_BYTES;
	if (by_reference) options.owner.moved = moved;
	expected = malloc(LARGE_BYTES);
	seen = malloc(LARGE_BYTES);
	if (expected == NULL || seen == NULL) return 1;
	test_random_fill(expected, LARGE_BYTES, 42);
	return snug_heap_create(&options, &heap) != SNUG_OK;
}

static int open_handles(void **state) {
	(void)state;
	return open(false);
}

static int open_references(void **state) {
	(void)state;
	return open(true);
}

static int close_heap(void **state) {
	(void)state;
	free(expected);
	free(seen);
	return snug_heap_destroy(heap) != SNUG_OK;
}

/* The rest is the end of what there was, and at most a page more than asked for has gone. */
static void require_rest(size_t before, size_t left) {
	REQUIRE(left < before && before - left < PART_BYTES + PAGE_BYTES, "%zu bytes went at once",
			before - left);
	REQUIRE(memcmp(seen, expected + LARGE_BYTES - left, left) == 0, "the rest of %zu bytes differs",
			left);
	REQUIRE_OK(snug_check(heap, NULL));
}

static uint64_t live_objects(void) {
	snug_stats stats;
	REQUIRE_OK(snug_stats_get(heap, &stats));
	REQUIRE(stats.allocations == stats.frees + stats.objects, "the counts do not add up");
	return stats.objects;
}

/* Moves what can be moved. */
static void drain_all(void) {
	snug_defragment_options options = snug_defragment_options_default();
	options.retain_bytes = 0;
	snug_report report;
	REQUIRE_OK(snug_defragment(heap, &options, &report));
}

static void by_handle(void **state) {
	(void)state;
	snug_handle handle, other;
	REQUIRE_OK(snug_alloc(heap, 50, &other));
	REQUIRE_OK(snug_alloc(heap, LARGE_BYTES, &handle));
	REQUIRE_OK(snug_write(heap, handle, 0, expected, LARGE_BYTES));
	bool done = false;
	for (uint32_t part = 0; !done; part++) {
		size_t before, left;
		REQUIRE_OK(snug_size(heap, handle, &before));
		REQUIRE_OK(snug_free_part(heap, handle, PART_BYTES, &done));
		if (done) break;
		REQUIRE_OK(snug_size(heap, handle, &left));
		REQUIRE_OK(snug_read(heap, handle, 0, seen, left));
		require_rest(before, left);
		REQUIRE(live_objects() == 2, "the rest is no object");
		if (part % 4 == 1) drain_all();
	}
	REQUIRE_ERROR(SNUG_ERROR_HANDLE, snug_free_part(heap, handle, PART_BYTES, &done));
	REQUIRE(live_objects() == 1, "something is left");
	REQUIRE_OK(snug_check(heap, NULL));
	REQUIRE_OK(snug_free_part(heap, other, 1, &done));
	REQUIRE(done && live_objects() == 0, "a small object did not go at once");
	REQUIRE_ERROR(SNUG_ERROR_HANDLE, snug_free(heap, other));
}

static void by_reference(void **state) {
	(void)state;
	size_t left = LARGE_BYTES;
	REQUIRE_OK(snug_ref_alloc(heap, LARGE_BYTES, &known));
	REQUIRE_OK(snug_ref_write(heap, known, left, 0, expected, left));
	bool done = false;
	for (uint32_t part = 0; !done; part++) {
		size_t before = left;
		REQUIRE_OK(snug_ref_free_part(heap, &known, &left, PART_BYTES, &done));
		if (done) break;
		REQUIRE_OK(snug_ref_read(heap, known, left, 0, seen, left));
		require_rest(before, left);
		if (part % 4 == 1) drain_all();
	}
	REQUIRE(left == 0 && live_objects() == 0, "%zu bytes are left", left);
	REQUIRE_OK(snug_check(heap, NULL));
}

/* What is left can be made larger and smaller, and ends like any other. */
static void the_rest_is_an_object(void **state) {
	(void)state;
	snug_handle handle;
	bool done = false;
	size_t left;
	for (size_t bytes = 1; bytes < LARGE_BYTES; bytes = bytes * 3 + 700) {
		REQUIRE_OK(snug_alloc(heap, LARGE_BYTES, &handle));
		REQUIRE_OK(snug_write(heap, handle, 0, expected, LARGE_BYTES));
		REQUIRE_OK(snug_free_part(heap, handle, bytes, &done));
		REQUIRE(!done, "%zu bytes of %zu were all", bytes, LARGE_BYTES);
		REQUIRE_OK(snug_size(heap, handle, &left));
		REQUIRE_OK(snug_resize(heap, handle, left + 10000));
		REQUIRE_OK(snug_resize(heap, handle, left / 2 + 1));
		REQUIRE_OK(snug_read(heap, handle, 0, seen, left / 2 + 1));
		REQUIRE(memcmp(seen, expected + LARGE_BYTES - left, left / 2 + 1) == 0,
				"after %zu bytes the content differs", bytes);
		REQUIRE_OK(snug_check(heap, NULL));
		REQUIRE_OK(snug_free(heap, handle));
	}
	REQUIRE(live_objects() == 0, "something is left");
}

static void refusals_change_nothing(void **state) {
	(void)state;
	snug_handle handle;
	size_t size;
	bool done = true;
	REQUIRE_OK(snug_alloc(heap, LARGE_BYTES, &handle));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_free_part(NULL, handle, 1, &done));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_free_part(heap, handle, 1, NULL));
	REQUIRE_ERROR(SNUG_ERROR_BUDGET_ZERO, snug_free_part(heap, handle, 0, &done));
	REQUIRE_ERROR(SNUG_ERROR_HANDLE, snug_free_part(heap, handle + 1, 1, &done));
	snug_ref ref = 1;
	REQUIRE_ERROR(SNUG_ERROR_MODE, snug_ref_free_part(heap, &ref, &size, 1, &done));
	REQUIRE_OK(snug_pin(heap, handle));
	REQUIRE_ERROR(SNUG_ERROR_PINNED, snug_free_part(heap, handle, 1, &done));
	REQUIRE_OK(snug_unpin(heap, handle));
	REQUIRE_OK(snug_size(heap, handle, &size));
	REQUIRE(done && size == LARGE_BYTES, "a refusal changed something");
	REQUIRE_OK(snug_free_part(heap, handle, SIZE_MAX, &done));
	REQUIRE(done, "all of it was not all");
}

/* The entry's generation goes on, so no later handle equals an earlier one. */
static void handles_stay_stale(void **state) {
	(void)state;
	snug_handle earlier[4], handle;
	bool done = false;
	for (uint32_t round = 0; round < 4; round++) {
		REQUIRE_OK(snug_alloc(heap, LARGE_BYTES, &handle));
		for (uint32_t index = 0; index < round; index++) {
			REQUIRE(handle != earlier[index], "round %u: a handle was given out twice", round);
			REQUIRE_ERROR(SNUG_ERROR_HANDLE, snug_free(heap, earlier[index]));
		}
		earlier[round] = handle;
		REQUIRE_OK(snug_free_part(heap, handle, SIZE_MAX, &done));
		REQUIRE(done, "all of it was not all");
	}
	REQUIRE_OK(snug_check(heap, NULL));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(by_handle, open_handles, close_heap),
		cmocka_unit_test_setup_teardown(handles_stay_stale, open_handles, close_heap),
		cmocka_unit_test_setup_teardown(by_reference, open_references, close_heap),
		cmocka_unit_test_setup_teardown(the_rest_is_an_object, open_handles, close_heap),
		cmocka_unit_test_setup_teardown(refusals_change_nothing, open_handles, close_heap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
