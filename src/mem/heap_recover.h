/* mem/heap_recover.h: a heap made anew around the objects that a killed process has left.
 *
 * The owner's table says what there was: each reference is looked at, certified by its owner, and
 * taken. Of the old heap only the descriptors of pages are read, for the sizes of the slots; they
 * are written before anything lies in a slot, and stay while something does. All else is counted
 * again: bitmaps, lists, classes, regions, the account.
 *
 *     left     | heap, torn | descriptors ...|           read, each field bounded
 *     objects  | page | page | page | ...                kept where they are
 *     new      | heap | descriptors | regions | cells    holds what was taken, and nothing else
 *
 * Nothing that the next recovery would read is changed, but for links back from fragment to fragment,
 * which it sets as well: so whoever is killed in the midst of it begins again. Heaps by reference
 * alone: by handle, nobody tells which handles were given up. */
#ifndef SNUG_MEM_HEAP_RECOVER_H
#define SNUG_MEM_HEAP_RECOVER_H

#include "mem/types.h"
#include "os/memory_segment.h"

struct heap_recovery {
	snug_heap *heap;         /* the new one */
	const struct page *left; /* descriptors, as they were left */
	uint64_t left_count;
	/* what is a hole holds none: of the objects, and of the descriptors */
	struct memory_present objects;
	struct memory_present tables;
};

/* Between memory_segment_begin_recovery and the flip. Options that heap_could_attach has found to
 * fit. CORRUPT, OS_MEMORY. */
snug_error heap_recover_begin(const snug_heap_options *options, struct memory_segment *segment,
							  struct heap_recovery *out);

/* Asks for what heap_recover_look tells of. */
void heap_recover_prefetch(const struct heap_recovery *recovery, snug_ref ref);

/* A slot, by what the old descriptor of its page says. */
struct left_slot {
	page_number page;
	uint16_t class_id;
	uint16_t slot;
	uint32_t stride;
};

/* Where the object begins, its slot, and how many bytes may be read there; NULL: the reference can't
 * be one. */
const void *heap_recover_look(const struct heap_recovery *recovery, snug_ref ref,
							  struct left_slot *slot, size_t *bytes);

/* The object of so many bytes, in the slot that heap_recover_look has told, is the new heap's. CORRUPT:
 * it is not whole, or shares a slot with another one; nothing was taken. NO_MEMORY, OS_MEMORY: the
 * recovery ends. */
snug_error heap_recover_take(struct heap_recovery *recovery, snug_ref ref,
							 const struct left_slot *slot, size_t bytes);

/* All has been taken. The heap is as one that was left in order. */
void heap_recover_end(struct heap_recovery *recovery);

/* In any case, when it has begun: what it needed beside the heaps. */
void heap_recover_deinit(struct heap_recovery *recovery);

#endif
