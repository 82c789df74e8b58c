/* snug/defragment.h: making free memory whole again, and the exact account of it.
 *
 * A defragmentation coalesces (takes cached free slots back, gives empty slabs up, merges free
 * pages into runs), then compacts (moves the objects of the emptiest slabs into holes of the
 * fullest ones, until no further whole page can be gained), then returns whole free 2 MiB units to
 * the OS as far as asked, in an emergency smaller runs of pages too. Each move fills a hole: at
 * most one byte is copied for each byte of page gained. It starts only if a page is certain to be
 * gained, and so it always ends.
 *
 * What an allocation's last resort stored in pieces in other objects' slabs (snug_stats.lent_slots)
 * goes into slots of its own before compaction, or together into fewer of those slabs, and is
 * reported apart. The pages gained let more of it go, so both are repeated, 8 times at most, until
 * no page more is gained. Tables that became smaller are given back at the end.
 *
 * Whole, or in slices with other work in between:
 *
 *     snug_report report;                                      // of snug_heap *heap
 *     if (snug_defragment(heap, NULL, &report) != SNUG_OK) return 1;
 *     printf("%s: %llu bytes reclaimed\n", snug_outcome_text(report.outcome), (unsigned long long)report.reclaimed_bytes);
 *
 *     bool done = false;
 *     if (snug_defragment_begin(heap, NULL) != SNUG_OK) return 1;
 *     while (!done)
 *         if (snug_defragment_step(heap, &done) != SNUG_OK) return 1;
 *     if (snug_defragment_end(heap, &report) != SNUG_OK) return 1;
 *
 * Between two steps the owner may do anything but begin another one; what it allocates may take
 * holes the work counted on, which then gains less. End before done cancels: the report says
 * partial, and what was gained stays gained. */
#ifndef SNUG_DEFRAGMENT_H
#define SNUG_DEFRAGMENT_H

#include <snug/error.h>
#include <snug/heap.h>
#include <snug/stats.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum snug_defragment_mode {
	SNUG_COMPACT, /* coalesce, compact, return */
	SNUG_COALESCE /* coalesce and return only: no object moves */
} snug_defragment_mode;

#define SNUG_POOL_BIT(pool) (1u << (pool))
#define SNUG_STEP_BYTES_DEFAULT ((size_t)4096)
#define SNUG_NO_BUDGET UINT64_MAX

/* Begin with snug_defragment_options_default, then change. It may grow at its end: snug/version.h.
 * The defaults: everything, all pools, in steps of SNUG_STEP_BYTES_DEFAULT without any other bound;
 * nothing is returned to the OS. */
typedef struct snug_defragment_options {
	size_t struct_bytes; /* set by snug_defragment_options_init */
	snug_defragment_mode mode;
	uint32_t pool_mask; /* of SNUG_POOL_BIT(); 0: all */
	/* A step ends after the move that reaches step_bytes, so it copies less than step_bytes plus
	 * one slot (at most a page); and before a unit of work that does not fit into what is left of
	 * step_ns, by what such units took lately. A unit is a few microseconds whatever the heap's
	 * size: at most 4 KiB and 32 moves, 64 KiB returned to the OS, a pass over the size classes;
	 * less of it where it takes longer than half of step_ns. One is done in any case. So from
	 * 10 us up no step takes more than twice step_ns on a quiet machine; those that do are counted
	 * in late_steps. With huge pages a unit of 2 MiB is returned in one call; of what was collapsed
	 * into huge pages the first part that goes costs 0.1 ms more. */
	uint64_t step_bytes;
	uint64_t step_ns;
	/* The whole: stops, partial, once so much was copied, or so much time spent inside steps. */
	uint64_t budget_bytes;
	uint64_t budget_ns;
	uint64_t target_bytes; /* stops, complete, once so much was reclaimed */
	/* Also empty the last slab of a size class into holes of a class up to 1/8 larger: gains up to
	 * a page per class at the price of internal fragmentation. An allocation without any other way
	 * out does this by itself. */
	bool merge_classes;
	/* Free bytes beyond this go back to the OS, in whole units of 2 MiB. Where they lie scattered,
	 * a complete compaction of all pools is followed by draining: slabs of the emptiest units are
	 * relocated until one is free. SNUG_NO_BUDGET: nothing is returned. */
	uint64_t retain_bytes;
	/* For a machine that needs memory now: so many free bytes go back to the OS whatever
	 * retain_bytes says, a page at a time if need be (with huge pages whole units only, drained if
	 * need be). 0: none. */
	uint64_t return_bytes;
} snug_defragment_options;

void snug_defragment_options_init(snug_defragment_options *options, size_t struct_bytes);
static inline snug_defragment_options snug_defragment_options_default(void) {
	snug_defragment_options made;
	snug_defragment_options_init(&made, sizeof made);
	return made;
}

/* Why it stopped, in words: snug_outcome_text. */
typedef enum snug_outcome {
	/* Nothing more to gain, or as much gained as could be when it began: it does not run after
	 * holes that its owner makes meanwhile. */
	SNUG_OUTCOME_DONE,
	/* nothing to reclaim: less than a page of holes in each size class (free units may be
	 * returned) */
	SNUG_OUTCOME_NOTHING,
	SNUG_OUTCOME_NOTHING_PINNED, /* what could be gained lies in slabs that hold pinned objects */
	SNUG_OUTCOME_TARGET,         /* target_bytes reached */
	SNUG_OUTCOME_BUDGET,         /* partial: budget_bytes or budget_ns used up */
	SNUG_OUTCOME_CANCELLED,      /* partial: ended before it was done */
	SNUG_OUTCOME_COUNT
} snug_outcome;

