/* work/coordinator/coordinator_lanes.c: what the coordinator has with each worker: a lane for each
 * priority and one for questions.
 *
 *     part_queue        advance: job filled, sent    the answer
 *     [part] [part] --> first is OUT, job lent --> worker --> result taken, part ENDED, next out
 *        ^                                           |
 *        +-- first in the queue again, after a pause-+  BUSY: somebody else defragments there
 *
 * A worker holds at most one job of each priority, so each lane has one job out at most (law R4),
 * and the others queue here, where they can still be dropped. Questions are answered as soon as
 * they are received; their lane keeps the number of answers on their way bounded.
 *
 * The coordinator does not wait for a worker: a worker's inbox that stays full for a moment, or a
 * defragmentation of somebody else's in the way (another coordinator's, a hook's), is tried again a
 * little later, while it goes on with the others. A full inbox is waited at for 0.2 ms, because a
 * waiting sender stands in line and one that only tries does not; then it is tried again after 1
 * ms. BUSY is tried again after 1 ms, then 2, 4 .. 64, a hundred times in all, which takes some six
 * seconds; then it is the asker's answer. */
#include "base/assert.h"
#include "base/bits.h"
#include "work/coordinator/coordination.h"

#define SEND_WAIT_NS UINT64_C(200000)
#define RETRY_NS UINT64_C(1000000) /* after a full inbox */
#define BUSY_RETRY_MAX_NS (64 * RETRY_NS)
#define BUSY_RETRIES_MAX 100u /* then it is the asker's answer: after some six seconds */

static struct lane *lane_of(snug_coordinator *coordinator, const struct task_part *part) {
	SNUG_ASSERT(part->result.worker < coordinator->worker_count && part->lane < LANE_COUNT);
	return &coordinator->lanes[part->result.worker * LANE_COUNT + part->lane];
}

static void set_retry(snug_coordinator *coordinator, struct lane *lane, uint64_t retry_ns) {
	if (lane->retry_ns == 0 && retry_ns != 0) coordinator->retries++;
	if (lane->retry_ns != 0 && retry_ns == 0) coordinator->retries--;
	lane->retry_ns = retry_ns;
	SNUG_ASSERT(coordinator->retries <= coordinator->worker_count * LANE_COUNT);
}

/* ------------------------------------------------------------------ queues ----------------- */

static void push(struct lane *lane, struct task_part *part) {
	SNUG_ASSERT(part != lane->last && part != lane->out);
	part->next = NULL;
	if (lane->first == NULL)
		lane->first = part;
	else
		lane->last->next = part;
	lane->last = part;
}

static void push_front(struct lane *lane, struct task_part *part) {
	SNUG_ASSERT(part != lane->first && part != lane->out);
	part->next = lane->first;
	if (lane->first == NULL) lane->last = part;
	lane->first = part;
}

static void drop(struct lane *lane, struct task_part *part) {
	SNUG_ASSERT(part->state == PART_WAITING);
	struct task_part *before = NULL;
	struct task_part *at = lane->first;
	while (at != part) {
		SNUG_ASSERT(at != NULL);
		before = at;
		at = at->next;
	}
	if (before == NULL)
		lane->first = part->next;
	else
		before->next = part->next;
	if (lane->last == part) lane->last = before;
	part->next = NULL;
}

/* ------------------------------------------------------------------ sending ---------------- */

/* What earlier rounds of an emergency have left of a budget. */
static uint64_t left_of(uint64_t budget, uint64_t used) {
	if (budget == SNUG_NO_BUDGET) return budget;
	return budget > used ? budget - used : 1;
}

static void fill_job(struct job *job, const struct task_part *part) {
	const struct task *task = part->task;
	*job = (struct job){
		.kind = part->ask,
		.priority = (enum job_priority)task->priority,
		.options = task->request.options,
		.min_bytes = part->min_bytes,
		.may_evict = part->may_evict,
	};
	job->options.budget_bytes = left_of(job->options.budget_bytes, part->result.report.moved_bytes);
	job->options.budget_ns = left_of(job->options.budget_ns, part->result.report.work_ns);
	if (task->plan != NULL)
		job->target_fragmentation_ppm = task->request.schedule.target_fragmentation_ppm;
}

