/* work/coordinator/coordinator.c: the coordinator as other threads see it: created, asked, waited
 * for, stopped, destroyed.
 *
 * SUBMIT claims a slot, fills it and sends one message; it never waits (law R5). The inbox has room
 * for all that can be on its way: a message for each slot, an answer for each lane of each worker,
 * the notes of refusals (counted; more are not sent) and one stop. So no send here can find it
 * full.
 *
 *     submitters   [ closed : 1 | inside submit : 31 ]   one word: who counts himself in sees
 *                                                        whether it is closed, and who closes it
 *                                                        can wait for those that came before
 *     takers       inside poll or wait                   destroy waits for them; by then each
 *                                                        ticket is answered
 *
 * An EMERGENCY whose goal is beyond the limits of the workers it concerns is refused before it is
 * sent (GOAL). Emergencies and cancels have two slots in reserve: a table full of slow requests
 * must not keep them out. What is refused is noted in the audit as well, if there is room for the
 * note.
 *
 * The clock on the wall, the kernel's files and the two intervals come in by one struct, so that a
 * test runs a day of schedules in a moment. */
#include "base/assert.h"
#include "base/bits.h"
#include "base/grown.h"
#include "os/files.h"
#include "os/local_time.h"
#include "work/channel/snapshot.h"
#include "work/coordinator/coordination.h"

#include <stdlib.h>
#include <string.h>

#define LOOK_NS (60 * NS_PER_SECOND)
#define LEAVE_SLEEP_NS UINT64_C(20000)

/* ------------------------------------------------------------------ create ----------------- */

void snug_coordinator_options_init(snug_coordinator_options *options, size_t struct_bytes) {
	static const snug_coordinator_options defaults = {
		.tickets = 64,
		.schedules = 8,
		.audit = 256,
		.background = {.on = true,
					   .duty_ppm = 50000,
					   .start_reclaimable_ppm = 200000,
					   .stop_reclaimable_ppm = 50000,
					   .start_available_ppm = 50000,
					   .stop_available_ppm = 100000,
					   .start_stall_ppm = 100000,
					   .stop_stall_ppm = 20000,
					   .start_cgroup_ppm = 950000,
					   .stop_cgroup_ppm = 900000,
					   .retain_bytes = 1u << 20},
	};
	grown_init(options, struct_bytes, &defaults, sizeof defaults);
}

/* NULL: the defaults. */
static snug_error read_options(const snug_coordinator_options *given,
							   snug_coordinator_options *out) {
	*out = snug_coordinator_options_default();
	if (given == NULL) return SNUG_OK;
	bool is_known =
		grown_read(given, out, sizeof *out) && grown_is_zero(out->reserved, sizeof out->reserved);
	return is_known ? SNUG_OK : SNUG_ERROR_VERSION;
}

static snug_error check_options(const snug_coordinator_options *options) {
	bool sound = options->tickets > 0 && options->tickets <= SNUG_TICKETS_MAX &&
				 options->schedules <= SNUG_SCHEDULES_MAX && options->audit > 0 &&
				 options->audit <= SNUG_AUDIT_MAX;
	return sound ? pressure_check(&options->background) : SNUG_ERROR_OPTION;
}

static uint32_t task_room(const snug_coordinator *coordinator) {
	return coordinator->tickets.count + coordinator->options.schedules + coordinator->worker_count;
}

static uint32_t inbox_room(const snug_coordinator *coordinator) {
	uint32_t most = coordinator->tickets.count + coordinator->worker_count * LANE_COUNT +
					COORDINATOR_REFUSALS_MAX + 1;
	uint32_t room = CHANNEL_MESSAGES_MIN;
	while (room < most) room *= 2;
	SNUG_ASSERT(room <= CHANNEL_MESSAGES_MAX);
	return room;
}

static bool create_tasks(snug_coordinator *coordinator) {
	uint32_t count = task_room(coordinator);
	SNUG_ASSERT(coordinator->worker_count > 0 && coordinator->tickets.count > TICKETS_RESERVED);
	coordinator->task_memory = calloc(count, sizeof *coordinator->task_memory);
	coordinator->part_memory =
		calloc((size_t)count * coordinator->worker_count, sizeof *coordinator->part_memory);
	if (coordinator->task_memory == NULL || coordinator->part_memory == NULL) return false;
	for (uint32_t index = 0; index < count; index++) {
		struct task *task = &coordinator->task_memory[index];
		task->parts = &coordinator->part_memory[(size_t)index * coordinator->worker_count];
		task->next = coordinator->free_tasks;
		coordinator->free_tasks = task;
	}
	return true;
}

