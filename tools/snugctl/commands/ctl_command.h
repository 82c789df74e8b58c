/* ctl_command.h: snugctl's commands. One that only asks and shows is a row of the table; one that does
 * more is a row and a file of its own beside it.
 *
 *     ctl_commands.c   the table, and the help that is made from it
 *     ctl_words.c      which words a command takes
 *     ctl_ask.c        asks at the port, and at the control socket what the port refuses; shows the answer
 *     ctl_clients.c    clients
 *     ctl_latency.c    latency
 *     ctl_doctor.c     doctor: what is wrong, as sentences
 *     ctl_keys.c       bigkeys, hotkeys, sizes: as tables
 *     ctl_memory.c     memory, made from what `stats` tells
 *     ctl_map.c        map: as text, as JSON, or as a picture
 *     ctl_items.c      dump, load
 *     ctl_shutdown.c   shutdown
 *     ctl_slow.c       slow
 *     ctl_top.c        top */
#ifndef SNUGCTL_CTL_COMMAND_H
#define SNUGCTL_CTL_COMMAND_H

#include "ctl_options.h"
#include "door.h"

#include <stdbool.h>
#include <stddef.h>

/* snugctl's exit status. */
enum status {
	STATUS_DONE = 0,
	STATUS_REFUSED = 1,
	STATUS_USAGE = 2,
	STATUS_UNREACHABLE = 3,
	STATUS_FOUND = 4, /* doctor: something is wrong */
};

#define CALL_LINE_ROOM ((size_t)512)

/* A command that was called. */
struct call {
	const struct options *options;
	char **words; /* the command's name, then its arguments */
	int count;
	struct link *link; /* NULL for one that connects by itself */
	struct door *door;
};

/* Marks, beside those of the options that it takes (ctl_options.h). */
enum {
	COMMAND_NO_JSON = OPTIONS_OF_END,       /* its answer is a stream or a screen */
	COMMAND_CONNECTS = OPTIONS_OF_END << 1, /* it connects by itself */
};

struct command {
	const char *name;
	const char *help; /* its lines of --help: "  name ..." in at most 80 columns */
	unsigned marks;
	enum status (*run)(struct call *call);
	const char *forms; /* of its words (ctl_words.c); "": none; NULL: it reads them by itself */
};

/* NULL: there is no such command. */
const struct command *command_find(const char *name);
/* The lines of all of them, in the table's order, to standard output. */
void command_print_help(void);

/* Whether these words, its name first, are a use of it. */
bool command_fits(const struct command *command, char **words, int count);

/* "WORD..." of memcached's, or "snug WORD...", in `line`. False, after a sentence on standard error: it is too long for
 * a command, or no line. */
bool call_line(const struct call *call, char line[CALL_LINE_ROOM]);
/* The answer to a line, from the control socket if it is taken there alone; to be freed. False: the
 * connection is of no more use; a sentence is on standard error. */
bool call_ask(struct call *call, const char *line, struct reply *reply);
/* What an answer means for the exit status: less done than asked is no success. */
enum status call_status(const struct reply *reply);
/* The server's sentence, if the answer is a refusal, with where it would be taken; false: it is none. With
 * --json it is on standard output as an object. */
bool call_is_refused(const struct call *call, const struct reply *reply);
/* Asks a line and shows what is answered: a refusal as call_is_refused does, else JSON, or what `print`
 * prints; NULL: the table that is made of any answer (show.h). */
enum status call_show(struct call *call, const char *line,
					  void (*print)(const struct reply *reply));
/* A sentence of the server's, on standard error. */
void call_say(const char *text);
/* The control socket that could not be opened, if that is why something was refused. */
void call_tell_of_door(const struct door *door);

enum status run_ask(struct call *call); /* asks one line, shows the answer as a table */
enum status run_clients(struct call *call);
enum status run_latency(struct call *call);
enum status run_map(struct call *call);
enum status run_doctor(struct call *call);
enum status run_bigkeys(struct call *call);
enum status run_hotkeys(struct call *call);
enum status run_sizes(struct call *call);
enum status run_memory(struct call *call);
enum status run_items(struct call *call);
enum status run_shutdown(struct call *call);
enum status run_slow(struct call *call);
enum status run_top(struct call *call);

#endif
