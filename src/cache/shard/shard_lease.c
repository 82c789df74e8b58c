/* cache/shard/shard_lease.c: values in pieces: items that are pinned while bytes go in or out (law
 * K4).
 *
 *     storing    reserve: an item in no index, pinned -> filled, bit by bit -> commit: linked
 *     reading    pin: an item of the index            -> read, bit by bit   -> release
 *
 * A reserved item's key length says that it is unlinked. It has room for every field, so that its
 * head is known before the attributes are. A pinned item that is replaced or removed meanwhile
 * leaves the index and gets the same mark; the last release frees it.
 *
 * HALF OF THE MEMORY may be leased at most, so that there is always some to serve with, however
 * many clients do not take, or do not send, what they asked for. What is leased can neither move
 * nor be evicted. One lease may be larger than that, if it is alone. A promise counts like a lease:
 * a value for which room is being made in slices is not overtaken by others.
 *
 * THE TABLE OF PINS needs memory too. Items make room for it as for anything else; where nothing
 * may be evicted, a 256th of the limit is kept charged for it, so that what is there can be read
 * when nothing is free.
 *
 * APPENDING to a value that came in pieces makes a third item of both: the old one's readers keep
 * what they have. */
#include "base/assert.h"
#include "base/bits.h"
#include "cache/shard/shard_find.h"
#include "mem/object/extents.h"
#include "mem/object/pins.h"

static void mark_unlinked(snug_shard *shard, snug_ref ref) {
	SNUG_ASSERT(pin_count(shard->heap, ref & OFFSET_MASK) > 0);
	((unsigned char *)snug_ref_at(shard->heap, ref))[1] = KEY_UNLINKED;
}

static bool is_unlinked(const snug_shard *shard, snug_ref ref) {
	return ((const unsigned char *)snug_ref_at(shard->heap, ref))[1] == KEY_UNLINKED;
}

static void give_back(snug_shard *shard, snug_ref ref, size_t bytes) {
	snug_error error = snug_ref_free(shard->heap, ref, bytes);
	SNUG_ASSERT(!error || error == SNUG_ERROR_PINNED); /* by another lease, which will free it */
	(void)error;
}

static struct item_head full_head(snug_shard *shard, const snug_key *key,
								  const snug_attributes *attributes, size_t value_bytes) {
	struct item_head head = shard_head(shard, key, attributes, value_bytes);
	head.marks |= MARKS_FIELDS;
	head.head_bytes = (uint8_t)item_head_bytes(head.marks, head.value_bytes);
	SNUG_ASSERT(item_bytes(&head) > value_bytes);
	return head;
}

/* What is leased can neither move nor be evicted: all of it together is half of the memory at most,
 * so that there is always some to serve with, however many clients do not take, or do not send,
 * what they asked for. One lease may be larger than that. */
static bool may_lease(const snug_shard *shard, size_t bytes) {
	uint64_t leased_bytes = shard->heap->pins.payload_bytes + shard->promised_bytes;
	return leased_bytes == 0 || leased_bytes + bytes <= shard->heap->arena.limit_bytes / 2;
}

#define PIN_TABLE_GRAIN ((size_t)4096) /* by which it may have to grow */
/* of the limit: for all values of 4 KiB and more that may be leased at once, and while the table
 * doubles */
#define PIN_TABLE_SHARE 256u

static size_t pin_table_bytes(const snug_shard *shard) {
	return shard->heap->pins.capacity * sizeof(uint64_t);
}

void shard_keep_for_pins(snug_shard *shard) {
	if (!shard->options.no_eviction) return;
	size_t wanted_bytes =
		round_up(shard->heap->arena.limit_goal_bytes / PIN_TABLE_SHARE, PIN_TABLE_GRAIN);
	while (shard->kept_for_pins_bytes + pin_table_bytes(shard) < wanted_bytes &&
		   snug_heap_charge(shard->heap, PIN_TABLE_GRAIN) == SNUG_OK)
		shard->kept_for_pins_bytes += PIN_TABLE_GRAIN;
	/* The limit is lower than it was. */
	while (shard->kept_for_pins_bytes > 0 &&
		   shard->kept_for_pins_bytes + pin_table_bytes(shard) > wanted_bytes) {
		snug_shard_discharge(shard, PIN_TABLE_GRAIN);
		shard->kept_for_pins_bytes -= PIN_TABLE_GRAIN;
	}
}

