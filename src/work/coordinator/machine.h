/* work/coordinator/machine.h: is the machine, or our cgroup, short of memory? Reads the kernel's
 * files through one function, so that a test can write them. What is not there is said once in the
 * log, and not looked for again. */
#ifndef SNUG_WORK_MACHINE_H
#define SNUG_WORK_MACHINE_H

#include "work/policy/pressure.h"

#define MACHINE_PATH_BYTES 512u

/* As os_read_file (os/files.h). */
struct file_reader {
	void *context;
	bool (*read)(void *context, const char *path, char *text, size_t room);
};

/* One thread. */
struct machine {
	struct file_reader files;
	bool has_stall;
	bool has_cgroup;
	char cgroup[MACHINE_PATH_BYTES]; /* the directory of our cgroup */
	uint64_t events;                 /* as last read */
	bool pressed;
};

void machine_init(struct machine *machine, const struct file_reader *files, const snug_log *log);

/* Reads anew; true: short of memory. Says in the log when that changes. */
bool machine_look(struct machine *machine, const snug_background *thresholds, const snug_log *log);

#endif
