/* server/errand/errand.h: what one command cannot be answered with at once: figures of all workers, or something that the coordinator does.
 *
 *     errand_begin -> visit on worker 0 -> visit on worker 1 -> ... -> ready? .. ready? -> answer -> destroy
 *                     each on that worker's own thread, one after the other    '--------- on the asker's thread ---------'
 *
 * What takes longer than a turn may is cut in slices: a visit that is not finished is made again, a turn later, until it is. Between two slices
 * the worker serves its connections, so what the slices look at changes.
 *
 * An errand belongs to who asked: a connection, or a thread that is no worker's (errand_ask.h). While others look at it, it waits. It has memory of its own, which is little and short-lived. */
#ifndef SNUG_SERVER_ERRAND_H
#define SNUG_SERVER_ERRAND_H

#include "base/text.h"
#include "server/protocol/protocol.h"

#include <stdbool.h>

struct server;
struct server_worker;
struct settings;

struct errand {
	/* NULL: nobody is visited. A slice of bounded work, some 200 us at most: that worker's connections wait meanwhile. */
	void (*visit)(struct errand *errand, struct server_worker *worker);
	/* Set by a visit that has not finished with its worker: it is made again, in a later turn of that worker. */
	bool is_unfinished;
	/* Asked again and again, some milliseconds apart, until it says true. NULL: at once. */
	bool (*is_ready)(struct errand *errand);
	/* Writes the answer, as the client shall get it. */
	void (*answer)(struct errand *errand, struct text *out);
	/* At any time after the last visit: the connection may have gone. */
	void (*destroy)(struct errand *errand);
	struct server *server; /* for all of them */
};

/* For COMMAND_FLUSH, COMMAND_VERBOSITY, COMMAND_MEMLIMIT, COMMAND_SHUTDOWN, COMMAND_STATS, COMMAND_SNUG. NULL: `out` has the answer already,
 * which may be a refusal. Any thread. The command's bytes are not referred to after the return. */
struct errand *errand_command(struct server *server, const struct command *command, struct text *out);
/* The same for a client of that worker, on its thread: counted there. */
struct errand *errand_begin(struct server_worker *asker, const struct command *command, struct text *out);

/* What a client is told, in a whole line, who asks for an operator's command elsewhere than at the operator's door: its length, 0: he may have it. */
#define ERRAND_REFUSAL_ROOM 192u
size_t errand_refusal(const struct settings *settings, const struct command *command,
					  char refusal[ERRAND_REFUSAL_ROOM]);

/* What follows `stats`, and what follows `snug`. */
struct errand *errand_stats(struct server *server, const char *what, size_t length, struct text *out);
struct errand *errand_snug(struct server *server, const char *what, size_t length, struct text *out);

#endif
