/* pattern.h: the bytes that every object holds.
 *
 * The first 8 are its header (entry and stamp, ledger.h); word k after it is seed_word + k * odd
 * constant, where seed_word is the header mixed with the run's seed. So a byte depends on the seed,
 * the object and its position, and writing runs at some 8 bytes a cycle. Objects may lie in several
 * extents that end anywhere, so a pattern can begin at any offset. */
#ifndef REPLAY_PATTERN_H
#define REPLAY_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pattern {
	uint64_t header;
	uint64_t seed_word;
};

struct pattern pattern_of(uint64_t header, uint64_t seed);

/* Bytes [offset, offset + length) of the object, at `data`. */
void pattern_write(const struct pattern *pattern, size_t offset, void *data, size_t length);
bool pattern_matches(const struct pattern *pattern, size_t offset, const void *data, size_t length);

#endif
