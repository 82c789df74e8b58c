/* mem/object/pieces.c: which hole is next.
 *
 * The largest holes first, so that there are few pieces; at the end the smallest that holds the
 * rest, so that little is wasted. If it would waste more than an eighth, and two holes less, it is
 * those. A free page comes before all holes while the object fills it; one that it does not fill is
 * cut for the rest, if no hole holds that.
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

#define SPARE_BYTES 32u /* what a hole may be larger than the rest of an object, or an eighth */
#define SPARE_PARTS 8u

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
		const struct size_class *class = class_active(&heap->classes, index);
		room_bytes += holes_of(class) * hole_capacity(heap, class);
	}
	return room_bytes >= bytes;
}

/* A hole that is so much larger than the rest is better left for what fills it. */
static bool is_wasteful(uint32_t capacity, size_t bytes) {
	SNUG_ASSERT(capacity >= bytes);
	size_t waste_bytes = capacity - bytes;
	return waste_bytes > SPARE_BYTES && waste_bytes > bytes / SPARE_PARTS;
}

static bool has_hole(const snug_heap *heap, const struct size_class *class, bool lent) {
	return holes_of(class) > 0 && hole_capacity(heap, class) > 0 &&
		   !(lent && class->family == FAMILY_FRAGMENT);
}

/* The smallest hole that holds `bytes`; NULL: there is none. A fragment's own before one that has to
 * be lent. */
static struct size_class *smallest_that_holds(const snug_heap *heap, size_t bytes, bool lent) {
	struct size_class *best = NULL;
	SNUG_ASSERT(bytes > 0);
	for (uint32_t index = 0; index < heap->classes.active_count; index++) {
		struct size_class *class = class_active(&heap->classes, index);
		uint32_t capacity = hole_capacity(heap, class);
		if (capacity < bytes || !has_hole(heap, class, lent)) continue;
		bool is_own = class->family == FAMILY_FRAGMENT;
		uint32_t best_capacity = best == NULL ? UINT32_MAX : hole_capacity(heap, best);
		if (capacity < best_capacity || (capacity == best_capacity && is_own)) best = class;
	}
	return best;
}

static struct size_class *largest_of(const snug_heap *heap, bool lent) {
	struct size_class *best = NULL;
	for (uint32_t index = 0; index < heap->classes.active_count; index++) {
		struct size_class *class = class_active(&heap->classes, index);
		if (!has_hole(heap, class, lent)) continue;
		uint32_t capacity = hole_capacity(heap, class);
		uint32_t best_capacity = best == NULL ? 0 : hole_capacity(heap, best);
		bool is_own = class->family == FAMILY_FRAGMENT;
		if (capacity > best_capacity || (capacity == best_capacity && is_own)) best = class;
	}
	return best;
}

/* The classes with holes of all families, in order of their slots: from the smallest up and from the
 * largest down. */
struct order {
	const snug_heap *heap;
	uint16_t up[FAMILY_COUNT];   /* the next one of the family */
	uint16_t down[FAMILY_COUNT]; /* the next one is before it */
};

static struct order order_of(const snug_heap *heap) {
	const uint16_t *first = heap->classes.first;
	return (struct order){
		.heap = heap, .up = {first[0], first[1], first[2]}, .down = {first[1], first[2], first[3]}};
}

static struct size_class *with_hole(const snug_heap *heap, uint16_t id) {
	struct size_class *class = heap->classes.state[id];
	SNUG_ASSERT(id < heap->classes.first[FAMILY_COUNT]);
	return class != NULL && has_hole(heap, class, false) ? class : NULL;
}

/* NULL: there are no more. */
static struct size_class *order_up(struct order *order) {
	const uint16_t *first = order->heap->classes.first;
	struct size_class *best = NULL;
	for (uint32_t family = 0; family < FAMILY_COUNT; family++) {
		uint16_t *at = &order->up[family];
		while (*at < first[family + 1] && with_hole(order->heap, *at) == NULL) (*at)++;
		if (*at == first[family + 1]) continue;
		struct size_class *class = with_hole(order->heap, *at);
		SNUG_ASSERT(class->family == family);
		if (best == NULL || class->stride <= best->stride) best = class;
	}
	if (best != NULL) order->up[best->family]++;
	return best;
}

