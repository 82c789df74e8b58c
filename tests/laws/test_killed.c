/* test_killed.c: a shard in a memory file whose process is killed, again and again, in the midst of
 * whatever it does, attaching and recovering included.
 *
 * A child attaches, compares every key with the diary that it shares with its parent, walks all laws,
 * and goes on with random operations until it is killed. The diary says what was acknowledged, and
 * which key has an operation under way.
 *
 *     no operation under way    the very item, or none, as the diary says
 *     under way                 the item before it, or after it, or none
 *     CAS numbers               the next one is above all that were told
 *
 * Values certify themselves: each byte follows from key, version and length. Nothing is evicted, so
 * what is missing is an error.
 *
 *     SNUG_SEED=0x1234 SNUG_KILLS=10000 build/tests/laws/test_killed */
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
#define LIMIT_BYTES (24 * MIB)
#define KEYS 2000u
#define VALUE_MAX 70000u
#define KILLS 300u

/* What is known of a key; bytes 0: it is not there. */
struct note {
	uint32_t version;
	uint32_t bytes;
	uint32_t flags;
	uint32_t expires; /* it has an expiry, far away */
};

struct diary {
	struct note note[KEYS];
	struct note next; /* of the key under way */
	_Atomic uint32_t under_way; /* key + 1; 0: none */
	_Atomic uint32_t flushes;   /* a flush is under way */
	_Atomic uint32_t is_ready;  /* the child has compared all, and works */
	_Atomic uint64_t cas_told;
	uint64_t operations;
	uint64_t recovered;
	uint64_t dropped;
};

static struct diary *diary;
static test_random random_numbers;

/* In the child: its parent hears of it by its status. */
#define CHECK(is_so, ...) \
	do { \
		if (is_so) break; \
		fprintf(stderr, "%s:%d: ", __FILE__, __LINE__); \
		fprintf(stderr, __VA_ARGS__); \
		fputc('\n', stderr); \
		_exit(1); \
	} while (0)

/* ------------------------------------------------------------------ items -------------------- */

static unsigned char expected[VALUE_MAX], found[VALUE_MAX];

static snug_key key_of(uint32_t number, char *text) {
	int length = snprintf(text, 32, "key-%u-%0*u", number, (int)(number % 11) + 1, number);
	return snug_shard_key(text, (size_t)length);
}

static void make_value(uint32_t number, uint32_t version, uint32_t bytes) {
	test_random_fill(expected, bytes, (uint64_t)number << 32 | version);
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
	if (note->bytes != item->value_bytes || note->flags != item->attributes.client_flags ||
		(note->expires != 0) != (item->attributes.expires_at_s != 0))
		return false;
	make_value(number, note->version, note->bytes);
	CHECK(snug_shard_read(shard, item, 0, found, note->bytes) == SNUG_OK, "key %u", number);
	return memcmp(found, expected, note->bytes) == 0;
}

/* What is there is noted again, for the next one. */
static void compare_key(snug_shard *shard, uint32_t number, bool is_under_way) {
	char text[32];
	snug_item item;
	snug_key key = key_of(number, text);
	struct note *note = &diary->note[number];
	bool is_flushed = atomic_load(&diary->flushes) != 0;
	snug_error error = snug_shard_find(shard, &key, &item);
	if (error == SNUG_ERROR_NOT_FOUND) {
		CHECK(note->bytes == 0 || is_under_way || is_flushed, "key %u is missing", number);
		note->bytes = 0;
		return;
	}
	CHECK(error == SNUG_OK, "key %u: %s", number, snug_error_text(error));
	if (note->bytes != 0 && is_note(shard, number, &item, note)) return;
	CHECK(is_under_way, "key %u is wrong: %zu bytes, where %u are noted", number, item.value_bytes,
		  note->bytes);
	CHECK(diary->next.bytes != 0 && is_note(shard, number, &item, &diary->next),
		  "key %u is neither the old nor the new one", number);
	*note = diary->next;
}

static void compare_all(snug_shard *shard) {
	snug_check_result result = {0};
	snug_shard_stats stats;
	uint32_t under_way = atomic_load(&diary->under_way), items = 0;
	CHECK(snug_shard_check(shard, &result) == SNUG_OK, "law %s: %s", result.law, result.message);
	for (uint32_t number = 0; number < KEYS; number++) {
		compare_key(shard, number, number + 1 == under_way);
		items += diary->note[number].bytes != 0;
	}
	CHECK(snug_shard_stats_get(shard, &stats) == SNUG_OK && stats.items == items,
		  "%u items are noted", items);
	CHECK(snug_shard_next_cas(shard) > atomic_load(&diary->cas_told), "a CAS number comes again");
	CHECK(stats.dropped <= 1, "%llu items were dropped", (unsigned long long)stats.dropped);
	diary->recovered += stats.recovered;
	diary->dropped += stats.dropped;
	atomic_store(&diary->under_way, 0);
	atomic_store(&diary->flushes, 0);
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
}

static snug_attributes attributes_of(const snug_shard *shard, const struct note *note) {
	return (snug_attributes){
		.client_flags = note->flags,
		.expires_at_s =
			note->expires == 0 ? 0 : (uint32_t)snug_shard_now_s(shard) + 100000 + note->expires};
}

