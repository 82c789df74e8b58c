/* cache/client/cache.c: the cache over workers: a shard on each, which its hook serves.
 *
 *     hook          on the worker's thread
 *     configure     the shard is prepared: the heap's options name it as the owner
 *     start         it is attached to the heap
 *     release       it is destroyed, when no client is left that could read it
 *     run           a batch of requests (operation/request.c)
 *     turn, sleep   upkeep, and how long the worker may rest for its sake (upkeep.h)
 *     evict         for an emergency; not where nothing may be evicted
 *
 * A key belongs to one worker, by bits of its hash, for the cache's whole life. The limit is
 * divided evenly, as the hash divides the keys. */
#include "cache/client/cache_parts.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/grown.h"
#include "cache/shard/shard_read.h"
#include "cache/shard/shard_state.h"
#include "os/threads.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ the hook --------------- */

static struct cache_worker *worker_of(void *context, uint32_t index) {
	snug_cache *cache = context;
	SNUG_ASSERT(index < cache->worker_count);
	return &cache->worker[index];
}

static void configure(void *context, uint32_t index, snug_heap_options *heap_options) {
	snug_cache *cache = context;
	snug_shard_options options = snug_shard_options_default();
	options.heap = *heap_options;
	options.item_max_bytes = cache->item_max_bytes;
	options.no_eviction = cache->no_eviction;
	options.evict_for = cache->evict_for;
	options.keep_free_bytes = cache->keep_free_bytes;
	bool is_told = cache->removed != NULL || cache->spaces != NULL;
	options.removed = is_told ? cache_removed : NULL;
	options.removed_context = cache;
	struct cache_worker *worker = &cache->worker[index];
	worker->error = snug_shard_prepare(&options, heap_options, &worker->shard);
	if (worker->error) worker->shard = NULL;
}

/* On its own thread, outside of every callback; or when there is no thread any more, which is so if it
 * had no heap. */
static void end_shard(struct cache_worker *worker) {
	snug_error error = snug_shard_destroy(worker->shard);
	SNUG_ASSERT(!error);
	(void)error;
	worker->shard = NULL;
}

static snug_error start(void *context, uint32_t index, snug_heap *heap) {
	struct cache_worker *worker = worker_of(context, index);
	if (worker->error) return worker->error;
	upkeep_init(&worker->upkeep);
	snug_error error = snug_shard_attach(worker->shard, heap);
	if (error) end_shard(worker);
	return error;
}

static bool turn(void *context, uint32_t index, snug_heap *heap) {
	struct cache_worker *worker = worker_of(context, index);
	bool served = worker->has_served;
	(void)heap;
	worker->has_served = false;
	shard_take_hints(worker->shard);
	return upkeep_turn(&worker->upkeep, worker->shard, os_now_ns(), served);
}

static void rest(void *context, uint32_t index, int wake_fd, uint64_t timeout_ns) {
	const struct cache_worker *worker = worker_of(context, index);
	os_event_wait(wake_fd,
				  smaller(timeout_ns, upkeep_rest_ns(&worker->upkeep, worker->shard, os_now_ns())));
}

static uint64_t evict(void *context, uint32_t index, snug_heap *heap, uint64_t bytes) {
	(void)heap;
	return upkeep_evict(worker_of(context, index)->shard, bytes);
}

static void run(void *context, uint32_t index, snug_heap *heap, void *const *requests,
				snug_error *errors, /* NOLINT(readability-non-const-parameter): the hook's type */
				size_t count) {
	struct cache_worker *worker = worker_of(context, index);
	(void)heap;
	(void)errors;
	SNUG_ASSERT(worker->shard != NULL && snug_shard_heap(worker->shard) == heap);
	worker->has_served = true;
	requests_serve(worker->shard, index, &worker->counts,
				   (struct request *const *)(const void *)requests, count);
}

/* Clients may have read it until now. */
static void release(void *context, uint32_t index, snug_heap *heap) {
	struct cache_worker *worker = worker_of(context, index);
	(void)heap;
	end_shard(worker);
}

/* ------------------------------------------------------------------ create, destroy -------- */

static snug_workers_options workers_options(const snug_cache_options *options, snug_cache *cache) {
	snug_workers_options workers = snug_workers_options_default();
	workers.count = options->workers;
	workers.name = options->name;
	workers.processors = options->processors;
	workers.log = options->log;
	workers.heap.limit_bytes = options->limit_bytes / options->workers;
	workers.heap.limit_max_bytes = options->limit_max_bytes / options->workers;
	workers.heap.huge_pages = options->huge_pages;
	workers.heap.os = options->os;
	workers.heap.memory_file = options->memory_file;
	workers.hook = (snug_worker_hook){.context = cache,
									  .configure = configure,
									  .start = start,
									  .turn = turn,
									  .sleep = rest,
									  .evict = options->no_eviction ? NULL : evict,
									  .run = run,
									  .release = release};
	return workers;
}

