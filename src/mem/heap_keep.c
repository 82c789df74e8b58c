/* mem/heap_keep.c: a heap that was left in a memory file lives on in another process.
 *
 * Nearly all that a heap is made of are numbers: of pages, offsets, references, handles. They mean
 * the same wherever its memory lies. What means something in one process alone is rebuilt:
 *
 *     addresses        into the metadata: of ranges and tables, of class states, of the bitmaps
 *                      beside slabs of many slots; of the arena: `bias`
 *     functions        the OS, the owner's callbacks, the log: all of snug_heap_options
 *     the owner        the thread; a callback that is running
 *     moments          a defragmentation, a check, a search: none is under way
 *     totals           since creation: since now
 *     charges          the owner's memory was another process's: he charges anew what he has
 *     versions         what readers compare: even, and nobody has read any
 *
 *     old metadata   | heap | descriptors | regions | cells | handles | pins |
 *                       |        |  beside --------------^
 *                       '- class tables -----------------'        every pointer leads from here to
 *     new metadata   the same, `delta` further                    here: so one number moves all
 *
 * The limit is the new options'. Where more is in use it follows down as ever (mem/arena/limit.h).
 * limit_max_bytes stays what it was, for the tables' addresses are laid out for it.
 *
 * COST. One pass over the descriptors of slabs, 32 bytes a page. All else of an attach is the sum of
 * the tables (os/memory_segment.c). */
#include "mem/heap_keep.h"

#include "base/assert.h"
#include "base/log_line.h"
#include "mem/arena/limit.h"
#include "mem/arena/poison.h"
#include "mem/gate.h"

/* One more whenever a struct in the heap's memory means something else than before, though its size
 * is the same. */
#define HEAP_LAYOUT 9u

static uint64_t heap_layout(void) {
	static const uint64_t numbers[] = {
		HEAP_LAYOUT,
		sizeof(snug_heap),
		sizeof(struct page),
		sizeof(struct region),
		sizeof(struct size_class),
		sizeof(struct class_entry),
		offsetof(snug_heap, arena),
		offsetof(snug_heap, handles),
		offsetof(snug_heap, pins),
		offsetof(snug_heap, segment),
		offsetof(struct size_class, magazine),
		REGION_BYTES,
		OFFSET_BITS,
		CELL_UNIT_BYTES,
		HANDLE_TRAILER_BYTES,
		FRAGMENT_TRAILER_BYTES,
		HANDLED_FRAGMENT_TRAILER_BYTES,
	};
	return memory_layout(numbers, sizeof numbers / sizeof numbers[0]);
}

static enum mode mode_of(const snug_heap_options *options) {
	return options->owner.moved != NULL ? BY_REFERENCE : BY_HANDLE;
}

/* ------------------------------------------------------------------ whether it fits -------- */

snug_error heap_could_attach(const snug_heap_options *options, struct memory_segment *segment) {
	const struct root_facts *facts = memory_segment_facts(segment, ROOT_HEAP);
	if (facts == NULL) return memory_segment_refuse(segment, "a segment holds no heap");
	if (facts->layout != heap_layout())
		return memory_segment_refuse(segment, "it was written by a version of another layout");
	uint64_t page_bytes = facts->fact[FACT_PAGE_BYTES];
	if (page_bytes < PAGE_BYTES_MIN || page_bytes > PAGE_BYTES_MAX ||
		!is_power_of_two(page_bytes) || facts->fact[FACT_LIMIT_MAX] > SNUG_LIMIT_MAX_BYTES)
		return memory_segment_refuse(segment, "what it says of its heap can't be");
	if (options->page_bytes != 0 && options->page_bytes != page_bytes)
		return memory_segment_refuse(segment, "its pages are of %llu bytes, and %zu are wanted",
									 (unsigned long long)page_bytes, options->page_bytes);
	if (facts->fact[FACT_MODE] != mode_of(options))
		return memory_segment_refuse(segment, "its objects are named in the other way");
	if (options->limit_bytes > facts->fact[FACT_LIMIT_MAX])
		return memory_segment_refuse(
			segment, "it was begun for %llu bytes a worker at most, and %zu are wanted",
			(unsigned long long)facts->fact[FACT_LIMIT_MAX], options->limit_bytes);
	return limit_is_workable(options->limit_bytes, page_bytes) ? SNUG_OK
															   : SNUG_ERROR_LIMIT_TOO_SMALL;
}

