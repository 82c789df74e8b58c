/* test_buffers.c: who may take how many records; connection memory against a naive twin. */
#include "server/buffers/buffers.h"
#include "support/test_random.h"
#include "unit/cmocka_all.h"

#define SHARED 64u

static const struct record_stock stock = {.taken_max = 2 * SHARED, .shared_max = SHARED};

static void who_is_alone_may_hold_half(void **state) {
	(void)state;
	struct record_stock now = stock;
	uint32_t held = 0;
	for (; buffers_left(&now, held) > 0; held++) now.taken++;
	assert_int_equal(held, SHARED / 2);
}

/* However many hold all that they may and give nothing back, whoever comes then gets one, until
 * there are none. */
static void those_who_hold_leave_some(void **state) {
	(void)state;
	uint32_t held[2 * SHARED] = {0};
	struct record_stock now = stock;
	for (uint32_t holder = 0; holder < 2 * SHARED; holder++) {
		assert_true(now.taken < now.taken_max);
		assert_true(buffers_left(&now, 0) > 0);
		for (; buffers_left(&now, held[holder]) > 0; held[holder]++) now.taken++;
		assert_true(held[holder] > 0);
		if (now.taken == now.taken_max) break;
	}
	assert_int_equal(now.taken, now.taken_max);
	assert_int_equal(buffers_left(&now, 0), 0);
}

static void what_is_left_is_never_more_than_there_is(void **state) {
	(void)state;
	for (uint32_t taken = 0; taken <= stock.taken_max; taken++)
		for (uint32_t held = 0; held <= taken; held++) {
			struct record_stock now = stock;
			now.taken = taken;
			assert_true(taken + buffers_left(&now, held) <= now.taken_max);
		}
}

static void little_memory_has_fewer_records(void **state) {
	(void)state;
	struct buffers little, much;
	assert_int_equal(buffers_init(&little, (uint64_t)1 << 20, 2048), SNUG_OK);
	assert_int_equal(buffers_init(&much, (uint64_t)1 << 30, 2048), SNUG_OK);
	assert_int_equal(little.records.shared_max, ((uint32_t)1 << 20) / 4 / RECORD_BYTES);
	assert_int_equal(little.records.taken_max, 2 * little.records.shared_max);
	assert_int_equal(much.records.shared_max, 1024);
	assert_int_equal(much.records.taken_max, 2048);
	buffers_deinit(&little);
	buffers_deinit(&much);
}

/* ------------------------------------------------------------------ connection memory ------ */

#define BUDGET ((uint64_t)2 << 20)
#define CELLS_MAX 8192u

struct cell {
	unsigned char *at;
	enum cell_kind kind;
	unsigned char mark;
};

static void assert_lawful(const struct connection_memory *memory) {
	const char *law = connection_memory_check(memory);
	if (law != NULL) fail_msg("law %s is broken", law);
}

/* Marked at both ends, so that two cells that overlap show. */
static void take(struct connection_memory *memory, struct cell *cell, enum cell_kind kind,
				 unsigned char mark) {
	*cell = (struct cell){connection_cell_take(memory, kind, CELLS_SHARED), kind, mark};
	if (cell->at == NULL) return;
	cell->at[0] = cell->at[connection_cell_bytes(kind) - 1] = mark;
}

static void give(struct connection_memory *memory, struct cell *cell) {
	assert_int_equal(cell->at[0], cell->mark);
	assert_int_equal(cell->at[connection_cell_bytes(cell->kind) - 1], cell->mark);
	connection_cell_give(memory, cell->kind, cell->at);
}

static void random_takes_and_gives_keep_the_laws(void **state) {
	(void)state;
	static struct cell cells[CELLS_MAX];
	struct connection_memory memory;
	test_random random = {test_environment_number("SNUG_SEED", 1)};
	print_message("seed %llu\n", (unsigned long long)random.state);
	assert_int_equal(connection_memory_init(&memory, BUDGET), SNUG_OK);
	uint32_t held = 0, refused = 0;
	for (uint32_t step = 0; step < 60000; step++) {
		bool grows = step / 5000 % 2 == 0;
		if (held < CELLS_MAX && test_random_below(&random, 10) < (grows ? 8 : 3)) {
			take(&memory, &cells[held], (enum cell_kind)test_random_below(&random, CELL_KINDS),
				 (unsigned char)step);
			if (cells[held].at != NULL)
				held++;
			else
				refused++;
		} else if (held > 0) {
			uint32_t which = (uint32_t)test_random_below(&random, held);
			give(&memory, &cells[which]);
			cells[which] = cells[--held];
		}
		if (step % 100 == 0) connection_memory_tick(&memory);
		if (step % 7 == 0) (void)connection_memory_trim(&memory);
		assert_true(connection_memory_used(&memory) <= BUDGET);
		if (step % 50 == 0) assert_lawful(&memory);
	}
	assert_true(refused > 0); /* the budget was reached */
	while (held > 0) give(&memory, &cells[--held]);
	assert_lawful(&memory);
	assert_int_equal(connection_memory_used(&memory), 0);
	connection_memory_deinit(&memory);
}

