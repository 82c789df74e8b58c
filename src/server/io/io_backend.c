/* server/io/io_backend.c: what all ways share, the sockets of tests too. See
 * server/io/io_backend.h. */
#include "server/io/io_backend.h"

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
