/* mem/arena/arena.c: how pages are found, and how they go back. For the life of a page: arena.h.
 *
 * REGIONS. A region knows its pages by two bitmaps of 512 bits: which are free, which are cold. It
 * is touched in address order: until its first page is taken it has no descriptor. Regions with
 * free pages hang in eight lists by how many of their pages are used:
 *
 *   heads   [0]            [1]      [2]   ...   [7]
 *           none used      up to    up to       nearly
 *           |              1/7      2/7         full
 *           v                                    v
 *           returned first, taken last          taken first, returned last
 *
 * A mask of the lists that are not empty makes both ends one instruction. Taking from the fullest
 * and returning from the emptiest is all the policy there is: what is nearly free becomes free. A
 * list is a seventh of a region wide, so most pages that come and go leave it where it is.
 *
 * COLD PAGES come from the lowest region that has any, so regions fill up one after the other. The
 * hint is the number below which no region has cold pages. With huge pages a wholly cold region is
 * committed at once: its first touch makes all of it resident. Huge pages are asked for region by
 * region, when that happens; where the limit allows no whole one, and where a page was traded out
 * of one, small pages are.
 *
 * THE STACK is threaded through the descriptors of the pages that were freed last. Pages on it are
 * in no bitmap; coalescing puts them there, up to `most` at a time. So a page that a class gives up
 * and another one takes costs two stores, and its lines are still in the cache.
 *
 * TRADING gives a single page back to the OS. It is the only way by which less than a run goes, and
 * it is for need alone: metadata must grow, the owner charges something, or the limit is above its
 * goal. Each costs a call of the system, and a fault when the page is used again.
 *
 * A PAGE THAT THE OS DOES NOT TAKE stays free, for slabs. It also stays in the account, because it
 * is still resident. So what is not a slab gets the room that the limit still has, and no more: a
 * trade is refused with OS_MEMORY. It is not tried on another page, and moving or evicting would
 * only make more of the same pages. The next need asks the OS again.
 *
 * RETURNING takes one region at a time, by the runs in it. In an emergency it takes runs of any
 * length, the emptiest region's first. With huge pages only whole regions go: a hole in a huge page
 * would split it.
 *
 * Laws A1 to A6 are counted from the bitmaps and the stack by mem/check/check_arena.c. */
#include "mem/arena/arena.h"

#include "base/assert.h"
#include "mem/arena/limit.h"
#include "mem/arena/poison.h"
#include "os/reserve.h"

#include <string.h>

static uint32_t region_of(const struct arena *arena, page_number page) {
	SNUG_ASSERT(page != PAGE_NONE && page <= arena->page_count);
	return (page - 1) >> arena->region_shift;
}

static uint32_t bit_in_region(const struct arena *arena, page_number page) {
	return (page - 1) & (region_pages(arena) - 1);
}

/* ------------------------------------------------------------------ region lists --- */

static uint8_t bucket_of(const struct arena *arena, uint32_t number) {
	const struct region *region = arena_region(arena, number);
	if (region->free_pages == 0 || arena->draining == number + 1) return LIST_NONE;
	uint32_t used = region_used_pages(region);
	if (used == 0) return 0;
	uint32_t bucket = 1 + ((used * (REGION_BUCKETS - 1) - 1) >> arena->region_shift);
	bool given_up = region->gave_up_at == arena->drain_round;
	return (uint8_t)(given_up ? REGION_BUCKETS + bucket : bucket);
}

static void region_unlist(struct arena *arena, uint32_t number) {
	struct region *region = arena_region(arena, number);
	if (region->bucket == LIST_NONE) return;
	SNUG_ASSERT(region->previous != 0 || arena->region_heads[region->bucket] == number + 1);
	SNUG_ASSERT((arena->region_mask >> region->bucket & 1) != 0);
	if (region->next) arena_region(arena, region->next - 1)->previous = region->previous;
	if (region->previous) {
		arena_region(arena, region->previous - 1)->next = region->next;
	} else {
		arena->region_heads[region->bucket] = region->next;
		if (region->next == 0) arena->region_mask &= ~(1u << region->bucket);
	}
	region->bucket = LIST_NONE;
}

