/* server/connection/connection_describe.c: what is told of connections: `stats conns`, each worker's
 * listeners, then its connections, in memcached's words; `snug clients`; and how long commands took.
 *
 *     STAT 14:addr tcp:127.0.0.1:48568            the peer's address; of a listener its own
 *     STAT 14:listen_addr tcp:127.0.0.1:11211     ours, not of a listener
 *     STAT 14:state conn_nread
 *     STAT 14:held_bytes 1024                     of connection memory; memcached does not tell it
 *     STAT 14:secs_since_last_cmd 1
 *
 * Addresses are asked of the kernel when they are told, so that a connection keeps none. A peer
 * chooses the path of its own unix socket: what of it could end a line, is no plain text, or would
 * pass for a process, is a question mark. */
#include "os/threads.h"
#include "server/auth/auth.h"
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

#define PROCESS_PREFIX "pid="
#define PROCESS_PREFIX_BYTES (sizeof PROCESS_PREFIX - 1)

static void print_path(struct text *out, const struct sockaddr_un *address, socklen_t length) {
	char path[sizeof address->sun_path + 1];
	size_t begin = offsetof(struct sockaddr_un, sun_path), bytes = 0;
	for (; begin + bytes < length && address->sun_path[bytes] != '\0'; bytes++) {
		char c = address->sun_path[bytes];
		path[bytes] = c > ' ' && c < 127 ? c : '?';
	}
	path[bytes] = '\0';
	if (bytes >= PROCESS_PREFIX_BYTES && memcmp(path, PROCESS_PREFIX, PROCESS_PREFIX_BYTES) == 0)
		path[PROCESS_PREFIX_BYTES - 1] = '?'; /* put_client */
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
static void put_address(struct text *out, int fd, int (*ask)(int, struct sockaddr *, socklen_t *)) {
	union address address = {0};
	socklen_t length = sizeof address;
	if (ask(fd, &address.any, &length) == 0)
		print_address(out, &address, length < sizeof address ? length : sizeof address);
	else
		text_print(out, "<closed>");
}

static void say_address(struct text *out, int fd, const char *name,
						int (*ask)(int, struct sockaddr *, socklen_t *)) {
	text_print(out, "STAT %d:%s ", fd, name);
	put_address(out, fd, ask);
	text_append(out, "\r\n", 2);
}

static int own_address(int fd, struct sockaddr *address, socklen_t *length) {
	return getsockname(fd, address, length);
}

static int peer_address(int fd, struct sockaddr *address, socklen_t *length) {
	return getpeername(fd, address, length);
}

/* A client of a unix socket has no path, as a rule: the process that connected tells him apart,
 * unless it is in another namespace of processes. A name that is no path is not told. */
static void put_client(struct text *out, int fd) {
	struct sockaddr_un address;
	struct ucred process;
	socklen_t length = sizeof address, process_bytes = sizeof process;
	bool has_no_path =
		peer_address(fd, (struct sockaddr *)&address, &length) == 0 &&
		address.sun_family == AF_UNIX &&
		(length <= offsetof(struct sockaddr_un, sun_path) || address.sun_path[0] == '\0');
	if (has_no_path && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &process, &process_bytes) == 0 &&
		process.pid > 0)
		text_print(out, "unix:" PROCESS_PREFIX "%d", (int)process.pid);
	else
		put_address(out, fd, peer_address);
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
						  uint64_t asker, struct text *out, struct text *of_asker) {
	if (from_first) {
		worker->described = worker->connection_list;
		describe_listeners(worker, out);
	}
	for (; worker->described != NULL && most > 0; most--) {
		const struct connection *connection = worker->described;
		bool is_asker = connection_id(connection) == asker;
		worker->described = connection->next;
		if (connection->is_closing) continue;
		if (is_asker) of_asker->length = 0;
		describe(connection, worker->turn->now_s, is_asker ? of_asker : out);
	}
	return worker->described != NULL;
}

/* ------------------------------------------------------------------ some of them ----------- */

