/* mem/slab/handles.c: an entry for the next object, before anything else is done for it. That is
 * the only part of a handle's life that can fail, so it comes first: a slot that was found is then
 * never given back. Everything else is inline in mem/slab/handles.h. */
#include "mem/slab/handles.h"

#include "mem/arena/arena.h"

snug_error handle_prepare(snug_heap *heap, uint32_t *index) {
	struct handle_table *table = &heap->handles;
	if (table->free_head != 0) {
		*index = table->free_head - 1;
		return SNUG_OK;
	}
	if (table->count == UINT32_MAX) return SNUG_ERROR_NO_MEMORY;
	snug_error error =
		range_ensure(&heap->arena, &table->range, ((size_t)table->count + 1) * sizeof(uint64_t));
	if (error) return error;
	*index = table->count;
	return SNUG_OK;
}
