/* work/channel/channel.c: a ring of slots, of which senders claim positions; each slot says by
 * itself when its message is there.
 *
 *     gate       [ claimed so far : 32 | closed : 1 | senders inside : 31 ]
 *                one word, so that a send is one RMW in, one out
 *     released   [ received so far : 32 ]              claimed - released is at most `messages`
 *     slots      [ head : 64 | 56 bytes ] x messages   position p lies in slot p mod messages
 *       head     [ worker : 32 | error : 16 | lap : 1 | void : 1 | kind : 14 ]
 *                the last word written, the first one read
 *     state      AWAKE | ASLEEP | NEWS                 the receiver's
 *     waiting    senders found no room and sleep on `moved`, a count that changes when they should
 *                look again
 *
 * PLACE. A sender claims positions for its whole batch with one compare-and-swap on the gate: a
 * batch goes in whole or not at all, and lies together. It then writes each message and at last its
 * head, with the parity of the lap: whether p / messages is even or odd. The receiver takes
 * positions in order, while heads carry the parity that it expects; a slot that nobody has written
 * in this lap carries the other one.
 *
 *     room for 16         slot   14   15    0    1    2    3
 *                     position   14   15   16   17   18   19
 *              parity expected    1    1    0    0    0    0
 *               parity carried    1    1    0    0    1    1      18 is claimed and not there yet
 *
 * Claims that are given back are rolled back, or, if others have claimed after them, become void
 * messages, which the receiver passes over. (Vyukov's bounded queue does the same with a sequence
 * number in each slot; with the room counted in the gate one bit of it is enough.)
 *
 * NO SENDER EVER WAITS FOR ANOTHER. One that loses its processor between claim and head delays only
 * what was claimed after it, and only until it runs again; nobody spins for it. Concurrency Kit's
 * ring stood here before: its senders publish in the order of reservation, each spinning until its
 * turn comes. With more threads than processors that is a convoy that never ends, every message
 * costs a time slice (docs/design/0002-threads-and-messages.md has the figures).
 *
 * SLEEP AND WAKE (models/channel.pml). Both sides write, fence, and read what the other wrote:
 *
 *     sender:    head of the message;  fence;  ASLEEP?  -> swap to AWAKE; whoever swapped signals
 *     receiver:  state = ASLEEP;       fence;  a message?  -> back to AWAKE, no sleep
 *
 * Without a fence each could read before its own write is visible, and the receiver would sleep on
 * a message. NEWS is what the receiver must look at although no message came: the channel was
 * closed, the last sender has gone. It outlasts a receiver that is awake, and its next doze is
 * refused once.
 *
 * Senders without room do the same with `waiting` and `released`, and sleep on `moved`. They are
 * woken together, when half of the room is free: woken one by one for each message received, they
 * and the receiver would change places at each message.
 *
 * ORDER. What travels between threads, and by which pair:
 *
 *     a message        head stored with release     head loaded with acquire
 *     a free slot      released, with release       released, with acquire, before the gate
 *     who is inside    counted out with release     close reads the gate with acquire
 *     sleep and wake   sequentially consistent fences, five of them: one on each side of the two
 *                      pairs above, and one where a claim is rolled back
 *
 * THE END (laws W4 and W5). Each sender counts itself in before it touches anything else, and out
 * as its last act. Close sets the closed bit in the word that they count in: who came before is
 * counted, who comes after is refused. When the count is zero nobody is left who could publish or
 * signal, and whoever knows of no sender still on its way here may destroy the channel. In
 * particular an asker that has got all of its answers may: the answerer counted itself in before it
 * published the last of them.
 *
 * COST. A send: two RMW on the gate, one fence, and the line of the slot; a receive: one fence, for
 * up to `most` messages. No system call while the receiver is awake and there is room. */
#include "work/channel/channel.h"

#include "base/bits.h"
#include "os/threads.h"
#include "work/channel/yielding.h"

#include <snug/workers.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 64

#define GATE_CLOSED (UINT64_C(1) << 31)
#define GATE_INSIDE (GATE_CLOSED - 1)
#define GATE_CLAIM_SHIFT 32

#define HEAD_VOID (UINT64_C(1) << 14)
#define HEAD_LAP (UINT64_C(1) << 15)
#define HEAD_ERROR_SHIFT 16
#define HEAD_WORKER_SHIFT 32

