/* test_heap_options.c: what snug_heap_options can ask for happens: pacing, no compaction in
 * allocations, populate, huge pages, page size, log; and heaps that change threads, or live beside
 * others on other threads. */
#include "herd.h"
#include "os/fake.h"
#include "support/require.h"
#include "unit/cmocka_all.h"

#include <pthread.h>
#include <stdio.h>

#define MIB ((size_t)1 << 20)

/* Full, then every second object freed: no page is free. */
static void make_holes(struct herd *herd) {
	herd_fill(herd, UINT64_MAX, 100, 100);
	for (uint32_t i = 0; i < herd->count; i += 2) {
		herd_remove(herd, i);
	}
}

/* ------------------------------------------------------------------ compaction in allocations - */

static void pacing_keeps_pages_at_hand(void **state) {
	(void)state;
	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
								 .limit_bytes = 2 * MIB,
								 .page_bytes = 4096,
								 .pace_low_water_bytes = 256 << 10};
	struct herd herd;
	herd_init(&herd, false, &options);
	herd_fill(&herd, 3 * MIB / 2, 100, 100);
	for (uint32_t i = 0; i < herd.count; i += 2) {
		herd_remove(&herd, i);
	}
	uint64_t moves = herd_stats(&herd).moves;
	herd_fill(&herd, 600 << 10, 3000, 3000); /* each page of these pays for a step */
	snug_stats stats = herd_stats(&herd);
	REQUIRE(stats.moves > moves, "pacing moved nothing");
	REQUIRE(stats.available_bytes >= (200 << 10), "only %llu bytes are at hand",
			(unsigned long long)stats.available_bytes);
	REQUIRE_OK(snug_check(herd.heap, NULL));
	herd_verify(&herd);
	herd_deinit(&herd);
}

static void without_pacing_nothing_moves_early(void **state) {
	(void)state;
	snug_heap_options options = {
		.struct_bytes = sizeof(snug_heap_options), .limit_bytes = 2 * MIB, .page_bytes = 4096};
	struct herd herd;
	herd_init(&herd, false, &options);
	herd_fill(&herd, MIB, 100, 100);
	for (uint32_t i = 0; i < herd.count; i += 2) {
		herd_remove(&herd, i);
	}
	herd_fill(&herd, 600 << 10, 3000, 3000);
	REQUIRE(herd_stats(&herd).moves == 0, "objects moved although there was room");
	herd_deinit(&herd);
}

static void no_compaction_in_alloc(void **state) {
	(void)state;
	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
								 .limit_bytes = 2 * MIB,
								 .page_bytes = 4096,
								 .no_compaction_in_alloc = true,
								 .no_last_resort = true};
	struct herd herd;
	herd_init(&herd, false, &options);
	static snug_handle handles[20000];
	size_t count = 0;
	while (snug_alloc(herd.heap, 100, &handles[count]) == SNUG_OK) {
		count++;
	}
	for (size_t i = 0; i < count; i += 2) {
		REQUIRE_OK(snug_free(herd.heap, handles[i]));
	}
	snug_handle large = 7;
	REQUIRE_ERROR(SNUG_ERROR_NO_MEMORY, snug_alloc(herd.heap, 100000, &large));
	REQUIRE(large == 7 && herd_stats(&herd).moves == 0, "an allocation moved objects");
	snug_report report;
	REQUIRE_OK(snug_defragment(herd.heap, NULL, &report));
	REQUIRE(report.moved_objects > 0, "nothing moved");
	REQUIRE_OK(snug_alloc(herd.heap, 100000, &large));
	herd_deinit(&herd);
}

