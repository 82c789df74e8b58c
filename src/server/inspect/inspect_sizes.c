/* server/inspect/inspect_sizes.c: `stats sizes`: how many items there are of each size, in steps of
 * 32 bytes, as memcached tells them. A size is what the item takes: its head, key and value.
 *
 *     STAT 96 1200      1200 items of 65 to 96 bytes
 *     STAT 1048576 3    3 of more than 1 MiB less 32 bytes
 *
 * Nothing is counted while nobody asks: the items are walked over, in slices, so the cost is who
 * asks's. Beyond 1 MiB the last step has all. */
#include "base/bits.h"
#include "server/inspect/inspect_parts.h"

#define STEP_BYTES 32u
#define STEPS ((1u << 20) / STEP_BYTES)

struct sizes {
	struct errand errand; /* must be the first */
	struct walk walk;
	uint64_t items[STEPS + 1]; /* of so many steps, at most */
};

static struct sizes *sizes_of(struct errand *errand) {
	return (struct sizes *)(void *)errand;
}

static void count_item(void *context, const struct walked *item) {
	struct sizes *sizes = context;
	uint32_t steps = (item_bytes(&item->head) + STEP_BYTES - 1) / STEP_BYTES;
	sizes->items[smaller(steps, STEPS)]++;
}

static void visit(struct errand *errand, struct server_worker *worker) {
	struct sizes *sizes = sizes_of(errand);
	bool holds;
	errand->is_unfinished = false;
	if (sizes->walk.is_corrupt || !slice_begin(NULL, errand, worker, &holds)) return;
	walk_some(&sizes->walk, worker, count_item, sizes);
	slice_end(NULL, errand, worker, sizes->walk.at_hash == 0 || sizes->walk.is_corrupt);
}

static void answer(struct errand *errand, struct text *out) {
	struct sizes *sizes = sizes_of(errand);
	if (sizes->walk.is_corrupt) {
		text_say(out, WALK_CORRUPT);
		return;
	}
	for (uint32_t i = 0; i <= STEPS; i++)
		if (sizes->items[i] > 0)
			text_print(out, "STAT %u %llu\r\n", i * STEP_BYTES,
					   (unsigned long long)sizes->items[i]);
	text_say(out, "END");
}

struct errand *inspect_sizes(struct server *server, struct text *out) {
	struct sizes *sizes = errand_new(server, sizeof *sizes, out);
	if (sizes == NULL) return NULL;
	sizes->errand.visit = visit;
	sizes->errand.answer = answer;
	sizes->walk.part_bytes = SIZE_MAX;
	return &sizes->errand;
}
