/* fake_io.c: see fake_io.h. Linked in place of io_epoll.c and io_uring.c. */
#include "support/fake_io.h"

#include "support/io_place.h"
#include "support/require.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_FD 1000000 /* no descriptor of the process: to close it does nothing */
#define RECEIVE_MAX 65536u

struct fake_io {
	struct io io; /* must be the first */
	uint32_t streams;
	bool is_held; /* nobody is received from */
};

static struct fake_socket sockets[FAKE_SOCKETS_MAX];

static struct fake_io *self_of(struct io *io) {
	return (struct fake_io *)(void *)io;
}

/* ------------------------------------------------------------------ the test's side -------- */

struct fake_socket *fake_socket(uint32_t number) {
	REQUIRE(number < FAKE_SOCKETS_MAX && sockets[number].is_used, "no such socket: %u", number);
	return &sockets[number];
}

static struct fake_socket *socket_of(const struct io_stream *stream) {
	return fake_socket((uint32_t)(stream->fd - FIRST_FD));
}

uint32_t fake_socket_open(void) {
	uint32_t number = 0;
	while (number < FAKE_SOCKETS_MAX && sockets[number].is_used) number++;
	REQUIRE(number < FAKE_SOCKETS_MAX, "more than %u sockets", FAKE_SOCKETS_MAX);
	sockets[number] = (struct fake_socket){
		.is_used = true, .window_bytes = FAKE_UNLIMITED, .piece_bytes = FAKE_UNLIMITED};
	return number;
}

void fake_accept(struct io *io, uint32_t number, uint32_t tag) {
	(void)fake_socket(number);
	io->events->accepted(io->context, tag, FIRST_FD + (int)number);
}

void fake_send(uint32_t number, const char *bytes, size_t length) {
	byte_queue_append(&fake_socket(number)->to_server, bytes, length);
}

void fake_reset_all(void) {
	for (uint32_t i = 0; i < FAKE_SOCKETS_MAX; i++) {
		sockets[i].is_reset = true;
		sockets[i].is_closing_late = false;
		if (sockets[i].is_paused) sockets[i].is_late = true;
	}
}

void fake_sockets_forget(void) {
	for (uint32_t i = 0; i < FAKE_SOCKETS_MAX; i++) {
		struct fake_socket *socket = &sockets[i];
		REQUIRE(socket->stream == NULL && socket->told == NULL, "socket %u is still a stream", i);
		free(socket->to_server.bytes);
		free(socket->answers.bytes);
		free(socket->copy);
		*socket = (struct fake_socket){0};
	}
}

/* ------------------------------------------------------------------ streams ---------------- */

static bool fake_open(struct io *io, struct io_stream *stream, int fd) {
	*stream = (struct io_stream){.fd = fd};
	struct fake_socket *socket = socket_of(stream);
	REQUIRE(socket->stream == NULL && !socket->is_closed, "a socket is opened twice");
	socket->stream = stream;
	/* Whose it is. */
	stream->next = (struct io_stream *)(void *)io;
	self_of(io)->streams++;
	return true;
}

static void fake_pause(struct io *io, struct io_stream *stream) {
	struct fake_socket *socket = socket_of(stream);
	(void)io;
	REQUIRE(socket->stream == stream, "a stream is paused that is closed");
	if (!socket->is_paused) socket->is_late = socket->receives_once;
	socket->is_paused = true;
}

static void fake_resume(struct io *io, struct io_stream *stream) {
	struct fake_socket *socket = socket_of(stream);
	(void)io;
	REQUIRE(socket->stream == stream, "a stream is resumed that is closed");
	socket->is_paused = socket->is_late = false;
}

static void fake_hold(struct io *io, bool is_held) {
	self_of(io)->is_held = is_held;
}

static void fake_close(struct io *io, struct io_stream *stream) {
	struct fake_socket *socket = socket_of(stream);
	(void)io;
	REQUIRE(socket->stream == stream, "a stream is closed twice");
	socket->stream = NULL;
	socket->told = stream;
}

/* ------------------------------------------------------------------ send ------------------- */

static size_t bytes_of(const struct io_stream *stream) {
	size_t bytes = 0;
	for (size_t i = 0; i < stream->piece_count; i++) bytes += stream->pieces[i].iov_len;
	return bytes;
}

