/* test_each_store.c: the Nth store to a memory file is the last one, for all N.
 *
 * Small scenarios of all that changes a shard run in a memory file. Before each store to it the file
 * is copied, as a process leaves it that is killed there; the copy is recovered, all laws are walked,
 * and each item is compared with what was acknowledged (kept_facts.h).
 *
 *     SNUG_STRIDE=1 build/tests/laws/test_each_store           each store, some minutes
 *     SNUG_SCENARIO=append SNUG_STRIDE=17 SNUG_SEED=3 ...      each 17th, from the third on */
#include "kept_facts.h"
#include "support/test_random.h"
#include "support/test_secret.h"
#include "unit/cmocka_all.h"

#include "cache/operation/operation.h"
#include "cache/shard/shard_state.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define STRIDE 17u
#define KIB ((size_t)1 << 10)

static struct facts facts;
static struct operation_counts counts;
static unsigned char value[FACT_VALUE_MAX];

/* ------------------------------------------------------------------ from here, to here -------- */

static void watch(void) {
	if (!facts.is_first_run) each_store_begin(facts_look, &facts);
}

static void watch_no_more(void) {
	if (!facts.is_first_run) (void)each_store_end();
}

/* ------------------------------------------------------------------ operations ---------------- */

static void make_value(uint32_t number, uint32_t bytes) {
	test_random_fill(value, bytes, (uint64_t)number << 32 | facts.operation);
}

static void set_with(uint32_t number, uint32_t bytes, const snug_attributes *attributes) {
	char text[FACT_KEY_BYTES];
	snug_key key = fact_key(&facts, number, text);
	make_value(number, bytes);
	fact_begin(&facts, number);
	snug_error error = snug_shard_set(facts.shard, &key, attributes, value, bytes);
	KEPT(!error || (facts.no_eviction && error == SNUG_ERROR_NO_MEMORY), &facts, "set: %s",
		 snug_error_name(error));
	fact_end(&facts, number);
}

static void set(uint32_t number, uint32_t bytes) {
	set_with(number, bytes, NULL);
}

static void set_many(uint32_t first, uint32_t count, uint32_t bytes) {
	for (uint32_t number = first; number < first + count; number++)
		set(number, bytes + number % 7 * bytes / 10);
}

static void delete (uint32_t number) {
	char text[FACT_KEY_BYTES];
	snug_key key = fact_key(&facts, number, text);
	fact_begin(&facts, number);
	KEPT_OK(snug_shard_delete(facts.shard, &key), &facts);
	fact_end(&facts, number);
}

static struct operation execute(uint32_t number, struct operation operation,
								enum operation_status status) {
	char text[FACT_KEY_BYTES];
	operation.key = fact_key(&facts, number, text);
	fact_begin(&facts, number);
	operation_execute(facts.shard, &operation, &counts);
	KEPT(operation.status == status, &facts, "status %u", operation.status);
	operation_end(facts.shard, &operation);
	fact_end(&facts, number);
	return operation;
}

static struct operation store(uint32_t number, enum store_mode mode, uint32_t bytes,
							  uint16_t options, uint64_t cas, enum operation_status status) {
	make_value(number, bytes);
	return execute(number,
				   (struct operation){.kind = OPERATION_STORE,
									  .mode = (uint8_t)mode,
									  .options = options,
									  .value = value,
									  .value_bytes = bytes,
									  .cas_compare = cas},
				   status);
}

static struct operation get(uint32_t number, uint16_t options, int64_t exptime) {
	return execute(
		number, (struct operation){.kind = OPERATION_GET, .options = options, .exptime = exptime},
		STATUS_FOUND);
}

static void set_number(uint32_t number, const char *text) {
	execute(number,
			(struct operation){
				.kind = OPERATION_STORE, .value = text, .value_bytes = (uint32_t)strlen(text)},
			STATUS_STORED);
}

