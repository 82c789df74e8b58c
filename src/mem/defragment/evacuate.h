/* mem/defragment/evacuate.h: the only code that moves objects.
 *
 * One slab at a time is the victim. A batch collects some of its live slots, reserves a hole for
 * each, and only then copies and tells whoever holds the reference. Before a move the source is
 * live and its owner points at it; after it the source is dead and the owner points at the copy.
 *
 *   victim   [x.x....x....]      its holes are not handed out; what is freed in it shrinks the work
 *             | |    |
 *   into     [xxxxxxXXxXxx]      the fullest slabs, and first those that pins keep in place anyway
 *
 * Between two batches the owner may allocate, and so take the holes that the victim counted on.
 * Then the victim is abandoned (mem/slab/slab.h): it goes back on its list with what is left in it.
 * Which slab is the victim: choose.h. */
#ifndef SNUG_MEM_EVACUATE_H
#define SNUG_MEM_EVACUATE_H

#include "mem/defragment/choose.h"
#include "mem/types.h"

/* Moves slots out of the victim until `byte_budget` is reached (the last move may exceed it) or the
 * batch is full; releases the victim when it is empty, abandons it when there is no hole left.
 * Returns the bytes copied. There must be a victim. */
uint64_t victim_evacuate(snug_heap *heap, uint64_t byte_budget, enum merge merge);

#endif
