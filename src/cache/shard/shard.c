/* cache/shard/shard.c: the life of a shard, and what its heap asks of it.
 *
 *     snug_shard_prepare   the struct, and the heap's options with `moved` and `size_of`
 *     (somebody creates the heap: a worker on its own thread, or snug_shard_create)
 *     snug_shard_attach    the index, the rank, the ghosts
 *
 * In three steps, because a heap must know its owner when it is created and belongs to the thread
 * that creates it.
 *
 * MOVED. The heap tells of each move, for each item that goes: so this is the cache's part of a
 * move's cost. The key's hash is computed from the copy, the entry is looked for, its reference
 * changed: one line of the index. An item that is in no index is being stored or stored anew, and
 * is followed by `watched`. To keep the hash in the item would save computing it, and cost each
 * item 8 bytes.
 *
 * CLOCKS. Expiry is counted in seconds of a clock that nobody sets; dates that clients give are on
 * the clock on the wall, and are translated when they come and go (shard_moment_s, shard_date_s).
 * So setting the clock ends nothing that is to live for a while.
 *
 * The struct is taken from the OS in whole pages and charged, like all else: a shard has no
 * malloc.
 *
 * IN A MEMORY FILE the struct lies there with the rest, and is found again: prepare finds it, attach
 * rebuilds what meant something in one process alone: addresses, functions, versions, boards of
 * readers, moments. What was learnt stays, and so does the clock: it goes on where it was, and has
 * counted the time in between (by the clock that nobody sets, or after another boot by the one on
 * the wall). To destroy such a shard leaves it. One whose process was killed is made again beside
 * what that has left (shard_recover.c), and takes its place at once: from there on it is as one that
 * was left in order. */
#include "base/assert.h"
#include "base/bits.h"
#include "base/grown.h"
#include "cache/shard/shard_state.h"
#include "mem/gate.h"
#include "mem/heap_keep.h"
#include "mem/heap_recover.h"
#include "mem/object/pins.h"
#include "os/local_time.h"
#include "os/reserve.h"
#include "work/key_hash.h"

#include <stdlib.h>

#define GRAIN ((size_t)4096)
#define ITEM_MAX_BYTES_DEFAULT ((size_t)1 << 20)
#define KEEP_FREE_BYTES_DEFAULT ((uint64_t)1 << 20)

/* ------------------------------------------------------------------ what the heap asks --- */

snug_key snug_shard_key(const void *bytes, size_t length) {
	return (snug_key){bytes, length, bytes == NULL ? 0 : key_hash(bytes, length)};
}

_Static_assert(SNUG_HASH_SECRET_BYTES == KEY_HASH_SECRET_BYTES, "the secret is the hash's");

snug_error snug_hash_secret_set(const void *secret) {
	if (secret == NULL) return SNUG_ERROR_NULL;
	return key_hash_set_secret(secret) ? SNUG_OK : SNUG_ERROR_IN_USE;
}

static uint64_t hash_of(void *context, snug_ref ref) {
	return shard_hash_of_item(context, ref);
}

/* An item that is not in the index is being stored, or read to be stored anew: whoever does that
 * follows it by `watched`. */
static void moved(void *context, snug_ref from, snug_ref to, size_t size) {
	snug_shard *shard = context;
	struct probe probe = index_probe(&shard->index, shard_hash_of_item(shard, to));
	(void)size;
	SNUG_ASSERT(from != 0 && from != to);
	if (shard->watched == from) shard->watched = to;
	while (probe_next(&probe)) {
		if (entry_ref(*probe.entry) != from) continue;
		SNUG_ASSERT(shard->heap->pins.count == 0 ||
					pin_count(shard->heap, from & OFFSET_MASK) == 0);
		struct change change = index_begin_change(&shard->index, probe.group);
		entry_set(probe.entry, entry_with_ref(*probe.entry, to));
		version_end_change(change);
		return;
	}
}

