/* base/log_line.c: one line on the stack, to the caller's function. No allocation, no lock, no
 * state. */
#include "base/log_line.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

void snug_log_line(const snug_log *log, snug_log_level level, const char *format, ...) {
	if (log->write == NULL || level > log->level) return;
	char line[SNUG_LOG_LINE_BYTES];
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(line, sizeof line, format, arguments);
	va_end(arguments);
	if (length >= 0) log->write(log->context, level, line);
}
