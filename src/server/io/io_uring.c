/* server/io/io_uring.c: sockets over io_uring.
 *
 *     accept, receive   armed once; each completion says whether it goes on by itself (multishot)
 *     received bytes    in buffers of a ring that the kernel picks from; each goes back as soon as
 *                       its bytes were taken
 *     send              queued; all that is queued goes to the kernel with the one call of the next
 *                       poll or wait
 *     completions       are made in that call (DEFER_TASKRUN), not in the midst of our work
 *
 * A poll calls the kernel only if something is queued or the kernel says that it has something. A
 * wait hands over what is queued as well; sends for whose end nobody waits are silent, so that it
 * does not end the wait: one call for an answer and the next request.
 * Where epoll needs a call for each receive and each send, one call carries the sends of all
 * connections and brings what they have sent meanwhile.
 *
 * STREAMS. What is under way for a stream is counted in `pending`; a completion brings its address
 * back, and in the low bits what it is of.
 *
 *     RECEIVING   a receive is armed; its last completion ends that, and arms the next one
 *     PAUSED      the receive is cancelled; what lies in buffers by then still comes
 *     CROWDS      was paused for what had come, so it is received from a buffer at a time, and not
 *                 half of all buffers in one go, until three receives have not filled theirs
 *     CLOSED      all is cancelled; once pending is 0 it is GONE: the descriptor is closed, and
 *                 `closed` is told
 *
 * A cancellation may find nothing, because the kernel is just going on with what it should cancel.
 * It comes again, until what it is for has ended.
 *
 * SILENT. A send that may be told late is tried at once (MSG_DONTWAIT), and the kernel says something
 * only if not all of it went. When all that was queued is handed over, and all that came of it lies in
 * the queue, those of which nothing is said there have gone. They are told before what the same poll
 * has received, as the answers before the next requests. A poll handles a part of the queue, but looks
 * at all of it: else a crowd that fills it would keep them from being told. That a part alone is no
 * success takes MSG_WAITALL, which IO_ENCRYPTED refuses: there no send is silent.
 *
 * PARTS. Any other send ends with the part that the socket has room for, and the rest is a send of its
 * own: with MSG_WAITALL the kernel would say nothing to a client that reads slowly until all has gone.
 *
 * ROOM. Where the user has room for what comes next, the rest of a large value, it is received by a call
 * of its own, at once, and behind it what follows, into a buffer of ours: the kernel copies the value to
 * where it will lie, and nobody copies it again. Such a stream is received from a buffer at a time, and
 * behind a value no more than a head of the next (IO_AFTER_ROOM).
 *
 * HOLDING. io_hold keeps the buffers that come from then on, so that the kernel runs out of them
 * and stops by itself. A receive that ends of that waits on a list, and is armed with the release.
 *
 * MEASURED (Linux 6.18, 2 processors, loopback, 50 connections in closed loop; processor time of
 * the server, io_uring / epoll)
 *     snugd, a request at a time      0.94 with one worker, 0.60 with two   medians of 7 pairs,
 *     snugd, 16 at once               0.98 with one worker, 0.92 with two   by bench-servers
 *     sockets alone (bench-io-echo)   0.95 to 1.04 over TCP, 0.89 to 0.96 over unix sockets; most
 *                                     of it are the sends, the kernel's own
 *     the same, one connection        1.0 to 1.3: where each exchange ends in a sleep, epoll is as
 *                                     good or better
 * So io_uring pays by what a turn gathers: with many connections, and most where workers wake each
 * other.
 *
 * REJECTED, tried in bench-io-echo, because no difference stood out of the noise of 5 %:
 *     128 buffers in place of 64, and 32 KiB in place of 16
 *     the ring's descriptor registered
 * and because they were worse: buffers of 4 KiB (half as much again for values of 100 kB), and 32
 * buffers (one flood starves all others). */
#include "base/assert.h"
#include "base/bits.h"
#include "os/threads.h"
#include "server/io/io_uring_parts.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define COMPLETIONS_MAX 256u /* handled in one poll */
#define POLLS_A_LOOK 64u     /* of a worker that does not rest; a power of two */

