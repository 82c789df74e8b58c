/* work/coordinator/tickets.h: the table in which requests go to the coordinator and results come
 * back (laws R1 to R3).
 *
 *            claim           submit            answer            take
 *     FREE ----------> CLAIMED ------> SUBMITTED ------> ANSWERED ------> TAKING ----> FREE, next
 *      ^               submitter's     coordinator's     whoever has      one taker's  generation
 *      |                  |                              the ticket
 *      |                  +----------> FORGOTTEN -----------------------------------> FREE
 *      +--- release (could not be sent)  coordinator's; nobody has a ticket
 *
 * One atomic word, generation and state, says whose a slot is; everything else in it belongs to
 * that one and is not atomic. So a time-out has nothing to undo, and of several takers one gets the
 * result. A ticket is the slot's index and generation: 50 bits of generation do not come round.
 * Waiters sleep on `bell`, which the coordinator rings after it changed the word
 * (models/ticket.pml). */
#ifndef SNUG_WORK_TICKETS_H
#define SNUG_WORK_TICKETS_H

#include <snug/coordinator.h>
#include <stdatomic.h>

#define TICKET_INDEX_BITS 13u /* SNUG_TICKETS_MAX and the reserved ones */
#define TICKETS_RESERVED 2u   /* kept for EMERGENCY and CANCEL */

struct task;

struct ticket_slot {
	_Atomic uint64_t word; /* atomic: see above */
	_Atomic uint32_t bell; /* atomic: the coordinator writes, waiters read */
	uint32_t index;        /* constant after create */
	snug_part *parts;      /* constant after create; what it points to is of whoever has the slot */
	/* of whoever has the slot */
	snug_request request;
	uint64_t ticket; /* 0: forgotten */
	uint64_t submitted_ns;
	int64_t submitted_s;
	snug_response response;
	/* coordinator only */
	struct ticket_slot *next; /* asker of the same task */
	struct task *task;        /* that works for it; NULL: none */
	bool joined;
};

struct tickets {
	struct ticket_slot *slots; /* constant after create */
	snug_part *parts;          /* the same */
	uint32_t count;            /* the same: with the reserved ones */
	_Atomic uint32_t in_use;   /* atomic: slots that are not free */
	_Atomic uint32_t hint;     /* atomic: where the next search begins */
};

/* False: no memory; deinit is right all the same. */
bool tickets_init(struct tickets *tickets, uint32_t count, uint32_t parts_each);
void tickets_deinit(struct tickets *tickets);

/* ------------------------------------------------------------------ submitters: any thread - */

/* NULL: none is free; the last TICKETS_RESERVED are for urgent ones only. */
struct ticket_slot *ticket_claim(struct tickets *tickets, bool urgent);
/* After the request was written. Answers the ticket. With `forget` nobody will take the result. */
snug_ticket ticket_submit(struct ticket_slot *slot, bool forget);
/* A slot that could not be sent. */
void ticket_release(struct tickets *tickets, struct ticket_slot *slot);

/* Takes the result, waiting for it until the deadline. TICKET, TIMED_OUT; WRONG_THREAD instead of
 * waiting, where it must not. */
snug_error ticket_take(struct tickets *tickets, snug_ticket ticket, uint64_t deadline_ns,
					   bool may_wait, snug_response *response, snug_part *parts, uint32_t *count);

/* ------------------------------------------------------------------ the coordinator -------- */

/* The slot of a ticket that a task works for; NULL: none does. */
struct ticket_slot *ticket_find(struct tickets *tickets, snug_ticket ticket);
/* After the response was written. The slot is no longer the coordinator's. */
void ticket_answer(struct tickets *tickets, struct ticket_slot *slot);

#endif
