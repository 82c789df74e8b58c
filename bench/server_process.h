/* server_process.h: a memcached-protocol server as a child process, on a TCP port of loopback that
 * the kernel chose. */
#ifndef SNUG_BENCH_SERVER_PROCESS_H
#define SNUG_BENCH_SERVER_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

#define SERVER_WORDS_MAX 32

struct server_process {
	pid_t pid;
	uint16_t port;
};

/* Runs `words` (NULL at the end), with "-p PORT" behind them, and waits until it accepts
 * connections. Fails the benchmark if it does not within ten seconds. */
struct server_process server_start(const char *const *words);
void server_stop(struct server_process *server);

/* A connection to it, non-blocking. */
int server_connect(const struct server_process *server);

/* Processor time of all its threads so far, user and kernel. */
uint64_t server_cpu_ns(const struct server_process *server);
uint64_t server_rss_bytes(const struct server_process *server);

#endif
