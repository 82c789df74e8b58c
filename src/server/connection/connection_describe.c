/* server/connection/connection_describe.c: what `stats conns` tells: each worker's listeners, then
 * its connections, in memcached's words.
 *
 *     STAT 14:addr tcp:127.0.0.1:48568            the peer's address; of a listener its own
 *     STAT 14:listen_addr tcp:127.0.0.1:11211     ours, not of a listener
 *     STAT 14:state conn_nread
 *     STAT 14:held_bytes 1024                     of connection memory; memcached does not tell it
 *     STAT 14:secs_since_last_cmd 1
 *
 * Addresses are asked of the kernel when they are told, so that a connection keeps none. A peer
 * chooses the path of its own unix socket: what of it could end a line, or is no plain text, is a
 * question mark. */
#include "os/threads.h"
#include "server/connection/connection.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

/* ------------------------------------------------------------------ addresses -------------- */

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un un;
};

static void print_path(struct text *out, const struct sockaddr_un *address, socklen_t length) {
	char path[sizeof address->sun_path + 1];
	size_t begin = offsetof(struct sockaddr_un, sun_path), bytes = 0;
	for (; begin + bytes < length && address->sun_path[bytes] != '\0'; bytes++) {
		char c = address->sun_path[bytes];
		path[bytes] = c > ' ' && c < 127 ? c : '?';
	}
	path[bytes] = '\0';
	/* Who has connected has none, as a rule: memcached's words for it. */
	text_print(out, "unix:%s", bytes > 0 ? path : "<AF 1>");
}

static void print_address(struct text *out, const union address *address, socklen_t length) {
	char host[INET6_ADDRSTRLEN] = "?";
	switch (address->any.sa_family) {
	case AF_INET:
		(void)inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof host);
		text_print(out, "tcp:%s:%u", host, (unsigned)ntohs(address->v4.sin_port));
		break;
	case AF_INET6:
		(void)inet_ntop(AF_INET6, &address->v6.sin6_addr, host, sizeof host);
		text_print(out, "tcp6:[%s]:%u", host, (unsigned)ntohs(address->v6.sin6_port));
		break;
	case AF_UNIX:
		print_path(out, &address->un, length);
		break;
	default:
		text_print(out, "<AF %u>", (unsigned)address->any.sa_family);
		break;
	}
}

/* `ask`: getpeername or getsockname. What has gone already has no address. */
static void say_address(struct text *out, int fd, const char *name,
						int (*ask)(int, struct sockaddr *, socklen_t *)) {
	union address address = {0};
	socklen_t length = sizeof address;
	text_print(out, "STAT %d:%s ", fd, name);
	if (ask(fd, &address.any, &length) == 0)
		print_address(out, &address, length < sizeof address ? length : sizeof address);
	else
		text_print(out, "<closed>");
	text_append(out, "\r\n", 2);
}

static int own_address(int fd, struct sockaddr *address, socklen_t *length) {
	return getsockname(fd, address, length);
}

static int peer_address(int fd, struct sockaddr *address, socklen_t *length) {
	return getpeername(fd, address, length);
}

/* ------------------------------------------------------------------ states ----------------- */

/* A whole line that was not carried out, and nothing to be sent before it: its value is to come. */
static bool awaits_value(const struct connection *connection) {
	size_t bytes =
		connection->input_bytes < LINE_BYTES_MAX ? connection->input_bytes : LINE_BYTES_MAX;
	return bytes > 0 && memchr(connection->input + connection->input_at, '\n', bytes) != NULL;
}

static const char *state_text(const struct connection *connection) {
	if (connection->is_closing) return "conn_closing";
	switch ((enum connection_input_state)connection->input_state) {
	case INPUT_SKIP:
		return "conn_swallow";
	case INPUT_FILL:
		return "conn_nread";
	case INPUT_OVER:
		return "conn_closing";
	case INPUT_WAIT:
		return "conn_io_pending";
	case INPUT_ERRAND:
		return "conn_parse_cmd";
	case INPUT_COMMANDS:
		break;
	}
	if (connection->first_out != NULL) return "conn_mwrite";
	if (connection->first_answer != NULL || connection->is_blocked) return "conn_io_pending";
	return awaits_value(connection) ? "conn_nread" : "conn_read";
}

/* ------------------------------------------------------------------ all of them ------------ */

static void describe_listeners(const struct server_worker *worker, struct text *out) {
	const struct server *server = worker->server;
	for (uint32_t i = 0; i < server->listeners->count; i++) {
		const struct listener *listener = &server->listeners->listener[i];
		int fd = listener_fd(listener, worker->index);
		/* all watch it: told of once */
		bool is_another_s = listener->fd_count == 1 && worker->index > 0;
		if (fd < 0 || is_another_s) continue;
		int64_t age_s = os_epoch_s(&server->started, os_now_ns()) - server->started.begun_s;
		say_address(out, fd, "addr", own_address);
		text_print(out, "STAT %d:state conn_listening\r\n", fd);
		text_print(out, "STAT %d:secs_since_last_cmd %lld\r\n", fd,
				   (long long)(age_s > 0 ? age_s : 0));
	}
}

static void describe(const struct connection *connection, uint32_t now_s, struct text *out) {
	int fd = connection->stream.fd;
	say_address(out, fd, "addr", peer_address);
	say_address(out, fd, "listen_addr", own_address);
	text_print(out, "STAT %d:state %s\r\n", fd, state_text(connection));
	text_print(out, "STAT %d:held_bytes %llu\r\n", fd,
			   (unsigned long long)connection_held_bytes(connection));
	text_print(out, "STAT %d:secs_since_last_cmd %u\r\n", fd, now_s - connection->last_active_s);
}

/* New connections come before the first, so who goes on does not meet them. */
bool connections_describe(struct server_worker *worker, bool from_first, uint32_t most,
						  struct text *out) {
	if (from_first) {
		worker->described = worker->connection_list;
		describe_listeners(worker, out);
	}
	for (; worker->described != NULL && most > 0; most--) {
		if (!worker->described->is_closing) describe(worker->described, worker->turn->now_s, out);
		worker->described = worker->described->next;
	}
	return worker->described != NULL;
}
