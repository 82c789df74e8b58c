/* bench_herd.c: a heap by reference and the smallest table that an owner can keep for it. */
#include "bench.h"

#include <string.h>

#define OBJECT_MAX_BYTES ((size_t)1 << 20)

static void heap_moved(void *context, snug_ref from, snug_ref to, size_t size) {
	bench_herd *herd = context;
	uint32_t id;
	(void)from;
	(void)size;
	memcpy(&id, snug_ref_at(herd->heap, to), sizeof id);
	herd->refs[id] = to;
}

void bench_herd_create(bench_herd *herd, const snug_heap_options *options,
					   size_t min_object_bytes) {
	snug_heap_options owned = *options;
	owned.owner = (snug_owner){.moved = heap_moved, .context = herd};
	*herd = (bench_herd){.capacity = options->limit_bytes / min_object_bytes + 1};
	herd->refs = bench_map(herd->capacity * sizeof herd->refs[0], options->huge_pages);
	herd->sizes = bench_map(herd->capacity * sizeof herd->sizes[0], options->huge_pages);
	herd->free_ids = bench_map(herd->capacity * sizeof herd->free_ids[0], options->huge_pages);
	bench_expect_ok(snug_heap_create(&owned, &herd->heap), "snug_heap_create");
}

void bench_herd_destroy(bench_herd *herd) {
	bench_expect_ok(snug_heap_destroy(herd->heap), "the end");
	bench_unmap(herd->refs, herd->capacity * sizeof herd->refs[0]);
	bench_unmap(herd->sizes, herd->capacity * sizeof herd->sizes[0]);
	bench_unmap(herd->free_ids, herd->capacity * sizeof herd->free_ids[0]);
}

/* Every byte is written, so that no page is touched for the first time while something is
 * measured. */
static void write_object(bench_herd *herd, size_t id, size_t size) {
	static const unsigned char filling[OBJECT_MAX_BYTES];
	snug_ref ref = herd->refs[id];
	uint32_t stored_id = (uint32_t)id;
	if (size > OBJECT_MAX_BYTES) {
		bench_fail("an object of %zu bytes", size);
	}
	bench_expect_ok(snug_ref_write(herd->heap, ref, size, 0, filling, size), "snug_ref_write");
	memcpy(snug_ref_at(herd->heap, ref), &stored_id, sizeof stored_id);
}

/* `moved` looks for the id in the first extent, and the last resort may give one of a single byte. */
static bool holds_id(const bench_herd *herd, snug_ref ref, size_t size) {
	snug_extent extent;
	size_t count = 1;
	return snug_ref_is_contiguous(ref) ||
		   snug_ref_view(herd->heap, ref, size, 0, sizeof(uint32_t), &extent, &count) == SNUG_OK;
}

/* What can't hold its id counts as refused. */
bool bench_herd_add(bench_herd *herd, size_t size) {
	snug_ref ref;
	snug_error error = snug_ref_alloc(herd->heap, size, &ref);
	if (error == SNUG_ERROR_NO_MEMORY) {
		return false;
	}
	bench_expect_ok(error, "snug_ref_alloc");
	if (!holds_id(herd, ref, size)) {
		bench_expect_ok(snug_ref_free(herd->heap, ref, size), "snug_ref_free");
		return false;
	}
	if (herd->free_id_count == 0 && herd->ids == herd->capacity) {
		bench_fail("more objects than the table has room for");
	}
	size_t id = herd->free_id_count > 0 ? herd->free_ids[--herd->free_id_count] : herd->ids++;
	herd->refs[id] = ref;
	herd->sizes[id] = (uint32_t)size;
	herd->live_bytes += size;
	write_object(herd, id, size);
	return true;
}

void bench_herd_remove(bench_herd *herd, size_t id) {
	bench_expect_ok(snug_ref_free(herd->heap, herd->refs[id], herd->sizes[id]), "snug_ref_free");
	herd->refs[id] = 0;
	herd->live_bytes -= herd->sizes[id];
	herd->free_ids[herd->free_id_count++] = (uint32_t)id;
}

size_t bench_herd_pick(const bench_herd *herd, bench_random *random) {
	size_t id;
	do {
		id = bench_random_below(random, herd->ids);
	} while (herd->refs[id] == 0);
	return id;
}

void bench_herd_fill(bench_herd *herd, bench_random *random, size_t size, size_t max_bytes) {
	while (bench_herd_add(herd, size != 0 ? size : bench_meta_size(random, max_bytes))) {
	}
}

void bench_herd_thin(bench_herd *herd, bench_random *random, bench_pattern pattern) {
	for (size_t id = 0; id < herd->ids; id++) {
		bool goes =
			pattern == BENCH_CHECKERBOARD ? id % 2 == 0 : bench_random_next(random) >> 63 != 0;
		if (goes && herd->refs[id] != 0) {
			bench_herd_remove(herd, id);
		}
	}
}
