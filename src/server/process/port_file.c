/* server/process/port_file.c: see server/process/port_file.h.
 *
 *     PATH.lck --written whole, closed--> renamed to PATH
 *
 * Who waits for PATH reads all of it or nothing. The name while it is written is memcached's. What
 * stands there under that name is replaced, never followed: snugd may be root at this moment. */
#include "server/process/port_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool failed(const char *path, struct text *why) {
	text_print(why, PORT_FILE_VARIABLE ": %s: %s", path, strerror(errno));
	return false;
}

static void print_ports(const struct listeners *listeners, struct text *out) {
	for (uint32_t i = 0; i < listeners->count; i++) {
		const struct listener *listener = &listeners->listener[i];
		struct sockaddr_storage bound = {0};
		socklen_t length = sizeof bound;
		if (listener->kind != LISTENER_TCP) continue;
		if (getsockname(listener->fds[0], (struct sockaddr *)&bound, &length) != 0) continue;
		text_print(out, "TCP %s: %u\n", bound.ss_family == AF_INET6 ? "INET6" : "INET",
				   (unsigned)listener->port);
	}
}

static bool write_text(const char *path, const struct text *text) {
	if (unlink(path) != 0 && errno != ENOENT) return false;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0) return false;
	ssize_t written = write(fd, text->bytes, text->length);
	bool is_whole = written == (ssize_t)text->length;
	if (written >= 0 && !is_whole) errno = ENOSPC;
	int error = errno;
	bool is_closed = close(fd) == 0;
	if (!is_whole) errno = error;
	return is_whole && is_closed;
}

bool port_file_write(const char *path, const struct listeners *listeners, struct text *why) {
	char beside[4096];
	int length = snprintf(beside, sizeof beside, "%s.lck", path);
	if (length < 0 || (size_t)length >= sizeof beside) {
		errno = ENAMETOOLONG;
		return failed(path, why);
	}
	struct text ports = {0};
	print_ports(listeners, &ports);
	bool is_written = true;
	if (ports.failed) {
		errno = ENOMEM;
		is_written = failed(path, why);
	} else if (!write_text(beside, &ports) || rename(beside, path) != 0) {
		is_written = failed(path, why);
		(void)unlink(beside);
	}
	text_deinit(&ports);
	return is_written;
}
