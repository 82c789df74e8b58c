/* shift_clock.c: preloaded into snugd: the wall clock, shifted by what the file that SHIFT_CLOCK
 * names holds, in seconds. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static long shift_s(void) {
	const char *path = getenv("SHIFT_CLOCK");
	FILE *file = path == NULL ? NULL : fopen(path, "re");
	long seconds = 0;
	if (file != NULL && fscanf(file, "%ld", &seconds) != 1) seconds = 0;
	if (file != NULL) (void)fclose(file);
	return seconds;
}

int clock_gettime(clockid_t id, struct timespec *out) {
	static int (*real)(clockid_t, struct timespec *);
	if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
	int result = real(id, out);
	if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE) out->tv_sec += shift_s();
	return result;
}

time_t time(time_t *out) {
	struct timespec now;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (out != NULL) *out = now.tv_sec;
	return now.tv_sec;
}
