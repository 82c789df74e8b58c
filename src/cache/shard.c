/* cache/shard.c: the life of a shard, finding and removing. See cache/shard_state.h. */
#include "base/assert.h"
#include "base/bits.h"
#include "cache/shard_state.h"
#include "os/local_time.h"
#include "work/key_hash.h"

#include <stdlib.h>

#define GRAIN ((size_t)4096)

/* ------------------------------------------------------------------ what the heap asks --- */

snug_key snug_shard_key(const void *bytes, size_t length) {
	return (snug_key){bytes, length, bytes == NULL ? 0 : key_hash(bytes, length)};
}

_Static_assert(SNUG_HASH_SECRET_BYTES == KEY_HASH_SECRET_BYTES, "the secret is the hash's");

snug_error snug_hash_secret_set(const void *secret) {
	if (secret == NULL) return SNUG_ERROR_NULL;
	return key_hash_set_secret(secret) ? SNUG_OK : SNUG_ERROR_IN_USE;
}

static uint64_t hash_of_item(const snug_shard *shard, snug_ref ref) {
	const void *item = snug_ref_at(shard->heap, ref);
	struct item_head head = item_read(item);
	return key_hash(item_key(item, &head), head.key_bytes);
}

static uint64_t hash_of(void *context, snug_ref ref) {
	return hash_of_item(context, ref);
}

static bool drop_flushed(void *context, uint64_t entry);

/* An item that is not in the index is being stored, or read to be stored anew: whoever does that follows it by `watched`. */
static void moved(void *context, snug_ref from, snug_ref to, size_t size) {
	snug_shard *shard = context;
	struct probe probe = index_probe(&shard->index, hash_of_item(shard, to));
	(void)size;
	if (shard->watched == from) shard->watched = to;
	while (probe_next(&probe)) {
		if (entry_ref(*probe.entry) != from) continue;
		*probe.entry = entry_with_ref(*probe.entry, to);
		return;
	}
}

static size_t size_of(void *context, const void *object) {
	struct item_head head = item_read(object);
	(void)context;
	return item_bytes(&head);
}

/* ------------------------------------------------------------------ life ------------------- */

static int64_t wall_clock_s(void *context) {
	(void)context;
	return os_wall_s();
}

static int64_t own_clock_s(void *context) {
	const snug_shard *shard = context;
	return os_epoch_s(&shard->epoch, shard->os->now_ns(shard->os->context));
}

static void set_clocks(snug_shard *shard) {
	snug_shard_options *options = &shard->options;
	if (options->now_s == NULL) {
		os_epoch_begin(&shard->epoch, shard->os->now_ns(shard->os->context));
		options->now_s = own_clock_s;
		options->now_context = shard;
		options->wall_s = wall_clock_s;
	}
	if (options->wall_s == NULL) options->wall_s = options->now_s;
}

static bool options_make_sense(const snug_shard_options *options) {
	return (uint32_t)options->evict_for < SNUG_EVICT_FOR_COUNT && options->item_max_bytes > 0 &&
		   options->item_max_bytes <= SNUG_VALUE_BYTES_MAX + SNUG_KEY_BYTES_MAX && options->heap.owner.moved == NULL &&
		   options->heap.owner.size_of == NULL;
}

snug_error snug_shard_prepare(const snug_shard_options *options, snug_options *heap_options, snug_shard **out) {
	if (options == NULL || heap_options == NULL || out == NULL) return SNUG_ERROR_NULL;
	if (!options_make_sense(options)) return SNUG_ERROR_OPTION;
	key_hash_settle();
	const snug_os *os = options->heap.os != NULL ? options->heap.os : snug_os_linux();
	size_t bytes = round_up(sizeof(snug_shard), GRAIN);
	snug_shard *shard = os->reserve(os->context, bytes, GRAIN);
	if (shard == NULL) return SNUG_ERROR_OS_MEMORY;
	if (!os->commit(os->context, shard, bytes)) {
		os->release(os->context, shard, bytes);
		return SNUG_ERROR_OS_MEMORY;
	}
	*shard = (snug_shard){.options = *options, .os = os, .reserved_bytes = bytes};
	set_clocks(shard);
	shard->random = os->now_ns(os->context) * 0x9E3779B97F4A7C15u | 1;
	shard->earliest_s = shard->round_earliest_s = UINT32_MAX;
	heap_options->owner = (snug_owner){.moved = moved, .size_of = size_of, .context = shard};
	*out = shard;
	return SNUG_OK;
}

