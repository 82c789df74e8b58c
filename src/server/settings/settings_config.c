/* server/settings/settings_config.c: the config file. A line is empty, a comment (#), or `long-name
 * = value`; a switch is on or off. What is wrong is told with file and line, in the words of the
 * command line.
 *
 *     # a cache for the web servers
 *     memory-limit = 4096
 *     listen       = 10.0.0.5
 *     daemon       = on
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

static bool read_line(struct settings_reader *reader, const char *place, char *line) {
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
	if (option != NULL && settings_kept(option)) return settings_set(reader, option, where, value);
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
	unsigned number = 0;
	bool is_fine = true;
	while (is_fine && getline(&line, &room, file) >= 0) {
		char place[400];
		(void)snprintf(place, sizeof place, "%.380s:%u", path, ++number);
		is_fine = read_line(reader, place, line);
	}
	if (is_fine && ferror(file))
		is_fine = settings_refuse(reader, "--config: %s: %s", path, strerror(errno));
	free(line);
	(void)fclose(file);
	return is_fine;
}
