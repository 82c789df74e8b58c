/* The secret: it decides the places of keys, it can be set until it matters, and no family of alike
 * keys meets in one place whatever the secret is. SNUG_SEED chooses the secrets. */
#include "support/require.h"
#include "support/test_random.h"
#include "unit/cmocka_all.h"
#include "work/key_hash.h"

#include <snug/shard.h>

#include <stdio.h>
#include <string.h>

#define SECRETS 100u
#define KEYS 4096u
#define PLACES 512u
/* 8 on average; more than 30 once in a billion places, if they are spread at random */
#define MOST_IN_A_PLACE 40u

static test_random random_of_test;

static void set_secret(uint64_t low, uint64_t high) {
	const uint64_t secret[2] = {low, high};
	REQUIRE_OK(snug_hash_secret_set(secret));
}

static void the_secret_decides(void **state) {
	(void)state;
	uint64_t random = snug_shard_key("key", 3).hash;
	set_secret(1, 2);
	uint64_t first = snug_shard_key("key", 3).hash;
	set_secret(1, 3);
	uint64_t other = snug_shard_key("key", 3).hash;
	set_secret(1, 2);
	REQUIRE(snug_shard_key("key", 3).hash == first, "the same secret, another hash");
	REQUIRE(first != other && first != random && other != random, "another secret, the same hash");
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_hash_secret_set(NULL));
}

/* ------------------------------------------------------------------ families of keys ------ */

/* Writes key number `number` of a family; tells its length. */
typedef size_t (*family_function)(uint32_t number, unsigned char *key);

static size_t decimal(uint32_t number, unsigned char *key) {
	return (size_t)snprintf((char *)key, 32, "user:%u", number);
}

static size_t number_of_4(uint32_t number, unsigned char *key) {
	memcpy(key, &number, 4);
	return 4;
}

static size_t high_bits_of_8(uint32_t number, unsigned char *key) {
	uint64_t wide = (uint64_t)number << 52;
	memcpy(key, &wide, 8);
	return 8;
}

static size_t multiples_of_8(uint32_t number, unsigned char *key) {
	uint64_t wide = number * UINT64_C(0x9FB21C651E98DF25); /* one of XXH3's own multipliers */
	memcpy(key, &wide, 8);
	return 8;
}

static size_t two_numbers_of_16(uint32_t number, unsigned char *key) {
	uint64_t wide[2] = {number & 63, number >> 6};
	memcpy(key, wide, 16);
	return 16;
}

/* Blocks of 16 bytes as they are or with all bits turned: 32-byte pairs of such keys are XXH3's
 * worst known ones. */
static size_t turned_blocks(uint32_t number, unsigned char *key) {
	memset(key, 0x51, 192);
	for (uint32_t block = 0; block < 12; block++)
		if (number >> block & 1)
			for (uint32_t at = 0; at < 16; at++) key[16 * block + at] ^= 0xFF;
	return 192;
}

static size_t turned_block_of_32(uint32_t number, unsigned char *key) {
	static const unsigned char worst[16] = {0x51, 0x15, 0x12, 0x10, 0x40, 0x44, 0,    0,
											0,    0,    0,    0x82, 0x04, 0,    0x01, 0x05};
	memset(key, 0, 32);
	memcpy(key + 16, worst, 16);
	if (number & 1)
		for (uint32_t at = 16; at < 32; at++) key[at] ^= 0xFF;
	number >>= 1;
	memcpy(key, &number, sizeof number);
	return 32;
}

static size_t long_ones(uint32_t number, unsigned char *key) {
	memset(key, 'a', 250);
	memcpy(key + 64, &number, sizeof number);
	return 250;
}

static size_t lengths(uint32_t number, unsigned char *key) {
	memset(key, 0, SNUG_KEY_BYTES_MAX);
	key[0] = (unsigned char)(number / 250);
	return number % 250 + 1;
}

static const struct {
	const char *name;
	family_function key;
} families[] = {
	{"decimal numbers", decimal},
	{"numbers of 4 bytes", number_of_4},
	{"the high bits of 8 bytes", high_bits_of_8},
	{"multiples in 8 bytes", multiples_of_8},
	{"two numbers in 16 bytes", two_numbers_of_16},
	{"blocks turned", turned_blocks},
	{"a block of 32 bytes turned", turned_block_of_32},
	{"250 bytes", long_ones},
	{"all lengths", lengths},
};

static uint32_t most_of(const uint32_t *counts) {
	uint32_t most = 0;
	for (uint32_t place = 0; place < PLACES; place++)
		if (counts[place] > most) most = counts[place];
	return most;
}

/* The index's places are the high bits of a hash, the workers' are in the middle, the tags are the
 * low ones. */
static void require_spread(const char *name, family_function family) {
	static uint32_t high[PLACES], middle[PLACES], low[PLACES];
	unsigned char key[SNUG_KEY_BYTES_MAX];
	memset(high, 0, sizeof high);
	memset(middle, 0, sizeof middle);
	memset(low, 0, sizeof low);
	for (uint32_t number = 0; number < KEYS; number++) {
		uint64_t hash = key_hash(key, family(number, key));
		high[hash >> 55]++;
		middle[(hash >> 23) % PLACES]++;
		low[hash % PLACES]++;
	}
	uint32_t most = most_of(high), most_middle = most_of(middle), most_low = most_of(low);
	REQUIRE(most <= MOST_IN_A_PLACE && most_middle <= MOST_IN_A_PLACE &&
				most_low <= MOST_IN_A_PLACE,
			"%s: %u, %u and %u of %u keys in one of %u places", name, most, most_middle, most_low,
			KEYS, PLACES);
}

static void alike_keys_do_not_meet(void **state) {
	(void)state;
	for (uint32_t secret = 0; secret < SECRETS; secret++) {
		set_secret(test_random_next(&random_of_test), test_random_next(&random_of_test));
		for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
			require_spread(families[i].name, families[i].key);
	}
}

/* The last case: the secret is settled for the rest of the process. */
static void a_shard_settles_it(void **state) {
	(void)state;
	snug_shard_options options = snug_shard_options_default();
	options.heap.limit_bytes = (size_t)1 << 20;
	snug_shard *shard;
	REQUIRE_OK(snug_shard_create(&options, &shard));
	uint64_t secret[2] = {1, 2};
	REQUIRE_ERROR(SNUG_ERROR_IN_USE, snug_hash_secret_set(secret));
	REQUIRE_OK(snug_shard_destroy(shard));
	REQUIRE_ERROR(SNUG_ERROR_IN_USE, snug_hash_secret_set(secret));
}

int main(void) {
	random_of_test.state = test_environment_number("SNUG_SEED", 6);
	printf("key_hash: SNUG_SEED=0x%llx\n", (unsigned long long)random_of_test.state);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_secret_decides),
		cmocka_unit_test(alike_keys_do_not_meet),
		cmocka_unit_test(a_shard_settles_it),
	};
	return cmocka_run_group_tests_name("key_hash", tests, NULL, NULL);
}
