/* link.h: a connection to snugd and its answers: lines "STAT name value", and others, up to END,
 * OK, or an error. */
#ifndef SNUGCTL_LINK_H
#define SNUGCTL_LINK_H

#include <stdbool.h>
#include <stddef.h>

#define LINK_DEFAULT_PORT 11211u /* memcached's */
#define LINK_HOST_ROOM ((size_t)256)

struct link {
	int fd;
	int timeout_ms;   /* to connect, and for each whole answer */
	bool expects_end; /* that the server closes it is no mistake */
	bool has_ended;   /* it has */
};

/* "HOST", "HOST:PORT", "[ADDRESS]:PORT", or a path, which holds a slash. False: a sentence is on
 * standard error. */
bool link_open(struct link *link, const char *address, int timeout_ms);
/* The same for a path, without a word. False: errno says why. */
bool link_try_path(struct link *link, const char *path, int timeout_ms);
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

/* All of it, as it is. False: the connection is of no more use; a sentence is on standard error. */
bool link_send(struct link *link, const char *bytes, size_t length);

enum link_end { LINK_CLOSED, LINK_ANSWERED, LINK_FAILED };
/* Sends a command that ends the server. CLOSED: it has closed the connection, as it does. ANSWERED:
 * `reply` says what it says instead. FAILED: as link_ask. */
enum link_end link_ask_end(struct link *link, const char *command, struct reply *reply);

/* Sends the command, a line without its end, and reads the answer. False: the connection is of no
 * more use; a sentence is on standard error. */
bool link_ask(struct link *link, const char *command, struct reply *reply);
void reply_free(struct reply *reply);

/* The field's value; NULL: there is none. */
const char *reply_value(const struct reply *reply, const char *name);
double reply_number(const struct reply *reply, const char *name); /* 0 if there is none */

#endif
