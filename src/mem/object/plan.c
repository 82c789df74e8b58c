/* mem/object/plan.c: the plan of a chain: how it is found, and how it is kept.
 *
 * First whole pages. For the rest, at most four fragments: the largest slots that it fills, as long
 * as they pay, then either one slot for what is left, or one of the sixteen largest slots (a page /
 * 1 to 16) and one behind it. Each fragment is charged 8 bytes besides its slot: it is one more
 * look-up. All of that is arithmetic on the class table, no object is touched. A way is not followed
 * once it could cost no less without any waste than the best that is known. What comes out on pages
 * of 16 KiB, by reference:
 *
 *   object   the best single slot   fragments (payload / slot)               slots in all
 *    1,200          1,260           1158/1170   42/54                            1,224
 *    1,500          1,638           1477/1489   23/35                            1,524
 *    2,500          2,730           2328/2340  172/184                           2,524
 *    5,000          5,461           4084/4096  898/910   18/30                   5,036
 *   10,000         16,384           8180/8192 1808/1820  12/24                  10,036
 *
 * Looking one step ahead, with 32 bytes that a fragment must save, was tried first: uniform sizes
 * of 5,000 to 15,000 bytes then filled 0.962 of a heap of 256 MiB, and fill 0.990 so
 * (docs/design/0001).
 *
 * KEPT. The search decides two numbers: how many slots are filled first, and which part of a page
 * stands before the last slot, if any. They are the SHAPE of the tails, one byte:
 *
 *   0   not known yet           1 + filled * 17 + part           ONE_SLOT besides: as an object of
 *                               filled 0..3, part 0 or 1..16     its own it lies better in one slot
 *
 * The class table has a byte for each size below a whole fragment, if the limit is 2,048 times as
 * many bytes (class_keeps_plans): 0.05 % of it at most, and 16 KiB of 256 MiB. On sizes of which
 * half are beyond 512 bytes making them anew was 45 % of all instructions of an allocation. A small
 * cache of plans by size was not tried: of sizes up to 16 KiB hardly one would come twice in it. */
#include "mem/object/plan.h"

#include "base/assert.h"
#include "mem/slab/classes.h"

#define SPLIT_PARTS_MAX 16u /* the last piece before the tail may be a page / 1..16 */
/* what one more fragment must save, besides its trailer: it is one more look-up */
#define FRAGMENT_PRICE_BYTES 8u

#define SHAPE_PARTS (SPLIT_PARTS_MAX + 1)
#define SHAPE_ONE_SLOT 0x80u

/* ------------------------------------------------------------------ the search ----- */

static uint32_t capacity_of(const struct class_table *table, uint16_t id) {
	SNUG_ASSERT(table->entry[id].stride > table->fragment_trailer_bytes);
	return table->entry[id].stride - table->fragment_trailer_bytes;
}

static uint16_t slot_for(const struct class_table *table, uint32_t bytes) {
	return class_find(table, FAMILY_FRAGMENT, bytes + table->fragment_trailer_bytes);
}

/* The largest slot that is filled; CLASS_NONE: there is none. */
static uint16_t filled_by(const struct class_table *table, uint32_t bytes) {
	uint16_t id = class_find_below(table, FAMILY_FRAGMENT, bytes + table->fragment_trailer_bytes);
	return id != CLASS_NONE && capacity_of(table, id) < bytes ? id : CLASS_NONE;
}

static uint16_t part_of_page(const struct class_table *table, uint32_t part) {
	SNUG_ASSERT(part >= 1 && part <= SPLIT_PARTS_MAX);
	return (uint16_t)(table->first[FAMILY_COUNT] - part);
}

static uint32_t cost_of(const struct class_table *table, uint16_t id) {
	return table->entry[id].stride + FRAGMENT_PRICE_BYTES;
}

/* What `bytes` in two more pieces cost at least: without any waste. */
static uint32_t least_cost(const struct class_table *table, uint32_t bytes) {
	return bytes + 2 * (table->fragment_trailer_bytes + FRAGMENT_PRICE_BYTES);
}

/* A way to store the rest of an object: slots that it fills, then `part` (0: none) and the last. */
struct way {
	uint32_t filled;
	uint32_t part;
	uint32_t cost_bytes; /* in slot bytes and prices */
};

/* `begun`, and behind it one slot for the `bytes` that are left, or a page / n slot and a tail: if
 * one of them is cheaper than the best. All that a way costs beyond the least is what its tail
 * wastes. */
static void finish(const struct class_table *table, struct way begun, uint32_t bytes,
				   struct way *best) {
	uint32_t one_bytes = begun.cost_bytes + cost_of(table, slot_for(table, bytes));
	if (one_bytes < best->cost_bytes) *best = (struct way){begun.filled, 0, one_bytes};
	if (begun.filled + 2 > TAIL_FRAGMENTS_MAX) return;
	uint32_t least_bytes = begun.cost_bytes + least_cost(table, bytes);
	for (uint32_t part = 1; part <= SPLIT_PARTS_MAX && least_bytes < best->cost_bytes; part++) {
		uint32_t capacity = capacity_of(table, part_of_page(table, part));
		if (capacity >= bytes) continue;
		uint32_t slot_bytes = bytes - capacity + table->fragment_trailer_bytes;
		uint16_t rest = class_find(table, FAMILY_FRAGMENT, slot_bytes);
		uint32_t cost_bytes = least_bytes + table->entry[rest].stride - slot_bytes;
		if (cost_bytes < best->cost_bytes) *best = (struct way){begun.filled, part, cost_bytes};
	}
}

