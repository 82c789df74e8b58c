/* test_walkers.c: each law that snug_check walks is proved by breaking it.
 *
 * One heap holds everything that a law is about: slabs in many states, runs and stacked pages,
 * magazines, fragments, handles and dead entries, pins, a victim half evacuated. Each case changes
 * one field or bit, requires that snug_check answers with the law's number, undoes the change and
 * requires that all is well again. The laws are listed in docs/invariants.md. */
#include "herd.h"
#include "mem/arena/arena.h"
#include "mem/arena/cells.h"
#include "mem/object/chain.h"
#include "mem/slab/classes.h"
#include "mem/slab/handle_grains.h"
#include "mem/slab/slab.h"
#include "mem/slab/tables.h"
#include "mem/slab/trailer.h"
#include "support/require.h"
#include "unit/cmocka_all.h"

static struct herd herd;

/* ------------------------------------------------------------------ the heap ------------------ */

static int open_heap(void **state) {
	(void)state;
	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
								 .limit_bytes = (size_t)3 << 20,
								 .page_bytes = 4096};
	snug_defragment_options slow = snug_defragment_options_default();
	snug_report report;
	herd_init(&herd, false, &options);
	herd_fill(&herd, 400000, 20, 900);
	herd_fill(&herd, 400000, 1100, 3900);
	herd_fill(&herd, 400000, 5000, 30000);
	herd_thin_out(&herd, 0, herd.count, 500);
	REQUIRE_OK(snug_defragment(herd.heap, NULL, &report)); /* free pages in runs */
	herd_thin_out(&herd, 0, herd.count, 400);              /* and stacked ones */
	for (uint32_t i = 0; i < herd.count; i++) {
		if (herd.objects[i].name != 0 && i % 50 == 0) {
			herd_pin(&herd, i);
		}
	}
	slow.step_bytes = 1;
	bool done = false;
	REQUIRE_OK(snug_defragment_begin(herd.heap, &slow));
	while (herd.heap->victim == PAGE_NONE || herd_stats(&herd).moves == report.moved_objects) {
		REQUIRE_OK(snug_defragment_step(herd.heap, &done));
		REQUIRE(!done, "no victim was half evacuated");
	}
	REQUIRE_OK(snug_check(herd.heap, NULL));
	return 0;
}

/* One that keeps its plans, with objects in fragments. */
static int open_larger_heap(void **state) {
	(void)state;
	snug_heap_options options = {.struct_bytes = sizeof(snug_heap_options),
								 .limit_bytes = (size_t)8 << 20,
								 .page_bytes = 4096};
	herd_init(&herd, false, &options);
	herd_fill(&herd, 400000, 1100, 3900);
	herd_fill(&herd, 400000, 5000, 30000);
	REQUIRE_OK(snug_check(herd.heap, NULL));
	return 0;
}

static int close_heap(void **state) {
	(void)state;
	herd_deinit(&herd);
	return 0;
}

/* ------------------------------------------------------------------ breaking and mending ------ */

/* A step as short as can be. */
static snug_error check_in_slices(snug_check_result *result) {
	bool done = false;
	REQUIRE_OK(snug_check_begin(herd.heap));
	while (!done) REQUIRE_OK(snug_check_step(herd.heap, 1, &done));
	return snug_check_end(herd.heap, result);
}

/* What a check in slices cannot see: docs/invariants.md. */
static bool is_sum_over_objects(const char *law, const char *what) {
	static const char *const counts[] = {"table->out_count ",    "table->near_room ",
										 "table->retired ",      "table->cold_grains ",
										 "table->spent_grains ", "table->floor "};
	static const char *const laws[] = {"A7", "C2", "F2"};
	for (size_t i = 0; i < sizeof laws / sizeof *laws; i++)
		if (strcmp(law, laws[i]) == 0) return true;
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
		if (strncmp(what, counts[i], strlen(counts[i])) == 0) return true;
	return false;
}

