/* test_channel_sleep.c: who sleeps on a channel is woken, and nobody else.
 *
 * A lost wake-up would be a hang. So whoever sleeps here does so with a time-out that never ends in
 * a sound channel (HANG_NS), and the test says what was lost.
 *
 *     SNUG_SEED=0x... tests/race/test_channel_sleep     the same random choices again; threads
 *                                                       still interleave as they like */
#include "channels.h"
#include "numbered.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

/* ------------------------------------------------------------------ sleep and wake ------------ */

static void only_a_sleeper_is_woken(void **state) {
	(void)state;
	struct channel *channel = make(64);
	struct message batch[16];
	struct pollfd wanted = {.fd = channel_fd(channel), .events = POLLIN};
	for (uint64_t i = 0; i < 16; i++) batch[i] = numbered_message(0, i);
	assert_int_equal(channel_try_send_batch(channel, batch, 16), SNUG_OK);
	assert_int_equal(channel_wakes(channel), 0);
	assert_false(channel_doze(channel)); /* there are messages */
	assert_int_equal(channel_receive(channel, batch, 16), 16);
	assert_int_equal(poll(&wanted, 1, 0), 0);
	assert_false(channel_is_dozing(channel));
	for (uint64_t round = 1; round <= 100; round++) {
		assert_true(channel_doze(channel));
		assert_true(channel_is_dozing(channel));
		assert_int_equal(poll(&wanted, 1, 0), 0);
		for (int i = 0; i < 3; i++)
			assert_int_equal(channel_try_send_batch(channel, batch, 16), SNUG_OK);
		assert_false(channel_is_dozing(channel)); /* it was woken */
		assert_int_equal(channel_wakes(channel), round);
		assert_int_equal(poll(&wanted, 1, 0), 1);
		assert_true(channel_rouse(channel));
		assert_int_equal(poll(&wanted, 1, 0), 0);
		while (channel_receive(channel, batch, 16) > 0) {
		}
		assert_true(channel_doze(channel));
		assert_false(channel_rouse(channel)); /* nobody did */
	}
	unmake(channel);
}

/* What holds up later messages wakes when it moves: a claim that is sent, and one that is given
 * back. */
static void a_claim_wakes_when_it_is_settled(void **state) {
	(void)state;
	for (uint32_t given_back = 0; given_back < 2; given_back++) {
		struct channel *channel = make(16);
		struct message message = numbered_message(0, 0);
		uint32_t position = 0;
		assert_int_equal(channel_claim(channel, 1, &position), SNUG_OK);
		assert_int_equal(channel_try_send(channel, &message), SNUG_OK);
		assert_true(channel_doze(channel)); /* there is nothing to receive yet */
		if (given_back == 1)
			channel_unclaim(channel, position, 1);
		else
			channel_send_claimed(channel, position, &message, 1);
		assert_true(channel_rouse(channel));
		assert_int_equal(channel_wakes(channel), 1);
		assert_int_equal(channel_receive(channel, &message, 1), 1);
		unmake(channel);
	}
}

/* A close and the last sender's going wake a sleeper, and keep one that is awake from its next
 * sleep. Once. */
static void news_is_not_slept_through(void **state) {
	(void)state;
	for (uint32_t close = 0; close < 2; close++) {
		for (uint32_t asleep = 0; asleep < 2; asleep++) {
			struct channel *channel = make(16);
			channel_attach(channel);
			channel_attach(channel);
			channel_detach(channel);
			assert_true(channel_doze(channel)); /* not the last */
			assert_false(channel_rouse(channel));
			if (asleep == 1) assert_true(channel_doze(channel));
			if (close == 1)
				channel_close(channel);
			else
				channel_detach(channel);
			if (asleep == 1)
				assert_true(channel_rouse(channel));
			else
				assert_false(channel_doze(channel));
			assert_true(channel_doze(channel));
			assert_false(channel_rouse(channel));
			channel_close(channel);
			if (close == 1) channel_detach(channel);
			channel_destroy(channel);
		}
	}
}

struct room_seeker {
	struct os_thread thread;
	struct channel *channel;
	snug_error error; /* read after the join */
};

static void run_room_seeker(void *context) {
	struct room_seeker *self = context;
	struct message message = numbered_message(1, 0);
	self->error = channel_send(self->channel, &message, HANG_NS);
}

/* Half of the room is enough, whether it comes back by a receive or by a claim that is given back.
 * Each sleeps until it is told. */
