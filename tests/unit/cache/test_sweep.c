/* What is dead goes beside serving, when it is time: expired items once the earliest has passed,
 * flushed ones at once; between, the sweep rests. */
#include "cache/shard/shard_state.h"
#include "mem/types.h"
#include "os/fake.h"
#include "support/require.h"
#include "support/test_secret.h"
#include "unit/cmocka_all.h"

#include <snug/shard.h>
#include <stdio.h>
#include <stdlib.h>

#define BEGIN_S 1000000
#define ITEMS 2000u
#define SLICES_MAX 100000u
#define FLUSH_ITEMS_MAX 16u /* of a bucket, and what it has spilled */

static int64_t now_s;

static int64_t now_of(void *context) {
	(void)context;
	return now_s;
}

static snug_shard *open_shard(size_t limit_bytes, bool no_eviction) {
	snug_shard_options options = snug_shard_options_default();
	options.heap.limit_bytes = limit_bytes;
	options.no_eviction = no_eviction;
	options.keep_free_bytes = SNUG_NO_BUDGET; /* test_give_back.c */
	options.now_s = now_of;
	snug_shard *shard;
	now_s = BEGIN_S;
	REQUIRE_OK(snug_shard_create(&options, &shard));
	return shard;
}

static void close_shard(snug_shard *shard) {
	REQUIRE_OK(snug_shard_check(shard, NULL));
	REQUIRE_OK(snug_shard_destroy(shard));
}

static snug_error set(snug_shard *shard, uint32_t number, uint32_t expires_at_s, size_t bytes) {
	static const char value[4096];
	char name[16];
	snug_key key = snug_shard_key(name, (size_t)snprintf(name, sizeof name, "%u", number));
	snug_attributes attributes = {.expires_at_s = expires_at_s};
	return snug_shard_set(shard, &key, &attributes, value, bytes);
}

/* Until there is nothing to do now. */
static uint32_t rest(snug_shard *shard) {
	uint32_t slices = 0;
	while (snug_shard_maintain(shard)) REQUIRE(++slices < SLICES_MAX, "the sweep does not rest");
	return slices;
}

static void what_expires_goes_when_it_is_time(void **state) {
	(void)state;
	snug_shard *shard = open_shard((size_t)4 << 20, false);
	for (uint32_t i = 0; i < ITEMS; i++)
		REQUIRE_OK(set(shard, i, (i % 2 == 0) ? 0 : BEGIN_S + 100 + i % 4 * 1000, 10));
	rest(shard);
	REQUIRE(shard->linked == ITEMS, "gone too early");
	for (now_s = BEGIN_S + 1; now_s < BEGIN_S + 1100; now_s += 100)
		REQUIRE(rest(shard) == 0, "swept at %lld, though nothing can have expired",
				(long long)(now_s - BEGIN_S));
	now_s = BEGIN_S + 1101;
	REQUIRE(rest(shard) > 0, "not swept");
	REQUIRE(shard->linked == ITEMS * 3 / 4, "%llu are left", (unsigned long long)shard->linked);
	for (; now_s < BEGIN_S + 3100; now_s += 100)
		REQUIRE(rest(shard) == 0, "swept at %lld, though nothing can have expired",
				(long long)(now_s - BEGIN_S));
	now_s = BEGIN_S + 3101;
	rest(shard);
	REQUIRE(shard->linked == ITEMS / 2 && shard->expiring == 0, "%llu are left",
			(unsigned long long)shard->linked);
	close_shard(shard);
}

/* A cliff that takes half a minute, as they do: each is found soon after it has expired, and few
 * rounds are gone for it. */
static void a_cliff_is_found_as_it_comes(void **state) {
	(void)state;
	snug_shard *shard = open_shard((size_t)4 << 20, false);
	for (uint32_t i = 0; i < ITEMS; i++) REQUIRE_OK(set(shard, i, BEGIN_S + 600 + i % 30, 10));
	rest(shard);
	uint32_t rounds = 0;
	for (now_s = BEGIN_S + 1; now_s < BEGIN_S + 640; now_s++) {
		rounds += rest(shard) > 0;
		uint32_t expired = now_s < BEGIN_S + 610 ? 0 : (uint32_t)(now_s - BEGIN_S - 610);
		if (expired > 30) expired = 30;
		uint64_t most = ITEMS - (uint64_t)ITEMS / 30 * expired + ITEMS / 16;
		REQUIRE(shard->linked <= most, "%llu are left at %lld", (unsigned long long)shard->linked,
				(long long)(now_s - BEGIN_S));
	}
	REQUIRE(shard->linked == 0, "%llu are left", (unsigned long long)shard->linked);
	REQUIRE(rounds <= 10, "%u rounds", rounds);
	close_shard(shard);
}

