/* snapshot.c: bench-snapshot: what it costs to ask.
 *
 * - snug_stats_get on a heap of 256 MiB that holds Meta's sizes and objects of every size up to a
 *   page, so that all size classes are active.
 * - snug_defragment and snug_estimate on a heap of 1 GiB that has just been defragmented: nothing
 *   can be gained, and the answer must say so at once. "after churn": 1000 frees and allocations
 *   come between two calls, so that there are magazines to take back and slabs to look at; calls
 *   that found something to do are counted apart.
 *
 * "cold": 32 MiB are written between two calls, which empties the first and second level caches. */
#include "bench.h"

#include <stdio.h>
#include <string.h>

#define META_MAX_BYTES (512 * KIB)
#define META_MIN_BYTES 64
#define EVICT_BYTES (32 * MIB)

typedef enum condition { HOT, COLD, CHURNED, CONDITION_COUNT } condition;

static const char *const condition_names[CONDITION_COUNT] = {"hot", "cold", "after churn"};

typedef struct probe {
	bench_herd *herd;
	bench_random *random;
	unsigned char *evict;
	uint64_t found_work; /* calls that were not about nothing */
} probe;

typedef bool ask_function(probe *on); /* false: it found something to do, its time does not count */

static bool ask_stats(probe *on) {
	snug_stats stats;
	bench_expect_ok(snug_stats_get(on->herd->heap, &stats), "snug_stats_get");
	return true;
}

static bool ask_defragment(probe *on) {
	static snug_report report;
	bench_expect_ok(snug_defragment(on->herd->heap, NULL, &report), "snug_defragment");
	return report.outcome == SNUG_OUTCOME_NOTHING && report.moved_objects == 0;
}

static bool ask_estimate(probe *on) {
	snug_estimate_report report;
	bench_expect_ok(snug_estimate(on->herd->heap, NULL, &report), "snug_estimate");
	return report.outcome == SNUG_OUTCOME_NOTHING;
}

static void replace_objects(probe *on, size_t count) {
	for (size_t i = 0; i < count; i++) {
		size_t id = bench_herd_pick(on->herd, on->random);
		size_t size = on->herd->sizes[id];
		bench_herd_remove(on->herd, id);
		if (!bench_herd_add(on->herd, size)) {
			bench_fail("an object's own room was not free again");
		}
	}
}

static void prepare(probe *on, condition state) {
	if (state == COLD) {
		memset(on->evict, (int)bench_random_below(on->random, 256), EVICT_BYTES);
	} else if (state == CHURNED) {
		replace_objects(on, 1000);
	}
}

static void measure(const char *name, probe *on, ask_function *ask, condition state,
					const bench_options *options) {
	snug_histogram times;
	size_t calls = options->quick ? 100 : state == HOT ? 10000 : 1000;
	snug_histogram_init(&times);
	on->found_work = 0;
	for (size_t i = 0; i < calls; i++) {
		prepare(on, state);
		uint64_t start_ns = bench_now_ns();
		bool counts = ask(on);
		uint64_t elapsed_ns = bench_now_ns() - start_ns;
		if (counts) {
			snug_histogram_add(&times, elapsed_ns);
		} else {
			on->found_work++;
		}
	}
	unsigned long long p50 = snug_histogram_quantile(&times, 0.5);
	unsigned long long p99 = snug_histogram_quantile(&times, 0.99);
	unsigned long long largest = snug_histogram_quantile(&times, 1);
	if (options->json) {
		printf("{\"bench\":\"snapshot\",\"call\":\"%s\",\"condition\":\"%s\",\"calls\":%zu,\"p50_"
			   "ns\":%llu,\"p99_ns\":%"
			   "llu,"
			   "\"max_ns\":%llu,\"found_work\":%llu,\"seed\":%llu}\n",
			   name, condition_names[state], calls, p50, p99, largest,
			   (unsigned long long)on->found_work, (unsigned long long)options->seed);
	} else {
		printf("%-28s %-12s %8zu %9llu %9llu %9llu %11llu\n", name, condition_names[state], calls,
			   p50, p99, largest, (unsigned long long)on->found_work);
	}
}

/* Objects of every size up to a page, until the heap is full. */
static void fill_evenly(bench_herd *herd, bench_random *random) {
	size_t max_bytes = snug_contiguous_max(herd->heap);
	while (bench_herd_add(herd, 8 + bench_random_below(random, max_bytes - 7))) {
	}
}

static void measure_stats(probe *on, const bench_options *options) {
	bench_herd herd;
	snug_heap_options heap_options = {.struct_bytes = sizeof(snug_heap_options),
									  .limit_bytes = options->quick ? 16 * MIB : 256 * MIB};
	bench_herd_create(&herd, &heap_options, META_MIN_BYTES);
	on->herd = &herd;
	bench_herd_fill(&herd, on->random, 0, META_MAX_BYTES);
	for (size_t id = 0; id < herd.ids; id += 3) {
		bench_herd_remove(&herd, id);
	}
	fill_evenly(&herd, on->random);
	snug_stats stats;
	bench_expect_ok(snug_stats_get(herd.heap, &stats), "snug_stats_get");
	if (!options->json) {
		printf("(%u size classes active, %llu objects)\n", stats.total.active_classes,
			   (unsigned long long)stats.objects);
	}
	measure("stats", on, ask_stats, HOT, options);
	measure("stats", on, ask_stats, COLD, options);
	bench_herd_destroy(&herd);
}

static void measure_nothing(probe *on, const bench_options *options) {
	bench_herd herd;
	snug_heap_options heap_options = {.struct_bytes = sizeof(snug_heap_options),
									  .limit_bytes = options->quick ? 64 * MIB : 1024 * MIB};
	snug_report report;
	bench_herd_create(&herd, &heap_options, META_MIN_BYTES);
	on->herd = &herd;
	bench_herd_fill(&herd, on->random, 0, META_MAX_BYTES);
	bench_herd_thin(&herd, on->random, BENCH_RANDOM);
	bench_expect_ok(snug_defragment(herd.heap, NULL, &report), "snug_defragment");
	for (condition state = HOT; state < CONDITION_COUNT; state++) {
		measure("defragment, nothing to gain", on, ask_defragment, state, options);
	}
	for (condition state = HOT; state <= COLD; state++) {
		measure("estimate, nothing to gain", on, ask_estimate, state, options);
	}
	bench_herd_destroy(&herd);
}

int main(int argc, char **argv) {
	bench_options options = bench_options_parse(argc, argv, 1);
	bench_random random;
	bench_random_init(&random, options.seed);
	probe on = {.random = &random, .evict = bench_map(EVICT_BYTES, false)};
	if (!options.json) {
		printf("calls that ask, ns; seed %llu\n", (unsigned long long)options.seed);
		printf("%-28s %-12s %8s %9s %9s %9s %11s\n", "call", "condition", "calls", "p50", "p99",
			   "max", "found work");
	}
	measure_stats(&on, &options);
	measure_nothing(&on, &options);
	bench_unmap(on.evict, EVICT_BYTES);
	return 0;
}
