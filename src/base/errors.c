/* base/errors.c: the texts and names of snug/error.h's table.
 *
 * SNUG_ERRORS is the one list: the enum, these two functions, the documentation's table and the
 * tests come from it. Both switches are over the enum without a default, so a compiler warns if one
 * leaves an error out. A number that is none has a text too: who prints an error must not have to
 * check it first. */
#include <snug/error.h>

const char *snug_error_text(snug_error error) {
	switch (error) {
#define ERROR_TEXT(symbol, text) \
	case symbol:                 \
		return text;
		SNUG_ERRORS(ERROR_TEXT)
#undef ERROR_TEXT
	case SNUG_ERROR_COUNT:
		break;
	}
	return "unknown error";
}

const char *snug_error_name(snug_error error) {
	switch (error) {
#define ERROR_NAME(symbol, text) \
	case symbol:                 \
		return #symbol;
		SNUG_ERRORS(ERROR_NAME)
#undef ERROR_NAME
	case SNUG_ERROR_COUNT:
		break;
	}
	return "SNUG_ERROR_UNKNOWN";
}
