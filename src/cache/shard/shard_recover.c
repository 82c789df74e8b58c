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
 * COST. One look at each item, in the order of the old index, which is the order of the new one:
 * docs/design/0011-memory-files.md has the figures. Space for a second index and second tables. */
#include "base/assert.h"
#include "base/bits.h"
#include "cache/index/index_left.h"
#include "cache/shard/shard_state.h"
#include "mem/heap_recover.h"
#include "work/key_hash.h"

/* a larger number from outside is that item's alone */
#define CAS_OWN_MAX (UINT64_MAX / 2)

struct recovering {
	snug_shard *shard;
	const snug_shard *left;
	struct heap_recovery *heap;
	uint64_t entries; /* in the old index, some of them twice */
	snug_error error;
};

static bool count_entries(void *context, const uint64_t *entries, uint32_t count) {
	struct recovering *recovering = context;
	(void)entries;
	SNUG_ASSERT(count > 0);
	recovering->entries += count;
	return true;
}

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

static bool read_item(const struct recovering *recovering, uint64_t entry, struct item_head *head,
					  snug_key *key) {
	size_t bytes;
	const void *item = heap_recover_look(recovering->heap, entry_ref(entry), &bytes);
	if (item == NULL || entry_ref(entry) == recovering->left->in_place ||
		!item_read_within(item, bytes, head))
		return false;
	if (head->value_bytes > SNUG_VALUE_BYTES_MAX) return false;
	*key = (snug_key){item_key(item, head), head->key_bytes, 0};
	key->hash = key_hash(key->bytes, key->length);
	return entry >> TAG_SHIFT == (key->hash & 0xFFF);
}

/* OK: it is the new shard's. CORRUPT: it can't be an item. */
static snug_error take(struct recovering *recovering, uint64_t entry) {
	snug_shard *shard = recovering->shard;
	snug_ref ref = entry_ref(entry);
	struct item_head head;
	snug_key key;
	bool is_same;
	if (!read_item(recovering, entry, &head, &key)) return SNUG_ERROR_CORRUPT;
	if (is_there(shard, &key, ref, &is_same)) return is_same ? SNUG_OK : SNUG_ERROR_CORRUPT;
	if (shard_is_expired(shard, &head)) return SNUG_OK;
	snug_error error = index_prepare(&shard->index);
	if (!error) error = heap_recover_take(recovering->heap, ref, item_bytes(&head));
	if (!error) error = index_add(&shard->index, key.hash, ref, entry_meta(entry));
	if (error) return error;
	shard_count(shard, key.hash, &head, true);
	SNUG_ASSERT(shard->index.count == shard->linked && shard->linked == shard->live.items);
	if (head.cas > shard->cas_last && head.cas <= CAS_OWN_MAX) shard->cas_last = head.cas;
	return SNUG_OK;
}

static bool take_entries(void *context, const uint64_t *entries, uint32_t count) {
	struct recovering *recovering = context;
	for (uint32_t i = 0; i < count; i++)
		heap_recover_prefetch(recovering->heap, entry_ref(entries[i]));
	for (uint32_t i = 0; i < count; i++)
		heap_recover_prefetch_object(recovering->heap, entry_ref(entries[i]));
	for (uint32_t i = 0; i < count; i++) {
		snug_error error = take(recovering, entries[i]);
		if (error == SNUG_ERROR_CORRUPT)
			recovering->shard->recovered.dropped++;
		else if (error)
			recovering->error = error;
	}
	return recovering->error == SNUG_OK;
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
	if (!index_left_visit(&index, count_entries, &recovering)) return SNUG_ERROR_OS_MEMORY;
	snug_error error = index_presize(&shard->index, recovering.entries);
	if (error) return error;
	if (!index_left_visit(&index, take_entries, &recovering))
		return recovering.error ? recovering.error : SNUG_ERROR_OS_MEMORY;
	shard->recovered.items = shard->live.items;
	SNUG_ASSERT(shard->live.items == shard->index.count);
	return SNUG_OK;
}
