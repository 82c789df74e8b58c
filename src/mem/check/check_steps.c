/* mem/check/check_steps.c: snug_check in slices.
 *
 *     regions -> classes -> slabs, with what lies in them -> handles -> pins -> plans -> sums -> done
 *
 * Between two steps the heap changes, so each step looks only at what can be seen to be sound by
 * itself, at one instant: a region with its pages, a slab with its bitmap, neighbours and
 * fragments, a class with its magazine, an entry with what it names. What was seen may change
 * later, and what changes it was made by the same code. The sums come last, at one instant: the
 * descriptors' own counts, each of which a step has compared with its bitmap, must add up to the
 * counters of the classes and of the arena. That one step reads 32 bytes a page: some 50 us a GiB.
 *
 * A journal of what changes meanwhile would tell more, but then every operation would pay for a
 * check that runs seldom.
 *
 * What only snug_check sees is told in docs/invariants.md: sums over all objects, and rings apart
 * from a list. */
#include "mem/arena/arena.h"
#include "mem/check/check.h"
#include "mem/gate.h"
#include "mem/object/plan.h"
#include "mem/slab/handle_grains.h"
#include "mem/slab/slab.h"

#define UNITS_MAX 16384u /* a step ends by its count where the clock stands still */
#define HANDLES_A_UNIT 64u
#define PLANS_A_UNIT 16u
#define CHAIN_MAX 256u
#define STACK_MAX 8192u /* pages of the stack that are followed */
#define PINS_MAX 4096u  /* entries of the table of pins that are counted */

enum {
	CHECK_NONE,
	CHECK_REGIONS,
	CHECK_CLASSES,
	CHECK_SLABS,
	CHECK_HANDLES,
	CHECK_PINS,
	CHECK_PLANS,
	CHECK_SUMS,
	CHECK_DONE
};

static bool step_region(struct check *check, struct check_walk *walk) {
	struct page_counts counts = {0};
	if (walk->at >= check->heap->arena.region_count) return false;
	(void)check_region(check, (uint32_t)walk->at++, &counts);
	return true;
}

static bool step_slab(struct check *check, struct check_walk *walk, struct slab_counts *counts) {
	const struct arena *arena = &check->heap->arena;
	struct object_counts objects = {{0}, 0, 0, 0, 0};
	page_number number = (page_number)++walk->at;
	if (number >= arena->described || number > arena->page_count) return false;
	if (arena->pages[number].state < PAGE_SLAB) return true;
	(void)(check_slab(check, number, counts) && check_links(check, number) &&
		   check_page_objects(check, number, &objects));
	return true;
}

static bool step_class(struct check *check, struct check_walk *walk) {
	const struct class_table *table = &check->heap->classes;
	if (walk->at >= table->first[FAMILY_COUNT]) return false;
	struct size_class *class = table->state[walk->at++];
	if (class != NULL) (void)(check_magazine(check, class) && check_list_mask(check, class));
	return true;
}

static bool step_handles(struct check *check, struct check_walk *walk) {
	const struct handle_table *table = &check->heap->handles;
	if (walk->at >= table->count) return false;
	struct handle_counts counts = {0};
	uint32_t number = (uint32_t)(walk->at / HANDLE_GRAIN_ENTRIES);
	if (walk->at % HANDLE_GRAIN_ENTRIES == 0 && !check_handle_grain(check, number, &counts))
		return true;
	for (uint32_t i = 0; i < HANDLES_A_UNIT && walk->at < table->count; i++)
		if (!check_handle(check, walk->at++)) break;
	return true;
}

static bool step_pin(struct check *check, struct check_walk *walk) {
	const struct pin_table *pins = &check->heap->pins;
	uint64_t page_pins = 0;
	if (walk->at >= pins->capacity) return false;
	uint64_t entry = pins->entries[walk->at++];
	if (entry != 0) (void)check_pin(check, entry, &page_pins);
	return true;
}

static bool step_plans(struct check *check, struct check_walk *walk) {
	uint64_t from = walk->at + 1;
	if (check->heap->classes.plans == NULL || from >= whole_fragment_bytes(check->heap))
		return false;
	walk->at += PLANS_A_UNIT;
	(void)check_plans(check, from, from + PLANS_A_UNIT);
	return true;
}

/* From the top, as far as is followed. */
static bool check_stack_top(struct check *check) {
	const struct arena *arena = &check->heap->arena;
	uint64_t length = 0;
	for (page_number page = arena->stack; page != PAGE_NONE && length < STACK_MAX;
		 page = arena->pages[page].next) {
		bool sound = page < arena->described && arena->pages[page].state == PAGE_STACKED &&
					 length++ < arena->stacked_pages;
		if (!check_that(check, "A4", "page on the stack is not a stacked one", page, sound))
			return false;
	}
	return length == STACK_MAX ||
		   check_equal(check, "A4", "stacked pages", arena->stacked_pages, length);
}

/* Pins are few; if they are not, each was seen by itself. `marked`: by all slabs. */
static bool check_pin_sums(struct check *check, uint64_t marked) {
	const struct pin_table *pins = &check->heap->pins;
	uint64_t pinned = 0, page_pins = 0;
	if (pins->capacity > PINS_MAX || pins->record_count > 0) return true;
	check->chain_max = PINS_MAX;
	for (uint32_t index = 0; index < pins->capacity; index++) {
		if (pins->entries[index] == 0) continue;
		if (!check_pin(check, pins->entries[index], &page_pins)) return false;
		if (page_pins >= PINS_MAX) return true;
		pinned++;
	}
	return check_equal(check, "P1", "pinned objects", pins->count, pinned) &&
		   check_equal(check, "P2", "pins marked on slabs", marked, page_pins);
}

