/* server/server_outbox.h: what a worker asks the others for, and what becomes of it.
 *
 * A request goes to its owner's inbox as a message that carries its address, and comes back the same way over this worker's own channel, which
 * has room for all that can be away: so no owner ever waits to answer. If an inbox is full, what is for it waits in the outbox, in order.
 *
 * An owner who sleeps need not be woken for a key. He lends his shard while he sleeps (work/loan.h), and who asks carries the request out himself,
 * on his own thread: then it costs what a key of his own costs. docs/design/0007-lent-shards.md has the reasons and the figures. */
#ifndef SNUG_SERVER_SERVER_OUTBOX_H
#define SNUG_SERVER_SERVER_OUTBOX_H

#include "server/server.h"

#define RECORDS_AWAY_MAX 2048u /* also the room of the channel that they come back on */

/* What has come back; tells whether anything had. */
bool outbox_take_answers(struct server_worker *worker);
/* Of this worker's own requests, those that take several turns: a slice of some of them. Tells whether there were any. */
bool outbox_serve_unfinished(struct server_worker *worker);
/* To whom it is for, or carried out where he sleeps. Tells whether there may be more: carried out, or left for a full inbox. */
bool outbox_send(struct server_worker *worker);

/* What time it is on the shard of `worker`: by whoever has it, before anything is asked of it. */
void outbox_look_at_clocks(struct server_worker *worker, uint64_t now_ns);
/* Others' requests, on the shard of `worker`: by himself, or by who has his loan. */
void outbox_run(struct server_worker *worker, void *const *requests, size_t count);

/* The worker lends his shard while he sleeps. */
void outbox_lend(struct server_worker *worker);
/* He is awake: tells whether another has used it. */
bool outbox_recall(struct server_worker *worker);

#endif
