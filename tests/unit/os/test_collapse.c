/* test_collapse.c: huge pages are made of what is resident as a whole, of nothing else; what goes
 * back makes them small again. Skipped where the kernel makes none. */
#include "os/collapse.h"
#include "os/threads.h"
#include "unit/cmocka_all.h"

#include <snug/os.h>

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BLOCK COLLAPSE_BLOCK_BYTES
#define BLOCKS 6u
#define PAGE ((size_t)4096)
#define HANG_NS UINT64_C(60000000000)

static uint64_t smaps_bytes(const void *address, const char *name) {
	char line[256];
	unsigned long begin, end, kib;
	uint64_t bytes = 0;
	bool is_inside = false;
	FILE *file = fopen("/proc/self/smaps", "r");
	assert_non_null(file);
	while (fgets(line, sizeof line, file) != NULL) {
		if (sscanf(line, "%lx-%lx ", &begin, &end) == 2)
			is_inside = begin < (uintptr_t)address + BLOCKS * BLOCK && end > (uintptr_t)address;
		else if (is_inside && strncmp(line, name, strlen(name)) == 0 &&
				 sscanf(line + strlen(name), " %lu", &kib) == 1)
			bytes += (uint64_t)kib << 10;
	}
	fclose(file);
	return bytes;
}

static uint64_t huge_bytes(const void *address) {
	return smaps_bytes(address, "AnonHugePages:");
}

struct world {
	const snug_os *os;
	unsigned char *memory;
	struct collapse *collapse;
};

/* Not for ever: the kernel may collapse none. A pause is as long as the one before took, many times. */
static void wait_for_blocks(const struct collapse *collapse, uint64_t wanted) {
	uint64_t seen = 0, until_ns = os_deadline_ns(HANG_NS / 10);
	while (seen < wanted && os_remaining_ns(until_ns) > 0) {
		os_thread_sleep(10000000);
		if (collapse_count(collapse) != seen) until_ns = os_deadline_ns(HANG_NS / 2);
		seen = collapse_count(collapse);
	}
}

/* Blocks 0 to 3 are resident, 4 but for a page, 5 is not. */
static int set_up(void **state) {
	static struct world world;
	world = (struct world){.os = snug_os_linux()};
	world.memory = world.os->reserve(world.os->context, BLOCKS * BLOCK, BLOCK);
	assert_non_null(world.memory);
	world.os->advise_small(world.os->context, world.memory, BLOCKS * BLOCK);
	for (size_t at = 0; at < 5 * BLOCK - PAGE; at += 64)
		world.memory[at] = (unsigned char)(at / 64 % 251);
	const struct os_range range = {.base = world.memory, .bytes = BLOCKS * BLOCK};
	assert_int_equal(collapse_start(&range, 1, &world.collapse), SNUG_OK);
	wait_for_blocks(world.collapse, 4);
	*state = &world;
	return 0;
}

static int tear_down(void **state) {
	struct world *world = *state;
	collapse_stop(world->collapse);
	world->os->release(world->os->context, world->memory, BLOCKS * BLOCK);
	return 0;
}

static void expect_content(const struct world *world, size_t begin, size_t end) {
	for (size_t at = begin; at < end; at += 64)
		if (world->memory[at] != at / 64 % 251) fail_msg("at %zu: %u", at, world->memory[at]);
}

static void what_is_resident_is_made_huge(void **state) {
	const struct world *world = *state;
	if (collapse_count(world->collapse) == 0) skip();
	assert_int_equal(collapse_count(world->collapse), 4);
	assert_int_equal(huge_bytes(world->memory), 4 * BLOCK);
	assert_int_equal(smaps_bytes(world->memory, "Rss:"), 5 * BLOCK - PAGE);
	expect_content(world, 0, 5 * BLOCK - PAGE);
}

