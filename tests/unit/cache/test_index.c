/* test_index.c: the index of a cache against a table: growing and shrinking through many sizes,
 * with memory refused now and then. References are numbers here; the table knows their hashes. */
#include "cache/index/index.h"
#include "os/fake.h"
#include "support/require.h"
#include "support/slow_build.h"
#include "support/test_random.h"
#include "unit/cmocka_all.h"

#include <snug/snug.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REFS 60000u
#define CHANGES_A_CHECK (20000u * TEST_SLOWDOWN)

struct table {
	uint64_t hashes[REFS + 1];
	bool there[REFS + 1];
	uint16_t meta[REFS + 1];
	uint64_t count;
};

static uint64_t hash_of(void *context, snug_ref ref) {
	return ((const struct table *)context)->hashes[ref];
}

static bool drop_flushed(void *context, uint64_t entry) {
	struct table *table = context;
	REQUIRE(table->there[entry_ref(entry)], "dropped twice");
	table->there[entry_ref(entry)] = false;
	table->count--;
	return true;
}

static bool find(const struct index *index, const struct table *table, snug_ref ref,
				 struct probe *probe) {
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

static void change_one(struct index *index, struct table *table, test_random *random,
					   uint32_t add_per_mille) {
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

/* Grows to nearly all references, shrinks to nearly none, again and again; `refuse`: the OS refuses
 * memory now and then. */
static void run(bool refuse) {
	uint64_t seed = test_environment_number("SNUG_SEED", (uint64_t)time(NULL));
	printf("index: SNUG_SEED=0x%llx\n", (unsigned long long)seed);
	test_random random = {seed};
	struct table *table = calloc(1, sizeof *table);
	REQUIRE(table != NULL, "the test ran out of memory");
	for (uint32_t ref = 1; ref <= REFS; ref++) table->hashes[ref] = test_random_next(&random);
	struct fake_os fake;
	fake_os_init(&fake);
	snug_heap_options options = {
		.struct_bytes = sizeof(snug_heap_options), .limit_bytes = (size_t)8 << 20, .os = &fake.os};
	snug_heap *heap;
	struct index index;
	REQUIRE_OK(snug_heap_create(&options, &heap));
	snug_stats before, after;
	REQUIRE_OK(snug_stats_get(heap, &before));
	REQUIRE_OK(
		index_init(&index, heap, &fake.os, options.limit_bytes, hash_of, drop_flushed, table));
	uint32_t largest = 0, refused = 0;
	for (uint32_t turn = 0; turn < 4; turn++) {
		for (uint32_t done = 0; done < 4 * REFS; done++) {
			if (refuse && test_random_chance(&random, 5)) {
				fake.commit.fail_at = test_random_chance(&random, 500) ? fake.commit.calls + 1 : 0;
				fake.decommit.fail_at =
					test_random_chance(&random, 500) ? fake.decommit.calls + 1 : 0;
			}
			change_one(&index, table, &random, turn % 2 == 0 ? 970 : 30);
			if (index_wants_step(&index)) refused += index_step(&index) != SNUG_OK;
			if (index.from > largest) largest = index.from;
			if (done % CHANGES_A_CHECK == 0) require_same(&index, table);
		}
		require_same(&index, table);
	}
	REQUIRE(largest > 800 && index.from < largest / 4, "%u groups at most, %u at the end", largest,
			index.from);
	REQUIRE(refused > 0 || !refuse, "nothing was refused");
	REQUIRE_OK(snug_stats_get(heap, &after));
	REQUIRE(after.charged_bytes == before.charged_bytes + index_committed_bytes(&index),
			"charged wrongly");
	index_deinit(&index);
	REQUIRE_OK(snug_heap_destroy(heap));
	REQUIRE(fake.mistakes == 0, "%s", fake.first_mistake);
	fake_os_deinit(&fake);
	free(table);
}

static void grows_and_shrinks(void **state) {
	(void)state;
	run(false);
}

static bool mark_met(void *context, uint64_t entry) {
	((bool *)context)[entry_ref(entry)] = true;
	return false;
}

/* By hashes, as the sweep does. */
static void require_walk_meets_all(struct index *index, const struct table *table, bool *met) {
	uint64_t hash = 0;
	memset(met, 0, REFS + 1);
	do {
		uint64_t place = index_place(index, hash);
		index_filter(index, index_bucket(index, place), place % GROUP_BUCKETS, mark_met, met);
		uint64_t end = index_bucket_end(index, hash);
		REQUIRE(end == 0 || end > hash, "the walk does not get on");
		hash = end;
	} while (hash != 0);
	for (snug_ref ref = 1; ref <= REFS; ref++)
		REQUIRE(met[ref] || !table->there[ref], "reference %llu was passed over, cursor %u of %u",
				(unsigned long long)ref, index->cursor, index->from);
}

/* At each step of growing and shrinking. */
static void a_walk_meets_all_while_it_changes(void **state) {
	(void)state;
	enum { COUNT = 3000 };
	static bool met[REFS + 1];
	test_random random = {test_environment_number("SNUG_SEED", 5)};
	struct table *table = calloc(1, sizeof *table);
	REQUIRE(table != NULL, "the test ran out of memory");
	for (uint32_t ref = 1; ref <= REFS; ref++) table->hashes[ref] = test_random_next(&random);
	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
								 .limit_bytes = (size_t)8 << 20};
	snug_heap *heap;
	struct index index;
	uint32_t changes[3] = {0};
	REQUIRE_OK(snug_heap_create(&options, &heap));
	REQUIRE_OK(index_init(&index, heap, snug_os_linux(), options.limit_bytes, hash_of, drop_flushed,
						  table));
	for (uint32_t number = 0; number < 2 * COUNT; number++) {
		snug_ref ref = number % COUNT + 1;
		struct probe probe;
		if (number < COUNT) {
			add(&index, table, ref, 0);
		} else {
			REQUIRE(find(&index, table, ref, &probe), "reference %llu is lost",
					(unsigned long long)ref);
			index_remove(&index, &probe);
			table->there[ref] = false;
			table->count--;
		}
		if (index_wants_step(&index)) REQUIRE_OK(index_step(&index));
		if (changes[index.change]++ % 16 == 0) require_walk_meets_all(&index, table, met);
	}
	REQUIRE(changes[INDEX_GROWING] > 100 && changes[INDEX_SHRINKING] > 100, "%u and %u steps",
			changes[INDEX_GROWING], changes[INDEX_SHRINKING]);
	index_deinit(&index);
	REQUIRE_OK(snug_heap_destroy(heap));
	free(table);
}

static void survives_refusals(void **state) {
	(void)state;
	run(true);
}

/* ------------------------------------------------------------------ one group -------------- */

#define CHOSEN 2000u /* entries of one bucket, as somebody who knows the secret could choose them */

struct one_group {
	struct table *table;
	snug_heap *heap;
	struct index index;
};

static void begin_one_group(struct one_group *test, size_t limit_bytes) {
	test->table = calloc(1, sizeof *test->table);
	REQUIRE(test->table != NULL, "the test ran out of memory");
	test_random random = {test_environment_number("SNUG_SEED", 5)};
	for (uint32_t ref = 1; ref <= REFS; ref++)
		test->table->hashes[ref] = ref <= CHOSEN ? ref : test_random_next(&random);
	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
								 .limit_bytes = limit_bytes};
	REQUIRE_OK(snug_heap_create(&options, &test->heap));
	REQUIRE_OK(index_init(&test->index, test->heap, snug_os_linux(), limit_bytes, hash_of,
						  drop_flushed, test->table));
}

