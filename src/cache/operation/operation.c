/* cache/operation/operation.c: one operation on one key, except storing (operation_store.c).
 *
 * A plain get is the common case and costs no more than snug_shard_get. All others look first and
 * then change what must be changed; a change may move the item, so what is told of it is looked up
 * anew.
 *
 * A GET with conditions, in this order:
 *
 *     found       what its time to live was -> who is to make it anew (won, stale) -> its expiry
 *                 -> its CAS number -> all of that stored at once, or nothing of it: without memory
 *                 nobody has won (law K3)
 *     not found   made, empty and won by the asker, if he wants that
 *
 * An expiry that has passed removes the item, but only when its value was taken: operation_end (law
 * K6).
 *
 * A NUMBER is text. It is read as memcached reads it, blanks and a plus sign included, and never
 * written back into fewer bytes than it had, but with blanks behind it: so counting down moves
 * nothing. It wraps at 2^64 going up and stops at 0 going down.
 *
 * COUNTS are memcached's, by its names and its rules, odd ones included: a get that touches counts
 * as a touch, an item that was made for the asker as a hit. */
#include "cache/operation/operation_parts.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/number_text.h"

#include <string.h>

/* ------------------------------------------------------------------ parts ------------------ */

static void tell_ttl(const snug_shard *shard, struct operation *operation) {
	uint32_t expires_at_s = operation->item.attributes.expires_at_s;
	operation->ttl_s = expires_at_s == 0 ? -1 : (int64_t)expires_at_s - shard_now_s(shard);
}

static void tell_date(const snug_shard *shard, struct operation *operation) {
	uint32_t *expires_at_s = &operation->item.attributes.expires_at_s;
	*expires_at_s = shard_told_date(shard, *expires_at_s);
}

/* What the item was like before it was used now. */
static snug_error change_item(snug_shard *shard, struct operation *operation,
							  const snug_attributes *attributes) {
	snug_item before = operation->item;
	SNUG_ASSERT(before.ref != 0);
	snug_error error = snug_shard_change(shard, &operation->key, &operation->item, attributes);
	operation->item.idle_s = before.idle_s;
	operation->item.was_fetched = before.was_fetched;
	return error;
}

/* ------------------------------------------------------------------ get -------------------- */

/* As memcached does: what touches is no get, unless it is a meta command that finds nothing; what
 * was made for the asker is a hit. */
void operation_count_get(const struct operation *operation, struct operation_counts *counts) {
	SNUG_ASSERT(operation->kind == OPERATION_GET);
	bool hit = operation->status == STATUS_FOUND,
		 is_meta = (operation->options & OPERATION_IS_META) != 0;
	counts->cmd_meta += is_meta;
	if (operation->options & OPERATION_HAS_EXPTIME && (hit || !is_meta)) {
		counts->cmd_touch++;
		counts->touch_hits += hit;
		counts->touch_misses += !hit;
	} else {
		counts->cmd_get++;
		counts->get_hits += hit;
		counts->get_misses += !hit;
	}
}

/* Who is to make the item anew, and who was told so before. */
static void mark(const snug_shard *shard, struct operation *operation,
				 snug_attributes *attributes) {
	bool wins = false;
	bool touched = (operation->options & OPERATION_TOUCHES_FIRST) != 0;
	uint32_t expires_at_s =
		touched ? operation_expires_at_s(shard, operation->exptime) : attributes->expires_at_s;
	if (operation->options & OPERATION_HAS_RECACHE && expires_at_s != 0 && !attributes->is_won)
		wins = (int64_t)expires_at_s - shard_now_s(shard) < operation->recache_s;
	if (operation->options & OPERATION_NO_STALE) return;
	if (attributes->is_won) operation->marks |= OPERATION_WON_BEFORE;
	if (attributes->is_stale) {
		operation->marks |= OPERATION_STALE;
		if (!attributes->is_won) wins = true;
	}
	if (!wins) return;
	operation->marks |= OPERATION_WON;
	SNUG_ASSERT(!attributes->is_won); /* one at a time makes it anew */
	attributes->is_won = true;
}

static bool differ(const snug_attributes *left, const snug_attributes *right) {
	return left->expires_at_s != right->expires_at_s || left->is_won != right->is_won ||
		   left->cas != right->cas;
}

/* A time that has passed removes the item, but only when its value was taken. */
static void touch(const snug_shard *shard, struct operation *operation,
				  snug_attributes *attributes) {
	uint32_t expires_at_s = operation_expires_at_s(shard, operation->exptime);
	if (expires_at_s != 0 && expires_at_s <= shard_now_s(shard))
		operation->marks |= OPERATION_EXPIRES_NOW;
	else
		attributes->expires_at_s = expires_at_s;
}

