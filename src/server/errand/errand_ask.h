/* server/errand/errand_ask.h: an errand (server/errand/errand.h) from a thread that is no worker's:
 * it visits the workers one after the other by message, waits until it is ready, and takes the
 * answer, each within a time. And the question whether the workers answer at all, to all of them at
 * once.
 *
 * What does not answer in time is not given up but put aside, for a worker may yet come to it; it
 * is looked after at later calls. At the end nobody waits for it here: when the server has stopped
 * (server_stop), every message is answered and every ticket, and all that was put aside is back. So
 * a worker that never answers holds up the one wait that cannot be bounded, that for its own
 * thread. */
#ifndef SNUG_SERVER_ERRAND_ASK_H
#define SNUG_SERVER_ERRAND_ASK_H

#include "base/text.h"
#include "server/protocol/protocol.h"
#include "server/server.h"

#include <pthread.h>

struct ask;

struct asks {
	struct server *server;
	pthread_mutex_t mutex; /* of: */
	struct ask *late;      /* put aside */
	uint32_t late_count;
	_Atomic bool is_stopping; /* atomic: asks_stop sets it */
};

void asks_init(struct asks *asks, struct server *server);
/* From now on nobody waits for the coordinator, and who asks one thing after the other asks no more
 * (asks_is_stopping). Any thread. */
void asks_stop(struct asks *asks);
bool asks_is_stopping(const struct asks *asks);
/* When nobody asks any more, and the server has stopped: ends what was put aside, without
 * waiting. */
void asks_deinit(struct asks *asks);

/* What follows `snug`, or with is_stats what follows `stats`. The answer, as a client of the server
 * would get it, is appended to `out`; a refusal of ours has the same form. Each worker has
 * `patience_ns` to come to it. Any thread but a worker's. */
void asks_perform(struct asks *asks, bool is_stats, const char *words, uint64_t patience_ns,
				  struct text *out);

/* Takes what is in the text, and empties it: part of an answer. False: nobody wants the rest. */
struct ask_taker {
	bool (*take)(void *context, struct text *text);
	void *context;
};

/* A command of the protocol: one of those that errand_command takes (server/errand/errand.h). Else
 * the same; what is not taken as a part is in `out`. */
void asks_command(struct asks *asks, const struct command *command, uint64_t patience_ns,
				  struct ask_taker taker, struct text *out);

/* Whether all workers answer within `patience_ns` in total; else a line about each that does not is
 * appended to `out`. Any thread but a worker's. */
bool asks_probe(struct asks *asks, uint64_t patience_ns, struct text *out);

#endif
