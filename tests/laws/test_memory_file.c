/* test_memory_file.c: what lies in a memory file is there for the next process, whole or not at all.
 *
 * - A heap by handle, and a shard, of each size of pages: closed and attached again and again while a
 *   twin remembers every object. All laws are walked after each attach, and no pointer is left that
 *   leads to where the memory was.
 * - What does not fit is refused by a typed error, and is as it was: not ours, of another version,
 *   shorter, not closed in order, of other pages, names, limits or workers, in use.
 * - Bytes changed at random: refused, or all laws hold, and the heap goes on.
 * - What is given back is a hole in the file.
 *
 * "Process" is an open file here: nothing is kept in the library in between.
 *
 *     SNUG_SEED=0x1234 build/tests/laws/test_memory_file */
#include "cache/shard/shard_state.h"
#include "mem/types.h"
#include "os/memory_file_parts.h"
#include "support/require.h"
#include "support/test_random.h"
#include "unit/cmocka_all.h"

#include <fcntl.h>
#include <snug/snug.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

static test_random random_numbers;

/* ------------------------------------------------------------------ files -------------------- */

static int make_descriptor(void) {
	int descriptor = memfd_create("snug-test", MFD_CLOEXEC);
	assert_true(descriptor >= 0);
	return descriptor;
}

static snug_memory_file_options options_of(int descriptor, uint32_t segments) {
	snug_memory_file_options options = snug_memory_file_options_default();
	options.descriptor = descriptor;
	options.segments = segments;
	return options;
}

static snug_memory_file *open_file(int descriptor, uint32_t segments) {
	snug_memory_file *file = NULL;
	snug_memory_file_options options = options_of(descriptor, segments);
	REQUIRE_OK(snug_memory_file_create(&options, &file));
	return file;
}

static void throw_away(snug_memory_file *file) {
	REQUIRE_OK(snug_memory_file_discard(file));
	REQUIRE_OK(snug_memory_file_destroy(file));
}

static uint64_t file_bytes(int descriptor) {
	struct stat stat;
	assert_int_equal(fstat(descriptor, &stat), 0);
	return (uint64_t)stat.st_blocks * 512;
}

static snug_heap *heap_in(snug_memory_file *file, size_t limit_bytes, size_t page_bytes) {
	snug_heap *heap = NULL;
	snug_heap_options options = snug_heap_options_default();
	options.limit_bytes = limit_bytes;
	options.limit_max_bytes = 64 * MIB;
	options.page_bytes = page_bytes;
	options.memory_file = file;
	REQUIRE_OK(snug_heap_create(&options, &heap));
	return heap;
}

static snug_shard_options shard_options(snug_memory_file *file, size_t page_bytes) {
	snug_shard_options options = snug_shard_options_default();
	options.heap.limit_bytes = 16 * MIB;
	options.heap.limit_max_bytes = 64 * MIB;
	options.heap.page_bytes = page_bytes;
	options.heap.memory_file = file;
	return options;
}

static snug_shard *shard_in(snug_memory_file *file, size_t page_bytes) {
	snug_shard *shard = NULL;
	snug_shard_options options = shard_options(file, page_bytes);
	REQUIRE_OK(snug_shard_create(&options, &shard));
	return shard;
}

/* ------------------------------------------------------------------ no address is left ------- */

struct places {
	uintptr_t begin[FILE_PARTS_MAX];
	uint64_t bytes[FILE_PARTS_MAX];
};

static struct places places_of(const snug_memory_file *file) {
	struct places places = {0};
	for (uint32_t number = 0; number < FILE_PARTS_MAX; number++) {
		places.begin[number] = (uintptr_t)file->segment[0].mapped[number];
		places.bytes[number] = file->segment[0].head->part[number].bytes;
	}
	return places;
}

static bool was_there(const struct places *places, uint64_t word) {
	for (uint32_t number = 0; number < FILE_PARTS_MAX; number++)
		if (word - places->begin[number] < places->bytes[number]) return true;
	return false;
}

/* Of the struct, and of what of the tables holds pointers. The heap's bias is no pointer: it is a
 * page before the arena, and the arena may have come to lie right behind where it was. */
static void require_moved(const struct places *before, const snug_heap *heap, const void *begin,
						  size_t bytes, const char *what) {
	for (size_t at = 0; at + 8 <= bytes; at += 8) {
		uint64_t word;
		memcpy(&word, (const char *)begin + at, sizeof word);
		if (word == heap->bias) continue;
		REQUIRE(!was_there(before, word), "byte %zu of %s leads to where it was", at, what);
	}
}

static void require_heap_moved(const struct places *before, const snug_heap *heap) {
	const struct arena *arena = &heap->arena;
	REQUIRE(heap->bias == (uintptr_t)arena->base - arena->page_bytes,
			"the heap's bias is another's");
	require_moved(before, heap, heap->fixed.base, heap->fixed.committed_bytes, "the heap");
	require_moved(before, heap, heap->cells.range.base, heap->cells.range.committed_bytes, "cells");
	for (page_number number = 0; number < arena->described; number++)
		if (arena->pages[number].state >= PAGE_SLAB)
			require_moved(before, heap, &arena->pages[number], sizeof(struct page), "a descriptor");
}

/* So that the kernel can't put the memory where it was. */
struct blocked {
	void *address[FILE_PARTS_MAX];
	size_t bytes[FILE_PARTS_MAX];
};

