/* mem/gate.h: what every public call checks first.
 *
 * The gate is one word of the heap:
 *
 *   GATE_HANDLES or GATE_REFERENCES     how this heap names objects, for its whole life
 *   | GATE_CALLBACK                     an owner's callback is running
 *
 * A call compares it with the one value under which it may run. So a call of the other mode, and a
 * call from inside a callback, cost the usual caller nothing more: which of the two it was is found
 * out only when the comparison has failed (MODE, REENTERED). A callback must be kept out because it
 * runs in the middle of a move, when the object is in two places.
 *
 * Debug builds also compare the calling thread with the owner (WRONG_THREAD). Release builds do
 * not: a heap is used without any synchronization, and the shortest calls are some 50
 * instructions long. */
#ifndef SNUG_MEM_GATE_H
#define SNUG_MEM_GATE_H

#include "base/bits.h"
#include "mem/types.h"

static inline snug_error gate_refusal(const snug_heap *heap) {
	return heap->gate & GATE_CALLBACK ? SNUG_ERROR_REENTERED : SNUG_ERROR_MODE;
}

static inline snug_error gate_thread(const snug_heap *heap) {
#ifdef SNUG_DEBUG
	if (!pthread_equal(heap->owner_thread, pthread_self())) return SNUG_ERROR_WRONG_THREAD;
#else
	(void)heap;
#endif
	return SNUG_OK;
}

/* For calls of one mode: `gate` is GATE_HANDLES or GATE_REFERENCES. */
static inline snug_error gate_enter(const snug_heap *heap, uint32_t gate) {
	if (UNLIKELY(heap == NULL)) return SNUG_ERROR_NULL;
	snug_error error = gate_thread(heap);
	if (UNLIKELY(error)) return error;
	return LIKELY(heap->gate == gate) ? SNUG_OK : gate_refusal(heap);
}

/* For calls of both modes. */
static inline snug_error gate_enter_any(const snug_heap *heap) {
	if (heap == NULL) return SNUG_ERROR_NULL;
	return gate_enter(heap, heap->gate & ~(uint32_t)GATE_CALLBACK);
}

#endif
