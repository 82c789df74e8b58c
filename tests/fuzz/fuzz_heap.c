/* fuzz_heap.c: a fuzz target: the bytes of an input become operations on a heap and its twin.
 *
 * The same operations as the model test's, chosen by the input instead of by random numbers, so that a fuzzer that watches the
 * coverage finds the sequences that matter. Built three times, with FUZZ_NAMING as TWIN_HANDLES, TWIN_REFERENCES and
 * TWIN_REFERENCES_SIZED. The first bytes choose the heap:
 *
 *     limit, page size, flags (no compaction in alloc, pacing, huge pages, populate), which commit the OS refuses
 *
 * A failure prints how many operations were done and aborts. Run one input again: fuzz_handles FILE. */
#include "os/fake.h"
#include "support/require.h"
#include "support/twin/operations.h"

#include <stdio.h>

#define CHECK_EVERY 64
#define OPERATIONS_MAX 20000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static snug_heap_options choose_heap(struct choices *choices) {
	static const uint16_t limit_kib[] = {256, 256, 300, 384, 512, 1000, 1024, 4096};
	static const uint8_t page_kib[] = {4, 4, 4, 4, 8, 8, 16, 64};
	snug_heap_options options = snug_heap_options_default();
	options.limit_bytes =
		(size_t)limit_kib[choose_below(choices, sizeof limit_kib / sizeof *limit_kib)] << 10;
	options.page_bytes = (size_t)page_kib[choose_below(choices, sizeof page_kib)] << 10;
	uint64_t flags = choose_below(choices, 256);
	options.no_compaction_in_alloc = (flags & 0x07) == 0x07;
	options.pace_low_water_bytes = (flags & 0x18) == 0x18 ? options.limit_bytes / 8 : 0;
	options.pace_step_bytes = options.pace_low_water_bytes != 0 && (flags & 0x20) != 0 ? 500 : 0;
	options.populate = (flags & 0x40) != 0 && (flags & 1) != 0;
	options.huge_pages = (flags & 0x80) != 0 && (flags & 1) != 0;
	if (options.no_compaction_in_alloc) { /* refused together with pacing */
		options.pace_low_water_bytes = 0;
		options.pace_step_bytes = 0;
	}
	return options;
}

static void run_operations(struct twin *twin, struct choices *choices, bool os_refuses) {
	char note[80] = "";
	require_note(note);
	struct operations operations;
	operations_init(&operations, twin, choices);
	operations.os_refuses = os_refuses;
	for (int i = 0; choices->left > 0 && i < OPERATIONS_MAX; i++) {
		snprintf(note, sizeof note, "operation %d, %zu bytes of the input left", i, choices->left);
		operations_do(&operations);
		if (i % CHECK_EVERY == 0) {
			twin_check(twin);
		}
	}
	twin_check(twin);
	twin_compare_all(twin);
	twin_compare_recount(twin);
	twin_destroy(twin);
	require_note(NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	if (size == 0) {
		return 0;
	}
	struct choices choices = {.bytes = data, .left = size};
	snug_heap_options options = choose_heap(&choices);
	static struct fake_os fake;
	fake_os_init(&fake);
	fake.advance_ns = 100;
	fake.commit.fail_at = choose_below(&choices, 256);
	struct twin twin;
	snug_error error = twin_create(&twin, FUZZ_NAMING, &options, &fake);
	bool os_refuses = fake.commit.fail_at != 0;
	if (error == SNUG_OK) {
		twin.law_seven = !os_refuses;
		run_operations(&twin, &choices, os_refuses);
	} else {
		bool too_small = error == SNUG_ERROR_LIMIT_TOO_SMALL && options.page_bytes > 4096;
		REQUIRE(too_small || (error == SNUG_ERROR_OS_MEMORY && os_refuses), "create: %s",
				snug_error_text(error));
	}
	REQUIRE(fake.mistakes == 0, "mistake in using the OS: %s", fake.first_mistake);
	REQUIRE(fake.reserved_bytes == 0, "%zu bytes were left reserved", fake.reserved_bytes);
	fake_os_deinit(&fake);
	return 0;
}
