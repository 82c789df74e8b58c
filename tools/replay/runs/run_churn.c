/* run_churn.c: the phases that allocate and free at random.
 *
 * Churn keeps the live bytes: before each allocation random objects are freed until the new one
 * fits under them. Where an allocation fails all the same, that is counted, one random object is
 * freed, and the workload goes on with the next size. With --fill there are no live bytes to keep:
 * each allocation is repeated, one random object freed between two attempts, until it succeeds, so
 * the heap is always full; what counts is how much payload lies in it when an allocation has just
 * failed. */
#include "runs/runs.h"

static void note_full(struct run *run) {
	run->full = true;
	run->warm = true;
}

static void note_fill_failure(struct run *run, size_t size) {
	struct outcome *outcome = run->outcome;
	double utilisation = (double)run->ledger.live_bytes / (double)run->job->limit_bytes;
	double demand = (double)(run->ledger.live_bytes + size) / (double)run->job->limit_bytes;
	if (outcome->utilisation_min == 0 || utilisation < outcome->utilisation_min)
		outcome->utilisation_min = utilisation;
	if (outcome->demand_min == 0 || demand < outcome->demand_min) outcome->demand_min = demand;
}

/* False: nothing is left that could be freed. */
static bool allocate_filling(struct run *run, size_t size) {
	uint32_t index;
	while (!run_object_allocate(run, size, &index)) {
		note_full(run);
		note_fill_failure(run, size);
		if (!run_object_free_random(run)) return false;
	}
	return true;
}

static bool allocate_keeping(struct run *run, size_t size) {
	uint32_t index;
	while (run->ledger.live_bytes + size > run->job->live_bytes) {
		note_full(run);
		if (!run_object_free_random(run)) return false;
	}
	if (run_object_allocate(run, size, &index)) return true;
	note_full(run);
	return run_object_free_random(run);
}

void run_churn(struct run *run, const struct phase *phase) {
	uint64_t wanted_bytes = phase_churn_bytes(phase, run->job->factor, run->job->live_bytes);
	bool filling = run->job->fill && run->allocator.heap != NULL; /* a malloc knows no limit */
	size_t largest_bytes =
		phase->sizes.kind == SIZES_WHOLE ? (size_t)run->job->live_bytes : run->largest_bytes;
	if (largest_bytes > SNUG_OBJECT_MAX_BYTES) largest_bytes = SNUG_OBJECT_MAX_BYTES;
	for (uint64_t done_bytes = 0; done_bytes < wanted_bytes && !run_is_over(run);) {
		size_t size = sizes_draw(&phase->sizes, &run->size_random, largest_bytes);
		if (!(filling ? allocate_filling(run, size) : allocate_keeping(run, size))) break;
		run_object_verify_sometimes(run);
		done_bytes += size;
		sample_advance(run, size);
	}
}

void run_delete(struct run *run, double share) {
	uint32_t count = (uint32_t)(share * ledger_count(&run->ledger) + .5);
	run->full = false;
	while (count > 0 && run_object_free_random(run)) count--;
}

void run_delete_alternate(struct run *run) {
	bool chosen = false;
	run->full = false;
	for (uint32_t index = 0; index < run->ledger.used; index++) {
		const struct entry *entry = &run->ledger.entries[index];
		if (entry->name == 0 || entry->pinned) continue;
		chosen = !chosen;
		if (chosen) run_object_free(run, index);
	}
}

void run_pin(struct run *run, double share) {
	const struct entry_list *movable = &run->ledger.movable;
	uint32_t count = (uint32_t)(share * movable->count + .5);
	for (; count > 0 && movable->count > 0; count--) {
		uint32_t index = movable->index[random_below(&run->victim_random, movable->count)];
		const struct entry *entry = &run->ledger.entries[index];
		if (!run->allocator.pin(&run->allocator, entry->name, entry->size)) {
			/* a pin costs metadata: at the limit it may be refused */
			run->allocator.problem[0] = '\0';
			break;
		}
		ledger_pin(&run->ledger, index);
	}
}

void run_unpin(struct run *run, double share) {
	const struct entry_list *pinned = &run->ledger.pinned;
	uint32_t count = (uint32_t)(share * pinned->count + .5);
	for (; count > 0 && pinned->count > 0; count--) {
		uint32_t index = pinned->index[random_below(&run->victim_random, pinned->count)];
		const struct entry *entry = &run->ledger.entries[index];
		if (!run->allocator.unpin(&run->allocator, entry->name, entry->size)) {
			run_broken(run->outcome, "%s", run->allocator.problem);
			break;
		}
		ledger_unpin(&run->ledger, index);
	}
}
