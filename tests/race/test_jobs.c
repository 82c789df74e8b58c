/* test_jobs.c: maintenance on a worker: what was estimated is reclaimed, in bounded steps; budgets
 * and targets; overtaking, cancelling and stopping in the middle, with reports that add up;
 * emergencies that evict only what they must.
 *
 * Each worker begins with a checkerboard: a heap full of objects of which every second one was
 * freed. Where the order of events matters, the worker's own hook sends the next message at a
 * chosen turn: then there is no race to lose. */
#include "crew.h"
#include "work/channel/channel.h"
#include "work/policy/join_reports.h"
#include "work/worker/job.h"
#include "work/worker/worker.h"

#include <snug/snug.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OBJECT_BYTES ((size_t)1000)
#define OBJECTS_MAX 8192u

/* A worker's objects, its script, and what its evictor did. The worker's own until it has stopped,
 * but for what is atomic. */
struct board {
	snug_handle objects[OBJECTS_MAX];
	uint32_t count;
	struct channel *_Atomic inbox; /* the test writes: the script may begin */
	/* sent when the first job has had `at_turn` slices, and one more */
	struct message script[2];
	uint32_t script_count;
	uint32_t script_sent;
	uint32_t at_turn;
	uint32_t turns;
	uint64_t evict_calls;
	uint64_t asked_bytes;
	_Atomic uint64_t check_failures;
};

static snug_error fill(void *context, uint32_t worker, snug_heap *heap) {
	struct board *board = context;
	(void)worker;
	snug_stats stats;
	snug_error error = snug_stats_get(heap, &stats);
	while (!error && board->count < OBJECTS_MAX && stats.available_bytes > stats.limit_bytes / 16) {
		error = snug_alloc(heap, OBJECT_BYTES, &board->objects[board->count++]);
		if (!error) error = snug_stats_get(heap, &stats);
	}
	for (uint32_t i = 0; i < board->count && !error; i += 2)
		error = snug_free(heap, board->objects[i]);
	for (uint32_t i = 0; i < board->count / 2; i++) board->objects[i] = board->objects[2 * i + 1];
	board->count /= 2;
	return error;
}

/* Sends the script, a message a turn, once the first job has had `at_turn` slices. */
static bool follow_script(void *context, uint32_t worker, snug_heap *heap) {
	struct board *board = context;
	(void)worker;
	struct channel *inbox = atomic_load(&board->inbox);
	if (inbox == NULL || board->script_sent == board->script_count) return false;
	snug_stats stats = {.defragmentations = 0};
	/* not begun */
	if (snug_stats_get(heap, &stats) != SNUG_OK || stats.defragmentations == 0) return false;
	if (++board->turns < board->at_turn) return false;
	snug_error error = channel_try_send(inbox, &board->script[board->script_sent++]);
	if (error) atomic_fetch_add(&board->check_failures, 1);
	return false;
}

static uint64_t evict(void *context, uint32_t worker, snug_heap *heap, uint64_t bytes) {
	struct board *board = context;
	uint64_t freed_bytes = 0;
	(void)worker;
	board->evict_calls++;
	board->asked_bytes += bytes;
	while (freed_bytes < bytes && board->count > 0) {
		if (snug_free(heap, board->objects[--board->count]) != SNUG_OK)
			atomic_fetch_add(&board->check_failures, 1);
		freed_bytes += OBJECT_BYTES;
	}
	return freed_bytes;
}

static void check_at_end(void *context, uint32_t worker, snug_heap *heap) {
	struct board *board = context;
	snug_check_result result;
	(void)worker;
	if (snug_check(heap, &result) != SNUG_OK) atomic_fetch_add(&board->check_failures, 1);
}

/* ------------------------------------------------------ a worker with a heap, and whoever asks  */

struct scene {
	struct board *board;
	snug_workers *workers;
	struct channel *inbox;
	struct channel *answers;
};

static struct scene scene_make(void (*change)(snug_workers_options *options)) {
	struct scene scene = {.board = calloc(1, sizeof *scene.board)};
	assert_non_null(scene.board);
	snug_workers_options options = crew_options(1);
	options.hook = (snug_worker_hook){.context = scene.board,
									  .start = fill,
									  .turn = follow_script,
									  .evict = evict,
									  .stop = check_at_end};
	if (change != NULL) change(&options);
	scene.workers = crew_make(&options);
	scene.inbox = workers_inbox(scene.workers, 0);
	assert_int_equal(channel_create(16, &scene.answers), SNUG_OK);
	return scene;
}

