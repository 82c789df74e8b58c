/* cache/shard/shard_room.c: room for an item, for its tables, for what the owner charges. The heap
 * compacts by itself; what it lacks beyond that is made by evicting.
 *
 *     asked of the heap --there is room--> had
 *            |  ^
 *            v  | asked again        would it fit if all went that may go? no: refused,
 *     it has none -----------------> and nothing has gone (law K9)
 *            |  ^
 *            v  |
 *     as many bytes as are wanted go: items; or, where nothing may be evicted, what is dead
 *
 * WHAT MAY GO is every item but those that are leased and `watched`, and of the tables what fewer
 * items do not need: the index and the ghosts shrink while a large item takes the place of many
 * small ones. Whether that is enough is counted before the first victim (mem/object/fit.h). What
 * linking the item and leasing it may need is counted with it, for every item: so a value that
 * comes in pieces is refused or taken as one that comes whole (law K10).
 *
 * WHAT CAN NEVER FIT is too large, whatever is there now: what would not fit if nothing were leased
 * or charged by others either. Only items above a quarter of the limit are asked.
 *
 * THE OS may refuse memory as well. What it must give is asked for before anything goes: all the
 * limit still allows, as far as the item can use it. If it refuses, what is committed must do.
 *
 * WHAT THE OS DOES NOT TAKE BACK is no reason to evict. If there are free pages enough, and still
 * no room, then a table or a charge could not get a page's memory: more free pages are no help. */
#include "base/assert.h"
#include "base/bits.h"
#include "cache/shard/shard_sweep.h"
#include "mem/arena/arena.h"
#include "mem/object/fit.h"

#define TABLE_GRAIN ((size_t)4096) /* by which the index, its spills and the pins grow */
/* What goes at once for small items is no more than this share of the limit. */
#define EVICTED_AT_ONCE_SHARE 1024
#define CHOSEN_ALONE_SHARE 64 /* of the limit: what is larger */

/* ------------------------------------------------------------------ whether ---------------- */

static uint64_t ghosts_limit(const snug_shard *shard) {
	return shard->rank.tick_bytes * RANK_TICKS_PER_TURNOVER;
}

/* What the index and the ghosts would give back if only so many items were left. */
static size_t tables_spare(const snug_shard *shard, uint64_t items) {
	size_t kept_bytes = ghosts_kept_bytes(ghosts_limit(shard), items),
		   ghost_bytes = ghosts_bytes(&shard->ghosts);
	return index_spare_bytes(&shard->index, items) +
		   (ghost_bytes > kept_bytes ? ghost_bytes - kept_bytes : 0);
}

size_t shard_pin_table_growth(const snug_shard *shard) {
	const struct pin_table *pins = &shard->heap->pins;
	if (pins->capacity == 0) return TABLE_GRAIN;
	bool is_full = (pins->count + 1) * 4ull > pins->capacity * 3ull;
	return is_full ? 2 * pins->capacity * sizeof(uint64_t) : 0;
}

/* Of the tables, for one more item and one more lease. */
static size_t tables_growth(const snug_shard *shard) {
	return (shard->index.spills_free_count > 0 ? 0 : TABLE_GRAIN) + shard_pin_table_growth(shard);
}

static bool can_fit(const snug_shard *shard, size_t item_bytes, size_t charge_bytes,
					snug_error error, bool has_cells) {
	SNUG_ASSERT(item_bytes > 0 || (charge_bytes > 0 && !has_cells));
	struct fit_wish wish = {
		.object_bytes = item_bytes,
		.charge_bytes = charge_bytes + (item_bytes > 0 ? tables_growth(shard) : 0),
		.spare_bytes = tables_spare(shard, shard->stats.leases + 1),
		.kept = shard->watched,
		.os_refused = error == SNUG_ERROR_OS_MEMORY,
		.has_cells = has_cells,
	};
	return fit_if_all_went(shard->heap, &wish);
}

bool shard_can_fit(const snug_shard *shard, size_t item_bytes, size_t charge_bytes,
				   snug_error error) {
	return can_fit(shard, item_bytes, charge_bytes, error, false);
}

