/* work/coordinator/audit.h: the last results, in a ring that one thread writes and any thread
 * copies out of (law R7).
 *
 *     cell of id i: ring[i % length]     sequence = 2 i + 1 while entry i is being written,
 *                                        2 i + 2 when it stands
 *
 * A reader that finds another sequence than it expects, before or after copying, leaves the entry
 * out: it was overwritten. So nobody waits for anybody. The words are atomic, each stored with
 * release and loaded with acquire order (as in snapshot.h). 112 bytes an entry. */
#ifndef SNUG_WORK_AUDIT_H
#define SNUG_WORK_AUDIT_H

#include <snug/coordinator.h>
#include <stdatomic.h>

#define AUDIT_WORDS (sizeof(snug_audit_entry) / sizeof(uint64_t))
_Static_assert(sizeof(snug_audit_entry) % sizeof(uint64_t) == 0, "copied word by word");

struct audit_cell {
	_Atomic uint64_t sequence;           /* atomic: the writer writes, anyone reads */
	_Atomic uint64_t words[AUDIT_WORDS]; /* the same */
};

struct audit {
	struct audit_cell *cells; /* constant after create */
	uint32_t length;          /* the same */
	_Atomic uint64_t last_id; /* atomic: the writer writes, anyone reads */
};

/* False: no memory. */
bool audit_init(struct audit *audit, uint32_t length);
void audit_deinit(struct audit *audit);

/* Gives the entry its id. The one writer. */
void audit_write(struct audit *audit, snug_audit_entry *entry);

/* The last entries, up to `room`, the oldest first; answers how many. Any thread. */
uint32_t audit_read(const struct audit *audit, snug_audit_entry *entries, uint32_t room);

#endif
