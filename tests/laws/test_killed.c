/* test_killed.c: a shard in a memory file whose process is killed, again and again, in the midst of
 * whatever it does, attaching and recovering included.
 *
 * A child attaches, compares every key with the diary that it shares with its parent, walks all laws,
 * and goes on with random operations until it is killed. The diary says what was acknowledged, and
 * which key has an operation under way.
 *
 *     no operation under way    the very item, or none, as the diary says
 *     under way                 the item before it, or after it, or none
 *     evicted                   the diary knows before it goes: there, or not
 *     expired                   not there, from its second on
 *     a flush under way         all, or none
 *     CAS numbers               the next one is above all that were told
 *
 * Values certify themselves: each byte follows from key, version and length, of one part or of those
 * that were appended. The limit goes up and down, from where all fits to where a third does.
 *
 *     SNUG_SEED=0x1234 SNUG_KILLS=10000 build/tests/laws/test_killed */
#include "cache/operation/operation.h"
#include "cache/shard/shard_find.h"
#include "support/require.h"
#include "support/test_random.h"
#include "unit/cmocka_all.h"

#include <signal.h>
#include <snug/snug.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define LIMIT_MAX_BYTES (24 * MIB)
#define LIMIT_MIN_BYTES (1 * MIB)
#define KEYS 2000u
#define COUNTERS 64u /* the first keys: numbers */
#define VALUE_MAX 70000u
#define PARTS_MAX 4u
#define KILLS 300u

struct part {
	uint32_t version;
	uint32_t bytes;
};

/* What is known of a key; no part: it is not there. */
struct note {
	uint32_t version; /* the last one that was given */
	uint32_t parts;
	struct part part[PARTS_MAX];
	uint64_t number; /* of a counter, which has one part */
	uint32_t flags;
	uint32_t expires_at_s; /* 0: never */
	uint32_t is_leaving;   /* it is being evicted */
};

struct diary {
	struct note note[KEYS];
	struct note next;           /* of the key under way */
	_Atomic uint32_t under_way; /* key + 1; 0: none */
	_Atomic uint32_t flushes;   /* a flush is under way */
	_Atomic uint32_t is_ready;  /* the child has compared all, and works */
	_Atomic uint64_t cas_told;
	_Atomic uint64_t limit_bytes;
	uint64_t operations;
	uint64_t recovered;
	uint64_t dropped;
	uint64_t evicted;
	uint64_t expired;
};

static struct diary *diary;
static test_random random_numbers;

/* In the child: its parent hears of it by its status. */
#define CHECK(is_so, ...)                               \
	do {                                                \
		if (is_so) break;                               \
		fprintf(stderr, "%s:%d: ", __FILE__, __LINE__); \
		fprintf(stderr, __VA_ARGS__);                   \
		fputc('\n', stderr);                            \
		_exit(1);                                       \
	} while (0)

/* ------------------------------------------------------------------ items -------------------- */

static unsigned char expected[VALUE_MAX], found[VALUE_MAX];

static snug_key key_of(uint32_t number, char *text) {
	int length = snprintf(text, 32, "key-%u-%0*u", number, (int)(number % 11) + 1, number);
	return snug_shard_key(text, (size_t)length);
}

static uint32_t note_bytes(const struct note *note) {
	uint32_t bytes = 0;
	for (uint32_t i = 0; i < note->parts; i++) bytes += note->part[i].bytes;
	return bytes;
}

/* Into `expected`. */
static uint32_t make_value(uint32_t number, const struct note *note) {
	uint32_t at = 0;
	if (number < COUNTERS && note->parts > 0)
		return (uint32_t)snprintf((char *)expected, sizeof expected, "%llu",
								  (unsigned long long)note->number);
	for (uint32_t i = 0; i < note->parts; at += note->part[i++].bytes)
		test_random_fill(expected + at, note->part[i].bytes,
						 (uint64_t)number << 32 | note->part[i].version);
	return at;
}

/* Mostly small; some in fragments, few in many pages. */
static uint32_t random_bytes(void) {
	uint32_t kind = (uint32_t)test_random_below(&random_numbers, 100);
	if (kind < 80) return 1 + (uint32_t)test_random_below(&random_numbers, 200);
	if (kind < 97) return 1 + (uint32_t)test_random_below(&random_numbers, 6000);
	return 1 + (uint32_t)test_random_below(&random_numbers, VALUE_MAX);
}

