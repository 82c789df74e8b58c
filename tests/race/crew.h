/* crew.h: workers, or a cache, for a test, and waiting until something is so: a hang ends as a failed
 * test, not as a test that is killed. */
#ifndef SNUG_TEST_CREW_H
#define SNUG_TEST_CREW_H

#include "os/threads.h"
#include "unit/cmocka_all.h"
#include "work/worker/worker.h"

#include <snug/snug.h>

#define MS UINT64_C(1000000)
#define HANG_NS (UINT64_C(120000) * MS) /* ends a hang; a busy machine is only slow */

static inline snug_workers_options crew_options(uint32_t count) {
	snug_workers_options options = snug_workers_options_default();
	options.count = count;
	options.heap.limit_bytes = (size_t)4 << 20;
	return options;
}

static inline snug_workers *crew_make(const snug_workers_options *options) {
	snug_workers *workers = NULL;
	assert_int_equal(snug_workers_create(options, &workers), SNUG_OK);
	return workers;
}

static inline void crew_unmake(snug_workers *workers) {
	assert_int_equal(snug_workers_stop(workers, HANG_NS), SNUG_OK);
	assert_int_equal(snug_workers_destroy(workers), SNUG_OK);
}

static inline snug_worker_stats crew_stats(const snug_workers *workers, uint32_t worker) {
	snug_worker_stats stats;
	assert_int_equal(snug_workers_stats(workers, worker, &stats), SNUG_OK);
	return stats;
}

static inline snug_cache *crew_cache(uint32_t workers, size_t limit_bytes) {
	snug_cache_options options = snug_cache_options_default();
	snug_cache *cache = NULL;
	options.workers = workers;
	options.limit_bytes = limit_bytes;
	assert_int_equal(snug_cache_create(&options, &cache), SNUG_OK);
	return cache;
}

static inline snug_cache_client *crew_client(snug_cache *cache) {
	snug_cache_client *client = NULL;
	assert_int_equal(snug_cache_client_create(cache, NULL, &client), SNUG_OK);
	return client;
}

/* It rests, and for good: it has published since its last turn, which it does after a first, short
 * rest at the latest. */
static inline bool crew_rests(const snug_workers *workers, uint32_t worker) {
	const struct worker *one = &workers->worker[worker];
	return atomic_load(&one->published.asleep) &&
		   crew_stats(workers, worker).published_ns >= atomic_load(&one->published.turned_ns);
}

/* Waits until `condition` holds; false: it never did. */
#define CREW_WAIT_UNTIL(condition)                                                        \
	do {                                                                                  \
		uint64_t deadline_ns = os_deadline_ns(HANG_NS);                                   \
		while (!(condition) && os_remaining_ns(deadline_ns) > 0) os_thread_sleep(MS / 4); \
		assert_true(condition);                                                           \
	} while (0)

#endif
