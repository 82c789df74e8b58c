/* server/io/io_backend.c: what all ways share, the sockets of tests too. See
 * server/io/io_backend.h. */
#include "server/io/io_backend.h"

#include "base/assert.h"
#include "base/bits.h"

#include <errno.h>

/* Linux hands on what happened to a connection in the queue as the error of its accept. */
bool io_accept_goes_on(int error) {
	switch (error) {
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
	case ENOPROTOOPT:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENONET:
		return true;
	default:
		return false;
	}
}

size_t io_pieces_left(const struct io_stream *stream, struct iovec *room) {
	size_t skip = stream->sent_bytes, count = 0;
	for (size_t i = 0; i < stream->piece_count; i++) {
		const struct iovec *piece = &stream->pieces[i];
		if (skip >= piece->iov_len) {
			skip -= piece->iov_len;
			continue;
		}
		room[count++] = (struct iovec){(char *)piece->iov_base + skip, piece->iov_len - skip};
		skip = 0;
	}
	return count;
}

size_t io_room(struct io *io, struct io_stream *stream, struct iovec *pieces) {
	size_t count = 0, left_bytes = io->room_bytes;
	if ((stream->state & IO_HAS_ROOM) == 0 || left_bytes == 0) return 0;
	size_t offered = io->events->room(io->context, stream, pieces, IO_PIECES_MAX - 1);
	SNUG_ASSERT(offered < IO_PIECES_MAX);
	if (offered == 0) stream->state &= (uint16_t)~IO_HAS_ROOM;
	for (; count < offered && left_bytes > 0; count++) {
		pieces[count].iov_len = smaller(pieces[count].iov_len, left_bytes);
		left_bytes -= pieces[count].iov_len;
	}
	return count;
}

struct io_receipt io_receive(struct io *io, struct io_stream *stream, struct iovec *pieces,
							 size_t count, char *buffer, size_t buffer_bytes) {
	size_t room_bytes = 0;
	/* a layer above has buffers of its own behind its room, and knows no heads */
	if (count > 0 && (stream->state & IO_SECURED) == 0) stream->state |= IO_AFTER_ROOM;
	buffer_bytes = io_buffer_share(stream, buffer_bytes);
	for (size_t i = 0; i < count; i++) room_bytes += pieces[i].iov_len;
	SNUG_ASSERT(count < IO_PIECES_MAX && room_bytes <= io->room_bytes);
	pieces[count] = (struct iovec){buffer, buffer_bytes};
	/* int with musl, else size_t */
	struct msghdr message = {.msg_iov = pieces, .msg_iovlen = (uint16_t)(count + 1)};
	struct io_receipt receipt = {.bytes = LIKELY(count == 0)
											  ? recv(stream->fd, buffer, buffer_bytes, MSG_DONTWAIT)
											  : recvmsg(stream->fd, &message, MSG_DONTWAIT)};
	if (receipt.bytes <= 0) return receipt;
	if (count == 0 && (stream->state & IO_HAS_ROOM) == 0) stream->state &= (uint16_t)~IO_AFTER_ROOM;
	receipt.placed_bytes = smaller((size_t)receipt.bytes, room_bytes);
	receipt.buffered_bytes = (size_t)receipt.bytes - receipt.placed_bytes;
	receipt.is_short = (size_t)receipt.bytes < room_bytes + buffer_bytes;
	io->room_bytes -= receipt.placed_bytes;
	return receipt;
}
