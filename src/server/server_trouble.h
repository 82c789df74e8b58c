/* server/server_trouble.h: what goes wrong is told in the log while it does, with its figure: a line
 * for each kind of trouble, TROUBLE_PAUSE_NS apart at least. What is fine is not told. */
#ifndef SNUG_SERVER_SERVER_TROUBLE_H
#define SNUG_SERVER_SERVER_TROUBLE_H

#include "server/server.h"

#define TROUBLE_PAUSE_NS UINT64_C(10000000000)
/* Evictions are told when they begin: a cache that is full evicts, and goes on doing so. */
#define TROUBLE_AGAIN_NS UINT64_C(600000000000)

/* What somebody else than a worker has counted. Any thread. */
void server_trouble_add(struct server *server, enum trouble_kind kind, uint64_t count,
						uint64_t now_ns);
/* Once a second, on the worker's thread: what it has counted since the last time. */
void server_trouble_look(struct server_worker *worker, uint64_t now_ns);

#endif