static void add_number(uint32_t number, uint64_t delta, uint16_t options) {
	execute(number,
			(struct operation){.kind = OPERATION_ARITHMETIC, .delta = delta, .options = options},
			STATUS_DONE);
}

static void maintain(uint32_t slices) {
	while (slices-- > 0 && snug_shard_maintain(facts.shard)) facts_settle(&facts);
	facts_settle(&facts);
}

static void defragment(void) {
	snug_defragment_options options = snug_defragment_options_default();
	snug_report report;
	snug_error error = snug_defragment(snug_shard_heap(facts.shard), &options, &report);
	KEPT(!error || error == SNUG_ERROR_BUSY, &facts, "defragment: %s", snug_error_name(error));
}

/* ------------------------------------------------------------------ scenarios ----------------- */

static void store_new(void) {
	set_many(0, 20, 100);
	watch();
	set(100, 0);
	set(101, 1);
	set(102, 300);
	set(103, 3000);
	set_with(104, 40, &(snug_attributes){.client_flags = 7});
	set_with(105, 40, &(snug_attributes){.expires_at_s = 5000, .cas = 9});
	watch_no_more();
}

static void store_anew(void) {
	set_many(0, 20, 100);
	watch();
	set(1, 101);
	set(2, 90);
	set(3, 2000);
	set(3, 20);
	set_with(4, 100, &(snug_attributes){.client_flags = 7});
	watch_no_more();
}

/* The same length: over the old one. Of different fields of the same size, too. */
static void store_in_place(void) {
	set_many(0, 20, 100);
	set_with(30, 60, &(snug_attributes){.client_flags = 7});
	set_with(31, 0, &(snug_attributes){.client_flags = 7});
	set(32, 4000);
	watch();
	set(0, 100);
	set_with(30, 60, &(snug_attributes){.client_flags = 8});
	set_with(30, 60, &(snug_attributes){.expires_at_s = 5000});
	set_with(31, 0, &(snug_attributes){.expires_at_s = 5000});
	set(32, 4000);
	watch_no_more();
}

static void large_values(void) {
	set_many(0, 10, 100);
	set(1, 9000);
	set(2, 30000);
	watch();
	set(3, 9000);
	set(2, 31000);
	set(1, 9000);
	delete (2);
	set(4, 6000);
	watch_no_more();
}

static void touch(void) {
	set_many(0, 20, 100);
	set_with(21, 100, &(snug_attributes){.expires_at_s = 5000});
	set(22, 20000);
	watch();
	get(0, OPERATION_HAS_EXPTIME | OPERATION_IS_TOUCH, 100); /* a field more */
	get(21, OPERATION_HAS_EXPTIME | OPERATION_IS_TOUCH, 200);
	get(21, OPERATION_HAS_EXPTIME, 0);
	get(22, OPERATION_HAS_EXPTIME, 77);
	get(22, OPERATION_HAS_EXPTIME, -1); /* and it is gone */
	watch_no_more();
}

static void compare_and_swap(void) {
	set_many(0, 20, 100);
	watch();
	uint64_t cas = get(3, OPERATION_WANTS_CAS, 0).cas;
	store(3, STORE_SET, 90, OPERATION_HAS_CAS_COMPARE, cas + 1, STATUS_EXISTS);
	store(3, STORE_SET, 90, OPERATION_HAS_CAS_COMPARE | OPERATION_WANTS_CAS, cas, STATUS_STORED);
	cas = get(4, OPERATION_WANTS_CAS, 0).cas;
	/* as long as it was: in place */
	store(4, STORE_SET, facts.now[4].value_bytes, OPERATION_HAS_CAS_COMPARE | OPERATION_WANTS_CAS,
		  cas, STATUS_STORED);
	store(5, STORE_ADD, 10, 0, 0, STATUS_NOT_STORED);
	store(5, STORE_REPLACE, 10, 0, 0, STATUS_STORED);
	store(55, STORE_ADD, 10, OPERATION_WANTS_CAS, 0, STATUS_STORED);
	watch_no_more();
}

