/* pairs_child.c: one allocator's heap and the loops that are timed on it.
 *
 * The loops exist once, as always-inlined functions that take the allocator's operations as
 * constants: the compiler turns them into one loop for malloc, one for references and one for
 * handles, alike in everything but the calls, each of which goes through the procedure linkage
 * table into a shared library.
 *
 * What a pair is: a random live object is freed and a new one is allocated in its stead and its
 * first eight bytes are written, as any user would. Which object: xorshift over a table of 8-byte
 * names, outside the heap: a pointer, a handle, or a reference with the size beside it. Sizes come
 * from a table of 4096, drawn before. In batches: 64 random objects are freed, then 64 allocated;
 * with references, and for frees by handle, by snug's batch calls, otherwise by loops. */
#include "pairs.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIZE_TABLE_COUNT 4096

typedef struct pairs_heap {
	snug_heap *heap;
	uint64_t *names; /* 0: no object, between the two halves of a batch */
	size_t count;
	bench_random random;
	size_t next_size;
	uint32_t sizes[SIZE_TABLE_COUNT];
} pairs_heap;

#define INLINED static inline __attribute__((always_inline))

typedef uint64_t allocate_function(pairs_heap *herd, size_t size, size_t index);
typedef void free_function(pairs_heap *herd, uint64_t name);
typedef void allocate_many_function(pairs_heap *herd, const size_t *indexes, const size_t *sizes,
									size_t count);
typedef void free_many_function(pairs_heap *herd, const size_t *indexes, size_t count);

INLINED size_t draw_size(pairs_heap *herd) {
	return herd->sizes[herd->next_size++ % SIZE_TABLE_COUNT];
}

static void require(bool condition, const char *what) {
	if (!condition) {
		bench_fail("%s", what);
	}
}

/* ------------------------------------------------------------------ malloc -------------------- */

INLINED uint64_t malloc_allocate(pairs_heap *herd, size_t size, size_t index) {
	uint64_t *object = malloc(size);
	(void)herd;
	if (object == NULL) {
		abort();
	}
	*object = index;
	return (uint64_t)(uintptr_t)object;
}

INLINED void malloc_free(pairs_heap *herd, uint64_t name) {
	(void)herd;
	free((void *)(uintptr_t)name);
}

/* ------------------------------------------------------------------ references ---------------- */

INLINED uint64_t name_of(snug_ref ref, size_t size) {
	return (uint64_t)size << SNUG_REF_BITS | ref;
}

INLINED snug_ref ref_of(uint64_t name) {
	return name & (((uint64_t)1 << SNUG_REF_BITS) - 1);
}

INLINED size_t size_of(uint64_t name) {
	return (size_t)(name >> SNUG_REF_BITS);
}

INLINED uint64_t ref_allocate(pairs_heap *herd, size_t size, size_t index) {
	snug_ref ref = 0;
	uint64_t stored = index;
	if (snug_ref_alloc(herd->heap, size, &ref) != SNUG_OK) {
		abort();
	}
	memcpy(snug_ref_at(herd->heap, ref), &stored, sizeof stored);
	return name_of(ref, size);
}

INLINED void ref_free(pairs_heap *herd, uint64_t name) {
	if (snug_ref_free(herd->heap, ref_of(name), size_of(name)) != SNUG_OK) {
		abort();
	}
}

INLINED void ref_allocate_many(pairs_heap *herd, const size_t *indexes, const size_t *sizes,
							   size_t count) {
	snug_ref refs[PAIRS_BATCH_COUNT];
	if (snug_ref_alloc_batch(herd->heap, sizes, count, refs) != SNUG_OK) {
		abort();
	}
	for (size_t i = 0; i < count; i++) {
		uint64_t stored = indexes[i];
		memcpy(snug_ref_at(herd->heap, refs[i]), &stored, sizeof stored);
		herd->names[indexes[i]] = name_of(refs[i], sizes[i]);
	}
}

INLINED void ref_free_many(pairs_heap *herd, const size_t *indexes, size_t count) {
	snug_ref refs[PAIRS_BATCH_COUNT];
	size_t sizes[PAIRS_BATCH_COUNT];
	for (size_t i = 0; i < count; i++) {
		refs[i] = ref_of(herd->names[indexes[i]]);
		sizes[i] = size_of(herd->names[indexes[i]]);
		herd->names[indexes[i]] = 0;
	}
	if (snug_ref_free_batch(herd->heap, refs, sizes, count) != SNUG_OK) {
		abort();
	}
}

