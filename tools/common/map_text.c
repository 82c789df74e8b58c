/* map_text.c: the memory map for a terminal: one character for a page, block characters where the
 * locale has them. The picture for paper is map_boxes.c. */
#include "memory_map.h"

#include <langinfo.h>
#include <stdio.h>
#include <string.h>

enum shade {
	SHADE_UNUSED,
	SHADE_FREE,
	SHADE_SPARSE,
	SHADE_HALF,
	SHADE_DENSE,
	SHADE_FULL,
	SHADE_COUNT
};

static const char *shade_text(enum shade shade) {
	static const char *const blocks[SHADE_COUNT] = {" ", "·", "░", "▒", "▓", "█"};
	static const char *const letters[SHADE_COUNT] = {" ", ".", ":", "+", "*", "#"};
	return strcmp(nl_langinfo(CODESET), "UTF-8") == 0 ? blocks[shade] : letters[shade];
}

static enum shade shade_of(const struct map_cell *cell) {
	if (cell->state != PAGE_SLAB) return cell->state == PAGE_FREE ? SHADE_FREE : SHADE_UNUSED;
	if (cell->fullness >= .95F) return SHADE_FULL;
	if (cell->fullness >= .75F) return SHADE_DENSE;
	return cell->fullness >= .5F ? SHADE_HALF : SHADE_SPARSE;
}

void map_print_text(const struct memory_map *map, uint32_t columns, uint32_t rows,
					const char *indent) {
	uint32_t wanted = columns * rows;
	uint32_t shown = map->cells < wanted ? map->cells : wanted;
	for (uint32_t begin = 0; begin < shown; begin += columns) {
		printf("%s|", indent);
		for (uint32_t i = begin; i < begin + columns; i++)
			fputs(i < shown ? shade_text(shade_of(&map->cell[(uint64_t)i * map->cells / shown]))
							: " ",
				  stdout);
		puts("|");
	}
}

void map_print_text_legend(const char *indent) {
	printf("%sa page: %s full  %s over 3/4  %s over half  %s sparse  %s free  (blank) returned to "
		   "the OS\n",
		   indent, shade_text(SHADE_FULL), shade_text(SHADE_DENSE), shade_text(SHADE_HALF),
		   shade_text(SHADE_SPARSE), shade_text(SHADE_FREE));
}
