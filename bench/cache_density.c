/* cache_density.c: bench-cache-density: how much of a cache's limit holds keys and values, and
 * where the rest is.
 *
 * One shard, filled with half as much again as its limit, by stores alone; then every key is asked
 * for, and what is found is summed. A server has connections and code beside it, so this is the
 * most that a server's density can be. The last row of a limit shifts: 30 + 100 bytes, 40 bytes +
 * 1-2 KiB, 30 + 100 bytes again; its figure is that of the end, and must be the first one's.
 *
 * The parts, in percent of the limit: heads of items, index, ghosts and the shard itself, tables of
 * the heap, slots larger than what is in them ("slots"), free slots and ends of pages ("holes"),
 * pages that are free or not yet taken ("free"). */
#include "bench.h"

#include <snug/shard.h>

#include <stdio.h>
#include <string.h>

#define OVERFILL 1.5
#define VALUE_BYTES_MAX ((size_t)256 * KIB)
#define KEY_BYTES_MAX 40
#define PHASES_MAX 3

struct sizes {
	const char *name;
	uint32_t key_bytes;
	uint32_t value_bytes_min; /* 0: Meta's */
	uint32_t value_bytes_max;
};

static const struct sizes rows[] = {
	{"20 + 50 B", 20, 50, 50},          {"30 + 100 B", 30, 100, 100}, {"30 + 230 B", 30, 230, 230},
	{"40 B + 1-2 KiB", 40, 1024, 2048}, {"40 B + kvcache", 40, 0, 0},
};
#define SMALL 1
#define LARGE 3

struct figures {
	uint64_t payload_bytes;
	double store_ns;
	snug_shard_stats stats;
};

static snug_key key_of(char *room, uint32_t key_bytes, uint64_t number) {
	memset(room, 'k', key_bytes);
	for (uint32_t at = 0; at < 16; at++) room[at] = (char)('a' + (number >> (4 * at) & 15));
	return snug_shard_key(room, key_bytes);
}

static size_t value_bytes_of(const struct sizes *sizes, bench_random *random) {
	if (sizes->value_bytes_min == 0) return bench_meta_size(random, VALUE_BYTES_MAX);
	return sizes->value_bytes_min +
		   bench_random_below(random, sizes->value_bytes_max - sizes->value_bytes_min + 1);
}

/* Keys from `first` on; returns the one after the last. */
static uint64_t fill(snug_shard *shard, const struct sizes *sizes, uint64_t first, uint64_t bytes,
					 bench_random *random) {
	static const char value[VALUE_BYTES_MAX];
	char room[KEY_BYTES_MAX];
	uint64_t number = first;
	for (uint64_t stored_bytes = 0; stored_bytes < bytes; number++) {
		snug_key key = key_of(room, sizes->key_bytes, number);
		size_t value_bytes = value_bytes_of(sizes, random);
		bench_expect_ok(snug_shard_set(shard, &key, NULL, value, value_bytes), "a store");
		stored_bytes += key.length + value_bytes;
		if (number % 16 == 0) (void)snug_shard_maintain(shard);
	}
	return number;
}

/* Bytes of the keys and values that are found. */
static uint64_t count(snug_shard *shard, const struct sizes *sizes, uint64_t first, uint64_t end) {
	char room[KEY_BYTES_MAX];
	uint64_t bytes = 0;
	for (uint64_t number = first; number < end; number++) {
		snug_key key = key_of(room, sizes->key_bytes, number);
		snug_item item;
		if (snug_shard_find(shard, &key, &item) == SNUG_OK) bytes += key.length + item.value_bytes;
	}
	return bytes;
}

static snug_shard *make_shard(size_t limit_bytes, const bench_options *options) {
	snug_shard_options with = snug_shard_options_default();
	snug_shard *shard;
	with.heap.limit_bytes = limit_bytes;
	with.heap.huge_pages = options->huge_pages;
	bench_expect_ok(snug_shard_create(&with, &shard), "snug_shard_create");
	return shard;
}

