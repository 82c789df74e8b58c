/* cache/operation/operation_store.c: set, add, replace, append, prepend, with and without a
 * condition on the CAS number.
 *
 *     mode              there is an item                          there is none
 *     set               store                                     store
 *     add               NOT_STORED; a use of the item             store
 *     replace           store                                     NOT_STORED
 *     append, prepend   extend, with the item's flags and expiry  NOT_STORED; with vivify store
 *     with a CAS        the same number: as above                 set and replace: NOT_FOUND
 *     number            another: EXISTS; or, if it invalidates
 *                       and is older, store as stale
 *
 * A plain set does not look at what is there. The value is either bytes of the caller's or a lease
 * that was filled before, which ends here whatever the answer is.
 *
 * A set that fails for room or size takes the old value with it, and so do all stores of the meta
 * protocol; a conditional one of the older commands, and an extension, leave it. That is
 * memcached's rule, and the reason is that who meant to replace a value must not read the old one
 * for the new. */
#include "cache/operation/operation_parts.h"

#include "base/assert.h"

/* What is stored, and in which way. */
enum verdict { VERDICT_STORE, VERDICT_EXTEND, VERDICT_REFUSE };

static bool is_extension(const struct operation *operation) {
	return operation->mode == STORE_APPEND || operation->mode == STORE_PREPEND;
}

static bool compares(const struct operation *operation) {
	return (operation->options & OPERATION_HAS_CAS_COMPARE) != 0;
}

/* ------------------------------------------------------------------ what is to be done ----- */

static enum verdict refuse(struct operation *operation, enum operation_status status) {
	operation->status = (uint8_t)status;
	return VERDICT_REFUSE;
}

/* An item that nobody has asked the number of is newer than all numbers that were given. */
static bool is_older(const snug_shard *shard, const struct operation *operation, uint64_t number) {
	return number == 0 ? operation->cas_compare <= shard->cas_last
					   : operation->cas_compare < number;
}

/* Another number than the item's. */
static enum verdict judge_mismatch(const snug_shard *shard, struct operation *operation,
								   snug_attributes *attributes, struct operation_counts *counts) {
	const snug_attributes *old = &operation->item.attributes;
	if (operation->options & OPERATION_INVALIDATES && !is_extension(operation) &&
		operation->cas_compare != 0 && is_older(shard, operation, old->cas)) {
		attributes->expires_at_s = old->expires_at_s;
		attributes->is_stale = true;
		attributes->is_won = old->is_won;
		counts->cas_hits++;
		return VERDICT_STORE;
	}
	counts->cas_badval += !is_extension(operation);
	return refuse(operation, STATUS_EXISTS);
}

static enum verdict judge_found(const snug_shard *shard, struct operation *operation,
								snug_attributes *attributes, struct operation_counts *counts) {
	const snug_attributes *old = &operation->item.attributes;
	SNUG_ASSERT(operation->item.ref != 0);
	if (operation->mode == STORE_ADD) return refuse(operation, STATUS_NOT_STORED);
	if (compares(operation) && !(is_extension(operation) && operation->cas_compare == 0)) {
		if (operation->cas_compare == 0 || old->cas != operation->cas_compare)
			return judge_mismatch(shard, operation, attributes, counts);
		counts->cas_hits += !is_extension(operation);
	}
	if (!is_extension(operation)) return VERDICT_STORE;
	attributes->client_flags = old->client_flags;
	attributes->expires_at_s = old->expires_at_s;
	return VERDICT_EXTEND;
}

static enum verdict judge_missing(const snug_shard *shard, struct operation *operation,
								  snug_attributes *attributes, struct operation_counts *counts) {
	if (is_extension(operation)) {
		if ((operation->options & OPERATION_HAS_VIVIFY) == 0)
			return refuse(operation, STATUS_NOT_STORED);
		attributes->expires_at_s = operation_expires_at_s(shard, operation->vivify_exptime);
		return VERDICT_STORE;
	}
	if (operation->mode == STORE_ADD) return VERDICT_STORE;
	if (compares(operation)) {
		counts->cas_misses++;
		return refuse(operation, STATUS_NOT_FOUND);
	}
	return operation->mode == STORE_REPLACE ? refuse(operation, STATUS_NOT_STORED) : VERDICT_STORE;
}

/* An add that finds something is a use of it, though nobody has fetched it. */
static void keep_longer(snug_shard *shard, const struct operation *operation) {
	snug_shard_use(shard, &operation->key, &operation->item);
	unsigned char *marks = snug_ref_at(shard->heap, operation->item.ref);
	if (!operation->item.was_fetched) *marks &= (unsigned char)~MARK_FETCHED;
}

