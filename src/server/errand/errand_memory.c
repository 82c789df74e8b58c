/* server/errand/errand_memory.c: what `snug` asks of the workers themselves: metrics, map, limit,
 * check; and memcached's cache_memlimit, which is `snug limit` in other words.
 *
 *     command   a visit                                               slices a worker
 *     metrics   writes its lines                                      one
 *     latency   adds its buckets                                      one
 *     map       MAP_PAGES_A_SLICE pages of the memory map             as many as it takes
 *     limit     sets its share, if there is a new one; adds its sums  one
 *     check     CHECK_STEP_NS of the walkers                          as many as they take
 *
 * A map has MAP_PAGES_MAX pages, all workers together: of larger heaps every second, fourth, ..
 * page is shown, so that an answer has at most 1 MiB. The check has its place in the worker, and is
 * made for one errand at a time (errand_slices.c); whoever lost it begins anew.
 *
 * LIMIT. What could not be kept is refused before any worker has changed. Where one of them cannot,
 * those visited after it are left as they are, and the answer tells how many have the new limit. */
#include "base/bits.h"
#include "mem/check/dump.h"
#include "os/threads.h"
#include "server/doctor/doctor.h"
#include "server/errand/errand_parts.h"
#include "server/inspect/inspect.h"

#include <string.h>

struct memory {
	struct errand errand;                       /* must be the first */
	struct latency latency[LATENCY_KIND_COUNT]; /* sums */
	struct text text;
	bool has_begun; /* with the worker that is visited */
	struct dump dump;
	uint64_t limit_bytes; /* of all workers together, to be set; 0: only told */
	uint64_t goal_bytes;  /* sums */
	uint64_t now_bytes;
	uint64_t used_bytes;
	uint64_t missing_bytes; /* above the limit, and not to be had by packing */
	uint32_t changed;       /* workers that have the new limit */
	snug_error error;
};

static struct memory *memory_of(struct errand *errand) {
	return (struct memory *)(void *)errand;
}

static void destroy(struct errand *errand) {
	text_deinit(&memory_of(errand)->text);
	errand_free(errand);
}

static void answer_text(struct errand *errand, struct text *out) {
	text_move(out, &memory_of(errand)->text);
	text_say(out, "END");
}

/* ------------------------------------------------------------------ metrics ---------------- */

static void metric(struct text *out, uint32_t worker, const char *pool, const char *name,
				   uint64_t value) {
	text_print(out, "STAT %u:%s%s%s %llu\r\n", worker, pool, *pool == '\0' ? "" : ":", name,
			   (unsigned long long)value);
}

static void say_pool(struct text *out, uint32_t worker, const char *name,
					 const snug_pool_stats *pool) {
	metric(out, worker, name, "objects", pool->objects);
	metric(out, worker, name, "payload_bytes", pool->payload_bytes);
	metric(out, worker, name, "slot_bytes", pool->slot_bytes);
	metric(out, worker, name, "slab_bytes", pool->slab_bytes);
	metric(out, worker, name, "hole_bytes", pool->hole_bytes);
	metric(out, worker, name, "reclaimable_bytes", pool->reclaimable_bytes);
	metric(out, worker, name, "slabs", pool->slabs);
	metric(out, worker, name, "pinned_slabs", pool->pinned_slabs);
	metric(out, worker, name, "classes", pool->active_classes);
	text_print(out, "STAT %u:%s:internal_fragmentation %.6f\r\n", worker, name,
			   pool->internal_fragmentation);
	text_print(out, "STAT %u:%s:external_fragmentation %.6f\r\n", worker, name,
			   pool->external_fragmentation);
}

