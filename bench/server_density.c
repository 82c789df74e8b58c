/* server_density.c: bench-server-density: how much of a server's memory holds what was stored:
 * bytes of keys and values that it answers with / resident bytes of its process, at a limit of 512
 * MB, when it has been filled to well beyond that.
 *
 *     bench-server-density [--snugd PATH] [--memcached PATH] [--limit-mb N] [usual options]
 *
 * Each workload starts both servers anew. What is found is counted by asking for every key. The
 * last workload shifts: 30 + 100 bytes, then 40 + 1 to 2 KiB, then 30 + 100 again, and the figure
 * is that of the end; a server that can't move memory between sizes falls behind its first figure
 * there, or refuses to store. */
#include "bench.h"
#include "server_load.h"
#include "server_process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OVERFILL 1.5

struct workload {
	const char *name;
	uint32_t key_bytes;
	uint32_t value_bytes_min; /* 0: Meta's */
	uint32_t value_bytes_max;
	double value_bytes_mean;
	double aim;
};

static const struct workload workloads[] = {
	{"20 + 50 B", 20, 50, 50, 50, .77},         {"30 + 100 B", 30, 100, 100, 100, .85},
	{"30 + 230 B", 30, 230, 230, 230, .90},     {"40 B + 1-2 KiB", 40, 1024, 2048, 1536, .95},
	{"40 B + kvcache sizes", 40, 0, 0, 0, .91},
};
#define SMALL 1
#define LARGE 3

struct settings {
	const char *programs[2];
	char limit_mb[16];
	double limit_bytes;
	bench_options common;
};

static const char *const names[2] = {"snugd", "memcached"};

static void parse(int argc, char **argv, struct settings *settings) {
	const char *limit_mb = "512";
	int kept = 1;
	for (int i = 1; i < argc; i++) {
		const char **text = strcmp(argv[i], "--snugd") == 0       ? &settings->programs[0]
							: strcmp(argv[i], "--memcached") == 0 ? &settings->programs[1]
							: strcmp(argv[i], "--limit-mb") == 0  ? &limit_mb
																  : NULL;
		if (text == NULL)
			argv[kept++] = argv[i];
		else if (++i == argc || *(*text = argv[i]) == '\0')
			bench_fail("%s wants a value", argv[i - 1]);
	}
	settings->common = bench_options_parse(kept, argv, 1);
	if (settings->common.quick) limit_mb = "64";
	(void)snprintf(settings->limit_mb, sizeof settings->limit_mb, "%s", limit_mb);
	settings->limit_bytes = strtod(limit_mb, NULL) * 1024 * 1024;
	if (settings->limit_bytes < 1) bench_fail("--limit-mb wants a number");
}

static struct server_process start(const struct settings *settings, int side) {
	bool as_nobody = side == 1 && geteuid() == 0;
	const char *words[] = {settings->programs[side],
						   "-m",
						   settings->limit_mb,
						   "-t",
						   "1",
						   as_nobody ? "-u" : NULL,
						   "nobody",
						   NULL};
	return server_start(words);
}

static double mean_value_bytes(const struct workload *workload) {
	if (workload->value_bytes_mean != 0) return workload->value_bytes_mean;
	double sum = 0;
	for (uint32_t key = 0; key < 100000; key++) {
		bench_random random;
		bench_random_init(&random, key);
		sum += (double)bench_meta_size(&random, VALUE_BYTES_MAX);
	}
	return sum / 100000;
}

struct outcome {
	double density;
	uint64_t refused;
};

/* Fills; with `scan` counts what is there too. */
static struct outcome fill(const struct settings *settings, const struct server_process *server,
						   const struct workload *workload, bool scan) {
	static struct load_result result;
	struct outcome outcome = {0, 0};
	double item_bytes = workload->key_bytes + mean_value_bytes(workload);
	struct load_options options = {.keys =
									   (uint32_t)(settings->limit_bytes * OVERFILL / item_bytes),
								   .key_bytes = workload->key_bytes,
								   .value_bytes_min = workload->value_bytes_min,
								   .value_bytes_max = workload->value_bytes_max,
								   .connections = 4,
								   .seed = settings->common.seed};
	struct load *load = load_create(&options);
	load_fill(load, server, 0, options.keys, &result);
	outcome.refused = result.refused;
	if (scan) {
		uint64_t rss_bytes = server_rss_bytes(server);
		load_scan(load, server, 0, options.keys, &result);
		outcome.density = (double)result.hit_bytes / (double)rss_bytes;
	}
	load_destroy(load);
	return outcome;
}

static struct outcome run(const struct settings *settings, int side,
						  const struct workload *const *stages, int count) {
	struct server_process server = start(settings, side);
	struct outcome outcome = {0, 0};
	for (int i = 0; i < count; i++) {
		struct outcome stage = fill(settings, &server, stages[i], i + 1 == count);
		outcome.density = stage.density;
		outcome.refused += stage.refused;
	}
	server_stop(&server);
	return outcome;
}

static void print_row(const struct settings *settings, const char *name, double aim,
					  const struct outcome *outcomes) {
	if (settings->common.json)
		printf("{\"bench\":\"server-density\",\"workload\":\"%s\",\"limit_mb\":%s,\"%s\":%.4f,\"%"
			   "s\":%.4f,"
			   "\"%s_refused\":%llu,\"%s_refused\":%llu}\n",
			   name, settings->limit_mb, names[0], outcomes[0].density, names[1],
			   outcomes[1].density, names[0], (unsigned long long)outcomes[0].refused, names[1],
			   (unsigned long long)outcomes[1].refused);
	else
		printf("%-30s %8.3f %8.2f %10.3f %8.2f %10llu %10llu\n", name, outcomes[0].density, aim,
			   outcomes[1].density, outcomes[0].density / outcomes[1].density,
			   (unsigned long long)outcomes[0].refused, (unsigned long long)outcomes[1].refused);
}

int main(int argc, char **argv) {
	const struct workload *shift[] = {&workloads[SMALL], &workloads[LARGE], &workloads[SMALL]};
	struct settings settings = {.programs = {"build/snugd", "memcached"}};
	struct outcome outcomes[2];
	parse(argc, argv, &settings);
	if (!settings.common.json) {
		printf("keys and values / resident memory at a limit of %s MB, one worker each\n",
			   settings.limit_mb);
		printf("%-30s %8s %8s %10s %8s %10s %10s\n", "key + value", "snugd", "aim", "memcached",
			   "ratio", "refused", "by memcached");
	}
	for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++) {
		const struct workload *stage = &workloads[i];
		for (int side = 0; side < 2; side++) outcomes[side] = run(&settings, side, &stage, 1);
		print_row(&settings, workloads[i].name, workloads[i].aim, outcomes);
	}
	for (int side = 0; side < 2; side++) outcomes[side] = run(&settings, side, shift, 3);
	print_row(&settings, "30+100, 1-2 KiB, 30+100 again", workloads[SMALL].aim, outcomes);
	return 0;
}
