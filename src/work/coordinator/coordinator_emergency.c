/* work/coordinator/coordinator_emergency.c: min_bytes for the machine from the workers, by the
 * mildest means that do (laws R8 and R9).
 *
 *     ASK      what could each return: free, by compacting, by evicting? If all of it would not
 *              do, the emergency is refused here: nothing was moved, returned or evicted
 *     COMPACT  shares by that, what is free first; nobody evicts. What is missing then is shared
 *              by those that met their share
 *     EVICT    only if it may: what is still missing, by what each has to evict, the same way
 *
 *     8 MiB from       worker 0     worker 1
 *     free             5 MiB        1 MiB           shares of what is free: 5 and 1
 *     by compacting    6            3               of the 2 that are missing: 0.7 and 1.3
 *     in all           5.7          2.3             and nothing is evicted
 *
 * Shares are whole units (shares.h), so that all together return less than a unit more than was
 * asked for, and a worker is not made to evict what another has lying about free. It ends: each
 * round returns at least a page, or leaves fewer workers willing, and EVICT follows COMPACT once.
 * Clients may take and give meanwhile, so an answer of ASK may not hold; that is what the further
 * rounds are for. What merging classes may give is only known when it is tried: a goal that needs
 * it is not refused, and may be missed. */
#include "base/assert.h"
#include "base/bits.h"
#include "work/coordinator/coordination.h"

static bool is_asked(const struct task_part *part) {
	return part->state != PART_UNUSED;
}

static bool has_answered(const struct task_part *part) {
	return is_asked(part) && part->stats.limit_bytes > 0;
}

uint64_t emergency_gained(const snug_coordinator *coordinator, const struct task *task) {
	uint64_t bytes = 0;
	for (uint32_t worker = 0; worker < coordinator->worker_count; worker++)
		bytes += task->parts[worker].result.report.returned_bytes;
	return bytes;
}

void emergency_begin(snug_coordinator *coordinator, struct task *task) {
	SNUG_ASSERT(task->open > 0 && task->request.min_bytes > 0);
	task->round = ROUND_ASK;
	for (uint32_t worker = 0; worker < coordinator->worker_count; worker++) {
		struct task_part *part = &task->parts[worker];
		if (task->request.worker != SNUG_ALL_WORKERS && task->request.worker != worker) continue;
		part->ask = JOB_ESTIMATE;
		task_hold(task);
		part_queue(coordinator, part, LANE_QUESTIONS);
	}
}

/* ------------------------------------------------------------------ can it be met ---------- */

static bool may_evict(const snug_coordinator *coordinator, const struct task *task) {
	return task->request.may_evict && coordinator->workers->options.hook.evict != NULL;
}

/* At most; counts what lies in pools that the options leave out, too. */
static uint64_t possible_bytes(const snug_coordinator *coordinator, const struct task *task) {
	uint64_t bytes = 0;
	bool compacts = task->request.options.mode == SNUG_COMPACT;
	for (uint32_t worker = 0; worker < coordinator->worker_count; worker++) {
		const struct task_part *part = &task->parts[worker];
		if (!has_answered(part)) continue;
		uint64_t most =
			compacts ? goal_merge_bytes(&part->stats) : goal_compact_bytes(&part->stats);
		if (may_evict(coordinator, task)) most = larger(most, goal_evict_bytes(&part->stats));
		bytes += most;
	}
	return bytes;
}

bool emergency_is_refused(const struct task *task) {
	return task->round == ROUND_REFUSED;
}

/* ------------------------------------------------------------------ shares ----------------- */

/* What a worker has to give, of one kind. */
typedef uint64_t (*giver)(const snug_stats *stats);

static uint64_t unit_of(const struct task_part *part) {
	return has_answered(part) ? part->stats.return_unit_bytes : 0;
}

/* Of what all have to give of a kind, each gives in proportion; `*missing_bytes` is what that
 * leaves. */
