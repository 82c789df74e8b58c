/* allocators.h: the door of allocators/, the allocator under test behind one struct of functions.
 *
 * allocator_list.c    which there are, and where their libraries lie
 * allocator_snug.c    libsnug's heap, objects named by reference or by handle
 * allocator_malloc.c  all mallocs: which of them it is was decided by LD_PRELOAD before the process
 *                     began */
#ifndef REPLAY_ALLOCATORS_H
#define REPLAY_ALLOCATORS_H

#include "ledger/ledger.h"
#include "replay.h"

/* An object is looked at through at most so many extents at a time. */
#define EXTENT_ROOM ((size_t)64)

struct allocator {
	/* False: no memory. */
	bool (*allocate)(struct allocator *self, size_t size, uint64_t *name);
	/* The three below and view: false is a broken law, told in `problem`. */
	bool (*release)(struct allocator *self, uint64_t name, size_t size);
	bool (*pin)(struct allocator *self, uint64_t name, size_t size);
	bool (*unpin)(struct allocator *self, uint64_t name, size_t size);
	/* Extents of the object from `offset` on; `*count` of them, fewer than the whole if it has
	 * many. */
	bool (*view)(struct allocator *self, uint64_t name, size_t size, size_t offset,
				 struct snug_extent extents[EXTENT_ROOM], size_t *count);
	void (*destroy)(struct allocator *self);
	snug_heap *heap; /* NULL: a malloc */
	struct ledger *ledger;
	uint64_t page_bytes;
	/* `moved` was told of an object that the ledger does not know under that name */
	uint64_t owner_errors;
	char problem[TEXT_ROOM];
};

/* False: `problem` says why the heap could not be created. */
bool allocator_snug_create(struct allocator *allocator, const struct job *job,
						   struct ledger *ledger);
void allocator_malloc_create(struct allocator *allocator);

/* "snug", "glibc", ... */
const char *allocator_name(enum allocator_kind kind);
bool allocator_parse(const char *name, enum allocator_kind *out);
/* The shared library to preload, NULL when none is needed or none is found; `*found` tells the two
 * apart. */
const char *allocator_library(enum allocator_kind kind, bool *found);
/* Why it cannot be preloaded here. */
void allocator_explain_absence(enum allocator_kind kind, char *text, size_t room);

#endif
