/* server/log_stderr.h: the log of snugd: lines on standard error, for people or as JSON. */
#ifndef SNUG_SERVER_LOG_STDERR_H
#define SNUG_SERVER_LOG_STDERR_H

#include <snug/log.h>
#include <stdbool.h>
#include <stdint.h>

/* Which level -v stands for: errors and warnings always, what was done from 1 on, details from 2 on. */
snug_log_level log_stderr_level(uint32_t verbosity);

/* A snug_log that writes to standard error, each line by one call, so that threads do not mix theirs. */
snug_log log_stderr_create(uint32_t verbosity, bool as_json);

#endif
