/* cache/index/versions.h: what proves a copy. A version is a counter of 32 bits that is odd while
 * what it stands for is being changed. Its owner writes it, any thread reads it.
 *
 *     owner    odd | fence | change ... change | even
 *     reader         version (even) | copy | fence | version: the same, so the copy is of one
 *                                                     instant
 *
 * Seqlocks (Boehm, "Can seqlocks get along with programming language memory models?", MSPC'12); one
 * for each part of a table as in MemC3 (Fan, Andersen and Kaminsky, NSDI'13).
 *
 * WHICH. There is one for the index's size (index.h: `geometry`), and one for each group of
 * buckets, or for some groups together: group number modulo a power of two. A group's stands for
 * the group's entries, for the spill buckets behind it, and for the items that these entries name,
 * as far as they lie in one piece. Beside the versions' own lines it costs the owner two stores a
 * change.
 *
 * FENCES. The one behind `odd` keeps the change behind it: who sees a byte of the change, and then
 * reads the version behind a fence of his own, sees it odd, or later. The release with `even` keeps
 * the change before it. What is written into memory that a change has let go of comes after that
 * change, and so after its `odd`: so a reader who still follows an old entry is told, whatever
 * became of the item's memory. On x86-64 these fences are none but for the compiler.
 *
 * WRAPPING. After 2^31 changes a version is what it was: a reader who sleeps in the midst of a copy
 * while one group is changed so often, and wakes at this one, would be deceived. At a million
 * changes a second of one group that is once in 36 minutes, at one of 2^31 moments.
 *
 * Changes don't nest. A debug build asserts it. */
#ifndef SNUG_CACHE_VERSIONS_H
#define SNUG_CACHE_VERSIONS_H

#include "base/assert.h"

#include <stdatomic.h>
#include <stdint.h>

typedef _Atomic uint32_t index_version;

/* A change under way. */
struct change {
	index_version *version;
	uint32_t odd;
};

static inline struct change version_begin_change(index_version *version) {
	uint32_t odd = atomic_load_explicit(version, memory_order_relaxed) + 1;
	SNUG_ASSERT(odd % 2 == 1);
	atomic_store_explicit(version, odd, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	return (struct change){version, odd};
}

static inline void version_end_change(struct change change) {
	SNUG_ASSERT(atomic_load_explicit(change.version, memory_order_relaxed) == change.odd);
	atomic_store_explicit(change.version, change.odd + 1, memory_order_release);
}

#endif
