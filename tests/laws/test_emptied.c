/* test_emptied.c: a heap that was emptied is as good as a new one.
 *
 * - Full of small objects and emptied in several orders, its tables are as large as those of a fresh
 *   heap that has held one object, and the largest object fits, asked for or not by a
 *   defragmentation before.
 * - A handle table that grows and shrinks at random never gives out a handle twice, and refuses each
 *   stale one. The twin is naive: it remembers every handle that there ever was. The same where
 *   generations are nearly used up, and at the border above which floors are kept.
 * - Pins cost the OS nothing but the first.
 *
 *     SNUG_SEED=0x1234 build/tests/laws/test_emptied */
#include "mem/slab/handle_grains.h"
#include "mem/slab/tables.h"
#include "os/fake.h"
#include "support/require.h"
#include "support/test_random.h"
#include "unit/cmocka_all.h"

#include <snug/snug.h>

#include <stdio.h>
#include <time.h>

#define MIB ((size_t)1 << 20)

static test_random random_numbers;

static snug_heap *heap_of(size_t limit_bytes, size_t page_bytes, const snug_os *os) {
	snug_heap *heap = NULL;
	snug_heap_options options = snug_heap_options_default();
	options.limit_bytes = limit_bytes;
	options.page_bytes = page_bytes;
	options.os = os;
	REQUIRE_OK(snug_heap_create(&options, &heap));
	return heap;
}

static snug_stats stats_of(snug_heap *heap) {
	snug_stats stats;
	REQUIRE_OK(snug_stats_get(heap, &stats));
	return stats;
}

/* ------------------------------------------------------------------ filled and emptied ------- */

enum order { FIRST_FIRST, LAST_FIRST, RANDOM, EVERY_OTHER, ORDERS };
static const char *const order_names[ORDERS] = {"the first one first", "the last one first",
												"at random", "every other one first"};

/* Numbers 0 .. count - 1 in that order. */
static void put_in_order(uint64_t *names, size_t count, enum order order) {
	uint64_t *sorted = malloc(count * sizeof *sorted);
	assert_non_null(sorted);
	memcpy(sorted, names, count * sizeof *sorted);
	for (size_t i = 0; i < count; i++) {
		size_t half = (count + 1) / 2;
		if (order == LAST_FIRST) names[i] = sorted[count - 1 - i];
		if (order == EVERY_OTHER) names[i] = sorted[i < half ? 2 * i : 2 * (i - half) + 1];
	}
	for (size_t i = count; order == RANDOM && i > 1; i--) {
		size_t other = test_random_below(&random_numbers, i);
		uint64_t name = names[i - 1];
		names[i - 1] = names[other];
		names[other] = name;
	}
	free(sorted);
}

/* As many as there is room for; at most `most`. */
static size_t fill(snug_heap *heap, size_t size, snug_handle *handles, size_t most) {
	size_t count = 0;
	while (count < most && snug_alloc(heap, size, &handles[count]) == SNUG_OK) count++;
	REQUIRE_OK(snug_check(heap, NULL));
	return count;
}

/* The largest object that fits now, to the page. */
static size_t largest_object(snug_heap *heap) {
	size_t low = 1, high = (size_t)stats_of(heap).limit_bytes;
	while (high - low > 4096) {
		size_t middle = low + (high - low) / 2;
		snug_handle handle;
		if (snug_alloc(heap, middle, &handle) == SNUG_OK) {
			low = middle;
			REQUIRE_OK(snug_free(heap, handle));
		} else {
			high = middle;
		}
	}
	return low;
}

static void return_all(snug_heap *heap) {
	snug_defragment_options options = snug_defragment_options_default();
	snug_report report;
	options.retain_bytes = 0;
	options.merge_classes = true;
	REQUIRE_OK(snug_defragment(heap, &options, &report));
	REQUIRE_OK(snug_check(heap, NULL));
}

