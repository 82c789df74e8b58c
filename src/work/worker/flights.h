/* work/worker/flights.h: a client's operations between submission and the moment when their result
 * is taken.
 *
 *     flights   [ free | flying | done ] x room     a ticket is index and generation: a stale one
 *                                                   finds another generation
 *     free      a stack
 *     done      first -> .. -> last                 results not yet taken, the oldest first
 *
 * All operations take constant time and none takes memory. 56 bytes a flight. One thread. */
#ifndef SNUG_WORK_FLIGHTS_H
#define SNUG_WORK_FLIGHTS_H

#include <snug/client.h>

#define FLIGHT_NONE UINT32_MAX

enum flight_state { FLIGHT_FREE, FLIGHT_FLYING, FLIGHT_DONE };

struct flight {
	uint32_t generation; /* of its ticket; never 0 */
	enum flight_state state;
	uint32_t next; /* free: below it on the stack; done: the one that came after it */
	uint32_t previous;
	snug_operation_kind kind;
	snug_result result;
};

struct flights {
	struct flight *flight; /* `room` of them, the caller's */
	uint32_t room;
	uint32_t in_flight; /* flying and done */
	uint32_t flying;
	uint32_t first_free;
	uint32_t first_done;
	uint32_t last_done;
};

void flights_init(struct flights *flights, struct flight *flight, uint32_t room);

/* Room for one more is there (in_flight < room). */
snug_ticket flights_begin(struct flights *flights, snug_operation_kind kind);
/* Takes back one that was never sent. */
void flights_undo(struct flights *flights, snug_ticket ticket);
/* The result of one that flies; false: none flies under this ticket. */
bool flights_land(struct flights *flights, snug_ticket ticket, const snug_result *result);

/* NULL: no such ticket, or its result was taken. */
struct flight *flights_find(struct flights *flights, snug_ticket ticket);
/* Of one that is done; its ticket ends. */
snug_result flights_take(struct flights *flights, struct flight *flight);
/* The done one that came first, and its ticket; NULL: none is done. */
struct flight *flights_first_done(struct flights *flights, snug_ticket *ticket);

#endif
