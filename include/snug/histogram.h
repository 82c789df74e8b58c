/* snug/histogram.h: a latency histogram of fixed size: relative error below 1/32 over the whole
 * range of uint64_t.
 *
 *     static snug_histogram latency;                           // 15 KiB
 *     snug_histogram_init(&latency);
 *     for (uint64_t ns = 1; ns <= 1000; ns++) snug_histogram_add(&latency, ns);
 *     if (snug_histogram_quantile(&latency, 1) != 1000) return 1;
 *     printf("99 %% below %llu ns\n", (unsigned long long)snug_histogram_quantile(&latency, 0.99));
 *
 * Log-linear buckets, as in HdrHistogram (Gil Tene): below 64 each value has its own bucket, above
 * it every power of two is cut in 32. Adding costs some 2 ns. One thread writes; merge copies to
 * compare or to publish. */
#ifndef SNUG_HISTOGRAM_H
#define SNUG_HISTOGRAM_H

#include <snug/platform.h>

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SNUG_HISTOGRAM_BUCKETS 1920

typedef struct snug_histogram {
	uint64_t count;
	uint64_t sum;
	uint64_t min; /* UINT64_MAX when empty */
	uint64_t max;
	uint64_t buckets[SNUG_HISTOGRAM_BUCKETS];
} snug_histogram;

void snug_histogram_init(snug_histogram *histogram);
void snug_histogram_add(snug_histogram *histogram, uint64_t value);
void snug_histogram_merge(snug_histogram *into, const snug_histogram *from);
/* The value at `quantile` in [0, 1]: the upper end of its bucket, but never more than the largest
 * value; 0 when empty. */
uint64_t snug_histogram_quantile(const snug_histogram *histogram, double quantile);

#ifdef __cplusplus
}
#endif
#endif
