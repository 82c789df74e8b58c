/* json_line.h: a JSON object on one line of standard output, field by field. Texts may hold any
 * bytes. */
#ifndef REPLAY_JSON_LINE_H
#define REPLAY_JSON_LINE_H

#include "replay.h"

struct json_line {
	bool has_field;
};

struct json_line json_begin(void);
void json_text(struct json_line *line, const char *name, const char *text);
void json_count(struct json_line *line, const char *name, uint64_t value);
/* Six digits that count. */
void json_real(struct json_line *line, const char *name, double value);
void json_fixed(struct json_line *line, const char *name, double value, int decimals);
void json_flag(struct json_line *line, const char *name, bool value);
void json_null(struct json_line *line, const char *name);
void json_quantiles(struct json_line *line, const char *name, const struct quantiles *quantiles);
void json_end(struct json_line *line);

#endif
