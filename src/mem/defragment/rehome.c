/* mem/defragment/rehome.c: which host, which guests, which hole.
 *
 *     guest --> a slot of its own class, whole | a fragment's slot, with its neighbours
 *           \-> an empty slot of another host of its class, if there is one for each of this host
 *
 * The second road is for a heap that is full: there is neither page nor hole for what would go home,
 * though half of what lay in the hosts was freed. Each host that it empties is a slab with holes, by
 * which compaction gains pages.
 *
 * HOW TIGHT. A slot that serves the size may be half as large again, and a page's worth of guests in
 * it costs more than their hosts did. So a class is reviewed as in an allocation; and guests that
 * would waste more than 1/8 of their own class's slot go fewer together, into the next smaller one.
 * (Into whatever served, 64 MiB with guests of 500, 3,000 or 20,000 bytes, a third freed, ended
 * with 0 to 0.98 of what was free in whole pages; so with 0.75 to 0.99.)
 *
 * The classes are gone through once in a lap, downwards, each host by host: first those with empty
 * slots, then the full ones, which join the others as soon as a guest has gone. So where to go on is
 * known by the page, and the one behind it. A host that keeps some guest is left, and after some
 * dozens in a row of which nothing went, the rest of the class. */
#include "mem/defragment/rehome.h"

#include "base/assert.h"
#include "mem/arena/arena.h"
#include "mem/defragment/choose.h"
#include "mem/defragment/copy.h"
#include "mem/defragment/relink.h"
#include "mem/gate.h"
#include "mem/slab/classes.h"
#include "mem/slab/fragment.h"
#include "mem/slab/host.h"
#include "mem/slab/magazine.h"
#include "mem/slab/slab.h"

#define LEFT_MAX 64u
#define GATHER_MAX 32u   /* guests that go together at most */
#define BACK_MAX 64u     /* fragments between a guest and its head that are walked */
#define SLOTS_A_UNIT 16u /* looked at between two looks at the clock */
#define LOOSE_PARTS 8u   /* its new slot is at most 1/8 larger than its own would be */

static struct fragment_trailer trailer_of(const snug_heap *heap, uint64_t offset) {
	return fragment_trailer_read(heap, fragment_trailer_at(heap, offset));
}

/* A hole is to be had, and not one that makes up a slab's worth of them. */
static bool has_hole_to_spare(const struct size_class *class) {
	return class->free_slots + class->magazine_count > 0 && class_holes(class) % class->slots > 0;
}

/* The smallest slot of all classes for so many bytes is larger than that by more than 1/8. */
static bool is_loose(const snug_heap *heap, enum family family, uint32_t bytes) {
	uint16_t id = class_find(&heap->classes, family, bytes);
	return id == CLASS_NONE || heap->classes.entry[id].stride > bytes + bytes / LOOSE_PARTS;
}

/* A class with a hole for so many bytes, what stands behind them included: that it has already. */
static struct size_class *class_with_hole(const snug_heap *heap, enum family family,
										  uint32_t bytes) {
	const struct class_table *table = &heap->classes;
	uint16_t id = class_find(table, family, bytes);
	uint32_t most = bytes + bytes / LOOSE_PARTS;
	if (id == CLASS_NONE) return NULL;
	for (; id < table->first[family + 1] && table->entry[id].stride <= most; id++) {
		struct size_class *class = table->state[id];
		if (class != NULL && has_hole_to_spare(class)) return class;
	}
	return NULL;
}

/* The same; else the class that serves this size, however loose, with a new slab where it has no
 * hole to spare and a page is free. */
static struct size_class *class_with_room(snug_heap *heap, enum family family, uint32_t bytes) {
	struct size_class *class = class_with_hole(heap, family, bytes);
	uint16_t id = class_find(&heap->classes, family, bytes);
	if (class != NULL || id == CLASS_NONE) return class;
	class = heap->classes.entry[id].serving;
	if (class != heap->classes.nobody) class_review_if_due(heap, class);
	class = heap->classes.entry[id].serving;
	if (has_hole_to_spare(class)) return class;
	page_number page;
	if (arena_free_pages(&heap->arena) == 0 || class_serving(heap, id, &class) != SNUG_OK)
		return NULL;
	/* The page that the class could gain without a move is gained first. */
	slab_release_empty(heap, class);
	if (slab_create(heap, class, &page) != SNUG_OK) return NULL;
	heap->totals.rehome_pages++;
	return class;
}

/* Guests from `first` on that lie one behind the other and fit a page together. */
struct gathered {
	uint64_t last;
	uint32_t count;
	uint32_t bytes;
};

