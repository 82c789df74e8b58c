/* test_process_files.c: src/server/process/pid_file.c and log_stderr.c: who holds a pid file, what
 * the lines of the log look like, and that nobody waits for who reads them. */
#include "unit/cmocka_all.h"

#include "os/threads.h"
#include "server/process/log_queue.h"
#include "server/process/log_stderr.h"
#include "server/process/pid_file.h"
#include "server/process/port_file.h"

#include <fcntl.h>
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
	int length = snprintf(expected, sizeof expected, "--pidfile: %s: in use by process %ld", path,
						  (long)getpid());
	assert_int_equal(why.length, length);
	assert_memory_equal(why.bytes, expected, why.length);
	pid_file_close(&other);
	assert_int_equal(access(path, F_OK), 0);
	pid_file_close(&file);
	assert_int_equal(access(path, F_OK), -1);
	text_deinit(&why);
	assert_int_equal(rmdir(directory), 0);
}

/* The number of a process that lives, but not one that holds it: what a crash left, and somebody
 * else has the number now. */
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

/* Of a socket that is there, and of one that is not TCP's. */
static void the_port_file_has_a_line_for_each_tcp_listener(void **state) {
	(void)state;
	struct settings settings = {.threads = 2,
								.accept_threads = 2,
								.backlog = 16,
								.has_port = true,
								.port = SETTINGS_PORT_ANY};
	(void)snprintf(settings.listen.entry[settings.listen.count++], sizeof settings.listen.entry[0],
				   "127.0.0.1");
	(void)snprintf(settings.listen.entry[settings.listen.count++], sizeof settings.listen.entry[0],
				   "127.0.0.2");
	(void)snprintf(settings.http, sizeof settings.http, "127.0.0.1:0");
	char directory[] = "/tmp/snugd-ports-XXXXXX";
	char path[64];
	char content[128];
	char expected[128];
	assert_non_null(mkdtemp(directory));
	(void)snprintf(path, sizeof path, "%s/ports", directory);
	struct listeners listeners;
	struct text why = {0};
	assert_true(listeners_open(&settings, &listeners, &why));
	assert_true(port_file_write(path, &listeners, &why));
	assert_true(port_file_write(path, &listeners, &why)); /* again: replaced */
	read_all(path, content, sizeof content);
	(void)snprintf(expected, sizeof expected, "TCP INET: %u\nTCP INET: %u\n",
				   listeners.listener[0].port, listeners.listener[1].port);
	assert_string_equal(content, expected);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(why.length, 0);
	assert_false(port_file_write("/nowhere/ports", &listeners, &why));
	assert_non_null(strstr(why.bytes, "MEMCACHED_PORT_FILENAME: /nowhere/ports: No such file"));
	char too_long[4100];
	memset(too_long, 'x', sizeof too_long - 1);
	too_long[sizeof too_long - 1] = '\0';
	assert_false(port_file_write(too_long, &listeners, &why));
	text_deinit(&why);
	listeners_close(&listeners, NULL);
	assert_int_equal(rmdir(directory), 0); /* nothing was left beside it */
}

/* What a line looks like on standard error; empty if it is kept back. */
static void written(const snug_log *log, snug_log_level level, const char *line, char *out,
					size_t room) {
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
	assert_int_equal(sscanf(line, "{\"time\":\"%4u-%*2u-%*2uT%*2u:%*2u:%*2u.%*3uZ%n", &year, &end),
					 1);
	assert_in_range(year, 2020, 3000);
	assert_string_equal(
		line + end,
		"\",\"level\":\"info\",\"message\":\"a \\\"b\\\" \\\\ \\u000a\\u0001 \xc3\xa4\"}\n");
}

