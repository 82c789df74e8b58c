/* stock.h: workers whose heaps hold 1 KiB objects in a checkerboard, a hook that can hold a worker
 * still, slow it down and evict, and what is counted of it.
 *
 * Each object begins with its number; what is still there when the worker stops is compared, every
 * byte. So an object that a cleanup lost, doubled or moved without its bytes shows. */
#ifndef SNUG_TEST_STOCK_H
#define SNUG_TEST_STOCK_H

#include "crew.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STOCK_WORKERS_MAX 8u
#define STOCK_OBJECT_BYTES ((size_t)1024)
#define STOCK_ROOM 16384u

struct stock_shelf {
	snug_handle handles[STOCK_ROOM]; /* worker only; 0: freed */
	uint32_t count;
	uint32_t evict_next;
	uint64_t mistakes;
};

struct stock {
	uint32_t keep_every;           /* 2: a checkerboard; 1: full */
	uint32_t most;                 /* objects of each worker; 0: until it is full */
	_Atomic bool held;             /* the worker stands still in its hook */
	_Atomic uint32_t held_workers; /* how many do */
	_Atomic bool busy;             /* the hook says that it always has work: the duty cycle holds */
	_Atomic uint64_t evicted_bytes;
	_Atomic uint64_t evict_calls;
	struct stock_shelf shelf[STOCK_WORKERS_MAX];
	snug_workers *workers;
	snug_client *caller; /* whose messages wait for held workers */
	snug_ticket calls[STOCK_WORKERS_MAX];
};

static inline snug_error stock_start(void *context, uint32_t worker, snug_heap *heap) {
	struct stock *stock = context;
	struct stock_shelf *shelf = &stock->shelf[worker];
	unsigned char object[STOCK_OBJECT_BYTES];
	memset(object, (int)worker, sizeof object);
	while (shelf->count < (stock->most == 0 ? STOCK_ROOM : stock->most)) {
		snug_handle handle;
		if (snug_alloc(heap, sizeof object, &handle) != SNUG_OK) break;
		memcpy(object, &shelf->count, sizeof shelf->count);
		if (snug_write(heap, handle, 0, object, sizeof object) != SNUG_OK)
			return SNUG_ERROR_CORRUPT;
		shelf->handles[shelf->count++] = handle;
	}
	for (uint32_t number = 0; number < shelf->count; number++) {
		if (number % stock->keep_every == 0) continue;
		if (snug_free(heap, shelf->handles[number]) != SNUG_OK) return SNUG_ERROR_CORRUPT;
		shelf->handles[number] = 0;
	}
	return SNUG_OK;
}

static inline bool stock_turn(void *context, uint32_t worker, snug_heap *heap) {
	struct stock *stock = context;
	(void)worker;
	(void)heap;
	if (atomic_load(&stock->held)) {
		atomic_fetch_add(&stock->held_workers, 1);
		while (atomic_load(&stock->held)) os_thread_sleep(MS / 5);
		atomic_fetch_sub(&stock->held_workers, 1);
	}
	return atomic_load(&stock->busy);
}

static inline uint64_t stock_evict(void *context, uint32_t worker, snug_heap *heap,
								   uint64_t bytes) {
	struct stock *stock = context;
	struct stock_shelf *shelf = &stock->shelf[worker];
	uint64_t freed_bytes = 0;
	atomic_fetch_add(&stock->evict_calls, 1);
	for (; freed_bytes < bytes && shelf->evict_next < shelf->count; shelf->evict_next++) {
		snug_handle *handle = &shelf->handles[shelf->evict_next];
		if (*handle == 0) continue;
		if (snug_free(heap, *handle) != SNUG_OK) shelf->mistakes++;
		*handle = 0;
		freed_bytes += STOCK_OBJECT_BYTES;
	}
	atomic_fetch_add(&stock->evicted_bytes, freed_bytes);
	return freed_bytes;
}

/* The same where some are pinned: those stay. */
static inline uint64_t stock_evict_unpinned(void *context, uint32_t worker, snug_heap *heap,
											uint64_t bytes) {
	struct stock *stock = context;
	struct stock_shelf *shelf = &stock->shelf[worker];
	uint64_t freed_bytes = 0;
	for (; freed_bytes < bytes && shelf->evict_next < shelf->count; shelf->evict_next++) {
		snug_handle *handle = &shelf->handles[shelf->evict_next];
		if (*handle == 0 || snug_free(heap, *handle) != SNUG_OK) continue;
		*handle = 0;
		freed_bytes += STOCK_OBJECT_BYTES;
	}
	atomic_fetch_add(&stock->evicted_bytes, freed_bytes);
	return freed_bytes;
}

static inline void stock_stop(void *context, uint32_t worker, snug_heap *heap) {
	struct stock *stock = context;
	struct stock_shelf *shelf = &stock->shelf[worker];
	for (uint32_t number = 0; number < shelf->count; number++) {
		unsigned char object[STOCK_OBJECT_BYTES];
		unsigned char expected[STOCK_OBJECT_BYTES];
		if (shelf->handles[number] == 0) continue;
		if (snug_read(heap, shelf->handles[number], 0, object, sizeof object) != SNUG_OK) {
			shelf->mistakes++;
			continue;
		}
		memset(expected, (int)worker, sizeof expected);
		memcpy(expected, &number, sizeof number);
		if (memcmp(object, expected, sizeof object) != 0) shelf->mistakes++;
	}
	if (snug_check(heap, NULL) != SNUG_OK) shelf->mistakes++;
}

