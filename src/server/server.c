/* server/server.c: the server as a whole: workers with a shard each, and their coordinator.
 *
 *     create   workers (each: shard, io, connections' memory) -> coordinator -> is_complete
 *                -> each worker listens, and says so -> returns
 *     stop     is_draining -> each worker answers what it has received, closes, says so
 *                -> the coordinator stops -> the workers stop
 *
 * Laws    - Nobody is served before all is there that a command may refer to: workers listen only
 *           when the server is complete.
 *         - No worker stops before all have drained. They need each other to answer their clients.
 *         - After server_stop every message is answered, and every ticket. So who has asked, and is
 *           no worker (HTTP, operators), can take what is his without waiting.
 *
 * The hook (snug/workers.h) is all that the library knows of the server. Its functions do nothing
 * but find the worker and call server_worker.h. */
#include "server/server.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/log_line.h"
#include "cache/client/upkeep.h"
#include "cache/shard/shard_read.h"
#include "cache/shard/shard_state.h"
#include "os/address_space.h"
#include "os/local_time.h"
#include "os/memory_segment.h"
#include "os/threads.h"
#include "server/server_worker.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ the hook --------------- */

static struct server_worker *worker_of(void *context, uint32_t index) {
	struct server *server = context;
	return &server->worker[index];
}

static int64_t now_s(void *context) {
	const struct server_worker *worker = context;
	return worker->clock_s;
}

static int64_t wall_s(void *context) {
	const struct server_worker *worker = context;
	return worker->wall_s;
}

static void configure(void *context, uint32_t index, snug_heap_options *heap_options) {
	struct server_worker *worker = worker_of(context, index);
	const struct settings *settings = &worker->server->settings;
	snug_shard_options options = snug_shard_options_default();
	options.heap = *heap_options;
	options.item_max_bytes = settings->item_max_bytes;
	options.no_eviction = settings->no_eviction;
	options.keep_free_bytes = SNUG_NO_BUDGET; /* the coordinator's background gives memory back */
	options.evict_for = settings->evict_for;
	options.now_s = now_s;
	options.wall_s = wall_s;
	options.now_context = worker;
	server_worker_look_at_clocks(worker, os_now_ns());
	worker->shard_error = snug_shard_prepare(&options, heap_options, &worker->shard);
	if (worker->shard_error) worker->shard = NULL;
}

/* On its own thread, outside of every callback; or when there is no thread any more, which is so if it
 * had no heap. */
static void end_shard(struct server_worker *worker) {
	snug_error error = snug_shard_destroy(worker->shard);
	SNUG_ASSERT(!error);
	(void)error;
	worker->shard = NULL;
}

static void count_attached(struct server *server, const snug_shard_stats *stats) {
	atomic_fetch_add_explicit(&server->attached_items, stats->attached, memory_order_relaxed);
	atomic_fetch_add_explicit(&server->recovered_items, stats->recovered, memory_order_relaxed);
	atomic_fetch_add_explicit(&server->dropped_items, stats->dropped, memory_order_relaxed);
}

static snug_error start(void *context, uint32_t index, snug_heap *heap) {
	struct server_worker *worker = worker_of(context, index);
	if (worker->shard_error) return worker->shard_error;
	snug_error error = snug_shard_attach(worker->shard, heap);
	snug_shard_stats stats;
	if (!error) error = snug_shard_stats_get(worker->shard, &stats);
	if (!error) count_attached(worker->server, &stats);
	if (!error) error = server_worker_begin(worker);
	if (error) end_shard(worker);
	return error;
}

static bool turn(void *context, uint32_t index, snug_heap *heap) {
	(void)heap;
	return server_worker_turn(worker_of(context, index));
}

static void rest(void *context, uint32_t index, int wake_fd, uint64_t timeout_ns) {
	server_worker_sleep(worker_of(context, index), wake_fd, timeout_ns);
}

static uint64_t evict(void *context, uint32_t index, snug_heap *heap, uint64_t bytes) {
	(void)heap;
	return upkeep_evict(worker_of(context, index)->shard, bytes);
}

static void run(void *context, uint32_t index, snug_heap *heap, void *const *requests,
				snug_error *errors, /* NOLINT(readability-non-const-parameter): the hook's type */
				size_t count) {
	(void)heap;
	(void)errors;
	server_worker_run(worker_of(context, index), requests, count);
}

