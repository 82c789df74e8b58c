/* server/errand/errand_ask.c: see server/errand/errand_ask.h.
 *
 *     begin --visit, a message to each worker in turn--> ready? --> answer --> end
 *       |              |                                   |
 *       |              late                                late
 *       |              '-------> put aside <---------------'
 *       |                            |  what was in flight is back, and it is ready
 *       '- LATE_MAX wait already:    '--> end, at a later call, or at the end of all
 *          refused
 *
 * A message to a worker cannot be taken back: its memory is the ask's, and stays until the worker
 * has had it. So an ask that is late is kept, and they are bounded: when LATE_MAX wait, a new one
 * is refused, and is told for which worker.
 *
 * PATIENCE. Each visit has the caller's; a slice of a visit is a message of its own, so a long walk
 * is late only if one of its slices is. The coordinator has READY_NS. While it is waited for, the
 * workers are asked now and then whether they answer at all: what all of them do together is not
 * waited for when one of them does nothing.
 *
 * A client of the workers (snug/client.h) is made for each ask: asks come some times a second at
 * most, from people and scrapers. */
#include "server/errand/errand_ask.h"

#include "base/assert.h"
#include "cache/operation/request.h"
#include "os/threads.h"
#include "server/errand/errand.h"
#include "server/visit/visit.h"

#include <snug/client.h>
#include <stdlib.h>
#include <string.h>

#define READY_NS UINT64_C(60000000000) /* as long the coordinator has */
#define PAUSE_NS UINT64_C(1000000)
#define PROBE_NS UINT64_C(1000000000)
#define LATE_MAX 16u

struct ask {
	struct ask *next;
	snug_client *client;   /* what it has in flight, some worker has, or will */
	struct errand *errand; /* NULL: a probe */
	/* of one put aside: the worker that did not answer; SNUG_WORKERS_MAX: none in particular */
	uint32_t silent;
	/* of an errand one, which goes from worker to worker; of a probe one for each */
	struct request request[];
};

/* ------------------------------------------------------------------ put aside -------------- */

static void end(struct ask *ask) {
	snug_error error = snug_client_destroy(ask->client);
	SNUG_ASSERT(!error); /* nothing is in flight */
	(void)error;
	if (ask->errand != NULL) ask->errand->destroy(ask->errand);
	free(ask);
}

static bool is_ready(const struct ask *ask) {
	return ask->errand == NULL || ask->errand->is_ready == NULL ||
		   ask->errand->is_ready(ask->errand);
}

/* Tells whether nobody has anything of it any more. */
static bool is_back(struct ask *ask) {
	snug_ticket ticket;
	snug_result result;
	while (snug_client_next(ask->client, 0, &ticket, &result) == SNUG_OK) continue;
	return snug_client_in_flight(ask->client) == 0 && is_ready(ask);
}

static void put_aside(struct asks *asks, struct ask *ask) {
	pthread_mutex_lock(&asks->mutex);
	ask->next = asks->late;
	asks->late = ask;
	asks->late_count++;
	pthread_mutex_unlock(&asks->mutex);
}

static void end_or_put_aside(struct asks *asks, struct ask *ask) {
	if (snug_client_in_flight(ask->client) > 0)
		put_aside(asks, ask);
	else
		end(ask);
}

/* Ends those that are back. Tells how many are left. */
static uint32_t look_after(struct asks *asks) {
	pthread_mutex_lock(&asks->mutex);
	struct ask **at = &asks->late;
	while (*at != NULL) {
		struct ask *ask = *at;
		if (is_back(ask)) {
			*at = ask->next;
			asks->late_count--;
			end(ask);
		} else {
			at = &ask->next;
		}
	}
	uint32_t left = asks->late_count;
	pthread_mutex_unlock(&asks->mutex);
	return left;
}

void asks_init(struct asks *asks, struct server *server) {
	memset(asks, 0, sizeof *asks);
	asks->server = server;
	pthread_mutex_init(&asks->mutex, NULL);
}

void asks_stop(struct asks *asks) {
	atomic_store_explicit(&asks->is_stopping, true, memory_order_relaxed);
}

bool asks_is_stopping(const struct asks *asks) {
	return atomic_load_explicit(&asks->is_stopping, memory_order_relaxed);
}

void asks_deinit(struct asks *asks) {
	uint32_t left = look_after(asks);
	SNUG_ASSERT(left == 0);
	(void)left;
	pthread_mutex_destroy(&asks->mutex);
}

/* ------------------------------------------------------------------ begin ------------------ */

