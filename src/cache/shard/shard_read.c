/* cache/shard/shard_read.c: the reader: the one place where a thread reads what another changes.
 *
 *     1. the index's size, under its own version     from, to, how far a change has come
 *     2. the group's version, before its entries     and the size again: this is its group now
 *     3. its bucket's entries, the spilled ones too  relaxed loads
 *     4. a matching entry's item: head, key          bounded before they are believed
 *     5. the value                                   copied, in words
 *     6. a fence, and the group's version again      the same: it was so. Another: once more
 *
 * BOUNDS. All that leads anywhere may be torn, old, or anything at all: so it is bounded before it
 * is followed. An entry's reference must lie in the heap's addresses; an item in its page, with
 * head, key and value; a spill bucket in the range of spill buckets, and of a chain a few are
 * followed. What is absurd is a change under way: it is not an error.
 *
 * LOADS are volatile, of bytes and of words wherever they lie: the compiler makes one load of each,
 * and neither repeats nor invents one. Where C11 would have each of them atomic it has no atomic
 * word without alignment; to shift aligned ones together costs a third more, for the same loads.
 * Nothing that depends on their value is believed before step 6, whose fence keeps them before its
 * load.
 *
 * SANITIZERS see a race here, or freed memory, which is what the version is for. So this file's
 * functions are left out of them, and nothing else is.
 *
 * COST. One line of versions more than the owner's look-up, and no store but to the room. */
#include "cache/shard/shard_read.h"

#include "base/bits.h"
#include "cache/shard/shard_state.h"
#include "mem/types.h"

#define READER __attribute__((no_sanitize_address, no_sanitize_thread))

#define TRIES 2u
#define CHAIN_MAX 4u /* extra spill buckets that are followed */
/* marks, key length, value length of five bytes, all fields */
#define HEAD_BYTES_MAX 23u

typedef uint64_t __attribute__((may_alias, aligned(1))) loose_word;
typedef uint32_t __attribute__((may_alias, aligned(1))) loose_half;

READER static inline uint64_t load_word(const void *at) {
	return *(const volatile loose_word *)at;
}

READER static inline uint32_t load_half(const void *at) {
	return *(const volatile loose_half *)at;
}

READER static inline uint8_t load_byte(const void *at) {
	return *(const volatile uint8_t *)at;
}

/* ------------------------------------------------------------------ where ------------------ */

/* The group's version, as it was while this was the place of the hash. */
struct spot {
	const index_version *version;
	uint32_t seen;
	const struct bucket *home;
	uint32_t home_number;
};

/* False: a change of the size is under way, or a change of the group. */
READER static inline bool find_spot(const struct index *index, uint64_t hash, struct spot *out) {
	uint32_t geometry = atomic_load_explicit(&index->geometry, memory_order_acquire);
	uint32_t from = load_half(&index->from), change = load_half(&index->change);
	uint64_t place = index_scale(hash, (uint64_t)from * GROUP_BUCKETS);
	if (UNLIKELY(change != INDEX_STEADY)) {
		uint32_t group = (uint32_t)(place / GROUP_BUCKETS), cursor = load_half(&index->cursor);
		if (group == load_half(&index->moving)) return false;
		if (change == INDEX_GROWING ? group >= cursor : group < cursor)
			place = index_scale(hash, (uint64_t)load_half(&index->to) * GROUP_BUCKETS);
	}
	uint32_t number = (uint32_t)(place / GROUP_BUCKETS);
	const index_version *version = &index->versions[number & index->versions_mask];
	uint32_t seen = atomic_load_explicit(version, memory_order_acquire);
	/* All loads so far before the next one: so it was this size when `seen` was read, and what makes
	 * it another changes the group's version first, if the hash was there. */
	atomic_thread_fence(memory_order_acquire);
	if (geometry % 2 != 0 || seen % 2 != 0 ||
		atomic_load_explicit(&index->geometry, memory_order_relaxed) != geometry)
		return false;
	*out = (struct spot){version, seen, &index->groups[number].bucket[place % GROUP_BUCKETS],
						 (uint32_t)(place % GROUP_BUCKETS)};
	SNUG_ASSERT(number <= index->reserved_bytes / sizeof(struct group));
	return true;
}

READER static inline bool is_unchanged(const index_version *version, uint32_t seen) {
	/* The loads of all that was read before the version's. */
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(version, memory_order_relaxed) == seen;
}

/* ------------------------------------------------------------------ the item --------------- */

