/* test_shard_model.c: a shard against a naive twin: random operations, every value compared, all
 * laws walked.
 *
 *     SNUG_SEED=0x1234 build/tests/model/test_shard_model     the same run again
 *     SNUG_OPS=2000000                                        operations in each configuration
 *
 * The twin knows what was stored last under each of its keys. A shard may have evicted it, so a
 * miss is right whenever the shard has evicted something since; a hit must be the last value, to
 * the byte, with its attributes. */
#include "os/fake.h"
#include "support/require.h"
#include "support/test_random.h"
#include "support/test_secret.h"
#include "unit/cmocka_all.h"

#include <snug/snug.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEYS 700u
#define VALUE_MAX 60000u
#define LEASES 6u
#define MIB ((size_t)1 << 20)

struct twin_item {
	bool present;
	uint32_t size;
	uint32_t version; /* the content follows from it */
	snug_attributes attributes;
	uint64_t cas; /* that was told; 0: none */
};

struct held {
	snug_lease lease;
	bool reserved; /* else pinned */
	uint32_t key;
	uint32_t size;
	uint32_t version;
};

struct play {
	snug_shard *shard;
	test_random random;
	int64_t now_s;
	struct twin_item items[KEYS];
	struct held held[LEASES];
	uint32_t versions;
	uint64_t evictions; /* of the shard, when a miss was last explained */
	uint64_t hits;
	uint64_t misses;
	uint64_t refused;
	unsigned char value[2 * VALUE_MAX];
	unsigned char found[2 * VALUE_MAX];
	bool evicts;
	int64_t flush_at_s;
};

static int64_t now_of(void *context) {
	return ((struct play *)context)->now_s;
}

static snug_key key_of(uint32_t number) {
	static char text[SNUG_KEY_BYTES_MAX + 1];
	int length = snprintf(text, sizeof text, "%u", number);
	/* Some are long. */
	for (; length < (int)(number % 7 == 0 ? 200 + number % 51 : 0); length++) text[length] = 'k';
	return snug_shard_key(text, (size_t)length);
}

static void fill(unsigned char *to, uint32_t size, uint32_t version) {
	test_random_fill(to, size, version);
}

static uint32_t random_size(struct play *play) {
	uint64_t kind = test_random_between(&play->random, 0, 99);
	if (kind < 5) return 0;
	if (kind < 60) return (uint32_t)test_random_between(&play->random, 1, 300);
	if (kind < 90) return (uint32_t)test_random_between(&play->random, 1, 5000);
	return (uint32_t)test_random_between(&play->random, 1, VALUE_MAX);
}

static snug_attributes random_attributes(struct play *play) {
	snug_attributes attributes = {0};
	if (test_random_chance(&play->random, 300))
		attributes.client_flags = (uint32_t)test_random_next(&play->random);
	if (test_random_chance(&play->random, 200))
		attributes.expires_at_s =
			(uint32_t)(play->now_s + (int64_t)test_random_between(&play->random, 1, 300));
	attributes.is_stale = test_random_chance(&play->random, 50);
	attributes.is_won = attributes.is_stale && test_random_chance(&play->random, 500);
	return attributes;
}

static bool is_dead(const struct play *play, const struct twin_item *item) {
	return item->attributes.expires_at_s != 0 && item->attributes.expires_at_s <= play->now_s;
}

static void twin_flush(struct play *play) {
	for (uint32_t i = 0; i < KEYS; i++) play->items[i].present = false;
	play->flush_at_s = 0;
}

static void twin_tick(struct play *play) {
	if (play->flush_at_s != 0 && play->flush_at_s <= play->now_s) twin_flush(play);
}

static uint64_t evictions(struct play *play) {
	snug_shard_stats stats;
	REQUIRE_OK(snug_shard_stats_get(play->shard, &stats));
	return stats.evictions;
}

