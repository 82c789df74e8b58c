/* show_items.h: items out of a server, as commands that store them anew, and into one.
 *
 * A dump is a stream of `set` and `ms` with their values, so it can be loaded by this program or piped into
 * any memcached. Both go at the pace of the slower end, take no memory to speak of on either, and
 * can be throttled. */
#ifndef SNUGCTL_SHOW_ITEMS_H
#define SNUGCTL_SHOW_ITEMS_H

#include "link.h"

#include <stdint.h>

struct dump_options {
	uint64_t rate_bytes; /* a second; 0: as fast as it goes */
	const char *login;   /* a file whose first line is NAME:PASSWORD; NULL: nobody asks */
	uint64_t from[2];    /* a worker and a hash, as a dump that was interrupted told; 0, 0: all */
};

/* As memcached's clients say in text who they are: by the first `set`. False: a sentence is on standard
 * error. */
bool log_in(struct link *link, const char *path);

/* To standard output; a summary, and on failure where to go on, on standard error. False: it is not
 * whole. `port`: where large values are got. `items`: where all else is asked for, the same or the
 * operator's socket. */
bool dump_items(struct link *items, struct link *port, const struct dump_options *options);

/* From standard input. False: it ended early, or some items were refused; standard error has how many. */
bool load_items(struct link *link, const struct dump_options *options);

#endif
