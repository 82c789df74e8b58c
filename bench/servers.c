/* servers.c: bench-servers: what a request costs snugd and what it costs memcached, in one run.
 *
 *     bench-servers [--snugd PATH] [--memcached PATH] [--workers N] [--keys N] [--connections N]
 *     [--churn] [--shape N] [usual options]
 *
 * With --churn one more client a server stores and deletes objects of changing sizes beside the
 * load, and has snugd defragment what that leaves again and again.
 *
 * --shape N measures the Nth shape of load alone, for a profiler beside it.
 *
 * Both servers run all the time, filled with the same keys, and are loaded in turns: for each shape
 * of load snugd, memcached, snugd, memcached, ... The figure that does not depend on how busy the
 * machine is or how fast the clients are is the processor time of the server for a million requests
 * (a get of 24 keys is one request); the ratio is the median of the turns' ratios. Latencies are
 * the clients', in a closed loop, all connections served by one thread, from sending to the last
 * answer of what was sent at once. */
#include "bench.h"
#include "server_churn.h"
#include "server_load.h"
#include "server_process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS_MAX 101u
#define LIMIT_MIB "1024"

struct settings {
	const char *snugd;
	const char *memcached;
	const char *workers;
	struct load_options load;
	uint32_t shape; /* the one to measure, from 1; 0: all */
	/* one more client fragments each server, and has snugd defragmented all the time */
	bool churn;
	bench_options common;
	uint64_t duration_ns;
};

static const struct load_shape shapes[] = {
	{"no pipelining", 1, 1, 10},
	{"pipeline 16", 16, 1, 10},
	{"multiget 24", 1, 24, 0},
};

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

