/* cache/client/cache_read.c: getting. A client reads for itself what any thread may read, and asks
 * the owner for the rest.
 *
 *     key -> something of this client's about it is under way? ------------------------> ask
 *              no: read (shard/shard_read.h) -> found, absent: that is the answer; a hint is left
 *                                            -> anything else ----------------------------> ask
 *
 * So a get is a look in memory, as the owner's own is: no message, no wake-up, no wait. The owner
 * is told what was used by hints (shard/shard_hints.h), hits and misses are counted here.
 *
 * ORDER. What this client has asked before about the key was answered, or it is asked of the owner,
 * behind it. So it sees its own writes; and since a version is never older than one that was seen,
 * two gets of a client see a key's values in their order.
 *
 * AN OS OF THE USER'S below the heaps (snug/os.h) is called by the workers alone, and need not leave
 * readable what is decommitted: then everything is asked. */
#include "base/assert.h"
#include "base/bits.h"
#include "cache/client/cache_parts.h"
#include "cache/shard/shard_state.h"
#include "work/worker/worker.h"

/* ------------------------------------------------------------------ reading ---------------- */

static void count(snug_cache_client *client, const snug_key *key, bool hit) {
	_Atomic uint64_t *counter = hit ? &client->reads->hits : &client->reads->misses;
	if (LIKELY(client->counts_alone))
		atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
							  memory_order_relaxed);
	else
		atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
	cache_count(client, key, hit);
}

static snug_shard *shard_of(const snug_cache_client *client, const snug_key *key) {
	uint32_t owner = request_owner(key->hash, client->cache->worker_count);
	SNUG_ASSERT(owner < client->cache->worker_count);
	return client->cache->worker[owner].shard;
}

static bool may_read(snug_cache_client *client, const snug_key *key) {
	if (UNLIKELY(client->first_late != NULL)) parcels_look(client);
	return client->cache->is_readable && !cache_is_late(client, key) &&
		   !workers_are_stopping(client->cache->workers);
}

/* That it was used. False: too much could not be told: to ask the owner wakes him. */
static bool tell_use(snug_cache_client *client, snug_shard *shard, const snug_key *key,
					 const struct item_head *head) {
	uint32_t owner = request_owner(key->hash, client->cache->worker_count);
	struct hint *hint = hint_claim(shard, owner, &client->lots, false);
	if (UNLIKELY(hint == NULL)) {
		if (client->lots.skipped[owner] < HINT_SKIPPED_MANY) return true;
		client->lots.skipped[owner] = 0;
		return false;
	}
	struct hint_use use = {.hash = key->hash,
						   .used_s = shard_now_s(shard),
						   .is_first = (head->marks & MARK_FETCHED) == 0};
	hint_post(shard, hint, owner, &client->lots, &use);
	return true;
}

/* A value that a get may tell as it is. */
static enum look tell(snug_cache_client *client, snug_shard *shard, const snug_key *key,
					  bool wants_cas, const struct item_head *head, snug_cache_value *out) {
	bool is_expired = shard_is_expired(shard, head);
	SNUG_ASSERT(head->key_bytes == key->length);
	if (!is_expired && wants_cas && head->cas == 0) return LOOK_ASK;
	if (!is_expired && !tell_use(client, shard, key, head)) return LOOK_ASK;
	count(client, key, !is_expired);
	if (is_expired) return LOOK_ABSENT;
	*out = (snug_cache_value){.bytes = head->value_bytes,
							  .client_flags = head->client_flags,
							  .expires_at_s = shard_told_date(shard, head->expires_at_s),
							  .cas = wants_cas ? head->cas : 0};
	return LOOK_FOUND;
}

/* LOOK_FOUND: `out` is written, and the value, if the room is large enough. LOOK_ABSENT: there is
 * none. Both are counted. */
static enum look look(snug_cache_client *client, const snug_key *key, bool wants_cas, void *room,
					  size_t room_bytes, snug_cache_value *out) {
	struct shard_copy copy;
	if (!may_read(client, key)) return LOOK_ASK;
	snug_shard *shard = shard_of(client, key);
	enum look look = shard_read(shard, key, INT64_MAX, room, room_bytes, &copy);
	if (look == LOOK_ABSENT) count(client, key, false);
	if (look != LOOK_FOUND) return look;
	return tell(client, shard, key, wants_cas, &copy.head, out);
}

