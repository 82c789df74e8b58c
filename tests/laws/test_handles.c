/* test_handles.c: a stale handle is an error for ever (law H2): also when the generations of its
 * entry are used up.
 *
 * 2^24 - 1 objects in one entry take seconds to make. So the entry is told that it has had most of
 * them, and the handle with it. */
#include "mem/slab/handles.h"
#include "support/require.h"
#include "unit/cmocka_all.h"

#define LIMIT ((size_t)1 << 20)
#define LEFT 5u /* generations */

static snug_handle with_generation(snug_handle handle, uint64_t generation) {
	return (handle & ~((uint64_t)GENERATION_MAX << 32)) | generation << 32;
}

/* The live object of the handle is now the generation'th of its entry. */
static snug_handle age_entry(snug_heap *heap, snug_handle handle, uint64_t generation) {
	uint64_t *entry = &heap->handles.entries[handle_index(handle)];
	uint64_t kept = *entry & (((uint64_t)1 << ENTRY_GENERATION_SHIFT) - 1);
	*entry = kept | generation << ENTRY_GENERATION_SHIFT;
	return with_generation(handle, generation);
}

static snug_heap *open_heap(void) {
	snug_heap_options options = snug_heap_options_default();
	snug_heap *heap;
	options.limit_bytes = LIMIT;
	REQUIRE_OK(snug_heap_create(&options, &heap));
	return heap;
}

static void require_stale(snug_heap *heap, snug_handle handle) {
	size_t size;
	void *address;
	REQUIRE_ERROR(SNUG_ERROR_HANDLE, snug_size(heap, handle, &size));
	REQUIRE_ERROR(SNUG_ERROR_HANDLE, snug_ptr(heap, handle, &address));
	REQUIRE_ERROR(SNUG_ERROR_HANDLE, snug_free(heap, handle));
}

static void an_entry_without_generations_is_never_used_again(void **state) {
	(void)state;
	snug_heap *heap = open_heap();
	snug_handle handles[LEFT + 1], other;
	REQUIRE_OK(snug_alloc(heap, 100, &handles[0]));
	handles[0] = age_entry(heap, handles[0], GENERATION_MAX - LEFT);
	for (uint32_t last = 0; last < LEFT; last++) {
		size_t size;
		REQUIRE_OK(snug_size(heap, handles[last], &size));
		REQUIRE_OK(snug_free(heap, handles[last]));
		REQUIRE_OK(snug_alloc(heap, 100, &handles[last + 1]));
		REQUIRE(handles[last + 1] == with_generation(handles[0], GENERATION_MAX - LEFT + last + 1),
				"another entry, or generation, after %u", last);
	}
	REQUIRE_OK(snug_free(heap, handles[LEFT]));
	REQUIRE_OK(snug_check(heap, NULL));
	for (uint32_t count = 0; count < 3; count++) {
		REQUIRE_OK(snug_alloc(heap, 100, &other));
		REQUIRE(handle_index(other) != handle_index(handles[0]), "its entry was used again");
		for (uint32_t last = 0; last <= LEFT; last++) require_stale(heap, handles[last]);
		REQUIRE_OK(snug_free(heap, other));
	}
	/* nor does any generation that its entry never had */
	require_stale(heap, with_generation(handles[0], 0));
	require_stale(heap, with_generation(handles[0], 1));
	REQUIRE_OK(snug_check(heap, NULL));
	REQUIRE_OK(snug_heap_destroy(heap));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_entry_without_generations_is_never_used_again),
	};
	return cmocka_run_group_tests_name("handles", tests, NULL, NULL);
}
