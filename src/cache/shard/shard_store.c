/* cache/shard/shard_store.c: storing: the new item is written whole, and then takes the place of
 * the old one, so that a refusal loses nothing (law K3).
 *
 *     1. key and size are checked; a flush whose time has come is done
 *     2. memory for the item, compacting and evicting if need be
 *     3. head, key and value are written
 *     4. linked: the entry of the old item names the new one, or a new entry, for which the index
 *        may need memory too
 *     5. the old item is freed, or left to its lease
 *
 * Where the old item has the same head and size and nobody holds it, the new one is written over
 * it: no memory is taken, and the entry stays.
 *
 * Taking memory may move or evict anything. What must survive it is `watched`: followed, and not
 * evicted. In step 2 that is the old item when its value is needed for the new one (append, a new
 * field), in step 4 the new item itself.
 *
 * A SET that is refused for room or size takes the old value with it: who meant to replace it must
 * not read it for the new one. The refusal of shard_set leaves what there was: for conditional
 * stores and numbers.
 *
 * A FULL CACHE makes room for its index as well. If the index waited until memory is free it would
 * never grow, and small items that take the place of large ones would fill its groups until they
 * are slow.
 *
 * A CAS number is given when somebody asks for it: an item that has none is stored anew with one.
 * Numbers from outside are followed, so that the next own one is greater, but for those above 2^63,
 * or the own ones would soon begin anew. */
#include "base/assert.h"
#include "base/bits.h"
#include "cache/shard/shard_find.h"
#include "cache/shard/shard_sweep.h"
#include "mem/object/extents.h"
#include "mem/object/pins.h"

/* a larger number from outside stays that item's alone, or our own would soon begin anew */
#define CAS_FOLLOWED_MAX (UINT64_MAX / 2)

/* A large value has room for all fields: so whatever its attributes, its size decides. */
static __attribute__((noinline)) snug_error check_large(const snug_shard *shard,
														const snug_key *key, size_t value_bytes) {
	size_t max_bytes = shard->options.item_max_bytes;
	if (value_bytes > max_bytes || key->length + value_bytes > max_bytes)
		return SNUG_ERROR_SIZE_TOO_LARGE;
	size_t head_bytes = item_head_bytes(MARKS_FIELDS, (uint32_t)value_bytes);
	return shard_can_ever_fit(shard, head_bytes + key->length + value_bytes)
			   ? SNUG_OK
			   : SNUG_ERROR_SIZE_TOO_LARGE;
}

static inline __attribute__((always_inline)) snug_error begin_store(snug_shard *shard,
																	const snug_key *key,
																	size_t value_bytes) {
	if (shard == NULL || key == NULL || key->bytes == NULL) return SNUG_ERROR_NULL;
	shard_tick(shard);
	if (key->length - 1 >= SNUG_KEY_BYTES_MAX) return SNUG_ERROR_KEY;
	if (LIKELY(value_bytes <= shard->unasked_max_bytes &&
			   key->length + value_bytes <= shard->unasked_max_bytes))
		return SNUG_OK;
	return check_large(shard, key, value_bytes);
}

snug_error shard_begin_store(snug_shard *shard, const snug_key *key, size_t value_bytes) {
	return begin_store(shard, key, value_bytes);
}

struct item_head shard_head(snug_shard *shard, const snug_key *key,
							const snug_attributes *attributes, size_t value_bytes) {
	static const snug_attributes none = {0};
	const snug_attributes *given = attributes == NULL ? &none : attributes;
	struct item_head head = {
		.key_bytes = (uint8_t)key->length,
		.value_bytes = (uint32_t)value_bytes,
		.expires_at_s = given->expires_at_s,
		.client_flags = given->client_flags,
		.cas = given->cas,
	};
	if (head.expires_at_s != 0) head.marks |= MARK_EXPIRY;
	if (head.client_flags != 0) head.marks |= MARK_CLIENT_FLAGS;
	if (head.cas != 0) {
		head.marks |= MARK_CAS;
		if (head.cas > shard->cas_last && head.cas <= CAS_FOLLOWED_MAX) shard->cas_last = head.cas;
	}
	if (given->is_stale) head.marks |= MARK_STALE;
	if (given->is_won) head.marks |= MARK_WON;
	if (UNLIKELY(value_bytes >= ITEM_FIELDS_BYTES)) head.marks |= MARKS_FIELDS;
	head.head_bytes = (uint8_t)item_head_bytes(head.marks, head.value_bytes);
	SNUG_ASSERT(key->length > 0 && key->length <= SNUG_KEY_BYTES_MAX);
	return head;
}

