/* server/process/log_queue.c: see server/process/log_queue.h. Vyukov's bounded queue, with one
 * reader:
 *
 *     claimed ----v                 each slot's turn says whose it is
 *     [ p+1 ][ p+1 ][  p  ][  p  ]      p                    free for the line with number p
 *        ^---- taken                    p + 1                holds line p
 *                                       p + LOG_QUEUE_LINES  free for the next round
 *
 * A writer claims a number with one compare-and-swap, fills the slot, and sets its turn. One that
 * loses its processor in between holds up the reader at its slot, so that order is kept, and no
 * other writer: the queue fills up behind it, and what finds no room is dropped.
 *
 * Numbers come round after 2^32 lines; they are compared by their difference. The slots take 130
 * KiB, whether there is anything to log or not: a line that is put allocates nothing. */
#include "server/process/log_queue.h"

#include "base/assert.h"

#include <string.h>

_Static_assert((LOG_QUEUE_LINES & (LOG_QUEUE_LINES - 1)) == 0, "numbers wrap around");

static struct log_slot *slot_of(struct log_queue *queue, uint32_t number) {
	return &queue->slot[number % LOG_QUEUE_LINES];
}

void log_queue_init(struct log_queue *queue) {
	atomic_init(&queue->claimed, 0);
	atomic_init(&queue->dropped, 0);
	queue->taken = 0;
	for (uint32_t i = 0; i < LOG_QUEUE_LINES; i++) atomic_init(&queue->slot[i].turn, i);
}

/* A slot of its own, and its number. NULL: all are full. */
static struct log_slot *claim(struct log_queue *queue, uint32_t *number) {
	uint32_t wanted = atomic_load_explicit(&queue->claimed, memory_order_relaxed);
	for (;;) {
		struct log_slot *slot = slot_of(queue, wanted);
		uint32_t turn = atomic_load_explicit(&slot->turn, memory_order_acquire);
		int32_t ahead = (int32_t)(turn - wanted);
		if (ahead < 0) return NULL; /* still holds the line of the round before */
		if (ahead > 0) {            /* somebody else was faster */
			wanted = atomic_load_explicit(&queue->claimed, memory_order_relaxed);
			continue;
		}
		if (!atomic_compare_exchange_weak_explicit(&queue->claimed, &wanted, wanted + 1,
												   memory_order_relaxed, memory_order_relaxed))
			continue;
		*number = wanted;
		return slot;
	}
}

bool log_queue_put(struct log_queue *queue, snug_log_level level, const char *line) {
	uint32_t number;
	struct log_slot *slot = claim(queue, &number);
	if (slot == NULL) {
		atomic_fetch_add_explicit(&queue->dropped, 1, memory_order_relaxed);
		return false;
	}
	size_t length = strnlen(line, LOG_QUEUE_LINE_BYTES - 1);
	slot->entry.level = level;
	(void)clock_gettime(CLOCK_REALTIME, &slot->entry.at);
	slot->entry.dropped_before = atomic_load_explicit(&queue->dropped, memory_order_relaxed);
	memcpy(slot->entry.line, line, length);
	slot->entry.line[length] = '\0';
	SNUG_ASSERT(atomic_load_explicit(&slot->turn, memory_order_relaxed) == number);
	atomic_store_explicit(&slot->turn, number + 1, memory_order_release);
	return true;
}

bool log_queue_has(struct log_queue *queue) {
	return atomic_load_explicit(&slot_of(queue, queue->taken)->turn, memory_order_acquire) ==
		   queue->taken + 1;
}

bool log_queue_take(struct log_queue *queue, struct log_entry *out) {
	struct log_slot *slot = slot_of(queue, queue->taken);
	if (!log_queue_has(queue)) return false;
	*out = slot->entry;
	atomic_store_explicit(&slot->turn, queue->taken + LOG_QUEUE_LINES, memory_order_release);
	queue->taken++;
	return true;
}

uint64_t log_queue_dropped(const struct log_queue *queue) {
	return atomic_load_explicit(&queue->dropped, memory_order_relaxed);
}