static void require_as_new(size_t limit_bytes, size_t page_bytes, size_t size, enum order order,
						   bool asked) {
	char note[160];
	snprintf(note, sizeof note, "%zu MiB, pages of %zu, objects of %zu freed %s, %s",
			 limit_bytes / MIB, page_bytes, size, order_names[order],
			 asked ? "defragmented" : "not defragmented");
	require_note(note);
	snug_heap *fresh = heap_of(limit_bytes, page_bytes, NULL);
	snug_heap *heap = heap_of(limit_bytes, page_bytes, NULL);
	size_t largest = largest_object(fresh), most = limit_bytes / 12;
	snug_handle *handles = malloc(most * sizeof *handles), whole;
	assert_non_null(handles);
	REQUIRE_OK(snug_alloc(fresh, largest, &whole));
	size_t first_count = 0;
	for (int round = 0; round < 2; round++) {
		size_t count = fill(heap, size, handles, most);
		REQUIRE(count > 0 && count < most, "%zu objects", count);
		if (round == 0) first_count = count;
		/* a page of slots and what the classes' states may take */
		REQUIRE(count + 4 * page_bytes / 8 >= first_count, "%zu objects after %zu", count,
				first_count);
		put_in_order(handles, count, order);
		for (size_t i = 0; i < count; i++) REQUIRE_OK(snug_free(heap, handles[i]));
		REQUIRE_OK(snug_check(heap, NULL));
		if (asked) return_all(heap);
		REQUIRE_OK(snug_alloc(heap, largest, &whole));
		/* A grain of floors and one of cells go only when they must. */
		REQUIRE(stats_of(heap).metadata_bytes <=
					stats_of(fresh).metadata_bytes + 2 * METADATA_GRAIN,
				"%llu bytes of metadata, in a fresh heap %llu",
				(unsigned long long)stats_of(heap).metadata_bytes,
				(unsigned long long)stats_of(fresh).metadata_bytes);
		REQUIRE_OK(snug_check(heap, NULL));
		REQUIRE_OK(snug_free(heap, whole));
		for (size_t i = 0; i < count; i++)
			REQUIRE_ERROR(SNUG_ERROR_HANDLE, snug_free(heap, handles[i]));
	}
	REQUIRE_OK(snug_heap_destroy(heap));
	REQUIRE_OK(snug_heap_destroy(fresh));
	free(handles);
	require_note(NULL);
}

static void an_emptied_heap_is_as_good_as_new(void **state) {
	(void)state;
	static const size_t pages[] = {4096, 16384, 65536};
	for (enum order order = FIRST_FIRST; order < ORDERS; order++) {
		for (size_t page = 0; page < 3; page++) {
			for (size_t size = 1; size <= 100; size = size * 7 + 3) {
				require_as_new(3 * MIB, pages[page], size, order, false);
				require_as_new(3 * MIB, pages[page], size, order, true);
			}
		}
	}
}

/* By reference there are no handles, but as many cells: a bitmap for each slab. */
static void told_of_a_move(void *context, snug_ref from, snug_ref to, size_t size) {
	(void)context;
	(void)from;
	(void)to;
	(void)size;
}

static void cells_are_given_back(void **state) {
	(void)state;
	snug_heap *heap = NULL;
	snug_heap_options options = snug_heap_options_default();
	options.limit_bytes = 8 * MIB;
	options.page_bytes = 4096;
	options.owner.moved = told_of_a_move;
	REQUIRE_OK(snug_heap_create(&options, &heap));
	static snug_ref refs[MIB];
	size_t before_bytes = heap->cells.range.committed_bytes, count = 0;
	while (snug_ref_alloc(heap, 8, &refs[count]) == SNUG_OK) count++;
	size_t full_bytes = heap->cells.range.committed_bytes;
	REQUIRE(full_bytes >= 1900 * 64, "%zu bytes of cells", full_bytes);
	put_in_order(refs, count, RANDOM);
	for (size_t i = 0; i < count; i++) REQUIRE_OK(snug_ref_free(heap, refs[i], 8));
	return_all(heap);
	REQUIRE(heap->cells.range.committed_bytes <= before_bytes, "%zu bytes of cells stay",
			heap->cells.range.committed_bytes);
	REQUIRE_OK(snug_heap_destroy(heap));
}

/* Pages of a higher limit are still free when the heap is empty, and have descriptors. */
static void a_limit_that_was_higher_leaves_nothing(void **state) {
	(void)state;
	for (enum order order = FIRST_FIRST; order <= LAST_FIRST; order++) {
		snug_heap *heap = NULL;
		snug_heap_options options = snug_heap_options_default();
		options.limit_bytes = 272 * MIB;
		options.page_bytes = 4096;
		REQUIRE_OK(snug_heap_create(&options, &heap));
		static snug_handle handles[272 * MIB / 4000];
		snug_handle whole;
		size_t count = fill(heap, 4000, handles, 272 * MIB / 4000);
		REQUIRE_OK(snug_heap_set_limit(heap, 256 * MIB));
		put_in_order(handles, count, order);
		for (size_t i = 0; i < count; i++) REQUIRE_OK(snug_free(heap, handles[i]));
		require_note(order_names[order]);
		REQUIRE_OK(snug_alloc(heap, heap->object_max_bytes, &whole));
		REQUIRE_OK(snug_check(heap, NULL));
		REQUIRE_OK(snug_heap_destroy(heap));
	}
	require_note(NULL);
}

