/* cache/client/loads.h: who loads which key just now, and who waits for it (docs/design/0014).
 *
 *     enter  -> LEAD   nobody did: the caller loads, and ends it
 *            -> WAIT   somebody does: the caller waits for his result, and leaves
 *            -> STALE  somebody does, and the caller has a stale value to go on with
 *            -> AGAIN  a load has ended since the caller looked: he looks again
 *            -> ABSENT a load has found nothing, and that is still remembered
 *
 *     load   leads --> ended --> no waiter left: free
 *               \          \--> found nothing, to be remembered: absent --> its time has passed,
 *                \                it is overtaken, or the room is needed: free
 *                 \--> overtaken: the key was changed: not joined any more, and not stored
 *
 * One mutex for a cache, held for some hundred instructions and a look at each load under way, and
 * for no load, copy or message; by a loader that is about to wait for such a look at each thread on
 * the way from the one to the next. Where no load of its lot is there a change costs one look at a
 * counter.
 *
 * WAITING FOR EACH OTHER. A loader may ask for other keys. One that is about to wait follows who
 * waits for whom, and is refused where that leads back to itself: it would be a circle of keys, each
 * of which needs the next. Threads are told apart by themselves: a loader that hands its work to
 * another thread and waits for that is not seen, and ends with the time-out.
 *
 * MEMORY. LOADS_MAX of 360 bytes, allocated with the first load; and the value of each load for which
 * somebody waits, once, until the last of them has it. */
#ifndef SNUG_CACHE_LOADS_H
#define SNUG_CACHE_LOADS_H

#include <pthread.h>
#include <snug/cache.h>
#include <stdatomic.h>

#define LOADS_MAX 1024u
#define LOADS_LOTS 64u

enum loads_verdict { LOADS_LEAD, LOADS_WAIT, LOADS_STALE, LOADS_AGAIN, LOADS_ABSENT };

/* What a load has brought. */
struct load_result {
	snug_error error; /* OK, NOT_FOUND, LOADER or why the value could not be handed on */
	int loader_error;
	snug_cache_value value;
	const void *bytes;
};

/* Under the mutex, but where something else is said. */
struct load {
	struct load *next_in_lot;
	struct load *next; /* of those that load, of those remembered, or of the free ones */
	struct load *previous;
	struct load *waits_for; /* its loader's thread does */
	pthread_t thread;       /* the loader's */
	uint64_t until_ns;      /* absent: remembered */
	uint32_t users;         /* loader and waiters */
	bool is_in_lot;
	bool is_absent;
	_Atomic bool is_overtaken;  /* atomic: set under the mutex, read by the key's owner */
	_Atomic uint32_t has_ended; /* atomic: the loader sets it, waiters sleep on it */
	struct load_result result;  /* the loader writes it before it has ended; then constant */
	void *copy;                 /* the same: of the value, for waiters */
	uint64_t hash;
	uint32_t key_bytes;
	char key[SNUG_KEY_BYTES_MAX];
};

struct load_list {
	struct load *first;
	struct load *last;
};

struct loads {
	pthread_mutex_t mutex;
	_Atomic uint32_t counts[LOADS_LOTS]; /* atomic: changed under the mutex; in each lot */
	_Atomic uint32_t ended[LOADS_LOTS];  /* atomic: changed under the mutex; comes round */
	struct load *lots[LOADS_LOTS];       /* under the mutex, all below */
	struct load *table;                  /* LOADS_MAX; NULL: none was needed yet */
	struct load *unused;
	struct load_list loading;
	struct load_list absent; /* the oldest first */
};

/* False: the OS refused it. */
bool loads_init(struct loads *loads);
/* Nobody may be inside. */
void loads_deinit(struct loads *loads);

/* To be read before the key is looked for. */
static inline uint32_t loads_ended(const struct loads *loads, const snug_key *key) {
	return atomic_load_explicit(&loads->ended[key->hash % LOADS_LOTS], memory_order_acquire);
}

/* `ended`: what loads_ended has told before the key was looked for and not found, or found stale.
 * LEAD and WAIT: `*out` is the load, until loads_end or loads_leave. CYCLE, also where
 * this thread's own load of the key was overtaken; QUEUE_FULL: LOADS_MAX keys
 * are being loaded; OS_MEMORY. */
snug_error loads_enter(struct loads *loads, const snug_key *key, bool has_stale, uint32_t ended,
					   enum loads_verdict *verdict, struct load **out);

/* The leader's end of it. The value is the caller's again; `absent_ns`: so long NOT_FOUND is
 * remembered. */
void loads_end(struct loads *loads, struct load *load, const struct load_result *result,
			   uint64_t absent_ns);

/* False: it has not ended in time. */
bool loads_wait(struct loads *loads, struct load *load, uint64_t timeout_ns);
/* A waiter's end of it; its result is nobody's any more. */
void loads_leave(struct loads *loads, struct load *load);

/* What is loaded now, or is remembered, is not to be believed: the key is about to be changed, by a
 * message that is sent after this. NULL: all keys. */
void loads_overtake(struct loads *loads, const snug_key *key);

#endif
