/* base/versions.h: what proves a copy. A version is a counter of 32 bits that is odd while what it
 * stands for is being changed. Its owner writes it, any thread reads it.
 *
 *     owner    odd | fence | change ... change | even
 *     reader         version (even) | copy | fence | version: the same, so the copy is of one
 *                                                     instant
 *
 * Seqlocks (Boehm, "Can seqlocks get along with programming language memory models?", MSPC'12). Who
 * has some: the cache's index, for its size and for each group of buckets (cache/index/index.h); a
 * heap, for the links between fragments (mem/defragment/relink.h).
 *
 * FENCES. The one behind `odd` keeps the change behind it: who sees a byte of the change, and then
 * reads the version behind a fence of his own, sees it odd, or later. The release with `even` keeps
 * the change before it. What the owner writes into memory that a change has let go of comes after
 * that change, and so after its `odd`: a reader who still follows an old name is told, whatever
 * became of the memory. On x86-64 these fences are none but for the compiler.
 *
 * That is true of what the owner writes. Another thread that fills what the owner has leased to it
 * has heard of it from the owner, behind the odd. On all machines that we know a reader who sees
 * such a byte sees the odd as well, though C11 does not promise it.
 *
 * WRAPPING. After 2^31 changes a version is what it was: a reader who sleeps in the midst of a copy
 * while one group is changed so often, and wakes at this one, would be deceived. At a million
 * changes a second of one group that is once in 36 minutes, at one of 2^31 moments.
 *
 * Changes of one version don't nest. A debug build asserts it. */
#ifndef SNUG_BASE_VERSIONS_H
#define SNUG_BASE_VERSIONS_H

#include "base/assert.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef _Atomic uint32_t data_version;

/* A change under way. */
struct change {
	data_version *version;
	uint32_t odd;
};

static inline struct change version_begin_change(data_version *version) {
	uint32_t odd = atomic_load_explicit(version, memory_order_relaxed) + 1;
	SNUG_ASSERT(odd % 2 == 1);
	atomic_store_explicit(version, odd, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	return (struct change){version, odd};
}

/* For the owner, who asserts it. */
static inline bool version_is_changing(const data_version *version) {
	return atomic_load_explicit(version, memory_order_relaxed) % 2 == 1;
}

static inline void version_end_change(struct change change) {
	SNUG_ASSERT(atomic_load_explicit(change.version, memory_order_relaxed) == change.odd);
	atomic_store_explicit(change.version, change.odd + 1, memory_order_release);
}

#endif
