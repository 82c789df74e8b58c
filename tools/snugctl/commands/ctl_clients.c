/* ctl_clients.c: clients: who is connected, a page of the server's after the other, as a table or as JSON:
 *
 *     {"clients":[{"id":34,"addr":"tcp:127.0.0.1:48568",..},..]}
 *
 * One client alone is told with all his figures; what closes some is an answer like any other. */
#include "ctl_command.h"
#include "show.h"
#include "units.h"

#include "base/number_text.h"
#include "plain.h"

#include <stdio.h>
#include <string.h>

#define ID_ROOM 24u

/* Shown as a column; the rest is in JSON. */
enum column {
	COLUMN_ADDRESS,
	COLUMN_USER,
	COLUMN_AGE,
	COLUMN_IDLE,
	COLUMN_HELD,
	COLUMN_LAST,
	COLUMNS
};

static const struct {
	const char *title;
	const char *figure; /* of the server's */
	int width;          /* below 0: on the left */
} columns[COLUMNS] = {
	[COLUMN_ADDRESS] = {"ADDRESS", "addr", -25}, [COLUMN_USER] = {"USER", "user", -10},
	[COLUMN_AGE] = {"AGE", "age_s", 5},          [COLUMN_IDLE] = {"IDLE", "idle_s", 5},
	[COLUMN_HELD] = {"HELD", "held_bytes", 10},  [COLUMN_LAST] = {"LAST", "last_command", -10},
};

/* "17s", "5m", "3h", "12d" */
static struct unit_text short_time(uint64_t seconds) {
	struct unit_text out;
	const char *unit = "s";
	if (seconds >= UINT64_C(2) * 86400)
		seconds /= 86400, unit = "d";
	else if (seconds >= UINT64_C(2) * 3600)
		seconds /= 3600, unit = "h";
	else if (seconds >= 120)
		seconds /= 60, unit = "m";
	(void)snprintf(out.text, sizeof out.text, "%llu%s", (unsigned long long)seconds, unit);
	return out;
}

static void print_padded(const char *text, int width) {
	size_t wide = (size_t)(width < 0 ? -width : width), length = strlen(text);
	if (width > 0) printf("%*s", length < wide ? (int)(wide - length) : 0, "");
	print_plain(stdout, text, length);
	if (width < 0) printf("%*s", length < wide ? (int)(wide - length) : 0, "");
}

static void print_cell(enum column column, const char *value) {
	struct unit_text text;
	if (column == COLUMN_AGE || column == COLUMN_IDLE) {
		text = short_time(number_leading(value));
		value = text.text;
	} else if (column == COLUMN_HELD) {
		text = bytes_text(number_leading(value));
		value = text.text;
	}
	putchar(' ');
	print_padded(value, column == COLUMN_LAST ? 0 : columns[column].width);
}

static void print_titles(void) {
	print_padded("ID", -8);
	for (size_t i = 0; i < COLUMNS; i++) {
		putchar(' ');
		print_padded(columns[i].title, i == COLUMN_LAST ? 0 : columns[i].width);
	}
	putchar('\n');
}

/* The fields from `begin` on that begin as it does: those of one client. Tells where the next one's begin. */
static size_t client_end(const struct reply *reply, size_t begin) {
	const char *name = reply->fields[begin].name, *colon = strchr(name, ':');
	size_t length = (size_t)(colon - name) + 1, end = begin;
	while (end < reply->field_count && strncmp(reply->fields[end].name, name, length) == 0) end++;
	return end;
}

static void print_row(const struct field *fields, size_t count) {
	const char *value[COLUMNS] = {"", "", "", "", "", ""};
	for (size_t i = 0; i < count; i++)
		for (size_t column = 0; column < COLUMNS; column++)
			if (strcmp(strchr(fields[i].name, ':') + 1, columns[column].figure) == 0)
				value[column] = fields[i].value;
	char id[ID_ROOM];
	(void)snprintf(id, sizeof id, "%.*s", (int)strcspn(fields->name, ":"), fields->name);
	print_padded(id, -8);
	for (size_t column = 0; column < COLUMNS; column++)
		print_cell((enum column)column, value[column]);
	putchar('\n');
}

static void print_object(const struct field *fields, size_t count, bool is_first) {
	printf("%s{\"id\":%.*s", is_first ? "" : ",", (int)strcspn(fields->name, ":"), fields->name);
	for (size_t i = 0; i < count; i++) {
		putchar(',');
		show_json_string(strchr(fields[i].name, ':') + 1);
		putchar(':');
		show_json_value(fields[i].value);
	}
	putchar('}');
}

static void print_page(const struct reply *reply, bool json, bool *has_begun) {
	for (size_t begin = 0, end; begin < reply->field_count; begin = end) {
		end = begin + 1;
		if (strchr(reply->fields[begin].name, ':') == NULL) continue;
		end = client_end(reply, begin);
		if (json)
			print_object(&reply->fields[begin], end - begin, !*has_begun);
		else
			print_row(&reply->fields[begin], end - begin);
		*has_begun = true;
	}
}

/* Of the line without the page that it asks for, if it does. */
static int which_length(const char *line) {
	const char *last = strrchr(line, ' ');
	bool asks = last != NULL && last - line > 6 && memcmp(last - 6, " after", 6) == 0;
	return (int)(asks ? (size_t)(last - 6 - line) : strlen(line));
}

/* Of the page that follows. False: that was the last one. */
static bool next_page(const struct reply *reply, const char *first, char line[CALL_LINE_ROOM]) {
	const char *next = reply_value(reply, "next");
	if (next == NULL) return false;
	int length = snprintf(line, CALL_LINE_ROOM, "%.*s after %s", which_length(first), first, next);
	return length > 0 && (size_t)length < CALL_LINE_ROOM;
}

static void print_head(bool json) {
	if (json)
		fputs("{\"clients\":[", stdout);
	else
		print_titles();
}

static enum status list(struct call *call, const char *first) {
	char line[CALL_LINE_ROOM];
	struct reply reply;
	bool has_begun = false, goes_on = true, has_head = false, json = call->options->json;
	(void)snprintf(line, sizeof line, "%s", first);
	while (goes_on && call_ask(call, line, &reply)) {
		if (call_is_refused(call, &reply)) {
			reply_free(&reply);
			return STATUS_REFUSED;
		}
		if (!has_head) print_head(json);
		has_head = true;
		print_page(&reply, json, &has_begun);
		goes_on = next_page(&reply, first, line);
		reply_free(&reply);
	}
	if (json && has_head) puts("]}");
	return goes_on ? STATUS_UNREACHABLE : STATUS_DONE;
}

enum status run_clients(struct call *call) {
	char line[CALL_LINE_ROOM];
	uint64_t id;
	bool is_kill = call->count > 1 && strcmp(call->words[1], "kill") == 0;
	bool is_one = call->count == 2 && number_read(call->words[1], strlen(call->words[1]), &id);
	if (is_kill || (is_one && !call->options->json)) return run_ask(call);
	return call_line(call, line) ? list(call, line) : STATUS_USAGE;
}
