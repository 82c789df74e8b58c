/* cache/operation/operation.h: what is asked about one key, by whichever protocol or API: one
 * struct, and one function that carries it out on the shard that owns the key.
 *
 *     get, mg, gat ...   \
 *     set, ms, cas ...    +--> struct operation --> operation_execute --> status, marks, item ...
 *     snug_cache_get ... /     208 bytes            on the owner's thread: for its own connection,
 *                                                   or as another's request (request.h)
 *
 * The semantics are memcached's, those of its meta commands included, of which the older commands
 * are special cases. What depends on time (expiry) or on the item (CAS numbers) is decided here, by
 * the owner, at the moment of execution. How an answer looks is the protocol's
 * (server/protocol/answer.h); what it says is in the struct.
 *
 * The value of a STORE is `value`, or, if it is large, in `lease`: an item that was reserved and
 * filled before (REQUEST_RESERVE). The value that a GET has found is named by `item`: it stays
 * where it is until the shard's next call that takes memory.
 *
 * The room: operation.c, all but storing, which is operation_store.c; operation_parts.h, what they
 * share; request, an operation that one thread asks of the shard of another. */
#ifndef SNUG_CACHE_OPERATION_H
#define SNUG_CACHE_OPERATION_H

#include "base/assert.h"
#include <snug/shard.h>
#include <string.h>

enum operation_kind {
	OPERATION_GET,        /* get, gets, gat, gats, touch, mg */
	OPERATION_STORE,      /* set, add, replace, append, prepend, cas, ms */
	OPERATION_DELETE,     /* delete, md */
	OPERATION_ARITHMETIC, /* incr, decr, ma */
	OPERATION_INSPECT,    /* me: looks, and counts as nothing */
	OPERATION_KIND_COUNT
};

enum store_mode { STORE_SET, STORE_ADD, STORE_REPLACE, STORE_APPEND, STORE_PREPEND };

/* What is given, and what is wanted. */
enum operation_options {
	/* exptime: GET touches with it, ARITHMETIC, DELETE and INVALIDATE set it; STORE always has
	 * one */
	OPERATION_HAS_EXPTIME = 1 << 0,
	/* vivify_exptime: what is missing is made: GET (empty, and won), ARITHMETIC (initial), APPEND,
	 * PREPEND */
	OPERATION_HAS_VIVIFY = 1 << 1,
	OPERATION_HAS_RECACHE = 1 << 2,     /* recache_s: GET wins if less than this is left to live */
	OPERATION_HAS_CAS_COMPARE = 1 << 3, /* cas_compare: only if the item has this number */
	OPERATION_HAS_CAS_NEW = 1 << 4,     /* cas_new: the number it gets, instead of the next */
	OPERATION_WANTS_CAS = 1 << 5,       /* cas is answered; the item gets a number if it has none */
	/* DELETE: marks the item stale instead; STORE: one whose CAS number is older than the item's is
	 * stored, as stale */
	OPERATION_INVALIDATES = 1 << 6,
	/* DELETE: the item stays, without its value and client flags */
	OPERATION_CLEARS_VALUE = 1 << 7,
	OPERATION_DECREMENTS = 1 << 8, /* ARITHMETIC: subtracts, not below 0 */
	OPERATION_IS_TOUCH = 1 << 9,   /* GET: counts as a touch, not as a get: touch */
	OPERATION_IS_META = 1 << 10,   /* counts as a meta command too */
	/* GET by a command that knows of no stale items: marks are left as they are */
	OPERATION_NO_STALE = 1 << 11,
	OPERATION_NO_USE = 1 << 12,        /* GET: does not count as a use */
	OPERATION_TELLS_OLD_TTL = 1 << 13, /* ttl_s is what it was before exptime was set */
	/* GET: the item's expiry is told by the clock on the wall, as a date is given */
	OPERATION_TELLS_DATE = 1 << 15,
	/* GET: recache_s looks at what is left after exptime was set */
	OPERATION_TOUCHES_FIRST = 1 << 14,
	/* STORE, DELETE, ARITHMETIC: before_bytes is answered */
	OPERATION_TELLS_BEFORE = OPERATION_TOUCHES_FIRST,
};

#define OPERATION_NOTHING_BEFORE UINT64_MAX

/* An exptime up to this is a time from now; beyond it, a date. */
#define EXPTIME_RELATIVE_MAX_S (INT64_C(60) * 60 * 24 * 30)

enum operation_status {
	STATUS_FOUND,  /* GET, INSPECT */
	STATUS_STORED, /* STORE */
	STATUS_DONE,   /* DELETE, ARITHMETIC */
	/* nothing there: GET, DELETE, ARITHMETIC, INSPECT; STORE with CAS compare */
	STATUS_NOT_FOUND,
	STATUS_NOT_STORED,   /* ADD of what is there; REPLACE, APPEND, PREPEND of what is not */
	STATUS_EXISTS,       /* another CAS number */
	STATUS_NOT_A_NUMBER, /* ARITHMETIC on what is none */
	STATUS_TOO_LARGE,
	STATUS_NO_MEMORY,
	STATUS_BAD_KEY,
	STATUS_COUNT
};

