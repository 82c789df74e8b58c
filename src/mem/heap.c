/* mem/heap.c: creation and end, and the limit as the owner sets it.
 *
 * A heap is two reservations of addresses, of which little is committed at first:
 *
 *   metadata   | snug_heap, class tables | descriptors | regions | cells | handles, floors | pins x 2 |
 *              | fixed, 15 to 96 KB      | 32 a page   | 152 a   |       |                 |          |
 *   arena      | page 1 | page 2 | ...                                      limit_max_bytes in all
 *
 * Each range is committed in grains of 4 KiB as it grows, and gives back what it no longer needs
 * (mem/slab/tables.h). So a table grows in place, and a pointer into it stays good. Addresses are
 * taken for the worst case, which follows from this: the table and the slots that it is for are
 * within one limit.
 *
 *   table     of the limit, at most           why                                         lean
 *   cells     0.06                            a bit a slot, and what lies between         1/16
 *   handles   1/2; none by reference          8 bytes an object, which has a slot of 8    1/8
 *   pins      2 x 8/15                        8 bytes an object; while it grows the old   2 x 1/32
 *                                             table, 3/4 full, and one of twice its size
 *
 * So a heap by handle takes at most 2.9 times the limit, one by reference 2.4. Where addresses are
 * limited (RLIMIT_AS), or the OS refuses that many, the tables are LEAN: 1.3 and 1.2 times, and a
 * MiB for each table. That is enough for a handle each 64 bytes, and a pin each 171 to 341. A lean
 * table at the end of its addresses answers OS_MEMORY; one that is not could not grow within the
 * limit either, and answers NO_MEMORY. The two tables of pins are there because that table grows by
 * copying.
 *
 * The heap struct lies in its own metadata: its memory counts towards the limit like all other. A
 * draft of it on the stack commits the first range, and is copied there. If that fails nothing is
 * left behind: one release undoes it.
 *
 * PAGE SIZE is chosen from the limit. Small pages waste less in half-filled slabs, of which each
 * active class has one; large pages waste less at their ends and in descriptors. Pages of 32 KiB at
 * 256 MiB hold 0.975 of it as payload, where 16 KiB hold 0.981 (docs/design/0001).
 *
 *   limit below     8 MiB    128 MiB    1 GiB    8 GiB    more
 *   page            4 KiB      8 KiB   16 KiB   32 KiB   64 KiB
 *
 * THE LIMIT. A charge is memory of the owner's that counts as if it were the heap's. It makes room
 * for itself as an allocation does: free pages are traded for it, then objects move. It takes no
 * more than the goal: what can never fit is refused before anything moves. Where the OS does not
 * take a page nothing moves either, since what moving frees are pages too.
 *
 * Destroying is two calls of the system, whatever the heap holds. */
#include "base/assert.h"
#include "base/bits.h"
#include "base/grown.h"
#include "mem/arena/arena.h"
#include "mem/arena/limit.h"
#include "mem/gate.h"
#include "mem/heap_keep.h"
#include "mem/object/room.h"
#include "mem/slab/classes.h"
#include "mem/slab/handles.h"
#include "mem/slab/tables.h"
#include "os/address_space.h"
#include "os/reserve.h"

/* A heap that lends its holes has larger ones: their number costs it little. */
static size_t choose_page_bytes(size_t limit_bytes, bool no_last_resort) {
	if (limit_bytes < (size_t)8 << 20) return 4096;
	if (limit_bytes < (size_t)(no_last_resort ? 128 : 64) << 20) return 8192;
	if (limit_bytes < (size_t)1 << 30) return 16384;
	if (limit_bytes < (size_t)8 << 30) return 32768;
	return 65536;
}

static snug_error check_options(const snug_heap_options *options, size_t *page_bytes) {
	if (options->limit_bytes > SNUG_LIMIT_MAX_BYTES) return SNUG_ERROR_OPTION;
	if (options->limit_max_bytes > SNUG_LIMIT_MAX_BYTES) return SNUG_ERROR_OPTION;
	if (options->limit_max_bytes != 0 && options->limit_max_bytes < options->limit_bytes)
		return SNUG_ERROR_OPTION;
	size_t bytes = options->page_bytes;
	if (bytes == 0) bytes = choose_page_bytes(options->limit_bytes, options->no_last_resort);
	if (!is_power_of_two(bytes) || bytes < PAGE_BYTES_MIN || bytes > PAGE_BYTES_MAX)
		return SNUG_ERROR_OPTION;
	if (!limit_is_workable(options->limit_bytes, bytes)) return SNUG_ERROR_LIMIT_TOO_SMALL;
	if (options->owner.size_of != NULL && options->owner.moved == NULL) return SNUG_ERROR_OPTION;
	if (options->pace_low_water_bytes > options->limit_bytes) return SNUG_ERROR_OPTION;
	if (options->pace_low_water_bytes != 0 && options->no_compaction_in_alloc)
		return SNUG_ERROR_OPTION;
	if (options->pace_step_bytes != 0 && options->pace_low_water_bytes == 0)
		return SNUG_ERROR_OPTION;
	*page_bytes = bytes;
	return SNUG_OK;
}

