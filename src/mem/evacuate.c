/* mem/evacuate.c: see mem/evacuate.h. */
#include "mem/evacuate.h"

#include "base/assert.h"
#include "mem/classes.h"
#include "mem/copy.h"
#include "mem/handles.h"
#include "mem/poison.h"
#include "mem/slots.h"
#include "mem/trailer.h"
#include "mem/victim.h"

#define BATCH_SLOTS 32u
#define SLABS_EXAMINED 32u
#define MERGE_PARTS 8u       /* a class's objects may go to classes up to 1/8 larger */
#define MERGE_WASTE_PARTS 4u /* if that wastes less than a quarter of the page gained; */
#define MERGE_LIST_MAX 8u    /* only slabs at most half full are looked at */

struct move {
	uint64_t from;
	uint64_t to;
	struct size_class *target; /* class of `to` */
	uint32_t payload_bytes;    /* 0: unknown */
	uint16_t id;               /* the class that the payload belongs to; CLASS_NONE: unknown */
};

/* ------------------------------------------------------------------ what there is to gain --- */

static uint64_t holes_of(const struct size_class *class) {
	return (uint64_t) class->slabs * class->slots - class_live_slots(class);
}

uint64_t class_reclaimable_unpinned(const struct size_class *class) {
	return victim_count(class->slots, class->slabs, class_live_slots(class), 0);
}

uint64_t class_reclaimable(const snug_heap *heap, const struct size_class *class) {
	if (LIKELY(class->pinned_slabs == 0)) return class_reclaimable_unpinned(class);
	uint64_t cached = 0;
	for (uint32_t index = 0; index < class->magazine_count; index++) {
		cached += heap->arena.pages[page_of(&heap->arena, class->magazine[index])].pins > 0;
	}
	uint64_t pinned_holes = class->pinned_free_slots + cached;
	uint64_t pinned_live = (uint64_t) class->pinned_slabs * class->slots - pinned_holes;
	return victim_count(class->slots, class->slabs - class->pinned_slabs, class_live_slots(class) - pinned_live,
						pinned_holes);
}

/* ------------------------------------------------------------------ picking -------- */

static struct class_candidate candidate_of(const struct size_class *class) {
	uint32_t lists = class->list_mask & ((1u << LIST_PINNED_PARTIAL) - 1);
	return (struct class_candidate){
		.slots = class->slots,
		.emptiest = lists != 0 ? bit_lowest(lists) : LIST_FULL,
		.holes = holes_of(class),
		.unpinned_slabs = class->slabs - class->pinned_slabs,
	};
}

/* The emptiest of the first few slabs in the emptiest list. PAGE_NONE: all are pinned. */
static page_number emptiest_slab(const snug_heap *heap, const struct size_class *class) {
	uint32_t lists = class->list_mask & ((1u << LIST_PINNED_PARTIAL) - 1);
	if (lists == 0) return PAGE_NONE;
	page_number numbers[SLABS_EXAMINED];
	uint32_t live[SLABS_EXAMINED];
	/* Where a list is one slot wide, its slabs are equally full. */
	uint32_t most = class->slots <= FULLNESS_BUCKETS ? 1 : SLABS_EXAMINED;
	uint32_t count = 0;
	for (page_number number = class->lists[bit_lowest(lists)]; number != PAGE_NONE && count < most;
		 number = heap->arena.pages[number].next) {
		numbers[count] = number;
		live[count++] = class->slots - heap->arena.pages[number].free_slots;
	}
	return numbers[victim_choose_slab(live, count)];
}

static void make_victim(snug_heap *heap, struct size_class *class, page_number number) {
	struct page *page = &heap->arena.pages[number];
	SNUG_ASSERT(heap->victim == PAGE_NONE && page->pins == 0);
	slab_unlist(heap, class, number);
	page->state = PAGE_VICTIM;
	class->free_slots -= page->free_slots;
	heap->victim = number;
	if (page->free_slots == class->slots) victim_release(heap);
}

bool victim_pick(snug_heap *heap, uint32_t pool_mask) {
	struct class_candidate best = {.slots = 0};
	struct size_class *best_class = NULL;
	for (uint32_t index = 0; index < heap->classes.active_count; index++) {
		struct size_class *class = heap->classes.active[index];
		if ((pool_mask >> class->pool & 1) == 0) continue;
		struct class_candidate candidate = candidate_of(class);
		if (candidate.holes < candidate.slots) continue;
		if (best_class != NULL && !victim_class_is_better(&candidate, &best)) continue;
		if (candidate.unpinned_slabs == 0) continue;
		best = candidate;
		best_class = class;
	}
	if (best_class == NULL) return false;
	magazine_flush(heap, best_class);
	/* Flushing may have emptied slabs: pages gained without a victim. */
	if (best_class->free_slots >= best_class->slots) {
		page_number number = emptiest_slab(heap, best_class);
		/* It may also have given up the last slab without pins. */
		if (number != PAGE_NONE) make_victim(heap, best_class, number);
	}
	return true;
}

