/* recount.h: counts the pages again from what snug_dump writes, which is read from the page
 * descriptors and their bitmaps.
 *
 * The reports and the statistics are built from counters; a test that compares them with each other
 * proves little. This is the second witness: the map, parsed and added up here. */
#ifndef SNUG_TEST_RECOUNT_H
#define SNUG_TEST_RECOUNT_H

#include <snug/stats.h>

typedef struct recount_pool {
	uint64_t slabs;
	uint64_t live_slots; /* live in the bitmap: a cached free slot counts too */
	uint64_t live_bytes; /* live slots, each a slot long */
	uint64_t hole_bytes;
	uint64_t pinned_slabs;
} recount_pool;

typedef struct recount {
	uint64_t page_bytes;
	uint64_t limit_bytes;
	uint64_t pages;      /* listed */
	uint64_t slab_pages; /* slabs and victims */
	uint64_t victim_pages;
	uint64_t target_pages;
	uint64_t free_pages; /* stacked or in runs, and the target */
	uint64_t returned_pages;
	uint64_t empty_slabs; /* no live slot */
	recount_pool pool[SNUG_POOL_COUNT];
} recount;

/* Dumps and counts; requires the text to be the documented JSON, its pages in ascending order, each
 * listed once. */
void recount_heap(snug_heap *heap, recount *out);

#endif
