/* test_expiries.c: how many may have expired, against a list of all of them. */
#include "cache/shard/expiries.h"
#include "support/require.h"
#include "support/test_random.h"
#include "unit/cmocka_all.h"

#define BASE_S 1000000u
#define COUNT 3000u

static void buckets_follow_one_another(void **state) {
	(void)state;
	static struct expiries expiries;
	expiries_begin(&expiries, BASE_S);
	REQUIRE(expiries_bucket(&expiries, 1) == 0, "before the base");
	uint32_t before = 0;
	for (uint64_t ahead_s = 0; ahead_s < 100000; ahead_s++) {
		uint32_t bucket = expiries_bucket(&expiries, (uint32_t)(BASE_S + ahead_s));
		REQUIRE(bucket == before || bucket == before + 1, "%llu s", (unsigned long long)ahead_s);
		before = bucket;
	}
	expiries_begin(&expiries, 0);
	REQUIRE(expiries_bucket(&expiries, UINT32_MAX) == EXPIRIES_BUCKETS - 1, "the last");
}

/* Never too few, and by an eighth of the distance at most too soon. */
static void due_is_never_too_few(void **state) {
	(void)state;
	static struct expiries expiries;
	static uint32_t at_s[COUNT];
	uint64_t random = 99;
	expiries_begin(&expiries, BASE_S);
	for (uint32_t i = 0; i < COUNT; i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		at_s[i] = BASE_S + ((uint32_t)(random >> 33) % 5000);
		expiries_add(&expiries, at_s[i]);
	}
	for (uint32_t i = 0; i < COUNT; i += 3) {
		expiries_remove(&expiries, at_s[i]);
		at_s[i] = UINT32_MAX;
	}
	for (uint32_t ahead_s = 0; ahead_s < 6000; ahead_s += 7) {
		uint64_t expired = 0, soon = 0;
		for (uint32_t i = 0; i < COUNT; i++) {
			expired += at_s[i] <= BASE_S + ahead_s;
			soon += at_s[i] <= BASE_S + ahead_s + ahead_s / 8 + 1;
		}
		uint64_t due = expiries_due(&expiries, BASE_S + ahead_s);
		REQUIRE(due >= expired && due <= soon, "%u s: %llu, %llu expired, %llu soon", ahead_s,
				(unsigned long long)due, (unsigned long long)expired, (unsigned long long)soon);
		if (due == 0) continue;
		REQUIRE(expiries_when(&expiries, due) <= BASE_S + ahead_s, "when they were as many");
	}
	REQUIRE(expiries_when(&expiries, COUNT) == EXPIRIES_NONE, "there are not so many");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buckets_follow_one_another),
		cmocka_unit_test(due_is_never_too_few),
	};
	return cmocka_run_group_tests_name("expiries", tests, NULL, NULL);
}