static void end_one_group(struct one_group *test) {
	index_deinit(&test->index);
	REQUIRE_OK(snug_heap_destroy(test->heap));
	free(test->table);
}

static void remove_one(struct one_group *test, snug_ref ref) {
	struct probe probe;
	REQUIRE(find(&test->index, test->table, ref, &probe), "reference %llu is lost",
			(unsigned long long)ref);
	index_remove(&test->index, &probe);
	test->table->there[ref] = false;
	test->table->count--;
}

/* Until it has the size it should have. Nothing may be lost in the middle. */
static void step_all(struct one_group *test) {
	for (uint32_t step = 0; index_wants_step(&test->index); step++) {
		REQUIRE_OK(index_step(&test->index));
		if (step % (16 * TEST_SLOWDOWN) == 0) require_same(&test->index, test->table);
	}
	require_same(&test->index, test->table);
}

static void one_group_takes_all_its_keys(void **state) {
	(void)state;
	struct one_group test;
	begin_one_group(&test, (size_t)8 << 20);
	for (snug_ref ref = 1; ref <= CHOSEN; ref++) add(&test.index, test.table, ref, 0);
	require_same(&test.index, test.table);
	step_all(&test);
	for (snug_ref ref = CHOSEN + 1; ref <= REFS; ref++) {
		add(&test.index, test.table, ref, 0);
		if (index_wants_step(&test.index)) REQUIRE_OK(index_step(&test.index));
	}
	step_all(&test);
	REQUIRE(test.table->count == REFS, "%llu were added", (unsigned long long)test.table->count);
	for (snug_ref ref = REFS; ref > CHOSEN; ref--) {
		remove_one(&test, ref);
		if (index_wants_step(&test.index)) REQUIRE_OK(index_step(&test.index));
	}
	step_all(&test);
	for (snug_ref ref = 1; ref <= CHOSEN; ref += 2) {
		remove_one(&test, ref);
		if (ref % (32 * TEST_SLOWDOWN) == 1) require_same(&test.index, test.table);
	}
	step_all(&test);
	end_one_group(&test);
}

