/* cache/index/item.h: how a cached item lies in memory: a head of 3 bytes and what it uses, key,
 * value.
 *
 *     | marks 1 | key length 1 | value length 1-5 | expiry 4 | client flags 4 | CAS 8 | key | value
 *                                               '-------- each only if marked --------'
 *
 * marks: which fields there are, and what the meta commands know of the item. The value's length
 * has 7 bits a byte, the low ones first. Fields are read and written bytewise: items have no
 * alignment.
 *
 *     a value of 50 bytes, no expiry                 3 bytes of head
 *     of 1,000 bytes, with an expiry                 8
 *     of 100,000 bytes, with all fields              21
 *
 * memcached takes 48 to 56 bytes an item, because its items are linked in lists and cannot move.
 * Here an item can grow a field by being stored anew; so a CAS number is given only to items that
 * somebody asks the number of. A value of 16 KiB and more has room for all fields from the
 * beginning: to store it anew would evict as many bytes of others, and may not fit at all. That is
 * at most 0.1 % of it.
 *
 * Law: head and key lie in one extent (shard_room.c sees to it); so whoever has the address can
 * read both without asking the heap, as `moved` must. */
#ifndef SNUG_CACHE_ITEM_H
#define SNUG_CACHE_ITEM_H

#include "base/assert.h"

#include <snug/shard.h>

#include <string.h>

#define MARK_EXPIRY 1u
#define MARK_CLIENT_FLAGS 2u
#define MARK_CAS 4u
#define MARK_FETCHED 8u
#define MARK_STALE 16u
#define MARK_WON 32u

#define MARKS_FIELDS (MARK_EXPIRY | MARK_CLIENT_FLAGS | MARK_CAS)
#define ITEM_FIELDS_BYTES ((size_t)16 << 10) /* a value that has room for all of them */

/* in the place of the key's length: no index entry any more, alive for its pins only */
#define KEY_UNLINKED 255u

/* A head, unpacked. */
struct item_head {
	uint8_t marks;
	uint8_t key_bytes;
	uint8_t head_bytes;
	uint32_t value_bytes;
	uint32_t expires_at_s;
	uint32_t client_flags;
	uint64_t cas;
};

static inline uint32_t item_head_bytes(uint32_t marks, uint32_t value_bytes) {
	uint32_t length_bytes = 1;
	while (value_bytes >>= 7) length_bytes++;
	return 2 + length_bytes + (marks & MARK_EXPIRY ? 4 : 0) + (marks & MARK_CLIENT_FLAGS ? 4 : 0) +
		   (marks & MARK_CAS ? 8 : 0);
}

static inline uint32_t item_bytes(const struct item_head *head) {
	return head->head_bytes + head->key_bytes + head->value_bytes;
}

static inline struct item_head item_read(const void *item) {
	const unsigned char *at = item;
	struct item_head head = {.marks = at[0], .key_bytes = at[1]};
	at += 2;
	uint32_t shift = 0;
	do {
		head.value_bytes |= (uint32_t)(*at & 0x7F) << shift;
		shift += 7;
		SNUG_ASSERT(shift <= 35); /* five bytes hold 32 bits */
	} while (*at++ & 0x80);
	if (head.marks & MARK_EXPIRY) {
		memcpy(&head.expires_at_s, at, sizeof head.expires_at_s);
		at += sizeof head.expires_at_s;
	}
	if (head.marks & MARK_CLIENT_FLAGS) {
		memcpy(&head.client_flags, at, sizeof head.client_flags);
		at += sizeof head.client_flags;
	}
	if (head.marks & MARK_CAS) {
		memcpy(&head.cas, at, sizeof head.cas);
		at += sizeof head.cas;
	}
	head.head_bytes = (uint8_t)(at - (const unsigned char *)item);
	return head;
}

/* The same of bytes that may be anything, `left` of which can be read. False: no head and key can be
 * these. */
static inline bool item_read_within(const void *item, size_t left, struct item_head *out) {
	const unsigned char *at = item;
	size_t head_bytes = 2;
	uint32_t value_bytes = 0, shift = 0;
	if (left < 4 || at[1] == 0 || at[1] > SNUG_KEY_BYTES_MAX) return false;
	do {
		if (head_bytes == left || shift == 35) return false;
		value_bytes |= (uint32_t)(at[head_bytes] & 0x7F) << shift;
		shift += 7;
	} while (at[head_bytes++] & 0x80);
	if ((at[0] & MARKS_FIELDS) == 0) {
		*out = (struct item_head){.marks = at[0],
								  .key_bytes = at[1],
								  .head_bytes = (uint8_t)head_bytes,
								  .value_bytes = value_bytes};
		return head_bytes + at[1] <= left;
	}
	uint32_t fields = (at[0] & MARK_EXPIRY ? 4u : 0) + (at[0] & MARK_CLIENT_FLAGS ? 4u : 0) +
					  (at[0] & MARK_CAS ? 8u : 0);
	if (head_bytes + fields + at[1] > left) return false;
	*out = item_read(item);
	return true;
}

/* The key follows. */
static inline void item_write(void *item, const struct item_head *head) {
	unsigned char *at = item;
	SNUG_ASSERT(head->key_bytes > 0 &&
				head->head_bytes == item_head_bytes(head->marks, head->value_bytes));
	*at++ = head->marks;
	*at++ = head->key_bytes;
	uint32_t value_bytes = head->value_bytes;
	for (; value_bytes >= 0x80; value_bytes >>= 7) *at++ = (unsigned char)(value_bytes | 0x80);
	*at++ = (unsigned char)value_bytes;
	if (head->marks & MARK_EXPIRY) {
		memcpy(at, &head->expires_at_s, sizeof head->expires_at_s);
		at += sizeof head->expires_at_s;
	}
	if (head->marks & MARK_CLIENT_FLAGS) {
		memcpy(at, &head->client_flags, sizeof head->client_flags);
		at += sizeof head->client_flags;
	}
	if (head->marks & MARK_CAS) memcpy(at, &head->cas, sizeof head->cas);
}

static inline const char *item_key(const void *item, const struct item_head *head) {
	return (const char *)item + head->head_bytes;
}

#endif
