/* map_svg.c: the memory map before and after a defragmentation, as a picture (map_boxes.c says how
 * to read it). */
#include "report/report.h"
#include "svg.h"
#include "units.h"

static void heading(FILE *svg, double y, const char *when, const snug_stats *stats) {
	char text[200];
	svg_text(svg, MAP_SVG_LEFT, y, "b", when);
	snprintf(text, sizeof text, "%s of objects in %s of slab pages: %s holes",
			 bytes_text(stats->total.payload_bytes).text, bytes_text(stats->total.slab_bytes).text,
			 share_text(stats->total.external_fragmentation).text);
	svg_text(svg, MAP_SVG_LEFT + 52, y, "l", text);
}

bool map_write_svg(const char *path, const struct job *job, const struct outcome *outcome) {
	const snug_report *report = &outcome->report;
	char text[400];
	snprintf(text, sizeof text, "%s reclaimed in %s: %s objects moved, longest pause %s",
			 bytes_text(report->reclaimed_bytes).text, duration_text(report->work_ns).text,
			 count_text(report->moved_objects).text, duration_text(report->longest_step_ns).text);
	FILE *svg = svg_begin(path, (int)(2 * map_svg_height(&outcome->before) + 150), text);
	if (svg == NULL) return false;
	svg_text(svg, MAP_SVG_LEFT, 30, "h", text);
	snprintf(text, sizeof text, "workload %s, seed %llu", job->workload,
			 (unsigned long long)job->seed);
	svg_text(svg, SVG_WIDTH - MAP_SVG_LEFT, 58, "e", text);
	heading(svg, 58, "Before", &report->before);
	double bottom = map_svg_grid(svg, &outcome->before, 68);
	heading(svg, bottom + 22, "After", &report->after);
	map_svg_tell_box(svg, bottom + 22, &outcome->before, report->before.page_bytes);
	bottom = map_svg_grid(svg, &outcome->after, bottom + 32);
	map_svg_legend(svg, bottom + 12);
	return svg_end(svg);
}
