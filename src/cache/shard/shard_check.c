/* cache/shard/shard_check.c: figures, and the laws K1 and K2 walked.
 *
 * At once: the heap's laws, the index's, then each entry: the item is live, its head and key in one
 * piece, its key is found, and found here, so it is there once. Sums are compared at the end.
 *
 * In slices: the index is walked group by group, in the order of hashes. Items below
 * shard->check.hash are counted; what is stored and removed there in between is counted with them
 * (shard_drop.c). So at the end the counts are those of one instant, however busy the shard was:
 *
 *     hashes   0 ............ check.hash ............. 2^64
 *              counted, and    |  not walked yet
 *              kept counted    |
 *
 * A flush in the middle sets what was counted to 0, as it does with the shard's own count.
 *
 * Of a memory file that somebody else may have written to, items are bounded before they are
 * believed: an item lies in a live slot that is large enough, its key's hash leads to its entry, and
 * by the sizes that all of them tell the heap holds as much as it has counted. The tables have a sum
 * that was compared. */
#include "base/log_line.h"
#include "cache/shard/shard_state.h"
#include "mem/check/check.h"
#include "mem/slab/classes.h"
#include "mem/slab/fragment.h"
#include "mem/slab/trailer.h"
#include "work/key_hash.h"

#include <stdio.h>

snug_error snug_shard_stats_get(snug_shard *shard, snug_shard_stats *out) {
	if (shard == NULL || out == NULL) return SNUG_ERROR_NULL;
	snug_shard_stats stats = shard->stats;
	snug_error error = snug_stats_get(shard->heap, &stats.heap);
	if (error) return error;
	stats.items = shard->live.items;
	stats.item_bytes = shard->live.bytes;
	stats.key_bytes = shard->live.key_bytes;
	stats.value_bytes = shard->live.value_bytes;
	stats.index_bytes = index_committed_bytes(&shard->index);
	stats.ghost_bytes = ghosts_bytes(&shard->ghosts);
	*out = stats;
	return SNUG_OK;
}

static void tally_add(struct tally *to, const struct tally *from) {
	to->items += from->items;
	to->bytes += from->bytes;
	to->key_bytes += from->key_bytes;
	to->value_bytes += from->value_bytes;
}

struct walk {
	snug_shard *shard;
	uint64_t from; /* only hashes from here on are counted */
	struct tally live;
	uint64_t linked;
	uint64_t expiring;
	const char *wrong;
};

/* The first entry with this key must be this one. */
static bool check_item(void *context, uint64_t entry) {
	struct walk *walk = context;
	snug_shard *shard = walk->shard;
	const void *item = snug_ref_at(shard->heap, entry_ref(entry));
	struct item_head head = item_read(item);
	snug_extent extent;
	size_t count = 1;
	uint32_t bytes = item_bytes(&head);
	if (head.key_bytes == 0 || head.key_bytes > SNUG_KEY_BYTES_MAX) {
		walk->wrong = "an item's key has an impossible length";
		return false;
	}
	if (snug_ref_view(shard->heap, entry_ref(entry), bytes, 0,
					  (size_t)head.head_bytes + head.key_bytes, &extent, &count)) {
		walk->wrong = "an item is not live, or its head and key are not in one piece";
		return false;
	}
	snug_key key = {item_key(item, &head), head.key_bytes, 0};
	key.hash = key_hash(key.bytes, key.length);
	struct probe probe = index_probe(&shard->index, key.hash);
	walk->wrong = "an item is not found by its key";
	while (probe_next(&probe)) {
		const void *other = snug_ref_at(shard->heap, entry_ref(*probe.entry));
		struct item_head other_head = item_read(other);
		if (other_head.key_bytes != key.length ||
			memcmp(item_key(other, &other_head), key.bytes, key.length) != 0)
			continue;
		walk->wrong = *probe.entry == entry ? NULL : "a key is there twice";
		break;
	}
	if (key.hash < walk->from) return walk->wrong == NULL;
	walk->linked++;
	walk->expiring += head.expires_at_s != 0;
	if (head.expires_at_s != 0 && head.expires_at_s < shard->earliest_s)
		walk->wrong = "an item expires before the earliest";
	if (!index_is_flushed(&shard->index, probe.home)) {
		tally_add(&walk->live, &(struct tally){1, bytes, head.key_bytes, head.value_bytes});
	}
	return walk->wrong == NULL;
}

static const char *check_counts(const snug_shard *shard, const struct walk *walk,
								const snug_stats *stats) {
	if (walk->live.items != shard->live.items || walk->live.bytes != shard->live.bytes ||
		walk->live.key_bytes != shard->live.key_bytes ||
		walk->live.value_bytes != shard->live.value_bytes)
		return "the items are not as many, or as large, as counted";
	if (walk->linked != shard->linked)
		return "the items that were flushed are not as many as counted";
	if (walk->expiring != shard->expiring)
		return "the items with an expiry are not as many as counted";
	if (shard->sweep_hand == 0 && expiries_due(&shard->expiries, EXPIRIES_NONE) < shard->expiring)
		return "fewer items will expire than there are with an expiry";
	if (stats->objects < shard->index.count ||
		stats->objects > shard->index.count + shard->stats.leases)
		return "the heap holds other objects than the index and the leases";
	if (stats->charged_bytes <
		shard->reserved_bytes + ghosts_bytes(&shard->ghosts) + index_committed_bytes(&shard->index))
		return "the index is not charged";
	return NULL;
}