/* ------------------------------------------------------------------ addresses -------------- */

static void *moved_by(void *address, ptrdiff_t delta) {
	/* By way of numbers: the old address belongs to nothing any more. */
	return address == NULL ? NULL : (void *)((uintptr_t)address + (uintptr_t)delta);
}

#define MOVE(pointer, delta) ((pointer) = moved_by((pointer), (delta)))

static void move_ranges(snug_heap *heap, ptrdiff_t delta) {
	MOVE(heap->fixed.base, delta);
	MOVE(heap->arena.page_range.base, delta);
	MOVE(heap->arena.region_range.base, delta);
	MOVE(heap->cells.range.base, delta);
	MOVE(heap->handles.range.base, delta);
	MOVE(heap->handles.floors_range.base, delta);
	MOVE(heap->pins.ranges[0].base, delta);
	MOVE(heap->pins.ranges[1].base, delta);
	MOVE(heap->arena.pages, delta);
	MOVE(heap->handles.entries, delta);
	MOVE(heap->handles.floors, delta);
	MOVE(heap->pins.entries, delta);
	MOVE(heap->metadata_base, delta);
}

static void move_classes(struct class_table *table, ptrdiff_t delta) {
	MOVE(table->entry, delta);
	MOVE(table->state, delta);
	MOVE(table->active, delta);
	MOVE(table->plans, delta);
	MOVE(table->nobody, delta);
	SNUG_ASSERT(table->active_count <= table->first[FAMILY_COUNT]);
	for (uint32_t id = 0; id < table->first[FAMILY_COUNT]; id++) {
		MOVE(table->entry[id].serving, delta);
		MOVE(table->state[id], delta);
	}
	MOVE(table->entry[table->first[FAMILY_COUNT]].serving, delta);
}

/* After the classes, which tell where a slab's bitmap is. */
static void move_bitmaps(snug_heap *heap, ptrdiff_t delta) {
	struct arena *arena = &heap->arena;
	for (page_number number = 1; number < arena->described && number <= arena->page_count;
		 number++) {
		struct page *page = &arena->pages[number];
		if (page->state < PAGE_SLAB) continue;
		const struct size_class *class = heap->classes.state[page->class_id];
		SNUG_ASSERT(class != NULL);
		if (class->slots > INLINE_BITMAP_SLOTS) MOVE(page->free_bits.beside, delta);
	}
}

/* ------------------------------------------------------------------ attaching -------------- */

/* What was under way, or known, in the process that is gone. */
static void forget_moments(snug_heap *heap) {
	atomic_store_explicit(&heap->links, 0, memory_order_relaxed);
	heap->defragment = (struct defragment){.phase = PHASE_IDLE};
	heap->check = (struct check_walk){0};
	heap->totals = (struct totals){0};
	heap->frees = 0;
	heap->watched = 0;
	heap->bookmark = (struct bookmark){0};
	heap->changes = 1;
	heap->searched_at = 0;
	for (uint32_t how = 0; how < TRIM_COUNT; how++) heap->trimmed_at[how] = 0;
	heap->arena.traded_pages = heap->arena.returns_refused = 0;
	heap->arena.kept_pages = 0;
	heap->arena.charged_bytes = 0;
	heap->arena.peak_bytes = limit_account(&heap->arena);
}

static void take_options(snug_heap *heap, const snug_heap_options *options) {
	size_t limit_max_bytes = heap->options.limit_max_bytes;
	heap->options = *options;
	heap->options.limit_max_bytes = limit_max_bytes;
	heap->options.page_bytes = heap->arena.page_bytes;
	if (options->pace_step_bytes == 0) heap->options.pace_step_bytes = heap->arena.page_bytes;
	heap->log = options->log;
	heap->owner_thread = pthread_self();
	heap->arena.huge_pages = options->huge_pages;
	heap->gate = gate_of(mode_of(options));
	heap->arena.limit_goal_bytes = options->limit_bytes;
	limit_settle(&heap->arena);
	heap->object_max_bytes = limit_object_bytes(heap, options->limit_bytes);
}

