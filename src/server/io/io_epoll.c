/* server/io/io_epoll.c: sockets over epoll, edge-triggered.
 *
 *     epoll says: readable --> READABLE, and on the ready list
 *     each poll receives once from each of the list, into one buffer of the io's, or before that
 *     into room of the user's:
 *         a short read       all that there was: off the list
 *         a full one         stays on the list, so that the others get their turn first
 *         HANGUP             an end lies behind the bytes, and epoll does not say it again: stays
 *                            on the list until it has come
 *     sends go at once; what does not fit is tried again in the next poll, then when epoll says
 *     writable, which it is asked for only then
 *
 * Lists, of which a stream is on one at most:
 *
 *     ready    may be received from, or be worth another try to send
 *     taken    ready, as a poll has found it: callbacks close, pause and list streams meanwhile
 *     held     may be received from, but nobody is until io_release
 *     closed   told at the end of the poll: events that were fetched and are not handled yet may
 *              still refer to it
 *
 * A poll receives before it accepts: who has gone makes room for who comes. The wait fetches events
 * too, which the next poll handles, so a turn that begins with a sleep calls epoll once.
 *
 * Cost    A system call for each receive and each send, and one or two a poll. One buffer of 64 KiB
 *         for all connections: bytes are taken before the next receive. What goes to the user's room
 *         is copied once, by the kernel; behind it no more than a head is received (IO_AFTER_ROOM).
 * Tried   Asking for writable always: a unix socket woke us after each read of its peer, 3.8 us in
 *         place of 3.0 for an exchange on one connection. */
#include "base/assert.h"
#include "base/bits.h"
#include "os/threads.h"
#include "server/io/io_backend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define RECEIVE_BYTES 65536u
#define EVENTS_MAX 128u
#define LISTENERS_MAX 32u
#define RECEIVE_EVENTS (EPOLLIN | EPOLLRDHUP | EPOLLET)
#define ACCEPTS_MAX 64u /* in one poll */

enum stream_state {
	STREAM_READABLE = 1,
	STREAM_PAUSED = 2,
	STREAM_LISTED = 4,  /* on the ready list */
	STREAM_SENDING = 8, /* waits for writable */
	STREAM_ENDED = 16,  /* the peer's end was told */
	STREAM_BROKEN = 32, /* was told */
	STREAM_CLOSED = 64,
	/* the peer's end, or an error, lies behind what is there: receive until it comes */
	STREAM_HANGUP = 128,
	STREAM_ASKED = 256, /* epoll tells when it is writable */
};

struct listening {
	int fd;
	uint32_t tag;
	bool is_ready;
};

struct epoll_io {
	struct io io; /* must be the first */
	int epoll;
	int fetched; /* events that wait for the next poll */
	uint32_t listener_count;
	bool accepts_are_left;    /* a listener was not emptied */
	uint64_t accept_again_ns; /* no descriptors were left: not before then */
	struct io_stream *ready;  /* may be received from, or be worth another try to send */
	struct io_stream *held;   /* may be received from, but nobody is */
	bool is_held;
	struct io_stream *taken;  /* those of them that this poll has not come to yet */
	struct io_stream *closed; /* to be told */
	struct listening listener[LISTENERS_MAX];
	struct epoll_event events[EVENTS_MAX];
	char buffer[RECEIVE_BYTES];
};

static struct epoll_io *epoll_of(struct io *io) {
	return (struct epoll_io *)(void *)io;
}

/* ------------------------------------------------------------------ ready list ------------- */

static void put(struct io_stream **first, struct io_stream *stream) {
	if (stream->state & (STREAM_LISTED | STREAM_CLOSED | STREAM_BROKEN)) return;
	stream->state |= STREAM_LISTED;
	stream->previous = NULL;
	stream->next = *first;
	if (*first != NULL) (*first)->previous = stream;
	*first = stream;
}

static void list(struct epoll_io *self, struct io_stream *stream) {
	put(&self->ready, stream);
}

static void unlist(struct epoll_io *self, struct io_stream *stream) {
	if ((stream->state & STREAM_LISTED) == 0) return;
	stream->state &= (uint16_t)~STREAM_LISTED;
	if (stream->next != NULL) stream->next->previous = stream->previous;
	if (stream->previous != NULL)
		stream->previous->next = stream->next;
	else if (self->ready == stream)
		self->ready = stream->next;
	else if (self->held == stream)
		self->held = stream->next;
	else
		self->taken = stream->next;
}

