/* twin.c: the operations of the twin; see twin.h. Each calls the heap first and follows with the
 * table only when they agreed, so that a refused call leaves both as they were. */
#include "support/twin/twin.h"

#include "support/require.h"

#include <stdlib.h>
#include <string.h>

static void *test_array(size_t count, size_t element_bytes) {
	void *memory = calloc(count, element_bytes);
	REQUIRE(memory != NULL, "the test ran out of memory");
	return memory;
}

/* ------------------------------------------------------------------ the owner's side ---------- */

static size_t read_size(void *context, const void *object) {
	(void)context;
	uint32_t size;
	memcpy(&size, object, sizeof size);
	return size;
}

static void stamp_size(const struct twin *twin, twin_object *object) {
	if (twin->naming == TWIN_REFERENCES_SIZED) {
		uint32_t size = (uint32_t)object->size;
		memcpy(object->bytes, &size, sizeof size);
	}
}

static void try_to_reenter(struct twin *twin, snug_ref ref, size_t size) {
	snug_ref out = 12345;
	snug_stats stats;
	REQUIRE_ERROR(SNUG_ERROR_REENTERED, snug_ref_alloc(twin->heap, 10, &out));
	REQUIRE_ERROR(SNUG_ERROR_REENTERED, snug_ref_free(twin->heap, ref, size));
	REQUIRE_ERROR(SNUG_ERROR_REENTERED, snug_ref_pin(twin->heap, ref, size));
	REQUIRE_ERROR(SNUG_ERROR_REENTERED, snug_defragment_begin(twin->heap, NULL));
	REQUIRE_ERROR(SNUG_ERROR_REENTERED, snug_stats_get(twin->heap, &stats));
	REQUIRE(out == 12345, "a refused call wrote its out-parameter");
	twin->reenter = false;
	twin->counters.reentries_tried++;
}

static void object_moved(void *context, snug_ref from, snug_ref to, size_t size) {
	struct twin *twin = context;
	size_t index = name_index_get(&twin->names, from);
	REQUIRE(twin->in_call, "`moved` came outside of the calls that may move objects");
	REQUIRE(index != NAME_INDEX_NONE, "moved(%llx -> %llx): no object has that reference",
			(unsigned long long)from, (unsigned long long)to);
	twin_object *object = &twin->objects[index];
	REQUIRE(object->pins == 0, "a pinned object was moved");
	REQUIRE(from != to && name_index_get(&twin->names, to) == NAME_INDEX_NONE,
			"moved onto a live object");
	REQUIRE(snug_ref_is_contiguous(to) || !snug_ref_is_contiguous(from),
			"moving cut the object up");
	if (snug_ref_is_contiguous(to)) {
		bool exact = twin->naming == TWIN_REFERENCES_SIZED;
		REQUIRE(exact ? size == object->size : size >= object->size,
				"moved says %zu bytes, the object has %zu", size, object->size);
		if (!object->unwritten) {
			REQUIRE(memcmp(snug_ref_at(twin->heap, to), object->bytes, object->size) == 0,
					"the bytes were not there when `moved` was called");
			REQUIRE(!snug_ref_is_contiguous(from) ||
						memcmp(snug_ref_at(twin->heap, from), object->bytes, object->size) == 0,
					"the old place was overwritten before `moved` returned");
		}
	}
	if (twin->reenter) {
		try_to_reenter(twin, to, object->size);
	}
	name_index_remove(&twin->names, from);
	name_index_put(&twin->names, to, index);
	object->name = to;
	twin->counters.moved_calls++;
}

/* ------------------------------------------------------------------ create, destroy ----------- */

