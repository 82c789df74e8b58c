/* snug/shard.h: a cache in one thread: keys and values under one hard limit, packed, with eviction
 * and expiry.
 *
 *     snug_shard_options options = snug_shard_options_default();
 *     options.heap.limit_bytes = 64 << 20;                     // everything: values, index, bookkeeping
 *     snug_shard *shard;
 *     if (snug_shard_create(&options, &shard) != SNUG_OK) return 1;
 *
 *     snug_key key = snug_shard_key("name", 4);
 *     snug_item item;
 *     char buffer[100];
 *     if (snug_shard_set(shard, &key, NULL, "value", 5) != SNUG_OK) return 1;
 *     if (snug_shard_get(shard, &key, &item) != SNUG_OK || item.value_bytes > sizeof buffer) return 1;
 *     if (snug_shard_read(shard, &item, 0, buffer, item.value_bytes) == SNUG_OK)
 *         fwrite(buffer, 1, item.value_bytes, stdout);
 *     if (snug_shard_destroy(shard) != SNUG_OK) return 1;
 *
 * One thread owns a shard; there is no lock in it. What was found (a snug_item) holds until the
 * next call that takes memory: set, extend, change, cas, reserve, commit, pin, evict, charge,
 * maintain, set_limit. A pin makes it hold until the release, even if the item is replaced.
 *
 * EVICTION is over all sizes: what is least worth its bytes goes, be it large or small, and
 * compaction turns the holes into room for what comes. So a store fails only if it could never fit,
 * if eviction is off, or if what is in the way is leased or charged; and then nothing has been
 * evicted for it. An item of half of the limit always can fit, and most of the limit in one item of
 * a large shard: what is left is for the tables.
 *
 * WHAT A CALL COSTS grows with the value alone: microseconds up to a page, then by the MiB. For a
 * value of 1 MiB, 64 MiB and 1 GiB, in the pages of a shard of two and a half times as much
 * (bench-large):
 *
 *     its end, by whatever call     12 us    0.14 ms    1.5 ms    nothing goes to the OS
 *     room that is free             37 us    3-11 ms    6-60 ms
 *     the same, never used before    1 ms      22 ms    130 ms    the OS has to find the memory
 *
 * TIME is seconds since 1970 by the shard's clock, options.now_s, which nobody sets. What is to
 * live for a minute is stored with snug_shard_now_s() + 60, and does, whoever sets the clock on the
 * wall. Out-parameters are written on SNUG_OK only. */
#ifndef SNUG_SHARD_H
#define SNUG_SHARD_H

#include <snug/error.h>
#include <snug/heap.h>
#include <snug/stats.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct snug_shard snug_shard;

#define SNUG_KEY_BYTES_MAX 250u
#define SNUG_VALUE_BYTES_MAX ((size_t)1 << 30)

/* A key with its hash: made once, used for everything. The bytes stay the caller's. */
typedef struct snug_key {
	const void *bytes;
	size_t length;
	uint64_t hash;
} snug_key;

/* XXH3 of the bytes, with the process's secret: good for all shards of the process, and for nothing
 * outside of it. Any thread. */
snug_key snug_shard_key(const void *bytes, size_t length);

/* The secret is random: who does not know it cannot choose keys that meet in one place of the
 * index, where they would make it slow. Set it to repeat a run, or a measurement, exactly: before
 * keys are made, and from the one thread there is then. NULL; IN_USE: a shard, or workers, have
 * been made. */
#define SNUG_HASH_SECRET_BYTES 16u
SNUG_NODISCARD snug_error snug_hash_secret_set(const void *secret);

/* What eviction keeps low: the share of requests that miss, or that of the bytes asked for. By
 * bytes large items are kept as long as small ones that are used as often: for what costs by the
 * byte to fetch anew. */
typedef enum snug_evict_for {
	SNUG_EVICT_FOR_HITS,
	SNUG_EVICT_FOR_BYTES,
	SNUG_EVICT_FOR_COUNT
} snug_evict_for;

/* Why an item went that nobody has deleted or replaced. */
typedef enum snug_removal {
	SNUG_REMOVAL_EVICTED,
	SNUG_REMOVAL_EXPIRED,
	SNUG_REMOVAL_FLUSHED,
	SNUG_REMOVAL_COUNT
} snug_removal;

struct snug_key;
struct snug_item;

/* Told of an item before its memory is given up, on the owner's thread, inside the call that gives
 * it up: a store that evicts, a look that meets what has expired, maintain, evict. Key and value are
 * still there: snug_shard_read and snug_shard_view may be called for `item`, and nothing else of
 * this shard. The item's idle_s is 0. An expired or flushed item is told when it is removed, which
 * may be long after nobody finds it any more. Not told: what is deleted or replaced, what a refused
 * set takes away, and what the shard still holds when it is destroyed. */