/* ------------------------------------------------------------------ into the index --------- */

static void step_index(snug_shard *shard) {
	if (LIKELY(!index_wants_step(&shard->index))) return;
	bool sparse = index_is_sparse(&shard->index);
	snug_error error = index_step(&shard->index);
	while (error && !sparse && shard_make_table_room(shard, error))
		error = index_step(&shard->index);
	candidates_forget(&shard->candidates);
}

/* Where the OS gives no memory, or takes no page back, the index can't grow; it has room again when
 * it has fewer entries: a spill bucket comes free within some dozens. */
#define INDEX_EVICTIONS 256u

static bool make_entry_room(snug_shard *shard, snug_error error, uint32_t *left) {
	if (error != SNUG_ERROR_OS_MEMORY) return shard_make_table_room(shard, error);
	bool has_spilled = shard->index.spills_made > shard->index.spills_free_count;
	return has_spilled && (*left)-- > 0 && shard_make_room(shard) > 0;
}

/* What the entry needs. */
static inline snug_error prepare_entry(snug_shard *shard) {
	if (LIKELY(shard->index.spills_free_count > 0)) return SNUG_OK;
	snug_error error = index_prepare(&shard->index);
	uint32_t left = INDEX_EVICTIONS;
	while (error && make_entry_room(shard, error, &left)) error = index_prepare(&shard->index);
	return error;
}

/* What the entry needs comes first, which mostly is there: without it the item is refused, and then
 * nothing goes for the rest, which may be refused and waits. `*ref`, in no index yet, may move. */
static snug_error prepare_index(snug_shard *shard, snug_ref *ref) {
	SNUG_ASSERT(shard->watched == 0 && *ref != 0);
	shard->watched = *ref;
	snug_error error = prepare_entry(shard);
	if (!error) {
		shard_fit_ghosts(shard);
		step_index(shard);
		error = prepare_entry(shard);
	}
	*ref = shard->watched;
	shard->watched = 0;
	return error;
}

static snug_error add_to_index(snug_shard *shard, const snug_key *key, uint32_t bytes,
							   snug_ref *ref) {
	snug_error error = prepare_index(shard, ref);
	if (error) return error;
	error = index_add(&shard->index, key->hash, *ref, shard_rank_insert(shard, key->hash, bytes));
	if (!error && !shard->options.no_eviction) shard_follow_newcomer(shard, key->hash);
	return error;
}

/* As shard_link, of a key that has no item. */
static snug_error link_new(snug_shard *shard, const snug_key *key, snug_ref ref,
						   const struct item_head *head) {
	shard->stats.stores++;
	recent_use(&shard->recent, key->hash, shard_now_s(shard));
	snug_error error = add_to_index(shard, key, item_bytes(head), &ref);
	if (error) {
		snug_error freed = snug_ref_free(shard->heap, ref, item_bytes(head));
		SNUG_ASSERT(!freed);
		(void)freed;
		shard->stats.refused++;
		return error;
	}
	shard_count(shard, key->hash, head, true);
	SNUG_ASSERT(shard->index.count == shard->linked);
	return SNUG_OK;
}

snug_error shard_link(snug_shard *shard, const snug_key *key, snug_ref ref,
					  const struct item_head *head) {
	struct probe probe;
	struct item_head old;
	if (shard_look_up(shard, key, &probe, &old)) {
		shard->stats.stores++;
		recent_use(&shard->recent, key->hash, shard_now_s(shard));
		snug_ref old_ref = entry_ref(*probe.entry);
		SNUG_ASSERT(old_ref != ref);
		uint32_t meta = rank_hit(&shard->rank, (rank_meta)entry_meta(*probe.entry));
		struct change change = index_begin_change(&shard->index, probe.group);
		entry_set(probe.entry, entry_with_meta(entry_with_ref(*probe.entry, ref), meta));
		version_end_change(change);
		shard_recount(shard, key->hash, &old, head);
		if (snug_ref_free(shard->heap, old_ref, item_bytes(&old)) == SNUG_ERROR_PINNED)
			((unsigned char *)snug_ref_at(shard->heap, old_ref))[1] = KEY_UNLINKED;
		return SNUG_OK;
	}
	return link_new(shard, key, ref, head);
}

/* ------------------------------------------------------------------ storing ---------------- */

