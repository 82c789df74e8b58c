/* server/process/process.h: what snugd asks of the system about itself: descriptors, core files, another user, the background. */
#ifndef SNUG_SERVER_PROCESS_H
#define SNUG_SERVER_PROCESS_H

#include "server/process/listeners.h"

#include <snug/log.h>

/* Standard input, output and error that were closed by whoever started us lead nowhere, so that no socket takes their place. */
void process_fill_standard(void);

/* So many descriptors at a time; raises the soft limit, and the hard one if the system lets us. False, with a sentence. */
bool process_allow_descriptors(const struct settings *settings, struct text *why);

/* A core file as large as the hard limit allows. */
void process_allow_core(void);

/* Root becomes settings.user, to whom the unix sockets are given, or nobody; who is not root stays who he is. False, with a sentence. */
bool process_drop_privileges(const struct settings *settings, const struct listeners *listeners, const snug_log *log,
							 struct text *why);

/* Goes to the background: returns in the new process, whose `ready` is told once it serves; the process that was started waits for that, and ends
 * with 0, or with what its child ended with. False, with a sentence: no process was to be had. */
bool process_daemonize(int *ready, struct text *why);
/* Standard input, output and error lead nowhere from here on, and the parent ends. `*ready` is -1 then; where it is already, nobody waits. */
void process_daemon_ready(int *ready);
/* The parent ends with this status. */
void process_daemon_failed(int *ready, int status);

#endif
