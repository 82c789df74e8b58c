/* pauses.c: bench-pauses: how long a defragmentation step holds its thread.
 *
 * A heap of 256 MiB is filled, thinned to half at random, and compacted in steps of 4 KiB; every
 * step is timed from outside and goes into a histogram, begin and end beside it. A step copies less
 * than 4 KiB plus one slot, so for larger objects the slot decides. The last row copies 4 KiB with
 * memcpy from random place to random place, timed in the same way: what it shows beyond the median
 * is the machine's own noise, which every step suffers too. */
#include "bench.h"

#include <stdio.h>
#include <string.h>

typedef struct workload {
	const char *name;
	size_t object_bytes; /* 0: Meta's sizes */
} workload;

static const workload workloads[] = {{"100 B", 100},     {"200 B", 200},       {"1 KiB", KIB},
									 {"4 KiB", 4 * KIB}, {"10 KiB", 10 * KIB}, {"meta", 0}};

#define WORKLOAD_COUNT (sizeof workloads / sizeof workloads[0])
#define META_MAX_BYTES (512 * KIB)
#define META_MIN_BYTES 64

typedef struct pauses {
	snug_histogram steps;
	snug_histogram begins;
	snug_histogram ends;
	uint64_t moved_objects;
	uint64_t reclaimed_bytes;
} pauses;

static void compact_in_steps(bench_herd *herd, pauses *out) {
	snug_defragment_options options = snug_defragment_options_default();
	snug_report report;
	bool done = false;
	uint64_t start_ns = bench_now_ns();
	bench_expect_ok(snug_defragment_begin(herd->heap, &options), "snug_defragment_begin");
	snug_histogram_add(&out->begins, bench_now_ns() - start_ns);
	while (!done) {
		start_ns = bench_now_ns();
		bench_expect_ok(snug_defragment_step(herd->heap, &done), "snug_defragment_step");
		snug_histogram_add(&out->steps, bench_now_ns() - start_ns);
	}
	start_ns = bench_now_ns();
	bench_expect_ok(snug_defragment_end(herd->heap, &report), "snug_defragment_end");
	snug_histogram_add(&out->ends, bench_now_ns() - start_ns);
	out->moved_objects += report.moved_objects;
	out->reclaimed_bytes += report.reclaimed_bytes;
}

static void run(const workload *what, const bench_options *options, bench_random *random,
				pauses *out) {
	bench_herd herd;
	snug_heap_options heap_options = {.struct_bytes = sizeof(snug_heap_options),
									  .limit_bytes = options->quick ? 16 * MIB : 256 * MIB,
									  .huge_pages = options->huge_pages,
									  .no_compaction_in_alloc = true};
	bench_herd_create(&herd, &heap_options,
					  what->object_bytes != 0 ? what->object_bytes : META_MIN_BYTES);
	bench_herd_fill(&herd, random, what->object_bytes, META_MAX_BYTES);
	bench_herd_thin(&herd, random, BENCH_RANDOM);
	compact_in_steps(&herd, out);
	bench_herd_destroy(&herd);
}

static void run_memcpy(const bench_options *options, bench_random *random, pauses *out) {
	size_t size = options->quick ? 16 * MIB : 256 * MIB;
	size_t places = size / SNUG_STEP_BYTES_DEFAULT;
	unsigned char *bytes = bench_map(size, options->huge_pages);
	for (size_t i = 0; i < places; i++) {
		size_t from = bench_random_below(random, places);
		size_t to = bench_random_below(random, places);
		uint64_t start_ns = bench_now_ns();
		memmove(bytes + to * SNUG_STEP_BYTES_DEFAULT, bytes + from * SNUG_STEP_BYTES_DEFAULT,
				SNUG_STEP_BYTES_DEFAULT);
		snug_histogram_add(&out->steps, bench_now_ns() - start_ns);
	}
	bench_unmap(bytes, size);
}

static double micros(const snug_histogram *histogram, double quantile) {
	return (double)snug_histogram_quantile(histogram, quantile) / 1000;
}

static void print_row(const char *name, const pauses *of, const bench_options *options) {
	if (options->json) {
		printf("{\"bench\":\"pauses\",\"objects\":\"%s\",\"steps\":%llu,\"step_ns\":{\"p50\":%llu,"
			   "\"p99\":%llu,\"p999\":%"
			   "llu,"
			   "\"max\":%llu},\"begin_max_ns\":%llu,\"end_max_ns\":%llu,\"moved_objects\":%llu,"
			   "\"reclaimed_bytes\":%llu,"
			   "\"huge_pages\":%s,\"seed\":%llu}\n",
			   name, (unsigned long long)of->steps.count,
			   (unsigned long long)snug_histogram_quantile(&of->steps, 0.5),
			   (unsigned long long)snug_histogram_quantile(&of->steps, 0.99),
			   (unsigned long long)snug_histogram_quantile(&of->steps, 0.999),
			   (unsigned long long)of->steps.max, (unsigned long long)of->begins.max,
			   (unsigned long long)of->ends.max, (unsigned long long)of->moved_objects,
			   (unsigned long long)of->reclaimed_bytes, options->huge_pages ? "true" : "false",
			   (unsigned long long)options->seed);
		return;
	}
	printf("%-12s %8llu %8.1f %8.1f %8.1f %9.1f %10.1f %10.1f %12.1f\n", name,
		   (unsigned long long)of->steps.count, micros(&of->steps, 0.5), micros(&of->steps, 0.99),
		   micros(&of->steps, 0.999), micros(&of->steps, 1), micros(&of->begins, 1),
		   micros(&of->ends, 1), (double)of->reclaimed_bytes / (double)MIB / options->rounds);
}

static void pauses_init(pauses *out) {
	*out = (pauses){.moved_objects = 0};
	snug_histogram_init(&out->steps);
	snug_histogram_init(&out->begins);
	snug_histogram_init(&out->ends);
}

int main(int argc, char **argv) {
	static pauses figures[WORKLOAD_COUNT + 1];
	bench_options options = bench_options_parse(argc, argv, 3);
	bench_random random;
	bench_random_init(&random, options.seed);
	for (size_t i = 0; i <= WORKLOAD_COUNT; i++) {
		pauses_init(&figures[i]);
	}
	for (unsigned round = 0; round < options.rounds; round++) {
		for (size_t i = 0; i < WORKLOAD_COUNT; i++) {
			run(&workloads[i], &options, &random, &figures[i]);
		}
		run_memcpy(&options, &random, &figures[WORKLOAD_COUNT]);
	}
	if (!options.json) {
		printf("pauses of 4 KiB defragmentation steps, us; seed %llu%s\n",
			   (unsigned long long)options.seed, options.huge_pages ? ", 2 MiB pages" : "");
		printf("%-12s %8s %8s %8s %8s %9s %10s %10s %12s\n", "objects", "steps", "p50", "p99",
			   "p99.9", "max", "begin max", "end max", "gained MiB");
	}
	for (size_t i = 0; i < WORKLOAD_COUNT; i++) {
		print_row(workloads[i].name, &figures[i], &options);
	}
	print_row("memcpy 4 KiB", &figures[WORKLOAD_COUNT], &options);
	return 0;
}
