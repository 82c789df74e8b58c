/* work/policy/join_reports.c: what becomes of each figure.
 *
 *     figure                      in time: one heap, again     of workers: heaps side by side
 *     bytes, objects, steps,      added                        added
 *     late steps
 *     work_ns                     added                        added
 *     longest_step_ns             the longest                  the longest
 *     total_ns                    added                        the longest
 *     before                      the first one's              added
 *     after, pinned, unmovable    the last one's               added
 *     outcome                     the last one's               the one that leaves most undone
 *     complete                    by the outcome               all are
 *     shares (fragmentation ...)  the last one's               computed anew from the sums
 *
 * The outcome of a part that found nothing to do does not hide what those before it did: it is DONE
 * then. By what is left undone, outcomes are ordered: cancelled, budget, target, done, nothing for
 * pins, nothing. */
#include "work/policy/join_reports.h"

#include "base/assert.h"
#include "base/bits.h"

#define MILLION 1000000u

static double ratio(uint64_t part, uint64_t whole) {
	return whole == 0 ? 0.0 : (double)part / (double)whole;
}

/* What adds up whichever way reports are joined. */
static void add_work(snug_report *into, const snug_report *from) {
	into->compacted |= from->compacted;
	into->coalesced_bytes += from->coalesced_bytes;
	into->reclaimed_bytes += from->reclaimed_bytes;
	into->coalesce_reclaimed_bytes += from->coalesce_reclaimed_bytes;
	into->returned_bytes += from->returned_bytes;
	into->returns_refused += from->returns_refused;
	into->moved_objects += from->moved_objects;
	into->moved_bytes += from->moved_bytes;
	into->relocated_objects += from->relocated_objects;
	into->relocated_bytes += from->relocated_bytes;
	into->rehomed_objects += from->rehomed_objects;
	into->rehomed_bytes += from->rehomed_bytes;
	into->rehome_slab_bytes += from->rehome_slab_bytes;
	into->released_slabs += from->released_slabs;
	into->abandoned_slabs += from->abandoned_slabs;
	into->steps += from->steps;
	into->work_ns += from->work_ns;
	into->longest_step_ns = larger(into->longest_step_ns, from->longest_step_ns);
	into->late_steps += from->late_steps;
}

static bool is_partial(snug_outcome outcome) {
	return outcome == SNUG_OUTCOME_BUDGET || outcome == SNUG_OUTCOME_CANCELLED;
}

static bool is_nothing(snug_outcome outcome) {
	return outcome == SNUG_OUTCOME_NOTHING || outcome == SNUG_OUTCOME_NOTHING_PINNED;
}

/* ------------------------------------------------------------------ in time ---------------- */

void join_report_in_time(snug_report *into, const snug_report *part) {
	if (into->before.limit_bytes == 0) { /* no heap has that */
		*into = *part;
		return;
	}
	SNUG_ASSERT(into->after.page_bytes == part->before.page_bytes); /* of one heap */
	add_work(into, part);
	into->total_ns += part->total_ns;
	into->after = part->after;
	into->pinned_objects = part->pinned_objects;
	into->pinned_bytes = part->pinned_bytes;
	into->pinned_slabs = part->pinned_slabs;
	into->unmovable_bytes = part->unmovable_bytes;
	into->outcome = part->outcome;
	if (is_nothing(part->outcome) && into->reclaimed_bytes + into->moved_objects > 0)
		into->outcome = SNUG_OUTCOME_DONE;
	into->complete = !is_partial(into->outcome);
}

/* ------------------------------------------------------------------ of workers ------------- */

/* The higher, the more it says about what was left undone. */
static uint32_t weight_of(snug_outcome outcome) {
	switch (outcome) {
	case SNUG_OUTCOME_CANCELLED:
		return 5;
	case SNUG_OUTCOME_BUDGET:
		return 4;
	case SNUG_OUTCOME_TARGET:
		return 3;
	case SNUG_OUTCOME_DONE:
		return 2;
	case SNUG_OUTCOME_NOTHING_PINNED:
		return 1;
	case SNUG_OUTCOME_NOTHING:
	case SNUG_OUTCOME_COUNT:
		break;
	}
	return 0;
}

static snug_outcome weightier(snug_outcome a, snug_outcome b) {
	return weight_of(a) >= weight_of(b) ? a : b;
}

