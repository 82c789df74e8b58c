/* server/tls/tls_send.c: bytes out. See server/tls/tls_layer.h.
 *
 *     pieces  [VALUE ..][the value ............][\r\nEND]
 *                 |  so many bytes at a time that they fill out_bytes; small ones are gathered first
 *     out     [record][record]  --> io        the next part when these have gone
 *
 * An answer of several pieces is one record, as far as it fits: each costs 22 bytes and more, and half
 * a microsecond. */
#include "server/tls/tls_layer.h"

#include "base/assert.h"
#include "base/bits.h"

#include <string.h>

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

/* The next bytes, in one piece, at most out_bytes of them. */
static struct iovec next_part(struct tls_stream *stream) {
	struct tls_layer *layer = stream->layer;
	const struct iovec *piece = stream->pieces;
	size_t offset = stream->piece_offset, left = piece->iov_len - offset, count = 0;
	if (stream->piece_count == 1 || left >= layer->out_bytes)
		return (struct iovec){(char *)piece->iov_base + offset, smaller(left, layer->out_bytes)};
	for (size_t i = 0; i < stream->piece_count && count < layer->out_bytes; i++, offset = 0) {
		size_t part = smaller(piece[i].iov_len - offset, layer->out_bytes - count);
		memcpy(layer->gathered + count, (const char *)piece[i].iov_base + offset, part);
		count += part;
	}
	return (struct iovec){layer->gathered, count};
}

static enum tls_step write_part(struct tls_stream *stream, const struct iovec *part) {
	enum tls_step step = TLS_DONE;
	size_t records = part->iov_len / TLS_RECORD_BYTES + 1;
	stream->out_wanted = (uint32_t)(part->iov_len + records * TLS_RECORD_EXTRA_BYTES);
	for (size_t at = 0; at < part->iov_len && step == TLS_DONE;) {
		int64_t before_bytes = stream->session.held_bytes;
		size_t written = 0;
		step = tls_session_write(&stream->session, (const char *)part->iov_base + at,
								 smaller(part->iov_len - at, TLS_RECORD_BYTES), &written);
		tls_charge(stream, before_bytes);
		advance(stream, written);
		at += written;
	}
	return step;
}

bool tls_pump(struct tls_stream *stream) {
	while (tls_flush(stream)) {
		if (stream->piece_count == 0) return true;
		struct iovec part = next_part(stream);
		enum tls_step step = write_part(stream, &part);
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

bool tls_send(struct tls_stream *stream, const struct iovec *pieces, size_t count) {
	stream->pieces = pieces;
	stream->piece_count = count;
	stream->piece_offset = 0;
	advance(stream, 0); /* past empty ones */
	return tls_pump(stream);
}
