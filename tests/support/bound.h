/* bound.h: laws B1 to B3 as a function: whether a heap may refuse a request (docs/bounds.md).
 *
 * A request that need not be contiguous may be refused only if all holes and free pages together
 * hold less than its bytes, its fragments' trailers, and the metadata that it must have. One that
 * must be contiguous may be refused only if no hole of its family is as large as it is, no page is
 * free, and no slab with holes can be emptied into holes of its own or of larger slots.
 *
 * Everything is counted again from the bitmaps and the magazines: no counter of the heap's is
 * asked. A hole of s bytes counts for s less a trailer, a free page for a page less a trailer. */
#ifndef SNUG_TEST_BOUND_H
#define SNUG_TEST_BOUND_H

#include "mem/types.h"

enum bound_storage { BOUND_PLAIN, BOUND_CONTIGUOUS, BOUND_ALIGNED, BOUND_STORAGES };

struct bound_verdict {
	const char *wrong;     /* why the refusal breaks the law; NULL: it is right */
	bool is_of_table;      /* the table of handles had no room for one more */
	uint64_t room_bytes;   /* what holes and free pages hold, less a trailer each */
	uint64_t needed_bytes; /* the request, and the metadata that must come with it */
};

/* Of a heap that has just refused `bytes`. */
struct bound_verdict bound_judge(const snug_heap *heap, size_t bytes, enum bound_storage storage);

/* Of a heap that has just refused to be charged with so many bytes, at most a page. */
struct bound_verdict bound_judge_charge(const snug_heap *heap, size_t bytes);

/* Of a heap that has just refused a pin. */
struct bound_verdict bound_judge_pin(const snug_heap *heap);

/* The most that all holes hold when something contiguous was refused and nothing is pinned; or what
 * trailers of so many bytes take of them. Where pools do not mix, small and medium slots are
 * apart. */
uint64_t bound_most_left(const snug_heap *heap, bool pools_mix, uint32_t trailer_bytes);

#endif
