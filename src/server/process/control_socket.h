/* server/process/control_socket.h: where the operator's socket is when nobody says where. */
#ifndef SNUG_SERVER_CONTROL_SOCKET_H
#define SNUG_SERVER_CONTROL_SOCKET_H

#include "server/process/listeners.h"

/* Opens it at the default path, unless a path was given, or none is wanted; then that is so
 * already. False: it cannot be had; the sentence says why, and snugd runs without. */
bool control_socket_open(const struct settings *settings, struct listeners *listeners,
						 struct text *why);

#endif
