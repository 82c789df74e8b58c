/* mem/gate.h: what every public call checks first.
 *
 * The gate is two numbers of the heap, of which one is 0 for its whole life:
 *
 *   gate.references      the largest object of the short way, in a heap by reference
 *   gate.handles         the same in a heap by handle
 *   both 0               an owner's callback is running
 *
 * A third one, gate.inlined, is for programs into which the shortest calls were compiled
 * (snug/heap_short.h).
 *
 * A call is let in if the number of its mode is not 0. So a call of the other mode, and a call from
 * inside a callback, cost the usual caller nothing more: which of the two it was is found out only
 * when the comparison has failed (MODE, REENTERED). The shortest calls compare their size with that
 * number, and have asked both at once. A callback must be kept out because it runs in the middle of
 * a move, when the object is in two places.
 *
 * Debug builds also compare the calling thread with the owner (WRONG_THREAD). Release builds do
 * not: a heap is used without any synchronization, and the shortest calls are some 20 instructions
 * long. */
#ifndef SNUG_MEM_GATE_H
#define SNUG_MEM_GATE_H

#include "base/assert.h"
#include "base/bits.h"
#include "mem/types.h"

/* Debug builds check each call, and where free slots are poisoned the library must see each. */
#if defined(SNUG_DEBUG) || defined(BUILD_POISONS)
#define INLINED_BYTES_MAX 0
#else
#define INLINED_BYTES_MAX SHORT_BYTES_MAX
#endif

static inline struct gate gate_of(enum mode mode) {
	return mode == BY_REFERENCE ? (struct gate){INLINED_BYTES_MAX, .references = SHORT_BYTES_MAX}
								: (struct gate){.handles = SHORT_BYTES_MAX - HANDLE_TRAILER_BYTES};
}

static inline bool gate_is_shut(const snug_heap *heap) {
	return (heap->gate.references | heap->gate.handles) == 0;
}

/* While an owner's callback runs; what is returned opens it again. */
static inline struct gate gate_shut(snug_heap *heap) {
	struct gate open = heap->gate;
	heap->gate = (struct gate){0};
	return open;
}

static inline void gate_open(snug_heap *heap, struct gate open) {
	SNUG_ASSERT(gate_is_shut(heap));
	heap->gate = open;
}

static inline snug_error gate_refusal(const snug_heap *heap) {
	return gate_is_shut(heap) ? SNUG_ERROR_REENTERED : SNUG_ERROR_MODE;
}

static inline snug_error gate_thread(const snug_heap *heap) {
#ifdef SNUG_DEBUG
	if (!pthread_equal(heap->owner_thread, pthread_self())) return SNUG_ERROR_WRONG_THREAD;
#else
	(void)heap;
#endif
	return SNUG_OK;
}

/* For calls of one mode. */
static inline snug_error gate_enter(const snug_heap *heap, enum mode mode) {
	if (UNLIKELY(heap == NULL)) return SNUG_ERROR_NULL;
	snug_error error = gate_thread(heap);
	if (UNLIKELY(error)) return error;
	uint64_t open = mode == BY_HANDLE ? heap->gate.handles : heap->gate.references;
	return LIKELY(open != 0) ? SNUG_OK : gate_refusal(heap);
}

/* For calls of both modes. */
static inline snug_error gate_enter_any(const snug_heap *heap) {
	if (UNLIKELY(heap == NULL)) return SNUG_ERROR_NULL;
	snug_error error = gate_thread(heap);
	if (UNLIKELY(error)) return error;
	return UNLIKELY(gate_is_shut(heap)) ? SNUG_ERROR_REENTERED : SNUG_OK;
}

#endif