static size_t size_of(void *context, const void *object) {
	struct item_head head = item_read(object);
	(void)context;
	SNUG_ASSERT(head.key_bytes > 0);
	return item_bytes(&head);
}

/* ------------------------------------------------------------------ life ------------------- */

static int64_t wall_clock_s(void *context) {
	(void)context;
	return os_wall_s();
}

static int64_t own_clock_s(void *context) {
	const snug_shard *shard = context;
	return os_epoch_s(&shard->epoch, shard->os->now_ns(shard->os->context));
}

static void set_clocks(snug_shard *shard) {
	snug_shard_options *options = &shard->options;
	if (options->now_s == NULL) {
		if (!shard->is_kept) os_epoch_begin(&shard->epoch, shard->os->now_ns(shard->os->context));
		options->now_s = own_clock_s;
		options->now_context = shard;
		options->wall_s = wall_clock_s;
	}
	if (options->wall_s == NULL) options->wall_s = options->now_s;
}

void snug_shard_options_init(snug_shard_options *options, size_t struct_bytes) {
	static const snug_shard_options defaults = {
		.item_max_bytes = ITEM_MAX_BYTES_DEFAULT,
		.evict_for = SNUG_EVICT_FOR_HITS,
		.keep_free_bytes = KEEP_FREE_BYTES_DEFAULT,
	};
	grown_init(options, struct_bytes, &defaults, sizeof defaults);
	grown_init_part(options, struct_bytes, offsetof(snug_shard_options, heap));
}

static snug_error read_options(const snug_shard_options *given, snug_shard_options *out) {
	*out = snug_shard_options_default();
	bool is_known = grown_read(given, out, sizeof *out) && out->reserved == 0;
	out->heap.struct_bytes = sizeof out->heap;
	return is_known ? SNUG_OK : SNUG_ERROR_VERSION;
}

static bool options_make_sense(const snug_shard_options *options) {
	return (uint32_t)options->evict_for < SNUG_EVICT_FOR_COUNT && options->item_max_bytes > 0 &&
		   options->item_max_bytes <= SNUG_VALUE_BYTES_MAX + SNUG_KEY_BYTES_MAX &&
		   options->heap.owner.moved == NULL && options->heap.owner.size_of == NULL;
}

/* In a memory file keys are found by the secret that they were stored with. */
snug_error shard_take_secret(snug_memory_file *file) {
	unsigned char held[KEY_HASH_SECRET_BYTES], current[KEY_HASH_SECRET_BYTES];
	_Static_assert(KEY_HASH_SECRET_BYTES == MEMORY_SECRET_BYTES, "the secret of keys' hashes");
	key_hash_secret(current);
	if (!memory_file_secret(file, held)) {
		memory_file_set_secret(file, current);
		return SNUG_OK;
	}
	bool is_same = memcmp(held, current, sizeof held) == 0;
	return is_same || key_hash_set_secret(held) ? SNUG_OK : SNUG_ERROR_IN_USE;
}

#define SHARD_LAYOUT 5u

static struct root_facts shard_facts(void) {
	static const uint64_t numbers[] = {
		SHARD_LAYOUT,
		sizeof(snug_shard),
		sizeof(struct index),
		sizeof(struct rank),
		sizeof(struct bucket),
		sizeof(struct expiries),
		sizeof(snug_shard_options),
		offsetof(snug_shard, index),
		offsetof(snug_shard, tick_s),
		offsetof(snug_shard, hints),
		BUCKET_ENTRIES,
		GROUP_BUCKETS,
		META_BITS,
		RANK_STAMP_BITS,
		GHOST_CLASS_BITS,
		KEY_UNLINKED,
		MARKS_FIELDS,
	};
	return (struct root_facts){.layout =
								   memory_layout(numbers, sizeof numbers / sizeof numbers[0])};
}

