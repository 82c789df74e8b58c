/* cache/shard/shard_state.h: a shard from within: the map of this room, which answers each get.
 *
 *     shard.c           its life, in a memory file too, and what the heap asks of it
 *     shard_check.c     figures and laws
 *     shard_maintain.c  what is done beside serving
 *     shard_spare       memory that nothing uses goes back
 *     shard_lease.c     values in pieces
 *     shard_store.c     storing, and storing anew what must grow a field
 *     shard_find        finding, reading, deleting; all items, part by part
 *     shard_read        reading by other threads
 *     shard_hints       what these have read is used
 *     shard_room.c      room for an item, by eviction if need be; or a refusal before any
 *     shard_evict.c     which item goes
 *     shard_sweep       what was flushed or has expired goes
 *     expiries          how many items may have expired by now
 *     shard_drop.c      how an item ends
 *     shard_recover.c   the items of a shard whose process was killed
 *
 * Each calls only what stands below it.
 *
 * The words of src/cache:
 *   item        head, key and value: one object of the heap
 *   entry       8 bytes of the index that name an item
 *   place       the number of a bucket, by the hash and the index's size
 *   tag, meta   an entry's bits of the hash; its bits for the rank
 *   home        the bucket that an entry belongs to, where it was spilled elsewhere
 *   linked      in the index; unlinked: alive for a lease only, or not stored yet
 *   live        linked and not flushed; dead: flushed, or its expiry has passed
 *   flush       to end all that is there at once; epoch: the number by which buckets know it
 *   hand        where the eviction looks next, a hash; the sweep has one as well
 *   sweep       the walk that removes what is dead
 *   rank        what keeping an item is worth, learnt from hits
 *   stamp, tick when an item was last used, in sixteenths of a turnover
 *   turnover    as many bytes stored as the limit has
 *   candidate   an entry that the hand found worth little
 *   newcomer    an item that was stored when fewer than sixteen others have come since
 *   ghost       what is remembered of an item that was evicted
 *   lease       an item that is pinned while bytes go in or out
 *   reserve     to take an item's memory before its value has come; commit: to link it when it has
 *   promise     room among the leases that is kept for one to come
 *   window      up to 32 extents of a leased value, as many as are told at a time
 *   watched     the reference that is followed while memory is taken, and not evicted
 *   operation   what is asked about one key; request: the same, asked of another thread's shard
 *   visit       a function that is called on the shard's own thread
 *   parcel      requests with all that they need, of an asker who does not wait for ever; late: it
 *               is still under way
 *   in place    changed where it lies: named in a word meanwhile, for who finds it half-changed
 *
 * Laws, walked by snug_shard_check:
 *   K1  each index entry names a live item of that key, found where its hash says, once; none
 *       expires before the earliest
 *   K2  items and bytes that were not flushed are as many as counted; the heap holds the items,
 *       what leases hold, and nothing else; between rounds of the sweep no fewer will
 *       expire than have an expiry
 * A reference may change in every call that takes memory: `moved` writes the index entry and
 * `watched`.
 *
 * COST. A shard is 24 KB: 9 of the rank's tables, 4 of the last uses, 4 of hints, 2 of expiries, 1 of
 * versions. An item costs its head, some 11.5 bytes of index and 2 to 8 of ghosts. */
#ifndef SNUG_CACHE_SHARD_STATE_H
#define SNUG_CACHE_SHARD_STATE_H

#include "cache/index/index.h"
#include "cache/index/item.h"
#include "cache/rank/candidates.h"
#include "cache/rank/ghosts.h"
#include "cache/rank/newcomers.h"
#include "cache/rank/rank.h"
#include "cache/rank/recent.h"
#include "cache/shard/expiries.h"
#include "cache/shard/shard_hints.h"
#include "os/local_time.h"
#include "work/policy/spare.h"

#define STAMPS (1u << RANK_STAMP_BITS)

/* Items and their bytes. */
struct tally {
	uint64_t items;
	uint64_t bytes;
	uint64_t key_bytes; /* of these */
	uint64_t value_bytes;
};

static inline void tally_add_item(struct tally *tally, const struct item_head *head) {
	tally->items++;
	tally->bytes += item_bytes(head);
	tally->key_bytes += head->key_bytes;
	tally->value_bytes += head->value_bytes;
}

/* A check in slices: items whose hash is below `hash` were walked, and are counted here; what
 * changes among them goes on being counted. */
struct shard_check {
	uint8_t phase; /* shard_check.c; 0: none */
	uint64_t hash;
	struct tally live;
	uint64_t linked;
	uint64_t expiring;
	bool broken;
	snug_check_result result;
};

