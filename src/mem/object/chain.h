/* mem/object/chain.h: objects stored in several slots (laws F1 to F3).
 *
 * What is larger than a page is whole pages and a tail; and so is what no slot fits to 1/64: slots
 * of page / n bytes lie far apart where n is small. The tail is split further while its slot wastes
 * more than another fragment costs (plan.h).
 *
 *   24,000 bytes on 16 KiB pages:   [ 16372 | t ] -> [ 5449 | t ] -> [ 2036 | t ] -> [ 143 | t ]
 *                                   <- previous, next in the trailers t, 12 bytes each ->
 *
 * Every fragment but the last fills its slot exactly. Each is moved alone: its trailer names its
 * neighbours, the head's its owner. So moving is bounded by a page, whatever the object's size.
 *
 * COST. 12 bytes a fragment, 16 in a heap by handle, and one look-up more for each. Reading at an
 * offset walks the fragments before it, unless it goes on where the last reading of the same object
 * was. The 24,000 bytes above take 24,049 bytes of slots. */
#ifndef SNUG_MEM_CHAIN_H
#define SNUG_MEM_CHAIN_H

#include "mem/object/plan.h"
#include "mem/object/room.h"
#include "mem/slab/trailer.h"
#include "mem/types.h"

/* By the plan for this size. `owner`: the handle's index, or 0. NO_MEMORY, OS_MEMORY. */
snug_error chain_alloc(snug_heap *heap, size_t size, const struct chain_plan *plan, uint32_t owner,
					   enum effort effort, uint64_t *head);

/* The same, in whatever holes there are: the last resort of an object that found no slot (pieces.h).
 * Nothing moves. NO_MEMORY. */
snug_error chain_alloc_in_pieces(snug_heap *heap, size_t size, uint32_t owner, uint64_t *head);
void chain_free(snug_heap *heap, uint64_t head);

/* Frees fragments from the head on, until at least `bytes` of payload went; what is left is an object
 * of its own, with `*head` for its head. True: nothing is left. */
bool chain_free_some(snug_heap *heap, uint64_t *head, uint64_t bytes);

/* Changes the size, keeping the leading bytes and, where they stay, the leading whole pages; the
 * head may change. */
snug_error chain_resize(snug_heap *heap, uint64_t *head, size_t new_size);

/* Cuts the object off after `new_size` bytes without allocating anything. */
void chain_truncate(snug_heap *heap, uint64_t head, size_t new_size);

static inline uint64_t chain_next(const snug_heap *heap, uint64_t offset) {
	SNUG_ASSERT(offset != 0 && (offset & REF_CHAINED) == 0);
	return fragment_trailer_read(heap, fragment_trailer_at(heap, offset)).next;
}

static inline size_t chain_size(const snug_heap *heap, uint64_t head) {
	return fragment_trailer_read(heap, fragment_trailer_at(heap, head)).object_size;
}

/* Where the descriptor knows the size; else it is in the head's trailer. */
static inline bool chain_size_is_near(const snug_heap *heap, uint64_t head) {
	return class_of_page(heap, page_of(&heap->arena, head))->slots == 1;
}

/* The same as chain_size, by the descriptor where it is there. */
static inline size_t chain_size_near(const snug_heap *heap, uint64_t head) {
	if (!chain_size_is_near(heap, head)) return chain_size(heap, head);
	return heap->arena.pages[page_of(&heap->arena, head)].free_bits.object_bytes;
}

#endif
