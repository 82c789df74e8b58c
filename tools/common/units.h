/* units.h: bytes, shares and durations as people read them. */
#ifndef REPLAY_UNITS_H
#define REPLAY_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNIT_TEXT_ROOM ((size_t)24)

struct unit_text {
	char text[UNIT_TEXT_ROOM];
};

/* A number that is no count, such as an exponent. Counts and sizes are read by
 * base/number_text.h. */
bool parse_real(const char *text, double *out);

/* "256.0 MiB" */
struct unit_text bytes_text(uint64_t bytes);
/* "17 ns", "4.6 us", "12.3 ms", "1.20 s" */
struct unit_text duration_text(uint64_t nanoseconds);
/* "3 d 4 h", "5 min 6 s" */
struct unit_text uptime_text(uint64_t seconds);
/* "97.3 %" */
struct unit_text share_text(double share);
/* "1,234,567" */
struct unit_text count_text(uint64_t count);

/* part / whole, 0 of nothing. */
double ratio(uint64_t part, uint64_t whole);

#endif
