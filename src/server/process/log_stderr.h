/* server/process/log_stderr.h: the log of snugd: lines on standard error, for people or as JSON. */
#ifndef SNUG_SERVER_LOG_STDERR_H
#define SNUG_SERVER_LOG_STDERR_H

#include <snug/log.h>
#include <stdbool.h>
#include <stdint.h>

/* Which level -v stands for: errors and warnings always, what was done from 1 on, details from 2 on. */
snug_log_level log_stderr_level(uint32_t verbosity);

/* A snug_log that writes to standard error, each line by one call, so that threads do not mix theirs. It is handed lines of all levels and
 * keeps back what the verbosity does not ask for, which may change while threads write; so lines are formatted that nobody sees: they are rare. */
snug_log log_stderr_create(uint32_t verbosity, bool as_json);

/* A line whatever the verbosity is. */
void log_stderr_say(bool as_json, snug_log_level level, const char *line);

/* The process has one standard error, and so one verbosity. Any thread. */
void log_stderr_set_verbosity(uint32_t verbosity);
uint32_t log_stderr_verbosity(void);

#endif
