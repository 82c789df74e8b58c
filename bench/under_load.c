/* under_load.c: bench-under-load: what a defragmentation costs the clients that are served
 * meanwhile, and what idle workers cost.
 *
 * One worker, one client at full speed in batches of 16: 70 % reads, 18 % writes, 6 % frees and as
 * many allocations, every read verified. Each round fills the heap, frees a random half, and lets
 * the client run. Even rounds defragment in slices, each a request whose budget fills a window of
 * 20 ms at the default duty cycle, with as long a window alone before and after it; a ratio is that
 * of a slice's speed to the mean of its neighbours', so that it compares one machine in one mood,
 * and the ratio printed is the median of all. Odd rounds ask for an estimate and then for the whole
 * at once, and compare what was reclaimed with it.
 *
 * Latencies are the client's, from submission until it took the result, most of which is the
 * client's own batch. Turns are the worker's: from one call of its hook to the next, sleep left
 * out: a batch of messages and, beside a defragmentation, now and then a step. The longest turn is
 * the most that a message can have waited for.
 *
 * At last 8 workers and a coordinator do nothing for 10 s, and the processor time of the whole
 * process is taken. */
#include "bench.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define BATCH 16u
#define FREES_A_BATCH 1u
#define SIZE_MIN 64u
#define SIZE_MAX_BYTES 1024u
#define WINDOW_NS UINT64_C(20000000)
#define WINDOWS_MAX 4096u
#define IDLE_WORKERS 8u

/* ------------------------------------------------------------------ the worker's turns -------- */

enum mode { IGNORED, ALONE, BESIDE, MODES };

struct probe {
	_Atomic uint32_t mode; /* the main thread writes */
	uint64_t last_ns;      /* the worker's own; 0: it has slept */
	snug_histogram turns[MODES];
};

static bool note_turn(void *context, uint32_t worker, snug_heap *heap) {
	struct probe *probe = context;
	uint64_t now_ns = bench_now_ns();
	(void)worker;
	(void)heap;
	if (probe->last_ns != 0)
		snug_histogram_add(&probe->turns[atomic_load(&probe->mode)], now_ns - probe->last_ns);
	probe->last_ns = now_ns;
	return false;
}

static void sleep_unnoted(void *context, uint32_t worker, int wake_fd, uint64_t timeout_ns) {
	struct probe *probe = context;
	struct pollfd wake = {.fd = wake_fd, .events = POLLIN};
	struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / 1000000000),
							   .tv_nsec = (long)(timeout_ns % 1000000000)};
	(void)worker;
	(void)ppoll(&wake, 1, timeout_ns == SNUG_FOREVER ? NULL : &timeout, NULL);
	probe->last_ns = 0;
}

/* ------------------------------------------------------------------ the client ---------------- */

struct object {
	snug_object name;
	uint64_t id; /* its first 8 bytes */
	uint32_t size;
};

struct load {
	snug_client *client;
	bench_random random;
	struct object *live;
	size_t count;
	size_t capacity;
	uint64_t next_id;
	_Atomic uint64_t operations; /* the client's thread writes */
	_Atomic uint32_t *mode;      /* the probe's */
	snug_histogram latency_ns[MODES];
	_Atomic bool stop;
	unsigned char buffers[BATCH][SIZE_MAX_BYTES];
	struct object chosen[BATCH]; /* of each operation in flight */
	size_t to_allocate;          /* as many as were freed in the last batch */
};

static void choose_alloc(struct load *load, size_t index, snug_operation *out) {
	struct object *object = &load->chosen[index];
	*object = (struct object){
		.id = load->next_id++,
		.size =
			(uint32_t)(SIZE_MIN + bench_random_below(&load->random, SIZE_MAX_BYTES - SIZE_MIN))};
	memcpy(load->buffers[index], &object->id, sizeof object->id);
	*out = (snug_operation){.kind = SNUG_OPERATION_ALLOC,
							.size = object->size,
							.length = sizeof object->id,
							.buffer = load->buffers[index]};
}

static void choose_free(struct load *load, size_t index, snug_operation *out) {
	size_t at = bench_random_below(&load->random, load->count);
	load->chosen[index] = load->live[at];
	load->live[at] = load->live[--load->count];
	*out = (snug_operation){.kind = SNUG_OPERATION_FREE, .object = load->chosen[index].name};
}

static void choose_access(struct load *load, size_t index, snug_operation *out) {
	const struct object *object = &load->live[bench_random_below(&load->random, load->count)];
	bool write = bench_random_below(&load->random, 5) == 0;
	load->chosen[index] = *object;
	*out = (snug_operation){.kind = write ? SNUG_OPERATION_WRITE : SNUG_OPERATION_READ,
							.object = object->name,
							.length = object->size,
							.buffer = load->buffers[index]};
	if (write) { /* all but the id */
		out->offset = sizeof object->id;
		out->length -= sizeof object->id;
	}
}

