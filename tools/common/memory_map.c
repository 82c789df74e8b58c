/* memory_map.c: reads snug_dump's JSON as it streams by. Each page is one flat object, shorter than
 * MAP_OBJECT_ROOM, so the reader keeps the text between the last '{' and the next '}' and looks its
 * fields up by name: no tree is built, and no malloc is called in the process under test. Of a
 * large heap an even sample of pages is kept, not an average of neighbours: where pages have come
 * free one by one, an average would show them all as nearly full. */
#include "memory_map.h"

#include "base/number_text.h"

#include <string.h>

/* The text after "name": or NULL. */
static const char *field(const char *object, const char *name) {
	const char *found = strstr(object, name);
	return found == NULL ? NULL : found + strlen(name);
}

static uint64_t number_field(const char *object, const char *name) {
	const char *text = field(object, name);
	return text == NULL ? 0 : number_leading(text);
}

static bool field_begins(const char *object, const char *name, const char *value) {
	const char *text = field(object, name);
	return text != NULL && strncmp(text, value, strlen(value)) == 0;
}

static enum snug_pool pool_field(const char *object) {
	if (field_begins(object, "\"pool\":", "\"small")) return SNUG_POOL_SMALL;
	return field_begins(object, "\"pool\":", "\"medium") ? SNUG_POOL_MEDIUM : SNUG_POOL_LARGE;
}

static struct map_cell cell_of(const char *object) {
	struct map_cell cell = {.state = PAGE_FREE};
	uint64_t slots = number_field(object, "\"slots\":");
	if (field_begins(object, "\"state\":", "\"cold")) cell.state = PAGE_RETURNED;
	if (slots > 0) {
		cell.state = PAGE_SLAB;
		cell.pool = (uint8_t)pool_field(object);
		cell.fullness = (float)number_field(object, "\"live\":") / (float)slots;
		cell.pinned = number_field(object, "\"pinned\":") > 0;
	}
	return cell;
}

static void take_page(struct map_reader *reader) {
	const char *text = field(reader->object, "\"page\":");
	if (text == NULL) return;
	uint32_t page = (uint32_t)number_leading(text);
	if (page > reader->last_page) reader->last_page = page;
	struct memory_map *map = reader->map;
	if (map == NULL || page / map->stride >= map->cells) return;
	/* The first of its stretch: the list may be a sample already. */
	struct map_cell *cell = &map->cell[page / map->stride];
	if (cell->state == PAGE_UNUSED) *cell = cell_of(reader->object);
}

bool map_reader_take(void *context, const char *text, size_t length) {
	struct map_reader *reader = context;
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '{') {
			reader->inside = true;
			reader->length = 0;
		} else if (text[i] == '}' && reader->inside) {
			reader->inside = false;
			reader->object[reader->length] = '\0';
			take_page(reader);
		} else if (reader->inside && reader->length + 1 < MAP_OBJECT_ROOM) {
			reader->object[reader->length++] = text[i];
		}
	}
	return true;
}

void map_reader_begin(struct map_reader *reader, uint32_t pages, uint32_t listed,
					  struct memory_map *map) {
	*reader = (struct map_reader){.map = map};
	if (map == NULL) return;
	memset(map, 0, sizeof *map);
	map->pages = pages;
	map->stride = (uint32_t)((pages + MAP_CELL_MAX - 1) / MAP_CELL_MAX);
	map->stride = (map->stride + listed - 1) / listed * listed;
	map->cells = map->stride == 0 ? 0 : (pages + map->stride - 1) / map->stride;
}
