/* workload_ramcloud.c: W1..W8, the workloads that the RAMCloud authors gathered to show how memory
 * allocators lose memory when the sizes of objects change.
 *
 * Source: Rumble, Kejriwal, Ousterhout, "Log-structured Memory for DRAM-based Storage", FAST'14,
 * table 2. Three stages: allocate five times the live bytes from the first distribution, freeing
 * random objects so that the live bytes stay; free a share of the objects at random; allocate five
 * times the live bytes from the second distribution, freeing likewise. */
#include "workloads/workloads.h"

#include <stdio.h>

struct shift {
	struct sizes before;
	double deleted; /* share of the objects */
	struct sizes after;
};

static const struct shift shifts[] = {
	{SIZES_ALWAYS(100), 0, SIZES_ALWAYS(0)}, /* W1: no second stage */
	{SIZES_ALWAYS(100), 0, SIZES_ALWAYS(130)},
	{SIZES_ALWAYS(100), .9, SIZES_ALWAYS(130)},
	{SIZES_BETWEEN(100, 150), 0, SIZES_BETWEEN(200, 250)},
	{SIZES_BETWEEN(100, 150), .9, SIZES_BETWEEN(200, 250)},
	{SIZES_BETWEEN(100, 200), .5, SIZES_BETWEEN(1000, 2000)},
	{SIZES_BETWEEN(1000, 2000), .9, SIZES_BETWEEN(1500, 2500)},
	{SIZES_BETWEEN(50, 150), .9, SIZES_BETWEEN(5000, 15000)},
};

bool workload_ramcloud(size_t index, struct workload *out) {
	if (index >= sizeof shifts / sizeof shifts[0]) return false;
	const struct shift *shift = &shifts[index];
	char before[NAME_ROOM];
	char after[NAME_ROOM];
	*out = (struct workload){.phases[0] = {PHASE_CHURN, 0, shift->before}, .phase_count = 1};
	snprintf(out->name, sizeof out->name, "W%zu", index + 1);
	sizes_describe(&shift->before, before, sizeof before);
	if (shift->after.low_bytes == 0) {
		snprintf(out->summary, sizeof out->summary, "%s throughout", before);
		return true;
	}
	if (shift->deleted > 0)
		out->phases[out->phase_count++] =
			(struct phase){.kind = PHASE_DELETE, .amount = shift->deleted};
	out->phases[out->phase_count++] = (struct phase){PHASE_CHURN, 0, shift->after};
	sizes_describe(&shift->after, after, sizeof after);
	if (shift->deleted > 0)
		snprintf(out->summary, sizeof out->summary, "%s, delete %.0f %%, then %s", before,
				 shift->deleted * 100, after);
	else
		snprintf(out->summary, sizeof out->summary, "%s, then %s", before, after);
	return true;
}
