/* server/watch/prefixes.h: how often keys of each prefix are got, set and deleted: what `stats
 * detail` tells. A prefix is what stands before the first delimiter of a key, ':' unless -D says
 * another; a key without one is not counted.
 *
 *     stats detail on --WATCH_PREFIXES--> each operation that is answered --mutex--> the one table
 *     stats detail off                    no longer; what was counted stays, for stats detail dump
 *     stats reset                         begins anew
 *
 * The memory of all of it is one block, which is there from the first `on` to a reset while it is
 * off, and draws on the account of answers:
 *
 *     index   8192 numbers   by the prefix's hash; 0: free
 *     prefix  4096           its counts, and where its text lies
 *     text    128 KiB        the prefixes themselves, one behind the other
 *
 * Laws    - While it is off it costs nothing: who watches and what is counted are one number
 *           (watch.h), which each operation looks at anyway.
 *         - Beyond 4096 prefixes, or when their text is full, an operation of a new one is counted
 *           as dropped, and no memory is taken. The old ones go on.
 * Cost    While it is on each operation takes a lock that all workers share, as in memcached. */
#ifndef SNUG_SERVER_PREFIXES_H
#define SNUG_SERVER_PREFIXES_H

#include "base/text.h"
#include "cache/operation/operation.h"
#include "server/watch/watch.h"

struct prefixes {
	pthread_mutex_t mutex;
	char delimiter;      /* constant after init */
	struct text table;   /* under the mutex, as all here; empty: there is none */
	uint64_t dropped;    /* operations, since the last reset */
	struct watchers *at; /* constant: whose kinds say that it is on */
};

/* The account and the watchers outlive it. */
void prefixes_init(struct prefixes *prefixes, char delimiter, struct text_account *account,
				   struct watchers *watchers);
void prefixes_deinit(struct prefixes *prefixes);

/* Any thread, here and below. False: there is no memory, and it stays off. */
bool prefixes_begin(struct prefixes *prefixes);
void prefixes_end(struct prefixes *prefixes);
bool prefixes_are_counted(const struct prefixes *prefixes);
void prefixes_reset(struct prefixes *prefixes);
uint64_t prefixes_dropped(struct prefixes *prefixes);

/* An operation that was carried out for a client. */
void prefixes_count(struct prefixes *prefixes, const struct operation *operation);

/* A line for some of those that were counted, from `*from` on, which begins with 0 and is moved on:
 * PREFIX name get 3 hit 1 set 2 del 0. True: these were the last. A prefix that is no word of a
 * line, as keys in base64 can make, is told with %XX in it. */
bool prefixes_dump(struct prefixes *prefixes, uint32_t *from, struct text *out);

#endif
