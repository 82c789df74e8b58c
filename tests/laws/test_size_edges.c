/* test_size_edges.c: each call of a heap that takes a size, with the sizes at which arithmetic goes
 * wrong (size_edges.h).
 *
 * The heap is one that was used: its magazines are full and its handles are free ones, so that the
 * short ways are taken; and it holds neighbours, whose bytes are compared, so that a slot that is
 * smaller than what was promised is seen. What is refused answers its own error and changes
 * nothing. */
#include "mem/types.h"
#include "size_edges.h"
#include "support/require.h"
#include "unit/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#define LIMIT ((size_t)2 << 20)
#define NEIGHBOURS 400u
#define CHAIN_BYTES 20000u
#define PLAIN_BYTES 100u
#define EXTENTS_MAX 1024u
#define CREATED_MAX ((size_t)64 << 20)

struct thing {
	uint64_t name; /* 0: none */
	size_t size;
	unsigned char fill;
};

static snug_heap *heap;
static bool by_reference;
static struct thing neighbours[NEIGHBOURS];
static struct thing probe; /* the object under test */
static unsigned char *buffer;

static void moved(void *context, snug_ref from, snug_ref to, size_t size) {
	(void)context;
	(void)size;
	struct thing *thing = probe.name == from ? &probe : NULL;
	for (uint32_t i = 0; i < NEIGHBOURS && thing == NULL; i++)
		if (neighbours[i].name == from) thing = &neighbours[i];
	if (thing == NULL) abort();
	thing->name = to;
}

/* ------------------------------------------------------------------ either naming --- */

static snug_error alloc_with(size_t size, const snug_alloc_options *options, uint64_t *out) {
	if (by_reference)
		return options == NULL ? snug_ref_alloc(heap, size, out)
							   : snug_ref_alloc_with(heap, size, options, out);
	return options == NULL ? snug_alloc(heap, size, out)
						   : snug_alloc_with(heap, size, options, out);
}

static snug_error resize(struct thing *thing, size_t size) {
	return by_reference ? snug_ref_resize(heap, &thing->name, thing->size, size)
						: snug_resize(heap, thing->name, size);
}

static snug_error read_at(const struct thing *thing, size_t offset, void *into, size_t length) {
	return by_reference ? snug_ref_read(heap, thing->name, thing->size, offset, into, length)
						: snug_read(heap, thing->name, offset, into, length);
}

static snug_error write_at(const struct thing *thing, size_t offset, const void *from,
						   size_t length) {
	return by_reference ? snug_ref_write(heap, thing->name, thing->size, offset, from, length)
						: snug_write(heap, thing->name, offset, from, length);
}

static snug_error view_at(const struct thing *thing, size_t offset, size_t length,
						  snug_extent *extents, size_t *count) {
	return by_reference
			   ? snug_ref_view(heap, thing->name, thing->size, offset, length, extents, count)
			   : snug_view(heap, thing->name, offset, length, extents, count);
}

static void let_go(struct thing *thing) {
	REQUIRE_OK(by_reference ? snug_ref_free(heap, thing->name, thing->size)
							: snug_free(heap, thing->name));
	thing->name = 0;
}

/* ------------------------------------------------------------------ contents -------- */

static void fill_thing(const struct thing *thing) {
	memset(buffer, thing->fill, thing->size);
	REQUIRE_OK(write_at(thing, 0, buffer, thing->size));
}

static void require_content(const struct thing *thing, size_t bytes) {
	memset(buffer, ~thing->fill, bytes);
	REQUIRE_OK(read_at(thing, 0, buffer, bytes));
	for (size_t at = 0; at < bytes; at++)
		REQUIRE(buffer[at] == thing->fill, "byte %zu of %zu is another's", at, thing->size);
}

static void require_sound(void) {
	snug_check_result wrong;
	REQUIRE(snug_check(heap, &wrong) == SNUG_OK, "law %s: %s", wrong.law, wrong.message);
	for (uint32_t i = 0; i < NEIGHBOURS; i++) require_content(&neighbours[i], neighbours[i].size);
}

static struct thing make(size_t size, unsigned char fill, const snug_alloc_options *options) {
	struct thing thing = {.size = size, .fill = fill};
	REQUIRE_OK(alloc_with(size, options, &thing.name));
	fill_thing(&thing);
	return thing;
}

