/* workload_meta.c: Meta's published production sizes (sizes_meta.c): each cache in steady churn,
 * and flips from one to the other, as when a host is given to another service. */
#include "workloads/workloads.h"

#include <stdio.h>

static const struct {
	const char *name;
	const char *summary;
	const struct sizes *sizes[3];
} flips[] = {
	{"meta:kvcache", "Meta's key-value cache, steady churn", {&sizes_meta_kvcache}},
	{"meta:graph", "Meta's social graph cache (leader), steady churn", {&sizes_meta_graph}},
	{"meta:kvcache-graph",
	 "the key-value cache's sizes, then the graph's",
	 {&sizes_meta_kvcache, &sizes_meta_graph}},
	{"meta:graph-kvcache",
	 "the graph's sizes, then the key-value cache's",
	 {&sizes_meta_graph, &sizes_meta_kvcache}},
	{"meta:flip",
	 "there and back: key-value, graph, key-value",
	 {&sizes_meta_kvcache, &sizes_meta_graph, &sizes_meta_kvcache}},
};

bool workload_meta(size_t index, struct workload *out) {
	if (index >= sizeof flips / sizeof flips[0]) return false;
	*out = (struct workload){.phase_count = 0};
	snprintf(out->name, sizeof out->name, "%s", flips[index].name);
	snprintf(out->summary, sizeof out->summary, "%s", flips[index].summary);
	for (size_t i = 0; i < 3 && flips[index].sizes[i] != NULL; i++)
		out->phases[out->phase_count++] = (struct phase){PHASE_CHURN, 0, *flips[index].sizes[i]};
	return true;
}
