/* simulate/world/simulated_threads.c: os/threads.h and os/local_time.h for a world of one real
 * thread. See simulate/world/world.h.
 *
 *     home: the scheduler  --choose--> thread 0 (the test)      each on a stack of its own (ucontext)
 *                                      thread 1 (a worker)      runs until it waits, yields or is
 *                                                               preempted: then home again
 *
 * A sleep on a word ends by os_wake alone, as a futex's does, and never because the word has
 * changed: so a wake that the server forgets is a thread that sleeps for ever, and when all do, the
 * run has failed. */
#include "os/threads.h"

#include "os/local_time.h"
#include "simulate/world/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#define THREADS_MAX 16u
#define EVENTS_MAX 64u
#define EVENT_FIRST 500000 /* far above real descriptors */
#define STACK_BYTES ((size_t)1 << 20)
#define STEPS_MAX 20000000u
#define CLOCK_LOOK_NS 60u
#define WALL_BEGIN_S INT64_C(1900000000)
#define NS_PER_S UINT64_C(1000000000)

struct thread {
	ucontext_t context;
	char *stack;
	void (*run)(void *);
	void *argument;
	bool is_used;
	bool is_over;
	bool is_waiting;
	bool is_woken; /* by os_wake */
	bool is_server;
	const _Atomic uint32_t *word; /* slept on; NULL: none */
	bool (*is_ready)(void *);
	void *ready_context;
	uint64_t deadline_ns;
	uint64_t stalled_until_ns;
	char name[16];
	void *sanitizer; /* ASan's fake stack, TSan's fiber */
};

static struct {
	struct choice *choice;
	struct world_weather weather;
	ucontext_t home;
	void *home_sanitizer;
	const void *home_stack;
	size_t home_stack_bytes;
	struct thread threads[THREADS_MAX];
	struct thread *current;
	const struct thread *impersonated;
	uint64_t now_ns;
	uint64_t tick;
	uint64_t longest_stall_ns;
	int64_t wall_shift_s;
	bool is_armed;
	struct {
		bool is_used;
		uint64_t signals;
	} events[EVENTS_MAX];
} world;

/* ------------------------------------------------------------------ change of stacks ------- */

/* Each change of stacks is told to the sanitizer that is there. */
static void leave_home(struct thread *to) {
#ifdef WITH_ASAN
	__sanitizer_start_switch_fiber(&world.home_sanitizer, to->stack, STACK_BYTES);
#endif
	world.current = to;
	swapcontext(&world.home, &to->context);
#ifdef WITH_ASAN
	__sanitizer_finish_switch_fiber(world.home_sanitizer, NULL, NULL);
#endif
	world.current = NULL;
}

static void go_home(struct thread *from, bool for_ever) {
#ifdef WITH_ASAN
	__sanitizer_start_switch_fiber(for_ever ? NULL : &from->sanitizer, world.home_stack,
								   world.home_stack_bytes);
#endif
	(void)for_ever;
	swapcontext(&from->context, &world.home);
#ifdef WITH_ASAN
	__sanitizer_finish_switch_fiber(from->sanitizer, &world.home_stack, &world.home_stack_bytes);
#endif
}

static void enter(void) {
#ifdef WITH_ASAN
	__sanitizer_finish_switch_fiber(NULL, &world.home_stack, &world.home_stack_bytes);
#endif
	struct thread *thread = world.current;
	thread->run(thread->argument);
	thread->is_over = true;
	go_home(thread, true);
}

/* Apart from its caller, whose variables getcontext, which may return twice, would put in doubt. */
static void prepare(struct thread *thread) {
	getcontext(&thread->context);
	thread->context.uc_stack.ss_sp = thread->stack;
	thread->context.uc_stack.ss_size = STACK_BYTES;
	thread->context.uc_link = NULL;
	makecontext(&thread->context, enter, 0);
}

