/* cache/client/cache_walk.c: all items of a cache, part by part, for any thread that has a client.
 *
 *     asker                                owner of the cursor's worker
 *     part: a block of its own  ---------> places are walked, keys and values copied into the block
 *     large values, one by one  ---------> copied, if they are there still
 *     the visits, on his own thread
 *     the cursor goes on
 *
 * WHAT IS MET. Each worker's shard is walked by hashes (shard/shard_find.h), and a key stays with its
 * worker. So whatever is there from beginning to end is met once. All of a part is copied before the
 * first visit, and the cursor goes on behind the last: a part that fails was not met at all.
 *
 * PACE. A message ends when half of the block is full, or after PART_PLACES places, some 100 items:
 * tens of microseconds. A value of more than SMALL_BYTES has a message of its own, as a get of it has.
 *
 * MEMORY. A block of PART_BYTES, larger only if one place does not fit; and the large values of one
 * part, which ends with the place that reaches LARGE_BYTES of them. */
#include "base/assert.h"
#include "base/bits.h"
#include "cache/client/cache_parts.h"
#include "cache/shard/shard_find.h"
#include "cache/shard/shard_sweep.h"

#include <stdlib.h>
#include <string.h>

#define PART_BYTES ((size_t)32 << 10)
#define PART_PLACES 16u
#define SMALL_BYTES ((size_t)4 << 10)
#define LARGE_BYTES ((size_t)1 << 20)
#define RECORD_GRAIN _Alignof(struct record)

/* What a visit is told of; key and, if it is small, value follow. */
struct record {
	snug_cache_value value;
	uint32_t key_bytes;
	bool is_large;
	struct large *large; /* the asker's: a large one's value; NULL: it was gone */
};

/* A visit's context travels as one block. */
struct part {
	uint64_t hash; /* where to go on; answered: where the next part does, 0: nowhere */
	size_t room_bytes;
	size_t used_bytes;
	size_t missing_bytes; /* answered: for the first place; then nothing was told */
	size_t large_bytes;
	uint32_t count;
	bool is_corrupt;
	_Alignas(struct record) char bytes[];
};

struct large {
	snug_cache_value value;
	size_t room_bytes; /* for the value */
	uint32_t key_bytes;
	bool is_found;
	char bytes[]; /* key, value */
};

static char *record_key(struct record *record) {
	return (char *)(record + 1);
}

static size_t record_bytes(const struct record *record) {
	size_t value_bytes = record->is_large ? 0 : record->value.bytes;
	return round_up(sizeof *record + record->key_bytes + value_bytes, RECORD_GRAIN);
}

/* ------------------------------------------------------------------ the owner -------------- */

struct telling {
	const snug_shard *shard;
	struct part *part;
	size_t missing_bytes;
};

static snug_cache_value told_value(const snug_shard *shard, uint32_t client_flags,
								   uint32_t expires_at_s, size_t bytes) {
	return (snug_cache_value){.bytes = bytes,
							  .client_flags = client_flags,
							  .expires_at_s = shard_told_date(shard, expires_at_s)};
}

static void tell_item(void *context, const struct walked *walked) {
	struct telling *telling = context;
	struct part *part = telling->part;
	const struct item_head *head = &walked->head;
	struct record record = {.value = told_value(telling->shard, head->client_flags,
												head->expires_at_s, head->value_bytes),
							.key_bytes = head->key_bytes,
							.is_large = head->value_bytes > SMALL_BYTES};
	size_t bytes = record_bytes(&record);
	SNUG_ASSERT(part->used_bytes <= part->room_bytes && bytes % RECORD_GRAIN == 0);
	if (telling->missing_bytes > 0 || bytes > part->room_bytes - part->used_bytes) {
		telling->missing_bytes += bytes;
		return;
	}
	struct record *to = (struct record *)(void *)(part->bytes + part->used_bytes);
	*to = record;
	memcpy(record_key(to), walked->key.bytes, record.key_bytes);
	if (!record.is_large) {
		snug_error error =
			shard_walk_value(telling->shard, walked, record_key(to) + record.key_bytes);
		part->is_corrupt |= error != SNUG_OK;
	}
	part->large_bytes += record.is_large ? head->value_bytes : 0;
	part->used_bytes += bytes;
	part->count++;
}

/* Whole places alone: what did not fit is taken back. */
static bool tell_place(snug_shard *shard, struct part *part) {
	struct telling telling = {.shard = shard, .part = part};
	struct part before = {.used_bytes = part->used_bytes, .count = part->count};
	uint64_t next = 0;
	if (shard_walk(shard, part->hash, &next, tell_item, &telling) != SNUG_OK)
		part->is_corrupt = true;
	if (telling.missing_bytes > 0) {
		if (before.count == 0) part->missing_bytes = part->used_bytes + telling.missing_bytes;
		part->used_bytes = before.used_bytes;
		part->count = before.count;
	}
	if (telling.missing_bytes > 0 || part->is_corrupt) return false;
	SNUG_ASSERT(part->used_bytes <= part->room_bytes);
	part->hash = next;
	return next != 0;
}

