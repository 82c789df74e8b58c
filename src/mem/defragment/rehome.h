/* mem/defragment/rehome.h: guests go back into slots of their own, so that hosts are slabs again
 * (mem/slab/host.h).
 *
 *   host         [ resident | g1 |t] [ g2 |t] [ g3 |t]      g1 -> g2 -> g3 -> rest
 *   fragments'   [          g1 g2 g3            |t]         one slot -> rest
 *
 * An object that fits one slot of its own class goes there whole, and has one address again.
 * Otherwise neighbouring guests of it are gathered, up to a page, so it has fewer fragments
 * afterwards. They take holes that their class would gain no page by, and free pages where there
 * is no such hole. So what a defragmentation can gain only grows by it; the pages that it takes are
 * reported apart. It comes first, because compaction leaves no holes; and again after it, into the
 * pages that were gained.
 *
 * Where there is neither, a host's guests go one by one into the empty slots of its class's other
 * hosts, if these have one for each: it is a slab again, and what is free in it makes pages. A host
 * with pins stays. */
#ifndef SNUG_MEM_REHOME_H
#define SNUG_MEM_REHOME_H

#include "mem/types.h"

/* From the first host on, whatever was visited before. */
void rehome_begin(snug_heap *heap);

/* A unit of that work: looks at some slots of the next host, and moves at most one guest with those
 * that go with it; returns the bytes copied. */
uint64_t rehome_next(snug_heap *heap);

/* Whether all hosts were visited in this lap, or there are none. */
static inline bool rehome_is_over(const snug_heap *heap) {
	return heap->hosts == 0 || heap->defragment.rehome_cursor == 0;
}

#endif
