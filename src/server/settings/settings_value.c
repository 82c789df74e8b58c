/* server/settings/settings_value.c: between a text and a field, by the option's kind. A value that
 * is refused is told with what would be right.
 *
 *     kind                          text                     field
 *     BYTES, MIB, KIB               "64", "64m", "1g"        bytes
 *     COUNT, RISE                   "4"                      a number
 *     PORT                          "11211", "0", "-1"       int32_t
 *     SECONDS                       "300", "5m", "12h"       a number of whole seconds
 *     OCTAL                         "770"                    a number
 *     PER_CENT                      "3", "0.25", "3%"        millionths
 *     FLAG, CHOICE                  one of the words         its place among them
 *     TEXT                          anything that fits       char[]
 *     LIST                          "a,b"                    entries; a later source that names any
 *                                                            replaces those of earlier ones
 *
 * How a number, a size and a share are written is base/number_text.h's. A field's width is the
 * table's, so each kind is read and bounded once, as 64 bits. */
#include "server/settings/settings_table.h"

#include "base/assert.h"
#include "base/number_text.h"

#include <string.h>

#define NUMBER_BYTES 8u /* of the widest field that is a number */

static void *field_of(struct settings *settings, const struct settings_option *option) {
	return (char *)settings + option->offset;
}

static uint64_t load_number(const struct settings *settings, const struct settings_option *option) {
	const void *field = (const char *)settings + option->offset;
	uint64_t value = 0;
	/* Little-endian: the low bytes come first, whatever the field's width. */
	SNUG_ASSERT(option->bytes <= NUMBER_BYTES);
	memcpy(&value, field, option->bytes);
	return value;
}

static void store_number(struct settings *settings, const struct settings_option *option,
						 uint64_t value) {
	SNUG_ASSERT(option->bytes <= NUMBER_BYTES);
	memcpy(field_of(settings, option), &value, option->bytes);
}

static bool read_octal(const char *text, uint64_t *out) {
	size_t length = strlen(text);
	uint64_t value;
	if (length == 0 || number_scan(text, length, 8, &value) != length) return false;
	*out = value;
	return true;
}

/* The number of `text` among "one|two|three". */
static bool read_word(const char *words, const char *text, uint64_t *out) {
	uint64_t index = 0;
	for (const char *word = words;; index++) {
		size_t length = strcspn(word, "|");
		if (strlen(text) == length && memcmp(word, text, length) == 0) {
			*out = index;
			return true;
		}
		if (word[length] == '\0') return false;
		word += length + 1;
	}
}

static bool read_port(const char *text, uint64_t *out) {
	uint64_t value = (uint32_t)SETTINGS_PORT_ANY;
	if (strcmp(text, "-1") != 0 && (!number_read(text, strlen(text), &value) || value > UINT16_MAX))
		return false;
	*out = value;
	return true;
}

/* A word, or its number where they have some. */
static bool read_choice(const struct settings_option *option, const char *text, uint64_t *out) {
	if (read_word(option->argument, text, out)) return true;
	if (option->minimum == 0 || !number_read(text, strlen(text), out)) return false;
	bool is_one = *out >= option->minimum && *out <= option->maximum;
	*out -= is_one ? option->minimum : 0;
	return is_one;
}

static bool read_value(const struct settings_option *option, const char *text, uint64_t *out) {
	size_t length = strlen(text);
	switch (option->kind) {
	case KIND_BYTES:
		return number_read_size(text, length, 1, out);
	case KIND_MIB:
		return number_read_size(text, length, NUMBER_MIB, out);
	case KIND_KIB:
		return number_read_size(text, length, NUMBER_KIB, out);
	case KIND_COUNT:
	case KIND_RISE:
		return number_read(text, length, out);
	case KIND_PORT:
		return read_port(text, out);
	case KIND_OCTAL:
		return read_octal(text, out);
	case KIND_PER_CENT:
		return number_read_share(text, length, out);
	case KIND_SECONDS:
		return number_read_seconds(text, length, out);
	case KIND_FLAG:
		return read_word("off|on", text, out);
	case KIND_CHOICE:
		return read_choice(option, text, out);
	default:
		return false;
	}
}

/* 1536 as "1536", 65536 as "64k". */
static void print_size(struct text *out, uint64_t bytes) {
	static const char *const suffixes[] = {"", "k", "m", "g"};
	unsigned unit = 0;
	while (unit < 3 && bytes >= 1024 && bytes % 1024 == 0) {
		bytes /= 1024;
		unit++;
	}
	text_print(out, "%llu%s", (unsigned long long)bytes, suffixes[unit]);
}

/* What would be right, after "is not ". */
static void print_expected(struct text *out, const struct settings_option *option) {
	unsigned long long minimum = option->minimum;
	unsigned long long maximum = option->maximum;
	switch (option->kind) {
	case KIND_BYTES:
	case KIND_MIB:
	case KIND_KIB:
		text_print(out, "a size from ");
		print_size(out, minimum);
		text_print(out, " to ");
		print_size(out, maximum);
		if (option->kind != KIND_BYTES)
			text_print(out, "; a number without k, m or g is %s",
					   option->kind == KIND_MIB ? "MiB" : "KiB");
		break;
	case KIND_PORT:
		text_print(out, "a port from 1 to %llu, 0 for none, or -1 for one that is free", maximum);
		break;
	case KIND_OCTAL:
		text_print(out, "an octal number from %llo to %llo", minimum, maximum);
		break;
	case KIND_PER_CENT:
		text_print(out, "a per cent value from %g to %g", (double)minimum / NUMBER_PPM_PER_CENT,
				   (double)maximum / NUMBER_PPM_PER_CENT);
		break;
	case KIND_SECONDS:
		text_print(out, "a time from %llu to %llu seconds; s, m, h and d may stand behind it",
				   minimum, maximum);
		break;
	case KIND_FLAG:
		text_print(out, "on or off");
		break;
	case KIND_CHOICE:
		text_print(out, "one of %s", option->argument);
		if (minimum > 0) text_print(out, ", or their number from %llu to %llu", minimum, maximum);
		break;
	default:
		text_print(out, "a number from %llu to %llu", minimum, maximum);
		break;
	}
}

