/* cache/shard/shard_walk.c: see cache/shard/shard_walk.h. */
#include "cache/shard/shard_walk.h"

#include "cache/shard/shard_state.h"

struct walker {
	const snug_shard *shard;
	uint64_t from;
	shard_visitor visit;
	void *context;
};

/* A group may hold entries of before the hash. */
static bool walk_entry(void *context, uint64_t entry) {
	const struct walker *walker = context;
	const snug_shard *shard = walker->shard;
	struct walked walked = {.ref = entry_ref(entry)};
	const void *item = snug_ref_at(shard->heap, walked.ref);
	walked.head = item_read(item);
	SNUG_ASSERT(walked.head.key_bytes > 0 && walked.head.key_bytes <= SNUG_KEY_BYTES_MAX);
	walked.key = snug_shard_key(item_key(item, &walked.head), walked.head.key_bytes);
	if (walked.key.hash < walker->from) return true;
	struct probe probe = index_probe(&shard->index, walked.key.hash);
	if (!shard_is_expired(shard, &walked.head) && !index_is_flushed(&shard->index, probe.home))
		walker->visit(walker->context, &walked);
	return true;
}

snug_error shard_walk(const snug_shard *shard, uint64_t hash, uint64_t *next, shard_visitor visit,
					  void *context) {
	struct walker walker = {shard, hash, visit, context};
	SNUG_ASSERT(visit != NULL);
	return index_check_at(&shard->index, hash, next, walk_entry, &walker) == NULL
			   ? SNUG_OK
			   : SNUG_ERROR_CORRUPT;
}

snug_error shard_walk_value(const snug_shard *shard, const struct walked *item, void *buffer) {
	const struct item_head *head = &item->head;
	SNUG_ASSERT(buffer != NULL);
	if (head->value_bytes == 0) return SNUG_OK;
	return snug_ref_read(shard->heap, item->ref, item_bytes(head),
						 (size_t)head->head_bytes + head->key_bytes, buffer, head->value_bytes);
}
