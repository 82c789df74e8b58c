/* servers.c: bench-servers: what a request costs snugd and what it costs memcached, in one run.
 *
 *     bench-servers [--snugd PATH] [--memcached PATH] [--workers N[,N]] [--keys N]
 *     [--connections N] [--milliseconds N] [--churn] [--shape N] [--evicting MIN-MAX] [--limit MIB]
 *     [usual options]
 *
 * With several numbers of workers there is a pair of servers for each, and each figure is also
 * compared with the same server's under the first number.
 *
 * With --churn one more client a server stores and deletes objects of changing sizes beside the
 * load, and has snugd defragment what that leaves again and again.
 *
 * --shape N measures the Nth shape of load alone, for a profiler beside it. --milliseconds is how
 * long each turn lasts.
 *
 * --evicting MIN-MAX measures sets of new keys with values of so many bytes, in servers that are full:
 * each takes the place of others. Those of up to 128 KiB go in pipelines, of 16 at most.
 *
 * All servers run all the time, filled with the same keys, and are loaded in turns: for each shape
 * of load snugd, memcached, snugd, memcached, ... The figure that does not depend on how busy the
 * machine is or how fast the clients are is the processor time of the server for a million requests
 * (a get of 24 keys is one request); the ratio is the median of the turns' ratios. Latencies are
 * the clients', in a closed loop, all connections served by one thread, from sending to the last
 * answer of what was sent at once.
 *
 * A SET OF ANOTHER WORKER. With n workers one set in n is for the worker that has the connection,
 * as all are with one worker. So what a foreign one costs is the rest of what n workers' cost:
 * (cost of n - cost of 1 / n) / (1 - 1 / n). */
#include "bench.h"
#include "server_churn.h"
#include "server_load.h"
#include "server_process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS_MAX 101u
#define PAIRS_MAX 8u

struct settings {
	const char *snugd;
	const char *memcached;
	char workers[PAIRS_MAX][8]; /* as they were given */
	uint32_t pair_count;
	struct load_options load;
	uint32_t milliseconds; /* of a turn */
	uint32_t shape;        /* the one to measure, from 1; 0: all */
	uint32_t limit_mib;
	struct load_shape evicting; /* pipeline 0: it is not asked for */
	/* one more client fragments each server, and has snugd defragmented all the time */
	bool churn;
	bench_options common;
	uint64_t duration_ns;
};

static const struct load_shape shapes[] = {
	{"no pipelining", 1, 1, 10, false},
	{"pipeline 16", 16, 1, 10, false},
	{"multiget 24", 1, 24, 0, false},
	{"sets, 16", 16, 1, 1, false},
};
#define SHAPES (sizeof shapes / sizeof *shapes)

/* ------------------------------------------------------------------ options ------------------- */

static bool take_number(const char *word, const char *name, const char *value, uint32_t *number) {
	if (strcmp(word, name) != 0) return false;
	if (value == NULL || (*number = (uint32_t)strtoul(value, NULL, 10)) == 0)
		bench_fail("%s wants a number", name);
	return true;
}

static bool take_text(const char *word, const char *name, const char *value, const char **text) {
	if (strcmp(word, name) != 0) return false;
	if (value == NULL) bench_fail("%s wants a value", name);
	*text = value;
	return true;
}

/* "1" or "1,2,8". */
static bool take_workers(const char *word, const char *value, struct settings *settings) {
	if (strcmp(word, "--workers") != 0) return false;
	settings->pair_count = 0;
	while (value != NULL && *value != '\0') {
		size_t length = strcspn(value, ",");
		if (settings->pair_count == PAIRS_MAX || length == 0 ||
			length >= sizeof settings->workers[0])
			break;
		(void)snprintf(settings->workers[settings->pair_count++], sizeof settings->workers[0],
					   "%.*s", (int)length, value);
		value += length + (value[length] == ',');
	}
	if (value == NULL || *value != '\0' || settings->pair_count == 0)
		bench_fail("--workers wants up to %u numbers, with commas between", PAIRS_MAX);
	return true;
}

#define PIPELINED_BYTES 131072u /* of sets that go at once */

