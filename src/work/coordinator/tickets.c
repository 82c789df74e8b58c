/* work/coordinator/tickets.c: how a slot passes from hand to hand.
 *
 *     word     | generation 61 | state 3 |
 *     ticket   | 0 | generation 50 | index + 1, 13 |      the highest bit is set in
 *                                                                a plan's name alone
 *
 * Two of the steps are between threads that compete, and are compare-and-swaps: claiming a free
 * slot, taking an answer. The others are stores of whoever has the slot. Acquire and release order
 * on the word carry the slot's content along.
 *
 * CLAIM begins its search at a count that all submitters share, so that they do not all try the
 * same slots. It is O(slots) when nearly all are taken; the last two are looked at for urgent ones
 * only.
 *
 * TAKE reads the bell before the word: whatever changes the word rings later, so a sleep on the old
 * bell ends. After its deadline it gives up and has touched nothing (law R3).
 *
 * FIND is the coordinator's, for a cancel. It looks at `task` only in a slot that is the
 * coordinator's: a request that is still in the inbox has none, and is not found. */
#include "work/coordinator/tickets.h"

#include "base/assert.h"
#include "base/bits.h"
#include "os/threads.h"

#include <stdlib.h>
#include <string.h>

enum ticket_state {
	TICKET_FREE,
	TICKET_CLAIMED,
	TICKET_SUBMITTED,
	TICKET_FORGOTTEN,
	TICKET_ANSWERED,
	TICKET_TAKING
};

#define STATE_BITS 3u
#define STATE_MASK ((UINT64_C(1) << STATE_BITS) - 1)
#define INDEX_MASK ((UINT64_C(1) << TICKET_INDEX_BITS) - 1)

_Static_assert(SNUG_TICKETS_MAX + TICKETS_RESERVED < INDEX_MASK, "index + 1 fits");

static enum ticket_state state_of(uint64_t word) {
	return (enum ticket_state)(word & STATE_MASK);
}

static uint64_t with_state(uint64_t word, enum ticket_state state) {
	return (word & ~STATE_MASK) | (uint64_t)state;
}

static snug_ticket ticket_of(const struct ticket_slot *slot, uint64_t word) {
	return (word >> STATE_BITS) << TICKET_INDEX_BITS | (slot->index + 1u);
}

bool tickets_init(struct tickets *tickets, uint32_t count, uint32_t parts_each) {
	SNUG_ASSERT(count > TICKETS_RESERVED && count < INDEX_MASK);
	tickets->slots = calloc(count, sizeof *tickets->slots);
	tickets->parts = calloc((size_t)count * parts_each, sizeof *tickets->parts);
	tickets->count = count;
	if (tickets->slots == NULL || tickets->parts == NULL) return false;
	for (uint32_t index = 0; index < count; index++) {
		tickets->slots[index].index = index;
		tickets->slots[index].parts = &tickets->parts[(size_t)index * parts_each];
	}
	return true;
}

void tickets_deinit(struct tickets *tickets) {
	free(tickets->slots);
	free(tickets->parts);
}

/* ------------------------------------------------------------------ submitters ------------- */

static bool claim_slot(struct tickets *tickets, struct ticket_slot *slot) {
	uint64_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);
	if (state_of(word) != TICKET_FREE) return false;
	if (!atomic_compare_exchange_strong_explicit(&slot->word, &word,
												 with_state(word, TICKET_CLAIMED),
												 memory_order_acquire, memory_order_relaxed))
		return false;
	SNUG_ASSERT(slot->task == NULL && slot->next == NULL); /* nobody works for it */
	atomic_fetch_add_explicit(&tickets->in_use, 1, memory_order_relaxed);
	return true;
}

struct ticket_slot *ticket_claim(struct tickets *tickets, bool urgent) {
	uint32_t ordinary = tickets->count - TICKETS_RESERVED;
	uint32_t first = atomic_fetch_add_explicit(&tickets->hint, 1, memory_order_relaxed);
	for (uint32_t look = 0; look < ordinary; look++) {
		struct ticket_slot *slot = &tickets->slots[(first + look) % ordinary];
		if (claim_slot(tickets, slot)) return slot;
	}
	for (uint32_t index = ordinary; urgent && index < tickets->count; index++) {
		if (claim_slot(tickets, &tickets->slots[index])) return &tickets->slots[index];
	}
	return NULL;
}