/* All of it in use once, of small sizes each in turn: magazines are full, table entries free. */
static void use_it(void) {
	static uint64_t names[64];
	for (size_t size = 1; size <= 1100; size += size < 64 ? 1 : 37) {
		for (uint32_t i = 0; i < 64; i++) REQUIRE_OK(alloc_with(size, NULL, &names[i]));
		for (uint32_t i = 0; i < 64; i++) {
			struct thing thing = {.name = names[i], .size = size};
			let_go(&thing);
		}
	}
}

static int open_heap(void **state) {
	by_reference = *(const bool *)*state;
	snug_heap_options options = snug_heap_options_default();
	options.limit_bytes = LIMIT;
	options.page_bytes = 4096;
	if (by_reference) options.owner.moved = moved;
	buffer = malloc(LIMIT);
	REQUIRE(buffer != NULL, "no memory");
	REQUIRE_OK(snug_heap_create(&options, &heap));
	memset(neighbours, 0, sizeof neighbours);
	use_it();
	for (uint32_t i = 0; i < NEIGHBOURS; i++)
		neighbours[i] =
			make(1 + i * 7919 % (i % 8 == 0 ? 9000 : 700), (unsigned char)(i + 1), NULL);
	use_it();
	return 0;
}

static int close_heap(void **state) {
	(void)state;
	require_sound();
	REQUIRE_OK(snug_heap_destroy(heap));
	free(buffer);
	return 0;
}

/* ------------------------------------------------------------------ allocating ------ */

static void require_refusal(snug_error error, size_t size, size_t most) {
	snug_error expected = size == 0     ? SNUG_ERROR_SIZE_ZERO
						  : size > most ? SNUG_ERROR_SIZE_TOO_LARGE
										: SNUG_ERROR_NO_MEMORY;
	REQUIRE(error == expected, "%zu bytes, %zu at most: %s, not %s", size, most,
			snug_error_name(error), snug_error_name(expected));
}

static void try_alloc(size_t size, size_t most, const snug_alloc_options *options) {
	probe = (struct thing){.name = 77, .size = size, .fill = 0xA5};
	snug_error error = alloc_with(size, options, &probe.name);
	if (error) {
		require_refusal(error, size, most);
		REQUIRE(probe.name == 77, "a refused allocation wrote its out-parameter");
		probe.name = 0;
		return;
	}
	REQUIRE(size > 0 && size <= most, "%zu bytes were allocated, %zu are the most", size, most);
	if (!by_reference) {
		size_t told = 0;
		REQUIRE_OK(snug_size(heap, probe.name, &told));
		REQUIRE(told == size, "%zu bytes were asked for, %zu are told", size, told);
	}
	fill_thing(&probe);
	require_content(&probe, size);
	let_go(&probe);
}

static void allocations(void **state) {
	(void)state;
	static const snug_alloc_options options[] = {{.alignment = 1},
												 {.alignment = 8},
												 {.alignment = 16},
												 {.contiguous = true},
												 {.alignment = 16, .contiguous = true}};
	struct size_edges edges = size_edges_of(heap->object_max_bytes);
	for (size_t i = 0; i < edges.count; i++) {
		try_alloc(edges.size[i], heap->object_max_bytes, NULL);
		if (i % 32 == 0) require_sound();
	}
	size_t most = snug_contiguous_max(heap);
	edges = size_edges_of(most);
	for (size_t which = 0; which < sizeof options / sizeof *options; which++)
		for (size_t i = 0; i < edges.count; i++)
			try_alloc(edges.size[i], which == 0 ? heap->object_max_bytes : most, &options[which]);
}

static void batches(void **state) {
	(void)state;
	static size_t sizes[SNUG_BATCH_MAX + 1];
	static snug_ref refs[SNUG_BATCH_MAX + 1];
	if (!by_reference) skip();
	struct size_edges edges = size_edges_of(heap->object_max_bytes);
	for (size_t i = 0; i < SNUG_BATCH_MAX; i++) sizes[i] = 1 + i % 200;
	static const size_t places[] = {0, SNUG_BATCH_MAX / 2, SNUG_BATCH_MAX - 1};
	for (size_t place = 0; place < 3; place++)
		for (size_t i = 0; i < edges.count; i++) {
			size_t size = edges.size[i], kept = sizes[places[place]];
			sizes[places[place]] = size;
			snug_error error = snug_ref_alloc_batch(heap, sizes, SNUG_BATCH_MAX, refs);
			if (error) require_refusal(error, size, heap->object_max_bytes);
			if (!error) REQUIRE_OK(snug_ref_free_batch(heap, refs, sizes, SNUG_BATCH_MAX));
			sizes[places[place]] = kept;
		}
	for (size_t i = 0; i < edges.count; i++) {
		if (edges.size[i] <= SNUG_BATCH_MAX) continue;
		REQUIRE_ERROR(SNUG_ERROR_RANGE, snug_ref_alloc_batch(heap, sizes, edges.size[i], refs));
		REQUIRE_ERROR(SNUG_ERROR_RANGE, snug_ref_free_batch(heap, refs, sizes, edges.size[i]));
	}
}

