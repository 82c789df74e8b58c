/* server/settings/settings_manual.c: the manual page snugd(1), which the program writes itself
 * (--man), so that its options are those of the table. What is not about options stands here as
 * text. */
#include "server/settings/settings_table.h"

#include <snug/version.h>
#include <string.h>

/* In roff a minus that is to be typed is \-, and a line must not begin with a dot or an
 * apostrophe. */
static void print_roff(struct text *out, const char *words) {
	if (*words == '.' || *words == '\'') text_print(out, "\\&");
	for (; *words != '\0'; words++)
		if (*words == '-')
			text_append(out, "\\-", 2);
		else
			text_append(out, words, 1);
}

static void print_option(struct text *out, const struct settings_option *option) {
	text_print(out, ".TP\n");
	text_print(out, "\\fB");
	if (option->letter != 0) text_print(out, "\\-%c\\fR, \\fB", option->letter);
	text_print(out, "\\-\\-");
	print_roff(out, option->name);
	text_print(out, "\\fR");
	if (option->kind != KIND_FLAG && option->argument[0] != '\0') {
		text_print(out, "=\\fI");
		print_roff(out, option->argument);
		text_print(out, "\\fR");
	}
	text_print(out, "\n");
	print_roff(out, option->help);
	text_print(out, ".\n");
	if (option->preset[0] != '\0' && option->kind != KIND_RISE)
		text_print(out, "Default: %s.\n", option->preset);
}

static void print_stranger(struct text *out, char letter, const char *name, const char *value,
						   const char *why) {
	text_print(out, ".TP\n\\fB");
	if (letter != 0) {
		text_print(out, "\\-%c\\fR, \\fB\\-\\-", letter);
		print_roff(out, name);
		text_print(out, "\\fR%s%s\n", value != NULL && value[0] != '\0' ? "=" : "",
				   value != NULL ? value : "");
	} else {
		text_print(out, "\\-o %s\\fR%s\n", name, settings_value_hint(value));
	}
	print_roff(out, why);
	text_print(out, ".\n");
}

static void print_options(struct text *out) {
	static const char *const titles[GROUP_COUNT] = {
#define GROUP_TITLE(symbol, title) title,
		SETTINGS_GROUPS(GROUP_TITLE)
#undef GROUP_TITLE
	};
	text_print(out, ".SH OPTIONS\nSizes take the suffixes k, m, g and t, times s, m, h and d.\n");
	for (unsigned group = 0; group < GROUP_COUNT; group++) {
		text_print(out, ".SS %s\n", titles[group]);
		for (size_t i = 0; i < SETTINGS_OPTION_COUNT; i++)
			if (settings_options[i].group == group) print_option(out, &settings_options[i]);
	}
	text_print(out, ".SS Taken from memcached's command lines, without effect\n");
#define NEEDLESS_MANUAL(letter, name, only, why) print_stranger(out, letter, name, only, why);
#define EXTENDED_MANUAL(name, only, why) print_stranger(out, 0, name, only, why);
	SETTINGS_NEEDLESS(NEEDLESS_MANUAL)
	SETTINGS_NEEDLESS_EXTENDED(EXTENDED_MANUAL)
#undef EXTENDED_MANUAL
#undef NEEDLESS_MANUAL
	text_print(out, ".SS Of memcached's, refused\n");
#define REFUSED_MANUAL(letter, name, why) print_stranger(out, letter, name, NULL, why);
#define EXTENDED_MANUAL(names, why) print_stranger(out, 0, names, NULL, why);
	SETTINGS_REFUSED(REFUSED_MANUAL)
	SETTINGS_REFUSED_EXTENDED(EXTENDED_MANUAL)
#undef EXTENDED_MANUAL
#undef REFUSED_MANUAL
}

static const char opening[] =
	".\\\" Written by snugd --man; do not edit.\n"
	".TH SNUGD 1 \"\" \"snug " SNUG_VERSION_TEXT "\" \"User Commands\"\n"
	".SH NAME\n"
	"snugd \\- a cache server that speaks memcached's protocol and whose memory stays packed\n"
	".SH SYNOPSIS\n"
	".B snugd\n"
	".RB [ \\-m\n"
	".IR MiB ]\n"
	".RB [ \\-t\n"
	".IR NUMBER ]\n"
	".RB [ \\-l\n"
	".IR ADDRESS ]\n"
	".RI [ options ]\n"
	".SH DESCRIPTION\n"
	"Keeps keys with their values in a fixed amount of memory and answers memcached's text, meta "
	"and binary commands over TCP, with TLS or without it,\n"
	"and unix sockets. What is least worth its bytes goes when memory is full, whatever its size; "
	"objects are moved\n"
	"together in small steps, so that memory does not stay in pieces when the sizes of the values "
	"shift.\n"
	".PP\n"
	"When connections are taken, one line on standard error says where.\n";

