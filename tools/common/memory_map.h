/* memory_map.h: the memory map that snug_dump writes as JSON, or an even sample of it; how it is
 * read, and drawn for a terminal and on paper. */
#ifndef TOOLS_MEMORY_MAP_H
#define TOOLS_MEMORY_MAP_H

#include <snug/heap.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define MAP_CELL_MAX ((size_t)1024)

enum page_state { PAGE_UNUSED, PAGE_SLAB, PAGE_FREE, PAGE_RETURNED };

/* One page. */
struct map_cell {
	uint8_t state;  /* enum page_state */
	uint8_t pool;   /* enum snug_pool, of a slab */
	bool pinned;    /* holds pinned objects */
	float fullness; /* live slots / slots, of a slab */
};

/* All pages, or every stride-th: an even sample, in the order of their addresses. */
struct memory_map {
	uint32_t cells;
	uint32_t stride;
	uint32_t pages;
	struct map_cell cell[MAP_CELL_MAX];
};

/* Reads the JSON as it streams by, in parts of any length: begin, all parts, end. With `pages` 0 it
 * is read twice: first to learn how many pages there are (last_page), then to keep them. */
#define MAP_OBJECT_ROOM 320

struct map_reader {
	char object[MAP_OBJECT_ROOM];
	size_t length;
	bool inside;
	uint32_t last_page;     /* the highest that was listed */
	struct memory_map *map; /* NULL: only last_page is wanted */
};

/* `listed`: of the pages each so-many-th is in the JSON. */
void map_reader_begin(struct map_reader *reader, uint32_t pages, uint32_t listed,
					  struct memory_map *map);
/* Fits snug_write_function; always true. */
bool map_reader_take(void *reader, const char *text, size_t length);

/* Draws the map with one character for a page, `columns` wide, each line after `indent`; then the
 * legend. */
void map_print_text(const struct memory_map *map, uint32_t columns, uint32_t rows,
					const char *indent);
void map_print_text_legend(const char *indent);

/* Boxes for pages, from `top` down; tells where they end. The legend is some 20 high. */
#define MAP_SVG_LEFT 21.0
double map_svg_grid(FILE *svg, const struct memory_map *map, double top);
double map_svg_height(const struct memory_map *map);
void map_svg_legend(FILE *svg, double y);
void map_svg_tell_box(FILE *svg, double y, const struct memory_map *map, uint64_t page_bytes);

#endif
