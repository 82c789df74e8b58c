/* mem/slab/host.h: slabs whose holes are lent to fragments.
 *
 * After compaction each class still has up to a slab of holes, and slabs with pins keep theirs. An
 * object that need not be contiguous may lie in them all the same, in pieces: that is the last
 * resort of an allocation (law B1; mem/object/room.h). A slab of plain objects that lends its holes
 * is a host:
 *
 *   host   [ resident | guest |t] [ empty  |t] [ resident | resident | guest |t] ...
 *   bits     0          1           1            0          0          1
 *
 * Its bitmap says which slots are the class's own, the residents: a clear bit. The set bits are
 * lent. A lent slot holds a guest, or it is empty; which of the two says the trailer that every
 * lent slot has, a fragment's, whose length is 0 in an empty one. So a host costs no memory at all,
 * which matters: it is opened when there is none. Nobody but the heap writes into a lent slot, so
 * what stands there can be believed.
 *
 * A host is in no count of its class's slabs, used slots and holes, and it is never a victim. An
 * object of its class takes an empty slot of it where no slab has a hole. It is a slab again when
 * its last guest has gone. Guests go when their object is freed or rebuilt, or when a
 * defragmentation finds room for them (mem/defragment/rehome.h).
 *
 * Law S10 is about hosts. Opening one is O(slots), all else O(1) and one pass over the bitmap; where
 * the bitmap lies in the descriptor, taking an empty slot looks at its 128 slots at most. */
#ifndef SNUG_MEM_HOST_H
#define SNUG_MEM_HOST_H

#include "base/assert.h"
#include "mem/slab/trailer.h"
#include "mem/types.h"

/* Payload that a hole of this class can hold as a fragment; 0 if it is too small for the
 * trailer. */
static inline uint32_t hole_capacity(const snug_heap *heap, const struct size_class *class) {
	uint32_t trailer_bytes = heap->classes.fragment_trailer_bytes;
	return class->stride > trailer_bytes ? class->stride - trailer_bytes : 0;
}

/* Plain objects in the hosts of a class. */
static inline uint64_t host_residents(const struct size_class *class) {
	return (uint64_t) class->hosts * class->slots - class->host_guests - class->host_empty;
}

/* A slot for a guest, in a class of plain objects; opens a host if none has an empty slot: then the
 * class's magazine must be empty. Its trailer is the caller's to write, with a length, and so is the
 * account of its payload. False: the class has no hole. Nothing moves. */
bool guest_take(snug_heap *heap, struct size_class *class, uint64_t *offset);
/* The same, in another host than this one, which is a host of the class; opens none. */
bool guest_take_beside(snug_heap *heap, struct size_class *class, page_number number,
					   uint64_t *offset);
void guest_free(snug_heap *heap, struct size_class *class, uint64_t offset);

/* How many it has: counted, a word for each 64 slots. */
uint32_t host_guests(const snug_heap *heap, const struct size_class *class, page_number number);

/* The fragment in a guest's slot is cut off, or grows in it. */
static inline void guest_repay(struct size_class *class, uint32_t old_bytes, uint32_t new_bytes) {
	SNUG_ASSERT(class->host_guests > 0);
	class->payload_bytes += new_bytes;
	class->payload_bytes -= old_bytes;
}

/* A lent slot may hold a record of the pin table, too: it says so by being its own next. */
static inline bool is_pin_record(const snug_heap *heap, uint64_t offset) {
	return fragment_trailer_read(heap, fragment_trailer_at(heap, offset)).next == offset;
}

/* Whether the slot at `offset` of a host is lent, and holds a guest. */
bool host_has_guest(const snug_heap *heap, page_number number, uint64_t offset);

/* For the walkers: the stack of empty slots, if this host has one, holds as many as are counted. */
bool host_stack_is_sound(const snug_heap *heap, page_number number);

/* An empty slot for an object of the class's own: a resident more. False: no host has one. */
bool host_take_resident(snug_heap *heap, struct size_class *class, uint64_t *offset);

/* A resident was freed: its slot is an empty one. */
void host_resident_left(snug_heap *heap, struct size_class *class, uint64_t offset);

/* Ends a host that has no guests: it is a slab of its class again, or a page if nothing lies in
 * it. */
void host_close(snug_heap *heap, struct size_class *class, page_number number);

#endif
