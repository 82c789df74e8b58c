/* os/address_space.h: whether the process has as many addresses as it likes.
 *
 * Tables that must not move reserve addresses for the most that they can ever need. That costs
 * nothing but addresses, so it is right unless those are limited (RLIMIT_AS, "ulimit -v"): then
 * they reserve for what is usual. Each table has a bound for both, stated where it is reserved. */
#ifndef SNUG_OS_ADDRESS_SPACE_H
#define SNUG_OS_ADDRESS_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Any thread. */
bool os_addresses_are_limited(void);

/* What the machine has of memory. Any thread. */
uint64_t os_memory_bytes(void);

/* What a table reserves beyond a share of the limit where addresses are limited: nobody lacks this
 * much, and a small table is whole in it. */
#define LEAN_EXTRA_BYTES ((size_t)1 << 20)

static inline size_t lean_bytes(size_t most_bytes, size_t share_bytes) {
	size_t bytes = share_bytes + LEAN_EXTRA_BYTES;
	return bytes < most_bytes ? bytes : most_bytes;
}

#endif
