/* server/process/kept_memory.h: the memory file (-e): opened before the workers are made, destroyed
 * when they have ended. Once snugd stops in order all items stay in it, for the next one. */
#ifndef SNUG_SERVER_KEPT_MEMORY_H
#define SNUG_SERVER_KEPT_MEMORY_H

#include "server/settings/settings.h"

#include <snug/log.h>
#include <snug/memory_file.h>

/* `*out` is NULL where none is wanted. What does not fit is thrown away, and said. False, with a
 * sentence: the file cannot be had. By the user that snugd has become. From then on a file that
 * another program shortens ends the process by SIGBUS as ever, but the log says why. A SIGBUS of
 * anything else goes to what handled it before. */
bool kept_memory_open(const struct settings *settings, const snug_log *log, struct text *why,
					  snug_memory_file **out);

/* Whether the error of the workers says that they could not take what it holds. */
bool kept_memory_does_not_fit(snug_error error);

/* Says what they have taken: so many items, of which so many were of a process that was killed, and
 * so many dropped then; and how long it took. */
struct kept_figures {
	uint64_t attached;
	uint64_t recovered;
	uint64_t dropped;
	uint64_t ns;
};
void kept_memory_say_attached(const struct kept_figures *figures, const snug_log *log);

/* What the file takes where it lies, and what is free there. False: it is not known. Any thread. */
bool kept_memory_room(const struct settings *settings, uint64_t *file_bytes, uint64_t *free_bytes);

/* They could not take what it holds: thrown away, and said. False: then it cannot be used. */
bool kept_memory_begin_anew(snug_memory_file *file, const snug_log *log, snug_error error);

/* Says whether it was kept. */
void kept_memory_close(snug_memory_file *file, const snug_log *log);

#endif
