/* io_echo.c: bench-io-echo: what an exchange costs the socket layer of snugd alone, over epoll and
 * over io_uring, in one run.
 *
 *     bench-io-echo [--connections N] [usual options]
 *
 * A server that does nothing with what it gets answers exchanges of fixed sizes; its clients,
 * another process, keep one under way on each connection. Both ways run in turns; the figure is the
 * processor time of the server's thread, user and kernel, for one exchange, the ratio the median of
 * the turns' ratios. */
#include "bench.h"

#include "server/io/io.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS_MAX 101u
#define CONNECTIONS_MAX 1024u
#define EXCHANGE_BYTES_MAX (1u << 20)
#define IDLE_WAIT_NS UINT64_C(100000000)

struct shape {
	const char *name;
	bool is_unix;
	size_t request_bytes;
	size_t answer_bytes;
};

/* As snugd has them with keys of 30 and values of 230 bytes. */
static const struct shape shapes[] = {
	{"tcp, get", false, 36, 276},
	{"unix, get", true, 36, 276},
	{"tcp, 16 gets", false, 576, 4416},
	{"tcp, get of 100 kB", false, 36, 100000},
	{"tcp, set of 100 kB", false, 100000, 8},
};
#define SHAPES (sizeof shapes / sizeof shapes[0])

static char bytes[EXCHANGE_BYTES_MAX]; /* what is sent, and what is received and not looked at */

/* ------------------------------------------------------------------ sockets ------------------- */

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_un local;
};

static int open_listener(bool is_unix) {
	union address address = {
		.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
	socklen_t length = sizeof address.v4;
	if (is_unix) {
		address.local.sun_family = AF_UNIX;
		length = sizeof(sa_family_t); /* the kernel chooses an abstract name */
	}
	int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, &address.any, length) != 0 || listen(fd, CONNECTIONS_MAX) != 0)
		bench_fail("cannot listen");
	return fd;
}

static void set_nodelay(int fd) {
	int on = 1;
	/* unix sockets refuse, and need none */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* ------------------------------------------------------------------ clients ------------------- */

struct client {
	int fd;
	size_t request_left;
	size_t answer_left;
};

static void go_on(struct client *client, const struct shape *shape) {
	for (;;) {
		while (client->request_left > 0) {
			ssize_t sent = send(client->fd, bytes, client->request_left, MSG_NOSIGNAL);
			if (sent <= 0) return;
			client->request_left -= (size_t)sent;
		}
		ssize_t got = recv(client->fd, bytes, client->answer_left, 0);
		if (got == 0) _exit(0); /* the server has enough */
		if (got < 0) return;
		client->answer_left -= (size_t)got;
		if (client->answer_left > 0) continue;
		client->request_left = shape->request_bytes;
		client->answer_left = shape->answer_bytes;
	}
}

static _Noreturn void run_clients(int listener, const struct shape *shape, unsigned connections) {
	static struct client clients[CONNECTIONS_MAX];
	struct epoll_event events[64];
	union address address;
	socklen_t length = sizeof address;
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	(void)getsockname(listener, &address.any, &length);
	for (unsigned i = 0; i < connections; i++) {
		struct client *client = &clients[i];
		*client = (struct client){socket(address.any.sa_family, SOCK_STREAM, 0),
								  shape->request_bytes, shape->answer_bytes};
		struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = client};
		if (connect(client->fd, &address.any, length) != 0) _exit(1);
		set_nodelay(client->fd);
		(void)fcntl(client->fd, F_SETFL, O_NONBLOCK);
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, client->fd, &event) != 0) _exit(1);
	}
	for (;;) {
		int count = epoll_wait(epoll, events, 64, -1);
		for (int i = 0; i < count; i++) go_on(events[i].data.ptr, shape);
	}
}

/* ------------------------------------------------------------------ server -------------------- */

struct link {
	struct io_stream stream; /* must be the first */
	struct server *server;
	struct link *next_dirty;
	struct iovec piece;
	size_t got_bytes;
	bool is_dirty;
	bool is_sending;
};

struct server {
	struct io *io;
	const struct shape *shape;
	struct link *dirty;
	uint64_t exchanges;
	unsigned accepted;
	unsigned closed;
	struct link links[CONNECTIONS_MAX];
};

static void on_accepted(void *context, uint32_t tag, int fd) {
	struct server *server = context;
	struct link *link = &server->links[server->accepted++];
	(void)tag;
	set_nodelay(fd);
	*link = (struct link){.server = server, .piece = {bytes, server->shape->answer_bytes}};
	if (!io_open(server->io, &link->stream, fd)) bench_fail("cannot open");
}

static void on_received(void *context, struct io_stream *stream, const char *received,
						size_t length) {
	struct server *server = context;
	struct link *link = (struct link *)(void *)stream;
	(void)received;
	link->got_bytes += length;
	if (link->got_bytes < server->shape->request_bytes || link->is_dirty) return;
	link->got_bytes -= server->shape->request_bytes;
	link->is_dirty = true;
	link->next_dirty = server->dirty;
	server->dirty = link;
}

static void on_sent(void *context, struct io_stream *stream) {
	(void)context;
	((struct link *)(void *)stream)->is_sending = false;
}

