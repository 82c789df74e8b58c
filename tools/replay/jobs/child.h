/* child.h: runs a job in a process of its own. */
#ifndef REPLAY_CHILD_H
#define REPLAY_CHILD_H

#include "replay.h"

/* The hidden first argument of a child; the second is the number of the open file that holds the
 * shared mapping. */
#define CHILD_ARGUMENT "--run-child"

/* Runs the job, showing progress unless `quiet`. `*out` tells how it ended; false only when no
 * process could be started, with a message on standard error. */
bool child_run(const struct job *job, bool quiet, struct outcome *out);

/* What the child's main does. */
int child_main(const char *file_number);

#endif
