/* stream.c: see stream.h. */
#include "stream.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static bool wait_for(const struct stream *stream) {
	struct pollfd wait = {.fd = stream->fd, .events = POLLIN};
	int ready;
	while ((ready = poll(&wait, 1, stream->timeout_ms)) < 0 && errno == EINTR) continue;
	if (ready == 0) fprintf(stderr, "snugctl: no answer in time\n");
	return ready > 0;
}

/* More bytes behind those that are there. */
static enum stream_end fill(struct stream *stream) {
	memmove(stream->bytes, stream->bytes + stream->begin, stream->end - stream->begin);
	stream->end -= stream->begin;
	stream->begin = 0;
	for (;;) {
		ssize_t got = read(stream->fd, stream->bytes + stream->end, STREAM_ROOM - stream->end);
		if (got > 0) stream->end += (size_t)got;
		if (got >= 0) return got > 0 ? STREAM_GOT : STREAM_ENDED;
		if (errno == EAGAIN && !wait_for(stream)) return STREAM_FAILED;
		if (errno == EAGAIN || errno == EINTR) continue;
		fprintf(stderr, "snugctl: %s\n", strerror(errno));
		return STREAM_FAILED;
	}
}

static enum stream_end refuse_line(size_t length) {
	if (length > STREAM_LINE_MAX)
		fprintf(stderr, "snugctl: a line of more than %zu bytes\n", STREAM_LINE_MAX);
	else
		fprintf(stderr, "snugctl: a line with a zero byte\n");
	return STREAM_FAILED;
}

enum stream_end stream_line(struct stream *stream, char **line) {
	for (;;) {
		char *begin = stream->bytes + stream->begin;
		size_t length = stream->end - stream->begin;
		char *end = memchr(begin, '\n', length);
		if (end != NULL) {
			stream->begin += (size_t)(end + 1 - begin);
			if (end > begin && end[-1] == '\r') end--;
			length = (size_t)(end - begin);
			/* whoever looks at it as a text would not see what is behind the zero */
			if (length > STREAM_LINE_MAX || memchr(begin, '\0', length) != NULL)
				return refuse_line(length);
			*end = '\0';
			*line = begin;
			return STREAM_GOT;
		}
		if (length > STREAM_LINE_MAX + 1) return refuse_line(length);
		enum stream_end got = fill(stream);
		if (got == STREAM_ENDED && length > 0) fprintf(stderr, "snugctl: it ends amid a line\n");
		if (got != STREAM_GOT) return length > 0 ? STREAM_FAILED : got;
	}
}

size_t stream_some(struct stream *stream, size_t most, const char **bytes) {
	if (stream->begin == stream->end && fill(stream) != STREAM_GOT) return 0;
	size_t some = stream->end - stream->begin < most ? stream->end - stream->begin : most;
	*bytes = stream->bytes + stream->begin;
	stream->begin += some;
	return some;
}

static int64_t now_ms(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void pace_keep(struct pace *pace, size_t bytes) {
	if (pace->rate_bytes == 0) return;
	if (pace->done_bytes == 0) pace->began_ms = now_ms();
	pace->done_bytes += bytes;
	int64_t due_ms =
		pace->began_ms + (int64_t)((double)pace->done_bytes * 1000 / (double)pace->rate_bytes);
	int64_t ahead_ms = due_ms - now_ms();
	if (ahead_ms <= 0) return;
	struct timespec time = {.tv_sec = ahead_ms / 1000, .tv_nsec = ahead_ms % 1000 * 1000000};
	while (nanosleep(&time, &time) != 0 && errno == EINTR) continue;
}