static void scene_unmake(struct scene *scene) {
	crew_unmake(scene->workers);
	channel_close(scene->answers);
	channel_destroy(scene->answers);
	assert_int_equal(scene->board->check_failures, 0);
	free(scene->board);
}

static struct job job_of(enum job_kind kind, enum job_priority priority) {
	return (struct job){
		.kind = kind, .priority = priority, .options = snug_defragment_options_default()};
}

static struct message job_message(const struct scene *scene, struct job *job, uint16_t kind) {
	return (struct message){
		.kind = kind, .data = job, .reply = scene->answers, .cookie = (uint64_t)(uintptr_t)job};
}

static void send(const struct scene *scene, struct job *job, uint16_t kind) {
	struct message message = job_message(scene, job, kind);
	assert_int_equal(channel_try_send(scene->inbox, &message), SNUG_OK);
}

/* The next answer; it must be this job's. */
static snug_error answer_to(const struct scene *scene, const struct job *job) {
	struct message answer;
	size_t count = 0;
	assert_int_equal(channel_receive_wait(scene->answers, &answer, 1, HANG_NS, &count), SNUG_OK);
	assert_ptr_equal(answer.data, job);
	assert_int_equal(answer.cookie, (uint64_t)(uintptr_t)job);
	return (snug_error)answer.error;
}

static snug_error ask(const struct scene *scene, struct job *job) {
	send(scene, job, MESSAGE_JOB);
	return answer_to(scene, job);
}

static snug_stats stats_now(const struct scene *scene) {
	struct job job = job_of(JOB_METRICS, JOB_PRIORITY_DEMAND);
	assert_int_equal(ask(scene, &job), SNUG_OK);
	return job.stats.heap;
}

static uint64_t estimate_bytes(const struct scene *scene) {
	struct job job = job_of(JOB_ESTIMATE, JOB_PRIORITY_DEMAND);
	assert_int_equal(ask(scene, &job), SNUG_OK);
	return job.estimate.reclaimable_bytes;
}

/* What the report says is what the heap show. */
static void assert_account(const snug_stats *before, const snug_stats *after,
						   const snug_report *report) {
	assert_int_equal(before->total.slab_bytes - after->total.slab_bytes, report->reclaimed_bytes);
	assert_int_equal(after->moved_bytes - before->moved_bytes,
					 report->moved_bytes + report->relocated_bytes);
	assert_int_equal(report->before.total.slab_bytes, before->total.slab_bytes);
	assert_int_equal(report->after.total.slab_bytes, after->total.slab_bytes);
}

/* --------------------------------------------------------------- estimate, defragment, metrics  */

static void what_was_estimated_is_reclaimed(void **state) {
	(void)state;
	struct scene scene = scene_make(NULL);
	uint64_t estimated_bytes = estimate_bytes(&scene);
	snug_stats before = stats_now(&scene);
	struct job job = job_of(JOB_DEFRAGMENT, JOB_PRIORITY_DEMAND);
	assert_int_equal(ask(&scene, &job), SNUG_OK);
	snug_stats after = stats_now(&scene);
	assert_account(&before, &after, &job.report);
	assert_true(estimated_bytes > before.limit_bytes / 3);
	assert_int_equal(job.report.reclaimed_bytes, estimated_bytes);
	assert_true(job.report.moved_objects > 100);
	assert_int_equal(job.report.outcome, SNUG_OUTCOME_DONE);
	assert_int_equal(job.interruptions, 0);
	assert_int_equal(estimate_bytes(&scene), 0);
	assert_int_equal(ask(&scene, &job), SNUG_OK); /* again: nothing left */
	assert_int_equal(job.report.outcome, SNUG_OUTCOME_NOTHING);
	assert_int_equal(job.report.reclaimed_bytes, 0);
	scene_unmake(&scene);
}

