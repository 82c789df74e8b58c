/* simulate/simulate.c: runs the server in the simulation, a process for each seed (apart.h).
 *
 *     simulate [--plain] [--pinned FILE] FIRST COUNT [SECONDS]   seeds FIRST .. FIRST+COUNT-1; begins none after so many seconds
 *     simulate SCRIPT                                            one, in this process, with what is said, for a debugger: SEED, or what a
 *                                                                shortened seed was printed as (script.h)
 *     simulate --shorten SCRIPT                                  makes it shorter
 *
 * A seed that fails is shortened, unless the way is plain: then its reason is told. Before all others those are run that once found something: the
 * scripts in FILE, one a line, with a word behind # on what it was.
 *
 * Some seeds are run twice: both runs must say the same at the same times, or a seed would be no replay. */
#include "simulate/apart.h"
#include "simulate/shorten.h"
#include "support/secured_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TWICE_EVERY 16u
#define SHORTENED_MAX 2u /* of the seeds that fail */
#define SHORTEN_SECONDS 40u
#define SHORTEN_ALONE_SECONDS 600u
#define WORDS_MAX 8u
#define SEEDS_WITH_READS 20u /* among so many there are some workers that read each other's items */
#define LINE_ROOM 32768u

struct options {
	const char *program;
	const char *pinned;
	bool is_plain;
	uint64_t first;
	uint64_t count;
	uint64_t seconds;
};

struct tally {
	uint64_t began_s;
	uint64_t done;
	uint64_t failed;
	uint64_t answers;
	uint64_t direct_reads;
	uint64_t simulated_ns;
};

/* time() is the simulation's. */
static uint64_t real_s(void) {
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec;
}

/* ------------------------------------------------------------------ one -------------------- */

static void print_shortened(struct script *script, struct outcome *outcome, const char *program,
							uint64_t seconds) {
	static char text[LINE_ROOM];
	shorten(script, outcome, seconds);
	(void)script_print(script, text, sizeof text);
	printf("shortened to %u commands: %s %s\n", script_commands(script), program, text);
	tell_apart(script);
}

/* A run that goes otherwise the second time is no finding that could be shortened. OpenSSL could look
 * at the real clock, of which seconds can be seen: it is another one by then. */
static void require_the_same_again(const struct script *script, struct outcome *outcome) {
	static struct outcome again;
	if (outcome->figures.has_tls) (void)sleep(1);
	run_apart(script, &again);
	outcome->is_fine = again.is_fine && again.figures.trace == outcome->figures.trace;
	if (!outcome->is_fine)
		snprintf(outcome->why, sizeof outcome->why, "two runs of one seed differ");
}

static void run_one(const struct options *options, struct script *script, struct tally *tally) {
	static struct outcome outcome;
	static char text[LINE_ROOM];
	run_apart(script, &outcome);
	if (outcome.is_fine && script->seed % TWICE_EVERY == 0)
		require_the_same_again(script, &outcome);
	tally->done++;
	tally->answers += outcome.figures.answers;
	tally->direct_reads += outcome.figures.direct_reads;
	tally->simulated_ns += outcome.figures.now_ns;
	if (outcome.is_fine) return;
	(void)script_print(script, text, sizeof text);
	printf("seed %s failed: %s\n", text, outcome.why);
	printf("    again: %s %s\n", options->program, text);
	if (!options->is_plain && tally->failed < SHORTENED_MAX && outcome.kind[0] != '\0')
		print_shortened(script, &outcome, options->program, SHORTEN_SECONDS);
	tally->failed++;
}

/* ------------------------------------------------------------------ many ------------------- */

static size_t split(char *line, char **words) {
	size_t count = 0;
	char *rest = NULL;
	line[strcspn(line, "#\n")] = '\0';
	for (char *word = strtok_r(line, " \t", &rest); word != NULL && count < WORDS_MAX;
		 word = strtok_r(NULL, " \t", &rest))
		words[count++] = word;
	return count;
}

