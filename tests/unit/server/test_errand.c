/* test_errand.c: stats, flush_all, verbosity and snug's own commands: two workers' shards on one
 * thread, visited in turn, and a coordinator over workers of its own. What a running server answers
 * is in tests/server/test_snugctl.py and tests/protocol. */
#include "base/number_text.h"
#include "cache/operation/operation.h"
#include "server/errand/errand.h"
#include "server/errand/errand_clients.h"
#include "server/figures/figures.h"
#include "server/process/listeners.h"
#include "server/process/log_stderr.h"
#include "server/server.h"
#include "server/visit/visit.h"
#include "unit/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_BYTES ((size_t)4 << 20)
#define BEGIN_S 1700000000

static const struct listeners listeners; /* none */
static struct server server;
static struct server_worker workers[2];

/* Two connections a worker, one a slice; the first worker's second one asks. */
static bool describe(struct server_worker *worker, bool from_first, uint32_t most, uint64_t asker,
					 struct text *out, struct text *of_asker) {
	static uint32_t at;
	(void)most;
	(void)asker;
	at = from_first ? 1 : at + 1;
	text_print(worker->index == 0 && at == 2 ? of_asker : out, "STAT %u:state conn_test%u\r\n",
			   worker->index, at);
	return at < 2;
}

static int64_t now_s(void *context) {
	const struct server_worker *worker = context;
	return worker->clock_s;
}

static void begin_worker(uint32_t index, size_t limit_max_bytes) {
	snug_shard_options options = snug_shard_options_default();
	workers[index] = (struct server_worker){.server = &server,
											.index = index,
											.clock_s = BEGIN_S,
											.wall_s = BEGIN_S,
											.describe = describe};
	options.heap.limit_bytes = LIMIT_BYTES;
	options.heap.limit_max_bytes = limit_max_bytes;
	options.now_s = now_s;
	options.now_context = &workers[index];
	assert_int_equal(snug_shard_create(&options, &workers[index].shard), SNUG_OK);
}

static int begin(void **state) {
	(void)state;
	memset(&server, 0, sizeof server);
	server.worker_count = 2;
	server.listeners = &listeners;
	server.worker = workers;
	server.started.begun_s = server.clock.begun_s = BEGIN_S;
	server.settings.memory_bytes = 2 * LIMIT_BYTES;
	server.settings.memory_max_bytes = 4 * LIMIT_BYTES;
	begin_worker(0, 2 * LIMIT_BYTES);
	begin_worker(1, LIMIT_BYTES); /* cannot grow as far as the settings say */
	server.texts.limit_bytes = (size_t)1 << 20;
	watchers_init(&server.watchers);
	prefixes_init(&server.prefixes, '/', &server.texts, &server.watchers);
	return 0;
}

static int end(void **state) {
	(void)state;
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(snug_shard_destroy(workers[i].shard), SNUG_OK);
	prefixes_deinit(&server.prefixes);
	watchers_deinit(&server.watchers);
	assert_int_equal(server.texts.used_bytes, 0);
	return 0;
}

static void run(uint32_t worker, struct operation operation, uint8_t status) {
	operation.key = snug_shard_key(operation.key.bytes, operation.key.length);
	operation_execute(workers[worker].shard, &operation, &workers[worker].counts);
	assert_int_equal(operation.status, status);
}

static void store(uint32_t worker, const char *key) {
	run(worker,
		(struct operation){.kind = OPERATION_STORE,
						   .mode = STORE_SET,
						   .key = {.bytes = key, .length = strlen(key)},
						   .value = "value",
						   .value_bytes = 5},
		STATUS_STORED);
}

static void get(uint32_t worker, const char *key, uint8_t status) {
	run(worker,
		(struct operation){.kind = OPERATION_GET, .key = {.bytes = key, .length = strlen(key)}},
		status);
}

/* A slice a turn. */
static void visit_until_finished(struct errand *errand, struct server_worker *worker) {
	do {
		worker->slice_ns = 0;
		errand->is_unfinished = false;
		errand->visit(errand, worker);
	} while (errand->is_unfinished);
}

/* The whole answer, ended by a NUL; freed by the caller. */
static char *ask_with(struct command command, uint32_t asker) {
	struct text text = {0};
	struct errand *errand = errand_begin(&workers[asker], -1, &command, &text);
	if (errand != NULL) {
		assert_int_equal(text.length, 0);
		for (uint32_t i = 0; errand->visit != NULL && i < 2; i++)
			visit_until_finished(errand, &workers[i]);
		while (errand->is_ready != NULL && !errand->is_ready(errand)) continue;
		errand->answer(errand, &text);
		errand->destroy(errand);
	}
	assert_false(text.failed);
	text_append(&text, "", 1);
	return text.bytes;
}

