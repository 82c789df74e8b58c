/* os/linux_files.c: os/files.h on Linux. Files of /proc and of cgroups come whole from one read;
 * others may take several. A file that is longer than the room is cut there, which its parser then
 * sees. */
#include "os/files.h"

#include "base/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

bool os_read_file(const char *path, char *text, size_t room) {
	SNUG_ASSERT(room > 0);
	int file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0) return false;
	size_t length = 0;
	ssize_t count = 1;
	while (length < room - 1 && count != 0) {
		count = read(file, text + length, room - 1 - length);
		if (count > 0) length += (size_t)count;
		if (count < 0 && errno != EINTR) break;
	}
	close(file);
	if (count < 0) return false;
	text[length] = '\0';
	return true;
}
