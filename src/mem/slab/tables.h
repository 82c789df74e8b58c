/* mem/slab/tables.h: metadata that is no longer needed goes back, so that a heap that was emptied
 * is as good as a new one.
 *
 *   handles     grains of which all entries are dead (mem/slab/handle_trim.c)
 *   classes     of an empty heap: their states. In a heap in use those of the coarse subset stay: if
 *               the OS refused memory for one that is needed again, free pages would be no room.
 *   cells       grains without a cell, at the end of their range
 *   pins        the table, if nothing is pinned
 *   regions,    those behind the last page that is committed; of an empty heap that page lies no
 *   descriptors higher than those of the largest object
 *
 * A free does nothing of this: it stays as short as it is. Tables are trimmed where time is taken
 * for such things, and where memory is wanted:
 *
 *   TRIM_SPARE  at the end of a defragmentation. One grain of handles, one of cells, the smallest
 *               table of pins and the classes of the coarse subset stay, so that a heap in use does
 *               not give back what it needs at once.
 *   TRIM_ALL    at the end of one that returns memory to the OS; before an allocation by handle or a
 *               charge is refused.
 *   TRIM_NEED   within an allocation that finds no room. The entry that it has prepared stays.
 *
 * What was trimmed in vain is not trimmed again until something was freed. So a program that goes on
 * asking a full heap pays one comparison. */
#ifndef SNUG_MEM_TABLES_H
#define SNUG_MEM_TABLES_H

#include "mem/types.h"

/* One slice: a call of the system at most, and some microseconds. True: there may be more to do.
 * Classes may end, so who holds one must look it up again. */
bool tables_trim_slice(snug_heap *heap, enum trim how);

/* All slices; the bytes that went back. */
size_t tables_trim(snug_heap *heap, enum trim how);

#endif