/* The heap at its new place. False: what it says of itself lies outside of the file. */
static bool settle(snug_heap *heap, struct memory_segment *segment) {
	struct arena *arena = &heap->arena;
	ptrdiff_t delta = (ptrdiff_t)((uintptr_t)heap - (uintptr_t)heap->metadata_base);
	char *base = memory_segment_now(segment, arena->base, arena->reserved_bytes);
	if (base == NULL || memory_segment_now(segment, heap->metadata_base,
										   heap->metadata_reserved_bytes) != (void *)heap)
		return false;
	move_ranges(heap, delta);
	move_classes(&heap->classes, delta);
	move_bitmaps(heap, delta);
	arena->os = memory_segment_os(segment);
	arena->base = base;
	arena->bias = (uintptr_t)base - arena->page_bytes;
	heap->bias = arena->bias;
	heap->segment = segment;
	return true;
}

snug_error heap_attach(const snug_heap_options *options, struct memory_segment *segment,
					   snug_heap **out) {
	snug_error error = heap_could_attach(options, segment);
	/* Handles name what nothing else names: only a cache tells what it held. */
	if (!error && memory_segment_is_unclean(segment)) {
		(void)memory_segment_refuse(segment, "its process was killed, and it holds no cache");
		error = SNUG_ERROR_UNCLEAN;
	}
	if (!error) error = memory_segment_attach(segment);
	if (!error) error = memory_segment_begin(segment, ROOT_HEAP);
	if (error) return error;
	snug_heap *heap = memory_segment_root(segment, ROOT_HEAP, sizeof *heap);
	if (heap == NULL || !settle(heap, segment)) error = SNUG_ERROR_CORRUPT;
	if (!error) {
		forget_moments(heap);
		take_options(heap, options);
		heap_note_root(heap);
		/* Who wrote to the file may have written anything where objects lie. */
		if (memory_segment_is_foreign(segment)) error = snug_check(heap, NULL);
	}
	if (error) {
		(void)memory_segment_refuse(segment, "its objects were changed, or are damaged");
		memory_segment_end(segment, ROOT_HEAP, error);
		return error;
	}
	SNUG_ASSERT(limit_account(&heap->arena) <= heap->arena.limit_bytes);
	*out = heap;
	return SNUG_OK;
}

void heap_charge_kept(snug_heap *heap, size_t bytes) {
	SNUG_ASSERT(heap->segment != NULL);
	heap->arena.charged_bytes += bytes;
	limit_settle(&heap->arena);
	limit_note_peak(&heap->arena);
}

/* ------------------------------------------------------------------ leaving ---------------- */

void heap_note_root(snug_heap *heap) {
	struct root_facts facts = {
		.layout = heap_layout(),
		.fact = {[FACT_PAGE_BYTES] = heap->arena.page_bytes,
				 [FACT_MODE] = mode_of(&heap->options),
				 [FACT_LIMIT_MAX] = heap->options.limit_max_bytes,
				 [FACT_DESCRIPTORS] = (uint64_t)(heap->arena.page_range.base - (char *)heap)}};
	SNUG_ASSERT(heap->segment != NULL && !gate_is_shut(heap));
	memory_segment_set_objects(heap->segment, heap->arena.base);
	memory_segment_set_root(heap->segment, ROOT_HEAP, heap, &facts);
}

void heap_leave(snug_heap *heap) {
	struct memory_segment *segment = heap->segment;
	snug_report report;
	if (heap->defragment.phase != PHASE_IDLE) {
		snug_error ended = snug_defragment_end(heap, &report);
		SNUG_ASSERT(!ended && heap->victim == PAGE_NONE);
		(void)ended;
	}
	snug_error error = heap->pins.count > 0 ? SNUG_ERROR_PINNED : SNUG_OK;
	unpoison(heap->arena.base, heap->arena.reserved_bytes);
	memory_segment_end(segment, ROOT_HEAP, error);
}
