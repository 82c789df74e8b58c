/* test_replay_parts.c: what the program's verdicts rest on, tested from inside: that the pattern
 * finds one wrong byte wherever it lies and however the object is cut, that the ledger finds its
 * entries, that sizes come out as published. */
#include "ledger/ledger.h"
#include "ledger/pattern.h"
#include "units.h"
#include "workloads/sizes.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OBJECT_BYTES ((size_t)203)

static void write_in_pieces(const struct pattern *pattern, unsigned char *object,
							size_t piece_bytes) {
	for (size_t offset = 0; offset < OBJECT_BYTES; offset += piece_bytes) {
		size_t length = OBJECT_BYTES - offset < piece_bytes ? OBJECT_BYTES - offset : piece_bytes;
		pattern_write(pattern, offset, object + offset, length);
	}
}

static bool matches_in_pieces(const struct pattern *pattern, const unsigned char *object,
							  size_t piece_bytes) {
	bool matches = true;
	for (size_t offset = 0; offset < OBJECT_BYTES; offset += piece_bytes) {
		size_t length = OBJECT_BYTES - offset < piece_bytes ? OBJECT_BYTES - offset : piece_bytes;
		matches = pattern_matches(pattern, offset, object + offset, length) && matches;
	}
	return matches;
}

static void test_pattern_does_not_depend_on_the_cuts(void **state) {
	(void)state;
	struct pattern pattern = pattern_of(object_header(77, 3), 1);
	unsigned char whole[OBJECT_BYTES], cut[OBJECT_BYTES];
	pattern_write(&pattern, 0, whole, sizeof whole);
	for (size_t piece_bytes = 1; piece_bytes <= OBJECT_BYTES; piece_bytes++) {
		memset(cut, 0xee, sizeof cut);
		write_in_pieces(&pattern, cut, piece_bytes);
		assert_memory_equal(cut, whole, sizeof whole);
		assert_true(matches_in_pieces(&pattern, cut, piece_bytes));
	}
	uint64_t header;
	memcpy(&header, whole, sizeof header);
	assert_int_equal(header, object_header(77, 3));
}

static void test_pattern_finds_every_wrong_bit(void **state) {
	(void)state;
	struct pattern pattern = pattern_of(object_header(5, 1), 9);
	unsigned char object[OBJECT_BYTES];
	pattern_write(&pattern, 0, object, sizeof object);
	for (size_t byte = 0; byte < OBJECT_BYTES; byte++)
		for (unsigned bit = 0; bit < 8; bit++) {
			object[byte] ^= (unsigned char)(1u << bit);
			assert_false(pattern_matches(&pattern, 0, object, sizeof object));
			assert_false(matches_in_pieces(&pattern, object, 13));
			object[byte] ^= (unsigned char)(1u << bit);
		}
	assert_true(pattern_matches(&pattern, 0, object, sizeof object));
}

static void test_pattern_tells_objects_and_seeds_apart(void **state) {
	(void)state;
	struct pattern pattern = pattern_of(object_header(5, 1), 9);
	struct pattern older = pattern_of(object_header(5, 0), 9);
	struct pattern other_seed = pattern_of(object_header(5, 1), 10);
	unsigned char object[OBJECT_BYTES];
	pattern_write(&older, 0, object, sizeof object);
	assert_false(pattern_matches(&pattern, 0, object, sizeof object));
	pattern_write(&other_seed, 0, object, sizeof object);
	assert_false(pattern_matches(&pattern, 0, object, sizeof object));
}

