/* byte_queue.h: bytes in the order they came, as many as there are. */
#ifndef SNUG_TEST_BYTE_QUEUE_H
#define SNUG_TEST_BYTE_QUEUE_H

#include "support/require.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct byte_queue {
	char *bytes;
	size_t begin; /* those before it are taken */
	size_t end;
	size_t room;
};

static inline size_t byte_queue_left(const struct byte_queue *queue) {
	return queue->end - queue->begin;
}

static inline void byte_queue_append(struct byte_queue *queue, const char *bytes, size_t length) {
	if (queue->end + length > queue->room) {
		queue->room = 2 * (queue->end + length);
		queue->bytes = realloc(queue->bytes, queue->room);
		REQUIRE(queue->bytes != NULL, "no memory");
	}
	if (length > 0) memcpy(queue->bytes + queue->end, bytes, length);
	queue->end += length;
}

static inline void byte_queue_deinit(struct byte_queue *queue) {
	free(queue->bytes);
	*queue = (struct byte_queue){0};
}

#endif
