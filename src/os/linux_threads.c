/* os/linux_threads.c: os/threads.h on Linux: pthreads, futex, eventfd.
 *
 * Waiting on a word is a futex and no condition variable: who wakes pays one load when nobody
 * waits, and needs no lock. It is a bare futex rather than Concurrency Kit's event count (ck_ec):
 * that one polls with growing pauses where one futex call waits, steals a bit of the count, and is
 * the only part of Concurrency Kit that would have to be linked.
 *
 * An event is an eventfd that never blocks. A wait with a time-out is ppoll, which takes
 * nanoseconds. */
#include "os/threads.h"

#include "base/assert.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SECOND UINT64_C(1000000000)

/* Seconds in a time_t that no one will wait for: a deadline beyond it counts as none. */
#define SECONDS_MAX (UINT64_C(1) << 31)

uint64_t os_now_ns(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

uint64_t os_thread_cpu_ns(void) {
	struct timespec used = {0};
	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * NS_PER_SECOND + (uint64_t)used.tv_nsec;
}

/* NULL, as the kernel wants it, for no limit. */
static const struct timespec *to_timespec(uint64_t duration_ns, struct timespec *out) {
	if (duration_ns / NS_PER_SECOND >= SECONDS_MAX) return NULL;
	out->tv_sec = (time_t)(duration_ns / NS_PER_SECOND);
	out->tv_nsec = (long)(duration_ns % NS_PER_SECOND);
	return out;
}

/* ------------------------------------------------------------------ threads ----------------- */

static void *run_thread(void *argument) {
	struct os_thread *thread = argument;
	thread->run(thread->context);
	return NULL;
}

/* Those that a thread's own instruction raises end the process where they are blocked, whatever the host
 * has a handler for. SIGSYS is of them: a sandbox of the host may answer system calls by it. */
static void all_from_outside(sigset_t *out) {
	static const int raised[] = {SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
	sigfillset(out);
	for (size_t i = 0; i < sizeof raised / sizeof raised[0]; i++) sigdelset(out, raised[i]);
}

bool os_thread_start(struct os_thread *thread, void (*run)(void *context), void *context) {
	thread->run = run;
	thread->context = context;
	sigset_t outside;
	sigset_t before;
	all_from_outside(&outside);
	pthread_sigmask(SIG_SETMASK, &outside, &before); /* inherited */
	int refused = pthread_create(&thread->id, NULL, run_thread, thread);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return refused == 0;
}

void os_thread_join(struct os_thread *thread) {
	int refused = pthread_join(thread->id, NULL);
	SNUG_ASSERT(refused == 0);
	(void)refused;
}

void os_thread_set_name(const char *name) {
	char cut[16];
	snprintf(cut, sizeof cut, "%s", name);
	pthread_setname_np(pthread_self(), cut);
}

bool os_thread_bind(uint32_t processor) {
	if (processor >= CPU_SETSIZE) return false;
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	return pthread_setaffinity_np(pthread_self(), sizeof set, &set) == 0;
}

void os_thread_yield(void) {
	sched_yield();
}

void os_thread_sleep(uint64_t duration_ns) {
	struct timespec duration;
	if (to_timespec(duration_ns, &duration) != NULL) nanosleep(&duration, NULL);
}

/* ------------------------------------------------------------------ sleep on a word --------- */

void os_wait_on(const _Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns) {
	struct timespec duration;
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, to_timespec(timeout_ns, &duration), NULL,
			0);
}

void os_wake(const _Atomic uint32_t *word, uint32_t most) {
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, most > INT32_MAX ? INT32_MAX : (int)most, NULL,
			NULL, 0);
}

/* ------------------------------------------------------------------ event in a descriptor --- */

int os_event_create(void) {
	return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

void os_event_destroy(int event) {
	close(event);
}

/* Refused only if 2^64 - 2 signals were not taken: then it can be read anyway. */
void os_event_signal(int event) {
	uint64_t one = 1;
	ssize_t written;
	do {
		written = write(event, &one, sizeof one);
	} while (written < 0 && errno == EINTR);
}

uint64_t os_event_take(int event) {
	uint64_t signals;
	ssize_t count;
	do {
		count = read(event, &signals, sizeof signals);
	} while (count < 0 && errno == EINTR);
	return count == sizeof signals ? signals : 0;
}

bool os_event_wait(int event, uint64_t timeout_ns) {
	struct pollfd wanted = {.fd = event, .events = POLLIN};
	struct timespec duration;
	return ppoll(&wanted, 1, to_timespec(timeout_ns, &duration), NULL) > 0;
}
