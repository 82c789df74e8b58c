/* os/files.h: small files of the kernel, read whole: those below /proc and of cgroups, by which the
 * machine's memory pressure is known. */
#ifndef SNUG_OS_FILES_H
#define SNUG_OS_FILES_H

#include <stdbool.h>
#include <stddef.h>

/* The file's text, up to room - 1 bytes, ended with a NUL. False: it cannot be read, and `text` is
 * as it was. Any thread. */
bool os_read_file(const char *path, char *text, size_t room);

#endif
