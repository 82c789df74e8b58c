/* mem/slab/classes.c: the tables, and when a class begins and ends. Why there are inactive ones:
 * classes.h.
 *
 * STRIDES are made by walking n from page / 8 down to 1. Each page / n is taken if it is at least
 * 1/64 above the last one taken, or if leaving it out would open a wider gap than that; from page /
 * 64 up all are taken, as they lie further apart by themselves. The same walk serves the byte and
 * the fragment family, a walk by multiples of 16 the aligned one.
 *
 *   ids   | byte strings, ascending | aligned, ascending | fragments, ascending |
 *         first[0]                  first[1]             first[2]               first[3]
 *
 * LOOKING UP. exact[size] for sizes to 1 KiB, page / size for larger ones. Aligned slots are rare and
 * searched by halves. The short way (mem/slab/magazine.h) looks in a table of its own, in which sizes
 * that fragments may store better belong to nobody.
 *
 * SERVING. Each class has a pointer to the active class that its objects go to, and only that is
 * read by an allocation. Activating or retiring a class rewrites the pointers of its group:
 * O(group), some dozens at most, and rare.
 *
 *   entry  ... a  b  c  D  e  f  G ...        capitals are active
 *   serving    D  D  D  D  G  G  G            activating b:  a and b -> b, c stays with D
 *
 * A class of the coarse subset is activated when it is first needed; it is never served by a larger
 * one, so the looseness of a heap that holds little is bounded by the ratio of 1.5.
 *
 * REVIEW. A class counts what loose objects in its slots have wasted since the last one. The short way
 * does not count it: who finds the magazine empty counts as many of his size as it is refilled with.
 * Each time that it comes to a quarter of a page, or a 32nd, and each time that the class has taken a
 * slab, the group is looked at: live objects of each inactive class, from the smallest on, times
 * what they would save. The one that saves most is activated, if it saves as much, and more than the
 * memory of its state. So the exact question is asked seldom. (Counted exactly, by each allocation,
 * it was asked no better: sizes of production fill 0.985 of 256 MiB either way. The review for each
 * slab is what keeps the estimate honest: who allocates loose objects from nothing but magazines
 * that others have filled is found out by it; tests/laws/test_short_way.c.)
 *
 * Without room for the state of one more class it stays inactive. Nothing is lost by that but
 * density, so activating reports no error. */
#include "mem/slab/classes.h"

#include "base/assert.h"
#include "base/log_line.h"
#include "mem/arena/cells.h"

#define ALIGNED_STRIDE 16u
#define FINE_PAGE_BYTES 16384u /* pages of heaps from 64 MiB on */

/* ------------------------------------------------------------------ the table ------ */

/* Strides of a page, ascending; out NULL: counts only. `grain` is 1 or 16. */
static uint32_t make_strides(uint32_t page_bytes, uint32_t grain, struct class_entry *out) {
	uint32_t count = 0;
	uint32_t last = 0;
	uint32_t smallest = grain > STRIDE_MIN ? grain : STRIDE_MIN;
	for (uint32_t slots = page_bytes / smallest; slots >= 1; slots--) {
		uint32_t stride = page_bytes / slots / grain * grain;
		if (stride == last) continue;
		bool needed = last == 0 || slots <= RATIO_FINE || (stride - last) * RATIO_FINE >= last;
		/* The next stride would leave a gap above the ratio: keep this one. */
		uint32_t following = slots > 1 ? page_bytes / (slots - 1) / grain * grain : stride;
		if (!needed && (following - last) * RATIO_FINE <= last) continue;
		if (out != NULL) out[count].stride = stride;
		count++;
		last = stride;
	}
	return count;
}

static uint32_t total_classes(uint32_t page_bytes) {
	return 2 * make_strides(page_bytes, 1, NULL) + make_strides(page_bytes, ALIGNED_STRIDE, NULL);
}

size_t class_table_bytes(uint32_t page_bytes, bool keeps_plans) {
	size_t count = total_classes(page_bytes);
	return (count + 1) * sizeof(struct class_entry) + sizeof(struct size_class) +
		   count * (sizeof(struct size_class *) + sizeof(uint16_t)) +
		   (keeps_plans ? page_bytes : 0);
}

