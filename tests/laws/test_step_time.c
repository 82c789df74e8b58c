/* test_step_time.c: no step takes longer than twice the time that was asked, counted and
 * not timed.
 *
 * The memory core is compiled for this test with a call at the beginning of each basic block
 * (-fsanitize-coverage=trace-pc), and the heap's clock is the number of these calls. So each round
 * of each loop costs time, whoever wrote it, on every machine the same; and what looks at the clock
 * too seldom is late here, deterministically. Calls of the system cost what they cost on a machine
 * of 2023.
 *
  * A block is 2 ns, which is what a list of descriptors that is not in the cache takes. What the clock does not
 * see is the copying, which is inside memcpy; it is bounded in bytes. bench-steps measures. */
#include "mem/object/pieces.h"
#include "os/fake.h"
#include "support/require.h"
#include "unit/cmocka_all.h"

#include <snug/snug.h>
#include <stdio.h>
#include <stdlib.h>

#define MIB ((size_t)1 << 20)
#define BLOCK_NS 2u
#define CALL_NS 600u /* of the system, and for each page that it takes back: */
#define PAGE_NS 150u
#define STEP_NS 10000u
#define LATE_NS (2 * STEP_NS)
#define LENT 60000u   /* holes */
#define LENT_NS 1500u /* each, on the average */
#define OBJECTS_MAX 700000u

static uint64_t clock_blocks;
static uint64_t system_ns;

void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_pc(void) {
	clock_blocks++;
}

static uint64_t counted_now_ns(void *context) {
	(void)context;
	return clock_blocks * BLOCK_NS + system_ns;
}

static bool counted_commit(void *context, void *address, size_t bytes) {
	const snug_os *os = snug_os_linux();
	(void)context;
	return os->commit(os->context, address, bytes);
}

static bool counted_decommit(void *context, void *address, size_t bytes) {
	const snug_os *os = snug_os_linux();
	(void)context;
	system_ns += CALL_NS + bytes / FAKE_OS_PAGE_BYTES * PAGE_NS;
	return os->decommit(os->context, address, bytes);
}

static snug_os counted_os;
static snug_heap *heap;
static snug_handle *objects;
static size_t count;

static int open_with(size_t limit_bytes, size_t page_bytes) {
	snug_heap_options options = snug_heap_options_default();
	counted_os = *snug_os_linux();
	counted_os.now_ns = counted_now_ns;
	counted_os.commit = counted_commit;
	counted_os.decommit = counted_decommit;
	options.limit_bytes = limit_bytes;
	options.page_bytes = page_bytes;
	options.os = &counted_os;
	count = 0;
	objects = calloc(OBJECTS_MAX, sizeof *objects);
	return objects == NULL || snug_heap_create(&options, &heap) != SNUG_OK;
}

static int open_heap(void **state) {
	(void)state;
	return open_with(64 * MIB, 4096);
}

static int open_large_pages(void **state) {
	(void)state;
	return open_with(8 * MIB, 65536);
}

static int close_heap(void **state) {
	(void)state;
	free(objects);
	return snug_check(heap, NULL) != SNUG_OK || snug_heap_destroy(heap) != SNUG_OK;
}

/* ------------------------------------------------------------------ heaps -------------------- */

static bool add(size_t size) {
	REQUIRE(count < OBJECTS_MAX, "too many objects for the test");
	snug_alloc_options options = {.contiguous = size <= snug_contiguous_max(heap)};
	if (snug_alloc_with(heap, size, &options, &objects[count]) != SNUG_OK) return false;
	count++;
	return true;
}

static void fill(size_t size) {
	while (add(size)) {
	}
}

static void release(size_t index) {
	if (objects[index] == 0) return;
	REQUIRE_OK(snug_free(heap, objects[index]));
	objects[index] = 0;
}

static size_t objects_a_slab(void) {
	snug_stats stats;
	REQUIRE_OK(snug_stats_get(heap, &stats));
	return stats.objects / stats.total.slabs;
}

static void keep_every(size_t nth) {
	for (size_t index = 0; index < count; index++) {
		if (index % nth != 0) release(index);
	}
}

