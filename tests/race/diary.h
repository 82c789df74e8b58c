/* diary.h: what the owner tells of each key, so that readers know what they may find.
 *
 *     owner    entry n+1 ... n+2 | begun = n+2 | the change | done = n+2
 *     reader   done -> lowest | reads | begun -> highest | what was read is one of lowest .. highest
 *
 * A key's states are numbered. An entry says which value it has, when it expires and which CAS
 * number it has, so that all of them must be found together; or that there is none. A read that begins after a change is done must not
 * find the state before it, and finds nothing only if there was nothing at some moment of the read.
 *
 * A change takes two numbers: in between what was there may go by itself, such as by eviction for
 * the room that the change needs. Only the last states are kept: what is asked about longer ago is
 * not known, and counted. */
#ifndef SNUG_TEST_DIARY_H
#define SNUG_TEST_DIARY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define DIARY_ENTRIES 32u

#define DIARY_NUMBERS (UINT64_C(1) << 22) /* values' numbers are below */

/* A value's number, when it expires, and ten bits that follow from its CAS number, in one word. */
static inline uint64_t diary_entry(uint64_t number, uint32_t expires_at_s, uint64_t cas) {
	uint64_t bits = cas == 0 ? 0 : cas * UINT64_C(0x9FB21C651E98DF25) >> 54 | 1;
	return bits << 54 | number << 32 | expires_at_s;
}

#define DIARY_ABSENT UINT64_C(0)

struct diary {
	_Atomic uint32_t begun;
	_Atomic uint32_t done;
	_Atomic uint64_t entry[DIARY_ENTRIES]; /* by number modulo their count */
};

static inline uint64_t diary_at(struct diary *diary, uint32_t number) {
	return atomic_load_explicit(&diary->entry[number % DIARY_ENTRIES], memory_order_relaxed);
}

static inline void diary_set(struct diary *diary, uint32_t number, uint64_t entry) {
	atomic_store_explicit(&diary->entry[number % DIARY_ENTRIES], entry, memory_order_relaxed);
}

/* ------------------------------------------------------------------ the owner's ------------ */

static inline uint32_t diary_now(struct diary *diary) {
	return atomic_load_explicit(&diary->done, memory_order_relaxed);
}

static inline void diary_begin(struct diary *diary, uint64_t planned) {
	uint32_t now = diary_now(diary);
	diary_set(diary, now + 1, diary_at(diary, now));
	diary_set(diary, now + 2, planned);
	atomic_store_explicit(&diary->begun, now + 2, memory_order_release);
}

/* Amid a change: what was there before it goes, and has gone. */
static inline void diary_goes(struct diary *diary) {
	diary_set(diary, diary_now(diary) + 1, DIARY_ABSENT);
}

static inline void diary_gone(struct diary *diary) {
	atomic_fetch_add_explicit(&diary->done, 1, memory_order_release);
}

/* `number` is what diary_begin has begun. */
static inline void diary_end(struct diary *diary, bool happened) {
	uint32_t number = atomic_load_explicit(&diary->begun, memory_order_relaxed);
	if (!happened) diary_set(diary, number, diary_at(diary, number - 1));
	atomic_store_explicit(&diary->done, number, memory_order_release);
}

/* ------------------------------------------------------------------ the readers' ----------- */

enum answer { ANSWER_RIGHT, ANSWER_WRONG, ANSWER_LONG_AGO };

static inline uint32_t diary_lowest(struct diary *diary) {
	return atomic_load_explicit(&diary->done, memory_order_acquire);
}

static inline uint32_t diary_highest(struct diary *diary) {
	return atomic_load_explicit(&diary->begun, memory_order_acquire);
}

/* Whether one of the states was this; of `mask`'s bits only. */
static inline enum answer diary_has(struct diary *diary, uint32_t lowest, uint32_t highest,
									uint64_t entry, uint64_t mask) {
	enum answer answer = ANSWER_WRONG;
	if (highest - lowest > DIARY_ENTRIES / 2) return ANSWER_LONG_AGO;
	for (uint32_t number = lowest; number != highest + 1; number++)
		if ((diary_at(diary, number) & mask) == (entry & mask)) answer = ANSWER_RIGHT;
	if (answer == ANSWER_RIGHT) return ANSWER_RIGHT;
	/* the owner's next change may have begun to write over the lowest */
	atomic_thread_fence(memory_order_acquire);
	bool is_kept = diary_highest(diary) - lowest < DIARY_ENTRIES - 3;
	return is_kept ? ANSWER_WRONG : ANSWER_LONG_AGO;
}

#endif