/* For whom most recent ones wait. */
static void say_too_many(struct asks *asks, struct text *out) {
	pthread_mutex_lock(&asks->mutex);
	uint32_t silent = asks->late != NULL ? asks->late->silent : SNUG_WORKERS_MAX;
	pthread_mutex_unlock(&asks->mutex);
	text_print(out, "SERVER_ERROR ");
	if (silent < SNUG_WORKERS_MAX) text_print(out, "worker %u does not answer: ", silent);
	text_print(out, "%u requests wait already\r\n", LATE_MAX);
}

/* NULL: `out` has the refusal. */
static struct ask *begin(struct asks *asks, uint32_t request_count, struct text *out) {
	if (look_after(asks) >= LATE_MAX) {
		say_too_many(asks, out);
		return NULL;
	}
	struct ask *ask = calloc(1, sizeof *ask + request_count * sizeof ask->request[0]);
	snug_error error = ask == NULL ? SNUG_ERROR_OS_MEMORY
								   : snug_client_create(asks->server->workers, NULL, &ask->client);
	if (!error) {
		ask->silent = SNUG_WORKERS_MAX;
		return ask;
	}
	free(ask);
	text_print(out, "SERVER_ERROR %s\r\n", snug_error_text(error));
	return NULL;
}

static snug_operation run_on(uint32_t worker, struct request *request) {
	return (snug_operation){.kind = SNUG_OPERATION_RUN, .object.worker = worker, .buffer = request};
}

/* ------------------------------------------------------------------ probe ------------------ */

static void look_in(void *context, uint32_t index, snug_shard *shard,
					struct operation_counts *counts) {
	(void)context;
	(void)index;
	(void)shard;
	(void)counts;
}

/* Waits for room in its inbox, if it must. */
static snug_error send_probe(struct ask *ask, uint32_t worker, uint64_t deadline_ns,
							 snug_ticket *ticket) {
	snug_operation operation = run_on(worker, &ask->request[worker]);
	snug_error error;
	ask->request[worker] =
		(struct request){.kind = REQUEST_VISIT, .owner = worker, .visit = look_in};
	while ((error = snug_client_submit(ask->client, &operation, 1, ticket)) ==
			   SNUG_ERROR_QUEUE_FULL &&
		   os_remaining_ns(deadline_ns) > 0)
		os_thread_sleep(PAUSE_NS);
	return error;
}

/* What each worker answers within `patience_ns` in total. False: it could not be asked, and `out`
 * has the refusal. */
static bool probe_all(struct asks *asks, uint64_t patience_ns, snug_error error[SNUG_WORKERS_MAX],
					  struct text *out) {
	uint32_t count = asks->server->worker_count;
	uint64_t deadline_ns = os_deadline_ns(patience_ns);
	snug_ticket ticket[SNUG_WORKERS_MAX];
	struct ask *ask = begin(asks, count, out);
	if (ask == NULL) return false;
	for (uint32_t i = 0; i < count; i++) error[i] = send_probe(ask, i, deadline_ns, &ticket[i]);
	for (uint32_t i = 0; i < count; i++) {
		snug_result result;
		if (!error[i])
			error[i] =
				snug_client_wait(ask->client, ticket[i], os_remaining_ns(deadline_ns), &result);
		if (!error[i]) error[i] = result.error;
		if (error[i]) ask->silent = i;
	}
	end_or_put_aside(asks, ask);
	return true;
}

bool asks_probe(struct asks *asks, uint64_t patience_ns, struct text *out) {
	snug_error error[SNUG_WORKERS_MAX];
	uint32_t failed = 0;
	if (!probe_all(asks, patience_ns, error, out)) return false;
	for (uint32_t i = 0; i < asks->server->worker_count; i++) {
		if (!error[i]) continue;
		failed++;
		text_print(out, "worker %u: %s\n", i, snug_error_text(error[i]));
	}
	return failed == 0;
}

/* The first worker that does not answer; worker_count: all do. */
static uint32_t find_silent(struct asks *asks, uint64_t patience_ns) {
	struct text refusal = {0};
	snug_error error[SNUG_WORKERS_MAX];
	uint32_t worker = 0;
	bool is_asked = probe_all(asks, patience_ns, error, &refusal);
	text_deinit(&refusal);
	if (!is_asked) return asks->server->worker_count;
	while (worker < asks->server->worker_count && !error[worker]) worker++;
	return worker;
}

/* ------------------------------------------------------------------ perform ---------------- */

static void visit(void *context, uint32_t index, snug_shard *shard,
				  struct operation_counts *counts) {
	struct errand *errand = context;
	(void)shard;
	(void)counts;
	errand->is_unfinished = errand->has_part = false;
	errand->visit(errand, &errand->server->worker[index]);
}

