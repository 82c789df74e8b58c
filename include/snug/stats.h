/* snug/stats.h: what a heap holds, how it is fragmented, whether all invariants hold, and a map of
 * it.
 *
 *     snug_stats stats;                                        // of snug_heap *heap
 *     if (snug_stats_get(heap, &stats) != SNUG_OK) return 1;
 *     printf("%llu objects, %.1f %% of the memory is theirs\n", (unsigned long long)stats.objects, 100 * stats.utilisation);
 *     snug_check_result result;
 *     if (snug_check(heap, &result) != SNUG_OK) printf("law %s: %s\n", result.law, result.message);
 *
 * How they hang together:
 *
 *     limit >= committed + metadata + charged
 *     committed = slab pages + free pages
 *     slab bytes = payload + internal waste + holes + page ends
 *
 * All figures are of one instant. */
#ifndef SNUG_STATS_H
#define SNUG_STATS_H

#include <snug/error.h>
#include <snug/heap.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct snug_pool_stats {
	uint64_t objects;       /* live slots; in the large pool fragments */
	uint64_t payload_bytes; /* what the owner asked for */
	uint64_t slot_bytes;    /* the slots that hold it */
	uint64_t slab_bytes;    /* the pages of the pool's slabs */
	uint64_t hole_bytes;    /* free slots in those slabs */
	/* whole pages that compaction would free now, without merging classes */
	uint64_t reclaimable_bytes;
	uint32_t slabs;
	uint32_t pinned_slabs;
	uint32_t active_classes;
	double internal_fragmentation; /* 1 - payload / slot bytes; 0 when empty */
	double external_fragmentation; /* hole bytes / slab bytes; 0 when empty */
	uint64_t reserved[2];          /* 0 */
} snug_pool_stats;

typedef struct snug_stats {
	uint64_t limit_bytes;
	uint64_t limit_goal_bytes; /* what it was set to: less, while more is in use */
	uint64_t page_bytes;
	/* what can go back to the OS at the least: page_bytes, or 2 MiB with huge pages */
	uint64_t return_unit_bytes;
	uint64_t committed_bytes; /* pages taken from the OS and not returned */
	uint64_t metadata_bytes;  /* the heap's tables */
	/* memory of the owner's that counts towards the limit: snug_heap_charge */
	uint64_t charged_bytes;
	uint64_t free_page_bytes; /* committed pages that belong to no slab */
	uint64_t available_bytes; /* free pages plus what the limit still allows to commit */
	uint64_t peak_bytes;      /* the most that committed + metadata + charged ever were */
	uint64_t objects;         /* live objects (a large one counts once) */
	uint64_t pinned_objects;
	uint64_t pinned_bytes; /* their payload */
	double utilisation;    /* payload / (committed + metadata); 0 when empty */
	/* Since creation: */
	uint64_t allocations;
	uint64_t frees;
	uint64_t failed_allocations;
	/* times that an allocation or resize looked for room beyond holes and free pages */
	uint64_t compacting_allocations;
	uint64_t moves; /* slots copied, by whatever asked for it */
	uint64_t moved_bytes;
	uint64_t reclaimed_bytes;
	uint64_t returned_bytes;
	uint64_t defragmentations;
	uint64_t late_steps;  /* of defragmentations: took more than twice the step_ns asked for */
	uint64_t lent_slots;  /* holes of plain objects' slabs in which pieces of others lie */
	uint64_t reserved[4]; /* 0 */
	snug_pool_stats total;
	snug_pool_stats pool[SNUG_POOL_COUNT];
} snug_stats;

/* A snapshot; some hundred nanoseconds. NULL, WRONG_THREAD. */
SNUG_NODISCARD snug_error snug_stats_get(snug_heap *heap, snug_stats *out);

/* Walks everything, counts again from the bitmaps and compares with every counter. SNUG_OK, or
 * SNUG_ERROR_CORRUPT with the law that broke (docs/invariants.md) and stored against counted,
 * logged too at SNUG_LOG_ERROR. `out` may be NULL. Time: proportional to the heap; for tests and
 * for doubt. */
typedef struct snug_check_result {
	char law[8]; /* "S1" */
	char message[160];
} snug_check_result;
snug_error snug_check(snug_heap *heap, snug_check_result *out);

/* The same in slices: begin, then step until `*done`, then end, which tells what was found:
 * SNUG_OK, CORRUPT, or CANCELLED if it was not done. A step ends when step_ns have passed, to a few
 * microseconds; the last one adds up, at some 50 us a GiB. In between the owner may do anything.
 * Each slab, region and table entry is seen at an instant of its own, sums of counters at one; sums
 * over all objects are compared by snug_check alone: docs/invariants.md. BUSY: one is under way.
 * NOT_RUNNING, BUDGET_ZERO, NULL. */
SNUG_NODISCARD snug_error snug_check_begin(snug_heap *heap);
SNUG_NODISCARD snug_error snug_check_step(snug_heap *heap, uint64_t step_ns, bool *done);
SNUG_NODISCARD snug_error snug_check_end(snug_heap *heap, snug_check_result *out);

/* Writes the memory map as JSON through `write`, which returns false to stop (SNUG_ERROR_WRITE):
 * {"page_bytes":N,"limit_bytes":N,"pages":[{"page":0,"state":"slab","pool":"small","slot_bytes":100,"slots":163,"live":160,
 * "pinned":0},{"page":1,"state":"free"},...]}. States: slab, victim, target (takes a relocated
 * victim's place: the two are one slab), stacked, free, and cold (not committed: returned, or never
 * used). Regions never used are not listed. */
typedef bool (*snug_write_function)(void *context, const char *text, size_t length);
SNUG_NODISCARD snug_error snug_dump(snug_heap *heap, snug_write_function write, void *context);

#ifdef __cplusplus
}
#endif
#endif
