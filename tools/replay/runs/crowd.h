/* crowd.h: a workload through clients and workers, many threads at once: run_crowd.c leads, crowd_client.c is one client.
 *
 *     client 0  ledger, share of the live bytes --batches of operations--> \
 *     client 1  ...                                                        >  workers, each with its share of the limit
 *     client 2  ...                                                        /
 *     the leader: phases, progress, one defragmentation after the other through a coordinator, while clients run
 *
 * A phase is run by all clients at once, each on its own objects, and ends when all are done. */
#ifndef REPLAY_CROWD_H
#define REPLAY_CROWD_H

#include "ledger/ledger.h"
#include "replay.h"
#include "workloads/workloads.h"

#include <pthread.h>

#define CROWD_BATCH ((size_t)32) /* operations, at most */

/* One operation of a batch, and where its object's bytes are. */
struct crowd_step {
	uint32_t index; /* of its entry */
	uint32_t size;
	uint64_t header;
	size_t buffer_at;
};

/* The client's thread only, but for what is atomic. */
struct crowd_client {
	const struct job *job;
	struct progress *progress;
	const struct phase *phase;
	snug_client *endpoint;
	pthread_t thread;
	uint64_t live_bytes;  /* its share: payload to keep live */
	size_t largest_bytes; /* sizes are cut to this */
	struct ledger ledger;
	struct random size_random;
	struct random victim_random;
	snug_histogram operation_ns;
	uint64_t operations;
	uint64_t allocated_bytes;
	uint64_t allocations;
	uint64_t failed_allocations;
	uint64_t frees;
	uint64_t verified_bytes;
	uint64_t integrity_errors;
	char problem[TEXT_ROOM]; /* the first one; empty: none */
	size_t count;            /* of the batch */
	size_t buffer_bytes;     /* of the batch */
	size_t pending_bytes;    /* of its allocations */
	unsigned char *buffer;
	size_t buffer_room;
	snug_operation operation[CROWD_BATCH];
	struct crowd_step step[CROWD_BATCH];
	_Atomic bool done; /* with the phase; the leader resets it */
};

/* False: `problem` says why. */
bool crowd_client_begin(struct crowd_client *client, snug_workers *workers);
/* Runs client->phase; a thread's function. */
void *crowd_client_run(void *client);
/* Verifies and frees everything; not counted among the workload's operations. */
void crowd_client_end(struct crowd_client *client);

/* The job's run, in the child. */
void run_crowd(struct shared *shared);

#endif
