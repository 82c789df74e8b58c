/* server/process/control_socket.c: see server/process/control_socket.h. The path follows from what
 * the server is reached by, so that snugctl, which is told that too, finds the door of the server
 * it is asked about, with several on one machine (tools/snugctl/door.c looks in the same places):
 *
 *     served on a port         DIRECTORY/snugd-PORT.sock; DIRECTORY is the first of these that can
 *                              be used
 *                              $XDG_RUNTIME_DIR   if it is ours: a user's own, mode 0700
 *                              /run               for root
 *                              /tmp/snugd-UID     made by us, mode 0700
 *     on a unix socket alone   PATH.control, beside it
 *
 * The socket is for its owner alone (0600), and for the members of --control-group (0660). Two
 * servers at one port of two addresses would have one path; the second goes without, and says so.
 *
 * Rejected: a name in the abstract namespace. It would need no directory and no cleaning up, but
 * has no owner and no bits: any process on the machine, of any user, could connect, and take the
 * name before us. */
#include "server/process/control_socket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_ROOM sizeof("/snugd-65535.sock")
#define PATH_ROOM (sizeof((struct settings *)0)->control_path)

/* Where nobody else can put anything. */
static bool is_our_directory(const char *path) {
	struct stat status;
	return path[0] == '/' && lstat(path, &status) == 0 && S_ISDIR(status.st_mode) &&
		   status.st_uid == geteuid() && (status.st_mode & 022u) == 0;
}

/* In /tmp anybody may have been there before us. */
static bool make_directory(char *path, size_t room, struct text *why) {
	struct stat status;
	(void)snprintf(path, room, "/tmp/snugd-%lu", (unsigned long)geteuid());
	if (mkdir(path, 0700) != 0 && errno != EEXIST) {
		text_print(why, "%s: %s", path, strerror(errno));
		return false;
	}
	if (is_our_directory(path) && lstat(path, &status) == 0 && (status.st_mode & 077u) == 0)
		return true;
	text_print(why, "%s: is there already, and is not ours alone", path);
	return false;
}

static bool find_directory(char *path, size_t room, struct text *why) {
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	if (runtime != NULL && strlen(runtime) + NAME_ROOM <= room && is_our_directory(runtime)) {
		(void)snprintf(path, room, "%s", runtime);
		return true;
	}
	if (geteuid() == 0) {
		(void)snprintf(path, room, "/run");
		return true;
	}
	return make_directory(path, room, why);
}

static bool print_path(char *path, size_t room, struct text *why, const char *before,
					   const char *after) {
	int length = snprintf(path, room, "%s%s", before, after);
	if (length > 0 && (size_t)length < room) return true;
	text_print(why, "%s%s: too long for a socket", before, after);
	return false;
}

static bool find_path(const struct settings *settings, const struct listeners *listeners,
					  char *path, size_t room, struct text *why) {
	char directory[PATH_ROOM], name[NAME_ROOM];
	for (uint32_t i = 0; i < listeners->count; i++) {
		if (listeners->listener[i].kind != LISTENER_TCP) continue;
		(void)snprintf(name, sizeof name, "/snugd-%u.sock", listeners->listener[i].port);
		return find_directory(directory, sizeof directory, why) &&
			   print_path(path, room, why, directory, name);
	}
	if (settings->socket_path[0] != '\0')
		return print_path(path, room, why, settings->socket_path, ".control");
	text_print(why, "neither a port nor a unix socket to name it after");
	return false;
}

bool control_socket_open(const struct settings *settings, struct listeners *listeners,
						 struct text *why) {
	char path[PATH_ROOM];
	if (settings->control_path[0] != '\0') return true;
	return find_path(settings, listeners, path, sizeof path, why) &&
		   listeners_add_control(settings, listeners, path, why);
}
