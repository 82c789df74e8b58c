/* cache/index/index.c: how the index spills, grows, shrinks and is walked. For what it looks like:
 * index.h.
 *
 * MEMORY. Two ranges of addresses, each as long as the limit could ever need. A group is added when
 * there are 55.2 items for each, which take 8 bytes at least: so groups are 0.61 of the limit at
 * most. A spill bucket but the first of a chain has 7 entries: so they are at most 0.54. Where
 * addresses are limited it is an eighth and a 32nd (os/address_space.h): room for an item each 84
 * bytes.
 *
 * Of the groups' range the beginning is committed; in the middle of a change a second piece,
 * further up:
 *
 *     steady      [ low ................ )
 *     growing     [ low ....... )          [ high ......... end )
 *                 high grows down as groups move there; when it meets low, all is low
 *     shrinking   [ low .... )[ high ................... end )
 *                 high is given back from its beginning as its groups are emptied
 *
 * Each commit is charged to the heap first. A charge may move objects, and so change entries: that
 * is why all that a step will need is taken before it looks at the first entry.
 *
 * What the OS does not take back stays, and stays charged: the index is steady with a high part. It
 * grows into that; before it shrinks the OS is asked again, and only where the high part does not
 * adjoin the low one, and is refused once more, does it not shrink.
 *
 * PLACE. A hash's group is hash * groups / 2^64. While the index changes the cursor says which
 * groups have moved already: a hash's old place decides by which number of groups it is found.
 *
 *     growing from 4 to 5   old groups   0    1    2 |  3        cursor 3: hashes of group 3 are at
 *                           new groups   0    1   2  |  3    4   their new places, the others not
 *
 * SPILLING. A bucket that is full puts its entry into its group's spill bucket, and counts it in
 * its own word; so a look-up goes there only for buckets that have spilled. If that is full too,
 * extra ones follow it. A new one is put before the others, and a slot that becomes free anywhere
 * is filled from the first: so only the first has free slots, adding and removing never search for
 * one, and no chain of half-empty buckets stays behind.
 *
 *     spill -> extra 3 (two free) -> extra 2 (full) -> extra 1 (full)
 *
 * A bucket that gets a free slot takes one of its spilled entries home at once. So law: no bucket
 * with room has spilled entries (index_check looks at it).
 *
 * A STEP OF CHANGE takes a group's content off it whole, and puts it in bucket by bucket at its new
 * places, by the hash of each item's key. 13 spill buckets lie in reserve before it begins: 9 for
 * all that a group without extra ones holds, 3 for as many groups as it may go to, and one. Extra
 * ones are given back before what they held is put in, so the reserve is enough however many there
 * are. The step never fails half-way.
 *
 * WALKING. Who walks the index while it changes walks by hashes, not by places: it asks where the
 * hashes end that share a bucket, or a group, as things are. Each entry is then met once at least,
 * whatever moved in between. */
#include "cache/index/index.h"

#include "base/assert.h"
#include "base/bits.h"
#include "os/address_space.h"
#include "os/memory_segment.h"
#include "os/reserve.h"

#include <string.h>

#define GRAIN ((size_t)4096)
/* without extra spill buckets */
#define GROUP_ENTRIES (GROUP_BUCKETS * BUCKET_ENTRIES + BUCKET_ENTRIES)
/* where a group's entries go: a sixteenth more or fewer groups, or one that becomes two */
#define GROUP_TARGETS_MAX 3u
#define SPILL_NEXT_MASK (((uint64_t)1 << SPILL_HOME_SHIFT) - 1)

/* ------------------------------------------------------------------ memory ---------------- */

static snug_error commit(struct index *index, void *address, size_t bytes) {
	SNUG_ASSERT(bytes > 0 && bytes % GRAIN == 0);
	snug_error error = snug_heap_charge(index->heap, bytes);
	if (error) return error;
	if (index->os->commit(index->os->context, address, bytes)) return SNUG_OK;
	error = snug_heap_discharge(index->heap, bytes);
	SNUG_ASSERT(!error);
	return SNUG_ERROR_OS_MEMORY;
}

/* False: it was kept, and still counts. */
static bool decommit(struct index *index, void *address, size_t bytes) {
	SNUG_ASSERT(bytes > 0 && bytes % GRAIN == 0);
	if (!index->os->decommit(index->os->context, address, bytes)) return false;
	snug_error error = snug_heap_discharge(index->heap, bytes);
	SNUG_ASSERT(!error);
	(void)error;
	return true;
}

static char *bytes_of(const struct index *index) {
	return (char *)index->groups;
}

