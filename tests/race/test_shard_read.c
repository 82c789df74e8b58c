/* test_shard_read.c: any thread reads what the owner of a shard changes, and never a byte of
 * something else.
 *
 *     SNUG_SEED=7 SNUG_READERS=16 SNUG_READ_SECONDS=3600 build/tests/race/test_shard_read
 *
 * The owner does all that an owner does, at random: it stores in place and anew, in one piece and in
 * several, appends, counts, touches, deletes, leases, flushes, evicts, expires, defragments, changes
 * its limit, returns memory; its index grows, shrinks and spills. The readers read at random, by
 * copy and in place. Each value certifies itself (certified.h), and of each key the owner says what
 * it may be (diary.h).
 *
 * What goes without being asked for, because it is evicted or has expired, the owner learns from
 * shard_drop and shard_let_go: the linker puts this file's functions before them.
 *
 * A seed decides what the owner does, not when the readers look: a failure comes again soon, not at
 * the same place. */
#include "cache/operation/operation.h"
#include "cache/shard/shard_read.h"
#include "cache/shard/shard_state.h"
#include "certified.h"
#include "diary.h"
#include "os/threads.h"
#include "support/test_secret.h"
#include "unit/cmocka_all.h"

#include <snug/snug.h>

#include <stdarg.h>
#include <stdio.h>

#define KEYS 6144u
#define HOT_KEYS 24u
#define READERS_MAX 64u
#define KIB ((size_t)1 << 10)
#define VALUE_MAX (10u * 1024u)
#define ROOM_BYTES (VALUE_MAX * 2)
#define HELD_MAX 6u
#define SIGHTS 512u
#define FAR_S UINT32_C(0x80000000) /* no clock gets there; the rest says which touch it was */
#define CLOCK_BEGIN_S 1000000
#define OWN_CAS (UINT64_C(1) << 63) /* a number that is not followed: the rest certifies */
#define SECOND_NS UINT64_C(1000000000)
#define ROUNDS 4u /* in the time that there is; each with a shard of its own */

enum key_kind { KEY_PLAIN, KEY_COUNT };

struct name {
	unsigned char bytes[SNUG_KEY_BYTES_MAX];
	snug_key key;
	enum key_kind kind;
};

/* What is there, as far as the owner was told. */
struct live {
	bool is_there;
	uint32_t number, expires_at_s, client_flags, bytes;
	uint32_t records; /* 0: small, or a count */
	uint64_t cas;
};

struct held {
	snug_lease lease;
	uint32_t key;
	bool is_reserved; /* else pinned */
};

struct figures {
	uint64_t found, absent, asked, in_place, not_held, not_copied, long_ago;
};

struct reader {
	struct os_thread thread;
	struct game *game;
	test_random random;
	struct figures figures;
	struct hint_lots lots;
	unsigned char room[ROOM_BYTES];
};

/* What the owner saw himself, and looks at again some changes later. */
struct kept_sight {
	bool is_kept;
	uint32_t key, lowest;
	uint64_t flushes;
	struct sight sight;
};

enum mood { MOOD_GROW, MOOD_FULL, MOOD_SHRINK, MOOD_HOT, MOOD_FLUSHES, MOODS };

struct game {
	struct name names[KEYS];
	struct diary diaries[KEYS];
	struct live live[KEYS];
	snug_shard *shard;
	test_random random;
	struct operation_counts counts;
	_Atomic int64_t now_s;
	atomic_bool over;
	atomic_bool is_wrong;
	uint32_t pending; /* the key whose change is under way; KEYS: none */
	bool goes_anyway; /* that change removes it */
	int64_t flush_at_s;
	enum mood mood;
	bool is_moving; /* a defragmentation of ours */
	struct held held[HELD_MAX];
	struct kept_sight sights[SIGHTS]; /* by key modulo their count */
	index_hash_function hash_of;      /* the shard's own */
	index_filter_function drop_flushed;
	uint64_t operations, gone, flushes, held_sights, changed_sizes, most_groups, moved,
		returned_bytes;
	uint64_t longest_chain;
	uint32_t reader_count;
	struct reader readers[READERS_MAX];
	unsigned char value[ROOM_BYTES];
};

static struct game game;
static uint64_t seed;

/* The first one that is wrong is told; all stop. Any thread. */
static void __attribute__((format(printf, 1, 2))) wrong(const char *format, ...) {
	if (atomic_exchange(&game.is_wrong, true)) return;
	va_list arguments;
	char text[400];
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	(void)fprintf(stderr, "seed %llu: %s\n", (unsigned long long)seed, text);
	atomic_store(&game.over, true);
}

static int64_t clock_s(void *context) {
	(void)context;
	return atomic_load_explicit(&game.now_s, memory_order_acquire);
}

/* ------------------------------------------------------------------ keys ------------------- */

/* Some lie in one group at any size that the index gets, some in one bucket. */
static uint64_t chosen_shift(uint32_t number) {
	if (number < HOT_KEYS || number >= HOT_KEYS + 300) return 64;
	return number < HOT_KEYS + 200 ? 54 : 51;
}