static struct blocked block(const struct places *places) {
	struct blocked blocked = {0};
	for (uint32_t number = 0; number < FILE_PARTS_MAX; number++) {
		if (places->bytes[number] == 0) continue;
		void *address =
			mmap((void *)places->begin[number], places->bytes[number], PROT_NONE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
		if (address == MAP_FAILED) continue;
		blocked.address[number] = address;
		blocked.bytes[number] = places->bytes[number];
	}
	return blocked;
}

static void unblock(const struct blocked *blocked) {
	for (uint32_t number = 0; number < FILE_PARTS_MAX; number++)
		if (blocked->bytes[number] > 0) munmap(blocked->address[number], blocked->bytes[number]);
}

/* ------------------------------------------------------------------ heaps by handle ---------- */

#define OBJECTS 3000u

struct object {
	snug_handle handle; /* 0: none */
	uint32_t size;
	uint64_t pattern;
};

static uint32_t random_size(void) {
	if (test_random_chance(&random_numbers, 10))
		return 1 + (uint32_t)test_random_below(&random_numbers, 200000);
	if (test_random_chance(&random_numbers, 200))
		return 1 + (uint32_t)test_random_below(&random_numbers, 5000);
	return 1 + (uint32_t)test_random_below(&random_numbers, 300);
}

static void store_object(snug_heap *heap, struct object *object) {
	static unsigned char bytes[200001];
	object->size = random_size();
	object->pattern = test_random_next(&random_numbers);
	if (snug_alloc(heap, object->size, &object->handle) != SNUG_OK) {
		object->handle = 0;
		return;
	}
	test_random_fill(bytes, object->size, object->pattern);
	REQUIRE_OK(snug_write(heap, object->handle, 0, bytes, object->size));
}

static void require_object(snug_heap *heap, const struct object *object) {
	static unsigned char bytes[200001], expected[200001];
	size_t size;
	REQUIRE_OK(snug_size(heap, object->handle, &size));
	assert_int_equal(size, object->size);
	REQUIRE_OK(snug_read(heap, object->handle, 0, bytes, size));
	test_random_fill(expected, size, object->pattern);
	REQUIRE(memcmp(bytes, expected, size) == 0, "an object's bytes are other ones");
}

static void churn(snug_heap *heap, struct object *objects, uint32_t operations) {
	for (uint32_t i = 0; i < operations; i++) {
		struct object *object = &objects[test_random_below(&random_numbers, OBJECTS)];
		if (object->handle != 0) REQUIRE_OK(snug_free(heap, object->handle));
		object->handle = 0;
		if (test_random_chance(&random_numbers, 650)) store_object(heap, object);
	}
}

static void handles_stay_valid(void **state) {
	static struct object objects[OBJECTS];
	(void)state;
	for (size_t page_bytes = 4096; page_bytes <= 65536; page_bytes *= 2) {
		int descriptor = make_descriptor();
		memset(objects, 0, sizeof objects);
		snug_handle stale = 0;
		struct places before = {0};
		for (uint32_t round = 0; round < 6; round++) {
			struct blocked blocked = block(&before);
			snug_memory_file *file = open_file(descriptor, 1);
			assert_int_equal(snug_memory_file_holds(file), round > 0);
			snug_heap *heap = heap_in(file, (8 + 4 * (round % 3)) * MIB, page_bytes);
			REQUIRE_OK(snug_check(heap, NULL));
			if (round > 0) require_heap_moved(&before, heap);
			for (uint32_t i = 0; i < OBJECTS; i++)
				if (objects[i].handle != 0) require_object(heap, &objects[i]);
			size_t size;
			if (stale != 0) REQUIRE_ERROR(SNUG_ERROR_HANDLE, snug_size(heap, stale, &size));
			churn(heap, objects, 6000);
			if (round % 2 == 1) {
				snug_defragment_options options = snug_defragment_options_default();
				snug_report report;
				options.retain_bytes = 0;
				REQUIRE_OK(snug_defragment(heap, &options, &report));
			}
			REQUIRE_OK(snug_alloc(heap, 10, &stale));
			REQUIRE_OK(snug_free(heap, stale));
			REQUIRE_OK(snug_check(heap, NULL));
			before = places_of(file);
			REQUIRE_ERROR(SNUG_ERROR_IN_USE, snug_memory_file_destroy(file));
			REQUIRE_OK(snug_heap_destroy(heap));
			REQUIRE_OK(snug_memory_file_destroy(file));
			unblock(&blocked);
		}
		close(descriptor);
	}
}

/* In the middle of whatever takes steps. */
static void kept_amid_a_defragmentation(void **state) {
	static struct object objects[OBJECTS];
	(void)state;
	memset(objects, 0, sizeof objects);
	int descriptor = make_descriptor();
	for (uint32_t steps = 0; steps < 60; steps++) {
		snug_memory_file *file = open_file(descriptor, 1);
		snug_heap *heap = heap_in(file, 8 * MIB, 4096);
		REQUIRE_OK(snug_check(heap, NULL));
		churn(heap, objects, 1500);
		snug_defragment_options options = snug_defragment_options_default();
		options.merge_classes = true;
		options.retain_bytes = 0;
		bool done = false;
		REQUIRE_OK(snug_defragment_begin(heap, &options));
		for (uint32_t step = 0; step < steps && !done; step++)
			REQUIRE_OK(snug_defragment_step(heap, &done));
		REQUIRE_OK(snug_check_begin(heap));
		REQUIRE_OK(snug_heap_destroy(heap));
		REQUIRE_OK(snug_memory_file_destroy(file));
	}
	close(descriptor);
}

static void pins_are_not_kept(void **state) {
	(void)state;
	int descriptor = make_descriptor();
	snug_memory_file *file = open_file(descriptor, 1);
	snug_heap *heap = heap_in(file, 8 * MIB, 0);
	snug_handle handle;
	REQUIRE_OK(snug_alloc(heap, 100, &handle));
	REQUIRE_OK(snug_pin(heap, handle));
	REQUIRE_OK(snug_heap_destroy(heap));
	REQUIRE_ERROR(SNUG_ERROR_PINNED, snug_memory_file_destroy(file));
	throw_away(file);
	assert_int_equal(file_bytes(descriptor), 0);
	close(descriptor);
}

static void charges_are_the_owner_s(void **state) {
	(void)state;
	int descriptor = make_descriptor();
	for (uint32_t round = 0; round < 3; round++) {
		snug_memory_file *file = open_file(descriptor, 1);
		snug_heap *heap = heap_in(file, 8 * MIB, 0);
		snug_stats stats;
		REQUIRE_OK(snug_stats_get(heap, &stats));
		assert_int_equal(stats.charged_bytes, 0);
		REQUIRE_OK(snug_heap_charge(heap, 5 * MIB));
		REQUIRE_OK(snug_heap_destroy(heap));
		REQUIRE_OK(snug_memory_file_destroy(file));
	}
	close(descriptor);
}

/* ------------------------------------------------------------------ shards ------------------- */

#define KEYS 4000u

struct entry {
	bool is_there;
	uint32_t value_bytes;
	uint64_t pattern;
	uint32_t client_flags;
	uint32_t expires_at_s;
	uint64_t cas;
};

static snug_key key_of(uint32_t number, char *text) {
	int length = snprintf(text, 32, "key-%u", number);
	return snug_shard_key(text, (size_t)length);
}

static void store_item(snug_shard *shard, uint32_t number, struct entry *entry) {
	static unsigned char bytes[200001];
	char text[32];
	snug_key key = key_of(number, text);
	*entry = (struct entry){.is_there = true,
							.value_bytes = random_size(),
							.pattern = test_random_next(&random_numbers)};
	if (test_random_chance(&random_numbers, 200)) entry->client_flags = (uint32_t)number;
	if (test_random_chance(&random_numbers, 200))
		entry->expires_at_s = (uint32_t)snug_shard_now_s(shard) + 100000;
	snug_attributes attributes = {.client_flags = entry->client_flags,
								  .expires_at_s = entry->expires_at_s};
	if (test_random_chance(&random_numbers, 100))
		attributes.cas = entry->cas = snug_shard_next_cas(shard);
	test_random_fill(bytes, entry->value_bytes, entry->pattern);
	REQUIRE_OK(snug_shard_set(shard, &key, &attributes, bytes, entry->value_bytes));
}

/* What was evicted is not there; what is there is what was stored. The items found. */
static uint32_t require_items(snug_shard *shard, const struct entry *entries) {
	static unsigned char bytes[200001], expected[200001];
	uint32_t found = 0;
	for (uint32_t number = 0; number < KEYS; number++) {
		const struct entry *entry = &entries[number];
		char text[32];
		snug_item item;
		snug_key key = key_of(number, text);
		snug_error error = snug_shard_find(shard, &key, &item);
		if (error == SNUG_ERROR_NOT_FOUND) continue;
		REQUIRE_OK(error);
		REQUIRE(entry->is_there, "a deleted key is there: %s", text);
		found++;
		assert_int_equal(item.value_bytes, entry->value_bytes);
		assert_int_equal(item.attributes.client_flags, entry->client_flags);
		assert_int_equal(item.attributes.expires_at_s, entry->expires_at_s);
		if (entry->cas != 0) assert_int_equal(item.attributes.cas, entry->cas);
		REQUIRE_OK(snug_shard_read(shard, &item, 0, bytes, item.value_bytes));
		test_random_fill(expected, item.value_bytes, entry->pattern);
		REQUIRE(memcmp(bytes, expected, item.value_bytes) == 0, "the value of %s is another", text);
	}
	return found;
}

static void use_shard(snug_shard *shard, struct entry *entries, uint32_t operations) {
	for (uint32_t i = 0; i < operations; i++) {
		uint32_t number = (uint32_t)test_random_below(&random_numbers, KEYS);
		char text[32];
		snug_key key = key_of(number, text);
		snug_item item;
		if (test_random_chance(&random_numbers, 100)) {
			snug_error error = snug_shard_delete(shard, &key);
			assert_true(error == SNUG_OK || error == SNUG_ERROR_NOT_FOUND);
			entries[number].is_there = false;
		} else if (test_random_chance(&random_numbers, 300)) {
			(void)!snug_shard_get(shard, &key, &item);
		} else {
			store_item(shard, number, &entries[number]);
		}
		if (i % 8 == 0) (void)snug_shard_maintain(shard);
	}
}

static uint64_t items_of(snug_shard *shard) {
	snug_shard_stats stats;
	REQUIRE_OK(snug_shard_stats_get(shard, &stats));
	return stats.items;
}

static void items_stay(void **state) {
	static struct entry entries[KEYS];
	(void)state;
	for (size_t page_bytes = 4096; page_bytes <= 65536; page_bytes *= 4) {
		int descriptor = make_descriptor();
		uint64_t items = 0, cas = 0;
		struct places before = {0};
		memset(entries, 0, sizeof entries);
		for (uint32_t round = 0; round < 8; round++) {
			struct blocked blocked = block(&before);
			snug_memory_file *file = open_file(descriptor, 1);
			snug_shard *shard = shard_in(file, page_bytes);
			REQUIRE_OK(snug_shard_check(shard, NULL));
			snug_shard_stats stats;
			REQUIRE_OK(snug_shard_stats_get(shard, &stats));
			assert_int_equal(stats.items, items);
			assert_int_equal(stats.attached, items);
			assert_int_equal(require_items(shard, entries), items);
			if (round > 0) {
				require_heap_moved(&before, snug_shard_heap(shard));
				require_moved(&before, snug_shard_heap(shard), shard, offsetof(snug_shard, left_s),
							  "the shard");
			}
			uint64_t next = snug_shard_next_cas(shard);
			REQUIRE(next > cas, "a CAS number is not larger than an earlier one");
			use_shard(shard, entries, 5000);
			if (round == 3) {
				snug_shard_flush(shard, 0);
				memset(entries, 0, sizeof entries);
				use_shard(shard, entries, 500);
			}
			if (round == 5) REQUIRE_OK(snug_shard_set_limit(shard, 10 * MIB));
			REQUIRE_OK(snug_shard_check(shard, NULL));
			items = items_of(shard);
			cas = snug_shard_next_cas(shard);
			before = places_of(file);
			REQUIRE_OK(snug_shard_destroy(shard));
			REQUIRE_OK(snug_memory_file_destroy(file));
			unblock(&blocked);
		}
		close(descriptor);
	}
}

/* With each number of items up to some: at each moment of the index's growing and shrinking. */
static void items_stay_at_each_size(void **state) {
	(void)state;
	int descriptor = make_descriptor();
	for (uint32_t round = 0; round < 400; round++) {
		bool grows = round < 200;
		snug_memory_file *file = open_file(descriptor, 1);
		snug_shard *shard = shard_in(file, 4096);
		uint64_t items = grows ? round * 9ull : (400 - round) * 9ull;
		assert_int_equal(items_of(shard), items);
		for (uint32_t i = 0; i < 9; i++) {
			char text[32];
			snug_key key = key_of((uint32_t)(grows ? items + i : items - 1 - i), text);
			if (grows)
				REQUIRE_OK(snug_shard_set(shard, &key, NULL, text, key.length));
			else
				REQUIRE_OK(snug_shard_delete(shard, &key));
		}
		if (round % 3 == 0) (void)snug_shard_maintain(shard);
		REQUIRE_OK(snug_shard_check(shard, NULL));
		REQUIRE_OK(snug_shard_destroy(shard));
		REQUIRE_OK(snug_memory_file_destroy(file));
	}
	close(descriptor);
}

static void leases_are_not_kept(void **state) {
	(void)state;
	int descriptor = make_descriptor();
	snug_memory_file *file = open_file(descriptor, 1);
	snug_shard *shard = shard_in(file, 0);
	snug_key key = snug_shard_key("a", 1);
	snug_lease lease;
	REQUIRE_OK(snug_shard_reserve(shard, &key, 1000, &lease));
	REQUIRE_OK(snug_shard_destroy(shard));
	REQUIRE_ERROR(SNUG_ERROR_PINNED, snug_memory_file_destroy(file));
	throw_away(file);
	close(descriptor);
}

/* ------------------------------------------------------------------ a cache ------------------ */

static snug_error make_cache(snug_memory_file *file, uint32_t workers, snug_cache **out) {
	snug_cache_options options = snug_cache_options_default();
	options.limit_bytes = 32 * MIB;
	options.workers = workers;
	options.memory_file = file;
	return snug_cache_create(&options, out);
}

static void a_cache_stays(void **state) {
	(void)state;
	int descriptor = make_descriptor();
	for (uint32_t round = 0; round < 3; round++) {
		snug_memory_file *file = open_file(descriptor, 2);
		snug_cache *cache;
		snug_cache_client *client;
		REQUIRE_OK(make_cache(file, 2, &cache));
		REQUIRE_OK(snug_cache_client_create(cache, NULL, &client));
		for (uint32_t number = 0; number < 1000; number++) {
			char text[32], buffer[32];
			snug_key key = key_of(number, text);
			snug_cache_value value;
			snug_error error =
				snug_cache_get(client, key.bytes, key.length, buffer, sizeof buffer, &value);
			REQUIRE_ERROR(round == 0 ? SNUG_ERROR_NOT_FOUND : SNUG_OK, error);
			if (error == SNUG_OK) assert_memory_equal(buffer, text, key.length);
			REQUIRE_OK(snug_cache_set(client, key.bytes, key.length, text, key.length, NULL));
		}
		REQUIRE_OK(snug_cache_client_destroy(client));
		REQUIRE_OK(snug_cache_destroy(cache));
		REQUIRE_OK(snug_memory_file_destroy(file));
	}
	snug_memory_file *file;
	char reason[200];
	snug_memory_file_options options = options_of(descriptor, 3);
	options.reason = reason;
	options.reason_bytes = sizeof reason;
	REQUIRE_ERROR(SNUG_ERROR_LAYOUT, snug_memory_file_create(&options, &file));
	assert_string_equal(reason, "it is of 2 workers, and 3 are wanted");
	close(descriptor);
}

/* ------------------------------------------------------------------ refused ------------------ */

static uint64_t contents_of(int descriptor) {
	static unsigned char bytes[65536];
	uint64_t sum = 0;
	ssize_t count;
	for (off_t at = 0; (count = pread(descriptor, bytes, sizeof bytes, at)) > 0; at += count) {
		if (at > (off_t)(8 * MIB)) break; /* sparse from there on, but for objects */
		for (ssize_t i = 0; i < count; i++) sum = sum * 31 + bytes[i];
	}
	return sum;
}

/* A file with some items. */
static int make_kept(void) {
	int descriptor = make_descriptor();
	snug_memory_file *file = open_file(descriptor, 1);
	snug_shard *shard = shard_in(file, 4096);
	for (uint32_t number = 0; number < 500; number++) {
		char text[32];
		snug_key key = key_of(number, text);
		REQUIRE_OK(snug_shard_set(shard, &key, NULL, text, key.length));
	}
	REQUIRE_OK(snug_shard_destroy(shard));
	REQUIRE_OK(snug_memory_file_destroy(file));
	return descriptor;
}

static void require_refused(int descriptor, snug_error expected) {
	snug_memory_file *file;
	snug_memory_file_options options = options_of(descriptor, 1);
	uint64_t before = contents_of(descriptor);
	REQUIRE_ERROR(expected, snug_memory_file_create(&options, &file));
	assert_int_equal(contents_of(descriptor), before);
}

static void write_at(int descriptor, const void *bytes, size_t count, off_t at) {
	assert_int_equal(pwrite(descriptor, bytes, count, at), count);
}

static void what_is_not_ours_is_not_touched(void **state) {
	(void)state;
	int descriptor = make_descriptor();
	write_at(descriptor, "hello, world", 12, 0);
	require_refused(descriptor, SNUG_ERROR_FILE);
	snug_memory_file *file;
	snug_memory_file_options options = options_of(descriptor, 1);
	options.start_cold = true;
	REQUIRE_ERROR(SNUG_ERROR_FILE, snug_memory_file_create(&options, &file));
	char text[12];
	assert_int_equal(pread(descriptor, text, sizeof text, 0), 12);
	assert_memory_equal(text, "hello, world", 12);
	close(descriptor);
}

/* The system would open it once more to write, whatever this descriptor may do. */
static void what_may_only_be_read_is_refused(void **state) {
	char path[64];
	(void)state;
	int descriptor = make_descriptor();
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
	int read_only = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(read_only >= 0);
	require_refused(read_only, SNUG_ERROR_FILE);
	throw_away(open_file(descriptor, 1));
	require_refused(read_only, SNUG_ERROR_FILE);
	close(read_only);
	close(descriptor);
}

static void another_version_is_refused(void **state) {
	(void)state;
	int descriptor = make_kept();
	uint32_t layout = FILE_LAYOUT + 1;
	write_at(descriptor, &layout, sizeof layout, offsetof(struct file_header, layout));
	require_refused(descriptor, SNUG_ERROR_LAYOUT);
	close(descriptor);
}

static void a_part_of_a_file_is_refused(void **state) {
	(void)state;
	int descriptor = make_kept();
	struct stat stat;
	assert_int_equal(fstat(descriptor, &stat), 0);
	const off_t sizes[] = {stat.st_size - 1,
						   stat.st_size / 2,
						   (off_t)FILE_HEAD_BYTES,
						   (off_t)FILE_HEAD_BYTES - 1,
						   4096,
						   9};
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		assert_int_equal(ftruncate(descriptor, sizes[i]), 0);
		require_refused(descriptor, SNUG_ERROR_LAYOUT);
	}
	assert_int_equal(ftruncate(descriptor, 5), 0);
	require_refused(descriptor, SNUG_ERROR_FILE);
	close(descriptor);
}

