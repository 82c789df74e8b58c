/* pairs.c: bench-pairs: what allocating and freeing an object costs, side by side with the mallocs
 * of Debian.
 *
 * Each allocator has a child process of its own, with its library preloaded as its users load it,
 * and a heap that stays filled. The children run in turns, a slice of some tens of milliseconds
 * each: snug, glibc, jemalloc, ... snug, glibc, ... The whole is repeated with fresh children,
 * because where a process's pages happen to lie moves its figures by some per cent.
 *
 *     parent --- pairs_command ---> child (snug, by reference)         one at a time
 *            <-- nanoseconds ------ child (glibc) ... */
#include "pairs.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct allocator {
	const char *name;
	const char *library;    /* preloaded; NULL: none */
	const char *huge_pages; /* the environment by which it asks for 2 MiB pages */
} allocator;

static const allocator allocators[] = {
	{"snug-ref", NULL, NULL},
	{"snug-handle", NULL, NULL},
	{"glibc", NULL, "GLIBC_TUNABLES=glibc.malloc.hugetlb=1"},
	{"jemalloc", "libjemalloc.so.2", "MALLOC_CONF=thp:always,metadata_thp:auto"},
	{"mimalloc", "libmimalloc.so.2", "MIMALLOC_LARGE_OS_PAGES=1"},
	{"tcmalloc", "libtcmalloc_minimal.so.4", NULL},
};

enum {
	SNUG_REF,
	SNUG_HANDLE,
	FIRST_MALLOC,
	ALLOCATOR_COUNT = sizeof allocators / sizeof allocators[0]
};

static const char *const size_names[PAIRS_SIZES_COUNT] = {"100", "64-256", "meta"};
static const char *const mode_names[PAIRS_MODE_COUNT] = {"single", "batch64"};

#define ROUNDS_MAX 256

typedef struct child {
	pid_t pid;
	int input;  /* commands go here */
	int output; /* answers come from here */
} child;

/* One row of the table: nanoseconds a pair, per allocator and turn. */
typedef struct row {
	double pair_ns[ALLOCATOR_COUNT][ROUNDS_MAX];
	unsigned turns;
} row;

/* ------------------------------------------------------------------ children ------------------ */

extern char **environ;

/* The environment of this process with up to two assignments before it. */
static char **environment_with(char *first, char *second) {
	size_t count = 0;
	while (environ[count] != NULL) {
		count++;
	}
	char **copy = calloc(count + 3, sizeof copy[0]);
	if (copy == NULL) {
		bench_fail("no memory");
	}
	size_t used = 0;
	if (first != NULL) {
		copy[used++] = first;
	}
	if (second != NULL) {
		copy[used++] = second;
	}
	memcpy(copy + used, environ, count * sizeof copy[0]);
	return copy;
}

static void spawn(child *out, size_t index, pairs_sizes sizes, size_t live_bytes,
				  const bench_options *options, uint64_t seed) {
	char arguments[5][32];
	char preload[64];
	char huge_pages[64];
	int down[2];
	int up[2];
	snprintf(arguments[0], sizeof arguments[0], "%zu", index);
	snprintf(arguments[1], sizeof arguments[1], "%d", (int)sizes);
	snprintf(arguments[2], sizeof arguments[2], "%zu", live_bytes);
	snprintf(arguments[3], sizeof arguments[3], "%d", (int)options->huge_pages);
	snprintf(arguments[4], sizeof arguments[4], "%llu", (unsigned long long)seed);
	snprintf(preload, sizeof preload, "LD_PRELOAD=%s",
			 allocators[index].library != NULL ? allocators[index].library : "");
	snprintf(huge_pages, sizeof huge_pages, "%s",
			 allocators[index].huge_pages != NULL ? allocators[index].huge_pages : "");
	char program[] = "bench-pairs";
	char flag[] = "--child";
	char *argv[] = {program,      flag,         arguments[0], arguments[1],
					arguments[2], arguments[3], arguments[4], NULL};
	if (pipe2(down, O_CLOEXEC) != 0 || pipe2(up, O_CLOEXEC) != 0) {
		bench_fail("no pipe");
	}
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, down[0], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, up[1], STDOUT_FILENO);
	char **environment = environment_with(preload, options->huge_pages ? huge_pages : NULL);
	if (posix_spawn(&out->pid, "/proc/self/exe", &actions, NULL, argv, environment) != 0) {
		bench_fail("cannot start a child");
	}
	free(environment);
	posix_spawn_file_actions_destroy(&actions);
	close(down[0]);
	close(up[1]);
	out->input = down[1];
	out->output = up[0];
}

