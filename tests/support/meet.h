/* meet.h: two threads that do one thing each at the same moment, round after round: each says that
 * it is here, and spins until the other is. */
#ifndef SNUG_TEST_MEET_H
#define SNUG_TEST_MEET_H

#include "os/threads.h"

#include <stdatomic.h>

#define MEET_SPINS 2000u /* then the other has lost its processor */

static inline void meet(_Atomic uint64_t *own, const _Atomic uint64_t *other, uint64_t number) {
	atomic_store_explicit(own, number, memory_order_release);
	for (uint32_t spins = 0; atomic_load_explicit(other, memory_order_acquire) < number;)
		if (++spins % MEET_SPINS == 0) os_thread_yield();
}

#endif
