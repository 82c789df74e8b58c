/* server_churn.c: see server_churn.h. */
#include "server_churn.h"

#include "bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define OBJECTS 3000u /* of a round */
#define NAMES (10u * OBJECTS)
#define VALUE_MAX 700u
#define ANSWER_ROOM 65536u

static volatile sig_atomic_t is_over;

static void on_signal(int number) {
	(void)number;
	is_over = 1;
}

static int connect_blocking(const struct server_process *server) {
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(server->port)};
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
		_exit(EXIT_FAILURE);
	return fd;
}

static void send_all(int fd, const char *bytes, size_t length) {
	while (length > 0) {
		ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
		if (sent <= 0) _exit(EXIT_FAILURE);
		bytes += sent;
		length -= (size_t)sent;
	}
}

/* Until the answer ends with `end`; tells its length. */
static size_t receive_to(int fd, char *answer, const char *end) {
	size_t length = 0, end_length = strlen(end);
	while (length < end_length || memcmp(answer + length - end_length, end, end_length) != 0) {
		ssize_t got = recv(fd, answer + length, ANSWER_ROOM - 1 - length, 0);
		if (got <= 0) _exit(EXIT_FAILURE);
		length += (size_t)got;
	}
	answer[length] = '\0';
	return length;
}

static void store(int fd, uint32_t name, uint32_t size, char *answer) {
	char line[64 + VALUE_MAX];
	int length =
		snprintf(line, sizeof line, "set churn:%u 0 0 %u\r\n%0*u\r\n", name, size, (int)size, name);
	send_all(fd, line, (size_t)length);
	(void)receive_to(fd, answer, "\r\n");
}

static void erase(int fd, uint32_t name, char *answer) {
	char line[64];
	int length = snprintf(line, sizeof line, "delete churn:%u\r\n", name);
	send_all(fd, line, (size_t)length);
	(void)receive_to(fd, answer, "\r\n");
}

static void defragment(int fd, char *answer, struct server_churn_report *report) {
	send_all(fd, "snug defrag\r\n", 13);
	(void)receive_to(fd, answer, "END\r\n");
	const char *found = strstr(answer, "STAT reclaimed_bytes ");
	if (found != NULL) report->reclaimed_bytes += strtoull(found + 21, NULL, 10);
	report->rounds++;
}

static void churn(int fd, bool defragments, uint64_t seed, struct server_churn_report *report) {
	static char answer[ANSWER_ROOM];
	static const uint32_t sizes[] = {60, 120, 300, VALUE_MAX};
	for (uint32_t first = 0; !is_over; first = (first + OBJECTS) % NAMES) {
		for (uint32_t i = 0; i < OBJECTS && !is_over; i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			store(fd, first + i, sizes[seed >> 62], answer);
		}
		for (uint32_t i = 0; i < OBJECTS && !is_over; i += 2) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			if (seed >> 61 > 0) erase(fd, first + i, answer);
		}
		if (defragments && !is_over) defragment(fd, answer, report);
	}
}

struct server_churn server_churn_start(const struct server_process *server, bool defragments,
									   uint64_t seed) {
	int ends[2];
	if (pipe(ends) != 0) bench_fail("no pipe");
	struct server_churn started = {.pid = fork(), .report = ends[0]};
	if (started.pid < 0) bench_fail("no process");
	if (started.pid > 0) {
		close(ends[1]);
		return started;
	}
	struct server_churn_report report = {0, 0};
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* no client outlives the benchmark */
	signal(SIGTERM, on_signal);
	churn(connect_blocking(server), defragments, seed, &report);
	_exit(write(ends[1], &report, sizeof report) == (ssize_t)sizeof report ? EXIT_SUCCESS
																		   : EXIT_FAILURE);
}

struct server_churn_report server_churn_stop(struct server_churn *churn) {
	struct server_churn_report report = {0, 0};
	int status;
	kill(churn->pid, SIGTERM);
	if (read(churn->report, &report, sizeof report) != (ssize_t)sizeof report)
		bench_fail("a churning client has failed");
	close(churn->report);
	(void)waitpid(churn->pid, &status, 0);
	return report;
}
