/* server/process/log_stderr.c: see server/process/log_stderr.h. Plain:
 *
 *     snugd: warning: half of -m 64 is in use by connections
 *
 * without a time, which journals add themselves; as JSON with it:
 *
 *     {"time":"2026-01-31T12:00:00.123Z","level":"warning","message":"..."}
 *
 * The context's being NULL or not tells the form.
 *
 *     any thread -> verbosity -> queue -> the writer's thread -> standard error
 *
 * Laws    - No thread but the writer's waits for whoever reads the log.
 *         - Lines come in the order of their places in the queue, each by one call.
 *         - Lines that found no room are counted, and the gap is told where it is.
 *
 * The process has one standard error, so the writer and the verbosity are globals.
 *
 * SLEEP AND WAKE, as in work/channel/channel.c: the writer says that it sleeps, then looks once
 * more; whoever puts a line looks then whether it sleeps. Between the two steps of each side lies a
 * full fence. Waking is a system call that does not wait.
 *
 * Rejected: O_NONBLOCK in place of a thread. It belongs to the open file, which we share with
 * whoever started us: a shell, a service manager, other programs on the same terminal. A second
 * opening (/proc/self/fd/2) is not always allowed, and sockets cannot be opened again at all. */
#include "server/process/log_stderr.h"

#include "base/json_text.h"
#include "base/text.h"
#include "os/threads.h"
#include "server/process/log_queue.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FLUSH_PAUSE_NS 1000000u

static const char as_json_mark = 1;
static _Atomic uint32_t verbosity_now; /* atomic: any thread */

enum writer_state { WRITER_AWAKE, WRITER_ASLEEP };

/* The process has one standard error. */
static struct {
	struct log_queue queue;
	struct os_thread thread;
	bool as_json;             /* constant while it runs */
	_Atomic bool is_running;  /* atomic: start and stop write; lines go into the queue */
	_Atomic bool is_ending;   /* atomic: stop sets it */
	_Atomic bool has_ended;   /* atomic: the writer's, the last that it does */
	_Atomic uint32_t state;   /* atomic: enum writer_state */
	_Atomic uint32_t written; /* atomic: the writer's; lines of the queue that are out */
} writer;

/* ------------------------------------------------------------------ a line ----------------- */

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

static void print_time(struct text *out, const struct timespec *at) {
	struct tm parts;
	char seconds[32];
	(void)gmtime_r(&at->tv_sec, &parts);
	(void)strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &parts);
	text_print(out, "%s.%03ldZ", seconds, at->tv_nsec / 1000000);
}

/* As long as it takes. Nobody can be told when standard error is gone. */
static void write_out(const char *bytes, size_t length) {
	while (length > 0) {
		ssize_t written = write(STDERR_FILENO, bytes, length);
		if (written >= 0) {
			bytes += written;
			length -= (size_t)written;
		} else if (errno == EAGAIN) {
			struct pollfd wait = {.fd = STDERR_FILENO, .events = POLLOUT};
			if (poll(&wait, 1, -1) < 0 && errno != EINTR) return;
		} else if (errno != EINTR) {
			return;
		}
	}
}

static void say_at(bool as_json, const struct timespec *at, snug_log_level level,
				   const char *line) {
	struct text out = {0};
	if (!as_json) {
		text_print(&out, "snugd: %s%s%s\n", level <= SNUG_LOG_WARNING ? level_name(level) : "",
				   level <= SNUG_LOG_WARNING ? ": " : "", line);
	} else {
		text_print(&out, "{\"time\":\"");
		print_time(&out, at);
		text_print(&out, "\",\"level\":\"%s\",\"message\":\"", level_name(level));
		print_escaped(&out, line);
		text_print(&out, "\"}\n");
	}
	if (!out.failed) write_out(out.bytes, out.length);
	text_deinit(&out);
}

void log_stderr_say(bool as_json, snug_log_level level, const char *line) {
	struct timespec now;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	say_at(as_json, &now, level, line);
}

/* ------------------------------------------------------------------ the writer's thread ---- */

/* The gap is told where it is. */
static void tell_dropped(uint64_t *told, uint64_t dropped) {
	char line[128];
	if (dropped == *told) return;
	(void)snprintf(line, sizeof line,
				   "%llu lines of this log were dropped: it was not read fast enough",
				   (unsigned long long)(dropped - *told));
	*told = dropped;
	log_stderr_say(writer.as_json, SNUG_LOG_WARNING, line);
}

static void write_entry(const struct log_entry *entry, uint64_t *told) {
	/* Two writers may see the counter in another order than their slots have. */
	if (entry->dropped_before > *told) tell_dropped(told, entry->dropped_before);
	say_at(writer.as_json, &entry->at, entry->level, entry->line);
	atomic_fetch_add_explicit(&writer.written, 1, memory_order_release);
}

