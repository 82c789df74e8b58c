/* large.c: bench-large: what calls on one large object cost, in one call.
 *
 * 1. A heap's object of 1 GiB, in pages of 4 KiB and of the size that such a heap has: each call
 *    whole, for each MiB; the longest part of a free in parts of 256 KiB; and what making a heap
 *    resident at creation and ending it cost.
 * 2. A cache's value of 1 MiB to 1 GiB, in a shard of two and a half times as much, in the pages that
 *    this has and in pages of 4 KiB: room for it in memory that was never used, and in memory that
 *    was; and its end, by deletion. The median of the rounds.
 *
 * --quick: objects of 128 MiB, values up to 64 MiB. */
#include "bench.h"

#include <snug/shard.h>

#include <stdio.h>
#include <string.h>

#define EVICT_BYTES (32 * MIB)
#define VALUE_ROUNDS 5

/* ------------------------------------------------------------------ a heap's ----------------- */

static double us_a_mib(uint64_t begin_ns, size_t bytes) {
	return (double)(bench_now_ns() - begin_ns) / 1000 * (double)MIB / (double)bytes;
}

typedef snug_error piece_function(snug_heap *heap, snug_handle handle, size_t offset, void *buffer,
								  size_t length);

static snug_error write_piece(snug_heap *heap, snug_handle handle, size_t offset, void *buffer,
							  size_t length) {
	return snug_write(heap, handle, offset, buffer, length);
}

/* From its beginning to its end, a MiB at a time. */
static double each_mib(snug_heap *heap, snug_handle handle, size_t bytes, void *buffer,
					   piece_function *call) {
	uint64_t begin_ns = bench_now_ns();
	for (size_t offset = 0; offset < bytes; offset += MIB)
		bench_expect_ok(call(heap, handle, offset, buffer, MIB), "a piece of an object");
	return us_a_mib(begin_ns, bytes);
}

static double longest_part(snug_heap *heap, snug_handle handle) {
	uint64_t longest_ns = 0;
	bool done = false;
	while (!done) {
		uint64_t begin_ns = bench_now_ns();
		bench_expect_ok(snug_free_part(heap, handle, 256 * KIB, &done), "snug_free_part");
		uint64_t took_ns = bench_now_ns() - begin_ns;
		if (took_ns > longest_ns) longest_ns = took_ns;
	}
	return (double)longest_ns / 1000;
}

static void measure_large(size_t bytes, size_t page_bytes, const bench_options *bench) {
	snug_heap_options options = snug_heap_options_default();
	options.limit_bytes = bytes + bytes / 4;
	options.page_bytes = page_bytes;
	snug_heap *heap;
	snug_handle handle;
	void *buffer = bench_map(MIB, false);
	bench_expect_ok(snug_heap_create(&options, &heap), "snug_heap_create");
	uint64_t begin_ns = bench_now_ns();
	bench_expect_ok(snug_alloc(heap, bytes, &handle), "snug_alloc");
	double alloc_us = us_a_mib(begin_ns, bytes);
	double write_us = each_mib(heap, handle, bytes, buffer, write_piece);
	double read_us = each_mib(heap, handle, bytes, buffer, snug_read);
	begin_ns = bench_now_ns();
	bench_expect_ok(snug_resize(heap, handle, bytes / 2), "snug_resize");
	double resize_us = us_a_mib(begin_ns, bytes / 2);
	begin_ns = bench_now_ns();
	bench_expect_ok(snug_free(heap, handle), "snug_free");
	double free_us = us_a_mib(begin_ns, bytes / 2);
	bench_expect_ok(snug_alloc(heap, bytes, &handle), "snug_alloc");
	double part_us = longest_part(heap, handle);
	begin_ns = bench_now_ns();
	bench_expect_ok(snug_heap_destroy(heap), "snug_heap_destroy");
	double destroy_us = us_a_mib(begin_ns, bytes);
	options.populate = true;
	begin_ns = bench_now_ns();
	bench_expect_ok(snug_heap_create(&options, &heap), "snug_heap_create");
	double populate_us = us_a_mib(begin_ns, options.limit_bytes);
	bench_expect_ok(snug_heap_destroy(heap), "snug_heap_destroy");
	printf(bench->json ? "{\"bench\":\"large\",\"mib\":%zu,\"page_bytes\":%zu,\"alloc_us\":%.2f,"
						 "\"write_us\":%.2f,\"read_us\":%.2f,\"shrink_us\":%.2f,\"free_us\":%.2f,"
						 "\"longest_part_us\":%.1f,\"populate_us\":%.2f,\"destroy_us\":%.2f}\n"
					   : "%6zu MiB %6zu %8.1f %8.1f %8.1f %8.1f %8.1f %13.1f %9.1f %8.1f\n",
		   bytes / MIB, page_bytes, alloc_us, write_us, read_us, resize_us, free_us, part_us,
		   populate_us, destroy_us);
	bench_unmap(buffer, MIB);
}

