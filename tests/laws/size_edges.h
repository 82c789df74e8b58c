/* size_edges.h: the sizes at which arithmetic goes wrong: around 0, around the largest that is
 * allowed, around each power of two, around what the heap's own tables end at, and so near to
 * SIZE_MAX that a header or a trailer added to it wraps. */
#ifndef SNUG_TEST_SIZE_EDGES_H
#define SNUG_TEST_SIZE_EDGES_H

#include <stddef.h>
#include <stdint.h>

#define SIZE_EDGES_MAX 512u
#define NEAR_SIZE_MAX 64u

struct size_edges {
	size_t size[SIZE_EDGES_MAX];
	size_t count;
};

static inline void size_edges_add(struct size_edges *edges, size_t middle, size_t around) {
	for (size_t k = 0; k <= 2 * around && edges->count < SIZE_EDGES_MAX; k++)
		edges->size[edges->count++] = middle - around + k; /* wraps, as it should */
}

/* `most`: the largest that is allowed. */
static inline struct size_edges size_edges_of(size_t most) {
	struct size_edges edges = {.count = 0};
	for (size_t k = 0; k <= NEAR_SIZE_MAX; k++) edges.size[edges.count++] = SIZE_MAX - k;
	size_edges_add(&edges, 1, 1);
	size_edges_add(&edges, most, 2);
	size_edges_add(&edges, 1024, 9); /* where a table by bytes ends, with each trailer */
	size_edges_add(&edges, 4096, 17);
	for (uint32_t bit = 14; bit < 64; bit++) size_edges_add(&edges, (size_t)1 << bit, 1);
	return edges;
}

#endif
