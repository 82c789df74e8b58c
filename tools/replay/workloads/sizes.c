/* sizes.c: drawing object sizes. A histogram's row is even on a logarithmic scale: between 1,024
 * and 2,048 as many objects lie below 1,448 as above. */
#include "workloads/sizes.h"

#include <math.h>
#include <stdio.h>

#define LOGNORMAL_SIGMA 1.0

static double row_lower(const struct sizes *sizes, size_t index) {
	return index == 0 ? (double)OBJECT_MIN_BYTES : sizes->rows[index - 1].upper_bytes;
}

static double row_share(const struct sizes *sizes, size_t index) {
	return sizes->rows[index].cumulative - (index == 0 ? 0 : sizes->rows[index - 1].cumulative);
}

static double row_mean(const struct sizes *sizes, size_t index) {
	double lower = row_lower(sizes, index);
	double upper = sizes->rows[index].upper_bytes;
	return upper <= lower ? upper : (upper - lower) / log(upper / lower);
}

static double draw_histogram(const struct sizes *sizes, double unit) {
	size_t low = 0;
	size_t high = sizes->row_count - 1;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (sizes->rows[middle].cumulative <= unit)
			low = middle + 1;
		else
			high = middle;
	}
	double begin = low == 0 ? 0 : sizes->rows[low - 1].cumulative;
	double share = row_share(sizes, low);
	double within = share > 0 ? (unit - begin) / share : 1;
	double lower = row_lower(sizes, low);
	double upper = sizes->rows[low].upper_bytes;
	return upper <= lower ? upper : lower * pow(upper / lower, within);
}

/* Box and Muller's normal variate, then the exponential of it, scaled so that the mean is
 * `mean`. */
static double draw_lognormal(double mean, struct random *random) {
	double radius = sqrt(-2 * log(1 - random_unit(random)));
	double normal = radius * cos(6.283185307179586 * random_unit(random));
	return mean * exp(LOGNORMAL_SIGMA * normal - LOGNORMAL_SIGMA * LOGNORMAL_SIGMA / 2);
}

/* Bounded, with exponent 1: of n objects above a size n / 2 are above twice that. */
static double draw_pareto(double low, double high, struct random *random) {
	return low / (1 - random_unit(random) * (1 - low / high));
}

size_t sizes_draw(const struct sizes *sizes, struct random *random, size_t largest_bytes) {
	double size = sizes->low_bytes;
	switch (sizes->kind) {
	case SIZES_FIXED:
		break;
	case SIZES_UNIFORM:
		size += random_below(random, (uint64_t)sizes->high_bytes - sizes->low_bytes + 1);
		break;
	case SIZES_HISTOGRAM:
		size = draw_histogram(sizes, random_unit(random));
		break;
	case SIZES_LOGNORMAL:
		size = draw_lognormal(sizes->low_bytes, random);
		break;
	case SIZES_PARETO:
		size = draw_pareto(sizes->low_bytes, sizes->high_bytes, random);
		break;
	case SIZES_MIXTURE: {
		double high = sizes->high_bytes < largest_bytes ? sizes->high_bytes : (double)largest_bytes;
		if (random_unit(random) * (size + high) < size) size = high;
		break;
	}
	case SIZES_WHOLE:
		return largest_bytes;
	}
	if (size < (double)OBJECT_MIN_BYTES) return OBJECT_MIN_BYTES;
	return size < (double)largest_bytes ? (size_t)size : largest_bytes;
}

double sizes_mean(const struct sizes *sizes) {
	double mean = sizes->low_bytes;
	if (sizes->kind == SIZES_UNIFORM) mean = (mean + sizes->high_bytes) / 2;
	if (sizes->kind == SIZES_MIXTURE)
		mean = 2 * mean * sizes->high_bytes / (mean + sizes->high_bytes);
	if (sizes->kind == SIZES_PARETO)
		mean *= log(sizes->high_bytes / mean) / (1 - mean / sizes->high_bytes);
	if (sizes->kind == SIZES_HISTOGRAM) {
		mean = 0;
		for (size_t i = 0; i < sizes->row_count; i++)
			mean += row_share(sizes, i) * row_mean(sizes, i);
	}
	return mean;
}

void sizes_share_below(const struct sizes *sizes, uint32_t upper_bytes, double *objects,
					   double *bytes) {
	double below_objects = 0;
	double below_bytes = 0;
	for (size_t i = 0; i < sizes->row_count && sizes->rows[i].upper_bytes <= upper_bytes; i++) {
		below_objects += row_share(sizes, i);
		below_bytes += row_share(sizes, i) * row_mean(sizes, i);
	}
	*objects = below_objects;
	*bytes = below_bytes / sizes_mean(sizes);
}

void sizes_describe(const struct sizes *sizes, char *text, size_t room) {
	switch (sizes->kind) {
	case SIZES_FIXED:
		snprintf(text, room, "%u B", sizes->low_bytes);
		break;
	case SIZES_UNIFORM:
		snprintf(text, room, "uniform %u-%u B", sizes->low_bytes, sizes->high_bytes);
		break;
	case SIZES_HISTOGRAM:
		snprintf(text, room, "histogram of %zu rows, %u B at most, mean %.0f B", sizes->row_count,
				 sizes->rows[sizes->row_count - 1].upper_bytes, sizes_mean(sizes));
		break;
	case SIZES_LOGNORMAL:
		snprintf(text, room, "log-normal, mean %u B, sigma %.0f", sizes->low_bytes,
				 LOGNORMAL_SIGMA);
		break;
	case SIZES_PARETO:
		snprintf(text, room, "Pareto %u-%u B, mean %.0f B", sizes->low_bytes, sizes->high_bytes,
				 sizes_mean(sizes));
		break;
	case SIZES_MIXTURE:
		snprintf(text, room, "half of the bytes %u B, half %u B", sizes->low_bytes,
				 sizes->high_bytes);
		break;
	case SIZES_WHOLE:
		snprintf(text, room, "one object as large as the live bytes");
		break;
	}
}
