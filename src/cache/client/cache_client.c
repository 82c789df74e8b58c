/* cache/client/cache_client.c: a thread's endpoint to the cache: requests in its own memory, sent
 * as messages, answered before the call returns. Gets are cache_read.c's, and mostly need none.
 *
 *     call -> requests filled in -> submitted, each to its key's owner -> answers waited for
 *                  \--with a time-out: copied into a parcel (cache_parcel.c) --^
 *
 * A batch larger than CACHE_MANY goes in parts. What the requests point to is the caller's own
 * memory, unless he does not want to wait for ever: then cache_parcel.c copies it (law K7). Where
 * an inbox is full for a moment a batch goes one by one, each waiting for room.
 *
 * What concerns all workers (flush, limit, figures) visits them one after the other, each on its
 * own thread: so the visit's context needs no lock, and what is told is not of one instant.
 *
 * COST. A call is a message there and back: two wake-ups where both sides sleep (docs/design/0007).
 * Keys that are asked together share them. */
#include "base/assert.h"
#include "base/bits.h"
#include "base/grown.h"
#include "cache/client/cache_parts.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ create, destroy -------- */

void snug_cache_client_options_init(snug_cache_client_options *options, size_t struct_bytes) {
	static const snug_cache_client_options defaults = {.timeout_ns = SNUG_FOREVER};
	grown_init(options, struct_bytes, &defaults, sizeof defaults);
}

/* To count without a locked instruction: it would keep the next get from beginning while this one
 * still waits for memory. */
static void take_reads(snug_cache_client *client) {
	const uint32_t own = CACHE_READS - 1;
	for (uint32_t i = 0; i < own && !client->counts_alone; i++) {
		bool free = false;
		client->reads = &client->cache->reads[(client->number + i) % own];
		client->counts_alone = atomic_compare_exchange_strong_explicit(
			&client->reads->is_taken, &free, true, memory_order_acquire, memory_order_relaxed);
	}
	if (!client->counts_alone) client->reads = &client->cache->reads[own];
}

static void give_reads(snug_cache_client *client) {
	if (client->counts_alone)
		atomic_store_explicit(&client->reads->is_taken, false, memory_order_release);
}

snug_error snug_cache_client_create(snug_cache *cache, const snug_cache_client_options *options,
									snug_cache_client **out) {
	if (cache == NULL || out == NULL) return SNUG_ERROR_NULL;
	snug_cache_client_options known = snug_cache_client_options_default();
	if (options != NULL && !grown_read(options, &known, sizeof known)) return SNUG_ERROR_VERSION;
	snug_cache_client *client = calloc(1, sizeof *client);
	if (client == NULL) return SNUG_ERROR_OS_MEMORY;
	snug_client_options endpoint = snug_client_options_default();
	endpoint.flight_max = CACHE_FLIGHTS;
	snug_error error = snug_client_create(cache->workers, &endpoint, &client->client);
	if (error) {
		free(client);
		return error;
	}
	client->cache = cache;
	client->timeout_ns = known.timeout_ns;
	uint32_t number = atomic_fetch_add_explicit(&cache->clients, 1, memory_order_relaxed);
	client->number = number;
	take_reads(client);
	hint_lots_init(&client->lots, number);
	*out = client;
	return SNUG_OK;
}

snug_error snug_cache_client_destroy(snug_cache_client *client) {
	if (client == NULL) return SNUG_OK;
	if (client->loading > 0) return SNUG_ERROR_IN_USE;
	snug_error error = parcels_wait(client);
	if (!error) error = snug_client_destroy(client->client);
	if (error) return error;
	give_reads(client);
	free(client);
	return SNUG_OK;
}

snug_error snug_cache_client_set_timeout(snug_cache_client *client, uint64_t timeout_ns) {
	if (client == NULL) return SNUG_ERROR_NULL;
	client->timeout_ns = timeout_ns;
	return SNUG_OK;
}

/* ------------------------------------------------------------------ asking ----------------- */

/* Room in the inboxes may be short for a moment: then one after the other, each waiting for
 * room. */
