/* test_errors.c: the error table's texts and names, inside the table and outside, and the
 * version. */
#include "unit/cmocka_all.h"

#include <snug/error.h>
#include <snug/version.h>

#include <stdio.h>
#include <string.h>

static void every_error_has_its_own_name_and_text(void **state) {
	(void)state;
	for (int error = 0; error < SNUG_ERROR_COUNT; error++) {
		const char *name = snug_error_name((snug_error)error);
		const char *text = snug_error_text((snug_error)error);
		assert_int_equal(strncmp(name, "SNUG_", 5), 0);
		assert_string_not_equal(name, "SNUG_ERROR_UNKNOWN");
		assert_string_not_equal(text, "unknown error");
		assert_true(strlen(text) > 0 && text[strlen(text) - 1] != '.');
		for (int other = 0; other < error; other++) {
			assert_string_not_equal(name, snug_error_name((snug_error)other));
			assert_string_not_equal(text, snug_error_text((snug_error)other));
		}
	}
}

static void names_are_the_symbols(void **state) {
	(void)state;
	assert_string_equal(snug_error_name(SNUG_OK), "SNUG_OK");
	assert_string_equal(snug_error_text(SNUG_OK), "ok");
	assert_string_equal(snug_error_name(SNUG_ERROR_PINNED), "SNUG_ERROR_PINNED");
	assert_string_equal(snug_error_text(SNUG_ERROR_PINNED), "the object is pinned");
}

static void values_outside_the_table_are_unknown(void **state) {
	(void)state;
	const unsigned outside[] = {SNUG_ERROR_COUNT, SNUG_ERROR_COUNT + 1, 1u << 30};
	for (size_t index = 0; index < sizeof outside / sizeof *outside; index++) {
		snug_error error;
		memcpy(&error, &outside[index], sizeof error);
		assert_string_equal(snug_error_name(error), "SNUG_ERROR_UNKNOWN");
		assert_string_equal(snug_error_text(error), "unknown error");
	}
}

static void version_is_that_of_the_headers(void **state) {
	(void)state;
	char text[32];
	snprintf(text, sizeof text, "%d.%d.%d", SNUG_VERSION_MAJOR, SNUG_VERSION_MINOR,
			 SNUG_VERSION_PATCH);
	assert_string_equal(snug_version(), text);
	assert_string_equal(snug_version(), SNUG_VERSION_TEXT);
	assert_string_equal(snug_version(), MESON_PROJECT_VERSION);
	assert_int_equal(snug_version_number(), SNUG_VERSION);
	assert_true(SNUG_VERSION ==
				SNUG_VERSION_OF(SNUG_VERSION_MAJOR, SNUG_VERSION_MINOR, SNUG_VERSION_PATCH));
	assert_true(SNUG_VERSION_OF(0, 1, 0) == 1000 && SNUG_VERSION_OF(2, 3, 4) == 2003004);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_error_has_its_own_name_and_text),
		cmocka_unit_test(names_are_the_symbols),
		cmocka_unit_test(values_outside_the_table_are_unknown),
		cmocka_unit_test(version_is_that_of_the_headers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