/* ------------------------------------------------------------------ one -------------------- */

static void begin_get(const snug_cache_client *client, struct request *request, const snug_key *key,
					  void *buffer, size_t room_bytes, bool wants_cas) {
	cache_begin(client, request, OPERATION_GET, key);
	request->operation.options = OPERATION_NO_STALE | OPERATION_TELLS_DATE;
	if (wants_cas) request->operation.options |= OPERATION_WANTS_CAS;
	request->room = buffer;
	/* No value is larger, and with a time-out there is a room of that size on its way, too. */
	request->room_bytes = (uint32_t)smaller(room_bytes, client->cache->item_max_bytes);
}

/* Its owner has counted it, but not for its namespace. */
static snug_error tell_answer(const snug_cache_client *client, const struct request *request,
							  snug_cache_value *out) {
	const struct operation *operation = &request->operation;
	snug_error error = operation_error(operation);
	cache_count(client, &operation->key, error == SNUG_OK);
	if (error) return error;
	SNUG_ASSERT(operation->status == STATUS_FOUND && operation->lease.ref == 0);
	*out = (snug_cache_value){
		.bytes = operation->item.value_bytes,
		.client_flags = operation->item.attributes.client_flags,
		.expires_at_s = operation->item.attributes.expires_at_s,
		.cas = operation->cas,
	};
	return out->bytes > request->room_bytes ? SNUG_ERROR_BUFFER_TOO_SMALL : SNUG_OK;
}

static snug_error get(snug_cache_client *client, const void *key, size_t key_bytes, void *buffer,
					  size_t room_bytes, bool wants_cas, snug_cache_value *out) {
	snug_key named;
	if (client == NULL || out == NULL || (buffer == NULL && room_bytes > 0)) return SNUG_ERROR_NULL;
	snug_error error = cache_key(key, key_bytes, &named);
	if (error) return error;
	enum look seen = look(client, &named, wants_cas, buffer, room_bytes, out);
	if (LIKELY(seen == LOOK_FOUND))
		return out->bytes <= room_bytes ? SNUG_OK : SNUG_ERROR_BUFFER_TOO_SMALL;
	if (seen == LOOK_ABSENT) return SNUG_ERROR_NOT_FOUND;
	SNUG_ASSERT(seen == LOOK_ASK);
	begin_get(client, &client->request[0], &named, buffer, room_bytes, wants_cas);
	error = cache_ask(client, 1);
	return error ? error : tell_answer(client, &client->request[0], out);
}

snug_error snug_cache_get(snug_cache_client *client, const void *key, size_t key_bytes,
						  void *buffer, size_t room_bytes, snug_cache_value *out) {
	return get(client, key, key_bytes, buffer, room_bytes, false, out);
}

snug_error snug_cache_gets(snug_cache_client *client, const void *key, size_t key_bytes,
						   void *buffer, size_t room_bytes, snug_cache_value *out) {
	return get(client, key, key_bytes, buffer, room_bytes, true, out);
}

/* ------------------------------------------------------------------ many ------------------- */

/* Up to CACHE_MANY, whose lines are fetched together. A lookup that makes no sense is answered. */
static size_t name_keys(const snug_cache_client *client, snug_cache_lookup *lookups, size_t count,
						snug_key *keys) {
	uint64_t hashes[CACHE_MANY];
	const snug_shard *shards[CACHE_MANY];
	size_t named = 0;
	for (size_t i = 0; i < count; i++) {
		snug_cache_lookup *lookup = &lookups[i];
		lookup->error = lookup->buffer == NULL && lookup->room_bytes > 0
							? SNUG_ERROR_NULL
							: cache_key(lookup->key, lookup->key_bytes, &keys[i]);
		if (lookup->error) continue;
		hashes[named] = keys[i].hash;
		shards[named++] = shard_of(client, &keys[i]);
	}
	SNUG_ASSERT(named <= count && count <= CACHE_MANY);
	shards_read_prefetch(shards, hashes, named);
	return named;
}

