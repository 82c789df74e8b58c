/* os/linux_address_space.c: RLIMIT_AS. */
#include "os/address_space.h"

#include <sys/resource.h>

bool os_addresses_are_limited(void) {
	struct rlimit limit;
	return getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}