/* One after the other; the figures are those of the last. */
static void run(size_t limit_bytes, const struct sizes *const *phases, size_t phase_count,
				const bench_options *options, struct figures *out) {
	snug_shard *shard = make_shard(limit_bytes, options);
	bench_random random;
	uint64_t ends[PHASES_MAX + 1] = {0};
	*out = (struct figures){0};
	bench_random_init(&random, options->seed);
	for (size_t i = 0; i < phase_count; i++) {
		uint64_t begin_ns = bench_cpu_ns();
		ends[i + 1] =
			fill(shard, phases[i], ends[i], (uint64_t)(OVERFILL * (double)limit_bytes), &random);
		out->store_ns = (double)(bench_cpu_ns() - begin_ns) / (double)(ends[i + 1] - ends[i]);
	}
	for (size_t i = 0; i < phase_count; i++)
		out->payload_bytes += count(shard, phases[i], ends[i], ends[i + 1]);
	bench_expect_ok(snug_shard_stats_get(shard, &out->stats), "snug_shard_stats_get");
	bench_expect_ok(snug_shard_destroy(shard), "the end");
}

static void print_row(const char *name, size_t limit_bytes, const struct figures *of,
					  const bench_options *options) {
	const snug_shard_stats *stats = &of->stats;
	const snug_stats *heap = &stats->heap;
	double limit = (double)limit_bytes;
	double payload = (double)of->payload_bytes / limit;
	double heads = (double)(stats->item_bytes - of->payload_bytes) / limit;
	double index = (double)stats->index_bytes / limit;
	double charged = (double)(heap->charged_bytes - stats->index_bytes) / limit;
	double metadata = (double)heap->metadata_bytes / limit;
	double slots = (double)(heap->total.slot_bytes - stats->item_bytes) / limit;
	double holes = (double)(heap->total.slab_bytes - heap->total.slot_bytes) / limit;
	double free = 1 - payload - heads - index - charged - metadata - slots - holes;
	if (options->json) {
		printf("{\"bench\":\"cache-density\",\"sizes\":\"%s\",\"limit_bytes\":%zu,\"payload\":%.5f,"
			   "\"heads\":%.5f,"
			   "\"index\":%.5f,"
			   "\"ghosts\":%.5f,\"metadata\":%.5f,\"slots\":%.5f,\"holes\":%.5f,\"free\":%.5f,"
			   "\"items\":%llu,"
			   "\"refused\":%llu,"
			   "\"store_ns\":%.1f,\"seed\":%llu}\n",
			   name, limit_bytes, payload, heads, index, charged, metadata, slots, holes, free,
			   (unsigned long long)stats->items, (unsigned long long)stats->refused, of->store_ns,
			   (unsigned long long)options->seed);
		return;
	}
	printf(
		"%-20s %4zu MiB %7.4f %6.2f %6.2f %7.2f %9.2f %6.2f %6.2f %6.2f %9llu %7.2f %8llu %8.0f\n",
		name, limit_bytes / MIB, payload, 100 * heads, 100 * index, 100 * charged, 100 * metadata,
		100 * slots, 100 * holes, 100 * free, (unsigned long long)stats->items,
		(double)stats->index_bytes / (double)stats->items, (unsigned long long)stats->refused,
		of->store_ns);
}

int main(int argc, char **argv) {
	static const size_t limits[] = {64 * MIB, 512 * MIB};
	bench_options options = bench_options_parse(argc, argv, 1);
	struct figures figures;
	static const uint64_t secret[2] = {1, 2};
	bench_expect_ok(snug_hash_secret_set(secret), "snug_hash_secret_set");
	if (!options.json) {
		printf("A shard filled with %.1f times its limit; seed %llu\n", OVERFILL,
			   (unsigned long long)options.seed);
		printf("%-20s %8s %7s %6s %6s %7s %9s %6s %6s %6s %9s %7s %8s %8s\n", "sizes", "limit",
			   "payload", "heads%", "index%", "ghosts%", "metadata%", "slots%", "holes%", "free%",
			   "items", "index B", "refused", "ns/store");
	}
	for (size_t i = 0; i < (options.quick ? 1u : 2u); i++) {
		for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
			const struct sizes *phase = &rows[row];
			run(limits[i], &phase, 1, &options, &figures);
			print_row(rows[row].name, limits[i], &figures, &options);
		}
		const struct sizes *phases[] = {&rows[SMALL], &rows[LARGE], &rows[SMALL]};
		run(limits[i], phases, 3, &options, &figures);
		print_row("30+100, shifted", limits[i], &figures, &options);
	}
	return 0;
}