/* What is there. False: no memory for what must be added; then nothing has changed, and nobody has
 * won. */
static bool get_found(snug_shard *shard, struct operation *operation) {
	snug_attributes attributes = operation->item.attributes;
	bool wants_cas = (operation->options & OPERATION_WANTS_CAS) != 0;
	SNUG_ASSERT(operation->item.ref != 0 && operation->marks == 0);
	if (operation->options & OPERATION_TELLS_OLD_TTL) tell_ttl(shard, operation);
	mark(shard, operation, &attributes);
	if (operation->options & OPERATION_HAS_EXPTIME) touch(shard, operation, &attributes);
	if (wants_cas && attributes.cas == 0) attributes.cas = snug_shard_next_cas(shard);
	if (differ(&attributes, &operation->item.attributes)) {
		if (change_item(shard, operation, &attributes) != SNUG_OK) return false;
	}
	if (operation->options & OPERATION_HAS_CAS_COMPARE && operation->item.attributes.cas != 0 &&
		operation->item.attributes.cas == operation->cas_compare)
		operation->marks |= OPERATION_CAS_MATCHES;
	SNUG_ASSERT(!wants_cas || attributes.cas != 0);
	operation->cas = wants_cas ? attributes.cas : 0;
	return true;
}

/* What is not there, and is made, empty, for the asker to fill. */
static void vivify(snug_shard *shard, struct operation *operation) {
	snug_attributes attributes = {.expires_at_s =
									  operation_expires_at_s(shard, operation->vivify_exptime),
								  .cas = operation_new_cas(shard, operation),
								  .is_won = true};
	snug_error error = shard_set(shard, &operation->key, &attributes, NULL, 0);
	if (error) return;
	SNUG_ASSERT(operation->status == STATUS_NOT_FOUND);
	operation->status = STATUS_FOUND;
	operation->marks = OPERATION_WON;
	operation->ttl_s = -1; /* before it was given a time */
	/* Its expiry may have passed: then it is told of all the same. */
	if (snug_shard_find(shard, &operation->key, &operation->item) != SNUG_OK)
		operation->item = (snug_item){.attributes = attributes};
	else
		snug_shard_use(shard, &operation->key, &operation->item);
	operation->cas = attributes.cas;
}

/* What a plain get has no need of. */
static void get_specially(snug_shard *shard, struct operation *operation, bool is_there) {
	if (is_there && !get_found(shard, operation)) {
		operation->status = STATUS_NO_MEMORY;
		operation->marks = 0;
	}
	if (!is_there && operation->options & OPERATION_HAS_VIVIFY) vivify(shard, operation);
	const uint16_t telling = operation->options & (OPERATION_IS_META | OPERATION_TELLS_OLD_TTL);
	if (telling == OPERATION_IS_META && operation->status == STATUS_FOUND)
		tell_ttl(shard, operation);
	if (operation->options & OPERATION_TELLS_DATE && operation->status == STATUS_FOUND)
		tell_date(shard, operation);
}

static void get(snug_shard *shard, struct operation *operation, struct operation_counts *counts) {
	uint64_t expired = shard->stats.expired, flushed = shard->flushed_met;
	SNUG_ASSERT(shard->watched == 0);
	bool uses = (operation->options & OPERATION_NO_USE) == 0;
	snug_error error = uses ? snug_shard_get(shard, &operation->key, &operation->item)
							: snug_shard_find(shard, &operation->key, &operation->item);
	operation->marks = 0;
	operation->status = error ? STATUS_NOT_FOUND : STATUS_FOUND;
	if (UNLIKELY(error)) {
		counts->get_expired += shard->stats.expired - expired;
		counts->get_flushed += shard->flushed_met - flushed;
	}
	if (operation->options != OPERATION_NO_STALE && (!error || error == SNUG_ERROR_NOT_FOUND))
		get_specially(shard, operation, !error);
	operation_count_get(operation, counts);
}

static void inspect(snug_shard *shard, struct operation *operation,
					struct operation_counts *counts) {
	snug_error error = snug_shard_find(shard, &operation->key, &operation->item);
	counts->cmd_meta++;
	operation->status = error ? STATUS_NOT_FOUND : STATUS_FOUND;
	if (error) return;
	operation->cas = operation->item.attributes.cas;
	tell_ttl(shard, operation);
}

/* ------------------------------------------------------------------ delete ----------------- */