static void run_writer(void *context) {
	struct log_entry entry;
	uint64_t told = 0;
	(void)context;
	os_thread_set_name("snugd-log");
	for (;;) {
		bool is_ending = atomic_load_explicit(&writer.is_ending, memory_order_acquire);
		while (log_queue_take(&writer.queue, &entry)) write_entry(&entry, &told);
		tell_dropped(&told, log_queue_dropped(&writer.queue));
		if (is_ending) break;
		atomic_store_explicit(&writer.state, WRITER_ASLEEP, memory_order_relaxed);
		atomic_thread_fence(memory_order_seq_cst);
		if (!log_queue_has(&writer.queue) &&
			!atomic_load_explicit(&writer.is_ending, memory_order_relaxed))
			os_wait_on(&writer.state, WRITER_ASLEEP, OS_FOREVER);
		atomic_store_explicit(&writer.state, WRITER_AWAKE, memory_order_relaxed);
	}
	atomic_store_explicit(&writer.has_ended, true, memory_order_release);
}

static void wake_writer(void) {
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&writer.state, memory_order_relaxed) != WRITER_ASLEEP) return;
	if (atomic_exchange_explicit(&writer.state, WRITER_AWAKE, memory_order_relaxed) ==
		WRITER_ASLEEP)
		os_wake(&writer.state, 1);
}

bool log_stderr_start(bool as_json) {
	log_queue_init(&writer.queue);
	writer.as_json = as_json;
	atomic_store(&writer.is_ending, false);
	atomic_store(&writer.has_ended, false);
	atomic_store(&writer.state, WRITER_AWAKE);
	atomic_store(&writer.written, 0);
	if (!os_thread_start(&writer.thread, run_writer, NULL)) return false;
	atomic_store_explicit(&writer.is_running, true, memory_order_release);
	return true;
}

bool log_stderr_flush(uint64_t patience_ns) {
	if (!atomic_load_explicit(&writer.is_running, memory_order_acquire)) return true;
	uint64_t deadline_ns = os_deadline_ns(patience_ns);
	uint32_t wanted = atomic_load_explicit(&writer.queue.claimed, memory_order_acquire);
	while ((int32_t)(atomic_load_explicit(&writer.written, memory_order_acquire) - wanted) < 0) {
		if (os_remaining_ns(deadline_ns) == 0) return false;
		os_thread_sleep(FLUSH_PAUSE_NS);
	}
	return true;
}

bool log_stderr_stop(uint64_t patience_ns) {
	if (!atomic_load_explicit(&writer.is_running, memory_order_acquire)) return true;
	uint64_t deadline_ns = os_deadline_ns(patience_ns);
	if (!log_stderr_flush(patience_ns)) return false;
	atomic_store_explicit(&writer.is_ending, true, memory_order_release);
	wake_writer();
	while (!atomic_load_explicit(&writer.has_ended, memory_order_acquire)) {
		if (os_remaining_ns(deadline_ns) == 0)
			return false; /* it is in the midst of a line, maybe that of what was dropped */
		os_thread_sleep(FLUSH_PAUSE_NS);
	}
	atomic_store_explicit(&writer.is_running, false, memory_order_release);
	os_thread_join(&writer.thread);
	return true;
}

uint64_t log_stderr_dropped(void) {
	return log_queue_dropped(&writer.queue);
}

uint64_t log_stderr_bytes(void) {
	return sizeof writer.queue;
}

/* ------------------------------------------------------------------ the snug_log ----------- */

static void write_news(void *context, snug_log_level level, const char *line) {
	if (!atomic_load_explicit(&writer.is_running, memory_order_acquire)) {
		log_stderr_say(context != NULL, level, line);
	} else if (log_queue_put(&writer.queue, level, line)) {
		wake_writer();
	}
}

/* What -v stands for: errors and warnings always, what was done from 1 on, details from 2 on. */
static snug_log_level level_of(uint32_t verbosity) {
	return verbosity == 0 ? SNUG_LOG_WARNING : verbosity == 1 ? SNUG_LOG_INFO : SNUG_LOG_DEBUG;
}

static void write_line(void *context, snug_log_level level, const char *line) {
	if (level <= level_of(log_stderr_verbosity())) write_news(context, level, line);
}

void log_stderr_set_verbosity(uint32_t verbosity) {
	atomic_store_explicit(&verbosity_now, verbosity, memory_order_relaxed);
}

uint32_t log_stderr_verbosity(void) {
	return atomic_load_explicit(&verbosity_now, memory_order_relaxed);
}

snug_log log_stderr_create(uint32_t verbosity, bool as_json) {
	log_stderr_set_verbosity(verbosity);
	return (snug_log){write_line, as_json ? (void *)(uintptr_t)&as_json_mark : NULL,
					  SNUG_LOG_DEBUG};
}

snug_log log_stderr_news(bool as_json) {
	return (snug_log){write_news, as_json ? (void *)(uintptr_t)&as_json_mark : NULL, SNUG_LOG_INFO};
}
