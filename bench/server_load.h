/* server_load.h: clients of a memcached-protocol server, in a closed loop: each connection sends
 * its next requests when all answers to its last ones are there. Every answer is read and checked:
 * its form, its length, and the key that the value was stored under. */
#ifndef SNUG_BENCH_SERVER_LOAD_H
#define SNUG_BENCH_SERVER_LOAD_H

#include "bench.h"
#include "server_process.h"

#define KEY_BYTES_MAX 64
#define VALUE_BYTES_MAX (1000u * 1000u) /* below the usual largest item */
#define LOAD_CONNECTIONS_MAX 1024

struct load_shape {
	const char *name;
	unsigned pipeline;  /* requests sent at once */
	unsigned multiget;  /* keys in each get */
	unsigned set_share; /* one request in so many is a set; 0: none */
	bool new_keys;      /* none twice, in place of Zipf's law; only for sets */
};

struct load_options {
	uint32_t keys;            /* how many there are */
	uint32_t key_bytes;       /* 16 .. KEY_BYTES_MAX */
	uint32_t value_bytes_min; /* 0: Meta's published sizes */
	uint32_t value_bytes_max;
	unsigned connections;
	uint64_t seed;
};

struct load_result {
	uint64_t requests; /* a get of several keys is one */
	uint64_t hits;
	uint64_t misses;
	uint64_t hit_bytes; /* keys and values that were found */
	uint64_t refused;   /* sets that were answered with SERVER_ERROR */
	uint64_t elapsed_ns;
	uint64_t server_cpu_ns;
	snug_histogram latency_ns; /* from sending to the last answer of what was sent at once */
};

struct load;

/* Keys are drawn by Zipf's law with exponent 0.99, unless the shape says otherwise. A key's value has always the same size. */
struct load *load_create(const struct load_options *options);
void load_destroy(struct load *load);

/* Stores all keys [from, to) in order; `refused` counts what was not taken. */
void load_fill(struct load *load, const struct server_process *server, uint32_t from, uint32_t to,
			   struct load_result *result);
/* Asks for all keys [from, to). */
void load_scan(struct load *load, const struct server_process *server, uint32_t from, uint32_t to,
			   struct load_result *result);
void load_run(struct load *load, const struct server_process *server,
			  const struct load_shape *shape, uint64_t duration_ns, struct load_result *result);

#endif