static bool may_go(const snug_heap *heap, uint64_t offset) {
	const struct page *page = &heap->arena.pages[page_of(&heap->arena, offset)];
	return page->state == PAGE_HOST && page->pins == 0;
}

static void count_move(snug_heap *heap, uint32_t bytes) {
	heap->totals.moves++;
	heap->totals.moved_bytes += bytes;
	heap->totals.rehomed_moves++;
	heap->totals.rehomed_bytes += bytes;
}

static struct gathered gather(const snug_heap *heap, uint64_t first, uint32_t count_max,
							  uint32_t most_bytes) {
	struct gathered all = {0};
	for (uint64_t offset = first; offset != 0 && all.count < count_max;) {
		struct fragment_trailer trailer = trailer_of(heap, offset);
		if (!may_go(heap, offset) || all.bytes + trailer.length > most_bytes) break;
		all.last = offset;
		all.bytes += trailer.length;
		all.count++;
		offset = trailer.next;
	}
	return all;
}

static void copy_gathered(snug_heap *heap, uint64_t first, uint32_t count, char *to) {
	for (uint64_t offset = first; count > 0; count--) {
		struct fragment_trailer trailer = trailer_of(heap, offset);
		SNUG_ASSERT(offset != 0 && trailer.length > 0);
		copy_slot(to, address_of(&heap->arena, offset), trailer.length);
		to += trailer.length;
		offset = trailer.next;
	}
}

static void free_gathered(snug_heap *heap, uint64_t first, uint32_t count) {
	for (uint64_t offset = first; count > 0; count--) {
		struct fragment_trailer trailer = trailer_of(heap, offset);
		SNUG_ASSERT(offset != 0 && may_go(heap, offset));
		fragment_free(heap, offset, trailer.length);
		offset = trailer.next;
	}
}

/* Into one slot of `class`, which has a hole. */
static void move_gathered(snug_heap *heap, uint64_t first, struct gathered all,
						  struct size_class *class) {
	SNUG_ASSERT(all.count > 0 && all.bytes > 0 && class->family == FAMILY_FRAGMENT);
	uint64_t to;
	bool taken = fragment_hole(heap, class, &to);
	if (!SNUG_GUARD(taken)) return;
	uint32_t trailer_bytes = heap->classes.fragment_trailer_bytes;
	uint16_t id = class_find(&heap->classes, FAMILY_FRAGMENT, all.bytes + trailer_bytes);
	SNUG_ASSERT(id != CLASS_NONE && id <= class->id);
	slot_hand_out(heap, class, id, all.bytes, to);
	copy_gathered(heap, first, all.count, address_of(&heap->arena, to));
	struct fragment_trailer trailer = trailer_of(heap, first);
	trailer.next = trailer_of(heap, all.last).next;
	trailer.length = all.bytes;
	fragment_trailer_write(heap, fragment_trailer_at(heap, to), trailer);
	struct gate gate = gate_shut(heap);
	heap->bookmark.head = 0;
	if (heap->watched == first) heap->watched = to;
	fragment_relink(heap, trailer, first, all.last, to);
	gate_open(heap, gate);
	free_gathered(heap, first, all.count);
	count_move(heap, all.bytes);
}

/* ------------------------------------------------------------------ whole objects -- */

/* The head of the object that a guest belongs to, if all of it lies in hosts without pins and
 * would fit a page; 0 if not. `count` are its fragments. */
static uint64_t head_of(const snug_heap *heap, uint64_t offset, uint32_t *count) {
	struct fragment_trailer trailer = trailer_of(heap, offset);
	uint32_t bytes = 0; /* of it that were walked over */
	for (uint32_t back = 0; trailer.object_size == 0; back++) {
		bytes += trailer.length;
		if (back == BACK_MAX || bytes > heap->arena.page_bytes || !may_go(heap, offset)) return 0;
		offset = trailer.previous;
		trailer = trailer_of(heap, offset);
	}
	struct gathered all = gather(heap, offset, 2 * BACK_MAX, heap->arena.page_bytes);
	*count = all.count;
	return all.bytes == trailer.object_size ? offset : 0;
}

static void name_plain(snug_heap *heap, uint64_t head, struct fragment_trailer trailer,
					   const struct size_class *class, uint64_t to) {
	if (heap->slot_trailer_bytes > 0) {
		uint32_t slack_bytes = class->stride - HANDLE_TRAILER_BYTES - trailer.object_size;
		struct handle_trailer plain = {trailer.owner, (uint16_t)slack_bytes};
		handle_trailer_write(handle_trailer_at(heap, class, to), plain);
		handle_relocate(&heap->handles, trailer.owner, to);
	} else {
		const snug_owner *owner = &heap->options.owner;
		owner->moved(owner->context, head | REF_CHAINED, to, trailer.object_size);
	}
}

