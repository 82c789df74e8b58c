/* os/linux.c: snug_os on Linux.
 *
 * Reserving makes the whole range readable and writable at once, without asking the kernel to set
 * memory aside (MAP_NORESERVE): a page costs nothing until its first touch. Hence commit has no
 * work to do. Opening pages one by one with mprotect was rejected: it costs a system call for each
 * page taken, splits the mapping into thousands of pieces, and, since Linux overcommits, a success
 * promises no memory either. The limit that counts is the one that the heap keeps.
 *
 * Decommitting is MADV_DONTNEED: the memory is gone when the call returns, and what comes back is
 * zeros, which is what metadata rely on.
 *
 * LOCKED MEMORY. In a process that called mlockall(MCL_FUTURE) each mapping is made resident as
 * soon as it has access: a reservation would be, whole. So it is mapped without access first, told
 * to be locked as it is touched (MLOCK_ONFAULT), and opened then. MADV_DONTNEED refuses locked
 * memory; MADV_DONTNEED_LOCKED does not, and what comes back is locked again. Kernels before 5.18
 * do not know it: there nothing goes back. Mapping anew over the page was rejected: it is locked
 * and resident at once, so nothing is gained. So was unlocking it: what comes back is not locked,
 * which is what the process asked for.
 *
 * Huge pages need a range aligned to 2 MiB; mmap aligns to 4 KiB only, so a reservation is made too
 * large by the alignment and trimmed at both ends. */
#include "os/reserve.h"

#include "base/bits.h"
#include "os/collapse.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define OS_PAGE_BYTES ((size_t)4096)

/* Of Linux 5.18: as MADV_DONTNEED, of locked memory too. */
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

/* Of Linux 4.4; musl's headers had it later. */
#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1
#endif

/* What is locked can't be dropped in the usual way. */
static bool is_locked(char *address) {
	return madvise(address, OS_PAGE_BYTES, MADV_DONTNEED) != 0 && errno == EINVAL;
}

bool os_open_access(char *address, size_t bytes) {
	if (is_locked(address) && syscall(SYS_mlock2, address, bytes, MLOCK_ONFAULT) != 0 &&
		munlock(address, bytes) != 0)
		return false;
	return mprotect(address, bytes, PROT_READ | PROT_WRITE) == 0;
}

char *os_reserve_addresses(size_t bytes, size_t alignment) {
	SNUG_ASSERT(is_power_of_two(alignment));
	size_t slack_bytes = alignment > OS_PAGE_BYTES ? alignment - OS_PAGE_BYTES : 0;
	if (bytes == 0 || bytes > SIZE_MAX - slack_bytes) return NULL;
	char *mapped = mmap(NULL, bytes + slack_bytes, PROT_NONE,
						MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mapped == MAP_FAILED) return NULL;
	size_t before_bytes = round_up((uintptr_t)mapped, alignment) - (uintptr_t)mapped;
	if (before_bytes > 0) munmap(mapped, before_bytes);
	if (slack_bytes > before_bytes)
		munmap(mapped + before_bytes + bytes, slack_bytes - before_bytes);
	return mapped + before_bytes;
}

static void *linux_reserve(void *context, size_t bytes, size_t alignment) {
	(void)context;
	char *address = os_reserve_addresses(bytes, alignment);
	if (address == NULL || os_open_access(address, bytes)) return address;
	munmap(address, bytes);
	return NULL;
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

static bool drop(void *address, size_t bytes) {
	if (madvise(address, bytes, MADV_DONTNEED) == 0) return true;
	return errno == EINVAL && madvise(address, bytes, MADV_DONTNEED_LOCKED) == 0;
}

static bool linux_decommit(void *context, void *address, size_t bytes) {
	(void)context;
	collapse_split(address, bytes);
	return drop(address, bytes) && (!collapse_has_met(address, bytes) || drop(address, bytes));
}

static void linux_advise_huge(void *context, void *address, size_t bytes) {
	(void)context;
	collapse_note_huge();
	(void)madvise(address, bytes, MADV_HUGEPAGE);
}

static void linux_advise_small(void *context, void *address, size_t bytes) {
	(void)context;
	(void)madvise(address, bytes, MADV_NOHUGEPAGE);
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
		.advise_small = linux_advise_small,
		.populate = linux_populate,
		.now_ns = linux_now_ns,
	};
	return &functions;
}