/* Groups [0, groups) of a steady index. */
static snug_error commit_low(struct index *index, uint32_t groups) {
	size_t bytes = round_up(groups * sizeof(struct group), GRAIN);
	SNUG_ASSERT(index->change == INDEX_STEADY && bytes <= index->reserved_bytes);
	if (bytes <= index->low_bytes) return SNUG_OK;
	snug_error error = commit(index, bytes_of(index) + index->low_bytes, bytes - index->low_bytes);
	if (!error) index->low_bytes = bytes;
	return error;
}

/* Growing: the groups from `first` on. */
static snug_error commit_high(struct index *index, uint32_t first) {
	size_t begin = round_down(first * sizeof(struct group), GRAIN);
	SNUG_ASSERT(index->change == INDEX_GROWING && index->low_bytes <= index->high_bytes);
	if (begin < index->low_bytes) begin = index->low_bytes;
	if (begin >= index->high_bytes) return SNUG_OK;
	snug_error error = commit(index, bytes_of(index) + begin, index->high_bytes - begin);
	if (!error) index->high_bytes = begin;
	return error;
}

/* Shrinking: what lies behind the new end and before `begin` is not used any more. What the OS does
 * not take stays, for the next time. */
static void decommit_high(struct index *index, size_t begin) {
	SNUG_ASSERT(index->change != INDEX_GROWING && index->high_bytes <= index->end_bytes);
	if (begin > index->end_bytes) begin = index->end_bytes;
	if (begin <= index->high_bytes) return;
	if (decommit(index, bytes_of(index) + index->high_bytes, begin - index->high_bytes))
		index->high_bytes = begin;
}

static void give_back(struct index *index) {
	const snug_os *os = index->os;
	if (index->versions_bytes > 0) os->release(os->context, index->versions, index->versions_bytes);
	index->versions_bytes = 0;
	if (index->spills != NULL)
		os->release(os->context, index->spills, index->spills_reserved_bytes);
	if (index->groups != NULL) os->release(os->context, index->groups, index->reserved_bytes);
	index->groups = NULL;
	index->spills = NULL;
}

/* Addresses for both ranges; false: the OS refused some. */
static bool reserve(struct index *index, size_t limit_max_bytes, bool lean) {
	size_t groups_bytes = limit_max_bytes / 8 * 5 + 2 * sizeof(struct group);
	size_t spills_bytes = divide_up(limit_max_bytes, 15) * 8 + GRAIN;
	if (lean) {
		groups_bytes = lean_bytes(groups_bytes, limit_max_bytes / 8);
		spills_bytes = lean_bytes(spills_bytes, limit_max_bytes / 32);
	}
	index->reserved_bytes = round_up(groups_bytes, GRAIN);
	index->spills_reserved_bytes = round_up(spills_bytes, GRAIN);
	index->groups = os_reserve(index->os, index->reserved_bytes, GRAIN);
	if (index->groups != NULL)
		index->spills = os_reserve(index->os, index->spills_reserved_bytes, GRAIN);
	if (index->spills != NULL) return true;
	give_back(index);
	return false;
}

/* One for each part of the limit. Where there is no memory for so many, the own ones do: readers
 * come again more often. */
static void make_versions(struct index *index, size_t limit_max_bytes) {
	size_t parts = smaller(limit_max_bytes / VERSION_LIMIT_BYTES, VERSIONS_MAX);
	size_t count = parts <= VERSIONS_OWN ? VERSIONS_OWN : (size_t)1 << bit_highest(parts);
	index->versions = index->versions_own;
	index->versions_mask = VERSIONS_OWN - 1;
	size_t bytes = round_up(count * sizeof(data_version), GRAIN);
	if (count == VERSIONS_OWN) return;
	void *memory = os_reserve(index->os, bytes, GRAIN);
	if (memory == NULL) return;
	if (commit(index, memory, bytes)) {
		index->os->release(index->os->context, memory, bytes);
		return;
	}
	SNUG_ASSERT(is_power_of_two(count) && count <= VERSIONS_MAX);
	index->versions = memory;
	index->versions_bytes = bytes;
	index->versions_mask = (uint32_t)count - 1;
}

snug_error index_init(struct index *index, snug_heap *heap, const snug_os *os,
					  size_t limit_max_bytes, index_hash_function hash_of,
					  index_filter_function drop_flushed, void *context) {
	*index = (struct index){.heap = heap,
							.os = os,
							.hash_of = hash_of,
							.drop_flushed = drop_flushed,
							.context = context};
	bool reserved = !os_addresses_are_limited() && reserve(index, limit_max_bytes, false);
	reserved = reserved || reserve(index, limit_max_bytes, true);
	snug_error error = reserved ? commit_low(index, 1) : SNUG_ERROR_OS_MEMORY;
	if (error) {
		index_deinit(index);
		return error;
	}
	make_versions(index, limit_max_bytes);
	index->from = index->to = 1;
	index->moving = GROUP_NONE;
	index->high_bytes = index->end_bytes = index->low_bytes;
	return SNUG_OK;
}