static snug_error could_attach(struct memory_segment *segment,
							   const snug_heap_options *heap_options) {
	const struct root_facts *facts = memory_segment_facts(segment, ROOT_SHARD);
	if (facts == NULL) return memory_segment_refuse(segment, "it holds a heap without a cache");
	if (facts->layout != shard_facts().layout)
		return memory_segment_refuse(segment, "it was written by a version of another layout");
	return heap_could_attach(heap_options, segment);
}

/* The shard that a segment holds, of which nothing is changed yet. */
static snug_error find_kept(struct memory_segment *segment, const snug_heap_options *heap_options,
							snug_shard **out) {
	snug_error error = could_attach(segment, heap_options);
	if (!error) error = memory_segment_attach(segment);
	if (error) return error;
	SNUG_ASSERT(heap_options->owner.moved == moved);
	*out = memory_segment_root(segment, ROOT_SHARD, sizeof **out);
	return *out == NULL ? SNUG_ERROR_CORRUPT : SNUG_OK;
}

/* What the process that is gone has left in the struct, and this one does not go by. */
static void forget_moments(snug_shard *shard) {
	shard->heap = NULL;
	shard->candidates = (struct candidates){0};
	shard->ghosts_refused_bytes = 0;
	shard->promised_bytes = 0;
	shard->owns_heap = shard->gains_pages = shard->gives_back = shard->has_merged = false;
	shard->spare = (struct spare){0};
	shard->is_spare_settled = false;
	shard->give_back_ns = 0;
	shard->back_in_vain = 0;
	shard->watched = 0;
	shard->evicted = NULL;
	shard->kept_for_pins_bytes = 0;
	shard->in_place = 0;
	shard->check = (struct shard_check){0};
	shard->stats = (snug_shard_stats){.attached = shard->live.items,
									  .recovered = shard->recovered.items,
									  .dropped = shard->recovered.dropped,
									  .recover_ns = shard->recovered.ns};
	shard->recovered = (struct shard_recovered){0};
	memset(&shard->hints, 0, sizeof shard->hints);
}

/* The clock goes on: within a boot as it was, or who is killed here finds it half-changed. */
static void continue_clock(snug_shard *shard) {
	int64_t gone_s;
	uint64_t now_ns = shard->os->now_ns(shard->os->context);
	SNUG_ASSERT(shard->options.now_context == shard);
	if (!memory_segment_is_same_boot(shard->segment, &gone_s) || shard->left_ns > now_ns)
		shard->epoch = (struct os_epoch){.begun_s = shard->left_s + gone_s, .begun_ns = now_ns};
}

static void begin(snug_shard *shard, const snug_shard_options *options, const snug_os *os,
				  struct memory_segment *segment) {
	*shard = (snug_shard){.options = *options,
						  .os = os,
						  .reserved_bytes = round_up(sizeof *shard, GRAIN),
						  .segment = segment};
	set_clocks(shard);
	shard->earliest_s = shard->round_earliest_s = UINT32_MAX;
	expiries_begin(&shard->expiries, shard_now_s(shard));
}

static void resume(snug_shard *shard, const snug_shard_options *options, const snug_os *os,
				   struct memory_segment *segment) {
	forget_moments(shard);
	SNUG_ASSERT(segment != NULL && shard->reserved_bytes >= sizeof *shard);
	shard->options = *options;
	shard->os = os;
	shard->segment = segment;
	shard->is_kept = true;
	set_clocks(shard);
	if (options->now_s == NULL) continue_clock(shard);
}

static snug_error make(const snug_shard_options *options, const snug_os *os,
					   struct memory_segment *segment, snug_shard **out) {
	size_t bytes = round_up(sizeof(snug_shard), GRAIN);
	snug_shard *shard = os_reserve(os, bytes, GRAIN);
	if (shard == NULL) return SNUG_ERROR_OS_MEMORY;
	if (!os->commit(os->context, shard, bytes)) {
		os->release(os->context, shard, bytes);
		return SNUG_ERROR_OS_MEMORY;
	}
	begin(shard, options, os, segment);
	*out = shard;
	return SNUG_OK;
}

