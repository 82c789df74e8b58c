/* beside.c: see beside.h.
 *
 *     round    gets for a while, quiet --> passing items stored, every second one deleted
 *                  --> a defragmentation asked for, gets until it is answered --> the others deleted
 *
 * One thread asks, and each of its gets is timed. A worker that nobody asks anything spends all its
 * time on a defragmentation that is pending; one that is asked the share that its duty cycle gives
 * it. The ratio is the median of the rounds' ratios. */
#include "readers/beside.h"

#include "bench.h"

#include <snug/cache.h>
#include <snug/coordinator.h>
#include <stdio.h>

#define ROUNDS_MAX 101u
#define PASSING_SHARE 2u /* one passing item to so many that stay */
#define LIMIT_BYTES_AN_ITEM 512u
#define POLL_EVERY 64u

struct side {
	const char *when;
	snug_histogram get_ns; /* over all rounds */
	double p99_ns[ROUNDS_MAX];
};

struct beside {
	const struct beside_settings *settings;
	struct window_result *result;
	snug_cache *cache;
	snug_cache_client *client;
	snug_coordinator *coordinator;
	uint32_t next; /* draw */
	uint64_t moves;
};

static void get_timed(struct beside *beside, snug_histogram *times) {
	struct reader_value value;
	snug_cache_value told;
	uint64_t number = beside->settings->draws->numbers[beside->next++ % DRAWS];
	struct reader_key key = reader_key_of(number);
	uint64_t begin_ns = bench_now_ns();
	snug_error error =
		snug_cache_get(beside->client, &key, sizeof key, &value, sizeof value, &told);
	snug_histogram_add(times, bench_now_ns() - begin_ns);
	beside->result->gets++;
	beside->result->missing += error != SNUG_OK;
	beside->result->wrong += error == SNUG_OK && !reader_value_is_of(&value, number);
}

static void read_quietly(struct beside *beside, snug_histogram *times) {
	uint64_t begin_ns = bench_now_ns();
	while (bench_now_ns() - begin_ns < beside->settings->quiet_ns) get_timed(beside, times);
}

/* ------------------------------------------------------------------ holes --------------------- */

static void wait_for_stores(struct beside *beside) {
	snug_cache_late late;
	bench_expect_ok(snug_cache_wait(beside->client, &late), "snug_cache_wait");
	if (late.refused > 0) bench_fail("a set was refused");
}

/* Without waiting, as far as the cache takes it. */
static void store(struct beside *beside, uint32_t number) {
	struct reader_key key = reader_key_of(number);
	struct reader_value value;
	snug_error error;
	reader_value_make(&value, number, 0);
	while ((error = snug_cache_set_later(beside->client, &key, sizeof key, &value, sizeof value,
										 NULL)) == SNUG_ERROR_QUEUE_FULL)
		wait_for_stores(beside);
	bench_expect_ok(error, "snug_cache_set_later");
}

static void remove_passing(struct beside *beside, uint32_t remainder) {
	uint32_t items = beside->settings->items;
	for (uint32_t i = remainder; i < items / PASSING_SHARE; i += 2) {
		struct reader_key key = reader_key_of(items + i);
		bench_expect_ok(snug_cache_delete(beside->client, &key, sizeof key), "snug_cache_delete");
	}
}

static void make_holes(struct beside *beside) {
	uint32_t items = beside->settings->items;
	for (uint32_t i = 0; i < items / PASSING_SHARE; i++) store(beside, items + i);
	wait_for_stores(beside);
	remove_passing(beside, 0);
}

/* ------------------------------------------------------------------ beside it ----------------- */

static void read_beside(struct beside *beside, snug_histogram *times) {
	snug_request request = snug_request_default(SNUG_REQUEST_DEFRAGMENT);
	snug_ticket ticket;
	static snug_response response;
	snug_error error;
	bench_expect_ok(snug_coordinator_submit(beside->coordinator, &request, &ticket), "submit");
	do {
		for (unsigned i = 0; i < POLL_EVERY; i++) get_timed(beside, times);
		error = snug_coordinator_poll(beside->coordinator, ticket, &response, NULL, NULL);
	} while (error == SNUG_ERROR_TIMED_OUT);
	bench_expect_ok(error, "poll");
	bench_expect_ok(response.error, "defragment");
	if (response.report.moved_objects == 0) bench_fail("nothing was moved");
	beside->moves += response.report.moved_objects;
}