void snug_heap_options_init(snug_heap_options *options, size_t struct_bytes) {
	static const snug_heap_options defaults = {.log = {.level = SNUG_LOG_ERROR}};
	grown_init(options, struct_bytes, &defaults, sizeof defaults);
}

static bool asks_the_unknown(const snug_heap_options *options) {
	return options->os != NULL &&
		   !grown_is_zero(options->os->reserved, sizeof options->os->reserved);
}

static snug_error read_options(const snug_heap_options *given, snug_heap_options *out) {
	*out = snug_heap_options_default();
	bool is_known =
		grown_read(given, out, sizeof *out) && out->reserved == 0 && !asks_the_unknown(out);
	return is_known ? SNUG_OK : SNUG_ERROR_VERSION;
}

static size_t limit_max_of(const snug_heap_options *options) {
	return options->limit_max_bytes != 0 ? options->limit_max_bytes : options->limit_bytes;
}

static struct range carve(char *base, size_t *at, size_t bytes) {
	struct range range = {.reserved_bytes = round_up(bytes, METADATA_GRAIN)};
	if (base != NULL) range.base = base + *at;
	*at += range.reserved_bytes;
	return range;
}

/* The most that cells can need: the bitmaps of all pages, and the states of all classes. Times four,
 * because cells of up to 32 units may lie so that the runs between them are too short for others
 * (Robson, "Bounds for some functions concerning dynamic storage allocation": 3.5). */
static size_t cells_most_bytes(size_t limit_max_bytes, size_t page_bytes) {
	size_t bitmap_bytes = round_up(page_bytes / STRIDE_MIN / 8, CELL_UNIT_BYTES);
	size_t state_bytes = sizeof(struct size_class) + MAGAZINE_MAX * sizeof(uint64_t);
	size_t cells_bytes =
		bitmap_bytes * (limit_max_bytes / page_bytes) + CLASS_COUNT_MAX * state_bytes;
	return smaller(limit_max_bytes, 4 * cells_bytes);
}

/* How many bytes of addresses each table gets. */
struct table_bytes {
	size_t cells;
	size_t handles;
	size_t pins; /* each of two */
	bool keeps_plans;
};

static struct table_bytes tables_of(const snug_heap_options *options, size_t page_bytes,
									bool lean) {
	size_t limit_bytes = limit_max_of(options);
	bool by_reference = options->owner.moved != NULL;
	struct table_bytes tables = {
		.cells = cells_most_bytes(limit_bytes, page_bytes),
		.handles = by_reference ? METADATA_GRAIN : limit_bytes / 2,
		.pins = divide_up(limit_bytes, 15) * 8,
		.keeps_plans = class_keeps_plans(options->limit_bytes, page_bytes),
	};
	if (!lean) return tables;
	tables.cells = lean_bytes(tables.cells, limit_bytes / 16);
	tables.handles = lean_bytes(tables.handles, limit_bytes / 8);
	tables.pins = lean_bytes(tables.pins, limit_bytes / 32);
	return tables;
}

/* Lays the metadata ranges out; with base NULL it only tells how many bytes they need. */
static size_t lay_out(snug_heap *heap, char *base, const struct table_bytes *tables,
					  size_t limit_max_bytes, size_t page_bytes) {
	size_t page_count = limit_max_bytes / page_bytes;
	size_t region_count = limit_max_bytes / REGION_BYTES + 1;
	size_t at = 0;
	heap->fixed =
		carve(base, &at,
			  sizeof(snug_heap) + class_table_bytes((uint32_t)page_bytes, tables->keeps_plans));
	heap->arena.page_range = carve(base, &at, (page_count + 2) * sizeof(struct page));
	heap->arena.region_range = carve(base, &at, region_count * sizeof(struct region));
	heap->cells.range = carve(base, &at, tables->cells);
	heap->handles.range = carve(base, &at, tables->handles);
	heap->handles.floors_range =
		carve(base, &at, (tables->handles / METADATA_GRAIN + 1) * sizeof(uint32_t));
	heap->pins.ranges[0] = carve(base, &at, tables->pins);
	heap->pins.ranges[1] = carve(base, &at, tables->pins);
	return at;
}