static void numbers(void) {
	set_many(0, 20, 100);
	set_number(30, "98");
	set_number(31, "1000");
	get(31, OPERATION_WANTS_CAS, 0);
	watch();
	add_number(30, 1, 0); /* in place */
	add_number(30, 1, 0); /* a digit more */
	add_number(30, 60, OPERATION_DECREMENTS);
	add_number(31, 7, OPERATION_WANTS_CAS);
	add_number(31, 9, OPERATION_DECREMENTS);
	watch_no_more();
}

static void append(void) {
	set_many(0, 20, 100);
	set(1, 9000);
	watch();
	store(0, STORE_APPEND, 30, 0, 0, STATUS_STORED);
	store(0, STORE_PREPEND, 20, 0, 0, STATUS_STORED);
	store(0, STORE_APPEND, 0, 0, 0, STATUS_STORED);
	store(1, STORE_APPEND, 500, OPERATION_WANTS_CAS, 0, STATUS_STORED);
	store(1, STORE_PREPEND, 7000, 0, 0, STATUS_STORED);
	watch_no_more();
}

/* What the meta commands know of. */
static void stale(void) {
	set_many(0, 20, 100);
	get(1, OPERATION_WANTS_CAS, 0);
	watch();
	execute(1,
			(struct operation){.kind = OPERATION_DELETE,
							   .options = OPERATION_INVALIDATES | OPERATION_HAS_EXPTIME,
							   .exptime = 50},
			STATUS_DONE);
	get(1, 0, 0); /* won */
	store(1, STORE_SET, 80, OPERATION_IS_META, 0, STATUS_STORED);
	execute(2, (struct operation){.kind = OPERATION_DELETE, .options = OPERATION_CLEARS_VALUE},
			STATUS_DONE);
	get(66, OPERATION_HAS_VIVIFY, 0);
	watch_no_more();
}

static void remove_keys(void) {
	set_many(0, 60, 100);
	set(60, 9000);
	watch();
	for (uint32_t number = 0; number < 60; number += 7) delete (number);
	delete (60);
	watch_no_more();
}

static void flush(void) {
	set_many(0, 40, 100);
	watch();
	facts_begin_flush(&facts);
	snug_shard_flush(facts.shard, 0);
	facts_end_flush(&facts);
	set(3, 40); /* meets what was flushed */
	set(70, 40);
	maintain(6);
	watch_no_more();
}

/* At a time that has come when the next one asks. */
static void flush_later(void) {
	set_many(0, 40, 100);
	watch();
	snug_shard_flush(facts.shard, facts.now_s + 10);
	set(50, 10);
	watch_no_more();
	facts.now_s += 11;
	watch();
	facts_begin_flush(&facts);
	snug_item item;
	char text[FACT_KEY_BYTES];
	snug_key key = fact_key(&facts, 7, text);
	KEPT(snug_shard_get(facts.shard, &key, &item) == SNUG_ERROR_NOT_FOUND, &facts, "flushed");
	facts_end_flush(&facts);
	set(7, 100);
	watch_no_more();
}

static void expire(void) {
	for (uint32_t number = 0; number < 40; number++)
		set_with(number, 100, &(snug_attributes){.expires_at_s = 2000 + number % 3});
	set_many(40, 20, 100);
	facts.now_s = 2001;
	watch();
	set(1, 50);
	set(3, 100);
	maintain(20);
	watch_no_more();
}

static void evict(void) {
	facts.limit_bytes = 256 * KIB;
	facts_open(&facts);
	set_many(0, 1000, 200);
	watch();
	for (uint32_t number = 1000; number < 1004; number++) set(number, 500);
	set(1005, 3000);
	watch_no_more();
}

static void evict_for_large(void) {
	facts.limit_bytes = 256 * KIB;
	facts_open(&facts);
	set_many(0, 1000, 200);
	watch();
	set(1000, 12000);
	KEPT_OK(snug_shard_charge(facts.shard, 8 * KIB), &facts);
	facts_settle(&facts);
	(void)snug_shard_evict(facts.shard, 2000);
	facts_settle(&facts);
	watch_no_more();
}

