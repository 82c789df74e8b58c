/* moves.c: bench-moves: what moving an object costs, beside memcpy in the same run.
 *
 * A heap of 256 MiB is filled with objects of one size and thinned to half, at random or as a
 * checkerboard; then one defragmentation compacts it, and its time is divided by the objects that
 * it moved. Included: choosing the victims, finding the holes, the copies, and the owner's update
 * (read the id in the object, write the table of references, a random place in some 20 MiB for the
 * smallest objects). Objects that no slot fits tightly are moved as fragments, hence "bytes a
 * move".
 *
 * Beside it, in a buffer of 256 MiB: memcpy of the same size from one random place to another, from
 * the next place to a random one, and one plain copy of half the buffer to the other half. */
#include "bench.h"

#include <stdio.h>
#include <string.h>

#define SIZE_COUNT 5
#define ROUNDS_MAX 64

static const size_t object_sizes[SIZE_COUNT] = {100, 200, 1 * KIB, 4 * KIB, 10 * KIB};
static const char *const pattern_names[] = {"random", "checker"};

typedef enum figure {
	MOVE_NS,
	MOVE_BYTES, /* mean bytes of a move */
	RANDOM_COPY_NS,
	SCATTER_COPY_NS,
	MOVE_GBPS,
	RATIO_RANDOM,
	RATIO_SCATTER,
	RATIO_STREAM,
	FIGURE_COUNT
} figure;

static const char *const figure_names[FIGURE_COUNT] = {
	"move_ns",   "move_bytes",      "memcpy_random_ns", "memcpy_scatter_ns",
	"move_gbps", "move_per_random", "move_per_scatter", "gbps_per_stream_gbps",
};

typedef struct copy_buffer {
	unsigned char *bytes;
	size_t size;
} copy_buffer;

static double random_copy_ns(const copy_buffer *buffer, bench_random *random, size_t object_bytes,
							 bool random_source) {
	size_t places = buffer->size / object_bytes;
	size_t count = 64 * MIB / object_bytes;
	size_t next = bench_random_below(random, places);
	uint64_t start_ns = bench_cpu_ns();
	for (size_t i = 0; i < count; i++) {
		next = random_source       ? bench_random_below(random, places)
			   : next + 1 < places ? next + 1
								   : 0;
		size_t to = bench_random_below(random, places);
		memmove(buffer->bytes + to * object_bytes, buffer->bytes + next * object_bytes,
				object_bytes);
	}
	return (double)(bench_cpu_ns() - start_ns) / (double)count;
}

static double stream_gbps(const copy_buffer *buffer) {
	size_t half = buffer->size / 2;
	uint64_t start_ns = bench_cpu_ns();
	memcpy(buffer->bytes, buffer->bytes + half, half);
	return (double)half / (double)(bench_cpu_ns() - start_ns);
}

static void compact(double *figures, size_t object_bytes, bench_pattern pattern, size_t heap_bytes,
					const bench_options *options, bench_random *random) {
	bench_herd herd;
	snug_heap_options heap_options = {.struct_bytes = sizeof(snug_heap_options),
									  .limit_bytes = heap_bytes,
									  .huge_pages = options->huge_pages,
									  .no_compaction_in_alloc = true};
	snug_defragment_options whole = snug_defragment_options_default();
	snug_report report;
	whole.step_bytes = MIB;
	bench_herd_create(&herd, &heap_options, object_bytes);
	bench_herd_fill(&herd, random, object_bytes, object_bytes);
	bench_herd_thin(&herd, random, pattern);
	uint64_t start_ns = bench_cpu_ns();
	bench_expect_ok(snug_defragment(herd.heap, &whole, &report), "snug_defragment");
	double elapsed_ns = (double)(bench_cpu_ns() - start_ns);
	if (report.moved_objects == 0) {
		bench_fail("nothing moved: %s", snug_outcome_text(report.outcome));
	}
	figures[MOVE_NS] = elapsed_ns / (double)report.moved_objects;
	figures[MOVE_BYTES] = (double)report.moved_bytes / (double)report.moved_objects;
	figures[MOVE_GBPS] = (double)report.moved_bytes / elapsed_ns;
	bench_herd_destroy(&herd);
}

