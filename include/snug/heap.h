/* snug/heap.h: a heap of memory pools whose objects may be moved, so that free memory never stays
 * in pieces.
 *
 *     snug_heap_options options = snug_heap_options_default();
 *     options.limit_bytes = 64 << 20;                          // hard: objects and all bookkeeping
 *     snug_heap *heap;
 *     if (snug_heap_create(&options, &heap) != SNUG_OK) return 1;
 *     snug_handle handle;
 *     if (snug_alloc(heap, 100, &handle) != SNUG_OK) return 1;
 *     if (snug_write(heap, handle, 0, "hello", 5) != SNUG_OK) return 1;
 *     if (snug_free(heap, handle) != SNUG_OK) return 1;
 *     if (snug_heap_destroy(heap) != SNUG_OK) return 1;
 *
 * A heap has one hard limit and three pools (small, medium, large) over one arena of uniform pages.
 * One thread owns it; no call may come from another one. A debug build of the library checks that
 * and answers SNUG_ERROR_WRONG_THREAD; a release build does not look. Two heaps share nothing.
 *
 * Objects are named in one of two ways, chosen when the heap is created:
 *
 * - by HANDLE (no owner given): 64 bits that name an object and never its address. Freed, the
 *   handle is stale: every later use is an error, not another object. Costs 8 bytes a handle in a
 *   table and 6 bytes in the slot.
 * - by REFERENCE (options.owner given), for an owner that keeps its own table, such as a cache's
 *   index: 40 bits that change when the object moves, which the owner is told. Costs nothing.
 *   Trusted: a wrong reference is the owner's mistake (debug builds find most).
 *
 * WHEN OBJECTS MOVE: in a defragmentation step (snug/defragment.h), and in an allocation or resize
 * that found no room and compacted to make some (see options.no_compaction_in_alloc). So an address
 * from snug_ptr or snug_view holds until the next call of snug_alloc*, snug_resize,
 * snug_heap_charge or snug_defragment* (and their snug_ref_ forms) on the same heap; a pin makes it
 * hold until the unpin.
 *
 * WHAT A CALL COSTS grows with the object alone, never with the heap. For each MiB of an object in
 * pages of 4 KiB, and of 32 KiB (bench-large):
 *
 *     snug_alloc               450 us    50 us       first use of memory besides: 300 us
 *     snug_write, snug_read    150 us   150 us       in pieces: go on where the last one ended
 *     snug_resize, smaller     160 us    40 us       larger: as snug_alloc, and a copy of the tail
 *     snug_free                 40 us     2 us       in parts: snug_free_part
 *
 * A heap with options.populate takes 300 us a MiB to create; to destroy one takes 40 us for each MiB
 * that is resident.
 *
 * Sizes are bytes. Every function returns a typed error; out-parameters are written on SNUG_OK
 * only. */
#ifndef SNUG_HEAP_H
#define SNUG_HEAP_H

#include <snug/error.h>
#include <snug/log.h>
#include <snug/memory_file.h>
#include <snug/os.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct snug_heap snug_heap;

typedef enum snug_pool {
	SNUG_POOL_SMALL,  /* slots up to 1 KiB */
	SNUG_POOL_MEDIUM, /* slots up to a page */
	/* fragments of objects that no slot fits tightly, or that are larger than a page */
	SNUG_POOL_LARGE,
	SNUG_POOL_COUNT
} snug_pool;

/* Names an object of a heap by handle. 0 is never a handle. */
typedef uint64_t snug_handle;

/* Names an object of a heap by reference until it moves. Fits in 40 bits; 0 is never a
 * reference. */
typedef uint64_t snug_ref;
#define SNUG_REF_BITS 40

#define SNUG_OBJECT_MAX_BYTES ((size_t)UINT32_MAX) /* largest object, if the limit allows */
#define SNUG_LIMIT_MIN_BYTES ((size_t)256 << 10)
#define SNUG_LIMIT_MAX_BYTES ((size_t)256 << 30)

/* Who keeps the references of a heap by reference. Callbacks run on the owning thread, inside the
 * call that moves; they must not call into the heap (answered with SNUG_ERROR_REENTERED), except
 * snug_ref_at. */