/* All charges but the shard's own, which may end, and of those what an empty shard does not need. */
static size_t spare_when_empty(const snug_shard *shard) {
	size_t own_bytes = shard->reserved_bytes + shard->kept_for_pins_bytes +
					   index_committed_bytes(&shard->index) + ghosts_bytes(&shard->ghosts),
		   kept_bytes = own_bytes - tables_spare(shard, 0);
	SNUG_ASSERT(shard->heap->arena.charged_bytes >= own_bytes);
	return shard->heap->arena.charged_bytes - kept_bytes;
}

bool shard_can_ever_fit(const snug_shard *shard, size_t item_bytes) {
	struct fit_wish wish = {
		.object_bytes = item_bytes,
		.charge_bytes = (shard->index.spills_bytes > 0 ? 0 : TABLE_GRAIN) +
						(shard->heap->pins.capacity > 0 ? 0 : TABLE_GRAIN),
		.spare_bytes = spare_when_empty(shard),
		.ignores_pins = true,
	};
	return fit_if_all_went(shard->heap, &wish);
}

void shard_limit_changed(snug_shard *shard) {
	size_t share_bytes = shard->heap->arena.limit_goal_bytes / SHARD_ASKED_PARTS;
	shard->unasked_max_bytes = smaller(shard->options.item_max_bytes, share_bytes);
}

/* ------------------------------------------------------------------ making it -------------- */

uint64_t shard_make_room(snug_shard *shard) {
	return shard->options.no_eviction ? shard_remove_dead(shard) : shard_evict_one(shard);
}

/* False: the OS does not take it back. */
static bool shrink_ghosts(snug_shard *shard) {
	char *end = (char *)shard->ghosts.table + ghosts_bytes(&shard->ghosts);
	SNUG_ASSERT(ghosts_bytes(&shard->ghosts) >= GHOST_GRAIN_BYTES);
	if (!shard->os->decommit(shard->os->context, end - GHOST_GRAIN_BYTES, GHOST_GRAIN_BYTES))
		return false;
	ghosts_shrink(&shard->ghosts);
	snug_shard_discharge(shard, GHOST_GRAIN_BYTES);
	return true;
}

static enum ghosts_fit ghosts_wish(const snug_shard *shard) {
	return ghosts_fit(&shard->ghosts, ghosts_limit(shard), shard->linked);
}

/* Whether the tables became smaller, or are on the way. */
static bool shrink_tables(snug_shard *shard) {
	bool shrinks = false;
	if (index_is_sparse(&shard->index) || shard->index.change == INDEX_SHRINKING)
		shrinks = shard_index_step(shard);
	if (ghosts_wish(shard) == GHOSTS_SHRINK) shrinks |= shrink_ghosts(shard);
	return shrinks;
}

/* All that they have too much. */
static bool shrink_tables_all(snug_shard *shard) {
	uint64_t before_bytes = shard->heap->arena.charged_bytes;
	while (shrink_tables(shard)) continue;
	return shard->heap->arena.charged_bytes < before_bytes;
}

static uint64_t make_room_part(snug_shard *shard, uint64_t bytes, uint32_t count) {
	return shard->options.no_eviction ? shard_remove_dead(shard)
									  : shard_evict_some(shard, count, bytes);
}

/* What goes for an item that is large beside the limit is chosen one by one, and the tables shrink
 * with each: measured, 0.005 of the misses where sizes have heavy tails. */
static uint32_t count_of_part(const snug_shard *shard, uint64_t bytes) {
	bool is_large = bytes > shard->heap->arena.limit_goal_bytes / CHOSEN_ALONE_SHARE;
	return is_large ? 1 : SHARD_EVICTED_AT_ONCE;
}

uint64_t shard_make_rooms(snug_shard *shard, uint64_t bytes) {
	uint64_t gained_bytes = 0;
	uint32_t count = count_of_part(shard, bytes);
	while (gained_bytes < bytes) {
		uint64_t part_bytes = make_room_part(shard, bytes - gained_bytes, count);
		/* once more around, for those that the candidates had no place for */
		if (part_bytes == 0 && !shard->options.no_eviction) part_bytes = shard_evict_one(shard);
		if (part_bytes == 0) break;
		gained_bytes += part_bytes;
		if (gained_bytes < bytes) (void)shrink_tables(shard);
	}
	return gained_bytes;
}