static void make_name(uint32_t number) {
	struct name *name = &game.names[number];
	size_t length = number % 5 == 0 ? 60 + number % 190 : 8 + number % 9;
	memset(name->bytes, 'k', sizeof name->bytes);
	memcpy(name->bytes, &number, sizeof number);
	uint64_t shift = chosen_shift(number);
	uint64_t wanted = shift == 54 ? number % 2 * 700 + 5 : 3000;
	for (uint32_t nonce = 0;; nonce++) {
		memcpy(name->bytes + sizeof number, &nonce, sizeof nonce);
		name->key = snug_shard_key(name->bytes, length);
		if (shift == 64 || name->key.hash >> shift == wanted) break;
	}
	name->kind = number % 8 == 7 ? KEY_COUNT : KEY_PLAIN;
}

static uint32_t number_of(const struct item_head *head, const void *item) {
	uint32_t number;
	memcpy(&number, item_key(item, head), sizeof number);
	return number;
}

static uint32_t random_key(test_random *random) {
	uint64_t kind = test_random_below(random, 100);
	if (kind < 50) return (uint32_t)test_random_below(random, HOT_KEYS);
	if (kind < 70) return (uint32_t)test_random_below(random, HOT_KEYS + 300);
	return (uint32_t)test_random_below(random, KEYS);
}

/* ------------------------------------------------------------------ the owner looks, too --- */

/* What no thread needs luck for: between two of his own calls, and amid a change where a function
 * of his is called, the owner reads as others do. A sight that holds is so still: the same item, at
 * the same place. What is being changed is not seen. */

/* The value where it lies, or a copy of it. */
CERTIFIED_READER static struct certificate certify(uint32_t key, const struct item_head *head,
												   const unsigned char *value) {
	if (game.names[key].kind == KEY_COUNT) return count_read(value, head->value_bytes, key);
	if (head->value_bytes < RECORD_HEAD_BYTES)
		return small_read(value, head->value_bytes, key, head->client_flags);
	return records_read(value, head->value_bytes, key);
}

static struct kept_sight *kept_sight(uint32_t key) {
	struct kept_sight *kept = &game.sights[key % SIGHTS];
	return kept->is_kept && kept->key == key ? kept : NULL;
}

static enum look look_at(uint32_t key, struct sight *sight) {
	return shard_look(game.shard, &game.names[key].key, game.now_s, sight);
}

/* Its value lies in one piece. */
static bool is_in_place(const struct sight *sight) {
	return sight->value_here == sight->head.value_bytes;
}

static void keep_sight(uint32_t key) {
	struct kept_sight *kept = &game.sights[key % SIGHTS];
	*kept = (struct kept_sight){.key = key, .flushes = game.flushes};
	kept->lowest = diary_lowest(&game.diaries[key]);
	kept->is_kept = look_at(key, &kept->sight) == LOOK_FOUND;
}

/* But by a flush, which changes no group; that is before what it has flushed is removed. */
static void look_at_kept(struct kept_sight *kept) {
	uint32_t key = kept->key;
	struct item_head *head = &kept->sight.head;
	struct sight now;
	if (!kept->is_kept || !sight_holds(&kept->sight)) return;
	if (!is_in_place(&kept->sight)) {
		if (look_at(key, &now) == LOOK_FOUND && now.next != kept->sight.next)
			wrong("the owner's sight of key %u holds, and its next piece is elsewhere", key);
		return;
	}
	struct certificate certificate = certify(key, head, kept->sight.value);
	uint64_t entry = diary_entry(certificate.number, head->expires_at_s, head->cas);
	game.held_sights++;
	if (!certificate.is_whole) wrong("the owner's sight of key %u holds, and is no value", key);
	if (kept->flushes != game.flushes) return;
	if (entry != diary_at(&game.diaries[key], diary_now(&game.diaries[key])))
		wrong("the owner's sight of key %u holds, and is state %llu", key,
			  (unsigned long long)certificate.number);
	if (look_at(key, &now) == LOOK_FOUND && now.value != kept->sight.value)
		wrong("the owner's sight of key %u holds, and the item is elsewhere", key);
}

static void require_not_found(uint32_t key) {
	struct sight now;
	if (look_at(key, &now) == LOOK_FOUND && sight_holds(&now))
		wrong("key %u has gone, and is seen", key);
}

static void require_unseen(uint32_t key) {
	struct kept_sight *kept = kept_sight(key);
	if (kept != NULL && sight_holds(&kept->sight))
		wrong("key %u has gone, and the owner's sight of it holds", key);
	require_not_found(key);
}

/* Its entry is on its way: nobody must take it for absent. Or all is well, and the index is being
 * checked. */
static uint64_t hash_on_its_way(void *context, snug_ref ref) {
	const void *item = snug_ref_at(game.shard->heap, ref);
	struct item_head head = item_read(item);
	uint32_t key = number_of(&head, item);
	struct sight now;
	if (game.live[key].is_there && look_at(key, &now) == LOOK_ABSENT)
		wrong("key %u is not found amid a step of the index", key);
	return game.hash_of(context, ref);
}

