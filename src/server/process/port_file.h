/* server/process/port_file.h: a file that says which TCP ports snugd got, for whoever started it
 * with -p -1. The environment variable MEMCACHED_PORT_FILENAME names it, as with memcached. */
#ifndef SNUG_SERVER_PORT_FILE_H
#define SNUG_SERVER_PORT_FILE_H

#include "base/text.h"
#include "server/process/listeners.h"

#define PORT_FILE_VARIABLE "MEMCACHED_PORT_FILENAME"

/* A line for each TCP listener: "TCP INET: 11211" or "TCP INET6: 11211". Written beside the path
 * and renamed, so that nobody reads half of it. Without a TCP listener it is empty. False, with a
 * sentence: it could not be written. */
bool port_file_write(const char *path, const struct listeners *listeners, struct text *why);

#endif
