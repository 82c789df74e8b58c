/* run_crowd.c: leads a crowd (crowd.h): workers, clients, phases, and defragmentations while they
 * run.
 *
 * While clients run, one defragmentation is asked for after the other; their reports are added up.
 * Between phases, when all is quiet, each is held to its estimate as in a run without threads. The
 * laws of each heap are checked by its own worker, in its hook. */
#include "ledger/clock.h"
#include "runs/crowd.h"
#include "runs/runs.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define REST_BETWEEN_NS 20000000L

struct crowd {
	const struct job *job;
	struct shared *shared;
	struct outcome *outcome;
	struct workload workload;
	snug_workers *workers;
	snug_coordinator *coordinator;
	struct crowd_client *clients;
	_Atomic uint32_t check_wanted;              /* the leader counts up */
	_Atomic uint32_t checked[SNUG_WORKERS_MAX]; /* each worker: up to where it has checked */
	/* each worker: the first one; read when it has stopped */
	char law[SNUG_WORKERS_MAX][TEXT_ROOM];
};

/* ---- the workers' hooks ---- */

static void check_heap(struct crowd *crowd, uint32_t worker, snug_heap *heap) {
	snug_check_result result;
	if (snug_check(heap, &result) == SNUG_OK) return;
	if (crowd->law[worker][0] == '\0')
		snprintf(crowd->law[worker], TEXT_ROOM, "worker %u: law %s: %s", worker, result.law,
				 result.message);
}

static bool check_if_wanted(void *context, uint32_t worker, snug_heap *heap) {
	struct crowd *crowd = context;
	uint32_t wanted = crowd->check_wanted;
	if (crowd->checked[worker] == wanted) return false;
	check_heap(crowd, worker, heap);
	crowd->checked[worker] = wanted;
	return true;
}

static void check_at_stop(void *context, uint32_t worker, snug_heap *heap) {
	check_heap(context, worker, heap);
}

/* ---- requests ---- */

static bool ask(struct crowd *crowd, snug_request_kind kind, snug_response *response) {
	snug_request request = snug_request_default(kind);
	snug_ticket late;
	request.options.retain_bytes = 0;
	snug_error error =
		snug_coordinator_call(crowd->coordinator, &request, SNUG_FOREVER, response, &late);
	if (error == SNUG_OK) error = response->error;
	if (error != SNUG_OK)
		run_broken(crowd->outcome, "%s: %s", snug_request_kind_text(kind), snug_error_text(error));
	return error == SNUG_OK;
}

/* METRICS wakes every worker, and each then finds that a check is wanted. */
static void check_all(struct crowd *crowd) {
	snug_response response;
	uint32_t wanted = ++crowd->check_wanted;
	for (uint32_t worker = 0; worker < crowd->job->workers; worker++)
		while (crowd->checked[worker] != wanted && ask(crowd, SNUG_REQUEST_METRICS, &response))
			sched_yield();
}

/* Nobody else runs: what is reclaimed is what was estimated. */
static void defragment_quietly(struct crowd *crowd) {
	struct outcome *outcome = crowd->outcome;
	snug_response estimate, done;
	if (!ask(crowd, SNUG_REQUEST_ESTIMATE, &estimate) ||
		!ask(crowd, SNUG_REQUEST_DEFRAGMENT, &done))
		return;
	uint64_t estimated_bytes = estimate.estimate.reclaimable_bytes;
	bool may_be_more = done.report.before.lent_slots > 0;
	if (may_be_more ? done.report.reclaimed_bytes < estimated_bytes
					: done.report.reclaimed_bytes != estimated_bytes)
		run_broken(crowd->outcome, "reclaimable by the estimate, reclaimed: %llu, %llu",
				   (unsigned long long)estimate.estimate.reclaimable_bytes,
				   (unsigned long long)done.report.reclaimed_bytes);
	if (outcome->defragmented && done.report.reclaimed_bytes <= outcome->report.reclaimed_bytes)
		return;
	outcome->defragmented = true;
	outcome->estimate = estimate.estimate;
	outcome->report = done.report;
}

static void defragment_beside(struct crowd *crowd) {
	struct crowd_outcome *sums = &crowd->outcome->crowd;
	snug_response done;
	if (!ask(crowd, SNUG_REQUEST_DEFRAGMENT, &done)) return;
	sums->defragmentations++;
	sums->reclaimed_bytes += done.report.reclaimed_bytes;
	sums->moved_objects += done.report.moved_objects + done.report.relocated_objects;
	if (done.report.longest_step_ns > sums->longest_step_ns)
		sums->longest_step_ns = done.report.longest_step_ns;
}

