/* os/linux_collapse.c: os/collapse.h on Linux.
 *
 *     round: for each block: worth it, resident as a whole, and not collapsed yet?  -> collapse
 *            after one that the kernel was asked for, or 256 looks: a pause; after 64 in a row that
 *            it refused: the round's end
 *     pause: 20 ms, or 99 times as long as that one took, whatever came of it: the kernel may look for
 *            a huge page for long, and find none
 *     wait:  1 s, twice as long after each round that changed nothing, up to 16 s
 *
 * Ranges are kept with small pages (os/reserve.h), and what is kept so the kernel does not collapse.
 * So a block is opened for it and closed behind it. What is huge by then stays huge; what is faulted
 * in later is small again, and no one else's thread (khugepaged) fills it up.
 *
 * A bit for each block says that it was collapsed. It goes when the block is not resident as a whole
 * any more. One that was split and has filled up again between two looks stays small. */
#include "os/collapse.h"

#include "base/assert.h"
#include "base/bits.h"
#include "os/threads.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_COLD
#define MADV_COLD 20
#endif

#define PAGE_BYTES ((size_t)4096)
#define BLOCK_BYTES COLLAPSE_BLOCK_BYTES
#define BLOCK_PAGES (BLOCK_BYTES / PAGE_BYTES)
#define LOOKS_AT_ONCE 256u
#define REFUSED_IN_A_ROW 64u
#define PAUSE_NS UINT64_C(20000000)
#define REST_PARTS 99u /* a pause is so many times as long as what it follows */
#define ROUND_MIN_NS UINT64_C(1000000000)
#define ROUND_MAX_NS UINT64_C(16000000000)

struct collapse {
	struct os_thread thread;
	_Atomic uint32_t stops;  /* also the word to sleep on */
	_Atomic uint64_t blocks; /* collapsed */
	uint64_t *collapsed;     /* a bit for each block of all ranges, in order */
	uint32_t range_count;
	struct os_range ranges[]; /* whole blocks */
};

/* ------------------------------------------------------------------ splitting -------------- */

static _Atomic bool has_huge_pages;

void collapse_note_huge(void) {
	atomic_store_explicit(&has_huge_pages, true, memory_order_relaxed);
}

/* Advice about a part of a huge page makes the kernel split it; nothing else comes of it, since the
 * page goes at once. */
static void split_block_of(uintptr_t page) {
	(void)madvise((void *)page, PAGE_BYTES, MADV_COLD);
}

void collapse_split(void *address, size_t bytes) {
	if (!atomic_load_explicit(&has_huge_pages, memory_order_relaxed)) return;
	uintptr_t begin = (uintptr_t)address, end = begin + bytes;
	SNUG_ASSERT(bytes > 0 && begin % PAGE_BYTES == 0 && end % PAGE_BYTES == 0);
	bool splits_first = begin % BLOCK_BYTES != 0;
	if (splits_first) split_block_of(begin);
	bool is_one_block = begin / BLOCK_BYTES == end / BLOCK_BYTES;
	if (end % BLOCK_BYTES != 0 && !(splits_first && is_one_block)) split_block_of(end - PAGE_BYTES);
}

/* ------------------------------------------------------------------ a block ---------------- */

/* The one under way, of all threads that collapse; 0: none. It is named before it is asked what is
 * resident: what went back earlier is seen by that, and who gives something back later sees the name. */
static _Atomic uintptr_t under_way;

bool collapse_has_met(const void *address, size_t bytes) {
	uintptr_t begin = (uintptr_t)address, end = begin + bytes, block;
	bool has_met = false;
	while ((block = atomic_load(&under_way)) != 0 && block < end && block + BLOCK_BYTES > begin) {
		has_met = true;
		os_thread_yield();
	}
	return has_met;
}

/* From CHANGED on time was spent on it. */
enum outcome { SMALL, COLLAPSED, WHOLE, CHANGED, REFUSED, MISSED };

