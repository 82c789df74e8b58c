/* server/errand/errand.c: which errand a command is; flush_all, refresh_certs, verbosity, shutdown.
 * See server/errand/errand.h.
 *
 *     command               errand
 *     flush_all             visits each worker, which flushes its own shard
 *     verbosity, shutdown   none: done at once
 *     refresh_certs         visits nobody: waits for the thread that reads them (server/tls)
 *     cache_memlimit        errand_memory.c
 *     stats                 errand_stats.c
 *     watch                 server/inspect/inspect_watch.c
 *     snug                  errand_snug.c
 *     lru_crawler           server/inspect/inspect_dump.c
 *     set, SASL of who has not been let in   errand_login.c
 *
 * FLUSH. Each worker reckons the moment by its own clock, which is the one that its items expire
 * by. A date is told by the clock on the wall, so what lies between the two clocks is taken off.
 * Until the last visit some workers have flushed and others have not; the client is answered after
 * it. */
#include "server/errand/errand_parts.h"
#include "server/inspect/inspect.h"
#include "server/process/log_stderr.h"

#include <signal.h>
#include <snug/coordinator.h>
#include <unistd.h>

/* ------------------------------------------------------------------ flush_all -------------- */

struct flush {
	struct errand errand; /* must be the first */
	int64_t delay_s;      /* or a date, if it is more than 30 days */
};

/* memcached counts its start 62 s early, and a flush the second before its date: dates from then on
 * flush. */
#define AGE_AT_START_S 61

/* When: 0 is now. As in memcached a date before the server's start flushes nothing, and takes a
 * delay back that was set before. */
static int64_t flush_time(const struct server_worker *worker, int64_t delay_s) {
	if (delay_s <= 0) return 0;
	if (delay_s <= EXPTIME_RELATIVE_MAX_S) return worker->clock_s + delay_s;
	/* a date is told by the clock on the wall */
	int64_t moment_s = delay_s - (worker->wall_s - worker->clock_s);
	return moment_s <= worker->server->clock.begun_s - AGE_AT_START_S ? SNUG_FLUSH_NEVER : moment_s;
}

static void flush_visit(struct errand *errand, struct server_worker *worker) {
	snug_shard_flush(worker->shard, flush_time(worker, ((struct flush *)(void *)errand)->delay_s));
}

static void answer_ok(struct errand *errand, struct text *out) {
	(void)errand;
	text_say(out, "OK");
}

static struct errand *flush_all(struct server *server, int64_t delay_s, struct text *out) {
	if (atomic_load_explicit(&server->live.no_flush, memory_order_relaxed)) {
		text_say(out, "CLIENT_ERROR flush_all not allowed");
		return NULL;
	}
	struct flush *flush = errand_new(server, sizeof *flush, out);
	if (flush == NULL) return NULL;
	flush->errand.visit = flush_visit;
	flush->errand.answer = answer_ok;
	flush->delay_s = delay_s;
	return &flush->errand;
}

/* ------------------------------------------------------------------ refresh_certs ---------- */

struct refresh_errand {
	struct errand errand; /* must be the first */
	struct tls_refresh refresh;
};

static bool is_refreshed(struct errand *errand) {
	return tls_refresh_is_done(&((struct refresh_errand *)(void *)errand)->refresh);
}

static void answer_refresh(struct errand *errand, struct text *out) {
	const char *why = ((struct refresh_errand *)(void *)errand)->refresh.why;
	if (why[0] == '\0')
		text_say(out, "OK");
	else
		text_print(out, "SERVER_ERROR %s\r\n", why);
}

static struct errand *refresh_certificates(struct server *server, struct text *out) {
	if (server->tls == NULL) {
		text_say(out, "CLIENT_ERROR TLS is not enabled");
		return NULL;
	}
	struct refresh_errand *errand = errand_new(server, sizeof *errand, out);
	if (errand == NULL) return NULL;
	errand->errand.is_ready = is_refreshed;
	errand->errand.answer = answer_refresh;
	tls_refresh_ask(server->tls, &errand->refresh);
	return &errand->errand;
}

/* ------------------------------------------------------------------ which ------------------ */

static struct errand *set_verbosity(uint64_t level, struct text *out) {
	log_stderr_set_verbosity(level > 3 ? 3 : (uint32_t)level);
	text_say(out, "OK");
	return NULL;
}

/* As memcached: no answer; the connection ends with the server. */
static struct errand *shut_down(enum command_shutdown mode, struct text *out) {
	if (mode == SHUTDOWN_UNKNOWN)
		text_say(out, "CLIENT_ERROR invalid shutdown mode");
	else
		(void)kill(getpid(), SIGTERM);
	return NULL;
}

struct errand *errand_command(struct server *server, const struct command *command,
							  struct text *out) {
	switch ((enum command_kind)command->kind) {
	case COMMAND_FLUSH:
		return flush_all(server, command->operation.exptime, out);
	case COMMAND_VERBOSITY:
		return set_verbosity(command->operation.delta, out);
	case COMMAND_MEMLIMIT:
		return errand_memlimit(server, command->operation.delta, out);
	case COMMAND_SHUTDOWN:
		return shut_down((enum command_shutdown)command->operation.delta, out);
	case COMMAND_REFRESH:
		return refresh_certificates(server, out);
	case COMMAND_STATS:
		if (reply_is_binary(&command->reply) && errand_is_dump(command)) break;
		return errand_stats(server, command->text, command->text_bytes, out);
	case COMMAND_CRAWLER:
		return inspect_crawler(server, command->text, command->text_bytes, out);
	case COMMAND_WATCH:
		return inspect_watch(server, command->text, command->text_bytes, out);
	case COMMAND_SNUG:
		return errand_snug(server, command->text, command->text_bytes, out);
	default:
		break;
	}
	text_say(out, "ERROR");
	return NULL;
}

struct errand *errand_begin(struct server_worker *asker, int fd, const struct command *command,
							struct text *out) {
	if (command->kind == COMMAND_FLUSH) asker->connections.flush_commands++;
	if (command->kind == COMMAND_LOGIN) return errand_login(asker, fd, command, out);
	return errand_command(asker->server, command, out);
}