static char *ask(uint8_t kind, const char *words) {
	return ask_with((struct command){.kind = kind, .text = words, .text_bytes = strlen(words)}, 1);
}

static void assert_answer(uint8_t kind, const char *words, const char *answer) {
	char *text = ask(kind, words);
	assert_string_equal(text, answer);
	free(text);
}

static void assert_says(uint8_t kind, const char *words, const char *part) {
	char *text = ask(kind, words);
	if (strstr(text, part) == NULL) fail_msg("%s: no %s in\n%s", words, part, text);
	free(text);
}

static uint64_t figure(const char *stats, const char *name) {
	char line[64];
	uint64_t number = 0;
	(void)snprintf(line, sizeof line, "STAT %s ", name);
	const char *found = strstr(stats, line);
	if (found == NULL) fail_msg("no %s", name);
	found += strlen(line);
	assert_true(number_scan(found, strcspn(found, "\r"), 10, &number) > 0);
	return number;
}

#define SUM(name, what) sum += figure(stats, "snug_memory_" #name "_bytes");

/* Used, as the parts add up to, and as the heaps have it. Told back: what the items are. */
static struct memory_parts assert_parts_add_up(void) {
	char *stats = ask(COMMAND_STATS, "");
	uint64_t sum = 0, used = figure(stats, "snug_memory_used_bytes");
	struct figures all = {0};
	for (uint32_t i = 0; i < 2; i++) figures_add(&all, &workers[i]);
	MEMORY_PURPOSES(SUM)
	assert_int_equal(sum, used);
	assert_int_equal(used, all.shard.heap.committed_bytes + all.shard.heap.metadata_bytes +
							   all.shard.heap.charged_bytes);
	assert_true(figure(stats, "snug_memory_peak_bytes") >= used);
	free(stats);
	return memory_parts_of(&all.shard);
}

/* Through all that changes what memory is used for. */
static void test_memory_parts_add_up_to_what_is_used(void **state) {
	static char value[20000];
	char key[32];
	struct memory_parts parts = assert_parts_add_up();
	(void)state;
	assert_int_equal(parts.values + parts.keys + parts.heads + parts.held, 0);
	store(0, "key"); /* of "value" */
	parts = assert_parts_add_up();
	assert_int_equal(parts.values, 5);
	assert_int_equal(parts.keys, 3);
	assert_int_equal(parts.heads, 3);
	for (uint32_t i = 0; i < 20000; i++) { /* more than there is room for */
		(void)snprintf(key, sizeof key, "key%u", i * 7919 % 3000);
		struct operation operation = {
			.kind = i % 5 == 0 ? OPERATION_DELETE : OPERATION_STORE,
			.mode = STORE_SET,
			.key = snug_shard_key(key, strlen(key)),
			.value = value,
			.value_bytes = i % 97 == 0 ? sizeof value : i % 2000,
		};
		if (i % 5 != 0 && i % 3 == 0) operation.exptime = 100;
		operation_execute(workers[i % 2].shard, &operation, &workers[i % 2].counts);
		if (i % 1000 == 0) (void)assert_parts_add_up();
	}
	parts = assert_parts_add_up();
	assert_true(parts.holes > 0 && parts.index > 0 && parts.ghosts > 0 && parts.waste > 0);
	free(ask(COMMAND_FLUSH, ""));
	parts = assert_parts_add_up();
	assert_int_equal(parts.values, 0);
	assert_true(parts.held > 0);
}

/* Recent is from the mark before the last; what was before that is until there. */
static void test_what_is_recent(void **state) {
	struct server_worker *worker = &workers[0];
	struct past recent = {0}, before = {0};
	const uint64_t begin_ns = 1000;
	(void)state;
	server.started.begun_ns = begin_ns;
	worker->counts.get_hits = 7;
	figures_add_past(worker, begin_ns + 5, &recent, &before);
	assert_int_equal(recent.hits, 7); /* since the start */
	assert_int_equal(recent.at_ns, 5);
	assert_int_equal(before.at_ns, 0);
	for (uint64_t mark = 1; mark <= 3; mark++) {
		worker->counts.get_hits += 10 * mark;
		figures_mark(worker, begin_ns + mark * PAST_NS);
		worker->counts.get_hits += 100;
		figures_mark(worker, begin_ns + mark * PAST_NS + 1); /* too soon */
	}
	recent = before = (struct past){0};
	figures_add_past(worker, begin_ns + 3 * PAST_NS + 9, &recent, &before);
	assert_int_equal(recent.hits, 100 + 30 + 100);
	assert_int_equal(recent.at_ns, PAST_NS + 9);
	assert_int_equal(before.hits, 100 + 20);
	assert_int_equal(before.at_ns, PAST_NS);
	worker->counts.get_hits = 3; /* stats reset */
	recent = (struct past){0};
	figures_add_past(worker, begin_ns + 3 * PAST_NS + 9, &recent, &before);
	assert_int_equal(recent.hits, 3);
}

