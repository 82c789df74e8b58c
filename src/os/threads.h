/* os/threads.h: what threads and channels ask of the kernel: threads, sleep on a word, an event in
 * a file descriptor, time.
 *
 * This is internal and apart from snug_os: a user who replaces the memory or the clock of a heap
 * has no reason to replace these. Every function may be called by any thread.
 *
 * Two ways to sleep, because there are two things to sleep for. A word (futex) wakes any number of
 * threads and costs nothing to have; an event is a file descriptor, so that a worker sleeps on its
 * inbox and its sockets in one call. */
#ifndef SNUG_OS_THREADS_H
#define SNUG_OS_THREADS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OS_FOREVER UINT64_MAX /* as a time-out in nanoseconds: none */

/* ------------------------------------------------------------------ time -------------------- */

/* CLOCK_MONOTONIC. */
uint64_t os_now_ns(void);
/* Processor time that the calling thread has used. */
uint64_t os_thread_cpu_ns(void);

/* When a time-out that begins now ends; OS_FOREVER stays OS_FOREVER. */
static inline uint64_t os_deadline_ns(uint64_t timeout_ns) {
	uint64_t now_ns = timeout_ns == OS_FOREVER ? 0 : os_now_ns();
	return timeout_ns >= OS_FOREVER - now_ns ? OS_FOREVER : now_ns + timeout_ns;
}

/* How long it is until then; 0: it has passed. */
static inline uint64_t os_remaining_ns(uint64_t deadline_ns) {
	if (deadline_ns == OS_FOREVER) return OS_FOREVER;
	uint64_t now_ns = os_now_ns();
	return deadline_ns > now_ns ? deadline_ns - now_ns : 0;
}

/* ------------------------------------------------------------------ threads ----------------- */

/* In the caller's memory, which must stay where it is until the join. */
struct os_thread {
	pthread_t id;        /* written by start, read by join */
	void (*run)(void *); /* constant after start */
	void *context;       /* constant after start */
};

/* Signals from outside are blocked in the thread, so that they go to the host's own. False:
 * the OS refused it. */
bool os_thread_start(struct os_thread *thread, void (*run)(void *context), void *context);
void os_thread_join(struct os_thread *thread);

/* Of the calling thread. A name is cut after 15 bytes. False: there is no such processor, or it is
 * not ours. */
void os_thread_set_name(const char *name);
bool os_thread_bind(uint32_t processor);

void os_thread_yield(void);
void os_thread_sleep(uint64_t duration_ns);

/* ------------------------------------------------------------------ sleep on a word --------- */

/* Returns at once if *word is not `value`, else when woken, after timeout_ns, or for no reason: the
 * caller looks again. */
void os_wait_on(const _Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns);
/* Wakes up to `most` threads that wait on the word. */
void os_wake(const _Atomic uint32_t *word, uint32_t most);

/* ------------------------------------------------------------------ event in a descriptor --- */

/* Can be read (poll, epoll) from the first signal until it is taken. -1: the OS refused it. */
int os_event_create(void);
void os_event_destroy(int event);
void os_event_signal(int event);
/* Takes all signals back; tells how many there were. */
uint64_t os_event_take(int event);
/* Waits for a signal and leaves it. False: none came in time, or for no reason. */
bool os_event_wait(int event, uint64_t timeout_ns);

#endif
