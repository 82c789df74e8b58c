/* server/doctor/doctor.c: `snug doctor`: the figures, and what is found told as lines.
 *
 *     STAT checks 25
 *     STAT findings 1                       0: nothing is wrong
 *     STAT 0:finding swapped
 *     STAT 0:what 12.0 MiB of the server are swapped out: ..
 *     STAT 0:advice a lower limit, ..
 *
 * Each worker tells its figures on its own thread; the files of the process and the machine are read
 * for the answer, some ten small ones. */
#include "server/doctor/doctor.h"

#include "os/files.h"
#include "os/process_figures.h"
#include "os/threads.h"
#include "server/process/enough_memory.h"
#include "server/process/kept_memory.h"
#include "server/process/listeners.h"
#include "server/process/log_stderr.h"

#define NS_PER_S UINT64_C(1000000000)
#define FINDINGS_MAX 32u

struct doctor {
	struct errand errand; /* must be the first */
	struct figures sum;
	struct doctor_figures figures;
};

static struct doctor *doctor_of(struct errand *errand) {
	return (struct doctor *)(void *)errand;
}

static void visit(struct errand *errand, struct server_worker *worker) {
	struct doctor *doctor = doctor_of(errand);
	struct doctor_figures *figures = &doctor->figures;
	uint64_t before_ns = figures->recent.cpu_ns;
	figures_add(&doctor->sum, worker);
	figures_add_past(worker, os_now_ns(), &figures->recent, &figures->before);
	uint64_t cpu_ns = figures->recent.cpu_ns - before_ns;
	if (cpu_ns <= figures->busiest_cpu_ns) return;
	figures->busiest_cpu_ns = cpu_ns;
	figures->busiest_worker = worker->index;
}

/* ------------------------------------------------------------------ figures ---------------- */

static void know_memory(const struct server *server, const struct figures *sum,
						struct doctor_figures *out) {
	const snug_stats *heap = &sum->shard.heap;
	const struct settings *settings = &server->settings;
	out->limit_bytes = heap->limit_bytes;
	out->limit_goal_bytes = heap->limit_goal_bytes;
	out->reclaimable_bytes = heap->total.reclaimable_bytes;
	out->leased_bytes = heap->pinned_bytes;
	out->no_eviction = settings->no_eviction;
	out->cleans_up = settings->background;
	out->item_max_bytes = settings->item_max_bytes;
}

static void know_connections(const struct server *server, const struct figures *sum,
							 struct doctor_figures *out) {
	out->connections = sum->connections.current;
	out->connections_max =
		atomic_load_explicit(&server->live.connections_max, memory_order_relaxed);
	out->connection_memory_bytes = server->settings.connection_memory_bytes;
	out->open_addresses = server->auth != NULL ? 0 : listeners_count_open(server->listeners);
	listeners_waiting(server->listeners, &out->listen_waiting, &out->listen_room);
	if (server->tls == NULL) return;
	out->has_certificate = true;
	out->certificate_valid_s =
		tls_valid_s(server->tls) - (int64_t)((os_now_ns() - tls_read_ns(server->tls)) / NS_PER_S);
}

static uint64_t accounted_bytes(struct server *server, const struct figures *sum) {
	const struct holding *http = atomic_load_explicit(&server->http_holding, memory_order_acquire);
	return memory_used_bytes(&sum->shard) + sum->connections.buffer_bytes +
		   atomic_load_explicit(&server->texts.used_bytes, memory_order_relaxed) +
		   (http == NULL ? 0 : http->bytes(http->context)) + log_stderr_bytes();
}

/* The last hour: it concerns the load that the database has now. */
#define ANEW_TOLD_S 3600

static const char *anew_reason(const struct server *server) {
	const char *reason = snug_memory_file_reason(server->memory_file);
	int64_t up_s = os_epoch_s(&server->started, os_now_ns()) - server->started.begun_s;
	return reason[0] == '\0' || up_s > ANEW_TOLD_S ? NULL : reason;
}

static void know_machine(struct server *server, const struct figures *sum,
						 struct doctor_figures *out) {
	const struct settings *settings = &server->settings;
	snug_coordinator_stats coordinator = {0};
	out->resident_bytes = os_resident_bytes();
	out->accounted_bytes = accounted_bytes(server, sum);
	out->swapped_bytes = os_swapped_bytes();
	out->promised_bytes = settings->memory_max_bytes + settings->connection_memory_bytes;
	out->machine_bytes = enough_memory_bytes(os_read_file);
	if (snug_coordinator_stats_get(server->coordinator, &coordinator) == SNUG_OK)
		out->is_machine_short = coordinator.machine_pressure;
	out->has_file = server->memory_file != NULL &&
					kept_memory_room(settings, &out->file_bytes, &out->file_free_bytes);
	out->anew_reason = anew_reason(server);
	out->clock_set_s = os_wall_s() - os_epoch_s(&server->started, os_now_ns());
	out->log_dropped = log_stderr_dropped();
}

/* ------------------------------------------------------------------ the answer ------------- */

static void answer(struct errand *errand, struct text *out) {
	struct doctor *doctor = doctor_of(errand);
	struct doctor_figures *figures = &doctor->figures;
	struct finding found[FINDINGS_MAX];
	figures->workers = errand->server->worker_count;
	know_memory(errand->server, &doctor->sum, figures);
	know_connections(errand->server, &doctor->sum, figures);
	know_machine(errand->server, &doctor->sum, figures);
	size_t count = doctor_find(figures, found, FINDINGS_MAX);
	stat_u64(out, "checks", doctor_checks());
	stat_u64(out, "findings", count);
	for (size_t i = 0; i < count; i++)
		text_print(out, "STAT %zu:finding %s\r\nSTAT %zu:what %s\r\nSTAT %zu:advice %s\r\n", i,
				   found[i].check, i, found[i].what, i, found[i].advice);
	text_say(out, "END");
}

struct errand *doctor_errand(struct server *server, const struct line *words, struct text *out) {
	if (words->count != 1) {
		text_say(out, "CLIENT_ERROR usage: snug doctor");
		return NULL;
	}
	struct doctor *doctor = errand_new(server, sizeof *doctor, out);
	if (doctor == NULL) return NULL;
	doctor->errand.visit = visit;
	doctor->errand.answer = answer;
	return &doctor->errand;
}
