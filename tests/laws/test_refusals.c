/* test_refusals.c: a refusal changes nothing (K9), and what is accepted can be stored.
 *
 *     SNUG_SEED=0x1234 build/tests/laws/test_refusals     the same run again
 *     SNUG_OPS=200000                                     operations in each configuration
 *
 * A shard is driven by random operations of all kinds, leases, charges and limits, while the system
 * refuses memory now and then. Before each one the whole content is written down, value by value;
 * after a refusal it must be there as it was, but for the old value of the key of a refused set.
 * So an eviction for nothing is seen, whichever way it came about.
 *
 * NOT EXACT is one case: the table of pins needs a grain, a page of items goes for it, and then the
 * system refuses the grain. Under a hard limit it cannot be asked before. */
#include "base/bits.h"
#include "cache/operation/operation.h"
#include "cache/shard/shard_state.h"
#include "mem/types.h"
#include "os/fake.h"
#include "support/require.h"
#include "support/test_random.h"
#include "support/test_secret.h"
#include "unit/cmocka_all.h"
#include "work/key_hash.h"

#include <snug/shard.h>
#include <stdio.h>
#include <string.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define KEYS 800u
#define LEASES 12u
#define OPS_DEFAULT 3000u
#define VALUE_MAX (4 * MIB)

static unsigned char value[VALUE_MAX];
static unsigned char found[512]; /* of a value: what is compared */

struct play {
	snug_shard *shard;
	struct fake_os fake;
	struct operation_counts counts;
	test_random random;
	size_t limit_bytes;
	size_t item_max_bytes;
	size_t charged_bytes;
	snug_lease reserved[LEASES];
	uint32_t reserved_key[LEASES];
	snug_lease pinned[LEASES];
	uint64_t before[KEYS]; /* a digest of the item; 0: there is none */
	uint64_t evictions;
	uint64_t refusals;
	uint64_t too_large;
	uint64_t stored;
};

static int64_t now_of(void *context) {
	(void)context;
	return 1000000;
}

static snug_key key_of(uint32_t number) {
	static char text[SNUG_KEY_BYTES_MAX + 1];
	int length = snprintf(text, sizeof text, "%u", number);
	for (; length < (int)(number % 7 == 0 ? 100 + number % 140 : 0); length++) text[length] = 'k';
	return snug_shard_key(text, (size_t)length);
}

/* ------------------------------------------------------------------ the content ------------ */

static uint64_t digest_of(struct play *play, uint32_t number) {
	snug_key key = key_of(number);
	snug_item item;
	if (snug_shard_find(play->shard, &key, &item) != SNUG_OK) return 0;
	size_t looked_at = smaller(item.value_bytes, sizeof found);
	REQUIRE_OK(snug_shard_read(play->shard, &item, 0, found, looked_at));
	struct {
		uint64_t value, cas, bytes;
		uint32_t flags, expires_at_s;
	} all = {key_hash(found, looked_at), item.attributes.cas, item.value_bytes,
			 item.attributes.client_flags, item.attributes.expires_at_s};
	uint64_t digest = key_hash(&all, sizeof all);
	return digest == 0 ? 1 : digest;
}

static void write_down(struct play *play) {
	for (uint32_t number = 0; number < KEYS; number++)
		play->before[number] = digest_of(play, number);
	play->evictions = play->shard->stats.evictions;
}

/* `own`: the key whose old value may be gone; KEYS: none. */
static void require_as_before(struct play *play, uint32_t own, const char *what) {
	for (uint32_t number = 0; number < KEYS; number++) {
		uint64_t now = digest_of(play, number);
		if (now == play->before[number] || (number == own && now == 0)) continue;
		REQUIRE(false, "a refused %s: key %u %s; %llu evictions", what, number,
				now == 0 ? "is gone" : "has changed",
				(unsigned long long)(play->shard->stats.evictions - play->evictions));
	}
	play->refusals++;
}

/* ------------------------------------------------------------------ what is done ----------- */

