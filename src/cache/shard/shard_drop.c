/* cache/shard/shard_drop.c: how an item ends.
 *
 *                 reserve                commit, link            drop, replace
 *     memory ----------------> UNLINKED --------------> LINKED --------------------> free
 *                               |   ^                     |
 *                               |   +---------------------+  if a lease holds it
 *                               +--> free, by the last release
 *
 * An item leaves by one of five roads: deleted, replaced, evicted, expired, flushed. Each takes it
 * off the index, counts it out, and frees it; the heap refuses to free what is pinned, and then the
 * mark of an unlinked item is put in the place of its key's length. So nobody finds it any more,
 * and its bytes stay as they are (law K4).
 *
 * Who has asked for it (options.removed) is told of the last three, before anything of the item goes.
 *
 * Counting in and out is here alone: items, bytes, those with an expiry, the earliest expiry of
 * all, and what a check in slices has walked already. A hash is read from the item only if such a
 * check wants to know it. */
#include "base/assert.h"
#include "base/bits.h"
#include "cache/shard/shard_state.h"
#include "work/key_hash.h"

uint64_t shard_hash_of_item(const snug_shard *shard, snug_ref ref) {
	const void *item = snug_ref_at(shard->heap, ref);
	struct item_head head = item_read(item);
	return key_hash(item_key(item, &head), head.key_bytes);
}

static inline void count_in_tally(struct tally *tally, const struct item_head *head, bool in) {
	uint64_t bytes = item_bytes(head), key_bytes = head->key_bytes, value_bytes = head->value_bytes;
	SNUG_ASSERT(in || (tally->items > 0 && tally->bytes >= bytes));
	tally->items += in ? 1 : UINT64_MAX;
	tally->bytes += in ? bytes : -bytes;
	tally->key_bytes += in ? key_bytes : -key_bytes;
	tally->value_bytes += in ? value_bytes : -value_bytes;
}

/* What has been walked by the check; without a check nothing is. */
static bool is_checked(const snug_shard *shard, uint64_t hash) {
	return UNLIKELY(hash < shard->check.hash);
}

/* In a round of the sweep it is not known whether the hand has passed, and so counted, what goes. */
static inline void count_expiry(snug_shard *shard, uint32_t expires_at_s, bool in) {
	if (in)
		expiries_add(&shard->expiries, expires_at_s);
	else if (shard->sweep_hand == 0)
		expiries_remove(&shard->expiries, expires_at_s);
}

/* Of whatever is linked, dead or alive. */
static inline void count_link(snug_shard *shard, uint64_t hash, const struct item_head *head,
							  bool in) {
	uint64_t one = in ? 1 : UINT64_MAX, expiring = head->expires_at_s != 0 ? one : 0;
	SNUG_ASSERT(in || (shard->linked > 0 && (expiring == 0 || shard->expiring > 0)));
	shard->linked += one;
	shard->expiring += expiring;
	SNUG_ASSERT(shard->expiring <= shard->linked);
	if (expiring != 0) count_expiry(shard, head->expires_at_s, in);
	if (!is_checked(shard, hash)) return;
	shard->check.linked += one;
	shard->check.expiring += expiring;
}

static void note_earliest(snug_shard *shard, uint32_t expires_at_s) {
	if (expires_at_s == 0) return;
	if (expires_at_s < shard->earliest_s) shard->earliest_s = expires_at_s;
	if (expires_at_s < shard->round_earliest_s) shard->round_earliest_s = expires_at_s;
}

static inline void count(snug_shard *shard, uint64_t hash, const struct item_head *head, bool in) {
	count_link(shard, hash, head, in);
	count_in_tally(&shard->live, head, in);
	if (is_checked(shard, hash)) count_in_tally(&shard->check.live, head, in);
	if (in) note_earliest(shard, head->expires_at_s);
}

/* Compiled once for each way: a set that evicts goes both. */
void shard_count(snug_shard *shard, uint64_t hash, const struct item_head *head, bool in) {
	if (in)
		count(shard, hash, head, true);
	else
		count(shard, hash, head, false);
}

