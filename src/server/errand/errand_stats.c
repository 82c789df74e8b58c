/* server/errand/errand_stats.c: `stats` in all its forms.
 *
 *     stats            a sum over the workers: each adds what it has counted, on its own thread
 *     stats items      the same, told as memcached tells a slab class
 *     stats slabs      the same, a class for each of our three pools
 *     stats conns      each worker's connections, CONNECTIONS_A_SLICE in a slice; the asker's own is
 *                      told last, as in memcached who has just come is told last
 *     stats settings   at once
 *     stats sizes      server/inspect/inspect_sizes.c
 *     stats cachedump  server/inspect/inspect_dump.c
 *     stats detail     server/inspect/inspect_prefixes.c
 *     stats reset      each worker: its counters begin anew
 *
 * Names are memcached's where they mean the same, so that dashboards and exporters read them; what
 * is ours begins with snug_.
 *
 * Workers are visited one after the other, so a sum is of no one instant: while the last is visited
 * the first may have served some thousand requests more.
 * They are added up, and made sense of, by server/figures. */
#include "os/collapse.h"
#include "os/local_time.h"
#include "os/process_figures.h"
#include "os/threads.h"
#include "server/errand/errand_parts.h"
#include "server/figures/figures.h"
#include "server/inspect/inspect.h"
#include "server/process/listeners.h"
#include "server/process/log_stderr.h"

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct stats {
	struct errand errand; /* must be the first */
	struct figures sum;
	struct text text; /* what visits write by themselves */
	struct text own;  /* of the connection that asks */
	bool has_begun;   /* with the worker that is visited: */
	size_t begun_length;
};

/* ------------------------------------------------------------------ visits ----------------- */

static struct stats *stats_of(struct errand *errand) {
	return (struct stats *)(void *)errand;
}

static void gather(struct errand *errand, struct server_worker *worker) {
	figures_add(&stats_of(errand)->sum, worker);
}

static void reset(struct errand *errand, struct server_worker *worker) {
	struct connection_counts *connections = &worker->connections;
	struct http_tries *tries = &errand->server->http_tries;
	atomic_store_explicit(&tries->commands, 0, memory_order_relaxed);
	atomic_store_explicit(&tries->errors, 0, memory_order_relaxed);
	worker->counts = (struct operation_counts){0};
	*connections = (struct connection_counts){.current = connections->current,
											  .buffer_bytes = connections->buffer_bytes,
											  .tls.current = connections->tls.current,
											  .tls.memory_bytes = connections->tls.memory_bytes};
	snug_error error = snug_shard_stats_get(worker->shard, &worker->shard_base);
	(void)error; /* it has a shard */
}

#define CONNECTIONS_A_SLICE 48u /* some 100 us */

/* Whoever lost his place in the list begins again with this worker. */
static void describe_connections(struct errand *errand, struct server_worker *worker) {
	struct stats *stats = stats_of(errand);
	bool holds;
	if (!slice_begin(&worker->describe_slices, errand, worker, &holds)) return;
	bool goes_on = holds && stats->has_begun;
	if (!stats->has_begun) stats->begun_length = stats->text.length;
	if (!goes_on) stats->text.length = stats->begun_length;
	stats->has_begun = worker->describe(worker, !goes_on, CONNECTIONS_A_SLICE, errand->asker,
										&stats->text, &stats->own);
	slice_end(&worker->describe_slices, errand, worker, !stats->has_begun);
}

/* ------------------------------------------------------------------ general ---------------- */

static void say_process(const struct server *server, struct text *out) {
	struct rusage usage = {0};
	(void)getrusage(RUSAGE_SELF, &usage);
	stat_u64(out, "pid", (uint64_t)getpid());
	stat_u64(out, "uptime", (os_now_ns() - server->started.begun_ns) / UINT64_C(1000000000));
	stat_u64(out, "time", (uint64_t)os_wall_s());
	stat_text(out, "version", PROTOCOL_VERSION_TEXT);
	stat_text(out, "snug_version", SNUG_VERSION_TEXT);
	stat_u64(out, "pointer_size", 8 * sizeof(void *));
	stat_u64(out, "snug_resident_bytes", os_resident_bytes());
	stat_u64(out, "snug_resident_peak_bytes", os_resident_peak_bytes());
	text_print(out, "STAT rusage_user %lld.%06ld\r\n", (long long)usage.ru_utime.tv_sec,
			   (long)usage.ru_utime.tv_usec);
	text_print(out, "STAT rusage_system %lld.%06ld\r\n", (long long)usage.ru_stime.tv_sec,
			   (long)usage.ru_stime.tv_usec);
}

