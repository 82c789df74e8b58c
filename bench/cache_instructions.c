/* cache_instructions.c: bench-cache-instructions: calls of a shard for callgrind to count, as
 * bench-instructions does for the heap: inside the functions whose names begin with counted_,
 * divided by the number that is printed.
 *
 *     bench-cache-instructions keys|hits|misses|replacements|evictions      counted_NAME
 *
 * Keys of 30 bytes, values of 230. Hits and misses in a shard of 20,000 items; replacements store
 * values of the same size over those that are there; evictions store new keys in a shard of 4 MiB
 * that is full, so the price of an eviction, its part in compactions and in the index is in
 * them. */
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

/* Keys that differ with `first`. */
static void make_texts(char (*texts)[KEY_BYTES], size_t first) {
	for (size_t i = 0; i < ITEMS; i++) {
		memset(texts[i], 'k', KEY_BYTES);
		for (size_t at = 0; at < 8; at++)
			texts[i][at] = (char)('a' + ((first + i) >> (4 * at) & 15));
	}
}

int main(int argc, char **argv) {
	static char texts[2][ITEMS][KEY_BYTES];
	static snug_key keys[2][ITEMS];
	static char value[VALUE_BYTES];
	snug_shard_options options = snug_shard_options_default();
	snug_shard *shard;
	if (argc != 2) bench_fail("use: %s keys|hits|misses|replacements|evictions", argv[0]);
	static const uint64_t secret[2] = {1, 2}; /* counts that can be repeated */
	bench_expect_ok(snug_hash_secret_set(secret), "snug_hash_secret_set");
	bool evicting = strcmp(argv[1], "evictions") == 0;
	options.heap.limit_bytes = (evicting ? 4 : 64) * MIB;
	options.heap.page_bytes = 16 * KIB; /* a large cache's */
	bench_expect_ok(snug_shard_create(&options, &shard), "snug_shard_create");
	make_texts(texts[0], 0);
	make_texts(texts[1], ITEMS);
	counted_keys(keys[0], texts[0]);
	counted_keys(keys[1], texts[1]);
	set_all(shard, keys[0], value);
	if (strcmp(argv[1], "hits") == 0)
		counted_hits(shard, keys[0]);
	else if (strcmp(argv[1], "misses") == 0)
		counted_misses(shard, keys[1]);
	else if (strcmp(argv[1], "replacements") == 0)
		counted_replacements(shard, keys[0], value);
	else if (evicting)
		counted_evictions(shard, keys[1], value);
	else if (strcmp(argv[1], "keys") != 0)
		bench_fail("unknown: %s", argv[1]);
	printf("%s %zu\n", argv[1], strcmp(argv[1], "keys") == 0 ? 2 * ITEMS : ITEMS);
	bench_expect_ok(snug_shard_destroy(shard), "the end");
	return 0;
}
