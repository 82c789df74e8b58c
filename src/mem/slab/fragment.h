/* mem/slab/fragment.h: slots for fragments, whether they are of a class of fragments or lent by a
 * host (host.h). */
#ifndef SNUG_MEM_FRAGMENT_H
#define SNUG_MEM_FRAGMENT_H

#include "mem/types.h"

/* A hole of a class of fragments, through its magazine if that has one. False: it has none. */
bool fragment_hole(snug_heap *heap, struct size_class *class, uint64_t *offset);

/* A hole of a class of plain objects, lent: as guest_take, with the magazine's slots among the
 * holes. */
bool lent_hole(snug_heap *heap, struct size_class *class, uint64_t *offset);

/* The slot of a fragment back, be it its own or lent, and its payload off the account. */
void fragment_free(snug_heap *heap, uint64_t offset, uint32_t length);

#endif
