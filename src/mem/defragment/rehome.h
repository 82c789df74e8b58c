/* mem/defragment/rehome.h: guests go back into slots of their own, so that hosts are slabs again
 * (mem/slab/host.h).
 *
 *   host         [ resident | g1 |t] [ g2 |t] [ g3 |t]      g1 -> g2 -> g3 -> rest
 *   fragments'   [          g1 g2 g3            |t]         one slot -> rest
 *
 * An object that fits one slot of its own class goes there whole, and has one address again.
 * Otherwise neighbouring guests of it are gathered, up to a page, so it has fewer fragments
 * afterwards. Only holes are used, never a page, and none that its class would gain a page by: so
 * what a defragmentation can gain only grows by it. It comes first, because compaction leaves no
 * holes. A host with pins stays. The moves are reported as relocations: they gain nothing
 * themselves. */
#ifndef SNUG_MEM_REHOME_H
#define SNUG_MEM_REHOME_H

#include "mem/types.h"

/* Moves one guest, with those that go with it, out of the next host; returns the bytes copied, 0
 * when there is no guest left that has a hole to go to. */
uint64_t rehome_next(snug_heap *heap);

/* Whether all hosts were visited in this defragmentation, or there are none. */
static inline bool rehome_is_over(const snug_heap *heap) {
	return heap->hosts == 0 || heap->defragment.rehome_cursor == 0;
}

#endif
