/* test_holes.c: laws B1 to B3, case by case: what is refused beside holes that would have held it.
 *
 * Each case brings a heap to where all of its pages are slabs and many of their slots are holes, and
 * asks for something of another size. herd_add holds a refusal against the bound; the cases say what
 * must not be refused at all. tests/adversary looks for cases that nobody has thought of. */
#include "herd.h"
#include "support/bound.h"
#include "support/require.h"
#include "unit/cmocka_all.h"

#include <stdio.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define PINS_MAX 4000u

struct setting {
	size_t limit_bytes;
	size_t page_bytes; /* 0: as the limit says */
	bool by_reference;
};

static void open_heap(struct herd *herd, const struct setting *setting) {
	snug_heap_options options = snug_heap_options_default();
	options.limit_bytes = setting->limit_bytes;
	options.page_bytes = setting->page_bytes;
	herd_init(herd, setting->by_reference, &options);
}

static void close_heap(struct herd *herd) {
	snug_check_result result;
	snug_error error = snug_check(herd->heap, &result);
	REQUIRE(error == SNUG_OK, "law %s: %s", result.law, result.message);
	herd_verify(herd);
	herd_remove_all(herd);
	REQUIRE_OK(snug_check(herd->heap, NULL));
	herd_deinit(herd);
}

static void free_every(struct herd *herd, uint32_t nth) {
	for (uint32_t number = 0; number < herd->count; number += nth) herd_remove(herd, number);
}

/* Full of one size; one hole in every third slab, so that no page can be gained. */
static void another_size(const struct setting *setting, size_t full_of, size_t asked) {
	struct herd herd;
	open_heap(&herd, setting);
	herd_fill(&herd, UINT64_MAX, full_of, full_of);
	uint32_t a_slab = (uint32_t)(herd_stats(&herd).page_bytes / full_of);
	for (uint32_t hole = 1; hole < a_slab && hole * 3 * a_slab < herd.count; hole++)
		herd_remove(&herd, herd.count - hole * 3 * a_slab);
	uint64_t holes = herd_stats(&herd).total.hole_bytes / full_of;
	uint64_t found = herd_fill(&herd, UINT64_MAX, asked, asked) / asked;
	/* by handle the table may be full first (B3) */
	bool of_table = bound_judge(herd.heap, asked, BOUND_PLAIN).is_of_table;
	REQUIRE(found + 1 >= holes || of_table,
			"%llu of %zu bytes were stored beside %llu holes of %zu", (unsigned long long)found,
			asked, (unsigned long long)holes, full_of);
	close_heap(&herd);
}

static void a_smaller_object_takes_a_larger_hole(void **state) {
	const struct setting *setting = *state;
	another_size(setting, 500, 20);
	another_size(setting, 1000, 900);
	another_size(setting, 100, 60);
	another_size(setting, 3000, 10);
}

/* Full, with a pinned object and a hole in each ten: nothing of it can be gained. Pinned before it
 * is full, since pins take memory, too. */
static void fill_and_pin(struct herd *herd, size_t size) {
	herd_fill(herd, herd_stats(herd).limit_bytes / 2, size, size);
	for (uint32_t number = 0; number < herd->count; number += 10) herd_pin(herd, number);
	herd_fill(herd, UINT64_MAX, size, size);
	for (uint32_t number = 5; number < herd->count; number += 10) herd_remove(herd, number);
}

static void unpin_all(struct herd *herd) {
	for (uint32_t number = 0; number < herd->count; number++)
		if (herd->objects[number].pins > 0) herd_unpin(herd, number);
}

/* No hole is as large as a thousandth of it. */
static void a_large_object_lies_in_small_holes(void **state) {
	const struct setting *setting = *state;
	static const size_t sizes[] = {60, 100, 500, 1000};
	for (size_t index = 0; index < sizeof sizes / sizeof *sizes; index++) {
		struct herd herd;
		open_heap(&herd, setting);
		fill_and_pin(&herd, sizes[index]);
		struct bound_verdict verdict = bound_judge(herd.heap, 1, BOUND_PLAIN);
		uint64_t size = verdict.room_bytes - (verdict.needed_bytes - 1);
		REQUIRE(size > setting->limit_bytes / 50, "only %llu bytes are free",
				(unsigned long long)size);
		REQUIRE_OK(herd_add(&herd, (size_t)size));
		unpin_all(&herd);
		close_heap(&herd);
	}
}

/* One object a page, of all sizes: each class has but one slab, or two. */
static void contiguous_objects_find_a_page(void **state) {
	const struct setting *setting = *state;
	struct herd herd;
	open_heap(&herd, setting);
	size_t page_bytes = herd_stats(&herd).page_bytes;
	for (size_t size = 20, added = 1; added > 0; size = size * 9 / 8 + 1) {
		if (size > page_bytes * 9 / 10) size = 20;
		added = herd_fill(&herd, page_bytes, size, size);
	}
	herd_thin_out(&herd, 0, herd.count, 950);
	snug_alloc_options options = {.contiguous = true};
	size_t size = snug_contiguous_max(herd.heap);
	uint64_t name, pages = 0;
	herd.may_move = true;
	while ((setting->by_reference ? snug_ref_alloc_with(herd.heap, size, &options, &name)
								  : snug_alloc_with(herd.heap, size, &options, &name)) == SNUG_OK)
		pages++;
	herd.may_move = false;
	struct bound_verdict verdict = bound_judge(herd.heap, size, BOUND_CONTIGUOUS);
	REQUIRE(verdict.wrong == NULL, "after %llu pages: %s", (unsigned long long)pages,
			verdict.wrong);
	REQUIRE(pages > 0, "no page was found");
	REQUIRE_OK(snug_check(herd.heap, NULL));
	herd_verify(&herd);
	herd_deinit(&herd);
}

