/* test_model.c: millions of random operations on a heap and its naive twin, in many configurations.
 *
 * A run is determined by its seed. After a failure the note names it:
 *
 *     SNUG_SEED=0x1234 SNUG_CONFIGURATION=handles-256K build/tests/model/test_model     the same run again
 *     SNUG_OPS=20000000                                                                 operations in all
 *     SNUG_TRACE=1                                                                      names each operation as it is done
 *     SNUG_ABORT=1                                                                      stops in a debugger
 *
 * Small heaps are checked (snug_check and all statistics) after every operation, larger ones after some hundred. The totals
 * at the end make an operation that silently does nothing visible, and the run requires that each rare event did happen. */
#include "os/fake.h"
#include "support/require.h"
#include "support/twin/operations.h"

#include "unit/cmocka_all.h"

#include <stdio.h>
#include <time.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define OPERATIONS_DEFAULT UINT64_C(1200000)
#define OPERATIONS_FOR_EVENTS UINT64_C(100000) /* fewer need not have met every event */
#define OPERATIONS_FOR_RARE_EVENTS UINT64_C(500000)

struct configuration {
	const char *name;
	twin_naming naming;
	snug_heap_options options;
	uint32_t check_every;
	uint32_t compare_every; /* operations between two comparisons of every byte */
	uint32_t phase_rarity;
	uint32_t share; /* of the operations */
};

/* name, naming, options, check, compare, rarity, share */
static const struct configuration configurations[] = {
	{"handles-256K",
	 TWIN_HANDLES,
	 {.limit_bytes = 256 * KIB, .page_bytes = 4 * KIB},
	 1,
	 128,
	 2,
	 12},
	{"handles-1M", TWIN_HANDLES, {.limit_bytes = MIB, .page_bytes = 4 * KIB}, 1, 512, 4, 12},
	{"references-256K",
	 TWIN_REFERENCES,
	 {.limit_bytes = 256 * KIB, .page_bytes = 4 * KIB},
	 1,
	 128,
	 2,
	 12},
	{"references-512K",
	 TWIN_REFERENCES,
	 {.limit_bytes = 512 * KIB, .page_bytes = 4 * KIB},
	 1,
	 256,
	 3,
	 8},
	{"sized-256K",
	 TWIN_REFERENCES_SIZED,
	 {.limit_bytes = 256 * KIB, .page_bytes = 4 * KIB},
	 1,
	 128,
	 2,
	 12},
	{"sized-1M-8K",
	 TWIN_REFERENCES_SIZED,
	 {.limit_bytes = MIB, .page_bytes = 8 * KIB},
	 1,
	 512,
	 4,
	 8},
	{"handles-no-compaction",
	 TWIN_HANDLES,
	 {.limit_bytes = 300 * KIB, .page_bytes = 4 * KIB, .no_compaction_in_alloc = true},
	 1,
	 128,
	 2,
	 4},
	{"sized-no-compaction",
	 TWIN_REFERENCES_SIZED,
	 {.limit_bytes = 300 * KIB, .page_bytes = 4 * KIB, .no_compaction_in_alloc = true},
	 1,
	 128,
	 2,
	 4},
	{"handles-paced",
	 TWIN_HANDLES,
	 {.limit_bytes = 512 * KIB,
	  .page_bytes = 4 * KIB,
	  .pace_low_water_bytes = 64 * KIB,
	  .pace_step_bytes = 1000},
	 1,
	 128,
	 2,
	 4},
	{"references-paced",
	 TWIN_REFERENCES,
	 {.limit_bytes = 512 * KIB, .page_bytes = 4 * KIB, .pace_low_water_bytes = 100 * KIB},
	 1,
	 128,
	 2,
	 4},
	{"handles-4M-64K",
	 TWIN_HANDLES,
	 {.limit_bytes = 4 * MIB, .page_bytes = 64 * KIB},
	 100,
	 4000,
	 10,
	 4},
	{"references-7M",
	 TWIN_REFERENCES,
	 {.limit_bytes = 7 * MIB, .page_bytes = 16 * KIB},
	 10,
	 4000,
	 10,
	 8},
	/* as a cache's heap is: it would rather be refused than have pieces, which keep regions in use */
	{"sized-7M-refusing",
	 TWIN_REFERENCES_SIZED,
	 {.limit_bytes = 7 * MIB, .page_bytes = 16 * KIB, .no_last_resort = true},
	 10,
	 4000,
	 10,
	 8},
	{"handles-9M", TWIN_HANDLES, {.limit_bytes = 9 * MIB, .page_bytes = 32 * KIB}, 10, 4000, 10, 4},
	{"sized-16M", TWIN_REFERENCES_SIZED, {.limit_bytes = 16 * MIB}, 300, 20000, 30, 3},
	{"handles-16M-populated",
	 TWIN_HANDLES,
	 {.limit_bytes = 16 * MIB, .page_bytes = 16 * KIB, .populate = true},
	 300,
	 20000,
	 30,
	 2},
	{"references-32M-huge",
	 TWIN_REFERENCES,
	 {.limit_bytes = 32 * MIB, .page_bytes = 32 * KIB, .huge_pages = true},
	 500,
	 40000,
	 40,
	 2},
	{"handles-64M", TWIN_HANDLES, {.limit_bytes = 64 * MIB}, 1000, 80000, 60, 1},
};
#define CONFIGURATIONS (sizeof configurations / sizeof *configurations)

