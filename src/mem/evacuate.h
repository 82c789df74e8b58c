/* mem/evacuate.h: the only code that moves objects.
 *
 * One slab at a time is the victim. A batch collects some of its live slots, reserves a hole for each, and only then copies and
 * tells whoever holds the reference. Before a move the source is live and its owner points at it; after it the source is dead
 * and the owner points at the copy.
 *
 *   victim   [x.x....x....]      holes of the victim are not handed out; slots freed in it meanwhile shrink the work
 *             | |    |
 *   target   [xxxxxxXXxXxx]      the fullest slabs, and first those that pins keep in place anyway
 *
 * Between two batches the owner may allocate, and so take the holes that the victim counted on. Then the victim is abandoned:
 * it goes back on its list with what is left in it. */
#ifndef SNUG_MEM_EVACUATE_H
#define SNUG_MEM_EVACUATE_H

#include "mem/types.h"

#define ALL_POOLS ((1u << SNUG_POOL_COUNT) - 1)

/* Makes the most promising slab the victim; false if no page can be gained. May give pages back without any move. */
bool victim_pick(snug_heap *heap, uint32_t pool_mask);

/* As victim_pick, but the last slab of a class may go to the holes of classes up to 1/8 larger, if that wastes less than a quarter
 * of the page it gains. The least wasteful one is chosen. */
bool victim_pick_merge(snug_heap *heap, uint32_t pool_mask);

/* Makes the slab the victim, and the blank page its target: see mem/drain.h. Its magazine is empty. */
void victim_relocate(snug_heap *heap, struct size_class *class, page_number number, page_number target);

/* Moves slots out of the victim until `byte_budget` is reached (the last move may exceed it) or the batch is full; releases the
 * victim when it is empty, abandons it when there is no hole left. Returns the bytes copied. There must be a victim. */
uint64_t victim_evacuate(snug_heap *heap, uint64_t byte_budget, bool merge);

/* Gives the emptied victim's page back. */
void victim_release(snug_heap *heap);

/* Puts the victim back on its list: because the work ends here; and because its holes were taken, which is counted. */
void victim_put_back(snug_heap *heap);
void victim_abandon(snug_heap *heap);

/* Slabs of this class that compaction would free now, by counting alone; and without regard to pins. */
uint64_t class_reclaimable(const snug_heap *heap, const struct size_class *class);
uint64_t class_reclaimable_unpinned(const struct size_class *class);

#endif
