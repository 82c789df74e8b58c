/* simulate/world/simulated_memory.c: memory that is refused by choice, and counted: snug_os, malloc
 * and its family, and what else a process is given.
 *
 * The linker puts the __wrap_ functions in place of the C library's (--wrap). They look at who
 * calls: the test's own memory is neither refused nor counted. What the server has allocated stands
 * in a table until it frees it, so that a leak is found in every build. */
#include "simulate/world/world.h"

#include "os/files.h"
#include "os/threads.h"
#include "work/channel/channel.h"

#include <errno.h>
#include <pthread.h>
#include <snug/client.h>
#include <snug/os.h>
#include <stdio.h>
#include <sys/types.h>

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
void __real_free(void *memory);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
void __wrap_free(void *memory);

/* ------------------------------------------------------------------ what is out ------------ */

#define TABLE_SLOTS 65536u
#define GONE ((void *)(uintptr_t)1)

static void *table[TABLE_SLOTS];
static uint64_t in_table;

static size_t place_of(const void *memory) {
	return (size_t)(((uintptr_t)memory >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 48);
}

static void *note(void *memory) {
	if (memory == NULL || !world_in_server()) return memory;
	if (in_table >= TABLE_SLOTS / 2)
		world_fail("the server holds more than %u blocks", TABLE_SLOTS / 2);
	size_t at = place_of(memory);
	while (table[at % TABLE_SLOTS] != NULL && table[at % TABLE_SLOTS] != GONE) at++;
	table[at % TABLE_SLOTS] = memory;
	in_table++;
	return memory;
}

static void forget(const void *memory) {
	if (memory == NULL) return;
	size_t at = place_of(memory);
	for (size_t looked = 0; table[at % TABLE_SLOTS] != NULL && looked < TABLE_SLOTS;
		 at++, looked++) {
		if (table[at % TABLE_SLOTS] != memory) continue;
		table[at % TABLE_SLOTS] = GONE;
		in_table--;
		return;
	}
}

uint64_t world_blocks(void) {
	return in_table;
}

/* ------------------------------------------------------------------ malloc ----------------- */

static bool is_refused(uint32_t per_mille) {
	return per_mille > 0 && world_in_server() && world_is_armed() &&
		   chance(world_choice(), per_mille);
}

static bool is_memory_refused(void) {
	return is_refused(world_weather()->refuse_memory);
}

void *__wrap_malloc(size_t bytes) {
	return is_memory_refused() ? NULL : note(__real_malloc(bytes));
}

void *__wrap_calloc(size_t count, size_t bytes) {
	return is_memory_refused() ? NULL : note(__real_calloc(count, bytes));
}

void *__wrap_aligned_alloc(size_t alignment, size_t bytes) {
	return is_memory_refused() ? NULL : note(__real_aligned_alloc(alignment, bytes));
}

void *__wrap_realloc(void *memory, size_t bytes) {
	if (is_memory_refused()) return NULL;
	forget(memory);
	return note(__real_realloc(memory, bytes));
}

void __wrap_free(void *memory) {
	forget(memory);
	__real_free(memory);
}

void *plain_realloc(void *memory, size_t bytes) {
	void *grown = __real_realloc(memory, bytes);
	if (grown == NULL) world_fail("no memory for the simulator itself");
	return grown;
}

void plain_free(void *memory) {
	__real_free(memory);
}

/* ------------------------------------------------------------------ snug_os ---------------- */

/* The real one, src/os/linux.c, behind choices. Huge pages and pages that are touched beforehand
 * would only cost time. */
const snug_os *__real_snug_os_linux(void);
const snug_os *__wrap_snug_os_linux(void);

static uint64_t returned_bytes;

uint64_t world_returned_bytes(void) {
	return returned_bytes;
}

static bool commit(void *context, void *address, size_t bytes) {
	return !is_refused(world_weather()->refuse_commit) &&
		   __real_snug_os_linux()->commit(context, address, bytes);
}

static bool decommit(void *context, void *address, size_t bytes) {
	if (is_refused(world_weather()->refuse_commit)) return false;
	bool is_returned = __real_snug_os_linux()->decommit(context, address, bytes);
	if (is_returned) returned_bytes += bytes;
	return is_returned;
}

static void advise_huge(void *context, void *address, size_t bytes) {
	(void)context;
	(void)address;
	(void)bytes;
}

static bool populate(void *context, void *address, size_t bytes) {
	(void)context;
	(void)address;
	(void)bytes;
	return true;
}

static uint64_t now_ns(void *context) {
	(void)context;
	return os_now_ns();
}

const snug_os *__wrap_snug_os_linux(void) {
	static snug_os functions;
	functions = *__real_snug_os_linux();
	functions.commit = commit;
	functions.decommit = decommit;
	functions.advise_huge = advise_huge;
	functions.populate = populate;
	functions.now_ns = now_ns;
	return &functions;
}

/* ------------------------------------------------------------------ the rest --------------- */

/* The machine says nothing of itself. */
bool os_read_file(const char *path, char *text, size_t room) {
	(void)path;
	(void)text;
	(void)room;
	return false;
}

/* What is random is part of the run; before it begins, nothing is. */
ssize_t __wrap_getrandom(void *buffer, size_t bytes, unsigned int flags);
ssize_t __wrap_getrandom(void *buffer, size_t bytes, unsigned int flags) {
	(void)flags;
	test_random_fill(buffer, bytes,
					 world_choice() == NULL ? 0 : choose(world_choice(), UINT64_MAX));
	return (ssize_t)bytes;
}

/* All threads are one to the C library: who waits for another gives the processor away, and looks again. */
#define LOOK_NS UINT64_C(1000)
#define SIGNAL_NS UINT64_C(10000000)

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex) {
	if (world_choice() == NULL) return __real_pthread_mutex_lock(mutex);
	int error;
	while ((error = pthread_mutex_trylock(mutex)) == EBUSY) os_thread_sleep(LOOK_NS);
	return error;
}

int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex) {
	(void)condition;
	pthread_mutex_unlock(mutex);
	os_thread_sleep(SIGNAL_NS);
	return __wrap_pthread_mutex_lock(mutex);
}

#define SLOW_NS UINT64_C(100000)

static void maybe_slow_down(uint32_t owner) {
	char name[16];
	if (!world_is_armed() || !chance(world_choice(), world_weather()->slow_owner)) return;
	snprintf(name, sizeof name, "snugd-%u", owner);
	world_stall(name, choose(world_choice(), SLOW_NS));
}

/* An inbox holds more than the clients of a run can fill. What is on its way to be answered is what
 * may find it full; answers may not. */
snug_error __real_channel_try_send_batch(struct channel *channel, const struct message *messages,
										 size_t count);
snug_error __wrap_channel_try_send_batch(struct channel *channel, const struct message *messages,
										 size_t count);
snug_error __wrap_channel_try_send_batch(struct channel *channel, const struct message *messages,
										 size_t count) {
	bool is_request = count > 0 && messages->reply != channel &&
					  (messages->kind == MESSAGE_REQUESTS ||
					   messages->kind == MESSAGE_OPERATION + SNUG_OPERATION_RUN);
	if (is_request && is_refused(world_weather()->refuse_request)) return SNUG_ERROR_QUEUE_FULL;
	if (is_request) maybe_slow_down(messages->worker);
	return __real_channel_try_send_batch(channel, messages, count);
}
