/* server/io/io.h: what a worker asks of the kernel about its sockets. One interface, two ways
 * beneath it. The door of this room:
 *
 *     io.c               chooses the way, and passes each call on
 *     io_backend.h, .c   a way as a table of functions, and what all ways share
 *     io_epoll.c         epoll, edge-triggered: receives into one buffer, sends at once
 *     io_uring.c         io_uring: accept and receive are armed once and go on by themselves
 *                        (multishot); bytes come in buffers that the kernel picks from a ring of
 *                        ours; sends are queued and go with the next turn's one system call
 *     io_uring_ring.c    its ring and its buffers: made, tried out, given back
 *     io_uring_look.c    streams whose end the kernel has forgotten to tell
 *     io_uring_parts.h   what these three share
 *     io_uring_absent.c  in their place where liburing was not there at the build
 *
 * A stream, as its user sees it:
 *
 *     io_open --> open <--io_pause, io_resume--> paused: nothing is received; sends go on
 *                   |--received of length 0--> the peer has ended; sends go on
 *                   |--broken--> nothing more comes or goes: it is to be closed
 *                   '--io_close--> closed, told in a later io_poll: its memory is the user's again
 *
 * Laws    - An io belongs to one thread, the worker's, which creates it.
 *         - Callbacks run inside io_poll alone, so nothing changes under a user who does not poll.
 *         - A stream is the caller's memory, embedded in what he keeps for a connection, from
 *           io_open until `closed`. Nothing is allocated for it.
 *         - io_poll does a bounded amount. Bytes and ends that are left wait in the kernel.
 *         - What a connection sees does not depend on the way. test_io.c runs over
 *           both. */
#ifndef SNUG_SERVER_IO_H
#define SNUG_SERVER_IO_H

#include <snug/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define IO_PIECES_MAX 64u /* of one send */

struct io;

struct io_stream {
	int fd;
	uint16_t state;   /* the io's own, from here on, but for four bits */
	uint16_t pending; /* what the kernel still has of this stream */
	struct io_stream *next;
	struct io_stream *previous;
	struct iovec *pieces; /* what is being sent */
	size_t piece_count;
	size_t sent_bytes;
	struct msghdr message;
};

/* For the io_sends to come: nothing waits for their end, so `sent` may come only when something else
 * happens, or when a wait's time is over. */
#define IO_TOLD_LATE ((uint16_t)0x8000)

/* Of a layer above the io (server/tls/tls_io.h): the stream is its own. Set once it is open. */
#define IO_SECURED ((uint16_t)0x4000)

/* What comes next has a place where it will lie, such as a large value: `room` is asked for it, until it
 * has none. A hint, at any time. */
#define IO_HAS_ROOM ((uint16_t)0x2000)

/* Its socket is one whose records the kernel encrypts (server/tls/tls_kernel.h): it refuses
 * MSG_WAITALL. Set while nothing is being sent. */
#define IO_ENCRYPTED ((uint16_t)0x1000)

static inline void io_offer_room(struct io_stream *stream) {
	stream->state |= IO_HAS_ROOM;
}

static inline void io_tell_late(struct io_stream *stream, bool may_be_late) {
	stream->state = (uint16_t)((stream->state & ~IO_TOLD_LATE) | (may_be_late ? IO_TOLD_LATE : 0));
}

/* Bytes of which `received` will tell. */
struct io_coming {
	struct io_stream *stream;
	const char *bytes;
	size_t length;
};

#define IO_COMING_MAX 64u

