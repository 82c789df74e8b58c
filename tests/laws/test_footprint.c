/* test_footprint.c: what the process pays for a limit, by the kernel's own count: resident memory
 * where huge pages are always on and where the host locks all of its memory, and addresses where
 * those are limited.
 *
 * Each case is a process of its own, since what it asks of the kernel holds for the whole process.
 * What the kernel does not let it ask is skipped. */
#include "support/require.h"
#include "unit/cmocka_all.h"

#include <snug/snug.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define APART_BYTES (256 * KIB) /* the program's own pages, that it touches meanwhile */
#define SKIPPED 77

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define HAS_SHADOW 1
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_SHADOW 1
#endif
#endif
#ifndef HAS_SHADOW
#define HAS_SHADOW \
	0 /* memory of the sanitizer's for all that is touched, and terabytes of addresses */
#endif

/* ------------------------------------------------------------------ a process ------- */

/* A figure of a file below /proc/self, in bytes. */
static size_t figure(const char *path, const char *name) {
	char line[256];
	size_t kib, length = strlen(name);
	FILE *file = fopen(path, "r");
	if (file == NULL) exit(SKIPPED);
	while (fgets(line, sizeof line, file) != NULL)
		if (strncmp(line, name, length) == 0 && sscanf(line + length, "%zu", &kib) == 1) {
			(void)fclose(file);
			return kib * KIB;
		}
	exit(SKIPPED);
}

/* Memory alone: what is touched of the program's file is another matter. */
static size_t resident_now(void) {
	return figure("/proc/self/smaps_rollup", "Anonymous:");
}

static size_t addresses_now(void) {
	return figure("/proc/self/status", "VmSize:");
}

static size_t resident_since(size_t before_bytes) {
	size_t now_bytes = resident_now();
	return now_bytes > before_bytes ? now_bytes - before_bytes : 0;
}

/* Says what is wrong, and ends the process: cmocka's way out would lead into the parent's tests. */
#define CHILD(condition, ...)                       \
	do {                                            \
		if (!(condition)) {                         \
			fprintf(stderr, "line %d: ", __LINE__); \
			fprintf(stderr, __VA_ARGS__);           \
			fputc('\n', stderr);                    \
			_exit(1);                               \
		}                                           \
	} while (0)
#define CHILD_OK(call)                                                      \
	do {                                                                    \
		snug_error child_error = (call);                                    \
		CHILD(!child_error, "%s: %s", #call, snug_error_name(child_error)); \
	} while (0)

static void in_a_process(void (*play)(void)) {
	if (HAS_SHADOW) skip();
	(void)fflush(NULL);
	pid_t child = fork();
	REQUIRE(child >= 0, "no process");
	if (child == 0) {
		alarm(60);
		play();
		(void)fflush(NULL);
		_exit(0);
	}
	int status;
	REQUIRE(waitpid(child, &status, 0) == child, "the process is lost");
	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED) skip();
	REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the process ended with %d", status);
}

/* ------------------------------------------------------------------ a full shard ---- */

static void fill_shard(snug_shard *shard, size_t limit_bytes) {
	static char value[300];
	memset(value, 'v', sizeof value);
	for (size_t number = 0; number < limit_bytes / 150; number++) {
		char text[24];
		snug_key key = snug_shard_key(text, (size_t)snprintf(text, sizeof text, "k%zu", number));
		CHILD_OK(snug_shard_set(shard, &key, NULL, value, sizeof value));
	}
}

static snug_shard *create_shard(size_t limit_bytes, const snug_os *os, bool huge_pages) {
	snug_shard_options options = snug_shard_options_default();
	snug_shard *shard;
	options.heap.limit_bytes = limit_bytes;
	options.heap.os = os;
	options.heap.huge_pages = huge_pages;
	options.item_max_bytes = limit_bytes / 8;
	CHILD_OK(snug_shard_create(&options, &shard));
	return shard;
}

static void lower(snug_shard *shard, size_t limit_bytes) {
	CHILD_OK(snug_shard_set_limit(shard, limit_bytes));
	while (snug_shard_maintain(shard)) continue;
	snug_shard_stats stats;
	CHILD_OK(snug_shard_stats_get(shard, &stats));
	CHILD(stats.heap.limit_bytes == limit_bytes, "the lower limit was not reached");
}

