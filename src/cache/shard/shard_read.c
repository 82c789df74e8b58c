/* cache/shard/shard_read.c: the reader: the one place where a thread reads what another changes.
 *
 *     1. the index's size, under its own version     from, to, how far a change has come
 *     2. the group's version, before its entries     and the size again: this is its group now
 *     3. its bucket's entries, the spilled ones too
 *     4. a matching entry's item: head, key          bounded before they are believed
 *     5. the value, from piece to piece              copied; links have a version of the heap's
 *     6. a fence, and the versions again             the same: it was so. Another: once more
 *
 * BOUNDS. All that leads anywhere may be torn, old, or anything at all: so it is bounded before it
 * is followed. A reference and a link must lie in the heap's addresses; an item's head, key and
 * value, and what stands behind a piece, in its page; a spill bucket in the range of spill buckets.
 * Pieces and spill buckets are counted. What is absurd is a change under way: it is no error.
 *
 * LOADS. Entries and sizes have an alignment: they are relaxed atomics. Items have none, and C11 no
 * atomic word without: they are volatile, so that the compiler makes one load of each, and neither
 * repeats nor invents one. To shift aligned words together costs a third more, for the same loads.
 * Nothing that depends on any of them is believed before step 6, whose fence keeps them before its
 * load.
 *
 * PIECES. A fragment that moves is copied, then its neighbour's link changes, under the heap's
 * version `links`, then its slot is free. So who has read all links under one version of that, and
 * the entry under one of its group, has read pieces that were the item's. That a head moves is told
 * to the index, as of any item.
 *
 * SANITIZERS see a race here, or freed memory, which is what the versions are for. So the functions
 * that read are left out of them, and nothing else is.
 *
 * COST. One line of versions more than the owner's look-up, and no store but to the room. */
#include "cache/shard/shard_read.h"

#include "base/bits.h"
#include "cache/shard/shard_state.h"
#include "mem/arena/arena.h"
#include "mem/slab/trailer.h"

#define READER __attribute__((no_sanitize_address, no_sanitize_thread))

#define TRIES 3u
#define PAUSES 16u /* before another try: a change is mostly over by then */

#define LOAD(at) __atomic_load_n(at, __ATOMIC_RELAXED)

typedef uint64_t __attribute__((may_alias, aligned(1))) loose_word;
typedef uint32_t __attribute__((may_alias, aligned(1))) loose_half;
/* a register of 16 bytes: half as many loads and stores as by words */
typedef uint64_t __attribute__((vector_size(16), may_alias, aligned(1))) loose_words;

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
	const data_version *version;
	uint32_t seen;
	const struct bucket *home;
	uint32_t home_number;
};

/* False: a change of the size is under way, or a change of the group. */
READER static inline bool find_spot(const struct index *index, uint64_t hash, struct spot *out) {
	uint32_t geometry = atomic_load_explicit(&index->geometry, memory_order_acquire);
	uint32_t from = LOAD(&index->from), change = LOAD(&index->change);
	uint64_t place = index_scale(hash, (uint64_t)from * GROUP_BUCKETS);
	if (UNLIKELY(change != INDEX_STEADY)) {
		uint32_t group = (uint32_t)(place / GROUP_BUCKETS), cursor = LOAD(&index->cursor);
		if (group == LOAD(&index->moving)) return false;
		if (change == INDEX_GROWING ? group >= cursor : group < cursor)
			place = index_scale(hash, (uint64_t)LOAD(&index->to) * GROUP_BUCKETS);
	}
	uint32_t number = (uint32_t)(place / GROUP_BUCKETS);
	const data_version *version = &index->versions[number & index->versions_mask];
	uint32_t seen = atomic_load_explicit(version, memory_order_acquire);
	/* All loads so far, flush_at_s too, before the next ones: so it was this size when `seen` was
	 * read, and what makes it another changes the group's version first, if the hash was there. */
	atomic_thread_fence(memory_order_acquire);
	if (geometry % 2 != 0 || seen % 2 != 0 ||
		atomic_load_explicit(&index->geometry, memory_order_relaxed) != geometry)
		return false;
	SNUG_ASSERT(number < index->reserved_bytes / sizeof(struct group));
	*out = (struct spot){version, seen, &index->groups[number].bucket[place % GROUP_BUCKETS],
						 (uint32_t)(place % GROUP_BUCKETS)};
	return true;
}