static void keep_copy(struct fake_socket *socket, const struct io_stream *stream) {
	size_t at = 0;
	free(socket->copy);
	socket->copy = malloc(bytes_of(stream));
	REQUIRE(socket->copy != NULL, "no memory");
	for (size_t i = 0; i < stream->piece_count; at += stream->pieces[i++].iov_len)
		memcpy(socket->copy + at, stream->pieces[i].iov_base, stream->pieces[i].iov_len);
}

/* They may be read by the kernel until the send has ended, or the stream. */
static void require_unchanged(const struct fake_socket *socket, const struct io_stream *stream) {
	size_t at = 0;
	for (size_t i = 0; i < stream->piece_count; at += stream->pieces[i++].iov_len)
		REQUIRE(memcmp(socket->copy + at, stream->pieces[i].iov_base, stream->pieces[i].iov_len) ==
					0,
				"bytes that are being sent have changed");
}

/* As far as the window goes. Tells whether all has gone. */
static bool take(struct fake_socket *socket, struct io_stream *stream) {
	struct iovec rest[IO_PIECES_MAX];
	size_t count = io_pieces_left(stream, rest);
	for (size_t i = 0; i < count; i++) {
		size_t part =
			rest[i].iov_len < socket->window_bytes ? rest[i].iov_len : socket->window_bytes;
		byte_queue_append(&socket->answers, rest[i].iov_base, part);
		stream->sent_bytes += part;
		if (socket->window_bytes != FAKE_UNLIMITED) socket->window_bytes -= part;
		if (part < rest[i].iov_len) return false;
	}
	return true;
}

static bool fake_io_send(struct io *io, struct io_stream *stream, struct iovec *pieces,
						 size_t count) {
	struct fake_socket *socket = socket_of(stream);
	(void)io;
	REQUIRE(socket->stream == stream && !socket->is_sending,
			"a send beside a send, or after the close");
	REQUIRE(count > 0 && count <= IO_PIECES_MAX, "a send of %zu pieces", count);
	stream->pieces = pieces;
	stream->piece_count = count;
	stream->sent_bytes = 0;
	REQUIRE(bytes_of(stream) > 0, "a send of nothing");
	socket->sends++;
	if (!socket->sends_later && !socket->is_reset && take(socket, stream)) return true;
	keep_copy(socket, stream);
	socket->is_sending = true;
	return false;
}

/* ------------------------------------------------------------------ poll ------------------- */

static bool can_send(const struct fake_socket *socket) {
	return socket->is_sending && (socket->is_reset || socket->window_bytes > 0);
}

static bool can_receive(const struct fake_socket *socket) {
	if (socket->is_broken || (socket->is_paused && !socket->is_late)) return false;
	return socket->is_reset || byte_queue_left(&socket->to_server) > 0 ||
		   (socket->has_ended && !socket->end_was_told);
}

static void tell_broken(struct io *io, struct fake_socket *socket) {
	socket->is_broken = true;
	io->events->broken(io->context, socket->stream);
}

static void go_on_sending(struct io *io, struct fake_socket *socket) {
	struct io_stream *stream = socket->stream;
	require_unchanged(socket, stream);
	if (socket->is_reset) {
		tell_broken(io, socket);
		return;
	}
	if (!take(socket, stream)) {
		io->events->sent_part(io->context, stream);
		return;
	}
	socket->is_sending = false;
	io->events->sent(io->context, stream);
}

/* Into memory of just that size, so that who reads behind it, or later, is caught. */
static void deliver(struct io *io, struct fake_socket *socket, size_t length) {
	if (length > RECEIVE_MAX) length = RECEIVE_MAX;
	char *bytes = malloc(length);
	REQUIRE(bytes != NULL, "no memory");
	memcpy(bytes, socket->to_server.bytes + socket->to_server.begin, length);
	socket->to_server.begin += length;
	size_t placed = io_place(io, socket->stream, bytes, length);
	socket->placed_bytes += placed;
	if (placed < length && socket->stream != NULL)
		io->events->received(io->context, socket->stream, bytes + placed, length - placed);
	free(bytes);
}

