/* server/process/kept_memory.c: see kept_memory.h. */
#include "server/process/kept_memory.h"

#include "base/log_line.h"
#include "os/memory_segment.h"
#include "server/process/log_stderr.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* ------------------------------------------------------------------ memory that is gone ------- */

#define LAST_LINE_NS UINT64_C(1000000000)

static struct {
	/* atomic, both: any thread may touch what is gone, and be the first */
	_Atomic(const snug_memory_file *) file; /* NULL: none */
	atomic_flag is_told;
	/* constant once the handler is there */
	bool is_watched;
	snug_log news;
	struct sigaction before; /* what handled the signal until then */
} lost = {.is_told = ATOMIC_FLAG_INIT};

static void end_by(int number) {
	(void)signal(number, SIG_DFL);
	(void)raise(number);
}

/* Another mapping's, or sent by a process: as if nobody watched. What an instruction raises ends the
 * process even where the signal is ignored. */
static void hand_on(int number, siginfo_t *info, void *context) {
	const struct sigaction *before = &lost.before;
	bool is_sent = info->si_code <= 0;
	if ((before->sa_flags & SA_SIGINFO) != 0)
		before->sa_sigaction(number, info, context);
	else if (before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN)
		before->sa_handler(number);
	else if (before->sa_handler == SIG_DFL || !is_sent)
		end_by(number);
}

/* Runs in the midst of what has touched the memory. So it formats, allocates and locks nothing: the
 * log's own thread writes the line, and is waited for LAST_LINE_NS at most. What is raised ends the
 * process when the handler returns: to touch the memory again would not, where it has come back. */
static void tell_lost(int number, siginfo_t *info, void *context) {
	const snug_memory_file *file = atomic_load(&lost.file);
	bool is_ours =
		info->si_code == BUS_ADRERR && file != NULL && memory_file_maps(file, info->si_addr);
	if (!is_ours) {
		hand_on(number, info, context);
		return;
	}
	while (atomic_flag_test_and_set(&lost.is_told)) (void)pause(); /* until the first ends all */
	lost.news.write(lost.news.context, SNUG_LOG_ERROR,
					"memory file: a part of it is gone while it is in use: another program has "
					"shortened it, or the system cannot read it; snugd ends by SIGBUS, and the "
					"next one begins anew");
	(void)log_stderr_flush(LAST_LINE_NS);
	end_by(number);
}

/* Once in the process: what was there before is never this one. On the stack for signals, if the thread
 * has one. */
static void watch_for_loss(const snug_memory_file *file, bool as_json) {
	atomic_store(&lost.file, file);
	if (lost.is_watched) return;
	lost.is_watched = true;
	lost.news = log_stderr_news(as_json);
	(void)sigaction(SIGBUS, NULL, &lost.before);
	struct sigaction action = {.sa_sigaction = tell_lost, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	action.sa_mask = lost.before.sa_mask;
	(void)sigaction(SIGBUS, &action, NULL); /* refused for no signal that there is */
}

/* ------------------------------------------------------------------ opened, closed ------------ */

static void say_cold(const snug_log *log, const char *reason) {
	snug_log_line(log, SNUG_LOG_WARNING, "memory file: its items are gone, and all begins anew: %s",
				  reason);
}

/* What the error is called helps only where the reason does not say it. */
static void say_refusal(struct text *why, const char *path, snug_error error, const char *reason) {
	text_print(why, "--memory-file: %s: ", path);
	if (error == SNUG_ERROR_FILE_SYSTEM)
		text_print(why, "%s; --memory-file-on-disk takes a disk", reason);
	else if (error == SNUG_ERROR_FILE && reason[0] != '\0')
		text_print(why, "%s", reason);
	else
		text_print(why, "%s%s%s", snug_error_text(error), reason[0] == '\0' ? "" : ": ", reason);
}

bool kept_memory_open(const struct settings *settings, const snug_log *log, struct text *why,
					  snug_memory_file **out) {
	*out = NULL;
	if (settings->memory_file[0] == '\0') return true;
	char reason[200] = "";
	snug_memory_file_options options = snug_memory_file_options_default();
	options.path = settings->memory_file;
	options.segments = settings->threads;
	options.on_disk = settings->memory_file_on_disk;
	options.start_cold = true;
	options.reason = reason;
	options.reason_bytes = sizeof reason;
	snug_error error = snug_memory_file_create(&options, out);
	if (error) {
		say_refusal(why, settings->memory_file, error, reason);
		return false;
	}
	if (reason[0] != '\0') say_cold(log, reason);
	watch_for_loss(*out, settings->log_json);
	return true;
}

bool kept_memory_room(const struct settings *settings, uint64_t *file_bytes, uint64_t *free_bytes) {
	struct stat file;
	struct statvfs system;
	if (stat(settings->memory_file, &file) != 0 || statvfs(settings->memory_file, &system) != 0)
		return false;
	*file_bytes = (uint64_t)file.st_blocks * 512;
	*free_bytes = (uint64_t)system.f_bavail * system.f_frsize;
	return true;
}

bool kept_memory_does_not_fit(snug_error error) {
	return error == SNUG_ERROR_LAYOUT || error == SNUG_ERROR_CORRUPT || error == SNUG_ERROR_UNCLEAN;
}

void kept_memory_say_attached(const struct kept_figures *figures, const snug_log *log) {
	unsigned long long us = figures->ns / 1000;
	if (figures->recovered + figures->dropped == 0)
		snug_log_line(log, SNUG_LOG_INFO, "memory file: %llu items attached in %llu us",
					  (unsigned long long)figures->attached, us);
	else
		snug_log_line(log, SNUG_LOG_WARNING,
					  "memory file: its process was killed: %llu items recovered, %llu dropped, "
					  "in %llu us",
					  (unsigned long long)figures->recovered, (unsigned long long)figures->dropped,
					  us);
}

bool kept_memory_begin_anew(snug_memory_file *file, const snug_log *log, snug_error error) {
	const char *reason = snug_memory_file_reason(file);
	say_cold(log, reason[0] == '\0' ? snug_error_text(error) : reason);
	return snug_memory_file_discard(file) == SNUG_OK;
}

static void close_watched(snug_memory_file *file, const snug_log *log) {
	snug_error error = snug_memory_file_destroy(file);
	if (!error) {
		snug_log_line(log, SNUG_LOG_INFO, "memory file: kept");
		return;
	}
	snug_log_line(log, SNUG_LOG_WARNING, "memory file: not kept: %s", snug_error_text(error));
	if (snug_memory_file_discard(file) == SNUG_OK) (void)!snug_memory_file_destroy(file);
}

/* What ends it reads and writes its heads, so it is watched until then. Nobody else touches it any
 * more. */
void kept_memory_close(snug_memory_file *file, const snug_log *log) {
	if (file == NULL) return;
	close_watched(file, log);
	atomic_store(&lost.file, NULL);
}
