/* server/io/io_uring_parts.h: what io_uring.c, which serves sockets, and io_uring_ring.c, which makes the ring, share. */
#ifndef SNUG_SERVER_IO_URING_PARTS_H
#define SNUG_SERVER_IO_URING_PARTS_H

#include "server/io/io_backend.h"

#include <liburing.h>

#define BUFFER_GROUP 0
#define LISTENERS_MAX 32u
#define WATCHED_MAX 2u

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
	size_t buffer_bytes;      /* of each */
	struct io_stream *closed; /* to be told */
	uint32_t listener_count;
	uint32_t watched_count;
	bool is_stopped;          /* accepts no more */
	uint64_t accept_again_ns; /* no descriptors were left: not before then */
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

/* A receive into picked buffers that goes on by itself. */
void uring_prepare_receive(struct io_uring_sqe *sqe, int fd);

#endif