static bool drop_what_was_flushed(void *context, uint64_t entry) {
	const void *item = snug_ref_at(game.shard->heap, entry_ref(entry));
	struct item_head head = item_read(item);
	uint32_t key = number_of(&head, item);
	bool is_gone = game.drop_flushed(context, entry);
	require_unseen(key);
	/* and of what else has been flushed nothing is seen either, though the owner comes to it later */
	for (uint32_t hot = 0; hot < HOT_KEYS; hot++)
		if (!game.live[hot].is_there && hot != game.pending) require_not_found(hot);
	return is_gone;
}

/* ------------------------------------------------------------------ what goes by itself ---- */

void __real_shard_drop(struct snug_shard *shard, const struct probe *probe,
					   const struct item_head *head, enum drop_reason reason);
void __wrap_shard_drop(struct snug_shard *shard, const struct probe *probe,
					   const struct item_head *head, enum drop_reason reason);
void __real_shard_let_go(struct snug_shard *shard, snug_ref ref, const struct item_head *head,
						 enum drop_reason reason);
void __wrap_shard_let_go(struct snug_shard *shard, snug_ref ref, const struct item_head *head,
						 enum drop_reason reason);

/* Up to so many turns, now and then: what is between two things is longer. */
static void linger(test_random *random, uint64_t turns_max) {
	if (!test_random_chance(random, 250)) return;
	for (volatile uint64_t turns = test_random_below(random, turns_max); turns > 0; turns--) {
	}
}

/* False: what goes was to go, or was flushed. */
static bool begin_going(uint32_t key) {
	if (!game.live[key].is_there || (key == game.pending && game.goes_anyway)) return false;
	if (key == game.pending)
		diary_goes(&game.diaries[key]);
	else
		diary_begin(&game.diaries[key], DIARY_ABSENT);
	return true;
}

static void end_going(uint32_t key) {
	if (key == game.pending)
		diary_gone(&game.diaries[key]);
	else
		diary_end(&game.diaries[key], true);
	game.live[key].is_there = false;
	game.gone++;
}

void __wrap_shard_drop(struct snug_shard *shard, const struct probe *probe,
					   const struct item_head *head, enum drop_reason reason) {
	uint32_t key = number_of(head, snug_ref_at(shard->heap, entry_ref(*probe->entry)));
	bool is_news = begin_going(key);
	__real_shard_drop(shard, probe, head, reason);
	require_unseen(key);
	if (is_news) end_going(key);
}

void __wrap_shard_let_go(struct snug_shard *shard, snug_ref ref, const struct item_head *head,
						 enum drop_reason reason) {
	uint32_t key = number_of(head, snug_ref_at(shard->heap, ref));
	/* here the entry goes later, in the same change: nobody must find it from now on */
	bool is_news = begin_going(key);
	__real_shard_let_go(shard, ref, head, reason);
	require_unseen(key);
	if (is_news) end_going(key);
	linger(&game.random, 30000);
}

/* ------------------------------------------------------------------ the owner's changes ---- */

static uint64_t entry_of(const struct live *live) {
	return diary_entry(live->number, live->expires_at_s, live->cas);
}

static uint32_t next_number(uint32_t key) {
	return diary_now(&game.diaries[key]) + 2;
}

static void begin(uint32_t key, uint64_t planned) {
	game.pending = key;
	game.goes_anyway = planned == DIARY_ABSENT;
	diary_begin(&game.diaries[key], planned);
}

static void end(uint32_t key, bool happened, const struct live *now) {
	game.pending = KEYS;
	diary_end(&game.diaries[key], happened);
	if (happened) game.live[key] = *now;
}

static uint32_t random_size(void) {
	uint64_t kind = test_random_below(&game.random, 100);
	if (game.mood == MOOD_GROW && kind < 95) return (uint32_t)test_random_below(&game.random, 60);
	if (kind < 5) return 0;
	if (kind < 45) return (uint32_t)test_random_below(&game.random, 100);
	if (kind < 75) return (uint32_t)test_random_below(&game.random, 600);
	if (kind < 92) return (uint32_t)test_random_below(&game.random, 4000);
	return (uint32_t)test_random_below(&game.random, VALUE_MAX);
}

static uint32_t random_expiry(uint32_t number) {
	if (test_random_chance(&game.random, 600)) return 0;
	if (test_random_chance(&game.random, 500)) return FAR_S + number;
	return (uint32_t)(game.now_s + (int64_t)test_random_between(&game.random, 1, 40));
}

static uint64_t own_cas(uint32_t key, uint32_t number) {
	return OWN_CAS | (uint64_t)number << 16 | key;
}

static uint32_t make_count(uint32_t key, uint32_t number) {
	unsigned long long count = count_of(key, number);
	return (uint32_t)snprintf((char *)game.value, sizeof game.value, "%llu", count);
}