/* ------------------------------------------------------------------ resizing -------- */

static void try_resizes(size_t begin_bytes, const snug_alloc_options *options, size_t most) {
	struct size_edges edges = size_edges_of(most);
	for (size_t i = 0; i < edges.count; i++) {
		size_t size = edges.size[i];
		probe = make(begin_bytes, 0x5A, options);
		snug_error error = resize(&probe, size);
		if (error) {
			require_refusal(error, size, most);
		} else {
			REQUIRE(size > 0 && size <= most, "resized to %zu, %zu is the most", size, most);
			probe.size = size;
		}
		require_content(&probe, size < begin_bytes && !error ? size : begin_bytes);
		fill_thing(&probe);
		let_go(&probe);
		if (i % 32 == 0) require_sound();
	}
}

static void resizes(void **state) {
	(void)state;
	snug_alloc_options aligned = {.alignment = 16};
	try_resizes(PLAIN_BYTES, NULL, heap->object_max_bytes);
	try_resizes(CHAIN_BYTES, NULL, heap->object_max_bytes);
	try_resizes(PLAIN_BYTES, &aligned, snug_contiguous_max(heap));
}

/* ------------------------------------------------------------------ ranges ---------- */

static void try_range(size_t offset, size_t length) {
	static snug_extent extents[EXTENTS_MAX];
	bool inside = offset <= probe.size && length <= probe.size - offset;
	snug_error expected = inside ? SNUG_OK : SNUG_ERROR_RANGE;
	size_t count = EXTENTS_MAX;
	REQUIRE_ERROR(expected, read_at(&probe, offset, buffer, length));
	memset(buffer, probe.fill, inside ? length : 1);
	REQUIRE_ERROR(expected, write_at(&probe, offset, buffer, length));
	REQUIRE_ERROR(expected, view_at(&probe, offset, length, extents, &count));
	if (!inside) REQUIRE(count == EXTENTS_MAX, "a refused view wrote its count");
	for (size_t i = 0; inside && i < count; i++) length -= extents[i].length;
	REQUIRE(!inside || length == 0, "a view has other bytes than were asked for");
}

static void ranges(void **state) {
	(void)state;
	static const size_t sizes[] = {1, PLAIN_BYTES, CHAIN_BYTES};
	for (size_t which = 0; which < 3; which++) {
		struct size_edges edges = size_edges_of(sizes[which]);
		probe = make(sizes[which], 0x77, NULL);
		for (size_t i = 0; i < edges.count; i++)
			for (size_t j = 0; j < edges.count; j++) try_range(edges.size[i], edges.size[j]);
		require_content(&probe, probe.size);
		let_go(&probe);
	}
}

/* ------------------------------------------------------------------ sizes given back */

/* Of an object by reference the owner tells the size; one that no object can have is found out. */
static void sizes_given_back(void **state) {
	(void)state;
	if (!by_reference) skip();
	char byte = 0;
	static const size_t begin[] = {PLAIN_BYTES, CHAIN_BYTES};
	for (size_t which = 0; which < 2; which++) {
		probe = make(begin[which], 0x33, NULL);
		for (size_t k = 0; k <= NEAR_SIZE_MAX; k++) {
			size_t size = SIZE_MAX - k, count = 1;
			snug_extent extent;
			snug_ref ref = probe.name;
			REQUIRE_ERROR(SNUG_ERROR_REFERENCE, snug_ref_free(heap, ref, size));
			REQUIRE_ERROR(SNUG_ERROR_REFERENCE, snug_ref_free_batch(heap, &ref, &size, 1));
			REQUIRE_ERROR(SNUG_ERROR_REFERENCE, snug_ref_resize(heap, &ref, size, 10));
			REQUIRE_ERROR(SNUG_ERROR_REFERENCE, snug_ref_read(heap, ref, size, size - 1, &byte, 1));
			REQUIRE_ERROR(SNUG_ERROR_REFERENCE,
						  snug_ref_write(heap, ref, size, size - 1, &byte, 1));
			REQUIRE_ERROR(SNUG_ERROR_REFERENCE,
						  snug_ref_view(heap, ref, size, size - 1, 1, &extent, &count));
			REQUIRE_ERROR(SNUG_ERROR_REFERENCE, snug_ref_extent_count(heap, ref, size, &count));
			REQUIRE_ERROR(SNUG_ERROR_REFERENCE, snug_ref_pin(heap, ref, size));
			REQUIRE_ERROR(SNUG_ERROR_REFERENCE, snug_ref_unpin(heap, ref, size));
		}
		REQUIRE_ERROR(SNUG_ERROR_SIZE_ZERO, snug_ref_free(heap, probe.name, 0));
		REQUIRE_ERROR(SNUG_ERROR_SIZE_ZERO, snug_ref_pin(heap, probe.name, 0));
		require_content(&probe, probe.size);
		let_go(&probe);
	}
}