static void say_worker(struct text *out, const struct server_worker *worker,
					   const snug_shard_stats *stats) {
	uint32_t index = worker->index;
	metric(out, index, "", "limit_bytes", stats->heap.limit_goal_bytes);
	metric(out, index, "", "committed_bytes", stats->heap.committed_bytes);
	metric(out, index, "", "metadata_bytes", stats->heap.metadata_bytes);
	metric(out, index, "", "index_bytes", stats->index_bytes);
	metric(out, index, "", "buffer_bytes", worker->connections.buffer_bytes);
	metric(out, index, "", "available_bytes", stats->heap.available_bytes);
	metric(out, index, "", "items", stats->items);
	metric(out, index, "", "item_bytes", stats->item_bytes);
	metric(out, index, "", "evictions", stats->evictions);
	metric(out, index, "", "connections", worker->connections.current);
	metric(out, index, "", "cpu_ns", os_thread_cpu_ns());
	metric(out, index, "", "requests_served", worker->connections.requests_in);
	metric(out, index, "", "requests_sent", worker->connections.requests_out);
	metric(out, index, "", "reads", worker->connections.reads);
	metric(out, index, "", "get_hits", worker->counts.get_hits);
	metric(out, index, "", "get_misses", worker->counts.get_misses);
	metric(out, index, "", "cmd_set", worker->counts.cmd_set);
	metric(out, index, "", "turns", worker->turn_ns.count);
	metric(out, index, "", "turn_p50_ns", snug_histogram_quantile(&worker->turn_ns, .5));
	metric(out, index, "", "turn_p99_ns", snug_histogram_quantile(&worker->turn_ns, .99));
	metric(out, index, "", "turn_p999_ns", snug_histogram_quantile(&worker->turn_ns, .999));
	metric(out, index, "", "turn_max_ns", worker->turn_ns.max);
}

static void visit_metrics(struct errand *errand, struct server_worker *worker) {
	static const char *const names[SNUG_POOL_COUNT] = {"small", "medium", "large"};
	struct text *out = &memory_of(errand)->text;
	snug_shard_stats stats;
	if (snug_shard_stats_get(worker->shard, &stats) != SNUG_OK) return;
	say_worker(out, worker, &stats);
	for (uint32_t pool = 0; pool < SNUG_POOL_COUNT; pool++)
		say_pool(out, worker->index, names[pool], &stats.heap.pool[pool]);
}

/* ------------------------------------------------------------------ latency ---------------- */

static void visit_latency(struct errand *errand, struct server_worker *worker) {
	for (uint32_t kind = 0; kind < LATENCY_KIND_COUNT; kind++)
		latency_merge(&memory_of(errand)->latency[kind], &worker->latency[kind]);
}

/* A line for each bucket: how many commands took so long, or less. */
static void say_latency(struct text *out, const char *name, const struct latency *latency) {
	uint64_t count = 0;
	for (uint32_t bucket = 0; bucket + 1 < LATENCY_BUCKETS; bucket++)
		text_print(out, "STAT %s:within_%llu_us %llu\r\n", name,
				   (unsigned long long)(latency_bound_ns(bucket) / 1000),
				   (unsigned long long)(count += latency->bucket[bucket]));
	text_print(out, "STAT %s:count %llu\r\n", name,
			   (unsigned long long)(count + latency->bucket[LATENCY_BUCKETS - 1]));
	text_print(out, "STAT %s:sum_ns %llu\r\n", name, (unsigned long long)latency->sum_ns);
	text_print(out, "STAT %s:max_ns %llu\r\n", name, (unsigned long long)latency->max_ns);
}

static void answer_latency(struct errand *errand, struct text *out) {
	static const char *const names[] = {
#define LATENCY_NAME(name, text) text,
		LATENCY_KINDS(LATENCY_NAME)
#undef LATENCY_NAME
	};
	stat_u64(out, "sample", LATENCY_SAMPLE);
	for (uint32_t kind = 0; kind < LATENCY_KIND_COUNT; kind++)
		say_latency(out, names[kind], &memory_of(errand)->latency[kind]);
	text_say(out, "END");
}

