/* server/settings/settings_parse.c: the command line, as memcached reads it, by getopt_long: -m64,
 * -m 64, -vv, -dv, --threads 2, --threads=2, --thr=2.
 *
 * It is gone through twice: first for the config files that it names, then for everything else, so
 * that what stands on the command line wins wherever --config stands in it.
 *
 * What getopt_long is given comes from the tables: a letter names its option by itself, a long name
 * by its place, behind all letters.
 *
 *     0 ... 255               letters
 *     OPTION_BASE + index     settings_options
 *     STRANGER_BASE + index   settings_strangers, which are memcached's
 *
 * getopt_long prints nothing: what is wrong is told in the sentences of all other mistakes. It
 * keeps its place in variables of the process, so one thread reads command lines, the main one. */
#include "server/settings/settings_table.h"

#include "base/assert.h"
#include "base/option_text.h"

#include <snug/version.h>
#include <stdio.h>
#include <string.h>

#define OPTION_BASE 256
#define STRANGER_BASE (OPTION_BASE + (int)SETTINGS_OPTION_COUNT)
#define NAMED_COUNT ((size_t)SETTINGS_OPTION_COUNT + SETTINGS_STRANGER_COUNT)
#define WHERE_BYTES 128u
#define EXTENDED_BYTES 400u /* of a name and its value */

/* One of the two, or neither. */
struct found {
	const struct settings_option *option;
	const struct settings_stranger *stranger;
};

struct walk {
	struct settings_reader *reader;
	int count;
	char *const *arguments;
	struct option names[NAMED_COUNT + 1]; /* the last is empty */
	char letters[2 + 2 * NAMED_COUNT + 1];
	bool for_config; /* the first round */
};

/* ------------------------------------------------------------------ what there is ---------- */

static bool takes_value(const struct settings_option *option) {
	return option->kind != KIND_FLAG && option->kind != KIND_RISE && option->kind < KIND_HELP;
}

/* What is refused is so at once, since whether it has a value is not known here. */
static bool stranger_takes_value(const struct settings_stranger *stranger) {
	return !stranger->refused && stranger->only != SETTINGS_NO_VALUE;
}

static void add_letter(struct walk *walk, char letter, bool has_value) {
	size_t length = strlen(walk->letters);
	if (letter == 0) return;
	walk->letters[length] = letter;
	if (has_value) walk->letters[length + 1] = ':';
}

/* A long name that needs no value may have one all the same: a switch takes on or off, the others
 * say that they take none. */
static void list_names(struct walk *walk) {
	struct option *name = walk->names;
	strcpy(walk->letters, "+:"); /* stops at what is no option, and tells a missing value apart */
	for (int i = 0; i < (int)SETTINGS_OPTION_COUNT; i++) {
		const struct settings_option *option = &settings_options[i];
		*name++ = (struct option){option->name,
								  takes_value(option) ? required_argument : optional_argument, NULL,
								  OPTION_BASE + i};
		add_letter(walk, option->letter, takes_value(option));
	}
	for (int i = 0; i < (int)SETTINGS_STRANGER_COUNT; i++) {
		const struct settings_stranger *stranger = &settings_strangers[i];
		bool has_value = stranger_takes_value(stranger);
		*name++ = (struct option){stranger->name, has_value ? required_argument : optional_argument,
								  NULL, STRANGER_BASE + i};
		add_letter(walk, stranger->letter, has_value);
	}
	SNUG_ASSERT(name == walk->names + NAMED_COUNT);
}

/* `where` is as what was written, without abbreviation: "-t", "--threads". */
static struct found find(int code, char where[WHERE_BYTES]) {
	struct found found = {NULL, NULL};
	if (code >= STRANGER_BASE)
		found.stranger = &settings_strangers[code - STRANGER_BASE];
	else if (code >= OPTION_BASE)
		found.option = &settings_options[code - OPTION_BASE];
	else
		found.option = settings_find_letter((char)code);
	if (code < OPTION_BASE) {
		if (found.option == NULL) found.stranger = settings_find_stranger((char)code, "", 0);
		(void)snprintf(where, WHERE_BYTES, "-%c", code);
	} else {
		(void)snprintf(where, WHERE_BYTES, "--%s",
					   found.option != NULL ? found.option->name : found.stranger->name);
	}
	return found;
}