static bool refuse_value(struct settings_reader *reader, const struct settings_option *option,
						 const char *where, const char *value) {
	struct text expected = {0};
	print_expected(&expected, option);
	(void)settings_refuse(reader, "%s: '%s' is not %.*s", where, value, (int)expected.length,
						  expected.bytes);
	text_deinit(&expected);
	return false;
}

static bool set_number(struct settings_reader *reader, const struct settings_option *option,
					   const char *where, const char *text) {
	uint64_t value;
	if (!read_value(option, text, &value)) return refuse_value(reader, option, where, text);
	bool has_bounds =
		option->kind != KIND_CHOICE && option->kind != KIND_FLAG && option->kind != KIND_PORT;
	if (has_bounds && (value < option->minimum || value > option->maximum))
		return refuse_value(reader, option, where, text);
	store_number(reader->settings, option, value);
	return true;
}

static bool set_text(struct settings_reader *reader, const struct settings_option *option,
					 const char *where, const char *text) {
	size_t length = strlen(text);
	if (length == 0) return settings_refuse(reader, "%s: is empty", where);
	if (length >= option->bytes)
		return settings_refuse(reader, "%s: '%s' is longer than %zu bytes", where, text,
							   option->bytes - 1);
	memcpy(field_of(reader->settings, option), text, length + 1);
	return true;
}

/* Entries with commas between them. */
static bool add_entries(struct settings_reader *reader, const struct settings_option *option,
						const char *where, const char *entries) {
	struct settings_list *list = field_of(reader->settings, option);
	bool *is_begun = &reader->listed[option - settings_options];
	if (!*is_begun) list->count = 0;
	*is_begun = true;
	for (const char *at = entries;; at++) {
		size_t length = strcspn(at, ",");
		if (length == 0)
			return settings_refuse(reader, "%s: '%s' has an empty entry", where, entries);
		if (length >= sizeof list->entry[0])
			return settings_refuse(reader, "%s: '%.*s' is longer than %zu bytes", where,
								   (int)length, at, sizeof list->entry[0] - 1);
		if (list->count == SETTINGS_LIST_MAX)
			return settings_refuse(reader, "%s: more than %u entries", where, SETTINGS_LIST_MAX);
		char *entry = list->entry[list->count++];
		memcpy(entry, at, length);
		entry[length] = '\0';
		at += length;
		if (*at == '\0') return true;
	}
}

static void show_entries(struct text *out, const struct settings_list *list) {
	for (uint32_t i = 0; i < list->count; i++)
		text_print(out, "%s%s", i > 0 ? "," : "", list->entry[i]);
	if (list->count == 0) text_print(out, "NULL");
}

bool settings_set(struct settings_reader *reader, const struct settings_option *option,
				  const char *where, const char *value) {
	bool is_set = option->kind == KIND_LIST   ? add_entries(reader, option, where, value)
				  : option->kind == KIND_TEXT ? set_text(reader, option, where, value)
											  : set_number(reader, option, where, value);
	if (is_set) reader->given[option - settings_options] = true;
	reader->place[option - settings_options] = (struct settings_place){0};
	return is_set;
}

static void show_word(struct text *out, const char *words, uint64_t index) {
	for (; index > 0; index--) words += strcspn(words, "|") + 1;
	text_append(out, words, strcspn(words, "|"));
}

void settings_show(const struct settings *settings, const struct settings_option *option,
				   struct text *out) {
	const char *field = (const char *)settings + option->offset;
	switch (option->kind) {
	case KIND_TEXT:
		text_print(out, "%s", field[0] == '\0' ? "NULL" : field); /* "NULL" as memcached says it */
		break;
	case KIND_LIST:
		show_entries(out, (const struct settings_list *)(const void *)field);
		break;
	case KIND_CHOICE:
	case KIND_FLAG:
		show_word(out, option->argument, load_number(settings, option));
		break;
	case KIND_PORT:
		text_print(out, "%d", (int)(int32_t)load_number(settings, option));
		break;
	case KIND_OCTAL:
		text_print(out, "%llo", (unsigned long long)load_number(settings, option));
		break;
	default:
		text_print(out, "%llu", (unsigned long long)load_number(settings, option));
		break;
	}
}

void settings_show_as_given(const struct settings *settings, const struct settings_option *option,
							struct text *out) {
	uint64_t number;
	switch (option->kind) {
	case KIND_FLAG:
		text_print(out, "%s", load_number(settings, option) != 0 ? "on" : "off");
		break;
	case KIND_BYTES:
	case KIND_MIB:
	case KIND_KIB:
		number = load_number(settings, option);
		print_size(out, number);
		if (option->kind != KIND_BYTES && number % 1024 != 0)
			text_print(out, "b"); /* bare it would be MiB, or KiB */
		break;
	case KIND_PER_CENT:
		text_print(out, "%g", (double)load_number(settings, option) / NUMBER_PPM_PER_CENT);
		break;
	default:
		settings_show(settings, option, out);
		break;
	}
}

bool settings_is_empty(const struct settings *settings, const struct settings_option *option) {
	const char *field = (const char *)settings + option->offset;
	if (option->kind == KIND_LIST)
		return ((const struct settings_list *)(const void *)field)->count == 0;
	return option->kind == KIND_TEXT && field[0] == '\0';
}
