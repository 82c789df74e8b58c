/* test_process_files.c: src/server/process/pid_file.c and log_stderr.c: who holds a pid file, and what the lines of the log look like. */
#include "cmocka_all.h"

#include "server/process/log_stderr.h"
#include "server/process/pid_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void read_all(const char *path, char *out, size_t room) {
	FILE *file = fopen(path, "re");
	assert_non_null(file);
	out[fread(out, 1, room - 1, file)] = '\0';
	assert_int_equal(fclose(file), 0);
}

static void a_pid_file_is_held_by_one(void **state) {
	(void)state;
	char directory[] = "/tmp/snugd-pid-XXXXXX";
	char path[64];
	char content[32];
	char expected[128];
	assert_non_null(mkdtemp(directory));
	(void)snprintf(path, sizeof path, "%s/pid", directory);
	struct text why = {0};
	struct pid_file file;
	assert_true(pid_file_open(&file, path, &why));
	read_all(path, content, sizeof content);
	assert_int_equal(atol(content), getpid());
	struct pid_file other;
	assert_false(pid_file_open(&other, path, &why));
	int length = snprintf(expected, sizeof expected, "--pidfile: %s: in use by process %ld", path, (long)getpid());
	assert_int_equal(why.length, length);
	assert_memory_equal(why.bytes, expected, why.length);
	pid_file_close(&other);
	assert_int_equal(access(path, F_OK), 0);
	pid_file_close(&file);
	assert_int_equal(access(path, F_OK), -1);
	text_deinit(&why);
	assert_int_equal(rmdir(directory), 0);
}

/* The number of a process that lives, but not one that holds it: what a crash left, and somebody else has the number now. */
static void what_a_crash_left_is_taken_over(void **state) {
	(void)state;
	char path[] = "/tmp/snugd-pid-XXXXXX";
	char content[32];
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "1\nmore than a number\n", 21), 21);
	assert_int_equal(close(fd), 0);
	struct text why = {0};
	struct pid_file file;
	assert_true(pid_file_open(&file, path, &why));
	read_all(path, content, sizeof content);
	(void)snprintf(content + 16, 16, "%ld\n", (long)getpid());
	assert_string_equal(content, content + 16);
	pid_file_close(&file);
	assert_false(pid_file_open(&file, "/nowhere/pid", &why));
	assert_non_null(strstr(why.bytes, "--pidfile: /nowhere/pid: No such file"));
	pid_file_close(&file);
	assert_true(pid_file_open(&file, "", &why));
	pid_file_close(&file);
	text_deinit(&why);
}

/* What a line looks like on standard error; empty if it is kept back. */
static void written(const snug_log *log, snug_log_level level, const char *line, char *out, size_t room) {
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	(void)fflush(stderr);
	int kept = dup(STDERR_FILENO);
	assert_true(kept >= 0 && dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
	log->write(log->context, level, line);
	assert_int_equal(dup2(kept, STDERR_FILENO), STDERR_FILENO);
	(void)close(kept);
	(void)close(ends[1]);
	ssize_t length = read(ends[0], out, room - 1);
	(void)close(ends[0]);
	assert_true(length >= 0);
	out[length] = '\0';
}

static void plain_lines_name_what_is_wrong(void **state) {
	(void)state;
	snug_log log = log_stderr_create(1, false);
	char line[256];
	written(&log, SNUG_LOG_WARNING, "a \"b\"", line, sizeof line);
	assert_string_equal(line, "snugd: warning: a \"b\"\n");
	written(&log, SNUG_LOG_ERROR, "a", line, sizeof line);
	assert_string_equal(line, "snugd: error: a\n");
	written(&log, SNUG_LOG_INFO, "a", line, sizeof line);
	assert_string_equal(line, "snugd: a\n");
}

static void json_lines_are_json(void **state) {
	(void)state;
	snug_log log = log_stderr_create(1, true);
	char line[256];
	unsigned year;
	int end = 0;
	written(&log, SNUG_LOG_INFO, "a \"b\" \\ \n\x01 \xc3\xa4", line, sizeof line);
	assert_int_equal(sscanf(line, "{\"time\":\"%4u-%*2u-%*2uT%*2u:%*2u:%*2u.%*3uZ%n", &year, &end), 1);
	assert_in_range(year, 2020, 3000);
	assert_string_equal(line + end,
						"\",\"level\":\"info\",\"message\":\"a \\\"b\\\" \\\\ \\u000a\\u0001 \xc3\xa4\"}\n");
}

static void the_verbosity_may_change(void **state) {
	(void)state;
	static const snug_log_level most[] = {SNUG_LOG_WARNING, SNUG_LOG_INFO, SNUG_LOG_DEBUG, SNUG_LOG_DEBUG};
	snug_log log = log_stderr_create(0, false);
	char line[256];
	for (int verbosity = 3; verbosity >= 0; verbosity--) {
		log_stderr_set_verbosity((uint32_t)verbosity);
		assert_int_equal(log_stderr_verbosity(), verbosity);
		for (int level = SNUG_LOG_ERROR; level <= SNUG_LOG_DEBUG; level++) {
			written(&log, (snug_log_level)level, "said", line, sizeof line);
			assert_int_equal(line[0] != '\0', level <= (int)most[verbosity]);
		}
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pid_file_is_held_by_one),      cmocka_unit_test(what_a_crash_left_is_taken_over),
		cmocka_unit_test(plain_lines_name_what_is_wrong), cmocka_unit_test(json_lines_are_json),
		cmocka_unit_test(the_verbosity_may_change),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
