/* simulate/world/simulated_sockets.c: see simulate/world/simulated_sockets.h. */
#include "simulate/world/simulated_sockets.h"

#include "simulate/world/world.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static struct simulated_socket sockets[SOCKETS_MAX];

/* ------------------------------------------------------------------ pipes ------------------ */

size_t pipe_bytes(const struct pipe *pipe) {
	return pipe->end - pipe->begin;
}

static size_t pipe_left(const struct pipe *pipe) {
	return pipe->room - pipe_bytes(pipe);
}

size_t pipe_put(struct pipe *pipe, const char *bytes, size_t length) {
	if (length > pipe_left(pipe)) length = pipe_left(pipe);
	if (length == 0) return 0;
	if (pipe->bytes == NULL) pipe->bytes = plain_realloc(NULL, pipe->room);
	if (pipe->begin > 0) {
		memmove(pipe->bytes, pipe->bytes + pipe->begin, pipe_bytes(pipe));
		pipe->end -= pipe->begin;
		pipe->begin = 0;
	}
	memcpy(pipe->bytes + pipe->end, bytes, length);
	pipe->end += length;
	return length;
}

size_t pipe_take(struct pipe *pipe, char *bytes, size_t room) {
	if (room > pipe_bytes(pipe)) room = pipe_bytes(pipe);
	if (room > 0) memcpy(bytes, pipe->bytes + pipe->begin, room);
	pipe->begin += room;
	return room;
}

/* ------------------------------------------------------------------ life ------------------- */

/* Kernels differ, and so do their users: from a few bytes, which show each seam, to more than any
 * answer. */
static size_t choose_room(struct choice *choice) {
	static const size_t rooms[] = {262144, 65536, 16384, 4096, 700, 64};
	return rooms[choose(choice, sizeof rooms / sizeof *rooms)];
}

uint32_t socket_connect(int listener, struct choice *choice) {
	uint32_t number = 0;
	while (number < SOCKETS_MAX && sockets[number].is_used) number++;
	if (number == SOCKETS_MAX)
		world_fail("more than %u sockets: the server does not close them", SOCKETS_MAX);
	sockets[number] = (struct simulated_socket){
		.is_used = true,
		.listener = listener,
		.to_server.room = choose_room(choice),
		.to_client.room = choose_room(choice),
	};
	return number;
}

static void release(struct simulated_socket *one) {
	if (!one->client_is_gone || !one->server_is_gone) return;
	plain_free(one->to_server.bytes);
	plain_free(one->to_client.bytes);
	*one = (struct simulated_socket){0};
}

static struct simulated_socket *client_side(uint32_t number) {
	if (number >= SOCKETS_MAX || !sockets[number].is_used || sockets[number].client_is_gone)
		world_fail("the test uses a socket that it has left");
	return &sockets[number];
}

size_t socket_put(uint32_t number, const char *bytes, size_t length) {
	struct simulated_socket *one = client_side(number);
	return one->server_is_gone ? length : pipe_put(&one->to_server, bytes, length);
}

size_t socket_take(uint32_t number, char *bytes, size_t room) {
	return pipe_take(&client_side(number)->to_client, bytes, room);
}

bool socket_has_room(uint32_t number) {
	const struct simulated_socket *one = client_side(number);
	return one->server_is_gone || pipe_left(&one->to_server) > 0;
}

bool socket_has_bytes(uint32_t number) {
	return pipe_bytes(&client_side(number)->to_client) > 0;
}

bool socket_is_over(uint32_t number) {
	return client_side(number)->server_is_gone;
}

void socket_describe(uint32_t number, char *text, size_t room) {
	const struct simulated_socket *one = client_side(number);
	snprintf(text, room, "%s, %zu bytes not received",
			 one->is_accepted ? "accepted" : "not accepted", pipe_bytes(&one->to_server));
}

void socket_end(uint32_t number) {
	client_side(number)->client_has_ended = true;
}

void socket_leave(uint32_t number, bool is_reset) {
	struct simulated_socket *one = client_side(number);
	one->client_has_ended = true;
	one->client_is_gone = true;
	one->is_reset = is_reset;
	release(one);
}

/* ------------------------------------------------------------------ the server's side ------ */

struct simulated_socket *socket_of(int descriptor) {
	int number = descriptor - SOCKET_FIRST;
	if (number < 0 || number >= (int)SOCKETS_MAX || !sockets[number].is_accepted ||
		sockets[number].server_is_gone)
		world_fail("the server uses a descriptor that is not open: %d", descriptor);
	return &sockets[number];
}

bool socket_waits(int listener) {
	for (uint32_t i = 0; i < SOCKETS_MAX; i++)
		if (sockets[i].is_used && !sockets[i].is_accepted && sockets[i].listener == listener)
			return true;
	return false;
}

int socket_accept(int listener) {
	for (uint32_t i = 0; i < SOCKETS_MAX; i++) {
		if (!sockets[i].is_used || sockets[i].is_accepted || sockets[i].listener != listener)
			continue;
		sockets[i].is_accepted = true;
		return SOCKET_FIRST + (int)i;
	}
	return -1;
}

void socket_close(int descriptor) {
	struct simulated_socket *one = socket_of(descriptor);
	one->server_is_gone = true;
	release(one);
}

/* ------------------------------------------------------------------ system calls ----------- */

int __real_close(int descriptor);
int __wrap_close(int descriptor);
int __wrap_close(int descriptor) {
	if (descriptor < SOCKET_FIRST) return __real_close(descriptor);
	socket_close(descriptor);
	return 0;
}

ssize_t __real_write(int descriptor, const void *bytes, size_t length);
ssize_t __wrap_write(int descriptor, const void *bytes, size_t length);
ssize_t __wrap_write(int descriptor, const void *bytes, size_t length) {
	if (descriptor < SOCKET_FIRST) return __real_write(descriptor, bytes, length);
	return (ssize_t)pipe_put(&socket_of(descriptor)->to_client, bytes, length);
}

int __wrap_setsockopt(int descriptor, int level, int name, const void *value, socklen_t length);
int __wrap_setsockopt(int descriptor, int level, int name, const void *value, socklen_t length) {
	(void)level;
	(void)name;
	(void)value;
	(void)length;
	(void)socket_of(descriptor);
	return 0;
}

/* What differs from process to process would make the lengths of answers differ. */
int __wrap_getrusage(int who, struct rusage *out);
int __wrap_getrusage(int who, struct rusage *out) {
	(void)who;
	memset(out, 0, sizeof *out);
	return 0;
}

pid_t __wrap_getpid(void);
pid_t __wrap_getpid(void) {
	return 4711;
}