#define CLOSE_YIELDS 64u /* yields before close sleeps between two looks */
#define CLOSE_SLEEP_NS UINT64_C(20000)

_Static_assert(SNUG_FOREVER == OS_FOREVER, "one word for no limit");

#define REST_OFFSET offsetof(struct message, requests)

enum receiver_state { AWAKE, ASLEEP, NEWS };

/* `rest` passes from the sender to the receiver with the head, and back with `released`. */
struct slot {
	_Alignas(LINE_BYTES) _Atomic uint64_t head;
	unsigned char rest[sizeof(struct message) - REST_OFFSET];
};

_Static_assert(sizeof(struct slot) == sizeof(struct message),
			   "kind, error and worker travel in the head");

/* Each group on lines of its own: who writes one does not slow the readers of another. */
struct channel {
	/* constant after create */
	_Alignas(LINE_BYTES) struct slot *slots;
	uint32_t room; /* messages */
	uint32_t room_log2;
	int event;
	/* atomic: senders and close write */
	_Alignas(LINE_BYTES) _Atomic uint64_t gate;
	/* atomic: the receiver writes, senders read; `high_water` anyone reads */
	_Alignas(LINE_BYTES) _Atomic uint32_t released;
	_Atomic uint32_t high_water;
	struct yielding yielding; /* the receiver only */
	uint64_t owed_signals;    /* the receiver only: of the event, not taken yet */
	bool tells_edges;         /* the receiver only: its signals are never taken */
	/* atomic: the receiver, waking senders and close write; every sender reads */
	_Alignas(LINE_BYTES) _Atomic uint32_t state; /* enum receiver_state */
	_Atomic uint64_t wakes;
	/* atomic: senders that find no room set `waiting`, the receiver takes it back; it and close
	 * write `moved` */
	_Alignas(LINE_BYTES) _Atomic bool waiting;
	_Atomic uint32_t moved;
	/* atomic: senders write, anyone reads */
	_Atomic uint32_t senders;
	_Atomic bool had_senders; /* set once, after the first was counted */
	_Atomic bool ended;       /* set once, by close, when nobody was inside any more */
};

/* ------------------------------------------------------------------ create, destroy --------- */

static void *lines_alloc(size_t bytes) {
	void *memory = aligned_alloc(LINE_BYTES, round_up(bytes, LINE_BYTES));
	if (memory != NULL) memset(memory, 0, round_up(bytes, LINE_BYTES));
	return memory;
}

snug_error channel_create(uint32_t messages, struct channel **out) {
	if (messages < CHANNEL_MESSAGES_MIN || messages > CHANNEL_MESSAGES_MAX ||
		!is_power_of_two(messages))
		return SNUG_ERROR_OPTION;
	struct channel *channel = lines_alloc(sizeof *channel);
	struct slot *slots = lines_alloc(messages * sizeof *slots);
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
	channel->room_log2 = bit_highest(messages);
	channel->event = event;
	SNUG_ASSERT(channel->room == UINT32_C(1) << channel->room_log2);
	*out = channel;
	return SNUG_OK;
}

/* Of a sender that has counted itself in: the channel stays while it is. */
static bool is_inside(const struct channel *channel) {
	return (atomic_load_explicit(&channel->gate, memory_order_relaxed) & GATE_INSIDE) > 0;
}

void channel_destroy(struct channel *channel) {
	if (channel == NULL) return;
	SNUG_ASSERT((atomic_load(&channel->gate) & GATE_CLOSED) != 0);
	SNUG_ASSERT(!is_inside(channel));
	SNUG_ASSERT(atomic_load(&channel->ended));
	os_event_destroy(channel->event);
	free(channel->slots);
	free(channel);
}

static uint32_t claimed_in(uint64_t gate) {
	return (uint32_t)(gate >> GATE_CLAIM_SHIFT);
}

/* What has been claimed and not been received. `released` is read first, as in claim. */
static uint32_t depth(const struct channel *channel) {
	uint32_t released = atomic_load_explicit(&channel->released, memory_order_acquire);
	uint32_t claimed = claimed_in(atomic_load_explicit(&channel->gate, memory_order_relaxed));
	return (uint32_t)smaller(claimed - released, channel->room);
}

/* ------------------------------------------------------------------ slots ------------------- */

static struct slot *slot_at(const struct channel *channel, uint32_t position) {
	return &channel->slots[position & (channel->room - 1)];
}

