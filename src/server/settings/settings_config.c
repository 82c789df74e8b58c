/* server/settings/settings_config.c: the config file. A line is empty, a comment (#), or `long-name
 * = value`; a switch is on or off. What is wrong is told with file and line, in the words of the
 * command line; so is what is found only when all is read, since it does not fit with the rest.
 *
 *     # a cache for the web servers
 *     memory-limit = 4096
 *     listen       = 10.0.0.5
 *     daemon       = on
 *
 * A comment stands on a line of its own, and an option that is no list on one line alone: whoever
 * writes `threads = 4 # of 8`, or changes the first of two lines, means something else than he would
 * get.
 *
 * A line's value is set as the command line's is, so bounds and sentences are the same. What is
 * done rather than kept (help, another config file) stands on the command line alone. */
#include "server/settings/settings_table.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *trim(char *text) {
	while (isspace((unsigned char)*text)) text++;
	size_t length = strlen(text);
	while (length > 0 && isspace((unsigned char)text[length - 1])) length--;
	text[length] = '\0';
	return text;
}

struct source {
	const char *path;
	unsigned number; /* of the line, from 1 */
	/* where an option was given in this file, by its place in the table; 0: nowhere yet */
	unsigned given[SETTINGS_OPTION_COUNT];
};

static bool has_comment(const char *value) {
	for (const char *at = strchr(value, '#'); at != NULL; at = strchr(at + 1, '#'))
		if (at == value || isspace((unsigned char)at[-1])) return true;
	return false;
}

static bool set_once(struct settings_reader *reader, const struct settings_option *option,
					 const char *where, const char *value, struct source *source) {
	size_t index = (size_t)(option - settings_options);
	unsigned before = source->given[index];
	if (before != 0 && option->kind != KIND_LIST)
		return settings_refuse(reader, "%s: given in line %u already", where, before);
	source->given[index] = source->number;
	if (has_comment(value))
		return settings_refuse(reader, "%s: '%s': a comment (#) stands on a line of its own", where,
							   value);
	if (!settings_set(reader, option, where, value)) return false;
	reader->place[index] = (struct settings_place){source->path, before == 0 ? source->number : 0};
	return true;
}

static bool read_line(struct settings_reader *reader, const char *place, char *line,
					  struct source *source) {
	char *key = trim(line);
	if (*key == '\0' || *key == '#') return true;
	char *value = strchr(key, '=');
	if (value == NULL)
		return settings_refuse(reader, "%s: '%s' is not of the form name = value", place, key);
	*value++ = '\0';
	key = trim(key);
	value = trim(value);
	char where[512];
	(void)snprintf(where, sizeof where, "%s: %s", place, key);
	const struct settings_option *option = settings_find_name(key, strlen(key));
	if (option != NULL && settings_kept(option))
		return set_once(reader, option, where, value, source);
	if (option != NULL) return settings_refuse(reader, "%s: only on the command line", where);
	const struct settings_stranger *stranger = settings_find_stranger(0, key, strlen(key));
	if (stranger != NULL) return settings_meet_stranger(reader, stranger, where, value);
	return settings_refuse(reader, "%s: unknown option", where);
}

bool settings_read_config(struct settings_reader *reader, const char *path) {
	FILE *file = fopen(path, "re");
	if (file == NULL) return settings_refuse(reader, "--config: %s: %s", path, strerror(errno));
	memset(reader->listed, 0, sizeof reader->listed);
	char *line = NULL;
	size_t room = 0;
	bool is_fine = true;
	struct source source = {.path = path};
	for (ssize_t length; is_fine && (length = getline(&line, &room, file)) >= 0;) {
		char place[400];
		(void)snprintf(place, sizeof place, "%.380s:%u", path, ++source.number);
		/* What follows a NUL would be passed over. */
		is_fine = strlen(line) == (size_t)length
					  ? read_line(reader, place, line, &source)
					  : settings_refuse(reader, "%s: has a NUL byte; is it a text?", place);
	}
	if (is_fine && ferror(file))
		is_fine = settings_refuse(reader, "--config: %s: %s", path, strerror(errno));
	free(line);
	(void)fclose(file);
	return is_fine;
}