static bool check_free_handle(struct check *check) {
	const struct handle_table *table = &check->heap->handles;
	uint32_t head = table->free_head;
	bool sound = head == 0 ? handles_near(table) == 0
						   : handle_is_entry(table, head - 1) &&
								 (table->entries[head - 1] & ENTRY_LIVE) == 0;
	return check_that(check, "H2", "list of dead entries is broken", head, sound);
}

/* All at one instant. */
static bool check_sums(struct check *check, struct slab_counts *counts) {
	const snug_heap *heap = check->heap;
	const struct arena *arena = &heap->arena;
	struct page_counts pages = {0};
	uint64_t touched = 0, victims = 0, targets = 0, marked = 0;
	for (uint32_t number = 0; number < arena->region_count; number++) {
		const struct region *region = arena_region(arena, number);
		pages.free += region->free_pages;
		pages.cold += region->cold_pages;
		touched += region->page_count;
	}
	for (page_number number = 1; number < arena->described && number <= arena->page_count;
		 number++) {
		uint8_t state = arena->pages[number].state;
		pages.stacked += state == PAGE_STACKED;
		if (state < PAGE_SLAB) continue;
		victims += state == PAGE_VICTIM;
		targets += state == PAGE_TARGET;
		bool known = arena->pages[number].class_id < heap->classes.first[FAMILY_COUNT] &&
					 heap->classes.state[arena->pages[number].class_id] != NULL;
		if (!check_that(check, "S2", "slab of a class that is not active", number, known))
			return false;
		marked += arena->pages[number].pins;
		count_slab(heap, number, counts);
	}
	if (!check_equal(check, "S7", "victims", heap->victim != PAGE_NONE, victims) ||
		!check_equal(check, "S7", "targets", heap->target != PAGE_NONE, targets) ||
		!check_equal(check, "A4", "stacked pages", arena->stacked_pages, pages.stacked))
		return false;
	for (uint32_t index = 0; index < heap->classes.active_count; index++)
		if (!check_class_counts(check, class_active(&heap->classes, index), &counts[index]))
			return false;
	return check_live(check) && check_stack_top(check) && check_region_lists(check) &&
		   check_account(check, &pages, touched) && check_free_handle(check) &&
		   check_bookmark(check) && check_pin_sums(check, marked);
}

/* A unit of the phase; at its end the next phase begins. */
static void step_unit(struct check *check, struct check_walk *walk, struct slab_counts *counts) {
	bool more = false;
	switch (walk->phase) {
	case CHECK_REGIONS:
		more = step_region(check, walk);
		break;
	case CHECK_SLABS:
		more = step_slab(check, walk, counts);
		break;
	case CHECK_CLASSES:
		if (walk->at == 0 && !check_serving(check)) break;
		more = step_class(check, walk);
		break;
	case CHECK_HANDLES:
		more = step_handles(check, walk);
		break;
	case CHECK_PINS:
		more = step_pin(check, walk);
		break;
	case CHECK_PLANS:
		more = step_plans(check, walk);
		break;
	default:
		for (uint32_t index = 0; index < CLASS_COUNT_MAX; index++)
			counts[index] = (struct slab_counts){0};
		(void)check_sums(check, counts);
	}
	if (more) return;
	walk->phase++;
	walk->at = 0;
}

snug_error snug_check_begin(snug_heap *heap) {
	snug_error error = gate_enter_any(heap);
	if (error) return error;
	if (heap->check.phase != CHECK_NONE) return SNUG_ERROR_BUSY;
	heap->check = (struct check_walk){.phase = CHECK_REGIONS};
	return SNUG_OK;
}

snug_error snug_check_step(snug_heap *heap, uint64_t step_ns, bool *done) {
	snug_error error = gate_enter_any(heap);
	if (error) return error;
	if (done == NULL) return SNUG_ERROR_NULL;
	struct check_walk *walk = &heap->check;
	if (walk->phase == CHECK_NONE) return SNUG_ERROR_NOT_RUNNING;
	if (step_ns == 0) return SNUG_ERROR_BUDGET_ZERO;
	const snug_os *os = heap->arena.os;
	struct check check = {.heap = heap, .chain_max = CHAIN_MAX};
	struct slab_counts counts[CLASS_COUNT_MAX] = {{0}};
	uint64_t begin_ns = os->now_ns(os->context);
	for (uint32_t units = 0; walk->phase < CHECK_DONE && !check.broken && units < UNITS_MAX;
		 units++) {
		step_unit(&check, walk, counts);
		if (os->now_ns(os->context) - begin_ns >= step_ns) break;
	}
	if (check.broken) {
		walk->phase = CHECK_DONE;
		walk->broken = true;
		walk->result = check.result;
	}
	*done = walk->phase == CHECK_DONE;
	return SNUG_OK;
}

snug_error snug_check_end(snug_heap *heap, snug_check_result *out) {
	snug_error error = gate_enter_any(heap);
	if (error) return error;
	struct check_walk walk = heap->check;
	if (walk.phase == CHECK_NONE) return SNUG_ERROR_NOT_RUNNING;
	heap->check = (struct check_walk){0};
	if (!walk.broken) return walk.phase == CHECK_DONE ? SNUG_OK : SNUG_ERROR_CANCELLED;
	check_tell(heap, &walk.result);
	if (out != NULL) *out = walk.result;
	return SNUG_ERROR_CORRUPT;
}
