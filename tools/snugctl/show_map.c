/* show_map.c: the memory maps of all workers: lines "MAP <worker> <JSON>". */
#include "base/number_text.h"
#include "memory_map.h"
#include "plain.h"
#include "show.h"
#include "svg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS 100
#define ROWS 16

/* Of a large worker the server lists every so-many-th page. */
static uint32_t stride_of(const struct reply *reply, unsigned worker) {
	char name[48];
	snprintf(name, sizeof name, "%u:map_stride_pages", worker);
	double stride = reply_number(reply, name);
	return stride >= 1 && stride < 1e9 ? (uint32_t)stride : 1;
}

static bool read_map(const struct reply *reply, unsigned worker, const char *json,
					 struct memory_map *map) {
	uint32_t listed = stride_of(reply, worker);
	struct map_reader reader;
	size_t length = strlen(json);
	map_reader_begin(&reader, 0, listed, NULL);
	(void)map_reader_take(&reader, json, length);
	if (strstr(json, "\"page\":") == NULL) return false; /* nothing is in use yet */
	map_reader_begin(&reader, reader.last_page + listed, listed, map);
	return map_reader_take(&reader, json, length);
}

static uint64_t page_bytes(const char *json) {
	const char *found = strstr(json, "\"page_bytes\":");
	return found == NULL ? 0 : number_leading(found + strlen("\"page_bytes\":"));
}

/* The line's JSON; NULL: it is no map. */
static const char *json_of(const char *line, unsigned *worker) {
	static const char before[] = "MAP ";
	size_t length = sizeof before - 1, digits;
	uint64_t number;
	if (strncmp(line, before, length) != 0) return NULL;
	digits = number_scan(line + length, strlen(line + length), 10, &number);
	if (digits == 0 || line[length + digits] != ' ') return NULL;
	*worker = (unsigned)number;
	return line + length + digits + 1;
}

static void print_maps(const struct reply *reply) {
	static struct memory_map map;
	unsigned worker;
	for (size_t i = 0; i < reply->line_count; i++) {
		const char *json = json_of(reply->lines[i], &worker);
		if (json == NULL) continue;
		printf("worker %u\n", worker);
		if (read_map(reply, worker, json, &map))
			map_print_text(&map, COLUMNS, ROWS, "  ");
		else
			puts("  nothing is in use");
	}
	map_print_text_legend("  ");
}

static double draw_worker(FILE *svg, const struct reply *reply, const char *json, unsigned worker,
						  double top) {
	static struct memory_map map;
	char text[40];
	if (!read_map(reply, worker, json, &map)) return top;
	snprintf(text, sizeof text, "Worker %u", worker);
	svg_text(svg, MAP_SVG_LEFT, top + 22, "b", text);
	map_svg_tell_box(svg, top + 22, &map, page_bytes(json));
	return map_svg_grid(svg, &map, top + 32);
}

/* How high all of them are. */
static double height_of(const struct reply *reply) {
	static struct memory_map map;
	double height = 0;
	unsigned worker;
	for (size_t i = 0; i < reply->line_count; i++) {
		const char *json = json_of(reply->lines[i], &worker);
		if (json != NULL && read_map(reply, worker, json, &map))
			height += map_svg_height(&map) + 32;
	}
	return height;
}

bool show_map(const struct reply *reply, const char *svg_path) {
	unsigned worker;
	if (svg_path == NULL) {
		print_maps(reply);
		return true;
	}
	FILE *svg = svg_begin(svg_path, (int)height_of(reply) + 80, "The memory map of snugd");
	if (svg == NULL) return false;
	svg_text(svg, MAP_SVG_LEFT, 30, "h", "The memory map of snugd");
	double bottom = 34;
	for (size_t i = 0; i < reply->line_count; i++) {
		const char *json = json_of(reply->lines[i], &worker);
		if (json != NULL) bottom = draw_worker(svg, reply, json, worker, bottom);
	}
	map_svg_legend(svg, bottom + 12);
	if (svg_end(svg)) return true;
	fprintf(stderr, "snugctl: %s: not all could be written\n", svg_path);
	return false;
}

void show_map_json(const struct reply *reply) {
	unsigned worker;
	const char *comma = "";
	fputs("{\"workers\":[", stdout);
	for (size_t i = 0; i < reply->line_count; i++) {
		const char *json = json_of(reply->lines[i], &worker);
		if (json == NULL) continue;
		printf("%s{\"worker\":%u,\"stride_pages\":%u,\"map\":", comma, worker,
			   stride_of(reply, worker));
		print_plain(stdout, json, strlen(json)); /* as it is: maps hold no strings */
		putchar('}');
		comma = ",";
	}
	puts("]}");
}
