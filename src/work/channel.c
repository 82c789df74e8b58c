/* work/channel.c: see work/channel.h. Concurrency Kit's ring carries the messages; what stands around it counts room, tells
 * when to sleep and to wake, and ends it.
 *
 *     gate       [ claimed so far : 32 | closed : 1 | senders inside : 31 ]     one word, so that a send is one RMW in, one out
 *     released   [ received so far : 32 ]                                       room = claimed - released at most `messages`
 *     ring       [ slot slot slot ... ]   2 x messages slots                    never full: the gate lets in only what fits
 *     state      AWAKE | ASLEEP | NEWS                                          the receiver's
 *     waiting    senders found no room and sleep on `moved`, a count that changes when they should look again
 *
 * ROOM. A sender claims room for its whole batch with one compare-and-swap on the gate, so a batch goes in whole or not at all,
 * though the ring itself takes messages one by one. The ring has twice the slots: it holds one message less than it has slots and
 * they are a power of two; and it could only refuse a sender that was let in if it were smaller than the claims.
 *
 * SLEEP AND WAKE (models/channel.pml). Both sides write, fence, and read what the other wrote:
 *
 *     sender:    message into the ring;  fence;  ASLEEP?  -> swap to AWAKE; whoever swapped signals the event
 *     receiver:  state = ASLEEP;         fence;  a message?  -> back to AWAKE, no sleep
 *
 * Without a fence each could read before its own write is visible, and the receiver would sleep on a message. NEWS is what the
 * receiver must look at although no message came: the channel was closed, the last sender has gone. It outlasts a receiver that is
 * awake, and its next doze is refused once.
 *
 * Senders without room do the same with `waiting` and `released`, and sleep on `moved`. They are woken together, when half of the room
 * is free: woken one by one for each message received, they and the receiver would change places at each message.
 *
 * THE END (laws W1 to W5). Each sender counts itself in before it touches anything else, and out as its last act. Close sets the closed bit
 * in the word that they count in: who came before is counted, who comes after is refused. When the count is zero nobody is left who
 * could publish or signal, and whoever knows of no sender still on its way here may destroy the channel. In particular an asker that
 * has got all of its answers may: the answerer counted itself in before it published the last of them.
 *
 * MORE THREADS THAN CORES. The ring publishes in the order of reservation: when a sender loses its processor between the two, some ten
 * instructions, the others spin in the ring until it runs again, in the worst case for a time slice. With 8 senders on 2 busy
 * processors that was 12 waits of more than a microsecond in 40 million messages, the longest 0.3 ms. Yielding while one waits
 * was tried and is far worse: once one sender has yielded its turn, all the others yield behind it, message after message (3000 ns
 * a message instead of 20). Real-time priorities on one processor would spin for ever; don't.
 *
 * COST. A send: two RMW on the gate, one in the ring, one fence; a receive: one fence, for up to `most` messages. No system call
 * while the receiver is awake and there is room.
 *
 * ThreadSanitizer sees neither the ring's assembly nor fences. The TSAN_ lines tell it of the two edges that the ring gives: from
 * a message's sender to its receiver, and from the receiver to the next user of the slot. The gate is relaxed on entry so that
 * senders are not ordered among themselves more than they really are: their races stay visible. */
#include "work/channel.h"

#include "base/bits.h"
#include "base/tsan.h"
#include "os/threads.h"

#include <ck_ring.h>
#include <snug/workers.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 64

#define GATE_CLOSED (UINT64_C(1) << 31)
#define GATE_INSIDE (GATE_CLOSED - 1)
#define GATE_CLAIM_SHIFT 32

#define CLOSE_YIELDS 64u /* yields before close sleeps between two looks */
#define CLOSE_SLEEP_NS UINT64_C(20000)

_Static_assert(SNUG_FOREVER == OS_FOREVER, "one word for no limit");

enum receiver_state { AWAKE, ASLEEP, NEWS };

/* Each group on lines of its own: who writes one does not slow the readers of another. */
struct channel {
	/* constant after create */
	_Alignas(LINE_BYTES) struct message *slots;
	uint32_t room; /* messages */
	int event;
	/* atomic: senders and close write */
	_Alignas(LINE_BYTES) _Atomic uint64_t gate;
	/* atomic: the receiver writes, senders read; `high_water` anyone reads */
	_Alignas(LINE_BYTES) _Atomic uint32_t released;
	_Atomic uint32_t high_water;
	/* atomic: the receiver, waking senders and close write; every sender reads */
	_Alignas(LINE_BYTES) _Atomic uint32_t state; /* enum receiver_state */
	_Atomic uint64_t wakes;
	/* atomic: senders that find no room set `waiting`, the receiver takes it back; it and close write `moved` */
	_Alignas(LINE_BYTES) _Atomic bool waiting;
	_Atomic uint32_t moved;
	/* atomic: senders write, anyone reads */
	_Atomic uint32_t senders;
	_Atomic bool had_senders; /* set once, after the first was counted */
	_Atomic bool ended;       /* set once, by close, when nobody was inside any more */
	/* Concurrency Kit's: senders put in, the receiver takes out */
	_Alignas(LINE_BYTES) struct ck_ring ring;
};

