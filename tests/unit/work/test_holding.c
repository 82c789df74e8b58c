/* test_holding.c: how long messages for sleepers wait for more of their kind.
 *
 *     SNUG_SEED=0x... tests/unit/test_holding     the same turns again */
#include "support/test_random.h"
#include "unit/cmocka_all.h"
#include "work/channel/holding.h"

#define US UINT64_C(1000)
#define TURNS 100000u

static bool several(struct hearing *hearing, const char *who, uint64_t now_ns) {
	hearing_begin(hearing);
	for (; *who != '\0'; who++) hearing_note(hearing, (uint32_t)*who, now_ns);
	return hearing_has_several(hearing, now_ns);
}

static void who_is_alone_is_not_held(void **state) {
	(void)state;
	struct hold hold = {0};
	struct hearing hearing = {0};
	assert_false(several(&hearing, "", US));
	assert_false(several(&hearing, "a", US));
	assert_false(several(&hearing, "aa", 2 * US));
	assert_false(hold_may(&hold, false, US));
	assert_true(hold_may(&hold, true, US));
	hold_note(&hold, true, US);
	assert_false(hold_may(&hold, false, 2 * US));
}

/* At once, or one after the other: as long as the last change is no longer ago than what is held
 * waits. */
static void several_are_heard_in_turns(void **state) {
	(void)state;
	struct hearing hearing = {0};
	assert_true(several(&hearing, "ab", US));
	hearing = (struct hearing){0};
	assert_false(several(&hearing, "a", US));
	assert_true(several(&hearing, "b", 2 * US));
	assert_true(several(&hearing, "b", 50 * US));
	assert_false(several(&hearing, "", 60 * US));
	assert_true(several(&hearing, "b", 102 * US - 1));
	assert_false(several(&hearing, "b", 102 * US));
	assert_true(several(&hearing, "a", 103 * US));
}

/* Who comes long after another is alone, and so is one who connects anew each time. */
static void who_comes_later_is_alone(void **state) {
	(void)state;
	struct hearing hearing = {0};
	assert_false(several(&hearing, "a", US));
	assert_false(several(&hearing, "b", 101 * US));
	assert_false(several(&hearing, "c", 1000 * US));
	assert_false(several(&hearing, "d", 2000 * US));
	assert_true(several(&hearing, "e", 2100 * US - 1));
}

/* A tenth of a millisecond, to the nanosecond. */
static void it_ends_in_time(void **state) {
	(void)state;
	struct hold hold = {0};
	hold_note(&hold, true, 7 * US);
	for (uint64_t at_ns = 8 * US; at_ns < 107 * US; at_ns += US) {
		assert_true(hold_may(&hold, true, at_ns));
		hold_note(&hold, true, at_ns); /* what comes later does not begin it anew */
	}
	assert_true(hold_may(&hold, true, 107 * US - 1));
	assert_false(hold_may(&hold, true, 107 * US));
	hold_note(&hold, false, 107 * US);
	assert_true(hold_may(&hold, true, 107 * US));
}

/* Turns of any length that hear any number, messages at any time, to one who falls asleep at any
 * time. Whatever was held goes in a turn that begins less than HOLD_NS and a turn later. */
static void nothing_is_held_for_longer(void **state) {
	(void)state;
	test_random random = {test_environment_number("SNUG_SEED", 1)};
	struct hold hold = {0};
	uint64_t now_ns = US, waits_since_ns = 0, longest_ns = 0;
	for (uint32_t turn = 0; turn < TURNS; turn++) {
		uint64_t turn_ns = 1 + test_random_below(&random, 60 * US);
		if (waits_since_ns == 0 && test_random_below(&random, 3) > 0) waits_since_ns = now_ns;
		bool may = hold_may(&hold, test_random_below(&random, 20) > 0, now_ns);
		bool is_asleep = test_random_below(&random, 8) > 0;
		bool is_held = may && is_asleep && waits_since_ns != 0;
		if (!is_held && waits_since_ns != 0) {
			uint64_t held_ns = now_ns - waits_since_ns;
			if (held_ns > longest_ns) longest_ns = held_ns;
			waits_since_ns = 0;
		}
		hold_note(&hold, is_held, now_ns);
		now_ns += turn_ns;
	}
	assert_in_range(longest_ns, HOLD_NS / 2, HOLD_NS + 60 * US);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_is_alone_is_not_held),
		cmocka_unit_test(several_are_heard_in_turns),
		cmocka_unit_test(who_comes_later_is_alone),
		cmocka_unit_test(it_ends_in_time),
		cmocka_unit_test(nothing_is_held_for_longer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
