/* beside.h: how long gets of a client's thread take while the cache's owner defragments. */
#ifndef SNUG_BENCH_BESIDE_H
#define SNUG_BENCH_BESIDE_H

#include "readers/window.h"

/* Quiet windows and defragmentations in turns; prints a row for each of the two. Adds what was
 * missing or wrong to `out`. */
struct beside_settings {
	uint32_t items;
	unsigned rounds;
	bool json;
	bool huge_pages;
	uint64_t quiet_ns; /* of a round */
	const struct draws *draws;
};

void beside_run(const struct beside_settings *settings, struct window_result *out);

#endif
