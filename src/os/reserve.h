/* os/reserve.h: addresses whose memory is counted by the page.
 *
 * Where the kernel gives 2 MiB at the first touch of any page, what is resident is up to 512 times
 * what was committed. So whoever reserves asks for small pages, and for huge ones only where all of
 * one is committed at once (mem/arena/arena.c). */
#ifndef SNUG_OS_RESERVE_H
#define SNUG_OS_RESERVE_H

#include <snug/os.h>

static inline void os_advise_small(const snug_os *os, void *address, size_t bytes) {
	if (os->advise_small != NULL) os->advise_small(os->context, address, bytes);
}

/* Addresses without access, aligned to a power of two. NULL: refused. */
char *os_reserve_addresses(size_t bytes, size_t alignment);

/* Opens a mapping that has no access yet. Where the process locks all that it maps, opening it
 * would make all of it resident; now a page is locked when it is touched. False: refused. */
bool os_open_access(char *address, size_t bytes);

/* NULL: refused. */
static inline void *os_reserve(const snug_os *os, size_t bytes, size_t alignment) {
	void *address = os->reserve(os->context, bytes, alignment);
	if (address != NULL) os_advise_small(os, address, bytes);
	return address;
}

#endif
