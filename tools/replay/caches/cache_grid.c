/* cache_grid.c: see cache_grid.h. */
#include "caches/cache_grid.h"

#include "base/number_text.h"
#include "ledger/clock.h"
#include "units.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define REQUESTS_LEAST 1000
#define REQUESTS_MOST 200000000
#define OVERHEAD_MOST_BYTES 1024

static const struct policy *const real_policies[] = {&policy_shard, &policy_shard_bytes,
													 &policy_cache, &policy_cache_bytes};
#define REAL_POLICIES (sizeof real_policies / sizeof real_policies[0])

const struct policy *grid_policy_at(size_t index) {
	return index < REAL_POLICIES ? real_policies[index] : policy_at(index - REAL_POLICIES);
}

static bool add_load(void *context, const char *name) {
	struct grid *grid = context;
	struct load_shape shape;
	if (grid->load_count == GRID_LOAD_MAX)
		return options_complain("cache", name, "is one too many");
	if (strcmp(name, "trace") == 0 && grid->trace_path == NULL)
		return options_complain("cache", name, "needs --trace FILE");
	if (strcmp(name, "trace") != 0 && !load_shape_find(name, &shape))
		return options_complain("cache", name, "is not a load (see --list)");
	snprintf(grid->loads[grid->load_count++], NAME_ROOM, "%s", name);
	return true;
}

static bool add_policy(void *context, const char *name) {
	struct grid *grid = context;
	if (grid->policy_count == GRID_POLICY_MAX)
		return options_complain("policy", name, "is one too many");
	for (size_t i = 0; grid_policy_at(i) != NULL; i++)
		if (strcmp(grid_policy_at(i)->name, name) == 0) {
			if (policy_has_readers(grid_policy_at(i)) && grid->readers == 0)
				return options_complain("policy", name, "needs --readers N");
			grid->policies[grid->policy_count++] = grid_policy_at(i);
			return true;
		}
	return options_complain("policy", name, "is not a policy (see --list)");
}

static bool add_limit(void *context, const char *name) {
	struct grid *grid = context;
	struct grid_limit limit = {.share = 0};
	size_t length = strlen(name);
	if (length >= sizeof limit.text) return options_complain("limit", name, "is too long");
	if (grid->limit_count == GRID_LIMIT_MAX)
		return options_complain("limit", name, "is one too many");
	memcpy(limit.text, name, length);
	char number[sizeof limit.text];
	snprintf(number, sizeof number, "%.*s", (int)strcspn(limit.text, "%"), limit.text);
	bool percent = length > 0 && limit.text[length - 1] == '%' && strlen(number) == length - 1;
	if (percent ? !parse_real(number, &limit.share) || limit.share <= 0 || limit.share > 1000
				: !number_read_size(limit.text, length, 1, &limit.bytes) || limit.bytes == 0)
		return options_complain("limit", limit.text,
								"is neither bytes nor a percentage of the footprint");
	limit.share /= 100;
	grid->limits[grid->limit_count++] = limit;
	return true;
}

static bool add_all_loads(struct grid *grid) {
	for (size_t i = 0; load_shape_name_at(i) != NULL; i++)
		if (!add_load(grid, load_shape_name_at(i))) return false;
	return grid->trace_path == NULL || add_load(grid, "trace");
}

static bool add_all_policies(struct grid *grid) {
	for (size_t i = 0; grid_policy_at(i) != NULL; i++)
		if ((grid->readers > 0 || !policy_has_readers(grid_policy_at(i))) &&
			!add_policy(grid, grid_policy_at(i)->name))
			return false;
	return true;
}

static bool add_readers(struct grid *grid, const struct options *options) {
	if (options->readers > READERS_MAX)
		return options_complain("readers", count_text(options->readers).text, "is more than 64");
	if (options->workers > SNUG_WORKERS_MAX)
		return options_complain("workers", count_text(options->workers).text, "is more than 64");
	grid->readers = (uint32_t)options->readers;
	grid->workers = options->workers == 0 ? 1 : (uint32_t)options->workers;
	return true;
}

bool grid_make(const struct options *options, struct grid *out) {
	*out = (struct grid){.trace_path = options->trace,
						 .requests = options->requests,
						 .overhead_bytes = (uint32_t)options->overhead,
						 .seed = options_seed(options)};
	if (options->trace != NULL && access(options->trace, R_OK) != 0)
		return options_complain("trace", options->trace, "cannot be read");
	if (options->requests < REQUESTS_LEAST || options->requests > REQUESTS_MOST)
		return options_complain("requests", count_text(options->requests).text,
								"is not within 1,000 and 200,000,000");
	if (options->overhead > OVERHEAD_MOST_BYTES)
		return options_complain("overhead", bytes_text(options->overhead).text,
								"is more than 1 KiB");
	if (!add_readers(out, options)) return false;
	bool all_loads = strcmp(options->cache, "all") == 0;
	bool all_policies = strcmp(options->policy, "all") == 0;
	return (all_loads ? add_all_loads(out)
					  : options_each("cache", options->cache, add_load, out)) &&
		   (all_policies ? add_all_policies(out)
						 : options_each("policy", options->policy, add_policy, out)) &&
		   options_each("limit", options->limit, add_limit, out);
}