/* Bytes of values that it has pinned: on their way out, in answers that wait, or in. What is away
 * is its owner's to look at. */
static uint64_t lease_bytes(const struct connection *connection) {
	uint64_t bytes = connection->sink != NULL ? connection->sink->request.operation.value_bytes : 0;
	for (const struct out *out = connection->first_out; out != NULL; out = out->next)
		if (out->is_lease)
			bytes +=
				((const struct record *)(const void *)out)->request.operation.lease.value_bytes;
	for (const struct record *at = connection->first_answer; at != NULL; at = at->next)
		if (!at->is_away && at->errand == NULL && at->request.operation.lease.ref != 0)
			bytes += at->request.operation.lease.value_bytes;
	return bytes;
}

/* False: he has not said who he is. */
static bool user_of(const struct connection *connection, struct auth_name *name) {
	struct auth *auth = connection->worker->server->auth;
	return auth != NULL && auth_names_get(auth_user_names(auth), connection->user, name);
}

static void select_tell(const struct connection *connection, struct clients *clients) {
	char room[WATCH_KEY_ROOM];
	struct auth_name name;
	struct text *out = &clients->text;
	uint32_t now_s = connection->worker->turn->now_s;
	unsigned long long id = connection_id(connection);
	int fd = connection->stream.fd;
	clients->last = id;
	clients->told++;
	text_print(out, "STAT %llu:addr %.*s\r\n", id, (int)clients->address.length,
			   clients->address.bytes);
	text_print(out, "STAT %llu:listen_addr ", id);
	put_address(out, fd, own_address);
	text_print(out, "\r\nSTAT %llu:tls %s\r\n", id,
			   tls_io_is_secured(&connection->stream) ? "yes" : "no");
	text_print(out, "STAT %llu:user %s\r\n", id,
			   user_of(connection, &name) ? watch_key(name.text, name.bytes, room) : "-");
	text_print(out, "STAT %llu:age_s %u\r\n", id, now_s - connection->begun_s);
	text_print(out, "STAT %llu:idle_s %u\r\n", id, now_s - connection->last_active_s);
	text_print(out, "STAT %llu:in_bytes %u\r\n", id, connection->input_room);
	text_print(out, "STAT %llu:out_bytes %llu\r\n", id,
			   (unsigned long long)connection->blocks * BLOCK_BYTES);
	text_print(out, "STAT %llu:lease_bytes %llu\r\n", id,
			   (unsigned long long)lease_bytes(connection));
	text_print(out, "STAT %llu:held_bytes %llu\r\n", id,
			   (unsigned long long)connection_held_bytes(connection));
	text_print(out, "STAT %llu:commands %llu\r\n", id,
			   (unsigned long long)connection_commands_so_far(connection));
	text_print(out, "STAT %llu:last_command %s\r\n", id, parser_last_command(&connection->parser));
}

static void select_close(struct connection *connection, struct clients *clients) {
	bool is_asker = connection_id(connection) == clients->asker;
	if (is_asker && clients->has_closed_asker) return; /* the walk has begun again */
	if (is_asker && clients->by != CLIENTS_ID) {
		clients->has_spared_asker = true;
		return;
	}
	clients->closed++;
	connection->worker->connections.killed++;
	connection->close_reason = CLOSE_KILLED;
	if (is_asker)
		clients->has_closed_asker = true;
	else
		connection_close(connection);
}

static bool is_word(const struct clients *clients, const char *text, size_t length) {
	return clients->word_bytes == length && memcmp(clients->word, text, length) == 0;
}

/* As it is told, or without the transport before it. */
static bool is_address(const struct clients *clients) {
	const char *text = clients->address.bytes;
	size_t length = clients->address.length, cut = 0;
	if (length > 4 && memcmp(text, "tcp:", 4) == 0) cut = 4;
	if (length > 5 && memcmp(text, "tcp6:", 5) == 0) cut = 5;
	return is_word(clients, text, length) || is_word(clients, text + cut, length - cut);
}

