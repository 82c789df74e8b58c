/* snug/cache.h: a cache over several threads: keys and values under one hard limit, spread over
 * workers that own a shard each.
 *
 *     snug_cache_options options = snug_cache_options_default();
 *     options.limit_bytes = 256 << 20;                         // everything: values, index, bookkeeping
 *     snug_cache *cache;
 *     if (snug_cache_create(&options, &cache) != SNUG_OK) return 1;
 *     snug_cache_client *client;                               // one for each thread that uses the cache
 *     if (snug_cache_client_create(cache, NULL, &client) != SNUG_OK) return 1;
 *
 *     char buffer[100];
 *     snug_cache_value value;
 *     if (snug_cache_set(client, "name", 4, "value", 5, NULL) != SNUG_OK) return 1;
 *     if (snug_cache_get(client, "name", 4, buffer, sizeof buffer, &value) == SNUG_OK)
 *         fwrite(buffer, 1, value.bytes, stdout);
 *
 *     if (snug_cache_client_destroy(client) != SNUG_OK) return 1;
 *     if (snug_cache_destroy(cache) != SNUG_OK) return 1;
 *
 * A key belongs to one worker, who alone changes its item. Gets look at the item themselves, from
 * any thread, while its owner goes on: a version proves that what was copied is of one instant. What
 * cannot be read so is asked of the owner: a value of more than 4 KiB in several pieces, one that is
 * being changed just now, a CAS number that the item does not have yet. All else goes by message,
 * and the answer comes even if the cache is stopped (STOPPED); what that costs is the way to the
 * other thread and back: snug_cache_set_later does not wait for it. For a cache in one thread
 * without messages see snug/shard.h.
 *
 * ORDER: what one client asks about one key is done in the order in which it was asked.
 *
 * CLEANUP: snug_cache_workers gives the workers, on which a coordinator (snug/coordinator.h)
 * defragments, in the background too. An emergency may evict.
 *
 * EXPIRY is the second since 1970 from which on the item is no more, by the clock on the wall as it
 * is when that is said; 0: never. One that has passed: at once. For a minute: (uint32_t)time(NULL)
 * + 60. From then on it goes by a clock that nobody sets. What is told is a date, too. */
#ifndef SNUG_CACHE_H
#define SNUG_CACHE_H

#include <snug/error.h>
#include <snug/log.h>
#include <snug/shard.h>
#include <snug/workers.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct snug_cache snug_cache;
typedef struct snug_cache_client snug_cache_client;

/* A namespace: keys with a common beginning, such as "page:", which have figures of their own
 * (snug_cache_namespace_stats_get). A key belongs to the longest one that it begins with. */
#define SNUG_CACHE_NAMESPACES_MAX 64u
typedef struct snug_cache_namespace {
	const void *prefix;
	size_t prefix_bytes; /* 1 .. SNUG_KEY_BYTES_MAX */
} snug_cache_namespace;

/* Begin with snug_cache_options_default, then change; only limit_bytes has no default. It may grow
 * at its end: snug/version.h. The defaults: one worker, items of up to 1 MiB, eviction for hits,
 * 1 MiB kept free. */
typedef struct snug_cache_options {
	size_t struct_bytes;    /* set by snug_cache_options_init */
	uint32_t workers;       /* 1 .. SNUG_WORKERS_MAX */
	size_t limit_bytes;     /* of all workers together */
	size_t limit_max_bytes; /* as far as snug_cache_set_limit may go; 0: limit_bytes */
	/* key and value; larger ones, and what could never fit a worker's share, are refused */
	size_t item_max_bytes;
	bool no_eviction; /* NO_MEMORY instead */
	snug_evict_for evict_for;
	bool huge_pages;
	const char *name;           /* of the threads; NULL: "snug" */
	const uint32_t *processors; /* as in snug_workers_options */
	snug_log log;
	/* beneath each worker's heap, called on its thread; must outlive the cache. NULL: Linux */
	const snug_os *os;
	/* as in snug_shard_options; of all workers together */
	uint64_t keep_free_bytes;
	/* Makes huge pages of what is resident as a whole, on a thread of its own: it costs no memory.
	 * Without effect with huge_pages, an `os` or a memory file, and on Linux before 6.1. */
	bool collapse;
	/* with as many segments as workers: all items stay in it; `os` is NULL then. NULL: none */
	snug_memory_file *memory_file;
	/* as in snug_shard_options; called on each worker's thread, which waits for it. It must not use
	 * a client of this cache. */
	snug_shard_removed removed;
	void *removed_context;
	/* namespace_count of them, each once; copied. NULL and 0: none, which costs nothing */
	const snug_cache_namespace *namespaces;
	uint32_t namespace_count; /* up to SNUG_CACHE_NAMESPACES_MAX */
} snug_cache_options;