/* ------------------------------------------------------------------ the naive twin ----------- */

#define HANDLES_MAX ((size_t)1 << 19)

struct handle_twin {
	snug_heap *heap;
	snug_handle *ever; /* every handle that there ever was; the live ones first */
	size_t count;
	size_t live;
	snug_handle *known; /* open addressing; 0: empty */
};

static void remember(struct handle_twin *twin, snug_handle handle) {
	size_t at = (size_t)(handle * UINT64_C(0x9e3779b97f4a7c15) >> 40) % (2 * HANDLES_MAX);
	REQUIRE(handle != 0, "a handle is 0");
	for (; twin->known[at] != 0; at = (at + 1) % (2 * HANDLES_MAX))
		REQUIRE(twin->known[at] != handle, "handle %llx was given out twice",
				(unsigned long long)handle);
	twin->known[at] = handle;
	twin->ever[twin->count] = twin->ever[twin->live];
	twin->ever[twin->live++] = handle;
	twin->count++;
}

static void forget_one(struct handle_twin *twin, size_t index) {
	REQUIRE_OK(snug_free(twin->heap, twin->ever[index]));
	snug_handle handle = twin->ever[index];
	twin->ever[index] = twin->ever[--twin->live];
	twin->ever[twin->live] = handle;
}

static void require_truth(struct handle_twin *twin, size_t samples) {
	size_t size;
	for (size_t i = 0; i < samples && twin->count > 0; i++) {
		size_t index = test_random_below(&random_numbers, twin->count);
		snug_error expected = index < twin->live ? SNUG_OK : SNUG_ERROR_HANDLE;
		REQUIRE_ERROR(expected, snug_size(twin->heap, twin->ever[index], &size));
	}
	/* A forged one that names a header. */
	uint64_t forged = test_random_below(&random_numbers, 64) * HANDLE_GRAIN_ENTRIES +
					  test_random_below(&random_numbers, HANDLE_GRAIN_HEADER);
	forged |= (uint64_t)twin->heap->handles.tag << 56 |
			  (uint64_t)test_random_below(&random_numbers, 600) << 32;
	REQUIRE_ERROR(SNUG_ERROR_HANDLE, snug_size(twin->heap, forged, &size));
}

static void trim_somehow(snug_heap *heap) {
	enum trim how = (enum trim)test_random_below(&random_numbers, 3);
	if (test_random_below(&random_numbers, 4) > 0) {
		tables_trim_slice(heap, how);
	} else if (test_random_below(&random_numbers, 2) > 0) {
		tables_trim(heap, how);
	} else {
		return_all(heap);
	}
}

/* Grows and shrinks; which objects go is chosen near one place, so that grains become empty. */
static void play_handles(struct handle_twin *twin, size_t operations) {
	bool growing = true;
	size_t target = 3000;
	for (size_t i = 0; i < operations; i++) {
		snug_handle handle;
		bool add = test_random_below(&random_numbers, 8) > 0 ? growing : !growing;
		if (add && twin->count < HANDLES_MAX) {
			snug_error error = snug_alloc(twin->heap, 1 + i % 40, &handle);
			if (error == SNUG_OK) remember(twin, handle);
			growing &= error == SNUG_OK && twin->live < target;
		} else if (twin->live > 0) {
			size_t near = smaller(twin->live, 40);
			forget_one(twin, twin->live - 1 - test_random_below(&random_numbers, near));
		}
		if (!growing && twin->live < target / 64) {
			growing = true;
			target = 200 + test_random_below(&random_numbers, 9000);
		}
		if (i % 64 == 0) trim_somehow(twin->heap);
		if (i % 16 == 0) require_truth(twin, 8);
		if (i % 256 == 0) REQUIRE_OK(snug_check(twin->heap, NULL));
	}
}

static void require_handles_for_ever(uint32_t floor, size_t operations,
									 struct handle_table *at_the_end) {
	struct handle_twin twin = {.heap = heap_of(MIB, 4096, NULL)};
	twin.ever = malloc(HANDLES_MAX * sizeof *twin.ever);
	twin.known = calloc(2 * HANDLES_MAX, sizeof *twin.known);
	assert_non_null(twin.ever);
	assert_non_null(twin.known);
	twin.heap->handles.floor = floor;
	play_handles(&twin, operations);
	require_truth(&twin, 1000);
	while (twin.live > 0) forget_one(&twin, 0);
	return_all(twin.heap);
	require_truth(&twin, twin.count);
	*at_the_end = twin.heap->handles;
	REQUIRE_OK(snug_heap_destroy(twin.heap));
	free(twin.ever);
	free(twin.known);
}