static void require_resident(const char *what, size_t limit_bytes, size_t before_bytes) {
	size_t resident_bytes = resident_since(before_bytes);
	printf("  %s: limit %zu KiB, %zu KiB resident, %zu of them in huge pages\n", what,
		   limit_bytes / KIB, resident_bytes / KIB,
		   figure("/proc/self/smaps_rollup", "AnonHugePages:") / KIB);
	CHILD(resident_bytes <= limit_bytes + APART_BYTES, "%s: %zu KiB are resident, the limit is %zu",
		  what, resident_bytes / KIB, limit_bytes / KIB);
}

static const size_t limits[] = {256 * KIB, MIB, 4 * MIB, 64 * MIB};
#define LIMITS (sizeof limits / sizeof *limits)

/* Whatever is mapped, the kernel gives it 2 MiB at the first touch. */
static void *reserve_huge(void *context, size_t bytes, size_t alignment) {
	void *address = snug_os_linux()->reserve(context, bytes, alignment);
	if (address != NULL && madvise(address, bytes, MADV_HUGEPAGE) != 0) exit(SKIPPED);
	return address;
}

static void fill_all_limits(const char *what, const snug_os *os, bool huge_pages) {
	for (size_t i = 0; i < LIMITS; i++) {
		size_t before_bytes = resident_now();
		snug_shard *shard = create_shard(limits[i], os, huge_pages);
		fill_shard(shard, limits[i]);
		require_resident(what, limits[i], before_bytes);
		lower(shard, limits[i] == 256 * KIB ? limits[i] : limits[i] / 2);
		if (!huge_pages && i > 0) require_resident("and half of it", limits[i] / 2, before_bytes);
		CHILD_OK(snug_shard_destroy(shard));
	}
}

static void play_huge_always(void) {
	snug_os os = *snug_os_linux();
	os.reserve = reserve_huge;
	fill_all_limits("huge pages always", &os, false);
}

static void play_huge_asked_for(void) {
	fill_all_limits("huge pages asked for", NULL, true);
}

static void play_small(void) {
	fill_all_limits("small pages", NULL, false);
}

/* ------------------------------------------------------------------ locked memory --- */

#define LOCKED_LIMIT (16 * MIB)

static void lock_all(int flags) {
	struct rlimit limit;
	(void)getrlimit(RLIMIT_MEMLOCK, &limit);
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_MEMLOCK, &limit);
	/* Without the right to lock, so many addresses are refused. */
	if (limit.rlim_max != RLIM_INFINITY && geteuid() != 0) _exit(SKIPPED);
	if (mlockall(flags) != 0) _exit(SKIPPED);
}

static void play_locked(int flags) {
	lock_all(flags);
	size_t before_bytes = resident_now();
	snug_heap_options options = snug_heap_options_default();
	snug_heap *heap;
	options.limit_bytes = LOCKED_LIMIT;
	CHILD_OK(snug_heap_create(&options, &heap));
	CHILD(resident_since(before_bytes) < MIB, "%zu KiB are resident before anything is stored",
		  resident_since(before_bytes) / KIB);
	snug_handle *handles = calloc(LOCKED_LIMIT / 4000, sizeof *handles);
	size_t count = 0;
	CHILD(handles != NULL, "no memory");
	while (count < LOCKED_LIMIT / 4000 && !snug_alloc(heap, 4000, &handles[count])) count++;
	require_resident("locked", LOCKED_LIMIT, before_bytes);
	for (int page = 0; page < 16; page++) CHILD_OK(snug_free(heap, handles[--count]));
	CHILD_OK(snug_heap_charge(heap, 4096));
	CHILD_OK(snug_heap_discharge(heap, 4096));
	while (count > 0) CHILD_OK(snug_free(heap, handles[--count]));
	snug_defragment_options all = snug_defragment_options_default();
	snug_report report;
	all.retain_bytes = 0;
	all.return_bytes = LOCKED_LIMIT;
	CHILD_OK(snug_defragment(heap, &all, &report));
	CHILD(report.returns_refused == 0 && report.returned_bytes > LOCKED_LIMIT / 2,
		  "%llu bytes went back, %llu times refused", (unsigned long long)report.returned_bytes,
		  (unsigned long long)report.returns_refused);
	require_resident("locked and emptied", MIB, before_bytes);
	CHILD_OK(snug_heap_destroy(heap));
	free(handles);
}

static void play_locked_whole(void) {
	play_locked(MCL_CURRENT | MCL_FUTURE);
}

