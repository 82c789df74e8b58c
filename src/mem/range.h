/* mem/range.h: metadata that grows in place.
 *
 * Each kind of metadata is an array at a fixed address inside the metadata reservation and is committed from its start in
 * grains of 4 KiB as it grows (mem/limit.h has the account). When metadata must grow and the limit is reached while free pages are
 * committed, free pages are given back to the OS for it one by one: the only time less than a region is returned. */
#ifndef SNUG_MEM_RANGE_H
#define SNUG_MEM_RANGE_H

#include "mem/types.h"

/* Makes the first `bytes` of the range usable; they read as zeros when first used. NO_MEMORY, OS_MEMORY. */
snug_error range_ensure(struct arena *arena, struct range *range, size_t bytes);

/* Gives all of the range back to the OS; it stays reserved. */
void range_drop(struct arena *arena, struct range *range);

#endif