/* A sixteenth more groups: all of them move. */
static void index_grows(void) {
	set_many(0, 940, 8);
	uint32_t number = 940;
	while (facts.shard->index.change == INDEX_STEADY) set(number++, 8);
	watch();
	while (facts.shard->index.change != INDEX_STEADY) set(number++, 8);
	watch_no_more();
}

static void index_shrinks(void) {
	set_many(0, 400, 8);
	maintain(100);
	uint32_t number = 0;
	while (facts.shard->index.change == INDEX_STEADY) delete (number++);
	watch();
	while (facts.shard->index.change != INDEX_STEADY) delete (number++);
	watch_no_more();
}

/* Chosen keys: chains of spill buckets, which grow, shrink, and move. */
static void chains_of_spill(void) {
	facts.is_crowded = true;
	set_many(0, 130, 8);
	watch();
	for (uint32_t number = 130; number < 140; number++) set(number, 8);
	for (uint32_t number = 0; number < 120; number += 9) delete (number);
	watch_no_more();
	facts.is_crowded = false;
}

static void crowd_moves(void) {
	facts.is_crowded = true;
	set_many(0, 100, 8);
	uint32_t number = 100;
	while (facts.shard->index.change == INDEX_STEADY) set(number++, 8);
	watch();
	while (facts.shard->index.change != INDEX_STEADY) set(number++, 8);
	watch_no_more();
	facts.is_crowded = false;
}

static void objects_move(void) {
	set_many(0, 400, 60);
	for (uint32_t number = 0; number < 400; number++)
		if (number % 3 != 0) delete (number);
	watch();
	defragment();
	watch_no_more();
}

static void fragments_move(void) {
	for (uint32_t number = 0; number < 30; number++) set(number, 2100 + number * 40);
	for (uint32_t number = 30; number < 40; number++) set(number, 9000 + number * 40);
	for (uint32_t number = 0; number < 40; number++)
		if (number % 3 != 0) delete (number);
	watch();
	defragment();
	watch_no_more();
}

/* Regions of 2 MiB are emptied, and go back. */
static void drain(void) {
	facts.limit_bytes = facts.limit_max_bytes = 8 << 20;
	facts_open(&facts);
	for (uint32_t number = 0; number < 1000; number++) set(number, 3900);
	for (uint32_t number = 0; number < 1000; number++)
		if (number % 40 != 0) delete (number);
	watch();
	defragment();
	watch_no_more();
}

static void lower_limit(void) {
	facts.limit_bytes = 320 * KIB;
	facts_open(&facts);
	set_many(0, 1000, 400);
	watch();
	KEPT_OK(snug_shard_set_limit(facts.shard, 300 * KIB), &facts);
	facts.limit_bytes = 300 * KIB;
	maintain(400);
	watch_no_more();
}

/* Nothing may go, so objects are packed into slots that are a little too large. */
static void merge(void) {
	facts.no_eviction = true;
	facts.limit_bytes = 512 * KIB;
	facts_open(&facts);
	for (uint32_t number = 0; number < 1000; number++) set(number, 100 + number % 300);
	for (uint32_t number = 0; number < 1000; number++)
		if (number % 3 != 0 && facts.now[number].is_there) delete (number);
	maintain(100);
	watch();
	KEPT_OK(snug_shard_set_limit(facts.shard, 256 * KIB), &facts);
	maintain(400);
	watch_no_more();
}

static void higher_limit(void) {
	set_many(0, 300, 400);
	watch();
	KEPT_OK(snug_shard_set_limit(facts.shard, 2048 * KIB), &facts);
	facts.limit_bytes = 2048 * KIB;
	set_many(300, 6, 2000);
	watch_no_more();
}

