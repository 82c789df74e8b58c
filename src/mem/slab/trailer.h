/* mem/slab/trailer.h: what stands behind an object in its slot.
 *
 *   handle mode, plain object:    | payload ...... | slack | handle index 4 | slack length 2 |
 *   fragment, reference mode:     | payload ...... | slack | links 12 |
 *   fragment, handle mode:        | payload ...... | slack | links 12 | handle index 4 |
 *   reference mode, plain object: nothing: the owner knows the size
 *
 * The trailer is at the end of the slot, so that the payload starts where the slot does, whatever
 * its alignment. It is read and written bytewise, as strides are any number; the compiler makes a
 * load of each memcpy.
 *
 *   links, 12 bytes    next 38 bits | length 16 | is the head 1 | previous, high 6 bits
 *                      in the head: the object's size 32; in the others: previous, low 32 bits
 *
 * Both directions are stored, so that a fragment that moves can tell its neighbours without a walk
 * (law F1). The head needs no previous one, so the object's size stands there.
 *
 * The object's size stands in the descriptor, too, where the head fills a page: who compares many
 * objects (cache/shard/shard_evict.c) finds it there without a miss for each.
 *
 * 16 bytes in both modes were tried first: objects of 1 to 2 KB, which are split more often than
 * not, then filled 0.4 % less of a heap. The handle's index stands in every fragment of handle
 * mode, so that all trailers of a heap are alike. */
#ifndef SNUG_MEM_TRAILER_H
#define SNUG_MEM_TRAILER_H

#include "mem/slab/slab.h"
#include "mem/types.h"

#include <string.h>

struct handle_trailer {
	uint32_t index;
	uint16_t slack_bytes;
};

static inline char *handle_trailer_at(const snug_heap *heap, const struct size_class *class,
									  uint64_t offset) {
	SNUG_ASSERT(heap->slot_trailer_bytes > 0 && class->family != FAMILY_FRAGMENT);
	return address_of(&heap->arena, offset) + class->stride - HANDLE_TRAILER_BYTES;
}

static inline struct handle_trailer handle_trailer_read(const char *at) {
	struct handle_trailer trailer;
	memcpy(&trailer.index, at, sizeof trailer.index);
	memcpy(&trailer.slack_bytes, at + sizeof trailer.index, sizeof trailer.slack_bytes);
	return trailer;
}

static inline void handle_trailer_write(char *at, struct handle_trailer trailer) {
	memcpy(at, &trailer.index, sizeof trailer.index);
	memcpy(at + sizeof trailer.index, &trailer.slack_bytes, sizeof trailer.slack_bytes);
}

struct fragment_trailer {
	uint64_t next;        /* 0: the last one */
	uint64_t previous;    /* 0 in the head */
	uint32_t owner;       /* in the head, in handle mode: the handle's index; else 0 */
	uint32_t length;      /* payload bytes in this fragment */
	uint32_t object_size; /* in the head; else 0 */
};

#define LENGTH_SHIFT OFFSET_BITS
#define HEAD_SHIFT (LENGTH_SHIFT + 16)
#define PREVIOUS_SHIFT (HEAD_SHIFT + 1)

static inline char *fragment_trailer_at(const snug_heap *heap, uint64_t offset) {
	const struct size_class *class = class_of_page(heap, page_of(&heap->arena, offset));
	return address_of(&heap->arena, offset) + class->stride - heap->classes.fragment_trailer_bytes;
}

static inline struct fragment_trailer fragment_trailer_read(const snug_heap *heap, const char *at) {
	uint64_t word;
	uint32_t half;
	struct fragment_trailer trailer = {0};
	memcpy(&word, at, sizeof word);
	memcpy(&half, at + sizeof word, sizeof half);
	trailer.next = word & OFFSET_MASK;
	trailer.length = (uint32_t)(word >> LENGTH_SHIFT & 0xFFFF);
	if (word >> HEAD_SHIFT & 1) {
		trailer.object_size = half;
		if (heap->slot_trailer_bytes > 0)
			memcpy(&trailer.owner, at + FRAGMENT_TRAILER_BYTES, sizeof trailer.owner);
	} else {
		trailer.previous = (word >> PREVIOUS_SHIFT & 0x3F) << 32 | half;
	}
	return trailer;
}

/* Of a head. */
static inline void fragment_note_size(const snug_heap *heap, page_number number,
									  uint32_t object_size) {
	struct page *page = &heap->arena.pages[number];
	if (class_of_page(heap, number)->slots == 1) page->free_bits.object_bytes = object_size;
}

static inline void fragment_trailer_write(const snug_heap *heap, char *at,
										  struct fragment_trailer trailer) {
	uint64_t head = trailer.object_size != 0;
	SNUG_ASSERT(!head || trailer.previous == 0);
	SNUG_ASSERT(trailer.length <= 0xFFFF && trailer.next <= OFFSET_MASK);
	uint64_t word = trailer.next | (uint64_t)trailer.length << LENGTH_SHIFT | head << HEAD_SHIFT |
					(trailer.previous >> 32) << PREVIOUS_SHIFT;
	uint32_t half = head ? trailer.object_size : (uint32_t)trailer.previous;
	memcpy(at, &word, sizeof word);
	memcpy(at + sizeof word, &half, sizeof half);
	if (heap->slot_trailer_bytes > 0)
		memcpy(at + FRAGMENT_TRAILER_BYTES, &trailer.owner, sizeof trailer.owner);
	if (!head) return;
	uint64_t offset = (uint64_t)(uintptr_t)at - heap->arena.bias;
	fragment_note_size(heap, page_of(&heap->arena, offset), trailer.object_size);
}

#endif