static size_t some_size(struct play *play) {
	test_random *random = &play->random;
	size_t most = play->item_max_bytes - SNUG_KEY_BYTES_MAX;
	switch (test_random_below(random, 8)) {
	case 0:
		return test_random_below(random, most);
	case 1:
		return most / 2 + test_random_below(random, most / 2 + 2 * SNUG_KEY_BYTES_MAX);
	case 2:
		return test_random_below(random, smaller(most, 40000));
	default:
		return test_random_below(random, 600);
	}
}

static struct operation some_operation(struct play *play, uint32_t number) {
	test_random *random = &play->random;
	struct operation operation = {.key = key_of(number), .value = value};
	operation.kind = (uint8_t)(test_random_chance(random, 700)
								   ? OPERATION_STORE
								   : test_random_below(random, OPERATION_KIND_COUNT));
	operation.mode = (uint8_t)test_random_below(random, STORE_PREPEND + 1);
	if (test_random_chance(random, 600)) operation.mode = STORE_SET;
	operation.value_bytes = (uint32_t)some_size(play);
	if (test_random_chance(random, 100)) operation.value_bytes = 1; /* a number, '9' */
	operation.client_flags = test_random_chance(random, 300) ? 7 : 0;
	operation.exptime = test_random_chance(random, 300) ? 100000 : 0;
	operation.vivify_exptime = 1000;
	operation.delta = UINT64_C(1) << test_random_below(random, 63);
	if (test_random_chance(random, 300)) operation.options |= OPERATION_HAS_EXPTIME;
	if (test_random_chance(random, 300)) operation.options |= OPERATION_WANTS_CAS;
	if (test_random_chance(random, 100)) operation.options |= OPERATION_HAS_VIVIFY;
	if (test_random_chance(random, 100)) operation.options |= OPERATION_IS_META;
	if (test_random_chance(random, 50)) operation.options |= OPERATION_INVALIDATES;
	if (test_random_chance(random, 50)) operation.options |= OPERATION_CLEARS_VALUE;
	return operation;
}

/* What may lose its old value: a plain set, and what the meta commands store. */
static bool may_lose(const struct operation *operation) {
	return operation->kind == OPERATION_STORE && operation->mode != STORE_APPEND &&
		   operation->mode != STORE_PREPEND &&
		   (operation->mode == STORE_SET || operation->options & OPERATION_IS_META);
}

static void operate(struct play *play, uint32_t number) {
	struct operation operation = some_operation(play, number);
	operation_execute(play->shard, &operation, &play->counts);
	play->stored += operation.status == STATUS_STORED;
	play->too_large += operation.status == STATUS_TOO_LARGE;
	if (operation.status == STATUS_NO_MEMORY || operation.status == STATUS_TOO_LARGE ||
		operation.status == STATUS_NOT_STORED || operation.status == STATUS_NOT_A_NUMBER) {
		char what[100];
		(void)snprintf(what, sizeof what, "operation %u, mode %u, options %x, %u bytes: status %u",
					   operation.kind, operation.mode, operation.options, operation.value_bytes,
					   operation.status);
		require_as_before(play, may_lose(&operation) ? number : KEYS, what);
	} else
		operation_end(play->shard, &operation);
}

static void reserve(struct play *play, uint32_t number) {
	uint32_t at = (uint32_t)test_random_below(&play->random, LEASES);
	snug_lease *lease = &play->reserved[at];
	snug_key key = key_of(number);
	if (lease->ref == 0) {
		play->reserved_key[at] = number;
		bool may_lack_pins =
			play->fake.commit.fail_at > 0 && shard_pin_table_growth(play->shard) > 0;
		if (snug_shard_reserve(play->shard, &key, some_size(play), lease) != SNUG_OK &&
			!may_lack_pins)
			require_as_before(play, KEYS, "reserve");
		return;
	}
	key = key_of(play->reserved_key[at]);
	if (test_random_chance(&play->random, 300))
		snug_shard_release(play->shard, lease);
	else if (snug_shard_commit(play->shard, &key, NULL, lease) != SNUG_OK)
		require_as_before(play, play->reserved_key[at], "commit");
}

