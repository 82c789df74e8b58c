/* simulate/world/simulated_io.c: what stands behind server/io/io.h in a simulation, in place of
 * io_epoll.c and io_uring.c: sockets in memory.
 *
 * It does what either of the two may do, by choice: receives less than there is, once more after a
 * pause, later than it could; sends at once, in part, or later; tells of a close some time after
 * it. So what the server takes for granted of one of them shows. And it looks at what io.h asks of
 * the server: pieces that are being sent stay as they are, streams are closed once, descriptors are
 * open. */
#include "simulate/world/simulated_sockets.h"
#include "simulate/world/world.h"
#include "support/io_place.h"

#include "os/threads.h"

#include <stdlib.h>
#include <string.h>

#define LISTENERS_MAX 8u
#define WATCHED_MAX 2u
#define RECEIVE_MAX 65536u
#define LATE_CLOSE_NS UINT64_C(500000)

enum stream_state {
	STREAM_PAUSED = 1,
	STREAM_LATE = 2, /* may be received from once more, though it is paused */
	STREAM_SENDING = 4,
	STREAM_ENDED = 8,   /* the peer's end was told */
	STREAM_BROKEN = 16, /* was told */
	STREAM_CLOSED = 32,
};

struct simulated_io {
	struct io io; /* must be the first */
	uint32_t listener_count;
	uint32_t watched_count;
	int listener[LISTENERS_MAX];
	uint32_t tag[LISTENERS_MAX];
	int watched[WATCHED_MAX];
	uint64_t seen[WATCHED_MAX]; /* of their signals: by the last poll */
	bool is_held;               /* nobody is received from */
	struct io_stream *open;     /* through next and previous */
	struct io_stream *closed;   /* to be told, through next */
};

static struct simulated_io *self_of(struct io *io) {
	return (struct simulated_io *)(void *)io;
}

static bool happens(uint32_t per_mille) {
	return chance(world_choice(), per_mille);
}

/* ------------------------------------------------------------------ streams ---------------- */

static void unlink_it(struct simulated_io *self, struct io_stream *stream) {
	if (stream->next != NULL) stream->next->previous = stream->previous;
	if (stream->previous != NULL)
		stream->previous->next = stream->next;
	else
		self->open = stream->next;
}

static bool simulated_open(struct io *io, struct io_stream *stream, int fd) {
	struct simulated_io *self = self_of(io);
	(void)socket_of(fd);
	if (world_is_armed() && happens(world_weather()->refuse_memory)) return false;
	*stream = (struct io_stream){.fd = fd, .next = self->open};
	if (self->open != NULL) self->open->previous = stream;
	self->open = stream;
	return true;
}

static void simulated_pause(struct io *io, struct io_stream *stream) {
	(void)io;
	if ((stream->state & STREAM_PAUSED) == 0 && happens(300)) stream->state |= STREAM_LATE;
	stream->state |= STREAM_PAUSED;
}

static void simulated_resume(struct io *io, struct io_stream *stream) {
	(void)io;
	stream->state &= (uint16_t) ~(STREAM_PAUSED | STREAM_LATE);
}

static void simulated_hold(struct io *io, bool is_held) {
	self_of(io)->is_held = is_held;
}

static bool may_receive(const struct io_stream *stream) {
	if (stream->state & (STREAM_ENDED | STREAM_BROKEN | STREAM_CLOSED)) return false;
	return (stream->state & STREAM_PAUSED) == 0 || (stream->state & STREAM_LATE) != 0;
}

static void break_stream(struct simulated_io *self, struct io_stream *stream) {
	stream->state |= STREAM_BROKEN;
	self->io.events->broken(self->io.context, stream);
}

/* ------------------------------------------------------------------ send ------------------- */

static uint64_t mix(uint64_t sum, uint64_t word) {
	sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return sum ^ sum >> 29;
}

/* Over all pieces, addresses included. */
static uint64_t sum_of(const struct iovec *pieces, size_t count) {
	uint64_t sum = count;
	for (size_t i = 0; i < count; i++) {
		const char *bytes = pieces[i].iov_base;
		size_t left = pieces[i].iov_len;
		sum = mix(mix(sum, (uintptr_t)bytes), left);
		for (uint64_t word = 0; left > 0; word = 0) {
			size_t part = left < sizeof word ? left : sizeof word;
			memcpy(&word, bytes, part);
			sum = mix(sum, word);
			bytes += part;
			left -= part;
		}
	}
	return sum;
}

static void require_unchanged(const struct io_stream *stream) {
	if (sum_of(stream->pieces, stream->piece_count) != socket_of(stream->fd)->sending_sum)
		world_fail("bytes that are being sent have changed");
}