/* ------------------------------------------------------------------ the account ----- */

static void charges_and_limits(void **state) {
	(void)state;
	struct size_edges edges = size_edges_of(LIMIT);
	for (size_t i = 0; i < edges.count; i++) {
		size_t bytes = edges.size[i];
		snug_error error = snug_heap_charge(heap, bytes);
		REQUIRE(!error || error == SNUG_ERROR_NO_MEMORY, "charge: %s", snug_error_name(error));
		REQUIRE(error || bytes < LIMIT, "%zu bytes were charged", bytes);
		if (bytes > 0)
			REQUIRE_ERROR(error ? SNUG_ERROR_RANGE : SNUG_OK, snug_heap_discharge(heap, bytes));
		snug_error limited = snug_heap_set_limit(heap, bytes);
		snug_error expected = bytes > LIMIT                  ? SNUG_ERROR_OPTION
							  : bytes < SNUG_LIMIT_MIN_BYTES ? SNUG_ERROR_LIMIT_TOO_SMALL
															 : SNUG_OK;
		REQUIRE(limited == expected, "a limit of %zu: %s", bytes, snug_error_name(limited));
		REQUIRE_OK(snug_heap_set_limit(heap, LIMIT));
	}
}

static void options_of_heaps(void **state) {
	(void)state;
	struct size_edges edges = size_edges_of(SNUG_LIMIT_MAX_BYTES);
	for (size_t i = 0; i < edges.count; i++) {
		size_t bytes = edges.size[i];
		/* A sanitizer has memory for all addresses of a heap. */
		if (bytes > CREATED_MAX && bytes <= SNUG_LIMIT_MAX_BYTES) continue;
		snug_heap_options options = snug_heap_options_default();
		snug_heap *other = NULL;
		options.limit_bytes = bytes;
		snug_error error = snug_heap_create(&options, &other);
		REQUIRE(error == (bytes > SNUG_LIMIT_MAX_BYTES   ? SNUG_ERROR_OPTION
						  : bytes < SNUG_LIMIT_MIN_BYTES ? SNUG_ERROR_LIMIT_TOO_SMALL
														 : SNUG_OK) ||
					error == SNUG_ERROR_OS_MEMORY,
				"a limit of %zu: %s", bytes, snug_error_name(error));
		REQUIRE_OK(snug_heap_destroy(other));
		options.limit_bytes = LIMIT;
		options.page_bytes = bytes;
		other = NULL;
		error = snug_heap_create(&options, &other);
		REQUIRE(!error || error == SNUG_ERROR_OPTION || error == SNUG_ERROR_LIMIT_TOO_SMALL,
				"pages of %zu: %s", bytes, snug_error_name(error));
		REQUIRE_OK(snug_heap_destroy(other));
	}
}

int main(void) {
	static bool handles = false, references = true;
#define OF_BOTH(test)                                                   \
	{#test " by handle", test, open_heap, close_heap, &handles}, {      \
#test " by reference", test, open_heap, close_heap, &references \
	}
	const struct CMUnitTest tests[] = {
		OF_BOTH(allocations),      OF_BOTH(batches),          OF_BOTH(resizes),
		OF_BOTH(ranges),           OF_BOTH(sizes_given_back), OF_BOTH(charges_and_limits),
		OF_BOTH(options_of_heaps),
	};
	return cmocka_run_group_tests_name("size_edges", tests, NULL, NULL);
}
