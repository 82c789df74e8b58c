/* plot_svg.c: memory over time, one panel for each workload. The time axis is bytes allocated;
 * libsnug's panel shows live, used and committed bytes, the limit, and what compaction reclaimed so
 * far; each malloc is one line, its RSS. */
#include "allocators/allocators.h"
#include "report/report.h"
#include "svg.h"
#include "units.h"

#include <math.h>
#include <string.h>

#define PANEL_HEIGHT 300
#define PLOT_LEFT 78.0
#define PLOT_RIGHT 730.0
#define PLOT_TOP 50.0
#define PLOT_HEIGHT 200.0
#define PANELS_MAX 40

typedef uint64_t (*sample_value)(const struct sample *sample);

static uint64_t live_of(const struct sample *sample) {
	return sample->live_bytes;
}
static uint64_t used_of(const struct sample *sample) {
	return sample->used_bytes;
}
static uint64_t reclaimed_of(const struct sample *sample) {
	return sample->reclaimed_bytes;
}
static uint64_t rss_of(const struct sample *sample) {
	return sample->rss_bytes;
}

struct panel {
	FILE *svg;
	const struct result *first; /* of the results of one workload */
	size_t count;
	double top;
	double most_bytes; /* of the y axis */
	double most_allocated;
	/* the reclaimed line is drawn in its own scale: this much is the axis' top */
	double reclaimed_scale;
	double legend_y;
};

static double x_of(const struct panel *panel, double allocated) {
	return PLOT_LEFT + (PLOT_RIGHT - PLOT_LEFT) *
						   (panel->most_allocated > 0 ? allocated / panel->most_allocated : 0);
}

static double y_of(const struct panel *panel, double bytes) {
	return panel->top + PLOT_TOP + PLOT_HEIGHT * (1 - bytes / panel->most_bytes);
}

/* The largest of 1, 2, 5 times a power of two that gives at least three steps up to `most`. */
static double axis_step(double most) {
	double step = exp2(floor(log2(most)) - 1);
	return most / step < 3 ? step / 2 : step;
}

static void legend_entry(struct panel *panel, const char *colour, const char *dash,
						 const char *text) {
	fprintf(panel->svg,
			"<path d=\"M%g %gh18\" stroke=\"%s\" stroke-width=\"2\" stroke-dasharray=\"%s\"/>\n",
			PLOT_RIGHT + 14, panel->legend_y - 4, colour, dash);
	svg_text(panel->svg, PLOT_RIGHT + 38, panel->legend_y, "l", text);
	panel->legend_y += 18;
}

static void curve(struct panel *panel, const struct outcome *outcome, sample_value value,
				  double scale, const char *colour, const char *dash, const char *label) {
	fprintf(panel->svg,
			"<path fill=\"none\" stroke=\"%s\" stroke-width=\"1.8\" stroke-linejoin=\"round\" "
			"stroke-dasharray=\"%s\" d=\"",
			colour, dash);
	for (size_t i = 0; i < outcome->sample_count; i++) {
		const struct sample *sample = &outcome->samples[i];
		fprintf(panel->svg, "%c%.1f %.1f", i == 0 ? 'M' : 'L',
				x_of(panel, (double)sample->allocated_bytes),
				y_of(panel, (double)value(sample) * scale));
	}
	fputs("\"/>\n", panel->svg);
	legend_entry(panel, colour, dash, label);
}

static void measure(struct panel *panel) {
	for (size_t i = 0; i < panel->count; i++) {
		const struct result *result = &panel->first[i];
		if (result->job.allocator == ALLOCATOR_SNUG)
			panel->most_bytes = fmax(panel->most_bytes, (double)result->job.limit_bytes);
		for (size_t k = 0; k < result->outcome.sample_count; k++) {
			const struct sample *sample = &result->outcome.samples[k];
			panel->most_bytes = fmax(panel->most_bytes, (double)sample->rss_bytes);
			panel->most_bytes = fmax(panel->most_bytes, (double)sample->committed_bytes);
			panel->most_allocated = fmax(panel->most_allocated, (double)sample->allocated_bytes);
			panel->reclaimed_scale = fmax(panel->reclaimed_scale, (double)sample->reclaimed_bytes);
		}
	}
	panel->most_bytes *= 1.04;
}

