/* bench.h: what the benchmarks share: clock, random numbers, medians, Meta's sizes, a heap with an
 * owner, the options.
 *
 * All of them follow the same rules. What is compared runs in turns within one run (A B C, A B C,
 * ...), so that a noisy machine is unkind to all alike; a figure is the median over the turns, a
 * ratio the median of the turns' ratios. Random numbers come from a printed seed. Tables of what
 * the benchmark itself keeps lie outside the heap that is measured. */
#ifndef SNUG_BENCH_H
#define SNUG_BENCH_H

#include <snug/snug.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

/* ------------------------------------------------------------------ options and failure ------- */

typedef struct bench_options {
	bool json;       /* one JSON object a line instead of tables */
	bool quick;      /* fewer rounds and smaller heaps: shows that it runs, not how fast */
	bool huge_pages; /* everything that can asks for 2 MiB pages */
	unsigned rounds;
	uint64_t seed;
} bench_options;

/* Reads --json, --quick, --huge-pages, --rounds N, --seed N. Prints the use and exits when
 * something else is given. */
bench_options bench_options_parse(int argc, char **argv, unsigned default_rounds);

_Noreturn void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Ends the program when a call of the library failed that must not fail. */
void bench_expect_ok(snug_error error, const char *what);

/* --------------------------------------------------------------- time, random numbers, medians  */

/* CLOCK_MONOTONIC, for what is a matter of microseconds. */
uint64_t bench_now_ns(void);

/* The processor time of this thread, in user and kernel mode, for what takes milliseconds: whatever
 * else runs on the machine is not in it, though it still costs cache. */
uint64_t bench_cpu_ns(void);

typedef struct bench_random {
	uint64_t state; /* not 0 */
} bench_random;

/* xorshift64 (Marsaglia, 2003): some 1 ns, the same for every allocator. */
static inline uint64_t bench_random_next(bench_random *random) {
	uint64_t x = random->state;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	random->state = x;
	return x;
}

/* Uniform in [0, bound), bound <= 2^32. */
static inline size_t bench_random_below(bench_random *random, size_t bound) {
	return (size_t)(((bench_random_next(random) >> 32) * bound) >> 32);
}

void bench_random_init(bench_random *random, uint64_t seed);

/* Sorts `values`; the middle one. */
double bench_median(double *values, size_t count);

/* Zeroed and resident memory outside every heap that is measured. */
void *bench_map(size_t bytes, bool huge_pages);
void bench_unmap(void *address, size_t bytes);

/* ------------------------------------------------------------------ Meta's sizes -------------- */

/* A value size of Meta's key-value cache, at least 8 (room for an object's id) and at most
 * `max_bytes`. */
size_t bench_meta_size(bench_random *random, size_t max_bytes);

/* ------------------------------------------------------------------ a heap with its owner ----- */

/* A heap by reference and the table that its owner keeps: an object's first four bytes are its id,
 * table[id] its reference. `moved` reads the id and writes the entry: the least that a real index
 * has to do. */
typedef struct bench_herd {
	snug_heap *heap;
	snug_ref *refs;     /* by id; 0: no such object */
	uint32_t *sizes;    /* by id */
	uint32_t *free_ids; /* a stack of ids below `ids` without an object */
	size_t capacity;
	size_t ids; /* ids ever given */
	size_t free_id_count;
	uint64_t live_bytes;
} bench_herd;

/* `min_object_bytes` bounds the number of objects and with it the tables. */
void bench_herd_create(bench_herd *herd, const snug_heap_options *options, size_t min_object_bytes);
void bench_herd_destroy(bench_herd *herd);
/* Allocates an object and writes all of it. False: the heap is full. */
bool bench_herd_add(bench_herd *herd, size_t size);
void bench_herd_remove(bench_herd *herd, size_t id);
/* The id of a live object, picked at random; the heap must not be empty. */
size_t bench_herd_pick(const bench_herd *herd, bench_random *random);
/* Objects of `size` (0: Meta's sizes up to `max_bytes`) until the heap is full. */
void bench_herd_fill(bench_herd *herd, bench_random *random, size_t size, size_t max_bytes);

typedef enum bench_pattern {
	BENCH_RANDOM,      /* each object goes with probability 1/2 */
	BENCH_CHECKERBOARD /* every second one goes, in the order of allocation */
} bench_pattern;

void bench_herd_thin(bench_herd *herd, bench_random *random, bench_pattern pattern);

#endif