static uint16_t search_up(const struct class_table *table, uint32_t from, size_t bytes) {
	SNUG_ASSERT(from < table->first[FAMILY_COUNT] || table->first[FAMILY_COUNT] == 0);
	while (table->entry[from].stride < bytes) from++;
	return (uint16_t)from;
}

/* Behind each other in the memory; `count` classes in all. */
static void lay_out(struct class_table *table, uint32_t count, void *memory) {
	table->entry = memory;
	table->nobody = (struct size_class *)(table->entry + count + 1);
	table->state = (struct size_class **)(table->nobody + 1);
	table->active = (uint16_t *)(table->state + count);
	for (uint32_t id = 0; id <= count; id++) table->entry[id].serving = table->nobody;
}

/* Where sizes find their classes. */
static void fill_sizes(struct class_table *table) {
	uint32_t id = 0;
	for (uint32_t size = 0; size <= SHORT_BYTES_MAX; size++) {
		id = search_up(table, id, size);
		bool may_split = size == 0 || class_may_split(table, (uint16_t)id, size);
		table->exact[size] = place_of_entry(id);
		table->shortest[size] = place_of_entry(may_split ? table->first[FAMILY_COUNT] : id);
	}
}

void class_table_init(struct class_table *table, uint32_t page_bytes, bool keeps_plans,
					  uint32_t slot_trailer_bytes, uint32_t fragment_trailer_bytes, void *memory) {
	_Static_assert(sizeof(struct class_entry) == ENTRY_WORDS * sizeof(uint64_t), "place_of_entry");
	_Static_assert(SHORT_BYTES_MAX * RATIO_FINE >= PAGE_BYTES_MAX, "class_find");
	uint32_t count = total_classes(page_bytes);
	SNUG_ASSERT(count <= CLASS_COUNT_MAX);
	lay_out(table, count, memory);
	table->plans = keeps_plans ? (uint8_t *)(table->active + count) : NULL;
	table->page_bytes = page_bytes;
	table->active_count = 0;
	table->fragment_trailer_bytes = fragment_trailer_bytes;
	table->split_waste_bytes =
		(uint16_t)(2 * fragment_trailer_bytes - slot_trailer_bytes + SPLIT_GAIN_BYTES);
	table->first[FAMILY_BYTES] = 0;
	table->first[FAMILY_ALIGNED] = (uint16_t)make_strides(page_bytes, 1, table->entry);
	table->first[FAMILY_FRAGMENT] =
		(uint16_t)(table->first[FAMILY_ALIGNED] +
				   make_strides(page_bytes, ALIGNED_STRIDE, table->entry + table->first[1]));
	table->first[FAMILY_COUNT] =
		(uint16_t)(table->first[FAMILY_FRAGMENT] +
				   make_strides(page_bytes, 1, table->entry + table->first[2]));
	fill_sizes(table);
}

uint16_t class_find_aligned(const struct class_table *table, size_t bytes) {
	uint32_t low = table->first[FAMILY_ALIGNED];
	uint32_t high = table->first[FAMILY_ALIGNED + 1] - 1u;
	if (bytes > table->entry[high].stride) return CLASS_NONE;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (table->entry[middle].stride < bytes) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return (uint16_t)low;
}

uint16_t class_find_below(const struct class_table *table, enum family family, size_t bytes) {
	uint16_t id = class_find(table, family, bytes);
	if (id == CLASS_NONE) return (uint16_t)(table->first[family + 1] - 1);
	if (table->entry[id].stride <= bytes) return id;
	return id == table->first[family] ? CLASS_NONE : (uint16_t)(id - 1);
}

/* ------------------------------------------------------------------ activation ----- */

/* A class of the coarse subset: the first at or above each power of 1.5, and each family's
 * largest. */
static bool is_coarse(const struct class_table *table, uint16_t id) {
	enum family family = class_family(table, id);
	if (id == table->first[family + 1] - 1) return true;
	uint32_t below = id == table->first[family] ? 0 : table->entry[id - 1].stride;
	for (uint32_t step = 16; step <= PAGE_BYTES_MAX; step += step / 2) {
		if (below < step && step <= table->entry[id].stride) return true;
	}
	return false;
}