struct io_events {
	/* A connection to the listener that was opened with `tag`: non-blocking; the receiver's to open
	 * as a stream, or to close. */
	void (*accepted)(void *context, uint32_t tag, int fd);
	/* Bytes from the peer, valid until the return. A length of 0: the peer has sent all it will (it
	 * may still read). Must take everything; to get no more for a while, io_pause. */
	void (*received)(void *context, struct io_stream *stream, const char *bytes, size_t length);
	/* All pieces of the last io_send that answered false have gone out. */
	void (*sent)(void *context, struct io_stream *stream);
	/* More of them have gone out, and some are left: the peer takes what it is sent. Whoever takes
	 * nothing is not told of, once the kernel's buffers are full. */
	void (*sent_part)(void *context, struct io_stream *stream);
	/* The connection is of no more use (reset, ..): close it. Comes once, and nothing but `closed`
	 * after it. */
	void (*broken)(void *context, struct io_stream *stream);
	/* After io_close: the descriptor is closed, and the kernel and the io know the stream no
	 * more. */
	void (*closed)(void *context, struct io_stream *stream);
	/* Only to look ahead: what of several streams `received` will tell next, before it tells of the
	 * first. Some may not be told of after all, if they are closed meanwhile. NULL: nobody looks. */
	void (*coming)(void *context, const struct io_coming *coming, size_t count);
	/* Where what comes next on a stream is to lie: pieces, at most `most`. 0: nowhere, until
	 * io_offer_room is called again. What it has said is used before the next callback or not at all.
	 * NULL where nobody calls io_offer_room. */
	size_t (*room)(void *context, struct io_stream *stream, struct iovec *pieces, size_t most);
	/* The next `length` bytes from the peer are there: no `received` tells of them. */
	void (*placed)(void *context, struct io_stream *stream, size_t length);
};

enum io_kind { IO_AUTO, IO_URING, IO_EPOLL };

/* AUTO: io_uring if the kernel lets us have all that it needs, else epoll. OS_THREAD (no
 * descriptor, or URING and the kernel does not), OS_MEMORY. Its receive buffers take a sixteenth of
 * `memory_bytes` at most, but 64 KiB at least; 0: no matter. */
SNUG_NODISCARD snug_error io_create(enum io_kind kind, uint64_t memory_bytes,
									const struct io_events *events, void *context, struct io **out);
/* Streams must be closed; listeners are forgotten, and stay open. NULL is ignored. */
void io_destroy(struct io *io);
/* "epoll", "io_uring" */
const char *io_name(const struct io *io);
/* Bytes of memory that it has of its own, buffers included. */
size_t io_memory_bytes(const struct io *io);

/* Accepts from a listening, non-blocking socket, which may be watched by several ios; its owner
 * closes it. False: the OS refused. */
SNUG_NODISCARD bool io_listen(struct io *io, int fd, uint32_t tag);
/* No more accepts, from any listener: for a stop. */
void io_stop_listening(struct io *io);

/* Begins to receive on a connected, non-blocking socket, which is the io's to close from then on.
 * False, and nothing begun: the OS refused. */
SNUG_NODISCARD bool io_open(struct io *io, struct io_stream *stream, int fd);

/* Receives nothing until io_resume. What the kernel had ready may still come once. Both may be
 * called again and again. */
void io_pause(struct io *io, struct io_stream *stream);
void io_resume(struct io *io, struct io_stream *stream);

/* Receives nothing from anybody until io_release: bytes, and ends, wait in the kernel. io_uring
 * still fills the buffers that it has, 1 MiB at most. */
void io_hold(struct io *io);
void io_release(struct io *io);

/* Sends all pieces, at most IO_PIECES_MAX. True: they are gone already. False: `sent` will tell, or
 * `broken`; until then no other send on this stream, the bytes stay unchanged, and the array is the
 * io's, which may change it. No pieces: false, and `sent` tells that the socket has room for some, as
 * poll(2) understands it. */
SNUG_NODISCARD bool io_send(struct io *io, struct io_stream *stream, struct iovec *pieces,
							size_t count);

/* Ends it, whatever is under way; `closed` comes later, inside io_poll. */
void io_close(struct io *io, struct io_stream *stream);

/* Handles what has happened, without waiting, a bounded amount of it. Tells whether anything had; a
 * watched descriptor does not count. Hands to the kernel what was queued. */
bool io_poll(struct io *io);

/* Also wakes io_wait each time that something is written to it, an eventfd: once, and in the next
 * wait if that is under way no more. Nobody has to read it. Two at most. */
SNUG_NODISCARD bool io_watch(struct io *io, int fd);
/* Until something happens, a watched descriptor was written to, or timeout_ns have passed (UINT64_MAX:
 * no limit); a signal to the thread ends it too, as do rests of a ring that the thread had before.
 * Handles nothing. */
void io_wait(struct io *io, uint64_t timeout_ns);

#endif