/* ------------------------------------------------------------------ merging classes --- */

/* In reference mode without size_of a slot's payload is unknown and can't be carried from one pool's account to another's. */
static bool sizes_are_known(const snug_heap *heap, const struct size_class *class) {
	return class->family == FAMILY_FRAGMENT || heap->slot_trailer_bytes > 0 || heap->options.owner.size_of != NULL;
}

/* The next larger class that objects of `class` may be merged into, after `id`; NULL at the end. */
static struct size_class *next_host(const snug_heap *heap, const struct size_class *class, uint16_t *id) {
	const struct class_table *table = &heap->classes;
	uint16_t end = table->first[class->family + 1];
	while (++*id < end && table->entry[*id].stride <= class->stride + class->stride / MERGE_PARTS) {
		struct size_class *host = table->state[*id];
		if (host == NULL || host->free_slots == 0) continue;
		if (host->pool == class->pool || sizes_are_known(heap, class)) return host;
	}
	return NULL;
}

/* Bytes that `count` objects of the class would waste in the holes of larger classes; UINT64_MAX if those are too few. */
static uint64_t merge_waste(const snug_heap *heap, const struct size_class *class, uint64_t count) {
	uint16_t id = class->id;
	uint64_t waste_bytes = 0;
	while (count > 0) {
		const struct size_class *host = next_host(heap, class, &id);
		if (host == NULL) return UINT64_MAX;
		uint64_t here = host->free_slots < count ? host->free_slots : count;
		waste_bytes += here * (host->stride - class->stride);
		count -= here;
	}
	return waste_bytes;
}

bool victim_pick_merge(snug_heap *heap, uint32_t pool_mask) {
	struct size_class *best_class = NULL;
	page_number best_number = PAGE_NONE;
	uint64_t best_bytes = heap->arena.page_bytes / MERGE_WASTE_PARTS;
	for (uint32_t index = 0; index < heap->classes.active_count; index++) {
		struct size_class *class = heap->classes.active[index];
		if ((pool_mask >> class->pool & 1) == 0 || (class->list_mask & ((2u << MERGE_LIST_MAX) - 1)) == 0) continue;
		page_number number = emptiest_slab(heap, class);
		const struct page *page = &heap->arena.pages[number];
		uint64_t live = class->slots - page->free_slots;
		uint64_t own_holes = class->free_slots - page->free_slots;
		uint64_t waste_bytes = live <= own_holes ? 0 : merge_waste(heap, class, live - own_holes);
		if (waste_bytes >= best_bytes) continue;
		best_class = class;
		best_number = number;
		best_bytes = waste_bytes;
	}
	if (best_class == NULL) return false;
	magazine_flush(heap, best_class);
	if (heap->arena.pages[best_number].state == PAGE_SLAB) make_victim(heap, best_class, best_number);
	return true;
}

/* ------------------------------------------------------------------ ending --------- */

void victim_relocate(snug_heap *heap, struct size_class *class, page_number number, page_number target) {
	SNUG_ASSERT(heap->target == PAGE_NONE && heap->arena.pages[number].free_slots < class->slots);
	make_victim(heap, class, number);
	heap->target = target;
}

/* The target becomes a slab of its own, or a free page again if nothing lies in it. */
static void end_target(snug_heap *heap, struct size_class *class) {
	page_number number = heap->target;
	struct page *page = &heap->arena.pages[number];
	heap->target = PAGE_NONE;
	if (page->free_slots == class->slots) {
		slab_drop(heap, class, number);
		return;
	}
	page->state = PAGE_SLAB;
	class->slabs++;
	class->free_slots += page->free_slots;
	slab_relist(heap, class, number);
}

void victim_release(snug_heap *heap) {
	page_number number = heap->victim;
	heap->victim = PAGE_NONE;
	if (heap->target != PAGE_NONE) {
		struct size_class *class = class_of_page(heap, number);
		slab_release(heap, class, number);
		heap->totals.relocated_slabs++;
		end_target(heap, class);
		return;
	}
	/* Emptied by what the owner freed, or by an allocation's own compaction: the page is not the steps' gain. */
	if (heap->defragment.phase != PHASE_IDLE && !heap->defragment.in_step) heap->totals.abandoned_slabs++;
	slab_release(heap, class_of_page(heap, number), number);
}

void victim_put_back(snug_heap *heap) {
	page_number number = heap->victim;
	struct page *page = &heap->arena.pages[number];
	struct size_class *class = class_of_page(heap, number);
	heap->victim = PAGE_NONE;
	page->state = PAGE_SLAB;
	class->free_slots += page->free_slots;
	heap->changes++;
	slab_relist(heap, class, number);
	if (heap->target != PAGE_NONE) end_target(heap, class);
}