/* A value of that size for that state, in game.value, and what it will be like there. */
static struct live make_value(uint32_t key, uint32_t number, uint32_t bytes) {
	struct live made = {.is_there = true, .number = number, .bytes = bytes};
	if (game.names[key].kind == KEY_COUNT) {
		made.bytes = make_count(key, number);
	} else if (bytes >= RECORD_HEAD_BYTES) {
		record_write(game.value, key, bytes, number, 0);
		made.records = 1;
		made.client_flags = test_random_chance(&game.random, 500) ? number : 0;
	} else {
		small_write(game.value, key, bytes, number);
		made.client_flags = number;
	}
	made.expires_at_s = random_expiry(number);
	made.cas = test_random_chance(&game.random, 200) ? own_cas(key, number) : 0;
	return made;
}

static snug_attributes attributes_of(const struct live *live) {
	return (snug_attributes){
		.client_flags = live->client_flags,
		.expires_at_s = live->expires_at_s,
		.cas = live->cas,
	};
}

/* Half of them may fit in place. */
static struct live next_value(uint32_t key) {
	const struct live *old = &game.live[key];
	uint32_t bytes = random_size();
	if (old->is_there && old->records <= 1 && test_random_chance(&game.random, 500))
		bytes = old->bytes;
	struct live made = make_value(key, next_number(key), bytes);
	if (old->is_there && bytes == old->bytes && test_random_chance(&game.random, 800)) {
		/* the same fields */
		if (old->client_flags == 0 && made.records > 0) made.client_flags = 0;
		if (old->expires_at_s == 0) made.expires_at_s = 0;
		if (old->expires_at_s != 0) made.expires_at_s = FAR_S + made.number;
		made.cas = old->cas == 0 ? 0 : own_cas(key, made.number);
	}
	return made;
}

static void set(uint32_t key) {
	struct live made = next_value(key);
	snug_attributes attributes = attributes_of(&made);
	begin(key, entry_of(&made));
	snug_error error =
		snug_shard_set(game.shard, &game.names[key].key, &attributes, game.value, made.bytes);
	end(key, error == SNUG_OK, &made);
}

/* Another number than it was: the whole is one record more. */
static void extend(uint32_t key) {
	struct live *old = &game.live[key], made = *old;
	snug_item item;
	if (snug_shard_find(game.shard, &game.names[key].key, &item) != SNUG_OK) return;
	uint32_t bytes = RECORD_HEAD_BYTES + random_size() / 2;
	if (old->records == 0 || old->records == RECORDS_MAX || old->bytes + bytes > VALUE_MAX) return;
	made.number = next_number(key);
	made.records++;
	made.bytes += bytes;
	record_write(game.value, key, bytes, made.number, old->number);
	snug_attributes attributes = item.attributes;
	bool in_front = test_random_chance(&game.random, 500);
	begin(key, entry_of(&made));
	snug_error error = snug_shard_extend(game.shard, &game.names[key].key, &item, &attributes,
										 game.value, bytes, in_front);
	end(key, error == SNUG_OK, &made);
}

static void delete_one(uint32_t key) {
	struct live none = {0};
	begin(key, DIARY_ABSENT);
	(void)!snug_shard_delete(game.shard, &game.names[key].key);
	end(key, true, &none);
}

/* Other fields; with a new one it is stored anew. */
static void touch(uint32_t key) {
	snug_item item;
	if (snug_shard_find(game.shard, &game.names[key].key, &item) != SNUG_OK) return;
	struct live made = game.live[key];
	uint32_t number = next_number(key);
	snug_attributes attributes = item.attributes;
	made.expires_at_s = attributes.expires_at_s = random_expiry(number);
	if (made.expires_at_s == 0 && item.attributes.expires_at_s != 0)
		made.expires_at_s = attributes.expires_at_s = FAR_S + number;
	if (test_random_chance(&game.random, 300)) made.cas = attributes.cas = own_cas(key, number);
	begin(key, entry_of(&made));
	snug_error error = snug_shard_change(game.shard, &game.names[key].key, &item, &attributes);
	end(key, error == SNUG_OK, &made);
}

/* By commands, as a server gives them. */
static void count_up(uint32_t key) {
	const struct live *old = &game.live[key];
	struct live made = *old;
	if (!old->is_there || game.names[key].kind != KEY_COUNT) return;
	made.number = next_number(key);
	uint32_t digits = make_count(key, made.number);
	if (digits > made.bytes) made.bytes = digits;
	made.cas = 0;
	struct operation operation = {
		.key = game.names[key].key,
		.kind = OPERATION_ARITHMETIC,
		.delta = count_of(key, made.number) - count_of(key, old->number),
	};
	begin(key, entry_of(&made));
	operation_execute(game.shard, &operation, &game.counts);
	end(key, operation.status == STATUS_DONE, &made);
}

static void get(uint32_t key) {
	struct operation operation = {.key = game.names[key].key, .kind = OPERATION_GET};
	struct live *old = &game.live[key], made = *old, none = {0};
	uint64_t kind = test_random_below(&game.random, 10);
	if (kind < 6) {
		operation_execute(game.shard, &operation, &game.counts);
		return;
	}
	if (kind < 8 && old->is_there) {
		operation.options = OPERATION_WANTS_CAS;
		if (made.cas == 0) made.cas = game.shard->cas_last + 1;
		begin(key, entry_of(&made));
		operation_execute(game.shard, &operation, &game.counts);
		end(key, operation.status == STATUS_FOUND, &made);
	} else {
		/* a time that has passed removes it, once its value was taken */
		operation.options = OPERATION_HAS_EXPTIME;
		operation.exptime = -1;
		if (!test_random_chance(&game.random, 200)) return;
		begin(key, DIARY_ABSENT);
		operation_execute(game.shard, &operation, &game.counts);
		operation_end(game.shard, &operation);
		end(key, true, &none);
	}
}

