/* server/watch/slow.h: the slowest commands of a worker's clients: the worst SLOW_A_MINUTE of each of
 * the last SLOW_MINUTES minutes, of those whose latency is measured (LATENCY_SAMPLE).
 *
 *     measured -> slower than the bar? --no--> nothing more
 *                       |                bar: the fastest of this minute's, when its places are taken
 *                       '-> takes the place of that one
 *
 * So the more a minute has, the seldomer one is noted, and nothing is noted of what is not measured.
 * What is kept has a fixed size. Owner only. */
#ifndef SNUG_SERVER_SLOW_H
#define SNUG_SERVER_SLOW_H

#include "cache/operation/operation.h"

#include <stdbool.h>
#include <stdint.h>

#define SLOW_MINUTES 8u
#define SLOW_A_MINUTE 8u
#define SLOW_KEY_BYTES 64u /* what is longer is cut */
#define SLOW_ADDRESS_ROOM 64u

struct slow_command {
	uint64_t took_ns;
	int64_t minute;      /* by the worker's clock */
	int64_t wall_s;      /* when */
	uint64_t client;     /* client_id */
	uint32_t bytes;      /* of the value that came or went */
	uint32_t key_bytes;  /* of the whole key */
	const char *command; /* "get"; constant */
	char key[SLOW_KEY_BYTES];
	char address[SLOW_ADDRESS_ROOM];
};

struct slow {
	int64_t minute; /* that is under way; 0: none was */
	uint64_t bar_ns;
	uint32_t count; /* of this minute's */
	uint32_t at;    /* its places are the at-th SLOW_A_MINUTE */
	struct slow_command command[SLOW_MINUTES * SLOW_A_MINUTE];
};

/* From 1 on. */
static inline int64_t slow_minute(int64_t clock_s) {
	return 1 + clock_s / 60;
}

static inline bool slow_takes(const struct slow *slow, int64_t minute, uint64_t took_ns) {
	return took_ns > slow->bar_ns || minute != slow->minute;
}

/* Of one that it takes: its place, with took_ns, minute, and what the operation says; the caller fills in
 * wall_s, client and address. The operation was carried out. */
struct slow_command *slow_note(struct slow *slow, int64_t minute, uint64_t took_ns,
							   const struct operation *operation);

/* Merges a worker's of the last SLOW_MINUTES into `worst`, slowest first; tells how many there are then. */
#define SLOW_TOLD_MAX 32u
uint32_t slow_merge(const struct slow *slow, int64_t minute, struct slow_command *worst,
					uint32_t count);

#endif
