/* work/policy/spare.h: how much free memory a heap should keep, and when what it has beyond that is
 * worth giving back. Pure functions over one small struct; the clock is the caller's.
 *
 *     committed pages
 *     |---- needed ----|-- holes that make pages --|-- free pages --|
 *                      |------ kept ------|------- spare ----------|
 *
 *     kept = the largest of   what was needed at most, lately      (a cache that breathes)
 *                             what was allocated lately            (a cache that is churned)
 *                             what the caller wants kept           (an option)
 *
 * LATELY: both figures fall by a quarter each second, so a tenth is left after eight seconds, and a
 * hundredth after sixteen. (jemalloc lets unused pages decay over ten seconds in the same sense.)
 * So what is freed and used again within some seconds stays, and what nobody comes for goes little
 * by little, without a moment at which all of it goes.
 *
 * HYSTERESIS: nothing is given back until the spare memory is a sixteenth of the slabs, and a
 * quarter of a MiB at least; then all of it is. In steady churn the holes are spare by this count,
 * and to compact them would be for nothing, for they are filled again; what is allocated lately
 * covers them. */
#ifndef SNUG_WORK_SPARE_H
#define SNUG_WORK_SPARE_H

#include <snug/defragment.h>
#include <snug/stats.h>
#include <stdbool.h>

/* All zero before the first look. Owner only. */
struct spare {
	uint64_t looked_ns;
	uint64_t needed_bytes;    /* the most that was, falling */
	uint64_t allocated_bytes; /* lately, falling */
	uint64_t allocations;     /* by the last look */
	uint64_t object_bytes;    /* of the mean object, when there last were some */
};

/* Notes what the heap holds now; tells how many free bytes it should keep. `keep_bytes`: at least;
 * SNUG_NO_BUDGET: all. Any number of looks a second. */
uint64_t spare_look(struct spare *spare, const snug_stats *stats, uint64_t keep_bytes,
					uint64_t now_ns);

/* What it has beyond that, in free pages and in holes that make pages. */
uint64_t spare_bytes(const snug_stats *stats, uint64_t kept_bytes);

/* And it is worth a run. */
bool spare_is_much(const snug_stats *stats, uint64_t kept_bytes);

/* Nothing more can become spare by time alone. */
bool spare_is_settled(const struct spare *spare, const snug_stats *stats);

/* The options of a defragmentation that gives the spare memory back: whole units, and what is left
 * of less than two of them by the page, where pages can go. */
void spare_set_return(snug_defragment_options *options, const snug_stats *stats,
					  uint64_t kept_bytes);

#endif