static void what_was_not_closed_is_refused(void **state) {
	(void)state;
	int descriptor = make_kept();
	uint32_t mark = MARK_RUNNING;
	char boot = 'x'; /* in another one: its memory is what a disk has of it */
	write_at(descriptor, &mark, sizeof mark, offsetof(struct file_header, mark));
	write_at(descriptor, &boot, sizeof boot, offsetof(struct file_header, closed.boot));
	require_refused(descriptor, SNUG_ERROR_UNCLEAN);
	snug_memory_file *file;
	char reason[200];
	snug_memory_file_options options = options_of(descriptor, 1);
	options.start_cold = true;
	options.reason = reason;
	options.reason_bytes = sizeof reason;
	REQUIRE_OK(snug_memory_file_create(&options, &file));
	assert_false(snug_memory_file_holds(file));
	assert_string_equal(reason, "it was not closed in order, and not by a crash within this boot");
	snug_shard *shard = shard_in(file, 4096);
	assert_int_equal(items_of(shard), 0);
	REQUIRE_OK(snug_shard_destroy(shard));
	throw_away(file);
	assert_int_equal(file_bytes(descriptor), 0);
	close(descriptor);
}

static off_t head_at(uint32_t segment) {
	return (off_t)FILE_GRAIN * (1 + segment);
}

