/* server/settings/settings_table.c: the table as data: an option by its name or letter, what
 * memcached has besides, and how a refusal is told. The lowest file of this room.
 *
 * The tables are walked from their beginning. They are read at the start and at a reload, so
 * nothing faster is worth its lines.
 *
 * STRANGERS are options that memcached has and snugd has not. `only` says which values are taken:
 *
 *     NO_VALUE   none may be given       "a|b"   one of these; a name or word ending in * is open
 *     ANY_VALUE  one must be             MAYBE   with one or without
 *
 * A refusal takes back the notes that were made before it: what is read then is one sentence. */
#include "server/settings/settings_table.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct settings_option settings_options[SETTINGS_OPTION_COUNT] = {
#define OPTION_ROW(group, letter, name, kind, field, preset, minimum, maximum, argument, \
				   statistic, help)                                                      \
	{GROUP_##group, letter,  name,     KIND_##kind, field, preset,                       \
	 minimum,       maximum, argument, statistic,   help},
	SETTINGS_TABLE(OPTION_ROW)
#undef OPTION_ROW
};

const struct settings_stranger settings_strangers[SETTINGS_STRANGER_COUNT] = {
#define NEEDLESS_ROW(letter, name, only, why) {letter, name, only, why, false},
#define REFUSED_ROW(letter, name, why) {letter, name, SETTINGS_ANY_VALUE, why, true},
	SETTINGS_NEEDLESS(NEEDLESS_ROW) SETTINGS_REFUSED(REFUSED_ROW)
#undef REFUSED_ROW
#undef NEEDLESS_ROW
};

static const struct settings_stranger extended_strangers[] = {
#define EXTENDED_ROW(name, only, why) {0, name, only, why, false},
#define REFUSED_ROW(names, why) {0, names, SETTINGS_ANY_VALUE, why, true},
	SETTINGS_NEEDLESS_EXTENDED(EXTENDED_ROW) SETTINGS_REFUSED_EXTENDED(REFUSED_ROW)
#undef REFUSED_ROW
#undef EXTENDED_ROW
};

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static bool is_name(const char *name, const char *text, size_t length) {
	return strlen(name) == length && memcmp(name, text, length) == 0;
}

/* Among "one|two|three_*". */
static bool is_among(const char *words, const char *text, size_t length) {
	for (const char *word = words;; word++) {
		size_t word_bytes = strcspn(word, "|");
		bool is_open = word_bytes > 0 && word[word_bytes - 1] == '*';
		size_t compared = is_open ? word_bytes - 1 : word_bytes;
		if ((is_open ? length > compared : length == compared) && memcmp(word, text, compared) == 0)
			return true;
		word += word_bytes;
		if (*word == '\0') return false;
	}
}

const struct settings_option *settings_find_name(const char *name, size_t length) {
	for (size_t i = 0; i < SETTINGS_OPTION_COUNT; i++)
		if (is_name(settings_options[i].name, name, length)) return &settings_options[i];
	return NULL;
}

const struct settings_option *settings_find_letter(char letter) {
	for (size_t i = 0; i < SETTINGS_OPTION_COUNT; i++)
		if (settings_options[i].letter == letter && letter != 0) return &settings_options[i];
	return NULL;
}

const struct settings_stranger *settings_find_stranger(char letter, const char *name,
													   size_t length) {
	for (size_t i = 0; i < SETTINGS_STRANGER_COUNT; i++) {
		const struct settings_stranger *stranger = &settings_strangers[i];
		if (letter != 0 ? stranger->letter == letter : is_name(stranger->name, name, length))
			return stranger;
	}
	return NULL;
}

const struct settings_stranger *settings_find_extended_stranger(const char *name, size_t length) {
	for (size_t i = 0; i < COUNT_OF(extended_strangers); i++)
		if (is_among(extended_strangers[i].name, name, length)) return &extended_strangers[i];
	return NULL;
}

bool settings_refuse(struct settings_reader *reader, const char *format, ...) {
	char sentence[1024];
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(sentence, sizeof sentence, format, arguments);
	va_end(arguments);
	text_deinit(reader->text);
	text_print(reader->text, "%s", sentence);
	reader->wish = SETTINGS_REFUSE;
	return false;
}

bool settings_meet_stranger(struct settings_reader *reader,
							const struct settings_stranger *stranger, const char *where,
							const char *value) {
	if (stranger->refused)
		return settings_refuse(reader, "%s: not supported: %s", where, stranger->why);
	const char *only = stranger->only;
	bool is_free = only != NULL && (strcmp(only, SETTINGS_ANY_VALUE) == 0 ||
									strcmp(only, SETTINGS_MAYBE_VALUE) == 0);
	bool may_lack = only == SETTINGS_NO_VALUE || strcmp(only, SETTINGS_MAYBE_VALUE) == 0;
	if (only == SETTINGS_NO_VALUE && value != NULL)
		return settings_refuse(reader, "%s: takes no value", where);
	if (!may_lack && value == NULL) return settings_refuse(reader, "%s: needs a value", where);
	if (value != NULL && !is_free && !is_among(only, value, strlen(value)))
		return settings_refuse(reader, "%s: '%s' is not supported, only '%s': %s", where, value,
							   only, stranger->why);
	text_print(reader->text, "%s has no effect: %s\n", where, stranger->why);
	return true;
}
