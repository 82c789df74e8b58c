/* server/io/io_backend.h: what stands behind server/io/io.h: a table of functions for each way to
 * do it. io.c fills in the events; a way creates itself with its table, and calls the events. Tests
 * put sockets in memory behind the same table (tests/support/fake_io.c,
 * tests/simulate/world/simulated_io.c). */
#ifndef SNUG_SERVER_IO_BACKEND_H
#define SNUG_SERVER_IO_BACKEND_H

#include "server/io/io.h"

struct io_backend {
	const char *name;
	void (*destroy)(struct io *io);
	size_t (*memory_bytes)(const struct io *io);
	bool (*listen)(struct io *io, int fd, uint32_t tag);
	void (*stop_listening)(struct io *io);
	bool (*open)(struct io *io, struct io_stream *stream, int fd);
	void (*pause)(struct io *io, struct io_stream *stream);
	void (*resume)(struct io *io, struct io_stream *stream);
	void (*hold)(struct io *io, bool is_held);
	bool (*send)(struct io *io, struct io_stream *stream, struct iovec *pieces, size_t count);
	void (*close)(struct io *io, struct io_stream *stream);
	bool (*poll)(struct io *io);
	bool (*watch)(struct io *io, int fd);
	void (*wait)(struct io *io, uint64_t timeout_ns);
};

/* What each way's own struct begins with. */
struct io {
	const struct io_backend *backend;
	const struct io_events *events;
	void *context;
	size_t room_bytes; /* that this poll may still receive into the user's memory */
};

snug_error io_epoll_create(struct io **out);
/* OS_THREAD: the kernel does not have, or does not let us have, what it needs; or it was not built
 * in. */
snug_error io_uring_create(uint64_t memory_bytes, struct io **out);

/* How long accepts rest when one has failed for a reason that does not pass by itself, such as too
 * many open files. */
#define ACCEPT_PAUSE_NS UINT64_C(100000000)
/* An accept failed because of who came, not because of us: the next may succeed. */
bool io_accept_goes_on(int error);

/* Tells of the streams that are in this list, linked by `next`, and empties it. Whether there were
 * any. A stream may be gone once it was told. */
static inline bool io_tell_closed(struct io *io, struct io_stream **closed) {
	bool any = *closed != NULL;
	while (*closed != NULL) {
		struct io_stream *stream = *closed;
		*closed = stream->next;
		io->events->closed(io->context, stream);
	}
	return any;
}

/* RECEIVING INTO THE USER'S ROOM, in a poll, which begins with io_allow_room: as many bytes as lie in a
 * way's own buffers otherwise, so that no poll is long. */
#define IO_ROOM_BYTES ((size_t)1 << 20)

static inline void io_allow_room(struct io *io) {
	io->room_bytes = IO_ROOM_BYTES;
}

/* A value went to the user's room, so what comes next is likely the head of another one. No more than a
 * head is then received into the way's buffer: what lies behind it in the kernel goes to its room, too,
 * and is copied once. It costs a short receive where something else comes. Of the io's bits of a state. */
#define IO_AFTER_ROOM ((uint16_t)0x0800)
#define IO_HEAD_BYTES ((size_t)2048)

/* How much of the way's buffer the next receive fills. */
static inline size_t io_buffer_share(const struct io_stream *stream, size_t buffer_bytes) {
	bool is_head = (stream->state & IO_AFTER_ROOM) != 0 && buffer_bytes > IO_HEAD_BYTES;
	return is_head ? IO_HEAD_BYTES : buffer_bytes;
}

/* Pieces, at most IO_PIECES_MAX - 1: one more is the way's own buffer. 0: there is no room. */
size_t io_room(struct io *io, struct io_stream *stream, struct iovec *pieces);

struct io_receipt {
	ssize_t bytes; /* as of recv: 0 is the end, -1 with errno an error */
	size_t placed_bytes;
	size_t buffered_bytes;
	bool is_short; /* there is no more just now */
};

/* What is there, into the pieces of io_room, of which the array takes one more, and what follows them
 * into the buffer, as much as io_buffer_share says. Waits for nothing. Tells nobody. */
struct io_receipt io_receive(struct io *io, struct io_stream *stream, struct iovec *pieces,
							 size_t count, char *buffer, size_t buffer_bytes);

/* The message of what is left: `room` takes the pieces, of which the first may be cut. */
size_t io_pieces_left(const struct io_stream *stream, struct iovec *room);

#endif