snug_ticket ticket_submit(struct ticket_slot *slot, bool forget) {
	uint64_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);
	SNUG_ASSERT(state_of(word) == TICKET_CLAIMED);
	slot->ticket = forget ? 0 : ticket_of(slot, word);
	enum ticket_state state = forget ? TICKET_FORGOTTEN : TICKET_SUBMITTED;
	snug_ticket ticket = slot->ticket;
	SNUG_ASSERT(ticket >> 63 == 0); /* a plan's name */
	atomic_store_explicit(&slot->word, with_state(word, state), memory_order_release);
	return ticket;
}

void ticket_release(struct tickets *tickets, struct ticket_slot *slot) {
	uint64_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);
	SNUG_ASSERT(state_of(word) != TICKET_FREE && state_of(word) != TICKET_ANSWERED);
	SNUG_ASSERT(atomic_load(&tickets->in_use) > 0);
	uint64_t next = ((word >> STATE_BITS) + 1) << STATE_BITS | TICKET_FREE;
	atomic_fetch_sub_explicit(&tickets->in_use, 1, memory_order_relaxed);
	atomic_store_explicit(&slot->word, next, memory_order_release);
}

/* ------------------------------------------------------------------ takers ----------------- */

/* NULL: no slot ever had this ticket, or none has it now. */
static struct ticket_slot *slot_of(struct tickets *tickets, snug_ticket ticket) {
	uint64_t index = (ticket & INDEX_MASK) - 1;
	return index < tickets->count ? &tickets->slots[index] : NULL;
}

static void copy_result(const struct ticket_slot *slot, snug_response *response, snug_part *parts,
						uint32_t *count) {
	*response = slot->response;
	if (parts == NULL || count == NULL) return;
	*count = (uint32_t)smaller(*count, slot->response.parts);
	memcpy(parts, slot->parts, *count * sizeof *parts);
}

snug_error ticket_take(struct tickets *tickets, snug_ticket ticket, uint64_t deadline_ns,
					   bool may_wait, snug_response *response, snug_part *parts, uint32_t *count) {
	struct ticket_slot *slot = slot_of(tickets, ticket);
	if (slot == NULL) return SNUG_ERROR_TICKET;
	for (;;) {
		/* before the word: what changes it rings later */
		uint32_t bell = atomic_load_explicit(&slot->bell, memory_order_acquire);
		uint64_t word = atomic_load_explicit(&slot->word, memory_order_acquire);
		if (ticket_of(slot, word) != ticket) return SNUG_ERROR_TICKET;
		enum ticket_state state = state_of(word);
		if (state == TICKET_ANSWERED) {
			uint64_t taking = with_state(word, TICKET_TAKING);
			if (!atomic_compare_exchange_strong_explicit(
					&slot->word, &word, taking, memory_order_acquire, memory_order_relaxed))
				continue;
			copy_result(slot, response, parts, count);
			ticket_release(tickets, slot);
			return SNUG_OK;
		}
		if (state != TICKET_SUBMITTED) return SNUG_ERROR_TICKET;
		uint64_t remaining_ns = os_remaining_ns(deadline_ns);
		if (remaining_ns == 0) return SNUG_ERROR_TIMED_OUT;
		if (!may_wait) return SNUG_ERROR_WRONG_THREAD;
		os_wait_on(&slot->bell, bell, remaining_ns);
	}
}

/* ------------------------------------------------------------------ the coordinator -------- */

struct ticket_slot *ticket_find(struct tickets *tickets, snug_ticket ticket) {
	struct ticket_slot *slot = slot_of(tickets, ticket);
	if (slot == NULL) return NULL;
	uint64_t word = atomic_load_explicit(&slot->word, memory_order_acquire);
	if (state_of(word) != TICKET_SUBMITTED || ticket_of(slot, word) != ticket) return NULL;
	return slot->task != NULL ? slot : NULL;
}

void ticket_answer(struct tickets *tickets, struct ticket_slot *slot) {
	uint64_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);
	SNUG_ASSERT(slot == &tickets->slots[slot->index]);
	slot->task = NULL;
	slot->next = NULL;
	if (state_of(word) == TICKET_FORGOTTEN) {
		ticket_release(tickets, slot);
		return;
	}
	SNUG_ASSERT(state_of(word) == TICKET_SUBMITTED);
	atomic_store_explicit(&slot->word, with_state(word, TICKET_ANSWERED), memory_order_release);
	atomic_fetch_add_explicit(&slot->bell, 1, memory_order_release);
	os_wake(&slot->bell, UINT32_MAX);
}
