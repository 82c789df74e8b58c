/* cache/shard/shard_find.h: the item of a key, and what is done with it where it lies: told, used,
 * read, deleted. And all items, part by part, for who lists or copies them:
 *
 *     hash = 0; do shard_walk(shard, hash, &hash, ..) while (hash != 0)
 *
 * A part is what lies in one group of the index. The walk goes by hashes, so whatever is there from
 * its beginning to its end is met once, however the index grows or shrinks in between, and a walk can
 * go on later, or in another process, from the hash where it was left. An item is not used by it:
 * no rank changes, and nothing is fetched. */
#ifndef SNUG_CACHE_SHARD_FIND_H
#define SNUG_CACHE_SHARD_FIND_H

#include "cache/shard/shard_state.h"

/* The live item of this key; removes a dead one. */
bool shard_look_up(struct snug_shard *shard, const snug_key *key, struct probe *probe,
				   struct item_head *head);

/* The same, if it is still at `ref`: a flush may have come due since it was found. */
static inline bool shard_find_again(struct snug_shard *shard, const snug_key *key,
									struct probe *probe, struct item_head *head, snug_ref ref) {
	return shard_look_up(shard, key, probe, head) && entry_ref(*probe->entry) == ref;
}

/* As shard_fill_head, with how long it was idle. */
void shard_fill_item(const struct snug_shard *shard, uint64_t hash, uint64_t entry,
					 const struct item_head *head, snug_item *out);

/* One that is there: not flushed, not expired. The key lies in it. */
struct walked {
	snug_key key;
	struct item_head head;
	uint64_t entry; /* of the index */
	snug_ref ref;
	uint32_t idle_s; /* as snug_item says */
};

typedef void (*shard_visitor)(void *context, const struct walked *item);

/* Those of one part with a hash of at least `hash`; `*next` is where the next part begins, 0 if this
 * was the last. A few microseconds and the visitor's time. CORRUPT. The owner's thread. */
SNUG_NODISCARD snug_error shard_walk(const struct snug_shard *shard, uint64_t hash, uint64_t *next,
									 shard_visitor visit, void *context);

/* Each item that is evicted from now on is shown before it goes; NULL: no more. The owner's
 * thread. */
void shard_tell_evictions(struct snug_shard *shard, shard_visitor visit, void *context);

/* During the visit: the value, head.value_bytes of it, into a buffer that has the room. The owner's
 * thread. */
SNUG_NODISCARD snug_error shard_walk_value(const struct snug_shard *shard,
										   const struct walked *item, void *buffer);

#endif