/* NULL: refused. */
static char *reserve_metadata(snug_heap *draft, const snug_heap_options *options, size_t page_bytes,
							  bool lean) {
	const snug_os *os = draft->arena.os;
	struct table_bytes tables = tables_of(options, page_bytes, lean);
	size_t bytes = lay_out(draft, NULL, &tables, limit_max_of(options), page_bytes);
	char *base = os_reserve(os, bytes, METADATA_GRAIN);
	if (base == NULL) return lean ? NULL : reserve_metadata(draft, options, page_bytes, true);
	draft->metadata_reserved_bytes = bytes;
	draft->arena.is_lean = lean;
	lay_out(draft, base, &tables, limit_max_of(options), page_bytes);
	return base;
}

static uint8_t tag_of(const snug_heap *heap) {
	return (uint8_t)(((uintptr_t)heap * 0x9E3779B97F4A7C15u) >> 56);
}

static void fill_in(snug_heap *heap, const snug_heap_options *options, char *base,
					size_t page_bytes) {
	bool by_reference = options->owner.moved != NULL;
	heap->options = *options;
	heap->options.limit_max_bytes = limit_max_of(options);
	if (options->pace_step_bytes == 0) heap->options.pace_step_bytes = page_bytes;
	heap->slot_trailer_bytes = by_reference ? 0 : HANDLE_TRAILER_BYTES;
	heap->gate = gate_of(by_reference ? BY_REFERENCE : BY_HANDLE);
	heap->log = options->log;
	heap->metadata_base = base;
	heap->changes = 1;
	heap->owner_thread = pthread_self();
	heap->arena.page_bytes = (uint32_t)page_bytes;
	heap->arena.page_shift = bit_lowest(page_bytes);
	heap->arena.region_shift = bit_lowest(REGION_BYTES) - heap->arena.page_shift;
	heap->arena.page_count = (uint32_t)(limit_max_of(options) / page_bytes);
	heap->arena.huge_pages = options->huge_pages;
}

/* `objects`: where they lie, in a heap that is made anew around them; NULL: nowhere yet. */
static snug_error create(const snug_heap_options *options, const snug_os *os,
						 struct memory_segment *segment, char *objects, snug_heap **out) {
	size_t page_bytes;
	snug_error error = check_options(options, &page_bytes);
	if (error) return error;
	snug_heap draft = {.arena = {.os = os}, .segment = segment};
	draft.arena.limit_bytes = options->limit_bytes;
	draft.arena.limit_goal_bytes = options->limit_bytes;
	char *base = reserve_metadata(&draft, options, page_bytes, os_addresses_are_limited());
	if (base == NULL) return SNUG_ERROR_OS_MEMORY;
	fill_in(&draft, options, base, page_bytes);
	error = range_ensure(&draft.arena, &draft.fixed, draft.fixed.reserved_bytes);
	/* Page numbers start at 1; descriptor 0 is there, and cold, for references that are none. */
	if (!error) error = range_ensure(&draft.arena, &draft.arena.page_range, sizeof(struct page));
	if (!error) {
		snug_heap *heap = (snug_heap *)(void *)base;
		*heap = draft;
		heap->handles.entries = (uint64_t *)(void *)heap->handles.range.base;
		heap->handles.floors = (uint32_t *)(void *)heap->handles.floors_range.base;
		heap->handles.floor = 1;
		heap->handles.near_room = NEAR_MAX;
		heap->handles.tag = tag_of(heap);
		uint32_t trailer_bytes =
			heap->slot_trailer_bytes > 0 ? HANDLED_FRAGMENT_TRAILER_BYTES : FRAGMENT_TRAILER_BYTES;
		class_table_init(&heap->classes, (uint32_t)page_bytes,
						 class_keeps_plans(options->limit_bytes, page_bytes),
						 heap->slot_trailer_bytes, trailer_bytes, heap + 1);
		heap->object_max_bytes = limit_object_bytes(heap, options->limit_bytes);
		error = class_activate_largest(heap);
		if (!error) error = arena_init(&heap->arena, objects, options->populate);
		heap->bias = heap->arena.bias;
		if (!error) {
			SNUG_ASSERT(limit_account(&heap->arena) <= heap->arena.limit_bytes);
			*out = heap;
			return SNUG_OK;
		}
	}
	os->release(os->context, base, draft.metadata_reserved_bytes);
	return error;
}

/* Begun there, or found there. */
static snug_error create_in_file(const snug_heap_options *options, snug_heap **out) {
	struct memory_segment *segment;
	if (options->os != NULL) return SNUG_ERROR_OPTION;
	snug_error error = memory_segment_of(options->memory_file, options->memory_segment, &segment);
	if (error) return error;
	if (memory_segment_facts(segment, ROOT_HEAP) != NULL) {
		size_t page_bytes;
		error = check_options(options, &page_bytes);
		return error ? error : heap_attach(options, segment, out);
	}
	error = memory_segment_begin(segment, ROOT_HEAP);
	if (error) return error;
	error = create(options, memory_segment_os(segment), segment, NULL, out);
	if (error)
		memory_segment_end(segment, ROOT_HEAP, error);
	else
		heap_note_root(*out);
	return error;
}

