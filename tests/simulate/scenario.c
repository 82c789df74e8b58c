/* simulate/scenario.c: one run: a server, its clients, and what must be so when they have gone. See
 * simulate/scenario.h. */
#include "simulate/scenario.h"

#include "base/bits.h"
#include "server/connection/connection.h"
#include "server/server.h"
#include "server/tls/tls.h"
#include "simulate/clients/simulated_client.h"
#include "simulate/world/simulated_sockets.h"
#include "simulate/world/world.h"
#include "support/secured_client.h"

#include <stdio.h>
#include <string.h>

#define MS UINT64_C(1000000)
#define END_PATIENCE_NS (10000 * MS)
/* OpenSSL finds methods again that it was refused memory for, and keeps what it has found */
#define CACHED_BLOCKS_MAX 64u

struct scenario {
	char memory[16];
	char threads[16];
	char share[16]; /* of a connection in a turn: -R */
	bool keeps;     /* nothing is evicted: -M */
	uint64_t hash_seed;
	struct world_weather weather;
	struct run run;
	struct client client[CLIENTS_MAX];
	struct server *server;
	struct tls *tls; /* NULL: nobody speaks TLS */
	uint64_t direct_reads;
};

/* ------------------------------------------------------------------ what kind of run ------- */

/* Memory is refused, commits and inboxes too: everything may fail, nothing may break. */
static void make_refusing(struct scenario *scenario, struct choice *choice) {
	scenario->weather.refuse_memory = (uint32_t)choose(choice, 60);
	scenario->weather.refuse_commit = (uint32_t)choose(choice, chance(choice, 300) ? 700 : 60);
	scenario->weather.refuse_request = (uint32_t)choose(choice, chance(choice, 400) ? 960 : 300);
	scenario->run.rules.refuses = scenario->run.rules.loses = scenario->run.rules.is_full = true;
}

