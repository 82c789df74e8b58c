/* contestant.h: the room of bench-readers, and what its tables have in common.
 *
 * readers.c         the program: options, rounds, the table of figures
 * window.c, .h      threads that read and write one table for a while; every value certified
 * beside.c, .h      how long gets take while the owner defragments
 * own.c             a shard that its owner reads, in one thread: what the others are measured by
 * embedded.c        the cache over workers, read and written by clients' threads
 * striped.c         a hash table under striped locks, as one writes it oneself
 * lockfree.c        liburcu's cds_lfht
 * concurrent.cc     TBB's concurrent_hash_map
 *
 * A contestant maps keys of 16 bytes to values of 200. All hash with XXH3. A get copies the value
 * out. A set replaces the whole value.
 *
 * For C and C++. */
#ifndef SNUG_BENCH_CONTESTANT_H
#define SNUG_BENCH_CONTESTANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VALUE_WORDS 25u

struct reader_key {
	uint64_t words[2];
};

/* Certifies itself: the key's number, the version, words that follow from both, and a checksum. */
struct reader_value {
	uint64_t words[VALUE_WORDS];
};

struct contest {
	uint32_t items;   /* that are stored before the first round; no others come */
	uint32_t workers; /* of the embedded cache */
	bool huge_pages;  /* for the memory that a contestant can ask for */
};

/* All functions end the benchmark when they fail. */
struct contestant {
	const char *name;
	/* One thread reads and writes: the one that created the table. */
	bool owner_only;
	void *(*create)(const struct contest *contest);
	void (*destroy)(void *table);
	/* A thread comes, and goes. What `enter` returns is that thread's own. */
	void *(*enter)(void *table);
	void (*leave)(void *visitor);
	/* False: there is none. */
	bool (*get)(void *visitor, const struct reader_key *key, struct reader_value *out);
	void (*set)(void *visitor, const struct reader_key *key, const struct reader_value *value);
	/* After each block of operations; NULL: nothing is to be done then. */
	void (*pause)(void *visitor);
};

extern const struct contestant contestant_own;
extern const struct contestant contestant_embedded;
extern const struct contestant contestant_striped;
extern const struct contestant contestant_lockfree;
extern const struct contestant contestant_concurrent;

/* ------------------------------------------------------------------ keys and values ----------- */

static inline struct reader_key reader_key_of(uint64_t number) {
	struct reader_key key = {{number * 0x9E3779B97F4A7C15u, ~number}};
	return key;
}

/* The multiplications do not wait for each other. */
static inline uint64_t reader_value_sum(const struct reader_value *value) {
	uint64_t sum = 0;
	for (uint64_t i = 0; i < VALUE_WORDS - 1; i++) sum += value->words[i] * (2 * i + 1);
	return sum;
}

static inline void reader_value_make(struct reader_value *out, uint64_t number, uint64_t version) {
	uint64_t pattern = number * 0xBF58476D1CE4E5B9u ^ version * 0x94D049BB133111EBu;
	out->words[0] = number;
	out->words[1] = version;
	for (uint64_t i = 2; i < VALUE_WORDS - 1; i++) out->words[i] = pattern + (i << 32);
	out->words[VALUE_WORDS - 1] = reader_value_sum(out);
}

/* Whether it is a value of this key, whole, and of one version. */
static inline bool reader_value_is_of(const struct reader_value *value, uint64_t number) {
	return value->words[0] == number && value->words[VALUE_WORDS - 1] == reader_value_sum(value);
}

#ifdef __cplusplus
}
#endif
#endif
