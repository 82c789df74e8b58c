/* server/watch/watch.h: what happens, told to clients that watch (memcached's `watch`). The door of
 * this room:
 *
 *     watch.c        the watchers, and a line to each that wants it
 *     slow.h, .c     the slowest commands, for who asks
 *     watch_keys.c   a key as memcached's lines tell it
 *     prefixes       operations counted by prefix of their keys, for `stats detail`
 *     watch_lines.h, .c   what is told of an item and of a connection
 *
 *     any worker: an event --watchers_say, under the mutex--> text of each watcher, 64 KiB at most
 *     the watcher's worker: watcher_take --> its output
 *
 * Laws    - Who does not watch pays nothing but a look at a number that all workers share, and that
 *           changes when a watcher comes or goes. Evictions are told from a worker's next turn on.
 *         - A watcher holds WATCH_BYTES at most, and draws on the account of such texts. What finds
 *           no room is counted, and told as skipped=N before the next line that finds some. Nobody
 *           waits for a watcher. */
#ifndef SNUG_SERVER_WATCH_H
#define SNUG_SERVER_WATCH_H

#include "base/text.h"

#include <pthread.h>
#include <stdint.h>

#define WATCHERS_MAX 20u /* as memcached */
#define WATCH_BYTES ((size_t)64 << 10)

enum watch_kind {
	WATCH_FETCHERS = 1,
	WATCH_MUTATIONS = 2,
	WATCH_EVICTIONS = 4,
	WATCH_DELETIONS = 8,
	WATCH_CONNECTIONS = 16,
	WATCH_SYSTEM = 32,
	WATCH_PREFIXES = 64, /* nobody is told, but they are counted: prefixes.h */
};

struct watcher {
	struct watcher *next; /* under the mutex, as all here */
	uint32_t kinds;
	uint64_t skipped; /* lines, since the last one that was told */
	struct text text;
};

struct watchers {
	pthread_mutex_t mutex;
	struct watcher *first;
	uint32_t count;
	uint64_t events;  /* told to somebody, or skipped */
	uint64_t skipped; /* of all watchers */
	bool counts_prefixes;
	_Atomic uint32_t kinds; /* atomic: what anybody wants; changed under the mutex */
};

void watchers_init(struct watchers *watchers);
void watchers_deinit(struct watchers *watchers);

struct watch_counts {
	uint32_t watchers; /* there are */
	uint64_t skipped;  /* lines, since the start */
};
struct watch_counts watchers_count(struct watchers *watchers);

/* Its memory is the caller's, zeroed but for kinds and text.account. False: there are too many. Any
 * thread, here and below. */
bool watcher_begin(struct watchers *watchers, struct watcher *watcher);
void watcher_end(struct watchers *watchers, struct watcher *watcher);
bool watcher_has_news(struct watchers *watchers, struct watcher *watcher);
/* What is there is moved to `out`, which is empty. */
void watcher_take(struct watchers *watchers, struct watcher *watcher, struct text *out);

/* As a watcher of WATCH_PREFIXES would. */
void watchers_count_prefixes(struct watchers *watchers, bool are_counted);

/* "ts=.. gid=.. " and the line that is printed, without its end, to each that wants the kind. */
void watchers_say(struct watchers *watchers, enum watch_kind kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The key, all but letters, digits and -._~ as %XX, ended by a NUL. */
#define WATCH_KEY_ROOM (3u * 250u + 1u)
const char *watch_key(const void *key, size_t length, char room[WATCH_KEY_ROOM]);

#endif
