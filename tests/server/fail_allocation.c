/* fail_allocation.c: preloaded into a server, makes the Nth request for memory of the program
 * itself fail: malloc, calloc, realloc; counted from the moment when the file $SNUG_FAIL_AFTER
 * exists, if that is given, else from the start. $SNUG_FAIL_AT is N; when it has failed, the file
 * $SNUG_FAILED exists. So a sweep over all N meets each of them once. What the C library asks for
 * on the program's behalf is let through: glibc's look-up of users, for one, does not survive
 * it. */
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *memory, size_t bytes);

static _Atomic long asked;
static uintptr_t program_begin, program_end; /* where the program's own code lies */

static int look_at_program(struct dl_phdr_info *info, size_t size, void *context) {
	(void)size;
	(void)context;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &info->dlpi_phdr[i];
		if (part->p_type != PT_LOAD || (part->p_flags & PF_X) == 0) continue;
		program_begin = info->dlpi_addr + part->p_vaddr;
		program_end = program_begin + part->p_memsz;
	}
	return 1; /* the first one is the program */
}

__attribute__((constructor)) static void begin(void) {
	dl_iterate_phdr(look_at_program, NULL);
}

static bool fails_now(const void *caller) {
	uintptr_t from = (uintptr_t)caller;
	if (from < program_begin || from >= program_end) return false;
	const char *at = getenv("SNUG_FAIL_AT"), *after = getenv("SNUG_FAIL_AFTER");
	if (at == NULL || (after != NULL && access(after, F_OK) != 0)) return false;
	if (atomic_fetch_add(&asked, 1) + 1 != strtol(at, NULL, 10)) return false;
	const char *failed = getenv("SNUG_FAILED");
	int mark = failed == NULL ? -1 : open(failed, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (mark >= 0) close(mark);
	errno = ENOMEM;
	return true;
}

void *malloc(size_t bytes) {
	return fails_now(__builtin_return_address(0)) ? NULL : __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes) {
	return fails_now(__builtin_return_address(0)) ? NULL : __libc_calloc(count, bytes);
}

void *realloc(void *memory, size_t bytes) {
	return fails_now(__builtin_return_address(0)) ? NULL : __libc_realloc(memory, bytes);
}