static snug_error send_to(snug_coordinator *coordinator, const struct task_part *part,
						  uint16_t kind, struct job *job) {
	uint32_t worker = part->result.worker;
	struct message message = {
		.kind = kind,
		.worker = worker,
		.data = job,
		.reply = kind == MESSAGE_JOB ? coordinator->inbox : NULL,
		.cookie = worker * LANE_COUNT + part->lane,
	};
	return channel_send(workers_inbox(coordinator->workers, worker), &message, SEND_WAIT_NS);
}

/* The worker refused it for good. */
static void fail(snug_coordinator *coordinator, struct task_part *part, snug_error error) {
	SNUG_ASSERT(part->state == PART_WAITING);
	part->result.error = error;
	part->result.complete = false;
	part->state = PART_ENDED;
	task_let_go(coordinator, part->task);
}

static void tell_cancel(snug_coordinator *coordinator, struct lane *lane) {
	SNUG_ASSERT(lane->out != NULL && lane->out->state == PART_OUT);
	snug_error error = send_to(coordinator, lane->out, MESSAGE_JOB_CANCEL, &lane->job);
	lane->cancel_wanted = error == SNUG_ERROR_TIMED_OUT; /* a stopped worker ends it anyway */
	set_retry(coordinator, lane, lane->cancel_wanted ? os_now_ns() + RETRY_NS : 0);
}

/* The first that waits goes out, if none is. */
static void advance(snug_coordinator *coordinator, struct lane *lane) {
	while (lane->out == NULL && lane->first != NULL && lane->retry_ns == 0) {
		struct task_part *part = lane->first;
		fill_job(&lane->job, part);
		snug_error error = send_to(coordinator, part, MESSAGE_JOB, &lane->job);
		if (error == SNUG_ERROR_TIMED_OUT) {
			set_retry(coordinator, lane, os_now_ns() + RETRY_NS);
			return;
		}
		drop(lane, part);
		if (error) {
			fail(coordinator, part, error);
			continue;
		}
		lane->out = part;
		part->state = PART_OUT;
		part->task->asked = true;
		count_one(&coordinator->counters.jobs);
	}
}

void part_queue(snug_coordinator *coordinator, struct task_part *part, uint32_t lane_number) {
	SNUG_ASSERT(part->state != PART_WAITING && part->state != PART_OUT);
	SNUG_ASSERT(part->task->open > 0 && lane_number < LANE_COUNT);
	part->lane = lane_number;
	part->state = PART_WAITING;
	part->refusals = 0;
	struct lane *lane = lane_of(coordinator, part);
	push(lane, part);
	advance(coordinator, lane);
}

void part_cancel(snug_coordinator *coordinator, struct task_part *part) {
	struct lane *lane = lane_of(coordinator, part);
	if (part->state == PART_WAITING) {
		drop(lane, part);
		if (lane->first == NULL && lane->out == NULL) set_retry(coordinator, lane, 0);
		fail(coordinator, part, part->task->cancel_error);
	} else if (part->state == PART_OUT && part->lane != LANE_QUESTIONS && !lane->cancel_wanted) {
		tell_cancel(coordinator, lane);
	}
}

/* ------------------------------------------------------------------ answers ---------------- */

/* Cancelled jobs that had begun are answered OK: by whom they were cancelled, tells why. */
static snug_error error_of(const struct task_part *part, const struct job *job, snug_error error) {
	const struct task *task = part->task;
	bool reports = job->kind == JOB_DEFRAGMENT || job->kind == JOB_EMERGENCY;
	bool cut = error == SNUG_ERROR_CANCELLED ||
			   (error == SNUG_OK && reports && job->report.outcome == SNUG_OUTCOME_CANCELLED);
	if (!cut) return error;
	return task->cancelled ? task->cancel_error : SNUG_ERROR_STOPPED;
}

