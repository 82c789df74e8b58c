/* ctl_latency.c: latency: how long each command took, from the server's buckets (base/latency.h). A quantile
 * is the upper end of the bucket that it lies in, so it is known to a factor of two; the most is exact. */
#include "ctl_command.h"
#include "units.h"

#include "base/number_text.h"
#include "plain.h"

#include <stdio.h>
#include <string.h>

#define WITHIN "within_"

/* Whether a field is a figure of that command: "get:within_4_us". */
static const char *figure_of(const struct field *field, const char *command, size_t length) {
	bool is_its = strncmp(field->name, command, length) == 0 && field->name[length] == ':';
	return is_its ? field->name + length + 1 : NULL;
}

static uint64_t figure(const struct reply *reply, const char *command, size_t length,
					   const char *name) {
	for (size_t i = 0; i < reply->field_count; i++) {
		const char *found = figure_of(&reply->fields[i], command, length);
		if (found != NULL && strcmp(found, name) == 0)
			return number_leading(reply->fields[i].value);
	}
	return 0;
}

/* The least bucket within which that share of them took; of more than the last one the most. */
static struct unit_text quantile(const struct reply *reply, const char *command, size_t length,
								 uint64_t count, uint64_t most_ns, double share) {
	double wanted = share * (double)count;
	for (size_t i = 0; i < reply->field_count; i++) {
		const char *found = figure_of(&reply->fields[i], command, length);
		if (found == NULL || strncmp(found, WITHIN, sizeof WITHIN - 1) != 0) continue;
		if ((double)number_leading(reply->fields[i].value) < wanted) continue;
		uint64_t bound_ns = 1000 * number_leading(found + sizeof WITHIN - 1);
		return duration_text(bound_ns < most_ns ? bound_ns : most_ns);
	}
	return duration_text(most_ns);
}

static void print_command(const struct reply *reply, const char *command, size_t length) {
	static const double shares[] = {.5, .99, .999};
	uint64_t count = figure(reply, command, length, "count"),
			 most_ns = figure(reply, command, length, "max_ns");
	if (count == 0) return;
	print_plain(stdout, command, length);
	printf("%*s %14s", length < 12 ? (int)(12 - length) : 0, "", count_text(count).text);
	for (size_t i = 0; i < sizeof shares / sizeof *shares; i++)
		printf(" %10s", quantile(reply, command, length, count, most_ns, shares[i]).text);
	printf(" %10s\n", duration_text(most_ns).text);
}

static void print_commands(const struct reply *reply) {
	const char *before = "";
	size_t before_length = 0;
	const char *sample = reply_value(reply, "sample");
	printf("%-12s %14s %10s %10s %10s %10s\n", "COMMAND", "MEASURED", "P50", "P99", "P99.9", "MAX");
	for (size_t i = 0; i < reply->field_count; i++) {
		const char *name = reply->fields[i].name;
		size_t length = strcspn(name, ":");
		bool is_new = length != before_length || strncmp(name, before, length) != 0;
		if (name[length] == ':' && is_new) print_command(reply, name, length);
		before = name;
		before_length = length;
	}
	if (sample == NULL) return;
	fputs("one command in ", stdout);
	print_plain(stdout, sample, strlen(sample));
	fputs(" is measured; P50 to P99.9 are known to a factor of two\n", stdout);
}

enum status run_latency(struct call *call) {
	char line[CALL_LINE_ROOM];
	return call_line(call, line) ? call_show(call, line, print_commands) : STATUS_USAGE;
}