struct memory_segment;
struct heap_recovery;

/* What became of the items of a process that was killed. */
struct shard_recovered {
	uint64_t items;
	uint64_t dropped; /* that were half-changed, or do not certify themselves */
	uint64_t ns;
};
struct walked;

/* Whoever changes it, or what one of its fields means, changes SHARD_LAYOUT (shard.c): it lies in
 * memory files. */
struct snug_shard {
	snug_heap *heap;
	int64_t flush_at_s; /* 0: none to come. Here, for readers look at it as at what stands around */
	struct index index;
	struct rank rank;
	struct recent recent;
	/* addresses of entries: forgotten when the index changes its size */
	struct candidates candidates;
	struct newcomers newcomers;
	struct ghosts ghosts;
	size_t ghosts_reserved_bytes; /* addresses */
	size_t ghosts_refused_bytes;  /* of a table that the OS did not let shrink; 0: none */
	uint64_t hand;                /* of the eviction: a hash; the place it stands for comes next */
	uint32_t tick_s[STAMPS];      /* when each of the last ticks began */
	snug_shard_options options;
	struct os_epoch epoch; /* of the clock that a shard has by default */
	const snug_os *os;
	size_t reserved_bytes;
	size_t unasked_max_bytes; /* key and value: smaller items are not too large */
	uint64_t promised_bytes;  /* of leases to come */
	bool owns_heap;
	uint64_t cas_last;
	bool gains_pages; /* for a lower limit a defragmentation is under way */
	bool gives_back;  /* the same, for memory that nothing uses */
	struct spare spare;
	bool is_spare_settled; /* by its last look nothing more becomes spare without a call */
	uint64_t give_back_ns; /* by the OS's clock: no look before */
	uint32_t back_in_vain; /* runs in a row that returned nothing */
	/* without eviction: classes were merged for this limit, which is not tried again */
	bool has_merged;
	/* what must not be evicted, and is followed when it moves; 0: nothing */
	snug_ref watched;
	uint64_t sweep_hand;    /* as `hand`, of the sweep for what is dead; 0 between rounds */
	uint32_t sweep_round_s; /* when it was last around */
	uint32_t earliest_s;    /* no item expires before; UINT32_MAX: none does */
	/* the same, of what the round has passed and what was stored since it began */
	uint32_t round_earliest_s;
	uint64_t expiring;          /* items with an expiry */
	struct expiries expiries;   /* of those: what the last round has passed, and what came since */
	uint64_t linked;            /* items, those too that were flushed and are not removed yet */
	struct tally live;          /* without those */
	size_t kept_for_pins_bytes; /* charged */
	uint64_t flushed_met;       /* look-ups that would have found what was flushed: it only grows */
	uint64_t flushed_bytes;     /* of items that were flushed and are removed: it only grows */
	/* shard_find.h, shard_tell_evictions; NULL: nobody wants to know */
	void (*evicted)(void *context, const struct walked *item);
	void *evicted_context;
	struct shard_check check;
	snug_shard_stats stats; /* the counters; the rest is filled in when asked for */
	struct hints hints;     /* any thread posts */
	/* in a memory file: where; NULL: in none */
	struct memory_segment *segment;
	bool is_kept;      /* by a process that is gone: it has items */
	int64_t left_s;    /* when it was left, by its clock */
	uint64_t left_ns;  /* and by the OS's */
	snug_ref in_place; /* the item whose bytes are being changed; 0: none */
	struct shard_recovered recovered;
};

/* An item that an entry names is changed where it lies. Who is killed in between leaves one that is
 * neither the old nor the new one: the word says which. Nothing moves in between. */
static inline void shard_begin_in_place(struct snug_shard *shard, snug_ref ref) {
	SNUG_ASSERT(shard->in_place == 0);
	shard->in_place = ref;
	atomic_signal_fence(memory_order_seq_cst);
}

static inline void shard_end_in_place(struct snug_shard *shard) {
	atomic_signal_fence(memory_order_seq_cst);
	shard->in_place = 0;
}

static inline uint32_t shard_now_s(const struct snug_shard *shard) {
	return (uint32_t)shard->options.now_s(shard->options.now_context);
}

static inline int64_t shard_wall_ahead_s(const struct snug_shard *shard) {
	return shard->options.wall_s(shard->options.now_context) - (int64_t)shard_now_s(shard);
}

/* The moment of a date, which is told by the clock on the wall. */
static inline int64_t shard_moment_s(const struct snug_shard *shard, int64_t date_s) {
	return date_s - shard_wall_ahead_s(shard);
}

/* And the date of a moment. */
static inline int64_t shard_date_s(const struct snug_shard *shard, int64_t moment_s) {
	return moment_s + shard_wall_ahead_s(shard);
}

