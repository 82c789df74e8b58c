/* cache/shard/shard_find.c: looking up.
 *
 *     hash -> bucket (a line) -> entries with the tag -> item's head and key -> it is the one
 *                                     |                      |
 *                                     | spilled: the next    | expired: it goes, NOT_FOUND
 *                                     v spill bucket         v
 *     bucket of an earlier epoch: all it holds goes, NOT_FOUND
 *
 * What is dead is found by nobody, and removed by whoever meets it. A hit is two cache misses, one
 * after the other; for batches snug_shard_prefetch asks for all buckets, then for all items, so
 * that they overlap.
 *
 * USE. A get changes 12 bits of the entry, one bit of the item, a counter of the rank and a note of
 * 8 bytes (rank/recent.h). The first two are written only if they change: what is used often and
 * by several threads stays in all their caches then. snug_shard_find changes nothing.
 *
 * COST. Some 400 instructions a hit, and the key's hash (docs/design/0006). */
#include "cache/shard/shard_find.h"

#include "base/assert.h"
#include "base/bits.h"
#include "cache/shard/shard_sweep.h"
#include "work/key_hash.h"

/* Inline: called, it costs 14 of the 535 instructions of a get. */
static inline __attribute__((always_inline)) bool is_key(const snug_shard *shard, snug_ref ref,
														 const snug_key *key,
														 struct item_head *head) {
	const unsigned char *item = snug_ref_at(shard->heap, ref);
	if (item[1] != key->length) return false;
	SNUG_ASSERT(item[1] != KEY_UNLINKED); /* in the index */
	*head = item_read(item);
	return memcmp(item_key(item, head), key->bytes, key->length) == 0;
}

/* What was flushed is not found, and goes with all that its bucket holds. */
static void meet_flushed(snug_shard *shard, const snug_key *key, struct probe *probe) {
	struct item_head head;
	while (probe_next(probe)) {
		if (!is_key(shard, entry_ref(*probe->entry), key, &head)) continue;
		shard->flushed_met++;
		break;
	}
	index_settle(&shard->index, probe->home, probe->home_number);
}

bool shard_look_up(snug_shard *shard, const snug_key *key, struct probe *probe,
				   struct item_head *head) {
	shard_tick(shard);
	SNUG_ASSERT(key->length > 0 && key->length <= SNUG_KEY_BYTES_MAX);
	*probe = index_probe(&shard->index, key->hash);
	if (UNLIKELY(index_is_flushed(&shard->index, probe->home))) {
		meet_flushed(shard, key, probe);
		return false;
	}
	while (probe_next(probe)) {
		if (!is_key(shard, entry_ref(*probe->entry), key, head)) continue;
		if (!shard_is_expired(shard, head)) return true;
		shard_drop(shard, probe, head, DROP_EXPIRED);
		return false;
	}
	return false;
}

static snug_error check_key(const snug_shard *shard, const snug_key *key) {
	if (shard == NULL || key == NULL || key->bytes == NULL) return SNUG_ERROR_NULL;
	return key->length == 0 || key->length > SNUG_KEY_BYTES_MAX ? SNUG_ERROR_KEY : SNUG_OK;
}

void shard_fill_item(const snug_shard *shard, uint64_t hash, uint64_t entry,
					 const struct item_head *head, snug_item *out) {
	shard_fill_head(entry_ref(entry), head, out);
	out->idle_s = shard_idle_s(shard, hash, (rank_meta)entry_meta(entry));
}

/* `probe` is at its entry. Nothing is written to `out` yet. */
static inline snug_error find(snug_shard *shard, const snug_key *key, struct probe *probe,
							  struct item_head *head, const snug_item *out) {
	snug_error error = check_key(shard, key);
	if (error) return error;
	if (out == NULL) return SNUG_ERROR_NULL;
	return shard_look_up(shard, key, probe, head) ? SNUG_OK : SNUG_ERROR_NOT_FOUND;
}

snug_error snug_shard_find(snug_shard *shard, const snug_key *key, snug_item *out) {
	struct probe probe;
	struct item_head head;
	snug_error error = find(shard, key, &probe, &head, out);
	if (!error) shard_fill_item(shard, key->hash, *probe.entry, &head, out);
	return error;
}

static inline void use(snug_shard *shard, uint64_t hash, const struct probe *probe,
					   uint32_t now_s) {
	uint64_t entry = *probe->entry;
	SNUG_ASSERT(!index_is_flushed(&shard->index, probe->home));
	unsigned char *item = snug_ref_at(shard->heap, entry_ref(entry));
	shard_note_hit(probe->entry, rank_hit(&shard->rank, (rank_meta)entry_meta(entry)));
	if ((item[0] & MARK_FETCHED) == 0) item[0] |= MARK_FETCHED;
	recent_use(&shard->recent, hash, now_s);
}

snug_error snug_shard_get(snug_shard *shard, const snug_key *key, snug_item *out) {
	struct probe probe;
	struct item_head head;
	snug_error error = find(shard, key, &probe, &head, out);
	if (error) return error;
	uint64_t entry = *probe.entry;
	uint32_t now_s = shard_now_s(shard);
	SNUG_ASSERT(entry != 0 && head.key_bytes == key->length);
	shard_fill_head(entry_ref(entry), &head, out);
	out->idle_s = shard_idle_at_s(shard, key->hash, (rank_meta)entry_meta(entry), now_s);
	use(shard, key->hash, &probe, now_s);
	return SNUG_OK;
}

