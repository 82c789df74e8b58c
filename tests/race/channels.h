/* channels.h: what the tests of channels share. The random choices of a run are printed, and
 * repeated with SNUG_SEED. */
#ifndef SNUG_TEST_CHANNELS_H
#define SNUG_TEST_CHANNELS_H

#include "os/threads.h"
#include "support/test_random.h"
#include "unit/cmocka_all.h"
#include "work/channel/channel.h"

#include <stdio.h>
#include <time.h>

#define MS UINT64_C(1000000)
#define HANG_NS (120000 * MS)

static uint64_t seed;

static inline struct channel *make(uint32_t messages) {
	struct channel *channel = NULL;
	assert_int_equal(channel_create(messages, &channel), SNUG_OK);
	return channel;
}

static inline void unmake(struct channel *channel) {
	channel_close(channel);
	channel_destroy(channel);
}

static inline void start(struct os_thread *thread, void (*run)(void *), void *context) {
	assert_true(os_thread_start(thread, run, context));
}

static int print_seed(void **state) {
	(void)state;
	seed = test_environment_number("SNUG_SEED",
								   (uint64_t)time(NULL) * UINT64_C(0x9e3779b97f4a7c15) >> 16);
	printf("SNUG_SEED=0x%llx\n", (unsigned long long)seed);
	return 0;
}

#endif