typedef struct snug_owner {
	/* The object `from` is now `to`, its bytes already there; `from` is dead on return. `size` is
	 * what size_of said, or the slot's bytes when there is no size_of. An object in fragments may be
	 * contiguous afterwards; one that is contiguous stays so. Required.
	 *
	 * Who knows an object by its first bytes sets no_last_resort: an object in pieces may begin with
	 * an extent of a single byte. Or it looks `from` up. */
	void (*moved)(void *context, snug_ref from, snug_ref to, size_t size);
	/* The size the object was allocated with, read from its first bytes (an object's first
	 * fragment, if it has several: never asked for those). Optional: with it, objects that sit in a
	 * slot too large are put into a tighter one when they move. */
	size_t (*size_of)(void *context, const void *object);
	void *context;
} snug_owner;

/* Begin with snug_heap_options_default, then change; only limit_bytes has no default. The struct is
 * copied; os must outlive the heap. It may grow at its end: snug/version.h. */
typedef struct snug_heap_options {
	size_t struct_bytes; /* set by snug_heap_options_init */
	/* Hard: pages, all metadata and what the owner charges, together. SNUG_LIMIT_MIN_BYTES ..
	 * SNUG_LIMIT_MAX_BYTES */
	size_t limit_bytes;
	/* the most that snug_heap_set_limit may set: addresses are reserved for it. 0: limit_bytes */
	size_t limit_max_bytes;
	size_t page_bytes; /* 4096 .. 65536, a power of two; 0: chosen from the limit */
	/* ask for 2 MiB pages; memory is then taken from the OS 2 MiB at a time. Otherwise small ones
	 * are asked for, even where huge ones are always on: no more is resident than was committed */
	bool huge_pages;
	/* make memory resident at creation, all but a 64th of the limit, left for metadata */
	bool populate;
	/* An allocation that finds no page compacts until there is one, in steps of at most one page
	 * copied each. With this set it moves nothing, and only snug_defragment does: so it finds what
	 * needs no move, the last resort included, or answers SNUG_ERROR_NO_MEMORY. */
	bool no_compaction_in_alloc;
	/* An allocation that finds no slot after compaction takes, as the last resort, any larger hole,
	 * or is stored in pieces in whatever holes there are. With this set it answers
	 * SNUG_ERROR_NO_MEMORY instead: for who has something to evict. */
	bool no_last_resort;
	/* Pacing: while fewer free bytes than this are at hand, each page taken pays for a step of
	 * pace_step_bytes. 0: off. Not together with no_compaction_in_alloc. */
	size_t pace_low_water_bytes;
	size_t pace_step_bytes; /* 0: one page */
	snug_owner owner;       /* moved set: objects are named by reference; else by handle */
	const snug_os *os;      /* NULL: Linux */
	snug_log log;           /* write NULL: silent */
	/* A file in memory that the heap lies in, and outlives the process with; `os` is NULL then. It
	 * must outlive the heap. NULL: none */
	snug_memory_file *memory_file;
	uint32_t memory_segment; /* which of the file's segments, from 0; of workers: of the first */
	uint32_t reserved;       /* 0 */
} snug_heap_options;

/* The defaults, in a struct of so many bytes. Other languages than C and C++ call this one. */
void snug_heap_options_init(snug_heap_options *options, size_t struct_bytes);
static inline snug_heap_options snug_heap_options_default(void) {
	snug_heap_options made;
	snug_heap_options_init(&made, sizeof made);
	return made;
}

/* Creates a heap owned by the calling thread. Nothing but metadata is resident yet.
 * NULL, VERSION, OPTION (page_bytes, a size_of without moved, pace), LIMIT_TOO_SMALL, OS_MEMORY.
 * With a memory file that holds a heap it is attached: all its objects are there. LAYOUT (another
 * size of pages, the other way of naming, a limit above its limit_max_bytes, another version of the
 * library), CORRUPT, IN_USE (a heap lies in the segment). */
SNUG_NODISCARD snug_error snug_heap_create(const snug_heap_options *options, snug_heap **out);

/* Gives everything back to the OS; all objects end with it, but those in a memory file, which stay
 * there. Owning thread. WRONG_THREAD, REENTERED,
 * and nothing done. NULL: OK. */
SNUG_NODISCARD snug_error snug_heap_destroy(snug_heap *heap);

/* Makes the calling thread the owner. The thread that owned the heap must be done with it, and a
 * message or a join must lie between its last call and this one. */
SNUG_NODISCARD snug_error snug_heap_adopt(snug_heap *heap);

/* Sets the limit. A higher one, or one above what is in use, holds at once. Otherwise the limit
 * falls as pages become free, and snug_stats_get tells limit_bytes and limit_goal_bytes.
 *
 * Pages that become free go to the OS at once. Those that an allocation or a charge waits for, and
 * those that were free before, go in the steps of a defragmentation; with retain_bytes 0 all of them.
 * OPTION (above limit_max_bytes), LIMIT_TOO_SMALL. */
