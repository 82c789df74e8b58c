/* server/process/enough_memory.c: which files are read.
 *
 *     /proc/meminfo                    MemTotal, in KiB
 *     /proc/self/cgroup  "0::/a/b"     our cgroup, in version 2; below /sys/fs/cgroup:
 *     a/b/memory.max, a/memory.max     each of them bounds us; memory.high slows us down before
 *
 * Compared is what may become resident: the limit as far as it may be raised, and the memory of
 * connections. */
#include "server/process/enough_memory.h"

#include "base/bits.h"
#include "base/number_text.h"
#include "work/policy/pressure.h"

#include <stdio.h>
#include <string.h>

#define TEXT_BYTES 4096u
#define PATH_BYTES 512u
#define CGROUPS "/sys/fs/cgroup"

static uint64_t machine_bytes(enough_memory_read *read) {
	static const char name[] = "MemTotal:";
	char text[TEXT_BYTES];
	if (!read("/proc/meminfo", text, sizeof text)) return UINT64_MAX;
	const char *at = strstr(text, name);
	if (at == NULL) return UINT64_MAX;
	at += sizeof name - 1;
	at += strspn(at, " \t");
	uint64_t kib;
	if (number_scan(at, strspn(at, "0123456789"), 10, &kib) == 0 || kib == 0) return UINT64_MAX;
	return kib << 10;
}

static uint64_t bound_of(enough_memory_read *read, const char *cgroup, const char *name) {
	char path[PATH_BYTES + 64], text[TEXT_BYTES];
	uint64_t bytes;
	(void)snprintf(path, sizeof path, "%s%s/%s", CGROUPS, cgroup, name);
	return read(path, text, sizeof text) && parse_cgroup_bytes(text, &bytes) ? bytes : UINT64_MAX;
}

/* The least that our cgroup and those above it allow. */
static uint64_t cgroup_bytes(enough_memory_read *read) {
	char text[TEXT_BYTES], path[PATH_BYTES];
	uint64_t least = UINT64_MAX;
	if (!read("/proc/self/cgroup", text, sizeof text) ||
		!parse_cgroup_path(text, path, sizeof path))
		return least;
	for (char *end = path + strlen(path); end > path; end = strrchr(path, '/')) {
		*end = '\0';
		least = smaller(least, bound_of(read, path, "memory.max"));
		least = smaller(least, bound_of(read, path, "memory.high"));
		if (strrchr(path, '/') == NULL) break;
	}
	return least;
}

uint64_t enough_memory_bytes(enough_memory_read *read) {
	return smaller(machine_bytes(read), cgroup_bytes(read));
}

bool enough_memory_is_there(const struct settings *settings, enough_memory_read *read,
							struct text *why) {
	uint64_t machine = machine_bytes(read), cgroup = cgroup_bytes(read);
	uint64_t least = smaller(machine, cgroup);
	uint64_t promised = settings->memory_max_bytes + settings->connection_memory_bytes;
	if (promised <= least) return true;
	text_print(why,
			   "--memory-limit: %llu MiB, with what connections may hold, are more than the %llu "
			   "MiB of %s: when they fill, the system swaps or kills; give less (-m)",
			   (unsigned long long)(promised >> 20), (unsigned long long)(least >> 20),
			   cgroup < machine ? "the cgroup" : "the machine");
	return false;
}