static bool is_note(snug_shard *shard, uint32_t number, const snug_item *item,
					const struct note *note) {
	if (note->flags != item->attributes.client_flags ||
		note->expires_at_s != item->attributes.expires_at_s)
		return false;
	uint32_t bytes = make_value(number, note);
	if (bytes != item->value_bytes) return false;
	CHECK(snug_shard_read(shard, item, 0, found, bytes) == SNUG_OK, "key %u", number);
	return memcmp(found, expected, bytes) == 0;
}

/* The second in which it is asked may be over before it is answered. */
enum life { ALIVE, EXPIRES_NOW, EXPIRED };

static enum life life_of(const snug_shard *shard, const struct note *note) {
	int64_t now_s = snug_shard_now_s(shard);
	if (note->expires_at_s == 0 || note->expires_at_s > now_s + 1) return ALIVE;
	return note->expires_at_s > now_s ? EXPIRES_NOW : EXPIRED;
}

struct met {
	uint32_t there;
	uint32_t flushed; /* missing, and were to be there but for a flush */
	uint32_t expired;
};

/* What is there is noted again, for the next one. */
static void compare_key(snug_shard *shard, uint32_t number, bool is_under_way, struct met *met) {
	char text[32];
	snug_item item;
	snug_key key = key_of(number, text);
	struct note *note = &diary->note[number];
	bool is_flushed = atomic_load(&diary->flushes) != 0;
	enum life life = life_of(shard, note);
	snug_error error = snug_shard_find(shard, &key, &item);
	if (error == SNUG_ERROR_NOT_FOUND) {
		bool may_be = note->parts == 0 || is_under_way || life != ALIVE || note->is_leaving;
		CHECK(may_be || is_flushed, "key %u is missing", number);
		met->flushed += !may_be;
		met->expired += note->parts != 0 && life != ALIVE;
		note->parts = 0;
		note->is_leaving = 0;
		return;
	}
	CHECK(error == SNUG_OK, "key %u: %s", number, snug_error_text(error));
	met->there++;
	note->is_leaving = 0;
	if (note->parts != 0 && life != EXPIRED && is_note(shard, number, &item, note)) return;
	CHECK(is_under_way, "key %u is wrong: %zu bytes, where %u are noted", number, item.value_bytes,
		  note_bytes(note));
	CHECK(diary->next.parts != 0 && is_note(shard, number, &item, &diary->next),
		  "key %u is neither the old nor the new one", number);
	*note = diary->next;
}

static void compare_all(snug_shard *shard) {
	snug_check_result result = {0};
	snug_shard_stats stats;
	struct met met = {0};
	uint32_t under_way = atomic_load(&diary->under_way);
	CHECK(snug_shard_check(shard, &result) == SNUG_OK, "law %s: %s", result.law, result.message);
	for (uint32_t number = 0; number < KEYS; number++)
		compare_key(shard, number, number + 1 == under_way, &met);
	CHECK(met.flushed == 0 || met.there == 0, "%u of %u items were flushed", met.flushed,
		  met.flushed + met.there);
	CHECK(snug_shard_stats_get(shard, &stats) == SNUG_OK && stats.items == met.there,
		  "%u items are there, %llu counted", met.there, (unsigned long long)stats.items);
	CHECK(snug_shard_next_cas(shard) > atomic_load(&diary->cas_told), "a CAS number comes again");
	CHECK(stats.dropped <= 1 + met.expired, "%llu items were dropped",
		  (unsigned long long)stats.dropped);
	diary->recovered += stats.recovered;
	diary->dropped += stats.dropped;
	diary->expired += met.expired;
	atomic_store(&diary->under_way, 0);
	atomic_store(&diary->flushes, 0);
}

/* Told before it goes. */
static void evicted(void *context, const struct walked *item) {
	const char *text = item->key.bytes;
	uint32_t number = 0;
	(void)context;
	for (uint32_t i = 4; i < item->key.length && text[i] != '-'; i++)
		number = number * 10 + (uint32_t)(text[i] - '0');
	CHECK(number < KEYS && diary->note[number].parts != 0, "key %u is evicted", number);
	diary->note[number].is_leaving = 1;
	diary->evicted++;
}