/* ------------------------------------------------------------------ leases ----------------- */

#define PIECE_BYTES 512u

static void copy_to_lease(const snug_lease *lease, uint32_t bytes) {
	snug_extent extents[32];
	for (size_t at = 0; at < bytes;) {
		size_t count = 32, piece_bytes = bytes - at < PIECE_BYTES ? bytes - at : PIECE_BYTES;
		if (snug_shard_lease_view(game.shard, lease, at, piece_bytes, extents, &count) != SNUG_OK) {
			wrong("a lease can't be looked at");
			return;
		}
		for (size_t i = 0; i < count; at += extents[i++].length)
			memcpy(extents[i].data, game.value + at, extents[i].length);
	}
}

static void begin_lease(struct held *held, uint32_t key) {
	snug_item item;
	*held = (struct held){.key = key};
	if (game.names[key].kind == KEY_PLAIN && test_random_chance(&game.random, 500)) {
		held->is_reserved = true;
		if (snug_shard_reserve(game.shard, &game.names[key].key, random_size(), &held->lease) !=
			SNUG_OK)
			held->lease.ref = 0;
	} else if (snug_shard_find(game.shard, &game.names[key].key, &item) == SNUG_OK &&
			   snug_shard_pin(game.shard, &item, &held->lease) != SNUG_OK) {
		held->lease.ref = 0;
	}
}

static void end_lease(struct held *held) {
	if (!held->is_reserved || test_random_chance(&game.random, 200)) {
		snug_shard_release(game.shard, &held->lease);
		return;
	}
	uint32_t key = held->key;
	struct live made = make_value(key, next_number(key), held->lease.value_bytes);
	snug_attributes attributes = attributes_of(&made);
	copy_to_lease(&held->lease, made.bytes);
	begin(key, entry_of(&made));
	snug_error error =
		snug_shard_commit(game.shard, &game.names[key].key, &attributes, &held->lease);
	end(key, error == SNUG_OK, &made);
}

static void lease(uint32_t key) {
	struct held *held = &game.held[test_random_below(&game.random, HELD_MAX)];
	if (held->lease.ref == 0)
		begin_lease(held, key);
	else
		end_lease(held);
}

/* ------------------------------------------------------------------ all at once ------------ */

static void begin_all(void) {
	for (uint32_t key = 0; key < KEYS; key++)
		if (game.live[key].is_there) diary_begin(&game.diaries[key], DIARY_ABSENT);
}

static void end_all(void) {
	for (uint32_t key = 0; key < KEYS; key++) {
		if (!game.live[key].is_there) continue;
		game.live[key].is_there = false;
		diary_end(&game.diaries[key], true);
	}
	game.flushes++;
}

/* At once, or some seconds later; or not at all. */
static void flush(void) {
	if (test_random_chance(&game.random, 500)) {
		begin_all();
		snug_shard_flush(game.shard, 0);
		end_all();
		game.flush_at_s = 0;
	} else if (test_random_chance(&game.random, 800)) {
		game.flush_at_s = game.now_s + (int64_t)test_random_between(&game.random, 1, 3);
		snug_shard_flush(game.shard, game.flush_at_s);
	} else {
		snug_shard_flush(game.shard, SNUG_FLUSH_NEVER);
		game.flush_at_s = 0;
	}
}

/* A flush that comes due has happened, whether or not the owner has done something since. */
static void tick(void) {
	int64_t now_s = game.now_s + 1;
	bool flushes = game.flush_at_s != 0 && game.flush_at_s <= now_s;
	if (flushes) begin_all();
	atomic_store_explicit(&game.now_s, now_s, memory_order_release);
	if (flushes) end_all();
	if (flushes) game.flush_at_s = 0;
}

static void flush_often(void) {
	if (test_random_chance(&game.random, 10)) flush();
	if (test_random_chance(&game.random, 10)) tick();
}

/* ------------------------------------------------------------------ memory ----------------- */

static void move(void) {
	snug_heap *heap = snug_shard_heap(game.shard);
	if (!game.is_moving) {
		snug_defragment_options options = snug_defragment_options_default();
		options.merge_classes = test_random_chance(&game.random, 500);
		options.retain_bytes = test_random_chance(&game.random, 500) ? 0 : SNUG_NO_BUDGET;
		options.return_bytes = test_random_chance(&game.random, 300) ? 512 * KIB : 0;
		game.is_moving = snug_defragment_begin(heap, &options) == SNUG_OK;
	}
	for (uint32_t step = 0; game.is_moving && step < 8; step++) {
		bool done;
		snug_report report;
		if (snug_defragment_step(heap, &done) != SNUG_OK) done = true;
		if (!done && !test_random_chance(&game.random, 20)) continue;
		game.is_moving = false;
		if (snug_defragment_end(heap, &report) != SNUG_OK) return;
		game.moved += report.moved_objects + report.relocated_objects;
		game.returned_bytes += report.returned_bytes;
	}
}

