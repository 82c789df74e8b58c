/* show.c: see show.h. A name says what its value is: _bytes, _ns, fragmentation. */
#include "show.h"

#include "base/json_text.h"
#include "base/number_text.h"
#include "plain.h"
#include "units.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static bool ends(const char *text, const char *with) {
	size_t length = strlen(text), part = strlen(with);
	return length >= part && strcmp(text + length - part, with) == 0;
}

static bool is_number(const char *text) {
	return json_is_number(text, strlen(text));
}

/* A second since 1970 by this machine's clock; 0 is never. */
static struct unit_text date_text(uint64_t second) {
	struct unit_text out = {"never"};
	struct tm parts;
	time_t moment = (time_t)second;
	if (second > 0 && localtime_r(&moment, &parts) != NULL)
		(void)strftime(out.text, sizeof out.text, "%Y-%m-%d %H:%M:%S", &parts);
	return out;
}

/* A number, with its unit. */
static struct unit_text readable(const char *name, const char *value) {
	struct unit_text text;
	double share;
	if (*value != '-') {
		if (ends(name, "bytes")) return bytes_text(number_leading(value));
		if (ends(name, "_ns")) return duration_text(number_leading(value));
		if (ends(name, ":next_time") || ends(name, ":last_time") || ends(name, ":time"))
			return date_text(number_leading(value));
		bool is_share = strstr(name, "external_fragmentation") != NULL ||
						strstr(name, "internal_fragmentation") != NULL;
		if (is_share && parse_real(value, &share)) return share_text(share);
		bool is_name = ends(name, "time") || ends(name, "pid");
		if (!is_name && strchr(value, '.') == NULL && strlen(value) > 4 && strlen(value) < 16)
			return count_text(number_leading(value));
	}
	snprintf(text.text, sizeof text.text, "%s", value);
	return text;
}

/* What the numbers before a name's colons are, by the command that was asked. */
static const char *group_word(const char *command) {
	static const struct {
		const char *command, *word;
	} known[] = {{"snug metrics", "worker"}, {"snug check", "worker"},
				 {"snug map", "worker"},     {"snug schedules", "schedule"},
				 {"snug report", "request"}, {"stats conns", "connection"},
				 {"snug clients", "client"}, {"stats slabs", "pool"}};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strncmp(command, known[i].command, strlen(known[i].command)) == 0) return known[i].word;
	return NULL;
}

/* "3:small:" as "worker 3, small pool". */
static void show_heading(const char *command, const char *group, size_t length) {
	const char *word = group_word(command);
	size_t digits = strspn(group, "0123456789");
	if (word == NULL || digits == 0 || digits > length) {
		print_plain(stdout, group, length);
	} else {
		printf("%s %.*s", word, (int)digits, group);
		if (digits < length) {
			fputs(", ", stdout);
			print_plain(stdout, group + digits + 1, length - digits - 1);
			if (strcmp(word, "worker") == 0) fputs(" pool", stdout);
		}
	}
	putchar('\n');
}

/* How much of a name is its group: "3:small:" of "3:small:objects". */
static size_t group_length(const char *name) {
	const char *colon = strrchr(name, ':');
	return colon == NULL ? 0 : (size_t)(colon - name) + 1;
}

static size_t widest(const struct reply *reply) {
	size_t width = 0;
	for (size_t i = 0; i < reply->field_count; i++) {
		size_t length = strlen(reply->fields[i].name + group_length(reply->fields[i].name));
		if (length > width) width = length;
	}
	return width;
}

static void show_plain(const char *text) {
	print_plain(stdout, text, strlen(text));
}

static void show_field(const struct field *field, size_t group, size_t width) {
	const char *name = field->name + group;
	fputs(group > 0 ? "  " : "", stdout);
	show_plain(name);
	for (size_t i = strlen(name); i < width + 2; i++) putchar(' ');
	show_plain(is_number(field->value) ? readable(field->name, field->value).text : field->value);
	putchar('\n');
}

void show_table(const char *command, const struct reply *reply) {
	size_t width = widest(reply), group_before = 0;
	const char *before = "";
	for (size_t i = 0; i < reply->field_count; i++) {
		const struct field *field = &reply->fields[i];
		size_t group = group_length(field->name);
		if (group > 0 && (group != group_before || strncmp(field->name, before, group) != 0)) {
			if (i > 0) putchar('\n');
			show_heading(command, field->name, group - 1);
		}
		before = field->name;
		group_before = group;
		show_field(field, group, width);
	}
	for (size_t i = 0; i < reply->line_count; i++) {
		show_plain(reply->lines[i]);
		putchar('\n');
	}
}

void show_json_string(const char *text) {
	char part[JSON_PART_BYTES];
	putchar('"');
	for (size_t left = strlen(text), taken; left > 0; text += taken, left -= taken) {
		taken = json_take_part(text, left, part);
		fputs(part, stdout);
	}
	putchar('"');
}

void show_json_value(const char *text) {
	if (is_number(text))
		fputs(text, stdout);
	else
		show_json_string(text);
}

static void json_name(bool *has_begun, const char *name) {
	if (*has_begun) putchar(',');
	*has_begun = true;
	show_json_string(name);
	putchar(':');
}

/* "PREFIX name get 3 hit 1 ..": "name":{"get":3,"hit":1,..}. Its words are ended where they lie. The
 * name is empty where keys begin with the delimiter. */
static void json_prefix(bool *has_begun, char *words) {
	char *rest = words;
	const char *name = strsep(&rest, " ");
	bool has_figure = false;
	json_name(has_begun, name);
	putchar('{');
	while (rest != NULL && (name = strtok_r(NULL, " ", &rest)) != NULL) {
		const char *value = strtok_r(NULL, " ", &rest);
		json_name(&has_figure, name);
		show_json_value(value == NULL ? "" : value);
	}
	putchar('}');
}

/* Others are told as they are, but for the one that says that all was done. */
static bool is_figures(const char *line) {
	return strncmp(line, "PREFIX ", 7) == 0;
}

/* Under a name of their own: strangers choose theirs, such as "error". */
static void json_prefixes(bool *has_begun, const struct reply *reply) {
	bool has_prefix = false;
	for (size_t i = 0; i < reply->line_count; i++) {
		if (!is_figures(reply->lines[i])) continue;
		if (!has_prefix) {
			json_name(has_begun, "prefixes");
			putchar('{');
		}
		json_prefix(&has_prefix, reply->lines[i] + 7);
	}
	if (has_prefix) putchar('}');
}

static void json_lines(bool *has_begun, const struct reply *reply) {
	bool has_line = false;
	for (size_t i = 0; i < reply->line_count; i++) {
		const char *line = reply->lines[i];
		if (is_figures(line) || line == reply->error || strcmp(line, "OK") == 0) continue;
		if (has_line)
			putchar(',');
		else
			json_name(has_begun, "lines");
		if (!has_line) putchar('[');
		has_line = true;
		show_json_string(line);
	}
	if (has_line) putchar(']');
}

void show_json(const struct reply *reply) {
	bool has_begun = false;
	putchar('{');
	for (size_t i = 0; i < reply->field_count; i++) {
		json_name(&has_begun, reply->fields[i].name);
		show_json_value(reply->fields[i].value);
	}
	json_prefixes(&has_begun, reply);
	json_lines(&has_begun, reply);
	if (reply->error != NULL) {
		json_name(&has_begun, "error");
		show_json_string(reply->error);
	}
	puts("}");
}
