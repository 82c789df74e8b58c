/* two_workers.c: see two_workers.h. The clocks of src/os are replaced at the link, by --wrap; the
 * workers' threads are not begun. */
#include "support/two_workers.h"
#include "cache/shard/shard_state.h"

#include "os/threads.h"
#include "server/server_worker.h"
#include "support/require.h"
#include "work/worker/worker.h"

#include <snug/client.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_NS 1000u       /* how long it takes to look at the clock */
#define SETTLE_TURNS 50000u /* far more than any answer takes */
#define INBOX_MESSAGES 64u

static struct world world;
static struct snug_workers *workers; /* without threads: inboxes, and who they belong to */
static struct listeners listeners;   /* none */
static snug_os os;                   /* as Linux has it, but for its clock */

/* ------------------------------------------------------------------ clocks ----------------- */

uint64_t __wrap_os_now_ns(void);
int64_t __wrap_os_wall_s(void);
void __wrap_os_thread_sleep(uint64_t duration_ns);

uint64_t __wrap_os_now_ns(void) {
	return world.now_ns += LOOK_NS;
}

int64_t __wrap_os_wall_s(void) {
	return WORLD_BEGIN_S + (int64_t)(world.now_ns / UINT64_C(1000000000));
}

void __wrap_os_thread_sleep(uint64_t duration_ns) {
	world.now_ns += duration_ns;
}

static uint64_t shard_now_ns(void *context) {
	(void)context;
	return __wrap_os_now_ns();
}

static int64_t world_s(void *context) {
	const struct server_worker *worker = context;
	return worker->clock_s;
}

static int64_t wall_s(void *context) {
	const struct server_worker *worker = context;
	return worker->wall_s;
}

/* ------------------------------------------------------------------ begin ------------------ */

static uint64_t or_default(uint64_t given, uint64_t otherwise) {
	return given > 0 ? given : otherwise;
}

static void begin_worker(uint32_t index, uint32_t page_bytes) {
	struct server_worker *worker = &world.worker[index];
	snug_shard_options options = snug_shard_options_default();
	worker->server = &world.server;
	worker->index = index;
	worker->clock_s = worker->wall_s = WORLD_BEGIN_S;
	worker->limit_bytes = world.server.settings.memory_bytes / WORLD_WORKERS;
	snug_histogram_init(&worker->turn_ns);
	options.heap.limit_bytes = (size_t)worker->limit_bytes;
	options.heap.page_bytes = page_bytes;
	options.heap.os = &os;
	options.item_max_bytes = world.server.settings.item_max_bytes;
	options.now_s = world_s;
	options.wall_s = wall_s;
	options.now_context = worker;
	workers->worker[index].workers = workers;
	workers->worker[index].index = index;
	REQUIRE_OK(snug_shard_create(&options, &worker->shard));
	REQUIRE_OK(channel_create(INBOX_MESSAGES, &workers->worker[index].inbox));
	REQUIRE_OK(server_worker_begin(worker));
}

static void begin_settings(struct settings *settings, const struct world_options *options) {
	settings->threads = settings->accept_threads = WORLD_WORKERS;
	settings->memory_bytes = WORLD_WORKERS * or_default(options->memory_bytes, (uint64_t)32 << 20);
	settings->memory_max_bytes = settings->memory_bytes;
	settings->connection_memory_bytes =
		WORLD_WORKERS * or_default(options->connection_memory_bytes, (uint64_t)16 << 20);
	settings->turn_commands = 20;
	settings->connections_max = FAKE_SOCKETS_MAX;
	settings->open_commands = true;
	settings->item_max_bytes = or_default(options->item_max_bytes, (uint64_t)1 << 20);
}

struct world *world_begin(const struct world_options *options) {
	world = (struct world){.now_ns = UINT64_C(1000000000)};
	os = *snug_os_linux();
	os.now_ns = shard_now_ns;
	workers = calloc(1, sizeof *workers + WORLD_WORKERS * sizeof(struct worker));
	REQUIRE(workers != NULL, "no memory");
	workers->options.count = WORLD_WORKERS;
	struct server *server = &world.server;
	begin_settings(&server->settings, options);
	server->workers = workers;
	server->tls = options->tls;
	server->listeners = &listeners;
	server->worker_count = WORLD_WORKERS;
	server->worker = world.worker;
	server->started.begun_s = server->clock.begun_s = WORLD_BEGIN_S;
	server->texts.limit_bytes = (size_t)16 << 20;
	settings_live_init(&server->live, &server->settings);
	watchers_init(&server->watchers);
	prefixes_init(&server->prefixes, ':', &server->texts, &server->watchers);
	for (uint32_t i = 0; i < WORLD_WORKERS; i++) begin_worker(i, options->page_bytes);
	server->is_complete = true;
	return &world;
}

static uint32_t connect_to(uint32_t worker, enum settings_tls tls) {
	const struct listener listener = {.kind = LISTENER_UNIX, .tls = tls};
	uint32_t number = fake_socket_open();
	fake_accept(world.worker[worker].turn->io, number, listener_tag(&listener));
	return number;
}

