/* work/channel/snapshot.h: some words that one thread writes and any thread copies out of, all of
 * one moment (law W9).
 *
 *     writer:  sequence odd | words, each with release order | sequence even
 *     reader:  sequence, words, each with acquire order | sequence: the same and even, or again
 *
 * A reader that got a word of a later snapshot has also got, with it, the odd sequence before that,
 * and retries. This is the sequence lock of Hans Boehm ("Can seqlocks get along with programming
 * language memory models?", MSPC 2012) without fences: the stores cost nothing more on x86-64 and a
 * store-release each on arm64. The writer never waits; a reader waits only for a writer that has
 * lost its processor in the middle, and gives its own away for it.
 *
 * A lock was no choice: the writer is a worker, and a reader that is preempted with the lock would
 * stop it. */
#ifndef SNUG_WORK_SNAPSHOT_H
#define SNUG_WORK_SNAPSHOT_H

#include "base/assert.h"
#include "os/threads.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* One thread; `source` has `count` words, padding cleared. */
static inline void snapshot_write(_Atomic uint64_t *sequence, _Atomic uint64_t *words,
								  const void *source, size_t count) {
	uint64_t number = atomic_load_explicit(sequence, memory_order_relaxed);
	SNUG_ASSERT(number % 2 == 0); /* one writer, outside of a write */
	atomic_store_explicit(sequence, number + 1, memory_order_relaxed);
	for (size_t index = 0; index < count; index++) {
		uint64_t word;
		memcpy(&word, (const char *)source + index * sizeof word, sizeof word);
		atomic_store_explicit(&words[index], word, memory_order_release);
	}
	atomic_store_explicit(sequence, number + 2, memory_order_release);
}

/* Any thread. */
static inline void snapshot_read(const _Atomic uint64_t *sequence, const _Atomic uint64_t *words,
								 void *out, size_t count) {
	for (;;) {
		uint64_t before = atomic_load_explicit(sequence, memory_order_acquire);
		for (size_t index = 0; index < count; index++) {
			uint64_t word = atomic_load_explicit(&words[index], memory_order_acquire);
			memcpy((char *)out + index * sizeof word, &word, sizeof word);
		}
		uint64_t after = atomic_load_explicit(sequence, memory_order_relaxed);
		if (before == after && before % 2 == 0) return;
		os_thread_yield(); /* the writer may have lost its processor */
	}
}

#endif
