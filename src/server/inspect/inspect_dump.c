/* server/inspect/inspect_dump.c: all items by their keys, in memcached's three forms, and what else
 * memcached asks of its crawler.
 *
 *     lru_crawler metadump all    OK; key=a%20b exp=-1 la=1700000000 cas=0 fetch=no cls=1 size=65
 *                                 flags=0; ..; END
 *     lru_crawler mgdump all      OK; mg a; mg YiBj b; ..; EN
 *     stats cachedump 1 LIMIT     ITEM a [5 b; 0 s]; ..; END
 *     lru_crawler crawl all       OK: expired items are looked for all the time
 *     lru_crawler enable          the same
 *     lru_crawler disable         refused: that can't be turned off
 *     lru_crawler sleep, tocrawl  OK: a dump's slices are short anyway
 *
 *     visit: a slice -> a slice -> DUMP_BYTES are there: told -> a slice -> .. -> the end
 *
 * All items are in one class, that which `stats items` told last, 1 before that. The others are
 * empty. So `hash`, `all` and a list with that class in it are the same walk, by hashes.
 *
 * The answer goes at the pace of who reads it, and DUMP_BYTES and a group of items are all that is
 * held of it. What is there from the beginning to the end is told once. */
#include "base/number_text.h"
#include "server/inspect/inspect_parts.h"
#include "server/watch/watch.h"

#include <string.h>

#define DUMP_BYTES ((size_t)16 << 10)
#define CLASSES 64u /* that memcached knows: 1 .. 63 */
#define SLEEP_US_MAX 1000000u

struct dump {
	struct errand errand; /* must be the first */
	struct walk walk;
	struct text_account *account;
	enum dump_form form;
	uint64_t left; /* items that may be told yet */
};

static struct dump *dump_of(struct errand *errand) {
	return (struct dump *)(void *)errand;
}

/* ------------------------------------------------------------------ an item ---------------- */

/* The class that all items are in. */
static uint32_t class_of_all(const struct server *server) {
	uint32_t class = atomic_load_explicit(&server->told_class, memory_order_relaxed);
	return class == 0 ? 1 : class;
}

static int64_t date_of(const struct dump *dump, const struct item_head *head) {
	const struct server_worker *worker = dump->walk.worker;
	return head->expires_at_s == 0 ? 0 : head->expires_at_s + (worker->wall_s - worker->clock_s);
}

/* The blank at the end is memcached's. */
static void say_meta(struct dump *dump, const struct walked *item) {
	const struct item_head *head = &item->head;
	struct text *text = &dump->walk.text;
	long long date_s = head->expires_at_s == 0 ? -1 : (long long)date_of(dump, head);
	char room[WATCH_KEY_ROOM];
	text_print(text, "key=%s exp=%lld la=%lld cas=%llu fetch=%s cls=%u size=%u flags=%u \n",
			   watch_key(item->key.bytes, item->key.length, room), date_s,
			   (long long)(dump->walk.worker->wall_s - item->idle_s),
			   (unsigned long long)((head->marks & MARK_CAS) != 0 ? head->cas : 0),
			   (head->marks & MARK_FETCHED) != 0 ? "yes" : "no", class_of_all(dump->errand.server),
			   item_bytes(head), (head->marks & MARK_CLIENT_FLAGS) != 0 ? head->client_flags : 0);
}

static void say_mg(struct dump *dump, const struct walked *item) {
	struct text *text = &dump->walk.text;
	text_print(text, "mg ");
	walk_say_key(text, &item->key);
	text_print(text, key_is_word(&item->key) ? "\r\n" : " b\r\n");
}

static void say_cache(struct dump *dump, const struct walked *item) {
	struct text *text = &dump->walk.text;
	text_print(text, "ITEM ");
	walk_say_key(text, &item->key);
	text_print(text, " [%u b; %lld s]\r\n", item->head.value_bytes,
			   (long long)date_of(dump, &item->head));
}

static void say_item(void *context, const struct walked *item) {
	struct dump *dump = context;
	/* There is no way to tell a key that is no word so: it is left out. */
	if (dump->left == 0 || (dump->form == DUMP_CACHE && !key_is_word(&item->key))) return;
	dump->left--;
	switch (dump->form) {
	case DUMP_META:
		say_meta(dump, item);
		break;
	case DUMP_MG:
		say_mg(dump, item);
		break;
	case DUMP_CACHE:
		say_cache(dump, item);
		break;
	}
}

/* ------------------------------------------------------------------ all of them ------------ */

static void visit(struct errand *errand, struct server_worker *worker) {
	struct dump *dump = dump_of(errand);
	struct walk *walk = &dump->walk;
	bool holds;
	errand->is_unfinished = false;
	if (walk->is_corrupt || walk->text.failed || dump->left == 0) return;
	if (!slice_begin(NULL, errand, worker, &holds)) return;
	walk_some(walk, worker, say_item, dump);
	bool has_more = walk->at_hash != 0 && !walk->is_corrupt && !walk->text.failed && dump->left > 0;
	errand->has_part = has_more && walk->is_full;
	slice_end(NULL, errand, worker, !has_more || errand->has_part);
}

