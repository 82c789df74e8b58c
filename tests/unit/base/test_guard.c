/* test_guard.c: the assertion tiers of src/base/assert.h. Compiled with and without SNUG_DEBUG;
 * both expectations stand here. */
#include "unit/cmocka_all.h"

#include "base/assert.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void guard_answers_in_every_build(void **state) {
	(void)state;
	int value = 5;
	assert_true(SNUG_GUARD(value == 5));
	assert_false(SNUG_GUARD(value == 6));
	assert_true(SNUG_GUARD(value & 4));
	assert_true(SNUG_GUARD(state != NULL || value));
}

static void true_assertion_does_nothing(void **state) {
	(void)state;
	int value = 5;
	SNUG_ASSERT(value == 5);
}

#ifdef SNUG_DEBUG

/* Runs a false assertion in a child; answers its status and what it wrote to stderr. */
static int fail_in_a_child(char *text, size_t text_bytes) {
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		signal(SIGABRT, SIG_DFL);
		dup2(ends[1], STDERR_FILENO);
		int value = 5;
		SNUG_ASSERT(value == 6);
		_exit(0);
	}
	close(ends[1]);
	size_t length = 0;
	ssize_t got;
	while (length < text_bytes - 1 &&
		   (got = read(ends[0], text + length, text_bytes - 1 - length)) > 0)
		length += (size_t)got;
	text[length] = '\0';
	close(ends[0]);
	int status = 0;
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void false_assertion_aborts_and_says_why(void **state) {
	(void)state;
	char text[512];
	int status = fail_in_a_child(text, sizeof text);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	assert_non_null(strstr(text, "assertion failed: value == 6"));
	assert_non_null(strstr(text, "test_guard.c:"));
}

#else

static void false_assertion_is_not_evaluated(void **state) {
	(void)state;
	const int *nothing = NULL;
	SNUG_ASSERT(*nothing == 6);
}

#endif

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(guard_answers_in_every_build),
		cmocka_unit_test(true_assertion_does_nothing),
#ifdef SNUG_DEBUG
		cmocka_unit_test(false_assertion_aborts_and_says_why),
#else
		cmocka_unit_test(false_assertion_is_not_evaluated),
#endif
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