static void test_stats_are_all_workers_sum(void **state) {
	(void)state;
	store(0, "a");
	store(1, "b");
	store(1, "c");
	get(0, "a", STATUS_FOUND);
	get(1, "none", STATUS_NOT_FOUND);
	workers[0].connections =
		(struct connection_counts){.current = 3, .total = 5, .read_bytes = 100, .yields = 2};
	workers[1].connections = (struct connection_counts){
		.current = 1, .total = 2, .read_bytes = 11, .rejected = 7, .yields = 4};
	assert_says(COMMAND_STATS, "", "STAT cmd_set 3\r\n");
	assert_says(COMMAND_STATS, "", "STAT get_hits 1\r\nSTAT get_misses 1\r\n");
	assert_says(
		COMMAND_STATS, "",
		"STAT curr_connections 4\r\nSTAT total_connections 7\r\nSTAT rejected_connections 7\r\n");
	assert_says(COMMAND_STATS, "", "STAT bytes_read 111\r\n");
	assert_says(COMMAND_STATS, "", "STAT conn_yields 6\r\n");
	assert_says(COMMAND_STATS, "", "STAT curr_items 3\r\nSTAT total_items 3\r\n");
	assert_says(COMMAND_STATS, "", "STAT limit_maxbytes 8388608\r\n");
	assert_says(COMMAND_STATS, "items", "STAT items:1:number 3\r\n");
	assert_says(COMMAND_STATS, "slabs", "STAT active_slabs 1\r\n");
	assert_answer(COMMAND_STATS, "conns",
				  "STAT 0:state conn_test1\r\nSTAT 1:state conn_test1\r\n"
				  "STAT 1:state conn_test2\r\nSTAT 0:state conn_test2\r\nEND\r\n");
}

static void test_reset_keeps_what_is_there(void **state) {
	(void)state;
	store(0, "a");
	store(1, "b");
	workers[1].connections =
		(struct connection_counts){.current = 3, .total = 5, .buffer_bytes = 64};
	assert_answer(COMMAND_STATS, "reset", "RESET\r\n");
	assert_says(COMMAND_STATS, "", "STAT cmd_set 0\r\n");
	assert_says(COMMAND_STATS, "", "STAT curr_items 2\r\nSTAT total_items 0\r\n");
	assert_says(COMMAND_STATS, "", "STAT curr_connections 3\r\nSTAT total_connections 0\r\n");
	assert_says(COMMAND_STATS, "", "STAT snug_buffer_bytes 64\r\n");
	store(0, "c");
	assert_says(COMMAND_STATS, "", "STAT curr_items 3\r\nSTAT total_items 1\r\n");
}

static void test_an_empty_cache_is_not_fragmented(void **state) {
	(void)state;
	assert_says(COMMAND_STATS, "",
				"STAT snug_internal_fragmentation 0.000000\r\nSTAT snug_external_fragmentation "
				"0.000000\r\n");
	assert_answer(COMMAND_STATS, "items", "END\r\n");
	assert_answer(COMMAND_STATS, "slabs",
				  "STAT active_slabs 0\r\nSTAT total_malloced 0\r\nEND\r\n");
	assert_answer(COMMAND_STATS, "sizes", "END\r\n");
	assert_answer(COMMAND_STATS, "foo", "ERROR\r\n");
}

/* memcached: the memory allocated to slab pages. Pages that lie free are not, though they are
 * committed. */
static void test_total_malloced_is_of_pages_in_use(void **state) {
	static char bytes[100000];
	snug_key key = snug_shard_key("large", 5);
	snug_stats stats;
	char said[64];
	(void)state;
	store(0, "a");
	assert_int_equal(snug_shard_set(workers[0].shard, &key, NULL, bytes, sizeof bytes), SNUG_OK);
	assert_int_equal(snug_shard_delete(workers[0].shard, &key), SNUG_OK);
	assert_int_equal(snug_stats_get(snug_shard_heap(workers[0].shard), &stats), SNUG_OK);
	assert_true(stats.committed_bytes > stats.total.slab_bytes && stats.total.slab_bytes > 0);
	(void)snprintf(said, sizeof said, "STAT total_malloced %llu\r\n",
				   (unsigned long long)stats.total.slab_bytes);
	assert_says(COMMAND_STATS, "slabs", said);
}