static void ref_moved(void *context, snug_ref from, snug_ref to, size_t size) {
	pairs_heap *herd = context;
	uint64_t index;
	(void)from;
	(void)size;
	memcpy(&index, snug_ref_at(herd->heap, to), sizeof index);
	herd->names[index] = name_of(to, size_of(herd->names[index]));
}

/* ------------------------------------------------------------------ handles ------------------- */

INLINED uint64_t handle_allocate(pairs_heap *herd, size_t size, size_t index) {
	snug_handle handle = 0;
	uint64_t stored = index;
	void *object = NULL;
	if (snug_alloc(herd->heap, size, &handle) != SNUG_OK) {
		abort();
	}
	if (snug_ptr(herd->heap, handle, &object) == SNUG_OK) {
		memcpy(object, &stored, sizeof stored);
	} else if (snug_write(herd->heap, handle, 0, &stored, sizeof stored) != SNUG_OK) {
		abort(); /* stored in fragments, then */
	}
	return handle;
}

INLINED void handle_free(pairs_heap *herd, uint64_t name) {
	if (snug_free(herd->heap, name) != SNUG_OK) {
		abort();
	}
}

/* ------------------------------------------------------------------ the loops ----------------- */

INLINED void run_single(pairs_heap *herd, uint64_t pairs, allocate_function *allocate,
						free_function *release) {
	for (uint64_t i = 0; i < pairs; i++) {
		size_t index = bench_random_below(&herd->random, herd->count);
		release(herd, herd->names[index]);
		herd->names[index] = allocate(herd, draw_size(herd), index);
	}
}

INLINED void allocate_each(pairs_heap *herd, const size_t *indexes, const size_t *sizes,
						   size_t count, allocate_function *allocate) {
	for (size_t i = 0; i < count; i++) {
		herd->names[indexes[i]] = allocate(herd, sizes[i], indexes[i]);
	}
}

INLINED void free_each(pairs_heap *herd, const size_t *indexes, size_t count,
					   free_function *release) {
	for (size_t i = 0; i < count; i++) {
		release(herd, herd->names[indexes[i]]);
		herd->names[indexes[i]] = 0;
	}
}

/* Distinct random objects: every batch starts at a random place and takes random strides of its
 * own. */
INLINED void pick_distinct(pairs_heap *herd, size_t *indexes, size_t count) {
	size_t stride = herd->count / count;
	size_t base = bench_random_below(&herd->random, herd->count);
	for (size_t i = 0; i < count; i++) {
		size_t index = base + i * stride + bench_random_below(&herd->random, stride);
		index -= index >= herd->count ? herd->count : 0;
		indexes[i] = index;
	}
}

INLINED void run_batches(pairs_heap *herd, uint64_t pairs, allocate_many_function *allocate_many,
						 free_many_function *free_many) {
	for (uint64_t done = 0; done < pairs; done += PAIRS_BATCH_COUNT) {
		size_t indexes[PAIRS_BATCH_COUNT];
		size_t sizes[PAIRS_BATCH_COUNT];
		pick_distinct(herd, indexes, PAIRS_BATCH_COUNT);
		for (size_t i = 0; i < PAIRS_BATCH_COUNT; i++) {
			sizes[i] = draw_size(herd);
		}
		free_many(herd, indexes, PAIRS_BATCH_COUNT);
		allocate_many(herd, indexes, sizes, PAIRS_BATCH_COUNT);
	}
}

INLINED void malloc_allocate_many(pairs_heap *herd, const size_t *indexes, const size_t *sizes,
								  size_t count) {
	allocate_each(herd, indexes, sizes, count, malloc_allocate);
}

INLINED void malloc_free_many(pairs_heap *herd, const size_t *indexes, size_t count) {
	free_each(herd, indexes, count, malloc_free);
}

INLINED void handle_allocate_many(pairs_heap *herd, const size_t *indexes, const size_t *sizes,
								  size_t count) {
	allocate_each(herd, indexes, sizes, count, handle_allocate);
}

INLINED void handle_free_many(pairs_heap *herd, const size_t *indexes, size_t count) {
	snug_handle handles[PAIRS_BATCH_COUNT];
	for (size_t i = 0; i < count; i++) {
		handles[i] = herd->names[indexes[i]];
		herd->names[indexes[i]] = 0;
	}
	if (snug_free_batch(herd->heap, handles, count) != SNUG_OK) {
		abort();
	}
}

