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
	bool json;
	struct dump_options dump;
};

enum options_end {
	OPTIONS_READ, /* the command's first word is arguments[optind], if there is one */
	OPTIONS_HELP,
	OPTIONS_VERSION,
	OPTIONS_WRONG, /* a sentence is on standard error */
};

extern const char options_help[]; /* their lines of --help */

/* Fills in what is not said. */
enum options_end options_read(struct options *options, int argument_count, char **arguments);
int options_timeout_ms(const struct options *options);

#endif
