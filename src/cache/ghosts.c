/* ghosts.c: see ghosts.h. The fingerprint is the hash's upper bits, the set its lower ones. Both of ghost's parts 0 would mean "none", so
 * the fingerprint is never 0. */
#include "cache/ghosts.h"

#include "base/assert.h"
#include "base/bits.h"

#define SET_BYTES (GHOST_SET * sizeof(ghost))

size_t ghosts_size(uint64_t limit_bytes) {
	uint64_t bytes = limit_bytes / GHOST_SHARE;
	if (bytes < SET_BYTES) return 0;
	return (size_t)1 << bit_highest(bytes);
}

void ghosts_init(struct ghosts *ghosts, void *memory, size_t bytes) {
	SNUG_ASSERT(bytes == 0 || (bytes >= SET_BYTES && is_power_of_two(bytes)));
	*ghosts = (struct ghosts){.table = bytes == 0 ? NULL : memory, .set_mask = bytes == 0 ? 0 : bytes / SET_BYTES - 1};
}

static ghost *set_of(const struct ghosts *ghosts, uint64_t hash) {
	return &ghosts->table[(hash & ghosts->set_mask) * GHOST_SET];
}

static ghost fingerprint_of(uint64_t hash) {
	uint32_t upper = (uint32_t)(hash >> (64 - 16 + GHOST_CLASS_BITS));
	return (ghost)((upper == 0 ? 1 : upper) << GHOST_CLASS_BITS);
}

/* GHOST_SET: none. */
static uint32_t place_of(const ghost *set, ghost bits, ghost mask) {
	uint32_t place = 0;
	while (place < GHOST_SET && (set[place] & mask) != bits) place++;
	return place;
}

#define FINGERPRINT_MASK ((ghost)(UINT16_MAX << GHOST_CLASS_BITS))

void ghosts_remember(struct ghosts *ghosts, uint64_t hash, uint32_t class) {
	SNUG_ASSERT(class < 1u << GHOST_CLASS_BITS);
	if (ghosts->table == NULL) return;
	ghost *set = set_of(ghosts, hash);
	ghost fingerprint = fingerprint_of(hash);
	uint32_t place = place_of(set, fingerprint, FINGERPRINT_MASK);
	if (place == GHOST_SET) place = place_of(set, 0, FINGERPRINT_MASK);
	if (place == GHOST_SET) place = ghosts->next++ % GHOST_SET;
	set[place] = (ghost)(fingerprint | class);
}

bool ghosts_recall(struct ghosts *ghosts, uint64_t hash, uint32_t *class) {
	if (ghosts->table == NULL) return false;
	ghost *set = set_of(ghosts, hash);
	uint32_t place = place_of(set, fingerprint_of(hash), FINGERPRINT_MASK);
	if (place == GHOST_SET) return false;
	*class = set[place] & ((1u << GHOST_CLASS_BITS) - 1);
	set[place] = 0;
	return true;
}
