/* test_request.c: what another thread asks of a shard: values copied, leased, filled in windows;
 * order; visits. And memory of the owner's that counts towards the limit. */
#include "cache/client/upkeep.h"
#include "cache/operation/request.h"
#include "os/fake.h"
#include "support/test_random.h"
#include "support/test_secret.h"
#include "unit/cmocka_all.h"

#include <snug/heap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB ((size_t)1 << 20)
#define LARGE_BYTES 700000u
#define BEGIN_S 1700000000

struct stage {
	struct fake_os fake;
	snug_shard *shard;
	struct operation_counts counts;
};

static int64_t now_of(void *context) {
	(void)context;
	return BEGIN_S;
}

static void stage_begin_with(struct stage *stage, bool no_eviction, size_t item_max_bytes) {
	snug_shard_options options = snug_shard_options_default();
	memset(stage, 0, sizeof *stage);
	fake_os_init(&stage->fake);
	options.heap.limit_bytes = 4 * MIB;
	options.heap.page_bytes = 4096;
	options.heap.os = &stage->fake.os;
	options.no_eviction = no_eviction;
	options.item_max_bytes = item_max_bytes;
	options.now_s = now_of;
	assert_int_equal(snug_shard_create(&options, &stage->shard), SNUG_OK);
}

static void stage_begin(struct stage *stage, bool no_eviction) {
	stage_begin_with(stage, no_eviction, MIB);
}

static void stage_end(struct stage *stage) {
	snug_shard_stats stats;
	snug_check_result wrong;
	if (snug_shard_check(stage->shard, &wrong) != SNUG_OK)
		fail_msg("law %s: %s", wrong.law, wrong.message);
	assert_int_equal(snug_shard_stats_get(stage->shard, &stats), SNUG_OK);
	assert_int_equal(stats.leases, 0);
	assert_int_equal(snug_shard_destroy(stage->shard), SNUG_OK);
	assert_int_equal(stage->fake.reserved_bytes, 0);
	fake_os_deinit(&stage->fake);
}

static void serve(struct stage *stage, struct request *request) {
	requests_serve(stage->shard, 0, &stage->counts, &request, 1);
}

static struct request get_of(const char *key, void *room, uint32_t room_bytes,
							 snug_extent *window) {
	return (struct request){.operation = {.kind = OPERATION_GET,
										  .options = OPERATION_NO_STALE,
										  .key = snug_shard_key(key, strlen(key))},
							.room = room,
							.room_bytes = room_bytes,
							.window = window};
}

static void set(struct stage *stage, const char *key, const void *value, size_t bytes) {
	struct request request = {.operation = {.kind = OPERATION_STORE,
											.key = snug_shard_key(key, strlen(key)),
											.value = value,
											.value_bytes = (uint32_t)bytes}};
	serve(stage, &request);
	assert_int_equal(request.operation.status, STATUS_STORED);
}

static uint64_t leases(struct stage *stage) {
	snug_shard_stats stats;
	assert_int_equal(snug_shard_stats_get(stage->shard, &stats), SNUG_OK);
	return stats.leases;
}

/* ------------------------------------------------------------------ getting ---------------- */