/* The largest slots that are filled, as many of them as pay, then what finish() finds. */
static struct way search(const struct class_table *table, uint32_t bytes) {
	struct way begun = {0}, best = {.cost_bytes = UINT32_MAX};
	finish(table, begun, bytes, &best);
	while (begun.filled + 2 <= TAIL_FRAGMENTS_MAX &&
		   begun.cost_bytes + least_cost(table, bytes) < best.cost_bytes) {
		uint16_t filled = filled_by(table, bytes);
		if (filled == CLASS_NONE) break;
		begun.filled++;
		begun.cost_bytes += cost_of(table, filled);
		bytes -= capacity_of(table, filled);
		if (begun.cost_bytes >= best.cost_bytes) break;
		finish(table, begun, bytes, &best);
	}
	return best;
}

/* ------------------------------------------------------------------ shapes --------- */

static uint8_t shape_make(const struct class_table *table, uint32_t bytes) {
	struct way way = search(table, bytes);
	SNUG_ASSERT(way.filled < TAIL_FRAGMENTS_MAX && way.part <= SPLIT_PARTS_MAX);
	return (uint8_t)(1 + way.filled * SHAPE_PARTS + way.part);
}

static uint8_t shape_of(const struct class_table *table, uint32_t bytes) {
	if (table->plans == NULL) return shape_make(table, bytes);
	uint8_t *kept = &table->plans[bytes];
	if (UNLIKELY(*kept == 0)) *kept = shape_make(table, bytes);
	return *kept & (uint8_t)~SHAPE_ONE_SLOT;
}

static void add_piece(const struct class_table *table, struct chain_plan *plan, uint16_t id,
					  uint32_t bytes) {
	SNUG_ASSERT(plan->tails < TAIL_FRAGMENTS_MAX && id != CLASS_NONE);
	plan->tail_id[plan->tails] = id;
	plan->tail_bytes[plan->tails++] = bytes;
	plan->slot_bytes += table->entry[id].stride;
}

static void add_tails(const struct class_table *table, struct chain_plan *plan, uint32_t bytes) {
	uint32_t shape = shape_of(table, bytes) - 1u;
	for (uint32_t filled = shape / SHAPE_PARTS; filled > 0; filled--) {
		uint16_t id = filled_by(table, bytes);
		add_piece(table, plan, id, capacity_of(table, id));
		bytes -= capacity_of(table, id);
	}
	uint32_t part = shape % SHAPE_PARTS;
	if (part > 0) {
		uint16_t id = part_of_page(table, part);
		add_piece(table, plan, id, capacity_of(table, id));
		bytes -= capacity_of(table, id);
	}
	add_piece(table, plan, slot_for(table, bytes), bytes);
}

/* ------------------------------------------------------------------ plans ---------- */

void chain_plan_make(const snug_heap *heap, size_t size, struct chain_plan *plan) {
	uint32_t whole_bytes = whole_fragment_bytes(heap);
	uint32_t rest_bytes = (uint32_t)(size % whole_bytes);
	plan->whole = size / whole_bytes;
	plan->tails = 0;
	plan->slot_bytes = plan->whole << heap->arena.page_shift;
	if (rest_bytes > 0) add_tails(&heap->classes, plan, rest_bytes);
	SNUG_ASSERT(plan->whole + plan->tails > 0);
}

static bool beats_slot(const struct class_table *table, const struct chain_plan *plan,
					   uint16_t id) {
	return plan->slot_bytes + SPLIT_GAIN_BYTES <= table->entry[id].stride;
}

bool chain_plan_beats_slot(const snug_heap *heap, size_t size, uint16_t id,
						   struct chain_plan *plan) {
	const struct class_table *table = &heap->classes;
	bool is_kept = table->plans != NULL && size < whole_fragment_bytes(heap);
	if (is_kept && (table->plans[size] & SHAPE_ONE_SLOT) != 0) return false;
	chain_plan_make(heap, size, plan);
	if (id == CLASS_NONE || beats_slot(table, plan, id)) return true;
	if (is_kept) table->plans[size] |= SHAPE_ONE_SLOT;
	return false;
}

void chain_plan_simplify(const snug_heap *heap, struct chain_plan *plan) {
	uint32_t bytes = 0;
	while (plan->tails > 0) bytes += plan->tail_bytes[--plan->tails];
	plan->tails = 1;
	plan->tail_bytes[0] = bytes;
	plan->tail_id[0] = slot_for(&heap->classes, bytes);
}

bool chain_plan_is_sound(const snug_heap *heap, size_t size) {
	const struct class_table *table = &heap->classes;
	SNUG_ASSERT(size > 0 && size < whole_fragment_bytes(heap));
	uint8_t kept = table->plans == NULL ? 0 : table->plans[size];
	if (kept == 0) return true;
	if ((kept & ~SHAPE_ONE_SLOT) != shape_make(table, (uint32_t)size)) return false;
	if ((kept & SHAPE_ONE_SLOT) == 0) return true;
	struct chain_plan plan;
	chain_plan_make(heap, size, &plan);
	uint16_t id = class_find(table, FAMILY_BYTES, size + heap->slot_trailer_bytes);
	return id != CLASS_NONE && !beats_slot(table, &plan, id);
}
