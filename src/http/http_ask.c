/* http/http_ask.c: see http_ask.h. */
#include "http/http_ask.h"

#include "base/assert.h"
#include "cache/request.h"
#include "os/threads.h"
#include "server/errand/errand.h"

#include <snug/client.h>
#include <stdlib.h>
#include <string.h>

#define READY_NS UINT64_C(60000000000) /* as long the coordinator has */
#define PAUSE_NS UINT64_C(1000000)
#define LATE_MAX 16u

struct ask {
	struct ask *next;
	snug_client *client;      /* what it has in flight, some worker has, or will */
	struct errand *errand;    /* NULL: a probe */
	struct request request[]; /* of an errand one, which goes from worker to worker; of a probe one for each */
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
	return ask->errand == NULL || ask->errand->is_ready == NULL || ask->errand->is_ready(ask->errand);
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

void asks_deinit(struct asks *asks) {
	uint32_t left = look_after(asks);
	SNUG_ASSERT(left == 0);
	(void)left;
	pthread_mutex_destroy(&asks->mutex);
}

/* ------------------------------------------------------------------ begin ------------------ */

/* NULL: `out` has the refusal. */
static struct ask *begin(struct asks *asks, uint32_t request_count, struct text *out) {
	if (look_after(asks) >= LATE_MAX) {
		text_print(out, "SERVER_ERROR too many requests wait for workers that do not answer\r\n");
		return NULL;
	}
	struct ask *ask = calloc(1, sizeof *ask + request_count * sizeof ask->request[0]);
	snug_error error =
		ask == NULL ? SNUG_ERROR_OS_MEMORY : snug_client_create(asks->server->workers, NULL, &ask->client);
	if (!error) return ask;
	free(ask);
	text_print(out, "SERVER_ERROR %s\r\n", snug_error_text(error));
	return NULL;
}

static snug_operation run_on(uint32_t worker, struct request *request) {
	return (snug_operation){.kind = SNUG_OPERATION_RUN, .object.worker = worker, .buffer = request};
}

/* ------------------------------------------------------------------ perform ---------------- */

static void visit(void *context, uint32_t index, snug_shard *shard, struct operation_counts *counts) {
	struct errand *errand = context;
	(void)shard;
	(void)counts;
	errand->is_unfinished = false;
	errand->visit(errand, &errand->server->worker[index]);
}

/* Each worker in turn: they write into the same errand. */
static snug_error visit_all(struct ask *ask, uint64_t patience_ns, uint32_t *worker) {
	if (ask->errand->visit == NULL) return SNUG_OK;
	for (*worker = 0; *worker < ask->errand->server->worker_count; ++*worker) {
		snug_result result;
		snug_ticket late;
		do { /* each slice of a visit is a message; that long may each take */
			ask->request[0] =
				(struct request){.kind = REQUEST_VISIT, .owner = *worker, .visit = visit, .visit_context = ask->errand};
			snug_operation operation = run_on(*worker, &ask->request[0]);
			snug_error error = snug_client_call(ask->client, &operation, patience_ns, &result, &late);
			if (!error) error = result.error;
			if (error) return error;
		} while (ask->errand->is_unfinished);
	}
	return SNUG_OK;
}

static bool wait_ready(const struct asks *asks, const struct ask *ask) {
	uint64_t until_ns = os_now_ns() + READY_NS;
	while (!is_ready(ask)) {
		if (os_now_ns() > until_ns || asks->is_stopping) return false;
		os_thread_sleep(PAUSE_NS);
	}
	return true;
}

static void run(struct asks *asks, struct ask *ask, uint64_t patience_ns, struct text *out) {
	uint32_t worker = 0;
	snug_error error = visit_all(ask, patience_ns, &worker);
	if (error) {
		text_print(out, "SERVER_ERROR worker %u: %s\r\n", worker, snug_error_text(error));
		end_or_put_aside(asks, ask);
	} else if (wait_ready(asks, ask)) {
		ask->errand->answer(ask->errand, out);
		end(ask);
	} else {
		text_print(out, "SERVER_ERROR it takes longer, and goes on; the report will tell of it\r\n");
		put_aside(asks, ask);
	}
}

void asks_perform(struct asks *asks, bool is_stats, const char *words, uint64_t patience_ns, struct text *out) {
	struct ask *ask = begin(asks, 1, out);
	if (ask == NULL) return;
	ask->errand = (is_stats ? errand_stats : errand_snug)(asks->server, words, strlen(words), out);
	if (ask->errand == NULL)
		end(ask); /* the answer is there */
	else
		run(asks, ask, patience_ns, out);
}

/* ------------------------------------------------------------------ probe ------------------ */

static void look_in(void *context, uint32_t index, snug_shard *shard, struct operation_counts *counts) {
	(void)context;
	(void)index;
	(void)shard;
	(void)counts;
}

/* Waits for room in its inbox, if it must. */
static snug_error send_probe(struct ask *ask, uint32_t worker, uint64_t deadline_ns, snug_ticket *ticket) {
	snug_operation operation = run_on(worker, &ask->request[worker]);
	snug_error error;
	ask->request[worker] = (struct request){.kind = REQUEST_VISIT, .owner = worker, .visit = look_in};
	while ((error = snug_client_submit(ask->client, &operation, 1, ticket)) == SNUG_ERROR_QUEUE_FULL &&
		   os_remaining_ns(deadline_ns) > 0)
		os_thread_sleep(PAUSE_NS);
	return error;
}

bool asks_probe(struct asks *asks, uint64_t patience_ns, struct text *out) {
	uint32_t count = asks->server->worker_count, failed = 0;
	uint64_t deadline_ns = os_deadline_ns(patience_ns);
	snug_ticket ticket[SNUG_WORKERS_MAX];
	snug_error error[SNUG_WORKERS_MAX];
	struct ask *ask = begin(asks, count, out);
	if (ask == NULL) return false;
	for (uint32_t i = 0; i < count; i++) error[i] = send_probe(ask, i, deadline_ns, &ticket[i]);
	for (uint32_t i = 0; i < count; i++) {
		snug_result result;
		if (!error[i]) error[i] = snug_client_wait(ask->client, ticket[i], os_remaining_ns(deadline_ns), &result);
		if (!error[i]) error[i] = result.error;
		if (!error[i]) continue;
		failed++;
		text_print(out, "worker %u: %s\n", i, snug_error_text(error[i]));
	}
	end_or_put_aside(asks, ask);
	return failed == 0;
}
