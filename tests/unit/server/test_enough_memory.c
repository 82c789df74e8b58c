/* test_enough_memory.c: src/server/process/enough_memory.c: when a limit is said to be larger than
 * the machine or a cgroup, by files as the kernel writes them. */
#include "unit/cmocka_all.h"

#include "server/process/enough_memory.h"

#include <stdio.h>
#include <string.h>

#define MIB ((uint64_t)1 << 20)

static struct { const char *meminfo, *cgroup, *outer_max, *own_max, *own_high; } files;

static bool read_fake(const char *path, char *text, size_t room) {
	const char *content = NULL;
	if (strcmp(path, "/proc/meminfo") == 0) content = files.meminfo;
	if (strcmp(path, "/proc/self/cgroup") == 0) content = files.cgroup;
	if (strcmp(path, "/sys/fs/cgroup/outer/memory.max") == 0) content = files.outer_max;
	if (strcmp(path, "/sys/fs/cgroup/outer/own/memory.max") == 0) content = files.own_max;
	if (strcmp(path, "/sys/fs/cgroup/outer/own/memory.high") == 0) content = files.own_high;
	if (content == NULL) return false;
	(void)snprintf(text, room, "%s", content);
	return true;
}

/* With 1000 MiB of limit and 24 of connections. NULL: nothing is said. */
static void says(const char *expected) {
	struct settings settings = {.memory_bytes = 64 * MIB,
								.memory_max_bytes = 1000 * MIB,
								.connection_memory_bytes = 24 * MIB};
	struct text why = {0};
	bool is_there = enough_memory_is_there(&settings, read_fake, &why);
	text_append(&why, "", 1);
	assert_int_equal(is_there, expected == NULL);
	if (expected != NULL) assert_non_null(strstr(why.bytes, expected));
	text_deinit(&why);
}

static void the_machine_is_asked(void **state) {
	(void)state;
	memset(&files, 0, sizeof files);
	says(NULL); /* nothing is known */
	files.meminfo = "MemTotal:        1048576 kB\nMemFree:  1 kB\n";
	says(NULL);
	files.meminfo = "MemTotal:        1048575 kB\nMemFree:  1 kB\n";
	says("1024 MiB, with what connections may hold, are more than the 1023 MiB of the machine");
	files.meminfo = "MemTotal: what?\n";
	says(NULL);
}

static void each_cgroup_is_asked(void **state) {
	(void)state;
	memset(&files, 0, sizeof files);
	files.meminfo = "MemTotal: 8388608 kB\n";
	files.cgroup = "0::/outer/own\n";
	files.own_max = files.own_high = files.outer_max = "max\n";
	says(NULL);
	files.outer_max = "536870912\n";
	says("more than the 512 MiB of the cgroup");
	files.own_high = "268435456\n";
	says("more than the 256 MiB of the cgroup");
	files.own_max = "1048576\n";
	says("more than the 1 MiB of the cgroup");
	files.cgroup = "0::/\n";
	says(NULL);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_machine_is_asked),
		cmocka_unit_test(each_cgroup_is_asked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
