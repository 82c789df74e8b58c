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
 * A flush in the middle sets what was counted to 0, as it does with the shard's own count. */
#include "base/log_line.h"
#include "cache/shard/shard_state.h"

#include <stdio.h>

snug_error snug_shard_stats_get(snug_shard *shard, snug_shard_stats *out) {
	if (shard == NULL || out == NULL) return SNUG_ERROR_NULL;
	snug_shard_stats stats = shard->stats;
	snug_error error = snug_stats_get(shard->heap, &stats.heap);
	if (error) return error;
	stats.items = shard->live.items;
	stats.item_bytes = shard->live.bytes;
	stats.index_bytes = index_committed_bytes(&shard->index);
	*out = stats;
	return SNUG_OK;
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
	snug_key key = snug_shard_key(item_key(item, &head), head.key_bytes);
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
		walk->live.items++;
		walk->live.bytes += bytes;
	}
	return walk->wrong == NULL;
}

static const char *check_counts(const snug_shard *shard, const struct walk *walk,
								const snug_stats *stats) {
	if (walk->live.items != shard->live.items || walk->live.bytes != shard->live.bytes)
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
	check->live.items += walk.live.items;
	check->live.bytes += walk.live.bytes;
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
