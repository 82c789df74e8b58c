/* load_shapes.c: the cache workloads that are built in.
 *
 * Most synthetic ones have one size for all objects, so that nothing but the order of the requests
 * decides. Some have the sizes that caches before large objects see: heavy tails, blocks, and sizes
 * that change at once. The others follow what was published of production caches:
 *   meta:...      sizes, popularity and the share of keys that come once: facebook/CacheLib,
 *                 CacheBench test_configs, Apache-2.0
 *   twitter:...   twitter/cache-trace, table of 54 clusters (2020), CC BY 4.0; Yang, Yue, Rashmi,
 *                 OSDI'20. Changed: ten rows (those whose objects live for seconds miss whatever
 *                 the policy), seven columns, two of them in workload_twitter.c. A week of requests
 *                 is scaled down by leaving out keys: requests per key stay, and so does the time
 *                 to live as a share of the week. Sizes are log-normal (sigma 1) around the mean
 *                 value. */
#include "caches/cache_load.h"

#include "base/number_text.h"
#include "units.h"
#include "workloads/workloads.h"

#include <stdio.h>
#include <string.h>

#define SYNTHETIC_VALUE_BYTES 270
#define SYNTHETIC_KEY_BYTES 22
#define SYNTHETIC_REQUESTS_PER_KEY 10
#define WEEK_SECONDS 604800.0

static const char *const names[] = {
	"zipf:0.7",          "zipf:0.9",          "zipf:1.0",          "zipf:1.2",
	"scan:1.0",          "loop:0.9",          "drift:0.9",         "drift:1.0",
	"tail:0.8",          "tail:1.0",          "cdn:0.8",           "cdn:1.0",
	"block:0.8",         "drift-tail:0.9",    "change:0.9",        "meta:kvcache",
	"meta:graph",        "twitter:cluster7",  "twitter:cluster11", "twitter:cluster33",
	"twitter:cluster19", "twitter:cluster27", "twitter:cluster29", "twitter:cluster49",
	"twitter:cluster41", "twitter:cluster45", "twitter:cluster53",
};

static const struct cluster {
	uint16_t cluster;
	double requests_per_key, exponent, set_share, lifetime_seconds;
	double one_hit_keys; /* share of the keys that come once */
} clusters[] = {
	{7, 72.9, 1.0666, .18, 6120, .0001},    {11, 45.7, 1.4891, .02, 432000, .0618},
	{33, 254.5, 1.3540, .01, 39600, .0099}, {19, 4.7, .7350, .25, 25200, .0746},
	{27, 9.0, 1.0650, .15, 86400, .2221},   {29, 22.5, 1.2323, .13, 4800, .2304},
	{49, 154.2, 1.5095, .43, 86400, .0088}, {41, 11.8, .8542, .50, 28800, 0},
	{45, 2.9, .6372, .15, 1296000, .4874},  {53, 27.6, 1.2061, .12, 2592000, .1319},
};

static struct load_shape synthetic(double exponent) {
	return (struct load_shape){.exponent = exponent,
							   .requests_per_key = SYNTHETIC_REQUESTS_PER_KEY,
							   .sizes = {.kind = SIZES_FIXED, .low_bytes = SYNTHETIC_VALUE_BYTES},
							   .key_bytes = SYNTHETIC_KEY_BYTES};
}

#define PARETO(low, high) \
	{ .kind = SIZES_PARETO, .low_bytes = (low), .high_bytes = (high) }

/* What a kind has other than synthetic(). */
static const struct kind {
	const char *name, *summary;
	double requests_per_key, lone_share, loop_share, scan_share, drift;
	struct sizes sizes, other_sizes;
	uint32_t changes;
} kinds[] = {
	{.name = "zipf",
	 .summary = "the i-th key gets requests in proportion to i to the minus EXPONENT"},
	{.name = "scan",
	 .summary = "the same, and a fifth of all requests are bursts of keys that come once",
	 .scan_share = .2},
	{.name = "loop",
	 .summary = "the same, and a third of all requests go round and round over keys of their own",
	 .loop_share = .33},
	{.name = "drift",
	 .summary = "the same, but a key is popular for some 50 requests only",
	 .drift = .02},
	{.name = "tail",
	 .summary = "zipf with heavy-tailed sizes: Pareto, 100 B to 1 MiB",
	 .sizes = PARETO(100, 1 << 20)},
	{.name = "cdn",
	 .summary = "zipf with Pareto sizes from 2 KiB to 1 MiB; 3 requests a key, a quarter come once",
	 .requests_per_key = 3,
	 .lone_share = .25,
	 .sizes = PARETO(2 << 10, 1 << 20)},
	{.name = "block",
	 .summary = "zipf with Pareto sizes from 512 B to 64 KiB; a third of the requests scan or loop",
	 .scan_share = .15,
	 .loop_share = .15,
	 .drift = .005,
	 .sizes = PARETO(512, 64 << 10)},
	{.name = "drift-tail",
	 .summary = "tail, but a key is popular for some 50 requests only",
	 .drift = .02,
	 .sizes = PARETO(100, 1 << 20)},
	{.name = "change",
	 .summary = "zipf of 100 B that three times changes at once, to other keys of 1,500 B and back",
	 .sizes = {.kind = SIZES_FIXED, .low_bytes = 100},
	 .other_sizes = {.kind = SIZES_FIXED, .low_bytes = 1500},
	 .changes = 3},
};

