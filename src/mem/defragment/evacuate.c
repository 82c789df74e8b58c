/* mem/defragment/evacuate.c: a batch: collect, learn sizes, reserve, move.
 *
 *   collect   up to 32 live slots of the victim, from its bitmap
 *   learn     what each payload's size is, and so which class it belongs to: only if the class has
 *             loose objects, or for a merge. From the trailer, or from the owner's size_of
 *   reserve   a hole for each: first in a tighter class, for what lies loose; then in the class's
 *             own slabs; in a merge at last in larger classes. With a target: the same slot there
 *   move      copy, trailer, who is told; the old slot's bit; poison
 *
 * All holes are reserved before the first copy, so that a batch goes as far as it can and no object
 * is left half-way. What found no hole is what ends the victim: it is abandoned.
 *
 * WHO IS TOLD. By handle: the entry that the trailer names. By reference: the owner's moved(). A
 * fragment: both neighbours, and if it is the head, the owner. heap->watched, if it is this object:
 * that is a resize which is on its way. The gate is shut while owners are called (mem/gate.h).
 *
 * TIGHTER CLASSES. An object that lay loose since before its class was active goes home when it
 * moves anyway. But a hole there is taken only if that costs the tighter class no page that it
 * could gain; and in a defragmentation only if the old class does not gain a page more by it: what
 * was estimated is what is reclaimed.
 *
 * COST. 228 instructions for 100 bytes, of which memcpy alone takes 33, and 1,840 for 4 KiB, the
 * owner's update of its table included (docs/instruction-counts.md). In time 1.0 to 1.6 times a
 * memcpy from random place to random place: moving is two cache misses, and one for the owner's
 * table. */
#include "mem/defragment/evacuate.h"

#include "base/assert.h"
#include "mem/arena/poison.h"
#include "mem/defragment/choose.h"
#include "mem/defragment/copy.h"
#include "mem/defragment/relink.h"
#include "mem/gate.h"
#include "mem/slab/classes.h"
#include "mem/slab/handles.h"
#include "mem/slab/slab.h"
#include "mem/slab/trailer.h"

#define BATCH_SLOTS 32u

struct move {
	uint64_t from;
	uint64_t to;
	struct size_class *target; /* class of `to` */
	uint32_t payload_bytes;    /* 0: unknown */
	uint16_t id;               /* the class that the payload belongs to; CLASS_NONE: unknown */
};

/* ------------------------------------------------------------------ collecting ----- */

static uint32_t collect(const snug_heap *heap, const struct size_class *class, uint64_t byte_budget,
						struct move *moves) {
	struct page *page = &heap->arena.pages[heap->victim];
	const uint64_t *bits = free_bits_of(page, class);
	uint64_t base = page_offset(&heap->arena, heap->victim);
	uint64_t most = divide_up(byte_budget, class->stride);
	if (most > BATCH_SLOTS) most = BATCH_SLOTS;
	uint32_t count = 0;
	SNUG_ASSERT(most > 0);
	for (uint32_t word = 0; word * 64 < class->slots && count < most; word++) {
		uint64_t live = ~bits[word];
		uint32_t left = class->slots - word * 64;
		if (left < 64) live &= ((uint64_t)1 << left) - 1;
		for (; live != 0 && count < most; live &= live - 1) {
			moves[count++] = (struct move){
				.from = base + (uint64_t)(word * 64 + bit_lowest(live)) * class->stride,
				.id = CLASS_NONE,
			};
		}
	}
	return count;
}

/* Fills in the payload's size and own class, where they can be known. */
static void learn_size(const snug_heap *heap, const struct size_class *class, struct move *move) {
	uint32_t trailer_bytes = heap->slot_trailer_bytes;
	if (class->family == FAMILY_FRAGMENT) {
		move->payload_bytes =
			fragment_trailer_read(heap, fragment_trailer_at(heap, move->from)).length;
		trailer_bytes = heap->classes.fragment_trailer_bytes;
	} else if (trailer_bytes > 0) {
		struct handle_trailer trailer =
			handle_trailer_read(handle_trailer_at(heap, class, move->from));
		move->payload_bytes = class->stride - trailer_bytes - trailer.slack_bytes;
	} else if (heap->options.owner.size_of != NULL) {
		const snug_owner *owner = &heap->options.owner;
		move->payload_bytes =
			(uint32_t)owner->size_of(owner->context, address_of(&heap->arena, move->from));
	} else {
		return;
	}
	move->id = class_find(&heap->classes, (enum family) class->family,
						  move->payload_bytes + trailer_bytes);
	SNUG_ASSERT(move->id <= class->id);
}

/* ------------------------------------------------------------------ reserving ------ */

