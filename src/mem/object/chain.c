/* mem/object/chain.c: how a chain is built by its plan (plan.h), and its changes.
 *
 * BUILDING takes the slots of the plan one after the other and links them; if one can't be had, all
 * go back, and nothing has moved. Where it may compact, pages are gained first, beginning with
 * those that the whole fragments need, and one more after each failure: the tails usually find
 * holes. As the last resort there is no plan: the object lies in pieces, in whatever holes there are
 * (pieces.h). Without the last resort, if pages are there and the tails still find no hole, the plan
 * is simplified to one slot for the tail: looser, but one page is enough for it.
 *
 * RESIZING keeps the leading fragments that are whole pages in both sizes. What follows is built
 * anew, copied, and put in the old one's place; the head is a head until then, so the object is
 * whole at each moment. Cutting off needs no memory at all: the length of one fragment changes, the
 * fragments behind it are freed. It is what remains when there is no memory for a tighter chain. */
#include "mem/object/chain.h"

#include "base/assert.h"
#include "mem/arena/arena.h"
#include "mem/object/extents.h"
#include "mem/object/pieces.h"
#include "mem/object/room.h"
#include "mem/slab/fragment.h"
#include "mem/slab/host.h"

/* ------------------------------------------------------------------ building ------- */

/* Frees the fragments from `offset` to the end. */
static void free_from(snug_heap *heap, uint64_t offset) {
	heap->bookmark.head = 0;
	while (offset != 0) {
		struct fragment_trailer trailer =
			fragment_trailer_read(heap, fragment_trailer_at(heap, offset));
		fragment_free(heap, offset, trailer.length);
		offset = trailer.next;
	}
}

static void link_next(snug_heap *heap, uint64_t offset, uint64_t next) {
	char *at = fragment_trailer_at(heap, offset);
	struct fragment_trailer trailer = fragment_trailer_read(heap, at);
	trailer.next = next;
	fragment_trailer_write(heap, at, trailer);
}

static void link_previous(snug_heap *heap, uint64_t offset, uint64_t previous) {
	char *at = fragment_trailer_at(heap, offset);
	struct fragment_trailer trailer = fragment_trailer_read(heap, at);
	trailer.previous = previous;
	trailer.owner = 0;
	trailer.object_size = 0;
	fragment_trailer_write(heap, at, trailer);
}

static void make_head(snug_heap *heap, uint64_t offset, uint32_t owner, size_t object_size) {
	char *at = fragment_trailer_at(heap, offset);
	struct fragment_trailer trailer = fragment_trailer_read(heap, at);
	trailer.previous = 0;
	trailer.owner = owner;
	trailer.object_size = (uint32_t)object_size;
	fragment_trailer_write(heap, at, trailer);
}

/* Fragments that are linked one behind the other, without a head yet. */
struct row {
	uint64_t first; /* 0: none */
	uint64_t last;
	char *last_at; /* its trailer, and what stands there */
	struct fragment_trailer last_trailer;
};

/* The slot at `offset`, which is taken, holds the next `length` bytes. */
static void append(snug_heap *heap, const struct size_class *class, uint64_t offset,
				   uint32_t length, struct row *row) {
	struct fragment_trailer trailer = {.previous = row->last, .length = length};
	char *at =
		address_of(&heap->arena, offset) + class->stride - heap->classes.fragment_trailer_bytes;
	SNUG_ASSERT((row->first == 0) == (row->last == 0));
	fragment_trailer_write(heap, at, trailer);
	if (row->last != 0) {
		row->last_trailer.next = offset;
		fragment_trailer_write(heap, row->last_at, row->last_trailer);
	} else {
		row->first = offset;
	}
	row->last = offset;
	row->last_at = at;
	row->last_trailer = trailer;
}

static snug_error append_slot(snug_heap *heap, uint16_t id, uint32_t length, struct row *row) {
	uint64_t offset;
	struct size_class *class;
	snug_error error = slot_alloc(heap, id, length, ROOM_AT_HAND, false, &offset, &class);
	if (!error) append(heap, class, offset, length, row);
	return error;
}

/* All fragments of the plan, linked, without a head; all or none. Moves nothing. */
static snug_error build(snug_heap *heap, const struct chain_plan *plan, uint64_t *out) {
	struct row row = {0};
	snug_error error = SNUG_OK;
	uint16_t whole_id = (uint16_t)(heap->classes.first[FAMILY_COUNT] - 1);
	for (uint64_t count = 0; count < plan->whole && !error; count++) {
		error = append_slot(heap, whole_id, whole_fragment_bytes(heap), &row);
	}
	for (uint32_t tail = 0; tail < plan->tails && !error; tail++) {
		error = append_slot(heap, plan->tail_id[tail], plan->tail_bytes[tail], &row);
	}
	if (error) {
		free_from(heap, row.first);
		return error;
	}
	*out = row.first;
	return SNUG_OK;
}