static void mark_as_killed(int descriptor) {
	uint32_t mark = MARK_RUNNING;
	write_at(descriptor, &mark, sizeof mark, offsetof(struct file_header, mark));
}

/* Of two workers whose process was killed: they would write to each other's memory. */
static void segments_that_meet_are_refused(void **state) {
	(void)state;
	int descriptor = make_kept();
	snug_memory_file *file;
	struct file_part part;
	uint32_t segments = 2;
	assert_int_equal(pread(descriptor, &part, sizeof part, head_at(0)), sizeof part);
	assert_true(part.bytes > 0);
	mark_as_killed(descriptor);
	write_at(descriptor, &segments, sizeof segments, offsetof(struct file_header, segments));
	write_at(descriptor, &part, sizeof part, head_at(1));
	snug_memory_file_options options = options_of(descriptor, 2);
	REQUIRE_ERROR(SNUG_ERROR_CORRUPT, snug_memory_file_create(&options, &file));
	close(descriptor);
}

/* Who is killed before its roots are there leaves parts: they go, however often that happens. */
static void what_was_not_finished_goes(void **state) {
	(void)state;
	int descriptor = make_kept();
	const struct file_root none[2][ROOT_COUNT] = {0};
	for (uint32_t life = 0; life < FILE_PARTS_MAX; life++) {
		mark_as_killed(descriptor);
		write_at(descriptor, none, sizeof none,
				 head_at(0) + (off_t)offsetof(struct segment_head, root));
		snug_memory_file *file = open_file(descriptor, 1);
		snug_shard *shard = shard_in(file, 0);
		assert_int_equal(items_of(shard), 0);
		REQUIRE_OK(snug_shard_destroy(shard));
		REQUIRE_OK(snug_memory_file_destroy(file));
	}
	close(descriptor);
}

