/* test_recover_memory.c: a recovery that is refused the memory for a large batch takes smaller ones,
 * and loses no item. What the system grants is chosen here. */
#include "os/memory_file_parts.h"
#include "unit/cmocka_all.h"

#include <snug/snug.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define ITEMS 100000u
#define MIB ((size_t)1 << 20)

/* A batch of an 8th of the items takes between them; all else that is asked for takes less, or is a
 * range of addresses. */
#define GRANTED_BYTES ((size_t)150 << 10)
#define RANGE_BYTES MIB

int __real_mprotect(void *address, size_t bytes, int access);
int __wrap_mprotect(void *address, size_t bytes, int access);

static bool is_tight;
static uint32_t refusals;

int __wrap_mprotect(void *address, size_t bytes, int access) {
	if (!is_tight || bytes <= GRANTED_BYTES || bytes >= RANGE_BYTES)
		return __real_mprotect(address, bytes, access);
	refusals++;
	return -1;
}

static snug_memory_file *open_file(int descriptor) {
	snug_memory_file *file = NULL;
	snug_memory_file_options options = snug_memory_file_options_default();
	options.descriptor = descriptor;
	options.segments = 1;
	assert_int_equal(snug_memory_file_create(&options, &file), SNUG_OK);
	return file;
}

static snug_shard *shard_in(snug_memory_file *file) {
	snug_shard *shard = NULL;
	snug_shard_options options = snug_shard_options_default();
	options.heap.limit_bytes = options.heap.limit_max_bytes = 16 * MIB;
	options.heap.memory_file = file;
	assert_int_equal(snug_shard_create(&options, &shard), SNUG_OK);
	return shard;
}

static snug_key key_of(uint32_t number, char *text) {
	int length = snprintf(text, 32, "key-%u", number);
	return snug_shard_key(text, (size_t)length);
}

static void fill(snug_shard *shard) {
	const snug_attributes attributes = {0};
	char text[32];
	for (uint32_t number = 0; number < ITEMS; number++) {
		snug_key key = key_of(number, text);
		assert_int_equal(snug_shard_set(shard, &key, &attributes, &number, sizeof number), SNUG_OK);
	}
}

static void require_all(snug_shard *shard) {
	snug_shard_stats stats;
	snug_item item;
	char text[32];
	assert_int_equal(snug_shard_stats_get(shard, &stats), SNUG_OK);
	assert_int_equal(stats.recovered, ITEMS);
	assert_int_equal(stats.dropped, 0);
	for (uint32_t number = 0; number < ITEMS; number++) {
		uint32_t value;
		snug_key key = key_of(number, text);
		assert_int_equal(snug_shard_find(shard, &key, &item), SNUG_OK);
		assert_int_equal(snug_shard_read(shard, &item, 0, &value, sizeof value), SNUG_OK);
		assert_int_equal(value, number);
	}
}

static void a_batch_that_is_refused_is_smaller(void **state) {
	const uint32_t mark = MARK_RUNNING;
	(void)state;
	int descriptor = memfd_create("snug-test", MFD_CLOEXEC);
	assert_true(descriptor >= 0);
	snug_memory_file *file = open_file(descriptor);
	snug_shard *shard = shard_in(file);
	fill(shard);
	assert_int_equal(snug_shard_destroy(shard), SNUG_OK);
	assert_int_equal(snug_memory_file_destroy(file), SNUG_OK);
	assert_int_equal(
		pwrite(descriptor, &mark, sizeof mark, (off_t)offsetof(struct file_header, mark)),
		sizeof mark);
	file = open_file(descriptor);
	is_tight = true;
	shard = shard_in(file);
	is_tight = false;
	assert_true(refusals > 0);
	require_all(shard);
	assert_int_equal(snug_shard_destroy(shard), SNUG_OK);
	assert_int_equal(snug_memory_file_destroy(file), SNUG_OK);
	close(descriptor);
}

int main(void) {
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_batch_that_is_refused_is_smaller)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
