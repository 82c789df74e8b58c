/* test_tickets.c: who waits for a ticket, and who answers it, in each order that matters; in one
 * thread, so that the order is chosen and not hoped for.
 *
 * The two calls in which a waiter sleeps and is woken are replaced at the link. What happens in
 * them is what another thread may do at that moment. */
#include "os/threads.h"
#include "unit/cmocka_all.h"
#include "work/coordinator/tickets.h"

static struct tickets tickets;
static struct ticket_slot *to_answer; /* by the time that its waiter is about to sleep */
static snug_ticket to_take;           /* by the time that waiters are woken */
static snug_error taken;
static uint32_t sleeps, sleeps_on_an_answer, wakes;

void __wrap_os_wait_on(const _Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns);
void __wrap_os_wake(const _Atomic uint32_t *word, uint32_t most);

/* The answer comes between the waiter's look and its sleep: the kernel compares, and lets it not
 * sleep, if the bell has been rung. */
void __wrap_os_wait_on(const _Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns) {
	(void)timeout_ns;
	sleeps++;
	if (to_answer != NULL) ticket_answer(&tickets, to_answer);
	to_answer = NULL;
	if (atomic_load(word) == value) sleeps_on_an_answer++;
}

/* Whoever is woken looks at once. */
void __wrap_os_wake(const _Atomic uint32_t *word, uint32_t most) {
	(void)word;
	(void)most;
	wakes++;
	snug_response response;
	if (to_take != 0) taken = ticket_take(&tickets, to_take, 0, true, &response, NULL, NULL);
	to_take = 0;
}

static int open_tickets(void **state) {
	(void)state;
	sleeps = sleeps_on_an_answer = wakes = 0;
	return tickets_init(&tickets, 2 + TICKETS_RESERVED, 1) ? 0 : -1;
}

static int close_tickets(void **state) {
	(void)state;
	bool all_free = atomic_load(&tickets.in_use) == 0;
	tickets_deinit(&tickets);
	return all_free ? 0 : -1;
}

static void an_answer_before_the_sleep_is_not_slept_through(void **state) {
	(void)state;
	snug_response response;
	to_answer = ticket_claim(&tickets, false);
	snug_ticket ticket = ticket_submit(to_answer, false);
	to_answer->response = (snug_response){.total_ns = 42};
	assert_int_equal(ticket_take(&tickets, ticket, OS_FOREVER, true, &response, NULL, NULL),
					 SNUG_OK);
	assert_int_equal(response.total_ns, 42);
	assert_int_equal(sleeps, 1);
	assert_int_equal(sleeps_on_an_answer, 0);
	assert_int_equal(wakes, 1);
}

static void who_is_woken_finds_the_answer(void **state) {
	(void)state;
	struct ticket_slot *slot = ticket_claim(&tickets, false);
	to_take = ticket_submit(slot, false);
	taken = SNUG_ERROR_TICKET;
	ticket_answer(&tickets, slot);
	assert_int_equal(wakes, 1);
	assert_int_equal(taken, SNUG_OK);
}

/* Each slot is used again, and no old ticket names it. */
static void old_tickets_name_nothing(void **state) {
	(void)state;
	snug_ticket old[50];
	snug_response response;
	for (uint32_t round = 0; round < 50; round++) {
		struct ticket_slot *slot = ticket_claim(&tickets, false);
		old[round] = ticket_submit(slot, false);
		for (uint32_t before = 0; before < round; before++) {
			assert_int_not_equal(old[before], old[round]);
			assert_int_equal(ticket_take(&tickets, old[before], 0, true, &response, NULL, NULL),
							 SNUG_ERROR_TICKET);
		}
		ticket_answer(&tickets, slot);
		assert_int_equal(ticket_take(&tickets, old[round], 0, true, &response, NULL, NULL),
						 SNUG_OK);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_answer_before_the_sleep_is_not_slept_through,
										open_tickets, close_tickets),
		cmocka_unit_test_setup_teardown(who_is_woken_finds_the_answer, open_tickets, close_tickets),
		cmocka_unit_test_setup_teardown(old_tickets_name_nothing, open_tickets, close_tickets),
	};
	return cmocka_run_group_tests_name("tickets", tests, NULL, NULL);
}
