/* demo.h: the tour that `make demo` gives. */
#ifndef REPLAY_DEMO_H
#define REPLAY_DEMO_H

#include "options/options.h"

/* Returns the exit status. --live, --seed, --map and --plot are heeded; without --seed it is 1, so
 * that pictures can be made again. */
int demo_run(const struct options *options);

#endif