/* Puts the region where its counts say it belongs. */
static void region_relist(struct arena *arena, uint32_t number) {
	struct region *region = arena_region(arena, number);
	uint8_t bucket = bucket_of(arena, number);
	if (bucket == region->bucket) return;
	region_unlist(arena, number);
	if (bucket == LIST_NONE) return;
	SNUG_ASSERT(bucket < REGION_LISTS && region->free_pages > 0);
	region->bucket = bucket;
	region->previous = 0;
	region->next = arena->region_heads[bucket];
	if (region->next) arena_region(arena, region->next - 1)->previous = number + 1;
	arena->region_heads[bucket] = number + 1;
	arena->region_mask |= 1u << bucket;
}

static snug_error region_touch_next(struct arena *arena) {
	if (arena->region_count == arena->region_limit) return SNUG_ERROR_NO_MEMORY;
	uint32_t number = arena->region_count;
	snug_error error =
		range_ensure(arena, &arena->region_range, (number + 1) * sizeof(struct region));
	if (error) return error;
	struct region *region = arena_region(arena, number);
	uint32_t first_page = page_in_region(arena, number, 0);
	uint32_t left = arena->page_count - first_page + 1;
	uint32_t pages = left < region_pages(arena) ? left : region_pages(arena);
	SNUG_ASSERT(first_page <= arena->page_count && pages > 0);
	SNUG_ASSERT(atomic_load_explicit(&region->whole_slabs, memory_order_relaxed) == 0);
	region->next = region->previous = 0;
	region->free_pages = 0;
	region->gave_up_at = 0;
	memset(region->free_bits, 0, sizeof region->free_bits);
	memset(region->cold_bits, 0, sizeof region->cold_bits);
	region->bucket = LIST_NONE;
	region->page_count = (uint16_t)pages;
	region->cold_pages = (uint16_t)pages;
	for (uint32_t bit = 0; bit < pages; bit++)
		region->cold_bits[bit / 64] |= (uint64_t)1 << (bit % 64);
	arena->region_count++;
	return SNUG_OK;
}

/* ------------------------------------------------------------------ slabs of one slot --- */

void arena_count_whole(struct arena *arena, page_number page, int sign) {
	struct region *region = arena_region(arena, region_of(arena, page));
	int count = atomic_load_explicit(&region->whole_slabs, memory_order_relaxed) + sign;
	SNUG_ASSERT(count >= 0 && count <= region->page_count);
	atomic_store_explicit(&region->whole_slabs, (uint16_t)count, memory_order_relaxed);
}

/* Where no descriptor is committed zeros are read. */
bool arena_region_is_whole(const struct arena *arena, uint32_t number) {
	SNUG_ASSERT(number < arena->region_limit);
	const struct region *region = arena_region(arena, number);
	uint32_t count = atomic_load_explicit(&region->whole_slabs, memory_order_relaxed);
	return count > region_pages(arena) / 2;
}

/* ------------------------------------------------------------------ taking --------- */

static uint32_t first_bit(const uint64_t *words) {
	uint32_t word = 0;
	while (words[word] == 0) word++;
	return word * 64 + bit_lowest(words[word]);
}

static page_number take_free(struct arena *arena) {
	SNUG_ASSERT(arena->region_mask != 0 && arena->free_pages > 0);
	uint32_t number = arena->region_heads[bit_highest(arena->region_mask)] - 1;
	struct region *region = arena_region(arena, number);
	uint32_t bit = first_bit(region->free_bits);
	region->free_bits[bit / 64] &= ~((uint64_t)1 << (bit % 64));
	region->free_pages--;
	arena->free_pages--;
	region_relist(arena, number);
	return page_in_region(arena, number, bit);
}

/* After more descriptors were committed, or fewer are. The new ones are on no list; else the short way
 * of freeing would take a page that never was for a slab. */
static void describe(struct arena *arena) {
	uint64_t committed = arena->page_range.committed_bytes / sizeof(struct page);
	for (uint64_t number = arena->described; number < committed; number++)
		arena->pages[number].list = LIST_NONE;
	arena->described = committed;
}

