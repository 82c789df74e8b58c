/* mem/check/check_tables.c: laws H1 to H5 of the handle table, P1 and P2 of the table of pins, A7 of
 * cells, F4 of plans.
 *
 *   entry  ---->  slot        H1: and back (check_objects.c)
 *   grain  ---->  its entries: dead, used up, on its own list            H4
 *   pin    ---->  slots ----> marks of their slabs                       P2: as many marks as slots
 *   cell   <----  class state, or slab with a bitmap beside              A7: as many units
 *   plan   <----  its size                                               F4: as it would be made
 *
 * Primary are the entries, the descriptors and the class table. Each grain's header is compared with
 * its entries, and the table's counters with the sums over all grains. */
#include "mem/arena/cells.h"
#include "mem/check/check.h"
#include "mem/object/chain.h"
#include "mem/object/pin_records.h"
#include "mem/object/pins.h"
#include "mem/slab/classes.h"
#include "mem/slab/handle_grains.h"
#include "mem/slab/host.h"
#include "mem/slab/slab.h"

/* ------------------------------------------------------------------ handles -------- */

static bool is_dead(const struct handle_table *table, uint64_t index) {
	return handle_is_entry(table, index) && (table->entries[index] & ENTRY_LIVE) == 0 &&
		   table->entries[index] >> ENTRY_GENERATION_SHIFT != 0;
}

/* A live entry names a live object that names it; a dead one has a generation and links to another
 * dead one. */
bool check_handle(struct check *check, uint64_t index) {
	const snug_heap *heap = check->heap;
	const struct handle_table *table = &heap->handles;
	if (!handle_is_entry(table, index)) return true;
	uint64_t entry = table->entries[index], offset = entry & OFFSET_MASK;
	if (entry == 0) return true;
	if ((entry & ENTRY_LIVE) == 0) {
		uint32_t next = (uint32_t)entry;
		bool sound = entry >> ENTRY_GENERATION_SHIFT != 0 && next != index + 1 &&
					 (next == 0 || is_dead(table, next - 1));
		return check_that(check, "H2", "list of dead entries is broken", index, sound);
	}
	page_number number = page_of(&heap->arena, offset);
	bool names = number >= 1 && number < heap->arena.described &&
				 heap->arena.pages[number].state >= PAGE_SLAB;
	if (names && (entry & ENTRY_CHAINED) != 0) {
		names = is_live_fragment(heap, offset) &&
				fragment_trailer_read(heap, fragment_trailer_at(heap, offset)).owner == index;
	} else if (names) {
		struct size_class *class = class_of_page(heap, number);
		names = class->family != FAMILY_FRAGMENT &&
				slot_of(&heap->arena, class, offset) < class->slots &&
				handle_trailer_read(handle_trailer_at(heap, class, offset)).index == index;
	}
	return check_that(check, "H1", "table entry names no object that names it", index, names);
}

/* The grain's neighbours on its list name it; the first one is named by the table. */
static bool is_linked(const struct handle_table *table, uint32_t number,
					  const struct handle_grain *grain) {
	uint32_t end = handle_grain_count(table);
	if (grain->list == 0) return true;
	if (grain->list > HANDLE_LISTS || grain->next > end || grain->previous > end) return false;
	if (grain->next != 0 && (handle_grain_is_cold(table, grain->next - 1) ||
							 handle_grain_read(table, grain->next - 1).previous != number + 1))
		return false;
	if (grain->previous == 0) return table->lists[grain->list - 1] == number + 1;
	return !handle_grain_is_cold(table, grain->previous - 1) &&
		   handle_grain_read(table, grain->previous - 1).next == number + 1;
}