static void play_locked_on_fault(void) {
	play_locked(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
}

/* ------------------------------------------------------------------ addresses ------- */

static size_t addresses_of(bool is_shard, size_t limit_bytes) {
	size_t before_bytes = addresses_now();
	if (is_shard) {
		snug_shard *shard = create_shard(limit_bytes, NULL, false);
		size_t bytes = addresses_now() - before_bytes;
		CHILD_OK(snug_shard_destroy(shard));
		return bytes;
	}
	snug_heap_options options = snug_heap_options_default();
	snug_heap *heap;
	options.limit_bytes = limit_bytes;
	CHILD_OK(snug_heap_create(&options, &heap));
	size_t bytes = addresses_now() - before_bytes;
	CHILD_OK(snug_heap_destroy(heap));
	return bytes;
}

static void play_addresses(void) {
	for (size_t limit_bytes = MIB; limit_bytes <= 16384 * MIB; limit_bytes *= 16) {
		size_t heap_bytes = addresses_of(false, limit_bytes);
		size_t shard_bytes = addresses_of(true, limit_bytes);
		printf("  limit %zu MiB: a heap takes %.2f times that, a shard %.2f\n", limit_bytes / MIB,
			   (double)heap_bytes / (double)limit_bytes, (double)shard_bytes / (double)limit_bytes);
		CHILD(heap_bytes <= 3 * limit_bytes + 2 * MIB, "a heap takes %zu", heap_bytes);
		CHILD(shard_bytes <= limit_bytes / 2 * 7 + limit_bytes / 8 + 2 * MIB, "a shard takes %zu",
			  shard_bytes);
	}
}

/* Twice the limit for the process, whatever it is made of. */
static void limit_addresses(size_t limit_bytes) {
	struct rlimit limit = {.rlim_cur = 2 * limit_bytes, .rlim_max = 2 * limit_bytes};
	CHILD(addresses_now() < limit_bytes / 4, "the program alone is as large");
	CHILD(setrlimit(RLIMIT_AS, &limit) == 0, "no limit of addresses");
}

#define NARROW_LIMIT (128 * MIB)

static void play_narrow_shard(void) {
	limit_addresses(NARROW_LIMIT);
	snug_shard *shard = create_shard(NARROW_LIMIT, NULL, false);
	fill_shard(shard, NARROW_LIMIT);
	snug_shard_stats stats;
	CHILD_OK(snug_shard_stats_get(shard, &stats));
	CHILD(stats.item_bytes > NARROW_LIMIT / 10 * 9, "only %llu bytes of items",
		  (unsigned long long)stats.item_bytes);
	CHILD_OK(snug_shard_check(shard, NULL));
	CHILD_OK(snug_shard_destroy(shard));
}

static void play_narrow_cache(void) {
	limit_addresses(NARROW_LIMIT);
	snug_cache_options options = snug_cache_options_default();
	snug_cache *cache;
	options.limit_bytes = NARROW_LIMIT;
	options.workers = 4;
	CHILD_OK(snug_cache_create(&options, &cache));
	CHILD_OK(snug_cache_destroy(cache));
}

/* A heap of the smallest objects: a table that ends is an error, and the heap goes on. */
static void play_narrow_handles(void) {
	limit_addresses(NARROW_LIMIT);
	snug_heap_options options = snug_heap_options_default();
	snug_heap *heap;
	snug_handle handle = 0, last = 0;
	snug_error error;
	options.limit_bytes = NARROW_LIMIT;
	CHILD_OK(snug_heap_create(&options, &heap));
	while ((error = snug_alloc(heap, 1, &handle)) == SNUG_OK) last = handle;
	CHILD(error == SNUG_ERROR_OS_MEMORY, "a table at its end: %s", snug_error_name(error));
	CHILD_OK(snug_free(heap, last));
	CHILD_OK(snug_alloc(heap, 1, &handle));
	CHILD_OK(snug_check(heap, NULL));
	CHILD_OK(snug_heap_destroy(heap));
}

#define CASE(name)                   \
	static void name(void **state) { \
		(void)state;                 \
		in_a_process(play_##name);   \
	}
CASE(small)
CASE(huge_always)
CASE(huge_asked_for)
CASE(locked_whole)
CASE(locked_on_fault)
CASE(addresses)
CASE(narrow_shard)
CASE(narrow_cache)
CASE(narrow_handles)

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small),           cmocka_unit_test(huge_always),
		cmocka_unit_test(huge_asked_for),  cmocka_unit_test(locked_whole),
		cmocka_unit_test(locked_on_fault), cmocka_unit_test(addresses),
		cmocka_unit_test(narrow_shard),    cmocka_unit_test(narrow_cache),
		cmocka_unit_test(narrow_handles),
	};
	return cmocka_run_group_tests_name("footprint", tests, NULL, NULL);
}
