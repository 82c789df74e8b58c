/* snug/os.h: what the library asks of the operating system, as one struct, so that something else
 * can be put beneath it: a test's fake, or what wraps a function of the system's.
 *
 *     static bool commit(void *context, void *address, size_t bytes) {
 *         *(size_t *)context += bytes;                         // counted, and passed on
 *         return snug_os_linux()->commit(NULL, address, bytes);
 *     }
 *
 *     size_t committed_bytes = 0;
 *     snug_os os = *snug_os_linux();
 *     os.context = &committed_bytes;
 *     os.commit = commit;                                      // and then options.os = &os
 *     void *address = os.reserve(os.context, 4096, 4096);
 *     if (address == NULL || !os.commit(os.context, address, 4096) || committed_bytes != 4096) return 1;
 *     os.release(os.context, address, 4096); */
#ifndef SNUG_OS_H
#define SNUG_OS_H

#include <snug/platform.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All calls come from the thread that owns the heap. Addresses and sizes are multiples of 4096
 * bytes. */
typedef struct snug_os {
	void *context;
	/* Reserves `bytes` of address space, aligned to `alignment` (a power of two); nothing is
	 * resident yet. NULL: refused. */
	void *(*reserve)(void *context, size_t bytes, size_t alignment);
	/* Gives back a whole reservation. */
	void (*release)(void *context, void *address, size_t bytes);
	/* Announces first use of a range, which must then read as zeros and be writable. False:
	 * refused, nothing changed. */
	bool (*commit)(void *context, void *address, size_t bytes);
	/* Drops the content of a range: it stays reserved and is committed anew before its next use.
	 * False: kept as it was, and still committed. A page that is not taken stays room for objects,
	 * and counts towards the limit. What is not an object (tables, what is charged) then has what
	 * the limit still allows, and is refused beyond that with OS_MEMORY. It may answer false each
	 * time: docs/operations.md, "Memory that the system does not take back". Only the
	 * heap's owner looks there: over an OS that is not Linux's a cache lets no other thread read. */
	bool (*decommit)(void *context, void *address, size_t bytes);
	/* Asks for 2 MiB pages in a range of whole ones, until it is advised otherwise; a hint. */
	void (*advise_huge)(void *context, void *address, size_t bytes);
	/* Makes a committed range resident now, so that no first touch is paid later; false:
	 * refused. */
	bool (*populate)(void *context, void *address, size_t bytes);
	/* Nanoseconds of a clock that never goes backwards. */
	uint64_t (*now_ns)(void *context);
	/* Asks that a range be given no larger pages than its own first touches need, so that no more
	 * is resident than was committed; a hint. NULL: none is needed. */
	void (*advise_small)(void *context, void *address, size_t bytes);
	void (*reserved[3])(void); /* NULL */
} snug_os;

/* The Linux functions (mmap, madvise, CLOCK_MONOTONIC). A constant without state: any thread, for
 * ever. */
const snug_os *snug_os_linux(void);

#ifdef __cplusplus
}
#endif
#endif