/* Commits `count` neighbouring cold pages and makes them free pages of a run. */
static snug_error warm_pages(struct arena *arena, uint32_t number, uint32_t first, uint32_t count) {
	page_number page = page_in_region(arena, number, first);
	size_t bytes = (size_t)count << arena->page_shift;
	snug_error error =
		range_ensure(arena, &arena->page_range, (size_t)(page + count) * sizeof(struct page));
	if (error) return error;
	describe(arena);
	if (!limit_allows(arena, bytes)) return SNUG_ERROR_NO_MEMORY;
	char *address = address_of(arena, page_offset(arena, page));
	if (!arena->os->commit(arena->os->context, address, bytes)) return SNUG_ERROR_OS_MEMORY;
	poison_free(address, bytes);
	arena->committed_bytes += bytes;
	limit_note_peak(arena);
	struct region *region = arena_region(arena, number);
	SNUG_ASSERT(count <= region->cold_pages);
	for (uint32_t bit = first; bit < first + count; bit++) {
		uint64_t mask = (uint64_t)1 << (bit % 64);
		SNUG_ASSERT((region->cold_bits[bit / 64] & ~region->free_bits[bit / 64] & mask) != 0);
		region->cold_bits[bit / 64] &= ~mask;
		region->free_bits[bit / 64] |= mask;
		arena->pages[page_in_region(arena, number, bit)].state = PAGE_FREE;
	}
	region->cold_pages = (uint16_t)(region->cold_pages - count);
	region->free_pages = (uint16_t)(region->free_pages + count);
	arena->free_pages += count;
	region_relist(arena, number);
	return SNUG_OK;
}

/* In a region of huge pages all is resident from the first touch on, so all must be committed. */
static void advise_region(struct arena *arena, uint32_t number, bool huge) {
	char *address = address_of(arena, page_offset(arena, page_in_region(arena, number, 0)));
	if (huge)
		arena->os->advise_huge(arena->os->context, address, REGION_BYTES);
	else
		os_advise_small(arena->os, address, REGION_BYTES);
}

static inline __attribute__((always_inline)) snug_error warm_next(struct arena *arena) {
	if (!limit_allows(arena, arena->page_bytes)) return SNUG_ERROR_NO_MEMORY;
	for (;; arena->cold_hint++) {
		if (arena->cold_hint == arena->region_count) {
			snug_error error = region_touch_next(arena);
			if (error) return error;
		}
		struct region *region = arena_region(arena, arena->cold_hint);
		if (region->cold_pages == 0) continue;
		if (arena->huge_pages && region->cold_pages == region_pages(arena) &&
			limit_allows(arena, REGION_BYTES)) {
			advise_region(arena, arena->cold_hint, true);
			snug_error error = warm_pages(arena, arena->cold_hint, 0, region_pages(arena));
			if (error) advise_region(arena, arena->cold_hint, false);
			if (error != SNUG_ERROR_NO_MEMORY) return error;
		}
		return warm_pages(arena, arena->cold_hint, first_bit(region->cold_bits), 1);
	}
}

snug_error arena_take(struct arena *arena, page_number *out) {
	page_number page = arena->stack;
	if (page != PAGE_NONE) {
		SNUG_ASSERT(arena->pages[page].state == PAGE_STACKED);
		arena->stack = arena->pages[page].next;
		arena->stacked_pages--;
	} else {
		if (arena->region_mask == 0) arena_drain_end(arena);
		if (arena->region_mask == 0) {
			snug_error error = warm_next(arena);
			if (error) return error;
		}
		page = take_free(arena);
	}
	struct page *taken = &arena->pages[page];
	SNUG_ASSERT(page < arena->described);
	SNUG_ASSERT(taken->state == PAGE_FREE || taken->state == PAGE_STACKED);
	memset(taken, 0, sizeof *taken);
	taken->state = PAGE_SLAB;
	taken->list = LIST_NONE;
	*out = page;
	return SNUG_OK;
}

snug_error arena_adopt(struct arena *arena, page_number page) {
	uint32_t number = region_of(arena, page), bit = bit_in_region(arena, page);
	snug_error error = SNUG_OK;
	while (!error && arena->region_count <= number) error = region_touch_next(arena);
	if (!error)
		error = range_ensure(arena, &arena->page_range, (size_t)(page + 1) * sizeof(struct page));
	if (error) return error;
	describe(arena);
	struct region *region = arena_region(arena, number);
	SNUG_ASSERT((region->cold_bits[bit / 64] >> (bit % 64) & 1) != 0);
	region->cold_bits[bit / 64] &= ~((uint64_t)1 << (bit % 64));
	region->cold_pages--;
	arena->committed_bytes += arena->page_bytes;
	limit_note_peak(arena);
	arena->pages[page] = (struct page){.state = PAGE_SLAB, .list = LIST_NONE};
	return SNUG_OK;
}