static void measure(double *figures, size_t object_bytes, bench_pattern pattern,
					const copy_buffer *buffer, const bench_options *options, bench_random *random) {
	compact(figures, object_bytes, pattern, buffer->size, options, random);
	figures[RANDOM_COPY_NS] = random_copy_ns(buffer, random, object_bytes, true);
	figures[SCATTER_COPY_NS] = random_copy_ns(buffer, random, object_bytes, false);
	/* A fragment may be smaller than the object: time is compared for the same number of bytes. */
	double per_object_ns = figures[MOVE_NS] * (double)object_bytes / figures[MOVE_BYTES];
	figures[RATIO_RANDOM] = per_object_ns / figures[RANDOM_COPY_NS];
	figures[RATIO_SCATTER] = per_object_ns / figures[SCATTER_COPY_NS];
	figures[RATIO_STREAM] = figures[MOVE_GBPS] / stream_gbps(buffer);
}

static void print_row(size_t object_bytes, bench_pattern pattern, const double *medians,
					  const bench_options *options) {
	if (!options->json) {
		printf("%6zu  %-8s %9.1f %9.0f %10.1f %10.1f %9.2f %9.2f %9.2f %9.2f\n", object_bytes,
			   pattern_names[pattern], medians[MOVE_NS], medians[MOVE_BYTES],
			   medians[RANDOM_COPY_NS], medians[SCATTER_COPY_NS], medians[MOVE_GBPS],
			   medians[RATIO_RANDOM], medians[RATIO_SCATTER], medians[RATIO_STREAM]);
		return;
	}
	printf("{\"bench\":\"moves\",\"object_bytes\":%zu,\"pattern\":\"%s\"", object_bytes,
		   pattern_names[pattern]);
	for (size_t i = 0; i < FIGURE_COUNT; i++) {
		printf(",\"%s\":%.3f", figure_names[i], medians[i]);
	}
	printf(",\"rounds\":%u,\"huge_pages\":%s,\"seed\":%llu}\n", options->rounds,
		   options->huge_pages ? "true" : "false", (unsigned long long)options->seed);
}

static void print_heading(const bench_options *options) {
	printf("moves in a defragmentation, and memcpy of the same size; medians; seed %llu%s\n",
		   (unsigned long long)options->seed, options->huge_pages ? ", 2 MiB pages" : "");
	printf("memcpy: random = random place to random place, scatter = next place to random place, "
		   "stream = one large "
		   "copy\n");
	printf("%6s  %-8s %9s %9s %10s %10s %9s %9s %9s %9s\n", "bytes", "thinned", "ns/move", "B/move",
		   "random ns", "scatter ns", "GB/s", "/random", "/scatter", "GB/stream");
}

int main(int argc, char **argv) {
	static double samples[SIZE_COUNT][2][FIGURE_COUNT][ROUNDS_MAX];
	bench_options options = bench_options_parse(argc, argv, 7);
	copy_buffer buffer = {.size = options.quick ? 16 * MIB : 256 * MIB};
	bench_random random;
	if (options.rounds > ROUNDS_MAX) {
		bench_fail("at most %d rounds", ROUNDS_MAX);
	}
	bench_random_init(&random, options.seed);
	buffer.bytes = bench_map(buffer.size, options.huge_pages);
	for (unsigned round = 0; round < options.rounds; round++) {
		for (size_t i = 0; i < 2 * SIZE_COUNT; i++) {
			double figures[FIGURE_COUNT];
			measure(figures, object_sizes[i / 2], (bench_pattern)(i % 2), &buffer, &options,
					&random);
			for (size_t k = 0; k < FIGURE_COUNT; k++) {
				samples[i / 2][i % 2][k][round] = figures[k];
			}
		}
	}
	if (!options.json) {
		print_heading(&options);
	}
	for (size_t i = 0; i < 2 * SIZE_COUNT; i++) {
		double medians[FIGURE_COUNT];
		for (size_t k = 0; k < FIGURE_COUNT; k++) {
			medians[k] = bench_median(samples[i / 2][i % 2][k], options.rounds);
		}
		print_row(object_sizes[i / 2], (bench_pattern)(i % 2), medians, &options);
	}
	bench_unmap(buffer.bytes, buffer.size);
	return 0;
}
