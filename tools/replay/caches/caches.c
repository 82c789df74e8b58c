/* caches.c: see caches.h. A row of the table is a policy, a column a limit; a cell the share of the
 * objects asked for that were missed, and behind it that of the bytes. */
#include "caches/caches.h"

#include "caches/cache_grid.h"
#include "report/json_line.h"
#include "units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void cache_list(void) {
	struct load_shape shape;
	puts("\nCache loads (--cache; a synthetic one takes any exponent):");
	for (size_t i = 0; load_shape_name_at(i) != NULL; i++)
		if (load_shape_find(load_shape_name_at(i), &shape))
			printf("  %-20s %s\n", shape.name, shape.summary);
	printf("  %-20s %s\n", "trace", "the file that --trace names");
	puts("\nEviction policies (--policy; all but the first four are simulated):");
	for (size_t i = 0; grid_policy_at(i) != NULL; i++)
		printf("  %-20s %s\n", grid_policy_at(i)->name, grid_policy_at(i)->summary);
}

/* Shares of what was asked for. */
static double missed_objects(const struct grid_cell *cell) {
	return ratio(cell->misses.missed_gets, cell->misses.gets);
}

static double missed_bytes(const struct grid_cell *cell) {
	return ratio(cell->misses.missed_bytes, cell->misses.get_bytes);
}

static double requests_per_second(const struct cache_load *load,
								  const struct cache_outcome *outcome) {
	return ratio(load->count * UINT64_C(1000000000), outcome->play_ns);
}

/* What the cache itself tells beyond its misses. */
static void json_real_cell(struct json_line *line, const struct cache_outcome *outcome) {
	const snug_shard_stats *stats = &outcome->stats;
	json_count(line, "integrity_errors", outcome->wrong);
	json_count(line, "verified_bytes", outcome->value_bytes);
	json_count(line, "refused", outcome->refused);
	json_count(line, "items", stats->items);
	json_count(line, "item_bytes", stats->item_bytes);
	json_count(line, "index_bytes", stats->index_bytes);
	json_count(line, "metadata_bytes", stats->heap.metadata_bytes);
	json_count(line, "expired", stats->expired);
}

static void json_shard_cell(struct json_line *line, const struct cache_outcome *outcome) {
	json_count(line, "charged_bytes", outcome->stats.heap.charged_bytes);
	json_count(line, "moved_bytes", outcome->stats.heap.moved_bytes);
}

static void json_readers_cell(struct json_line *line, const struct grid *grid,
							  const struct cache_load *load, const struct cache_outcome *outcome) {
	json_count(line, "readers", grid->readers);
	json_count(line, "workers", grid->workers);
	json_fixed(line, "requests_per_second", requests_per_second(load, outcome), 0);
	json_count(line, "hits", outcome->misses.gets - outcome->misses.missed_gets);
	json_count(line, "told_hits", outcome->told_hits);
	json_count(line, "moves", outcome->moves);
}

static void json_misses(struct json_line *line, const struct grid_cell *cell) {
	if (!cell->has_run) {
		static const char *const unknown[] = {"miss_ratio_objects", "miss_ratio_bytes", "evictions",
											  "request_ns"};
		for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) json_null(line, unknown[i]);
		return;
	}
	json_fixed(line, "miss_ratio_objects", missed_objects(cell), 6);
	json_fixed(line, "miss_ratio_bytes", missed_bytes(cell), 6);
	json_count(line, "evictions", cell->evictions);
	json_fixed(line, "request_ns", cell->request_ns, 1);
}

static void print_json_cell(const struct grid *grid, const struct cache_load *load, size_t policy,
							size_t limit, const struct grid_cell *cell) {
	struct json_line line = json_begin();
	const struct policy *of = grid->policies[policy];
	json_text(&line, "cache", load->name);
	json_text(&line, "policy", of->name);
	json_count(&line, "seed", grid->seed);
	json_count(&line, "requests", load->count);
	json_count(&line, "keys", load->keys);
	json_count(&line, "footprint_bytes", load->footprint_bytes);
	json_text(&line, "limit", grid->limits[limit].text);
	json_count(&line, "limit_bytes", cell->limit_bytes);
	json_count(&line, "overhead_bytes", load->overhead_bytes);
	json_misses(&line, cell);
	if (cell->has_run && policy_is_real(of)) json_real_cell(&line, &cell->outcome);
	if (cell->has_run && policy_has_readers(of))
		json_readers_cell(&line, grid, load, &cell->outcome);
	else if (cell->has_run && policy_is_real(of))
		json_shard_cell(&line, &cell->outcome);
	json_end(&line);
}

