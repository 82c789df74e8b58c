/* test_object_max.c: the largest object. Each size up to object_max_bytes fits an empty heap, be it
 * new, used and emptied, or under another limit than it was created with; each larger one is
 * SIZE_TOO_LARGE. And object_max_bytes leaves no more than it must.
 *
 *     SNUG_LIMIT_MIB=16 tests/laws/test_object_max      no heap has a larger limit: most of the time goes to those */
#include "mem/arena/limit.h"
#include "support/require.h"
#include "support/test_random.h"
#include "unit/cmocka_all.h"

#include <snug/snug.h>

#include <stdio.h>
#include <stdlib.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

struct setting {
	size_t limit_bytes;
	size_t page_bytes;
	bool by_reference;
};

static char note[160];

static void say(const struct setting *setting, const char *state, size_t size) {
	snprintf(note, sizeof note, "limit %zu, pages of %zu, by %s, %s heap, %zu bytes",
			 setting->limit_bytes, setting->page_bytes,
			 setting->by_reference ? "reference" : "handle", state, size);
	require_note(note);
}

static void moved(void *context, snug_ref from, snug_ref to, size_t size) {
	(void)context, (void)from, (void)to, (void)size;
}

static snug_heap *open_heap(const struct setting *setting, size_t limit_max_bytes) {
	snug_heap *heap;
	snug_heap_options options = snug_heap_options_default();
	options.limit_bytes = setting->limit_bytes;
	options.limit_max_bytes = limit_max_bytes;
	options.page_bytes = setting->page_bytes;
	if (setting->by_reference) options.owner.moved = moved;
	REQUIRE_OK(snug_heap_create(&options, &heap));
	return heap;
}

static snug_error take(snug_heap *heap, const struct setting *setting, size_t size,
					   uint64_t *name) {
	return setting->by_reference ? snug_ref_alloc(heap, size, name) : snug_alloc(heap, size, name);
}

static void give(snug_heap *heap, const struct setting *setting, size_t size, uint64_t name) {
	REQUIRE_OK(setting->by_reference ? snug_ref_free(heap, name, size) : snug_free(heap, name));
}

static void require_fits(snug_heap *heap, const struct setting *setting, const char *state,
						 size_t size) {
	uint64_t name;
	say(setting, state, size);
	REQUIRE_OK(take(heap, setting, size, &name));
	give(heap, setting, size, name);
}

/* Fewer where each takes longer. */
static size_t turns_of(const struct setting *setting) {
	return setting->limit_bytes > 16 * MIB ? 4 : setting->limit_bytes > 1 * MIB ? 20 : 60;
}

/* The largest, and what is a little smaller: where the whole fragments end, each length of tail
 * that a plan may split. */
static void require_all_fit(snug_heap *heap, const struct setting *setting, const char *state) {
	test_random random = {setting->limit_bytes + setting->page_bytes};
	size_t max_bytes = heap->object_max_bytes;
	size_t whole_bytes = heap->arena.page_bytes - heap->classes.fragment_trailer_bytes;
	uint64_t name;
	say(setting, state, max_bytes + 1);
	REQUIRE_ERROR(SNUG_ERROR_SIZE_TOO_LARGE, take(heap, setting, max_bytes + 1, &name));
	for (size_t less = 0; less < 3; less++) require_fits(heap, setting, state, max_bytes - less);
	for (size_t page = 1; page < 4 && max_bytes > page * whole_bytes; page++) {
		size_t border = max_bytes - page * whole_bytes;
		require_fits(heap, setting, state, border + 1);
		require_fits(heap, setting, state, border);
		require_fits(heap, setting, state, border - 1);
	}
	for (size_t turn = 0; turn < turns_of(setting); turn++) {
		size_t less = (size_t)test_random_below(&random, whole_bytes << turn % 3);
		require_fits(heap, setting, state, max_bytes - less % max_bytes);
	}
	require_fits(heap, setting, state, 1);
	require_fits(heap, setting, state, max_bytes);
	REQUIRE_OK(snug_check(heap, NULL));
}

/* What the largest object leaves of the limit is less than a page, and a grain each of cells,
 * descriptors and regions. */
static void require_tight(snug_heap *heap, const struct setting *setting) {
	uint64_t name;
	snug_stats stats;
	size_t size = heap->object_max_bytes;
	say(setting, "new", size);
	REQUIRE_OK(take(heap, setting, size, &name));
	REQUIRE_OK(snug_stats_get(heap, &stats));
	uint64_t left_bytes = stats.limit_bytes - stats.committed_bytes - stats.metadata_bytes;
	REQUIRE(left_bytes < stats.page_bytes + 3 * METADATA_GRAIN, "%llu bytes of the limit are left",
			(unsigned long long)left_bytes);
	give(heap, setting, size, name);
}