/* No call is under way: what was leaving has gone. */
static void settle_evictions(void) {
	for (uint32_t number = 0; number < KEYS; number++) {
		if (diary->note[number].is_leaving == 0) continue;
		diary->note[number].parts = 0;
		diary->note[number].is_leaving = 0;
	}
}

/* ------------------------------------------------------------------ operations --------------- */

static struct note *begin(uint32_t number) {
	diary->next = diary->note[number];
	diary->next.version++;
	atomic_store(&diary->under_way, number + 1);
	return &diary->next;
}

static void end(uint32_t number) {
	diary->note[number] = diary->next;
	atomic_store(&diary->under_way, 0);
	settle_evictions();
}

static snug_attributes attributes_of(const struct note *note) {
	return (snug_attributes){.client_flags = note->flags, .expires_at_s = note->expires_at_s};
}

/* Soon, far away, or never. */
static uint32_t random_expiry(const snug_shard *shard) {
	uint32_t kind = (uint32_t)test_random_below(&random_numbers, 8);
	uint32_t now_s = (uint32_t)snug_shard_now_s(shard);
	if (kind == 0) return now_s + 2 + (uint32_t)test_random_below(&random_numbers, 3);
	return kind == 1 ? now_s + 100000 + (uint32_t)test_random_below(&random_numbers, 100) : 0;
}

/* It is there, and will be when the operation is over. */
static bool is_there(const snug_shard *shard, uint32_t number) {
	return diary->note[number].parts != 0 && life_of(shard, &diary->note[number]) == ALIVE;
}

static void note_new(const snug_shard *shard, struct note *next, uint32_t bytes) {
	next->parts = 1;
	next->part[0] = (struct part){next->version, bytes};
	next->flags = (uint32_t)test_random_below(&random_numbers, 3);
	next->expires_at_s = random_expiry(shard);
}

/* Often as long as the old one, which is then changed in place. */
static void set(snug_shard *shard, uint32_t number, const snug_key *key) {
	bool is_as_long = is_there(shard, number) && test_random_chance(&random_numbers, 400);
	struct note *next = begin(number);
	if (!is_as_long)
		note_new(shard, next, random_bytes());
	else
		for (uint32_t i = 0; i < next->parts; i++) next->part[i].version = next->version;
	next->number = test_random_below(&random_numbers, 1000);
	snug_attributes attributes = attributes_of(next);
	CHECK(snug_shard_set(shard, key, &attributes, expected, make_value(number, next)) == SNUG_OK,
		  "set");
	end(number);
}

/* A value in pieces, as a client sends it. */
static void lease(snug_shard *shard, uint32_t number, const snug_key *key) {
	struct note *next = begin(number);
	note_new(shard, next, 1 + (uint32_t)test_random_below(&random_numbers, VALUE_MAX));
	snug_attributes attributes = attributes_of(next);
	snug_lease lease;
	uint32_t bytes = make_value(number, next);
	CHECK(snug_shard_reserve(shard, key, bytes, &lease) == SNUG_OK, "reserve");
	for (size_t at = 0; at < bytes;) {
		snug_extent extent[32];
		size_t count = 32;
		CHECK(snug_shard_lease_view(shard, &lease, at, bytes - at, extent, &count) == SNUG_OK ||
				  count > 0,
			  "view");
		for (size_t i = 0; i < count; i++) {
			memcpy(extent[i].data, expected + at, extent[i].length);
			at += extent[i].length;
		}
	}
	CHECK(snug_shard_commit(shard, key, &attributes, &lease) == SNUG_OK, "commit");
	end(number);
}

static uint8_t execute(snug_shard *shard, const snug_key *key, struct operation operation) {
	static struct operation_counts counts;
	operation.key = *key;
	operation_execute(shard, &operation, &counts);
	operation_end(shard, &operation);
	return operation.status;
}

