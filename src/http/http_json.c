/* http/http_json.c: see http/http_json.h.
 *
 *     STAT pid 17         {"pid":17,
 *     STAT io io_uring     "io":"io_uring",
 *     STAT 0:when 02:00    "0:when":"02:00"}
 *     END
 *
 * A value that is a number as JSON writes it is one; all else is a string (base/json_text.h, which
 * snugctl uses too). A refusal anywhere in the answer is the whole answer: what was written before
 * it is taken back. */
#include "http/http_json.h"

#include "base/json_text.h"

#include <string.h>

/* ------------------------------------------------------------------ lines ------------------ */

static bool begins(const struct stat_line *line, const char *with) {
	size_t length = strlen(with);
	return line->value_length >= length && memcmp(line->value, with, length) == 0;
}

bool stat_next(const struct text *answer, size_t *at, struct stat_line *out) {
	if (*at >= answer->length) return false;
	const char *line = answer->bytes + *at, *end = memchr(line, '\n', answer->length - *at);
	size_t length = end == NULL ? answer->length - *at : (size_t)(end - line);
	*at += length + 1;
	if (length > 0 && line[length - 1] == '\r') length--;
	*out = (struct stat_line){.value = line, .value_length = length};
	if (!begins(out, "STAT ")) return true;
	const char *name = line + strlen("STAT "),
			   *space = memchr(name, ' ', (size_t)(line + length - name));
	if (space == NULL) space = line + length;
	out->name = name;
	out->name_length = (size_t)(space - name);
	out->value = space < line + length ? space + 1 : space;
	out->value_length = (size_t)(line + length - out->value);
	return true;
}

/* ------------------------------------------------------------------ values ----------------- */

static void write_string(const char *text, size_t length, struct text *out) {
	char part[JSON_PART_BYTES];
	text_append(out, "\"", 1);
	for (size_t at = 0; at < length;) {
		at += json_take_part(text + at, length - at, part);
		text_append(out, part, strlen(part));
	}
	text_append(out, "\"", 1);
}

void json_write_error(const char *sentence, struct text *out) {
	text_print(out, "{\"error\":");
	write_string(sentence, strlen(sentence), out);
	text_print(out, "}\n");
}

/* ------------------------------------------------------------------ answers ---------------- */

static enum json_status write_refusal(const struct stat_line *line, struct text *out) {
	static const char client[] = "CLIENT_ERROR ", server[] = "SERVER_ERROR ";
	_Static_assert(sizeof client == sizeof server, "cut alike");
	bool is_client = begins(line, client), is_marked = is_client || begins(line, server);
	size_t cut = is_marked ? sizeof client - 1 : 0;
	out->length = 0;
	text_print(out, "{\"error\":");
	write_string(line->value + cut, line->value_length - cut, out);
	text_print(out, "}\n");
	return is_client ? JSON_WRONG : JSON_FAILED;
}

static bool is_refusal(const struct stat_line *line) {
	return begins(line, "CLIENT_ERROR ") || begins(line, "SERVER_ERROR ") || begins(line, "ERROR");
}

enum json_status json_write_answer(const struct text *answer, struct text *out) {
	struct stat_line line;
	const char *comma = "";
	text_print(out, "{");
	for (size_t at = 0; stat_next(answer, &at, &line);) {
		if (line.name == NULL && is_refusal(&line)) return write_refusal(&line, out);
		if (line.name == NULL) continue;
		text_print(out, "%s", comma);
		write_string(line.name, line.name_length, out);
		text_print(out, ":");
		if (json_is_number(line.value, line.value_length))
			text_append(out, line.value, line.value_length);
		else
			write_string(line.value, line.value_length, out);
		comma = ",";
	}
	text_print(out, "}\n");
	return JSON_OK;
}

/* "MAP 3 {..}", after the line that says which pages are listed. */
enum json_status json_write_map(const struct text *answer, struct text *out) {
	struct stat_line line, stride = {0};
	const char *comma = "";
	text_print(out, "{\"workers\":[");
	for (size_t at = 0; stat_next(answer, &at, &line);) {
		if (line.name != NULL) {
			stride = line;
			continue;
		}
		if (is_refusal(&line)) return write_refusal(&line, out);
		const char *brace = memchr(line.value, '{', line.value_length);
		if (!begins(&line, "MAP ") || brace == NULL) continue;
		int worker_length = (int)(brace - line.value) - (int)strlen("MAP ") - 1;
		text_print(out, "%s{\"worker\":%.*s,\"stride_pages\":%.*s,\"map\":", comma, worker_length,
				   line.value + strlen("MAP "), (int)stride.value_length, stride.value);
		text_append(out, brace, line.value_length - (size_t)(brace - line.value));
		text_print(out, "}");
		comma = ",";
	}
	text_print(out, "]}\n");
	return JSON_OK;
}
