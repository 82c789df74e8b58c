/* json_line.c: see json_line.h. */
#include "report/json_line.h"

#include "base/json_text.h"

#include <stdio.h>
#include <string.h>

struct json_line json_begin(void) {
	putchar('{');
	return (struct json_line){.has_field = false};
}

static void begin_field(struct json_line *line, const char *name) {
	printf("%s\"%s\":", line->has_field ? "," : "", name);
	line->has_field = true;
}

void json_text(struct json_line *line, const char *name, const char *text) {
	char part[JSON_PART_BYTES];
	begin_field(line, name);
	putchar('"');
	for (size_t left = strlen(text), taken; left > 0; text += taken, left -= taken) {
		taken = json_take_part(text, left, part);
		fputs(part, stdout);
	}
	putchar('"');
}

void json_count(struct json_line *line, const char *name, uint64_t value) {
	begin_field(line, name);
	printf("%llu", (unsigned long long)value);
}

void json_real(struct json_line *line, const char *name, double value) {
	begin_field(line, name);
	printf("%.6g", value);
}

void json_fixed(struct json_line *line, const char *name, double value, int decimals) {
	begin_field(line, name);
	printf("%.*f", decimals, value);
}

void json_flag(struct json_line *line, const char *name, bool value) {
	begin_field(line, name);
	fputs(value ? "true" : "false", stdout);
}

void json_null(struct json_line *line, const char *name) {
	begin_field(line, name);
	fputs("null", stdout);
}

void json_quantiles(struct json_line *line, const char *name, const struct quantiles *quantiles) {
	begin_field(line, name);
	struct json_line inner = json_begin();
	json_count(&inner, "count", quantiles->count);
	json_count(&inner, "p50", quantiles->p50);
	json_count(&inner, "p99", quantiles->p99);
	json_count(&inner, "p999", quantiles->p999);
	json_count(&inner, "max", quantiles->max);
	putchar('}');
}

void json_end(struct json_line *line) {
	puts("}");
	fflush(stdout);
	line->has_field = false;
}