static struct uring_io *uring_of(struct io *io) {
	return (struct uring_io *)(void *)io;
}

/* ------------------------------------------------------------------ queue ------------------ */

static struct io_uring_sqe *next_sqe(struct uring_io *self) {
	struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
	while (UNLIKELY(sqe == NULL)) {
		(void)io_uring_submit(&self->ring);
		sqe = io_uring_get_sqe(&self->ring);
	}
	return sqe;
}

static uint64_t data_of(const void *pointer, enum what what) {
	SNUG_ASSERT(((uintptr_t)pointer & WHAT_MASK) == 0);
	return (uint64_t)(uintptr_t)pointer | what;
}

static void arm_receive(struct uring_io *self, struct io_stream *stream) {
	const uint16_t never =
		STREAM_RECEIVING | STREAM_PAUSED | STREAM_ENDED | STREAM_BROKEN | STREAM_CLOSED;
	if (stream->state & never) return;
	struct io_uring_sqe *sqe = next_sqe(self);
	size_t once_bytes = io_buffer_share(stream, self->buffer_bytes);
	uring_prepare_receive(sqe, stream->fd, (stream->state & STREAM_CROWDS) != 0 ? once_bytes : 0);
	io_uring_sqe_set_data64(sqe, data_of(stream, WHAT_RECEIVE));
	stream->state |= STREAM_RECEIVING;
	stream->pending++;
}

