/* snugd/snugd.c: main. What is wrong is told before anything serves: options, then descriptors, pid
 * file, sockets; only then are privileges dropped and the workers started. Signals come to this
 * thread alone, which waits for them:
 *
 *     SIGINT, SIGTERM   the orderly end, in a thread of its own, so that a second signal is heard:
 *                       it ends the process at once. The same signal often comes twice, from the
 *                       terminal's group and from the parent; within REPEAT_NS it is one
 *     SIGHUP            options and config file are read again; what may change while the workers
 *                       run does (settings_live.h)
 *     SIGUSR1           nothing, if it comes from without: the thread that ends the server wakes us
 *                       with it */
#include "base/log_line.h"
#include "base/number_text.h"
#include "http/http.h"
#include "os/address_space.h"
#include "os/files.h"
#include "server/auth/auth.h"
#include "server/errand/errand.h"
#include "server/operator/operator.h"
#include "server/process/control_socket.h"
#include "server/process/enough_memory.h"
#include "server/process/kept_memory.h"
#include "server/process/listeners.h"
#include "server/process/log_stderr.h"
#include "server/process/pid_file.h"
#include "server/process/port_file.h"
#include "server/process/process.h"
#include "server/process/supervisor.h"
#include "server/server.h"
#include "server/tls/tls.h"

#include <errno.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <pthread.h>
#include <signal.h>
#include <snug/version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define REPEAT_NS 1000000000ull
#define LOG_PATIENCE_NS 1000000000ull /* who reads the log has so long to take what is left */

struct snugd {
	int argument_count;
	char *const *arguments;
	struct settings settings;
	/* as told at the start, before anything was learned, and by reloads since */
	struct settings reread;
	struct text why; /* a sentence about what failed */
	snug_log log;
	struct pid_file pid_file;
	struct listeners listeners;
	snug_memory_file *memory_file; /* NULL: none */
	struct auth *auth;             /* NULL: no authentication */
	struct tls *tls;               /* NULL: nobody speaks TLS */
	struct server *server;
	struct http *http;
	struct operator_door *operators;
	int ready;  /* of the daemon, while its parent waits; -1: nobody does */
	int status; /* with which it ends if it does not start */
	sigset_t signals;
	pthread_t main_thread;
	_Atomic bool is_stopped; /* atomic: the stopping thread sets it, then wakes the main thread */
};

