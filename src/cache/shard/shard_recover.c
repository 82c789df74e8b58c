/* cache/shard/shard_recover.c: the items of a shard whose process was killed.
 *
 * The index is the truth. An entry is written whole, after the item that it names, and is gone before
 * that is given up. So each entry that was left names a whole item, but for one that was being changed
 * in place, which a word names. Each is certified all the same, for the file may be damaged:
 *
 *     entry -> slot    of a slab, by the page's descriptor; or a whole chain of fragments
 *           -> item    its head and key within the slot, its length as the slot's or chain's
 *           -> key     its hash has the entry's tag, and no entry before was of that key
 *
 * What was flushed or has expired is left behind, and so is what was evicted or deleted: no entry
 * names it. Counters are counted again. CAS numbers go on above all that were given: the last one was
 * counted before it was told. What eviction has learnt is taken if it can be that; ghosts are not.
 *
 * Nothing that was left is changed. Who is killed here has made parts that nobody holds.
 *
 * A batch of entries is gone through twice (cache/index/index_left.h):
 *
 *     by addresses   items that lie whole in one slot are looked at, taken, and their hashes noted
 *     as they lay    entries whose hash is known are put into the new index; all others are looked at
 *                    and taken one by one: chains, what has expired, what is damaged or met twice
 *
 * COST. One look at each item, and a line or two of it. Space for a second index and second tables:
 * docs/design/0011-memory-files.md has the figures. */
#include "base/assert.h"
#include "base/bits.h"
#include "cache/index/index_left.h"
#include "cache/shard/shard_state.h"
#include "mem/heap_recover.h"
#include "work/key_hash.h"

/* a larger number from outside is that item's alone */
#define CAS_OWN_MAX (UINT64_MAX / 2)

/* In the place of a hash: it is not known, and the item was not taken. A hash that is 0 counts as that. */
#define HASH_UNKNOWN 0u

#define LINKED_AT_ONCE 64u

struct recovering {
	snug_shard *shard;
	const snug_shard *left;
	struct heap_recovery *heap;
	uint32_t now_s;     /* when it began */
	struct tally taken; /* by addresses, without an expiry, and not counted in the shard yet */
	uint64_t cas_last;
	snug_error error;
};

static snug_key key_at(const snug_shard *shard, snug_ref ref, uint64_t hash) {
	const void *item = snug_ref_at(shard->heap, ref);
	struct item_head head = item_read(item);
	return (snug_key){item_key(item, &head), head.key_bytes, hash};
}

static bool is_same_key(const snug_key *key, const snug_key *other) {
	return key->length == other->length && memcmp(key->bytes, other->bytes, key->length) == 0;
}

/* An entry of the item's key is there already: of the same item, if it was met twice. */
static bool is_there(const snug_shard *shard, snug_ref ref, uint64_t hash, bool *is_same) {
	struct probe probe = index_probe(&shard->index, hash);
	while (probe_next(&probe)) {
		snug_ref other_ref = entry_ref(*probe.entry);
		*is_same = other_ref == ref;
		if (*is_same) return true;
		snug_key key = key_at(shard, ref, hash), other = key_at(shard, other_ref, hash);
		if (is_same_key(&key, &other)) return true;
	}
	return false;
}

static bool has_expired(const struct recovering *recovering, const struct item_head *head) {
	return head->expires_at_s != 0 && head->expires_at_s <= recovering->now_s;
}

static void note_cas(struct recovering *recovering, const struct item_head *head) {
	if (head->cas > recovering->cas_last && head->cas <= CAS_OWN_MAX)
		recovering->cas_last = head->cas;
}

/* ------------------------------------------------------------------ one by one -------------- */

/* An entry, and what it leads to. */
struct met {
	struct left_slot slot;
	struct item_head head;
	uint64_t hash;
};

static bool read_item(const struct recovering *recovering, uint64_t entry, struct met *met) {
	size_t bytes;
	snug_ref ref = entry_ref(entry);
	const void *item = heap_recover_look(recovering->heap, ref, &met->slot, &bytes);
	if (item == NULL || ref == recovering->left->in_place ||
		!item_read_within(item, bytes, &met->head))
		return false;
	if (met->head.value_bytes > SNUG_VALUE_BYTES_MAX) return false;
	met->hash = key_hash(item_key(item, &met->head), met->head.key_bytes);
	return entry >> TAG_SHIFT == (met->hash & 0xFFF);
}

