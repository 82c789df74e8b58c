/* pairs.h: what the parent and the children of bench-pairs say to each other. */
#ifndef SNUG_BENCH_PAIRS_H
#define SNUG_BENCH_PAIRS_H

#include "bench.h"

typedef enum pairs_sizes { PAIRS_100, PAIRS_64_TO_256, PAIRS_META, PAIRS_SIZES_COUNT } pairs_sizes;

typedef enum pairs_mode { PAIRS_SINGLE, PAIRS_BATCH, PAIRS_MODE_COUNT } pairs_mode;

#define PAIRS_BATCH_COUNT 64
#define PAIRS_META_MAX_BYTES (16 * KIB)

/* A child's work, given as its arguments. */
typedef struct pairs_setup {
	bool reference; /* for snug: named by reference, else by handle */
	bool malloc;    /* whatever malloc the process has; else snug */
	bool huge_pages;
	pairs_sizes sizes;
	size_t live_bytes;
	uint64_t seed;
} pairs_setup;

/* Parent to child: one round. The child answers with the nanoseconds that it took, a uint64_t; the
 * first answer comes unasked when its heap is full and shuffled. */
typedef struct pairs_command {
	uint64_t mode; /* pairs_mode */
	uint64_t pairs;
} pairs_command;

/* Serves commands from `input` to `output` until `input` ends. */
void pairs_child_run(const pairs_setup *setup, int input, int output);

#endif