READER static inline bool is_unchanged(const data_version *version, uint32_t seen) {
	/* The loads of all that was read before the version's. */
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(version, memory_order_relaxed) == seen;
}

READER static inline bool holds(const struct sight *sight) {
	return is_unchanged(sight->group, sight->group_seen) &&
		   (LIKELY(sight->links == NULL) || is_unchanged(sight->links, sight->links_seen));
}

/* ------------------------------------------------------------------ the item --------------- */

static inline uint32_t field_bytes(uint32_t marks) {
	return (marks & MARK_EXPIRY ? 4u : 0) + (marks & MARK_CLIENT_FLAGS ? 4u : 0) +
		   (marks & MARK_CAS ? 8u : 0);
}

/* As item_read, of bytes that may be anything; 0: not a head that can be. */
READER static inline uint32_t read_head(const unsigned char *item, size_t left,
										struct item_head *head) {
	uint32_t at = 2, shift = 0;
	uint8_t byte;
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
	if (at + field_bytes(head->marks) > left) return 0;
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
	if (bytes >= 8) {
		for (; at + 8 < bytes; at += 8)
			if (load_word(left + at) != load_word(right + at)) return false;
		at = bytes - 8; /* the last ones, some of them once more */
		return load_word(left + at) == load_word(right + at);
	}
	for (; at < bytes; at++)
		if (load_byte(left + at) != load_byte(right + at)) return false;
	return true;
}

READER static inline void copy_words(unsigned char *to, const unsigned char *from) {
	loose_words words = *(const volatile loose_words *)(const volatile void *)from;
	memcpy(to, &words, sizeof words);
}

READER static inline void copy_bytes(unsigned char *to, const unsigned char *from, size_t bytes) {
	const size_t step = sizeof(loose_words);
	size_t at = 0;
	if (LIKELY(bytes >= step)) {
		for (; at + step < bytes; at += step) copy_words(to + at, from + at);
		at = bytes - step; /* the last ones, some of them once more */
		copy_words(to + at, from + at);
		return;
	}
	for (; at + 8 <= bytes; at += 8) {
		uint64_t word = load_word(from + at);
		memcpy(to + at, &word, sizeof word);
	}
	for (; at < bytes; at++) to[at] = load_byte(from + at);
}

/* A stretch of memory from an object's slot to the end of its page. */
struct piece {
	const unsigned char *bytes;
	size_t left; /* at most so many are the object's; 0: that is no place of an object */
};

READER static inline struct piece piece_at(const struct snug_heap *heap, uint64_t offset) {
	/* The arena's own word lies on a line that the owner writes with each free. */
	uint64_t page_bytes = heap->classes.page_bytes;
	/* offsets begin behind a page that is not there (mem/types.h) */
	if (offset < page_bytes || offset >= page_bytes + heap->arena.reserved_bytes)
		return (struct piece){NULL, 0};
	return (struct piece){(const unsigned char *)(heap->arena.bias + (uintptr_t)offset),
						  (size_t)(page_bytes - (offset & (page_bytes - 1)))};
}

/* What stands behind a fragment (mem/slab/trailer.h), as far as a reader needs it: the next one, and
 * the piece cut to its payload. False: that can't be. */
