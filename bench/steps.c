/* steps.c: bench-steps: whether the time of a call depends on the heap's size.
 *
 * 1. Heaps of 64 MiB to 8 GiB of Meta's sizes, in pages of 4 KiB, which is the most pages that such
 *    a heap can have: full; half of the objects gone at random; and all but one in sixty-four. Each
 *    is asked for its figures and for an estimate, cold, and then defragmented to the end in steps
 *    of 10 us, with all that is free returned to the system. `late`: steps above 20 us. `machine`:
 *    the same of a loop that copies from random places to random places in plain memory, run after
 *    each step: what the machine adds by itself, which touches memory that lies far apart. `alone`:
 *    the longest of those loops, beside the longest step, `max`.
 *    Where the time of the late ones was: `calls`, those that are not late without the calls that
 *    give memory back; `off`, of the others those that had at most 20 us of processor time; `own`,
 *    the rest, in which the heap's own work was late, its cache misses and all interrupts included.
 *    Then plain memory is given back in calls of so many pages, by nobody but this program: what
 *    such a call of the system takes by itself.
 * 2. An emergency that returns a quarter of the limit from a worker's heap: of one that is half
 *    empty, by compacting; of a full one, by evicting. The processor time of the whole process for
 *    each MiB that came back.
 *
 * --quick: up to 256 MiB. A size that does not fit into the machine's memory is left out and said
 * to be. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define META_MAX_BYTES (512 * KIB)
#define META_MIN_BYTES 64
#define EVICT_BYTES (32 * MIB)
#define PLAIN_BYTES (256 * MIB)
#define STEP_NS 10000u
#define ASKS 31
#define OBJECT_BYTES 1000

typedef enum filling { FULL, HALF, SPARSE, FILLING_COUNT } filling;
static const char *const filling_names[FILLING_COUNT] = {"full", "half empty", "a 64th left"};

/* Tables lie beside the heap. */
static bool machine_has(size_t heap_bytes) {
	char line[128];
	size_t kib = 0;
	FILE *file = fopen("/proc/meminfo", "r");
	while (file != NULL && kib == 0 && fgets(line, sizeof line, file) != NULL)
		(void)sscanf(line, "MemAvailable: %zu", &kib);
	if (file != NULL) fclose(file);
	return heap_bytes + heap_bytes / 4 < kib * KIB;
}

static void name_size(size_t bytes, char *out, size_t room) {
	bool large = bytes >= 1024 * MIB;
	snprintf(out, room, "%zu %s", bytes / (large ? 1024 * MIB : MIB), large ? "GiB" : "MiB");
}

/* ------------------------------------------------------------------ steps -------------------- */

/* Where a late step's time was. */
typedef enum where { IN_CALLS, OFF_THE_PROCESSOR, OWN_WORK, WHERE } where;

typedef struct spent {
	uint64_t all_ns;
	uint64_t calls_ns; /* in calls that give memory back */
	uint64_t cpu_ns;   /* in all */
} spent;

typedef struct probe {
	bench_herd herd;
	snug_os os;
	bench_random random;
	unsigned char *evict;
	unsigned char *plain;
	snug_histogram steps;
	uint64_t calls_ns;    /* in calls that give memory back, ever */
	uint64_t late[WHERE]; /* steps, by where their time was */
	spent longest;        /* of the longest step */
	uint64_t machine_late;
	uint64_t machine_longest_ns;
} probe;

static bool give_back_timed(void *context, void *address, size_t bytes) {
	probe *on = context;
	uint64_t begin_ns = bench_now_ns();
	bool given = snug_os_linux()->decommit(NULL, address, bytes);
	on->calls_ns += bench_now_ns() - begin_ns;
	return given;
}

typedef void ask_function(snug_heap *heap);

static void ask_stats(snug_heap *heap) {
	snug_stats stats;
	bench_expect_ok(snug_stats_get(heap, &stats), "snug_stats_get");
}

static void ask_estimate(snug_heap *heap) {
	snug_estimate_report report;
	bench_expect_ok(snug_estimate(heap, NULL, &report), "snug_estimate");
}

/* The median, in us; the caches hold other things before each call. */
static double ask(probe *on, ask_function *function) {
	double us[ASKS];
	for (int i = 0; i < ASKS; i++) {
		memset(on->evict, i, EVICT_BYTES);
		uint64_t begin_ns = bench_now_ns();
		function(on->herd.heap);
		us[i] = (double)(bench_now_ns() - begin_ns) / 1000;
	}
	return bench_median(us, ASKS);
}

static double begin(probe *on, const snug_defragment_options *options) {
	memset(on->evict, 1, EVICT_BYTES);
	uint64_t begin_ns = bench_now_ns();
	bench_expect_ok(snug_defragment_begin(on->herd.heap, options), "snug_defragment_begin");
	return (double)(bench_now_ns() - begin_ns) / 1000;
}