static inline snug_workers_options stock_options(struct stock *stock, uint32_t workers) {
	snug_workers_options options = crew_options(workers);
	stock->keep_every = stock->keep_every == 0 ? 2 : stock->keep_every;
	options.heap.no_compaction_in_alloc = true; /* nothing moves but by request */
	options.hook.context = stock;
	options.hook.start = stock_start;
	options.hook.turn = stock_turn;
	options.hook.stop = stock_stop;
	return options;
}

/* Lets the workers stand still in their hook; a message wakes those that sleep. */
static inline void stock_hold(struct stock *stock) {
	atomic_store(&stock->held, true);
	assert_int_equal(snug_client_create(stock->workers, NULL, &stock->caller), SNUG_OK);
	uint32_t count = snug_workers_count(stock->workers);
	for (uint32_t worker = 0; worker < count; worker++) {
		snug_operation operation = {.kind = SNUG_OPERATION_SIZE,
									.object = {.handle = 1, .worker = worker}};
		assert_int_equal(snug_client_submit(stock->caller, &operation, 1, &stock->calls[worker]),
						 SNUG_OK);
	}
	CREW_WAIT_UNTIL(atomic_load(&stock->held_workers) == count);
}

static inline void stock_let_go(struct stock *stock) {
	atomic_store(&stock->held, false);
	uint32_t count = snug_workers_count(stock->workers);
	for (uint32_t worker = 0; worker < count; worker++) {
		snug_result result;
		assert_int_equal(snug_client_wait(stock->caller, stock->calls[worker], HANG_NS, &result),
						 SNUG_OK);
	}
	assert_int_equal(snug_client_destroy(stock->caller), SNUG_OK);
	CREW_WAIT_UNTIL(atomic_load(&stock->held_workers) == 0);
}

/* Ends the workers, and requires that no object was hurt. */
static inline void stock_close(struct stock *stock) {
	crew_unmake(stock->workers);
	for (uint32_t worker = 0; worker < STOCK_WORKERS_MAX; worker++)
		assert_int_equal(stock->shelf[worker].mistakes, 0);
}

static inline struct stock *stock_new(void) {
	struct stock *stock = calloc(1, sizeof *stock);
	assert_non_null(stock);
	return stock;
}

/* With so many workers, and of their time so much for maintenance; 0: as by default. */
static inline struct stock *stock_open(uint32_t workers, uint32_t duty_ppm) {
	struct stock *stock = stock_new();
	snug_workers_options options = stock_options(stock, workers);
	if (duty_ppm > 0) options.duty_ppm = duty_ppm;
	stock->workers = crew_make(&options);
	return stock;
}

/* The hook is busy all the time: a run takes seconds, until it is no longer. */
#define STOCK_SLOW_PPM 200u
static inline struct stock *stock_open_busy(uint32_t workers) {
	struct stock *stock = stock_open(workers, STOCK_SLOW_PPM);
	atomic_store(&stock->busy, true);
	return stock;
}

static inline void stock_delete(struct stock *stock) {
	stock_close(stock);
	free(stock);
}

/* ------------------------------------------------------------------ a coordinator over it ----- */

static inline snug_coordinator_options desk_options(void) {
	snug_coordinator_options options = snug_coordinator_options_default();
	options.background.on = false;
	return options;
}

static inline snug_coordinator *desk_make(snug_workers *workers,
										  const snug_coordinator_options *options) {
	snug_coordinator *coordinator = NULL;
	assert_int_equal(snug_coordinator_create(workers, options, &coordinator), SNUG_OK);
	return coordinator;
}

/* Of the default options. */
static inline snug_coordinator *desk_open(snug_workers *workers) {
	snug_coordinator_options options = desk_options();
	return desk_make(workers, &options);
}

static inline void desk_unmake(snug_coordinator *coordinator) {
	assert_int_equal(snug_coordinator_stop(coordinator, HANG_NS), SNUG_OK);
	assert_int_equal(snug_coordinator_destroy(coordinator), SNUG_OK);
}

static inline void desk_close(snug_coordinator *coordinator, struct stock *stock) {
	desk_unmake(coordinator);
	stock_delete(stock);
}

static inline snug_ticket desk_submit(snug_coordinator *coordinator, const snug_request *request) {
	snug_ticket ticket = 0;
	assert_int_equal(snug_coordinator_submit(coordinator, request, &ticket), SNUG_OK);
	assert_true(ticket != 0);
	return ticket;
}

static inline snug_response desk_wait(snug_coordinator *coordinator, snug_ticket ticket) {
	snug_response response;
	assert_int_equal(snug_coordinator_wait(coordinator, ticket, HANG_NS, &response, NULL, NULL),
					 SNUG_OK);
	return response;
}

static inline snug_response desk_call(snug_coordinator *coordinator, const snug_request *request) {
	return desk_wait(coordinator, desk_submit(coordinator, request));
}

static inline snug_error desk_refused(snug_coordinator *coordinator, const snug_request *request) {
	snug_ticket ticket = 77;
	snug_error error = snug_coordinator_submit(coordinator, request, &ticket);
	assert_int_equal(ticket, 77);
	return error;
}

static inline snug_response desk_cancel(snug_coordinator *coordinator, uint64_t target) {
	snug_request cancel = snug_request_default(SNUG_REQUEST_CANCEL);
	cancel.target = target;
	return desk_call(coordinator, &cancel);
}

static inline snug_coordinator_stats desk_stats(const snug_coordinator *coordinator) {
	snug_coordinator_stats stats;
	assert_int_equal(snug_coordinator_stats_get(coordinator, &stats), SNUG_OK);
	return stats;
}

#endif
