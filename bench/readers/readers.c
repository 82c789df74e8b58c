/* readers.c: bench-readers: what a get costs where many threads read, and some write.
 *
 *     bench-readers [--threads N] [--items N] [--workers N] [--only NAME] [--processor-time]
 *                   [usual options]
 *
 * The keys are those of one set, all stored before; values of 200 bytes are copied out, and each is
 * certified: key, version and checksum must agree. Threads are 1, 2, 4, 8 and 16, or --threads; of
 * 100 operations of each 0, 5 or 50 are sets; keys are asked for alike, or by Zipf's law with
 * exponent 0.99. In each round all tables take their turn, the owner's own shard first.
 *
 * A figure is the wall's time of a get, of one thread, the median over the rounds. Gets and sets
 * are timed apart, in blocks. The ratios are medians of the rounds' ratios. Beside the own get,
 * which has a processor to itself, a get of more threads than processors counts for what it had of
 * one. On a machine with other work use --processor-time: then a figure is what the thread had of a
 * processor. The others' work is not in it; nor is what others did for the get, or its wait for
 * them. Then gets are timed one by one while the owner defragments (beside.c). */
#include "bench.h"

#include "caches/popularity.h"
#include "readers/beside.h"
#include "readers/window.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS_MAX 101u
#define ZIPF_EXPONENT 0.99
#define DISTRIBUTIONS 2u

static const struct contestant *const contestants[] = {
	&contestant_own,      &contestant_embedded,   &contestant_striped,
	&contestant_lockfree, &contestant_concurrent,
};
#define CONTESTANTS (sizeof contestants / sizeof contestants[0])
#define OWN 0u
#define EMBEDDED 1u

static const uint32_t all_threads[] = {1, 2, 4, 8, 16};
static const uint32_t all_sets[] = {0, 5, 50};

struct settings {
	bench_options common;
	struct contest contest;
	uint32_t threads; /* 0: all_threads */
	const char *only; /* beside the own shard; NULL: all */
	bool by_processor;
	uint64_t window_ns;
	uint32_t processors;
};

/* One table over the rounds. */
struct series {
	double get_ns[ROUNDS_MAX]; /* of a thread */
	double set_ns[ROUNDS_MAX];
};

struct bench {
	struct settings settings;
	void *tables[CONTESTANTS];
	struct draws draws[DISTRIBUTIONS];
	struct series series[CONTESTANTS];
	struct window_result sum; /* of all that was done */
};

/* ------------------------------------------------------------------ options ------------------- */

static bool take_number(const char *word, const char *name, const char *value, uint32_t *number) {
	if (strcmp(word, name) != 0) return false;
	if (value == NULL || (*number = (uint32_t)strtoul(value, NULL, 10)) == 0)
		bench_fail("%s wants a number", name);
	return true;
}

static bool take_only(const char *word, const char *value, const char **only) {
	if (strcmp(word, "--only") != 0) return false;
	if (value == NULL) bench_fail("--only wants a name");
	*only = value;
	return true;
}

/* Takes its own options out of argv and leaves the rest for bench_options_parse. */
static void parse(int argc, char **argv, struct settings *settings) {
	int kept = 1;
	struct contest *contest = &settings->contest;
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		if (take_number(argv[i], "--threads", value, &settings->threads) ||
			take_number(argv[i], "--items", value, &contest->items) ||
			take_number(argv[i], "--workers", value, &contest->workers) ||
			take_only(argv[i], value, &settings->only))
			i++;
		else if (strcmp(argv[i], "--processor-time") == 0)
			settings->by_processor = true;
		else
			argv[kept++] = argv[i];
	}
	settings->common = bench_options_parse(kept, argv, 9);
	if (settings->threads > VISITORS_MAX) bench_fail("at most %u threads", VISITORS_MAX);
	if (settings->common.rounds > ROUNDS_MAX) bench_fail("at most %u rounds", ROUNDS_MAX);
	settings->window_ns = settings->common.quick ? 5000000u : 100000000u;
	if (settings->common.quick && contest->items > 20000) contest->items = 20000;
	contest->huge_pages = settings->common.huge_pages;
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	settings->processors = processors > 0 ? (uint32_t)processors : 1;
}

static bool takes_part(const struct settings *settings, size_t contestant) {
	return contestant == OWN || settings->only == NULL ||
		   strcmp(settings->only, contestants[contestant]->name) == 0;
}

