/* server_churn.h: a client in a process of its own that fragments a server's memory beside the
 * load: stores objects of changing sizes, deletes most of every second one, and, if it is told to,
 * has what that leaves defragmented, again and again without a pause. */
#ifndef SNUG_BENCH_SERVER_CHURN_H
#define SNUG_BENCH_SERVER_CHURN_H

#include "server_process.h"

#include <stdbool.h>

struct server_churn {
	pid_t pid;
	int report; /* what it did, when it ends */
};

struct server_churn_report {
	uint64_t rounds; /* defragmentations, if it asked for them */
	uint64_t reclaimed_bytes;
};

struct server_churn server_churn_start(const struct server_process *server, bool defragments,
									   uint64_t seed);
struct server_churn_report server_churn_stop(struct server_churn *churn);

#endif