void arena_disown(struct arena *arena, page_number page) {
	uint32_t bit = bit_in_region(arena, page);
	struct region *region = arena_region(arena, region_of(arena, page));
	SNUG_ASSERT(arena->pages[page].state == PAGE_SLAB && arena->pages[page].list == LIST_NONE);
	SNUG_ASSERT((region->cold_bits[bit / 64] >> (bit % 64) & 1) == 0);
	region->cold_bits[bit / 64] |= (uint64_t)1 << (bit % 64);
	region->cold_pages++;
	arena->committed_bytes -= arena->page_bytes;
	arena->pages[page].state = PAGE_COLD;
}

uint64_t arena_available_pages(const struct arena *arena) {
	size_t used_bytes = limit_account(arena);
	uint64_t room_pages = arena->limit_bytes > used_bytes
							  ? (arena->limit_bytes - used_bytes) >> arena->page_shift
							  : 0;
	uint64_t cold_pages = arena->page_count - (arena->committed_bytes >> arena->page_shift);
	return arena_free_pages(arena) + (room_pages < cold_pages ? room_pages : cold_pages);
}

snug_error arena_warm(struct arena *arena, uint64_t pages) {
	snug_error error = SNUG_OK;
	while (!error && arena_free_pages(arena) < pages &&
		   arena_available_pages(arena) > arena_free_pages(arena))
		error = warm_next(arena);
	return error == SNUG_ERROR_OS_MEMORY ? error : SNUG_OK;
}

/* ------------------------------------------------------------------ giving --------- */

/* The limit is above its goal. The page that is the last one in the way goes in any case. */
static void trade_given(struct arena *arena) {
	bool is_last = limit_account(arena) <= arena->limit_goal_bytes + arena->page_bytes;
	/* What the OS does not take stays free. */
	if (is_last || arena_free_pages(arena) > arena->kept_pages) (void)arena_trade_page(arena);
}

void arena_give(struct arena *arena, page_number page) {
	struct page *given = &arena->pages[page];
	SNUG_ASSERT(given->state >= PAGE_SLAB);
	SNUG_ASSERT(given->list == LIST_NONE && given->pins == 0);
	poison_free(address_of(arena, page_offset(arena, page)), arena->page_bytes);
	given->state = PAGE_STACKED;
	given->next = arena->stack;
	arena->stack = page;
	arena->stacked_pages++;
	if (UNLIKELY(limit_is_exceeded(arena))) trade_given(arena);
}

static bool unstack_one(struct arena *arena) {
	page_number page = arena->stack;
	if (page == PAGE_NONE) return false;
	SNUG_ASSERT(arena->pages[page].state == PAGE_STACKED && arena->stacked_pages > 0);
	arena->stack = arena->pages[page].next;
	arena->stacked_pages--;
	arena->pages[page].state = PAGE_FREE;
	uint32_t number = region_of(arena, page);
	uint32_t bit = bit_in_region(arena, page);
	struct region *region = arena_region(arena, number);
	SNUG_ASSERT((region->free_bits[bit / 64] >> (bit % 64) & 1) == 0);
	region->free_bits[bit / 64] |= (uint64_t)1 << (bit % 64);
	region->free_pages++;
	arena->free_pages++;
	region_relist(arena, number);
	return true;
}

uint32_t arena_coalesce(struct arena *arena, uint32_t most) {
	uint32_t merged = 0;
	while (merged < most && unstack_one(arena)) merged++;
	return merged;
}

/* ------------------------------------------------------------------ returning ------ */

