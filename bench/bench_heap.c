/* bench_heap.c: owner-named pools and the smallest table that an owner can keep for them. */
#include "bench.h"

#include <string.h>

#define OBJECT_MAX_BYTES ((size_t)1 << 20)

static void heap_moved(void *context, snug_ref from, snug_ref to, size_t size) {
	bench_heap *heap = context;
	uint32_t id;
	(void)from;
	(void)size;
	memcpy(&id, snug_ref_at(heap->pools, to), sizeof id);
	heap->refs[id] = to;
}

void bench_heap_create(bench_heap *heap, const snug_options *options, size_t min_object_bytes) {
	snug_options owned = *options;
	owned.owner = (snug_owner){.moved = heap_moved, .context = heap};
	*heap = (bench_heap){.capacity = options->limit_bytes / min_object_bytes + 1};
	heap->refs = bench_map(heap->capacity * sizeof heap->refs[0], options->huge_pages);
	heap->sizes = bench_map(heap->capacity * sizeof heap->sizes[0], options->huge_pages);
	heap->free_ids = bench_map(heap->capacity * sizeof heap->free_ids[0], options->huge_pages);
	bench_expect_ok(snug_pools_create(&owned, &heap->pools), "snug_pools_create");
}

void bench_heap_destroy(bench_heap *heap) {
	snug_pools_destroy(heap->pools);
	bench_unmap(heap->refs, heap->capacity * sizeof heap->refs[0]);
	bench_unmap(heap->sizes, heap->capacity * sizeof heap->sizes[0]);
	bench_unmap(heap->free_ids, heap->capacity * sizeof heap->free_ids[0]);
}

/* Every byte is written, so that no page is touched for the first time while something is measured. */
static void write_object(bench_heap *heap, size_t id, size_t size) {
	static const unsigned char filling[OBJECT_MAX_BYTES];
	snug_ref ref = heap->refs[id];
	uint32_t stored_id = (uint32_t)id;
	if (size > OBJECT_MAX_BYTES) {
		bench_fail("an object of %zu bytes", size);
	}
	bench_expect_ok(snug_ref_write(heap->pools, ref, size, 0, filling, size), "snug_ref_write");
	memcpy(snug_ref_at(heap->pools, ref), &stored_id, sizeof stored_id);
}

bool bench_heap_add(bench_heap *heap, size_t size) {
	snug_ref ref;
	snug_error error = snug_ref_alloc(heap->pools, size, &ref);
	if (error == SNUG_ERROR_NO_MEMORY) {
		return false;
	}
	bench_expect_ok(error, "snug_ref_alloc");
	if (heap->free_id_count == 0 && heap->ids == heap->capacity) {
		bench_fail("more objects than the table has room for");
	}
	size_t id = heap->free_id_count > 0 ? heap->free_ids[--heap->free_id_count] : heap->ids++;
	heap->refs[id] = ref;
	heap->sizes[id] = (uint32_t)size;
	heap->live_bytes += size;
	write_object(heap, id, size);
	return true;
}

void bench_heap_remove(bench_heap *heap, size_t id) {
	bench_expect_ok(snug_ref_free(heap->pools, heap->refs[id], heap->sizes[id]), "snug_ref_free");
	heap->refs[id] = 0;
	heap->live_bytes -= heap->sizes[id];
	heap->free_ids[heap->free_id_count++] = (uint32_t)id;
}

size_t bench_heap_pick(const bench_heap *heap, bench_random *random) {
	size_t id;
	do {
		id = bench_random_below(random, heap->ids);
	} while (heap->refs[id] == 0);
	return id;
}

void bench_heap_fill(bench_heap *heap, bench_random *random, size_t size, size_t max_bytes) {
	while (bench_heap_add(heap, size != 0 ? size : bench_meta_size(random, max_bytes))) {
	}
}

void bench_heap_thin(bench_heap *heap, bench_random *random, bench_pattern pattern) {
	for (size_t id = 0; id < heap->ids; id++) {
		bool goes = pattern == BENCH_CHECKERBOARD ? id % 2 == 0 : bench_random_next(random) >> 63 != 0;
		if (goes && heap->refs[id] != 0) {
			bench_heap_remove(heap, id);
		}
	}
}
