/* clock.h: monotonic nanoseconds, and what it costs to ask for them twice. */
#ifndef REPLAY_CLOCK_H
#define REPLAY_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ns(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The median of many empty measurements: taken off every measurement. */
uint64_t clock_overhead_ns(void);

#endif
