/* allocator_malloc.c: whichever malloc this process was started with. It cannot move objects, so
 * pins hold by themselves. */
#include "allocators/allocators.h"

#include <stdlib.h>

static bool allocate(struct allocator *self, size_t size, uint64_t *name) {
	(void)self;
	void *object = malloc(size);
	*name = (uint64_t)(uintptr_t)object;
	return object != NULL;
}

static void *object_at(uint64_t name) {
	return (void *)(uintptr_t)name;
}

static bool release(struct allocator *self, uint64_t name, size_t size) {
	(void)self;
	(void)size;
	free(object_at(name));
	return true;
}

static bool hold(struct allocator *self, uint64_t name, size_t size) {
	(void)self;
	(void)name;
	(void)size;
	return true;
}

static bool view(struct allocator *self, uint64_t name, size_t size, size_t offset,
				 struct snug_extent extents[EXTENT_ROOM], size_t *count) {
	(void)self;
	extents[0] = (struct snug_extent){(char *)object_at(name) + offset, size - offset};
	*count = 1;
	return true;
}

static void destroy(struct allocator *self) {
	(void)self;
}

void allocator_malloc_create(struct allocator *allocator) {
	*allocator = (struct allocator){.allocate = allocate,
									.release = release,
									.pin = hold,
									.unpin = hold,
									.view = view,
									.destroy = destroy};
}