static void take(struct load *load, size_t index, const snug_operation *operation,
				 const snug_result *result) {
	const struct object *object = &load->chosen[index];
	bench_expect_ok(result->error, "operation");
	if (operation->kind == SNUG_OPERATION_ALLOC) {
		if (load->count == load->capacity) bench_fail("the table is full");
		load->live[load->count] = *object;
		load->live[load->count++].name = result->object;
	} else if (operation->kind == SNUG_OPERATION_READ &&
			   memcmp(load->buffers[index], &object->id, 8) != 0) {
		bench_fail("an object holds another one's bytes");
	}
}

static void run_batch(struct load *load, const snug_operation *operations, size_t count) {
	snug_ticket tickets[BATCH];
	snug_histogram *latency_ns = &load->latency_ns[atomic_load(load->mode)];
	uint64_t begin_ns = bench_now_ns();
	bench_expect_ok(snug_client_submit(load->client, operations, count, tickets), "submit");
	for (size_t index = 0; index < count; index++) {
		snug_result result;
		bench_expect_ok(snug_client_wait(load->client, tickets[index], SNUG_FOREVER, &result),
						"wait");
		snug_histogram_add(latency_ns, bench_now_ns() - begin_ns);
		take(load, index, &operations[index], &result);
	}
	atomic_store_explicit(&load->operations,
						  atomic_load_explicit(&load->operations, memory_order_relaxed) + count,
						  memory_order_relaxed);
}

static void *run_load(void *context) {
	struct load *load = context;
	snug_operation operations[BATCH];
	while (!atomic_load(&load->stop)) {
		size_t count = 0;
		for (; load->to_allocate > 0; load->to_allocate--) {
			choose_alloc(load, count, &operations[count]);
			count++;
		}
		for (; load->to_allocate < FREES_A_BATCH; load->to_allocate++) {
			choose_free(load, count, &operations[count]);
			count++;
		}
		for (; count < BATCH; count++) choose_access(load, count, &operations[count]);
		run_batch(load, operations, BATCH);
	}
	return NULL;
}

/* Fills nearly nine tenths of the heap, then frees a random half. */
static void fragment(struct load *load, size_t limit_bytes) {
	snug_operation operations[BATCH];
	uint64_t live_bytes = 0;
	for (size_t i = 0; i < load->count; i++) live_bytes += load->live[i].size;
	while (live_bytes < limit_bytes / 8 * 7) {
		for (size_t i = 0; i < BATCH; i++) {
			choose_alloc(load, i, &operations[i]);
			live_bytes += load->chosen[i].size;
		}
		run_batch(load, operations, BATCH);
	}
	for (size_t left = load->count / 2 / BATCH; left > 0; left--) {
		for (size_t i = 0; i < BATCH; i++) choose_free(load, i, &operations[i]);
		run_batch(load, operations, BATCH);
	}
}

/* ------------------------------------------------------------------ a round ------------------- */

struct figures {
	double ratios[WINDOWS_MAX]; /* speed of a slice to that of its neighbours */
	size_t ratio_count;
	double speed_alone; /* operations a second, of the last window */
	uint64_t estimated_bytes;
	uint64_t reclaimed_bytes;
	uint64_t whole_rounds;
	uint64_t steps;
	uint64_t work_ns;
	uint64_t total_ns;
	uint64_t longest_step_ns;
};

struct stage {
	snug_workers *workers;
	snug_coordinator *coordinator;
	struct probe *probe;
	struct load *load;
};

static snug_response ask(struct stage *stage, snug_request request) {
	snug_response response;
	snug_ticket late;
	bench_expect_ok(
		snug_coordinator_call(stage->coordinator, &request, SNUG_FOREVER, &response, &late),
		"request");
	bench_expect_ok(response.error, "response");
	return response;
}

static snug_response defragment(struct stage *stage, uint64_t budget_ns, struct figures *figures) {
	snug_request request = snug_request_default(SNUG_REQUEST_DEFRAGMENT);
	request.options.budget_ns = budget_ns;
	atomic_store(&stage->probe->mode, BESIDE);
	snug_response response = ask(stage, request);
	figures->steps += response.report.steps;
	figures->work_ns += response.report.work_ns;
	figures->total_ns += response.report.total_ns;
	if (response.report.longest_step_ns > figures->longest_step_ns)
		figures->longest_step_ns = response.report.longest_step_ns;
	return response;
}

struct window {
	uint64_t begin_ns;
	uint64_t operations;
};