/* The item stays as the mark of a former value. */
static snug_error clear_value(snug_shard *shard, struct operation *operation) {
	snug_attributes attributes = {.client_flags = operation->client_flags,
								  .cas = operation->item.attributes.cas};
	if (attributes.cas == 0 || operation->options & OPERATION_HAS_CAS_NEW)
		attributes.cas = operation_new_cas(shard, operation);
	if (operation->options & OPERATION_HAS_EXPTIME)
		attributes.expires_at_s = operation_expires_at_s(shard, operation->exptime);
	snug_error error = shard_set(shard, &operation->key, &attributes, NULL, 0);
	if (error) return error;
	operation->cas = attributes.cas;
	error = snug_shard_find(shard, &operation->key, &operation->item);
	return error == SNUG_ERROR_NOT_FOUND ? SNUG_OK : error; /* it may have expired at once */
}

/* Stale, for the next asker to make anew; with another CAS number. */
static snug_error invalidate(snug_shard *shard, struct operation *operation) {
	snug_attributes attributes = operation->item.attributes;
	SNUG_ASSERT(operation->item.ref != 0);
	attributes.is_stale = true;
	attributes.is_won = false;
	attributes.cas = operation_new_cas(shard, operation);
	operation->cas = attributes.cas;
	if (operation->options & OPERATION_HAS_EXPTIME)
		attributes.expires_at_s = operation_expires_at_s(shard, operation->exptime);
	snug_error error = snug_shard_change(shard, &operation->key, &operation->item, &attributes);
	return error == SNUG_ERROR_NOT_FOUND ? SNUG_OK : error;
}

static snug_error remove_found(snug_shard *shard, struct operation *operation,
							   struct operation_counts *counts) {
	SNUG_ASSERT(operation->item.ref != 0);
	snug_error error = SNUG_OK;
	if (operation->options & OPERATION_CLEARS_VALUE) error = clear_value(shard, operation);
	if (error) return error;
	if (operation->options & OPERATION_INVALIDATES) return invalidate(shard, operation);
	counts->delete_hits++;
	return operation->options & OPERATION_CLEARS_VALUE ? SNUG_OK
													   : snug_shard_delete(shard, &operation->key);
}

static void delete (snug_shard *shard, struct operation *operation,
					struct operation_counts *counts) {
	operation_tell_before(shard, operation);
	snug_error error = snug_shard_find(shard, &operation->key, &operation->item);
	if (operation->options & OPERATION_IS_META) counts->cmd_meta++;
	operation->cas = 0;
	if (error) {
		operation->status = STATUS_NOT_FOUND;
		counts->delete_misses++;
	} else if (operation->options & OPERATION_HAS_CAS_COMPARE &&
			   (operation->cas_compare == 0 ||
				operation->item.attributes.cas != operation->cas_compare)) {
		/* 0 is no item's number, though it stands for none here */
		operation->status = STATUS_EXISTS;
		counts->delete_misses++;
	} else {
		error = remove_found(shard, operation, counts);
		operation->status = error ? (uint8_t)operation_status_of(error) : STATUS_DONE;
	}
}

/* ------------------------------------------------------------------ arithmetic ------------- */

