/* units.c: see units.h. */
#include "units.h"

#include "base/number_text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool parse_real(const char *text, double *out) {
	char *end;
	errno = 0;
	double value = strtod(text, &end);
	if (end == text || *end != '\0' || errno != 0 || !isfinite(value) || value < 0) return false;
	*out = value;
	return true;
}

struct unit_text bytes_text(uint64_t bytes) {
	struct unit_text out;
	_Static_assert(sizeof out.text == NUMBER_SIZE_ROOM, "the same text");
	memcpy(out.text, number_size(bytes).text, sizeof out.text);
	return out;
}

struct unit_text duration_text(uint64_t nanoseconds) {
	static const char *const units[] = {"us", "ms", "s"};
	struct unit_text out;
	if (nanoseconds < 1000) {
		snprintf(out.text, sizeof out.text, "%u ns", (unsigned)nanoseconds);
		return out;
	}
	double value = (double)nanoseconds / 1000;
	size_t unit = 0;
	for (; value >= 1000 && unit + 1 < sizeof units / sizeof units[0]; unit++) value /= 1000;
	snprintf(out.text, sizeof out.text, "%.*f %s", value < 10 ? 2 : 1, value, units[unit]);
	return out;
}

struct unit_text uptime_text(uint64_t seconds) {
	struct unit_text out;
	unsigned long long days = seconds / 86400, hours = seconds / 3600 % 24;
	unsigned minutes = (unsigned)(seconds / 60 % 60);
	if (days > 0)
		snprintf(out.text, sizeof out.text, "%llu d %llu h", days, hours);
	else if (hours > 0)
		snprintf(out.text, sizeof out.text, "%llu h %u min", hours, minutes);
	else if (minutes > 0)
		snprintf(out.text, sizeof out.text, "%u min %u s", minutes, (unsigned)(seconds % 60));
	else
		snprintf(out.text, sizeof out.text, "%u s", (unsigned)seconds);
	return out;
}

struct unit_text share_text(double share) {
	struct unit_text out;
	snprintf(out.text, sizeof out.text, "%.1f %%", share * 100);
	return out;
}

struct unit_text count_text(uint64_t count) {
	struct unit_text out;
	char digits[UNIT_TEXT_ROOM];
	int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)count);
	size_t used = 0;
	for (int i = 0; i < length && used + 2 < sizeof out.text; i++) {
		if (i > 0 && (length - i) % 3 == 0) out.text[used++] = ',';
		out.text[used++] = digits[i];
	}
	out.text[used] = '\0';
	return out;
}

double ratio(uint64_t part, uint64_t whole) {
	return whole == 0 ? 0 : (double)part / (double)whole;
}
