/* options.c: see options.h. */
#include "options/options.h"

#include "base/number_text.h"
#include "base/option_text.h"
#include "units.h"

#include <snug/version.h>

#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum option_kind { TEXT, BYTES, COUNT, REAL, FLAG };

struct known {
	const char *name;
	enum option_kind kind;
	size_t offset; /* of the field in struct options */
	const char *argument;
	const char *preset;
	const char *help;
};

static const struct known table[] = {
#define OPTION_ROW(field, kind, name, argument, preset, help) \
	{name, kind, offsetof(struct options, field), argument, preset, help},
	REPLAY_OPTIONS(OPTION_ROW)
#undef OPTION_ROW
};
#define OPTION_COUNT (sizeof table / sizeof table[0])

static bool set(struct options *options, const struct known *option, const char *text) {
	void *field = (char *)options + option->offset;
	switch (option->kind) {
	case TEXT:
		*(const char **)field = text;
		return text[0] != '\0';
	case BYTES:
		return number_read_size(text, strlen(text), 1, field);
	case COUNT:
		return number_read(text, strlen(text), field);
	case REAL:
		return parse_real(text, field);
	case FLAG:
		*(bool *)field = true;
		return true;
	}
	return false;
}

static bool complain(const char *sentence) {
	fprintf(stderr, "snug-replay: %s\nTry: snug-replay --help\n", sentence);
	return false;
}

static void set_presets(struct options *out) {
	memset(out, 0, sizeof *out);
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (table[i].kind != FLAG && table[i].preset[0] != '\0')
			(void)set(out, &table[i], table[i].preset);
}

static void list_names(struct option names[OPTION_COUNT + 1]) {
	for (size_t i = 0; i < OPTION_COUNT; i++)
		names[i] =
			(struct option){table[i].name, table[i].kind == FLAG ? no_argument : required_argument,
							NULL, (int)i + 1};
	names[OPTION_COUNT] = (struct option){NULL, 0, NULL, 0};
}

bool options_parse(int argument_count, char **arguments, struct options *out) {
	struct option names[OPTION_COUNT + 1];
	char sentence[OPTION_SENTENCE_BYTES];
	list_names(names);
	set_presets(out);
	for (int code; (code = getopt_long(argument_count, arguments, "+:", names, NULL)) != -1;) {
		if (code == ':' || code == '?') {
			option_explain(code, names, arguments, sentence);
			return complain(sentence);
		}
		const struct known *option = &table[code - 1];
		if (!set(out, option, optarg)) {
			(void)snprintf(sentence, sizeof sentence, "--%s: '%.200s' is not %s", option->name,
						   optarg, option->argument);
			return complain(sentence);
		}
		out->seed_given = out->seed_given || strcmp(option->name, "seed") == 0;
	}
	if (optind == argument_count) return true;
	(void)snprintf(sentence, sizeof sentence, "'%.200s': not an option", arguments[optind]);
	return complain(sentence);
}

/* Prints `text` broken at spaces into lines of 76 columns at most, from column `indent` on. */
static void print_wrapped(const char *text, int indent) {
	int column = indent;
	while (*text != '\0') {
		int length = (int)strcspn(text, " ");
		if (column > indent && column + 1 + length > 76) {
			printf("\n%*s", indent, "");
			column = indent;
		} else if (column > indent) {
			putchar(' ');
			column++;
		}
		printf("%.*s", length, text);
		column += length;
		text += length + (text[length] == ' ');
	}
	putchar('\n');
}

void options_help(void) {
	puts("snug-replay: memory workloads from production and from papers, replayed against libsnug\n"
		 "and against malloc, jemalloc, mimalloc and tcmalloc, every byte verified.\n\n"
		 "    snug-replay --workload W3                       libsnug at 97 % use\n"
		 "    snug-replay --workload meta:flip --allocator all --plot flip.svg\n"
		 "    snug-replay --workload all --use max            the highest use without a failure\n"
		 "    snug-replay --demo                              the tour\n\n"
		 "Options:");
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		printf("  --%s%s%s\n%6s", table[i].name, table[i].argument[0] != '\0' ? " " : "",
			   table[i].argument, "");
		print_wrapped(table[i].help, 6);
		if (table[i].kind != FLAG && table[i].preset[0] != '\0')
			printf("      Default: %s\n", table[i].preset);
	}
	puts("\nExit status: 0 fine; 1 a byte was lost, a law of libsnug was broken, or a run died; 2 "
		 "a bad option.");
}

/* In roff a minus that is to be typed is \-, and a line must not begin with a dot (none of the
 * texts does). */