/* One is left, and what is left of the others is small, so that their memory is free again. */
static void what_goes_back_is_split(void **state) {
	const struct world *world = *state;
	if (collapse_count(world->collapse) == 0) skip();
	const snug_os *os = world->os;
	unsigned char *memory = world->memory;
	assert_true(os->decommit(os->context, memory + BLOCK / 2, BLOCK)); /* two halves */
	assert_int_equal(huge_bytes(memory), 2 * BLOCK);
	assert_true(os->decommit(os->context, memory + 2 * BLOCK, PAGE)); /* a page at the beginning */
	assert_int_equal(huge_bytes(memory), BLOCK);
	assert_true(os->decommit(os->context, memory + 3 * BLOCK, BLOCK)); /* a whole one */
	assert_int_equal(huge_bytes(memory), 0);
	assert_int_equal(smaps_bytes(memory, "Rss:"), 3 * BLOCK - 2 * PAGE);
	expect_content(world, 0, BLOCK / 2);
	expect_content(world, 3 * BLOCK / 2, 2 * BLOCK);
	expect_content(world, 2 * BLOCK + PAGE, 3 * BLOCK);
	assert_int_equal(memory[BLOCK], 0);
	assert_int_equal(memory[2 * BLOCK], 0);
}

static bool is_not_the_first(const void *context, const void *block) {
	return block != context;
}

/* Of two that are resident as a whole. */
static void what_is_not_worth_it_stays_small(void **state) {
	const struct world *world = *state;
	struct collapse *collapse;
	if (collapse_count(world->collapse) == 0) skip();
	unsigned char *memory = world->os->reserve(world->os->context, 2 * BLOCK, BLOCK);
	assert_non_null(memory);
	world->os->advise_small(world->os->context, memory, 2 * BLOCK);
	memset(memory, 1, 2 * BLOCK);
	const struct os_range range = {memory, 2 * BLOCK, is_not_the_first, memory};
	assert_int_equal(collapse_start(&range, 1, &collapse), SNUG_OK);
	wait_for_blocks(collapse, 1);
	collapse_stop(collapse);
	assert_int_equal(collapse_count(world->collapse), 4);
	assert_int_equal(huge_bytes(memory), BLOCK);
	world->os->release(world->os->context, memory, 2 * BLOCK);
}

/* Its thread is in the midst of a pause, or of a round: neither holds up who stops it. */
static void it_stops_at_once(void **state) {
	struct world *world = *state;
	uint64_t before_ns = os_now_ns();
	collapse_stop(world->collapse);
	assert_true(os_now_ns() - before_ns < HANG_NS / 60);
	world->collapse = NULL;
	assert_int_equal(collapse_count(NULL), 0);
}

/* Blocks of a file that is open for writing, which the kernel takes for no huge page, stand in front. */
static void what_is_refused_ends_nothing(void **state) {
	const struct world *world = *state;
	struct collapse *collapse;
	FILE *file = tmpfile();
	if (collapse_count(world->collapse) == 0) skip();
	assert_non_null(file);
	assert_int_equal(ftruncate(fileno(file), 3 * BLOCK), 0);
	unsigned char *refused =
		mmap(NULL, 3 * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
	assert_true(refused != MAP_FAILED);
	memset(refused, 1, 3 * BLOCK);
	unsigned char *memory = world->os->reserve(world->os->context, BLOCK, BLOCK);
	assert_non_null(memory);
	world->os->advise_small(world->os->context, memory, BLOCK);
	memset(memory, 1, BLOCK);
	const struct os_range ranges[] = {{.base = refused, .bytes = 3 * BLOCK},
									  {.base = memory, .bytes = BLOCK}};
	assert_int_equal(collapse_start(ranges, 2, &collapse), SNUG_OK);
	uint64_t until_ns = os_deadline_ns(HANG_NS); /* behind each of the others is a pause */
	while (huge_bytes(memory) == 0 && os_remaining_ns(until_ns) > 0) os_thread_sleep(10000000);
	collapse_stop(collapse);
	assert_int_equal(huge_bytes(memory), BLOCK);
	world->os->release(world->os->context, memory, BLOCK);
	munmap(refused, 3 * BLOCK);
	fclose(file);
}

/* No whole block lies in it, and none is touched. */
static void less_than_a_block_is_nothing(void **state) {
	static unsigned char little[3 * PAGE];
	struct collapse *collapse;
	(void)state;
	const struct os_range ranges[] = {{.base = little, .bytes = sizeof little}, {.base = NULL}};
	assert_int_equal(collapse_start(ranges, 2, &collapse), SNUG_OK);
	collapse_stop(collapse);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_resident_is_made_huge),
		cmocka_unit_test(what_goes_back_is_split),
		cmocka_unit_test(what_is_refused_ends_nothing),
		cmocka_unit_test(what_is_not_worth_it_stays_small),
		cmocka_unit_test(it_stops_at_once),
		cmocka_unit_test(less_than_a_block_is_nothing),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
