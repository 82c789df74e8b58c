/* kept_facts.c: see kept_facts.h. */
#include "kept_facts.h"

#include "cache/shard/shard_find.h"
#include "cache/shard/shard_state.h"
#include "support/test_random.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#define GRAIN ((off_t)4096)
#define USED_AFTERWARDS 6u /* stores into what was recovered */
/* Each of so many looks goes on with what it has found. */
#define GO_ON_EACH 5u

/* Of the shard under test, and of a copy: which is looked at in the midst of a look at the other. */
static unsigned char own[FACT_VALUE_MAX], seen[FACT_VALUE_MAX];

/* The salt that makes a crowded key takes 256 tries on average, so it is found once. */
snug_key fact_key(const struct facts *facts, uint32_t number, char *text) {
	static uint32_t crowded_salt[FACT_KEYS];
	for (uint32_t salt = facts->is_crowded ? crowded_salt[number] : 0;; salt++) {
		int length = snprintf(text, FACT_KEY_BYTES, "%0*u-%u", (int)(number % 9) + 1, number, salt);
		snug_key key = snug_shard_key(text, (size_t)length);
		if (!facts->is_crowded) return key;
		if (key.hash >> 56 != 0) continue;
		crowded_salt[number] = salt;
		return key;
	}
}

/* ------------------------------------------------------------------ facts --------------------- */

static void drop_value(struct fact *fact) {
	free(fact->value);
	*fact = (struct fact){0};
}

static bool is_alive(const struct facts *facts, const struct fact *fact) {
	return fact->is_there &&
		   (fact->attributes.expires_at_s == 0 || fact->attributes.expires_at_s > facts->now_s);
}

static bool read_fact(struct facts *facts, snug_shard *shard, uint32_t number, snug_item *item,
					  unsigned char *bytes) {
	char text[FACT_KEY_BYTES];
	snug_key key = fact_key(facts, number, text);
	snug_error error = snug_shard_find(shard, &key, item);
	if (error == SNUG_ERROR_NOT_FOUND) return false;
	KEPT_OK(error, facts);
	KEPT(item->value_bytes <= FACT_VALUE_MAX, facts, "key %u: %zu bytes", number,
		 item->value_bytes);
	KEPT_OK(snug_shard_read(shard, item, 0, bytes, item->value_bytes), facts);
	return true;
}

/* Its value is in `seen`. */
static bool is_fact(const struct fact *fact, const snug_item *item) {
	const snug_attributes *is = &item->attributes, *was = &fact->attributes;
	return fact->is_there && fact->value_bytes == item->value_bytes &&
		   memcmp(fact->value, seen, fact->value_bytes) == 0 && is->cas == was->cas &&
		   is->client_flags == was->client_flags && is->expires_at_s == was->expires_at_s &&
		   is->is_stale == was->is_stale && is->is_won == was->is_won;
}

static struct fact copy_fact(const struct fact *fact) {
	struct fact copy = *fact;
	copy.value = malloc(fact->value_bytes + 1);
	if (copy.value == NULL) abort();
	if (fact->value_bytes > 0) memcpy(copy.value, fact->value, fact->value_bytes);
	return copy;
}

static struct fact learn_fact(struct facts *facts, uint32_t number) {
	struct fact fact = {0};
	snug_item item;
	fact.is_there = read_fact(facts, facts->shard, number, &item, own);
	if (!fact.is_there) return fact;
	fact.value_bytes = (uint32_t)item.value_bytes;
	fact.attributes = item.attributes;
	fact.value = own;
	return copy_fact(&fact);
}

static void note_next(struct facts *facts, struct fact fact) {
	if (facts->next_count == facts->next_most) {
		facts->next_most = facts->next_most * 2 + 64;
		facts->next = realloc(facts->next, facts->next_most * sizeof *facts->next);
		if (facts->next == NULL) abort();
	}
	facts->next[facts->next_count++] = fact;
}

void fact_begin(struct facts *facts, uint32_t number) {
	KEPT(number < FACT_KEYS && facts->under_way == 0, facts, "key %u", number);
	facts->under_way = number + 1;
}

void fact_end(struct facts *facts, uint32_t number) {
	struct fact *now = &facts->now[number];
	drop_value(now);
	*now = learn_fact(facts, number);
	if (facts->is_first_run) {
		note_next(facts, copy_fact(now));
	} else {
		const struct fact *next = &facts->next[facts->operation];
		KEPT(next->is_there == now->is_there && next->value_bytes == now->value_bytes, facts,
			 "the two runs differ in key %u", number);
	}
	facts->operation++;
	facts->under_way = 0;
	facts->cas_told = facts->shard->cas_last;
	facts_settle(facts);
}

