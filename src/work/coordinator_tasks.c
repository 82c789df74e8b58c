/* work/coordinator_tasks.c: a task from its beginning to its askers' answers.
 *
 * A task has a part for each worker concerned. It ends when its last part has ended: then the parts are joined to one response, of
 * which each asker gets a copy, with the parts, on his own ticket. Whoever cancels leaves; when the last asker has left, what waits is
 * dropped, what is out is told to end, and he is answered when it has: with what was gained until then.
 *
 * THE ERROR of a response is the first that applies: an emergency that met its goal is OK whatever happened on the way; why it was cancelled;
 * the first part's error; GOAL or NO_MEMORY of an emergency. It is CANCELLED only if something was left undone. */
#include "base/assert.h"
#include "base/bits.h"
#include "base/log_line.h"
#include "work/coordination.h"
#include "work/join_reports.h"
#include "work/requests.h"

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
}

static void list_remove(snug_coordinator *coordinator, struct task *task) {
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

struct task *task_new(snug_coordinator *coordinator, const snug_request *request, snug_priority priority,
					  snug_origin origin) {
	struct task *task = coordinator->free_tasks;
	SNUG_ASSERT(task != NULL);
	coordinator->free_tasks = task->next;
	struct task_part *parts = task->parts;
	*task = (struct task){.request = *request, .priority = priority, .origin = origin, .parts = parts};
	if (request->kind == SNUG_REQUEST_EMERGENCY) task->request.options.target_bytes = SNUG_NO_BUDGET;
	task->begin_ns = os_now_ns();
	task->begin_s = coordinator->world.clock.now_s(coordinator->world.clock.context);
	for (uint32_t worker = 0; worker < coordinator->worker_count; worker++) {
		parts[worker] = (struct task_part){.task = task, .result = {.worker = worker}};
		if (!request_is_question(request)) parts[worker].result.report.outcome = SNUG_OUTCOME_CANCELLED;
	}
	list_append(coordinator, task);
	return task;
}

/* ------------------------------------------------------------------ begin ------------------ */

void task_hold(struct task *task) {
	task->open++;
}

static enum job_kind job_of(const snug_request *request) {
	if (request->kind == SNUG_REQUEST_METRICS) return JOB_METRICS;
	return request->kind == SNUG_REQUEST_ESTIMATE ? JOB_ESTIMATE : JOB_DEFRAGMENT;
}

void task_begin(snug_coordinator *coordinator, struct task *task) {
	task_hold(task);
	if (task->request.kind == SNUG_REQUEST_EMERGENCY) {
		emergency_begin(coordinator, task);
	} else {
		uint32_t lane = request_is_question(&task->request) ? LANE_QUESTIONS : (uint32_t)task->priority;
		for (uint32_t worker = 0; worker < coordinator->worker_count; worker++) {
			if (!concerns(task, worker)) continue;
			task_hold(task);
			task->parts[worker].ask = job_of(&task->request);
			part_queue(coordinator, &task->parts[worker], lane);
		}
	}
	task_let_go(coordinator, task);
}

/* ------------------------------------------------------------------ the response ----------- */

static bool has_report(const snug_part *part) {
	return part->report.before.limit_bytes != 0;
}

static bool has_report_joined(const snug_response *response) {
	return response->report.before.limit_bytes != 0;
}

static void join_part(snug_response *response, const snug_part *part) {
	bool first = response->parts == 0;
	if (has_report(part) && !has_report_joined(response))
		response->report = part->report;
	else if (has_report(part))
		join_report_of_workers(&response->report, &part->report);
	if (first)
		response->estimate = part->estimate;
	else
		join_estimate_of_workers(&response->estimate, &part->estimate);
	if (first)
		response->stats = part->stats.heap;
	else
		join_stats_of_workers(&response->stats, &part->stats.heap);
	response->evicted_bytes += part->evicted_bytes;
	response->evicted_objects += part->evicted_objects;
	response->complete = response->complete && part->error == SNUG_OK && part->complete;
	if (!response->error) response->error = part->error;
	response->parts++;
}

static void set_emergency_result(const snug_coordinator *coordinator, const struct task *task,
								 snug_response *response) {
	response->possible_bytes = task->possible_bytes;
	response->complete = emergency_gained(coordinator, task) >= task->request.min_bytes;
	if (response->complete) {
		response->error = SNUG_OK;
		response->report.outcome = SNUG_OUTCOME_TARGET;
	} else if (task->cancelled) {
		response->error = task->cancel_error;
	} else if (!response->error) {
		response->error = emergency_is_refused(task) ? SNUG_ERROR_GOAL : SNUG_ERROR_NO_MEMORY;
	}
	response->report.complete = response->complete;
}

static void join_parts(const snug_coordinator *coordinator, const struct task *task, snug_response *response) {
	*response = (snug_response){.kind = task->request.kind, .complete = true};
	for (uint32_t worker = 0; worker < coordinator->worker_count; worker++) {
		if (task->parts[worker].state != PART_UNUSED) join_part(response, &task->parts[worker].result);
	}
	if (!response->complete && task->cancelled) response->error = task->cancel_error;
	if (!request_is_question(&task->request)) {
		if (!has_report_joined(response)) response->report.outcome = SNUG_OUTCOME_CANCELLED;
		response->report.complete = response->complete;
	}
	if (task->request.kind == SNUG_REQUEST_EMERGENCY) set_emergency_result(coordinator, task, response);
}

/* ------------------------------------------------------------------ audit ------------------ */

static const char *text_of_worker(uint32_t worker, char *text, size_t room) {
	if (worker == SNUG_ALL_WORKERS) return "all workers";
	snprintf(text, room, "worker %u", worker);
	return text;
}

static void write_down(snug_coordinator *coordinator, snug_audit_entry *entry) {
	char worker[24];
	audit_write(&coordinator->audit, entry);
	bool reports = entry->outcome != SNUG_OUTCOME_COUNT;
	snug_log_line(&coordinator->options.log, SNUG_LOG_INFO,
				  "coordinator: %llu: %s (%s, %s) on %s%s: %s%s%s; %llu bytes reclaimed, %llu returned in %llu us",
				  (unsigned long long)entry->id, snug_request_kind_text(entry->kind),
				  snug_priority_text(entry->priority), snug_origin_text(entry->origin),
				  text_of_worker(entry->worker, worker, sizeof worker), entry->joined ? ", joined" : "",
				  entry->refused ? "refused: " : "", entry->error ? snug_error_text(entry->error) : "",
				  !entry->error ? (reports ? snug_outcome_text(entry->outcome) : "answered") : "",
				  (unsigned long long)entry->reclaimed_bytes, (unsigned long long)entry->returned_bytes,
				  (unsigned long long)(entry->total_ns / 1000));
}

static snug_audit_entry entry_of(const snug_request *request, snug_priority priority, const snug_response *response) {
	bool reports = request->kind == SNUG_REQUEST_DEFRAGMENT || request->kind == SNUG_REQUEST_EMERGENCY;
	return (snug_audit_entry){
		.kind = request->kind,
		.priority = priority,
		.worker = request->worker,
		.joined = response->joined,
		.total_ns = response->total_ns,
		.error = response->error,
		.outcome = reports ? response->report.outcome : SNUG_OUTCOME_COUNT,
		.complete = response->complete,
		.reclaimed_bytes = response->report.reclaimed_bytes,
		.returned_bytes = response->report.returned_bytes,
		.evicted_bytes = response->evicted_bytes,
	};
}

/* The audit first: who has the answer finds it there. */
static void answer(snug_coordinator *coordinator, struct ticket_slot *slot, const snug_response *response) {
	slot->response = *response;
	slot->response.joined = slot->joined;
	slot->response.total_ns = os_now_ns() - slot->submitted_ns;
	snug_audit_entry entry = entry_of(&slot->request, request_priority(&slot->request), &slot->response);
	entry.ticket = slot->ticket;
	entry.submitted_ns = slot->submitted_ns;
	entry.submitted_s = slot->submitted_s;
	write_down(coordinator, &entry);
	atomic_fetch_add_explicit(&coordinator->counters.answers, 1, memory_order_release); /* after `requests` */
	ticket_answer(&coordinator->tickets, slot);
}

void answer_at_once(snug_coordinator *coordinator, struct ticket_slot *slot, snug_error error, uint64_t schedule) {
	snug_response response = {.kind = slot->request.kind, .error = error, .complete = !error, .schedule = schedule};
	if (error) response.report.outcome = SNUG_OUTCOME_CANCELLED;
	answer(coordinator, slot, &response);
}

void audit_refusal(snug_coordinator *coordinator, snug_request_kind kind, uint32_t worker, snug_error error) {
	snug_audit_entry entry = {.kind = kind, .worker = worker, .error = error, .refused = 1};
	entry.priority = request_priority(&(snug_request){.kind = kind});
	entry.outcome = SNUG_OUTCOME_COUNT;
	entry.submitted_ns = os_now_ns();
	entry.submitted_s = coordinator->world.clock.now_s(coordinator->world.clock.context);
	write_down(coordinator, &entry);
}

/* ------------------------------------------------------------------ end -------------------- */

static void copy_parts(const snug_coordinator *coordinator, const struct task *task, snug_part *parts) {
	for (uint32_t worker = 0; worker < coordinator->worker_count; worker++) {
		if (task->parts[worker].state != PART_UNUSED) *parts++ = task->parts[worker].result;
	}
}

/* Runs that nobody asked for have one entry of their own. */
static void end_unasked(snug_coordinator *coordinator, struct task *task, snug_response *response) {
	response->total_ns = os_now_ns() - task->begin_ns;
	snug_audit_entry entry = entry_of(&task->request, task->priority, response);
	entry.origin = task->origin;
	entry.submitted_ns = task->begin_ns;
	entry.submitted_s = task->begin_s;
	write_down(coordinator, &entry);
	if (task->plan != NULL) plan_task_ended(coordinator, task->plan, response);
	if (task->upkeep != NULL) upkeep_task_ended(coordinator, task->upkeep, response);
}

static void end(snug_coordinator *coordinator, struct task *task) {
	snug_response response;
	join_parts(coordinator, task, &response);
	list_remove(coordinator, task);
	if (task->origin != SNUG_ORIGIN_CALLER) end_unasked(coordinator, task, &response);
	while (task->askers != NULL) {
		struct ticket_slot *slot = task->askers;
		task->askers = slot->next;
		copy_parts(coordinator, task, slot->parts);
		answer(coordinator, slot, &response);
	}
	task->next = coordinator->free_tasks;
	coordinator->free_tasks = task;
}

void task_let_go(snug_coordinator *coordinator, struct task *task) {
	SNUG_ASSERT(task->open > 0);
	if (--task->open > 0) return;
	bool emergency = task->request.kind == SNUG_REQUEST_EMERGENCY && !task->cancelled;
	if (emergency && emergency_continue(coordinator, task)) return;
	end(coordinator, task);
}

void task_part_ended(snug_coordinator *coordinator, struct task_part *part) {
	task_let_go(coordinator, part->task);
}

/* ------------------------------------------------------------------ join, leave, cancel ---- */

/* A question that was asked of anybody is not joined: part of the answer may be older than this asker. */
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
	slot->task = task;
	slot->next = task->askers;
	task->askers = slot;
	if (!slot->joined) task_begin(coordinator, task);
}

void task_leave(snug_coordinator *coordinator, struct ticket_slot *slot) {
	struct task *task = slot->task;
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
	if (task->cancelled) return;
	task_hold(task);
	task->cancelled = true;
	task->cancel_error = error;
	for (uint32_t worker = 0; worker < coordinator->worker_count; worker++) {
		part_cancel(coordinator, &task->parts[worker]);
	}
	task_let_go(coordinator, task);
}

/* Each at most once, and what a cancel ends may be the next one too: so begin anew until all are cancelled. */
void tasks_cancel(snug_coordinator *coordinator, snug_error error) {
	struct task *task = coordinator->first_task;
	while (task != NULL) {
		bool cancelled = task->cancelled;
		if (!cancelled) task_cancel(coordinator, task, error);
		task = cancelled ? task->next : coordinator->first_task;
	}
}
