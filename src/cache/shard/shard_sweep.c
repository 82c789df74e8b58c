/* cache/shard/shard_sweep.c: one place after the other, in the order of hashes.
 *
 *     round     hash 0 -> ... -> 2^64      earliest_s = the earliest expiry that the round has met
 *     pause     60 s at least, and until something can have expired
 *
 * `earliest_s` is what makes rounds rare: no item expires before it, so there is nothing to find
 * until then. It is lowered by each store with an expiry and raised only by a whole round. Items
 * that are deleted do not raise it; at worst a round finds nothing.
 *
 * FLUSHED items are counted as linked and not as live: while the two differ there is something to
 * sweep. A flush that comes while that is so sweeps a place by itself, so that each bucket is met
 * long before the 2^32 epochs repeat.
 *
 * To group items by expiry, as Segcache does (NSDI'21), would free all of a group at once; but then
 * each group has half-empty slabs of each size. */
#include "cache/shard/shard_sweep.h"

#include "base/assert.h"

#define SWEEP_PAUSE_S 60u /* from one round to the next */
#define DEAD_PLACES 1024u /* that a store without eviction looks at for what is dead */

static bool is_flushed_left(const snug_shard *shard) {
	return shard->linked > shard->live.items;
}

static bool drop_if_expired(void *context, uint64_t entry) {
	snug_shard *shard = context;
	snug_ref ref = entry_ref(entry);
	struct item_head head = item_read(snug_ref_at(shard->heap, ref));
	if (shard_is_expired(shard, &head) && ref != shard->watched) {
		shard_let_go(shard, ref, &head, DROP_EXPIRED);
		return true;
	}
	if (head.expires_at_s != 0 && head.expires_at_s < shard->round_earliest_s)
		shard->round_earliest_s = head.expires_at_s;
	return false;
}

static void sweep_place(snug_shard *shard, uint64_t place) {
	uint32_t number = place % GROUP_BUCKETS;
	struct bucket *home = index_bucket(&shard->index, place);
	index_settle(&shard->index, home, number);
	SNUG_ASSERT(!index_is_flushed(&shard->index, home));
	if (shard->expiring == 0) return;
	for (uint32_t slot = 0; slot < BUCKET_ENTRIES; slot++)
		if (home->entry[slot] != 0)
			__builtin_prefetch(snug_ref_at(shard->heap, entry_ref(home->entry[slot])));
	index_filter(&shard->index, home, number, drop_if_expired, shard);
}

/* One place. False: that was the last one of a round. */
static bool sweep(snug_shard *shard) {
	if (shard->sweep_hand == 0) shard->round_earliest_s = UINT32_MAX;
	uint64_t end = index_bucket_end(&shard->index, shard->sweep_hand);
	SNUG_ASSERT(end == 0 || end > shard->sweep_hand);
	sweep_place(shard, index_place(&shard->index, shard->sweep_hand));
	shard->sweep_hand = end;
	if (end != 0) return true;
	shard->sweep_round_s = shard_now_s(shard);
	shard->earliest_s = shard->round_earliest_s;
	return false;
}

/* While there is something left of earlier flushes a bucket is swept for each: so each bucket is
 * long before epochs repeat. */
void snug_shard_flush(snug_shard *shard, int64_t at_s) {
	if (shard == NULL) return;
	if (at_s > (int64_t)shard_now_s(shard)) {
		shard_tick(shard); /* an earlier one whose time has come while nobody asked */
		shard->flush_at_s = at_s == SNUG_FLUSH_NEVER ? 0 : at_s;
		return;
	}
	shard->flush_at_s = 0;
	if (shard->live.items == 0) return; /* all there is has been flushed before */
	if (is_flushed_left(shard)) (void)sweep(shard);
	index_flush(&shard->index);
	shard->live = shard->check.live = (struct tally){0};
	SNUG_ASSERT(is_flushed_left(shard));
}

/* What expires is swept when something has, but not too often: a look-up does not find it
 * anyway. */
static bool sweep_is_due(const snug_shard *shard) {
	if (is_flushed_left(shard)) return true;
	if (shard->expiring == 0) return false;
	uint32_t now_s = shard_now_s(shard);
	/* set back, too */
	bool has_paused = now_s < shard->sweep_round_s || now_s - shard->sweep_round_s >= SWEEP_PAUSE_S;
	return shard->sweep_hand != 0 || (shard->earliest_s <= now_s && has_paused);
}

uint64_t shard_remove_dead(snug_shard *shard) {
	uint64_t linked = shard->linked, live_bytes = shard->live.bytes,
			 flushed_bytes = shard->flushed_bytes;
	for (uint32_t places = 0; places < DEAD_PLACES && shard->linked == linked; places++) {
		if (!is_flushed_left(shard) && shard->earliest_s > shard_now_s(shard)) break;
		(void)sweep(shard);
	}
	return live_bytes - shard->live.bytes + shard->flushed_bytes - flushed_bytes;
}

bool shard_sweep(snug_shard *shard) {
	return sweep_is_due(shard) && sweep(shard);
}

bool snug_shard_may_expire(const snug_shard *shard) {
	return shard != NULL &&
		   (shard->expiring > 0 || is_flushed_left(shard) || shard->flush_at_s != 0);
}