static snug_error ask_one_by_one(snug_cache_client *client, size_t count) {
	SNUG_ASSERT(client->timeout_ns == SNUG_FOREVER);
	snug_error first = SNUG_OK;
	for (size_t i = 0; i < count; i++) {
		snug_error error = snug_client_run(client->client, client->operation[i].object.worker,
										   &client->request[i]);
		if (error && !first) first = error;
	}
	return first;
}

snug_error cache_ask(snug_cache_client *client, size_t count) {
	snug_error first = SNUG_OK;
	SNUG_ASSERT(count > 0 && count <= CACHE_MANY);
	if (client->timeout_ns != SNUG_FOREVER) return parcel_ask(client, count);
	snug_error error = parcels_wait(client);
	if (error) return error;
	for (size_t i = 0; i < count; i++)
		client->operation[i] = (snug_operation){.kind = SNUG_OPERATION_RUN,
												.object.worker = client->request[i].owner,
												.buffer = &client->request[i]};
	SNUG_ASSERT(snug_client_in_flight(client->client) == 0); /* what was late has come */
	error = snug_client_submit(client->client, client->operation, count, client->ticket);
	if (error == SNUG_ERROR_QUEUE_FULL) return ask_one_by_one(client, count);
	if (error) return error;
	for (size_t i = 0; i < count; i++) {
		snug_result result;
		error = snug_client_wait(client->client, client->ticket[i], SNUG_FOREVER, &result);
		if (!error) error = result.error;
		if (error && !first) first = error;
	}
	return first;
}

void cache_begin(const snug_cache_client *client, struct request *request, enum operation_kind kind,
				 const snug_key *key) {
	memset(request, 0, sizeof *request);
	request->kind = REQUEST_OPERATION;
	request->keeps_no_lease = true;
	request->operation.kind = (uint8_t)kind;
	request->operation.key = *key;
	request->owner = request_owner(key->hash, client->cache->worker_count);
	SNUG_ASSERT(request->owner < client->cache->worker_count);
}

static snug_error begin(snug_cache_client *client, struct request *request,
						enum operation_kind kind, const void *key, size_t key_bytes) {
	snug_key named;
	if (client == NULL) return SNUG_ERROR_NULL;
	snug_error error = cache_key(key, key_bytes, &named);
	if (!error) cache_begin(client, request, kind, &named);
	return error;
}

static snug_error ask_first(snug_cache_client *client) {
	snug_error error = cache_ask(client, 1);
	return error ? error : operation_error(&client->request[0].operation);
}

/* ------------------------------------------------------------------ storing ---------------- */

/* To an operation, which counts as memcached does, the first 30 days of 1970 are times from now. */
static int64_t exptime_of(uint32_t expires_at_s) {
	return expires_at_s == 0 || expires_at_s > EXPTIME_RELATIVE_MAX_S ? (int64_t)expires_at_s : -1;
}

void snug_cache_store_options_init(snug_cache_store_options *options, size_t struct_bytes) {
	static const snug_cache_store_options defaults = {.cas = 0};
	grown_init(options, struct_bytes, &defaults, sizeof defaults);
}

static void apply(const snug_cache_store_options *options, struct operation *operation) {
	operation->client_flags = options->client_flags;
	operation->exptime = exptime_of(options->expires_at_s);
	operation->cas_compare = options->cas;
	SNUG_ASSERT(operation->kind == OPERATION_STORE && operation->options == 0);
	if (options->cas != 0) operation->options = OPERATION_HAS_CAS_COMPARE;
}

static snug_error begin_store(snug_cache_client *client, enum store_mode mode, const void *key,
							  size_t key_bytes, const void *value, size_t value_bytes,
							  const snug_cache_store_options *options) {
	snug_cache_store_options known = snug_cache_store_options_default();
	if (client == NULL || (value == NULL && value_bytes > 0)) return SNUG_ERROR_NULL;
	if (options != NULL && !grown_read(options, &known, sizeof known)) return SNUG_ERROR_VERSION;
	struct request *request = &client->request[0];
	snug_error error = begin(client, request, OPERATION_STORE, key, key_bytes);
	if (error) return error;
	struct operation *operation = &request->operation;
	operation->mode = (uint8_t)mode;
	operation->value = value == NULL ? "" : value;
	/* What is too large is asked for as well, and is too large by one byte: its owner knows what
	 * becomes of the old value. */
	operation->value_bytes = (uint32_t)smaller(value_bytes, client->cache->item_max_bytes + 1);
	apply(&known, operation);
	loads_overtake(&client->cache->loads, &operation->key);
	return SNUG_OK;
}

