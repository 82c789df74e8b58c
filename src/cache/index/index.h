/* cache/index/index.h: key hash -> reference: 8 bytes an item, in buckets of one cache line.
 *
 *     entry     | tag 12 | meta 12 | reference 40 |          0: free
 *     bucket    7 entries and a word of its own; a look-up reads one line, nearly always
 *     group     8 buckets, and a ninth for what they spill; more spill buckets, from a range of
 *               their own, if that is full: as many as the group needs, so that chosen keys make it
 *               slow, and lose nothing. Of these only the first has free slots
 *
 *         | bucket 0 | bucket 1 | ... | bucket 7 | spill |
 *           word: epoch 32 | entries                 |    word: home of each entry 3 x 7 | next 32
 *           in spill buckets 32                      '-> more spill
 *
 * A hash's bucket is hash * buckets / 2^64, so buckets are loaded evenly at any number of them: 6.3
 * to 6.9 entries each, 11.2 to 11.9 bytes an item with all spill. The tag is the hash's low bits,
 * so of 4,096 other keys in a bucket one is looked at for nothing.
 *
 * GROWING by a sixteenth: group after group, from the last one down, each one's entries go to their
 * new places, which are never below it, where everything has gone already. SHRINKING the other way,
 * from the first one up. A step is one group, some 55 keys to read (more only if they were chosen
 * by somebody who knows the secret of work/key_hash.h); there is no second table and no pause.
 * Memory follows the steps.
 *
 *     |<---- old places ---->|cursor|   not used   |<---- new places ---->|
 *
 * Linear hashing (Litwin, 1980) with an expansion of all buckets alike; Larson's partial expansions
 * (1980) are the idea's parent. Litwin's own order, which splits one bucket after the other, leaves
 * half of the table twice as full as the rest; here all buckets are alike at each size.
 *
 * A FLUSH begins an epoch, and is over: what a bucket of an earlier epoch holds is dead, and goes
 * when somebody comes by: a look-up, the sweep, the eviction, a step.
 *
 * REJECTED (docs/design/0006). A cap on a group, which refuses stores. Moving entries to other
 * groups, as cuckoo hashing does: a look-up would have to read two lines.
 *
 * OTHER THREADS READ it (shard/shard_read.c), and prove what they have read by versions: whoever
 * changes a group, or an item that it names, does it between index_begin_change and
 * version_end_change. The size, and how far a change of it has come, have a version of their own.
 *
 * Memory is the heap's by charge: it counts towards its limit. One thread changes it.
 *
 * Beside it in this room: item.h, how an item lies in memory; index_left, the entries of an index
 * whose process was killed. */
#ifndef SNUG_CACHE_INDEX_H
#define SNUG_CACHE_INDEX_H

#include "base/assert.h"
#include "base/versions.h"

#include <snug/error.h>
#include <snug/heap.h>
#include <snug/os.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define BUCKET_ENTRIES 7u
#define GROUP_BUCKETS 8u
#define META_BITS 12
#define META_MAX ((1u << META_BITS) - 1)

struct bucket {
	_Alignas(64) uint64_t entry[BUCKET_ENTRIES];
	uint64_t word;
};

struct group {
	struct bucket bucket[GROUP_BUCKETS];
	struct bucket spill;
};

/* A group's version is that of its number modulo a power of two. It stands for the group's entries,
 * for the spill buckets behind it, and for the items that these entries name, but for the links
 * between their pieces. These many lie in the index; a larger one's have memory of their own. */
#define VERSIONS_OWN 256u
#define VERSIONS_MAX 16384u
/* of the limit to a version: some ten groups of items of 100 bytes */
#define VERSION_LIMIT_BYTES ((size_t)64 << 10)

#define GROUP_NONE UINT32_MAX

enum index_change { INDEX_STEADY, INDEX_GROWING, INDEX_SHRINKING };

/* What the index must be told of an item, to find its new place. */
typedef uint64_t (*index_hash_function)(void *context, snug_ref ref);

