/* server/io/io_uring_ring.c: the ring of io_uring.c and its buffers: made, tried out, given back.
 *
 *     submissions   64 to 1024            ours -> kernel: what is to be done
 *     completions   8 for each of them    kernel -> ours: what came of it
 *     buffer ring   [ BUFFERS ]           ours -> kernel: numbers of the buffers that it may fill
 *     buffers       [16 KiB][16 KiB] ..   1 KiB each at least; the last one is ours alone
 *
 * Where the worker has little memory, queues and buffers are smaller: each of the two takes a
 * sixteenth of it at most.
 *
 * What lies in buffers when a turn begins may all have to be kept in that turn. So they must fit
 * the worker's memory, and are as few as serve: the kernel fills up to 32 for one stream before it
 * looks at the next, so with 64 one that floods leaves some to the others.
 *
 * TRIAL. The kernel may refuse any of it: a kernel that is too old (before 6.1), the setting
 * kernel.io_uring_disabled, a sandbox that lets some of the three system calls pass and others not,
 * a limit. A ring that could be made proves little. So before it is handed out a byte goes through
 * it: a receive like those of the connections must bring it in a buffer, go on, and then tell the
 * end. That takes 20 us, once for each worker.
 *
 * The flags: one thread submits (SINGLE_ISSUER), completions are made when it asks for them
 * (DEFER_TASKRUN) and it is told that there are some (TASKRUN_FLAG); without these io_uring was
 * worse than epoll. */
#include "server/io/io_uring_parts.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define QUEUE_ENTRIES_MIN 64u
#define QUEUE_ENTRIES_MAX 1024u
#define COMPLETIONS_AN_ENTRY 8u
#define ENTRY_BYTES \
	(sizeof(struct io_uring_sqe) + COMPLETIONS_AN_ENTRY * sizeof(struct io_uring_cqe))
#define BUFFERS_SHARE 16u /* of the memory, at most: the buffers, and the queues */
#define BUFFER_BYTES_MIN ((size_t)1024)
#define BUFFER_BYTES_MAX ((size_t)16384)
#define TRIAL_SECONDS 5

/* ------------------------------------------------------------------ buffers ---------------- */

/* What a worker has not taken in yet lies in them, and what comes of that in a turn may have to be
 * kept: it must fit his memory. */
static size_t buffer_bytes_for(uint64_t memory_bytes) {
	size_t bytes = BUFFER_BYTES_MAX;
	while (memory_bytes > 0 && bytes > BUFFER_BYTES_MIN &&
		   BUFFERS * bytes > memory_bytes / BUFFERS_SHARE)
		bytes /= 2;
	return bytes;
}

/* A queue that is full is handed over, and begun anew: a short one costs calls of the system, where
 * it is used at all. */
static uint32_t entries_for(uint64_t memory_bytes) {
	uint32_t entries = QUEUE_ENTRIES_MAX;
	while (memory_bytes > 0 && entries > QUEUE_ENTRIES_MIN &&
		   entries * ENTRY_BYTES > memory_bytes / BUFFERS_SHARE)
		entries /= 2;
	return entries;
}

char *uring_buffer(const struct uring_io *self, uint32_t number) {
	return self->buffers + number * self->buffer_bytes;
}

void uring_give_buffer(struct uring_io *self, uint32_t number) {
	io_uring_buf_ring_add(self->buffer_ring, uring_buffer(self, number),
						  (unsigned)self->buffer_bytes, (unsigned short)number,
						  io_uring_buf_ring_mask(BUFFERS), 0);
	io_uring_buf_ring_advance(self->buffer_ring, 1);
}