/* OK: it is the new shard's, or is not to be. CORRUPT: it can't be an item. */
static snug_error take(struct recovering *recovering, uint64_t entry) {
	snug_shard *shard = recovering->shard;
	snug_ref ref = entry_ref(entry);
	struct met met;
	bool is_same;
	if (!read_item(recovering, entry, &met)) return SNUG_ERROR_CORRUPT;
	if (is_there(shard, ref, met.hash, &is_same)) return is_same ? SNUG_OK : SNUG_ERROR_CORRUPT;
	if (has_expired(recovering, &met.head)) return SNUG_OK;
	snug_error error = index_prepare(&shard->index);
	if (!error) error = heap_recover_take(recovering->heap, ref, &met.slot, item_bytes(&met.head));
	if (!error) error = index_add(&shard->index, met.hash, ref, entry_meta(entry));
	if (error) return error;
	shard_count(shard, met.hash, &met.head, true);
	note_cas(recovering, &met.head);
	return SNUG_OK;
}

/* ------------------------------------------------------------------ by addresses ------------ */

/* The hash of the item's key, which is taken; or HASH_UNKNOWN. */
static inline uint64_t take_at(struct recovering *recovering, snug_ref ref) {
	struct item_head head;
	uint32_t slot;
	const struct recovered_page *page = heap_recover_find(recovering->heap, ref, &slot);
	if (page == NULL || !heap_recover_is_free(page, slot) || ref == recovering->left->in_place)
		return HASH_UNKNOWN;
	const char *item = address_of(&recovering->heap->heap->arena, ref);
	if (!item_read_within(item, page->stride, &head) || item_bytes(&head) > page->stride ||
		head.value_bytes > page->stride || has_expired(recovering, &head))
		return HASH_UNKNOWN;
	uint64_t hash = key_hash(item_key(item, &head), head.key_bytes);
	if (hash == HASH_UNKNOWN) return HASH_UNKNOWN;
	heap_recover_take_slot(recovering->heap, page, slot, item_bytes(&head));
	if (head.expires_at_s != 0)
		shard_count(recovering->shard, hash, &head, true);
	else
		tally_add_item(&recovering->taken, &head);
	note_cas(recovering, &head);
	return hash;
}

/* Asks for those that come a little later before each is looked at. */
static void take_by_addresses(struct recovering *recovering, const struct left_batch *batch) {
	uint64_t *places = batch->places;
	for (uint32_t i = 0; i < LEFT_AHEAD; i++) heap_recover_prefetch(recovering->heap, places[i]);
	for (uint32_t i = 0; i < batch->count; i++) {
		heap_recover_prefetch(recovering->heap, places[i + LEFT_AHEAD]);
		places[i] = take_at(recovering, places[i]);
	}
	shard_count_many(recovering->shard, &recovering->taken);
	recovering->taken = (struct tally){0};
}

/* ------------------------------------------------------------------ as they lay ------------- */

/* The entry is not its item's, or another one has its key: it goes as it has come. */
static void untake(struct recovering *recovering, snug_ref ref, uint64_t hash) {
	struct item_head head = item_read(snug_ref_at(recovering->shard->heap, ref));
	shard_count(recovering->shard, hash, &head, false);
	heap_recover_untake(recovering->heap, ref, item_bytes(&head));
}

/* Into a bucket that is full, or has an entry with the same tag. */
static snug_error link_with_care(struct recovering *recovering, uint64_t entry, uint64_t hash) {
	struct index *index = &recovering->shard->index;
	snug_ref ref = entry_ref(entry);
	bool is_same;
	if (is_there(recovering->shard, ref, hash, &is_same)) {
		SNUG_ASSERT(!is_same); /* a slot is taken once */
		untake(recovering, ref, hash);
		return SNUG_ERROR_CORRUPT;
	}
	snug_error error = index_prepare(index);
	return error ? error : index_add(index, hash, ref, entry_meta(entry));
}

/* Its item was taken. */
static inline snug_error link_entry(struct recovering *recovering, uint64_t entry, uint64_t hash) {
	struct index *index = &recovering->shard->index;
	SNUG_ASSERT(snug_ref_is_contiguous(entry_ref(entry)));
	if (entry >> TAG_SHIFT != (hash & 0xFFF)) {
		untake(recovering, entry_ref(entry), hash);
		return SNUG_ERROR_CORRUPT;
	}
	uint64_t *room = index_room(index, hash);
	if (room == NULL) return link_with_care(recovering, entry, hash);
	entry_set(room, entry);
	index->count++;
	return SNUG_OK;
}