/* What is echoed is small: a part is told of once the kernel has no room. */
static void on_sent_part(void *context, struct io_stream *stream) {
	(void)context;
	(void)stream;
}

static void on_broken(void *context, struct io_stream *stream) {
	(void)context;
	(void)stream;
	bench_fail("a connection broke");
}

static void on_closed(void *context, struct io_stream *stream) {
	(void)stream;
	((struct server *)context)->closed++;
}

/* Nothing is offered room, so nothing is placed. */
static const struct io_events callbacks = {
	on_accepted, on_received, on_sent, on_sent_part, on_broken, on_closed, NULL, NULL, NULL,
};

/* As a worker of snugd: poll, one send for each connection, sleep when there was nothing. */
static void turn(struct server *server) {
	bool worked = io_poll(server->io);
	worked |= server->dirty != NULL;
	while (server->dirty != NULL) {
		struct link *link = server->dirty;
		server->dirty = link->next_dirty;
		link->is_dirty = false;
		link->is_sending = !io_send(server->io, &link->stream, &link->piece, 1);
		server->exchanges++;
	}
	if (!worked) io_wait(server->io, IDLE_WAIT_NS);
}

static void turns_for(struct server *server, uint64_t duration_ns) {
	for (uint64_t end_ns = bench_now_ns() + duration_ns; bench_now_ns() < end_ns;)
		for (unsigned i = 0; i < 16; i++) turn(server);
}

/* Nanoseconds of processor time for an exchange. */
static double run(enum io_kind kind, const struct shape *shape, unsigned connections,
				  uint64_t duration_ns) {
	static struct server server;
	memset(&server, 0, sizeof server);
	server.shape = shape;
	bench_expect_ok(io_create(kind, 0, &callbacks, &server, &server.io), "io_create");
	int listener = open_listener(shape->is_unix);
	if (!io_listen(server.io, listener, 0)) bench_fail("cannot accept");
	pid_t child = fork();
	if (child == 0) run_clients(listener, shape, connections);
	while (server.accepted < connections) turn(&server);
	turns_for(&server, duration_ns / 4);
	uint64_t before = server.exchanges, before_ns = bench_cpu_ns();
	turns_for(&server, duration_ns);
	double cost_ns = (double)(bench_cpu_ns() - before_ns) / (double)(server.exchanges - before);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	for (unsigned i = 0; i < server.accepted; i++) io_close(server.io, &server.links[i].stream);
	while (server.closed < server.accepted) (void)io_poll(server.io);
	io_destroy(server.io);
	close(listener);
	return cost_ns;
}

/* ------------------------------------------------------------------ main ---------------------- */

static unsigned take_connections(int *argc, char **argv) {
	unsigned connections = 50;
	int kept = 1;
	for (int i = 1; i < *argc; i++) {
		if (strcmp(argv[i], "--connections") == 0 && i + 1 < *argc)
			connections = (unsigned)strtoul(argv[++i], NULL, 10);
		else
			argv[kept++] = argv[i];
	}
	*argc = kept;
	if (connections == 0 || connections > CONNECTIONS_MAX)
		bench_fail("--connections wants 1 to %u", CONNECTIONS_MAX);
	return connections;
}

static bool has_uring(void) {
	struct io *io;
	if (io_create(IO_URING, 0, &callbacks, NULL, &io) != SNUG_OK) return false;
	io_destroy(io);
	return true;
}

int main(int argc, char **argv) {
	unsigned connections = take_connections(&argc, argv);
	bench_options options = bench_options_parse(argc, argv, 7);
	unsigned rounds = options.rounds > ROUNDS_MAX ? ROUNDS_MAX : options.rounds;
	uint64_t duration_ns = options.quick ? 50000000 : 300000000;
	if (!has_uring()) bench_fail("io_uring is not to be had here: nothing to compare");
	if (!options.json)
		printf("%u connections, us of server's processor time for an exchange\n%-20s %8s %8s %8s\n",
			   connections, "", "epoll", "io_uring", "ratio");
	for (size_t i = 0; i < SHAPES; i++) {
		double epoll_ns[ROUNDS_MAX], uring_ns[ROUNDS_MAX], ratios[ROUNDS_MAX];
		for (unsigned round = 0; round < rounds; round++) {
			epoll_ns[round] = run(IO_EPOLL, &shapes[i], connections, duration_ns);
			uring_ns[round] = run(IO_URING, &shapes[i], connections, duration_ns);
			ratios[round] = uring_ns[round] / epoll_ns[round];
		}
		double epoll_us = bench_median(epoll_ns, rounds) / 1000,
			   uring_us = bench_median(uring_ns, rounds) / 1000;
		double ratio = bench_median(ratios, rounds);
		if (options.json)
			printf("{\"bench\":\"io-echo\",\"shape\":\"%s\",\"epoll_us\":%.3f,\"uring_us\":%.3f,"
				   "\"ratio\":%.3f}\n",
				   shapes[i].name, epoll_us, uring_us, ratio);
		else
			printf("%-20s %8.2f %8.2f %8.3f\n", shapes[i].name, epoll_us, uring_us, ratio);
		fflush(stdout);
	}
	return 0;
}
