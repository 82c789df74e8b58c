/* test_channel.c: messages between threads: order, nothing lost, batches whole or not at all, room,
 * time-outs.
 *
 * A lost wake-up would be a hang. So whoever sleeps here does so with a time-out that never ends in
 * a sound channel (HANG_NS), and the test says what was lost.
 *
 *     SNUG_SEED=0x... tests/race/test_channel     the same random choices again; threads still
 *                                                 interleave as they like */
#include "channels.h"
#include "numbered.h"

#include <snug/workers.h>
#include <stdatomic.h>

#define CHANNELS_MAX 8u
#define BATCH_MAX 16u

/* ------------------------------------------------------------------ many senders, few channels  */

struct crowd_sender {
	struct os_thread thread;
	struct channel **channels;
	uint32_t channel_count;
	uint32_t sender;
	uint64_t left;               /* messages to send */
	uint64_t sent[CHANNELS_MAX]; /* read after the join */
	uint64_t refused;
	uint64_t mistakes;
};

struct crowd_receiver {
	struct os_thread thread;
	struct channel *channel;
	uint64_t seed;
	struct numbered_log log; /* read after the join */
	snug_error end;
};

/* Claims, and sends or gives the claim back. */
static snug_error claim_first(test_random *random, struct channel *channel,
							  const struct message *batch, size_t count, bool *taken_back) {
	uint32_t position = 0;
	snug_error error = channel_claim(channel, count, &position);
	if (error != SNUG_OK) return error;
	*taken_back = test_random_chance(random, 2);
	if (*taken_back)
		channel_unclaim(channel, position, count);
	else
		channel_send_claimed(channel, position, batch, count);
	return SNUG_OK;
}

/* One of the five ways to send, up to `left` messages; how many were accepted. */
static uint64_t send_some(struct crowd_sender *self, test_random *random, struct channel *channel,
						  uint64_t number) {
	struct message batch[BATCH_MAX];
	uint64_t count =
		test_random_between(random, 1, self->left < BATCH_MAX ? self->left : BATCH_MAX);
	uint64_t way = test_random_below(random, 5);
	bool taken_back = false;
	if (way >= 2) count = 1;
	for (uint64_t i = 0; i < count; i++) batch[i] = numbered_message(self->sender, number + i);
	snug_error error = way == 0   ? channel_try_send_batch(channel, batch, count)
					   : way == 1 ? claim_first(random, channel, batch, count, &taken_back)
					   : way == 2 ? channel_try_send(channel, batch)
					   : way == 3 ? channel_send(channel, batch, test_random_below(random, MS / 10))
								  : channel_send(channel, batch, HANG_NS);
	if (error == SNUG_OK) return taken_back ? 0 : count;
	self->refused++;
	if (error != (way < 3 ? SNUG_ERROR_QUEUE_FULL : SNUG_ERROR_TIMED_OUT) || way == 4)
		self->mistakes++;
	os_thread_yield();
	return 0;
}

static void run_crowd_sender(void *context) {
	struct crowd_sender *self = context;
	test_random random = {seed + self->sender};
	while (self->left > 0) {
		uint64_t channel = test_random_below(&random, self->channel_count);
		uint64_t accepted = send_some(self, &random, self->channels[channel], self->sent[channel]);
		self->sent[channel] += accepted;
		self->left -= accepted;
		if (test_random_chance(&random, 50)) numbered_pause(&random);
	}
	for (uint32_t i = 0; i < self->channel_count; i++) channel_detach(self->channels[i]);
}

static void run_crowd_receiver(void *context) {
	struct crowd_receiver *self = context;
	test_random random = {self->seed};
	struct message batch[BATCH_MAX];
	do {
		size_t count = 0;
		self->end = channel_receive_wait(
			self->channel, batch, test_random_between(&random, 1, BATCH_MAX), HANG_NS, &count);
		for (size_t i = 0; i < count; i++) numbered_check(&self->log, &batch[i]);
		if (test_random_chance(&random, 20)) numbered_pause(&random);
	} while (self->end == SNUG_OK);
}