void shard_count_many(snug_shard *shard, const struct tally *items) {
	SNUG_ASSERT(shard->check.hash == 0);
	SNUG_ASSERT(items->bytes >= items->key_bytes + items->value_bytes);
	shard->linked += items->items;
	shard->live.items += items->items;
	shard->live.bytes += items->bytes;
	shard->live.key_bytes += items->key_bytes;
	shard->live.value_bytes += items->value_bytes;
}

void shard_recount(snug_shard *shard, uint64_t hash, const struct item_head *old,
				   const struct item_head *head) {
	uint64_t bytes = (uint64_t)item_bytes(head) - item_bytes(old),
			 value_bytes = (uint64_t)head->value_bytes - old->value_bytes;
	SNUG_ASSERT(head->key_bytes == old->key_bytes && shard->live.bytes >= item_bytes(old));
	shard->live.bytes += bytes;
	shard->live.value_bytes += value_bytes;
	if (is_checked(shard, hash)) {
		shard->check.live.bytes += bytes;
		shard->check.live.value_bytes += value_bytes;
	}
	if ((old->expires_at_s | head->expires_at_s) == 0) return;
	count_link(shard, hash, old, false);
	count_link(shard, hash, head, true);
	note_earliest(shard, head->expires_at_s);
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
	SNUG_ASSERT(head->key_bytes != KEY_UNLINKED);
	if (snug_ref_free(shard->heap, ref, item_bytes(head)) == SNUG_ERROR_PINNED)
		((unsigned char *)snug_ref_at(shard->heap, ref))[1] = KEY_UNLINKED;
}

/* The hash is read from the item only if a check wants to know it. */
static uint64_t hash_for_check(const snug_shard *shard, snug_ref ref) {
	return shard->check.hash == 0 ? 0 : shard_hash_of_item(shard, ref);
}

void shard_fill_head(snug_ref ref, const struct item_head *head, snug_item *out) {
	SNUG_ASSERT(ref != 0 && head->key_bytes != KEY_UNLINKED);
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
		.was_fetched = (head->marks & MARK_FETCHED) != 0,
		.ref = ref,
		.item_bytes = item_bytes(head),
		.value_offset = head->head_bytes + (uint32_t)head->key_bytes,
	};
}

/* Whoever wants to know is told while the item's bytes are there. */
static void tell(snug_shard *shard, snug_ref ref, const struct item_head *head, snug_removal why) {
	const void *bytes = snug_ref_at(shard->heap, ref);
	snug_key key = {item_key(bytes, head), head->key_bytes, 0};
	snug_item item;
	key.hash = key_hash(key.bytes, key.length);
	shard_fill_head(ref, head, &item);
	shard->options.removed(shard->options.removed_context, shard, why, &key, &item);
}

static bool wants_to_know(const snug_shard *shard) {
	return UNLIKELY(shard->options.removed != NULL);
}

void shard_let_go(snug_shard *shard, snug_ref ref, const struct item_head *head,
				  enum drop_reason reason) {
	if (reason != DROP_REMOVED && wants_to_know(shard))
		tell(shard, ref, head,
			 reason == DROP_EVICTED ? SNUG_REMOVAL_EVICTED : SNUG_REMOVAL_EXPIRED);
	count_drop(shard, head, reason);
	shard_count(shard, hash_for_check(shard, ref), head, false);
	free_item(shard, ref, head);
}

void shard_drop(snug_shard *shard, const struct probe *probe, const struct item_head *head,
				enum drop_reason reason) {
	snug_ref ref = entry_ref(*probe->entry);
	SNUG_ASSERT(reason != DROP_EVICTED || !shard->options.no_eviction);
	index_remove(&shard->index, probe);
	shard_let_go(shard, ref, head, reason);
}

bool shard_drop_flushed(void *context, uint64_t entry) {
	snug_shard *shard = context;
	snug_ref ref = entry_ref(entry);
	struct item_head head = item_read(snug_ref_at(shard->heap, ref));
	SNUG_ASSERT(shard->linked > shard->live.items); /* it was alive, and is not counted so */
	if (wants_to_know(shard)) tell(shard, ref, &head, SNUG_REMOVAL_FLUSHED);
	shard->stats.flushed++;
	shard->flushed_bytes += item_bytes(&head);
	count_link(shard, hash_for_check(shard, ref), &head, false);
	free_item(shard, ref, &head);
	return true;
}
