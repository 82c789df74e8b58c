/* work/policy/spare.c: see spare.h. The figures fall in whole seconds, and the rest of a second is
 * kept for the next look: so how often somebody looks changes nothing. */
#include "work/policy/spare.h"

#include "base/bits.h"

#define SECOND_NS UINT64_C(1000000000)
#define SECONDS_MAX 128u                  /* by then any figure has fallen to 0 */
#define LITTLE_BYTES ((uint64_t)64 << 10) /* what has fallen so far has fallen to 0 */
#define MUCH_SHARE 16u                    /* of the slabs */
#define MUCH_LEAST_BYTES ((uint64_t)256 << 10)
#define UNIT_BYTES ((uint64_t)2 << 20) /* in which memory goes back when it is not by the page */

static uint64_t needed_now(const snug_stats *stats) {
	return stats->total.slab_bytes -
		   smaller(stats->total.reclaimable_bytes, stats->total.slab_bytes);
}

/* By a quarter a second, to 0 in the end. */
static uint64_t fallen(uint64_t bytes, uint64_t seconds) {
	for (uint64_t second = 0; second < seconds && bytes > 0; second++) bytes -= divide_up(bytes, 4);
	return seconds > 0 && bytes < LITTLE_BYTES ? 0 : bytes;
}

static uint64_t whole_seconds(struct spare *spare, uint64_t now_ns) {
	if (spare->looked_ns == 0 || now_ns < spare->looked_ns) {
		spare->looked_ns = now_ns;
		return 0;
	}
	uint64_t seconds = (now_ns - spare->looked_ns) / SECOND_NS;
	spare->looked_ns += seconds * SECOND_NS;
	return smaller(seconds, SECONDS_MAX);
}

/* The first look knows nothing of before. */
static uint64_t allocated_since(struct spare *spare, const snug_stats *stats, bool is_first) {
	uint64_t count = stats->allocations - smaller(spare->allocations, stats->allocations);
	if (stats->objects > 0) spare->object_bytes = stats->total.payload_bytes / stats->objects;
	spare->allocations = stats->allocations;
	return is_first ? 0 : count * spare->object_bytes;
}

uint64_t spare_look(struct spare *spare, const snug_stats *stats, uint64_t keep_bytes,
					uint64_t now_ns) {
	bool is_first = spare->looked_ns == 0;
	uint64_t seconds = whole_seconds(spare, now_ns);
	uint64_t now_bytes = needed_now(stats);
	uint64_t above_bytes = spare->needed_bytes - smaller(now_bytes, spare->needed_bytes);
	spare->needed_bytes = now_bytes + fallen(above_bytes, seconds);
	spare->allocated_bytes =
		fallen(spare->allocated_bytes, seconds) + allocated_since(spare, stats, is_first);
	uint64_t lately_bytes = larger(spare->needed_bytes - now_bytes, spare->allocated_bytes);
	return larger(lately_bytes, keep_bytes);
}

uint64_t spare_bytes(const snug_stats *stats, uint64_t kept_bytes) {
	uint64_t unused_bytes = stats->free_page_bytes + stats->total.reclaimable_bytes;
	return unused_bytes - smaller(kept_bytes, unused_bytes);
}

bool spare_is_much(const snug_stats *stats, uint64_t kept_bytes) {
	uint64_t least_bytes = larger(MUCH_LEAST_BYTES, stats->return_unit_bytes);
	uint64_t much_bytes = larger(stats->total.slab_bytes / MUCH_SHARE, least_bytes);
	return spare_bytes(stats, kept_bytes) >= much_bytes;
}

bool spare_is_settled(const struct spare *spare, const snug_stats *stats) {
	return spare->looked_ns != 0 && spare->allocated_bytes == 0 &&
		   spare->needed_bytes == needed_now(stats) && spare->allocations == stats->allocations;
}

void spare_set_return(snug_defragment_options *options, const snug_stats *stats,
					  uint64_t kept_bytes) {
	uint64_t bytes = spare_bytes(stats, kept_bytes);
	bool by_page = bytes < 2 * UNIT_BYTES && stats->return_unit_bytes < UNIT_BYTES;
	options->retain_bytes = by_page ? SNUG_NO_BUDGET : kept_bytes;
	options->return_bytes = by_page ? bytes : 0;
}