/* As long as a step, and nothing but copies from random places to random places. */
static void run_plain_loop(probe *on) {
	uint64_t begin_ns = bench_now_ns(), now_ns = begin_ns;
	while (now_ns - begin_ns < STEP_NS) {
		for (int i = 0; i < 16; i++) {
			unsigned char *from = on->plain + bench_random_below(&on->random, PLAIN_BYTES - 512);
			unsigned char *to = on->plain + bench_random_below(&on->random, PLAIN_BYTES - 512);
			memmove(to, from, 256);
		}
		now_ns = bench_now_ns();
	}
	on->machine_late += now_ns - begin_ns > 2 * STEP_NS;
	if (now_ns - begin_ns > on->machine_longest_ns) on->machine_longest_ns = now_ns - begin_ns;
}

static void note_step(probe *on, spent step) {
	snug_histogram_add(&on->steps, step.all_ns);
	if (step.all_ns > on->longest.all_ns) on->longest = step;
	if (step.all_ns <= 2 * STEP_NS) return;
	if (step.all_ns - step.calls_ns <= 2 * STEP_NS)
		on->late[IN_CALLS]++;
	else
		on->late[step.cpu_ns <= 2 * STEP_NS ? OFF_THE_PROCESSOR : OWN_WORK]++;
}

static void step_to_the_end(probe *on) {
	bool done = false;
	snug_histogram_init(&on->steps);
	memset(on->late, 0, sizeof on->late);
	on->longest = (spent){0};
	on->machine_late = on->machine_longest_ns = 0;
	while (!done) {
		spent step = {.calls_ns = on->calls_ns, .cpu_ns = bench_cpu_ns()};
		uint64_t begin_ns = bench_now_ns();
		bench_expect_ok(snug_defragment_step(on->herd.heap, &done), "snug_defragment_step");
		step.all_ns = bench_now_ns() - begin_ns;
		step.calls_ns = on->calls_ns - step.calls_ns;
		step.cpu_ns = bench_cpu_ns() - step.cpu_ns;
		note_step(on, step);
		run_plain_loop(on);
	}
}

static void thin(probe *on, filling state) {
	if (state == HALF) bench_herd_thin(&on->herd, &on->random, BENCH_RANDOM);
	for (size_t id = 0; state == SPARSE && id < on->herd.ids; id++) {
		if (id % 64 != 0 && on->herd.refs[id] != 0) bench_herd_remove(&on->herd, id);
	}
}

static void measure_steps(probe *on, size_t limit_bytes, filling state,
						  const bench_options *bench) {
	snug_heap_options heap_options = snug_heap_options_default();
	heap_options.limit_bytes = limit_bytes;
	heap_options.page_bytes = 4096;
	heap_options.os = &on->os;
	bench_herd_create(&on->herd, &heap_options, META_MIN_BYTES);
	bench_herd_fill(&on->herd, &on->random, 0, META_MAX_BYTES);
	thin(on, state);
	snug_defragment_options options = snug_defragment_options_default();
	options.step_ns = STEP_NS;
	options.step_bytes = SNUG_NO_BUDGET;
	options.retain_bytes = 0;
	double stats_us = ask(on, ask_stats), estimate_us = ask(on, ask_estimate);
	double begin_us = begin(on, &options);
	step_to_the_end(on);
	snug_report report;
	uint64_t end_begin_ns = bench_now_ns();
	bench_expect_ok(snug_defragment_end(on->herd.heap, &report), "snug_defragment_end");
	double end_us = (double)(bench_now_ns() - end_begin_ns) / 1000;
	char size[16];
	name_size(limit_bytes, size, sizeof size);
	printf(
		bench->json ? "{\"bench\":\"steps\",\"limit\":\"%s\",\"filling\":\"%s\",\"stats_us\":%.1f,"
					  "\"estimate_us\":%.1f,\"begin_us\":%.1f,\"end_us\":%.1f,\"steps\":%llu,"
					  "\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f,\"late\":%llu,"
					  "\"machine_late\":%llu,\"machine_max_us\":%.1f,\"reclaimed_mib\":%.0f,"
					  "\"returned_mib\":%.0f,\"late_calls\":%llu,\"late_off\":%llu,"
					  "\"late_own\":%llu,\"max_calls_us\":%.1f,\"max_cpu_us\":%.1f}\n"
					: "%-8s %-12s %6.1f %9.1f %6.1f %6.1f %9llu %6.1f %6.1f %7.1f %7llu %8llu "
					  "%7.1f %10.0f %9.0f %6llu %6llu %6llu %8.1f %7.1f\n",
		size, filling_names[state], stats_us, estimate_us, begin_us, end_us,
		(unsigned long long)report.steps, (double)snug_histogram_quantile(&on->steps, 0.5) / 1000,
		(double)snug_histogram_quantile(&on->steps, 0.99) / 1000,
		(double)snug_histogram_quantile(&on->steps, 1) / 1000,
		(unsigned long long)report.late_steps, (unsigned long long)on->machine_late,
		(double)on->machine_longest_ns / 1000, (double)report.reclaimed_bytes / (double)MIB,
		(double)report.returned_bytes / (double)MIB, (unsigned long long)on->late[IN_CALLS],
		(unsigned long long)on->late[OFF_THE_PROCESSOR], (unsigned long long)on->late[OWN_WORK],
		(double)on->longest.calls_ns / 1000, (double)on->longest.cpu_ns / 1000);
	bench_herd_destroy(&on->herd);
}