static void values_that_fit_are_copied(void **state) {
	(void)state;
	struct stage stage;
	char room[16];
	snug_extent window[REQUEST_EXTENTS];
	stage_begin(&stage, false);
	set(&stage, "k", "0123456789abcdef", 16);
	set(&stage, "empty", "", 0);
	struct request request = get_of("k", room, 16, window);
	serve(&stage, &request);
	assert_true(request.value_in_room);
	assert_memory_equal(room, "0123456789abcdef", 16);
	request = get_of("empty", room, 0, window);
	serve(&stage, &request);
	assert_true(request.value_in_room);
	/* One byte more than there is room for. */
	memset(room, '-', sizeof room);
	request = get_of("k", room, 15, window);
	serve(&stage, &request);
	assert_int_equal(request.operation.status, STATUS_FOUND);
	assert_false(request.value_in_room);
	assert_memory_equal(room, "----------------", 16);
	assert_int_equal(leases(&stage), 1);
	assert_int_equal(request.window_count, 1);
	assert_int_equal(request.window_bytes, 16);
	assert_memory_equal(window[0].data, "0123456789abcdef", 16);
	request.kind = REQUEST_RELEASE;
	serve(&stage, &request);
	assert_int_equal(leases(&stage), 0);
	request = get_of("k", room, 15, NULL);
	request.keeps_no_lease = true;
	serve(&stage, &request);
	assert_false(request.value_in_room);
	assert_int_equal(request.operation.item.value_bytes, 16);
	assert_int_equal(leases(&stage), 0);
	request = get_of("nothing", room, 15, window);
	serve(&stage, &request);
	assert_int_equal(request.operation.status, STATUS_NOT_FOUND);
	assert_false(request.value_in_room);
	stage_end(&stage);
}

/* The item is gone, and its value was taken before. */
static void a_value_is_taken_before_its_end(void **state) {
	(void)state;
	struct stage stage;
	char room[64];
	snug_extent window[REQUEST_EXTENTS];
	stage_begin(&stage, false);
	for (uint32_t room_bytes = 3; room_bytes <= 4; room_bytes++) {
		set(&stage, "k", "last", 4);
		struct request request = get_of("k", room, room_bytes, window);
		request.operation.options |= OPERATION_HAS_EXPTIME;
		request.operation.exptime = -1;
		serve(&stage, &request);
		assert_int_equal(request.operation.status, STATUS_FOUND);
		assert_int_equal(request.value_in_room, room_bytes == 4);
		assert_memory_equal(request.value_in_room ? room : window[0].data, "last", 4);
		struct request again = get_of("k", room, sizeof room, window);
		serve(&stage, &again);
		assert_int_equal(again.operation.status, STATUS_NOT_FOUND);
		if (request.value_in_room) continue;
		assert_memory_equal(window[0].data, "last", 4); /* as long as the lease */
		request.kind = REQUEST_RELEASE;
		serve(&stage, &request);
	}
	stage_end(&stage);
}

/* ------------------------------------------------------------------ windows ---------------- */

/* Through all windows: fills them with, or compares them to, what the pattern says. */
static void pass_windows(struct stage *stage, struct request *request, unsigned char *expected,
						 uint32_t bytes, bool fills) {
	uint32_t windows = 0;
	for (uint32_t at = 0; at < bytes; windows++) {
		if (at > 0) {
			request->kind = REQUEST_WINDOW;
			request->window_offset = at;
			serve(stage, request);
		}
		assert_true(request->window_count > 0 && request->window_count <= REQUEST_EXTENTS);
		uint32_t sum = 0;
		for (uint32_t i = 0; i < request->window_count; i++) {
			const snug_extent *extent = &request->window[i];
			if (fills)
				memcpy(extent->data, expected + at + sum, extent->length);
			else
				assert_memory_equal(extent->data, expected + at + sum, extent->length);
			sum += (uint32_t)extent->length;
		}
		assert_int_equal(sum, request->window_bytes);
		at += sum;
		assert_true(at <= bytes);
	}
	assert_true(windows > 1);
}

