/* twin_defragment.c: defragmentations of the twin's heap, each held against a second account: the
 * map before and after every call that may gain pages. See twin.h. */
#include "support/require.h"
#include "support/twin/twin.h"

#include <string.h>

/* What the map says between two moments. */
typedef struct account {
	recount map;
	snug_stats stats;
} account;

static void take_account(struct twin *twin, account *out) {
	recount_heap(twin->heap, &out->map);
	REQUIRE_OK(snug_stats_get(twin->heap, &out->stats));
}

/* Adds what happened since `before` to the running defragmentation's second account. */
static void add_to_account(struct twin *twin, const account *before) {
	account now;
	take_account(twin, &now);
	REQUIRE(now.map.slab_pages <= before->map.slab_pages || before->stats.lent_slots > 0,
			"a defragmentation took slab pages");
	twin->defragmentation.reclaimed_bytes +=
		(before->map.slab_pages - now.map.slab_pages) * now.map.page_bytes;
	twin->defragmentation.moved_bytes += now.stats.moved_bytes - before->stats.moved_bytes;
}

void twin_estimate(struct twin *twin, const snug_defragment_options *options,
				   snug_estimate_report *out) {
	account before;
	account after;
	take_account(twin, &before);
	memset(out, 0, sizeof *out);
	REQUIRE_OK(snug_estimate(twin->heap, options, out));
	take_account(twin, &after);
	REQUIRE(memcmp(&before.map, &after.map, sizeof before.map) == 0, "an estimate changed the map");
	REQUIRE(before.stats.moves == after.stats.moves, "an estimate moved objects");
	REQUIRE(out->reclaimable_bytes % before.map.page_bytes == 0,
			"the estimate is not in whole pages");
	REQUIRE(out->coalesce_bytes <= out->reclaimable_bytes,
			"coalescing alone gains more than the whole");
	REQUIRE(out->pinned_bytes <= twin->pinned_bytes, "the estimate sees pinned bytes that are not");
	bool nothing =
		out->outcome == SNUG_OUTCOME_NOTHING || out->outcome == SNUG_OUTCOME_NOTHING_PINNED;
	REQUIRE(nothing == (out->reclaimable_bytes == 0), "the estimate is %llu bytes and says: %s",
			(unsigned long long)out->reclaimable_bytes, snug_outcome_text(out->outcome));
	REQUIRE(out->outcome != SNUG_OUTCOME_NOTHING_PINNED || twin->pinned_objects > 0,
			"pins to blame, but nothing is pinned");
}

static void count_outcome(struct twin *twin, const snug_report *report) {
	twin->counters.reports_with_moves += report->moved_objects > 0;
	twin->counters.reports_nothing += report->outcome == SNUG_OUTCOME_NOTHING;
	twin->counters.reports_nothing_pinned += report->outcome == SNUG_OUTCOME_NOTHING_PINNED;
	twin->counters.reports_partial += !report->complete;
	twin->counters.relocated_objects += report->relocated_objects;
	twin->counters.abandoned_slabs += report->abandoned_slabs;
	twin->counters.released_slabs += report->released_slabs;
}

