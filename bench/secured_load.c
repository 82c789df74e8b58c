/* secured_load.c: what a request over TLS costs servers, which take turns: bench/secured.py
 * compiles and runs it.
 *
 *     secured_load LENGTH AT_ONCE KIND SLICES PORT PID [PORT PID]
 *
 * KIND: get, set, or connect (a handshake and a get for each). All clients ask, then all answers are
 * read, so a server has as much at once as clients. Prints, slice by slice, the processor time of
 * each server for a request, in nanoseconds: a line for a slice, a column for a server. */
#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS 10
#define SLICE_NS UINT64_C(100000000)
#define SERVERS_MAX 2
#define HEAD_BYTES 64u

struct server {
	uint16_t port;
	const char *process;
	SSL *clients[CLIENTS];
};

struct load {
	SSL_CTX *context;
	char *ask; /* what a client sends at once, and what he is answered */
	size_t ask_bytes;
	char *answer;
	size_t answer_bytes;
	char *heard; /* answer_bytes */
	unsigned requests;
	bool is_connecting;
};

static void die(const char *what) {
	(void)fprintf(stderr, "secured_load: %s\n", what);
	exit(EXIT_FAILURE);
}

static void *memory(size_t bytes) {
	void *taken = malloc(bytes);
	if (taken == NULL) die("no memory");
	return taken;
}

static uint64_t now_ns(void) {
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* Of all its threads: what they ran. */
static uint64_t cpu_ns(const char *process) {
	char path[512];
	uint64_t sum_ns = 0;
	(void)snprintf(path, sizeof path, "/proc/%s/task", process);
	DIR *tasks = opendir(path);
	if (tasks == NULL) die("a server has ended");
	for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
		unsigned long long ran_ns = 0;
		(void)snprintf(path, sizeof path, "/proc/%s/task/%s/schedstat", process, task->d_name);
		FILE *file = task->d_name[0] == '.' ? NULL : fopen(path, "r");
		if (file == NULL) continue;
		if (fscanf(file, "%llu", &ran_ns) == 1) sum_ns += ran_ns;
		(void)fclose(file);
	}
	(void)closedir(tasks);
	return sum_ns;
}

static SSL *connected(SSL_CTX *context, uint16_t port) {
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
		die("cannot connect");
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	SSL *ssl = SSL_new(context);
	if (ssl == NULL || SSL_set_fd(ssl, fd) != 1 || SSL_connect(ssl) != 1) die("no handshake");
	return ssl;
}

static void closed(SSL *ssl) {
	int fd = SSL_get_fd(ssl);
	(void)SSL_shutdown(ssl);
	SSL_free(ssl);
	(void)close(fd);
}

static void say(SSL *ssl, const char *bytes, size_t length) {
	if (SSL_write(ssl, bytes, (int)length) != (int)length) die("a server has closed");
}

static void hear(SSL *ssl, const char *answer, size_t length, char *heard) {
	for (size_t at = 0; at < length;) {
		int got = SSL_read(ssl, heard + at, (int)(length - at));
		if (got <= 0) die("a server has closed");
		at += (size_t)got;
	}
	if (memcmp(heard, answer, length) != 0) die("another answer than was asked for");
}

/* One request of each client. */
static unsigned turn(const struct load *load, struct server *server) {
	if (load->is_connecting) {
		SSL *ssl = connected(load->context, server->port);
		say(ssl, load->ask, load->ask_bytes);
		hear(ssl, load->answer, load->answer_bytes, load->heard);
		closed(ssl);
		return 1;
	}
	for (int at = 0; at < CLIENTS; at++) say(server->clients[at], load->ask, load->ask_bytes);
	for (int at = 0; at < CLIENTS; at++)
		hear(server->clients[at], load->answer, load->answer_bytes, load->heard);
	return CLIENTS * load->requests;
}

static void begin(const struct load *load, struct server *server, const char *value,
				  size_t length) {
	char *store = memory(length + 2 * HEAD_BYTES), stored[8];
	int bytes = snprintf(store, length + 2 * HEAD_BYTES, "set k 0 0 %zu\r\n%s\r\n", length, value);
	SSL *ssl = connected(load->context, server->port);
	say(ssl, store, (size_t)bytes);
	hear(ssl, "STORED\r\n", sizeof stored, stored);
	closed(ssl);
	free(store);
	for (int at = 0; at < CLIENTS && !load->is_connecting; at++)
		server->clients[at] = connected(load->context, server->port);
}

static char *repeated(const char *text, size_t bytes, unsigned times, size_t *length) {
	*length = bytes * times;
	char *all = memory(*length);
	for (unsigned at = 0; at < times; at++) memcpy(all + at * bytes, text, bytes);
	return all;
}

static void prepare(struct load *load, const char *kind, const char *value, size_t length) {
	size_t room = length + 2 * HEAD_BYTES;
	char *one = memory(room);
	bool is_set = strcmp(kind, "set") == 0;
	load->is_connecting = strcmp(kind, "connect") == 0;
	int bytes = is_set ? snprintf(one, room, "set k 0 0 %zu\r\n%s\r\n", length, value)
					   : snprintf(one, room, "get k\r\n");
	load->ask = repeated(one, (size_t)bytes, load->requests, &load->ask_bytes);
	bytes = is_set ? snprintf(one, room, "STORED\r\n")
				   : snprintf(one, room, "VALUE k 0 %zu\r\n%s\r\nEND\r\n", length, value);
	load->answer = repeated(one, (size_t)bytes, load->requests, &load->answer_bytes);
	load->heard = memory(load->answer_bytes);
	free(one);
}

int main(int argument_count, char **arguments) {
	struct server servers[SERVERS_MAX] = {0};
	int count = (argument_count - 5) / 2;
	if (count < 1 || count > SERVERS_MAX) die("LENGTH AT_ONCE KIND SLICES PORT PID [PORT PID]");
	size_t length = strtoul(arguments[1], NULL, 10);
	char *value = memory(length + 1);
	memset(value, 'v', length);
	value[length] = '\0';
	struct load load = {.context = SSL_CTX_new(TLS_client_method()),
						.requests = (unsigned)strtoul(arguments[2], NULL, 10)};
	if (load.context == NULL || SSL_CTX_set_min_proto_version(load.context, TLS1_3_VERSION) != 1)
		die("no TLS 1.3");
	prepare(&load, arguments[3], value, length);
	for (int at = 0; at < count; at++) {
		servers[at].port = (uint16_t)strtoul(arguments[5 + 2 * at], NULL, 10);
		servers[at].process = arguments[6 + 2 * at];
		begin(&load, &servers[at], value, length);
	}
	for (long slices = strtol(arguments[4], NULL, 10); slices > 0; slices--)
		for (int at = 0; at < count; at++) {
			uint64_t before_ns = cpu_ns(servers[at].process), until_ns = now_ns() + SLICE_NS;
			uint64_t requests = 0;
			while (now_ns() < until_ns) requests += turn(&load, &servers[at]);
			printf("%.0f%c", (double)(cpu_ns(servers[at].process) - before_ns) / (double)requests,
				   at + 1 < count ? ' ' : '\n');
		}
	return EXIT_SUCCESS;
}
