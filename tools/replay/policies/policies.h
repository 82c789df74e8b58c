/* policies.h: the door of policies/, what a cache evicts, simulated without contents.
 *
 * simulation.h         requests against one policy under one limit, what is missed counted
 * policies.c           the list of policies
 * policy_snug.c        libsnug's, by the cache's own code
 * policy_lru.c         LRU and FIFO
 * policy_s3fifo.c, policy_sieve.c, policy_arc.c, policy_tinylfu.c, policy_gdsf.c, policy_lhd.c,
 * policy_hyperbolic.c  as published
 * policy_min.c         those that know the future
 * key_list.h           linked lists of keys, for those that need them
 * key_heap.h           the residents by their worth, for those that evict the least
 * residents.h          the residents in no order, for those that draw from them */
#ifndef REPLAY_POLICIES_H
#define REPLAY_POLICIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEY_NONE UINT32_MAX

struct simulation;

/* A policy. It has a state and tables of its own; the simulation keeps the bytes. Each call but
 * begin and evict names the object that it is about. */
struct policy {
	const char *name;
	const char *summary;
	size_t state_bytes;
	/* Sets up simulation->state, which is all zero, and takes its tables (simulation_take); writes
	 * to none of them. */
	void (*begin)(struct simulation *simulation);
	/* The resident object was asked for, or written anew. */
	void (*hit)(struct simulation *simulation, uint32_t key);
	/* The object becomes resident; there is room. */
	void (*insert)(struct simulation *simulation, uint32_t key);
	/* Chooses a resident object and forgets it. At least one is resident. */
	uint32_t (*evict)(struct simulation *simulation);
	/* The resident object was deleted or has expired. */
	void (*remove)(struct simulation *simulation, uint32_t key);
	/* Bytes of the limit that the policy needs now for other than objects and what all policies
	 * need for each. NULL: none. */
	uint64_t (*overhead)(const struct simulation *simulation);
	/* The object was asked for or written and is not resident; room is made next, then it is
	 * inserted. NULL: that is nothing to the policy. */
	void (*miss)(struct simulation *simulation, uint32_t key);
};

/* NULL past the last. */
const struct policy *policy_at(size_t index);

extern const struct policy policy_arc;
extern const struct policy policy_fifo;
extern const struct policy policy_gdsf;
extern const struct policy policy_hyperbolic;
extern const struct policy policy_lhd;
extern const struct policy policy_lru;
extern const struct policy policy_min;
extern const struct policy policy_min_sized;
extern const struct policy policy_s3fifo;
extern const struct policy policy_sieve;
extern const struct policy policy_snug;
extern const struct policy policy_snug_bytes;
extern const struct policy policy_tinylfu;

#endif
