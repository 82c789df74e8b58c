/* test_fault.c: every scenario with the Nth call to the operating system refused, for every N until
 * none is refused.
 *
 * The method is SQLite's: a scenario runs again and again, each time one call further is refused
 * (once, or from there on), so that every place that asks for memory is met in every state in which
 * it asks. After a refusal the heap must answer with a typed error, hold every object as it was,
 * pass snug_check, go on working, and in the end give everything back.
 *
 * The normal suite goes on by random steps of 1 to 2 * SNUG_STRIDE - 1 after the first refusals of
 * a sweep, so that runs differ in what they refuse; the long suite leaves none out.
 *
 *     SNUG_SCENARIO=handles build/tests/fault/test_fault     only those whose name contains it
 *     SNUG_SEED=0x1234 SNUG_STRIDE=32                        the same choices again */
#include "os/fake.h"
#include "support/require.h"
#include "support/test_random.h"
#include "support/twin/operations.h"
#include "unit/cmocka_all.h"

#include <stdio.h>
#include <time.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define RUNS_MAX 20000u /* a sweep that does not end */
#define RUNS_DENSE 8u   /* none of the first is left out */
#define SPARE_PAGES 6u  /* a fragment for each tail, and one */

static test_random stepping;
static uint64_t stride; /* 1: none is left out */

/* The scenario's view of one run. */
struct run {
	struct fake_os fake;
	struct twin twin;
	uint64_t refused_seen;
	uint64_t examinations;
	uint64_t failures; /* calls that answered with an error */
};

static uint64_t refusals(const struct fake_os *fake) {
	return fake->reserve.refused + fake->commit.refused + fake->decommit.refused +
		   fake->populate.refused;
}

/* After each call of a scenario: when a refusal came, everything is looked at. */
static void examine(struct run *run, snug_error error) {
	REQUIRE(error == SNUG_OK || error == SNUG_ERROR_OS_MEMORY || error == SNUG_ERROR_NO_MEMORY,
			"a refusal became: %s", snug_error_text(error));
	REQUIRE(error != SNUG_ERROR_OS_MEMORY || refusals(&run->fake) > 0,
			"OS_MEMORY, but the OS refused nothing");
	run->failures += error != SNUG_OK;
	if (refusals(&run->fake) == run->refused_seen) {
		return;
	}
	run->refused_seen = refusals(&run->fake);
	/* When all calls are refused from somewhere on, the first ones and then now and then. */
	if (run->examinations++ < 3 || run->examinations % 64 == 0) {
		twin_check(&run->twin);
		twin_compare_all(&run->twin);
		twin_compare_recount(&run->twin);
	}
}

/* ------------------------------------------------------------------ steps of scenarios -------- */

/* Allocates `count` objects of sizes low .. high, in a fixed irregular order. */
static void fill(struct run *run, size_t count, size_t low, size_t high) {
	for (size_t i = 0; i < count; i++) {
		examine(run, twin_alloc(&run->twin, low + i * 7919 % (high - low + 1), NULL));
	}
}

/* Frees one of every `nth` rows, from the last to the first. */
static void thin_out(struct run *run, size_t nth) {
	for (size_t i = run->twin.count; i-- > 0;) {
		if (i % nth == 0 && run->twin.objects[i].pins == 0) {
			examine(run, twin_free(&run->twin, i));
		}
	}
}

static void resize_all(struct run *run, size_t numerator, size_t denominator) {
	for (size_t i = 0; i < run->twin.count; i++) {
		examine(run, twin_resize(&run->twin, i,
								 1 + run->twin.objects[i].size * numerator / denominator));
	}
}

static void defragment(struct run *run, const snug_defragment_options *options) {
	twin_defragment(&run->twin, options);
	examine(run, SNUG_OK);
}

/* ------------------------------------------------------------------ scenarios ----------------- */

static void only_create(struct run *run) {
	examine(run, SNUG_OK);
}

static void fill_small(struct run *run) {
	fill(run, 1500, 1, 300);
	thin_out(run, 2);
	fill(run, 1500, 200, 500);
}

/* Many handles, so that their table grows often. */
static void fill_tiny(struct run *run) {
	fill(run, 6000, 1, 4);
	thin_out(run, 3);
	fill(run, 1500, 1, 9);
}

/* Many objects of each of many sizes: classes activate and retire. */
static void classes(struct run *run) {
	for (size_t size = 20; size < 3000; size += size / 3) {
		fill(run, 12000 / size + 5, size, size + 2);
	}
	thin_out(run, 2);
	defragment(run, NULL);
	for (size_t size = 23; size < 3000; size += size / 2) {
		fill(run, 6000 / size + 5, size, size + 2);
	}
}