static void write_value(snug_shard *shard, snug_ref ref, const struct item_head *head,
						size_t offset, const void *bytes, size_t length) {
	size_t at = (size_t)head->head_bytes + head->key_bytes + offset;
	SNUG_ASSERT(offset <= head->value_bytes && length <= head->value_bytes - offset);
	if (length == 0) return;
	if (LIKELY(snug_ref_is_contiguous(ref))) {
		memcpy((char *)snug_ref_at(shard->heap, ref) + at, bytes, length);
	} else {
		snug_error error = snug_ref_write(shard->heap, ref, item_bytes(head), at, bytes, length);
		SNUG_ASSERT(!error);
		(void)error;
	}
}

static void write_head(snug_shard *shard, snug_ref ref, const struct item_head *head,
					   const snug_key *key) {
	char *item = snug_ref_at(shard->heap, ref);
	item_write(item, head);
	memcpy(item + head->head_bytes, key->bytes, key->length);
}

/* Same fields and lengths, and nobody looks at the old bytes. */
static bool fits_in_place(const snug_shard *shard, snug_ref ref, const struct item_head *old,
						  const struct item_head *head) {
	return snug_ref_is_contiguous(ref) && old->head_bytes == head->head_bytes &&
		   old->value_bytes == head->value_bytes &&
		   (shard->heap->pins.count == 0 || pin_count(shard->heap, ref) == 0);
}

static snug_error alloc(snug_shard *shard, const struct item_head *head, snug_ref *out) {
	snug_error error =
		shard_alloc(shard, item_bytes(head), (size_t)head->head_bytes + head->key_bytes, true, out);
	if (error) shard->stats.refused++;
	return error;
}

/* In memory of its own. Nobody else stores: a key that was not there is not there afterwards. */
static __attribute__((noinline)) snug_error store_item(snug_shard *shard, const snug_key *key,
													   const struct item_head *head,
													   const void *value, bool is_new) {
	snug_ref ref;
	if (is_new) ghosts_prefetch(&shard->ghosts, key->hash);
	snug_error error = alloc(shard, head, &ref);
	if (error) return error;
	write_head(shard, ref, head, key);
	write_value(shard, ref, head, 0, value, head->value_bytes);
	return (is_new ? link_new : shard_link)(shard, key, ref, head);
}

snug_error shard_set(snug_shard *shard, const snug_key *key, const snug_attributes *attributes,
					 const void *value, size_t length) {
	snug_error error = begin_store(shard, key, length);
	if (error) return error;
	if (value == NULL && length > 0) return SNUG_ERROR_NULL;
	struct item_head head = shard_head(shard, key, attributes, length), old;
	struct probe probe;
	if (!shard_look_up(shard, key, &probe, &old)) return store_item(shard, key, &head, value, true);
	if (fits_in_place(shard, entry_ref(*probe.entry), &old, &head)) {
		snug_ref ref = entry_ref(*probe.entry);
		uint32_t meta = rank_hit(&shard->rank, (rank_meta)entry_meta(*probe.entry));
		struct change change = index_begin_change(&shard->index, probe.group);
		shard_begin_in_place(shard, ref);
		item_write(snug_ref_at(shard->heap, ref), &head);
		write_value(shard, ref, &head, 0, value, length);
		shard_end_in_place(shard);
		entry_set(probe.entry, entry_with_meta(*probe.entry, meta));
		version_end_change(change);
		shard_recount(shard, key->hash, &old, &head);
		recent_use(&shard->recent, key->hash, shard_now_s(shard));
		shard->stats.stores++;
		return SNUG_OK;
	}
	return store_item(shard, key, &head, value, false);
}

snug_error shard_refuse_set(snug_shard *shard, const snug_key *key, snug_error error) {
	if (error != SNUG_ERROR_SIZE_TOO_LARGE && error != SNUG_ERROR_NO_MEMORY &&
		error != SNUG_ERROR_OS_MEMORY)
		return error;
	snug_error removed = snug_shard_delete(shard, key);
	(void)removed; /* there may have been none */
	return error;
}

snug_error snug_shard_set(snug_shard *shard, const snug_key *key, const snug_attributes *attributes,
						  const void *value, size_t length) {
	snug_error error = shard_set(shard, key, attributes, value, length);
	return LIKELY(!error) ? SNUG_OK : shard_refuse_set(shard, key, error);
}

/* ------------------------------------------------------------------ storing anew ----------- */

/* An item like `item`, with another head and `gap` bytes before or behind its value, which the
 * caller writes. `item->ref` is followed. */
