/* mem/trailer.h: what stands behind an object in its slot.
 *
 *   handle mode, plain object:  | payload ...... | slack | handle index 4 | slack length 2 |
 *   fragment, either mode:      | payload ...... | slack | link word 8 | owner word 8 |
 *   reference mode, plain object: nothing
 *
 * The trailer is at the end of the slot, so that the payload starts where the slot does, whatever its alignment; it is read and
 * written bytewise, as strides are any number.
 *
 *   link word    next fragment's offset 40 | object size, low 24 bits
 *   owner word   previous fragment's offset, in the head the handle index, 40 | length 16 | object size, high 8 bits
 *
 * The object's size is not 0 in the head only, and so tells it from the others. */
#ifndef SNUG_MEM_TRAILER_H
#define SNUG_MEM_TRAILER_H

#include "mem/slab.h"
#include "mem/types.h"

#include <string.h>

struct handle_trailer {
	uint32_t index;
	uint16_t slack_bytes;
};

static inline char *handle_trailer_at(const snug_pools *pools, const struct size_class *class, uint64_t offset) {
	return address_of(&pools->arena, offset) + class->stride - HANDLE_TRAILER_BYTES;
}

static inline struct handle_trailer handle_trailer_read(const char *at) {
	struct handle_trailer trailer;
	memcpy(&trailer.index, at, sizeof trailer.index);
	memcpy(&trailer.slack_bytes, at + sizeof trailer.index, sizeof trailer.slack_bytes);
	return trailer;
}

static inline void handle_trailer_write(char *at, struct handle_trailer trailer) {
	memcpy(at, &trailer.index, sizeof trailer.index);
	memcpy(at + sizeof trailer.index, &trailer.slack_bytes, sizeof trailer.slack_bytes);
}

struct fragment_trailer {
	uint64_t next;        /* 0: the last one */
	uint64_t previous;    /* of the head: the handle's index, or 0 */
	uint32_t length;      /* payload bytes in this fragment */
	uint32_t object_size; /* in the head; else 0 */
};

static inline char *fragment_trailer_at(const snug_pools *pools, uint64_t offset) {
	const struct size_class *class = class_of_page(pools, page_of(&pools->arena, offset));
	return address_of(&pools->arena, offset) + class->stride - FRAGMENT_TRAILER_BYTES;
}

static inline struct fragment_trailer fragment_trailer_read(const char *at) {
	uint64_t words[2];
	memcpy(words, at, sizeof words);
	uint64_t mask = ((uint64_t)1 << 40) - 1;
	return (struct fragment_trailer){
		.next = words[0] & mask,
		.previous = words[1] & mask,
		.length = (uint32_t)(words[1] >> 40 & 0xFFFF),
		.object_size = (uint32_t)(words[0] >> 40 | words[1] >> 56 << 24),
	};
}

static inline void fragment_trailer_write(char *at, struct fragment_trailer trailer) {
	uint64_t words[2] = {
		trailer.next | (uint64_t)(trailer.object_size & 0xFFFFFF) << 40,
		trailer.previous | (uint64_t)trailer.length << 40 | (uint64_t)(trailer.object_size >> 24) << 56,
	};
	memcpy(at, words, sizeof words);
}

#endif