/* `leaving`: how many do already. */
static bool reserve_tighter(snug_heap *heap, const struct size_class *class, struct move *move,
							uint32_t leaving) {
	if (move->id == CLASS_NONE || move->id == class->id) return false;
	struct size_class *tighter = heap->classes.entry[move->id].serving;
	if (tighter == class || tighter->stride >= class->stride) return false;
	if (tighter->free_slots == 0 || class_holes(tighter) % tighter->slots == 0) return false;
	bool exact = heap->defragment.phase != PHASE_IDLE;
	if (exact && class_holes(class) % class->slots + leaving + 1 >= class->slots) return false;
	uint32_t taken = slab_take_pinned(heap, tighter, 1, &move->to);
	if (taken == 0) taken = slab_take_fullest(heap, tighter, 1, &move->to);
	SNUG_ASSERT(taken == 1);
	(void)taken;
	move->target = tighter;
	return true;
}

static uint32_t reserve_in(snug_heap *heap, struct size_class *target, struct move *moves,
						   uint32_t count) {
	uint64_t offsets[BATCH_SLOTS];
	uint32_t reserved = 0;
	while (reserved < count) {
		uint32_t taken = slab_take_pinned(heap, target, count - reserved, offsets);
		if (taken == 0) taken = slab_take_fullest(heap, target, count - reserved, offsets);
		if (taken == 0) break;
		for (uint32_t index = 0; index < taken; index++) {
			moves[reserved].to = offsets[index];
			moves[reserved++].target = target;
		}
	}
	return reserved;
}

/* Slot n of the target for slot n of the victim: it is free, because nobody else uses the
 * target. */
static uint32_t reserve_in_target(snug_heap *heap, struct size_class *class, struct move *moves,
								  uint32_t count) {
	struct page *page = &heap->arena.pages[heap->target];
	uint64_t *bits = free_bits_of(page, class);
	uint64_t distance =
		page_offset(&heap->arena, heap->target) - page_offset(&heap->arena, heap->victim);
	for (uint32_t index = 0; index < count; index++) {
		uint32_t slot = slot_of(&heap->arena, class, moves[index].from);
		SNUG_ASSERT((bits[slot / 64] >> (slot % 64) & 1) != 0);
		bits[slot / 64] &= ~((uint64_t)1 << (slot % 64));
		moves[index].to = moves[index].from + distance;
		moves[index].target = class;
	}
	SNUG_ASSERT(page->state == PAGE_TARGET && page->free_slots >= count);
	page->free_slots = (uint16_t)(page->free_slots - count);
	class->used_slots += count;
	return count;
}

/* Puts the moves with a hole first; returns how many. */
static uint32_t reserve(snug_heap *heap, struct size_class *class, struct move *moves,
						uint32_t count, enum merge merge) {
	uint32_t reserved = 0;
	if (class->loose) {
		for (uint32_t index = 0; index < count; index++) {
			if (!reserve_tighter(heap, class, &moves[index], reserved)) continue;
			struct move swap = moves[reserved];
			moves[reserved++] = moves[index];
			if (reserved - 1 != index) moves[index] = swap;
		}
	}
	reserved += reserve_in(heap, class, moves + reserved, count - reserved);
	uint16_t id = class->id;
	struct size_class *into;
	while (merge != MERGE_NONE && reserved < count &&
		   (into = merge_class(heap, class, &id, merge)) != NULL) {
		reserved += reserve_in(heap, into, moves + reserved, count - reserved);
	}
	return reserved;
}

/* ------------------------------------------------------------------ moving --------- */

static uint32_t move_fragment(snug_heap *heap, const struct size_class *class,
							  const struct move *move) {
	char *from = address_of(&heap->arena, move->from);
	char *to = address_of(&heap->arena, move->to);
	struct fragment_trailer trailer =
		fragment_trailer_read(heap, from + class->stride - heap->classes.fragment_trailer_bytes);
	SNUG_ASSERT(trailer.length + heap->classes.fragment_trailer_bytes <= move->target->stride);
	SNUG_ASSERT((trailer.previous == 0) == (trailer.object_size != 0));
	copy_slot(to, from, trailer.length);
	heap->bookmark.head = 0;
	fragment_trailer_write(heap, to + move->target->stride - heap->classes.fragment_trailer_bytes,
						   trailer);
	fragment_relink(heap, trailer, move->from, move->from, move->to);
	return trailer.length + heap->classes.fragment_trailer_bytes;
}