static bool create_tables(snug_coordinator *coordinator) {
	const snug_coordinator_options *options = &coordinator->options;
	bool tickets = tickets_init(&coordinator->tickets, options->tickets + TICKETS_RESERVED,
								coordinator->worker_count);
	bool audit = audit_init(&coordinator->audit, options->audit);
	coordinator->lanes =
		calloc((size_t)coordinator->worker_count * LANE_COUNT, sizeof *coordinator->lanes);
	coordinator->upkeep = calloc(coordinator->worker_count, sizeof *coordinator->upkeep);
	coordinator->plans = calloc(options->schedules + 1u, sizeof *coordinator->plans);
	coordinator->published_plans =
		calloc(options->schedules + 1u, sizeof *coordinator->published_plans);
	return tickets && audit && coordinator->lanes != NULL && coordinator->upkeep != NULL &&
		   coordinator->plans != NULL && coordinator->published_plans != NULL &&
		   create_tasks(coordinator);
}

static void give_back(snug_coordinator *coordinator) {
	if (coordinator->inbox != NULL) channel_close(coordinator->inbox);
	channel_destroy(coordinator->inbox);
	tickets_deinit(&coordinator->tickets);
	audit_deinit(&coordinator->audit);
	free(coordinator->lanes);
	free(coordinator->upkeep);
	free(coordinator->plans);
	free(coordinator->published_plans);
	free(coordinator->task_memory);
	free(coordinator->part_memory);
	workers_detach(coordinator->workers);
	free(coordinator);
}

static snug_error start(snug_coordinator *coordinator) {
	if (!create_tables(coordinator)) return SNUG_ERROR_OS_MEMORY;
	snug_error error = channel_create(inbox_room(coordinator), &coordinator->inbox);
	if (error) return error;
	bool started = os_thread_start(&coordinator->thread, coordinator_run, coordinator);
	return started ? SNUG_OK : SNUG_ERROR_OS_THREAD;
}

snug_error coordinator_create_in(snug_workers *workers, const snug_coordinator_options *given,
								 const struct surroundings *world, snug_coordinator **out) {
	snug_coordinator_options options;
	if (workers == NULL || out == NULL) return SNUG_ERROR_NULL;
	snug_error error = read_options(given, &options);
	if (!error) error = check_options(&options);
	if (!error) error = workers_attach(workers);
	if (error) return error;
	snug_coordinator *coordinator = calloc(1, sizeof *coordinator);
	if (coordinator == NULL) {
		workers_detach(workers);
		return SNUG_ERROR_OS_MEMORY;
	}
	coordinator->options = options;
	coordinator->world = *world;
	coordinator->workers = workers;
	coordinator->worker_count = snug_workers_count(workers);
	coordinator->plans_next_ns = SNUG_FOREVER;
	coordinator->tick_ns = SNUG_FOREVER;
	error = start(coordinator);
	if (error) {
		give_back(coordinator);
		return error;
	}
	*out = coordinator;
	return SNUG_OK;
}

static int64_t real_wall_s(void *context) {
	(void)context;
	return os_wall_s();
}

static int32_t real_offset_s(void *context, int64_t at_s) {
	(void)context;
	return os_local_offset_s(at_s);
}

static bool real_read(void *context, const char *path, char *text, size_t room) {
	(void)context;
	return os_read_file(path, text, room);
}

snug_error snug_coordinator_create(snug_workers *workers, const snug_coordinator_options *options,
								   snug_coordinator **out) {
	const struct surroundings world = {
		.clock = {.now_s = real_wall_s, .offset_s = real_offset_s},
		.files = {.read = real_read},
		.look_ns = LOOK_NS,
		.tick_ns = NS_PER_SECOND,
	};
	return coordinator_create_in(workers, options, &world, out);
}

/* ------------------------------------------------------------------ stop, destroy ---------- */

/* Neither the workers nor the coordinator may wait for what they must do themselves. */
static bool may_wait(const snug_coordinator *coordinator) {
	uint64_t self = atomic_load_explicit(&coordinator->self, memory_order_relaxed);
	return self != (uint64_t)pthread_self() && !workers_is_own_thread(coordinator->workers);
}

static void begin_stop(snug_coordinator *coordinator) {
	uint32_t before = atomic_fetch_or(&coordinator->submitters, SUBMITTERS_CLOSED);
	if ((before & SUBMITTERS_CLOSED) != 0) return;
	struct message message = {.kind = MESSAGE_STOP};
	snug_error error = channel_try_send(coordinator->inbox, &message);
	SNUG_ASSERT(!error);
	(void)error;
}

