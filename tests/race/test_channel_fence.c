/* test_channel_fence.c: a message that is sent while its receiver falls asleep: one of the two sees
 * the other (work/channel/channel.c, SLEEP AND WAKE).
 *
 * Both write, and then read what the other wrote. A processor may let the read go before the write;
 * only the fence between the two forbids it. So this is a litmus test: each round the two threads
 * meet, wait a few cycles of their own, and do the one thing. Without the sender's fence 8 to 106
 * messages were slept through in 400,000 rounds, on two processors with six busy programs. So a run
 * of 150,000 misses it once in twenty at most; make mutate has a million.
 *
 *     SNUG_ROUNDS=10000000 tests/race/test_channel_fence */
#include "channels.h"
#include "numbered.h"
#include "support/meet.h"
#include "support/test_random.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define DELAY_MAX 64u

struct meeting {
	struct channel *channel;
	uint64_t rounds;
	_Alignas(64) _Atomic uint64_t sender_at;
	_Alignas(64) _Atomic uint64_t receiver_at;
};

static void delay(test_random *random) {
	for (uint64_t left = test_random_below(random, DELAY_MAX); left > 0; left--)
		__asm__ volatile("" ::: "memory");
}

static void send_all(void *context) {
	struct meeting *meeting = context;
	test_random random = {seed};
	os_thread_bind(0);
	for (uint64_t round = 0; round < meeting->rounds; round++) {
		struct message message = numbered_message(0, round);
		meet(&meeting->sender_at, &meeting->receiver_at, 2 * round + 1);
		delay(&random);
		(void)channel_try_send(meeting->channel, &message);
		meet(&meeting->sender_at, &meeting->receiver_at, 2 * round + 2);
	}
}

static void a_message_is_seen_or_wakes(void **state) {
	(void)state;
	struct meeting meeting = {.channel = make(16),
							  .rounds = test_environment_number("SNUG_ROUNDS", 150000)};
	test_random random = {seed + 1};
	struct os_thread thread;
	struct message batch[16];
	uint64_t lost = 0, slept = 0;
	assert_true(os_thread_start(&thread, send_all, &meeting));
	os_thread_bind(1); /* where there is one */
	for (uint64_t round = 0; round < meeting.rounds; round++) {
		meet(&meeting.receiver_at, &meeting.sender_at, 2 * round + 1);
		delay(&random);
		bool asleep = channel_doze(meeting.channel);
		meet(&meeting.receiver_at, &meeting.sender_at, 2 * round + 2);
		slept += asleep;
		/* The message is there. Whoever sleeps must have been woken for it. */
		if (asleep && !channel_rouse(meeting.channel)) lost++;
		assert_int_equal(channel_receive(meeting.channel, batch, 16), 1);
	}
	os_thread_join(&thread);
	printf("%llu rounds, asleep in %llu\n", (unsigned long long)meeting.rounds,
		   (unsigned long long)slept);
	if (lost > 0) fail_msg("%llu messages were slept through", (unsigned long long)lost);
	unmake(meeting.channel);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_is_seen_or_wakes),
	};
	return cmocka_run_group_tests_name("channel_fence", tests, print_seed, NULL);
}