/* memcached-tool joins both by the class, and shows a class that has no pages not at all. */
static void test_items_are_of_a_class_that_has_pages(void **state) {
	static char bytes[100000];
	snug_key key = snug_shard_key("large", 5);
	(void)state;
	assert_int_equal(snug_shard_set(workers[0].shard, &key, NULL, bytes, sizeof bytes), SNUG_OK);
	assert_says(COMMAND_STATS, "items", "STAT items:3:number 1\r\n");
	assert_says(COMMAND_STATS, "slabs", "STAT 3:used_chunks ");
	assert_says(COMMAND_STATS, "slabs", "STAT 3:cmd_set 0\r\n");
	store(1, "a");
	assert_says(COMMAND_STATS, "items", "STAT items:1:number 2\r\n");
}

static void pass(int64_t seconds) {
	for (uint32_t i = 0; i < 2; i++) {
		workers[i].clock_s += seconds;
		workers[i].wall_s += seconds;
	}
}

static void test_flush_reaches_all_workers(void **state) {
	(void)state;
	store(0, "a");
	store(1, "b");
	char *text = ask_with((struct command){.kind = COMMAND_FLUSH, .operation = {.exptime = 10}}, 0);
	assert_string_equal(text, "OK\r\n");
	free(text);
	get(0, "a", STATUS_FOUND);
	pass(10);
	get(0, "a", STATUS_NOT_FOUND);
	get(1, "b", STATUS_NOT_FOUND);
	store(1, "c");
	atomic_store(&server.live.no_flush, true);
	text = ask_with((struct command){.kind = COMMAND_FLUSH}, 0);
	assert_string_equal(text, "CLIENT_ERROR flush_all not allowed\r\n");
	free(text);
	get(1, "c", STATUS_FOUND);
	assert_says(COMMAND_STATS, "", "STAT cmd_flush 2\r\n");
}

static void flush_at(int32_t date_s) {
	char *text =
		ask_with((struct command){.kind = COMMAND_FLUSH, .operation = {.exptime = date_s}}, 0);
	assert_string_equal(text, "OK\r\n");
	free(text);
}

/* memcached's rule: nothing is as old as that, and no time comes that was named before. */
static void test_a_date_before_the_start_flushes_nothing(void **state) {
	(void)state;
	store(0, "a");
	flush_at(60 * 60 * 24 * 30 + 1);
	get(0, "a", STATUS_FOUND);
	flush_at((int32_t)(BEGIN_S - 61));
	get(0, "a", STATUS_FOUND);
	flush_at(10);
	flush_at((int32_t)(BEGIN_S - 61));
	pass(10);
	get(0, "a", STATUS_FOUND);
	flush_at((int32_t)(BEGIN_S - 60));
	get(0, "a", STATUS_NOT_FOUND);
	store(0, "a");
	flush_at((int32_t)BEGIN_S + 5);
	get(0, "a", STATUS_NOT_FOUND);
}

/* A delay passes as it does, and a date is told by the clock on the wall. */
static void test_a_flush_by_a_clock_that_was_set(void **state) {
	(void)state;
	workers[0].wall_s += 100000;
	store(0, "a");
	flush_at(10);
	workers[0].wall_s -= 200000;
	pass(9);
	get(0, "a", STATUS_FOUND);
	pass(1);
	get(0, "a", STATUS_NOT_FOUND);
	store(0, "a");
	flush_at((int32_t)workers[0].wall_s + 10);
	pass(9);
	get(0, "a", STATUS_FOUND);
	pass(1);
	get(0, "a", STATUS_NOT_FOUND);
}

static void test_verbosity(void **state) {
	(void)state;
	char *text =
		ask_with((struct command){.kind = COMMAND_VERBOSITY, .operation = {.delta = 9}}, 0);
	assert_string_equal(text, "OK\r\n");
	assert_int_equal(log_stderr_verbosity(), 3);
	free(text);
}

/* bigkeys and hotkeys need some hundred KiB each until they are answered. */
static void test_one_looks_at_keys_at_a_time(void **state) {
	static const char *const words[] = {"hotkeys", "bigkeys"};
	const char *busy = "SERVER_ERROR the keys are being looked at for somebody else: try again\r\n";
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct command command = {
			.kind = COMMAND_SNUG, .text = words[i], .text_bytes = strlen(words[i])};
		struct text text = {0};
		struct errand *first = errand_begin(&workers[0], -1, &command, &text);
		assert_non_null(first);
		for (size_t j = 0; j < 2; j++) assert_answer(COMMAND_SNUG, words[j], busy);
		first->destroy(first);
		assert_says(COMMAND_SNUG, words[i], "END\r\n");
		assert_says(COMMAND_SNUG, "hotkeys 101", "usage");
		text_deinit(&text);
	}
}

