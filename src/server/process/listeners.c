/* server/process/listeners.c: see server/process/listeners.h.
 *
 * TCP: one socket for each worker that takes connections, on the same address and port
 * (SO_REUSEPORT), so that the kernel spreads connections and no two workers wake for the same one.
 * HTTP has one: nobody would accept from a second. SO_REUSEPORT would also let a second snugd of the
 * same user share the port unnoticed. So each address is first bound without it, tried out and
 * closed at once. What remains is the moment between the two.
 *
 * A name such as "localhost", or "*", may stand for several addresses; each that this machine has
 * becomes a listener. With -p -1 the kernel chooses at the first one, and all others, workers and
 * addresses, take that port.
 *
 * Unix: the file gets its access bits as it is made, by the umask, so that it is never open to
 * more. A file that is there already is removed only if it is a socket on which nobody answers:
 * what a crash left. Who asks finds out by connecting; only a refusal says that nobody listens.
 *
 * A process that was killed holds its sockets until the kernel has ended its io_uring too, which is
 * after its death: of 40 that were started again at once, 37 found the place taken. So what is
 * taken is asked for again for a while (TAKEN_TRIES, TAKEN_PAUSE_NS).
 *
 * All or none: when one cannot be had those before it are closed, and their files removed. The
 * control socket at its default path is the exception; without it snugd runs, and says so. */
#include "server/process/listeners.h"

#include "base/address_text.h"
#include "base/assert.h"
#include "base/log_line.h"
#include "os/threads.h"
#include "server/process/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CONTROL_MASK 0600u
#define CONTROL_MASK_WITH_GROUP 0660u
#define CONTROL_BACKLOG 128
#define CHOICES_MAX 3             /* more, of a port by the kernel */
#define TAKEN_TRIES 7             /* each takes a place in the queue of who listens there */
#define TAKEN_PAUSE_NS 100000000u /* between two tries */

/* Keeps errno. */
static bool failed(struct text *why, const char *name, const char *what) {
	int error = errno;
	text_print(why, "%s: %s: %s", name, what, strerror(error));
	errno = error;
	return false;
}

/* A new entry at the end; NULL: no memory. */
static struct listener *add_listener(struct listeners *listeners, enum listener_kind kind,
									 uint32_t fd_count, struct text *why) {
	struct listener *grown = realloc(listeners->listener, (listeners->count + 1) * sizeof *grown);
	if (grown != NULL) listeners->listener = grown;
	int *fds = grown == NULL ? NULL : malloc(fd_count * sizeof *fds);
	if (fds == NULL) {
		text_print(why, "no memory for a listener");
		return NULL;
	}
	for (uint32_t i = 0; i < fd_count; i++) fds[i] = -1;
	struct listener *listener = &grown[listeners->count++];
	*listener = (struct listener){.kind = kind, .fd_count = fd_count, .fds = fds};
	return listener;
}

/* Closing alone is not enough: until the kernel has ended the io_uring that was accepting here, it
 * would go on taking connections which nobody serves, even after our end. */
static void end_listening(int fd) {
	(void)shutdown(fd, SHUT_RDWR);
	(void)close(fd);
}

/* Who started as root and became another user may not remove it from root's directory. */
static void remove_file(const char *path, const snug_log *log) {
	if (unlink(path) == 0 || errno == ENOENT || log == NULL) return;
	snug_log_line(log, SNUG_LOG_INFO,
				  "%s: stays behind (%s); nobody answers there, and the next start removes it",
				  path, strerror(errno));
}

static void close_one(struct listener *listener, const snug_log *log) {
	for (uint32_t i = 0; i < listener->fd_count; i++) {
		if (listener->fds[i] >= 0 && listener->is_inherited)
			(void)close(listener->fds[i]);
		else if (listener->fds[i] >= 0)
			end_listening(listener->fds[i]);
	}
	bool is_path = (listener->kind == LISTENER_UNIX || listener->kind == LISTENER_CONTROL) &&
				   !listener->is_inherited;
	if (is_path && listener->name[0] != '\0') remove_file(listener->name, log);
	free(listener->fds);
}

