/* server/process/enough_memory.h: is there as much memory as the limit promises? The machine and
 * the cgroups that snugd runs in are asked. A limit beyond them is no mistake for certain: swap may
 * be there, or the cache may never fill. So it is said, and not refused. */
#ifndef SNUG_SERVER_ENOUGH_MEMORY_H
#define SNUG_SERVER_ENOUGH_MEMORY_H

#include "server/settings/settings.h"

/* What reads a file, as os_read_file (os/files.h); tests give their own. */
typedef bool enough_memory_read(const char *path, char *text, size_t room);

/* What the machine has, or the cgroup, if that is less. UINT64_MAX: not known. Any thread. */
uint64_t enough_memory_bytes(enough_memory_read *read);

/* True: what the settings promise is less than the machine and each cgroup have, or that is not
 * known. False, with a sentence. Any thread. */
bool enough_memory_is_there(const struct settings *settings, enough_memory_read *read,
							struct text *why);

#endif