/* Anybody may ask for sizes, and all at once: what they hold until they are told is counted. */
static void test_sizes_draw_on_the_account_of_answers(void **state) {
	struct command command = {.kind = COMMAND_STATS, .text = "sizes", .text_bytes = 5};
	struct text text = {.account = &server.texts};
	struct errand *waits[8];
	size_t count = 0;
	(void)state;
	store(0, "a");
	while ((waits[count] = errand_begin(&workers[0], -1, &command, &text)) != NULL)
		assert_true(++count < 8);
	assert_true(count > 0);
	text_append(&text, "", 1);
	assert_string_equal(text.bytes, "SERVER_ERROR out of memory\r\n");
	waits[0]->forget(waits[0]); /* nothing is walked over for who has gone */
	visit_until_finished(waits[0], &workers[0]);
	text_deinit(&text);
	waits[0]->answer(waits[0], &text);
	assert_memory_equal(text.bytes, "END\r\n", 5);
	text_deinit(&text);
	while (count > 0) {
		struct errand *errand = waits[--count];
		errand->destroy(errand);
	}
}

static bool no_memory_for_an_address(struct server_worker *worker, bool from_first, uint32_t most,
									 struct clients *clients) {
	(void)worker;
	(void)from_first;
	(void)most;
	clients->text.failed = true;
	return false;
}

/* It would be told that there is no such client. */
static void test_a_kill_that_could_not_look_says_so(void **state) {
	struct command command = {
		.kind = COMMAND_SNUG, .text = "clients kill 127.0.0.1:1", .text_bytes = 24};
	struct text text = {0};
	(void)state;
	workers[0].clients = no_memory_for_an_address;
	struct errand *errand = errand_begin(&workers[0], -1, &command, &text);
	assert_non_null(errand);
	for (uint32_t i = 0; i < 2; i++) visit_until_finished(errand, &workers[i]);
	errand->answer(errand, &text);
	assert_true(text.failed);
	errand->destroy(errand);
	text_deinit(&text);
}

/* Whether it is told elsewhere than at the operator's door. */
static bool is_open(const struct settings *settings, enum command_kind kind, const char *text) {
	struct command command = {.kind = (uint8_t)kind, .text = text, .text_bytes = strlen(text)};
	char refusal[ERRAND_REFUSAL_ROOM];
	return errand_refusal(settings, &command, refusal) == 0;
}

static void assert_refused_with(const struct settings *settings, enum command_kind kind,
								const char *said) {
	struct command command = {.kind = (uint8_t)kind, .text = "check", .text_bytes = 5};
	char refusal[ERRAND_REFUSAL_ROOM];
	size_t length = errand_refusal(settings, &command, refusal);
	assert_int_equal(length, strlen(said));
	assert_memory_equal(refusal, said, length);
}

/* Whoever may use the socket shall not have to search for it. */
static void test_a_refusal_names_the_socket(void **state) {
	struct settings settings = {.control_path = "/run/snugd/control"};
	char said[ERRAND_REFUSAL_ROOM];
	(void)state;
	assert_refused_with(
		&settings, COMMAND_SNUG,
		"CLIENT_ERROR an operator's command; the control socket takes it: /run/snugd/control\r\n");
	assert_refused_with(&settings, COMMAND_SHUTDOWN,
						"SERVER_ERROR: shutdown not enabled\r\n"); /* memcached's, to the letter */
	strcpy(settings.control_path, SETTINGS_NO_CONTROL);
	assert_refused_with(&settings, COMMAND_VERBOSITY,
						"CLIENT_ERROR an operator's command; there is no control socket\r\n");
	memset(settings.control_path, 'x', sizeof settings.control_path - 1);
	settings.control_path[sizeof settings.control_path - 1] = '\0';
	(void)snprintf(said, sizeof said,
				   "CLIENT_ERROR an operator's command; the control socket takes it: %s\r\n",
				   settings.control_path);
	assert_refused_with(&settings, COMMAND_SNUG, said);
}

