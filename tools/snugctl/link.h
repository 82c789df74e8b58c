/* link.h: a connection to snugd and its answers: lines "STAT name value", and others, up to END, OK, or an error. */
#ifndef SNUGCTL_LINK_H
#define SNUGCTL_LINK_H

#include <stdbool.h>
#include <stddef.h>

struct link {
	int fd;
	int timeout_ms; /* to connect, and for each whole answer */
};

/* "HOST", "HOST:PORT", "[ADDRESS]:PORT", or a path, which holds a slash. False: a sentence is on standard error. */
bool link_open(struct link *link, const char *address, int timeout_ms);
void link_close(struct link *link);

struct field {
	char *name;
	char *value;
};

struct reply {
	char *text; /* all of it; the fields point into it */
	size_t length;
	struct field *fields;
	size_t field_count;
	char **lines; /* those that are no fields, and not END */
	size_t line_count;
	const char *error; /* "CLIENT_ERROR ...", "SERVER_ERROR ...", "ERROR"; NULL: none */
};

/* Sends the command, a line without its end, and reads the answer. False: the connection is of no more use; a sentence is on standard
 * error. */
bool link_ask(struct link *link, const char *command, struct reply *reply);
void reply_free(struct reply *reply);

/* The field's value; NULL: there is none. */
const char *reply_value(const struct reply *reply, const char *name);
double reply_number(const struct reply *reply, const char *name); /* 0 if there is none */

#endif