static void two_on_one_file_are_refused(void **state) {
	(void)state;
	int descriptor = make_kept();
	snug_memory_file *file = open_file(descriptor, 1), *second;
	snug_memory_file_options options = options_of(descriptor, 1);
	REQUIRE_ERROR(SNUG_ERROR_IN_USE, snug_memory_file_create(&options, &second));
	snug_shard *shard = shard_in(file, 0), *other;
	snug_shard_options again = shard_options(file, 0);
	REQUIRE_ERROR(SNUG_ERROR_IN_USE, snug_shard_create(&again, &other));
	REQUIRE_OK(snug_shard_destroy(shard));
	REQUIRE_OK(snug_memory_file_destroy(file));
	close(descriptor);
}

/* Other options, and after each refusal it is as it was. */
static void other_options_are_refused(void **state) {
	(void)state;
	int descriptor = make_kept();
	snug_memory_file *file = open_file(descriptor, 1);
	snug_shard *shard;
	snug_heap *heap;
	uint64_t before = contents_of(descriptor);
	snug_shard_options options = shard_options(file, 8192);
	REQUIRE_ERROR(SNUG_ERROR_LAYOUT, snug_shard_create(&options, &shard));
	assert_string_equal(snug_memory_file_reason(file),
						"its pages are of 4096 bytes, and 8192 are wanted");
	options = shard_options(file, 0);
	options.heap.limit_bytes = options.heap.limit_max_bytes = 65 * MIB;
	REQUIRE_ERROR(SNUG_ERROR_LAYOUT, snug_shard_create(&options, &shard));
	snug_heap_options by_handle = snug_heap_options_default();
	by_handle.limit_bytes = 16 * MIB;
	by_handle.memory_file = file;
	REQUIRE_ERROR(SNUG_ERROR_LAYOUT, snug_heap_create(&by_handle, &heap));
	by_handle.memory_segment = 1;
	REQUIRE_ERROR(SNUG_ERROR_OPTION, snug_heap_create(&by_handle, &heap));
	assert_int_equal(contents_of(descriptor), before);
	REQUIRE_OK(snug_memory_file_destroy(file));
	assert_int_equal(contents_of(descriptor), before);
	file = open_file(descriptor, 1);
	shard = shard_in(file, 0);
	assert_int_equal(items_of(shard), 500);
	REQUIRE_OK(snug_shard_destroy(shard));
	REQUIRE_OK(snug_memory_file_destroy(file));
	close(descriptor);
}

