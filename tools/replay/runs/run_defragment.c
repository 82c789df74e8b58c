/* run_defragment.c: asks for an estimate, defragments step by step with a clock around each, and
 * holds the report to what can be seen from outside: the bytes reclaimed are the slab bytes before
 * less those after; the estimate, asked a moment before, named the same number. */
#include "ledger/clock.h"
#include "runs/runs.h"

#include <string.h>
#include <sys/mman.h>

/* `pages` is how many pages the cells are to cover, 0: up to the last one ever used. */
static bool map_read(snug_heap *heap, uint32_t pages, struct memory_map *out) {
	struct map_reader reader;
	if (pages == 0) {
		map_reader_begin(&reader, 0, 1, NULL);
		if (snug_dump(heap, map_reader_take, &reader) != SNUG_OK) return false;
		pages = reader.last_page + 1;
	}
	map_reader_begin(&reader, pages, 1, out);
	return snug_dump(heap, map_reader_take, &reader) == SNUG_OK;
}

static void expect(struct run *run, bool holds, const char *what, uint64_t left, uint64_t right) {
	if (!holds)
		run_broken(run->outcome, "%s: %llu, %llu", what, (unsigned long long)left,
				   (unsigned long long)right);
}

static bool steps(struct run *run, const snug_defragment_options *options, snug_report *report) {
	snug_heap *heap = run->allocator.heap;
	snug_error error = snug_defragment_begin(heap, options);
	bool done = false;
	while (error == SNUG_OK && !done) {
		uint64_t begin_ns = clock_ns();
		error = snug_defragment_step(heap, &done);
		snug_histogram_add(&run->shared->step_ns, clock_ns() - begin_ns);
	}
	if (error == SNUG_OK) error = snug_defragment_end(heap, report);
	if (error != SNUG_OK) run_broken(run->outcome, "defragment: %s", snug_error_text(error));
	return error == SNUG_OK;
}

static void hold_to_account(struct run *run, const snug_estimate_report *estimate,
							const snug_report *report, const snug_stats *before,
							const snug_stats *after) {
	uint64_t gained =
		before->total.slab_bytes + report->rehome_slab_bytes - after->total.slab_bytes;
	/* Pieces in lent holes go home before anything is counted, so it may be more. */
	bool may_be_more = before->lent_slots > 0;
	expect(run, report->reclaimed_bytes == gained,
		   "reclaimed bytes in the report, by the statistics", report->reclaimed_bytes, gained);
	expect(run,
		   estimate->reclaimable_bytes == report->reclaimed_bytes ||
			   (may_be_more && report->reclaimed_bytes > estimate->reclaimable_bytes),
		   "reclaimable by the estimate, reclaimed", estimate->reclaimable_bytes,
		   report->reclaimed_bytes);
	expect(run, report->complete, "without a budget the report must be complete", report->complete,
		   1);
	expect(run, before->total.payload_bytes == after->total.payload_bytes, "payload before, after",
		   before->total.payload_bytes, after->total.payload_bytes);
	expect(run, run->allocator.owner_errors == 0, "moves of unknown objects",
		   run->allocator.owner_errors, 0);
}

/* The defragmentation that gained most is the one that the report, the JSON and the map show. */
static void keep_if_best(struct run *run, const snug_estimate_report *estimate,
						 const snug_report *report, const struct memory_map *before) {
	struct outcome *outcome = run->outcome;
	if (outcome->defragmented && report->reclaimed_bytes <= outcome->report.reclaimed_bytes) return;
	outcome->defragmented = true;
	outcome->estimate = *estimate;
	outcome->report = *report;
	if (before != NULL && map_read(run->allocator.heap, before->pages, &outcome->after)) {
		outcome->before = *before;
		outcome->has_map = true;
	}
}

void run_defragment(struct run *run) {
	snug_heap *heap = run->allocator.heap;
	if (heap == NULL) return;
	snug_defragment_options options = snug_defragment_options_default();
	options.retain_bytes = 0;
	snug_estimate_report estimate;
	snug_report report;
	snug_stats before, after;
	struct memory_map *map = run->job->want_map ? bookkeeping_map(sizeof *map) : NULL;
	if (map != NULL && !map_read(heap, 0, map)) run_broken(run->outcome, "the map cannot be read");
	snug_error error = snug_estimate(heap, &options, &estimate);
	if (error == SNUG_OK) error = snug_stats_get(heap, &before);
	if (error != SNUG_OK) {
		run_broken(run->outcome, "estimate: %s", snug_error_text(error));
	} else if (steps(run, &options, &report) && snug_stats_get(heap, &after) == SNUG_OK) {
		hold_to_account(run, &estimate, &report, &before, &after);
		keep_if_best(run, &estimate, &report, map);
	}
	if (map != NULL) munmap(map, sizeof *map);
}

void run_check(struct run *run) {
	snug_check_result result;
	snug_stats stats;
	snug_heap *heap = run->allocator.heap;
	if (heap == NULL) return;
	if (snug_check(heap, &result) != SNUG_OK)
		run_broken(run->outcome, "law %s: %s", result.law, result.message);
	if (snug_stats_get(heap, &stats) != SNUG_OK) return;
	expect(run, stats.objects == ledger_count(&run->ledger), "objects in the heap, in the ledger",
		   stats.objects, ledger_count(&run->ledger));
	expect(run, stats.total.payload_bytes == run->ledger.live_bytes,
		   "payload in the heap, in the ledger", stats.total.payload_bytes, run->ledger.live_bytes);
	expect(run, run->allocator.owner_errors == 0, "moves of unknown objects",
		   run->allocator.owner_errors, 0);
}
