/* server/io/io_uring_parts.h: what io_uring.c, which serves sockets, io_uring_ring.c, which makes
 * the ring, and io_uring_look.c, which looks after streams that the kernel has forgotten, share.
 * The first is above the two others: they call nothing of it, but say what it is to do. */
#ifndef SNUG_SERVER_IO_URING_PARTS_H
#define SNUG_SERVER_IO_URING_PARTS_H

#include "server/io/io_backend.h"

#include <liburing.h>

#define BUFFER_GROUP 0
/* More than the 32 that the kernel fills for one stream before it looks at the next: one that
 * floods leaves some. */
#define BUFFERS 64u
#define OWN_BUFFER (BUFFERS - 1u) /* never the kernel's: for what follows the user's room */
#define LISTENERS_MAX 32u
#define WATCHED_MAX 2u
#define SILENT_MAX 128u /* sends at a time; those beyond are told by the kernel */

/* What a completion is of: the low bits of its user data; the others are the address. */
enum what {
	WHAT_RECEIVE,
	WHAT_SEND,
	WHAT_RECEIVE_CANCEL,
	WHAT_SEND_CANCEL,
	WHAT_ACCEPT,
	WHAT_WATCH,
	WHAT_IGNORED,
};
#define WHAT_MASK UINT64_C(7)

enum stream_state {
	STREAM_RECEIVING = 1, /* armed */
	STREAM_SENDING = 2,   /* the kernel has it */
	STREAM_PAUSED = 4,
	STREAM_ENDED = 8,   /* the peer's end was told */
	STREAM_BROKEN = 16, /* was told */
	STREAM_CLOSED = 32,
	STREAM_GONE = 64,   /* on the list of those whose end is to be told */
	STREAM_HEARD = 128, /* on a ring of io_uring_look.c's */
	/* It was paused for what had come, or has room for what comes: a buffer at a time, until three
	 * receives in a row have not filled theirs. Two bits. */
	STREAM_CROWDS_ONE = 256,
	STREAM_CROWDS = 768,
	STREAM_SILENT = 1024, /* nothing is said if what is being sent has gone */
};

struct listening {
	_Alignas(8) int fd;
	uint32_t tag;
	bool is_armed;
};

struct watched {
	_Alignas(8) int fd;
	bool is_armed;
};

struct uring_io {
	struct io io; /* must be the first */
	struct io_uring ring;
	struct io_uring_buf_ring *buffer_ring;
	char *buffers;
	size_t buffer_bytes; /* of each */
	uint32_t queue_entries;
	struct io_stream *closed; /* to be told */
	uint32_t listener_count;
	uint32_t watched_count;
	bool is_stopped;          /* accepts no more */
	uint64_t accept_again_ns; /* no descriptors were left: not before then */
	uint32_t polls;           /* made */
	uint64_t look_ns;         /* no round of looks begins before then */
	bool is_held;
	uint16_t kept_count; /* buffers that go back to the kernel with the release */
	uint16_t kept[BUFFERS];
	/* ring of those whose receive has ended because the kernel had no buffers */
	struct io_stream starved;
	/* ring of those that were received from since they were looked at; this one is its ends */
	struct io_stream heard;
	struct io_stream looking; /* the same, of those that this round has still to look at */
	uint32_t silent_count;
	struct io_stream *silent[SILENT_MAX]; /* queued, or handed over; NULL: something was said */
	struct listening listener[LISTENERS_MAX];
	struct watched watched[WATCHED_MAX];
};

/* All but the backend's table. OS_THREAD, OS_MEMORY. */
snug_error uring_ring_create(uint64_t memory_bytes, struct uring_io **out);
void uring_ring_destroy(struct uring_io *self);
size_t uring_ring_bytes(const struct uring_io *self);

/* A buffer that the kernel has picked, and giving it back. */
char *uring_buffer(const struct uring_io *self, uint32_t number);
void uring_give_buffer(struct uring_io *self, uint32_t number);

/* io_uring_look.c: `heard` after each receive, `forget` before the end of a stream. */
void uring_look_begin(struct uring_io *self);
void uring_heard(struct uring_io *self, struct io_stream *stream);
void uring_forget(struct io_stream *stream);
/* Waits for the release; the next of those that do, which waits no more, or NULL. */
void uring_starve(struct uring_io *self, struct io_stream *stream);
struct io_stream *uring_starved(struct uring_io *self);
/* Looks after some of them. Tells of how many the receive is to be armed anew, because an end is
 * there: `anew`. */
#define LOOKS_MAX 64u
uint32_t uring_look(struct uring_io *self, struct io_stream *anew[LOOKS_MAX]);

/* A receive of at most `once_bytes` into a picked buffer; 0: into one buffer after the other. */
void uring_prepare_receive(struct io_uring_sqe *sqe, int fd, size_t once_bytes);

#endif