typedef void (*snug_shard_removed)(void *context, snug_shard *shard, snug_removal why,
								   const struct snug_key *key, const struct snug_item *item);

/* Begin with snug_shard_options_default, then change; only heap.limit_bytes has no default. It may
 * grow: snug/version.h. The defaults: items of up to 1 MiB, eviction for hits, 1 MiB kept free. */
typedef struct snug_shard_options {
	size_t struct_bytes; /* set by snug_shard_options_init */
	/* key and value; larger ones, and what could never fit, are refused with SIZE_TOO_LARGE */
	size_t item_max_bytes;
	bool no_eviction; /* NO_MEMORY instead */
	snug_evict_for evict_for;
	/* Now; must neither go back nor jump. NULL: the wall clock as it was when the shard was made,
	 * and the time that has passed since. */
	int64_t (*now_s)(void *context);
	void *now_context;
	/* The wall clock, by which dates are told; it may be set. The same context. NULL: now_s; if
	 * that is NULL too, time(). */
	int64_t (*wall_s)(void *context);
	/* Memory that holds nothing and was not needed for some seconds goes back to the OS by
	 * snug_shard_maintain, but for so much; SNUG_NO_BUDGET (snug/defragment.h): none goes. */
	uint64_t keep_free_bytes;
	snug_shard_removed removed; /* NULL: nobody is told, and it costs nothing */
	void *removed_context;
	uint64_t reserved; /* 0 */
	/* limit_bytes, limit_max_bytes, page_bytes, huge_pages, populate, os, log, memory_file as for the
	 * heap; the owner is the shard. The limit is that of everything. */
	snug_heap_options heap;
} snug_shard_options;

void snug_shard_options_init(snug_shard_options *options, size_t struct_bytes);
static inline snug_shard_options snug_shard_options_default(void) {
	snug_shard_options made;
	snug_shard_options_init(&made, sizeof made);
	return made;
}

/* NULL, VERSION, OPTION (item_max_bytes, evict_for, or an owner is given), and what
 * snug_heap_create answers. */
SNUG_NODISCARD snug_error snug_shard_create(const snug_shard_options *options, snug_shard **out);

/* For a heap that somebody else creates, such as a worker: prepare makes the shard and fills in
 * `heap_options` (the owner); attach begins its life on the heap that was created with them, which
 * must outlive the shard. */
SNUG_NODISCARD snug_error snug_shard_prepare(const snug_shard_options *options,
											 snug_heap_options *heap_options, snug_shard **out);
SNUG_NODISCARD snug_error snug_shard_attach(snug_shard *shard, snug_heap *heap);

/* Gives everything back; in a memory file all items stay. As snug_heap_destroy: WRONG_THREAD,
 * REENTERED, and nothing done. NULL: OK. */
SNUG_NODISCARD snug_error snug_shard_destroy(snug_shard *shard);

/* The shard's clock: seconds since 1970. NULL: 0. */
int64_t snug_shard_now_s(const snug_shard *shard);

/* The heap, to defragment, estimate and look at; not to allocate from. */
snug_heap *snug_shard_heap(snug_shard *shard);

/* ------------------------------------------------------------------ items --------------------- */

/* What is kept beside the value. All zero is the default (= {0} in C, = {} in C++). */
typedef struct snug_attributes {
	uint32_t client_flags; /* the user's own */
	uint32_t expires_at_s; /* by snug_shard_now_s; 0: never */
	/* storing: 0 for none until somebody asks; found: 0 if nobody has asked */
	uint64_t cas;
	bool is_stale; /* to be made anew by whoever is told that he won */
	bool is_won;   /* somebody was told */
} snug_attributes;

typedef struct snug_item {
	snug_attributes attributes;
	size_t value_bytes;
	uint32_t idle_s;  /* since it was used or stored; for what was not used lately perhaps more */
	bool was_fetched; /* found by a get since it was stored */
	/* The shard's: */
	snug_ref ref;
	uint32_t item_bytes;
	uint32_t value_offset;
} snug_item;

/* Brings what finding these keys will touch into the processor's cache: call it with all keys of a
 * batch, then look them up. */
void snug_shard_prefetch(snug_shard *shard, const uint64_t *hashes, size_t count);

/* NULL, KEY (length), NOT_FOUND. Find only looks; get also counts as a use: the item is kept
 * longer. */
SNUG_NODISCARD snug_error snug_shard_find(snug_shard *shard, const snug_key *key, snug_item *out);
SNUG_NODISCARD snug_error snug_shard_get(snug_shard *shard, const snug_key *key, snug_item *out);
/* The use, for an item that find has found. */
void snug_shard_use(snug_shard *shard, const snug_key *key, const snug_item *item);