/* Those that the owners must be asked for, by their numbers. */
static size_t look_at_all(snug_cache_client *client, snug_cache_lookup *lookups, size_t count,
						  const snug_key *keys, size_t *asked) {
	size_t asked_count = 0;
	for (size_t i = 0; i < count; i++) {
		snug_cache_lookup *lookup = &lookups[i];
		if (lookup->error) continue;
		enum look seen =
			look(client, &keys[i], false, lookup->buffer, lookup->room_bytes, &lookup->value);
		if (seen == LOOK_ABSENT) lookup->error = SNUG_ERROR_NOT_FOUND;
		if (seen == LOOK_FOUND && lookup->value.bytes > lookup->room_bytes)
			lookup->error = SNUG_ERROR_BUFFER_TOO_SMALL;
		if (seen != LOOK_ASK) continue;
		begin_get(client, &client->request[asked_count], &keys[i], lookup->buffer,
				  lookup->room_bytes, false);
		asked[asked_count++] = i;
	}
	return asked_count;
}

static snug_error get_part(snug_cache_client *client, snug_cache_lookup *lookups, size_t count) {
	snug_key keys[CACHE_MANY];
	size_t asked[CACHE_MANY];
	SNUG_ASSERT(count <= CACHE_MANY);
	if (name_keys(client, lookups, count, keys) == 0) return SNUG_OK;
	size_t asked_count = look_at_all(client, lookups, count, keys, asked);
	snug_error error = asked_count == 0 ? SNUG_OK : cache_ask(client, asked_count);
	if (error) return error;
	for (size_t i = 0; i < asked_count; i++) {
		snug_cache_lookup *lookup = &lookups[asked[i]];
		lookup->error = tell_answer(client, &client->request[i], &lookup->value);
	}
	return SNUG_OK;
}

snug_error snug_cache_get_many(snug_cache_client *client, snug_cache_lookup *lookups,
							   size_t count) {
	if (client == NULL || (lookups == NULL && count > 0)) return SNUG_ERROR_NULL;
	for (size_t at = 0; at < count; at += CACHE_MANY) {
		snug_error error =
			get_part(client, lookups + at, count - at < CACHE_MANY ? count - at : CACHE_MANY);
		if (error) return error;
	}
	return SNUG_OK;
}

/* ------------------------------------------------------------------ where it lies ---------- */

snug_error snug_cache_view_begin(snug_cache_client *client, const void *key, size_t key_bytes,
								 snug_cache_view *out) {
	snug_key named;
	struct sight sight;
	snug_cache_value value;
	if (client == NULL || out == NULL) return SNUG_ERROR_NULL;
	snug_error error = cache_key(key, key_bytes, &named);
	if (error) return error;
	if (!may_read(client, &named)) return SNUG_ERROR_NOT_CONTIGUOUS;
	snug_shard *shard = shard_of(client, &named);
	enum look seen = shard_look(shard, &named, INT64_MAX, &sight);
	/* a torn head tells nothing: so it is proved once before it is told */
	if (seen == LOOK_FOUND && (!sight_holds(&sight) || sight.next != 0)) seen = LOOK_ASK;
	if (seen == LOOK_ABSENT) count(client, &named, false);
	if (seen == LOOK_FOUND)
		seen = tell(client, shard, &named, sight.head.cas != 0, &sight.head, &value);
	if (seen != LOOK_FOUND)
		return seen == LOOK_ABSENT ? SNUG_ERROR_NOT_FOUND : SNUG_ERROR_NOT_CONTIGUOUS;
	*out = (snug_cache_view){
		.bytes = sight.value, .value = value, .version = sight.group, .seen = sight.group_seen};
	return SNUG_OK;
}

bool snug_cache_view_end(const snug_cache_view *view) {
	if (view == NULL || view->version == NULL) return false;
	struct sight sight = {.group = view->version, .group_seen = view->seen};
	return sight_holds(&sight);
}
