/* http/http_json.h: a client's answer, lines of "STAT name value" and END, as one JSON object: the
 * one that `snugctl --json` prints. Pure. */
#ifndef SNUG_HTTP_HTTP_JSON_H
#define SNUG_HTTP_HTTP_JSON_H

#include "base/text.h"

/* A line of an answer. False: no more. */
struct stat_line {
	const char *name; /* not ended by a NUL; NULL: another line than STAT */
	size_t name_length;
	const char *value; /* or the whole line */
	size_t value_length;
};
bool stat_next(const struct text *answer, size_t *at, struct stat_line *out);

enum json_status { JSON_OK, JSON_WRONG, JSON_FAILED };

/* Appends {"name":value,..}; of a map, {"workers":[{"worker":0,"stride_pages":1,"map":{..}},..]};
 * of a refusal, {"error":"sentence"}, and tells whose fault it is. */
enum json_status json_write_answer(const struct text *answer, struct text *out);
enum json_status json_write_map(const struct text *answer, struct text *out);

void json_write_error(const char *sentence, struct text *out);

#endif
