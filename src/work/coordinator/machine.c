/* work/coordinator/machine.c: which files are read, and where they are.
 *
 *     /proc/pressure/memory                                 memory stalls of the machine (PSI)
 *     /proc/self/cgroup  "0::PATH"                          which cgroup is ours, in version 2
 *     /sys/fs/cgroup/PATH/memory.current, .high, .max       what it uses, and may
 *     /sys/fs/cgroup/PATH/memory.events                     how often it was held to that
 *
 * The files of a cgroup lie below /sys/fs/cgroup, or below /sys/fs/cgroup/unified where the old
 * hierarchies are mounted too; there the memory controller may belong to an old one, and then
 * version 2 has no memory files. Only the own cgroup is read: a lower limit above it shows in
 * memory stalls.
 *
 * Five small files a second, each read whole. */
#include "work/coordinator/machine.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/log_line.h"

#include <stdio.h>
#include <string.h>

#define TEXT_BYTES 1024u
#define STALL_FILE "/proc/pressure/memory"
#define OWN_CGROUP_FILE "/proc/self/cgroup"

static bool read_text(const struct machine *machine, const char *path, char *text) {
	return machine->files.read(machine->files.context, path, text, TEXT_BYTES);
}

static bool read_cgroup_file(const struct machine *machine, const char *name, char *text) {
	char path[MACHINE_PATH_BYTES + 32];
	int written = snprintf(path, sizeof path, "%s/%s", machine->cgroup, name);
	SNUG_ASSERT(written > 0 && (size_t)written < sizeof path);
	(void)written;
	return read_text(machine, path, text);
}

static bool read_cgroup_bytes(const struct machine *machine, const char *name, uint64_t *bytes) {
	char text[TEXT_BYTES];
	return read_cgroup_file(machine, name, text) && parse_cgroup_bytes(text, bytes);
}

static void read_cgroup(const struct machine *machine, struct machine_sample *sample) {
	uint64_t high_bytes = CGROUP_NO_LIMIT;
	uint64_t max_bytes = CGROUP_NO_LIMIT;
	sample->cgroup_known = read_cgroup_bytes(machine, "memory.current", &sample->current_bytes);
	if (!read_cgroup_bytes(machine, "memory.high", &high_bytes)) high_bytes = CGROUP_NO_LIMIT;
	if (!read_cgroup_bytes(machine, "memory.max", &max_bytes)) max_bytes = CGROUP_NO_LIMIT;
	sample->limit_bytes = smaller(high_bytes, max_bytes);
	char text[TEXT_BYTES];
	sample->events_known = read_cgroup_file(machine, "memory.events", text) &&
						   parse_cgroup_events(text, &sample->events);
}

static bool read_stall(const struct machine *machine, uint32_t *stall_ppm) {
	char text[TEXT_BYTES];
	return read_text(machine, STALL_FILE, text) && parse_stall(text, stall_ppm);
}

/* Where our cgroup keeps its memory.current. */
static bool find_cgroup(struct machine *machine) {
	static const char *const mounts[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
	char text[TEXT_BYTES];
	char path[MACHINE_PATH_BYTES - 64];
	if (!read_text(machine, OWN_CGROUP_FILE, text) || !parse_cgroup_path(text, path, sizeof path))
		return false;
	if (strcmp(path, "/") == 0) path[0] = '\0';
	for (size_t index = 0; index < sizeof mounts / sizeof mounts[0]; index++) {
		uint64_t bytes;
		int written =
			snprintf(machine->cgroup, sizeof machine->cgroup, "%s%s", mounts[index], path);
		SNUG_ASSERT(written > 0 && (size_t)written < sizeof machine->cgroup);
		(void)written;
		if (read_cgroup_bytes(machine, "memory.current", &bytes)) return true;
	}
	return false;
}

void machine_init(struct machine *machine, const struct file_reader *files, const snug_log *log) {
	*machine = (struct machine){.files = *files};
	uint32_t stall_ppm;
	machine->has_stall = read_stall(machine, &stall_ppm);
	machine->has_cgroup = find_cgroup(machine);
	struct machine_sample sample = {0};
	if (machine->has_cgroup) read_cgroup(machine, &sample);
	machine->events = sample.events_known ? sample.events : 0;
	if (!machine->has_stall)
		snug_log_line(log, SNUG_LOG_INFO, "coordinator: no %s here; goes on without it",
					  STALL_FILE);
	if (!machine->has_cgroup)
		snug_log_line(log, SNUG_LOG_INFO,
					  "coordinator: no cgroup with memory files here; goes on without it");
}

bool machine_look(struct machine *machine, const snug_background *thresholds, const snug_log *log) {
	struct machine_sample sample = {0};
	if (machine->has_stall) sample.stall_known = read_stall(machine, &sample.stall_ppm);
	if (machine->has_cgroup) read_cgroup(machine, &sample);
	bool pressed = machine_is_pressed(machine->pressed, thresholds, &sample, machine->events);
	SNUG_ASSERT(!sample.events_known || machine->has_cgroup);
	if (sample.events_known) machine->events = sample.events;
	if (pressed != machine->pressed)
		snug_log_line(log, SNUG_LOG_INFO, "coordinator: memory pressure of the machine %s",
					  pressed ? "begins" : "ends");
	machine->pressed = pressed;
	return pressed;
}