/* Versions are of those who read: nobody has. */
static bool find_versions(struct index *index, const struct memory_segment *segment) {
	size_t count = (size_t)index->versions_mask + 1;
	if (index->versions_bytes == 0)
		index->versions = index->versions_own;
	else
		index->versions = memory_segment_now(segment, index->versions, index->versions_bytes);
	if (index->versions == NULL) return false;
	SNUG_ASSERT(is_power_of_two(count) && count <= VERSIONS_MAX);
	for (size_t number = 0; number < count; number++)
		atomic_store_explicit(&index->versions[number], 0, memory_order_relaxed);
	atomic_store_explicit(&index->geometry, 0, memory_order_relaxed);
	return true;
}

bool index_attach(struct index *index, snug_heap *heap, const struct memory_segment *segment,
				  const snug_os *os, index_hash_function hash_of,
				  index_filter_function drop_flushed, void *context) {
	index->heap = heap;
	index->os = os;
	index->hash_of = hash_of;
	index->drop_flushed = drop_flushed;
	index->context = context;
	index->groups = memory_segment_now(segment, index->groups, index->reserved_bytes);
	index->spills = memory_segment_now(segment, index->spills, index->spills_reserved_bytes);
	SNUG_ASSERT(index->moving == GROUP_NONE);
	return index->groups != NULL && index->spills != NULL && find_versions(index, segment);
}

void index_deinit(struct index *index) {
	give_back(index);
}

/* ------------------------------------------------------------------ spill buckets --------- */

/* A slot with an entry, or BUCKET_ENTRIES. */
static uint32_t taken_slot(const struct bucket *bucket) {
	uint32_t slot = 0;
	while (slot < BUCKET_ENTRIES && bucket->entry[slot] == 0) slot++;
	return slot;
}

static bool bucket_is_empty(const struct bucket *bucket) {
	return taken_slot(bucket) == BUCKET_ENTRIES;
}

static void spill_link(struct bucket *spill, uint32_t next) {
	spill->word = (spill->word & ~SPILL_NEXT_MASK) | next;
}

static void spill_put(struct bucket *spill, uint32_t slot, uint32_t home, uint64_t entry) {
	uint32_t shift = SPILL_HOME_SHIFT + 3 * slot;
	SNUG_ASSERT(slot < BUCKET_ENTRIES && home < GROUP_BUCKETS && entry != 0);
	SNUG_ASSERT(spill->entry[slot] == 0);
	spill->word = (spill->word & ~((uint64_t)7 << shift)) | (uint64_t)home << shift;
	entry_set(&spill->entry[slot], entry);
}

/* So many lie free. Moves objects. */
static snug_error spills_ensure(struct index *index, uint32_t count) {
	while (index->spills_free_count < count) {
		size_t needed_bytes = (index->spills_made + 1) * sizeof(struct bucket);
		if (needed_bytes > index->spills_bytes) {
			if (index->spills_bytes == index->spills_reserved_bytes) return SNUG_ERROR_OS_MEMORY;
			snug_error error = commit(index, (char *)index->spills + index->spills_bytes, GRAIN);
			if (error) return error;
			index->spills_bytes += GRAIN;
		}
		struct bucket *made = &index->spills[index->spills_made++];
		memset(made, 0, sizeof *made);
		made->word = index->spills_free;
		index->spills_free = index->spills_made;
		index->spills_free_count++;
	}
	return SNUG_OK;
}

static uint32_t spill_take(struct index *index) {
	uint32_t number = index->spills_free;
	struct bucket *spill = spill_at(index, number);
	SNUG_ASSERT(index->spills_free_count > 0 && bucket_is_empty(spill));
	index->spills_free = spill_next(spill);
	index->spills_free_count--;
	memset(spill, 0, sizeof *spill);
	return number;
}

static void spill_give(struct index *index, uint32_t number) {
	struct bucket *spill = spill_at(index, number);
	SNUG_ASSERT(index->spills_free_count < index->spills_made);
	memset(spill, 0, sizeof *spill);
	spill->word = index->spills_free;
	index->spills_free = number;
	index->spills_free_count++;
}

/* All but the first grain, once none of them is in use. */
static void spills_drop(struct index *index) {
	if (index->spills_free_count < index->spills_made || index->spills_bytes <= GRAIN) return;
	if (!decommit(index, (char *)index->spills + GRAIN, index->spills_bytes - GRAIN)) return;
	index->spills_bytes = GRAIN;
	index->spills_made = index->spills_free = index->spills_free_count = 0;
}