/* Copies out of the value; its extents. As snug_read and snug_view. RANGE, TOO_MANY_EXTENTS. */
SNUG_NODISCARD snug_error snug_shard_read(snug_shard *shard, const snug_item *item, size_t offset,
										  void *buffer, size_t length);
SNUG_NODISCARD snug_error snug_shard_view(snug_shard *shard, const snug_item *item, size_t offset,
										  size_t length, snug_extent *extents, size_t *count);

/* Stores, in place of what there is. NULL attributes: the default. NULL, KEY: nothing has changed.
 * SIZE_TOO_LARGE (item_max_bytes, or it could never fit), NO_MEMORY, OS_MEMORY: then what there was
 * is gone, too, for it is not what it should be. snug_cache_set promises the same. */
SNUG_NODISCARD snug_error snug_shard_set(snug_shard *shard, const snug_key *key,
										 const snug_attributes *attributes, const void *value,
										 size_t length);

/* The value with these bytes behind it, or before it, and other attributes. `item` must just have
 * been found. The errors of snug_shard_set, but what there was stays; NOT_FOUND: a flush has come
 * due since. */
SNUG_NODISCARD snug_error snug_shard_extend(snug_shard *shard, const snug_key *key,
											const snug_item *item,
											const snug_attributes *attributes, const void *bytes,
											size_t length, bool in_front);

/* Other attributes; `item` is updated. NO_MEMORY, OS_MEMORY: it is as it was. */
SNUG_NODISCARD snug_error snug_shard_change(snug_shard *shard, const snug_key *key, snug_item *item,
											const snug_attributes *attributes);

/* The item's CAS number, which it is given when it is first asked for; `item` is updated. Numbers
 * only grow. */
SNUG_NODISCARD snug_error snug_shard_cas(snug_shard *shard, const snug_key *key, snug_item *item,
										 uint64_t *cas);
/* The next number, for attributes of what is about to be stored. */
uint64_t snug_shard_next_cas(snug_shard *shard);

/* NOT_FOUND. */
SNUG_NODISCARD snug_error snug_shard_delete(snug_shard *shard, const snug_key *key);

/* All items that were stored before `at_s` are gone from then on; at once if that is now or in the
 * past. It replaces an earlier time that is still to come. Takes no time: what is gone is removed
 * by those who come by, and by maintenance. */
#define SNUG_FLUSH_NEVER INT64_MAX /* only takes back the time that is still to come */
void snug_shard_flush(snug_shard *shard, int64_t at_s);

/* All items, part by part: a part has some ten of them, a few microseconds.
 *
 *     uint64_t cursor = 0;
 *     do
 *         if (snug_shard_walk(shard, &cursor, visit, context) != SNUG_OK) return 1;
 *     while (cursor != 0);
 *
 * Between two parts anything may be called. Whatever is there from the walk's beginning to its end is
 * met once; what is stored or removed meanwhile is met once or not at all, and no key twice. The
 * order means nothing. What has expired or was flushed is not met. Nothing is used by it: no item is
 * kept longer for having been met. A cursor is good in all processes that hash with the same secret,
 * as those of one memory file do.
 *
 * During a visit key and value are where they are: snug_shard_read and snug_shard_view may be called
 * for `item`, and nothing else of this shard. NULL; CORRUPT: an invariant is broken. */
typedef void (*snug_shard_visit)(void *context, const snug_key *key, const snug_item *item);
SNUG_NODISCARD snug_error snug_shard_walk(snug_shard *shard, uint64_t *cursor,
										  snug_shard_visit visit, void *context);

/* ------------------------------------------------------------------ values in pieces ---------- */

/* An item that neither moves nor vanishes: one that is being filled, or one that is being sent. All
 * leases together hold half of the limit at most (one of them may be larger): NO_MEMORY beyond
 * that. */
typedef struct snug_lease {
	snug_ref ref; /* 0: none */
	uint32_t item_bytes;
	uint32_t value_offset;
	uint32_t value_bytes;
} snug_lease;

/* Room for a value that nobody finds before it is committed: until then, and if the room is
 * refused, what there was stays. A commit ends the lease, whatever it answers; it is a set, and
 * answers as snug_shard_set. */
SNUG_NODISCARD snug_error snug_shard_reserve(snug_shard *shard, const snug_key *key,
											 size_t value_bytes, snug_lease *out);
SNUG_NODISCARD snug_error snug_shard_commit(snug_shard *shard, const snug_key *key,
											const snug_attributes *attributes, snug_lease *lease);
/* The value that is there (`item` must just have been found) with the reserved one behind or before
 * it. As snug_shard_extend. */