const char *snug_outcome_text(snug_outcome outcome);

/* Exact, to the byte; a test recounts it from the bitmaps. */
typedef struct snug_report {
	snug_outcome outcome;
	bool complete;            /* false: partial, see outcome */
	bool compacted;           /* the mode was SNUG_COMPACT */
	uint64_t coalesced_bytes; /* free pages that were merged into runs */
	/* slab pages before - after: whole pages gained, by these steps alone. (See rehome_slab_bytes,
	 * below, where there were lent slots.) */
	uint64_t reclaimed_bytes;
	uint64_t coalesce_reclaimed_bytes; /* the part of it that came of coalescing, before any move */
	/* Pages, handed back to the OS. Tables that got smaller: the difference of metadata_bytes in
	 * `before` and `after`. */
	uint64_t returned_bytes;
	/* times that the OS did not take it: the memory is locked, perhaps */
	uint64_t returns_refused;
	uint64_t moved_objects; /* slots copied: objects, or fragments of large ones */
	uint64_t moved_bytes;   /* bytes copied */
	/* slots copied besides, slab by slab, to empty units of 2 MiB; */
	uint64_t relocated_objects;
	uint64_t relocated_bytes; /* their bytes: less than is returned, when it is complete */
	uint64_t released_slabs;
	/* that the owner's calls between two steps emptied, finished or made pointless */
	uint64_t abandoned_slabs;
	uint64_t pinned_objects; /* at the end, in the pools in scope: pinned objects, their bytes, */
	uint64_t pinned_bytes;
	uint64_t pinned_slabs; /* and slabs skipped for them */
	/* reclaimable if nothing were pinned, less what was reclaimable: lost to pins */
	uint64_t unmovable_bytes;
	uint64_t steps;
	uint64_t total_ns; /* from begin to end */
	uint64_t work_ns;  /* inside the steps */
	uint64_t longest_step_ns;
	snug_stats before; /* when it began and when it ended: fragmentation per pool */
	snug_stats after;
	/* steps that took more than twice step_ns: the system was slow, or other programs had the
	 * processor */
	uint64_t late_steps;
	/* pieces that lay in lent holes (snug_stats.lent_slots) and went into slots of their own, or into
	 * another slab's holes so that theirs is whole again; their bytes; and the slab pages taken for
	 * them: so the slab pages before - after are reclaimed_bytes less these */
	uint64_t rehomed_objects;
	uint64_t rehomed_bytes;
	uint64_t rehome_slab_bytes;
	uint64_t reserved[2]; /* 0 */
} snug_report;

/* NULL options: the defaults. NULL (heap, report), VERSION, OPTION (mode, pool_mask), BUDGET_ZERO
 * (step_bytes, step_ns, budget_*, target_bytes), BUSY, REENTERED, WRONG_THREAD. Having nothing to
 * gain is SNUG_OK and 0 bytes with the reason. */
SNUG_NODISCARD snug_error snug_defragment(snug_heap *heap, const snug_defragment_options *options,
										  snug_report *report);

SNUG_NODISCARD snug_error snug_defragment_begin(snug_heap *heap,
												const snug_defragment_options *options);
/* `*done`: nothing left to do. NOT_RUNNING. */
SNUG_NODISCARD snug_error snug_defragment_step(snug_heap *heap, bool *done);
/* Ends or cancels; what is cancelled amid a relocation (retain_bytes) copies the rest of that slab
 * first, at most a page. NOT_RUNNING. */
SNUG_NODISCARD snug_error snug_defragment_end(snug_heap *heap, snug_report *report);

/* What a defragmentation with these options would do now; touches nothing. One pass over the size
 * classes: microseconds, whatever the heap's size. */
typedef struct snug_estimate_report {
	/* Exact while nothing is allocated or freed in between; at least, where there are lent slots.
	 * What merge_classes adds is not counted. */
	uint64_t reclaimable_bytes;
	/* the part of it that needs no move: exact in mode SNUG_COALESCE, else at least */
	uint64_t coalesce_bytes;
	/* at most, but where there are lent slots; of each slab known to a sixteenth of its slots */
	uint64_t moves;
	uint64_t move_bytes;
	uint64_t free_bytes; /* resident and free already: return_bytes up to this costs no move */
	/* what would come free besides, if all objects went but those in slabs with pinned ones */
	uint64_t evictable_bytes;
	/* Both about right, not exact: what can go back to the OS beyond retain_bytes, and what must be
	 * copied to empty those units. Where retain_bytes says that nothing is returned: what could go
	 * back if it were 0; then neither is part of the steps and the time below. */
	uint64_t returnable_bytes;
	uint64_t relocate_bytes;
	uint64_t steps;
	uint64_t predicted_ns; /* from the speed measured so far on this heap */
	uint64_t longest_step_ns;
	uint64_t pinned_bytes;    /* of pinned objects, in the pools in scope */
	uint64_t unmovable_bytes; /* what could be reclaimed besides, were nothing pinned */
	snug_outcome outcome;     /* DONE, or why nothing can be gained */
	uint64_t reserved[6];     /* 0 */
} snug_estimate_report;

SNUG_NODISCARD snug_error snug_estimate(snug_heap *heap, const snug_defragment_options *options,
										snug_estimate_report *out);

#ifdef __cplusplus
}
#endif
#endif
