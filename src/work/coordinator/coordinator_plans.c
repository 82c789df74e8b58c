/* work/coordinator/coordinator_plans.c: schedules: begun when their time comes, ended when it is
 * over.
 *
 * Windows are on the clock on the wall, which may be set at any time: while there is a schedule
 * with windows the coordinator looks at it at least every `look_ns` (a minute), and exactly at the
 * edges that it foresees. Intervals are on the clock that only goes forward.
 *
 *     window     [ begins: a run, if the last one has ended | ends: what still runs is cancelled )
 *                done_until_s: this window has had its run, and begins no other
 *     interval   | run |        | run ....... | left out    | run |        never two at a time
 *
 * A run that its window cuts off ends as the outcome says, without an error: it did what there was
 * time for. A clock that was set back by more than two days makes done_until_s void, or a
 * schedule would not run until then.
 *
 * What is said of a schedule to other threads is published whenever it changes
 * (work/channel/snapshot.h). Its name has the highest bit set, which no ticket has: so a cancel
 * takes either. */
#include "base/assert.h"
#include "base/bits.h"
#include "base/log_line.h"
#include "work/channel/snapshot.h"
#include "work/coordinator/coordination.h"

#define NAME_BIT (UINT64_C(1) << 63) /* never set in a ticket */
#define SECONDS_TWO_DAYS INT64_C(172800)

/* ------------------------------------------------------------------ what is said ----------- */

static int64_t clock_now_s(const snug_coordinator *coordinator) {
	return coordinator->world.clock.now_s(coordinator->world.clock.context);
}

/* 0: not within days. */
static int64_t next_run_s(const snug_coordinator *coordinator, const struct plan *plan) {
	int64_t now_s = clock_now_s(coordinator);
	if (plan->request.schedule.window_count == 0) {
		uint64_t now_ns = os_now_ns();
		if (plan->next_ns == SNUG_FOREVER) return 0;
		return now_s +
			   (int64_t)((plan->next_ns > now_ns ? plan->next_ns - now_ns : 0) / NS_PER_SECOND);
	}
	struct occurrence occurrence;
	int64_t from_s = plan->done_until_s > now_s ? plan->done_until_s : now_s;
	bool any = schedule_occurrence(&plan->request.schedule, &coordinator->world.clock, from_s,
								   &occurrence);
	return any ? occurrence.begin_s : 0;
}

static void publish(snug_coordinator *coordinator, const struct plan *plan) {
	struct published_plan *published = &coordinator->published_plans[plan - coordinator->plans];
	snug_schedule_entry entry;
	memset(&entry, 0, sizeof entry); /* the padding too */
	if (plan->name != 0) {
		entry.name = plan->name;
		entry.schedule = plan->request.schedule;
		entry.runs = plan->runs;
		entry.left_out = plan->left_out;
		entry.reclaimed_bytes = plan->reclaimed_bytes;
		entry.last_s = plan->last_s;
		entry.next_s = next_run_s(coordinator, plan);
		entry.worker = plan->request.worker;
		entry.running = plan->task != NULL;
		entry.last_error = plan->last_error;
	}
	snapshot_write(&published->sequence, published->words, &entry, PLAN_WORDS);
}

/* ------------------------------------------------------------------ begin, end ------------- */

snug_error plan_add(snug_coordinator *coordinator, const snug_request *request, uint64_t *name) {
	for (uint32_t index = 0; index < coordinator->options.schedules; index++) {
		struct plan *plan = &coordinator->plans[index];
		/* one that was ended may still have a run */
		if (plan->name != 0 || plan->task != NULL) continue;
		uint64_t now_ns = os_now_ns();
		*plan = (struct plan){.name = NAME_BIT | ++coordinator->plans_named, .request = *request};
		plan->first_ns = os_deadline_ns(request->schedule.interval_ns);
		plan->next_ns = request->schedule.window_count > 0 ? now_ns : plan->first_ns;
		plan->done_until_s = INT64_MIN;
		coordinator->plans_next_ns = smaller(coordinator->plans_next_ns, plan->next_ns);
		atomic_fetch_add_explicit(&coordinator->counters.schedules, 1, memory_order_relaxed);
		*name = plan->name;
		SNUG_ASSERT((plan->name & NAME_BIT) != 0);
		publish(coordinator, plan);
		return SNUG_OK;
	}
	return SNUG_ERROR_QUEUE_FULL;
}

static void end_plan(snug_coordinator *coordinator, struct plan *plan, snug_error error) {
	SNUG_ASSERT(plan->name != 0);
	plan->name = 0;
	publish(coordinator, plan);
	atomic_fetch_sub_explicit(&coordinator->counters.schedules, 1, memory_order_relaxed);
	if (plan->task != NULL) task_cancel(coordinator, plan->task, error);
}

