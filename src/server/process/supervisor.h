/* server/process/supervisor.h: what systemd gives to whom it starts, and is told by him: listening
 * sockets (sd_listen_fds(3)), and that he is ready (sd_notify(3)). Both are a few bytes of protocol,
 * spoken here without systemd's library. Without systemd there is neither, and nothing is done.
 *
 * A socket that is systemd's stays open over a restart: who connects meanwhile waits in its queue,
 * and is served by the next snugd. */
#ifndef SNUG_SERVER_SUPERVISOR_H
#define SNUG_SERVER_SUPERVISOR_H

#include <stdint.h>

/* Descriptors from SUPERVISOR_FIRST_FD on that were given to this process; from then on no child gets
 * them. Asked once: the variables that tell of them go. */
#define SUPERVISOR_FIRST_FD 3
uint32_t supervisor_sockets(void);

/* "READY=1", "STOPPING=1". It waits for nobody. */
void supervisor_tell(const char *state);

#endif
