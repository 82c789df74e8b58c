/* simulate/apart.c: see simulate/apart.h. */
#include "simulate/apart.h"

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUN_SECONDS 120u
#define TEXT_ROOM ((size_t)1 << 20)

/* What both processes see. */
struct shared {
	bool is_over;
	struct scenario_figures figures;
	uint32_t said[CLIENTS_MAX][BATCHES_MAX];
};

static struct shared *shared_memory(void) {
	static struct shared *shared;
	if (shared == NULL)
		shared =
			mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED) abort();
	memset(shared, 0, sizeof *shared);
	return shared;
}

__attribute__((noreturn)) static void run_child(const struct script *script, bool is_told,
												struct shared *shared) {
	static struct script own;
	own = *script;
	own.said = &shared->said;
	(void)alarm(RUN_SECONDS);
	scenario_run(&own, is_told, &shared->figures);
	shared->is_over = true;
	_exit(0);
}

/* Its stderr comes to `text`; tells how it ended. */
static int run_process(const struct script *script, bool is_told, struct shared *shared,
					   char *text) {
	int ends[2], status = -1;
	size_t length = 0;
	text[0] = '\0';
	if (pipe(ends) != 0) return status;
	(void)fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		(void)dup2(ends[1], STDERR_FILENO);
		(void)close(ends[0]);
		(void)close(ends[1]);
		run_child(script, is_told, shared);
	}
	(void)close(ends[1]);
	ssize_t got;
	char rest[4096];
	while ((got = length + 1 < TEXT_ROOM ? read(ends[0], text + length, TEXT_ROOM - 1 - length)
										 : read(ends[0], rest, sizeof rest)) > 0)
		if (length + 1 < TEXT_ROOM) length += (size_t)got;
	text[length] = '\0';
	(void)close(ends[0]);
	if (child > 0) (void)waitpid(child, &status, 0);
	return status;
}

/* ------------------------------------------------------------------ why -------------------- */

static const char *telling_line(const char *text) {
	const char *line = strstr(text, "simulation: ");
	if (line == NULL) line = strstr(text, "SUMMARY: ");
	return line != NULL ? line : text;
}

static void note_why(struct outcome *out, const char *text, int status) {
	const char *line = telling_line(text);
	size_t length = strcspn(line, "\n");
	bool is_late = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
	if (is_late)
		snprintf(out->why, sizeof out->why, "no end after %u seconds", RUN_SECONDS);
	else if (length == 0)
		snprintf(out->why, sizeof out->why, "%s",
				 WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "it ended without a word");
	else
		snprintf(out->why, sizeof out->why, "%.*s", (int)length, line);
}

/* Words that hold a digit or a point are names, numbers and addresses; what was asked and answered
 * comes behind. */
static void note_kind(struct outcome *out) {
	char text[sizeof out->why], *rest = NULL;
	size_t length = 0;
	memcpy(text, out->why, sizeof text);
	for (const char *const *end = (const char *const[]){": asked", " to:", NULL}; *end != NULL;
		 end++)
		if (strstr(text, *end) != NULL) *strstr(text, *end) = '\0';
	for (char *word = strtok_r(text, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
		if (strpbrk(word, "0123456789.") != NULL) continue;
		int added = snprintf(out->kind + length, sizeof out->kind - length, "%s ", word);
		length += (size_t)added;
		if (length >= sizeof out->kind) return;
	}
}

/* ------------------------------------------------------------------ runs ------------------- */

void run_apart(const struct script *script, struct outcome *out) {
	static char text[TEXT_ROOM];
	struct shared *shared = shared_memory();
	int status = run_process(script, false, shared, text);
	*out = (struct outcome){.figures = shared->figures};
	memcpy(out->said, shared->said, sizeof out->said);
	out->is_fine = shared->is_over && WIFEXITED(status) && WEXITSTATUS(status) == 0;
	if (out->is_fine) return;
	note_why(out, text, status);
	note_kind(out);
}

void tell_apart(const struct script *script) {
	static char text[TEXT_ROOM];
	char *rest = NULL;
	(void)run_process(script, true, shared_memory(), text);
	for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
		if (strstr(line, " client ") != NULL || strstr(line, " workers, ") != NULL ||
			line == telling_line(line))
			printf("    %s\n", line);
}