/* Addresses for as many as the limit may ever allow; memory follows the items. Without them the shard works as well, but for a few hits. */
static void make_ghosts(snug_shard *shard, uint64_t limit_max_bytes) {
	size_t bytes = ghosts_most_bytes(limit_max_bytes);
	void *memory = bytes == 0 ? NULL : shard->os->reserve(shard->os->context, bytes, GRAIN);
	ghosts_init(&shard->ghosts, memory);
	if (memory != NULL) shard->ghosts_reserved_bytes = bytes;
}

snug_error snug_shard_attach(snug_shard *shard, snug_heap *heap) {
	if (shard == NULL || heap == NULL) return SNUG_ERROR_NULL;
	if (shard->heap != NULL) return SNUG_ERROR_IN_USE;
	snug_stats stats;
	snug_error error = snug_stats_get(heap, &stats);
	if (!error) error = snug_heap_charge(heap, shard->reserved_bytes);
	if (error) return error;
	size_t most_bytes = shard->options.heap.limit_max_bytes;
	if (most_bytes < stats.limit_bytes) most_bytes = stats.limit_bytes;
	error = index_init(&shard->index, heap, shard->os, most_bytes, hash_of, drop_flushed, shard);
	if (error) {
		snug_error undone = snug_heap_discharge(heap, shard->reserved_bytes);
		SNUG_ASSERT(!undone);
		(void)undone;
		return error;
	}
	shard->heap = heap;
	rank_init(&shard->rank, stats.limit_bytes, shard->random);
	make_ghosts(shard, most_bytes);
	shard_keep_for_pins(shard);
	for (uint32_t stamp = 0; stamp < STAMPS; stamp++) shard->tick_s[stamp] = shard_now_s(shard);
	return SNUG_OK;
}

snug_error snug_shard_create(const snug_shard_options *options, snug_shard **out) {
	if (options == NULL || out == NULL) return SNUG_ERROR_NULL;
	snug_options heap_options = options->heap;
	snug_shard *shard;
	snug_heap *heap;
	snug_error error = snug_shard_prepare(options, &heap_options, &shard);
	if (error) return error;
	error = snug_heap_create(&heap_options, &heap);
	if (!error) {
		error = snug_shard_attach(shard, heap);
		if (!error) {
			shard->owns_heap = true;
			*out = shard;
			return SNUG_OK;
		}
		snug_heap_destroy(heap);
	}
	snug_shard_destroy(shard);
	return error;
}

void snug_shard_destroy(snug_shard *shard) {
	if (shard == NULL) return;
	if (shard->heap != NULL) index_deinit(&shard->index);
	if (shard->ghosts_reserved_bytes > 0)
		shard->os->release(shard->os->context, shard->ghosts.table, shard->ghosts_reserved_bytes);
	if (shard->owns_heap) snug_heap_destroy(shard->heap);
	shard->os->release(shard->os->context, shard, shard->reserved_bytes);
}

int64_t snug_shard_now_s(const snug_shard *shard) {
	return shard == NULL ? 0 : shard_now_s(shard);
}

snug_heap *snug_shard_heap(snug_shard *shard) {
	return shard == NULL ? NULL : shard->heap;
}

/* ------------------------------------------------------------------ removing --------------- */

static void count_in_tally(struct tally *tally, const struct item_head *head, bool in) {
	uint64_t bytes = item_bytes(head);
	tally->items += in ? 1 : UINT64_MAX;
	tally->bytes += in ? bytes : -bytes;
}

/* What has been walked by the check; without a check nothing is. */
static bool is_checked(const snug_shard *shard, uint64_t hash) {
	return UNLIKELY(hash < shard->check.hash);
}

/* Of whatever is linked, dead or alive. */
static void count_link(snug_shard *shard, uint64_t hash, const struct item_head *head, bool in) {
	uint64_t one = in ? 1 : UINT64_MAX, expiring = head->expires_at_s != 0 ? one : 0;
	shard->linked += one;
	shard->expiring += expiring;
	if (!is_checked(shard, hash)) return;
	shard->check.linked += one;
	shard->check.expiring += expiring;
}

void shard_count(snug_shard *shard, uint64_t hash, const struct item_head *head, bool in) {
	count_link(shard, hash, head, in);
	count_in_tally(&shard->live, head, in);
	if (is_checked(shard, hash)) count_in_tally(&shard->check.live, head, in);
	if (!in || head->expires_at_s == 0) return;
	if (head->expires_at_s < shard->earliest_s) shard->earliest_s = head->expires_at_s;
	if (head->expires_at_s < shard->round_earliest_s) shard->round_earliest_s = head->expires_at_s;
}