static __attribute__((noinline)) bool make_more_room(snug_shard *shard, size_t bytes,
													 uint64_t gained_bytes) {
	SNUG_ASSERT(gained_bytes < bytes);
	return shard_make_rooms(shard, bytes - gained_bytes) > 0 || gained_bytes > 0 ||
		   shrink_tables_all(shard);
}

/* Small items go some at a time: the heap has looked for room in vain by then, and the next stores
 * shall find some at once. More of them go where sizes differ, for what another size leaves is of
 * use only when a page of it comes free. The bytes. */
static inline uint64_t make_first_room(snug_shard *shard, size_t bytes) {
	size_t few_bytes = shard->heap->arena.limit_goal_bytes / EVICTED_AT_ONCE_SHARE;
	if (shard->options.no_eviction || bytes > few_bytes / 2) return shard_make_room(shard);
	uint32_t count = (uint32_t)smaller(few_bytes / bytes, SHARD_EVICTED_AT_ONCE);
	uint64_t gained_bytes = shard_evict_some(shard, count, few_bytes);
	if (count < SHARD_EVICTED_AT_ONCE || gained_bytes >= few_bytes / 2) return gained_bytes;
	return gained_bytes + shard_evict_some(shard, count, few_bytes / 2);
}

/* False: nothing more can go. */
static inline bool make_room_for(snug_shard *shard, size_t bytes) {
	uint64_t gained_bytes = make_first_room(shard, bytes);
	return LIKELY(gained_bytes >= bytes) || make_more_room(shard, bytes, gained_bytes);
}

/* ------------------------------------------------------------------ for an item ------------ */

/* Head and key must lie in one extent; fragments are larger than that, but it is not theirs to
 * promise. */
static snug_error require_whole_head(snug_shard *shard, size_t bytes, snug_ref ref,
									 size_t head_bytes) {
	snug_extent extent;
	size_t count = 1;
	if (snug_ref_is_contiguous(ref)) return SNUG_OK;
	snug_error error = snug_ref_view(shard->heap, ref, bytes, 0, head_bytes, &extent, &count);
	if (!error) return SNUG_OK;
	snug_error freed = snug_ref_free(shard->heap, ref, bytes);
	SNUG_ASSERT(!freed);
	(void)freed;
	return error;
}

/* The common case, without counting: one page is wanted, and half of the limit is not taken by what
 * stays. */
static inline bool surely_fits(const snug_shard *shard, size_t bytes, snug_error error) {
	const snug_heap *heap = shard->heap;
	const struct arena *arena = &heap->arena;
	return error == SNUG_ERROR_NO_MEMORY && bytes <= PAGE_BYTES_MIN && heap->pins.count == 0 &&
		   shard->watched == 0 && arena_free_pages(arena) == 0 &&
		   arena->charged_bytes + arena->metadata_bytes <= arena->limit_goal_bytes / 2;
}

/* It would fit, and it is not the OS that takes nothing back. What the OS must give is asked for
 * first. `has_cells`: it has given what size classes need. Then they are in the account, and not set
 * aside a second time when this is asked again: or what was to fit would not, though items went. */
static bool would_fit(const snug_shard *shard, size_t bytes, snug_error error, bool *has_cells) {
	if (error != SNUG_ERROR_NO_MEMORY && error != SNUG_ERROR_OS_MEMORY) return false;
	if (fit_has_pages(shard->heap, bytes) || !can_fit(shard, bytes, 0, error, *has_cells))
		return false;
	snug_error refused = fit_commit(shard->heap, bytes);
	*has_cells |= !refused;
	return !refused || can_fit(shard, bytes, 0, SNUG_ERROR_OS_MEMORY, *has_cells);
}

static snug_error alloc_any(snug_shard *shard, size_t bytes, bool contiguous, bool evicts,
							snug_ref *out) {
	snug_alloc_options options = {.contiguous = contiguous};
	SNUG_ASSERT(bytes > 0);
	size_t wanted_bytes = bytes;
	bool has_cells = false;
	for (;;) {
		snug_error error = contiguous ? snug_ref_alloc_with(shard->heap, bytes, &options, out)
									  : snug_ref_alloc(shard->heap, bytes, out);
		if (!error || !evicts) return error;
		if (UNLIKELY(!surely_fits(shard, bytes, error) &&
					 !would_fit(shard, bytes, error, &has_cells)))
			return error;
		if (!make_room_for(shard, wanted_bytes)) return error;
		wanted_bytes = bytes / 8 + 1; /* tables and holes take some of it */
	}
}

