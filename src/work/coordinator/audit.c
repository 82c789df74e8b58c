/* work/coordinator/audit.c: a sequence lock in each cell; see audit.h.
 *
 * The sequence contains the id, and not only a parity: so a reader that expects entry i knows entry
 * i + length in its place for what it is, and not for a torn i. Ids begin with 1 and have no gaps;
 * the last one is published after its entry stands. */
#include "work/coordinator/audit.h"

#include "base/assert.h"
#include "base/bits.h"

#include <stdlib.h>
#include <string.h>

bool audit_init(struct audit *audit, uint32_t length) {
	audit->cells = calloc(length, sizeof *audit->cells);
	audit->length = length;
	atomic_init(&audit->last_id, 0);
	return audit->cells != NULL;
}

void audit_deinit(struct audit *audit) {
	free(audit->cells);
}

void audit_write(struct audit *audit, snug_audit_entry *entry) {
	uint64_t words[AUDIT_WORDS];
	entry->id = atomic_load_explicit(&audit->last_id, memory_order_relaxed) + 1;
	memcpy(words, entry, sizeof words);
	struct audit_cell *cell = &audit->cells[entry->id % audit->length];
	/* nobody else writes, and this one is the oldest */
	SNUG_ASSERT(atomic_load(&cell->sequence) % 2 == 0);
	SNUG_ASSERT(atomic_load(&cell->sequence) <= 2 * entry->id);
	atomic_store_explicit(&cell->sequence, 2 * entry->id + 1, memory_order_relaxed);
	for (size_t index = 0; index < AUDIT_WORDS; index++) {
		atomic_store_explicit(&cell->words[index], words[index], memory_order_release);
	}
	atomic_store_explicit(&cell->sequence, 2 * entry->id + 2, memory_order_release);
	atomic_store_explicit(&audit->last_id, entry->id, memory_order_release);
}

static bool read_one(const struct audit *audit, uint64_t id, snug_audit_entry *out) {
	const struct audit_cell *cell = &audit->cells[id % audit->length];
	uint64_t words[AUDIT_WORDS];
	if (atomic_load_explicit(&cell->sequence, memory_order_acquire) != 2 * id + 2) return false;
	for (size_t index = 0; index < AUDIT_WORDS; index++) {
		words[index] = atomic_load_explicit(&cell->words[index], memory_order_acquire);
	}
	if (atomic_load_explicit(&cell->sequence, memory_order_relaxed) != 2 * id + 2) return false;
	memcpy(out, words, sizeof *out);
	return true;
}

uint32_t audit_read(const struct audit *audit, snug_audit_entry *entries, uint32_t room) {
	uint64_t last_id = atomic_load_explicit(&audit->last_id, memory_order_acquire);
	uint64_t most = smaller(smaller(last_id, audit->length), room);
	uint32_t count = 0;
	for (uint64_t id = last_id - most + 1; id <= last_id; id++) {
		if (read_one(audit, id, &entries[count])) count++;
	}
	SNUG_ASSERT(count <= room && count <= audit->length);
	return count;
}
