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
 * COST. One look at each item, nearly in the order of addresses within a range of hashes
 * (cache/index/index_left.h), so that both the items and the new index's buckets lie side by side:
 * docs/design/0011-memory-files.md has the figures. Space for a second index and second tables. */
#include "base/assert.h"
#include "base/bits.h"
#include "cache/index/index_left.h"
#include "cache/shard/shard_state.h"
#include "mem/heap_recover.h"
#include "work/key_hash.h"

/* a larger number from outside is that item's alone */
#define CAS_OWN_MAX (UINT64_MAX / 2)

/* as many lines as a processor asks for at once, and some */
#define AT_ONCE 32u

struct recovering {
	snug_shard *shard;
	const snug_shard *left;
	struct heap_recovery *heap;
	snug_error error;
};

/* An entry of this key is there already: of the same item, if it was met twice. */
static bool is_there(const snug_shard *shard, const snug_key *key, snug_ref ref, bool *is_same) {
	struct probe probe = index_probe(&shard->index, key->hash);
	while (probe_next(&probe)) {
		snug_ref other_ref = entry_ref(*probe.entry);
		const void *other = snug_ref_at(shard->heap, other_ref);
		struct item_head head = item_read(other);
		*is_same = other_ref == ref;
		if (*is_same || (head.key_bytes == key->length &&
						 memcmp(item_key(other, &head), key->bytes, key->length) == 0))
			return true;
	}
	return false;
}

/* An entry, and what it leads to. */
struct met {
	uint64_t entry;
	struct left_slot slot;
	struct item_head head;
	snug_key key;
	bool is_item; /* the rest is known */
};

static bool read_item(const struct recovering *recovering, struct met *met) {
	size_t bytes;
	snug_ref ref = entry_ref(met->entry);
	const void *item = heap_recover_look(recovering->heap, ref, &met->slot, &bytes);
	if (item == NULL || ref == recovering->left->in_place ||
		!item_read_within(item, bytes, &met->head))
		return false;
	if (met->head.value_bytes > SNUG_VALUE_BYTES_MAX) return false;
	const char *key = item_key(item, &met->head);
	met->key = (snug_key){key, met->head.key_bytes, key_hash(key, met->head.key_bytes)};
	return met->entry >> TAG_SHIFT == (met->key.hash & 0xFFF);
}

/* OK: it is the new shard's. CORRUPT: it can't be an item. */
static snug_error take(struct recovering *recovering, const struct met *met) {
	snug_shard *shard = recovering->shard;
	snug_ref ref = entry_ref(met->entry);
	bool is_same;
	if (!met->is_item) return SNUG_ERROR_CORRUPT;
	if (is_there(shard, &met->key, ref, &is_same)) return is_same ? SNUG_OK : SNUG_ERROR_CORRUPT;
	if (shard_is_expired(shard, &met->head)) return SNUG_OK;
	snug_error error = index_prepare(&shard->index);
	if (!error)
		error = heap_recover_take(recovering->heap, ref, &met->slot, item_bytes(&met->head));
	if (!error) error = index_add(&shard->index, met->key.hash, ref, entry_meta(met->entry));
	if (error) return error;
	shard_count(shard, met->key.hash, &met->head, true);
	SNUG_ASSERT(shard->index.count == shard->linked && shard->linked == shard->live.items);
	if (met->head.cas > shard->cas_last && met->head.cas <= CAS_OWN_MAX)
		shard->cas_last = met->head.cas;
	return SNUG_OK;
}

static void prefetch(const struct recovering *recovering, const uint64_t *entries, uint32_t count) {
	for (uint32_t i = 0; i < count; i++)
		heap_recover_prefetch(recovering->heap, entry_ref(entries[i]));
}

/* Asks for the buckets of all, then takes them. */
static bool take_some(struct recovering *recovering, const uint64_t *entries, uint32_t count) {
	struct met met[AT_ONCE];
	SNUG_ASSERT(count <= AT_ONCE);
	for (uint32_t i = 0; i < count; i++) {
		met[i].entry = entries[i];
		met[i].is_item = read_item(recovering, &met[i]);
		if (met[i].is_item) index_prefetch(&recovering->shard->index, met[i].key.hash);
	}
	for (uint32_t i = 0; i < count; i++) {
		snug_error error = take(recovering, &met[i]);
		if (error == SNUG_ERROR_CORRUPT)
			recovering->shard->recovered.dropped++;
		else if (error)
			recovering->error = error;
	}
	return recovering->error == SNUG_OK;
}

/* Asks for the items of the next ones before these are looked at. */
static bool take_entries(void *context, const uint64_t *entries, uint32_t count) {
	struct recovering *recovering = context;
	prefetch(recovering, entries, (uint32_t)smaller(count, AT_ONCE));
	for (uint32_t first = 0; first < count; first += AT_ONCE) {
		uint32_t left = count - first, now = (uint32_t)smaller(left, AT_ONCE);
		prefetch(recovering, entries + first + now, (uint32_t)smaller(left - now, AT_ONCE));
		if (!take_some(recovering, entries + first, now)) return false;
	}
	return true;
}

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
	if (!index_left_visit(&index, take_entries, &recovering))
		return recovering.error ? recovering.error : SNUG_ERROR_OS_MEMORY;
	shard->recovered.items = shard->live.items;
	SNUG_ASSERT(shard->live.items == shard->index.count);
	return SNUG_OK;
}
