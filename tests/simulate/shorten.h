/* simulate/shorten.h: a script that fails, made shorter while it still fails in the same way. */
#ifndef SIMULATE_SHORTEN_H
#define SIMULATE_SHORTEN_H

#include "simulate/apart.h"

/* *script has failed with *outcome; both are what is left of it on return. For so many seconds at
 * most. */
void shorten(struct script *script, struct outcome *outcome, uint64_t seconds);

#endif
