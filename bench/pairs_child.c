/* pairs_child.c: one allocator's heap and the loops that are timed on it.
 *
 * The loops exist once, as always-inlined functions that take the allocator's operations as constants: the compiler turns them
 * into one loop for malloc, one for references and one for handles, alike in everything but the calls, each of which
 * goes through the procedure linkage table into a shared library.
 *
 * What a pair is: a random live object is freed and a new one is allocated in its stead and its first eight bytes are written,
 * as any user would. Which object: xorshift over a table of 8-byte names, outside the heap: a pointer, a handle, or
 * a reference with the size beside it. Sizes come from a table of 4096, drawn before. In batches: 64 random objects are
 * freed, then 64 allocated; with references by snug's batch calls, otherwise by loops. */
#include "pairs.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIZE_TABLE_COUNT 4096

typedef struct pairs_heap {
	snug_pools *pools;
	uint64_t *names; /* 0: no object, between the two halves of a batch */
	size_t count;
	bench_random random;
	size_t next_size;
	uint32_t sizes[SIZE_TABLE_COUNT];
} pairs_heap;

#define INLINED static inline __attribute__((always_inline))

typedef uint64_t allocate_function(pairs_heap *heap, size_t size, size_t index);
typedef void free_function(pairs_heap *heap, uint64_t name);
typedef void allocate_many_function(pairs_heap *heap, const size_t *indexes, const size_t *sizes, size_t count);
typedef void free_many_function(pairs_heap *heap, const size_t *indexes, size_t count);

INLINED size_t draw_size(pairs_heap *heap) {
	return heap->sizes[heap->next_size++ % SIZE_TABLE_COUNT];
}

static void require(bool condition, const char *what) {
	if (!condition) {
		bench_fail("%s", what);
	}
}

/* ------------------------------------------------------------------ malloc ----------------------------------------------- */

INLINED uint64_t malloc_allocate(pairs_heap *heap, size_t size, size_t index) {
	uint64_t *object = malloc(size);
	(void)heap;
	if (object == NULL) {
		abort();
	}
	*object = index;
	return (uint64_t)(uintptr_t)object;
}

INLINED void malloc_free(pairs_heap *heap, uint64_t name) {
	(void)heap;
	free((void *)(uintptr_t)name);
}

/* ------------------------------------------------------------------ references ------------------------------------------- */

INLINED uint64_t name_of(snug_ref ref, size_t size) {
	return (uint64_t)size << SNUG_REF_BITS | ref;
}

INLINED snug_ref ref_of(uint64_t name) {
	return name & (((uint64_t)1 << SNUG_REF_BITS) - 1);
}

INLINED size_t size_of(uint64_t name) {
	return (size_t)(name >> SNUG_REF_BITS);
}

INLINED uint64_t ref_allocate(pairs_heap *heap, size_t size, size_t index) {
	snug_ref ref = 0;
	uint64_t stored = index;
	if (snug_ref_alloc(heap->pools, size, &ref) != SNUG_OK) {
		abort();
	}
	memcpy(snug_ref_at(heap->pools, ref), &stored, sizeof stored);
	return name_of(ref, size);
}

INLINED void ref_free(pairs_heap *heap, uint64_t name) {
	if (snug_ref_free(heap->pools, ref_of(name), size_of(name)) != SNUG_OK) {
		abort();
	}
}

INLINED void ref_allocate_many(pairs_heap *heap, const size_t *indexes, const size_t *sizes, size_t count) {
	snug_ref refs[PAIRS_BATCH_COUNT];
	if (snug_ref_alloc_batch(heap->pools, sizes, count, refs) != SNUG_OK) {
		abort();
	}
	for (size_t i = 0; i < count; i++) {
		uint64_t stored = indexes[i];
		memcpy(snug_ref_at(heap->pools, refs[i]), &stored, sizeof stored);
		heap->names[indexes[i]] = name_of(refs[i], sizes[i]);
	}
}

INLINED void ref_free_many(pairs_heap *heap, const size_t *indexes, size_t count) {
	snug_ref refs[PAIRS_BATCH_COUNT];
	size_t sizes[PAIRS_BATCH_COUNT];
	for (size_t i = 0; i < count; i++) {
		refs[i] = ref_of(heap->names[indexes[i]]);
		sizes[i] = size_of(heap->names[indexes[i]]);
		heap->names[indexes[i]] = 0;
	}
	if (snug_ref_free_batch(heap->pools, refs, sizes, count) != SNUG_OK) {
		abort();
	}
}

