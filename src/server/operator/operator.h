/* server/operator/operator.h: the operator's door: the control socket, served by threads of its own
 * (operator.c).
 *
 * It must open when all else is full: it does not count towards -c, takes no memory of the items'
 * and no turn of a worker, and waits for none that is stalled, but says which it is. So no worker
 * serves it. It asks the workers by message and the coordinator by ticket, as HTTP does
 * (server/errand/errand_ask.h). It serves commands of operators; items are served elsewhere. */
#ifndef SNUG_SERVER_OPERATOR_H
#define SNUG_SERVER_OPERATOR_H

#include "server/process/listeners.h"
#include "server/server.h"

struct operator_door;

/* Serves the listener of kind LISTENER_CONTROL; none: `*out` is NULL, and true. The listener's
 * descriptor stays its own. False: no memory, no thread. */
bool operator_create(struct server *server, const struct listeners *listeners,
					 struct operator_door **out);

/* Accepts no more, and ends the connections, each of which waits some seconds for a worker at most.
 * Before server_stop. NULL is ignored. */
void operator_stop(struct operator_door *door);
/* Between server_stop, after which no worker holds anything of ours any more, and server_destroy.
 * Stops, if that was not done. NULL is ignored. */
void operator_destroy(struct operator_door *door);

#endif