static void require_law(const char *law, const char *what) {
	snug_check_result result = {"", ""};
	snug_error error = snug_check(herd.heap, &result);
	REQUIRE(error == SNUG_ERROR_CORRUPT, "%s was changed and snug_check says: %s", what,
			snug_error_text(error));
	REQUIRE(strcmp(result.law, law) == 0, "%s was changed: that is law %s, snug_check says %s: %s",
			what, law, result.law, result.message);
	REQUIRE(result.message[0] != '\0', "a broken law without a message");
	snug_check_result sliced = {"", ""};
	error = check_in_slices(&sliced);
	if (is_sum_over_objects(law, what)) {
		REQUIRE(error == SNUG_OK, "%s: in slices: %s", what, sliced.message);
		return;
	}
	REQUIRE(error == SNUG_ERROR_CORRUPT && strcmp(sliced.law, law) == 0,
			"%s was changed: that is law %s, in slices it is %s: %s", what, law, sliced.law,
			sliced.message);
}

/* Gives `field` another value for the time of one check. */
#define BREAKS(law, field, value)                                                                \
	do {                                                                                         \
		__typeof__(field) *at = &(field); /* once: what it names may depend on what is broken */ \
		__typeof__(field) kept = *at;                                                            \
		*at = (__typeof__(field))(value);                                                        \
		require_law(law, #field " = " #value);                                                   \
		*at = kept;                                                                              \
		REQUIRE_OK(snug_check(herd.heap, NULL));                                                 \
	} while (0)

/* The first page in `state`. */
static page_number page_in_state(enum page_state state) {
	const struct arena *arena = &herd.heap->arena;
	for (page_number number = 1; number <= arena->page_count; number++) {
		if (arena->pages[number].state == state) {
			return number;
		}
	}
	require_failed(__FILE__, __LINE__, "no page in state %d", (int)state);
}

/* A slab, neither a victim nor pinned, with live and with free slots. */
static page_number partial_slab(void) {
	const struct arena *arena = &herd.heap->arena;
	for (page_number number = 1; number <= arena->page_count; number++) {
		const struct page *page = &arena->pages[number];
		if (page->state == PAGE_SLAB && page->pins == 0 && page->free_slots > 1 &&
			page->list < FULLNESS_BUCKETS &&
			class_of_page(herd.heap, number)->slots - page->free_slots > 1) {
			return number;
		}
	}
	require_failed(__FILE__, __LINE__, "no slab is partly filled");
}

static struct size_class *class_where(bool (*holds)(const struct size_class *class)) {
	for (uint32_t i = 0; i < herd.heap->classes.active_count; i++) {
		if (holds(class_active(&herd.heap->classes, i))) {
			return class_active(&herd.heap->classes, i);
		}
	}
	require_failed(__FILE__, __LINE__, "no class is as the case needs it");
}

static bool has_magazine(const struct size_class *class) {
	return class->magazine_count >= 2;
}

static bool has_pins(const struct size_class *class) {
	return class->pinned_slabs > 0;
}

static bool has_slabs(const struct size_class *class) {
	return class->slabs > 0 && class->pinned_slabs == 0;
}

/* ------------------------------------------------------------------ A: the arena -------------- */

static void a1_limit(void **state) {
	(void)state;
	struct arena *arena = &herd.heap->arena;
	BREAKS("A1", arena->limit_bytes, arena->committed_bytes + arena->metadata_bytes - 1);
}

static void a2_regions(void **state) {
	(void)state;
	struct region *region = arena_region(&herd.heap->arena, 0);
	struct region *last = arena_region(&herd.heap->arena, herd.heap->arena.region_count - 1);
	BREAKS("A2", region->free_pages, region->free_pages + 1);
	BREAKS("A2", region->cold_pages, region->cold_pages + 1);
	BREAKS("A2", region->page_count, region->page_count - 1);
	if (last->page_count < REGION_WORDS * 64) {
		BREAKS("A2", last->free_bits[REGION_WORDS - 1],
			   last->free_bits[REGION_WORDS - 1] | (uint64_t)1 << 63);
	}
}

static void a3_one_place(void **state) {
	(void)state;
	struct arena *arena = &herd.heap->arena;
	page_number free_page = page_in_state(PAGE_FREE);
	page_number slab = page_in_state(PAGE_SLAB);
	BREAKS("A3", arena->pages[free_page].state, PAGE_SLAB);
	BREAKS("A3", arena->pages[free_page].state, PAGE_STACKED);
	BREAKS("A3", arena->pages[slab].state, PAGE_FREE);
	BREAKS("A3", arena->pages[slab].state, 99);
	uint64_t *free_bits = arena_region(arena, (slab - 1) >> arena->region_shift)->free_bits;
	uint32_t bit = (slab - 1) & ((1u << arena->region_shift) - 1);
	BREAKS("A3", free_bits[bit / 64], free_bits[bit / 64] ^ (uint64_t)1 << (bit % 64));
}

static void a4_free_pages(void **state) {
	(void)state;
	struct arena *arena = &herd.heap->arena;
	REQUIRE(arena->stack != PAGE_NONE, "no page is stacked");
	BREAKS("A4", arena->stacked_pages, arena->stacked_pages + 1);
	BREAKS("A4", arena->free_pages, arena->free_pages - 1);
	BREAKS("A4", arena->committed_bytes, arena->committed_bytes - 4096);
	BREAKS("A4", arena->stack, page_in_state(PAGE_SLAB));
	BREAKS("A4", arena->stack, PAGE_NONE);
	BREAKS("A4", arena->pages[arena->stack].next, arena->stack);
}

static void a5_region_lists(void **state) {
	(void)state;
	struct arena *arena = &herd.heap->arena;
	struct region *region =
		arena_region(arena, (page_in_state(PAGE_FREE) - 1) >> arena->region_shift);
	BREAKS("A5", arena->region_mask, 0);
	BREAKS("A5", arena->region_mask, arena->region_mask ^ 1u << region->bucket);
	BREAKS("A5", region->bucket, LIST_NONE);
	BREAKS("A5", region->next, (uint32_t)(region - arena_region(arena, 0)) + 1);
	BREAKS("A5", arena->region_heads[region->bucket], 0);
}

static void a6_metadata(void **state) {
	(void)state;
	BREAKS("A6", herd.heap->arena.metadata_bytes, herd.heap->arena.metadata_bytes - 4096);
	BREAKS("A6", herd.heap->cells.range.committed_bytes,
		   herd.heap->cells.range.committed_bytes + 4096);
}

/* ------------------------------------------------------------------ S, C: slabs and classes --- */

static void s1_bitmap(void **state) {
	(void)state;
	page_number number = partial_slab();
	struct page *page = &herd.heap->arena.pages[number];
	struct size_class *class = class_of_page(herd.heap, number);
	uint64_t *bits = free_bits_of(page, class);
	for (uint32_t slot = 0; slot < class->slots; slot++) {
		BREAKS("S1", bits[slot / 64], bits[slot / 64] ^ (uint64_t)1 << (slot % 64));
	}
	BREAKS("S1", page->free_slots, page->free_slots + 1);
	if (class->slots % 64 != 0) {
		BREAKS("S1", bits[class->slots / 64], bits[class->slots / 64] | (uint64_t)1 << 63);
	}
}

static void s2_lists(void **state) {
	(void)state;
	struct page *page = &herd.heap->arena.pages[partial_slab()];
	struct size_class *class = herd.heap->classes.state[page->class_id];
	BREAKS("S2", page->list, page->list ^ 1);
	BREAKS("S2", page->class_id, UINT16_MAX);
	BREAKS("S2", page->previous, page->previous + 1);
	BREAKS("S2", page->next, page_in_state(PAGE_FREE));
	BREAKS("S2", page->next, page - herd.heap->arena.pages);
	BREAKS("S2", class->list_mask, class->list_mask ^ 1u << page->list);
	BREAKS("S2", class->lists[page->list], PAGE_NONE);
	BREAKS("S2", herd.heap->arena.pages[page_in_state(PAGE_FREE)].list, 0);
	BREAKS("S2", herd.heap->arena.pages[page_in_state(PAGE_STACKED)].list, LIST_FULL);
}

static void s3_to_s5_counters(void **state) {
	(void)state;
	struct size_class *class = class_where(has_slabs);
	BREAKS("S3", class->slabs, class->slabs + 1);
	BREAKS("S4", class->free_slots, class->free_slots + 1);
	BREAKS("S5", class->used_slots, class->used_slots - 1);
}

static void s6_magazines(void **state) {
	(void)state;
	struct size_class *class = class_where(has_magazine);
	uint64_t *first = class->magazine;
	BREAKS("S6", *first, *first + 1);
	BREAKS("S6", *first, class->magazine[1]);
	BREAKS("S6", *first, 0);
	BREAKS("S6", *first, (uint64_t)page_in_state(PAGE_FREE) << herd.heap->arena.page_shift);
	BREAKS("S6", *first, UINT64_MAX);
	BREAKS("S6", class->magazine_count, class->magazine_capacity + 1);
}

static void s7_victim(void **state) {
	(void)state;
	page_number victim = herd.heap->victim;
	BREAKS("S7", herd.heap->victim, PAGE_NONE);
	BREAKS("S7", herd.heap->victim, partial_slab());
	BREAKS("S7", herd.heap->arena.pages[victim].state, PAGE_SLAB);
	BREAKS("S7", herd.heap->arena.pages[partial_slab()].state, PAGE_VICTIM);
	BREAKS("S7", herd.heap->arena.pages[partial_slab()].state, PAGE_TARGET);
	BREAKS("S7", herd.heap->target, partial_slab());
}

static void s8_pinned_slabs(void **state) {
	(void)state;
	struct size_class *class = class_where(has_pins);
	BREAKS("S8", class->pinned_slabs, class->pinned_slabs - 1);
	BREAKS("S8", class->pinned_free_slots, class->pinned_free_slots + 1);
}

static bool has_holes(const struct size_class *class) {
	return (class->list_mask & PARTIAL_MASK) != 0;
}

static void s9_counts_of_lists(void **state) {
	(void)state;
	struct size_class *class = class_where(has_holes);
	uint32_t list = bit_lowest(class->list_mask);
	BREAKS("S9", class->list_slabs[list], class->list_slabs[list] + 1);
	REQUIRE(class->empty != class->lists[list], "the slab is empty");
	BREAKS("S9", class->empty, class->lists[list]);
}

static void c1_serving(void **state) {
	(void)state;
	struct class_table *table = &herd.heap->classes;
	struct size_class *class = class_where(has_slabs);
	BREAKS("C1", table->entry[class->id].serving,
		   class_active(table, class->active_index == 0 ? 1 : 0));
	BREAKS("C1", table->entry[class->id].serving, NULL);
	BREAKS("C1", class->active_index, class->active_index + 1);
	uint32_t nobody = place_of_entry(table->first[FAMILY_COUNT]);
	uint32_t size = 1;
	while (table->exact[size] == table->shortest[size]) size++;
	BREAKS("C1", table->shortest[size], table->exact[size]);
	BREAKS("C1", table->shortest[100], nobody);
	BREAKS("C1", table->exact[size], table->exact[size] + 2);
	BREAKS("C1", table->entry[table->first[FAMILY_COUNT]].serving, class);
	BREAKS("C1", table->nobody->magazine_count, 1);
}

static void c2_payload(void **state) {
	(void)state;
	for (int pool = 0; pool < SNUG_POOL_COUNT; pool++) {
		BREAKS("C2", herd.heap->payload_bytes[pool], herd.heap->payload_bytes[pool] + 1);
	}
}

static void c3_live(void **state) {
	(void)state;
	struct class_table *table = &herd.heap->classes;
	struct size_class *class = class_where(has_slabs);
	BREAKS("C3", table->entry[class->id].live, table->entry[class->id].live + 1);
	BREAKS("C3", class->short_bytes, class->short_bytes + 1);
}

/* A class with an object that it serves no longer. */
static struct size_class *class_of_loose_object(void) {
	const snug_heap *heap = herd.heap;
	const struct handle_table *table = &heap->handles;
	for (uint32_t i = 0; i < table->count; i++) {
		uint64_t entry = table->entries[i];
		if ((entry & ENTRY_LIVE) == 0 || (entry & ENTRY_CHAINED) != 0) continue;
		struct size_class *class = class_of_page(heap, page_of(&heap->arena, entry & OFFSET_MASK));
		struct handle_trailer trailer =
			handle_trailer_read(handle_trailer_at(heap, class, entry & OFFSET_MASK));
		uint16_t id = class_find(&heap->classes, (enum family) class->family,
								 class->stride - trailer.slack_bytes);
		if (id != class->id && heap->classes.entry[id].serving != class) return class;
	}
	require_failed(__FILE__, __LINE__, "no object is loose");
}

static void c4_loose(void **state) {
	(void)state;
	BREAKS("C4", class_of_loose_object()->loose, false);
}

/* ------------------------------------------------------------- F, H, P: objects, handles, pins  */

/* The offset of the first live object that is stored in several fragments, or in one slot. */
static uint64_t object_offset(bool chained, uint32_t *index) {
	const struct handle_table *table = &herd.heap->handles;
	for (uint32_t i = 0; i < table->count; i++) {
		uint64_t entry = table->entries[i];
		if ((entry & ENTRY_LIVE) != 0 && ((entry & ENTRY_CHAINED) != 0) == chained) {
			*index = i;
			return entry & OFFSET_MASK;
		}
	}
	require_failed(__FILE__, __LINE__, "no such object");
}

static void require_law_for_fragment(const char *law, uint64_t offset,
									 struct fragment_trailer changed) {
	char *at = fragment_trailer_at(herd.heap, offset);
	struct fragment_trailer kept = fragment_trailer_read(herd.heap, at);
	fragment_trailer_write(herd.heap, at, changed);
	require_law(law, "a fragment's trailer");
	fragment_trailer_write(herd.heap, at, kept);
	REQUIRE_OK(snug_check(herd.heap, NULL));
}

static void f1_fragments(void **state) {
	(void)state;
	uint32_t index;
	uint64_t head = object_offset(true, &index);
	const struct fragment_trailer first =
		fragment_trailer_read(herd.heap, fragment_trailer_at(herd.heap, head));
	const struct fragment_trailer second =
		fragment_trailer_read(herd.heap, fragment_trailer_at(herd.heap, first.next));
	struct fragment_trailer changed = first;
	changed.next = 0;
	require_law_for_fragment("F1", head, changed);
	changed.next = first.next + 1;
	require_law_for_fragment("F1", head, changed);
	changed = first;
	changed.object_size++;
	require_law_for_fragment("F1", head, changed);
	changed = first;
	changed.length = 0xFFFF;
	require_law_for_fragment("F1", head, changed);
	changed = second;
	changed.previous = first.next;
	require_law_for_fragment("F1", first.next, changed);
	changed = second;
	changed.length--;
	require_law_for_fragment("F1", first.next, changed);
}

static void f2_objects_in_fragments(void **state) {
	(void)state;
	BREAKS("F2", herd.heap->chains, herd.heap->chains + 1);
}

static void f3_bookmark(void **state) {
	(void)state;
	const struct herd_object *object = NULL; /* the largest */
	char byte;
	for (uint32_t i = 0; i < herd.count; i++) {
		const struct herd_object *other = &herd.objects[i];
		if (other->name != 0 && (object == NULL || other->size > object->size)) object = other;
	}
	REQUIRE(object != NULL, "an empty heap");
	REQUIRE_OK(snug_read(herd.heap, object->name, object->size - 1, &byte, 1));
	struct bookmark *mark = &herd.heap->bookmark;
	REQUIRE(mark->head != 0 && mark->before_bytes >= 4000, "no bookmark");
	BREAKS("F3", mark->before_bytes, mark->before_bytes + 1);
	BREAKS("F3", mark->offset, mark->head);
}

static void f4_plans(void **state) {
	(void)state;
	uint8_t *plans = herd.heap->classes.plans;
	uint32_t split = 0, known = 0, end = whole_fragment_bytes(herd.heap);
	assert_non_null(plans);
	for (uint32_t bytes = 1; bytes < end; bytes++) {
		if (plans[bytes] == 0) continue;
		known = bytes;
		if ((plans[bytes] & 0x80) == 0) split = bytes;
	}
	REQUIRE(known != 0 && split != 0, "no plan is kept");
	BREAKS("F4", plans[split], plans[split] + 1);
	BREAKS("F4", plans[known], 0x80);
	BREAKS("F4", plans[end - 1], plans[end - 1] == 0x7F ? 0x7E : 0x7F);
}

static void h1_handles_and_objects(void **state) {
	(void)state;
	uint32_t index;
	object_offset(false, &index);
	uint64_t *entries = herd.heap->handles.entries;
	BREAKS("H1", entries[index], entries[index] + 1);
	BREAKS("H1", entries[index], entries[index] ^ ENTRY_CHAINED);
	BREAKS("H1", entries[index], entries[index] ^ ENTRY_LIVE);
}

static void h2_table(void **state) {
	(void)state;
	struct handle_table *table = &herd.heap->handles;
	REQUIRE(table->free_head != 0, "no entry is free");
	BREAKS("H2", table->out_count, table->out_count + 1);
	BREAKS("H2", table->near_room, table->near_room + 1);
	BREAKS("H2", table->retired, table->retired + 1);
	BREAKS("H2", table->free_head, 0);
	BREAKS("H2", table->free_head, table->count + 1);
	uint32_t free_entry = table->free_head - 1;
	BREAKS("H2", table->entries[free_entry],
		   (table->entries[free_entry] & ~(uint64_t)UINT32_MAX) | (free_entry + 1));
}

/* A number in the upper part of a word of a grain's header, one more. */
static uint64_t one_more(uint64_t word) {
	return word + ((uint64_t)1 << ENTRY_GENERATION_SHIFT);
}

static void h4_grains(void **state) {
	(void)state;
	struct handle_table *table = &herd.heap->handles;
	REQUIRE(handles_near(table) > 8, "few near entries");
	for (uint32_t i = 0; i < 8; i++) handle_grain_give_near(table, false);
	uint32_t grain = 0;
	while (grain < handle_grain_count(table) && handle_grain_read(table, grain).dead == 0) grain++;
	REQUIRE(grain < handle_grain_count(table), "no grain has dead entries of its own");
	uint64_t *words = handle_grain_at(table, grain);
	uint32_t head = handle_grain_read(table, grain).head;
	BREAKS("H4", words[0], one_more(words[0]));
	BREAKS("H4", words[0], words[0] ^ 1);
	BREAKS("H4", words[1], one_more(words[1]));
	BREAKS("H4", words[1], words[1] ^ 1);
	BREAKS("H4", words[2], one_more(words[2]));
	BREAKS("H4", words[2], words[2] & ~(uint64_t)UINT32_MAX);
	BREAKS("H4", table->entries[head - 1], table->entries[head - 1] & ~(uint64_t)UINT32_MAX);
	BREAKS("H4", table->entries[head - 1], 0);
}

/* Another heap: three grains, of which the one in the middle is cold. */
static void h5_cold_grains(void **state) {
	(void)state;
	static snug_handle handles[3 * HANDLE_GRAIN_USABLE];
	snug_heap *other = herd.heap;
	snug_heap_options options = snug_heap_options_default();
	options.limit_bytes = (size_t)1 << 20;
	options.page_bytes = 4096;
	REQUIRE_OK(snug_heap_create(&options, &herd.heap));
	for (size_t i = 0; i < 3 * HANDLE_GRAIN_USABLE; i++)
		REQUIRE_OK(snug_alloc(herd.heap, 1, &handles[i]));
	for (size_t i = HANDLE_GRAIN_USABLE; i < 2 * HANDLE_GRAIN_USABLE; i++)
		REQUIRE_OK(snug_free(herd.heap, handles[i]));
	REQUIRE(tables_trim(herd.heap, TRIM_ALL) > 0 || herd.heap->handles.cold_grains == 1,
			"nothing went back");
	struct handle_table *table = &herd.heap->handles;
	REQUIRE(handle_grain_is_cold(table, 1) && table->cold_grains == 1, "no grain is cold");
	BREAKS("H5", table->cold_grains, 0);
	BREAKS("H5", table->spent_grains, 1);
	BREAKS("H5", table->floors[1], FLOOR_COLD);
	BREAKS("H5", table->open_count, table->count);
	BREAKS("H5", table->floor, 0);
	for (size_t i = 0; i < 3 * HANDLE_GRAIN_USABLE; i++) {
		bool live = i / HANDLE_GRAIN_USABLE != 1;
		REQUIRE_ERROR(live ? SNUG_OK : SNUG_ERROR_HANDLE, snug_free(herd.heap, handles[i]));
	}
	REQUIRE_OK(snug_heap_destroy(herd.heap));
	herd.heap = other;
}

static void a7_cells(void **state) {
	(void)state;
	struct cells *cells = &herd.heap->cells;
	struct cell_grain *grain = cell_grain_at(cells, 0);
	uint32_t list = bit_lowest(cells->list_mask);
	REQUIRE(list != CELL_LIST_EMPTY, "no grain holds cells and has room");
	BREAKS("A7", cells->list_mask, 0);
	BREAKS("A7", cells->lists[list], 0);
	BREAKS("A7", cells->grain_count, cells->grain_count + 1000);
	BREAKS("A7", grain->free_bits[0], grain->free_bits[0] ^ 1);
	BREAKS("A7", grain->free_bits[0], grain->free_bits[0] ^ 2);
	BREAKS("A7", grain->list, grain->list + 1);
}

static void h3_trailers(void **state) {
	(void)state;
	uint32_t index;
	uint64_t offset = object_offset(false, &index);
	struct size_class *class = class_of_page(herd.heap, page_of(&herd.heap->arena, offset));
	char *at = handle_trailer_at(herd.heap, class, offset);
	struct handle_trailer kept = handle_trailer_read(at);
	struct handle_trailer changed = {kept.index, UINT16_MAX};
	handle_trailer_write(at, changed);
	require_law("H3", "an object's slack");
	changed = (struct handle_trailer){kept.index + 1, kept.slack_bytes};
	handle_trailer_write(at, changed);
	require_law("H1", "an object's handle index");
	handle_trailer_write(at, kept);
	REQUIRE_OK(snug_check(herd.heap, NULL));
}

static void p1_p2_pins(void **state) {
	(void)state;
	struct pin_table *pins = &herd.heap->pins;
	uint32_t index = 0;
	while (pins->entries[index] == 0) {
		index++;
	}
	page_number pinned = page_of(&herd.heap->arena, pins->entries[index] & OFFSET_MASK);
	BREAKS("P1", pins->count, pins->count + 1);
	BREAKS("P1", pins->entries[index], pins->entries[index] & OFFSET_MASK);
	BREAKS("P1", pins->entries[index], 0);
	BREAKS("P2", herd.heap->arena.pages[pinned].pins, herd.heap->arena.pages[pinned].pins + 1);
}

/* A step of any length comes to the same; what is not begun has no step, and what is not done is
 * cancelled. */
static void a_check_in_slices_has_a_life(void **state) {
	(void)state;
	bool done = false;
	REQUIRE_ERROR(SNUG_ERROR_NOT_RUNNING, snug_check_step(herd.heap, 1, &done));
	REQUIRE_ERROR(SNUG_ERROR_NOT_RUNNING, snug_check_end(herd.heap, NULL));
	REQUIRE_OK(snug_check_begin(herd.heap));
	REQUIRE_ERROR(SNUG_ERROR_BUSY, snug_check_begin(herd.heap));
	REQUIRE_ERROR(SNUG_ERROR_BUDGET_ZERO, snug_check_step(herd.heap, 0, &done));
	REQUIRE_ERROR(SNUG_ERROR_NULL, snug_check_step(herd.heap, 1, NULL));
	REQUIRE_OK(snug_check_step(herd.heap, 1, &done));
	REQUIRE(!done, "one step was all");
	REQUIRE_ERROR(SNUG_ERROR_CANCELLED, snug_check_end(herd.heap, NULL));
	REQUIRE_OK(snug_check_begin(herd.heap));
	REQUIRE_OK(snug_check_step(herd.heap, UINT64_MAX, &done));
	REQUIRE(done, "a step without an end ended");
	REQUIRE_OK(snug_check_end(herd.heap, NULL));
}

/* Each step sees another heap: half evacuated, filled, emptied, pinned. */
static void a_check_in_slices_bears_change(void **state) {
	(void)state;
	for (uint32_t round = 0; round < 6; round++) {
		bool done = false, moved = false;
		REQUIRE_OK(snug_check_begin(herd.heap));
		for (uint32_t step = 0; !done; step++) {
			REQUIRE_OK(snug_check_step(herd.heap, 1, &done));
			if (step % 7 == 0) herd_fill(&herd, 3000, 20, 9000);
			if (step % 11 == 0) herd_thin_out(&herd, step % 100, herd.count, 20);
			if (!moved && herd.heap->defragment.phase != PHASE_IDLE)
				REQUIRE_OK(snug_defragment_step(herd.heap, &moved));
		}
		REQUIRE_OK(snug_check_end(herd.heap, NULL));
		REQUIRE_OK(snug_check(herd.heap, NULL));
	}
}

/* What the owner would see: the law and the numbers are logged too. */
static void a_broken_law_is_logged(void **state) {
	(void)state;
	BREAKS("F2", herd.heap->chains, 0);
	snug_check_result result;
	uint64_t kept = herd.heap->chains;
	herd.heap->chains = kept + 5;
	REQUIRE_ERROR(SNUG_ERROR_CORRUPT, snug_check(herd.heap, NULL));
	REQUIRE_ERROR(SNUG_ERROR_CORRUPT, snug_check(herd.heap, &result));
	herd.heap->chains = kept;
	assert_non_null(strstr(result.message, "stored"));
	assert_non_null(strstr(result.message, "counted"));
}

int main(void) {
#define WITH_HEAP(function) cmocka_unit_test_setup_teardown(function, open_heap, close_heap)
	const struct CMUnitTest tests[] = {
		WITH_HEAP(a1_limit),
		WITH_HEAP(a2_regions),
		WITH_HEAP(a3_one_place),
		WITH_HEAP(a4_free_pages),
		WITH_HEAP(a5_region_lists),
		WITH_HEAP(a6_metadata),
		WITH_HEAP(a7_cells),
		WITH_HEAP(s1_bitmap),
		WITH_HEAP(s2_lists),
		WITH_HEAP(s3_to_s5_counters),
		WITH_HEAP(s6_magazines),
		WITH_HEAP(s7_victim),
		WITH_HEAP(s8_pinned_slabs),
		WITH_HEAP(s9_counts_of_lists),
		WITH_HEAP(c1_serving),
		WITH_HEAP(c2_payload),
		WITH_HEAP(c3_live),
		WITH_HEAP(c4_loose),
		WITH_HEAP(f1_fragments),
		WITH_HEAP(f2_objects_in_fragments),
		WITH_HEAP(f3_bookmark),
		cmocka_unit_test_setup_teardown(f4_plans, open_larger_heap, close_heap),
		WITH_HEAP(h1_handles_and_objects),
		WITH_HEAP(h2_table),
		WITH_HEAP(h3_trailers),
		WITH_HEAP(h4_grains),
		WITH_HEAP(h5_cold_grains),
		WITH_HEAP(p1_p2_pins),
		WITH_HEAP(a_broken_law_is_logged),
		WITH_HEAP(a_check_in_slices_has_a_life),
		WITH_HEAP(a_check_in_slices_bears_change),
	};
	return cmocka_run_group_tests_name("walkers", tests, NULL, NULL);
}
