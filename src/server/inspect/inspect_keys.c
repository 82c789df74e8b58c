/* server/inspect/inspect_keys.c: `snug bigkeys`: what takes the memory: the largest items, the
 * prefixes of keys, and how items are spread over sizes and times to live.
 *
 *     STAT items 1200                        all that was walked over
 *     STAT bytes 3400000
 *     STAT largest:0:key user:1              %XX for blanks, '%' and what is no ASCII
 *     STAT largest:0:bytes 1048576           head, key and value
 *     STAT largest:0:idle_s 12               since its last use
 *     STAT prefix:0:name user                what stands before the delimiter
 *     STAT prefix:0:items 700                at least; exact where error_bytes is 0
 *     STAT prefix:0:bytes 3000000            at least
 *     STAT prefix:0:error_bytes 0            it may be so much more
 *     STAT others:items 3                    of prefixes that are not told
 *     STAT size:64:items 12                  of 33 to 64 bytes
 *     STAT size:more:items 3                 of more than 1 MiB
 *     STAT ttl:60:items 10                   that expire within 60 s, and not within the step before
 *     STAT ttl:never:items 900
 *
 * Why here, and not from a dump: no line is made of an item, and nothing goes through a socket.
 * Memory is bounded, whatever the keys are: PREFIXES of them, by Space-Saving
 * (server/figures/top.h), so what has more than a PREFIXES-th of all bytes is there for certain. For
 * one asker at a time (keys_errand_new).
 *
 * It goes in slices, so what is told is no picture of one moment. Nothing is used by it. */
#include "server/figures/top.h"
#include "server/inspect/inspect_parts.h"
#include "work/key_hash.h"

#include <stdio.h>
#include <string.h>

#define PREFIXES 1024u
#define TOLD_MAX 100u
#define TOLD_USUAL 10u

/* ------------------------------------------------------------------ what is gathered ------- */

struct sum {
	uint64_t items;
	uint64_t bytes;
};

/* Powers of two from 32 bytes to 1 MiB, and what is more. */
#define SIZE_STEPS 17u
#define SIZE_FIRST 32u

static const uint32_t ttl_steps_s[] = {1, 10, 60, 600, 3600, 86400, 7 * 86400, 30 * 86400};
#define TTL_STEPS (sizeof ttl_steps_s / sizeof *ttl_steps_s)

struct large {
	uint32_t bytes;
	uint32_t idle_s;
	uint8_t key_bytes;
	char key[SNUG_KEY_BYTES_MAX];
};

struct keys {
	struct errand errand; /* must be the first */
	struct walk walk;
	struct sum all, without; /* without: keys that have no delimiter */
	struct sum size[SIZE_STEPS];
	struct sum ttl[TTL_STEPS + 2]; /* the last two: later, never */
	char delimiter;
	_Atomic bool is_over; /* atomic: nobody waits for it any more */
	uint32_t told;        /* of the largest, and of the prefixes, at most */
	uint32_t largest_count;
	struct large largest[TOLD_MAX]; /* the largest first */
	struct top prefixes;
	struct top_slot slot[PREFIXES];
};

static struct keys *keys_of(struct errand *errand) {
	return (struct keys *)(void *)errand;
}

static void add(struct sum *sum, uint32_t bytes) {
	sum->items++;
	sum->bytes += bytes;
}

/* Most items are smaller than the smallest that is kept. */
static void add_large(struct keys *keys, const struct walked *item, uint32_t bytes) {
	uint32_t at = keys->largest_count;
	bool is_full = at == keys->told;
	if (is_full && (at == 0 || bytes <= keys->largest[at - 1].bytes)) return;
	if (is_full)
		at--;
	else
		keys->largest_count++;
	for (; at > 0 && keys->largest[at - 1].bytes < bytes; at--)
		keys->largest[at] = keys->largest[at - 1];
	struct large *large = &keys->largest[at];
	*large = (struct large){
		.bytes = bytes, .idle_s = item->idle_s, .key_bytes = (uint8_t)item->key.length};
	memcpy(large->key, item->key.bytes, item->key.length);
}

static void add_prefix(struct keys *keys, const snug_key *key, uint32_t bytes) {
	const char *end = memchr(key->bytes, keys->delimiter, key->length);
	if (end == NULL) {
		add(&keys->without, bytes);
		return;
	}
	size_t length = (size_t)(end - (const char *)key->bytes);
	top_add(&keys->prefixes, key->bytes, length, key_hash(key->bytes, length), bytes, 0, 1);
}

static void add_ttl(struct keys *keys, const struct item_head *head, uint32_t bytes) {
	int64_t left_s = (int64_t)head->expires_at_s - keys->walk.worker->clock_s;
	size_t step = 0;
	while (step < TTL_STEPS && left_s > ttl_steps_s[step]) step++;
	add(&keys->ttl[head->expires_at_s == 0 ? TTL_STEPS + 1 : step], bytes);
}

static void add_item(void *context, const struct walked *item) {
	struct keys *keys = context;
	uint32_t bytes = item_bytes(&item->head), step = 0;
	while (step < SIZE_STEPS - 1 && bytes > SIZE_FIRST << step) step++;
	add(&keys->size[step], bytes);
	add(&keys->all, bytes);
	add_ttl(keys, &item->head, bytes);
	add_prefix(keys, &item->key, bytes);
	add_large(keys, item, bytes);
}

/* ------------------------------------------------------------------ the answer ------------- */