static void large_values_pass_through_windows(void **state) {
	(void)state;
	struct stage stage;
	snug_extent window[REQUEST_EXTENTS];
	unsigned char *value = malloc(LARGE_BYTES), byte;
	assert_non_null(value);
	test_random_fill(value, LARGE_BYTES, 5);
	stage_begin(&stage, false);
	snug_key key = snug_shard_key("large", 5);
	struct request request = {.kind = REQUEST_RESERVE,
							  .operation = {.key = key, .value_bytes = LARGE_BYTES},
							  .window = window};
	serve(&stage, &request);
	assert_int_equal(request.operation.status, STATUS_STORED);
	pass_windows(&stage, &request, value, LARGE_BYTES, true);
	/* Nobody finds it before it is committed. */
	struct request look = get_of("large", &byte, 1, window);
	serve(&stage, &look);
	assert_int_equal(look.operation.status, STATUS_NOT_FOUND);
	request.kind = REQUEST_OPERATION;
	request.operation.kind = OPERATION_STORE;
	serve(&stage, &request);
	assert_int_equal(request.operation.status, STATUS_STORED);
	assert_int_equal(leases(&stage), 0);
	look = get_of("large", &byte, 1, window);
	serve(&stage, &look);
	assert_int_equal(look.operation.status, STATUS_FOUND);
	/* Meanwhile it is replaced, and others fill the memory. */
	set(&stage, "large", "small", 5);
	for (uint32_t i = 0; i < 3000; i++) {
		char name[16];
		snprintf(name, sizeof name, "%u", i);
		set(&stage, name, value, 1000 + i);
	}
	pass_windows(&stage, &look, value, LARGE_BYTES, false);
	look.kind = REQUEST_RELEASE;
	serve(&stage, &look);
	stage_end(&stage);
	free(value);
}

/* ------------------------------------------------------------------ in slices -------------- */

#define SLICE_BYTES 32768u
#define SMALL_BYTES 100u

static snug_shard_stats stats_of(const struct stage *stage) {
	snug_shard_stats stats;
	assert_int_equal(snug_shard_stats_get(stage->shard, &stats), SNUG_OK);
	return stats;
}

static void set_number(struct stage *stage, uint32_t number, const void *value, size_t bytes) {
	char name[16];
	snprintf(name, sizeof name, "item%u", number);
	set(stage, name, value, bytes);
}

/* Until something had to go for it. */
static void fill_with_small(struct stage *stage) {
	unsigned char value[SMALL_BYTES] = {0};
	for (uint32_t i = 0; stats_of(stage).evictions < 100; i++)
		set_number(stage, i, value, sizeof value);
}

/* No message costs more than a slice of evictions, however large the value is. */
static void a_large_value_takes_its_room_in_slices(void **state) {
	(void)state;
	struct stage stage;
	snug_extent window[REQUEST_EXTENTS];
	stage_begin(&stage, false);
	fill_with_small(&stage);
	struct request request = {
		.kind = REQUEST_RESERVE,
		.operation = {.key = snug_shard_key("large", 5), .value_bytes = LARGE_BYTES},
		.window = window};
	uint64_t evicted_bytes = stats_of(&stage).evicted_bytes, begun_bytes = evicted_bytes;
	uint32_t slices = 0;
	do {
		serve(&stage, &request);
		assert_int_equal(request.operation.status, STATUS_STORED);
		uint64_t now_bytes = stats_of(&stage).evicted_bytes;
		assert_in_range(now_bytes - evicted_bytes, 0, SLICE_BYTES + 2 * SMALL_BYTES);
		evicted_bytes = now_bytes;
		assert_true(request.is_unfinished == (request.operation.lease.ref == 0));
	} while (request.is_unfinished && ++slices < 1000);
	assert_in_range(slices, LARGE_BYTES / SLICE_BYTES, LARGE_BYTES / SLICE_BYTES * 2);
	assert_in_range(evicted_bytes - begun_bytes, LARGE_BYTES / 2, LARGE_BYTES * 3 / 2);
	request.kind = REQUEST_RELEASE;
	serve(&stage, &request);
	stage_end(&stage);
}

#define OTHER_BYTES 50000u