static void say_connections(const struct server *server, const struct figures *sum,
							struct text *out) {
	stat_u64(out, "max_connections",
			 atomic_load_explicit(&server->live.connections_max, memory_order_relaxed));
	stat_u64(out, "curr_connections", sum->connections.current);
	stat_u64(out, "total_connections", sum->connections.total);
	stat_u64(out, "rejected_connections", sum->connections.rejected);
	stat_u64(out, "snug_rejected_too_many",
			 sum->connections.rejected - sum->connections.rejected_memory);
	stat_u64(out, "snug_rejected_no_memory", sum->connections.rejected_memory);
	stat_u64(out, "connection_structures", sum->connections.current);
	stat_u64(out, "conn_yields", sum->connections.yields);
	stat_u64(out, "listen_disabled_num", 0);
	stat_u64(out, "time_in_listen_disabled_us", 0);
	stat_u64(out, "idle_kicks", sum->connections.idle_kicks);
	stat_u64(out, "snug_killed", sum->connections.killed);
	stat_u64(out, "auth_cmds", sum->connections.auth_commands);
	stat_u64(out, "auth_errors", sum->connections.auth_errors);
	stat_u64(out, "snug_open_addresses",
			 server->auth != NULL ? 0 : listeners_count_open(server->listeners));
	stat_u64(out, "cmd_flush", sum->connections.flush_commands);
	stat_u64(out, "bytes_read", sum->connections.read_bytes);
	stat_u64(out, "bytes_written", sum->connections.written_bytes);
	stat_u64(out, "accepting_conns", 1);
	stat_u64(out, "threads", server->worker_count);
}

/* Without TLS none of it. */
static void say_tls(const struct server *server, const struct figures *sum, struct text *out) {
	const struct tls_counts *counts = &sum->connections.tls;
	if (server->tls == NULL) return;
	uint64_t age_s = (os_now_ns() - tls_read_ns(server->tls)) / UINT64_C(1000000000);
	if (server->settings.ssl_session_cache)
		stat_u64(out, "ssl_new_sessions", counts->handshakes - counts->resumed);
	stat_u64(out, "ssl_handshake_errors", counts->handshake_errors);
	stat_u64(out, "ssl_proto_errors", counts->record_errors);
	stat_u64(out, "time_since_server_cert_refresh", age_s);
	text_print(out, "STAT snug_ssl_certificate_valid_s %lld\r\n",
			   (long long)(tls_valid_s(server->tls) - (int64_t)age_s));
	stat_u64(out, "snug_ssl_connections", counts->current);
	stat_u64(out, "snug_ssl_handshakes", counts->handshakes);
	stat_u64(out, "snug_ssl_resumed", counts->resumed);
	stat_u64(out, "snug_ssl_handshakes_late", counts->handshakes_late);
	stat_u64(out, "snug_ssl_handshakes_ended", counts->handshakes_ended);
	stat_u64(out, "snug_ssl_by_kernel", counts->by_kernel);
	stat_u64(out, "snug_ssl_memory_bytes", counts->memory_bytes);
}

static void say_items(const struct figures *sum, struct text *out) {
	const snug_shard_stats *shard = &sum->shard;
	stat_u64(out, "limit_maxbytes", shard->heap.limit_goal_bytes);
	stat_u64(out, "bytes", shard->item_bytes);
	stat_u64(out, "curr_items", shard->items);
	stat_u64(out, "total_items", shard->stores);
	stat_u64(out, "hash_bytes", shard->index_bytes);
	stat_u64(out, "hash_is_expanding", 0);
	stat_u64(out, "slab_reassign_running", 0);
	stat_u64(out, "evictions", shard->evictions);
	stat_u64(out, "evicted_unfetched", shard->evicted_unfetched);
	stat_u64(out, "reclaimed", shard->expired);
	stat_u64(out, "expired_unfetched", shard->expired_unfetched);
}

