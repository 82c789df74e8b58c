/* snug/log.h: the only way in which the library speaks. Silent unless the caller gives a function,
 * as `log` in the options.
 *
 * `write` takes one line without a newline, and says on which stream or in which file it stands:
 *
 *     static void write_line(void *context, snug_log_level level, const char *line) {
 *         fprintf((FILE *)context, "%d %s\n", (int)level, line);
 *     }
 *
 *     snug_log log = {write_line, stderr, SNUG_LOG_INFO};
 *     if (log.level >= SNUG_LOG_INFO) log.write(log.context, SNUG_LOG_INFO, "a line as the library would write it"); */
#ifndef SNUG_LOG_H
#define SNUG_LOG_H

#include <snug/platform.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum snug_log_level {
	SNUG_LOG_ERROR, /* an invariant is broken */
	SNUG_LOG_WARNING,
	SNUG_LOG_INFO, /* a defragmentation and its result */
	SNUG_LOG_DEBUG /* a size class activated or retired, memory returned */
} snug_log_level;

typedef struct snug_log {
	/* One line without a newline, valid during the call only. Called on the thread that owns the
	 * heap; must not call back into it. NULL: silent. */
	void (*write)(void *context, snug_log_level level, const char *line);
	void *context;
	snug_log_level level; /* lines above this level are not formatted */
} snug_log;

#ifdef __cplusplus
}
#endif
#endif