READER static inline bool read_links(const struct snug_heap *heap, uint64_t offset,
									 struct piece *piece, uint64_t *next) {
	const struct arena *arena = &heap->arena;
	const struct class_table *classes = &heap->classes;
	uint64_t page = offset >> arena->page_shift;
	if (page >= arena->page_range.reserved_bytes / sizeof(struct page)) return false;
	uint16_t class_id = LOAD(&arena->pages[page].class_id);
	if (class_id >= classes->first[FAMILY_COUNT]) return false;
	uint32_t stride = classes->entry[class_id].stride;
	if (stride > piece->left || stride < classes->fragment_trailer_bytes) return false;
	size_t payload_bytes = stride - classes->fragment_trailer_bytes;
	uint64_t word = load_word(piece->bytes + payload_bytes);
	uint64_t length = word >> LENGTH_SHIFT & 0xFFFF;
	if (length == 0 || length > payload_bytes) return false;
	piece->left = length;
	*next = word & OFFSET_MASK;
	return true;
}

#define PREFETCHED_BYTES 320u /* of an item: head, key and a usual value */
#define LINE_BYTES 64u

/* Those of its lines that do not have to wait for what stands on the first. */
static inline void prefetch_rest(const unsigned char *item) {
	for (uint32_t at = LINE_BYTES; at < PREFETCHED_BYTES; at += LINE_BYTES)
		__builtin_prefetch(item + at);
}

enum match { MATCH_NO, MATCH_YES, MATCH_ASK };

/* The first piece of an object that is stored as fragments. The links are read behind their
 * version. */
READER static inline enum match begin_pieces(const struct snug_heap *heap, uint64_t offset,
											 struct piece *piece, struct sight *sight) {
	sight->links_seen = atomic_load_explicit(&heap->links, memory_order_acquire);
	if (sight->links_seen % 2 != 0) return MATCH_ASK;
	if (!read_links(heap, offset, piece, &sight->next)) return MATCH_NO;
	if (sight->next != 0) sight->links = &heap->links;
	return MATCH_YES;
}

/* Whether the entry's item seems to have this key. */
READER static inline enum match match_item(const struct snug_shard *shard, uint64_t entry,
										   const snug_key *key, struct sight *sight) {
	const struct snug_heap *heap = shard->heap;
	snug_ref ref = entry_ref(entry);
	uint64_t offset = ref & OFFSET_MASK;
	struct piece piece = piece_at(heap, offset);
	SNUG_ASSERT(entry != 0);
	if (piece.left < 4) return MATCH_NO;
	prefetch_rest(piece.bytes);
	if (load_byte(piece.bytes + 1) != key->length) return MATCH_NO;
	sight->links = NULL;
	sight->next = 0;
	if (UNLIKELY(!snug_ref_is_contiguous(ref))) {
		enum match match = begin_pieces(heap, offset, &piece, sight);
		if (match != MATCH_YES) return match;
	}
	uint32_t head_bytes = read_head(piece.bytes, piece.left, &sight->head);
	if (head_bytes == 0 || key->length > piece.left - head_bytes) return MATCH_NO;
	if (!is_same(piece.bytes + head_bytes, key->bytes, key->length)) return MATCH_NO;
	size_t before_bytes = head_bytes + key->length;
	sight->value = piece.bytes + before_bytes;
	sight->value_here = smaller(sight->head.value_bytes, piece.left - before_bytes);
	if (sight->value_here < sight->head.value_bytes && sight->next == 0) return MATCH_ASK;
	return MATCH_YES;
}

/* Bit i: entry i seems to have the tag, or to be free. */
READER static inline uint32_t seen_tags(const struct bucket *bucket, uint16_t tag) {
#if defined(__SSE2__)
	/* each of them whole: a line of the cache is aligned */
	const volatile loose_words *pair = (const volatile loose_words *)(const volatile void *)bucket;
	return line_tags((__m128)pair[0], (__m128)pair[1], (__m128)pair[2], (__m128)pair[3], tag);
#else
	uint32_t tags = 0;
	for (uint32_t slot = 0; slot < BUCKET_ENTRIES; slot++)
		tags |= (uint32_t)(LOAD(&bucket->entry[slot]) >> TAG_SHIFT == tag) << slot;
	return tags;
#endif
}

