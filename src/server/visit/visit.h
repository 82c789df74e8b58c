/* server/visit/visit.h: what goes from worker to worker: an errand's shape, and what all errands
 * share. The door of this room:
 *
 *     visit_lines.c   their memory, and the lines of their answers
 *     visit_slices.c  how visits share a worker's time
 *     visit_words.c   a word of what was asked as a number, a size, ..
 *
 *     begun -> visit on worker 0 -> visit on worker 1 -> .. -> ready? .. ready? -> answer
 *              each on that worker's own thread               on the asker's thread; destroy
 *
 * Laws    - A worker's own things are looked at on its own thread, by a visit. So nothing of a
 *           shard is locked or atomic for the sake of statistics.
 *         - Visits are one after the other: they write into the same errand.
 *         - No visit takes longer than a slice (some 200 us). What takes longer is cut: a visit
 *           that is not finished is made again, a turn later, until it is. Between two slices the
 *           worker serves its connections, so what the slices look at changes.
 *         - An answer that can be long is told in parts: the next one is made when the asker has
 *           taken the last. So it takes no memory of the server's, and goes at his pace.
 *         - An errand belongs to who asked: a connection, or a thread that is no worker's. While
 *           others look at it, it waits, and nobody frees it. */
#ifndef SNUG_SERVER_VISIT_H
#define SNUG_SERVER_VISIT_H

#include "base/line_text.h"
#include "base/text.h"
#include "server/server.h"

struct errand {
	/* NULL: nobody is visited. A slice of bounded work, some 200 us at most: that worker's
	 * connections wait meanwhile. */
	void (*visit)(struct errand *errand, struct server_worker *worker);
	/* Set by a visit that has not finished with its worker: it is made again, in a later turn of
	 * that worker. */
	bool is_unfinished;
	/* Set by a visit: part of the answer can be told. The visits go on with the same worker when it
	 * was; who answers finds it set. */
	bool has_part;
	/* Asked again and again, some milliseconds apart, until it says true. NULL: at once. */
	bool (*is_ready)(struct errand *errand);
	/* Writes the answer, as the client shall get it. */
	void (*answer)(struct errand *errand, struct text *out);
	/* The connection has gone before it was ready: nobody waits for the answer. It is made ready and
	 * destroyed as ever; whatever it still has to do for the answer alone, it need not. NULL: nothing. */
	void (*forget)(struct errand *errand);
	/* At any time after the last visit: the connection may have gone. */
	void (*destroy)(struct errand *errand);
	struct server *server; /* for all of them */
	bool is_endless;       /* it ends with its connection; has_part is set by each answer */
	bool is_login;         /* the client has `rights` once it is answered, and is `user` */
	bool ends_asker;       /* set by the answer: the connection that asked is to go behind it */
	uint8_t rights;
	uint16_t user;  /* auth_names.h */
	uint64_t asker; /* the connection that asks: client_id (errand_clients.h); 0: none does */
};

/* visit_words.c: a word of what was asked. False: there is no such word, or it is none of
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

/* visit_lines.c: memory for an errand of this size, zeroed, of which struct errand is the first
 * member; freed by errand_free, its destroy. NULL: `out` has the refusal. */
void *errand_new(struct server *server, size_t bytes, struct text *out);
void errand_free(struct errand *errand);

/* visit_slices.c: a visit that is cut in slices asks whether it may do one now, and says when it
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
