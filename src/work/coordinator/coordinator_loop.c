/* work/coordinator/coordinator_loop.c: the coordinator's thread.
 *
 *     turn: up to 16 messages, after each of them the tasks that it ended
 *           -> tick, if due -> plans that are due -> lanes to be tried again
 *           -> tasks that these ended -> sleep, if no message came
 *
 * It sleeps until a request or a worker's answer comes, the next schedule, tick or retry is due;
 * without any of these, without a time-out (law R10).
 *
 * What has ended is answered here, and only here, between two things: so nothing that begins, joins
 * or cancels a task finds it gone in the middle (coordinator_tasks.c).
 *
 * THE END. Stop closes the gate of submit and sends one message. From then on the coordinator waits
 * for the submitters that are still inside (they never wait), answers what they sent as stopped,
 * cancels all tasks, and goes on until the workers have answered each job: a job is lent, and the
 * inbox that answers come to must outlive them. A worker answers each job that it accepted, be it
 * stopping itself; so this ends unless a worker's own hook never returns. */
#include "base/assert.h"
#include "base/bits.h"
#include "base/log_line.h"
#include "work/coordinator/coordination.h"

#include <stdio.h>

/* ------------------------------------------------------------------ ends ------------------- */

/* Answers the tasks that have nothing open any more: after each thing that may have ended one. */
static void end_tasks(snug_coordinator *coordinator) {
	struct task *task;
	while ((task = tasks_next_ended(coordinator)) != NULL) {
		snug_response response;
		task_response(coordinator, task, &response);
		if (task->plan != NULL) plan_task_ended(coordinator, task->plan, &response);
		if (task->upkeep != NULL) upkeep_task_ended(coordinator, task->upkeep, &response);
		SNUG_ASSERT(task->plan == NULL || task->upkeep == NULL); /* one origin */
		task_end(coordinator, task, &response);
	}
}

/* ------------------------------------------------------------------ requests --------------- */

#define PLAN_NAMES (UINT64_C(1) << 63)

static snug_error cancel(snug_coordinator *coordinator, uint64_t target) {
	if ((target & PLAN_NAMES) != 0) return plan_end(coordinator, target);
	struct ticket_slot *slot = ticket_find(&coordinator->tickets, target);
	if (slot == NULL) return SNUG_ERROR_TICKET;
	task_leave(coordinator, slot);
	return SNUG_OK;
}

static void accept(snug_coordinator *coordinator, struct ticket_slot *slot) {
	uint64_t schedule = 0;
	SNUG_ASSERT(slot != NULL && slot->task == NULL);
	snug_error error = coordinator->stopping ? SNUG_ERROR_STOPPED : SNUG_OK;
	count_one(&coordinator->counters.requests);
	slot->task = NULL;
	slot->joined = false;
	if (error) {
		answer_at_once(coordinator, slot, error, 0);
		return;
	}
	switch (slot->request.kind) {
	case SNUG_REQUEST_SCHEDULE:
		error = plan_add(coordinator, &slot->request, &schedule);
		answer_at_once(coordinator, slot, error, schedule);
		break;
	case SNUG_REQUEST_CANCEL:
		error = cancel(coordinator, slot->request.target);
		end_tasks(coordinator); /* what ended by it is answered first */
		answer_at_once(coordinator, slot, error, 0);
		break;
	default:
		task_for(coordinator, slot);
		break;
	}
}

static void begin_stop(snug_coordinator *coordinator) {
	if (coordinator->stopping) return;
	coordinator->stopping = true;
	while ((atomic_load_explicit(&coordinator->submitters, memory_order_acquire) &
			~SUBMITTERS_CLOSED) != 0)
		os_thread_yield();
	SNUG_ASSERT((atomic_load(&coordinator->submitters) & SUBMITTERS_CLOSED) != 0);
	plans_end(coordinator);
	tasks_cancel(coordinator, SNUG_ERROR_STOPPED);
	coordinator->tick_ns = SNUG_FOREVER;
}

static void handle(snug_coordinator *coordinator, const struct message *message) {
	switch ((enum message_kind)message->kind) {
	case MESSAGE_REQUEST:
		accept(coordinator, message->data);
		break;
	case MESSAGE_JOB:
		lanes_answer(coordinator, message);
		break;
	case MESSAGE_REFUSED:
		SNUG_ASSERT(atomic_load(&coordinator->refusals) > 0);
		atomic_fetch_sub_explicit(&coordinator->refusals, 1, memory_order_relaxed);
		audit_refusal(coordinator, (snug_request_kind)message->name, message->worker,
					  (snug_error)message->error);
		break;
	case MESSAGE_STOP:
		begin_stop(coordinator);
		break;
	case MESSAGE_OPERATION:
	case MESSAGE_OPERATION_LAST:
	case MESSAGE_REQUESTS:
	case MESSAGE_JOB_CANCEL:
		SNUG_ASSERT(false);
		break;
	}
}

/* ------------------------------------------------------------------ the thread ------------- */

static void rest(snug_coordinator *coordinator) {
	uint64_t wake_ns = smaller(coordinator->plans_next_ns, coordinator->tick_ns);
	uint64_t remaining_ns = os_remaining_ns(smaller(wake_ns, lanes_next_ns(coordinator)));
	if (remaining_ns == 0 || !channel_doze(coordinator->inbox)) return;
	count_one(&coordinator->counters.sleeps);
	os_event_wait(channel_fd(coordinator->inbox), remaining_ns);
	channel_rouse(coordinator->inbox);
}

static void begin(snug_coordinator *coordinator) {
	char name[16];
	snprintf(name, sizeof name, "%.9s-coord", coordinator->workers->options.name);
	os_thread_set_name(name);
	atomic_store_explicit(&coordinator->self, (uint64_t)pthread_self(), memory_order_relaxed);
	upkeep_init(coordinator);
}

void coordinator_run(void *context) {
	snug_coordinator *coordinator = context;
	struct message batch[COORDINATOR_BATCH];
	size_t count = 0;
	begin(coordinator);
	while (!coordinator->stopping || coordinator->task_count > 0 || count > 0) {
		count = channel_receive(coordinator->inbox, batch, COORDINATOR_BATCH);
		for (size_t index = 0; index < count; index++) {
			handle(coordinator, &batch[index]);
			end_tasks(coordinator);
		}
		count_one(&coordinator->counters.turns);
		uint64_t now_ns = os_now_ns();
		upkeep_tick(coordinator, now_ns);
		plans_look(coordinator, now_ns);
		lanes_retry(coordinator, now_ns);
		end_tasks(coordinator);
		bool ended = coordinator->stopping && coordinator->task_count == 0;
		if (count == 0 && !ended) rest(coordinator);
	}
	SNUG_ASSERT(coordinator->first_task == NULL && coordinator->first_ended == NULL);
	snug_log_line(&coordinator->options.log, SNUG_LOG_DEBUG, "coordinator: stopped");
	atomic_store_explicit(&coordinator->ended, 1, memory_order_release);
	os_wake(&coordinator->ended, UINT32_MAX);
}
