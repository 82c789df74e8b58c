/* work/coordinator/coordinator_upkeep.c: each tick, once a second: is background cleanup wanted
 * (pressure.h), and does each worker turn?
 *
 * It reads what the workers have published and what the kernel says of memory: some fifty
 * microseconds, and no worker is woken. There is no tick at all where there is nobody to do it for:
 * background cleanup is off and no log takes warnings (law R10).
 *
 * What a worker has free, and nothing has used for some seconds, is given back (spare.h): for that
 * each tick notes what its heap needs and allocates.
 *
 * DUTY. A run may use duty_ppm of a tick; what it used, the next one waits for in proportion. (The
 * worker's own duty cycle holds too, while it serves; this one holds also when it is idle.) A run
 * that gains nothing doubles the wait before the next, up to 64 ticks (law R9); one that its budget
 * cut short does not, for it may have moved what the next one gains by.
 *
 * WATCHDOG. A worker that stands still is told in the log, once when it begins and once when it
 * ends, and is not asked for anything meanwhile. */
#include "base/assert.h"
#include "base/bits.h"
#include "base/log_line.h"
#include "work/coordinator/coordination.h"

#define MILLION UINT64_C(1000000)
#define TICK_PARTS 1000u
#define FAILURES_MAX 6u /* 2^6 ticks */
/* A run's budget is a sixteenth less than its share of a tick: its last step may exceed it, and
 * then the next tick would come too soon. */
#define BUDGET_PARTS 16u

static bool hears_warnings(const snug_log *log) {
	return log->write != NULL && log->level >= SNUG_LOG_WARNING;
}

void upkeep_init(snug_coordinator *coordinator) {
	const snug_coordinator_options *options = &coordinator->options;
	bool ticks = options->background.on || hears_warnings(&options->log);
	coordinator->tick_ns = ticks ? os_now_ns() : SNUG_FOREVER;
	if (options->background.on)
		machine_init(&coordinator->machine, &coordinator->world.files, &options->log);
}

/* ------------------------------------------------------------------ watchdog --------------- */

static void watch(snug_coordinator *coordinator, uint32_t worker, bool stalled, uint64_t now_ns) {
	struct upkeep *upkeep = &coordinator->upkeep[worker];
	const snug_log *log = &coordinator->options.log;
	if (upkeep->stalled == stalled) return;
	upkeep->stalled = stalled;
	if (stalled)
		snug_log_line(log, SNUG_LOG_WARNING, "coordinator: worker %u has not turned for a second",
					  worker);
	else
		snug_log_line(log, SNUG_LOG_WARNING,
					  "coordinator: worker %u turns again, some %.1f s after that", worker,
					  (double)(now_ns - upkeep->stalled_ns) / NS_PER_SECOND);
	upkeep->stalled_ns = now_ns;
}

/* ------------------------------------------------------------------ background ------------- */

static void begin_run(snug_coordinator *coordinator, uint32_t worker,
					  const struct cleanup_wish *wish) {
	struct upkeep *upkeep = &coordinator->upkeep[worker];
	snug_request request = snug_request_default(SNUG_REQUEST_DEFRAGMENT);
	SNUG_ASSERT(upkeep->task == NULL && !upkeep->stalled);
	request.worker = worker;
	request.options.budget_ns = coordinator->world.tick_ns / BUDGET_PARTS * (BUDGET_PARTS - 1) *
								coordinator->options.background.duty_ppm / MILLION;
	request.options.target_bytes = wish->target_bytes;
	request.options.retain_bytes = wish->retain_bytes;
	request.options.return_bytes = wish->return_bytes;
	struct task *task =
		task_new(coordinator, &request, SNUG_PRIORITY_BACKGROUND, SNUG_ORIGIN_BACKGROUND);
	SNUG_ASSERT(request.options.budget_ns > 0 && request.options.target_bytes > 0);
	task->upkeep = upkeep;
	upkeep->task = task;
	count_one(&coordinator->counters.background_runs);
	if (wish->spare) count_one(&coordinator->counters.spare_runs);
	task_begin(coordinator, task);
}

void upkeep_task_ended(snug_coordinator *coordinator, struct upkeep *upkeep,
					   const snug_response *response) {
	const snug_report *report = &response->report;
	bool gained = report->reclaimed_bytes + report->returned_bytes > 0;
	/* it may have moved what the next one gains by */
	bool cut = report->outcome == SNUG_OUTCOME_BUDGET;
	SNUG_ASSERT(upkeep->failures <= FAILURES_MAX);
	uint64_t begin_ns = upkeep->task->begin_ns;
	upkeep->task = NULL;
	upkeep->failures = gained || cut ? 0 : (uint32_t)smaller(upkeep->failures + 1, FAILURES_MAX);
	uint64_t pause_ns = report->work_ns * MILLION / coordinator->options.background.duty_ppm;
	uint64_t wait_ns = upkeep->failures > 0 ? coordinator->world.tick_ns << upkeep->failures : 0;
	/* from its begin on: so a run a tick is within the duty */
	upkeep->pause_until_ns = begin_ns + larger(wait_ns, pause_ns);
}

/* A worker that stands still is not asked. */
static void clean_up(snug_coordinator *coordinator, uint32_t worker, const snug_worker_stats *stats,
					 uint64_t now_ns) {
	struct upkeep *upkeep = &coordinator->upkeep[worker];
	const snug_background *thresholds = &coordinator->options.background;
	/* A tick is a second, in tests perhaps less. */
	uint64_t spare_ns =
		now_ns / (coordinator->world.tick_ns / TICK_PARTS) * (NS_PER_SECOND / TICK_PARTS);
	uint64_t kept_bytes =
		spare_look(&upkeep->spare, &stats->heap, thresholds->retain_bytes, spare_ns);
	struct cleanup_wish wish = cleanup_wish_of(upkeep->wanted, thresholds, &stats->heap,
											   coordinator->machine.pressed, kept_bytes);
	upkeep->wanted = wish.on;
	bool may = upkeep->task == NULL && now_ns >= upkeep->pause_until_ns && !stats->stalled &&
			   !coordinator->stopping;
	if (wish.run && may) begin_run(coordinator, worker, &wish);
}

void upkeep_tick(snug_coordinator *coordinator, uint64_t now_ns) {
	if (now_ns < coordinator->tick_ns) return;
	const snug_coordinator_options *options = &coordinator->options;
	coordinator->tick_ns = now_ns + coordinator->world.tick_ns;
	if (options->background.on) {
		bool pressed = machine_look(&coordinator->machine, &options->background, &options->log);
		atomic_store_explicit(&coordinator->counters.machine_pressure, pressed,
							  memory_order_relaxed);
	}
	for (uint32_t worker = 0; worker < coordinator->worker_count; worker++) {
		snug_worker_stats stats;
		if (snug_workers_stats(coordinator->workers, worker, &stats) != SNUG_OK) continue;
		watch(coordinator, worker, stats.stalled, now_ns);
		if (options->background.on) clean_up(coordinator, worker, &stats, now_ns);
	}
}
