/* mem/object/pieces.c: which hole is next.
 *
 * The largest holes first, so that there are few pieces; at the end the smallest that holds the
 * rest, so that little is wasted. A free page comes before all holes while the object fills it; one
 * that it does not fill is cut for the rest, if no hole holds that.
 *
 * The victim's holes are in nobody's count. It is put back first: its holes are as good as any. */
#include "mem/object/pieces.h"

#include "base/assert.h"
#include "mem/arena/arena.h"
#include "mem/slab/classes.h"
#include "mem/slab/fragment.h"
#include "mem/slab/host.h"
#include "mem/slab/magazine.h"
#include "mem/slab/slab.h"

/* Holes that a fragment can have, those in the magazine included. */
static uint64_t holes_of(const struct size_class *class) {
	return class->free_slots + class->magazine_count + class->host_empty;
}

bool pieces_have_room(snug_heap *heap, size_t bytes) {
	if (heap->victim != PAGE_NONE) victim_abandon(heap);
	SNUG_ASSERT(heap->victim == PAGE_NONE && heap->target == PAGE_NONE);
	uint64_t whole_bytes = heap->arena.page_bytes - heap->classes.fragment_trailer_bytes;
	uint64_t room_bytes = arena_available_pages(&heap->arena) * whole_bytes;
	for (uint32_t index = 0; index < heap->classes.active_count && room_bytes < bytes; index++) {
		const struct size_class *class = heap->classes.active[index];
		room_bytes += holes_of(class) * hole_capacity(heap, class);
	}
	return room_bytes >= bytes;
}

struct size_class *pieces_class(const snug_heap *heap, size_t bytes, bool lent) {
	struct size_class *best = NULL;
	for (uint32_t index = 0; index < heap->classes.active_count; index++) {
		struct size_class *class = heap->classes.active[index];
		uint32_t capacity = hole_capacity(heap, class);
		if (capacity == 0 || holes_of(class) == 0) continue;
		if (lent && class->family == FAMILY_FRAGMENT) continue;
		if (best == NULL) {
			best = class;
			continue;
		}
		uint32_t best_capacity = hole_capacity(heap, best);
		bool fits = capacity >= bytes;
		bool best_fits = best_capacity >= bytes;
		bool better = fits != best_fits ? fits
					  : fits            ? capacity < best_capacity
										: capacity > best_capacity;
		/* A fragment's own hole before one that has to be lent. */
		bool own = class->family == FAMILY_FRAGMENT && best->family != FAMILY_FRAGMENT;
		if (better || (capacity == best_capacity && own)) best = class;
	}
	return best;
}

static bool take_in(snug_heap *heap, struct size_class *class, size_t left_bytes,
					struct piece *out) {
	struct piece piece = {.class = class};
	piece.bytes = (uint32_t)smaller(left_bytes, hole_capacity(heap, class));
	SNUG_ASSERT(piece.bytes > 0 && holes_of(class) > 0);
	if (class->family != FAMILY_FRAGMENT) {
		if (!lent_hole(heap, class, &piece.offset)) return false;
		heap->payload_bytes[class->pool] += piece.bytes;
	} else {
		if (!fragment_hole(heap, class, &piece.offset)) return false;
		uint16_t id = class_find(&heap->classes, FAMILY_FRAGMENT,
								 piece.bytes + heap->classes.fragment_trailer_bytes);
		slot_hand_out(heap, class, id, piece.bytes, piece.offset);
	}
	SNUG_ASSERT(class_of_page(heap, page_of(&heap->arena, piece.offset)) == class);
	*out = piece;
	return true;
}

/* The class that serves fragments of so many bytes, of a whole page at most, with a hole: a new slab
 * if it has none. NULL: no page. */
static struct size_class *class_with_room(snug_heap *heap, size_t bytes) {
	size_t slot_bytes =
		smaller(bytes + heap->classes.fragment_trailer_bytes, heap->arena.page_bytes);
	struct size_class *class;
	page_number page;
	uint16_t id = class_find(&heap->classes, FAMILY_FRAGMENT, slot_bytes);
	SNUG_ASSERT(id != CLASS_NONE);
	if (class_serving(heap, id, &class) != SNUG_OK) return NULL;
	if (holes_of(class) > 0) return class;
	return slab_create(heap, class, &page) == SNUG_OK ? class : NULL;
}

bool piece_take(snug_heap *heap, size_t left_bytes, struct piece *out) {
	SNUG_ASSERT(left_bytes > 0 && heap->victim == PAGE_NONE);
	size_t whole_bytes = heap->arena.page_bytes - heap->classes.fragment_trailer_bytes;
	struct size_class *class = left_bytes >= whole_bytes ? class_with_room(heap, left_bytes) : NULL;
	if (class == NULL) class = pieces_class(heap, left_bytes, false);
	if (class == NULL || hole_capacity(heap, class) < left_bytes) {
		struct size_class *fresh = class_with_room(heap, left_bytes);
		if (fresh != NULL) class = fresh;
	}
	return class != NULL && take_in(heap, class, left_bytes, out);
}
