/* caches.c: see caches.h. A row of the table is a policy, a column a limit; a cell the share of the objects asked for that were
 * missed, and behind it that of the bytes. */
#include "caches/caches.h"

#include "caches/cache_grid.h"
#include "units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void cache_list(void) {
	struct load_shape shape;
	puts("\nCache loads (--cache; a synthetic one takes any exponent):");
	for (size_t i = 0; load_shape_name_at(i) != NULL; i++)
		if (load_shape_find(load_shape_name_at(i), &shape)) printf("  %-20s %s\n", shape.name, shape.summary);
	printf("  %-20s %s\n", "trace", "the file that --trace names");
	puts("\nEviction policies (--policy; all but the first two are simulated):");
	for (size_t i = 0; grid_policy_at(i) != NULL; i++)
		printf("  %-20s %s\n", grid_policy_at(i)->name, grid_policy_at(i)->summary);
}

/* What the cache itself tells beyond its misses. */
static void print_json_real(const struct cache_outcome *outcome) {
	const snug_shard_stats *stats = &outcome->stats;
	printf(",\"integrity_errors\":%llu,\"verified_bytes\":%llu,\"refused\":%llu,\"items\":%llu,\"item_bytes\":%llu,"
		   "\"index_bytes\":%llu,\"metadata_bytes\":%llu,\"charged_bytes\":%llu,\"moved_bytes\":%llu,\"expired\":%llu",
		   (unsigned long long)outcome->wrong, (unsigned long long)outcome->value_bytes,
		   (unsigned long long)outcome->refused, (unsigned long long)stats->items,
		   (unsigned long long)stats->item_bytes, (unsigned long long)stats->index_bytes,
		   (unsigned long long)stats->heap.metadata_bytes, (unsigned long long)stats->heap.charged_bytes,
		   (unsigned long long)stats->heap.moved_bytes, (unsigned long long)stats->expired);
}

static void print_json_cell(const struct grid *grid, const struct cache_load *load, size_t policy, size_t limit,
							const struct grid_cell *cell) {
	printf("{\"cache\":\"%s\",\"policy\":\"%s\",\"seed\":%llu,\"requests\":%zu,\"keys\":%u,"
		   "\"footprint_bytes\":%llu,\"limit\":\"%s\",\"limit_bytes\":%llu,\"overhead_bytes\":%u",
		   load->name, grid->policies[policy]->name, (unsigned long long)grid->seed, load->count, load->keys,
		   (unsigned long long)load->footprint_bytes, grid->limits[limit].text, (unsigned long long)cell->limit_bytes,
		   load->overhead_bytes);
	if (cell->has_run)
		printf(",\"miss_ratio_objects\":%.6f,\"miss_ratio_bytes\":%.6f,\"evictions\":%llu,\"request_ns\":%.1f",
			   cell->missed_objects, cell->missed_bytes, (unsigned long long)cell->evictions, cell->request_ns);
	else
		printf(",\"miss_ratio_objects\":null,\"miss_ratio_bytes\":null,\"evictions\":null,\"request_ns\":null");
	if (cell->has_run && grid_is_real(grid, policy)) print_json_real(&cell->outcome);
	puts("}");
}

static void print_json(const struct grid *grid, const struct grid_result *result) {
	for (size_t policy = 0; policy < grid->policy_count; policy++)
		for (size_t limit = 0; limit < grid->limit_count; limit++)
			print_json_cell(grid, result->load, policy, limit, &result->cells[policy][limit]);
}

/* Below the table: what the cache held, and that it was all right. */
static void print_real(const struct grid *grid, const struct grid_cell *cells) {
	uint64_t hits = 0, bytes = 0, wrong = 0, refused = 0;
	printf("  %-12s", "full of");
	for (size_t limit = 0; limit < grid->limit_count; limit++) {
		const struct grid_cell *cell = &cells[limit];
		const struct cache_outcome *outcome = &cell->outcome;
		hits += outcome->gets - outcome->missed_gets;
		bytes += outcome->value_bytes;
		wrong += outcome->wrong;
		refused += outcome->refused;
		if (cell->has_run)
			printf("  %12.2f%%", 100 * ratio(outcome->stats.item_bytes, cell->limit_bytes));
		else
			printf("  %13s", "-");
	}
	printf("  items, in the shard\n  the shard's %s hits, %s, were verified: %s wrong, %s stores refused\n",
		   count_text(hits).text, bytes_text(bytes).text, count_text(wrong).text, count_text(refused).text);
}

static void print_table(const struct grid *grid, const struct grid_result *result) {
	const struct cache_load *load = result->load;
	printf("\n%s: %s requests, %s keys, footprint %s\n  %-12s", load->name, count_text(load->count).text,
		   count_text(load->keys).text, bytes_text(load->footprint_bytes).text, "");
	for (size_t limit = 0; limit < grid->limit_count; limit++) printf("  %13s", grid->limits[limit].text);
	putchar('\n');
	for (size_t policy = 0; policy < grid->policy_count; policy++) {
		printf("  %-12s", grid->policies[policy]->name);
		for (size_t limit = 0; limit < grid->limit_count; limit++) {
			const struct grid_cell *cell = &result->cells[policy][limit];
			if (cell->has_run)
				printf("  %.4f (%.2f)", cell->missed_objects, cell->missed_bytes);
			else
				printf("  %13s", "-");
		}
		putchar('\n');
	}
	for (size_t policy = 0; policy < grid->policy_count; policy++)
		if (grid_is_real(grid, policy)) print_real(grid, result->cells[policy]);
}

/* Whether the cache itself gave back what it was given. */
static bool is_right(const struct grid *grid, const struct grid_result *result) {
	uint64_t wrong = 0;
	for (size_t policy = 0; policy < grid->policy_count; policy++)
		for (size_t limit = 0; limit < grid->limit_count; limit++) wrong += result->cells[policy][limit].outcome.wrong;
	if (wrong > 0) fprintf(stderr, "snug-replay: %llu hits were not what was stored\n", (unsigned long long)wrong);
	return wrong == 0;
}

int cache_run(const struct options *options) {
	static struct grid grid;
	static struct grid_result result;
	bool fine = true;
	if (!grid_make(options, &grid)) return 2;
	if (!options->json)
		printf(
			"seed %llu; share of objects missed (of bytes), by policy and cache size; simulations are charged %u bytes "
			"an object beside key and value\n",
			(unsigned long long)grid.seed, grid.overhead_bytes);
	for (size_t i = 0; i < grid.load_count; i++) {
		struct cache_load load;
		if (!grid_load(&grid, i, &load)) return EXIT_FAILURE;
		bool run = grid_run(&grid, &load, options->quiet, &result);
		if (run) (options->json ? print_json : print_table)(&grid, &result);
		fflush(stdout);
		cache_load_deinit(&load);
		if (!run) return EXIT_FAILURE;
		fine = is_right(&grid, &result) && fine;
	}
	return fine ? EXIT_SUCCESS : EXIT_FAILURE;
}