snug_error snug_shard_check(snug_shard *shard, snug_check_result *out) {
	if (shard == NULL) return SNUG_ERROR_NULL;
	struct walk walk = {.shard = shard};
	snug_stats stats;
	snug_error error = snug_check(shard->heap, out);
	if (!error) error = snug_stats_get(shard->heap, &stats);
	if (error) return error;
	walk.wrong = index_check(&shard->index);
	const char *law = "K1";
	if (walk.wrong == NULL) index_visit(&shard->index, check_item, &walk);
	if (walk.wrong == NULL) {
		law = "K2";
		walk.wrong = check_counts(shard, &walk, &stats);
	}
	if (walk.wrong == NULL) return SNUG_OK;
	snug_log_line(&shard->options.heap.log, SNUG_LOG_ERROR, "law %s: %s", law, walk.wrong);
	if (out != NULL) {
		(void)snprintf(out->law, sizeof out->law, "%s", law);
		(void)snprintf(out->message, sizeof out->message, "%s", walk.wrong);
	}
	return SNUG_ERROR_CORRUPT;
}

/* ------------------------------------------------------------------ a stranger's ----------- */

/* Objects by class, by the sizes that their heads tell. */
struct stranger {
	snug_shard *shard;
	uint64_t payload_bytes;
	uint32_t live[CLASS_COUNT_MAX];
	bool is_broken;
};

/* The live slot in which a plain item begins; its class, or NULL. */
static const struct size_class *class_of_item(const snug_heap *heap, uint64_t offset) {
	page_number number = page_of(&heap->arena, offset);
	if (number == PAGE_NONE || number >= heap->arena.described) return NULL;
	struct page *page = &heap->arena.pages[number];
	if (page->state != PAGE_SLAB) return NULL;
	const struct size_class *class = heap->classes.state[page->class_id];
	uint64_t slot = slot_of(&heap->arena, class, offset);
	bool is_live = slot < class->slots && class->family == FAMILY_BYTES &&
				   page_offset(&heap->arena, number) + slot * class->stride == offset &&
				   (free_bits_of(page, class)[slot / 64] >> (slot % 64) & 1) == 0;
	return is_live ? class : NULL;
}

static bool check_plain_stranger(struct stranger *stranger, uint64_t offset,
								 struct item_head *head) {
	const snug_heap *heap = stranger->shard->heap;
	const struct size_class *class = class_of_item(heap, offset);
	if (class == NULL || !item_read_within(address_of(&heap->arena, offset), class->stride, head) ||
		head->value_bytes > class->stride || item_bytes(head) > class->stride)
		return false;
	uint16_t id = class_find(&heap->classes, FAMILY_BYTES, item_bytes(head));
	stranger->live[id]++;
	stranger->payload_bytes += item_bytes(head);
	return true;
}

/* The heap has walked the chain, and found it whole. */
static bool check_chained_stranger(const struct stranger *stranger, uint64_t offset,
								   struct item_head *head) {
	const snug_heap *heap = stranger->shard->heap;
	if (!is_live_fragment(heap, offset)) return false;
	struct fragment_trailer trailer =
		fragment_trailer_read(heap, fragment_trailer_at(heap, offset));
	return item_read_within(address_of(&heap->arena, offset), trailer.length, head) &&
		   (uint64_t)head->head_bytes + head->key_bytes + head->value_bytes == trailer.object_size;
}

static bool check_stranger(void *context, uint64_t entry) {
	struct stranger *stranger = context;
	const snug_shard *shard = stranger->shard;
	snug_ref ref = entry_ref(entry);
	uint64_t offset = ref & OFFSET_MASK;
	struct item_head head;
	bool is_sound = snug_ref_is_contiguous(ref) ? check_plain_stranger(stranger, offset, &head)
												: check_chained_stranger(stranger, offset, &head);
	if (is_sound) {
		struct probe probe = index_probe(&shard->index, shard_hash_of_item(shard, ref));
		while ((is_sound = probe_next(&probe)) && *probe.entry != entry) continue;
	}
	stranger->is_broken |= !is_sound;
	return is_sound;
}

static bool is_counted(const struct stranger *stranger) {
	const snug_heap *heap = stranger->shard->heap;
	uint64_t plain_bytes =
		heap_payload_bytes(heap, SNUG_POOL_SMALL) + heap_payload_bytes(heap, SNUG_POOL_MEDIUM);
	const struct class_table *classes = &heap->classes;
	for (uint32_t id = classes->first[FAMILY_BYTES]; id < classes->first[FAMILY_BYTES + 1]; id++)
		if (stranger->live[id] != classes->entry[id].live) return false;
	return stranger->payload_bytes == plain_bytes;
}