/* ------------------------------------------------------------------ TCP
 * ---------------------------------------------------- */

static uint16_t port_of(const struct sockaddr *address) {
	if (address->sa_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)(const void *)address)->sin6_port);
	return ntohs(((const struct sockaddr_in *)(const void *)address)->sin_port);
}

static bool is_loopback(const struct sockaddr *address) {
	if (address->sa_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(
			&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
	return ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24 == 127;
}

static void set_port(struct sockaddr *address, uint16_t port) {
	if (address->sa_family == AF_INET6)
		((struct sockaddr_in6 *)(void *)address)->sin6_port = htons(port);
	else
		((struct sockaddr_in *)(void *)address)->sin_port = htons(port);
}

static void print_address(const struct sockaddr *address, socklen_t length, char *out,
						  size_t room) {
	char host[INET6_ADDRSTRLEN + 32] = "?";
	(void)getnameinfo(address, length, host, sizeof host, NULL, 0, NI_NUMERICHOST);
	bool is_v6 = address->sa_family == AF_INET6;
	(void)snprintf(out, room, is_v6 ? "[%s]:%u" : "%s:%u", host, port_of(address));
}

/* A socket bound to the address, and listening unless `backlog` is 0; -1, with errno. */
static int open_tcp(const struct sockaddr *address, socklen_t length, bool shared, int backlog) {
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) return -1;
	int on = 1;
	bool is_fine = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0;
	if (shared) is_fine = is_fine && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0;
	if (address->sa_family == AF_INET6)
		is_fine = is_fine && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0;
	if (is_fine && bind(fd, address, length) == 0 && (backlog == 0 || listen(fd, backlog) == 0))
		return fd;
	int error = errno;
	(void)close(fd);
	errno = error;
	return -1;
}

static bool learn_port(int fd, struct sockaddr *address) {
	/* the longer of the two; the port stands at the same place in both */
	struct sockaddr_in6 bound = {0};
	socklen_t length = sizeof bound;
	if (getsockname(fd, (struct sockaddr *)&bound, &length) != 0) return false;
	_Static_assert(
		offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port), "");
	set_port(address, ntohs(bound.sin6_port));
	return true;
}

/* Whether the address is free for us alone; with port 0, which port it is to be. Does not listen:
 * who connected in that moment would be lost. */
static bool try_out(struct sockaddr *address, socklen_t length) {
	int fd = open_tcp(address, length, false, 0);
	for (int tries = 1; fd < 0 && errno == EADDRINUSE && tries < TAKEN_TRIES; tries++) {
		os_thread_sleep(TAKEN_PAUSE_NS);
		fd = open_tcp(address, length, false, 0);
	}
	if (fd < 0) return false;
	bool is_fine = learn_port(fd, address);
	(void)close(fd);
	return is_fine;
}

static bool open_address(const struct settings *settings, struct listeners *listeners,
						 struct sockaddr *address, socklen_t length, struct text *why) {
	char name[sizeof listeners->listener->name];
	print_address(address, length, name, sizeof name);
	bool shared = settings->accept_threads > 1;
	if (!try_out(address, length)) return failed(why, name, "cannot listen");
	struct listener *listener =
		add_listener(listeners, LISTENER_TCP, settings->accept_threads, why);
	if (listener == NULL) return false;
	for (uint32_t i = 0; i < settings->accept_threads; i++) {
		listener->fds[i] = open_tcp(address, length, shared, (int)settings->backlog);
		if (listener->fds[i] < 0) return failed(why, name, "cannot listen");
	}
	listener->is_open = !is_loopback(address);
	listener->port = port_of(address); /* that of the trial, if any would do */
	print_address(address, length, listener->name, sizeof listener->name);
	return true;
}

/* `host` is "" for all addresses; a port that the text does not tell stays. */
static bool split(const char *text, char *host, size_t room, uint16_t *port) {
	struct address_text address;
	if (!address_read(text, &address) || address.host_length == 0 ||
		!address_host(&address, host, room))
		return false;
	if (strcmp(host, "*") == 0) host[0] = '\0';
	if (address.has_port) *port = address.port;
	return true;
}