/* Addresses for as many as the limit may ever allow; memory follows the items. Without them the
 * shard works as well, but for a few hits. */
static void make_ghosts(snug_shard *shard, uint64_t limit_max_bytes) {
	size_t bytes = ghosts_most_bytes(limit_max_bytes);
	void *memory = bytes == 0 ? NULL : os_reserve(shard->os, bytes, GRAIN);
	ghosts_init(&shard->ghosts, memory);
	if (memory != NULL) shard->ghosts_reserved_bytes = bytes;
}

static void note_root(snug_shard *shard) {
	struct root_facts facts = shard_facts();
	facts.fact[FACT_GROUPS] = memory_segment_part(shard->segment, shard->index.groups);
	facts.fact[FACT_SPILLS] = memory_segment_part(shard->segment, shard->index.spills);
	SNUG_ASSERT(shard->heap != NULL && shard->heap->segment == shard->segment);
	memory_segment_set_root(shard->segment, ROOT_SHARD, shard, &facts);
}

/* An index and a rank, for all that the limit may ever allow. */
static snug_error begin_index(snug_shard *shard, snug_heap *heap, uint64_t limit_bytes,
							  uint64_t limit_max_bytes) {
	snug_error error = index_init(&shard->index, heap, shard->os, limit_max_bytes, hash_of,
								  shard_drop_flushed, shard);
	if (error) return error;
	SNUG_ASSERT(shard->index.count == 0);
	shard->heap = heap;
	uint64_t seed = shard->os->now_ns(shard->os->context) * 0x9E3779B97F4A7C15u | 1;
	rank_init(&shard->rank, limit_bytes, seed);
	make_ghosts(shard, limit_max_bytes);
	return SNUG_OK;
}

/* In the place of one whose process was killed: beside it, until it is whole. */
static snug_error make_again(const snug_shard_options *options,
							 const snug_heap_options *heap_options,
							 struct memory_segment *segment) {
	uint64_t begin_ns = snug_os_linux()->now_ns(snug_os_linux()->context);
	const snug_shard *left = memory_segment_left_root(segment, ROOT_SHARD, sizeof *left);
	struct heap_recovery recovery = {0};
	snug_shard *shard;
	if (left == NULL || memory_segment_held(segment, left, sizeof *left) < sizeof *left)
		return SNUG_ERROR_CORRUPT;
	snug_error error = make(options, memory_segment_os(segment), segment, &shard);
	if (!error) error = heap_recover_begin(heap_options, segment, &recovery);
	if (!error)
		error = begin_index(shard, recovery.heap, heap_options->limit_bytes,
							recovery.heap->options.limit_max_bytes);
	if (!error) error = shard_recover_items(shard, left, &recovery);
	heap_recover_deinit(&recovery);
	if (error) return error;
	SNUG_ASSERT(shard->live.items == shard->recovered.items);
	heap_recover_end(&recovery);
	note_root(shard);
	shard->recovered.ns = snug_os_linux()->now_ns(snug_os_linux()->context) - begin_ns;
	shard->left_s = shard_now_s(shard);
	shard->left_ns = shard->os->now_ns(shard->os->context);
	memory_segment_note_left(segment);
	return SNUG_OK;
}

static snug_error recover(const snug_shard_options *options, const snug_heap_options *heap_options,
						  struct memory_segment *segment) {
	snug_error error = could_attach(segment, heap_options);
	if (!error) error = memory_segment_begin_recovery(segment);
	if (error) return error;
	error = make_again(options, heap_options, segment);
	if (!error) {
		memory_segment_flip(segment);
		return SNUG_OK;
	}
	memory_segment_give_up(segment);
	bool is_damaged = error == SNUG_ERROR_CORRUPT;
	(void)memory_segment_refuse(segment, "its process was killed, and %s",
								is_damaged ? "it is damaged"
										   : "there is no memory for a second index beside it");
	return is_damaged ? SNUG_ERROR_CORRUPT : SNUG_ERROR_UNCLEAN;
}

