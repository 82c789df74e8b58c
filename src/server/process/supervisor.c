/* server/process/supervisor.c: see supervisor.h. What the environment says is bounded and believed
 * only as far as the descriptors are there. */
#include "server/process/supervisor.h"

#include "base/number_text.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKETS_MAX 64u

static uint64_t number_of(const char *variable) {
	const char *text = getenv(variable);
	uint64_t number = 0;
	if (text == NULL || !number_scan(text, strlen(text), 10, &number)) return 0;
	return number;
}

uint32_t supervisor_sockets(void) {
	uint64_t count = number_of("LISTEN_FDS");
	bool is_ours = number_of("LISTEN_PID") == (uint64_t)getpid();
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDNAMES");
	if (!is_ours || count > SOCKETS_MAX) return 0;
	for (uint32_t i = 0; i < count; i++)
		if (fcntl(SUPERVISOR_FIRST_FD + (int)i, F_SETFD, FD_CLOEXEC) != 0) return i;
	return (uint32_t)count;
}

void supervisor_tell(const char *state) {
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (path == NULL || (path[0] != '/' && path[0] != '@')) return;
	size_t length = strlen(path);
	if (length >= sizeof address.sun_path) return;
	memcpy(address.sun_path, path, length);
	if (path[0] == '@') address.sun_path[0] = '\0'; /* of the abstract names */
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) return;
	socklen_t bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	(void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, bytes);
	(void)close(fd);
}