static void fill_lease(const snug_lease *lease, size_t from, size_t end) {
	while (from < end) {
		snug_extent extent[32];
		size_t count = sizeof extent / sizeof extent[0];
		KEPT_OK(snug_shard_lease_view(facts.shard, lease, from, end - from, extent, &count),
				&facts);
		for (size_t i = 0; i < count; i++) {
			memcpy(extent[i].data, value + from, extent[i].length);
			from += extent[i].length;
		}
	}
}

/* One is half received while others go on; another never comes. */
static void half_received(void) {
	snug_lease lease, other;
	set_many(0, 60, 100);
	char text[FACT_KEY_BYTES];
	snug_key key = fact_key(&facts, 5, text);
	watch();
	make_value(5, 10000);
	KEPT_OK(snug_shard_reserve(facts.shard, &key, 10000, &lease), &facts);
	fill_lease(&lease, 0, 5000);
	set(6, 100);
	set(7, 300);
	KEPT_OK(snug_shard_reserve(facts.shard, &key, 6000, &other), &facts);
	snug_shard_release(facts.shard, &other);
	make_value(5, 10000);
	fill_lease(&lease, 0, 10000);
	fact_begin(&facts, 5);
	KEPT_OK(snug_shard_commit(facts.shard, &key, NULL, &lease), &facts);
	fact_end(&facts, 5);
	watch_no_more();
}

/* A value that somebody reads is replaced, and stays until he is ready. */
static void held(void) {
	snug_lease small, large;
	snug_item item;
	set_many(0, 60, 100);
	set(1, 9000);
	watch();
	char text[FACT_KEY_BYTES];
	snug_key key = fact_key(&facts, 0, text);
	KEPT_OK(snug_shard_get(facts.shard, &key, &item), &facts);
	KEPT_OK(snug_shard_pin(facts.shard, &item, &small), &facts);
	key = fact_key(&facts, 1, text);
	KEPT_OK(snug_shard_get(facts.shard, &key, &item), &facts);
	KEPT_OK(snug_shard_pin(facts.shard, &item, &large), &facts);
	set(0, 100);
	delete (1);
	set(1, 50);
	snug_shard_release(facts.shard, &small);
	snug_shard_release(facts.shard, &large);
	watch_no_more();
}

/* ------------------------------------------------------------------ lives --------------------- */

static int new_file(void) {
	int descriptor = memfd_create("snug-test", 0);
	KEPT(descriptor >= 0, &facts, "memfd_create");
	each_store_follow(descriptor);
	return descriptor;
}

static void begin_in_an_empty_file(void) {
	watch();
	facts_open(&facts);
	set(0, 10);
	watch_no_more();
}

static void left_and_found(void) {
	facts_open(&facts);
	set_many(0, 60, 100);
	set(1, 9000);
	watch();
	facts_close(&facts);
	watch_no_more();
	watch();
	facts_open(&facts);
	watch_no_more();
	set(0, 20);
}

/* Killed, and killed again while it is recovered. */
static void recovered(void) {
	facts_open(&facts);
	set_many(0, 90, 100);
	set(1, 9000);
	int left = facts.descriptor, seen = facts.copy;
	facts.copy = new_file();
	facts_copy(&facts);
	/* The file itself is left in order, and forgotten. */
	facts_close(&facts);
	close(left);
	facts.descriptor = facts.copy;
	facts.copy = seen;
	watch();
	facts_open(&facts);
	watch_no_more();
	set(0, 20);
}

/* ------------------------------------------------------------------ runs ---------------------- */

/* OPENS: by itself. */
enum { OPENS = 1 };

