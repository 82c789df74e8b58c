/* bounds_table.c: prints the tables of docs/bounds.md from the code that keeps the bounds. A test
 * compares them with the document: test_bounds.py. */
#include "mem/arena/limit.h"
#include "support/bound.h"

#include <snug/snug.h>

#include <stdio.h>
#include <stdlib.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)

static void moved(void *context, snug_ref from, snug_ref to, size_t size) {
	(void)context, (void)from, (void)to, (void)size;
}

/* page_bytes 0: as the limit says. */
static snug_heap *open_heap(size_t limit_bytes, size_t page_bytes, bool by_reference) {
	snug_heap *heap;
	snug_heap_options options = snug_heap_options_default();
	options.limit_bytes = limit_bytes;
	options.page_bytes = page_bytes;
	if (by_reference) options.owner.moved = moved;
	snug_error error = snug_heap_create(&options, &heap);
	if (error == SNUG_OK) return heap;
	fprintf(stderr, "no heap of %zu bytes: %s\n", limit_bytes, snug_error_text(error));
	exit(1);
}

static void close_heap(snug_heap *heap) {
	if (snug_heap_destroy(heap) != SNUG_OK) exit(1);
}

static const char *size_text(size_t bytes, char *text, size_t room) {
	const char *unit = bytes >= GIB ? "GiB" : bytes >= MIB ? "MiB" : "KiB";
	snprintf(text, room, "%zu %s", bytes / (bytes >= GIB ? GIB : bytes >= MIB ? MIB : KIB), unit);
	return text;
}

/* ------------------------------------------------------------------ the largest object -------- */

static void print_largest(size_t limit_bytes, size_t page_bytes) {
	char limit[32], page[32];
	size_t largest[2];
	for (int by_reference = 0; by_reference < 2; by_reference++) {
		snug_heap *heap = open_heap(limit_bytes, page_bytes, by_reference);
		largest[by_reference] = heap->object_max_bytes;
		close_heap(heap);
	}
	snug_heap *chosen = open_heap(limit_bytes, 0, true);
	bool is_chosen = chosen->arena.page_bytes == page_bytes;
	close_heap(chosen);
	printf("| %s | %s%s | %zu | %zu | %.4f |\n", size_text(limit_bytes, limit, sizeof limit),
		   size_text(page_bytes, page, sizeof page), is_chosen ? ", chosen" : "", largest[1],
		   largest[0], (double)largest[1] / (double)limit_bytes);
}

static void print_largest_objects(void) {
	static const size_t limits[] = {256 * KIB, 1 * MIB, 4 * MIB, 16 * MIB, 64 * MIB,
									256 * MIB, 1 * GIB, 4 * GIB, 16 * GIB, 64 * GIB};
	printf("| limit | page | object_max_bytes by reference | by handle | by reference / limit |\n"
		   "|---|---|---|---|---|\n");
	for (size_t index = 0; index < sizeof limits / sizeof *limits; index++) {
		for (size_t page_bytes = PAGE_BYTES_MIN; page_bytes <= PAGE_BYTES_MAX; page_bytes *= 2)
			if (limit_is_workable(limits[index], page_bytes))
				print_largest(limits[index], page_bytes);
	}
	printf("\n");
}

/* ------------------------------------------------------------------ what may be left ---------- */

static void print_left(void) {
	printf(
		"| page | contiguous at most, by reference / handle | classes | left beside contiguous | "
		"without size_of | left in trailers, by reference | by handle |\n"
		"|---|---|---|---|---|---|---|\n");
	for (size_t page_bytes = PAGE_BYTES_MIN; page_bytes <= PAGE_BYTES_MAX; page_bytes *= 2) {
		char page[32];
		snug_heap *heap = open_heap(16 * MIB, page_bytes, true);
		snug_heap *handles = open_heap(16 * MIB, page_bytes, false);
		printf("| %s | %zu / %zu | %u | %llu KiB | %llu KiB | %llu KiB | %llu KiB |\n",
			   size_text(page_bytes, page, sizeof page), snug_contiguous_max(heap),
			   snug_contiguous_max(handles), heap->classes.first[FAMILY_COUNT],
			   (unsigned long long)(bound_most_left(heap, true, 0) / KIB),
			   (unsigned long long)(bound_most_left(heap, false, 0) / KIB),
			   (unsigned long long)(bound_most_left(heap, false, FRAGMENT_TRAILER_BYTES) / KIB),
			   (unsigned long long)(bound_most_left(handles, true, HANDLED_FRAGMENT_TRAILER_BYTES) /
									KIB));
		close_heap(handles);
		close_heap(heap);
	}
}

int main(void) {
	print_largest_objects();
	print_left();
	return 0;
}