bool check_handle_grain(struct check *check, uint32_t number, struct handle_counts *counts) {
	const struct handle_table *table = &check->heap->handles;
	uint32_t first = number * HANDLE_GRAIN_ENTRIES;
	uint64_t retired = 0, own = 0;
	if (handle_grain_is_cold(table, number)) {
		bool spent = handle_grain_floor(table, number) > GENERATION_MAX;
		counts->cold += !spent;
		counts->spent += spent;
		return check_that(check, "H5", "cold grain without a floor, or open", number,
						  handle_grain_floor(table, number) != 0 && first >= table->open_count);
	}
	struct handle_grain grain = handle_grain_read(table, number);
	for (uint32_t i = HANDLE_GRAIN_HEADER; i < HANDLE_GRAIN_ENTRIES; i++) {
		counts->live += (table->entries[first + i] & ENTRY_LIVE) != 0;
		retired += table->entries[first + i] == 0;
	}
	for (uint32_t at = grain.head; at != 0; at = (uint32_t)table->entries[at - 1]) {
		bool sound = (at - 1) / HANDLE_GRAIN_ENTRIES == number && is_dead(table, at - 1) &&
					 own++ < HANDLE_GRAIN_USABLE;
		if (!check_that(check, "H4", "list of a grain's dead entries is broken", at, sound))
			return false;
	}
	counts->warm++;
	counts->retired += retired;
	counts->own += own;
	counts->listed += grain.list != 0;
	return check_equal(check, "H4", "dead entries of a grain", grain.dead, own) &&
		   check_equal(check, "H4", "retired entries of a grain", grain.retired, retired) &&
		   check_that(check, "H4", "grain is on the wrong list", number,
					  grain.list == handle_grain_list(table, &grain) &&
						  is_linked(table, number, &grain));
}

static bool check_near(struct check *check) {
	const struct handle_table *table = &check->heap->handles;
	uint64_t near = 0;
	for (uint32_t at = table->free_head; at != 0; at = (uint32_t)table->entries[at - 1]) {
		bool sound = is_dead(table, at - 1) && near++ < table->count;
		if (!check_that(check, "H2", "list of dead entries is broken", at, sound)) return false;
	}
	return check_equal(check, "H2", "entries on the near list", handles_near(table), near);
}

static bool check_grain_lists(struct check *check, uint64_t listed) {
	const struct handle_table *table = &check->heap->handles;
	uint64_t found = 0;
	for (uint32_t list = 0; list < HANDLE_LISTS; list++) {
		bool masked = table->list_mask >> list & 1;
		if (!check_that(check, "H4", "mask of the lists of grains", list,
						masked == (table->lists[list] != 0)))
			return false;
		for (uint32_t at = table->lists[list]; at != 0;
			 at = handle_grain_read(table, at - 1).next) {
			bool sound = at <= handle_grain_count(table) && !handle_grain_is_cold(table, at - 1) &&
						 handle_grain_read(table, at - 1).list == list + 1 && found++ < listed;
			if (!check_that(check, "H4", "list of grains is broken", at, sound)) return false;
		}
	}
	return check_equal(check, "H4", "grains on lists", found, listed);
}

static bool check_handle_sums(struct check *check, const struct handle_counts *counts) {
	const struct handle_table *table = &check->heap->handles;
	return check_equal(check, "H2", "live and near entries", table->out_count,
					   counts->live + handles_near(table)) &&
		   check_equal(check, "H2", "retired entries", table->retired, counts->retired) &&
		   check_equal(check, "H2", "entries of warm grains", counts->warm * HANDLE_GRAIN_USABLE,
					   counts->live + handles_near(table) + counts->own + counts->retired) &&
		   check_equal(check, "H5", "cold grains", table->cold_grains, counts->cold) &&
		   check_equal(check, "H5", "spent grains", table->spent_grains, counts->spent) &&
		   check_equal(check, "H5", "bytes of warm grains", table->range.committed_bytes,
					   counts->warm * METADATA_GRAIN) &&
		   check_that(check, "H5", "open entries beyond the table", table->open_count,
					  table->open_count <= table->count && table->floor != 0);
}