static bool is_resident(const void *block) {
	unsigned char pages[BLOCK_PAGES];
	if (mincore((void *)(uintptr_t)block, BLOCK_BYTES, pages) != 0) return false;
	unsigned char all = 1;
	for (size_t i = 0; i < BLOCK_PAGES; i++) all &= pages[i];
	return (all & 1) != 0;
}

/* Takes a huge page and gives it back, so that it is the one that the kernel copies the block into. On a
 * virtual machine the first touch of memory that the host has not given yet, or has taken back, costs
 * milliseconds: here nobody waits for them. Where there is no huge page, nothing is lost by it. */
static void warm_huge_page(void) {
	char *room = mmap(NULL, 2 * BLOCK_BYTES, PROT_READ | PROT_WRITE,
					  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room == MAP_FAILED) return;
	char *block = (char *)round_up((uintptr_t)room, BLOCK_BYTES);
	if (madvise(block, BLOCK_BYTES, MADV_HUGEPAGE) == 0) *(volatile char *)block = 0;
	(void)munmap(room, 2 * BLOCK_BYTES);
}

/* REFUSED: the kernel will refuse the others, too, for it has no huge page, or was told to; or only this
 * one: it says the same when pages went away meanwhile, or after a fork, as long as none was written to.
 * MISSED: this one, for now. */
static enum outcome collapse_block(void *block) {
	collapse_note_huge();
	(void)madvise(block, BLOCK_BYTES, MADV_HUGEPAGE);
	int error = madvise(block, BLOCK_BYTES, MADV_COLLAPSE) == 0 ? 0 : errno;
	(void)madvise(block, BLOCK_BYTES, MADV_NOHUGEPAGE);
	if (error == 0) return CHANGED;
	bool is_refused = error == EINVAL || error == ENOSYS || error == EPERM || error == ENOMEM;
	return is_refused ? REFUSED : MISSED;
}

static bool is_worth(const struct os_range *range, const void *block) {
	return range->is_worth == NULL || range->is_worth(range->context, block);
}

/* WHOLE: it is to be collapsed. */
static enum outcome look_at(struct collapse *collapse, const struct os_range *range, size_t number,
							const void *block) {
	uint64_t bit = (uint64_t)1 << (number % 64), *word = &collapse->collapsed[number / 64];
	if (!is_worth(range, block) || !is_resident(block)) {
		*word &= ~bit;
		return SMALL;
	}
	return (*word & bit) != 0 ? COLLAPSED : WHOLE;
}

/* Looked at again once it is named: a part of it may have gone back while the huge page was warmed. */
static enum outcome deal_with(struct collapse *collapse, const struct os_range *range,
							  size_t number, void *block) {
	enum outcome outcome = look_at(collapse, range, number, block);
	if (outcome != WHOLE) return outcome;
	warm_huge_page();
	uintptr_t none = 0;
	if (!atomic_compare_exchange_strong(&under_way, &none, (uintptr_t)block)) return MISSED;
	bool is_whole = look_at(collapse, range, number, block) == WHOLE;
	outcome = is_whole ? collapse_block(block) : MISSED;
	atomic_store(&under_way, 0);
	if (outcome != CHANGED) return outcome;
	collapse->collapsed[number / 64] |= (uint64_t)1 << (number % 64);
	atomic_fetch_add_explicit(&collapse->blocks, 1, memory_order_relaxed);
	return outcome;
}

/* ------------------------------------------------------------------ rounds ----------------- */

/* False: it is to stop. */
static bool pause_for(struct collapse *collapse, uint64_t duration_ns) {
	uint64_t until_ns = os_deadline_ns(duration_ns), left_ns;
	while (atomic_load_explicit(&collapse->stops, memory_order_acquire) == 0 &&
		   (left_ns = os_remaining_ns(until_ns)) > 0)
		os_wait_on(&collapse->stops, 0, left_ns);
	return atomic_load_explicit(&collapse->stops, memory_order_acquire) == 0;
}

struct round {
	size_t number; /* of the block */
	uint32_t looks, refused;
	uint64_t worked_ns; /* since the last pause, on what the kernel was asked to collapse */
	bool has_changed;
};

