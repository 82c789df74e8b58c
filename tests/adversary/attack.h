/* attack.h: what the adversary does to a heap, as a short list of steps that can be printed, read
 * back, and changed at random.
 *
 *     fill plain 500 500 1000; keep every 3 0; ask plain 20 20 64
 *
 *     fill STORAGE LOW HIGH SHARE   objects of LOW to HIGH bytes until refused, at most SHARE
 *                                   thousandths of the limit
 *     ask STORAGE LOW HIGH COUNT    at most COUNT objects, until refused
 *     free, keep PATTERN N M        frees those that the pattern names, or all others
 *     pin PATTERN N M               pins them
 *     unpin, drop, compact, shuffle all pins, all objects, a defragmentation, the order of objects
 *     charge N, discharge           N pages of the owner's, one by one, until refused; all of them back
 *     resize PATTERN N BYTES        changes the size of each Nth
 *
 *     PATTERN: every N M (each Nth, M from the first), chance N M (N in 1000), page N M (one of each
 *              page), first N M, last N M (N in 1000 of them) */
#ifndef SNUG_TEST_ATTACK_H
#define SNUG_TEST_ATTACK_H

#include "support/bound.h"
#include "support/test_random.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCRIPT_STEPS_MAX 24
#define SCRIPT_TEXT_ROOM 2048

#define SCRIPT_VERBS(X)   \
	X(FILL, "fill")       \
	X(ASK, "ask")         \
	X(FREE, "free")       \
	X(KEEP, "keep")       \
	X(PIN, "pin")         \
	X(UNPIN, "unpin")     \
	X(DROP, "drop")       \
	X(COMPACT, "compact") \
	X(SHUFFLE, "shuffle") \
	X(RESIZE, "resize")   \
	X(CHARGE, "charge")   \
	X(DISCHARGE, "discharge")

#define SCRIPT_PATTERNS(X) \
	X(EVERY, "every")      \
	X(CHANCE, "chance")    \
	X(PAGE, "page")        \
	X(FIRST, "first")      \
	X(LAST, "last")

enum script_verb {
#define SCRIPT_VERB(name, text) VERB_##name,
	SCRIPT_VERBS(SCRIPT_VERB)
#undef SCRIPT_VERB
		VERB_COUNT
};

enum script_pattern {
#define SCRIPT_PATTERN(name, text) PATTERN_##name,
	SCRIPT_PATTERNS(SCRIPT_PATTERN)
#undef SCRIPT_PATTERN
		PATTERN_COUNT
};

struct script_step {
	enum script_verb verb;
	enum bound_storage storage; /* of fill and ask */
	enum script_pattern pattern;
	uint32_t a; /* low bytes, or the pattern's N */
	uint32_t b; /* high bytes, or the pattern's M, or the new size */
	uint32_t c; /* share, or count of objects or pages */
};

struct script {
	uint32_t count;
	struct script_step steps[SCRIPT_STEPS_MAX];
};

/* Sizes are drawn from 1 to `largest`; with `least` bytes at least, so that there are not too many
 * objects. */
struct script_sizes {
	uint32_t least;
	uint32_t largest;
	uint32_t page_bytes;
};

void script_make(struct script *script, const struct script_sizes *sizes, test_random *random);
void script_change(struct script *script, const struct script_sizes *sizes, test_random *random);

/* Into SCRIPT_TEXT_ROOM bytes. */
void script_print(const struct script *script, char *text);
/* False: it is no script. */
bool script_read(struct script *script, const char *text);

#endif