static void test_ledger_keeps_count(void **state) {
	(void)state;
	struct ledger ledger;
	struct random random;
	uint64_t live_bytes = 0;
	random_init(&random, 4, 0);
	ledger_init(&ledger, 1000);
	for (int i = 0; i < 20000; i++) {
		uint32_t choice = random_below(&random, 10);
		if (choice < 5 && ledger_count(&ledger) < 1000) {
			uint32_t index = ledger_take(&ledger);
			assert_int_not_equal(index, ENTRY_NONE);
			ledger_add(&ledger, index, 1 + index, 10 + choice);
			live_bytes += 10 + choice;
		} else if (choice < 8 && ledger.movable.count > 0) {
			uint32_t index = ledger.movable.index[random_below(&random, ledger.movable.count)];
			assert_int_equal(ledger.entries[index].name, 1 + index);
			live_bytes -= ledger.entries[index].size;
			ledger_remove(&ledger, index);
		} else if (choice == 8 && ledger.movable.count > 0) {
			ledger_pin(&ledger, ledger.movable.index[random_below(&random, ledger.movable.count)]);
		} else if (choice == 9 && ledger.pinned.count > 0) {
			ledger_unpin(&ledger, ledger.pinned.index[random_below(&random, ledger.pinned.count)]);
		}
		assert_int_equal(ledger.live_bytes, live_bytes);
		assert_true(ledger.used <= 1000);
	}
	assert_true(ledger_touched_bytes(&ledger) >= ledger.used * sizeof(struct entry));
}

static void test_full_ledger_refuses(void **state) {
	(void)state;
	struct ledger ledger;
	ledger_init(&ledger, 2);
	uint32_t first = ledger_take(&ledger);
	assert_int_equal(ledger_take(&ledger), 1);
	assert_int_equal(ledger_take(&ledger), ENTRY_NONE);
	ledger_give_back(&ledger, first);
	assert_int_equal(ledger_take(&ledger), first);
	assert_int_equal(ledger.entries[first].stamp, 2);
}

static double drawn_mean(const struct sizes *sizes, size_t draws) {
	struct random random;
	double sum = 0;
	random_init(&random, 1, 1);
	for (size_t i = 0; i < draws; i++) sum += (double)sizes_draw(sizes, &random, 1u << 30);
	return sum / (double)draws;
}

static void test_sizes_have_their_means(void **state) {
	(void)state;
	const struct sizes uniform = {.kind = SIZES_UNIFORM, .low_bytes = 100, .high_bytes = 150};
	const struct sizes lognormal = {.kind = SIZES_LOGNORMAL, .low_bytes = 1000};
	const struct sizes mixture = {.kind = SIZES_MIXTURE, .low_bytes = 256, .high_bytes = 65536};
	const struct sizes *all[] = {&uniform, &lognormal, &mixture, &sizes_meta_kvcache,
								 &sizes_meta_graph};
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		double mean = sizes_mean(all[i]);
		assert_true(fabs(drawn_mean(all[i], 2000000) - mean) < .03 * mean);
	}
	/* The means of the published tables: rows are below them, because their sizes are upper
	 * bounds. */
	assert_true(fabs(sizes_mean(&sizes_meta_kvcache) - 335.2) < 20);
	assert_true(fabs(sizes_mean(&sizes_meta_graph) - 341.2) < 20);
}

static void test_sizes_stay_in_range(void **state) {
	(void)state;
	const struct sizes tiny = {.kind = SIZES_FIXED, .low_bytes = 1};
	struct random random;
	random_init(&random, 1, 1);
	assert_int_equal(sizes_draw(&tiny, &random, 1000), OBJECT_MIN_BYTES);
	for (int i = 0; i < 100000; i++) {
		size_t size = sizes_draw(&sizes_meta_kvcache, &random, 5000);
		assert_in_range(size, OBJECT_MIN_BYTES, 5000);
	}
}

static void test_figures_are_written_for_people(void **state) {
	(void)state;
	assert_string_equal(bytes_text(1536).text, "1.50 KiB");
	assert_string_equal(count_text(1234567).text, "1,234,567");
	assert_string_equal(duration_text(12300000).text, "12.3 ms");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pattern_does_not_depend_on_the_cuts),
		cmocka_unit_test(test_pattern_finds_every_wrong_bit),
		cmocka_unit_test(test_pattern_tells_objects_and_seeds_apart),
		cmocka_unit_test(test_ledger_keeps_count),
		cmocka_unit_test(test_full_ledger_refuses),
		cmocka_unit_test(test_sizes_have_their_means),
		cmocka_unit_test(test_sizes_stay_in_range),
		cmocka_unit_test(test_figures_are_written_for_people),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