static uint64_t wait_for_answer(const child *from, size_t index) {
	uint64_t elapsed_ns;
	if (read(from->output, &elapsed_ns, sizeof elapsed_ns) != (ssize_t)sizeof elapsed_ns) {
		bench_fail("the child for %s ended", allocators[index].name);
	}
	return elapsed_ns;
}

static double run_round(const child *target, size_t index, pairs_mode mode, uint64_t pairs) {
	pairs_command command = {.mode = mode, .pairs = pairs};
	if (write(target->input, &command, sizeof command) != (ssize_t)sizeof command) {
		bench_fail("the child for %s ended", allocators[index].name);
	}
	return (double)wait_for_answer(target, index) / (double)pairs;
}

static void stop(const child *target) {
	close(target->input);
	close(target->output);
	waitpid(target->pid, NULL, 0);
}

/* ------------------------------------------------------------------ measuring ----------------- */

/* One generation of children for one mix of sizes and one amount of live bytes; both modes. */
static void measure(row rows[PAIRS_MODE_COUNT], pairs_sizes sizes, size_t live_bytes,
					const bench_options *options, uint64_t seed) {
	uint64_t pairs = live_bytes < MIB ? (uint64_t)1 << 20 : (uint64_t)1 << 18;
	child children[ALLOCATOR_COUNT];
	for (size_t i = 0; i < ALLOCATOR_COUNT; i++) {
		spawn(&children[i], i, sizes, live_bytes, options, seed);
		wait_for_answer(&children[i], i);
	}
	for (unsigned round = 0; round < options->rounds; round++) {
		for (pairs_mode mode = PAIRS_SINGLE; mode < PAIRS_MODE_COUNT; mode++) {
			unsigned turn = rows[mode].turns++;
			for (size_t i = 0; i < ALLOCATOR_COUNT; i++) {
				/* warms the caches after the others' slices */
				run_round(&children[i], i, mode, pairs / 16);
				rows[mode].pair_ns[i][turn] = run_round(&children[i], i, mode, pairs);
			}
		}
	}
	for (size_t i = 0; i < ALLOCATOR_COUNT; i++) {
		stop(&children[i]);
	}
}

static double median_ns(const row *of, size_t index) {
	double values[ROUNDS_MAX];
	memcpy(values, of->pair_ns[index], of->turns * sizeof values[0]);
	return bench_median(values, of->turns);
}

/* snug / the other: the median of the turns' ratios. */
static double median_ratio(const row *of, size_t snug, size_t other) {
	double values[ROUNDS_MAX];
	for (unsigned turn = 0; turn < of->turns; turn++) {
		values[turn] = of->pair_ns[snug][turn] / of->pair_ns[other][turn];
	}
	return bench_median(values, of->turns);
}

/* ------------------------------------------------------------------ printing ------------------ */

static void print_json(const row *of, pairs_sizes sizes, size_t live_bytes, pairs_mode mode,
					   const bench_options *options) {
	for (size_t i = 0; i < ALLOCATOR_COUNT; i++) {
		printf("{\"bench\":\"pairs\",\"sizes\":\"%s\",\"live_bytes\":%zu,\"mode\":\"%s\","
			   "\"allocator\":\"%s\",\"pair_"
			   "ns\":%.2f,"
			   "\"snug_ref_ratio\":%.3f,\"snug_handle_ratio\":%.3f,\"turns\":%u,\"huge_pages\":%s,"
			   "\"seed\":%llu}\n",
			   size_names[sizes], live_bytes, mode_names[mode], allocators[i].name,
			   median_ns(of, i), median_ratio(of, SNUG_REF, i), median_ratio(of, SNUG_HANDLE, i),
			   of->turns, options->huge_pages ? "true" : "false",
			   (unsigned long long)options->seed);
	}
}

