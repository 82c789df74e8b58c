/* cache/shard/shard_spare.c: a look a second, and a defragmentation that gives back.
 *
 *     look --not much is spare--> in a second, or never, if nothing changes
 *      |
 *     step, step ... --> end: some was returned --> look in a second
 *                          \-- none was --> in 2, 4, .. 64 seconds: pins are in the way, or the OS
 *                              does not take memory back
 *
 * Nothing is evicted for it: what is free, or becomes free by packing, is all that goes. */
#include "cache/shard/shard_spare.h"

#include "base/assert.h"
#include "base/bits.h"

#define LOOK_NS UINT64_C(1000000000)
#define VAIN_MAX 6u /* 2^6 looks */

static uint64_t os_now(const snug_shard *shard) {
	return shard->os->now_ns(shard->os->context);
}

/* True: it is worth it, and a defragmentation was begun. Somebody else's may be under way. */
static bool begin(snug_shard *shard, const snug_stats *stats, uint64_t kept_bytes) {
	snug_defragment_options options = snug_defragment_options_default();
	spare_set_return(&options, stats, kept_bytes);
	return snug_defragment_begin(shard->heap, &options) == SNUG_OK;
}

static bool look(snug_shard *shard) {
	uint64_t now_ns = os_now(shard);
	snug_stats stats;
	SNUG_ASSERT(!shard->gives_back);
	if (now_ns < shard->give_back_ns || snug_stats_get(shard->heap, &stats) != SNUG_OK) {
		shard->is_spare_settled = false;
		return false;
	}
	uint64_t kept_bytes = spare_look(&shard->spare, &stats, shard->options.keep_free_bytes, now_ns);
	bool is_much = spare_is_much(&stats, kept_bytes);
	shard->give_back_ns = now_ns + LOOK_NS;
	shard->is_spare_settled = !is_much && spare_is_settled(&shard->spare, &stats);
	if (is_much) shard->gives_back = begin(shard, &stats, kept_bytes);
	return shard->gives_back;
}

void shard_spare_end(snug_shard *shard) {
	snug_report report;
	if (!shard->gives_back) return;
	shard->gives_back = false;
	bool has_returned =
		snug_defragment_end(shard->heap, &report) == SNUG_OK && report.returned_bytes > 0;
	shard->back_in_vain = has_returned ? 0 : (uint32_t)smaller(shard->back_in_vain + 1, VAIN_MAX);
	SNUG_ASSERT(shard->back_in_vain <= VAIN_MAX);
	shard->give_back_ns = os_now(shard) + (LOOK_NS << shard->back_in_vain);
}

bool shard_spare_step(snug_shard *shard) {
	if (shard->options.keep_free_bytes == SNUG_NO_BUDGET) return false;
	if (!shard->gives_back) return look(shard);
	bool done = false;
	if (snug_defragment_step(shard->heap, &done) != SNUG_OK) done = true;
	if (done) shard_spare_end(shard);
	return !done;
}

uint64_t shard_spare_rest_ns(const snug_shard *shard) {
	if (shard->options.keep_free_bytes == SNUG_NO_BUDGET) return UINT64_MAX;
	if (shard->gives_back) return 0;
	if (shard->is_spare_settled) return UINT64_MAX;
	uint64_t now_ns = os_now(shard);
	return shard->give_back_ns > now_ns ? shard->give_back_ns - now_ns : 0;
}