void snug_cache_options_init(snug_cache_options *options, size_t struct_bytes);
static inline snug_cache_options snug_cache_options_default(void) {
	snug_cache_options made;
	snug_cache_options_init(&made, sizeof made);
	return made;
}

/* Starts the workers. NULL, VERSION, OPTION, LIMIT_TOO_SMALL (of one worker's share), OS_MEMORY,
 * OS_THREAD; of a namespace: KEY (length), EXISTS (twice the same). With a memory file that holds a
 * cache, all items are there: LAYOUT, CORRUPT, as snug_heap_create. */
SNUG_NODISCARD snug_error snug_cache_create(const snug_cache_options *options, snug_cache **out);

/* Ends the workers; all items end with them, but those in a memory file, which stay there. IN_USE, and
 * nothing done: clients, or a coordinator, still exist. NULL: OK. */
SNUG_NODISCARD snug_error snug_cache_destroy(snug_cache *cache);

/* For a coordinator, and for figures of the threads. They stay the cache's. */
snug_workers *snug_cache_workers(snug_cache *cache);

/* ------------------------------------------------------------------ clients ------------------- */

/* Begin with snug_cache_client_options_default, then change. It may grow at its end:
 * snug/version.h. */
typedef struct snug_cache_client_options {
	size_t struct_bytes; /* set by snug_cache_client_options_init */
	uint64_t timeout_ns; /* as snug_cache_client_set_timeout; SNUG_FOREVER by default */
} snug_cache_client_options;

void snug_cache_client_options_init(snug_cache_client_options *options, size_t struct_bytes);
static inline snug_cache_client_options snug_cache_client_options_default(void) {
	snug_cache_client_options made;
	snug_cache_client_options_init(&made, sizeof made);
	return made;
}

/* A thread's endpoint: one thread at a time. NULL options: the defaults. NULL, VERSION, STOPPED,
 * OS_MEMORY, OS_THREAD. */
SNUG_NODISCARD snug_error snug_cache_client_create(snug_cache *cache,
												   const snug_cache_client_options *options,
												   snug_cache_client **out);
/* Waits for what is late. NULL: OK. IN_USE, and nothing done: called by a loader of this client's. */
SNUG_NODISCARD snug_error snug_cache_client_destroy(snug_cache_client *client);

/* How long each later call waits; SNUG_FOREVER at first. With another time-out keys and values are
 * copied on their way, so that after TIMED_OUT nothing of the caller's memory is in use. What was
 * asked goes on then: a store may be done or not be done yet, but it is not lost, and whatever this
 * client asks later about the same key comes after it. NULL. */
SNUG_NODISCARD snug_error snug_cache_client_set_timeout(snug_cache_client *client,
														uint64_t timeout_ns);

/* All calls below: NULL, KEY (a length of 0 or more than SNUG_KEY_BYTES_MAX), STOPPED; with a
 * time-out: TIMED_OUT, QUEUE_FULL (too much of what was asked before is late; nothing was asked),
 * OS_MEMORY. A client that waits for ever and has set something later waits for that first, whenever
 * a call has to ask an owner. snug_cache_wait has no time-out. */