/* ------------------------------------------------------------------ map -------------------- */

/* On one line, as answers are. */
static bool write_line(void *context, const char *text, size_t length) {
	struct text *out = context;
	while (length > 0) {
		const char *newline = memchr(text, '\n', length);
		size_t part = newline == NULL ? length : (size_t)(newline - text);
		text_append(out, text, part);
		if (newline != NULL) part++;
		text += part;
		length -= part;
	}
	return !out->failed;
}

/* Of all workers together: an answer of some 125 bytes for each. */
#define MAP_PAGES_MAX 8192u
#define MAP_PAGES_A_SLICE 192u /* some 100 us */

/* A power of two, so that maps of different workers and moments show the same pages. */
static uint32_t map_stride(const struct server_worker *worker) {
	uint32_t pages = dump_page_count(snug_shard_heap(worker->shard)), stride = 1;
	while (pages / stride > MAP_PAGES_MAX / worker->server->worker_count) stride *= 2;
	return stride;
}

static snug_error begin_map(struct memory *memory, const struct server_worker *worker) {
	uint32_t stride = map_stride(worker);
	metric(&memory->text, worker->index, "", "map_stride_pages", stride);
	text_print(&memory->text, "MAP %u ", worker->index);
	memory->has_begun = true;
	return dump_begin(snug_shard_heap(worker->shard), stride, &memory->dump, write_line,
					  &memory->text);
}

static void visit_map(struct errand *errand, struct server_worker *worker) {
	struct memory *memory = memory_of(errand);
	bool holds, done = false;
	if (!slice_begin(NULL, errand, worker, &holds)) return;
	snug_error error = memory->has_begun ? SNUG_OK : begin_map(memory, worker);
	if (!error)
		error = dump_step(snug_shard_heap(worker->shard), &memory->dump, MAP_PAGES_A_SLICE, &done,
						  write_line, &memory->text);
	if (error) memory->text.failed = done = true;
	if (done) {
		memory->has_begun = false;
		text_append(&memory->text, "\r\n", 2);
	}
	slice_end(NULL, errand, worker, done);
}

/* ------------------------------------------------------------------ limit ------------------ */

/* When all workers have it `stats settings` says so, whether the one who asked still waits or
 * not. */
static void set_limit(struct memory *memory, struct server_worker *worker) {
	struct server *server = memory->errand.server;
	size_t share_bytes = (size_t)(memory->limit_bytes / server->worker_count);
	memory->error = snug_shard_set_limit(worker->shard, share_bytes);
	if (!memory->error && ++memory->changed == server->worker_count)
		atomic_store_explicit(&server->live.memory_asked_bytes, memory->limit_bytes,
							  memory_order_relaxed);
}

static void visit_limit(struct errand *errand, struct server_worker *worker) {
	struct memory *memory = memory_of(errand);
	snug_shard_stats stats;
	if (memory->limit_bytes > 0 && !memory->error) set_limit(memory, worker);
	if (snug_shard_stats_get(worker->shard, &stats) != SNUG_OK) return;
	memory->goal_bytes += stats.heap.limit_goal_bytes;
	memory->now_bytes += stats.heap.limit_bytes;
	uint64_t used_bytes =
		stats.heap.committed_bytes + stats.heap.metadata_bytes + stats.heap.charged_bytes;
	uint64_t packed_bytes =
		used_bytes - stats.heap.free_page_bytes - stats.heap.total.reclaimable_bytes;
	memory->used_bytes += used_bytes;
	if (packed_bytes > stats.heap.limit_goal_bytes)
		memory->missing_bytes += packed_bytes - stats.heap.limit_goal_bytes;
}