/* Takes its own options out of argv and leaves the rest for bench_options_parse. */
static void parse(int argc, char **argv, struct settings *settings) {
	int kept = 1;
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		if (take_text(argv[i], "--snugd", value, &settings->snugd) ||
			take_text(argv[i], "--memcached", value, &settings->memcached) ||
			take_text(argv[i], "--workers", value, &settings->workers) ||
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
	if (settings->load.connections > LOAD_CONNECTIONS_MAX)
		bench_fail("at most %d connections", LOAD_CONNECTIONS_MAX);
	if (settings->common.rounds > ROUNDS_MAX) bench_fail("at most %u rounds", ROUNDS_MAX);
	settings->load.seed = settings->common.seed;
	settings->duration_ns = settings->common.quick ? 100000000u : 2000000000u;
	if (settings->common.quick)
		settings->load.keys = settings->load.keys < 20000 ? settings->load.keys : 20000;
}

/* ------------------------------------------------------------------ side by side -------------- */

#define SIDES 2u

struct side {
	const char *name;
	struct server_process process;
	double cpu_s[ROUNDS_MAX]; /* for a million requests */
	double speed[ROUNDS_MAX]; /* requests a second */
	snug_histogram latency_ns;
	uint64_t misses;
};

static double cpu_seconds(const struct load_result *result) {
	return (double)result->server_cpu_ns / 1e9 / ((double)result->requests / 1e6);
}

static void measure(struct load *load, const struct settings *settings,
					const struct load_shape *shape, struct side *side, unsigned round) {
	static struct load_result result;
	load_run(load, &side->process, shape, settings->duration_ns, &result);
	side->cpu_s[round] = cpu_seconds(&result);
	side->speed[round] = (double)result.requests * 1e9 / (double)result.elapsed_ns;
	side->misses += result.misses;
	snug_histogram_merge(&side->latency_ns, &result.latency_ns);
}

static void print_side(const struct settings *settings, const struct load_shape *shape,
					   struct side *side, double ratio) {
	double cpu_s = bench_median(side->cpu_s, settings->common.rounds);
	double speed = bench_median(side->speed, settings->common.rounds);
	double p50_us = (double)snug_histogram_quantile(&side->latency_ns, .5) / 1000;
	double p99_us = (double)snug_histogram_quantile(&side->latency_ns, .99) / 1000;
	double p999_us = (double)snug_histogram_quantile(&side->latency_ns, .999) / 1000;
	if (settings->common.json)
		printf("{\"bench\":\"servers\",\"shape\":\"%s\",\"server\":\"%s\",\"workers\":%s,\"cpu_s_"
			   "per_million\":%.3f,"
			   "\"cpu_ratio\":%.3f,\"requests_per_s\":%.0f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_"
			   "us\":%.1f,"
			   "\"misses\":%llu}\n",
			   shape->name, side->name, settings->workers, cpu_s, ratio, speed, p50_us, p99_us,
			   p999_us, (unsigned long long)side->misses);
	else
		printf("%-14s %-10s %9.2f %8.2f %12.0f %9.1f %9.1f %9.1f %8llu\n", shape->name, side->name,
			   cpu_s, ratio, speed, p50_us, p99_us, p999_us, (unsigned long long)side->misses);
}

static void compare(struct load *load, const struct settings *settings,
					const struct load_shape *shape, struct side *sides) {
	double ratios[ROUNDS_MAX];
	for (unsigned i = 0; i < SIDES; i++) {
		snug_histogram_init(&sides[i].latency_ns);
		sides[i].misses = 0;
	}
	for (unsigned round = 0; round < settings->common.rounds; round++) {
		for (unsigned i = 0; i < SIDES; i++) measure(load, settings, shape, &sides[i], round);
		ratios[round] = sides[0].cpu_s[round] / sides[1].cpu_s[round];
	}
	print_side(settings, shape, &sides[0], bench_median(ratios, settings->common.rounds));
	print_side(settings, shape, &sides[1], 1);
}

/* memcached may not run as root, and would rather not. */
static struct server_process start_memcached(const struct settings *settings) {
	const char *words[] = {settings->memcached,
						   "-m",
						   LIMIT_MIB,
						   "-t",
						   settings->workers,
						   "-U",
						   "0",
						   "-l",
						   "127.0.0.1",
						   geteuid() == 0 ? "-u" : NULL,
						   "nobody",
						   NULL};
	return server_start(words);
}

static struct server_process start_snugd(const struct settings *settings) {
	/* Builds of before know no such option. */
	const char *open_commands = settings->churn ? "--open-commands" : NULL;
	const char *words[] = {settings->snugd,   "-m",          LIMIT_MIB, "-t",
						   settings->workers, open_commands, NULL};
	return server_start(words);
}

int main(int argc, char **argv) {
	static struct side sides[SIDES] = {{.name = "snugd"}, {.name = "memcached"}};
	static struct load_result filled;
	struct settings settings = {.snugd = "build/snugd",
								.memcached = "memcached",
								.workers = "1",
								.load = {1000000, 30, 230, 230, 50, 0}};
	parse(argc, argv, &settings);
	struct load *load = load_create(&settings.load);
	sides[0].process = start_snugd(&settings);
	sides[1].process = start_memcached(&settings);
	for (unsigned i = 0; i < SIDES; i++)
		load_fill(load, &sides[i].process, 0, settings.load.keys, &filled);
	if (!settings.common.json) {
		printf("%u keys of %d bytes, values of %u, %u connections, %s worker(s) each, seed %llu; "
			   "CPU: of the server, s "
			   "for "
			   "a million requests\n",
			   settings.load.keys, (int)settings.load.key_bytes, settings.load.value_bytes_min,
			   settings.load.connections, settings.workers,
			   (unsigned long long)settings.common.seed);
		printf("%-14s %-10s %9s %8s %12s %9s %9s %9s %8s\n", "shape", "server", "CPU", "ratio",
			   "requests/s", "p50 us", "p99", "p99.9", "misses");
	}
	struct server_churn churns[SIDES];
	for (unsigned i = 0; settings.churn && i < SIDES; i++)
		churns[i] = server_churn_start(&sides[i].process, i == 0, settings.common.seed);
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
		if (settings.shape == 0 || settings.shape == i + 1)
			compare(load, &settings, &shapes[i], sides);
	for (unsigned i = 0; settings.churn && i < SIDES; i++) {
		struct server_churn_report report = server_churn_stop(&churns[i]);
		if (i == 0 && !settings.common.json)
			printf("beside it snugd was defragmented %llu times: %llu bytes reclaimed\n",
				   (unsigned long long)report.rounds, (unsigned long long)report.reclaimed_bytes);
	}
	for (unsigned i = 0; i < SIDES; i++) server_stop(&sides[i].process);
	load_destroy(load);
	return 0;
}