static void break_stream(struct epoll_io *self, struct io_stream *stream) {
	if (stream->state & (STREAM_BROKEN | STREAM_CLOSED)) return;
	unlist(self, stream);
	stream->state |= STREAM_BROKEN;
	self->io.events->broken(self->io.context, stream);
}

/* ------------------------------------------------------------------ create ----------------- */

static void epoll_destroy(struct io *io) {
	struct epoll_io *self = epoll_of(io);
	close(self->epoll);
	free(self);
}

static size_t epoll_memory_bytes(const struct io *io) {
	(void)io;
	return sizeof(struct epoll_io);
}

static bool add(struct epoll_io *self, int fd, uint32_t what, void *pointer) {
	struct epoll_event event = {.events = what, .data.ptr = pointer};
	return epoll_ctl(self->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* ------------------------------------------------------------------ listeners -------------- */

static bool epoll_listen(struct io *io, int fd, uint32_t tag) {
	struct epoll_io *self = epoll_of(io);
	if (self->listener_count == LISTENERS_MAX) return false;
	struct listening *listener = &self->listener[self->listener_count];
	*listener = (struct listening){.fd = fd, .tag = tag, .is_ready = true};
	if (!add(self, fd, EPOLLIN | EPOLLET | EPOLLEXCLUSIVE, listener)) return false;
	self->listener_count++;
	return true;
}

static void epoll_stop_listening(struct io *io) {
	struct epoll_io *self = epoll_of(io);
	for (uint32_t i = 0; i < self->listener_count; i++)
		(void)epoll_ctl(self->epoll, EPOLL_CTL_DEL, self->listener[i].fd, NULL);
	self->listener_count = 0;
	self->accepts_are_left = false;
	self->accept_again_ns = 0;
}

static bool accept_some(struct epoll_io *self, struct listening *listener) {
	for (uint32_t accepted = 0; accepted < ACCEPTS_MAX; accepted++) {
		int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			self->io.events->accepted(self->io.context, listener->tag, fd);
			continue;
		}
		if (io_accept_goes_on(errno)) continue;
		if (errno == EAGAIN)
			listener->is_ready = false;
		else
			self->accept_again_ns = os_now_ns() + ACCEPT_PAUSE_NS;
		return accepted > 0;
	}
	return true;
}

static bool accept_all(struct epoll_io *self) {
	bool any = false;
	if (UNLIKELY(self->accept_again_ns != 0)) {
		if (os_now_ns() < self->accept_again_ns) return false;
		self->accept_again_ns = 0;
	}
	self->accepts_are_left = false;
	for (uint32_t i = 0; i < self->listener_count; i++) {
		if (LIKELY(!self->listener[i].is_ready)) continue;
		any |= accept_some(self, &self->listener[i]);
		self->accepts_are_left |= self->listener[i].is_ready;
	}
	return any;
}

/* ------------------------------------------------------------------ streams ---------------- */

static bool epoll_open(struct io *io, struct io_stream *stream, int fd) {
	struct epoll_io *self = epoll_of(io);
	*stream = (struct io_stream){.fd = fd};
	return add(self, fd, RECEIVE_EVENTS, stream);
}

/* Only while a send waits: a unix socket says after each read of its peer that it is writable,
 * which is a wake-up for nothing. False: the OS refused. */
static bool ask_for_writable(struct epoll_io *self, struct io_stream *stream, bool wants) {
	bool asks = (stream->state & STREAM_ASKED) != 0;
	struct epoll_event event = {.events = RECEIVE_EVENTS | (wants ? EPOLLOUT : 0),
								.data.ptr = stream};
	if (asks == wants) return true;
	if (epoll_ctl(self->epoll, EPOLL_CTL_MOD, stream->fd, &event) != 0) return false;
	stream->state ^= STREAM_ASKED;
	return true;
}

/* What is listed to send is looked at all the same: nobody else asks whether it is writable. */
static void epoll_pause(struct io *io, struct io_stream *stream) {
	if (LIKELY((stream->state & STREAM_SENDING) == 0)) unlist(epoll_of(io), stream);
	stream->state |= STREAM_PAUSED;
}

static void epoll_resume(struct io *io, struct io_stream *stream) {
	stream->state &= (uint16_t)~STREAM_PAUSED;
	if (stream->state & STREAM_READABLE) list(epoll_of(io), stream);
}

static void epoll_hold(struct io *io, bool is_held) {
	struct epoll_io *self = epoll_of(io);
	self->is_held = is_held;
	while (!is_held && self->held != NULL) {
		struct io_stream *stream = self->held;
		unlist(self, stream);
		list(self, stream);
	}
}

/* What is there, where the user wants to have it. A short receipt was all; if there is more by now,
 * epoll says so, but it does not say again that there is an end. */
static void tell_received(struct epoll_io *self, struct io_stream *stream,
						  const struct io_receipt *receipt) {
	if (receipt->is_short && (stream->state & STREAM_HANGUP) == 0)
		stream->state &= (uint16_t)~STREAM_READABLE;
	else
		list(self, stream);
	if (receipt->placed_bytes > 0)
		self->io.events->placed(self->io.context, stream, receipt->placed_bytes);
	if (receipt->buffered_bytes > 0 && (stream->state & STREAM_CLOSED) == 0)
		self->io.events->received(self->io.context, stream, self->buffer, receipt->buffered_bytes);
}

static void receive(struct epoll_io *self, struct io_stream *stream) {
	struct iovec pieces[IO_PIECES_MAX];
	struct io_receipt receipt = io_receive(
		&self->io, stream, pieces, io_room(&self->io, stream, pieces), self->buffer, RECEIVE_BYTES);
	ssize_t got = receipt.bytes;
	if (LIKELY(got > 0)) {
		tell_received(self, stream, &receipt);
		return;
	}
	if (got < 0 && errno == EINTR) {
		list(self, stream);
		return;
	}
	stream->state &= (uint16_t)~STREAM_READABLE;
	if (got < 0 && (errno == EAGAIN)) return;
	if (got < 0) {
		break_stream(self, stream);
		return;
	}
	stream->state |= STREAM_ENDED;
	self->io.events->received(self->io.context, stream, NULL, 0);
}

/* Tells whether everything has gone, or nothing will. */
static bool send_left(struct io_stream *stream, bool *is_broken) {
	struct iovec left[IO_PIECES_MAX];
	for (;;) {
		size_t count = io_pieces_left(stream, left);
		if (count == 0) return true;
		/* int with musl, else size_t */
		struct msghdr message = {.msg_iov = left, .msg_iovlen = (uint16_t)count};
		ssize_t sent = sendmsg(stream->fd, &message, MSG_NOSIGNAL);
		if (sent >= 0) {
			stream->sent_bytes += (size_t)sent;
			continue;
		}
		if (errno == EINTR) continue;
		*is_broken = errno != EAGAIN;
		return false;
	}
}

static bool epoll_send(struct io *io, struct io_stream *stream, struct iovec *pieces,
					   size_t count) {
	size_t bytes = 0;
	SNUG_ASSERT(count <= IO_PIECES_MAX && (stream->state & STREAM_SENDING) == 0);
	for (size_t i = 0; i < count; i++) bytes += pieces[i].iov_len;
	struct msghdr message = {.msg_iov = pieces, .msg_iovlen = (uint16_t)count};
	ssize_t sent = -1;
	if (LIKELY(count == 1))
		sent = send(stream->fd, pieces->iov_base, pieces->iov_len, MSG_NOSIGNAL);
	else if (count > 1)
		sent = sendmsg(stream->fd, &message, MSG_NOSIGNAL);
	if (LIKELY(sent >= 0 && (size_t)sent == bytes)) return true;
	/* What is left is tried once more in the next poll, which finds out if the connection is
	 * broken, and then when epoll says writable. */
	stream->pieces = pieces;
	stream->piece_count = count;
	stream->sent_bytes = sent > 0 ? (size_t)sent : 0;
	stream->state |= STREAM_SENDING;
	unlist(epoll_of(io), stream); /* it may be on the list of those that are held */
	list(epoll_of(io), stream);
	return false;
}

/* What has no pieces waits for epoll's word that there is room. */
static void go_on_sending(struct epoll_io *self, struct io_stream *stream, bool has_room) {
	bool is_broken = false;
	size_t before_bytes = stream->sent_bytes;
	if ((stream->state & (STREAM_SENDING | STREAM_BROKEN | STREAM_CLOSED)) != STREAM_SENDING)
		return;
	if (stream->piece_count == 0 ? has_room : send_left(stream, &is_broken)) {
		stream->state &= (uint16_t)~STREAM_SENDING;
		(void)ask_for_writable(self, stream, false); /* refused: it is told for nothing */
		self->io.events->sent(self->io.context, stream);
	} else if (is_broken || !ask_for_writable(self, stream, true)) {
		break_stream(self, stream);
	} else if (stream->sent_bytes > before_bytes) {
		self->io.events->sent_part(self->io.context, stream);
	}
}

static void epoll_close(struct io *io, struct io_stream *stream) {
	struct epoll_io *self = epoll_of(io);
	if (stream->state & STREAM_CLOSED) return;
	unlist(self, stream);
	stream->state |= STREAM_CLOSED;
	close(stream->fd);
	stream->next = self->closed;
	self->closed = stream;
}

/* ------------------------------------------------------------------ poll and wait ---------- */

static void fetch(struct epoll_io *self, int timeout_ms) {
	int count = epoll_wait(self->epoll, self->events, EVENTS_MAX, timeout_ms);
	self->fetched = count > 0 ? count : 0;
}

static bool is_listener(const struct epoll_io *self, const void *pointer) {
	return (const char *)pointer >= (const char *)self->listener &&
		   (const char *)pointer < (const char *)(self->listener + LISTENERS_MAX);
}

/* Tells whether it was anything: a watched descriptor is not, for its signal may be late. */
static bool handle(struct epoll_io *self, const struct epoll_event *event) {
	struct io_stream *stream = event->data.ptr;
	if (stream == NULL) return false;
	if (UNLIKELY(is_listener(self, stream))) {
		((struct listening *)(void *)stream)->is_ready = true;
		return true;
	}
	if (stream->state & STREAM_CLOSED) return true;
	if (event->events & EPOLLOUT) go_on_sending(self, stream, true);
	if ((event->events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) == 0) return true;
	if (stream->state & (STREAM_CLOSED | STREAM_ENDED)) return true;
	if (event->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) stream->state |= STREAM_HANGUP;
	stream->state |= STREAM_READABLE;
	if ((stream->state & STREAM_PAUSED) == 0) list(self, stream);
	return true;
}

/* Callbacks close, pause and list streams: the list is taken as a whole, and what is still to be
 * received from goes back on it. */
static bool receive_ready(struct epoll_io *self) {
	bool any = self->ready != NULL;
	self->taken = self->ready;
	self->ready = NULL;
	while (self->taken != NULL) {
		struct io_stream *stream = self->taken;
		unlist(self, stream);
		if (UNLIKELY(stream->state & STREAM_SENDING)) go_on_sending(self, stream, false);
		if (UNLIKELY(stream->state &
					 (STREAM_CLOSED | STREAM_BROKEN | STREAM_PAUSED | STREAM_ENDED)))
			continue;
		if ((stream->state & STREAM_READABLE) == 0) continue;
		if (UNLIKELY(self->is_held))
			put(&self->held, stream);
		else
			receive(self, stream);
	}
	return any;
}

static bool epoll_poll(struct io *io) {
	struct epoll_io *self = epoll_of(io);
	if (self->fetched == 0) fetch(self, 0);
	bool any = false;
	io_allow_room(io);
	for (int i = 0; i < self->fetched; i++) any |= handle(self, &self->events[i]);
	self->fetched = 0;
	any |= receive_ready(self); /* first: who has gone makes room for who comes */
	any |= accept_all(self);
	any |= io_tell_closed(&self->io, &self->closed);
	return any;
}

static bool epoll_watch(struct io *io, int fd) {
	return add(epoll_of(io), fd, EPOLLIN | EPOLLET, NULL);
}

static void epoll_rest(struct io *io, uint64_t timeout_ns) {
	struct epoll_io *self = epoll_of(io);
	if (self->ready != NULL || self->closed != NULL || self->fetched > 0) return;
	if (self->accept_again_ns != 0)
		timeout_ns = smaller(timeout_ns, ACCEPT_PAUSE_NS);
	else if (self->accepts_are_left)
		return;
	uint64_t timeout_ms = timeout_ns == UINT64_MAX ? INT32_MAX : (timeout_ns + 999999) / 1000000;
	fetch(self, timeout_ms > INT32_MAX ? INT32_MAX : (int)timeout_ms);
}

static const struct io_backend backend = {
	"epoll",     epoll_destroy, epoll_memory_bytes, epoll_listen, epoll_stop_listening,
	epoll_open,  epoll_pause,   epoll_resume,       epoll_hold,   epoll_send,
	epoll_close, epoll_poll,    epoll_watch,        epoll_rest,
};

snug_error io_epoll_create(struct io **out) {
	struct epoll_io *self = malloc(sizeof *self);
	if (self == NULL) return SNUG_ERROR_OS_MEMORY;
	memset(self, 0, offsetof(struct epoll_io, events));
	self->io.backend = &backend;
	self->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (self->epoll < 0) {
		free(self);
		return SNUG_ERROR_OS_THREAD;
	}
	*out = &self->io;
	return SNUG_OK;
}