static void a_stale_handle_is_an_error_for_ever(void **state) {
	(void)state;
	struct handle_table table;
	require_handles_for_ever(1, 100000, &table);
	REQUIRE(table.count == 0 && table.range.committed_bytes == 0 &&
				table.floors_range.committed_bytes == 0,
			"an emptied table keeps %zu bytes",
			table.range.committed_bytes + table.floors_range.committed_bytes);
	REQUIRE(table.floor > 2, "no floor was handed on");
}

/* Nothing above a sixteenth of all generations is handed on: the floors stay. */
static void high_floors_are_kept(void **state) {
	(void)state;
	struct handle_table table;
	require_handles_for_ever((1u << 20) - 2, 60000, &table);
	REQUIRE(table.floor <= 1u << 20, "floor %u was handed on", table.floor);
	REQUIRE(table.range.committed_bytes == 0 && table.cold_grains > 0, "no floor was kept");
}

/* Entries are retired, grains are spent, and at most an eighth of the addresses. */
static void generations_end(void **state) {
	(void)state;
	struct handle_table table;
	require_handles_for_ever(GENERATION_MAX - 2, 80000, &table);
	uint64_t grains = table.range.reserved_bytes / METADATA_GRAIN;
	REQUIRE(table.spent_grains > 0 && table.spent_grains * 8ull <= grains, "%u of %llu spent",
			table.spent_grains, (unsigned long long)grains);
}

/* ------------------------------------------------------------------ pins ---------------------- */

static void only_the_first_pin_asks_the_system(void **state) {
	(void)state;
	struct fake_os fake;
	fake_os_init(&fake);
	snug_heap *heap = heap_of(MIB, 4096, &fake.os);
	static snug_handle handles[2000];
	for (size_t i = 0; i < 2000; i++) REQUIRE_OK(snug_alloc(heap, 100, &handles[i]));
	REQUIRE_OK(snug_pin(heap, handles[0]));
	REQUIRE_OK(snug_unpin(heap, handles[0]));
	uint64_t calls = fake.commit.calls + fake.decommit.calls;
	for (size_t i = 0; i < 2000; i++) {
		REQUIRE_OK(snug_pin(heap, handles[i]));
		REQUIRE_OK(snug_unpin(heap, handles[i]));
	}
	REQUIRE(fake.commit.calls + fake.decommit.calls == calls, "%llu calls of the system",
			(unsigned long long)(fake.commit.calls + fake.decommit.calls - calls));
	for (size_t i = 0; i < 2000; i++) REQUIRE_OK(snug_pin(heap, handles[i]));
	REQUIRE(heap->pins.capacity == 4096, "%u", heap->pins.capacity);
	for (size_t i = 0; i < 2000; i++) {
		REQUIRE_OK(snug_unpin(heap, handles[i]));
		if (i % 50 == 0) REQUIRE_OK(snug_check(heap, NULL));
	}
	REQUIRE(heap->pins.capacity == PIN_CAPACITY_MIN, "the table of pins stays at %u",
			heap->pins.capacity);
	return_all(heap);
	REQUIRE(heap->pins.ranges[0].committed_bytes + heap->pins.ranges[1].committed_bytes == 0,
			"the table of pins stays");
	REQUIRE_OK(snug_pin(heap, handles[0]));
	REQUIRE_OK(snug_heap_destroy(heap));
	assert_int_equal(fake.mistakes, 0);
	fake_os_deinit(&fake);
}

int main(void) {
	random_numbers.state = test_environment_number("SNUG_SEED", (uint64_t)time(NULL));
	printf("SNUG_SEED=0x%llx\n", (unsigned long long)random_numbers.state);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_emptied_heap_is_as_good_as_new),
		cmocka_unit_test(cells_are_given_back),
		cmocka_unit_test(a_limit_that_was_higher_leaves_nothing),
		cmocka_unit_test(a_stale_handle_is_an_error_for_ever),
		cmocka_unit_test(high_floors_are_kept),
		cmocka_unit_test(generations_end),
		cmocka_unit_test(only_the_first_pin_asks_the_system),
	};
	return cmocka_run_group_tests_name("emptied", tests, NULL, NULL);
}
