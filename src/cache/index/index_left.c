/* cache/index/index_left.c: see index_left.h. */
#include "cache/index/index_left.h"

#include "base/bits.h"

#include <string.h>

#define GROUPS_AT_ONCE 28u /* 16 KiB on the stack */
#define ENTRIES_OF_GROUP ((GROUP_BUCKETS + 1) * BUCKET_ENTRIES)

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
	index_left_visitor visit;
	void *context;
	uint64_t entries[ENTRIES_OF_GROUP];
	uint32_t count;
	uint64_t spills_met;
};

static bool is_alive(const struct visit *visit, const struct bucket *home) {
	return !index_is_flushed(visit->left->index, home);
}

/* `group`: whose spill bucket it is. */
static void collect_spilled(struct visit *visit, const struct bucket *spill,
							const struct group *group) {
	SNUG_ASSERT(visit->count + BUCKET_ENTRIES <= ENTRIES_OF_GROUP);
	for (uint32_t slot = 0; slot < BUCKET_ENTRIES; slot++)
		if (spill->entry[slot] != 0 && is_alive(visit, &group->bucket[spill_home(spill, slot)]))
			visit->entries[visit->count++] = spill->entry[slot];
}

static bool tell(struct visit *visit) {
	uint32_t count = visit->count;
	SNUG_ASSERT(count <= ENTRIES_OF_GROUP);
	visit->count = 0;
	return count == 0 || visit->visit(visit->context, visit->entries, count);
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
		if (!tell(visit)) return false;
		next = spill_next(spill);
	}
	return true;
}

static void collect_homes(struct visit *visit, const struct group *group) {
	SNUG_ASSERT(visit->count == 0);
	for (uint32_t home = 0; home < GROUP_BUCKETS; home++) {
		const struct bucket *bucket = &group->bucket[home];
		if (!is_alive(visit, bucket)) continue;
		for (uint32_t slot = 0; slot < BUCKET_ENTRIES; slot++)
			if (bucket->entry[slot] != 0) visit->entries[visit->count++] = bucket->entry[slot];
	}
	collect_spilled(visit, &group->spill, group);
}

static bool visit_group(struct visit *visit, const struct group *group) {
	collect_homes(visit, group);
	return tell(visit) && visit_chain(visit, spill_next(&group->spill), group);
}

/* What a group that is on its way held, as far as it is not given back. It was settled before. */
static bool visit_carried(struct visit *visit) {
	const struct index *index = visit->left->index;
	if (index->moving == GROUP_NONE) return true;
	collect_homes(visit, &index->carried);
	if (!tell(visit)) return false;
	collect_spilled(visit, &index->carried_extra, &index->carried);
	return tell(visit) && visit_chain(visit, index->carried_next, &index->carried);
}

bool index_left_visit(const struct index_left *left, index_left_visitor visit, void *context) {
	struct group groups[GROUPS_AT_ONCE];
	struct visit all = {.left = left, .visit = visit, .context = context};
	for (uint32_t first = 0; first < left->group_count; first += GROUPS_AT_ONCE) {
		uint32_t count = (uint32_t)smaller(GROUPS_AT_ONCE, left->group_count - first);
		if (!memory_segment_read(left->segment, left->groups + first * sizeof(struct group), groups,
								 count * sizeof(struct group)))
			return false;
		for (uint32_t number = 0; number < count; number++)
			if (!visit_group(&all, &groups[number])) return false;
	}
	return visit_carried(&all);
}
