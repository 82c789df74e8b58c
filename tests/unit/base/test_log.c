/* test_log.c: src/base/log_line.c: what is handed on, what is not, and where it is cut. */
#include "unit/cmocka_all.h"

#include "base/log_line.h"

#include <string.h>

struct heard {
	int lines;
	snug_log_level level;
	char last[1024];
};

static void hear(void *context, snug_log_level level, const char *line) {
	struct heard *heard = context;
	heard->lines++;
	heard->level = level;
	assert_true(strlen(line) < sizeof heard->last);
	strcpy(heard->last, line);
}

static void is_silent_without_a_function(void **state) {
	(void)state;
	snug_log log = {.level = SNUG_LOG_DEBUG};
	snug_log_line(&log, SNUG_LOG_ERROR, "%s", "nobody hears this");
}

static void formats_and_hands_on(void **state) {
	(void)state;
	struct heard heard = {0};
	snug_log log = {hear, &heard, SNUG_LOG_INFO};
	snug_log_line(&log, SNUG_LOG_WARNING, "%d of %s", 7, "nine");
	assert_int_equal(heard.lines, 1);
	assert_int_equal(heard.level, SNUG_LOG_WARNING);
	assert_string_equal(heard.last, "7 of nine");
}

static void passes_levels_up_to_the_one_asked_for(void **state) {
	(void)state;
	for (unsigned asked = SNUG_LOG_ERROR; asked <= SNUG_LOG_DEBUG; asked++) {
		struct heard heard = {0};
		snug_log log = {hear, &heard, (snug_log_level)asked};
		for (unsigned level = SNUG_LOG_ERROR; level <= SNUG_LOG_DEBUG; level++)
			snug_log_line(&log, (snug_log_level)level, "line");
		assert_int_equal(heard.lines, asked + 1);
		assert_int_equal(heard.level, asked);
	}
}

static void cuts_long_lines(void **state) {
	(void)state;
	struct heard heard = {0};
	snug_log log = {hear, &heard, SNUG_LOG_DEBUG};
	snug_log_line(&log, SNUG_LOG_DEBUG, "%0*d", 1000, 5);
	assert_int_equal(strlen(heard.last), SNUG_LOG_LINE_BYTES - 1);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_silent_without_a_function),
		cmocka_unit_test(formats_and_hands_on),
		cmocka_unit_test(passes_levels_up_to_the_one_asked_for),
		cmocka_unit_test(cuts_long_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
