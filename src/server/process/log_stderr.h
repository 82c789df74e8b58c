/* server/process/log_stderr.h: the log of snugd: lines on standard error, for people or as JSON.
 *
 * Standard error may be a pipe whose reader has stopped reading; a write to it then waits without
 * end. So from log_stderr_start on a thread of the log's own writes, and all others only put their
 * lines into a queue (log_queue.h), which never waits. Before, lines are written at once. */
#ifndef SNUG_SERVER_LOG_STDERR_H
#define SNUG_SERVER_LOG_STDERR_H

#include <snug/log.h>
#include <stdbool.h>
#include <stdint.h>

/* A snug_log that writes to standard error, each line by one call, so that threads do not mix
 * theirs. It is handed lines of all levels and keeps back what the verbosity does not ask for,
 * which may change while threads write; so lines are formatted that nobody sees: they are rare. */
snug_log log_stderr_create(uint32_t verbosity, bool as_json);

/* The same, but the verbosity keeps nothing back: for answers to the operator, who has just asked
 * by a signal. */
snug_log log_stderr_news(bool as_json);

/* A line whatever the verbosity is, written by the caller: it may wait. */
void log_stderr_say(bool as_json, snug_log_level level, const char *line);

/* The thread that writes. After the last fork, before threads that must not wait. False: the OS has
 * no thread; lines are written as before. */
bool log_stderr_start(bool as_json);
/* Whether all lines that were put so far are written, after `patience_ns` at most. */
bool log_stderr_flush(uint64_t patience_ns);
/* Flushes; then lines are written at once again, as before the start. False: who reads the log does
 * not; the thread stays, and lines that come from now on are not written. */
bool log_stderr_stop(uint64_t patience_ns);
/* Lines that found no room since the start. Any thread. */
uint64_t log_stderr_dropped(void);
/* What the lines that are not written yet may take: memory of the process, from its start. */
uint64_t log_stderr_bytes(void);

/* The process has one standard error, and so one verbosity. Any thread. */
void log_stderr_set_verbosity(uint32_t verbosity);
uint32_t log_stderr_verbosity(void);

#endif
