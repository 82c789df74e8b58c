/* One answer for all who asked before its making began: http/http_shared.h, with threads. */
#include "http/http_shared.h"
#include "unit/cmocka_all.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define THREADS 16

static struct shared shared;
static _Atomic uint64_t clock_now; /* grows at each look */
static _Atomic uint32_t makings, live;

struct asker {
	uint64_t asked;
	bool is_fresh;
};

static void make(void *context, struct made *out) {
	(void)context;
	uint64_t *began = malloc(sizeof *began);
	*began = ++clock_now;
	makings++;
	live++;
	(void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	*out = (struct made){.response = (struct MHD_Response *)(void *)began, .status = 200};
}

static void use(void *context, const struct made *made) {
	struct asker *asker = context;
	asker->is_fresh = *(const uint64_t *)(const void *)made->response > asker->asked;
}

static void drop(void *context, struct made *made) {
	(void)context;
	free(made->response);
	live--;
}

static const struct shared_hooks hooks = {make, use, drop};

static void *ask(void *context) {
	bool *is_fine = context;
	*is_fine = true;
	for (int i = 0; i < 50; i++) {
		struct asker asker = {.asked = ++clock_now};
		shared_answer(&shared, &hooks, &asker);
		*is_fine &= asker.is_fresh;
	}
	return NULL;
}

static void many_share_and_none_gets_an_old_one(void **state) {
	(void)state;
	pthread_t thread[THREADS];
	bool is_fine[THREADS];
	shared_init(&shared);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, ask, &is_fine[i]), 0);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(thread[i], NULL), 0);
		assert_true(is_fine[i]);
	}
	assert_in_range(makings, 50, THREADS * 50 / 2);
	assert_int_equal(live, 0); /* nothing is kept when nobody waits */
	shared_deinit(&shared);
}

static void make_nothing(void *context, struct made *out) {
	(void)context;
	*out = (struct made){0};
}

static void see_nothing(void *context, const struct made *made) {
	(void)context;
	assert_null(made->response);
}

static void what_could_not_be_made_is_said(void **state) {
	(void)state;
	static const struct shared_hooks none = {make_nothing, see_nothing, drop};
	shared_init(&shared);
	for (int i = 0; i < 3; i++) shared_answer(&shared, &none, NULL);
	shared_deinit(&shared);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_share_and_none_gets_an_old_one),
		cmocka_unit_test(what_could_not_be_made_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
