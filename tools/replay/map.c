/* map.c: the map of heaps in this process. */
#include "map.h"

bool map_read(snug_heap *heap, uint32_t pages, struct memory_map *out) {
	struct map_reader reader;
	if (pages == 0) {
		map_reader_begin(&reader, 0, 1, NULL);
		if (snug_dump(heap, map_reader_take, &reader) != SNUG_OK) return false;
		pages = reader.last_page + 1;
	}
	map_reader_begin(&reader, pages, 1, out);
	return snug_dump(heap, map_reader_take, &reader) == SNUG_OK;
}