SNUG_NODISCARD snug_error snug_heap_set_limit(snug_heap *heap, size_t limit_bytes);

/* Counts memory of the owner's, such as an index or buffers, towards the limit. Free pages are
 * given back to the OS to make room, and as in an allocation, objects may be moved for that.
 * NO_MEMORY. OS_MEMORY: the OS does not take a free page back; that it is free helps objects alone
 * (snug/os.h). Discharge: RANGE (more than was charged). */
SNUG_NODISCARD snug_error snug_heap_charge(snug_heap *heap, size_t bytes);
SNUG_NODISCARD snug_error snug_heap_discharge(snug_heap *heap, size_t bytes);

/* How an object is to be stored. All zero is the default (= {0} in C, = {} in C++). */
typedef struct snug_alloc_options {
	/* of the first byte: 0 and 1 (byte strings), 8 or 16. More than 1 implies contiguous */
	uint32_t alignment;
	bool contiguous; /* one extent with one address; at most snug_contiguous_max bytes */
} snug_alloc_options;

/* The largest object that can be contiguous (a page, less what a handle needs), and with an
 * alignment. */
size_t snug_contiguous_max(const snug_heap *heap);

/* ------------------------------------------------------------------ objects named by handle --- */

/* Allocates `size` bytes of undefined content. Never fails for fragmentation (docs/bounds.md), unless
 * options.no_compaction_in_alloc or no_last_resort ask for it. NULL, SIZE_ZERO, SIZE_TOO_LARGE (could never fit), ALIGNMENT,
 * NO_MEMORY, OS_MEMORY, MODE, REENTERED, WRONG_THREAD. */
SNUG_NODISCARD snug_error snug_alloc(snug_heap *heap, size_t size, snug_handle *out);
SNUG_NODISCARD snug_error snug_alloc_with(snug_heap *heap, size_t size,
										  const snug_alloc_options *options, snug_handle *out);

/* Frees the object; the handle is stale from here on. HANDLE (a second free too), PINNED. */
SNUG_NODISCARD snug_error snug_free(snug_heap *heap, snug_handle handle);

/* The same in parts, for large objects: frees fragments from the object's beginning until at least
 * `bytes` went, so at most a page more. `*done`: all of it is free, and the handle stale. Until then
 * the handle names what is left, an object like any other: smaller, and its first bytes are those
 * that followed. One that is not stored in fragments goes at once. HANDLE, PINNED, BUDGET_ZERO
 * (bytes). */
SNUG_NODISCARD snug_error snug_free_part(snug_heap *heap, snug_handle handle, size_t bytes,
										 bool *done);

/* `count` objects at once, at most SNUG_BATCH_MAX (RANGE): the cache lines they need are fetched
 * together. All, or none if one names no object or is named twice (HANDLE), or is pinned (PINNED). */
#define SNUG_BATCH_MAX 256
SNUG_NODISCARD snug_error snug_free_batch(snug_heap *heap, const snug_handle *handles,
										  size_t count);

/* Changes the size; the handle stays, the first min(old, new) bytes stay, the rest is undefined.
 * The alignment is kept, and what is contiguous stays so up to snug_contiguous_max. Making an
 * object smaller never fails for memory. HANDLE, PINNED, SIZE_ZERO, SIZE_TOO_LARGE, NO_MEMORY,
 * OS_MEMORY. */
SNUG_NODISCARD snug_error snug_resize(snug_heap *heap, snug_handle handle, size_t size);

/* The size that was asked for. HANDLE. */
SNUG_NODISCARD snug_error snug_size(snug_heap *heap, snug_handle handle, size_t *out);

/* The address of a contiguous object: all objects up to a page that were not stored in fragments
 * (ask with snug_alloc_options.contiguous to be sure). Valid until objects may move (top of this
 * file). HANDLE, NOT_CONTIGUOUS. */
SNUG_NODISCARD snug_error snug_ptr(snug_heap *heap, snug_handle handle, void **out);

/* Copies out of or into any object. RANGE if offset + length exceed its size. HANDLE. */
SNUG_NODISCARD snug_error snug_read(snug_heap *heap, snug_handle handle, size_t offset,
									void *buffer, size_t length);
SNUG_NODISCARD snug_error snug_write(snug_heap *heap, snug_handle handle, size_t offset,
									 const void *data, size_t length);

/* One piece of an object, in order; laid out as struct iovec. */
typedef struct snug_extent {
	void *data;
	size_t length;
} snug_extent;