/* Opens what a name stands for; an address that this machine has not is left out if there is
 * another. */
static bool open_found(const struct settings *settings, struct listeners *listeners,
					   const struct addrinfo *found, uint16_t *port, struct text *why) {
	uint32_t before = listeners->count;
	for (const struct addrinfo *each = found; each != NULL; each = each->ai_next) {
		if (each->ai_family != AF_INET && each->ai_family != AF_INET6) continue;
		set_port(each->ai_addr, *port);
		if (open_address(settings, listeners, each->ai_addr, each->ai_addrlen, why)) {
			*port = listeners->listener[listeners->count - 1].port;
			why->length = 0; /* what was left out before it */
			continue;
		}
		bool is_absent = errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT;
		if (!is_absent) return false;
		if (listeners->count > before) why->length = 0;
	}
	return listeners->count > before;
}

static bool open_name(const struct settings *settings, struct listeners *listeners,
					  const char *entry, uint16_t *port, struct text *why) {
	enum settings_tls tls;
	const char *text = settings_listen_address(settings, entry, &tls);
	char host[sizeof settings->listen.entry[0]];
	uint16_t own_port = *port;
	if (!split(text, host, sizeof host, &own_port)) {
		text_print(why, "%s: not an address: HOST, HOST:PORT, [IPv6]:PORT or *", text);
		return false;
	}
	uint32_t before = listeners->count;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	struct addrinfo *found = NULL;
	int error = getaddrinfo(host[0] == '\0' ? NULL : host, "0", &hints, &found);
	if (error != 0) {
		text_print(why, "%s: %s", text, gai_strerror(error));
		return false;
	}
	bool is_common_port = own_port == *port;
	bool is_fine = open_found(settings, listeners, found, &own_port, why);
	freeaddrinfo(found);
	if (is_fine && is_common_port) *port = own_port;
	for (uint32_t i = before; i < listeners->count; i++) listeners->listener[i].tls = tls;
	return is_fine;
}

/* ------------------------------------------------------------------ unix sockets
 * ------------------------------------------- */

/* Whether it was refused. EAGAIN: somebody listens, and has no room left. Only a refusal says that
 * nobody does. */
static bool nobody_listens(const struct sockaddr_un *address, int fd) {
	return connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 &&
		   errno == ECONNREFUSED;
}

/* Makes way for a socket at the path: true if nothing is there any more. */
static bool remove_stale(const struct sockaddr_un *address, struct text *why) {
	const char *path = address->sun_path;
	struct stat status;
	if (lstat(path, &status) != 0)
		return errno == ENOENT || failed(why, path, "cannot be looked at");
	if (!S_ISSOCK(status.st_mode)) {
		text_print(why, "%s: is there already, and is no socket", path);
		return false;
	}
	bool is_stale = false;
	for (int tries = 0; !is_stale && tries < TAKEN_TRIES; tries++) {
		if (tries > 0) os_thread_sleep(TAKEN_PAUSE_NS);
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (fd < 0) return failed(why, path, "no socket");
		is_stale = nobody_listens(address, fd);
		(void)close(fd);
	}
	if (!is_stale) {
		text_print(why, "%s: another process listens there", path);
		return false;
	}
	return unlink(path) == 0 || failed(why, path, "cannot remove what an earlier process left");
}

static bool open_unix(struct listeners *listeners, enum listener_kind kind, const char *path,
					  uint32_t mask, int backlog, struct text *why) {
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof address.sun_path) {
		text_print(why, "%s: a path of a socket has at most %zu bytes", path,
				   sizeof address.sun_path - 1);
		return false;
	}
	memcpy(address.sun_path, path, strlen(path));
	if (!remove_stale(&address, why)) return false;
	struct listener *listener = add_listener(listeners, kind, 1, why);
	if (listener == NULL) return false;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) return failed(why, path, "no socket");
	listener->fds[0] = fd;
	mode_t old_mask = umask((mode_t)(~mask & 0777u));
	bool is_bound = bind(fd, (const struct sockaddr *)&address, sizeof address) == 0;
	int error = errno;
	(void)umask(old_mask);
	errno = error;
	if (!is_bound) return failed(why, path, "cannot make the socket");
	/* From here on the file is ours to remove: its name says so. */
	(void)snprintf(listener->name, sizeof listener->name, "%s", path);
	return listen(fd, backlog) == 0 || failed(why, path, "cannot listen");
}

