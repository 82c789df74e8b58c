/* server/tls/tls_send.c: bytes out. See server/tls/tls_layer.h.
 *
 *     pieces  [VALUE ..][the value .........][the value ...][\r\nEND]
 *                 |  small ones are gathered, so that each record but the last is full
 *     out     [   record   ][   record   ][   record   ][ record ]  --> io, in one send
 *
 * An answer of several pieces is one record, as far as it fits: each costs 22 bytes and more, and half
 * a microsecond.
 *
 * A send costs the kernel its way through TCP, so up to 64 KiB of records go in one (four times
 * --ssl-wbuf-size): a get of 200 kB takes 0.73 of the processor time that it takes with 16 KiB. What
 * is to go next is encrypted when that has gone. */
#include "server/tls/tls_layer.h"

#include "base/assert.h"
#include "base/bits.h"
#include "server/tls/tls_kernel.h"

#include <string.h>

#define KERNEL_BYTES_MIN 16384u /* of the first answer that the kernel encrypts */
#define CUT_BYTES_MIN 4096u     /* of a record that is not the last */

bool tls_flush(struct tls_stream *stream) {
	while (!stream->is_sending && stream->out_begin < stream->out_end) {
		stream->sending =
			(struct iovec){stream->out + stream->out_begin, stream->out_end - stream->out_begin};
		stream->out_sending = stream->out_end;
		bool is_last = stream->piece_count == 0 && stream->stage == STAGE_OPEN;
		io_tell_late(&stream->inner, is_last && (stream->outer->state & IO_TOLD_LATE) != 0);
		if (io_send(stream->layer->inner, &stream->inner, &stream->sending, 1))
			stream->out_begin = stream->out_sending;
		else
			stream->is_sending = true;
	}
	if (stream->is_sending) return false;
	tls_give_out(stream);
	return true;
}

/* ------------------------------------------------------------------ pieces ----------------- */

static void advance(struct tls_stream *stream, size_t bytes) {
	stream->piece_offset += bytes;
	while (stream->piece_count > 0 && stream->piece_offset >= stream->pieces->iov_len) {
		stream->piece_offset -= stream->pieces->iov_len;
		stream->pieces++;
		stream->piece_count--;
	}
}

/* What the next record is of, at most so many bytes. One that OpenSSL has begun is of the same bytes
 * again. */
static struct iovec next_record(struct tls_stream *stream, size_t room) {
	char *gathered = stream->layer->gathered;
	const struct iovec *piece = stream->pieces;
	size_t offset = stream->piece_offset, left = piece->iov_len - offset, count = 0;
	size_t most = stream->begun_bytes > 0 ? stream->begun_bytes : smaller(room, TLS_RECORD_BYTES);
	if (stream->piece_count == 1 || left >= most)
		return (struct iovec){(char *)piece->iov_base + offset, smaller(left, most)};
	for (size_t i = 0; i < stream->piece_count && count < most; i++, offset = 0) {
		size_t part = smaller(piece[i].iov_len - offset, most - count);
		memcpy(gathered + count, (const char *)piece[i].iov_base + offset, part);
		count += part;
	}
	return (struct iovec){gathered, count};
}

/* Room for all that is to go, or for as much as is encrypted at a time. */
static uint32_t room_wanted(const struct tls_stream *stream) {
	size_t most = stream->layer->out_bytes, bytes = 0;
	for (size_t i = 0; i < stream->piece_count && bytes < most; i++)
		bytes += stream->pieces[i].iov_len - (i == 0 ? stream->piece_offset : 0);
	size_t extra_bytes = (bytes / TLS_RECORD_BYTES + 2) * TLS_RECORD_EXTRA_BYTES;
	return (uint32_t)smaller(bytes + extra_bytes, most);
}

/* Bytes of a record that still fit; 0: none, or too few to cut a piece for. */
static size_t room_left(const struct tls_stream *stream) {
	uint32_t room = stream->out == NULL ? stream->out_wanted : stream->out_room - stream->out_end;
	if (room <= 2 * TLS_RECORD_EXTRA_BYTES) return 0;
	room -= TLS_RECORD_EXTRA_BYTES;
	bool is_cut = stream->pieces->iov_len - stream->piece_offset > room;
	return stream->out != NULL && is_cut && room < CUT_BYTES_MIN ? 0 : room;
}

/* As many records as there is room for. */
static enum tls_step write_records(struct tls_stream *stream) {
	enum tls_step step = TLS_DONE;
	size_t room;
	stream->out_wanted = room_wanted(stream);
	while (step == TLS_DONE && stream->piece_count > 0 && (room = room_left(stream)) > 0) {
		struct iovec record = next_record(stream, room);
		int64_t before_bytes = stream->session.held_bytes;
		size_t written = 0;
		step = tls_session_write(&stream->session, record.iov_base, record.iov_len, &written);
		tls_charge(stream, before_bytes);
		stream->begun_bytes = step == TLS_FULL ? (uint32_t)record.iov_len : 0;
		advance(stream, written);
	}
	return step;
}

bool tls_pump(struct tls_stream *stream) {
	while (tls_flush(stream)) {
		if (stream->piece_count == 0) return true;
		enum tls_step step = write_records(stream);
		if (step == TLS_FAILED) {
			stream->layer->counts->record_errors++;
			tls_break(stream);
			return false;
		}
		if (step == TLS_FULL && stream->out == NULL) { /* no memory: in the next poll */
			tls_mark_pending(stream);
			return false;
		}
	}
	return false;
}

/* ------------------------------------------------------------------ by the kernel ---------- */

/* A stream whose answers are small stays with OpenSSL, which is cheaper for these. The number of the
 * next record is known once OpenSSL's last one has gone. */
static bool is_for_kernel(struct tls_stream *stream, const struct iovec *pieces, size_t count) {
	if (LIKELY(stream->is_kernels || stream->session.secret.length == 0)) return stream->is_kernels;
	size_t bytes = 0;
	for (size_t i = 0; i < count && bytes < KERNEL_BYTES_MIN; i++) bytes += pieces[i].iov_len;
	if (bytes < KERNEL_BYTES_MIN || stream->is_sending || stream->out_begin < stream->out_end)
		return false;
	stream->is_kernels = tls_kernel_begin(&stream->session, stream->inner.fd);
	if (stream->is_kernels) stream->inner.state |= IO_ENCRYPTED;
	stream->layer->counts->by_kernel += stream->is_kernels;
	return stream->is_kernels;
}

static bool send_by_kernel(struct tls_stream *stream, struct iovec *pieces, size_t count) {
	io_tell_late(&stream->inner, (stream->outer->state & IO_TOLD_LATE) != 0);
	stream->is_sending = !io_send(stream->layer->inner, &stream->inner, pieces, count);
	return !stream->is_sending;
}

bool tls_send(struct tls_stream *stream, struct iovec *pieces, size_t count) {
	if (is_for_kernel(stream, pieces, count)) return send_by_kernel(stream, pieces, count);
	stream->pieces = pieces;
	stream->piece_count = count;
	stream->piece_offset = 0;
	advance(stream, 0); /* past empty ones */
	return tls_pump(stream);
}