/* What is told of an item's expiry: the date, or 0 for never. */
static inline uint32_t shard_told_date(const struct snug_shard *shard, uint32_t expires_at_s) {
	int64_t date_s = expires_at_s == 0 ? 0 : shard_date_s(shard, expires_at_s);
	return date_s < 0 ? 0 : date_s > UINT32_MAX ? UINT32_MAX : (uint32_t)date_s;
}

/* When it was last used, seconds ago: to the second if it was not long ago, else to a tick. */
static inline uint32_t shard_idle_at_s(const struct snug_shard *shard, uint64_t hash,
									   rank_meta meta, uint32_t now_s) {
	uint32_t at_s = shard->tick_s[meta % STAMPS];
	(void)recent_recall(&shard->recent, hash, &at_s);
	return now_s > at_s ? now_s - at_s : 0;
}

static inline uint32_t shard_idle_s(const struct snug_shard *shard, uint64_t hash, rank_meta meta) {
	return shard_idle_at_s(shard, hash, meta, shard_now_s(shard));
}

/* The meta of an item of so many bytes that is being stored and was not there. */
static inline rank_meta shard_rank_insert(struct snug_shard *shard, uint64_t hash, uint32_t bytes) {
	uint32_t tick = shard->rank.tick;
	struct recalled known;
	rank_meta meta =
		ghosts_recall(&shard->ghosts, hash, &known)
			? rank_readmit(&shard->rank, known.class, known.evictions, bytes, shard->linked + 1)
			: rank_insert(&shard->rank, bytes, shard->linked + 1);
	if (__builtin_expect(shard->rank.tick != tick, false))
		shard->tick_s[shard->rank.tick % STAMPS] = shard_now_s(shard);
	SNUG_ASSERT(meta <= META_MAX);
	return meta;
}

/* An entry whose item was used has this meta from now on. Written only if it is another: a store
 * makes the line of its bucket that of this processor alone. */
static inline void shard_note_hit(uint64_t *entry, uint32_t meta) {
	if (entry_meta(*entry) != meta) entry_set(entry, entry_with_meta(*entry, meta));
}

static inline bool shard_is_expired(const struct snug_shard *shard, const struct item_head *head) {
	return head->expires_at_s != 0 && head->expires_at_s <= shard_now_s(shard);
}

enum drop_reason { DROP_REMOVED, DROP_EVICTED, DROP_EXPIRED };

/* Takes what the probe names out of the index, and frees it unless a lease holds it. */
void shard_drop(struct snug_shard *shard, const struct probe *probe, const struct item_head *head,
				enum drop_reason reason);

/* The same without the index's entry, which is the caller's to remove. */
void shard_let_go(struct snug_shard *shard, snug_ref ref, const struct item_head *head,
				  enum drop_reason reason);

/* An item by what lies in its head; idle_s is 0. */
void shard_fill_head(snug_ref ref, const struct item_head *head, snug_item *out);

/* For the index: removes what was flushed. `context` is the shard. */
bool shard_drop_flushed(void *context, uint64_t entry);

/* The hash of a stored item's key. */
uint64_t shard_hash_of_item(const struct snug_shard *shard, snug_ref ref);

/* Counts an item that was not flushed in or out; the hash is that of its key. */
void shard_count(struct snug_shard *shard, uint64_t hash, const struct item_head *head, bool in);
/* Counts many in that have no expiry: their sums. */
void shard_count_many(struct snug_shard *shard, const struct tally *items);
/* The same for one that takes the place of `old`, with the same key. */
void shard_recount(struct snug_shard *shard, uint64_t hash, const struct item_head *old,
				   const struct item_head *head);

/* Room for an item whose first `head_bytes` are head and key; if it may, evicting if need be, never
 * `watched`. Moves objects. NO_MEMORY, OS_MEMORY, SIZE_TOO_LARGE. */
snug_error shard_alloc(struct snug_shard *shard, size_t bytes, size_t head_bytes, bool evicts,
					   snug_ref *out);

/* As snug_shard_reserve, but no item goes for the value (for the table of pins some may). A refusal
 * is not counted. */
snug_error shard_reserve_free(struct snug_shard *shard, const snug_key *key, size_t value_bytes,
							  snug_lease *out);

/* Nobody else gets a lease that would leave this one none. Its bytes; 0: there is no room for it
 * among the leases, whatever item went. `error` as for shard_can_fit. */
uint32_t shard_promise_lease(struct snug_shard *shard, const snug_key *key, size_t value_bytes,
							 snug_error error);