static void make_weather(struct scenario *scenario, struct choice *choice) {
	struct run *run = &scenario->run;
	struct world_weather *weather = &scenario->weather;
	weather->preempt = 5 + (uint32_t)choose(choice, 100);
	weather->late_close = (uint32_t)choose(choice, 950);
	if (chance(choice, 400)) weather->wake_early = (uint32_t)choose(choice, 10);
	if (chance(choice, 300)) {
		weather->stall = 1 + (uint32_t)choose(choice, 3);
		weather->stall_ns = 1 + choose(choice, 20 * MS);
	}
	run->patience_ns = 300 * MS + weather->stall_ns * 100;
	if (chance(choice, 300) || run->has_readers)
		weather->slow_owner = (uint32_t)choose(choice, 500);
	if (chance(choice, 250)) make_refusing(scenario, choice);
	if (run->rules.refuses) run->patience_ns = 20000 * MS;
#define X(name) \
	if (script_is_calm(&run->script, CALM_##name)) weather->name = 0;
	CALM_TABLE(X)
#undef X
}

/* So little that not all has room. Either what is there goes, or what is new is refused. */
static void make_narrow(struct scenario *scenario, struct choice *choice) {
	struct run *run = &scenario->run;
	run->memory_bytes = run->workers * choose_between(choice, 1, 2) << 20;
	run->client_count = (uint32_t)choose_between(choice, 3, CLIENTS_MAX - 1);
	run->is_large = chance(choice, 700);
	run->rules.item_max_bytes = 200000;
	run->rules.is_full = true;
	scenario->keeps = chance(choice, run->has_readers ? 700 : 300);
	run->rules.loses = !scenario->keeps;
	if (!scenario->keeps) return;
	run->memory_bytes = run->workers * UINT64_C(1) << 20;
	run->has_late_flush = false; /* or all may go */
}

static void make_run(struct scenario *scenario, struct choice *choice) {
	struct run *run = &scenario->run;
	run->rules.item_max_bytes = 1u << 20;
	run->rules.loses_from_s = NEVER_S;
	run->workers = 1 + (uint32_t)choose(choice, 3);
	run->client_count = 1 + (uint32_t)choose(choice, CLIENTS_MAX - 2);
	run->batches = 20 + (uint32_t)choose(choice, 100);
	run->has_flush = chance(choice, 250);
	run->has_late_flush = chance(choice, 250);
	run->has_expiry = chance(choice, 400);
	run->has_limits = chance(choice, 250);
	run->has_jumps = chance(choice, 300);
	run->has_readers = chance(choice, 350);
	if (run->has_readers) run->workers = 2 + (uint32_t)choose(choice, 2);
	run->is_slow = chance(choice, 300);
	run->is_large = chance(choice, 300);
	run->is_rude = chance(choice, 300);
	run->memory_bytes = UINT64_C(64) * run->workers << 20;
	if (chance(choice, run->has_readers ? 400 : 300)) make_narrow(scenario, choice);
	if (run->has_limits) run->rules.is_full = true;
	if (run->has_flush || (run->has_limits && !scenario->keeps)) run->rules.loses = true;
	/* Not chosen: what was chosen before it would be another run. */
	run->has_binary = run->script.seed % 5 == 3;
	run->has_tls = run->script.seed % 7 == 2 && secured_certificate() != NULL;
	secured_seed(run->script.seed);
	make_weather(scenario, choice);
	snprintf(scenario->memory, sizeof scenario->memory, "%llu",
			 (unsigned long long)(run->memory_bytes >> 20));
	snprintf(scenario->threads, sizeof scenario->threads, "%u", run->workers);
	snprintf(scenario->share, sizeof scenario->share, "%u",
			 chance(choice, 500) ? 20 : (uint32_t)choose_between(choice, 1, 8));
	scenario->hash_seed = choose(choice, UINT64_MAX);
}

/* ------------------------------------------------------------------ server ----------------- */

static void log_line(void *context, snug_log_level level, const char *line) {
	const struct scenario *scenario = context;
	if (scenario->run.is_told)
		fprintf(stderr, "%llu ns, %d: %s\n", (unsigned long long)world_now_ns(), (int)level, line);
}

static struct settings read_settings(struct scenario *scenario) {
	char program[] = "snugd", memory[] = "-m", threads[] = "-t", share[] = "-R",
		 open[] = "--open-commands", accept[] = "--accept-threads", keeps[] = "-M";
	char *arguments[] = {
		program, memory, scenario->memory,  threads, scenario->threads, share, scenario->share,
		open,    accept, scenario->threads, keeps};
	int count = (int)(sizeof arguments / sizeof *arguments) - (scenario->keeps ? 0 : 1);
	struct settings settings;
	struct text said = {0};
	if (settings_parse(count, arguments, &settings, &said) != SETTINGS_RUN)
		world_fail("settings: %.*s", (int)said.length, said.length > 0 ? said.bytes : "");
	text_deinit(&said);
	return settings;
}

/* Which keys share a worker and a group is a matter of chance, too. */
static void set_hash_secret(const struct scenario *scenario) {
	unsigned char secret[SNUG_HASH_SECRET_BYTES];
	test_random_fill(secret, sizeof secret, scenario->hash_seed);
	if (snug_hash_secret_set(secret) != SNUG_OK) world_fail("the hash secret cannot be set");
}

static void begin_tls(struct scenario *scenario, struct settings *settings, const snug_log *log) {
	struct text why = {0};
	settings->ssl_enabled = true;
	snprintf(settings->ssl_chain_cert, sizeof settings->ssl_chain_cert, "%s",
			 secured_certificate());
	(void)world_enter_server(true);
	bool has_begun = tls_create(settings, log, &scenario->tls, &why);
	(void)world_enter_server(false);
	if (!has_begun) world_fail("%.*s", (int)why.length, why.bytes);
}

static struct server *start_server(struct scenario *scenario, const struct listeners *listeners) {
	struct server *server = NULL;
	struct settings settings = read_settings(scenario);
	const snug_log log = {.write = log_line, .context = scenario, .level = SNUG_LOG_DEBUG};
	if (scenario->run.has_tls) begin_tls(scenario, &settings, &log);
	set_hash_secret(scenario);
	(void)world_enter_server(true);
	snug_error error =
		server_create(&settings, listeners, NULL, scenario->tls, &log, NULL, &server);
	(void)world_enter_server(false);
	if (error) world_fail("the server does not start: %s", snug_error_text(error));
	return server;
}

/* ------------------------------------------------------------------ clients ---------------- */

static void make_shared(struct run *run) {
	for (uint32_t i = 0; i < SHARED_KEYS; i++)
		run->shared[i].name_bytes =
			(size_t)snprintf(run->shared[i].name, sizeof run->shared[i].name, "S%u", i);
}

static void make_client(struct scenario *scenario, uint32_t index) {
	struct client *client = &scenario->client[index];
	client->run = &scenario->run;
	client->index = index;
	client->is_operator = index == scenario->run.client_count;
	for (uint32_t i = 0; i < OWN_KEYS; i++) {
		client->own[i] = (struct own_key){.client = index, .number = i, .is_number = i < 2};
		own_rename(&client->own[i]);
	}
}

/* The last of them is the operator. */
static void run_clients(struct scenario *scenario) {
	for (uint32_t i = 0; i <= scenario->run.client_count; i++) {
		make_client(scenario, i);
		if (!os_thread_start(&scenario->client[i].thread, client_run, &scenario->client[i]))
			world_fail("no thread for a client");
	}
	for (uint32_t i = 0; i <= scenario->run.client_count; i++)
		os_thread_join(&scenario->client[i].thread);
}

/* ------------------------------------------------------------------ the end ---------------- */

static const char *worker_name(uint32_t index) {
	static char name[32];
	snprintf(name, sizeof name, "snugd-%u", index);
	return name;
}

static void look_at_shard(const struct scenario *scenario, uint32_t index,
						  snug_shard_stats *stats) {
	world_impersonate(worker_name(index));
	snug_shard *shard = scenario->server->worker[index].shard;
	snug_error error = snug_shard_stats_get(shard, stats);
	world_impersonate(NULL);
	if (error) world_fail("worker %u: a shard does not tell its figures", index);
}

static bool is_quiet(void *context) {
	const struct scenario *scenario = context;
	for (uint32_t i = 0; i < scenario->run.workers; i++)
		if (scenario->server->worker[i].connection_list != NULL) return false;
	return true;
}

/* A lower limit is reached, when nobody holds anything any more; but not by giving up what was to
 * be kept. */
/* A lower one is refused. */
static uint64_t least_limit_bytes(const struct scenario *scenario) {
	uint64_t own_bytes = 0;
	for (uint32_t i = 0; i < scenario->run.workers; i++)
		own_bytes = larger(own_bytes, scenario->server->worker[i].own_bytes);
	return smaller((own_bytes + SNUG_LIMIT_MIN_BYTES) * scenario->run.workers,
				   scenario->run.memory_bytes);
}

static bool is_within_limits(void *context) {
	const struct scenario *scenario = context;
	for (uint32_t i = 0; i < scenario->run.workers && !scenario->keeps; i++) {
		snug_shard_stats stats;
		look_at_shard(scenario, i, &stats);
		if (stats.heap.limit_bytes > stats.heap.limit_goal_bytes) return false;
	}
	return true;
}

/* Whoever goes gives all back. */
static void require_nothing_held(const struct scenario *scenario) {
	for (uint32_t i = 0; i < scenario->run.workers; i++) {
		const struct server_worker *worker = &scenario->server->worker[i];
		const struct connection_memory *memory = &worker->turn->buffers.memory;
		const char *broken = connection_memory_check(memory);
		if (broken != NULL)
			world_fail("worker %u: law %s of connection memory is broken", i, broken);
		for (uint32_t kind = 0; kind < CELL_KINDS; kind++)
			if (memory->taken[kind] > 0)
				world_fail("worker %u: %u cells of kind %u are held by nobody", i,
						   memory->taken[kind], kind);
		snug_shard_stats stats;
		look_at_shard(scenario, i, &stats);
		if (stats.leases > 0)
			world_fail("worker %u: %llu leases are held by nobody", i,
					   (unsigned long long)stats.leases);
		if (worker->connections.current != 0 || worker->turn->away != 0)
			world_fail("worker %u: a count is not 0 at the end", i);
	}
	if (scenario->server->connection_count != 0)
		world_fail("the count of connections is not 0 at the end");
}

static uint64_t direct_reads(const struct server *server, uint32_t workers) {
	uint64_t reads = 0;
	for (uint32_t i = 0; i < workers; i++) reads += server->worker[i].connections.reads;
	return reads;
}

static void tell_end(const struct scenario *scenario) {
	for (uint32_t i = 0; scenario->run.is_told && i < scenario->run.workers; i++) {
		snug_shard_stats stats;
		look_at_shard(scenario, i, &stats);
		fprintf(stderr,
				"at the end worker %u has %llu items of %llu bytes, has evicted %llu, refused %llu "
				"stores\n",
				i, (unsigned long long)stats.items, (unsigned long long)stats.item_bytes,
				(unsigned long long)stats.evictions,
				(unsigned long long)scenario->server->worker[i].counts.store_no_memory);
	}
}

static void look_at_end(struct scenario *scenario) {
	world_disarm();
	world_calm();
	struct client *client = &scenario->client[scenario->run.client_count];
	client_ask(client, "snug check", ASK_CHECK);
	client_ask(client, "stats", ASK_TEXT);
	if (scenario->run.has_limits) {
		char line[64];
		snprintf(line, sizeof line, "snug limit %llu",
				 (unsigned long long)least_limit_bytes(scenario));
		client_ask(client, line, ASK_LIMIT);
	}
	if (!world_wait(is_quiet, scenario, END_PATIENCE_NS))
		world_fail("connections stay when their clients have gone");
	require_nothing_held(scenario);
	tell_end(scenario);
	if (!world_wait(is_within_limits, scenario, END_PATIENCE_NS))
		world_fail("a lower limit is not reached");
}

static void run_scenario(void *context) {
	struct scenario *scenario = context;
	int tcp[2 * SNUG_WORKERS_MAX];
	uint32_t workers = scenario->run.workers;
	for (uint32_t i = 0; i < 2 * workers; i++) tcp[i] = LISTENER_FIRST + (int)i;
	struct listener listener[] = {
		{.kind = LISTENER_TCP, .fd_count = workers, .fds = tcp},
		{.kind = LISTENER_TCP,
		 .fd_count = workers,
		 .fds = tcp + workers,
		 .tls = SETTINGS_TLS_AS_SET},
	};
	const struct listeners listeners = {.count = scenario->run.has_tls ? 2 : 1,
										.listener = listener};
	scenario->server = start_server(scenario, &listeners);
	world_arm();
	run_clients(scenario);
	look_at_end(scenario);
	scenario->direct_reads = direct_reads(scenario->server, scenario->run.workers);
	(void)world_enter_server(true);
	server_destroy(scenario->server);
	tls_destroy(scenario->tls);
	(void)world_enter_server(false);
	bool is_cached = scenario->run.has_tls && scenario->run.rules.refuses;
	if (world_blocks() > (is_cached ? CACHED_BLOCKS_MAX : 0))
		world_fail("%llu blocks of memory are never freed", (unsigned long long)world_blocks());
}

static void tell_run(const struct scenario *scenario) {
	const struct run *run = &scenario->run;
	fprintf(stderr, "%u workers, %s MiB, %u clients, %u batches each%s%s%s%s%s%s%s%s%s%s%s%s%s%s\n",
			run->workers, scenario->memory, run->client_count, run->batches,
			run->rules.loses ? ", loses" : "", scenario->keeps ? ", keeps" : "",
			run->rules.refuses ? ", refuses" : "", run->has_flush ? ", flushes" : "",
			run->has_late_flush ? ", flushes later" : "", run->has_expiry ? ", expires" : "",
			run->has_limits ? ", limits" : "", run->has_jumps ? ", clocks" : "",
			run->has_readers ? ", readers" : "", run->is_slow ? ", slow" : "",
			run->is_large ? ", large" : "", run->is_rude ? ", rude" : "",
			run->has_binary ? ", binary" : "", run->has_tls ? ", TLS" : "");
}

#define OF_THE_RUN UINT64_MAX

void scenario_run(const struct script *script, bool is_told, struct scenario_figures *out) {
	static struct scenario scenario;
	struct choice setup = script_choice(script, OF_THE_RUN, OF_THE_RUN, 0),
				  order = script_order(script);
	struct run *run = &scenario.run;
	run->script = *script;
	run->is_told = is_told;
	make_run(&scenario, &setup);
	make_shared(run);
	if (is_told) tell_run(&scenario);
	world_run(&order, &scenario.weather, run_scenario, &scenario);
	*out = (struct scenario_figures){.answers = run->answers,
									 .direct_reads = scenario.direct_reads,
									 .trace = run->trace ^ world_now_ns(),
									 .has_tls = run->has_tls,
									 .now_ns = world_now_ns()};
}
