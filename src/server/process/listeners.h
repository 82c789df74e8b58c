/* server/process/listeners.h: the sockets that snugd accepts on. Opened before the workers start,
 * so that what is wrong with them is told at once, and before privileges are dropped.
 *
 *     kind      asked for by      descriptors        who accepts
 *     TCP       -p, -l            one for a worker   each worker for itself
 *     UNIX      -s                one                all workers
 *     CONTROL   --control         one                the operator's door (server/operator)
 *     HTTP      --http            one                libmicrohttpd's thread (src/http)
 *
 * Where systemd gives sockets (supervisor.h) these are for the clients, in place of what -p, -l and
 * -s ask for; all workers watch each of them. */
#ifndef SNUG_SERVER_LISTENERS_H
#define SNUG_SERVER_LISTENERS_H

#include "base/text.h"
#include "server/settings/settings.h"

enum listener_kind { LISTENER_TCP, LISTENER_UNIX, LISTENER_CONTROL, LISTENER_HTTP };

struct listener {
	enum listener_kind kind;
	uint16_t port; /* TCP: as bound */
	enum settings_tls tls;
	bool is_open; /* TCP: it can be reached from elsewhere: no address of loopback */
	uint32_t fd_count;
	bool is_inherited; /* systemd's: it goes on listening when we have ended */
	/* TCP: one for each worker that takes connections (SO_REUSEPORT), so that each accepts for itself;
	 * else one. UNIX: all of these watch it; CONTROL, HTTP: none */
	int *fds;
	/* as it is printed: "127.0.0.1:11211", "/run/snugd.sock", "http://127.0.0.1:8211" */
	char name[160];
};

struct listeners {
	uint32_t count;
	struct listener *listener;
};

/* All of them, or false, with a sentence in `why`. The control socket only if a path was given for
 * it. */
bool listeners_open(const struct settings *settings, struct listeners *out, struct text *why);
/* One more, for the operator, with settings.control_group, at a path that is not in the settings.
 * False: a sentence, and the others stay. */
bool listeners_add_control(const struct settings *settings, struct listeners *listeners,
						   const char *path, struct text *why);
/* So many can be reached from elsewhere. */
uint32_t listeners_count_open(const struct listeners *listeners);
/* Connections over TCP that nobody has accepted yet, and how many can wait so, where the share is
 * largest; 0 and 0: it is not known. */
void listeners_waiting(const struct listeners *listeners, uint64_t *waiting, uint64_t *room);
/* The control socket; NULL: there is none. */
const struct listener *listeners_control(const struct listeners *listeners);
/* Closes, removes socket files. The log is told of one that cannot be removed; NULL: nobody is. */
void listeners_close(struct listeners *listeners, const snug_log *log);

/* What one of the workers that take connections accepts from. -1: nothing of this listener. */
static inline int listener_fd(const struct listener *listener, uint32_t worker) {
	if (listener->kind == LISTENER_HTTP || listener->kind == LISTENER_CONTROL) return -1;
	if (listener->fd_count == 1) return listener->fds[0];
	return worker < listener->fd_count ? listener->fds[worker] : -1;
}

/* What an io tells of a connection that it has accepted: from which kind of listener it came. */
static inline uint32_t listener_tag(const struct listener *listener) {
	return (uint32_t)listener->kind | (uint32_t)listener->tls << 8;
}
static inline enum listener_kind listener_tag_kind(uint32_t tag) {
	return (enum listener_kind)(tag & 0xff);
}
static inline enum settings_tls listener_tag_tls(uint32_t tag) {
	return (enum settings_tls)(tag >> 8);
}

#endif