/* No limit is in the way of what was there before. */
snug_error heap_create_around(const snug_heap_options *options, struct memory_segment *segment,
							  char *objects, snug_heap **out) {
	snug_error error = create(options, memory_segment_os(segment), segment, objects, out);
	if (!error) (*out)->arena.limit_bytes = (*out)->arena.limit_goal_bytes = SNUG_LIMIT_MAX_BYTES;
	return error;
}

snug_error snug_heap_create(const snug_heap_options *options, snug_heap **out) {
	snug_heap_options known;
	if (options == NULL || out == NULL) return SNUG_ERROR_NULL;
	snug_error error = read_options(options, &known);
	if (error) return error;
	if (known.memory_file != NULL) return create_in_file(&known, out);
	return create(&known, known.os != NULL ? known.os : snug_os_linux(), NULL, NULL, out);
}

snug_error snug_heap_destroy(snug_heap *heap) {
	if (heap == NULL) return SNUG_OK;
	snug_error error = gate_enter_any(heap);
	if (error) return error;
	if (heap->segment != NULL) {
		heap_leave(heap);
		return SNUG_OK;
	}
	const snug_os *os = heap->arena.os;
	arena_deinit(&heap->arena);
	os->release(os->context, heap->metadata_base, heap->metadata_reserved_bytes);
	return SNUG_OK;
}

snug_error snug_heap_adopt(snug_heap *heap) {
	if (heap == NULL) return SNUG_ERROR_NULL;
	if (gate_is_shut(heap)) return SNUG_ERROR_REENTERED;
	heap->owner_thread = pthread_self();
	return SNUG_OK;
}

/* ------------------------------------------------------------------ the limit ------ */

snug_error snug_heap_set_limit(snug_heap *heap, size_t limit_bytes) {
	snug_error error = gate_enter_any(heap);
	if (error) return error;
	if (limit_bytes > heap->options.limit_max_bytes) return SNUG_ERROR_OPTION;
	if (!limit_is_workable(limit_bytes, heap->arena.page_bytes)) return SNUG_ERROR_LIMIT_TOO_SMALL;
	heap->arena.limit_goal_bytes = limit_bytes;
	heap->changes++; /* tables may be larger than it needs */
	limit_keep_no_more(&heap->arena);
	limit_settle(&heap->arena);
	SNUG_ASSERT(heap->arena.limit_bytes >= limit_bytes);
	heap->object_max_bytes = limit_object_bytes(heap, limit_bytes);
	return SNUG_OK;
}

struct charge_need {
	struct need need; /* first: attempt gets it back as this */
	size_t bytes;
	size_t allowed_bytes; /* the limit when it began: it may follow what is traded */
};

/* Free pages go back to the OS for it. */
static snug_error attempt_charge(snug_heap *heap, struct need *need) {
	const struct charge_need *charge = (struct charge_need *)need;
	snug_error error = arena_trade_for(&heap->arena, charge->bytes, charge->allowed_bytes);
	if (error != SNUG_ERROR_NO_MEMORY) need->pages_most = 0; /* the OS takes no page back */
	return error;
}

snug_error snug_heap_charge(snug_heap *heap, size_t bytes) {
	snug_error error = gate_enter_any(heap);
	if (error) return error;
	struct arena *arena = &heap->arena;
	if (bytes > arena->limit_goal_bytes) return SNUG_ERROR_NO_MEMORY;
	struct charge_need charge = {
		.need = {.attempt = attempt_charge,
				 .effort = ROOM_MADE,
				 .trims_all = true,
				 .pages_kept = (bytes >> arena->page_shift) + 1,
				 .pages_most = UINT64_MAX},
		.bytes = bytes,
		.allowed_bytes = arena->limit_bytes,
	};
	error = room_find(heap, &charge.need);
	if (error) return error;
	arena->charged_bytes += bytes;
	SNUG_ASSERT(arena->charged_bytes >= bytes);
	limit_settle(arena);
	limit_note_peak(arena);
	return SNUG_OK;
}

snug_error snug_heap_discharge(snug_heap *heap, size_t bytes) {
	snug_error error = gate_enter_any(heap);
	if (error) return error;
	if (bytes > heap->arena.charged_bytes) return SNUG_ERROR_RANGE;
	heap->arena.charged_bytes -= bytes;
	limit_settle(&heap->arena);
	return SNUG_OK;
}
