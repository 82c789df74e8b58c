/* snug/heap_short.h: snug_ref_alloc and snug_ref_free of small objects, inline. Included by
 * snug/heap.h; no program includes it, and none uses a name of it but the two calls below.
 *
 * What most allocations and frees of up to 1 KiB do is a few loads and stores: a slot is popped from
 * a magazine, or pushed (mem/slab/magazine.h in the library's source). Here the compiler puts them
 * where they are called, in programs that are compiled with optimization. All else is a call:
 * other sizes, an empty magazine and a full one, pins, wrong arguments, builds of the library that
 * check each call.
 *
 * WHAT IS RELIED ON. The structs here are how a heap of the library lies in memory, as far as the
 * two functions read it. They are no part of the interface: a program that reads them itself breaks
 * with the next version. A program that was compiled with them does not: a library in which they lie
 * otherwise has 0 where `inline_bytes` is here, and then each allocation and free is a call. So a
 * change of the layout moves that one member.
 *
 * SNUG_NO_INLINE, defined before any header of snug is included, leaves the two functions out. */
#ifndef SNUG_HEAP_SHORT_H
#define SNUG_HEAP_SHORT_H

#include <snug/platform.h>

#include <snug/heap.h>

#ifdef __cplusplus
extern "C" {
#endif

/* snug_ref_alloc and snug_ref_free, always as calls. */
SNUG_NODISCARD snug_error snug_ref_alloc_called(snug_heap *heap, size_t size, snug_ref *out);
SNUG_NODISCARD snug_error snug_ref_free_called(snug_heap *heap, snug_ref ref, size_t size);

#define SNUG_SHORT_BYTES_MAX 1024
#define SNUG_SHORT_LIST_MAX 16 /* the lists of slabs on which nothing is pinned */

/* What a size class begins with; its magazine follows. */
typedef struct __attribute__((may_alias)) snug_short_class {
	uint32_t magazine_count;
	uint32_t magazine_capacity;
	uint32_t short_bytes;
	uint32_t stride;
	uint64_t payload_bytes;
	uint64_t others[29];
} snug_short_class;

typedef struct __attribute__((may_alias)) snug_short_entry {
	snug_short_class *serving;
	uint32_t stride;
	uint32_t live;
} snug_short_entry;

typedef struct __attribute__((may_alias)) snug_short_page {
	uint32_t next;
	uint32_t previous;
	uint16_t class_id;
	uint16_t free_slots;
	uint16_t pins;
	uint8_t state;
	uint8_t list;
	uint64_t free_bits[2];
} snug_short_page;

/* What a heap begins with. */
typedef struct __attribute__((may_alias)) snug_short_heap {
	uintptr_t bias;
	uint64_t inline_bytes; /* the largest object of these functions; 0: none goes this way now */
	uint64_t gate[2];
	uint64_t frees;
	snug_short_page *pages;
	uint64_t described;
	uint32_t page_shift;
	uint32_t page_bytes;
	uint64_t others[56];
	snug_short_class **classes;
	uint16_t shortest[SNUG_SHORT_BYTES_MAX + 1];
	uint16_t exact[SNUG_SHORT_BYTES_MAX + 1];
} snug_short_heap;

#if defined __GNUC__ && defined __OPTIMIZE__ && !defined SNUG_NO_INLINE

#define SNUG_SHORT_WAY extern inline __attribute__((gnu_inline))
#define SNUG_SHORT_LIKELY(condition) __builtin_expect(!!(condition), 1)
/* Not by the tables' names: a compiler that knows a size to be large would warn of what never runs. */
#define SNUG_SHORT_PLACE(heap, table, size) \
	((const uint16_t *)(void *)((char *)(heap) + offsetof(snug_short_heap, table)))[size]
#define SNUG_SHORT_ENTRY(heap, table, size) \
	((snug_short_entry *)(void *)((uint64_t *)(void *)(heap) + SNUG_SHORT_PLACE(heap, table, size)))
#define SNUG_SHORT_MAGAZINE(size_class) ((snug_ref *)(void *)((size_class) + 1))

SNUG_SHORT_WAY snug_error snug_ref_alloc(snug_heap *heap, size_t size, snug_ref *out) {
	snug_short_heap *at = (snug_short_heap *)(void *)heap;
	if (SNUG_SHORT_LIKELY(heap != NULL && out != NULL && size - 1 < at->inline_bytes)) {
		snug_short_entry *entry = SNUG_SHORT_ENTRY(heap, shortest, size);
		snug_short_class *serving = entry->serving;
		int64_t left = (int64_t)serving->magazine_count - 1;
		if (SNUG_SHORT_LIKELY(left >= 0)) {
			serving->magazine_count = (uint32_t)left;
			serving->payload_bytes += size;
			entry->live++;
			*out = SNUG_SHORT_MAGAZINE(serving)[left];
			return SNUG_OK;
		}
	}
	return snug_ref_alloc_called(heap, size, out);
}

SNUG_SHORT_WAY snug_error snug_ref_free(snug_heap *heap, snug_ref ref, size_t size) {
	snug_short_heap *at = (snug_short_heap *)(void *)heap;
	if (SNUG_SHORT_LIKELY(heap != NULL && size - 1 < at->inline_bytes)) {
		uint64_t number = ref >> at->page_shift; /* beyond all pages for one in fragments */
		if (SNUG_SHORT_LIKELY(number < at->described &&
							  at->pages[number].list <= SNUG_SHORT_LIST_MAX)) {
			snug_short_class *own = at->classes[at->pages[number].class_id];
			uint32_t count = own->magazine_count;
			if (SNUG_SHORT_LIKELY((uint32_t)size <= own->short_bytes &&
								  count < own->magazine_capacity)) {
				snug_short_entry *entry = SNUG_SHORT_ENTRY(heap, exact, size);
				at->frees++;
				entry->live--;
				own->payload_bytes -= size;
				own->magazine_count = count + 1;
				SNUG_SHORT_MAGAZINE(own)[count] = ref;
				return SNUG_OK;
			}
		}
	}
	return snug_ref_free_called(heap, ref, size);
}

#endif

#ifdef __cplusplus
}
#endif
#endif