/* ------------------------------------------------------------------ begin, end ---------------- */

/* Ranks are spread over the keys, so that popular ones are no neighbours. */
static struct draws make_draws(const char *name, double exponent, uint32_t items, uint64_t seed) {
	struct draws draws = {name, bench_map(DRAWS * sizeof(uint32_t), false)};
	struct popularity popularity;
	struct random random;
	random_init(&random, seed, 1);
	if (!popularity_of_zipf(exponent, items, &popularity)) bench_fail("no memory for the draws");
	for (uint32_t i = 0; i < DRAWS; i++)
		draws.numbers[i] =
			(uint32_t)((uint64_t)popularity_draw(&popularity, &random) * 2654435761u % items);
	popularity_deinit(&popularity);
	return draws;
}

static void begin(struct bench *bench) {
	const struct settings *settings = &bench->settings;
	uint32_t items = settings->contest.items;
	bench->draws[0] = make_draws("uniform", 0, items, settings->common.seed);
	bench->draws[1] = make_draws("zipf 0.99", ZIPF_EXPONENT, items, settings->common.seed);
	for (size_t i = 0; i < CONTESTANTS; i++) {
		if (!takes_part(settings, i)) continue;
		bench->tables[i] = contestants[i]->create(&settings->contest);
		window_fill(contestants[i], bench->tables[i], items);
	}
}

static void end(struct bench *bench) {
	for (size_t i = 0; i < CONTESTANTS; i++)
		if (bench->tables[i] != NULL) contestants[i]->destroy(bench->tables[i]);
	for (size_t i = 0; i < DISTRIBUTIONS; i++)
		bench_unmap(bench->draws[i].numbers, DRAWS * sizeof(uint32_t));
}

/* ------------------------------------------------------------------ figures ------------------- */

static double per(uint64_t ns, uint64_t count) {
	return count == 0 ? 0 : (double)ns / (double)count;
}

/* What a get of one of `threads` had of a processor. */
static double of_a_processor(const struct settings *settings, uint32_t threads) {
	if (settings->by_processor || threads <= settings->processors) return 1;
	return (double)settings->processors / threads;
}

/* The median of the rounds' ratios. */
static double ratio(const struct bench *bench, size_t over, size_t under, double factor) {
	double ratios[ROUNDS_MAX];
	unsigned rounds = bench->settings.common.rounds;
	for (unsigned round = 0; round < rounds; round++)
		ratios[round] =
			factor * bench->series[over].get_ns[round] / bench->series[under].get_ns[round];
	return bench_median(ratios, rounds);
}

static void print_json(const struct bench *bench, const struct window *window, size_t contestant) {
	const struct settings *settings = &bench->settings;
	struct series copy = bench->series[contestant];
	bool is_own = contestants[contestant]->owner_only;
	uint32_t threads = is_own ? 1 : window->threads;
	printf("{\"bench\":\"readers\",\"keys\":\"%s\",\"sets_percent\":%u,\"threads\":%u,"
		   "\"table\":\"%s\",\"get_ns\":%.1f,\"set_ns\":%.1f,"
		   "\"get_over_own\":%.3f,\"by\":\"%s\"}\n",
		   window->draws->name, window->sets, threads, contestants[contestant]->name,
		   bench_median(copy.get_ns, settings->common.rounds),
		   bench_median(copy.set_ns, settings->common.rounds),
		   ratio(bench, contestant, OWN, of_a_processor(settings, threads)),
		   settings->by_processor ? "processor" : "wall");
}

static void print_medians(const struct bench *bench, const char *what, bool of_sets) {
	printf("  %-4s", what);
	for (size_t i = 0; i < CONTESTANTS; i++) {
		struct series copy = bench->series[i];
		if (bench->tables[i] == NULL)
			printf(" %9s", "-");
		else
			printf(" %9.0f", bench_median(of_sets ? copy.set_ns : copy.get_ns,
										  bench->settings.common.rounds));
	}
}

static void print_row(const struct bench *bench, const struct window *window) {
	const struct settings *settings = &bench->settings;
	printf("%-10s %3u/%-3u %7u", window->draws->name, BLOCK - window->sets, window->sets,
		   window->threads);
	print_medians(bench, "get", false);
	if (bench->tables[EMBEDDED] != NULL) {
		printf(" %9.2f", ratio(bench, EMBEDDED, OWN, of_a_processor(settings, window->threads)));
		for (size_t i = EMBEDDED + 1; i < CONTESTANTS; i++)
			if (bench->tables[i] != NULL) printf(" %9.2f", ratio(bench, EMBEDDED, i, 1));
	}
	putchar('\n');
	if (window->sets == 0) return;
	printf("%-26s", "");
	print_medians(bench, "set", true);
	putchar('\n');
}

