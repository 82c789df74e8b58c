/* player.h: plays a script on a heap of its own and holds each refusal against the bound. */
#ifndef SNUG_TEST_PLAYER_H
#define SNUG_TEST_PLAYER_H

#include "adversary/attack.h"

#include <snug/snug.h>

struct setting {
	size_t limit_bytes;
	size_t page_bytes;
	bool by_reference;
};

/* The refusal that left the most room for what it refused. */
struct outcome {
	uint64_t refusals;
	uint64_t judged;
	/* The worst of those that need not be contiguous: room less what was needed. Below 0 the law
	 * holds. */
	int64_t excess_bytes;
	uint64_t excess_asked_bytes;
	/* The most room beside a refusal of what must be contiguous, without pins: docs/bounds.md says
	 * how much that may be. */
	uint64_t contiguous_room_bytes;
	const char *wrong; /* NULL: no refusal was wrong */
	uint64_t wrong_bytes;
};

#define OUTCOME_NONE INT64_MIN /* of excess_bytes: nothing was refused */

/* `seed` decides what the script leaves to chance. All invariants are walked at the end. */
void play(const struct script *script, const struct setting *setting, uint64_t seed,
		  struct outcome *out);

/* What objects the scripts of a setting may ask for. */
struct script_sizes play_sizes(const struct setting *setting);

#endif
