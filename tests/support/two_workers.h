/* two_workers.h: the server's two workers, with a shard each, in one thread, on fake sockets
 * (fake_io.h): parser, connections, output and the worker's turn as snugd has them, and no
 * coordinator. Nothing happens but by these calls, so a run is the same each time.
 *
 *     world_begin -> world_connect, fake_send -> world_turn, world_serve, in any order -> what the client has read -> world_end
 *
 * At the end all clients go, and nothing may be held by anybody: connections, records, blocks,
 * input, leases. */
#ifndef SNUG_TEST_TWO_WORKERS_H
#define SNUG_TEST_TWO_WORKERS_H

#include "server/connection/connection.h"
#include "server/server.h"
#include "support/fake_io.h"

#define WORLD_WORKERS 2u
#define WORLD_BEGIN_S 1700000000

struct world_options {
	uint64_t memory_bytes;            /* of each shard; 0: 32 MiB */
	uint64_t connection_memory_bytes; /* of each worker; 0: 16 MiB */
	uint64_t item_max_bytes;          /* 0: 1 MiB */
	uint32_t page_bytes;              /* of the shards; 0: chosen from their memory */
	struct tls *tls;                  /* NULL: nobody speaks TLS */
};

struct world {
	struct server server;
	struct server_worker worker[WORLD_WORKERS];
	uint64_t now_ns; /* moved by the test, and by a microsecond at each look */
};

/* The only one; begins it. First thing in main: test_set_secret (test_secret.h). */
struct world *world_begin(const struct world_options *options);
/* All clients are reset; then requires that all is given back, and that both shards are sound. */
void world_end(void);

/* A client of that worker: the number of his socket. */
uint32_t world_connect(uint32_t worker);
/* The same of one that is to speak TLS. */
uint32_t world_connect_secured(uint32_t worker);

/* One turn: answers of the other, sockets, requests to the other, sends. */
void world_turn(uint32_t worker);
/* At most so many messages of the other are carried out, and answered. Tells how many. */
uint32_t world_serve(uint32_t worker, uint32_t most);
/* Both, for both, until nothing happens any more. */
void world_settle(void);

/* How much that worker's connections hold. */
uint64_t world_held_bytes(uint32_t worker);
/* Something that its clients have asked for is another's, or not ready. */
bool world_waits(uint32_t worker);
uint64_t world_leases(uint32_t worker);
/* That lie in its inbox. */
uint32_t world_messages(uint32_t worker);

/* The number-th key of that owner, ended by a NUL. */
#define WORLD_KEY_BYTES 16u
void world_key(uint32_t owner, uint32_t number, char key[WORLD_KEY_BYTES]);

#endif
