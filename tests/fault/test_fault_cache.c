/* test_fault_cache.c: operations on a shard with the Nth call to the operating system refused, for every N until none is refused.
 *
 * As test_fault.c, which explains the method: what stores, extends, counts, changes, leases, pins, flushes, and what is done beside serving.
 * After a refusal each answer is a hit, a miss or STATUS_NO_MEMORY; what is found is what was stored last, to the byte; all laws hold; in the
 * end everything is given back.
 *
 *     SNUG_SEED=0x1234 SNUG_STRIDE=32 build/tests/fault/test_fault_cache     the same choices again */
#include "cache/operation/operation.h"
#include "os/fake.h"
#include "support/require.h"
#include "support/test_random.h"
#include "support/test_secret.h"
#include "unit/cmocka_all.h"

#include <snug/defragment.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEYS 60u
#define VALUE_MAX 30000u
#define RUNS_MAX 20000u
#define RUNS_DENSE 8u
#define STEPS 500u

static test_random stepping;
static uint64_t stride;

struct kept {
	bool present;
	uint32_t bytes;
	uint32_t version;
};

struct run {
	struct fake_os fake;
	snug_shard *shard;
	struct operation_counts counts;
	struct kept kept[KEYS];
	uint32_t versions;
	uint64_t refused_seen;
	uint64_t answered_no_memory;
	bool evicts;
	unsigned char value[VALUE_MAX];
	unsigned char found[VALUE_MAX];
};

static int64_t now_of(void *context) {
	(void)context;
	return 1700000000;
}

static snug_key key_of(uint32_t number) {
	static char text[16];
	return snug_shard_key(text, (size_t)snprintf(text, sizeof text, "key%u", number));
}

static uint64_t refusals(const struct fake_os *fake) {
	return fake->reserve.refused + fake->commit.refused + fake->decommit.refused;
}

/* ------------------------------------------------------------------ looking ---------------- */

static void compare(struct run *run, uint32_t number) {
	struct kept *kept = &run->kept[number];
	snug_key key = key_of(number);
	snug_item item;
	if (snug_shard_find(run->shard, &key, &item) != SNUG_OK) {
		REQUIRE(!kept->present || run->evicts, "key %u is lost", number);
		kept->present = false;
		return;
	}
	REQUIRE(kept->present, "key %u is there", number);
	REQUIRE(item.value_bytes == kept->bytes, "key %u has %zu bytes, not %u", number,
			item.value_bytes, kept->bytes);
	REQUIRE_OK(snug_shard_read(run->shard, &item, 0, run->found, item.value_bytes));
	test_random_fill(run->value, kept->bytes, kept->version);
	REQUIRE(memcmp(run->value, run->found, kept->bytes) == 0, "key %u has another value", number);
}

static void examine(struct run *run) {
	snug_check_result wrong;
	if (refusals(&run->fake) == run->refused_seen) return;
	run->refused_seen = refusals(&run->fake);
	if (run->answered_no_memory % 16 != 0) return; /* when all calls are refused, now and then */
	REQUIRE(snug_shard_check(run->shard, &wrong) == SNUG_OK, "law %s: %s", wrong.law,
			wrong.message);
	for (uint32_t i = 0; i < KEYS; i++) compare(run, i);
}

/* False: there was no memory for it. */
static bool execute(struct run *run, struct operation *operation, uint32_t number) {
	operation->key = key_of(number);
	operation_execute(run->shard, operation, &run->counts);
	REQUIRE(operation->lease.ref == 0, "the lease goes on");
	REQUIRE(operation->status != STATUS_TOO_LARGE && operation->status != STATUS_BAD_KEY,
			"status %u", operation->status);
	bool refused = operation->status == STATUS_NO_MEMORY;
	REQUIRE(!refused || refusals(&run->fake) > 0 || !run->evicts,
			"no memory, though none was refused");
	run->answered_no_memory += refused;
	return !refused;
}

/* ------------------------------------------------------------------ steps ------------------ */

