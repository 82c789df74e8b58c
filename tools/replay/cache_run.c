/* cache_run.c: see cache_run.h. A row of the table is a policy, a column a limit; a cell the share of the objects asked for that were
 * missed, and behind it that of the bytes. */
#include "cache_run.h"

#include "cache_grid.h"
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
	puts("\nEviction policies (--policy):");
	for (size_t i = 0; policy_at(i) != NULL; i++) printf("  %-20s %s\n", policy_at(i)->name, policy_at(i)->summary);
}

static void print_json(const struct grid *grid, const struct grid_result *result) {
	const struct cache_load *load = result->load;
	for (size_t policy = 0; policy < grid->policy_count; policy++)
		for (size_t limit = 0; limit < grid->limit_count; limit++) {
			const struct grid_cell *cell = &result->cells[policy][limit];
			printf("{\"cache\":\"%s\",\"policy\":\"%s\",\"seed\":%llu,\"requests\":%zu,\"keys\":%u,\"footprint_bytes\":"
				   "%llu,"
				   "\"limit\":\"%s\",\"limit_bytes\":%llu,\"miss_ratio_objects\":%.6f,\"miss_ratio_bytes\":%.6f,"
				   "\"evictions\":%llu,"
				   "\"request_ns\":%.1f}\n",
				   load->name, grid->policies[policy]->name, (unsigned long long)grid->seed, load->count, load->keys,
				   (unsigned long long)load->footprint_bytes, grid->limits[limit].text,
				   (unsigned long long)cell->limit_bytes, cell->missed_objects, cell->missed_bytes,
				   (unsigned long long)cell->evictions, cell->request_ns);
		}
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
			printf("  %.4f (%.2f)", cell->missed_objects, cell->missed_bytes);
		}
		putchar('\n');
	}
}

int cache_run(const struct options *options) {
	static struct grid grid;
	static struct grid_result result;
	if (!grid_make(options, &grid)) return 2;
	if (!options->json)
		printf("seed %llu; share of objects missed (of bytes), by policy and cache size\n",
			   (unsigned long long)grid.seed);
	for (size_t i = 0; i < grid.load_count; i++) {
		struct cache_load load;
		if (!grid_load(&grid, i, &load)) return EXIT_FAILURE;
		bool run = grid_run(&grid, &load, options->quiet, &result);
		if (!run)
			fprintf(stderr, "snug-replay: no memory for a simulation\n");
		else
			(options->json ? print_json : print_table)(&grid, &result);
		fflush(stdout);
		cache_load_deinit(&load);
		if (!run) return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
