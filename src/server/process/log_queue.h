/* server/process/log_queue.h: lines of the log on their way from any thread to the one that writes
 * them. Bounded, and nobody waits: a line that finds no room is dropped and counted, because a
 * thread that serves clients must not wait for whoever reads the log. */
#ifndef SNUG_SERVER_LOG_QUEUE_H
#define SNUG_SERVER_LOG_QUEUE_H

#include <snug/log.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define LOG_QUEUE_LINES 256u /* a power of two */
#define LOG_QUEUE_LINE_BYTES 480u

struct log_entry {
	snug_log_level level;
	struct timespec at; /* wall clock, when it was said */
	/* lines that had been dropped by then: the gap is told where it is */
	uint64_t dropped_before;
	char line[LOG_QUEUE_LINE_BYTES]; /* ended by a NUL; what is longer is cut */
};

struct log_slot {
	_Atomic uint32_t turn; /* atomic: whose it is, see log_queue.c */
	struct log_entry entry;
};

struct log_queue {
	_Atomic uint32_t claimed; /* atomic: lines that were given a slot */
	_Atomic uint64_t dropped; /* atomic */
	uint32_t taken;           /* the reader only */
	struct log_slot slot[LOG_QUEUE_LINES];
};

/* In the caller's memory, before anybody puts. */
void log_queue_init(struct log_queue *queue);

/* Any thread, never waits. False: there was no room, and the line is counted as dropped. */
bool log_queue_put(struct log_queue *queue, snug_log_level level, const char *line);

/* The reader, one thread at a time: the oldest line. False: there is none, or its writer is still
 * at it. */
bool log_queue_take(struct log_queue *queue, struct log_entry *out);

/* The reader: whether there is one to take. */
bool log_queue_has(struct log_queue *queue);

/* Any thread. */
uint64_t log_queue_dropped(const struct log_queue *queue);

#endif