/* True: there is more to come, and somebody who takes it. */
static bool tell_part(const struct asks *asks, const struct ask *ask, struct ask_taker taker,
					  struct text *out) {
	if (!ask->errand->has_part) return false;
	ask->errand->answer(ask->errand, out);
	if (out->failed || asks_is_stopping(asks) || taker.take == NULL) out->failed = true;
	return !out->failed && taker.take(taker.context, out);
}

/* Each worker in turn: they write into the same errand. */
static snug_error visit_all(const struct asks *asks, struct ask *ask, uint64_t patience_ns,
							struct ask_taker taker, uint32_t *worker, struct text *out) {
	if (ask->errand->visit == NULL) return SNUG_OK;
	for (*worker = 0; *worker < ask->errand->server->worker_count; ++*worker) {
		snug_result result;
		snug_ticket late;
		do { /* each slice of a visit is a message; that long may each take */
			ask->request[0] = (struct request){.kind = REQUEST_VISIT,
											   .owner = *worker,
											   .visit = visit,
											   .visit_context = ask->errand};
			snug_operation operation = run_on(*worker, &ask->request[0]);
			snug_error error =
				snug_client_call(ask->client, &operation, patience_ns, &result, &late);
			if (!error) error = result.error;
			if (error) return error;
		} while (ask->errand->is_unfinished || tell_part(asks, ask, taker, out));
		if (ask->errand->has_part) return SNUG_OK; /* nobody wants the rest */
	}
	return SNUG_OK;
}

/* What all workers do together is not waited for when one of them does nothing: `*silent` is that
 * one, or worker_count. */
static bool wait_ready(struct asks *asks, const struct ask *ask, uint64_t patience_ns,
					   uint32_t *silent) {
	uint64_t until_ns = os_now_ns() + READY_NS;
	uint64_t patient_until_ns = os_now_ns() + patience_ns;
	*silent = asks->server->worker_count;
	while (!is_ready(ask)) {
		uint64_t now_ns = os_now_ns();
		if (now_ns > until_ns || asks_is_stopping(asks)) return false;
		if (now_ns > patient_until_ns) {
			*silent = find_silent(asks, PROBE_NS);
			if (*silent < asks->server->worker_count) return false;
			patient_until_ns = os_now_ns() + patience_ns;
		}
		os_thread_sleep(PAUSE_NS);
	}
	return true;
}

static void run(struct asks *asks, struct ask *ask, uint64_t patience_ns, struct ask_taker taker,
				struct text *out) {
	uint32_t worker = 0, silent;
	snug_error error = visit_all(asks, ask, patience_ns, taker, &worker, out);
	if (!error && ask->errand->has_part) {
		out->failed = true;
		end(ask);
	} else if (error) {
		text_print(out, "SERVER_ERROR worker %u does not answer: %s\r\n", worker,
				   snug_error_text(error));
		ask->silent = worker;
		end_or_put_aside(asks, ask);
	} else if (wait_ready(asks, ask, patience_ns, &silent)) {
		ask->errand->answer(ask->errand, out);
		end(ask);
	} else {
		text_print(out, "SERVER_ERROR ");
		if (silent < asks->server->worker_count)
			text_print(out, "worker %u does not answer: ", silent);
		text_print(out, "it takes longer, and goes on; the report will tell of it\r\n");
		if (silent < asks->server->worker_count) ask->silent = silent;
		put_aside(asks, ask);
	}
}

/* No errand: the answer is there. */
static void run_or_end(struct asks *asks, struct ask *ask, struct errand *errand,
					   uint64_t patience_ns, struct ask_taker taker, struct text *out) {
	ask->errand = errand;
	if (errand == NULL)
		end(ask);
	else
		run(asks, ask, patience_ns, taker, out);
}

void asks_perform(struct asks *asks, bool is_stats, const char *words, uint64_t patience_ns,
				  struct text *out) {
	struct ask *ask = begin(asks, 1, out);
	if (ask == NULL) return;
	run_or_end(asks, ask,
			   (is_stats ? errand_stats : errand_snug)(asks->server, words, strlen(words), out),
			   patience_ns, (struct ask_taker){0}, out);
}

void asks_command(struct asks *asks, const struct command *command, uint64_t patience_ns,
				  struct ask_taker taker, struct text *out) {
	struct ask *ask = begin(asks, 1, out);
	if (ask != NULL)
		run_or_end(asks, ask, errand_command(asks->server, command, out), patience_ns, taker, out);
}
