/* os/linux_address_space.c: RLIMIT_AS, and how much memory there is. */
#include "os/address_space.h"

#include <sys/resource.h>
#include <unistd.h>

bool os_addresses_are_limited(void) {
	struct rlimit limit;
	return getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

uint64_t os_memory_bytes(void) {
	long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
	return pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes : 0;
}