/* As much as `most` and the pipe's room allow; tells whether all has gone. */
static bool send_some(struct io_stream *stream, size_t most) {
	struct iovec left[IO_PIECES_MAX];
	size_t count = io_pieces_left(stream, left);
	for (size_t i = 0; i < count; i++) {
		size_t wanted = left[i].iov_len < most ? left[i].iov_len : most;
		size_t sent = pipe_put(&socket_of(stream->fd)->to_client, left[i].iov_base, wanted);
		stream->sent_bytes += sent;
		most -= sent;
		if (sent < left[i].iov_len) return false;
	}
	return true;
}

static bool simulated_send(struct io *io, struct io_stream *stream, struct iovec *pieces,
						   size_t count) {
	(void)io;
	struct simulated_socket *socket = socket_of(stream->fd);
	if (count > IO_PIECES_MAX || stream->state & (STREAM_SENDING | STREAM_BROKEN | STREAM_CLOSED))
		world_fail("a send that io.h does not allow");
	stream->pieces = pieces;
	stream->piece_count = count;
	stream->sent_bytes = 0;
	if (!socket->client_is_gone && happens(600) &&
		send_some(stream, happens(500) ? 1 + choose(world_choice(), 3000) : SIZE_MAX))
		return true;
	socket->sending_sum = sum_of(pieces, count);
	stream->state |= STREAM_SENDING;
	return false;
}

static bool may_send(const struct io_stream *stream) {
	if ((stream->state & STREAM_SENDING) == 0 || stream->state & (STREAM_BROKEN | STREAM_CLOSED))
		return false;
	const struct simulated_socket *socket = socket_of(stream->fd);
	return socket->client_is_gone || pipe_bytes(&socket->to_client) < socket->to_client.room;
}

static void go_on_sending(struct simulated_io *self, struct io_stream *stream) {
	if (socket_of(stream->fd)->client_is_gone) {
		break_stream(self, stream);
		return;
	}
	if (!send_some(stream, happens(500) ? 1 + choose(world_choice(), 3000) : SIZE_MAX)) {
		self->io.events->sent_part(self->io.context, stream);
		return;
	}
	require_unchanged(stream);
	stream->state &= (uint16_t)~STREAM_SENDING;
	self->io.events->sent(self->io.context, stream);
}

/* ------------------------------------------------------------------ receive ---------------- */

static bool has_news(const struct simulated_io *self, const struct io_stream *stream) {
	if (self->is_held || !may_receive(stream)) return false;
	const struct simulated_socket *socket = socket_of(stream->fd);
	return socket->is_reset || socket->client_has_ended || pipe_bytes(&socket->to_server) > 0;
}

/* Into memory of just that size, so that who reads behind it is caught. */
static void deliver(struct simulated_io *self, struct io_stream *stream, struct pipe *pipe) {
	size_t there = pipe_bytes(pipe) < RECEIVE_MAX ? pipe_bytes(pipe) : RECEIVE_MAX;
	size_t length = happens(300) ? 1 + choose(world_choice(), there) : there;
	char *bytes = plain_realloc(NULL, length);
	length = pipe_take(pipe, bytes, length);
	/* a way may leave room unused */
	size_t placed = length % 3 == 0 ? 0 : io_place(&self->io, stream, bytes, length);
	if (placed < length && (stream->state & STREAM_CLOSED) == 0)
		self->io.events->received(self->io.context, stream, bytes + placed, length - placed);
	memset(bytes, 0xdb, length);
	plain_free(bytes);
}

static void receive(struct simulated_io *self, struct io_stream *stream) {
	struct simulated_socket *socket = socket_of(stream->fd);
	stream->state &= (uint16_t)~STREAM_LATE;
	if (socket->is_reset && (happens(500) || pipe_bytes(&socket->to_server) == 0)) {
		break_stream(self, stream);
	} else if (pipe_bytes(&socket->to_server) > 0) {
		deliver(self, stream, &socket->to_server);
	} else {
		stream->state |= STREAM_ENDED;
		self->io.events->received(self->io.context, stream, NULL, 0);
	}
}

/* ------------------------------------------------------------------ close ------------------ */

static void simulated_close(struct io *io, struct io_stream *stream) {
	struct simulated_io *self = self_of(io);
	if (stream->state & STREAM_CLOSED) world_fail("a stream is closed twice");
	unlink_it(self, stream);
	stream->state |= STREAM_CLOSED;
	stream->next = self->closed;
	self->closed = stream;
	socket_of(stream->fd)->tell_closed_ns =
		world_now_ns() +
		(happens(world_weather()->late_close) ? choose(world_choice(), LATE_CLOSE_NS) : 0);
}

/* The kernel may read what it was to send until then. */
static bool tell_closed(struct simulated_io *self) {
	struct io_stream *told = self->closed;
	self->closed = NULL;
	bool any = false;
	while (told != NULL) {
		struct io_stream *stream = told;
		told = stream->next;
		if (socket_of(stream->fd)->tell_closed_ns > world_now_ns()) {
			stream->next = self->closed;
			self->closed = stream;
			continue;
		}
		any = true;
		if (stream->state & STREAM_SENDING) require_unchanged(stream);
		socket_close(stream->fd);
		self->io.events->closed(self->io.context, stream);
	}
	return any;
}

