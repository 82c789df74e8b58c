/* sizes.h: distributions of object sizes. */
#ifndef REPLAY_SIZES_H
#define REPLAY_SIZES_H

#include "ledger/random.h"
#include "replay.h"

enum sizes_kind {
	SIZES_FIXED,     /* low_bytes */
	SIZES_UNIFORM,   /* low_bytes .. high_bytes, both included */
	SIZES_HISTOGRAM, /* rows */
	SIZES_LOGNORMAL, /* mean of low_bytes, sigma 1 */
	SIZES_PARETO,    /* low_bytes .. high_bytes, as many bytes in each doubling of the size */
	SIZES_MIXTURE,   /* low_bytes and high_bytes, each half of the bytes */
	SIZES_WHOLE      /* the largest object that is allowed */
};

/* Sizes above the row before (or OBJECT_MIN_BYTES) and up to upper_bytes; `cumulative` is the share
 * of all objects up to here. */
struct size_row {
	uint32_t upper_bytes;
	double cumulative;
};

struct sizes {
	enum sizes_kind kind;
	uint32_t low_bytes;
	uint32_t high_bytes;
	const struct size_row *rows;
	size_t row_count;
};

extern const struct sizes sizes_meta_kvcache;
extern const struct sizes sizes_meta_graph;

/* A size within OBJECT_MIN_BYTES .. largest_bytes. */
size_t sizes_draw(const struct sizes *sizes, struct random *random, size_t largest_bytes);

/* "uniform 100-150", "Meta kvcache histogram, mean 317", for people. */
void sizes_describe(const struct sizes *sizes, char *text, size_t room);

double sizes_mean(const struct sizes *sizes);

/* The share of objects, and of bytes, in sizes up to `upper_bytes`; histograms only. */
void sizes_share_below(const struct sizes *sizes, uint32_t upper_bytes, double *objects,
					   double *bytes);

/* Rows `upper_bytes,cumulative`, ascending both, the last cumulative 1; lines that begin with # are
 * skipped. The rows stay for the life of the process. False: `problem` says which line and why. */
bool sizes_read(const char *path, struct sizes *out, char *problem, size_t room);

#endif
