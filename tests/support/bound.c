/* bound.c: see bound.h. */
#include "bound.h"

#include "mem/arena/arena.h"
#include "mem/arena/limit.h"

#include <string.h>

#define PIN_RECORD_BYTES 16u

/* What is free in each class, and which of its slabs without pins has the fewest live slots and a
 * hole. */
struct census {
	uint64_t holes[CLASS_COUNT_MAX];
	uint32_t least_live[CLASS_COUNT_MAX]; /* UINT32_MAX: no slab could be emptied */
	uint32_t own_holes[CLASS_COUNT_MAX];  /* of that slab */
	uint64_t hole_bytes;                  /* all holes */
	uint64_t host_bytes;                  /* those of them that hosts could still lend */
	uint64_t pieces_bytes;                /* the same, less a trailer each */
	uint64_t record_holes;                /* of plain objects, that could hold a pin's record */
};

static uint64_t less_trailer(const snug_heap *heap, uint64_t bytes) {
	uint64_t trailer_bytes = heap->classes.fragment_trailer_bytes;
	return bytes > trailer_bytes ? bytes - trailer_bytes : 0;
}

/* ------------------------------------------------------------------ counting ------------------ */

static bool is_in_magazine(const struct size_class *class, uint64_t low, uint64_t high,
						   uint32_t *count) {
	*count = 0;
	for (uint32_t index = 0; index < class->magazine_count; index++)
		*count += class->magazine[index] >= low && class->magazine[index] < high;
	return *count > 0;
}

static void count_slab(const snug_heap *heap, page_number number, struct census *census) {
	const struct page *page = &heap->arena.pages[number];
	const struct size_class *class = heap->classes.state[page->class_id];
	uint64_t low = page_offset(&heap->arena, number);
	uint32_t cached;
	uint32_t holes = page->free_slots;
	if (is_in_magazine(class, low, low + heap->arena.page_bytes, &cached)) holes += cached;
	census->hole_bytes += (uint64_t)holes * class->stride;
	if (page->state == PAGE_HOST) census->host_bytes += (uint64_t)holes * class->stride;
	census->pieces_bytes += holes * less_trailer(heap, class->stride);
	if (class->family != FAMILY_FRAGMENT && less_trailer(heap, class->stride) >= PIN_RECORD_BYTES)
		census->record_holes += holes;
	/* What else a page may be is no home for plain objects, and is emptied in its own way. */
	if (page->state != PAGE_SLAB && page->state != PAGE_VICTIM) return;
	census->holes[class->id] += holes;
	uint32_t live = class->slots - holes;
	if (page->pins > 0 || holes == 0 || live >= census->least_live[class->id]) return;
	census->least_live[class->id] = live;
	census->own_holes[class->id] = holes;
}

static void take_census(const snug_heap *heap, struct census *out) {
	memset(out, 0, sizeof *out);
	for (uint32_t id = 0; id < CLASS_COUNT_MAX; id++) out->least_live[id] = UINT32_MAX;
	for (page_number number = 1; number < heap->arena.described; number++) {
		uint8_t state = heap->arena.pages[number].state;
		if (state >= PAGE_SLAB && state != PAGE_TARGET) count_slab(heap, number, out);
	}
}

/* ------------------------------------------------------------------ a page -------------------- */

/* By reference the size of an object is not known, and pools count sizes: so it stays in its
 * pool. */
static bool may_go(const snug_heap *heap, uint16_t from, uint16_t to, enum family family) {
	const struct class_entry *entry = heap->classes.entry;
	bool same_pool =
		(entry[from].stride <= SMALL_STRIDE_MAX) == (entry[to].stride <= SMALL_STRIDE_MAX);
	return same_pool || family == FAMILY_FRAGMENT || heap->slot_trailer_bytes > 0 ||
		   heap->options.owner.size_of != NULL;
}