void victim_abandon(snug_heap *heap) {
	victim_put_back(heap);
	heap->totals.abandoned_slabs++;
}

/* ------------------------------------------------------------------ collecting ----- */

static uint32_t collect(const snug_heap *heap, const struct size_class *class, uint64_t byte_budget,
						struct move *moves) {
	struct page *page = &heap->arena.pages[heap->victim];
	const uint64_t *bits = free_bits_of(page, class);
	uint64_t base = page_offset(&heap->arena, heap->victim);
	uint64_t most = divide_up(byte_budget, class->stride);
	if (most > BATCH_SLOTS) most = BATCH_SLOTS;
	uint32_t count = 0;
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
		move->payload_bytes = fragment_trailer_read(heap, fragment_trailer_at(heap, move->from)).length;
		trailer_bytes = heap->classes.fragment_trailer_bytes;
	} else if (trailer_bytes > 0) {
		struct handle_trailer trailer = handle_trailer_read(handle_trailer_at(heap, class, move->from));
		move->payload_bytes = class->stride - trailer_bytes - trailer.slack_bytes;
	} else if (heap->options.owner.size_of != NULL) {
		const snug_owner *owner = &heap->options.owner;
		move->payload_bytes = (uint32_t)owner->size_of(owner->context, address_of(&heap->arena, move->from));
	} else {
		return;
	}
	move->id = class_find(&heap->classes, (enum family) class->family, move->payload_bytes + trailer_bytes);
	SNUG_ASSERT(move->id <= class->id);
}

/* ------------------------------------------------------------------ reserving ------ */

/* A tighter class takes an object back if that costs it no page that it could have gained. In a defragmentation also only if its
 * old class does not gain a page more by it: what was estimated is what is reclaimed. `leaving`: how many do already. */
static bool reserve_tighter(snug_heap *heap, const struct size_class *class, struct move *move, uint32_t leaving) {
	if (move->id == CLASS_NONE || move->id == class->id) return false;
	struct size_class *tighter = heap->classes.entry[move->id].serving;
	if (tighter == NULL || tighter == class || tighter->stride >= class->stride) return false;
	if (tighter->free_slots == 0 || holes_of(tighter) % tighter->slots == 0) return false;
	bool exact = heap->defragment.phase != PHASE_IDLE;
	if (exact && holes_of(class) % class->slots + leaving + 1 >= class->slots) return false;
	if (slab_take_pinned(heap, tighter, 1, &move->to) == 0) slab_take_fullest(heap, tighter, 1, &move->to);
	move->target = tighter;
	return true;
}

