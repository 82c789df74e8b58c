/* test_kept_memory.c: src/server/process/kept_memory.c: a SIGBUS is told as the memory file's if it is
 * the memory file's, and goes to whoever handled it before if it is not. Each in a child. */
#include "unit/cmocka_all.h"

#include "os/memory_segment.h"
#include "server/process/kept_memory.h"
#include "server/process/log_stderr.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE_BYTES ((size_t)4096)
#define HANDED_ON 42 /* the status of a child whose own handler was called */
#define GOES_ON 43   /* of one that nothing has ended */

enum handler { BY_DEFAULT, BY_ADDRESS, BY_NUMBER, IGNORED };
enum touch { OF_THE_FILE, OF_THE_HEADS, BY_THE_END, OF_ANOTHER, AFTER_THE_END, SENT };

struct scenario {
	enum handler before;
	enum touch touch;
	int signal; /* that ends the child; 0: it ends with `status` */
	int status;
	bool is_told;
};

/* ------------------------------------------------------------------ in the child -------------- */

static volatile char *expected_address;

static void handle_by_address(int number, siginfo_t *info, void *context) {
	(void)context;
	_exit(number == SIGBUS && info->si_addr == (void *)(uintptr_t)expected_address ? HANDED_ON : 1);
}

static void handle_by_number(int number) {
	_exit(number == SIGBUS ? HANDED_ON : 1);
}

static void begin_handler(enum handler handler) {
	struct sigaction action = {.sa_handler = SIG_DFL};
	if (handler == BY_ADDRESS) {
		action.sa_sigaction = handle_by_address;
		action.sa_flags = SA_SIGINFO;
	} else if (handler == BY_NUMBER) {
		action.sa_handler = handle_by_number;
	} else if (handler == IGNORED) {
		action.sa_handler = SIG_IGN;
	}
	if (sigaction(SIGBUS, &action, NULL) != 0) _exit(1);
}

/* A page of a file that is not there any more. */
static volatile char *page_of_another(void) {
	int descriptor = memfd_create("snug-test-another", 0);
	if (descriptor < 0 || ftruncate(descriptor, (off_t)PAGE_BYTES) != 0) _exit(1);
	char *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
	if (page == MAP_FAILED || ftruncate(descriptor, 0) != 0) _exit(1);
	return page;
}

static struct memory_segment *begin_segment(snug_memory_file *file) {
	struct memory_segment *segment;
	if (memory_segment_of(file, 0, &segment) != SNUG_OK ||
		memory_segment_begin(segment, ROOT_HEAP) != SNUG_OK)
		_exit(1);
	return segment;
}

static void touch(enum touch what, const struct memory_segment *segment,
				  const volatile char *part) {
	if (what == SENT)
		(void)raise(SIGBUS);
	else if (what == OF_THE_HEADS)
		(void)memory_segment_facts(segment, ROOT_HEAP);
	else
		(void)*(what == OF_THE_FILE ? part : expected_address);
}

static void live(const struct scenario *scenario, const char *path) {
	struct settings settings = {.threads = 1};
	struct text why = {0};
	snug_memory_file *file;
	(void)snprintf(settings.memory_file, sizeof settings.memory_file, "%s", path);
	snug_log log = log_stderr_create(0, false);
	begin_handler(scenario->before);
	if (!log_stderr_start(false) || !kept_memory_open(&settings, &log, &why, &file)) _exit(1);
	expected_address = page_of_another();
	if (scenario->touch == AFTER_THE_END) {
		kept_memory_close(file, &log);
		touch(OF_ANOTHER, NULL, NULL);
	} else if (scenario->touch == BY_THE_END) {
		memory_segment_end(begin_segment(file), ROOT_HEAP, SNUG_OK);
		if (truncate(path, 0) != 0) _exit(1);
		kept_memory_close(file, &log);
	} else {
		struct memory_segment *segment = begin_segment(file);
		const snug_os *os = memory_segment_os(segment);
		const volatile char *part = os->reserve(os->context, PAGE_BYTES, PAGE_BYTES);
		bool is_shorter = scenario->touch == OF_THE_FILE || scenario->touch == OF_THE_HEADS;
		if (part == NULL || (is_shorter && truncate(path, 0) != 0)) _exit(1);
		touch(scenario->touch, segment, part);
	}
	_exit(GOES_ON);
}

/* ------------------------------------------------------------------ from outside -------------- */

static int run(const struct scenario *scenario, char *said, size_t room) {
	char directory[] = "/dev/shm/snugd-kept-XXXXXX", path[64];
	int ends[2], status;
	size_t length = 0;
	assert_non_null(mkdtemp(directory));
	(void)snprintf(path, sizeof path, "%s/memory", directory);
	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		(void)dup2(ends[1], STDERR_FILENO);
		live(scenario, path);
	}
	close(ends[1]);
	for (ssize_t some = 1; some > 0; length += (size_t)some) {
		some = read(ends[0], said + length, room - 1 - length);
		assert_true(some >= 0);
	}
	said[length] = '\0';
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	(void)unlink(path);
	assert_int_equal(rmdir(directory), 0);
	return status;
}

static void each_goes_to_whom_it_belongs(void **state) {
	(void)state;
	static const struct scenario scenarios[] = {
		{BY_DEFAULT, OF_THE_FILE, SIGBUS, 0, true},
		{BY_DEFAULT, OF_THE_HEADS, SIGBUS, 0, true},
		{BY_DEFAULT, BY_THE_END, SIGBUS, 0, true},
		{BY_DEFAULT, OF_ANOTHER, SIGBUS, 0, false},
		{BY_DEFAULT, AFTER_THE_END, SIGBUS, 0, false},
		{BY_DEFAULT, SENT, SIGBUS, 0, false},
		{BY_ADDRESS, OF_THE_FILE, SIGBUS, 0, true},
		{BY_ADDRESS, OF_ANOTHER, 0, HANDED_ON, false},
		{BY_ADDRESS, AFTER_THE_END, 0, HANDED_ON, false},
		{BY_NUMBER, OF_ANOTHER, 0, HANDED_ON, false},
		{IGNORED, OF_ANOTHER, SIGBUS, 0, false},
		{IGNORED, SENT, 0, GOES_ON, false},
	};
	char said[4096];
	if (access("/dev/shm", W_OK) != 0) skip();
	for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
		const struct scenario *scenario = &scenarios[i];
		int status = run(scenario, said, sizeof said);
		bool is_so = scenario->signal != 0
						 ? WIFSIGNALED(status) && WTERMSIG(status) == scenario->signal
						 : WIFEXITED(status) && WEXITSTATUS(status) == scenario->status;
		bool is_told = strstr(said, "memory file: a part of it is gone") != NULL;
		if (!is_so || is_told != scenario->is_told)
			fail_msg("scenario %zu: status 0x%x: %s", i, (unsigned)status, said);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_goes_to_whom_it_belongs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
