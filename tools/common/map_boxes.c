/* map_boxes.c: the memory map on paper.
 *
 * A box is a page. Its colour is its pool, the opacity of its inside how full the slab is; the
 * outline is always shown, so an empty-looking coloured box is a slab full of holes. A free page is
 * a grey outline, one that went back to the OS a dot; a page with pinned objects bears a white dot.
 * Boxes of one look are one path, which keeps the file small. */
#include "memory_map.h"
#include "svg.h"
#include "units.h"

#include <string.h>

#define COLUMNS 64
#define CELL 13.4
#define BOX 10.6
#define LEVELS 8

static const char *const pool_colours[SNUG_POOL_COUNT] = {"#2f81f7", "#1a9f6c", "#e8833a"};
static const char *const pool_names[SNUG_POOL_COUNT] = {"small objects", "medium",
														"large (fragments)"};

static uint32_t row_count(const struct memory_map *map) {
	return (map->cells + COLUMNS - 1) / COLUMNS;
}

static void cell_at(uint32_t index, double top, double *x, double *y) {
	*x = MAP_SVG_LEFT + CELL * (index % COLUMNS);
	uint32_t row = index / COLUMNS;
	*y = top + CELL * row;
}

static unsigned level_of(const struct map_cell *cell) {
	return (unsigned)((double)cell->fullness * (LEVELS - 1) + .5);
}

static void slab_path(FILE *svg, const struct memory_map *map, double top, enum snug_pool pool,
					  unsigned level) {
	bool open = false;
	for (uint32_t i = 0; i < map->cells; i++) {
		const struct map_cell *cell = &map->cell[i];
		double x, y;
		if (cell->state != PAGE_SLAB || cell->pool != (uint8_t)pool || level_of(cell) != level)
			continue;
		if (!open)
			fprintf(svg, "<path fill=\"%s\" stroke=\"%s\" fill-opacity=\"%.2f\" d=\"",
					pool_colours[pool], pool_colours[pool],
					.06 + .94 * level * level / ((LEVELS - 1) * (LEVELS - 1)));
		open = true;
		cell_at(i, top, &x, &y);
		fprintf(svg, "M%.1f %.1fh%gv%gh-%gz", x, y, BOX, BOX, BOX);
	}
	if (open) fputs("\"/>\n", svg);
}

static void outline_path(FILE *svg, const struct memory_map *map, double top) {
	fputs("<path class=\"g\" d=\"M0 0", svg);
	for (uint32_t i = 0; i < map->cells; i++) {
		double x, y;
		cell_at(i, top, &x, &y);
		if (map->cell[i].state == PAGE_FREE)
			fprintf(svg, "M%.1f %.1fh%gv%gh-%gz", x, y, BOX, BOX, BOX);
	}
	fputs("\"/>\n<path class=\"g\" stroke-linecap=\"round\" stroke-width=\"2\" d=\"M0 0", svg);
	for (uint32_t i = 0; i < map->cells; i++) {
		double x, y;
		cell_at(i, top, &x, &y);
		if (map->cell[i].state == PAGE_RETURNED)
			fprintf(svg, "M%.1f %.1fh0", x + BOX / 2, y + BOX / 2);
	}
	fputs("\"/>\n", svg);
}

static void pin_path(FILE *svg, const struct memory_map *map, double top) {
	fputs("<path stroke=\"#fff\" stroke-linecap=\"round\" stroke-width=\"4\" d=\"M0 0", svg);
	for (uint32_t i = 0; i < map->cells; i++) {
		double x, y;
		cell_at(i, top, &x, &y);
		if (map->cell[i].pinned) fprintf(svg, "M%.1f %.1fh0", x + BOX / 2, y + BOX / 2);
	}
	fputs("\"/>\n", svg);
}

double map_svg_height(const struct memory_map *map) {
	return CELL * row_count(map);
}

double map_svg_grid(FILE *svg, const struct memory_map *map, double top) {
	outline_path(svg, map, top);
	for (int pool = 0; pool < SNUG_POOL_COUNT; pool++)
		for (unsigned level = 0; level < LEVELS; level++)
			slab_path(svg, map, top, (enum snug_pool)pool, level);
	pin_path(svg, map, top);
	return top + CELL * row_count(map);
}

void map_svg_tell_box(FILE *svg, double y, const struct memory_map *map, uint64_t page_bytes) {
	char text[80];
	if (map->stride == 1)
		snprintf(text, sizeof text, "a box is a page of %s", bytes_text(page_bytes).text);
	else
		snprintf(text, sizeof text, "a box is a page of %s; 1 page in %u is shown",
				 bytes_text(page_bytes).text, map->stride);
	svg_text(svg, SVG_WIDTH - MAP_SVG_LEFT, y, "e", text);
}

void map_svg_legend(FILE *svg, double y) {
	double x = MAP_SVG_LEFT;
	for (int pool = 0; pool < SNUG_POOL_COUNT; pool++) {
		for (int level = 0; level < 4; level++, x += CELL)
			fprintf(svg,
					"<path fill=\"%s\" stroke=\"%s\" fill-opacity=\"%.2f\" d=\"M%.1f "
					"%.1fh%gv%gh-%gz\"/>\n",
					pool_colours[pool], pool_colours[pool], .06 + .94 * level * level / 9, x, y,
					BOX, BOX, BOX);
		svg_text(svg, x + 3, y + 9.5, "l", pool_names[pool]);
		x += 40 + 6.4 * (double)strlen(pool_names[pool]);
	}
	fprintf(svg, "<path class=\"g\" d=\"M%.1f %.1fh%gv%gh-%gz\"/>\n", x, y, BOX, BOX, BOX);
	svg_text(svg, x + CELL + 3, y + 9.5, "l", "free");
	x += 66;
	fprintf(svg,
			"<path class=\"g\" stroke-linecap=\"round\" stroke-width=\"2\" d=\"M%.1f %.1fh0\"/>\n",
			x, y + BOX / 2);
	svg_text(svg, x + 8, y + 9.5, "l", "returned to the OS");
}
