/* sizes_file.c: a user's own distribution, from a file in the format of
 * data/cachebench-kvcache-sizes.csv. */
#include "workloads/sizes.h"

#include "base/number_text.h"
#include "units.h"

#include <stdio.h>
#include <string.h>

#define ROWS_MAX 4096

static struct size_row file_rows[ROWS_MAX];

/* NULL: taken, or skipped as a comment. Else why not. */
static const char *add_line(struct sizes *sizes, char *line) {
	size_t length = strlen(line);
	while (length > 0 && strchr(" \t\r\n", line[length - 1]) != NULL) line[--length] = '\0';
	if (length == 0 || line[0] == '#') return NULL;
	size_t digits;
	uint64_t upper_bytes;
	double cumulative;
	digits = number_scan(line, length, 10, &upper_bytes);
	if (digits == 0 || line[digits] != ',' || !parse_real(line + digits + 1, &cumulative))
		return "expected upper_bytes,cumulative";
	if (sizes->row_count == ROWS_MAX) return "more than 4096 rows";
	const struct size_row *last = sizes->row_count > 0 ? &file_rows[sizes->row_count - 1] : NULL;
	if (upper_bytes < OBJECT_MIN_BYTES || upper_bytes > UINT32_MAX ||
		(last && upper_bytes <= last->upper_bytes))
		return "sizes must ascend from at least 8 bytes";
	if (!(cumulative >= (last ? last->cumulative : 0)) || cumulative > 1)
		return "cumulative shares must ascend from 0 to 1";
	file_rows[sizes->row_count++] = (struct size_row){(uint32_t)upper_bytes, cumulative};
	return NULL;
}

bool sizes_read(const char *path, struct sizes *out, char *problem, size_t room) {
	FILE *file = fopen(path, "re");
	if (file == NULL) {
		snprintf(problem, room, "%s: cannot be opened", path);
		return false;
	}
	struct sizes sizes = {.kind = SIZES_HISTOGRAM, .rows = file_rows};
	const char *why = NULL;
	char line[256];
	unsigned number = 0;
	while (why == NULL && fgets(line, sizeof line, file) != NULL) {
		number++;
		why = add_line(&sizes, line);
	}
	fclose(file);
	if (why == NULL &&
		(sizes.row_count == 0 || file_rows[sizes.row_count - 1].cumulative < 0.999999))
		why = "the last cumulative share must be 1";
	if (why != NULL) {
		snprintf(problem, room, "%s:%u: %s", path, number, why);
		return false;
	}
	*out = sizes;
	return true;
}
