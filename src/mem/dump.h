/* mem/dump.h: the memory map of large pools, thinned out. */
#ifndef SNUG_MEM_DUMP_H
#define SNUG_MEM_DUMP_H

#include <snug/stats.h>

/* As snug_dump, but of the pages only each stride-th, from page 0 on; 1: all. Takes time and text in proportion to what it lists. */
snug_error dump_each(snug_pools *pools, uint32_t stride, snug_write_function write, void *context);

/* How many pages there are for it to list: those that were ever used. */
uint32_t dump_page_count(const snug_pools *pools);

#endif
