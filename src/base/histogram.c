/* base/histogram.c: log-linear buckets.
 *
 * A value keeps its six leading bits and loses `shift` bits below them:
 *
 *     shift  = 0                      for values below 64 (nothing is lost)
 *     shift  = bit_highest(value) - 5 from there on, 1 .. 58
 *     bucket = 32 * shift + (value >> shift)
 *
 * From 64 on, value >> shift lies in 32..63, so the buckets of one shift follow those of the shift
 * before without a gap:
 *
 *     values    0..63   64..127   128..255  ...  2^63..2^64-1
 *     shift     0       1         2              58
 *     width     1       2         4              2^58
 *     buckets   0..63   64..95    96..127   ...  1888..1919
 *
 * A bucket's width is 2^shift and its lowest value at least 32 * 2^shift: reporting its upper end
 * is wrong by less than 1/32.
 *
 * `sum` wraps at 2^64: for nanoseconds that is 584 years of measured time. */
#include <snug/histogram.h>

#include "base/assert.h"
#include "base/bits.h"

#include <string.h>

#define PRECISION_BITS 5u /* each power of two is cut in 2^5 buckets */

static uint32_t bucket_of(uint64_t value) {
	uint32_t shift = value < (2u << PRECISION_BITS) ? 0 : bit_highest(value) - PRECISION_BITS;
	return (shift << PRECISION_BITS) + (uint32_t)(value >> shift);
}

static uint64_t bucket_upper_end(uint32_t bucket) {
	if (bucket < (2u << PRECISION_BITS)) return bucket;
	uint32_t shift = (bucket >> PRECISION_BITS) - 1;
	uint64_t leading_bits = bucket - (shift << PRECISION_BITS);
	return ((leading_bits + 1) << shift) - 1; /* the last bucket: 2^64 wraps to 0, less 1 */
}

void snug_histogram_init(snug_histogram *histogram) {
	memset(histogram, 0, sizeof *histogram);
	histogram->min = UINT64_MAX;
}

void snug_histogram_add(snug_histogram *histogram, uint64_t value) {
	uint32_t bucket = bucket_of(value);
	SNUG_ASSERT(bucket < SNUG_HISTOGRAM_BUCKETS);
	histogram->buckets[bucket]++;
	histogram->count++;
	histogram->sum += value;
	if (value < histogram->min) histogram->min = value;
	if (value > histogram->max) histogram->max = value;
}

void snug_histogram_merge(snug_histogram *into, const snug_histogram *from) {
	for (uint32_t bucket = 0; bucket < SNUG_HISTOGRAM_BUCKETS; bucket++)
		into->buckets[bucket] += from->buckets[bucket];
	into->count += from->count;
	into->sum += from->sum;
	if (from->min < into->min) into->min = from->min;
	if (from->max > into->max) into->max = from->max;
}

/* How many of `count` ordered values lie at or below the quantile: ceil(quantile * count), within 1
 * .. count. A quantile that is not a number counts as 0. */
static uint64_t rank_of(double quantile, uint64_t count) {
	if (!(quantile > 0.0)) return 1;
	if (quantile >= 1.0) return count;
	double exact = quantile * (double)count;
	uint64_t rank = (uint64_t)exact;
	if ((double)rank < exact) rank++;
	return rank < count ? rank : count;
}

uint64_t snug_histogram_quantile(const snug_histogram *histogram, double quantile) {
	if (histogram->count == 0) return 0;
	uint64_t rank = rank_of(quantile, histogram->count);
	uint64_t seen = 0;
	for (uint32_t bucket = 0; bucket < SNUG_HISTOGRAM_BUCKETS; bucket++) {
		seen += histogram->buckets[bucket];
		if (seen >= rank) {
			uint64_t upper_end = bucket_upper_end(bucket);
			return upper_end < histogram->max ? upper_end : histogram->max;
		}
	}
	return histogram->max;
}
