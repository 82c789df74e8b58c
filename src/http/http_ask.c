/* http/http_ask.c: see http_ask.h. */
#include "http/http_ask.h"

#include "cache/request.h"
#include "os/threads.h"
#include "server/errand.h"

#include <snug/client.h>
#include <stdlib.h>
#include <string.h>

#define READY_NS UINT64_C(60000000000) /* as long the coordinator has */
#define PAUSE_NS UINT64_C(1000000)
#define LATE_MAX 16u

struct ask {
	struct ask *next;
	snug_client *client;
	struct errand *errand;
	struct request request;
	bool is_away; /* some worker has the request, or will */
	snug_ticket ticket;
};

/* ------------------------------------------------------------------ put aside -------------- */

static void end(struct ask *ask) {
	snug_error error = snug_client_destroy(ask->client);
	(void)error; /* nothing is in flight */
	if (ask->errand != NULL) ask->errand->destroy(ask->errand);
	free(ask);
}

/* Tells whether nobody has anything of it any more. */
static bool is_back(struct ask *ask) {
	snug_result result;
	if (ask->is_away) ask->is_away = snug_client_poll(ask->client, ask->ticket, &result) == SNUG_ERROR_TIMED_OUT;
	return !ask->is_away && (ask->errand->is_ready == NULL || ask->errand->is_ready(ask->errand));
}

static void put_aside(struct asks *asks, struct ask *ask) {
	pthread_mutex_lock(&asks->mutex);
	ask->next = asks->late;
	asks->late = ask;
	asks->late_count++;
	pthread_mutex_unlock(&asks->mutex);
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
	while (look_after(asks) > 0) os_thread_sleep(PAUSE_NS);
	pthread_mutex_destroy(&asks->mutex);
}

/* ------------------------------------------------------------------ perform ---------------- */

static void visit(void *context, uint32_t index, snug_shard *shard, struct operation_counts *counts) {
	struct errand *errand = context;
	(void)shard;
	(void)counts;
	errand->visit(errand, &errand->server->worker[index]);
}

/* Each worker in turn. An error leaves the ask to be put aside, or ended, as is_away says. */
static snug_error visit_all(struct ask *ask, uint64_t patience_ns, uint32_t *worker) {
	if (ask->errand->visit == NULL) return SNUG_OK;
	for (*worker = 0; *worker < ask->errand->server->worker_count; ++*worker) {
		snug_result result;
		ask->request =
			(struct request){.kind = REQUEST_VISIT, .owner = *worker, .visit = visit, .visit_context = ask->errand};
		snug_operation operation = {.kind = SNUG_OPERATION_RUN, .object.worker = *worker, .buffer = &ask->request};
		snug_error error = snug_client_call(ask->client, &operation, patience_ns, &result, &ask->ticket);
		ask->is_away = error == SNUG_ERROR_TIMED_OUT;
		if (!error) error = result.error;
		if (error) return error;
	}
	return SNUG_OK;
}

static bool wait_ready(struct asks *asks, struct ask *ask) {
	if (ask->errand->is_ready == NULL) return true;
	uint64_t until_ns = os_now_ns() + READY_NS;
	while (!ask->errand->is_ready(ask->errand)) {
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
		if (ask->is_away)
			put_aside(asks, ask);
		else
			end(ask);
	} else if (wait_ready(asks, ask)) {
		ask->errand->answer(ask->errand, out);
		end(ask);
	} else {
		text_print(out, "SERVER_ERROR it takes longer, and goes on; the report will tell of it\r\n");
		put_aside(asks, ask);
	}
}

void asks_perform(struct asks *asks, bool is_stats, const char *words, uint64_t patience_ns, struct text *out) {
	if (look_after(asks) >= LATE_MAX) {
		text_print(out, "SERVER_ERROR too many requests wait for workers that do not answer\r\n");
		return;
	}
	struct ask *ask = calloc(1, sizeof *ask);
	snug_error error =
		ask == NULL ? SNUG_ERROR_OS_MEMORY : snug_client_create(asks->server->workers, NULL, &ask->client);
	if (error) {
		free(ask);
		text_print(out, "SERVER_ERROR %s\r\n", snug_error_text(error));
		return;
	}
	ask->errand = (is_stats ? errand_stats : errand_snug)(asks->server, words, strlen(words), out);
	if (ask->errand == NULL)
		end(ask); /* the answer is there */
	else
		run(asks, ask, patience_ns, out);
}
