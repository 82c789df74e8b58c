/* child.c: a job's own process: the program starts itself again, with the allocator's library
 * preloaded, and shares one mapping with it (struct shared). So the allocator under test is the one
 * that the whole child uses, and its RSS is nobody else's. */
#include "jobs/child.h"

#include "allocators/allocators.h"
#include "base/number_text.h"
#include "jobs/progress.h"
#include "runs/crowd.h"
#include "runs/runs.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define POLL_NS 10000000L

static struct shared *map_shared(int file) {
	void *memory = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE,
						MAP_SHARED | MAP_POPULATE, file, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

/* In the forked process: becomes the child, or returns when it cannot. */
static void become_child(const struct job *job, int file) {
	char file_number[16];
	char program[] = "snug-replay", mode[] = CHILD_ARGUMENT;
	char *arguments[] = {program, mode, file_number, NULL};
	bool found;
	const char *library = allocator_library(job->allocator, &found);
	snprintf(file_number, sizeof file_number, "%d", file);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (library != NULL)
		setenv("LD_PRELOAD", library, 1);
	else if (job->allocator == ALLOCATOR_GLIBC)
		unsetenv("LD_PRELOAD");
	execv("/proc/self/exe", arguments);
}

/* True when the preloaded library is really there: a loader that cannot preload only warns. */
static bool library_is_loaded(enum allocator_kind kind) {
	bool found;
	const char *library = allocator_library(kind, &found);
	if (library == NULL) return true;
	FILE *maps = fopen("/proc/self/maps", "re");
	const char *slash = strrchr(library, '/');
	char line[512];
	bool loaded = false;
	while (maps != NULL && !loaded && fgets(line, sizeof line, maps) != NULL)
		/* Up to ".so": the loader resolves links, and maps tells the file behind them. */
		loaded = strstr(line, ".so") != NULL &&
				 strncmp(strrchr(line, '/'), slash, strcspn(slash, ".")) == 0;
	if (maps != NULL) fclose(maps);
	return loaded;
}

int child_main(const char *file_number) {
	struct shared *shared = map_shared((int)number_leading(file_number));
	if (shared == NULL) return EXIT_FAILURE;
	if (library_is_loaded(shared->job.allocator)) {
		(shared->job.workers > 0 ? run_crowd : run_job)(shared);
		return EXIT_SUCCESS;
	}
	shared->outcome.status = JOB_BROKEN;
	snprintf(shared->outcome.problem, sizeof shared->outcome.problem, "%s could not be preloaded",
			 allocator_name(shared->job.allocator));
	return EXIT_SUCCESS;
}

/* Waits for the child's end, showing progress. */
static int watch(pid_t child, struct shared *shared, bool quiet) {
	struct timespec pause = {.tv_nsec = POLL_NS};
	struct progress_line line = progress_begin();
	int status;
	while (waitpid(child, &status, WNOHANG) == 0) {
		nanosleep(&pause, NULL);
		if (!quiet) progress_show(&line, shared);
	}
	if (!quiet) progress_end(&line);
	return status;
}

static void note_death(int status, struct outcome *outcome) {
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && outcome->status != JOB_RUNNING &&
		outcome->status != JOB_NOT_RUN)
		return;
	outcome->status = JOB_BROKEN;
	if (WIFSIGNALED(status))
		snprintf(outcome->problem, sizeof outcome->problem, "the run was killed by signal %d (%s)",
				 WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(outcome->problem, sizeof outcome->problem, "the run ended early with status %d",
				 WEXITSTATUS(status));
}

bool child_run(const struct job *job, bool quiet, struct outcome *out) {
	int file = memfd_create("snug-replay", 0);
	struct shared *shared = NULL;
	if (file >= 0 && ftruncate(file, sizeof(struct shared)) == 0) shared = map_shared(file);
	pid_t child = -1;
	if (shared != NULL) {
		shared->job = *job;
		fflush(NULL);
		child = fork();
	}
	if (child == 0) {
		become_child(job, file);
		_exit(EXIT_FAILURE);
	}
	if (child < 0)
		fprintf(stderr, "snug-replay: no process for the run: %s\n", strerror(errno));
	else {
		note_death(watch(child, shared, quiet), &shared->outcome);
		*out = shared->outcome;
	}
	if (shared != NULL) munmap(shared, sizeof *shared);
	if (file >= 0) close(file);
	return child > 0;
}