static void arm_accept(struct uring_io *self, struct listening *listener) {
	if (listener->is_armed || self->is_stopped) return;
	struct io_uring_sqe *sqe = next_sqe(self);
	io_uring_prep_multishot_accept(sqe, listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	io_uring_sqe_set_data64(sqe, data_of(listener, WHAT_ACCEPT));
	listener->is_armed = true;
}

/* Once for all waits (multishot): each write to it is a completion, and what was written before it
 * is armed is one. What the kernel ends is armed anew by the next wait. */
static void arm_watch(struct uring_io *self, struct watched *watched) {
	if (watched->is_armed) return;
	struct io_uring_sqe *sqe = next_sqe(self);
	io_uring_prep_poll_multishot(sqe, watched->fd, POLLIN);
	io_uring_sqe_set_data64(sqe, data_of(watched, WHAT_WATCH));
	watched->is_armed = true;
}

static void cancel(struct uring_io *self, struct io_stream *stream, enum what what) {
	struct io_uring_sqe *sqe = next_sqe(self);
	io_uring_prep_cancel64(sqe, data_of(stream, what), 0);
	io_uring_sqe_set_data64(
		sqe, data_of(stream, what == WHAT_SEND ? WHAT_SEND_CANCEL : WHAT_RECEIVE_CANCEL));
	stream->pending++;
}

/* ------------------------------------------------------------------ listeners, watches ----- */

static bool uring_listen(struct io *io, int fd, uint32_t tag) {
	struct uring_io *self = uring_of(io);
	if (self->listener_count == LISTENERS_MAX) return false;
	struct listening *listener = &self->listener[self->listener_count++];
	*listener = (struct listening){.fd = fd, .tag = tag};
	arm_accept(self, listener);
	return true;
}

static void uring_stop_listening(struct io *io) {
	struct uring_io *self = uring_of(io);
	self->is_stopped = true;
	for (uint32_t i = 0; i < self->listener_count; i++) {
		if (!self->listener[i].is_armed) continue;
		struct io_uring_sqe *sqe = next_sqe(self);
		io_uring_prep_cancel64(sqe, data_of(&self->listener[i], WHAT_ACCEPT), 0);
		io_uring_sqe_set_data64(sqe, WHAT_IGNORED);
	}
}

static bool uring_watch(struct io *io, int fd) {
	struct uring_io *self = uring_of(io);
	if (self->watched_count == WATCHED_MAX) return false;
	self->watched[self->watched_count++] = (struct watched){.fd = fd};
	return true;
}

/* A failure that does not pass by itself, such as too many open files, is given some time. */
static void accepted(struct uring_io *self, struct listening *listener,
					 const struct io_uring_cqe *cqe) {
	if ((cqe->flags & IORING_CQE_F_MORE) == 0) listener->is_armed = false;
	if (cqe->res >= 0) {
		if (self->is_stopped)
			close(cqe->res);
		else
			self->io.events->accepted(self->io.context, listener->tag, cqe->res);
	} else if (cqe->res != -ECANCELED && cqe->res != -EAGAIN && !io_accept_goes_on(-cqe->res)) {
		self->accept_again_ns = os_now_ns() + ACCEPT_PAUSE_NS;
		return;
	}
	arm_accept(self, listener);
}

static void accept_again(struct uring_io *self) {
	if (LIKELY(self->accept_again_ns == 0) || os_now_ns() < self->accept_again_ns) return;
	self->accept_again_ns = 0;
	for (uint32_t i = 0; i < self->listener_count; i++) arm_accept(self, &self->listener[i]);
}

/* ------------------------------------------------------------------ streams ---------------- */

static bool uring_open(struct io *io, struct io_stream *stream, int fd) {
	*stream = (struct io_stream){.fd = fd};
	arm_receive(uring_of(io), stream);
	return true;
}

static void uring_pause(struct io *io, struct io_stream *stream) {
	if (stream->state & STREAM_PAUSED) return;
	stream->state |= STREAM_PAUSED | STREAM_CROWDS;
	if (stream->state & STREAM_RECEIVING) cancel(uring_of(io), stream, WHAT_RECEIVE);
}

static void uring_resume(struct io *io, struct io_stream *stream) {
	stream->state &= (uint16_t)~STREAM_PAUSED;
	arm_receive(uring_of(io), stream);
}

/* Buffers are kept from the kernel, so that it stops by itself; whose receive ends of that is armed
 * again with the release. */
static void uring_hold(struct io *io, bool is_held) {
	struct uring_io *self = uring_of(io);
	struct io_stream *stream;
	self->is_held = is_held;
	if (is_held) return;
	while (self->kept_count > 0) uring_give_buffer(self, self->kept[--self->kept_count]);
	while ((stream = uring_starved(self)) != NULL) {
		arm_receive(self, stream);
		uring_heard(self, stream); /* its end may have come meanwhile */
	}
}

static void break_stream(struct uring_io *self, struct io_stream *stream) {
	if (stream->state & (STREAM_BROKEN | STREAM_CLOSED)) return;
	stream->state |= STREAM_BROKEN;
	self->io.events->broken(self->io.context, stream);
}

/* At once, and told only if that did not succeed (IOSQE_CQE_SKIP_SUCCESS): it has ended, either way,
 * when the call that hands it over returns. */
static bool may_be_silent(struct uring_io *self, struct io_stream *stream) {
	if ((stream->state & (IO_TOLD_LATE | IO_ENCRYPTED)) != IO_TOLD_LATE ||
		self->silent_count == SILENT_MAX)
		return false;
	self->silent[self->silent_count++] = stream;
	stream->state |= STREAM_SILENT;
	return true;
}

static void note_queued(struct io_uring_sqe *sqe, struct io_stream *stream) {
	io_uring_sqe_set_data64(sqe, data_of(stream, WHAT_SEND));
	stream->state |= STREAM_SENDING;
	stream->pending++;
}

static void queue_send(struct uring_io *self, struct io_stream *stream) {
	struct io_uring_sqe *sqe = next_sqe(self);
	bool is_silent = may_be_silent(self, stream);
	const int flags = MSG_NOSIGNAL | (is_silent ? MSG_DONTWAIT | MSG_WAITALL : 0);
	if (LIKELY(stream->piece_count == 1)) {
		io_uring_prep_send(sqe, stream->fd, stream->pieces->iov_base, stream->pieces->iov_len,
						   flags);
	} else {
		stream->message =
			(struct msghdr){.msg_iov = stream->pieces, .msg_iovlen = stream->piece_count};
		io_uring_prep_sendmsg(sqe, stream->fd, &stream->message, (unsigned)flags);
	}
	if (is_silent) sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	note_queued(sqe, stream);
}

/* A send of nothing, which ends when there is room. */
static void queue_wait(struct uring_io *self, struct io_stream *stream) {
	struct io_uring_sqe *sqe = next_sqe(self);
	io_uring_prep_poll_add(sqe, stream->fd, POLLOUT);
	note_queued(sqe, stream);
}

static bool uring_send(struct io *io, struct io_stream *stream, struct iovec *pieces,
					   size_t count) {
	SNUG_ASSERT(count <= IO_PIECES_MAX && (stream->state & STREAM_SENDING) == 0);
	stream->pieces = pieces;
	stream->piece_count = count;
	if (LIKELY(count > 0))
		queue_send(uring_of(io), stream);
	else
		queue_wait(uring_of(io), stream);
	return false;
}

/* Tells whether anything is left of them. */
static bool skip_sent(struct io_stream *stream, size_t bytes) {
	while (stream->piece_count > 0 && bytes >= stream->pieces->iov_len) {
		bytes -= stream->pieces->iov_len;
		stream->pieces++;
		stream->piece_count--;
	}
	if (stream->piece_count == 0) return false;
	stream->pieces->iov_base = (char *)stream->pieces->iov_base + bytes;
	stream->pieces->iov_len -= bytes;
	return true;
}

static void sent(struct uring_io *self, struct io_stream *stream, int result) {
	stream->pending--;
	stream->state &= (uint16_t)~STREAM_SENDING;
	if (stream->state & (STREAM_CLOSED | STREAM_BROKEN)) return;
	if (result < 0 && result != -EINTR && result != -EAGAIN) {
		break_stream(self, stream);
		return;
	}
	if (!skip_sent(stream, result > 0 ? (size_t)result : 0)) {
		self->io.events->sent(self->io.context, stream);
		return;
	}
	stream->state &= (uint16_t)~IO_TOLD_LATE; /* it waits for its peer */
	queue_send(self, stream);
	if (result > 0) self->io.events->sent_part(self->io.context, stream);
}

/* ENOBUFS: by the time the kernel hears of the receive that is armed again, what this poll handles
 * has given its buffers back. */
static bool receives_again(int error) {
	return error == ENOBUFS || error == ECANCELED || error == EINTR || error == EAGAIN;
}

/* What the kernel takes in one go is up to half of all buffers; who has been paused has shown that
 * he sends more than he is served. */
static void note_crowding(const struct uring_io *self, struct io_stream *stream, int result) {
	if (LIKELY((stream->state & STREAM_CROWDS) == 0) || stream->state & STREAM_PAUSED || result < 0)
		return;
	if ((size_t)result < io_buffer_share(stream, self->buffer_bytes))
		stream->state -= STREAM_CROWDS_ONE;
	else
		stream->state |= STREAM_CROWDS;
}

/* While a receive is armed, what comes next may lie in buffers already. */
static bool may_receive(const struct uring_io *self, const struct io_stream *stream) {
	const uint16_t never =
		STREAM_RECEIVING | STREAM_PAUSED | STREAM_ENDED | STREAM_BROKEN | STREAM_CLOSED;
	return (stream->state & never) == 0 && !self->is_held;
}

/* What is there now, as long as there is room for it. What comes later, and the peer's end, comes by
 * the receive that is armed next. */
static void receive_directly(struct uring_io *self, struct io_stream *stream) {
	struct iovec pieces[IO_PIECES_MAX];
	char *buffer = uring_buffer(self, OWN_BUFFER);
	struct io_receipt receipt = {0};
	size_t count;
	while (!receipt.is_short && may_receive(self, stream) &&
		   (count = io_room(&self->io, stream, pieces)) > 0) {
		receipt = io_receive(&self->io, stream, pieces, count, buffer, self->buffer_bytes);
		if (receipt.bytes < 0 && !receives_again(errno)) break_stream(self, stream);
		if (receipt.bytes <= 0) return;
		uring_heard(self, stream);
		self->io.events->placed(self->io.context, stream, receipt.placed_bytes);
		if (receipt.buffered_bytes > 0 && (stream->state & STREAM_CLOSED) == 0)
			self->io.events->received(self->io.context, stream, buffer, receipt.buffered_bytes);
	}
}

/* So that what comes lies in the kernel until it is asked for, nothing is received ahead. Where there
 * is no room after all, since what was to lie there came otherwise, all stays as it is. */
static void use_room(struct uring_io *self, struct io_stream *stream) {
	struct iovec pieces[IO_PIECES_MAX];
	if (stream->state & (STREAM_CLOSED | STREAM_BROKEN)) return;
	if (io_room(&self->io, stream, pieces) == 0) return;
	bool goes_by_itself =
		(stream->state & STREAM_RECEIVING) != 0 && (stream->state & STREAM_CROWDS) == 0;
	stream->state |= STREAM_CROWDS;
	if (goes_by_itself)
		cancel(self, stream, WHAT_RECEIVE);
	else
		receive_directly(self, stream);
}

static void received(struct uring_io *self, struct io_stream *stream,
					 const struct io_uring_cqe *cqe) {
	bool has_buffer = (cqe->flags & IORING_CQE_F_BUFFER) != 0;
	uint32_t number = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
	if ((cqe->flags & IORING_CQE_F_MORE) == 0) {
		stream->state &= (uint16_t)~STREAM_RECEIVING;
		stream->pending--;
	}
	bool is_heard = (stream->state & (STREAM_CLOSED | STREAM_BROKEN | STREAM_ENDED)) == 0;
	note_crowding(self, stream, cqe->res);
	if (is_heard && cqe->res > 0) {
		uring_heard(self, stream);
		self->io.events->received(self->io.context, stream, uring_buffer(self, number),
								  (size_t)cqe->res);
	} else if (is_heard && cqe->res == 0) {
		stream->state |= STREAM_ENDED;
		self->io.events->received(self->io.context, stream, NULL, 0);
	} else if (is_heard && !receives_again(-cqe->res)) {
		break_stream(self, stream);
	}
	if (has_buffer && UNLIKELY(self->is_held))
		self->kept[self->kept_count++] = (uint16_t)number;
	else if (has_buffer)
		uring_give_buffer(self, number);
	if (UNLIKELY(cqe->res == -ENOBUFS && self->is_held) && is_heard) {
		uring_starve(self, stream);
		return;
	}
	/* its callbacks may close the stream, and may begin to hold */
	if (UNLIKELY(stream->state & IO_HAS_ROOM))
		use_room(self, stream);
	else if (cqe->res > 0)
		stream->state &= (uint16_t)~IO_AFTER_ROOM;
	arm_receive(self, stream);
}

/* ------------------------------------------------------------------ close ------------------ */

static void let_go(struct uring_io *self, struct io_stream *stream) {
	if ((stream->state & (STREAM_CLOSED | STREAM_GONE)) != STREAM_CLOSED || stream->pending > 0)
		return;
	stream->state |= STREAM_GONE;
	close(stream->fd);
	stream->fd = -1;
	stream->next = self->closed;
	self->closed = stream;
}

static void uring_close(struct io *io, struct io_stream *stream) {
	struct uring_io *self = uring_of(io);
	if (stream->state & STREAM_CLOSED) return;
	uring_forget(stream);
	stream->state |= STREAM_CLOSED;
	if (stream->state & STREAM_RECEIVING) cancel(self, stream, WHAT_RECEIVE);
	if (stream->state & STREAM_SENDING) cancel(self, stream, WHAT_SEND);
	let_go(self, stream);
}

/* ------------------------------------------------------------------ poll and wait ---------- */

/* It may have found nothing because the kernel was about to go on with what it should cancel, which
 * then waits anew. It comes again, until what it is for has ended: else a closed stream would be
 * kept for as long as its peer likes, and a paused one would receive. */
static void cancelled(struct uring_io *self, struct io_stream *stream,
					  const struct io_uring_cqe *cqe) {
	bool is_send = (cqe->user_data & WHAT_MASK) == WHAT_SEND_CANCEL;
	uint16_t unwanted = is_send ? STREAM_CLOSED : STREAM_CLOSED | STREAM_PAUSED;
	bool is_under_way = (stream->state & (is_send ? STREAM_SENDING : STREAM_RECEIVING)) != 0;
	stream->pending--;
	if (cqe->res < 0 && is_under_way && (stream->state & unwanted) != 0)
		cancel(self, stream, is_send ? WHAT_SEND : WHAT_RECEIVE);
	else
		arm_receive(self, stream);
}

/* Tells whether it was anything but a watched descriptor. */
static bool handle(struct uring_io *self, const struct io_uring_cqe *cqe) {
	void *pointer = (void *)(uintptr_t)(cqe->user_data & ~WHAT_MASK);
	struct io_stream *stream = pointer;
	switch ((enum what)(cqe->user_data & WHAT_MASK)) {
	case WHAT_RECEIVE:
		received(self, stream, cqe);
		break;
	case WHAT_SEND:
		sent(self, stream, cqe->res);
		break;
	case WHAT_RECEIVE_CANCEL:
	case WHAT_SEND_CANCEL:
		cancelled(self, stream, cqe);
		break;
	case WHAT_ACCEPT:
		accepted(self, pointer, cqe);
		return true;
	case WHAT_WATCH:
		((struct watched *)pointer)->is_armed = (cqe->flags & IORING_CQE_F_MORE) != 0;
		return false;
	case WHAT_IGNORED:
		return false;
	}
	let_go(self, stream);
	return true;
}

/* ------------------------------------------------------------------ silent sends ----------- */

/* Something was said of it: it has not gone as a whole. */
static void forget_silent(struct uring_io *self, struct io_stream *stream) {
	stream->state &= (uint16_t)~STREAM_SILENT;
	for (uint32_t i = 0; i < self->silent_count; i++)
		if (self->silent[i] == stream) self->silent[i] = NULL;
}

/* Looks at all that the kernel has said, also at what this poll will not handle any more. */
static void forget_loud(struct uring_io *self) {
	unsigned head;
	struct io_uring_cqe *cqe;
	io_uring_for_each_cqe(&self->ring, head, cqe) {
		struct io_stream *stream = (void *)(uintptr_t)(cqe->user_data & ~WHAT_MASK);
		if ((cqe->user_data & WHAT_MASK) == WHAT_SEND && stream->state & STREAM_SILENT)
			forget_silent(self, stream);
	}
}

static size_t bytes_left(const struct io_stream *stream) {
	size_t bytes = 0;
	for (size_t i = 0; i < stream->piece_count; i++) bytes += stream->pieces[i].iov_len;
	return bytes;
}

/* All of them were handed over, and what was said of some is read: the others have gone. The
 * callbacks queue new ones. */
static void tell_silent(struct uring_io *self) {
	struct io_stream *gone[SILENT_MAX];
	uint32_t count = self->silent_count;
	self->silent_count = 0;
	for (uint32_t i = 0; i < count; i++) gone[i] = self->silent[i];
	for (uint32_t i = 0; i < count; i++) {
		struct io_stream *stream = gone[i];
		if (stream == NULL) continue;
		stream->state &= (uint16_t)~STREAM_SILENT;
		sent(self, stream, (int)bytes_left(stream));
		let_go(self, stream);
	}
}

/* Ends the receives behind which an end is, or was, hidden; the completion of a cancelled one arms
 * it anew. */
static void look_after_streams(struct uring_io *self) {
	struct io_stream *anew[LOOKS_MAX];
	uint32_t count = uring_look(self, anew);
	for (uint32_t i = 0; i < count; i++)
		if (anew[i]->state & STREAM_RECEIVING) cancel(self, anew[i], WHAT_RECEIVE);
}

/* The kernel has more to say than its queue holds. */
static bool has_overflowed(const struct uring_io *self) {
	return (IO_URING_READ_ONCE(*self->ring.sq.kflags) & IORING_SQ_CQ_OVERFLOW) != 0;
}

/* Hands over what is queued and takes completions, if there is either. */
static void enter(struct uring_io *self) {
	unsigned said = IO_URING_READ_ONCE(*self->ring.sq.kflags);
	if (io_uring_sq_ready(&self->ring) > 0 ||
		(said & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0)
		(void)io_uring_submit_and_get_events(&self->ring);
}

/* What these completions will bring. Nothing is done about it yet. */
static void tell_coming(struct uring_io *self, struct io_uring_cqe *const *completions,
						unsigned count) {
	struct io_coming coming[IO_COMING_MAX];
	size_t found = 0;
	for (unsigned i = 0; i < count && found < IO_COMING_MAX; i++) {
		const struct io_uring_cqe *cqe = completions[i];
		if ((cqe->user_data & WHAT_MASK) != WHAT_RECEIVE || cqe->res <= 0) continue;
		coming[found++] =
			(struct io_coming){.stream = (void *)(uintptr_t)(cqe->user_data & ~WHAT_MASK),
							   .bytes = uring_buffer(self, cqe->flags >> IORING_CQE_BUFFER_SHIFT),
							   .length = (size_t)cqe->res};
	}
	if (found > 1) self->io.events->coming(self->io.context, coming, found);
}

static bool uring_poll(struct io *io) {
	struct uring_io *self = uring_of(io);
	struct io_uring_cqe *completions[COMPLETIONS_MAX];
	bool any = false;
	accept_again(self);
	io_allow_room(io);
	if (UNLIKELY(++self->polls % POLLS_A_LOOK == 0)) look_after_streams(self);
	enter(self);
	bool all_handed_over = io_uring_sq_ready(&self->ring) == 0;
	unsigned count = io_uring_peek_batch_cqe(&self->ring, completions, COMPLETIONS_MAX);
	if (self->silent_count > 0) {
		forget_loud(self);
		if (all_handed_over && !has_overflowed(self)) tell_silent(self);
	}
	if (count > 1 && self->io.events->coming != NULL) tell_coming(self, completions, count);
	for (unsigned i = 0; i < count; i++) {
		struct io_uring_cqe completion = *completions[i];
		any |= handle(self, &completion);
	}
	io_uring_cq_advance(&self->ring, count);
	any |= io_tell_closed(&self->io, &self->closed);
	return any;
}

static void uring_rest(struct io *io, uint64_t timeout_ns) {
	struct uring_io *self = uring_of(io);
	if (self->closed != NULL) return;
	look_after_streams(self);
	for (uint32_t i = 0; i < self->watched_count; i++) arm_watch(self, &self->watched[i]);
	if (self->accept_again_ns != 0) timeout_ns = smaller(timeout_ns, ACCEPT_PAUSE_NS);
	struct __kernel_timespec timeout = {.tv_sec = (int64_t)(timeout_ns / 1000000000),
										.tv_nsec = (long long)(timeout_ns % 1000000000)};
	struct io_uring_cqe *first;
	(void)io_uring_submit_and_wait_timeout(&self->ring, &first, 1,
										   timeout_ns == UINT64_MAX ? NULL : &timeout, NULL);
}

/* ------------------------------------------------------------------ create ----------------- */

static void uring_destroy(struct io *io) {
	uring_ring_destroy(uring_of(io));
}

static size_t uring_memory_bytes(const struct io *io) {
	return uring_ring_bytes((const struct uring_io *)(const void *)io);
}

static const struct io_backend backend = {
	"io_uring",  uring_destroy, uring_memory_bytes, uring_listen, uring_stop_listening,
	uring_open,  uring_pause,   uring_resume,       uring_hold,   uring_send,
	uring_close, uring_poll,    uring_watch,        uring_rest,
};

snug_error io_uring_create(uint64_t memory_bytes, struct io **out) {
	struct uring_io *self;
	snug_error error = uring_ring_create(memory_bytes, &self);
	if (error) return error;
	self->io.backend = &backend;
	uring_look_begin(self);
	*out = &self->io;
	return SNUG_OK;
}
