/* cache/rank/ghosts.c: finding a ghost in its set.
 *
 * The fingerprint is the hash's upper bits, the set its lower ones. Both of a ghost's parts 0 would
 * mean "none", so the fingerprint is never 0.
 *
 *     set    hash mod 2^(n+1); if there are not so many yet, hash mod 2^n
 *     word   | ghost | ghost | ghost | ghost |   four lanes of 16 bits, compared at once: xor with
 *                                                the fingerprint makes the one that is sought 0
 *
 * The lowest lane that is 0 is found by what borrowing does to its upper bit (Mycroft's test for a
 * zero byte). So a set of 32 is searched by eight steps, and nothing but it is touched: one cache
 * miss. Remembering moves the others one place on, and recalling moves what lies behind one place
 * back: a set has no holes.
 *
 * GROWING copies the set that is split, whole: half of the copies are never found, and are written
 * over in time. To sort them would need the hashes, which are not kept. SHRINKING forgets the last
 * sets. */
#include "cache/rank/ghosts.h"

#include "base/assert.h"
#include "base/bits.h"

#include <string.h>

#define GRAIN_SETS (GHOST_GRAIN_BYTES / (GHOST_SET * sizeof(ghost)))
#define GRAIN_GHOSTS (GRAIN_SETS * GHOST_SET)

void ghosts_init(struct ghosts *ghosts, void *memory) {
	*ghosts = (struct ghosts){.table = memory};
}

enum ghosts_fit ghosts_fit(const struct ghosts *ghosts, uint64_t limit_bytes, uint64_t items) {
	uint64_t count = ghosts->sets * GHOST_SET, wanted = ghosts_wanted(limit_bytes, items);
	size_t bytes = ghosts_bytes(ghosts);
	if (ghosts->table == NULL) return GHOSTS_FIT;
	if (count + GRAIN_GHOSTS / 2 <= wanted &&
		bytes + GHOST_GRAIN_BYTES <= ghosts_most_bytes(limit_bytes))
		return GHOSTS_GROW;
	/* Not at once, because the number of objects is never quite steady. */
	return count > wanted + wanted / 8 + 2 * GRAIN_GHOSTS || bytes > ghosts_most_bytes(limit_bytes)
			   ? GHOSTS_SHRINK
			   : GHOSTS_FIT;
}

static void set_count(struct ghosts *ghosts, uint64_t sets) {
	SNUG_ASSERT(sets % GRAIN_SETS == 0);
	ghosts->sets = sets;
	ghosts->low_mask = sets == 0 ? 0 : ((uint64_t)1 << bit_highest(sets)) - 1;
}

void ghosts_grow(struct ghosts *ghosts) {
	uint64_t sets = ghosts->sets, low = ghosts->low_mask + 1;
	SNUG_ASSERT(ghosts->table != NULL);
	ghost *grain = &ghosts->table[sets * GHOST_SET];
	if (sets == 0)
		memset(grain, 0, GHOST_GRAIN_BYTES);
	else
		memcpy(grain, &ghosts->table[(sets - low) * GHOST_SET], GHOST_GRAIN_BYTES);
	set_count(ghosts, sets + GRAIN_SETS);
}

void ghosts_shrink(struct ghosts *ghosts) {
	SNUG_ASSERT(ghosts->sets >= GRAIN_SETS);
	set_count(ghosts, ghosts->sets - GRAIN_SETS);
}

static ghost fingerprint_of(uint64_t hash) {
	uint32_t upper = (uint32_t)(hash >> (64 - 16 + GHOST_CLASS_BITS));
	return (ghost)((upper == 0 ? 1 : upper) << GHOST_CLASS_BITS);
}

#define FINGERPRINT_MASK ((ghost)(UINT16_MAX << GHOST_CLASS_BITS))
#define EACH_GHOST UINT64_C(0x0001000100010001) /* of the four in a word */
#define WORD_GHOSTS 4u

/* The first place with this fingerprint, or GHOST_SET. */
static uint32_t place_of(const ghost *set, ghost fingerprint) {
	for (uint32_t place = 0; place < GHOST_SET; place += WORD_GHOSTS) {
		uint64_t word;
		memcpy(&word, &set[place], sizeof word);
		word = (word & FINGERPRINT_MASK * EACH_GHOST) ^ fingerprint * EACH_GHOST;
		uint64_t zeros = (word - EACH_GHOST) & ~word & EACH_GHOST << 15;
		if (zeros != 0) return place + bit_lowest(zeros) / 16;
	}
	return GHOST_SET;
}

void ghosts_remember(struct ghosts *ghosts, uint64_t hash, uint32_t class) {
	SNUG_ASSERT(class < 1u << GHOST_CLASS_BITS);
	if (ghosts->sets == 0) return;
	ghost *set = ghosts_set(ghosts, hash);
	memmove(set + 1, set, (GHOST_SET - 1) * sizeof(ghost));
	set[0] = (ghost)(fingerprint_of(hash) | class);
}

bool ghosts_recall(struct ghosts *ghosts, uint64_t hash, struct recalled *out) {
	if (ghosts->sets == 0) return false;
	ghost *set = ghosts_set(ghosts, hash);
	uint32_t place = place_of(set, fingerprint_of(hash));
	if (place == GHOST_SET) return false;
	*out = (struct recalled){.class = set[place] & ((1u << GHOST_CLASS_BITS) - 1),
							 .evictions = place * ghosts->sets};
	memmove(set + place, set + place + 1, (GHOST_SET - 1 - place) * sizeof(ghost));
	set[GHOST_SET - 1] = 0;
	SNUG_ASSERT(out->class < 1u << GHOST_CLASS_BITS);
	return true;
}