void facts_settle(struct facts *facts) {
	for (uint32_t number = 0; number < FACT_KEYS; number++) {
		if (!facts->now[number].may_go) continue;
		snug_item item;
		KEPT(!read_fact(facts, facts->shard, number, &item, own), facts,
			 "key %u is there after it was evicted", number);
		drop_value(&facts->now[number]);
	}
}

void facts_begin_flush(struct facts *facts) {
	facts->is_flushing = true;
}

void facts_end_flush(struct facts *facts) {
	facts->is_flushing = false;
	for (uint32_t number = 0; number < FACT_KEYS; number++) drop_value(&facts->now[number]);
}

void facts_forget(struct facts *facts) {
	for (uint32_t number = 0; number < FACT_KEYS; number++) drop_value(&facts->now[number]);
	facts->operation = 0;
	facts->under_way = 0;
	facts->cas_told = 0;
}

/* ------------------------------------------------------------------ the shard ----------------- */

static int64_t now_s(void *context) {
	return ((const struct facts *)context)->now_s;
}

/* Told before it goes. */
static void evicted(void *context, const struct walked *item) {
	struct facts *facts = context;
	const char *text = item->key.bytes;
	uint32_t number = 0;
	for (uint32_t i = 0; i < item->key.length && text[i] != '-'; i++)
		number = number * 10 + (uint32_t)(text[i] - '0');
	KEPT(number < FACT_KEYS && facts->now[number].is_there, facts, "key %u is evicted", number);
	facts->now[number].may_go = true;
}

static void open_shard(struct facts *facts, int descriptor, snug_memory_file **file,
					   snug_shard **shard) {
	snug_memory_file_options file_options = snug_memory_file_options_default();
	snug_shard_options options = snug_shard_options_default();
	char reason[200] = "";
	file_options.descriptor = descriptor;
	file_options.reason = reason;
	file_options.reason_bytes = sizeof reason;
	snug_error error = snug_memory_file_create(&file_options, file);
	KEPT(!error, facts, "%s: %s", snug_error_name(error), reason);
	options.heap.limit_bytes = facts->limit_bytes;
	options.heap.limit_max_bytes = facts->limit_max_bytes;
	options.heap.page_bytes = 4096;
	options.heap.memory_file = *file;
	options.no_eviction = facts->no_eviction;
	options.keep_free_bytes = 0;
	options.now_s = now_s;
	options.now_context = facts;
	error = snug_shard_create(&options, shard);
	KEPT(!error, facts, "%s: %s", snug_error_name(error), snug_memory_file_reason(*file));
}

void facts_open(struct facts *facts) {
	open_shard(facts, facts->descriptor, &facts->file, &facts->shard);
	shard_tell_evictions(facts->shard, evicted, facts);
}

void facts_close(struct facts *facts) {
	KEPT_OK(snug_shard_destroy(facts->shard), facts);
	facts->shard = NULL;
	KEPT_OK(snug_memory_file_destroy(facts->file), facts);
	facts->file = NULL;
}

/* ------------------------------------------------------------------ looking ------------------- */

static void copy_range(const struct facts *facts, off_t from, off_t end) {
	static char bytes[1 << 18];
	while (from < end) {
		size_t some = end - from < (off_t)sizeof bytes ? (size_t)(end - from) : sizeof bytes;
		KEPT(pread(facts->descriptor, bytes, some, from) == (ssize_t)some &&
				 pwrite(facts->copy, bytes, some, from) == (ssize_t)some,
			 facts, "the file can't be copied");
		from += (off_t)some;
	}
}

void facts_copy(const struct facts *facts) {
	struct stat stat;
	KEPT(fstat(facts->descriptor, &stat) == 0 && ftruncate(facts->copy, 0) == 0 &&
			 ftruncate(facts->copy, stat.st_size) == 0,
		 facts, "the copy");
	for (off_t at = 0; at < stat.st_size;) {
		off_t data = lseek(facts->descriptor, at, SEEK_DATA);
		if (data < 0) break;
		at = lseek(facts->descriptor, data, SEEK_HOLE);
		KEPT(at > data, facts, "SEEK_HOLE");
		copy_range(facts, data, at);
	}
}

static bool is_under_way(const struct facts *facts, uint32_t number) {
	return facts->under_way == number + 1;
}

