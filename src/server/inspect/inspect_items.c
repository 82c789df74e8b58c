/* server/inspect/inspect_items.c: `snug items WORKER HASH`: the items of a cache, a part at a time, as
 * commands that store them anew.
 *
 *     set KEY FLAGS DATE BYTES noreply      and the value: any memcached takes it
 *     ms KEY BYTES b q F.. T..              the same, of a key that only base64 can tell
 *     LARGE KEY FLAGS DATE BYTES            no value: whoever wants it gets it by its key
 *     NEXT WORKER HASH                      where the next part begins; or END
 *
 * An answer is bounded (PART_BYTES, and one item), so a dump takes no memory of the server's, goes at
 * the pace of who asks, and can go on after an interruption, also of the connection. Between two
 * parts all goes on. So a dump is no picture of one moment: each item is as it was at some moment
 * of it. What is there from the beginning to the end is told once; what is stored anew meanwhile may be
 * told before or after that, or twice if it went in between.
 *
 * Each part is taken on the worker's own thread, a slice of its time. Nothing is used by it: an
 * item's rank, and whether it was fetched, stay. Stale items, and the empty ones that stand for a
 * value which somebody is to store (`mg` with N), are left out. */
#include "server/inspect/inspect_parts.h"

#include "base/bits.h"

#define PART_BYTES ((size_t)64 << 10)
#define VALUE_BYTES_MAX ((size_t)64 << 10) /* larger ones are LARGE */
#define DATE_MAX ((uint64_t)INT32_MAX)     /* that ms takes; binary clients can say a later one */

struct items {
	struct errand errand; /* must be the first */
	struct walk walk;
	uint64_t at_worker; /* where the next part begins; and walk.at_hash */
};

static struct items *items_of(struct errand *errand) {
	return (struct items *)(void *)errand;
}

/* ------------------------------------------------------------------ an item ---------------- */

static bool is_left_out(const struct item_head *head) {
	return (head->marks & MARK_STALE) != 0 ||
		   ((head->marks & MARK_WON) != 0 && head->value_bytes == 0);
}

static void say_head(struct items *items, const snug_key *key, const struct item_head *head,
					 bool is_large) {
	struct text *text = &items->walk.text;
	bool word = key_is_word(key);
	uint64_t wall_ahead_s = (uint64_t)(items->walk.worker->wall_s - items->walk.worker->clock_s);
	unsigned long long date_s =
		head->expires_at_s == 0 ? 0 : smaller(head->expires_at_s + wall_ahead_s, DATE_MAX);
	text_print(text, is_large ? "LARGE " : word ? "set " : "ms ");
	walk_say_key(text, key);
	if (is_large)
		text_print(text, " %u %llu %u%s\r\n", head->client_flags, date_s, head->value_bytes,
				   word ? "" : " b");
	else if (word)
		text_print(text, " %u %llu %u noreply\r\n", head->client_flags, date_s, head->value_bytes);
	else
		text_print(text, " %u b q F%u T%llu\r\n", head->value_bytes, head->client_flags, date_s);
}

/* The value lies in the answer, which is accounted for, and nowhere else. */
static bool say_value(struct items *items, const struct walked *item) {
	struct text *text = &items->walk.text;
	char *value = text_extend(text, item->head.value_bytes);
	return value != NULL && shard_walk_value(items->walk.worker->shard, item, value) == SNUG_OK;
}

static void say_item(void *context, const struct walked *item) {
	struct items *items = context;
	const struct item_head *head = &item->head;
	if (is_left_out(head)) return;
	bool is_large = head->value_bytes > VALUE_BYTES_MAX;
	size_t before = items->walk.text.length;
	say_head(items, &item->key, head, is_large);
	if (is_large || items->walk.text.failed) return;
	if (!say_value(items, item) && !items->walk.text.failed) {
		items->walk.text.length = before;
		say_head(items, &item->key, head, true);
		return;
	}
	text_append(&items->walk.text, "\r\n", 2);
}

/* ------------------------------------------------------------------ a part ----------------- */

static void visit(struct errand *errand, struct server_worker *worker) {
	struct items *items = items_of(errand);
	bool holds;
	errand->is_unfinished = false;
	struct walk *walk = &items->walk;
	if (walk->is_full || walk->is_corrupt || worker->index != items->at_worker) return;
	if (!slice_begin(NULL, errand, worker, &holds)) return;
	walk_some(walk, worker, say_item, items);
	if (walk->at_hash == 0) items->at_worker++;
	bool has_more = walk->at_hash != 0 && !walk->is_full && !walk->is_corrupt;
	slice_end(NULL, errand, worker, !has_more);
}

static void answer(struct errand *errand, struct text *out) {
	struct items *items = items_of(errand);
	if (items->walk.is_corrupt) {
		text_say(out, WALK_CORRUPT);
		return;
	}
	if (items->at_worker < errand->server->worker_count)
		text_print(&items->walk.text, "NEXT %llu %llu\r\n", (unsigned long long)items->at_worker,
				   (unsigned long long)items->walk.at_hash);
	else
		text_say(&items->walk.text, "END");
	text_move(out, &items->walk.text);
}

static void destroy(struct errand *errand) {
	text_deinit(&items_of(errand)->walk.text);
	errand_free(errand);
}

struct errand *inspect_items(struct server *server, const struct line *words, struct text *out) {
	uint64_t worker = 0, hash = 0;
	bool is_understood =
		words->count == 1 ||
		(words->count == 3 && words_number(words, 1, &worker) && words_number(words, 2, &hash));
	if (!is_understood || worker >= server->worker_count) {
		text_say(out, "CLIENT_ERROR usage: snug items [WORKER HASH]");
		return NULL;
	}
	struct items *items = errand_new(server, sizeof *items, out);
	if (items == NULL) return NULL;
	items->errand.visit = visit;
	items->errand.answer = answer;
	items->errand.destroy = destroy;
	items->walk.part_bytes = PART_BYTES;
	items->walk.text.account = out->account;
	items->at_worker = worker;
	items->walk.at_hash = hash;
	return &items->errand;
}