static struct window open_window(struct stage *stage) {
	return (struct window){bench_now_ns(), atomic_load(&stage->load->operations)};
}

/* Operations a second since the window was opened. */
static double window_speed(struct stage *stage, struct window window) {
	uint64_t operations = atomic_load(&stage->load->operations) - window.operations;
	return (double)operations * 1e9 / (double)(bench_now_ns() - window.begin_ns);
}

static double run_alone(struct stage *stage) {
	struct timespec pause = {.tv_nsec = (long)WINDOW_NS};
	atomic_store(&stage->probe->mode, ALONE);
	struct window window = open_window(stage);
	nanosleep(&pause, NULL);
	return window_speed(stage, window);
}

static void run_in_slices(struct stage *stage, uint32_t duty_ppm, struct figures *figures) {
	double alone = run_alone(stage);
	bool complete = false;
	while (!complete && figures->ratio_count < WINDOWS_MAX) {
		struct window window = open_window(stage);
		complete = defragment(stage, WINDOW_NS / 1000000 * duty_ppm, figures).report.complete;
		double beside = window_speed(stage, window), next = run_alone(stage);
		/* What is left for the last slice is too short to compare. */
		if (!complete) figures->ratios[figures->ratio_count++] = beside / ((alone + next) / 2);
		alone = next;
	}
	figures->speed_alone = alone;
}

static void run_whole(struct stage *stage, struct figures *figures) {
	snug_request question = snug_request_default(SNUG_REQUEST_ESTIMATE);
	figures->estimated_bytes += ask(stage, question).estimate.reclaimable_bytes;
	figures->reclaimed_bytes += defragment(stage, SNUG_NO_BUDGET, figures).report.reclaimed_bytes;
	figures->whole_rounds++;
}

static void run_round(struct stage *stage, size_t limit_bytes, uint32_t duty_ppm, bool whole,
					  struct figures *figures) {
	pthread_t thread;
	atomic_store(&stage->probe->mode, IGNORED);
	fragment(stage->load, limit_bytes);
	atomic_store(&stage->load->stop, false);
	if (pthread_create(&thread, NULL, run_load, stage->load) != 0) bench_fail("no thread");
	if (whole)
		run_whole(stage, figures);
	else
		run_in_slices(stage, duty_ppm, figures);
	atomic_store(&stage->probe->mode, IGNORED);
	atomic_store(&stage->load->stop, true);
	(void)pthread_join(thread, NULL);
}

/* ------------------------------------------------------------------ idle ---------------------- */

static double process_seconds(void) {
	struct rusage use;
	getrusage(RUSAGE_SELF, &use);
	return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
		   (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) * 1e-6;
}

/* The share of one processor that idle workers and their coordinator take. */
static double idle_share(time_t seconds) {
	snug_workers_options options = snug_workers_options_default();
	snug_coordinator_options coordinator_options = snug_coordinator_options_default();
	snug_workers *workers;
	snug_coordinator *coordinator;
	options.count = IDLE_WORKERS;
	options.heap.limit_bytes = MIB;
	bench_expect_ok(snug_workers_create(&options, &workers), "create workers");
	bench_expect_ok(snug_coordinator_create(workers, &coordinator_options, &coordinator),
					"create coordinator");
	struct timespec settle = {.tv_nsec = 50000000}, pause = {.tv_sec = seconds};
	nanosleep(&settle, NULL);
	double before = process_seconds();
	nanosleep(&pause, NULL);
	double used = process_seconds() - before;
	bench_expect_ok(snug_coordinator_destroy(coordinator), "destroy coordinator");
	bench_expect_ok(snug_workers_destroy(workers), "destroy workers");
	return used / (double)seconds;
}

/* ------------------------------------------------------------------ output -------------------- */

static void print_histogram(const char *what, const char *when, const snug_histogram *of,
							bool json) {
	unsigned long long p50 = snug_histogram_quantile(of, 0.5),
					   p99 = snug_histogram_quantile(of, 0.99);
	unsigned long long p999 = snug_histogram_quantile(of, 0.999),
					   p9999 = snug_histogram_quantile(of, 0.9999);
	if (json)
		printf("{\"bench\":\"under-load\",\"of\":\"%s\",\"when\":\"%s\",\"count\":%llu,\"p50_ns\":%"
			   "llu,\"p99_ns\":%llu,"
			   "\"p999_ns\":%llu,\"p9999_ns\":%llu,\"max_ns\":%llu}\n",
			   what, when, (unsigned long long)of->count, p50, p99, p999, p9999,
			   (unsigned long long)of->max);
	else
		printf("%-10s %-8s %10llu %8.1f %8.1f %8.1f %8.1f %9.1f\n", what, when,
			   (unsigned long long)of->count, (double)p50 / 1000, (double)p99 / 1000,
			   (double)p999 / 1000, (double)p9999 / 1000, (double)of->max / 1000);
}