static void tell_part(void *context, uint32_t worker, snug_shard *shard,
					  struct operation_counts *counts) {
	struct part *part = context;
	(void)worker;
	(void)counts;
	shard_tick(shard);
	for (uint32_t places = 0; places < PART_PLACES && part->used_bytes <= part->room_bytes / 2 &&
							  part->large_bytes < LARGE_BYTES;
		 places++)
		if (!tell_place(shard, part)) return;
}

static void tell_large(void *context, uint32_t worker, snug_shard *shard,
					   struct operation_counts *counts) {
	struct large *large = context;
	snug_key key = snug_shard_key(large->bytes, large->key_bytes);
	snug_item item;
	(void)worker;
	(void)counts;
	SNUG_ASSERT(large->key_bytes == key.length);
	large->is_found = snug_shard_find(shard, &key, &item) == SNUG_OK;
	if (!large->is_found) return;
	large->value = told_value(shard, item.attributes.client_flags, item.attributes.expires_at_s,
							  item.value_bytes);
	if (item.value_bytes <= large->room_bytes)
		request_copy_value(shard, &item, large->bytes + large->key_bytes);
}

/* ------------------------------------------------------------------ the asker -------------- */

static snug_error fetch_part(snug_cache_client *client, const snug_cache_cursor *cursor,
							 struct part **out) {
	size_t room_bytes = PART_BYTES;
	for (;;) {
		struct part *part = malloc(sizeof *part + room_bytes);
		if (part == NULL) return SNUG_ERROR_OS_MEMORY;
		*part = (struct part){.hash = cursor->place, .room_bytes = room_bytes};
		snug_error error = cache_visit(client, cursor->worker, tell_part, part,
									   (uint32_t)(sizeof *part + room_bytes));
		if (!error && part->is_corrupt) error = SNUG_ERROR_CORRUPT;
		if (!error && part->missing_bytes == 0) {
			*out = part;
			return SNUG_OK;
		}
		SNUG_ASSERT(error || part->missing_bytes > room_bytes);
		room_bytes = part->missing_bytes;
		free(part);
		if (error) return error;
	}
}

/* It may have grown since, and comes again then; or be gone. */
static snug_error fetch_large(snug_cache_client *client, struct record *record) {
	size_t room_bytes = record->value.bytes;
	for (;;) {
		size_t bytes = sizeof(struct large) + record->key_bytes + room_bytes;
		struct large *large = malloc(bytes);
		if (large == NULL) return SNUG_ERROR_OS_MEMORY;
		*large = (struct large){.room_bytes = room_bytes, .key_bytes = record->key_bytes};
		memcpy(large->bytes, record_key(record), record->key_bytes);
		uint32_t owner = request_owner(snug_shard_key(large->bytes, large->key_bytes).hash,
									   client->cache->worker_count);
		snug_error error = cache_visit(client, owner, tell_large, large, (uint32_t)bytes);
		if (!error && large->is_found && large->value.bytes <= room_bytes) {
			record->large = large;
			return SNUG_OK;
		}
		bool is_gone = !error && !large->is_found;
		room_bytes = large->value.bytes;
		free(large);
		if (error || is_gone) return error;
	}
}

/* The one at `*at`, which goes on to the next. */
static struct record *take_record(struct part *part, size_t *at) {
	struct record *record = (struct record *)(void *)(part->bytes + *at);
	SNUG_ASSERT(*at < part->used_bytes);
	*at += record_bytes(record);
	return record;
}

static snug_error fetch_larges(snug_cache_client *client, struct part *part) {
	size_t at = 0;
	for (uint32_t i = 0; i < part->count; i++) {
		struct record *record = take_record(part, &at);
		snug_error error = record->is_large ? fetch_large(client, record) : SNUG_OK;
		if (error) return error;
	}
	return SNUG_OK;
}

static void show(struct record *record, snug_cache_visit visit, void *context) {
	const char *key = record_key(record);
	const struct large *large = record->large;
	snug_cache_item item = {.key = key,
							.key_bytes = record->key_bytes,
							.bytes = key + record->key_bytes,
							.value = record->value};
	if (record->is_large && large == NULL) return;
	if (record->is_large) {
		item.bytes = large->bytes + large->key_bytes;
		item.value = large->value;
	}
	visit(context, &item);
}

static void free_part(struct part *part) {
	size_t at = 0;
	for (uint32_t i = 0; i < part->count; i++) free(take_record(part, &at)->large);
	free(part);
}

snug_error snug_cache_walk(snug_cache_client *client, snug_cache_cursor *cursor,
						   snug_cache_visit visit, void *context) {
	struct part *part;
	size_t at = 0;
	if (client == NULL || cursor == NULL || visit == NULL) return SNUG_ERROR_NULL;
	if (cursor->is_at_end) return SNUG_OK;
	if (cursor->worker >= client->cache->worker_count) return SNUG_ERROR_WORKER;
	snug_error error = fetch_part(client, cursor, &part);
	if (error) return error;
	error = fetch_larges(client, part);
	if (!error) {
		SNUG_ASSERT(part->hash == 0 || part->hash > cursor->place);
		/* before the visits, one of which may end the walk */
		cursor->place = part->hash;
		cursor->worker += part->hash == 0;
		cursor->is_at_end = cursor->worker == client->cache->worker_count;
		for (uint32_t i = 0; i < part->count; i++) show(take_record(part, &at), visit, context);
	}
	free_part(part);
	return error;
}
