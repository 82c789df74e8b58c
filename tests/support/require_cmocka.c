/* require_cmocka.c: a failed requirement ends the running cmocka test. */
#include "require.h"

#include "unit/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

static const char *current_note;

void require_note(const char *note) {
	current_note = note;
}

void require_failed(const char *file, int line, const char *format, ...) {
	char message[1024];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(message, sizeof message, format, arguments);
	va_end(arguments);
	print_error("%s:%d: %s\n", file, line, message);
	if (current_note != NULL) {
		print_error("at: %s\n", current_note);
	}
	if (getenv("SNUG_ABORT") != NULL) {
		abort(); /* so that a debugger stops here */
	}
	_fail(file, line);
	abort();
}