bool check_handles(struct check *check, const struct object_counts *objects) {
	const struct handle_table *table = &check->heap->handles;
	struct handle_counts counts = {0};
	for (uint32_t number = 0; number < handle_grain_count(table); number++)
		if (!check_handle_grain(check, number, &counts)) return false;
	return check_near(check) && check_grain_lists(check, counts.listed) &&
		   check_handle_sums(check, &counts) &&
		   check_equal(check, "H1", "objects of live handles", counts.live,
					   check->heap->slot_trailer_bytes > 0 ? objects->plain + objects->heads : 0);
}

/* ------------------------------------------------------------------ pins ----------- */

/* One object that is pinned, and the marks of its slabs. */
bool check_pin(struct check *check, uint64_t entry, uint64_t *page_pins) {
	const snug_heap *heap = check->heap;
	uint64_t offset = entry & OFFSET_MASK;
	page_number number = page_of(&heap->arena, offset);
	bool slab = number >= 1 && number < heap->arena.described &&
				(heap->arena.pages[number].state == PAGE_SLAB ||
				 heap->arena.pages[number].state == PAGE_HOST);
	if (!check_that(check, "P1", "pin on what is no object", offset,
					slab && entry >> OFFSET_BITS > 0 && pin_count(heap, offset) > 0)) {
		return false;
	}
	bool chained = is_live_fragment(heap, offset);
	uint32_t walked = 0;
	for (; offset != 0; offset = chained ? chain_next(heap, offset) : 0) {
		if (check->chain_max > 0 && walked++ == check->chain_max) return true;
		bool marked = heap->arena.pages[page_of(&heap->arena, offset)].pins > 0;
		if (!check_that(check, "P2", "slab of a pinned object is not marked", offset, marked))
			return false;
		*page_pins += 1;
	}
	return true;
}

static bool is_live_record(const snug_heap *heap, uint64_t offset) {
	page_number number = page_of(&heap->arena, offset);
	return number >= 1 && number < heap->arena.described &&
		   heap->arena.pages[number].state == PAGE_HOST && host_has_guest(heap, number, offset) &&
		   is_pin_record(heap, offset);
}

/* A record that is still to be looked at, and the bits of the hash that lead to it. */
struct record_at {
	uint64_t slot;
	uint64_t way;
	uint32_t depth;
};

/* One tree of records, each a pin like any other, and each on the way of its hash. */
static bool check_pin_tree(struct check *check, uint32_t tree, uint64_t most, uint64_t *records,
						   uint64_t *page_pins) {
	const snug_heap *heap = check->heap;
	struct record_at left[PIN_RECORD_DEPTH + 2] = {{heap->pins.records[tree], tree, 0}};
	for (uint32_t count = left[0].slot != 0; count > 0;) {
		struct record_at at = left[--count];
		bool sound =
			(*records)++ < most && at.depth < PIN_RECORD_DEPTH && is_live_record(heap, at.slot);
		if (!check_that(check, "P1", "record of a pin is none", at.slot, sound)) return false;
		struct pin_record record = pin_record_read(heap, at.slot);
		uint64_t hash = pin_record_hash(record.entry & OFFSET_MASK);
		if (!check_that(check, "P1", "record of a pin cannot be found", at.slot,
						hash >> (PIN_RECORD_DEPTH - at.depth) == at.way) ||
			!check_pin(check, record.entry, page_pins))
			return false;
		for (uint32_t side = 0; side < 2; side++)
			if (record.child[side] != 0)
				left[count++] =
					(struct record_at){record.child[side], at.way << 1 | side, at.depth + 1};
	}
	return true;
}

/* The pins that are recorded in lent slots. */
static bool check_pin_records(struct check *check, const struct object_counts *counts,
							  uint64_t *page_pins) {
	uint64_t records = 0;
	for (uint32_t tree = 0; tree < PIN_RECORD_TREES; tree++)
		if (!check_pin_tree(check, tree, counts->pin_records, &records, page_pins)) return false;
	return check_equal(check, "P1", "records of pins", check->heap->pins.record_count, records) &&
		   check_equal(check, "P1", "lent slots with records", counts->pin_records, records);
}