snug_error twin_create(struct twin *twin, twin_naming naming, const snug_heap_options *options,
					   struct fake_os *fake) {
	memset(twin, 0, sizeof *twin);
	twin->naming = naming;
	twin->options = *options;
	twin->options.struct_bytes = sizeof *options; /* the tables of tests leave it out */
	twin->fake = fake;
	if (fake != NULL) {
		twin->options.os = &fake->os;
	}
	twin->pattern = 1;
	twin->law_seven = true;
	if (naming != TWIN_HANDLES) {
		twin->options.owner.moved = object_moved;
		twin->options.owner.size_of = naming == TWIN_REFERENCES_SIZED ? read_size : NULL;
		twin->options.owner.context = twin;
	}
	snug_error error = snug_heap_create(&twin->options, &twin->heap);
	if (error == SNUG_OK) {
		name_index_init(&twin->names);
	}
	return error;
}

void twin_destroy(struct twin *twin) {
	if (twin->defragmentation.running) {
		twin_end(twin);
	}
	twin_free_all(twin);
	twin_check(twin);
	REQUIRE_OK(snug_heap_destroy(twin->heap));
	REQUIRE(twin->fake == NULL || twin->fake->reserved_bytes == 0,
			"destroy left %zu bytes reserved", twin->fake->reserved_bytes);
	name_index_deinit(&twin->names);
	free(twin->objects);
	free(twin->extents);
	memset(twin, 0, sizeof *twin);
}

/* ------------------------------------------------------------------ rows ---------------------- */

static twin_object *add_row(struct twin *twin, uint64_t name, size_t size,
							const snug_alloc_options *options) {
	if (twin->count == twin->room) {
		twin->room = twin->room == 0 ? 64 : 2 * twin->room;
		twin->objects = realloc(twin->objects, twin->room * sizeof *twin->objects);
		REQUIRE(twin->objects != NULL, "the test ran out of memory");
	}
	REQUIRE(name_index_get(&twin->names, name) == NAME_INDEX_NONE,
			"the name %llx was given out twice", (unsigned long long)name);
	twin_object *object = &twin->objects[twin->count];
	*object = (twin_object){.name = name,
							.size = size,
							.bytes = test_array(size, 1),
							.alignment = 1,
							.unwritten = true};
	if (options != NULL) {
		object->alignment = options->alignment > 1 ? options->alignment : 1;
		object->contiguous = options->contiguous || object->alignment > 1;
	}
	name_index_put(&twin->names, name, twin->count++);
	twin->payload_bytes += size;
	twin->counters.allocations++;
	return object;
}

static void remove_row(struct twin *twin, size_t index) {
	twin_object *object = &twin->objects[index];
	if (twin->naming == TWIN_HANDLES) {
		twin->stale[twin->stale_count++ % TWIN_STALE_HANDLES] = object->name;
	}
	name_index_remove(&twin->names, object->name);
	twin->payload_bytes -= object->size;
	twin->counters.frees++;
	free(object->bytes);
	twin->count--;
	if (index != twin->count) {
		*object = twin->objects[twin->count];
		name_index_put(&twin->names, object->name, index);
	}
}

static void write_bytes(struct twin *twin, twin_object *object, size_t offset, size_t length) {
	snug_error error =
		twin->naming == TWIN_HANDLES
			? snug_write(twin->heap, object->name, offset, object->bytes + offset, length)
			: snug_ref_write(twin->heap, object->name, object->size, offset, object->bytes + offset,
							 length);
	REQUIRE(error == SNUG_OK, "writing %zu bytes at %zu of %zu: %s", length, offset, object->size,
			snug_error_text(error));
}

static void fill_row(struct twin *twin, twin_object *object) {
	test_random_fill(object->bytes, object->size, twin->pattern++);
	stamp_size(twin, object);
	write_bytes(twin, object, 0, object->size);
	object->unwritten = false;
}

/* ------------------------------------------------------------------ alloc, free --------------- */

static void require_refusal(struct twin *twin, snug_error error, size_t size, uint64_t out) {
	REQUIRE(out == 0, "a refused allocation wrote its out-parameter");
	if (error == SNUG_ERROR_NO_MEMORY && twin->law_seven) {
		twin_require_full(twin, size);
	}
	if (error == SNUG_ERROR_NO_MEMORY || error == SNUG_ERROR_OS_MEMORY) {
		twin->counters.failed_allocations++;
	}
}