/* Of all configurations together. */
static struct totals {
	uint64_t operations;
	uint64_t done[OPERATION_COUNT];
	uint64_t refused[OPERATION_COUNT];
	twin_counters twin;
	uint64_t moves;
	uint64_t moved_bytes;
	uint64_t reclaimed_bytes;
	uint64_t returned_bytes;
	uint64_t compacting_allocations;
	uint64_t checks;
} totals;

static uint64_t base_seed;
static uint64_t operations_in_all;

/* So that each configuration is a run of its own, whatever else runs. */
static uint64_t seed_of(const struct configuration *configuration) {
	test_random random = {base_seed};
	for (const char *letter = configuration->name; *letter != '\0'; letter++) {
		random.state = test_random_next(&random) ^ (unsigned char)*letter;
	}
	return test_random_next(&random);
}

static uint64_t operations_of(const struct configuration *configuration) {
	uint64_t shares = 0;
	for (size_t i = 0; i < CONFIGURATIONS; i++) {
		shares += configurations[i].share;
	}
	return operations_in_all * configuration->share / shares;
}

/* Adds the fields of twin_counters, which are all uint64_t. */
static void add_counters(twin_counters *into, const twin_counters *from) {
	uint64_t *sums = (uint64_t *)into;
	const uint64_t *terms = (const uint64_t *)from;
	for (size_t i = 0; i < sizeof *into / sizeof *sums; i++) {
		sums[i] += terms[i];
	}
}

static void add_totals(const struct operations *operations, uint64_t count) {
	snug_stats stats;
	REQUIRE_OK(snug_stats_get(operations->twin->heap, &stats));
	totals.operations += count;
	for (size_t i = 0; i < OPERATION_COUNT; i++) {
		totals.done[i] += operations->done[i];
		totals.refused[i] += operations->refused[i];
	}
	add_counters(&totals.twin, &operations->twin->counters);
	totals.moves += stats.moves;
	totals.moved_bytes += stats.moved_bytes;
	totals.reclaimed_bytes += stats.reclaimed_bytes;
	totals.returned_bytes += stats.returned_bytes;
	totals.compacting_allocations += stats.compacting_allocations;
}

static void run_operations(const struct configuration *configuration, struct operations *operations,
						   uint64_t count) {
	char note[160] = "";
	require_note(note);
	bool trace = getenv("SNUG_TRACE") != NULL;
	for (uint64_t i = 0; i < count; i++) {
		int start =
			snprintf(note, sizeof note, "SNUG_SEED=0x%llx SNUG_CONFIGURATION=%s, operation %llu",
					 (unsigned long long)base_seed, configuration->name, (unsigned long long)i);
		enum operation operation = operations_do(operations);
		if (trace) {
			snprintf(note + start, sizeof note - (size_t)start, " (%s, %zu objects)",
					 operation_names[operation], operations->twin->count);
			fprintf(stderr, "%s\n", note);
		}
		if (i % configuration->check_every == 0) {
			twin_check(operations->twin);
			totals.checks++;
		}
		if (i % configuration->compare_every == 0) {
			twin_compare_all(operations->twin);
			twin_compare_recount(operations->twin);
		}
	}
	twin_compare_all(operations->twin);
}

