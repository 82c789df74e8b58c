/* work/coordinator/coordinator_tasks.c: a task: begun, joined, left, cancelled, ended.
 *
 *     request --the same as a task's?--yes--> one more asker
 *        \------no--> new task, a part for each worker concerned --> lanes
 *                         | open counts parts that wait or are out, and who holds it
 *                         v 0
 *                     list of ended ones --> an emergency's next round, or: joined, answered, freed
 *
 * A task has a part for each worker concerned. It ends when its last part has ended: then each
 * asker gets a copy of the response on his own ticket (coordinator_answers.c). Whoever cancels
 * leaves; when the last asker has left, what waits is dropped, what is out is told to end, and he
 * is answered when it has: with what was gained until then.
 *
 * A question that has been asked of anybody is not joined: part of the answer may be older than
 * this asker.
 *
 * Nothing ends inside of a call here. What has nothing open any more is put on a list, and the
 * coordinator's loop takes it from there after each thing it does (tasks_next_ended): so whoever
 * holds a task keeps it until he is done. Before, the last part's answer ended the task from
 * wherever it was called, and the files of this room called each other in a circle.
 *
 * There is a task for each slot, plan and worker, so a new one never has to be refused. */
#include "base/assert.h"
#include "base/bits.h"
#include "work/coordinator/coordination.h"

#include <stdio.h>

/* ------------------------------------------------------------------ the list --------------- */

static void list_append(snug_coordinator *coordinator, struct task *task) {
	task->next = NULL;
	task->previous = coordinator->last_task;
	if (coordinator->last_task == NULL)
		coordinator->first_task = task;
	else
		coordinator->last_task->next = task;
	coordinator->last_task = task;
	coordinator->task_count++;
	SNUG_ASSERT((coordinator->task_count == 1) == (coordinator->first_task == task));
}

static void list_remove(snug_coordinator *coordinator, struct task *task) {
	SNUG_ASSERT(coordinator->task_count > 0);
	SNUG_ASSERT(task->previous == NULL ? coordinator->first_task == task
									   : task->previous->next == task);
	if (task->previous == NULL)
		coordinator->first_task = task->next;
	else
		task->previous->next = task->next;
	if (task->next == NULL)
		coordinator->last_task = task->previous;
	else
		task->next->previous = task->previous;
	coordinator->task_count--;
}

static bool concerns(const struct task *task, uint32_t worker) {
	return task->request.worker == SNUG_ALL_WORKERS || task->request.worker == worker;
}

struct task *task_new(snug_coordinator *coordinator, const snug_request *request,
					  snug_priority priority, snug_origin origin) {
	struct task *task = coordinator->free_tasks;
	SNUG_ASSERT(task != NULL);
	coordinator->free_tasks = task->next;
	struct task_part *parts = task->parts;
	*task =
		(struct task){.request = *request, .priority = priority, .origin = origin, .parts = parts};
	if (request->kind == SNUG_REQUEST_EMERGENCY)
		task->request.options.target_bytes = SNUG_NO_BUDGET;
	task->begin_ns = os_now_ns();
	task->begin_s = coordinator->world.clock.now_s(coordinator->world.clock.context);
	for (uint32_t worker = 0; worker < coordinator->worker_count; worker++) {
		parts[worker] = (struct task_part){.task = task, .result = {.worker = worker}};
		if (!request_is_question(request))
			parts[worker].result.report.outcome = SNUG_OUTCOME_CANCELLED;
	}
	list_append(coordinator, task);
	return task;
}

/* ------------------------------------------------------------------ begin ------------------ */

static enum job_kind job_of(const snug_request *request) {
	if (request->kind == SNUG_REQUEST_METRICS) return JOB_METRICS;
	return request->kind == SNUG_REQUEST_ESTIMATE ? JOB_ESTIMATE : JOB_DEFRAGMENT;
}

