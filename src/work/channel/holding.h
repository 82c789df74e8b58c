/* work/channel/holding.h: how long messages for sleepers may wait for more of their kind.
 *
 * A wake-up costs more than ten requests. So where a turn has heard several who ask, and the next
 * comes at once, what is for a receiver that sleeps may wait for it: and on, turn by turn, until
 * HOLD_NS after the turn in which the first of it was held began. Whoever is alone waits for
 * nobody.
 *
 *     turn:  ... hear -> may = hold_may() -> send, but to sleepers only if not `may`
 *                     -> hold_note(was something held?)
 *
 * What is held goes with the first turn that begins HOLD_NS later, or hears one alone. So nothing
 * waits longer than HOLD_NS and the turn in which they end. */
#ifndef SNUG_WORK_HOLDING_H
#define SNUG_WORK_HOLDING_H

#include <stdbool.h>
#include <stdint.h>

#define HOLD_NS UINT64_C(100000)
#define HEARD_MANY 2u

/* Owner only. All zero: nothing is held. */
struct hold {
	uint64_t since_ns; /* the begin of the turn that held first; 0: nothing is held */
};

/* In a turn that began at `now_ns` (not 0, and no earlier than the last one's). */
static inline bool hold_may(const struct hold *hold, uint32_t heard, uint64_t now_ns) {
	if (heard < HEARD_MANY) return false;
	return hold->since_ns == 0 || now_ns - hold->since_ns < HOLD_NS;
}

/* Once in each turn, after all was sent that is to go. */
static inline void hold_note(struct hold *hold, bool is_held, uint64_t now_ns) {
	if (!is_held)
		hold->since_ns = 0;
	else if (hold->since_ns == 0)
		hold->since_ns = now_ns;
}

#endif