static void run_crowd(uint32_t channel_count, uint32_t sender_count, uint64_t messages,
					  uint32_t room) {
	struct channel *channels[CHANNELS_MAX];
	static struct crowd_receiver receivers[CHANNELS_MAX];
	static struct crowd_sender senders[NUMBERED_SENDERS_MAX];
	for (uint32_t i = 0; i < channel_count; i++) {
		channels[i] = make(room);
		for (uint32_t k = 0; k < sender_count; k++) channel_attach(channels[i]);
		receivers[i] = (struct crowd_receiver){.channel = channels[i], .seed = seed + i};
		start(&receivers[i].thread, run_crowd_receiver, &receivers[i]);
	}
	for (uint32_t i = 0; i < sender_count; i++) {
		senders[i] = (struct crowd_sender){.channels = channels,
										   .channel_count = channel_count,
										   .sender = i,
										   .left = messages / sender_count};
		start(&senders[i].thread, run_crowd_sender, &senders[i]);
	}
	for (uint32_t i = 0; i < sender_count; i++) os_thread_join(&senders[i].thread);
	for (uint32_t i = 0; i < channel_count; i++) os_thread_join(&receivers[i].thread);
	for (uint32_t i = 0; i < channel_count; i++) {
		assert_int_equal(receivers[i].end, SNUG_ERROR_STOPPED);
		assert_int_equal(receivers[i].log.mistakes, 0);
		for (uint32_t k = 0; k < sender_count; k++)
			assert_int_equal(receivers[i].log.next[k], senders[k].sent[i]);
		assert_int_equal(channel_depth(channels[i]), 0);
		assert_in_range(channel_high_water(channels[i]), 1, room);
		unmake(channels[i]);
	}
	for (uint32_t k = 0; k < sender_count; k++) assert_int_equal(senders[k].mistakes, 0);
}

static void nothing_is_lost_doubled_or_overtaken(void **state) {
	(void)state;
	static const uint32_t channel_counts[] = {1, 2, 8};
	static const uint32_t sender_counts[] = {1, 2, 4, 16};
	for (size_t i = 0; i < sizeof channel_counts / sizeof channel_counts[0]; i++)
		for (size_t k = 0; k < sizeof sender_counts / sizeof sender_counts[0]; k++)
			run_crowd(channel_counts[i], sender_counts[k], 48000, (i + k) % 2 == 0 ? 16 : 256);
}

/* ------------------------------------------------------------------ room ---------------------- */

static void a_full_channel_refuses(void **state) {
	(void)state;
	struct channel *channel = make(16);
	struct numbered_log log = {0};
	struct message batch[17];
	for (uint32_t round = 0; round < 1000; round++) {
		uint64_t number = log.next[0];
		for (uint32_t i = 0; i < 17; i++) batch[i] = numbered_message(0, number + i);
		assert_int_equal(channel_try_send_batch(channel, batch, 17), SNUG_ERROR_QUEUE_FULL);
		assert_int_equal(channel_try_send_batch(channel, batch, 15), SNUG_OK);
		assert_int_equal(channel_try_send_batch(channel, batch + 15, 2), SNUG_ERROR_QUEUE_FULL);
		assert_int_equal(channel_try_send(channel, batch + 15), SNUG_OK);
		assert_int_equal(channel_try_send(channel, batch + 16), SNUG_ERROR_QUEUE_FULL);
		assert_int_equal(channel_try_send_batch(channel, batch, 0), SNUG_OK);
		assert_int_equal(channel_depth(channel), 16);
		size_t count = channel_receive(channel, batch, 1);
		assert_int_equal(count, 1);
		numbered_check(&log, batch);
		batch[0] = numbered_message(0, number + 16);
		assert_int_equal(channel_try_send(channel, batch), SNUG_OK);
		count = channel_receive(channel, batch, 17);
		assert_int_equal(count, 16);
		for (size_t i = 0; i < count; i++) numbered_check(&log, &batch[i]);
		assert_int_equal(channel_receive(channel, batch, 17), 0);
	}
	assert_int_equal(log.mistakes, 0);
	assert_int_equal(log.next[0], 17000);
	assert_int_equal(channel_high_water(channel), 16);
	unmake(channel);
}

/* The last claim is rolled back; an older one leaves a gap that the receiver passes over, over many
 * laps. */
static void claims_given_back_leave_no_message(void **state) {
	(void)state;
	struct channel *channel = make(16);
	struct numbered_log log = {0};
	struct message batch[4];
	for (uint32_t round = 0; round < 1000; round++) {
		uint32_t first = 0, second = 0;
		assert_int_equal(channel_claim(channel, 3, &first), SNUG_OK);
		assert_int_equal(channel_claim(channel, 2, &second), SNUG_OK);
		assert_int_equal(second, first + 3);
		channel_unclaim(channel, second, 2);
		assert_int_equal(channel_depth(channel), 3);
		batch[0] = numbered_message(0, log.next[0]);
		assert_int_equal(channel_try_send(channel, batch), SNUG_OK);
		assert_int_equal(channel_receive(channel, batch, 4), 0); /* held up by the first claim */
		channel_unclaim(channel, first, 3);
		assert_int_equal(channel_depth(channel), 4);
		assert_int_equal(channel_receive(channel, batch, 4), 1);
		numbered_check(&log, batch);
		assert_int_equal(channel_depth(channel), 0);
		assert_int_equal(channel_receive(channel, batch, 4), 0);
	}
	assert_int_equal(log.mistakes, 0);
	assert_int_equal(log.next[0], 1000);
	unmake(channel);
}

