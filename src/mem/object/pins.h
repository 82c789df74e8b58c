/* mem/object/pins.h: which objects are pinned, and how often (laws P1 and P2).
 *
 * Pins are few and short, so they cost an object nothing until it is pinned: a hash table from
 * offset to count, 8 bytes an entry, at most three quarters full and at least an eighth. What
 * compaction reads is the count of pinned objects in the page's descriptor: a slab with pins is on
 * a list that no victim is taken from.
 *
 * A bit in the object has no place: objects by reference have no head to put it in. */
#ifndef SNUG_MEM_PINS_H
#define SNUG_MEM_PINS_H

#include "mem/types.h"

#define PIN_COUNT_MAX ((1u << (64 - OFFSET_BITS)) - 1)

/* How often the object whose first slot is at `offset` is pinned. */
uint32_t pin_count(const snug_heap *heap, uint64_t offset);

/* One pin more or less on the object at `location`. NO_MEMORY, OS_MEMORY, TOO_MANY_PINS;
 * NOT_PINNED. */
snug_error pin_add(snug_heap *heap, uint64_t location, size_t size);
snug_error pin_remove(snug_heap *heap, uint64_t location, size_t size);

#endif