static bool lease_value(struct run *run, struct operation *operation, uint32_t number) {
	snug_key key = key_of(number);
	uint32_t at = 0, bytes = operation->value_bytes;
	snug_error error = snug_shard_reserve(run->shard, &key, bytes, &operation->lease);
	REQUIRE(!error || error == SNUG_ERROR_NO_MEMORY || error == SNUG_ERROR_OS_MEMORY, "reserve: %s",
			snug_error_text(error));
	if (error) return false;
	while (at < bytes) {
		snug_extent extents[8];
		size_t count = 8, length = bytes - at < 3000 ? bytes - at : 3000;
		REQUIRE_OK(
			snug_shard_lease_view(run->shard, &operation->lease, at, length, extents, &count));
		for (size_t i = 0; i < count; at += (uint32_t)extents[i++].length)
			memcpy(extents[i].data, run->value + at, extents[i].length);
	}
	operation->value = NULL;
	operation->value_bytes = 0;
	return true;
}

static void step_store(struct run *run, uint32_t number, uint32_t bytes, enum store_mode mode,
					   bool leased) {
	struct kept *kept = &run->kept[number];
	struct operation operation = {
		.kind = OPERATION_STORE, .mode = (uint8_t)mode, .value = run->value, .value_bytes = bytes};
	uint32_t version = ++run->versions;
	compare(run, number);
	test_random_fill(run->value, bytes, version);
	if (number % 3 == 0) operation.options = OPERATION_WANTS_CAS;
	if (number % 4 == 0) operation.exptime = 1000;
	if (leased && !lease_value(run, &operation, number)) return;
	if (!execute(run, &operation, number)) {
		if (mode == STORE_SET) kept->present = false;
	} else if (operation.status == STATUS_STORED) {
		*kept = (struct kept){true, bytes, version};
	}
	compare(run, number);
}

/* The value without its last part, and then that part: or the other way round. */
static void step_extend(struct run *run, uint32_t number, bool in_front, bool leased) {
	struct kept *kept = &run->kept[number];
	uint32_t version = ++run->versions, part = 8u * (number + 1), bytes = part + 500;
	step_store(run, number, bytes, STORE_SET, false);
	if (!kept->present) return;
	test_random_fill(run->found, bytes, version);
	struct operation whole = {.kind = OPERATION_STORE,
							  .value = run->found + (in_front ? part : 0),
							  .value_bytes = bytes - part};
	if (!execute(run, &whole, number)) {
		kept->present = false;
		return;
	}
	struct operation rest = {.kind = OPERATION_STORE,
							 .mode = in_front ? STORE_PREPEND : STORE_APPEND,
							 .value = run->value,
							 .value_bytes = part};
	memcpy(run->value, run->found + (in_front ? 0 : bytes - part), part);
	bool is_whole = (!leased || lease_value(run, &rest, number)) && execute(run, &rest, number);
	struct operation look = {.kind = OPERATION_GET};
	(void)execute(run, &look, number);
	if (is_whole && rest.status == STATUS_STORED) {
		*kept = (struct kept){true, bytes, version};
		compare(run, number);
		return;
	}
	/* What was there stays. */
	REQUIRE(run->evicts || (look.status == STATUS_FOUND && look.item.value_bytes == bytes - part),
			"a refused extension");
	struct operation end = {.kind = OPERATION_DELETE};
	(void)execute(run, &end, number);
	kept->present = false;
}

/* Marks, times and numbers: the item is stored anew, with its value. */
static void step_change(struct run *run, uint32_t number, uint32_t which) {
	static const uint16_t options[] = {
		OPERATION_WANTS_CAS | OPERATION_NO_STALE, OPERATION_HAS_EXPTIME,
		OPERATION_HAS_EXPTIME | OPERATION_WANTS_CAS | OPERATION_HAS_RECACHE};
	struct operation operation = {.kind = which == 3 ? OPERATION_DELETE : OPERATION_GET,
								  .options = which == 3 ? OPERATION_INVALIDATES : options[which],
								  .exptime = which == 1 ? 0 : 500,
								  .recache_s = 1000};
	compare(run, number);
	(void)execute(run, &operation, number);
	if (operation.status == STATUS_NOT_FOUND)
		REQUIRE(!run->kept[number].present, "key %u is lost", number);
	compare(run, number);
}