static void release_all(void) {
	while (count > 0) release(--count);
}

/* So many objects of each size up to a page, so that all size classes are active, and have cached
 * slots. */
static void fill_all_classes(size_t bytes_each) {
	for (size_t size = 8; size <= snug_contiguous_max(heap); size += size / 128 + 1) {
		for (size_t bytes = 0; bytes < bytes_each; bytes += size) (void)add(size);
	}
}

/* ------------------------------------------------------------------ what is measured --------- */

static void require_short(const char *what, uint64_t begin_ns) {
	uint64_t took_ns = counted_now_ns(NULL) - begin_ns;
	REQUIRE(took_ns <= LATE_NS, "%s took %llu ns where a step is %u", what,
			(unsigned long long)took_ns, STEP_NS);
}

/* Each call of it by itself. */
static snug_report defragment(const snug_defragment_options *given) {
	snug_defragment_options options = *given;
	options.step_ns = STEP_NS;
	options.step_bytes = SNUG_NO_BUDGET;
	snug_estimate_report estimate;
	snug_stats stats;
	uint64_t begin_ns = counted_now_ns(NULL);
	REQUIRE_OK(snug_estimate(heap, &options, &estimate));
	require_short("the estimate", begin_ns);
	begin_ns = counted_now_ns(NULL);
	REQUIRE_OK(snug_stats_get(heap, &stats));
	require_short("the snapshot", begin_ns);
	begin_ns = counted_now_ns(NULL);
	REQUIRE_OK(snug_defragment_begin(heap, &options));
	require_short("begin", begin_ns);
	bool done = false;
	char what[32];
	for (uint32_t step = 0; !done; step++) {
		begin_ns = counted_now_ns(NULL);
		REQUIRE_OK(snug_defragment_step(heap, &done));
		snprintf(what, sizeof what, "step %u", step);
		require_short(what, begin_ns);
	}
	snug_report report;
	begin_ns = counted_now_ns(NULL);
	REQUIRE_OK(snug_defragment_end(heap, &report));
	require_short("end", begin_ns);
	REQUIRE(report.longest_step_ns <= LATE_NS, "the report's longest step: %llu ns",
			(unsigned long long)report.longest_step_ns);
	return report;
}

static snug_defragment_options returning(void) {
	snug_defragment_options options = snug_defragment_options_default();
	options.retain_bytes = 0;
	return options;
}

/* ------------------------------------------------------------------ cases -------------------- */

static void the_clock_counts(void **state) {
	(void)state;
	uint64_t begin = clock_blocks;
	REQUIRE(add(100), "no room for one object");
	REQUIRE(clock_blocks > begin, "the memory core was compiled without the calls that count");
}

static void one_object_a_slab(void **state) {
	(void)state;
	fill(100);
	keep_every(objects_a_slab());
	snug_defragment_options options = snug_defragment_options_default();
	snug_report report = defragment(&options);
	REQUIRE(report.outcome == SNUG_OUTCOME_DONE && report.reclaimed_bytes > 32 * MIB,
			"%llu bytes reclaimed", (unsigned long long)report.reclaimed_bytes);
}

static void half_empty(void **state) {
	(void)state;
	fill(100);
	keep_every(2);
	snug_defragment_options options = returning();
	snug_report report = defragment(&options);
	REQUIRE(report.returned_bytes > 24 * MIB, "%llu bytes returned",
			(unsigned long long)report.returned_bytes);
}

static void coalesced(void **state) {
	(void)state;
	fill(100);
	keep_every(objects_a_slab());
	snug_defragment_options options = returning();
	options.mode = SNUG_COALESCE;
	(void)defragment(&options);
	release_all();
	fill_all_classes(128 << 10);
	keep_every(37);
	(void)defragment(&options);
}

/* Nothing but free pages: all that is left is to return them. */
static void emptied(void **state) {
	(void)state;
	fill(1000);
	release_all();
	snug_defragment_options options = returning();
	snug_report report = defragment(&options);
	REQUIRE(report.returned_bytes > 56 * MIB, "%llu bytes returned",
			(unsigned long long)report.returned_bytes);
}