/* Drops the content of `count` neighbouring free pages and counts them as cold. */
static bool chill_pages(struct arena *arena, uint32_t number, uint32_t first, uint32_t count) {
	struct region *region = arena_region(arena, number);
	char *address = address_of(arena, page_offset(arena, page_in_region(arena, number, first)));
	size_t bytes = (size_t)count << arena->page_shift;
	SNUG_ASSERT(count > 0 && count <= region->free_pages && bytes <= arena->committed_bytes);
	unpoison(address, bytes);
	/* Or the kernel makes the region whole again, page and all, by itself. */
	if (arena->huge_pages && count < region_pages(arena)) advise_region(arena, number, false);
	if (!arena->os->decommit(arena->os->context, address, bytes)) {
		arena->returns_refused++;
		poison_free(address, bytes);
		return false;
	}
	for (uint32_t bit = first; bit < first + count; bit++) {
		uint64_t mask = (uint64_t)1 << (bit % 64);
		SNUG_ASSERT((region->free_bits[bit / 64] & mask) != 0);
		region->free_bits[bit / 64] &= ~mask;
		region->cold_bits[bit / 64] |= mask;
		arena->pages[page_in_region(arena, number, bit)].state = PAGE_COLD;
	}
	region->free_pages = (uint16_t)(region->free_pages - count);
	region->cold_pages = (uint16_t)(region->cold_pages + count);
	arena->free_pages -= count;
	arena->committed_bytes -= bytes;
	limit_settle(arena);
	if (number < arena->cold_hint) arena->cold_hint = number;
	region_relist(arena, number);
	return true;
}

static bool is_free(const struct region *region, uint32_t bit) {
	return bit < region->page_count && (region->free_bits[bit / 64] >> (bit % 64) & 1) != 0;
}

/* Where the run ends that begins at `first`, at most `most` pages long. */
static uint32_t run_end(const struct region *region, uint32_t first, uint64_t most) {
	uint32_t end = first + 1;
	SNUG_ASSERT(is_free(region, first));
	while (end - first < most && is_free(region, end)) end++;
	return end;
}

size_t arena_return_region(struct arena *arena, uint32_t number, uint64_t most_pages) {
	const struct region *region = arena_region(arena, number);
	size_t before_bytes = arena->committed_bytes;
	SNUG_ASSERT(region->bucket == 0);
	/* What is not free is cold already: usually there is one run. */
	while (most_pages > 0 && region->free_pages > 0) {
		uint32_t first = first_bit(region->free_bits);
		uint32_t pages = run_end(region, first, most_pages) - first;
		if (!chill_pages(arena, number, first, pages)) break;
		most_pages -= pages;
	}
	return before_bytes - arena->committed_bytes;
}

size_t arena_return_run(struct arena *arena, uint64_t most_pages) {
	SNUG_ASSERT(!arena->huge_pages && most_pages > 0);
	if (arena->region_mask == 0) arena_drain_end(arena);
	if (arena->region_mask == 0) return 0;
	uint32_t number = arena->region_heads[bit_lowest(arena->region_mask)] - 1;
	const struct region *region = arena_region(arena, number);
	uint32_t first = first_bit(region->free_bits), end = run_end(region, first, most_pages);
	return chill_pages(arena, number, first, end - first)
			   ? (size_t)(end - first) << arena->page_shift
			   : 0;
}

void arena_drain_begin(struct arena *arena, uint32_t number) {
	SNUG_ASSERT(arena->draining == 0 && number < arena->region_count);
	arena->draining = number + 1;
	region_relist(arena, number);
}

void arena_drain_end(struct arena *arena) {
	if (arena->draining == 0) return;
	uint32_t number = arena->draining - 1;
	arena->draining = 0;
	region_relist(arena, number);
}

void arena_drain_give_up(struct arena *arena) {
	SNUG_ASSERT(arena->draining != 0 && arena->draining <= arena->region_count);
	arena_region(arena, arena->draining - 1)->gave_up_at = arena->drain_round;
	arena_drain_end(arena);
}

#define GIVEN_UP_MASK (((1u << REGION_LISTS) - 1) & ~((1u << REGION_BUCKETS) - 1))

bool arena_drain_resume(struct arena *arena, uint32_t most) {
	for (; most > 0 && (arena->region_mask & GIVEN_UP_MASK) != 0; most--)
		region_relist(arena, arena->region_heads[bit_highest(arena->region_mask)] - 1);
	return (arena->region_mask & GIVEN_UP_MASK) == 0;
}