static void test_what_is_the_operators(void **state) {
	static const char *const changing[] = {
		"limit",    "limit 8m", "defrag compact", "emergency 1m evict", "schedule every 1h",
		"cancel 1", "check"};
	static const char *const telling[] = {"",          "estimate", "metrics", "map",   "report 3",
										  "schedules", "help",     "checks",  "limits"};
	struct settings settings = {0};
	(void)state;
	for (int open = 0; open < 2; open++) {
		settings.open_commands = open == 1;
		for (size_t i = 0; i < sizeof changing / sizeof *changing; i++)
			assert_int_equal(is_open(&settings, COMMAND_SNUG, changing[i]), open);
		for (size_t i = 0; i < sizeof telling / sizeof *telling; i++)
			assert_true(is_open(&settings, COMMAND_SNUG, telling[i]));
		assert_int_equal(is_open(&settings, COMMAND_VERBOSITY, ""), open);
		assert_int_equal(is_open(&settings, COMMAND_MEMLIMIT, ""), open);
		assert_false(is_open(&settings, COMMAND_SHUTDOWN, ""));
		assert_true(is_open(&settings, COMMAND_FLUSH, "") && is_open(&settings, COMMAND_STATS, ""));
	}
	for (int refused = 0; refused < 2; refused++) {
		settings = (struct settings){.no_dump = refused == 1, .open_commands = true};
		assert_int_equal(is_open(&settings, COMMAND_SNUG, "items"), !refused);
		assert_int_equal(is_open(&settings, COMMAND_SNUG, "items 0 0"), !refused);
		assert_int_equal(is_open(&settings, COMMAND_SNUG, "slow"), !refused); /* it tells keys */
		assert_int_equal(is_open(&settings, COMMAND_STATS, "detail on"), !refused);
		assert_true(is_open(&settings, COMMAND_SNUG, "metrics"));
	}
	settings = (struct settings){.control_only = true, .enable_shutdown = true};
	for (size_t i = 0; i < sizeof telling / sizeof *telling; i++)
		assert_false(is_open(&settings, COMMAND_SNUG, telling[i]));
	assert_true(is_open(&settings, COMMAND_SHUTDOWN, "") && is_open(&settings, COMMAND_STATS, ""));
}

static void count(uint8_t kind, const char *key, uint8_t status) {
	struct operation operation = {
		.kind = kind, .status = status, .key = {.bytes = key, .length = strlen(key)}};
	prefixes_count(&server.prefixes, &operation);
}

static void test_detail(void **state) {
	(void)state;
	assert_int_equal(server.watchers.kinds, 0);
	assert_answer(COMMAND_STATS, "detail on", "OK\r\n");
	assert_int_equal(server.watchers.kinds, WATCH_PREFIXES);
	count(OPERATION_GET, "a/1", STATUS_FOUND);
	count(OPERATION_GET, "a/2/3", STATUS_NOT_FOUND);
	count(OPERATION_STORE, "a\r\nEND/1", STATUS_STORED);
	count(OPERATION_DELETE, "ab", STATUS_DONE);
	count(OPERATION_ARITHMETIC, "ab/c", STATUS_DONE);
	assert_answer(COMMAND_STATS, "detail dump",
				  "PREFIX a get 2 hit 1 set 0 del 0\r\n"
				  "PREFIX a%0D%0AEND get 0 hit 0 set 1 del 0\r\nEND\r\n");
	assert_answer(COMMAND_STATS, "detail off", "OK\r\n");
	assert_int_equal(server.watchers.kinds, 0);
	assert_true(server.texts.used_bytes > 0);
	assert_answer(COMMAND_STATS, "reset", "RESET\r\n");
	assert_int_equal(server.texts.used_bytes, 0); /* what is not counted takes nothing */
	assert_answer(COMMAND_STATS, "detail dump", "END\r\n");
	assert_answer(COMMAND_STATS, "detail all", "CLIENT_ERROR usage: stats detail on|off|dump\r\n");
}

/* However many prefixes there are: so many are counted, in so many bytes, and of the rest how many
 * operations. */
static void test_detail_is_bounded(void **state) {
	(void)state;
	char key[256];
	assert_true(prefixes_begin(&server.prefixes));
	size_t used_bytes = server.texts.used_bytes;
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 5000; i++) {
			(void)snprintf(key, sizeof key, "%d/1", i);
			count(OPERATION_STORE, key, STATUS_STORED);
		}
	assert_int_equal(prefixes_dropped(&server.prefixes), 2 * (5000 - 4096));
	assert_says(COMMAND_STATS, "detail dump", "PREFIX 4095 get 0 hit 0 set 2 del 0\r\nEND\r\n");
	prefixes_reset(&server.prefixes);
	for (int i = 0; i < 600; i++) {
		(void)snprintf(key, sizeof key, "%0240d/1", i);
		count(OPERATION_GET, key, STATUS_FOUND);
	}
	assert_int_equal(prefixes_dropped(&server.prefixes), 600 - 131072 / 240);
	assert_int_equal(server.texts.used_bytes, used_bytes);
}

static void test_detail_without_memory(void **state) {
	(void)state;
	server.texts.limit_bytes = 1000;
	assert_answer(COMMAND_STATS, "detail on",
				  "SERVER_ERROR out of memory: nothing is counted by prefix\r\n");
	assert_int_equal(server.watchers.kinds, 0);
	count(OPERATION_GET, "a/1", STATUS_FOUND);
	assert_answer(COMMAND_STATS, "detail dump", "END\r\n");
}

