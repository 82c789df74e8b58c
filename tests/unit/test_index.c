/* test_index.c: the index of a cache against a table: growing and shrinking through many sizes, with memory refused now and then. References
 * are numbers here; the table knows their hashes. */
#include "cache/index.h"
#include "os/fake.h"
#include "support/require.h"
#include "support/test_random.h"
#include "unit/cmocka_all.h"

#include <snug/snug.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define REFS 60000u

struct table {
	uint64_t hashes[REFS + 1];
	bool there[REFS + 1];
	uint16_t meta[REFS + 1];
	uint64_t count;
};

static uint64_t hash_of(void *context, snug_ref ref) {
	return ((const struct table *)context)->hashes[ref];
}

static bool find(const struct index *index, const struct table *table, snug_ref ref, struct probe *probe) {
	*probe = index_probe(index, table->hashes[ref]);
	while (probe_next(probe))
		if (entry_ref(*probe->entry) == ref) return true;
	return false;
}

static void require_same(const struct index *index, const struct table *table) {
	const char *wrong = index_check(index);
	struct probe probe;
	REQUIRE(wrong == NULL, "%s", wrong);
	REQUIRE(index->count == table->count, "%llu entries", (unsigned long long)index->count);
	for (snug_ref ref = 1; ref <= REFS; ref++) {
		bool found = find(index, table, ref, &probe);
		REQUIRE(found == table->there[ref], "reference %llu", (unsigned long long)ref);
		REQUIRE(!found || entry_meta(*probe.entry) == table->meta[ref], "another meta");
	}
}

static void add(struct index *index, struct table *table, snug_ref ref, uint16_t meta) {
	if (index_prepare(index) != SNUG_OK) return;
	snug_error error = index_add(index, table->hashes[ref], ref, meta);
	REQUIRE(error == SNUG_OK, "add: %s", snug_error_text(error));
	table->there[ref] = true;
	table->meta[ref] = meta;
	table->count++;
}

static void change_one(struct index *index, struct table *table, test_random *random, uint32_t add_per_mille) {
	snug_ref ref = test_random_between(random, 1, REFS);
	struct probe probe;
	if (table->there[ref]) {
		if (test_random_chance(random, add_per_mille)) return;
		REQUIRE(find(index, table, ref, &probe), "reference %llu is lost", (unsigned long long)ref);
		index_remove(index, &probe);
		table->there[ref] = false;
		table->count--;
	} else if (test_random_chance(random, add_per_mille)) {
		add(index, table, ref, (uint16_t)(test_random_next(random) & META_MAX));
	}
}

/* Grows to nearly all references, shrinks to nearly none, again and again; `refuse`: the OS refuses memory now and then. */
static void run(bool refuse) {
	uint64_t seed = test_environment_number("SNUG_SEED", (uint64_t)time(NULL));
	printf("index: SNUG_SEED=0x%llx\n", (unsigned long long)seed);
	test_random random = {seed};
	struct table *table = calloc(1, sizeof *table);
	REQUIRE(table != NULL, "the test ran out of memory");
	for (uint32_t ref = 1; ref <= REFS; ref++) table->hashes[ref] = test_random_next(&random);
	struct fake_os fake;
	fake_os_init(&fake);
	snug_options options = {.limit_bytes = (size_t)8 << 20, .os = &fake.os};
	snug_pools *pools;
	struct index index;
	REQUIRE_OK(snug_pools_create(&options, &pools));
	snug_stats before, after;
	REQUIRE_OK(snug_stats_get(pools, &before));
	REQUIRE_OK(index_init(&index, pools, &fake.os, options.limit_bytes, hash_of, table));
	uint32_t largest = 0, refused = 0;
	for (uint32_t turn = 0; turn < 4; turn++) {
		for (uint32_t done = 0; done < 4 * REFS; done++) {
			if (refuse && test_random_chance(&random, 5)) {
				fake.commit.fail_at = test_random_chance(&random, 500) ? fake.commit.calls + 1 : 0;
				fake.decommit.fail_at = test_random_chance(&random, 500) ? fake.decommit.calls + 1 : 0;
			}
			change_one(&index, table, &random, turn % 2 == 0 ? 970 : 30);
			if (index_wants_step(&index)) refused += index_step(&index) != SNUG_OK;
			if (index.from > largest) largest = index.from;
			if (done % 20000 == 0) require_same(&index, table);
		}
		require_same(&index, table);
	}
	REQUIRE(largest > 800 && index.from < largest / 4, "%u groups at most, %u at the end", largest, index.from);
	REQUIRE(refused > 0 || !refuse, "nothing was refused");
	REQUIRE_OK(snug_stats_get(pools, &after));
	REQUIRE(after.charged_bytes == before.charged_bytes + index_committed_bytes(&index), "charged wrongly");
	index_deinit(&index);
	snug_pools_destroy(pools);
	REQUIRE(fake.mistakes == 0, "%s", fake.first_mistake);
	fake_os_deinit(&fake);
	free(table);
}

static void grows_and_shrinks(void **state) {
	(void)state;
	run(false);
}

static void survives_refusals(void **state) {
	(void)state;
	run(true);
}

/* Many entries of one group: they spill, each is found, and at the group's most the next is refused. */
static void a_group_overflows(void **state) {
	(void)state;
	struct table *table = calloc(1, sizeof *table);
	REQUIRE(table != NULL, "the test ran out of memory");
	for (uint32_t ref = 1; ref <= REFS; ref++) table->hashes[ref] = ref; /* all in the first bucket */
	snug_options options = {.limit_bytes = (size_t)8 << 20};
	snug_pools *pools;
	struct index index;
	struct probe probe;
	REQUIRE_OK(snug_pools_create(&options, &pools));
	REQUIRE_OK(index_init(&index, pools, snug_os_linux(), options.limit_bytes, hash_of, table));
	snug_ref ref = 1;
	for (;; ref++) {
		REQUIRE_OK(index_prepare(&index));
		snug_error error = index_add(&index, table->hashes[ref], ref, 0);
		if (error) {
			REQUIRE(error == SNUG_ERROR_NO_MEMORY, "%s", snug_error_text(error));
			break;
		}
		table->there[ref] = true;
		table->count++;
	}
	REQUIRE(ref > 100 && ref < 300, "%llu entries in a group", (unsigned long long)ref);
	require_same(&index, table);
	for (snug_ref gone = 1; gone < ref; gone += 2) {
		REQUIRE(find(&index, table, gone, &probe), "lost");
		index_remove(&index, &probe);
		table->there[gone] = false;
		table->count--;
		require_same(&index, table);
	}
	index_deinit(&index);
	snug_pools_destroy(pools);
	free(table);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows_and_shrinks),
		cmocka_unit_test(survives_refusals),
		cmocka_unit_test(a_group_overflows),
	};
	return cmocka_run_group_tests_name("index", tests, NULL, NULL);
}
