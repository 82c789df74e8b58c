/* server/server_worker.h: what a worker of the server does on its thread: the hook that server.c
 * gives to snug/workers.h. */
#ifndef SNUG_SERVER_SERVER_WORKER_H
#define SNUG_SERVER_SERVER_WORKER_H

#include "server/server.h"

/* On the worker's thread, when its shard is there: io and memory. Listens when the server is
 * complete. */
snug_error server_worker_begin(struct server_worker *worker);
/* Answers from others, sockets, requests to others, sends, upkeep. Tells whether there was
 * anything. */
bool server_worker_turn(struct server_worker *worker);
void server_worker_sleep(struct server_worker *worker, int wake_fd, uint64_t timeout_ns);
/* The worker's seconds, at that moment of the clock that nobody sets. */
void server_worker_look_at_clocks(struct server_worker *worker, uint64_t now_ns);
/* Others' requests. */
void server_worker_run(struct server_worker *worker, void *const *requests, size_t count);
/* What was asked is answered, connections are closed. */
void server_worker_end(struct server_worker *worker);

#endif