/* A slice is as much as some items of work, so a few large ones go in one. */
static void what_displaces_large_values_is_not_put_off(void **state) {
	(void)state;
	struct stage stage;
	snug_extent window[REQUEST_EXTENTS];
	unsigned char *value = calloc(1, OTHER_BYTES);
	assert_non_null(value);
	stage_begin(&stage, false);
	for (uint32_t i = 0; stats_of(&stage).evictions < 10; i++)
		set_number(&stage, i, value, OTHER_BYTES);
	struct request request = {
		.kind = REQUEST_RESERVE,
		.operation = {.key = snug_shard_key("large", 5), .value_bytes = 6 * OTHER_BYTES},
		.window = window};
	uint64_t evictions = stats_of(&stage).evictions;
	serve(&stage, &request);
	assert_int_equal(request.operation.status, STATUS_STORED);
	assert_false(request.is_unfinished);
	assert_in_range(stats_of(&stage).evictions - evictions, 2, 12);
	request.kind = REQUEST_RELEASE;
	serve(&stage, &request);
	free(value);
	stage_end(&stage);
}

/* Whoever takes all that was freed does not keep it from its end. */
static void others_between_the_slices_do_not_starve_it(void **state) {
	(void)state;
	struct stage stage;
	snug_extent window[REQUEST_EXTENTS];
	unsigned char value[SMALL_BYTES] = {0};
	stage_begin(&stage, false);
	fill_with_small(&stage);
	struct request request = {
		.kind = REQUEST_RESERVE,
		.operation = {.key = snug_shard_key("large", 5), .value_bytes = LARGE_BYTES},
		.window = window};
	uint32_t slices = 0, number = 0;
	do {
		serve(&stage, &request);
		for (uint32_t i = 0; i < 2 * SLICE_BYTES / SMALL_BYTES; i++) {
			char name[16];
			snprintf(name, sizeof name, "other%u", number++);
			set(&stage, name, value, sizeof value);
		}
	} while (request.is_unfinished && ++slices < 1000);
	assert_in_range(slices, 1, LARGE_BYTES / SLICE_BYTES * 3);
	assert_int_equal(request.operation.status, STATUS_STORED);
	request.kind = REQUEST_RELEASE;
	serve(&stage, &request);
	stage_end(&stage);
}

/* Several at once, of which not all may be leased together: for those that are refused nothing has
 * gone. */
static void what_is_refused_in_the_end_has_evicted_nothing(void **state) {
	(void)state;
	struct stage stage;
	snug_extent window[8][REQUEST_EXTENTS];
	struct request request[8];
	const uint32_t value_bytes = 400000;
	stage_begin(&stage, false);
	fill_with_small(&stage);
	uint64_t begun_bytes = stats_of(&stage).evicted_bytes;
	uint32_t left = 8, stored = 0;
	for (uint32_t i = 0; i < 8; i++)
		request[i] = (struct request){
			.kind = REQUEST_RESERVE,
			.operation = {.key = snug_shard_key("large", 5), .value_bytes = value_bytes},
			.window = window[i],
			.is_unfinished = true};
	while (left > 0)
		for (uint32_t i = 0; i < 8; i++) {
			if (!request[i].is_unfinished) continue;
			serve(&stage, &request[i]);
			left -= !request[i].is_unfinished;
		}
	for (uint32_t i = 0; i < 8; i++) {
		stored += request[i].operation.status == STATUS_STORED;
		request[i].kind = REQUEST_RELEASE;
		serve(&stage, &request[i]);
	}
	assert_in_range(stored, 3, 5);
	assert_in_range(stats_of(&stage).evicted_bytes - begun_bytes, 0,
					(uint64_t)stored * value_bytes * 5 / 4);
	stage_end(&stage);
}

/* Whoever goes in the midst of it gives back what it was promised. */
static void a_promise_ends_with_its_request(void **state) {
	(void)state;
	struct stage stage;
	snug_extent window[REQUEST_EXTENTS];
	stage_begin(&stage, false);
	fill_with_small(&stage);
	for (uint32_t i = 0; i < 20; i++) {
		struct request request = {
			.kind = REQUEST_RESERVE,
			.operation = {.key = snug_shard_key("large", 5), .value_bytes = LARGE_BYTES},
			.window = window};
		serve(&stage, &request);
		assert_int_equal(request.operation.status, STATUS_STORED);
		request.kind = REQUEST_RELEASE;
		serve(&stage, &request);
		assert_int_equal(request.promised_bytes, 0);
	}
	stage_end(&stage);
}