static void an_allocation_compacts(void **state) {
	(void)state;
	snug_heap_options options = {
		.struct_bytes = sizeof(snug_heap_options), .limit_bytes = 2 * MIB, .page_bytes = 4096};
	struct herd herd;
	herd_init(&herd, true, &options);
	make_holes(&herd);
	REQUIRE_OK(herd_add(&herd, 100000));
	snug_stats stats = herd_stats(&herd);
	REQUIRE(stats.compacting_allocations > 0 && stats.moves > 0, "it did not");
	REQUIRE(stats.moved_bytes <= stats.reclaimed_bytes, "more bytes copied than gained");
	herd_verify(&herd);
	herd_deinit(&herd);
}

/* ------------------------------------------------------------------ what is asked of the OS --- */

static void populate(void **state) {
	(void)state;
	struct fake_os fake;
	fake_os_init(&fake);
	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
								 .limit_bytes = 4 * MIB,
								 .populate = true,
								 .os = &fake.os};
	struct herd herd;
	herd_init(&herd, false, &options);
	REQUIRE(fake.populate.calls > 0, "populate was not asked for");
	snug_stats stats = herd_stats(&herd);
	REQUIRE(stats.committed_bytes + stats.metadata_bytes > 4 * MIB * 95 / 100,
			"only %llu bytes were committed", (unsigned long long)stats.committed_bytes);
	uint64_t commits = fake.commit.calls;
	herd_fill(&herd, 3 * MIB, 1000, 3000);
	REQUIRE(fake.commit.calls - commits < 40, "%llu commits although all pages were populated",
			(unsigned long long)(fake.commit.calls - commits));
	REQUIRE_OK(snug_check(herd.heap, NULL));
	herd_deinit(&herd);
	assert_int_equal(fake.reserved_bytes, 0);
	assert_int_equal(fake.mistakes, 0);
	fake_os_deinit(&fake);
}

static void huge_pages(void **state) {
	(void)state;
	struct fake_os fake;
	fake_os_init(&fake);
	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
								 .limit_bytes = 16 * MIB,
								 .huge_pages = true,
								 .os = &fake.os};
	struct herd herd;
	herd_init(&herd, false, &options);
	REQUIRE_OK(herd_add(&herd, 100));
	REQUIRE(fake.advise_huge.calls > 0, "huge pages were not asked for");
	uint64_t committed = herd_stats(&herd).committed_bytes;
	REQUIRE(committed > 0 && committed % (2 * MIB) == 0,
			"%llu bytes were committed, not whole units of 2 MiB", (unsigned long long)committed);
	uint64_t filled = herd_fill(&herd, UINT64_MAX, 100, 5000);
	REQUIRE(filled > 11 * MIB, "only %llu bytes found room", (unsigned long long)filled);
	REQUIRE_OK(snug_check(herd.heap, NULL));
	herd_verify(&herd);
	herd_deinit(&herd);
	assert_int_equal(fake.reserved_bytes, 0);
	assert_int_equal(fake.mistakes, 0);
	fake_os_deinit(&fake);
}

static void page_bytes(void **state) {
	(void)state;
	for (size_t bytes = 4096; bytes <= 65536; bytes *= 2) {
		snug_heap_options options = {
			.struct_bytes = sizeof(snug_heap_options), .limit_bytes = 8 * MIB, .page_bytes = bytes};
		struct herd herd;
		herd_init(&herd, bytes > 8192, &options);
		assert_int_equal(herd_stats(&herd).page_bytes, bytes);
		herd_fill(&herd, UINT64_MAX, 4, 3000);
		herd_thin_out(&herd, 0, herd.count, 500);
		const snug_defragment_options defaults = snug_defragment_options_default();
		snug_report report = herd_defragment(&herd, &defaults);
		REQUIRE(report.moved_objects > 0 && report.reclaimed_bytes > 0,
				"pages of %zu bytes: nothing was gained", bytes);
		herd_deinit(&herd);
	}
}

struct log_lines {
	unsigned count[SNUG_LOG_DEBUG + 1];
};

static void count_line(void *context, snug_log_level level, const char *line) {
	struct log_lines *lines = context;
	REQUIRE(line != NULL && line[0] != '\0' && strchr(line, '\n') == NULL,
			"a log line that is not one");
	lines->count[level]++;
}