/* One of many that expires each second is worth no round; and who runs the shard may sleep. */
static void what_expires_one_by_one_costs_little(void **state) {
	(void)state;
	snug_shard *shard = open_shard((size_t)4 << 20, false);
	for (uint32_t i = 0; i < ITEMS; i++) REQUIRE_OK(set(shard, i, BEGIN_S + 1000 + i, 10));
	rest(shard);
	REQUIRE(snug_shard_rest_ns(shard) >= UINT64_C(1000) * 1000000000, "it may not sleep");
	uint32_t rounds = 0, wakes = 0;
	for (now_s = BEGIN_S + 900; now_s < BEGIN_S + 2000; now_s++) {
		wakes += snug_shard_rest_ns(shard) < 1000000000;
		rounds += rest(shard) > 0;
		uint64_t expired = now_s < BEGIN_S + 1000 ? 0 : (uint64_t)(now_s - BEGIN_S - 1000);
		REQUIRE(shard->linked <= ITEMS - expired + ITEMS / 16 + 4, "%llu are left at %lld",
				(unsigned long long)shard->linked, (long long)(now_s - BEGIN_S));
	}
	REQUIRE(rounds <= 20, "%u rounds", rounds);
	REQUIRE(wakes <= 2 * rounds + 2, "%u wakes for %u rounds", wakes, rounds);
	close_shard(shard);
}

static uint64_t hash_of_number(uint32_t number) {
	char name[16];
	return snug_shard_key(name, (size_t)snprintf(name, sizeof name, "%u", number)).hash;
}

/* Stored in the middle of a round, behind the hand: for the next one. */
static void what_is_stored_meanwhile_is_not_forgotten(void **state) {
	(void)state;
	snug_shard *shard = open_shard((size_t)4 << 20, false);
	for (uint32_t i = 0; i < ITEMS; i++) REQUIRE_OK(set(shard, i, BEGIN_S + 10, 10));
	rest(shard);
	now_s = BEGIN_S + 100;
	for (uint32_t slice = 0; slice < 20; slice++) REQUIRE(snug_shard_maintain(shard), "no round");
	uint32_t behind = 0;
	for (uint32_t i = ITEMS; behind < ITEMS / 10; i++) {
		/* far behind: when the index shrinks, the hand's place begins before the hand */
		if (hash_of_number(i) >= shard->sweep_hand / 2) continue;
		REQUIRE_OK(set(shard, i, BEGIN_S + 200, 10));
		behind++;
	}
	rest(shard);
	REQUIRE(shard->linked == behind, "%llu are left", (unsigned long long)shard->linked);
	now_s = BEGIN_S + 1000;
	rest(shard);
	REQUIRE(shard->linked == 0, "%llu are left", (unsigned long long)shard->linked);
	close_shard(shard);
}

/* Deleted in the middle of a round, before and behind the hand: the others still count. */
static void what_is_deleted_meanwhile_hides_no_other(void **state) {
	(void)state;
	snug_shard *shard = open_shard((size_t)4 << 20, false);
	for (uint32_t i = 0; i < ITEMS; i++)
		REQUIRE_OK(set(shard, i, BEGIN_S + (i < ITEMS / 8 ? 10 : 1000), 10));
	rest(shard);
	now_s = BEGIN_S + 100;
	for (uint32_t slice = 0; slice < 20; slice++) REQUIRE(snug_shard_maintain(shard), "no round");
	for (uint32_t i = ITEMS / 2; i < ITEMS; i++) {
		char name[16];
		snug_key key = snug_shard_key(name, (size_t)snprintf(name, sizeof name, "%u", i));
		REQUIRE_OK(snug_shard_delete(shard, &key));
	}
	rest(shard);
	REQUIRE(shard->sweep_hand == 0, "the round does not end");
	REQUIRE_OK(snug_shard_check(shard, NULL));
	now_s = BEGIN_S + 1000;
	rest(shard);
	REQUIRE(shard->linked == 0, "%llu are left", (unsigned long long)shard->linked);
	close_shard(shard);
}