static struct thread *unused_thread(void) {
	for (uint32_t i = 0; i < THREADS_MAX; i++)
		if (!world.threads[i].is_used) return &world.threads[i];
	return NULL;
}

static struct thread *begin(void (*run)(void *), void *argument) {
	struct thread *const thread = unused_thread();
	if (thread == NULL) return NULL;
	*thread = (struct thread){.run = run, .argument = argument, .is_used = true, .is_server = true};
	thread->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
						 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (thread->stack == MAP_FAILED) world_fail("no memory for a stack");
	prepare(thread);
	return thread;
}

static void end(struct thread *thread) {
#ifdef WITH_ASAN
	__asan_unpoison_memory_region(thread->stack, STACK_BYTES);
#endif
	munmap(thread->stack, STACK_BYTES);
	thread->is_used = false;
}

/* ------------------------------------------------------------------ who is next ------------ */

/* What it sleeps for has come. */
static bool is_called(const struct thread *thread) {
	if (!thread->is_waiting || thread->is_woken || thread->deadline_ns <= world.now_ns) return true;
	return thread->is_ready != NULL && thread->is_ready(thread->ready_context);
}

static bool may_run(const struct thread *thread) {
	return thread->is_used && !thread->is_over && thread->stalled_until_ns <= world.now_ns &&
		   is_called(thread);
}

/* None can run: until the first of them has slept enough, or its stall is over. */
static void skip_time(void) {
	uint64_t next_ns = UINT64_MAX;
	for (uint32_t i = 0; i < THREADS_MAX; i++) {
		const struct thread *thread = &world.threads[i];
		if (!thread->is_used || thread->is_over) continue;
		uint64_t at_ns = is_called(thread) ? 0 : thread->deadline_ns;
		if (at_ns < thread->stalled_until_ns) at_ns = thread->stalled_until_ns;
		if (at_ns < next_ns) next_ns = at_ns;
	}
	if (next_ns == UINT64_MAX) world_fail("all threads sleep, and nothing will wake any of them");
	if (next_ns > world.now_ns) world.now_ns = next_ns;
}

static struct thread *next_thread(void) {
	struct thread *ready[THREADS_MAX];
	for (;;) {
		uint64_t count = 0;
		for (uint32_t i = 0; i < THREADS_MAX; i++) {
			struct thread *thread = &world.threads[i];
			bool for_nothing = thread->is_used && !thread->is_over && thread->is_waiting &&
							   chance(world.choice, world.weather.wake_early);
			if (may_run(thread) || for_nothing) ready[count++] = thread;
		}
		if (count > 0) return ready[choose(world.choice, count)];
		skip_time();
	}
}

static void stall(struct thread *thread, uint64_t duration_ns) {
	if (duration_ns > world.longest_stall_ns) world.longest_stall_ns = duration_ns;
	thread->stalled_until_ns = world.now_ns + duration_ns;
}

/* The first thread is the test's own. */
static void maybe_stall(struct thread *thread) {
	if (thread == &world.threads[0] || !chance(world.choice, world.weather.stall)) return;
	stall(thread, 1 + choose(world.choice, world.weather.stall_ns));
}

void world_run(struct choice *choice, const struct world_weather *weather, void (*main)(void *),
			   void *context) {
	memset(&world, 0, sizeof world);
	world.choice = choice;
	world.weather = *weather;
	world.now_ns = NS_PER_S;
	struct thread *first = begin(main, context);
	first->is_server = false;
	for (uint64_t step = 0; !first->is_over; step++) {
		if (step == STEPS_MAX) world_fail("the run does not end");
		struct thread *thread = next_thread();
		maybe_stall(thread);
		if (thread->stalled_until_ns > world.now_ns) continue;
		world.now_ns += 100 + choose(choice, 2000);
		world.tick++;
		thread->is_waiting = false;
		leave_home(thread);
	}
	end(first);
}

/* ------------------------------------------------------------------ the world -------------- */

