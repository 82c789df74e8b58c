/* test_history.c: the rings of http/http_history.h: what they keep, in which order, with which times;
 * what is read out of `stats`, and what is none of it. */
#include "http/http_history.h"
#include "unit/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS UINT64_C(1000000000)

static struct server server;
static struct history *history;

static int make(void **state) {
	(void)state;
	history = calloc(1, sizeof *history);
	assert_non_null(history);
	history_init(history, &server);
	return 0;
}

static int end(void **state) {
	(void)state;
	history_deinit(history);
	free(history);
	return 0;
}

static void add(uint64_t at_s, uint64_t items) {
	struct history_look look = {.at_ns = at_s * SECOND_NS};
	look.figure[HISTORY_curr_items] = items;
	look.figure[HISTORY_snug_external_fragmentation] = 250001;
	history_add(history, &look);
}

/* The numbers behind "name":[ of the first ring, or of the second. */
static uint32_t numbers(uint32_t ring, const char *name, uint64_t now_s, double *out) {
	static char copy[HISTORY_ANSWER_BYTES];
	struct text text = {0};
	char wanted[64];
	uint32_t count = 0;
	history_write(history, now_s * SECOND_NS, &text);
	assert_false(text.failed);
	assert_true(text.length < sizeof copy);
	memcpy(copy, text.bytes, text.length);
	copy[text.length] = '\0';
	text_deinit(&text);
	const char *at = ring == 0 ? copy : strstr(copy, "\"minutes\"");
	(void)snprintf(wanted, sizeof wanted, "\"%s\":[", name);
	at = strstr(at, wanted);
	assert_non_null(at);
	at += strlen(wanted);
	while (*at != ']') {
		int read = 0;
		assert_int_equal(1, sscanf(at, "%lf%n", &out[count], &read));
		count++;
		at += read;
		if (*at == ',') at++;
	}
	return count;
}

static double found[HISTORY_MINUTES + 1];

static void test_empty_is_json_too(void **state) {
	(void)state;
	assert_int_equal(0, numbers(0, "ago_ms", 5, found));
	assert_int_equal(0, numbers(1, "bytes", 5, found));
}

static void test_keeps_the_last_seconds_in_order(void **state) {
	(void)state;
	for (uint64_t second = 1; second <= HISTORY_SECONDS + 7; second++) add(second, 1000 + second);
	assert_int_equal(HISTORY_SECONDS, numbers(0, "curr_items", HISTORY_SECONDS + 9, found));
	for (uint32_t i = 0; i < HISTORY_SECONDS; i++) assert_true(found[i] == 1008 + i);
	assert_int_equal(HISTORY_SECONDS, numbers(0, "ago_ms", HISTORY_SECONDS + 9, found));
	assert_true(found[0] == 1000.0 * (HISTORY_SECONDS + 1));
	assert_true(found[HISTORY_SECONDS - 1] == 2000);
	(void)numbers(0, "snug_external_fragmentation", 400, found);
	assert_true(found[0] > 0.25 && found[0] < 0.250002);
}

static void test_keeps_one_look_of_each_minute(void **state) {
	(void)state;
	for (uint64_t second = 0; second < 60 * 5; second++) add(1000 + second, second);
	assert_int_equal(5, numbers(1, "curr_items", 1300, found));
	for (uint32_t i = 0; i < 5; i++) assert_true(found[i] == 60 * i);
	add(1000 + 3600, 77); /* an hour without looks is a hole, not sixty looks */
	assert_int_equal(6, numbers(1, "ago_ms", 4600, found));
	assert_true(found[5] == 0 && found[4] == 1000.0 * (3600 - 240));
}

static void test_keeps_a_day(void **state) {
	(void)state;
	for (uint64_t minute = 0; minute < HISTORY_MINUTES + 30; minute++) add(60 * minute, minute);
	assert_int_equal(HISTORY_MINUTES, numbers(1, "curr_items", 60 * 1500, found));
	assert_true(found[0] == 30 && found[HISTORY_MINUTES - 1] == HISTORY_MINUTES + 29);
}

static void test_the_largest_answer_is_as_large_as_said(void **state) {
	(void)state;
	struct history_look look = {0};
	struct text text = {0};
	for (size_t i = 0; i < HISTORY_FIGURE_COUNT; i++) look.figure[i] = UINT64_MAX;
	look.figure[HISTORY_snug_external_fragmentation] = 1000000;
	for (uint64_t minute = 0; minute <= HISTORY_MINUTES; minute++) {
		look.at_ns = 60 * SECOND_NS * minute;
		history_add(history, &look);
	}
	history_write(history, UINT64_MAX, &text);
	assert_true(text.length <= HISTORY_ANSWER_BYTES);
	assert_true(text.length > HISTORY_ANSWER_BYTES / 2);
	text_deinit(&text);
}

static bool read(const char *answer, struct history_look *look) {
	struct text text = {0};
	text_append(&text, answer, strlen(answer));
	bool is_read = history_read(&text, look);
	text_deinit(&text);
	return is_read;
}

static void test_reads_what_stats_tells(void **state) {
	(void)state;
	struct history_look look = {.at_ns = 9};
	assert_true(read("STAT pid 3\r\nSTAT uptime 12\r\nSTAT bytes 345\r\nSTAT bytes_read 6\r\n"
					 "STAT snug_external_fragmentation 0.012345\r\nEND\r\n",
					 &look));
	assert_int_equal(9, look.at_ns);
	assert_int_equal(12, look.figure[HISTORY_uptime]);
	assert_int_equal(345, look.figure[HISTORY_bytes]);
	assert_int_equal(12345, look.figure[HISTORY_snug_external_fragmentation]);
	assert_int_equal(0, look.figure[HISTORY_get_hits]);
}

static void test_refuses_what_is_no_answer(void **state) {
	(void)state;
	struct history_look look = {.at_ns = 9, .figure = {1, 2}};
	const struct history_look before = look;
	static const char *const wrong[] = {
		"",
		"SERVER_ERROR the workers do not answer\r\n",
		"STAT pid 3\r\nEND\r\n",
		"STAT uptime 12\r\nSTAT bytes many\r\nEND\r\n",
		"STAT uptime 12\r\nSTAT bytes 99999999999999999999999\r\nEND\r\n",
		"STAT uptime 12\r\nSTAT snug_external_fragmentation 0.01\r\nEND\r\n",
		"STAT uptime 12\r\nSTAT snug_external_fragmentation 0.12345x\r\nEND\r\n",
	};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		assert_false(read(wrong[i], &look));
		assert_memory_equal(&before, &look, sizeof look);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_empty_is_json_too, make, end),
		cmocka_unit_test_setup_teardown(test_keeps_the_last_seconds_in_order, make, end),
		cmocka_unit_test_setup_teardown(test_keeps_one_look_of_each_minute, make, end),
		cmocka_unit_test_setup_teardown(test_keeps_a_day, make, end),
		cmocka_unit_test_setup_teardown(test_the_largest_answer_is_as_large_as_said, make, end),
		cmocka_unit_test(test_reads_what_stats_tells),
		cmocka_unit_test(test_refuses_what_is_no_answer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
