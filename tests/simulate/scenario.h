/* simulate/scenario.h: one run of a simulated server: how many workers, how much memory, which
 * clients, what weather: all from one script. */
#ifndef SIMULATE_SCENARIO_H
#define SIMULATE_SCENARIO_H

#include "simulate/clients/script.h"

struct scenario_figures {
	uint64_t answers;
	uint64_t direct_reads; /* of other workers' items, without a message */
	uint64_t trace;        /* of all that was said, and when */
	bool has_tls;          /* a library is in it that the simulation is not linked around */
	uint64_t now_ns;
};

/* Once in a process. Returns only if nothing was wrong (world_fail). */
void scenario_run(const struct script *script, bool is_told, struct scenario_figures *out);

#endif
