/* mem/slots.h: slots in and out: the magazine in front of each class, and what an allocation does when there is no room.
 *
 * The fast paths are inline: pop from the magazine of the class that serves this size; push to the magazine of the class that the
 * page says. A slot in a magazine stays marked used in its slab's bitmap and never lies in a victim.
 *
 * Without room, in this order, each tried only when the one before found nothing:
 *   1. a hole in the fullest slab of the class        4. compaction of one page (mem/evacuate.h)
 *   2. a new page                                     5. a hole in a class a little larger ("borrowed")
 *   3. the victim back, if it is of this class        6. the emptiest slab of a class merged into larger classes
 *
 * Borrowing comes after compaction: before it, borrowed slots filled up in size shifts and then nothing but waste was left.
 * Without compaction, 4 and 6 are: all magazines back, and the empty slabs that classes keep for themselves. */
#ifndef SNUG_MEM_SLOTS_H
#define SNUG_MEM_SLOTS_H

#include "base/assert.h"
#include "base/bits.h"
#include "mem/classes.h"
#include "mem/poison.h"
#include "mem/slab.h"
#include "mem/types.h"

snug_error slot_alloc_slow(snug_pools *pools, uint16_t id, bool may_compact, uint64_t *offset, struct size_class **out);
void slot_free_slow(snug_pools *pools, struct size_class *class, uint64_t offset);

/* Returns all slots of the magazine to their slabs. */
void magazine_flush(snug_pools *pools, struct size_class *class);

/* Pages that can be taken now. Where the OS has just refused memory, only those that are committed already. */
uint64_t room_pages(const snug_pools *pools, bool os_refused);

/* Makes sure that there are so many, by compacting and merging; false if it can't. */
bool room_make(snug_pools *pools, uint64_t pages, bool os_refused);

/* One paced step, if pacing is asked for and memory is low; for each page that is about to be taken. */
void room_pace(snug_pools *pools);

/* A slot for `payload_bytes` of an object or fragment of class `id`. NO_MEMORY, OS_MEMORY. */
static inline snug_error slot_alloc(snug_pools *pools, uint16_t id, uint32_t payload_bytes, bool may_compact,
									uint64_t *offset, struct size_class **out) {
	struct size_class *class = pools->classes.serving[id];
	if (LIKELY(class != NULL && class->magazine_count > 0)) {
		*offset = class->magazine[--class->magazine_count];
	} else {
		snug_error error = slot_alloc_slow(pools, id, may_compact, offset, &class);
		if (UNLIKELY(error)) return error;
	}
	pools->payload_bytes[class->pool] += payload_bytes;
	unpoison_slot(address_of(&pools->arena, *offset), class->stride);
	if (UNLIKELY(class->id != id)) class_note_loose(pools, id, class);
	*out = class;
	return SNUG_OK;
}

/* `class` is that of the slot's page, `id` the one that the payload belongs to. */
static inline void slot_free(snug_pools *pools, struct size_class *class, uint16_t id, uint32_t payload_bytes,
							 uint64_t offset) {
	SNUG_ASSERT(pools->payload_bytes[class->pool] >= payload_bytes);
	SNUG_ASSERT(!slab_slot_is_free(pools, class, offset));
	pools->changes++;
	pools->payload_bytes[class->pool] -= payload_bytes;
	if (UNLIKELY(class->id != id)) class_remove_loose(pools, id, class);
	poison_slot(address_of(&pools->arena, offset), class->stride);
	bool victim = pools->arena.pages[page_of(&pools->arena, offset)].state == PAGE_VICTIM;
	if (LIKELY(!victim && class->magazine_count < class->magazine_capacity)) {
		class->magazine[class->magazine_count++] = offset;
	} else {
		slot_free_slow(pools, class, offset);
	}
}

/* The payload in a slot changes its size without leaving the slot. */
static inline void slot_repay(snug_pools *pools, struct size_class *class, uint32_t trailer_bytes, uint32_t old_bytes,
							  uint32_t new_bytes) {
	enum family family = (enum family) class->family;
	uint16_t old_id = class_find(&pools->classes, family, (size_t)old_bytes + trailer_bytes);
	uint16_t new_id = class_find(&pools->classes, family, (size_t)new_bytes + trailer_bytes);
	if (old_id != class->id) class_remove_loose(pools, old_id, class);
	if (new_id != class->id) class_note_loose(pools, new_id, class);
	pools->payload_bytes[class->pool] -= old_bytes;
	pools->payload_bytes[class->pool] += new_bytes;
}

#endif