static void pin(struct play *play, uint32_t number) {
	snug_lease *lease = &play->pinned[test_random_below(&play->random, LEASES)];
	snug_key key = key_of(number);
	snug_item item;
	if (lease->ref != 0) {
		snug_shard_release(play->shard, lease);
		return;
	}
	bool may_lack_pins = play->fake.commit.fail_at > 0 && shard_pin_table_growth(play->shard) > 0;
	if (snug_shard_find(play->shard, &key, &item) == SNUG_OK &&
		snug_shard_pin(play->shard, &item, lease) != SNUG_OK && !may_lack_pins)
		require_as_before(play, KEYS, "pin");
}

static void charge(struct play *play) {
	size_t bytes = test_random_below(&play->random, play->limit_bytes);
	if (play->charged_bytes > 0) {
		snug_shard_discharge(play->shard, play->charged_bytes);
		play->charged_bytes = 0;
	} else if (snug_shard_charge(play->shard, bytes) == SNUG_OK) {
		play->charged_bytes = bytes;
	} else {
		require_as_before(play, KEYS, "charge");
	}
}

/* The system begins to refuse, or stops. */
static void change_system(struct play *play) {
	struct fake_call *call = &play->fake.commit;
	bool refuses = test_random_chance(&play->random, 400);
	call->calls = 0;
	call->fail_at = refuses ? test_random_between(&play->random, 1, 20) : 0;
	call->fail_onwards = test_random_chance(&play->random, 700);
}

static void change_limit(struct play *play) {
	size_t bytes = test_random_chance(&play->random, 500)
					   ? play->limit_bytes
					   : test_random_between(&play->random, 256 * KIB, play->limit_bytes);
	snug_error error = snug_shard_set_limit(play->shard, bytes);
	REQUIRE(!error || error == SNUG_ERROR_LIMIT_TOO_SMALL, "%s", snug_error_name(error));
}

static void play_one(struct play *play) {
	uint32_t number = (uint32_t)test_random_below(&play->random, KEYS);
	uint64_t kind = test_random_below(&play->random, 1000);
	if (kind < 3)
		charge(play);
	else if (kind < 6)
		change_limit(play);
	else if (kind < 20)
		change_system(play);
	else if (kind < 60)
		pin(play, number);
	else if (kind < 160)
		reserve(play, number);
	else if (kind < 180)
		(void)snug_shard_maintain(play->shard);
	else
		operate(play, number);
}

/* ------------------------------------------------------------------ plays ------------------ */

static void begin(struct play *play, size_t limit_bytes, size_t page_bytes, size_t item_max_bytes,
				  bool no_eviction) {
	*play = (struct play){.limit_bytes = limit_bytes, .item_max_bytes = item_max_bytes};
	play->random.state = test_environment_number("SNUG_SEED", 0x5eed) + limit_bytes + page_bytes;
	fake_os_init(&play->fake);
	snug_shard_options options = snug_shard_options_default();
	options.heap.limit_bytes = limit_bytes;
	options.heap.page_bytes = page_bytes;
	options.heap.os = &play->fake.os;
	options.item_max_bytes = item_max_bytes;
	options.no_eviction = no_eviction;
	options.now_s = now_of;
	REQUIRE_OK(snug_shard_create(&options, &play->shard));
}

static void end(struct play *play) {
	play->fake.commit.fail_at = 0;
	REQUIRE_OK(snug_shard_check(play->shard, NULL));
	REQUIRE_OK(snug_shard_destroy(play->shard));
	REQUIRE(play->fake.mistakes == 0, "%s", play->fake.first_mistake);
	fake_os_deinit(&play->fake);
}