static void print_head(const struct settings *settings) {
	printf("%u items, keys of %zu bytes, values of %zu; %u worker(s); %u processors; %u rounds, "
		   "seed %llu; ns of a thread, %s\n",
		   settings->contest.items, sizeof(struct reader_key), sizeof(struct reader_value),
		   settings->contest.workers, settings->processors, settings->common.rounds,
		   (unsigned long long)settings->common.seed,
		   settings->by_processor ? "of processor time" : "on the wall");
	printf("%-10s %7s %7s  %-4s", "keys", "get/set", "threads", "");
	for (size_t i = 0; i < CONTESTANTS; i++) printf(" %9s", contestants[i]->name);
	printf("  snug/own  /striped  /liburcu      /TBB\n");
}

/* ------------------------------------------------------------------ rounds -------------------- */

static void measure(struct bench *bench, const struct window *cell, size_t contestant,
					unsigned round) {
	struct window window = *cell;
	struct window_result result;
	struct series *series = &bench->series[contestant];
	window.contestant = contestants[contestant];
	window.table = bench->tables[contestant];
	if (window.contestant->owner_only) window.threads = 1;
	window.seed = bench->settings.common.seed + round;
	window_run(&window, &result);
	series->get_ns[round] = per(result.get_ns, result.gets);
	series->set_ns[round] = per(result.set_ns, result.sets);
	bench->sum.gets += result.gets;
	bench->sum.sets += result.sets;
	bench->sum.missing += result.missing;
	bench->sum.wrong += result.wrong;
}

static void run_cell(struct bench *bench, const struct window *cell) {
	const struct settings *settings = &bench->settings;
	for (unsigned round = 0; round < settings->common.rounds; round++)
		for (size_t i = 0; i < CONTESTANTS; i++)
			if (bench->tables[i] != NULL) measure(bench, cell, i, round);
	if (!settings->common.json) print_row(bench, cell);
	for (size_t i = 0; settings->common.json && i < CONTESTANTS; i++)
		if (bench->tables[i] != NULL) print_json(bench, cell, i);
}

static void run_all_threads(struct bench *bench, struct window *cell) {
	const struct settings *settings = &bench->settings;
	size_t count = settings->threads != 0 ? 1 : sizeof all_threads / sizeof all_threads[0];
	for (size_t i = 0; i < count; i++) {
		cell->threads = settings->threads != 0 ? settings->threads : all_threads[i];
		run_cell(bench, cell);
	}
}

static void run_beside(struct bench *bench) {
	const struct settings *settings = &bench->settings;
	struct beside_settings beside = {.items = settings->contest.items,
									 .rounds = settings->common.rounds,
									 .json = settings->common.json,
									 .huge_pages = settings->common.huge_pages,
									 .quiet_ns = settings->window_ns,
									 .draws = &bench->draws[0]};
	if (takes_part(settings, EMBEDDED)) beside_run(&beside, &bench->sum);
}

int main(int argc, char **argv) {
	static struct bench bench = {.settings = {.contest = {.items = 400000, .workers = 1}}};
	parse(argc, argv, &bench.settings);
	begin(&bench);
	if (!bench.settings.common.json) print_head(&bench.settings);
	for (size_t keys = 0; keys < DISTRIBUTIONS; keys++)
		for (size_t i = 0; i < sizeof all_sets / sizeof all_sets[0]; i++) {
			struct window cell = {.draws = &bench.draws[keys],
								  .sets = all_sets[i],
								  .duration_ns = bench.settings.window_ns,
								  .by_processor = bench.settings.by_processor};
			run_all_threads(&bench, &cell);
		}
	run_beside(&bench);
	fprintf(bench.settings.common.json ? stderr : stdout,
			"\n%llu gets, %llu sets: %llu values wrong, %llu missing\n",
			(unsigned long long)bench.sum.gets, (unsigned long long)bench.sum.sets,
			(unsigned long long)bench.sum.wrong, (unsigned long long)bench.sum.missing);
	end(&bench);
	return bench.sum.wrong + bench.sum.missing == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
