/* os/linux_process_figures.c: os/process_figures.h on Linux: /proc. */
#include "os/process_figures.h"

#include "base/number_text.h"
#include "os/files.h"

#include <dirent.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* "size resident shared ..", in pages. */
uint64_t os_resident_bytes(void) {
	char line[128];
	if (!os_read_file("/proc/self/statm", line, sizeof line)) return 0;
	const char *blank = strchr(line, ' ');
	return blank == NULL ? 0 : number_leading(blank + 1) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* A line of /proc/self/status, which is in KiB. */
static uint64_t status_bytes(const char *name) {
	char status[4096];
	if (!os_read_file("/proc/self/status", status, sizeof status)) return 0;
	const char *line = strstr(status, name);
	if (line == NULL) return 0;
	line += strlen(name);
	return number_leading(line + strspn(line, " \t")) << 10;
}

/* getrusage's figure is also that of the program which started this one. */
uint64_t os_resident_peak_bytes(void) {
	return status_bytes("\nVmHWM:");
}

uint64_t os_swapped_bytes(void) {
	return status_bytes("\nVmSwap:");
}

/* But the one that it is read by, and the directory itself. */
static uint64_t count_descriptors(void) {
	DIR *directory = opendir("/proc/self/fd");
	uint64_t count = 0;
	if (directory == NULL) return 0;
	for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
		count += entry->d_name[0] != '.';
	(void)closedir(directory);
	return count > 0 ? count - 1 : 0;
}

uint64_t os_descriptors(void) {
	struct stat status;
	if (stat("/proc/self/fd", &status) != 0) return 0;
	return status.st_size > 0 ? (uint64_t)status.st_size : count_descriptors();
}

uint64_t os_descriptors_max(void) {
	struct rlimit limit;
	return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}