static bool is_blank(char byte) {
	return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* Blanks, a plus sign, digits, and then nothing, a blank or a 0: what memcached, which reads it as
 * C does, takes for a number. */
static bool read_number(const char *text, size_t length, uint64_t *number) {
	size_t at = 0;
	uint64_t value;
	while (at < length && is_blank(text[at])) at++;
	if (at < length && text[at] == '+') at++;
	size_t digits = number_scan(text + at, length - at, 10, &value);
	at += digits;
	SNUG_ASSERT(at <= length);
	if (digits == 0 || (at < length && text[at] != '\0' && !is_blank(text[at]))) return false;
	*number = value;
	return true;
}

static uint64_t calculate(const struct operation *operation, uint64_t value) {
	if ((operation->options & OPERATION_DECREMENTS) == 0) return value + operation->delta;
	return operation->delta > value ? 0 : value - operation->delta;
}

/* A new number is the same item. */
static void keep_fetched(snug_shard *shard, const snug_key *key) {
	snug_item item;
	if (snug_shard_find(shard, key, &item) != SNUG_OK) return;
	unsigned char *marks = snug_ref_at(shard->heap, item.ref);
	*marks |= MARK_FETCHED;
}

/* Stores the number; one with fewer digits than before keeps the length, with blanks behind it. */
static snug_error store_number(snug_shard *shard, struct operation *operation,
							   const snug_attributes *attributes, size_t least_bytes) {
	char text[ARITHMETIC_BYTES_MAX];
	size_t length = number_write(operation->number, text);
	SNUG_ASSERT(length > 0 && length <= sizeof text && least_bytes <= sizeof text);
	for (; length < least_bytes; length++) text[length] = ' ';
	snug_error error = shard_set(shard, &operation->key, attributes, text, length);
	if (error) return error;
	if (least_bytes > 0 && operation->item.was_fetched) keep_fetched(shard, &operation->key);
	operation->item.attributes = *attributes;
	operation->item.value_bytes = length;
	operation->cas = attributes->cas;
	if ((operation->options & OPERATION_TELLS_OLD_TTL) == 0) tell_ttl(shard, operation);
	return SNUG_OK;
}

static void count_arithmetic(const struct operation *operation, struct operation_counts *counts,
							 bool hit) {
	bool decrements = (operation->options & OPERATION_DECREMENTS) != 0;
	counts->incr_hits += hit && !decrements;
	counts->incr_misses += !hit && !decrements;
	counts->decr_hits += hit && decrements;
	counts->decr_misses += !hit && decrements;
}

static void arithmetic_missing(snug_shard *shard, struct operation *operation,
							   struct operation_counts *counts) {
	operation->status = STATUS_NOT_FOUND;
	if ((operation->options & OPERATION_HAS_VIVIFY) == 0) {
		count_arithmetic(operation, counts, false);
		return;
	}
	snug_attributes attributes = {.expires_at_s =
									  operation_expires_at_s(shard, operation->vivify_exptime),
								  .cas = operation_new_cas(shard, operation)};
	operation->number = operation->initial;
	operation->ttl_s = -1; /* before it was given a time */
	snug_error error = store_number(shard, operation, &attributes, 0);
	operation->status = error ? (uint8_t)operation_status_of(error) : STATUS_DONE;
}

static void arithmetic(snug_shard *shard, struct operation *operation,
					   struct operation_counts *counts) {
	char text[ARITHMETIC_BYTES_MAX];
	uint64_t value;
	if (operation->options & OPERATION_IS_META) counts->cmd_meta++;
	operation_tell_before(shard, operation);
	if (snug_shard_find(shard, &operation->key, &operation->item) != SNUG_OK) {
		arithmetic_missing(shard, operation, counts);
		return;
	}
	size_t length = operation->item.value_bytes;
	SNUG_ASSERT(operation->item.ref != 0);
	operation->status = STATUS_NOT_A_NUMBER;
	if (length == 0) return;
	if (operation->options & OPERATION_HAS_CAS_COMPARE && operation->cas_compare != 0 &&
		operation->item.attributes.cas != operation->cas_compare) {
		operation->status = STATUS_EXISTS;
		return;
	}
	if (length > sizeof text) return;
	if (snug_shard_read(shard, &operation->item, 0, text, length) != SNUG_OK ||
		!read_number(text, length, &value))
		return;
	snug_attributes attributes = operation->item.attributes;
	if (operation->options & OPERATION_TELLS_OLD_TTL) tell_ttl(shard, operation);
	attributes.cas = operation_new_cas(shard, operation);
	if (operation->options & OPERATION_HAS_EXPTIME)
		attributes.expires_at_s = operation_expires_at_s(shard, operation->exptime);
	operation->number = calculate(operation, value);
	count_arithmetic(operation, counts, true);
	snug_error error = store_number(shard, operation, &attributes, length);
	operation->status = error ? (uint8_t)operation_status_of(error) : STATUS_DONE;
}

/* ------------------------------------------------------------------ which ------------------ */

void operation_execute(snug_shard *shard, struct operation *operation,
					   struct operation_counts *counts) {
	switch ((enum operation_kind)operation->kind) {
	case OPERATION_GET:
		get(shard, operation, counts);
		break;
	case OPERATION_STORE:
		operation_store(shard, operation, counts);
		break;
	case OPERATION_DELETE:
		delete (shard, operation, counts);
		break;
	case OPERATION_ARITHMETIC:
		arithmetic(shard, operation, counts);
		break;
	case OPERATION_INSPECT:
		inspect(shard, operation, counts);
		break;
	case OPERATION_KIND_COUNT:
		break;
	}
}

snug_error operation_error(const struct operation *operation) {
	SNUG_ASSERT(operation->status < STATUS_COUNT);
	switch ((enum operation_status)operation->status) {
	case STATUS_FOUND:
	case STATUS_STORED:
	case STATUS_DONE:
		return SNUG_OK;
	case STATUS_NOT_FOUND:
		return SNUG_ERROR_NOT_FOUND;
	case STATUS_NOT_STORED:
		return SNUG_ERROR_NOT_STORED;
	case STATUS_EXISTS:
		return SNUG_ERROR_EXISTS;
	case STATUS_NOT_A_NUMBER:
		return SNUG_ERROR_NOT_A_NUMBER;
	case STATUS_TOO_LARGE:
		return SNUG_ERROR_SIZE_TOO_LARGE;
	case STATUS_BAD_KEY:
		return SNUG_ERROR_KEY;
	case STATUS_NO_MEMORY:
	case STATUS_COUNT:
		break;
	}
	return SNUG_ERROR_NO_MEMORY;
}
