/* cache/index/index_left.c: see index_left.h. */
#include "cache/index/index_left.h"

#include "base/bits.h"

#include <string.h>

#define GROUPS_AT_ONCE 28u /* 16 KiB on the stack */
#define ENTRIES_OF_GROUP ((GROUP_BUCKETS + 1) * BUCKET_ENTRIES)
#define BATCH_ENTRIES ((uint32_t)1 << 19)
_Static_assert(BATCH_ENTRIES + ENTRIES_OF_GROUP < 1u << (64 - SNUG_REF_BITS), "place_number");
#define RANGES 2048u /* of addresses, in a batch */

bool index_left_init(struct index_left *left, const struct index *index,
					 const struct memory_segment *segment, uint64_t groups_part,
					 uint64_t spills_part) {
	size_t groups_bytes, spills_bytes;
	const char *groups = memory_segment_part_at(segment, groups_part, &groups_bytes);
	const void *spills = memory_segment_part_at(segment, spills_part, &spills_bytes);
	if (groups == NULL || spills == NULL) return false;
	uint64_t count = larger(index->from, index->to);
	spills_bytes = memory_segment_held(segment, spills, spills_bytes);
	SNUG_ASSERT(groups_bytes >= sizeof(struct group));
	*left = (struct index_left){
		.index = index,
		.segment = segment,
		.groups = groups,
		.spills = spills,
		.group_count = (uint32_t)smaller(count, groups_bytes / sizeof(struct group)),
		.spill_count = (uint32_t)smaller(index->spills_made, spills_bytes / sizeof(struct bucket)),
	};
	return true;
}

struct visit {
	const struct index_left *left;
	index_left_visitor visit; /* NULL: they are counted, a group at a time */
	void *context;
	/* each with room for the entries of a group behind the batch */
	uint64_t *entries;
	uint64_t *places;
	uint64_t *hashes;
	uint32_t batch_entries;
	uint32_t count;
	uint64_t total;
	uint64_t spills_met;
};

static bool is_alive(const struct visit *visit, const struct bucket *home) {
	return !index_is_flushed(visit->left->index, home);
}

/* ------------------------------------------------------------------ batches ----------------- */

static uint64_t address_of(uint64_t entry) {
	return entry & (((uint64_t)1 << (SNUG_REF_BITS - 1)) - 1); /* chained, or not */
}

/* By ranges of addresses as long as each other; within one as they came. */
static void order(const uint64_t *entries, uint32_t count, uint64_t *places) {
	uint32_t begin[RANGES] = {0}, before = 0, shift = 0;
	uint64_t all = 0;
	for (uint32_t i = 0; i < count; i++) all |= address_of(entries[i]);
	while (all >> shift >= RANGES) shift++;
	for (uint32_t i = 0; i < count; i++) begin[address_of(entries[i]) >> shift]++;
	for (uint32_t range = 0; range < RANGES; range++) {
		uint32_t in_range = begin[range];
		begin[range] = before;
		before += in_range;
	}
	SNUG_ASSERT(before == count);
	for (uint32_t i = 0; i < count; i++)
		places[begin[address_of(entries[i]) >> shift]++] =
			entry_ref(entries[i]) | (uint64_t)i << SNUG_REF_BITS;
}

static bool tell(struct visit *visit) {
	uint32_t count = visit->count;
	SNUG_ASSERT(count <= visit->batch_entries + ENTRIES_OF_GROUP);
	visit->total += count;
	visit->count = 0;
	if (count == 0 || visit->visit == NULL) return true;
	order(visit->entries, count, visit->places);
	struct left_batch batch = {.count = count,
							   .entries = visit->entries,
							   .places = visit->places,
							   .hashes = visit->hashes};
	return visit->visit(visit->context, &batch);
}

/* There is room for those of a group. */
static bool tell_if_full(struct visit *visit) {
	return visit->count < visit->batch_entries || tell(visit);
}

/* ------------------------------------------------------------------ gathering --------------- */

/* `group`: whose spill bucket it is. */
static void collect_spilled(struct visit *visit, const struct bucket *spill,
							const struct group *group) {
	for (uint32_t slot = 0; slot < BUCKET_ENTRIES; slot++)
		if (spill->entry[slot] != 0 && is_alive(visit, &group->bucket[spill_home(spill, slot)]))
			visit->entries[visit->count++] = spill->entry[slot];
}

