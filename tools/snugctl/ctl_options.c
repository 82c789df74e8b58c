/* ctl_options.c: see ctl_options.h. */
#include "ctl_options.h"

#include "base/line_text.h"
#include "base/number_text.h"
#include "base/option_text.h"

#include <stdio.h>
#include <string.h>

#define SECONDS_MAX 1000000u

const char options_help[] =
	"  -p, --port NUMBER     the snugd on this machine at that port; default: 11211\n"
	"  -s, --server ADDRESS  HOST, HOST:PORT, [ADDRESS]:PORT, or a socket's path\n"
	"  -j, --json            one JSON object; not for top, dump and load\n"
	"      --svg FILE        map: draws it into a file\n"
	"      --timeout S       seconds to wait for an answer; default: 60\n"
	"      --interval S      top: seconds between two looks; default: 1\n"
	"      --rounds N        top: ends after so many looks\n"
	"      --rate BYTES      dump, load: a second at most\n"
	"      --from 'W H'      dump: goes on where one that was interrupted says\n"
	"      --login FILE      dump, load: its first line is NAME:PASSWORD\n"
	"  -h, --help            this\n"
	"  -V, --version\n";

/* ------------------------------------------------------------------ values ----------------- */

static bool read_seconds(const char *text, double *seconds) {
	uint64_t ns;
	if (!number_read_time(text, strlen(text), NUMBER_SECOND_NS, &ns)) return false;
	*seconds = (double)ns / NUMBER_SECOND_NS;
	return ns > 0 && ns <= SECONDS_MAX * NUMBER_SECOND_NS;
}

static bool take_server(const char *text, struct options *options) {
	options->address = text;
	return true;
}

static bool take_port(const char *text, struct options *options) {
	uint64_t port;
	if (!number_read(text, strlen(text), &port) || port == 0 || port > UINT16_MAX) return false;
	(void)snprintf(options->port_address, sizeof options->port_address, "127.0.0.1:%u",
				   (unsigned)port);
	options->address = options->port_address;
	return true;
}

static bool take_json(const char *text, struct options *options) {
	(void)text;
	options->json = true;
	return true;
}

static bool take_svg(const char *text, struct options *options) {
	options->svg_path = text;
	return true;
}

static bool take_timeout(const char *text, struct options *options) {
	return read_seconds(text, &options->timeout_s);
}

static bool take_interval(const char *text, struct options *options) {
	return read_seconds(text, &options->interval_s);
}

static bool take_rounds(const char *text, struct options *options) {
	uint64_t number;
	if (!number_read(text, strlen(text), &number) || number == 0 || number > UINT32_MAX)
		return false;
	options->rounds = (unsigned)number;
	return true;
}

static bool take_rate(const char *text, struct options *options) {
	return number_read_size(text, strlen(text), 1, &options->dump.rate_bytes) &&
		   options->dump.rate_bytes > 0;
}

/* "WORKER HASH" */
static bool take_from(const char *text, struct options *options) {
	struct line words;
	uint64_t *place = options->dump.from;
	line_split(&words, text, strlen(text));
	return words.count == 2 && number_read(words.word[0].bytes, words.word[0].length, &place[0]) &&
		   number_read(words.word[1].bytes, words.word[1].length, &place[1]);
}

static bool take_login(const char *text, struct options *options) {
	options->dump.login = text;
	return true;
}

/* ------------------------------------------------------------------ the table -------------- */

enum {
	OPTION_SVG = 256,
	OPTION_TIMEOUT,
	OPTION_INTERVAL,
	OPTION_ROUNDS,
	OPTION_RATE,
	OPTION_FROM,
	OPTION_LOGIN
};

