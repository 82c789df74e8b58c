/* mem/defragment/phases.h: the work of a step, unit by unit: the clock is looked at between two. */
#ifndef SNUG_MEM_PHASES_H
#define SNUG_MEM_PHASES_H

#include "mem/types.h"

/* What a step may do besides copying, whatever its time: phases.c says what costs how many. */
#define ROUNDS_A_STEP 256u

/* What one step may still do. */
struct allowance {
	uint64_t bytes;
	uint64_t step_ns;     /* what it may take, and */
	uint64_t deadline_ns; /* when that is over; UINT64_MAX: it has no bound in time */
	uint64_t looked_ns;   /* at the clock, last */
	uint32_t rounds;
	uint32_t items;       /* that the next unit may have: slots, pages, classes; */
	uint32_t had;         /* and that it had; at least 1 */
	bool is_first;        /* nothing was done in this step yet */
	bool ends_relocation; /* the budget is used up, and a slab is half relocated */
	bool used_up;
};

static inline uint64_t defragment_now_ns(const snug_heap *heap) {
	return heap->arena.os->now_ns(heap->arena.os->context);
}

static inline uint64_t bytes_of_pages(const snug_heap *heap, uint64_t pages) {
	return pages << heap->arena.page_shift;
}

static inline bool allowance_is_timed(const struct allowance *allowance) {
	return allowance->deadline_ns != UINT64_MAX;
}

/* One unit of the phase, as large as what such units took lately lets it be. */
void unit_run(snug_heap *heap, struct allowance *allowance);

/* Whether the next unit is expected to be done in the step's time. */
bool unit_fits(const snug_heap *heap, const struct allowance *allowance);

/* Compaction has come to its end, or to its goal: the phases behind it follow. There is no victim. */
void compaction_end(snug_heap *heap);

/* Whether there are guests that this defragmentation may take home; and the phase that does. */
bool lap_is_possible(const snug_heap *heap);
void lap_begin(snug_heap *heap);

/* What return_bytes asks for and was not returned yet; also in this step. */
uint64_t return_wanted_bytes(const snug_heap *heap);

#endif
