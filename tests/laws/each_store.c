/* each_store.c: see each_store.h. */
#include "each_store.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define MAPPINGS_MAX 64u
#define PAGE_BYTES ((uintptr_t)4096)
#define OPENED_MAX 4u /* pages that one instruction stores to */
#define TRAP_FLAG 0x100

struct mapping {
	uintptr_t address;
	size_t bytes; /* 0: free */
};

static struct {
	ino_t inode;
	dev_t device;
	struct mapping mapping[MAPPINGS_MAX];
	bool is_armed;
	each_store_look look;
	void *context;
	uint64_t looks;
	uintptr_t opened[OPENED_MAX];
	uint32_t opened_count;
} followed;

/* ------------------------------------------------------------------ mappings ------------------ */

static int protect(uintptr_t address, size_t bytes, int protection) {
	return (int)syscall(SYS_mprotect, address, bytes, protection);
}

static bool is_followed(int descriptor) {
	struct stat found;
	return followed.inode != 0 && descriptor >= 0 && fstat(descriptor, &found) == 0 &&
		   found.st_ino == followed.inode && found.st_dev == followed.device;
}

static struct mapping *mapping_of(uintptr_t address) {
	for (uint32_t i = 0; i < MAPPINGS_MAX; i++) {
		struct mapping *mapping = &followed.mapping[i];
		if (mapping->bytes != 0 && address - mapping->address < mapping->bytes) return mapping;
	}
	return NULL;
}

static int without_stores(int protection) {
	return followed.is_armed ? protection & ~PROT_WRITE : protection;
}

static void *map(void *address, size_t bytes, int protection, int flags, int descriptor,
				 off_t offset) {
	bool is_ours = is_followed(descriptor);
	if (is_ours) protection = without_stores(protection);
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): an address that a system call gives */
	void *mapped = (void *)syscall(SYS_mmap, address, bytes, protection, flags, descriptor, offset);
	if (!is_ours || mapped == MAP_FAILED) return mapped;
	uint32_t i = 0;
	while (i < MAPPINGS_MAX && followed.mapping[i].bytes != 0) i++;
	if (i == MAPPINGS_MAX) abort();
	followed.mapping[i] = (struct mapping){(uintptr_t)mapped, bytes};
	return mapped;
}

void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int descriptor,
				  off_t offset);
void *__wrap_mmap64(void *address, size_t bytes, int protection, int flags, int descriptor,
					off_t offset);
int __wrap_munmap(void *address, size_t bytes);
int __wrap_mprotect(void *address, size_t bytes, int protection);

void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int descriptor,
				  off_t offset) {
	return map(address, bytes, protection, flags, descriptor, offset);
}

void *__wrap_mmap64(void *address, size_t bytes, int protection, int flags, int descriptor,
					off_t offset) {
	return map(address, bytes, protection, flags, descriptor, offset);
}

/* Each mapping of a file goes whole. */
int __wrap_munmap(void *address, size_t bytes) {
	struct mapping *mapping = mapping_of((uintptr_t)address);
	if (mapping != NULL) mapping->bytes = 0;
	return (int)syscall(SYS_munmap, address, bytes);
}

int __wrap_mprotect(void *address, size_t bytes, int protection) {
	bool is_ours = mapping_of((uintptr_t)address) != NULL;
	return protect((uintptr_t)address, bytes, is_ours ? without_stores(protection) : protection);
}

void each_store_follow(int descriptor) {
	struct stat found;
	if (fstat(descriptor, &found) != 0) abort();
	followed.inode = found.st_ino;
	followed.device = found.st_dev;
}

/* ------------------------------------------------------------------ stores -------------------- */

static void look(void) {
	int error = errno;
	followed.look(followed.context, ++followed.looks);
	errno = error;
}

#ifdef __x86_64__

static void crash_as_usual(int number) {
	(void)signal(number, SIG_DFL);
}

/* A store that crosses two pages faults twice. */
static void faulted(int number, siginfo_t *info, void *context) {
	uintptr_t address = (uintptr_t)info->si_addr;
	if (!followed.is_armed || mapping_of(address) == NULL || followed.opened_count == OPENED_MAX) {
		crash_as_usual(number);
		return;
	}
	if (followed.opened_count == 0) look();
	uintptr_t page = address & ~(PAGE_BYTES - 1);
	followed.opened[followed.opened_count++] = page;
	(void)protect(page, PAGE_BYTES, PROT_READ | PROT_WRITE);
	((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static void stepped(int number, siginfo_t *info, void *context) {
	(void)info;
	if (followed.opened_count == 0) {
		crash_as_usual(number);
		return;
	}
	while (followed.opened_count > 0)
		(void)protect(followed.opened[--followed.opened_count], PAGE_BYTES, PROT_READ);
	((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
}

static void catch_signal(int number, void (*handler)(int, siginfo_t *, void *)) {
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
	(void)sigemptyset(&action.sa_mask);
	if (sigaction(number, &action, NULL) != 0) abort();
}

static void catch_signals(void) {
	catch_signal(SIGSEGV, faulted);
	catch_signal(SIGTRAP, stepped);
}

static void note(void *context, uint64_t number) {
	(void)number;
	++*(uint32_t *)context;
}

/* An emulator, or a kernel that is no Linux, may have no trap flag, or trap late: two stores are
 * tried. */
bool each_store_is_possible(void) {
	uint32_t noted = 0;
	void *page = map(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED) abort();
	volatile uint32_t *word = page;
	struct mapping *mapping = &followed.mapping[MAPPINGS_MAX - 1];
	*mapping = (struct mapping){(uintptr_t)page, PAGE_BYTES};
	each_store_begin(note, &noted);
	word[0] = 1;
	word[1] = 2;
	atomic_signal_fence(memory_order_seq_cst);
	bool is_seen = noted == 2 && followed.opened_count == 0;
	(void)each_store_end();
	followed.opened_count = 0;
	mapping->bytes = 0;
	(void)munmap(page, PAGE_BYTES);
	crash_as_usual(SIGSEGV);
	crash_as_usual(SIGTRAP);
	return is_seen;
}

#else

bool each_store_is_possible(void) {
	return false;
}

static void catch_signals(void) {
}

#endif

static void protect_all(int protection) {
	for (uint32_t i = 0; i < MAPPINGS_MAX; i++)
		if (followed.mapping[i].bytes != 0)
			(void)protect(followed.mapping[i].address, followed.mapping[i].bytes, protection);
}

void each_store_begin(each_store_look look_function, void *context) {
	catch_signals();
	followed.look = look_function;
	followed.context = context;
	followed.looks = 0;
	followed.is_armed = true;
	protect_all(PROT_READ);
}

uint64_t each_store_end(void) {
	followed.is_armed = false;
	protect_all(PROT_READ | PROT_WRITE);
	look();
	return followed.looks;
}