static void test_limit(void **state) {
	(void)state;
	assert_says(COMMAND_SNUG, "limit",
				"STAT limit_goal_bytes 8388608\r\nSTAT limit_bytes 8388608\r\nSTAT used_bytes ");
	assert_says(COMMAND_SNUG, "limit 4m", "STAT limit_goal_bytes 4194304\r\n");
	assert_answer(COMMAND_SNUG, "limit 17m",
				  "CLIENT_ERROR at most 16777216 bytes; --memory-max says how far it may go\r\n");
	assert_answer(COMMAND_SNUG, "limit 511k", "CLIENT_ERROR at least 524288 bytes\r\n");
	assert_answer(COMMAND_SNUG, "limit 4x", "CLIENT_ERROR usage: snug limit [BYTES]\r\n");
	assert_says(COMMAND_SNUG, "limit", "STAT limit_goal_bytes 4194304\r\n");
}

static void test_a_limit_that_one_worker_cannot_keep(void **state) {
	(void)state;
	char *text = ask(COMMAND_SNUG, "limit 16m");
	assert_memory_equal(text, "SERVER_ERROR ", 13);
	assert_non_null(strstr(text, "; 1 of 2 workers have the new limit\r\n"));
	free(text);
}

/* memcached's words for the same. */
static void assert_memlimit(uint64_t mebibytes, const char *expected) {
	char *text =
		ask_with((struct command){.kind = COMMAND_MEMLIMIT, .operation = {.delta = mebibytes}}, 0);
	assert_string_equal(text, expected);
	free(text);
}

/* Words behind those that there is room for are not forgotten: the last one that fits holds them,
 * and is none that is known. */
static void test_a_word_too_many_is_wrong(void **state) {
	(void)state;
	static const char usage[] =
		"CLIENT_ERROR usage: snug defrag [coalesce|compact] [bytes N] [ms N] [return]\r\n";
	char words[512] = "defrag";
	for (size_t count = 1; count < 40; count++) {
		char wrong[600];
		(void)snprintf(wrong, sizeof wrong, "%s nonsense", words);
		assert_answer(COMMAND_SNUG, wrong, usage);
		strcat(words, " return");
	}
	assert_answer(COMMAND_SNUG, words, usage);
}

static void test_cache_memlimit(void **state) {
	(void)state;
	settings_live_init(&server.live, &server.settings);
	assert_says(COMMAND_STATS, "settings", "STAT maxbytes 8388608\r\n");
	assert_memlimit(0, "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 1m\r\n");
	assert_says(COMMAND_SNUG, "limit 524287", "CLIENT_ERROR at least 524288 bytes\r\n");
	/* What `snug limit` takes it takes, too. */
	assert_memlimit(7, "OK\r\n");
	assert_says(COMMAND_STATS, "settings", "STAT maxbytes 7340032\r\n");
	assert_memlimit(8, "OK\r\n");
	assert_memlimit(1000000001, "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes\r\n");
	assert_memlimit(17, "MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust\r\n");
	assert_says(COMMAND_SNUG, "limit 6m", "STAT limit_goal_bytes 6291456\r\n");
	assert_says(COMMAND_STATS, "settings", "STAT maxbytes 6291456\r\n");
	assert_memlimit(8, "OK\r\n");
	assert_says(COMMAND_SNUG, "limit", "STAT limit_goal_bytes 8388608\r\n");
	assert_says(COMMAND_STATS, "settings", "STAT maxbytes 8388608\r\n");
	/* one worker cannot */
	assert_memlimit(16, "MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust\r\n");
	/* A reload that does not name another limit leaves it. */
	settings_live_init(&server.live, &server.settings);
	assert_says(COMMAND_SNUG, "limit 6m", "STAT limit_goal_bytes 6291456\r\n");
	settings_live_init(&server.live, &server.settings);
	assert_says(COMMAND_STATS, "settings", "STAT maxbytes 6291456\r\n");
	server.settings.memory_bytes = 2 * LIMIT_BYTES - 2;
	settings_live_init(&server.live, &server.settings);
	assert_says(COMMAND_STATS, "settings", "STAT maxbytes 8388606\r\n");
}

static void test_map_metrics_check(void **state) {
	(void)state;
	store(1, "a");
	assert_says(COMMAND_SNUG, "map", "STAT 1:map_stride_pages 1\r\nMAP 1 {\"page_bytes\":");
	assert_says(COMMAND_SNUG, "map", "{\"page\":0,\"state\":\"slab\",\"pool\":\"small\",");
	assert_says(COMMAND_SNUG, "metrics", "STAT 1:items 1\r\n");
	assert_says(COMMAND_SNUG, "metrics", "STAT 1:small:objects 1\r\n");
	assert_answer(COMMAND_SNUG, "check", "STAT 0:check ok\r\nSTAT 1:check ok\r\nEND\r\n");
}

