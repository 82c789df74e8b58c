/* workloads.h: the door of workloads/. A workload is a list of phases; whatever it is, the same
 * code runs it (runs/).
 *
 * workloads.c             finds one by name
 * workload_ramcloud.c     W1..W8
 * workload_meta.c         meta:..., production sizes
 * workload_twitter.c      twitter:..., mean sizes of clusters
 * workload_adversarial.c  what hurts an allocator that moves; the demo's story
 * sizes.h                 how large objects are: sizes.c draws, sizes_meta.c is a table that
 *                         derive_sizes.py wrote, sizes_file.c reads a user's own
 * trace.h                 a recorded sequence of requests, from a file */
#ifndef REPLAY_WORKLOADS_H
#define REPLAY_WORKLOADS_H

#include "replay.h"
#include "workloads/sizes.h"

enum phase_kind {
	PHASE_CHURN,            /* allocate phase_churn_bytes; random objects make room */
	PHASE_DELETE,           /* free a random share of the objects */
	PHASE_DELETE_ALTERNATE, /* free every second object, in the order of their allocation */
	PHASE_PIN,              /* pin a random share of the objects */
	PHASE_UNPIN,            /* unpin a random share of the pinned ones */
	PHASE_DEFRAGMENT,       /* a no-operation for mallocs */
	PHASE_TRACE             /* replay the job's trace */
};

struct phase {
	enum phase_kind kind;
	double amount;
	struct sizes sizes;
};

struct workload {
	char name[NAME_ROOM];
	char summary[TEXT_ROOM];
	struct phase phases[PHASE_MAX];
	size_t phase_count;
};

/* Finds a workload by name; the job's trace and sizes files make the workloads "trace" and "sizes".
 * False: `problem` says why. */
bool workload_find(const struct job *job, struct workload *out, char *problem, size_t room);

/* The names of all that are built in, in order; NULL past the last. W1..W8 and meta:... come
 * first. */
const char *workload_name_at(size_t index);
/* How many of them `--workload all` runs. */
size_t workload_all_count(void);

/* What a phase of churn allocates: `amount` times the live bytes, or where it names none `factor`
 * times. */
static inline uint64_t phase_churn_bytes(const struct phase *phase, double factor,
										 uint64_t live_bytes) {
	return (uint64_t)((phase->amount > 0 ? phase->amount : factor) * (double)live_bytes);
}

/* The same of all phases. */
uint64_t workload_planned_bytes(const struct workload *workload, const struct job *job);

/* Tables of their own files. */
bool workload_ramcloud(size_t index, struct workload *out);
bool workload_meta(size_t index, struct workload *out);
bool workload_adversarial(size_t index, struct workload *out);
bool workload_twitter(size_t index, struct workload *out);

/* Mean bytes of keys and values of one of Twitter's clusters. False: it is not in the table. */
bool twitter_bytes(uint64_t cluster, uint32_t *key_bytes, uint32_t *value_bytes);

#define SIZES_ALWAYS(bytes) \
	{ .kind = SIZES_FIXED, .low_bytes = (bytes) }
#define SIZES_BETWEEN(low, high) \
	{ .kind = SIZES_UNIFORM, .low_bytes = (low), .high_bytes = (high) }

#endif