/* ---- phases ---- */

static void show_progress(struct crowd *crowd) {
	snug_response response;
	struct progress *progress = &crowd->shared->progress;
	if (!ask(crowd, SNUG_REQUEST_METRICS, &response)) return;
	progress->live_bytes = response.stats.total.payload_bytes;
	progress->used_bytes = response.stats.total.slab_bytes + response.stats.metadata_bytes;
	progress->fragmentation_ppm = (uint32_t)(response.stats.total.external_fragmentation * 1e6);
}

static bool all_done(const struct crowd *crowd) {
	for (uint32_t i = 0; i < crowd->job->clients; i++)
		if (!crowd->clients[i].done) return false;
	return true;
}

static void run_phase(struct crowd *crowd, const struct phase *phase) {
	struct timespec rest = {.tv_nsec = REST_BETWEEN_NS};
	uint32_t started = 0;
	if (phase->kind == PHASE_DEFRAGMENT) {
		defragment_quietly(crowd);
		return;
	}
	for (; started < crowd->job->clients; started++) {
		struct crowd_client *client = &crowd->clients[started];
		client->phase = phase;
		client->done = false;
		if (pthread_create(&client->thread, NULL, crowd_client_run, client) != 0) {
			run_broken(crowd->outcome, "no thread for client %u", started);
			break;
		}
	}
	while (started == crowd->job->clients && !all_done(crowd) && crowd->outcome->broken_laws == 0) {
		defragment_beside(crowd);
		show_progress(crowd);
		nanosleep(&rest, NULL);
	}
	while (started-- > 0) (void)pthread_join(crowd->clients[started].thread, NULL);
}

static bool clients_have(struct crowd *crowd, const struct phase *phase) {
	bool fine =
		phase->kind != PHASE_PIN && phase->kind != PHASE_UNPIN && phase->kind != PHASE_TRACE;
	if (!fine)
		run_broken(
			crowd->outcome,
			"clients of workers can neither pin nor share a trace: run it without --workers");
	return fine;
}

/* ---- begin, end ---- */

static bool begin_clients(struct crowd *crowd) {
	const struct job *job = crowd->job;
	uint32_t shares = job->clients > job->workers ? job->clients : job->workers;
	for (uint32_t i = 0; i < job->clients; i++) {
		struct crowd_client *client = &crowd->clients[i];
		*client = (struct crowd_client){.job = job,
										.progress = &crowd->shared->progress,
										.live_bytes = job->live_bytes / job->clients,
										.largest_bytes =
											(size_t)(job->live_bytes / LARGEST_SHARE / shares)};
		random_init(&client->size_random, job->seed, 1 + 2 * (uint64_t)i);
		random_init(&client->victim_random, job->seed, 2 + 2 * (uint64_t)i);
		if (!crowd_client_begin(client, crowd->workers)) {
			run_broken(crowd->outcome, "%s", client->problem);
			return false;
		}
	}
	return true;
}

static bool begin(struct crowd *crowd) {
	const struct job *job = crowd->job;
	struct outcome *outcome = crowd->outcome;
	snug_workers_options workers = snug_workers_options_default();
	snug_coordinator_options coordinator = snug_coordinator_options_default();
	if (!workload_find(job, &crowd->workload, outcome->problem, sizeof outcome->problem))
		return false;
	for (size_t i = 0; i < crowd->workload.phase_count; i++)
		if (!clients_have(crowd, &crowd->workload.phases[i])) return false;
	workers.count = job->workers;
	workers.heap.limit_bytes = job->limit_bytes / job->workers;
	workers.heap.page_bytes = job->page_bytes;
	workers.heap.no_compaction_in_alloc = job->no_compaction;
	workers.hook =
		(snug_worker_hook){.context = crowd, .turn = check_if_wanted, .stop = check_at_stop};
	snug_error error = snug_workers_create(&workers, &crowd->workers);
	coordinator.background.on = false; /* only what is asked for */
	if (error == SNUG_OK)
		error = snug_coordinator_create(crowd->workers, &coordinator, &crowd->coordinator);
	if (error != SNUG_OK)
		run_broken(crowd->outcome, "workers cannot be created: %s", snug_error_text(error));
	crowd->shared->progress.planned_bytes = workload_planned_bytes(&crowd->workload, job);
	return error == SNUG_OK && begin_clients(crowd);
}

