/* server/errand/errand.h: what one command cannot be answered with at once: figures of all workers,
 * or something that the coordinator does. The door of this room:
 *
 *     errand.c           which errand a command is; flush_all, refresh_certs, verbosity, shutdown
 *     errand_door.c      which commands are the operator's, and how they are refused to others
 *     errand_stats.c     `stats` in all its forms
 *     errand_snug.c      `snug ..`: which of the next two it is
 *     errand_cleanup.c   what is asked of the coordinator: estimate, defrag, emergency, ..
 *     errand_memory.c    what is asked of the workers themselves: metrics, map, limit, check
 *     errand_items.c     the items themselves, part by part
 *     errand_ask.h, .c   an errand from a thread that is no worker's: HTTP's, an operator's
 *     errand_admission.c what a client may say who has not been let in, or may not do all
 *     errand_login.c     a client says who he is
 *     errand_slices.c    how visits share a worker's time
 *     errand_words.c     a word of what follows `snug` as a number, a size, ..
 *     errand_parts.h, .c what the errands share
 *
 *     errand_begin -> visit on worker 0 -> visit on worker 1 -> .. -> ready? .. ready? -> answer
 *                     each on that worker's own thread               on the asker's thread; destroy
 *
 * Laws    - A worker's own things are looked at on its own thread, by a visit. So nothing of a
 *           shard is locked or atomic for the sake of statistics.
 *         - Visits are one after the other: they write into the same errand.
 *         - No visit takes longer than a slice (some 200 us). What takes longer is cut: a visit
 *           that is not finished is made again, a turn later, until it is. Between two slices the
 *           worker serves its connections, so what the slices look at changes.
 *         - An errand belongs to who asked: a connection, or a thread that is no worker's. While
 *           others look at it, it waits, and nobody frees it.
 *         - The work that an errand has begun does not end with it: what the coordinator took goes
 *           on, and `snug report` tells of it.
 *
 * It has memory of its own, which is little and short-lived. Its answer draws on the account of who
 * asked (base/text.h), so that answers which nobody reads cannot fill the machine. */
#ifndef SNUG_SERVER_ERRAND_H
#define SNUG_SERVER_ERRAND_H

#include "base/text.h"
#include "server/protocol/protocol.h"

#include <stdbool.h>

struct server;
struct server_worker;
struct settings;

struct errand {
	/* NULL: nobody is visited. A slice of bounded work, some 200 us at most: that worker's
	 * connections wait meanwhile. */
	void (*visit)(struct errand *errand, struct server_worker *worker);
	/* Set by a visit that has not finished with its worker: it is made again, in a later turn of
	 * that worker. */
	bool is_unfinished;
	/* Asked again and again, some milliseconds apart, until it says true. NULL: at once. */
	bool (*is_ready)(struct errand *errand);
	/* Writes the answer, as the client shall get it. */
	void (*answer)(struct errand *errand, struct text *out);
	/* The connection has gone before it was ready: nobody waits for the answer. It is made ready and
	 * destroyed as ever; whatever it still has to do for the answer alone, it need not. NULL: nothing. */
	void (*forget)(struct errand *errand);
	/* At any time after the last visit: the connection may have gone. */
	void (*destroy)(struct errand *errand);
	struct server *server; /* for all of them */
	bool is_login;         /* the client has `rights` once it is answered */
	uint8_t rights;
};

/* For COMMAND_FLUSH, COMMAND_VERBOSITY, COMMAND_MEMLIMIT, COMMAND_SHUTDOWN, COMMAND_REFRESH,
 * COMMAND_STATS, COMMAND_SNUG. NULL: `out` has the answer already, which may be a refusal. Any thread. The
 * command's bytes are not referred to after the return. */
struct errand *errand_command(struct server *server, const struct command *command,
							  struct text *out);
/* The same for a client of that worker, on its thread: counted there. */
struct errand *errand_begin(struct server_worker *asker, const struct command *command,
							struct text *out);

/* What a client is told, in a whole line, who asks for an operator's command elsewhere than at the
 * operator's door: its length, 0: he may have it. */
#define ERRAND_REFUSAL_ROOM 192u
size_t errand_refusal(const struct settings *settings, const struct command *command,
					  char refusal[ERRAND_REFUSAL_ROOM]);

/* errand_door.c: the rights that a user needs for it, of enum auth_right; those of an operator's
 * command aside. */
uint8_t errand_rights(const struct command *command);

/* What a client may do. */
struct admission {
	uint8_t rights;     /* enum auth_right; 0: he has not said who he is, and somebody asks */
	bool is_restricted; /* not all commands about items are taken */
	bool login_begun;   /* SASL: its value comes with the next step */
};

void admission_grant(struct admission *admission, uint8_t rights);

enum admission_verdict {
	ADMISSION_WAITS, /* it is not there as a whole */
	ADMISSION_TAKEN,
	ADMISSION_REFUSED, /* the command has become words; of a list the rest is to be passed over */
};

/* A command that was just parsed, of a client who is restricted, or one that says who he is.
 * `bytes` are behind it, of which `*used` belong to it. `told` is DECODED_KEY_BYTES of room. */
enum admission_verdict admission_look(struct admission *admission, bool has_users,
									  struct command *command, char *told, const char *bytes,
									  size_t length, size_t *used);

/* What follows `stats`, and what follows `snug`. */
struct errand *errand_stats(struct server *server, const char *what, size_t length,
							struct text *out);
struct errand *errand_snug(struct server *server, const char *what, size_t length,
						   struct text *out);

#endif