static void log_tells_of_defragmentations(void **state) {
	(void)state;
	for (snug_log_level level = SNUG_LOG_ERROR; level <= SNUG_LOG_DEBUG; level++) {
		struct log_lines lines = {{0}};
		snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
									 .limit_bytes = 2 * MIB,
									 .log = {count_line, &lines, level}};
		struct herd herd;
		herd_init(&herd, false, &options);
		make_holes(&herd);
		snug_report report;
		REQUIRE_OK(snug_defragment(herd.heap, NULL, &report));
		herd_deinit(&herd);
		REQUIRE((lines.count[SNUG_LOG_INFO] > 0) == (level >= SNUG_LOG_INFO),
				"%u lines of information at level %d", lines.count[SNUG_LOG_INFO], (int)level);
		REQUIRE(level >= SNUG_LOG_DEBUG || lines.count[SNUG_LOG_DEBUG] == 0,
				"lines above the level");
		REQUIRE(lines.count[SNUG_LOG_ERROR] == 0, "an invariant is broken");
	}
}

/* ------------------------------------------------------------------ threads ------------------- */

static void *adopt_and_use(void *context) {
	struct herd *herd = context;
	REQUIRE_OK(snug_heap_adopt(herd->heap));
	herd_fill(herd, MIB / 2, 50, 5000);
	herd_thin_out(herd, 0, herd->count, 300);
	herd_verify(herd);
	return NULL;
}

static void adopted_by_another_thread(void **state) {
	(void)state;
	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options), .limit_bytes = 4 * MIB};
	struct herd herd;
	herd_init(&herd, false, &options);
	herd_fill(&herd, MIB / 2, 50, 5000);
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, adopt_and_use, &herd), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
#ifdef SNUG_DEBUG
	snug_stats stats;
	REQUIRE_ERROR(SNUG_ERROR_WRONG_THREAD, snug_stats_get(herd.heap, &stats));
#endif
	REQUIRE_OK(snug_heap_adopt(herd.heap));
	const snug_defragment_options defaults = snug_defragment_options_default();
	herd_defragment(&herd, &defaults);
	herd_deinit(&herd);
}

static void *work_alone(void *context) {
	struct herd herd;
	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options), .limit_bytes = 2 * MIB};
	herd_init(&herd, *(bool *)context, &options);
	for (int round = 0; round < 10; round++) {
		herd_fill(&herd, UINT64_MAX, 50, round % 2 == 0 ? 500 : 5000);
		herd_thin_out(&herd, 0, herd.count, 600);
		snug_report report;
		herd.may_move = true;
		REQUIRE_OK(snug_defragment(herd.heap, NULL, &report));
		herd.may_move = false;
		herd_verify(&herd);
	}
	REQUIRE_OK(snug_check(herd.heap, NULL));
	herd_deinit(&herd);
	return NULL;
}

/* Run under ThreadSanitizer too: two heaps share nothing. */
static void two_heaps_on_two_threads(void **state) {
	(void)state;
	pthread_t threads[2];
	bool by_reference[2] = {false, true};
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pthread_create(&threads[i], NULL, work_alone, &by_reference[i]), 0);
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pacing_keeps_pages_at_hand),
		cmocka_unit_test(without_pacing_nothing_moves_early),
		cmocka_unit_test(no_compaction_in_alloc),
		cmocka_unit_test(an_allocation_compacts),
		cmocka_unit_test(populate),
		cmocka_unit_test(huge_pages),
		cmocka_unit_test(page_bytes),
		cmocka_unit_test(log_tells_of_defragmentations),
		cmocka_unit_test(adopted_by_another_thread),
		cmocka_unit_test(two_heaps_on_two_threads),
	};
	return cmocka_run_group_tests_name("heap_options", tests, NULL, NULL);
}
