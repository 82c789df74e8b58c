/* server/server_trouble.c: see server/server_trouble.h.
 *
 *     worker: counter now - counter a second ago --added--> trouble: untold --10 s--> one line
 *
 * Whoever serves only counts. Each worker looks at its counters once a second, and adds what is new
 * to the server's. The first that finds something untold, and the last line long enough ago, takes
 * the figure and tells it: so a line has what all workers counted, and nothing that was counted is
 * left out of them all.
 *
 * Beside these the coordinator tells of a worker that stands still, the desk of refused passwords,
 * HTTP of clients that it closed, and a reload of what it changed. */
#include "server/server_trouble.h"

#include "base/log_line.h"
#include "base/number_text.h"
#include "server/figures/figures.h"

#include <stdio.h>

#define LINE_ROOM 224u

/* What the worker has counted until now. */
static void count(struct server_worker *worker, uint64_t counted[TROUBLE_COUNT]) {
	const struct connection_counts *connections = &worker->connections;
	snug_shard_stats stats = {0};
	(void)!snug_shard_stats_get(worker->shard, &stats);
	counted[TROUBLE_EVICTIONS] = stats.evictions;
	counted[TROUBLE_NO_MEMORY] = worker->counts.store_no_memory;
	counted[TROUBLE_TOO_LARGE] = worker->counts.store_too_large;
	counted[TROUBLE_TOO_MANY] = connections->rejected - connections->rejected_memory;
	counted[TROUBLE_NOT_OPENED] = connections->rejected_memory;
	counted[TROUBLE_CLOSED] = connections->memory_closed;
	counted[TROUBLE_KILLED] = connections->killed;
	counted[TROUBLE_TOKENS] = 0; /* HTTP adds them */
}

static void say(const struct server *server, enum trouble_kind kind, uint64_t figure, char *line) {
	const struct settings *settings = &server->settings;
	struct settings now = settings_live_now(&server->live, settings);
	unsigned long long number = figure;
	const char *s = figure == 1 ? "" : "s";
	switch (kind) {
	case TROUBLE_EVICTIONS:
		(void)snprintf(line, LINE_ROOM,
					   "evictions have begun: %llu item%s; the memory limit of %s is in use",
					   number, s, number_size(now.memory_bytes).text);
		break;
	case TROUBLE_NO_MEMORY:
		(void)snprintf(line, LINE_ROOM,
					   "%llu store%s refused: no room within the memory limit of %s%s", number, s,
					   number_size(now.memory_bytes).text,
					   settings->no_eviction ? ", and nothing is evicted (-M)" : "");
		break;
	case TROUBLE_TOO_LARGE:
		(void)snprintf(line, LINE_ROOM,
					   "%llu store%s refused: larger than an item may be, which is %s (-I)", number,
					   s, number_size(settings->item_max_bytes).text);
		break;
	case TROUBLE_TOO_MANY:
		(void)snprintf(line, LINE_ROOM,
					   "%llu connection%s turned away: %u may be open at a time (-c)", number, s,
					   now.connections_max);
		break;
	case TROUBLE_NOT_OPENED:
		(void)snprintf(line, LINE_ROOM, "%llu connection%s turned away: no memory for connections",
					   number, s);
		break;
	case TROUBLE_CLOSED:
		(void)snprintf(line, LINE_ROOM,
					   "%llu connection%s closed that held most: connection memory of %s is short",
					   number, s, number_size(settings->connection_memory_bytes).text);
		break;
	case TROUBLE_KILLED:
		(void)snprintf(line, LINE_ROOM, "%llu connection%s closed by an operator", number, s);
		break;
	case TROUBLE_TOKENS:
		(void)snprintf(line, LINE_ROOM, "HTTP: %llu action%s refused: a wrong token", number, s);
		break;
	case TROUBLE_COUNT:
		break;
	}
}

/* Nobody else tells of it now. */
static bool claim(struct trouble *trouble, uint64_t pause_ns, uint64_t now_ns) {
	uint64_t told_ns = atomic_load_explicit(&trouble->told_ns, memory_order_relaxed);
	if (told_ns != 0 && now_ns < told_ns + pause_ns) return false;
	return atomic_compare_exchange_strong_explicit(&trouble->told_ns, &told_ns, now_ns,
												   memory_order_relaxed, memory_order_relaxed);
}

static void tell(struct server *server, enum trouble_kind kind, uint64_t now_ns) {
	struct trouble *trouble = &server->trouble[kind];
	char line[LINE_ROOM] = "";
	if (atomic_load_explicit(&trouble->untold, memory_order_relaxed) == 0) return;
	if (!claim(trouble, TROUBLE_PAUSE_NS, now_ns)) return;
	uint64_t figure = atomic_exchange_explicit(&trouble->untold, 0, memory_order_relaxed);
	if (figure == 0) return;
	say(server, kind, figure, line);
	snug_log_line(&server->log, SNUG_LOG_WARNING, "%s", line);
}

/* The pause counts from the last eviction, not from the last line. */
static void tell_evictions(struct server *server, uint64_t added, uint64_t now_ns) {
	struct trouble *trouble = &server->trouble[TROUBLE_EVICTIONS];
	char line[LINE_ROOM] = "";
	if (added == 0) return;
	if (!claim(trouble, TROUBLE_AGAIN_NS, now_ns)) {
		atomic_store_explicit(&trouble->told_ns, now_ns, memory_order_relaxed);
		return;
	}
	say(server, TROUBLE_EVICTIONS, added, line);
	snug_log_line(&server->log, SNUG_LOG_WARNING, "%s", line);
}

void server_trouble_add(struct server *server, enum trouble_kind kind, uint64_t count,
						uint64_t now_ns) {
	if (count > 0)
		atomic_fetch_add_explicit(&server->trouble[kind].untold, count, memory_order_relaxed);
	tell(server, kind, now_ns);
}

void server_trouble_look(struct server_worker *worker, uint64_t now_ns) {
	struct server *server = worker->server;
	uint64_t counted[TROUBLE_COUNT];
	figures_mark(worker, now_ns);
	count(worker, counted);
	for (uint32_t kind = 0; kind < TROUBLE_COUNT; kind++) {
		/* after `stats reset` they begin anew */
		uint64_t before = worker->troubled[kind] <= counted[kind] ? worker->troubled[kind] : 0;
		uint64_t added = counted[kind] - before;
		worker->troubled[kind] = counted[kind];
		if (kind == TROUBLE_EVICTIONS) {
			tell_evictions(server, added, now_ns);
			continue;
		}
		server_trouble_add(server, (enum trouble_kind)kind, added, now_ns);
	}
}