snug_error shard_alloc(snug_shard *shard, size_t bytes, size_t head_bytes, bool evicts,
					   snug_ref *out) {
	snug_ref ref;
	SNUG_ASSERT(head_bytes > 0 && head_bytes <= bytes);
	snug_error error = alloc_any(shard, bytes, false, evicts, &ref);
	if (error) return error;
	error = require_whole_head(shard, bytes, ref, head_bytes);
	if (error == SNUG_ERROR_TOO_MANY_EXTENTS) error = alloc_any(shard, bytes, true, evicts, &ref);
	SNUG_ASSERT(error || ref != shard->watched);
	if (!error) *out = ref;
	return error;
}

/* ------------------------------------------------------------------ for the index ---------- */

bool shard_make_table_room(snug_shard *shard, snug_error error) {
	return error == SNUG_ERROR_NO_MEMORY && !fit_has_pages(shard->heap, TABLE_GRAIN) &&
		   shard_can_fit(shard, 0, TABLE_GRAIN, error) && make_room_for(shard, TABLE_GRAIN);
}

static void grow_ghosts(snug_shard *shard) {
	if (snug_shard_charge(shard, GHOST_GRAIN_BYTES) != SNUG_OK) return;
	/* where it ends now: making room may have shrunk it */
	char *end = (char *)shard->ghosts.table + ghosts_bytes(&shard->ghosts);
	if (shard->os->commit(shard->os->context, end, GHOST_GRAIN_BYTES))
		ghosts_grow(&shard->ghosts);
	else
		snug_shard_discharge(shard, GHOST_GRAIN_BYTES);
}

void shard_fit_ghosts(snug_shard *shard) {
	if (shard->options.no_eviction) return; /* nothing will be remembered */
	enum ghosts_fit fit = ghosts_wish(shard);
	if (UNLIKELY(fit == GHOSTS_GROW))
		grow_ghosts(shard);
	else if (UNLIKELY(fit == GHOSTS_SHRINK))
		(void)shrink_ghosts(shard);
}

/* What the OS did not take back it is not asked for again, until the table is another size. */
bool shard_shrink_ghosts(snug_shard *shard) {
	size_t bytes = ghosts_bytes(&shard->ghosts);
	if (bytes == shard->ghosts_refused_bytes || ghosts_wish(shard) != GHOSTS_SHRINK) return false;
	if (shrink_ghosts(shard)) return true;
	shard->ghosts_refused_bytes = bytes;
	return false;
}

/* ------------------------------------------------------------------ for whoever asks ------- */

uint64_t snug_shard_evict(snug_shard *shard, uint64_t bytes) {
	uint64_t evicted_bytes = 0;
	if (shard == NULL || shard->options.no_eviction) return 0;
	while (evicted_bytes < bytes) {
		uint64_t gained_bytes = shard_evict_one(shard);
		if (gained_bytes == 0) break;
		uint64_t flushed_bytes = shard->flushed_bytes;
		(void)shard_index_step(shard);
		evicted_bytes += gained_bytes + (shard->flushed_bytes - flushed_bytes);
	}
	return evicted_bytes;
}

snug_error snug_shard_charge(snug_shard *shard, size_t bytes) {
	if (shard == NULL) return SNUG_ERROR_NULL;
	for (;;) {
		snug_error error = snug_heap_charge(shard->heap, bytes);
		if (error != SNUG_ERROR_NO_MEMORY || fit_has_pages(shard->heap, bytes) ||
			!shard_can_fit(shard, 0, bytes, error) || !make_room_for(shard, bytes))
			return error;
	}
}

void snug_shard_discharge(snug_shard *shard, size_t bytes) {
	if (shard == NULL) return;
	snug_error error = snug_heap_discharge(shard->heap, bytes);
	SNUG_ASSERT(!error);
	(void)error;
}
