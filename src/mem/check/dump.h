/* mem/check/dump.h: the memory map of large heaps, thinned out, and in slices.
 *
 *   {"page_bytes":N,"limit_bytes":N,"pages":[
 *   {"page":0,"state":"slab","pool":"small","slot_bytes":104,"slots":157,"live":150,"pinned":0},
 *   {"page":1,"state":"free"}
 *   ]}
 *
 * Pages are numbered from 0 here. `live` is counted in the bitmap, so that who adds the map up has
 * a second witness beside the statistics. */
#ifndef SNUG_MEM_DUMP_H
#define SNUG_MEM_DUMP_H

#include <snug/stats.h>
#include <stdint.h>

struct dump {
	uint32_t next; /* page */
	uint32_t stride;
};

/* As snug_dump, but of the pages only each stride-th, from page 0 on; 1: all. Begin writes what
 * stands before the first page, a step up to `most` pages, the last step also what stands behind
 * them. Each page is shown as it is in its step: the heap may change in between. Time and text in
 * proportion to what is listed. */
snug_error dump_begin(snug_heap *heap, uint32_t stride, struct dump *out, snug_write_function write,
					  void *context);
snug_error dump_step(snug_heap *heap, struct dump *dump, uint32_t most, bool *done,
					 snug_write_function write, void *context);

/* How many pages there are for it to list: those that were ever used. */
uint32_t dump_page_count(const snug_heap *heap);

#endif