static void answer_limit(struct errand *errand, struct text *out) {
	const struct memory *memory = memory_of(errand);
	if (memory->error) {
		text_print(out, "SERVER_ERROR %s; %u of %u workers have the new limit\r\n",
				   snug_error_text(memory->error), memory->changed, errand->server->worker_count);
		return;
	}
	stat_u64(out, "limit_goal_bytes", memory->goal_bytes);
	stat_u64(out, "limit_bytes", memory->now_bytes);
	stat_u64(out, "used_bytes", memory->used_bytes);
	stat_u64(out, "limit_max_bytes", errand->server->settings.memory_max_bytes);
	stat_u64(out, "missing_bytes", memory->missing_bytes);
	if (memory->missing_bytes > 0)
		stat_text(
			out, "missing",
			errand->server->settings.no_eviction
				? "nothing is evicted (-M): until items are deleted or expire, stores are refused"
				: "items are evicted for it, step by step");
	text_say(out, "END");
}

/* ------------------------------------------------------------------ check ------------------ */

#define CHECK_STEP_NS UINT64_C(120000)

static void say_check(struct text *out, uint32_t worker, snug_error error,
					  const snug_check_result *result) {
	if (!error)
		text_print(out, "STAT %u:check ok\r\n", worker);
	else if (error == SNUG_ERROR_CORRUPT)
		text_print(out, "STAT %u:check law %s broken: %s\r\n", worker, result->law,
				   result->message);
	else
		text_print(out, "STAT %u:check %s\r\n", worker, snug_error_text(error));
}

/* Whoever lost his turn to another one begins anew. A server that ends waits for no check. */
static void visit_check(struct errand *errand, struct server_worker *worker) {
	struct memory *memory = memory_of(errand);
	snug_check_result result;
	bool holds, done = false;
	if (!slice_begin(&worker->check_slices, errand, worker, &holds)) return;
	snug_error error = SNUG_OK;
	if (!holds || !memory->has_begun) {
		error = snug_shard_check_end(worker->shard, NULL); /* of one whose asker is gone */
		error = snug_shard_check_begin(worker->shard);
		memory->has_begun = true;
	}
	if (!error) error = snug_shard_check_step(worker->shard, CHECK_STEP_NS, &done);
	bool is_draining = atomic_load_explicit(&worker->server->is_draining, memory_order_relaxed);
	if (!error && !done && !is_draining) {
		slice_end(&worker->check_slices, errand, worker, false);
		return;
	}
	memset(&result, 0, sizeof result);
	if (!error) error = snug_shard_check_end(worker->shard, &result);
	memory->has_begun = false;
	say_check(&memory->text, worker->index, error, &result);
	slice_end(&worker->check_slices, errand, worker, true);
}

/* ------------------------------------------------------------------ which ------------------ */

static struct memory *begin(struct server *server,
							void (*visit)(struct errand *errand, struct server_worker *worker),
							void (*answer)(struct errand *errand, struct text *out),
							struct text *out) {
	struct memory *memory = errand_new(server, sizeof *memory, out);
	if (memory == NULL) return NULL;
	memory->errand.visit = visit;
	memory->errand.answer = answer;
	memory->errand.destroy = destroy;
	memory->text.account = out->account;
	return memory;
}

/* The one rule, whatever command asks: each worker gets its share, which has a least, and
 * --memory-max is the most. What could not be kept is refused before any of them has changed. */
enum limit_fit { LIMIT_FITS, LIMIT_TOO_SMALL, LIMIT_TOO_LARGE };

uint64_t errand_least_limit_bytes(const struct server *server) {
	uint64_t own_bytes = 0;
	for (uint32_t i = 0; i < server->worker_count; i++)
		own_bytes = larger(own_bytes, server->worker[i].own_bytes);
	uint64_t least_bytes = (own_bytes + SNUG_LIMIT_MIN_BYTES) * server->worker_count;
	return smaller(least_bytes, server->settings.memory_bytes);
}

static enum limit_fit fit_limit(const struct server *server, uint64_t bytes) {
	if (bytes > server->settings.memory_max_bytes) return LIMIT_TOO_LARGE;
	return bytes < errand_least_limit_bytes(server) ? LIMIT_TOO_SMALL : LIMIT_FITS;
}

