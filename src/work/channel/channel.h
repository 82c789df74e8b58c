/* work/channel/channel.h: a bounded queue of messages from many threads to one (laws W1 to W5).
 *
 *   senders --claim--> [ m | m | m | . | . | . | . | . ] --receive--> one receiver
 *                                     room: a power of two, 16 to 65,536
 *
 * Sleep and wake: the receiver announces that it will sleep, looks once more, then waits on an
 * eventfd; a sender publishes its message, then looks whether the receiver sleeps, and only then
 * writes the eventfd. Between the two steps of each side lies a full fence, so that at least one of
 * them sees the other (models/channel.pml). A sender that finds no room waits in the same way on a
 * count that the receiver moves. No sender waits for another sender.
 *
 *     receiver                                   sender
 *     n = channel_receive(c, batch, 16);         channel_send(c, &message, SNUG_FOREVER);
 *     if (n == 0 && channel_doze(c)) {           channel_try_send_batch(c, messages, count);
 *         poll(channel_fd(c), ...);
 *         channel_rouse(c);
 *     }
 *
 * COST. 64 bytes for each message of room. A message one way takes 48 ns, there and back 2.8 us, or
 * 0.86 us in batches of 16; from 16 senders at once 125 ns each (docs/benchmarks.md, "Hops": two
 * processors).
 *
 * The room: message.h, what is said; yielding, whether who waits for an answer gives its processor
 * away before it sleeps; holding.h, how long messages for sleepers wait for more; snapshot.h,
 * words that one thread writes and any thread copies out of. */
#ifndef SNUG_WORK_CHANNEL_H
#define SNUG_WORK_CHANNEL_H

#include "work/channel/message.h"

#include <snug/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHANNEL_MESSAGES_MIN 16u
#define CHANNEL_MESSAGES_MAX 65536u

struct channel;

/* `messages`: room, a power of two. The caller will be the receiver, or hands the receiving end on
 * before the first send. OPTION, OS_MEMORY, OS_THREAD (no eventfd). */
snug_error channel_create(uint32_t messages, struct channel **out);

/* After channel_close has returned, when no sender is on its way here any more: each was joined,
 * has detached, or its last message has been received (a sender that is inside was waited for by
 * close). Messages still in it are dropped. NULL is ignored. */
void channel_destroy(struct channel *channel);

/* ------------------------------------------------------------------ senders: any thread -- */

/* QUEUE_FULL, STOPPED (the receiver has closed it). */
snug_error channel_try_send(struct channel *channel, const struct message *message);
/* All or none, one wake-up at most. Other senders' messages may come in between. QUEUE_FULL, also
 * if count is more than the whole room; STOPPED. */
snug_error channel_try_send_batch(struct channel *channel, const struct message *messages,
								  size_t count);
/* The same in two halves, for batches to several channels of which all or none shall go: claim room
 * in each, then send, or give the claims back, with the position and count of the claim. Between
 * the two the sender is inside, and what others send after it is held up: it must not wait for
 * anything. QUEUE_FULL, STOPPED: nothing was claimed. */
snug_error channel_claim(struct channel *channel, size_t count, uint32_t *position);
void channel_send_claimed(struct channel *channel, uint32_t position,
						  const struct message *messages, size_t count);
void channel_unclaim(struct channel *channel, uint32_t position, size_t count);
/* Waits for room; SNUG_FOREVER (snug/workers.h): without end. TIMED_OUT, STOPPED. */
snug_error channel_send(struct channel *channel, const struct message *message,
						uint64_t timeout_ns);

/* A sender that stays for a while says so, and says when it goes; the receiver sees whether any is
 * left, and is woken when the last one goes. Also after close. */
void channel_attach(struct channel *channel);
void channel_detach(struct channel *channel);

/* ------------------------------------------------------------------ the receiver --------- */

/* Up to `most` messages, in order; 0 if there are none now. */
size_t channel_receive(struct channel *channel, struct message *messages, size_t most);
/* The same, waiting for the first one; a time-out of 0 only looks. TIMED_OUT; STOPPED: none are
 * left, and it was closed or the last attached sender has gone (one to which nobody ever attached
 * is not over). */
snug_error channel_receive_wait(struct channel *channel, struct message *messages, size_t most,
								uint64_t timeout_ns, size_t *count);

/* Announces sleep: true if the receiver may now wait on channel_fd; false, and nothing announced,
 * if a message has come, or once after a close or the last sender's going. After true, with or
 * without a wait, channel_rouse takes the announcement and the eventfd's count back, if there is
 * one; tells whether somebody woke it. A wait may also end for nothing. */
bool channel_doze(struct channel *channel);
bool channel_rouse(struct channel *channel);
int channel_fd(const struct channel *channel);
/* From now on whoever waits on channel_fd is told of each signal once, as it comes
 * (edge-triggered), and never asks whether it can be read. So rouse takes nothing, and makes no
 * call of the system. The receiver only. */
void channel_tell_edges(struct channel *channel);

/* Refuses further sends, wakes the senders that wait for room, and returns when no sender is inside
 * a call any more: what is in the ring then can still be received, and nothing more will come.
 * Senders never stay inside for long: those that wait are sent out. Any thread may close, but no
 * sender inside its own call; again: nothing happens. The receiver is woken. */
void channel_close(struct channel *channel);

/* ------------------------------------------------------------------ any thread ----------- */

/* messages in it now, or on their way in */
uint32_t channel_depth(const struct channel *channel);
uint32_t channel_high_water(const struct channel *channel); /* the most that a receive saw */
uint32_t channel_senders(const struct channel *channel);    /* attached */
uint64_t channel_wakes(const struct channel *channel);      /* eventfd writes so far */
/* Whoever sends now wakes the receiver; a moment later it may be otherwise. */
bool channel_is_dozing(const struct channel *channel);

#endif