static void limit(void) {
	(void)!snug_shard_set_limit(game.shard, test_random_between(&game.random, 1200, 6144) * KIB);
}

static void check(void) {
	snug_check_result result;
	if (snug_shard_check(game.shard, &result) != SNUG_OK) wrong("a law of the shard is broken");
}

static void watch(void) {
	const struct index *index = &game.shard->index;
	static uint32_t from;
	game.changed_sizes += index->from != from;
	from = index->from;
	if (from > game.most_groups) game.most_groups = from;
	uint64_t chain = index->spills_made - index->spills_free_count;
	if (chain > game.longest_chain) game.longest_chain = chain;
}

/* ------------------------------------------------------------------ the owner -------------- */

static void one_of_memory(uint32_t kind) {
	if (kind < 300)
		move();
	else if (kind < 700)
		(void)snug_shard_maintain(game.shard);
	else if (kind < 760)
		(void)snug_shard_evict(game.shard, test_random_below(&game.random, 20000));
	else if (kind < 766)
		shard_take_hints(game.shard);
	else if (kind < 770)
		limit();
	else if (kind == 770 && test_random_chance(&game.random, 100))
		flush();
	else if (kind < 776)
		tick();
	else if (kind == 776 && test_random_chance(&game.random, 50))
		check();
}

static void one_of_a_key(uint32_t key) {
	uint64_t kind = test_random_below(&game.random, 100);
	uint64_t deletes = game.mood == MOOD_SHRINK ? 60 : game.mood == MOOD_GROW ? 1 : 5;
	if (kind < deletes)
		delete_one(key);
	else if (kind < 70)
		set(key);
	else if (kind < 78)
		extend(key);
	else if (kind < 84)
		touch(key);
	else if (kind < 90)
		count_up(key);
	else if (kind < 96)
		get(key);
	else
		lease(key);
}

static void look_again(uint32_t key) {
	snug_item item;
	snug_error error = snug_shard_find(game.shard, &game.names[key].key, &item);
	const struct live *live = &game.live[key];
	if (diary_now(&game.diaries[key]) > DIARY_NUMBERS) wrong("too many changes of key %u", key);
	if ((error == SNUG_OK) != live->is_there)
		wrong("the owner finds %s under key %u", error ? "nothing" : "something", key);
	else if (!error && (item.value_bytes != live->bytes ||
						item.attributes.expires_at_s != live->expires_at_s))
		wrong("the owner finds %zu bytes that expire at %u under key %u, not %u and %u",
			  item.value_bytes, item.attributes.expires_at_s, key, live->bytes, live->expires_at_s);
}

static void change_mood(void) {
	game.mood = (enum mood)test_random_below(&game.random, MOODS);
}

static void own(uint64_t until_ns) {
	while (!atomic_load_explicit(&game.over, memory_order_relaxed)) {
		uint32_t key = random_key(&game.random);
		if (game.mood >= MOOD_HOT) key %= HOT_KEYS;
		if (kept_sight(key) == NULL) keep_sight(key);
		one_of_a_key(key);
		look_at_kept(&game.sights[key % SIGHTS]);
		keep_sight(key);
		if (game.mood == MOOD_FLUSHES) flush_often();
		if (test_random_chance(&game.random, 250))
			one_of_memory((uint32_t)test_random_below(&game.random, 1000));
		for (uint32_t i = 0; i < 4; i++)
			look_at_kept(&game.sights[test_random_below(&game.random, SIGHTS)]);
		if (test_random_chance(&game.random, 50)) look_again(random_key(&game.random));
		game.operations++;
		if (game.operations % 64 != 0) continue;
		watch();
		if (game.operations % 16384 == 0) change_mood();
		if (os_now_ns() > until_ns) break;
	}
}

/* ------------------------------------------------------------------ the readers ------------ */

struct question {
	uint32_t key, lowest;
	int64_t now_s;
};

static struct question ask(struct reader *reader) {
	struct question question = {.key = random_key(&reader->random)};
	question.lowest = diary_lowest(&game.diaries[question.key]);
	question.now_s = clock_s(NULL);
	return question;
}

static void judge_absent(struct reader *reader, const struct question *question) {
	struct diary *diary = &game.diaries[question->key];
	uint32_t highest = diary_highest(diary);
	enum answer answer = diary_has(diary, question->lowest, highest, DIARY_ABSENT, UINT64_MAX);
	reader->figures.absent++;
	reader->figures.long_ago += answer == ANSWER_LONG_AGO;
	if (answer == ANSWER_WRONG)
		wrong("key %u is not found, and was there all the time: states %u to %u", question->key,
			  question->lowest, highest);
}

