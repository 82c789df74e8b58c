/* workload_twitter.c: churn of the mean object sizes of Twitter's cache clusters.
 *
 * Source: twitter/cache-trace, table of 54 clusters (2020), CC BY 4.0; Yang, Yue, Rashmi, "A large
 * scale analysis of hundreds of in-memory cache clusters at Twitter", OSDI'20. Changed: half of the
 * rows, two columns. The table gives mean key and value bytes only; sizes are drawn log-normally
 * (sigma 1) around their sum, which has a median of 0.61 and a 99th percentile of 6.2 times the
 * mean. */
#include "workloads/workloads.h"

#include <stdio.h>

static const struct {
	uint16_t cluster, key_bytes;
	uint32_t value_bytes;
} rows[] = {
	{1, 80, 267},  {3, 19, 120},   {7, 17, 1936}, {9, 32, 39},    {11, 24, 170},  {13, 44, 4266},
	{15, 18, 102}, {17, 19, 212},  {19, 42, 101}, {21, 25, 1},    {23, 35, 224},  {25, 49, 28},
	{27, 66, 8},   {29, 36, 799},  {31, 41, 15},  {33, 24, 1118}, {35, 19, 1796}, {37, 72, 20134},
	{39, 41, 80},  {41, 44, 171},  {43, 44, 304}, {45, 10, 120},  {47, 44, 267},  {49, 44, 10658},
	{51, 44, 221}, {53, 36, 9213},
};

bool workload_twitter(size_t index, struct workload *out) {
	if (index >= sizeof rows / sizeof rows[0]) return false;
	uint32_t mean_bytes = rows[index].key_bytes + rows[index].value_bytes;
	*out = (struct workload){
		.phases[0] = {PHASE_CHURN, 0, {.kind = SIZES_LOGNORMAL, .low_bytes = mean_bytes}},
		.phase_count = 1};
	snprintf(out->name, sizeof out->name, "twitter:cluster%u", rows[index].cluster);
	snprintf(out->summary, sizeof out->summary,
			 "keys of %u B and values of %u B in the mean, log-normal with sigma 1",
			 rows[index].key_bytes, (unsigned)rows[index].value_bytes);
	return true;
}

bool twitter_bytes(uint64_t cluster, uint32_t *key_bytes, uint32_t *value_bytes) {
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].cluster == cluster) {
			*key_bytes = rows[i].key_bytes;
			*value_bytes = rows[i].value_bytes;
			return true;
		}
	return false;
}
