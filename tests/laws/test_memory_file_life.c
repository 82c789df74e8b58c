/* test_memory_file_life.c: a memory file's life beyond one open and one close.
 *
 * - A shard that ends and begins again in one open file goes by the same clock.
 * - Another boot: clocks go on by what the wall says has passed, and by that alone from then on.
 * - What clients of workers had freed is free.
 * - Workers that are refused leave nothing in use, so that the file can be discarded.
 * - What is no memory file keeps its mode; what could not be begun is empty again. */
#include "os/memory_file_parts.h"
#include "os/threads.h"
#include "support/require.h"
#include "unit/cmocka_all.h"

#include <fcntl.h>
#include <snug/snug.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define MIB ((size_t)1 << 20)
#define CLOCK_S 1000000

static int make_descriptor(void) {
	int descriptor = memfd_create("snug-test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_true(descriptor >= 0);
	return descriptor;
}

static snug_error make_file(int descriptor, snug_memory_file **out) {
	snug_memory_file_options options = snug_memory_file_options_default();
	options.descriptor = descriptor;
	return snug_memory_file_create(&options, out);
}

static snug_memory_file *open_file(int descriptor) {
	snug_memory_file *file = NULL;
	REQUIRE_OK(make_file(descriptor, &file));
	return file;
}

static snug_shard *shard_in(snug_memory_file *file) {
	snug_shard *shard = NULL;
	snug_shard_options options = snug_shard_options_default();
	options.heap.limit_bytes = 4 * MIB;
	options.heap.memory_file = file;
	REQUIRE_OK(snug_shard_create(&options, &shard));
	return shard;
}

static void store(snug_shard *shard, const char *name, uint32_t lives_s) {
	snug_key key = snug_shard_key(name, strlen(name));
	snug_attributes attributes = {.expires_at_s = (uint32_t)snug_shard_now_s(shard) + lives_s};
	REQUIRE_OK(snug_shard_set(shard, &key, &attributes, "value", 5));
}

static bool has(snug_shard *shard, const char *name) {
	snug_key key = snug_shard_key(name, strlen(name));
	snug_item item;
	return snug_shard_get(shard, &key, &item) == SNUG_OK;
}

/* ------------------------------------------------------------------ clocks ------------------- */

static void a_shard_begins_again_in_an_open_file(void **state) {
	int descriptor = make_descriptor();
	(void)state;
	snug_memory_file *file = open_file(descriptor);
	snug_shard *shard = shard_in(file);
	store(shard, "a", 1000);
	int64_t before_s = snug_shard_now_s(shard);
	for (uint32_t round = 0; round < 3; round++) {
		REQUIRE_OK(snug_shard_destroy(shard));
		shard = shard_in(file);
		assert_in_range(snug_shard_now_s(shard), before_s, before_s + 30);
		assert_true(has(shard, "a"));
	}
	REQUIRE_OK(snug_shard_destroy(shard));
	REQUIRE_OK(snug_memory_file_destroy(file));
	close(descriptor);
}

/* The file was closed `gone_s` ago, by another boot whose clock was far ahead of ours. */
static void boot_anew(int descriptor, int64_t gone_s) {
	struct file_header *header =
		mmap(NULL, FILE_HEAD_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
	assert_true(header != MAP_FAILED);
	struct segment_head *head = (void *)((char *)header + FILE_GRAIN);
	header->closed.boot[0] ^= 1;
	header->closed.wall_s -= gone_s;
	head->left.boot[0] ^= 1;
	head->left.wall_s -= gone_s;
	header->clock.begun_ns += UINT64_C(1) << 60;
	struct file_header summed = *header;
	summed.sum = 0;
	summed.mark = MARK_NEW;
	header->sum = XXH3_64bits_withSeed(&summed, sizeof summed, XXH3_64bits(head, FILE_GRAIN));
	munmap(header, FILE_HEAD_BYTES);
}

static void a_shard_s_clock_outlives_a_boot(void **state) {
	int descriptor = make_descriptor();
	(void)state;
	snug_memory_file *file = open_file(descriptor);
	snug_shard *shard = shard_in(file);
	store(shard, "short", 50);
	store(shard, "long", 1000);
	int64_t before_s = snug_shard_now_s(shard);
	REQUIRE_OK(snug_shard_destroy(shard));
	REQUIRE_OK(snug_memory_file_destroy(file));
	boot_anew(descriptor, 200);
	for (uint32_t round = 0; round < 3; round++) {
		file = open_file(descriptor);
		shard = shard_in(file);
		assert_in_range(snug_shard_now_s(shard), before_s + 200, before_s + 230);
		assert_false(has(shard, "short"));
		assert_true(has(shard, "long"));
		REQUIRE_OK(snug_shard_destroy(shard));
		if (round == 0) {
			shard = shard_in(file);
			assert_in_range(snug_shard_now_s(shard), before_s + 200, before_s + 230);
			REQUIRE_OK(snug_shard_destroy(shard));
		}
		REQUIRE_OK(snug_memory_file_destroy(file));
	}
	close(descriptor);
}

/* As a server has one, for all its shards. */
static void use_clock(int descriptor, int64_t expected_s) {
	snug_memory_file *file = open_file(descriptor);
	struct os_epoch clock;
	assert_true(memory_file_clock(file, &clock));
	memory_file_set_clock(file, &clock);
	assert_in_range(os_epoch_s(&clock, os_now_ns()), expected_s, expected_s + 30);
	REQUIRE_OK(snug_shard_destroy(shard_in(file)));
	REQUIRE_OK(snug_memory_file_destroy(file));
}

static void a_file_s_clock_outlives_a_boot(void **state) {
	int descriptor = make_descriptor();
	(void)state;
	snug_memory_file *file = open_file(descriptor);
	struct os_epoch clock = {.begun_s = CLOCK_S, .begun_ns = os_now_ns()};
	assert_false(memory_file_clock(file, &clock));
	memory_file_set_clock(file, &clock);
	REQUIRE_OK(snug_shard_destroy(shard_in(file)));
	REQUIRE_OK(snug_memory_file_destroy(file));
	use_clock(descriptor, CLOCK_S);
	boot_anew(descriptor, 200);
	use_clock(descriptor, CLOCK_S + 200);
	use_clock(descriptor, CLOCK_S + 200);
	close(descriptor);
}

/* A clock that is told, and a file that no heap was given, is as it was. */
static void a_clock_alone_changes_nothing(void **state) {
	int descriptor = make_descriptor();
	(void)state;
	snug_memory_file *file = open_file(descriptor);
	REQUIRE_OK(snug_shard_destroy(shard_in(file)));
	REQUIRE_OK(snug_memory_file_destroy(file));
	file = open_file(descriptor);
	struct os_epoch clock = {.begun_s = CLOCK_S, .begun_ns = os_now_ns()};
	assert_false(memory_file_clock(file, &clock));
	memory_file_set_clock(file, &clock);
	REQUIRE_OK(snug_memory_file_destroy(file));
	file = open_file(descriptor);
	REQUIRE_OK(snug_shard_destroy(shard_in(file)));
	REQUIRE_OK(snug_memory_file_destroy(file));
	close(descriptor);
}

/* ------------------------------------------------------------------ workers ------------------ */

#define LARGE 8u

static snug_workers *workers_in(snug_memory_file *file) {
	snug_workers *workers;
	snug_workers_options options = snug_workers_options_default();
	options.count = 1;
	options.heap.limit_bytes = 64 * MIB;
	options.heap.memory_file = file;
	REQUIRE_OK(snug_workers_create(&options, &workers));
	return workers;
}

/* What clients have freed, and a worker had no time to give back yet, can be named by nobody. */
static void what_was_freed_is_not_kept(void **state) {
	int descriptor = make_descriptor();
	snug_object objects[LARGE];
	snug_worker_stats stats;
	snug_client *client;
	(void)state;
	snug_memory_file *file = open_file(descriptor);
	snug_workers *workers = workers_in(file);
	REQUIRE_OK(snug_client_create(workers, NULL, &client));
	for (uint32_t i = 0; i < LARGE; i++)
		REQUIRE_OK(snug_client_alloc(client, 0, 4 * MIB, NULL, 0, &objects[i]));
	for (uint32_t i = 0; i < LARGE; i++) REQUIRE_OK(snug_client_free(client, objects[i]));
	REQUIRE_OK(snug_client_destroy(client));
	REQUIRE_OK(snug_workers_destroy(workers));
	REQUIRE_OK(snug_memory_file_destroy(file));
	file = open_file(descriptor);
	workers = workers_in(file);
	REQUIRE_OK(snug_workers_stats(workers, 0, &stats));
	assert_int_equal(stats.heap.total.payload_bytes, 0);
	REQUIRE_OK(snug_workers_destroy(workers));
	REQUIRE_OK(snug_memory_file_destroy(file));
	close(descriptor);
}

/* ------------------------------------------------------------------ refused ------------------ */

static void refused_workers_leave_nothing_in_use(void **state) {
	int descriptor = make_descriptor();
	(void)state;
	snug_memory_file *file = open_file(descriptor);
	snug_cache_options options = snug_cache_options_default();
	options.limit_bytes = 8 * MIB;
	options.memory_file = file;
	snug_cache *cache;
	snug_cache_client *client;
	REQUIRE_OK(snug_cache_create(&options, &cache));
	REQUIRE_OK(snug_cache_client_create(cache, NULL, &client));
	static unsigned char
		noise[4 * MIB]; /* pieces of a value: the heap looks at what is behind them */
	REQUIRE_OK(snug_cache_set(client, "key", 3, noise, MIB / 2, NULL));
	REQUIRE_OK(snug_cache_client_destroy(client));
	REQUIRE_OK(snug_cache_destroy(cache));
	const struct segment_head *head = file->segment[0].head;
	uint64_t at = 0;
	for (uint32_t number = 0; number < FILE_PARTS_MAX; number++)
		if (head->part[number].holds_objects != 0) at = head->part[number].offset;
	REQUIRE_OK(snug_memory_file_destroy(file));
	memset(noise, 0xA5, sizeof noise);
	assert_int_equal(pwrite(descriptor, noise, sizeof noise, (off_t)at), sizeof noise);
	file = open_file(descriptor);
	options.memory_file = file;
	REQUIRE_ERROR(SNUG_ERROR_CORRUPT, snug_cache_create(&options, &cache));
	REQUIRE_OK(snug_memory_file_discard(file));
	REQUIRE_OK(snug_cache_create(&options, &cache));
	REQUIRE_OK(snug_cache_destroy(cache));
	REQUIRE_OK(snug_memory_file_destroy(file));
	close(descriptor);
}

static void what_is_not_ours_keeps_its_mode(void **state) {
	int descriptor = make_descriptor();
	struct stat stat;
	snug_memory_file *file;
	(void)state;
	assert_int_equal(write(descriptor, "hello, world", 12), 12);
	assert_int_equal(fchmod(descriptor, 0644), 0);
	REQUIRE_ERROR(SNUG_ERROR_FILE, make_file(descriptor, &file));
	assert_int_equal(fstat(descriptor, &stat), 0);
	assert_int_equal(stat.st_mode & 0777, 0644);
	close(descriptor);
}

/* Else it would not be ours any more: neither empty nor a memory file. */
static void what_cannot_be_begun_is_empty_again(void **state) {
	int descriptor = make_descriptor();
	struct stat stat;
	snug_memory_file *file;
	(void)state;
	assert_int_equal(fcntl(descriptor, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
	assert_int_not_equal(make_file(descriptor, &file), SNUG_OK);
	assert_int_equal(fstat(descriptor, &stat), 0);
	assert_int_equal(stat.st_size, 0);
	close(descriptor);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_shard_begins_again_in_an_open_file),
		cmocka_unit_test(a_shard_s_clock_outlives_a_boot),
		cmocka_unit_test(a_file_s_clock_outlives_a_boot),
		cmocka_unit_test(a_clock_alone_changes_nothing),
		cmocka_unit_test(what_was_freed_is_not_kept),
		cmocka_unit_test(refused_workers_leave_nothing_in_use),
		cmocka_unit_test(what_is_not_ours_keeps_its_mode),
		cmocka_unit_test(what_cannot_be_begun_is_empty_again),
	};
	return cmocka_run_group_tests_name("memory file's life", tests, NULL, NULL);
}
