/* work/coordinator/coordinator_answers.c: what askers are told, and what is written down of it.
 *
 *     parts, one a worker --join--> response --copy--> each asker's slot, with the parts
 *                                      \-----------> audit, one entry for each asker; log
 *
 * When a task has ended its parts are joined to one response, of which each asker gets a copy, with
 * the parts. The audit is written first: who has the answer finds it there (law R7).
 *
 * THE ERROR of a response is the first that applies: an emergency that met its goal is OK whatever
 * happened on the way; why it was cancelled; the first part's error; GOAL or NO_MEMORY of an
 * emergency. It is CANCELLED only if something was left undone. */
#include "base/assert.h"
#include "base/bits.h"
#include "base/log_line.h"
#include "work/coordinator/coordination.h"

#include <stdio.h>

/* ------------------------------------------------------------------ the response ----------- */

static bool has_report(const snug_part *part) {
	return part->report.before.limit_bytes != 0;
}

static bool has_report_joined(const snug_response *response) {
	return response->report.before.limit_bytes != 0;
}

static void join_part(snug_response *response, const snug_part *part) {
	bool first = response->parts == 0;
	SNUG_ASSERT(part->worker >= response->parts); /* in their order */
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
	SNUG_ASSERT(response->complete == !response->error);
}

void task_response(const snug_coordinator *coordinator, const struct task *task,
				   snug_response *response) {
	SNUG_ASSERT(task->open == 0);
	*response = (snug_response){.kind = task->request.kind, .complete = true};
	for (uint32_t worker = 0; worker < coordinator->worker_count; worker++) {
		if (task->parts[worker].state != PART_UNUSED)
			join_part(response, &task->parts[worker].result);
	}
	if (!response->complete && task->cancelled) response->error = task->cancel_error;
	if (!request_is_question(&task->request)) {
		if (!has_report_joined(response)) response->report.outcome = SNUG_OUTCOME_CANCELLED;
		response->report.complete = response->complete;
	}
	if (task->request.kind == SNUG_REQUEST_EMERGENCY)
		set_emergency_result(coordinator, task, response);
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
	snug_log_line(
		&coordinator->options.log, SNUG_LOG_INFO,
		"coordinator: %llu: %s (%s, %s) on %s%s: %s%s%s; %llu bytes reclaimed, %llu returned in "
		"%llu us",
		(unsigned long long)entry->id, snug_request_kind_text(entry->kind),
		snug_priority_text(entry->priority), snug_origin_text(entry->origin),
		text_of_worker(entry->worker, worker, sizeof worker), entry->joined ? ", joined" : "",
		entry->refused ? "refused: " : "", entry->error ? snug_error_text(entry->error) : "",
		!entry->error ? (reports ? snug_outcome_text(entry->outcome) : "answered") : "",
		(unsigned long long)entry->reclaimed_bytes, (unsigned long long)entry->returned_bytes,
		(unsigned long long)(entry->total_ns / 1000));
}

static snug_audit_entry entry_of(const snug_request *request, snug_priority priority,
								 const snug_response *response) {
	SNUG_ASSERT(response->kind == request->kind && priority < SNUG_PRIORITY_COUNT);
	bool reports =
		request->kind == SNUG_REQUEST_DEFRAGMENT || request->kind == SNUG_REQUEST_EMERGENCY;
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
static void answer(snug_coordinator *coordinator, struct ticket_slot *slot,
				   const snug_response *response) {
	SNUG_ASSERT(response->parts <= coordinator->worker_count);
	slot->response = *response;
	slot->response.joined = slot->joined;
	slot->response.total_ns = os_now_ns() - slot->submitted_ns;
	snug_audit_entry entry =
		entry_of(&slot->request, request_priority(&slot->request), &slot->response);
	entry.ticket = slot->ticket;
	entry.submitted_ns = slot->submitted_ns;
	entry.submitted_s = slot->submitted_s;
	write_down(coordinator, &entry);
	/* after `requests` */
	atomic_fetch_add_explicit(&coordinator->counters.answers, 1, memory_order_release);
	ticket_answer(&coordinator->tickets, slot);
}

void answer_at_once(snug_coordinator *coordinator, struct ticket_slot *slot, snug_error error,
					uint64_t schedule) {
	snug_response response = {
		.kind = slot->request.kind, .error = error, .complete = !error, .schedule = schedule};
	if (error) response.report.outcome = SNUG_OUTCOME_CANCELLED;
	answer(coordinator, slot, &response);
}

void audit_refusal(snug_coordinator *coordinator, snug_request_kind kind, uint32_t worker,
				   snug_error error) {
	snug_audit_entry entry = {.kind = kind, .worker = worker, .error = error, .refused = 1};
	entry.priority = request_priority(&(snug_request){.kind = kind});
	entry.outcome = SNUG_OUTCOME_COUNT;
	entry.submitted_ns = os_now_ns();
	entry.submitted_s = coordinator->world.clock.now_s(coordinator->world.clock.context);
	write_down(coordinator, &entry);
}

/* ------------------------------------------------------------------ a task's answers ------- */

static void copy_parts(const snug_coordinator *coordinator, const struct task *task,
					   snug_part *parts) {
	for (uint32_t worker = 0; worker < coordinator->worker_count; worker++) {
		if (task->parts[worker].state != PART_UNUSED) *parts++ = task->parts[worker].result;
	}
}

/* Runs that nobody asked for have one entry of their own. */
static void write_unasked(snug_coordinator *coordinator, const struct task *task,
						  const snug_response *response) {
	snug_response timed = *response;
	timed.total_ns = os_now_ns() - task->begin_ns;
	snug_audit_entry entry = entry_of(&task->request, task->priority, &timed);
	entry.origin = task->origin;
	entry.submitted_ns = task->begin_ns;
	entry.submitted_s = task->begin_s;
	write_down(coordinator, &entry);
}

void task_answer(snug_coordinator *coordinator, struct task *task, const snug_response *response) {
	if (task->origin != SNUG_ORIGIN_CALLER) write_unasked(coordinator, task, response);
	while (task->askers != NULL) {
		struct ticket_slot *slot = task->askers;
		task->askers = slot->next;
		copy_parts(coordinator, task, slot->parts);
		answer(coordinator, slot, response);
	}
}
