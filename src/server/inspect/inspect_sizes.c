/* server/inspect/inspect_sizes.c: `stats sizes`: how many items there are of each size, in steps of
 * 32 bytes, as memcached tells them. A size is what the item takes: its head, key and value.
 *
 *     STAT 96 1200      1200 items of 65 to 96 bytes
 *     STAT 1048576 3    3 of more than 1 MiB less 32 bytes
 *
 * Nothing is counted while nobody asks: the items are walked over, in slices, so the cost is who
 * asks's. Beyond 1 MiB the last step has all.
 *
 * The numbers are some 256 KiB until they are told, and anybody may ask: they draw on the account of
 * answers, and the walk ends when nobody waits for it any more. */
#include "base/bits.h"
#include "server/inspect/inspect_parts.h"

#include <string.h>

#define STEP_BYTES 32u
#define STEPS ((1u << 20) / STEP_BYTES)

struct sizes {
	struct errand errand; /* must be the first */
	struct walk walk;
	struct text numbers;  /* uint64_t of each step, and of what is more */
	_Atomic bool is_over; /* atomic: nobody waits for it any more */
};

#define NUMBERS_BYTES ((STEPS + 1) * sizeof(uint64_t))

static struct sizes *sizes_of(struct errand *errand) {
	return (struct sizes *)(void *)errand;
}

static uint64_t *items_of(const struct sizes *sizes) {
	return (uint64_t *)(void *)sizes->numbers.bytes;
}

static void count_item(void *context, const struct walked *item) {
	struct sizes *sizes = context;
	uint32_t steps = (item_bytes(&item->head) + STEP_BYTES - 1) / STEP_BYTES;
	items_of(sizes)[smaller(steps, STEPS)]++;
}

static void visit(struct errand *errand, struct server_worker *worker) {
	struct sizes *sizes = sizes_of(errand);
	bool holds;
	errand->is_unfinished = false;
	bool is_over = atomic_load_explicit(&sizes->is_over, memory_order_relaxed);
	if (sizes->walk.is_corrupt || is_over) return;
	if (!slice_begin(NULL, errand, worker, &holds)) return;
	walk_some(&sizes->walk, worker, count_item, sizes);
	slice_end(NULL, errand, worker, sizes->walk.at_hash == 0 || sizes->walk.is_corrupt);
}

static void answer(struct errand *errand, struct text *out) {
	const struct sizes *sizes = sizes_of(errand);
	if (sizes->walk.is_corrupt) {
		text_say(out, WALK_CORRUPT);
		return;
	}
	for (uint32_t i = 0; i <= STEPS; i++)
		if (items_of(sizes)[i] > 0)
			text_print(out, "STAT %u %llu\r\n", i * STEP_BYTES,
					   (unsigned long long)items_of(sizes)[i]);
	text_say(out, "END");
}

static void forget(struct errand *errand) {
	atomic_store_explicit(&sizes_of(errand)->is_over, true, memory_order_relaxed);
}

static void destroy(struct errand *errand) {
	text_deinit(&sizes_of(errand)->numbers);
	errand_free(errand);
}

struct errand *inspect_sizes(struct server *server, struct text *out) {
	struct sizes *sizes = errand_new(server, sizeof *sizes, out);
	if (sizes == NULL) return NULL;
	sizes->errand.visit = visit;
	sizes->errand.answer = answer;
	sizes->errand.forget = forget;
	sizes->errand.destroy = destroy;
	sizes->numbers.account = out->account;
	void *numbers = text_extend(&sizes->numbers, NUMBERS_BYTES);
	if (numbers == NULL) {
		destroy(&sizes->errand);
		text_say(out, "SERVER_ERROR out of memory");
		return NULL;
	}
	memset(numbers, 0, NUMBERS_BYTES);
	sizes->walk.part_bytes = SIZE_MAX;
	return &sizes->errand;
}