/* As many objects as fit, of all sizes, then none. */
static void use_and_empty(snug_heap *heap, const struct setting *setting, size_t low, size_t high) {
	test_random random = {low + high};
	size_t room = heap->arena.limit_bytes / low + 1, count = 0;
	uint64_t *names = malloc(room * sizeof *names);
	uint32_t *sizes = malloc(room * sizeof *sizes);
	REQUIRE(names != NULL && sizes != NULL, "the test ran out of memory");
	say(setting, "filling", high);
	/* nobody here follows a reference that moves */
	heap->options.no_compaction_in_alloc = setting->by_reference;
	for (; count < room; count++) {
		size_t size = (size_t)test_random_between(&random, low, high);
		sizes[count] = (uint32_t)size;
		if (take(heap, setting, size, &names[count]) != SNUG_OK) break;
	}
	heap->options.no_compaction_in_alloc = false;
	while (count-- > 0) give(heap, setting, sizes[count], names[count]);
	free(names);
	free(sizes);
}

/* A build that walks the heap behind each change takes minutes for all of the large ones. */
static size_t page_steps(size_t limit_bytes) {
#ifdef SNUG_DEBUG
	return limit_bytes > 16 * MIB ? 16 : 2;
#else
	(void)limit_bytes;
	return 2;
#endif
}

static size_t limit_most_bytes;

static void each_setting(void (*run)(const struct setting *)) {
	static const size_t limits[] = {256 * KIB, 300 * KIB + 77, 1 * MIB,  5 * MIB + 4095,
									16 * MIB,  64 * MIB,       256 * MIB};
	for (size_t index = 0; index < sizeof limits / sizeof *limits; index++) {
		if (limits[index] > limit_most_bytes) break;
		for (size_t page_bytes = 4096; page_bytes <= 65536;
			 page_bytes *= page_steps(limits[index])) {
			if (!limit_is_workable(limits[index], page_bytes)) continue;
			for (int by_reference = 0; by_reference < 2; by_reference++) {
				struct setting setting = {limits[index], page_bytes, by_reference};
				run(&setting);
			}
		}
	}
	require_note(NULL);
}

static void run_new(const struct setting *setting) {
	test_random random = {setting->limit_bytes ^ setting->page_bytes};
	snug_heap *heap = open_heap(setting, 0);
	require_tight(heap, setting);
	REQUIRE_OK(snug_heap_destroy(heap));
	for (size_t turn = 0; turn < turns_of(setting); turn++) {
		heap = open_heap(setting, 0);
		size_t less = (size_t)test_random_below(&random, turn * setting->page_bytes / 50 + 1);
		require_fits(heap, setting, "new", heap->object_max_bytes - less);
		REQUIRE_OK(snug_heap_destroy(heap));
	}
}

static void run_emptied(const struct setting *setting) {
	snug_heap *heap = open_heap(setting, 0);
	require_all_fit(heap, setting, "used");
	if (setting->limit_bytes <= 16 * MIB) { /* for the time it takes */
		use_and_empty(heap, setting, 1, 1);
		require_all_fit(heap, setting, "emptied of bytes");
		use_and_empty(heap, setting, 1, 3 * setting->page_bytes);
		require_all_fit(heap, setting, "emptied of all sizes");
	}
	REQUIRE_OK(snug_heap_destroy(heap));
}

static void run_other_limits(const struct setting *setting) {
	if (setting->limit_bytes > 16 * MIB) return;
	struct setting other = *setting;
	snug_heap *heap = open_heap(setting, 4 * setting->limit_bytes);
	for (int turn = 0; turn < 3; turn++) {
		other.limit_bytes = setting->limit_bytes * 4;
		REQUIRE_OK(snug_heap_set_limit(heap, other.limit_bytes));
		require_all_fit(heap, &other, "raised");
		if (turn == 2 && setting->limit_bytes <= 4 * MIB) use_and_empty(heap, &other, 30, 3000);
		other.limit_bytes = setting->limit_bytes;
		REQUIRE_OK(snug_heap_set_limit(heap, other.limit_bytes));
		require_all_fit(heap, &other, "lowered");
	}
	REQUIRE_OK(snug_heap_destroy(heap));
}

static void new_heaps(void **state) {
	(void)state;
	each_setting(run_new);
}

static void emptied_heaps(void **state) {
	(void)state;
	each_setting(run_emptied);
}

static void other_limits(void **state) {
	(void)state;
	each_setting(run_other_limits);
}

int main(void) {
	limit_most_bytes = (size_t)test_environment_number("SNUG_LIMIT_MIB", 256) * MIB;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_heaps),
		cmocka_unit_test(emptied_heaps),
		cmocka_unit_test(other_limits),
	};
	return cmocka_run_group_tests_name("object_max", tests, NULL, NULL);
}