static struct load_shape shape_of(const struct kind *kind, double exponent) {
	struct load_shape shape = synthetic(exponent);
	if (kind->requests_per_key > 0) shape.requests_per_key = kind->requests_per_key;
	if (kind->sizes.low_bytes > 0) shape.sizes = kind->sizes;
	shape.lone_share = kind->lone_share;
	shape.loop_share = kind->loop_share;
	shape.scan_share = kind->scan_share;
	shape.drift = kind->drift;
	shape.changes = kind->changes;
	shape.other_sizes = kind->other_sizes;
	snprintf(shape.summary, sizeof shape.summary, "%s", kind->summary);
	return shape;
}

static bool synthetic_shape(const char *kind, size_t length, double exponent,
							struct load_shape *out) {
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (strlen(kinds[i].name) == length && strncmp(kinds[i].name, kind, length) == 0) {
			*out = shape_of(&kinds[i], exponent);
			return true;
		}
	return false;
}

static bool meta_shape(const char *name, struct load_shape *out) {
	static const struct load_shape shapes[] = {
		{.name = "meta:kvcache",
		 .summary = "Meta's key-value cache",
		 .rows = &popularity_meta_kvcache,
		 .key_bytes = 60,
		 .lone_share = .1347},
		{.name = "meta:graph",
		 .summary = "Meta's social graph cache",
		 .rows = &popularity_meta_graph,
		 .key_bytes = 27,
		 .lone_share = .2315},
	};
	for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
		if (strcmp(shapes[i].name, name) == 0) {
			*out = shapes[i];
			out->sizes = i == 0 ? sizes_meta_kvcache : sizes_meta_graph;
			return true;
		}
	return false;
}

static bool twitter_shape(const char *name, struct load_shape *out) {
	uint64_t number;
	uint32_t key_bytes, value_bytes;
	if (strncmp(name, "twitter:cluster", 15) != 0 ||
		!number_read(name + 15, strlen(name + 15), &number) ||
		!twitter_bytes(number, &key_bytes, &value_bytes))
		return false;
	for (size_t i = 0; i < sizeof clusters / sizeof clusters[0]; i++) {
		const struct cluster *row = &clusters[i];
		if (row->cluster != number) continue;
		double lone_share = row->one_hit_keys / row->requests_per_key;
		*out = (struct load_shape){.exponent = row->exponent,
								   .requests_per_key = (row->requests_per_key - row->one_hit_keys) /
													   (1 - row->one_hit_keys),
								   .sizes = {.kind = SIZES_LOGNORMAL, .low_bytes = value_bytes},
								   .key_bytes = key_bytes,
								   .set_share = row->set_share,
								   .lone_share = lone_share,
								   .lifetime = row->lifetime_seconds / WEEK_SECONDS};
		snprintf(
			out->summary, sizeof out->summary,
			"Zipf %.2f, values of %u B in the mean, %.0f %% writes, objects live %.0f s of a week",
			row->exponent, (unsigned)value_bytes, row->set_share * 100, row->lifetime_seconds);
		return true;
	}
	return false;
}

bool load_shape_find(const char *name, struct load_shape *out) {
	const char *colon = strchr(name, ':');
	double exponent;
	bool found = meta_shape(name, out) || twitter_shape(name, out) ||
				 (colon != NULL && parse_real(colon + 1, &exponent) && exponent <= 10 &&
				  synthetic_shape(name, (size_t)(colon - name), exponent, out));
	if (found) snprintf(out->name, sizeof out->name, "%s", name);
	return found;
}

const char *load_shape_name_at(size_t index) {
	return index < sizeof names / sizeof names[0] ? names[index] : NULL;
}