CK_RING_PROTOTYPE(message, message)

/* ------------------------------------------------------------------ create, destroy --------- */

static void *lines_alloc(size_t bytes) {
	void *memory = aligned_alloc(LINE_BYTES, round_up(bytes, LINE_BYTES));
	if (memory != NULL) memset(memory, 0, round_up(bytes, LINE_BYTES));
	return memory;
}

snug_error channel_create(uint32_t messages, struct channel **out) {
	if (messages < CHANNEL_MESSAGES_MIN || messages > CHANNEL_MESSAGES_MAX || !is_power_of_two(messages))
		return SNUG_ERROR_OPTION;
	struct channel *channel = lines_alloc(sizeof *channel);
	struct message *slots = lines_alloc(2 * (size_t)messages * sizeof *slots);
	int event = os_event_create();
	if (channel == NULL || slots == NULL || event < 0) {
		free(channel);
		free(slots);
		if (event < 0) return SNUG_ERROR_OS_THREAD;
		os_event_destroy(event);
		return SNUG_ERROR_OS_MEMORY;
	}
	channel->slots = slots;
	channel->room = messages;
	channel->event = event;
	ck_ring_init(&channel->ring, 2 * messages);
	*out = channel;
	return SNUG_OK;
}

void channel_destroy(struct channel *channel) {
	if (channel == NULL) return;
	SNUG_ASSERT((atomic_load(&channel->gate) & GATE_CLOSED) != 0);
	SNUG_ASSERT((atomic_load(&channel->gate) & GATE_INSIDE) == 0);
	os_event_destroy(channel->event);
	free(channel->slots);
	free(channel);
}

/* ------------------------------------------------------------------ waking ------------------ */

static void signal_receiver(struct channel *channel) {
	atomic_fetch_add_explicit(&channel->wakes, 1, memory_order_relaxed);
	os_event_signal(channel->event);
}

/* After a message was published. The fence stands between that and the look. */
static void wake_receiver(struct channel *channel) {
	atomic_thread_fence(memory_order_seq_cst);
	uint32_t expected = ASLEEP;
	if (LIKELY(atomic_load_explicit(&channel->state, memory_order_relaxed) != ASLEEP)) return;
	if (atomic_compare_exchange_strong(&channel->state, &expected, AWAKE)) signal_receiver(channel);
}

/* Something other than a message. */
static void tell_receiver(struct channel *channel) {
	if (atomic_exchange(&channel->state, NEWS) == ASLEEP) signal_receiver(channel);
}

static void wake_senders(struct channel *channel) {
	atomic_fetch_add(&channel->moved, 1);
	os_wake(&channel->moved, UINT32_MAX);
}

/* Senders wait, and room has come back: lets them in if half of the room is free, else a later receive will. */
static void let_senders_in(struct channel *channel) {
	uint32_t released = atomic_load_explicit(&channel->released, memory_order_acquire);
	uint32_t claimed = (uint32_t)(atomic_load_explicit(&channel->gate, memory_order_relaxed) >> GATE_CLAIM_SHIFT);
	if (claimed - released > channel->room / 2) return;
	if (atomic_exchange(&channel->waiting, false)) wake_senders(channel);
}

/* ------------------------------------------------------------------ senders ----------------- */

/* Out, as the last act: the channel may be gone after it. */
static void leave(struct channel *channel) {
	atomic_fetch_sub_explicit(&channel->gate, 1, memory_order_release);
}

/* Claims room for `count` messages and counts `entering` senders (0 or 1) in. Not OK: nothing changed.
 * `released` is read first: claims that are older than it are then in the gate too. It is full only if nothing was released in
 * between, else it might never have been. */
static snug_error claim(struct channel *channel, uint32_t count, uint32_t entering) {
	SNUG_ASSERT(count <= channel->room);
	for (;;) {
		uint32_t released = atomic_load_explicit(&channel->released, memory_order_acquire);
		uint64_t gate = atomic_load_explicit(&channel->gate, memory_order_relaxed);
		if ((gate & GATE_CLOSED) != 0) return SNUG_ERROR_STOPPED;
		uint32_t used = (uint32_t)(gate >> GATE_CLAIM_SHIFT) - released;
		if (used > channel->room - count) {
			atomic_thread_fence(memory_order_acquire);
			if (atomic_load_explicit(&channel->released, memory_order_relaxed) == released)
				return SNUG_ERROR_QUEUE_FULL;
			continue;
		}
		uint64_t claimed = gate + ((uint64_t)count << GATE_CLAIM_SHIFT) + entering;
		if (atomic_compare_exchange_weak_explicit(&channel->gate, &gate, claimed, memory_order_relaxed,
												  memory_order_relaxed))
			return SNUG_OK;
	}
}