uint32_t arena_drain_choice(const struct arena *arena) {
	uint32_t lists = arena->region_mask & ~GIVEN_UP_MASK & ~1u;
	return lists == 0 ? 0 : arena->region_heads[bit_lowest(lists)];
}

snug_error arena_trade_page(struct arena *arena) {
	if (arena->region_mask == 0) arena_drain_end(arena);
	if (arena->region_mask == 0 && !unstack_one(arena)) return SNUG_ERROR_NO_MEMORY;
	uint32_t number = arena->region_heads[bit_highest(arena->region_mask)] - 1;
	if (!chill_pages(arena, number, first_bit(arena_region(arena, number)->free_bits), 1))
		return SNUG_ERROR_OS_MEMORY;
	arena->traded_pages++;
	return SNUG_OK;
}

snug_error arena_trade_for(struct arena *arena, size_t bytes, size_t allowed_bytes) {
	while (limit_account(arena) + bytes > allowed_bytes) {
		snug_error error = arena_trade_page(arena);
		if (error) return error;
	}
	return SNUG_OK;
}

/* ------------------------------------------------------------------ life ----------- */

/* Commits and touches whole regions while the limit leaves room for the metadata that such a heap
 * needs. */
static snug_error arena_populate(struct arena *arena) {
	size_t spare_bytes = arena->limit_bytes / 64;
	while (limit_allows(arena, arena->page_bytes + spare_bytes)) {
		snug_error error = warm_next(arena);
		if (error == SNUG_ERROR_NO_MEMORY) break;
		if (error) return error;
	}
	size_t used_bytes = (size_t)arena->region_count * REGION_BYTES;
	if (used_bytes > arena->committed_bytes) used_bytes = arena->committed_bytes;
	unpoison(arena->base, used_bytes);
	bool populated = arena->os->populate(arena->os->context, arena->base, used_bytes);
	poison_free(arena->base, used_bytes);
	return populated ? SNUG_OK : SNUG_ERROR_OS_MEMORY;
}

snug_error arena_init(struct arena *arena, char *base, bool populate) {
	arena->drain_round = 1; /* a region that was never given up says 0 */
	arena->reserved_bytes = round_up((size_t)arena->page_count << arena->page_shift, REGION_BYTES);
	arena->base = base != NULL ? base : os_reserve(arena->os, arena->reserved_bytes, REGION_BYTES);
	if (arena->base == NULL) return SNUG_ERROR_OS_MEMORY;
	arena->bias = (uintptr_t)arena->base - arena->page_bytes;
	arena->pages = (struct page *)(void *)arena->page_range.base;
	describe(arena);
	arena->region_limit = (uint32_t)(arena->reserved_bytes / REGION_BYTES);
	snug_error error = populate ? arena_populate(arena) : SNUG_OK;
	if (error) arena_deinit(arena);
	return error;
}

void arena_deinit(struct arena *arena) {
	unpoison(arena->base, arena->reserved_bytes);
	arena->os->release(arena->os->context, arena->base, arena->reserved_bytes);
}

/* ------------------------------------------------------------------ metadata ------- */

/* Of more than a range has addresses for. A heap that is not lean reserves what its limit can fill, so
 * the limit would refuse that, too. */
static snug_error out_of_addresses(const struct arena *arena) {
	return arena->is_lean ? SNUG_ERROR_OS_MEMORY : SNUG_ERROR_NO_MEMORY;
}

snug_error range_commit(struct arena *arena, struct range *range, size_t at_bytes, size_t bytes) {
	SNUG_ASSERT(at_bytes % METADATA_GRAIN == 0 && bytes % METADATA_GRAIN == 0 && bytes > 0);
	if (bytes > range->reserved_bytes || at_bytes > range->reserved_bytes - bytes)
		return out_of_addresses(arena);
	/* The limit as it is now: it may follow what is traded. */
	snug_error error = arena_trade_for(arena, bytes, arena->limit_bytes);
	if (error) return error;
	if (!arena->os->commit(arena->os->context, range->base + at_bytes, bytes))
		return SNUG_ERROR_OS_MEMORY;
	range->committed_bytes += bytes;
	arena->metadata_bytes += bytes;
	limit_settle(arena);
	limit_note_peak(arena);
	SNUG_ASSERT(limit_allows(arena, 0));
	return SNUG_OK;
}

