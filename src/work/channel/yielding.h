/* work/channel/yielding.h: whether a thread gives its processor away before it sleeps (law W11).
 *
 * Where only those run that a thread works with, a yield is the better sleep: they go on, send
 * more, and no wake-up is paid. With four workers and a client of fifty connections on two
 * processors a request costs a third of the time with it. Where a stranger wants the processor, the
 * yield is his: it lasts his whole turn, 3 to 4 ms on Linux, and what came in the meantime waits,
 * while a sleeper would be woken within microseconds.
 *
 * The two are told apart by what a yield took and brought. A dozen requests that came in the
 * meantime are worth the wait, whoever ran: one wake-up each would cost more. One request is not.
 * So a yield is lost if it took more than 1 ms, and brought less than 15 us of work.
 *
 *     lost                    no yield for its length, times `pause_times`: 1, 4, 16 .. 1024
 *     none lost for 100 ms    `pause_times` halves
 *
 * A single stray one costs some sleeps. Strangers that stay cost a thousandth of the time after the
 * first six, and are noticed to have gone after 5 s at the latest.
 *
 * Who serves a single client, on another processor, yields to nobody, and looks again in vain each
 * time. Whoever can sleep with the call that hands over his answers asks first whether another look
 * pays: two of the last eight brought something. If not, one in 64 is tried. */
#ifndef SNUG_WORK_YIELDING_H
#define SNUG_WORK_YIELDING_H

#include <stdbool.h>
#include <stdint.h>

#define YIELD_LONG_NS UINT64_C(1000000)
#define YIELD_WORTH_NS UINT64_C(15000)
#define YIELD_GOOD_NS UINT64_C(100000000)
#define YIELD_PAUSE_TIMES_MAX 1024u
#define YIELD_PAUSE_GROWTH 4u
#define YIELD_PAUSE_MAX_NS UINT64_C(5000000000)
#define LOOKS_BARREN_MAX 6
#define LOOKS_TRIED_ONE_IN 64u

/* Owner only. All zero: nothing is known yet. */
struct yielding {
	uint64_t begin_ns; /* of the last yield */
	uint64_t end_ns;
	uint64_t next_ns;       /* no sooner */
	uint64_t good_since_ns; /* none was lost, and `pause_times` is what it is, since then */
	uint32_t pause_times;   /* 0: 1 */
	uint8_t barren;         /* a bit for each of the last eight looks: it brought nothing */
	uint8_t forgone;        /* looks that did not seem to pay; comes round */
};

/* Yields, if it may. False: it may not, so there is no news since the caller looked. */
bool yielding_try(struct yielding *yielding);
/* Once after each yield: what it brought is done now. */
void yielding_judge(struct yielding *yielding, uint64_t now_ns);
/* Once after each look that was taken in place of a sleep, with a yield before it or without. */
void yielding_note_look(struct yielding *yielding, bool brought);
/* Is another look likely to bring something? */
bool yielding_look_pays(struct yielding *yielding);

#endif
