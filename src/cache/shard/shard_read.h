/* cache/shard/shard_read.h: an item is read by any thread, where it lies, while its owner goes on.
 * What is read is a guess until a version has proved it (base/versions.h); whoever finds no proof
 * in some tries asks the owner.
 *
 *     shard_look    version -> index -> item's head and key: a sight
 *     (the value is copied, or parsed where it lies)
 *     sight_holds   the same versions still: all of that was of one instant
 *
 * A reader changes nothing, and waits for nobody. Not read here but asked of the owner: what has
 * more pieces, or lies in a longer chain, than READ_PIECES and READ_CHAIN; what may have been
 * flushed, which goes when its owner meets it; all while a flush is due.
 *
 * The shard must not be destroyed meanwhile. Its memory stays readable as long as it is: what is
 * decommitted reads as zeros, and the version says no. */
#ifndef SNUG_CACHE_SHARD_READ_H
#define SNUG_CACHE_SHARD_READ_H

#include "cache/index/index.h"
#include "cache/index/item.h"

#include "os/collapse.h"

#define READ_PIECES 8u
#define READ_CHAIN 4u /* extra spill buckets */

enum look {
	LOOK_FOUND,
	LOOK_ABSENT,
	LOOK_ASK, /* the owner knows */
};

/* What was seen of a key's item, to be believed only once it holds. Written with LOOK_FOUND. */
struct sight {
	const data_version *group; /* what proves it */
	const data_version *links; /* the same, of an item with a further piece; NULL: it has none */
	uint32_t group_seen;
	uint32_t links_seen;
	struct item_head head;
	/* its first `value_here` bytes are readable memory, whatever they are; the rest is in further
	 * pieces, of which this is the first */
	const unsigned char *value;
	size_t value_here;
	uint64_t next;
};

/* Any thread. LOOK_ABSENT is proved. The key's hash is set. `now_s` is the moment by the shard's
 * clock: LOOK_ASK if a flush has come due by then. */
enum look shard_look(const struct snug_shard *shard, const snug_key *key, int64_t now_s,
					 struct sight *out);

/* Whether all that was read since shard_look, values too, was of one instant. */
bool sight_holds(const struct sight *sight);

/* What a copy tells of its item. */
struct shard_copy {
	struct item_head head;
	bool is_copied; /* the value fits the room, and is there */
};

/* Any thread: a look, and the value copied into the room if it fits. Nothing is written to `out`
 * but with LOOK_FOUND; the room may hold anything. An item whose expiry has passed is found. */
enum look shard_read(const struct snug_shard *shard, const snug_key *key, int64_t now_s, void *room,
					 size_t room_bytes, struct shard_copy *out);

/* The addresses that look-ups touch: of items, and of the index. They stay the shard's. */
#define SHARD_RANGES 2u
void shard_ranges(const struct snug_shard *shard, struct os_range *out);

/* Any thread: asks for the lines that the next reads of these keys will touch, each in its own
 * shard. */
void shards_read_prefetch(const struct snug_shard *const *shards, const uint64_t *hashes,
						  size_t count);

#endif