static snug_error store(snug_cache_client *client, enum store_mode mode, const void *key,
						size_t key_bytes, const void *value, size_t value_bytes,
						const snug_cache_store_options *options) {
	snug_error error = begin_store(client, mode, key, key_bytes, value, value_bytes, options);
	return error ? error : ask_first(client);
}

snug_error snug_cache_set(snug_cache_client *client, const void *key, size_t key_bytes,
						  const void *value, size_t value_bytes,
						  const snug_cache_store_options *options) {
	return store(client, STORE_SET, key, key_bytes, value, value_bytes, options);
}

snug_error snug_cache_set_later(snug_cache_client *client, const void *key, size_t key_bytes,
								const void *value, size_t value_bytes,
								const snug_cache_store_options *options) {
	snug_error error = begin_store(client, STORE_SET, key, key_bytes, value, value_bytes, options);
	return error ? error : parcel_send(client);
}

snug_error snug_cache_wait(snug_cache_client *client, snug_cache_late *out) {
	if (client == NULL) return SNUG_ERROR_NULL;
	snug_error error = parcels_wait(client);
	if (error) return error;
	if (out != NULL) *out = client->late;
	client->late = (snug_cache_late){.error = SNUG_OK};
	return SNUG_OK;
}

snug_error snug_cache_add(snug_cache_client *client, const void *key, size_t key_bytes,
						  const void *value, size_t value_bytes,
						  const snug_cache_store_options *options) {
	return store(client, STORE_ADD, key, key_bytes, value, value_bytes, options);
}

snug_error snug_cache_replace(snug_cache_client *client, const void *key, size_t key_bytes,
							  const void *value, size_t value_bytes,
							  const snug_cache_store_options *options) {
	return store(client, STORE_REPLACE, key, key_bytes, value, value_bytes, options);
}

snug_error snug_cache_append(snug_cache_client *client, const void *key, size_t key_bytes,
							 const void *value, size_t value_bytes) {
	return store(client, STORE_APPEND, key, key_bytes, value, value_bytes, NULL);
}

snug_error snug_cache_prepend(snug_cache_client *client, const void *key, size_t key_bytes,
							  const void *value, size_t value_bytes) {
	return store(client, STORE_PREPEND, key, key_bytes, value, value_bytes, NULL);
}

/* ------------------------------------------------------------------ changing --------------- */

snug_error snug_cache_delete(snug_cache_client *client, const void *key, size_t key_bytes) {
	if (client == NULL) return SNUG_ERROR_NULL;
	struct request *request = &client->request[0];
	snug_error error = begin(client, request, OPERATION_DELETE, key, key_bytes);
	if (error) return error;
	loads_overtake(&client->cache->loads, &request->operation.key);
	return ask_first(client);
}

snug_error snug_cache_touch(snug_cache_client *client, const void *key, size_t key_bytes,
							uint32_t expires_at_s) {
	if (client == NULL) return SNUG_ERROR_NULL;
	struct request *request = &client->request[0];
	snug_error error = begin(client, request, OPERATION_GET, key, key_bytes);
	if (error) return error;
	request->operation.options = OPERATION_HAS_EXPTIME | OPERATION_IS_TOUCH | OPERATION_NO_STALE;
	request->operation.exptime = exptime_of(expires_at_s);
	return ask_first(client);
}

static snug_error calculate(snug_cache_client *client, const void *key, size_t key_bytes,
							uint64_t delta, uint16_t options, uint64_t *result) {
	if (client == NULL) return SNUG_ERROR_NULL;
	struct request *request = &client->request[0];
	snug_error error = begin(client, request, OPERATION_ARITHMETIC, key, key_bytes);
	if (error) return error;
	request->operation.options = options;
	request->operation.delta = delta;
	loads_overtake(&client->cache->loads, &request->operation.key);
	error = ask_first(client);
	if (!error && result != NULL) *result = request->operation.number;
	return error;
}