typedef struct snug_cache_value {
	size_t bytes; /* of the value */
	uint32_t client_flags;
	uint32_t expires_at_s; /* seconds since 1970; 0: never */
	uint64_t cas;          /* for a later store with `cas`; 0 where it was not asked for */
	uint64_t reserved[2];  /* 0 */
} snug_cache_value;

/* Copies the value. NOT_FOUND. BUFFER_TOO_SMALL: `out` is written all the same, its bytes are the
 * room to come again with; `buffer` may be NULL with a room of 0, to ask for that. Without OK the
 * buffer, as far as its room goes, may hold anything: a look that was disturbed has written there. */
SNUG_NODISCARD snug_error snug_cache_get(snug_cache_client *client, const void *key,
										 size_t key_bytes, void *buffer, size_t room_bytes,
										 snug_cache_value *out);
/* The same, and the item's CAS number. */
SNUG_NODISCARD snug_error snug_cache_gets(snug_cache_client *client, const void *key,
										  size_t key_bytes, void *buffer, size_t room_bytes,
										  snug_cache_value *out);

/* A value where it lies. Between begin and end it may be changed, moved or given up at any moment:
 * its bytes may be anything, and nothing that was seen is to be believed before
 * snug_cache_view_end has said that it held. So a parser must stand whatever it reads, and follow
 * no offset in it without a bound. Read whatever you bound once, through a volatile pointer, into a
 * variable of your own: else the compiler may read it a second time, behind the bound, and find
 * something else there. Sanitizers may call the reading a race.
 *
 * The bytes stay readable until the client is destroyed. After that nothing of the view may be
 * touched, nor may snug_cache_view_end be asked. */
typedef struct snug_cache_view {
	const void *bytes;
	snug_cache_value value;
	/* what proves it: ours */
	const void *version;
	uint32_t seen;
	uint32_t reserved[5]; /* 0 */
} snug_cache_view;

/* Begins a look, which needs no end, and holds nothing. It counts as a get, as a hit or a miss,
 * whatever its end says. NOT_FOUND. NOT_CONTIGUOUS, not counted: it can't be looked at where it
 * lies, now or at all; snug_cache_get. Values above about 1 KiB mostly lie in pieces, because these
 * waste less. */
SNUG_NODISCARD snug_error snug_cache_view_begin(snug_cache_client *client, const void *key,
												size_t key_bytes, snug_cache_view *out);
/* True: all that was read since begin was the item, of one instant. It may be asked again and
 * again; once it was false it stays so. */
SNUG_NODISCARD bool snug_cache_view_end(const snug_cache_view *view);

/* Several at once. */
typedef struct snug_cache_lookup {
	const void *key;
	size_t key_bytes;
	void *buffer;
	size_t room_bytes;
	snug_error error; /* answered: as of snug_cache_get */
	snug_cache_value value;
} snug_cache_lookup;

/* OK: each lookup has its own error. Else nothing is known of them. */
SNUG_NODISCARD snug_error snug_cache_get_many(snug_cache_client *client, snug_cache_lookup *lookups,
											  size_t count);

/* What is stored besides. Begin with snug_cache_store_options_default, which is all zero, as is
 * NULL, then change. It may grow at its end: snug/version.h; VERSION. */
typedef struct snug_cache_store_options {
	size_t struct_bytes; /* set by snug_cache_store_options_init */
	uint32_t client_flags;
	uint32_t expires_at_s; /* seconds since 1970; 0: never */
	/* only if the item has this number: EXISTS if it has another one, NOT_FOUND if there is none */
	uint64_t cas;
} snug_cache_store_options;

void snug_cache_store_options_init(snug_cache_store_options *options, size_t struct_bytes);
static inline snug_cache_store_options snug_cache_store_options_default(void) {
	snug_cache_store_options made;
	snug_cache_store_options_init(&made, sizeof made);
	return made;
}

/* Stores. SIZE_TOO_LARGE, NO_MEMORY: a failed set removes the old value, so that no stale one is
 * served. A set with `cas`, an add, a replace, an append and a prepend leave the old value when they
 * fail. snug_shard_set promises the same. */
