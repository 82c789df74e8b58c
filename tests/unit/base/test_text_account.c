/* Texts that draw on one account: base/text.h. */
#include "base/text.h"
#include "unit/cmocka_all.h"

#include <string.h>

static void an_account_is_shared_and_given_back(void **state) {
	(void)state;
	struct text_account account = {.limit_bytes = 300000};
	struct text one = {.account = &account}, other = {.account = &account};
	static const char bytes[100000];
	text_append(&one, bytes, sizeof bytes);
	assert_false(one.failed);
	assert_int_equal(account.used_bytes, one.room);
	assert_in_range(one.room, sizeof bytes, sizeof bytes / 8 * 10);
	text_append(&other, bytes, sizeof bytes);
	text_append(&other, bytes, sizeof bytes);
	assert_true(other.failed);
	assert_int_equal(other.length, sizeof bytes); /* a beginning of the whole */
	assert_int_equal(account.used_bytes, one.room + other.room);
	text_deinit(&one);
	text_deinit(&other);
	assert_int_equal(account.used_bytes, 0);
	assert_ptr_equal(one.account, &account);
	text_append(&one, bytes, sizeof bytes);
	assert_false(one.failed);
	text_deinit(&one);
	assert_int_equal(account.used_bytes, 0);
}

static void the_limit_is_never_passed(void **state) {
	(void)state;
	for (size_t limit = 0; limit < 200000; limit += 997) {
		struct text_account account = {.limit_bytes = limit};
		struct text text = {.account = &account};
		while (!text.failed) {
			text_print(&text, "%d %s", 12345, "of some length");
			assert_true(account.used_bytes <= limit);
		}
		text_append(&text, "x", 1);
		assert_true(text.failed && text.length % strlen("12345 of some length") == 0);
		text_deinit(&text);
		assert_int_equal(account.used_bytes, 0);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_account_is_shared_and_given_back),
		cmocka_unit_test(the_limit_is_never_passed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
