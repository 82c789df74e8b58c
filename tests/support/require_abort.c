/* require_abort.c: a failed requirement aborts, so that a fuzzer keeps the input that led to it. */
#include "require.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const char *current_note;

void require_note(const char *note) {
	current_note = note;
}

void require_failed(const char *file, int line, const char *format, ...) {
	va_list arguments;
	va_start(arguments, format);
	fprintf(stderr, "%s:%d: ", file, line);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, "\nat: %s\n", current_note != NULL ? current_note : "(no note)");
	abort();
}