static enum verdict judge(snug_shard *shard, struct operation *operation,
						  snug_attributes *attributes, struct operation_counts *counts) {
	if (operation->mode == STORE_SET && !compares(operation)) return VERDICT_STORE;
	if (snug_shard_find(shard, &operation->key, &operation->item) != SNUG_OK)
		return judge_missing(shard, operation, attributes, counts);
	if (operation->mode == STORE_ADD) keep_longer(shard, operation);
	return judge_found(shard, operation, attributes, counts);
}

/* ------------------------------------------------------------------ doing it --------------- */

static snug_error store(snug_shard *shard, struct operation *operation,
						const snug_attributes *attributes) {
	if (operation->lease.ref != 0) {
		size_t value_bytes = operation->lease.value_bytes;
		SNUG_ASSERT(value_bytes <= operation->lease.item_bytes);
		snug_error error = snug_shard_commit(shard, &operation->key, attributes, &operation->lease);
		operation->item.value_bytes = value_bytes;
		return error;
	}
	operation->item.value_bytes = operation->value_bytes;
	return shard_set(shard, &operation->key, attributes, operation->value, operation->value_bytes);
}

static snug_error extend(snug_shard *shard, struct operation *operation,
						 const snug_attributes *attributes) {
	bool in_front = operation->mode == STORE_PREPEND;
	SNUG_ASSERT(is_extension(operation) && operation->item.ref != 0);
	size_t old_bytes = operation->item.value_bytes, new_bytes = operation->value_bytes;
	snug_error error;
	if (operation->lease.ref != 0) {
		new_bytes = operation->lease.value_bytes;
		error = snug_shard_commit_extended(shard, &operation->key, &operation->item, attributes,
										   &operation->lease, in_front);
	} else {
		error = snug_shard_extend(shard, &operation->key, &operation->item, attributes,
								  operation->value, new_bytes, in_front);
	}
	operation->item.value_bytes = old_bytes + new_bytes;
	return error;
}

/* There was no room, or it is too large: what the client meant to replace must not be read for the
 * new value. */
static void failed(snug_shard *shard, struct operation *operation, enum verdict verdict,
				   snug_error error, struct operation_counts *counts) {
	SNUG_ASSERT(error && verdict != VERDICT_REFUSE);
	operation->status = (uint8_t)operation_status_of(error);
	/* What is there stays; or a flush has come due, and nothing is there. */
	if (verdict == VERDICT_EXTEND &&
		(operation->status == STATUS_TOO_LARGE || error == SNUG_ERROR_NOT_FOUND)) {
		operation->status = STATUS_NOT_STORED;
		return;
	}
	if (operation->status == STATUS_TOO_LARGE) counts->store_too_large++;
	if (operation->status == STATUS_NO_MEMORY) counts->store_no_memory++;
	bool replaces = operation->options & OPERATION_IS_META ||
					(operation->mode == STORE_SET && !compares(operation));
	if (!replaces || verdict == VERDICT_EXTEND || operation->status == STATUS_BAD_KEY) return;
	error = snug_shard_delete(shard, &operation->key);
	(void)error; /* there may have been none */
}

void operation_store(snug_shard *shard, struct operation *operation,
					 struct operation_counts *counts) {
	snug_attributes attributes = {.client_flags = operation->client_flags,
								  .expires_at_s =
									  operation_expires_at_s(shard, operation->exptime)};
	snug_error error = SNUG_OK;
	counts->cmd_set++;
	if (operation->options & OPERATION_IS_META) counts->cmd_meta++;
	operation->cas = 0;
	operation_tell_before(shard, operation);
	enum verdict verdict = judge(shard, operation, &attributes, counts);
	if (verdict != VERDICT_REFUSE) {
		attributes.cas = operation_new_cas(shard, operation);
		operation->cas = attributes.cas;
		error = verdict == VERDICT_STORE ? store(shard, operation, &attributes)
										 : extend(shard, operation, &attributes);
		if (!error) operation->status = STATUS_STORED;
	}
	if (operation->lease.ref != 0) snug_shard_release(shard, &operation->lease);
	SNUG_ASSERT(operation->lease.ref == 0); /* whatever became of it */
	if (error) failed(shard, operation, verdict, error, counts);
}

void operation_store_refused(snug_shard *shard, struct operation *operation, snug_error error,
							 struct operation_counts *counts) {
	snug_attributes attributes = {0};
	operation_tell_before(shard, operation);
	enum verdict verdict = judge(shard, operation, &attributes, counts);
	if (verdict != VERDICT_REFUSE) failed(shard, operation, verdict, error, counts);
}