static void all_steps(const bench_options *options) {
	static probe on;
	size_t most_bytes = options->quick ? 256 * MIB : 8192 * MIB;
	on.evict = bench_map(EVICT_BYTES, false);
	on.plain = bench_map(PLAIN_BYTES, false);
	on.os = *snug_os_linux();
	on.os.context = &on;
	on.os.decommit = give_back_timed;
	bench_random_init(&on.random, options->seed);
	if (!options->json) {
		printf("steps of 10 us; all times in us; pages of 4 KiB; seed %llu\n",
			   (unsigned long long)options->seed);
		printf(
			"%-8s %-12s %6s %9s %6s %6s %9s %6s %6s %7s %7s %8s %7s %10s %9s %6s %6s %6s %8s %7s\n",
			"limit", "filling", "stats", "estimate", "begin", "end", "steps", "p50", "p99", "max",
			"late", "machine", "alone", "reclaimed", "returned", "calls", "off", "own", "max:call",
			"max:cpu");
	}
	for (size_t limit_bytes = 64 * MIB; limit_bytes <= most_bytes; limit_bytes *= 2) {
		for (filling state = 0; state < FILLING_COUNT; state++) {
			if (machine_has(limit_bytes))
				measure_steps(&on, limit_bytes, state, options);
			else if (!options->json)
				printf("%zu MiB: not enough memory in this machine\n", limit_bytes / MIB);
		}
	}
	bench_unmap(on.plain, PLAIN_BYTES);
	bench_unmap(on.evict, EVICT_BYTES);
}

#define GIVEN_BYTES (1024 * MIB)

static void give_back(size_t pages, const bench_options *bench) {
	size_t call_bytes = pages * 4096;
	unsigned char *memory = bench_map(GIVEN_BYTES, false);
	snug_histogram calls;
	snug_histogram_init(&calls);
	uint64_t late = 0, count = 0;
	for (size_t at = 0; at + call_bytes <= GIVEN_BYTES; at += call_bytes, count++) {
		uint64_t begin_ns = bench_now_ns();
		if (madvise(memory + at, call_bytes, MADV_DONTNEED) != 0) bench_fail("madvise");
		uint64_t took_ns = bench_now_ns() - begin_ns;
		snug_histogram_add(&calls, took_ns);
		late += took_ns > 2 * STEP_NS;
	}
	bench_unmap(memory, GIVEN_BYTES);
	printf(bench->json ? "{\"bench\":\"give-back\",\"pages\":%zu,\"calls\":%llu,\"p50_us\":%.1f,"
						 "\"p99_us\":%.1f,\"max_us\":%.1f,\"late\":%llu}\n"
					   : "%5zu %9llu %6.1f %6.1f %7.1f %7llu\n",
		   pages, (unsigned long long)count, (double)snug_histogram_quantile(&calls, 0.5) / 1000,
		   (double)snug_histogram_quantile(&calls, 0.99) / 1000,
		   (double)snug_histogram_quantile(&calls, 1) / 1000, (unsigned long long)late);
}

static void give_back_plain_memory(const bench_options *options) {
	if (!machine_has(GIVEN_BYTES)) return;
	if (!options->json) {
		printf("\nplain memory given back, 1 GiB; `late`: calls above 20 us\n");
		printf("%5s %9s %6s %6s %7s %7s\n", "pages", "calls", "p50", "p99", "max", "late");
	}
	for (size_t pages = 1; pages <= 16; pages *= 2) give_back(pages, options);
}

/* ------------------------------------------------------------------ emergencies -------------- */

/* A worker's heap and what lies in it. Evicted in an order that has nothing to do with addresses. */
typedef struct store {
	snug_handle *handles;
	size_t room;
	size_t count;
	size_t next; /* to be evicted, times ORDER modulo count */
	bool is_half;
} store;