static void large(struct run *run) {
	fill(run, 40, 3000, 60000);
	resize_all(run, 3, 2);
	thin_out(run, 3);
	resize_all(run, 1, 3);
	resize_all(run, 5, 2);
	fill(run, 20, 1000, 9000);
}

static void in_one_piece(struct run *run) {
	for (size_t i = 0; i < 300; i++) {
		snug_alloc_options options = {i % 3 == 0 ? 8 : i % 3 == 1 ? 16 : 1, true};
		examine(run, twin_alloc(&run->twin, 1 + i * 611 % 4000, &options));
	}
	resize_all(run, 2, 3);
	thin_out(run, 2);
}

static void pins(struct run *run) {
	fill(run, 900, 1, 900);
	for (size_t i = 0; i < run->twin.count; i++) {
		examine(run, twin_pin(&run->twin, i));
		if (i % 3 == 0) {
			examine(run, twin_pin(&run->twin, i));
		}
	}
	defragment(run, NULL);
	for (size_t i = 0; i < run->twin.count; i++) {
		while (i % 2 == 0 && run->twin.objects[i].pins > 0) {
			examine(run, twin_unpin(&run->twin, i));
		}
	}
	thin_out(run, 4);
	defragment(run, NULL);
}

static void defragmentation(struct run *run) {
	snug_defragment_options options = snug_defragment_options_default();
	fill(run, 1600, 1, 500);
	thin_out(run, 2);
	defragment(run, NULL);
	fill(run, 100, 2000, 5000);
	thin_out(run, 3);
	options.mode = SNUG_COALESCE;
	defragment(run, &options);
	options.mode = SNUG_COMPACT;
	options.merge_classes = true;
	defragment(run, &options);
	fill(run, 900, 1, 300);
}

static void in_slices(struct run *run) {
	fill(run, 1500, 1, 600);
	thin_out(run, 2);
	twin_begin(&run->twin, NULL);
	for (size_t i = 0; !run->twin.defragmentation.done; i++) {
		twin_step(&run->twin);
		examine(run, SNUG_OK);
		fill(run, 3, 100 + i % 500, 110 + i % 500);
		if (i % 7 == 0 && i < run->twin.count) {
			examine(run, twin_pin(&run->twin, i));
		}
	}
	twin_end(&run->twin);
}

static void batches(struct run *run) {
	size_t sizes[100];
	for (size_t round = 0; round < 20; round++) {
		for (size_t i = 0; i < 100; i++) {
			sizes[i] = 1 + (round * 100 + i) * 7919 % (round % 5 == 0 ? 6000 : 300);
		}
		examine(run, twin_alloc_batch(&run->twin, sizes, round * 5));
		if (round % 2 == 1 && run->twin.count > 40) {
			examine(run, twin_free_batch(&run->twin, 0, 40));
		}
	}
}

/* Runs over: refused by the limit and by the OS. */
static void overflow(struct run *run) {
	fill(run, 200, 500, 7000);
	thin_out(run, 3);
	fill(run, 200, 20, 200);
	thin_out(run, 2);
	fill(run, 60, 10, 9000);
}

/* Whole units of 2 MiB go back to the OS and are taken again. */
static void return_to_os(struct run *run) {
	snug_defragment_options options = snug_defragment_options_default();
	options.retain_bytes = 0;
	for (int round = 0; round < 2; round++) {
		fill(run, 100, 50000, 80000);
		fill(run, 100, 100, 1000);
		thin_out(run, 2);
		thin_out(run, 2);
		thin_out(run, 2);
		defragment(run, &options);
	}
}

/* The owner's memory beside the heap's. */
static void charges(struct run *run) {
	uint64_t charged_bytes = 0;
	for (size_t round = 0; round < 60; round++) {
		size_t bytes = 4096 * (1 + round * 7 % 20);
		fill(run, 60, 1, round % 4 == 0 ? 9000 : 900);
		run->twin.in_call = true;
		snug_error error = snug_heap_charge(run->twin.heap, bytes);
		run->twin.in_call = false;
		if (!error) charged_bytes += bytes;
		examine(run, error);
		if (round % 3 == 2) thin_out(run, 2);
		if (round % 5 == 4) {
			REQUIRE_OK(snug_heap_discharge(run->twin.heap, charged_bytes));
			charged_bytes = 0;
		}
		if (round % 6 == 5) defragment(run, NULL);
	}
	REQUIRE_OK(snug_heap_discharge(run->twin.heap, charged_bytes));
}