static size_t usable_size(const struct twin *twin, size_t size) {
	return twin->naming == TWIN_REFERENCES_SIZED && size < TWIN_SIZED_MIN_BYTES
			   ? TWIN_SIZED_MIN_BYTES
			   : size;
}

snug_error twin_alloc(struct twin *twin, size_t size, const snug_alloc_options *options) {
	size = usable_size(twin, size);
	uint64_t name = 0;
	twin->in_call = true;
	snug_error error;
	if (twin->naming == TWIN_HANDLES) {
		error = options == NULL ? snug_alloc(twin->heap, size, &name)
								: snug_alloc_with(twin->heap, size, options, &name);
	} else {
		error = options == NULL ? snug_ref_alloc(twin->heap, size, &name)
								: snug_ref_alloc_with(twin->heap, size, options, &name);
	}
	twin->in_call = false;
	if (error != SNUG_OK) {
		require_refusal(twin, error, size, name);
		return error;
	}
	twin_object *object = add_row(twin, name, size, options);
	fill_row(twin, object);
	size_t index = twin->count - 1;
	twin_address(twin, index); /* requires alignment and contiguity */
	twin->counters.fragmented_allocations +=
		twin->naming != TWIN_HANDLES
			? !snug_ref_is_contiguous(name)
			: snug_ptr(twin->heap, name, &(void *){NULL}) == SNUG_ERROR_NOT_CONTIGUOUS;
	return SNUG_OK;
}

snug_error twin_alloc_batch(struct twin *twin, const size_t *sizes, size_t count) {
	if (twin->naming == TWIN_HANDLES) {
		for (size_t i = 0; i < count; i++) {
			snug_error error = twin_alloc(twin, sizes[i], NULL);
			if (error != SNUG_OK) {
				return error;
			}
		}
		return SNUG_OK;
	}
	size_t *usable = test_array(count + 1, sizeof *usable);
	snug_ref *refs = test_array(count + 1, sizeof *refs);
	for (size_t i = 0; i < count; i++) {
		usable[i] = usable_size(twin, sizes[i]);
	}
	twin->in_call = true;
	snug_error error = snug_ref_alloc_batch(twin->heap, usable, count, refs);
	twin->in_call = false;
	for (size_t i = 0; i < count; i++) {
		if (error == SNUG_OK) {
			add_row(twin, refs[i], usable[i], NULL);
		} else {
			REQUIRE(refs[i] == 0, "a refused batch wrote its out-parameter");
		}
	}
	/* Filled only now: two objects of a batch that overlap show in the comparison. */
	for (size_t i = 0; error == SNUG_OK && i < count; i++) {
		fill_row(twin, &twin->objects[twin->count - count + i]);
	}
	twin->counters.failed_allocations +=
		error == SNUG_ERROR_NO_MEMORY || error == SNUG_ERROR_OS_MEMORY;
	free(usable);
	free(refs);
	return error;
}

snug_error twin_free(struct twin *twin, size_t index) {
	twin_object *object = &twin->objects[index];
	snug_error error = twin->naming == TWIN_HANDLES
						   ? snug_free(twin->heap, object->name)
						   : snug_ref_free(twin->heap, object->name, object->size);
	REQUIRE(error == (object->pins > 0 ? SNUG_ERROR_PINNED : SNUG_OK),
			"freeing an object with %u pins: %s", object->pins, snug_error_text(error));
	if (error == SNUG_OK) {
		remove_row(twin, index);
	}
	return error;
}