/* Before the last defragmentation, with all objects there. */
static void note_end(struct crowd *crowd) {
	struct outcome *outcome = crowd->outcome;
	snug_response response;
	for (uint32_t i = 0; i < crowd->job->clients; i++) {
		const struct crowd_client *client = &crowd->clients[i];
		outcome->live_bytes += client->ledger.live_bytes;
		outcome->objects += ledger_count(&client->ledger);
	}
	if (!ask(crowd, SNUG_REQUEST_METRICS, &response)) return;
	outcome->stats = response.stats;
	outcome->utilisation_end = (double)outcome->live_bytes / (double)crowd->job->limit_bytes;
	outcome->utilisation_min = outcome->utilisation_mean = outcome->utilisation_end;
	outcome->rss_bytes = response.stats.committed_bytes + response.stats.metadata_bytes;
	if (response.stats.total.payload_bytes != outcome->live_bytes ||
		response.stats.objects != outcome->objects)
		run_broken(crowd->outcome, "payload in the heap, in the ledgers: %llu, %llu",
				   (unsigned long long)response.stats.total.payload_bytes,
				   (unsigned long long)outcome->live_bytes);
}

/* Before what is left is freed. */
static void add_up(struct crowd *crowd) {
	struct outcome *outcome = crowd->outcome;
	snug_histogram *times = &crowd->shared->alloc_ns;
	snug_histogram_init(times);
	for (uint32_t i = 0; i < crowd->job->clients; i++) {
		const struct crowd_client *client = &crowd->clients[i];
		outcome->crowd.operations += client->operations;
		outcome->allocations += client->allocations;
		outcome->failed_allocations += client->failed_allocations;
		outcome->allocated_bytes += client->allocated_bytes;
		outcome->frees += client->frees;
		snug_histogram_merge(times, &client->operation_ns);
	}
	outcome->crowd.operation_ns = quantiles_of(times);
}

static void end_clients(struct crowd *crowd) {
	struct outcome *outcome = crowd->outcome;
	for (uint32_t i = 0; i < crowd->job->clients; i++) {
		struct crowd_client *client = &crowd->clients[i];
		crowd_client_end(client);
		outcome->verified_bytes += client->verified_bytes;
		outcome->integrity_errors += client->integrity_errors;
		if (client->problem[0] != '\0')
			run_broken(crowd->outcome, "client %u: %s", i, client->problem);
	}
}

static void end(struct crowd *crowd) {
	end_clients(crowd);
	snug_error error = snug_coordinator_destroy(crowd->coordinator);
	if (error == SNUG_OK) error = snug_workers_destroy(crowd->workers);
	if (error != SNUG_OK)
		run_broken(crowd->outcome, "workers cannot be destroyed: %s", snug_error_text(error));
	for (uint32_t worker = 0; worker < crowd->job->workers; worker++)
		if (crowd->law[worker][0] != '\0') run_broken(crowd->outcome, "%s", crowd->law[worker]);
}

void run_crowd(struct shared *shared) {
	struct crowd *crowd = bookkeeping_map(sizeof *crowd);
	struct outcome *outcome = &shared->outcome;
	*crowd = (struct crowd){.job = &shared->job, .shared = shared, .outcome = outcome};
	crowd->clients = bookkeeping_map(shared->job.clients * sizeof *crowd->clients);
	if (!begin(crowd)) {
		outcome->status = JOB_BROKEN; /* the process ends, and with it what was begun */
		return;
	}
	outcome->status = JOB_RUNNING;
	for (size_t i = 0; i < crowd->workload.phase_count && outcome->broken_laws == 0; i++) {
		uint64_t begin_ns = clock_ns();
		shared->progress.phase = (uint32_t)i;
		run_phase(crowd, &crowd->workload.phases[i]);
		outcome->elapsed_ns += clock_ns() - begin_ns;
		if (shared->job.check) check_all(crowd);
	}
	note_end(crowd);
	add_up(crowd);
	defragment_quietly(crowd);
	if (shared->job.check) check_all(crowd);
	end(crowd);
	outcome->reclaimed_bytes = outcome->stats.reclaimed_bytes;
	outcome->status = outcome->broken_laws + outcome->integrity_errors == 0 ? JOB_DONE : JOB_BROKEN;
}