/* ------------------------------------------------------------------ what it does ----------- */

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

/* -o NAME[=VALUE],...: memcached's extended options write _ where the long ones write -. */
static bool read_extended(struct settings_reader *reader, const char *where, const char *list) {
	for (const char *at = list;; at++) {
		size_t length = strcspn(at, ",");
		char entry[EXTENDED_BYTES];
		if (length == 0 || length >= sizeof entry)
			return settings_refuse(reader, "%s: '%s' is no list of NAME or NAME=VALUE", where,
								   list);
		memcpy(entry, at, length);
		entry[length] = '\0';
		char *value = strchr(entry, '=');
		if (value != NULL) *value++ = '\0';
		char here[WHERE_BYTES + sizeof entry];
		(void)snprintf(here, sizeof here, "%s %s", where, entry);
		const struct settings_stranger *stranger =
			settings_find_extended_stranger(entry, strlen(entry));
		if (stranger != NULL) {
			if (!settings_meet_stranger(reader, stranger, here, value)) return false;
		} else {
			for (char *c = entry; *c != '\0'; c++)
				if (*c == '_') *c = '-';
			const struct settings_option *option = settings_find_name(entry, strlen(entry));
			if (option == NULL || !settings_kept(option) || option->letter != 0)
				return settings_refuse(reader, "%s: not supported", here);
			bool is_switch = option->kind == KIND_FLAG && value == NULL;
			if (value == NULL && !is_switch)
				return settings_refuse(reader, "%s: needs a value", here);
			if (!settings_set(reader, option, here, is_switch ? "on" : value)) return false;
		}
		at += length;
		if (*at == '\0') return true;
	}
}

/* False ends the walk: refused, or there is something to tell. */
static bool apply(const struct walk *walk, const struct settings_option *option, const char *where,
				  const char *value) {
	struct settings_reader *reader = walk->reader;
	if (walk->for_config != (option->kind == KIND_CONFIG)) return true;
	if (!takes_value(option) && option->kind != KIND_FLAG && value != NULL)
		return settings_refuse(reader, "%s: takes no value", where);
	switch (option->kind) {
	case KIND_CONFIG:
		return settings_read_config(reader, value);
	case KIND_EXTENDED:
		return read_extended(reader, where, value);
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
		return settings_set(reader, option, where, value != NULL ? value : "on");
	}
}

static bool apply_stranger(const struct walk *walk, const struct settings_stranger *stranger,
						   const char *where, const char *value) {
	if (walk->for_config && !stranger->refused) return true;
	return settings_meet_stranger(walk->reader, stranger, where, value);
}

/* ------------------------------------------------------------------ the command line ------- */

static bool refuse(const struct walk *walk, int code) {
	char sentence[OPTION_SENTENCE_BYTES];
	option_explain(code, walk->names, walk->arguments, sentence);
	return settings_refuse(walk->reader, "%s", sentence);
}

static bool read_round(struct walk *walk, bool for_config) {
	walk->for_config = for_config;
	memset(walk->reader->listed, 0, sizeof walk->reader->listed);
	optind = 0; /* begins anew */
	for (int code; (code = getopt_long(walk->count, walk->arguments, walk->letters, walk->names,
									   NULL)) != -1;) {
		char where[WHERE_BYTES];
		if (code == ':' || code == '?') return refuse(walk, code);
		struct found found = find(code, where);
		bool is_fine = found.option != NULL ? apply(walk, found.option, where, optarg)
											: apply_stranger(walk, found.stranger, where, optarg);
		if (!is_fine) return false;
	}
	if (optind < walk->count)
		return settings_refuse(walk->reader, "'%s': not an option", walk->arguments[optind]);
	return true;
}

enum settings_wish settings_parse(int argument_count, char *const *arguments, struct settings *out,
								  struct text *text) {
	struct settings_reader reader;
	settings_begin(&reader, out, text);
	struct walk walk = {.reader = &reader, .count = argument_count, .arguments = arguments};
	list_names(&walk);
	if (!read_round(&walk, true) || !read_round(&walk, false) || !settings_settle(&reader))
		return reader.wish;
	if (reader.only_checks) {
		settings_describe(out, text);
		reader.wish = SETTINGS_CHECK;
	}
	return reader.wish;
}