/* Looks the key up and compares; true: it is there. */
static bool look(struct play *play, uint32_t number, bool use, snug_item *item) {
	struct twin_item *twin = &play->items[number];
	snug_key key = key_of(number);
	snug_error error =
		use ? snug_shard_get(play->shard, &key, item) : snug_shard_find(play->shard, &key, item);
	if (error == SNUG_ERROR_NOT_FOUND) {
		REQUIRE(!twin->present || is_dead(play, twin) || evictions(play) > 0, "key %u is lost",
				number);
		REQUIRE(!twin->present || is_dead(play, twin) || play->evicts, "key %u was evicted",
				number);
		play->misses += twin->present;
		twin->present = false;
		return false;
	}
	REQUIRE_OK(error);
	REQUIRE(twin->present && !is_dead(play, twin), "key %u is there, and should not be", number);
	REQUIRE(item->value_bytes == twin->size, "key %u has %zu bytes, not %u", number,
			item->value_bytes, twin->size);
	REQUIRE(item->attributes.client_flags == twin->attributes.client_flags &&
				item->attributes.expires_at_s == twin->attributes.expires_at_s &&
				item->attributes.is_stale == twin->attributes.is_stale &&
				item->attributes.is_won == twin->attributes.is_won,
			"key %u has other attributes", number);
	REQUIRE(item->attributes.cas == twin->cas, "key %u has another CAS number", number);
	fill(play->value, twin->size, twin->version);
	REQUIRE_OK(snug_shard_read(play->shard, item, 0, play->found, item->value_bytes));
	REQUIRE(memcmp(play->value, play->found, twin->size) == 0, "key %u has another value", number);
	play->hits++;
	return true;
}

static void note_stored(struct play *play, uint32_t number, uint32_t size, uint32_t version,
						const snug_attributes *attributes, snug_error error) {
	struct twin_item *twin = &play->items[number];
	if (error) {
		REQUIRE(error == SNUG_ERROR_NO_MEMORY || error == SNUG_ERROR_SIZE_TOO_LARGE ||
					error == SNUG_ERROR_TOO_MANY_PINS,
				"storing %u bytes: %s", size, snug_error_text(error));
		play->refused++;
		twin->present = false; /* a refused set leaves nothing to be read for the new value */
		return;
	}
	*twin = (struct twin_item){true, size, version, *attributes, attributes->cas};
}

static void do_set(struct play *play) {
	uint32_t number = (uint32_t)test_random_between(&play->random, 0, KEYS - 1);
	uint32_t size = random_size(play), version = ++play->versions;
	if (play->items[number].present && test_random_chance(&play->random, 300))
		size = play->items[number].size;
	snug_attributes attributes = random_attributes(play);
	snug_key key = key_of(number);
	if (test_random_chance(&play->random, 100)) attributes.cas = snug_shard_next_cas(play->shard);
	fill(play->value, size, version);
	note_stored(play, number, size, version, &attributes,
				snug_shard_set(play->shard, &key, &attributes, play->value, size));
}

static void do_get(struct play *play) {
	snug_item item;
	(void)look(play, (uint32_t)test_random_between(&play->random, 0, KEYS - 1),
			   test_random_chance(&play->random, 800), &item);
}

static void do_delete(struct play *play) {
	uint32_t number = (uint32_t)test_random_between(&play->random, 0, KEYS - 1);
	snug_key key = key_of(number);
	snug_item item;
	bool there = look(play, number, false, &item);
	REQUIRE_ERROR(there ? SNUG_OK : SNUG_ERROR_NOT_FOUND, snug_shard_delete(play->shard, &key));
	play->items[number].present = false;
}

static void do_change(struct play *play) {
	uint32_t number = (uint32_t)test_random_between(&play->random, 0, KEYS - 1);
	snug_key key = key_of(number);
	snug_item item;
	if (!look(play, number, false, &item)) return;
	snug_attributes attributes = random_attributes(play);
	attributes.cas = item.attributes.cas;
	snug_error error = snug_shard_change(play->shard, &key, &item, &attributes);
	if (!error) play->items[number].attributes = attributes;
	if (error) REQUIRE(error == SNUG_ERROR_NO_MEMORY, "change: %s", snug_error_text(error));
	(void)look(play, number, false, &item);
}

