/* numbered.h: messages that tell whose they are and which, so that a receiver sees what was lost,
 * doubled, torn or overtaken.
 *
 * A sender numbers what it sends to a channel from 0; a number that was refused is used again. So a
 * batch of which a part got in although it was refused shows as a double. Each field follows from
 * the sender and the number: a torn message shows too. */
#ifndef SNUG_TEST_NUMBERED_H
#define SNUG_TEST_NUMBERED_H

#include "support/test_random.h"
#include "work/channel/message.h"

#include <stdbool.h>

#define NUMBERED_SENDERS_MAX 16u
#define KINDS 0x4000u /* as many as a channel carries */

static inline struct message numbered_message(uint32_t sender, uint64_t number) {
	test_random random = {number * 31 + sender};
	return (struct message){
		.kind = (uint16_t)(number * 7919 % KINDS),
		.error = (uint16_t)(number * 31),
		.worker = sender,
		.name = number,
		.size = test_random_next(&random),
		.offset = test_random_next(&random),
		.length = test_random_next(&random),
		.cookie = test_random_next(&random),
	};
}

/* What a receiver expects next of each sender. */
struct numbered_log {
	uint64_t next[NUMBERED_SENDERS_MAX];
	uint64_t mistakes;
};

static inline void numbered_check(struct numbered_log *log, const struct message *message) {
	if (message->worker >= NUMBERED_SENDERS_MAX || message->name != log->next[message->worker]) {
		log->mistakes++;
		return;
	}
	struct message expected = numbered_message(message->worker, message->name);
	if (memcmp(message, &expected, sizeof expected) != 0) log->mistakes++;
	log->next[message->worker]++;
}

/* A moment of random length, up to about a microsecond; now and then the processor is given
 * away. */
static inline void numbered_pause(test_random *random) {
	for (volatile uint64_t turns = test_random_below(random, 300); turns > 0; turns--) {
	}
}

#endif