void world_arm(void) {
	world.is_armed = true;
}

void world_disarm(void) {
	world.is_armed = false;
}

bool world_is_armed(void) {
	return world.is_armed;
}

void world_calm(void) {
	world.weather = (struct world_weather){0};
	for (uint32_t i = 0; i < THREADS_MAX; i++) world.threads[i].stalled_until_ns = 0;
}

const struct world_weather *world_weather(void) {
	return &world.weather;
}

struct choice *world_choice(void) {
	return world.choice;
}

uint64_t world_tick(void) {
	return ++world.tick;
}

uint64_t world_now_ns(void) {
	return world.now_ns;
}

int64_t world_now_s(void) {
	return (int64_t)(world.now_ns / NS_PER_S);
}

void world_shift_wall(int64_t seconds) {
	world.wall_shift_s += seconds;
}

int64_t world_stall_s(void) {
	return (int64_t)((world.longest_stall_ns + NS_PER_S - 1) / NS_PER_S);
}

bool world_enter_server(bool is_server) {
	bool before = world.current->is_server;
	world.current->is_server = is_server;
	return before;
}

bool world_in_server(void) {
	return world.current != NULL && world.current->is_server;
}

static struct thread *thread_of(const char *name) {
	for (uint32_t i = 0; i < THREADS_MAX; i++)
		if (world.threads[i].is_used && strcmp(world.threads[i].name, name) == 0)
			return &world.threads[i];
	return NULL;
}

void world_impersonate(const char *thread_name) {
	world.impersonated = thread_name == NULL ? NULL : thread_of(thread_name);
}

void world_stall(const char *thread_name, uint64_t duration_ns) {
	struct thread *thread = thread_of(thread_name);
	if (thread != NULL) stall(thread, duration_ns);
}

void world_fail(const char *format, ...) {
	va_list arguments;
	va_start(arguments, format);
	fputs("simulation: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	fflush(stderr);
	abort();
}

/* ------------------------------------------------------------------ waiting ---------------- */

static void give_away(void) {
	go_home(world.current, false);
}

static void maybe_preempt(void) {
	if (world.current != NULL && chance(world.choice, world.weather.preempt)) give_away();
}

static void wait(uint64_t timeout_ns) {
	struct thread *self = world.current;
	self->is_waiting = true;
	self->is_woken = false;
	self->deadline_ns =
		timeout_ns >= UINT64_MAX - world.now_ns ? UINT64_MAX : world.now_ns + timeout_ns;
	give_away();
	self->is_waiting = false;
	self->is_ready = NULL;
	self->word = NULL;
}

bool world_wait(bool (*is_ready)(void *context), void *context, uint64_t timeout_ns) {
	if (is_ready(context)) {
		maybe_preempt();
		return true;
	}
	world.current->is_ready = is_ready;
	world.current->ready_context = context;
	wait(timeout_ns);
	return is_ready(context);
}

/* ------------------------------------------------------------------ time ------------------- */

uint64_t os_now_ns(void) {
	world.now_ns += CLOCK_LOOK_NS;
	maybe_preempt();
	return world.now_ns;
}

/* All time is spent working. */
uint64_t os_thread_cpu_ns(void) {
	return os_now_ns();
}

int64_t os_wall_s(void) {
	return WALL_BEGIN_S + (int64_t)(world.now_ns / NS_PER_S) + world.wall_shift_s;
}

void os_epoch_begin(struct os_epoch *epoch, uint64_t now_ns) {
	*epoch =
		(struct os_epoch){.begun_s = os_wall_s(), .begun_ns = now_ns - world.now_ns % NS_PER_S};
}

int32_t os_local_offset_s(int64_t at_s) {
	(void)at_s;
	return 0;
}

time_t __wrap_time(time_t *out);
time_t __wrap_time(time_t *out) {
	time_t now = (time_t)os_wall_s();
	if (out != NULL) *out = now;
	return now;
}

/* Libraries that are linked to find this name before the C library's: OpenSSL tells how long a
 * certificate lasts from now on, and a client is told. */
time_t time(time_t *out) {
	return __wrap_time(out);
}

/* The simulator's own looks at the clock, between runs, are at the real one. */
int __real_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out) {
	if (!world_in_server()) return __real_clock_gettime(clock, out);
	bool is_wall = clock == CLOCK_REALTIME;
	out->tv_sec = (time_t)(is_wall ? os_wall_s() : world_now_s());
	out->tv_nsec = (long)(world.now_ns % NS_PER_S);
	return 0;
}