/* Tables that grow, shrink and grow again. */
static void emptied(struct run *run) {
	snug_defragment_options options = snug_defragment_options_default();
	for (int round = 0; round < 2; round++) {
		fill(run, 2500, 1, 8);
		for (size_t i = 0; i < 600 && i < run->twin.count; i++)
			examine(run, twin_pin(&run->twin, i));
		for (size_t i = 0; i < run->twin.count; i++) {
			if (run->twin.objects[i].pins > 0) examine(run, twin_unpin(&run->twin, i));
		}
		thin_out(run, 2);
		thin_out(run, 2);
		thin_out(run, 3);
		while (run->twin.count > 0) examine(run, twin_free(&run->twin, run->twin.count - 1));
		options.retain_bytes = round == 0 ? 0 : SNUG_NO_BUDGET;
		defragment(run, &options);
		fill(run, 1, 150000, 160000);
	}
}

static void anything(struct run *run) {
	struct choices choices = {.random = {42}};
	struct operations operations;
	operations_init(&operations, &run->twin, &choices);
	operations.os_refuses = true;
	for (int i = 0; i < 2500; i++) {
		operations_do(&operations);
		examine(run, SNUG_OK);
	}
}

/* ------------------------------------------------------------------ the sweep ----------------- */

struct scenario {
	const char *name;
	void (*play)(struct run *run);
	snug_heap_options options;
};

static const struct scenario scenarios[] = {
	{"only_create", only_create, {.limit_bytes = 16 * MIB}},
	{"create_populated", only_create, {.limit_bytes = MIB, .populate = true}},
	{"create_huge", only_create, {.limit_bytes = 16 * MIB, .huge_pages = true, .populate = true}},
	{"fill_small", fill_small, {.limit_bytes = MIB, .page_bytes = 4 * KIB}},
	{"fill_tiny", fill_tiny, {.limit_bytes = 512 * KIB, .page_bytes = 4 * KIB}},
	{"classes", classes, {.limit_bytes = MIB, .page_bytes = 8 * KIB}},
	{"large", large, {.limit_bytes = 2 * MIB, .page_bytes = 8 * KIB}},
	{"in_one_piece", in_one_piece, {.limit_bytes = MIB, .page_bytes = 4 * KIB}},
	{"pins", pins, {.limit_bytes = MIB, .page_bytes = 4 * KIB}},
	{"defragmentation", defragmentation, {.limit_bytes = MIB, .page_bytes = 4 * KIB}},
	{"in_slices", in_slices, {.limit_bytes = MIB, .page_bytes = 4 * KIB}},
	{"batches", batches, {.limit_bytes = MIB, .page_bytes = 4 * KIB}},
	{"overflow", overflow, {.limit_bytes = 300 * KIB, .page_bytes = 4 * KIB}},
	{"return_to_os", return_to_os, {.limit_bytes = 12 * MIB, .page_bytes = 64 * KIB}},
	{"return_to_os_huge",
	 return_to_os,
	 {.limit_bytes = 12 * MIB, .page_bytes = 64 * KIB, .huge_pages = true}},
	{"charges", charges, {.limit_bytes = 600 * KIB, .page_bytes = 4 * KIB}},
	{"emptied", emptied, {.limit_bytes = 400 * KIB, .page_bytes = 4 * KIB}},
	{"anything", anything, {.limit_bytes = 400 * KIB, .page_bytes = 4 * KIB}},
};
#define SCENARIOS (sizeof scenarios / sizeof *scenarios)

static const char *const naming_names[] = {"handles", "references", "sized"};
#define NAMINGS (sizeof naming_names / sizeof *naming_names)

enum refusable { RESERVE, COMMIT, DECOMMIT, POPULATE, COMMIT_AND_DECOMMIT, REFUSABLES };
static const char *const refusable_names[REFUSABLES] = {"reserve", "commit", "decommit", "populate",
														"commit and decommit"};

struct sweep {
	const struct scenario *scenario;
	twin_naming naming;
	char name[64];
};

static struct fake_call *call_of(struct fake_os *fake, enum refusable which) {
	struct fake_call *const calls[REFUSABLES] = {&fake->reserve, &fake->commit, &fake->decommit,
												 &fake->populate, &fake->commit};
	return calls[which];
}