/* Spill buckets for thousands of entries go when the last one of them is empty. */
static void what_was_spilled_goes_back(void **state) {
	(void)state;
	struct one_group test;
	begin_one_group(&test, (size_t)8 << 20);
	for (snug_ref ref = 1; ref <= REFS; ref++) {
		add(&test.index, test.table, ref, 0);
		if (index_wants_step(&test.index)) REQUIRE_OK(index_step(&test.index));
	}
	size_t full_bytes = test.index.spills_bytes;
	for (snug_ref ref = REFS; ref > 0; ref--) remove_one(&test, ref);
	step_all(&test);
	REQUIRE(full_bytes > 4 * 4096 && test.index.spills_bytes <= 4096, "%zu bytes of %zu stay",
			test.index.spills_bytes, full_bytes);
	end_one_group(&test);
}

struct dropping {
	struct table *table;
	test_random random;
	uint32_t per_mille;
	bool is_met[CHOSEN + 1];
};

static bool drop_some(void *context, uint64_t entry) {
	struct dropping *dropping = context;
	snug_ref ref = entry_ref(entry);
	REQUIRE(dropping->table->there[ref], "met after it was dropped");
	dropping->is_met[ref] = true;
	if (!test_random_chance(&dropping->random, dropping->per_mille)) return false;
	dropping->table->there[ref] = false;
	dropping->table->count--;
	return true;
}

static void filter_home(struct one_group *test, struct dropping *dropping, uint32_t home) {
	for (snug_ref ref = 1; ref <= CHOSEN; ref++)
		dropping->is_met[ref] = !test->table->there[ref] || ref % 3 != home;
	index_filter(&test->index, &test->index.groups[0].bucket[home], home, drop_some, dropping);
	require_same(&test->index, test->table);
	for (snug_ref ref = 1; ref <= CHOSEN; ref++)
		REQUIRE(dropping->is_met[ref], "reference %llu was not met", (unsigned long long)ref);
}

/* Entries of three homes in one group's spill buckets, of which each filter drops a share of one
 * home's. */
static void a_filter_meets_all_of_a_bucket(void **state) {
	(void)state;
	struct one_group test;
	begin_one_group(&test, (size_t)8 << 20);
	struct dropping dropping = {.table = test.table,
								.random = {test_environment_number("SNUG_SEED", 8)}};
	for (snug_ref ref = 1; ref <= CHOSEN; ref++)
		test.table->hashes[ref] |= (uint64_t)(ref % 3) << 61;
	for (uint32_t round = 0; round < 200 / TEST_SLOWDOWN; round++) {
		for (snug_ref ref = 1; ref <= CHOSEN; ref++)
			if (!test.table->there[ref] && test_random_chance(&dropping.random, 100))
				add(&test.index, test.table, ref, 0);
		dropping.per_mille = (uint32_t)test_random_below(&dropping.random, 1001);
		filter_home(&test, &dropping, (uint32_t)test_random_below(&dropping.random, 3));
	}
	end_one_group(&test);
}

static bool drop_spilled(void *context, uint64_t entry) {
	struct table *table = context;
	if (entry_ref(entry) <= 3 * BUCKET_ENTRIES) return false;
	table->there[entry_ref(entry)] = false;
	table->count--;
	return true;
}

/* The last entry of the first spill bucket goes, and the bucket with it, before the others are
 * looked at. */
