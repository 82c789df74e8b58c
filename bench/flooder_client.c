/* flooder_client.c: one connection that floods, and one that asks politely: bench/flooder.py
 * compiles and runs it.
 *
 *     flooder_client PORT COMMAND SECONDS        {"gets": .., "p50_us": .., "p99_us": ..,
 *                                                "longest_us": ..} of the polite one */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define COPIES 1000u
#define WAITS_MAX 4000000u
#define BEGIN_NS UINT64_C(300000000) /* before the polite one begins */
#define SECOND_NS UINT64_C(1000000000)

struct flood {
	int fd;
	char *bytes;
	size_t length;
};

static int connect_to(const char *port) {
	struct sockaddr_in address = {.sin_family = AF_INET,
								  .sin_port = htons((uint16_t)atoi(port)),
								  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
		perror("connect");
		exit(EXIT_FAILURE);
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

static uint64_t now_ns(void) {
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

static void *write_all(void *context) {
	const struct flood *flood = context;
	size_t at = 0;
	for (;;) {
		ssize_t written = write(flood->fd, flood->bytes + at, flood->length - at);
		if (written <= 0) return NULL;
		at = (at + (size_t)written) % flood->length;
	}
}

static void *read_all(void *context) {
	const struct flood *flood = context;
	static char bytes[1 << 20];
	while (read(flood->fd, bytes, sizeof bytes) > 0) continue;
	return NULL;
}

static void begin_flood(const char *port, const char *command) {
	static struct flood flood;
	pthread_t writer, reader;
	size_t length = strlen(command);
	flood = (struct flood){connect_to(port), malloc(length * COPIES), length * COPIES};
	if (flood.bytes == NULL) exit(EXIT_FAILURE);
	for (size_t copy = 0; copy < COPIES; copy++)
		memcpy(flood.bytes + copy * length, command, length);
	if (pthread_create(&writer, NULL, write_all, &flood) != 0 ||
		pthread_create(&reader, NULL, read_all, &flood) != 0)
		exit(EXIT_FAILURE);
}

static int compare(const void *left, const void *right) {
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
	return (a > b) - (a < b);
}

int main(int argument_count, char **arguments) {
	static uint64_t waits[WAITS_MAX];
	static const char ask[] = "get nokey\r\n";
	size_t count = 0;
	char answer[64];
	if (argument_count != 4) return EXIT_FAILURE;
	begin_flood(arguments[1], arguments[2]);
	int fd = connect_to(arguments[1]);
	(void)nanosleep(&(struct timespec){.tv_nsec = (long)BEGIN_NS}, NULL);
	uint64_t end_ns = now_ns() + (uint64_t)atoi(arguments[3]) * SECOND_NS;
	while (now_ns() < end_ns && count < WAITS_MAX) {
		uint64_t began_ns = now_ns();
		if (write(fd, ask, sizeof ask - 1) < 0 || read(fd, answer, sizeof answer) <= 0)
			return EXIT_FAILURE;
		waits[count++] = now_ns() - began_ns;
	}
	if (count == 0) return EXIT_FAILURE;
	qsort(waits, count, sizeof waits[0], compare);
	printf("{\"gets\": %zu, \"p50_us\": %.1f, \"p99_us\": %.1f, \"longest_us\": %.1f}\n", count,
		   (double)waits[count / 2] / 1e3, (double)waits[count * 99 / 100] / 1e3,
		   (double)waits[count - 1] / 1e3);
	(void)fflush(stdout);
	_exit(EXIT_SUCCESS);
}