/* What a GET tells about the item beside its fields. */
enum operation_marks {
	OPERATION_WON = 1,        /* the asker is to make the item anew */
	OPERATION_STALE = 2,      /* the item is stale */
	OPERATION_WON_BEFORE = 4, /* another asker was told so */
	/* the item has the number in cas_compare: the asker has its value already */
	OPERATION_CAS_MATCHES = 8,
	/* it was touched with a time that has passed: operation_end removes it when its value was
	 * taken */
	OPERATION_EXPIRES_NOW = 16,
};

/* In the order of use, since another worker's cache lines are dear: what all operations have, then
 * what is told of an item, then what few have. */
struct operation {
	/* asked */
	snug_key key;
	uint8_t kind; /* enum operation_kind */
	uint8_t mode; /* enum store_mode */
	uint16_t options;
	uint32_t client_flags;
	const void *value;
	uint32_t value_bytes;
	/* answered */
	uint8_t status; /* enum operation_status */
	uint8_t marks;  /* enum operation_marks */
	/* asked: as memcached takes it: 0 never, negative: expired, up to 30 days: seconds from now,
	 * above: seconds since 1970 */
	int64_t exptime;
	uint64_t cas;     /* answered; 0: was not wanted */
	snug_lease lease; /* STORE: ref 0: none; ended by the execution, whatever it answers */
	/* answered: */
	int64_t ttl_s; /* left to live; -1: for ever */
	/* of what was found or stored: fields, size; `idle_s` and `was_fetched` as they were before */
	snug_item item;
	uint64_t number; /* ARITHMETIC: the result */
	/* asked, by options or kind: operation_asks_rarely */
	int64_t vivify_exptime;
	union {
		int64_t recache_s; /* GET */
		/* answered, of all that change something: of the value that was there, if there was an
		 * item */
		uint64_t before_bytes;
	};
	uint64_t cas_compare;
	uint64_t cas_new;
	uint64_t delta;
	uint64_t initial;
};

/* What is asked stands in the rare fields, too. */
static inline bool operation_asks_rarely(const struct operation *operation) {
	const unsigned rare = OPERATION_HAS_VIVIFY | OPERATION_HAS_RECACHE | OPERATION_HAS_CAS_COMPARE |
						  OPERATION_HAS_CAS_NEW;
	return operation->kind == OPERATION_ARITHMETIC || (operation->options & rare) != 0;
}

/* What is asked; nothing of what is answered but what all answers have. The lease is not copied:
 * there is none. */
static inline void operation_copy_asked(struct operation *to, const struct operation *from) {
	SNUG_ASSERT(to != from && from->kind < OPERATION_KIND_COUNT);
#ifdef SNUG_DEBUG
	memset(to, 0xA5, sizeof *to); /* whoever tells what nobody has answered is seen */
#endif
	to->key = from->key;
	to->kind = from->kind;
	to->mode = from->mode;
	to->options = from->options;
	to->client_flags = from->client_flags;
	to->value = from->value;
	to->value_bytes = from->value_bytes;
	to->status = from->status;
	to->marks = from->marks;
	to->exptime = from->exptime;
	to->cas = 0;
	to->lease.ref = 0;
	if (__builtin_expect(!operation_asks_rarely(from), true)) return;
	to->vivify_exptime = from->vivify_exptime;
	to->recache_s = from->recache_s;
	to->cas_compare = from->cas_compare;
	to->cas_new = from->cas_new;
	to->delta = from->delta;
	to->initial = from->initial;
}

/* What memcached counts, by the same names. X(name) */
/* clang-format off */
#define OPERATION_COUNTS(X) \
	X(cmd_get) X(cmd_set) X(cmd_touch) X(cmd_meta) X(get_hits) X(get_misses) X(get_expired) \
	X(get_flushed) X(delete_misses) X(delete_hits) X(incr_misses) X(incr_hits) X(decr_misses) \
	X(decr_hits) X(cas_misses) X(cas_hits) X(cas_badval) X(touch_hits) X(touch_misses) \
	X(store_too_large) X(store_no_memory)
/* clang-format on */

struct operation_counts {
#define OPERATION_COUNT_FIELD(name) uint64_t name;
	OPERATION_COUNTS(OPERATION_COUNT_FIELD)
#undef OPERATION_COUNT_FIELD
};

/* Carries it out. The shard's owner. Never fails but by the status. */
void operation_execute(snug_shard *shard, struct operation *operation,
					   struct operation_counts *counts);

/* Counts a GET that was answered: for who carries one out otherwise. */
void operation_count_get(const struct operation *operation, struct operation_counts *counts);

/* What the answer's status says, as an error. */
snug_error operation_error(const struct operation *operation);

/* When the value that was found has been taken, or leased, or is not wanted. */
static inline void operation_end(snug_shard *shard, const struct operation *operation) {
	if (__builtin_expect((operation->marks & OPERATION_EXPIRES_NOW) == 0, true) ||
		operation->kind != OPERATION_GET)
		return;
	SNUG_ASSERT((operation->options & OPERATION_HAS_EXPTIME) != 0);
	snug_error error = snug_shard_delete(shard, &operation->key);
	(void)error; /* nobody else can have removed it meanwhile */
}

#endif
