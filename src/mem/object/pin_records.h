/* mem/object/pin_records.h: pins for which their table has no room.
 *
 * The table of pins grows by pages, and a pin must not move anything to gain one: callers hold
 * addresses while they pin. So where no page is free, a pin is recorded in a hole: in a lent slot
 * (mem/slab/host.h) of 16 bytes beside the trailer. To pin fails only if there is no such hole.
 *
 *   heads[64] --> | entry 8 | next 8 |t| --> | entry | next |t|        by the hash of the offset
 *
 * Records are few: a 64th of them is walked by a look-up. The trailer's `next` is the slot
 * itself, which no fragment's is. */
#ifndef SNUG_MEM_PIN_RECORDS_H
#define SNUG_MEM_PIN_RECORDS_H

#include "mem/types.h"

/* How often the object whose first slot is at `offset` is pinned by a record; 0: it has none. */
uint32_t pin_record_count(const snug_heap *heap, uint64_t offset);

/* A record with a count of 1. False: there is no hole. Nothing moves. */
bool pin_record_add(snug_heap *heap, uint64_t offset);

/* One pin more, or less, on an object that has a record; the last one ends it. */
void pin_record_change(snug_heap *heap, uint64_t offset, bool more);

/* For walkers: the slot of the first record of a list, and of the one behind another; 0 at the
 * end. What it says is written as an entry of the table is. */
uint64_t pin_record_first(const snug_heap *heap, uint32_t list);
uint64_t pin_record_next(const snug_heap *heap, uint64_t slot, uint64_t *entry);

#endif