/* As item_read, of bytes that may be anything; 0: not a head that can be. */
READER static inline uint32_t read_head(const unsigned char *item, size_t left,
										struct item_head *head) {
	uint32_t at = 2, shift = 0;
	uint8_t byte;
	if (UNLIKELY(left < HEAD_BYTES_MAX + SNUG_KEY_BYTES_MAX) && left < 4) return 0;
	head->marks = load_byte(item);
	head->key_bytes = load_byte(item + 1);
	head->value_bytes = head->expires_at_s = head->client_flags = 0;
	head->cas = 0;
	do {
		if (at >= left || shift > 28) return 0;
		byte = load_byte(item + at++);
		head->value_bytes |= (uint32_t)(byte & 0x7F) << shift;
		shift += 7;
	} while (byte & 0x80);
	if (at + 16 > left && (head->marks & MARKS_FIELDS) != 0 &&
		at + (head->marks & MARK_EXPIRY ? 4 : 0) + (head->marks & MARK_CLIENT_FLAGS ? 4 : 0) +
				(head->marks & MARK_CAS ? 8 : 0) >
			left)
		return 0;
	if (head->marks & MARK_EXPIRY) {
		head->expires_at_s = load_half(item + at);
		at += 4;
	}
	if (head->marks & MARK_CLIENT_FLAGS) {
		head->client_flags = load_half(item + at);
		at += 4;
	}
	if (head->marks & MARK_CAS) {
		head->cas = load_word(item + at);
		at += 8;
	}
	head->head_bytes = (uint8_t)at;
	return at;
}

/* The same bytes; both ranges are readable. */
READER static inline bool is_same(const unsigned char *left, const unsigned char *right,
								  size_t bytes) {
	size_t at = 0;
	for (; at + 8 <= bytes; at += 8)
		if (load_word(left + at) != load_word(right + at)) return false;
	for (; at < bytes; at++)
		if (load_byte(left + at) != load_byte(right + at)) return false;
	return true;
}

READER static inline void copy_bytes(unsigned char *to, const unsigned char *from, size_t bytes) {
	size_t at = 0;
	for (; at + 8 <= bytes; at += 8) {
		uint64_t word = load_word(from + at);
		memcpy(to + at, &word, sizeof word);
	}
	for (; at < bytes; at++) to[at] = load_byte(from + at);
}

enum match { MATCH_NO, MATCH_YES, MATCH_IN_PIECES };

/* Whether the entry's item seems to have this key. */
READER static inline enum match match_item(const struct snug_shard *shard, uint64_t entry,
										   const snug_key *key, struct sight *sight) {
	const struct arena *arena = &shard->heap->arena;
	snug_ref ref = entry_ref(entry);
	uint64_t offset = ref & OFFSET_MASK;
	SNUG_ASSERT(entry != 0 && arena->page_bytes > 0);
	/* offsets begin behind a page that is not there (mem/types.h) */
	if (offset < arena->page_bytes || offset >= arena->page_bytes + arena->reserved_bytes)
		return MATCH_NO;
	const unsigned char *item = (const unsigned char *)(arena->bias + (uintptr_t)offset);
	size_t left = arena->page_bytes - (size_t)(offset & (arena->page_bytes - 1));
	if (left < 2 || load_byte(item + 1) != key->length) return MATCH_NO;
	uint32_t head_bytes = read_head(item, left, &sight->head);
	if (head_bytes == 0 || key->length > left - head_bytes) return MATCH_NO;
	if (!is_same(item + head_bytes, key->bytes, key->length)) return MATCH_NO;
	if (!snug_ref_is_contiguous(ref)) return MATCH_IN_PIECES;
	if (sight->head.value_bytes > left - head_bytes - key->length) return MATCH_NO;
	sight->value = item + head_bytes + key->length;
	return MATCH_YES;
}

/* Among the entries of one bucket that have the tag; of a spill bucket, those of this home's. */
READER static inline enum match match_bucket(const struct snug_shard *shard,
											 const struct bucket *bucket, const struct spot *spot,
											 const snug_key *key, struct sight *sight) {
	uint64_t homes = load_word(&bucket->word) >> SPILL_HOME_SHIFT;
	SNUG_ASSERT(spot->home_number < GROUP_BUCKETS && spot->seen % 2 == 0);
	for (uint32_t slot = 0; slot < BUCKET_ENTRIES; slot++) {
		uint64_t entry = load_word(&bucket->entry[slot]);
		if (entry >> TAG_SHIFT != (key->hash & 0xFFF) || entry == 0) continue;
		if (bucket != spot->home &&
			(homes >> (3 * slot) & (GROUP_BUCKETS - 1)) != spot->home_number)
			continue;
		enum match match = match_item(shard, entry, key, sight);
		if (match != MATCH_NO) return match;
	}
	return MATCH_NO;
}

/* LOOK_ASK: more are behind them than are followed. */
READER static enum look look_in_spill(const struct snug_shard *shard, const struct spot *spot,
									  const snug_key *key, struct sight *sight) {
	const struct index *index = &shard->index;
	const struct group *group =
		(const struct group *)(const void *)(spot->home - spot->home_number);
	const struct bucket *spill = &group->spill;
	for (uint32_t count = 0; count <= CHAIN_MAX; count++) {
		enum match match = match_bucket(shard, spill, spot, key, sight);
		if (match != MATCH_NO) return match == MATCH_YES ? LOOK_FOUND : LOOK_ASK;
		uint32_t next = spill_next_of(load_word(&spill->word));
		if (next == 0) return LOOK_ABSENT;
		if (next > index->spills_reserved_bytes / sizeof(struct bucket)) return LOOK_ASK;
		spill = &index->spills[next - 1];
	}
	return LOOK_ASK;
}