static bool has_units(size_t limit_bytes) {
	return limit_bytes >= 4 * MIB && limit_bytes <= 9 * MIB;
}

static void give_pages_back(struct twin *twin) {
	snug_defragment_options options = snug_defragment_options_default();
	options.retain_bytes = 0;
	twin_defragment(twin, &options);
	twin_check(twin);
	twin_compare_all(twin);
}

/* A heap of a few units of 2 MiB, full of small objects of many sizes, every second of which goes.
 * Whether a unit is drained is left to what lies where: pieces that were lent may stand in each. */
static void thin_units(struct twin *twin) {
	if (twin->defragmentation.running) twin_end(twin);
	for (size_t i = 0; i < twin->count; i++) {
		while (twin->objects[i].pins > 0) REQUIRE_OK(twin_unpin(twin, i));
	}
	for (size_t i = 0; twin_alloc(twin, 1 + i * 7919 % 3000, NULL) == SNUG_OK; i++) {
	}
	for (size_t i = twin->count; i-- > 0;) {
		if (i % 2 == 0) REQUIRE_OK(twin_free(twin, i));
	}
	give_pages_back(twin);
}

/* A unit must be drained, whatever the heap went through. Each object fills a page, so there is no
 * hole to compact into. Two of three go, from all over: no unit is free, and one can be. */
static void drain_units(struct twin *twin, size_t page_bytes) {
	twin_free_all(twin);
	const snug_alloc_options whole = {.contiguous = true};
	while (twin_alloc(twin, page_bytes - 64, &whole) == SNUG_OK) {
	}
	for (size_t i = twin->count; i-- > 0;) {
		if (i % 3 != 0) REQUIRE_OK(twin_free(twin, i));
	}
	uint64_t before = twin->counters.relocated_objects;
	give_pages_back(twin);
	REQUIRE(twin->counters.relocated_objects > before, "no region was drained");
}

/* Holes beside objects that may not move: what stands in the way must be told in each run, and
 * chance alone did not see to it. */
static void pin_what_stands_in_the_way(struct twin *twin) {
	if (twin->defragmentation.running) twin_end(twin);
	for (size_t i = twin->count; i-- > 0;) {
		if (i % 2 == 0 && twin->objects[i].pins == 0) REQUIRE_OK(twin_free(twin, i));
	}
	for (size_t i = 0; i < twin->count && twin_pin(twin, i) == SNUG_OK; i++) {
	}
	snug_defragment_options options = snug_defragment_options_default();
	twin_defragment(twin, &options);
	twin_defragment(twin, &options); /* what could be gained is gained */
	twin_check(twin);
}

static void run_configuration(void **state) {
	const struct configuration *configuration = *state;
	const char *only = getenv("SNUG_CONFIGURATION");
	if (only != NULL && strcmp(only, configuration->name) != 0) {
		skip();
	}
	struct fake_os *fake = calloc(1, sizeof *fake);
	assert_non_null(fake);
	fake_os_init(fake);
	fake->advance_ns = 100;
	struct twin twin;
	REQUIRE_OK(twin_create(&twin, configuration->naming, &configuration->options, fake));
	struct choices choices = {.random = {seed_of(configuration)}};
	struct operations operations;
	operations_init(&operations, &twin, &choices);
	operations.phase_rarity = configuration->phase_rarity;
	uint64_t count = operations_of(configuration);
	run_operations(configuration, &operations, count);
	bool units = has_units(configuration->options.limit_bytes);
	if (units) thin_units(&twin);
	pin_what_stands_in_the_way(&twin);
	if (units) drain_units(&twin, configuration->options.page_bytes);
	add_totals(&operations, count);
	twin_destroy(&twin);
	assert_int_equal(fake->mistakes, 0);
	fake_os_deinit(fake);
	free(fake);
	require_note(NULL);
}

#define SHOW(value) printf("  %-24s %14llu\n", #value, (unsigned long long)(totals.value))