static const struct option known[] = {
	{"port", required_argument, NULL, 'p'},
	{"server", required_argument, NULL, 's'},
	{"json", no_argument, NULL, 'j'},
	{"svg", required_argument, NULL, OPTION_SVG},
	{"timeout", required_argument, NULL, OPTION_TIMEOUT},
	{"interval", required_argument, NULL, OPTION_INTERVAL},
	{"rounds", required_argument, NULL, OPTION_ROUNDS},
	{"rate", required_argument, NULL, OPTION_RATE},
	{"from", required_argument, NULL, OPTION_FROM},
	{"login", required_argument, NULL, OPTION_LOGIN},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

static const char a_time[] = "a time of more than 0 and at most 1000000 seconds";

static const struct taker {
	int letter;
	bool (*take)(const char *text, struct options *options);
	const char *expected; /* what it is not, if it is not taken */
	unsigned of;          /* the commands that take it, by their marks; 0: all */
} takers[] = {
	{'p', take_port, "a port from 1 to 65535", 0},
	{'s', take_server, NULL, 0},
	{'j', take_json, NULL, 0},
	{OPTION_SVG, take_svg, NULL, OPTIONS_OF_MAP},
	{OPTION_TIMEOUT, take_timeout, a_time, 0},
	{OPTION_INTERVAL, take_interval, a_time, OPTIONS_OF_TOP},
	{OPTION_ROUNDS, take_rounds, "a number from 1 on", OPTIONS_OF_TOP},
	{OPTION_RATE, take_rate, "a size from 1 byte on", OPTIONS_OF_DUMP | OPTIONS_OF_LOAD},
	{OPTION_FROM, take_from, "two numbers", OPTIONS_OF_DUMP},
	{OPTION_LOGIN, take_login, NULL, OPTIONS_OF_DUMP | OPTIONS_OF_LOAD},
};

static const struct taker *taker_of(int letter) {
	for (size_t i = 0; i < sizeof takers / sizeof *takers; i++)
		if (takers[i].letter == letter) return &takers[i];
	return NULL;
}

enum options_end options_read(struct options *options, int argument_count, char **arguments) {
	for (int letter;
		 (letter = getopt_long(argument_count, arguments, ":p:s:jhV", known, NULL)) != -1;) {
		if (letter == 'h') return OPTIONS_HELP;
		if (letter == 'V') return OPTIONS_VERSION;
		const struct taker *taker = taker_of(letter);
		if (taker == NULL) {
			char sentence[OPTION_SENTENCE_BYTES];
			option_explain(letter, known, arguments, sentence);
			fprintf(stderr, "snugctl: %s; --help tells\n", sentence);
			return OPTIONS_WRONG;
		}
		if (!taker->take(optarg, options)) {
			fprintf(stderr, "snugctl: '%.100s' is not %s; --help tells\n", optarg, taker->expected);
			return OPTIONS_WRONG;
		}
		options->given |= 1u << (taker - takers);
	}
	return OPTIONS_READ;
}

static const char *name_of(int letter) {
	for (const struct option *option = known; option->name != NULL; option++)
		if (option->val == letter) return option->name;
	return "";
}

bool options_fit(const struct options *options, unsigned marks) {
	static const struct {
		unsigned of;
		const char *name;
	} owners[] = {{OPTIONS_OF_MAP, "map"},
				  {OPTIONS_OF_TOP, "top"},
				  {OPTIONS_OF_DUMP, "dump"},
				  {OPTIONS_OF_LOAD, "load"}};
	for (size_t i = 0; i < sizeof takers / sizeof *takers; i++) {
		const struct taker *taker = &takers[i];
		if ((options->given & 1u << i) == 0 || taker->of == 0 || (taker->of & marks) != 0)
			continue;
		fprintf(stderr, "snugctl: --%s is for ", name_of(taker->letter));
		const char *between = "";
		for (size_t k = 0; k < sizeof owners / sizeof *owners; k++)
			if ((taker->of & owners[k].of) != 0) {
				fprintf(stderr, "%s%s", between, owners[k].name);
				between = " and ";
			}
		fputs(" alone\n", stderr);
		return false;
	}
	return true;
}

int options_timeout_ms(const struct options *options) {
	return (int)(options->timeout_s * 1000);
}