/* The same without a plan: pieces of whatever size there are holes for. */
static snug_error build_in_pieces(snug_heap *heap, size_t size, uint64_t *out) {
	struct row row = {0};
	if (heap->options.no_last_resort || !pieces_have_room(heap, size)) return SNUG_ERROR_NO_MEMORY;
	for (size_t left_bytes = size; left_bytes > 0;) {
		struct piece piece;
		if (!piece_take(heap, left_bytes, &piece)) {
			free_from(heap, row.first);
			return SNUG_ERROR_NO_MEMORY;
		}
		append(heap, piece.class, piece.offset, piece.bytes, &row);
		left_bytes -= piece.bytes;
	}
	*out = row.first;
	return SNUG_OK;
}

struct chain_need {
	struct need need; /* first: attempt gets it back as this */
	const struct chain_plan *plan;
	uint64_t first;
};

static snug_error attempt_chain(snug_heap *heap, struct need *need) {
	struct chain_need *chain = (struct chain_need *)need;
	if (need->pages > 0 && room_pages(heap, need) < need->pages)
		return need->os_refused ? SNUG_ERROR_OS_MEMORY : SNUG_ERROR_NO_MEMORY;
	snug_error error = build(heap, chain->plan, &chain->first);
	if (error) room_raise(heap, need, error);
	return error;
}

/* Builds, gaining page after page until the tails, which may find no hole, have one each. */
static snug_error build_gaining(snug_heap *heap, const struct chain_plan *plan, uint64_t *out) {
	struct chain_need chain = {
		.need = {.attempt = attempt_chain,
				 .effort = ROOM_MADE,
				 .can_be_cut = true,
				 .pages = plan->whole,
				 .pages_most = plan->whole + plan->tails + 1},
		.plan = plan,
	};
	snug_error error = room_find(heap, &chain.need);
	if (!error) *out = chain.first;
	return error;
}

static snug_error build_planned(snug_heap *heap, const struct chain_plan *plan, uint64_t *out) {
	for (uint64_t page = 0; page <= plan->whole; page++) room_pace(heap);
	snug_error error = build_gaining(heap, plan, out);
	bool may_simplify = heap->options.no_last_resort && plan->tails >= 2;
	if (LIKELY(error != SNUG_ERROR_NO_MEMORY) || !may_simplify) return error;
	if (arena_available_pages(&heap->arena) <= plan->whole) return error;
	struct chain_plan simple = *plan;
	chain_plan_simplify(heap, &simple);
	return build_gaining(heap, &simple, out);
}

static snug_error build_with_room(snug_heap *heap, size_t size, const struct chain_plan *plan,
								  uint64_t *out) {
	snug_error error = build_planned(heap, plan, out);
	bool shortage = error == SNUG_ERROR_NO_MEMORY || error == SNUG_ERROR_OS_MEMORY;
	return shortage && build_in_pieces(heap, size, out) == SNUG_OK ? SNUG_OK : error;
}

static uint64_t begin_chain(snug_heap *heap, uint64_t first, uint32_t owner, size_t size) {
	make_head(heap, first, owner, size);
	heap->chains++;
	return first;
}

snug_error chain_alloc(snug_heap *heap, size_t size, const struct chain_plan *plan, uint32_t owner,
					   enum effort effort, uint64_t *head) {
	uint64_t first;
	snug_error error =
		effort == ROOM_MADE ? build_with_room(heap, size, plan, &first) : build(heap, plan, &first);
	if (error && effort == ROOM_LAST) error = build_in_pieces(heap, size, &first);
	if (!error) *head = begin_chain(heap, first, owner, size);
	return error;
}

snug_error chain_alloc_in_pieces(snug_heap *heap, size_t size, uint32_t owner, uint64_t *head) {
	uint64_t first;
	snug_error error = build_in_pieces(heap, size, &first);
	if (!error) *head = begin_chain(heap, first, owner, size);
	return error;
}

void chain_free(snug_heap *heap, uint64_t head) {
	SNUG_ASSERT(heap->chains > 0 && chain_size(heap, head) > 0);
	free_from(heap, head);
	heap->chains--;
}

