/* cache/client/get_or_load.c: getting what is loaded where it is missing, by one thread a key
 * (docs/design/0014).
 *
 *     get -> found, and fresh ----------------------------------------------> that
 *         -> missing, or stale -> enter (loads.h) -> LEAD    load, store, tell all who wait
 *                                                 -> WAIT    the result of who loads
 *                                                 -> STALE   the old value
 *                                                 -> AGAIN   get once more
 *                                                 -> ABSENT  NOT_FOUND
 *
 * STALE is judged by the expiry alone: an item is stored for fresh_s and stale_s together, and with
 * stale_s or less left to live it is stale. That is memcached's recache (mg's R), without a message.
 *
 * STORING. What was loaded is stored by a visit of the key's owner, who looks first whether a change
 * has overtaken the load (loads.c). It has no time-out: what it refers to is on this stack. */
#include "base/assert.h"
#include "base/bits.h"
#include "base/grown.h"
#include "cache/client/cache_parts.h"
#include "cache/shard/shard_state.h"
#include "os/threads.h"

#include <string.h>
#include <time.h>

#define LOAD_WAIT_NS UINT64_C(10000000000)

void snug_cache_load_options_init(snug_cache_load_options *options, size_t struct_bytes) {
	static const snug_cache_load_options defaults = {.wait_ns = LOAD_WAIT_NS};
	grown_init(options, struct_bytes, &defaults, sizeof defaults);
}

/* What a call is about. */
struct asking {
	snug_cache_client *client;
	snug_key key;
	void *buffer;
	size_t room_bytes;
	snug_cache_load_options options;
	snug_cache_loading *out;
};

/* ------------------------------------------------------------------ looking ---------------- */

/* Left to live, by the clock by which dates are told. */
static bool is_stale(const snug_cache_load_options *options, const snug_cache_value *value) {
	if (options->stale_s == 0 || value->expires_at_s == 0) return false;
	return (int64_t)value->expires_at_s - (int64_t)time(NULL) <= options->stale_s;
}

/* OK and BUFFER_TOO_SMALL: there is one; `*value` tells of it. */
static snug_error look(const struct asking *asking, snug_cache_value *value) {
	return snug_cache_get(asking->client, asking->key.bytes, asking->key.length, asking->buffer,
						  asking->room_bytes, value);
}

static snug_error tell(const struct asking *asking, const snug_cache_loading *told) {
	SNUG_ASSERT(!told->is_loaded || !told->is_stale);
	*asking->out = *told;
	return told->value.bytes > asking->room_bytes ? SNUG_ERROR_BUFFER_TOO_SMALL : SNUG_OK;
}

/* ------------------------------------------------------------------ storing ---------------- */

struct loaded_store {
	const struct asking *asking;
	const struct load *load;
	const snug_cache_loaded *loaded;
	snug_error error;
	uint32_t expires_at_s; /* the date */
};

static uint32_t expiry(const snug_shard *shard, uint32_t fresh_s, uint32_t stale_s) {
	uint64_t at_s = (uint64_t)shard_now_s(shard) + fresh_s + stale_s;
	return fresh_s == 0 ? 0 : (uint32_t)smaller(at_s, UINT32_MAX);
}

/* On the owner's thread. */
static void store_loaded(void *context, uint32_t worker, snug_shard *shard,
						 struct operation_counts *counts) {
	struct loaded_store *store = context;
	const snug_cache_loaded *loaded = store->loaded;
	const snug_key *key = &store->asking->key;
	(void)worker;
	(void)counts;
	SNUG_ASSERT(request_owner(key->hash, store->asking->client->cache->worker_count) == worker);
	store->error = SNUG_ERROR_EXISTS;
	if (atomic_load_explicit(&store->load->is_overtaken, memory_order_acquire)) return;
	if (loaded->is_absent) {
		store->error = snug_shard_delete(shard, key);
		return;
	}
	snug_attributes attributes = {
		.client_flags = loaded->client_flags,
		.expires_at_s = expiry(shard, loaded->fresh_s, store->asking->options.stale_s)};
	const char *value = loaded->value_bytes == 0 ? "" : loaded->value;
	store->error = snug_shard_set(shard, key, &attributes, value, loaded->value_bytes);
	store->expires_at_s = shard_told_date(shard, attributes.expires_at_s);
}

static void store(struct loaded_store *store) {
	snug_cache_client *client = store->asking->client;
	uint64_t timeout_ns = client->timeout_ns;
	uint32_t owner = request_owner(store->asking->key.hash, client->cache->worker_count);
	SNUG_ASSERT(!atomic_load_explicit(&store->load->has_ended, memory_order_relaxed));
	client->timeout_ns = SNUG_FOREVER;
	snug_error error = cache_visit(client, owner, store_loaded, store, sizeof *store);
	client->timeout_ns = timeout_ns;
	if (error) store->error = error;
}

/* ------------------------------------------------------------------ leading ---------------- */

static int call_loader(const struct asking *asking, snug_cache_loaded *loaded) {
	const snug_cache_load_options *options = &asking->options;
	*loaded = (snug_cache_loaded){.fresh_s = options->fresh_s, .absent_s = options->absent_s};
	asking->client->loading++;
	int failed = options->load(options->context, asking->client, asking->key.bytes,
							   asking->key.length, loaded);
	SNUG_ASSERT(asking->client->loading > 0);
	asking->client->loading--;
	return failed;
}

