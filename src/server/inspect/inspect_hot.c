/* server/inspect/inspect_hot.c: `snug hotkeys`: which keys are asked for most, of a sample that is
 * taken anyway (server/figures/hot_keys.h).
 *
 *     STAT samples 16000                 that the figures are made from
 *     STAT commands 16096000             that these stand for, about
 *     STAT 0:key user:1                  %XX for blanks, '%' and what is no ASCII
 *     STAT 0:commands 302000             about so many of them
 *     STAT 0:least_commands 290000       within these bounds, 19 times out of 20
 *     STAT 0:most_commands 314000
 *     STAT 0:changing_commands 1006      of them, about: stores, deletes, ..
 *     STAT missing_commands 3018         a key that is not told has so many at most, as often
 *
 * Each worker has a top of its own, of what its connections ask. Sums have the sums of their errors. For
 * one asker at a time (keys_errand_new). */
#include "server/figures/hot_keys.h"
#include "server/inspect/inspect_parts.h"

#define SLOTS 512u
#define TOLD_MAX 100u
#define TOLD_USUAL 10u

_Static_assert(LATENCY_SAMPLE == 61u, "as HOT_KEYS_COMMANDS has it");

struct hot {
	struct errand errand; /* must be the first */
	uint32_t most;        /* to be told */
	uint64_t samples;
	uint64_t missing; /* samples that a key may have which no worker has */
	struct top top;
	struct top_slot slot[SLOTS];
};

static struct hot *hot_of(struct errand *errand) {
	return (struct hot *)(void *)errand;
}

static void visit(struct errand *errand, struct server_worker *worker) {
	struct hot *hot = hot_of(errand);
	const struct hot_keys *keys = worker->hot_keys;
	if (keys == NULL) return;
	hot->samples += keys->samples;
	hot->missing += top_missing(&keys->top);
	for (uint32_t i = 0; i < keys->top.count; i++) {
		const struct top_slot *slot = &keys->top.slot[i];
		top_add(&hot->top, slot->name, slot->length, slot->hash, slot->weight, slot->error,
				slot->count);
	}
}

static uint64_t root(uint64_t square) {
	uint64_t root = 0;
	while ((root + 1) * (root + 1) <= square) root++;
	return root;
}

static void say(struct text *out, uint32_t number, const char *name, uint64_t samples) {
	text_print(out, "STAT %u:%s %llu\r\n", number, name,
			   (unsigned long long)(samples * HOT_KEYS_COMMANDS));
}

/* Twice the deviation that a sample of so many has. A worker that does not have it may have missed it. */
static void say_key(const struct hot *hot, struct text *out, uint32_t number,
					const struct top_slot *slot) {
	char room[WORD_ROOM];
	uint64_t least = slot->weight - slot->error, most = slot->weight + hot->missing;
	text_print(out, "STAT %u:key %s\r\n", number, walk_word(slot->name, slot->length, room));
	say(out, number, "commands", least + slot->error / 2);
	say(out, number, "least_commands", least > 2 * root(least) ? least - 2 * root(least) : 0);
	say(out, number, "most_commands", most + 2 * root(most) + 1);
	say(out, number, "changing_commands", slot->count);
}

static void answer(struct errand *errand, struct text *out) {
	const struct hot *hot = hot_of(errand);
	uint16_t order[TOLD_MAX];
	uint32_t told = top_order(&hot->top, order, hot->most);
	uint64_t missing = hot->missing + top_missing(&hot->top);
	stat_u64(out, "samples", hot->samples);
	stat_u64(out, "commands", hot->samples * HOT_KEYS_COMMANDS);
	for (uint32_t i = 0; i < told; i++) say_key(hot, out, i, &hot->slot[order[i]]);
	stat_u64(out, "missing_commands", (missing + 2 * root(missing) + 1) * HOT_KEYS_COMMANDS);
	text_say(out, "END");
}

struct errand *inspect_hot(struct server *server, const struct line *words, struct text *out) {
	uint64_t most = TOLD_USUAL;
	bool is_understood = words->count == 1 || (words->count == 2 && words_number(words, 1, &most));
	if (!is_understood || most > TOLD_MAX) {
		text_say(out, "CLIENT_ERROR usage: snug hotkeys [N]; N: 100 at most");
		return NULL;
	}
	struct hot *hot = keys_errand_new(server, sizeof *hot, out);
	if (hot == NULL) return NULL;
	hot->errand.visit = visit;
	hot->errand.answer = answer;
	hot->most = (uint32_t)most;
	top_init(&hot->top, hot->slot, SLOTS);
	return &hot->errand;
}