static double share(uint64_t part, uint64_t whole) {
	return whole == 0 ? 0 : (double)part / (double)whole;
}

/* The parts add up to snug_memory_used_bytes; the peak is the sum of the workers' peaks, each at its
 * own moment. */
static void say_purposes(const struct figures *sum, struct text *out) {
	struct memory_parts parts = memory_parts_of(&sum->shard);
	stat_u64(out, "snug_memory_used_bytes", memory_used_bytes(&sum->shard));
	stat_u64(out, "snug_memory_peak_bytes", sum->shard.heap.peak_bytes);
#define SAY_PART(name, what) stat_u64(out, "snug_memory_" #name "_bytes", parts.name);
	MEMORY_PURPOSES(SAY_PART)
#undef SAY_PART
}

/* What does not count towards the limit; the connections' is snug_buffer_bytes. */
static void say_beside(struct server *server, struct text *out) {
	const struct holding *http = atomic_load_explicit(&server->http_holding, memory_order_acquire);
	stat_u64(out, "snug_http_bytes", http == NULL ? 0 : http->bytes(http->context));
	stat_u64(out, "snug_answer_bytes",
			 atomic_load_explicit(&server->texts.used_bytes, memory_order_relaxed));
	stat_u64(out, "snug_log_bytes", log_stderr_bytes());
}

static void say_memory(const struct server *server, const struct figures *sum, struct text *out) {
	const snug_stats *heap = &sum->shard.heap;
	stat_u64(out, "snug_limit_bytes", heap->limit_bytes);
	stat_u64(out, "snug_limit_max_bytes", server->settings.memory_max_bytes);
	stat_u64(out, "snug_connection_memory_bytes", server->settings.connection_memory_bytes);
	stat_u64(out, "snug_committed_bytes", heap->committed_bytes);
	stat_u64(out, "snug_metadata_bytes", heap->metadata_bytes);
	stat_u64(out, "snug_charged_bytes", heap->charged_bytes);
	stat_u64(out, "snug_buffer_bytes", sum->connections.buffer_bytes);
	stat_u64(out, "snug_memory_closed", sum->connections.memory_closed);
	stat_u64(out, "snug_available_bytes", heap->available_bytes);
	stat_u64(out, "snug_reclaimable_bytes", heap->total.reclaimable_bytes);
	stat_ppm(out, "snug_internal_fragmentation",
			 share(heap->total.slot_bytes - heap->total.payload_bytes, heap->total.slot_bytes));
	stat_ppm(out, "snug_external_fragmentation",
			 share(heap->total.hole_bytes, heap->total.slab_bytes));
	stat_u64(out, "snug_moves", heap->moves);
	stat_u64(out, "snug_moved_bytes", heap->moved_bytes);
	stat_u64(out, "snug_reclaimed_bytes", heap->reclaimed_bytes);
	stat_u64(out, "snug_returned_bytes", heap->returned_bytes);
	stat_u64(out, "snug_defragmentations", heap->defragmentations);
	stat_u64(out, "snug_late_steps", heap->late_steps);
	stat_u64(out, "snug_leases", sum->shard.leases);
	stat_u64(out, "snug_collapsed_bytes", collapse_count(server->collapse) * COLLAPSE_BLOCK_BYTES);
	stat_u64(out, "snug_reads_between_workers", sum->connections.reads);
	stat_u64(out, "snug_requests_between_workers", sum->connections.requests_out);
	stat_u64(out, "snug_log_dropped", log_stderr_dropped());
}

static void say_watchers(struct server *server, struct text *out) {
	struct watch_counts counts = watchers_count(&server->watchers);
	stat_u64(out, "log_watchers", counts.watchers);
	stat_u64(out, "log_watcher_skipped", counts.skipped);
	stat_u64(out, "snug_prefix_dropped", prefixes_dropped(&server->prefixes));
}

/* What a memory file gave, and took until it had given it. */
static void say_attached(struct server *server, struct text *out) {
	if (server->memory_file == NULL) return;
	stat_u64(out, "snug_attached_items",
			 atomic_load_explicit(&server->attached_items, memory_order_relaxed));
	stat_u64(out, "snug_recovered_items",
			 atomic_load_explicit(&server->recovered_items, memory_order_relaxed));
	stat_u64(out, "snug_dropped_items",
			 atomic_load_explicit(&server->dropped_items, memory_order_relaxed));
	stat_ppm(out, "snug_attach_seconds", (double)server->attach_ns / 1e9);
}