/* True: the entry's item is gone, and so shall the entry be. */
typedef bool (*index_filter_function)(void *context, uint64_t entry);

struct index {
	snug_heap *heap; /* who is charged */
	const snug_os *os;
	index_hash_function hash_of;
	index_filter_function drop_flushed; /* always true */
	void *context;                      /* of both */
	struct group *groups;
	/* the next six are read by any thread, under `geometry`, or as they come: epoch */
	data_version geometry;
	uint32_t from;   /* groups */
	uint32_t to;     /* groups, after the change; = from when steady */
	uint32_t cursor; /* growing: old groups from here on have moved; shrinking: those below */
	uint32_t moving; /* an old group whose entries are on their way; or GROUP_NONE */
	uint32_t epoch;
	enum index_change change;
	uint32_t versions_mask;
	data_version
		*versions; /* of groups; constant after init, as are the mask and the ranges' addresses */
	size_t reserved_bytes;
	size_t low_bytes;      /* committed from the beginning */
	size_t high_bytes;     /* committed from here .. */
	size_t end_bytes;      /* .. to here; high = end: nothing */
	struct bucket *spills; /* numbered from 1 */
	size_t spills_reserved_bytes;
	size_t spills_bytes;
	uint32_t spills_made;
	uint32_t spills_free; /* a list through their words */
	uint32_t spills_free_count;
	size_t versions_bytes; /* of memory of their own; 0: none */
	uint64_t count;        /* entries: what readers look at lies on other lines */
	/* what the moving group held, and the bucket of its chain that is under way: for who finds the
	 * index in a memory file, and the owner gone */
	struct group carried;
	struct bucket carried_extra;
	uint32_t carried_next; /* the chain behind it */
	_Alignas(64) data_version versions_own[VERSIONS_OWN];
};

/* Addresses for as many items as a limit allows. OS_MEMORY, NO_MEMORY. */
snug_error index_init(struct index *index, snug_heap *heap, const snug_os *os,
					  size_t limit_max_bytes, index_hash_function hash_of,
					  index_filter_function drop_flushed, void *context);
void index_deinit(struct index *index);

/* An index that was left in a memory file, in a process that is gone: the same, as for index_init.
 * It charges nothing. False: what it says of itself lies outside of the file. */
struct memory_segment;
bool index_attach(struct index *index, snug_heap *heap, const struct memory_segment *segment,
				  const snug_os *os, index_hash_function hash_of,
				  index_filter_function drop_flushed, void *context);

static inline snug_ref entry_ref(uint64_t entry) {
	return entry & (((uint64_t)1 << SNUG_REF_BITS) - 1);
}

static inline uint32_t entry_meta(uint64_t entry) {
	return (uint32_t)(entry >> SNUG_REF_BITS) & META_MAX;
}

static inline uint64_t entry_with_ref(uint64_t entry, snug_ref ref) {
	SNUG_ASSERT(ref != 0 && ref >> SNUG_REF_BITS == 0);
	return (entry & ~(((uint64_t)1 << SNUG_REF_BITS) - 1)) | ref;
}

static inline uint64_t entry_with_meta(uint64_t entry, uint32_t meta) {
	SNUG_ASSERT(meta <= META_MAX);
	return (entry & ~((uint64_t)META_MAX << SNUG_REF_BITS)) | (uint64_t)meta << SNUG_REF_BITS;
}

#define TAG_SHIFT (SNUG_REF_BITS + META_BITS)

static inline uint64_t index_scale(uint64_t hash, uint64_t buckets) {
	__extension__ typedef unsigned __int128 wide;
	return (uint64_t)(((wide)hash * buckets) >> 64);
}

/* The bucket's number now, in the middle of a change too. */
static inline uint64_t index_place(const struct index *index, uint64_t hash) {
	uint64_t place = index_scale(hash, (uint64_t)index->from * GROUP_BUCKETS);
	if (index->change == INDEX_STEADY) return place;
	bool moved = index->change == INDEX_GROWING ? place / GROUP_BUCKETS >= index->cursor
												: place / GROUP_BUCKETS < index->cursor;
	return moved ? index_scale(hash, (uint64_t)index->to * GROUP_BUCKETS) : place;
}

