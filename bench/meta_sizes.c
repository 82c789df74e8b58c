/* meta_sizes.c: Meta's sizes for the benchmarks: the very table that snug-replay draws from. */
#include "bench.h"
#include "workloads/sizes.h"

/* Draws in the table's own generator, seeded afresh by ours: slow, and never inside what is
 * timed. */
size_t bench_meta_size(bench_random *random, size_t max_bytes) {
	struct random generator;
	random_init(&generator, bench_random_next(random), 0);
	return sizes_draw(&sizes_meta_kvcache, &generator, max_bytes);
}
