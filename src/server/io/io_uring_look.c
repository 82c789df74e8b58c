/* server/io/io_uring_look.c: looks after receives that the kernel has forgotten.
 *
 * A receive that goes on by itself (multishot) takes what is there, and then waits to be woken.
 * Kernels lose a wake-up: when a peer's reset or end comes just while the kernel takes the peer's
 * bytes (seen on 6.18 where it has just interrupted itself after 32 buffers), it takes the bytes,
 * and then waits for a wake-up that it has had. Nothing else happens on such a socket, so the
 * connection, and what it holds, would stay for ever: a stranger that sends and resets, again and
 * again, uses up all connections.
 *
 *     received from --> heard --a round begins--> looking --poll(2), LOOKS_MAX at a time--.
 *                                                                                         |
 *              its receive is to be armed anew, which finds the end  <--an end is there---+
 *              forgotten until the next bytes come                   <--none--------------'
 *
 * Only bytes can hide an end, so a stream that says nothing is looked at once, and then costs
 * nothing. A round begins twice a second at most. Cost: one system call for LOOKS_MAX streams that
 * were received from, twice a second.
 *
 * A stream is on one of three rings (heard, looking, starved) or on none; STREAM_HEARD says that it
 * is on one, so that it can leave without knowing which.
 *
 * Nothing is armed here: who looked is told which streams to arm (io_uring.c). */
#include "base/bits.h"
#include "os/threads.h"
#include "server/io/io_uring_parts.h"

#include <poll.h>

#define ROUND_NS UINT64_C(500000000)

static void ring_begin(struct io_stream *ring) {
	ring->next = ring->previous = ring;
}

static bool ring_is_empty(const struct io_stream *ring) {
	return ring->next == ring;
}

static void ring_put(struct io_stream *ring, struct io_stream *stream) {
	stream->next = ring;
	stream->previous = ring->previous;
	ring->previous->next = stream;
	ring->previous = stream;
}

void uring_look_begin(struct uring_io *self) {
	ring_begin(&self->heard);
	ring_begin(&self->looking);
	ring_begin(&self->starved);
}

void uring_heard(struct uring_io *self, struct io_stream *stream) {
	if (LIKELY(stream->state & STREAM_HEARD)) return;
	stream->state |= STREAM_HEARD;
	ring_put(&self->heard, stream);
}

void uring_forget(struct io_stream *stream) {
	if ((stream->state & STREAM_HEARD) == 0) return;
	stream->state &= (uint16_t)~STREAM_HEARD;
	stream->next->previous = stream->previous;
	stream->previous->next = stream->next;
	stream->next = stream->previous = NULL;
}

void uring_starve(struct uring_io *self, struct io_stream *stream) {
	uring_forget(stream);
	stream->state |= STREAM_HEARD;
	ring_put(&self->starved, stream);
}

struct io_stream *uring_starved(struct uring_io *self) {
	if (ring_is_empty(&self->starved)) return NULL;
	struct io_stream *stream = self->starved.next;
	uring_forget(stream);
	return stream;
}

/* False: nothing is to be looked at now. */
static bool begin_round(struct uring_io *self) {
	if (!ring_is_empty(&self->looking)) return true;
	if (ring_is_empty(&self->heard)) return false;
	uint64_t now_ns = os_now_ns();
	if (now_ns < self->look_ns) return false;
	self->look_ns = now_ns + ROUND_NS;
	self->looking = self->heard;
	self->looking.next->previous = self->looking.previous->next = &self->looking;
	ring_begin(&self->heard);
	return true;
}

uint32_t uring_look(struct uring_io *self, struct io_stream *anew[LOOKS_MAX]) {
	struct pollfd look[LOOKS_MAX];
	struct io_stream *streams[LOOKS_MAX];
	uint32_t count = 0, anew_count = 0;
	if (LIKELY(!begin_round(self))) return 0;
	while (count < LOOKS_MAX && !ring_is_empty(&self->looking)) {
		struct io_stream *stream = self->looking.next;
		uring_forget(stream);
		if ((stream->state & (STREAM_RECEIVING | STREAM_PAUSED)) != STREAM_RECEIVING) continue;
		look[count] = (struct pollfd){.fd = stream->fd, .events = POLLRDHUP};
		streams[count++] = stream;
	}
	if (count == 0) return 0;
	bool is_answered = poll(look, count, 0) >= 0;
	for (uint32_t i = 0; i < count; i++) {
		if (!is_answered)
			uring_heard(self, streams[i]); /* for the next round */
		else if (look[i].revents != 0)
			anew[anew_count++] = streams[i];
	}
	return anew_count;
}