static void do_cas(struct play *play) {
	uint32_t number = (uint32_t)test_random_between(&play->random, 0, KEYS - 1);
	snug_key key = key_of(number);
	snug_item item;
	uint64_t cas = 0;
	if (!look(play, number, false, &item)) return;
	snug_error error = snug_shard_cas(play->shard, &key, &item, &cas);
	if (error == SNUG_ERROR_NO_MEMORY) return;
	REQUIRE_OK(error);
	REQUIRE(cas != 0 && (play->items[number].cas == 0 || play->items[number].cas == cas),
			"CAS %llu", (unsigned long long)cas);
	play->items[number].cas = cas;
	(void)look(play, number, false, &item);
}

/* The content of an extended value is not one generator's: it is stored anew under a new version
 * right away. */
static void do_extend(struct play *play) {
	uint32_t number = (uint32_t)test_random_between(&play->random, 0, KEYS - 1);
	snug_key key = key_of(number);
	snug_item item;
	unsigned char more[500];
	size_t length = test_random_between(&play->random, 0, sizeof more);
	bool in_front = test_random_chance(&play->random, 500);
	if (!look(play, number, false, &item)) return;
	size_t old_bytes = item.value_bytes;
	test_random_fill(more, length, ++play->versions);
	snug_attributes attributes = random_attributes(play);
	attributes.expires_at_s = 0;
	snug_error error =
		snug_shard_extend(play->shard, &key, &item, &attributes, more, length, in_front);
	if (error) {
		REQUIRE(error == SNUG_ERROR_NO_MEMORY, "extend: %s", snug_error_text(error));
		return;
	}
	REQUIRE_OK(snug_shard_find(play->shard, &key, &item));
	REQUIRE(item.value_bytes == old_bytes + length, "extended to %zu bytes", item.value_bytes);
	REQUIRE_OK(snug_shard_read(play->shard, &item, 0, play->found, item.value_bytes));
	REQUIRE(memcmp(play->found + (in_front ? 0 : old_bytes), more, length) == 0,
			"other bytes were added");
	REQUIRE(memcmp(play->found + (in_front ? length : 0), play->value, old_bytes) == 0,
			"the old value is another");
	note_stored(play, number, (uint32_t)old_bytes, ++play->versions, &attributes, SNUG_OK);
	fill(play->value, (uint32_t)old_bytes, play->versions);
	error = snug_shard_set(play->shard, &key, &attributes, play->value, old_bytes);
	if (error) play->items[number].present = false;
}

/* ------------------------------------------------------------------ leases -------------------- */

static void write_lease(struct play *play, struct held *held) {
	fill(play->value, held->size, held->version);
	for (size_t offset = 0; offset < held->size;) {
		snug_extent extents[16];
		size_t count = 16, length = held->size - offset < 3000 ? held->size - offset : 3000;
		REQUIRE_OK(
			snug_shard_lease_view(play->shard, &held->lease, offset, length, extents, &count));
		for (size_t i = 0; i < count; i++) {
			memcpy(extents[i].data, play->value + offset, extents[i].length);
			offset += extents[i].length;
		}
	}
}

static void require_lease(struct play *play, struct held *held) {
	fill(play->value, held->size, held->version);
	for (size_t offset = 0; offset < held->size;) {
		snug_extent extents[64];
		size_t count = 64, length = held->size - offset < 30000 ? held->size - offset : 30000;
		REQUIRE_OK(
			snug_shard_lease_view(play->shard, &held->lease, offset, length, extents, &count));
		for (size_t i = 0; i < count; i++) {
			REQUIRE(memcmp(extents[i].data, play->value + offset, extents[i].length) == 0,
					"a pinned value changed");
			offset += extents[i].length;
		}
	}
}