SNUG_NODISCARD snug_error snug_cache_set(snug_cache_client *client, const void *key,
										 size_t key_bytes, const void *value, size_t value_bytes,
										 const snug_cache_store_options *options);
/* The same without waiting: key and value are copied, and stored when the owner comes to it, in the
 * order of this client's calls. OK: it is under way. What it answers in the end, SIZE_TOO_LARGE and
 * NO_MEMORY among it, is counted for snug_cache_wait. A later call that waits for ever and has to ask
 * an owner waits for all of these first. QUEUE_FULL: 256 requests are under way, or the owner's
 * inbox is full; nothing was asked. OS_MEMORY. */
SNUG_NODISCARD snug_error snug_cache_set_later(snug_cache_client *client, const void *key,
											   size_t key_bytes, const void *value,
											   size_t value_bytes,
											   const snug_cache_store_options *options);

typedef struct snug_cache_late {
	uint64_t stored;
	uint64_t refused;
	snug_error error;     /* of the first that was refused */
	uint64_t reserved[2]; /* 0 */
} snug_cache_late;

/* Waits until nothing is late any more, whatever the client's time-out is, and tells how what was
 * set later has ended since the last call. `out` may be NULL. WRONG_THREAD: called by a worker's
 * hook, which can't wait for its own worker; ask again elsewhere. */
SNUG_NODISCARD snug_error snug_cache_wait(snug_cache_client *client, snug_cache_late *out);

/* Only if there is none. NOT_STORED. */
SNUG_NODISCARD snug_error snug_cache_add(snug_cache_client *client, const void *key,
										 size_t key_bytes, const void *value, size_t value_bytes,
										 const snug_cache_store_options *options);
/* Only if there is one. NOT_STORED. */
SNUG_NODISCARD snug_error snug_cache_replace(snug_cache_client *client, const void *key,
											 size_t key_bytes, const void *value,
											 size_t value_bytes,
											 const snug_cache_store_options *options);
/* Behind, or before, what is there, whose flags and expiry stay. NOT_STORED: there is nothing, or
 * it would be too large. */
SNUG_NODISCARD snug_error snug_cache_append(snug_cache_client *client, const void *key,
											size_t key_bytes, const void *value,
											size_t value_bytes);
SNUG_NODISCARD snug_error snug_cache_prepend(snug_cache_client *client, const void *key,
											 size_t key_bytes, const void *value,
											 size_t value_bytes);

/* NOT_FOUND. */
SNUG_NODISCARD snug_error snug_cache_delete(snug_cache_client *client, const void *key,
											size_t key_bytes);
SNUG_NODISCARD snug_error snug_cache_touch(snug_cache_client *client, const void *key,
										   size_t key_bytes, uint32_t expires_at_s);

/* The value as a decimal number; wraps at 2^64, stops at 0. `result` may be NULL. NOT_FOUND,
 * NOT_A_NUMBER. */
SNUG_NODISCARD snug_error snug_cache_increment(snug_cache_client *client, const void *key,
											   size_t key_bytes, uint64_t delta, uint64_t *result);
SNUG_NODISCARD snug_error snug_cache_decrement(snug_cache_client *client, const void *key,
											   size_t key_bytes, uint64_t delta, uint64_t *result);

/* All items that were stored before are gone. */
SNUG_NODISCARD snug_error snug_cache_flush(snug_cache_client *client);

/* ------------------------------------------------------------------ get or load --------------- */

/* What a loader has loaded. All zero when it is called, but for fresh_s and absent_s. */
typedef struct snug_cache_loaded {
	/* the loader's memory, which is looked at until `release` is called; the call's own buffer will do */
	const void *value;
	size_t value_bytes;
	uint32_t client_flags;
	uint32_t fresh_s;  /* as in the options, which it may change */
	uint32_t absent_s; /* as in the options */
	bool is_absent;    /* there is no value: all are answered NOT_FOUND */
	void *own;         /* the loader's, for `release` */
	uint64_t reserved[2];
} snug_cache_loaded;

