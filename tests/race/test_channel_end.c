/* test_channel_end.c: how channels end: closed in the middle, left by their senders, destroyed as
 * soon as that is allowed.
 *
 *     SNUG_SEED=0x... tests/race/test_channel_end */
#include "channels.h"
#include "numbered.h"

#include <snug/workers.h>
#include <stdatomic.h>
#include <sys/resource.h>

#define BATCH_MAX 16u

static void bad_rooms_and_a_full_system_are_refused(void **state) {
	(void)state;
	static const uint32_t bad[] = {0, 1, 8, 15, 17, 100, 65535, 65537, 131072, UINT32_MAX};
	struct channel *channel = NULL;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(channel_create(bad[i], &channel), SNUG_ERROR_OPTION);
	struct rlimit before;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	struct rlimit none = {.rlim_cur = 0, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	snug_error error = channel_create(16, &channel);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(error, SNUG_ERROR_OS_THREAD);
	assert_null(channel);
	channel_destroy(NULL);
}

/* ------------------------------------------------------------------ close in the middle ------- */

struct pusher {
	struct os_thread thread;
	struct channel *channel;
	uint32_t sender;
	uint64_t seed;
	uint64_t accepted; /* read after the join */
	snug_error end;
};

/* Sends in every way until it is refused for good. */
static void run_pusher(void *context) {
	struct pusher *self = context;
	test_random random = {self->seed};
	do {
		struct message batch[BATCH_MAX];
		uint64_t count = 1;
		if (test_random_chance(&random, 300)) {
			count = test_random_between(&random, 1, BATCH_MAX);
			for (uint64_t i = 0; i < count; i++)
				batch[i] = numbered_message(self->sender, self->accepted + i);
			self->end = channel_try_send_batch(self->channel, batch, count);
		} else {
			batch[0] = numbered_message(self->sender, self->accepted);
			self->end = channel_send(self->channel, batch,
									 test_random_chance(&random, 500) ? MS : SNUG_FOREVER);
		}
		if (self->end == SNUG_OK) self->accepted += count;
	} while (self->end == SNUG_OK || self->end == SNUG_ERROR_QUEUE_FULL ||
			 self->end == SNUG_ERROR_TIMED_OUT);
}

static void run_closer(void *context) {
	channel_close(context);
}

#define YIELDS 20000 /* more than a close needs that does not wait */

struct closer {
	struct os_thread thread;
	struct channel *channel;
	_Atomic bool closed;
};

static void run_noting_closer(void *context) {
	struct closer *closer = context;
	channel_close(closer->channel);
	atomic_store(&closer->closed, true);
}

/* One that has claimed a place is inside until it has used it: its message is received. */
static void close_waits_for_who_is_inside(void **state) {
	(void)state;
	struct closer closer = {.channel = make(16)};
	struct message message = numbered_message(0, 7);
	uint32_t position;
	assert_int_equal(channel_claim(closer.channel, 1, &position), SNUG_OK);
	start(&closer.thread, run_noting_closer, &closer);
	snug_error error;
	do {
		error = channel_try_send(closer.channel, &message);
	} while (error == SNUG_OK || error == SNUG_ERROR_QUEUE_FULL);
	assert_int_equal(error, SNUG_ERROR_STOPPED);
	for (uint32_t yields = 0; yields < YIELDS; yields++) os_thread_yield();
	assert_false(atomic_load(&closer.closed));
	channel_send_claimed(closer.channel, position, &message, 1);
	os_thread_join(&closer.thread);
	assert_true(atomic_load(&closer.closed));
	assert_true(channel_receive(closer.channel, &message, 1) > 0);
	channel_destroy(closer.channel);
}

/* What close found in the ring and all that was received before is what was accepted; nothing comes
 * later. */
static void close_in_the_middle(test_random *random, uint32_t senders, bool by_other_thread) {
	struct channel *channel = make(16);
	static struct pusher pushers[NUMBERED_SENDERS_MAX];
	struct numbered_log log = {0};
	struct message batch[BATCH_MAX];
	for (uint32_t i = 0; i < senders; i++) {
		pushers[i] =
			(struct pusher){.channel = channel, .sender = i, .seed = test_random_next(random)};
		start(&pushers[i].thread, run_pusher, &pushers[i]);
	}
	for (uint64_t turns = test_random_below(random, 200); turns > 0; turns--) {
		size_t count = 0;
		snug_error error =
			channel_receive_wait(channel, batch, test_random_between(random, 1, 16), MS, &count);
		assert_true(error == SNUG_OK || error == SNUG_ERROR_TIMED_OUT);
		for (size_t i = 0; i < count; i++) numbered_check(&log, &batch[i]);
	}
	struct os_thread closer;
	if (by_other_thread)
		start(&closer, run_closer, channel);
	else
		channel_close(channel);
	size_t count = 0;
	while (channel_receive_wait(channel, batch, BATCH_MAX, HANG_NS, &count) == SNUG_OK)
		for (size_t i = 0; i < count; i++) numbered_check(&log, &batch[i]);
	uint64_t received[NUMBERED_SENDERS_MAX];
	memcpy(received, log.next, sizeof received);
	if (by_other_thread) os_thread_join(&closer);
	for (uint32_t i = 0; i < senders; i++) os_thread_join(&pushers[i].thread);
	assert_int_equal(channel_receive(channel, batch, BATCH_MAX), 0);
	assert_int_equal(log.mistakes, 0);
	for (uint32_t i = 0; i < senders; i++) {
		assert_int_equal(pushers[i].end, SNUG_ERROR_STOPPED);
		assert_int_equal(received[i], pushers[i].accepted);
	}
	channel_close(channel);
	channel_destroy(channel);
}

static void every_message_is_refused_or_received(void **state) {
	(void)state;
	test_random random = {seed};
	for (uint32_t round = 0; round < 200; round++)
		close_in_the_middle(&random,
							(uint32_t)test_random_between(&random, 1, NUMBERED_SENDERS_MAX),
							round % 2 == 1);
}

/* What the receiver finds right after its own close is all there is, with senders still trying. */
static void after_close_nothing_comes(void **state) {
	(void)state;
	test_random random = {seed};
	for (uint32_t round = 0; round < 200; round++) {
		struct channel *channel = make(16);
		static struct pusher pushers[4];
		struct message batch[BATCH_MAX];
		for (uint32_t i = 0; i < 4; i++) {
			pushers[i] =
				(struct pusher){.channel = channel, .sender = i, .seed = test_random_next(&random)};
			start(&pushers[i].thread, run_pusher, &pushers[i]);
		}
		for (uint64_t turns = test_random_below(&random, 50); turns > 0; turns--)
			channel_receive(channel, batch, 16);
		channel_close(channel);
		channel_receive(channel, batch, BATCH_MAX); /* the room is 16: all of it */
		size_t late = 0;
		for (uint32_t looks = 0; looks < 100; looks++)
			late += channel_receive(channel, batch, BATCH_MAX);
		for (uint32_t i = 0; i < 4; i++) os_thread_join(&pushers[i].thread);
		late += channel_receive(channel, batch, BATCH_MAX);
		assert_int_equal(late, 0);
		channel_destroy(channel);
	}
}

/* ------------------------------------------------------------------ disconnect ---------------- */

static void run_leaver(void *context) {
	struct pusher *self = context;
	test_random random = {self->seed};
	numbered_pause(&random);
	struct message message = numbered_message(self->sender, 0);
	self->end = channel_send(self->channel, &message, SNUG_FOREVER);
	numbered_pause(&random);
	channel_detach(self->channel);
}

/* The receiver sleeps for ever; the last one's going wakes it, after all messages. */
static void the_last_sender_s_going_is_seen(void **state) {
	(void)state;
	test_random random = {seed};
	for (uint32_t round = 0; round < 1000; round++) {
		struct channel *channel = make(16);
		static struct pusher leavers[3];
		uint32_t senders = 1 + round % 3;
		for (uint32_t i = 0; i < senders; i++) channel_attach(channel);
		assert_int_equal(channel_senders(channel), senders);
		for (uint32_t i = 0; i < senders; i++) {
			leavers[i] =
				(struct pusher){.channel = channel, .sender = i, .seed = test_random_next(&random)};
			start(&leavers[i].thread, run_leaver, &leavers[i]);
		}
		struct message batch[BATCH_MAX];
		size_t received = 0;
		size_t count = 0;
		snug_error end;
		while ((end = channel_receive_wait(channel, batch, BATCH_MAX, HANG_NS, &count)) == SNUG_OK)
			received += count;
		assert_int_equal(end, SNUG_ERROR_STOPPED);
		assert_int_equal(received, senders);
		assert_int_equal(channel_senders(channel), 0);
		channel_close(channel);
		channel_destroy(channel); /* senders may not have ended yet, but have detached */
		for (uint32_t i = 0; i < senders; i++) os_thread_join(&leavers[i].thread);
	}
}

/* One that never attached is between claim and message when the last attached one goes: what that
 * one sent lies behind the claim, and is not lost. */
static void going_does_not_overtake_messages(void **state) {
	(void)state;
	for (uint32_t given_back = 0; given_back < 2; given_back++) {
		struct channel *channel = make(16);
		struct message message = numbered_message(0, 0);
		struct message batch[BATCH_MAX];
		uint32_t position = 0;
		size_t count = 0;
		channel_attach(channel);
		assert_int_equal(channel_claim(channel, 1, &position), SNUG_OK);
		assert_int_equal(channel_try_send(channel, &message), SNUG_OK);
		channel_detach(channel);
		assert_int_equal(channel_receive_wait(channel, batch, BATCH_MAX, 3 * MS, &count),
						 SNUG_ERROR_TIMED_OUT);
		if (given_back == 1)
			channel_unclaim(channel, position, 1);
		else
			channel_send_claimed(channel, position, &message, 1);
		assert_int_equal(channel_receive_wait(channel, batch, BATCH_MAX, HANG_NS, &count), SNUG_OK);
		assert_int_equal(count, 2 - given_back);
		assert_int_equal(channel_receive_wait(channel, batch, BATCH_MAX, HANG_NS, &count),
						 SNUG_ERROR_STOPPED);
		channel_close(channel);
		channel_destroy(channel);
	}
}

static void the_senders_see_the_receiver_s_going(void **state) {
	(void)state;
	struct channel *channel = make(16);
	struct message message = numbered_message(0, 0);
	size_t count = 77;
	channel_attach(channel);
	assert_int_equal(channel_try_send(channel, &message), SNUG_OK);
	channel_close(channel);
	channel_close(channel);
	assert_int_equal(channel_try_send(channel, &message), SNUG_ERROR_STOPPED);
	assert_int_equal(channel_try_send_batch(channel, &message, 1), SNUG_ERROR_STOPPED);
	assert_int_equal(channel_send(channel, &message, 0), SNUG_ERROR_STOPPED);
	assert_int_equal(channel_send(channel, &message, SNUG_FOREVER), SNUG_ERROR_STOPPED);
	assert_int_equal(channel_receive_wait(channel, &message, 1, SNUG_FOREVER, &count), SNUG_OK);
	assert_int_equal(count, 1);
	assert_int_equal(channel_receive_wait(channel, &message, 1, SNUG_FOREVER, &count),
					 SNUG_ERROR_STOPPED);
	channel_detach(channel);
	channel_destroy(channel);
}

/* --------------------------------------------------------------- destroy after the last answer  */

static void run_answerer(void *context) {
	struct channel *inbox = context;
	struct message batch[BATCH_MAX];
	size_t count = 0;
	while (channel_receive_wait(inbox, batch, BATCH_MAX, HANG_NS, &count) == SNUG_OK)
		for (size_t i = 0; i < count; i++) (void)channel_try_send(batch[i].reply, &batch[i]);
}

/* The asker knows nothing of the answerer but that all answers have come: that suffices to close
 * and destroy. */
static void an_asker_destroys_its_channel_after_the_last_answer(void **state) {
	(void)state;
	test_random random = {seed};
	struct channel *inbox = make(64);
	struct os_thread answerer;
	start(&answerer, run_answerer, inbox);
	for (uint32_t round = 0; round < 5000; round++) {
		struct channel *answers = make(16);
		struct numbered_log log = {0};
		uint64_t asked = test_random_between(&random, 1, 16);
		for (uint64_t number = 0; number < asked; number++) {
			struct message message = numbered_message(0, number);
			message.reply = answers;
			assert_int_equal(channel_send(inbox, &message, HANG_NS), SNUG_OK);
		}
		while (log.next[0] < asked && log.mistakes == 0) {
			struct message message;
			size_t count = 0;
			assert_int_equal(channel_receive_wait(answers, &message, 1, HANG_NS, &count), SNUG_OK);
			message.reply = NULL;
			numbered_check(&log, &message);
		}
		assert_int_equal(log.mistakes, 0);
		channel_close(answers);
		channel_destroy(answers);
	}
	channel_close(inbox);
	os_thread_join(&answerer);
	channel_destroy(inbox);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_rooms_and_a_full_system_are_refused),
		cmocka_unit_test(close_waits_for_who_is_inside),
		cmocka_unit_test(every_message_is_refused_or_received),
		cmocka_unit_test(after_close_nothing_comes),
		cmocka_unit_test(the_last_sender_s_going_is_seen),
		cmocka_unit_test(going_does_not_overtake_messages),
		cmocka_unit_test(the_senders_see_the_receiver_s_going),
		cmocka_unit_test(an_asker_destroys_its_channel_after_the_last_answer),
	};
	return cmocka_run_group_tests(tests, print_seed, NULL);
}
