/* cache/client/upkeep.c: when a slice is due, and how long the worker may sleep.
 *
 *     there was work in this turn      something may be to do; slices within 5 % of the time
 *     a slice found more to do         the next one, within the same share
 *     a slice found nothing            not for 0.1 s
 *     at rest                          until the shard says that something may be to do: items
 *                                      that expire, memory that nobody came back for
 *
 * It is not a job of the worker's (work/worker/worker_jobs.c): those are asked for, have a report,
 * and end. */
#include "cache/client/upkeep.h"

#include "base/bits.h"
#include "os/threads.h"

bool upkeep_turn(struct upkeep *upkeep, snug_shard *shard, uint64_t now_ns, bool is_serving) {
	if (is_serving) {
		upkeep->duty.traffic_ns = now_ns;
		upkeep->has_more = true;
	}
	if (now_ns < upkeep->look_ns || duty_wait_ns(&upkeep->duty, now_ns) > 0) return false;
	upkeep->has_more = snug_shard_maintain(shard);
	uint64_t end_ns = os_now_ns();
	duty_note_slice(&upkeep->duty, now_ns, end_ns);
	upkeep->look_ns = upkeep->has_more ? 0 : end_ns + UPKEEP_PAUSE_NS;
	return upkeep->has_more;
}

uint64_t upkeep_rest_ns(const struct upkeep *upkeep, const snug_shard *shard, uint64_t now_ns) {
	uint64_t look_ns = now_ns < upkeep->look_ns ? upkeep->look_ns - now_ns : 0;
	uint64_t wait_ns = duty_wait_ns(&upkeep->duty, now_ns);
	uint64_t rest_ns = upkeep->has_more ? 0 : snug_shard_rest_ns(shard);
	return larger(rest_ns, larger(look_ns, wait_ns));
}

uint64_t upkeep_evict(snug_shard *shard, uint64_t bytes) {
	return snug_shard_evict(shard, bytes);
}
