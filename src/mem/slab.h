/* mem/slab.h: a page cut in equal slots, and the lists of a class's slabs by fullness.
 *
 * Nothing is threaded through the slots: which are free is one bit each in (or beside) the page's descriptor, so freeing
 * touches no cold line and free slots can be poisoned.
 *
 *   lists 0..15   partly filled, by sixteenths; slots are taken from the fullest, victims from the emptiest
 *   list 16       full
 *   list 17, 18   slabs with pinned objects, partly filled and full: never victims
 *
 * An empty slab gives its page back at once, unless it is the class's only slab with room. */
#ifndef SNUG_MEM_SLAB_H
#define SNUG_MEM_SLAB_H

#include "mem/types.h"

/* Takes a page for the class; all its slots are free. NO_MEMORY, OS_MEMORY. */
snug_error slab_create(snug_pools *pools, struct size_class *class, page_number *out);

/* Gives the page of a slab without live slots back; it is on no list afterwards. */
void slab_release(snug_pools *pools, struct size_class *class, page_number number);

/* Releases the one empty slab that a class may keep for itself. */
void slab_release_empty(snug_pools *pools, struct size_class *class);

/* Puts the slab on the list where its holes and pins say it belongs; and takes it off. */
void slab_relist(snug_pools *pools, struct size_class *class, page_number number);
void slab_unlist(snug_pools *pools, struct size_class *class, page_number number);

/* Up to `want` free slots, from one slab of the given kind; returns how many, 0 if the class has none. */
uint32_t slab_take_fullest(snug_pools *pools, struct size_class *class, uint32_t want, uint64_t *offsets);
uint32_t slab_take_pinned(snug_pools *pools, struct size_class *class, uint32_t want, uint64_t *offsets);

/* Marks the slot free in its bitmap; releases the slab if that emptied it. */
void slab_return(snug_pools *pools, struct size_class *class, uint64_t offset);

/* Whether the bitmap says that this slot is free. */
bool slab_slot_is_free(const snug_pools *pools, const struct size_class *class, uint64_t offset);

/* One pinned object more or less in this slab. */
void slab_pin(snug_pools *pools, page_number number);
void slab_unpin(snug_pools *pools, page_number number);

static inline struct size_class *class_of_page(const snug_pools *pools, page_number number) {
	return pools->classes.state[pools->arena.pages[number].class_id];
}

#endif