static uint64_t now_ns(void) {
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

/* Large texts go back to the machine when they are freed, and threads that come and go leave no
 * arenas of their own behind. glibc would raise its threshold with each large block that is freed,
 * and keep what is below it. An arena takes 64 MiB of addresses. Before any other thread is. */
static void bound_heap(uint32_t workers) {
#ifdef __GLIBC__
	(void)mallopt(M_MMAP_THRESHOLD, 65536);
	(void)mallopt(M_TRIM_THRESHOLD, 131072);
	(void)mallopt(M_ARENA_MAX, os_addresses_are_limited() ? 1 : (int)workers + 1);
#else
	(void)workers;
#endif
}

/* Each line of a text by itself. */
static void log_lines(const snug_log *log, snug_log_level level, const struct text *text) {
	for (size_t at = 0; at < text->length;) {
		const char *end = memchr(text->bytes + at, '\n', text->length - at);
		size_t length = end != NULL ? (size_t)(end - text->bytes) - at : text->length - at;
		snug_log_line(log, level, "%.*s", (int)length, text->bytes + at);
		at += length + 1;
	}
}

/* ------------------------------------------------------------------ the beginning ------------- */

static void block_signals(struct snugd *snugd) {
	(void)sigemptyset(&snugd->signals);
	const int waited_for[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};
	for (size_t i = 0; i < sizeof waited_for / sizeof waited_for[0]; i++) {
		/* Whoever started us may have had it ignored, as shells do for what runs in their
		 * background. */
		(void)signal(waited_for[i], SIG_DFL);
		(void)sigaddset(&snugd->signals, waited_for[i]);
	}
	(void)signal(SIGPIPE, SIG_IGN);
	(void)pthread_sigmask(SIG_BLOCK, &snugd->signals, NULL);
	snugd->main_thread = pthread_self();
}

/* By this thread, which serves nobody, and after what was logged before. */
static void print_ready(const struct snugd *snugd) {
	struct text line = {0};
	(void)log_stderr_flush(LOG_PATIENCE_NS);
	text_print(&line, "listening on ");
	const char *before = "";
	for (uint32_t i = 0; i < snugd->listeners.count; i++) {
		const struct listener *listener = &snugd->listeners.listener[i];
		/* Where it was not asked for it is no news; the log at -v and `stats settings` tell. */
		if (listener->kind == LISTENER_CONTROL && snugd->reread.control_path[0] == '\0') continue;
		text_print(&line, "%s%s", before, listener->name);
		before = " and ";
	}
	if (*before == '\0') text_print(&line, "nothing");
	text_print(&line, ", %u worker%s, %llu MiB, %s", snugd->settings.threads,
			   snugd->settings.threads > 1 ? "s" : "",
			   (unsigned long long)(snugd->settings.memory_bytes >> 20), snugd->server->io_name);
	text_append(&line, "", 1);
	/* no memory for the names */
	const char *said = line.failed ? "listening on what it was told" : line.bytes;
	if (snugd->settings.log_json)
		log_stderr_say(true, SNUG_LOG_INFO, said);
	else
		fprintf(stderr, "snugd %s: %s\n", snug_version(), said);
	text_deinit(&line);
}

static void learn_port(struct snugd *snugd) {
	for (uint32_t i = 0; i < snugd->listeners.count; i++)
		if (snugd->listeners.listener[i].kind == LISTENER_TCP) {
			snugd->settings.port = snugd->listeners.listener[i].port;
			return;
		}
}

/* Once they are listened to, and by the user that snugd has become. As memcached: a unix socket
 * alone writes none, and a file that cannot be written ends nothing. */
static void tell_ports(struct snugd *snugd) {
	const char *path = getenv(PORT_FILE_VARIABLE);
	bool is_wanted = settings_want_tcp(&snugd->settings) || snugd->settings.socket_path[0] == '\0';
	struct text why = {0};
	if (path != NULL && is_wanted && !port_file_write(path, &snugd->listeners, &why))
		log_lines(&snugd->log, SNUG_LOG_WARNING, &why);
	text_deinit(&why);
}

/* snugd runs without it; who wants it for certain names a path. */
static void open_control(struct snugd *snugd) {
	struct settings *settings = &snugd->settings;
	struct text why = {0};
	if (!control_socket_open(settings, &snugd->listeners, &why))
		snug_log_line(&snugd->log, SNUG_LOG_WARNING,
					  "no control socket: %.*s; name a path with --control", (int)why.length,
					  why.length > 0 ? why.bytes : "");
	text_deinit(&why);
	/* From here on where it is. */
	const struct listener *control = listeners_control(&snugd->listeners);
	(void)snprintf(settings->control_path, sizeof settings->control_path, "%.107s",
				   control != NULL ? control->name : SETTINGS_NO_CONTROL);
	if (control != NULL)
		snug_log_line(&snugd->log, SNUG_LOG_INFO, "control socket: %s", control->name);
}

/* By the user that snugd has become, who must be able to read it again. */
static bool open_auth(struct snugd *snugd) {
	const struct settings *settings = &snugd->settings;
	uint32_t open = listeners_count_open(&snugd->listeners);
	if (settings->auth_file[0] != '\0') {
		if (auth_create(settings->auth_file, &snugd->log, &snugd->auth, &snugd->why)) return true;
		snugd->status = EX_USAGE;
		return false;
	}
	if (open > 0) {
		snug_log_line(&snugd->log, SNUG_LOG_WARNING,
					  "%u address%s can be reached from elsewhere, and there is no authentication: "
					  "--auth-file, or -l",
					  open, open > 1 ? "es" : "");
	}
	return true;
}

/* By the same user, for the same reason. */
static bool open_tls(struct snugd *snugd) {
	const struct settings *settings = &snugd->settings;
	if (!settings->ssl_enabled || tls_create(settings, &snugd->log, &snugd->tls, &snugd->why))
		return true;
	snugd->status = EX_USAGE;
	return false;
}

static void stop_all(struct snugd *snugd) {
	http_stop(snugd->http);
	operator_stop(snugd->operators);
	auth_stop(snugd->auth);
	tls_stop(snugd->tls);
	server_stop(snugd->server);
	http_destroy(snugd->http);
	operator_destroy(snugd->operators);
	server_destroy(snugd->server);
	kept_memory_close(snugd->memory_file, &snugd->log);
	snugd->memory_file = NULL;
	auth_destroy(snugd->auth);
	snugd->auth = NULL;
	tls_destroy(snugd->tls);
	snugd->tls = NULL;
}

/* Digits that the settings have found good; "": the random one stays. */
static snug_error set_hash_secret(const char *digits) {
	unsigned char secret[SNUG_HASH_SECRET_BYTES];
	if (digits[0] == '\0') return SNUG_OK;
	for (size_t i = 0; i < sizeof secret; i++) {
		uint64_t byte = 0;
		(void)number_scan(digits + 2 * i, 2, 16, &byte);
		secret[i] = (unsigned char)byte;
	}
	return snug_hash_secret_set(secret);
}

/* What a memory file holds may turn out not to fit when the workers look at it. */
static snug_error create_server(struct snugd *snugd) {
	snug_memory_file *file = snugd->memory_file;
	snug_error error = server_create(&snugd->settings, &snugd->listeners, snugd->auth, snugd->tls,
									 &snugd->log, file, &snugd->server);
	if (file != NULL && kept_memory_does_not_fit(error) &&
		kept_memory_begin_anew(file, &snugd->log, error))
		error = server_create(&snugd->settings, &snugd->listeners, snugd->auth, snugd->tls,
							  &snugd->log, file, &snugd->server);
	if (error || file == NULL) return error;
	struct kept_figures figures = {
		.attached = atomic_load(&snugd->server->attached_items),
		.recovered = atomic_load(&snugd->server->recovered_items),
		.dropped = atomic_load(&snugd->server->dropped_items),
		.ns = snugd->server->attach_ns,
	};
	kept_memory_say_attached(&figures, &snugd->log);
	return SNUG_OK;
}

static bool start(struct snugd *snugd) {
	struct settings *settings = &snugd->settings;
	struct text *why = &snugd->why;
	if (!process_could_start(settings, why)) return false;
	if (settings->daemonize && !process_daemonize(&snugd->ready, why)) return false;
	if (settings->lock_memory) process_allow_locking();
	if (!pid_file_open(&snugd->pid_file, settings->pid_file, why)) return false;
	if (!listeners_open(settings, &snugd->listeners, why)) return false;
	learn_port(snugd);
	open_control(snugd);
	if (!process_drop_privileges(settings, &snugd->listeners, &snugd->log, why)) return false;
	if (settings->core_dumps) process_allow_core();
	if (settings->lock_memory && !process_lock_memory(why)) {
		log_lines(&snugd->log, SNUG_LOG_WARNING, why);
		why->length = 0;
	}
	if (!log_stderr_start(settings->log_json)) {
		text_print(why, "cannot start the thread that writes the log");
		return false;
	}
	if (!open_auth(snugd) || !open_tls(snugd)) return false;
	snug_error error = set_hash_secret(settings->hash_secret);
	if (!error && !kept_memory_open(settings, &snugd->log, why, &snugd->memory_file)) return false;
	if (!error) error = create_server(snugd);
	if (error != SNUG_OK) {
		text_print(why, "cannot start %u workers with %llu MiB: %s", settings->threads,
				   (unsigned long long)(settings->memory_bytes >> 20), snug_error_text(error));
		return false;
	}
	enum http_start http =
		http_create(snugd->server, &snugd->listeners, &snugd->log, why, &snugd->http);
	if (http != HTTP_STARTED) {
		if (http == HTTP_MISTAKEN) snugd->status = EX_USAGE;
		stop_all(snugd);
		return false;
	}
	if (!operator_create(snugd->server, &snugd->listeners, &snugd->operators)) {
		text_print(why, "%s: cannot be served: no memory, or no thread", settings->control_path);
		stop_all(snugd);
		return false;
	}
	tell_ports(snugd);
	print_ready(snugd);
	process_daemon_ready(&snugd->ready);
	supervisor_tell("READY=1");
	return true;
}

/* ------------------------------------------------------------------ the end ------------------- */

/* Those who were let in stay. */
static void reload_auth(struct snugd *snugd, const snug_log *news) {
	struct text why = {0};
	if (snugd->auth == NULL) return;
	if (auth_reload(snugd->auth, &why))
		snug_log_line(news, SNUG_LOG_INFO, "reload: %u user%s", auth_user_count(snugd->auth),
					  auth_user_count(snugd->auth) == 1 ? "" : "s");
	else
		snug_log_line(&snugd->log, SNUG_LOG_ERROR, "reload: the users stay as they were: %.*s",
					  (int)why.length, why.length > 0 ? why.bytes : "");
	text_deinit(&why);
}

/* Connections keep what they began with. */
static void reload_tls(struct snugd *snugd, const snug_log *news) {
	struct text why = {0};
	if (snugd->tls == NULL) return;
	if (tls_reload(snugd->tls, &why))
		snug_log_line(news, SNUG_LOG_INFO, "reload: certificates: done");
	else
		snug_log_line(&snugd->log, SNUG_LOG_ERROR,
					  "reload: the certificates stay as they were: %.*s", (int)why.length,
					  why.length > 0 ? why.bytes : "");
	text_deinit(&why);
}

/* All or nothing: a config file with a mistake changes nothing. */
static void reload(struct snugd *snugd) {
	struct settings wanted;
	struct text said = {0};
	snug_log news = log_stderr_news(snugd->settings.log_json);
	switch (settings_parse(snugd->argument_count, snugd->arguments, &wanted, &said)) {
	case SETTINGS_RUN:
		settings_live_change(&snugd->server->live, &snugd->reread, &wanted,
							 errand_least_limit_bytes(snugd->server), &news);
		reload_auth(snugd, &news);
		reload_tls(snugd, &news);
		snug_log_line(&news, SNUG_LOG_INFO, "reload: done");
		break;
	case SETTINGS_REFUSE:
	case SETTINGS_TELL:
	case SETTINGS_CHECK:
		snug_log_line(&snugd->log, SNUG_LOG_ERROR, "reload: nothing changed: %.*s",
					  (int)said.length, said.length > 0 ? said.bytes : "");
		break;
	}
	text_deinit(&said);
}

static int wait_for_end(struct snugd *snugd) {
	for (;;) {
		int number = 0;
		if (sigwait(&snugd->signals, &number) != 0) continue;
		if (number == SIGHUP) reload(snugd);
		if (number == SIGINT || number == SIGTERM) return number;
	}
}

static void *stop(void *context) {
	struct snugd *snugd = context;
	stop_all(snugd);
	atomic_store(&snugd->is_stopped, true);
	(void)pthread_kill(snugd->main_thread, SIGUSR1);
	return NULL;
}

static void remove_traces(struct snugd *snugd) {
	listeners_close(&snugd->listeners, &snugd->log);
	pid_file_close(&snugd->pid_file);
}

/* Returns when the server has ended, or not at all. */
static void end(struct snugd *snugd, int first_signal) {
	snug_log_line(&snugd->log, SNUG_LOG_INFO, "stopping: %s", strsignal(first_signal));
	supervisor_tell("STOPPING=1");
	uint64_t began_ns = now_ns();
	pthread_t stopper;
	if (pthread_create(&stopper, NULL, stop, snugd) != 0) {
		stop_all(snugd);
		return;
	}
	while (!atomic_load(&snugd->is_stopped)) {
		int number = 0;
		(void)sigwait(&snugd->signals, &number);
		if ((number == SIGINT || number == SIGTERM) && now_ns() - began_ns > REPEAT_NS) {
			remove_traces(snugd);
			_exit(128 + number);
		}
	}
	(void)pthread_join(stopper, NULL);
}

static int finish(struct snugd *snugd, int status) {
	/* of a start that failed */
	kept_memory_close(snugd->memory_file, &snugd->log);
	auth_destroy(snugd->auth);
	tls_destroy(snugd->tls);
	remove_traces(snugd); /* may have something to say */
	bool is_read = log_stderr_stop(LOG_PATIENCE_NS);
	if (is_read && snugd->why.length > 0) {
		text_append(&snugd->why, "", 1);
		const char *sentence = snugd->why.failed ? "no memory" : snugd->why.bytes;
		if (snugd->log.write != NULL && snugd->settings.log_json)
			snugd->log.write(snugd->log.context, SNUG_LOG_ERROR, sentence);
		else
			fprintf(stderr, "snugd: %s\n", sentence);
	}
	text_deinit(&snugd->why);
	process_daemon_failed(&snugd->ready, status);
	return status;
}

static int tell(struct snugd *snugd) {
	bool is_written = fwrite(snugd->why.bytes, 1, snugd->why.length, stdout) == snugd->why.length &&
					  fflush(stdout) == 0;
	text_deinit(&snugd->why);
	return is_written ? EX_OK : EX_IOERR;
}

/* A limit beyond the machine's memory; nothing where it fits. */
static void say_of_memory(const struct snugd *snugd) {
	struct text why = {0};
	if (!enough_memory_is_there(&snugd->settings, os_read_file, &why))
		log_lines(&snugd->log, SNUG_LOG_WARNING, &why);
	text_deinit(&why);
}

/* What is asked of the machine is asked as for a start. */
static int check(struct snugd *snugd) {
	struct text config = snugd->why;
	snugd->why = (struct text){0};
	bool could_start = process_could_start(&snugd->settings, &snugd->why);
	if (!could_start) {
		text_deinit(&config);
		return finish(snugd, snugd->status);
	}
	snugd->log = log_stderr_create(snugd->settings.verbosity, snugd->settings.log_json);
	say_of_memory(snugd);
	snugd->why = config;
	return tell(snugd);
}

int main(int argument_count, char **arguments) {
	struct snugd snugd = {.pid_file = {.fd = -1},
						  .ready = -1,
						  .status = EX_OSERR,
						  .argument_count = argument_count,
						  .arguments = arguments};
	process_fill_standard();
	switch (settings_parse(argument_count, arguments, &snugd.settings, &snugd.why)) {
	case SETTINGS_TELL:
		return tell(&snugd);
	case SETTINGS_CHECK:
		return check(&snugd);
	case SETTINGS_REFUSE:
		text_print(&snugd.why, "\nTry: snugd --help");
		return finish(&snugd, EX_USAGE);
	case SETTINGS_RUN:
		break;
	}
	snugd.reread = snugd.settings;
	snugd.log = log_stderr_create(snugd.settings.verbosity, snugd.settings.log_json);
	log_lines(&snugd.log, SNUG_LOG_INFO, &snugd.why);
	snugd.why.length = 0;
	say_of_memory(&snugd);
	bound_heap(snugd.settings.threads);
	block_signals(&snugd);
	if (!start(&snugd)) return finish(&snugd, snugd.status);
	end(&snugd, wait_for_end(&snugd));
	snug_log_line(&snugd.log, SNUG_LOG_INFO, "stopped");
	return finish(&snugd, EX_OK);
}
