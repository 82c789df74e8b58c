/* server/errand/errand_parts.h: what the errands share: the words of a command, an errand's memory,
 * the lines of an answer, and the slices of a worker's time. */
#ifndef SNUG_SERVER_ERRAND_PARTS_H
#define SNUG_SERVER_ERRAND_PARTS_H

#include "base/line_text.h"
#include "server/errand/errand.h"
#include "server/server.h"

/* errand_words.c: a word of what follows `snug`. False: there is no such word, or it is none of
 * that. */
bool words_is(const struct line *words, size_t at, const char *text);
/* Digits alone. */
bool words_number(const struct line *words, size_t at, uint64_t *number);
/* A size, as base/number_text.h says. */
bool words_bytes(const struct line *words, size_t at, uint64_t *bytes);
/* A time of whole seconds, the same. */
bool words_seconds(const struct line *words, size_t at, uint64_t *seconds);
/* Per cent, in millionths, the same. */
bool words_share(const struct line *words, size_t at, uint64_t *ppm);

/* Of what `snug` asks for: those that go to the coordinator (errand_cleanup.c), and those that
 * visit the workers (errand_memory.c). */
struct errand *errand_cleanup(struct server *server, const struct line *words, bool *known,
							  struct text *out);
struct errand *errand_memory(struct server *server, const struct line *words, bool *known,
							 struct text *out);
struct errand *errand_login(struct server_worker *asker, const struct command *command,
							struct text *out);
struct errand *errand_items(struct server *server, const struct line *words, struct text *out);
struct errand *errand_memlimit(struct server *server, uint64_t mebibytes, struct text *out);

/* Memory for an errand of this size, zeroed, of which struct errand is the first member; freed by
 * errand_free, its destroy. NULL: `out` has the refusal. */
void *errand_new(struct server *server, size_t bytes, struct text *out);
void errand_free(struct errand *errand);

/* errand_slices.c: a visit that is cut in slices asks whether it may do one now, and says when it
 * has. All slices of a turn together are bounded; of what `slices` guards, one errand is served at
 * a time (NULL: it needs no guard). False: later, and the errand is marked unfinished. `holds`
 * tells whether the errand had the last slice too: if not, it begins anew. */
#define SLICE_NS UINT64_C(150000)
bool slice_begin(struct slices *slices, struct errand *errand, struct server_worker *worker,
				 bool *holds);
void slice_end(struct slices *slices, struct errand *errand, struct server_worker *worker,
			   bool is_finished);

/* The text without a copy, if nothing is in `out` yet. */
void text_move(struct text *out, struct text *text);

/* "STAT name value" */
void stat_u64(struct text *out, const char *name, uint64_t value);
void stat_ppm(struct text *out, const char *name, double share);
void stat_text(struct text *out, const char *name, const char *value);
void text_say(struct text *out, const char *line);

#endif