/* ------------------------------------------------------------------ the operator's socket
 * ---------------------------------- */

/* The group first, and only then the bits: nobody is let in for a moment who is not of it. */
static bool admit_group(const char *path, const char *name, struct text *why) {
	errno = 0;
	const struct group *group = getgrnam(name);
	if (group == NULL) {
		text_print(why, "--control-group: there is no group '%s'", name);
		return false;
	}
	if (lchown(path, (uid_t)-1, group->gr_gid) == 0 && chmod(path, CONTROL_MASK_WITH_GROUP) == 0)
		return true;
	return failed(why, path, "cannot be given to the group of --control-group");
}

bool listeners_add_control(const struct settings *settings, struct listeners *listeners,
						   const char *path, struct text *why) {
	uint32_t before = listeners->count;
	bool is_open = open_unix(listeners, LISTENER_CONTROL, path, CONTROL_MASK, CONTROL_BACKLOG, why);
	if (is_open && settings->control_group[0] != '\0')
		is_open = admit_group(path, settings->control_group, why);
	if (!is_open && listeners->count > before)
		close_one(&listeners->listener[--listeners->count], NULL);
	return is_open;
}

const struct listener *listeners_control(const struct listeners *listeners) {
	for (uint32_t i = 0; i < listeners->count; i++)
		if (listeners->listener[i].kind == LISTENER_CONTROL) return &listeners->listener[i];
	return NULL;
}

/* ------------------------------------------------------------------ HTTP
 * --------------------------------------------------- */

#define HTTP_PORT 8211

/* As for clients, but one socket that no worker accepts from. */
static bool open_http(const struct settings *settings, struct listeners *out, struct text *why) {
	struct settings alone = *settings;
	uint16_t port = HTTP_PORT;
	uint32_t before = out->count;
	alone.accept_threads = 1;
	if (!open_name(&alone, out, settings->http, &port, why)) return false;
	for (uint32_t i = before; i < out->count; i++) {
		struct listener *listener = &out->listener[i];
		char name[sizeof listener->name];
		listener->kind = LISTENER_HTTP;
		listener->tls = SETTINGS_TLS_NONE;
		(void)snprintf(name, sizeof name, "%s://%.140s", settings->http_ssl ? "https" : "http",
					   listener->name);
		memcpy(listener->name, name, sizeof name);
	}
	return true;
}

/* ------------------------------------------------------------------ what systemd gives
 * ------------------------------------- */

static bool is_listening_stream(int fd) {
	int listens = 0, type = 0;
	socklen_t bytes = sizeof listens, type_bytes = sizeof type;
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &bytes) == 0 && listens != 0 &&
		   getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_bytes) == 0 && type == SOCK_STREAM;
}

static bool name_inherited(struct listener *listener, const struct sockaddr_storage *address,
						   socklen_t length) {
	const struct sockaddr *any = (const struct sockaddr *)address;
	if (any->sa_family == AF_INET || any->sa_family == AF_INET6) {
		listener->port = port_of(any);
		listener->is_open = !is_loopback(any);
		print_address(any, length, listener->name, sizeof listener->name);
		return true;
	}
	listener->kind = LISTENER_UNIX;
	const struct sockaddr_un *local = (const struct sockaddr_un *)address;
	(void)snprintf(listener->name, sizeof listener->name, "%.*s", (int)sizeof local->sun_path,
				   local->sun_path);
	return any->sa_family == AF_UNIX;
}