snug_error twin_free_batch(struct twin *twin, size_t first, size_t count) {
	snug_ref *refs = test_array(count + 1, sizeof *refs);
	size_t *sizes = test_array(count + 1, sizeof *sizes);
	bool pinned = false;
	for (size_t i = 0; i < count; i++) {
		refs[i] = twin->objects[first + i].name;
		sizes[i] = twin->objects[first + i].size;
		pinned |= twin->objects[first + i].pins > 0;
	}
	REQUIRE_ERROR(pinned ? SNUG_ERROR_PINNED : SNUG_OK,
				  twin->naming == TWIN_HANDLES
					  ? snug_free_batch(twin->heap, refs, count)
					  : snug_ref_free_batch(twin->heap, refs, sizes, count));
	for (size_t i = count; !pinned && i-- > 0;) {
		remove_row(twin, first + i);
	}
	free(refs);
	free(sizes);
	return pinned ? SNUG_ERROR_PINNED : SNUG_OK;
}

void twin_free_all(struct twin *twin) {
	while (twin->count > 0) {
		while (twin->objects[twin->count - 1].pins > 0) {
			REQUIRE_OK(twin_unpin(twin, twin->count - 1));
		}
		REQUIRE_OK(twin_free(twin, twin->count - 1));
	}
}

/* ------------------------------------------------------------------ resize -------------------- */

static snug_error resize_in_heap(struct twin *twin, size_t index, size_t size) {
	twin_object *object = &twin->objects[index];
	if (twin->naming == TWIN_HANDLES) {
		return snug_resize(twin->heap, object->name, size);
	}
	snug_ref given = object->name;
	snug_ref ref = given;
	snug_error error = snug_ref_resize(twin->heap, &ref, object->size, size);
	if (error != SNUG_OK) {
		REQUIRE(ref == given, "a refused resize wrote its out-parameter");
		return error;
	}
	/* Where it was last, as `moved` may have told: making room may move this object too. */
	if (ref != object->name) {
		name_index_remove(&twin->names, object->name);
		name_index_put(&twin->names, ref, index);
		object->name = ref;
	}
	return SNUG_OK;
}

snug_error twin_resize(struct twin *twin, size_t index, size_t size) {
	size = usable_size(twin, size);
	twin_object *object = &twin->objects[index];
	size_t old_size = object->size;
	unsigned char *before = twin_address(twin, index);
	twin->in_call = true;
	snug_error error = resize_in_heap(twin, index, size);
	twin->in_call = false;
	if (object->pins > 0) {
		REQUIRE(error == SNUG_ERROR_PINNED, "resizing a pinned object: %s", snug_error_text(error));
		return error;
	}
	if (error != SNUG_OK) {
		REQUIRE(size > old_size, "making an object smaller (%zu to %zu) failed: %s", old_size, size,
				snug_error_text(error));
		if (error == SNUG_ERROR_NO_MEMORY && twin->law_seven) {
			twin_require_full(twin, size);
		}
		twin->counters.resizes_failed++;
		return error;
	}
	object->bytes = realloc(object->bytes, size);
	REQUIRE(object->bytes != NULL, "the test ran out of memory");
	twin->payload_bytes += size - old_size;
	object->size = size;
	if (size > old_size) {
		test_random_fill(object->bytes + old_size, size - old_size, twin->pattern++);
		write_bytes(twin, object, old_size, size - old_size);
	}
	stamp_size(twin, object);
	if (twin->naming == TWIN_REFERENCES_SIZED) {
		write_bytes(twin, object, 0, TWIN_SIZED_MIN_BYTES);
	}
	if (twin_address(twin, index) == before) {
		twin->counters.resizes_in_place++;
	} else {
		twin->counters.resizes_moved++;
	}
	twin_compare_object(twin, index);
	return SNUG_OK;
}

/* ------------------------------------------------------------------ write, pins --------------- */

void twin_write(struct twin *twin, size_t index, size_t offset, size_t length) {
	twin_object *object = &twin->objects[index];
	test_random_fill(object->bytes + offset, length, twin->pattern++);
	stamp_size(twin, object);
	write_bytes(twin, object, offset, length);
}