static void step_count(struct run *run, uint32_t number) {
	char text[24] = "";
	struct operation store = {.kind = OPERATION_STORE, .value = "41", .value_bytes = 2};
	struct operation count = {
		.kind = OPERATION_ARITHMETIC, .delta = 1000, .options = OPERATION_WANTS_CAS};
	struct operation look = {.kind = OPERATION_GET}, end = {.kind = OPERATION_DELETE};
	bool stored = execute(run, &store, number), counted = execute(run, &count, number);
	if (execute(run, &look, number) && look.status == STATUS_FOUND) {
		REQUIRE_OK(snug_shard_read(run->shard, &look.item, 0, text, look.item.value_bytes));
		REQUIRE(stored && strcmp(text, counted && count.status == STATUS_DONE ? "1041" : "41") == 0,
				"a count of %s", text);
	}
	(void)execute(run, &end, number);
	run->kept[number].present = false;
}

static void step_pin(struct run *run, uint32_t number) {
	struct operation look = {.kind = OPERATION_GET};
	snug_lease lease;
	if (!execute(run, &look, number) || look.status != STATUS_FOUND) return;
	if (snug_shard_pin(run->shard, &look.item, &lease) != SNUG_OK) return;
	step_store(run, number, 700, STORE_SET, false);
	step_store(run, (number + 1) % KEYS, 20000, STORE_SET, true);
	snug_shard_release(run->shard, &lease);
}

/* What the OS refuses to make room for costs nobody anything. */
static bool charge(struct run *run, size_t bytes) {
	snug_shard_stats before, after;
	REQUIRE_OK(snug_shard_stats_get(run->shard, &before));
	snug_error error = snug_shard_charge(run->shard, bytes);
	REQUIRE_OK(snug_shard_stats_get(run->shard, &after));
	uint64_t items = error == SNUG_ERROR_OS_MEMORY ? after.evictions - before.evictions : 0;
	/* Until the first page is free, which the OS then does not take. */
	REQUIRE(items <= KEYS / 2, "%llu items were evicted for a charge that was refused",
			(unsigned long long)items);
	return error == SNUG_OK;
}

static void step_beside(struct run *run, uint32_t at) {
	snug_report report;
	if (at % 3 == 0 && charge(run, 50000)) {
		step_store(run, at % KEYS, 5000, STORE_SET, false);
		snug_shard_discharge(run->shard, 50000);
	}
	if (at % 3 == 1) {
		snug_error error = snug_defragment(snug_shard_heap(run->shard), NULL, &report);
		REQUIRE(!error || error == SNUG_ERROR_BUSY, "defragment: %s", snug_error_text(error));
	}
	for (uint32_t i = 0; i < 50 && snug_shard_maintain(run->shard); i++) continue;
	if (at % 5 == 0 && run->evicts) {
		REQUIRE_OK(snug_shard_set_limit(run->shard, at % 2 == 0 ? 300 << 10 : 400 << 10));
		(void)snug_shard_evict(run->shard, 10000);
	}
	if (at % 200 != 150) return;
	snug_shard_flush(run->shard, 0);
	for (uint32_t i = 0; i < KEYS; i++) run->kept[i].present = false;
}

static void play(struct run *run) {
	test_random random = {4711}; /* the same each time */
	for (uint32_t at = 0; at < STEPS; at++) {
		uint32_t number = (uint32_t)test_random_below(&random, KEYS),
				 kind = (uint32_t)test_random_below(&random, 10);
		uint32_t bytes = (uint32_t)test_random_below(&random, kind < 3   ? 300
															  : kind < 5 ? 3000
																		 : 25000);
		if (kind < 6)
			step_store(run, number, 1 + bytes, (enum store_mode)(kind % 3), at % 2 == 0);
		else if (kind == 6)
			step_extend(run, number, at % 2 == 0, at % 4 < 2);
		else if (kind == 7)
			step_change(run, number, at % 4);
		else if (kind == 8)
			step_count(run, number);
		else
			step_pin(run, number);
		if (at % 10 == 0) step_beside(run, at);
		examine(run);
	}
}