uint32_t world_connect(uint32_t worker) {
	return connect_to(worker, SETTINGS_TLS_NONE);
}

uint32_t world_connect_secured(uint32_t worker) {
	return connect_to(worker, SETTINGS_TLS_AS_SET);
}

/* ------------------------------------------------------------------ steps ------------------ */

void world_turn(uint32_t worker) {
	(void)server_worker_turn(&world.worker[worker]);
}

/* As work/worker/worker_execute.c. */
uint32_t world_serve(uint32_t worker, uint32_t most) {
	struct message messages[INBOX_BATCH];
	void *requests[INBOX_BATCH * MESSAGE_REQUESTS_MAX];
	size_t found = 0;
	size_t count = channel_receive(workers->worker[worker].inbox, messages,
								   most < INBOX_BATCH ? most : INBOX_BATCH);
	for (size_t i = 0; i < count; i++)
		for (uint32_t at = 0; at < message_request_count(&messages[i]); at++)
			requests[found++] = messages[i].requests[at];
	if (count > 0) server_worker_run(&world.worker[worker], requests, found);
	for (size_t i = 0; i < count; i++)
		REQUIRE_OK(channel_try_send(messages[i].reply, &messages[i]));
	return (uint32_t)count;
}

void world_settle(void) {
	for (uint32_t turns = 0; turns < SETTLE_TURNS; turns++) {
		bool worked = false;
		for (uint32_t i = 0; i < WORLD_WORKERS; i++) {
			while (world_serve(i, INBOX_BATCH) > 0) worked = true;
			worked |= server_worker_turn(&world.worker[i]);
			worked |= world_waits(i);
		}
		if (!worked && !fake_has_news()) return;
	}
	REQUIRE(false, "there is no end to it");
}

/* ------------------------------------------------------------------ what is held ----------- */

uint64_t world_held_bytes(uint32_t worker) {
	return buffers_held_bytes(&world.worker[worker].turn->buffers);
}

bool world_waits(uint32_t worker) {
	const struct turn *turn = world.worker[worker].turn;
	return turn->away > 0 || turn->errands != NULL;
}

uint32_t world_messages(uint32_t worker) {
	return channel_depth(workers->worker[worker].inbox);
}

uint64_t world_leases(uint32_t worker) {
	snug_shard_stats stats;
	REQUIRE_OK(snug_shard_stats_get(world.worker[worker].shard, &stats));
	return stats.leases;
}

static void require_nothing_is_held(const struct server_worker *worker) {
	const struct buffers *buffers = &worker->turn->buffers;
	snug_check_result result;
	REQUIRE(worker->connection_list == NULL && worker->connections.current == 0,
			"worker %u has a connection", worker->index);
	REQUIRE(worker->turn->away == 0 && worker->turn->errands == NULL,
			"worker %u waits for an answer", worker->index);
	REQUIRE(buffers->records.taken == 0, "worker %u: %u records are held", worker->index,
			buffers->records.taken);
	for (uint32_t kind = 0; kind < CELL_KINDS; kind++)
		REQUIRE(buffers->memory.taken[kind] == 0, "worker %u: cells of kind %u are held",
				worker->index, kind);
	REQUIRE(buffers_held_bytes(buffers) == 0, "worker %u: connection memory is held",
			worker->index);
	REQUIRE(connection_memory_check(&buffers->memory) == NULL, "worker %u: law %s", worker->index,
			connection_memory_check(&buffers->memory));
	REQUIRE(world_leases(worker->index) == 0, "worker %u: a lease is held", worker->index);
	REQUIRE(worker->shard->promised_bytes == 0, "worker %u: a lease is promised", worker->index);
	REQUIRE(worker->turn->unfinished == NULL && !worker->turn->holds_input,
			"worker %u holds its input", worker->index);
	REQUIRE_OK(snug_shard_check(worker->shard, &result));
}

void world_end(void) {
	fake_reset_all();
	world_settle();
	for (uint32_t i = 0; i < WORLD_WORKERS; i++) require_nothing_is_held(&world.worker[i]);
	REQUIRE(world.server.connection_count == 0, "connections are counted that have gone");
	prefixes_deinit(&world.server.prefixes);
	watchers_deinit(&world.server.watchers);
	REQUIRE(world.server.texts.used_bytes == 0, "a text is held");
	for (uint32_t i = 0; i < WORLD_WORKERS; i++) {
		server_worker_end(&world.worker[i]);
		REQUIRE_OK(snug_shard_destroy(world.worker[i].shard));
		channel_close(workers->worker[i].inbox);
		channel_destroy(workers->worker[i].inbox);
	}
	free(workers);
	fake_sockets_forget();
}

/* ------------------------------------------------------------------ keys ------------------- */

void world_key(uint32_t owner, uint32_t number, char key[WORLD_KEY_BYTES]) {
	for (uint32_t i = 0;; i++) {
		int length = snprintf(key, WORLD_KEY_BYTES, "k%u", i);
		if (request_owner(snug_shard_key(key, (size_t)length).hash, WORLD_WORKERS) == owner &&
			number-- == 0)
			return;
	}
}