static void axes(const struct panel *panel) {
	double step = axis_step(panel->most_bytes);
	for (double bytes = 0; bytes <= panel->most_bytes; bytes += step) {
		double y = y_of(panel, bytes);
		fprintf(panel->svg, "<path class=\"%s\" d=\"M%g %.1fH%g\"/>\n", bytes > 0 ? "g" : "a",
				PLOT_LEFT, y, PLOT_RIGHT);
		svg_text(panel->svg, PLOT_LEFT - 8, y + 4, "e", bytes_text((uint64_t)bytes).text);
	}
	double bottom = panel->top + PLOT_TOP + PLOT_HEIGHT;
	step = axis_step(panel->most_allocated);
	for (double bytes = 0; bytes <= panel->most_allocated; bytes += step)
		svg_text(panel->svg, x_of(panel, bytes), bottom + 18, "m",
				 bytes_text((uint64_t)bytes).text);
	svg_text(panel->svg, (PLOT_LEFT + PLOT_RIGHT) / 2, bottom + 36, "m", "allocated so far");
}

static void snug_curves(struct panel *panel, const struct result *result) {
	char text[80];
	double limit_y = y_of(panel, (double)result->job.limit_bytes);
	fprintf(panel->svg,
			"<path d=\"M%g %.1fH%g\" stroke=\"#d1242f\" stroke-dasharray=\"6 4\" "
			"stroke-width=\"1.5\"/>\n",
			PLOT_LEFT, limit_y, PLOT_RIGHT);
	legend_entry(panel, "#d1242f", "6 4", "limit");
	curve(panel, &result->outcome, used_of, 1, "#2f81f7", "", "used by snug");
	curve(panel, &result->outcome, live_of, 1, "#1a9f6c", "", "live payload");
	if (panel->reclaimed_scale > 0) {
		double scale = panel->most_bytes * .9 / panel->reclaimed_scale;
		snprintf(text, sizeof text, "reclaimed: %s",
				 bytes_text((uint64_t)panel->reclaimed_scale).text);
		curve(panel, &result->outcome, reclaimed_of, scale, "#8250df", "2 3", text);
	}
}

static void draw_panel(struct panel *panel) {
	static const char *const colours[ALLOCATOR_COUNT] = {"", "#e8833a", "#bf3989", "#9a6700",
														 "#6e7781"};
	char text[160];
	bool live_drawn = false;
	measure(panel);
	if (panel->most_allocated <= 0) return;
	const struct job *job = &panel->first->job;
	svg_text(panel->svg, 20, panel->top + 28, "h", job->workload);
	snprintf(text, sizeof text,
			 "memory over time, %s live, seed %llu; reclaimed has a scale of its own",
			 bytes_text(job->live_bytes).text, (unsigned long long)job->seed);
	svg_text(panel->svg, SVG_WIDTH - 20, panel->top + 28, "e", text);
	axes(panel);
	panel->legend_y = panel->top + PLOT_TOP + 10;
	for (size_t i = 0; i < panel->count; i++) {
		const struct result *result = &panel->first[i];
		if (result->outcome.sample_count == 0) continue;
		if (result->job.allocator == ALLOCATOR_SNUG) {
			snug_curves(panel, result);
			live_drawn = true;
			continue;
		}
		snprintf(text, sizeof text, "%s, resident", allocator_name(result->job.allocator));
		curve(panel, &result->outcome, rss_of, 1, colours[result->job.allocator], "", text);
		if (!live_drawn) curve(panel, &result->outcome, live_of, 1, "#1a9f6c", "", "live payload");
		live_drawn = true;
	}
}

/* Results of one workload are neighbours. */
static size_t group_end(const struct result *results, size_t count, size_t begin) {
	size_t end = begin + 1;
	while (end < count && strcmp(results[begin].job.workload, results[end].job.workload) == 0)
		end++;
	return end;
}

bool plot_write_svg(const char *path, const struct result *results, size_t count) {
	int panels = 0;
	for (size_t i = 0; i < count && panels < PANELS_MAX; i = group_end(results, count, i)) panels++;
	FILE *svg = svg_begin(path, panels * PANEL_HEIGHT, "memory over time");
	if (svg == NULL) return false;
	size_t begin = 0;
	for (int i = 0; i < panels; i++) {
		size_t end = group_end(results, count, begin);
		struct panel panel = {.svg = svg,
							  .first = &results[begin],
							  .count = end - begin,
							  .top = (double)i * PANEL_HEIGHT};
		draw_panel(&panel);
		begin = end;
	}
	return svg_end(svg);
}
