/* simulate/apart.h: a run in a process of its own, so that a crash is a finding and not the end. */
#ifndef SIMULATE_APART_H
#define SIMULATE_APART_H

#include "simulate/scenario.h"

#include <stdbool.h>

struct outcome {
	bool is_fine;
	struct scenario_figures figures;         /* if it is */
	char why[400];                           /* else: what was said, in one line */
	char kind[200];                          /* the same without what differs from run to run */
	uint32_t said[CLIENTS_MAX][BATCHES_MAX]; /* the commands that the run came to */
};

void run_apart(const struct script *script, struct outcome *out);
/* Prints what clients say and do in it, and how it ends. */
void tell_apart(const struct script *script);

#endif
