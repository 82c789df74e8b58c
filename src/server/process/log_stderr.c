/* server/process/log_stderr.c: see log_stderr.h. Plain:
 *
 *     snugd: warning: half of -m 64 is in use by connections
 *
 * without a time, which journals add themselves; as JSON with it:
 *
 *     {"time":"2026-01-31T12:00:00.123Z","level":"warning","message":"..."}
 *
 * The context's being NULL or not tells the form. */
#include "server/process/log_stderr.h"

#include "base/json_text.h"
#include "base/text.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char as_json_mark = 1;
static _Atomic uint32_t verbosity_now; /* atomic: any thread */

static const char *level_name(snug_log_level level) {
	static const char *const names[] = {"error", "warning", "info", "debug"};
	return (size_t)level < sizeof names / sizeof names[0] ? names[level] : "debug";
}

static void print_escaped(struct text *out, const char *line) {
	char part[JSON_PART_BYTES];
	for (size_t left = strlen(line), taken; left > 0; line += taken, left -= taken) {
		taken = json_take_part(line, left, part);
		text_append(out, part, strlen(part));
	}
}

static void print_time(struct text *out) {
	struct timespec now;
	struct tm parts;
	char seconds[32];
	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)gmtime_r(&now.tv_sec, &parts);
	(void)strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &parts);
	text_print(out, "%s.%03ldZ", seconds, now.tv_nsec / 1000000);
}

void log_stderr_say(bool as_json, snug_log_level level, const char *line) {
	struct text out = {0};
	if (!as_json) {
		text_print(&out, "snugd: %s%s%s\n", level <= SNUG_LOG_WARNING ? level_name(level) : "",
				   level <= SNUG_LOG_WARNING ? ": " : "", line);
	} else {
		text_print(&out, "{\"time\":\"");
		print_time(&out);
		text_print(&out, "\",\"level\":\"%s\",\"message\":\"", level_name(level));
		print_escaped(&out, line);
		text_print(&out, "\"}\n");
	}
	/* Nobody can be told when standard error is gone. */
	if (!out.failed) (void)!write(STDERR_FILENO, out.bytes, out.length);
	text_deinit(&out);
}

static void write_line(void *context, snug_log_level level, const char *line) {
	if (level <= log_stderr_level(log_stderr_verbosity())) log_stderr_say(context != NULL, level, line);
}

void log_stderr_set_verbosity(uint32_t verbosity) {
	atomic_store_explicit(&verbosity_now, verbosity, memory_order_relaxed);
}

uint32_t log_stderr_verbosity(void) {
	return atomic_load_explicit(&verbosity_now, memory_order_relaxed);
}

snug_log_level log_stderr_level(uint32_t verbosity) {
	return verbosity == 0 ? SNUG_LOG_WARNING : verbosity == 1 ? SNUG_LOG_INFO : SNUG_LOG_DEBUG;
}

snug_log log_stderr_create(uint32_t verbosity, bool as_json) {
	log_stderr_set_verbosity(verbosity);
	return (snug_log){write_line, as_json ? (void *)(uintptr_t)&as_json_mark : NULL, SNUG_LOG_DEBUG};
}