bool check_pins(struct check *check, const struct object_counts *counts) {
	const snug_heap *heap = check->heap;
	const struct pin_table *pins = &heap->pins;
	uint64_t pinned = 0;
	uint64_t page_pins = 0;
	for (uint32_t index = 0; index < pins->capacity; index++) {
		uint64_t entry = pins->entries[index];
		if (entry == 0) continue;
		if (!check_pin(check, entry, &page_pins)) return false;
		pinned++;
	}
	return check_pin_records(check, counts, &page_pins) &&
		   check_equal(check, "P1", "pinned objects", pins->count, pinned + pins->record_count) &&
		   check_equal(check, "P2", "pins marked on slabs", counts->page_pins, page_pins);
}

/* ------------------------------------------------------------------ cells ---------- */

/* Units of all class states and of all bitmaps beside their slabs. */
static uint64_t units_in_use(const snug_heap *heap) {
	uint64_t units = 0;
	for (uint32_t index = 0; index < heap->classes.active_count; index++) {
		const struct size_class *class = class_active(&heap->classes, index);
		units += cell_units(class_state_bytes((enum family) class->family, class->slots));
	}
	for (page_number number = 1; number < heap->arena.described && number <= heap->arena.page_count;
		 number++) {
		if (heap->arena.pages[number].state < PAGE_SLAB) continue;
		const struct size_class *class = class_of_page(heap, number);
		if (class->slots > INLINE_BITMAP_SLOTS)
			units += cell_units((class->slots + 63) / 64 * sizeof(uint64_t));
	}
	return units;
}

static bool check_cell_lists(struct check *check, uint64_t listed) {
	const struct cells *cells = &check->heap->cells;
	uint64_t found = 0;
	for (uint32_t list = 0; list <= CELL_LIST_EMPTY; list++) {
		uint32_t previous = 0;
		bool masked = cells->list_mask >> list & 1;
		if (!check_that(check, "A7", "mask of the lists of cells", list,
						masked == (cells->lists[list] != 0)))
			return false;
		for (uint32_t at = cells->lists[list]; at != 0; at = cell_grain_at(cells, at - 1)->next) {
			bool sound = at <= cells->grain_count && found++ < listed &&
						 cell_grain_at(cells, at - 1)->list == list &&
						 cell_grain_at(cells, at - 1)->previous == previous;
			if (!check_that(check, "A7", "list of cells is broken", at, sound)) return false;
			previous = at;
		}
	}
	return check_equal(check, "A7", "grains of cells on lists", found, listed);
}

bool check_cells(struct check *check) {
	const struct cells *cells = &check->heap->cells;
	uint64_t used = 0, listed = 0;
	if (!check_that(check, "A7", "more grains of cells than memory", cells->grain_count,
					cells->grain_count <= cells->range.committed_bytes / METADATA_GRAIN))
		return false;
	for (uint32_t number = 0; number < cells->grain_count; number++) {
		const struct cell_grain *grain = cell_grain_at(cells, number);
		used +=
			CELL_GRAIN_UNITS - 1 - bit_count(grain->free_bits[0]) - bit_count(grain->free_bits[1]);
		listed += grain->list != 0;
		if (!check_that(check, "A7", "grain of cells is on the wrong list", number,
						(grain->free_bits[0] & 1) == 0 && grain->list == cell_grain_list(grain)))
			return false;
	}
	return check_cell_lists(check, listed) &&
		   check_equal(check, "A7", "units of cells", used, units_in_use(check->heap));
}

/* ------------------------------------------------------------------ plans ---------- */

bool check_plans(struct check *check, uint64_t from, uint64_t to) {
	const snug_heap *heap = check->heap;
	if (heap->classes.plans == NULL) return true;
	for (uint64_t bytes = from; bytes < to && bytes < whole_fragment_bytes(heap); bytes++)
		if (!check_that(check, "F4", "plan is not what would be made", bytes,
						chain_plan_is_sound(heap, bytes)))
			return false;
	return true;
}