static snug_error copy_item(snug_shard *shard, const snug_key *key, const snug_item *item,
							const struct item_head *head, size_t value_at, snug_ref *out) {
	snug_ref ref;
	SNUG_ASSERT(shard->watched == 0 && value_at + item->value_bytes <= head->value_bytes);
	shard->watched = item->ref;
	snug_error error = alloc(shard, head, &ref);
	snug_ref from = shard->watched;
	shard->watched = 0;
	if (error) return error;
	write_head(shard, ref, head, key);
	size_t to_at = (size_t)head->head_bytes + head->key_bytes + value_at;
	extents_copy(extents_of(shard->heap, ref, to_at, item->value_bytes),
				 extents_of(shard->heap, from, item->value_offset, item->value_bytes));
	*out = ref;
	return SNUG_OK;
}

snug_error snug_shard_extend(snug_shard *shard, const snug_key *key, const snug_item *item,
							 const snug_attributes *attributes, const void *bytes, size_t length,
							 bool in_front) {
	if (item == NULL || (bytes == NULL && length > 0)) return SNUG_ERROR_NULL;
	if (length > SNUG_VALUE_BYTES_MAX) return SNUG_ERROR_SIZE_TOO_LARGE;
	struct probe probe;
	struct item_head old;
	snug_error error = shard_begin_store(shard, key, item->value_bytes + length);
	if (error) return error;
	if (!shard_find_again(shard, key, &probe, &old, item->ref)) return SNUG_ERROR_NOT_FOUND;
	struct item_head head = shard_head(shard, key, attributes, item->value_bytes + length);
	snug_ref ref;
	error = copy_item(shard, key, item, &head, in_front ? length : 0, &ref);
	if (error) return error;
	write_value(shard, ref, &head, in_front ? 0 : item->value_bytes, bytes, length);
	return shard_link(shard, key, ref, &head);
}

snug_error snug_shard_change(snug_shard *shard, const snug_key *key, snug_item *item,
							 const snug_attributes *attributes) {
	struct probe probe;
	struct item_head old;
	if (item == NULL || attributes == NULL) return SNUG_ERROR_NULL;
	snug_error error = shard_begin_store(shard, key, 0);
	if (error) return error;
	if (!shard_find_again(shard, key, &probe, &old, item->ref)) return SNUG_ERROR_NOT_FOUND;
	struct item_head head = shard_head(shard, key, attributes, item->value_bytes);
	/* no field is taken away: the item need not be stored anew for that */
	head.marks |= old.marks & (MARK_FETCHED | MARKS_FIELDS);
	head.head_bytes = (uint8_t)item_head_bytes(head.marks, head.value_bytes);
	if (head.head_bytes == old.head_bytes &&
		(head.marks & MARKS_FIELDS) == (old.marks & MARKS_FIELDS)) {
		struct change change = index_begin_change(&shard->index, probe.group);
		shard_begin_in_place(shard, item->ref);
		item_write(snug_ref_at(shard->heap, item->ref), &head);
		shard_end_in_place(shard);
		version_end_change(change);
		shard_recount(shard, key->hash, &old, &head);
		shard_fill_item(shard, key->hash, *probe.entry, &head, item);
		return SNUG_OK;
	}
	uint32_t meta = entry_meta(*probe.entry);
	struct recent_note note = *recent_at(&shard->recent, key->hash);
	snug_ref ref;
	error = copy_item(shard, key, item, &head, 0, &ref);
	if (!error) error = shard_link(shard, key, ref, &head);
	*recent_at(&shard->recent, key->hash) = note;
	if (error) return error;
	/* nothing was stored */
	SNUG_ASSERT(shard->stats.stores > 0);
	shard->stats.stores--;
	/* its new expiry has passed */
	if (!shard_look_up(shard, key, &probe, &head)) return SNUG_ERROR_NOT_FOUND;
	entry_set(probe.entry, entry_with_meta(*probe.entry, meta));
	shard_fill_item(shard, key->hash, *probe.entry, &head, item);
	return SNUG_OK;
}

uint64_t snug_shard_next_cas(snug_shard *shard) {
	return shard == NULL ? 0 : ++shard->cas_last;
}

snug_error snug_shard_cas(snug_shard *shard, const snug_key *key, snug_item *item, uint64_t *cas) {
	if (shard == NULL || item == NULL || cas == NULL) return SNUG_ERROR_NULL;
	if (item->attributes.cas == 0) {
		snug_attributes attributes = item->attributes;
		attributes.cas = snug_shard_next_cas(shard);
		snug_error error = snug_shard_change(shard, key, item, &attributes);
		if (error) return error;
	}
	*cas = item->attributes.cas;
	return SNUG_OK;
}
