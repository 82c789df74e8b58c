/* caches.h: the door of caches/: `snug-replay --cache`, loads against policies under several
 * limits.
 *
 * caches.c      the table and the JSON
 * cache_grid.h  which loads, policies and limits, and each cell's run
 * cache_load.h  the requests: cache_load.c makes or reads them, load_shapes.c has the built-in
 *               kinds
 * cache_real.h  libsnug's cache itself under a load, each hit verified: one shard, in one thread
 * cache_readers.h   the same over workers, the load dealt among many threads
 * cache_stock.h     what either must hold
 * popularity.h  how often a key is asked for; popularity_meta.c is a table that
 *               derive_popularity.py wrote */
#ifndef REPLAY_CACHES_H
#define REPLAY_CACHES_H

#include "options/options.h"

/* Returns the program's exit status; messages are on standard error. */
int cache_run(const struct options *options);

/* For --list. */
void cache_list(void);

#endif
