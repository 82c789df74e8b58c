/* mem/heap_keep.h: a heap in a memory file: left there, and found again (os/memory_segment.h). */
#ifndef SNUG_MEM_HEAP_KEEP_H
#define SNUG_MEM_HEAP_KEEP_H

#include "mem/types.h"
#include "os/memory_segment.h"

/* Whether a heap of these options can attach to what the segment holds: looks, and changes nothing.
 * OPTION, LIMIT_TOO_SMALL, LAYOUT, with the reason in the file. */
snug_error heap_could_attach(const snug_heap_options *options, struct memory_segment *segment);

/* The heap that the segment holds, owned by the calling thread, with these options, which have been
 * read. What was charged is not any more. As heap_could_attach; CORRUPT, OS_MEMORY, IN_USE. */
snug_error heap_attach(const snug_heap_options *options, struct memory_segment *segment,
					   snug_heap **out);

/* A heap without objects in what a recovery makes, around the part that has them (OPTION otherwise).
 * Its limit is lifted until it is attached. */
snug_error heap_create_around(const snug_heap_options *options, struct memory_segment *segment,
							  char *objects, snug_heap **out);

/* What heap_could_attach looks at. */
enum { FACT_PAGE_BYTES, FACT_MODE, FACT_LIMIT_MAX, FACT_DESCRIPTORS };

/* Memory of the owner's that lies in the segment too, and was charged when it was kept. */
void heap_charge_kept(snug_heap *heap, size_t bytes);

/* A new heap lies in the segment. */
void heap_note_root(snug_heap *heap);

/* The heap's life ends, and it stays in its segment; with pins the file is not kept (PINNED). */
void heap_leave(snug_heap *heap);

#endif