struct answerer {
	struct os_thread thread;
	struct channel *inbox;
	uint64_t refused; /* read after the join */
};

static void run_answerer(void *context) {
	struct answerer *self = context;
	struct message batch[BATCH_MAX];
	size_t count = 0;
	while (channel_receive_wait(self->inbox, batch, BATCH_MAX, HANG_NS, &count) == SNUG_OK)
		for (size_t i = 0; i < count; i++)
			self->refused += channel_try_send(batch[i].reply, &batch[i]) != SNUG_OK;
}

#define ANSWERERS 3u

/* Who has no more in flight than his channel holds is always answered, though it be full now and
 * then: room that he made is seen. */
static void an_answer_always_finds_room(void **state) {
	(void)state;
	static struct answerer answerers[ANSWERERS];
	test_random random = {seed};
	struct channel *answers = make(16);
	struct message batch[16];
	uint64_t in_flight = 0;
	for (uint32_t i = 0; i < ANSWERERS; i++) {
		answerers[i] = (struct answerer){.inbox = make(16)};
		start(&answerers[i].thread, run_answerer, &answerers[i]);
	}
	for (uint64_t sent = 0; sent < 300000; in_flight++, sent++) {
		struct message message = numbered_message(0, sent);
		message.reply = answers;
		if (in_flight == 16) {
			size_t count = 0;
			assert_int_equal(channel_receive_wait(answers, batch,
												  test_random_between(&random, 1, 16), HANG_NS,
												  &count),
							 SNUG_OK);
			in_flight -= count;
		}
		assert_int_equal(channel_try_send(answerers[sent % ANSWERERS].inbox, &message), SNUG_OK);
	}
	for (uint32_t i = 0; i < ANSWERERS; i++) {
		channel_close(answerers[i].inbox);
		os_thread_join(&answerers[i].thread);
		assert_int_equal(answerers[i].refused, 0);
		channel_destroy(answerers[i].inbox);
	}
	assert_int_equal(channel_receive(answers, batch, 16), in_flight);
	unmake(answers);
}

static void time_outs_are_neither_early_nor_endless(void **state) {
	(void)state;
	static const uint64_t timeouts_ns[] = {0, 1, MS / 10, 5 * MS, 30 * MS};
	struct channel *channel = make(16);
	struct message message = numbered_message(0, 0);
	size_t count = 77;
	for (size_t i = 0; i < sizeof timeouts_ns / sizeof timeouts_ns[0]; i++) {
		uint64_t begin_ns = os_now_ns();
		assert_int_equal(channel_receive_wait(channel, &message, 1, timeouts_ns[i], &count),
						 SNUG_ERROR_TIMED_OUT);
		assert_in_range(os_now_ns() - begin_ns, timeouts_ns[i], timeouts_ns[i] + 30000 * MS);
		assert_int_equal(count, 77);
	}
	for (uint32_t i = 0; i < 16; i++) assert_int_equal(channel_send(channel, &message, 0), SNUG_OK);
	for (size_t i = 0; i < sizeof timeouts_ns / sizeof timeouts_ns[0]; i++) {
		uint64_t begin_ns = os_now_ns();
		assert_int_equal(channel_send(channel, &message, timeouts_ns[i]), SNUG_ERROR_TIMED_OUT);
		assert_in_range(os_now_ns() - begin_ns, timeouts_ns[i], timeouts_ns[i] + 30000 * MS);
	}
	assert_int_equal(channel_depth(channel), 16);
	unmake(channel);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_channel_refuses),
		cmocka_unit_test(claims_given_back_leave_no_message),
		cmocka_unit_test(an_answer_always_finds_room),
		cmocka_unit_test(time_outs_are_neither_early_nor_endless),
		cmocka_unit_test(nothing_is_lost_doubled_or_overtaken),
	};
	return cmocka_run_group_tests(tests, print_seed, NULL);
}
