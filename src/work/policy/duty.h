/* work/policy/duty.h: when the next slice of maintenance may run (law W10). Pure functions over one
 * small struct; the clock is the caller's.
 *
 *     serving:  slice t | pause t * (1/duty - 1) | slice | pause ...    slices take `duty` of it
 *     idle:     slice | slice | slice ...            once no message and no I/O came for idle_ns
 *
 * With a duty of 3 % a slice of 4 us is followed by a pause of 130 us. A pause is measured by the
 * slice before it and not by a period: so a slice that took long is paid for in full, and there is
 * no burst after a quiet time. */
#ifndef SNUG_WORK_DUTY_H
#define SNUG_WORK_DUTY_H

#include "base/assert.h"
#include "base/bits.h"

#include <stdint.h>

#define DUTY_WHOLE_PPM 1000000u

/* Owner only. */
struct duty {
	uint32_t ppm; /* 1 .. DUTY_WHOLE_PPM */
	uint64_t idle_ns;
	uint64_t next_ns;    /* the next slice while serving: no sooner */
	uint64_t traffic_ns; /* the last message or I/O */
};

/* A pause is at most this long, were a single slice to take minutes. */
#define DUTY_PAUSE_MAX_NS UINT64_C(1000000000)

static inline void duty_note_slice(struct duty *duty, uint64_t begin_ns, uint64_t end_ns) {
	SNUG_ASSERT(duty->ppm > 0 && duty->ppm <= DUTY_WHOLE_PPM && end_ns >= begin_ns);
	uint64_t slice_ns = smaller(end_ns - begin_ns, DUTY_PAUSE_MAX_NS);
	uint64_t pause_ns = slice_ns * (DUTY_WHOLE_PPM - duty->ppm) / duty->ppm;
	duty->next_ns = end_ns + smaller(pause_ns, DUTY_PAUSE_MAX_NS);
}

/* How long the next slice has to wait; 0: it may run. */
static inline uint64_t duty_wait_ns(const struct duty *duty, uint64_t now_ns) {
	uint64_t idle_from_ns = duty->traffic_ns + duty->idle_ns;
	if (idle_from_ns < duty->idle_ns) idle_from_ns = UINT64_MAX;
	uint64_t from_ns = smaller(duty->next_ns, idle_from_ns);
	return now_ns >= from_ns ? 0 : from_ns - now_ns;
}

#endif