snug_error shard_check_stranger(snug_shard *shard) {
	struct stranger stranger = {.shard = shard};
	index_visit(&shard->index, check_stranger, &stranger);
	if (stranger.is_broken || !is_counted(&stranger)) return SNUG_ERROR_CORRUPT;
	return snug_shard_check(shard, NULL);
}

/* ------------------------------------------------------------------ in slices -------------- */

#define GROUPS_MAX 4096u /* a step ends by its count where the clock stands still */

enum { CHECK_NONE, CHECK_HEAP, CHECK_ITEMS, CHECK_DONE };

static void found(struct shard_check *check, const char *law, const char *wrong) {
	check->phase = CHECK_DONE;
	check->hash = 0;
	if (wrong == NULL) return;
	check->broken = true;
	(void)snprintf(check->result.law, sizeof check->result.law, "%s", law);
	(void)snprintf(check->result.message, sizeof check->result.message, "%s", wrong);
}

static void step_heap(snug_shard *shard, uint64_t step_ns) {
	struct shard_check *check = &shard->check;
	bool done = false;
	snug_error error = snug_check_step(shard->heap, step_ns, &done);
	if (!error && !done) return;
	if (!error) error = snug_check_end(shard->heap, &check->result);
	check->phase = CHECK_ITEMS;
	if (!error) return;
	check->broken = true;
	check->phase = CHECK_DONE;
}

/* All is walked: at this instant. */
static void compare(snug_shard *shard, struct walk *walk) {
	snug_stats stats;
	const char *wrong = "the heap does not tell its figures";
	walk->live = shard->check.live;
	walk->linked = shard->check.linked;
	walk->expiring = shard->check.expiring;
	if (snug_stats_get(shard->heap, &stats) == SNUG_OK) wrong = check_counts(shard, walk, &stats);
	if (wrong == NULL && walk->linked != shard->index.count)
		wrong = "the index's entries are not as many as counted";
	found(&shard->check, "K2", wrong);
}

static void step_group(snug_shard *shard) {
	struct shard_check *check = &shard->check;
	struct walk walk = {.shard = shard, .from = check->hash};
	uint64_t next = 0;
	const char *wrong = index_check_at(&shard->index, check->hash, &next, check_item, &walk);
	if (wrong == NULL) wrong = walk.wrong;
	if (wrong != NULL) {
		found(check, "K1", wrong);
		return;
	}
	tally_add(&check->live, &walk.live);
	check->linked += walk.linked;
	check->expiring += walk.expiring;
	check->hash = next;
	if (next == 0) compare(shard, &walk);
}

snug_error snug_shard_check_begin(snug_shard *shard) {
	if (shard == NULL) return SNUG_ERROR_NULL;
	if (shard->check.phase != CHECK_NONE) return SNUG_ERROR_BUSY;
	snug_error error = snug_check_begin(shard->heap);
	if (!error) shard->check = (struct shard_check){.phase = CHECK_HEAP};
	return error;
}

snug_error snug_shard_check_step(snug_shard *shard, uint64_t step_ns, bool *done) {
	if (shard == NULL || done == NULL) return SNUG_ERROR_NULL;
	if (shard->check.phase == CHECK_NONE) return SNUG_ERROR_NOT_RUNNING;
	if (step_ns == 0) return SNUG_ERROR_BUDGET_ZERO;
	uint64_t begin_ns = shard->os->now_ns(shard->os->context);
	if (shard->check.phase == CHECK_HEAP) {
		step_heap(shard, step_ns);
	} else {
		for (uint32_t groups = 0; shard->check.phase == CHECK_ITEMS && groups < GROUPS_MAX;
			 groups++) {
			step_group(shard);
			if (shard->os->now_ns(shard->os->context) - begin_ns >= step_ns) break;
		}
	}
	*done = shard->check.phase == CHECK_DONE;
	return SNUG_OK;
}

snug_error snug_shard_check_end(snug_shard *shard, snug_check_result *out) {
	if (shard == NULL) return SNUG_ERROR_NULL;
	struct shard_check check = shard->check;
	if (check.phase == CHECK_NONE) return SNUG_ERROR_NOT_RUNNING;
	shard->check = (struct shard_check){0};
	if (check.phase == CHECK_HEAP) {
		snug_error cancelled = snug_check_end(shard->heap, NULL);
		(void)cancelled; /* which is what it says */
	}
	if (!check.broken) return check.phase == CHECK_DONE ? SNUG_OK : SNUG_ERROR_CANCELLED;
	if (check.result.law[0] == 'K')
		snug_log_line(&shard->options.heap.log, SNUG_LOG_ERROR, "law %s: %s", check.result.law,
					  check.result.message);
	if (out != NULL) *out = check.result;
	return SNUG_ERROR_CORRUPT;
}