/* What holds for every report. */
static void require_report_laws(struct twin *twin, const snug_defragment_options *options,
								const snug_report *report) {
	uint64_t page = report->after.page_bytes;
	bool partial =
		report->outcome == SNUG_OUTCOME_BUDGET || report->outcome == SNUG_OUTCOME_CANCELLED;
	bool nothing =
		report->outcome == SNUG_OUTCOME_NOTHING || report->outcome == SNUG_OUTCOME_NOTHING_PINNED;
	REQUIRE(report->complete == !partial, "complete is %d, the outcome: %s", report->complete,
			snug_outcome_text(report->outcome));
	REQUIRE(!nothing || (report->reclaimed_bytes == 0 && report->moved_objects == 0),
			"%s, but something was done", snug_outcome_text(report->outcome));
	REQUIRE(report->compacted == (options->mode == SNUG_COMPACT), "compacted is %d",
			report->compacted);
	REQUIRE(options->mode == SNUG_COMPACT || report->moved_objects == 0,
			"coalescing moved objects");
	REQUIRE(report->coalesce_reclaimed_bytes <= report->reclaimed_bytes,
			"the part is larger than the whole");
	/* Law 4: at most a byte copied for each byte of page gained; a victim given up half-way may be
	 * on top. */
	uint64_t by_moving = report->reclaimed_bytes - report->coalesce_reclaimed_bytes;
	uint64_t unfinished =
		report->abandoned_slabs + (partial || report->outcome == SNUG_OUTCOME_TARGET);
	REQUIRE(report->moved_bytes <= by_moving + unfinished * page,
			"%llu bytes were copied to gain %llu", (unsigned long long)report->moved_bytes,
			(unsigned long long)by_moving);
	REQUIRE(report->moved_objects <= report->moved_bytes &&
				(report->moved_objects == 0) == (report->moved_bytes == 0),
			"%llu objects of %llu bytes moved", (unsigned long long)report->moved_objects,
			(unsigned long long)report->moved_bytes);
	REQUIRE(report->longest_step_ns <= report->work_ns && report->work_ns <= report->total_ns,
			"times do not add up");
	REQUIRE(options->pool_mask != 0 || (report->pinned_objects == twin->pinned_objects &&
										report->pinned_bytes == twin->pinned_bytes),
			"the report counts %llu pinned objects of %llu bytes",
			(unsigned long long)report->pinned_objects, (unsigned long long)report->pinned_bytes);
	REQUIRE((report->relocated_objects == 0) == (report->relocated_bytes == 0),
			"%llu objects of %llu bytes relocated", (unsigned long long)report->relocated_objects,
			(unsigned long long)report->relocated_bytes);
	/* Units of 2 MiB, less what was never taken of them. */
	REQUIRE(report->returned_bytes % page == 0, "parts of pages were returned");
	REQUIRE(report->after.limit_bytes == twin->options.limit_bytes, "the limit changed");
	twin_compare_stats(twin, &report->after);
	count_outcome(twin, report);
}

static void require_account(const twin_defragmentation *ours, const snug_report *report) {
	REQUIRE(report->reclaimed_bytes == ours->reclaimed_bytes + report->rehome_slab_bytes,
			"the report says %llu bytes reclaimed, the map %llu",
			(unsigned long long)report->reclaimed_bytes, (unsigned long long)ours->reclaimed_bytes);
	uint64_t copied_bytes = report->moved_bytes + report->relocated_bytes + report->rehomed_bytes;
	REQUIRE(copied_bytes == ours->moved_bytes,
			"the report says %llu bytes copied, the statistics %llu",
			(unsigned long long)copied_bytes, (unsigned long long)ours->moved_bytes);
}

/* A defragmentation without limits against the estimate just before it. */
static void require_estimate(const snug_estimate_report *estimate, const snug_report *report,
							 bool exact) {
	REQUIRE(report->reclaimed_bytes >= estimate->reclaimable_bytes,
			"%llu bytes were reclaimed, the estimate was %llu",
			(unsigned long long)report->reclaimed_bytes,
			(unsigned long long)estimate->reclaimable_bytes);
	/* Rehoming may have released some of the empty slabs before. */
	REQUIRE(report->coalesce_reclaimed_bytes >= estimate->coalesce_bytes ||
				report->before.lent_slots > 0,
			"%llu bytes by coalescing, the estimate was %llu",
			(unsigned long long)report->coalesce_reclaimed_bytes,
			(unsigned long long)estimate->coalesce_bytes);
	if (!exact) {
		return;
	}
	REQUIRE(report->reclaimed_bytes == estimate->reclaimable_bytes,
			"%llu bytes were reclaimed, the exact estimate was %llu",
			(unsigned long long)report->reclaimed_bytes,
			(unsigned long long)estimate->reclaimable_bytes);
	REQUIRE(report->outcome == estimate->outcome, "the outcome is: %s; the estimate: %s",
			snug_outcome_text(report->outcome), snug_outcome_text(estimate->outcome));
	REQUIRE(report->moved_objects <= estimate->moves,
			"%llu objects moved, at most %llu were estimated",
			(unsigned long long)report->moved_objects, (unsigned long long)estimate->moves);
	REQUIRE(report->unmovable_bytes == estimate->unmovable_bytes,
			"unmovable: %llu bytes, estimate %llu", (unsigned long long)report->unmovable_bytes,
			(unsigned long long)estimate->unmovable_bytes);
}

