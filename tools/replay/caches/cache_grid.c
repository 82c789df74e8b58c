/* cache_grid.c: see cache_grid.h. */
#include "caches/cache_grid.h"

#include "base/number_text.h"
#include "ledger/clock.h"
#include "units.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define REQUESTS_LEAST 1000
#define REQUESTS_MOST 200000000
#define OVERHEAD_MOST_BYTES 1024

static bool complain(const char *option, const char *value, const char *what) {
	fprintf(stderr, "snug-replay: --%s: '%s' %s\nTry: snug-replay --help\n", option, value, what);
	return false;
}

static bool add_load(struct grid *grid, const char *name, size_t length) {
	struct load_shape shape;
	char text[NAME_ROOM];
	if (length >= sizeof text || grid->load_count == GRID_LOAD_MAX) return complain("cache", name, "is too long");
	snprintf(text, sizeof text, "%.*s", (int)length, name);
	if (strcmp(text, "trace") == 0 && grid->trace_path == NULL) return complain("cache", text, "needs --trace FILE");
	if (strcmp(text, "trace") != 0 && !load_shape_find(text, &shape))
		return complain("cache", text, "is not a load (see --list)");
	memcpy(grid->loads[grid->load_count++], text, sizeof text);
	return true;
}

static bool is_named(const struct policy *policy, const char *name, size_t length) {
	return strlen(policy->name) == length && strncmp(policy->name, name, length) == 0;
}

static bool add_policy(struct grid *grid, const char *name, size_t length) {
	const struct policy *policy = is_named(&policy_shard, name, length)         ? &policy_shard
								  : is_named(&policy_shard_bytes, name, length) ? &policy_shard_bytes
																				: policy_find(name, length);
	if (policy == NULL || grid->policy_count == GRID_POLICY_MAX)
		return complain("policy", name, "is not a policy (see --list)");
	grid->policies[grid->policy_count++] = policy;
	return true;
}

static bool add_limit(struct grid *grid, const char *name, size_t length) {
	struct grid_limit limit = {.share = 0};
	if (length >= sizeof limit.text || grid->limit_count == GRID_LIMIT_MAX)
		return complain("limit", name, "is too long");
	snprintf(limit.text, sizeof limit.text, "%.*s", (int)length, name);
	char number[sizeof limit.text];
	snprintf(number, sizeof number, "%.*s", (int)strcspn(limit.text, "%"), limit.text);
	bool percent = length > 0 && limit.text[length - 1] == '%' && strlen(number) == length - 1;
	if (percent ? !parse_real(number, &limit.share) || limit.share <= 0 || limit.share > 1000
				: !number_read_size(limit.text, length, 1, &limit.bytes) || limit.bytes == 0)
		return complain("limit", limit.text, "is neither bytes nor a percentage of the footprint");
	limit.share /= 100;
	grid->limits[grid->limit_count++] = limit;
	return true;
}

static bool add_each(struct grid *grid, const char *names, bool (*add)(struct grid *, const char *, size_t)) {
	for (;; names++) {
		size_t length = strcspn(names, ",");
		if (!add(grid, names, length)) return false;
		names += length;
		if (*names == '\0') return true;
	}
}

static bool add_all_loads(struct grid *grid) {
	for (size_t i = 0; load_shape_name_at(i) != NULL; i++)
		if (!add_load(grid, load_shape_name_at(i), strlen(load_shape_name_at(i)))) return false;
	return grid->trace_path == NULL || add_load(grid, "trace", 5);
}

static bool add_all_policies(struct grid *grid) {
	grid->policies[grid->policy_count++] = &policy_shard;
	grid->policies[grid->policy_count++] = &policy_shard_bytes;
	for (size_t i = 0; policy_at(i) != NULL; i++) grid->policies[grid->policy_count++] = policy_at(i);
	return true;
}

/* Short, so that it can be typed again. */
static uint64_t draw_seed(void) {
	uint32_t seed;
	return getrandom(&seed, sizeof seed, 0) == (ssize_t)sizeof seed ? seed : 1;
}