static const char closing[] =
	".SH CONFIG FILE\n"
	"One option a line, by its long name; # begins a comment; a switch is on or off:\n"
	".PP\n"
	".nf\n"
	"    # a cache for the web servers\n"
	"    memory\\-limit = 4096\n"
	"    listen = 10.0.0.5\n"
	"    disable\\-flush\\-all = on\n"
	".fi\n"
	".PP\n"
	"What stands on the command line wins.\n"
	".SH DIFFERENCES FROM MEMCACHED\n"
	"Listens on 127.0.0.1 alone unless told otherwise.\n"
	"Started by root it becomes\n"
	"nobody once its sockets are open, unless\n"
	".B \\-u\n"
	"names somebody else.\n"
	".SH WATCHING\n"
	"A client that sends\n"
	".B watch\n"
	"is told what happens, a line each, until it goes. The words behind it say what:\n"
	".TP\n"
	".B fetchers\n"
	"each look\\-up of a key, with what was found; also the look\\-up that a store, a delete or a "
	"count begins with. This is the default.\n"
	".TP\n"
	".B mutations\n"
	"each store, with its status, command, time to live and size.\n"
	".TP\n"
	".B deletions\n"
	"each item that a client deleted.\n"
	".TP\n"
	".B evictions\n"
	"each item that went for want of memory: whether it was ever fetched, how long it would have "
	"lived, how long nobody had used it.\n"
	".TP\n"
	".B connevents\n"
	"each connection that comes or goes, with the reason.\n"
	".TP\n"
	".B sysevents\n"
	"another memory limit.\n"
	".PP\n"
	".nf\n"
	"    printf 'watch mutations evictions\\\\r\\\\n' | nc 127.0.0.1 11211\n"
	"    ts=1796030677.609162 gid=2 type=item_store key=foo status=stored cmd=set ttl=0 clsid=1 "
	"cfd=13 size=5\n"
	".fi\n"
	".PP\n"
	"The lines are memcached's. Keys have %XX for what is no letter, digit, \\- . _ or ~. There "
	"are 20 watchers at most. Each holds 64 KiB: who reads too slowly loses lines, and is told "
	"skipped=N for them. Nobody waits for a watcher, and nothing is told while nobody watches.\n"
	".PP\n"
	".B \\-W\n"
	"and\n"
	".B \\-\\-control\\-only\n"
	"refuse it. With\n"
	".B \\-\\-auth\\-file\n"
	"it needs the right to operate.\n"
	".PP\n"
	".B stats detail on\n"
	"counts gets, hits, sets and deletes by the prefix of the key instead;\n"
	".B stats detail dump\n"
	"tells them.\n"
	".SH ENVIRONMENT\n"
	".TP\n"
	"MEMCACHED_PORT_FILENAME\n"
	"A file to which the TCP ports are written, as lines such as TCP INET: 11211. It is there once "
	"they can be "
	"connected "
	"to. For\n"
	".BR \"\\-p \\-1\" ,\n"
	"which takes a port that is free.\n"
	".SH SIGNALS\n"
	".TP\n"
	"SIGINT, SIGTERM\n"
	"An orderly end: what was asked is answered, for two seconds at most; sockets and the pid file "
	"are removed, where "
	"the user that snugd has "
	"become may do that. A second one, a second or more later, ends snugd at once.\n"
	".TP\n"
	"SIGHUP\n"
	"The options and the config file are read again. Changed while snugd runs:\n"
	".BR memory\\-limit ,\n"
	"as far as\n"
	".BR memory\\-max ,\n"
	".BR conn\\-limit ,\n"
	".BR idle\\-timeout ,\n"
	".BR disable\\-flush\\-all ,\n"
	"the users of\n"
	".BR auth\\-file ,\n"
	"the certificates of\n"
	".BR enable\\-ssl ,\n"
	".BR verbose .\n"
	"What else differs is logged by name and waits for a restart. A config file with a mistake "
	"changes nothing; the "
	"log "
	"says\n"
	"where it is. Check it first with\n"
	".BR \\-\\-check\\-config .\n"
	".TP\n"
	"SIGUSR1, SIGPIPE\n"
	"No effect.\n"
	".SH SECURITY\n"
	"Without\n"
	".B \\-\\-auth\\-file\n"
	"there is no authentication: whoever reaches the port can read, change and delete "
	"everything. Keep it "
	"on\n"
	"127.0.0.1, on a unix socket, or behind a firewall. With it a text client's first command is a "
	"set whose value is name and password; a binary client uses SASL's PLAIN. Neither is "
	"encrypted without\n"
	".B \\-Z\n"
	"(TLS).\n"
	".SH EXIT STATUS\n"
	"0: ended by SIGINT or SIGTERM. 64: a wrong option, or a mistake in a file that one names. 71: "
	"the system refuses "
	"what is needed, such as an address or\n"
	"memory.\n"
	".SH EXAMPLES\n"
	".nf\n"
	"    snugd \\-m 4096 \\-t 4 \\-l 10.0.0.5\n"
	"    printf 'set k 0 0 5\\\\r\\\\nhello\\\\r\\\\nget k\\\\r\\\\nquit\\\\r\\\\n' | nc 127.0.0.1 "
	"11211\n"
	".fi\n"
	".SH SEE ALSO\n"
	".BR snugctl (1),\n"
	".BR libsnug (3)\n";

void settings_manual(struct text *out) {
	text_append(out, opening, strlen(opening));
	print_options(out);
	text_append(out, closing, strlen(closing));
}