static void all_large(const bench_options *options) {
	size_t bytes = options->quick ? 128 * MIB : 1024 * MIB;
	if (!options->json) {
		printf("\none large object: us a MiB, and the longest part of a free in us\n");
		printf("%10s %6s %8s %8s %8s %8s %8s %13s %9s %8s\n", "size", "page", "alloc", "write",
			   "read", "to half", "free", "longest part", "populate", "destroy");
	}
	measure_large(bytes, 4096, options);
	measure_large(bytes, 32768, options);
}

/* ------------------------------------------------------------------ a cache's ---------------- */

typedef struct value_costs {
	double first_us; /* reserve, in memory that was never used */
	double reserve_us;
	double delete_us;
	size_t page_bytes;
} value_costs;

static void write_value(snug_shard *shard, const snug_lease *lease, size_t bytes) {
	snug_extent extents[32];
	for (size_t offset = 0; offset < bytes;) {
		size_t count = 32, length = bytes - offset < 64 * KIB ? bytes - offset : 64 * KIB;
		bench_expect_ok(snug_shard_lease_view(shard, lease, offset, length, extents, &count),
						"snug_shard_lease_view");
		for (size_t i = 0; i < count; i++) memset(extents[i].data, 1, extents[i].length);
		offset += length;
	}
}

/* The caches hold other things before each deletion. */
static value_costs measure_value(size_t bytes, size_t page_bytes) {
	snug_shard_options options = snug_shard_options_default();
	options.heap.limit_bytes = bytes * 5 / 2;
	options.heap.page_bytes = page_bytes;
	options.item_max_bytes = bytes;
	snug_shard *shard;
	snug_key key = snug_shard_key("large", 5);
	unsigned char *evict = bench_map(EVICT_BYTES, false);
	bench_expect_ok(snug_shard_create(&options, &shard), "snug_shard_create");
	double reserve_us[VALUE_ROUNDS], delete_us[VALUE_ROUNDS], first_us = 0;
	for (int i = -1; i < VALUE_ROUNDS; i++) {
		snug_lease lease;
		uint64_t begin_ns = bench_now_ns();
		bench_expect_ok(snug_shard_reserve(shard, &key, bytes - 64, &lease), "snug_shard_reserve");
		double us = (double)(bench_now_ns() - begin_ns) / 1000;
		write_value(shard, &lease, bytes - 64);
		bench_expect_ok(snug_shard_commit(shard, &key, NULL, &lease), "snug_shard_commit");
		memset(evict, i, EVICT_BYTES);
		begin_ns = bench_now_ns();
		bench_expect_ok(snug_shard_delete(shard, &key), "snug_shard_delete");
		if (i < 0) {
			first_us = us;
			continue;
		}
		reserve_us[i] = us;
		delete_us[i] = (double)(bench_now_ns() - begin_ns) / 1000;
	}
	snug_shard_stats stats;
	bench_expect_ok(snug_shard_stats_get(shard, &stats), "snug_shard_stats_get");
	bench_expect_ok(snug_shard_destroy(shard), "snug_shard_destroy");
	bench_unmap(evict, EVICT_BYTES);
	return (value_costs){first_us, bench_median(reserve_us, VALUE_ROUNDS),
						 bench_median(delete_us, VALUE_ROUNDS), stats.heap.page_bytes};
}

static void all_values(const bench_options *options) {
	size_t most_bytes = options->quick ? 64 * MIB : 1024 * MIB;
	if (!options->json) {
		printf("\none large value of a cache's shard: us a call\n");
		printf("%10s %6s %14s %10s %10s\n", "size", "page", "reserve, first", "reserve", "delete");
	}
	for (int small_pages = 0; small_pages < 2; small_pages++) {
		for (size_t bytes = MIB; bytes <= most_bytes; bytes *= bytes < 16 * MIB ? 16 : 4) {
			value_costs costs = measure_value(bytes, small_pages ? 4096 : 0);
			printf(options->json ? "{\"bench\":\"large-value\",\"mib\":%zu,\"page_bytes\":%zu,"
								   "\"reserve_first_us\":%.1f,\"reserve_us\":%.1f,"
								   "\"delete_us\":%.1f}\n"
								 : "%6zu MiB %6zu %14.1f %10.1f %10.1f\n",
				   bytes / MIB, costs.page_bytes, costs.first_us, costs.reserve_us,
				   costs.delete_us);
		}
	}
}

int main(int argc, char **argv) {
	bench_options options = bench_options_parse(argc, argv, 1);
	all_large(&options);
	all_values(&options);
	return 0;
}