bool grid_make(const struct options *options, struct grid *out) {
	*out = (struct grid){.trace_path = options->trace,
						 .requests = options->requests,
						 .overhead_bytes = (uint32_t)options->overhead,
						 .seed = options->seed_given ? options->seed : draw_seed()};
	if (options->trace != NULL && access(options->trace, R_OK) != 0)
		return complain("trace", options->trace, "cannot be read");
	if (options->requests < REQUESTS_LEAST || options->requests > REQUESTS_MOST)
		return complain("requests", count_text(options->requests).text, "is not within 1,000 and 200,000,000");
	if (options->overhead > OVERHEAD_MOST_BYTES)
		return complain("overhead", bytes_text(options->overhead).text, "is more than 1 KiB");
	bool all_loads = strcmp(options->cache, "all") == 0;
	bool all_policies = strcmp(options->policy, "all") == 0;
	return (all_loads ? add_all_loads(out) : add_each(out, options->cache, add_load)) &&
		   (all_policies ? add_all_policies(out) : add_each(out, options->policy, add_policy)) &&
		   add_each(out, options->limit, add_limit);
}

bool grid_load(const struct grid *grid, size_t index, struct cache_load *out) {
	char problem[TEXT_ROOM];
	struct load_shape shape;
	const char *name = grid->loads[index];
	bool made = strcmp(name, "trace") == 0
					? cache_load_read(grid->trace_path, out, problem, sizeof problem)
					: load_shape_find(name, &shape) &&
						  cache_load_make(&shape, grid->requests, grid->seed, out, problem, sizeof problem);
	if (made && !cache_load_charge(out, grid->overhead_bytes)) {
		cache_load_deinit(out);
		snprintf(problem, sizeof problem, "no memory for the footprint");
		made = false;
	}
	if (!made) fprintf(stderr, "snug-replay: %s\n", problem);
	return made;
}

static bool run_real_cell(const struct grid *grid, const struct cache_load *load, const struct policy *policy,
						  struct grid_cell *cell) {
	char problem[TEXT_ROOM];
	struct cache_outcome *outcome = &cell->outcome;
	if (cell->limit_bytes < SNUG_LIMIT_MIN_BYTES) return true;
	uint64_t begin_ns = clock_ns();
	if (!cache_real_play(load, policy, cell->limit_bytes, grid->seed, outcome, problem, sizeof problem)) {
		fprintf(stderr, "snug-replay: the cache: %s\n", problem);
		return false;
	}
	cell->request_ns = (double)(clock_ns() - begin_ns) / (double)load->count;
	cell->evictions = outcome->stats.evictions;
	cell->missed_objects = ratio(outcome->missed_gets, outcome->gets);
	cell->missed_bytes = ratio(outcome->missed_bytes, outcome->get_bytes);
	cell->has_run = true;
	return true;
}

static bool run_cell(const struct grid *grid, const struct cache_load *load, const struct policy *policy,
					 struct grid_cell *cell) {
	struct simulation simulation;
	if (policy_is_real(policy)) return run_real_cell(grid, load, policy, cell);
	if (!simulation_create(&simulation, policy, load->keys, cell->limit_bytes, grid->seed)) {
		fprintf(stderr, "snug-replay: no memory for a simulation\n");
		return false;
	}
	uint64_t begin_ns = clock_ns();
	for (size_t i = 0; i < load->count; i++) simulation_request(&simulation, &load->requests[i]);
	cell->request_ns = (double)(clock_ns() - begin_ns) / (double)load->count;
	cell->evictions = simulation.evictions;
	cell->missed_objects = ratio(simulation.missed_gets, simulation.gets);
	cell->missed_bytes = ratio(simulation.missed_bytes, simulation.get_bytes);
	cell->has_run = true;
	simulation_destroy(&simulation);
	return true;
}

bool grid_run(const struct grid *grid, const struct cache_load *load, bool quiet, struct grid_result *out) {
	*out = (struct grid_result){.load = load};
	bool terminal = !quiet && isatty(STDERR_FILENO) != 0;
	for (size_t policy = 0; policy < grid->policy_count; policy++)
		for (size_t i = 0; i < grid->limit_count; i++) {
			const struct grid_limit *limit = &grid->limits[i];
			struct grid_cell *cell = &out->cells[policy][i];
			cell->limit_bytes =
				limit->bytes != 0 ? limit->bytes : (uint64_t)(limit->share * (double)load->footprint_bytes) + 1;
			if (terminal) fprintf(stderr, "\r%s: %s, %s\033[K", load->name, grid->policies[policy]->name, limit->text);
			if (!run_cell(grid, load, grid->policies[policy], cell)) return false;
		}
	if (terminal) fprintf(stderr, "\r\033[K");
	return true;
}