snug_error snug_coordinator_stop(snug_coordinator *coordinator, uint64_t timeout_ns) {
	if (coordinator == NULL) return SNUG_ERROR_NULL;
	uint64_t deadline_ns = os_deadline_ns(may_wait(coordinator) ? timeout_ns : 0);
	begin_stop(coordinator);
	while (atomic_load_explicit(&coordinator->ended, memory_order_acquire) == 0) {
		uint64_t remaining_ns = os_remaining_ns(deadline_ns);
		if (remaining_ns == 0) return SNUG_ERROR_TIMED_OUT;
		os_wait_on(&coordinator->ended, 0, remaining_ns);
	}
	return SNUG_OK;
}

snug_error snug_coordinator_destroy(snug_coordinator *coordinator) {
	if (coordinator == NULL) return SNUG_OK;
	if (!may_wait(coordinator)) return SNUG_ERROR_WRONG_THREAD;
	snug_error error = snug_coordinator_stop(coordinator, SNUG_FOREVER);
	if (error) return error;
	while (atomic_load_explicit(&coordinator->takers, memory_order_acquire) > 0 ||
		   atomic_load_explicit(&coordinator->submitters, memory_order_acquire) !=
			   SUBMITTERS_CLOSED)
		os_thread_sleep(LEAVE_SLEEP_NS);
	os_thread_join(&coordinator->thread);
	SNUG_ASSERT(coordinator->task_count == 0 && coordinator->retries == 0);
	give_back(coordinator);
	return SNUG_OK;
}

/* ------------------------------------------------------------------ submit ----------------- */

/* As published: never less than what the worker has now, for a limit does not change. */
static snug_error check_goal(const snug_coordinator *coordinator, const snug_request *request) {
	uint64_t limit_bytes = 0;
	for (uint32_t worker = 0; worker < coordinator->worker_count; worker++) {
		snug_worker_stats stats;
		if (request->worker != SNUG_ALL_WORKERS && request->worker != worker) continue;
		snug_error error = snug_workers_stats(coordinator->workers, worker, &stats);
		if (error) return error;
		limit_bytes += stats.heap.limit_bytes;
	}
	SNUG_ASSERT(request->min_bytes > 0 && limit_bytes > 0);
	return request->min_bytes <= limit_bytes ? SNUG_OK : SNUG_ERROR_GOAL;
}

static snug_error send_request(snug_coordinator *coordinator, const snug_request *request,
							   snug_ticket *ticket) {
	bool urgent = request->kind == SNUG_REQUEST_EMERGENCY || request->kind == SNUG_REQUEST_CANCEL;
	struct ticket_slot *slot = ticket_claim(&coordinator->tickets, urgent);
	if (slot == NULL) return SNUG_ERROR_QUEUE_FULL;
	SNUG_ASSERT((atomic_load(&coordinator->submitters) & ~SUBMITTERS_CLOSED) > 0); /* we */
	slot->request = *request;
	slot->submitted_ns = os_now_ns();
	slot->submitted_s = coordinator->world.clock.now_s(coordinator->world.clock.context);
	snug_ticket submitted = ticket_submit(slot, ticket == NULL);
	struct message message = {.kind = MESSAGE_REQUEST, .data = slot};
	snug_error error = channel_try_send(coordinator->inbox, &message);
	SNUG_ASSERT(!error); /* there is room for each slot's */
	if (error) {
		ticket_release(&coordinator->tickets, slot);
		return error;
	}
	if (ticket != NULL) *ticket = submitted;
	return SNUG_OK;
}

static void note_refusal(snug_coordinator *coordinator, const snug_request *request,
						 snug_error refused) {
	count_one(&coordinator->counters.refused);
	uint32_t before = atomic_fetch_add_explicit(&coordinator->refusals, 1, memory_order_relaxed);
	struct message message = {
		.kind = MESSAGE_REFUSED,
		.name = (uint64_t)request->kind,
		.worker = request->worker,
		.error = (uint16_t)refused,
	};
	bool sent = before < COORDINATOR_REFUSALS_MAX &&
				channel_try_send(coordinator->inbox, &message) == SNUG_OK;
	if (!sent) atomic_fetch_sub_explicit(&coordinator->refusals, 1, memory_order_relaxed);
}

static void leave(snug_coordinator *coordinator) {
	SNUG_ASSERT((atomic_load(&coordinator->submitters) & ~SUBMITTERS_CLOSED) > 0);
	atomic_fetch_sub_explicit(&coordinator->submitters, 1, memory_order_release);
}