void snug_cache_options_init(snug_cache_options *options, size_t struct_bytes) {
	static const snug_cache_options defaults = {
		.workers = 1,
		.item_max_bytes = (size_t)1 << 20,
		.evict_for = SNUG_EVICT_FOR_HITS,
		.keep_free_bytes = (uint64_t)1 << 20,
	};
	grown_init(options, struct_bytes, &defaults, sizeof defaults);
}

/* For nothing but speed: without it all goes on. */
static void start_collapse(snug_cache *cache) {
	struct os_range *ranges = calloc(cache->worker_count, SHARD_RANGES * sizeof *ranges);
	cache->collapse = NULL;
	if (ranges == NULL) return;
	for (uint32_t i = 0; i < cache->worker_count; i++)
		shard_ranges(cache->worker[i].shard, ranges + (size_t)i * SHARD_RANGES);
	(void)!collapse_start(ranges, cache->worker_count * SHARD_RANGES, &cache->collapse);
	free(ranges);
}

static void free_parts(snug_cache *cache) {
	loads_deinit(&cache->loads);
	spaces_destroy(cache->spaces);
	free(cache);
}

static snug_error create(const snug_cache_options *options, snug_cache **out) {
	if (options->workers == 0 || options->workers > SNUG_WORKERS_MAX) return SNUG_ERROR_OPTION;
	if (options->item_max_bytes == 0 ||
		options->item_max_bytes > SNUG_VALUE_BYTES_MAX + SNUG_KEY_BYTES_MAX)
		return SNUG_ERROR_OPTION;
	if ((uint32_t)options->evict_for >= SNUG_EVICT_FOR_COUNT) return SNUG_ERROR_OPTION;
	if (options->limit_max_bytes != 0 && options->limit_max_bytes < options->limit_bytes)
		return SNUG_ERROR_OPTION;
	size_t bytes = sizeof(snug_cache) + options->workers * sizeof(struct cache_worker);
	snug_cache *cache = aligned_alloc(_Alignof(snug_cache), round_up(bytes, _Alignof(snug_cache)));
	if (cache == NULL) return SNUG_ERROR_OS_MEMORY;
	memset(cache, 0, bytes);
	snug_error error = spaces_create(options->namespaces, options->namespace_count, &cache->spaces);
	if (!error && !loads_init(&cache->loads)) error = SNUG_ERROR_OS_MEMORY;
	if (error) {
		spaces_destroy(cache->spaces);
		free(cache);
		return error;
	}
	cache->item_max_bytes = options->item_max_bytes;
	cache->no_eviction = options->no_eviction;
	cache->evict_for = options->evict_for;
	cache->keep_free_bytes = options->keep_free_bytes == SNUG_NO_BUDGET
								 ? SNUG_NO_BUDGET
								 : options->keep_free_bytes / options->workers;
	cache->removed = options->removed;
	cache->removed_context = options->removed_context;
	cache->worker_count = options->workers;
	cache->is_readable = options->os == NULL;
	cache->limit_max_bytes =
		options->limit_max_bytes != 0 ? options->limit_max_bytes : options->limit_bytes;
	/* Before the workers settle it; who is refused is told so by the first of them. */
	if (options->memory_file != NULL) (void)shard_take_secret(options->memory_file);
	snug_workers_options workers = workers_options(options, cache);
	error = snug_workers_create(&workers, &cache->workers);
	if (error) {
		for (uint32_t i = 0; i < options->workers; i++) end_shard(&cache->worker[i]);
		free_parts(cache);
		return error;
	}
	cache->collapses = options->collapse && !options->huge_pages && options->os == NULL &&
					   options->memory_file == NULL;
	if (cache->collapses) start_collapse(cache);
	*out = cache;
	return SNUG_OK;
}

snug_error snug_cache_create(const snug_cache_options *options, snug_cache **out) {
	if (options == NULL || out == NULL) return SNUG_ERROR_NULL;
	snug_cache_options known = snug_cache_options_default();
	return grown_read(options, &known, sizeof known) ? create(&known, out) : SNUG_ERROR_VERSION;
}

snug_error snug_cache_destroy(snug_cache *cache) {
	if (cache == NULL) return SNUG_OK;
	collapse_stop(cache->collapse); /* what it looks through goes */
	snug_error error = snug_workers_destroy(cache->workers);
	if (error) {
		if (cache->collapses) start_collapse(cache);
		return error;
	}
	free_parts(cache);
	return SNUG_OK;
}

snug_workers *snug_cache_workers(snug_cache *cache) {
	return cache == NULL ? NULL : cache->workers;
}
