/* work/worker/worker_publish.c: what a worker says about itself, for any thread to read without
 * asking (work/channel/snapshot.h). 584 bytes, of one moment.
 *
 * Taking the figures costs 0.66 us in cache (docs/benchmarks.md, "Asking"), twice a second while
 * working, before a sleep and before a job's answer: next to a wake-up, that is little. To ask by
 * message instead would wake a worker that sleeps, and get no answer from one that stands still,
 * which is when one wants to know.
 *
 * What must be true of this moment is not in the snapshot: the inbox's depth, and whether the
 * worker still turns. Each turn writes its time; a worker that is not asleep and has not turned for
 * a second is stalled. */
#include "base/assert.h"
#include "work/channel/snapshot.h"
#include "work/worker/worker.h"

#include <string.h>

#define STALLED_NS UINT64_C(1000000000)

void worker_describe(struct worker *worker, uint64_t now_ns, snug_worker_stats *out) {
	memset(out, 0, sizeof *out); /* the padding too: it is published */
	snug_error error = snug_stats_get(worker->heap, &out->heap);
	SNUG_ASSERT(!error);
	(void)error;
	out->published_ns = now_ns;
	out->turns = worker->turns;
	out->messages = worker->messages;
	out->sleeps = worker->sleeps;
	out->wakes = worker->wakes;
	out->busy_ns = worker->busy_ns + (now_ns - worker->awake_ns);
	out->maintenance_ns = worker->maintenance_ns;
	out->longest_slice_ns = worker->longest_slice_ns;
	out->inbox_depth = channel_depth(worker->inbox);
	out->inbox_high_water = channel_high_water(worker->inbox);
}

void worker_publish(struct worker *worker, uint64_t now_ns) {
	struct published *published = &worker->published;
	snug_worker_stats stats;
	SNUG_ASSERT(pthread_equal(worker->self, pthread_self()));
	worker_describe(worker, now_ns, &stats);
	snapshot_write(&published->sequence, published->words, &stats, PUBLISHED_WORDS);
	worker->published_ns = now_ns;
}

/* `asleep` first: a worker that wakes up writes turned_ns before it. */
static bool is_stalled(const struct published *published) {
	if (atomic_load_explicit(&published->asleep, memory_order_acquire)) return false;
	uint64_t turned_ns = atomic_load_explicit(&published->turned_ns, memory_order_relaxed);
	uint64_t now_ns = os_now_ns();
	return now_ns > turned_ns && now_ns - turned_ns > STALLED_NS;
}

void worker_read_published(const struct worker *worker, snug_worker_stats *out) {
	snug_worker_stats stats;
	snapshot_read(&worker->published.sequence, worker->published.words, &stats, PUBLISHED_WORDS);
	stats.inbox_depth = channel_depth(worker->inbox);
	stats.inbox_high_water = channel_high_water(worker->inbox);
	stats.stalled = is_stalled(&worker->published);
	*out = stats;
}
