/* base/grown.h: structs of callers that were compiled against older or newer headers.
 *
 *     struct_bytes | members of 0.1.0 | members that came later | members that are not known here
 *
 * A struct that a caller gives and that may grow begins with its size. What it is too short for
 * keeps the default, which must mean "as before". What it has too much must be zero, for zero means
 * that nothing is asked. A struct that contains such a one has it as its last member, so that it
 * grows with it; its own new members take the place of `reserved`, which must be zero as well. */
#ifndef SNUG_BASE_GROWN_H
#define SNUG_BASE_GROWN_H

#include <stdbool.h>
#include <stddef.h>

/* No struct is larger: whoever says so has not initialised it. */
#define GROWN_BYTES_MAX ((size_t)4096)

/* Writes as much of the defaults as the caller's struct has room for, zeros behind them, and its
 * size. */
void grown_init(void *made, size_t made_bytes, const void *defaults, size_t known_bytes);

/* The size of the part that begins at `offset` and ends with the whole. */
void grown_init_part(void *made, size_t made_bytes, size_t offset);

/* Writes what the caller's struct says over the defaults in `known`. False: it was not initialised,
 * or asks for what is not known. */
bool grown_read(const void *given, void *known, size_t known_bytes);

bool grown_is_zero(const void *bytes, size_t count);

#endif