static void room_that_comes_back_is_told(void **state) {
	(void)state;
	for (uint32_t given_back = 0; given_back < 2; given_back++) {
		struct room_seeker seekers[2];
		struct channel *channel = make(16);
		struct message batch[16];
		uint32_t position = 0;
		for (uint64_t number = 0; number < 16; number++)
			batch[number] = numbered_message(0, number);
		assert_int_equal(channel_try_send_batch(channel, batch, given_back == 1 ? 7 : 16), SNUG_OK);
		if (given_back == 1) assert_int_equal(channel_claim(channel, 9, &position), SNUG_OK);
		for (uint32_t i = 0; i < 2; i++) {
			seekers[i].channel = channel;
			start(&seekers[i].thread, run_room_seeker, &seekers[i]);
		}
		os_thread_sleep(20 * MS);
		assert_int_equal(channel_receive(channel, batch, given_back == 1 ? 7 : 8),
						 given_back == 1 ? 7 : 8);
		if (given_back == 1) channel_unclaim(channel, position, 9);
		uint64_t begin_ns = os_now_ns();
		for (uint32_t i = 0; i < 2; i++) {
			os_thread_join(&seekers[i].thread);
			assert_int_equal(seekers[i].error, SNUG_OK);
		}
		assert_true(os_now_ns() - begin_ns < HANG_NS / 2); /* not found when the time was over */
		assert_int_equal(channel_depth(channel), given_back == 1 ? 2 : 10);
		unmake(channel);
	}
}

/* Two threads that begin each round together, so that the one's send meets the other's going to
 * sleep within nanoseconds. */
struct duel {
	struct os_thread thread;
	struct channel *channel;
	_Atomic uint64_t begun; /* rounds; the main thread writes */
	_Atomic uint64_t ended; /* rounds; the sender writes */
	/* at most; fewer if they take longer than DUEL_NS, as on a busy machine */
	uint64_t rounds;
	uint64_t mistakes; /* the sender's; read after the join */
	uint64_t late;
};

#define DUEL_NS (1500 * MS)
#define ENDED_EARLY UINT64_MAX /* instead of a number of rounds: there is no further one */

/* Two spinning threads that share a processor never meet. Without a second one, nothing is lost but
 * the point. */
static void part_from_sender(cpu_set_t *before) {
	pthread_getaffinity_np(pthread_self(), sizeof *before, before);
	(void)os_thread_bind(0);
}

static void wait_for_round(_Atomic uint64_t *rounds, uint64_t round) {
	for (uint64_t looks = 1; atomic_load(rounds) < round; looks++)
		if (looks % 2000 == 0) os_thread_yield();
}

static void run_duel_sender(void *context) {
	struct duel *self = context;
	(void)os_thread_bind(1);
	test_random random = {seed};
	for (uint64_t round = 1; round <= self->rounds; round++) {
		struct message message = numbered_message(0, round - 1);
		wait_for_round(&self->begun, round);
		if (atomic_load(&self->begun) == ENDED_EARLY) return;
		numbered_pause(&random);
		if (channel_try_send(self->channel, &message) != SNUG_OK) self->mistakes++;
		atomic_store(&self->ended, round);
	}
}

/* The receiver announces sleep while the message comes. When both are done, either it has seen the
 * message, or it was woken. */
static void nobody_falls_asleep_on_a_message(void **state) {
	(void)state;
	struct duel duel = {.channel = make(16), .rounds = test_environment_number("SNUG_OPS", 200000)};
	struct numbered_log log = {0};
	test_random random = {seed + 1};
	uint64_t slept = 0;
	uint64_t lost = 0;
	uint64_t rounds = 0;
	cpu_set_t before;
	start(&duel.thread, run_duel_sender, &duel);
	part_from_sender(&before);
	uint64_t end_ns = os_now_ns() + DUEL_NS;
	for (; rounds < duel.rounds && os_now_ns() < end_ns; rounds++) {
		uint64_t round = rounds + 1;
		struct message message;
		atomic_store(&duel.begun, round);
		numbered_pause(&random);
		bool dozing = channel_doze(duel.channel);
		wait_for_round(&duel.ended, round);
		if (dozing) {
			slept++;
			if (!channel_rouse(duel.channel)) lost++;
		}
		if (channel_receive(duel.channel, &message, 1) == 1) numbered_check(&log, &message);
	}
	atomic_store(&duel.begun, ENDED_EARLY);
	os_thread_join(&duel.thread);
	pthread_setaffinity_np(pthread_self(), sizeof before, &before);
	printf("    asleep in %llu rounds of %llu\n", (unsigned long long)slept,
		   (unsigned long long)rounds);
	assert_int_equal(lost, 0);
	assert_int_equal(duel.mistakes, 0);
	assert_int_equal(log.mistakes, 0);
	assert_int_equal(log.next[0], rounds);
	unmake(duel.channel);
}

#define ROOM_WAIT_NS (30000 * MS)