void snug_shard_use(snug_shard *shard, const snug_key *key, const snug_item *item) {
	if (check_key(shard, key) || item == NULL) return;
	struct probe probe = index_probe(&shard->index, key->hash);
	while (probe_next(&probe)) {
		if (entry_ref(*probe.entry) != item->ref) continue;
		use(shard, key->hash, &probe, shard_now_s(shard));
		return;
	}
}

#define PREFETCH_BYTES 320u /* of an item: head, key and a usual value */
#define LINE_BYTES 64u

static void prefetch_item(const snug_shard *shard, snug_ref ref) {
	const char *item = snug_ref_at(shard->heap, ref);
	for (uint32_t at = 0; at < PREFETCH_BYTES; at += LINE_BYTES) __builtin_prefetch(item + at);
}

void snug_shard_prefetch(snug_shard *shard, const uint64_t *hashes, size_t count) {
	if (shard == NULL || hashes == NULL) return;
	for (size_t i = 0; i < count; i++)
		__builtin_prefetch(index_bucket(&shard->index, index_place(&shard->index, hashes[i])));
	for (size_t i = 0; i < count; i++) {
		struct probe probe = index_probe(&shard->index, hashes[i]);
		if (probe.matches != 0)
			prefetch_item(shard, entry_ref(probe.bucket->entry[bit_lowest(probe.matches)]));
	}
}

snug_error snug_shard_read(snug_shard *shard, const snug_item *item, size_t offset, void *buffer,
						   size_t length) {
	if (shard == NULL || item == NULL) return SNUG_ERROR_NULL;
	if (offset > item->value_bytes || length > item->value_bytes - offset) return SNUG_ERROR_RANGE;
	return snug_ref_read(shard->heap, item->ref, item->item_bytes, item->value_offset + offset,
						 buffer, length);
}

snug_error snug_shard_view(snug_shard *shard, const snug_item *item, size_t offset, size_t length,
						   snug_extent *extents, size_t *count) {
	if (shard == NULL || item == NULL || extents == NULL || count == NULL) return SNUG_ERROR_NULL;
	if (offset > item->value_bytes || length > item->value_bytes - offset) return SNUG_ERROR_RANGE;
	if (LIKELY(snug_ref_is_contiguous(item->ref) && *count > 0 && length > 0)) {
		extents[0] = (snug_extent){
			(char *)snug_ref_at(shard->heap, item->ref) + item->value_offset + offset, length};
		*count = 1;
		return SNUG_OK;
	}
	return snug_ref_view(shard->heap, item->ref, item->item_bytes, item->value_offset + offset,
						 length, extents, count);
}

snug_error snug_shard_delete(snug_shard *shard, const snug_key *key) {
	struct probe probe;
	struct item_head head;
	snug_error error = check_key(shard, key);
	if (error) return error;
	if (!shard_look_up(shard, key, &probe, &head)) return SNUG_ERROR_NOT_FOUND;
	shard_drop(shard, &probe, &head, DROP_REMOVED);
	(void)shard_index_step(shard);
	return SNUG_OK;
}

/* ------------------------------------------------------------------ walking ---------------- */

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
	struct walked walked = {.entry = entry, .ref = entry_ref(entry)};
	const void *item = snug_ref_at(shard->heap, walked.ref);
	walked.head = item_read(item);
	SNUG_ASSERT(walked.head.key_bytes > 0 && walked.head.key_bytes <= SNUG_KEY_BYTES_MAX);
	walked.key = (snug_key){item_key(item, &walked.head), walked.head.key_bytes, 0};
	walked.key.hash = key_hash(walked.key.bytes, walked.key.length);
	if (walked.key.hash < walker->from) return true;
	struct probe probe = index_probe(&shard->index, walked.key.hash);
	if (shard_is_expired(shard, &walked.head) || index_is_flushed(&shard->index, probe.home))
		return true;
	walked.idle_s = shard_idle_s(shard, walked.key.hash, (rank_meta)entry_meta(entry));
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

void shard_tell_evictions(snug_shard *shard, shard_visitor visit, void *context) {
	shard->evicted = visit;
	shard->evicted_context = context;
}

snug_error shard_walk_value(const snug_shard *shard, const struct walked *item, void *buffer) {
	const struct item_head *head = &item->head;
	SNUG_ASSERT(buffer != NULL);
	if (head->value_bytes == 0) return SNUG_OK;
	return snug_ref_read(shard->heap, item->ref, item_bytes(head),
						 (size_t)head->head_bytes + head->key_bytes, buffer, head->value_bytes);
}

struct public_visit {
	const snug_shard *shard;
	snug_shard_visit visit;
	void *context;
};

static void visit_item(void *context, const struct walked *walked) {
	const struct public_visit *public = context;
	snug_item item;
	shard_fill_item(public->shard, walked->key.hash, walked->entry, &walked->head, &item);
	public->visit(public->context, &walked->key, &item);
}

snug_error snug_shard_walk(snug_shard *shard, uint64_t *cursor, snug_shard_visit visit,
						   void *context) {
	if (shard == NULL || cursor == NULL || visit == NULL) return SNUG_ERROR_NULL;
	struct public_visit public = {shard, visit, context};
	shard_tick(shard);
	return shard_walk(shard, *cursor, cursor, visit_item, &public);
}