/* Whether some slab's objects fit into other slabs' slots of their own size, or of larger ones. */
static bool can_empty_a_slab(const snug_heap *heap, const struct census *census) {
	const struct class_table *table = &heap->classes;
	for (enum family family = 0; family < FAMILY_COUNT; family++) {
		for (uint16_t id = table->first[family]; id < table->first[family + 1]; id++) {
			if (census->least_live[id] == UINT32_MAX) continue;
			uint64_t room = 0;
			for (uint16_t to = id; to < table->first[family + 1]; to++)
				room += may_go(heap, id, to, family) ? census->holes[to] : 0;
			if (room - census->own_holes[id] >= census->least_live[id]) return true;
		}
	}
	return false;
}

/* Bytes that descriptors and regions must grow by before so many more pages are committed. */
static uint64_t descriptors_bytes(const struct arena *arena, uint64_t cold_pages) {
	uint64_t pages = (arena->committed_bytes >> arena->page_shift) + cold_pages;
	uint64_t regions = (pages + region_pages(arena) - 1) >> arena->region_shift;
	uint64_t wanted = round_up((pages + 1) * sizeof(struct page), METADATA_GRAIN);
	uint64_t wanted_regions = round_up(regions * sizeof(struct region), METADATA_GRAIN);
	uint64_t had = arena->page_range.committed_bytes;
	uint64_t had_regions = arena->region_range.committed_bytes;
	return (wanted > had ? wanted - had : 0) +
		   (wanted_regions > had_regions ? wanted_regions - had_regions : 0);
}

static uint64_t uncommitted_bytes(const struct arena *arena) {
	uint64_t account_bytes = limit_account(arena);
	return arena->limit_bytes > account_bytes ? arena->limit_bytes - account_bytes : 0;
}

/* What no slab, table or charge has taken. */
static uint64_t bytes_left(const snug_heap *heap) {
	const struct arena *arena = &heap->arena;
	uint64_t free_pages = arena_free_pages(arena) + (heap->target != PAGE_NONE);
	return (free_pages << arena->page_shift) + uncommitted_bytes(arena);
}

/* Pages of it, when `metadata_bytes` have been taken. */
static uint64_t pages_left(const snug_heap *heap, uint64_t metadata_bytes) {
	const struct arena *arena = &heap->arena;
	uint64_t bytes = bytes_left(heap);
	uint64_t cold_pages = uncommitted_bytes(arena) >> arena->page_shift;
	metadata_bytes += cold_pages > 0 ? descriptors_bytes(arena, cold_pages) : 0;
	return bytes > metadata_bytes ? (bytes - metadata_bytes) >> arena->page_shift : 0;
}

static uint64_t handles_bytes(const snug_heap *heap) {
	const struct handle_table *handles = &heap->handles;
	bool full = handles->free_head == 0 && handles->list_mask == 0;
	if (heap->slot_trailer_bytes == 0 || !full) return 0;
	size_t floors_bytes = (handles->range.committed_bytes / METADATA_GRAIN + 1) * sizeof(uint32_t);
	return floors_bytes > handles->floors_range.committed_bytes ? 2 * METADATA_GRAIN
																: METADATA_GRAIN;
}

/* ------------------------------------------------------------------ what may be left ---------- */

/* The larger holes of each class are fewer than its slots a slab. So the hole of rank `rank` from
 * the largest on lies in a class of more than `rank` slots. Adds up the largest that each may be,
 * or what a trailer takes of it. */
static uint64_t most_left(const struct class_table *table, enum family family, uint32_t page_bytes,
						  uint32_t low, uint32_t high, uint32_t trailer_bytes) {
	uint64_t sum = 0;
	uint32_t rank = 1;
	for (uint32_t id = table->first[family + 1]; id-- > table->first[family];) {
		uint32_t stride = table->entry[id].stride;
		if (stride <= low || stride > high) continue;
		for (; rank < page_bytes / stride; rank++)
			sum += trailer_bytes == 0 ? stride : smaller(stride, trailer_bytes);
	}
	return sum;
}

uint64_t bound_most_left(const snug_heap *heap, bool pools_mix, uint32_t trailer_bytes) {
	const struct class_table *table = &heap->classes;
	uint32_t page_bytes = heap->arena.page_bytes;
	uint64_t sum = 0;
	for (enum family family = 0; family < FAMILY_COUNT; family++) {
		bool apart = !pools_mix && family != FAMILY_FRAGMENT;
		uint32_t border = apart ? SMALL_STRIDE_MAX : 0;
		sum += most_left(table, family, page_bytes, border, UINT32_MAX, trailer_bytes);
		if (apart) sum += most_left(table, family, page_bytes, 0, border, trailer_bytes);
	}
	return sum;
}