/* Slots begin with parity 0, so the first lap has 1. `room` is a power of two: parities also
 * alternate when positions wrap. */
static uint64_t lap_of(const struct channel *channel, uint32_t position) {
	return (position >> channel->room_log2) % 2 == 0 ? HEAD_LAP : 0;
}

/* Nobody has written this position in this lap; who claimed it is inside. Only asserted: a release
 * build has no use for it. */
__attribute__((unused)) static bool is_claimed(const struct channel *channel, uint32_t position) {
	uint64_t head = atomic_load_explicit(&slot_at(channel, position)->head, memory_order_relaxed);
	return (head & HEAD_LAP) != lap_of(channel, position) && is_inside(channel);
}

static void publish(struct channel *channel, uint32_t position, const struct message *message) {
	SNUG_ASSERT(message->kind < HEAD_VOID);
	SNUG_ASSERT(is_claimed(channel, position));
	struct slot *slot = slot_at(channel, position);
	uint64_t head = message->kind | lap_of(channel, position) |
					(uint64_t)message->error << HEAD_ERROR_SHIFT |
					(uint64_t)message->worker << HEAD_WORKER_SHIFT;
	memcpy(slot->rest, (const unsigned char *)message + REST_OFFSET, sizeof slot->rest);
	atomic_store_explicit(&slot->head, head, memory_order_release);
}

static void publish_void(struct channel *channel, uint32_t position) {
	SNUG_ASSERT(is_claimed(channel, position));
	atomic_store_explicit(&slot_at(channel, position)->head, HEAD_VOID | lap_of(channel, position),
						  memory_order_release);
}

static bool is_published(const struct channel *channel, uint32_t position, uint64_t *head) {
	*head = atomic_load_explicit(&slot_at(channel, position)->head, memory_order_acquire);
	return (*head & HEAD_LAP) == lap_of(channel, position);
}

