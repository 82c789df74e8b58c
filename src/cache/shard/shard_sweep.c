/* cache/shard/shard_sweep.c: one place after the other, in the order of hashes.
 *
 *     round     hash 0 -> ... -> 2^64      counts anew when items will expire (expiries.h)
 *     pause     until a sixteenth of the items may have expired, and some seconds at least;
 *               or until any may have, and a minute at least
 *
 * WHEN the next round begins is known without looking at an item. No item expires before
 * `earliest_s`, so until then nothing is to be done, and whoever runs the shard may sleep
 * (snug_shard_rest_ns). After it a round has to be worth what it costs, some 100 ns an item: memory
 * that waits to be swept is a sixteenth at most, but for the pause; and what is too little for that
 * is swept at a thousandth of a processor. So ten million items with an expiry cost nothing while
 * none expires, and one that expires each second costs no round.
 *
 * `earliest_s` is lowered by each store with an expiry and raised only by a whole round. Items that
 * are deleted do not raise it; at worst a round finds nothing.
 *
 * FLUSHED items are counted as linked and not as live: while the two differ there is something to
 * sweep. A flush that comes while that is so sweeps a place by itself, so that each bucket is met
 * long before the 2^32 epochs repeat.
 *
 * To group items by expiry, as Segcache does (NSDI'21), would free all of a group at once; but then
 * each group has half-empty slabs of each size. */
#include "cache/shard/shard_sweep.h"

#include "base/assert.h"

/* From one round to the next, for many and for few that have expired; and more for each so many
 * items that a round would pass. */
#define MANY_PAUSE_S 4u
#define MANY_PAUSE_ITEMS 500000u
#define FEW_PAUSE_S 60u
#define FEW_PAUSE_ITEMS 10000u
#define MANY_SHARE 16u
#define SLICE_PLACES 8u   /* some 50 items */
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
	if (head.expires_at_s == 0) return false;
	if (head.expires_at_s < shard->round_earliest_s) shard->round_earliest_s = head.expires_at_s;
	expiries_add(&shard->expiries, head.expires_at_s);
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

static void begin_round(snug_shard *shard) {
	shard->round_earliest_s = UINT32_MAX;
	expiries_begin(&shard->expiries, shard_now_s(shard));
}

/* One place. False: that was the last one of a round. */
static bool sweep(snug_shard *shard) {
	if (shard->sweep_hand == 0) begin_round(shard);
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
static void flush_all(snug_shard *shard) {
	if (is_flushed_left(shard)) (void)sweep(shard);
	index_flush(&shard->index);
	shard->live = shard->check.live = (struct tally){0};
	SNUG_ASSERT(is_flushed_left(shard) && shard->live.bytes == 0);
}

/* Whichever thread sees that none is to come any more sees what it has flushed, too. */
static void set_flush_at(snug_shard *shard, int64_t at_s) {
	__atomic_store_n(&shard->flush_at_s, at_s, __ATOMIC_RELEASE);
}

void snug_shard_flush(snug_shard *shard, int64_t at_s) {
	if (shard == NULL) return;
	if (at_s > (int64_t)shard_now_s(shard)) {
		shard_tick(shard); /* an earlier one whose time has come while nobody asked */
		set_flush_at(shard, at_s == SNUG_FLUSH_NEVER ? 0 : at_s);
		return;
	}
	/* all there is may have been flushed before */
	if (shard->live.items > 0) flush_all(shard);
	set_flush_at(shard, 0);
}

/* ------------------------------------------------------------------ when ------------------- */

static uint64_t many_items(const snug_shard *shard) {
	return divide_up(shard->linked, MANY_SHARE);
}

static uint64_t many_pause_s(const snug_shard *shard) {
	return MANY_PAUSE_S + shard->linked / MANY_PAUSE_ITEMS;
}

static uint64_t few_pause_s(const snug_shard *shard) {
	return FEW_PAUSE_S + shard->linked / FEW_PAUSE_ITEMS;
}

/* When the next round begins by what is known now, were it only for items that expire; UINT64_MAX:
 * never. */
static uint64_t round_at_s(const snug_shard *shard) {
	if (shard->expiring == 0) return UINT64_MAX;
	uint64_t many_from_s = expiries_when(&shard->expiries, many_items(shard));
	uint64_t many_at_s = larger(many_from_s, shard->sweep_round_s + many_pause_s(shard));
	uint64_t few_at_s = larger(shard->earliest_s, shard->sweep_round_s + few_pause_s(shard));
	return many_from_s == EXPIRIES_NONE ? few_at_s : smaller(many_at_s, few_at_s);
}

/* A look-up does not find what has expired anyway. */
static bool sweep_is_due(const snug_shard *shard) {
	if (is_flushed_left(shard)) return true;
	if (shard->expiring == 0) return false;
	if (shard->sweep_hand != 0) return true;
	uint32_t now_s = shard_now_s(shard);
	if (shard->earliest_s > now_s) return false;
	return now_s < shard->sweep_round_s /* the clock was set back */ || now_s >= round_at_s(shard);
}

uint64_t shard_sweep_rest_s(const snug_shard *shard) {
	uint64_t now_s = shard_now_s(shard), at_s = round_at_s(shard);
	if (sweep_is_due(shard)) return 0;
	if (shard->flush_at_s != 0) at_s = smaller(at_s, (uint64_t)shard->flush_at_s);
	if (at_s == UINT64_MAX) return UINT64_MAX;
	return at_s > now_s ? at_s - now_s : 0;
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
	if (!sweep_is_due(shard)) return false;
	for (uint32_t place = 0; place < SLICE_PLACES; place++)
		if (!sweep(shard)) return false;
	return true;
}

bool snug_shard_may_expire(const snug_shard *shard) {
	return shard != NULL &&
		   (shard->expiring > 0 || is_flushed_left(shard) || shard->flush_at_s != 0);
}