static void *map(size_t bytes) {
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

static snug_error make_buffers(struct uring_io *self) {
	self->buffer_ring = map(BUFFERS * sizeof(struct io_uring_buf));
	self->buffers = map(BUFFERS * self->buffer_bytes);
	if (self->buffer_ring == NULL || self->buffers == NULL) return SNUG_ERROR_OS_MEMORY;
	struct io_uring_buf_reg registration = {.ring_addr = (uint64_t)(uintptr_t)self->buffer_ring,
											.ring_entries = BUFFERS,
											.bgid = BUFFER_GROUP};
	if (io_uring_register_buf_ring(&self->ring, &registration, 0) != 0) return SNUG_ERROR_OS_THREAD;
	io_uring_buf_ring_init(self->buffer_ring);
	for (uint32_t number = 0; number < OWN_BUFFER; number++) uring_give_buffer(self, number);
	return SNUG_OK;
}

/* ------------------------------------------------------------------ trial ------------------ */

void uring_prepare_receive(struct io_uring_sqe *sqe, int fd, size_t once_bytes) {
	if (once_bytes > 0)
		io_uring_prep_recv(sqe, fd, NULL, once_bytes, 0);
	else
		io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = BUFFER_GROUP;
}

/* The next completion must be of `result` bytes, in a buffer if there are any, and go on or not. */
static bool brings(struct uring_io *self, int result, bool goes_on) {
	struct io_uring_cqe *completion;
	struct __kernel_timespec timeout = {.tv_sec = TRIAL_SECONDS};
	if (io_uring_submit_and_wait_timeout(&self->ring, &completion, 1, &timeout, NULL) < 0)
		return false;
	if (io_uring_peek_cqe(&self->ring, &completion) != 0) return false;
	bool is_right =
		completion->res == result && ((completion->flags & IORING_CQE_F_MORE) != 0) == goes_on;
	bool has_buffer = (completion->flags & IORING_CQE_F_BUFFER) != 0;
	if (has_buffer) uring_give_buffer(self, completion->flags >> IORING_CQE_BUFFER_SHIFT);
	io_uring_cqe_seen(&self->ring, completion);
	return is_right && (has_buffer || result == 0);
}

static bool try_out(struct uring_io *self) {
	int pair[2];
	struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
	if (sqe == NULL ||
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
		return false;
	uring_prepare_receive(sqe, pair[0], 0);
	bool works = send(pair[1], "!", 1, MSG_NOSIGNAL) == 1 && brings(self, 1, true);
	close(pair[1]);
	works = works && brings(self, 0, false);
	close(pair[0]);
	return works;
}

/* ------------------------------------------------------------------ create ----------------- */

void uring_ring_destroy(struct uring_io *self) {
	io_uring_queue_exit(&self->ring);
	if (self->buffer_ring != NULL) munmap(self->buffer_ring, BUFFERS * sizeof(struct io_uring_buf));
	if (self->buffers != NULL) munmap(self->buffers, BUFFERS * self->buffer_bytes);
	free(self);
}

size_t uring_ring_bytes(const struct uring_io *self) {
	return sizeof(struct uring_io) + BUFFERS * (self->buffer_bytes + sizeof(struct io_uring_buf)) +
		   self->queue_entries * ENTRY_BYTES;
}

snug_error uring_ring_create(uint64_t memory_bytes, struct uring_io **out) {
	struct uring_io *self = calloc(1, sizeof *self);
	if (self == NULL) return SNUG_ERROR_OS_MEMORY;
	self->buffer_bytes = buffer_bytes_for(memory_bytes);
	self->queue_entries = entries_for(memory_bytes);
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
				 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE |
				 IORING_SETUP_CLAMP,
		.cq_entries = self->queue_entries * COMPLETIONS_AN_ENTRY,
	};
	if (io_uring_queue_init_params(self->queue_entries, &self->ring, &params) != 0) {
		free(self);
		return SNUG_ERROR_OS_THREAD;
	}
	snug_error error = make_buffers(self);
	if (!error && !try_out(self)) error = SNUG_ERROR_OS_THREAD;
	if (error) {
		uring_ring_destroy(self);
		return error;
	}
	*out = self;
	return SNUG_OK;
}
