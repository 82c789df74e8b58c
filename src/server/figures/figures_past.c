/* server/figures/figures_past.c: what a worker had counted some minutes ago. See
 * server/figures/figures.h.
 *
 *     start                    mark 1       mark 0          now
 *     |--- marks are missing ---|-- 5 min ---|-- 0..5 min ---|
 *                               '-- recent: 5 to 10 minutes -'
 *
 * Two marks, so that what is recent is never a moment only. Until there are two, recent is since the
 * start. What was counted before a `stats reset` is not recent any more. */
#include "os/threads.h"
#include "server/figures/figures.h"

#include <string.h>

static struct past count(const struct server_worker *worker, uint64_t now_ns) {
	const struct connection_counts *connections = &worker->connections;
	snug_shard_stats shard = {0};
	(void)!snug_shard_stats_get(worker->shard, &shard);
	return (struct past){
		.at_ns = now_ns,
		.gets = worker->counts.get_hits + worker->counts.get_misses,
		.hits = worker->counts.get_hits,
		.evictions = shard.evictions - worker->shard_base.evictions,
		.no_memory = worker->counts.store_no_memory,
		.too_large = worker->counts.store_too_large,
		.too_many = connections->rejected - connections->rejected_memory,
		.not_opened = connections->rejected_memory,
		.closed = connections->memory_closed,
		.late_steps = shard.heap.late_steps,
		.auth_errors =
			connections->auth_errors + figures_http(worker, &worker->server->http_tries.errors),
		.handshake_errors = connections->tls.handshake_errors,
		.cpu_ns = os_thread_cpu_ns(),
	};
}

void figures_mark(struct server_worker *worker, uint64_t now_ns) {
	struct past *past = worker->past;
	if (now_ns < past[0].at_ns + PAST_NS) return;
	memmove(&past[1], &past[0], (PAST_MARKS - 1) * sizeof past[0]);
	past[0] = count(worker, now_ns);
}

/* Between two moments; a counter that began anew counts from 0. */
static void add_between(struct past *sum, const struct past *from, const struct past *to) {
#define ADD(name) sum->name += to->name < from->name ? to->name : to->name - from->name;
	PAST_COUNTS(ADD)
#undef ADD
	uint64_t span_ns = to->at_ns - from->at_ns;
	if (span_ns > sum->at_ns) sum->at_ns = span_ns;
}

void figures_add_past(const struct server_worker *worker, uint64_t now_ns, struct past *recent,
					  struct past *before) {
	const struct past now = count(worker, now_ns), *past = worker->past;
	const struct past start = {.at_ns = worker->server->started.begun_ns};
	add_between(recent, past[1].at_ns == 0 ? &start : &past[1], &now);
	if (past[1].at_ns != 0) add_between(before, past[2].at_ns == 0 ? &start : &past[2], &past[1]);
}