static void a_refusal_changes_nothing(void **state) {
	static struct play play;
	const struct {
		size_t limit_bytes, page_bytes, item_max_bytes;
		bool no_eviction;
	} kinds[] = {
		{256 * KIB, 0, 128 * KIB, false},      {256 * KIB, 16 * KIB, 256 * KIB, false},
		{512 * KIB, 4 * KIB, 512 * KIB, true}, {1 * MIB, 0, 1 * MIB, false},
		{1 * MIB, 64 * KIB, 512 * KIB, false}, {3 * MIB, 8 * KIB, 2 * MIB, false},
	};
	uint64_t ops = test_environment_number("SNUG_OPS", OPS_DEFAULT);
	(void)state;
	memset(value, '9', sizeof value);
	for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++) {
		begin(&play, kinds[kind].limit_bytes, kinds[kind].page_bytes, kinds[kind].item_max_bytes,
			  kinds[kind].no_eviction);
		for (uint64_t op = 0; op < ops; op++) {
			write_down(&play);
			play_one(&play);
			if (op % 500 == 0) REQUIRE_OK(snug_shard_check(play.shard, NULL));
		}
		uint64_t stored_part = kinds[kind].no_eviction ? 100 : 10;
		REQUIRE(play.refusals > ops / 100 && play.stored > ops / stored_part,
				"kind %zu: %llu refusals and %llu stores are too few", kind,
				(unsigned long long)play.refusals, (unsigned long long)play.stored);
		end(&play);
	}
}

/* Each found a refusal for which something had gone, within so many operations. */
static void what_was_refused_once(void **state) {
	static struct play play;
	const struct {
		size_t limit_bytes, page_bytes, item_max_bytes;
		uint64_t seed, ops;
	} plays[] = {
		/* what was committed for a size class was set aside once more */
		{256 * KIB, 16 * KIB, 256 * KIB, 14, 150},
	};
	(void)state;
	memset(value, '9', sizeof value);
	for (size_t at = 0; at < sizeof plays / sizeof plays[0]; at++) {
		begin(&play, plays[at].limit_bytes, plays[at].page_bytes, plays[at].item_max_bytes, false);
		play.random.state = plays[at].seed + plays[at].limit_bytes + plays[at].page_bytes;
		for (uint64_t op = 0; op < plays[at].ops; op++) {
			write_down(&play);
			play_one(&play);
		}
		end(&play);
	}
}

/* ------------------------------------------------------------------ sizes ------------------ */

static snug_error set_bytes(struct play *play, const char *name, size_t bytes) {
	snug_key key = snug_shard_key(name, strlen(name));
	return snug_shard_set(play->shard, &key, NULL, value, bytes);
}

static void fill(struct play *play, size_t bytes) {
	uint32_t count = (uint32_t)(2 * play->limit_bytes / (bytes + 20));
	for (uint32_t number = 0; number < count; number++) {
		snug_key key = key_of(number);
		REQUIRE_OK(snug_shard_set(play->shard, &key, NULL, value, bytes));
	}
}

/* Stored, or too large and then nothing has gone: never refused for room, as nothing is leased. */
static bool accepts(struct play *play, size_t bytes) {
	uint64_t evictions = play->shard->stats.evictions, items = play->shard->live.items;
	snug_error error = set_bytes(play, "sized", bytes);
	if (!error) return true;
	REQUIRE(error == SNUG_ERROR_SIZE_TOO_LARGE, "limit %zu: %zu bytes: %s", play->limit_bytes,
			bytes, snug_error_name(error));
	REQUIRE(play->shard->stats.evictions == evictions && play->shard->live.items + 1 >= items,
			"limit %zu: %zu bytes: %llu evicted for a refusal", play->limit_bytes, bytes,
			(unsigned long long)(play->shard->stats.evictions - evictions));
	return false;
}