/* At the edge of what may be leased beside others, its head and key count too. */
static void the_edge_of_what_may_be_leased(void **state) {
	(void)state;
	struct stage stage;
	snug_extent window[2][REQUEST_EXTENTS];
	stage_begin_with(&stage, false, 2 * MIB);
	uint32_t stored = 0;
	fill_with_small(&stage);
	for (uint32_t bytes = 2 * MIB - LARGE_BYTES - 200; bytes < 2 * MIB - LARGE_BYTES + 200;
		 bytes += 10) {
		struct request held = {
			.kind = REQUEST_RESERVE,
			.operation = {.key = snug_shard_key("held", 4), .value_bytes = LARGE_BYTES},
			.window = window[0]};
		struct request request = {
			.kind = REQUEST_RESERVE,
			.operation = {.key = snug_shard_key("k", 1), .value_bytes = bytes},
			.window = window[1]};
		do serve(&stage, &held);
		while (held.is_unfinished);
		uint64_t begun_bytes = stats_of(&stage).evicted_bytes;
		do serve(&stage, &request);
		while (request.is_unfinished);
		stored += request.operation.status == STATUS_STORED;
		if (request.operation.status != STATUS_STORED) {
			assert_int_equal(request.operation.status, STATUS_NO_MEMORY);
			assert_int_equal(stats_of(&stage).evicted_bytes, begun_bytes);
		}
		held.kind = request.kind = REQUEST_RELEASE;
		serve(&stage, &held);
		serve(&stage, &request);
	}
	assert_in_range(stored, 1, 39);
	stage_end(&stage);
}

/* Where the system refuses memory, items go as for anything else. */
static void a_system_that_refuses_memory_is_met_by_slices(void **state) {
	(void)state;
	struct stage stage;
	snug_extent window[REQUEST_EXTENTS];
	unsigned char value[SMALL_BYTES] = {0};
	stage_begin(&stage, false);
	for (uint32_t i = 0; i < 15000; i++) set_number(&stage, i, value, sizeof value);
	assert_int_equal(stats_of(&stage).evictions, 0);
	/* The table of pins is there already. */
	struct request first = {
		.kind = REQUEST_RESERVE,
		.operation = {.key = snug_shard_key("first", 5), .value_bytes = SLICE_BYTES},
		.window = window};
	serve(&stage, &first);
	stage.fake.commit.calls = 0;
	stage.fake.commit.fail_at = 1;
	stage.fake.commit.fail_onwards = true;
	struct request request = {
		.kind = REQUEST_RESERVE,
		.operation = {.key = snug_shard_key("large", 5), .value_bytes = LARGE_BYTES},
		.window = window};
	do serve(&stage, &request);
	while (request.is_unfinished);
	assert_int_equal(request.operation.status, STATUS_STORED);
	assert_true(stats_of(&stage).evictions > 0);
	request.kind = first.kind = REQUEST_RELEASE;
	serve(&stage, &request);
	serve(&stage, &first);
	stage_end(&stage);
}

/* Nor for what would not fit if all else went, in pieces or at once. */
static void what_can_never_fit_evicts_nothing(void **state) {
	(void)state;
	struct stage stage;
	snug_extent window[REQUEST_EXTENTS];
	unsigned char *value = calloc(1, LARGE_BYTES);
	assert_non_null(value);
	stage_begin(&stage, false);
	assert_int_equal(snug_shard_charge(stage.shard, 4 * MIB - LARGE_BYTES), SNUG_OK);
	fill_with_small(&stage);
	uint64_t evictions = stats_of(&stage).evictions, items = stats_of(&stage).items;
	for (uint32_t form = 0; form < 2; form++) {
		struct request request = {.kind = form == 0 ? REQUEST_RESERVE : REQUEST_OPERATION,
								  .operation = {.kind = OPERATION_STORE,
												.key = snug_shard_key("large", 5),
												.value = value,
												.value_bytes = LARGE_BYTES},
								  .window = window};
		serve(&stage, &request);
		assert_int_equal(request.operation.status, STATUS_NO_MEMORY);
		assert_false(request.is_unfinished);
	}
	assert_int_equal(stats_of(&stage).evictions, evictions);
	assert_int_equal(stats_of(&stage).items, items);
	snug_shard_discharge(stage.shard, 4 * MIB - LARGE_BYTES);
	stage_end(&stage);
	free(value);
}

