/* server_process.c: see server_process.h. */
#include "server_process.h"

#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SERVERS_MAX 64u

/* That run: what fails ends them, too. The signal that a parent's death sends is lost where a
 * server changes its user. */
static pid_t running[SERVERS_MAX];

static void kill_running(void) {
	for (unsigned i = 0; i < SERVERS_MAX; i++)
		if (running[i] != 0) (void)kill(running[i], SIGKILL);
}

static void note_running(pid_t pid) {
	static bool is_registered;
	unsigned i = 0;
	if (!is_registered && atexit(kill_running) != 0) bench_fail("atexit");
	is_registered = true;
	while (i < SERVERS_MAX && running[i] != 0) i++;
	if (i == SERVERS_MAX) bench_fail("at most %u servers", SERVERS_MAX);
	running[i] = pid;
}

static void note_ended(pid_t pid) {
	for (unsigned i = 0; i < SERVERS_MAX; i++)
		if (running[i] == pid) running[i] = 0;
}

static struct sockaddr_in loopback(uint16_t port) {
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return address;
}

/* One that was free a moment ago: memcached can't say which port the kernel gave it. */
static uint16_t free_port(void) {
	struct sockaddr_in address = loopback(0);
	socklen_t length = sizeof address;
	int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (descriptor < 0 || bind(descriptor, (struct sockaddr *)&address, sizeof address) != 0 ||
		getsockname(descriptor, (struct sockaddr *)&address, &length) != 0)
		bench_fail("no port: %s", strerror(errno));
	close(descriptor);
	return ntohs(address.sin_port);
}

static int try_connect(uint16_t port) {
	struct sockaddr_in address = loopback(port);
	int one = 1;
	int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (descriptor < 0) bench_fail("no socket: %s", strerror(errno));
	if (connect(descriptor, (struct sockaddr *)&address, sizeof address) != 0) {
		close(descriptor);
		return -1;
	}
	(void)setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	(void)fcntl(descriptor, F_SETFL, O_NONBLOCK);
	return descriptor;
}

static _Noreturn void become(const char *const *words, uint16_t port) {
	const char *arguments[SERVER_WORDS_MAX + 3];
	char text[8];
	size_t count = 0;
	while (count < SERVER_WORDS_MAX && words[count] != NULL) {
		arguments[count] = words[count];
		count++;
	}
	(void)snprintf(text, sizeof text, "%u", port);
	arguments[count] = "-p";
	arguments[count + 1] = text;
	arguments[count + 2] = NULL;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* no server outlives a benchmark that is killed */
	int nowhere = open("/dev/null", O_RDWR);
	(void)dup2(nowhere, STDIN_FILENO);
	(void)dup2(nowhere, STDOUT_FILENO);
	execvp(arguments[0], (char *const *)arguments);
	fprintf(stderr, "bench: %s: %s\n", arguments[0], strerror(errno));
	_exit(127);
}

struct server_process server_start(const char *const *words) {
	struct server_process server = {.port = free_port()};
	struct timespec pause = {.tv_nsec = 10000000};
	server.pid = fork();
	if (server.pid < 0) bench_fail("fork: %s", strerror(errno));
	if (server.pid == 0) become(words, server.port);
	note_running(server.pid);
	for (unsigned tries = 0; tries < 1000; tries++) {
		int status;
		int descriptor = try_connect(server.port);
		if (descriptor >= 0) {
			close(descriptor);
			return server;
		}
		if (waitpid(server.pid, &status, WNOHANG) == server.pid) {
			note_ended(server.pid);
			bench_fail("%s ended at once", words[0]);
		}
		(void)nanosleep(&pause, NULL);
	}
	bench_fail("%s accepts no connection", words[0]);
}

void server_stop(struct server_process *server) {
	(void)kill(server->pid, SIGTERM);
	(void)waitpid(server->pid, NULL, 0);
	note_ended(server->pid);
	server->pid = 0;
}

int server_connect(const struct server_process *server) {
	int descriptor = try_connect(server->port);
	if (descriptor < 0) bench_fail("connect: %s", strerror(errno));
	return descriptor;
}

uint64_t server_cpu_ns(const struct server_process *server) {
	clockid_t clock;
	struct timespec used;
	if (clock_getcpuclockid(server->pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
		bench_fail("the server's processor time can't be read");
	return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

uint64_t server_rss_bytes(const struct server_process *server) {
	char path[32], line[128];
	unsigned long long kib = 0;
	(void)snprintf(path, sizeof path, "/proc/%d/status", (int)server->pid);
	FILE *file = fopen(path, "re");
	if (file == NULL) bench_fail("%s: %s", path, strerror(errno));
	while (fgets(line, sizeof line, file) != NULL)
		if (sscanf(line, "VmRSS: %llu", &kib) == 1) break;
	(void)fclose(file);
	return kib * 1024;
}