static void steps_keep_the_tighter_bound(void **state) {
	(void)state;
	struct scene scene = scene_make(NULL);
	struct job tight = job_of(JOB_DEFRAGMENT, JOB_PRIORITY_DEMAND);
	tight.options.step_bytes = 1;
	tight.options.budget_bytes = 100 * OBJECT_BYTES;
	assert_int_equal(ask(&scene, &tight), SNUG_OK);
	assert_true(tight.report.steps >= tight.report.moved_objects);
	struct job loose = job_of(JOB_DEFRAGMENT, JOB_PRIORITY_DEMAND);
	loose.options.step_bytes = UINT64_MAX;
	assert_int_equal(ask(&scene, &loose), SNUG_OK);
	/* the worker's own bound */
	assert_true(loose.report.moved_bytes / loose.report.steps < 4096 + 2 * OBJECT_BYTES);
	assert_true(loose.report.moved_bytes > 100000);
	scene_unmake(&scene);
}

static void budgets_and_targets_end_a_job(void **state) {
	(void)state;
	struct scene scene = scene_make(NULL);
	struct job job = job_of(JOB_DEFRAGMENT, JOB_PRIORITY_SCHEDULED);
	job.options.budget_bytes = 50000;
	assert_int_equal(ask(&scene, &job), SNUG_OK);
	assert_int_equal(job.report.outcome, SNUG_OUTCOME_BUDGET);
	assert_false(job.report.complete);
	assert_true(job.report.moved_bytes >= 50000 && job.report.moved_bytes < 60000);
	job = job_of(JOB_DEFRAGMENT, JOB_PRIORITY_SCHEDULED);
	job.options.target_bytes = 40000;
	assert_int_equal(ask(&scene, &job), SNUG_OK);
	assert_int_equal(job.report.outcome, SNUG_OUTCOME_TARGET);
	assert_int_equal(job.report.reclaimed_bytes, 40960);
	job = job_of(JOB_DEFRAGMENT, JOB_PRIORITY_SCHEDULED);
	job.target_fragmentation_ppm = 300000;
	assert_int_equal(ask(&scene, &job), SNUG_OK);
	assert_int_equal(job.report.outcome, SNUG_OUTCOME_TARGET);
	assert_true(job.report.complete);
	snug_stats after = stats_now(&scene);
	uint64_t ppm = fragmentation_ppm_of(&after, 0);
	assert_true(ppm <= 300000 && ppm > 290000); /* and no further */
	assert_true(job.report.coalesced_bytes > 0);
	assert_int_equal(ask(&scene, &job), SNUG_OK); /* already there */
	assert_int_equal(job.report.outcome, SNUG_OUTCOME_TARGET);
	assert_int_equal(job.report.moved_objects, 0);
	scene_unmake(&scene);
}

static void nonsense_is_refused(void **state) {
	(void)state;
	struct scene scene = scene_make(NULL);
	struct job job = job_of(JOB_DEFRAGMENT, JOB_PRIORITY_COUNT);
	assert_int_equal(ask(&scene, &job), SNUG_ERROR_OPTION);
	job = job_of((enum job_kind)9, JOB_PRIORITY_DEMAND);
	assert_int_equal(ask(&scene, &job), SNUG_ERROR_OPTION);
	job = job_of(JOB_DEFRAGMENT, JOB_PRIORITY_DEMAND);
	job.options.budget_ns = 0;
	assert_int_equal(ask(&scene, &job), SNUG_ERROR_BUDGET_ZERO);
	job = job_of(JOB_DEFRAGMENT, JOB_PRIORITY_DEMAND);
	job.options.pool_mask = 1u << SNUG_POOL_COUNT;
	assert_int_equal(ask(&scene, &job), SNUG_ERROR_OPTION);
	job.kind = JOB_ESTIMATE;
	assert_int_equal(ask(&scene, &job), SNUG_ERROR_OPTION);
	struct message unknown = {.kind = MESSAGE_STOP,
							  .reply = scene.answers,
							  .data = &job,
							  .cookie = (uint64_t)(uintptr_t)&job};
	assert_int_equal(channel_try_send(scene.inbox, &unknown), SNUG_OK);
	assert_int_equal(answer_to(&scene, &job), SNUG_ERROR_OPTION);
	struct job stranger = job_of(JOB_DEFRAGMENT, JOB_PRIORITY_DEMAND);
	/* of a job that is not here: nothing, and no answer */
	send(&scene, &stranger, MESSAGE_JOB_CANCEL);
	job = job_of(JOB_METRICS, JOB_PRIORITY_DEMAND);
	assert_int_equal(ask(&scene, &job), SNUG_OK);
	scene_unmake(&scene);
}