/* In each region a pin: none can be drained, and that is found out in time. */
static void a_pin_in_each_region(void **state) {
	(void)state;
	fill(4000);
	keep_every(2);
	for (size_t index = 0; index < count; index += 512) REQUIRE_OK(snug_pin(heap, objects[index]));
	snug_defragment_options options = returning();
	snug_report report = defragment(&options);
	REQUIRE(report.returned_bytes == 0, "%llu bytes returned",
			(unsigned long long)report.returned_bytes);
	for (size_t index = 0; index < count; index += 512)
		REQUIRE_OK(snug_unpin(heap, objects[index]));
	report = defragment(&options);
	REQUIRE(report.returned_bytes > 24 * MIB, "%llu bytes returned once the pins were gone",
			(unsigned long long)report.returned_bytes);
}

/* Free pages one by one, returned one by one. */
static void returned_page_by_page(void **state) {
	(void)state;
	fill(4000);
	keep_every(2);
	snug_defragment_options options = snug_defragment_options_default();
	options.return_bytes = 16 * MIB;
	snug_report report = defragment(&options);
	REQUIRE(report.returned_bytes == options.return_bytes, "%llu bytes returned",
			(unsigned long long)report.returned_bytes);
}

/* A run of free pages is as long as the heap. */
static void returned_in_an_emergency(void **state) {
	(void)state;
	fill(1000);
	release_all();
	snug_defragment_options options = snug_defragment_options_default();
	options.return_bytes = 48 * MIB;
	snug_report report = defragment(&options);
	REQUIRE(report.returned_bytes == options.return_bytes, "%llu bytes returned",
			(unsigned long long)report.returned_bytes);
}

/* Hundreds of classes with cached slots and pages to gain; most are retired at the end. */
static void all_classes(void **state) {
	(void)state;
	fill_all_classes(128 << 10);
	keep_every(37);
	snug_defragment_options options = snug_defragment_options_default();
	snug_report report = defragment(&options);
	REQUIRE(report.before.total.active_classes > 100, "%u active classes",
			report.before.total.active_classes);
	REQUIRE(report.reclaimed_bytes > 0, "nothing was reclaimed");
	options.merge_classes = true;
	(void)defragment(&options);
	release_all();
	report = defragment(&options);
	REQUIRE(report.after.total.active_classes < 100, "%u classes were not retired",
			report.after.total.active_classes);
}

static void all_classes_pinned(void **state) {
	(void)state;
	fill_all_classes(128 << 10);
	keep_every(37);
	for (size_t index = 0; index < count; index += 37) REQUIRE_OK(snug_pin(heap, objects[index]));
	snug_defragment_options options = returning();
	(void)defragment(&options);
	for (size_t index = 0; index < count; index += 37) REQUIRE_OK(snug_unpin(heap, objects[index]));
	(void)defragment(&options);
}

/* A limit that was lowered: what is free goes in the steps. */
static void below_what_is_in_use(void **state) {
	(void)state;
	fill(100);
	REQUIRE_OK(snug_heap_set_limit(heap, 16 * MIB));
	keep_every(8);
	snug_defragment_options options = snug_defragment_options_default();
	(void)defragment(&options);
	REQUIRE_OK(snug_heap_set_limit(heap, 64 * MIB));
}

/* A slice of a worker's: 64 fragments. */
static void a_large_object_freed_in_parts(void **state) {
	(void)state;
	REQUIRE(add(32 * MIB), "no room for one object");
	bool done = false;
	while (!done) {
		uint64_t begin_ns = counted_now_ns(NULL);
		REQUIRE_OK(snug_free_part(heap, objects[0], 256 << 10, &done));
		require_short("a part of a free", begin_ns);
	}
	count = 0;
}

/* Holes are lent one by one, to the records of pins: the last of a slab costs what the first does,
 * though it has 2,000 slots; and the last record what the first does, though there are tens of
 * thousands. */