static double note(struct side *side, const snug_histogram *times, unsigned round) {
	side->p99_ns[round] = (double)snug_histogram_quantile(times, .99);
	snug_histogram_merge(&side->get_ns, times);
	return side->p99_ns[round];
}

static double one_round(struct beside *beside, struct side sides[2], unsigned round) {
	static snug_histogram times;
	snug_histogram_init(&times);
	read_quietly(beside, &times);
	double quiet_ns = note(&sides[0], &times, round);
	make_holes(beside);
	snug_histogram_init(&times);
	read_beside(beside, &times);
	double beside_ns = note(&sides[1], &times, round);
	remove_passing(beside, 1);
	return beside_ns / quiet_ns;
}

/* ------------------------------------------------------------------ begin, tell, end ---------- */

static void begin(struct beside *beside) {
	snug_cache_options options = snug_cache_options_default();
	snug_coordinator_options coordinator = snug_coordinator_options_default();
	const struct beside_settings *settings = beside->settings;
	options.limit_bytes = (size_t)settings->items * LIMIT_BYTES_AN_ITEM + 4 * MIB;
	options.huge_pages = settings->huge_pages;
	options.keep_free_bytes = SNUG_NO_BUDGET;
	coordinator.background.on = false; /* only what is asked for */
	bench_expect_ok(snug_cache_create(&options, &beside->cache), "snug_cache_create");
	bench_expect_ok(snug_cache_client_create(beside->cache, NULL, &beside->client), "a client");
	bench_expect_ok(snug_coordinator_create(snug_cache_workers(beside->cache), &coordinator,
											&beside->coordinator),
					"a coordinator");
	for (uint32_t i = 0; i < settings->items; i++) store(beside, i);
	wait_for_stores(beside);
}

static void end(struct beside *beside) {
	bench_expect_ok(snug_coordinator_destroy(beside->coordinator), "the coordinator's end");
	bench_expect_ok(snug_cache_client_destroy(beside->client), "the client's end");
	bench_expect_ok(snug_cache_destroy(beside->cache), "the cache's end");
}

static void print_side(const struct beside_settings *settings, struct side *side, double ratio) {
	double p50_ns = (double)snug_histogram_quantile(&side->get_ns, .5);
	double p999_ns = (double)snug_histogram_quantile(&side->get_ns, .999);
	double p99_ns = bench_median(side->p99_ns, settings->rounds);
	if (settings->json)
		printf("{\"bench\":\"readers-beside\",\"when\":\"%s\",\"gets\":%llu,\"p50_ns\":%.0f,"
			   "\"p99_ns\":%.0f,\"p999_ns\":%.0f,\"max_ns\":%llu,\"p99_ratio\":%.3f}\n",
			   side->when, (unsigned long long)side->get_ns.count, p50_ns, p99_ns, p999_ns,
			   (unsigned long long)side->get_ns.max, ratio);
	else
		printf("%-18s %10llu %9.0f %9.0f %9.0f %10llu %9.2f\n", side->when,
			   (unsigned long long)side->get_ns.count, p50_ns, p99_ns, p999_ns,
			   (unsigned long long)side->get_ns.max, ratio);
}

void beside_run(const struct beside_settings *settings, struct window_result *out) {
	static struct side sides[2];
	struct beside beside = {.settings = settings, .result = out};
	double ratios[ROUNDS_MAX];
	if (settings->rounds > ROUNDS_MAX) bench_fail("at most %u rounds", ROUNDS_MAX);
	sides[0].when = "quiet";
	sides[1].when = "defragmenting";
	for (unsigned i = 0; i < 2; i++) snug_histogram_init(&sides[i].get_ns);
	begin(&beside);
	for (unsigned round = 0; round < settings->rounds; round++)
		ratios[round] = one_round(&beside, sides, round);
	end(&beside);
	if (!settings->json)
		printf("\ngets by one thread, timed one by one, %s; %llu objects moved beside them\n"
			   "%-18s %10s %9s %9s %9s %10s %9s\n",
			   settings->draws->name, (unsigned long long)beside.moves, "", "gets", "p50 ns", "p99",
			   "p99.9", "max", "p99 ratio");
	print_side(settings, &sides[0], 1);
	print_side(settings, &sides[1], bench_median(ratios, settings->rounds));
}
