/* server/tls/tls_io.h: the layer between a worker's connections and its io. It is an io itself
 * (server/io/io_backend.h), and has the worker's io beneath it. What is not secured passes through.
 *
 *     connection --io_send--> layer: encrypts, a part at a time --io_send--> io
 *     connection <-received-- layer: decrypts all that came    <--received-- io
 *
 * To a connection a secured stream is like any other: its bytes, its end, `sent`, `broken`, `closed`.
 * The laws of server/io/io.h hold for it.
 *
 * BOUNDS. Until a client has proved to speak TLS it holds two cells of connection memory and what it
 * has sent of its first record. From then on a handshake has a share of memory, and all of a worker's
 * have a quarter of its connection memory. There is a number of them at a time; when it is reached,
 * who has kept us waiting longest goes. A handshake has --ssl-handshake-timeout. Of a turn they take
 * HANDSHAKE_SLICE_NS, and one more step. */
#ifndef SNUG_SERVER_TLS_IO_H
#define SNUG_SERVER_TLS_IO_H

#include "server/buffers/buffers.h"
#include "server/io/io.h"
#include "server/tls/tls.h"

#define HANDSHAKE_SLICE_NS UINT64_C(500000)

struct tls_hooks {
	/* The handshake is over. `name` is that of the client's certificate, if it has proved one. Before
	 * its first bytes are received. */
	void (*established)(void *context, struct io_stream *stream, const char *name, size_t length);
	/* What OpenSSL holds for it finds no room in the connection memory: it is to be closed. */
	void (*starved)(void *context, struct io_stream *stream);
};

/* Takes `io`, and its events; what is created is used in its place, and destroys it. NULL: no
 * memory, and nothing has changed. Hooks, counts and buffers must outlive it. `sharers`: how many
 * workers take connections. */
struct io *tls_io_create(struct io *io, struct tls *tls, uint32_t sharers,
						 const struct tls_hooks *hooks, struct tls_counts *counts,
						 struct buffers *buffers);

/* As io_open, of a connection that is to be secured: we are the server. Nothing is told of it before
 * the handshake is over, but `broken`. */
SNUG_NODISCARD bool tls_io_open(struct io *io, struct io_stream *stream, int fd,
								enum tls_clients clients);

static inline bool tls_io_is_secured(const struct io_stream *stream) {
	return (stream->state & IO_SECURED) != 0;
}

/* Of the worker's connection memory, by this stream. */
uint64_t tls_io_held_bytes(const struct io_stream *stream);

#endif