static void end_lease(struct play *play, struct held *held) {
	snug_key key = key_of(held->key);
	snug_item item;
	require_lease(play, held);
	if (!held->reserved || test_random_chance(&play->random, 200)) {
		snug_shard_release(play->shard, &held->lease);
	} else if (test_random_chance(&play->random, 300) && look(play, held->key, false, &item)) {
		bool in_front = test_random_chance(&play->random, 500);
		snug_attributes none = {0};
		size_t old_bytes = item.value_bytes;
		uint32_t old_version = play->items[held->key].version;
		snug_error error =
			snug_shard_commit_extended(play->shard, &key, &item, &none, &held->lease, in_front);
		if (!error) {
			REQUIRE_OK(snug_shard_find(play->shard, &key, &item));
			REQUIRE(item.value_bytes == old_bytes + held->size, "joined to %zu bytes",
					item.value_bytes);
			REQUIRE_OK(snug_shard_read(play->shard, &item, 0, play->found, item.value_bytes));
			fill(play->value, (uint32_t)old_bytes, old_version);
			REQUIRE(memcmp(play->found + (in_front ? held->size : 0), play->value, old_bytes) == 0,
					"the old part");
			fill(play->value, held->size, held->version);
			REQUIRE(memcmp(play->found + (in_front ? 0 : old_bytes), play->value, held->size) == 0,
					"the new part");
			REQUIRE_OK(snug_shard_delete(play->shard, &key));
			play->items[held->key].present = false;
		}
	} else {
		snug_attributes attributes = random_attributes(play);
		note_stored(play, held->key, held->size, held->version, &attributes,
					snug_shard_commit(play->shard, &key, &attributes, &held->lease));
	}
	REQUIRE(held->lease.ref == 0, "the lease goes on");
}

static void do_lease(struct play *play) {
	struct held *held = &play->held[test_random_between(&play->random, 0, LEASES - 1)];
	if (held->lease.ref != 0) {
		end_lease(play, held);
		return;
	}
	held->key = (uint32_t)test_random_between(&play->random, 0, KEYS - 1);
	snug_key key = key_of(held->key);
	snug_item item;
	held->reserved = test_random_chance(&play->random, 500);
	if (held->reserved) {
		held->size = random_size(play);
		held->version = ++play->versions;
		snug_error error = snug_shard_reserve(play->shard, &key, held->size, &held->lease);
		if (error) {
			REQUIRE(error == SNUG_ERROR_NO_MEMORY, "reserve: %s", snug_error_text(error));
			return;
		}
		write_lease(play, held);
	} else if (look(play, held->key, true, &item)) {
		held->size = play->items[held->key].size;
		held->version = play->items[held->key].version;
		snug_error error = snug_shard_pin(play->shard, &item, &held->lease);
		if (error) REQUIRE(error == SNUG_ERROR_NO_MEMORY, "pin: %s", snug_error_text(error));
	}
}

/* ------------------------------------------------------------------ the rest ------------------ */

static void do_time(struct play *play) {
	play->now_s += (int64_t)test_random_between(&play->random, 0, 20);
	twin_tick(play);
}

static void do_flush(struct play *play) {
	if (!test_random_chance(&play->random, 5)) return;
	int64_t at_s = test_random_chance(&play->random, 500) ? 0 : play->now_s + 15;
	snug_shard_flush(play->shard, at_s);
	if (at_s == 0)
		twin_flush(play);
	else
		play->flush_at_s = at_s;
}

static void do_maintain(struct play *play) {
	for (uint64_t left = test_random_between(&play->random, 1, 50); left > 0; left--)
		if (!snug_shard_maintain(play->shard)) break;
}

static void do_limit(struct play *play) {
	if (!play->evicts || !test_random_chance(&play->random, 20)) return;
	REQUIRE_OK(snug_shard_set_limit(play->shard, MIB * test_random_between(&play->random, 1, 3)));
	if (test_random_chance(&play->random, 500))
		for (uint32_t left = 100000; left > 0 && snug_shard_maintain(play->shard); left--) continue;
}

static void do_evict(struct play *play) {
	if (!play->evicts || !test_random_chance(&play->random, 50)) return;
	uint64_t bytes = test_random_between(&play->random, 1, 20000);
	(void)snug_shard_evict(play->shard, bytes);
}

static void do_defragment(struct play *play) {
	snug_report report;
	snug_error error = snug_defragment(snug_shard_heap(play->shard), NULL, &report);
	REQUIRE(error == SNUG_OK || error == SNUG_ERROR_BUSY, "defragment: %s", snug_error_text(error));
}

