/* server/figures/hot_keys.h: which keys are asked for most, from a sample of the commands.
 *
 *     one command in 61 is measured --> of these one in 1 .. 32 is a sample --> top.h, of each worker
 *
 * So a sample is one command in HOT_KEYS_COMMANDS. Which one is drawn, so that no pattern of commands
 * has the same ones taken each time. After HOT_KEYS_SAMPLES all weights are halved: the figures are
 * those of the last million commands or so.
 *
 * COST. Nothing for a command that is not measured; a sample is some 300 instructions: 0.4 a command.
 * Memory is that of the slots, 304 bytes each, within the worker's limit: 64 of them, or fewer where
 * that would be more than a 256th of the limit.
 *
 * ERROR. Of a key with n samples the number of its commands is within n +- 2 sqrt(n) samples, 19 times
 * out of 20; and a key that had less than one in so many commands as there are slots may be missing. */
#ifndef SNUG_SERVER_HOT_KEYS_H
#define SNUG_SERVER_HOT_KEYS_H

#include "cache/operation/operation.h"
#include "server/figures/top.h"

#define HOT_KEYS_SLOTS_MAX 64u
#define HOT_KEYS_SHARE 256u /* of the limit */
#define HOT_KEYS_DRAWN 32u  /* a power of two */
/* LATENCY_SAMPLE (server.h) times half of one more than what is drawn: 1006 */
#define HOT_KEYS_COMMANDS (61u * (HOT_KEYS_DRAWN + 1) / 2)
#define HOT_KEYS_SAMPLES 16384u

struct hot_keys {
	uint32_t left;    /* measured commands until the next sample */
	uint32_t drawn;   /* the last draw */
	uint64_t samples; /* in `top` */
	struct top top;
};

/* A power of two: how many slots a worker of such a limit has. */
uint32_t hot_keys_slots(uint64_t limit_bytes);
/* `slots` are `room` of them, the caller's until the end. */
void hot_keys_init(struct hot_keys *keys, struct top_slot *slots, uint32_t room);
/* A sample: the key's bytes are there. `count` of a slot has the commands that change. */
void hot_keys_take(struct hot_keys *keys, const struct operation *operation);

/* A command was measured. The worker's thread. */
static inline void hot_keys_note(struct hot_keys *keys, const struct operation *operation) {
	if (keys->left > 0)
		keys->left--;
	else
		hot_keys_take(keys, operation);
}

#endif
