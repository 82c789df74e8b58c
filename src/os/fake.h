/* os/fake.h: an operating system for tests, to put beneath the heap (snug_heap_options.os =
 * &fake.os).
 *
 * It refuses when told to, counts every call, keeps a clock that the test moves, and holds the
 * library to the rules of snug/os.h: memory that is not committed is mapped without access, so that
 * touching it ends the test at once, and a commit of committed memory, a decommit of memory that is
 * not, or an address outside each reservation is a mistake, counted and named.
 *
 *     struct fake_os fake;
 *     fake_os_init(&fake);
 *     fake.commit.fail_at = 3;          // the third commit from here on is refused
 *     fake.commit.fail_onwards = true;  // and so is every later one
 *     ...
 *     assert_int_equal(fake.mistakes, 0);
 *     fake_os_deinit(&fake);
 *
 * One thread. The struct must not move between init and deinit: os.context points to it. */
#ifndef SNUG_OS_FAKE_H
#define SNUG_OS_FAKE_H

#include <snug/os.h>

#define FAKE_OS_PAGE_BYTES ((size_t)4096)
#define FAKE_OS_RESERVATIONS_MAX 64

/* One of the OS functions: what happened and what shall happen. */
struct fake_call {
	uint64_t calls;    /* so far, refused ones included; a test may set it to 0 to count anew */
	uint64_t refused;  /* of those */
	uint64_t fail_at;  /* refuse call number fail_at (the first is 1); 0: none */
	bool fail_onwards; /* and every later one too */
};

struct fake_reservation {
	char *address; /* NULL: free entry */
	size_t bytes;
	uint64_t *committed; /* a bit for each page */
};

struct fake_os {
	snug_os os;
	struct fake_call reserve;
	struct fake_call release; /* calls only: cannot fail */
	struct fake_call commit;
	struct fake_call decommit;
	struct fake_call advise_huge;  /* calls only */
	struct fake_call advise_small; /* calls only */
	struct fake_call populate;
	struct fake_call clock; /* calls only */
	size_t reserved_bytes;
	size_t committed_bytes;
	size_t peak_committed_bytes;
	uint64_t time_ns;    /* what now_ns answers next */
	uint64_t advance_ns; /* added to time_ns after each answer */
	uint64_t mistakes;
	const char *first_mistake; /* NULL: none */
	struct fake_reservation reservations[FAKE_OS_RESERVATIONS_MAX];
};

/* All zero, but time_ns 1000000000 (a clock does not start at 0). */
void fake_os_init(struct fake_os *fake);

/* Unmaps whatever is still reserved. reserved_bytes must be looked at before, to find leaks. */
void fake_os_deinit(struct fake_os *fake);

#endif