static bool is_user(const struct connection *connection, const struct clients *clients) {
	char room[WATCH_KEY_ROOM];
	struct auth_name name;
	if (!user_of(connection, &name)) return false;
	if (is_word(clients, name.text, name.bytes)) return true;
	const char *told = watch_key(name.text, name.bytes, room);
	return is_word(clients, told, strlen(told));
}

static bool is_meant(const struct connection *connection, const struct clients *clients) {
	uint32_t idle_s = connection->worker->turn->now_s - connection->last_active_s;
	switch (clients->by) {
	case CLIENTS_ALL:
		return true;
	case CLIENTS_ID:
		return connection_id(connection) == clients->id;
	case CLIENTS_ADDRESS:
		return is_address(clients);
	case CLIENTS_USER:
		return is_user(connection, clients);
	case CLIENTS_IDLE:
		return idle_s >= clients->idle_s;
	}
	return false;
}

/* It was told with an earlier page: numbers fall along the list. */
static bool was_told(const struct connection *connection, const struct clients *clients) {
	const struct server_worker *worker = connection->worker;
	uint32_t count = worker->server->worker_count;
	return clients->after % count == worker->index && clients->after > 0 &&
		   connection->number >= clients->after / count;
}

static void select_one(struct connection *connection, struct clients *clients) {
	bool needs_address = clients->by == CLIENTS_ADDRESS || !clients->closes;
	if (connection->is_closing || was_told(connection, clients)) return;
	clients->address.length = 0;
	if (needs_address) put_client(&clients->address, connection->stream.fd);
	if (clients->address.failed) clients->text.failed = true;
	if (clients->address.failed || !is_meant(connection, clients)) return;
	if (clients->closes)
		select_close(connection, clients);
	else if (clients->told < CLIENTS_A_PAGE)
		select_tell(connection, clients);
	else
		clients->has_more = true;
}

/* Who waits for many answers costs as much as several. */
#define RECORDS_A_CLIENT 16u

bool connections_select(struct server_worker *worker, bool from_first, uint32_t most,
						struct clients *clients) {
	if (from_first) worker->described = worker->connection_list;
	for (uint32_t spent = 0; worker->described != NULL && spent < most && !clients->has_more;) {
		struct connection *connection = worker->described;
		spent += 1 + connection->records / RECORDS_A_CLIENT;
		worker->described = connection->next;
		select_one(connection, clients);
	}
	return worker->described != NULL && !clients->has_more && !clients->text.failed;
}

/* ------------------------------------------------------------------ how long it took ------- */

/* Who has been closed has no descriptor that were his. */
static void note_slow(const struct connection *connection, const struct operation *operation,
					  uint64_t took_ns) {
	struct server_worker *worker = connection->worker;
	struct text address = {0};
	struct slow_command *command =
		slow_note(&worker->slow, slow_minute(worker->clock_s), took_ns, operation);
	command->wall_s = worker->wall_s;
	command->client = connection_id(connection);
	if (!connection->is_closing) put_client(&address, connection->stream.fd);
	if (connection->is_closing || address.failed) text_print(&address, "<closed>");
	size_t bytes = address.length < SLOW_ADDRESS_ROOM ? address.length : SLOW_ADDRESS_ROOM - 1;
	memcpy(command->address, address.bytes == NULL ? "" : address.bytes, bytes);
	text_deinit(&address);
}

void note_latency(const struct connection *connection, const struct operation *operation,
				  uint64_t asked_ns) {
	struct server_worker *worker = connection->worker;
	uint64_t took_ns = os_now_ns() - asked_ns;
	bool is_touch = operation->kind == OPERATION_GET && (operation->options & OPERATION_IS_TOUCH);
	enum latency_kind kind = is_touch ? LATENCY_TOUCH : (enum latency_kind)operation->kind;
	SNUG_ASSERT(kind < LATENCY_KIND_COUNT);
	latency_add(&worker->latency[kind], took_ns);
	if (slow_takes(&worker->slow, slow_minute(worker->clock_s), took_ns))
		note_slow(connection, operation, took_ns);
}