/* Where no lease of this size is to be had, nothing goes for it. */
static void what_can_not_be_leased_evicts_nothing(void **state) {
	(void)state;
	struct stage stage;
	snug_extent window[REQUEST_EXTENTS];
	struct request held[8];
	stage_begin(&stage, false);
	uint32_t count = 0;
	for (; count < 8; count++) {
		held[count] = (struct request){
			.kind = REQUEST_RESERVE,
			.operation = {.key = snug_shard_key("large", 5), .value_bytes = LARGE_BYTES},
			.window = window};
		serve(&stage, &held[count]);
		if (held[count].operation.status != STATUS_STORED) break;
	}
	assert_in_range(count, 1, 7);
	fill_with_small(&stage);
	uint64_t evictions = stats_of(&stage).evictions;
	held[count].rounds = 0;
	serve(&stage, &held[count]);
	assert_int_equal(held[count].operation.status, STATUS_NO_MEMORY);
	assert_false(held[count].is_unfinished);
	assert_int_equal(stats_of(&stage).evictions, evictions);
	for (uint32_t i = 0; i < count; i++) {
		held[i].kind = REQUEST_RELEASE;
		serve(&stage, &held[i]);
	}
	stage_end(&stage);
}

static bool is_there(struct stage *stage, const char *key) {
	char room[16];
	struct request request = get_of(key, room, sizeof room, NULL);
	serve(stage, &request);
	return request.operation.status == STATUS_FOUND;
}

/* A set that is refused takes the old value with it; an append leaves it. */
static void reservations_are_refused_with_a_reason(void **state) {
	(void)state;
	struct stage stage;
	snug_extent window[REQUEST_EXTENTS];
	stage_begin(&stage, true);
	struct request request = {
		.kind = REQUEST_RESERVE,
		.operation = {.kind = OPERATION_STORE, .key = snug_shard_key("k", 1), .value_bytes = MIB},
		.window = window};
	set(&stage, "k", "old", 3);
	serve(&stage, &request);
	assert_int_equal(request.operation.status, STATUS_TOO_LARGE);
	assert_false(is_there(&stage, "k"));
	set(&stage, "k", "old", 3);
	struct request held[8];
	uint32_t count = 0;
	for (; count < 8; count++) {
		held[count] = request;
		held[count].operation.value_bytes = LARGE_BYTES;
		serve(&stage, &held[count]);
		if (held[count].operation.status != STATUS_STORED) break;
	}
	assert_in_range(count, 1, 7);
	assert_int_equal(held[count].operation.status, STATUS_NO_MEMORY);
	assert_false(is_there(&stage, "k"));
	set(&stage, "k", "old", 3);
	held[count].operation.mode = STORE_APPEND;
	serve(&stage, &held[count]);
	assert_int_equal(held[count].operation.status, STATUS_NO_MEMORY);
	assert_true(is_there(&stage, "k"));
	assert_int_equal(stage.counts.store_too_large, 1);
	assert_int_equal(stage.counts.store_no_memory, 2);
	request.operation.key = snug_shard_key("", 0);
	request.operation.value_bytes = 1;
	serve(&stage, &request);
	assert_int_equal(request.operation.status, STATUS_BAD_KEY);
	while (count-- > 0) {
		held[count].kind = REQUEST_RELEASE;
		serve(&stage, &held[count]);
	}
	stage_end(&stage);
}