/* ------------------------------------------------------------------ threads ---------------- */

bool os_thread_start(struct os_thread *thread, void (*run)(void *context), void *context) {
	struct thread *started = begin(run, context);
	if (started == NULL) return false;
	thread->run = run;
	thread->context = context;
	thread->id = (pthread_t)(uintptr_t)started;
	maybe_preempt();
	return true;
}

static bool is_over(void *context) {
	return ((const struct thread *)context)->is_over;
}

void os_thread_join(struct os_thread *thread) {
	struct thread *joined = (struct thread *)(uintptr_t)thread->id;
	while (!world_wait(is_over, joined, OS_FOREVER)) {
	}
	end(joined);
}

void os_thread_set_name(const char *name) {
	snprintf(world.current->name, sizeof world.current->name, "%s", name);
}

bool os_thread_bind(uint32_t processor) {
	(void)processor;
	return true;
}

void os_thread_yield(void) {
	give_away();
}

void os_thread_sleep(uint64_t duration_ns) {
	wait(duration_ns);
}

/* Each has one of its own, as the debug build's checks of ownership want it. */
pthread_t __wrap_pthread_self(void);
pthread_t __wrap_pthread_self(void) {
	return (pthread_t)(uintptr_t)(world.impersonated != NULL ? world.impersonated : world.current);
}

/* ------------------------------------------------------------------ sleep on a word -------- */

void os_wait_on(const _Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns) {
	if (atomic_load(word) != value) return;
	world.current->word = word;
	wait(timeout_ns);
}

void os_wake(const _Atomic uint32_t *word, uint32_t most) {
	for (uint32_t i = 0; i < THREADS_MAX && most > 0; i++) {
		struct thread *thread = &world.threads[i];
		if (!thread->is_used || !thread->is_waiting || thread->word != word || thread->is_woken)
			continue;
		thread->is_woken = true;
		most--;
	}
	maybe_preempt();
}

/* ------------------------------------------------------------------ events ----------------- */

int os_event_create(void) {
	for (int i = 0; i < (int)EVENTS_MAX; i++) {
		if (world.events[i].is_used) continue;
		world.events[i].is_used = true;
		world.events[i].signals = 0;
		return EVENT_FIRST + i;
	}
	return -1;
}

static uint64_t *signals_of(int event) {
	int index = event - EVENT_FIRST;
	if (index < 0 || index >= (int)EVENTS_MAX || !world.events[index].is_used)
		world_fail("an event that does not exist: %d", event);
	return &world.events[index].signals;
}

void os_event_destroy(int event) {
	(void)signals_of(event);
	world.events[event - EVENT_FIRST].is_used = false;
}

void os_event_signal(int event) {
	(*signals_of(event))++;
	maybe_preempt();
}

uint64_t os_event_take(int event) {
	uint64_t *signals = signals_of(event);
	uint64_t taken = *signals;
	*signals = 0;
	return taken;
}

uint64_t world_event_signals(int event) {
	return *signals_of(event);
}

static bool is_signalled(void *context) {
	return world_event_signals(*(const int *)context) > 0;
}

bool os_event_wait(int event, uint64_t timeout_ns) {
	return world_wait(is_signalled, &event, timeout_ns);
}
