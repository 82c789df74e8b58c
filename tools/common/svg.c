/* svg.c: see svg.h. */
#include "svg.h"

#include <errno.h>
#include <string.h>

static void escape(FILE *svg, const char *text) {
	for (; *text != '\0'; text++) {
		if (*text == '&')
			fputs("&amp;", svg);
		else if (*text == '<')
			fputs("&lt;", svg);
		else
			fputc(*text, svg);
	}
}

FILE *svg_begin(const char *path, int height, const char *title) {
	FILE *svg = fopen(path, "we");
	if (svg == NULL) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return NULL;
	}
	fprintf(svg,
			"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
			"height=\"%d\" "
			"role=\"img\">\n<title>",
			SVG_WIDTH, height, SVG_WIDTH, height);
	escape(svg, title);
	fputs("</title>\n<style>\n"
		  "text{font-family:system-ui,-apple-system,'Segoe "
		  "UI',Helvetica,Arial,sans-serif;font-size:12px;fill:#59636e}\n"
		  ".h{font-size:17px;font-weight:600;fill:#1f2328}.b{fill:#1f2328;font-weight:600}.e{text-"
		  "anchor:end}"
		  ".m{text-anchor:middle}\n"
		  ".g{stroke:#8b949e;stroke-opacity:.3;fill:none}.a{stroke:#8b949e;fill:none}\n"
		  "@media (prefers-color-scheme:dark){text{fill:#9198a1}.h,.b{fill:#f0f6fc}}\n</style>\n",
		  svg);
	return svg;
}

int svg_end(FILE *svg) {
	fputs("</svg>\n", svg);
	int failed = ferror(svg);
	return (fclose(svg) == 0) && !failed;
}

void svg_text(FILE *svg, double x, double y, const char *css_class, const char *text) {
	fprintf(svg, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">", x, y, css_class);
	escape(svg, text);
	fputs("</text>\n", svg);
}
