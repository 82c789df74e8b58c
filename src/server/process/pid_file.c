/* server/process/pid_file.c: see server/process/pid_file.h.
 *
 * The lock, and not the number, says that a server runs: the kernel drops it with the process,
 * however that ends. The file is opened by the process that stays, once it is in the background. A
 * link that stands at the path is not followed: snugd may be root at this moment. */
#include "server/process/pid_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

bool pid_file_open(struct pid_file *file, const char *path, struct text *why) {
	*file = (struct pid_file){.fd = -1, .path = path};
	if (path[0] == '\0') return true;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0) {
		text_print(why, "--pidfile: %s: %s", path, strerror(errno));
		return false;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		char number[24] = "";
		if (read(fd, number, sizeof number - 1) < 0) number[0] = '\0';
		text_print(why, "--pidfile: %s: in use by process %.*s", path, (int)strcspn(number, "\n"),
				   number);
		(void)close(fd);
		return false;
	}
	char number[24];
	int length = snprintf(number, sizeof number, "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) != 0 || write(fd, number, (size_t)length) != length) {
		text_print(why, "--pidfile: %s: %s", path, strerror(errno));
		(void)unlink(path);
		(void)close(fd);
		return false;
	}
	file->fd = fd;
	return true;
}

void pid_file_close(struct pid_file *file) {
	if (file->fd < 0) return;
	if (unlink(file->path) != 0) (void)!ftruncate(file->fd, 0);
	(void)close(file->fd);
	file->fd = -1;
}
