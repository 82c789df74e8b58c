/* cache/rank/recent.h: when the keys that were used last were used, to the second.
 *
 * The index knows an item's last use by a tick (rank.h), and ticks pass with what is inserted: in a
 * cache that is not full they stand, and an item that was used a moment ago would be told as idle
 * since the tick began. So the last uses are noted here, by the key's hash. A note holds until
 * another key with the same place is used: whoever is not noted is told by his tick, which is never
 * too short. A use costs a store of 8 bytes.
 *
 *     hash | mark 32 | .. | place 9 | tag of the index 12 |
 *
 * A field in each item would be exact, and cost every item 4 bytes for what few ask. 512 notes, 4
 * KiB. All is the owner's only. */
#ifndef SNUG_CACHE_RECENT_H
#define SNUG_CACHE_RECENT_H

#include <stdbool.h>
#include <stdint.h>

#define RECENT_NOTES 512u
#define RECENT_PLACE_SHIFT 12

struct recent_note {
	uint32_t mark;   /* of the key: the upper half of its hash */
	uint32_t used_s; /* the wall clock; 0: nothing is noted */
};

struct recent {
	struct recent_note note[RECENT_NOTES];
};

static inline struct recent_note *recent_at(struct recent *recent, uint64_t hash) {
	return &recent->note[(hash >> RECENT_PLACE_SHIFT) % RECENT_NOTES];
}

static inline void recent_use(struct recent *recent, uint64_t hash, uint32_t now_s) {
	*recent_at(recent, hash) = (struct recent_note){(uint32_t)(hash >> 32), now_s};
}

/* False: it is not among those that were used last. */
static inline bool recent_recall(const struct recent *recent, uint64_t hash, uint32_t *used_s) {
	struct recent_note note = recent->note[(hash >> RECENT_PLACE_SHIFT) % RECENT_NOTES];
	if (note.used_s == 0 || note.mark != (uint32_t)(hash >> 32)) return false;
	*used_s = note.used_s;
	return true;
}

#endif
