/* simulate/world/simulated_sockets.h: sockets of a simulated server: two pipes in memory, and a
 * queue of those that wait to be accepted.
 *
 *     client  --socket_put-->  [ to the server ]  --simulated_io.c-->  server
 *             <-socket_take--  [ to the client ]  <------------------
 *
 * How much a pipe holds is chosen for each: often a few bytes. The client's side has functions by
 * number, the io's side looks into the struct. The server sees descriptors, far above real ones;
 * its close, write and setsockopt of them come here (--wrap). */
#ifndef SIMULATE_SOCKETS_H
#define SIMULATE_SOCKETS_H

#include "simulate/world/choice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOCKETS_MAX 128u
#define SOCKET_FIRST 600000   /* the descriptor of socket 0 */
#define LISTENER_FIRST 700000 /* that of listener 0 */

struct pipe {
	char *bytes;
	size_t begin;
	size_t end;
	size_t room; /* at most so many are in it */
};

struct simulated_socket {
	bool is_used;
	bool is_accepted;
	int listener; /* the descriptor of the listener that it was made for */
	struct pipe to_server;
	struct pipe to_client;
	bool client_has_ended; /* has sent all it will */
	bool client_is_gone;   /* and reads nothing more */
	bool is_reset;         /* what was on its way may be lost */
	bool server_is_gone;
	uint64_t tell_closed_ns; /* its close is told of then */
	uint64_t sending_sum;    /* of the pieces that are being sent: they may not change meanwhile */
};

/* ------------------------------------------------------------------ the client's side ------ */

/* The number of a new one, which waits to be accepted; how much its pipes hold is chosen. */
uint32_t socket_connect(int listener, struct choice *choice);
/* How many bytes found room, or were there. */
size_t socket_put(uint32_t number, const char *bytes, size_t length);
size_t socket_take(uint32_t number, char *bytes, size_t room);
bool socket_has_room(uint32_t number);
bool socket_has_bytes(uint32_t number);
/* The server has closed it; what is left can be taken. */
bool socket_is_over(uint32_t number);
/* Its state in words, for a report. */
void socket_describe(uint32_t number, char *text, size_t room);
/* No more will be sent; answers are still read. */
void socket_end(uint32_t number);
/* Gone; with is_reset what the server has not received yet is lost. The number is not the client's
 * any more. */
void socket_leave(uint32_t number, bool is_reset);

/* ------------------------------------------------------------------ the server's side ------ */

/* Fails the run if it is none that is open at the server. */
struct simulated_socket *socket_of(int descriptor);
/* The next that waits for this listener; -1: none. */
int socket_accept(int listener);
bool socket_waits(int listener);
void socket_close(int descriptor);

size_t pipe_bytes(const struct pipe *pipe);
size_t pipe_put(struct pipe *pipe, const char *bytes, size_t length);
size_t pipe_take(struct pipe *pipe, char *bytes, size_t room);

#endif