/* Begin with snug_cache_load_options_default, then change; only `load` has no default. It may grow at
 * its end: snug/version.h. The defaults: fresh for ever, nothing stale, no absence remembered, 10 s. */
typedef struct snug_cache_load_options {
	size_t struct_bytes; /* set by snug_cache_load_options_init */
	/* Loads a key's value, on the thread of the call. 0: it has; anything else is its own error, which
	 * is told to all. It may use the client, and load other keys with it; but not destroy it. */
	int (*load)(void *context, snug_cache_client *client, const void *key, size_t key_bytes,
				snug_cache_loaded *out);
	/* After each call of `load`, whatever it answered: `loaded` as it left it. May be NULL. */
	void (*release)(void *context, snug_cache_loaded *loaded);
	void *context;
	uint32_t fresh_s; /* seconds that a value is told as it is; 0: for ever */
	uint32_t
		stale_s; /* seconds after that in which it is told while another thread loads it anew */
	uint32_t absent_s; /* seconds that an absence is remembered; 0: each call loads again */
	uint64_t wait_ns;  /* for another thread's loader; or the client's time-out, if that is less */
} snug_cache_load_options;

void snug_cache_load_options_init(snug_cache_load_options *options, size_t struct_bytes);
static inline snug_cache_load_options snug_cache_load_options_default(void) {
	snug_cache_load_options made;
	snug_cache_load_options_init(&made, sizeof made);
	return made;
}

typedef struct snug_cache_loading {
	snug_cache_value value; /* its cas is 0 */
	int loader_error;       /* with LOADER: what `load` answered */
	/* is_loaded: how it was stored. Not OK: it is told, and not kept. EXISTS: the key was changed
	 * meanwhile, which has the last word; else as snug_cache_set, STOPPED among it */
	snug_error stored;
	bool is_stale;  /* another thread loads it anew just now */
	bool is_loaded; /* by this call */
	uint64_t reserved[2];
} snug_cache_loading;

/* Gets as snug_cache_get. What is missing is loaded and stored; so is what is stale, which is when
 * stale_s or less of its life is left, whoever stored it. One thread loads a key, all others that ask
 * for it wait for him, and are told what he is told; but who finds a stale value has that at once. So
 * whatever a source costs, it is asked once. What wait_ns bounds is the waiting for another's loader:
 * TIMED_OUT; nothing was changed. One's own loader, and the store behind it, have no time-out.
 *
 * A CHANGE HAS THE LAST WORD. A store, an add, a delete, a flush and the like, by a client of this
 * cache, overtakes a load of its key that is under way. What that brings is told to those who wait,
 * who asked before, and is not stored; who asks after the change begins another load. So a source
 * that is changed first, and the cache second, never leaves an older value behind; and one loader at
 * a time is true between changes.
 *
 * NOT_FOUND: the loader has found none. A stale value is removed then. Up to 1024 absences are
 * remembered, the oldest give way. LOADER: it failed; `out->loader_error` is written all the same.
 * Nobody remembers that: the next call loads again. CYCLE: a loader asks for the key that it is
 * loading, or for one whose loader waits for it; nobody waits then. QUEUE_FULL: 1024 keys are being
 * loaded; OS_MEMORY. BUFFER_TOO_SMALL as snug_cache_get: come again, it was stored. NULL, also of a
 * loader that left no value; VERSION.
 *
 * A loader that never returns holds up who asks for its key, each for wait_ns, and the end of its
 * client, hence of the cache. When the workers stop, loaders go on: what they bring is told, with
 * `stored` STOPPED; who asks then is answered STOPPED. A loader must return: no longjmp, no exception
 * may leave it. */
SNUG_NODISCARD snug_error snug_cache_get_or_load(snug_cache_client *client, const void *key,
												 size_t key_bytes, void *buffer, size_t room_bytes,
												 const snug_cache_load_options *options,
												 snug_cache_loading *out);

/* ------------------------------------------------------------------ all items ----------------- */

/* How far a walk has come. Begin with all zero (= {0} in C, = {} in C++). */
typedef struct snug_cache_cursor {
	uint64_t place;
	uint32_t worker;
	bool is_at_end;
	uint64_t reserved[2]; /* 0 */
} snug_cache_cursor;