/* 1: it is there. */
static uint32_t compare_key(struct facts *facts, snug_shard *shard, uint32_t number,
							bool is_in_place) {
	const struct fact *now = &facts->now[number];
	const struct fact *next = is_under_way(facts, number) ? &facts->next[facts->operation] : now;
	snug_item item;
	if (!read_fact(facts, shard, number, &item, seen)) {
		KEPT(!is_alive(facts, now) || !is_alive(facts, next) || now->may_go || facts->is_flushing ||
				 (is_in_place && is_under_way(facts, number)),
			 facts, "key %u is missing", number);
		return 0;
	}
	KEPT((is_alive(facts, now) && is_fact(now, &item)) ||
			 (is_alive(facts, next) && is_fact(next, &item)),
		 facts, "key %u is neither the old nor the new one: %zu bytes", number, item.value_bytes);
	return 1;
}

static uint32_t alive(const struct facts *facts) {
	uint32_t items = 0;
	for (uint32_t number = 0; number < FACT_KEYS; number++)
		items += is_alive(facts, &facts->now[number]);
	return items;
}

/* A sweep gives the memory of what has expired up before its entry goes. */
static bool have_expired(const struct facts *facts) {
	uint32_t number = 0;
	while (number < FACT_KEYS &&
		   (!facts->now[number].is_there || is_alive(facts, &facts->now[number])))
		number++;
	return number < FACT_KEYS;
}

static void walk_laws(struct facts *facts, snug_shard *shard) {
	snug_check_result result = {0};
	KEPT(snug_shard_check(shard, &result) == SNUG_OK, facts, "law %s: %s", result.law,
		 result.message);
}

static void compare_all(struct facts *facts, snug_shard *shard) {
	snug_shard_stats stats;
	bool is_in_place = facts->shard != NULL && facts->shard->in_place != 0;
	uint32_t items = 0;
	KEPT(facts->shard == NULL || shard->flush_at_s == facts->shard->flush_at_s, facts,
		 "a flush is to come at %lld", (long long)shard->flush_at_s);
	walk_laws(facts, shard);
	for (uint32_t number = 0; number < FACT_KEYS; number++)
		items += compare_key(facts, shard, number, is_in_place);
	KEPT(!facts->is_flushing || items == 0 || items == alive(facts), facts,
		 "%u items of %u were flushed", items, alive(facts));
	KEPT_OK(snug_shard_stats_get(shard, &stats), facts);
	KEPT(stats.items == items, facts, "%u items are found, %llu counted", items,
		 (unsigned long long)stats.items);
	KEPT(stats.dropped <= (uint64_t)is_in_place + have_expired(facts), facts, "%llu were dropped",
		 (unsigned long long)stats.dropped);
	KEPT(snug_shard_next_cas(shard) > facts->cas_told, facts, "a CAS number comes again");
	facts->dropped += stats.dropped;
}

/* What was recovered is as good as any: it takes items, moves them, and is left. */
static void go_on(struct facts *facts, snug_shard *shard) {
	unsigned char value[700];
	for (uint32_t number = 0; number < USED_AFTERWARDS; number++) {
		char text[16];
		int length = snprintf(text, sizeof text, "after-%u", number);
		snug_key key = snug_shard_key(text, (size_t)length);
		snug_item item;
		size_t bytes = (size_t)number * 130;
		test_random_fill(value, bytes, number);
		snug_error error = snug_shard_set(shard, &key, NULL, value, bytes);
		if (error == SNUG_ERROR_NO_MEMORY && facts->no_eviction) continue;
		KEPT_OK(error, facts);
		KEPT_OK(snug_shard_find(shard, &key, &item), facts);
		KEPT_OK(snug_shard_read(shard, &item, 0, seen, bytes), facts);
		KEPT(memcmp(seen, value, bytes) == 0, facts, "what was stored afterwards is wrong");
	}
	for (uint32_t slices = 0; slices < 30 && snug_shard_maintain(shard); slices++) continue;
	walk_laws(facts, shard);
}

void facts_look(void *context, uint64_t number) {
	struct facts *facts = context;
	snug_memory_file *file;
	snug_shard *shard;
	facts->looks = number;
	facts->all_looks++;
	if ((number + facts->phase) % facts->stride != 0) return;
	facts_copy(facts);
	open_shard(facts, facts->copy, &file, &shard);
	compare_all(facts, shard);
	if (++facts->looked % GO_ON_EACH == 0) go_on(facts, shard);
	KEPT_OK(snug_shard_destroy(shard), facts);
	KEPT_OK(snug_memory_file_destroy(file), facts);
}