/* Free pages serve, whatever the OS refuses: as an object goes there is an entry for the next, too. */
static void require_free_pages_serve(struct run *run) {
	for (size_t row = 0; row < run->twin.count && row < 20; row++) {
		snug_stats stats;
		size_t size = run->twin.objects[row].size;
		if (run->twin.objects[row].pins > 0) continue;
		REQUIRE_OK(twin_free(&run->twin, row));
		REQUIRE_OK(snug_stats_get(run->twin.heap, &stats));
		snug_error error = twin_alloc(&run->twin, size, NULL);
		REQUIRE(!error || stats.free_page_bytes < size + SPARE_PAGES * stats.page_bytes,
				"%zu bytes beside %llu free ones: %s", size,
				(unsigned long long)stats.free_page_bytes, snug_error_text(error));
	}
}

/* One run; says whether a call was refused. */
static bool run_with_refusal(const struct sweep *sweep, enum refusable which, uint64_t nth,
							 bool onwards) {
	struct run *run = calloc(1, sizeof *run);
	assert_non_null(run);
	fake_os_init(&run->fake);
	run->fake.advance_ns = 50;
	struct fake_call *call = call_of(&run->fake, which);
	call->fail_at = nth;
	call->fail_onwards = onwards;
	if (which == COMMIT_AND_DECOMMIT) {
		run->fake.decommit.fail_at = 1;
		run->fake.decommit.fail_onwards = onwards;
	}
	snug_error error =
		twin_create(&run->twin, sweep->naming, &sweep->scenario->options, &run->fake);
	if (error == SNUG_OK) {
		run->twin.law_seven = false;
		sweep->scenario->play(run);
		if (onwards) require_free_pages_serve(run);
		twin_compare_all(&run->twin);
		twin_destroy(&run->twin);
	} else {
		REQUIRE(error == SNUG_ERROR_OS_MEMORY && call->refused > 0, "create: %s",
				snug_error_text(error));
		REQUIRE(run->twin.heap == NULL, "a refused create wrote its out-parameter");
	}
	REQUIRE(run->fake.reserved_bytes == 0 && run->fake.committed_bytes == 0,
			"%zu bytes were left reserved", run->fake.reserved_bytes);
	REQUIRE(run->fake.mistakes == 0, "mistake in using the OS: %s", run->fake.first_mistake);
	bool refused = call->refused > 0;
	fake_os_deinit(&run->fake);
	free(run);
	return refused;
}

static void sweep_one(const struct sweep *sweep, enum refusable which, bool onwards) {
	char note[128] = "";
	require_note(note);
	uint64_t nth = 0;
	uint64_t runs = 0;
	bool refused = true;
	while (refused) {
		nth += nth < RUNS_DENSE ? 1 : test_random_between(&stepping, 1, 2 * stride - 1);
		runs++;
		REQUIRE(nth < RUNS_MAX, "the sweep does not end");
		snprintf(note, sizeof note, "%s: %s number %llu refused%s", sweep->name,
				 refusable_names[which], (unsigned long long)nth,
				 onwards ? ", and all later ones" : "");
		refused = run_with_refusal(sweep, which, nth, onwards);
	}
	require_note(NULL);
	if (runs > 1) {
		printf("  %s: %s%s: %llu refusals\n", sweep->name, refusable_names[which],
			   onwards ? " from there on" : "", (unsigned long long)runs - 1);
	}
}

static void run_sweep(void **state) {
	const struct sweep *sweep = *state;
	const char *only = getenv("SNUG_SCENARIO");
	if (only != NULL && strstr(sweep->name, only) == NULL) {
		skip();
	}
	for (enum refusable which = RESERVE; which < REFUSABLES; which++) {
		sweep_one(sweep, which, false);
		sweep_one(sweep, which, true);
	}
}

int main(void) {
	static struct sweep sweeps[SCENARIOS * NAMINGS];
	struct CMUnitTest tests[SCENARIOS * NAMINGS];
	stepping.state = test_environment_number("SNUG_SEED", (uint64_t)time(NULL));
	stride = test_environment_number("SNUG_STRIDE", 1);
	printf("SNUG_SEED=0x%llx SNUG_STRIDE=%llu\n", (unsigned long long)stepping.state,
		   (unsigned long long)stride);
	for (size_t i = 0; i < SCENARIOS * NAMINGS; i++) {
		sweeps[i].scenario = &scenarios[i / NAMINGS];
		sweeps[i].naming = (twin_naming)(i % NAMINGS);
		snprintf(sweeps[i].name, sizeof sweeps[i].name, "%s_%s", sweeps[i].scenario->name,
				 naming_names[i % NAMINGS]);
		tests[i] = (struct CMUnitTest){sweeps[i].name, run_sweep, NULL, NULL, &sweeps[i]};
	}
	return cmocka_run_group_tests_name("fault", tests, NULL, NULL);
}