bool grid_load(const struct grid *grid, size_t index, struct cache_load *out) {
	char problem[TEXT_ROOM];
	struct load_shape shape;
	const char *name = grid->loads[index];
	bool made =
		strcmp(name, "trace") == 0
			? cache_load_read(grid->trace_path, out, problem, sizeof problem)
			: load_shape_find(name, &shape) &&
				  cache_load_make(&shape, grid->requests, grid->seed, out, problem, sizeof problem);
	if (made && (!cache_load_charge(out, grid->overhead_bytes) || !cache_load_look_ahead(out))) {
		cache_load_deinit(out);
		snprintf(problem, sizeof problem, "no memory for the footprint");
		made = false;
	}
	if (!made) fprintf(stderr, "snug-replay: %s\n", problem);
	return made;
}

static bool play_real(const struct grid *grid, const struct cache_load *load,
					  const struct policy *policy, struct grid_cell *cell, char *problem,
					  size_t room) {
	struct crew_options crew = {.readers = grid->readers,
								.workers = grid->workers,
								.limit_bytes = cell->limit_bytes,
								.for_bytes = policy == &policy_cache_bytes,
								.seed = grid->seed};
	if (policy_has_readers(policy))
		return cache_readers_play(load, &crew, &cell->outcome, problem, room);
	return cache_real_play(load, policy, cell->limit_bytes, grid->seed, &cell->outcome, problem,
						   room);
}

static bool run_real(const struct grid *grid, const struct cache_load *load,
					 const struct policy *policy, struct grid_cell *cell) {
	char problem[TEXT_ROOM];
	if (!play_real(grid, load, policy, cell, problem, sizeof problem)) {
		fprintf(stderr, "snug-replay: the cache: %s\n", problem);
		return false;
	}
	cell->misses = cell->outcome.misses;
	cell->evictions = cell->outcome.stats.evictions;
	return true;
}

static bool run_simulation(const struct grid *grid, const struct cache_load *load,
						   const struct policy *policy, struct grid_cell *cell) {
	struct simulation simulation;
	if (!simulation_create(&simulation, policy, load->keys, cell->limit_bytes, grid->seed)) {
		fprintf(stderr, "snug-replay: no memory for a simulation\n");
		return false;
	}
	for (size_t i = 0; i < load->count; i++) simulation_request(&simulation, &load->requests[i]);
	cell->misses = simulation.misses;
	cell->evictions = simulation.evictions;
	simulation_destroy(&simulation);
	return true;
}

static bool run_cell(const struct grid *grid, const struct cache_load *load,
					 const struct policy *policy, struct grid_cell *cell) {
	bool real = policy_is_real(policy);
	uint32_t shares = policy_has_readers(policy) ? grid->workers : 1;
	if (real && cell->limit_bytes / shares < SNUG_LIMIT_MIN_BYTES) return true;
	uint64_t begin_ns = clock_ns();
	if (!(real ? run_real : run_simulation)(grid, load, policy, cell)) return false;
	cell->request_ns = (double)(clock_ns() - begin_ns) / (double)load->count;
	cell->has_run = true;
	return true;
}

bool grid_run(const struct grid *grid, const struct cache_load *load, bool quiet,
			  struct grid_result *out) {
	*out = (struct grid_result){.load = load};
	bool terminal = !quiet && isatty(STDERR_FILENO) != 0;
	for (size_t policy = 0; policy < grid->policy_count; policy++)
		for (size_t i = 0; i < grid->limit_count; i++) {
			const struct grid_limit *limit = &grid->limits[i];
			struct grid_cell *cell = &out->cells[policy][i];
			cell->limit_bytes = limit->bytes != 0
									? limit->bytes
									: (uint64_t)(limit->share * (double)load->footprint_bytes) + 1;
			if (terminal)
				fprintf(stderr, "\r%s: %s, %s\033[K", load->name, grid->policies[policy]->name,
						limit->text);
			if (!run_cell(grid, load, grid->policies[policy], cell)) return false;
		}
	if (terminal) fprintf(stderr, "\r\033[K");
	return true;
}
