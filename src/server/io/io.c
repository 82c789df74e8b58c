/* server/io/io.c: chooses the way, and passes each call on. See server/io/io.h.
 *
 * AUTO is io_uring where the kernel lets us have all that it needs, else epoll. Whoever asks for
 * one of them by name gets that one or an error: a test of one way must not pass by the other.
 *
 * Cost    A call through a pointer for each call here. A worker makes a handful of them in a turn,
 *         and a turn carries the bytes of many connections. */
#include "server/io/io_backend.h"

snug_error io_create(enum io_kind kind, uint64_t memory_bytes, const struct io_events *events,
					 void *context, struct io **out) {
	struct io *io = NULL;
	snug_error error = kind == IO_EPOLL ? SNUG_ERROR_OS_THREAD : io_uring_create(memory_bytes, &io);
	if (error && kind != IO_URING) error = io_epoll_create(&io);
	if (error) return error;
	io->events = events;
	io->context = context;
	*out = io;
	return SNUG_OK;
}

void io_destroy(struct io *io) {
	if (io != NULL) io->backend->destroy(io);
}

const char *io_name(const struct io *io) {
	return io->backend->name;
}

size_t io_memory_bytes(const struct io *io) {
	return io->backend->memory_bytes(io);
}

bool io_listen(struct io *io, int fd, uint32_t tag) {
	return io->backend->listen(io, fd, tag);
}

void io_stop_listening(struct io *io) {
	io->backend->stop_listening(io);
}

bool io_open(struct io *io, struct io_stream *stream, int fd) {
	return io->backend->open(io, stream, fd);
}

void io_pause(struct io *io, struct io_stream *stream) {
	io->backend->pause(io, stream);
}

void io_resume(struct io *io, struct io_stream *stream) {
	io->backend->resume(io, stream);
}

void io_hold(struct io *io) {
	io->backend->hold(io, true);
}

void io_release(struct io *io) {
	io->backend->hold(io, false);
}

bool io_send(struct io *io, struct io_stream *stream, struct iovec *pieces, size_t count) {
	return io->backend->send(io, stream, pieces, count);
}

void io_close(struct io *io, struct io_stream *stream) {
	io->backend->close(io, stream);
}

bool io_poll(struct io *io) {
	return io->backend->poll(io);
}

bool io_watch(struct io *io, int fd) {
	return io->backend->watch(io, fd);
}

void io_wait(struct io *io, uint64_t timeout_ns) {
	io->backend->wait(io, timeout_ns);
}