/* ------------------------------------------------------------------ sweeps ----------------- */

struct sweep {
	const char *name;
	bool evicts;
	size_t limit_bytes;
};

static bool run_with_refusal(const struct sweep *sweep, uint32_t which, uint64_t nth,
							 bool onwards) {
	struct run *run = calloc(1, sizeof *run);
	REQUIRE(run != NULL, "the test ran out of memory");
	fake_os_init(&run->fake);
	struct fake_call *call = which == 0   ? &run->fake.reserve
							 : which != 2 ? &run->fake.commit
										  : &run->fake.decommit;
	call->fail_at = nth;
	call->fail_onwards = onwards;
	if (which == 3) {
		run->fake.decommit.fail_at = 1;
		run->fake.decommit.fail_onwards = onwards;
	}
	snug_shard_options options = snug_shard_options_default();
	options.heap.limit_bytes = sweep->limit_bytes;
	options.heap.page_bytes = 4096;
	options.heap.os = &run->fake.os;
	options.no_eviction = !sweep->evicts;
	options.now_s = now_of;
	run->evicts = sweep->evicts;
	snug_error error = snug_shard_create(&options, &run->shard);
	REQUIRE(!error || (error == SNUG_ERROR_OS_MEMORY && call->refused > 0 && run->shard == NULL),
			"create: %s", snug_error_text(error));
	if (!error) {
		play(run);
		REQUIRE_OK(snug_shard_check(run->shard, NULL));
		for (uint32_t i = 0; i < KEYS; i++) compare(run, i);
		REQUIRE_OK(snug_shard_destroy(run->shard));
	}
	REQUIRE(run->fake.reserved_bytes == 0 && run->fake.committed_bytes == 0,
			"%zu bytes were left reserved", run->fake.reserved_bytes);
	REQUIRE(run->fake.mistakes == 0, "mistake in using the OS: %s", run->fake.first_mistake);
	bool refused = call->refused > 0;
	fake_os_deinit(&run->fake);
	free(run);
	return refused;
}

static void sweep_one(const struct sweep *sweep, uint32_t which, bool onwards) {
	static const char *const names[] = {"reserve", "commit", "decommit", "commit and decommit"};
	char note[128] = "";
	uint64_t nth = 0, runs = 0;
	require_note(note);
	for (bool refused = true; refused; runs++) {
		nth += nth < RUNS_DENSE ? 1 : test_random_between(&stepping, 1, 2 * stride - 1);
		REQUIRE(runs < RUNS_MAX, "the sweep does not end");
		snprintf(note, sizeof note, "%s: %s number %llu refused%s", sweep->name, names[which],
				 (unsigned long long)nth, onwards ? ", and all later ones" : "");
		refused = run_with_refusal(sweep, which, nth, onwards);
	}
	require_note(NULL);
	printf("  %s: %s%s: %llu refusals\n", sweep->name, names[which],
		   onwards ? " from there on" : "", (unsigned long long)runs - 1);
}

static void run_sweep(void **state) {
	for (uint32_t which = 0; which < 4; which++) {
		sweep_one(*state, which, false);
		sweep_one(*state, which, true);
	}
}

int main(void) {
	static struct sweep evicting = {"evicting", true, 400 << 10},
						growing = {"without eviction", false, 4 << 20};
	const struct CMUnitTest tests[] = {{"evicting", run_sweep, NULL, NULL, &evicting},
									   {"without eviction", run_sweep, NULL, NULL, &growing}};
	stepping.state = test_environment_number("SNUG_SEED", (uint64_t)time(NULL));
	stride = test_environment_number("SNUG_STRIDE", 1);
	test_set_secret(stepping.state);
	printf("SNUG_SEED=0x%llx SNUG_STRIDE=%llu\n", (unsigned long long)stepping.state,
		   (unsigned long long)stride);
	return cmocka_run_group_tests_name("fault_cache", tests, NULL, NULL);
}
