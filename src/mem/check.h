/* mem/check.h: the walkers. Each counts again from primary data (bitmaps, trailers, entries) and compares with what is stored. They
 * change nothing and never abort; the first broken law is reported by its number in docs/invariants.md. */
#ifndef SNUG_MEM_CHECK_H
#define SNUG_MEM_CHECK_H

#include "mem/types.h"

struct check {
	const snug_pools *pools;
	bool broken;
	snug_check_result result;
};

/* Notes that `law` is broken if stored and counted differ (or the condition fails). False once any law is broken. */
bool check_equal(struct check *check, const char *law, const char *what, uint64_t stored, uint64_t counted);
bool check_that(struct check *check, const char *law, const char *what, uint64_t where, bool condition);

bool check_arena(struct check *check);
bool check_slabs(struct check *check);
bool check_objects(struct check *check);

#endif