/* ------------------------------------------------------------------ batches ---------------- */

#define BATCH 80u /* more than are prefetched */

static void visit(void *context, uint32_t worker, snug_shard *shard,
				  struct operation_counts *counts) {
	struct stage *stage = context;
	assert_int_equal(worker, 3);
	assert_ptr_equal(shard, stage->shard);
	assert_ptr_equal(counts, &stage->counts);
	assert_int_equal(counts->cmd_set, BATCH / 2);
}

static void a_batch_is_done_in_its_order(void **state) {
	(void)state;
	struct stage stage;
	struct request requests[BATCH + 1], *batch[BATCH + 1];
	char text[BATCH][8];
	stage_begin(&stage, false);
	for (uint32_t i = 0; i < BATCH; i += 2) {
		snprintf(text[i], sizeof text[i], "v%u", i);
		requests[i] = (struct request){.operation = {.kind = OPERATION_STORE,
													 .key = snug_shard_key("same", 4),
													 .value = text[i],
													 .value_bytes = (uint32_t)strlen(text[i])}};
		requests[i + 1] = get_of("same", text[i + 1], 8, NULL);
	}
	requests[BATCH] =
		(struct request){.kind = REQUEST_VISIT, .visit = visit, .visit_context = &stage};
	for (uint32_t i = 0; i <= BATCH; i++) batch[i] = &requests[i];
	requests_serve(stage.shard, 3, &stage.counts, batch, BATCH + 1);
	for (uint32_t i = 0; i < BATCH; i += 2) {
		assert_int_equal(requests[i + 1].operation.item.value_bytes, strlen(text[i]));
		assert_memory_equal(text[i + 1], text[i], strlen(text[i]));
	}
	stage_end(&stage);
}

static void each_worker_owns_its_share(void **state) {
	(void)state;
	for (uint32_t workers = 1; workers <= 64; workers++) {
		uint32_t owned[64] = {0};
		for (uint32_t i = 0; i < 64000; i++) {
			char name[16];
			int length = snprintf(name, sizeof name, "key:%u", i);
			uint32_t owner = request_owner(snug_shard_key(name, (size_t)length).hash, workers);
			assert_in_range(owner, 0, workers - 1);
			owned[owner]++;
		}
		for (uint32_t i = 0; i < workers; i++)
			assert_in_range(owned[i], 64000 / workers * 7 / 10, 64000 / workers * 13 / 10);
	}
}

/* ------------------------------------------------------------------ the owner's memory ----- */

static void fill_up(struct stage *stage) {
	char value[1000] = {0}, name[16];
	for (uint32_t i = 0; i < 6000; i++) {
		snprintf(name, sizeof name, "%u", i);
		set(stage, name, value, sizeof value);
	}
}