static void count_drop(snug_shard *shard, const struct item_head *head, enum drop_reason reason) {
	bool unfetched = (head->marks & MARK_FETCHED) == 0;
	if (reason == DROP_EVICTED) {
		shard->stats.evictions++;
		shard->stats.evicted_bytes += item_bytes(head);
		shard->stats.evicted_unfetched += unfetched;
	} else if (reason == DROP_EXPIRED) {
		shard->stats.expired++;
		shard->stats.expired_unfetched += unfetched;
	}
}

static void free_item(snug_shard *shard, snug_ref ref, const struct item_head *head) {
	if (snug_ref_free(shard->heap, ref, item_bytes(head)) == SNUG_ERROR_PINNED)
		((unsigned char *)snug_ref_at(shard->heap, ref))[1] = KEY_UNLINKED;
}

/* The hash is read from the item only if a check wants to know it. */
static uint64_t hash_for_check(const snug_shard *shard, snug_ref ref) {
	return shard->check.hash == 0 ? 0 : hash_of_item(shard, ref);
}

void shard_let_go(snug_shard *shard, snug_ref ref, const struct item_head *head, enum drop_reason reason) {
	count_drop(shard, head, reason);
	shard_count(shard, hash_for_check(shard, ref), head, false);
	free_item(shard, ref, head);
}

void shard_drop(snug_shard *shard, const struct probe *probe, const struct item_head *head, enum drop_reason reason) {
	snug_ref ref = entry_ref(*probe->entry);
	index_remove(&shard->index, probe);
	shard_let_go(shard, ref, head, reason);
}

static bool drop_flushed(void *context, uint64_t entry) {
	snug_shard *shard = context;
	snug_ref ref = entry_ref(entry);
	struct item_head head = item_read(snug_ref_at(shard->heap, ref));
	shard->stats.flushed++;
	shard->flushed_bytes += item_bytes(&head);
	count_link(shard, hash_for_check(shard, ref), &head, false);
	free_item(shard, ref, &head);
	return true;
}

/* ------------------------------------------------------------------ finding ---------------- */

static bool is_key(const snug_shard *shard, snug_ref ref, const snug_key *key, struct item_head *head) {
	const unsigned char *item = snug_ref_at(shard->heap, ref);
	if (item[1] != key->length) return false;
	*head = item_read(item);
	return memcmp(item_key(item, head), key->bytes, key->length) == 0;
}

/* What was flushed is not found, and goes with all that its bucket holds. */
static void meet_flushed(snug_shard *shard, const snug_key *key, struct probe *probe) {
	struct item_head head;
	while (probe_next(probe)) {
		if (!is_key(shard, entry_ref(*probe->entry), key, &head)) continue;
		shard->flushed_met++;
		break;
	}
	index_settle(&shard->index, probe->home, probe->home_number);
}

bool shard_look_up(snug_shard *shard, const snug_key *key, struct probe *probe, struct item_head *head) {
	shard_tick(shard);
	*probe = index_probe(&shard->index, key->hash);
	if (UNLIKELY(index_is_flushed(&shard->index, probe->home))) {
		meet_flushed(shard, key, probe);
		return false;
	}
	while (probe_next(probe)) {
		if (!is_key(shard, entry_ref(*probe->entry), key, head)) continue;
		if (!shard_is_expired(shard, head)) return true;
		shard_drop(shard, probe, head, DROP_EXPIRED);
		return false;
	}
	return false;
}

static snug_error check_key(const snug_shard *shard, const snug_key *key) {
	if (shard == NULL || key == NULL || key->bytes == NULL) return SNUG_ERROR_NULL;
	return key->length == 0 || key->length > SNUG_KEY_BYTES_MAX ? SNUG_ERROR_KEY : SNUG_OK;
}

void shard_fill_item(const snug_shard *shard, uint64_t hash, uint64_t entry, const struct item_head *head,
					 snug_item *out) {
	*out = (snug_item){
		.attributes =
			{
				.client_flags = head->client_flags,
				.expires_at_s = head->expires_at_s,
				.cas = head->cas,
				.is_stale = (head->marks & MARK_STALE) != 0,
				.is_won = (head->marks & MARK_WON) != 0,
			},
		.value_bytes = head->value_bytes,
		.idle_s = shard_idle_s(shard, hash, (rank_meta)entry_meta(entry)),
		.was_fetched = (head->marks & MARK_FETCHED) != 0,
		.ref = entry_ref(entry),
		.item_bytes = item_bytes(head),
		.value_offset = head->head_bytes + (uint32_t)head->key_bytes,
	};
}