/* An item as it was met. Key and value are copies, good until the visit returns. */
typedef struct snug_cache_item {
	const void *key;
	size_t key_bytes;
	const void *bytes;      /* of the value: value.bytes of them */
	snug_cache_value value; /* its cas is 0 */
	uint64_t reserved[2];   /* 0 */
} snug_cache_item;

/* All items, part by part: a part has some hundred of them, or fewer that are large.
 *
 *     snug_cache_cursor cursor = {0};
 *     do
 *         if (snug_cache_walk(client, &cursor, visit, context) != SNUG_OK) return 1;
 *     while (!cursor.is_at_end);
 *
 * A key that has an item from the walk's beginning to its end is met once, with a value that it had
 * in between. One that is stored, evicted or removed meanwhile is met once or not at all. No key is
 * met twice. The order means nothing. What has expired or was flushed is not met. Nothing is used by
 * it, and nothing counts as a hit.
 *
 * `visit` is called on the caller's thread, after the copies were made, and may do what it likes,
 * with this client too. Each part is a message to a worker, who copies for some tens of microseconds;
 * who walks slowly asks for the next part later. A value of more than 4 KiB is a message of its own.
 * The call allocates some 32 KiB, and those large values, until it returns: 1 MiB of them or one
 * place of the index, some ten items.
 *
 * An error has met nothing and leaves the cursor: the same part may be asked for again. NULL; WORKER:
 * no cursor of this cache; OS_MEMORY; CORRUPT: an invariant is broken. At the end: OK, nothing met. A
 * cursor is good as long as its cache, in any thread. */
typedef void (*snug_cache_visit)(void *context, const snug_cache_item *item);
SNUG_NODISCARD snug_error snug_cache_walk(snug_cache_client *client, snug_cache_cursor *cursor,
										  snug_cache_visit visit, void *context);

/* ------------------------------------------------------------------ memory, figures ----------- */

/* Sets the limit of all workers. They reach it step by step. OPTION (above limit_max_bytes),
 * LIMIT_TOO_SMALL. */
SNUG_NODISCARD snug_error snug_cache_set_limit(snug_cache_client *client, size_t limit_bytes);

typedef struct snug_cache_stats {
	uint64_t items;
	uint64_t item_bytes; /* of those: heads, keys, values */
	uint64_t index_bytes;
	uint64_t hits; /* gets that found */
	uint64_t misses;
	uint64_t stores;
	uint64_t evictions;
	uint64_t expired;
	uint64_t limit_bytes;
	uint64_t committed_bytes;
	uint64_t metadata_bytes;
	uint64_t reclaimable_bytes;
	uint64_t moves;       /* of objects, since creation */
	uint64_t reserved[6]; /* 0 */
} snug_cache_stats;

/* The sum over all workers, each asked in turn. */
SNUG_NODISCARD snug_error snug_cache_stats_get(snug_cache_client *client, snug_cache_stats *out);

typedef struct snug_cache_namespace_stats {
	uint64_t items;      /* counts_items: that are there; else 0 */
	uint64_t item_bytes; /* the same: heads, keys, values */
	/* since the cache was created: */
	uint64_t hits; /* gets and views that found */
	uint64_t misses;
	uint64_t evictions;
	uint64_t expired;     /* and removed */
	uint64_t reserved[2]; /* 0 */
} snug_cache_namespace_stats;

/* Of the first `count` namespaces of the options, in their order. With counts_items a walk of all
 * items counts those that are there, in messages to each worker, who looks at each of its items.
 * What comes or goes meanwhile may be counted or not. Without it no worker is asked. NULL; RANGE:
 * there are not so many; CORRUPT: an invariant is broken. */
SNUG_NODISCARD snug_error snug_cache_namespace_stats_get(snug_cache_client *client,
														 bool counts_items,
														 snug_cache_namespace_stats *out,
														 size_t count);

#ifdef __cplusplus
}
#endif
#endif