static void what_was_flushed_goes_at_once(void **state) {
	(void)state;
	snug_shard *shard = open_shard((size_t)4 << 20, false);
	for (uint32_t i = 0; i < ITEMS; i++) REQUIRE_OK(set(shard, i, 0, 10));
	rest(shard);
	snug_shard_flush(shard, 0);
	REQUIRE(shard->linked == ITEMS, "the flush itself removed items");
	REQUIRE_OK(set(shard, ITEMS, 0, 10));
	rest(shard);
	REQUIRE(shard->linked == 1, "%llu are left", (unsigned long long)shard->linked);
	close_shard(shard);
}

/* Nobody maintains, nobody looks: flush after flush is enough, each bucket is met long before the
 * epochs repeat. */
static void flushes_alone_sweep(void **state) {
	(void)state;
	snug_shard *shard = open_shard((size_t)4 << 20, false);
	const uint32_t items = GROUP_BUCKETS * 5; /* one group, which cannot shrink */
	for (uint32_t i = 0; i < items; i++) REQUIRE_OK(set(shard, i, 0, 10));
	for (uint32_t flush = 0; flush < 2 * GROUP_BUCKETS; flush++) {
		REQUIRE_OK(set(shard, 0, 0, 10));
		snug_shard_flush(shard, 0);
	}
	REQUIRE(shard->linked <= 2, "%llu flushed items are left", (unsigned long long)shard->linked);
	close_shard(shard);
}

/* Without eviction what is dead still makes room. */
static void dead_items_refuse_no_store(void **state) {
	(void)state;
	for (uint32_t flushed = 0; flushed < 2; flushed++) {
		snug_shard *shard = open_shard((size_t)1 << 20, true);
		uint32_t stored = 0;
		while (set(shard, stored, flushed ? 0 : BEGIN_S + 10, 2000) == SNUG_OK) stored++;
		REQUIRE(stored > 300, "%u items", stored);
		REQUIRE_ERROR(SNUG_ERROR_NO_MEMORY, set(shard, stored, 0, 2000));
		now_s += 10;
		if (flushed) snug_shard_flush(shard, 0);
		for (uint32_t i = 0; i < stored; i++) REQUIRE_OK(set(shard, stored + i, 0, 2000));
		close_shard(shard);
	}
}

/* The heap would take it if it were alone, but the index and the shard take their part. */
static void what_never_fits_evicts_nothing(void **state) {
	(void)state;
	snug_shard_options options = snug_shard_options_default();
	options.heap.limit_bytes = (size_t)1 << 20;
	options.item_max_bytes = (size_t)2 << 20;
	snug_shard *shard;
	REQUIRE_OK(snug_shard_create(&options, &shard));
	for (uint32_t i = 0; i < 100; i++) REQUIRE_OK(set(shard, i, 0, 1000));
	size_t bytes = shard->heap->object_max_bytes - 64;
	char *value = calloc(1, bytes);
	snug_key key = snug_shard_key("large", 5);
	REQUIRE_ERROR(SNUG_ERROR_SIZE_TOO_LARGE, snug_shard_set(shard, &key, NULL, value, bytes));
	REQUIRE(shard->linked == 100 && shard->stats.evictions == 0, "%llu items are left",
			(unsigned long long)shard->linked);
	free(value);
	close_shard(shard);
}

/* One in ten is dead: all of their room is found again, though not by one store. */
static void dead_items_among_live_ones_are_room(void **state) {
	(void)state;
	snug_shard *shard = open_shard((size_t)8 << 20, true);
	uint32_t stored = 0, again = 0;
	while (set(shard, stored, stored % 10 == 0 ? BEGIN_S + 10 : 0, 200) == SNUG_OK) stored++;
	REQUIRE(stored > 30000, "%u items", stored);
	now_s += 10;
	for (uint32_t tries = 0; tries < stored / 9; tries++)
		again += set(shard, stored + tries, 0, 200) == SNUG_OK;
	REQUIRE(again >= stored / 10 - stored / 100, "%u of %u dead items were room", again,
			stored / 10);
	close_shard(shard);
}

/* However many flushes came before, and whatever they have left: the work is counted, not timed. */
static void each_flush_costs_a_bucket_at_most(void **state) {
	(void)state;
	snug_shard *shard = open_shard((size_t)8 << 20, false);
	for (uint32_t i = 0; i < 50000; i++) REQUIRE_OK(set(shard, i, 0, 5));
	uint64_t items = shard->linked;
	REQUIRE(items > 30000, "%llu items", (unsigned long long)items);
	for (uint32_t flush = 1; flush <= 20; flush++) {
		uint64_t linked = shard->linked;
		snug_shard_flush(shard, 0);
		REQUIRE(linked - shard->linked <= FLUSH_ITEMS_MAX, "flush %u removed %llu items", flush,
				(unsigned long long)(linked - shard->linked));
		REQUIRE(shard->live.items == 0, "flush %u left items", flush);
		REQUIRE_OK(set(shard, flush, 0, 5));
	}
	REQUIRE(shard->linked > items * 9 / 10, "who removed them?");
	close_shard(shard);
}