static struct size_class *order_down(struct order *order) {
	const uint16_t *first = order->heap->classes.first;
	struct size_class *best = NULL;
	for (uint32_t family = 0; family < FAMILY_COUNT; family++) {
		uint16_t *at = &order->down[family];
		while (*at > first[family] && with_hole(order->heap, (uint16_t)(*at - 1)) == NULL) (*at)--;
		if (*at == first[family]) continue;
		struct size_class *class = with_hole(order->heap, (uint16_t)(*at - 1));
		SNUG_ASSERT(class->family == family);
		if (best == NULL || class->stride >= best->stride) best = class;
	}
	if (best != NULL) order->down[best->family]--;
	return best;
}

/* The hole to fill before the smallest one that holds the rest: so that both together waste less, a
 * trailer counted, than `whole` does alone; `whole` if there is none.
 *
 * Of all pairs the one that wastes least is found in one pass: if the smallest and the largest hold
 * too little together, nothing holds enough with the smallest; if enough, nothing larger than the
 * smallest is better with the largest. */
static struct size_class *first_of_two(const snug_heap *heap, size_t bytes,
									   struct size_class *whole) {
	struct order order = order_of(heap);
	struct size_class *best = whole;
	SNUG_ASSERT(bytes > 0 && hole_capacity(heap, whole) >= bytes);
	size_t least_bytes = hole_capacity(heap, whole) - bytes;
	struct size_class *low = order_up(&order), *high = order_down(&order);
	while (high != NULL && hole_capacity(heap, high) >= bytes) high = order_down(&order);
	while (low != NULL && high != NULL && low->stride <= high->stride) {
		size_t both_bytes = (size_t)hole_capacity(heap, low) + hole_capacity(heap, high);
		if (both_bytes < bytes) {
			low = order_up(&order);
			continue;
		}
		size_t waste_bytes = heap->classes.fragment_trailer_bytes + both_bytes - bytes;
		if (waste_bytes < least_bytes && (low != high || holes_of(low) > 1)) {
			least_bytes = waste_bytes;
			best = high;
		}
		high = order_down(&order);
	}
	SNUG_ASSERT(best == whole || hole_capacity(heap, best) < bytes);
	return best;
}

struct size_class *pieces_class(const snug_heap *heap, size_t bytes, bool lent) {
	struct size_class *whole = smallest_that_holds(heap, bytes, lent);
	if (whole == NULL) return largest_of(heap, lent);
	if (lent || !is_wasteful(hole_capacity(heap, whole), bytes)) return whole;
	return first_of_two(heap, bytes, whole);
}

static bool take_in(snug_heap *heap, struct size_class *class, size_t left_bytes,
					struct piece *out) {
	struct piece piece = {.class = class};
	piece.bytes = (uint32_t)smaller(left_bytes, hole_capacity(heap, class));
	SNUG_ASSERT(piece.bytes > 0 && holes_of(class) > 0);
	if (class->family != FAMILY_FRAGMENT) {
		if (!lent_hole(heap, class, &piece.offset)) return false;
		class->payload_bytes += piece.bytes;
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

/* The fragments' class for the next of so many bytes: the one that holds them; or, where that wastes
 * much, the largest that they fill. */
static uint16_t class_for(const snug_heap *heap, size_t bytes) {
	const struct class_table *table = &heap->classes;
	uint32_t trailer_bytes = table->fragment_trailer_bytes;
	size_t slot_bytes = smaller(bytes + trailer_bytes, heap->arena.page_bytes);
	uint16_t id = class_find(table, FAMILY_FRAGMENT, slot_bytes);
	SNUG_ASSERT(id != CLASS_NONE);
	if (table->entry[id].stride - slot_bytes == 0 ||
		!is_wasteful(table->entry[id].stride - trailer_bytes, slot_bytes - trailer_bytes))
		return id;
	uint16_t filled = class_find_below(table, FAMILY_FRAGMENT, slot_bytes);
	bool holds_some = filled != CLASS_NONE && table->entry[filled].stride > trailer_bytes;
	return holds_some ? filled : id;
}

/* The same, with a hole: a new slab if it has none. NULL: no page. */
static struct size_class *class_with_room(snug_heap *heap, size_t bytes) {
	struct size_class *class;
	page_number page;
	if (class_serving(heap, class_for(heap, bytes), &class) != SNUG_OK) return NULL;
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