static void do_something(struct play *play) {
	static const struct {
		void (*run)(struct play *play);
		uint32_t weight;
	} operations[] = {{do_set, 300},      {do_get, 300},     {do_delete, 60}, {do_change, 60},
					  {do_cas, 40},       {do_extend, 40},   {do_lease, 60},  {do_time, 20},
					  {do_flush, 20},     {do_maintain, 60}, {do_limit, 20},  {do_evict, 10},
					  {do_defragment, 10}};
	uint64_t at = test_random_between(&play->random, 0, 999);
	for (size_t i = 0;; i++) {
		if (at < operations[i].weight) {
			operations[i].run(play);
			return;
		}
		at -= operations[i].weight;
	}
}

static uint64_t base_seed;
static uint64_t operations_each;

static void run(size_t limit_mib, bool evicts, size_t page_bytes) {
	struct fake_os fake;
	struct play *play = calloc(1, sizeof *play);
	REQUIRE(play != NULL, "the test ran out of memory");
	snug_shard_options options = snug_shard_options_default();
	options.heap.limit_bytes = limit_mib * MIB;
	options.heap.limit_max_bytes = (limit_mib > 3 ? limit_mib : 3) * MIB;
	options.heap.page_bytes = page_bytes;
	fake_os_init(&fake);
	options.heap.os = &fake.os;
	options.no_eviction = !evicts;
	options.evict_for = limit_mib % 2 == 0 ? SNUG_EVICT_FOR_HITS : SNUG_EVICT_FOR_BYTES;
	options.now_s = now_of;
	options.now_context = play;
	play->random.state = base_seed + limit_mib;
	play->now_s = 1700000000;
	play->evicts = evicts;
	REQUIRE_OK(snug_shard_create(&options, &play->shard));
	for (uint64_t done = 0; done < operations_each; done++) {
		do_something(play);
		if (done % 64 != 0) continue;
		snug_check_result wrong;
		REQUIRE(snug_shard_check(play->shard, &wrong) == SNUG_OK, "operation %llu: law %s: %s",
				(unsigned long long)done, wrong.law, wrong.message);
	}
	snug_shard_stats stats;
	REQUIRE_OK(snug_shard_stats_get(play->shard, &stats));
	printf("  %zu MiB%s, pages of %zu: %llu hits, %llu lost, %llu refused; %llu evictions, %llu "
		   "expired, %llu flushed, "
		   "%llu "
		   "items, %llu moves\n",
		   limit_mib, evicts ? "" : " without eviction", page_bytes, (unsigned long long)play->hits,
		   (unsigned long long)play->misses, (unsigned long long)play->refused,
		   (unsigned long long)stats.evictions, (unsigned long long)stats.expired,
		   (unsigned long long)stats.flushed, (unsigned long long)stats.items,
		   (unsigned long long)stats.heap.moves);
	REQUIRE(evicts || stats.evictions == 0, "it evicts");
	for (uint32_t i = 0; i < LEASES; i++) snug_shard_release(play->shard, &play->held[i].lease);
	REQUIRE_OK(snug_shard_check(play->shard, NULL));
	REQUIRE_OK(snug_shard_destroy(play->shard));
	REQUIRE(fake.mistakes == 0, "%s", fake.first_mistake);
	REQUIRE(fake.reserved_bytes == 0, "%zu bytes leaked", fake.reserved_bytes);
	fake_os_deinit(&fake);
	free(play);
}

static void evicting(void **state) {
	(void)state;
	run(1, true, 4096);
	run(2, true, 8192);
}

static void not_evicting(void **state) {
	(void)state;
	run(2, false, 4096);
	run(16, false, 4096);
}

int main(void) {
	const struct CMUnitTest tests[] = {cmocka_unit_test(evicting), cmocka_unit_test(not_evicting)};
	base_seed = test_environment_number("SNUG_SEED",
										(uint64_t)time(NULL) * UINT64_C(0x9e3779b97f4a7c15) >> 16);
	operations_each = test_environment_number("SNUG_OPS", 60000);
	test_set_secret(base_seed);
	printf("shard model: SNUG_SEED=0x%llx SNUG_OPS=%llu\n", (unsigned long long)base_seed,
		   (unsigned long long)operations_each);
	return cmocka_run_group_tests_name("shard_model", tests, NULL, NULL);
}