static void show_totals(void) {
	printf("model: %llu operations, SNUG_SEED=0x%llx\n  %-24s %14s %14s\n",
		   (unsigned long long)totals.operations, (unsigned long long)base_seed, "operation",
		   "done", "of it refused");
	for (size_t i = 0; i < OPERATION_COUNT; i++) {
		printf("  %-24s %14llu %14llu\n", operation_names[i], (unsigned long long)totals.done[i],
			   (unsigned long long)totals.refused[i]);
	}
	SHOW(checks);
	SHOW(moves);
	SHOW(moved_bytes);
	SHOW(reclaimed_bytes);
	SHOW(returned_bytes);
	SHOW(compacting_allocations);
	SHOW(twin.allocations);
	SHOW(twin.frees);
	SHOW(twin.failed_allocations);
	SHOW(twin.fragmented_allocations);
	SHOW(twin.moved_calls);
	SHOW(twin.reentries_tried);
	SHOW(twin.resizes_in_place);
	SHOW(twin.resizes_moved);
	SHOW(twin.resizes_failed);
	SHOW(twin.reports_with_moves);
	SHOW(twin.reports_nothing);
	SHOW(twin.reports_nothing_pinned);
	SHOW(twin.reports_partial);
	SHOW(twin.relocated_objects);
	SHOW(twin.released_slabs);
	SHOW(twin.abandoned_slabs);
	SHOW(twin.exact_estimates);
	SHOW(twin.bytes_compared);
}

/* The last test of the group: what the others are worth. */
static void everything_happened(void **state) {
	(void)state;
	show_totals();
	if (totals.operations < OPERATIONS_FOR_EVENTS) {
		skip();
	}
	for (size_t i = 0; i < OPERATION_COUNT; i++) {
		REQUIRE(totals.done[i] > totals.refused[i], "%s never succeeded", operation_names[i]);
	}
	REQUIRE(totals.moves > 0 && totals.moved_bytes > 0, "nothing moved");
	REQUIRE(totals.reclaimed_bytes > 0, "nothing was reclaimed");
	REQUIRE(totals.returned_bytes > 0, "nothing was returned to the OS");
	REQUIRE(totals.compacting_allocations > 0, "no allocation had to compact");
	REQUIRE(totals.twin.failed_allocations > 0, "no heap ran full");
	REQUIRE(totals.twin.fragmented_allocations > 0, "no object was stored in fragments");
	REQUIRE(totals.twin.moved_calls > 0 && totals.twin.reentries_tried > 0,
			"no owner was told of a move");
	REQUIRE(totals.twin.resizes_in_place > 0 && totals.twin.resizes_moved > 0,
			"not both kinds of resizing");
	REQUIRE(totals.twin.resizes_failed > 0, "no resize ran out of memory");
	REQUIRE(totals.twin.reports_with_moves > 0 && totals.twin.reports_nothing > 0 &&
				totals.twin.reports_nothing_pinned > 0,
			"not every outcome");
	REQUIRE(totals.twin.reports_partial > 0, "no partial report");
	REQUIRE(totals.twin.relocated_objects > 0, "no region was drained");
	REQUIRE(totals.twin.exact_estimates > 0, "no estimate was compared");
	REQUIRE(totals.twin.abandoned_slabs > 0 || totals.operations < OPERATIONS_FOR_RARE_EVENTS,
			"no slab was abandoned");
}

int main(void) {
	base_seed = test_environment_number("SNUG_SEED",
										(uint64_t)time(NULL) * UINT64_C(0x9e3779b97f4a7c15) >> 16);
	operations_in_all = test_environment_number("SNUG_OPS", OPERATIONS_DEFAULT);
	printf("model: SNUG_SEED=0x%llx SNUG_OPS=%llu\n", (unsigned long long)base_seed,
		   (unsigned long long)operations_in_all);
	struct CMUnitTest tests[CONFIGURATIONS + 1] = {{0}};
	struct configuration table[CONFIGURATIONS];
	memcpy(table, configurations, sizeof table);
	for (size_t i = 0; i < CONFIGURATIONS; i++) {
		tests[i] = (struct CMUnitTest){table[i].name, run_configuration, NULL, NULL, &table[i]};
	}
	tests[CONFIGURATIONS] =
		(struct CMUnitTest){"everything_happened", everything_happened, NULL, NULL, NULL};
	return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