/* While the table grows there are two of it. */
static snug_error pin_on_what_is_kept(snug_shard *shard, snug_ref ref, size_t bytes) {
	size_t grown_bytes = shard_pin_table_growth(shard);
	if (grown_bytes == 0 || shard->kept_for_pins_bytes < grown_bytes) return SNUG_ERROR_NO_MEMORY;
	snug_shard_discharge(shard, grown_bytes);
	shard->kept_for_pins_bytes -= grown_bytes;
	snug_error error = snug_ref_pin(shard->heap, ref, bytes);
	shard_keep_for_pins(shard);
	SNUG_ASSERT(shard->kept_for_pins_bytes % PIN_TABLE_GRAIN == 0);
	return error;
}

/* The table of pins needs memory too, which items make room for as for anything else. `*ref` may
 * move for that. */
static snug_error pin(snug_shard *shard, snug_ref *ref, size_t bytes) {
	snug_error error = snug_ref_pin(shard->heap, *ref, bytes);
	if (error == SNUG_ERROR_NO_MEMORY) error = pin_on_what_is_kept(shard, *ref, bytes);
	size_t grown_bytes = shard_pin_table_growth(shard);
	if (error != SNUG_ERROR_NO_MEMORY || grown_bytes == 0) return error;
	SNUG_ASSERT(shard->watched == 0);
	shard->watched = *ref;
	error = snug_shard_charge(shard, grown_bytes);
	*ref = shard->watched;
	shard->watched = 0;
	if (error) return error;
	snug_shard_discharge(shard, grown_bytes);
	return snug_ref_pin(shard->heap, *ref, bytes);
}

static snug_error reserve(snug_shard *shard, const snug_key *key, size_t value_bytes, bool evicts,
						  snug_lease *out) {
	snug_error error = shard_begin_store(shard, key, value_bytes);
	if (error) return error;
	if (out == NULL) return SNUG_ERROR_NULL;
	struct item_head head = full_head(shard, key, NULL, value_bytes);
	uint32_t value_offset = head.head_bytes + (uint32_t)head.key_bytes;
	snug_ref ref;
	error = SNUG_ERROR_NO_MEMORY;
	if (may_lease(shard, item_bytes(&head)))
		error = shard_alloc(shard, item_bytes(&head), value_offset, evicts, &ref);
	if (!error) {
		item_write(snug_ref_at(shard->heap, ref), &head);
		error = pin(shard, &ref, item_bytes(&head));
		if (error) give_back(shard, ref, item_bytes(&head));
	}
	if (error) {
		shard->stats.refused += evicts;
		return error;
	}
	mark_unlinked(shard, ref);
	shard->stats.leases++;
	SNUG_ASSERT(shard->watched == 0 && value_offset + value_bytes == item_bytes(&head));
	*out = (snug_lease){ref, item_bytes(&head), value_offset, (uint32_t)value_bytes};
	return SNUG_OK;
}

snug_error snug_shard_reserve(snug_shard *shard, const snug_key *key, size_t value_bytes,
							  snug_lease *out) {
	return reserve(shard, key, value_bytes, true, out);
}

snug_error shard_reserve_free(snug_shard *shard, const snug_key *key, size_t value_bytes,
							  snug_lease *out) {
	return reserve(shard, key, value_bytes, false, out);
}

uint32_t shard_promise_lease(snug_shard *shard, const snug_key *key, size_t value_bytes,
							 snug_error error) {
	struct item_head head = full_head(shard, key, NULL, value_bytes);
	if (!may_lease(shard, item_bytes(&head)) || !shard_can_fit(shard, item_bytes(&head), 0, error))
		return 0;
	shard->promised_bytes += item_bytes(&head);
	SNUG_ASSERT(shard->promised_bytes >= item_bytes(&head));
	return item_bytes(&head);
}

void shard_end_promise(snug_shard *shard, uint32_t bytes) {
	SNUG_ASSERT(bytes <= shard->promised_bytes);
	shard->promised_bytes -= bytes;
}

/* The pin ends; the item is the caller's to link or free. */
static void unpin(snug_shard *shard, snug_lease *lease) {
	snug_error error = snug_ref_unpin(shard->heap, lease->ref, lease->item_bytes);
	SNUG_ASSERT(!error && shard->stats.leases > 0);
	(void)error;
	shard->stats.leases--;
	lease->ref = 0;
	shard_keep_for_pins(shard);
}

void snug_shard_release(snug_shard *shard, snug_lease *lease) {
	if (shard == NULL || lease == NULL || lease->ref == 0) return;
	snug_ref ref = lease->ref;
	unpin(shard, lease);
	if (is_unlinked(shard, ref)) give_back(shard, ref, lease->item_bytes);
}