/* Often as long as the old one, which is then changed in place. */
static void set(snug_shard *shard, uint32_t number, const snug_key *key) {
	struct note *next = begin(number);
	if (next->bytes == 0 || test_random_chance(&random_numbers, 600)) {
		next->bytes = random_bytes();
		next->flags = (uint32_t)test_random_below(&random_numbers, 3);
		next->expires = (uint32_t)test_random_below(&random_numbers, 4) == 0;
	}
	snug_attributes attributes = attributes_of(shard, next);
	make_value(number, next->version, next->bytes);
	CHECK(snug_shard_set(shard, key, &attributes, expected, next->bytes) == SNUG_OK, "set");
	end(number);
}

/* A value in pieces, as a client sends it. */
static void lease(snug_shard *shard, uint32_t number, const snug_key *key) {
	struct note *next = begin(number);
	next->bytes = 1 + (uint32_t)test_random_below(&random_numbers, VALUE_MAX);
	snug_attributes attributes = attributes_of(shard, next);
	snug_lease lease;
	make_value(number, next->version, next->bytes);
	CHECK(snug_shard_reserve(shard, key, next->bytes, &lease) == SNUG_OK, "reserve");
	for (size_t at = 0; at < next->bytes;) {
		snug_extent extent[32];
		size_t count = 32;
		CHECK(snug_shard_lease_view(shard, &lease, at, next->bytes - at, extent, &count) ==
					  SNUG_OK ||
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

/* Another expiry, in place if it had one; or a CAS number. */
static void change(snug_shard *shard, uint32_t number, const snug_key *key) {
	snug_item item;
	uint64_t cas;
	if (snug_shard_get(shard, key, &item) != SNUG_OK) return;
	struct note *next = begin(number);
	next->version--; /* the value stays */
	if (test_random_chance(&random_numbers, 500)) {
		CHECK(snug_shard_cas(shard, key, &item, &cas) == SNUG_OK, "cas");
		if (cas > atomic_load(&diary->cas_told)) atomic_store(&diary->cas_told, cas);
	} else {
		next->expires = 1 + (uint32_t)test_random_below(&random_numbers, 1000);
		next->flags++;
		snug_attributes attributes = attributes_of(shard, next);
		attributes.cas = item.attributes.cas;
		CHECK(snug_shard_change(shard, key, &item, &attributes) == SNUG_OK, "change");
	}
	end(number);
}

static void remove_key(snug_shard *shard, uint32_t number, const snug_key *key) {
	begin(number)->bytes = 0;
	snug_error error = snug_shard_delete(shard, key);
	CHECK(error == SNUG_OK || diary->note[number].bytes == 0, "delete");
	end(number);
}

static void flush(snug_shard *shard) {
	atomic_store(&diary->flushes, 1);
	snug_shard_flush(shard, 0);
	for (uint32_t number = 0; number < KEYS; number++) diary->note[number].bytes = 0;
	atomic_store(&diary->flushes, 0);
}

/* Objects move, the index grows and shrinks, memory goes back. */
static void keep_house(snug_shard *shard) {
	uint32_t kind = (uint32_t)test_random_below(&random_numbers, 10);
	snug_defragment_options options = snug_defragment_options_default();
	snug_report report;
	if (kind < 8) {
		for (uint32_t slices = 0; slices < 20 && snug_shard_maintain(shard); slices++) continue;
		return;
	}
	snug_error error = snug_defragment(snug_shard_heap(shard), &options, &report);
	CHECK(error == SNUG_OK || error == SNUG_ERROR_BUSY, "defragment: %s", snug_error_text(error));
}

static void work(snug_shard *shard) {
	/* In waves, so that the index grows and shrinks. */
	uint32_t removes = (uint32_t)test_random_below(&random_numbers, 2) == 0 ? 700 : 100;
	uint32_t keys = 1 + (uint32_t)test_random_below(&random_numbers, KEYS);
	for (;; diary->operations++) {
		char text[32];
		uint32_t number = (uint32_t)test_random_below(&random_numbers, keys);
		snug_key key = key_of(number, text);
		uint32_t kind = (uint32_t)test_random_below(&random_numbers, 1000);
		if (kind < removes)
			remove_key(shard, number, &key);
		else if (kind < 880)
			set(shard, number, &key);
		else if (kind < 960)
			change(shard, number, &key);
		else if (kind < 970)
			lease(shard, number, &key);
		else if (kind < 999)
			keep_house(shard);
		else if (test_random_chance(&random_numbers, 50))
			flush(shard);
	}
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
	options.heap.limit_bytes = LIMIT_BYTES;
	options.heap.memory_file = file;
	options.no_eviction = true;
	error = snug_shard_create(&options, &shard);
	CHECK(error == SNUG_OK, "%s: %s", snug_error_text(error), snug_memory_file_reason(file));
	compare_all(shard);
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
	for (uint64_t number = 0; number < kills; number++)
		one_life(descriptor, (seed << 20) + number);
	printf("%llu kills, %llu operations, %llu items recovered, %llu half-changed ones dropped\n",
		   (unsigned long long)kills, (unsigned long long)diary->operations,
		   (unsigned long long)diary->recovered, (unsigned long long)diary->dropped);
	assert_true(diary->recovered > 0);
	munmap(diary, sizeof *diary);
	close(descriptor);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whoever_is_killed_loses_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
