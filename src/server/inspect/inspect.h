/* server/inspect/inspect.h: what lies in the cache, told to who looks after it. The door of this
 * room:
 *
 *     inspect_items.c   `snug items`: commands that store the items anew
 *     inspect_dump.c    `lru_crawler metadump|mgdump`, `stats cachedump`: the items by their keys
 *     inspect_sizes.c   `stats sizes`: how many items there are of each size
 *     inspect_prefixes.c  `stats detail`: operations by prefix
 *     inspect_keys.c    `snug bigkeys`: what takes the memory, by key, prefix, size, time to live
 *     inspect_hot.c     `snug hotkeys`: which keys are asked for most
 *     inspect_watch.c   `watch`
 *     inspect_walk.c    a slice of a walk over one worker's items
 *     inspect_parts.h   what these share
 *
 * Nothing is used by being looked at: no rank changes, and nothing is fetched. Between two slices
 * the workers serve their clients. So what is told is no picture of one moment: each item is as it
 * was at some moment of it. */
#ifndef SNUG_SERVER_INSPECT_H
#define SNUG_SERVER_INSPECT_H

#include "server/visit/visit.h"

/* `words` are those behind `snug`. NULL, here and below: `out` has the answer. */
struct errand *inspect_items(struct server *server, const struct line *words, struct text *out);

struct errand *inspect_keys(struct server *server, const struct line *words, struct text *out);
struct errand *inspect_hot(struct server *server, const struct line *words, struct text *out);

enum dump_form {
	DUMP_META,  /* key=.. exp=.. la=.. */
	DUMP_MG,    /* mg KEY */
	DUMP_CACHE, /* ITEM KEY [BYTES b; DATE s] */
};

/* What stands behind `lru_crawler`. */
struct errand *inspect_crawler(struct server *server, const char *what, size_t length,
							   struct text *out);
/* What stands behind `watch`. */
struct errand *inspect_watch(struct server *server, const char *what, size_t length,
							 struct text *out);
/* `stats sizes` */
struct errand *inspect_sizes(struct server *server, struct text *out);
/* `words` are those behind `stats`, of which the first is detail; cachedump. */
struct errand *inspect_prefixes(struct server *server, const struct line *words, struct text *out);
struct errand *inspect_cachedump(struct server *server, const struct line *words, struct text *out);

#endif
