/* metadata.c: bench-metadata: how much of a heap's limit holds what was asked for, and at the price
 * of how many moves.
 *
 * Meta's sizes, the heap always full: an allocation that finds no room frees random objects until
 * there is some, as a cache without a clever eviction would. So the heap has no last resort, as a
 * cache's has none: it would rather be refused than store in pieces. After the first fill, twice the
 * limit is allocated. Shown: the utilisation (payload / limit) at the moments when an allocation
 * found no room, mean and least, the metadata, and what the allocations' own compactions moved.
 * "ns/alloc" is the whole of it: evicting, allocating, compacting and writing the object. */
#include "bench.h"

#include <stdio.h>

#define META_MAX_BYTES (512 * KIB)
#define META_MIN_BYTES 64

typedef struct figures {
	double utilisation_mean; /* at the moments when the heap was full */
	double utilisation_min;
	double evictions_per_allocation;
	double allocation_ns;
	snug_stats before;
	snug_stats after;
} figures;

static void stats_of(const bench_herd *herd, snug_stats *out) {
	bench_expect_ok(snug_stats_get(herd->heap, out), "snug_stats_get");
}

/* Drawn beforehand, because drawing costs as much as allocating. */
#define SIZE_COUNT ((size_t)1 << 20)
static uint32_t drawn_sizes[SIZE_COUNT];

static void draw_sizes(bench_random *random, size_t max_bytes) {
	for (size_t i = 0; i < SIZE_COUNT; i++) {
		drawn_sizes[i] = (uint32_t)bench_meta_size(random, max_bytes);
	}
}

/* Allocates `bytes` more into a full heap. */
static void churn(bench_herd *herd, bench_random *random, size_t limit_bytes, uint64_t bytes,
				  figures *out) {
	uint64_t allocated_bytes = 0;
	uint64_t allocations = 0;
	uint64_t evictions = 0;
	uint64_t refusals = 0;
	uint64_t least_live_bytes = herd->live_bytes;
	double sum_live_bytes = 0;
	uint64_t start_ns = bench_cpu_ns();
	while (allocated_bytes < bytes) {
		size_t size = drawn_sizes[allocations % SIZE_COUNT];
		for (bool full = true; !bench_herd_add(herd, size); full = false) {
			if (full) {
				refusals++;
				sum_live_bytes += (double)herd->live_bytes;
				least_live_bytes =
					herd->live_bytes < least_live_bytes ? herd->live_bytes : least_live_bytes;
			}
			bench_herd_remove(herd, bench_herd_pick(herd, random));
			evictions++;
		}
		allocated_bytes += size;
		allocations++;
	}
	out->allocation_ns = (double)(bench_cpu_ns() - start_ns) / (double)allocations;
	out->utilisation_mean = sum_live_bytes / (double)refusals / (double)limit_bytes;
	out->utilisation_min = (double)least_live_bytes / (double)limit_bytes;
	out->evictions_per_allocation = (double)evictions / (double)allocations;
}

static void run(size_t limit_bytes, size_t max_bytes, const bench_options *options, figures *out) {
	bench_herd herd;
	bench_random random;
	snug_heap_options heap_options = {.struct_bytes = sizeof(snug_heap_options),
									  .limit_bytes = limit_bytes,
									  .no_last_resort = true,
									  .huge_pages = options->huge_pages};
	bench_random_init(&random, options->seed);
	bench_herd_create(&herd, &heap_options, META_MIN_BYTES);
	bench_herd_fill(&herd, &random, 0, max_bytes);
	stats_of(&herd, &out->before);
	draw_sizes(&random, max_bytes);
	churn(&herd, &random, limit_bytes, 2 * limit_bytes, out);
	stats_of(&herd, &out->after);
	bench_herd_destroy(&herd);
}

static void print_row(size_t limit_bytes, size_t max_bytes, const figures *of,
					  const bench_options *options) {
	double allocations = (double)(of->after.allocations - of->before.allocations);
	double moves = (double)(of->after.moves - of->before.moves) / allocations;
	double moved_bytes =
		(double)(of->after.moved_bytes - of->before.moved_bytes) / (double)(2 * limit_bytes);
	double metadata = (double)of->after.metadata_bytes / (double)limit_bytes;
	if (options->json) {
		printf("{\"bench\":\"metadata\",\"limit_bytes\":%zu,\"max_object_bytes\":%zu,\"page_"
			   "bytes\":%llu,\"utilisation_"
			   "mean\":%.4f,"
			   "\"utilisation_min\":%.4f,\"metadata_bytes\":%llu,\"metadata_share\":%.5f,\"moves_"
			   "per_alloc\":%.4f,"
			   "\"bytes_moved_per_byte_allocated\":%.4f,\"evictions_per_alloc\":%.4f,\"alloc_ns\":%"
			   ".1f,\"seed\":%llu}\n",
			   limit_bytes, max_bytes, (unsigned long long)of->after.page_bytes,
			   of->utilisation_mean, of->utilisation_min,
			   (unsigned long long)of->after.metadata_bytes, metadata, moves, moved_bytes,
			   of->evictions_per_allocation, of->allocation_ns, (unsigned long long)options->seed);
		return;
	}
	printf("%5zu MiB %6zu KiB %5llu KiB %8.4f %8.4f %9.3f%% %11.3f %11.3f %10.2f %9.0f\n",
		   limit_bytes / MIB, max_bytes / KIB, (unsigned long long)of->after.page_bytes / KIB,
		   of->utilisation_mean, of->utilisation_min, 100 * metadata, moves, moved_bytes,
		   of->evictions_per_allocation, of->allocation_ns);
}

int main(int argc, char **argv) {
	static const size_t limits[] = {16 * MIB, 256 * MIB, 1024 * MIB};
	bench_options options = bench_options_parse(argc, argv, 1);
	if (!options.json) {
		printf("Meta's sizes in a heap that is always full; seed %llu\n",
			   (unsigned long long)options.seed);
		printf("%9s %10s %9s %8s %8s %10s %11s %11s %10s %9s\n", "limit", "objects to", "page",
			   "use mean", "use min", "metadata", "moves/alloc", "moved B/B", "evictions",
			   "ns/alloc");
	}
	for (size_t i = 0; i < (options.quick ? 1u : 3u); i++) {
		size_t max_bytes[] = {16 * KIB, META_MAX_BYTES};
		for (size_t k = 0; k < 2; k++) {
			figures of;
			run(limits[i], max_bytes[k], &options, &of);
			print_row(limits[i], max_bytes[k], &of, &options);
		}
	}
	return 0;
}