/* What was noted of these entries; those that are to be looked at are asked for. */
static void recall(const struct recovering *recovering, const struct left_batch *batch,
				   const uint64_t *entries, uint32_t count, uint64_t *hashes) {
	SNUG_ASSERT(count > 0 && count <= LINKED_AT_ONCE);
	for (uint32_t i = 0; i < count; i++) {
		hashes[i] = left_noted(batch, entries[i]);
		if (hashes[i] == HASH_UNKNOWN)
			heap_recover_prefetch(recovering->heap, entry_ref(entries[i]));
	}
}

static void link_some(struct recovering *recovering, const uint64_t *entries, uint32_t count,
					  const uint64_t *hashes) {
	for (uint32_t i = 0; i < count && !recovering->error; i++) {
		snug_error error = hashes[i] == HASH_UNKNOWN
							   ? take(recovering, entries[i])
							   : link_entry(recovering, entries[i], hashes[i]);
		if (error == SNUG_ERROR_CORRUPT)
			recovering->shard->recovered.dropped++;
		else
			recovering->error = error;
	}
}

static bool take_batch(void *context, const struct left_batch *batch) {
	struct recovering *recovering = context;
	uint64_t hashes[LINKED_AT_ONCE];
	take_by_addresses(recovering, batch);
	for (uint32_t first = 0; first < batch->count && !recovering->error; first += LINKED_AT_ONCE) {
		uint32_t count = (uint32_t)smaller(LINKED_AT_ONCE, batch->count - first);
		recall(recovering, batch, batch->entries + first, count, hashes);
		link_some(recovering, batch->entries + first, count, hashes);
	}
	SNUG_ASSERT(recovering->error || recovering->shard->index.count == recovering->shard->linked);
	return recovering->error == SNUG_OK;
}

/* ------------------------------------------------------------------ all of it --------------- */

/* What is neither an item nor counted from them. */
static void take_figures(snug_shard *shard, const snug_shard *left) {
	shard->flush_at_s = left->flush_at_s;
	shard->cas_last = left->cas_last <= CAS_OWN_MAX ? left->cas_last : 0;
	shard->hand = left->hand;
	memcpy(shard->tick_s, left->tick_s, sizeof shard->tick_s);
	rank_learn(&shard->rank, &left->rank);
	SNUG_ASSERT(shard->rank.tick_bytes > 0);
	uint64_t now_ns = shard->os->now_ns(shard->os->context);
	bool is_clock = left->epoch.begun_s >= 0 && left->epoch.begun_s < UINT32_MAX &&
					left->epoch.begun_ns <= now_ns;
	if (is_clock) shard->epoch = left->epoch;
	expiries_begin(&shard->expiries, shard_now_s(shard));
}

snug_error shard_recover_items(snug_shard *shard, const snug_shard *left,
							   struct heap_recovery *heap) {
	const struct root_facts *facts = memory_segment_facts(shard->segment, ROOT_SHARD);
	struct recovering recovering = {.shard = shard, .left = left, .heap = heap};
	struct index_left index;
	SNUG_ASSERT(shard != left && shard->heap == heap->heap && shard->index.count == 0);
	if (!index_left_init(&index, &left->index, shard->segment, facts->fact[FACT_GROUPS],
						 facts->fact[FACT_SPILLS]))
		return SNUG_ERROR_CORRUPT;
	take_figures(shard, left);
	uint64_t entries;
	if (!index_left_count(&index, &entries)) return SNUG_ERROR_OS_MEMORY;
	snug_error error = index_presize(&shard->index, entries);
	if (error) return error;
	recovering.now_s = shard_now_s(shard);
	recovering.cas_last = shard->cas_last;
	if (!index_left_visit(&index, entries, take_batch, &recovering))
		return recovering.error ? recovering.error : SNUG_ERROR_OS_MEMORY;
	shard->cas_last = recovering.cas_last;
	shard->recovered.items = shard->live.items;
	SNUG_ASSERT(shard->live.items == shard->index.count);
	return SNUG_OK;
}
