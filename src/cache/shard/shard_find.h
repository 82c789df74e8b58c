/* cache/shard/shard_find.h: the item of a key, and what is done with it where it lies: told, used,
 * read, deleted. */
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

void shard_fill_item(const struct snug_shard *shard, uint64_t hash, uint64_t entry,
					 const struct item_head *head, snug_item *out);

#endif
