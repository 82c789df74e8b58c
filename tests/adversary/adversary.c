/* adversary.c: tries to beat laws B1 to B3: to make a heap refuse what it has room for.
 *
 *     adversary [--seconds N] [--seed N] [--most-mib N] [--script TEXT]
 *
 * Each setting (limit, page size, names) gets its share of the time. A third of it goes to scripts
 * drawn at random, the rest to climbing: the script whose refusal left most room beside what it
 * needed is changed a little, and kept if it leaves more. Scripts known to have beaten a heap are
 * played first, however long that takes. With --script that one is played in all settings.
 *
 * Prints for each setting the worst refusal seen. A refusal that breaks the bound is a failed case;
 * its script and seed are printed, and play it again. docs/bounds.md has the bound. */
#include "adversary/player.h"
#include "mem/arena/limit.h"
#include "support/require.h"

#include <snug/snug.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define SETTINGS_MAX 80
#define STALE_MAX 200 /* changes in vain, after which climbing begins elsewhere */

/* Each beat the bound once; sizes are cut to what the setting allows. */
static const char *const known[] = {
	"fill plain 500 500 1000; free every 3 0; ask plain 20 20 1000",
	"fill plain 500 500 1000; free every 96 0; ask plain 20 20 1000",
	"fill plain 1000 1000 1000; free every 12 0; ask plain 900 900 1000",
	"fill plain 100 100 1000; free every 2 1; ask plain 4000 4000 1000; pin every 100 0",
	"fill plain 100 100 1000; free every 2 1; ask contiguous 4000 4000 1000; pin every 1 0",
	"fill plain 1 1 1000; keep page 0 0; ask plain 200 200 1000",
	("fill plain 8 8 500; fill plain 300 300 1000; pin page 0 0; keep page 0 0; "
	 "ask plain 200 200 1000"),
	"fill aligned 64 64 1000; free every 2 0; ask plain 40 40 1000",
	"fill plain 5000 5000 1000; free every 2 0; ask contiguous 3000 3000 1000",
	"fill plain 30 4000 1000; keep page 0 0; ask contiguous 4000 4000 1000",
	"fill plain 10 10 1000; free every 2 0; ask plain 40000 40000 1000",
	"fill plain 1 1 1000; drop; ask plain 200000 200000 1000",
};

struct search {
	struct setting setting;
	struct script best;
	uint64_t best_seed;
	struct outcome worst;
	uint64_t scripts;
	bool beaten;
};

struct arguments {
	double seconds;
	uint64_t seed;
	size_t most_bytes;
	const char *script;
};

static char note_text[SCRIPT_TEXT_ROOM + 200];

