/* server/process/process.h: what snugd asks of the system about itself: descriptors, core files,
 * another user, the background. The door of this room, whose other files stand between the process
 * and the machine:
 *
 *     process.c          the above
 *     listeners.c        the sockets that snugd accepts on
 *     control_socket.c   where the operator's socket is when nobody says where
 *     port_file.c        a file that says which ports it got
 *     pid_file.c         a file that says that it runs
 *     supervisor.c       what systemd gives, and is told
 *     enough_memory.c    whether the machine has what the limit promises
 *     kept_memory.c      the file that its memory lies in, if that is to outlive it
 *     log_stderr.c       the log: lines on standard error
 *     log_queue.c        lines on their way from any thread to the one that writes them
 *     settings_live.c    the settings that change while it runs
 *
 * The order of a start (snugd/snugd.c). Each step may end it with a sentence:
 *
 *     standard descriptors -> settings -> limit of descriptors -> background -> pid file
 *     -> listeners -> privileges are dropped -> the log's thread -> workers -> HTTP, operators
 *     -> port file, ready
 *
 * What needs root comes before root is given up. A fork comes before any thread. What others wait
 * for comes last: it must be true when they see it. */
#ifndef SNUG_SERVER_PROCESS_H
#define SNUG_SERVER_PROCESS_H

#include "server/process/listeners.h"

#include <snug/log.h>

/* Standard input, output and error that were closed by whoever started us lead nowhere, so that no
 * socket takes their place. */
void process_fill_standard(void);

/* So many descriptors at a time; raises the soft limit, and the hard one if the system lets us.
 * False, with a sentence. */
bool process_allow_descriptors(const struct settings *settings, struct text *why);

/* As much locked memory as there is, if we are root and the system lets us; before the user
 * changes. */
void process_allow_locking(void);
/* What is resident, now and later, stays out of swap. False, with a sentence: it is not locked, and
 * all goes on as without. After the user has changed, and before threads and heaps are made. */
bool process_lock_memory(struct text *why);

/* What can be known of a start before anything is done for it: the descriptors, as above, and that
 * there is such a user. --check-config and the start both ask it. False, with a sentence. */
bool process_could_start(const struct settings *settings, struct text *why);

/* A core file as large as the hard limit allows. */
void process_allow_core(void);

/* Root becomes settings.user, to whom the unix sockets are given, or nobody; who is not root stays
 * who he is. False, with a sentence. */
bool process_drop_privileges(const struct settings *settings, const struct listeners *listeners,
							 const snug_log *log, struct text *why);

/* Goes to the background: returns in the new process, whose `ready` is told once it serves; the
 * process that was started waits for that, and ends with 0, or with what its child ended with.
 * False, with a sentence: no process was to be had. */
bool process_daemonize(int *ready, struct text *why);
/* Standard input, output and error lead nowhere from here on, and the parent ends. `*ready` is -1
 * then; where it is already, nobody waits. */
void process_daemon_ready(int *ready);
/* The parent ends with this status. */
void process_daemon_failed(int *ready, int status);

#endif