READER static inline enum look look(const struct snug_shard *shard, const struct spot *spot,
									const snug_key *key, struct sight *sight) {
	uint64_t word = load_word(&spot->home->word);
	/* whoever asks for what was flushed has it removed, and counted */
	if (word >> EPOCH_SHIFT != load_half(&shard->index.epoch)) return LOOK_ASK;
	enum match match = match_bucket(shard, spot->home, spot, key, sight);
	if (match != MATCH_NO) return match == MATCH_YES ? LOOK_FOUND : LOOK_ASK;
	return (uint32_t)word == 0 ? LOOK_ABSENT : look_in_spill(shard, spot, key, sight);
}

/* ------------------------------------------------------------------ reading ---------------- */

READER static inline bool is_readable(const struct snug_shard *shard, const snug_key *key,
									  int64_t now_s) {
	int64_t flush_at_s = (int64_t)load_word(&shard->flush_at_s);
	return key->length - 1 < SNUG_KEY_BYTES_MAX && (flush_at_s == 0 || now_s < flush_at_s);
}

/* What is not LOOK_FOUND is proved. */
READER static inline enum look look_once(const struct snug_shard *shard, const snug_key *key,
										 struct sight *sight, bool *again) {
	struct spot spot;
	*again = true;
	if (!find_spot(&shard->index, key->hash, &spot)) return LOOK_ASK;
	enum look seen = look(shard, &spot, key, sight);
	if (seen != LOOK_FOUND && !is_unchanged(spot.version, spot.seen)) return LOOK_ASK;
	sight->at = spot.version;
	sight->version = spot.seen;
	*again = false;
	return seen;
}

enum look shard_look(const struct snug_shard *shard, const snug_key *key, int64_t now_s,
					 struct sight *out) {
	if (UNLIKELY(!is_readable(shard, key, now_s))) return LOOK_ASK;
	for (uint32_t try = 0; try < TRIES; try++) {
		bool again;
		enum look seen = look_once(shard, key, out, &again);
		if (LIKELY(!again)) return seen;
	}
	return LOOK_ASK;
}

bool sight_holds(const struct sight *sight) {
	SNUG_ASSERT(sight->at != NULL && sight->version % 2 == 0);
	return is_unchanged(sight->at, sight->version);
}

READER enum look shard_read(const struct snug_shard *shard, const snug_key *key, int64_t now_s,
							void *room, size_t room_bytes, struct shard_copy *out) {
	SNUG_ASSERT(room != NULL || room_bytes == 0);
	if (UNLIKELY(!is_readable(shard, key, now_s))) return LOOK_ASK;
	for (uint32_t try = 0; try < TRIES; try++) {
		struct sight sight;
		bool again;
		enum look seen = look_once(shard, key, &sight, &again);
		if (UNLIKELY(again)) continue;
		if (seen != LOOK_FOUND) return seen;
		bool fits = sight.head.value_bytes <= room_bytes;
		if (fits) copy_bytes(room, sight.value, sight.head.value_bytes);
		if (UNLIKELY(!is_unchanged(sight.at, sight.version))) continue;
		*out = (struct shard_copy){sight.head, fits};
		return LOOK_FOUND;
	}
	return LOOK_ASK;
}

#define PREFETCHED_BYTES 256u /* of an item */
#define LINE_BYTES 64u

/* The item of the first entry with the tag, if it is where items are. */
READER static void prefetch_item(const struct snug_shard *shard, const struct bucket *home,
								 uint64_t hash) {
	const struct arena *arena = &shard->heap->arena;
	for (uint32_t slot = 0; slot < BUCKET_ENTRIES; slot++) {
		uint64_t entry = load_word(&home->entry[slot]);
		if (entry >> TAG_SHIFT != (hash & 0xFFF)) continue;
		uint64_t offset = entry_ref(entry) & OFFSET_MASK;
		const char *item = (const char *)(arena->bias + (uintptr_t)offset);
		for (uint32_t at = 0; at < PREFETCHED_BYTES; at += LINE_BYTES)
			__builtin_prefetch(item + at);
		return;
	}
}

READER void shards_read_prefetch(const struct snug_shard *const *shards, const uint64_t *hashes,
								 size_t count) {
	struct spot spot;
	if (count < 2) return;
	for (size_t i = 0; i < count; i++)
		if (find_spot(&shards[i]->index, hashes[i], &spot)) __builtin_prefetch(spot.home);
	for (size_t i = 0; i < count; i++)
		if (find_spot(&shards[i]->index, hashes[i], &spot))
			prefetch_item(shards[i], spot.home, hashes[i]);
}