snug_error snug_cache_increment(snug_cache_client *client, const void *key, size_t key_bytes,
								uint64_t delta, uint64_t *result) {
	return calculate(client, key, key_bytes, delta, 0, result);
}

snug_error snug_cache_decrement(snug_cache_client *client, const void *key, size_t key_bytes,
								uint64_t delta, uint64_t *result) {
	return calculate(client, key, key_bytes, delta, OPERATION_DECREMENTS, result);
}

/* ------------------------------------------------------------------ all workers ------------ */

snug_error cache_visit(snug_cache_client *client, uint32_t worker, cache_visitor visit,
					   void *context, uint32_t context_bytes) {
	struct request *request = &client->request[0];
	SNUG_ASSERT(worker < client->cache->worker_count && (context != NULL || context_bytes == 0));
	memset(request, 0, sizeof *request);
	request->kind = REQUEST_VISIT;
	request->owner = worker;
	request->visit = visit;
	request->visit_context = request->room = context;
	request->room_bytes = context_bytes;
	return cache_ask(client, 1);
}

/* One after the other: so the context needs no lock. */
static snug_error visit_all(snug_cache_client *client, cache_visitor visit, void *context,
							uint32_t context_bytes) {
	for (uint32_t worker = 0; worker < client->cache->worker_count; worker++) {
		snug_error error = cache_visit(client, worker, visit, context, context_bytes);
		if (error) return error;
	}
	return SNUG_OK;
}

static void flush(void *context, uint32_t worker, snug_shard *shard,
				  struct operation_counts *counts) {
	(void)context;
	(void)worker;
	(void)counts;
	snug_shard_flush(shard, 0);
}

snug_error snug_cache_flush(snug_cache_client *client) {
	if (client == NULL) return SNUG_ERROR_NULL;
	loads_overtake(&client->cache->loads, NULL);
	return visit_all(client, flush, NULL, 0);
}

struct new_limit {
	size_t bytes;
	snug_error error;
};

static void set_limit(void *context, uint32_t worker, snug_shard *shard,
					  struct operation_counts *counts) {
	struct new_limit *limit = context;
	(void)worker;
	(void)counts;
	if (!limit->error) limit->error = snug_shard_set_limit(shard, limit->bytes);
}

snug_error snug_cache_set_limit(snug_cache_client *client, size_t limit_bytes) {
	if (client == NULL) return SNUG_ERROR_NULL;
	if (limit_bytes > client->cache->limit_max_bytes) return SNUG_ERROR_OPTION;
	struct new_limit limit = {.bytes = limit_bytes / client->cache->worker_count};
	snug_error error = visit_all(client, set_limit, &limit, sizeof limit);
	return error ? error : limit.error;
}

static void add_stats(void *context, uint32_t worker, snug_shard *shard,
					  struct operation_counts *counts) {
	snug_cache_stats *sum = context;
	snug_shard_stats stats;
	(void)worker;
	if (snug_shard_stats_get(shard, &stats) != SNUG_OK) return;
	sum->items += stats.items;
	sum->item_bytes += stats.item_bytes;
	sum->index_bytes += stats.index_bytes;
	sum->hits += counts->get_hits;
	sum->misses += counts->get_misses;
	sum->stores += stats.stores;
	sum->evictions += stats.evictions;
	sum->expired += stats.expired;
	sum->limit_bytes += stats.heap.limit_bytes;
	sum->committed_bytes += stats.heap.committed_bytes;
	sum->metadata_bytes += stats.heap.metadata_bytes;
	sum->reclaimable_bytes += stats.heap.total.reclaimable_bytes;
	sum->moves += stats.heap.moves;
}

snug_error snug_cache_stats_get(snug_cache_client *client, snug_cache_stats *out) {
	if (client == NULL || out == NULL) return SNUG_ERROR_NULL;
	snug_cache_stats sum = {0};
	snug_error error = visit_all(client, add_stats, &sum, sizeof sum);
	for (uint32_t i = 0; i < CACHE_READS; i++) {
		sum.hits += atomic_load_explicit(&client->cache->reads[i].hits, memory_order_relaxed);
		sum.misses += atomic_load_explicit(&client->cache->reads[i].misses, memory_order_relaxed);
	}
	if (!error) *out = sum;
	return error;
}