/* "100-2000", or one number. */
static bool take_evicting(const char *word, const char *value, struct settings *settings) {
	if (strcmp(word, "--evicting") != 0) return false;
	char *rest = NULL;
	uint32_t least = value == NULL ? 0 : (uint32_t)strtoul(value, &rest, 10), most = least;
	if (rest != NULL && *rest == '-') most = (uint32_t)strtoul(rest + 1, &rest, 10);
	if (rest == NULL || *rest != '\0' || least == 0 || most < least || most > VALUE_BYTES_MAX)
		bench_fail("--evicting wants the bytes of values, as 100-2000, at most %u",
				   VALUE_BYTES_MAX);
	uint32_t fit = PIPELINED_BYTES / most;
	settings->load.value_bytes_min = least;
	settings->load.value_bytes_max = most;
	settings->evicting = (struct load_shape){.name = "evicting sets",
											 .pipeline = fit == 0   ? 1
														 : fit < 16 ? fit
																	: 16,
											 .multiget = 1,
											 .set_share = 1,
											 .new_keys = true};
	return true;
}

/* Takes its own options out of argv and leaves the rest for bench_options_parse. */
static void parse(int argc, char **argv, struct settings *settings) {
	int kept = 1;
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		if (take_text(argv[i], "--snugd", value, &settings->snugd) ||
			take_text(argv[i], "--memcached", value, &settings->memcached) ||
			take_workers(argv[i], value, settings) || take_evicting(argv[i], value, settings) ||
			take_number(argv[i], "--limit", value, &settings->limit_mib) ||
			take_number(argv[i], "--milliseconds", value, &settings->milliseconds) ||
			take_number(argv[i], "--keys", value, &settings->load.keys) ||
			take_number(argv[i], "--connections", value, &settings->load.connections) ||
			take_number(argv[i], "--shape", value, &settings->shape))
			i++;
		else if (strcmp(argv[i], "--churn") == 0)
			settings->churn = true;
		else
			argv[kept++] = argv[i];
	}
	settings->common = bench_options_parse(kept, argv, 5);
	if (settings->evicting.pipeline > 0) {
		uint64_t item_bytes = settings->load.key_bytes +
							  (settings->load.value_bytes_min + settings->load.value_bytes_max) / 2;
		settings->load.keys = (uint32_t)(2 * (uint64_t)settings->limit_mib * MIB / item_bytes);
	}
	if (settings->load.connections > LOAD_CONNECTIONS_MAX)
		bench_fail("at most %d connections", LOAD_CONNECTIONS_MAX);
	if (settings->common.rounds > ROUNDS_MAX) bench_fail("at most %u rounds", ROUNDS_MAX);
	settings->load.seed = settings->common.seed;
	settings->duration_ns = settings->milliseconds * UINT64_C(1000000);
	if (settings->common.quick) settings->duration_ns = 100000000u;
	if (settings->common.quick && settings->evicting.pipeline == 0)
		settings->load.keys = settings->load.keys < 20000 ? settings->load.keys : 20000;
}

/* ------------------------------------------------------------------ side by side -------------- */

#define SIDES 2u
#define SNUGD 0u
#define MEMCACHED 1u

struct side {
	const char *name;
	struct server_process process;
	double cpu_s[ROUNDS_MAX]; /* for a million requests */
	double speed[ROUNDS_MAX]; /* requests a second */
	snug_histogram latency_ns;
	uint64_t misses;
};

/* Both servers with as many workers. */
struct pair {
	const char *workers;
	struct side sides[SIDES];
};

struct bench {
	struct settings settings;
	struct load *load;
	struct pair pairs[PAIRS_MAX];
};

static double cpu_seconds(const struct load_result *result) {
	return (double)result->server_cpu_ns / 1e9 / ((double)result->requests / 1e6);
}

static void measure(struct bench *bench, const struct load_shape *shape, struct side *side,
					unsigned round) {
	static struct load_result result;
	load_run(bench->load, &side->process, shape, bench->settings.duration_ns, &result);
	side->cpu_s[round] = cpu_seconds(&result);
	side->speed[round] = (double)result.requests * 1e9 / (double)result.elapsed_ns;
	side->misses += result.misses;
	snug_histogram_merge(&side->latency_ns, &result.latency_ns);
}

/* The median of the turns' ratios. */
static double ratio(const struct bench *bench, const struct side *over, const struct side *under) {
	double ratios[ROUNDS_MAX];
	for (unsigned round = 0; round < bench->settings.common.rounds; round++)
		ratios[round] = over->cpu_s[round] / under->cpu_s[round];
	return bench_median(ratios, bench->settings.common.rounds);
}

/* The lowest and the highest of them. */
static void ratio_range(const struct bench *bench, const struct side *over,
						const struct side *under, double *low, double *high) {
	*low = *high = over->cpu_s[0] / under->cpu_s[0];
	for (unsigned round = 1; round < bench->settings.common.rounds; round++) {
		double each = over->cpu_s[round] / under->cpu_s[round];
		*low = each < *low ? each : *low;
		*high = each > *high ? each : *high;
	}
}