void twin_defragment(struct twin *twin, const snug_defragment_options *options) {
	snug_defragment_options defaults = snug_defragment_options_default();
	snug_estimate_report estimate;
	account before;
	snug_report report;
	memset(&report, 0, sizeof report);
	twin_estimate(twin, options, &estimate);
	take_account(twin, &before);
	snug_stats stats;
	REQUIRE_OK(snug_stats_get(twin->heap, &stats));
	/* Pieces in lent holes are rehomed before anything is counted, so there may be more to gain. */
	bool exact = (options == NULL || !options->merge_classes) && stats.lent_slots == 0;
	twin->in_call = true;
	REQUIRE_OK(snug_defragment(twin->heap, options, &report));
	twin->in_call = false;
	options = options != NULL ? options : &defaults;

	twin->defragmentation = (twin_defragmentation){0};
	add_to_account(twin, &before);
	require_account(&twin->defragmentation, &report);
	require_report_laws(twin, options, &report);
	REQUIRE(report.abandoned_slabs == 0,
			"a slab was abandoned although nothing came between the steps");
	if (report.outcome == SNUG_OUTCOME_DONE || report.outcome == SNUG_OUTCOME_NOTHING ||
		report.outcome == SNUG_OUTCOME_NOTHING_PINNED) {
		require_estimate(&estimate, &report, exact);
		twin->counters.exact_estimates += exact;
	}
	REQUIRE(report.outcome != SNUG_OUTCOME_TARGET ||
				report.reclaimed_bytes >= options->target_bytes,
			"the target was not reached");
}

void twin_begin(struct twin *twin, const snug_defragment_options *options) {
	snug_defragment_options defaults = snug_defragment_options_default();
	account before;
	take_account(twin, &before);
	twin->defragmentation =
		(twin_defragmentation){.running = true, .options = options != NULL ? *options : defaults};
	twin->in_call = true;
	REQUIRE_OK(snug_defragment_begin(twin->heap, options));
	twin->in_call = false;
	REQUIRE_ERROR(SNUG_ERROR_BUSY, snug_defragment_begin(twin->heap, options));
	add_to_account(twin, &before);
}

void twin_step(struct twin *twin) {
	account before;
	take_account(twin, &before);
	uint64_t moved_bytes = twin->defragmentation.moved_bytes;
	twin->in_call = true;
	REQUIRE_OK(snug_defragment_step(twin->heap, &twin->defragmentation.done));
	twin->in_call = false;
	add_to_account(twin, &before);
	uint64_t copied = twin->defragmentation.moved_bytes - moved_bytes;
	uint64_t step_bytes = twin->defragmentation.options.step_bytes;
	REQUIRE(step_bytes == SNUG_NO_BUDGET || copied < step_bytes + before.map.page_bytes,
			"a step of at most %llu bytes copied %llu", (unsigned long long)step_bytes,
			(unsigned long long)copied);
}

void twin_end(struct twin *twin) {
	account before;
	snug_report report;
	memset(&report, 0, sizeof report);
	take_account(twin, &before);
	twin->in_call = true; /* a slab that is half relocated is brought to its new place */
	REQUIRE_OK(snug_defragment_end(twin->heap, &report));
	twin->in_call = false;
	add_to_account(twin, &before);
	REQUIRE(twin->defragmentation.done == (report.outcome != SNUG_OUTCOME_CANCELLED),
			"done is %d, the outcome: %s", twin->defragmentation.done,
			snug_outcome_text(report.outcome));
	require_account(&twin->defragmentation, &report);
	require_report_laws(twin, &twin->defragmentation.options, &report);
	twin->defragmentation = (twin_defragmentation){0};
	bool done = false;
	REQUIRE_ERROR(SNUG_ERROR_NOT_RUNNING, snug_defragment_step(twin->heap, &done));
	REQUIRE_ERROR(SNUG_ERROR_NOT_RUNNING, snug_defragment_end(twin->heap, &report));
}