/* A chain that is damaged may lead anywhere, and round and round. Of those that are whole each bucket
 * is met once, and once more where it is carried: all chains together are not longer. */
static bool visit_chain(struct visit *visit, uint32_t next, const struct group *group) {
	const struct index_left *left = visit->left;
	uint64_t most = 2 * (uint64_t)left->spill_count;
	for (; next != 0 && next <= left->spill_count && visit->spills_met < most;
		 visit->spills_met++) {
		const struct bucket *spill = &left->spills[next - 1];
		collect_spilled(visit, spill, group);
		if (!tell_if_full(visit)) return false;
		next = spill_next(spill);
	}
	return true;
}

/* Nearly all slots hold something: what is free is written over. */
static void collect_homes(struct visit *visit, const struct group *group) {
	uint64_t *entries = visit->entries;
	uint32_t count = visit->count;
	for (uint32_t home = 0; home < GROUP_BUCKETS; home++) {
		const struct bucket *bucket = &group->bucket[home];
		if (!is_alive(visit, bucket)) continue;
		for (uint32_t slot = 0; slot < BUCKET_ENTRIES; slot++) {
			entries[count] = bucket->entry[slot];
			count += bucket->entry[slot] != 0;
		}
	}
	visit->count = count;
	collect_spilled(visit, &group->spill, group);
	SNUG_ASSERT(visit->count <= visit->batch_entries + ENTRIES_OF_GROUP);
}

static bool visit_group(struct visit *visit, const struct group *group) {
	collect_homes(visit, group);
	return tell_if_full(visit) && visit_chain(visit, spill_next(&group->spill), group);
}

/* What a group that is on its way held, as far as it is not given back. It was settled before. */
static bool visit_carried(struct visit *visit) {
	const struct index *index = visit->left->index;
	if (index->moving == GROUP_NONE) return true;
	collect_homes(visit, &index->carried);
	if (!tell_if_full(visit)) return false;
	collect_spilled(visit, &index->carried_extra, &index->carried);
	return tell_if_full(visit) && visit_chain(visit, index->carried_next, &index->carried);
}

static bool visit_all(struct visit *visit) {
	const struct index_left *left = visit->left;
	struct group groups[GROUPS_AT_ONCE];
	for (uint32_t first = 0; first < left->group_count; first += GROUPS_AT_ONCE) {
		uint32_t count = (uint32_t)smaller(GROUPS_AT_ONCE, left->group_count - first);
		if (!memory_segment_read(left->segment, left->groups + first * sizeof(struct group), groups,
								 count * sizeof(struct group)))
			return false;
		for (uint32_t number = 0; number < count; number++)
			if (!visit_group(visit, &groups[number])) return false;
	}
	return visit_carried(visit) && tell(visit);
}

/* ------------------------------------------------------------------ both passes ------------- */

bool index_left_count(const struct index_left *left, uint64_t *out) {
	uint64_t entries[ENTRIES_OF_GROUP];
	struct visit visit = {.left = left, .entries = entries};
	if (!visit_all(&visit)) return false;
	*out = visit.total;
	return true;
}

bool index_left_visit(const struct index_left *left, index_left_visitor visitor, void *context) {
	const snug_os *os = snug_os_linux();
	size_t each_entries = BATCH_ENTRIES + ENTRIES_OF_GROUP + LEFT_AHEAD;
	size_t bytes = round_up(3 * each_entries * sizeof(uint64_t), MEMORY_GRAIN);
	char *memory = os->reserve(os->context, bytes, MEMORY_GRAIN);
	if (memory == NULL) return false;
	uint64_t *entries = (uint64_t *)(void *)memory;
	struct visit visit = {.left = left,
						  .visit = visitor,
						  .context = context,
						  .entries = entries,
						  .places = entries + each_entries,
						  .hashes = entries + 2 * each_entries,
						  .batch_entries = BATCH_ENTRIES};
	bool is_done = visit_all(&visit);
	os->release(os->context, memory, bytes);
	return is_done;
}