snug_error snug_shard_commit(snug_shard *shard, const snug_key *key,
							 const snug_attributes *attributes, snug_lease *lease) {
	if (shard == NULL || lease == NULL) return SNUG_ERROR_NULL;
	if (lease->ref == 0) return SNUG_ERROR_REFERENCE;
	snug_error error = shard_begin_store(shard, key, lease->value_bytes);
	struct item_head head = {0};
	if (!error) head = full_head(shard, key, attributes, lease->value_bytes);
	if (!error && item_bytes(&head) != lease->item_bytes) error = SNUG_ERROR_KEY; /* another key */
	if (error) {
		snug_shard_release(shard, lease);
		return shard_refuse_set(shard, key, error);
	}
	snug_ref ref = lease->ref;
	char *item = snug_ref_at(shard->heap, ref);
	SNUG_ASSERT(is_unlinked(shard, ref));
	item_write(item, &head);
	memcpy(item + head.head_bytes, key->bytes, key->length);
	unpin(shard, lease);
	error = shard_link(shard, key, ref, &head);
	return LIKELY(!error) ? SNUG_OK : shard_refuse_set(shard, key, error);
}

/* The old value and the new bytes, in their order, in a third item. */
static snug_error join(snug_shard *shard, const snug_key *key, const snug_item *item,
					   const snug_attributes *attributes, const snug_lease *lease, bool in_front) {
	size_t bytes = item->value_bytes + lease->value_bytes;
	struct probe probe;
	struct item_head found;
	snug_error error = shard_begin_store(shard, key, bytes);
	if (error) return error;
	if (!shard_find_again(shard, key, &probe, &found, item->ref)) return SNUG_ERROR_NOT_FOUND;
	struct item_head head = shard_head(shard, key, attributes, bytes);
	size_t value_offset = (size_t)head.head_bytes + head.key_bytes;
	snug_ref ref;
	shard->watched = item->ref;
	error = shard_alloc(shard, item_bytes(&head), value_offset, true, &ref);
	snug_ref old = shard->watched;
	shard->watched = 0;
	if (error) {
		shard->stats.refused++;
		return error;
	}
	const snug_heap *heap = shard->heap;
	size_t old_at = value_offset + (in_front ? lease->value_bytes : 0);
	size_t new_at = value_offset + (in_front ? 0 : item->value_bytes);
	char *to = snug_ref_at(heap, ref);
	item_write(to, &head);
	memcpy(to + head.head_bytes, key->bytes, key->length);
	extents_copy(extents_of(heap, ref, old_at, item->value_bytes),
				 extents_of(heap, old, item->value_offset, item->value_bytes));
	extents_copy(extents_of(heap, ref, new_at, lease->value_bytes),
				 extents_of(heap, lease->ref, lease->value_offset, lease->value_bytes));
	return shard_link(shard, key, ref, &head);
}

snug_error snug_shard_commit_extended(snug_shard *shard, const snug_key *key, const snug_item *item,
									  const snug_attributes *attributes, snug_lease *lease,
									  bool in_front) {
	if (shard == NULL || item == NULL || lease == NULL) return SNUG_ERROR_NULL;
	if (lease->ref == 0) return SNUG_ERROR_REFERENCE;
	snug_error error = join(shard, key, item, attributes, lease, in_front);
	snug_shard_release(shard, lease);
	return error;
}

snug_error snug_shard_pin(snug_shard *shard, const snug_item *item, snug_lease *out) {
	if (shard == NULL || item == NULL || out == NULL) return SNUG_ERROR_NULL;
	snug_ref ref = item->ref;
	if (!may_lease(shard, item->item_bytes)) return SNUG_ERROR_NO_MEMORY;
	snug_error error = pin(shard, &ref, item->item_bytes);
	if (error) return error;
	shard->stats.leases++;
	*out = (snug_lease){ref, item->item_bytes, item->value_offset, (uint32_t)item->value_bytes};
	return SNUG_OK;
}

snug_error snug_shard_lease_view(snug_shard *shard, const snug_lease *lease, size_t offset,
								 size_t length, snug_extent *extents, size_t *count) {
	if (shard == NULL || lease == NULL) return SNUG_ERROR_NULL;
	if (lease->ref == 0) return SNUG_ERROR_REFERENCE;
	if (offset > lease->value_bytes || length > lease->value_bytes - offset)
		return SNUG_ERROR_RANGE;
	return snug_ref_view(shard->heap, lease->ref, lease->item_bytes, lease->value_offset + offset,
						 length, extents, count);
}