static void stop(void *context, uint32_t index, snug_heap *heap) {
	struct server_worker *worker = worker_of(context, index);
	(void)heap;
	server_worker_end(worker);
}

/* The other workers may have read it until now. */
static void release(void *context, uint32_t index, snug_heap *heap) {
	(void)heap;
	end_shard(worker_of(context, index));
}

/* ------------------------------------------------------------------ create, destroy -------- */

/* The next one may be given another limit: what is laid out in a file is so for all that the
 * machine has. */
static uint64_t limit_max_bytes(const struct server *server) {
	uint64_t wanted_bytes = server->settings.memory_max_bytes;
	if (server->memory_file == NULL) return wanted_bytes;
	uint64_t most_bytes = (uint64_t)SNUG_LIMIT_MAX_BYTES * server->worker_count;
	return smaller(larger(wanted_bytes, os_memory_bytes()), most_bytes);
}

static snug_error start_workers(struct server *server, const snug_log *log) {
	const struct settings *settings = &server->settings;
	SNUG_ASSERT(server->worker_count > 0);
	snug_workers_options options = snug_workers_options_default();
	options.count = server->worker_count;
	options.name = "snugd";
	options.heap.limit_bytes = (size_t)(settings->memory_bytes / server->worker_count);
	options.heap.limit_max_bytes = (size_t)(limit_max_bytes(server) / server->worker_count);
	options.heap.memory_file = server->memory_file;
	options.heap.huge_pages = settings->huge_pages;
	options.inbox_messages = 4096;
	if (settings->defrag_duty_ppm > 0) options.duty_ppm = settings->defrag_duty_ppm;
	if (settings->defrag_step_bytes > 0) options.step_bytes = settings->defrag_step_bytes;
	options.log = *log;
	options.hook = (snug_worker_hook){.context = server,
									  .configure = configure,
									  .start = start,
									  .turn = turn,
									  .sleep = rest,
									  .evict = settings->no_eviction ? NULL : evict,
									  .run = run,
									  .stop = stop,
									  .release = release};
	snug_error error = snug_workers_create(&options, &server->workers);
	for (uint32_t i = 0; error && i < server->worker_count; i++) end_shard(&server->worker[i]);
	return error;
}

static snug_error start_coordinator(struct server *server, const snug_log *log) {
	snug_coordinator_options options = snug_coordinator_options_default();
	options.background.on = server->settings.background;
	options.background.retain_bytes = server->settings.keep_free_bytes / server->worker_count;
	options.log = *log;
	return snug_coordinator_create(server->workers, &options, &server->coordinator);
}

/* For nothing but speed: without it all goes on. */
static void start_collapse(struct server *server) {
	struct os_range *ranges = calloc(server->worker_count, SHARD_RANGES * sizeof *ranges);
	if (ranges == NULL) return;
	for (uint32_t i = 0; i < server->worker_count; i++)
		shard_ranges(server->worker[i].shard, ranges + (size_t)i * SHARD_RANGES);
	if (collapse_start(ranges, server->worker_count * SHARD_RANGES, &server->collapse) != SNUG_OK)
		snug_log_line(&server->log, SNUG_LOG_WARNING, "no thread for huge pages");
	free(ranges);
}

/* The workers are told to listen, and have done so. */
static snug_error open_doors(struct server *server) {
	atomic_store_explicit(&server->is_complete, true, memory_order_release);
	uint32_t listening;
	while ((listening = atomic_load_explicit(&server->listening, memory_order_acquire)) <
		   server->worker_count)
		os_wait_on(&server->listening, listening, OS_FOREVER);
	return (snug_error)atomic_load_explicit(&server->listen_error, memory_order_relaxed);
}

/* For some maps of memory at a time, which are the longest but for the list of connections; and for
 * that. */
#define TEXT_BYTES ((size_t)16 << 20)
#define TEXT_BYTES_A_CONNECTION ((size_t)256)

/* What items expire by goes on in the next process. */
static void begin_clock(struct server *server) {
	server->clock = server->started;
	if (server->memory_file == NULL) return;
	(void)memory_file_clock(server->memory_file, &server->clock);
	memory_file_set_clock(server->memory_file, &server->clock);
}

