/* link.c: see link.h. */
#include "link.h"

#include "base/address_text.h"
#include "units.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* ------------------------------------------------------------------ time ------------------- */

#define SIGN_OF_LIFE_MS 1000

static int64_t now_ms(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Until the descriptor can do it. False: ETIMEDOUT, or what poll says. */
static bool wait_for(int fd, short events, int64_t deadline_ms) {
	for (;;) {
		struct pollfd wait = {.fd = fd, .events = events};
		int64_t left_ms = deadline_ms - now_ms();
		int ready = poll(&wait, 1, left_ms > 0 ? (int)left_ms : 0);
		if (ready > 0) return true;
		if (ready < 0 && errno == EINTR) continue;
		if (ready == 0) errno = ETIMEDOUT;
		return false;
	}
}

/* The same; whoever looks at a terminal sees how long it has been, on a line that goes again. */
static bool wait_in_sight(int fd, short events, int64_t deadline_ms, const char *what) {
	const int64_t began_ms = now_ms();
	if (!isatty(STDERR_FILENO)) return wait_for(fd, events, deadline_ms);
	for (bool has_sign = false;; has_sign = true) {
		int64_t now = now_ms(), look_ms = now + SIGN_OF_LIFE_MS;
		bool is_last = look_ms >= deadline_ms;
		bool is_ready = wait_for(fd, events, is_last ? deadline_ms : look_ms);
		int error = errno;
		if (is_ready || is_last || error != ETIMEDOUT) {
			if (has_sign) fputs("\r\033[K", stderr);
			errno = error;
			return is_ready;
		}
		fprintf(stderr, "\rsnugctl: waiting for %s, %lld s", what,
				(long long)((now_ms() - began_ms) / 1000));
		fflush(stderr);
	}
}

/* ------------------------------------------------------------------ connect ---------------- */

/* A socket that is connected; it does not block. -1: errno says why. */
static int connect_to(const struct sockaddr *address, socklen_t length, int64_t deadline_ms) {
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;
	socklen_t error_bytes = sizeof error;
	if (fd < 0 || connect(fd, address, length) == 0) return fd;
	if (errno != EINPROGRESS)
		error = errno;
	else if (!wait_in_sight(fd, POLLOUT, deadline_ms, "a connection") ||
			 getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_bytes) != 0)
		error = errno;
	if (error == 0) return fd;
	close(fd);
	errno = error;
	return -1;
}

static int connect_unix(const char *path) {
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof address.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(address.sun_path, path);
	return connect_to((const struct sockaddr *)&address, sizeof address, now_ms());
}

static int connect_tcp(const char *address, int timeout_ms, const char **why) {
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
	char host[LINK_HOST_ROOM], port[8];
	struct address_text parts;
	int fd = -1;
	*why = "not an address: HOST, HOST:PORT, [IPv6]:PORT or the path of a socket";
	if (!address_read(address, &parts) || !address_host(&parts, host, sizeof host)) return -1;
	(void)snprintf(port, sizeof port, "%u", parts.has_port ? parts.port : LINK_DEFAULT_PORT);
	int failed = getaddrinfo(*host == '\0' ? "127.0.0.1" : host, port, &hints, &found);
	if (failed != 0) {
		*why = gai_strerror(failed);
		return -1;
	}
	for (const struct addrinfo *at = found; at != NULL && fd < 0; at = at->ai_next) {
		fd = connect_to(at->ai_addr, at->ai_addrlen, now_ms() + timeout_ms);
		if (fd < 0) *why = strerror(errno);
	}
	freeaddrinfo(found);
	return fd;
}

bool link_open(struct link *link, const char *address, int timeout_ms) {
	const char *why = NULL;
	bool is_path = strchr(address, '/') != NULL;
	*link = (struct link){.timeout_ms = timeout_ms};
	link->fd = is_path ? connect_unix(address) : connect_tcp(address, timeout_ms, &why);
	if (link->fd >= 0) return true;
	struct address_text parts;
	if (is_path)
		fprintf(stderr, "snugctl: %s: %s\n", address, strerror(errno));
	else if (address_read(address, &parts) && !parts.has_port)
		fprintf(stderr, "snugctl: %s port %u: %s\n", address, LINK_DEFAULT_PORT, why);
	else
		fprintf(stderr, "snugctl: %s: %s\n", address, why);
	return false;
}

bool link_try_path(struct link *link, const char *path, int timeout_ms) {
	*link = (struct link){.timeout_ms = timeout_ms};
	link->fd = connect_unix(path);
	return link->fd >= 0;
}

void link_close(struct link *link) {
	if (link->fd >= 0) close(link->fd);
	link->fd = -1;
}

/* ------------------------------------------------------------------ ask -------------------- */

static bool send_all(int fd, const char *bytes, size_t length, int64_t deadline_ms) {
	while (length > 0) {
		ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
		if (sent < 0 && errno == EAGAIN && wait_for(fd, POLLOUT, deadline_ms)) continue;
		if (sent < 0 && errno == EINTR) continue;
		if (sent < 0) return false;
		bytes += sent;
		length -= (size_t)sent;
	}
	return true;
}

bool link_send(struct link *link, const char *bytes, size_t length) {
	if (send_all(link->fd, bytes, length, now_ms() + link->timeout_ms)) return true;
	fprintf(stderr, "snugctl: %s\n", strerror(errno));
	return false;
}

static bool starts(const char *text, const char *with) {
	return strncmp(text, with, strlen(with)) == 0;
}

