/* server/process/process.c: see server/process/process.h.
 *
 * DESCRIPTORS. One that is missing shows as a connection that is not served, hours later. So the
 * limit is raised, or the start refused, for all that the settings allow at once:
 *
 *     connections + workers x (io, wake-ups, listeners) + operators x 2 + spare ones
 *
 * USER. Root becomes settings.user, or nobody; who asked for a user gets that one or no server.
 * Unix sockets are given to the user first, for only root can. Without a user of that name, as in a
 * small container, snugd stays root and says so.
 *
 * LOCKED MEMORY. memcached's -k, and as there, what is refused is only told. The heaps give locked
 * memory back as any other (os/linux.c).
 *
 * BACKGROUND. Two forks:
 *
 *     started process ---------------- waits on a pipe ----------> exits 0, or as its child did
 *        '-- leader of a session, exits
 *               '-- the daemon: can get no terminal any more -- serves -- writes one byte
 *
 * So whoever starts a daemon knows, by the exit status, that it serves. Until then its sentences go
 * to the standard error that it was started with. */
#include "server/process/process.h"

#include "base/log_line.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#define SPARE_DESCRIPTORS 64u /* standard ones, log, pid file, libraries */
#define DESCRIPTORS_OF_OPERATORS (OPERATORS_MAX * 2u + 2u) /* each with a wake-up */
/* Its io, its wake-up, its share of the listeners and of the coordinator. */
#define DESCRIPTORS_OF_A_WORKER 8u

void process_fill_standard(void) {
	int fd;
	do fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0) (void)close(fd);
}

bool process_allow_descriptors(const struct settings *settings, struct text *why) {
	rlim_t fixed =
		SPARE_DESCRIPTORS + DESCRIPTORS_OF_OPERATORS +
		settings->threads * (DESCRIPTORS_OF_A_WORKER + (rlim_t)settings->listen.count * 2);
	rlim_t wanted = fixed + settings->connections_max;
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
		text_print(why, "the limit of descriptors is not to be had: %s", strerror(errno));
		return false;
	}
	if (limit.rlim_cur >= wanted) return true;
	struct rlimit raised = {.rlim_cur = wanted,
							.rlim_max = limit.rlim_max < wanted ? wanted : limit.rlim_max};
	if (setrlimit(RLIMIT_NOFILE, &raised) == 0) return true;
	unsigned long long connections = limit.rlim_max > fixed ? limit.rlim_max - fixed : 0;
	text_print(why,
			   "--conn-limit: %u connections need %llu descriptors, and the system allows %llu "
			   "(ulimit -Hn), enough for "
			   "%llu",
			   settings->connections_max, (unsigned long long)wanted,
			   (unsigned long long)limit.rlim_max, connections);
	return false;
}

void process_allow_locking(void) {
	struct rlimit none = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
	(void)setrlimit(RLIMIT_MEMLOCK, &none);
}

/* With a limit, memory that is wanted later would be refused: addresses count, touched or not. It
 * does not bind root. */
bool process_lock_memory(struct text *why) {
	struct rlimit limit;
	bool bound = getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur != RLIM_INFINITY;
	if (bound && geteuid() != 0) {
		text_print(why, "-k: there is a limit of locked memory (ulimit -Hl): nothing is locked");
		return false;
	}
	/* When it is touched: not whole stacks, nor what the heaps have reserved. */
	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0) return true;
	text_print(why, "-k: memory cannot be locked: %s", strerror(errno));
	return false;
}

static bool knows_user(const struct settings *settings, struct text *why) {
	if (settings->user[0] == '\0' || getpwnam(settings->user) != NULL) return true;
	text_print(why, "--user: there is no user '%s'", settings->user);
	return false;
}

bool process_could_start(const struct settings *settings, struct text *why) {
	return process_allow_descriptors(settings, why) && knows_user(settings, why);
}

void process_allow_core(void) {
	struct rlimit limit;
	if (getrlimit(RLIMIT_CORE, &limit) != 0) return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_CORE, &limit);
	/* A change of user takes it away. */
	(void)prctl(PR_SET_DUMPABLE, 1);
}

