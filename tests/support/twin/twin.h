/* twin.h: a heap and its naive twin, kept in step and compared.
 *
 * The twin is a table of malloc'ed copies, one row for each live object. Every operation of this
 * header does the same to the heap and to the table, requires the answer that the public headers
 * promise, and compares. It serves the model test, the fault sweep, the fuzz targets and the laws,
 * in the three ways in which a heap can name its objects:
 *
 *     TWIN_HANDLES           the handle never changes
 *     TWIN_REFERENCES        the twin is the owner: `moved` finds the row by the old reference and
 *                            compares the bytes at once
 *     TWIN_REFERENCES_SIZED  the same, and each object begins with its size (4 bytes), which
 *                            size_of reads
 *
 *     twin.c             the operations
 *     twin_defragment.c  defragmentations, against a second account
 *     twin_compare.c     what must be equal at any moment
 *     operations.h       random operations on a twin
 *     name_index.h       from a name to a row
 *     recount.h          the pages counted again, from the map that snug_dump writes
 *
 * Rows are dense: the last one takes a freed one's place, so `index < twin->count` names any live
 * object. */
#ifndef SNUG_TEST_TWIN_H
#define SNUG_TEST_TWIN_H

#include "support/test_random.h"
#include "support/twin/name_index.h"
#include "support/twin/recount.h"

#include <snug/snug.h>

#include "os/fake.h"

typedef enum twin_naming { TWIN_HANDLES, TWIN_REFERENCES, TWIN_REFERENCES_SIZED } twin_naming;

#define TWIN_SIZED_MIN_BYTES 4u /* the smallest object that can carry its own size */
#define TWIN_STALE_HANDLES 64u

typedef struct twin_object {
	uint64_t name; /* handle or reference */
	size_t size;
	unsigned char *bytes;
	uint32_t pins;
	uint32_t alignment; /* 1, 8, 16 */
	bool contiguous;
	/* its bytes are still undefined: between the allocation and the first write */
	bool unwritten;
	uint64_t pinned_places; /* hash of its extents, taken at the first pin */
} twin_object;

/* What happened, so that a test can require that something did. */
typedef struct twin_counters {
	uint64_t allocations;
	uint64_t frees;
	uint64_t failed_allocations; /* NO_MEMORY or OS_MEMORY */
	uint64_t moved_calls;
	uint64_t resizes_in_place; /* the address of the first byte stayed */
	uint64_t resizes_moved;
	uint64_t resizes_failed;
	uint64_t fragmented_allocations;
	uint64_t reentries_tried;
	uint64_t bytes_compared;
	uint64_t reports_with_moves; /* defragmentations that moved objects */
	uint64_t reports_nothing;
	uint64_t reports_nothing_pinned;
	uint64_t reports_partial;
	uint64_t relocated_objects;
	uint64_t abandoned_slabs;
	uint64_t released_slabs;
	uint64_t exact_estimates; /* estimates compared with what then happened */
} twin_counters;

/* A defragmentation in slices, and the second account of it, counted from the map around each
 * call. */
typedef struct twin_defragmentation {
	bool running;
	bool done;
	snug_defragment_options options;
	uint64_t reclaimed_bytes; /* by begin, steps and end alone */
	uint64_t moved_bytes;
} twin_defragmentation;

struct twin {
	snug_heap *heap;
	twin_naming naming;
	snug_heap_options options;
	struct fake_os *fake; /* NULL: the heap is on Linux */
	uint64_t pattern;     /* what the next fill writes */
	twin_object *objects;
	size_t count;
	size_t room;
	name_index names;
	uint64_t payload_bytes;
	uint64_t pinned_objects;
	uint64_t pinned_bytes;
	snug_handle stale[TWIN_STALE_HANDLES]; /* freed handles, a ring */
	uint32_t stale_count;
	/* require that a refused allocation could not have been gathered (off while the OS refuses
	 * memory) */
	bool law_seven;
	bool reenter;         /* the next callback tries to call into the heap */
	bool in_call;         /* objects may move now: a callback at any other time is an error */
	snug_extent *extents; /* scratch */
	size_t extent_room;
	twin_defragmentation defragmentation;
	twin_counters counters;
};

/* Fills in `options`' owner, and its os when a fake is given. The answer is snug_heap_create's; on
 * an error there is nothing to destroy. */
snug_error twin_create(struct twin *twin, twin_naming naming, const snug_heap_options *options,
					   struct fake_os *fake);
/* Unpins and frees all objects, requires the heap to be empty, destroys both. */
void twin_destroy(struct twin *twin);

/* Allocates and fills. `options` may be NULL. The new row is the last one. */
snug_error twin_alloc(struct twin *twin, size_t size, const snug_alloc_options *options);
/* `count` objects at once (by handle: one after the other, as far as it goes). */
snug_error twin_alloc_batch(struct twin *twin, const size_t *sizes, size_t count);
/* PINNED is required for a pinned object, which then stays. */
snug_error twin_free(struct twin *twin, size_t index);
/* Frees rows first .. first + count - 1: all, or none if one is pinned. */
snug_error twin_free_batch(struct twin *twin, size_t first, size_t count);
/* Unpins and frees everything. */
void twin_free_all(struct twin *twin);
snug_error twin_resize(struct twin *twin, size_t index, size_t size);
/* The range must lie in the object. */
void twin_read(struct twin *twin, size_t index, size_t offset, size_t length);
void twin_write(struct twin *twin, size_t index, size_t offset, size_t length);
void twin_view(struct twin *twin, size_t index, size_t offset, size_t length);
/* Ranges beyond the object, and too few extents, are refused. */
void twin_refuse_ranges(struct twin *twin, size_t index);
snug_error twin_pin(struct twin *twin, size_t index);
/* NOT_PINNED is required for an object without a pin. */
snug_error twin_unpin(struct twin *twin, size_t index);
/* Freed and forged handles are refused by every function. Nothing in reference mode, where
 * references are trusted. */
void twin_refuse_stale(struct twin *twin, test_random *random);

/* ------------------------------------------------------------------ comparing (twin_compare.c)  */

/* Every byte, size, alignment, contiguity, and for a pinned object its addresses. */
void twin_compare_object(struct twin *twin, size_t index);
void twin_compare_all(struct twin *twin);
/* snug_check, and the statistics against the table's. */
void twin_check(struct twin *twin);
/* The statistics' equations and the table's sums. */
void twin_compare_stats(struct twin *twin, const snug_stats *stats);
/* The statistics against the map. */
void twin_compare_recount(struct twin *twin);
/* Requires that the heap cannot gather room for `size` bytes, after it was refused. */
void twin_require_full(struct twin *twin, size_t size);
/* The addresses and lengths of an object's extents, hashed. */
uint64_t twin_places(struct twin *twin, size_t index);
/* The address of the first byte. */
unsigned char *twin_address(struct twin *twin, size_t index);

/* --------------------------------------------------------- defragmentation (twin_defragment.c)  */

/* Estimates, defragments, recounts, and requires the report's laws. */
void twin_defragment(struct twin *twin, const snug_defragment_options *options);
/* The same in slices; operations may come between. */
void twin_begin(struct twin *twin, const snug_defragment_options *options);
void twin_step(struct twin *twin);
/* Ends, or cancels if it was not done. */
void twin_end(struct twin *twin);
/* An estimate touches nothing. */
void twin_estimate(struct twin *twin, const snug_defragment_options *options,
				   snug_estimate_report *out);

#endif