static void print_json(const struct grid *grid, const struct grid_result *result) {
	for (size_t policy = 0; policy < grid->policy_count; policy++)
		for (size_t limit = 0; limit < grid->limit_count; limit++)
			print_json_cell(grid, result->load, policy, limit, &result->cells[policy][limit]);
}

static void print_speeds(const struct grid *grid, const struct cache_load *load,
						 const struct grid_cell *cells) {
	printf("  %-12s", "requests/s");
	for (size_t limit = 0; limit < grid->limit_count; limit++)
		if (cells[limit].has_run)
			printf("  %13.0f", requests_per_second(load, &cells[limit].outcome));
		else
			printf("  %13s", "-");
	printf("  by %u readers of %u worker(s)\n", grid->readers, grid->workers);
}

/* Below the table: what the cache held, and that it was all right. */
static void print_real(const struct grid *grid, const struct cache_load *load,
					   const struct policy *policy, const struct grid_cell *cells) {
	uint64_t hits = 0, bytes = 0, wrong = 0, refused = 0;
	const char *name = policy_has_readers(policy) ? "cache" : "shard";
	printf("  %-12s", "full of");
	for (size_t limit = 0; limit < grid->limit_count; limit++) {
		const struct grid_cell *cell = &cells[limit];
		const struct cache_outcome *outcome = &cell->outcome;
		hits += outcome->misses.gets - outcome->misses.missed_gets;
		bytes += outcome->value_bytes;
		wrong += outcome->wrong;
		refused += outcome->refused;
		if (cell->has_run)
			printf("  %12.2f%%", 100 * ratio(outcome->stats.item_bytes, cell->limit_bytes));
		else
			printf("  %13s", "-");
	}
	printf("  items, in the %s\n", name);
	if (policy_has_readers(policy)) print_speeds(grid, load, cells);
	printf("  the %s's %s hits, %s, were verified: %s wrong, %s stores refused\n", name,
		   count_text(hits).text, bytes_text(bytes).text, count_text(wrong).text,
		   count_text(refused).text);
}

static void print_table(const struct grid *grid, const struct grid_result *result) {
	const struct cache_load *load = result->load;
	printf("\n%s: %s requests, %s keys, footprint %s\n  %-12s", load->name,
		   count_text(load->count).text, count_text(load->keys).text,
		   bytes_text(load->footprint_bytes).text, "");
	for (size_t limit = 0; limit < grid->limit_count; limit++)
		printf("  %13s", grid->limits[limit].text);
	putchar('\n');
	for (size_t policy = 0; policy < grid->policy_count; policy++) {
		printf("  %-12s", grid->policies[policy]->name);
		for (size_t limit = 0; limit < grid->limit_count; limit++) {
			const struct grid_cell *cell = &result->cells[policy][limit];
			if (cell->has_run)
				printf("  %.4f (%.2f)", missed_objects(cell), missed_bytes(cell));
			else
				printf("  %13s", "-");
		}
		putchar('\n');
	}
	for (size_t policy = 0; policy < grid->policy_count; policy++)
		if (policy_is_real(grid->policies[policy]))
			print_real(grid, load, grid->policies[policy], result->cells[policy]);
}

/* Whether the cache itself gave back what it was given. */
static bool is_right(const struct grid *grid, const struct grid_result *result) {
	uint64_t wrong = 0;
	for (size_t policy = 0; policy < grid->policy_count; policy++)
		for (size_t limit = 0; limit < grid->limit_count; limit++)
			wrong += result->cells[policy][limit].outcome.wrong;
	if (wrong > 0)
		fprintf(stderr, "snug-replay: %llu hits were not what was stored\n",
				(unsigned long long)wrong);
	return wrong == 0;
}

int cache_run(const struct options *options) {
	static struct grid grid;
	static struct grid_result result;
	bool fine = true;
	if (!grid_make(options, &grid)) return 2;
	if (!options->json)
		printf("seed %llu; share of objects missed (of bytes), by policy and cache size; "
			   "simulations are charged %u bytes "
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
