/* ctl_keys.c: bigkeys, hotkeys and sizes: answers of groups, "largest:0:key", as tables of 80 columns.
 *
 * Keys are in the server's form: %XX for blanks, '%' and what is no ASCII. One that is too long for its column
 * is cut; --json has it whole. */
#include "base/number_text.h"
#include "ctl_command.h"
#include "plain.h"
#include "units.h"

#include <stdio.h>
#include <string.h>

#define NAME_COLUMNS 40u

/* ------------------------------------------------------------------ fields ----------------- */

static const char *value_of(const struct reply *reply, const char *group, size_t number,
							const char *name) {
	char field[64];
	(void)snprintf(field, sizeof field, "%s%zu:%s", group, number, name);
	return reply_value(reply, field);
}

static uint64_t number_of(const struct reply *reply, const char *group, size_t number,
						  const char *name) {
	const char *value = value_of(reply, group, number, name);
	return value == NULL ? 0 : number_leading(value);
}

static uint64_t figure(const struct reply *reply, const char *name) {
	const char *value = reply_value(reply, name);
	return value == NULL ? 0 : number_leading(value);
}

/* In a column: what is longer ends in "..". */
static void print_name(const char *name) {
	size_t length = strlen(name), shown = length <= NAME_COLUMNS ? length : NAME_COLUMNS - 2;
	fputs("  ", stdout);
	print_plain(stdout, name, shown);
	if (shown < length) fputs("..", stdout);
	for (size_t i = shown < length ? NAME_COLUMNS : length; i < NAME_COLUMNS; i++) putchar(' ');
}

/* ------------------------------------------------------------------ bigkeys ---------------- */

static void print_sum(const char *name, uint64_t items, uint64_t bytes, uint64_t all_bytes) {
	print_name(name);
	printf("%13s%12s%9s\n", count_text(items).text, bytes_text(bytes).text,
		   share_text(ratio(bytes, all_bytes)).text);
}

static void print_sum_head(const char *name) {
	printf("\n%-42s%13s%12s%9s\n", name, "items", "bytes", "share");
}

static void print_largest(const struct reply *reply) {
	const char *key;
	printf("%-42s%13s%18s\n", "the largest items", "bytes", "last used");
	for (size_t i = 0; (key = value_of(reply, "largest:", i, "key")) != NULL; i++) {
		print_name(key);
		printf("%13s%14s ago\n", bytes_text(number_of(reply, "largest:", i, "bytes")).text,
			   uptime_text(number_of(reply, "largest:", i, "idle_s")).text);
	}
}

/* Bytes are at least so many; a mark where it may be more. */
static void print_prefixes(const struct reply *reply) {
	const char *name;
	uint64_t all_bytes = figure(reply, "bytes");
	bool is_inexact = false;
	print_sum_head("prefixes of keys");
	for (size_t i = 0; (name = value_of(reply, "prefix:", i, "name")) != NULL; i++) {
		print_sum(name, number_of(reply, "prefix:", i, "items"),
				  number_of(reply, "prefix:", i, "bytes"), all_bytes);
		is_inexact |= number_of(reply, "prefix:", i, "error_bytes") > 0;
	}
	if (figure(reply, "others:items") > 0)
		print_sum("(others)", figure(reply, "others:items"), figure(reply, "others:bytes"),
				  all_bytes);
	if (figure(reply, "without:items") > 0)
		print_sum("(without a delimiter)", figure(reply, "without:items"),
				  figure(reply, "without:bytes"), all_bytes);
	if (is_inexact) puts("more prefixes than are counted apart: these have so much at least");
}

static void print_bigkeys(const struct reply *reply) {
	printf("%s items, %s\n\n", count_text(figure(reply, "items")).text,
		   bytes_text(figure(reply, "bytes")).text);
	print_largest(reply);
	print_prefixes(reply);
}

/* ------------------------------------------------------------------ sizes ------------------ */

