/* ctl_options.h: snugctl's options. */
#ifndef SNUGCTL_CTL_OPTIONS_H
#define SNUGCTL_CTL_OPTIONS_H

#include "show_items.h"

#include <stdbool.h>

struct options {
	const char *address;   /* NULL: whichever is found on this machine */
	char port_address[32]; /* of --port */
	const char *svg_path;
	double timeout_s;
	double interval_s;
	unsigned rounds;
	unsigned given; /* which were: a bit for each */
	bool json;
	struct dump_options dump;
};

enum options_end {
	OPTIONS_READ, /* the command's first word is arguments[optind], if there is one */
	OPTIONS_HELP,
	OPTIONS_VERSION,
	OPTIONS_WRONG, /* a sentence is on standard error */
};

/* Marks of a command: the options that it takes besides those that all take. */
enum {
	OPTIONS_OF_MAP = 1u << 0,  /* --svg */
	OPTIONS_OF_TOP = 1u << 1,  /* --interval, --rounds */
	OPTIONS_OF_DUMP = 1u << 2, /* --rate, --login, --from */
	OPTIONS_OF_LOAD = 1u << 3, /* --rate, --login */
	OPTIONS_OF_END = 1u << 4,  /* marks of other kinds begin here */
};

extern const char options_help[]; /* their lines of --help */

/* Fills in what is not said. */
enum options_end options_read(struct options *options, int argument_count, char **arguments);
/* False: one of them is not for a command with these marks; a sentence is on standard error. */
bool options_fit(const struct options *options, unsigned marks);
int options_timeout_ms(const struct options *options);

#endif
