/* How a line is cut into words: base/line_text.h. */
#include "base/line_text.h"
#include "cmocka_all.h"

#include <string.h>

static void assert_words(const char *text, size_t count, const char *const *words) {
	struct line line;
	line_split(&line, text, strlen(text));
	assert_int_equal(line.count, count);
	for (size_t i = 0; i < count; i++)
		if (!word_is(line.word[i], words[i], strlen(words[i])))
			fail_msg("'%s': word %zu is not '%s'", text, i, words[i]);
}

#define WORDS(text, ...)                                                                  \
	assert_words(text, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *), \
				 (const char *const[]){__VA_ARGS__})

static void blanks_part_words(void **state) {
	(void)state;
	assert_words("", 0, NULL);
	assert_words("   ", 0, NULL);
	WORDS("get", "get");
	WORDS("  get  a ", "get", "a");
	WORDS("a\tb c\r", "a\tb", "c\r");
	WORDS("abc abcd abcde abcdef", "abc", "abcd", "abcde", "abcdef");
	WORDS("abcd", "abcd");
	WORDS("abcd ", "abcd");
	WORDS("abcdefghijkl mnopqrstuvwxyz", "abcdefghijkl", "mnopqrstuvwxyz");
}

static void the_last_word_holds_what_finds_no_room(void **state) {
	(void)state;
	char text[256] = "";
	struct line line;
	for (size_t i = 0; i < WORDS_MAX; i++) strcat(text, i == 0 ? "w" : " w");
	line_split(&line, text, strlen(text));
	assert_int_equal(line.count, WORDS_MAX);
	assert_true(WORD_IS(line.word[WORDS_MAX - 1], "w"));
	strcat(text, " x  y ");
	line_split(&line, text, strlen(text));
	assert_int_equal(line.count, WORDS_MAX);
	assert_true(WORD_IS(line.word[WORDS_MAX - 2], "w"));
	assert_true(WORD_IS(line.word[WORDS_MAX - 1], "w x  y "));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blanks_part_words),
		cmocka_unit_test(the_last_word_holds_what_finds_no_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