/* Fields that certify themselves. */
static void judge_head(const struct question *question, const struct item_head *head,
					   const struct certificate *certificate, uint32_t highest) {
	uint64_t cas_number = (head->cas & ~OWN_CAS) >> 16;
	if (head->key_bytes != game.names[question->key].key.length)
		wrong("key %u has another length", question->key);
	if (head->client_flags != 0 && head->client_flags != certificate->base)
		wrong("key %u has the flags of %u, and the value of %llu", question->key,
			  head->client_flags, (unsigned long long)certificate->base);
	if (head->cas >= OWN_CAS && ((uint32_t)(head->cas & 0xFFFF) != question->key ||
								 cas_number < certificate->base || cas_number > highest))
		wrong("key %u has a CAS number of something else", question->key);
}

static void judge_found(struct reader *reader, const struct question *question,
						const struct item_head *head, const struct certificate *certificate) {
	struct diary *diary = &game.diaries[question->key];
	uint32_t highest = diary_highest(diary);
	reader->figures.found++;
	if (!certificate->is_whole) {
		wrong("key %u: %u bytes that are no value of it", question->key, head->value_bytes);
		return;
	}
	enum answer answer =
		diary_has(diary, question->lowest, highest,
				  diary_entry(certificate->number, head->expires_at_s, head->cas), UINT64_MAX);
	reader->figures.long_ago += answer == ANSWER_LONG_AGO;
	if (answer == ANSWER_WRONG)
		wrong("key %u has the value of state %llu, CAS number %llx, and expires at %u: not so in "
			  "states %u to %u",
			  question->key, (unsigned long long)certificate->number, (unsigned long long)head->cas,
			  head->expires_at_s, question->lowest, highest);
	judge_head(question, head, certificate, highest);
}

/* Without its value: at least the fields are of one state. */
static void judge_fields(struct reader *reader, const struct question *question,
						 const struct item_head *head) {
	struct diary *diary = &game.diaries[question->key];
	uint32_t highest = diary_highest(diary);
	reader->figures.not_copied++;
	if (diary_has(diary, question->lowest, highest, head->expires_at_s, UINT32_MAX) == ANSWER_WRONG)
		wrong("key %u expires at %u: not so in states %u to %u", question->key, head->expires_at_s,
			  question->lowest, highest);
}

static void read_a_copy(struct reader *reader) {
	struct question question = ask(reader);
	struct shard_copy copy;
	size_t room_bytes = test_random_chance(&reader->random, 50) ? 40 : ROOM_BYTES;
	enum look seen = shard_read(game.shard, &game.names[question.key].key, question.now_s,
								reader->room, room_bytes, &copy);
	if (seen == LOOK_ASK) {
		reader->figures.asked++;
	} else if (seen == LOOK_ABSENT) {
		judge_absent(reader, &question);
	} else if (copy.is_copied != (copy.head.value_bytes <= room_bytes)) {
		wrong("key %u: %u bytes in a room of %zu", question.key, copy.head.value_bytes, room_bytes);
	} else if (!copy.is_copied) {
		judge_fields(reader, &question, &copy.head);
	} else {
		struct certificate certificate = certify(question.key, &copy.head, reader->room);
		judge_found(reader, &question, &copy.head, &certificate);
	}
}

static void read_in_place(struct reader *reader) {
	struct question question = ask(reader);
	struct sight sight;
	enum look seen = shard_look(game.shard, &game.names[question.key].key, question.now_s, &sight);
	if (seen == LOOK_ASK || (seen == LOOK_FOUND && !is_in_place(&sight))) {
		reader->figures.asked++;
	} else if (seen == LOOK_ABSENT) {
		judge_absent(reader, &question);
	} else {
		linger(&reader->random, 20000);
		struct certificate certificate = certify(question.key, &sight.head, sight.value);
		if (!sight_holds(&sight)) {
			reader->figures.not_held++;
			return;
		}
		reader->figures.in_place++;
		judge_found(reader, &question, &sight.head, &certificate);
	}
}

#define PREFETCHED 24u

static void prefetch(struct reader *reader) {
	const snug_shard *shards[PREFETCHED];
	uint64_t hashes[PREFETCHED];
	for (uint32_t i = 0; i < PREFETCHED; i++) {
		shards[i] = game.shard;
		hashes[i] = game.names[random_key(&reader->random)].key.hash;
	}
	shards_read_prefetch(shards, hashes, PREFETCHED);
}

/* What was read was used; or any hash is told, which may be one of nothing. */
static void hint(struct reader *reader) {
	struct hint_use use = {.hash = game.names[random_key(&reader->random)].key.hash,
						   .used_s = (uint32_t)clock_s(NULL),
						   .is_first = test_random_below(&reader->random, 2) == 0};
	struct hint *place = hint_claim(game.shard, 0, &reader->lots, use.is_first);
	if (place != NULL) hint_post(game.shard, place, 0, &reader->lots, &use);
}

static void read_on(void *context) {
	struct reader *reader = context;
	while (!atomic_load_explicit(&game.over, memory_order_relaxed)) {
		uint64_t kind = test_random_below(&reader->random, 100);
		if (kind < 60)
			read_a_copy(reader);
		else if (kind < 96)
			read_in_place(reader);
		else if (kind < 98)
			hint(reader);
		else
			prefetch(reader);
	}
}