/* The first hash behind those of its bucket, as things are; 0: there is none. Who walks by hashes
 * meets each entry once at least, however the index grows or shrinks in between. */
uint64_t index_bucket_end(const struct index *index, uint64_t hash);

static inline struct bucket *index_bucket(const struct index *index, uint64_t place) {
	SNUG_ASSERT(place <
				(uint64_t)GROUP_BUCKETS * (index->from > index->to ? index->from : index->to));
	return &index->groups[place / GROUP_BUCKETS].bucket[place % GROUP_BUCKETS];
}

/* Asks for the bucket of a hash, which is about to change. */
static inline void index_prefetch(const struct index *index, uint64_t hash) {
	__builtin_prefetch(index_bucket(index, index_place(index, hash)), 1);
}

static inline struct group *group_of(struct bucket *home, uint32_t home_number) {
	SNUG_ASSERT(home_number < GROUP_BUCKETS);
	return (struct group *)(void *)(home - home_number);
}

/* Begins a change of a group's entries, or of an item that one of them names: nothing in between
 * may move objects, or begin another. */
static inline struct change index_begin_change(struct index *index, uint32_t group) {
	SNUG_ASSERT(group < (index->from > index->to ? index->from : index->to));
	return version_begin_change(&index->versions[group & index->versions_mask]);
}

static inline bool index_is_changing(const struct index *index, uint32_t group) {
	return version_is_changing(&index->versions[group & index->versions_mask]);
}

static inline uint32_t group_number(const struct index *index, struct bucket *home,
									uint32_t home_number) {
	return (uint32_t)(group_of(home, home_number) - index->groups);
}

static inline uint32_t bucket_spilled(const struct bucket *home) {
	return (uint32_t)home->word;
}

#define EPOCH_SHIFT 32

/* All it holds was flushed. */
static inline bool index_is_flushed(const struct index *index, const struct bucket *home) {
	return home->word >> EPOCH_SHIFT != index->epoch;
}

#define SPILL_HOME_SHIFT 32

/* In a spill bucket: the number, in the group, of the bucket that an entry belongs to. */
static inline uint32_t spill_home(const struct bucket *spill, uint32_t slot) {
	return (uint32_t)(spill->word >> (SPILL_HOME_SHIFT + 3 * slot)) & (GROUP_BUCKETS - 1);
}

static inline uint32_t spill_next_of(uint64_t word) {
	return (uint32_t)(word & (((uint64_t)1 << SPILL_HOME_SHIFT) - 1));
}

static inline uint32_t spill_next(const struct bucket *spill) {
	return spill_next_of(spill->word);
}

static inline struct bucket *spill_at(const struct index *index, uint32_t number) {
	SNUG_ASSERT(number > 0 && number <= index->spills_made);
	return &index->spills[number - 1];
}

/* The next one of the group's spill buckets, or NULL. */
static inline struct bucket *spill_after(const struct index *index, const struct bucket *spill) {
	uint32_t next = spill_next(spill);
	return next == 0 ? NULL : spill_at(index, next);
}

/* ------------------------------------------------------------------ looking up ------ */

/* Walks the entries that may be the key's: those of its bucket with its tag, then the spilled
 * ones. */
struct probe {
	const struct index *index;
	struct bucket *home;
	struct bucket *bucket; /* the one that is looked at */
	uint64_t *entry;       /* the one that was found */
	uint32_t group;        /* the home's: its number */
	uint32_t matches;      /* bit i: entry i of `bucket` is still to be looked at */
	uint16_t tag;
	uint8_t home_number; /* in its group */
};

/* Bit i: entry i has the tag, or is free and the tag is 0. */
#if defined(__SSE2__)
#define TAG_HALF_SHIFT (TAG_SHIFT - 32) /* in the upper half of an entry */

/* Of a bucket's line, two words in each: the upper halves of four entries are compared at a time;
 * the bucket's own word is the eighth. 18 instructions, where one entry after the other takes 66. */