static const struct scenario {
	const char *name;
	void (*run)(void);
	int opens;
	/* each so many times the stride: it has many stores of one kind. 0: each, it has few that matter */
	uint32_t sparsely;
} scenarios[] = {
	{"store-new", store_new, 0, 1},
	{"store-anew", store_anew, 0, 1},
	{"store-in-place", store_in_place, 0, 0},
	{"large-values", large_values, 0, 4},
	{"touch", touch, 0, 4},
	{"compare-and-swap", compare_and_swap, 0, 1},
	{"numbers", numbers, 0, 1},
	{"append", append, 0, 4},
	{"stale", stale, 0, 1},
	{"remove", remove_keys, 0, 1},
	{"flush", flush, 0, 1},
	{"flush-later", flush_later, 0, 1},
	{"expire", expire, 0, 1},
	{"evict", evict, OPENS, 4},
	{"evict-for-large", evict_for_large, OPENS, 8},
	{"index-grows", index_grows, 0, 8},
	{"index-shrinks", index_shrinks, 0, 4},
	{"chains-of-spill", chains_of_spill, 0, 4},
	{"crowd-moves", crowd_moves, 0, 8},
	{"objects-move", objects_move, 0, 8},
	{"fragments-move", fragments_move, 0, 8},
	{"drain", drain, OPENS, 32},
	{"lower-limit", lower_limit, OPENS, 16},
	{"merge", merge, OPENS, 32},
	{"higher-limit", higher_limit, 0, 4},
	{"half-received", half_received, 0, 8},
	{"held", held, 0, 4},
	{"begin", begin_in_an_empty_file, OPENS, 1},
	{"left-and-found", left_and_found, OPENS, 1},
	{"recovered", recovered, OPENS, 4},
};

static void run_once(const struct scenario *scenario) {
	facts.limit_bytes = 1024 * KIB;
	facts.limit_max_bytes = 4096 * KIB;
	facts.no_eviction = false;
	facts.now_s = 1000;
	facts.descriptor = new_file();
	if (!scenario->opens) facts_open(&facts);
	scenario->run();
	facts_close(&facts);
	close(facts.descriptor);
	facts_forget(&facts);
}

/* In a child. */
static void run(const struct scenario *scenario, uint64_t stride, uint64_t seed) {
	facts.scenario = scenario->name;
	facts.stride = stride == 1 || scenario->sparsely == 0 ? 1 : stride * scenario->sparsely;
	facts.phase = seed;
	facts.copy = memfd_create("snug-test-copy", 0);
	KEPT(facts.copy >= 0, &facts, "memfd_create");
	facts.is_first_run = true;
	run_once(scenario);
	facts.is_first_run = false;
	run_once(scenario);
	KEPT(facts.all_looks > 20, &facts, "it is not seen");
	printf("%-18s %7llu stores, %6llu looked at, %llu dropped\n", scenario->name,
		   (unsigned long long)facts.all_looks, (unsigned long long)facts.looked,
		   (unsigned long long)facts.dropped);
	fflush(stdout);
	_exit(0);
}

static void whichever_store_is_the_last(void **state) {
	(void)state;
	uint64_t stride = test_environment_number("SNUG_STRIDE", STRIDE);
	uint64_t seed = test_environment_number("SNUG_SEED", 1);
	const char *wanted = getenv("SNUG_SCENARIO");
	uint32_t failed = 0, tried = 0;
	if (!each_store_is_possible()) {
		printf("skipped: the trap flag does not step a process here\n");
		skip();
	}
	printf("SNUG_STRIDE=%llu SNUG_SEED=%llu\n", (unsigned long long)stride,
		   (unsigned long long)seed);
	for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
		int status = 0;
		if (wanted != NULL && strcmp(wanted, scenarios[i].name) != 0) continue;
		fflush(stdout);
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0) run(&scenarios[i], stride, seed);
		assert_int_equal(waitpid(child, &status, 0), child);
		if (status != 0)
			printf("SNUG_SCENARIO=%s: status 0x%x\n", scenarios[i].name, (unsigned)status);
		failed += status != 0;
		tried++;
	}
	assert_true(tried > 0); /* SNUG_SCENARIO names one */
	assert_int_equal(failed, 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whichever_store_is_the_last),
	};
	test_set_secret(0x5EED);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