static void append(snug_shard *shard, uint32_t number, const snug_key *key) {
	if (!is_there(shard, number) || diary->note[number].parts == PARTS_MAX) return;
	struct note *next = begin(number);
	struct part added = {next->version, 1 + (uint32_t)test_random_below(&random_numbers, 300)};
	bool in_front = test_random_chance(&random_numbers, 500);
	if (note_bytes(next) + added.bytes > VALUE_MAX) return;
	if (in_front) memmove(&next->part[1], &next->part[0], next->parts * sizeof next->part[0]);
	next->part[in_front ? 0 : next->parts] = added;
	next->parts++;
	test_random_fill(expected, added.bytes, (uint64_t)number << 32 | added.version);
	uint8_t status = execute(shard, key,
							 (struct operation){.kind = OPERATION_STORE,
												.mode = in_front ? STORE_PREPEND : STORE_APPEND,
												.value = expected,
												.value_bytes = added.bytes});
	CHECK(status == STATUS_STORED, "append: %u", status);
	end(number);
}

/* Mostly in place; with a digit more it is not. */
static void count(snug_shard *shard, uint32_t number, const snug_key *key) {
	if (!is_there(shard, number)) {
		set(shard, number, key);
		return;
	}
	struct note *next = begin(number);
	uint64_t delta = test_random_below(&random_numbers, 9);
	next->number += delta;
	uint8_t status =
		execute(shard, key, (struct operation){.kind = OPERATION_ARITHMETIC, .delta = delta});
	CHECK(status == STATUS_DONE, "incr: %u", status);
	end(number);
}

/* Another expiry, in place if it had one; or a CAS number. */
static void change(snug_shard *shard, uint32_t number, const snug_key *key) {
	snug_item item;
	uint64_t cas;
	if (!is_there(shard, number)) return;
	CHECK(snug_shard_get(shard, key, &item) == SNUG_OK, "get");
	struct note *next = begin(number);
	if (test_random_chance(&random_numbers, 500)) {
		CHECK(snug_shard_cas(shard, key, &item, &cas) == SNUG_OK, "cas");
		if (cas > atomic_load(&diary->cas_told)) atomic_store(&diary->cas_told, cas);
	} else {
		next->expires_at_s = random_expiry(shard);
		next->flags++;
		snug_attributes attributes = attributes_of(next);
		attributes.cas = item.attributes.cas;
		CHECK(snug_shard_change(shard, key, &item, &attributes) == SNUG_OK, "change");
	}
	end(number);
}

static void remove_key(snug_shard *shard, uint32_t number, const snug_key *key) {
	bool was_there = is_there(shard, number);
	begin(number)->parts = 0;
	CHECK(snug_shard_delete(shard, key) == SNUG_OK || !was_there, "delete");
	end(number);
}

static void flush(snug_shard *shard) {
	atomic_store(&diary->flushes, 1);
	snug_shard_flush(shard, 0);
	for (uint32_t number = 0; number < KEYS; number++) diary->note[number].parts = 0;
	atomic_store(&diary->flushes, 0);
}

/* The next one attaches with the limit that is asked for. */
static void set_limit(snug_shard *shard) {
	uint64_t limit_bytes =
		test_random_between(&random_numbers, LIMIT_MIN_BYTES / MIB, LIMIT_MAX_BYTES / MIB) * MIB;
	if (test_random_chance(&random_numbers, 600)) limit_bytes = LIMIT_MIN_BYTES;
	atomic_store(&diary->limit_bytes, limit_bytes);
	CHECK(snug_shard_set_limit(shard, limit_bytes) == SNUG_OK, "limit");
}

/* Objects move, the index grows and shrinks, memory goes back, items go. */
static void keep_house(snug_shard *shard) {
	uint32_t kind = (uint32_t)test_random_below(&random_numbers, 12);
	snug_defragment_options options = snug_defragment_options_default();
	snug_report report;
	if (kind < 8) {
		for (uint32_t slices = 0; slices < 20 && snug_shard_maintain(shard); slices++) continue;
	} else if (kind < 10) {
		snug_error error = snug_defragment(snug_shard_heap(shard), &options, &report);
		CHECK(error == SNUG_OK || error == SNUG_ERROR_BUSY, "defragment: %s",
			  snug_error_text(error));
	} else if (kind == 10) {
		set_limit(shard);
	} else {
		(void)snug_shard_evict(shard, test_random_below(&random_numbers, 20000));
	}
	settle_evictions();
}