static size_t largest_accepted(struct play *play) {
	size_t low = 0, high = play->limit_bytes;
	while (low + 1 < high) {
		size_t middle = low + (high - low) / 2;
		if (accepts(play, middle))
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* What size classes that were used, and the spill buckets of many items, take for good. */
static size_t kept_tables_bytes(size_t limit_bytes) {
	return 16 * KIB + limit_bytes / 16;
}

static void what_is_accepted_can_be_stored(void **state) {
	static struct play play;
	const size_t limits[] = {256 * KIB, 300 * KIB, 512 * KIB, 1 * MIB, 3 * MIB},
				 pages[] = {0, 4 * KIB, 8 * KIB, 16 * KIB, 64 * KIB},
				 contents[] = {1, 60, 700, 5000, 50000};
	(void)state;
	for (size_t at = 0; at < 5 * 5 * 5; at++) {
		size_t limit_bytes = limits[at % 5], page_bytes = pages[at / 5 % 5];
		if (page_bytes * 16 > limit_bytes) continue;
		begin(&play, limit_bytes, page_bytes, limit_bytes, false);
		size_t fresh = largest_accepted(&play);
		fill(&play, contents[at / 25]);
		size_t full = largest_accepted(&play);
		REQUIRE(full >= limit_bytes / 2, "limit %zu, pages of %zu: at most %zu bytes", limit_bytes,
				page_bytes, full);
		REQUIRE(full + kept_tables_bytes(limit_bytes) >= fresh,
				"limit %zu, pages of %zu: %zu bytes, and then %zu", limit_bytes, page_bytes, fresh,
				full);
		for (size_t bytes = 1; bytes + kept_tables_bytes(limit_bytes) < full;
			 bytes += bytes / 5 + 1)
			REQUIRE(accepts(&play, bytes), "limit %zu: %zu bytes are refused, and %zu are not",
					limit_bytes, bytes, full);
		end(&play);
	}
}

/* The first CAS number, or expiry, of an item of half the limit. */
static void a_field_evicts_nobody(void **state) {
	static struct play play;
	(void)state;
	for (uint32_t form = 0; form < 2; form++) {
		snug_key key = snug_shard_key("large", 5);
		snug_item item;
		uint64_t cas;
		begin(&play, 4 * MIB, 0, 4 * MIB, false);
		fill(&play, 10);
		if (form == 0) {
			REQUIRE_OK(set_bytes(&play, "large", 2 * MIB));
		} else {
			snug_lease lease = {0};
			REQUIRE_OK(snug_shard_reserve(play.shard, &key, 2 * MIB - 64, &lease));
			REQUIRE_OK(snug_shard_commit(play.shard, &key, NULL, &lease));
		}
		uint64_t evictions = play.shard->stats.evictions;
		REQUIRE_OK(snug_shard_find(play.shard, &key, &item));
		REQUIRE_OK(snug_shard_cas(play.shard, &key, &item, &cas));
		snug_attributes attributes = item.attributes;
		attributes.expires_at_s = 2000000;
		attributes.client_flags = 1;
		REQUIRE_OK(snug_shard_change(play.shard, &key, &item, &attributes));
		REQUIRE(item.attributes.cas == cas && item.attributes.expires_at_s == 2000000,
				"the fields are not there");
		REQUIRE(play.shard->stats.evictions == evictions, "%llu evicted for 16 bytes",
				(unsigned long long)(play.shard->stats.evictions - evictions));
		end(&play);
	}
}

/* An extension needs both, and the old one stays. */
static void what_cannot_lie_beside_the_old_value_evicts_nobody(void **state) {
	static struct play play;
	snug_key key = snug_shard_key("large", 5);
	snug_item item;
	(void)state;
	begin(&play, 1 * MIB, 0, 1 * MIB, false);
	fill(&play, 700);
	REQUIRE_OK(set_bytes(&play, "large", 600 * KIB));
	uint64_t evictions = play.shard->stats.evictions, items = play.shard->live.items;
	REQUIRE_OK(snug_shard_find(play.shard, &key, &item));
	snug_error error =
		snug_shard_extend(play.shard, &key, &item, &item.attributes, value, 100, false);
	REQUIRE(error == SNUG_ERROR_NO_MEMORY, "%s", snug_error_name(error));
	REQUIRE(play.shard->stats.evictions == evictions && play.shard->live.items == items,
			"%llu evicted for a refusal",
			(unsigned long long)(play.shard->stats.evictions - evictions));
	REQUIRE_OK(snug_shard_find(play.shard, &key, &item));
	REQUIRE(item.value_bytes == 600 * KIB, "%zu bytes are left", (size_t)item.value_bytes);
	end(&play);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_refusal_changes_nothing),
		cmocka_unit_test(what_is_accepted_can_be_stored),
		cmocka_unit_test(what_was_refused_once),
		cmocka_unit_test(a_field_evicts_nobody),
		cmocka_unit_test(what_cannot_lie_beside_the_old_value_evicts_nobody),
	};
	return cmocka_run_group_tests_name("refusals", tests, NULL, NULL);
}
