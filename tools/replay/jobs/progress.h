/* progress.h: one line on standard error while a job runs. */
#ifndef REPLAY_PROGRESS_H
#define REPLAY_PROGRESS_H

#include "replay.h"

struct progress_line {
	bool terminal;
	uint64_t period_ns;
	uint64_t next_ns; /* not before */
};

struct progress_line progress_begin(void);
/* When it is time: rewrites the line ten times a second on a terminal; elsewhere prints one a
 * second. */
void progress_show(struct progress_line *line, struct shared *shared);
/* Takes the line away. */
void progress_end(const struct progress_line *line);

#endif
