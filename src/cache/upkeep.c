/* cache/upkeep.c: see cache/upkeep.h. */
#include "cache/upkeep.h"

#include "os/threads.h"

bool upkeep_turn(struct upkeep *upkeep, snug_shard *shard, uint64_t now_ns, bool is_serving) {
	if (is_serving) upkeep->duty.traffic_ns = now_ns;
	if (now_ns < upkeep->look_ns || duty_wait_ns(&upkeep->duty, now_ns) > 0) return false;
	bool more = snug_shard_maintain(shard);
	uint64_t end_ns = os_now_ns();
	duty_note_slice(&upkeep->duty, now_ns, end_ns);
	upkeep->look_ns = more ? 0 : end_ns + UPKEEP_PAUSE_NS;
	return more;
}

uint64_t upkeep_evict(snug_shard *shard, uint64_t bytes) {
	snug_shard_stats before, after;
	if (snug_shard_stats_get(shard, &before) != SNUG_OK) return 0;
	(void)snug_shard_evict(shard, bytes);
	if (snug_shard_stats_get(shard, &after) != SNUG_OK) return 0;
	return after.evicted_bytes - before.evicted_bytes;
}