void shard_end_promise(struct snug_shard *shard, uint32_t bytes);

/* Whether an item of so many bytes, and what is charged beside it, would have room if all went that
 * may go. If not, nothing goes for it (law K9). `error` is what it was refused with. 0: no item, or
 * no charge. */
bool shard_can_fit(const struct snug_shard *shard, size_t item_bytes, size_t charge_bytes,
				   snug_error error);

/* The same if nothing were leased or charged by others either: what would not fit then is too large. */
bool shard_can_ever_fit(const struct snug_shard *shard, size_t item_bytes);

/* The process hashes keys as the file's were hashed, or the file as the process does from now on.
 * IN_USE: the process's secret is settled, and another. */
snug_error shard_take_secret(snug_memory_file *file);

/* Walks a shard whose memory somebody else may have written to, but for its tables: nothing is
 * believed before it is bounded. CORRUPT. */
snug_error shard_check_stranger(snug_shard *shard);

/* Puts what `left` holds, as it was found in the segment, into a shard and a heap that are empty, and
 * stand beside it. Nothing of what was left is changed. CORRUPT: its parts are not there; OS_MEMORY:
 * for the second index. */
snug_error shard_recover_items(struct snug_shard *shard, const struct snug_shard *left,
							   struct heap_recovery *heap);

/* Where the old index lies, by the numbers of its parts: it has no other address then. */
enum { FACT_GROUPS, FACT_SPILLS };

#define SHARD_ASKED_PARTS 4u /* below a quarter of the limit everything can fit */

/* After what may have changed the limit. */
void shard_limit_changed(struct snug_shard *shard);

/* What the table of pins needs to grow by for one more lease. */
size_t shard_pin_table_growth(const struct snug_shard *shard);

/* Evicts the least valuable of a sample, or removes what was flushed; tells its bytes; 0: nothing
 * can be evicted. */
uint64_t shard_evict_one(struct snug_shard *shard);

/* Up to so many at once, until so many bytes have gone. */
#define SHARD_EVICTED_AT_ONCE 8u
uint64_t shard_evict_some(struct snug_shard *shard, uint32_t count, uint64_t bytes);

/* An item was stored: the one that came sixteen before is looked at. */
void shard_follow_newcomer(struct snug_shard *shard, uint64_t hash);

/* By eviction, or where nothing may be evicted by what is dead. The bytes; 0: nothing more can
 * go. */
uint64_t shard_make_room(struct snug_shard *shard);

/* The same until so many bytes have gone; the tables shrink with the items. */
uint64_t shard_make_rooms(struct snug_shard *shard, uint64_t bytes);

/* For a grain of a table that was refused with this error. False: none can be made. */
bool shard_make_table_room(struct snug_shard *shard, snug_error error);

/* Without eviction some memory is kept for the table of pins, so that what is there can be read
 * when nothing is free: as much of it as the table does not have. After what may have changed
 * that. */
void shard_keep_for_pins(struct snug_shard *shard);

/* The table of ghosts follows the number of items, a grain a call. Moves objects, evicts for it. */
void shard_fit_ghosts(struct snug_shard *shard);
/* The same, where items have gone and none comes: a grain of it. False: it fits. */
bool shard_shrink_ghosts(struct snug_shard *shard);

/* Stores as snug_shard_set does, but a refusal leaves what there was: for what may not take it
 * away, such as a condition or a count. */
snug_error shard_set(struct snug_shard *shard, const snug_key *key,
					 const snug_attributes *attributes, const void *value, size_t length);

/* After a refused set: removes what it was to replace, if it was refused for room or size. Gives
 * the error back. */
snug_error shard_refuse_set(struct snug_shard *shard, const snug_key *key, snug_error error);

/* Puts a finished item into the index, in place of what has its key. On an error it is freed. */
snug_error shard_link(struct snug_shard *shard, const snug_key *key, snug_ref ref,
					  const struct item_head *head);

/* The head that an item with these attributes has. */
struct item_head shard_head(struct snug_shard *shard, const snug_key *key,
							const snug_attributes *attributes, size_t value_bytes);

/* Before a head is made: a flush whose time has come is done. NULL, KEY, SIZE_TOO_LARGE. */
snug_error shard_begin_store(struct snug_shard *shard, const snug_key *key, size_t value_bytes);

/* A bounded share of the index's growing or shrinking. False: there is nothing to do, or no memory
 * for it: later; the index is denser meanwhile. */
static inline bool shard_index_step(struct snug_shard *shard) {
	if (__builtin_expect(!index_wants_step(&shard->index), true)) return false;
	candidates_forget(&shard->candidates);
	return index_step(&shard->index) == SNUG_OK;
}

#endif