static void the_verbosity_may_change(void **state) {
	(void)state;
	static const snug_log_level most[] = {SNUG_LOG_WARNING, SNUG_LOG_INFO, SNUG_LOG_DEBUG,
										  SNUG_LOG_DEBUG};
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

/* ------------------------------------------------------------------ the queue -------------- */

static void numbered(char *out, size_t room, unsigned number) {
	(void)snprintf(out, room, "line %u", number);
}

/* In order, until it is full; then counted, and each line knows what was dropped before it. */
static void a_full_queue_drops_and_counts(void **state) {
	(void)state;
	static struct log_queue queue;
	struct log_entry entry;
	char line[32];
	log_queue_init(&queue);
	for (unsigned round = 0; round < 3; round++) {
		assert_false(log_queue_has(&queue));
		assert_false(log_queue_take(&queue, &entry));
		for (unsigned i = 0; i < LOG_QUEUE_LINES; i++) {
			numbered(line, sizeof line, i);
			assert_true(log_queue_put(&queue, SNUG_LOG_INFO, line));
		}
		for (unsigned i = 0; i < 7; i++)
			assert_false(log_queue_put(&queue, SNUG_LOG_ERROR, "too many"));
		assert_int_equal(log_queue_dropped(&queue), 7 * (round + 1));
		for (unsigned i = 0; i < LOG_QUEUE_LINES; i++) {
			numbered(line, sizeof line, i);
			assert_true(log_queue_take(&queue, &entry));
			assert_string_equal(entry.line, line);
			assert_int_equal(entry.level, SNUG_LOG_INFO);
			assert_int_equal(entry.dropped_before, 7 * round);
		}
	}
}

static void a_long_line_is_cut(void **state) {
	(void)state;
	static struct log_queue queue;
	struct log_entry entry;
	char line[LOG_QUEUE_LINE_BYTES + 20];
	log_queue_init(&queue);
	memset(line, 'x', sizeof line);
	line[sizeof line - 1] = '\0';
	assert_true(log_queue_put(&queue, SNUG_LOG_INFO, line));
	assert_true(log_queue_take(&queue, &entry));
	assert_int_equal(strlen(entry.line), LOG_QUEUE_LINE_BYTES - 1);
}

#define PUTTERS 3u
#define PUTS 20000u

static struct log_queue shared_queue;

static void put_many(void *context) {
	char line[32];
	for (unsigned i = 0; i < PUTS; i++) {
		(void)snprintf(line, sizeof line, "%u %u", *(const unsigned *)context, i);
		(void)log_queue_put(&shared_queue, SNUG_LOG_INFO, line);
	}
}

/* Each writer's lines come in its order, and what did not come was counted. */
static void many_writers_one_reader(void **state) {
	(void)state;
	struct os_thread threads[PUTTERS];
	unsigned names[PUTTERS], next[PUTTERS] = {0}, who, number;
	uint64_t came = 0;
	struct log_entry entry;
	log_queue_init(&shared_queue);
	for (unsigned i = 0; i < PUTTERS; i++) {
		names[i] = i;
		assert_true(os_thread_start(&threads[i], put_many, &names[i]));
	}
	while (came + log_queue_dropped(&shared_queue) < PUTTERS * PUTS) {
		if (!log_queue_take(&shared_queue, &entry)) continue;
		assert_int_equal(sscanf(entry.line, "%u %u", &who, &number), 2);
		assert_true(who < PUTTERS && number >= next[who]);
		next[who] = number + 1;
		came++;
	}
	for (unsigned i = 0; i < PUTTERS; i++) os_thread_join(&threads[i]);
	assert_false(log_queue_take(&shared_queue, &entry));
}

/* ------------------------------------------------------------------ the writer ------------- */

static size_t read_until_end(int fd, char *out, size_t room) {
	size_t length = 0;
	for (ssize_t got = 1; got > 0 && length < room - 1; length += (size_t)(got > 0 ? got : 0))
		got = read(fd, out + length, room - 1 - length);
	out[length] = '\0';
	return length;
}

/* The gaps that are told before `end`, together. */
static uint64_t told_as_dropped(const char *out, const char *end) {
	static const char behind[] = " lines of this log were dropped: it was not read fast enough\n";
	uint64_t sum = 0;
	for (const char *at = out; (at = strstr(at, behind)) != NULL && at < end; at++) {
		const char *begin = at;
		while (begin > out && begin[-1] >= '0' && begin[-1] <= '9') begin--;
		sum += strtoull(begin, NULL, 10);
	}
	return sum;
}

/* A pipe that nobody reads fills up; whoever logs goes on; then it is read, and what is missing is
 * told in its place. */
static void nobody_waits_for_the_reader(void **state) {
	(void)state;
	static char out[1u << 20];
	const unsigned lines = 4000;
	int ends[2];
	char line[200];
	assert_int_equal(pipe(ends), 0);
	assert_true(fcntl(ends[1], F_SETPIPE_SZ, 4096) > 0); /* less than the queue holds */
	(void)fflush(stderr);
	int kept = dup(STDERR_FILENO);
	assert_true(kept >= 0 && dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
	snug_log log = log_stderr_create(1, false);
	assert_true(log_stderr_start(false));
	for (unsigned i = 0; i < lines; i++) {
		(void)snprintf(line, sizeof line, "%0180u", i);
		log.write(log.context, SNUG_LOG_INFO, line);
	}
	uint64_t dropped = log_stderr_dropped();
	bool is_stuck = !log_stderr_flush(1000000) && !log_stderr_stop(1000000);
	int fd = ends[0];
	size_t length = 0;
	/* Until all is written, and the pipe has room for more. */
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	for (bool is_out = false;;) {
		ssize_t got = read(fd, out + length, sizeof out - 1 - length);
		if (got > 0) length += (size_t)got;
		if (got <= 0 && is_out) break;
		is_out = log_stderr_flush(1000000);
	}
	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
	log.write(log.context, SNUG_LOG_WARNING, "after the gap");
	bool is_stopped = log_stderr_stop(20000000000u);
	assert_int_equal(dup2(kept, STDERR_FILENO), STDERR_FILENO);
	(void)close(kept);
	(void)close(ends[1]);
	length += read_until_end(fd, out + length, sizeof out - length);
	(void)close(fd);
	assert_true(is_stuck);
	assert_true(is_stopped);
	assert_true(dropped > 0 && dropped < lines);
	const char *after = strstr(out, "snugd: warning: after the gap\n");
	assert_non_null(after);
	assert_int_equal(told_as_dropped(out, after), dropped);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pid_file_is_held_by_one),
		cmocka_unit_test(what_a_crash_left_is_taken_over),
		cmocka_unit_test(the_port_file_has_a_line_for_each_tcp_listener),
		cmocka_unit_test(plain_lines_name_what_is_wrong),
		cmocka_unit_test(json_lines_are_json),
		cmocka_unit_test(the_verbosity_may_change),
		cmocka_unit_test(a_full_queue_drops_and_counts),
		cmocka_unit_test(a_long_line_is_cut),
		cmocka_unit_test(many_writers_one_reader),
		cmocka_unit_test(nobody_waits_for_the_reader),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