/* The answer's last line is there. */
static bool is_complete(const struct reply *reply) {
	if (reply->length < 2 || reply->text[reply->length - 1] != '\n') return false;
	const char *last = reply->text + reply->length - 2;
	while (last > reply->text && last[-1] != '\n') last--;
	return starts(last, "END\r") || starts(last, "OK\r") || starts(last, "RESET\r") ||
		   starts(last, "MN\r") || starts(last, "ERROR") || starts(last, "CLIENT_ERROR") ||
		   starts(last, "SERVER_ERROR");
}

/* Texts of snugd's are 16 MiB, and 256 bytes for each connection, at most. */
#define REPLY_BYTES_MAX ((size_t)64 << 20)

/* Room for what comes next, and a NUL. */
static bool make_room(struct reply *reply, size_t *room) {
	if (*room - reply->length >= 65536) return true;
	if (reply->length >= REPLY_BYTES_MAX) {
		fprintf(stderr, "snugctl: the answer is longer than %zu MiB: this is no snugd\n",
				REPLY_BYTES_MAX >> 20);
		return false;
	}
	char *text = realloc(reply->text, *room * 2 + 65536);
	if (text == NULL) {
		fprintf(stderr, "snugctl: out of memory\n");
		return false;
	}
	*room = *room * 2 + 65536;
	reply->text = text;
	return true;
}

static bool receive_some(struct link *link, struct reply *reply, size_t *room,
						 int64_t deadline_ms) {
	if (!wait_in_sight(link->fd, POLLIN, deadline_ms, "the answer")) {
		fprintf(stderr, "snugctl: no answer in time; what was asked for may go on, and `snugctl "
						"report` tells\n");
		return false;
	}
	if (!make_room(reply, room)) return false;
	ssize_t got = recv(link->fd, reply->text + reply->length, *room - reply->length - 1, 0);
	if (got > 0) reply->length += (size_t)got;
	if (got > 0 || (got < 0 && (errno == EINTR || errno == EAGAIN))) return true;
	link->has_ended = true;
	if (!link->expects_end) fprintf(stderr, "snugctl: the server closed the connection\n");
	return false;
}

static void add_line(struct reply *reply, char *line) {
	char *value = starts(line, "STAT ") ? strchr(line + 5, ' ') : NULL;
	if (value != NULL) {
		*value = '\0';
		reply->fields[reply->field_count++] = (struct field){line + 5, value + 1};
		return;
	}
	if (starts(line, "CLIENT_ERROR") || starts(line, "SERVER_ERROR") || starts(line, "ERROR"))
		reply->error = line;
	if (strcmp(line, "END") != 0) reply->lines[reply->line_count++] = line;
}

/* Into lines and fields. */
static bool take_apart(struct reply *reply) {
	size_t lines = 1;
	for (size_t i = 0; i < reply->length; i++) lines += reply->text[i] == '\n';
	reply->fields = calloc(lines, sizeof *reply->fields);
	reply->lines = calloc(lines, sizeof *reply->lines);
	if (reply->fields == NULL || reply->lines == NULL) return false;
	reply->text[reply->length] = '\0';
	for (char *at = reply->text, *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
		*end = '\0';
		if (end > at && end[-1] == '\r') end[-1] = '\0';
		add_line(reply, at);
	}
	return true;
}

/* There are words to be read of a server that has closed. Leaves errno as it was. */
static bool says_why(const struct link *link, int64_t deadline_ms) {
	int error = errno;
	char byte;
	bool is_there =
		wait_for(link->fd, POLLIN, deadline_ms) && recv(link->fd, &byte, 1, MSG_PEEK) > 0;
	errno = error;
	return is_there;
}

bool link_ask(struct link *link, const char *command, struct reply *reply) {
	size_t room = 0;
	*reply = (struct reply){0};
	int64_t deadline_ms = now_ms() + link->timeout_ms;
	if (!send_all(link->fd, command, strlen(command), deadline_ms) ||
		!send_all(link->fd, "\r\n", 2, deadline_ms)) {
		/* A server that has no room for us says so, and closes, before it has read anything. */
		if ((errno != EPIPE && errno != ECONNRESET) || !says_why(link, deadline_ms)) {
			fprintf(stderr, "snugctl: %s\n", strerror(errno));
			return false;
		}
	}
	while (!is_complete(reply))
		if (!receive_some(link, reply, &room, deadline_ms)) {
			reply_free(reply);
			return false;
		}
	if (take_apart(reply)) return true;
	fprintf(stderr, "snugctl: out of memory\n");
	reply_free(reply);
	return false;
}

enum link_end link_ask_end(struct link *link, const char *command, struct reply *reply) {
	link->expects_end = true;
	if (link_ask(link, command, reply)) return LINK_ANSWERED;
	return link->has_ended ? LINK_CLOSED : LINK_FAILED;
}

void reply_free(struct reply *reply) {
	free(reply->fields);
	free(reply->lines);
	free(reply->text);
	*reply = (struct reply){0};
}

const char *reply_value(const struct reply *reply, const char *name) {
	for (size_t i = 0; i < reply->field_count; i++)
		if (strcmp(reply->fields[i].name, name) == 0) return reply->fields[i].value;
	return NULL;
}

double reply_number(const struct reply *reply, const char *name) {
	const char *value = reply_value(reply, name);
	double number = 0;
	if (value != NULL) (void)parse_real(value, &number);
	return number;
}