/* "ttl:60:items" of the group "ttl:": 60. False: it is no step of it. */
static bool read_step(const char *field, const char *group, char step[24]) {
	size_t length = strlen(group);
	if (strncmp(field, group, length) != 0) return false;
	const char *end = strchr(field + length, ':');
	if (end == NULL || strcmp(end, ":items") != 0 || end - field - (ptrdiff_t)length > 23)
		return false;
	(void)snprintf(step, 24, "%.*s", (int)(end - field) - (int)length, field + length);
	return true;
}

/* "10 min": steps are round. */
static void name_time(uint64_t seconds, char name[48]) {
	static const struct {
		uint64_t seconds;
		const char *unit;
	} units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
	size_t i = 0;
	while (i < 3 && seconds % units[i].seconds != 0) i++;
	(void)snprintf(name, 48, "up to %llu %s", (unsigned long long)(seconds / units[i].seconds),
				   units[i].unit);
}

static void name_step(const char *group, const char *step, char name[48]) {
	uint64_t number = number_leading(step);
	if (strcmp(step, "never") == 0)
		(void)snprintf(name, 48, "never expires");
	else if (strcmp(step, "more") == 0)
		(void)snprintf(name, 48, "more");
	else if (strcmp(group, "size:") == 0)
		(void)snprintf(name, 48, "up to %s", bytes_text(number).text);
	else
		name_time(number, name);
}

static void print_steps(const struct reply *reply, const char *title, const char *group) {
	char step[24], name[48], field[64];
	print_sum_head(title);
	for (size_t i = 0; i < reply->field_count; i++) {
		if (!read_step(reply->fields[i].name, group, step)) continue;
		name_step(group, step, name);
		(void)snprintf(field, sizeof field, "%s%s:bytes", group, step);
		print_sum(name, number_leading(reply->fields[i].value), figure(reply, field),
				  figure(reply, "bytes"));
	}
}

static void print_sizes(const struct reply *reply) {
	printf("%s items, %s\n", count_text(figure(reply, "items")).text,
		   bytes_text(figure(reply, "bytes")).text);
	print_steps(reply, "size, with head and key", "size:");
	print_steps(reply, "time to live", "ttl:");
}

/* ------------------------------------------------------------------ hotkeys ---------------- */

static void print_hotkeys(const struct reply *reply) {
	const char *key;
	uint64_t all = figure(reply, "commands");
	if (all == 0) {
		puts("no command was looked at yet");
		return;
	}
	printf("of the last %s commands, about; 1 in %.0f is looked at\n\n", count_text(all).text,
		   ratio(all, figure(reply, "samples")));
	printf("%-42s%11s%8s%18s\n", "key", "commands", "share", "within");
	for (size_t i = 0; (key = value_of(reply, "", i, "key")) != NULL; i++) {
		uint64_t commands = number_of(reply, "", i, "commands");
		print_name(key);
		printf("%11s%8s%8s ..%7s\n", count_text(commands).text,
			   share_text(ratio(commands, all)).text,
			   share_text(ratio(number_of(reply, "", i, "least_commands"), all)).text,
			   share_text(ratio(number_of(reply, "", i, "most_commands"), all)).text);
	}
	printf("\n19 times out of 20 a share is within these, and a key that is not here has at\n"
		   "most %s\n",
		   share_text(ratio(figure(reply, "missing_commands"), all)).text);
}

/* ------------------------------------------------------------------ which ------------------ */

enum status run_bigkeys(struct call *call) {
	char line[CALL_LINE_ROOM];
	return call_line(call, line) ? call_show(call, line, print_bigkeys) : STATUS_USAGE;
}

enum status run_hotkeys(struct call *call) {
	char line[CALL_LINE_ROOM];
	return call_line(call, line) ? call_show(call, line, print_hotkeys) : STATUS_USAGE;
}

enum status run_sizes(struct call *call) {
	return call_show(call, "snug bigkeys 0", print_sizes);
}