bool chain_free_some(snug_heap *heap, uint64_t *head, uint64_t bytes) {
	struct fragment_trailer first = fragment_trailer_read(heap, fragment_trailer_at(heap, *head));
	uint64_t offset = *head, freed_bytes = 0;
	heap->bookmark.head = 0;
	while (offset != 0 && freed_bytes < bytes) {
		struct fragment_trailer trailer =
			fragment_trailer_read(heap, fragment_trailer_at(heap, offset));
		fragment_free(heap, offset, trailer.length);
		freed_bytes += trailer.length;
		offset = trailer.next;
	}
	if (offset == 0) {
		heap->chains--;
		return true;
	}
	make_head(heap, offset, first.owner, first.object_size - freed_bytes);
	*head = offset;
	return false;
}

/* ------------------------------------------------------------------ resizing ------- */

/* The last fragment of the first `kept` whole ones (0 if none), and the one behind it. */
static void split_point(const snug_heap *heap, uint64_t head, uint64_t kept, uint64_t *last_kept,
						uint64_t *rest) {
	*last_kept = 0;
	*rest = head;
	for (; kept > 0; kept--) {
		*last_kept = *rest;
		*rest = chain_next(heap, *rest);
	}
}

/* How many leading fragments are whole pages, at most `most`. */
static uint64_t leading_whole(const snug_heap *heap, uint64_t head, uint64_t most) {
	uint64_t count = 0;
	for (uint64_t offset = head; offset != 0 && count < most; count++) {
		struct fragment_trailer trailer =
			fragment_trailer_read(heap, fragment_trailer_at(heap, offset));
		if (trailer.length != whole_fragment_bytes(heap)) break;
		offset = trailer.next;
	}
	return count;
}

snug_error chain_resize(snug_heap *heap, uint64_t *head, size_t new_size) {
	struct fragment_trailer head_trailer =
		fragment_trailer_read(heap, fragment_trailer_at(heap, *head));
	uint64_t kept = leading_whole(heap, *head, new_size / whole_fragment_bytes(heap));
	size_t kept_bytes = kept * whole_fragment_bytes(heap);
	SNUG_ASSERT(kept_bytes <= new_size && head_trailer.object_size != 0);
	uint64_t new_rest = 0;
	if (kept_bytes < new_size) {
		SNUG_ASSERT(heap->watched == 0);
		heap->watched = *head;
		struct chain_plan plan;
		chain_plan_make(heap, new_size - kept_bytes, &plan);
		snug_error error = build_with_room(heap, new_size - kept_bytes, &plan, &new_rest);
		*head = heap->watched;
		heap->watched = 0;
		if (error) return error;
	}
	uint64_t last_kept;
	uint64_t old_rest;
	split_point(heap, *head, kept, &last_kept, &old_rest);
	if (new_rest != 0 && old_rest != 0) {
		extents_copy(extents_of(heap, new_rest | REF_CHAINED, 0, SIZE_MAX),
					 extents_of(heap, old_rest | REF_CHAINED, 0, SIZE_MAX));
	}
	free_from(heap, old_rest);
	if (last_kept != 0) {
		link_next(heap, last_kept, new_rest);
		if (new_rest != 0) link_previous(heap, new_rest, last_kept);
	} else {
		*head = new_rest;
	}
	make_head(heap, *head, head_trailer.owner, new_size);
	return SNUG_OK;
}

void chain_truncate(snug_heap *heap, uint64_t head, size_t new_size) {
	make_head(heap, head, fragment_trailer_read(heap, fragment_trailer_at(heap, head)).owner,
			  new_size);
	uint64_t offset = head;
	size_t left_bytes = new_size;
	SNUG_ASSERT(new_size > 0);
	for (;;) {
		char *at = fragment_trailer_at(heap, offset);
		struct fragment_trailer trailer = fragment_trailer_read(heap, at);
		if (left_bytes > trailer.length) {
			left_bytes -= trailer.length;
			offset = trailer.next;
			continue;
		}
		struct size_class *class = class_of_page(heap, page_of(&heap->arena, offset));
		if (class->family == FAMILY_FRAGMENT) {
			slot_repay(heap, class, heap->classes.fragment_trailer_bytes, trailer.length,
					   (uint32_t)left_bytes);
		} else {
			guest_repay(class, trailer.length, (uint32_t)left_bytes);
		}
		uint64_t rest = trailer.next;
		trailer.length = (uint32_t)left_bytes;
		trailer.next = 0;
		fragment_trailer_write(heap, at, trailer);
		free_from(heap, rest);
		return;
	}
}