static struct errand *limit(struct server *server, const struct line *words, struct text *out) {
	uint64_t bytes = 0;
	if (words->count > 2 || (words->count == 2 && !words_bytes(words, 1, &bytes))) {
		text_say(out, "CLIENT_ERROR usage: snug limit [BYTES]");
		return NULL;
	}
	enum limit_fit fit = words->count == 2 ? fit_limit(server, bytes) : LIMIT_FITS;
	if (fit == LIMIT_TOO_LARGE) {
		text_print(out, "CLIENT_ERROR at most %llu bytes; --memory-max says how far it may go\r\n",
				   (unsigned long long)server->settings.memory_max_bytes);
		return NULL;
	}
	if (fit == LIMIT_TOO_SMALL) {
		text_print(out, "CLIENT_ERROR at least %llu bytes\r\n",
				   (unsigned long long)errand_least_limit_bytes(server));
		return NULL;
	}
	struct memory *memory = begin(server, visit_limit, answer_limit, out);
	if (memory == NULL) return NULL;
	memory->limit_bytes = bytes;
	return &memory->errand;
}

static const char cannot_adjust[] = "MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust";

static void answer_memlimit(struct errand *errand, struct text *out) {
	const struct memory *memory = memory_of(errand);
	text_say(out, memory->error ? cannot_adjust : "OK");
}

#define MEMLIMIT_MAX_MIB 1000000000u

/* In memcached's words, whose own least is 8 MiB. */
static bool refuse_memlimit(const struct server *server, uint64_t mebibytes, struct text *out) {
	enum limit_fit fit =
		mebibytes > MEMLIMIT_MAX_MIB ? LIMIT_TOO_LARGE : fit_limit(server, mebibytes << 20);
	if (fit == LIMIT_FITS) return false;
	if (mebibytes > MEMLIMIT_MAX_MIB)
		text_say(out, "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes");
	else if (fit == LIMIT_TOO_LARGE)
		text_say(out, cannot_adjust);
	else
		text_print(out, "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than %llum\r\n",
				   (unsigned long long)((errand_least_limit_bytes(server) + (1u << 20) - 1) >> 20));
	return true;
}

struct errand *errand_memlimit(struct server *server, uint64_t mebibytes, struct text *out) {
	if (refuse_memlimit(server, mebibytes, out)) return NULL;
	struct memory *memory = begin(server, visit_limit, answer_memlimit, out);
	if (memory == NULL) return NULL;
	memory->limit_bytes = mebibytes << 20;
	return &memory->errand;
}

struct errand *errand_memory(struct server *server, const struct line *words, bool *known,
							 struct text *out) {
	struct memory *memory = NULL;
	*known = true;
	if (words_is(words, 0, "limit")) return limit(server, words, out);
	if (words_is(words, 0, "items")) return inspect_items(server, words, out);
	if (words_is(words, 0, "slow")) return errand_slow(server, out);
	if (words_is(words, 0, "clients")) return errand_clients(server, words, out);
	if (words_is(words, 0, "bigkeys")) return inspect_keys(server, words, out);
	if (words_is(words, 0, "hotkeys")) return inspect_hot(server, words, out);
	if (words_is(words, 0, "doctor")) return doctor_errand(server, words, out);
	if (words_is(words, 0, "metrics"))
		memory = begin(server, visit_metrics, answer_text, out);
	else if (words_is(words, 0, "latency"))
		memory = begin(server, visit_latency, answer_latency, out);
	else if (words_is(words, 0, "map"))
		memory = begin(server, visit_map, answer_text, out);
	else if (words_is(words, 0, "check"))
		memory = begin(server, visit_check, answer_text, out);
	else
		*known = false;
	return memory == NULL ? NULL : &memory->errand;
}
