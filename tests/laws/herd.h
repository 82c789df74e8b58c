/* herd.h: many objects whose contents follow from their numbers, for tests on heaps too large to
 * keep a copy of.
 *
 * Object n is filled by a generator seeded with n, so it can be compared without a twin. Its first
 * four bytes are n itself: by them `moved` finds its row when the heap names objects by reference.
 * Sizes are at least 4. */
#ifndef SNUG_TEST_HERD_H
#define SNUG_TEST_HERD_H

#include "support/test_random.h"

#include <snug/snug.h>

struct herd_object {
	uint64_t name; /* handle or reference; 0: freed */
	uint32_t size;
	uint32_t pins;
	const void *pinned_at; /* the first extent when it was pinned */
};

struct herd {
	snug_heap *heap;
	bool by_reference;
	bool may_move; /* inside a call in which `moved` may come */
	struct herd_object *objects;
	uint32_t count; /* rows, freed ones included */
	uint32_t room;
	uint64_t live;
	uint64_t live_bytes;
	uint64_t moved_calls;
	unsigned char *buffer;
	size_t buffer_bytes;
	test_random random;
};

void herd_init(struct herd *herd, bool by_reference, const snug_heap_options *options);
void herd_deinit(struct herd *herd);

/* A refusal is held against laws B1 to B3 (support/bound.h). */
snug_error herd_add(struct herd *herd, size_t size);
/* Adds objects of sizes low .. high until about `bytes` were added or there is no room; says how
 * many bytes were. */
uint64_t herd_fill(struct herd *herd, uint64_t bytes, size_t low, size_t high);
void herd_remove(struct herd *herd, uint32_t number);
/* Frees each live, unpinned object of rows first .. end - 1 with a probability. */
void herd_thin_out(struct herd *herd, uint32_t first, uint32_t end, uint32_t per_mille);
void herd_remove_all(struct herd *herd);
void herd_pin(struct herd *herd, uint32_t number);
void herd_unpin(struct herd *herd, uint32_t number);
/* Contents, sizes, and addresses of what is pinned. */
void herd_verify(struct herd *herd);

snug_stats herd_stats(struct herd *herd);
snug_estimate_report herd_estimate(struct herd *herd, const snug_defragment_options *options);

/* Defragments in slices and requires: each step is bounded in bytes, the whole ends, the report
 * equals the recounted map and the estimate before it, at most a byte is copied for each byte
 * gained by moving, afterwards there is nothing left to gain, all invariants hold and every object
 * is as it was. */
snug_report herd_defragment(struct herd *herd, const snug_defragment_options *options);
/* snug_defragment, whatever comes of it; all is checked and verified then. */
snug_report herd_compact(struct herd *herd);

#endif
