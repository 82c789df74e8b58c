/* mem/object/extents.c: walking an object, piece by piece.
 *
 *   object     |  fragment 0  |  fragment 1  |  fragment 2  |
 *   stretch            |<---- from, length ---->|
 *   extents            [ piece ][    piece     ][p]
 *
 * THE BOOKMARK. Fragments have no index: offset n is found by walking from the head, O(n / page).
 * Who reads a large object piece by piece would walk 1 + 2 + 3 ... fragments. So the heap remembers
 * one place: object, fragment, and how many bytes lie before it. A stretch that begins at or behind
 * it in the same object begins there, and reading on costs one step. One bookmark is enough, as one
 * object is read at a time; it is forgotten whenever any fragment moves or is freed (law F3),
 * because checking whether it was this one would cost more than finding the place again.
 *
 * Stretches that begin in the first page do not touch it: the beginning of an object is often read
 * by itself. */
#include "mem/object/extents.h"

#include "base/assert.h"
#include "mem/object/chain.h"

#include <string.h>

struct extents extents_of(const snug_heap *heap, uint64_t location, size_t from, size_t length) {
	return (struct extents){
		.heap = heap,
		.offset = location & OFFSET_MASK,
		.chained = (location & REF_CHAINED) != 0,
		.skip_bytes = from,
		.left_bytes = length,
	};
}

struct extents extents_seek(snug_heap *heap, uint64_t location, size_t from, size_t length) {
	struct extents extents = extents_of(heap, location, from, length);
	struct bookmark *mark = &heap->bookmark;
	uint64_t head = extents.offset;
	if (!extents.chained || from < heap->arena.page_bytes) return extents;
	if (mark->head == head && mark->before_bytes <= from) {
		extents.offset = mark->offset;
		extents.skip_bytes = from - mark->before_bytes;
	}
	for (;;) {
		struct fragment_trailer trailer =
			fragment_trailer_read(heap, fragment_trailer_at(heap, extents.offset));
		if (extents.skip_bytes < trailer.length || trailer.next == 0) break;
		extents.skip_bytes -= trailer.length;
		extents.offset = trailer.next;
	}
	SNUG_ASSERT(extents.skip_bytes <= from);
	*mark = (struct bookmark){head, extents.offset, from - extents.skip_bytes};
	return extents;
}

bool extents_next(struct extents *extents, char **data, size_t *length) {
	while (extents->left_bytes > 0 && extents->offset != 0) {
		uint64_t offset = extents->offset;
		size_t here_bytes = extents->skip_bytes + extents->left_bytes;
		extents->offset = 0;
		if (extents->chained) {
			struct fragment_trailer trailer =
				fragment_trailer_read(extents->heap, fragment_trailer_at(extents->heap, offset));
			here_bytes = trailer.length;
			SNUG_ASSERT(here_bytes > 0 && trailer.next != offset);
			extents->offset = trailer.next;
		}
		if (extents->skip_bytes >= here_bytes) {
			extents->skip_bytes -= here_bytes;
			continue;
		}
		here_bytes -= extents->skip_bytes;
		*length = here_bytes < extents->left_bytes ? here_bytes : extents->left_bytes;
		*data = address_of(&extents->heap->arena, offset) + extents->skip_bytes;
		SNUG_ASSERT(*length > 0);
		extents->skip_bytes = 0;
		extents->left_bytes -= *length;
		return true;
	}
	return false;
}

void extents_read(struct extents extents, char *to) {
	char *data;
	size_t length;
	for (; extents_next(&extents, &data, &length); to += length) memcpy(to, data, length);
}

void extents_write(struct extents extents, const char *from) {
	char *data;
	size_t length;
	for (; extents_next(&extents, &data, &length); from += length) memcpy(data, from, length);
}

void extents_copy(struct extents to, struct extents from) {
	char *target = NULL;
	char *source = NULL;
	size_t target_bytes = 0;
	size_t source_bytes = 0;
	for (;;) {
		if (target_bytes == 0 && !extents_next(&to, &target, &target_bytes)) return;
		if (source_bytes == 0 && !extents_next(&from, &source, &source_bytes)) return;
		size_t length = target_bytes < source_bytes ? target_bytes : source_bytes;
		SNUG_ASSERT(target + length <= source || source + length <= target); /* two objects */
		memcpy(target, source, length);
		target += length;
		source += length;
		target_bytes -= length;
		source_bytes -= length;
	}
}