void join_report_of_workers(snug_report *into, const snug_report *other) {
	add_work(into, other);
	into->total_ns = larger(into->total_ns, other->total_ns);
	into->pinned_objects += other->pinned_objects;
	into->pinned_bytes += other->pinned_bytes;
	into->pinned_slabs += other->pinned_slabs;
	into->unmovable_bytes += other->unmovable_bytes;
	into->outcome = weightier(into->outcome, other->outcome);
	into->complete = into->complete && other->complete;
	join_stats_of_workers(&into->before, &other->before);
	join_stats_of_workers(&into->after, &other->after);
}

static void add_pool(snug_pool_stats *into, const snug_pool_stats *other) {
	into->objects += other->objects;
	into->payload_bytes += other->payload_bytes;
	into->slot_bytes += other->slot_bytes;
	into->slab_bytes += other->slab_bytes;
	into->hole_bytes += other->hole_bytes;
	into->reclaimable_bytes += other->reclaimable_bytes;
	into->slabs += other->slabs;
	into->pinned_slabs += other->pinned_slabs;
	into->active_classes += other->active_classes;
	into->internal_fragmentation =
		into->slot_bytes == 0 ? 0.0 : 1.0 - ratio(into->payload_bytes, into->slot_bytes);
	into->external_fragmentation = ratio(into->hole_bytes, into->slab_bytes);
}

void join_stats_of_workers(snug_stats *into, const snug_stats *other) {
	into->limit_bytes += other->limit_bytes;
	into->limit_goal_bytes += other->limit_goal_bytes;
	into->page_bytes = larger(into->page_bytes, other->page_bytes);
	into->return_unit_bytes = larger(into->return_unit_bytes, other->return_unit_bytes);
	into->committed_bytes += other->committed_bytes;
	into->metadata_bytes += other->metadata_bytes;
	into->charged_bytes += other->charged_bytes;
	into->free_page_bytes += other->free_page_bytes;
	into->available_bytes += other->available_bytes;
	into->peak_bytes += other->peak_bytes;
	into->objects += other->objects;
	into->pinned_objects += other->pinned_objects;
	into->pinned_bytes += other->pinned_bytes;
	into->allocations += other->allocations;
	into->frees += other->frees;
	into->failed_allocations += other->failed_allocations;
	into->compacting_allocations += other->compacting_allocations;
	into->moves += other->moves;
	into->moved_bytes += other->moved_bytes;
	into->reclaimed_bytes += other->reclaimed_bytes;
	into->returned_bytes += other->returned_bytes;
	into->defragmentations += other->defragmentations;
	into->late_steps += other->late_steps;
	into->lent_slots += other->lent_slots;
	add_pool(&into->total, &other->total);
	for (uint32_t pool = 0; pool < SNUG_POOL_COUNT; pool++)
		add_pool(&into->pool[pool], &other->pool[pool]);
	into->utilisation =
		ratio(into->total.payload_bytes, into->committed_bytes + into->metadata_bytes);
}

void join_estimate_of_workers(snug_estimate_report *into, const snug_estimate_report *other) {
	into->reclaimable_bytes += other->reclaimable_bytes;
	into->coalesce_bytes += other->coalesce_bytes;
	into->moves += other->moves;
	into->move_bytes += other->move_bytes;
	into->free_bytes += other->free_bytes;
	into->evictable_bytes += other->evictable_bytes;
	into->returnable_bytes += other->returnable_bytes;
	into->relocate_bytes += other->relocate_bytes;
	into->steps += other->steps;
	into->predicted_ns = larger(into->predicted_ns, other->predicted_ns);
	into->longest_step_ns = larger(into->longest_step_ns, other->longest_step_ns);
	into->pinned_bytes += other->pinned_bytes;
	into->unmovable_bytes += other->unmovable_bytes;
	into->outcome = weightier(into->outcome, other->outcome);
}

uint64_t fragmentation_ppm_of(const snug_stats *stats, uint32_t mask) {
	uint64_t hole_bytes = 0;
	uint64_t slab_bytes = 0;
	for (uint32_t pool = 0; pool < SNUG_POOL_COUNT; pool++) {
		if (mask != 0 && (mask >> pool & 1) == 0) continue;
		hole_bytes += stats->pool[pool].hole_bytes;
		slab_bytes += stats->pool[pool].slab_bytes;
	}
	SNUG_ASSERT(hole_bytes <= slab_bytes);
	return slab_bytes == 0 ? 0 : (uint64_t)((double)hole_bytes / (double)slab_bytes * MILLION);
}