static void take(const struct channel *channel, uint32_t position, uint64_t head,
				 struct message *out) {
	SNUG_ASSERT((head & HEAD_VOID) == 0);
	out->kind = (uint16_t)(head & (HEAD_VOID - 1));
	out->error = (uint16_t)(head >> HEAD_ERROR_SHIFT);
	out->worker = (uint32_t)(head >> HEAD_WORKER_SHIFT);
	const struct slot *slot = slot_at(channel, position);
	memcpy((unsigned char *)out + REST_OFFSET, slot->rest, sizeof slot->rest);
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

/* Senders wait, and room has come back: lets them in if half of the room is free, else a later
 * receive will. */
static void let_senders_in(struct channel *channel) {
	if (depth(channel) <= channel->room / 2 && atomic_exchange(&channel->waiting, false))
		wake_senders(channel);
}

/* ------------------------------------------------------------------ senders ----------------- */

/* Out, as the last act: the channel may be gone after it. */
static void leave(struct channel *channel) {
	SNUG_ASSERT(is_inside(channel));
	atomic_fetch_sub_explicit(&channel->gate, 1, memory_order_release);
}

/* Claims room for `count` messages, from *position on, and counts `entering` senders (0 or 1) in.
 * Not OK: nothing changed. `released` is read first: claims that are older than it are then in the
 * gate too. It is full only if nothing was released in between, else it might never have been. A
 * claim has release order, so that whoever finds it in the gate and then looks at `released` again
 * sees nothing older than its claimer did. */
static snug_error claim(struct channel *channel, uint32_t count, uint32_t entering,
						uint32_t *position) {
	SNUG_ASSERT(count <= channel->room && entering <= 1);
	SNUG_ASSERT(entering == 1 || is_inside(channel));
	for (;;) {
		uint32_t released = atomic_load_explicit(&channel->released, memory_order_acquire);
		uint64_t gate = atomic_load_explicit(&channel->gate, memory_order_relaxed);
		if ((gate & GATE_CLOSED) != 0) return SNUG_ERROR_STOPPED;
		uint32_t claimed = claimed_in(gate);
		if (claimed - released > channel->room - count) {
			atomic_thread_fence(memory_order_acquire);
			if (atomic_load_explicit(&channel->released, memory_order_relaxed) == released)
				return SNUG_ERROR_QUEUE_FULL;
			continue;
		}
		uint64_t next = gate + ((uint64_t)count << GATE_CLAIM_SHIFT) + entering;
		if (atomic_compare_exchange_weak_explicit(&channel->gate, &gate, next, memory_order_release,
												  memory_order_relaxed)) {
			*position = claimed;
			return SNUG_OK;
		}
	}
}

snug_error channel_claim(struct channel *channel, size_t count, uint32_t *position) {
	return count > channel->room ? SNUG_ERROR_QUEUE_FULL
								 : claim(channel, (uint32_t)count, 1, position);
}

void channel_send_claimed(struct channel *channel, uint32_t position,
						  const struct message *messages, size_t count) {
	SNUG_ASSERT(count <= channel->room && is_inside(channel));
	for (size_t index = 0; index < count; index++)
		publish(channel, position + (uint32_t)index, &messages[index]);
	wake_receiver(channel);
	leave(channel);
}

/* As if they had not been claimed; false if others have claimed after them. */
static bool roll_back(struct channel *channel, uint32_t position, uint32_t count) {
	uint64_t gate = atomic_load_explicit(&channel->gate, memory_order_relaxed);
	do {
		if (claimed_in(gate) != position + count) return false;
	} while (!atomic_compare_exchange_weak(&channel->gate, &gate,
										   gate - ((uint64_t)count << GATE_CLAIM_SHIFT)));
	return true;
}

/* Either way room comes back, as by a receive, and who waits for it is told: here, or by the
 * receiver when it passes over. */
void channel_unclaim(struct channel *channel, uint32_t position, size_t count) {
	SNUG_ASSERT(count <= channel->room && is_inside(channel));
	if (roll_back(channel, position, (uint32_t)count)) {
		atomic_thread_fence(memory_order_seq_cst);
		if (UNLIKELY(atomic_load_explicit(&channel->waiting, memory_order_relaxed)))
			let_senders_in(channel);
	} else {
		for (size_t index = 0; index < count; index++)
			publish_void(channel, position + (uint32_t)index);
		wake_receiver(channel);
	}
	leave(channel);
}

snug_error channel_try_send_batch(struct channel *channel, const struct message *messages,
								  size_t count) {
	uint32_t position = 0;
	snug_error error = channel_claim(channel, count, &position);
	if (error == SNUG_OK) channel_send_claimed(channel, position, messages, count);
	return error;
}

snug_error channel_try_send(struct channel *channel, const struct message *message) {
	return channel_try_send_batch(channel, message, 1);
}

/* Claims room for one message; the caller is inside. The count is read before the announcement: who
 * takes the announcement back changes the count afterwards, so that a sleep on the old one ends. */
static snug_error claim_by(struct channel *channel, uint64_t deadline_ns, uint32_t *position) {
	for (;;) {
		uint32_t seen = atomic_load(&channel->moved);
		atomic_store(&channel->waiting, true);
		atomic_thread_fence(memory_order_seq_cst);
		snug_error error = claim(channel, 1, 0, position);
		if (error != SNUG_ERROR_QUEUE_FULL) return error;
		uint64_t remaining_ns = os_remaining_ns(deadline_ns);
		if (remaining_ns == 0) return SNUG_ERROR_TIMED_OUT;
		os_wait_on(&channel->moved, seen, remaining_ns);
	}
}

static snug_error send_when_room(struct channel *channel, const struct message *message,
								 uint64_t deadline_ns) {
	uint64_t gate = atomic_fetch_add_explicit(&channel->gate, 1, memory_order_relaxed);
	snug_error error = SNUG_ERROR_STOPPED;
	if ((gate & GATE_CLOSED) == 0) {
		uint32_t position = 0;
		error = claim_by(channel, deadline_ns, &position);
		if (error == SNUG_OK) {
			publish(channel, position, message);
			wake_receiver(channel);
		}
	}
	leave(channel);
	return error;
}

snug_error channel_send(struct channel *channel, const struct message *message,
						uint64_t timeout_ns) {
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
	/* inside, also after close */
	atomic_fetch_add_explicit(&channel->gate, 1, memory_order_relaxed);
	uint32_t before = atomic_fetch_sub(&channel->senders, 1);
	SNUG_ASSERT(before > 0);
	if (before == 1) tell_receiver(channel);
	leave(channel);
}

/* ------------------------------------------------------------------ the receiver ------------ */

static void release_until(struct channel *channel, uint32_t position) {
	uint32_t found = depth(channel);
	SNUG_ASSERT(position - atomic_load(&channel->released) <= found); /* all of it was claimed */
	if (found > atomic_load_explicit(&channel->high_water, memory_order_relaxed))
		atomic_store_explicit(&channel->high_water, found, memory_order_relaxed);
	atomic_store_explicit(&channel->released, position, memory_order_release);
	atomic_thread_fence(memory_order_seq_cst);
	if (UNLIKELY(atomic_load_explicit(&channel->waiting, memory_order_relaxed)))
		let_senders_in(channel);
}

size_t channel_receive(struct channel *channel, struct message *messages, size_t most) {
	uint32_t begin = atomic_load_explicit(&channel->released, memory_order_relaxed);
	uint32_t position = begin;
	uint64_t head;
	size_t count = 0;
	for (; count < most && is_published(channel, position, &head); position++)
		if ((head & HEAD_VOID) == 0) take(channel, position, head, &messages[count++]);
	SNUG_ASSERT(count <= position - begin && position - begin <= channel->room);
	if (position != begin) release_until(channel, position);
	return count;
}

/* Nothing will come any more. Closed and nobody inside would not do instead of `ended`: one that is
 * being refused may be inside for a moment, and the receiver would sleep with the news already
 * taken (models/channel.pml found it). */
static bool is_over(struct channel *channel) {
	if (atomic_load(&channel->ended)) return true;
	return atomic_load(&channel->had_senders) && atomic_load(&channel->senders) == 0;
}

/* One yield before the sleep: a sender that shares the processor goes on, and often there is no
 * need to sleep; with a processor of one's own it is a cheap second look. Round trips take a third
 * less with it. None where strangers would take it (work/channel/yielding.h). */
snug_error channel_receive_wait(struct channel *channel, struct message *messages, size_t most,
								uint64_t timeout_ns, size_t *count) {
	SNUG_ASSERT(most > 0);
	size_t received = channel_receive(channel, messages, most);
	if (received == 0 && timeout_ns > 0 && yielding_try(&channel->yielding)) {
		received = channel_receive(channel, messages, most);
		/* beside a long one a wake-up is nothing */
		yielding_judge(&channel->yielding, channel->yielding.end_ns);
	}
	uint64_t deadline_ns = received == 0 ? os_deadline_ns(timeout_ns) : 0;
	while (received == 0) {
		bool over = is_over(channel); /* before the look: what was sent until then is seen by it */
		received = channel_receive(channel, messages, most);
		if (received > 0) break;
		if (over && depth(channel) == 0) return SNUG_ERROR_STOPPED;
		uint64_t remaining_ns = os_remaining_ns(deadline_ns);
		if (remaining_ns == 0) return SNUG_ERROR_TIMED_OUT;
		/* somebody is between claim and message: the news is taken, so no sleep for that moment */
		if (over) {
			os_thread_yield();
		} else if (channel_doze(channel)) {
			SNUG_ASSERT(!channel->tells_edges);
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
	uint64_t head;
	if (!is_published(channel, atomic_load_explicit(&channel->released, memory_order_relaxed),
					  &head))
		return true;
	channel_rouse(channel);
	return false;
}

/* Whoever takes an announcement back signals once, and nobody else does: so there is nothing to be
 * taken where nobody has, and no system call. He may signal only after this. Then his signal stays
 * owed, the next wait may end early, and it is taken here again, whatever the state was. Where
 * edges are told the wait itself takes it, and the count in the event only grows: to read it would
 * mean to wait for the lock that the signaller holds while he wakes us. */
bool channel_rouse(struct channel *channel) {
	bool woken = atomic_exchange(&channel->state, AWAKE) != ASLEEP;
	if (channel->tells_edges) return woken;
	channel->owed_signals += woken;
	if (channel->owed_signals > 0) {
		uint64_t taken = os_event_take(channel->event);
		SNUG_ASSERT(taken <= channel->owed_signals);
		channel->owed_signals -= taken;
	}
	return woken;
}

int channel_fd(const struct channel *channel) {
	return channel->event;
}

void channel_tell_edges(struct channel *channel) {
	channel->tells_edges = true;
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
	SNUG_ASSERT((atomic_load(&channel->gate) & GATE_CLOSED) != 0);
	atomic_store(&channel->ended, true);
	tell_receiver(channel);
}

/* ------------------------------------------------------------------ any thread -------------- */

uint32_t channel_depth(const struct channel *channel) {
	return depth(channel);
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

bool channel_is_dozing(const struct channel *channel) {
	return atomic_load_explicit(&channel->state, memory_order_relaxed) == ASLEEP;
}
