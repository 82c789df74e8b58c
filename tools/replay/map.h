/* map.h: the memory map that snug_dump writes, or an even sample of it, and its drawings. */
#ifndef REPLAY_MAP_H
#define REPLAY_MAP_H

#include "replay.h"

/* Reads the map of the heap; `pages` is how many pages the cells are to cover, 0: up to the last one ever used. */
bool map_read(snug_heap *heap, uint32_t pages, struct memory_map *out);

/* The picture of an outcome's two maps, self-contained, 900 units wide. False: the file cannot be written. */
bool map_write_svg(const char *path, const struct job *job, const struct outcome *outcome);

#endif