static void the_owners_memory_counts(void **state) {
	(void)state;
	struct stage stage;
	snug_shard_stats before, during, after;
	stage_begin(&stage, false);
	fill_up(&stage);
	assert_int_equal(snug_shard_stats_get(stage.shard, &before), SNUG_OK);
	assert_int_equal(snug_shard_charge(stage.shard, MIB), SNUG_OK);
	assert_int_equal(snug_shard_stats_get(stage.shard, &during), SNUG_OK);
	/* The tables shrink with the items. */
	assert_in_range(during.heap.charged_bytes, before.heap.charged_bytes + MIB - 32768,
					before.heap.charged_bytes + MIB);
	assert_true(during.heap.committed_bytes + during.heap.metadata_bytes <=
				during.heap.limit_bytes);
	assert_true(stage.fake.committed_bytes + MIB <= during.heap.limit_bytes + 65536);
	assert_in_range(during.evictions - before.evictions, 900, 1500);
	fill_up(&stage);
	assert_int_equal(snug_shard_stats_get(stage.shard, &during), SNUG_OK);
	assert_true(during.items < before.items * 4 / 5);
	snug_shard_discharge(stage.shard, MIB);
	fill_up(&stage);
	assert_int_equal(snug_shard_stats_get(stage.shard, &after), SNUG_OK);
	assert_int_equal(after.heap.charged_bytes, before.heap.charged_bytes);
	assert_true(after.items > before.items * 99 / 100);
	/* More than there is: nothing goes for it. */
	assert_int_equal(snug_shard_charge(stage.shard, 4 * MIB), SNUG_ERROR_NO_MEMORY);
	assert_int_equal(snug_shard_stats_get(stage.shard, &during), SNUG_OK);
	assert_int_equal(during.items, after.items);
	/* Nearly all there is: all that can go goes, and what was charged counts. */
	assert_int_equal(snug_shard_charge(stage.shard, 2 * MIB), SNUG_OK);
	assert_int_equal(snug_shard_charge(stage.shard, 2 * MIB), SNUG_ERROR_NO_MEMORY);
	snug_shard_discharge(stage.shard, 2 * MIB);
	assert_int_equal(snug_shard_charge(NULL, 1), SNUG_ERROR_NULL);
	stage_end(&stage);
}

/* An emergency asks again and again, until there is nothing more that could go. What was flushed
 * goes by the bucket, or by the group where the index shrinks, which is up to a hundred items with
 * what it has spilled. */
static void what_is_dead_goes_in_an_emergency(void **state) {
	(void)state;
	struct stage stage;
	uint64_t sum = 0, gained;
	stage_begin(&stage, false);
	fill_up(&stage);
	snug_shard_flush(stage.shard, 0);
	while ((gained = upkeep_evict(stage.shard, 65536)) > 0) {
		assert_in_range(gained, 1000, 65536 + 100 * 1100);
		sum += gained;
	}
	assert_true(sum > 3 * MIB);
	stage_end(&stage);
}

static void without_eviction_items_are_not_touched(void **state) {
	(void)state;
	struct stage stage;
	char value[1000] = {0}, name[16];
	snug_shard_stats stats;
	stage_begin(&stage, true);
	for (uint32_t i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "%u", i);
		set(&stage, name, value, sizeof value);
	}
	assert_int_equal(snug_shard_charge(stage.shard, 2 * MIB), SNUG_OK);
	assert_int_equal(snug_shard_charge(stage.shard, MIB + MIB / 2), SNUG_ERROR_NO_MEMORY);
	assert_int_equal(snug_shard_stats_get(stage.shard, &stats), SNUG_OK);
	assert_int_equal(stats.items, 1000);
	snug_shard_discharge(stage.shard, 2 * MIB);
	stage_end(&stage);
}

int main(void) {
	test_set_secret(1);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_that_fit_are_copied),
		cmocka_unit_test(a_value_is_taken_before_its_end),
		cmocka_unit_test(large_values_pass_through_windows),
		cmocka_unit_test(a_large_value_takes_its_room_in_slices),
		cmocka_unit_test(what_displaces_large_values_is_not_put_off),
		cmocka_unit_test(others_between_the_slices_do_not_starve_it),
		cmocka_unit_test(what_can_never_fit_evicts_nothing),
		cmocka_unit_test(what_can_not_be_leased_evicts_nothing),
		cmocka_unit_test(what_is_refused_in_the_end_has_evicted_nothing),
		cmocka_unit_test(a_promise_ends_with_its_request),
		cmocka_unit_test(the_edge_of_what_may_be_leased),
		cmocka_unit_test(a_system_that_refuses_memory_is_met_by_slices),
		cmocka_unit_test(reservations_are_refused_with_a_reason),
		cmocka_unit_test(a_batch_is_done_in_its_order),
		cmocka_unit_test(each_worker_owns_its_share),
		cmocka_unit_test(what_is_dead_goes_in_an_emergency),
		cmocka_unit_test(the_owners_memory_counts),
		cmocka_unit_test(without_eviction_items_are_not_touched),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
