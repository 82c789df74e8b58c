/* mem/gate.h: what every public call checks first, in one comparison: that the pools exist, name objects as the call does, and
 * are not inside an owner's callback. Debug builds also check the thread. */
#ifndef SNUG_MEM_GATE_H
#define SNUG_MEM_GATE_H

#include "base/bits.h"
#include "mem/types.h"

static inline snug_error gate_refusal(const snug_pools *pools) {
	return pools->gate & GATE_CALLBACK ? SNUG_ERROR_REENTERED : SNUG_ERROR_MODE;
}

static inline snug_error gate_thread(const snug_pools *pools) {
#ifdef SNUG_DEBUG
	if (!pthread_equal(pools->owner_thread, pthread_self())) return SNUG_ERROR_WRONG_THREAD;
#else
	(void)pools;
#endif
	return SNUG_OK;
}

/* For calls of one mode: `gate` is GATE_HANDLES or GATE_REFERENCES. */
static inline snug_error gate_enter(const snug_pools *pools, uint32_t gate) {
	if (UNLIKELY(pools == NULL)) return SNUG_ERROR_NULL;
	snug_error error = gate_thread(pools);
	if (UNLIKELY(error)) return error;
	return LIKELY(pools->gate == gate) ? SNUG_OK : gate_refusal(pools);
}

/* For calls of both modes. */
static inline snug_error gate_enter_any(const snug_pools *pools) {
	if (pools == NULL) return SNUG_ERROR_NULL;
	return gate_enter(pools, pools->gate & ~(uint32_t)GATE_CALLBACK);
}

#endif