/* Since the start; a reset leaves them, for they are the library's. */
static void say_coordinator(const struct server *server, struct text *out) {
	snug_coordinator_stats stats;
	if (snug_coordinator_stats_get(server->coordinator, &stats) != SNUG_OK) return;
	stat_u64(out, "snug_coordinator_requests", stats.requests);
	stat_u64(out, "snug_coordinator_refused", stats.refused);
	stat_u64(out, "snug_coordinator_answers", stats.answers);
	stat_u64(out, "snug_coordinator_joins", stats.joins);
	stat_u64(out, "snug_coordinator_jobs", stats.jobs);
	stat_u64(out, "snug_coordinator_background_runs", stats.background_runs);
	stat_u64(out, "snug_coordinator_spare_runs", stats.spare_runs);
	stat_u64(out, "snug_coordinator_turns", stats.turns);
	stat_u64(out, "snug_coordinator_tickets", stats.tickets_in_use);
	stat_u64(out, "snug_coordinator_schedules", stats.schedules);
	stat_u64(out, "snug_coordinator_machine_pressure", stats.machine_pressure);
}

static void answer_general(struct errand *errand, struct text *out) {
	const struct figures *sum = &stats_of(errand)->sum;
	say_process(errand->server, out);
	say_connections(errand->server, sum, out);
	say_tls(errand->server, sum, out);
#define SAY_COUNT(name) stat_u64(out, #name, sum->counts.name);
	OPERATION_COUNTS(SAY_COUNT)
#undef SAY_COUNT
	say_items(sum, out);
	say_memory(errand->server, sum, out);
	say_purposes(sum, out);
	say_beside(errand->server, out);
	say_watchers(errand->server, out);
	say_attached(errand->server, out);
	say_coordinator(errand->server, out);
	text_say(out, "END");
}

/* ------------------------------------------------------------------ pools as classes ------- */

/* What is counted for all sizes together is told of one class: the first that has pages, which
 * tools that join `stats items` to `stats slabs` show. All items are in the one that was told. */
static uint32_t tell_class(struct server *server, const snug_stats *stats) {
	uint32_t pool = 0;
	while (pool < SNUG_POOL_COUNT && stats->pool[pool].slabs == 0) pool++;
	uint32_t class = pool < SNUG_POOL_COUNT ? pool + 1 : 1;
	atomic_store_explicit(&server->told_class, class, memory_order_relaxed);
	return class;
}

/* What is not known is left out: the age of the oldest item, how long ago an evicted one was used,
 * how many of those had an expiry. */
