/* door.c: see door.h. In this order:
 *
 *     the places where snugd puts it by itself (src/server/process/control_socket.c), for that port or path
 *     /run/snugd/control, that of packaging/snugd.conf, if no address was given
 *     the server itself; and when it refuses a command as the operator's, where it says that this is: `stats settings`, control_socket
 *
 * It is asked last: the control socket opens when the server has no connection left. Only for this machine's own
 * addresses: a path means nothing on another.
 *
 * Who could stand in for snugd there? $XDG_RUNTIME_DIR and /run are the user's and root's. In /tmp the directory must be ours alone; beside a
 * socket in somebody's directory, the control socket must have that socket's owner. */
#include "door.h"

#include "base/address_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_ADDRESS "127.0.0.1"
#define PACKAGED_PATH "/run/snugd/control"
#define PATH_ROOM sizeof(((struct door *)0)->control)

/* True: connected. A socket that is there and not for us is kept in mind: it is said when something
 * is refused elsewhere. */
static bool try_path(struct link *link, struct door *door, const char *path, int timeout_ms) {
	if (link_try_path(link, path, timeout_ms)) {
		(void)snprintf(door->control, sizeof door->control, "%s", path);
		door->refusal = 0;
		return true;
	}
	if (errno == EACCES || errno == EPERM) {
		door->refusal = errno;
		(void)snprintf(door->control, sizeof door->control, "%s", path);
	}
	return false;
}

static bool is_ours(const char *directory, unsigned others) {
	struct stat status;
	return lstat(directory, &status) == 0 && S_ISDIR(status.st_mode) &&
		   status.st_uid == geteuid() && (status.st_mode & others) == 0;
}

static bool try_places(struct link *link, struct door *door, unsigned port, int timeout_ms) {
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	char directory[64], path[PATH_ROOM];
	/* After su it may be another's, who would answer us. */
	if (runtime != NULL && runtime[0] == '/' && is_ours(runtime, 022)) {
		(void)snprintf(path, sizeof path, "%.200s/snugd-%u.sock", runtime, port);
		if (try_path(link, door, path, timeout_ms)) return true;
	}
	(void)snprintf(directory, sizeof directory, "/tmp/snugd-%lu", (unsigned long)geteuid());
	(void)snprintf(path, sizeof path, "%s/snugd-%u.sock", directory, port);
	if (is_ours(directory, 077) && try_path(link, door, path, timeout_ms)) return true;
	(void)snprintf(path, sizeof path, "/run/snugd-%u.sock", port);
	return try_path(link, door, path, timeout_ms);
}

static bool is_local(const struct address_text *address) {
	char host[LINK_HOST_ROOM];
	if (!address_host(address, host, sizeof host)) return false;
	return host[0] == '\0' || strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 ||
		   strcmp(host, "localhost") == 0;
}

bool door_is_elsewhere(const struct reply *reply) {
	return reply->error != NULL && strstr(reply->error, "control socket") != NULL;
}

bool door_ask(struct link *link, struct door *door) {
	struct reply reply;
	struct link control;
	if (!door->is_here || door->refusal != 0 || !link_ask(link, "stats settings", &reply))
		return false;
	const char *path = reply_value(&reply, "control_socket");
	bool is_found =
		path != NULL && path[0] == '/' && try_path(&control, door, path, link->timeout_ms);
	if (is_found) {
		link_close(link);
		*link = control;
	}
	reply_free(&reply);
	return is_found;
}

/* PATH.control, unless we were sent there already. */
static bool open_beside(struct link *link, struct door *door, const char *address, int timeout_ms) {
	struct stat served, control;
	char path[PATH_ROOM];
	(void)snprintf(path, sizeof path, "%.240s.control", address);
	bool is_there = stat(address, &served) == 0 && lstat(path, &control) == 0 &&
					served.st_uid == control.st_uid;
	return is_there && try_path(link, door, path, timeout_ms);
}

bool door_open(struct link *link, struct door *door, const char *address, int timeout_ms) {
	struct address_text parts = {0};
	*door = (struct door){0};
	const char *reached = address != NULL ? address : DEFAULT_ADDRESS;
	bool is_path = strchr(reached, '/') != NULL;
	door->is_here = is_path || (address_read(reached, &parts) && is_local(&parts));
	unsigned port = parts.has_port ? parts.port : LINK_DEFAULT_PORT;
	if (is_path && open_beside(link, door, reached, timeout_ms)) return true;
	if (door->is_here && !is_path && try_places(link, door, port, timeout_ms)) return true;
	if (address == NULL && try_path(link, door, PACKAGED_PATH, timeout_ms)) return true;
	return link_open(link, reached, timeout_ms);
}