static void print_all(struct figures *figures, const struct probe *probe, const struct load *load,
					  double idle, const bench_options *options) {
	double ratio = bench_median(figures->ratios, figures->ratio_count);
	double met = (double)figures->reclaimed_bytes / (double)figures->estimated_bytes;
	double duty = (double)figures->work_ns / (double)figures->total_ns;
	double step_ns = (double)figures->work_ns / (double)figures->steps;
	if (!options->json)
		printf("%-10s %-8s %10s %8s %8s %8s %8s %9s   us\n", "", "", "count", "p50", "p99", "p99.9",
			   "p99.99", "max");
	print_histogram("operations", "alone", &load->latency_ns[ALONE], options->json);
	print_histogram("operations", "beside", &load->latency_ns[BESIDE], options->json);
	print_histogram("turns", "alone", &probe->turns[ALONE], options->json);
	print_histogram("turns", "beside", &probe->turns[BESIDE], options->json);
	if (options->json) {
		printf(
			"{\"bench\":\"under-load\",\"throughput_ratio\":%.4f,\"reclaimed_to_estimated\":%.4f,"
			"\"work_share\":%.4f,"
			"\"step_mean_ns\":%.0f,\"longest_step_ns\":%llu,\"idle_share\":%.6f,\"seed\":%llu}\n",
			ratio, met, duty, step_ns, (unsigned long long)figures->longest_step_ns, idle,
			(unsigned long long)options->seed);
		return;
	}
	printf("throughput beside / alone   %.3f   (aim: at least 0.95; median of %zu pairs of "
		   "windows; last %.0f "
		   "operations/s)\n",
		   ratio, figures->ratio_count, figures->speed_alone);
	printf("reclaimed / estimated       %.3f   (aim: 0.90 to 1.10; %.1f MiB a round)\n", met,
		   (double)figures->reclaimed_bytes / (double)MIB / (double)figures->whole_rounds);
	printf("steps / time beside         %.3f   (cap: 0.030; %llu steps, mean %.1f us, longest %.1f "
		   "us)\n",
		   duty, (unsigned long long)figures->steps, step_ns / 1000,
		   (double)figures->longest_step_ns / 1000);
	printf(
		"8 idle workers              %.4f %% of a processor, with a coordinator (aim: below 0.1)\n",
		idle * 100);
}

int main(int argc, char **argv) {
	static struct probe probe;
	static struct load load = {.mode = &probe.mode};
	static struct figures figures;
	bench_options options = bench_options_parse(argc, argv, 8);
	size_t limit_bytes = options.quick ? 8 * MIB : 64 * MIB;
	struct stage stage = {.probe = &probe, .load = &load};
	snug_workers_options workers = snug_workers_options_default();
	snug_coordinator_options coordinator = snug_coordinator_options_default();
	bench_random_init(&load.random, options.seed);
	for (int mode = 0; mode < MODES; mode++) {
		snug_histogram_init(&probe.turns[mode]);
		snug_histogram_init(&load.latency_ns[mode]);
	}
	workers.heap.limit_bytes = limit_bytes;
	workers.heap.populate = true;
	workers.hook = (snug_worker_hook){.context = &probe, .turn = note_turn, .sleep = sleep_unnoted};
	bench_expect_ok(snug_workers_create(&workers, &stage.workers), "create workers");
	coordinator.background.on = false; /* only what is asked for */
	bench_expect_ok(snug_coordinator_create(stage.workers, &coordinator, &stage.coordinator),
					"create coordinator");
	bench_expect_ok(snug_client_create(stage.workers, NULL, &load.client), "create client");
	load.capacity = limit_bytes / SIZE_MIN;
	load.live = bench_map(load.capacity * sizeof *load.live, false);
	if (!options.json)
		printf("a client at full speed, alone and beside a defragmentation at the default duty "
			   "cycle; %zu MiB, seed "
			   "%llu\n",
			   limit_bytes / MIB, (unsigned long long)options.seed);
	for (unsigned round = 0; round < options.rounds || round < 2; round++)
		run_round(&stage, limit_bytes, workers.duty_ppm, round % 2 != 0, &figures);
	bench_expect_ok(snug_client_destroy(load.client), "destroy client");
	bench_expect_ok(snug_coordinator_destroy(stage.coordinator), "destroy coordinator");
	bench_expect_ok(snug_workers_destroy(stage.workers), "destroy workers");
	print_all(&figures, &probe, &load, idle_share(options.quick ? 1 : 10), &options);
	return 0;
}