/* What a group must waste to be looked at, and what an activation must save at least. An active
 * class keeps half a page of holes. Where pieces use them in the end, and the heap is large beside
 * the states of its classes, they cost little. */
static uint32_t review_grain(const snug_heap *heap) {
	bool is_fine = !heap->options.no_last_resort && heap->arena.page_bytes >= FINE_PAGE_BYTES;
	return heap->arena.page_bytes / (is_fine ? 32 : 4);
}

size_t class_state_bytes(enum family family, uint32_t slots) {
	return sizeof(struct size_class) + class_magazine_capacity(family, slots) * sizeof(uint64_t);
}

uint64_t heap_payload_bytes(const snug_heap *heap, uint32_t pool) {
	uint64_t bytes = heap->payload_bytes[pool];
	SNUG_ASSERT(pool < SNUG_POOL_COUNT);
	for (uint32_t index = 0; index < heap->classes.active_count; index++) {
		const struct size_class *class = class_active(&heap->classes, index);
		bytes += class->pool == pool ? class->payload_bytes : 0;
	}
	return bytes;
}

/* Lets `serving` of this class, and of the inactive ones below it, point to what is active now. */
static void refresh_serving(struct class_table *table, uint16_t id) {
	uint16_t last = (uint16_t)(table->first[class_family(table, id) + 1] - 1);
	uint16_t first = table->first[class_family(table, id)];
	struct size_class *serving = NULL;
	for (uint16_t above = id; serving == NULL; above++) {
		serving = table->state[above];
		/* A coarse class that was never used still comes before the larger ones. */
		if (serving == NULL && (is_coarse(table, above) || above == last)) break;
	}
	for (uint16_t below = id;; below--) {
		table->entry[below].serving = serving != NULL ? serving : table->nobody;
		if (below == first || table->state[below - 1] != NULL ||
			is_coarse(table, (uint16_t)(below - 1)))
			break;
	}
}

/* The first of the inactive classes below an active one, or the class itself. */
static uint16_t first_of_group(const struct class_table *table, const struct size_class *serving) {
	uint16_t first = serving->id;
	while (first > table->first[serving->family] && table->state[first - 1] == NULL) first--;
	return first;
}

/* A class of its group is about to be active: what is loose of the group is so for ever. The short way
 * does not say so of each object. */
static void note_loose(const struct class_table *table, struct size_class *class) {
	for (uint16_t id = first_of_group(table, class); id < class->id && !class->loose; id++)
		class->loose = table->entry[id].live > 0;
}

static snug_error activate(snug_heap *heap, uint16_t id) {
	struct class_table *table = &heap->classes;
	uint32_t stride = table->entry[id].stride;
	uint32_t slots = heap->arena.page_bytes / stride;
	void *cell;
	SNUG_ASSERT(table->state[id] == NULL && slots > 0);
	enum family family = class_family(table, id);
	size_t state_bytes = class_state_bytes(family, slots);
	snug_error error = cell_take(&heap->arena, &heap->cells, state_bytes, &cell);
	if (error) return error;
	struct size_class *class = cell;
	class->id = id;
	class->stride = stride;
	class->slots = slots;
	class->reciprocal = (uint32_t)(((uint64_t)1 << 32) / stride + 1);
	class->bucket_scale = (FULLNESS_BUCKETS << 16) / slots;
	class->magazine_capacity = class_magazine_capacity(family, slots);
	class->family = (uint8_t)family;
	class->short_bytes = family == FAMILY_BYTES ? (uint32_t)smaller(stride, SHORT_BYTES_MAX) : 0;
	class->review_bytes = review_grain(heap);
	class->pool = class->family == FAMILY_FRAGMENT ? SNUG_POOL_LARGE
				  : stride <= SMALL_STRIDE_MAX     ? SNUG_POOL_SMALL
												   : SNUG_POOL_MEDIUM;
	class->active_index = table->active_count;
	if (table->entry[id].serving != table->nobody) note_loose(table, table->entry[id].serving);
	table->active[table->active_count++] = id;
	table->state[id] = class;
	refresh_serving(table, id);
	SNUG_ASSERT(table->entry[id].serving == class);
	snug_log_line(&heap->log, SNUG_LOG_DEBUG, "size class %u (%u bytes) activated", id, stride);
	return SNUG_OK;
}

