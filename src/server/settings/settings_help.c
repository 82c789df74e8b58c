/* server/settings/settings_help.c: --help, from the table: options by group, in 80 columns, then
 * what memcached has besides; and --check-config, every setting as a config file would say it.
 *
 *     |  -t, --threads=NUMBER        |worker threads, each with its own connections and items; ..|
 *     0                              HELP_COLUMN                                        HELP_WIDTH
 *
 * An option whose head is too long for its column has its explanation in the next line. */
#include "server/settings/settings_table.h"

#include <stdio.h>
#include <string.h>

#define HELP_COLUMN 31 /* where explanations begin */
#define HELP_WIDTH 79

/* Appends words, from `column` on, broken before HELP_WIDTH and indented to HELP_COLUMN. */
static void print_wrapped(struct text *out, const char *words, size_t column) {
	bool is_first = true;
	while (*words != '\0') {
		size_t length = strcspn(words, " ");
		if (!is_first && column + 1 + length > HELP_WIDTH) {
			text_print(out, "\n%*s", HELP_COLUMN, "");
			column = HELP_COLUMN;
		} else if (!is_first) {
			text_print(out, " ");
			column++;
		}
		text_append(out, words, length);
		column += length;
		words += length + (words[length] == ' ');
		is_first = false;
	}
	text_print(out, "\n");
}

/* The left column, and the way to the right one. */
static void print_head(struct text *out, const char *head) {
	if (strlen(head) + 2 > HELP_COLUMN) {
		text_print(out, "%s\n%*s", head, HELP_COLUMN, "");
		return;
	}
	text_print(out, "%-*s", HELP_COLUMN, head);
}

static void print_option(struct text *out, const struct settings_option *option) {
	char head[80];
	char letter[8] = "    ";
	if (option->letter != 0) (void)snprintf(letter, sizeof letter, "-%c, ", option->letter);
	bool has_argument = option->kind != KIND_FLAG && option->argument[0] != '\0';
	(void)snprintf(head, sizeof head, "  %s--%s%s%s", letter, option->name, has_argument ? "=" : "",
				   has_argument ? option->argument : "");
	print_head(out, head);
	char words[512];
	bool has_preset = option->preset[0] != '\0' && option->kind != KIND_RISE;
	(void)snprintf(words, sizeof words, "%s%s%s", option->help, has_preset ? "; default: " : "",
				   has_preset ? option->preset : "");
	print_wrapped(out, words, HELP_COLUMN);
}

static void print_stranger(struct text *out, char letter, const char *name, const char *value,
						   const char *why) {
	char head[80];
	bool has_value = value != NULL && value[0] != '\0';
	if (letter != 0)
		(void)snprintf(head, sizeof head, "  -%c, --%s%s%s", letter, name, has_value ? "=" : "",
					   has_value ? value : "");
	else
		(void)snprintf(head, sizeof head, "  -o %s%s", name, settings_value_hint(value));
	print_head(out, head);
	print_wrapped(out, why, HELP_COLUMN);
}

void settings_help(struct text *out) {
	static const char *const titles[GROUP_COUNT] = {
#define GROUP_TITLE(symbol, title) title,
		SETTINGS_GROUPS(GROUP_TITLE)
#undef GROUP_TITLE
	};
	text_print(out,
			   "snugd: a cache that speaks memcached's protocol and whose memory stays packed.\n\n"
			   "    snugd                            127.0.0.1:11211, 64 MiB\n"
			   "    snugd -m 4096 -t 4 -l 10.0.0.5   4 GiB, four workers, one address\n"
			   "    snugd -s /run/snugd.sock -a 770  a unix socket alone\n");
	for (unsigned group = 0; group < GROUP_COUNT; group++) {
		text_print(out, "\n%s:\n", titles[group]);
		for (size_t i = 0; i < SETTINGS_OPTION_COUNT; i++)
			if (settings_options[i].group == group) print_option(out, &settings_options[i]);
	}
	text_print(out, "\nTaken from memcached's command lines, without effect:\n");
#define NEEDLESS_HELP(letter, name, only, why) print_stranger(out, letter, name, only, why);
#define EXTENDED_HELP(name, only, why) print_stranger(out, 0, name, only, why);
	SETTINGS_NEEDLESS(NEEDLESS_HELP)
	SETTINGS_NEEDLESS_EXTENDED(EXTENDED_HELP)
#undef EXTENDED_HELP
#undef NEEDLESS_HELP
	text_print(out, "\nOf memcached's, refused:\n");
#define REFUSED_HELP(letter, name, why) print_stranger(out, letter, name, NULL, why);
#define EXTENDED_HELP(names, why) print_stranger(out, 0, names, NULL, why);
	SETTINGS_REFUSED(REFUSED_HELP)
	SETTINGS_REFUSED_EXTENDED(EXTENDED_HELP)
#undef EXTENDED_HELP
#undef REFUSED_HELP
	text_print(out,
			   "\nSizes take k, m, g and t, times s, m, h and d. Exit status: 0 after SIGINT or\n"
			   "SIGTERM, 64 for a wrong option, 71 when the system refuses what is needed.\n");
}

/* Each line of the notes a comment. */
static void comment_out(struct text *notes, struct text *out) {
	for (size_t at = 0; at < notes->length;) {
		const char *end = memchr(notes->bytes + at, '\n', notes->length - at);
		size_t length = end != NULL ? (size_t)(end - notes->bytes) - at : notes->length - at;
		text_print(out, "# %.*s\n", (int)length, notes->bytes + at);
		at += length + 1;
	}
}

void settings_describe(const struct settings *settings, struct text *out) {
	struct text notes = *out;
	*out = (struct text){.account = notes.account};
	comment_out(&notes, out);
	text_deinit(&notes);
	text_print(out, "# snugd would run with\n");
	for (size_t i = 0; i < SETTINGS_OPTION_COUNT; i++) {
		const struct settings_option *option = &settings_options[i];
		if (!settings_kept(option)) continue;
		bool is_empty = settings_is_empty(settings, option);
		text_print(out, is_empty ? "# %-18s =" : "%-20s = ", option->name);
		if (option->kind == KIND_PORT && !settings_want_tcp(settings))
			text_print(out, "%d", SETTINGS_PORT_NONE); /* that none was given would be lost */
		else if (!is_empty)
			settings_show_as_given(settings, option, out);
		text_print(out, "\n");
	}
}
