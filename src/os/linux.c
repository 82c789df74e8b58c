/* os/linux.c: snug_os on Linux.
 *
 * Reserving maps the whole range readable and writable at once, without asking the kernel to set
 * memory aside (MAP_NORESERVE): a page costs nothing until its first touch. Hence commit has no
 * work to do. Mapping PROT_NONE and opening pages one by one with mprotect was rejected: it costs a
 * system call for each page taken, splits the mapping into thousands of pieces, and, since Linux
 * overcommits, a success promises no memory either. The limit that counts is the one that the heap
 * keeps.
 *
 * Decommitting is MADV_DONTNEED: the memory is gone when the call returns, and what comes back is
 * zeros, which is what metadata rely on.
 *
 * Huge pages need a range aligned to 2 MiB; mmap aligns to 4 KiB only, so a reservation is made too
 * large by the alignment and trimmed at both ends. */
#include <snug/os.h>

#include "base/bits.h"

#include <errno.h>
#include <sys/mman.h>
#include <time.h>

#define OS_PAGE_BYTES ((size_t)4096)

static void *linux_reserve(void *context, size_t bytes, size_t alignment) {
	(void)context;
	SNUG_ASSERT(is_power_of_two(alignment));
	size_t slack_bytes = alignment > OS_PAGE_BYTES ? alignment - OS_PAGE_BYTES : 0;
	if (bytes == 0 || bytes > SIZE_MAX - slack_bytes) return NULL;
	char *mapped = mmap(NULL, bytes + slack_bytes, PROT_READ | PROT_WRITE,
						MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mapped == MAP_FAILED) return NULL;
	size_t before_bytes = round_up((uintptr_t)mapped, alignment) - (uintptr_t)mapped;
	if (before_bytes > 0) munmap(mapped, before_bytes);
	if (slack_bytes > before_bytes)
		munmap(mapped + before_bytes + bytes, slack_bytes - before_bytes);
	return mapped + before_bytes;
}

static void linux_release(void *context, void *address, size_t bytes) {
	(void)context;
	munmap(address, bytes);
}

static bool linux_commit(void *context, void *address, size_t bytes) {
	(void)context;
	(void)address;
	(void)bytes;
	return true;
}

static bool linux_decommit(void *context, void *address, size_t bytes) {
	(void)context;
	return madvise(address, bytes, MADV_DONTNEED) == 0;
}

static void linux_advise_huge(void *context, void *address, size_t bytes) {
	(void)context;
	(void)madvise(address, bytes, MADV_HUGEPAGE);
}

/* Of Linux 5.14; musl's headers had it later. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* Kernels before 5.14 know no MADV_POPULATE_WRITE; writing each page's first byte back does the
 * same, one fault at a time. */
static void touch_each_page(void *address, size_t bytes) {
	for (size_t offset = 0; offset < bytes; offset += OS_PAGE_BYTES) {
		volatile char *byte = (char *)address + offset;
		*byte = *byte;
	}
}

static bool linux_populate(void *context, void *address, size_t bytes) {
	(void)context;
	if (madvise(address, bytes, MADV_POPULATE_WRITE) == 0) return true;
	if (errno != EINVAL) return false;
	touch_each_page(address, bytes);
	return true;
}

static uint64_t linux_now_ns(void *context) {
	(void)context;
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

const snug_os *snug_os_linux(void) {
	static const snug_os functions = {
		.reserve = linux_reserve,
		.release = linux_release,
		.commit = linux_commit,
		.decommit = linux_decommit,
		.advise_huge = linux_advise_huge,
		.populate = linux_populate,
		.now_ns = linux_now_ns,
	};
	return &functions;
}
