/* simulate/world/world.h: the operating system of a simulated server: its threads, its clocks, its
 * sleep and its memory, all in one real thread.
 *
 *     os/threads.h, os/local_time.h    simulated_threads.c    a thread is a stack of its own; one
 *                                                             runs at a time; who is next is chosen
 *     snug_os, malloc, getrandom       simulated_memory.c     refuses by choice; counts what was
 *                                                             not given back
 *     server/io/io.h                   simulated_io.c         over simulated_sockets.h
 *     what is left to chance           choice.h               a seed
 *
 * The server is linked as it is: its workers, channels and coordinator call src/os, and find this
 * instead. So every thread of the server, its creation and its stop are in the simulation, and no
 * line of it knows.
 *
 * A thread gives the processor away where it would sleep, where it wakes another, and, now and
 * then, where it looks at the clock. Between these points it is alone. Time is what the simulation
 * says: it moves with each step, and jumps when all sleep. */
#ifndef SIMULATE_WORLD_H
#define SIMULATE_WORLD_H

#include "simulate/world/choice.h"

#include <stdbool.h>
#include <stdint.h>

/* How adventurous a run is. Per mille of the occasions; 0: never. */
struct world_weather {
	uint32_t preempt;        /* at a look at the clock */
	uint32_t stall;          /* at a step: a thread does not run for a while */
	uint64_t stall_ns;       /* .. at most so long */
	uint32_t wake_early;     /* a sleeper wakes for nothing */
	uint32_t late_close;     /* that a socket is closed is told some time later */
	uint32_t refuse_memory;  /* of malloc, once world_arm was called */
	uint32_t refuse_commit;  /* of snug_os, likewise */
	uint32_t refuse_request; /* batches to an inbox find it full, likewise */
	uint32_t slow_owner;     /* who gets a batch of requests comes to it later */
};

/* Runs `main` as the first thread of a new world, until it returns. */
void world_run(struct choice *choice, const struct world_weather *weather, void (*main)(void *),
			   void *context);

/* From then on what may be refused is refused by choice; disarm ends that. */
void world_arm(void);
void world_disarm(void);
bool world_is_armed(void);
const struct world_weather *world_weather(void);
struct choice *world_choice(void);

/* A count that grows with each event that somebody may tell apart from another: what orders a
 * history. */
uint64_t world_tick(void);
uint64_t world_now_ns(void);
/* The same in seconds: the clock that nobody sets. */
int64_t world_now_s(void);
/* A thread of this name does not run for so long. */
void world_stall(const char *thread_name, uint64_t duration_ns);
/* Sets the clock on the wall, by so much, forward or back. */
void world_shift_wall(int64_t seconds);
/* The longest that a thread was kept from running, in whole seconds, rounded up: how old a look at
 * the clock may be. */
int64_t world_stall_s(void);
/* The threads run on without adventures: no more stalls, preemption, early wakes, refusals. */
void world_calm(void);

/* Blocks the calling thread until is_ready, asked at each step, or the time; true: is_ready. */
bool world_wait(bool (*is_ready)(void *context), void *context, uint64_t timeout_ns);
/* Signals of an event (os/threads.h) that nobody has taken. */
uint64_t world_event_signals(int event);

/* The calling thread's code is the server's, or the test's own: memory is counted and refused for
 * the server alone. Tells what was before. */
bool world_enter_server(bool is_server);
bool world_in_server(void);
/* Blocks that the server has allocated and not freed. */
uint64_t world_blocks(void);
/* Bytes that the system has been given back, so far. */
uint64_t world_returned_bytes(void);
/* pthread_self is that of a worker, for who looks at its shard while it sleeps; NULL: one's own
 * again. */
void world_impersonate(const char *thread_name);

/* The run has failed: says why, and does not return. */
__attribute__((noreturn, format(printf, 1, 2))) void world_fail(const char *format, ...);

/* The simulator's own memory: never refused, never counted. */
void *plain_realloc(void *memory, size_t bytes);
void plain_free(void *memory);

#endif
