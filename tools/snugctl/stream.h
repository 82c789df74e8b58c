/* stream.h: bytes of a descriptor, by lines and by counts: for answers that hold values, and for dumps. */
#ifndef SNUGCTL_STREAM_H
#define SNUGCTL_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STREAM_ROOM ((size_t)128 << 10)
#define STREAM_LINE_MAX ((size_t)2048)

struct stream {
	int fd;
	int timeout_ms; /* for each wait; -1: none */
	size_t begin, end;
	char bytes[STREAM_ROOM];
};

enum stream_end {
	STREAM_GOT,
	STREAM_ENDED,
	STREAM_FAILED
}; /* FAILED: a sentence is on standard error */

/* The next line, without its end, which stays until the next call. ENDED: there is none, nor a part
 * of one. One that is too long, or has a zero byte, is refused, however it is cut. */
enum stream_end stream_line(struct stream *stream, char **line);
/* Some of the next bytes, at most `most`: they stay until the next call. 0: there are none. */
size_t stream_some(struct stream *stream, size_t most, const char **bytes);

/* Sleeps as long as so many bytes are ahead of the rate. Zero is the beginning; a rate of 0 is none. */
struct pace {
	uint64_t rate_bytes, done_bytes;
	int64_t began_ms;
};
void pace_keep(struct pace *pace, size_t bytes);

#endif
