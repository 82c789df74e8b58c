/* work/channel/yielding.c: the two moments of a yield.
 *
 *     yielding_try     may it?  -> yield, noting when it began and ended
 *     (the caller works on what has come)
 *     yielding_judge   was it worth it?  -> the pause before the next, or a step of forgiving
 *
 * and for who need not look again: does it pay?
 *
 * Two readings of the clock and one system call for a yield; one reading where it may not. */
#include "work/channel/yielding.h"

#include "base/assert.h"
#include "base/bits.h"
#include "os/threads.h"

bool yielding_try(struct yielding *yielding) {
	uint64_t begin_ns = os_now_ns();
	if (begin_ns < yielding->next_ns) return false;
	os_thread_yield();
	yielding->begin_ns = begin_ns;
	yielding->end_ns = os_now_ns();
	return true;
}

static void pause_for(struct yielding *yielding, uint64_t took_ns, uint64_t now_ns) {
	uint32_t times = yielding->pause_times > 0 ? yielding->pause_times : 1;
	uint64_t pause_ns = smaller(took_ns, YIELD_PAUSE_MAX_NS) * times;
	yielding->next_ns = now_ns + smaller(pause_ns, YIELD_PAUSE_MAX_NS);
	yielding->good_since_ns = yielding->next_ns;
	SNUG_ASSERT(times <= YIELD_PAUSE_TIMES_MAX * YIELD_PAUSE_GROWTH);
	yielding->pause_times = times < YIELD_PAUSE_TIMES_MAX ? times * YIELD_PAUSE_GROWTH : times;
}

void yielding_judge(struct yielding *yielding, uint64_t now_ns) {
	SNUG_ASSERT(yielding->begin_ns <= yielding->end_ns && yielding->end_ns <= now_ns);
	uint64_t took_ns = yielding->end_ns - yielding->begin_ns;
	uint64_t work_ns = now_ns - yielding->end_ns;
	if (took_ns > YIELD_LONG_NS && work_ns < YIELD_WORTH_NS) {
		pause_for(yielding, took_ns, now_ns);
	} else if (now_ns - yielding->good_since_ns >= YIELD_GOOD_NS) {
		yielding->good_since_ns = now_ns;
		yielding->pause_times /= 2;
	}
}

void yielding_note_look(struct yielding *yielding, bool brought) {
	yielding->barren = (uint8_t)(yielding->barren << 1 | !brought);
}

bool yielding_look_pays(struct yielding *yielding) {
	if (__builtin_popcount(yielding->barren) <= LOOKS_BARREN_MAX) return true;
	return ++yielding->forgone % LOOKS_TRIED_ONE_IN == 0;
}
