/* mem/defragment/pace.h: how much of a kind of work fits into what is left of a step.
 *
 *   0                                               step_ns                            2 * step_ns
 *   | unit | unit | unit | unit | unit | too little |                                            |
 *                                      ^ the step ends here          a step that ends here is late ^
 *
 * A unit is counted in slots or pages, and a step is bounded in time. What one of them takes is
 * known by nobody: a slot of 100 bytes is moved in 50 ns where all that it touches is in the cache,
 * and in ten times that in a heap of some GiB, in which each of source, hole, descriptor and the
 * owner's table is a miss of the cache and of the address translation. So it is measured. Each kind
 * of unit knows what its items took lately; the next unit has as many as fit into a part of the
 * step, and into what is left of it. A unit of which not even one item fits is not begun.
 *
 * So a step ends before its time, as a rule, and only what takes longer by a whole step than was
 * to be expected makes it late.
 *
 * What is kept follows what is measured upwards by half and downwards by a quarter: it is nearer to
 * the dear ones. One measurement counts as eight times what was kept at most, so that an
 * interruption is forgotten after some units.
 *
 * Pure: no clock and no heap in here. */
#ifndef SNUG_MEM_PACE_H
#define SNUG_MEM_PACE_H

#include "base/assert.h"
#include "base/bits.h"
#include "mem/types.h"

#define PACE_EIGHTHS 4u     /* of a step: a unit is to take so many at most */
#define PACE_REST_PARTS 16u /* of a step: with less than one left it ends */
#define PACE_GUESS_NS 2000u /* an item, before any was measured */
#define PACE_LEAST_NS 16u   /* an item */
#define PACE_RISE_PARTS 2u  /* of the difference to what was measured, upwards */
#define PACE_FALL_PARTS 4u  /* and downwards */
#define PACE_RISE_MAX 8u    /* times what was kept: more is not believed at once */

/* Of a kind of unit. All zero: most kinds. */
struct pace_shape {
	uint32_t eighths; /* of a step that it may take; 0: PACE_EIGHTHS */
	uint32_t
		fixed_items; /* what it costs beside its items, counted as such: of a call of the system */
};

/* What one item is expected to take. */
static inline uint64_t pace_item_ns(const struct pace *pace) {
	return pace->item_ns == 0 ? PACE_GUESS_NS : pace->item_ns;
}

/* How many items the next unit has, of a step of `step_ns` of which `left_ns` are left: at least 1. */
static inline uint32_t pace_items(const struct pace *pace, struct pace_shape shape,
								  uint64_t step_ns, uint64_t left_ns) {
	SNUG_ASSERT(left_ns <= step_ns && shape.eighths <= 8);
	uint64_t part_ns = step_ns / 8 * (shape.eighths == 0 ? PACE_EIGHTHS : shape.eighths);
	uint64_t items = smaller(smaller(part_ns, left_ns) / pace_item_ns(pace), UINT32_MAX);
	return (uint32_t)larger(items - smaller(items, shape.fixed_items), 1);
}

/* Whether a unit is begun at all: not for less than costs as much as what comes with it. */
static inline bool pace_fits(const struct pace *pace, struct pace_shape shape, uint64_t step_ns,
							 uint64_t left_ns) {
	uint64_t least_ns = larger(1, 2 * shape.fixed_items) * pace_item_ns(pace);
	return left_ns > 0 && left_ns >= step_ns / PACE_REST_PARTS && left_ns >= least_ns;
}

/* So many items took so long. */
static inline void pace_note(struct pace *pace, struct pace_shape shape, uint32_t items,
							 uint64_t took_ns) {
	SNUG_ASSERT(items > 0);
	uint64_t kept_ns = pace_item_ns(pace);
	uint64_t item_ns = took_ns / ((uint64_t)items + shape.fixed_items);
	item_ns = smaller(item_ns, PACE_RISE_MAX * kept_ns);
	if (item_ns > kept_ns)
		kept_ns += divide_up(item_ns - kept_ns, PACE_RISE_PARTS);
	else
		kept_ns -= (kept_ns - item_ns) / PACE_FALL_PARTS;
	pace->item_ns = (uint32_t)smaller(larger(kept_ns, PACE_LEAST_NS), UINT32_MAX);
}

#endif