/* What was sent before a reset is lost. */
static void receive(struct io *io, struct fake_socket *socket) {
	size_t there = byte_queue_left(&socket->to_server);
	socket->is_late = false;
	if (socket->is_reset) {
		tell_broken(io, socket);
	} else if (there > 0) {
		deliver(io, socket, there < socket->piece_bytes ? there : socket->piece_bytes);
	} else {
		socket->end_was_told = true;
		io->events->received(io->context, socket->stream, NULL, 0);
	}
}

static void tell_closed(struct io *io, struct fake_socket *socket) {
	struct io_stream *stream = socket->told;
	if (socket->is_sending) require_unchanged(socket, stream);
	socket->told = NULL;
	socket->is_closed = true;
	self_of(io)->streams--;
	io->events->closed(io->context, stream);
}

static bool is_of(const struct io *io, const struct io_stream *stream) {
	return stream != NULL && (const void *)stream->next == (const void *)io;
}

/* Of a close is told in a later poll, as io_uring does: what has come back meanwhile finds a
 * connection that is closing. */
static bool fake_poll(struct io *io) {
	bool any = false;
	for (uint32_t i = 0; i < FAKE_SOCKETS_MAX; i++)
		if (is_of(io, sockets[i].told) && !sockets[i].is_closing_late) {
			tell_closed(io, &sockets[i]);
			any = true;
		}
	for (uint32_t i = 0; i < FAKE_SOCKETS_MAX; i++) {
		struct fake_socket *socket = &sockets[i];
		if (is_of(io, socket->stream) && !socket->is_broken && can_send(socket)) {
			go_on_sending(io, socket);
			any = true;
		}
		if (!self_of(io)->is_held && is_of(io, socket->stream) && can_receive(socket)) {
			receive(io, socket);
			any = true;
		}
	}
	return any;
}

bool fake_has_news(void) {
	bool any = false;
	for (uint32_t i = 0; i < FAKE_SOCKETS_MAX; i++) {
		const struct fake_socket *socket = &sockets[i];
		const struct io_stream *stream = socket->stream;
		any |= socket->told != NULL && !socket->is_closing_late;
		if (stream == NULL || socket->is_broken) continue;
		bool is_held = ((const struct fake_io *)(const void *)stream->next)->is_held;
		any |= can_send(socket) || (!is_held && can_receive(socket));
	}
	return any;
}

/* ------------------------------------------------------------------ the rest of io.h ------- */

static bool fake_listen(struct io *io, int fd, uint32_t tag) {
	(void)io;
	(void)fd;
	(void)tag;
	return true;
}

static void fake_stop_listening(struct io *io) {
	(void)io;
}

static bool fake_watch(struct io *io, int fd) {
	(void)io;
	(void)fd;
	return true;
}

static void fake_wait(struct io *io, uint64_t timeout_ns) {
	(void)io;
	(void)timeout_ns;
	REQUIRE(false, "nobody waits in one thread");
}

static void fake_destroy(struct io *io) {
	REQUIRE(self_of(io)->streams == 0, "an io is destroyed that has streams");
	free(io);
}

static size_t fake_memory_bytes(const struct io *io) {
	(void)io;
	return sizeof(struct fake_io);
}

static const struct io_backend backend = {
	.name = "fake",
	.destroy = fake_destroy,
	.memory_bytes = fake_memory_bytes,
	.listen = fake_listen,
	.stop_listening = fake_stop_listening,
	.open = fake_open,
	.pause = fake_pause,
	.resume = fake_resume,
	.hold = fake_hold,
	.send = fake_io_send,
	.close = fake_close,
	.poll = fake_poll,
	.watch = fake_watch,
	.wait = fake_wait,
};

snug_error io_epoll_create(struct io **out) {
	struct fake_io *self = calloc(1, sizeof *self);
	if (self == NULL) return SNUG_ERROR_OS_MEMORY;
	self->io.backend = &backend;
	*out = &self->io;
	return SNUG_OK;
}

uint64_t fake_io_memory_bytes;

snug_error io_uring_create(uint64_t memory_bytes, struct io **out) {
	fake_io_memory_bytes = memory_bytes;
	(void)out;
	return SNUG_ERROR_OS_THREAD;
}
