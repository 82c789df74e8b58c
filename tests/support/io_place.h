/* io_place.h: what sockets in memory do with bytes that have a place where they will lie, as both ways
 * of server/io/io.h do. */
#ifndef SNUG_TEST_IO_PLACE_H
#define SNUG_TEST_IO_PLACE_H

#include "server/io/io_backend.h"

#include <string.h>

/* How many of the bytes were put there, and told. */
static inline size_t io_place(struct io *io, struct io_stream *stream, const char *bytes,
							  size_t length) {
	struct iovec pieces[IO_PIECES_MAX];
	size_t placed = 0;
	io_allow_room(io);
	size_t count = io_room(io, stream, pieces);
	for (size_t i = 0; i < count && placed < length; i++) {
		size_t left = length - placed, room = pieces[i].iov_len, part = left < room ? left : room;
		memcpy(pieces[i].iov_base, bytes + placed, part);
		placed += part;
	}
	if (placed > 0) io->events->placed(io->context, stream, placed);
	return placed;
}

#endif
