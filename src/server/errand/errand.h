/* server/errand/errand.h: what one command cannot be answered with at once: figures of all workers,
 * or something that the coordinator does. The door of this room:
 *
 *     errand.c           which errand a command is; flush_all, refresh_certs, verbosity, shutdown
 *     errand_door.c      which commands are the operator's, and how they are refused to others
 *     errand_stats.c     `stats` in all its forms
 *     errand_snug.c      `snug ..`: which of the next two it is
 *     errand_cleanup.c   what is asked of the coordinator: estimate, defrag, emergency, ..
 *     errand_clients.h, .c  who is connected; closes some of them
 *     errand_memory.c    what is asked of the workers themselves: metrics, latency, map, limit, ..
 *     errand_slow.c      the slowest commands
 *     errand_ask.h, .c   an errand from a thread that is no worker's: HTTP's, an operator's
 *     errand_admission.c what a client may say who has not been let in, or may not do all
 *     errand_login.c     a client says who he is
 *     errand_parts.h     the errands of this room
 *
 * What all errands have in common is in server/visit/visit.h; those that tell of what lies in the
 * cache are in server/inspect.
 *
 * Laws    - The work that an errand has begun does not end with it: what the coordinator took goes
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
struct errand; /* server/visit/visit.h */

/* For COMMAND_FLUSH, COMMAND_VERBOSITY, COMMAND_MEMLIMIT, COMMAND_SHUTDOWN, COMMAND_REFRESH,
 * COMMAND_STATS, COMMAND_SNUG, COMMAND_CRAWLER, COMMAND_WATCH. NULL: `out` has the answer already,
 * which may be a refusal. Any thread. The command's bytes are not referred to after the return. */
struct errand *errand_command(struct server *server, const struct command *command,
							  struct text *out);
/* The same for a client of that worker, on its thread: counted there. `fd` is the client's. */
struct errand *errand_begin(struct server_worker *asker, int fd, const struct command *command,
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
	uint8_t refusals;   /* of what he said who he is */
};

void admission_grant(struct admission *admission, uint8_t rights);
/* He was told whether he is let in. True: he has tried often enough, and is to go. */
bool admission_answer(struct admission *admission, uint8_t rights);

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

/* The lowest memory limit, over all workers, that they can keep: what a worker holds for itself does
 * not shrink with it. What the server began with is taken in any case. Any thread. */
uint64_t errand_least_limit_bytes(const struct server *server);

#endif
