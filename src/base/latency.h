/* base/latency.h: how long something took, in buckets that can be told to others: each holds what took
 * up to twice as long as the one before it.
 *
 *     bucket    0      1      2      3     ..  23       24
 *     up to     1 us   2 us   4 us   8 us  ..  8.4 s    whatever took longer
 *
 * A quantile is known to a factor of two, and a bucket is a counter, so that whoever reads it twice
 * knows what happened in between (Prometheus' rate). It takes 224 bytes where snug/histogram.h, which
 * is exact to 3 %, takes 15 KiB. One thread adds; some 2 ns. */
#ifndef SNUG_BASE_LATENCY_H
#define SNUG_BASE_LATENCY_H

#include "base/bits.h"

#include <stdint.h>

#define LATENCY_BUCKETS 25u
#define LATENCY_LEAST_NS UINT64_C(1000)

struct latency {
	uint64_t sum_ns;
	uint64_t max_ns;
	uint64_t bucket[LATENCY_BUCKETS];
};

/* The most that a bucket holds; UINT64_MAX: the last one. */
static inline uint64_t latency_bound_ns(uint32_t bucket) {
	return bucket + 1 < LATENCY_BUCKETS ? LATENCY_LEAST_NS << bucket : UINT64_MAX;
}

static inline uint32_t latency_bucket(uint64_t ns) {
	uint64_t above = ns == 0 ? 0 : (ns - 1) / LATENCY_LEAST_NS;
	uint32_t bucket = above == 0 ? 0 : bit_highest(above) + 1;
	return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

static inline void latency_add(struct latency *latency, uint64_t ns) {
	latency->bucket[latency_bucket(ns)]++;
	latency->sum_ns += ns;
	if (ns > latency->max_ns) latency->max_ns = ns;
}

static inline void latency_merge(struct latency *into, const struct latency *from) {
	for (uint32_t i = 0; i < LATENCY_BUCKETS; i++) into->bucket[i] += from->bucket[i];
	into->sum_ns += from->sum_ns;
	if (from->max_ns > into->max_ns) into->max_ns = from->max_ns;
}

#endif