static double median(const struct bench *bench, const double *values) {
	double copy[ROUNDS_MAX];
	memcpy(copy, values, bench->settings.common.rounds * sizeof copy[0]);
	return bench_median(copy, bench->settings.common.rounds);
}

static void print_side(const struct bench *bench, const struct load_shape *shape,
					   const struct pair *pair, size_t at) {
	const struct side *side = &pair->sides[at];
	double cpu_s = median(bench, side->cpu_s), speed = median(bench, side->speed);
	double beside = ratio(bench, side, &pair->sides[MEMCACHED]), low, high;
	ratio_range(bench, side, &pair->sides[MEMCACHED], &low, &high);
	double first = ratio(bench, side, &bench->pairs[0].sides[at]);
	double p50_us = (double)snug_histogram_quantile(&side->latency_ns, .5) / 1000;
	double p99_us = (double)snug_histogram_quantile(&side->latency_ns, .99) / 1000;
	double p999_us = (double)snug_histogram_quantile(&side->latency_ns, .999) / 1000;
	if (bench->settings.common.json)
		printf("{\"bench\":\"servers\",\"shape\":\"%s\",\"server\":\"%s\",\"workers\":%s,\"cpu_s_"
			   "per_million\":%.3f,"
			   "\"cpu_ratio\":%.3f,\"cpu_ratio_low\":%.3f,\"cpu_ratio_high\":%.3f,\"first_ratio\":%"
			   ".3f,\"requests_per_s\":%.0f,\"p50_us\":%.1f,"
			   "\"p99_us\":%.1f,\"p999_us\":%.1f,\"misses\":%llu}\n",
			   shape->name, side->name, pair->workers, cpu_s, beside, low, high, first, speed,
			   p50_us, p99_us, p999_us, (unsigned long long)side->misses);
	else
		printf("%-14s %-10s %7s %9.2f %8.2f %8.2f %12.0f %9.1f %9.1f %9.1f %8llu\n", shape->name,
			   side->name, pair->workers, cpu_s, beside, first, speed, p50_us, p99_us, p999_us,
			   (unsigned long long)side->misses);
}

/* See the essay. The first pair has one worker. */
static double foreign_over_own(const struct bench *bench, const struct pair *pair) {
	double ratios[ROUNDS_MAX], share = 1 / strtod(pair->workers, NULL);
	for (unsigned round = 0; round < bench->settings.common.rounds; round++) {
		double own_s = bench->pairs[0].sides[SNUGD].cpu_s[round];
		double foreign_s = (pair->sides[SNUGD].cpu_s[round] - own_s * share) / (1 - share);
		ratios[round] = foreign_s / own_s;
	}
	return bench_median(ratios, bench->settings.common.rounds);
}

static void print_foreign(const struct bench *bench, const struct load_shape *shape) {
	const struct settings *settings = &bench->settings;
	if (shape->set_share != 1 || strcmp(settings->workers[0], "1") != 0) return;
	for (uint32_t i = 1; i < settings->pair_count; i++) {
		double over_own = foreign_over_own(bench, &bench->pairs[i]);
		if (settings->common.json)
			printf("{\"bench\":\"servers-foreign\",\"shape\":\"%s\",\"workers\":%s,"
				   "\"foreign_over_own\":%.3f}\n",
				   shape->name, settings->workers[i], over_own);
		else
			printf("%-14s of %s workers: one for another worker costs %.2f of an own one\n",
				   shape->name, settings->workers[i], over_own);
	}
}

static void compare(struct bench *bench, const struct load_shape *shape) {
	const struct settings *settings = &bench->settings;
	for (uint32_t i = 0; i < settings->pair_count; i++)
		for (unsigned at = 0; at < SIDES; at++) {
			snug_histogram_init(&bench->pairs[i].sides[at].latency_ns);
			bench->pairs[i].sides[at].misses = 0;
		}
	for (unsigned round = 0; round < settings->common.rounds; round++)
		for (uint32_t i = 0; i < settings->pair_count; i++)
			for (unsigned at = 0; at < SIDES; at++)
				measure(bench, shape, &bench->pairs[i].sides[at], round);
	for (uint32_t i = 0; i < settings->pair_count; i++)
		for (unsigned at = 0; at < SIDES; at++) print_side(bench, shape, &bench->pairs[i], at);
	print_foreign(bench, shape);
}