/* ------------------------------------------------------------------ listeners -------------- */

static bool simulated_listen(struct io *io, int fd, uint32_t tag) {
	struct simulated_io *self = self_of(io);
	if (self->listener_count == LISTENERS_MAX) return false;
	self->listener[self->listener_count] = fd;
	self->tag[self->listener_count++] = tag;
	return true;
}

static void simulated_stop_listening(struct io *io) {
	self_of(io)->listener_count = 0;
}

static bool accept_some(struct simulated_io *self) {
	bool any = false;
	for (uint32_t i = 0; i < self->listener_count; i++) {
		int fd;
		while (i < self->listener_count && happens(700) &&
			   (fd = socket_accept(self->listener[i])) >= 0) {
			any = true;
			self->io.events->accepted(self->io.context, self->tag[i], fd);
		}
	}
	return any;
}

/* ------------------------------------------------------------------ poll and wait ---------- */

static bool serve(struct simulated_io *self, struct io_stream *stream) {
	bool any = false;
	if (may_send(stream) && happens(800)) {
		go_on_sending(self, stream);
		any = true;
	}
	if (has_news(self, stream) && happens(800)) {
		receive(self, stream);
		any = true;
	}
	return any;
}

/* Callbacks close streams; their memory stays until `closed` is told, at the end. */
static bool simulated_poll(struct io *io) {
	struct simulated_io *self = self_of(io);
	struct io_stream *stream[SOCKETS_MAX];
	size_t count = 0;
	for (struct io_stream *at = self->open; at != NULL; at = at->next) stream[count++] = at;
	size_t first = count > 0 ? choose(world_choice(), count) : 0;
	bool any = false;
	for (uint32_t i = 0; i < self->watched_count; i++)
		self->seen[i] = world_event_signals(self->watched[i]);
	for (size_t i = 0; i < count; i++) any |= serve(self, stream[(first + i) % count]);
	any |= accept_some(self);
	any |= tell_closed(self);
	return any;
}

static bool simulated_watch(struct io *io, int fd) {
	struct simulated_io *self = self_of(io);
	if (self->watched_count == WATCHED_MAX) return false;
	self->seen[self->watched_count] = 0;
	self->watched[self->watched_count++] = fd;
	return true;
}

static uint64_t next_close_ns(const struct simulated_io *self) {
	uint64_t next_ns = UINT64_MAX;
	for (const struct io_stream *at = self->closed; at != NULL; at = at->next)
		if (socket_of(at->fd)->tell_closed_ns < next_ns)
			next_ns = socket_of(at->fd)->tell_closed_ns;
	return next_ns;
}

static bool is_woken(void *context) {
	const struct simulated_io *self = context;
	if (next_close_ns(self) <= world_now_ns()) return true;
	for (uint32_t i = 0; i < self->watched_count; i++)
		if (world_event_signals(self->watched[i]) != self->seen[i]) return true;
	for (uint32_t i = 0; i < self->listener_count; i++)
		if (socket_waits(self->listener[i])) return true;
	for (const struct io_stream *at = self->open; at != NULL; at = at->next)
		if (may_send(at) || has_news(self, at)) return true;
	return false;
}

static void simulated_wait(struct io *io, uint64_t timeout_ns) {
	uint64_t close_ns = next_close_ns(self_of(io)), now_ns = world_now_ns();
	uint64_t until_close_ns = close_ns > now_ns ? close_ns - now_ns : 0;
	(void)world_wait(is_woken, self_of(io),
					 until_close_ns < timeout_ns ? until_close_ns : timeout_ns);
}

/* ------------------------------------------------------------------ create ----------------- */

static void simulated_destroy(struct io *io) {
	struct simulated_io *self = self_of(io);
	if (self->open != NULL || self->closed != NULL)
		world_fail("an io is destroyed that has streams");
	free(self);
}

static size_t simulated_memory_bytes(const struct io *io) {
	(void)io;
	return sizeof(struct simulated_io);
}

static const struct io_backend backend = {
	.name = "simulated",
	.destroy = simulated_destroy,
	.memory_bytes = simulated_memory_bytes,
	.listen = simulated_listen,
	.stop_listening = simulated_stop_listening,
	.open = simulated_open,
	.pause = simulated_pause,
	.resume = simulated_resume,
	.hold = simulated_hold,
	.send = simulated_send,
	.close = simulated_close,
	.poll = simulated_poll,
	.watch = simulated_watch,
	.wait = simulated_wait,
};

snug_error io_epoll_create(struct io **out) {
	struct simulated_io *self = calloc(1, sizeof *self);
	if (self == NULL) return SNUG_ERROR_OS_MEMORY;
	self->io.backend = &backend;
	*out = &self->io;
	return SNUG_OK;
}
