/* simulate/simulate.c: runs the server in the simulation, a process for each seed, so that a crash is a finding and not the end.
 *
 *     simulate FIRST COUNT [seconds]   seeds FIRST .. FIRST+COUNT-1; begins none after so many seconds
 *     simulate SEED                    one, in this process, with what the server logs: for a debugger
 *
 * Some seeds are run twice: both runs must say the same at the same times, or a seed would be no replay. */
#include "simulate/scenario.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SEED_SECONDS 120u
#define TWICE_EVERY 16u

/* time() is the simulation's. */
static uint64_t real_s(void) {
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec;
}

static struct scenario_figures run_seed(uint64_t seed, bool is_told) {
	struct choice choice = {.random = {seed * UINT64_C(0x9e3779b97f4a7c15)}};
	struct scenario_figures figures;
	scenario_run(&choice, is_told, &figures);
	return figures;
}

static void run_child(uint64_t seed, int out) {
	(void)alarm(SEED_SECONDS);
	struct scenario_figures figures = run_seed(seed, false);
	_exit(write(out, &figures, sizeof figures) == (ssize_t)sizeof figures ? 0 : 1);
}

/* False: it failed, or crashed, or did not end. */
static bool run_apart(uint64_t seed, struct scenario_figures *out) {
	int ends[2], status = 0;
	if (pipe(ends) != 0) return false;
	(void)fflush(NULL);
	pid_t child = fork();
	if (child == 0) run_child(seed, ends[1]);
	(void)close(ends[1]);
	bool is_whole = child > 0 && read(ends[0], out, sizeof *out) == (ssize_t)sizeof *out;
	(void)close(ends[0]);
	if (child > 0) (void)waitpid(child, &status, 0);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		fprintf(stderr, "simulation: no end after %u seconds\n", SEED_SECONDS);
	return is_whole && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool run_one(uint64_t seed, const char *program, struct scenario_figures *out) {
	struct scenario_figures again;
	bool is_fine = run_apart(seed, out);
	if (is_fine && seed % TWICE_EVERY == 0 && (!run_apart(seed, &again) || again.trace != out->trace)) {
		fprintf(stderr, "simulation: two runs of one seed differ\n");
		is_fine = false;
	}
	if (!is_fine)
		printf("seed %llu failed; again: %s %llu\n", (unsigned long long)seed, program, (unsigned long long)seed);
	return is_fine;
}

static int run_many(const char *program, uint64_t first, uint64_t count, uint64_t seconds) {
	uint64_t failed = 0, done = 0, answers = 0, simulated_ns = 0;
	uint64_t began_s = real_s();
	printf("[==========] Running 1 test(s).\n");
	for (; done < count && real_s() - began_s < seconds; done++) {
		struct scenario_figures figures = {0};
		if (!run_one(first + done, program, &figures)) failed++;
		answers += figures.answers;
		simulated_ns += figures.now_ns;
	}
	printf("%llu seeds from %llu on, %llu answers judged, %llu s simulated in %llu s, %llu failed\n",
		   (unsigned long long)done, (unsigned long long)first, (unsigned long long)answers,
		   (unsigned long long)(simulated_ns / 1000000000u), (unsigned long long)(real_s() - began_s),
		   (unsigned long long)failed);
	printf(failed == 0 && done > 0 ? "[       OK ] simulation\n" : "[  FAILED  ] simulation\n");
	return failed == 0 && done > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argument_count, char **arguments) {
	if (argument_count < 2) {
		fprintf(stderr, "simulate SEED | simulate FIRST COUNT [SECONDS]\n");
		return EXIT_FAILURE;
	}
	uint64_t first = strtoull(arguments[1], NULL, 0);
	if (argument_count > 2)
		return run_many(arguments[0], first, strtoull(arguments[2], NULL, 0),
						argument_count > 3 ? strtoull(arguments[3], NULL, 0) : UINT64_MAX);
	struct scenario_figures figures = run_seed(first, true);
	fprintf(stderr, "fine: %llu answers, %llu ns, trace %016llx\n", (unsigned long long)figures.answers,
			(unsigned long long)figures.now_ns, (unsigned long long)figures.trace);
	return EXIT_SUCCESS;
}