typedef void run_function(pairs_heap *herd, uint64_t pairs);

static void run_malloc_single(pairs_heap *herd, uint64_t pairs) {
	run_single(herd, pairs, malloc_allocate, malloc_free);
}

static void run_ref_single(pairs_heap *herd, uint64_t pairs) {
	run_single(herd, pairs, ref_allocate, ref_free);
}

static void run_handle_single(pairs_heap *herd, uint64_t pairs) {
	run_single(herd, pairs, handle_allocate, handle_free);
}

static void run_malloc_batches(pairs_heap *herd, uint64_t pairs) {
	run_batches(herd, pairs, malloc_allocate_many, malloc_free_many);
}

static void run_ref_batches(pairs_heap *herd, uint64_t pairs) {
	run_batches(herd, pairs, ref_allocate_many, ref_free_many);
}

static void run_handle_batches(pairs_heap *herd, uint64_t pairs) {
	run_batches(herd, pairs, handle_allocate_many, handle_free_many);
}

/* ------------------------------------------------------------------ the child ----------------- */

static void draw_sizes(pairs_heap *herd, pairs_sizes kind) {
	for (size_t i = 0; i < SIZE_TABLE_COUNT; i++) {
		size_t size = 100;
		if (kind == PAIRS_64_TO_256) {
			size = 64 + bench_random_below(&herd->random, 193);
		} else if (kind == PAIRS_META) {
			size = bench_meta_size(&herd->random, PAIRS_META_MAX_BYTES);
		}
		herd->sizes[i] = (uint32_t)size;
	}
}

/* A quarter more than what is live at most, so that nothing is compacted: mallocs have no limit to
 * keep either. The limit decides the page size, and is the same for few live bytes: those stand for
 * the part of a large heap that is in use just now. */
#define LIMIT_BYTES (320 * MIB)

static void create_heap(pairs_heap *herd, const pairs_setup *setup) {
	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
								 .limit_bytes = LIMIT_BYTES,
								 .huge_pages = setup->huge_pages};
	if (setup->reference) {
		options.owner = (snug_owner){.moved = ref_moved, .context = herd};
	}
	bench_expect_ok(snug_heap_create(&options, &herd->heap), "snug_heap_create");
}

static void fill(pairs_heap *herd, const pairs_setup *setup) {
	uint64_t sum = 0;
	for (size_t i = 0; i < SIZE_TABLE_COUNT; i++) {
		sum += herd->sizes[i];
	}
	herd->count = (size_t)(setup->live_bytes * SIZE_TABLE_COUNT / sum);
	herd->names = bench_map(herd->count * sizeof herd->names[0], setup->huge_pages);
	for (size_t i = 0; i < herd->count; i++) {
		size_t size = draw_size(herd);
		if (setup->malloc) {
			herd->names[i] = malloc_allocate(herd, size, i);
		} else {
			herd->names[i] =
				setup->reference ? ref_allocate(herd, size, i) : handle_allocate(herd, size, i);
		}
	}
}

static bool read_command(int input, pairs_command *command) {
	return read(input, command, sizeof *command) == (ssize_t)sizeof *command;
}

static void answer(int output, uint64_t elapsed_ns) {
	require(write(output, &elapsed_ns, sizeof elapsed_ns) == (ssize_t)sizeof elapsed_ns,
			"the parent is gone");
}

void pairs_child_run(const pairs_setup *setup, int input, int output) {
	static pairs_heap herd;
	run_function *single = run_malloc_single;
	run_function *batches = run_malloc_batches;
	bench_random_init(&herd.random, setup->seed);
	draw_sizes(&herd, setup->sizes);
	if (!setup->malloc) {
		create_heap(&herd, setup);
		single = setup->reference ? run_ref_single : run_handle_single;
		batches = setup->reference ? run_ref_batches : run_handle_batches;
	}
	fill(&herd, setup);
	/* shuffles: addresses are then random in the order of the table */
	single(&herd, 2 * herd.count);
	answer(output, 0);
	pairs_command command;
	while (read_command(input, &command)) {
		uint64_t start_ns = bench_cpu_ns();
		if (command.mode == PAIRS_SINGLE) {
			single(&herd, command.pairs);
		} else {
			batches(&herd, command.pairs);
		}
		answer(output, bench_cpu_ns() - start_ns);
	}
}