/* ------------------------------------------------------------------ the verdicts -------------- */

static bool hole_fits(const snug_heap *heap, const struct census *census, enum family family,
					  uint64_t bytes) {
	const struct class_table *table = &heap->classes;
	for (uint16_t id = table->first[family]; id < table->first[family + 1]; id++)
		if (census->holes[id] > 0 && table->entry[id].stride >= bytes) return true;
	return false;
}

struct bound_verdict bound_judge(const snug_heap *heap, size_t bytes, enum bound_storage storage) {
	struct census census;
	take_census(heap, &census);
	uint64_t table_bytes = handles_bytes(heap);
	/* A page that becomes a slab may need its class's state, and its bitmap. */
	uint64_t pages = pages_left(heap, table_bytes + METADATA_GRAIN);
	bool table_has_room = table_bytes == 0 || pages_left(heap, 0) > 0;
	bool slab_to_empty = can_empty_a_slab(heap, &census);
	/* The table's grain takes the page of a slab that is emptied into the holes. */
	uint64_t emptied_bytes = table_has_room ? 0 : 2ull * heap->arena.page_bytes;
	struct bound_verdict verdict = {
		.room_bytes = census.pieces_bytes + pages * less_trailer(heap, heap->arena.page_bytes),
		.needed_bytes = bytes + emptied_bytes,
		.is_of_table = !table_has_room,
	};
	bool pools_mix = heap->slot_trailer_bytes > 0 || heap->options.owner.size_of != NULL;
	bool page_wanted = storage != BOUND_PLAIN || !table_has_room;
	if (page_wanted && heap->pins.count == 0 &&
		census.hole_bytes - census.host_bytes > bound_most_left(heap, pools_mix, 0))
		verdict.wrong = "more is left in holes than docs/bounds.md says";
	if (!table_has_room && !slab_to_empty) return verdict;
	if (storage == BOUND_PLAIN && verdict.room_bytes >= verdict.needed_bytes)
		verdict.wrong = "holes and free pages hold it";
	if (table_has_room &&
		hole_fits(heap, &census, storage == BOUND_ALIGNED ? FAMILY_ALIGNED : FAMILY_BYTES,
				  bytes + heap->slot_trailer_bytes))
		verdict.wrong = "a larger hole is free";
	if (table_has_room && bytes <= snug_contiguous_max(heap) && pages > 0)
		verdict.wrong = "a page is free";
	if (table_has_room && storage != BOUND_PLAIN && slab_to_empty)
		verdict.wrong = "a slab could be emptied";
	return verdict;
}

/* So many bytes for something that is neither object nor slab. */
static struct bound_verdict judge_bytes(const snug_heap *heap, size_t bytes) {
	struct census census;
	take_census(heap, &census);
	struct bound_verdict verdict = {.room_bytes = bytes_left(heap), .needed_bytes = bytes};
	if (verdict.room_bytes >= bytes) verdict.wrong = "free pages hold it";
	if (bytes <= heap->arena.page_bytes && can_empty_a_slab(heap, &census))
		verdict.wrong = "a slab could be emptied";
	return verdict;
}

struct bound_verdict bound_judge_charge(const snug_heap *heap, size_t bytes) {
	return judge_bytes(heap, bytes);
}

struct bound_verdict bound_judge_pin(const snug_heap *heap) {
	struct census census;
	take_census(heap, &census);
	size_t table_bytes = 2 * heap->pins.capacity * sizeof(uint64_t);
	struct bound_verdict verdict = {.room_bytes = bytes_left(heap),
									.needed_bytes = larger(table_bytes, METADATA_GRAIN)};
	if (verdict.room_bytes >= verdict.needed_bytes) verdict.wrong = "the table can grow";
	if (census.record_holes > 0) verdict.wrong = "a hole could hold the record";
	return verdict;
}