/* ------------------------------------------------------------------ a round ---------------- */

static void make_shard(uint64_t round) {
	snug_shard_options options = snug_shard_options_default();
	options.heap.limit_bytes = 3 << 20;
	options.heap.limit_max_bytes = 6 << 20;
	options.heap.page_bytes = (size_t)4096 << round % 3;
	options.no_eviction = round % 4 == 3;
	options.keep_free_bytes = 0;
	options.now_s = clock_s;
	assert_int_equal(snug_shard_create(&options, &game.shard), SNUG_OK);
	game.hash_of = game.shard->index.hash_of;
	game.shard->index.hash_of = hash_on_its_way;
	game.drop_flushed = game.shard->index.drop_flushed;
	game.shard->index.drop_flushed = drop_what_was_flushed;
}

static void start_readers(void) {
	for (uint32_t i = 0; i < game.reader_count; i++) {
		struct reader *reader = &game.readers[i];
		reader->random = (test_random){test_random_next(&game.random)};
		hint_lots_init(&reader->lots, (uint32_t)test_random_next(&game.random));
		assert_true(os_thread_start(&reader->thread, read_on, reader));
	}
}

static void close_shard(void) {
	snug_report report;
	if (game.is_moving) (void)!snug_defragment_end(snug_shard_heap(game.shard), &report);
	game.is_moving = false;
	for (uint32_t i = 0; i < HELD_MAX; i++) snug_shard_release(game.shard, &game.held[i].lease);
	if (!atomic_load(&game.is_wrong)) check();
	assert_int_equal(snug_shard_destroy(game.shard), SNUG_OK);
}

static void play_round(uint64_t round, uint64_t nanoseconds) {
	atomic_store(&game.over, false);
	game.pending = KEYS;
	game.flush_at_s = 0;
	memset(game.live, 0, sizeof game.live);
	memset(game.diaries, 0, sizeof game.diaries);
	memset(game.sights, 0, sizeof game.sights);
	atomic_store(&game.now_s, CLOCK_BEGIN_S);
	make_shard(round);
	start_readers();
	own(os_now_ns() + nanoseconds);
	atomic_store(&game.over, true);
	for (uint32_t i = 0; i < game.reader_count; i++) os_thread_join(&game.readers[i].thread);
	close_shard();
}

static struct figures figures_of_all(void) {
	struct figures sum = {0};
	for (uint32_t i = 0; i < game.reader_count; i++) {
		const struct figures *one = &game.readers[i].figures;
		sum.found += one->found;
		sum.absent += one->absent;
		sum.asked += one->asked;
		sum.in_place += one->in_place;
		sum.not_held += one->not_held;
		sum.not_copied += one->not_copied;
		sum.long_ago += one->long_ago;
	}
	return sum;
}

static void tell(const struct figures *sum) {
	printf("found %llu (in place %llu, not held %llu), absent %llu, asked %llu, too large %llu, "
		   "long ago %llu\n",
		   (unsigned long long)sum->found, (unsigned long long)sum->in_place,
		   (unsigned long long)sum->not_held, (unsigned long long)sum->absent,
		   (unsigned long long)sum->asked, (unsigned long long)sum->not_copied,
		   (unsigned long long)sum->long_ago);
	printf("operations %llu, the owner's sights %llu, gone %llu, flushes %llu, moved %llu, "
		   "returned %llu KiB; "
		   "index: sizes %llu, at most %llu groups, %llu extra spill buckets\n",
		   (unsigned long long)game.operations, (unsigned long long)game.held_sights,
		   (unsigned long long)game.gone, (unsigned long long)game.flushes,
		   (unsigned long long)game.moved, (unsigned long long)game.returned_bytes / 1024,
		   (unsigned long long)game.changed_sizes, (unsigned long long)game.most_groups,
		   (unsigned long long)game.longest_chain);
	(void)fflush(stdout);
}

static void each_byte_read_is_right(void **state) {
	(void)state;
	uint64_t seconds = test_environment_number("SNUG_READ_SECONDS", 2);
	uint64_t rounds = seconds < 120 ? ROUNDS : seconds / 30;
	game.reader_count = (uint32_t)test_environment_number("SNUG_READERS", 3) % (READERS_MAX + 1);
	game.random = (test_random){seed};
	for (uint32_t key = 0; key < KEYS; key++) make_name(key);
	for (uint64_t round = 0; round < rounds && !atomic_load(&game.is_wrong); round++) {
		play_round(round, seconds * SECOND_NS / rounds);
		if (rounds > ROUNDS || round == rounds - 1) {
			struct figures sum = figures_of_all();
			tell(&sum);
		}
	}
	struct figures sum = figures_of_all();
	assert_false(atomic_load(&game.is_wrong));
	assert_true(sum.found > 0 && sum.absent > 0 && sum.in_place > 0);
	assert_true(sum.long_ago <= sum.found / 20 + 1000);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_byte_read_is_right),
	};
	seed = test_environment_number("SNUG_SEED", os_now_ns());
	test_set_secret(seed);
	printf("seed %llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