snug_error class_ensure(snug_heap *heap, uint16_t id) {
	return heap->classes.state[id] != NULL ? SNUG_OK : activate(heap, id);
}

/* The next larger active class of the family, or NULL. */
static struct size_class *larger_active(const struct class_table *table, uint16_t id) {
	uint16_t end = table->first[class_family(table, id) + 1];
	while (id < end && table->state[id] == NULL) id++;
	return id < end ? table->state[id] : NULL;
}

snug_error class_serving(snug_heap *heap, uint16_t id, struct size_class **out) {
	struct class_table *table = &heap->classes;
	if (table->entry[id].serving == table->nobody) {
		uint16_t coarse = id;
		while (!is_coarse(table, coarse)) coarse++;
		snug_error error = table->state[coarse] == NULL ? activate(heap, coarse) : SNUG_OK;
		if (error == SNUG_ERROR_OS_MEMORY) {
			*out = larger_active(table, id);
			if (*out != NULL) return SNUG_OK;
		}
		if (error) return error;
		if (table->entry[id].serving == table->nobody) refresh_serving(table, id);
	}
	*out = table->entry[id].serving;
	SNUG_ASSERT((*out)->stride >= table->entry[id].stride);
	return SNUG_OK;
}

snug_error class_activate_largest(snug_heap *heap) {
	const struct class_table *table = &heap->classes;
	snug_error error = SNUG_OK;
	for (uint32_t family = 0; family < FAMILY_COUNT && !error; family++) {
		struct size_class *class;
		error = class_serving(heap, (uint16_t)(table->first[family + 1] - 1), &class);
	}
	return error;
}

static size_t state_bytes_of(const snug_heap *heap, uint16_t id) {
	uint32_t slots = heap->arena.page_bytes / heap->classes.entry[id].stride;
	return class_state_bytes(class_family(&heap->classes, id), slots);
}

/* The class of the group that is served whose activation saves most; CLASS_NONE if none saves a
 * enough. */
static uint16_t most_wanted(const snug_heap *heap, const struct size_class *serving) {
	const struct class_table *table = &heap->classes;
	uint64_t most_bytes = review_grain(heap);
	uint64_t objects = 0;
	uint16_t best = CLASS_NONE;
	for (uint16_t id = first_of_group(table, serving); id < serving->id; id++) {
		objects += table->entry[id].live;
		uint64_t saved_bytes = objects * (serving->stride - table->entry[id].stride);
		if (saved_bytes <= most_bytes || saved_bytes <= state_bytes_of(heap, id)) continue;
		most_bytes = saved_bytes;
		best = id;
	}
	return best;
}

void class_review_group(snug_heap *heap, struct size_class *serving) {
	SNUG_ASSERT(heap->classes.state[serving->id] == serving);
	serving->review_bytes = review_grain(heap);
	uint16_t wanted = most_wanted(heap, serving);
	snug_error error = wanted == CLASS_NONE ? SNUG_OK : activate(heap, wanted);
	(void)error;
}

bool class_retire(snug_heap *heap, struct size_class *class) {
	struct class_table *table = &heap->classes;
	if (class->slabs != 0 || class->hosts != 0 || class->magazine_count != 0) return false;
	uint16_t id = class->id;
	SNUG_ASSERT(table->state[id] == class && table->active[class->active_index] == id);
	SNUG_ASSERT(class->used_slots == 0 && class->free_slots == 0 && class->pinned_slabs == 0);
	uint16_t last = table->active[--table->active_count];
	table->active[class->active_index] = last;
	table->state[last]->active_index = class->active_index;
	table->state[id] = NULL;
	heap->payload_bytes[class->pool] += class->payload_bytes;
	cell_give(&heap->cells, class, class_state_bytes((enum family) class->family, class->slots));
	refresh_serving(table, id);
	SNUG_ASSERT(table->entry[id].serving != class);
	snug_log_line(&heap->log, SNUG_LOG_DEBUG, "size class %u (%u bytes) retired", id,
				  table->entry[id].stride);
	return true;
}

void class_retire_if_empty(snug_heap *heap, struct size_class *class) {
	if (!is_coarse(&heap->classes, class->id)) class_retire(heap, class);
}
