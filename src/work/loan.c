/* work/loan.c: see work/loan.h. */
#include "work/loan.h"

#include "base/assert.h"
#include "os/threads.h"

void loan_offer(struct loan *loan) {
	SNUG_ASSERT(atomic_load_explicit(&loan->state, memory_order_relaxed) == LOAN_KEPT);
	atomic_store_explicit(&loan->state, LOAN_OFFERED, memory_order_release);
}

void loan_recall(struct loan *loan) {
	uint32_t expected = LOAN_OFFERED;
	while (!atomic_compare_exchange_weak_explicit(&loan->state, &expected,
												  expected == LOAN_TAKEN ? LOAN_RECALLED : LOAN_KEPT,
												  memory_order_acquire, memory_order_relaxed)) {
	}
	if (expected == LOAN_OFFERED) return;
	while (atomic_load_explicit(&loan->state, memory_order_acquire) == LOAN_RECALLED)
		os_wait_on(&loan->state, LOAN_RECALLED, OS_FOREVER);
}

bool loan_take(struct loan *loan) {
	uint32_t expected = LOAN_OFFERED;
	if (atomic_load_explicit(&loan->state, memory_order_relaxed) != LOAN_OFFERED) return false;
	return atomic_compare_exchange_strong_explicit(&loan->state, &expected, LOAN_TAKEN, memory_order_acquire,
												   memory_order_relaxed);
}

/* Who waits has been told of in the word itself, so no wake-up is lost: it changes the word before it sleeps on it. */
void loan_return(struct loan *loan) {
	uint32_t expected = LOAN_TAKEN;
	if (atomic_compare_exchange_strong_explicit(&loan->state, &expected, LOAN_OFFERED, memory_order_release,
												memory_order_relaxed))
		return;
	SNUG_ASSERT(expected == LOAN_RECALLED);
	atomic_store_explicit(&loan->state, LOAN_KEPT, memory_order_release);
	os_wake(&loan->state, 1);
}