static uint32_t reserve_in(snug_heap *heap, struct size_class *target, struct move *moves, uint32_t count) {
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

/* Slot n of the target for slot n of the victim: it is free, because nobody else uses the target. */
static uint32_t reserve_in_target(snug_heap *heap, struct size_class *class, struct move *moves, uint32_t count) {
	struct page *page = &heap->arena.pages[heap->target];
	uint64_t *bits = free_bits_of(page, class);
	uint64_t distance = page_offset(&heap->arena, heap->target) - page_offset(&heap->arena, heap->victim);
	for (uint32_t index = 0; index < count; index++) {
		uint32_t slot = slot_of(&heap->arena, class, moves[index].from);
		SNUG_ASSERT((bits[slot / 64] >> (slot % 64) & 1) != 0);
		bits[slot / 64] &= ~((uint64_t)1 << (slot % 64));
		moves[index].to = moves[index].from + distance;
		moves[index].target = class;
	}
	page->free_slots = (uint16_t)(page->free_slots - count);
	class->used_slots += count;
	return count;
}

/* Puts the moves with a hole first; returns how many. */
static uint32_t reserve(snug_heap *heap, struct size_class *class, struct move *moves, uint32_t count, bool merge) {
	uint32_t reserved = 0;
	if (class->waste_bytes > 0) {
		for (uint32_t index = 0; index < count; index++) {
			if (!reserve_tighter(heap, class, &moves[index], reserved)) continue;
			struct move swap = moves[reserved];
			moves[reserved++] = moves[index];
			if (reserved - 1 != index) moves[index] = swap;
		}
	}
	reserved += reserve_in(heap, class, moves + reserved, count - reserved);
	uint16_t id = class->id;
	struct size_class *host;
	while (merge && reserved < count && (host = next_host(heap, class, &id)) != NULL) {
		reserved += reserve_in(heap, host, moves + reserved, count - reserved);
	}
	return reserved;
}

/* ------------------------------------------------------------------ moving --------- */

static uint32_t move_fragment(snug_heap *heap, const struct size_class *class, const struct move *move) {
	char *from = address_of(&heap->arena, move->from);
	char *to = address_of(&heap->arena, move->to);
	struct fragment_trailer trailer =
		fragment_trailer_read(heap, from + class->stride - heap->classes.fragment_trailer_bytes);
	copy_slot(to, from, trailer.length);
	heap->bookmark.head = 0;
	fragment_trailer_write(heap, to + move->target->stride - heap->classes.fragment_trailer_bytes, trailer);
	if (trailer.next != 0) {
		char *at = fragment_trailer_at(heap, trailer.next);
		struct fragment_trailer next = fragment_trailer_read(heap, at);
		SNUG_ASSERT(next.previous == move->from);
		next.previous = move->to;
		fragment_trailer_write(heap, at, next);
	}
	if (trailer.object_size == 0) {
		char *at = fragment_trailer_at(heap, trailer.previous);
		struct fragment_trailer previous = fragment_trailer_read(heap, at);
		SNUG_ASSERT(previous.next == move->from);
		previous.next = move->to;
		fragment_trailer_write(heap, at, previous);
	} else if (heap->slot_trailer_bytes > 0) {
		handle_moved(&heap->handles, trailer.owner, move->from, move->to);
	} else {
		const snug_owner *owner = &heap->options.owner;
		owner->moved(owner->context, move->from | REF_CHAINED, move->to | REF_CHAINED, trailer.object_size);
	}
	return trailer.length + heap->classes.fragment_trailer_bytes;
}

static uint32_t move_handled(snug_heap *heap, const struct size_class *class, const struct move *move) {
	struct handle_trailer trailer = handle_trailer_read(handle_trailer_at(heap, class, move->from));
	uint32_t bytes = class->stride - HANDLE_TRAILER_BYTES - trailer.slack_bytes;
	copy_slot(address_of(&heap->arena, move->to), address_of(&heap->arena, move->from), bytes);
	trailer.slack_bytes = (uint16_t)(move->target->stride - HANDLE_TRAILER_BYTES - bytes);
	handle_trailer_write(handle_trailer_at(heap, move->target, move->to), trailer);
	handle_moved(&heap->handles, trailer.index, move->from, move->to);
	return bytes + HANDLE_TRAILER_BYTES;
}

static uint32_t move_referenced(snug_heap *heap, const struct size_class *class, const struct move *move) {
	const snug_owner *owner = &heap->options.owner;
	char *from = address_of(&heap->arena, move->from);
	uint32_t bytes = move->payload_bytes;
	if (bytes == 0) {
		bytes = class->stride < move->target->stride ? class->stride : move->target->stride;
		if (owner->size_of != NULL) bytes = (uint32_t)owner->size_of(owner->context, from);
	}
	copy_slot(address_of(&heap->arena, move->to), from, bytes);
	owner->moved(owner->context, move->from, move->to, bytes);
	return bytes;
}

/* Carries the accounts over when the copy lies in another class. */
static void change_class(snug_heap *heap, struct size_class *class, const struct move *move) {
	struct size_class *target = move->target;
	if (move->id == CLASS_NONE) return;
	heap->payload_bytes[class->pool] -= move->payload_bytes;
	heap->payload_bytes[target->pool] += move->payload_bytes;
	if (target->stride > heap->classes.entry[move->id].stride) target->waste_bytes |= 1; /* it has a loose object now */
}

static uint32_t move_slot(snug_heap *heap, struct size_class *class, const struct move *move) {
	struct page *page = &heap->arena.pages[page_of(&heap->arena, move->from)];
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
	poison_slot(address_of(&heap->arena, move->from), class->stride);
	return bytes;
}

uint64_t victim_evacuate(snug_heap *heap, uint64_t byte_budget, bool merge) {
	struct move moves[BATCH_SLOTS];
	struct size_class *class = class_of_page(heap, heap->victim);
	struct page *page = &heap->arena.pages[heap->victim];
	SNUG_ASSERT(page->state == PAGE_VICTIM && page->free_slots < class->slots);
	uint32_t collected = collect(heap, class, byte_budget, moves);
	uint32_t gate = heap->gate;
	heap->gate |= GATE_CALLBACK;
	bool relocates = heap->target != PAGE_NONE;
	if (!relocates && (class->waste_bytes > 0 || merge)) {
		for (uint32_t index = 0; index < collected; index++) learn_size(heap, class, &moves[index]);
	}
	uint32_t reserved =
		relocates ? reserve_in_target(heap, class, moves, collected) : reserve(heap, class, moves, collected, merge);
	uint64_t bytes = 0;
	for (uint32_t index = 0; index < reserved; index++) bytes += move_slot(heap, class, &moves[index]);
	heap->gate = gate;
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