static void share_kind(const struct task *task, uint32_t count, giver most, giver before,
					   uint64_t *missing_bytes, uint64_t *shares) {
	uint64_t weights[SNUG_WORKERS_MAX] = {0};
	uint64_t units[SNUG_WORKERS_MAX] = {0};
	uint64_t more[SNUG_WORKERS_MAX];
	uint64_t sum_bytes = 0;
	for (uint32_t worker = 0; worker < count; worker++) {
		const struct task_part *part = &task->parts[worker];
		units[worker] = unit_of(part);
		if (!has_answered(part) || !part->willing) continue;
		uint64_t given_bytes = before == NULL ? 0 : before(&part->stats);
		uint64_t most_bytes = most(&part->stats);
		SNUG_ASSERT(units[worker] > 0);
		weights[worker] = most_bytes - smaller(given_bytes, most_bytes);
		sum_bytes += weights[worker];
	}
	divide_shares(smaller(*missing_bytes, sum_bytes), weights, units, count, more);
	for (uint32_t worker = 0; worker < count; worker++) shares[worker] += more[worker];
	*missing_bytes -= smaller(*missing_bytes, sum_bytes);
}

/* What is free, then what compacting gives for certain, then what merging classes may give. */
static void share_mildly(const struct task *task, uint32_t count, uint64_t missing_bytes,
						 uint64_t *shares) {
	share_kind(task, count, goal_free_bytes, NULL, &missing_bytes, shares);
	share_kind(task, count, goal_compact_bytes, goal_free_bytes, &missing_bytes, shares);
	share_kind(task, count, goal_merge_bytes, goal_compact_bytes, &missing_bytes, shares);
}

static void share_evicting(const struct task *task, uint32_t count, uint64_t missing_bytes,
						   uint64_t *shares) {
	share_kind(task, count, goal_evict_bytes, NULL, &missing_bytes, shares);
}

/* ------------------------------------------------------------------ rounds ----------------- */

/* Asks everybody for his share; false: there are none. */
static bool ask_shares(snug_coordinator *coordinator, struct task *task, const uint64_t *shares) {
	bool any = false;
	SNUG_ASSERT(task->open == 0 && !task->cancelled);
	task_hold(task);
	for (uint32_t worker = 0; worker < coordinator->worker_count; worker++) {
		struct task_part *part = &task->parts[worker];
		if (!is_asked(part) || shares[worker] == 0) continue;
		any = true;
		SNUG_ASSERT(has_answered(part) && part->state == PART_ENDED);
		part->ask = JOB_EMERGENCY;
		part->min_bytes = shares[worker];
		part->before_bytes = part->result.report.returned_bytes;
		part->may_evict = task->round == ROUND_EVICT;
		part->willing = false;
		task_hold(task);
		part_queue(coordinator, part, JOB_PRIORITY_EMERGENCY);
	}
	if (any)
		task_let_go(coordinator, task);
	else
		task->open--;
	SNUG_ASSERT(any || task->open == 0);
	return any;
}

/* All that answered may be asked to evict, whatever compaction gave. */
static void begin_evicting(struct task *task, uint32_t count) {
	SNUG_ASSERT(task->round == ROUND_COMPACT && task->request.may_evict);
	task->round = ROUND_EVICT;
	for (uint32_t worker = 0; worker < count; worker++) {
		struct task_part *part = &task->parts[worker];
		part->willing = has_answered(part) && part->result.error == SNUG_OK &&
						part->result.report.returns_refused == 0;
	}
}

bool emergency_continue(snug_coordinator *coordinator, struct task *task) {
	uint64_t shares[SNUG_WORKERS_MAX] = {0};
	uint32_t count = coordinator->worker_count;
	uint64_t gained_bytes = emergency_gained(coordinator, task);
	SNUG_ASSERT(task->open == 0 && task->request.kind == SNUG_REQUEST_EMERGENCY);
	if (gained_bytes >= task->request.min_bytes) return false;
	uint64_t missing_bytes = task->request.min_bytes - gained_bytes;
	if (task->round == ROUND_ASK) {
		task->possible_bytes = possible_bytes(coordinator, task);
		task->round = task->possible_bytes < missing_bytes ? ROUND_REFUSED : ROUND_COMPACT;
	}
	if (task->round == ROUND_REFUSED) return false;
	if (task->round == ROUND_COMPACT) {
		share_mildly(task, count, missing_bytes, shares);
		if (ask_shares(coordinator, task, shares)) return true;
		if (!may_evict(coordinator, task)) return false;
		begin_evicting(task, count);
	}
	share_evicting(task, count, missing_bytes, shares);
	return ask_shares(coordinator, task, shares);
}
