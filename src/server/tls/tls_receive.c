/* server/tls/tls_receive.c: records of a stream that is open, to bytes. See server/tls/tls_layer.h.
 *
 *     records --OpenSSL--> plain --received--> commands; all that came at once is told at once
 *             --OpenSSL--> where a large value will lie: `room` and `placed` of server/io/io.h
 *
 * A pipeline whose commands came in a record each is parsed as one. Behind a full record the rest of a
 * large value may come, so that record is told by itself. What is no whole record stays in OpenSSL.
 *
 * While a connection has room, the io receives its records into a buffer of the layer's, 64 KiB at a
 * time: io_uring otherwise brings them in buffers of 16 KiB, and goes through 1 MiB of these. */
#include "server/tls/tls_layer.h"

#include "base/bits.h"
#include "server/tls/tls_kernel.h"

void tls_tell_end(struct tls_stream *stream) {
	if (stream->has_ended) return;
	stream->has_ended = true;
	stream->layer->io.events->received(stream->layer->io.context, stream->outer, NULL, 0);
}

static void tell(struct tls_stream *stream, size_t length) {
	struct tls_layer *layer = stream->layer;
	if (length > 0)
		layer->io.events->received(layer->io.context, stream->outer, layer->plain, length);
}

static enum tls_step read_some(struct tls_stream *stream, struct iovec room, size_t *got) {
	int64_t before_bytes = stream->session.held_bytes;
	enum tls_step step = tls_session_read(&stream->session, room.iov_base, room.iov_len, got);
	tls_charge(stream, before_bytes);
	return step;
}

static enum tls_step read_record(struct tls_stream *stream, size_t *length) {
	struct iovec room = {stream->layer->plain + *length, PLAIN_BYTES - *length};
	size_t got = 0;
	enum tls_step step = read_some(stream, room, &got);
	*length += got;
	return step;
}

/* ------------------------------------------------------------------ large values ----------- */

static bool next_room(struct tls_stream *stream, struct iovec *room) {
	const struct io *io = &stream->layer->io;
	struct io_stream *outer = stream->outer;
	if (LIKELY((outer->state & IO_HAS_ROOM) == 0)) return false;
	if (io->events->room(io->context, outer, room, 1) > 0) return true;
	outer->state &= (uint16_t)~IO_HAS_ROOM;
	return false;
}

static enum tls_step read_placed(struct tls_stream *stream, struct iovec room) {
	const struct io *io = &stream->layer->io;
	size_t got = 0;
	enum tls_step step = read_some(stream, room, &got);
	if (got > 0) io->events->placed(io->context, stream->outer, got);
	return step;
}

/* No more than the connection has room for: what follows that may have to be kept. */
size_t tls_receive_room(struct tls_stream *stream, struct iovec *pieces, size_t most) {
	const struct io *io = &stream->layer->io;
	size_t count = 0, bytes = 0;
	if (stream->stage == STAGE_OPEN)
		count = io->events->room(io->context, stream->outer, pieces, most);
	for (size_t i = 0; i < count; i++) bytes += pieces[i].iov_len;
	if (bytes == 0) return 0;
	pieces[0] = (struct iovec){stream->layer->records, smaller(bytes, RECORDS_BYTES)};
	return 1;
}

/* ------------------------------------------------------------------ records ---------------- */

/* To write while it reads it has no need but where the peer wants new keys again and again. */
static void fail(struct tls_stream *stream, const char *why) {
	struct tls_layer *layer = stream->layer;
	layer->counts->record_errors++;
	tls_tell_failure(layer->tls, why);
	tls_break(stream);
}

void tls_receive(struct tls_stream *stream, const char *bytes, size_t length) {
	size_t read_bytes = 0;
	struct iovec room;
	enum tls_step step = TLS_DONE;
	stream->session.fed = bytes;
	stream->session.fed_bytes = length;
	while (step == TLS_DONE && stream->stage == STAGE_OPEN && !stream->has_ended) {
		if (read_bytes == 0 && next_room(stream, &room)) {
			step = read_placed(stream, room);
			continue;
		}
		step = read_record(stream, &read_bytes);
		if (step != TLS_DONE || read_bytes >= TLS_RECORD_BYTES) {
			tell(stream, read_bytes); /* which may close it */
			read_bytes = 0;
		}
	}
	stream->session.fed_bytes = 0;
	if (stream->stage != STAGE_OPEN) return;
	if (step == TLS_ENDED) tls_tell_end(stream);
	if (stream->is_kernels && tls_kernel_owes_keys(&stream->session))
		fail(stream, "the client asked for new keys, and the kernel keeps those that it has");
	else if (step == TLS_FAILED || step == TLS_FULL)
		fail(stream, tls_session_why(&stream->session));
	if (stream->stage == STAGE_OPEN && next_room(stream, &room)) io_offer_room(&stream->inner);
	if (stream->stage == STAGE_OPEN && stream->out_begin < stream->out_end)
		(void)tls_flush(stream); /* OpenSSL has something to say, too */
}
