/* mem/check/check.h: the walkers. Each counts again from primary data (bitmaps, trailers, entries)
 * and compares with what is stored. They change nothing and never abort; the first broken law is
 * reported by its number in docs/invariants.md, with what was stored and what was counted.
 *
 *   check.c, check_steps.c                   all laws at once; the same in slices
 *   check_arena, check_slabs, check_objects  the laws of pages, of slots, of objects
 *   check_tables                             those of handles, pins, cells and plans
 *   check_law.c                              how a broken law is told
 *   dump                                     the memory map
 *
 * A walker believes nothing before it has checked it: a page number is bounded before its
 * descriptor is read, a list is followed no further than there can be members. So it ends, also on
 * a heap that is broken. tests/laws breaks each law and expects its number. */
#ifndef SNUG_MEM_CHECK_H
#define SNUG_MEM_CHECK_H

#include "mem/types.h"

struct check {
	const snug_heap *heap;
	bool broken;
	uint32_t chain_max; /* fragments of one object that are walked; 0: all */
	snug_check_result result;
};

/* Notes that `law` is broken if stored and counted differ (or the condition fails). False once any
 * law is broken. */
bool check_equal(struct check *check, const char *law, const char *what, uint64_t stored,
				 uint64_t counted);
/* Logs it. */
void check_tell(snug_heap *heap, const snug_check_result *result);
bool check_that(struct check *check, const char *law, const char *what, uint64_t where,
				bool condition);

/* Places that were counted, of pages and of slots; and what all regions say. */
struct page_counts {
	uint64_t free;
	uint64_t cold;
	uint64_t stacked;
	uint64_t whole; /* slabs of one slot */
};

struct slab_counts {
	uint64_t slabs;
	uint64_t free; /* without the victim's */
	uint64_t used;
	uint64_t pinned_slabs;
	uint64_t pinned_free;
	uint64_t listed;
	uint64_t partial; /* on the lists by sixteenths */
	uint64_t hosts;   /* in no count but these */
	uint64_t pinned_hosts;
	uint64_t host_guests;
	uint64_t host_empty;
};

struct object_counts {
	uint64_t payload_bytes[SNUG_POOL_COUNT];
	uint64_t plain; /* live slots outside the large pool */
	uint64_t heads;
	uint64_t page_pins;
	uint64_t pin_records;
};

struct handle_counts {
	uint64_t warm; /* grains */
	uint64_t cold;
	uint64_t spent;
	uint64_t listed;
	uint64_t live; /* entries of the warm ones */
	uint64_t own;
	uint64_t retired;
};

/* The laws that one region, slab, class, table entry can be seen to break, for a check in slices
 * (check_steps.c). */
bool check_region(struct check *check, uint32_t number, struct page_counts *total);
bool check_slab(struct check *check, page_number number, struct slab_counts *counts);
bool check_links(struct check *check, page_number number);
bool check_page_objects(struct check *check, page_number number, struct object_counts *counts);
bool check_magazine(struct check *check, struct size_class *class);
bool check_serving(struct check *check);
/* Of objects of `from` bytes and those up to `to`, that one not included. */
bool check_plans(struct check *check, uint64_t from, uint64_t to);
bool check_live(struct check *check);
bool check_handle(struct check *check, uint64_t index);
bool check_handle_grain(struct check *check, uint32_t number, struct handle_counts *counts);
bool check_pin(struct check *check, uint64_t entry, uint64_t *page_pins);
bool check_list_mask(struct check *check, const struct size_class *class);
/* True too if it lies further behind than chain_max. */
bool check_bookmark(struct check *check);

/* And the sums: `counts` by class_table.active. */
void count_slab(const snug_heap *heap, page_number number, struct slab_counts *counts);
bool check_class_counts(struct check *check, const struct size_class *class,
						const struct slab_counts *counts);
bool check_region_lists(struct check *check);
bool check_account(struct check *check, const struct page_counts *counts, uint64_t touched);

bool check_arena(struct check *check);
bool check_slabs(struct check *check);
bool check_objects(struct check *check, struct object_counts *counts);
bool check_handles(struct check *check, const struct object_counts *objects);
bool check_pins(struct check *check, const struct object_counts *objects);
bool check_cells(struct check *check);

bool is_live_fragment(const snug_heap *heap, uint64_t offset);

#endif
