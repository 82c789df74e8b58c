/* mem/defragment/drain.h: empties whole 2 MiB regions, so that they can go back to the OS.
 *
 * Compaction frees pages wherever its victims lay: after it, every region may have some free pages
 * and none be free. What can be returned is whole regions (part of a huge page never is), so the
 * emptiest one is drained: its slabs are relocated, one by one, to free pages of the fuller ones.
 *
 *   before   [x.xx.x..] [xxxx.xxx] [.xxxxxx.]        after   [........] [xxxxxxxx] [xxxxxxxx]
 *             emptiest                                        returned
 *
 * A relocated slab is the victim, its new page the target: an object in slot n goes to slot n. No
 * hole is needed and none is lost, and the two pages count as one slab until the victim is empty;
 * so it gains no page and costs none. It copies less than it returns: a region with a share u of
 * used pages costs u of 2 MiB. Regions with pinned objects or hosts are passed over.
 *
 * In a heap of 256 MiB live in 512 MiB compaction alone reclaimed 53.7 MiB and could return
 * nothing; draining copied 39.3 MiB and returned 52.2 MiB (docs/design/0003). */
#ifndef SNUG_MEM_DRAIN_H
#define SNUG_MEM_DRAIN_H

#include "mem/types.h"

enum drain_result {
	/* no region can be emptied, or too few pages are free to leave `retain_bytes` when it is
	 * returned */
	DRAIN_NOTHING,
	/* the region was given up; or slabs were found empty, and what they left is to be coalesced
	 * first */
	DRAIN_AGAIN,
	DRAIN_VICTIM, /* there is a victim with a target, for victim_evacuate */
	DRAIN_EMPTY   /* a region is wholly free */
};

/* The next slab of the region that is being drained, or of the next one. There is no victim, and no
 * page is stacked. */
enum drain_result drain_next(snug_heap *heap, uint64_t retain_bytes);

#endif
