/* run_trace.c: replays a trace as a cache of the job's live bytes would see it: a set replaces, a
 * get verifies or (with a size) stores what is missing, a delete frees. Where a new object does not
 * fit, others are evicted: random ones, or the oldest. */
#include "runs/runs.h"

bool run_trace_prepare(struct run *run) {
	if (!trace_read(run->job->trace_path, &run->trace, run->outcome->problem,
					sizeof run->outcome->problem))
		return false;
	struct trace_tables *tables = &run->trace_tables;
	size_t count = run->trace.count;
	tables->entry_of_key = bookkeeping_map(run->trace.keys * sizeof tables->entry_of_key[0]);
	for (uint32_t key = 0; key < run->trace.keys; key++) tables->entry_of_key[key] = ENTRY_NONE;
	/* Written now, so that both are resident before the baseline is taken. */
	tables->key_of_entry = bookkeeping_map(count * sizeof tables->key_of_entry[0]);
	tables->queue = bookkeeping_map(count * sizeof tables->queue[0]);
	for (size_t i = 0; i < count; i++) {
		tables->key_of_entry[i] = UINT32_MAX;
		tables->queue[i] = (struct stored){ENTRY_NONE, 0};
	}
	return true;
}

static void drop(struct run *run, uint32_t index) {
	run->trace_tables.entry_of_key[run->trace_tables.key_of_entry[index]] = ENTRY_NONE;
	run_object_free(run, index);
}

/* The oldest object that is still stored; ENTRY_NONE: there is none. */
static uint32_t take_oldest(struct run *run) {
	struct trace_tables *tables = &run->trace_tables;
	while (tables->queue_begin < tables->queue_end) {
		struct stored oldest = tables->queue[tables->queue_begin++];
		const struct entry *entry = &run->ledger.entries[oldest.index];
		if (entry->name != 0 && entry->stamp == oldest.stamp) return oldest.index;
	}
	return ENTRY_NONE;
}

static bool evict(struct run *run) {
	const struct entry_list *movable = &run->ledger.movable;
	uint32_t victim = ENTRY_NONE;
	if (run->job->evict_oldest)
		victim = take_oldest(run);
	else if (movable->count > 0)
		victim = movable->index[random_below(&run->victim_random, movable->count)];
	if (victim != ENTRY_NONE) drop(run, victim);
	return victim != ENTRY_NONE;
}

static void store(struct run *run, uint32_t key, size_t size) {
	struct trace_tables *tables = &run->trace_tables;
	uint32_t index;
	if (size < OBJECT_MIN_BYTES) size = OBJECT_MIN_BYTES;
	if (size > run->largest_bytes) size = run->largest_bytes;
	while (run->ledger.live_bytes + size > run->job->live_bytes) {
		run->full = run->warm = true;
		if (!evict(run)) return;
	}
	if (!run_object_allocate(run, size, &index)) {
		evict(run);
		return;
	}
	tables->entry_of_key[key] = index;
	tables->key_of_entry[index] = key;
	tables->queue[tables->queue_end++] = (struct stored){index, run->ledger.entries[index].stamp};
}

void run_trace(struct run *run) {
	for (size_t i = 0; i < run->trace.count && !run_is_over(run); i++) {
		struct trace_request request = run->trace.requests[i];
		uint32_t index = run->trace_tables.entry_of_key[request.key];
		if (index != ENTRY_NONE && request.op == TRACE_GET)
			run_object_verify(run, index);
		else if (index != ENTRY_NONE)
			drop(run, index);
		if (request.op == TRACE_SET ||
			(request.op == TRACE_GET && index == ENTRY_NONE && request.size > 0))
			store(run, request.key, request.size);
		sample_advance(run, 1);
	}
}