/* A send that was not woken finds the room when its time is over: it is late. Fills the channel
 * again after that. */
static void run_duel_for_room(void *context) {
	struct duel *self = context;
	(void)os_thread_bind(1);
	test_random random = {seed};
	for (uint64_t round = 1; round <= self->rounds; round++) {
		wait_for_round(&self->begun, round);
		if (atomic_load(&self->begun) == ENDED_EARLY) return;
		numbered_pause(&random);
		uint64_t begin_ns = os_now_ns();
		for (uint64_t i = 0; i < 16; i++) {
			struct message message = numbered_message(0, 16 * round + i);
			if (channel_send(self->channel, &message, ROOM_WAIT_NS) != SNUG_OK) self->mistakes++;
		}
		if (os_now_ns() - begin_ns >= ROOM_WAIT_NS) self->late++;
		atomic_store(&self->ended, self->late > 0 ? ENDED_EARLY : round);
		if (self->late > 0) return;
	}
}

/* The channel is full when a round begins: one sends, the other receives all. */
static void nobody_falls_asleep_on_room(void **state) {
	(void)state;
	struct duel duel = {.channel = make(16), .rounds = test_environment_number("SNUG_OPS", 50000)};
	struct numbered_log log = {0};
	test_random random = {seed + 1};
	struct message batch[16];
	uint64_t rounds = 0;
	for (uint64_t number = 0; number < 16; number++) batch[number] = numbered_message(0, number);
	assert_int_equal(channel_try_send_batch(duel.channel, batch, 16), SNUG_OK);
	cpu_set_t before;
	start(&duel.thread, run_duel_for_room, &duel);
	part_from_sender(&before);
	uint64_t end_ns = os_now_ns() + DUEL_NS;
	for (; rounds < duel.rounds && atomic_load(&duel.ended) != ENDED_EARLY && os_now_ns() < end_ns;
		 rounds++) {
		uint64_t round = rounds + 1;
		atomic_store(&duel.begun, round);
		numbered_pause(&random);
		size_t count = channel_receive(duel.channel, batch, 16);
		for (size_t i = 0; i < count; i++) numbered_check(&log, &batch[i]);
		wait_for_round(&duel.ended, round);
	}
	atomic_store(&duel.begun, ENDED_EARLY);
	os_thread_join(&duel.thread);
	pthread_setaffinity_np(pthread_self(), sizeof before, &before);
	assert_int_equal(duel.late, 0);
	assert_int_equal(duel.mistakes, 0);
	assert_int_equal(log.mistakes, 0);
	assert_int_equal(log.next[0], 16 * rounds);
	unmake(duel.channel);
}

/* One sends, one really sleeps, in lockstep. */
static void run_lockstep_sender(void *context) {
	struct duel *self = context;
	test_random random = {seed};
	for (uint64_t round = 1; round <= self->rounds; round++) {
		struct message message = numbered_message(0, round - 1);
		numbered_pause(&random);
		if (channel_try_send(self->channel, &message) != SNUG_OK) self->mistakes++;
		wait_for_round(&self->begun, round); /* received */
	}
}

static void a_sleeping_receiver_is_always_woken(void **state) {
	(void)state;
	struct duel duel = {.channel = make(16), .rounds = 30000};
	struct numbered_log log = {0};
	snug_error error = SNUG_OK;
	start(&duel.thread, run_lockstep_sender, &duel);
	while (log.next[0] < duel.rounds && log.mistakes == 0 && error == SNUG_OK) {
		struct message message;
		size_t count = 0;
		error = channel_receive_wait(duel.channel, &message, 1, HANG_NS, &count);
		if (error == SNUG_OK) numbered_check(&log, &message);
		atomic_store(&duel.begun, error == SNUG_OK ? log.next[0] : UINT64_MAX);
	}
	os_thread_join(&duel.thread);
	printf("    %llu messages, %llu wakes\n", (unsigned long long)duel.rounds,
		   (unsigned long long)channel_wakes(duel.channel));
	assert_int_equal(error, SNUG_OK);
	assert_int_equal(duel.mistakes, 0);
	assert_int_equal(log.mistakes, 0);
	unmake(duel.channel);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_a_sleeper_is_woken),
		cmocka_unit_test(a_claim_wakes_when_it_is_settled),
		cmocka_unit_test(news_is_not_slept_through),
		cmocka_unit_test(room_that_comes_back_is_told),
		cmocka_unit_test(nobody_falls_asleep_on_a_message),
		cmocka_unit_test(nobody_falls_asleep_on_room),
		cmocka_unit_test(a_sleeping_receiver_is_always_woken),
	};
	return cmocka_run_group_tests(tests, print_seed, NULL);
}