/* ------------------------------------------------------------ overtaking, cancelling, stopping  */

/* Lets the worker send this to itself; the first job is about to be sent. */
static void direct(const struct scene *scene, uint32_t at_turn, const struct message *messages,
				   uint32_t count) {
	struct board *board = scene->board;
	board->at_turn = at_turn;
	board->script_count = count;
	for (uint32_t i = 0; i < count; i++) board->script[i] = messages[i];
	atomic_store(&board->inbox, scene->inbox);
}

static void a_higher_job_overtakes_and_both_reports_add_up(void **state) {
	(void)state;
	for (uint32_t at_turn = 1; at_turn < 130; at_turn += 17) {
		struct scene scene = scene_make(NULL);
		uint64_t estimated_bytes = estimate_bytes(&scene);
		snug_stats before = stats_now(&scene);
		struct job low = job_of(JOB_DEFRAGMENT, JOB_PRIORITY_BACKGROUND);
		struct job high = job_of(JOB_DEFRAGMENT, JOB_PRIORITY_DEMAND);
		high.options.target_bytes = estimated_bytes / 3;
		struct message next = job_message(&scene, &high, MESSAGE_JOB);
		direct(&scene, at_turn, &next, 1);
		send(&scene, &low, MESSAGE_JOB);
		assert_int_equal(answer_to(&scene, &high), SNUG_OK);
		assert_int_equal(answer_to(&scene, &low), SNUG_OK);
		snug_stats after = stats_now(&scene);
		assert_int_equal(high.interruptions, 0);
		assert_int_equal(low.interruptions, 1);
		assert_int_equal(high.report.outcome, SNUG_OUTCOME_TARGET);
		assert_int_equal(low.report.outcome, SNUG_OUTCOME_DONE);
		assert_true(low.report.complete);
		assert_int_equal(high.report.reclaimed_bytes + low.report.reclaimed_bytes, estimated_bytes);
		assert_int_equal(before.total.slab_bytes - after.total.slab_bytes, estimated_bytes);
		assert_int_equal(high.report.moved_bytes + low.report.moved_bytes,
						 after.moved_bytes - before.moved_bytes);
		assert_int_equal(low.report.before.total.slab_bytes, before.total.slab_bytes);
		scene_unmake(&scene);
	}
}

/* A budget is of the whole, however often it was overtaken. */
static void an_overtaken_job_keeps_its_budget(void **state) {
	(void)state;
	struct scene scene = scene_make(NULL);
	struct job low = job_of(JOB_DEFRAGMENT, JOB_PRIORITY_BACKGROUND);
	low.options.budget_bytes = 100000;
	struct job high[2] = {job_of(JOB_DEFRAGMENT, JOB_PRIORITY_DEMAND),
						  job_of(JOB_EMERGENCY, JOB_PRIORITY_EMERGENCY)};
	high[0].options.target_bytes = high[1].min_bytes = 8192;
	struct message next[2] = {job_message(&scene, &high[0], MESSAGE_JOB),
							  job_message(&scene, &high[1], MESSAGE_JOB)};
	direct(&scene, 10, next, 2);
	send(&scene, &low, MESSAGE_JOB);
	struct message answer;
	size_t count = 0;
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(channel_receive_wait(scene.answers, &answer, 1, HANG_NS, &count), SNUG_OK);
	assert_ptr_equal(answer.data, &low);    /* the last */
	assert_int_equal(low.interruptions, 1); /* waiting below two is one interruption */
	assert_int_equal(low.report.outcome, SNUG_OUTCOME_BUDGET);
	assert_true(low.report.moved_bytes >= 100000 && low.report.moved_bytes < 110000);
	scene_unmake(&scene);
}