static void print_heading(const bench_options *options) {
	printf("alloc+free pairs, ns (median), then snug-ref / each malloc; seed %llu%s\n",
		   (unsigned long long)options->seed,
		   options->huge_pages ? ", 2 MiB pages for all but tcmalloc" : "");
	printf("%-7s %-8s %-8s", "sizes", "live", "mode");
	for (size_t i = 0; i < ALLOCATOR_COUNT; i++) {
		printf(" %11s", allocators[i].name);
	}
	for (size_t i = FIRST_MALLOC; i < ALLOCATOR_COUNT; i++) {
		printf(" %9s", allocators[i].name);
	}
	putchar('\n');
}

static void print_row(const row *of, pairs_sizes sizes, size_t live_bytes, pairs_mode mode) {
	char live[32];
	snprintf(live, sizeof live, live_bytes < MIB ? "%zu KiB" : "%zu MiB",
			 live_bytes / (live_bytes < MIB ? KIB : MIB));
	printf("%-7s %-8s %-8s", size_names[sizes], live, mode_names[mode]);
	for (size_t i = 0; i < ALLOCATOR_COUNT; i++) {
		printf(" %11.1f", median_ns(of, i));
	}
	for (size_t i = FIRST_MALLOC; i < ALLOCATOR_COUNT; i++) {
		printf(" %9.2f", median_ratio(of, SNUG_REF, i));
	}
	putchar('\n');
	fflush(stdout);
}

static void measure_and_print(pairs_sizes sizes, size_t live_bytes, const bench_options *options) {
	static row rows[PAIRS_MODE_COUNT];
	unsigned generations = options->quick ? 1 : 3;
	memset(rows, 0, sizeof rows);
	for (unsigned generation = 0; generation < generations; generation++) {
		measure(rows, sizes, live_bytes, options, options->seed + generation);
	}
	for (pairs_mode mode = PAIRS_SINGLE; mode < PAIRS_MODE_COUNT; mode++) {
		if (options->json) {
			print_json(&rows[mode], sizes, live_bytes, mode, options);
		} else {
			print_row(&rows[mode], sizes, live_bytes, mode);
		}
	}
}

/* The loader only warns when it cannot preload a library, and glibc would be measured under
 * another's name. */
static void check_preloaded(size_t index) {
	if (allocators[index].library != NULL &&
		dlopen(allocators[index].library, RTLD_NOW | RTLD_NOLOAD) == NULL) {
		bench_fail("%s is not installed (%s)", allocators[index].name, allocators[index].library);
	}
}

static int run_child(char **arguments) {
	size_t index = strtoul(arguments[0], NULL, 10);
	check_preloaded(index);
	pairs_setup setup = {
		.reference = index == SNUG_REF,
		.malloc = index >= FIRST_MALLOC,
		.sizes = (pairs_sizes)strtoul(arguments[1], NULL, 10),
		.live_bytes = strtoul(arguments[2], NULL, 10),
		.huge_pages = strtoul(arguments[3], NULL, 10) != 0,
		.seed = strtoull(arguments[4], NULL, 10),
	};
	pairs_child_run(&setup, STDIN_FILENO, STDOUT_FILENO);
	return 0;
}

int main(int argc, char **argv) {
	if (argc == 7 && strcmp(argv[1], "--child") == 0) {
		return run_child(argv + 2);
	}
	bench_options options = bench_options_parse(argc, argv, 7);
	size_t live_bytes[] = {64 * KIB, options.quick ? 16 * MIB : 256 * MIB};
	if (options.rounds > ROUNDS_MAX / 3) {
		bench_fail("at most %d rounds", ROUNDS_MAX / 3);
	}
	if (!options.json) {
		print_heading(&options);
	}
	for (size_t i = 0; i < 2; i++) {
		for (pairs_sizes sizes = PAIRS_100; sizes < PAIRS_SIZES_COUNT; sizes++) {
			measure_and_print(sizes, live_bytes[i], &options);
		}
	}
	return 0;
}