static double now_s(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void describe(const struct setting *setting, char *text, size_t room) {
	snprintf(text, room, "%zu KiB, pages of %zu, by %s", setting->limit_bytes / KIB,
			 setting->page_bytes, setting->by_reference ? "reference" : "handle");
}

static void play_noted(const struct script *script, const struct setting *setting, uint64_t seed,
					   struct outcome *out) {
	char name[80], text[SCRIPT_TEXT_ROOM];
	describe(setting, name, sizeof name);
	script_print(script, text);
	snprintf(note_text, sizeof note_text, "%s, seed %llu: %s", name, (unsigned long long)seed,
			 text);
	play(script, setting, seed, out);
}

/* ------------------------------------------------------------------ searching ----------------- */

/* Whether this outcome is worse for the heap. */
static bool is_worse(const struct outcome *a, const struct outcome *b) {
	if ((a->wrong != NULL) != (b->wrong != NULL)) return a->wrong != NULL;
	if (a->excess_bytes != b->excess_bytes) return a->excess_bytes > b->excess_bytes;
	return a->contiguous_room_bytes > b->contiguous_room_bytes;
}

static void try_script(struct search *search, const struct script *script, uint64_t seed,
					   struct outcome *out) {
	play_noted(script, &search->setting, seed, out);
	search->scripts++;
	uint64_t contiguous_bytes = search->worst.contiguous_room_bytes;
	if (is_worse(out, &search->worst)) {
		search->worst = *out;
		search->best = *script;
		search->best_seed = seed;
	}
	if (contiguous_bytes > search->worst.contiguous_room_bytes)
		search->worst.contiguous_room_bytes = contiguous_bytes;
	if (out->contiguous_room_bytes > search->worst.contiguous_room_bytes)
		search->worst.contiguous_room_bytes = out->contiguous_room_bytes;
	search->beaten |= out->wrong != NULL;
}

static void cut_sizes(struct script *script, const struct script_sizes *sizes) {
	for (uint32_t index = 0; index < script->count; index++) {
		struct script_step *step = &script->steps[index];
		if (step->verb != VERB_FILL && step->verb != VERB_ASK) continue;
		if (step->a < sizes->least) step->a = sizes->least;
		if (step->b < step->a) step->b = step->a;
	}
}

static void climb(struct search *search, struct script script, uint64_t seed, double until_s,
				  test_random *random) {
	struct script_sizes sizes = play_sizes(&search->setting);
	struct outcome here, there;
	try_script(search, &script, seed, &here);
	for (uint32_t stale = 0; stale < STALE_MAX && now_s() < until_s && here.wrong == NULL;) {
		struct script changed = script;
		for (uint64_t times = 1 + test_random_below(random, 3); times > 0; times--)
			script_change(&changed, &sizes, random);
		try_script(search, &changed, seed, &there);
		bool better = is_worse(&there, &here);
		stale = better ? 0 : stale + 1;
		if (!better && is_worse(&here, &there)) continue;
		script = changed;
		here = there;
	}
}

static void search_setting(struct search *search, double seconds, test_random *random) {
	struct script_sizes sizes = play_sizes(&search->setting);
	struct script script;
	struct outcome outcome;
	double begin_s = now_s();
	for (size_t index = 0; index < sizeof known / sizeof *known; index++) {
		REQUIRE(script_read(&script, known[index]), "no script: %s", known[index]);
		cut_sizes(&script, &sizes);
		try_script(search, &script, 1, &outcome);
	}
	while (now_s() < begin_s + seconds / 3) {
		script_make(&script, &sizes, random);
		try_script(search, &script, test_random_next(random), &outcome);
	}
	script = search->best;
	while (now_s() < begin_s + seconds && !search->beaten) {
		climb(search, script, search->best_seed, begin_s + seconds, random);
		script_make(&script, &sizes, random);
	}
}

/* ------------------------------------------------------------------ settings ------------------ */

static size_t list_settings(struct search *searches, size_t most_bytes) {
	static const size_t limits[] = {256 * KIB, 700 * KIB, 2 * MIB, 16 * MIB, 64 * MIB, 256 * MIB};
	size_t count = 0;
	for (size_t index = 0; index < sizeof limits / sizeof *limits; index++) {
		for (size_t page_bytes = 4096; page_bytes <= 65536; page_bytes *= 2) {
			if (limits[index] > most_bytes || !limit_is_workable(limits[index], page_bytes))
				continue;
			for (int by_reference = 0; by_reference < 2; by_reference++) {
				searches[count++] = (struct search){
					.setting = {limits[index], page_bytes, by_reference},
					.worst = {.excess_bytes = OUTCOME_NONE},
				};
			}
		}
	}
	return count;
}

static void report(const struct search *search) {
	char name[80], text[SCRIPT_TEXT_ROOM];
	const struct outcome *worst = &search->worst;
	describe(&search->setting, name, sizeof name);
	if (worst->excess_bytes == OUTCOME_NONE) {
		printf("%-40s %6llu scripts, nothing was refused\n", name,
			   (unsigned long long)search->scripts);
	} else {
		printf("%-40s %6llu scripts, %8lld bytes beyond what was needed when %llu were refused; "
			   "contiguous: %llu free\n",
			   name, (unsigned long long)search->scripts, (long long)worst->excess_bytes,
			   (unsigned long long)worst->excess_asked_bytes,
			   (unsigned long long)worst->contiguous_room_bytes);
	}
	if (!search->beaten) {
		printf("[       OK ] %s\n", name);
		return;
	}
	script_print(&search->best, text);
	printf("    %llu bytes were refused, but %s: --script '%s' --seed %llu\n[  FAILED  ] %s\n",
		   (unsigned long long)worst->wrong_bytes, worst->wrong, text,
		   (unsigned long long)search->best_seed, name);
}

static bool read_arguments(int argc, char **argv, struct arguments *out) {
	*out = (struct arguments){.seconds = 5, .seed = 1, .most_bytes = 256 * MIB};
	for (int index = 1; index < argc; index += 2) {
		if (index + 1 == argc) return false;
		const char *value = argv[index + 1];
		if (strcmp(argv[index], "--seconds") == 0)
			out->seconds = strtod(value, NULL);
		else if (strcmp(argv[index], "--seed") == 0)
			out->seed = strtoull(value, NULL, 0);
		else if (strcmp(argv[index], "--most-mib") == 0)
			out->most_bytes = strtoull(value, NULL, 0) * MIB;
		else if (strcmp(argv[index], "--script") == 0)
			out->script = value;
		else
			return false;
	}
	return true;
}

static bool run(struct search *search, const struct arguments *arguments, double seconds,
				test_random *random) {
	struct script script;
	struct outcome outcome;
	if (arguments->script == NULL) {
		search_setting(search, seconds, random);
	} else if (script_read(&script, arguments->script)) {
		try_script(search, &script, arguments->seed, &outcome);
	} else {
		fprintf(stderr, "adversary: no script: %s\n", arguments->script);
		exit(2);
	}
	report(search);
	fflush(stdout);
	return !search->beaten;
}

int main(int argc, char **argv) {
	static struct search searches[SETTINGS_MAX];
	struct arguments arguments;
	if (!read_arguments(argc, argv, &arguments)) {
		fprintf(stderr, "adversary [--seconds N] [--seed N] [--most-mib N] [--script TEXT]\n");
		return 2;
	}
	require_note(note_text);
	size_t count = list_settings(searches, arguments.most_bytes);
	test_random random = {arguments.seed};
	size_t failed = 0;
	printf("seed %llu\n[==========] Running %zu test(s).\n", (unsigned long long)arguments.seed,
		   count);
	for (size_t index = 0; index < count; index++)
		failed += !run(&searches[index], &arguments, arguments.seconds / (double)count, &random);
	printf("%zu settings, %zu beaten\n", count, failed);
	return failed > 0;
}