static void print_roff(const char *text) {
	for (; *text != '\0'; text++)
		if (*text == '-')
			fputs("\\-", stdout);
		else
			putchar(*text);
}

static void print_roff_options(void) {
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		printf(".TP\n.B \\-\\-");
		print_roff(table[i].name);
		if (table[i].argument[0] != '\0') {
			printf(" \\fI");
			print_roff(table[i].argument);
			printf("\\fR");
		}
		printf("\n");
		print_roff(table[i].help);
		printf(".\n");
		if (table[i].kind != FLAG && table[i].preset[0] != '\0')
			printf("Default: %s.\n", table[i].preset);
	}
}

void options_manual_page(void) {
	puts(".\\\" Written by snug-replay --man; do not edit.\n"
		 ".TH SNUG\\-REPLAY 1 \"\" \"snug " SNUG_VERSION_TEXT "\" \"User Commands\"\n"
		 ".SH NAME\n"
		 "snug\\-replay \\- replay memory workloads against libsnug and the mallocs\n"
		 ".SH SYNOPSIS\n"
		 ".B snug\\-replay\n"
		 ".RB [ \\-\\-workload\n"
		 ".IR NAME ]\n"
		 ".RI [ options ]\n"
		 ".SH DESCRIPTION\n"
		 "Runs workloads from production and from papers against libsnug's heap and, each in a "
		 "process of its own, "
		 "against\n"
		 "glibc's malloc, jemalloc, mimalloc and tcmalloc. Every byte of every object is written "
		 "and verified. Objects "
		 "are\n"
		 "at least 8 bytes, because their first 8 bytes say which entry of the tool's table owns "
		 "them, and no larger "
		 "than\n"
		 "a quarter of the live bytes (the workload one\\-object excepted).\n"
		 ".PP\n"
		 "A table, or with\n"
		 ".B \\-\\-json\n"
		 "one JSON object a line, goes to standard output; progress goes to standard error.\n"
		 ".SH OPTIONS");
	print_roff_options();
	puts(
		".SH FIGURES\n"
		"utilisation is live / limit for libsnug and live / RSS growth for a malloc, taken while "
		"the live bytes are "
		"at their\n"
		"full value; utilisation_min is its lowest sample. With\n"
		".B \\-\\-fill\n"
		"it is the lowest live / limit at a moment when an allocation has just failed, and "
		"demand_min adds the bytes "
		"that\n"
		"were asked for. rss_bytes is the growth of the resident memory since before the first "
		"allocation, less the "
		"bytes of\n"
		"the tool's own table that were touched since.\n"
		"pair_ns is the mean time of an allocation plus that of a free, measured on every Nth "
		"call\n"
		".RB ( \\-\\-time\\-every ),\n"
		"less what reading the clock costs; writing and verifying the objects is not in it. "
		"step_ns are the steps of "
		"the\n"
		"defragmentations, alloc_ns the sampled allocations.\n"
		".PP\n"
		"With\n"
		".B \\-\\-cache\n"
		"the figures are shares of the objects asked for that were missed and, in parentheses, of "
		"their bytes; what is "
		"missed is\n"
		"stored. shard is libsnug's cache under a limit that holds everything: index, heads, slots "
		"that are too large. "
		"The "
		"other\n"
		"policies are simulated and charged for key, value and the bytes of --overhead an object, "
		"and for nothing "
		"else, so that at the "
		"same limit\n"
		"they have room for more. A lifetime is counted in requests, for the cache one a second. A "
		"limit below 256 KiB "
		"is\n"
		"too small for the cache: no figure, in JSON null.\n"
		"cache, with\n"
		".BR \\-\\-readers ,\n"
		"is the same cache over workers, asked by threads with a client each; requests/s is what "
		"all of them get\n"
		"done, the waiting for each other included. Beside shard it shows what many readers cost "
		"in misses.\n"
		"What has expired is removed by the time on the wall there, not by requests, so in a small "
		"cache of objects that live\n"
		"shortly it may miss 0.01 more with one reader, too.\n"
		".SH EXIT STATUS\n"
		"0: fine. 1: a byte was lost, a law of libsnug was broken, or a run died. 2: a bad "
		"option.\n"
		".SH FILES\n"
		"Sizes: lines upper_bytes,cumulative; both ascend, the last share is 1; lines that begin "
		"with # are skipped.\n"
		"Traces: lines op,key,size with op set, get or delete (or alloc, free), or CloudPhysics'\n"
		"version,time,op,size,lbn.\n"
		".SH SEE ALSO\n"
		"Rumble, Kejriwal, Ousterhout: Log\\-structured Memory for DRAM\\-based Storage, FAST'14.");
}