snug_error plan_end(snug_coordinator *coordinator, uint64_t name) {
	for (uint32_t index = 0; index < coordinator->options.schedules; index++) {
		struct plan *plan = &coordinator->plans[index];
		if (name == 0 || plan->name != name) continue;
		end_plan(coordinator, plan, SNUG_ERROR_CANCELLED);
		return SNUG_OK;
	}
	return SNUG_ERROR_TICKET;
}

void plans_end(snug_coordinator *coordinator) {
	for (uint32_t index = 0; index < coordinator->options.schedules; index++) {
		struct plan *plan = &coordinator->plans[index];
		if (plan->name != 0) end_plan(coordinator, plan, SNUG_ERROR_STOPPED);
	}
	coordinator->plans_next_ns = SNUG_FOREVER;
}

void plan_task_ended(snug_coordinator *coordinator, struct plan *plan,
					 const snug_response *response) {
	SNUG_ASSERT(plan->task != NULL && plan->task->plan == plan && plan->task->open == 0);
	plan->task = NULL;
	plan->runs++;
	plan->reclaimed_bytes += response->report.reclaimed_bytes;
	plan->last_error = response->error;
	if (plan->request.schedule.window_count > 0) { /* the next window may be open already */
		plan->next_ns = os_now_ns();
		coordinator->plans_next_ns = smaller(coordinator->plans_next_ns, plan->next_ns);
	}
	publish(coordinator, plan);
}

/* ------------------------------------------------------------------ runs ------------------- */

static void begin_run(snug_coordinator *coordinator, struct plan *plan) {
	SNUG_ASSERT(plan->task == NULL && plan->name != 0);
	snug_request request = plan->request;
	request.kind = SNUG_REQUEST_DEFRAGMENT;
	struct task *task =
		task_new(coordinator, &request, SNUG_PRIORITY_SCHEDULED, SNUG_ORIGIN_SCHEDULE);
	task->plan = plan;
	plan->task = task;
	plan->last_s = task->begin_s;
	task_begin(coordinator, task);
}

static void look_at_interval(snug_coordinator *coordinator, struct plan *plan, uint64_t now_ns) {
	plan->next_ns = schedule_next_ns(plan->first_ns, plan->request.schedule.interval_ns, now_ns);
	SNUG_ASSERT(plan->next_ns > now_ns);
	if (plan->task == NULL) {
		begin_run(coordinator, plan);
		return;
	}
	plan->left_out++;
	snug_log_line(&coordinator->options.log, SNUG_LOG_INFO,
				  "coordinator: a scheduled run is left out: the last one runs");
}

/* A clock that was set back by days must not keep a schedule from running until then. */
static void look_at_windows(snug_coordinator *coordinator, struct plan *plan, uint64_t now_ns) {
	const struct wall_clock *clock = &coordinator->world.clock;
	int64_t now_s = clock_now_s(coordinator);
	int64_t next_s = plan->done_until_s;
	if (next_s > now_s + SECONDS_TWO_DAYS) next_s = plan->done_until_s = INT64_MIN;
	if (plan->task != NULL && now_s >= plan->done_until_s)
		task_cancel(coordinator, plan->task, SNUG_OK);
	struct occurrence occurrence;
	if (now_s >= plan->done_until_s) {
		bool any = schedule_occurrence(&plan->request.schedule, clock, now_s, &occurrence);
		next_s = any ? occurrence.begin_s : now_s + SECONDS_TWO_DAYS;
		SNUG_ASSERT(!any || occurrence.end_s > occurrence.begin_s);
		if (any && occurrence.begin_s <= now_s && plan->task == NULL) {
			next_s = plan->done_until_s = occurrence.end_s;
			begin_run(coordinator, plan);
		}
	}
	uint64_t ahead_ns =
		next_s > now_s ? (uint64_t)(next_s - now_s) * NS_PER_SECOND : coordinator->world.look_ns;
	plan->next_ns = now_ns + smaller(ahead_ns, coordinator->world.look_ns);
}

void plans_look(snug_coordinator *coordinator, uint64_t now_ns) {
	if (now_ns < coordinator->plans_next_ns) return;
	uint64_t next_ns = SNUG_FOREVER;
	for (uint32_t index = 0; index < coordinator->options.schedules; index++) {
		struct plan *plan = &coordinator->plans[index];
		if (plan->name == 0) continue;
		bool due = now_ns >= plan->next_ns;
		if (due && plan->request.schedule.window_count > 0)
			look_at_windows(coordinator, plan, now_ns);
		if (due && plan->request.schedule.window_count == 0)
			look_at_interval(coordinator, plan, now_ns);
		if (due) publish(coordinator, plan);
		next_ns = smaller(next_ns, plan->next_ns);
	}
	coordinator->plans_next_ns = next_ns;
}
