/* test_script.c: what the simulator prints of a script it takes again, and means the same by it
 * (simulate/clients/script.h). */
#include "simulate/clients/script.h"
#include "unit/cmocka_all.h"

#include <stdio.h>
#include <string.h>

static bool parse(struct script *script, const char *text) {
	char line[256], *words[8], *rest = NULL;
	size_t count = 0;
	snprintf(line, sizeof line, "%s", text);
	for (char *word = strtok_r(line, " ", &rest); word != NULL && count < 8;
		 word = strtok_r(NULL, " ", &rest))
		words[count++] = word;
	return script_parse(script, words, count);
}

static void what_is_printed_is_taken_again(void **state) {
	(void)state;
	static const char *const texts[] = {
		"17",
		"17 salt=3",
		"17 calm=stall,refuse_commit",
		"17 keep=0.3,2.11.5",
		"18446744073709551615 salt=1 calm=preempt keep=7.127.80000000",
	};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		static struct script script;
		char printed[256];
		assert_true(parse(&script, texts[i]));
		assert_int_equal(script_print(&script, printed, sizeof printed), strlen(texts[i]));
		assert_string_equal(printed, texts[i]);
	}
}

static void what_is_kept(void **state) {
	(void)state;
	static struct script script;
	assert_true(parse(&script, "17 keep=0.3,2.11.5"));
	assert_int_equal(script_commands(&script), 32 + 2);
	assert_true(script_keeps(&script, 0, 3, 31));
	assert_true(script_keeps(&script, 2, 11, 0) && script_keeps(&script, 2, 11, 2));
	assert_false(script_keeps(&script, 2, 11, 1) || script_keeps(&script, 0, 4, 0));
	assert_true(parse(&script, "17"));
	assert_int_equal(script_commands(&script), CLIENTS_MAX * BATCHES_MAX * 32);
}

static void what_is_no_script(void **state) {
	(void)state;
	static const char *const texts[] = {
		"", "x", "17x", "17 sault=1", "17 calm=storm", "17 keep=8.0", "17 keep=0.128", "17 keep=1"};
	static struct script script;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_false(parse(&script, texts[i]));
}

/* What is left out, or the order of the threads, changes nothing of what a part chooses. */
static void parts_choose_by_themselves(void **state) {
	(void)state;
	static struct script whole, cut;
	assert_true(parse(&whole, "17"));
	assert_true(parse(&cut, "17 salt=4 calm=stall keep=2.11.5"));
	struct choice one = script_choice(&whole, 2, 11, 0), same = script_choice(&cut, 2, 11, 0);
	struct choice other = script_choice(&cut, 2, 11, 2), order = script_order(&whole),
				  another = script_order(&cut);
	assert_int_equal(one.random.state, same.random.state);
	assert_true(one.random.state != other.random.state);
	assert_true(order.random.state != another.random.state);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_printed_is_taken_again),
		cmocka_unit_test(what_is_kept),
		cmocka_unit_test(what_is_no_script),
		cmocka_unit_test(parts_choose_by_themselves),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