static void a_disk_s_file_is_refused(void **state) {
	(void)state;
	char path[] = "/var/tmp/snug-test-XXXXXX";
	int descriptor = mkstemp(path);
	if (descriptor < 0) skip();
	snug_memory_file *file;
	snug_memory_file_options options = snug_memory_file_options_default();
	options.path = path;
	snug_error error = snug_memory_file_create(&options, &file);
	if (error == SNUG_OK) throw_away(file);
	unlink(path);
	close(descriptor);
	if (error == SNUG_OK) skip(); /* /var/tmp is in memory here */
	REQUIRE_ERROR(SNUG_ERROR_FILE_SYSTEM, error);
}

/* ------------------------------------------------------------------ damaged ------------------ */

/* Any byte that the file holds. */
static void change_bytes(int descriptor, uint32_t count) {
	struct stat stat;
	assert_int_equal(fstat(descriptor, &stat), 0);
	for (uint32_t changed = 0; changed < count;) {
		off_t at = (off_t)test_random_below(&random_numbers, (uint64_t)stat.st_size);
		at = test_random_chance(&random_numbers, 100) ? at % (off_t)FILE_HEAD_BYTES : at;
		off_t data = lseek(descriptor, at, SEEK_DATA);
		if (data < 0) continue;
		at = data + (off_t)test_random_below(&random_numbers, 4096);
		unsigned char byte = (unsigned char)test_random_next(&random_numbers);
		write_at(descriptor, &byte, 1, at);
		changed++;
	}
}