/* A free slot of a bucket, or BUCKET_ENTRIES. */
static uint32_t free_slot(const struct bucket *bucket) {
	uint32_t slot = 0;
	while (slot < BUCKET_ENTRIES && bucket->entry[slot] != 0) slot++;
	return slot;
}

static struct bucket *spill_prepend(struct index *index, struct bucket *own) {
	uint32_t number = spill_take(index);
	struct bucket *spill = spill_at(index, number);
	spill_link(spill, spill_next(own));
	spill_link(own, number);
	return spill;
}

static snug_error spill_add(struct index *index, struct bucket *home, uint32_t home_number,
							uint64_t entry) {
	struct bucket *own = &group_of(home, home_number)->spill, *first = spill_after(index, own);
	SNUG_ASSERT(free_slot(home) == BUCKET_ENTRIES);
	struct bucket *spill = first == NULL ? own : first;
	uint32_t slot = free_slot(spill);
	if (slot == BUCKET_ENTRIES) {
		/* index_prepare was not called */
		if (!SNUG_GUARD(index->spills_free_count > 0)) return SNUG_ERROR_CORRUPT;
		spill = spill_prepend(index, own);
		slot = 0;
	}
	spill_put(spill, slot, home_number, entry);
	home->word++;
	return SNUG_OK;
}

bool probe_spill(struct probe *probe) {
	const struct index *index = probe->index;
	struct bucket *spill;
	if (probe->bucket == probe->home)
		spill = &group_of(probe->home, probe->home_number)->spill;
	else
		spill = spill_after(index, probe->bucket);
	for (; spill != NULL; spill = spill_after(index, spill)) {
		uint32_t matches = bucket_matches(spill, probe->tag);
		for (uint32_t left = matches; left != 0; left &= left - 1) {
			uint32_t slot = bit_lowest(left);
			if (spill_home(spill, slot) != probe->home_number) matches &= ~(1u << slot);
		}
		probe->bucket = spill;
		probe->matches = matches;
		if (matches != 0) return true;
	}
	return false;
}

/* ------------------------------------------------------------------ adding and removing --- */

static snug_error put(struct index *index, uint64_t hash, uint64_t entry) {
	uint64_t place = index_place(index, hash);
	uint32_t home_number = place % GROUP_BUCKETS;
	struct bucket *bucket = index_bucket(index, place);
	snug_error error = SNUG_OK;
	if (UNLIKELY(index_is_flushed(index, bucket))) index_settle(index, bucket, home_number);
	uint32_t slot = free_slot(bucket);
	struct change change = index_begin_change(index, (uint32_t)(place / GROUP_BUCKETS));
	if (UNLIKELY(slot == BUCKET_ENTRIES)) {
		error = spill_add(index, bucket, home_number, entry);
	} else {
		SNUG_ASSERT(bucket_spilled(bucket) == 0); /* who has room has nothing elsewhere */
		entry_set(&bucket->entry[slot], entry);
	}
	version_end_change(change);
	return error;
}

snug_error index_prepare(struct index *index) {
	return LIKELY(index->spills_free_count > 0) ? SNUG_OK : spills_ensure(index, 1);
}

snug_error index_add(struct index *index, uint64_t hash, snug_ref ref, uint32_t meta) {
	SNUG_ASSERT(ref != 0 && meta <= META_MAX);
	snug_error error =
		put(index, hash, (hash & 0xFFF) << TAG_SHIFT | (uint64_t)meta << SNUG_REF_BITS | ref);
	if (!error) index->count++;
	return error;
}

/* Takes an entry out of a spill bucket. One of the first extra bucket takes its place, which goes
 * when it is empty. */
static void spill_clear(struct index *index, struct group *group, struct bucket *spill,
						uint32_t slot) {
	struct bucket *first = spill_after(index, &group->spill);
	SNUG_ASSERT(slot < BUCKET_ENTRIES && spill->entry[slot] != 0);
	entry_set(&spill->entry[slot], 0);
	if (first == NULL) return;
	if (spill != first) {
		uint32_t from = taken_slot(first);
		SNUG_ASSERT(from < BUCKET_ENTRIES);
		spill_put(spill, slot, spill_home(first, from), first->entry[from]);
		entry_set(&first->entry[from], 0);
	}
	if (!bucket_is_empty(first)) return;
	uint32_t number = spill_next(&group->spill);
	spill_link(&group->spill, spill_next(first));
	spill_give(index, number);
}

