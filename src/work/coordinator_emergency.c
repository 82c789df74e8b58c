/* work/coordinator_emergency.c: min_bytes from several workers, by the mildest means that do.
 *
 *     one worker:   its own job does all of it: compacts, and evicts if it must and may (worker_emergency.c)
 *     several:      ASK      what could each reclaim without eviction?
 *                   COMPACT  shares by that, nobody evicts; what is missing then is shared by those that met their share
 *                   EVICT    only if it may: what is still missing, by payload, the same way
 *
 * Shares are whole pages (shares.h), so that all together gain less than a page more than was asked for, and a worker is not made to evict
 * what another could have had by compaction. It ends: each round gains at least a page, or leaves fewer workers willing,
 * and EVICT follows COMPACT once. Clients may take and give meanwhile, so an estimate may fail; that is what the further rounds are for. */
#include "base/assert.h"
#include "work/coordination.h"
#include "work/shares.h"

static bool is_asked(const struct task_part *part) {
	return part->state != PART_UNUSED;
}

uint64_t emergency_gained(const snug_coordinator *coordinator, const struct task *task) {
	uint64_t bytes = 0;
	for (uint32_t worker = 0; worker < coordinator->worker_count; worker++)
		bytes += task->parts[worker].result.report.reclaimed_bytes;
	return bytes;
}

/* What the answer says for the next round. Only who met his share may have more. */
void emergency_note(struct task_part *part, const struct job *job) {
	const snug_stats *stats = job->kind == JOB_ESTIMATE ? &job->stats.pools : &job->report.after;
	part->page_bytes = stats->page_bytes;
	part->slab_bytes = stats->total.slab_bytes;
	part->payload_bytes = stats->total.payload_bytes;
	if (job->kind == JOB_ESTIMATE) {
		part->can_bytes = job->estimate.reclaimable_bytes;
		part->result.report = (snug_report){/* should no share come to it, this is all there is to say of it */
											.outcome = SNUG_OUTCOME_NOTHING,
											.complete = true,
											.before = *stats,
											.after = *stats};
	}
	uint64_t gained_bytes = part->result.report.reclaimed_bytes - part->before_bytes;
	part->willing = part->page_bytes > 0 && (job->kind == JOB_ESTIMATE || gained_bytes >= part->min_bytes);
}

void emergency_begin(snug_coordinator *coordinator, struct task *task) {
	bool alone = task->request.worker != SNUG_ALL_WORKERS || coordinator->worker_count == 1;
	task->round = ROUND_ASK;
	for (uint32_t worker = 0; worker < coordinator->worker_count; worker++) {
		struct task_part *part = &task->parts[worker];
		if (task->request.worker != SNUG_ALL_WORKERS && task->request.worker != worker) continue;
		if (alone) task->round = ROUND_EVICT;
		part->ask = alone ? JOB_EMERGENCY : JOB_ESTIMATE;
		part->min_bytes = task->request.min_bytes;
		part->may_evict = task->request.may_evict;
		task_hold(task);
		part_queue(coordinator, part, alone ? (uint32_t)JOB_PRIORITY_EMERGENCY : LANE_QUESTIONS);
	}
}

/* ------------------------------------------------------------------ weights ---------------- */

/* The first share of compaction: by the estimates. What they do not reach may come of merging classes, of which they know nothing: it is
 * asked of all by their slabs. */
static void share_by_estimate(const struct task *task, uint32_t count, uint64_t missing_bytes, uint64_t *shares) {
	uint64_t weights[SNUG_WORKERS_MAX] = {0};
	uint64_t pages[SNUG_WORKERS_MAX] = {0};
	uint64_t sure_bytes = 0;
	for (uint32_t worker = 0; worker < count; worker++) {
		const struct task_part *part = &task->parts[worker];
		pages[worker] = part->page_bytes;
		weights[worker] = part->willing ? part->can_bytes : 0;
		sure_bytes += weights[worker];
	}
	if (sure_bytes >= missing_bytes) {
		divide_shares(missing_bytes, weights, pages, count, shares);
		return;
	}
	uint64_t more[SNUG_WORKERS_MAX];
	for (uint32_t worker = 0; worker < count; worker++) {
		shares[worker] = weights[worker];
		weights[worker] = task->parts[worker].willing ? task->parts[worker].slab_bytes : 0;
	}
	divide_shares(missing_bytes - sure_bytes, weights, pages, count, more);
	for (uint32_t worker = 0; worker < count; worker++) shares[worker] += more[worker];
}

static void share_among_willing(const struct task *task, uint32_t count, uint64_t missing_bytes, bool evict,
								uint64_t *shares) {
	uint64_t weights[SNUG_WORKERS_MAX] = {0};
	uint64_t pages[SNUG_WORKERS_MAX] = {0};
	for (uint32_t worker = 0; worker < count; worker++) {
		const struct task_part *part = &task->parts[worker];
		pages[worker] = part->page_bytes;
		if (part->willing) weights[worker] = evict ? part->payload_bytes : part->slab_bytes;
	}
	divide_shares(missing_bytes, weights, pages, count, shares);
}

/* ------------------------------------------------------------------ rounds ----------------- */

/* Asks everybody for his share; false: there are none. */
static bool ask_shares(snug_coordinator *coordinator, struct task *task, const uint64_t *shares) {
	bool any = false;
	task_hold(task);
	for (uint32_t worker = 0; worker < coordinator->worker_count; worker++) {
		struct task_part *part = &task->parts[worker];
		if (!is_asked(part) || shares[worker] == 0) continue;
		any = true;
		part->ask = JOB_EMERGENCY;
		part->min_bytes = shares[worker];
		part->before_bytes = part->result.report.reclaimed_bytes;
		part->may_evict = task->round == ROUND_EVICT;
		part->willing = false;
		task_hold(task);
		part_queue(coordinator, part, JOB_PRIORITY_EMERGENCY);
	}
	if (any)
		task_let_go(coordinator, task);
	else
		task->open--;
	return any;
}

/* All that answered may be asked to evict, whatever compaction gave. */
static void begin_evicting(struct task *task, uint32_t count) {
	task->round = ROUND_EVICT;
	for (uint32_t worker = 0; worker < count; worker++) {
		struct task_part *part = &task->parts[worker];
		part->willing = part->page_bytes > 0 && part->result.error == SNUG_OK;
	}
}

static bool is_alone(const snug_coordinator *coordinator, const struct task *task) {
	return task->request.worker != SNUG_ALL_WORKERS || coordinator->worker_count == 1;
}

bool emergency_continue(snug_coordinator *coordinator, struct task *task) {
	uint64_t shares[SNUG_WORKERS_MAX] = {0};
	uint32_t count = coordinator->worker_count;
	uint64_t gained_bytes = emergency_gained(coordinator, task);
	if (is_alone(coordinator, task) || gained_bytes >= task->request.min_bytes) return false;
	uint64_t missing_bytes = task->request.min_bytes - gained_bytes;
	if (task->round == ROUND_ASK) {
		task->round = ROUND_COMPACT;
		share_by_estimate(task, count, missing_bytes, shares);
		if (ask_shares(coordinator, task, shares)) return true;
	} else {
		share_among_willing(task, count, missing_bytes, task->round == ROUND_EVICT, shares);
		if (ask_shares(coordinator, task, shares)) return true;
	}
	if (task->round == ROUND_EVICT || !task->request.may_evict) return false;
	begin_evicting(task, count);
	share_among_willing(task, count, missing_bytes, true, shares);
	return ask_shares(coordinator, task, shares);
}
