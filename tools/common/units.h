/* units.h: bytes, shares and durations as people write and read them. */
#ifndef REPLAY_UNITS_H
#define REPLAY_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNIT_TEXT_ROOM ((size_t)24)

struct unit_text {
	char text[UNIT_TEXT_ROOM];
};

/* "256M", "64k", "1.5G", "4096": binary multiples. False: not a size. */
bool parse_bytes(const char *text, uint64_t *out);
bool parse_count(const char *text, uint64_t *out);
bool parse_real(const char *text, double *out);

/* "256.0 MiB" */
struct unit_text bytes_text(uint64_t bytes);
/* "17 ns", "4.6 us", "12.3 ms", "1.20 s" */
struct unit_text duration_text(uint64_t nanoseconds);
/* "97.3 %" */
struct unit_text share_text(double share);
/* "1,234,567" */
struct unit_text count_text(uint64_t count);

/* part / whole, 0 of nothing. */
double ratio(uint64_t part, uint64_t whole);

#endif