/* The wall clock was ahead, and is set right: what expires afterwards does not wait until it has
 * caught up. */
static void a_clock_that_is_set_back_stops_no_sweep(void **state) {
	(void)state;
	snug_shard *shard = open_shard((size_t)4 << 20, false);
	now_s += 7200;
	for (uint32_t i = 0; i < ITEMS; i++) REQUIRE_OK(set(shard, i, (uint32_t)now_s + 1, 10));
	now_s += 1;
	rest(shard);
	REQUIRE(shard->linked == 0, "%llu are left", (unsigned long long)shard->linked);
	now_s -= 7200;
	for (uint32_t i = 0; i < ITEMS; i++) REQUIRE_OK(set(shard, i, (uint32_t)now_s + 2, 10));
	now_s += 100;
	rest(shard);
	REQUIRE(shard->linked == 0, "%llu are left", (unsigned long long)shard->linked);
	close_shard(shard);
}

/* ------------------------------------------------------------------ flushes amid other things */

static uint32_t stored_number;

static void store_some(snug_shard *shard, uint32_t count) {
	static const char value[80000];
	for (uint32_t i = 0; i < count; i++) {
		char name[16];
		snug_key key =
			snug_shard_key(name, (size_t)snprintf(name, sizeof name, "%u", stored_number++));
		snug_error error =
			snug_shard_set(shard, &key, NULL, value, 20000 + stored_number % 7 * 10000);
		REQUIRE(!error || error == SNUG_ERROR_NO_MEMORY, "%s", snug_error_text(error));
	}
}

/* The eviction keeps addresses of entries, and meets spilled ones, that a flush has made dead: they
 * are counted as what they are. */
static void flushed_items_are_not_evicted(void **state) {
	(void)state;
	for (uint32_t round = 0; round < 12; round++) {
		snug_shard *shard = open_shard((size_t)2 << 20, false);
		for (uint32_t turn = 0; turn < 30; turn++) {
			store_some(shard, 200);
			snug_shard_flush(shard, 0);
			store_some(shard, 200);
			REQUIRE_OK(snug_shard_check(shard, NULL));
		}
		close_shard(shard);
	}
}

/* A flush whose time has come between finding a value and extending it: it is gone, and not half of
 * it. */
static void a_flush_that_has_come_due_extends_nothing(void **state) {
	(void)state;
	static char bytes[100000];
	snug_key key = snug_shard_key("the key", 7);
	for (uint32_t form = 0; form < 2; form++) {
		snug_shard *shard = open_shard((size_t)2 << 20, false);
		snug_item item;
		snug_lease lease;
		store_some(shard, 60);
		REQUIRE_OK(snug_shard_set(shard, &key, NULL, bytes, 50000));
		REQUIRE_OK(snug_shard_find(shard, &key, &item));
		if (form == 1) REQUIRE_OK(snug_shard_reserve(shard, &key, sizeof bytes, &lease));
		if (form == 1) REQUIRE_OK(snug_shard_find(shard, &key, &item));
		snug_shard_flush(shard, now_s + 1);
		now_s += 2;
		REQUIRE_ERROR(SNUG_ERROR_NOT_FOUND,
					  form == 0
						  ? snug_shard_extend(shard, &key, &item, NULL, bytes, sizeof bytes, false)
						  : snug_shard_commit_extended(shard, &key, &item, NULL, &lease, false));
		REQUIRE_ERROR(SNUG_ERROR_NOT_FOUND, snug_shard_find(shard, &key, &item));
		close_shard(shard);
	}
}

static void a_flush_to_come_is_taken_back(void **state) {
	(void)state;
	snug_shard *shard = open_shard((size_t)4 << 20, false);
	for (uint32_t i = 0; i < ITEMS; i++) REQUIRE_OK(set(shard, i, 0, 10));
	snug_shard_flush(shard, now_s + 10);
	REQUIRE(snug_shard_may_expire(shard), "nothing is to come");
	snug_shard_flush(shard, SNUG_FLUSH_NEVER);
	REQUIRE(!snug_shard_may_expire(shard), "something is still to come");
	now_s += 11;
	rest(shard);
	REQUIRE(shard->linked == ITEMS, "flushed after all");
	snug_shard_flush(shard, now_s + 10);
	now_s += 11;
	snug_shard_flush(shard, SNUG_FLUSH_NEVER);
	rest(shard);
	REQUIRE(shard->linked == 0, "its time had come before it was taken back");
	close_shard(shard);
}