static void ref_moved(void *context, snug_ref from, snug_ref to, size_t size) {
	pairs_heap *heap = context;
	uint64_t index;
	(void)from;
	(void)size;
	memcpy(&index, snug_ref_at(heap->pools, to), sizeof index);
	heap->names[index] = name_of(to, size_of(heap->names[index]));
}

/* ------------------------------------------------------------------ handles ---------------------------------------------- */

INLINED uint64_t handle_allocate(pairs_heap *heap, size_t size, size_t index) {
	snug_handle handle = 0;
	uint64_t stored = index;
	void *object = NULL;
	if (snug_alloc(heap->pools, size, &handle) != SNUG_OK) {
		abort();
	}
	if (snug_ptr(heap->pools, handle, &object) == SNUG_OK) {
		memcpy(object, &stored, sizeof stored);
	} else if (snug_write(heap->pools, handle, 0, &stored, sizeof stored) != SNUG_OK) {
		abort(); /* stored in fragments, then */
	}
	return handle;
}

INLINED void handle_free(pairs_heap *heap, uint64_t name) {
	if (snug_free(heap->pools, name) != SNUG_OK) {
		abort();
	}
}

/* ------------------------------------------------------------------ the loops -------------------------------------------- */

INLINED void run_single(pairs_heap *heap, uint64_t pairs, allocate_function *allocate, free_function *release) {
	for (uint64_t i = 0; i < pairs; i++) {
		size_t index = bench_random_below(&heap->random, heap->count);
		release(heap, heap->names[index]);
		heap->names[index] = allocate(heap, draw_size(heap), index);
	}
}

INLINED void allocate_each(pairs_heap *heap, const size_t *indexes, const size_t *sizes, size_t count,
						   allocate_function *allocate) {
	for (size_t i = 0; i < count; i++) {
		heap->names[indexes[i]] = allocate(heap, sizes[i], indexes[i]);
	}
}

INLINED void free_each(pairs_heap *heap, const size_t *indexes, size_t count, free_function *release) {
	for (size_t i = 0; i < count; i++) {
		release(heap, heap->names[indexes[i]]);
		heap->names[indexes[i]] = 0;
	}
}

/* Distinct random objects: every batch starts at a random place and takes random strides of its own. */
INLINED void pick_distinct(pairs_heap *heap, size_t *indexes, size_t count) {
	size_t stride = heap->count / count;
	size_t base = bench_random_below(&heap->random, heap->count);
	for (size_t i = 0; i < count; i++) {
		size_t index = base + i * stride + bench_random_below(&heap->random, stride);
		index -= index >= heap->count ? heap->count : 0;
		indexes[i] = index;
	}
}

INLINED void run_batches(pairs_heap *heap, uint64_t pairs, allocate_many_function *allocate_many,
						 free_many_function *free_many) {
	for (uint64_t done = 0; done < pairs; done += PAIRS_BATCH_COUNT) {
		size_t indexes[PAIRS_BATCH_COUNT];
		size_t sizes[PAIRS_BATCH_COUNT];
		pick_distinct(heap, indexes, PAIRS_BATCH_COUNT);
		for (size_t i = 0; i < PAIRS_BATCH_COUNT; i++) {
			sizes[i] = draw_size(heap);
		}
		free_many(heap, indexes, PAIRS_BATCH_COUNT);
		allocate_many(heap, indexes, sizes, PAIRS_BATCH_COUNT);
	}
}

INLINED void malloc_allocate_many(pairs_heap *heap, const size_t *indexes, const size_t *sizes, size_t count) {
	allocate_each(heap, indexes, sizes, count, malloc_allocate);
}

INLINED void malloc_free_many(pairs_heap *heap, const size_t *indexes, size_t count) {
	free_each(heap, indexes, count, malloc_free);
}

INLINED void handle_allocate_many(pairs_heap *heap, const size_t *indexes, const size_t *sizes, size_t count) {
	allocate_each(heap, indexes, sizes, count, handle_allocate);
}

INLINED void handle_free_many(pairs_heap *heap, const size_t *indexes, size_t count) {
	free_each(heap, indexes, count, handle_free);
}

