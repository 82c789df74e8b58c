/* window.h: threads that read and write one table for a while, all values certified. */
#ifndef SNUG_BENCH_WINDOW_H
#define SNUG_BENCH_WINDOW_H

#include "readers/contestant.h"

#define VISITORS_MAX 64u
#define BLOCK 100u /* operations: the gets first, then the sets; each part is timed as one */

/* Which keys are asked for, drawn in advance: a ring, read from any place. */
struct draws {
	const char *name;
	uint32_t *numbers; /* DRAWS of them */
};
#define DRAWS (1u << 20)

struct window {
	const struct contestant *contestant;
	void *table;
	const struct draws *draws;
	uint32_t threads;
	uint32_t sets; /* of BLOCK operations */
	uint64_t duration_ns;
	bool by_processor; /* times are what a thread had of one, not the wall's */
	uint64_t seed;     /* where the threads begin in the ring */
};

/* Of all threads together. */
struct window_result {
	uint64_t gets, sets;
	uint64_t get_ns, set_ns; /* of each thread; on the wall: waiting for a processor is in it */
	uint64_t missing;        /* gets that found nothing, where all is stored */
	uint64_t wrong;          /* values that do not certify themselves */
};

/* Stores each of `items` once. */
void window_fill(const struct contestant *contestant, void *table, uint32_t items);

/* The calling thread is one of the threads. */
void window_run(const struct window *window, struct window_result *out);

#endif
