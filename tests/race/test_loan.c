/* test_loan.c: a thing that its owner lends while he sleeps: one has it at a time, each sees what the last one wrote, and the owner gets it back. */
#include "crew.h"
#include "work/loan.h"

#include <stdatomic.h>

#define TAKERS 3u
#define ROUNDS 20000u

/* Not atomic: the thread sanitizer sees two who have it. */
struct thing {
	uint64_t uses;
	uint64_t uses_again;
};

struct bench {
	struct loan loan;
	struct thing thing;
	uint64_t owner_uses;
	uint64_t taker_uses[TAKERS];
	_Atomic bool is_broken; /* somebody saw the half of a use */
	_Atomic bool is_over;
	_Atomic uint32_t owner_ended;
};

struct taker {
	struct bench *bench;
	uint32_t number;
	struct os_thread thread;
};

/* What one has begun no other sees. */
static bool use(struct thing *thing, bool gives_away) {
	bool is_whole = thing->uses == thing->uses_again;
	thing->uses++;
	if (gives_away) os_thread_yield();
	thing->uses_again++;
	return is_whole;
}

static void lend_again_and_again(void *context) {
	struct bench *bench = context;
	for (uint32_t round = 0; round < ROUNDS; round++) {
		if (!use(&bench->thing, false)) atomic_store(&bench->is_broken, true);
		bench->owner_uses++;
		loan_offer(&bench->loan);
		if (round % 2 == 0) os_thread_yield();
		if (round % 64 == 0) os_thread_sleep(20000);
		loan_recall(&bench->loan);
	}
	atomic_store(&bench->owner_ended, 1);
	os_wake(&bench->owner_ended, 1);
}

static void take_again_and_again(void *context) {
	struct taker *taker = context;
	struct bench *bench = taker->bench;
	while (!atomic_load(&bench->is_over)) {
		if (!loan_take(&bench->loan)) {
			os_thread_yield();
			continue;
		}
		uint64_t uses = ++bench->taker_uses[taker->number];
		if (!use(&bench->thing, uses % 16 == 0)) atomic_store(&bench->is_broken, true);
		loan_return(&bench->loan);
	}
}

/* A lost wake-up is an owner who sleeps for ever. */
static void one_has_it_at_a_time(void **state) {
	(void)state;
	static struct bench bench;
	struct taker takers[TAKERS];
	struct os_thread owner;
	uint64_t uses = 0;
	for (uint32_t i = 0; i < TAKERS; i++) {
		takers[i] = (struct taker){.bench = &bench, .number = i};
		assert_true(os_thread_start(&takers[i].thread, take_again_and_again, &takers[i]));
	}
	assert_true(os_thread_start(&owner, lend_again_and_again, &bench));
	CREW_WAIT_UNTIL(atomic_load(&bench.owner_ended) == 1);
	atomic_store(&bench.is_over, true);
	os_thread_join(&owner);
	for (uint32_t i = 0; i < TAKERS; i++) {
		os_thread_join(&takers[i].thread);
		uses += bench.taker_uses[i];
	}
	assert_false(atomic_load(&bench.is_broken));
	assert_true(uses > 0);
	assert_int_equal(bench.owner_uses, ROUNDS);
	assert_int_equal(bench.thing.uses, ROUNDS + uses);
	assert_int_equal(bench.thing.uses_again, ROUNDS + uses);
	assert_int_equal(atomic_load(&bench.loan.state), LOAN_KEPT);
}

static void what_is_kept_or_taken_is_not_to_be_had(void **state) {
	(void)state;
	struct loan loan = {0};
	assert_false(loan_take(&loan));
	loan_offer(&loan);
	assert_true(loan_take(&loan));
	assert_false(loan_take(&loan));
	loan_return(&loan);
	assert_true(loan_take(&loan));
	loan_return(&loan);
	loan_recall(&loan);
	assert_false(loan_take(&loan));
}

struct waiter {
	struct loan loan;
	_Atomic bool has_it;
};

static void recall(void *context) {
	struct waiter *waiter = context;
	loan_recall(&waiter->loan);
	atomic_store(&waiter->has_it, true);
}

static void the_owner_waits_for_who_has_it(void **state) {
	(void)state;
	struct waiter waiter = {0};
	struct os_thread owner;
	loan_offer(&waiter.loan);
	assert_true(loan_take(&waiter.loan));
	assert_true(os_thread_start(&owner, recall, &waiter));
	CREW_WAIT_UNTIL(atomic_load(&waiter.loan.state) == LOAN_RECALLED);
	os_thread_sleep(5 * MS);
	assert_false(atomic_load(&waiter.has_it));
	assert_false(loan_take(&waiter.loan)); /* nobody else gets it first */
	loan_return(&waiter.loan);
	CREW_WAIT_UNTIL(atomic_load(&waiter.has_it));
	os_thread_join(&owner);
	assert_int_equal(atomic_load(&waiter.loan.state), LOAN_KEPT);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_kept_or_taken_is_not_to_be_had),
		cmocka_unit_test(the_owner_waits_for_who_has_it),
		cmocka_unit_test(one_has_it_at_a_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