static void one_operation(snug_shard *shard, uint32_t number, uint32_t removes) {
	char text[32];
	snug_key key = key_of(number, text);
	uint32_t kind = (uint32_t)test_random_below(&random_numbers, 1000);
	if (kind < removes)
		remove_key(shard, number, &key);
	else if (kind >= 970 && kind < 999)
		keep_house(shard);
	else if (kind == 999 && test_random_chance(&random_numbers, 50))
		flush(shard);
	else if (number < COUNTERS)
		count(shard, number, &key);
	else if (kind < 800)
		set(shard, number, &key);
	else if (kind < 900)
		change(shard, number, &key);
	else if (kind < 960)
		append(shard, number, &key);
	else if (kind < 970)
		lease(shard, number, &key);
}

static void work(snug_shard *shard) {
	/* In waves, so that the index grows and shrinks. */
	uint32_t removes = (uint32_t)test_random_below(&random_numbers, 2) == 0 ? 700 : 100;
	uint32_t keys = 1 + (uint32_t)test_random_below(&random_numbers, KEYS);
	for (;; diary->operations++)
		one_operation(shard, (uint32_t)test_random_below(&random_numbers, keys), removes);
}

/* ------------------------------------------------------------------ processes ---------------- */

static void live(int descriptor) {
	snug_memory_file_options file_options = snug_memory_file_options_default();
	snug_shard_options options = snug_shard_options_default();
	snug_memory_file *file;
	snug_shard *shard;
	char reason[200] = "";
	file_options.descriptor = descriptor;
	file_options.reason = reason;
	file_options.reason_bytes = sizeof reason;
	snug_error error = snug_memory_file_create(&file_options, &file);
	CHECK(error == SNUG_OK, "%s: %s", snug_error_text(error), reason);
	options.heap.limit_bytes = atomic_load(&diary->limit_bytes);
	options.heap.limit_max_bytes = LIMIT_MAX_BYTES;
	options.heap.memory_file = file;
	error = snug_shard_create(&options, &shard);
	CHECK(error == SNUG_OK, "%s: %s", snug_error_text(error), snug_memory_file_reason(file));
	compare_all(shard);
	shard_tell_evictions(shard, evicted, NULL);
	atomic_store(&diary->is_ready, 1);
	work(shard);
}

static void rest_us(uint64_t us) {
	struct timespec rest = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
	(void)nanosleep(&rest, NULL);
}

/* Killed at a random moment; mostly of its work, else of its attaching. */
static void one_life(int descriptor, uint64_t seed) {
	atomic_store(&diary->is_ready, 0);
	random_numbers.state = seed;
	bool works = test_random_chance(&random_numbers, 800);
	uint64_t us = test_random_below(&random_numbers, 4000);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		live(descriptor);
		_exit(1);
	}
	int status = 0;
	pid_t ended = 0;
	while (works && atomic_load(&diary->is_ready) == 0 && ended == 0) {
		rest_us(100);
		ended = waitpid(child, &status, WNOHANG);
	}
	if (ended == 0) {
		rest_us(us);
		(void)kill(child, SIGKILL);
		assert_int_equal(waitpid(child, &status, 0), child);
	}
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "seed 0x%llx: status 0x%x",
			(unsigned long long)seed, status);
}

static void whoever_is_killed_loses_nothing(void **state) {
	(void)state;
	uint64_t seed = test_environment_number("SNUG_SEED", 0x5EED);
	uint64_t kills = test_environment_number("SNUG_KILLS", KILLS);
	int descriptor = memfd_create("snug-test", 0);
	assert_true(descriptor >= 0);
	diary = mmap(NULL, sizeof *diary, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(diary != MAP_FAILED);
	atomic_store(&diary->limit_bytes, LIMIT_MAX_BYTES);
	for (uint64_t number = 0; number < kills; number++) one_life(descriptor, (seed << 20) + number);
	printf("%llu kills, %llu operations, %llu items recovered, %llu half-changed ones dropped, "
		   "%llu evicted, %llu expired\n",
		   (unsigned long long)kills, (unsigned long long)diary->operations,
		   (unsigned long long)diary->recovered, (unsigned long long)diary->dropped,
		   (unsigned long long)diary->evicted, (unsigned long long)diary->expired);
	assert_true(diary->recovered > 0 && diary->evicted > 0);
	munmap(diary, sizeof *diary);
	close(descriptor);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whoever_is_killed_loses_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
