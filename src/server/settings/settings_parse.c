/* server/settings/settings_parse.c: the command line, as getopt_long reads it: -m64, -m 64, -vv, -dv, --threads 2, --threads=2. It is gone through
 * twice: first for the config files that it names, then for everything else, so that what stands on the command line wins wherever
 * --config stands in it. */
#include "server/settings/settings_table.h"

#include <snug/version.h>
#include <stdio.h>
#include <string.h>

struct walk {
	struct settings_reader *reader;
	int count;
	char *const *arguments;
	int next;        /* the argument after the one being read */
	bool for_config; /* the first round */
};

static bool takes_value(const struct settings_option *option) {
	return option->kind != KIND_FLAG && option->kind != KIND_RISE && option->kind < KIND_HELP;
}

static bool tell(struct settings_reader *reader, enum settings_kind kind) {
	text_deinit(reader->text);
	if (kind == KIND_HELP) settings_help(reader->text);
	if (kind == KIND_MANUAL) settings_manual(reader->text);
	if (kind == KIND_VERSION) text_print(reader->text, "snugd %s\n", snug_version());
	reader->wish = SETTINGS_TELL;
	return false;
}

/* One more -v; as many as there are levels, and more do no harm, as with memcached. */
static bool rise(struct settings_reader *reader, const struct settings_option *option) {
	uint32_t *field = (uint32_t *)(void *)((char *)reader->settings + option->offset);
	if (*field < option->maximum) (*field)++;
	return true;
}

/* False ends the walk: refused, or there is something to tell. */
static bool apply(const struct walk *walk, const struct settings_option *option, const char *where, const char *value) {
	struct settings_reader *reader = walk->reader;
	if (walk->for_config != (option->kind == KIND_CONFIG)) return true;
	switch (option->kind) {
	case KIND_CONFIG:
		return settings_read_config(reader, value);
	case KIND_EXTENDED:
		return settings_read_extended(reader, where, value);
	case KIND_HELP:
	case KIND_MANUAL:
	case KIND_VERSION:
		return tell(reader, option->kind);
	case KIND_CHECK:
		reader->only_checks = true;
		return true;
	case KIND_RISE:
		return rise(reader, option);
	default:
		return settings_set(reader, option, where, value);
	}
}

/* The value: what is joined to the option, else the next argument. NULL: there is none. */
static const char *value_of(struct walk *walk, const char *joined) {
	if (joined != NULL) return joined;
	return walk->next < walk->count ? walk->arguments[walk->next++] : NULL;
}

static bool apply_stranger(struct walk *walk, const struct settings_stranger *stranger, const char *where,
						   const char *joined) {
	const char *value = stranger->only == NULL || stranger->refused ? joined : value_of(walk, joined);
	/* What is refused is so at once, since whether it has a value is not known here. */
	if (walk->for_config && !stranger->refused) return true;
	return settings_meet_stranger(walk->reader, stranger, where, value);
}

static bool read_long(struct walk *walk, const char *argument) {
	const char *name = argument + 2;
	size_t length = strcspn(name, "=");
	const char *joined = name[length] == '=' ? name + length + 1 : NULL;
	char where[128];
	(void)snprintf(where, sizeof where, "--%.*s", (int)(length < 100 ? length : 100), name);
	const struct settings_option *option = settings_find_name(name, length);
	if (option == NULL) {
		const struct settings_stranger *stranger = settings_find_stranger(0, name, length);
		if (stranger != NULL) return apply_stranger(walk, stranger, where, joined);
		return settings_refuse(walk->reader, "%s: unknown option", where);
	}
	if (!takes_value(option)) {
		if (joined != NULL && option->kind != KIND_FLAG)
			return settings_refuse(walk->reader, "%s: takes no value", where);
		return apply(walk, option, where, joined != NULL ? joined : "on");
	}
	const char *value = value_of(walk, joined);
	if (value == NULL) return settings_refuse(walk->reader, "%s: needs a value", where);
	return apply(walk, option, where, value);
}

/* Letters in one argument; one that takes a value takes the rest of it. */
static bool read_letters(struct walk *walk, const char *argument) {
	for (const char *at = argument + 1; *at != '\0'; at++) {
		const char where[] = {'-', *at, '\0'};
		const char *joined = at[1] != '\0' ? at + 1 : NULL;
		const struct settings_option *option = settings_find_letter(*at);
		const struct settings_stranger *stranger = option == NULL ? settings_find_stranger(*at, "", 0) : NULL;
		if (option == NULL && stranger == NULL) return settings_refuse(walk->reader, "%s: unknown option", where);
		if (stranger != NULL) {
			bool alone = stranger->only == NULL;
			if (!apply_stranger(walk, stranger, where, alone ? NULL : joined)) return false;
			if (!alone) return true;
			continue;
		}
		if (!takes_value(option)) {
			if (!apply(walk, option, where, "on")) return false;
			continue;
		}
		const char *value = value_of(walk, joined);
		if (value == NULL) return settings_refuse(walk->reader, "%s: needs a value", where);
		return apply(walk, option, where, value);
	}
	return true;
}

static bool read_round(struct walk *walk, bool for_config) {
	walk->for_config = for_config;
	memset(walk->reader->listed, 0, sizeof walk->reader->listed);
	walk->next = 1;
	while (walk->next < walk->count) {
		const char *argument = walk->arguments[walk->next++];
		if (argument[0] != '-' || argument[1] == '\0')
			return settings_refuse(walk->reader, "'%s': not an option", argument);
		if (!(argument[1] == '-' ? read_long(walk, argument) : read_letters(walk, argument))) return false;
	}
	return true;
}

/* -o NAME[=VALUE],...: memcached's extended options write _ where the long ones write -. */
bool settings_read_extended(struct settings_reader *reader, const char *where, const char *list) {
	for (const char *at = list;; at++) {
		size_t length = strcspn(at, ",");
		char entry[128];
		if (length == 0 || length >= sizeof entry)
			return settings_refuse(reader, "%s: '%s' is no list of NAME or NAME=VALUE", where, list);
		memcpy(entry, at, length);
		entry[length] = '\0';
		char *value = strchr(entry, '=');
		if (value != NULL) *value++ = '\0';
		char here[160];
		(void)snprintf(here, sizeof here, "%s %s", where, entry);
		const struct settings_stranger *stranger = settings_find_extended_stranger(entry, strlen(entry));
		if (stranger != NULL) {
			if (!settings_meet_stranger(reader, stranger, here, value)) return false;
		} else {
			for (char *c = entry; *c != '\0'; c++)
				if (*c == '_') *c = '-';
			const struct settings_option *option = settings_find_name(entry, strlen(entry));
			if (option == NULL || !settings_kept(option) || option->letter != 0)
				return settings_refuse(reader, "%s: not supported", here);
			if (value == NULL) return settings_refuse(reader, "%s: needs a value", here);
			if (!settings_set(reader, option, here, value)) return false;
		}
		at += length;
		if (*at == '\0') return true;
	}
}

enum settings_wish settings_parse(int argument_count, char *const *arguments, struct settings *out, struct text *text) {
	struct settings_reader reader;
	settings_begin(&reader, out, text);
	struct walk walk = {.reader = &reader, .count = argument_count, .arguments = arguments};
	if (!read_round(&walk, true) || !read_round(&walk, false) || !settings_settle(&reader)) return reader.wish;
	if (reader.only_checks) {
		settings_describe(out, text);
		reader.wish = SETTINGS_TELL;
	}
	return reader.wish;
}