static inline uint32_t line_tags(__m128 first, __m128 second, __m128 third, __m128 last,
								 uint16_t tag) {
	__m128i wanted = _mm_set1_epi32(tag);
	__m128i low = _mm_castps_si128(_mm_shuffle_ps(first, second, _MM_SHUFFLE(3, 1, 3, 1)));
	__m128i high = _mm_castps_si128(_mm_shuffle_ps(third, last, _MM_SHUFFLE(3, 1, 3, 1)));
	low = _mm_cmpeq_epi32(_mm_srli_epi32(low, TAG_HALF_SHIFT), wanted);
	high = _mm_cmpeq_epi32(_mm_srli_epi32(high, TAG_HALF_SHIFT), wanted);
	int tags = _mm_movemask_ps(_mm_castsi128_ps(low)) | _mm_movemask_ps(_mm_castsi128_ps(high))
															<< 4;
	return (uint32_t)tags & ((1u << BUCKET_ENTRIES) - 1);
}

static inline uint32_t bucket_tags(const struct bucket *bucket, uint16_t tag) {
	const __m128 *pair = (const __m128 *)(const void *)bucket;
	return line_tags(pair[0], pair[1], pair[2], pair[3], tag);
}
#else
static inline uint32_t bucket_tags(const struct bucket *bucket, uint16_t tag) {
	uint32_t tags = 0;
	for (uint32_t i = 0; i < BUCKET_ENTRIES; i++)
		tags |= (uint32_t)(bucket->entry[i] >> TAG_SHIFT == tag) << i;
	return tags;
}
#endif

static inline uint32_t bucket_matches(const struct bucket *bucket, uint16_t tag) {
	uint32_t matches = bucket_tags(bucket, tag);
	SNUG_ASSERT(tag >> (64 - TAG_SHIFT) == 0 && matches >> BUCKET_ENTRIES == 0);
	if (__builtin_expect(tag != 0, true)) return matches;
	for (uint32_t i = 0; i < BUCKET_ENTRIES; i++) /* free ones look as if they had the tag 0 */
		if (bucket->entry[i] == 0) matches &= ~(1u << i);
	return matches;
}

static inline struct probe index_probe(const struct index *index, uint64_t hash) {
	uint64_t place = index_place(index, hash);
	struct probe probe = {.index = index,
						  .group = (uint32_t)(place / GROUP_BUCKETS),
						  .tag = (uint16_t)(hash & 0xFFF),
						  .home_number = place % GROUP_BUCKETS};
	probe.home = probe.bucket = index_bucket(index, place);
	probe.matches = bucket_matches(probe.bucket, probe.tag);
	return probe;
}

/* The next spill bucket with matches; false: there is none. */
bool probe_spill(struct probe *probe);

/* False: no more. */
static inline bool probe_next(struct probe *probe) {
	while (probe->matches == 0)
		if (bucket_spilled(probe->home) == 0 || !probe_spill(probe)) return false;
	probe->entry = &probe->bucket->entry[__builtin_ctz(probe->matches)];
	SNUG_ASSERT(*probe->entry != 0);
	probe->matches &= probe->matches - 1;
	return true;
}

/* ------------------------------------------------------------------ changing -------- */

/* Memory for whatever the next index_add may need. Objects may be moved. NO_MEMORY, OS_MEMORY. */
snug_error index_prepare(struct index *index);

/* After index_prepare, without which it may answer CORRUPT. */
snug_error index_add(struct index *index, uint64_t hash, snug_ref ref, uint32_t meta);

/* Where the next entry goes, in an index that is not changing, holds nothing that was flushed, and is
 * read by nobody else. NULL: its bucket is full, or has an entry with the same tag. */