/* What all are told, and `told` this caller. */
static struct load_result use_loaded(const struct asking *asking, const struct load *load,
									 int failed, const snug_cache_loaded *loaded, bool has_stale,
									 snug_cache_loading *told) {
	struct loaded_store loaded_store = {.asking = asking, .load = load, .loaded = loaded};
	if (failed != 0)
		return (struct load_result){.error = SNUG_ERROR_LOADER, .loader_error = failed};
	if (loaded->is_absent) {
		if (has_stale) store(&loaded_store);
		return (struct load_result){.error = SNUG_ERROR_NOT_FOUND};
	}
	if (loaded->value == NULL && loaded->value_bytes > 0)
		return (struct load_result){.error = SNUG_ERROR_NULL};
	store(&loaded_store);
	told->is_loaded = true;
	told->stored = loaded_store.error;
	told->value = (snug_cache_value){.bytes = loaded->value_bytes,
									 .client_flags = loaded->client_flags,
									 .expires_at_s = loaded_store.expires_at_s};
	return (struct load_result){.value = told->value, .bytes = loaded->value};
}

static snug_error lead(const struct asking *asking, struct load *load, bool has_stale) {
	const snug_cache_load_options *options = &asking->options;
	snug_cache_loaded loaded;
	snug_cache_loading told = {.stored = SNUG_OK};
	int failed = call_loader(asking, &loaded);
	struct load_result result = use_loaded(asking, load, failed, &loaded, has_stale, &told);
	loads_end(&asking->client->cache->loads, load, &result,
			  (uint64_t)loaded.absent_s * UINT64_C(1000000000));
	/* The value may lie in the buffer; so those who wait have had their copy of it before. */
	if (!result.error && result.value.bytes > 0 && result.value.bytes <= asking->room_bytes)
		memmove(asking->buffer, result.bytes, result.value.bytes);
	if (options->release != NULL) options->release(options->context, &loaded);
	if (result.error == SNUG_ERROR_LOADER) asking->out->loader_error = failed;
	return result.error ? result.error : tell(asking, &told);
}

/* ------------------------------------------------------------------ waiting ---------------- */

static snug_error await(const struct asking *asking, struct load *load) {
	struct loads *loads = &asking->client->cache->loads;
	uint64_t timeout_ns = smaller(asking->client->timeout_ns, asking->options.wait_ns);
	snug_error error = SNUG_ERROR_TIMED_OUT;
	if (loads_wait(loads, load, timeout_ns)) {
		const struct load_result *result = &load->result;
		snug_cache_loading told = {.value = result->value};
		error = result->error;
		SNUG_ASSERT(error || result->bytes != NULL);
		if (error == SNUG_ERROR_LOADER) asking->out->loader_error = result->loader_error;
		if (!error && result->value.bytes > 0 && result->value.bytes <= asking->room_bytes)
			memcpy(asking->buffer, result->bytes, result->value.bytes);
		if (!error) error = tell(asking, &told);
	}
	loads_leave(loads, load);
	return error;
}

/* ------------------------------------------------------------------ the call --------------- */

/* False: it is to be looked for again. */
static bool get_or_load(const struct asking *asking, snug_error *error) {
	struct loads *loads = &asking->client->cache->loads;
	snug_cache_loading told = {.stored = SNUG_OK};
	uint32_t ended = loads_ended(loads, &asking->key);
	enum loads_verdict verdict = LOADS_STALE;
	struct load *load = NULL;
	*error = look(asking, &told.value);
	bool is_there = *error == SNUG_OK || *error == SNUG_ERROR_BUFFER_TOO_SMALL;
	if (!is_there && *error != SNUG_ERROR_NOT_FOUND) return true;
	told.is_stale = is_there && is_stale(&asking->options, &told.value);
	if (is_there && !told.is_stale) {
		*error = tell(asking, &told);
		return true;
	}
	*error = loads_enter(loads, &asking->key, is_there, ended, &verdict, &load);
	/* With an old value one can go on without a place in the table. */
	if (is_there && (*error == SNUG_ERROR_QUEUE_FULL || *error == SNUG_ERROR_OS_MEMORY))
		*error = SNUG_OK;
	if (*error) return true;
	switch (verdict) {
	case LOADS_LEAD:
		*error = lead(asking, load, is_there);
		break;
	case LOADS_WAIT:
		*error = await(asking, load);
		break;
	case LOADS_STALE:
		*error = tell(asking, &told);
		break;
	case LOADS_ABSENT:
		*error = SNUG_ERROR_NOT_FOUND;
		break;
	case LOADS_AGAIN:
		return false;
	}
	return true;
}

snug_error snug_cache_get_or_load(snug_cache_client *client, const void *key, size_t key_bytes,
								  void *buffer, size_t room_bytes,
								  const snug_cache_load_options *options, snug_cache_loading *out) {
	struct asking asking = {
		.client = client, .buffer = buffer, .room_bytes = room_bytes, .out = out};
	if (client == NULL || options == NULL || out == NULL || (buffer == NULL && room_bytes > 0))
		return SNUG_ERROR_NULL;
	snug_error error = cache_key(key, key_bytes, &asking.key);
	if (error) return error;
	snug_cache_load_options_init(&asking.options, sizeof asking.options);
	if (!grown_read(options, &asking.options, sizeof asking.options)) return SNUG_ERROR_VERSION;
	if (asking.options.load == NULL) return SNUG_ERROR_NULL;
	while (!get_or_load(&asking, &error)) continue;
	return error;
}