static void publish(struct channel *channel, const struct message *message) {
	unsigned int ticket = 0;
	struct message *slot = ck_ring_enqueue_reserve_mpsc_message(&channel->ring, channel->slots, &ticket);
	if (!SNUG_GUARD(slot != NULL)) return; /* only a ring that was overwritten refuses */
	TSAN_ACQUIRE(&channel->ring.c_head);
	*slot = *message;
	TSAN_RELEASE(&channel->ring.p_tail);
	ck_ring_enqueue_commit_mpsc(&channel->ring, ticket);
}

snug_error channel_claim(struct channel *channel, size_t count) {
	return count > channel->room ? SNUG_ERROR_QUEUE_FULL : claim(channel, (uint32_t)count, 1);
}

void channel_send_claimed(struct channel *channel, const struct message *messages, size_t count) {
	for (size_t index = 0; index < count; index++) publish(channel, &messages[index]);
	wake_receiver(channel);
	leave(channel);
}

/* Room comes back, as by a receive. */
void channel_unclaim(struct channel *channel, size_t count) {
	atomic_fetch_sub_explicit(&channel->gate, (uint64_t)count << GATE_CLAIM_SHIFT, memory_order_release);
	atomic_thread_fence(memory_order_seq_cst);
	if (UNLIKELY(atomic_load_explicit(&channel->waiting, memory_order_relaxed))) let_senders_in(channel);
	leave(channel);
}

snug_error channel_try_send_batch(struct channel *channel, const struct message *messages, size_t count) {
	snug_error error = channel_claim(channel, count);
	if (error == SNUG_OK) channel_send_claimed(channel, messages, count);
	return error;
}

snug_error channel_try_send(struct channel *channel, const struct message *message) {
	return channel_try_send_batch(channel, message, 1);
}

/* Claims room for one message; the caller is inside. The count is read before the announcement: who takes the announcement back
 * changes the count afterwards, so that a sleep on the old one ends. */
static snug_error claim_by(struct channel *channel, uint64_t deadline_ns) {
	for (;;) {
		uint32_t seen = atomic_load(&channel->moved);
		atomic_store(&channel->waiting, true);
		atomic_thread_fence(memory_order_seq_cst);
		snug_error error = claim(channel, 1, 0);
		if (error != SNUG_ERROR_QUEUE_FULL) return error;
		uint64_t remaining_ns = os_remaining_ns(deadline_ns);
		if (remaining_ns == 0) return SNUG_ERROR_TIMED_OUT;
		os_wait_on(&channel->moved, seen, remaining_ns);
	}
}

static snug_error send_when_room(struct channel *channel, const struct message *message, uint64_t deadline_ns) {
	uint64_t gate = atomic_fetch_add_explicit(&channel->gate, 1, memory_order_relaxed);
	snug_error error = SNUG_ERROR_STOPPED;
	if ((gate & GATE_CLOSED) == 0) {
		error = claim_by(channel, deadline_ns);
		if (error == SNUG_OK) {
			publish(channel, message);
			wake_receiver(channel);
		}
	}
	leave(channel);
	return error;
}

snug_error channel_send(struct channel *channel, const struct message *message, uint64_t timeout_ns) {
	snug_error error = channel_try_send(channel, message);
	if (error != SNUG_ERROR_QUEUE_FULL) return error;
	if (timeout_ns == 0) return SNUG_ERROR_TIMED_OUT;
	return send_when_room(channel, message, os_deadline_ns(timeout_ns));
}

void channel_attach(struct channel *channel) {
	atomic_fetch_add(&channel->senders, 1);
	atomic_store(&channel->had_senders, true);
}

void channel_detach(struct channel *channel) {
	atomic_fetch_add_explicit(&channel->gate, 1, memory_order_relaxed); /* inside, also after close */
	uint32_t before = atomic_fetch_sub(&channel->senders, 1);
	SNUG_ASSERT(before > 0);
	if (before == 1) tell_receiver(channel);
	leave(channel);
}

/* ------------------------------------------------------------------ the receiver ------------ */