/* Begun in the file, or found there. */
static snug_error prepare_in_file(const snug_shard_options *options,
								  const snug_heap_options *heap_options, snug_shard **out) {
	struct memory_segment *segment;
	if (options->heap.os != NULL) return SNUG_ERROR_OPTION;
	snug_error error =
		memory_segment_of(options->heap.memory_file, options->heap.memory_segment, &segment);
	if (!error) error = shard_take_secret(options->heap.memory_file);
	if (error == SNUG_ERROR_IN_USE)
		error = memory_segment_refuse(segment, "its keys were hashed with another secret");
	if (error) return error;
	bool is_kept = memory_segment_facts(segment, ROOT_HEAP) != NULL ||
				   memory_segment_facts(segment, ROOT_SHARD) != NULL;
	if (is_kept && memory_segment_is_unclean(segment))
		error = recover(options, heap_options, segment);
	if (is_kept && !error) error = find_kept(segment, heap_options, out);
	if (!error) error = memory_segment_begin(segment, ROOT_SHARD);
	if (error) return error;
	SNUG_ASSERT(!is_kept || (*out)->segment != NULL);
	if (is_kept)
		resume(*out, options, memory_segment_os(segment), segment);
	else
		error = make(options, memory_segment_os(segment), segment, out);
	if (error) memory_segment_end(segment, ROOT_SHARD, error);
	return error;
}

/* An item is told to readers in a few extents, and evicting is cheaper than many pieces. */
static snug_error prepare(const snug_shard_options *options, snug_heap_options *heap_options,
						  snug_shard **out) {
	if (!options_make_sense(options)) return SNUG_ERROR_OPTION;
	heap_options->owner = (snug_owner){.moved = moved, .size_of = size_of};
	heap_options->no_last_resort = true;
	const snug_os *os = options->heap.os != NULL ? options->heap.os : snug_os_linux();
	snug_error error = options->heap.memory_file != NULL
						   ? prepare_in_file(options, heap_options, out)
						   : make(options, os, NULL, out);
	if (error) return error;
	SNUG_ASSERT((*out)->heap == NULL && (*out)->os != NULL);
	key_hash_settle();
	heap_options->owner.context = *out;
	return SNUG_OK;
}

snug_error snug_shard_prepare(const snug_shard_options *options, snug_heap_options *heap_options,
							  snug_shard **out) {
	snug_shard_options known;
	snug_shard *shard;
	if (options == NULL || heap_options == NULL || out == NULL) return SNUG_ERROR_NULL;
	snug_error error = read_options(options, &known);
	if (!error) error = prepare(&known, heap_options, &shard);
	if (!error) *out = shard;
	return error;
}

/* On the heap that was left with it. */
static snug_error attach_kept(snug_shard *shard, snug_heap *heap) {
	ghost *table = shard->ghosts.table;
	bool is_found = index_attach(&shard->index, heap, shard->segment, shard->os, hash_of,
								 shard_drop_flushed, shard);
	if (table != NULL)
		table = memory_segment_now(shard->segment, table, shard->ghosts_reserved_bytes);
	is_found &= (table != NULL) == (shard->ghosts.table != NULL);
	if (!is_found || heap->segment != shard->segment) return SNUG_ERROR_CORRUPT;
	SNUG_ASSERT(shard->index.count >= shard->live.items && shard->watched == 0);
	shard->ghosts.table = table;
	shard->heap = heap;
	heap_charge_kept(heap, shard->reserved_bytes + index_committed_bytes(&shard->index) +
							   ghosts_bytes(&shard->ghosts));
	if (memory_segment_is_foreign(shard->segment) && shard_check_stranger(shard) != SNUG_OK) {
		shard->heap = NULL;
		(void)memory_segment_refuse(shard->segment, "its items were changed, or are damaged");
		return SNUG_ERROR_CORRUPT;
	}
	return snug_shard_set_limit(shard, heap->arena.limit_goal_bytes);
}