static uint32_t move_handled(snug_heap *heap, const struct size_class *class,
							 const struct move *move) {
	struct handle_trailer trailer = handle_trailer_read(handle_trailer_at(heap, class, move->from));
	uint32_t bytes = class->stride - HANDLE_TRAILER_BYTES - trailer.slack_bytes;
	SNUG_ASSERT(bytes > 0 && bytes + HANDLE_TRAILER_BYTES <= move->target->stride);
	copy_slot(address_of(&heap->arena, move->to), address_of(&heap->arena, move->from), bytes);
	trailer.slack_bytes = (uint16_t)(move->target->stride - HANDLE_TRAILER_BYTES - bytes);
	handle_trailer_write(handle_trailer_at(heap, move->target, move->to), trailer);
	handle_moved(&heap->handles, trailer.index, move->from, move->to);
	return bytes + HANDLE_TRAILER_BYTES;
}

static uint32_t move_referenced(snug_heap *heap, const struct size_class *class,
								const struct move *move) {
	const snug_owner *owner = &heap->options.owner;
	char *from = address_of(&heap->arena, move->from);
	uint32_t bytes = move->payload_bytes;
	if (bytes == 0) {
		bytes = class->stride < move->target->stride ? class->stride : move->target->stride;
		if (owner->size_of != NULL) bytes = (uint32_t)owner->size_of(owner->context, from);
	}
	SNUG_ASSERT(bytes > 0 && bytes <= move->target->stride);
	copy_slot(address_of(&heap->arena, move->to), from, bytes);
	owner->moved(owner->context, move->from, move->to, bytes);
	return bytes;
}

/* Carries the accounts over when the copy lies in another class. */
static void change_class(snug_heap *heap, struct size_class *class, const struct move *move) {
	struct size_class *target = move->target;
	SNUG_ASSERT(target->family == class->family);
	SNUG_ASSERT(move->id != CLASS_NONE || target->pool == class->pool);
	if (move->id == CLASS_NONE) return;
	class_count_out(heap, class, move->id, move->payload_bytes);
	class_count_in(heap, target, move->id, move->payload_bytes);
	target->loose |= target->stride > heap->classes.entry[move->id].stride;
}

static uint32_t move_slot(snug_heap *heap, struct size_class *class, const struct move *move) {
	struct page *page = &heap->arena.pages[page_of(&heap->arena, move->from)];
	SNUG_ASSERT(page->state == PAGE_VICTIM && page->pins == 0 && move->from != move->to);
	SNUG_ASSERT(!slab_slot_is_free(heap, class, move->from));
	SNUG_ASSERT(!slab_slot_is_free(heap, move->target, move->to)); /* reserved */
	if (UNLIKELY(move->from == heap->watched)) heap->watched = move->to;
	unpoison_slot(address_of(&heap->arena, move->to), move->target->stride);
	uint32_t bytes = class->family == FAMILY_FRAGMENT ? move_fragment(heap, class, move)
					 : heap->slot_trailer_bytes > 0   ? move_handled(heap, class, move)
													  : move_referenced(heap, class, move);
	if (UNLIKELY(move->target != class)) change_class(heap, class, move);
	uint32_t slot = slot_of(&heap->arena, class, move->from);
	uint64_t *bits = free_bits_of(page, class);
	SNUG_ASSERT((bits[slot / 64] >> (slot % 64) & 1) == 0);
	bits[slot / 64] |= (uint64_t)1 << (slot % 64);
	page->free_slots++;
	class->used_slots--;
	SNUG_ASSERT(slab_slot_is_free(heap, class, move->from) && page->free_slots <= class->slots);
	poison_slot(address_of(&heap->arena, move->from), class->stride);
	return bytes;
}

uint64_t victim_evacuate(snug_heap *heap, uint64_t byte_budget, enum merge merge) {
	struct move moves[BATCH_SLOTS];
	struct size_class *class = class_of_page(heap, heap->victim);
	struct page *page = &heap->arena.pages[heap->victim];
	SNUG_ASSERT(page->state == PAGE_VICTIM && page->free_slots < class->slots);
	uint32_t collected = collect(heap, class, byte_budget, moves);
	struct gate gate = gate_shut(heap);
	bool relocates = heap->target != PAGE_NONE;
	if (!relocates && (class->loose || merge != MERGE_NONE)) {
		for (uint32_t index = 0; index < collected; index++) learn_size(heap, class, &moves[index]);
	}
	uint32_t reserved = relocates ? reserve_in_target(heap, class, moves, collected)
								  : reserve(heap, class, moves, collected, merge);
	uint64_t bytes = 0;
	SNUG_ASSERT(reserved <= collected);
	for (uint32_t index = 0; index < reserved; index++)
		bytes += move_slot(heap, class, &moves[index]);
	gate_open(heap, gate);
	heap->totals.moves += reserved;
	heap->totals.moved_bytes += bytes;
	heap->totals.relocated_moves += relocates ? reserved : 0;
	heap->totals.relocated_bytes += relocates ? bytes : 0;
	if (page->free_slots == class->slots) {
		victim_release(heap);
	} else if (reserved < collected) {
		victim_abandon(heap);
	}
	return bytes;
}