static bool give_sockets(const struct listeners *listeners, const char *control_group,
						 const struct passwd *user, struct text *why) {
	for (uint32_t i = 0; i < listeners->count; i++) {
		const struct listener *listener = &listeners->listener[i];
		if (listener->kind == LISTENER_TCP || listener->kind == LISTENER_HTTP ||
			listener->is_inherited)
			continue;
		/* The group of the operator's socket, if one was named, stays. */
		bool keeps_group = listener->kind == LISTENER_CONTROL && control_group[0] != '\0';
		if (lchown(listener->name, user->pw_uid, keeps_group ? (gid_t)-1 : user->pw_gid) != 0) {
			text_print(why, "%s: cannot be given to %s: %s", listener->name, user->pw_name,
					   strerror(errno));
			return false;
		}
	}
	return true;
}

static bool become(const struct passwd *user) {
	return initgroups(user->pw_name, user->pw_gid) == 0 && setgid(user->pw_gid) == 0 &&
		   setuid(user->pw_uid) == 0;
}

bool process_drop_privileges(const struct settings *settings, const struct listeners *listeners,
							 const snug_log *log, struct text *why) {
	bool is_asked = settings->user[0] != '\0';
	bool is_root = geteuid() == 0;
	if (!is_asked && !is_root) return true;
	const char *name = is_asked ? settings->user : "nobody";
	if (!knows_user(settings, why)) return false;
	errno = 0;
	const struct passwd *user = getpwnam(name);
	if (user != NULL && user->pw_uid == geteuid()) return true;
	if (!is_root) {
		text_print(why, "--user: only root can become '%s'", name);
		return false;
	}
	if (is_asked && !give_sockets(listeners, settings->control_group, user, why)) return false;
	if (user != NULL && become(user)) {
		snug_log_line(log, SNUG_LOG_INFO, "running as %s", name);
		return true;
	}
	if (is_asked) {
		text_print(why, "--user: cannot become '%s': %s", name, strerror(errno));
		return false;
	}
	/* A container may have no other user than its root, which is none outside. */
	snug_log_line(log, SNUG_LOG_WARNING,
				  "running as root: cannot become nobody; name a user with -u");
	return true;
}

/* The process that was started: ends with the status that the one in the background tells, as one
 * byte, when it is ready or has failed. */
static _Noreturn void wait_for_ready(int ready, pid_t child) {
	char byte;
	ssize_t got;
	do got = read(ready, &byte, 1);
	while (got < 0 && errno == EINTR);
	int status = 0;
	(void)waitpid(child, &status, 0);
	/* What went wrong stands on standard error already. */
	_exit(got == 1 ? byte : EX_OSERR);
}

bool process_daemonize(int *ready, struct text *why) {
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) != 0) {
		text_print(why, "--daemon: no pipe: %s", strerror(errno));
		return false;
	}
	pid_t child = fork();
	if (child > 0) {
		(void)close(ends[1]);
		wait_for_ready(ends[0], child);
	}
	/* The second fork: who is no leader of a session can get no terminal any more. */
	bool is_fine = child == 0 && setsid() >= 0;
	pid_t grandchild = is_fine ? fork() : -1;
	if (grandchild > 0) _exit(EX_OK);
	(void)close(ends[0]);
	if (grandchild < 0 || chdir("/") != 0) {
		text_print(why, "--daemon: %s", strerror(errno));
		(void)close(ends[1]);
		return false;
	}
	*ready = ends[1];
	return true;
}

static void tell_parent(int *ready, int status) {
	const unsigned char byte = (unsigned char)status;
	(void)!write(*ready, &byte, 1);
	(void)close(*ready);
	*ready = -1;
}

void process_daemon_failed(int *ready, int status) {
	if (*ready >= 0) tell_parent(ready, status);
}

void process_daemon_ready(int *ready) {
	if (*ready < 0) return;
	int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (nowhere >= 0) {
		for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) (void)dup2(nowhere, fd);
		if (nowhere > STDERR_FILENO) (void)close(nowhere);
	}
	tell_parent(ready, EX_OK);
}
