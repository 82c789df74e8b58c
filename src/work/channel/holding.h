/* work/channel/holding.h: how long messages for sleepers may wait for more of their kind.
 *
 * A wake-up costs more than ten requests. So where several ask, and the next comes at once, what is
 * for a receiver that sleeps may wait for it: and on, turn by turn, until HOLD_NS after the turn in
 * which the first of it was held began. Whoever is alone waits for nobody.
 *
 *     turn:  hearing_begin() -> hear, hearing_note() each
 *            -> for each receiver that sleeps: hold_may(are there several?) -> hold, or send
 *                     -> hold_note(was something held?)
 *
 * SEVERAL ask if somebody is heard in this turn, and within the last HOLD_NS two were, one less
 * than HOLD_NS after the other: many clients may be heard one a turn.
 *
 * What is held for a receiver goes with the first turn that begins HOLD_NS later, or hears nobody,
 * or none but the same one. So nothing waits longer than HOLD_NS and the turn in which they end. */
#ifndef SNUG_WORK_HOLDING_H
#define SNUG_WORK_HOLDING_H

#include <stdbool.h>
#include <stdint.h>

#define HOLD_NS UINT64_C(100000)

/* Owner only. All zero: nobody was heard. */
struct hearing {
	uint32_t last;      /* who was heard last; 0: nobody */
	uint64_t last_ns;   /* the begin of the turn that heard him */
	uint64_t others_ns; /* the same, of one that heard another than just before; 0: none did */
	uint32_t heard;     /* times, in this turn */
};

static inline void hearing_begin(struct hearing *hearing) {
	hearing->heard = 0;
}

/* In a turn that began at `now_ns` (not 0). By numbers, not 0: an address may be that of one who is
 * gone, and whether it is would depend on the allocator. */
static inline void hearing_note(struct hearing *hearing, uint32_t who, uint64_t now_ns) {
	hearing->heard++;
	if (hearing->last != 0 && hearing->last != who && now_ns - hearing->last_ns < HOLD_NS)
		hearing->others_ns = now_ns;
	hearing->last = who;
	hearing->last_ns = now_ns;
}

static inline bool hearing_has_several(const struct hearing *hearing, uint64_t now_ns) {
	return hearing->heard > 0 && hearing->others_ns != 0 && now_ns - hearing->others_ns < HOLD_NS;
}

/* Of one receiver. Owner only. All zero: nothing is held. */
struct hold {
	uint64_t since_ns; /* the begin of the turn that held first; 0: nothing is held */
};

/* In a turn that began at `now_ns` (not 0, and no earlier than the last one's). */
static inline bool hold_may(const struct hold *hold, bool several, uint64_t now_ns) {
	return several && (hold->since_ns == 0 || now_ns - hold->since_ns < HOLD_NS);
}

/* Where there was something to send. */
static inline void hold_note(struct hold *hold, bool is_held, uint64_t now_ns) {
	if (!is_held)
		hold->since_ns = 0;
	else if (hold->since_ns == 0)
		hold->since_ns = now_ns;
}

#endif