snug_error range_ensure(struct arena *arena, struct range *range, size_t bytes) {
	if (LIKELY(bytes <= range->committed_bytes)) return SNUG_OK;
	if (bytes > range->reserved_bytes) return out_of_addresses(arena);
	SNUG_ASSERT(range->committed_bytes % METADATA_GRAIN == 0);
	size_t more_bytes = round_up(bytes, METADATA_GRAIN) - range->committed_bytes;
	return range_commit(arena, range, range->committed_bytes, more_bytes);
}

bool range_return(struct arena *arena, struct range *range, size_t at_bytes, size_t bytes) {
	SNUG_ASSERT(at_bytes % METADATA_GRAIN == 0 && bytes % METADATA_GRAIN == 0);
	SNUG_ASSERT(bytes > 0 && bytes <= range->committed_bytes);
	SNUG_ASSERT(at_bytes + bytes <= range->reserved_bytes && bytes <= arena->metadata_bytes);
	if (!arena->os->decommit(arena->os->context, range->base + at_bytes, bytes)) {
		arena->returns_refused++;
		return false;
	}
	range->committed_bytes -= bytes;
	arena->metadata_bytes -= bytes;
	limit_settle(arena);
	return true;
}

void range_shrink(struct arena *arena, struct range *range, size_t bytes) {
	size_t kept_bytes = round_up(bytes, METADATA_GRAIN);
	if (kept_bytes >= range->committed_bytes) return;
	range_return(arena, range, kept_bytes, range->committed_bytes - kept_bytes);
}

#define FORGOTTEN_MAX 4u /* regions: their descriptors take up to 16 KiB each */
#define COALESCED_A_SLICE 32u
#define RETURNED_A_SLICE ((uint64_t)65536)

/* Pages up to the last one of the first `count` regions that is not cold. */
static uint32_t warm_end(const struct arena *arena, uint32_t count) {
	SNUG_ASSERT(count <= arena->region_count);
	if (count == 0) return 0;
	const struct region *last = arena_region(arena, count - 1);
	for (uint32_t word = REGION_WORDS; word-- > 0;) {
		if (word * 64 >= last->page_count) continue;
		uint32_t left = last->page_count - word * 64u;
		uint64_t warm = ~last->cold_bits[word];
		if (left < 64) warm &= ((uint64_t)1 << left) - 1;
		if (warm != 0)
			return ((count - 1) << arena->region_shift) + word * 64 + bit_highest(warm) + 1;
	}
	return (count - 1) << arena->region_shift;
}

bool arena_forget_cold(struct arena *arena) {
	size_t before_bytes = arena->metadata_bytes;
	uint32_t count = arena->region_count;
	for (; count > 0 && arena->region_count - count < FORGOTTEN_MAX && arena->draining != count;
		 count--) {
		const struct region *last = arena_region(arena, count - 1);
		if (last->cold_pages < last->page_count) break;
		SNUG_ASSERT(last->bucket == LIST_NONE);
	}
	bool forgotten = count < arena->region_count;
	arena->region_count = count;
	if (arena->cold_hint > count) arena->cold_hint = count;
	range_shrink(arena, &arena->region_range, count * sizeof(struct region));
	/* Page numbers start at 1; descriptor 0 stays. */
	size_t pages = (size_t)warm_end(arena, count) + 1;
	range_shrink(arena, &arena->page_range, pages * sizeof(struct page));
	describe(arena);
	SNUG_ASSERT(arena->described > warm_end(arena, count));
	return forgotten || arena->metadata_bytes < before_bytes;
}

bool arena_return_behind(struct arena *arena, uint64_t most_pages) {
	if (warm_end(arena, arena->region_count) <= most_pages) return false;
	if (arena_coalesce(arena, COALESCED_A_SLICE) > 0) return true;
	arena_drain_end(arena);
	uint32_t last = arena->region_count - 1;
	if (arena_region(arena, last)->bucket != 0) return false;
	SNUG_ASSERT(region_used_pages(arena_region(arena, last)) == 0);
	uint64_t pages =
		arena->huge_pages ? region_pages(arena) : RETURNED_A_SLICE >> arena->page_shift;
	return arena_return_region(arena, last, pages) > 0;
}