/* So is a goal: what it has reclaimed before it was overtaken counts. */
static void an_overtaken_job_keeps_its_goal(void **state) {
	(void)state;
	for (uint32_t at_turn = 1; at_turn < 60; at_turn += 9) {
		struct scene scene = scene_make(NULL);
		uint64_t goal_bytes = estimate_bytes(&scene) / 2;
		struct job low = job_of(JOB_DEFRAGMENT, JOB_PRIORITY_BACKGROUND);
		low.options.target_bytes = goal_bytes;
		struct job high = job_of(JOB_DEFRAGMENT, JOB_PRIORITY_DEMAND);
		high.options.target_bytes = 8192;
		struct message next = job_message(&scene, &high, MESSAGE_JOB);
		direct(&scene, at_turn, &next, 1);
		send(&scene, &low, MESSAGE_JOB);
		assert_int_equal(answer_to(&scene, &high), SNUG_OK);
		assert_int_equal(answer_to(&scene, &low), SNUG_OK);
		assert_int_equal(low.interruptions, 1);
		assert_int_equal(low.report.outcome, SNUG_OUTCOME_TARGET);
		assert_true(low.report.reclaimed_bytes >= goal_bytes);
		/* and no more */
		assert_true(low.report.reclaimed_bytes < goal_bytes + low.report.before.page_bytes);
		scene_unmake(&scene);
	}
}

static void one_job_of_each_priority(void **state) {
	(void)state;
	struct scene scene = scene_make(NULL);
	struct job first = job_of(JOB_DEFRAGMENT, JOB_PRIORITY_DEMAND);
	struct job second = first;
	struct message next = job_message(&scene, &second, MESSAGE_JOB);
	direct(&scene, 5, &next, 1);
	send(&scene, &first, MESSAGE_JOB);
	assert_int_equal(answer_to(&scene, &second), SNUG_ERROR_BUSY);
	assert_int_equal(answer_to(&scene, &first), SNUG_OK);
	assert_int_equal(first.report.outcome, SNUG_OUTCOME_DONE);
	scene_unmake(&scene);
}

static void a_cancelled_job_tells_what_it_did(void **state) {
	(void)state;
	struct scene scene = scene_make(NULL);
	snug_stats before = stats_now(&scene);
	struct job job = job_of(JOB_DEFRAGMENT, JOB_PRIORITY_DEMAND);
	struct message next = job_message(&scene, &job, MESSAGE_JOB_CANCEL);
	direct(&scene, 100, &next, 1);
	send(&scene, &job, MESSAGE_JOB);
	assert_int_equal(answer_to(&scene, &job), SNUG_OK);
	snug_stats after = stats_now(&scene);
	assert_int_equal(job.report.outcome, SNUG_OUTCOME_CANCELLED);
	assert_false(job.report.complete);
	assert_true(job.report.moved_objects > 0);
	assert_account(&before, &after, &job.report);
	scene_unmake(&scene);
}

static void cancelled_before_it_began(void **state) {
	(void)state;
	struct scene scene = scene_make(NULL);
	struct job high = job_of(JOB_DEFRAGMENT, JOB_PRIORITY_EMERGENCY);
	struct job low = job_of(JOB_DEFRAGMENT, JOB_PRIORITY_BACKGROUND);
	low.report.steps = 99;
	struct message next[2] = {job_message(&scene, &low, MESSAGE_JOB),
							  job_message(&scene, &low, MESSAGE_JOB_CANCEL)};
	direct(&scene, 5, next, 2);
	send(&scene, &high, MESSAGE_JOB);
	assert_int_equal(answer_to(&scene, &low), SNUG_ERROR_CANCELLED);
	assert_int_equal(low.report.steps, 0);
	assert_int_equal(answer_to(&scene, &high), SNUG_OK);
	scene_unmake(&scene);
}

static void slow_down(snug_workers_options *options) {
	options->duty_ppm = 1;
	options->idle_ns = UINT64_MAX / 2;
}