/* A round that ends while an item is followed does not forget when that expires. */
static void what_is_followed_expires_too(void **state) {
	(void)state;
	static char bytes[30000];
	snug_shard *shard = open_shard((size_t)1 << 20, true);
	snug_key key = snug_shard_key("the key", 7);
	snug_attributes attributes = {.expires_at_s = BEGIN_S + 500};
	snug_item item;
	REQUIRE_OK(snug_shard_set(shard, &key, &attributes, bytes, 300));
	REQUIRE_OK(set(shard, 0, BEGIN_S + 1, 300));
	for (uint32_t i = 1; set(shard, i, 0, 4000) == SNUG_OK;) i++;
	now_s += 10;
	REQUIRE_OK(snug_shard_find(shard, &key, &item));
	REQUIRE_ERROR(SNUG_ERROR_NO_MEMORY,
				  snug_shard_extend(shard, &key, &item, &attributes, bytes, sizeof bytes, false));
	REQUIRE(shard->earliest_s <= attributes.expires_at_s, "forgotten");
	REQUIRE_OK(snug_shard_check(shard, NULL));
	now_s = BEGIN_S + 1000;
	rest(shard);
	REQUIRE(shard->expiring == 0, "%llu are left", (unsigned long long)shard->expiring);
	close_shard(shard);
}

/* Without eviction, and full: what is there can be read, as many at a time as may be leased. */
static void what_is_full_can_be_read(void **state) {
	(void)state;
	for (uint32_t dead = 0; dead < 2; dead++) {
		snug_shard *shard = open_shard((size_t)8 << 20, true);
		uint32_t stored = 0;
		while (set(shard, stored, dead && stored % 4 == 0 ? BEGIN_S + 10 : 0, 4000) == SNUG_OK)
			stored++;
		REQUIRE_ERROR(SNUG_ERROR_NO_MEMORY, set(shard, stored, 0, 100));
		now_s += 100;
		for (uint32_t round = 0; round < 2; round++) {
			static snug_lease leases[4096];
			uint32_t leased = 0;
			for (uint32_t i = 1; i < stored; i += 2) {
				char name[16];
				snug_key key = snug_shard_key(name, (size_t)snprintf(name, sizeof name, "%u", i));
				snug_item item;
				REQUIRE_OK(snug_shard_find(shard, &key, &item));
				snug_error error = snug_shard_pin(shard, &item, &leases[leased]);
				if (error == SNUG_ERROR_NO_MEMORY && leased > 1000) break; /* half of all memory */
				REQUIRE(!error, "%u leased: %s", leased, snug_error_text(error));
				leased++;
			}
			REQUIRE(leased > 900, "%u leased", leased);
			REQUIRE_OK(snug_shard_check(shard, NULL));
			for (uint32_t i = 0; i < leased; i++) snug_shard_release(shard, &leases[i]);
			REQUIRE_OK(snug_shard_check(shard, NULL));
		}
		close_shard(shard);
	}
}

int main(void) {
	test_set_secret(1);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_expires_goes_when_it_is_time),
		cmocka_unit_test(a_cliff_is_found_as_it_comes),
		cmocka_unit_test(what_expires_one_by_one_costs_little),
		cmocka_unit_test(what_is_stored_meanwhile_is_not_forgotten),
		cmocka_unit_test(what_is_deleted_meanwhile_hides_no_other),
		cmocka_unit_test(what_was_flushed_goes_at_once),
		cmocka_unit_test(flushes_alone_sweep),
		cmocka_unit_test(dead_items_refuse_no_store),
		cmocka_unit_test(what_never_fits_evicts_nothing),
		cmocka_unit_test(dead_items_among_live_ones_are_room),
		cmocka_unit_test(each_flush_costs_a_bucket_at_most),
		cmocka_unit_test(a_clock_that_is_set_back_stops_no_sweep),
		cmocka_unit_test(flushed_items_are_not_evicted),
		cmocka_unit_test(a_flush_that_has_come_due_extends_nothing),
		cmocka_unit_test(a_flush_to_come_is_taken_back),
		cmocka_unit_test(what_is_followed_expires_too),
		cmocka_unit_test(what_is_full_can_be_read),
	};
	return cmocka_run_group_tests_name("sweep", tests, NULL, NULL);
}