SNUG_NODISCARD snug_error snug_shard_commit_extended(snug_shard *shard, const snug_key *key,
													 const snug_item *item,
													 const snug_attributes *attributes,
													 snug_lease *lease, bool in_front);

/* A value that goes out in pieces: NO_MEMORY, TOO_MANY_PINS. */
SNUG_NODISCARD snug_error snug_shard_pin(snug_shard *shard, const snug_item *item, snug_lease *out);

/* Ends a lease: what was reserved is gone; what was pinned may move again, and goes if it was
 * replaced meanwhile. */
void snug_shard_release(snug_shard *shard, snug_lease *lease);

SNUG_NODISCARD snug_error snug_shard_lease_view(snug_shard *shard, const snug_lease *lease,
												size_t offset, size_t length, snug_extent *extents,
												size_t *count);

/* ------------------------------------------------------------------ memory -------------------- */

/* Evicts items of about so many bytes, the least valuable first; tells how many bytes it were; 0:
 * nothing can go. For emergencies. With no_eviction nothing can. */
uint64_t snug_shard_evict(snug_shard *shard, uint64_t bytes);

/* Sets the limit, up to limit_max_bytes. snug_shard_maintain reaches a lower one step by step, by
 * packing and evicting. With no_eviction it only packs, and goes on as items are deleted or expire.
 * Errors as snug_heap_set_limit. */
SNUG_NODISCARD snug_error snug_shard_set_limit(snug_shard *shard, size_t limit_bytes);

/* Counts memory of the caller's, such as buffers, towards the limit, evicting items for it.
 * NO_MEMORY: nothing more can be evicted. OS_MEMORY: nothing is evicted for it, because the OS does
 * not take back what would be free (snug/os.h). */
SNUG_NODISCARD snug_error snug_shard_charge(snug_shard *shard, size_t bytes);
/* At most what was charged. */
void snug_shard_discharge(snug_shard *shard, size_t bytes);

/* A slice of what is to be done beside serving: growing or shrinking the index, removing what has
 * expired, reaching a lower limit, giving back what nothing uses. Bounded: some microseconds, a page
 * copied or 2 MiB given back at most. Tells whether there is more to do now. Between two slices a
 * defragmentation of the heap may be under way: snug_defragment_begin answers BUSY then. */
bool snug_shard_maintain(snug_shard *shard);
/* After a slice that had no more to do: how long there will be nothing, unless something is called
 * meanwhile; UINT64_MAX: until then. Nothing is lost by calling maintain sooner, or later. */
uint64_t snug_shard_rest_ns(const snug_shard *shard);
/* Whether some item has an expiry, or was flushed and not removed yet: then maintain has something
 * to do now and then. */
bool snug_shard_may_expire(const snug_shard *shard);

/* ------------------------------------------------------------------ figures ------------------- */

typedef struct snug_shard_stats {
	uint64_t items;
	uint64_t item_bytes;  /* of those: heads, keys, values */
	uint64_t key_bytes;   /* of item_bytes */
	uint64_t value_bytes; /* of item_bytes */
	uint64_t index_bytes; /* committed; part of heap.charged_bytes */
	uint64_t ghost_bytes; /* what is remembered of evicted items; the same */
	uint64_t leases;
	/* Since creation: */
	uint64_t stores;
	uint64_t evictions;
	uint64_t evicted_unfetched;
	uint64_t evicted_bytes;
	uint64_t expired;
	uint64_t expired_unfetched;
	uint64_t flushed;
	uint64_t refused; /* stores for which there was no room */
	snug_stats heap;
	uint64_t attached;    /* items that were there when it was created: of a memory file */
	uint64_t recovered;   /* of those: whose process was killed */
	uint64_t dropped;     /* then: half-changed, or damaged */
	uint64_t recover_ns;  /* that it took */
	uint64_t reserved[2]; /* 0 */
} snug_shard_stats;

SNUG_NODISCARD snug_error snug_shard_stats_get(snug_shard *shard, snug_shard_stats *out);

/* Walks everything, the heap too: CORRUPT, with what is wrong. For tests and for doubt. `out` may
 * be NULL. */
SNUG_NODISCARD snug_error snug_shard_check(snug_shard *shard, snug_check_result *out);

/* The same in slices, as snug_check_begin, _step and _end; the heap's check, which must not be
 * under way, is part of it. What is stored and removed between the steps is counted with what was
 * walked: the items of the whole cache are compared exactly. */
SNUG_NODISCARD snug_error snug_shard_check_begin(snug_shard *shard);
SNUG_NODISCARD snug_error snug_shard_check_step(snug_shard *shard, uint64_t step_ns, bool *done);
SNUG_NODISCARD snug_error snug_shard_check_end(snug_shard *shard, snug_check_result *out);

#ifdef __cplusplus
}
#endif
#endif
