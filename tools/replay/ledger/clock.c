/* clock.c: see clock.h. */
#include "ledger/clock.h"

#include <stddef.h>
#include <stdlib.h>

#define EMPTY_MEASUREMENTS 1001

static int ascending(const void *left, const void *right) {
	uint64_t a = *(const uint64_t *)left;
	uint64_t b = *(const uint64_t *)right;
	return (a > b) - (a < b);
}

uint64_t clock_overhead_ns(void) {
	uint64_t taken_ns[EMPTY_MEASUREMENTS];
	for (size_t i = 0; i < EMPTY_MEASUREMENTS; i++) {
		uint64_t begin_ns = clock_ns();
		taken_ns[i] = clock_ns() - begin_ns;
	}
	qsort(taken_ns, EMPTY_MEASUREMENTS, sizeof taken_ns[0], ascending);
	return taken_ns[EMPTY_MEASUREMENTS / 2];
}