static void a_filter_goes_on_behind_a_bucket_that_is_gone(void **state) {
	(void)state;
	struct one_group test;
	begin_one_group(&test, (size_t)8 << 20);
	/* two buckets of home 0, then of home 1 */
	for (snug_ref ref = 1; ref <= 5 * BUCKET_ENTRIES; ref++) {
		test.table->hashes[ref] |= ref <= 2 * BUCKET_ENTRIES ? 0 : (uint64_t)1 << 61;
		add(&test.index, test.table, ref, 0);
	}
	test.table->hashes[100] |= (uint64_t)1 << 61;
	add(&test.index, test.table, 100, 0);
	index_filter(&test.index, &test.index.groups[0].bucket[1], 1, drop_spilled, test.table);
	require_same(&test.index, test.table);
	REQUIRE(test.table->count == 3 * BUCKET_ENTRIES, "%llu are left",
			(unsigned long long)test.table->count);
	end_one_group(&test);
}

/* Of what was flushed each is told once, wherever it was met: adding, growing, or settling. */
static void what_was_flushed_goes(void **state) {
	(void)state;
	struct one_group test;
	begin_one_group(&test, (size_t)8 << 20);
	for (snug_ref ref = 1; ref <= REFS / 2; ref++) {
		add(&test.index, test.table, ref, 0);
		if (index_wants_step(&test.index)) REQUIRE_OK(index_step(&test.index));
	}
	index_flush(&test.index);
	require_same(&test.index, test.table); /* still there, but dead */
	for (snug_ref ref = REFS / 2 + 1; ref <= REFS; ref++) {
		add(&test.index, test.table, ref, 0);
		if (index_wants_step(&test.index)) REQUIRE_OK(index_step(&test.index));
	}
	require_same(&test.index, test.table);
	for (uint32_t number = 0; number < test.index.from; number++)
		for (uint32_t home = 0; home < GROUP_BUCKETS; home++)
			if (test.index.change == INDEX_STEADY)
				index_settle(&test.index, &test.index.groups[number].bucket[home], home);
	step_all(&test);
	for (snug_ref ref = 1; ref <= REFS; ref++)
		REQUIRE(test.table->there[ref] == (ref > REFS / 2), "reference %llu",
				(unsigned long long)ref);
	end_one_group(&test);
}

/* Each entry by itself, whatever the bucket's own word is. */
static uint32_t tags_one_by_one(const struct bucket *bucket, uint16_t tag) {
	uint32_t tags = 0;
	for (uint32_t i = 0; i < BUCKET_ENTRIES; i++)
		tags |= (uint32_t)(bucket->entry[i] >> TAG_SHIFT == tag) << i;
	return tags;
}

static void a_bucket_knows_its_tags(void **state) {
	(void)state;
	struct bucket bucket;
	test_random random = {7};
	for (uint32_t round = 0; round < 20000; round++) {
		uint16_t tag = (uint16_t)test_random_below(&random, 4096);
		uint64_t tagged = (uint64_t)tag << TAG_SHIFT;
		bucket.word = test_random_below(&random, 2) == 0 ? tagged : test_random_next(&random);
		for (uint32_t i = 0; i < BUCKET_ENTRIES; i++) {
			uint64_t low = test_random_next(&random) >> (64 - TAG_SHIFT);
			uint64_t other = (uint64_t)1 << (TAG_SHIFT + test_random_below(&random, 12));
			uint64_t kind = test_random_below(&random, 4);
			bucket.entry[i] = kind == 0 ? 0 : kind == 1 ? tagged | low : (tagged ^ other) | low;
		}
		REQUIRE(bucket_tags(&bucket, tag) == tags_one_by_one(&bucket, tag), "tag %u", tag);
		uint32_t matches = bucket_matches(&bucket, 0);
		for (uint32_t i = 0; i < BUCKET_ENTRIES; i++)
			REQUIRE((matches >> i & 1) == 0 || bucket.entry[i] != 0, "a free one has a tag");
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bucket_knows_its_tags),
		cmocka_unit_test(grows_and_shrinks),
		cmocka_unit_test(a_walk_meets_all_while_it_changes),
		cmocka_unit_test(survives_refusals),
		cmocka_unit_test(one_group_takes_all_its_keys),
		cmocka_unit_test(what_was_spilled_goes_back),
		cmocka_unit_test(a_filter_meets_all_of_a_bucket),
		cmocka_unit_test(a_filter_goes_on_behind_a_bucket_that_is_gone),
		cmocka_unit_test(what_was_flushed_goes),
	};
	return cmocka_run_group_tests_name("index", tests, NULL, NULL);
}