snug_error snug_shard_attach(snug_shard *shard, snug_heap *heap) {
	if (shard == NULL || heap == NULL) return SNUG_ERROR_NULL;
	if (shard->heap != NULL) return SNUG_ERROR_IN_USE;
	if (shard->is_kept) {
		snug_error error = attach_kept(shard, heap);
		if (!error) note_root(shard);
		return error;
	}
	snug_stats stats;
	snug_error error = snug_stats_get(heap, &stats);
	if (!error) error = snug_heap_charge(heap, shard->reserved_bytes);
	if (error) return error;
	size_t most_bytes = shard->options.heap.limit_max_bytes;
	if (most_bytes < stats.limit_bytes) most_bytes = stats.limit_bytes;
	error = begin_index(shard, heap, stats.limit_bytes, most_bytes);
	if (error) {
		snug_error undone = snug_heap_discharge(heap, shard->reserved_bytes);
		SNUG_ASSERT(!undone);
		(void)undone;
		return error;
	}
	shard_limit_changed(shard);
	shard_keep_for_pins(shard);
	for (uint32_t stamp = 0; stamp < STAMPS; stamp++) shard->tick_s[stamp] = shard_now_s(shard);
	if (shard->segment != NULL) note_root(shard);
	return SNUG_OK;
}

/* It stays where it is, if it has begun to live there. */
static void leave(snug_shard *shard) {
	struct memory_segment *segment = shard->segment;
	SNUG_ASSERT(shard->heap == NULL || shard->heap->segment == segment);
	snug_error error = shard->heap == NULL ? SNUG_ERROR_UNCLEAN : SNUG_OK;
	shard->left_s = shard_now_s(shard);
	shard->left_ns = shard->os->now_ns(shard->os->context);
	memory_segment_note_left(segment);
	shard->heap = NULL;
	memory_segment_end(segment, ROOT_SHARD, error);
}

/* All but the heap, which reads the items no more. */
static void give_back(snug_shard *shard) {
	SNUG_ASSERT(shard->watched == 0);
	if (shard->segment != NULL) {
		leave(shard);
		return;
	}
	if (shard->heap != NULL) index_deinit(&shard->index);
	if (shard->ghosts_reserved_bytes > 0)
		shard->os->release(shard->os->context, shard->ghosts.table, shard->ghosts_reserved_bytes);
	shard->os->release(shard->os->context, shard, shard->reserved_bytes);
}

snug_error snug_shard_create(const snug_shard_options *options, snug_shard **out) {
	snug_shard_options known;
	snug_shard *shard;
	snug_heap *heap;
	if (options == NULL || out == NULL) return SNUG_ERROR_NULL;
	snug_error error = read_options(options, &known);
	if (error) return error;
	snug_heap_options heap_options = known.heap;
	error = prepare(&known, &heap_options, &shard);
	if (error) return error;
	error = snug_heap_create(&heap_options, &heap);
	if (!error) {
		error = snug_shard_attach(shard, heap);
		if (!error) {
			shard->owns_heap = true;
			*out = shard;
			return SNUG_OK;
		}
		snug_error ended = snug_heap_destroy(heap);
		SNUG_ASSERT(!ended);
		(void)ended;
	}
	give_back(shard);
	return error;
}

snug_error snug_shard_destroy(snug_shard *shard) {
	if (shard == NULL) return SNUG_OK;
	snug_error error = shard->heap == NULL ? SNUG_OK : gate_enter_any(shard->heap);
	if (error) return error;
	snug_heap *own_heap = shard->owns_heap ? shard->heap : NULL;
	give_back(shard);
	return snug_heap_destroy(own_heap);
}

int64_t snug_shard_now_s(const snug_shard *shard) {
	return shard == NULL ? 0 : shard_now_s(shard);
}

snug_heap *snug_shard_heap(snug_shard *shard) {
	return shard == NULL ? NULL : shard->heap;
}