static void a_stop_ends_jobs_with_their_true_report(void **state) {
	(void)state;
	struct scene scene = scene_make(slow_down); /* one slice, then pauses of up to a second */
	snug_stats before = stats_now(&scene);
	struct job begun = job_of(JOB_DEFRAGMENT, JOB_PRIORITY_DEMAND);
	struct job waiting = job_of(JOB_DEFRAGMENT, JOB_PRIORITY_BACKGROUND);
	send(&scene, &begun, MESSAGE_JOB);
	send(&scene, &waiting, MESSAGE_JOB);
	CREW_WAIT_UNTIL(crew_stats(scene.workers, 0).maintenance_ns > 0);
	assert_int_equal(snug_workers_stop(scene.workers, HANG_NS), SNUG_OK);
	assert_int_equal(answer_to(&scene, &begun), SNUG_OK);
	assert_int_equal(answer_to(&scene, &waiting), SNUG_ERROR_STOPPED);
	snug_stats after = crew_stats(scene.workers, 0).heap;
	assert_int_equal(begun.report.outcome, SNUG_OUTCOME_CANCELLED);
	assert_int_equal(begun.report.steps, 1);
	assert_account(&before, &after, &begun.report);
	struct message late = job_message(&scene, &begun, MESSAGE_JOB);
	assert_int_equal(channel_try_send(scene.inbox, &late), SNUG_ERROR_STOPPED);
	scene_unmake(&scene);
}

/* ------------------------------------------------------------------ emergencies --------------- */

static struct job emergency(uint64_t min_bytes, bool may_evict) {
	struct job job = job_of(JOB_EMERGENCY, JOB_PRIORITY_EMERGENCY);
	job.min_bytes = min_bytes;
	job.may_evict = may_evict;
	return job;
}

static void an_emergency_is_met_without_evicting_if_it_can(void **state) {
	(void)state;
	struct scene scene = scene_make(slow_down); /* the duty cycle does not hold for it */
	snug_stats before = stats_now(&scene);
	uint64_t estimated_bytes = estimate_bytes(&scene) + before.free_page_bytes;
	struct job job = emergency(estimated_bytes - 100, true);
	assert_int_equal(ask(&scene, &job), SNUG_OK);
	snug_stats after = stats_now(&scene);
	assert_int_equal(job.report.outcome, SNUG_OUTCOME_TARGET);
	assert_true(job.report.returned_bytes >= estimated_bytes - 100);
	assert_int_equal(job.report.returned_bytes, before.committed_bytes - after.committed_bytes);
	assert_int_equal(job.evicted_bytes, 0);
	assert_int_equal(scene.board->evict_calls, 0);
	assert_account(&before, &after, &job.report);
	scene_unmake(&scene);
}

static void an_emergency_evicts_only_what_it_needs(void **state) {
	(void)state;
	static const uint64_t more_bytes[] = {1, 5000, 100000, 900000};
	for (size_t i = 0; i < sizeof more_bytes / sizeof more_bytes[0]; i++) {
		struct scene scene = scene_make(NULL);
		snug_stats before = stats_now(&scene);
		uint64_t goal_bytes = estimate_bytes(&scene) + before.free_page_bytes + more_bytes[i];
		struct job job = emergency(goal_bytes, true);
		assert_int_equal(ask(&scene, &job), SNUG_OK);
		snug_stats after = stats_now(&scene);
		assert_int_equal(job.report.outcome, SNUG_OUTCOME_TARGET);
		assert_true(job.report.returned_bytes >= goal_bytes);
		assert_true(job.report.returned_bytes < goal_bytes + before.page_bytes);
		assert_int_equal(job.report.returned_bytes, before.committed_bytes - after.committed_bytes);
		assert_account(&before, &after, &job.report);
		/* A page's worth at each end, and what slots and their trailers take beside the payload. */
		assert_true(job.evicted_bytes <= more_bytes[i] + 2 * before.page_bytes);
		assert_int_equal(before.objects - after.objects, job.evicted_bytes / OBJECT_BYTES);
		scene_unmake(&scene);
	}
}

static void an_emergency_beyond_the_heap_says_what_it_could(void **state) {
	(void)state;
	struct scene scene = scene_make(NULL);
	snug_stats before = stats_now(&scene);
	struct job job = emergency(UINT64_MAX / 2, true);
	assert_int_equal(ask(&scene, &job), SNUG_OK);
	snug_stats after = stats_now(&scene);
	assert_true(job.report.outcome != SNUG_OUTCOME_TARGET);
	assert_int_equal(after.objects, before.objects); /* it would be for nothing */
	assert_account(&before, &after, &job.report);
	assert_true(job.report.returned_bytes > 0);
	assert_int_equal(job.report.returned_bytes, before.committed_bytes - after.committed_bytes);
	assert_int_equal(job.evicted_bytes, 0);
	assert_int_equal(scene.board->evict_calls, 0);
	scene_unmake(&scene);
}

