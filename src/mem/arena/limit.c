/* mem/arena/limit.c: what the largest object is, counted before there is any.
 *
 *   limit  | fixed | descriptors | regions | cells | handles | page | page | ... | page | rest |
 *            <-- metadata of a heap that holds one object --->  its whole fragments
 *
 * An object of P whole fragments takes P pages beside its metadata. The largest P for which both fit
 * is what the limit has room for: all of these pages is payload, but for a trailer each.
 *
 * A smaller object needs no more. It has at most P - 1 whole fragments, and one page is enough for
 * all of its tail (mem/object/chain.c). But the plan that was tried first may have activated a class
 * for each piece of the tail, so room for their states is counted: two grains of cells.
 *
 * A heap may have had a few pages more, while it had neither cells nor handles: their descriptors are
 * counted, too. All else that its tables have grown by an emptied heap gives back, so what fits a new
 * heap fits it as well. That includes free pages behind those: of a limit that was higher, and with
 * them their descriptors. */
#include "mem/arena/limit.h"

#include "base/bits.h"

/* The states of the largest class of each family and of four more, and the bitmaps of four slabs, take
 * at most 6,400 bytes. */
#define CELLS_OF_ONE_OBJECT_BYTES (2 * METADATA_GRAIN)

/* Of cells and handles. */
static size_t others_of_one_object(const snug_heap *heap) {
	return CELLS_OF_ONE_OBJECT_BYTES + (heap->slot_trailer_bytes > 0 ? METADATA_GRAIN : 0);
}

/* Those of one object, and those that a heap may have had before it had cells and handles. */
static size_t pages_ever_with(const snug_heap *heap, size_t pages) {
	return pages + divide_up(others_of_one_object(heap), heap->arena.page_bytes);
}

/* The most that a heap has which holds one object in so many pages. */
static size_t metadata_bytes(const snug_heap *heap, size_t pages) {
	size_t others_bytes = others_of_one_object(heap);
	size_t pages_ever = pages_ever_with(heap, pages);
	size_t regions_ever = (pages_ever >> heap->arena.region_shift) + 1;
	return heap->fixed.reserved_bytes + others_bytes +
		   round_up((pages_ever + 1) * sizeof(struct page), METADATA_GRAIN) +
		   round_up(regions_ever * sizeof(struct region), METADATA_GRAIN);
}

/* The most pages that fit beside their metadata. */
static size_t pages_under(const snug_heap *heap, size_t limit_bytes) {
	uint32_t shift = heap->arena.page_shift;
	size_t most_bytes = metadata_bytes(heap, limit_bytes >> shift);
	size_t pages = limit_bytes > most_bytes ? (limit_bytes - most_bytes) >> shift : 0;
	while (metadata_bytes(heap, pages + 1) + ((pages + 1) << shift) <= limit_bytes) pages++;
	return pages;
}

size_t limit_object_bytes(const snug_heap *heap, size_t limit_bytes) {
	size_t whole_bytes = heap->arena.page_bytes - heap->classes.fragment_trailer_bytes;
	return smaller(pages_under(heap, limit_bytes) * whole_bytes, SNUG_OBJECT_MAX_BYTES);
}

uint64_t limit_pages_ever(const snug_heap *heap) {
	uint64_t all_pages = heap->arena.limit_goal_bytes >> heap->arena.page_shift;
	size_t whole_bytes = heap->arena.page_bytes - heap->classes.fragment_trailer_bytes;
	if (heap->object_max_bytes == SNUG_OBJECT_MAX_BYTES) return all_pages;
	return smaller(all_pages, pages_ever_with(heap, heap->object_max_bytes / whole_bytes));
}
