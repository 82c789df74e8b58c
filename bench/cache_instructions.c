/* cache_instructions.c: bench-cache-instructions: calls of a shard for callgrind to count, as
 * bench-instructions does for the heap: inside the functions whose names begin with counted_,
 * divided by the number that is printed.
 *
 *     bench-cache-instructions keys|hits|misses|replacements|evictions|mixed|large   counted_NAME
 *
 * Keys of 30 bytes, values of 230. Hits and misses in a shard of 20,000 items; replacements store
 * values of the same size over those that are there; evictions store new keys in a shard of 4 MiB
 * that is full, so the price of an eviction, its part in compactions and in the index is in
 * them. Mixed are the same with values of 20 to 2,000 bytes in 16 MiB; large are values of 1 MiB in 64
 * MiB of items of 230 bytes, each of which displaces some 4,000. */
#include "bench.h"

#include <snug/shard.h>

#include <stdio.h>
#include <string.h>

#define ITEMS ((size_t)20000)
#define KEY_BYTES 30
#define VALUE_BYTES 230

#define COUNTED __attribute__((noinline)) void

COUNTED counted_keys(snug_key *keys, char (*texts)[KEY_BYTES]);
COUNTED counted_hits(snug_shard *shard, const snug_key *keys);
COUNTED counted_misses(snug_shard *shard, const snug_key *keys);
COUNTED counted_replacements(snug_shard *shard, const snug_key *keys, const char *value);
COUNTED counted_evictions(snug_shard *shard, const snug_key *keys, const char *value);
COUNTED counted_mixed(snug_shard *shard, const snug_key *keys, const char *value);
COUNTED counted_large(snug_shard *shard, const snug_key *keys, const char *value);

COUNTED counted_keys(snug_key *keys, char (*texts)[KEY_BYTES]) {
	for (size_t i = 0; i < ITEMS; i++) keys[i] = snug_shard_key(texts[i], KEY_BYTES);
}

static void get_all(snug_shard *shard, const snug_key *keys, snug_error expected) {
	snug_item item;
	for (size_t i = 0; i < ITEMS; i++)
		if (snug_shard_get(shard, &keys[i], &item) != expected) bench_fail("a get");
}

COUNTED counted_hits(snug_shard *shard, const snug_key *keys) {
	get_all(shard, keys, SNUG_OK);
}

COUNTED counted_misses(snug_shard *shard, const snug_key *keys) {
	get_all(shard, keys, SNUG_ERROR_NOT_FOUND);
}

static void set_all(snug_shard *shard, const snug_key *keys, const char *value) {
	for (size_t i = 0; i < ITEMS; i++)
		bench_expect_ok(snug_shard_set(shard, &keys[i], NULL, value, VALUE_BYTES), "a store");
}

COUNTED counted_replacements(snug_shard *shard, const snug_key *keys, const char *value) {
	set_all(shard, keys, value);
}

COUNTED counted_evictions(snug_shard *shard, const snug_key *keys, const char *value) {
	set_all(shard, keys, value);
}

#define MIXED_LEAST 20
#define MIXED_MOST 2000

/* Sizes that do not follow each other in order. */
static void set_mixed(snug_shard *shard, const snug_key *keys, const char *value) {
	for (size_t i = 0; i < ITEMS; i++) {
		size_t bytes = MIXED_LEAST + i * 7919 % (MIXED_MOST - MIXED_LEAST + 1);
		bench_expect_ok(snug_shard_set(shard, &keys[i], NULL, value, bytes), "a store");
	}
}

COUNTED counted_mixed(snug_shard *shard, const snug_key *keys, const char *value) {
	set_mixed(shard, keys, value);
}

#define LARGE_VALUES 8

static void set_large(snug_shard *shard, const snug_key *keys, const char *value) {
	for (size_t i = 0; i < LARGE_VALUES; i++)
		bench_expect_ok(snug_shard_set(shard, &keys[i], NULL, value, MIB), "a store");
}

COUNTED counted_large(snug_shard *shard, const snug_key *keys, const char *value) {
	set_large(shard, keys, value);
}

/* Keys that differ with `first`. */
static void make_texts(char (*texts)[KEY_BYTES], size_t first) {
	for (size_t i = 0; i < ITEMS; i++) {
		memset(texts[i], 'k', KEY_BYTES);
		for (size_t at = 0; at < 8; at++)
			texts[i][at] = (char)('a' + ((first + i) >> (4 * at) & 15));
	}
}

static size_t limit_of(const char *what) {
	if (strcmp(what, "evictions") == 0) return 4 * MIB;
	return (strcmp(what, "mixed") == 0 ? 16 : 64) * MIB;
}

/* Keys of their own for each. */
static void fill(snug_shard *shard, const char *what, const char *value) {
	static char texts[ITEMS][KEY_BYTES];
	static snug_key keys[ITEMS];
	size_t rounds = strcmp(what, "large") == 0 ? 15 : 3;
	for (size_t round = 0; round < rounds; round++) {
		make_texts(texts, (2 + round) * ITEMS);
		for (size_t i = 0; i < ITEMS; i++) keys[i] = snug_shard_key(texts[i], KEY_BYTES);
		(rounds == 3 ? set_mixed : set_all)(shard, keys, value);
	}
	/* until all that was free is in use */
	if (rounds > 3) set_large(shard, keys, value);
}

static size_t count_calls(snug_shard *shard, const char *what, snug_key (*keys)[ITEMS],
						  const char *value) {
	if (strcmp(what, "mixed") == 0 || strcmp(what, "large") == 0)
		fill(shard, what, value);
	else
		set_all(shard, keys[0], value);
	if (strcmp(what, "hits") == 0)
		counted_hits(shard, keys[0]);
	else if (strcmp(what, "misses") == 0)
		counted_misses(shard, keys[1]);
	else if (strcmp(what, "replacements") == 0)
		counted_replacements(shard, keys[0], value);
	else if (strcmp(what, "evictions") == 0)
		counted_evictions(shard, keys[1], value);
	else if (strcmp(what, "mixed") == 0)
		counted_mixed(shard, keys[1], value);
	else if (strcmp(what, "large") == 0)
		counted_large(shard, keys[1], value);
	else if (strcmp(what, "keys") == 0)
		return 2 * ITEMS;
	else
		bench_fail("unknown: %s", what);
	return strcmp(what, "large") == 0 ? LARGE_VALUES : ITEMS;
}

int main(int argc, char **argv) {
	static char texts[2][ITEMS][KEY_BYTES];
	static snug_key keys[2][ITEMS];
	static char value[MIB];
	snug_shard_options options = snug_shard_options_default();
	snug_shard *shard;
	if (argc != 2)
		bench_fail("use: %s keys|hits|misses|replacements|evictions|mixed|large", argv[0]);
	static const uint64_t secret[2] = {1, 2}; /* counts that can be repeated */
	bench_expect_ok(snug_hash_secret_set(secret), "snug_hash_secret_set");
	options.heap.limit_bytes = limit_of(argv[1]);
	options.heap.page_bytes = 16 * KIB; /* a large cache's */
	options.item_max_bytes = 2 * MIB;
	bench_expect_ok(snug_shard_create(&options, &shard), "snug_shard_create");
	make_texts(texts[0], 0);
	make_texts(texts[1], ITEMS);
	counted_keys(keys[0], texts[0]);
	counted_keys(keys[1], texts[1]);
	printf("%s %zu\n", argv[1], count_calls(shard, argv[1], keys, value));
	bench_expect_ok(snug_shard_destroy(shard), "the end");
	return 0;
}