/* The smallest objects, each pinned: at last the table finds no room, and the OS had no part in it.
 * A table of twice the size is more than this heap has addresses for, because it could never be
 * within the limit. */
static void a_pin_is_refused_by_the_limit(void **state) {
	const struct setting *setting = *state;
	struct herd herd;
	open_heap(&herd, setting);
	herd_fill(&herd, setting->limit_bytes * 3 / 20, 4, 4);
	snug_error error = SNUG_OK;
	for (uint32_t number = 0; number < herd.count && error == SNUG_OK; number++) {
		uint64_t name = herd.objects[number].name;
		error =
			setting->by_reference ? snug_ref_pin(herd.heap, name, 4) : snug_pin(herd.heap, name);
		if (error == SNUG_OK) herd.objects[number].pins++;
	}
	if (error) {
		REQUIRE_ERROR(SNUG_ERROR_NO_MEMORY, error);
		struct bound_verdict verdict = bound_judge_pin(herd.heap);
		REQUIRE(verdict.wrong == NULL, "a pin was refused, but %s", verdict.wrong);
	}
	unpin_all(&herd);
	close_heap(&herd);
}

/* Every second slot is a hole; a pin may not move anything to gain a page for its table. */
static void a_pin_finds_its_entry(void **state) {
	const struct setting *setting = *state;
	struct herd herd;
	open_heap(&herd, setting);
	herd_fill(&herd, UINT64_MAX, 100, 100);
	free_every(&herd, 2);
	uint64_t moves = herd_stats(&herd).moves;
	uint32_t step = 2 * (herd.count / PINS_MAX + 1); /* records are found by walking a few lists */
	for (uint32_t number = 1; number < herd.count; number += step) herd_pin(&herd, number);
	REQUIRE(herd_stats(&herd).moves == moves, "a pin moved something");
	unpin_all(&herd);
	close_heap(&herd);
}

/* Large objects, few entries: then many small ones where some of the large were. */
static void the_table_of_handles_grows_in_a_full_heap(void **state) {
	const struct setting *setting = *state;
	struct herd herd;
	open_heap(&herd, setting);
	size_t page_bytes = herd_stats(&herd).page_bytes;
	herd_fill(&herd, UINT64_MAX, page_bytes / 3, page_bytes / 3);
	free_every(&herd, 3);
	uint64_t free_bytes = herd_stats(&herd).total.hole_bytes;
	uint64_t added = herd_fill(&herd, UINT64_MAX, 4, 4);
	REQUIRE(added / 4 * 40 > free_bytes, "%llu objects found room in %llu bytes",
			(unsigned long long)added / 4, (unsigned long long)free_bytes);
	close_heap(&herd);
}

static void a_larger_size_lies_in_the_holes(void **state) {
	const struct setting *setting = *state;
	struct herd herd;
	open_heap(&herd, setting);
	fill_and_pin(&herd, 200);
	struct bound_verdict verdict = bound_judge(herd.heap, 1, BOUND_PLAIN);
	size_t size = (size_t)(verdict.room_bytes - (verdict.needed_bytes - 1));
	uint64_t name = herd.objects[1].name; /* not pinned */
	herd.may_move = true;
	REQUIRE_OK(setting->by_reference ? snug_ref_resize(herd.heap, &name, 200, size)
									 : snug_resize(herd.heap, name, size));
	REQUIRE_OK(setting->by_reference ? snug_ref_free(herd.heap, name, size)
									 : snug_free(herd.heap, name));
	herd.may_move = false;
	herd.objects[1].name = 0;
	herd.live--;
	unpin_all(&herd);
	close_heap(&herd);
}

#define CASES(X)                                 \
	X(a_smaller_object_takes_a_larger_hole)      \
	X(a_large_object_lies_in_small_holes)        \
	X(contiguous_objects_find_a_page)            \
	X(a_pin_finds_its_entry)                     \
	X(a_pin_is_refused_by_the_limit)             \
	X(the_table_of_handles_grows_in_a_full_heap) \
	X(a_larger_size_lies_in_the_holes)

#define CASE_COUNT 7
#define NAME_ROOM 96

int main(void) {
	static const struct {
		const char *name;
		CMUnitTestFunction function;
	} cases[CASE_COUNT] = {
#define CASE_ROW(name) {#name, name},
		CASES(CASE_ROW)
#undef CASE_ROW
	};
	static struct setting settings[] = {
		{256 * KIB, 0, false},   {256 * KIB, 0, true}, {2 * MIB, 4096, false},
		{2 * MIB, 65536, true},  {16 * MIB, 0, false}, {16 * MIB, 0, true},
		{700 * KIB, 4096, true},
	};
	enum { SETTINGS = sizeof settings / sizeof *settings };
	static char names[SETTINGS * CASE_COUNT][NAME_ROOM];
	struct CMUnitTest tests[SETTINGS * CASE_COUNT];
	size_t count = 0;
	for (size_t s = 0; s < SETTINGS; s++) {
		for (size_t c = 0; c < CASE_COUNT; c++, count++) {
			snprintf(names[count], NAME_ROOM, "%s_%zuK_%s", cases[c].name,
					 settings[s].limit_bytes / KIB,
					 settings[s].by_reference ? "references" : "handles");
			tests[count] =
				(struct CMUnitTest){names[count], cases[c].function, NULL, NULL, &settings[s]};
		}
	}
	return _cmocka_run_group_tests("holes", tests, count, NULL, NULL);
}