static void answer_items(struct errand *errand, struct text *out) {
	const snug_shard_stats *shard = &stats_of(errand)->sum.shard;
	uint32_t number = tell_class(errand->server, &shard->heap);
#define SAY(name, value) \
	text_print(out, "STAT items:%u:" #name " %llu\r\n", number, (unsigned long long)(value))
	if (shard->items > 0) {
		SAY(number, shard->items);
		SAY(mem_requested, shard->item_bytes);
		SAY(evicted, shard->evictions);
		SAY(evicted_unfetched, shard->evicted_unfetched);
		SAY(expired_unfetched, shard->expired_unfetched);
		SAY(outofmemory, shard->refused);
		SAY(tailrepairs, 0);
		SAY(reclaimed, shard->expired);
	}
#undef SAY
	text_say(out, "END");
}

static void say_slab_counts(struct text *out, uint32_t number,
							const struct operation_counts *counts) {
#define SAY(name, value) \
	text_print(out, "STAT %u:" #name " %llu\r\n", number, (unsigned long long)(value))
	SAY(get_hits, counts->get_hits);
	SAY(cmd_set, counts->cmd_set);
	SAY(delete_hits, counts->delete_hits);
	SAY(incr_hits, counts->incr_hits);
	SAY(decr_hits, counts->decr_hits);
	SAY(cas_hits, counts->cas_hits);
	SAY(cas_badval, counts->cas_badval);
	SAY(touch_hits, counts->touch_hits);
}

static void say_slab(struct text *out, uint32_t number, const snug_stats *stats,
					 const snug_pool_stats *pool) {
	uint64_t chunk_bytes =
		pool->objects == 0 ? stats->page_bytes : pool->slot_bytes / pool->objects;
	uint64_t free_chunks = chunk_bytes == 0 ? 0 : pool->hole_bytes / chunk_bytes;
	SAY(chunk_size, chunk_bytes);
	SAY(chunks_per_page, chunk_bytes == 0 ? 0 : stats->page_bytes / chunk_bytes);
	SAY(total_pages, pool->slabs);
	SAY(total_chunks, pool->objects + free_chunks);
	SAY(used_chunks, pool->objects);
	SAY(free_chunks, free_chunks);
	SAY(snug_hole_bytes, pool->hole_bytes);
	SAY(snug_reclaimable_bytes, pool->reclaimable_bytes);
#undef SAY
}

static void answer_slabs(struct errand *errand, struct text *out) {
	const snug_stats *stats = &stats_of(errand)->sum.shard.heap;
	const struct operation_counts none = {0}, *counts = &stats_of(errand)->sum.counts;
	uint32_t active = 0, counted = tell_class(errand->server, stats);
	for (uint32_t pool = 0; pool < SNUG_POOL_COUNT; pool++) {
		if (stats->pool[pool].slabs == 0) continue;
		active++;
		say_slab_counts(out, pool + 1, pool + 1 == counted ? counts : &none);
		say_slab(out, pool + 1, stats, &stats->pool[pool]);
	}
	stat_u64(out, "active_slabs", active);
	stat_u64(out, "total_malloced", stats->total.slab_bytes);
	text_say(out, "END");
}

/* ------------------------------------------------------------------ which ------------------ */

static void destroy(struct errand *errand) {
	text_deinit(&stats_of(errand)->text);
	text_deinit(&stats_of(errand)->own);
	errand_free(errand);
}

static void answer_reset(struct errand *errand, struct text *out) {
	prefixes_reset(&errand->server->prefixes);
	text_say(out, "RESET");
}

static void answer_connections(struct errand *errand, struct text *out) {
	struct stats *stats = stats_of(errand);
	text_move(out, &stats->text);
	text_append(out, stats->own.bytes, stats->own.length);
	out->failed |= stats->own.failed;
	text_say(out, "END");
}

static void visit_setting(void *context, const char *name, const char *value) {
	stat_text(context, name, value);
}

static struct errand *say_settings(struct server *server, struct text *out) {
	struct settings now = settings_live_now(&server->live, &server->settings);
	settings_visit(&now, visit_setting, out);
	stat_text(out, "detail_enabled", prefixes_are_counted(&server->prefixes) ? "yes" : "no");
	text_say(out, "END");
	return NULL;
}

struct form {
	const char *name;
	void (*visit)(struct errand *errand, struct server_worker *worker);
	void (*answer)(struct errand *errand, struct text *out);
};

static const struct form forms[] = {
	{"", gather, answer_general},    {"items", gather, answer_items},
	{"slabs", gather, answer_slabs}, {"conns", describe_connections, answer_connections},
	{"reset", reset, answer_reset},
};

static bool is(const char *what, size_t length, const char *name) {
	return strlen(name) == length && memcmp(what, name, length) == 0;
}

struct errand *errand_stats(struct server *server, const char *what, size_t length,
							struct text *out) {
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		if (!is(what, length, forms[i].name)) continue;
		struct stats *stats = errand_new(server, sizeof *stats, out);
		if (stats == NULL) return NULL;
		stats->errand.visit = forms[i].visit;
		stats->errand.answer = forms[i].answer;
		stats->errand.destroy = destroy;
		stats->text.account = stats->own.account = out->account;
		return &stats->errand;
	}
	struct line words;
	line_split(&words, what, length);
	if (words_is(&words, 0, "cachedump")) return inspect_cachedump(server, &words, out);
	if (words_is(&words, 0, "detail")) return inspect_prefixes(server, &words, out);
	if (is(what, length, "settings")) return say_settings(server, out);
	if (is(what, length, "sizes")) return inspect_sizes(server, out);
	text_say(out, "ERROR");
	return NULL;
}
