/* How numbers, sizes, times and shares are written: base/number_text.h. */
#include "base/number_text.h"
#include "cmocka_all.h"

#include <string.h>

#define UNTOUCHED UINT64_C(0xabcdef)

typedef bool reader(const char *text, size_t length, uint64_t *out);

struct good {
	const char *text;
	uint64_t value;
};

static void reads(reader *read, const struct good *good, size_t count) {
	for (size_t i = 0; i < count; i++) {
		uint64_t value = UNTOUCHED;
		if (!read(good[i].text, strlen(good[i].text), &value))
			fail_msg("'%s' is refused", good[i].text);
		if (value != good[i].value)
			fail_msg("'%s' is %llu", good[i].text, (unsigned long long)value);
		/* No further than the length: what stands behind is somebody else's. */
		char longer[64];
		strcpy(longer, good[i].text);
		strcat(longer, "7k");
		assert_true(read(longer, strlen(good[i].text), &value));
		assert_int_equal(value, good[i].value);
	}
}

static void refuses(reader *read, const char *const *bad, size_t count) {
	for (size_t i = 0; i < count; i++) {
		uint64_t value = UNTOUCHED;
		if (read(bad[i], strlen(bad[i]), &value)) fail_msg("'%s' is taken", bad[i]);
		if (value != UNTOUCHED) fail_msg("'%s' is refused, and written", bad[i]);
	}
}

#define REFUSES(read, ...)                            \
	refuses(read, (const char *const[]){__VA_ARGS__}, \
			sizeof(const char *const[]){__VA_ARGS__} / sizeof(const char *))

static bool read_bytes(const char *text, size_t length, uint64_t *out) {
	return number_read_size(text, length, 1, out);
}

static bool read_mebibytes(const char *text, size_t length, uint64_t *out) {
	return number_read_size(text, length, NUMBER_MIB, out);
}

static bool read_ns(const char *text, size_t length, uint64_t *out) {
	return number_read_time(text, length, NUMBER_SECOND_NS, out);
}

static void numbers_are_digits(void **state) {
	(void)state;
	reader *const read = number_read;
	reads(read,
		  (struct good[]){{"0", 0},
						  {"7", 7},
						  {"007", 7},
						  {"18446744073709551615", UINT64_MAX},
						  {"00000000000000000000001", 1}},
		  5);
	REFUSES(read, "", "-1", "+1", " 1", "1 ", "1k", "0x1", "1.0", "18446744073709551616",
			"99999999999999999999", "a", "/", ":");
}

static void digits_end_where_they_end(void **state) {
	(void)state;
	uint64_t value = UNTOUCHED;
	assert_int_equal(number_scan("770 ", 4, 8, &value), 3);
	assert_int_equal(value, 0770);
	assert_int_equal(number_scan("78", 2, 8, &value), 1);
	assert_int_equal(value, 7);
	assert_int_equal(number_scan("fFg", 3, 16, &value), 2);
	assert_int_equal(value, 255);
	assert_int_equal(number_scan("@G`g", 4, 16, &value), 0);
	assert_int_equal(number_scan("1777777777777777777777", 22, 8, &value), 22);
	assert_true(value == UINT64_MAX);
	assert_int_equal(number_scan("2000000000000000000000", 22, 8, &value), 0);
	assert_true(value == UINT64_MAX);
	assert_int_equal(number_leading("12 of 30"), 12);
	assert_int_equal(number_leading("no"), 0);
}

static void what_is_written_is_read(void **state) {
	(void)state;
	uint64_t number = 0;
	for (int i = 0; i < 200; i++, number = number * 3 + 7) {
		char text[NUMBER_DIGITS_MAX];
		uint64_t again;
		size_t length = number_write(number, text);
		assert_in_range(length, 1, NUMBER_DIGITS_MAX);
		assert_true(number_read(text, length, &again));
		assert_true(again == number);
	}
}

static void sizes_have_binary_units(void **state) {
	(void)state;
	static const struct good sizes[] = {
		{"0", 0},
		{"4096", 4096},
		{"64k", 65536},
		{"64K", 65536},
		{"256M", 256u << 20},
		{"1.5G", 3u << 29},
		{"1MiB", 1u << 20},
		{"1mb", 1u << 20},
		{"2t", 2ull << 40},
		{"0.1t", 109951162777},                 /* 109951162777.6 */
		{"1.0000000009k", 1024},                /* less than a byte */
		{"0.0000000000000000000000000001g", 0}, /* and more digits than can matter */
		{"1.3k", 1331},
		{"4194303t", 4194303ull << 40},
		{"4611686018427387903", (1ull << 62) - 1},
	};
	reads(read_bytes, sizes, sizeof sizes / sizeof *sizes);
	REFUSES(read_bytes, "", "M", "-1", "12Q", "1MM", "1 M", "0x10", "1e30", "nan", "1.5", "1.",
			"1.k", ".5k", "1.5.1k", "1.5b", "1bib", "1kk", "1i", "1ki", "4194304t",
			"4611686018427387904", "18446744073709551615k", "18014398509481984k", "1%");
	static const struct good mebibytes[] = {{"64", 64u << 20},
											{"1.5", 3u << 19},
											{"4096B", 4096},
											{"1.5g", 3u << 29},
											{"512k", 1u << 19}};
	reads(read_mebibytes, mebibytes, sizeof mebibytes / sizeof *mebibytes);
}

static void times_have_units(void **state) {
	(void)state;
	static const struct good times[] = {{"60", 60000000000},
										{"0.5", 500000000},
										{"500ms", 500000000},
										{"7us", 7000},
										{"9ns", 9},
										{"1.5h", 5400000000000},
										{"2d", 172800000000000},
										{"30m", 1800000000000},
										{"1S", 1000000000}};
	reads(read_ns, times, sizeof times / sizeof *times);
	REFUSES(read_ns, "", "s", "-1s", "1x", "1k", "1 s", "1.5.5", "213504d", "18446744074");
	static const struct good seconds[] = {{"90", 90},     {"90s", 90},   {"1.5m", 90},
										  {"12h", 43200}, {"5000ms", 5}, {"0", 0}};
	reads(number_read_seconds, seconds, sizeof seconds / sizeof *seconds);
	REFUSES(number_read_seconds, "1.5", "1ms", "1x", "");
}

static void shares_are_per_cent(void **state) {
	(void)state;
	static const struct good shares[] = {{"3", 30000},     {"0.25", 2500}, {"12.5%", 125000},
										 {"100", 1000000}, {"0.00019", 1}, {"101", 1010000}};
	reads(number_read_share, shares, sizeof shares / sizeof *shares);
	REFUSES(number_read_share, "3\x05", "", "%", "1.x", "1%%", "-1", "1 %", "5k");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_digits),      cmocka_unit_test(digits_end_where_they_end),
		cmocka_unit_test(what_is_written_is_read), cmocka_unit_test(sizes_have_binary_units),
		cmocka_unit_test(times_have_units),        cmocka_unit_test(shares_are_per_cent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
