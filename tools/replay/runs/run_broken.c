/* run_broken.c: what went wrong in a job, the first time in words. */
#include "runs/runs.h"

#include <stdarg.h>
#include <stdio.h>

void run_broken(struct outcome *outcome, const char *format, ...) {
	outcome->broken_laws++;
	if (outcome->problem[0] != '\0') return;
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(outcome->problem, sizeof outcome->problem, format, arguments);
	va_end(arguments);
}