static void say_sum(struct text *out, const char *group, const char *name, const struct sum *sum) {
	if (sum->items == 0) return;
	text_print(out, "STAT %s:%s:items %llu\r\nSTAT %s:%s:bytes %llu\r\n", group, name,
			   (unsigned long long)sum->items, group, name, (unsigned long long)sum->bytes);
}

static void say_step(struct text *out, const char *group, uint64_t step, const struct sum *sum) {
	char name[24];
	(void)snprintf(name, sizeof name, "%llu", (unsigned long long)step);
	say_sum(out, group, name, sum);
}

static void say_largest(const struct keys *keys, struct text *out) {
	char room[WORD_ROOM];
	for (uint32_t i = 0; i < keys->largest_count; i++) {
		const struct large *large = &keys->largest[i];
		text_print(out,
				   "STAT largest:%u:key %s\r\nSTAT largest:%u:bytes %u\r\n"
				   "STAT largest:%u:idle_s %u\r\n",
				   i, walk_word(large->key, large->key_bytes, room), i, large->bytes, i,
				   large->idle_s);
	}
}

/* Sums of what is told; the rest is others'. */
static void say_prefixes(const struct keys *keys, struct text *out) {
	char room[WORD_ROOM];
	struct sum others = {keys->all.items - keys->without.items,
						 keys->all.bytes - keys->without.bytes};
	uint16_t order[TOLD_MAX];
	uint32_t told = top_order(&keys->prefixes, order, keys->told);
	for (uint32_t i = 0; i < told; i++) {
		const struct top_slot *slot = &keys->slot[order[i]];
		uint64_t least_bytes = slot->weight - slot->error;
		text_print(out,
				   "STAT prefix:%u:name %s\r\nSTAT prefix:%u:items %llu\r\n"
				   "STAT prefix:%u:bytes %llu\r\nSTAT prefix:%u:error_bytes %llu\r\n",
				   i, walk_word(slot->name, slot->length, room), i, (unsigned long long)slot->count,
				   i, (unsigned long long)least_bytes, i, (unsigned long long)slot->error);
		others.items -= slot->count;
		others.bytes -= least_bytes;
	}
	stat_u64(out, "others:items", others.items);
	stat_u64(out, "others:bytes", others.bytes);
	stat_u64(out, "without:items", keys->without.items);
	stat_u64(out, "without:bytes", keys->without.bytes);
}

static void say_spread(const struct keys *keys, struct text *out) {
	for (uint32_t step = 0; step < SIZE_STEPS - 1; step++)
		say_step(out, "size", (uint64_t)SIZE_FIRST << step, &keys->size[step]);
	say_sum(out, "size", "more", &keys->size[SIZE_STEPS - 1]);
	for (uint32_t step = 0; step < TTL_STEPS; step++)
		say_step(out, "ttl", ttl_steps_s[step], &keys->ttl[step]);
	say_sum(out, "ttl", "more", &keys->ttl[TTL_STEPS]);
	say_sum(out, "ttl", "never", &keys->ttl[TTL_STEPS + 1]);
}

static void answer(struct errand *errand, struct text *out) {
	const struct keys *keys = keys_of(errand);
	if (keys->walk.is_corrupt) {
		text_say(out, WALK_CORRUPT);
		return;
	}
	stat_u64(out, "items", keys->all.items);
	stat_u64(out, "bytes", keys->all.bytes);
	say_largest(keys, out);
	say_prefixes(keys, out);
	say_spread(keys, out);
	text_say(out, "END");
}

/* ------------------------------------------------------------------ the walk --------------- */

static void visit(struct errand *errand, struct server_worker *worker) {
	struct keys *keys = keys_of(errand);
	bool holds;
	errand->is_unfinished = false;
	bool is_over = atomic_load_explicit(&keys->is_over, memory_order_relaxed);
	if (keys->walk.is_corrupt || is_over) return;
	if (!slice_begin(NULL, errand, worker, &holds)) return;
	walk_some(&keys->walk, worker, add_item, keys);
	slice_end(NULL, errand, worker, keys->walk.at_hash == 0 || keys->walk.is_corrupt);
}

static void forget(struct errand *errand) {
	atomic_store_explicit(&keys_of(errand)->is_over, true, memory_order_relaxed);
}

static bool read_words(const struct line *words, struct keys *keys) {
	uint64_t number = TOLD_USUAL;
	size_t at = 1;
	if (at < words->count && words_number(words, at, &number)) at++;
	keys->told = number <= TOLD_MAX ? (uint32_t)number : 0;
	if (at + 2 == words->count && words_is(words, at, "delimiter") &&
		words->word[at + 1].length == 1) {
		keys->delimiter = words->word[at + 1].bytes[0];
		at += 2;
	}
	return number <= TOLD_MAX && at == words->count;
}

struct errand *inspect_keys(struct server *server, const struct line *words, struct text *out) {
	struct keys *keys = keys_errand_new(server, sizeof *keys, out);
	if (keys == NULL) return NULL;
	keys->delimiter = ':';
	if (!read_words(words, keys)) {
		text_say(out, "CLIENT_ERROR usage: snug bigkeys [N] [delimiter C]; N: 100 at most");
		keys->errand.destroy(&keys->errand);
		return NULL;
	}
	keys->errand.visit = visit;
	keys->errand.answer = answer;
	keys->errand.forget = forget;
	keys->walk.part_bytes = SIZE_MAX;
	top_init(&keys->prefixes, keys->slot, PREFIXES);
	return &keys->errand;
}