static void a_slab_lends_all_its_holes(void **state) {
	(void)state;
	fill(26);
	keep_every(2);
	uint64_t begin_ns = counted_now_ns(NULL);
	for (size_t index = 0; index < 2 * LENT; index += 2) REQUIRE_OK(snug_pin(heap, objects[index]));
	uint64_t took_ns = counted_now_ns(NULL) - begin_ns;
	REQUIRE(took_ns <= LENT * (uint64_t)LENT_NS, "%llu ns for each of %u pins",
			(unsigned long long)took_ns / LENT, LENT);
	for (size_t index = 0; index < 2 * LENT; index += 2)
		REQUIRE_OK(snug_unpin(heap, objects[index]));
}

/* Objects of `size` bytes, every second of them gone, and objects of `large` bytes in the holes,
 * which pins kept from becoming pages. */
static void fill_with_guests(size_t size, size_t large) {
	fill(size);
	size_t residents = count, nth = objects_a_slab() / 2 * 2;
	keep_every(2);
	for (size_t index = 0; index < residents; index += nth)
		REQUIRE_OK(snug_pin(heap, objects[index]));
	while (count < OBJECTS_MAX && snug_alloc(heap, large, &objects[count]) == SNUG_OK) count++;
	for (size_t index = 0; index < residents; index += nth)
		REQUIRE_OK(snug_unpin(heap, objects[index]));
}

/* First there is neither page nor hole. Small guests are looked at in vain; those of an object that
 * is larger than a page go home a page at a time, lap after lap. Then a third of all objects has
 * gone, and what is left goes home or to other hosts. */
static void guests_go(size_t size, size_t large) {
	fill_with_guests(size, large);
	snug_defragment_options options = snug_defragment_options_default();
	snug_report report = defragment(&options);
	REQUIRE(report.before.lent_slots > 10000, "only %llu slots were lent",
			(unsigned long long)report.before.lent_slots);
	for (size_t index = 0; index < count; index += 3) release(index);
	report = defragment(&options);
	uint64_t least_bytes = report.before.limit_bytes / 5;
	REQUIRE(report.after.available_bytes >= least_bytes,
			"%llu bytes are in whole pages where a third of all objects had gone, %llu moves home",
			(unsigned long long)report.after.available_bytes,
			(unsigned long long)report.rehomed_objects);
	release_all();
}

static void guests_go_home_or_beside(void **state) {
	(void)state;
	guests_go(100, 3000);
	guests_go(1000, 100000);
}

/* Slabs of thousands of slots. */
static void guests_of_large_pages(void **state) {
	(void)state;
	guests_go(26, 3000);
	guests_go(26, 400000);
}

/* No hole is near 1,600 bytes, and some hundred sizes of smaller ones could be put together. */
static void two_holes_of_hundreds(void **state) {
	(void)state;
	fill_all_classes(8 << 10);
	for (size_t index = 0; index < count; index += 2) {
		size_t size;
		REQUIRE_OK(snug_size(heap, objects[index], &size));
		if (size <= 1300 || size > 1400) release(index);
	}
	uint64_t begin_ns = counted_now_ns(NULL);
	const struct size_class *class = pieces_class(heap, 1600, false);
	require_short("the choice of two holes", begin_ns);
	REQUIRE(class != NULL && class->stride < 1600, "it is one hole of %u bytes",
			class == NULL ? 0 : class->stride);
}

int main(void) {
#define STEPPED(name) cmocka_unit_test_setup_teardown(name, open_heap, close_heap)
	const struct CMUnitTest tests[] = {
		STEPPED(the_clock_counts),
		STEPPED(one_object_a_slab),
		STEPPED(half_empty),
		STEPPED(coalesced),
		STEPPED(emptied),
		STEPPED(a_pin_in_each_region),
		STEPPED(returned_page_by_page),
		STEPPED(returned_in_an_emergency),
		STEPPED(all_classes),
		STEPPED(all_classes_pinned),
		STEPPED(below_what_is_in_use),
		STEPPED(a_large_object_freed_in_parts),
		STEPPED(two_holes_of_hundreds),
		STEPPED(guests_go_home_or_beside),
		cmocka_unit_test_setup_teardown(a_slab_lends_all_its_holes, open_large_pages, close_heap),
		cmocka_unit_test_setup_teardown(guests_of_large_pages, open_large_pages, close_heap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