snug_error server_create(const struct settings *settings, const struct listeners *listeners,
						 struct auth *auth, struct tls *tls, const snug_log *log,
						 snug_memory_file *memory_file, struct server **out) {
	struct server *server = calloc(1, sizeof *server);
	if (server == NULL) return SNUG_ERROR_OS_MEMORY;
	server->settings = *settings;
	server->listeners = listeners;
	server->auth = auth;
	server->tls = tls;
	server->log = *log;
	server->worker_count = settings->threads;
	server->texts.limit_bytes = TEXT_BYTES + settings->connections_max * TEXT_BYTES_A_CONNECTION;
	os_epoch_begin(&server->started, os_now_ns());
	server->memory_file = memory_file;
	begin_clock(server);
	/* A secret that was given is not given up: then the workers find that it does not fit. */
	if (memory_file != NULL && settings->hash_secret[0] == '\0')
		(void)shard_take_secret(memory_file);
	watchers_init(&server->watchers);
	prefixes_init(&server->prefixes, settings_prefix_delimiter(settings), &server->texts,
				  &server->watchers);
	settings_live_init(&server->live, settings);
	size_t worker_bytes = settings->threads * sizeof *server->worker;
	server->worker = aligned_alloc(_Alignof(struct server_worker), worker_bytes);
	snug_error error = server->worker == NULL ? SNUG_ERROR_OS_MEMORY : SNUG_OK;
	if (!error) memset(server->worker, 0, worker_bytes);
	for (uint32_t i = 0; !error && i < server->worker_count; i++) {
		server->worker[i].server = server;
		server->worker[i].index = i;
		server->worker[i].limit_bytes = settings->memory_bytes / settings->threads;
		snug_histogram_init(&server->worker[i].turn_ns);
	}
	uint64_t before_ns = os_now_ns();
	if (!error) error = start_workers(server, log);
	server->attach_ns = os_now_ns() - before_ns;
	if (!error && settings->collapse && !settings->huge_pages && memory_file == NULL)
		start_collapse(server);
	if (!error) error = start_coordinator(server, log);
	if (!error) error = open_doors(server);
	if (!error && settings->prefix_delimiter[0] != '\0' && !prefixes_begin(&server->prefixes))
		error = SNUG_ERROR_OS_MEMORY;
	if (error)
		server_destroy(server);
	else
		*out = server;
	return error;
}

#define DRAIN_WAKE_NS UINT64_C(100000000)

/* Workers need each other to answer their clients, so none stops before all have. A question to all
 * of them wakes those that sleep; who does not answer it in time is at work, and sees the flag by
 * itself. */
static void drain(struct server *server) {
	snug_request question = snug_request_default(SNUG_REQUEST_METRICS);
	snug_ticket ticket;
	snug_response response;
	atomic_store_explicit(&server->is_draining, true, memory_order_release);
	if (snug_coordinator_submit(server->coordinator, &question, &ticket) == SNUG_OK)
		(void)!snug_coordinator_wait(server->coordinator, ticket, DRAIN_WAKE_NS, &response, NULL,
									 NULL);
	if (snug_coordinator_stop(server->coordinator, SNUG_FOREVER) != SNUG_OK) return;
	uint32_t drained;
	while ((drained = atomic_load_explicit(&server->drained, memory_order_acquire)) <
		   server->worker_count)
		os_wait_on(&server->drained, drained, OS_FOREVER);
}

/* Again: what has stopped says so at once. */
void server_stop(struct server *server) {
	if (atomic_load_explicit(&server->is_complete, memory_order_acquire)) drain(server);
	/* The coordinator answers what was asked of it; then the workers can answer their clients; then
	 * nobody asks any more. */
	snug_error error = server->coordinator == NULL
						   ? SNUG_OK
						   : snug_coordinator_stop(server->coordinator, SNUG_FOREVER);
	if (!error && server->workers != NULL) error = snug_workers_stop(server->workers, SNUG_FOREVER);
	SNUG_ASSERT(!error);
	(void)error;
}

void server_destroy(struct server *server) {
	if (server == NULL) return;
	server_stop(server);
	collapse_stop(server->collapse);
	snug_error error = snug_coordinator_destroy(server->coordinator);
	if (!error) error = snug_workers_destroy(server->workers);
	SNUG_ASSERT(!error);
	(void)error;
	prefixes_deinit(&server->prefixes);
	watchers_deinit(&server->watchers);
	free(server->worker);
	free(server);
}