/* memcached may not run as root, and would rather not. */
static struct server_process start_memcached(const struct settings *settings, const char *workers) {
	char limit[16];
	(void)snprintf(limit, sizeof limit, "%u", settings->limit_mib);
	const char *words[] = {
		settings->memcached,          "-m",     limit, "-t", workers, "-U", "0", "-l", "127.0.0.1",
		geteuid() == 0 ? "-u" : NULL, "nobody", NULL};
	return server_start(words);
}

static struct server_process start_snugd(const struct settings *settings, const char *workers) {
	/* Builds of before know no such option. */
	char limit[16];
	(void)snprintf(limit, sizeof limit, "%u", settings->limit_mib);
	const char *open_commands = settings->churn ? "--open-commands" : NULL;
	const char *words[] = {settings->snugd, "-m", limit, "-t", workers, open_commands, NULL};
	return server_start(words);
}

/* ------------------------------------------------------------------ the run ------------------- */

static void begin(struct bench *bench) {
	static struct load_result filled;
	const struct settings *settings = &bench->settings;
	bench->load = load_create(&settings->load);
	for (uint32_t i = 0; i < settings->pair_count; i++) {
		struct pair *pair = &bench->pairs[i];
		pair->workers = settings->workers[i];
		pair->sides[SNUGD].name = "snugd";
		pair->sides[SNUGD].process = start_snugd(settings, pair->workers);
		pair->sides[MEMCACHED].name = "memcached";
		pair->sides[MEMCACHED].process = start_memcached(settings, pair->workers);
		for (unsigned at = 0; at < SIDES; at++)
			load_fill(bench->load, &pair->sides[at].process, 0, settings->load.keys, &filled);
	}
}

static void end(struct bench *bench) {
	for (uint32_t i = 0; i < bench->settings.pair_count; i++)
		for (unsigned at = 0; at < SIDES; at++) server_stop(&bench->pairs[i].sides[at].process);
	load_destroy(bench->load);
}

static void print_head(const struct settings *settings) {
	printf(
		"%u keys of %d bytes, values of %u to %u, %u connections, seed %llu; CPU: of the server, s "
		"for a million requests; ratio: to memcached's, / first: to the same server's with %s "
		"worker(s)\n",
		settings->load.keys, (int)settings->load.key_bytes, settings->load.value_bytes_min,
		settings->load.value_bytes_max, settings->load.connections,
		(unsigned long long)settings->common.seed, settings->workers[0]);
	printf("%-14s %-10s %7s %9s %8s %8s %12s %9s %9s %9s %8s\n", "shape", "server", "workers",
		   "CPU", "ratio", "/ first", "requests/s", "p50 us", "p99", "p99.9", "misses");
}

static void start_churns(struct bench *bench, struct server_churn *churns) {
	for (uint32_t i = 0; i < bench->settings.pair_count; i++)
		for (unsigned at = 0; at < SIDES; at++)
			churns[i * SIDES + at] = server_churn_start(&bench->pairs[i].sides[at].process,
														at == SNUGD, bench->settings.common.seed);
}

static void stop_churns(struct bench *bench, struct server_churn *churns) {
	for (uint32_t i = 0; i < bench->settings.pair_count; i++)
		for (unsigned at = 0; at < SIDES; at++) {
			struct server_churn_report report = server_churn_stop(&churns[i * SIDES + at]);
			if (at == SNUGD && !bench->settings.common.json)
				printf("beside it snugd with %s worker(s) was defragmented %llu times: %llu bytes "
					   "reclaimed\n",
					   bench->pairs[i].workers, (unsigned long long)report.rounds,
					   (unsigned long long)report.reclaimed_bytes);
		}
}

int main(int argc, char **argv) {
	static struct bench bench = {.settings = {.snugd = "build/snugd",
											  .memcached = "memcached",
											  .workers = {"1"},
											  .pair_count = 1,
											  .milliseconds = 2000,
											  .limit_mib = 1024,
											  .load = {1000000, 30, 230, 230, 50, 0}}};
	struct server_churn churns[PAIRS_MAX * SIDES];
	const struct settings *settings = &bench.settings;
	parse(argc, argv, &bench.settings);
	begin(&bench);
	if (!settings->common.json) print_head(settings);
	if (settings->churn) start_churns(&bench, churns);
	if (settings->evicting.pipeline > 0) compare(&bench, &settings->evicting);
	for (size_t i = 0; i < SHAPES && settings->evicting.pipeline == 0; i++)
		if (settings->shape == 0 || settings->shape == i + 1) compare(&bench, &shapes[i]);
	if (settings->churn) stop_churns(&bench, churns);
	end(&bench);
	return 0;
}