/* What the answer says for the next round. Only who met his share may have more. */
static void note_for_emergency(struct task_part *part, const struct job *job) {
	part->stats = job->kind == JOB_ESTIMATE ? job->stats.heap : job->report.after;
	/* Should no share come to it, this is all there is to say of it. */
	if (job->kind == JOB_ESTIMATE)
		part->result.report = (snug_report){.outcome = SNUG_OUTCOME_NOTHING,
											.complete = true,
											.before = part->stats,
											.after = part->stats};
	uint64_t gained_bytes = part->result.report.returned_bytes - part->before_bytes;
	part->willing = job->kind == JOB_ESTIMATE || gained_bytes >= part->min_bytes;
}

static void take_result(struct task_part *part, const struct job *job, snug_error error) {
	snug_part *result = &part->result;
	SNUG_ASSERT(part->state == PART_OUT && job->kind == part->ask);
	result->error = error_of(part, job, error);
	result->interruptions += job->interruptions;
	bool answered = error == SNUG_OK;
	switch (job->kind) {
	case JOB_DEFRAGMENT:
		if (answered) result->report = job->report;
		result->complete = answered && job->report.complete;
		break;
	case JOB_EMERGENCY:
		if (answered) join_report_in_time(&result->report, &job->report);
		result->evicted_bytes += job->evicted_bytes;
		result->evicted_objects += job->evicted_objects;
		result->complete = answered && job->report.complete;
		break;
	case JOB_ESTIMATE:
		result->estimate = job->estimate;
		result->complete = answered;
		break;
	case JOB_METRICS:
		result->stats = job->stats;
		result->complete = answered;
		break;
	}
	if (part->task->request.kind == SNUG_REQUEST_EMERGENCY && answered)
		note_for_emergency(part, job);
}

/* Somebody else's defragmentation is in the way. True: it waits for its turn again. */
static bool waits_again(snug_coordinator *coordinator, struct lane *lane, struct task_part *part,
						snug_error error) {
	if (error != SNUG_ERROR_BUSY || part->task->cancelled || part->refusals >= BUSY_RETRIES_MAX)
		return false;
	uint64_t pause_ns = smaller(RETRY_NS << smaller(part->refusals, 6), BUSY_RETRY_MAX_NS);
	part->refusals++;
	part->state = PART_WAITING;
	push_front(lane, part);
	set_retry(coordinator, lane, os_now_ns() + pause_ns);
	return true;
}

void lanes_answer(snug_coordinator *coordinator, const struct message *message) {
	SNUG_ASSERT(message->cookie < (uint64_t)coordinator->worker_count * LANE_COUNT);
	struct lane *lane = &coordinator->lanes[message->cookie];
	struct task_part *part = lane->out;
	SNUG_ASSERT(part != NULL && message->data == &lane->job);
	SNUG_ASSERT(part->state == PART_OUT && lane_of(coordinator, part) == lane);
	lane->out = NULL;
	lane->cancel_wanted = false;
	set_retry(coordinator, lane, 0);
	if (waits_again(coordinator, lane, part, (snug_error)message->error)) return;
	take_result(part, &lane->job, (snug_error)message->error);
	part->state = PART_ENDED;
	task_let_go(coordinator, part->task);
	advance(coordinator, lane);
}

/* ------------------------------------------------------------------ once more -------------- */

void lanes_retry(snug_coordinator *coordinator, uint64_t now_ns) {
	if (coordinator->retries == 0) return;
	for (uint32_t index = 0; index < coordinator->worker_count * LANE_COUNT; index++) {
		struct lane *lane = &coordinator->lanes[index];
		if (lane->retry_ns == 0 || lane->retry_ns > now_ns) continue;
		set_retry(coordinator, lane, 0);
		if (lane->cancel_wanted) tell_cancel(coordinator, lane);
		advance(coordinator, lane);
	}
}

uint64_t lanes_next_ns(const snug_coordinator *coordinator) {
	uint64_t next_ns = SNUG_FOREVER;
	if (coordinator->retries == 0) return next_ns;
	for (uint32_t index = 0; index < coordinator->worker_count * LANE_COUNT; index++) {
		uint64_t retry_ns = coordinator->lanes[index].retry_ns;
		if (retry_ns != 0) next_ns = smaller(next_ns, retry_ns);
	}
	return next_ns;
}
