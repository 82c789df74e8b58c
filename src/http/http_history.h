/* http/http_history.h: the main figures of the last minutes and of the last day, for whoever opens
 * the dashboard later.
 *
 *     seconds   one look a second      the last 300      5 minutes
 *     minutes   the first look of each minute, 1,440     a day
 *
 * A look is what `stats` tells, of which the figures below are kept as they are told. Counters stay
 * counters: who wants a rate takes the difference of two looks. So a minute's rate is over the whole
 * minute, though only its first look is kept.
 *
 * COST. A thread of its own asks all workers once a second, as a scrape does, also while nobody reads
 * the page. While nothing happens on any of them it wakes none: the figures are those of the last
 * look, for ten seconds at most. The rings have a fixed size, HISTORY_BYTES, within what HTTP may hold
 * (http/http_memory.h). Nothing is kept over a restart. */
#ifndef SNUG_HTTP_HTTP_HISTORY_H
#define SNUG_HTTP_HTTP_HISTORY_H

#include "base/text.h"
#include "os/threads.h"
#include "server/errand/errand_ask.h"

#include <pthread.h>

#define HISTORY_SECONDS 300u
#define HISTORY_MINUTES 1440u

/* The names are those of `stats`. X(name, is it a share: six digits behind the point) */
/* clang-format off */
#define HISTORY_FIGURES(X) \
	X(uptime, false) \
	X(curr_items, false) \
	X(bytes, false) \
	X(limit_maxbytes, false) \
	X(get_hits, false) \
	X(get_misses, false) \
	X(cmd_set, false) \
	X(delete_hits, false) \
	X(delete_misses, false) \
	X(evictions, false) \
	X(store_no_memory, false) \
	X(snug_committed_bytes, false) \
	X(snug_metadata_bytes, false) \
	X(snug_charged_bytes, false) \
	X(snug_reclaimable_bytes, false) \
	X(snug_resident_bytes, false) \
	X(snug_external_fragmentation, true)
/* clang-format on */

enum history_figure {
#define HISTORY_FIGURE(name, is_share) HISTORY_##name,
	HISTORY_FIGURES(HISTORY_FIGURE)
#undef HISTORY_FIGURE
		HISTORY_FIGURE_COUNT
};

struct history_look {
	uint64_t at_ns;                        /* os_now_ns */
	uint64_t figure[HISTORY_FIGURE_COUNT]; /* shares in millionths */
};

/* The oldest is at `end`, once it is full. */
struct history_ring {
	struct history_look *looks;
	uint32_t room;
	uint32_t count;
	uint32_t end; /* where the next one goes */
};

struct history {
	pthread_mutex_t mutex; /* of the rings and their looks */
	struct history_ring seconds;
	struct history_ring minutes;
	struct history_look looks[HISTORY_SECONDS + HISTORY_MINUTES];
	struct history_look last; /* the thread's own, as are the next two; at_ns of 0: none */
	uint64_t stirred;         /* on all workers, behind it */
	uint32_t still_count;     /* looks since then that were the same */
	struct asks asks;         /* its own: when workers do not answer it holds up nobody else's */
	struct os_thread thread;
	_Atomic uint32_t is_stopping; /* atomic: history_stop sets it, and wakes the thread */
	bool is_running;              /* constant while the thread runs */
};

#define HISTORY_BYTES sizeof(struct history)
/* What its answer takes at most: all figures with all their digits, of full rings. */
#define HISTORY_ANSWER_BYTES \
	((HISTORY_SECONDS + HISTORY_MINUTES) * (HISTORY_FIGURE_COUNT + 1u) * 21u + 2048u)

void history_init(struct history *history, struct server *server);
/* Begins to look. False: the OS refused the thread; the history stays empty. */
bool history_start(struct history *history);
/* Ends looking; waits for a look that is under way, some seconds at most. Before server_stop. What was
 * not started is left alone. */
void history_stop(struct history *history);
/* After server_stop. */
void history_deinit(struct history *history);

/* Takes the figures out of an answer to `stats`. False: it is none. Pure. */
bool history_read(const struct text *answer, struct history_look *out);
/* Keeps it: looks come in the order of their times. Any thread. */
void history_add(struct history *history, const struct history_look *look);
/* Appends {"seconds":{"ago_ms":[..],"uptime":[..],..},"minutes":{..}}, the oldest first. Any thread. */
void history_write(struct history *history, uint64_t now_ns, struct text *out);

#endif
