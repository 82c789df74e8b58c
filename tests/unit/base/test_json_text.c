/* How a value stands in JSON: base/json_text.h. */
#include "base/json_text.h"
#include "unit/cmocka_all.h"

#include <string.h>

static void numbers_are_those_that_no_reader_rounds(void **state) {
	(void)state;
	static const char *const numbers[] = {
		"0", "-0", "7", "-12", "0.5", "-10.250000", "999999999999999", "123456789012345.678901"};
	static const char *const others[] = {"",
										 "-",
										 "01",
										 "-01",
										 ".5",
										 "5.",
										 "1e3",
										 "1.2.3",
										 "+1",
										 " 1",
										 "1 ",
										 "0x1",
										 "nan",
										 "-.",
										 "1.",
										 "--1",
										 "1-",
										 "9223372036854775809",
										 "1234567890123456",
										 "1.6.18-snugd-0.1.0"};
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (!json_is_number(numbers[i], strlen(numbers[i]))) fail_msg("%s is a number", numbers[i]);
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (json_is_number(others[i], strlen(others[i]))) fail_msg("%s is no number", others[i]);
	assert_true(json_is_number("12x", 2));
	assert_false(json_is_number("12", 0));
}

/* The inside of a string, part by part. */
static void assert_escaped(const char *text, size_t length, const char *wanted) {
	char all[256] = "";
	for (size_t at = 0; at < length;) {
		char part[JSON_PART_BYTES];
		size_t taken = json_take_part(text + at, length - at, part);
		assert_in_range(taken, 1, length - at);
		strcat(all, part);
		at += taken;
	}
	assert_string_equal(all, wanted);
}

#define ESCAPED(text, wanted) assert_escaped(text, sizeof text - 1, wanted)

static void strings_are_escaped(void **state) {
	(void)state;
	ESCAPED("", "");
	ESCAPED("a \"b\" c:\\d/", "a \\\"b\\\" c:\\\\d/");
	ESCAPED("\t\n\x01\x1f", "\\u0009\\u000a\\u0001\\u001f");
	ESCAPED("a\0b", "a\\u0000b");
}

/* JSON would let them pass. A terminal takes them for commands. */
static void other_control_characters_are_escaped(void **state) {
	(void)state;
	ESCAPED("a\x7f", "a\\u007f");
	ESCAPED("\xC2\x80\xC2\x9Bz\xC2\x9F", "\\u0080\\u009bz\\u009f");
	ESCAPED("\xC2\xA0", "\xC2\xA0");
}

static void utf8_passes_and_nothing_else_does(void **state) {
	(void)state;
	ESCAPED("caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80 \xF4\x8F\xBF\xBF",
			"caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80 \xF4\x8F\xBF\xBF");
	ESCAPED("\xED\x9F\xBF\xEE\x80\x80\xE0\xA0\x80\xF0\x90\x80\x80",
			"\xED\x9F\xBF\xEE\x80\x80\xE0\xA0\x80\xF0\x90\x80\x80");
	ESCAPED("\xFF", "\\ufffd");
	ESCAPED("\x80z", "\\ufffdz");
	ESCAPED("\xC3", "\\ufffd");                                  /* cut off */
	ESCAPED("\xE2\x82", "\\ufffd\\ufffd");                       /* cut off */
	ESCAPED("\xC3z", "\\ufffdz");                                /* the second byte is none */
	ESCAPED("\xE2\x82z", "\\ufffd\\ufffdz");                     /* the third is none */
	ESCAPED("\xC0\xAF", "\\ufffd\\ufffd");                       /* overlong */
	ESCAPED("\xE0\x9F\xBF", "\\ufffd\\ufffd\\ufffd");            /* overlong */
	ESCAPED("\xED\xA0\x80", "\\ufffd\\ufffd\\ufffd");            /* a surrogate */
	ESCAPED("\xF4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd"); /* beyond U+10FFFF */
	ESCAPED("\xF5\x80", "\\ufffd\\ufffd");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_those_that_no_reader_rounds),
		cmocka_unit_test(strings_are_escaped),
		cmocka_unit_test(other_control_characters_are_escaped),
		cmocka_unit_test(utf8_passes_and_nothing_else_does),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
