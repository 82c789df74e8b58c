/* mem/slab/slab.h: a page cut in equal slots, and the lists of a class's slabs by fullness.
 *
 *   page         | slot | slot | hole | slot | hole | ... | end of the page, less than a slot |
 *   descriptor   free bits 0 0 1 0 1 ...; free_slots; pins; links of the list; class
 *
 * Nothing is threaded through the slots: which are free is one bit each in the page's descriptor,
 * or beside it for more than 128. So freeing touches no line of the object itself, and free slots
 * can be poisoned.
 *
 *   lists 0..15   partly filled, by sixteenths; slots are taken from the fullest, victims from the
 *                 emptiest
 *   list 16       full
 *   list 17, 18   slabs with pinned objects, partly filled and full: never victims
 *   list 19, 20   hosts, whose holes are lent to fragments (host.h): in no count of the class
 *
 * The victim is the slab that is being emptied: it is on no list, and its holes are not handed out.
 * Who empties it: mem/defragment.
 *
 * An empty slab gives its page back at once, unless it is the class's only slab with room: a class
 * that is used in turns would take and give a page each time.
 *
 * Taking the fullest first is what lets compaction find work that is worth it. The emptiest slabs
 * are left alone and empty themselves; what remains in them is moved for the fewest bytes. It is
 * also what PostgreSQL's slab context and jemalloc's page sets do.
 *
 * Laws S1 to S9 hold here, and mem/check/check_slabs.c counts them. All operations are O(1) but
 * taking slots: one word of the bitmap for each 64.
 *
 * The room: classes, which slot sizes there are; magazine, slots in and out; host, slabs that lend
 * their holes; fragment, slots for fragments of either kind; trailer.h, what stands behind an
 * object in its slot; handles, the names in it; handle_grains, what they are committed in;
 * handle_trim, how their table gets smaller; tables, when all metadata do. */
#ifndef SNUG_MEM_SLAB_H
#define SNUG_MEM_SLAB_H

#include "base/assert.h"
#include "mem/types.h"

/* Takes a page for the class; all its slots are free. NO_MEMORY, OS_MEMORY. */
snug_error slab_create(snug_heap *heap, struct size_class *class, page_number *out);

/* A page for the class in the given state, all slots free, on no list and in no count; and such a
 * page, or a slab's, given up. */
snug_error slab_blank(snug_heap *heap, const struct size_class *class, enum page_state state,
					  page_number *out);
void slab_drop(snug_heap *heap, const struct size_class *class, page_number number);

/* Makes a page of a memory file, which has content, a slab of the class: on no list, all slots free
 * until they are taken. NO_MEMORY, OS_MEMORY. */
snug_error slab_adopt(snug_heap *heap, struct size_class *class, page_number number);
/* Undoes that, if nothing was taken: a cold page, whose content is the caller's to drop. */
void slab_disown(snug_heap *heap, struct size_class *class, page_number number);

/* Gives the page of a slab without live slots back; it is on no list afterwards. */
void slab_release(snug_heap *heap, struct size_class *class, page_number number);

/* Releases the one empty slab that a class may keep for itself. */
void slab_release_empty(snug_heap *heap, struct size_class *class);

/* Puts the slab on the list where its holes and pins say it belongs; and takes it off. */
void slab_relist(snug_heap *heap, struct size_class *class, page_number number);
void slab_unlist(snug_heap *heap, struct size_class *class, page_number number);

/* Up to `want` free slots, from one slab of the given kind; returns how many, 0 if the class has
 * none. */
uint32_t slab_take_fullest(snug_heap *heap, struct size_class *class, uint32_t want,
						   uint64_t *offsets);
uint32_t slab_take_pinned(snug_heap *heap, struct size_class *class, uint32_t want,
						  uint64_t *offsets);

/* Whether the bitmap says that this slot is free. */
bool slab_slot_is_free(const snug_heap *heap, const struct size_class *class, uint64_t offset);

/* One pinned object more or less in this slab. */
void slab_pin(snug_heap *heap, page_number number);
void slab_unpin(snug_heap *heap, page_number number);

/* What else a slot that was just marked free changes: the slab's list, its pins' account, or its
 * end. */
void slab_settle(snug_heap *heap, struct size_class *class, page_number number);

/* ------------------------------------------------------------------ the victim ----- */

/* Makes the slab the victim: off its list, its holes in no count. If it is empty already, its page
 * goes back at once. */
void victim_begin(snug_heap *heap, struct size_class *class, page_number number);

/* As victim_begin, with the blank page for its target: see mem/defragment/drain.h. The class's
 * magazine is empty. */
void victim_relocate(snug_heap *heap, struct size_class *class, page_number number,
					 page_number target);

/* Gives the emptied victim's page back. */
void victim_release(snug_heap *heap);

/* Puts the victim back on its list: because the work ends here; and because its holes were taken,
 * which is counted. */
void victim_put_back(snug_heap *heap);
void victim_abandon(snug_heap *heap);

/* ------------------------------------------------------------------ inline --------- */

static inline uint8_t slab_list_for(const struct size_class *class, const struct page *page) {
	SNUG_ASSERT(page->free_slots <= class->slots);
	if (UNLIKELY(page->state == PAGE_HOST))
		return page->free_slots > 0 ? LIST_HOST : LIST_HOST_FULL;
	if (page->pins > 0) return page->free_slots > 0 ? LIST_PINNED_PARTIAL : LIST_PINNED_FULL;
	if (page->free_slots == 0) return LIST_FULL;
	return (uint8_t)(((class->slots - page->free_slots) * class->bucket_scale) >> 16);
}

/* Marks the slot free in its bitmap; releases the slab if that emptied it. Mostly the slab stays on
 * its list: a sixteenth of its slots lies between two. (A pinned slab's list, and none, are beyond
 * the sixteenths, and so never the same.) */
static inline void slab_return(snug_heap *heap, struct size_class *class, uint64_t offset) {
	page_number number = page_of(&heap->arena, offset);
	struct page *page = &heap->arena.pages[number];
	uint32_t slot = slot_of(&heap->arena, class, offset);
	uint64_t *word = &free_bits_of(page, class)[slot / 64];
	SNUG_ASSERT(slot < class->slots && page->class_id == class->id && class->used_slots > 0);
	SNUG_ASSERT((*word >> (slot % 64) & 1) == 0);
	*word |= (uint64_t)1 << (slot % 64);
	page->free_slots++;
	class->used_slots--;
	class->free_slots++;
	uint32_t live = class->slots - page->free_slots;
	if (UNLIKELY(live == 0 || (live * class->bucket_scale) >> 16 != page->list))
		slab_settle(heap, class, number);
}

static inline struct size_class *class_of_page(const snug_heap *heap, page_number number) {
	return heap->classes.state[heap->arena.pages[number].class_id];
}

#endif
