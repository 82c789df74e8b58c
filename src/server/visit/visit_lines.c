/* server/visit/visit_lines.c: what all errands share: their memory, and the lines of their
 * answers. See server/visit/visit.h. An answer is lines of "STAT name value" and END, as
 * memcached's are, so whoever reads those reads these. */
#include "server/visit/visit.h"

#include <stdlib.h>
#include <string.h>

void text_say(struct text *out, const char *line) {
	text_append(out, line, strlen(line));
	text_append(out, "\r\n", 2);
}

void stat_u64(struct text *out, const char *name, uint64_t value) {
	text_print(out, "STAT %s %llu\r\n", name, (unsigned long long)value);
}

/* A share, as a fraction with six digits. */
void stat_ppm(struct text *out, const char *name, double share) {
	text_print(out, "STAT %s %.6f\r\n", name, share);
}

void stat_text(struct text *out, const char *name, const char *value) {
	text_print(out, "STAT %s %s\r\n", name, value);
}

void text_move(struct text *out, struct text *text) {
	if (out->length > 0) {
		text_append(out, text->bytes, text->length);
		out->failed |= text->failed;
		text_deinit(text);
		return;
	}
	bool failed = out->failed;
	text_deinit(out);
	*out = *text;
	out->failed |= failed;
	*text = (struct text){0};
}

void errand_free(struct errand *errand) {
	free(errand);
}

void *errand_new(struct server *server, size_t bytes, struct text *out) {
	struct errand *errand = calloc(1, bytes);
	if (errand == NULL) {
		text_say(out, "SERVER_ERROR out of memory");
		return NULL;
	}
	errand->server = server;
	errand->destroy = errand_free;
	return errand;
}
