/* base/option_text.c: see option_text.h. What getopt_long leaves behind: `optopt` is the letter, or
 * the number of a long name that is known; 0 stands for a long name that is not, or not clear. The
 * argument with the long name is the one before `optind`. For a letter that may be an earlier one,
 * since `optind` stays while letters are left: so an argument is only believed if it holds the
 * name. */
#include "base/option_text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool begins(const struct option *name, const char *text, size_t length) {
	return strncmp(name->name, text, length) == 0;
}

/* The beginning of several names, or of none. */
static void explain_name(const struct option *names, const char *text, size_t length,
						 char out[OPTION_SENTENCE_BYTES]) {
	const char *before = "could be";
	int used =
		snprintf(out, OPTION_SENTENCE_BYTES, "--%.*s: ", (int)(length < 100 ? length : 100), text);
	size_t beginning = (size_t)used;
	for (const struct option *name = names; length > 0 && name->name != NULL; name++) {
		if (!begins(name, text, length) || (size_t)used >= OPTION_SENTENCE_BYTES) continue;
		used += snprintf(out + used, OPTION_SENTENCE_BYTES - (size_t)used, "%s --%s", before,
						 name->name);
		before = ",";
	}
	if ((size_t)used == beginning)
		(void)snprintf(out + used, OPTION_SENTENCE_BYTES - beginning, "unknown option");
}

static const struct option *find_number(const struct option *names, int number) {
	for (; names->name != NULL; names++)
		if (names->val == number) return names;
	return NULL;
}

void option_explain(int code, const struct option *names, char *const *arguments,
					char out[OPTION_SENTENCE_BYTES]) {
	/* musl has gone beyond the end when the value of the last letter is missing. */
	const char *argument =
		arguments[optind - 1] != NULL ? arguments[optind - 1] : arguments[optind - 2];
	bool is_long = strncmp(argument, "--", 2) == 0;
	const char *text = is_long ? argument + 2 : argument;
	size_t length = strcspn(text, "=");
	const struct option *name = is_long && optopt != 0 ? find_number(names, optopt) : NULL;
	if (is_long && optopt == 0)
		explain_name(names, text, length, out);
	else if (name != NULL && begins(name, text, length))
		(void)snprintf(out, OPTION_SENTENCE_BYTES, "--%s: %s", name->name,
					   code == ':' ? "needs a value" : "takes no value");
	else
		(void)snprintf(out, OPTION_SENTENCE_BYTES, "-%c: %s", optopt,
					   code == ':' ? "needs a value" : "unknown option");
}
