/* run_object.c: allocates, writes, verifies and frees single objects; the only calls that are timed
 * are made here.
 *
 * Timing: every time_every-th allocate and release is put between two readings of the clock, less
 * the clock's own cost. Writing and verifying lie outside. So a malloc's page faults, which come
 * with the first write, are not in pair_ns; compaction within an allocation is. */
#include "ledger/clock.h"
#include "ledger/pattern.h"
#include "runs/runs.h"

#define VERIFY_EVERY 64

static bool time_is_due(const struct run *run, struct call_times *times) {
	if (!run->warm || times->until_next-- > 0) return false;
	times->until_next = run->job->time_every - 1;
	return true;
}

static uint64_t note_time(const struct run *run, struct call_times *times, uint64_t begin_ns) {
	uint64_t taken_ns = clock_ns() - begin_ns;
	taken_ns = taken_ns > run->overhead_ns ? taken_ns - run->overhead_ns : 0;
	times->sum_ns += taken_ns;
	times->count++;
	return taken_ns;
}

static bool timed_allocate(struct run *run, size_t size, uint64_t *name) {
	if (!time_is_due(run, &run->alloc_times))
		return run->allocator.allocate(&run->allocator, size, name);
	uint64_t begin_ns = clock_ns();
	bool allocated = run->allocator.allocate(&run->allocator, size, name);
	snug_histogram_add(&run->shared->alloc_ns, note_time(run, &run->alloc_times, begin_ns));
	return allocated;
}

static bool timed_release(struct run *run, uint64_t name, size_t size) {
	if (!time_is_due(run, &run->free_times))
		return run->allocator.release(&run->allocator, name, size);
	uint64_t begin_ns = clock_ns();
	bool released = run->allocator.release(&run->allocator, name, size);
	note_time(run, &run->free_times, begin_ns);
	return released;
}

/* Writes the object's pattern, or compares with it. */
static bool visit(struct run *run, uint32_t index, bool write) {
	const struct entry *entry = &run->ledger.entries[index];
	struct pattern pattern = pattern_of(object_header(index, entry->stamp), run->job->seed);
	struct snug_extent extents[EXTENT_ROOM];
	bool matches = true;
	for (size_t offset = 0; offset < entry->size;) {
		size_t count;
		if (!run->allocator.view(&run->allocator, entry->name, entry->size, offset, extents,
								 &count) ||
			count == 0)
			return false;
		for (size_t i = 0; i < count; i++) {
			if (write)
				pattern_write(&pattern, offset, extents[i].data, extents[i].length);
			else
				matches = pattern_matches(&pattern, offset, extents[i].data, extents[i].length) &&
						  matches;
			offset += extents[i].length;
		}
	}
	return matches;
}

static void lost(struct run *run, uint32_t index, const char *what) {
	const struct entry *entry = &run->ledger.entries[index];
	run->outcome->integrity_errors++;
	run_broken(run->outcome, "object %u (%u bytes): %s%s%s", index, entry->size, what,
			   run->allocator.problem[0] ? ": " : "", run->allocator.problem);
}

bool run_object_allocate(struct run *run, size_t size, uint32_t *out) {
	uint64_t name;
	uint32_t index = ledger_take(&run->ledger);
	run->outcome->allocations++;
	if (index == ENTRY_NONE || !timed_allocate(run, size, &name)) {
		if (index != ENTRY_NONE) ledger_give_back(&run->ledger, index);
		run->outcome->failed_allocations++;
		return false;
	}
	ledger_add(&run->ledger, index, name, size);
	run->outcome->allocated_bytes += size;
	if (!visit(run, index, true)) lost(run, index, "cannot be written");
	*out = index;
	return true;
}

bool run_object_verify(struct run *run, uint32_t index) {
	bool matches = visit(run, index, false);
	run->outcome->verified_bytes += run->ledger.entries[index].size;
	if (!matches) lost(run, index, "its bytes are not those that were written");
	return matches;
}

void run_object_free(struct run *run, uint32_t index) {
	const struct entry *entry = &run->ledger.entries[index];
	run_object_verify(run, index);
	if (!timed_release(run, entry->name, entry->size)) lost(run, index, "cannot be freed");
	ledger_remove(&run->ledger, index);
	run->outcome->frees++;
}

bool run_object_free_random(struct run *run) {
	const struct entry_list *movable = &run->ledger.movable;
	if (movable->count == 0) return false;
	run_object_free(run, movable->index[random_below(&run->victim_random, movable->count)]);
	return true;
}

void run_object_verify_sometimes(struct run *run) {
	const struct entry_list *movable = &run->ledger.movable;
	if (movable->count > 0 && random_below(&run->check_random, VERIFY_EVERY) == 0)
		run_object_verify(run, movable->index[random_below(&run->check_random, movable->count)]);
}