static void test_the_coordinator_is_asked(void **state) {
	(void)state;
	snug_workers_options options = snug_workers_options_default();
	snug_coordinator_options coordinator_options = snug_coordinator_options_default();
	options.heap.limit_bytes = LIMIT_BYTES;
	assert_int_equal(snug_workers_create(&options, &server.workers), SNUG_OK);
	coordinator_options.background.on = false;
	assert_int_equal(
		snug_coordinator_create(server.workers, &coordinator_options, &server.coordinator),
		SNUG_OK);
	assert_says(COMMAND_SNUG, "estimate", "STAT reclaimable_bytes 0\r\n");
	assert_says(COMMAND_SNUG, "defrag coalesce bytes 1k ms 5 return", "STAT result ok\r\n");
	assert_says(COMMAND_SNUG, "emergency 5m", "CLIENT_ERROR ");
	assert_says(COMMAND_SNUG, "emergency 1m", "STAT complete no\r\n");
	assert_answer(COMMAND_SNUG, "schedule every 30m",
				  "STAT schedule 9223372036854775809\r\nEND\r\n");
	assert_answer(COMMAND_SNUG, "schedule 02:00-04:00 target 10",
				  "STAT schedule 9223372036854775810\r\nEND\r\n");
	assert_says(COMMAND_SNUG, "schedules",
				"STAT 9223372036854775809:when every 1800 s\r\n"
				"STAT 9223372036854775809:target_percent 0\r\n"
				"STAT 9223372036854775809:running no\r\n"
				"STAT 9223372036854775809:runs 0\r\n"
				"STAT 9223372036854775809:left_out 0\r\n"
				"STAT 9223372036854775809:reclaimed_bytes 0\r\n"
				"STAT 9223372036854775809:last_time 0\r\n"
				"STAT 9223372036854775809:next_time ");
	assert_says(COMMAND_SNUG, "schedules", "STAT 9223372036854775810:when 02:00-04:00\r\n");
	assert_says(COMMAND_SNUG, "schedules", "STAT 9223372036854775810:target_percent 10\r\n");
	assert_answer(COMMAND_SNUG, "cancel 9223372036854775809", "OK\r\n");
	assert_says(COMMAND_SNUG, "cancel 9223372036854775809", "CLIENT_ERROR ");
	assert_says(COMMAND_SNUG, "report 1", ":request cancel ");
	assert_answer(COMMAND_SNUG, "cancel 9223372036854775810", "OK\r\n");
	assert_answer(COMMAND_SNUG, "schedules", "END\r\n");
	assert_int_equal(snug_coordinator_destroy(server.coordinator), SNUG_OK);
	assert_int_equal(snug_workers_destroy(server.workers), SNUG_OK);
}

static void test_wrong_use(void **state) {
	(void)state;
	static const char *const wrong[] = {"estimate now",
										"defrag bytes",
										"defrag ms 5k",
										"emergency",
										"emergency 1m x",
										"schedule 02:00-24:01",
										"cancel",
										"schedules all",
										"cancel 1k",
										"report 0",
										"schedule every 1m 2m",
										"limit 1 2",
										"schedule every 5g",
										"schedule every 71582789m",
										"schedule every 1193047h"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_says(COMMAND_SNUG, wrong[i], "CLIENT_ERROR usage: snug ");
	assert_answer(COMMAND_SNUG, "", "CLIENT_ERROR no such snug command; snug help lists them\r\n");
	assert_says(COMMAND_SNUG, "help", "snug check");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(test_memory_parts_add_up_to_what_is_used),
		TEST(test_what_is_recent),
		TEST(test_stats_are_all_workers_sum),
		TEST(test_reset_keeps_what_is_there),
		TEST(test_an_empty_cache_is_not_fragmented),
		TEST(test_total_malloced_is_of_pages_in_use),
		TEST(test_items_are_of_a_class_that_has_pages),
		TEST(test_flush_reaches_all_workers),
		TEST(test_a_date_before_the_start_flushes_nothing),
		TEST(test_a_flush_by_a_clock_that_was_set),
		TEST(test_verbosity),
		TEST(test_one_looks_at_keys_at_a_time),
		TEST(test_sizes_draw_on_the_account_of_answers),
		TEST(test_a_kill_that_could_not_look_says_so),
		TEST(test_what_is_the_operators),
		TEST(test_a_refusal_names_the_socket),
		TEST(test_detail),
		TEST(test_detail_is_bounded),
		TEST(test_detail_without_memory),
		TEST(test_limit),
		TEST(test_a_limit_that_one_worker_cannot_keep),
		TEST(test_a_word_too_many_is_wrong),
		TEST(test_cache_memlimit),
		TEST(test_map_metrics_check),
		TEST(test_the_coordinator_is_asked),
		TEST(test_wrong_use),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