snug_error snug_coordinator_submit(snug_coordinator *coordinator, const snug_request *request,
								   snug_ticket *ticket) {
	snug_request known;
	if (coordinator == NULL || request == NULL) return SNUG_ERROR_NULL;
	uint32_t before = atomic_fetch_add_explicit(&coordinator->submitters, 1, memory_order_acquire);
	if ((before & SUBMITTERS_CLOSED) != 0) {
		count_one(&coordinator->counters.refused);
		leave(coordinator);
		return SNUG_ERROR_STOPPED;
	}
	snug_error error = request_read(request, &known);
	if (!error) error = request_check(&known, coordinator->worker_count);
	if (!error && known.kind == SNUG_REQUEST_EMERGENCY) error = check_goal(coordinator, &known);
	if (!error) error = send_request(coordinator, &known, ticket);
	if (error) note_refusal(coordinator, &known, error);
	leave(coordinator);
	return error;
}

/* ------------------------------------------------------------------ take ------------------- */

snug_error snug_coordinator_wait(snug_coordinator *coordinator, snug_ticket ticket,
								 uint64_t timeout_ns, snug_response *response, snug_part *parts,
								 uint32_t *count) {
	if (coordinator == NULL || response == NULL || (parts != NULL && count == NULL))
		return SNUG_ERROR_NULL;
	atomic_fetch_add_explicit(&coordinator->takers, 1, memory_order_acquire);
	snug_error error = ticket_take(&coordinator->tickets, ticket, os_deadline_ns(timeout_ns),
								   may_wait(coordinator), response, parts, count);
	atomic_fetch_sub_explicit(&coordinator->takers, 1, memory_order_release);
	return error;
}

snug_error snug_coordinator_poll(snug_coordinator *coordinator, snug_ticket ticket,
								 snug_response *response, snug_part *parts, uint32_t *count) {
	return snug_coordinator_wait(coordinator, ticket, 0, response, parts, count);
}

snug_error snug_coordinator_call(snug_coordinator *coordinator, const snug_request *request,
								 uint64_t timeout_ns, snug_response *response, snug_ticket *late) {
	if (response == NULL || late == NULL) return SNUG_ERROR_NULL;
	snug_ticket ticket;
	snug_error error = snug_coordinator_submit(coordinator, request, &ticket);
	if (error) return error;
	error = snug_coordinator_wait(coordinator, ticket, timeout_ns, response, NULL, NULL);
	if (error) *late = ticket;
	return error;
}

/* ------------------------------------------------------------------ audit, schedules, figures  */

snug_error snug_coordinator_audit(const snug_coordinator *coordinator, snug_audit_entry *entries,
								  uint32_t *count) {
	if (coordinator == NULL || entries == NULL || count == NULL) return SNUG_ERROR_NULL;
	*count = audit_read(&coordinator->audit, entries, *count);
	return SNUG_OK;
}

static void insert_by_name(snug_schedule_entry *entries, uint32_t count,
						   const snug_schedule_entry *entry) {
	SNUG_ASSERT(entry->name != 0);
	for (; count > 0 && entries[count - 1].name > entry->name; count--)
		entries[count] = entries[count - 1];
	entries[count] = *entry;
}

snug_error snug_coordinator_schedules(const snug_coordinator *coordinator,
									  snug_schedule_entry *entries, uint32_t *count) {
	if (coordinator == NULL || entries == NULL || count == NULL) return SNUG_ERROR_NULL;
	uint32_t found = 0;
	for (uint32_t index = 0; index < coordinator->options.schedules && found < *count; index++) {
		const struct published_plan *published = &coordinator->published_plans[index];
		snug_schedule_entry entry;
		snapshot_read(&published->sequence, published->words, &entry, PLAN_WORDS);
		if (entry.name != 0) insert_by_name(entries, found++, &entry);
	}
	*count = found;
	return SNUG_OK;
}

static uint64_t load(const _Atomic uint64_t *counter) {
	return atomic_load_explicit(counter, memory_order_relaxed);
}

snug_error snug_coordinator_stats_get(const snug_coordinator *coordinator,
									  snug_coordinator_stats *out) {
	if (coordinator == NULL || out == NULL) return SNUG_ERROR_NULL;
	const struct coordinator_counters *counters = &coordinator->counters;
	/* first: never more of them */
	uint64_t answers = atomic_load_explicit(&counters->answers, memory_order_acquire);
	*out = (snug_coordinator_stats){
		.answers = answers,
		.requests = load(&counters->requests),
		.refused = load(&counters->refused),
		.joins = load(&counters->joins),
		.jobs = load(&counters->jobs),
		.turns = load(&counters->turns),
		.sleeps = load(&counters->sleeps),
		.background_runs = load(&counters->background_runs),
		.spare_runs = load(&counters->spare_runs),
		.tickets_in_use = atomic_load_explicit(&coordinator->tickets.in_use, memory_order_relaxed),
		.schedules = atomic_load_explicit(&counters->schedules, memory_order_relaxed),
		.machine_pressure = atomic_load_explicit(&counters->machine_pressure, memory_order_relaxed),
	};
	return SNUG_OK;
}