typedef void run_function(pairs_heap *heap, uint64_t pairs);

static void run_malloc_single(pairs_heap *heap, uint64_t pairs) {
	run_single(heap, pairs, malloc_allocate, malloc_free);
}

static void run_ref_single(pairs_heap *heap, uint64_t pairs) {
	run_single(heap, pairs, ref_allocate, ref_free);
}

static void run_handle_single(pairs_heap *heap, uint64_t pairs) {
	run_single(heap, pairs, handle_allocate, handle_free);
}

static void run_malloc_batches(pairs_heap *heap, uint64_t pairs) {
	run_batches(heap, pairs, malloc_allocate_many, malloc_free_many);
}

static void run_ref_batches(pairs_heap *heap, uint64_t pairs) {
	run_batches(heap, pairs, ref_allocate_many, ref_free_many);
}

static void run_handle_batches(pairs_heap *heap, uint64_t pairs) {
	run_batches(heap, pairs, handle_allocate_many, handle_free_many);
}

/* ------------------------------------------------------------------ the child -------------------------------------------- */

static void draw_sizes(pairs_heap *heap, pairs_sizes kind) {
	for (size_t i = 0; i < SIZE_TABLE_COUNT; i++) {
		size_t size = 100;
		if (kind == PAIRS_64_TO_256) {
			size = 64 + bench_random_below(&heap->random, 193);
		} else if (kind == PAIRS_META) {
			size = bench_meta_size(&heap->random, PAIRS_META_MAX_BYTES);
		}
		heap->sizes[i] = (uint32_t)size;
	}
}

/* A quarter more than what is live at most, so that nothing is compacted: mallocs have no limit to keep either. The limit
 * decides the page size, and is the same for few live bytes: those stand for the part of a large heap that is in use just now. */
#define LIMIT_BYTES (320 * MIB)

static void create_pools(pairs_heap *heap, const pairs_setup *setup) {
	snug_options options = {.limit_bytes = LIMIT_BYTES, .huge_pages = setup->huge_pages};
	if (setup->reference) {
		options.owner = (snug_owner){.moved = ref_moved, .context = heap};
	}
	bench_expect_ok(snug_pools_create(&options, &heap->pools), "snug_pools_create");
}

static void fill(pairs_heap *heap, const pairs_setup *setup) {
	uint64_t sum = 0;
	for (size_t i = 0; i < SIZE_TABLE_COUNT; i++) {
		sum += heap->sizes[i];
	}
	heap->count = (size_t)(setup->live_bytes * SIZE_TABLE_COUNT / sum);
	heap->names = bench_map(heap->count * sizeof heap->names[0], setup->huge_pages);
	for (size_t i = 0; i < heap->count; i++) {
		size_t size = draw_size(heap);
		if (setup->malloc) {
			heap->names[i] = malloc_allocate(heap, size, i);
		} else {
			heap->names[i] = setup->reference ? ref_allocate(heap, size, i) : handle_allocate(heap, size, i);
		}
	}
}

static bool read_command(int input, pairs_command *command) {
	return read(input, command, sizeof *command) == (ssize_t)sizeof *command;
}

static void answer(int output, uint64_t elapsed_ns) {
	require(write(output, &elapsed_ns, sizeof elapsed_ns) == (ssize_t)sizeof elapsed_ns, "the parent is gone");
}

void pairs_child_run(const pairs_setup *setup, int input, int output) {
	static pairs_heap heap;
	run_function *single = run_malloc_single;
	run_function *batches = run_malloc_batches;
	bench_random_init(&heap.random, setup->seed);
	draw_sizes(&heap, setup->sizes);
	if (!setup->malloc) {
		create_pools(&heap, setup);
		single = setup->reference ? run_ref_single : run_handle_single;
		batches = setup->reference ? run_ref_batches : run_handle_batches;
	}
	fill(&heap, setup);
	single(&heap, 2 * heap.count); /* shuffles: addresses are then random in the order of the table */
	answer(output, 0);
	pairs_command command;
	while (read_command(input, &command)) {
		uint64_t start_ns = bench_cpu_ns();
		if (command.mode == PAIRS_SINGLE) {
			single(&heap, command.pairs);
		} else {
			batches(&heap, command.pairs);
		}
		answer(output, bench_cpu_ns() - start_ns);
	}
}