snug_error snug_shard_find(snug_shard *shard, const snug_key *key, snug_item *out) {
	struct probe probe;
	struct item_head head;
	snug_error error = check_key(shard, key);
	if (error) return error;
	if (out == NULL) return SNUG_ERROR_NULL;
	if (!shard_look_up(shard, key, &probe, &head)) return SNUG_ERROR_NOT_FOUND;
	shard_fill_item(shard, key->hash, *probe.entry, &head, out);
	return SNUG_OK;
}

static void use(snug_shard *shard, uint64_t hash, const struct probe *probe) {
	uint64_t entry = *probe->entry;
	unsigned char *item = snug_ref_at(shard->heap, entry_ref(entry));
	*probe->entry = entry_with_meta(entry, rank_hit(&shard->rank, (rank_meta)entry_meta(entry)));
	item[0] |= MARK_FETCHED;
	recent_use(&shard->recent, hash, shard_now_s(shard));
}

snug_error snug_shard_get(snug_shard *shard, const snug_key *key, snug_item *out) {
	struct probe probe;
	struct item_head head;
	snug_error error = check_key(shard, key);
	if (error) return error;
	if (out == NULL) return SNUG_ERROR_NULL;
	if (!shard_look_up(shard, key, &probe, &head)) return SNUG_ERROR_NOT_FOUND;
	shard_fill_item(shard, key->hash, *probe.entry, &head, out);
	use(shard, key->hash, &probe);
	return SNUG_OK;
}

void snug_shard_use(snug_shard *shard, const snug_key *key, const snug_item *item) {
	if (check_key(shard, key) || item == NULL) return;
	struct probe probe = index_probe(&shard->index, key->hash);
	while (probe_next(&probe)) {
		if (entry_ref(*probe.entry) != item->ref) continue;
		use(shard, key->hash, &probe);
		return;
	}
}

#define PREFETCH_BYTES 320u /* of an item: head, key and a usual value */
#define LINE_BYTES 64u

static void prefetch_item(const snug_shard *shard, snug_ref ref) {
	const char *item = snug_ref_at(shard->heap, ref);
	for (uint32_t at = 0; at < PREFETCH_BYTES; at += LINE_BYTES) __builtin_prefetch(item + at);
}

void snug_shard_prefetch(snug_shard *shard, const uint64_t *hashes, size_t count) {
	if (shard == NULL || hashes == NULL) return;
	for (size_t i = 0; i < count; i++)
		__builtin_prefetch(index_bucket(&shard->index, index_place(&shard->index, hashes[i])));
	for (size_t i = 0; i < count; i++) {
		struct probe probe = index_probe(&shard->index, hashes[i]);
		if (probe.matches != 0) prefetch_item(shard, entry_ref(probe.bucket->entry[bit_lowest(probe.matches)]));
	}
}

snug_error snug_shard_read(snug_shard *shard, const snug_item *item, size_t offset, void *buffer, size_t length) {
	if (shard == NULL || item == NULL) return SNUG_ERROR_NULL;
	if (offset > item->value_bytes || length > item->value_bytes - offset) return SNUG_ERROR_RANGE;
	return snug_ref_read(shard->heap, item->ref, item->item_bytes, item->value_offset + offset, buffer, length);
}

snug_error snug_shard_view(snug_shard *shard, const snug_item *item, size_t offset, size_t length, snug_extent *extents,
						   size_t *count) {
	if (shard == NULL || item == NULL || extents == NULL || count == NULL) return SNUG_ERROR_NULL;
	if (offset > item->value_bytes || length > item->value_bytes - offset) return SNUG_ERROR_RANGE;
	if (LIKELY(snug_ref_is_contiguous(item->ref) && *count > 0 && length > 0)) {
		extents[0] = (snug_extent){(char *)snug_ref_at(shard->heap, item->ref) + item->value_offset + offset, length};
		*count = 1;
		return SNUG_OK;
	}
	return snug_ref_view(shard->heap, item->ref, item->item_bytes, item->value_offset + offset, length, extents, count);
}

snug_error snug_shard_delete(snug_shard *shard, const snug_key *key) {
	struct probe probe;
	struct item_head head;
	snug_error error = check_key(shard, key);
	if (error) return error;
	if (!shard_look_up(shard, key, &probe, &head)) return SNUG_ERROR_NOT_FOUND;
	shard_drop(shard, &probe, &head, DROP_REMOVED);
	(void)shard_index_step(shard);
	return SNUG_OK;
}