/* The object in one slot of its own: it is no chain any more. */
static uint32_t rehome_object(snug_heap *heap, uint64_t guest) {
	uint32_t count;
	uint64_t head = head_of(heap, guest, &count);
	if (head == 0 || heap->watched == head) return 0;
	struct fragment_trailer trailer = trailer_of(heap, head);
	uint32_t needed = trailer.object_size + heap->slot_trailer_bytes;
	if (is_loose(heap, FAMILY_BYTES, needed)) return 0;
	struct size_class *class = class_with_room(heap, FAMILY_BYTES, needed);
	uint64_t to;
	if (class == NULL || !fragment_hole(heap, class, &to)) return 0;
	uint16_t id = class_find(&heap->classes, FAMILY_BYTES, needed);
	SNUG_ASSERT(id != CLASS_NONE && id <= class->id && class->family == FAMILY_BYTES);
	slot_hand_out(heap, class, id, trailer.object_size, to);
	copy_gathered(heap, head, count, address_of(&heap->arena, to));
	struct gate gate = gate_shut(heap);
	heap->bookmark.head = 0;
	name_plain(heap, head, trailer, class, to);
	gate_open(heap, gate);
	free_gathered(heap, head, count);
	SNUG_ASSERT(heap->chains > 0);
	heap->chains--;
	count_move(heap, trailer.object_size);
	return trailer.object_size;
}

/* ------------------------------------------------------------------ one after the other ------ */

/* As many as there are, up to a page; fewer where the next smaller slot is the tighter one. */
static struct gathered gather_tightly(const snug_heap *heap, uint64_t first) {
	const struct class_table *table = &heap->classes;
	uint32_t trailer_bytes = table->fragment_trailer_bytes;
	struct gathered all = gather(heap, first, GATHER_MAX, table->page_bytes - trailer_bytes);
	uint32_t needed = all.bytes + trailer_bytes;
	if (all.count == 0 || !is_loose(heap, FAMILY_FRAGMENT, needed)) return all;
	uint16_t id = class_find_below(table, FAMILY_FRAGMENT, needed);
	if (id == CLASS_NONE || table->entry[id].stride <= trailer_bytes) return all;
	struct gathered fewer =
		gather(heap, first, GATHER_MAX, table->entry[id].stride - trailer_bytes);
	return fewer.count > 0 ? fewer : all;
}

/* As many together as one hole holds. */
static uint32_t rehome_guest(snug_heap *heap, uint64_t first) {
	uint32_t whole_bytes = rehome_object(heap, first);
	if (whole_bytes > 0) return whole_bytes;
	struct gathered all = gather_tightly(heap, first);
	for (; all.count > 0; all = gather(heap, first, all.count / 2, heap->arena.page_bytes)) {
		struct size_class *class = class_with_room(
			heap, FAMILY_FRAGMENT, all.bytes + heap->classes.fragment_trailer_bytes);
		if (class == NULL) continue;
		move_gathered(heap, first, all, class);
		return all.bytes;
	}
	return 0;
}

/* Whether all its guests have room in the empty slots of its class's other hosts, and can go there:
 * a record of the pin table stays where it is. Hosts that none can empty would take each other's
 * guests for ever. */
static bool fits_beside(const snug_heap *heap, const struct size_class *class, page_number number) {
	if (heap->pins.record_count > 0) return false;
	const struct page *host = &heap->arena.pages[number];
	SNUG_ASSERT(host->state == PAGE_HOST && class->host_empty >= host->free_slots);
	return class->host_empty - host->free_slots >= host_guests(heap, class, number);
}

/* From one host to another of its class. */
static uint32_t move_beside(snug_heap *heap, struct size_class *class, uint64_t from) {
	struct fragment_trailer trailer = trailer_of(heap, from);
	uint64_t to;
	if (!guest_take_beside(heap, class, page_of(&heap->arena, from), &to)) return 0;
	SNUG_ASSERT(page_of(&heap->arena, to) != page_of(&heap->arena, from));
	class->payload_bytes += trailer.length;
	copy_slot(address_of(&heap->arena, to), address_of(&heap->arena, from), trailer.length);
	fragment_trailer_write(heap, fragment_trailer_at(heap, to), trailer);
	struct gate gate = gate_shut(heap);
	heap->bookmark.head = 0;
	if (heap->watched == from) heap->watched = to;
	fragment_relink(heap, trailer, from, from, to);
	gate_open(heap, gate);
	free_gathered(heap, from, 1);
	count_move(heap, trailer.length);
	return trailer.length;
}

