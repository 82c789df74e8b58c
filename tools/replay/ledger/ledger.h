/* ledger.h: the door of ledger/, and the table of live objects.
 *
 * ledger.c   that table, in memory outside of the allocator under test
 * pattern.h  the bytes that an object must hold
 * random.h   random numbers by seed
 * clock.h    nanoseconds
 *
 * An object's first 8 bytes hold its entry's index and stamp, so that an owner who is told "this
 * moved" finds the entry. The table lies in mappings of its own, outside of the allocator under
 * test; ledger_touched_bytes says exactly how much of it is resident, so that it can be taken off
 * RSS. All operations are O(1). */
#ifndef REPLAY_LEDGER_H
#define REPLAY_LEDGER_H

#include "ledger/random.h"
#include "replay.h"

#define ENTRY_NONE UINT32_MAX

struct entry {
	uint64_t name; /* 0: the entry is free */
	uint32_t size;
	/* grows with each use of the entry: an older object's bytes are not mistaken for this one's */
	uint32_t stamp;
	uint32_t position; /* in the list that it is on; of a free entry the next free one */
	bool pinned;
};

/* Indices of entries in no order: a random one is chosen and removed in O(1). */
struct entry_list {
	uint32_t *index;
	uint32_t count;
	uint32_t peak;
};

struct ledger {
	struct entry *entries;
	uint32_t used; /* entries ever used */
	uint32_t capacity;
	uint32_t first_free;
	struct entry_list movable;
	struct entry_list pinned;
	uint64_t live_bytes;
};

/* Memory outside of the allocator under test; pages count as resident once touched. Exits the
 * process when refused. */
void *bookkeeping_map(size_t bytes);

void ledger_init(struct ledger *ledger, uint64_t capacity);
/* A new entry, not yet live: its index, or ENTRY_NONE when the table is full. */
uint32_t ledger_take(struct ledger *ledger);
/* Undoes ledger_take of an entry that never became live. */
void ledger_give_back(struct ledger *ledger, uint32_t index);
void ledger_add(struct ledger *ledger, uint32_t index, uint64_t name, size_t size);
void ledger_remove(struct ledger *ledger, uint32_t index);
void ledger_pin(struct ledger *ledger, uint32_t index);
void ledger_unpin(struct ledger *ledger, uint32_t index);
uint32_t ledger_count(const struct ledger *ledger);
uint64_t ledger_touched_bytes(const struct ledger *ledger);

/* What an object's first 8 bytes hold. */
static inline uint64_t object_header(uint32_t index, uint32_t stamp) {
	return (uint64_t)stamp << 32 | index;
}

#endif
