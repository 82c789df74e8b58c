/* ctl_slow.c: slow: the slowest commands as a table, slowest first. */
#include "ctl_command.h"
#include "units.h"

#include "base/number_text.h"
#include "plain.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *value(const struct reply *reply, unsigned number, const char *name) {
	char whole[64];
	(void)snprintf(whole, sizeof whole, "%u:%s", number, name);
	const char *found = reply_value(reply, whole);
	return found != NULL ? found : "";
}

static struct unit_text clock_text(const char *seconds) {
	struct unit_text out = {"?"};
	struct tm parts;
	time_t moment = (time_t)number_leading(seconds);
	if (localtime_r(&moment, &parts) != NULL)
		(void)strftime(out.text, sizeof out.text, "%H:%M:%S", &parts);
	return out;
}

static void print_text(const char *text, int width) {
	size_t length = strlen(text);
	print_plain(stdout, text, length);
	printf("%*s ", length < (size_t)width ? width - (int)length : 0, "");
}

static void print_row(const struct reply *reply, unsigned number) {
	printf("%9s ", duration_text(number_leading(value(reply, number, "took_ns"))).text);
	print_text(value(reply, number, "command"), 7);
	printf("%10s ", bytes_text(number_leading(value(reply, number, "bytes"))).text);
	print_text(clock_text(value(reply, number, "time")).text, 8);
	print_text(value(reply, number, "addr"), 21);
	const char *key = value(reply, number, "key");
	print_plain(stdout, key, strlen(key));
	putchar('\n');
}

static void print_table(const struct reply *reply) {
	printf("%9s %-7s %10s %-8s %-21s %s\n", "TOOK", "COMMAND", "BYTES", "WHEN", "CLIENT", "KEY");
	for (unsigned number = 1; *value(reply, number, "command") != '\0'; number++)
		print_row(reply, number);
	fputs("1 command in ", stdout);
	print_text(reply_value(reply, "sample") != NULL ? reply_value(reply, "sample") : "?", 0);
	fputs("is measured; these are the slowest of them\n", stdout);
}

enum status run_slow(struct call *call) {
	char line[CALL_LINE_ROOM];
	return call_line(call, line) ? call_show(call, line, print_table) : STATUS_USAGE;
}