/* Some slots of a host, on from where the last call ended, to the first guest: to look at one in
 * vain is all that a unit has time for. */
static uint32_t rehome_from(snug_heap *heap, struct size_class *class, page_number number) {
	uint32_t *at = &heap->defragment.rehome_slot;
	uint32_t end = (uint32_t)smaller(class->slots, *at + SLOTS_A_UNIT);
	SNUG_ASSERT(heap->arena.pages[number].state == PAGE_HOST &&
				heap->arena.pages[number].pins == 0);
	for (; *at < end; (*at)++) {
		uint64_t offset = page_offset(&heap->arena, number) + (uint64_t)*at * class->stride;
		if (!host_has_guest(heap, number, offset) || is_pin_record(heap, offset)) continue;
		(*at)++;
		uint32_t bytes = rehome_guest(heap, offset);
		if (bytes > 0 || !fits_beside(heap, class, number)) return bytes;
		return move_beside(heap, class, offset);
	}
	return 0;
}

/* ------------------------------------------------------------------ one host after the other - */

static bool is_host_of(const snug_heap *heap, const struct size_class *class, page_number number) {
	if (number == PAGE_NONE || number >= heap->arena.described) return false;
	const struct page *page = &heap->arena.pages[number];
	return page->state == PAGE_HOST && page->class_id == class->id;
}

/* The host that is being looked at; else the one that stood behind it in its list, or, if that has
 * gone, the first one. PAGE_NONE: the list is through. */
static page_number host_to_do(const snug_heap *heap, const struct size_class *class) {
	const struct defragment *defragment = &heap->defragment;
	page_number behind = defragment->rehome_behind;
	if (is_host_of(heap, class, defragment->rehome_page)) return defragment->rehome_page;
	bool is_there = is_host_of(heap, class, behind) &&
					heap->arena.pages[behind].list == defragment->rehome_list;
	return behind == PAGE_NONE || is_there ? behind : class->lists[defragment->rehome_list];
}

static void begin_host(const snug_heap *heap, struct defragment *defragment, page_number number) {
	const struct page *page = &heap->arena.pages[number];
	if (number != defragment->rehome_page) defragment->rehome_slot = 0;
	defragment->rehome_page = number;
	/* One whose guests go may change its list. */
	if (page->list == defragment->rehome_list) defragment->rehome_behind = page->next;
}

static void leave_host(struct defragment *defragment) {
	defragment->rehome_left++;
	defragment->rehome_page = PAGE_NONE;
}

static void begin_list(struct defragment *defragment, const struct size_class *class,
					   uint8_t list) {
	defragment->rehome_list = list;
	defragment->rehome_page = PAGE_NONE;
	defragment->rehome_behind = class->lists[list];
}

static void leave_class(struct defragment *defragment) {
	SNUG_ASSERT(defragment->rehome_cursor > 0);
	defragment->rehome_cursor--;
	defragment->rehome_left = 0;
	defragment->rehome_list = 0;
}

void rehome_begin(snug_heap *heap) {
	struct defragment *defragment = &heap->defragment;
	defragment->rehome_cursor = heap->classes.active_count;
	defragment->rehome_left = 0;
	defragment->rehome_list = 0;
}

uint64_t rehome_next(snug_heap *heap) {
	struct defragment *defragment = &heap->defragment;
	if (rehome_is_over(heap)) return 0;
	SNUG_ASSERT(defragment->in_step);
	if (defragment->rehome_cursor > heap->classes.active_count) {
		defragment->rehome_cursor = heap->classes.active_count;
		return 0;
	}
	struct size_class *class = class_active(&heap->classes, defragment->rehome_cursor - 1);
	if (class->hosts == 0 || defragment->rehome_left == LEFT_MAX) {
		leave_class(defragment);
		return 0;
	}
	if (defragment->rehome_list == 0) begin_list(defragment, class, LIST_HOST);
	page_number number = host_to_do(heap, class);
	if (number == PAGE_NONE) {
		if (defragment->rehome_list == LIST_HOST)
			begin_list(defragment, class, LIST_HOST_FULL);
		else
			leave_class(defragment);
		return 0;
	}
	begin_host(heap, defragment, number);
	bool is_pinned = heap->arena.pages[number].pins > 0;
	uint32_t bytes = is_pinned ? 0 : rehome_from(heap, class, number);
	if (bytes > 0) defragment->rehome_left = 0;
	if (is_pinned || defragment->rehome_slot >= class->slots) leave_host(defragment);
	return bytes;
}