static void note(struct round *round, enum outcome outcome, uint64_t took_ns) {
	round->looks++;
	if (outcome < CHANGED) return;
	round->worked_ns += took_ns;
	round->refused = outcome == REFUSED ? round->refused + 1 : 0;
	round->has_changed |= outcome == CHANGED;
}

/* False: it is to stop. */
static bool rest(struct collapse *collapse, struct round *round) {
	uint64_t rest_ns = larger(PAUSE_NS, REST_PARTS * round->worked_ns);
	round->looks = 0;
	round->worked_ns = 0;
	return pause_for(collapse, rest_ns);
}

/* False: no more of this round. */
static bool go_through(struct collapse *collapse, const struct os_range *range,
					   struct round *round) {
	for (size_t at = 0; at < range->bytes; at += BLOCK_BYTES) {
		uint64_t before_ns = os_now_ns();
		enum outcome outcome =
			deal_with(collapse, range, round->number++, (char *)range->base + at);
		note(round, outcome, os_now_ns() - before_ns);
		if (round->refused == REFUSED_IN_A_ROW) return false;
		bool goes_on = round->looks < LOOKS_AT_ONCE && outcome < CHANGED;
		if (!goes_on && !rest(collapse, round)) return false;
	}
	return true;
}

/* Asked about nothing, it says whether it knows the word. */
static bool kernel_collapses(void) {
	return madvise((void *)BLOCK_BYTES, 0, MADV_COLLAPSE) == 0;
}

static void run(void *context) {
	struct collapse *collapse = context;
	uint64_t wait_ns = ROUND_MIN_NS;
	os_thread_set_name("snug-collapse");
	if (!kernel_collapses()) return;
	while (pause_for(collapse, wait_ns)) {
		struct round round = {0};
		for (uint32_t i = 0; i < collapse->range_count; i++)
			if (!go_through(collapse, &collapse->ranges[i], &round)) break;
		wait_ns = round.has_changed ? ROUND_MIN_NS : smaller(2 * wait_ns, ROUND_MAX_NS);
	}
}

/* ------------------------------------------------------------------ start, stop ------------ */

/* The whole blocks in it. */
static struct os_range blocks_of(const struct os_range *range) {
	uintptr_t begin = round_up((uintptr_t)range->base, BLOCK_BYTES);
	uintptr_t end = round_down((uintptr_t)range->base + range->bytes, BLOCK_BYTES);
	return (struct os_range){(void *)begin, end > begin ? end - begin : 0, range->is_worth,
							 range->context};
}

snug_error collapse_start(const struct os_range *ranges, uint32_t count, struct collapse **out) {
	struct collapse *collapse = calloc(1, sizeof *collapse + count * sizeof *ranges);
	if (collapse == NULL) return SNUG_ERROR_OS_MEMORY;
	size_t blocks = 0;
	collapse->range_count = count;
	for (uint32_t i = 0; i < count; i++) {
		collapse->ranges[i] = blocks_of(&ranges[i]);
		blocks += collapse->ranges[i].bytes / BLOCK_BYTES;
	}
	collapse->collapsed = calloc(blocks / 64 + 1, sizeof *collapse->collapsed);
	snug_error error = collapse->collapsed == NULL ? SNUG_ERROR_OS_MEMORY : SNUG_OK;
	if (!error && !os_thread_start(&collapse->thread, run, collapse)) error = SNUG_ERROR_OS_THREAD;
	if (!error) {
		*out = collapse;
		return SNUG_OK;
	}
	free(collapse->collapsed);
	free(collapse);
	return error;
}

void collapse_stop(struct collapse *collapse) {
	if (collapse == NULL) return;
	atomic_store_explicit(&collapse->stops, 1, memory_order_release);
	os_wake(&collapse->stops, 1);
	os_thread_join(&collapse->thread);
	free(collapse->collapsed);
	free(collapse);
}

uint64_t collapse_count(const struct collapse *collapse) {
	return collapse == NULL ? 0 : atomic_load_explicit(&collapse->blocks, memory_order_relaxed);
}
