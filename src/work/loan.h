/* work/loan.h: a thing that its owner lends while he sleeps.
 *
 * While the owner is awake the thing is his, and to use it costs him nothing. Before he sleeps he offers it; when he is awake again he recalls it.
 * In between whoever takes it has it alone until he returns it. Nobody waits to take it: it is to be had or not. The owner waits for a taker, who
 * therefore does something short, which ends by itself.
 *
 *     owner                              another
 *     loan_offer(&l);                    if (loan_take(&l)) {
 *     sleep                                  use it
 *     loan_recall(&l);                       loan_return(&l);
 *     use it                             }
 *
 * Nobody is told of an offer, and no wake-up hangs on it but that of an owner who waits for a taker (models/loan.pml).
 *
 * What one of them has written, the next one sees. */
#ifndef SNUG_WORK_LOAN_H
#define SNUG_WORK_LOAN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum loan_state {
	LOAN_KEPT, /* the owner has it */
	LOAN_OFFERED,
	LOAN_TAKEN,
	LOAN_RECALLED /* taken, and the owner waits for it */
};

/* Atomic: the owner and takers. All zero: the owner has it. */
struct loan {
	_Atomic uint32_t state; /* enum loan_state; who waits for it sleeps on it */
};

/* The owner, who has it. */
void loan_offer(struct loan *loan);
/* The owner, once after each offer: waits for who has taken it. */
void loan_recall(struct loan *loan);

/* Any thread but the owner's. False: it is not to be had now. */
bool loan_take(struct loan *loan);
/* Who has taken it. The loan must be there until the call has returned. */
void loan_return(struct loan *loan);

#endif