snug_error twin_pin(struct twin *twin, size_t index) {
	twin_object *object = &twin->objects[index];
	snug_error error = twin->naming == TWIN_HANDLES
						   ? snug_pin(twin->heap, object->name)
						   : snug_ref_pin(twin->heap, object->name, object->size);
	REQUIRE(error == SNUG_OK || error == SNUG_ERROR_NO_MEMORY || error == SNUG_ERROR_OS_MEMORY ||
				(error == SNUG_ERROR_TOO_MANY_PINS && object->pins > 100),
			"pinning an object with %u pins: %s", object->pins, snug_error_text(error));
	if (error != SNUG_OK) {
		return error;
	}
	if (object->pins++ == 0) {
		object->pinned_places = twin_places(twin, index);
		twin->pinned_objects++;
		twin->pinned_bytes += object->size;
	}
	return SNUG_OK;
}

snug_error twin_unpin(struct twin *twin, size_t index) {
	twin_object *object = &twin->objects[index];
	if (object->pins > 0) {
		REQUIRE(twin_places(twin, index) == object->pinned_places,
				"a pinned object's addresses changed");
	}
	snug_error error = twin->naming == TWIN_HANDLES
						   ? snug_unpin(twin->heap, object->name)
						   : snug_ref_unpin(twin->heap, object->name, object->size);
	REQUIRE(error == (object->pins > 0 ? SNUG_OK : SNUG_ERROR_NOT_PINNED),
			"unpinning an object with %u pins: %s", object->pins, snug_error_text(error));
	if (error == SNUG_OK && --object->pins == 0) {
		twin->pinned_objects--;
		twin->pinned_bytes -= object->size;
	}
	return error;
}

/* ------------------------------------------------------------------ names that name nothing --- */

static void refuse_handle(struct twin *twin, snug_handle handle) {
	char byte = 'x';
	size_t number = 77;
	void *address = &byte;
	snug_extent extent = {0};
	REQUIRE_ERROR(SNUG_ERROR_HANDLE, snug_free(twin->heap, handle));
	REQUIRE_ERROR(SNUG_ERROR_HANDLE, snug_resize(twin->heap, handle, 10));
	REQUIRE_ERROR(SNUG_ERROR_HANDLE, snug_size(twin->heap, handle, &number));
	REQUIRE_ERROR(SNUG_ERROR_HANDLE, snug_ptr(twin->heap, handle, &address));
	REQUIRE_ERROR(SNUG_ERROR_HANDLE, snug_read(twin->heap, handle, 0, &byte, 1));
	REQUIRE_ERROR(SNUG_ERROR_HANDLE, snug_write(twin->heap, handle, 0, &byte, 1));
	REQUIRE_ERROR(SNUG_ERROR_HANDLE, snug_view(twin->heap, handle, 0, 1, &extent, &number));
	REQUIRE_ERROR(SNUG_ERROR_HANDLE, snug_extent_count(twin->heap, handle, &number));
	REQUIRE_ERROR(SNUG_ERROR_HANDLE, snug_pin(twin->heap, handle));
	REQUIRE_ERROR(SNUG_ERROR_HANDLE, snug_unpin(twin->heap, handle));
	REQUIRE(byte == 'x' && number == 77 && address == (void *)&byte && extent.data == NULL,
			"a refused call wrote its out-parameter");
}

void twin_refuse_stale(struct twin *twin, test_random *random) {
	if (twin->naming != TWIN_HANDLES) {
		return;
	}
	if (twin->stale_count > 0) {
		uint32_t known =
			twin->stale_count < TWIN_STALE_HANDLES ? twin->stale_count : TWIN_STALE_HANDLES;
		refuse_handle(twin, twin->stale[test_random_below(random, known)]);
	}
	snug_handle forged = test_random_next(random);
	if (twin->count > 0 && test_random_chance(random, 700)) {
		forged = twin->objects[test_random_below(random, twin->count)].name ^
				 (UINT64_C(1) << test_random_below(random, 64));
	}
	if (name_index_get(&twin->names, forged) == NAME_INDEX_NONE) {
		refuse_handle(twin, forged);
	}
	refuse_handle(twin, 0);
}