/* The extents of bytes [offset, offset + length). `*count` gives the array's room and takes the
 * number used. Valid until objects may move. HANDLE, RANGE, TOO_MANY_EXTENTS (snug_extent_count
 * tells how many there are). */
SNUG_NODISCARD snug_error snug_view(snug_heap *heap, snug_handle handle, size_t offset,
									size_t length, snug_extent *extents, size_t *count);
SNUG_NODISCARD snug_error snug_extent_count(snug_heap *heap, snug_handle handle, size_t *out);

/* A lease on the object's addresses: until the matching unpin it is not moved, freed or resized.
 * Pins nest. Costs 8-16 bytes of metadata for each object that is pinned. HANDLE, NO_MEMORY,
 * TOO_MANY_PINS; HANDLE, NOT_PINNED. */
SNUG_NODISCARD snug_error snug_pin(snug_heap *heap, snug_handle handle);
SNUG_NODISCARD snug_error snug_unpin(snug_heap *heap, snug_handle handle);

/* ------------------------------------------------------------------ objects named by reference  */

/* As above; the owner gives the size back, exactly as it was last given, wherever it is asked for.
 * snug_ref_alloc and snug_ref_free of up to 1 KiB are inline (snug/heap_short.h). An object is
 * contiguous when snug_ref_is_contiguous says so. REFERENCE where a debug build finds
 * the reference to name no live slot. */
SNUG_NODISCARD snug_error snug_ref_alloc(snug_heap *heap, size_t size, snug_ref *out);
SNUG_NODISCARD snug_error snug_ref_alloc_with(snug_heap *heap, size_t size,
											  const snug_alloc_options *options, snug_ref *out);
SNUG_NODISCARD snug_error snug_ref_free(snug_heap *heap, snug_ref ref, size_t size);
/* `*ref` and `*size` name the object, and then what is left of it; the owner is told of its moves by
 * that. `*size` 0: nothing is. */
SNUG_NODISCARD snug_error snug_ref_free_part(snug_heap *heap, snug_ref *ref, size_t *size,
											 size_t bytes, bool *done);

/* `count` objects at once, as snug_free_batch. Alloc: all or none. Free: all, or none if one is
 * pinned (PINNED). */
SNUG_NODISCARD snug_error snug_ref_alloc_batch(snug_heap *heap, const size_t *sizes, size_t count,
											   snug_ref *out);
SNUG_NODISCARD snug_error snug_ref_free_batch(snug_heap *heap, const snug_ref *refs,
											  const size_t *sizes, size_t count);

/* The reference may change: `*ref` is read, and written on SNUG_OK. Making room may move objects,
 * and this one too: `moved` tells the owner as ever, be the call then refused or not. */
SNUG_NODISCARD snug_error snug_ref_resize(snug_heap *heap, snug_ref *ref, size_t size,
										  size_t new_size);

static inline bool snug_ref_is_contiguous(snug_ref ref) {
	return (ref >> (SNUG_REF_BITS - 1)) == 0;
}

/* The address of a contiguous object or of the first extent of another, which may be a single byte
 * long. No check, no look-up: base + offset. Callable from inside the owner's callbacks. */
static inline void *snug_ref_at(const snug_heap *heap, snug_ref ref) {
	/* what the struct begins with; it never changes */
	const uintptr_t *base = (const uintptr_t *)(const void *)heap;
	return (void *)(*base + (uintptr_t)(ref & (((snug_ref)1 << (SNUG_REF_BITS - 1)) - 1)));
}

SNUG_NODISCARD snug_error snug_ref_read(snug_heap *heap, snug_ref ref, size_t size, size_t offset,
										void *buffer, size_t length);
SNUG_NODISCARD snug_error snug_ref_write(snug_heap *heap, snug_ref ref, size_t size, size_t offset,
										 const void *data, size_t length);
SNUG_NODISCARD snug_error snug_ref_view(snug_heap *heap, snug_ref ref, size_t size, size_t offset,
										size_t length, snug_extent *extents, size_t *count);
SNUG_NODISCARD snug_error snug_ref_extent_count(snug_heap *heap, snug_ref ref, size_t size,
												size_t *out);
SNUG_NODISCARD snug_error snug_ref_pin(snug_heap *heap, snug_ref ref, size_t size);
SNUG_NODISCARD snug_error snug_ref_unpin(snug_heap *heap, snug_ref ref, size_t size);

#ifdef __cplusplus
}
#endif

#include <snug/heap_short.h>

#endif