/* Some entry of this bucket's that was spilled comes home. */
static void unspill_one(struct index *index, struct bucket *home, uint32_t home_number,
						uint32_t to_slot) {
	SNUG_ASSERT(home->entry[to_slot] == 0 && bucket_spilled(home) > 0);
	struct group *group = group_of(home, home_number);
	for (struct bucket *spill = &group->spill; spill != NULL; spill = spill_after(index, spill)) {
		for (uint32_t slot = 0; slot < BUCKET_ENTRIES; slot++) {
			if (spill->entry[slot] == 0 || spill_home(spill, slot) != home_number) continue;
			entry_set(&home->entry[to_slot], spill->entry[slot]);
			home->word--;
			spill_clear(index, group, spill, slot);
			return;
		}
	}
}

static void take_out(struct index *index, const struct probe *probe) {
	uint32_t slot = (uint32_t)(probe->entry - probe->bucket->entry);
	SNUG_ASSERT(slot < BUCKET_ENTRIES && *probe->entry != 0);
	if (probe->bucket != probe->home) {
		SNUG_ASSERT(bucket_spilled(probe->home) > 0);
		probe->home->word--;
		spill_clear(index, group_of(probe->home, probe->home_number), probe->bucket, slot);
		return;
	}
	entry_set(probe->entry, 0);
	if (UNLIKELY(bucket_spilled(probe->home) > 0))
		unspill_one(index, probe->home, probe->home_number, slot);
}

void index_remove(struct index *index, const struct probe *probe) {
	SNUG_ASSERT(index->count > 0);
	index->count--;
	struct change change = index_begin_change(index, probe->group);
	take_out(index, probe);
	version_end_change(change);
}

/* ------------------------------------------------------------------ what goes by the bucket */

/* A slot of the spill bucket with an entry of this home's that the filter drops, or
 * BUCKET_ENTRIES. */
static uint32_t spill_dropped(const struct bucket *spill, uint32_t home_number,
							  index_filter_function filter, void *context) {
	uint32_t slot = 0;
	for (; slot < BUCKET_ENTRIES; slot++)
		if (spill->entry[slot] != 0 && spill_home(spill, slot) == home_number &&
			filter(context, spill->entry[slot]))
			break;
	return slot;
}

/* The bucket that was looked at may be gone with its last entry; what filled an emptied slot may
 * not have been looked at. */
static void filter_spilled(struct index *index, struct bucket *home, uint32_t home_number,
						   index_filter_function filter, void *context) {
	struct group *group = group_of(home, home_number);
	struct bucket *spill = &group->spill;
	while (spill != NULL && bucket_spilled(home) > 0) {
		uint32_t slot = spill_dropped(spill, home_number, filter, context);
		if (slot == BUCKET_ENTRIES) {
			spill = spill_after(index, spill);
			continue;
		}
		bool was_first = spill == spill_after(index, &group->spill);
		SNUG_ASSERT(index->count > 0);
		home->word--;
		index->count--;
		spill_clear(index, group, spill, slot);
		if (was_first && spill != spill_after(index, &group->spill))
			spill = spill_after(index, &group->spill);
	}
}

static void filter_home(struct index *index, struct bucket *home, uint32_t home_number,
						index_filter_function filter, void *context) {
	SNUG_ASSERT(index_is_changing(index, group_number(index, home, home_number)));
	for (uint32_t slot = 0; slot < BUCKET_ENTRIES; slot++) {
		while (home->entry[slot] != 0 && filter(context, home->entry[slot])) {
			entry_set(&home->entry[slot], 0);
			index->count--;
			if (bucket_spilled(home) > 0) unspill_one(index, home, home_number, slot);
		}
	}
	filter_spilled(index, home, home_number, filter, context);
}

/* The filter frees what it drops before the entry has gone, so it is part of the change. */
void index_filter(struct index *index, struct bucket *home, uint32_t home_number,
				  index_filter_function filter, void *context) {
	if (bucket_is_empty(home)) return;
	struct change change = index_begin_change(index, group_number(index, home, home_number));
	filter_home(index, home, home_number, filter, context);
	version_end_change(change);
}

/* What was flushed is found by nobody, and so is what is filled in its place. */
void index_settle(struct index *index, struct bucket *home, uint32_t home_number) {
	if (!index_is_flushed(index, home)) return;
	struct change change = index_begin_change(index, group_number(index, home, home_number));
	filter_home(index, home, home_number, index->drop_flushed, index->context);
	SNUG_ASSERT(bucket_spilled(home) == 0);
	home->word = (uint64_t)index->epoch << EPOCH_SHIFT;
	version_end_change(change);
}

/* ------------------------------------------------------------------ growing, shrinking ---- */