/* False: the file cannot be read, or has a line that is no script. */
static bool run_pinned(const struct options *options, struct tally *tally) {
	static char line[LINE_ROOM];
	static struct script script;
	char *words[WORDS_MAX];
	FILE *file = fopen(options->pinned, "re");
	if (file == NULL) return false;
	bool is_right = true;
	while (is_right && fgets(line, sizeof line, file) != NULL) {
		size_t count = split(line, words);
		if (count == 0) continue;
		is_right = script_parse(&script, words, count);
		if (is_right) run_one(options, &script, tally);
	}
	(void)fclose(file);
	return is_right;
}

static int run_many(const struct options *options) {
	static struct script script;
	struct tally tally = {.began_s = real_s()};
	printf("[==========] Running 1 test(s).\n");
	bool is_right = options->pinned == NULL || run_pinned(options, &tally);
	if (!is_right) printf("%s: cannot be read, or has a line that is no script\n", options->pinned);
	uint64_t pinned = tally.done, end = options->first + options->count;
	for (uint64_t seed = options->first; seed < end && real_s() - tally.began_s < options->seconds;
		 seed++) {
		script_init(&script, seed);
		run_one(options, &script, &tally);
	}
	if (pinned > 0) printf("%llu pinned ones, ", (unsigned long long)pinned);
	printf(
		"%llu seeds from %llu on, %llu answers judged, %llu reads of other workers' items, %llu s "
		"simulated in %llu s, %llu failed\n",
		(unsigned long long)(tally.done - pinned), (unsigned long long)options->first,
		(unsigned long long)tally.answers, (unsigned long long)tally.direct_reads,
		(unsigned long long)(tally.simulated_ns / 1000000000u),
		(unsigned long long)(real_s() - tally.began_s), (unsigned long long)tally.failed);
	bool reads_directly = tally.done < SEEDS_WITH_READS || tally.direct_reads > 0;
	bool is_fine = is_right && tally.failed == 0 && tally.done > 0 && reads_directly;
	printf(is_fine ? "[       OK ] simulation\n" : "[  FAILED  ] simulation\n");
	return is_fine ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ------------------------------------------------------------------ which ------------------ */

static int shorten_alone(const char *program, struct script *script) {
	static struct outcome outcome;
	run_apart(script, &outcome);
	if (outcome.is_fine) {
		printf("it does not fail\n");
		return EXIT_FAILURE;
	}
	printf("%s\n", outcome.why);
	print_shortened(script, &outcome, program, SHORTEN_ALONE_SECONDS);
	return EXIT_SUCCESS;
}

static int run_here(const struct script *script) {
	struct scenario_figures figures;
	scenario_run(script, true, &figures);
	fprintf(stderr, "fine: %llu answers, %llu ns, trace %016llx\n",
			(unsigned long long)figures.answers, (unsigned long long)figures.now_ns,
			(unsigned long long)figures.trace);
	return EXIT_SUCCESS;
}

static int usage(void) {
	fprintf(stderr, "simulate [--shorten] SEED [salt=N] [calm=..] [keep=..]\n"
					"simulate [--plain] [--pinned FILE] FIRST COUNT [SECONDS]\n");
	return EXIT_FAILURE;
}

static bool is_number(const char *word) {
	return word[0] != '\0' && strspn(word, "0123456789") == strlen(word);
}

int main(int argument_count, char **arguments) {
	static struct script script;
	(void)secured_certificate(); /* once, for all processes */
	struct options options = {.program = arguments[0], .seconds = UINT64_MAX};
	bool shortens = false;
	char **word = arguments + 1, **end = arguments + argument_count;
	for (; word < end && word[0][0] == '-'; word++) {
		if (strcmp(*word, "--plain") == 0)
			options.is_plain = true;
		else if (strcmp(*word, "--shorten") == 0)
			shortens = true;
		else if (strcmp(*word, "--pinned") == 0 && word + 1 < end)
			options.pinned = *++word;
		else
			return usage();
	}
	if (end - word >= 2 && is_number(word[0]) && is_number(word[1])) {
		options.first = strtoull(word[0], NULL, 10);
		options.count = strtoull(word[1], NULL, 10);
		if (end - word > 2) options.seconds = strtoull(word[2], NULL, 10);
		return run_many(&options);
	}
	if (word == end || !script_parse(&script, word, (size_t)(end - word))) return usage();
	return shortens ? shorten_alone(arguments[0], &script) : run_here(&script);
}
