/* mem/defragment/estimate.h: what compaction would gain and cost, by counting; with the map of this
 * room.
 *
 *   defragment.c   what the owner calls: begin, step, end; the account of it
 *   phases         what each phase does, unit by unit; pace.h, how much fits into what is left of a step
 *   drain          whole regions are emptied, so that they can go back to the OS
 *   evacuate       the code that moves objects out of a slab; copy.h, one slot
 *   choose         which slab to empty next, and how many pages that gains
 *   rehome         pieces that lie in lent holes go back into slots of their own; relink.h, who is told
 *   estimate       what all of it would gain and cost
 *   stats.c        the figures of the heap
 *
 * drain, evacuate and rehome move, choose and estimate only look. */
#ifndef SNUG_MEM_ESTIMATE_H
#define SNUG_MEM_ESTIMATE_H

#include "mem/types.h"

/* Pages that compaction frees in this heap now; and those it would if nothing were pinned. One pass
 * over the active classes. */
uint64_t reclaimable_pages(const snug_heap *heap, uint32_t pool_mask, uint64_t *unpinned_pages);

/* Options as given, or the defaults for NULL, checked and with a mask of pools. OPTION,
 * BUDGET_ZERO. */
snug_error defragment_options_check(const snug_defragment_options *given,
									snug_defragment_options *out);

#endif