/* Between the two parts of a changing index there is nothing. */
static bool is_there(const struct index *index, uint32_t number) {
	size_t begin = number * sizeof(struct group), end = begin + sizeof(struct group);
	if (index->high_bytes <= index->low_bytes) return end <= index->end_bytes;
	return end <= index->low_bytes || begin >= index->high_bytes;
}

/* Of the sizes so far a piece may be kept that the OS did not take: it is the end of what is grown
 * into. */
static snug_error begin_growing(struct index *index, size_t end_bytes) {
	if (end_bytes < index->low_bytes) end_bytes = index->low_bytes;
	if (index->high_bytes == index->end_bytes) {
		index->high_bytes = index->end_bytes = end_bytes;
	} else if (end_bytes > index->end_bytes) {
		snug_error error =
			commit(index, bytes_of(index) + index->end_bytes, end_bytes - index->end_bytes);
		if (error) return error;
		index->end_bytes = end_bytes;
	}
	return SNUG_OK;
}

/* What lies behind the new end is the high part, and so is what was kept, if it adjoins. */
static snug_error begin_shrinking(struct index *index, size_t low_bytes) {
	decommit_high(index, index->end_bytes);
	if (index->high_bytes == index->end_bytes)
		index->end_bytes = index->low_bytes;
	else if (index->high_bytes != index->low_bytes)
		return SNUG_ERROR_OS_MEMORY;
	index->high_bytes = low_bytes < index->low_bytes ? low_bytes : index->low_bytes;
	index->low_bytes = index->high_bytes;
	return SNUG_OK;
}

snug_error index_presize(struct index *index, uint64_t entries) {
	uint64_t groups = divide_up(entries * 10, (uint64_t)GROUP_BUCKETS * 67) + 1;
	SNUG_ASSERT(index->count == 0 && index->change == INDEX_STEADY);
	if (groups > index->reserved_bytes / sizeof(struct group)) return SNUG_ERROR_OS_MEMORY;
	snug_error error = commit_low(index, (uint32_t)groups);
	if (error) return error;
	index->from = index->to = (uint32_t)groups;
	index->high_bytes = index->end_bytes = index->low_bytes;
	/* Each page would be a fault of its own; and is, where that is refused. */
	(void)index->os->populate(index->os->context, index->groups, index->low_bytes);
	SNUG_ASSERT(index->groups[groups - 1].spill.word == 0); /* what was committed is zero */
	return SNUG_OK;
}

static snug_error begin_change(struct index *index) {
	uint32_t part = index_part(index->from);
	SNUG_ASSERT(index->change == INDEX_STEADY && index->from == index->to);
	SNUG_ASSERT(index->high_bytes >= index->low_bytes && index->high_bytes <= index->end_bytes);
	bool grow = index_is_crowded(index);
	uint32_t to = grow ? index->from + part : index->from - part;
	size_t bytes = round_up(to * sizeof(struct group), GRAIN);
	if (bytes > index->reserved_bytes) return SNUG_ERROR_OS_MEMORY;
	snug_error error = grow ? begin_growing(index, bytes) : begin_shrinking(index, bytes);
	if (error) return error;
	struct change change = version_begin_change(&index->geometry);
	index->to = to;
	index->change = grow ? INDEX_GROWING : INDEX_SHRINKING;
	index->cursor = grow ? index->from : 0;
	version_end_change(change);
	return SNUG_OK;
}

static void end_change(struct index *index) {
	if (index->change == INDEX_GROWING) {
		SNUG_ASSERT(index->high_bytes == index->low_bytes); /* the two parts have met */
		index->high_bytes = index->low_bytes = index->end_bytes;
	} else {
		decommit_high(index, index->end_bytes);
		spills_drop(index);
	}
	SNUG_ASSERT(round_up(index->to * sizeof(struct group), GRAIN) <= index->low_bytes);
	if (index->high_bytes == index->end_bytes)
		index->high_bytes = index->end_bytes = index->low_bytes;
	struct change change = version_begin_change(&index->geometry);
	index->from = index->to;
	index->change = INDEX_STEADY;
	version_end_change(change);
}

static void prefetch_items(const struct index *index, const struct bucket *bucket) {
	for (uint32_t slot = 0; slot < BUCKET_ENTRIES; slot++)
		if (bucket->entry[slot] != 0)
			__builtin_prefetch(snug_ref_at(index->heap, entry_ref(bucket->entry[slot])));
}

/* Each entry to where its hash belongs now. */
static snug_error put_bucket(struct index *index, const struct bucket *bucket) {
	for (uint32_t slot = 0; slot < BUCKET_ENTRIES; slot++) {
		uint64_t entry = bucket->entry[slot];
		if (entry == 0) continue;
		snug_error error = put(index, index->hash_of(index->context, entry_ref(entry)), entry);
		if (error) return error;
	}
	return SNUG_OK;
}

