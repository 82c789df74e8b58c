/* What is said of a wrong option: base/option_text.h. */
#include "base/option_text.h"
#include "cmocka_all.h"

#include <string.h>

static const struct option names[] = {
	{"port", required_argument, NULL, 'p'},
	{"json", no_argument, NULL, 'j'},
	{"timeout", required_argument, NULL, 256},
	{"quiet", no_argument, NULL, 257},
	{"quietly", no_argument, NULL, 258},
	{"maybe", optional_argument, NULL, 259},
	{NULL, 0, NULL, 0},
};

/* The sentence about the first mistake; "": there is none. */
static const char *explain(const char *letters, const char *line) {
	static char copy[256], out[OPTION_SENTENCE_BYTES];
	char *arguments[16] = {copy}, *rest = NULL;
	int count = 0, code;
	strcpy(copy, line);
	for (char *word = strtok_r(copy, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest))
		arguments[count++] = word;
	out[0] = '\0';
	optind = 0;
	while ((code = getopt_long(count, arguments, letters, names, NULL)) != -1) {
		if (code != ':' && code != '?') continue;
		option_explain(code, names, arguments, out);
		break;
	}
	return out;
}

static void each_mistake_has_its_sentence(void **state) {
	(void)state;
	static const struct {
		const char *line, *sentence;
	} cases[] = {
		{"x", ""},
		{"x --json -p 7 -jp7 --port=7 --time 3 --quietly --maybe --maybe=3 --quiet", ""},
		{"x -q", "-q: unknown option"},
		{"x -jq", "-q: unknown option"},
		{"x --json -qj", "-q: unknown option"},
		{"x --port=1 -qj", "-q: unknown option"},
		{"x -p", "-p: needs a value"},
		{"x -jp", "-p: needs a value"},
		{"x --port 7 -p", "-p: needs a value"},
		{"x --port", "--port: needs a value"},
		{"x --po", "--port: needs a value"},
		{"x --json=1", "--json: takes no value"},
		{"x --js=1", "--json: takes no value"},
		{"x --nothing", "--nothing: unknown option"},
		{"x --nothing=--json", "--nothing: unknown option"},
		{"x --=1", "--: unknown option"},
		{"x --qui", "--qui: could be --quiet, --quietly"},
		{"x --qui=1", "--qui: could be --quiet, --quietly"},
		{"x --quiets", "--quiets: unknown option"},
		{"x -- --nothing", ""},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *said = explain("+:p:j", cases[i].line);
		if (strcmp(said, cases[i].sentence) != 0) fail_msg("'%s': '%s'", cases[i].line, said);
	}
}

/* Words between the options, which getopt_long takes out of the way. */
static void words_between_do_not_mislead(void **state) {
	(void)state;
	assert_string_equal(explain(":p:j", "x top --json word -qj word"), "-q: unknown option");
	assert_string_equal(explain(":p:j", "x top --timeout"), "--timeout: needs a value");
	assert_string_equal(explain(":p:j", "x a b --json=1 c"), "--json: takes no value");
	assert_string_equal(explain(":p:j", "x a -j b --nothing c"), "--nothing: unknown option");
}

/* A hostile name is cut, and says so little. */
static void a_long_name_has_its_bound(void **state) {
	(void)state;
	char line[250];
	memset(line, 'a', sizeof line);
	memcpy(line, "x --", 4);
	line[sizeof line - 1] = '\0';
	const char *said = explain("+:", line);
	assert_true(strlen(said) < 130);
	assert_non_null(strstr(said, ": unknown option"));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_mistake_has_its_sentence),
		cmocka_unit_test(words_between_do_not_mislead),
		cmocka_unit_test(a_long_name_has_its_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
