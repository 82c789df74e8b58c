/* cache/index/index_left.c: see index_left.h. */
#include "cache/index/index_left.h"

#include "base/bits.h"

#include <string.h>

#define ENTRIES_OF_GROUP ((GROUP_BUCKETS + 1) * BUCKET_ENTRIES)
#define BATCHES 8u
#define BATCH_ENTRIES_MIN ((uint64_t)1 << 10)
#define BATCH_ENTRIES_MAX ((uint64_t)1 << 24)
#define RANGES 2048u /* of addresses, in a batch */

bool index_left_init(struct index_left *left, const struct index *index,
					 const struct memory_segment *segment, uint64_t groups_part,
					 uint64_t spills_part) {
	size_t groups_bytes, spills_bytes;
	const void *groups = memory_segment_part_at(segment, groups_part, &groups_bytes);
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
	uint32_t batch_entries;
	uint32_t count;
	uint64_t total;
	uint64_t spills_met;
};

static bool is_alive(const struct visit *visit, const struct bucket *home) {
	return !index_is_flushed(visit->left->index, home);
}

/* ------------------------------------------------------------------ batches ----------------- */

/* Into ranges of addresses as long as each other; within one as they came. */
static void order(struct left_batch *batch) {
	const uint64_t *entries = batch->entries;
	uint32_t *next = batch->noted, before = 0;
	uint64_t all = 0;
	for (uint32_t i = 0; i < batch->count; i++) all |= left_address(entries[i]);
	while (all >> batch->range_shift >= RANGES) batch->range_shift++;
	for (uint32_t i = 0; i < batch->count; i++)
		next[left_address(entries[i]) >> batch->range_shift]++;
	for (uint32_t range = 0; range < RANGES; range++) {
		uint32_t in_range = next[range];
		next[range] = before;
		before += in_range;
	}
	SNUG_ASSERT(before == batch->count);
	for (uint32_t i = 0; i < batch->count; i++)
		batch->places[next[left_address(entries[i]) >> batch->range_shift]++] =
			entry_ref(entries[i]);
	/* each has come to where the one behind it begins */
	SNUG_ASSERT(next[RANGES - 1] == batch->count);
	memmove(next + 1, next, (RANGES - 1) * sizeof *next);
	next[0] = 0;
}

static bool tell(struct visit *visit) {
	uint32_t count = visit->count;
	SNUG_ASSERT(count <= visit->batch_entries + ENTRIES_OF_GROUP);
	visit->total += count;
	visit->count = 0;
	if (count == 0 || visit->visit == NULL) return true;
	uint32_t noted[RANGES] = {0};
	struct left_batch batch = {
		.count = count, .entries = visit->entries, .places = visit->places, .noted = noted};
	order(&batch);
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

static bool is_hole(const struct memory_present *present, const struct group *group) {
	const char *last = (const char *)(group + 1) - 1;
	return memory_present_from(present, group, 1) == 0 &&
		   memory_present_from(present, last, 1) == 0;
}

/* One that begins or ends in a hole is read by a call. */
static bool visit_groups(struct visit *visit, const struct memory_present *present) {
	const struct index_left *left = visit->left;
	struct group copy;
	_Static_assert(sizeof copy <= MEMORY_GRAIN, "it lies in two grains at most");
	SNUG_ASSERT((uintptr_t)left->groups % MEMORY_GRAIN == 0);
	for (uint32_t number = 0; number < left->group_count; number++) {
		const struct group *group = &left->groups[number];
		if (is_hole(present, group)) continue;
		if (memory_present_from(present, group, sizeof *group) < sizeof *group) {
			if (!memory_segment_read(left->segment, group, &copy, sizeof copy)) return false;
			group = &copy;
		}
		if (!visit_group(visit, group)) return false;
	}
	return true;
}

static bool visit_all(struct visit *visit) {
	struct memory_present present;
	const struct index_left *left = visit->left;
	if (!memory_present_init(&present, left->segment, left->groups)) return false;
	bool is_done = visit_groups(visit, &present);
	memory_present_deinit(&present);
	return is_done && visit_carried(visit) && tell(visit);
}

/* ------------------------------------------------------------------ both passes ------------- */

bool index_left_count(const struct index_left *left, uint64_t *out) {
	uint64_t entries[ENTRIES_OF_GROUP];
	struct visit visit = {.left = left, .entries = entries};
	if (!visit_all(&visit)) return false;
	*out = visit.total;
	return true;
}

/* Room for two words an entry. Where the system refuses it, a smaller batch takes longer, but loses
 * nothing. NULL: it refuses the smallest, too. */
static char *reserve_batch(uint64_t *batch_entries, size_t *each_entries, size_t *bytes) {
	const snug_os *os = snug_os_linux();
	for (;; *batch_entries = larger(*batch_entries / 2, BATCH_ENTRIES_MIN)) {
		*each_entries = *batch_entries + ENTRIES_OF_GROUP + LEFT_AHEAD;
		*bytes = round_up(2 * *each_entries * sizeof(uint64_t), MEMORY_GRAIN);
		char *memory = os->reserve(os->context, *bytes, MEMORY_GRAIN);
		if (memory != NULL || *batch_entries == BATCH_ENTRIES_MIN) return memory;
	}
}

bool index_left_visit(const struct index_left *left, uint64_t entries, index_left_visitor visitor,
					  void *context) {
	const snug_os *os = snug_os_linux();
	uint64_t batch_entries =
		smaller(larger(entries / BATCHES, BATCH_ENTRIES_MIN), BATCH_ENTRIES_MAX);
	size_t each_entries, bytes;
	char *memory = reserve_batch(&batch_entries, &each_entries, &bytes);
	if (memory == NULL) return false;
	struct visit visit = {.left = left,
						  .visit = visitor,
						  .context = context,
						  .entries = (uint64_t *)(void *)memory,
						  .batch_entries = (uint32_t)batch_entries};
	visit.places = visit.entries + each_entries;
	bool is_done = visit_all(&visit);
	os->release(os->context, memory, bytes);
	return is_done;
}