/* From here to end_moving nobody else looks for what was in the group, neither there nor where it
 * goes. */
static void begin_moving(struct index *index, uint32_t number) {
	struct group *group = &index->groups[number];
	SNUG_ASSERT(index->moving == GROUP_NONE && index->change != INDEX_STEADY);
	index->carried = *group;
	index->carried_extra = (struct bucket){.word = 0};
	index->carried_next = spill_next(&group->spill);
	struct change change = version_begin_change(&index->geometry);
	index->moving = number;
	index->cursor = index->change == INDEX_GROWING ? number : number + 1;
	version_end_change(change);
	change = index_begin_change(index, number);
	memset(group, 0, sizeof *group);
	version_end_change(change);
}

static void end_moving(struct index *index) {
	SNUG_ASSERT(index->moving != GROUP_NONE && index->change != INDEX_STEADY);
	struct change change = version_begin_change(&index->geometry);
	index->moving = GROUP_NONE;
	version_end_change(change);
}

/* Each bucket of the chain is carried before it is given back. */
static snug_error put_next_extra(struct index *index) {
	uint32_t extra = index->carried_next;
	SNUG_ASSERT(index->moving != GROUP_NONE && extra != 0);
	index->carried_extra = *spill_at(index, extra);
	prefetch_items(index, &index->carried_extra);
	atomic_signal_fence(memory_order_seq_cst);
	index->carried_next = spill_next(&index->carried_extra);
	atomic_signal_fence(memory_order_seq_cst);
	spill_give(index, extra);
	return put_bucket(index, &index->carried_extra);
}

static snug_error move_group(struct index *index, uint32_t number) {
	struct group *group = &index->groups[number];
	SNUG_ASSERT(number < index->from && is_there(index, number));
	snug_error error = spills_ensure(index, GROUP_ENTRIES / BUCKET_ENTRIES + GROUP_TARGETS_MAX + 1);
	if (error) return error;
	for (uint32_t home = 0; home < GROUP_BUCKETS; home++)
		index_settle(index, &group->bucket[home], home);
	begin_moving(index, number); /* now: making room moves objects */
	const struct group *content = &index->carried;
	for (uint32_t bucket = 0; bucket < GROUP_BUCKETS; bucket++)
		prefetch_items(index, &content->bucket[bucket]);
	prefetch_items(index, &content->spill);
	for (uint32_t bucket = 0; bucket < GROUP_BUCKETS && !error; bucket++)
		error = put_bucket(index, &content->bucket[bucket]);
	if (!error) error = put_bucket(index, &content->spill);
	while (index->carried_next != 0 && !error) error = put_next_extra(index);
	end_moving(index);
	SNUG_ASSERT(!error); /* the reserve is enough */
	return error;
}

snug_error index_step(struct index *index) {
	if (index->change == INDEX_STEADY) {
		if (!index_wants_step(index)) return SNUG_OK;
		return begin_change(index);
	}
	if (index->cursor == (index->change == INDEX_GROWING ? 0 : index->from)) {
		end_change(index);
		return SNUG_OK;
	}
	if (index->change == INDEX_SHRINKING) {
		snug_error error = move_group(index, index->cursor);
		if (!error && index->cursor > index->to)
			decommit_high(index, round_down(index->cursor * sizeof(struct group), GRAIN));
		return error;
	}
	uint32_t number = index->cursor - 1;
	SNUG_ASSERT(index->change == INDEX_GROWING && number < index->from);
	snug_error error = commit_high(index, (uint32_t)((uint64_t)number * index->to / index->from));
	return error ? error : move_group(index, number);
}

/* ------------------------------------------------------------------ check ----------------- */

static const char *check_group(const struct index *index, uint32_t number, uint64_t *count,
							   uint32_t *extra) {
	const struct group *group = &index->groups[number];
	uint64_t spilled[GROUP_BUCKETS] = {0};
	const struct bucket *spill = &group->spill;
	do {
		if (spill != &group->spill) {
			*extra += 1;
			if (*extra > index->spills_made) return "the spill buckets of a group have no end";
			if (bucket_is_empty(spill)) return "an extra spill bucket is empty";
		}
		bool is_first = spill == spill_after(index, &group->spill);
		if (spill_next(&group->spill) != 0 && !is_first && free_slot(spill) < BUCKET_ENTRIES)
			return "a spill bucket has room that is not the first extra one";
		for (uint32_t slot = 0; slot < BUCKET_ENTRIES; slot++)
			if (spill->entry[slot] != 0) spilled[spill_home(spill, slot)]++;
	} while ((spill = spill_after(index, spill)) != NULL);
	for (uint32_t home = 0; home < GROUP_BUCKETS; home++) {
		const struct bucket *bucket = &group->bucket[home];
		if (bucket_spilled(bucket) != spilled[home])
			return "a bucket's count of spilled entries is wrong";
		if (spilled[home] > 0 && free_slot(bucket) < BUCKET_ENTRIES)
			return "a bucket with room has spilled entries";
		*count += spilled[home];
	}
	for (uint32_t home = 0; home < GROUP_BUCKETS; home++)
		for (uint32_t slot = 0; slot < BUCKET_ENTRIES; slot++) {
			uint64_t entry = group->bucket[home].entry[slot];
			if (entry == 0) continue;
			uint64_t hash = index->hash_of(index->context, entry_ref(entry));
			if (index_place(index, hash) != (uint64_t)number * GROUP_BUCKETS + home)
				return "an entry is misplaced";
			if (entry >> TAG_SHIFT != (hash & 0xFFF)) return "a tag is not its hash's";
			*count += 1;
		}
	return NULL;
}