/* A budget that the last step has used up ends it with what it did, though there was no more to
 * compact. */
static void an_emergency_ends_with_its_budget(void **state) {
	(void)state;
	struct scene scene = scene_make(NULL);
	struct job before = job_of(JOB_DEFRAGMENT, JOB_PRIORITY_DEMAND);
	assert_int_equal(ask(&scene, &before), SNUG_OK);
	struct job job = emergency(stats_now(&scene).free_page_bytes + 100000, true);
	job.options.budget_ns = 1;
	assert_int_equal(ask(&scene, &job), SNUG_OK);
	assert_int_equal(job.report.outcome, SNUG_OUTCOME_BUDGET);
	assert_false(job.report.complete);
	assert_true(job.report.work_ns > 1);
	assert_int_equal(scene.board->evict_calls, 0);
	scene_unmake(&scene);
}

static void an_emergency_that_may_not_evict(void **state) {
	(void)state;
	struct scene scene = scene_make(NULL);
	uint64_t estimated_bytes = estimate_bytes(&scene);
	struct job job = emergency(estimated_bytes * 2, false);
	assert_int_equal(ask(&scene, &job), SNUG_OK);
	assert_int_equal(job.report.outcome, SNUG_OUTCOME_DONE);
	assert_int_equal(job.report.reclaimed_bytes, estimated_bytes);
	assert_int_equal(scene.board->evict_calls, 0);
	scene_unmake(&scene);
}

/* ------------------------------------------------------------------ the duty cycle ------------ */

static bool always_busy(void *context, uint32_t worker, snug_heap *heap) {
	(void)context;
	(void)worker;
	(void)heap;
	os_thread_yield();
	return true; /* as if there were I/O without end */
}

static void busy(snug_workers_options *options) {
	options->hook.turn = always_busy;
	options->duty_ppm = 100000;
}

static void maintenance_keeps_to_its_share_while_serving(void **state) {
	(void)state;
	struct scene scene = scene_make(busy);
	struct job job = job_of(JOB_DEFRAGMENT, JOB_PRIORITY_DEMAND);
	uint64_t begin_ns = os_now_ns();
	uint64_t before_ns = crew_stats(scene.workers, 0).maintenance_ns;
	assert_int_equal(ask(&scene, &job), SNUG_OK);
	uint64_t total_ns = os_now_ns() - begin_ns;
	struct job metrics = job_of(JOB_METRICS, JOB_PRIORITY_DEMAND);
	assert_int_equal(ask(&scene, &metrics), SNUG_OK);
	uint64_t maintenance_ns = metrics.stats.maintenance_ns - before_ns;
	assert_true(job.report.steps > 100);
	/* The last slice needs no pause after it, and a slice that lost its processor is long. */
	assert_true((double)(maintenance_ns - metrics.stats.longest_slice_ns) <=
				(double)total_ns * 0.1001);
	assert_true(job.report.work_ns <= maintenance_ns);
	scene_unmake(&scene);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_estimated_is_reclaimed),
		cmocka_unit_test(steps_keep_the_tighter_bound),
		cmocka_unit_test(budgets_and_targets_end_a_job),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(a_higher_job_overtakes_and_both_reports_add_up),
		cmocka_unit_test(an_overtaken_job_keeps_its_budget),
		cmocka_unit_test(an_overtaken_job_keeps_its_goal),
		cmocka_unit_test(one_job_of_each_priority),
		cmocka_unit_test(a_cancelled_job_tells_what_it_did),
		cmocka_unit_test(cancelled_before_it_began),
		cmocka_unit_test(a_stop_ends_jobs_with_their_true_report),
		cmocka_unit_test(an_emergency_is_met_without_evicting_if_it_can),
		cmocka_unit_test(an_emergency_evicts_only_what_it_needs),
		cmocka_unit_test(an_emergency_beyond_the_heap_says_what_it_could),
		cmocka_unit_test(an_emergency_ends_with_its_budget),
		cmocka_unit_test(an_emergency_that_may_not_evict),
		cmocka_unit_test(maintenance_keeps_to_its_share_while_serving),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