static void answer(struct errand *errand, struct text *out) {
	struct dump *dump = dump_of(errand);
	struct walk *walk = &dump->walk;
	if (walk->is_corrupt)
		text_say(&walk->text, WALK_CORRUPT);
	else if (!errand->has_part)
		text_say(&walk->text, dump->form == DUMP_MG ? "EN" : "END");
	text_move(out, &walk->text);
	walk->text = (struct text){.account = dump->account};
	walk->is_full = false;
}

static void destroy(struct errand *errand) {
	text_deinit(&dump_of(errand)->walk.text);
	errand_free(errand);
}

static struct errand *dump_all(struct server *server, enum dump_form form, uint64_t most,
							   struct text *out) {
	struct dump *dump = errand_new(server, sizeof *dump, out);
	if (dump == NULL) return NULL;
	dump->errand.visit = visit;
	dump->errand.answer = answer;
	dump->errand.destroy = destroy;
	dump->walk.part_bytes = DUMP_BYTES;
	dump->walk.text.account = dump->account = out->account;
	dump->form = form;
	dump->left = most;
	if (form != DUMP_CACHE) text_say(&dump->walk.text, "OK");
	return &dump->errand;
}

/* ------------------------------------------------------------------ lru_crawler ------------ */

/* The classes of a list: numbers and commas. False: not all are classes. `*has_items`: that of the
 * items is among them. */
static bool read_classes(const struct server *server, struct word word, bool *has_items) {
	const char *at = word.bytes, *end = at + word.length;
	*has_items = false;
	while (at < end) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		const char *stop = comma == NULL ? end : comma;
		uint64_t class;
		if (stop > at) {
			if (!number_read(at, (size_t)(stop - at), &class) || class == 0 || class >= CLASSES)
				return false;
			*has_items |= class == class_of_all(server);
		}
		at = stop + 1;
	}
	return true;
}

/* False: it is no such list, and `out` has the refusal. */
static bool take_classes(const struct server *server, struct word word, bool *has_items,
						 struct text *out) {
	*has_items = true;
	if (WORD_IS(word, "all") || WORD_IS(word, "hash") || read_classes(server, word, has_items))
		return true;
	text_say(out, "BADCLASS invalid class id");
	return false;
}

static struct errand *begin_dump(struct server *server, enum dump_form form, struct word classes,
								 struct text *out) {
	bool has_items;
	if (!take_classes(server, classes, &has_items, out)) return NULL;
	return dump_all(server, form, has_items ? UINT64_MAX : 0, out);
}

/* What is said to a number that memcached's crawler would have gone by. */
static const char *number_sentence(const struct line *words, uint64_t most, const char *too_much) {
	uint64_t number;
	if (!words_number(words, 1, &number) || number > UINT32_MAX)
		return "CLIENT_ERROR bad command line format";
	return number > most ? too_much : "OK";
}

static const char *sentence_of(const struct line *words) {
	if (words->count == 1 && words_is(words, 0, "enable")) return "OK";
	if (words->count == 1 && words_is(words, 0, "disable"))
		return "ERROR failed to stop lru crawler thread";
	if (words->count != 2) return "ERROR";
	if (words_is(words, 0, "tocrawl")) return number_sentence(words, UINT32_MAX, "");
	if (words_is(words, 0, "sleep"))
		return number_sentence(words, SLEEP_US_MAX,
							   "CLIENT_ERROR sleep must be one second or less");
	return "ERROR";
}

struct errand *inspect_crawler(struct server *server, const char *what, size_t length,
							   struct text *out) {
	struct line words;
	bool has_items;
	line_split(&words, what, length);
	if (words.count == 2 && words_is(&words, 0, "metadump"))
		return begin_dump(server, DUMP_META, words.word[1], out);
	if (words.count == 2 && words_is(&words, 0, "mgdump"))
		return begin_dump(server, DUMP_MG, words.word[1], out);
	bool crawls = words.count == 2 && words_is(&words, 0, "crawl");
	if (crawls && WORD_IS(words.word[1], "hash"))
		text_say(out, "ERROR an unknown error happened");
	else if (!crawls)
		text_say(out, sentence_of(&words));
	else if (take_classes(server, words.word[1], &has_items, out))
		text_say(out, has_items ? "OK" : "NOTSTARTED no items to crawl");
	return NULL;
}

/* ------------------------------------------------------------------ stats cachedump -------- */

struct errand *inspect_cachedump(struct server *server, const struct line *words,
								 struct text *out) {
	uint64_t class, limit;
	if (words->count < 3) {
		text_say(out, "CLIENT_ERROR bad command line");
		return NULL;
	}
	if (!words_number(words, 1, &class) || !words_number(words, 2, &limit) || class > UINT32_MAX ||
		limit > UINT32_MAX) {
		text_say(out, "CLIENT_ERROR bad command line format");
		return NULL;
	}
	if (class >= CLASSES) {
		text_say(out, "CLIENT_ERROR Illegal slab id");
		return NULL;
	}
	if (limit == 0) limit = UINT64_MAX;
	return dump_all(server, DUMP_CACHE, class == class_of_all(server) ? limit : 0, out);
}