/* Of objects alone, which have no sum. */
static void change_objects(int descriptor, const snug_memory_file *file, uint32_t count) {
	for (uint32_t number = 0; number < FILE_PARTS_MAX; number++) {
		const struct file_part *part = &file->segment[0].head->part[number];
		if (part->holds_objects == 0) continue;
		for (uint32_t changed = 0; changed < count; changed++) {
			off_t at = (off_t)(part->offset + test_random_below(&random_numbers, 2 * MIB));
			unsigned char byte = (unsigned char)test_random_next(&random_numbers);
			if (test_random_chance(&random_numbers, 300)) byte |= 0x80;
			if (lseek(descriptor, at, SEEK_DATA) == at) write_at(descriptor, &byte, 1, at);
		}
	}
}

/* Somebody has written to it, if only what was there. */
static void make_foreign(int descriptor) {
	unsigned char byte;
	assert_int_equal(pread(descriptor, &byte, 1, 0), 1);
	write_at(descriptor, &byte, 1, 0);
}

static uint32_t attached, refused;

static void use_damaged(int descriptor, struct entry *entries) {
	snug_memory_file *file;
	snug_shard *shard;
	snug_memory_file_options options = options_of(descriptor, 1);
	snug_error error = snug_memory_file_create(&options, &file);
	refused += error != SNUG_OK;
	if (error) return;
	snug_shard_options wanted = shard_options(file, 0);
	error = snug_shard_create(&wanted, &shard);
	refused += error != SNUG_OK;
	if (error == SNUG_OK) {
		attached++;
		REQUIRE_OK(snug_shard_check(shard, NULL));
		use_shard(shard, entries, 300);
		REQUIRE_OK(snug_shard_check(shard, NULL));
		REQUIRE_OK(snug_shard_destroy(shard));
	}
	throw_away(file);
}

enum damaged { ANY_BYTES, OBJECTS_ALONE, OF_A_KILLED };

static void damage(uint32_t rounds, enum damaged what) {
	static struct entry entries[KEYS];
	attached = refused = 0;
	for (uint32_t round = 0; round < rounds; round++) {
		int descriptor = make_descriptor();
		snug_memory_file *file = open_file(descriptor, 1);
		snug_shard *shard = shard_in(file, 4096);
		memset(entries, 0, sizeof entries);
		use_shard(shard, entries, 600);
		REQUIRE_OK(snug_shard_destroy(shard));
		uint32_t count = 1u << test_random_below(&random_numbers, 8);
		if (what == OBJECTS_ALONE) change_objects(descriptor, file, count);
		REQUIRE_OK(snug_memory_file_destroy(file));
		if (what == OBJECTS_ALONE)
			make_foreign(descriptor);
		else
			change_bytes(descriptor, count);
		if (what == OF_A_KILLED) mark_as_killed(descriptor);
		use_damaged(descriptor, entries);
		close(descriptor);
	}
	print_message("%u attached, %u refused\n", attached, refused);
}

static void changed_bytes_are_found(void **state) {
	(void)state;
	damage(150, ANY_BYTES);
	assert_true(refused > 0);
}

static void changed_objects_are_found(void **state) {
	(void)state;
	damage(150, OBJECTS_ALONE);
	assert_true(refused > 0 && attached > 0);
}

/* Nothing has a sum: what does not certify itself is dropped, and all laws hold. */
static void changed_bytes_of_a_killed_are_dropped(void **state) {
	(void)state;
	damage(100, OF_A_KILLED);
	assert_true(attached > 0);
}

static void changed_objects_of_handles_are_found(void **state) {
	static struct object objects[OBJECTS];
	(void)state;
	attached = refused = 0;
	for (uint32_t round = 0; round < 100; round++) {
		int descriptor = make_descriptor();
		snug_memory_file *file = open_file(descriptor, 1);
		snug_heap *heap = heap_in(file, 8 * MIB, 4096);
		memset(objects, 0, sizeof objects);
		churn(heap, objects, 800);
		REQUIRE_OK(snug_heap_destroy(heap));
		change_objects(descriptor, file, 1u << test_random_below(&random_numbers, 8));
		REQUIRE_OK(snug_memory_file_destroy(file));
		make_foreign(descriptor);
		file = open_file(descriptor, 1);
		snug_heap_options options = snug_heap_options_default();
		options.limit_bytes = 8 * MIB;
		options.memory_file = file;
		snug_error error = snug_heap_create(&options, &heap);
		assert_true(error == SNUG_OK || error == SNUG_ERROR_CORRUPT);
		refused += error != SNUG_OK;
		attached += error == SNUG_OK;
		if (error == SNUG_OK) {
			churn(heap, objects, 800);
			snug_check_result result;
			if (snug_check(heap, &result) != SNUG_OK)
				REQUIRE(false, "law %s: %s", result.law, result.message);
			REQUIRE_OK(snug_heap_destroy(heap));
		}
		throw_away(file);
		close(descriptor);
	}
	print_message("%u attached, %u refused\n", attached, refused);
	assert_true(refused > 0);
}