/* Among the entries of one bucket that have the tag; of a spill bucket, those of this home's. */
READER static inline enum match match_bucket(const struct snug_shard *shard,
											 const struct bucket *bucket, const struct spot *spot,
											 const snug_key *key, struct sight *sight) {
	uint64_t homes = LOAD(&bucket->word) >> SPILL_HOME_SHIFT;
	uint16_t tag = (uint16_t)(key->hash & 0xFFF);
	SNUG_ASSERT(spot->home_number < GROUP_BUCKETS && spot->seen % 2 == 0);
	for (uint32_t tags = seen_tags(bucket, tag); tags != 0; tags &= tags - 1) {
		uint32_t slot = bit_lowest(tags);
		SNUG_ASSERT(slot < BUCKET_ENTRIES);
		uint64_t entry = LOAD(&bucket->entry[slot]);
		if (entry >> TAG_SHIFT != tag || entry == 0) continue; /* another one by now */
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
	for (uint32_t count = 0; count <= READ_CHAIN; count++) {
		enum match match = match_bucket(shard, spill, spot, key, sight);
		if (match != MATCH_NO) return match == MATCH_YES ? LOOK_FOUND : LOOK_ASK;
		uint32_t next = spill_next_of(LOAD(&spill->word));
		if (next == 0) return LOOK_ABSENT;
		if (next > index->spills_reserved_bytes / sizeof(struct bucket)) return LOOK_ASK;
		spill = &index->spills[next - 1];
	}
	return LOOK_ASK;
}

READER static inline enum look look(const struct snug_shard *shard, const struct spot *spot,
									const snug_key *key, struct sight *sight) {
	uint64_t word = LOAD(&spot->home->word);
	/* whoever asks for what was flushed has it removed, and counted */
	if (word >> EPOCH_SHIFT != LOAD(&shard->index.epoch)) return LOOK_ASK;
	enum match match = match_bucket(shard, spot->home, spot, key, sight);
	if (match != MATCH_NO) return match == MATCH_YES ? LOOK_FOUND : LOOK_ASK;
	return (uint32_t)word == 0 ? LOOK_ABSENT : look_in_spill(shard, spot, key, sight);
}

/* ------------------------------------------------------------------ reading ---------------- */

/* It is set to 0 behind the flush, whose epoch is then seen: find_spot's fence is between. */
READER static inline bool is_readable(const struct snug_shard *shard, const snug_key *key,
									  int64_t now_s) {
	int64_t flush_at_s = LOAD(&shard->flush_at_s);
	return key->length - 1 < SNUG_KEY_BYTES_MAX && (flush_at_s == 0 || now_s < flush_at_s);
}

static void wait_a_little(void) {
	for (uint32_t i = 0; i < PAUSES; i++) {
#if defined(__x86_64__)
		__builtin_ia32_pause();
#elif defined(__aarch64__)
		__asm__ volatile("yield");
#endif
	}
}

/* A change was met: another try may find more. */
#define LOOK_AGAIN ((enum look)(LOOK_ASK + 1))

/* What is neither LOOK_FOUND nor LOOK_AGAIN is proved. */
READER static inline enum look look_once(const struct snug_shard *shard, const snug_key *key,
										 struct sight *sight) {
	struct spot spot;
	if (!find_spot(&shard->index, key->hash, &spot)) return LOOK_AGAIN;
	enum look seen = look(shard, &spot, key, sight);
	if (seen != LOOK_FOUND && !is_unchanged(spot.version, spot.seen)) return LOOK_AGAIN;
	sight->group = spot.version;
	sight->group_seen = spot.seen;
	return seen;
}

enum look shard_look(const struct snug_shard *shard, const snug_key *key, int64_t now_s,
					 struct sight *out) {
	if (UNLIKELY(!is_readable(shard, key, now_s))) return LOOK_ASK;
	for (uint32_t try = 0; try < TRIES; try++) {
		enum look seen = look_once(shard, key, out);
		if (LIKELY(seen != LOOK_AGAIN)) return seen;
		wait_a_little();
	}
	return LOOK_ASK;
}

bool sight_holds(const struct sight *sight) {
	SNUG_ASSERT(sight->group != NULL && sight->group_seen % 2 == 0);
	return holds(sight);
}

/* False: there are more pieces than are followed, or what was read can't be. */
READER static bool copy_value(const struct snug_heap *heap, const struct sight *sight,
							  unsigned char *room) {
	size_t left = sight->head.value_bytes - sight->value_here;
	uint64_t offset = sight->next, next;
	copy_bytes(room, sight->value, sight->value_here);
	room += sight->value_here;
	for (uint32_t pieces = 1; LIKELY(pieces < READ_PIECES); pieces++) {
		if (LIKELY(left == 0)) return true;
		struct piece piece = piece_at(heap, offset);
		if (piece.left == 0 || !read_links(heap, offset, &piece, &next)) return false;
		size_t here = smaller(left, piece.left);
		copy_bytes(room, piece.bytes, here);
		room += here;
		left -= here;
		offset = next;
	}
	return left == 0;
}

READER enum look shard_read(const struct snug_shard *shard, const snug_key *key, int64_t now_s,
							void *room, size_t room_bytes, struct shard_copy *out) {
	SNUG_ASSERT(room != NULL || room_bytes == 0);
	if (UNLIKELY(!is_readable(shard, key, now_s))) return LOOK_ASK;
	for (uint32_t try = 0; try < TRIES; try++) {
		struct sight sight;
		enum look seen = look_once(shard, key, &sight);
		if (seen == LOOK_ABSENT || seen == LOOK_ASK) return seen;
		if (LIKELY(seen == LOOK_FOUND)) {
			bool fits = sight.head.value_bytes <= room_bytes;
			bool is_whole = !fits || copy_value(shard->heap, &sight, room);
			if (LIKELY(is_whole && holds(&sight))) {
				*out = (struct shard_copy){sight.head, fits};
				return LOOK_FOUND;
			}
		}
		wait_a_little();
	}
	return LOOK_ASK;
}

/* What a large value has a page for is read and written as a whole: one translation more for each 4 KiB
 * is nothing beside that. */
static bool has_small_items(const void *context, const void *block) {
	const struct arena *arena = context;
	size_t at = (size_t)((const char *)block - arena->base);
	return !arena_region_is_whole(arena, (uint32_t)(at / REGION_BYTES));
}

void shard_ranges(const struct snug_shard *shard, struct os_range *out) {
	const struct arena *arena = &shard->heap->arena;
	const struct index *index = &shard->index;
	SNUG_ASSERT(arena->reserved_bytes > 0 && index->reserved_bytes > 0);
	out[0] = (struct os_range){arena->base, arena->reserved_bytes, has_small_items, arena};
	out[1] = (struct os_range){index->groups, index->reserved_bytes, NULL, NULL};
}

/* ------------------------------------------------------------------ ahead ------------------ */

/* The item of the first entry with the tag, if it is where items are. */
READER static void prefetch_item(const struct snug_shard *shard, const struct bucket *home,
								 uint64_t hash) {
	uint32_t tags = seen_tags(home, (uint16_t)(hash & 0xFFF));
	if (tags == 0) return;
	uint64_t entry = LOAD(&home->entry[bit_lowest(tags)]);
	struct piece piece = piece_at(shard->heap, entry_ref(entry) & OFFSET_MASK);
	if (piece.left == 0) return;
	__builtin_prefetch(piece.bytes);
	prefetch_rest(piece.bytes);
}

READER void shards_read_prefetch(const struct snug_shard *const *shards, const uint64_t *hashes,
								 size_t count) {
	struct spot spot;
	for (size_t i = 0; i < count; i++)
		if (find_spot(&shards[i]->index, hashes[i], &spot)) __builtin_prefetch(spot.home);
	for (size_t i = 0; i < count; i++)
		if (find_spot(&shards[i]->index, hashes[i], &spot))
			prefetch_item(shards[i], spot.home, hashes[i]);
}
