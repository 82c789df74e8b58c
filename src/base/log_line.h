/* base/log_line.h: how the library's own code writes a line to the caller's log function.
 *
 * The library owns no stream and no level of its own: the caller's snug_log says where lines go and
 * which. A line that is not wanted costs one comparison; it is not even formatted. */
#ifndef SNUG_BASE_LOG_LINE_H
#define SNUG_BASE_LOG_LINE_H

#include <snug/log.h>

#define SNUG_LOG_LINE_BYTES 256 /* with the final NUL; what is longer is cut */

/* Formats and hands on one line; does nothing, not even format, when log->write is NULL or `level`
 * is above log->level. */
__attribute__((format(printf, 3, 4))) void snug_log_line(const snug_log *log, snug_log_level level,
														 const char *format, ...);

#endif
