/* workload_adversarial.c: what hurts an allocator that moves objects: heaps that look worse than
 * average use tells, pins in the way, sizes that change for ever, one object in the place of all.
 * And `demo`, the story that --demo tells. */
#include "workloads/workloads.h"

#define MEBIBYTE (1u << 20)

static const struct workload adversarial[] = {
	{"checkerboard",
	 "100 B, every second one freed, defragment, then 200 B",
	 {{PHASE_CHURN, 1, SIZES_ALWAYS(100)},
	  {.kind = PHASE_DELETE_ALTERNATE},
	  {.kind = PHASE_DEFRAGMENT},
	  {PHASE_CHURN, 1, SIZES_ALWAYS(200)}},
	 4},
	{"pinned-1%",
	 "1 % pinned, half freed, defragment, new sizes, unpin, defragment",
	 {{PHASE_CHURN, 1, SIZES_BETWEEN(100, 200)},
	  {.kind = PHASE_PIN, .amount = .01},
	  {.kind = PHASE_DELETE, .amount = .5},
	  {.kind = PHASE_DEFRAGMENT},
	  {PHASE_CHURN, 2, SIZES_BETWEEN(200, 300)},
	  {.kind = PHASE_UNPIN, .amount = 1},
	  {.kind = PHASE_DELETE, .amount = .3},
	  {.kind = PHASE_DEFRAGMENT}},
	 8},
	{"all-pinned",
	 "half freed, the rest pinned: nothing can be gained, and that is said; unpin",
	 {{PHASE_CHURN, 1, SIZES_BETWEEN(64, 512)},
	  {.kind = PHASE_DELETE, .amount = .5},
	  {.kind = PHASE_PIN, .amount = 1},
	  {.kind = PHASE_DEFRAGMENT},
	  {PHASE_CHURN, 1, SIZES_BETWEEN(64, 512)},
	  {.kind = PHASE_UNPIN, .amount = 1},
	  {.kind = PHASE_DEFRAGMENT}},
	 7},
	{"half-full",
	 "16-4096 B, a random half freed: every slab half full",
	 {{PHASE_CHURN, 2, SIZES_BETWEEN(16, 4096)},
	  {.kind = PHASE_DELETE, .amount = .5},
	  {.kind = PHASE_DEFRAGMENT},
	  {PHASE_CHURN, 1, SIZES_BETWEEN(16, 4096)}},
	 4},
	{"mixed-256B-12MB",
	 "half of the bytes in 256 B objects, half in 12 MiB ones",
	 {{PHASE_CHURN, 0, {.kind = SIZES_MIXTURE, .low_bytes = 256, .high_bytes = 12 * MEBIBYTE}}},
	 1},
	{"one-object",
	 "small objects, then one object as large as the heap, then small ones again",
	 {{PHASE_CHURN, 1, SIZES_BETWEEN(100, 200)},
	  {.kind = PHASE_DELETE, .amount = 1},
	  {PHASE_CHURN, 2, {.kind = SIZES_WHOLE}},
	  {.kind = PHASE_DELETE, .amount = 1},
	  {PHASE_CHURN, 1, SIZES_BETWEEN(100, 200)}},
	 5},
	{"size-flip",
	 "64 B, 4 KiB, 64 B, 4 KiB",
	 {{PHASE_CHURN, 2, SIZES_ALWAYS(64)},
	  {PHASE_CHURN, 2, SIZES_ALWAYS(4096)},
	  {PHASE_CHURN, 2, SIZES_ALWAYS(64)},
	  {PHASE_CHURN, 2, SIZES_ALWAYS(4096)}},
	 4},
};

bool workload_adversarial(size_t index, struct workload *out) {
	size_t count = sizeof adversarial / sizeof adversarial[0];
	if (index < count) {
		*out = adversarial[index];
		return true;
	}
	if (index > count) return false;
	*out = (struct workload){
		.name = "demo",
		.summary =
			"Meta's key-value cache fills the heap, the graph's sizes displace it, defragment",
		.phases = {{PHASE_CHURN, 1, sizes_meta_kvcache},
				   {PHASE_CHURN, 1.25, sizes_meta_graph},
				   {.kind = PHASE_DEFRAGMENT},
				   {PHASE_CHURN, .25, sizes_meta_graph}},
		.phase_count = 4,
	};
	return true;
}