/* ------------------------------------------------------------------ memory goes back --------- */

static void what_is_given_back_is_a_hole(void **state) {
	static snug_handle handles[20000];
	(void)state;
	int descriptor = make_descriptor();
	snug_memory_file *file = open_file(descriptor, 1);
	snug_heap *heap = heap_in(file, 32 * MIB, 0);
	uint64_t empty_bytes = file_bytes(descriptor);
	for (uint32_t i = 0; i < 20000; i++) REQUIRE_OK(snug_alloc(heap, 1000, &handles[i]));
	uint64_t full_bytes = file_bytes(descriptor);
	assert_true(full_bytes > empty_bytes + 20000000);
	for (uint32_t i = 0; i < 20000; i++)
		if (i % 10 != 0) REQUIRE_OK(snug_free(heap, handles[i]));
	snug_defragment_options options = snug_defragment_options_default();
	snug_report report;
	snug_stats stats;
	options.retain_bytes = 0;
	REQUIRE_OK(snug_defragment(heap, &options, &report));
	REQUIRE_OK(snug_stats_get(heap, &stats));
	uint64_t packed_bytes = file_bytes(descriptor);
	assert_true(packed_bytes < 6 * MIB);
	/* What the file system counts is what the heap has, and the heads. */
	assert_int_equal(packed_bytes, stats.committed_bytes + stats.metadata_bytes + 2 * FILE_GRAIN);
	REQUIRE_OK(snug_heap_destroy(heap));
	throw_away(file);
	assert_int_equal(file_bytes(descriptor), 0);
	close(descriptor);
}

/* A recovery looks at the pages of what has expired, and keeps none. */
static void pages_of_what_has_expired_are_holes(void **state) {
	static const unsigned char value[1000];
	(void)state;
	int descriptor = make_descriptor();
	snug_memory_file *file = open_file(descriptor, 1);
	snug_shard *shard = shard_in(file, 4096);
	char text[32];
	for (uint32_t number = 0; number < 4000; number++) {
		snug_attributes attributes = {.expires_at_s = number == 2000 ? 0 : 1};
		snug_key key = key_of(number, text);
		REQUIRE_OK(snug_shard_set(shard, &key, &attributes, value, sizeof value));
	}
	assert_true(file_bytes(descriptor) > 4 * MIB);
	REQUIRE_OK(snug_shard_destroy(shard));
	REQUIRE_OK(snug_memory_file_destroy(file));
	mark_as_killed(descriptor);
	file = open_file(descriptor, 1);
	shard = shard_in(file, 4096);
	snug_stats stats;
	REQUIRE_OK(snug_stats_get(shard->heap, &stats));
	assert_int_equal(items_of(shard), 1);
	assert_int_equal(shard->stats.dropped, 0);
	assert_int_equal(stats.committed_bytes, 4096);
	assert_int_equal(shard->heap->totals.released_slabs, 0);
	assert_true(file_bytes(descriptor) < 2 * MIB);
	snug_check_result result;
	REQUIRE_OK(snug_shard_check(shard, &result));
	REQUIRE_OK(snug_shard_destroy(shard));
	throw_away(file);
	close(descriptor);
}

int main(void) {
	random_numbers.state = test_environment_number("SNUG_SEED", (uint64_t)time(NULL));
	printf("SNUG_SEED=0x%llx\n", (unsigned long long)random_numbers.state);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handles_stay_valid),
		cmocka_unit_test(kept_amid_a_defragmentation),
		cmocka_unit_test(pins_are_not_kept),
		cmocka_unit_test(charges_are_the_owner_s),
		cmocka_unit_test(items_stay),
		cmocka_unit_test(items_stay_at_each_size),
		cmocka_unit_test(leases_are_not_kept),
		cmocka_unit_test(a_cache_stays),
		cmocka_unit_test(what_is_not_ours_is_not_touched),
		cmocka_unit_test(what_may_only_be_read_is_refused),
		cmocka_unit_test(another_version_is_refused),
		cmocka_unit_test(a_part_of_a_file_is_refused),
		cmocka_unit_test(what_was_not_closed_is_refused),
		cmocka_unit_test(segments_that_meet_are_refused),
		cmocka_unit_test(what_was_not_finished_goes),
		cmocka_unit_test(two_on_one_file_are_refused),
		cmocka_unit_test(other_options_are_refused),
		cmocka_unit_test(a_disk_s_file_is_refused),
		cmocka_unit_test(changed_bytes_are_found),
		cmocka_unit_test(changed_objects_are_found),
		cmocka_unit_test(changed_bytes_of_a_killed_are_dropped),
		cmocka_unit_test(changed_objects_of_handles_are_found),
		cmocka_unit_test(what_is_given_back_is_a_hole),
		cmocka_unit_test(pages_of_what_has_expired_are_holes),
	};
	return cmocka_run_group_tests_name("memory file", tests, NULL, NULL);
}