/* How many messages it found is asked first, so that the edge from their senders is known before the ring copies them. */
size_t channel_receive(struct channel *channel, struct message *messages, size_t most) {
	uint32_t found = ck_ring_size(&channel->ring);
	if (found == 0) return 0;
	TSAN_ACQUIRE(&channel->ring.p_tail);
	if (found > atomic_load_explicit(&channel->high_water, memory_order_relaxed))
		atomic_store_explicit(&channel->high_water, found, memory_order_relaxed);
	uint32_t count = (uint32_t)smaller(found, most);
	for (uint32_t index = 0; index < count; index++) {
		bool taken = ck_ring_dequeue_mpsc_message(&channel->ring, channel->slots, &messages[index]);
		SNUG_ASSERT(taken);
		(void)taken;
	}
	TSAN_RELEASE(&channel->ring.c_head);
	uint32_t released = atomic_load_explicit(&channel->released, memory_order_relaxed) + count;
	atomic_store_explicit(&channel->released, released, memory_order_release);
	atomic_thread_fence(memory_order_seq_cst);
	if (UNLIKELY(atomic_load_explicit(&channel->waiting, memory_order_relaxed))) let_senders_in(channel);
	return count;
}

/* Nothing will come any more. Closed and nobody inside would not do instead of `ended`: one that is being refused may be inside
 * for a moment, and the receiver would sleep with the news already taken (models/channel.pml found it). */
static bool is_over(struct channel *channel) {
	if (atomic_load(&channel->ended)) return true;
	return atomic_load(&channel->had_senders) && atomic_load(&channel->senders) == 0;
}

/* One yield before the sleep: a sender that shares the processor goes on, and often there is no need to sleep; with a processor
 * of one's own it is a cheap second look. Round trips take a third less with it. */
snug_error channel_receive_wait(struct channel *channel, struct message *messages, size_t most, uint64_t timeout_ns,
								size_t *count) {
	size_t received = channel_receive(channel, messages, most);
	if (received == 0 && timeout_ns > 0) {
		os_thread_yield();
		received = channel_receive(channel, messages, most);
	}
	uint64_t deadline_ns = received == 0 ? os_deadline_ns(timeout_ns) : 0;
	while (received == 0) {
		bool over = is_over(channel); /* before the look: what was sent until then is seen by it */
		received = channel_receive(channel, messages, most);
		if (received > 0) break;
		if (over) return SNUG_ERROR_STOPPED;
		uint64_t remaining_ns = os_remaining_ns(deadline_ns);
		if (remaining_ns == 0) return SNUG_ERROR_TIMED_OUT;
		if (channel_doze(channel)) {
			os_event_wait(channel->event, remaining_ns);
			channel_rouse(channel);
		}
	}
	*count = received;
	return SNUG_OK;
}

bool channel_doze(struct channel *channel) {
	uint32_t expected = AWAKE;
	if (!atomic_compare_exchange_strong(&channel->state, &expected, ASLEEP)) {
		SNUG_ASSERT(expected == NEWS);
		atomic_store(&channel->state, AWAKE);
		return false;
	}
	atomic_thread_fence(memory_order_seq_cst);
	if (ck_ring_size(&channel->ring) == 0) return true;
	channel_rouse(channel);
	return false;
}

/* A sender that took the announcement back may signal only after this: then the next wait ends early, and here again the signal
 * is taken whatever the state was. */
bool channel_rouse(struct channel *channel) {
	bool woken = atomic_exchange(&channel->state, AWAKE) != ASLEEP;
	os_event_take(channel->event);
	return woken;
}

int channel_fd(const struct channel *channel) {
	return channel->event;
}

void channel_close(struct channel *channel) {
	atomic_fetch_or(&channel->gate, GATE_CLOSED);
	wake_senders(channel);
	uint32_t looks = 0;
	while ((atomic_load_explicit(&channel->gate, memory_order_acquire) & GATE_INSIDE) != 0) {
		if (++looks <= CLOSE_YIELDS)
			os_thread_yield();
		else
			os_thread_sleep(CLOSE_SLEEP_NS);
	}
	atomic_store(&channel->ended, true);
	tell_receiver(channel);
}

/* ------------------------------------------------------------------ any thread -------------- */

/* `released` first, as in claim. */
uint32_t channel_depth(const struct channel *channel) {
	uint32_t released = atomic_load_explicit(&channel->released, memory_order_acquire);
	uint32_t claimed = (uint32_t)(atomic_load_explicit(&channel->gate, memory_order_relaxed) >> GATE_CLAIM_SHIFT);
	return (uint32_t)smaller(claimed - released, channel->room);
}

uint32_t channel_high_water(const struct channel *channel) {
	return atomic_load_explicit(&channel->high_water, memory_order_relaxed);
}

uint32_t channel_senders(const struct channel *channel) {
	return atomic_load_explicit(&channel->senders, memory_order_relaxed);
}

uint64_t channel_wakes(const struct channel *channel) {
	return atomic_load_explicit(&channel->wakes, memory_order_relaxed);
}