static inline uint64_t *index_room(const struct index *index, uint64_t hash) {
	struct bucket *bucket = index_bucket(index, index_place(index, hash));
	SNUG_ASSERT(index->change == INDEX_STEADY && !index_is_flushed(index, bucket));
	for (uint32_t slot = 0; slot < BUCKET_ENTRIES; slot++) {
		uint64_t entry = bucket->entry[slot];
		if (entry == 0) return &bucket->entry[slot];
		if (entry >> TAG_SHIFT == (hash & 0xFFF)) return NULL;
	}
	return NULL;
}

/* Groups for so many entries at once, of an index that is empty. NO_MEMORY, OS_MEMORY. */
snug_error index_presize(struct index *index, uint64_t entries);

/* What the probe has found. */
void index_remove(struct index *index, const struct probe *probe);

/* Writes an entry whole, as other threads may read it. What stands before it is done before, and
 * what stands behind it after: who is killed in between leaves an entry that names a whole item. The
 * fences are the compiler's alone: memory outlives the process in the order in which it ran. */
static inline void entry_set(uint64_t *at, uint64_t entry) {
	atomic_signal_fence(memory_order_seq_cst);
	__atomic_store_n(at, entry, __ATOMIC_RELAXED);
	atomic_signal_fence(memory_order_seq_cst);
}

/* Whatever is there is dead from now on. A bucket that is met once in 2^32 flushes at least never
 * takes what is dead for alive. */
static inline void index_flush(struct index *index) {
	__atomic_store_n(&index->epoch, index->epoch + 1, __ATOMIC_RELEASE);
}

/* What was flushed of a bucket's entries, told to drop_flushed, goes. */
void index_settle(struct index *index, struct bucket *home, uint32_t home_number);

/* Each of the bucket's entries, those that it has spilled too, goes if the filter says so. */
void index_filter(struct index *index, struct bucket *home, uint32_t home_number,
				  index_filter_function filter, void *context);

/* More than 6.9 entries a bucket: a sixteenth more groups. */
static inline bool index_is_crowded(const struct index *index) {
	return index->count * 10 > (uint64_t)index->from * GROUP_BUCKETS * 69;
}

static inline uint32_t index_part(uint32_t groups) {
	return groups < 16 ? 1 : groups / 16;
}

/* A sixteenth fewer groups would still have less than 6.7 entries a bucket. */
static inline bool index_is_sparse(const struct index *index) {
	return index->from > 1 &&
		   index->count * 10 <
			   (uint64_t)(index->from - index_part(index->from)) * GROUP_BUCKETS * 67;
}

/* Whether a step has something to do. */
static inline bool index_wants_step(const struct index *index) {
	return index->change != INDEX_STEADY || index_is_crowded(index) || index_is_sparse(index);
}

/* One group. Objects may be moved. NO_MEMORY, OS_MEMORY: nothing was done, and all is well;
 * later. */
snug_error index_step(struct index *index);

static inline size_t index_committed_bytes(const struct index *index) {
	return index->low_bytes + (index->end_bytes - index->high_bytes) + index->spills_bytes +
		   index->versions_bytes;
}

/* What of it would go back if it held so few entries, and had shrunk for them. */
static inline size_t index_spare_bytes(const struct index *index, uint64_t entries) {
	uint64_t groups = entries / (GROUP_BUCKETS * 6) + 3;
	size_t kept_bytes = (groups * sizeof(struct group) + 4095) & ~(size_t)4095,
		   committed_bytes = index->low_bytes + (index->end_bytes - index->high_bytes);
	return committed_bytes > kept_bytes ? committed_bytes - kept_bytes : 0;
}

/* All entries, until `visit` answers false. */
typedef bool (*index_visitor)(void *context, uint64_t entry);
void index_visit(const struct index *index, index_visitor visit, void *context);

/* The group that holds a hash, alone, and the entries in it: the first hash behind the group's is
 * told (0: there is none), so that who walks by hashes meets each entry once, however the index
 * grows or shrinks in between. A sentence about what is wrong, or NULL. */
const char *index_check_at(const struct index *index, uint64_t hash, uint64_t *next,
						   index_visitor visit, void *context);

/* Counts again and compares: a sentence about what is wrong, or NULL. */
const char *index_check(const struct index *index);

#endif
