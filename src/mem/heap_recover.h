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
 * THE SHORT WAY. Most objects are whole in one slot. Each page is looked at once; after that an object
 * is a multiplication, a bit and a counter. Which slots are used is counted from the bits at the end.
 *
 * Nothing that the next recovery would read is changed, but for links back from fragment to fragment,
 * which it sets as well: so whoever is killed in the midst of it begins again. Heaps by reference
 * alone: by handle, nobody tells which handles were given up. */
#ifndef SNUG_MEM_HEAP_RECOVER_H
#define SNUG_MEM_HEAP_RECOVER_H

#include "base/assert.h"
#include "mem/slab/classes.h"
#include "mem/types.h"
#include "os/memory_segment.h"

/* A page of objects that the new heap has, all of which can be read: what the short way needs of it. */
struct recovered_page {
	uint64_t *free_bits;
	struct size_class *class;
	uint32_t stride; /* 0: it was not looked at yet */
	uint32_t slots;  /* 0: the short way does not lead there */
	uint32_t reciprocal;
};

struct heap_recovery {
	snug_heap *heap;         /* the new one */
	const struct page *left; /* descriptors, as they were left */
	uint64_t left_count;
	struct recovered_page *pages; /* by number, as many as descriptors */
	/* what is a hole holds none: of the objects, and of the descriptors */
	struct memory_present objects;
	struct memory_present tables;
};

/* Between memory_segment_begin_recovery and the flip. Options that heap_could_attach has found to
 * fit. CORRUPT, OS_MEMORY. */
snug_error heap_recover_begin(const snug_heap_options *options, struct memory_segment *segment,
							  struct heap_recovery *out);

/* ------------------------------------------------------------------ the short way ---------- */

/* Most heads and keys end within so many bytes. */
#define PROBABLE_HEAD_BYTES 48u

/* Asks for the head and the key of most: two lines, if they lie across the end of one. */
static inline void heap_recover_prefetch(const struct heap_recovery *recovery, snug_ref ref) {
	const char *object = address_of(&recovery->heap->arena, ref & OFFSET_MASK);
	__builtin_prefetch(object);
	__builtin_prefetch(object + PROBABLE_HEAD_BYTES - 1);
}

/* Looks at the page of a reference for the first time. */
void heap_recover_learn(struct heap_recovery *recovery, page_number number);

/* The page, where a slot of it begins that can hold an object by itself. NULL: see heap_recover_look. */
static inline const struct recovered_page *heap_recover_find(struct heap_recovery *recovery,
															 snug_ref ref, uint32_t *slot) {
	const struct arena *arena = &recovery->heap->arena;
	if (ref >> (OFFSET_BITS) != 0 || page_of(arena, ref) >= recovery->left_count) return NULL;
	const struct recovered_page *page = &recovery->pages[page_of(arena, ref)];
	if (UNLIKELY(page->stride == 0)) heap_recover_learn(recovery, page_of(arena, ref));
	uint32_t inside = (uint32_t)(ref & (arena->page_bytes - 1));
	*slot = (uint32_t)(((uint64_t)inside * page->reciprocal) >> 32);
	return *slot < page->slots && *slot * page->stride == inside ? page : NULL;
}

static inline bool heap_recover_is_free(const struct recovered_page *page, uint32_t slot) {
	return (page->free_bits[slot / 64] >> (slot % 64) & 1) != 0;
}

/* The object of so many bytes in a free slot is the new heap's. */
static inline void heap_recover_take_slot(struct heap_recovery *recovery,
										  const struct recovered_page *page, uint32_t slot,
										  uint32_t bytes) {
	snug_heap *heap = recovery->heap;
	SNUG_ASSERT(heap_recover_is_free(page, slot) && bytes > 0 && bytes <= page->stride);
	page->free_bits[slot / 64] &= ~((uint64_t)1 << (slot % 64));
	uint16_t id = class_find(&heap->classes, FAMILY_BYTES, bytes);
	class_count_in(heap, page->class, id, bytes);
	page->class->loose |= id != page->class->id;
}

/* And is not any more. */
void heap_recover_untake(struct heap_recovery *recovery, snug_ref ref, uint32_t bytes);

/* ------------------------------------------------------------------ any object ------------- */

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