#define ORDER 2654435761u

static snug_error start(void *context, uint32_t worker, snug_heap *heap) {
	store *of = context;
	(void)worker;
	while (of->count < of->room &&
		   snug_alloc(heap, OBJECT_BYTES, &of->handles[of->count]) == SNUG_OK)
		of->count++;
	for (size_t i = 0; of->is_half && i < of->count; i += 2) {
		bench_expect_ok(snug_free(heap, of->handles[i]), "snug_free");
		of->handles[i] = 0;
	}
	return SNUG_OK;
}

static uint64_t evict(void *context, uint32_t worker, snug_heap *heap, uint64_t min_bytes) {
	store *of = context;
	uint64_t freed_bytes = 0;
	(void)worker;
	while (freed_bytes < min_bytes && of->next < of->count) {
		size_t index = of->next++ * ORDER % of->count;
		if (of->handles[index] == 0) continue;
		bench_expect_ok(snug_free(heap, of->handles[index]), "snug_free");
		of->handles[index] = 0;
		freed_bytes += OBJECT_BYTES;
	}
	return freed_bytes;
}

static uint64_t process_cpu_ns(void) {
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void ask_emergency(snug_coordinator *coordinator, uint64_t bytes, bool may_evict,
						  snug_response *out) {
	snug_request request = snug_request_default(SNUG_REQUEST_EMERGENCY);
	request.min_bytes = bytes;
	request.may_evict = may_evict;
	snug_ticket ticket;
	bench_expect_ok(snug_coordinator_submit(coordinator, &request, &ticket), "submit");
	bench_expect_ok(snug_coordinator_wait(coordinator, ticket, SNUG_FOREVER, out, NULL, NULL),
					"wait");
	bench_expect_ok(out->error, "the emergency");
}

static void measure_emergency(size_t limit_bytes, bool is_half, const bench_options *bench) {
	store of = {.room = limit_bytes / OBJECT_BYTES, .is_half = is_half};
	of.handles = bench_map(of.room * sizeof *of.handles, false);
	snug_workers_options options = snug_workers_options_default();
	options.heap.limit_bytes = limit_bytes;
	options.hook = (snug_worker_hook){.context = &of, .start = start, .evict = evict};
	snug_workers *workers;
	snug_coordinator *coordinator;
	bench_expect_ok(snug_workers_create(&options, &workers), "snug_workers_create");
	bench_expect_ok(snug_coordinator_create(workers, NULL, &coordinator), "coordinator_create");
	uint64_t bytes = limit_bytes / 4;
	snug_response response;
	uint64_t begin_ns = process_cpu_ns();
	ask_emergency(coordinator, bytes, !is_half, &response);
	double cpu_ms = (double)(process_cpu_ns() - begin_ns) / 1e6;
	char size[16];
	name_size(limit_bytes, size, sizeof size);
	printf(
		bench->json ? "{\"bench\":\"emergency\",\"limit\":\"%s\",\"heap\":\"%s\",\"cpu_ms\":%.1f,"
					  "\"cpu_us_a_mib\":%.1f,\"steps\":%llu,\"longest_us\":%.0f,\"late\":%llu}\n"
					: "%-8s %-12s %9.1f %12.1f %9llu %9.0f %7llu\n",
		size, is_half ? "half empty" : "full", cpu_ms, cpu_ms * 1000 * (double)MIB / (double)bytes,
		(unsigned long long)response.report.steps, (double)response.report.longest_step_ns / 1000,
		(unsigned long long)response.report.late_steps);
	bench_expect_ok(snug_coordinator_destroy(coordinator), "coordinator_destroy");
	bench_expect_ok(snug_workers_destroy(workers), "snug_workers_destroy");
	bench_unmap(of.handles, of.room * sizeof *of.handles);
}

static void all_emergencies(const bench_options *options) {
	size_t most_bytes = options->quick ? 256 * MIB : 4096 * MIB;
	if (!options->json) {
		printf("\nan emergency of a quarter of the limit; objects of %d bytes\n", OBJECT_BYTES);
		printf("%-8s %-12s %9s %12s %9s %9s %7s\n", "limit", "heap", "cpu, ms", "us a MiB", "steps",
			   "longest", "late");
	}
	for (size_t limit_bytes = 256 * MIB; limit_bytes <= most_bytes; limit_bytes *= 4) {
		if (!machine_has(limit_bytes)) continue;
		measure_emergency(limit_bytes, true, options);
		measure_emergency(limit_bytes, false, options);
	}
}

int main(int argc, char **argv) {
	bench_options options = bench_options_parse(argc, argv, 1);
	all_steps(&options);
	give_back_plain_memory(&options);
	all_emergencies(&options);
	return 0;
}