static uint32_t groups_of(const struct index *index) {
	return index->from > index->to ? index->from : index->to;
}

const char *index_check(const struct index *index) {
	uint64_t count = 0;
	uint32_t extra = 0;
	for (uint32_t number = 0; number < groups_of(index); number++) {
		if (!is_there(index, number)) continue;
		const char *wrong = check_group(index, number, &count, &extra);
		if (wrong != NULL) return wrong;
	}
	if (count != index->count) return "the entries are not as many as counted";
	if (extra + index->spills_free_count != index->spills_made) return "spill buckets are lost";
	return NULL;
}

static bool visit_bucket(const struct bucket *bucket, index_visitor visit, void *context) {
	for (uint32_t slot = 0; slot < BUCKET_ENTRIES; slot++)
		if (bucket->entry[slot] != 0 && !visit(context, bucket->entry[slot])) return false;
	return true;
}

static bool visit_group(const struct index *index, const struct group *group, index_visitor visit,
						void *context) {
	for (uint32_t bucket = 0; bucket < GROUP_BUCKETS; bucket++)
		if (!visit_bucket(&group->bucket[bucket], visit, context)) return false;
	for (const struct bucket *spill = &group->spill; spill != NULL;
		 spill = spill_after(index, spill))
		if (!visit_bucket(spill, visit, context)) return false;
	return true;
}

void index_visit(const struct index *index, index_visitor visit, void *context) {
	for (uint32_t number = 0; number < groups_of(index); number++)
		if (is_there(index, number) && !visit_group(index, &index->groups[number], visit, context))
			return;
}

/* The first hash of a part, among so many alike; 0 behind the last. */
static uint64_t hash_of_part(uint64_t part, uint64_t parts) {
	__extension__ typedef unsigned __int128 wide;
	return (uint64_t)((((wide)part << 64) + parts - 1) / parts);
}

/* Where the hashes end that are in the same group, or bucket, now; those that have moved are a
 * range of their own, which may end or begin within one. */
static uint64_t part_end(const struct index *index, uint64_t hash, uint64_t parts_of_group) {
	uint64_t from = index->from * parts_of_group, to = index->to * parts_of_group;
	uint64_t group = index_scale(hash, index->from);
	bool moved = index->change == INDEX_GROWING     ? group >= index->cursor
				 : index->change == INDEX_SHRINKING ? group < index->cursor
													: false;
	if (!moved) return hash_of_part(index_scale(hash, from) + 1, from);
	uint64_t end = hash_of_part(index_scale(hash, to) + 1, to);
	if (index->change == INDEX_GROWING) return end;
	uint64_t border = hash_of_part(index->cursor, index->from);
	return border != 0 && (end == 0 || end > border) ? border : end;
}

uint64_t index_bucket_end(const struct index *index, uint64_t hash) {
	return part_end(index, hash, GROUP_BUCKETS);
}

static bool prefetch_entry(void *context, uint64_t entry) {
	__builtin_prefetch(snug_ref_at(((const struct index *)context)->heap, entry_ref(entry)));
	return true;
}

const char *index_check_at(const struct index *index, uint64_t hash, uint64_t *next,
						   index_visitor visit, void *context) {
	uint32_t number = (uint32_t)(index_place(index, hash) / GROUP_BUCKETS), extra = 0;
	const struct group *group = &index->groups[number];
	uint64_t count = 0;
	union {
		const struct index *constant;
		void *context;
	} own = {.constant = index};
	(void)visit_group(index, group, prefetch_entry, own.context);
	const char *wrong = check_group(index, number, &count, &extra);
	if (wrong != NULL) return wrong;
	(void)visit_group(index, group, visit, context);
	*next = part_end(index, hash, 1);
	return NULL;
}