static void the_reserve_is_for_those_who_may(void **state) {
	(void)state;
	struct connection_memory memory;
	assert_int_equal(connection_memory_init(&memory, BUDGET), SNUG_OK);
	void *large[BUDGET / CHUNK_BYTES];
	uint32_t count = 0;
	while ((large[count] = connection_cell_take(&memory, CELL_CHUNK, CELLS_SHARED)) != NULL)
		count++;
	assert_int_equal(count, BUDGET / CHUNK_BYTES - 4);
	assert_false(cells_are_there(&memory, 1, 0, CELLS_SHARED));
	assert_true(cells_are_there(&memory, 1, 3, CELLS_RESERVED));
	/* The last two are for those who come. */
	while ((large[count] = connection_cell_take(&memory, CELL_CHUNK, CELLS_RESERVED)) != NULL)
		count++;
	assert_int_equal(count, BUDGET / CHUNK_BYTES - 2);
	void *connection = connection_cell_take(&memory, CELL_CONNECTION, CELLS_LAST);
	assert_non_null(connection);
	/* A chunk that somebody has cut from the reserve is anybody's until it is full. */
	assert_lawful(&memory);
	connection_cell_give(&memory, CELL_CONNECTION, connection);
	while (count > 0) connection_cell_give(&memory, CELL_CHUNK, large[--count]);
	connection_memory_deinit(&memory);
}

/* Input beyond a chunk comes from malloc: both together stay within the budget. */
static void what_is_borrowed_counts(void **state) {
	(void)state;
	struct buffers buffers;
	uint32_t bytes = 2 * CHUNK_BYTES + 1, more = (uint32_t)BUDGET;
	assert_int_equal(buffers_init(&buffers, BUDGET, 2048), SNUG_OK);
	void *input = buffers_take_input(&buffers, &bytes, CELLS_SHARED);
	assert_non_null(input);
	assert_int_equal(bytes, 3 * CHUNK_BYTES);
	assert_int_equal(buffers_held_bytes(&buffers), bytes);
	assert_null(buffers_take_input(&buffers, &more, CELLS_SHARED));
	void *large[BUDGET / CHUNK_BYTES];
	uint32_t count = 0;
	while ((large[count] = connection_cell_take(&buffers.memory, CELL_CHUNK, CELLS_LAST)) != NULL)
		count++;
	assert_int_equal(count, BUDGET / CHUNK_BYTES - 3);
	assert_true(connection_memory_is_short(&buffers.memory));
	assert_lawful(&buffers.memory);
	while (count > 0) connection_cell_give(&buffers.memory, CELL_CHUNK, large[--count]);
	buffers_give_input(&buffers, input, bytes);
	assert_false(connection_memory_is_short(&buffers.memory));
	assert_int_equal(buffers_held_bytes(&buffers), 0);
	buffers_deinit(&buffers);
}

static void what_was_not_needed_for_a_second_goes_back(void **state) {
	(void)state;
	struct connection_memory memory;
	assert_int_equal(connection_memory_init(&memory, BUDGET), SNUG_OK);
	void *large[20];
	for (uint32_t i = 0; i < 20; i++)
		large[i] = connection_cell_take(&memory, CELL_CHUNK, CELLS_SHARED);
	for (uint32_t i = 0; i < 20; i++) connection_cell_give(&memory, CELL_CHUNK, large[i]);
	assert_int_equal(memory.warm.count, 20);
	connection_memory_tick(&memory);
	/* they were needed in the second that has just ended */
	assert_false(connection_memory_trim(&memory));
	connection_memory_tick(&memory);
	while (connection_memory_trim(&memory)) assert_lawful(&memory);
	assert_int_equal(memory.warm.count, 0);
	connection_memory_deinit(&memory);
}

static void the_walker_sees_a_wrong_count(void **state) {
	(void)state;
	struct connection_memory memory;
	assert_int_equal(connection_memory_init(&memory, BUDGET), SNUG_OK);
	void *record = connection_cell_take(&memory, CELL_RECORD, CELLS_SHARED);
	memory.chunk[memory.partial[CELL_RECORD].first].free[0] ^= 2;
	assert_string_equal(connection_memory_check(&memory), "M1");
	memory.chunk[memory.partial[CELL_RECORD].first].free[0] ^= 2;
	memory.used_count++;
	assert_string_equal(connection_memory_check(&memory), "M2");
	memory.used_count--;
	connection_cell_give(&memory, CELL_RECORD, record);
	assert_lawful(&memory);
	connection_memory_deinit(&memory);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_is_alone_may_hold_half),
		cmocka_unit_test(those_who_hold_leave_some),
		cmocka_unit_test(what_is_left_is_never_more_than_there_is),
		cmocka_unit_test(little_memory_has_fewer_records),
		cmocka_unit_test(random_takes_and_gives_keep_the_laws),
		cmocka_unit_test(the_reserve_is_for_those_who_may),
		cmocka_unit_test(what_is_borrowed_counts),
		cmocka_unit_test(what_was_not_needed_for_a_second_goes_back),
		cmocka_unit_test(the_walker_sees_a_wrong_count),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