void task_begin(snug_coordinator *coordinator, struct task *task) {
	SNUG_ASSERT(task->open == 0 && !task->asked && !task->cancelled);
	task_hold(task);
	if (task->request.kind == SNUG_REQUEST_EMERGENCY) {
		emergency_begin(coordinator, task);
	} else {
		uint32_t lane =
			request_is_question(&task->request) ? LANE_QUESTIONS : (uint32_t)task->priority;
		for (uint32_t worker = 0; worker < coordinator->worker_count; worker++) {
			if (!concerns(task, worker)) continue;
			task_hold(task);
			task->parts[worker].ask = job_of(&task->request);
			part_queue(coordinator, &task->parts[worker], lane);
		}
	}
	task_let_go(coordinator, task);
}

/* ------------------------------------------------------------------ join, leave, cancel ---- */

static struct task *find_same(const snug_coordinator *coordinator, const snug_request *request) {
	for (struct task *task = coordinator->first_task; task != NULL; task = task->next) {
		if (task->origin != SNUG_ORIGIN_CALLER || task->cancelled) continue;
		if (request_is_question(request) && task->asked) continue;
		if (request_is_same(&task->request, request)) return task;
	}
	return NULL;
}

/* An emergency's own target is not looked at: the task's has none. */
static snug_request normal_form(const snug_request *request) {
	snug_request normal = *request;
	if (normal.kind == SNUG_REQUEST_EMERGENCY) normal.options.target_bytes = SNUG_NO_BUDGET;
	return normal;
}

void task_for(snug_coordinator *coordinator, struct ticket_slot *slot) {
	snug_request request = normal_form(&slot->request);
	struct task *task = find_same(coordinator, &request);
	slot->joined = task != NULL;
	if (slot->joined)
		count_one(&coordinator->counters.joins);
	else
		task = task_new(coordinator, &request, request_priority(&request), SNUG_ORIGIN_CALLER);
	SNUG_ASSERT(slot->task == NULL);
	slot->task = task;
	slot->next = task->askers;
	task->askers = slot;
	if (!slot->joined) task_begin(coordinator, task);
}

void task_leave(snug_coordinator *coordinator, struct ticket_slot *slot) {
	struct task *task = slot->task;
	SNUG_ASSERT(task != NULL && task->askers != NULL);
	if (task->askers == slot && slot->next == NULL) {
		task_cancel(coordinator, task, SNUG_ERROR_CANCELLED);
		return;
	}
	struct ticket_slot **link = &task->askers;
	while (*link != slot) link = &(*link)->next;
	*link = slot->next;
	answer_at_once(coordinator, slot, SNUG_ERROR_CANCELLED, 0);
}

void task_cancel(snug_coordinator *coordinator, struct task *task, snug_error error) {
	if (task->cancelled || task->open == 0) return;
	task_hold(task);
	task->cancelled = true;
	task->cancel_error = error;
	for (uint32_t worker = 0; worker < coordinator->worker_count; worker++) {
		part_cancel(coordinator, &task->parts[worker]);
	}
	task_let_go(coordinator, task);
}

void tasks_cancel(snug_coordinator *coordinator, snug_error error) {
	for (struct task *task = coordinator->first_task; task != NULL; task = task->next)
		task_cancel(coordinator, task, error);
}

/* ------------------------------------------------------------------ end -------------------- */

static struct task *take_ended(snug_coordinator *coordinator) {
	struct task *task = coordinator->first_ended;
	if (task == NULL) return NULL;
	SNUG_ASSERT(task->open == 0);
	coordinator->first_ended = task->next_ended;
	if (task->next_ended == NULL) coordinator->last_ended = NULL;
	return task;
}

struct task *tasks_next_ended(snug_coordinator *coordinator) {
	struct task *task;
	while ((task = take_ended(coordinator)) != NULL) {
		bool emergency = task->request.kind == SNUG_REQUEST_EMERGENCY && !task->cancelled;
		if (!emergency || !emergency_continue(coordinator, task)) return task;
	}
	return NULL;
}

void task_end(snug_coordinator *coordinator, struct task *task, const snug_response *response) {
	SNUG_ASSERT(task->open == 0 && coordinator->first_ended != task);
	list_remove(coordinator, task);
	task_answer(coordinator, task, response);
	task->next = coordinator->free_tasks;
	coordinator->free_tasks = task;
}