static bool take_inherited(const struct settings *settings, struct listeners *listeners, int fd,
						   struct text *why) {
	struct sockaddr_storage address = {0};
	socklen_t length = sizeof address;
	struct listener *listener = add_listener(listeners, LISTENER_TCP, 1, why);
	if (listener == NULL) return false;
	listener->is_inherited = true;
	listener->fds[0] = fd;
	int flags = fcntl(fd, F_GETFL);
	if (is_listening_stream(fd) && getsockname(fd, (struct sockaddr *)&address, &length) == 0 &&
		name_inherited(listener, &address, length) && flags >= 0 &&
		fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0) {
		bool is_secured = listener->kind == LISTENER_TCP && settings->ssl_enabled;
		listener->tls = is_secured ? SETTINGS_TLS_AS_SET : SETTINGS_TLS_NONE;
		return true;
	}
	text_print(why, "descriptor %d of systemd's is no stream socket that listens", fd);
	return false;
}

/* ------------------------------------------------------------------ all of them
 * -------------------------------------------- */

/* One port for all addresses that tell none. What the kernel chose at the first may be taken at
 * another, or by somebody else in the moment after the trial: then it chooses again. */
static bool open_names(const struct settings *settings, struct listeners *out, struct text *why) {
	bool is_any = settings->port == SETTINGS_PORT_ANY;
	for (int tries = 0;; tries++) {
		uint16_t port = is_any ? 0 : (uint16_t)settings->port;
		uint32_t opened = 0;
		errno = 0;
		while (opened < settings->listen.count &&
			   open_name(settings, out, settings->listen.entry[opened], &port, why))
			opened++;
		if (opened == settings->listen.count) return true;
		if (!is_any || errno != EADDRINUSE || tries == CHOICES_MAX) return false;
		listeners_close(out, NULL);
		why->length = 0;
	}
}

static bool open_all(const struct settings *settings, struct listeners *out, struct text *why) {
	if (settings->control_group[0] != '\0' && getgrnam(settings->control_group) == NULL) {
		text_print(why, "--control-group: there is no group '%s'", settings->control_group);
		return false;
	}
	uint32_t inherited = supervisor_sockets();
	for (uint32_t i = 0; i < inherited; i++)
		if (!take_inherited(settings, out, SUPERVISOR_FIRST_FD + (int)i, why)) return false;
	if (settings_want_tcp(settings) && inherited == 0 && !open_names(settings, out, why))
		return false;
	int backlog = (int)settings->backlog;
	if (settings->socket_path[0] != '\0' && inherited == 0 &&
		!open_unix(out, LISTENER_UNIX, settings->socket_path, settings->socket_mask, backlog, why))
		return false;
	if (settings_has_control_path(settings) &&
		!listeners_add_control(settings, out, settings->control_path, why))
		return false;
	return settings->http[0] == '\0' || open_http(settings, out, why);
}

bool listeners_open(const struct settings *settings, struct listeners *out, struct text *why) {
	SNUG_ASSERT(settings->accept_threads > 0);
	struct listeners listeners = {0};
	if (!open_all(settings, &listeners, why)) {
		listeners_close(&listeners, NULL);
		return false;
	}
	*out = listeners;
	return true;
}

void listeners_close(struct listeners *listeners, const snug_log *log) {
	for (uint32_t i = 0; i < listeners->count; i++) close_one(&listeners->listener[i], log);
	free(listeners->listener);
	*listeners = (struct listeners){0};
}

uint32_t listeners_count_open(const struct listeners *listeners) {
	uint32_t count = 0;
	for (uint32_t i = 0; i < listeners->count; i++) count += listeners->listener[i].is_open;
	return count;
}

/* Of a socket that listens the kernel tells its queue there. */
static bool read_queue(int fd, uint64_t *waiting, uint64_t *room) {
	struct tcp_info info;
	socklen_t length = sizeof info;
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return false;
	*waiting = info.tcpi_unacked;
	*room = info.tcpi_sacked;
	return *room > 0;
}

void listeners_waiting(const struct listeners *listeners, uint64_t *waiting, uint64_t *room) {
	*waiting = *room = 0;
	for (uint32_t i = 0; i < listeners->count; i++) {
		const struct listener *listener = &listeners->listener[i];
		for (uint32_t at = 0; listener->kind == LISTENER_TCP && at < listener->fd_count; at++) {
			uint64_t here, most;
			if (!read_queue(listener->fds[at], &here, &most)) continue;
			if (*room > 0 && here * *room <= *waiting * most) continue;
			*waiting = here;
			*room = most;
		}
	}
}
