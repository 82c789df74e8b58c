/* cache_run.h: `snug-replay --cache`: loads against policies under several limits, as a table or as JSON. */
#ifndef REPLAY_CACHE_RUN_H
#define REPLAY_CACHE_RUN_H

#include "options.h"

/* Returns the program's exit status; messages are on standard error. */
int cache_run(const struct options *options);

/* For --list. */
void cache_list(void);

#endif
