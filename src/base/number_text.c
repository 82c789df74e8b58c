/* base/number_text.c: see number_text.h. A quantity is digits, perhaps a point and more digits, and
 * a unit out of a table. It is computed in whole numbers: what floating point would round, such as
 * 0.1 of a TiB, is here the same on every machine. */
#include "base/number_text.h"

#include <stdio.h>
#include <string.h>

struct unit {
	const char *name; /* small letters */
	uint64_t count;
};

#define MOST_FRACTION_DIGITS 9u /* further ones are less than any step */

static char lower(char letter) {
	return letter >= 'A' && letter <= 'Z' ? (char)(letter + 'a' - 'A') : letter;
}

static bool is_name(const char *name, const char *text, size_t length) {
	size_t at = 0;
	for (; at < length && name[at] != '\0'; at++)
		if (lower(text[at]) != name[at]) return false;
	return at == length && name[at] == '\0';
}

/* 0: no such unit. */
static uint64_t find_unit(const struct unit *units, const char *text, size_t length) {
	for (; units->name != NULL; units++)
		if (is_name(units->name, text, length)) return units->count;
	return 0;
}

/* ".25": 25 of 100. How long it is; 0: there is none. */
static size_t scan_fraction(const char *text, size_t length, uint64_t *part, uint64_t *whole) {
	size_t at = 1;
	*part = 0;
	*whole = 1;
	if (length < 2 || text[0] != '.') return 0;
	for (; at < length && text[at] >= '0' && text[at] <= '9'; at++) {
		if (at > MOST_FRACTION_DIGITS) continue;
		*part = *part * 10 + (uint64_t)(text[at] - '0');
		*whole *= 10;
	}
	return at > 1 ? at : 0;
}

/* part / whole of the unit, cut off; both are at most a billion, so that nothing here overflows. */
static uint64_t share_of(uint64_t unit, uint64_t part, uint64_t whole) {
	return unit / whole * part + unit % whole * part / whole;
}

static bool read_quantity(const char *text, size_t length, const struct unit *units, uint64_t bare,
						  uint64_t *out) {
	uint64_t number, part, whole, product, sum;
	size_t at = number_scan(text, length, 10, &number);
	if (at == 0) return false;
	at += scan_fraction(text + at, length - at, &part, &whole);
	uint64_t unit = at == length ? bare : find_unit(units, text + at, length - at);
	if (unit == 0 || (unit == 1 && whole > 1)) return false;
	if (__builtin_mul_overflow(number, unit, &product)) return false;
	if (__builtin_add_overflow(product, share_of(unit, part, whole), &sum)) return false;
	*out = sum;
	return true;
}

bool number_read_size(const char *text, size_t length, uint64_t bare_bytes, uint64_t *bytes) {
#define UNITS_OF(letter, shift)                                 \
	{letter, 1ull << (shift)}, {letter "b", 1ull << (shift)}, { \
		letter "ib", 1ull << (shift)                            \
	}
	static const struct unit units[] = {{"b", 1},          UNITS_OF("k", 10), UNITS_OF("m", 20),
										UNITS_OF("g", 30), UNITS_OF("t", 40), {NULL, 0}};
#undef UNITS_OF
	uint64_t value;
	if (!read_quantity(text, length, units, bare_bytes, &value) || value >= NUMBER_SIZE_END)
		return false;
	*bytes = value;
	return true;
}

bool number_read_time(const char *text, size_t length, uint64_t bare_ns, uint64_t *ns) {
	static const struct unit units[] = {{"ns", 1},
										{"us", 1000},
										{"ms", 1000000},
										{"s", NUMBER_SECOND_NS},
										{"m", 60 * NUMBER_SECOND_NS},
										{"h", 3600 * NUMBER_SECOND_NS},
										{"d", 86400 * NUMBER_SECOND_NS},
										{NULL, 0}};
	return read_quantity(text, length, units, bare_ns, ns);
}

bool number_read_seconds(const char *text, size_t length, uint64_t *seconds) {
	uint64_t ns;
	if (!number_read_time(text, length, NUMBER_SECOND_NS, &ns) || ns % NUMBER_SECOND_NS != 0)
		return false;
	*seconds = ns / NUMBER_SECOND_NS;
	return true;
}

bool number_read_share(const char *text, size_t length, uint64_t *ppm) {
	static const struct unit units[] = {{"%", NUMBER_PPM_PER_CENT}, {NULL, 0}};
	return read_quantity(text, length, units, NUMBER_PPM_PER_CENT, ppm);
}

struct number_size number_size(uint64_t bytes) {
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	struct number_size out;
	double value = (double)bytes;
	size_t unit = 0;
	for (; value >= 1024 && unit + 1 < sizeof units / sizeof units[0]; unit++) value /= 1024;
	if (unit == 0)
		(void)snprintf(out.text, sizeof out.text, "%u B", (unsigned)bytes);
	else
		(void)snprintf(out.text, sizeof out.text, "%.*f %s", value < 10 ? 2 : 1, value,
					   units[unit]);
	return out;
}
